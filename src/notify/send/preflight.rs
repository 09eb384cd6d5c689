//! Tries what a sink wants to have tried before anything is sent. Owns how each kind is done, and what is shown of it: of
//! an address the host and nothing else. What an answer means is the sink's to say.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ::http::Uri;
use futures_util::future::select_ok;
use reqwest::Url;
use reqwest::dns::{Name, Resolve};
use rustls_pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::{Sender, Sent, aside, http, innermost, socket};
use crate::notify::preflight::Preflight;
use crate::notify::{Answer, HttpRequest};

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tried {
    /// There was an answer.
    Answered {
        /// Scheme, host and port of whoever answered.
        host: String,
        /// What the sink is to read.
        answer: Answer,
        /// How many seconds this machine's clock is ahead of theirs, where that is known.
        ahead: Option<i64>,
    },
    /// Nobody was asked anything, and as far as that shows, all is well.
    Seen {
        /// What was seen, in words. Holds no path, query or header.
        what: String,
    },
    /// It did not come about.
    Failed {
        /// Why. Holds no path, query or header.
        reason: String,
    },
}

impl Sender {
    /// Tries it once, within `limit`.
    pub async fn try_out(&self, preflight: &Preflight, limit: Duration) -> Tried {
        let trying = async {
            match preflight {
                Preflight::Ask(request) => self.ask(request).await,
                Preflight::Connect { to, because } => self.connect(&to.whole(), because).await,
                Preflight::Socket { address } => self.open(address).await,
                Preflight::Directory { path } => write_into(path.clone()).await,
                Preflight::Nothing => seen("it was not asked: it knows no request that changes nothing"),
            }
        };
        tokio::time::timeout(limit, trying).await.unwrap_or_else(|_| {
            let limit = limit.as_secs();
            failed(format!("{}: no answer within {limit} s", whom(preflight)))
        })
    }

    async fn ask(&self, request: &HttpRequest) -> Tried {
        match http::exchange(&self.client, request).await {
            (Sent::Answered(answer), ahead) => Tried::Answered { host: origin(&request.url), answer, ahead },
            (Sent::Failed { reason, .. } | Sent::Unsendable { reason }, _) => failed(reason),
            (Sent::Done, _) => seen("it took the request without an answer"),
        }
    }

    async fn connect(&self, address: &str, because: &str) -> Tried {
        let host = origin(address);
        // Of a connection to the proxy nothing follows.
        if address.parse::<Uri>().is_ok_and(|uri| self.proxies.intercept(&uri).is_some()) {
            return seen(format!("{host} is behind a proxy; it was not asked, because {because}"));
        }
        match self.shake_hands(address).await {
            Ok(()) => seen(format!("{host} can be reached; it was not asked, because {because}")),
            Err(error) => failed(format!("{host}: {}", innermost(&error))),
        }
    }

    /// A connection, and a TLS session where the address asks for one.
    async fn shake_hands(&self, address: &str) -> io::Result<()> {
        let unusable = || io::Error::new(io::ErrorKind::InvalidInput, "expected https://host/path");
        let url = Url::parse(address).map_err(|_| unusable())?;
        let host = url.host_str().ok_or_else(unusable)?;
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let port = url.port_or_known_default().ok_or_else(unusable)?;
        let stream = reach(self.names.as_ref(), host, port).await?;
        if url.scheme() == "https" {
            let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
            TlsConnector::from(Arc::clone(&self.trust)).connect(name, stream).await?;
        }
        Ok(())
    }

    async fn open(&self, address: &str) -> Tried {
        match socket::send(self.names.as_ref(), address, &[]).await {
            Sent::Failed { reason, .. } | Sent::Unsendable { reason } => failed(reason),
            _ if address.starts_with("unix") => seen(format!("{address} can be connected to")),
            _ => seen(format!("{address} has an address; whether an agent listens, UDP does not tell")),
        }
    }
}

