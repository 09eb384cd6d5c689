//! What has to be instant, because the Docker CLI or a person waits for nothing else.

use std::process::{Command, Stdio};
use std::time::Instant;

use crate::entry::Failure;
use crate::ground::{Ground, PROGRAM};
use crate::table::{Report, Series, Target};

pub(crate) fn measure(ground: &Ground, rounds: usize, report: &mut Report) -> Result<(), Failure> {
    let mut version = Series::milliseconds("--version");
    let mut metadata = Series::milliseconds("plugin metadata");
    let mut nothing = Series::milliseconds("/bin/true, for comparison");
    for round in 0..=rounds {
        let samples = [
            time(ground, PROGRAM, &["--version"])?,
            time(ground, PROGRAM, &["docker-cli-plugin-metadata"])?,
            time(ground, "/bin/true", &[])?,
        ];
        if round > 0 {
            for (series, sample) in [&mut version, &mut metadata, &mut nothing].into_iter().zip(samples) {
                series.push(sample);
            }
        }
    }
    report.limit(&version, Target::AtMost(10.0));
    report.limit(&metadata, Target::AtMost(10.0));
    for series in [version, metadata, nothing] {
        report.add(series);
    }
    Ok(())
}

fn time(ground: &Ground, program: &str, arguments: &[&str]) -> Result<f64, Failure> {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    ground.surround(&mut command);
    let before = Instant::now();
    let status = command.status()?;
    let taken = before.elapsed();
    if status.success() {
        Ok(taken.as_secs_f64() * 1000.0)
    } else {
        Err(format!("{command:?}: {status}").into())
    }
}
