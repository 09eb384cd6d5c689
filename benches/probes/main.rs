//! What probes cost: requests of HTTP beside Debian's prometheus-blackbox-exporter, the daemon's schedule and memory, the
//! outbox beside SQLite alone, and the harness beside the bare command. Contenders take turns, so that a busy machine is
//! busy for all of them.
//!
//! `cargo bench --bench probes [-- NAME…]`, with `http`, `daemon`, `outbox` and `harness` as names, in `BENCH_ROUNDS`
//! rounds (5 by default) of `BENCH_SECONDS` (2 by default), with `BENCH_PROBES` in the daemon (10,000 by default). Prints
//! a table and leaves `target/bench/probes.json`. A target that is missed is said, and is no error.

mod daemon;
#[path = "../shared/entry.rs"]
mod entry;
mod harness;
mod http;
mod outbox;
mod server;
#[path = "../shared/table.rs"]
#[expect(dead_code, reason = "each bench takes what it needs of it")]
mod table;

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use entry::{Failure, say};
use table::Report;
use tempfile::TempDir;

/// Contenders take this many turns unless `BENCH_ROUNDS` says otherwise.
const ROUNDS: usize = 5;

/// Seconds of a turn unless `BENCH_SECONDS` says otherwise.
const SECONDS: usize = 2;

/// Probes of the daemon unless `BENCH_PROBES` says otherwise.
const PROBES: usize = 10_000;

/// Says that this process is a child.
const FLAG: &str = "--child";

/// What there is to be measured.
const NAMES: [&str; 4] = ["http", "daemon", "outbox", "harness"];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    entry::exit(match words.as_slice() {
        [FLAG, server::TASK] => server::serve(),
        [FLAG, daemon::TASK, probes, target, directory] => {
            daemon::watch(probes, target, Path::new(directory))
        }
        names => match names.iter().find(|name| !NAMES.contains(name)) {
            Some(name) => Err(format!("nothing is called {name}: there are {}", NAMES.join(", ")).into()),
            None => bench(names),
        },
    })
}

fn bench(names: &[&str]) -> Result<(), Failure> {
    let rounds = entry::number("BENCH_ROUNDS", ROUNDS)?;
    let seconds = entry::number("BENCH_SECONDS", SECONDS)?;
    let probes = entry::number("BENCH_PROBES", PROBES)?;
    let is_asked_for = |name: &str| names.is_empty() || names.contains(&name);
    entry::until_interrupted(async {
        let turn = Duration::from_secs(u64::try_from(seconds)?);
        let target = server::Server::start()?;
        let mut report = Report::new(rounds, "loopback");
        if is_asked_for("http") {
            http::measure(&target, rounds, turn, &mut report).await?;
        }
        if is_asked_for("outbox") {
            outbox::measure(&target, rounds, turn, &mut report).await?;
        }
        if is_asked_for("harness") {
            harness::measure(&target, rounds, &mut report)?;
        }
        if is_asked_for("daemon") {
            daemon::measure(&target, probes, &mut report).await?;
        }
        say(&report.table());
        let path = report.save("probes")?;
        say(&format!("\n{}\n", path.display()));
        Ok(())
    })
}

/// A directory on the disk that builds are on, removed when dropped.
fn directory() -> Result<TempDir, Failure> {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR"));
    std::fs::create_dir_all(target)?;
    Ok(tempfile::Builder::new().prefix("bench-").tempdir_in(target)?)
}

/// A number of things as one that can be divided.
fn real(number: usize) -> f64 {
    u32::try_from(number).map_or(f64::INFINITY, f64::from)
}
