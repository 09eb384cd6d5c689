//! `auths`, `credsStore` and `credHelpers`, in `config.json` and in `DOCKER_AUTH_CONFIG`.
//!
//! Works on untyped JSON: a typed reader would quote the wrong value, which may be a password, in its message.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde_json::Value;

use super::auth::{RegistryAuth, Secret};
use super::{CredentialsError, host_of, key_of};
use crate::engine::endpoint::read_config;

/// People write these by hand, with and without padding.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The entries of one configuration.
#[derive(Clone, Default)]
pub(super) struct Entries {
    path: Option<PathBuf>,
    auths: BTreeMap<String, Value>,
    store: Option<String>,
    helpers: BTreeMap<String, String>,
}

impl Entries {
    pub(super) fn from_file(directory: &Path) -> Result<Self, CredentialsError> {
        let Some((path, config)) = read_config(directory)? else { return Ok(Self::default()) };
        let text = |value: &Value| value.as_str().filter(|text| !text.is_empty()).map(str::to_owned);
        let helpers = object(&config, "credHelpers")
            .into_iter()
            .filter_map(|(registry, helper)| Some((registry, text(&helper)?)))
            .collect();
        let store = config.get("credsStore").and_then(text);
        Ok(Self { path: Some(path), auths: object(&config, "auths"), store, helpers })
    }

    /// Docker reads `auths` alone from the variable.
    pub(super) fn from_variable(text: &str) -> Result<Self, CredentialsError> {
        let wrong = |reason: String| CredentialsError::Variable { reason };
        let config: Value = serde_json::from_str(text).map_err(|error| {
            wrong(format!("it is not valid JSON (line {}, column {})", error.line(), error.column()))
        })?;
        if !config.get("auths").is_some_and(Value::is_object) {
            return Err(wrong("it has no object named auths".to_owned()));
        }
        Ok(Self { auths: object(&config, "auths"), ..Self::default() })
    }

    pub(super) fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// Every registry that is mentioned, as written.
    pub(super) fn keys(&self) -> impl Iterator<Item = &str> {
        self.auths.keys().chain(self.helpers.keys()).map(String::as_str)
    }

    /// The helper for every registry that has none of its own.
    pub(super) fn store(&self) -> Option<&str> {
        self.store.as_deref()
    }

    /// The helper for a registry: its own, or the store for all.
    pub(super) fn helper_of(&self, key: &str) -> Option<&str> {
        let own = matching(&self.helpers, key).map(|(_, helper)| helper);
        own.or(self.store.as_ref()).map(String::as_str)
    }

    /// The plain entry for a registry, where it holds anything.
    pub(super) fn find(&self, key: &str) -> Result<Option<RegistryAuth>, CredentialsError> {
        let Some((_, entry)) = matching(&self.auths, key) else { return Ok(None) };
        let wrong = |reason| CredentialsError::Entry {
            registry: key.to_owned(),
            place: self
                .path
                .as_ref()
                .map_or("DOCKER_AUTH_CONFIG".to_owned(), |path| path.display().to_string()),
            reason,
        };
        let field = |name: &str| entry.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
        let mut username = field("username").map(str::to_owned);
        let mut password = field("password").map(Secret::new);
        if let Some(encoded) = field("auth") {
            let decoded = LENIENT.decode(encoded.trim()).map_err(|_| wrong("its auth is not base64"))?;
            let decoded = String::from_utf8(decoded).map_err(|_| wrong("its auth is not text"))?;
            let (user, secret) =
                decoded.split_once(':').ok_or_else(|| wrong("its auth is not of the form USER:PASSWORD"))?;
            if user.is_empty() {
                return Err(wrong("its auth has no user name"));
            }
            username = Some(user.to_owned());
            // Old clients padded with zero bytes.
            password = Some(secret.trim_matches('\0')).filter(|secret| !secret.is_empty()).map(Secret::new);
        }
        let auth = RegistryAuth {
            server: key.to_owned(),
            username,
            password,
            identity_token: field("identitytoken").map(Secret::new),
            registry_token: field("registrytoken").map(Secret::new),
        };
        let empty = auth.secrets().next().is_none();
        Ok((!empty).then_some(auth))
    }
}

/// The entry under that very key, or else under one that names the same host.
fn matching<'entries, T>(
    entries: &'entries BTreeMap<String, T>,
    key: &str,
) -> Option<(&'entries String, &'entries T)> {
    let same_host = || entries.iter().find(|(written, _)| key_of(host_of(written)) == key_of(host_of(key)));
    entries.get_key_value(key).or_else(same_host)
}

fn object(config: &Value, name: &str) -> BTreeMap<String, Value> {
    let entries = config.get(name).and_then(Value::as_object);
    entries.into_iter().flatten().map(|(key, value)| (key.clone(), value.clone())).collect()
}
