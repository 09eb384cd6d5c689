//! HTTP/1.1 to one engine: pooled connections for requests, fresh ones for upgrades.
//!
//! Owns the Host header and the path prefix, so that callers name paths only. Status codes are the callers' to
//! judge.

use std::error::Error as StdError;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONNECTION, HOST, UPGRADE};
use http::{Method, Request, Response, StatusCode, Uri};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::body::{Body, Incoming};
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::client::legacy::{Client, Error as ClientError};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};

use super::{Dialer, Stream, TransportError};
use crate::engine::endpoint::Endpoint;
use crate::environment::Environment;

/// An idle connection is closed after this: over ssh it is a process. Shorter than any engine closes it.
const IDLE: Duration = Duration::from_secs(30);
/// More than that many idle connections are of no use to one run.
const IDLE_CONNECTIONS: usize = 16;
/// As much of a refusal as a message can use.
const LONGEST_REFUSAL: usize = 64 * 1024;

/// Any error, as request bodies have them.
pub type BoxError = Box<dyn StdError + Send + Sync>;

/// HTTP to one engine. Cheap to clone; clones share the pool.
#[derive(Clone)]
pub struct HttpClient {
    dialer: Arc<Dialer>,
    pool: Client<Connector, UnsyncBoxBody<Bytes, BoxError>>,
    authority: Arc<str>,
    address: Arc<str>,
}

impl std::fmt::Debug for HttpClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HttpClient").field("address", &self.address).finish_non_exhaustive()
    }
}

impl HttpClient {
    /// Reads TLS files; connects when the first request is made.
    pub fn new(endpoint: &Endpoint, env: &Environment) -> Result<Self, TransportError> {
        let dialer = Arc::new(Dialer::new(endpoint, env)?);
        let pool = Client::builder(TokioExecutor::new())
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(IDLE_CONNECTIONS)
            .pool_timer(TokioTimer::new())
            .build(Connector { dialer: Arc::clone(&dialer) });
        Ok(Self {
            dialer,
            pool,
            authority: Arc::from(endpoint.authority()),
            address: Arc::from(endpoint.to_string()),
        })
    }

    /// Where it connects to.
    #[must_use]
    pub fn endpoint(&self) -> &Endpoint {
        self.dialer.endpoint()
    }

