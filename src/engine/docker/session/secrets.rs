//! Build secrets: read when the builder asks, held in memory for the one build.
//!
//! Owns their lookup and their size limit. Never shows a value.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use bollard_buildkit_proto::moby::buildkit::secrets::v1::secrets_server::Secrets as SecretsService;
use bollard_buildkit_proto::moby::buildkit::secrets::v1::{GetSecretRequest, GetSecretResponse};
use tokio::sync::OnceCell;
use tonic::{Request, Response, Status};

use super::SessionError;
use crate::input;
use crate::plan::build::{LARGEST_SECRET, SecretSource, SecretSpec};

/// The secrets of one build, by id.
#[derive(Default)]
pub struct Secrets(BTreeMap<String, Entry>);

enum Entry {
    /// Read once: the source may be a pipe of the shell's, and the builder may ask for every step that mounts it.
    File { path: PathBuf, value: OnceCell<Vec<u8>> },
    /// From the environment; absent where the variable is not set.
    Value(Option<Vec<u8>>),
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Secrets").field(&self.0.keys()).finish()
    }
}

impl Secrets {
    /// Checks that files are there and not too large, and takes values from the environment.
    ///
    /// A variable that is not set is no error yet: only the builder knows whether a mount requires the secret.
    pub fn new(
        specs: &[SecretSpec],
        environment: &dyn Fn(&str) -> Option<OsString>,
    ) -> Result<Self, SessionError> {
        let mut entries = BTreeMap::new();
        for SecretSpec { id, source } in specs {
            let entry = match source {
                SecretSource::File(path) => {
                    let size = file_size(path).map_err(|source| SessionError::SecretUnreadable {
                        id: id.clone(),
                        path: path.clone(),
                        source,
                    })?;
                    if size > LARGEST_SECRET {
                        return Err(SessionError::SecretTooLarge { id: id.clone() });
                    }
                    Entry::File { path: path.clone(), value: OnceCell::new() }
                }
                SecretSource::Environment(name) => {
                    let value = environment(name).map(OsString::into_encoded_bytes);
                    if value.as_ref().is_some_and(|value| value.len() as u64 > LARGEST_SECRET) {
                        return Err(SessionError::SecretTooLarge { id: id.clone() });
                    }
                    Entry::Value(value)
                }
            };
            if entries.insert(id.clone(), entry).is_some() {
                return Err(SessionError::Duplicate { kind: "secret", id: id.clone() });
            }
        }
        Ok(Self(entries))
    }

    /// True where none was given.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Ids in order.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// The value of one secret; `None` where no secret has that id or its variable is not set.
    pub async fn value(&self, id: &str) -> Result<Option<&[u8]>, SessionError> {
        match self.0.get(id) {
            None | Some(Entry::Value(None)) => Ok(None),
            Some(Entry::Value(Some(value))) => Ok(Some(value)),
            Some(Entry::File { path, value }) => {
                let value = value.get_or_try_init(|| read(path)).await;
                let value = value.map_err(|source| match source.kind() {
                    io::ErrorKind::FileTooLarge => SessionError::SecretTooLarge { id: id.to_owned() },
                    _ => SessionError::SecretUnreadable { id: id.to_owned(), path: path.clone(), source },
                })?;
                Ok(Some(value))
            }
        }
    }
}

/// Opens the file, so that what cannot be read is told before the build and not in its middle.
fn file_size(path: &Path) -> io::Result<u64> {
    Ok(input::open(path)?.metadata()?.len())
}

async fn read(path: &Path) -> io::Result<Vec<u8>> {
    let path = path.to_owned();
    // What feeds a pipe of the shell's may take its time.
    let reading = tokio::task::spawn_blocking(move || input::read(&path, LARGEST_SECRET));
    reading.await.map_err(io::Error::other)?
}

