//! Logins for the registries of base images, read when a build first needs them.
//!
//! A credential helper is a program of somebody else's that may take its time: a run that reuses its test image must not
//! wait for one. A helper that fails costs its own registry alone, since the base image may well be public.

use tokio::sync::OnceCell;

use crate::engine::credentials::{Credentials, CredentialsError, RegistryAuth};
use crate::engine::docker::session::auth::{RegistryLogin, RegistryLogins};
use crate::environment::Environment;
use crate::runner::Sink;

/// Reads logins at most once.
#[derive(Debug)]
pub struct Logins {
    environment: Environment,
    found: OnceCell<RegistryLogins>,
}

impl Logins {
    /// Those that `environment` leads to. Nothing is read yet.
    #[must_use]
    pub fn new(environment: Environment) -> Self {
        Self { environment, found: OnceCell::new() }
    }

    /// Reads Docker's configuration and runs its credential helpers, the first time.
    pub async fn get(&self, sink: &Sink) -> Result<&RegistryLogins, CredentialsError> {
        self.found.get_or_try_init(|| self.read(sink)).await
    }

    /// The login for one registry, for a pull of ours. A helper that fails costs the login: the image may be public.
    pub async fn for_registry(
        &self,
        registry: &str,
        sink: &Sink,
    ) -> Result<Option<RegistryAuth>, CredentialsError> {
        match Credentials::load(&self.environment)?.for_registry(registry).await {
            Err(error) if error.is_warning() => {
                sink.warn(error.to_string());
                Ok(None)
            }
            auth => auth,
        }
    }

    async fn read(&self, sink: &Sink) -> Result<RegistryLogins, CredentialsError> {
        let all = Credentials::load(&self.environment)?.all().await;
        for warning in &all.warnings {
            sink.warn(warning.to_string());
        }
        let mut logins = RegistryLogins::default();
        for auth in &all.auths {
            let login = match (auth.identity_token(), auth.username(), auth.password()) {
                (Some(token), ..) => RegistryLogin::IdentityToken(token.to_owned()),
                (None, Some(username), Some(password)) => {
                    RegistryLogin::Password { username: username.to_owned(), password: password.to_owned() }
                }
                _ => continue,
            };
            logins.insert(auth.server(), login);
        }
        Ok(logins)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_broken_configuration_is_no_error_until_a_login_is_needed() {
        let environment = Environment::default().with("DOCKER_AUTH_CONFIG", "{");
        let logins = Logins::new(environment);
        let (sink, _messages) = Sink::channel();
        assert!(matches!(logins.get(&sink).await, Err(CredentialsError::Variable { .. })));
    }

    #[tokio::test]
    async fn what_the_configuration_holds_is_found() {
        let config = r#"{"auths":{"reg.example:5000":{"auth":"dXNlcjpwYXNz"}}}"#;
        let logins = Logins::new(Environment::default().with("DOCKER_AUTH_CONFIG", config));
        let (sink, _messages) = Sink::channel();
        let expected = RegistryLogin::Password { username: "user".into(), password: "pass".into() };
        assert_eq!(logins.get(&sink).await.unwrap().get("reg.example:5000"), Some(&expected));
    }
}
