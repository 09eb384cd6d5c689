//! Secrets as files in `/run/secrets`, as Swarm hands them over: read by anybody in the container, owned by root.
//!
//! Owns that a value is in no image layer, no variable and no call that the engine records: the files lie in an
//! anonymous volume that goes with the container, are written between creation and start, and are emptied in a
//! container that is kept.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io;

use bytes::Bytes;

use super::upload_archive::UploadArchive;
use crate::engine::{Engine, EngineError};
use crate::error::{Category, Diagnose};
use crate::plan::container::{ContainerSpec, MountSpec};

/// Where the files are.
pub const DIRECTORY: &str = "/run/secrets";

/// The same place in images in which `/var/run` leads to `/run`, as it mostly does.
const OTHER_NAME: &str = "/var/run/secrets";

const FILE_MODE: u32 = 0o444;

/// What an archive has room for without extensions.
const LONGEST_NAME: usize = 100;

/// Secrets that a container gets as files. Their values are never shown.
#[derive(Clone, Default)]
pub struct SecretFiles(Vec<(String, Vec<u8>)>);

/// Secrets that cannot be handed over as files.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SecretFilesError {
    /// No name of a file.
    #[error("a secret cannot be a file called {name:?}")]
    Name {
        /// The name.
        name: String,
    },
    /// Two of one name.
    #[error("there are two secrets called {name}")]
    Twice {
        /// The name.
        name: String,
    },
    /// The user's own mount is in the way: what is written there would stay, or be covered when the container starts.
    #[error("secrets are handed over as files in {DIRECTORY}, and something is mounted at {at}")]
    Taken {
        /// Where.
        at: String,
    },
}

impl Diagnose for SecretFilesError {
    fn category(&self) -> Category {
        Category::User
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Name { .. } => format!(
                "use letters, digits, `_`, `.` and `-`, {LONGEST_NAME} of them at most, or hand it over as a variable"
            ),
            Self::Twice { .. } => "name each once".to_owned(),
            Self::Taken { .. } => "mount it elsewhere, or hand the secret over as a variable".to_owned(),
        })
    }
}

/// Whether a secret of this name can be a file: letters, digits, `_`, `.` and `-`, but neither `.` nor `..`.
pub fn check_name(name: &str) -> Result<(), SecretFilesError> {
    let is_safe = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    let is_name = (1..=LONGEST_NAME).contains(&name.len()) && !matches!(name, "." | "..");
    if is_name && name.chars().all(is_safe) {
        Ok(())
    } else {
        Err(SecretFilesError::Name { name: name.to_owned() })
    }
}

impl SecretFiles {
    /// These names with these values.
    pub fn new(files: Vec<(String, Vec<u8>)>) -> Result<Self, SecretFilesError> {
        let mut names = BTreeSet::new();
        for (name, _) in &files {
            check_name(name)?;
            if !names.insert(name) {
                return Err(SecretFilesError::Twice { name: name.clone() });
            }
        }
        Ok(Self(files))
    }

    /// True where there are none: nothing is to be done then.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Shows each of them to `see`: its name and its value.
    pub fn for_each(&self, mut see: impl FnMut(&str, &[u8])) {
        self.0.iter().for_each(|(name, value)| see(name, value));
    }

    /// Mounts the volume for them in a container that is to be created. `labels` mark it as ours.
    ///
    /// What the user mounts at `/run` stays beneath it, so that nothing is written there. At `/run/secrets` itself the
    /// values would end up in what is the user's, and stay: that is refused.
    pub fn mount(
        &self,
        spec: &mut ContainerSpec,
        labels: BTreeMap<String, String>,
    ) -> Result<(), SecretFilesError> {
        if self.is_empty() {
            return Ok(());
        }
        if let Some(at) = targets(spec).find(|at| self.is_in_the_way(at)) {
            return Err(SecretFilesError::Taken { at: at.to_owned() });
        }
        spec.mounts.push(MountSpec {
            kind: "volume".to_owned(),
            target: DIRECTORY.to_owned(),
            volume_labels: labels,
            ..MountSpec::default()
        });
        Ok(())
    }

    /// Writes the files. To be called between creation and start.
    pub async fn write(&self, engine: &Engine, container: &str) -> Result<(), EngineError> {
        self.upload(engine, container, self.archive(|value| value)).await
    }

    /// Empties the files, running or not: for a container that is kept.
    pub async fn wipe(&self, engine: &Engine, container: &str) -> Result<(), EngineError> {
        self.upload(engine, container, self.archive(|_| &[])).await
    }

