//! `docker-test init`: writes a docker-test.yaml to start from. Needs no engine.
//!
//! Owns the look at the directory and the writing: never over an existing file unless told so, and then as a whole.
//! What is written is [`crate::suite::starter`]'s to say.

use std::fmt::Write as _;
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use clap::Args;

use super::application::Application;
use super::suite_file::FILE;
use super::terminal;
use crate::error::{Category, Diagnose, Failure};
use crate::exit_code::ExitCode;
use crate::input;
use crate::metadata::dockerfile;
use crate::report::text::printable;
use crate::report::wording::count;
use crate::suite::starter::{self, Dockerfile, Found, Tests};

/// Compose's own names, in its order.
const COMPOSE: [&str; 4] = ["compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml"];
/// Directories that others fill.
const SKIPPED: [&str; 3] = ["node_modules", "target", "vendor"];
/// A file to start from is read by a person.
const MOST_DOCKERFILES: usize = 100;
/// Bytes of a file that is looked into.
const LARGEST: u64 = 1 << 20;

/// Flags of `init`.
#[derive(Debug, Args)]
pub(super) struct InitArgs {
    /// Replace a docker-test.yaml that is there
    #[arg(long)]
    force: bool,
}

/// The file was not written.
#[derive(Debug, thiserror::Error)]
enum InitError {
    #[error("there is a {FILE} in {} already", .0.display())]
    Exists(PathBuf),
    #[error("cannot look into {}", path.display())]
    Unreadable { path: PathBuf, source: io::Error },
    #[error("cannot write {}", path.display())]
    Unwritable { path: PathBuf, source: io::Error },
}

impl Diagnose for InitError {
    fn category(&self) -> Category {
        match self {
            Self::Exists(_) => Category::User,
            Self::Unreadable { .. } | Self::Unwritable { .. } => Category::Environment,
        }
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Exists(_) => "`docker-test list` shows its tests; --force replaces it".to_owned(),
            Self::Unreadable { .. } | Self::Unwritable { .. } => {
                "check that you may read and write there, and that the disk is not full".to_owned()
            }
        })
    }
}

pub(super) fn execute(args: &InitArgs, application: &Application) -> Result<ExitCode, Failure> {
    let directory = application.environment.current_dir();
    let path = directory.join(FILE);
    // Said before anything is looked at; a file that comes meanwhile is seen when this one is created.
    if !args.force && path.symlink_metadata().is_ok() {
        return Err(InitError::Exists(directory.to_owned()).into());
    }
    let found = look(directory)?;
    let text = starter::render(&found);
    let written = if args.force { replace(&path, &text) } else { create(&path, &text) };
    written.map_err(|source| match source.kind() {
        io::ErrorKind::AlreadyExists => InitError::Exists(directory.to_owned()),
        _ => InitError::Unwritable { path, source },
    })?;
    terminal::note(&told(&found));
    Ok(ExitCode::Success)
}

/// What the directory holds: Dockerfiles here and one level down, and a compose file.
fn look(directory: &Path) -> Result<Found, InitError> {
    let unreadable = |source| InitError::Unreadable { path: directory.to_owned(), source };
    let mut names: Vec<String> = Vec::new();
    for entry in fs::read_dir(directory).map_err(unreadable)? {
        // A name that is no text cannot stand in the file.
        names.extend(entry.map_err(unreadable)?.file_name().into_string());
    }
    names.retain(|name| !name.starts_with('.') && !SKIPPED.contains(&name.as_str()));
    names.sort();
    let here = directory.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let places = std::iter::once((here, ".".to_owned()))
        .chain(names.into_iter().map(|name| (name.clone(), format!("./{name}"))));
    let dockerfiles = places
        .filter_map(|(name, place)| {
            let tests = tests_of(&directory.join(&place))?;
            Some(Dockerfile { name, directory: place, tests })
        })
        .take(MOST_DOCKERFILES)
        .collect();
    let compose = COMPOSE.iter().find(|name| directory.join(name).is_file());
    let compose = compose.map(|name| ((*name).to_owned(), services(&directory.join(name))));
    Ok(Found { dockerfiles, compose })
}

