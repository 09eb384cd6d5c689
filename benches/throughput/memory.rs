//! Peak memory of a run of very many tests.

use crate::entry::Failure;
use crate::ground::Ground;
use crate::peak::peak_of_program;
use crate::suite::Suite;
use crate::table::{Report, Series, Target};

/// In MB.
const MOST: f64 = 60.0;

pub(crate) fn measure(ground: &Ground, tests: usize, report: &mut Report) -> Result<(), Failure> {
    let suite = Suite::write(ground, "memory", tests, &["true"])?;
    let mut memory = Series::megabytes(&format!("peak memory of {tests} tests"));
    memory.push(peak_of_program(ground, &["run", "-j", "16"], &suite.directory)?);
    report.limit(&memory, Target::AtMost(MOST));
    report.add(memory);
    Ok(())
}