/// Connects to whichever address of the host answers first: one family of addresses may lead nowhere.
async fn reach(names: &dyn Resolve, host: &str, port: u16) -> io::Result<TcpStream> {
    let addresses: Vec<SocketAddr> = if let Ok(address) = host.parse() {
        vec![SocketAddr::new(address, port)]
    } else {
        let name: Name = host.parse().map_err(io::Error::other)?;
        let found = names.resolve(name).await.map_err(io::Error::other)?;
        found.map(|found| SocketAddr::new(found.ip(), port)).collect()
    };
    if addresses.is_empty() {
        return Err(io::Error::new(io::ErrorKind::NotFound, "the name has no address"));
    }
    let trying = addresses.into_iter().map(|address| Box::pin(TcpStream::connect(address)));
    select_ok(trying).await.map(|(stream, _)| stream)
}

/// Makes a file there, which goes at once.
async fn write_into(path: PathBuf) -> Tried {
    let shown = path.display().to_string();
    let error = match tokio::task::spawn_blocking(move || aside(&path).map(drop)).await {
        Ok(Ok(())) => return seen(format!("{shown} can be written")),
        Ok(Err(error)) => innermost(&error),
        Err(error) => error.to_string(),
    };
    failed(format!("cannot write to {shown}: {error}"))
}

/// Whom it is about, without anything that may be a key.
fn whom(preflight: &Preflight) -> String {
    match preflight {
        Preflight::Ask(request) => origin(&request.url),
        Preflight::Connect { to, .. } => origin(&to.whole()),
        Preflight::Socket { address } => address.clone(),
        Preflight::Directory { path } => path.display().to_string(),
        Preflight::Nothing => String::new(),
    }
}

fn origin(url: &str) -> String {
    Url::parse(url).map_or_else(|_| "its address".to_owned(), |url| url.origin().ascii_serialization())
}

fn seen(what: impl Into<String>) -> Tried {
    Tried::Seen { what: what.into() }
}

const fn failed(reason: String) -> Tried {
    Tried::Failed { reason }
}

#[cfg(test)]
mod tests {
    use super::super::loopback::{Loopback, Reply, closed_port};
    use super::super::tests::sender;
    use super::*;
    use crate::environment::Environment;
    use crate::notify::address;

    const LIMIT: Duration = Duration::from_secs(5);

    fn get(url: String) -> Preflight {
        Preflight::Ask(HttpRequest { method: "GET", url, headers: Vec::new(), body: Vec::new() })
    }

    fn connect(url: &str) -> Preflight {
        Preflight::Connect { to: address::Url::parse(url).unwrap(), because: "it would count" }
    }

    async fn reason(preflight: Preflight) -> String {
        let tried = sender().try_out(&preflight, LIMIT).await;
        let Tried::Failed { reason } = tried else { panic!("{tried:?}") };
        reason
    }

    async fn what(preflight: Preflight) -> String {
        let tried = sender().try_out(&preflight, LIMIT).await;
        let Tried::Seen { what } = tried else { panic!("{tried:?}") };
        what
    }

    #[tokio::test]
    async fn an_answer_comes_with_its_host_and_the_distance_of_its_clock() {
        let date = "date: Wed, 21 Oct 2015 07:28:00 GMT\r\n";
        let server = Loopback::start(move |_, _| Reply::Answer(403, date, "no".to_owned())).await;
        let tried = sender().try_out(&get(format!("{}/validate?key=s3cr3t", server.url)), LIMIT).await;
        let Tried::Answered { host, answer, ahead: Some(ahead) } = tried else { panic!("{tried:?}") };
        assert_eq!((host, answer.status, answer.body.as_str()), (server.url.clone(), 403, "no"));
        assert!(ahead > 10 * 365 * 24 * 3600, "{ahead}");
        let server = Loopback::with_status(200).await;
        let tried = sender().try_out(&get(server.url.clone()), LIMIT).await;
        assert!(matches!(tried, Tried::Answered { ahead: None, .. }), "{tried:?}");
    }