/// Where the tests of the Dockerfile in a directory are; `None` where there is no Dockerfile.
fn tests_of(directory: &Path) -> Option<Tests> {
    let path = directory.join("Dockerfile");
    if !path.is_file() {
        return None;
    }
    // What cannot be read or parsed is for the build to refuse.
    let parsed = input::read(&path, LARGEST).ok().and_then(|bytes| dockerfile::parse(&bytes).ok());
    let is_test = |instruction: &dockerfile::Instruction| instruction.keyword == "ONTEST";
    Some(if parsed.is_some_and(|parsed| parsed.instructions.iter().any(is_test)) {
        Tests::Ontest
    } else if directory.join("Dockerfile.test").is_file() {
        Tests::Beside
    } else {
        Tests::Nowhere
    })
}

/// The services of a compose file, as far as they can be read: they are an offer.
fn services(path: &Path) -> Vec<String> {
    let document = input::read(path, LARGEST).ok();
    let document = document.and_then(|bytes| serde_yaml::from_slice::<serde_yaml::Value>(&bytes).ok());
    let services = document.as_ref().and_then(|document| document.get("services")?.as_mapping());
    services
        .into_iter()
        .flat_map(|map| map.keys())
        .filter_map(|key| key.as_str().map(str::to_owned))
        .collect()
}

/// Writes a file that is not there; one that comes first stays as it is.
fn create(path: &Path, text: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).open(path)?;
    // Half a file would be in the way of the next try.
    file.write_all(text.as_bytes()).inspect_err(|_| drop(fs::remove_file(path)))
}

/// Puts a whole file in the place of what is there.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;

    // What a link leads to is replaced, and the link stays.
    let real = match path.canonicalize() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => path.to_owned(),
        real => real?,
    };
    let existing = match real.symlink_metadata() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        metadata => Some(metadata?),
    };
    if let Some(kind) = existing.as_ref().and_then(input::refused) {
        return Err(input::not_a_file(kind));
    }
    let mut builder = tempfile::Builder::new();
    // The umask applies to this, as it does to any new file.
    builder.prefix(".docker-test-init-").permissions(fs::Permissions::from_mode(0o666));
    let mut file = builder.tempfile_in(real.parent().unwrap_or_else(|| Path::new(".")))?;
    if let Some(existing) = existing {
        file.as_file().set_permissions(existing.permissions())?;
    }
    file.write_all(text.as_bytes())?;
    file.persist(&real).map(drop).map_err(|error| error.error)
}

/// What was written, and what to do next.
fn told(found: &Found) -> String {
    let mut text = format!("wrote {FILE}\n");
    let names = starter::names(found);
    let width = names.iter().map(|name| name.chars().count()).max().unwrap_or_default().max("services".len());
    let mut add = |name: &str, what: &str| {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "  {name:width$}  {}", printable(what));
    };
    for (name, dockerfile) in names.iter().zip(&found.dockerfiles) {
        let path = Path::new(&dockerfile.directory).join("Dockerfile");
        let path = path.strip_prefix(".").unwrap_or(&path).display().to_string();
        let tests = match dockerfile.tests {
            Tests::Ontest => "ONTEST",
            Tests::Beside => "Dockerfile.test",
            Tests::Nowhere => "no test yet: give it a command",
        };
        add(name, &format!("{path}, {tests}"));
    }
    if found.dockerfiles.is_empty() {
        add("example", "no Dockerfile was found: put your image there");
    }
    if let Some((path, services)) = &found.compose {
        add("services", &format!("{path}, {}", count(services.len() as u64, "service")));
    }
    if found.dockerfiles.len() == MOST_DOCKERFILES {
        let _ = writeln!(text, "  no more than {MOST_DOCKERFILES} Dockerfiles are taken");
    }
    text.push_str("next: complete it, then `docker-test list` shows what would run\n");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_came_meanwhile_stays_as_it_is() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(FILE);
        fs::write(&path, "theirs").unwrap();
        assert_eq!(create(&path, "ours").unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read_to_string(&path).unwrap(), "theirs");
    }

    #[test]
    fn a_link_is_kept_and_what_it_leads_to_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let (real, link) = (directory.path().join("real.yaml"), directory.path().join(FILE));
        fs::write(&real, "old").unwrap();
        std::os::unix::fs::symlink("real.yaml", &link).unwrap();
        replace(&link, "new").unwrap();
        assert_eq!(fs::read_to_string(&real).unwrap(), "new");
        assert!(link.symlink_metadata().unwrap().is_symlink());
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 2);
    }
}
