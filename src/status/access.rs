//! Who may read the page, and who may act on it.
//!
//! Owns the token, the sessions of browsers that were signed in with it, and the names that the page may be called by. A
//! page that other machines can reach shows nothing without the token, and nobody acts on any page without it.

use std::collections::VecDeque;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use axum::http::HeaderMap;
use axum::http::header::{AUTHORIZATION, COOKIE, HOST, ORIGIN};
use sha2::{Digest as _, Sha256};
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::error::{Category, Diagnose};

/// Characters that a token has at least.
pub const SHORTEST_TOKEN: usize = 16;

/// A browser stays signed in for so long.
const SESSION: Duration = Duration::from_hours(12);
/// Sessions at one time. The oldest gives way.
const MOST_SESSIONS: usize = 100;
/// The answer to a wrong token takes so long…
const PENALTY: Duration = Duration::from_millis(500);
/// …and so many are answered at a time: nobody tries many.
const WRONG_AT_ONCE: usize = 4;

/// The page cannot be served like that.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AccessError {
    /// Everybody on the network would see it.
    #[error("{0} can be reached from other machines, and there is no token")]
    Public(SocketAddr),
    /// A token that could be guessed.
    #[error("the token has {0} characters, expected {SHORTEST_TOKEN} at least")]
    Short(usize),
    /// A token that does not fit into a header.
    #[error("the token has characters other than printable ASCII, or spaces")]
    Unprintable,
}

impl Diagnose for AccessError {
    fn category(&self) -> Category {
        Category::User
    }

    fn hint(&self) -> Option<String> {
        Some(
            match self {
                Self::Public(_) => {
                    "listen on 127.0.0.1, or put a token into DOCKER_TEST_WATCH_TOKEN or into a file for --token-file"
                }
                Self::Short(_) | Self::Unprintable => "`openssl rand -hex 32` makes a good one",
            }
            .to_owned(),
        )
    }
}

/// Reads where to listen: `127.0.0.1:8099`, `[::1]:8099`, `localhost:8099` or `:8099`, which is every address.
pub fn address(text: &str) -> Result<SocketAddr, String> {
    let expected = || format!("expected an address and a port, such as 127.0.0.1:8099, got {text:?}");
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    let (host, port) = text.rsplit_once(':').ok_or_else(expected)?;
    let port: u16 = port.parse().map_err(|_| expected())?;
    match host {
        "localhost" => Ok((Ipv4Addr::LOCALHOST, port).into()),
        "" | "*" => Ok((Ipv4Addr::UNSPECIFIED, port).into()),
        _ => Err(expected()),
    }
}

/// Lets people in.
#[derive(Clone)]
pub struct Token([u8; 32]);

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

impl Token {
    /// Takes a token that is long enough. White space around it does not count.
    pub fn parse(text: &str) -> Result<Self, AccessError> {
        let text = text.trim();
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(AccessError::Unprintable);
        }
        if text.len() < SHORTEST_TOKEN {
            return Err(AccessError::Short(text.len()));
        }
        Ok(Self(digest(text)))
    }

    /// Digests are compared: the time that it takes says nothing of the token.
    fn is(&self, text: &str) -> bool {
        self.0 == digest(text.trim())
    }
}

fn digest(text: &str) -> [u8; 32] {
    Sha256::digest(text).into()
}

fn random() -> String {
    let part = || uuid::Uuid::new_v4().simple().to_string();
    part() + &part()
}

/// A browser that was signed in.
#[derive(Debug)]
struct Session {
    /// Of the cookie.
    digest: [u8; 32],
    /// Stands in every form, so that no other site's form is taken for ours.
    form: String,
    until: Instant,
}

/// Who makes a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Standing {
    /// Anybody.
    Anonymous,
    /// A program that has the token.
    Program,
    /// A browser that was signed in.
    Browser {
        /// What stands in its forms.
        form: String,
    },
}

/// Why a request is not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Denied {
    /// The token is not ours.
    WrongToken,
    /// Too many wrong ones at once.
    TooMany,
}

/// Who may read and act.
#[derive(Debug)]
pub(super) struct Access {
    token: Option<Token>,
    is_public: bool,
    cookie: String,
    sessions: Mutex<VecDeque<Session>>,
    wrong: Semaphore,
}

impl Access {
    /// For a page at `address`. One that other machines reach needs a token.
    pub(super) fn new(address: SocketAddr, token: Option<&Token>) -> Result<Self, AccessError> {
        Ok(Self {
            token: token.cloned(),
            is_public: is_public(address, token)?,
            // A browser sends its cookies to every port of a host.
            cookie: format!("docker_test_{}", address.port()),
            sessions: Mutex::default(),
            wrong: Semaphore::new(WRONG_AT_ONCE),
        })
    }

    /// Whether there is a token, and so anybody who may act.
    pub(super) const fn has_token(&self) -> bool {
        self.token.is_some()
    }

