//! Reads what the user's directory says about tests: Dockerfile.test and Dockerfile.
//!
//! Owns the choice of file names. Reads nothing else there, and nothing at all when told not to look.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::error::{Category, Diagnose};

/// A Dockerfile larger than this is not one: BuildKit's own limit is 16 MiB for the whole request.
const LARGEST: u64 = 4 * 1024 * 1024;

/// Names that hold a recipe, in order.
const RECIPES: [&str; 1] = ["Dockerfile.test"];

/// Names that may hold ONTEST lines, in order.
const DOCKERFILES: [&str; 2] = ["Dockerfile", "dockerfile"];

/// A file that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceFile {
    /// Its path.
    pub path: PathBuf,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// What a directory holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DirectorySources {
    /// The directory that COPY reads.
    pub directory: PathBuf,
    /// True where the user named it with `--path`.
    pub explicit: bool,
    /// Dockerfile.test.
    pub recipe: Option<SourceFile>,
    /// Dockerfile.
    pub dockerfile: Option<SourceFile>,
    /// The file that `-f` names, whatever its name is: it wins over every other source.
    pub chosen: Option<SourceFile>,
}

/// A source file cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum SourcesError {
    /// Reading failed.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file or directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Too large to be a Dockerfile.
    #[error("{} is larger than {LARGEST} bytes: that is no Dockerfile", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// `--path` is not a directory.
    #[error("{} is not a directory", path.display())]
    NotADirectory {
        /// The path.
        path: PathBuf,
    },
}

impl Diagnose for SourcesError {
    fn category(&self) -> Category {
        Category::User
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Read { .. } => Some("check the path given with --path or -f".to_owned()),
            Self::TooLarge { .. } => None,
            Self::NotADirectory { .. } => {
                Some("--path takes the directory that COPY reads; a file is given with -f".to_owned())
            }
        }
    }
}

/// Reads the sources of `directory`; `chosen` is the file that `-f` names.
pub fn read(
    directory: &Path,
    explicit: bool,
    chosen: Option<&Path>,
) -> Result<DirectorySources, SourcesError> {
    if explicit && !directory.is_dir() {
        return Err(SourcesError::NotADirectory { path: directory.to_owned() });
    }
    let chosen = match chosen {
        Some(path) => {
            let missing = || io::Error::from(io::ErrorKind::NotFound);
            let file = read_file(path)?
                .ok_or_else(|| SourcesError::Read { path: path.to_owned(), source: missing() });
            Some(file?)
        }
        None => None,
    };
    Ok(DirectorySources {
        directory: directory.to_owned(),
        explicit,
        recipe: first(directory, &RECIPES)?,
        dockerfile: first(directory, &DOCKERFILES)?,
        chosen,
    })
}

fn first(directory: &Path, names: &[&str]) -> Result<Option<SourceFile>, SourcesError> {
    for name in names {
        if let Some(file) = read_file(&directory.join(name))? {
            return Ok(Some(file));
        }
    }
    Ok(None)
}

fn read_file(path: &Path) -> Result<Option<SourceFile>, SourcesError> {
    let fail = |source| SourcesError::Read { path: path.to_owned(), source };
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(fail(error)),
    };
    if !file.metadata().map_err(fail)?.is_file() {
        return Ok(None);
    }
    let mut bytes = Vec::new();
    file.take(LARGEST + 1).read_to_end(&mut bytes).map_err(fail)?;
    if bytes.len() as u64 > LARGEST {
        return Err(SourcesError::TooLarge { path: path.to_owned() });
    }
    Ok(Some(SourceFile { path: path.to_owned(), bytes }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_without_dockerfiles_has_no_sources() {
        let directory = tempfile::tempdir().unwrap();
        let sources = read(directory.path(), false, None).unwrap();
        assert_eq!((sources.recipe, sources.dockerfile), (None, None));
    }

    #[test]
    fn both_files_are_found_and_a_directory_of_that_name_is_none() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("Dockerfile"), "FROM a").unwrap();
        std::fs::create_dir(directory.path().join("Dockerfile.test")).unwrap();
        let sources = read(directory.path(), true, None).unwrap();
        assert_eq!(sources.recipe, None);
        assert_eq!(sources.dockerfile.unwrap().bytes, b"FROM a");
    }

    #[test]
    fn a_chosen_file_that_is_missing_is_an_error_that_names_it() {
        let directory = tempfile::tempdir().unwrap();
        let error = read(directory.path(), false, Some(&directory.path().join("nope"))).unwrap_err();
        assert!(error.to_string().ends_with("nope"), "{error}");
    }

    #[test]
    fn a_path_that_is_a_file_is_refused_with_the_right_flag() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let error = read(file.path(), true, None).unwrap_err();
        assert!(error.hint().unwrap().contains("-f"));
    }
}
