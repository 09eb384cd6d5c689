//! Credentials in memory and in the engine's headers.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE;
use serde_json::{Map, Value};

/// Text that is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Takes a secret in.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself, for the one who sends it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(***)")
    }
}

/// What proves to one registry who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegistryAuth {
    pub(super) server: String,
    pub(super) username: Option<String>,
    pub(super) password: Option<Secret>,
    pub(super) identity_token: Option<Secret>,
    pub(super) registry_token: Option<Secret>,
}

impl RegistryAuth {
    /// User name and password for a registry.
    pub fn with_password(server: impl Into<String>, username: impl Into<String>, password: Secret) -> Self {
        Self {
            server: server.into(),
            username: Some(username.into()),
            password: Some(password),
            identity_token: None,
            registry_token: None,
        }
    }

    /// The registry's key: its host, or Docker Hub's old address.
    #[must_use]
    pub fn server(&self) -> &str {
        &self.server
    }

    /// The user name.
    #[must_use]
    pub fn username(&self) -> Option<&str> {
        self.username.as_deref()
    }

    /// The password. Secret.
    #[must_use]
    pub fn password(&self) -> Option<&str> {
        self.password.as_ref().map(Secret::expose)
    }

    /// A token that stands for user and password. Secret.
    #[must_use]
    pub fn identity_token(&self) -> Option<&str> {
        self.identity_token.as_ref().map(Secret::expose)
    }

    /// A bearer token for the registry itself. Secret.
    #[must_use]
    pub fn registry_token(&self) -> Option<&str> {
        self.registry_token.as_ref().map(Secret::expose)
    }

    /// Every secret in it, for redaction.
    pub fn secrets(&self) -> impl Iterator<Item = &str> {
        [self.password(), self.identity_token(), self.registry_token()].into_iter().flatten()
    }

    /// The value of `X-Registry-Auth`. Secret.
    #[must_use]
    pub fn to_header(&self) -> String {
        URL_SAFE.encode(self.to_json().to_string())
    }

    fn to_json(&self) -> Value {
        let fields = [
            ("username", self.username()),
            ("password", self.password()),
            ("serveraddress", Some(self.server())),
            ("identitytoken", self.identity_token()),
            ("registrytoken", self.registry_token()),
        ];
        let object: Map<String, Value> = fields
            .into_iter()
            .filter_map(|(name, value)| Some((name.to_owned(), Value::from(value?))))
            .collect();
        Value::Object(object)
    }
}

/// The value of `X-Registry-Config`: registries to credentials. Secret.
#[must_use]
pub fn to_config_header(auths: &[RegistryAuth]) -> String {
    let object: Map<String, Value> =
        auths.iter().map(|auth| (auth.server().to_owned(), auth.to_json())).collect();
    URL_SAFE.encode(Value::Object(object).to_string())
}