    async fn upload(
        &self,
        engine: &Engine,
        container: &str,
        archive: io::Result<Bytes>,
    ) -> Result<(), EngineError> {
        if self.is_empty() {
            return Ok(());
        }
        let archive = archive.map_err(|error| EngineError::Failed {
            operation: "write the secrets of",
            subject: container.to_owned(),
            message: error.to_string(),
        })?;
        engine.upload(container, DIRECTORY, archive).await
    }

    fn archive(&self, content: impl Fn(&[u8]) -> &[u8]) -> io::Result<Bytes> {
        let mut archive = UploadArchive::new();
        for (name, value) in &self.0 {
            archive.file(name, FILE_MODE, content(value))?;
        }
        archive.finish()
    }

    /// Whether what is mounted at `target` would take the files in, or cover them.
    fn is_in_the_way(&self, target: &str) -> bool {
        let target = target.trim_end_matches('/');
        [DIRECTORY, OTHER_NAME].iter().any(|directory| {
            let Some(below) = target.strip_prefix(directory) else { return false };
            let first = below.strip_prefix('/').and_then(|below| below.split('/').next());
            below.is_empty() || first.is_some_and(|first| self.0.iter().any(|(name, _)| name == first))
        })
    }
}

/// Where something is mounted that is not to be replaced by a volume of ours.
fn targets(spec: &ContainerSpec) -> impl Iterator<Item = &str> {
    let binds = spec.binds.iter().filter_map(|bind| bind.split(':').nth(1));
    let mounts = spec.mounts.iter().map(|mount| mount.target.as_str());
    binds.chain(mounts).chain(spec.tmpfs.keys().map(String::as_str))
}

impl fmt::Debug for SecretFiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(names: &[&str]) -> SecretFiles {
        SecretFiles::new(names.iter().map(|name| ((*name).to_owned(), b"hunter22-secret".to_vec())).collect())
            .unwrap()
    }

    #[test]
    fn the_name_of_a_secret_is_the_name_of_one_file() {
        for name in ["PAYMENT_TOKEN", "tls.key", "a-b", "...", ".hidden", &"x".repeat(100)] {
            assert_eq!(check_name(name), Ok(()), "{name}");
        }
        for name in ["", ".", "..", "a/b", "../a", "a b", "a\n", "é", "a\0", &"x".repeat(101)] {
            assert!(check_name(name).is_err(), "{name:?}");
        }
        let twice = ["A", "B", "A"].map(|name| (name.to_owned(), Vec::new())).to_vec();
        assert_eq!(SecretFiles::new(twice).unwrap_err(), SecretFilesError::Twice { name: "A".into() });
    }

    #[test]
    fn values_are_not_shown() {
        assert_eq!(format!("{:?}", files(&["A"])), r#"["A"]"#);
    }

    #[test]
    fn a_mount_that_would_keep_or_cover_a_secret_is_refused() {
        let refused = |spec: ContainerSpec| {
            let mut spec = spec;
            files(&["A"]).mount(&mut spec, BTreeMap::new()).map(|()| spec.mounts.len())
        };
        let bind = |bind: &str| ContainerSpec { binds: vec![bind.into()], ..ContainerSpec::default() };
        let tmpfs = |at: &str| ContainerSpec {
            tmpfs: BTreeMap::from([(at.into(), String::new())]),
            ..ContainerSpec::default()
        };
        let mounted = |at: &str| ContainerSpec {
            mounts: vec![MountSpec { kind: "tmpfs".into(), target: at.into(), ..MountSpec::default() }],
            ..ContainerSpec::default()
        };
        for at in ["/run/secrets", "/run/secrets/", "/var/run/secrets", "/run/secrets/A"] {
            let error = SecretFilesError::Taken { at: at.into() };
            assert_eq!(refused(bind(&format!("/x:{at}"))), Err(error.clone()));
            assert_eq!(refused(tmpfs(at)), Err(error.clone()));
            assert_eq!(refused(mounted(at)), Err(error));
        }
        for at in ["/run", "/run/secrets/B", "/run/secrets2", "/secrets"] {
            assert_eq!(refused(bind(&format!("/x:{at}:ro"))), Ok(1));
            assert_eq!(refused(tmpfs(at)), Ok(1));
            assert_eq!(refused(mounted(at)), Ok(2));
        }
    }

    #[test]
    fn without_secrets_nothing_is_mounted() {
        let mut spec = ContainerSpec::default();
        SecretFiles::default().mount(&mut spec, BTreeMap::new()).unwrap();
        assert_eq!(spec, ContainerSpec::default());
    }
}
