//! Registry logins: as the session answers them to BuildKit, and as the header that other builders take.
//!
//! Owns the matching of registry names. Reads no configuration: logins are given by the caller.

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE;
use bollard_buildkit_proto::moby::filesync::v1::auth_server::Auth;
use bollard_buildkit_proto::moby::filesync::v1::{
    CredentialsRequest, CredentialsResponse, FetchTokenRequest, FetchTokenResponse, GetTokenAuthorityRequest,
    GetTokenAuthorityResponse, VerifyTokenAuthorityRequest, VerifyTokenAuthorityResponse,
};
use serde::Serialize;
use tonic::{Request, Response, Status};

/// The key under which Docker's configuration keeps the login of Docker Hub.
pub const HUB_KEY: &str = "https://index.docker.io/v1/";

/// How to log in to one registry.
#[derive(Clone, PartialEq, Eq)]
pub enum RegistryLogin {
    /// A user name and a password or access token.
    Password {
        /// The user.
        username: String,
        /// The password or access token.
        password: String,
    },
    /// An identity token, as `docker login` stores it for registries that hand one out.
    IdentityToken(String),
}

impl fmt::Debug for RegistryLogin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Password { username, .. } => {
                f.debug_struct("Password").field("username", username).finish_non_exhaustive()
            }
            Self::IdentityToken(_) => f.write_str("IdentityToken(..)"),
        }
    }
}

/// Logins by registry.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RegistryLogins(BTreeMap<String, RegistryLogin>);

impl RegistryLogins {
    /// Adds a login. `registry` may be a host, `host:port`, or a URL as configuration files have it.
    pub fn insert(&mut self, registry: &str, login: RegistryLogin) {
        self.0.insert(host_of(registry), login);
    }

    /// The login of the registry that `host` names; every name of Docker Hub means the same one.
    #[must_use]
    pub fn get(&self, host: &str) -> Option<&RegistryLogin> {
        self.0.get(&host_of(host))
    }

    /// True where there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The value of the `X-Registry-Config` header, for builders without a session.
    #[must_use]
    pub fn header(&self) -> Option<String> {
        if self.0.is_empty() {
            return None;
        }
        let entries: BTreeMap<&str, Entry<'_>> = self
            .0
            .iter()
            .map(|(host, login)| (if host == HUB { HUB_KEY } else { host.as_str() }, Entry::from(login)))
            .collect();
        serde_json::to_vec(&entries).ok().map(|json| BASE64_URL_SAFE.encode(json))
    }
}

#[derive(Serialize)]
struct Entry<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    username: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    password: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    identitytoken: Option<&'a str>,
}

impl<'a> From<&'a RegistryLogin> for Entry<'a> {
    fn from(login: &'a RegistryLogin) -> Self {
        match login {
            RegistryLogin::Password { username, password } => {
                Self { username: Some(username), password: Some(password), identitytoken: None }
            }
            RegistryLogin::IdentityToken(token) => {
                Self { username: None, password: None, identitytoken: Some(token) }
            }
        }
    }
}

const HUB: &str = "docker.io";

/// `host[:port]` in lower case, without scheme and path; the names of Docker Hub become one.
fn host_of(registry: &str) -> String {
    let rest = registry.split_once("://").map_or(registry, |(_, rest)| rest);
    let host = rest.split('/').next().unwrap_or(rest).to_ascii_lowercase();
    match host.as_str() {
        "docker.io" | "index.docker.io" | "registry-1.docker.io" | "registry.hub.docker.com" => {
            HUB.to_owned()
        }
        _ => host,
    }
}

/// The service. Tokens are not fetched here: BuildKit does that itself with the credentials, where it is told
/// that nobody else will.
#[derive(Debug)]
pub(super) struct Logins(pub(super) RegistryLogins);

#[tonic::async_trait]
impl Auth for Logins {
    async fn credentials(
        &self,
        request: Request<CredentialsRequest>,
    ) -> Result<Response<CredentialsResponse>, Status> {
        // No login is an answer, not an error: the builder then asks the registry anonymously.
        Ok(Response::new(match self.0.get(&request.get_ref().host) {
            Some(RegistryLogin::Password { username, password }) => {
                CredentialsResponse { username: username.clone(), secret: password.clone() }
            }
            Some(RegistryLogin::IdentityToken(token)) => {
                CredentialsResponse { username: String::new(), secret: token.clone() }
            }
            None => CredentialsResponse::default(),
        }))
    }

    async fn fetch_token(
        &self,
        _: Request<FetchTokenRequest>,
    ) -> Result<Response<FetchTokenResponse>, Status> {
        Err(Status::unimplemented("tokens are fetched by the builder"))
    }

    async fn get_token_authority(
        &self,
        _: Request<GetTokenAuthorityRequest>,
    ) -> Result<Response<GetTokenAuthorityResponse>, Status> {
        Err(Status::unimplemented("tokens are fetched by the builder"))
    }

    async fn verify_token_authority(
        &self,
        _: Request<VerifyTokenAuthorityRequest>,
    ) -> Result<Response<VerifyTokenAuthorityResponse>, Status> {
        Err(Status::unimplemented("tokens are fetched by the builder"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn password(name: &str) -> RegistryLogin {
        RegistryLogin::Password { username: name.into(), password: "swordfish".into() }
    }

    fn logins() -> RegistryLogins {
        let mut logins = RegistryLogins::default();
        logins.insert(HUB_KEY, password("hub"));
        logins.insert("https://Registry.example:5000/v2/", password("own"));
        logins.insert("quay.io", RegistryLogin::IdentityToken("swordfish".into()));
        logins
    }

    #[test]
    fn every_name_of_docker_hub_finds_the_login_of_the_index() {
        for name in ["registry-1.docker.io", "docker.io", "index.docker.io", "https://index.docker.io/v1/"] {
            assert_eq!(logins().get(name), Some(&password("hub")), "{name}");
        }
    }

    #[test]
    fn scheme_path_and_case_do_not_matter_but_the_port_does() {
        assert_eq!(logins().get("registry.example:5000"), Some(&password("own")));
        assert_eq!(logins().get("registry.example"), None);
        assert_eq!(logins().get("registry.example:5001"), None);
    }

    #[test]
    fn the_header_is_url_safe_json_keyed_as_docker_keys_it() {
        let json = BASE64_URL_SAFE.decode(logins().header().unwrap()).unwrap();
        let value: serde_json::Value = serde_json::from_slice(&json).unwrap();
        assert_eq!(
            value,
            serde_json::json!({
                "https://index.docker.io/v1/": {"username": "hub", "password": "swordfish"},
                "registry.example:5000": {"username": "own", "password": "swordfish"},
                "quay.io": {"identitytoken": "swordfish"},
            })
        );
        assert_eq!(RegistryLogins::default().header(), None);
    }

    #[test]
    fn debug_output_holds_no_password_and_no_token() {
        let shown = format!("{:?}", logins());
        assert!(shown.contains("own") && !shown.contains("swordfish"), "{shown}");
    }
}
