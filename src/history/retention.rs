//! How much is kept, and the removal of the rest, oldest first.

use std::collections::HashMap;

use rusqlite::Connection;

use super::error::Refused;

/// Runs that are kept of each subject.
pub const MAX_RUNS_OF_SUBJECT: usize = 1_000;
/// Runs that are kept in all.
pub const MAX_RUNS: usize = 10_000;
/// Tests that are kept in all runs together: about 300 MB of them. The newest run is kept in any case.
pub const MAX_TESTS: u64 = 1_000_000;

/// Runs that are removed at a time, so that no run has to pay for many others.
const AT_ONCE: usize = 20;

/// What is kept.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) of_subject: usize,
    pub(super) runs: usize,
    pub(super) tests: u64,
}

pub(super) const LIMITS: Limits =
    Limits { of_subject: MAX_RUNS_OF_SUBJECT, runs: MAX_RUNS, tests: MAX_TESTS };

/// Removes the oldest of the runs that are too many, and what is known through them alone.
pub(super) fn apply(database: &Connection, limits: Limits) -> Result<(), Refused> {
    let mut select = database.prepare("SELECT seq, subject, selected FROM runs ORDER BY seq DESC")?;
    let rows = select.query_map((), |row| {
        let selected: i64 = row.get(2)?;
        Ok((row.get(0)?, row.get(1)?, selected.unsigned_abs()))
    })?;
    let runs: Vec<(i64, i64, u64)> = rows.collect::<Result<_, _>>()?;
    let too_many = beyond(&runs, limits);
    if too_many.is_empty() {
        return Ok(());
    }
    let mut delete = database.prepare("DELETE FROM runs WHERE seq = ?1")?;
    // The newest of them come first.
    for (seq, _) in too_many.iter().rev().take(AT_ONCE) {
        delete.execute([seq])?;
    }
    for (_, subject) in too_many.iter().rev().take(AT_ONCE) {
        // Durations of tests that no kept run has, such as those that were renamed.
        database.execute(
            "DELETE FROM durations WHERE subject = ?1
             AND last < (SELECT min(seq) FROM runs WHERE runs.subject = ?1)",
            [subject],
        )?;
        database.execute(
            "DELETE FROM subjects WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM runs WHERE runs.subject = ?1)",
            [subject],
        )?;
    }
    Ok(())
}

/// Those of the runs (number, subject, tests; newest first) that are beyond a limit, in that order.
fn beyond(runs: &[(i64, i64, u64)], limits: Limits) -> Vec<(i64, i64)> {
    let mut of_subject: HashMap<i64, usize> = HashMap::new();
    let (mut kept, mut tests) = (0, 0_u64);
    let mut beyond = Vec::new();
    for &(seq, subject, selected) in runs {
        let same = of_subject.entry(subject).or_default();
        let fits = *same < limits.of_subject
            && kept < limits.runs
            && (kept == 0 || tests.saturating_add(selected) <= limits.tests);
        if fits {
            *same += 1;
            kept += 1;
            tests = tests.saturating_add(selected);
        } else {
            beyond.push((seq, subject));
        }
    }
    beyond
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { of_subject: 2, runs: 4, tests: 100 };

    #[test]
    fn the_oldest_runs_of_a_subject_go_first() {
        let runs = [(6, 1, 1), (5, 2, 1), (4, 1, 1), (3, 1, 1), (2, 2, 1), (1, 1, 1)];
        assert_eq!(beyond(&runs, LIMITS), [(3, 1), (1, 1)]);
    }

    #[test]
    fn the_oldest_of_all_runs_go_where_there_are_many_subjects() {
        let runs = [(6, 6, 1), (5, 5, 1), (4, 4, 1), (3, 3, 1), (2, 2, 1), (1, 1, 1)];
        assert_eq!(beyond(&runs, LIMITS), [(2, 2), (1, 1)]);
    }

    #[test]
    fn runs_of_many_tests_push_others_out_but_the_newest_stays() {
        assert_eq!(beyond(&[(3, 3, 60), (2, 2, 60), (1, 1, 30)], LIMITS), [(2, 2)]);
        assert_eq!(beyond(&[(2, 2, 1000), (1, 1, 1)], LIMITS), [(1, 1)]);
    }
}
