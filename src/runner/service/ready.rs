//! Waits until a service is ready, and says what was missing where it never is.
//!
//! Owns how each condition is asked. A port is asked for at the container's own address; where that cannot be reached
//! from here, in the container itself.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

use super::watch::{Ended, Watch};
use crate::engine::transport::unverified;
use crate::engine::{Engine, EngineError};
use crate::metadata::duration;
use crate::suite::document::{Condition, DEFAULT_INTERVAL, DEFAULT_TIMEOUT, Http, Ready};

/// What one question may take.
const QUESTION: Duration = Duration::from_secs(5);
/// What a connection to a container on this machine may take.
const DIAL: Duration = Duration::from_secs(1);

/// Waits. The error is what to say after the service's name.
pub(super) async fn wait(
    engine: &Engine,
    container: &str,
    ready: Option<&Ready>,
    watch: &Watch,
) -> Result<(), String> {
    let limit = ready.map_or(DEFAULT_TIMEOUT, |ready| ready.timeout);
    let interval = ready.map_or(DEFAULT_INTERVAL, |ready| ready.interval);
    let condition = ready.map(|ready| &ready.condition);
    let until = Instant::now() + limit;
    if condition == Some(&Condition::Completed) {
        return match tokio::time::timeout_at(until, watch.ended()).await {
            Ok(ended) if ended.is_success() => Ok(()),
            Ok(ended) => Err(format!("{ended}, and should have ended with 0")),
            Err(_) => Err(format!("had not ended after {}", duration::human(limit))),
        };
    }
    let mut missing = "it was not asked yet".to_owned();
    loop {
        // Answers that are there at once must not keep the time limit from being seen.
        if Instant::now() >= until {
            return Err(format!("was not ready after {}: {missing}", duration::human(limit)));
        }
        let question = timeout(QUESTION, ask(engine, container, condition, watch));
        let answer = tokio::select! {
            biased;
            ended = watch.ended() => return Err(before_ready(&ended)),
            answer = question => answer,
            () = tokio::time::sleep_until(until) => {
                return Err(format!("was not ready after {}: {missing}", duration::human(limit)));
            }
        };
        match answer {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(Answer::Never(problem))) => return Err(problem),
            Ok(Err(Answer::NotYet(problem))) => missing = problem,
            Err(_) => missing = format!("no answer within {}", duration::human(QUESTION)),
        }
        tokio::select! {
            () = sleep(interval) => {}
            ended = watch.ended() => return Err(before_ready(&ended)),
        }
    }
}

fn before_ready(ended: &Ended) -> String {
    format!("{ended} before it was ready")
}

enum Answer {
    NotYet(String),
    Never(String),
}

impl From<EngineError> for Answer {
    fn from(error: EngineError) -> Self {
        Self::NotYet(error.to_string())
    }
}

async fn ask(
    engine: &Engine,
    container: &str,
    condition: Option<&Condition>,
    watch: &Watch,
) -> Result<(), Answer> {
    match condition {
        None => match engine.container_state(container).await?.health.as_deref() {
            Some("healthy") | None => Ok(()),
            Some(health) => Err(Answer::NotYet(format!("its health check says {health}"))),
        },
        // The end of one that is to end is the caller's to see.
        Some(Condition::Completed) => Ok(()),
        Some(Condition::Healthy) => match engine.container_state(container).await?.health.as_deref() {
            Some("healthy") => Ok(()),
            Some(health) => Err(Answer::NotYet(format!("its health check says {health}"))),
            None => Err(Answer::Never(
                "has no health check: give it a `healthcheck`, or another `ready`".to_owned(),
            )),
        },
        Some(Condition::Log { text, times }) => {
            let found = watch.matches();
            if found >= u64::from(*times) {
                return Ok(());
            }
            let text = text.as_written();
            Err(Answer::NotYet(format!("`{text}` was {found} times in its output, not {times}")))
        }
        Some(Condition::Exec(command)) => match engine.exec(container, command).await? {
            0 => Ok(()),
            code => Err(Answer::NotYet(format!("`{}` ended with {code}", command.join(" ")))),
        },
        Some(Condition::Port(port)) => listens(engine, container, *port).await,
        Some(Condition::Http(check)) => answers(engine, container, check).await,
    }
}

/// Where the container's ports can be reached from here, if they can.
async fn address(engine: &Engine, container: &str) -> Result<Option<IpAddr>, Answer> {
    if !engine.capabilities().local {
        return Ok(None);
    }
    Ok(engine.addresses(container).await?.into_iter().next())
}

