//! Asks a registry whether it takes a login, for `doctor`: pulls and pushes are the engine's own.
//!
//! Owns the two ways that a registry may want a login (basic, and a token from another server), and where one may be
//! sent: never on by a redirect, and never without TLS beyond this machine. It neither reads nor stores a login.

mod address;
mod challenge;
mod error;

pub use address::host_of as name_of;
pub use error::RegistryError;

use std::error::Error as StdError;
use std::path::Path;
use std::time::Duration;

use reqwest::header::WWW_AUTHENTICATE;
use reqwest::{Client, NoProxy, Proxy, RequestBuilder, Response, StatusCode, Url, redirect};
use serde::Deserialize;

use super::credentials::RegistryAuth;
use super::endpoint::TlsMaterial;
use super::transport::tls_client_config;
use crate::environment::Environment;
use crate::names::Names;
use address::{address_of, host_of, is_loopback};
use challenge::{Challenge, read_challenges};
use error::CERTIFICATES;

/// A registry's answer is short; a longer one is not read.
const LONGEST_ANSWER: usize = 256 * 1024;
/// As much of a refusal as a message can use.
const LONGEST_REASON: usize = 200;

/// What a registry makes of a login.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// It takes it.
    Accepted,
    /// It lets anybody in, and did not look at it.
    Open,
    /// It does not take it.
    Refused {
        /// The registry's own words, or its status.
        said: String,
    },
}

/// Asks the registry that `auth` belongs to whether it takes it. All requests together may take `limit`.
pub async fn check(
    auth: &RegistryAuth,
    env: &Environment,
    limit: Duration,
) -> Result<Standing, RegistryError> {
    let registry = host_of(auth.server()).to_owned();
    tokio::time::timeout(limit, ask(auth, env))
        .await
        .map_err(|_| RegistryError::TimedOut { registry, limit })?
}

async fn ask(auth: &RegistryAuth, env: &Environment) -> Result<Standing, RegistryError> {
    let host = address_of(auth.server());
    let secure = Registry::open(auth, env, "https", host)?;
    let first = secure.request(secure.client.get(secure.base.clone())).await;
    match first {
        // As Docker does: on this machine TLS is a wish.
        Err(RegistryError::Unreachable { .. }) if is_loopback(host) => {
            let plain = Registry::open(auth, env, "http", host)?;
            let first = plain.request(plain.client.get(plain.base.clone())).await?;
            plain.log_in(first).await
        }
        first => secure.log_in(first?).await,
    }
}

/// One registry that is being asked.
struct Registry<'a> {
    auth: &'a RegistryAuth,
    env: &'a Environment,
    client: Client,
    base: Url,
}

#[derive(Deserialize)]
struct TokenAnswer {
    token: Option<String>,
    access_token: Option<String>,
}

impl<'a> Registry<'a> {
    fn open(
        auth: &'a RegistryAuth,
        env: &'a Environment,
        scheme: &str,
        host: &str,
    ) -> Result<Self, RegistryError> {
        let registry = host_of(auth.server());
        let base = Url::parse(&format!("{scheme}://{host}/v2/")).map_err(|error| {
            RegistryError::Unreachable { registry: registry.to_owned(), reason: error.to_string() }
        })?;
        Ok(Self { auth, env, client: client(registry, host, env)?, base })
    }

    async fn log_in(&self, first: Response) -> Result<Standing, RegistryError> {
        match first.status() {
            status if status.is_success() => return Ok(Standing::Open),
            StatusCode::UNAUTHORIZED => {}
            status => return Err(self.odd(&format!("it answers with {status}"))),
        }
        let values = first.headers().get_all(WWW_AUTHENTICATE).iter();
        let challenges: Vec<Challenge> =
            values.filter_map(|value| value.to_str().ok()).flat_map(read_challenges).collect();
        let wants = |scheme: &str| challenges.iter().find(|challenge| challenge.scheme == scheme);
        if let Some(challenge) = wants("bearer") {
            return self.by_token(challenge).await;
        }
        let (Some(_), Some(username)) = (wants("basic"), self.auth.username()) else {
            return Err(self.odd("it does not say how to log in"));
        };
        let request = self.client.get(self.base.clone()).basic_auth(username, self.auth.password());
        self.verdict(self.request(request).await?).await
    }

    /// The registry names a server that gives out tokens for a login.
    async fn by_token(&self, challenge: &Challenge) -> Result<Standing, RegistryError> {
        let token = if let Some(token) = self.auth.registry_token() {
            token.to_owned()
        } else {
            let answer = self.request(self.token_request(challenge)?).await?;
            if !answer.status().is_success() {
                return self.verdict(answer).await;
            }
            let body = self.body(answer).await?;
            let answer: Option<TokenAnswer> = serde_json::from_slice(&body).ok();
            let token = answer.and_then(|answer| answer.token.or(answer.access_token));
            token.ok_or_else(|| self.odd("its token server gives no token"))?
        };
        let request = self.client.get(self.base.clone()).bearer_auth(token);
        self.verdict(self.request(request).await?).await
    }

