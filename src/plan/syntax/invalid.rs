//! Why a value is not what was expected, before anyone has said where it stood.

/// What was found or expected; where the value stood is added by whoever asked for it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{problem}")]
pub struct Invalid {
    problem: String,
    hint: Option<String>,
}

impl Invalid {
    /// `problem` says what was found or expected, without the value.
    pub fn new(problem: impl Into<String>) -> Self {
        Self { problem: problem.into(), hint: None }
    }

    /// Adds what to write instead.
    #[must_use]
    pub fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    /// Problem and hint.
    #[must_use]
    pub fn into_parts(self) -> (String, Option<String>) {
        (self.problem, self.hint)
    }
}
