//! What many tests cost in one run, measured against what they stand on: the engine's own calls, as many at a time, and
//! the `xargs` line that people would write instead. Contenders take turns, so that a busy machine is busy for all of
//! them.
//!
//! `cargo bench --bench throughput`, with `BENCH_TESTS` tests (200 by default) in `BENCH_ROUNDS` rounds (3 by default).
//! Prints a table and leaves `target/bench/throughput.json`. A target that is missed is said, and is no error: an exit
//! code other than 0 means that something could not be measured, or that a run left something behind.

mod contest;
#[path = "../shared/entry.rs"]
mod entry;
#[path = "../shared/ground.rs"]
mod ground;
mod interrupt;
mod memory;
#[path = "../shared/peak.rs"]
mod peak;
#[path = "../shared/raw.rs"]
mod raw;
mod suite;
#[path = "../shared/table.rs"]
#[expect(dead_code, reason = "each bench takes what it needs of it")]
mod table;

use std::process::ExitCode;

use entry::{Failure, say};
use ground::Ground;
use table::Report;

/// Contenders take this many turns unless `BENCH_ROUNDS` says otherwise.
const ROUNDS: usize = 3;

/// Containers of a turn unless `BENCH_TESTS` says otherwise. Memory takes five times as many, an interrupt a quarter.
const TESTS: usize = 200;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    entry::exit(match words.as_slice() {
        [peak::FLAG, peak::PEAK, program, rest @ ..] => peak::measure(program, rest),
        _ => bench(),
    })
}

fn bench() -> Result<(), Failure> {
    let rounds = entry::number("BENCH_ROUNDS", ROUNDS)?;
    let tests = entry::number("BENCH_TESTS", TESTS)?;
    entry::until_interrupted(all(rounds, tests))
}

async fn all(rounds: usize, tests: usize) -> Result<(), Failure> {
    let ground = Ground::prepare().await?;
    let mut report = Report::new(rounds, &ground.engine);
    if tests < TESTS {
        report.note(&format!("with {tests} tests a run's beginning and end weigh more than with {TESTS}"));
    }
    contest::measure(&ground, rounds, tests, &mut report).await?;
    interrupt::measure(&ground, rounds, tests.div_ceil(4), &mut report).await?;
    memory::measure(&ground, tests * 5, &mut report)?;
    say(&report.table());
    let path = report.save("throughput")?;
    say(&format!("\n{}\n", path.display()));
    Ok(())
}
