//! What can go wrong with the program itself, as opposed to with a test.
//!
//! Every module keeps its own error type beside its code and classifies it here through [`Diagnose`]. A failing
//! test is never one of these: it is an outcome (see [`crate::results`]).

mod excerpt;
mod nearest;

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

pub use excerpt::{excerpt, shown_line};
pub use nearest::nearest;

/// Whose move it is when something failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Category {
    /// The input (a flag, a file, a label) is wrong: the user mends it.
    User,
    /// Something outside the program (engine, registry, network, disk) did not do its part.
    Environment,
    /// A defect of docker-test itself.
    Internal,
}

impl fmt::Display for Category {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::User => "user",
            Self::Environment => "environment",
            Self::Internal => "internal",
        })
    }
}

/// Implemented by every module's error type, so that the outermost layer can classify it and print advice.
pub trait Diagnose {
    /// Whose move it is.
    fn category(&self) -> Category;

    /// One sentence that says what to do next, where there is something to do.
    fn hint(&self) -> Option<String> {
        None
    }
}

/// A classified error on its way to the terminal: the chain of causes, and the hint. Tests that share what failed share
/// the error.
#[derive(Clone)]
pub struct Failure {
    category: Category,
    hint: Option<String>,
    place: Option<String>,
    source: Arc<dyn StdError + Send + Sync + 'static>,
}

impl Failure {
    /// Says where the value stands that caused it: a variable, a line of a file.
    #[must_use]
    pub fn at(self, place: Option<String>) -> Self {
        Self { place: place.or(self.place), ..self }
    }

    /// Whose move it is.
    #[must_use]
    pub const fn category(&self) -> Category {
        self.category
    }

    /// What to do next.
    #[must_use]
    pub fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// The message and its causes, outermost first, without repeating a cause that its wrapper already quotes.
    #[must_use]
    pub fn chain(&self) -> Vec<String> {
        let mut messages: Vec<String> = vec![self.source.to_string()];
        let mut cause = self.source.source();
        while let Some(error) = cause {
            let message = error.to_string();
            if !messages.iter().any(|shown| shown.contains(&message)) {
                messages.push(message);
            }
            cause = error.source();
        }
        if let (Some(place), Some(first)) = (&self.place, messages.first_mut()) {
            *first = format!("{place}: {first}");
        }
        messages
    }
}

impl<E> From<E> for Failure
where
    E: Diagnose + StdError + Send + Sync + 'static,
{
    fn from(error: E) -> Self {
        Self { category: error.category(), hint: error.hint(), place: None, source: Arc::new(error) }
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Failure")
            .field("category", &self.category)
            .field("hint", &self.hint)
            .field("place", &self.place)
            .field("source", &self.source)
            .finish()
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.chain().join(": "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("cannot read {path}")]
    struct Unreadable {
        path: &'static str,
        source: std::io::Error,
    }

    impl Diagnose for Unreadable {
        fn category(&self) -> Category {
            Category::User
        }
        fn hint(&self) -> Option<String> {
            Some("check the path".into())
        }
    }

    #[test]
    fn a_failure_says_where_the_wrong_value_stands() {
        let failure = Failure::from(Unreadable { path: "a", source: std::io::Error::other("gone") });
        let failure = failure.at(Some("docker-test.yaml:3:5: path".to_owned())).at(None);
        assert_eq!(failure.to_string(), "docker-test.yaml:3:5: path: cannot read a: gone");
    }

    #[test]
    fn a_failure_keeps_category_hint_and_the_chain_of_causes() {
        let failure = Failure::from(Unreadable { path: "a", source: std::io::Error::other("gone") });
        assert_eq!(failure.category(), Category::User);
        assert_eq!(failure.hint(), Some("check the path"));
        assert_eq!(failure.to_string(), "cannot read a: gone");
    }
}
