//! Requests of HTTP. Owns the client, its proxies, and how much of an answer is read.

use std::sync::Arc;
use std::time::SystemTime;

use hyper_util::client::proxy::matcher::Matcher;
use reqwest::dns::Resolve;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue, LOCATION};
use reqwest::{Client, Method, NoProxy, Proxy, RequestBuilder, Response, Url, redirect};
use rustls::ClientConfig;

use super::{CONNECT, LIMIT, SendError, Sent, clock, innermost, retry_after};
use crate::environment::Environment;
use crate::notify::{Answer, HttpRequest};

/// As much of an answer as a sink can use.
const LONGEST_ANSWER: usize = 4 * 1024;

/// No proxy is between this machine and itself.
const THIS_MACHINE: &str = "localhost,127.0.0.0/8,::1";

/// A client that follows no redirect: a key goes to the host that it was given for, and to no other.
pub(super) fn client(
    env: &Environment,
    names: Arc<dyn Resolve>,
    trust: ClientConfig,
) -> Result<Client, SendError> {
    let mut builder = Client::builder()
        .user_agent(concat!("docker-test/", env!("CARGO_PKG_VERSION")))
        .redirect(redirect::Policy::none())
        .referer(false)
        .no_proxy()
        .dns_resolver(names)
        .connect_timeout(CONNECT)
        .timeout(LIMIT)
        .tls_backend_preconfigured(trust);
    for proxy in proxies(env) {
        builder = builder.proxy(proxy);
    }
    builder.build().map_err(|error| SendError::Client { reason: innermost(&error.without_url()) })
}

/// The proxies that programs are told of by the usual variables.
struct Proxies<'e> {
    https: Option<&'e str>,
    http: Option<&'e str>,
    except: String,
}

impl<'e> Proxies<'e> {
    /// `HTTP_PROXY` in capitals counts, as this is no CGI program.
    fn of(env: &'e Environment) -> Self {
        let either = |lower: &str, upper: &str| env.non_empty(lower).or_else(|| env.non_empty(upper));
        let listed = either("no_proxy", "NO_PROXY").map_or_else(String::new, |listed| format!(",{listed}"));
        let all = either("all_proxy", "ALL_PROXY");
        Self {
            https: either("https_proxy", "HTTPS_PROXY").or(all),
            http: either("http_proxy", "HTTP_PROXY").or(all),
            except: format!("{THIS_MACHINE}{listed}"),
        }
    }
}

fn proxies(env: &Environment) -> Vec<Proxy> {
    let proxies = Proxies::of(env);
    let except = NoProxy::from_string(&proxies.except);
    let https = proxies.https.and_then(|url| Proxy::https(url).ok());
    let http = proxies.http.and_then(|url| Proxy::http(url).ok());
    https.into_iter().chain(http).map(|proxy| proxy.no_proxy(except.clone())).collect()
}

/// Says through which of them an address is reached.
pub(super) fn matcher(env: &Environment) -> Matcher {
    let proxies = Proxies::of(env);
    let (https, http) = (proxies.https.unwrap_or_default(), proxies.http.unwrap_or_default());
    Matcher::builder().https(https.to_owned()).http(http.to_owned()).no(proxies.except).build()
}

pub(super) async fn send(client: &Client, request: &HttpRequest) -> Sent {
    exchange(client, request).await.0
}

/// Sends, and says how many seconds this machine's clock is ahead of that of whoever answered, where that is known.
pub(super) async fn exchange(client: &Client, request: &HttpRequest) -> (Sent, Option<i64>) {
    let (host, prepared) = match prepare(client, request) {
        Ok(prepared) => prepared,
        Err(reason) => return (Sent::Unsendable { reason }, None),
    };
    let begun = SystemTime::now();
    match prepared.send().await {
        Ok(response) => {
            let ahead = clock::ahead(response.headers(), begun.into(), SystemTime::now().into());
            (Sent::Answered(answer(response).await), ahead)
        }
        Err(error) => (failure(&host, error), None),
    }
}

/// The host that it goes to, and the request; or why it can never go.
fn prepare(client: &Client, request: &HttpRequest) -> Result<(String, RequestBuilder), String> {
    let Ok(url) = Url::parse(&request.url) else {
        return Err("its address is not a URL: expected https://host/path".to_owned());
    };
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return Err(format!("its address begins with {}: expected https://host/path", url.scheme()));
    }
    let host = url.origin().ascii_serialization();
    let Ok(method) = Method::from_bytes(request.method.as_bytes()) else {
        return Err(format!("{host}: {} is no method of HTTP", request.method));
    };
    let mut headers = HeaderMap::new();
    for (name, value) in &request.headers {
        let header = HeaderName::from_bytes(name.as_bytes()).ok().zip(HeaderValue::from_str(value).ok());
        let Some((header, mut value)) = header else {
            return Err(format!("{host}: the header {name} has a value that HTTP does not allow"));
        };
        value.set_sensitive(true);
        headers.append(header, value);
    }
    let built = client.request(method, url).headers(headers).body(request.body.clone());
    Ok((host, built))
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
