//! Joins the results of several runs, as the shards of a suite, into one.
//!
//! Owns what becomes of names that come twice, of times, and of outcome and exit code. Pure; reads and writes nothing.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::{Cause, Outcome, RunResults, TestResult};
use crate::error::{Category, Diagnose};
use crate::exit_code::ExitCode;

impl Outcome {
    /// All of them, the mildest first: what a run of several tests is said to have come to is the last one it met.
    pub const ALL: [Self; 9] = [
        Self::Skipped,
        Self::Passed,
        Self::Flaky,
        Self::TimedOut,
        Self::NotStarted,
        Self::OutOfMemory,
        Self::Failed,
        Self::DependencyFailed,
        Self::Aborted,
    ];

    /// Its place in [`Outcome::ALL`], by which the worst of several is found.
    #[must_use]
    pub fn severity(self) -> usize {
        Self::ALL.iter().position(|outcome| *outcome == self).unwrap_or_default()
    }
}

/// What a run of these tests has come to: the worst of them. Those that were not run because another one did not pass say
/// nothing that it does not say itself.
#[must_use]
pub fn worst_outcome(tests: &[TestResult]) -> Option<Outcome> {
    let names: BTreeSet<&str> = tests.iter().map(|test| test.name.as_str()).collect();
    let follows = |test: &TestResult| match &test.cause {
        Some(Cause::DependencyFailed { service, .. }) => names.contains(service.as_str()),
        _ => false,
    };
    let own = tests.iter().filter(|test| !follows(test)).map(|test| test.outcome);
    own.max_by_key(|outcome| outcome.severity())
}

/// One of the runs that a document was merged from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MergedRun {
    /// Identifies the run.
    pub run_id: String,
    /// The engine, in words.
    pub engine: String,
    /// RFC 3339, UTC.
    pub started_at: String,
    /// Duration in seconds, build included.
    pub seconds: f64,
    /// The outcome of that run.
    pub outcome: Outcome,
    /// What its process exited with.
    pub exit_code: u8,
}

impl MergedRun {
    /// The run itself, without its tests.
    #[must_use]
    pub fn of(results: &RunResults) -> Self {
        Self {
            run_id: results.run_id.clone(),
            engine: results.engine.clone(),
            started_at: results.started_at.clone(),
            seconds: results.seconds,
            outcome: results.outcome,
            exit_code: results.exit_code,
        }
    }
}

/// Why results cannot be merged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MergeError {
    /// None were given.
    #[error("there is nothing to merge")]
    Nothing,
    /// Counting a run twice would count its tests twice.
    #[error("{file} holds the run {run_id}, which {earlier} holds already")]
    Twice {
        /// The run.
        run_id: String,
        /// Where it was first.
        earlier: String,
        /// Where it is again.
        file: String,
    },
}

impl Diagnose for MergeError {
    fn category(&self) -> Category {
        Category::User
    }

    fn hint(&self) -> Option<String> {
        matches!(self, Self::Twice { .. }).then(|| "name the report of each run once".to_owned())
    }
}

/// Joins results, each with the name of the file it came from. Tests keep the order of files, then their own.
pub fn merge(parts: Vec<(String, RunResults)>) -> Result<RunResults, MergeError> {
    refuse_repetition(&parts)?;
    let runs: Vec<MergedRun> = parts.iter().flat_map(|(_, part)| runs_of(part)).collect();
    let begin = parts.iter().filter_map(|(_, part)| instant(&part.started_at)).min();
    let mut parts = parts.into_iter().map(|(_, part)| placed(part, begin));
    let mut merged = parts.next().ok_or(MergeError::Nothing)?;
    let mut end = merged.seconds;
    for part in parts {
        // Its start, now counted from the beginning of all, was put into `seconds` by `placed`.
        end = end.max(part.seconds);
        merged.tests.extend(part.tests);
        merged.services.extend(part.services);
    }
    tell_apart(&mut merged.tests);
    merged.seconds = end;
    if let Some(first) = runs.iter().find(|run| instant(&run.started_at) == begin) {
        merged.started_at.clone_from(&first.started_at);
    }
    merged.run_id = id_of(&runs);
    merged.engine = engines(&runs);
    merged.outcome =
        runs.iter().map(|run| run.outcome).max_by_key(|outcome| outcome.severity()).unwrap_or(merged.outcome);
    merged.exit_code = exit_code(&runs).code();
    merged.runs = runs;
    Ok(merged)
}

