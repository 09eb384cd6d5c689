//! What docker-test costs, measured against what it stands on: the engine's own calls, and the shell script that people
//! would write instead. Contenders take turns in one run, so that a busy machine is busy for all of them.
//!
//! `cargo bench --bench overhead`, with `BENCH_ROUNDS` rounds (15 by default). Prints a table and leaves
//! `target/bench/overhead.json`. A target that is missed is said, and is no error: an exit code other than 0 means
//! that something could not be measured.

mod child;
mod cold;
#[path = "../shared/entry.rs"]
mod entry;
#[path = "../shared/ground.rs"]
mod ground;
#[path = "../shared/peak.rs"]
mod peak;
mod project;
#[path = "../shared/raw.rs"]
mod raw;
mod reading;
mod startup;
#[path = "../shared/table.rs"]
#[expect(dead_code, reason = "each bench takes what it needs of it")]
mod table;
mod warm;

use std::process::ExitCode;

use entry::{Failure, say};
use ground::Ground;
use table::Report;

/// Contenders take this many turns unless `BENCH_ROUNDS` says otherwise.
const ROUNDS: usize = 15;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    entry::exit(match arguments.split_first() {
        Some((first, rest)) if first == peak::FLAG => child::run(rest),
        _ => entry::number("BENCH_ROUNDS", ROUNDS).and_then(|rounds| entry::until_interrupted(all(rounds))),
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
    let path = report.save("overhead")?;
    say(&format!("\n{}\n", path.display()));
    Ok(())
}