async fn listens(engine: &Engine, container: &str, port: u16) -> Result<(), Answer> {
    let nobody = || Answer::NotYet(format!("nobody listens on port {port}"));
    if let Some(address) = address(engine, container).await? {
        match timeout(DIAL, TcpStream::connect(SocketAddr::new(address, port))).await {
            Ok(Ok(_)) => return Ok(()),
            Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionRefused => return Err(nobody()),
            // No way leads there from here.
            Ok(Err(_)) | Err(_) => {}
        }
    }
    // Lines of these tables: local address and port in hexadecimal, remote ones, state; 0A is LISTEN.
    let script =
        format!("cat /proc/net/tcp /proc/net/tcp6 2>/dev/null | grep -qi ':{port:04x} [0-9a-f:]* 0a '");
    match in_shell(engine, container, script).await? {
        0 => Ok(()),
        code => Err(without_shell(code).unwrap_or_else(nobody)),
    }
}

async fn answers(engine: &Engine, container: &str, check: &Http) -> Result<(), Answer> {
    let Http { port, path, .. } = check;
    let scheme = if check.tls { "https" } else { "http" };
    if let Some(address) = address(engine, container).await? {
        let url = format!("{scheme}://{}{path}", SocketAddr::new(address, *port));
        match get(&url).await {
            Ok(status) if accepts(check, status) => return Ok(()),
            Ok(status) => return Err(Answer::NotYet(format!("port {port} answered {path} with {status}"))),
            Err(error) if error.is_connect() && !error.is_timeout() && is_refused(&error) => {
                return Err(Answer::NotYet(format!("nobody listens on port {port}")));
            }
            Err(error) if !error.is_connect() && !error.is_timeout() => {
                return Err(Answer::NotYet(format!("port {port} did not answer {path}: {error}")));
            }
            Err(_) => {}
        }
    }
    if check.status.is_some_and(|status| status != 200) {
        return Err(Answer::Never(format!(
            "cannot be asked for a status other than 200 on this engine: its containers cannot be reached from \
             here; use `exec` or `log` (port {port})"
        )));
    }
    let url = quoted(&format!("{scheme}://127.0.0.1:{port}{path}"));
    let script = format!(
        "wget -q --no-check-certificate -O /dev/null {url} 2>/dev/null || curl -fksS -o /dev/null {url}"
    );
    match in_shell(engine, container, script).await? {
        0 => Ok(()),
        code => Err(without_shell(code)
            .unwrap_or_else(|| Answer::NotYet(format!("port {port} did not answer {path} well")))),
    }
}

fn accepts(check: &Http, status: u16) -> bool {
    check.status.map_or((200..400).contains(&status), |expected| expected == status)
}

async fn get(url: &str) -> Result<u16, reqwest::Error> {
    let builder = reqwest::Client::builder();
    let builder = match unverified() {
        Ok(tls) => builder.tls_backend_preconfigured(tls),
        // Plain HTTP needs none.
        Err(_) => builder,
    };
    let client = builder
        .no_proxy()
        .timeout(QUESTION)
        .connect_timeout(DIAL)
        .redirect(reqwest::redirect::Policy::none())
        .build()?;
    Ok(client.get(url).send().await?.status().as_u16())
}

fn is_refused(error: &reqwest::Error) -> bool {
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        if let Some(io) = cause.downcast_ref::<io::Error>() {
            return io.kind() == io::ErrorKind::ConnectionRefused;
        }
        source = cause.source();
    }
    false
}

async fn in_shell(engine: &Engine, container: &str, script: String) -> Result<i64, Answer> {
    Ok(engine.exec(container, &["sh".to_owned(), "-c".to_owned(), script]).await?)
}

/// What the exit code says about the shell, where it says anything.
fn without_shell(code: i64) -> Option<Answer> {
    matches!(code, 126 | 127).then(|| {
        Answer::Never(
            "cannot be asked: its address cannot be reached from here, and its image has no shell with `grep` and \
             `cat`; use `log` or `healthy`"
                .to_owned(),
        )
    })
}

/// One word to a shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_stays_one_word_in_the_shell() {
        assert_eq!(quoted("http://x/a'b; rm"), r"'http://x/a'\''b; rm'");
    }

    #[test]
    fn an_expected_status_is_the_only_good_one() {
        let check = |status| Http { port: 80, path: "/".to_owned(), status, tls: false };
        assert!(accepts(&check(None), 204) && accepts(&check(None), 301) && !accepts(&check(None), 404));
        assert!(accepts(&check(Some(404)), 404) && !accepts(&check(Some(404)), 200));
    }
}
