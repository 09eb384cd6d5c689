//! The Docker CLI plugin protocol: metadata, the cancel socket, completion.
//!
//! Owns what makes `docker test …` work. The metadata call touches nothing but stdout: Docker makes it at every
//! start of its own.

use std::ffi::OsString;
use std::io::{self, Write};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixStream as StdUnixStream};

use tokio::io::AsyncReadExt;
use tokio::net::UnixStream;

use crate::environment::Environment;
use crate::signal::Canceller;

/// What the user types before the subcommand.
pub(super) const NAME: &str = "docker test";

/// Set by the Docker CLI for its plugins.
const ORIGINAL_COMMAND: &str = "DOCKER_CLI_PLUGIN_ORIGINAL_CLI_COMMAND";

/// Where the Docker CLI keeps a connection open for as long as the plugin may run.
const SOCKET: &str = "DOCKER_CLI_PLUGIN_SOCKET";

/// True where the Docker CLI started this process.
pub(super) fn is_plugin(environment: &Environment) -> bool {
    environment.variable(ORIGINAL_COMMAND).is_some()
}

/// Prints the plugin's metadata.
pub(super) fn print_metadata(out: &mut dyn Write) -> io::Result<()> {
    let metadata = serde_json::json!({
        "SchemaVersion": "0.1.0",
        "Vendor": "docker-test",
        "Version": env!("CARGO_PKG_VERSION"),
        "ShortDescription": "Build, run and judge the tests of an image",
        "URL": env!("CARGO_PKG_REPOSITORY"),
    });
    writeln!(out, "{metadata}")
}

/// Takes the end of the Docker CLI, or its wish to stop, as one request to stop. Returns at once.
pub(super) fn watch_socket(environment: &Environment, canceller: Canceller) {
    let Some(stream) = environment.non_empty(SOCKET).and_then(connect) else { return };
    tokio::spawn(async move {
        let Ok(mut stream) = UnixStream::from_std(stream) else { return };
        let mut buffer = [0; 64];
        // Docker says nothing on it: whatever is read, only the end counts.
        while matches!(stream.read(&mut buffer).await, Ok(size) if size > 0) {}
        canceller.cancel(2);
    });
}

fn connect(address: &str) -> Option<StdUnixStream> {
    let stream = match address.strip_prefix('@') {
        Some(name) => StdUnixStream::connect_addr(&SocketAddr::from_abstract_name(name).ok()?).ok()?,
        None => StdUnixStream::connect(address).ok()?,
    };
    stream.set_nonblocking(true).ok()?;
    Some(stream)
}

/// Answers `__complete WORD…` as the Docker CLI expects it: one candidate for the last word a line, then a directive.
pub(super) fn complete(command: clap::Command, words: Vec<OsString>, out: &mut dyn Write) -> io::Result<()> {
    let current = words.len().saturating_sub(1);
    let mut command = command;
    let candidates = clap_complete::engine::complete(&mut command, words, current, None).unwrap_or_default();
    for candidate in candidates {
        let value = candidate.get_value().to_string_lossy();
        match candidate.get_help() {
            Some(help) => {
                let help = help.to_string();
                writeln!(out, "{value}\t{}", help.lines().next().unwrap_or_default())?;
            }
            None => writeln!(out, "{value}")?,
        }
    }
    // 4: the shell adds no file names of its own.
    writeln!(out, ":4")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_metadata_has_the_fields_that_docker_demands() {
        let mut out = Vec::new();
        print_metadata(&mut out).unwrap();
        let metadata: serde_json::Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(metadata["SchemaVersion"], "0.1.0");
        assert!(!metadata["Vendor"].as_str().unwrap().is_empty());
    }

    #[tokio::test]
    async fn the_end_of_the_socket_is_one_request_to_stop() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("socket");
        let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
        let environment = Environment::from_pairs([(SOCKET, path.to_str().unwrap())]);
        let (canceller, mut receiver) = crate::signal::channel();
        watch_socket(&environment, canceller);
        let (connection, _) = listener.accept().unwrap();
        tokio::task::yield_now().await;
        assert_eq!(receiver.borrow().count, 0);
        drop(connection);
        assert_eq!(crate::signal::wait_for(&mut receiver, 1).await.signal, 2);
    }
}