    /// What stands for the engine in URIs and in the Host header.
    #[must_use]
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// Makes a request on a pooled or a new connection. Of its URI only path and query count.
    ///
    /// The answer is returned as it is, refusals included.
    pub async fn request<B>(&self, request: Request<B>) -> Result<Response<Incoming>, TransportError>
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let (mut parts, body) = request.into_parts();
        let (method, path) = (parts.method.clone(), parts.uri.path().to_owned());
        let target = self.path(parts.uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str));
        parts.uri = Uri::builder()
            .scheme("http")
            .authority(&*self.authority)
            .path_and_query(target)
            .build()
            .map_err(|error| self.lost(&method, &path, io::Error::new(io::ErrorKind::InvalidInput, error)))?;
        parts.headers.remove(HOST);
        let body = body.map_err(Into::into).boxed_unsync();
        self.pool
            .request(Request::from_parts(parts, body))
            .await
            .map_err(|error| self.failed(&method, &path, &error))
    }

    /// Sends a request without a body and reads an answer of at most `limit` bytes.
    pub async fn get(&self, path_and_query: &str, limit: usize) -> Result<Response<Bytes>, TransportError> {
        let path = path_of(path_and_query);
        let bad = |error| self.lost(&Method::GET, path, io::Error::new(io::ErrorKind::InvalidInput, error));
        let request = Request::get(path_and_query).body(Empty::<Bytes>::new()).map_err(bad)?;
        let (parts, body) = self.request(request).await?.into_parts();
        let read = Limited::new(body, limit).collect().await;
        let body = read.map_err(|error| self.lost(&Method::GET, path, io::Error::other(error)))?.to_bytes();
        Ok(Response::from_parts(parts, body))
    }

    /// A connection of its own, outside the pool.
    pub async fn dial(&self) -> Result<Stream, TransportError> {
        self.dialer.dial().await.map_err(|source| self.unreachable(source))
    }

    /// Turns a new connection into a stream of the protocol that the `upgrade` header among `headers` names
    /// (`tcp` to attach, `h2c` for a build session).
    pub async fn upgrade(
        &self,
        method: Method,
        path_and_query: &str,
        headers: &[(&str, &str)],
    ) -> Result<Stream, TransportError> {
        let path = path_of(path_and_query);
        let lost = |error: &(dyn StdError + 'static)| self.lost(&method, path, flat(error));
        let mut request = Request::builder()
            .method(method.clone())
            .uri(self.path(path_and_query))
            .header(HOST, &*self.authority)
            .header(CONNECTION, "Upgrade");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case(UPGRADE.as_str())) {
            request = request.header(UPGRADE, "tcp");
        }
        let request = request.body(Empty::<Bytes>::new()).map_err(|error| lost(&error))?;
        let stream = self.dialer.dial().await.map_err(|source| self.unreachable(source))?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| lost(&error))?;
        // Ends with the connection: when the upgraded stream is dropped, or the engine closes it.
        tokio::spawn(connection.with_upgrades());
        let response = sender.send_request(request).await.map_err(|error| lost(&error))?;
        if response.status() != StatusCode::SWITCHING_PROTOCOLS {
            return Err(self.declined(&method, path, response).await);
        }
        let upgraded = hyper::upgrade::on(response).await.map_err(|error| lost(&error))?;
        Ok(Box::new(TokioIo::new(upgraded)))
    }

    fn path(&self, path_and_query: &str) -> String {
        format!("{}{path_and_query}", self.dialer.endpoint().prefix())
    }

    async fn declined(&self, method: &Method, path: &str, response: Response<Incoming>) -> TransportError {
        let status = response.status().as_u16();
        let body = Limited::new(response.into_body(), LONGEST_REFUSAL).collect().await;
        let body = body.map(http_body_util::Collected::to_bytes).unwrap_or_default();
        TransportError::Declined {
            address: self.address.to_string(),
            method: method.to_string(),
            path: path.to_owned(),
            status,
            message: refusal(&body),
        }
    }

    fn unreachable(&self, source: io::Error) -> TransportError {
        TransportError::Connect { address: self.address.to_string(), source }
    }

    fn lost(&self, method: &Method, path: &str, source: io::Error) -> TransportError {
        TransportError::Exchange {
            address: self.address.to_string(),
            method: method.to_string(),
            path: path.to_owned(),
            source,
        }
    }

    fn failed(&self, method: &Method, path: &str, error: &ClientError) -> TransportError {
        let source = flat(error);
        if error.is_connect() { self.unreachable(source) } else { self.lost(method, path, source) }
    }
}

/// The engine's own words in a refusal: the `message` of its JSON, or the text.
pub(in crate::engine) fn refusal(body: &[u8]) -> String {
    let message = serde_json::from_slice::<serde_json::Value>(body)
        .ok()
        .and_then(|value| value.get("message").and_then(serde_json::Value::as_str).map(str::to_owned));
    message.unwrap_or_else(|| String::from_utf8_lossy(body).trim().to_owned())
}

fn path_of(path_and_query: &str) -> &str {
    path_and_query.split('?').next().unwrap_or(path_and_query)
}

/// The innermost cause, as the kind of error that it was: what hyper wraps around it says nothing to a person.
fn flat(error: &(dyn StdError + 'static)) -> io::Error {
    let mut innermost = error;
    while let Some(cause) = innermost.source() {
        innermost = cause;
        // An error of the system, or one that a dialer made, is the whole story; what it wraps is part of it.
        if cause.is::<io::Error>() {
            break;
        }
    }
    let kind = innermost.downcast_ref::<io::Error>().map_or(io::ErrorKind::Other, io::Error::kind);
    io::Error::new(kind, innermost.to_string())
}

/// Dials for the pool.
#[derive(Clone)]
struct Connector {
    dialer: Arc<Dialer>,
}

impl tower_service::Service<Uri> for Connector {
    type Response = Pooled;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Pooled>> + Send>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _uri: Uri) -> Self::Future {
        let dialer = Arc::clone(&self.dialer);
        Box::pin(async move { Ok(Pooled(TokioIo::new(dialer.dial().await?))) })
    }
}

/// A connection as the pool wants it.
struct Pooled(TokioIo<Stream>);

impl Connection for Pooled {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

impl Read for Pooled {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buffer)
    }
}

impl Write for Pooled {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(cx, slices)
    }
}
