//! What many runs say about each test: how often it failed or was flaky, how long it takes.

use std::collections::BTreeMap;

use super::durations::median;
use super::outcome::{Verdict, has_duration, verdict};
use super::{History, HistoryError};
use crate::results::Outcome;

/// A test over several runs. Tests of different subjects are different tests, whatever their names.
#[derive(Debug, Clone, PartialEq)]
pub struct TestStatistics {
    /// Name of the test.
    pub name: String,
    /// What its runs were about.
    pub subject: String,
    /// How often it was judged: passed, failed or flaky.
    pub runs: u64,
    /// How often it passed at once.
    pub passed: u64,
    /// How often it failed, timed out, had no memory or could not be started.
    pub failed: u64,
    /// How often it passed on a later attempt.
    pub flaky: u64,
    /// Median of its durations in seconds, where it has any.
    pub median_seconds: Option<f64>,
    /// The longest of them.
    pub max_seconds: Option<f64>,
    /// What became of it last, judged or not.
    pub last_outcome: Outcome,
    /// The run of that.
    pub last_run: String,
}

impl TestStatistics {
    /// The share of its runs in which it was flaky, from 0 to 1.
    #[must_use]
    pub fn flaky_rate(&self) -> f64 {
        ratio(self.flaky, self.runs)
    }
}

fn ratio(part: u64, whole: u64) -> f64 {
    // Both are at most a million.
    let number = |n: u64| f64::from(u32::try_from(n).unwrap_or(u32::MAX));
    if whole == 0 { 0.0 } else { number(part) / number(whole) }
}

/// What comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StatisticsOrder {
    /// The highest flaky rate; among equals, what failed most often.
    Flaky,
    /// The longest median.
    Slow,
}

/// Puts tests in order; equals by name.
pub fn sort(tests: &mut [TestStatistics], order: StatisticsOrder) {
    tests.sort_by(|a, b| {
        let by_rank = match order {
            StatisticsOrder::Flaky => b
                .flaky_rate()
                .total_cmp(&a.flaky_rate())
                .then(b.flaky.cmp(&a.flaky))
                .then_with(|| ratio(b.failed, b.runs).total_cmp(&ratio(a.failed, a.runs))),
            StatisticsOrder::Slow => {
                let median = |test: &TestStatistics| test.median_seconds.unwrap_or(-1.0);
                median(b).total_cmp(&median(a))
            }
        };
        by_rank.then_with(|| (&a.name, &a.subject).cmp(&(&b.name, &b.subject)))
    });
}

/// A test while its runs are counted, newest first.
struct Tally {
    counts: TestStatistics,
    durations: Vec<f64>,
}

impl History {
    /// Counts the tests of the newest `runs` runs, of one subject or of all, by name.
    pub fn statistics(
        &self,
        subject: Option<&str>,
        runs: usize,
    ) -> Result<Vec<TestStatistics>, HistoryError> {
        self.read(|database| {
            let mut select = database.prepare(
                "SELECT counted.subject, tests.name, tests.outcome, tests.seconds, counted.id
                 FROM (SELECT seq, runs.id, subjects.name AS subject
                       FROM runs JOIN subjects ON subjects.id = runs.subject
                       WHERE ?1 IS NULL OR subjects.name = ?1 ORDER BY seq DESC LIMIT ?2) AS counted
                 JOIN tests ON tests.run = counted.seq
                 ORDER BY counted.seq DESC, tests.id DESC",
            )?;
            let mut rows = select.query((subject, i64::try_from(runs).unwrap_or(i64::MAX)))?;
            let mut tallies: BTreeMap<(String, String), Tally> = BTreeMap::new();
            while let Some(row) = rows.next()? {
                let key: (String, String) = (row.get(1)?, row.get(0)?);
                let outcome: Outcome = row.get(2)?;
                let tally = match tallies.entry(key) {
                    std::collections::btree_map::Entry::Occupied(known) => known.into_mut(),
                    std::collections::btree_map::Entry::Vacant(new) => {
                        let (name, subject) = new.key().clone();
                        let tally = Tally::new(name, subject, outcome, row.get(4)?);
                        new.insert(tally)
                    }
                };
                tally.add(outcome, row.get(3)?);
            }
            Ok(tallies.into_values().map(Tally::finish).collect())
        })
    }
}

impl Tally {
    fn new(name: String, subject: String, last_outcome: Outcome, last_run: String) -> Self {
        let (median_seconds, max_seconds) = (None, None);
        let (runs, passed, failed, flaky) = (0, 0, 0, 0);
        let counts = TestStatistics {
            name,
            subject,
            runs,
            passed,
            failed,
            flaky,
            median_seconds,
            max_seconds,
            last_outcome,
            last_run,
        };
        Self { counts, durations: Vec::new() }
    }

    fn add(&mut self, outcome: Outcome, seconds: f64) {
        let counts = &mut self.counts;
        match verdict(outcome) {
            Verdict::Passed => counts.passed += 1,
            Verdict::Flaky => counts.flaky += 1,
            Verdict::Failed => counts.failed += 1,
            Verdict::None => {}
        }
        if has_duration(outcome) {
            self.durations.push(seconds);
        }
    }

    fn finish(mut self) -> TestStatistics {
        let counts = self.counts;
        TestStatistics {
            runs: counts.passed + counts.failed + counts.flaky,
            max_seconds: self.durations.iter().copied().reduce(f64::max),
            median_seconds: median(&mut self.durations),
            ..counts
        }
    }
}
