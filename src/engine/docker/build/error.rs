//! Why a build did not end with an image.
//!
//! Owns the classification. A failed build is the user's to mend: the message names the step, the line and the end
//! of what the step printed.

use std::fmt;
use std::io;

use super::step::{self, Position};
use crate::engine::docker::session::SessionError;
use crate::engine::transport::{BoxError, TransportError};
use crate::error::{Category, Diagnose};

/// What the builder said about a build that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuildFailure {
    /// The step that failed, as the builder names it.
    pub step: Option<String>,
    /// Where that step stands in the Dockerfile, as far as the builder's numbering tells.
    pub position: Option<Position>,
    /// Line of the Dockerfile, counted from 1, where the builder names one.
    pub line: Option<u32>,
    /// The builder's message, its wrappers removed.
    pub message: String,
    /// What the step's command exited with, where that was the reason.
    pub exit_code: Option<i64>,
    /// The end of what the step printed.
    pub tail: String,
}

impl BuildFailure {
    /// True where a layer of the cache went away between the moment a step found it and the moment it built on it.
    ///
    /// Builders that keep their cache as images lose one so when another build's image is removed. No command of the
    /// author's says these words: such a step ends with an exit code.
    #[must_use]
    pub fn has_lost_its_cache(&self) -> bool {
        let signs = [
            "unknown parent image ID",
            "failed to get destination image",
            "layer does not exist",
            "No such image: sha256:",
        ];
        self.exit_code.is_none() && signs.iter().any(|sign| self.message.contains(sign))
    }
}

impl fmt::Display for BuildFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the build failed")?;
        if let Some(step) = &self.step {
            write!(f, " at `{}`", step.lines().next().unwrap_or_default())?;
        }
        if let Some(line) = self.line {
            write!(f, " in line {line} of the Dockerfile")?;
        }
        write!(f, ": {}", step::without_line(&self.message))
    }
}

/// Why there is no image.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// The builder could not carry out the Dockerfile.
    #[error("{0}")]
    Failed(Box<BuildFailure>),
    /// The engine did not accept the call.
    #[error("the engine refuses the build ({status}): {message}")]
    Refused {
        /// HTTP status.
        status: u16,
        /// What the engine says.
        message: String,
    },
    /// The builder has no such option.
    #[error("{builder} does not support {option}")]
    Unsupported {
        /// Name of the builder.
        builder: &'static str,
        /// The option.
        option: &'static str,
    },
    /// Secrets or ssh agents could not be made ready.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// The context could not be read to its end.
    #[error("cannot read the build context")]
    Context {
        /// Why.
        source: io::Error,
    },
    /// No connection to the engine, or no session over it.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// The engine went away in the middle of the build.
    #[error("lost the engine during the build")]
    EngineLost {
        /// What was seen.
        source: BoxError,
    },
    /// The answer is not what the API promises.
    #[error("cannot understand the builder's answer: {0}")]
    Malformed(String),
    /// The caller cancelled the build.
    #[error("the build was cancelled")]
    Cancelled,
}

impl Diagnose for BuildError {
    fn category(&self) -> Category {
        match self {
            Self::Failed(_) | Self::Unsupported { .. } | Self::Cancelled => Category::User,
            Self::Refused { status, .. } if *status < 500 => Category::User,
            Self::Session(error) => error.category(),
            Self::Transport(error) => error.category(),
            Self::Refused { .. } | Self::Context { .. } | Self::EngineLost { .. } | Self::Malformed(_) => {
                Category::Environment
            }
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Failed(failure) if is_denied(&failure.message) => {
                Some("log in with `docker login REGISTRY`, or check the name of the base image".into())
            }
            Self::Unsupported { builder, .. } => {
                Some(format!("leave the option out, or use an engine whose builder is not {builder}"))
            }
            Self::EngineLost { .. } => Some("see `docker-test doctor` once the engine is back".into()),
            Self::Session(error) => error.hint(),
            Self::Transport(error) => error.hint(),
            _ => None,
        }
    }
}

fn is_denied(message: &str) -> bool {
    let message = message.to_ascii_lowercase();
    ["pull access denied", "authorization failed", "unauthorized", "no basic auth credentials"]
        .iter()
        .any(|sign| message.contains(sign))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_names_step_line_and_cause() {
        let failure = BuildFailure {
            step: Some("[2/3] RUN <<EOF\nfalse\nEOF".into()),
            position: None,
            line: Some(7),
            message: "exit code: 1".into(),
            exit_code: Some(1),
            tail: String::new(),
        };
        assert_eq!(
            BuildError::Failed(Box::new(failure)).to_string(),
            "the build failed at `[2/3] RUN <<EOF` in line 7 of the Dockerfile: exit code: 1"
        );
    }

    #[test]
    fn a_layer_that_went_away_under_the_builder_is_told_from_what_a_command_says() {
        let failure = |message: &str, exit_code| BuildFailure {
            step: Some("COPY tests /t".into()),
            position: None,
            line: None,
            message: message.into(),
            exit_code,
            tail: String::new(),
        };
        for message in [
            "failed to export image: failed to set parent sha256:19: unknown parent image ID sha256:19",
            "failed to get destination image \"sha256:19\": No such image: sha256:19",
            "failed to create rwlayer: layer does not exist",
            "No such image: sha256:19",
        ] {
            assert!(failure(message, None).has_lost_its_cache(), "{message}");
            assert!(!failure(message, Some(1)).has_lost_its_cache(), "{message}");
        }
        assert!(!failure("pull access denied for shop", None).has_lost_its_cache());
        assert!(!failure("No such image: shop:1.4", None).has_lost_its_cache());
    }

    #[test]
    fn a_client_error_is_the_users_and_a_server_error_the_environments() {
        let refused = |status| BuildError::Refused { status, message: String::new() };
        assert_eq!(refused(400).category(), Category::User);
        assert_eq!(refused(500).category(), Category::Environment);
    }

    #[test]
    fn a_line_is_told_once_and_by_us() {
        let mut failure = BuildFailure {
            step: None,
            position: None,
            line: Some(3),
            message: "Dockerfile parse error line 3: unknown instruction: FOO".into(),
            exit_code: None,
            tail: String::new(),
        };
        assert_eq!(
            failure.to_string(),
            "the build failed in line 3 of the Dockerfile: unknown instruction: FOO"
        );
        // The caller names the author's line instead.
        failure.line = None;
        assert_eq!(failure.to_string(), "the build failed: unknown instruction: FOO");
    }
}
