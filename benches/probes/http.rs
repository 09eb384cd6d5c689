//! Requests of HTTP: the check, the peer, and what a connection and an answer cost without either.
//!
//! All of them make a new connection to the target for each probe. The peer is asked over connections that stay open, one
//! for each probe in flight, so that asking it costs it and us as little as can be.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use docker_test::check::{Check, Surroundings};
use docker_test::probe::State;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::entry::Failure;
use crate::real;
use crate::server::{Server, length};
use crate::table::{Report, Series, Target};

/// Probes at a time.
const IN_FLIGHT: [usize; 3] = [1, 64, 1024];

/// How long a probe may take.
const LIMIT: Duration = Duration::from_secs(10);

/// The fixture's name.
const FIXTURE: &str = "blackbox@bench";

/// What was measured with so many at a time.
struct Lane {
    in_flight: usize,
    check: Series,
    peer: Series,
    floor: Series,
}

impl Lane {
    fn new(in_flight: usize) -> Self {
        let series = |name: &str| Series::of(&format!("{name}, {in_flight} in flight"), "probes/s");
        Self {
            in_flight,
            check: series("check"),
            peer: series("blackbox"),
            floor: series("connection alone"),
        }
    }

    fn told(self, report: &mut Report) {
        if !self.peer.is_empty() {
            let name = format!("check ÷ blackbox, {} in flight", self.in_flight);
            report.ratio(&name, &self.check, &self.peer, Target::AtLeast(3.0));
        }
        for series in [self.check, self.peer, self.floor] {
            report.add(series);
        }
    }
}

/// Those who take turns.
#[derive(Clone)]
enum Contender {
    Check(Arc<(Check, Surroundings)>),
    /// Where it listens, and what it is asked.
    Peer(Arc<(String, String)>),
    Floor(Arc<(String, String)>),
}

pub(crate) async fn measure(
    target: &Server,
    rounds: usize,
    turn: Duration,
    report: &mut Report,
) -> Result<(), Failure> {
    let check: Check = serde_json::from_value(serde_json::json!({ "http": target.url() }))?;
    let surroundings =
        Surroundings::new(Vec::new(), std::env::temp_dir(), Arc::new(rustls::RootCertStore::empty()))?;
    let request = format!("GET /health HTTP/1.1\r\nhost: {}\r\n\r\n", target.address);
    let mut contenders = vec![
        Contender::Check(Arc::new((check, surroundings))),
        Contender::Floor(Arc::new((target.address.clone(), request))),
    ];
    let peer = Peer::start();
    match &peer {
        Ok(peer) => {
            let path = format!("/probe?module=http_2xx&target={}", target.url());
            let request = format!("GET {path} HTTP/1.1\r\nhost: {}\r\n\r\n", peer.address);
            contenders.push(Contender::Peer(Arc::new((peer.address.clone(), request))));
        }
        Err(error) => report.note(&format!("nothing was measured of prometheus-blackbox-exporter: {error}")),
    }
    let mut lanes = IN_FLIGHT.map(Lane::new);
    for lane in &mut lanes {
        for contender in &contenders {
            rate(contender, lane.in_flight, turn / 4).await?;
        }
    }
    for _ in 0..rounds {
        for lane in &mut lanes {
            for contender in &contenders {
                let rate = rate(contender, lane.in_flight, turn).await?;
                match contender {
                    Contender::Check(_) => lane.check.push(rate),
                    Contender::Peer(_) => lane.peer.push(rate),
                    Contender::Floor(_) => lane.floor.push(rate),
                }
            }
            // Nobody always comes after the same one.
            contenders.rotate_left(1);
        }
    }
    for lane in lanes {
        lane.told(report);
    }
    report.note(
        "each probe makes a new connection to the target; blackbox is asked over connections that stay open, by a client \
         that shares the machine with it",
    );
    Ok(())
}