    fn token_request(&self, challenge: &Challenge) -> Result<RequestBuilder, RegistryError> {
        let realm = challenge.parameter("realm").and_then(|realm| Url::parse(realm).ok());
        let mut realm = realm.ok_or_else(|| self.odd("it does not say where to log in"))?;
        let is_safe = match realm.scheme() {
            "https" => true,
            // A registry on this machine may have its token server beside it.
            "http" => is_loopback(host_of(self.auth.server())) && realm.host_str().is_some_and(is_loopback),
            _ => false,
        };
        if !is_safe {
            let reason = format!("it asks for it at {}, without TLS", realm.origin().ascii_serialization());
            return Err(RegistryError::Unsafe { registry: self.name(), reason });
        }
        // Another host, and so another certificate: that the registry is on this machine says nothing of it.
        let client = client(&self.name(), realm.authority(), self.env)?;
        let service = challenge.parameter("service").unwrap_or_default();
        if let Some(identity) = self.auth.identity_token() {
            let mut form = self.base.clone();
            form.query_pairs_mut()
                .append_pair("grant_type", "refresh_token")
                .append_pair("service", service)
                .append_pair("client_id", "docker-test")
                .append_pair("refresh_token", identity);
            let form = form.query().unwrap_or_default().to_owned();
            let request = client.post(realm);
            return Ok(request.header("content-type", "application/x-www-form-urlencoded").body(form));
        }
        let Some(username) = self.auth.username() else {
            return Err(self.odd("it wants a user name, and the login has none"));
        };
        realm
            .query_pairs_mut()
            .append_pair("service", service)
            .append_pair("account", username)
            .append_pair("client_id", "docker-test");
        Ok(client.get(realm).basic_auth(username, self.auth.password()))
    }

    async fn request(&self, request: RequestBuilder) -> Result<Response, RegistryError> {
        let answer = request.send().await.map_err(|error| self.unreachable(&error))?;
        if answer.status().is_redirection() {
            return Err(self.odd(&format!("it answers with {}, which is not followed", answer.status())));
        }
        Ok(answer)
    }

    async fn verdict(&self, answer: Response) -> Result<Standing, RegistryError> {
        match answer.status() {
            status if status.is_success() => Ok(Standing::Accepted),
            // Token servers say 400 where OAuth has them say so.
            status @ (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::BAD_REQUEST) => {
                let body = self.body(answer).await.unwrap_or_default();
                Ok(Standing::Refused { said: reason(&body).unwrap_or_else(|| status.to_string()) })
            }
            status => Err(self.odd(&format!("it answers a login with {status}"))),
        }
    }

    async fn body(&self, mut answer: Response) -> Result<Vec<u8>, RegistryError> {
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(|error| self.unreachable(&error))? {
            if body.len() + chunk.len() > LONGEST_ANSWER {
                return Err(self.odd("its answer is too long"));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }

    fn name(&self) -> String {
        host_of(self.auth.server()).to_owned()
    }

    fn odd(&self, reason: &str) -> RegistryError {
        RegistryError::NotARegistry { registry: self.name(), reason: reason.to_owned() }
    }

    fn unreachable(&self, error: &reqwest::Error) -> RegistryError {
        RegistryError::Unreachable { registry: self.name(), reason: innermost(error) }
    }
}

/// A client for one host, which follows no redirect.
fn client(registry: &str, host: &str, env: &Environment) -> Result<Client, RegistryError> {
    let own = Path::new(CERTIFICATES).join(host).join("ca.crt");
    let material = TlsMaterial {
        ca: Some(own).filter(|path| path.is_file()),
        verify: !is_loopback(host),
        ..TlsMaterial::default()
    };
    let tls = tls_client_config(&material, env)
        .map_err(|source| RegistryError::Tls { registry: registry.to_owned(), source })?;
    let mut builder = Client::builder()
        .user_agent(concat!("docker-test/", env!("CARGO_PKG_VERSION")))
        .redirect(redirect::Policy::none())
        .no_proxy()
        .dns_resolver(Names::default())
        .tls_backend_preconfigured(tls);
    for proxy in proxies(host, env) {
        builder = builder.proxy(proxy);
    }
    builder.build().map_err(|error| RegistryError::Unreachable {
        registry: registry.to_owned(),
        reason: innermost(&error),
    })
}

/// The first message in a registry's list of errors, or a token server's description.
fn reason(body: &[u8]) -> Option<String> {
    let json: serde_json::Value = serde_json::from_slice(body).ok()?;
    let message = [
        json.pointer("/errors/0/message"),
        json.get("error_description"),
        json.get("details"),
        json.get("error"),
    ];
    let message = message.into_iter().flatten().find_map(serde_json::Value::as_str)?;
    let message: String =
        message.chars().filter(|letter| !letter.is_control()).take(LONGEST_REASON).collect();
    (!message.is_empty()).then_some(message)
}

/// What a library wraps around the cause says nothing to a person, and its address may hold too much.
fn innermost(error: &(dyn StdError + 'static)) -> String {
    let mut cause = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}

/// The proxies that programs are told of by the usual variables. None is between this machine and itself.
fn proxies(host: &str, env: &Environment) -> Vec<Proxy> {
    if is_loopback(host) {
        return Vec::new();
    }
    let either = |upper: &str, lower: &str| env.non_empty(upper).or_else(|| env.non_empty(lower));
    let except = either("NO_PROXY", "no_proxy").and_then(NoProxy::from_string);
    let proxy = either("HTTPS_PROXY", "https_proxy").and_then(|url| Proxy::https(url).ok());
    proxy.map(|proxy| proxy.no_proxy(except)).into_iter().collect()
}

#[cfg(test)]
mod tests;
