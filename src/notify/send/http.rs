//! Requests of HTTP. Owns the client, its proxies, and how much of an answer is read.

use std::sync::Arc;
use std::time::SystemTime;

use reqwest::dns::Resolve;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue, LOCATION};
use reqwest::{Client, Method, NoProxy, Proxy, Response, Url, redirect};

use super::{CONNECT, LIMIT, SendError, Sent, innermost, retry_after, tls};
use crate::environment::Environment;
use crate::notify::{Answer, HttpRequest};

/// As much of an answer as a sink can use.
const LONGEST_ANSWER: usize = 4 * 1024;

/// No proxy is between this machine and itself.
const THIS_MACHINE: &str = "localhost,127.0.0.0/8,::1";

/// A client that follows no redirect: a key goes to the host that it was given for, and to no other.
pub(super) fn client(env: &Environment, names: Arc<dyn Resolve>) -> Result<Client, SendError> {
    let mut builder = Client::builder()
        .user_agent(concat!("docker-test/", env!("CARGO_PKG_VERSION")))
        .redirect(redirect::Policy::none())
        .referer(false)
        .no_proxy()
        .dns_resolver(names)
        .connect_timeout(CONNECT)
        .timeout(LIMIT)
        .tls_backend_preconfigured(tls::config(env)?);
    for proxy in proxies(env) {
        builder = builder.proxy(proxy);
    }
    builder.build().map_err(|error| SendError::Client { reason: innermost(&error.without_url()) })
}

/// The proxies that programs are told of by the usual variables. `HTTP_PROXY` in capitals counts, as this is no CGI
/// program.
fn proxies(env: &Environment) -> Vec<Proxy> {
    let either = |lower: &str, upper: &str| env.non_empty(lower).or_else(|| env.non_empty(upper));
    let listed = either("no_proxy", "NO_PROXY").map_or_else(String::new, |listed| format!(",{listed}"));
    let except = NoProxy::from_string(&format!("{THIS_MACHINE}{listed}"));
    let all = either("all_proxy", "ALL_PROXY");
    let https = either("https_proxy", "HTTPS_PROXY").or(all).and_then(|url| Proxy::https(url).ok());
    let http = either("http_proxy", "HTTP_PROXY").or(all).and_then(|url| Proxy::http(url).ok());
    https.into_iter().chain(http).map(|proxy| proxy.no_proxy(except.clone())).collect()
}

pub(super) async fn send(client: &Client, request: &HttpRequest) -> Sent {
    let unsendable = |reason: String| Sent::Unsendable { reason };
    let Ok(url) = Url::parse(&request.url) else {
        return unsendable("its address is not a URL: expected https://host/path".to_owned());
    };
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return unsendable(format!("its address begins with {}: expected https://host/path", url.scheme()));
    }
    let host = url.origin().ascii_serialization();
    let Ok(method) = Method::from_bytes(request.method.as_bytes()) else {
        return unsendable(format!("{host}: {} is no method of HTTP", request.method));
    };
    let mut headers = HeaderMap::new();
    for (name, value) in &request.headers {
        let header = HeaderName::from_bytes(name.as_bytes()).ok().zip(HeaderValue::from_str(value).ok());
        let Some((header, mut value)) = header else {
            return unsendable(format!("{host}: the header {name} has a value that HTTP does not allow"));
        };
        value.set_sensitive(true);
        headers.append(header, value);
    }
    let built = client.request(method, url).headers(headers).body(request.body.clone());
    match built.send().await {
        Ok(response) => Sent::Answered(answer(response).await),
        Err(error) => failure(&host, error),
    }
}

fn failure(host: &str, error: reqwest::Error) -> Sent {
    let error = error.without_url();
    if error.is_builder() {
        return Sent::Unsendable { reason: format!("{host}: {}", innermost(&error)) };
    }
    // Before there is a connection nothing has been sent.
    let unseen = error.is_connect();
    let reason = if error.is_timeout() {
        let what = if unseen { "no connection" } else { "no answer" };
        format!("{host}: {what} in time")
    } else {
        format!("{host}: {}", innermost(&error))
    };
    Sent::Failed { reason, unseen }
}

async fn answer(mut response: Response) -> Answer {
    let status = response.status();
    let wait = if status.is_success() {
        None
    } else {
        retry_after::seconds(response.headers(), SystemTime::now().into())
    };
    let mut body = Vec::new();
    if status.is_redirection() {
        let target = response.headers().get(LOCATION).and_then(|value| value.to_str().ok());
        let target = target.and_then(|target| response.url().join(target).ok());
        let to = target.map_or_else(String::new, |url| format!(" to {}", url.origin().ascii_serialization()));
        body.extend_from_slice(format!("a redirect{to}, which is not followed\n").as_bytes());
    }
    // The status is known: what comes after it, or does not, changes nothing any more.
    while body.len() < LONGEST_ANSWER
        && let Ok(Some(chunk)) = response.chunk().await
    {
        let room = LONGEST_ANSWER - body.len();
        body.extend_from_slice(chunk.get(..room).unwrap_or(&chunk));
    }
    Answer { status: status.as_u16(), retry_after: wait, body: String::from_utf8_lossy(&body).into_owned() }
}
