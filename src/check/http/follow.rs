//! Sends a request and follows redirects, up to a limit.
//!
//! Owns what goes along: to another origin no header but the harmless ones, no body, no password of the address and no
//! client certificate; and nothing of that again after a way back. What an answer is worth is not decided here.

use std::error::Error as StdError;

use reqwest::header::{
    ACCEPT, ACCEPT_ENCODING, ACCEPT_LANGUAGE, CACHE_CONTROL, HeaderName, LOCATION, USER_AGENT,
};
use reqwest::{Client, Method, Response, StatusCode, Url};

use super::HttpCheck;
use crate::check::{CheckError, Surroundings};
use crate::shortage::Shortage;

/// What any server may know.
const HARMLESS: [HeaderName; 5] = [ACCEPT, ACCEPT_ENCODING, ACCEPT_LANGUAGE, CACHE_CONTROL, USER_AGENT];

impl HttpCheck {
    /// The answer, or what is wrong: one line with what was expected and what came instead. `own` has the client
    /// certificate, `plain` has none.
    pub(super) async fn follow(
        &self,
        surroundings: &Surroundings,
        own: &Client,
        plain: &Client,
    ) -> Result<Result<Response, String>, CheckError> {
        let (mut url, mut method, mut body) = (self.url.clone(), self.method.clone(), self.body.as_deref());
        let mut is_home = true;
        let mut left = self.redirects;
        loop {
            let client = if is_home { own } else { plain };
            let mut request = client.request(method.clone(), url.clone());
            for (name, value) in &self.headers {
                if is_home || HARMLESS.contains(name) {
                    request = request.header(name, value);
                }
            }
            if let Some(body) = body {
                request = request.body(body.to_owned());
            }
            let response = match request.send().await {
                Ok(response) => response,
                Err(error) => {
                    return match shortage(&error, &url, surroundings).await {
                        Some(shortage) => Err(shortage),
                        None => Ok(Err(format!(
                            "expected an answer of {}, got {}",
                            origin(&url),
                            innermost(error)
                        ))),
                    };
                }
            };
            let mut target = match target(&response, &url).filter(|_| self.redirects > 0) {
                None => return Ok(Ok(response)),
                Some(Err(fault)) => return Ok(Err(fault)),
                Some(Ok(target)) => target,
            };
            if left == 0 {
                let (limit, target) = (self.redirects, origin(&target));
                return Ok(Err(format!("expected at most {limit} redirects, got one more to {target}")));
            }
            left -= 1;
            (method, body) = carried(response.status(), method, body);
            is_home = is_home && target.origin() == self.url.origin();
            if !is_home {
                // It would be sent as a password.
                let _has_no_host = (target.set_username(""), target.set_password(None));
                if body.is_some() {
                    let (from, to) = (origin(&url), origin(&target));
                    return Ok(Err(format!(
                        "expected an answer of {from}, got a redirect of the body to {to}, which is not followed"
                    )));
                }
            }
            url = target;
        }
    }
}

/// What this machine lacked for a request, if that is why there is no answer.
async fn shortage(error: &reqwest::Error, url: &Url, surroundings: &Surroundings) -> Option<CheckError> {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    // No more than that error is asked about addresses.
    let addresses = match Shortage::of(error)? {
        Shortage::Ports => surroundings.names().addresses(host).await.unwrap_or_default(),
        _ => Vec::new(),
    };
    CheckError::of_shortage(error, || origin(url), &addresses)
}

/// Where an answer leads; none where it is no redirect.
fn target(response: &Response, base: &Url) -> Option<Result<Url, String>> {
    let is_redirect = matches!(
        response.status(),
        StatusCode::MOVED_PERMANENTLY
            | StatusCode::FOUND
            | StatusCode::SEE_OTHER
            | StatusCode::TEMPORARY_REDIRECT
            | StatusCode::PERMANENT_REDIRECT
    );
    let location = response.headers().get(LOCATION).filter(|_| is_redirect)?;
    let target = location.to_str().ok().and_then(|location| base.join(location).ok());
    let target = target.filter(|target| matches!(target.scheme(), "http" | "https"));
    Some(target.ok_or_else(|| {
        format!("expected a redirect of {} to an address of http or https, got something else", origin(base))
    }))
}

/// Method and body of the next request, as browsers have it.
fn carried(status: StatusCode, method: Method, body: Option<&str>) -> (Method, Option<&str>) {
    let becomes_get = match status {
        StatusCode::SEE_OTHER => method != Method::HEAD,
        StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND => method == Method::POST,
        _ => false,
    };
    if becomes_get { (Method::GET, None) } else { (method, body) }
}

/// Scheme, host and port: paths and queries may bear keys.
pub(super) fn origin(url: &Url) -> String {
    url.origin().ascii_serialization()
}

/// What a library wraps around the cause says nothing to a person, and its address may hold too much.
pub(super) fn innermost(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut cause: &dyn StdError = &error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string().replace(char::is_control, " ")
}
