//! As many trivial tests, by docker-test, by the engine's calls alone, and by `xargs`.

use std::time::{Duration, Instant};

use bollard::Docker;
use futures_util::StreamExt;
use futures_util::stream;
use tokio::process::Command;

use crate::entry::Failure;
use crate::ground::Ground;
use crate::raw::{self, Life};
use crate::suite::Suite;
use crate::table::{Report, Series, Target};

/// Tests at a time.
const JOBS: [usize; 3] = [1, 4, 16];

/// What all of the containers do.
const COMMAND: &str = "true";

/// What was measured with so many at a time.
struct Lane {
    jobs: usize,
    program: Series,
    floor: Series,
    xargs: Series,
}

impl Lane {
    fn new(jobs: usize) -> Self {
        Self {
            jobs,
            program: Series::seconds(&format!("run -j {jobs}")),
            floor: Series::seconds(&format!("raw calls, {jobs} at a time")),
            xargs: Series::seconds(&format!("xargs -P {jobs} docker run --rm")),
        }
    }

    fn told(self, tests: usize, report: &mut Report) {
        let Self { jobs, program, floor, xargs } = self;
        report.ratio(&format!("run -j {jobs} ÷ raw calls"), &program, &floor, Target::AtMost(1.05));
        report.ratio(&format!("run -j {jobs} ÷ xargs -P {jobs}"), &program, &xargs, Target::AtMost(0.90));
        let mut each = Series::milliseconds(&format!("a test of run -j {jobs}"));
        each.extend(u32::try_from(tests).ok().map(|tests| program.median() * 1000.0 / f64::from(tests)));
        for series in [program, floor, xargs, each] {
            report.add(series);
        }
    }
}

/// Those who take turns.
#[derive(Clone, Copy)]
enum Contender {
    Program,
    Floor,
    Xargs,
}

pub(crate) async fn measure(
    ground: &Ground,
    rounds: usize,
    tests: usize,
    report: &mut Report,
) -> Result<(), Failure> {
    let arena = Arena {
        ground,
        suite: Suite::write(ground, "contest", tests, &[COMMAND])?,
        client: raw::connect(&ground.http).await?,
        tests,
    };
    arena.warm().await?;
    let mut lanes = JOBS.map(Lane::new);
    let mut order = [Contender::Program, Contender::Floor, Contender::Xargs];
    for round in 1..=rounds {
        for lane in &mut lanes {
            for contender in order {
                let taken = arena.turn(contender, lane.jobs, round).await?.as_secs_f64();
                match contender {
                    Contender::Program => lane.program.push(taken),
                    Contender::Floor => lane.floor.push(taken),
                    Contender::Xargs => lane.xargs.push(taken),
                }
            }
            // Nobody always comes after the same one.
            order.rotate_left(1);
        }
    }
    for lane in lanes {
        lane.told(tests, report);
    }
    Ok(())
}

struct Arena<'a> {
    ground: &'a Ground,
    suite: Suite,
    client: Docker,
    tests: usize,
}

impl Arena<'_> {
    /// Builds the test image, and warms what can be warmed.
    async fn warm(&self) -> Result<(), Failure> {
        let one = ["run", "--quiet", "--select", "test-1"];
        self.ground.time(self.ground.docker_test(&one, &self.suite.directory)).await?;
        Ok(())
    }

    async fn turn(&self, contender: Contender, jobs: usize, round: usize) -> Result<Duration, Failure> {
        match contender {
            Contender::Program => {
                let jobs = jobs.to_string();
                let arguments = ["run", "--quiet", "-j", &jobs];
                self.ground.time(self.ground.docker_test(&arguments, &self.suite.directory)).await
            }
            Contender::Floor => self.lives(jobs, round).await,
            Contender::Xargs => {
                let Self { ground, suite, tests, .. } = self;
                let name = format!("{}-xargs-{round}-{jobs}", ground.prefix);
                let mut command = Command::new("sh");
                command.args([
                    "-c",
                    &format!(
                        "seq {tests} | xargs -P {jobs} -I N docker run --rm --name {name}-N {} {COMMAND}",
                        suite.image
                    ),
                ]);
                ground.time(command).await
            }
        }
    }

    async fn lives(&self, jobs: usize, round: usize) -> Result<Duration, Failure> {
        let image = self.suite.test_image();
        // The least that shows how a test has ended: its exit code comes with the wait.
        let life = Life { image: &image, command: &[COMMAND], network: None, inspected: false };
        let names = (1..=self.tests).map(|number| format!("{}-{round}-{jobs}-{number}", self.ground.prefix));
        // A suite without services is on the engine's default network, and so is this.
        let before = Instant::now();
        let lives = stream::iter(names)
            .map(|name| async move { raw::lifecycle(&self.client, life, &name).await })
            .buffer_unordered(jobs);
        let ended: Vec<_> = lives.collect().await;
        let taken = before.elapsed();
        for life in ended {
            life?;
        }
        Ok(taken)
    }
}
