//! From Ctrl-C to the end, with many containers that do not heed it.

use std::process::Stdio;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::process::Child;
use tokio::time::sleep;

use crate::entry::Failure;
use crate::ground::{Ground, docker};
use crate::suite::Suite;
use crate::table::{Report, Series, Target};

const GRACE: Duration = Duration::from_secs(2);

/// What the end may take beyond the grace period, in seconds.
const BEYOND: f64 = 3.0;

/// All of the containers run within that.
const STARTED_WITHIN: Duration = Duration::from_mins(5);

/// The exit code of a run that SIGINT has ended.
const INTERRUPTED: i32 = 130;

pub(crate) async fn measure(
    ground: &Ground,
    rounds: usize,
    containers: usize,
    report: &mut Report,
) -> Result<(), Failure> {
    // The first process of a container ignores signals that it has no handler for.
    let suite = Suite::write(ground, "interrupt", containers, &["sleep", "600"])?;
    let mut grace = Series::seconds("grace period");
    let mut end = Series::seconds(&format!("Ctrl-C to the end, {containers} running"));
    for _ in 0..rounds {
        grace.push(GRACE.as_secs_f64());
        end.push(interrupted(ground, &suite, containers).await?.as_secs_f64());
    }
    report.difference("Ctrl-C to the end, beyond the grace", &end, &grace, Target::AtMost(BEYOND));
    report.add(end);
    report.add(grace);
    Ok(())
}

async fn interrupted(ground: &Ground, suite: &Suite, containers: usize) -> Result<Duration, Failure> {
    let grace = format!("{}s", GRACE.as_secs());
    let jobs = containers.to_string();
    let arguments = ["run", "--quiet", "-j", &jobs, "--grace-period", &grace];
    let mut command = ground.docker_test(&arguments, &suite.directory);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    let mut child = command.spawn()?;
    let filter = format!("ancestor={}", suite.test_image());
    let before = Instant::now();
    while docker(&["ps", "-q", "--filter", &filter]).unwrap_or_default().lines().count() < containers {
        if before.elapsed() > STARTED_WITHIN || child.try_wait()?.is_some() {
            return Err(format!("{containers} containers did not come to run").into());
        }
        sleep(Duration::from_millis(200)).await;
    }
    let taken = end(&mut child).await?;
    match docker(&["ps", "-aq", "--filter", &filter])?.lines().count() {
        0 => Ok(taken),
        left => Err(format!("{left} containers are left after Ctrl-C").into()),
    }
}

async fn end(child: &mut Child) -> Result<Duration, Failure> {
    let id = child.id().ok_or("docker-test has ended by itself")?;
    let before = Instant::now();
    kill(Pid::from_raw(i32::try_from(id)?), Signal::SIGINT)?;
    let status = child.wait().await?;
    let taken = before.elapsed();
    if status.code() == Some(INTERRUPTED) {
        Ok(taken)
    } else {
        Err(format!("docker-test ended with {status} after Ctrl-C").into())
    }
}
