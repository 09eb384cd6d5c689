//! Reads what the user's directory says about tests: Dockerfile.test and Dockerfile.
//!
//! Owns the choice of file names. Reads nothing else there, and nothing at all when told not to look.

use std::io;
use std::path::{Path, PathBuf};

use crate::error::{Category, Diagnose};
use crate::input;

/// A Dockerfile larger than this is not one: BuildKit's own limit is 16 MiB for the whole request.
pub const LARGEST: u64 = 4 * 1024 * 1024;

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
    /// A link that leads nowhere: to take it for no file would test something else than was meant.
    #[error("{} is a symbolic link to {}, which is not there", path.display(), target.display())]
    Dangling {
        /// The link.
        path: PathBuf,
        /// Where it leads, as written in it.
        target: PathBuf,
    },
    /// `--path` is not a directory.
    #[error("{} is not a directory", path.display())]
    NotADirectory {
        /// The path.
        path: PathBuf,
    },
}

impl SourcesError {
    /// What cannot be read.
    #[must_use]
    pub fn path(&self) -> &Path {
        match self {
            Self::Read { path, .. }
            | Self::TooLarge { path }
            | Self::Dangling { path, .. }
            | Self::NotADirectory { path } => path,
        }
    }
}

impl Diagnose for SourcesError {
    fn category(&self) -> Category {
        Category::User
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Read { .. } => Some("check the path given with --path or -f".to_owned()),
            Self::TooLarge { .. } => None,
            Self::Dangling { .. } => Some("put the file there, or remove the link".to_owned()),
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
            let absent = || match std::fs::metadata(path) {
                Ok(_) => input::not_a_file("a directory"),
                Err(error) => error,
            };
            let file = read_file(path)?;
            Some(file.ok_or_else(|| SourcesError::Read { path: path.to_owned(), source: absent() })?)
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

/// None where there is no such file, or a directory has its name.
fn read_file(path: &Path) -> Result<Option<SourceFile>, SourcesError> {
    let path = path.to_owned();
    match input::read(&path, LARGEST) {
        Ok(bytes) => Ok(Some(SourceFile { path, bytes })),
        Err(error) if error.kind() == io::ErrorKind::NotFound => match std::fs::read_link(&path) {
            Ok(target) => Err(SourcesError::Dangling { path, target }),
            Err(_) => Ok(None),
        },
        Err(error) if error.kind() == io::ErrorKind::FileTooLarge => Err(SourcesError::TooLarge { path }),
        Err(_) if path.is_dir() => Ok(None),
        Err(source) => Err(SourcesError::Read { path, source }),
    }
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

    #[test]
    fn a_pipe_in_the_place_of_a_recipe_is_refused_and_not_waited_for() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("Dockerfile.test");
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
        for chosen in [None, Some(path.as_path())] {
            let error = crate::error::Failure::from(read(directory.path(), false, chosen).unwrap_err());
            assert!(error.to_string().ends_with("Dockerfile.test: it is a named pipe, and no regular file"));
        }
    }

    #[test]
    fn a_chosen_directory_is_said_to_be_one() {
        let directory = tempfile::tempdir().unwrap();
        let error = read(directory.path(), false, Some(directory.path())).unwrap_err();
        assert!(crate::error::Failure::from(error).to_string().contains("it is a directory"));
    }

    #[test]
    fn a_link_that_leads_nowhere_is_an_error_and_not_an_absent_file() {
        let directory = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("../gone", directory.path().join("Dockerfile.test")).unwrap();
        let error = read(directory.path(), false, None).unwrap_err().to_string();
        assert!(
            error.ends_with("Dockerfile.test is a symbolic link to ../gone, which is not there"),
            "{error}"
        );
    }
}
