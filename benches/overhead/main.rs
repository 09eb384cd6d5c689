//! What docker-test costs, measured against what it stands on: the engine's own calls, and the shell script that people
//! would write instead. Contenders take turns in one run, so that a busy machine is busy for all of them.
//!
//! `cargo bench --bench overhead`, with `BENCH_ROUNDS` rounds (15 by default). Prints a table and leaves
//! `target/bench/overhead.json`. A target that is missed is said, and is no error: an exit code other than 0 means
//! that something could not be measured.

mod child;
mod cold;
mod ground;
mod raw;
mod reading;
mod startup;
mod table;
mod warm;

use std::error::Error;
use std::io::Write;
use std::process::ExitCode;

use ground::Ground;
use table::Report;

/// Any error, with its story in its text.
pub(crate) type Failure = Box<dyn Error + Send + Sync>;

/// Contenders take this many turns unless `BENCH_ROUNDS` says otherwise.
const ROUNDS: usize = 15;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match arguments.split_first() {
        Some((first, rest)) if first == child::FLAG => child::run(rest),
        _ => bench(),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("cannot measure: {error}\n"));
            ExitCode::FAILURE
        }
    }
}

fn bench() -> Result<(), Failure> {
    let rounds = match std::env::var("BENCH_ROUNDS") {
        Ok(text) => {
            text.parse().ok().filter(|rounds| *rounds > 0).ok_or("BENCH_ROUNDS is not a number above 0")?
        }
        Err(_) => ROUNDS,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        tokio::select! {
            outcome = all(rounds) => outcome,
            // The ground is dropped with the losing branch, and takes everything with it.
            _ = tokio::signal::ctrl_c() => Err("interrupted".into()),
        }
    })
}

async fn all(rounds: usize) -> Result<(), Failure> {
    let ground = Ground::prepare().await?;
    let mut report = Report::new(rounds, &ground.engine);
    warm::measure(&ground, rounds, &mut report).await?;
    cold::measure(&ground, rounds.div_ceil(3), &mut report).await?;
    startup::measure(&ground, rounds * 2, &mut report)?;
    reading::measure(&ground, rounds.div_ceil(3), &mut report)?;
    say(&report.table());
    let path = report.save()?;
    say(&format!("\n{}\n", path.display()));
    Ok(())
}

/// Tells people. A reader that has gone away is no error.
pub(crate) fn say(text: &str) {
    let _ = std::io::stdout().lock().write_all(text.as_bytes());
}
