//! How text for people looks: width and colour, decided by the caller.

use crate::results::Outcome;

/// Width and colour of text for people. Whether colour is wanted (terminal, `NO_COLOR`) is the caller's to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Style {
    /// ANSI colours are allowed.
    pub color: bool,
    /// Columns; what is wider is wrapped.
    pub width: usize,
}

impl Default for Style {
    fn default() -> Self {
        Self { color: false, width: 80 }
    }
}

/// The few looks that are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Paint {
    /// All is well.
    Good,
    /// Something failed.
    Bad,
    /// Worth a look.
    Careful,
    /// Of less interest.
    Faint,
}

impl Paint {
    /// The look of an outcome.
    #[must_use]
    pub const fn of(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Passed => Self::Good,
            Outcome::Flaky => Self::Careful,
            Outcome::Skipped => Self::Faint,
            Outcome::Failed
            | Outcome::TimedOut
            | Outcome::OutOfMemory
            | Outcome::NotStarted
            | Outcome::DependencyFailed
            | Outcome::Aborted => Self::Bad,
        }
    }
}

impl Style {
    /// The text in that look, or as it is where colour is not wanted.
    #[must_use]
    pub fn paint(self, paint: Paint, text: &str) -> String {
        if !self.color {
            return text.to_owned();
        }
        let code = match paint {
            Paint::Good => "32",
            Paint::Bad => "31",
            Paint::Careful => "33",
            Paint::Faint => "2",
        };
        format!("\u{1b}[{code}m{text}\u{1b}[0m")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colour_appears_only_when_it_is_allowed() {
        let plain = Style::default();
        assert_eq!(plain.paint(Paint::Bad, "failed"), "failed");
        assert_eq!(Style { color: true, ..plain }.paint(Paint::Bad, "failed"), "\u{1b}[31mfailed\u{1b}[0m");
    }
}
