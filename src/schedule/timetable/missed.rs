//! What becomes of slots that passed while nobody looked.

use std::fmt;
use std::num::NonZeroU16;
use std::str::FromStr;

/// The most slots that are run one after another.
const MOST: NonZeroU16 = NonZeroU16::new(1_000).unwrap();
/// What `all` stands for.
const USUAL: NonZeroU16 = NonZeroU16::new(10).unwrap();

/// The policy for slots that passed while the program did not run, the machine slept, or the clock jumped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Missed {
    /// `skip`: none is run, beyond a grace for being late; the next slot is the next run.
    Skip,
    /// `once`: one run for all of them, which counts as that of the last.
    #[default]
    Once,
    /// `all:10`: one run for each of the last ones, oldest first.
    All {
        /// How many at the most.
        most: NonZeroU16,
    },
}

/// A text that names no policy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no policy for missed runs: expected `skip`, `once`, `all`, or `all:N` with N from 1 to {MOST}")]
pub struct MissedError;

impl FromStr for Missed {
    type Err = MissedError;

    fn from_str(text: &str) -> Result<Self, MissedError> {
        match text {
            "skip" => Ok(Self::Skip),
            "once" => Ok(Self::Once),
            "all" => Ok(Self::All { most: USUAL }),
            _ => {
                let number = text.strip_prefix("all:").filter(|number| !number.starts_with('+'));
                let most = number.and_then(|number| number.parse().ok()).filter(|most| *most <= MOST);
                most.map(|most| Self::All { most }).ok_or(MissedError)
            }
        }
    }
}

impl fmt::Display for Missed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Skip => f.write_str("skip"),
            Self::Once => f.write_str("once"),
            Self::All { most } => write!(f, "all:{most}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_read_back() {
        for text in ["skip", "once", "all:10", "all:1", "all:1000"] {
            assert_eq!(text.parse::<Missed>().unwrap().to_string(), text);
        }
        assert_eq!("all".parse::<Missed>().unwrap().to_string(), "all:10");
        for text in ["", "none", "all:", "all:0", "all:1001", "all:+5", "Once"] {
            let error = text.parse::<Missed>().unwrap_err().to_string();
            assert!(error.contains("`all:N` with N from 1 to 1000"), "{text}: {error}");
        }
    }
}