#[tonic::async_trait]
impl SecretsService for Secrets {
    async fn get_secret(
        &self,
        request: Request<GetSecretRequest>,
    ) -> Result<Response<GetSecretResponse>, Status> {
        let id = &request.get_ref().id;
        match self.value(id).await {
            Ok(Some(data)) => Ok(Response::new(GetSecretResponse { data: data.to_vec() })),
            // This very code makes BuildKit skip a mount that is not required.
            Ok(None) => Err(Status::not_found(format!("no secret `{id}` was given"))),
            Err(error) => Err(Status::failed_precondition(error.to_string())),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd;

    use super::*;

    fn file(id: &str, path: &Path) -> SecretSpec {
        SecretSpec { id: id.into(), source: SecretSource::File(path.into()) }
    }

    fn variable(id: &str, name: &str) -> SecretSpec {
        SecretSpec { id: id.into(), source: SecretSource::Environment(name.into()) }
    }

    fn environment(name: &str) -> Option<OsString> {
        (name == "SET").then(|| "from the environment".into())
    }

    #[tokio::test]
    async fn values_come_from_files_and_from_the_environment() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("token");
        std::fs::write(&path, b"\xffraw\n").unwrap();
        let specs = [file("a", &path), variable("b", "SET"), variable("c", "UNSET")];
        let secrets = Secrets::new(&specs, &environment).unwrap();
        assert_eq!(secrets.value("a").await.unwrap(), Some(&b"\xffraw\n"[..]));
        assert_eq!(secrets.value("b").await.unwrap(), Some(&b"from the environment"[..]));
        assert_eq!(secrets.value("c").await.unwrap(), None);
        assert_eq!(secrets.value("d").await.unwrap(), None);
    }

    #[tokio::test]
    async fn a_secret_that_was_not_given_is_not_found() {
        let secrets = Secrets::new(&[variable("c", "UNSET")], &environment).unwrap();
        for id in ["c", "other"] {
            let request = Request::new(GetSecretRequest { id: id.into(), annotations: [].into() });
            let status = secrets.get_secret(request).await.unwrap_err();
            assert_eq!(status.code(), tonic::Code::NotFound);
        }
    }

    #[tokio::test]
    async fn a_pipe_of_the_shell_is_read_once_and_answered_as_often_as_it_is_asked_for() {
        let (reader, mut writer) = io::pipe().unwrap();
        let path = PathBuf::from(format!("/dev/fd/{}", reader.as_raw_fd()));
        let secrets = Secrets::new(&[file("a", &path)], &environment).unwrap();
        let writing = std::thread::spawn(move || {
            std::thread::sleep(std::time::Duration::from_millis(100));
            io::Write::write_all(&mut writer, b"once").unwrap();
        });
        assert_eq!(secrets.value("a").await.unwrap(), Some(&b"once"[..]));
        writing.join().unwrap();
        assert_eq!(secrets.value("a").await.unwrap(), Some(&b"once"[..]));
    }

    #[tokio::test]
    async fn a_named_pipe_is_refused_before_the_build_and_when_it_came_since() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("secret");
        std::fs::write(&path, "once").unwrap();
        let secrets = Secrets::new(&[file("a", &path)], &environment).unwrap();
        std::fs::remove_file(&path).unwrap();
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
        let late = tokio::time::timeout(std::time::Duration::from_secs(5), secrets.value("a")).await.unwrap();
        for error in [late.unwrap_err(), Secrets::new(&[file("a", &path)], &environment).unwrap_err()] {
            let SessionError::SecretUnreadable { source, .. } = error else { panic!("{error}") };
            assert_eq!(source.to_string(), "it is a named pipe, and no regular file");
        }
    }

    #[tokio::test]
    async fn more_than_500_kib_is_refused_before_the_build_and_when_the_file_grew_since() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("large");
        std::fs::write(&path, vec![b'x'; 500 * 1024]).unwrap();
        let secrets = Secrets::new(&[file("a", &path)], &environment).unwrap();
        std::fs::write(&path, vec![b'x'; 500 * 1024 + 1]).unwrap();
        assert!(matches!(secrets.value("a").await, Err(SessionError::SecretTooLarge { .. })));
        let refused = Secrets::new(&[file("a", &path)], &environment).unwrap_err();
        assert_eq!(refused.to_string(), "the secret `a` is larger than 500 KiB");
    }

    #[test]
    fn a_missing_file_a_directory_and_a_second_use_of_an_id_are_refused_by_name() {
        let directory = tempfile::tempdir().unwrap();
        let missing = Secrets::new(&[file("a", &directory.path().join("none"))], &environment).unwrap_err();
        assert!(missing.to_string().starts_with("cannot read the secret `a` from /"), "{missing}");
        assert!(Secrets::new(&[file("a", directory.path())], &environment).is_err());
        let twice = Secrets::new(&[variable("a", "SET"), variable("a", "SET")], &environment).unwrap_err();
        assert_eq!(twice.to_string(), "the secret `a` is given twice");
    }

    #[test]
    fn debug_output_names_ids_alone() {
        let secrets = Secrets::new(&[variable("b", "SET")], &environment).unwrap();
        assert_eq!(format!("{secrets:?}"), r#"Secrets(["b"])"#);
    }
}