    /// Whether they may see what is shown.
    pub(super) fn may_read(&self, standing: &Standing) -> bool {
        !self.is_public || *standing != Standing::Anonymous
    }

    /// Who makes a request with these headers. One with a wrong token is none of anybody.
    pub(super) async fn standing(&self, headers: &HeaderMap) -> Result<Standing, Denied> {
        if let Some(given) = headers.get(AUTHORIZATION) {
            let given = given.to_str().unwrap_or_default();
            let bearer = given.split_once(' ').filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
            self.check(bearer.map(|(_, token)| token).unwrap_or_default()).await?;
            return Ok(Standing::Program);
        }
        let found = self.cookie_of(headers).and_then(|cookie| self.session(&digest(cookie)));
        Ok(found.map_or(Standing::Anonymous, |form| Standing::Browser { form }))
    }

    async fn check(&self, token: &str) -> Result<(), Denied> {
        if self.token.as_ref().is_some_and(|ours| ours.is(token)) {
            return Ok(());
        }
        let _turn = self.wrong.try_acquire().map_err(|_| Denied::TooMany)?;
        tokio::time::sleep(PENALTY).await;
        Err(Denied::WrongToken)
    }

    fn cookie_of<'a>(&self, headers: &'a HeaderMap) -> Option<&'a str> {
        let all = headers.get_all(COOKIE).into_iter().filter_map(|header| header.to_str().ok());
        let mut pairs =
            all.flat_map(|header| header.split(';')).filter_map(|pair| pair.trim().split_once('='));
        pairs.find(|(name, _)| *name == self.cookie).map(|(_, value)| value)
    }

    fn session(&self, digest: &[u8; 32]) -> Option<String> {
        let now = Instant::now();
        let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        sessions.retain(|session| session.until > now);
        sessions.iter().find(|session| session.digest == *digest).map(|session| session.form.clone())
    }

    /// Signs a browser in: what goes into its `Set-Cookie`.
    pub(super) async fn sign_in(&self, token: &str) -> Result<String, Denied> {
        self.check(token).await?;
        let value = random();
        let session = Session { digest: digest(&value), form: random(), until: Instant::now() + SESSION };
        let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        while sessions.len() >= MOST_SESSIONS {
            sessions.pop_front();
        }
        sessions.push_back(session);
        let (name, seconds) = (&self.cookie, SESSION.as_secs());
        Ok(format!("{name}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict"))
    }

    /// Signs a browser out: what goes into its `Set-Cookie`.
    pub(super) fn sign_out(&self, headers: &HeaderMap) -> String {
        if let Some(cookie) = self.cookie_of(headers) {
            let digest = digest(cookie);
            let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
            sessions.retain(|session| session.digest != digest);
        }
        format!("{}=; Path=/; Max-Age=0; HttpOnly; SameSite=Strict", self.cookie)
    }

    /// Whether the page may be called by the name that stands in the request. A page that shows itself to everybody on
    /// this machine goes by names of this machine alone: else a site could point a name of its own here, and read it
    /// through somebody's browser.
    pub(super) fn answers_to(&self, headers: &HeaderMap) -> bool {
        let Some(host) = headers.get(HOST).and_then(|host| host.to_str().ok()) else { return false };
        self.is_public || is_of_this_machine(host)
    }

    /// Whether a request that changes something does not come from another site's page.
    pub(super) fn is_from_here(headers: &HeaderMap) -> bool {
        let Some(origin) = headers.get(ORIGIN) else { return true };
        let of = |origin: &str| origin.split_once("://").map(|(_, authority)| authority.to_ascii_lowercase());
        let origin = origin.to_str().ok().and_then(of);
        let host = headers.get(HOST).and_then(|host| host.to_str().ok()).map(str::to_ascii_lowercase);
        origin.is_some() && origin == host
    }
}

/// Whether other machines reach a page at `address`, which then has to have a token.
pub(super) fn is_public(address: SocketAddr, token: Option<&Token>) -> Result<bool, AccessError> {
    let is_public = !address.ip().to_canonical().is_loopback();
    if is_public && token.is_none() {
        return Err(AccessError::Public(address));
    }
    Ok(is_public)
}

