//! The harness around a command that does nothing, beside that command alone.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use crate::directory;
use crate::entry::Failure;
use crate::server::Server;
use crate::table::{Report, Series, Target};

const HARNESS: &str = env!("CARGO_BIN_EXE_docker-test-harness");
const COMMAND: &str = "/bin/true";

/// Pairs in a round: what is measured is shorter than what disturbs it.
const PAIRS: usize = 40;

/// A state that is kept, and a sink that takes what is sent to it.
struct Deployment<'a> {
    state: &'a Path,
    sink: String,
}

pub(crate) fn measure(target: &Server, rounds: usize, report: &mut Report) -> Result<(), Failure> {
    let state = directory()?;
    let deployment = Deployment { state: state.path(), sink: target.url() };
    let mut bare = Series::milliseconds("/bin/true");
    let mut plain = Series::milliseconds("harness");
    let mut lasting = Series::milliseconds("harness with a state directory and a sink");
    for round in 0..=rounds * PAIRS {
        let samples = [
            time(COMMAND, &[], None)?,
            time(HARNESS, &["--", COMMAND], None)?,
            time(HARNESS, &["--", COMMAND], Some(&deployment))?,
        ];
        if round > 0 {
            for (series, sample) in [&mut bare, &mut plain, &mut lasting].into_iter().zip(samples) {
                series.push(sample);
            }
        }
    }
    report.difference("harness − /bin/true", &plain, &bare, Target::AtMost(10.0));
    report.difference("harness with state and a sink − /bin/true", &lasting, &bare, Target::AtMost(10.0));
    if std::fs::read_dir(state.path())?.next().is_none() {
        return Err("the harness has kept nothing".into());
    }
    for series in [bare, plain, lasting] {
        report.add(series);
    }
    Ok(())
}

/// Milliseconds from start to exit.
fn time(program: &str, arguments: &[&str], deployment: Option<&Deployment<'_>>) -> Result<f64, Failure> {
    let mut command = Command::new(program);
    command.args(arguments).env_clear().env("PATH", "/usr/bin:/bin").env("DOCKER_TEST_NAME", "bench");
    if let Some(Deployment { state, sink }) = deployment {
        command.env("DOCKER_TEST_STATE_DIR", state).env("PING_URL", sink);
    }
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let before = Instant::now();
    let status = command.status()?;
    let taken = before.elapsed();
    if status.success() {
        Ok(taken.as_secs_f64() * 1000.0)
    } else {
        Err(format!("{command:?}: {status}").into())
    }
}
