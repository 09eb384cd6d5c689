//! What every request passes, in and out.
//!
//! Owns who is let in, how long an answer may take, and the headers that keep a browser from doing what the page does not
//! mean.

use std::sync::Arc;
use std::time::Duration;

use axum::body::to_bytes;
use axum::extract::{Request, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::http::{HeaderValue, Method, StatusCode, Uri};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};

use super::Shared;
use super::access::{Access, Denied};
use super::page::{Refused, SIGN_IN};
use super::problem::Problem;

/// An answer that takes longer is none.
const ANSWER: Duration = Duration::from_secs(30);

/// As much is read of why the framework refuses something, in bytes.
const LONGEST_REASON: usize = 4096;

const PROTECTION: [(HeaderName, &str); 6] = [
    (CACHE_CONTROL, "no-store"),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (X_FRAME_OPTIONS, "DENY"),
    // A probe's name stands in addresses.
    (REFERRER_POLICY, "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
];

/// Puts the headers on every answer, and gives none up to a request that hangs.
pub(super) async fn protect(request: Request, next: Next) -> Response {
    let answered = tokio::time::timeout(ANSWER, next.run(request)).await;
    let mut response = answered.unwrap_or_else(|_| {
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "the answer took too long").into_response()
    });
    for (name, value) in PROTECTION {
        response.headers_mut().entry(name).or_insert(HeaderValue::from_static(value));
    }
    response
}

/// Lets in who may read. Who may act is each action's to ask.
pub(super) async fn admit(State(shared): State<Arc<Shared>>, mut request: Request, next: Next) -> Response {
    let (headers, path) = (request.headers(), request.uri().path());
    let is_open = is_open(path);
    if !is_open && !shared.access.answers_to(headers) {
        return Problem::new(
            StatusCode::MISDIRECTED_REQUEST,
            "this page is served to this machine: call it by localhost or 127.0.0.1",
        )
        .into_response();
    }
    let changes = ![Method::GET, Method::HEAD].contains(request.method());
    if changes && !Access::is_from_here(headers) {
        return Problem::new(StatusCode::FORBIDDEN, "the request comes from another site").into_response();
    }
    if is_open || path == SIGN_IN {
        return next.run(request).await;
    }
    let standing = match shared.access.standing(headers).await {
        Ok(standing) => standing,
        Err(denied) => return refusal(denied).into_response(),
    };
    if !shared.access.may_read(&standing) {
        let wanted = request.uri().path_and_query().map_or("/", |wanted| wanted.as_str());
        return if is_for_programs(path) || changes {
            Problem::new(StatusCode::UNAUTHORIZED, "expected `Authorization: Bearer` and the token")
                .into_response()
        } else {
            Redirect::to(&sign_in_link(wanted)).into_response()
        };
    }
    request.extensions_mut().insert(standing);
    next.run(request).await
}

/// What the framework refuses before a handler sees it, it refuses in plain text: a body that is too large, a form of
/// another type, an address that is no text. It is told as everything else is that goes wrong.
pub(super) async fn explain(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    let path = request.uri().path().to_owned();
    let response = next.run(request).await;
    let status = response.status();
    let is_plain = response
        .headers()
        .get(CONTENT_TYPE)
        .is_some_and(|kind| kind.to_str().is_ok_and(|kind| kind.starts_with("text/plain")));
    if is_open(&path) || !is_plain || !(status.is_client_error() || status.is_server_error()) {
        return response;
    }
    let detail = if status == StatusCode::PAYLOAD_TOO_LARGE {
        "expected a body of 2 MB at most".to_owned()
    } else {
        let text = to_bytes(response.into_body(), LONGEST_REASON).await.unwrap_or_default();
        String::from_utf8_lossy(&text).trim().to_owned()
    };
    let problem = Problem::new(status, detail);
    if is_for_programs(&path) { problem.into_response() } else { Refused(shared, problem).into_response() }
}

/// What everybody may ask.
fn is_open(path: &str) -> bool {
    ["/healthz", "/readyz"].contains(&path)
}

fn is_for_programs(path: &str) -> bool {
    path.starts_with("/api/") || path == "/metrics"
}

/// Where a browser is signed in, and goes on to where it wanted to go.
pub(super) fn sign_in_link(wanted: &str) -> String {
    let encoded: String = form_urlencoded::byte_serialize(wanted.as_bytes()).collect();
    format!("{SIGN_IN}?then={encoded}")
}

/// What is said to somebody with a wrong token.
pub(super) fn refusal(denied: Denied) -> Problem {
    match denied {
        Denied::WrongToken => Problem::new(StatusCode::UNAUTHORIZED, "the token is not the daemon's"),
        Denied::TooMany => {
            Problem::new(StatusCode::TOO_MANY_REQUESTS, "too many wrong tokens: try again soon")
        }
    }
}

pub(super) async fn unknown(uri: Uri) -> Problem {
    Problem::new(StatusCode::NOT_FOUND, format!("there is nothing at {}", uri.path()))
}

pub(super) async fn not_allowed(method: Method, uri: Uri) -> Problem {
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, format!("{} does not take {method}", uri.path()))
}
