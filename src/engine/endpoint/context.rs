//! Docker's configuration directory and the context store in it.
//!
//! Owns the store's layout: `contexts/meta/<digest>/meta.json` and `contexts/tls/<digest>/docker/*.pem`, the digest
//! being the SHA-256 of the context's name. Reads, never writes.

use std::path::{Path, PathBuf};

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::address::TlsMaterial;
use crate::environment::Environment;
use crate::error::{Category, Diagnose};
use crate::input;

/// Far more than anybody's logins and contexts take.
const LARGEST: u64 = 4 << 20;

/// What can be wrong with Docker's configuration or a context in it.
#[derive(Debug, thiserror::Error)]
pub enum ContextError {
    /// There is no context of that name.
    #[error("cannot use the context {name} ({chosen_by}): there is no such context")]
    Missing {
        /// Its name.
        name: String,
        /// Who asked for it.
        chosen_by: String,
        /// The names there are.
        known: Vec<String>,
    },
    /// A file cannot be read.
    #[error("cannot read {path}")]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file is not what it should be.
    #[error("cannot use {path}: {reason}")]
    Malformed {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

impl Diagnose for ContextError {
    fn category(&self) -> Category {
        Category::User
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Missing { known, .. } if known.is_empty() => {
                Some("there are no contexts: make one with `docker context create`, or use -H".to_owned())
            }
            Self::Missing { known, .. } => Some(format!("there are: {}", known.join(", "))),
            Self::Unreadable { .. } => Some("check the file's owner and mode".to_owned()),
            Self::Malformed { .. } => Some("mend the file, or make the context again".to_owned()),
        }
    }
}

/// A context's engine: its address and what to make TLS with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ContextEndpoint {
    pub(super) host: String,
    pub(super) tls: Option<TlsMaterial>,
}

/// The directory of Docker's client configuration: `DOCKER_CONFIG`, or `.docker` in the home directory.
#[must_use]
pub fn config_dir(env: &Environment) -> Option<PathBuf> {
    match env.non_empty("DOCKER_CONFIG") {
        Some(directory) => Some(env.current_dir().join(directory)),
        None => env.home().map(|home| home.join(".docker")),
    }
}

/// The configuration file as JSON; `None` where there is none. No message quotes its content.
pub(in crate::engine) fn read_config(directory: &Path) -> Result<Option<(PathBuf, Value)>, ContextError> {
    let path = directory.join("config.json");
    let Some(text) = read(&path)? else { return Ok(None) };
    if text.trim().is_empty() {
        return Ok(None);
    }
    match serde_json::from_str::<Value>(&text) {
        Ok(value) if value.is_object() => Ok(Some((path, value))),
        Ok(_) => Err(ContextError::Malformed { path, reason: "it is not a JSON object".to_owned() }),
        Err(error) => Err(ContextError::Malformed {
            path,
            reason: format!("it is not valid JSON (line {}, column {})", error.line(), error.column()),
        }),
    }
}

/// The context that `docker context use` chose; `None` for the default one.
pub(super) fn current(directory: &Path) -> Result<Option<String>, ContextError> {
    let name = read_config(directory)?
        .and_then(|(_, config)| config.get("currentContext").and_then(Value::as_str).map(str::to_owned));
    Ok(name.filter(|name| !name.is_empty() && name != "default"))
}

/// The engine of a context.
pub(super) fn load(
    directory: Option<&Path>,
    name: &str,
    chosen_by: &str,
) -> Result<ContextEndpoint, ContextError> {
    let missing = || ContextError::Missing {
        name: name.to_owned(),
        chosen_by: chosen_by.to_owned(),
        known: directory.map(known).unwrap_or_default(),
    };
    let directory = directory.ok_or_else(missing)?;
    let digest = digest(name);
    let path = directory.join("contexts/meta").join(&digest).join("meta.json");
    let text = read(&path)?.ok_or_else(missing)?;
    let malformed = |reason: &str| ContextError::Malformed { path: path.clone(), reason: reason.to_owned() };
    let meta: Value = serde_json::from_str(&text).map_err(|error| ContextError::Malformed {
        path: path.clone(),
        reason: format!("it is not valid JSON (line {}, column {})", error.line(), error.column()),
    })?;
    let endpoint = meta
        .pointer("/Endpoints/docker")
        .ok_or_else(|| malformed("the context has no endpoint named docker"))?;
    let host = endpoint.get("Host").and_then(Value::as_str).unwrap_or_default().to_owned();
    let skip = endpoint.get("SkipTLSVerify").and_then(Value::as_bool).unwrap_or_default();
    let files = directory.join("contexts/tls").join(&digest).join("docker");
    let file = |name: &str| Some(files.join(name)).filter(|path| path.is_file());
    let material =
        TlsMaterial { ca: file("ca.pem"), cert: file("cert.pem"), key: file("key.pem"), verify: !skip };
    let any = material.ca.is_some() || material.cert.is_some() || material.key.is_some();
    Ok(ContextEndpoint { host, tls: (any || skip).then_some(material) })
}

