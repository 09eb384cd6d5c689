//! Taking results out: many cases, and an archive far larger than the memory it may use.

use crate::child::{self, Task};
use crate::entry::Failure;
use crate::ground::Ground;
use crate::table::{Report, Series, Target};

/// Memory that a sixteen times larger archive may cost.
const GROWTH: f64 = 4.0;

pub(crate) fn measure(ground: &Ground, rounds: usize, report: &mut Report) -> Result<(), Failure> {
    let directory = ground.directory("reading")?;
    let mut cases = Series::milliseconds("reading 10,000 JUnit cases");
    let mut cases_memory = Series::megabytes("its peak memory");
    for _ in 0..rounds {
        let done = child::run_task(Task::Cases, &directory)?;
        cases.push(done.milliseconds);
        cases_memory.push(done.peak);
    }
    let mut small = Series::megabytes("peak memory, archive of 64 MB");
    let mut large = Series::megabytes("peak memory, archive of 1 GB");
    let mut speed = Series::milliseconds("taking out an archive of 1 GB");
    for _ in 0..rounds.min(3) {
        small.push(child::run_task(Task::SmallArchive, &directory)?.peak);
        let done = child::run_task(Task::LargeArchive, &directory)?;
        large.push(done.peak);
        speed.push(done.milliseconds);
    }
    report.difference("memory of 1 GB more than of 64 MB", &large, &small, Target::AtMost(GROWTH));
    for series in [cases, cases_memory, speed, large, small] {
        report.add(series);
    }
    Ok(())
}
