//! The build context: which files of the user's directory the builder gets, and how they travel.
//!
//! Owns `.dockerignore`, the reading of sources out of a recipe, the choice of files, the archive and its digest.
//! It reads the context directory and nothing outside of it, never writes to it, and never talks to an engine.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::error::{Category, Diagnose};
use crate::input;

mod archive;
mod bases;
mod delivery;
mod digest;
mod ignore;
mod needs;
mod own;
mod paths;
mod pattern;
mod reading;
mod select;
mod stream;
mod tree;
mod variables;
mod words;

pub use archive::{ExtraContent, ExtraEntry, write_archive};
pub use bases::base_images;
pub use delivery::Delivery;
pub use digest::{Digest, digest};
pub use ignore::{Ignore, IgnoreError, IgnoreRule};
pub use needs::{Need, Needs, RecipeInputs, needs};
pub use pattern::PatternError;
pub use reading::{ReadError, at_hand, read};
pub use select::{Entry, EntryKind, Selection, select};
pub use stream::{ArchiveProgress, ArchiveStream, stream};
pub use tree::Tree;

/// What can go wrong between a recipe and the archive that it needs. Paths are relative to the context, lines are
/// those of the recipe, which only [`RecipeError`] can name and so says both.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ContextError {
    /// The context itself cannot be read as a directory.
    #[error("cannot read the build context {}", path.display())]
    Root {
        /// The context as the user named it.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// An ignore file exists but cannot be read.
    #[error("cannot read {}", path.display())]
    IgnoreFile {
        /// The ignore file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// An ignore file holds a line that Docker refuses.
    #[error("{}:{}: {source}", path.display(), source.line)]
    IgnoreSyntax {
        /// The ignore file.
        path: PathBuf,
        /// Line and reason.
        source: IgnoreError,
    },
    /// A source's wildcards are malformed.
    #[error("invalid pattern {pattern:?}")]
    Pattern {
        /// Line of the instruction.
        line: u32,
        /// The pattern.
        pattern: String,
        /// What is wrong with it.
        source: PatternError,
    },
    /// A source does not exist.
    #[error("{path:?} is not in the build context")]
    Missing {
        /// Line of the instruction.
        line: u32,
        /// The source, or what its link leads to.
        path: String,
        /// An existing path with a similar name.
        nearest: Option<String>,
    },
    /// A source exists, but the ignore file leaves it out.
    #[error("{path:?} is excluded by line {ignore_line} of the ignore file ({ignore_pattern})")]
    Excluded {
        /// Line of the instruction.
        line: u32,
        /// The source.
        path: String,
        /// Line of the ignore file.
        ignore_line: u32,
        /// The pattern on that line.
        ignore_pattern: String,
    },
    /// A source is a link that leads round in a circle.
    #[error("too many symbolic links in {path:?}")]
    LinkLoop {
        /// Line of the instruction.
        line: u32,
        /// The source.
        path: String,
    },
    /// A source is a socket, which no archive can hold.
    #[error("{path:?} is a socket, which cannot be copied")]
    Socket {
        /// Line of the instruction.
        line: u32,
        /// The source.
        path: String,
    },
    /// A file or directory that is to be sent cannot be read.
    #[error("cannot read {} in the build context", path.display())]
    Unreadable {
        /// The file or directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file changed between being chosen and being sent.
    #[error("{} changed while it was sent to the builder", path.display())]
    Changed {
        /// The file.
        path: PathBuf,
    },
    /// A name that docker-test reserves for itself is taken.
    #[error("{} in the build context has a name that is reserved for this build", path.display())]
    Reserved {
        /// The path of the user's that collides.
        path: PathBuf,
    },
    /// The builder's protocol carries names that are UTF-8 alone.
    #[error("the name {} is not UTF-8, and BuildKit takes no other", path.display())]
    NotUtf8 {
        /// The path.
        path: PathBuf,
    },
    /// A defect of docker-test.
    #[error("internal error while reading the build context: {message}")]
    Internal {
        /// What was seen.
        message: String,
    },
    /// The archive could not be handed on.
    #[error("cannot send the build context")]
    Send(#[source] io::Error),
}

/// A context error, and the recipe that it is about.
#[derive(Debug, Error)]
#[error("{}{source}", place(recipe, source))]
pub struct RecipeError {
    /// The file, or the label, that the lines are counted in.
    recipe: String,
    source: ContextError,
}

impl Diagnose for RecipeError {
    fn category(&self) -> Category {
        self.source.category()
    }

    fn hint(&self) -> Option<String> {
        self.source.hint()
    }
}

/// What stands before the error: the recipe and the line in it, and nothing where the error names another file's line.
fn place(recipe: &str, error: &ContextError) -> String {
    match (error, error.line()) {
        (ContextError::IgnoreSyntax { .. }, _) => String::new(),
        (_, Some(line)) => format!("{recipe}:{line}: "),
        (_, None) => format!("{recipe}: "),
    }
}

impl ContextError {
    /// The same with the name of the recipe.
    #[must_use]
    pub fn in_recipe(self, recipe: impl Into<String>) -> RecipeError {
        RecipeError { recipe: recipe.into(), source: self }
    }

    /// Line of the recipe, where the author can look it up.
    fn line(&self) -> Option<u32> {
        match self {
            Self::Pattern { line, .. }
            | Self::Missing { line, .. }
            | Self::Excluded { line, .. }
            | Self::LinkLoop { line, .. }
            | Self::Socket { line, .. } => Some(*line).filter(|line| *line > 0),
            _ => None,
        }
    }

    /// A thread that reads the context ended without an answer.
    #[must_use]
    pub fn internal(message: impl Into<String>) -> Self {
        Self::Internal { message: message.into() }
    }
}

impl Diagnose for ContextError {
    fn category(&self) -> Category {
        match self {
            Self::Send(_) | Self::Changed { .. } => Category::Environment,
            Self::Reserved { .. } | Self::Internal { .. } => Category::Internal,
            _ => Category::User,
        }
    }

    fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Root { .. } => {
                "name the directory that the recipe's COPY and ADD are relative to with --path"
            }
            Self::IgnoreSyntax { .. } => "mend the line, or put a '\\' before a '[' that is part of a name",
            Self::Missing { nearest: Some(nearest), .. } => {
                return Some(format!("there is {nearest:?}; sources are relative to the build context"));
            }
            Self::Missing { nearest: None, .. } => {
                "sources are relative to the build context: is it the right directory? (--path)"
            }
            Self::Excluded { path, .. } => {
                return Some(format!("add the line \"!{path}\" to the end of the ignore file"));
            }
            Self::LinkLoop { .. } => "name the file that the link should lead to",
            Self::Socket { .. } => "copy a regular file instead",
            Self::Unreadable { .. } => {
                "make it readable, or list it in .dockerignore if the tests do not need it"
            }
            Self::Changed { .. } => "run again when nothing writes to the build context",
            Self::NotUtf8 { .. } => "rename the file, or leave it out with .dockerignore",
            Self::IgnoreFile { .. }
            | Self::Pattern { .. }
            | Self::Reserved { .. }
            | Self::Internal { .. }
            | Self::Send(_) => return None,
        };
        Some(hint.to_owned())
    }
}

/// An ignore file that is larger is another file.
const LARGEST_IGNORE_FILE: u64 = 4 << 20;

/// Reads the ignore file that applies to a recipe: `specific` (`<dockerfile>.dockerignore`, a path as the process
/// sees it) where it exists, else `.dockerignore` at the root of the context, else nothing is ignored. Reads from
/// disk.
///
/// # Errors
/// An ignore file that exists but cannot be read, or holds an invalid line.
pub fn read_ignore(root: &Path, specific: Option<&Path>) -> Result<Ignore, ContextError> {
    for path in specific.map(Path::to_owned).into_iter().chain([root.join(".dockerignore")]) {
        match input::read(&path, LARGEST_IGNORE_FILE) {
            // The mark that some editors leave is Docker's to skip, and bytes that are no text match no name.
            Ok(bytes) => {
                let text = String::from_utf8_lossy(&bytes);
                return Ignore::parse(&text).map_err(|source| ContextError::IgnoreSyntax { path, source });
            }
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {}
            Err(source) => return Err(ContextError::IgnoreFile { path, source }),
        }
    }
    Ok(Ignore::default())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn the_recipes_own_ignore_file_wins_over_the_contexts() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        let own = root.join("Dockerfile.test.dockerignore");
        let recipe = Some(own.as_path());
        assert!(read_ignore(root, recipe).unwrap().is_empty());
        fs::write(root.join(".dockerignore"), "general\n").unwrap();
        assert!(read_ignore(root, recipe).unwrap().excluded("general"));
        fs::write(&own, "special\n").unwrap();
        let own = read_ignore(root, recipe).unwrap();
        assert!(own.excluded("special") && !own.excluded("general"));
        assert!(read_ignore(root, None).unwrap().excluded("general"));
    }

    #[test]
    fn an_error_names_file_and_line_where_there_is_one() {
        let told =
            |line| ContextError::LinkLoop { line, path: "a".into() }.in_recipe("Dockerfile").to_string();
        assert_eq!(told(4), "Dockerfile:4: too many symbolic links in \"a\"");
        assert_eq!(told(0), "Dockerfile: too many symbolic links in \"a\"");
        let changed = ContextError::Changed { path: "a".into() }.in_recipe("Dockerfile.test");
        assert_eq!(changed.to_string(), "Dockerfile.test: a changed while it was sent to the builder");
    }

    #[test]
    fn a_bad_ignore_file_is_named_with_its_line() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(".dockerignore"), "a\nb[\n").unwrap();
        let error = read_ignore(dir.path(), None).unwrap_err().in_recipe("Dockerfile.test");
        assert_eq!(
            crate::error::Failure::from(error).to_string(),
            format!(
                "{}:2: invalid pattern \"b[\": the character class that begins with '[' is empty or has no end",
                dir.path().join(".dockerignore").display()
            )
        );
        fs::remove_file(dir.path().join(".dockerignore")).unwrap();
        fs::create_dir(dir.path().join(".dockerignore")).unwrap();
        assert!(matches!(read_ignore(dir.path(), None), Err(ContextError::IgnoreFile { .. })));
    }
}