/// Probes a second, by as many tasks as there are probes in flight.
async fn rate(contender: &Contender, in_flight: usize, turn: Duration) -> Result<f64, Failure> {
    let done = Arc::new(AtomicUsize::new(0));
    let begun = Instant::now();
    let mut tasks = JoinSet::new();
    for _ in 0..in_flight {
        tasks.spawn(probe(contender.clone(), Arc::clone(&done), begun + turn));
    }
    while let Some(ended) = tasks.join_next().await {
        ended??;
    }
    Ok(real(done.load(Ordering::Relaxed)) / begun.elapsed().as_secs_f64())
}

async fn probe(contender: Contender, done: Arc<AtomicUsize>, end: Instant) -> Result<(), Failure> {
    let stop = CancellationToken::new();
    let mut kept = None;
    while Instant::now() < end {
        match &contender {
            Contender::Check(check) => {
                let (check, surroundings) = &**check;
                let looked = check.run(surroundings, LIMIT, &stop).await?;
                if looked.seen.state != State::Ok {
                    return Err(looked.seen.summary.into());
                }
            }
            Contender::Peer(asked) => {
                let (address, request) = &**asked;
                let stream = match &mut kept {
                    Some(stream) => stream,
                    None => kept.insert(TcpStream::connect(address).await?),
                };
                let answer = Box::pin(exchange(stream, request)).await?;
                if !answer.contains("\nprobe_success 1") {
                    return Err(format!("blackbox found the target bad: {answer}").into());
                }
            }
            Contender::Floor(asked) => {
                let (address, request) = &**asked;
                let answer = Box::pin(exchange(&mut TcpStream::connect(address).await?, request)).await?;
                if !answer.starts_with("HTTP/1.1 200") {
                    return Err(answer.into());
                }
            }
        }
        done.fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
}

/// Sends a request and reads its answer, to the end that its header tells.
async fn exchange(stream: &mut TcpStream, request: &str) -> Result<String, Failure> {
    stream.write_all(request.as_bytes()).await?;
    let (mut bytes, mut chunk) = (Vec::new(), [0; 16 * 1024]);
    loop {
        let size = stream.read(&mut chunk).await?;
        bytes.extend_from_slice(&chunk[..size]);
        let head = bytes.windows(4).position(|four| four == b"\r\n\r\n").map(|at| at + 4);
        let is_whole = head.is_some_and(|head| match length(&bytes[..head]) {
            Some(length) => bytes.len() >= head + length,
            None => bytes.ends_with(b"\r\n0\r\n\r\n"),
        });
        if is_whole {
            let text = String::from_utf8(bytes)?;
            return Ok(match text.split_once("\r\n\r\n") {
                Some((head, body)) if length(head.as_bytes()).is_none() => joined(body),
                _ => text,
            });
        }
        if size == 0 {
            return Err("an answer ended early".into());
        }
    }
}

/// The text of a body that was sent in chunks.
fn joined(mut body: &str) -> String {
    let mut text = String::new();
    while let Some((size, rest)) = body.split_once("\r\n") {
        let Ok(size @ 1..) = usize::from_str_radix(size, 16) else { break };
        text.push_str(rest.get(..size).unwrap_or_default());
        body = rest.get(size + 2..).unwrap_or_default();
    }
    text
}

/// The peer, until it is dropped.
struct Peer {
    address: String,
}

impl Peer {
    fn start() -> Result<Self, Failure> {
        let output = fixture("up")?;
        let address = output.lines().find_map(|line| line.strip_prefix("BLACKBOX_ADDR="));
        Ok(Self { address: address.ok_or("the fixture does not say where it listens")?.to_owned() })
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _left_to_the_user = fixture("down");
    }
}

fn fixture(action: &str) -> Result<String, Failure> {
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/fixture");
    let output = Command::new(program).args([FIXTURE, action]).output()?;
    if output.status.success() {
        return Ok(String::from_utf8(output.stdout)?);
    }
    Err(format!("scripts/fixture {FIXTURE} {action}: {}", String::from_utf8_lossy(&output.stderr)).into())
}
