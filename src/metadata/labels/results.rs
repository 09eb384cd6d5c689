//! Where in the container results may be put.
//!
//! Owns the check of the path that `test.results` or a flag names. The path ends up in a Dockerfile and in a
//! mount, so characters that mean something there are refused rather than quoted.

use crate::error::{Category, Diagnose};
use crate::metadata::dockerfile::excerpt;

/// Where results are put where nobody says otherwise.
pub const DEFAULT_RESULTS: &str = "/var/tests/results";

/// These, and everything under them, belong to the kernel.
const KERNEL: [&str; 3] = ["dev", "proc", "sys"];

/// A volume at one of these would hide or copy the image's own system; directories under them are allowed.
const SYSTEM: [&str; 11] =
    ["bin", "boot", "etc", "lib", "lib32", "lib64", "libx32", "run", "sbin", "usr", "var"];

const LONGEST: usize = 4096;

/// A path that results cannot be put at.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the results path is {}: expected {expected}", excerpt(found))]
pub struct ResultsPathError {
    /// The path.
    pub found: String,
    /// What it should be.
    pub expected: &'static str,
}

impl Diagnose for ResultsPathError {
    fn category(&self) -> Category {
        Category::User
    }

    fn hint(&self) -> Option<String> {
        Some(format!("name a directory of its own, such as {DEFAULT_RESULTS}"))
    }
}

/// The path without trailing or doubled slashes, if it is absolute, clean and not one of the system's.
pub fn check_results_path(path: &str) -> Result<String, ResultsPathError> {
    let refused = |expected| Err(ResultsPathError { found: path.to_owned(), expected });
    if path.chars().any(char::is_control) {
        return refused("a path without control characters");
    }
    if path.chars().any(|c| matches!(c, ':' | ',' | '$' | '\\' | '"' | '\'' | '`')) {
        return refused("a path without any of : , $ \\ \" ' `");
    }
    if path.len() > LONGEST {
        return refused("a path of at most 4096 bytes");
    }
    let Some(relative) = path.strip_prefix('/') else {
        return refused("an absolute path");
    };
    let components: Vec<&str> = relative.split('/').filter(|component| !component.is_empty()).collect();
    if components.iter().any(|component| matches!(*component, "." | "..")) {
        return refused("a path without . and .. in it");
    }
    match components.as_slice() {
        [] => refused("a directory below /"),
        [first, ..] if KERNEL.contains(first) => refused("a directory outside /dev, /proc and /sys"),
        [only] if SYSTEM.contains(only) => refused("a directory of its own, not one of the system's"),
        _ => Ok(format!("/{}", components.join("/"))),
    }
}