    #[tokio::test]
    async fn a_connection_is_made_and_nothing_is_asked_over_it() {
        let server = Loopback::with_status(200).await;
        let seen = what(connect(&format!("{}/ping/s3cr3t", server.url))).await;
        assert_eq!(seen, format!("{} can be reached; it was not asked, because it would count", server.url));
        assert!(server.asked().is_empty());
        let port = server.url.rsplit_once(':').unwrap().1;
        let seen = what(connect(&format!("http://agent.test:{port}/"))).await;
        assert!(seen.starts_with("http://agent.test:"), "{seen}");
    }

    #[tokio::test]
    async fn what_cannot_be_reached_is_named_by_its_host_alone() {
        let closed = closed_port();
        for preflight in [connect(&format!("{closed}/ping/s3cr3t")), get(format!("{closed}/ping/s3cr3t"))] {
            let reason = reason(preflight).await;
            assert!(reason.starts_with(&format!("{closed}: ")) && reason.contains("refused"), "{reason}");
            assert!(!reason.contains("s3cr3t"), "{reason}");
        }
        let reason = reason(connect("https://nowhere.test/s3cr3t")).await;
        assert_eq!(reason, "https://nowhere.test: there is no nowhere.test");
    }

    #[tokio::test]
    async fn a_connection_ends_with_tls_that_is_verified() {
        let server = Loopback::with_status(200).await;
        let address = server.url.replace("http://", "https://");
        let reason = reason(connect(&format!("{address}/s3cr3t"))).await;
        assert!(reason.starts_with(&format!("{address}: ")) && !reason.contains("s3cr3t"), "{reason}");
    }

    #[tokio::test]
    async fn who_is_silent_is_not_waited_for() {
        let server = Loopback::start(|_, _| Reply::Hang).await;
        let tried = sender().try_out(&get(format!("{}/s3cr3t", server.url)), Duration::from_secs(1)).await;
        let reason = format!("{}: no answer within 1 s", server.url);
        assert_eq!(tried, Tried::Failed { reason });
    }

    #[tokio::test]
    async fn what_is_behind_a_proxy_is_not_taken_for_reached() {
        let env = Environment::default().with("https_proxy", "http://127.0.0.1:9".to_owned());
        let sender = Sender::new(&env, Arc::clone(&sender().names)).unwrap();
        let tried = sender.try_out(&connect("https://nowhere.test/s3cr3t"), LIMIT).await;
        let what =
            "https://nowhere.test is behind a proxy; it was not asked, because it would count".to_owned();
        assert_eq!(tried, Tried::Seen { what });
    }

    #[tokio::test]
    async fn a_local_socket_has_to_be_there_and_udp_tells_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("socket");
        let socket = |address: String| Preflight::Socket { address };
        let address = format!("unix://{}", path.display());
        let missing = reason(socket(address.clone())).await;
        assert!(missing.contains("No such file"), "{missing}");
        let listener = std::os::unix::net::UnixDatagram::bind(&path).unwrap();
        listener.set_nonblocking(true).unwrap();
        assert!(what(socket(address)).await.ends_with("can be connected to"));
        assert!(listener.recv(&mut [0; 1]).is_err(), "nothing is written");
        assert!(what(socket("agent.test:8125".to_owned())).await.contains("UDP does not tell"));
        assert!(reason(socket("nowhere.test:8125".to_owned())).await.contains("there is no nowhere.test"));
    }

    #[tokio::test]
    async fn a_directory_has_to_take_a_file_and_keeps_none() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().to_owned();
        assert!(what(Preflight::Directory { path: path.clone() }).await.ends_with("can be written"));
        assert_eq!(std::fs::read_dir(&path).unwrap().count(), 0);
        let missing = reason(Preflight::Directory { path: path.join("missing") }).await;
        assert!(missing.starts_with("cannot write to ") && missing.contains("No such file"), "{missing}");
    }
}
