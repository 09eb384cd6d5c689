//! The HTTP calls of a build, each on a connection of its own.
//!
//! Owns sending the context as it comes and reading the answer as it comes. A build has its own connection because
//! closing it is what cancels the build; nothing is pooled and nothing is retried here.

use std::io;

use bytes::Bytes;
use futures_util::{FutureExt, Stream};
use http::header::{CONTENT_TYPE, HOST};
use http::{HeaderValue, Method, Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio_util::task::AbortOnDropHandle;

use super::answer::Lines;
use super::outcome::Outcome;
use super::target::LongTarget;
use super::upload::Upload;
use super::{BuildError, BuildEvent, BuildFailure, BuilderKind, BuiltImage, step};
use crate::engine::docker::session::{Session, SessionHandle};
use crate::engine::transport::{BoxError, HttpClient, refusal};

type Body = UnsyncBoxBody<Bytes, io::Error>;

/// How much of a refusal's text is read, in bytes.
const REFUSAL_LIMIT: usize = 64 * 1024;

/// Asks BuildKit to cancel a build. Whether it did is of no use to anyone.
pub(super) async fn cancel(http: &HttpClient, api_version: &str, build_id: &str) {
    let path = format!("/v{api_version}/build/cancel?id={build_id}");
    if let Ok(request) = Request::post(path).body(Empty::<Bytes>::new()) {
        drop(http.request(request).await);
    }
}

/// Connects a session: the engine takes the connection over and calls back on it.
pub(super) async fn open_session(
    http: &HttpClient,
    api_version: &str,
    session: Session,
) -> Result<SessionHandle, BuildError> {
    let headers = session.headers();
    let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let stream = http.upgrade(Method::POST, &format!("/v{api_version}/session"), &headers).await?;
    Ok(session.serve(stream))
}

/// The build call itself. `prefix` goes before the context, in the same archive.
pub(super) async fn build<S>(
    http: &HttpClient,
    target: &str,
    logins: Option<String>,
    prefix: Bytes,
    context: S,
    builder: BuilderKind,
    mut emit: impl FnMut(BuildEvent),
) -> Result<BuiltImage, BuildError>
where
    S: Stream<Item = io::Result<Bytes>> + Send + 'static,
{
    let (upload, body) = Upload::new(prefix, context);
    let mut sent = upload.sent.clone();
    // A context that cannot be read on breaks the connection as well: then that is the reason to tell.
    let broken = |error: hyper::Error| upload.failure().unwrap_or_else(|| lost(error));
    let (mut sender, _connection) = connect(http, target).await?;
    let mut request = Request::post("/").header(HOST, http.authority()).body(body).map_err(lost)?;
    request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/x-tar"));
    if let Some(logins) = logins {
        let mut value = HeaderValue::try_from(logins).map_err(lost)?;
        value.set_sensitive(true);
        request.headers_mut().insert("x-registry-config", value);
    }
    let mut response = Box::pin(sender.send_request(request));
    let response = loop {
        tokio::select! {
            response = &mut response => break response.map_err(broken)?,
            Ok(()) = sent.changed() => emit((*sent.borrow_and_update()).into()),
        }
    };
    if !response.status().is_success() {
        return Err(refused(response).await);
    }
    let mut body = response.into_body();
    let mut lines = Lines::default();
    let mut outcome = Outcome::new(builder);
    loop {
        tokio::select! {
            frame = body.frame() => match frame {
                Some(Ok(frame)) => {
                    let bytes = frame.data_ref().map_or(&[][..], |bytes| bytes);
                    lines.push(bytes, &mut |message| outcome.apply(message, &mut emit))?;
                }
                // An engine that has told why the build failed may break the connection off as it likes.
                Some(Err(_)) if outcome.has_failed() => break,
                Some(Err(error)) => return Err(broken(error)),
                None => break,
            },
            Ok(()) = sent.changed() => emit((*sent.borrow_and_update()).into()),
        }
    }
    if let Some(Ok(())) = sent.changed().now_or_never() {
        emit((*sent.borrow_and_update()).into());
    }
    if let Some(broken) = upload.failure() {
        return Err(broken);
    }
    if !outcome.has_failed() {
        lines.finish(&mut |message| outcome.apply(message, &mut emit))?;
    }
    outcome.finish(&mut emit)
}

/// A connection whose first request goes to `target`; it closes when the handle is dropped.
async fn connect(
    http: &HttpClient,
    target: &str,
) -> Result<(SendRequest<Body>, AbortOnDropHandle<()>), BuildError> {
    let stream = http.dial().await?;
    let target = format!("{}{target}", http.endpoint().prefix());
    let (sender, connection) =
        handshake(TokioIo::new(LongTarget::new(stream, target))).await.map_err(lost)?;
    // Its error reaches the one who waits for the answer.
    let task = tokio::spawn(async move { drop(connection.await) });
    Ok((sender, AbortOnDropHandle::new(task)))
}

fn lost(source: impl Into<BoxError>) -> BuildError {
    BuildError::EngineLost { source: source.into() }
}

/// An answer that is no success. A Dockerfile that cannot be parsed is refused by the classic builder, and fails the
/// build with the others: it is the same to the user.
async fn refused(response: Response<Incoming>) -> BuildError {
    let status = response.status().as_u16();
    let body = Limited::new(response.into_body(), REFUSAL_LIMIT).collect().await;
    let body = body.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let message = step::unwrapped(&refusal(&body)).to_owned();
    match step::named_line(&message) {
        None => BuildError::Refused { status, message },
        line => BuildError::Failed(Box::new(BuildFailure {
            step: None,
            position: None,
            line,
            message,
            exit_code: None,
            tail: String::new(),
        })),
    }
}
