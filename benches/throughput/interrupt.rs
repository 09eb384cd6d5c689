//! From Ctrl-C to the end, with many containers that do not heed it.

use std::process::Stdio;
use std::time::{Duration, Instant};

use bollard::Docker;
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, KillContainerOptions, StartContainerOptions, WaitContainerOptionsBuilder,
};
use futures_util::future::try_join_all;
use futures_util::stream::{self, StreamExt, TryStreamExt};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::process::Child;
use tokio::time::sleep;

use crate::entry::Failure;
use crate::ground::{Ground, docker};
use crate::raw::{self, Life};
use crate::suite::Suite;
use crate::table::{Report, Series, Target};

/// The first process of a container ignores signals that it has no handler for.
const COMMAND: [&str; 2] = ["sleep", "600"];

/// Containers that are started at the same time.
const STARTS: usize = 8;

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
    let suite = Suite::write(ground, "interrupt", containers, &COMMAND)?;
    let mut grace = Series::seconds("grace period");
    let mut end = Series::seconds(&format!("Ctrl-C to the end, {containers} running"));
    let mut floor = Series::seconds(&format!("raw calls that kill, empty and remove {containers}"));
    let client = raw::connect(&ground.http).await?;
    for round in 1..=rounds {
        grace.push(GRACE.as_secs_f64());
        end.push(interrupted(ground, &suite, containers).await?.as_secs_f64());
        let image = suite.test_image();
        let life = Life { image: &image, command: &COMMAND, network: None, inspected: false };
        let names: Vec<String> =
            (1..=containers).map(|number| format!("{}-killed-{round}-{number}", ground.prefix)).collect();
        floor.push(killed(&client, life, &names).await?.as_secs_f64());
    }
    report.difference("Ctrl-C to the end, beyond the grace", &end, &grace, Target::AtMost(BEYOND));
    report.add(end);
    report.add(grace);
    report.add(floor);
    Ok(())
}

/// How long it takes to kill containers that run, all at once, and to take away what they leave.
async fn killed(docker: &Docker, life: Life<'_>, names: &[String]) -> Result<Duration, Failure> {
    let begun = stream::iter(names).map(async |name| {
        let options = CreateContainerOptionsBuilder::new().name(name).build();
        docker.create_container(Some(options), raw::body(life)).await?;
        docker.start_container(name, None::<StartContainerOptions>).await
    });
    begun.buffer_unordered(STARTS).try_collect::<()>().await?;
    let before = Instant::now();
    let ends = names.iter().map(async |name| {
        docker.kill_container(name, None::<KillContainerOptions>).await?;
        let options = WaitContainerOptionsBuilder::new().condition("not-running").build();
        // Its exit code is that of a killed process, which the client takes for an error.
        let _ended = docker.wait_container(name, Some(options)).next().await;
        raw::clear(docker, name).await
    });
    try_join_all(ends).await?;
    Ok(before.elapsed())
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