fn refuse_repetition(parts: &[(String, RunResults)]) -> Result<(), MergeError> {
    let mut seen: BTreeMap<String, &str> = BTreeMap::new();
    for (file, part) in parts {
        for run in runs_of(part) {
            if let Some(earlier) = seen.insert(run.run_id.clone(), file) {
                let (earlier, file) = (earlier.to_owned(), file.clone());
                return Err(MergeError::Twice { run_id: run.run_id, earlier, file });
            }
        }
    }
    Ok(())
}

/// The runs of a document that was merged already, or the one that it is.
fn runs_of(part: &RunResults) -> Vec<MergedRun> {
    if part.runs.is_empty() { vec![MergedRun::of(part)] } else { part.runs.clone() }
}

fn instant(text: &str) -> Option<OffsetDateTime> {
    OffsetDateTime::parse(text, &Rfc3339).ok()
}

/// The part with its times counted from `begin`, and the name of its run on all that it holds. `seconds` becomes the
/// time from `begin` to its end.
fn placed(mut part: RunResults, begin: Option<OffsetDateTime>) -> RunResults {
    let later = match (begin, instant(&part.started_at)) {
        (Some(begin), Some(start)) => (start - begin).as_seconds_f64().max(0.0),
        _ => 0.0,
    };
    part.seconds += later;
    for test in &mut part.tests {
        test.run_id.get_or_insert_with(|| part.run_id.clone());
        for offset in test.attempts.iter_mut().filter_map(|attempt| attempt.offset_seconds.as_mut()) {
            *offset += later;
        }
    }
    for service in &mut part.services {
        service.run_id.get_or_insert_with(|| part.run_id.clone());
    }
    part
}

/// Tests of the same name and image get the run behind their names, and a number where one run has several.
fn tell_apart(tests: &mut [TestResult]) {
    let mut places: BTreeMap<(String, String), Vec<usize>> = BTreeMap::new();
    for (index, test) in tests.iter().enumerate() {
        places.entry((test.name.clone(), test.image.clone())).or_default().push(index);
    }
    for same in places.values().filter(|same| same.len() > 1) {
        let runs: BTreeSet<Option<String>> =
            same.iter().filter_map(|index| tests.get(*index)).map(|test| test.run_id.clone()).collect();
        let mut counted: BTreeMap<Option<String>, u32> = BTreeMap::new();
        for index in same {
            let Some(test) = tests.get_mut(*index) else { continue };
            let run = test.run_id.clone();
            if runs.len() > 1
                && let Some(run) = &run
            {
                test.name = format!("{} ({run})", test.name);
            }
            let number = counted.entry(run).or_default();
            *number += 1;
            if *number > 1 {
                test.name = format!("{} #{number}", test.name);
            }
        }
    }
}

/// The same for the same runs, in whatever order they are given.
fn id_of(runs: &[MergedRun]) -> String {
    if let [only] = runs {
        return only.run_id.clone();
    }
    let ids: BTreeSet<&str> = runs.iter().map(|run| run.run_id.as_str()).collect();
    let mut hash = Sha256::new();
    for id in ids {
        hash.update(id.as_bytes());
        hash.update([0]);
    }
    let number = hash.finalize().iter().take(6).fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
    format!("merge-{number:012x}")
}

fn engines(runs: &[MergedRun]) -> String {
    let mut known: Vec<&str> = Vec::new();
    for run in runs {
        if !known.contains(&run.engine.as_str()) {
            known.push(&run.engine);
        }
    }
    known.join(", ")
}