/// The names of all contexts in the store, sorted.
fn known(directory: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(directory.join("contexts/meta")) else { return Vec::new() };
    let mut names: Vec<String> = entries
        .filter_map(|entry| {
            let text = read(&entry.ok()?.path().join("meta.json")).ok()??;
            let meta: Value = serde_json::from_str(&text).ok()?;
            meta.get("Name")?.as_str().map(str::to_owned)
        })
        .collect();
    names.sort();
    names
}

fn digest(name: &str) -> String {
    format!("{:x}", Sha256::digest(name.as_bytes()))
}

fn read(path: &Path) -> Result<Option<String>, ContextError> {
    let not_text = |error| std::io::Error::new(std::io::ErrorKind::InvalidData, error);
    match input::read(path, LARGEST).and_then(|bytes| String::from_utf8(bytes).map_err(not_text)) {
        Ok(text) => Ok(Some(text)),
        Err(error)
            if matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory) =>
        {
            Ok(None)
        }
        Err(source) => Err(ContextError::Unreadable { path: path.to_owned(), source }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store(name: &str, meta: &str) -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        let place = directory.path().join("contexts/meta").join(digest(name));
        std::fs::create_dir_all(&place).unwrap();
        std::fs::write(place.join("meta.json"), meta).unwrap();
        directory
    }

    #[test]
    fn the_digest_is_the_store_s_own() {
        // `printf default | sha256sum`
        assert_eq!(digest("default"), "37a8eec1ce19687d132fe29051dca629d164e2c4958ba141d5f4133a33f0688f");
    }

    #[test]
    fn a_context_has_a_host_and_no_tls_where_no_file_is_there() {
        let store = store(
            "prod",
            r#"{"Name":"prod","Endpoints":{"docker":{"Host":"ssh://prod","SkipTLSVerify":false}}}"#,
        );
        let endpoint = load(Some(store.path()), "prod", "--context").unwrap();
        assert_eq!(endpoint, ContextEndpoint { host: "ssh://prod".into(), tls: None });
    }

    #[test]
    fn tls_files_beside_a_context_are_used() {
        let store =
            store("p", r#"{"Name":"p","Endpoints":{"docker":{"Host":"tcp://p:2376","SkipTLSVerify":true}}}"#);
        let files = store.path().join("contexts/tls").join(digest("p")).join("docker");
        std::fs::create_dir_all(&files).unwrap();
        std::fs::write(files.join("ca.pem"), "").unwrap();
        let tls = load(Some(store.path()), "p", "").unwrap().tls.unwrap();
        assert_eq!(tls, TlsMaterial { ca: Some(files.join("ca.pem")), cert: None, key: None, verify: false });
    }

    #[test]
    fn a_missing_context_names_those_that_exist() {
        let store = store("prod", r#"{"Name":"prod","Endpoints":{}}"#);
        let error = load(Some(store.path()), "prd", "DOCKER_CONTEXT").unwrap_err();
        assert_eq!(
            error.to_string(),
            "cannot use the context prd (DOCKER_CONTEXT): there is no such context"
        );
        assert_eq!(error.hint().unwrap(), "there are: prod");
        assert!(load(None, "a", "").unwrap_err().hint().unwrap().contains("docker context create"));
    }

    #[test]
    fn a_broken_context_is_named_with_its_file() {
        let no_endpoint = store("prod", r#"{"Name":"prod","Endpoints":{"kubernetes":{}}}"#);
        let error = load(Some(no_endpoint.path()), "prod", "").unwrap_err().to_string();
        assert!(error.contains("meta.json") && error.contains("no endpoint named docker"), "{error}");
        let no_json = store("prod", "{");
        assert!(load(Some(no_json.path()), "prod", "").unwrap_err().to_string().contains("line 1"));
    }

    #[test]
    fn a_malformed_configuration_is_refused_without_quoting_it() {
        let directory = tempfile::tempdir().unwrap();
        assert!(read_config(directory.path()).unwrap().is_none());
        for (content, shown) in
            [("{\"auths\":{\"a\":hunter2}}", "line 1"), ("\"hunter2\"", "not a JSON object")]
        {
            std::fs::write(directory.path().join("config.json"), content).unwrap();
            let error = read_config(directory.path()).unwrap_err().to_string();
            assert!(error.contains(shown) && !error.contains("hunter2"), "{error}");
        }
        std::fs::write(directory.path().join("config.json"), " \n").unwrap();
        assert!(read_config(directory.path()).unwrap().is_none());
    }

    #[test]
    fn docker_config_wins_over_home() {
        let env = Environment::from_pairs([("HOME", "/home/ada")]);
        assert_eq!(config_dir(&env), Some(PathBuf::from("/home/ada/.docker")));
        assert_eq!(config_dir(&env.with("DOCKER_CONFIG", "/etc/d")), Some(PathBuf::from("/etc/d")));
        assert_eq!(config_dir(&Environment::from_pairs([("A", "b")])), None);
    }
}