fn is_of_this_machine(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            Some((name, port)) if port.is_empty() || port.starts_with(':') => name,
            _ => return false,
        },
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    let is_loopback = |address: IpAddr| address.to_canonical().is_loopback();
    name == "localhost" || name.ends_with(".localhost") || name.parse().is_ok_and(is_loopback)
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    const TOKEN: &str = "a-token-of-some-length";

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_str(value).unwrap()))
            .collect()
    }

    fn access(address: &str) -> Access {
        Access::new(address.parse().unwrap(), Some(&Token::parse(TOKEN).unwrap())).unwrap()
    }

    #[test]
    fn a_public_address_without_a_token_is_refused() {
        for (public, text) in [
            (true, "0.0.0.0:80"),
            (true, "10.0.0.1:80"),
            (true, "[::]:80"),
            (false, "127.8.0.1:80"),
            (false, "[::1]:80"),
            (false, "[::ffff:127.0.0.1]:80"),
        ] {
            assert_eq!(Access::new(text.parse().unwrap(), None).is_err(), public, "{text}");
        }
    }

    #[test]
    fn a_token_is_long_and_fits_into_a_header() {
        assert_eq!(Token::parse("short").unwrap_err(), AccessError::Short(5));
        assert_eq!(Token::parse("sixteen letters and").unwrap_err(), AccessError::Unprintable);
        assert_eq!(Token::parse("schlüssel-mit-umlaut").unwrap_err(), AccessError::Unprintable);
        assert!(Token::parse(" 0123456789abcdef\n").unwrap().is("0123456789abcdef"));
        assert_eq!(format!("{:?}", Token::parse(TOKEN).unwrap()), "Token(…)");
    }

    #[test]
    fn an_address_is_read_with_its_port() {
        assert_eq!(address("localhost:8099"), Ok("127.0.0.1:8099".parse().unwrap()));
        assert_eq!(address(":8099"), Ok("0.0.0.0:8099".parse().unwrap()));
        assert_eq!(address("[::1]:1"), Ok("[::1]:1".parse().unwrap()));
        for wrong in ["8099", "127.0.0.1", "example.com:80", "localhost:70000", ""] {
            assert!(address(wrong).unwrap_err().contains("127.0.0.1:8099"), "{wrong}");
        }
    }

    #[tokio::test]
    async fn a_session_begins_with_the_token_and_ends() {
        let access = access("127.0.0.1:8099");
        assert_eq!(access.sign_in("another-token-than-ours").await, Err(Denied::WrongToken));
        let set = access.sign_in(TOKEN).await.unwrap();
        assert!(set.ends_with("; HttpOnly; SameSite=Strict") && set.starts_with("docker_test_8099="));
        let cookie = set.split(';').next().unwrap();
        let with = headers(&[("cookie", &format!("other=1; {cookie}"))]);
        assert!(matches!(access.standing(&with).await, Ok(Standing::Browser { .. })));
        access.sessions.lock().unwrap()[0].until = Instant::now();
        assert_eq!(access.standing(&with).await, Ok(Standing::Anonymous));
        let set = access.sign_in(TOKEN).await.unwrap();
        let with = headers(&[("cookie", set.split(';').next().unwrap())]);
        assert!(access.sign_out(&with).contains("Max-Age=0"));
        assert_eq!(access.standing(&with).await, Ok(Standing::Anonymous));
    }

    #[tokio::test]
    async fn wrong_tokens_are_slow_and_few_at_a_time_and_the_right_one_is_not() {
        let access = access("0.0.0.0:8099");
        let bearer = |token: &str| headers(&[("authorization", &format!("Bearer {token}"))]);
        let (wrong, right) = (bearer("another-token-than-ours"), bearer(TOKEN));
        let many = futures_util::future::join_all((0..10).map(|_| access.standing(&wrong))).await;
        let count = |denied| many.iter().filter(|one| **one == Err(denied)).count();
        assert_eq!((count(Denied::WrongToken), count(Denied::TooMany)), (4, 6));
        let begun = Instant::now();
        assert_eq!(access.standing(&right).await, Ok(Standing::Program));
        assert!(begun.elapsed() < PENALTY);
        assert!(!access.may_read(&Standing::Anonymous) && access.may_read(&Standing::Program));
        assert_eq!(
            access.standing(&headers(&[("authorization", "Basic eDp5")])).await,
            Err(Denied::WrongToken)
        );
    }

    #[test]
    fn a_page_for_this_machine_goes_by_names_of_this_machine() {
        let access = access("127.0.0.1:8099");
        let answers = |host: &str| access.answers_to(&headers(&[("host", host)]));
        for host in ["localhost:8099", "127.0.0.1:8099", "[::1]:8099", "shop.localhost", "LOCALHOST."] {
            assert!(answers(host), "{host}");
        }
        for host in ["example.com:8099", "[::1].example.com:80", "localhost.example.com", "10.0.0.1", ""] {
            assert!(!answers(host), "{host}");
        }
        assert!(!access.answers_to(&HeaderMap::new()));
    }

    #[test]
    fn what_changes_something_comes_from_here() {
        let from =
            |origin: &str| Access::is_from_here(&headers(&[("host", "localhost:8099"), ("origin", origin)]));
        assert!(from("http://localhost:8099") && from("https://LOCALHOST:8099"));
        assert!(!from("http://localhost:1") && !from("https://example.com") && !from("null"));
        assert!(Access::is_from_here(&headers(&[("host", "localhost:8099")])));
    }
}