/// The worst by the order of the contract. A shard that got nothing to test says nothing beside others that did.
fn exit_code(runs: &[MergedRun]) -> ExitCode {
    let codes: Vec<ExitCode> = runs.iter().map(|run| ExitCode::from_code(run.exit_code)).collect();
    let tested: Vec<ExitCode> =
        codes.iter().copied().filter(|code| *code != ExitCode::NothingToTest).collect();
    let relevant = if tested.is_empty() { codes } else { tested };
    relevant.into_iter().reduce(ExitCode::worst).unwrap_or(ExitCode::Success)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixtures::{attempt, failing, flaky, passing, run, service, test};

    fn part(run_id: &str, results: RunResults) -> (String, RunResults) {
        (format!("{run_id}.json"), RunResults { run_id: run_id.to_owned(), ..results })
    }

    fn names(results: &RunResults) -> Vec<&str> {
        results.tests.iter().map(|test| test.name.as_str()).collect()
    }

    #[test]
    fn tests_keep_the_order_of_files_and_those_of_one_name_are_told_apart() {
        let twice = || test("b", Outcome::Passed, None, Vec::new());
        let one = run(vec![test("z", Outcome::Passed, None, Vec::new()), twice()]);
        let two = run(vec![twice(), test("a", Outcome::Passed, None, Vec::new())]);
        let merged = merge(vec![part("r-1", one), part("r-2", two)]).unwrap();
        assert_eq!(names(&merged), ["z", "b (r-1)", "b (r-2)", "a"]);
        assert_eq!(merged.tests[0].run_id.as_deref(), Some("r-1"));
    }

    #[test]
    fn one_name_on_two_images_is_two_tests_already() {
        let mut other = passing();
        other.tests[0].image = "shop:1.5".to_owned();
        let merged = merge(vec![part("r-1", passing()), part("r-2", other)]).unwrap();
        assert_eq!(names(&merged), ["shop:1.4", "shop:1.4"]);
    }

    #[test]
    fn repetitions_within_one_run_are_numbered() {
        let again = || test("a", Outcome::Passed, None, Vec::new());
        let merged = merge(vec![part("r-1", run(vec![again(), again()]))]).unwrap();
        assert_eq!(names(&merged), ["a", "a #2"]);
    }

    #[test]
    fn the_worst_outcome_and_the_exit_code_of_the_contract_win() {
        let with = |outcome, exit_code| RunResults { outcome, exit_code, ..passing() };
        let table = [
            (
                vec![(Outcome::Passed, 0), (Outcome::Failed, 1), (Outcome::TimedOut, 124)],
                (Outcome::Failed, 1),
            ),
            (vec![(Outcome::DependencyFailed, 125), (Outcome::Failed, 1)], (Outcome::DependencyFailed, 125)),
            (vec![(Outcome::Aborted, 130), (Outcome::DependencyFailed, 125)], (Outcome::Aborted, 130)),
            (vec![(Outcome::Flaky, 0), (Outcome::Passed, 0), (Outcome::Skipped, 0)], (Outcome::Flaky, 0)),
            (vec![(Outcome::Skipped, 4), (Outcome::Passed, 0)], (Outcome::Passed, 0)),
            (vec![(Outcome::Skipped, 4), (Outcome::Skipped, 4)], (Outcome::Skipped, 4)),
        ];
        for (shards, expected) in table {
            let parts = shards.iter().enumerate();
            let parts = parts.map(|(n, (outcome, code))| part(&format!("r-{n}"), with(*outcome, *code)));
            let merged = merge(parts.collect()).unwrap();
            assert_eq!((merged.outcome, merged.exit_code), expected, "{shards:?}");
        }
    }

    #[test]
    fn times_are_counted_from_the_first_start() {
        let mut late = attempt(1, Outcome::Passed, Vec::new());
        late.offset_seconds = Some(1.0);
        let mut second = run(vec![test("b", Outcome::Passed, None, vec![late])]);
        second.started_at = "2026-11-21T06:30:58Z".to_owned();
        second.engine = "Podman 4.3".to_owned();
        let merged = merge(vec![part("r-2", second), part("r-1", passing())]).unwrap();
        assert_eq!(merged.started_at, "2026-11-21T06:29:58Z");
        assert!((merged.seconds - 64.0).abs() < 1e-9, "{}", merged.seconds);
        assert_eq!(merged.tests[0].attempts[0].offset_seconds, Some(61.0));
        assert_eq!(merged.engine, "Podman 4.3, Docker Engine 20.10.24");
    }

    #[test]
    fn a_run_that_is_named_twice_is_refused_also_where_it_was_merged_before() {
        let error = merge(vec![part("r-1", passing()), part("r-1", failing())]).unwrap_err();
        assert_eq!(error.to_string(), "r-1.json holds the run r-1, which r-1.json holds already");
        let merged = merge(vec![part("r-1", passing()), part("r-2", flaky())]).unwrap();
        let error = merge(vec![("all.json".to_owned(), merged), part("r-2", passing())]).unwrap_err();
        assert_eq!(error.to_string(), "r-2.json holds the run r-2, which all.json holds already");
        assert_eq!(merge(Vec::new()), Err(MergeError::Nothing));
    }

    #[test]
    fn merging_in_steps_comes_to_the_same() {
        let parts = || {
            let mut with_service = failing();
            with_service.services = vec![service("db", Outcome::Passed)];
            [part("r-1", with_service), part("r-2", passing()), part("r-3", flaky())]
        };
        let [one, two, three] = parts();
        let halves = merge(vec![("x".to_owned(), merge(vec![one]).unwrap()), two]).unwrap();
        let stepwise = merge(vec![("halves".to_owned(), halves), three]).unwrap();
        let at_once = merge(parts().to_vec()).unwrap();
        assert_eq!(stepwise.run_id, at_once.run_id);
        assert_eq!(stepwise.runs, at_once.runs);
        assert_eq!(stepwise.services, at_once.services);
        assert_eq!(stepwise.tests.len(), at_once.tests.len());
    }
}
