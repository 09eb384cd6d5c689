use std::process::Command;

use super::retention::Limits;
use super::*;
use crate::error::{Category, Diagnose};
use crate::results::{Cause, Outcome};

const SUITE: &str = "/home/ada/shop/docker-test.yaml";

struct World {
    state: tempfile::TempDir,
    history: History,
}

impl World {
    fn new() -> Self {
        let state = tempfile::tempdir().unwrap();
        let history = History::open(state.path()).unwrap();
        Self { state, history }
    }

    fn begin(&mut self, id: &str, selected: &[&str]) {
        begin(&mut self.history, id, SUITE, selected);
    }

    fn test(&mut self, run: &str, name: &str, outcome: Outcome, seconds: f64) {
        self.history.record_test(run, &test(name, outcome, seconds)).unwrap();
    }

    fn finish(&mut self, run: &str, outcome: Outcome, outstanding: &[&str]) {
        self.history.finish_run(run, &end(outcome, outstanding)).unwrap();
    }

    /// A run of one test.
    fn run(&mut self, id: &str, name: &str, outcome: Outcome, seconds: f64) {
        self.begin(id, &[name]);
        self.test(id, name, outcome, seconds);
        self.finish(id, outcome, &[]);
    }
}

fn owned(names: &[&str]) -> Vec<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

fn begin(history: &mut History, id: &str, subject: &str, selected: &[&str]) {
    let start = RunStart {
        id,
        subject,
        engine: "Docker Engine 20.10.24",
        version: "0.1.0",
        started_at: "2026-11-21T06:30:00Z",
        parent: None,
        selected: &owned(selected),
    };
    history.begin_run(&start).unwrap();
}

fn end(outcome: Outcome, outstanding: &[&str]) -> RunEnd {
    RunEnd { outcome, exit_code: 1, seconds: 2.5, outstanding: owned(outstanding) }
}

fn test(name: &str, outcome: Outcome, seconds: f64) -> TestRecord {
    let attempt = AttemptRecord { number: 1, outcome, seconds, started_at: None };
    TestRecord {
        name: name.to_owned(),
        image: "shop:1.4".to_owned(),
        image_id: "sha256:abc".to_owned(),
        test_type: "integration".to_owned(),
        outcome,
        cause: None,
        seconds,
        slot: None,
        attempts: vec![attempt],
    }
}

#[test]
fn a_run_is_read_as_it_was_written() {
    let mut world = World::new();
    let selected = owned(&["checkout", "cart"]);
    let start = RunStart {
        id: "6b0147d2-c3a330",
        subject: SUITE,
        engine: "Podman 5",
        version: "0.1.0",
        started_at: "2026-11-21T06:30:00.5Z",
        parent: Some("6b0147d0-000000"),
        selected: &selected,
    };
    world.history.begin_run(&start).unwrap();
    let first = AttemptRecord {
        number: 1,
        outcome: Outcome::Failed,
        seconds: 1.25,
        started_at: Some("2026-11-21T06:30:01Z".to_owned()),
    };
    let second = AttemptRecord { number: 2, outcome: Outcome::Passed, ..first.clone() };
    let checkout = TestRecord {
        cause: Some(Cause::ExitCode { code: 3 }),
        slot: Some(2),
        attempts: vec![first, second],
        ..test("checkout", Outcome::Flaky, 2.5)
    };
    let cart = test("cart\0\u{1b}[2J", Outcome::TimedOut, 60.0);
    for record in [&checkout, &cart] {
        world.history.record_test(start.id, record).unwrap();
    }
    world.finish(start.id, Outcome::TimedOut, &["cart"]);
    let run = world.history.run("6b0147d2-c3a330").unwrap();
    let expected = RunRow {
        id: "6b0147d2-c3a330".to_owned(),
        subject: SUITE.to_owned(),
        engine: "Podman 5".to_owned(),
        version: "0.1.0".to_owned(),
        started_at: "2026-11-21T06:30:00.5Z".to_owned(),
        parent: Some("6b0147d0-000000".to_owned()),
        selected: 2,
        outcome: Some(Outcome::TimedOut),
        exit_code: Some(1),
        seconds: Some(2.5),
        counts: OutcomeCounts { passed: 0, failed: 1, flaky: 1, skipped: 0 },
    };
    assert_eq!(run, expected);
    assert_eq!(world.history.tests_of(start.id).unwrap(), [checkout, cart]);
    assert_eq!(world.history.outstanding(start.id).unwrap(), ["cart"]);
    assert_eq!(world.history.flaky(start.id).unwrap(), ["checkout"]);
    assert_eq!(world.history.latest_run(SUITE).unwrap(), Some(expected));
    assert_eq!(world.history.latest_run("other").unwrap(), None);
}

#[test]
fn a_run_that_was_killed_did_not_end_and_owes_what_had_not_passed() {
    let mut world = World::new();
    world.begin("r1", &["a", "b", "c", "d"]);
    world.test("r1", "b", Outcome::Passed, 1.0);
    world.test("r1", "c", Outcome::Failed, 1.0);
    world.test("r1", "d", Outcome::Flaky, 1.0);
    let World { state, history } = world;
    drop(history);
    let history = History::open_existing(state.path()).unwrap().unwrap();
    let run = history.run("r1").unwrap();
    assert_eq!((run.outcome, run.exit_code, run.seconds), (None, None, None));
    assert_eq!(history.outstanding("r1").unwrap(), ["a", "c"]);
}

#[test]
fn a_test_that_fails_in_a_later_round_is_outstanding_again() {
    let mut world = World::new();
    world.begin("r1", &["a", "b"]);
    world.test("r1", "a", Outcome::Passed, 1.0);
    world.test("r1", "a", Outcome::Failed, 1.0);
    assert_eq!(world.history.outstanding("r1").unwrap(), ["b", "a"]);
    world.test("r1", "b", Outcome::Skipped, 0.0);
    assert_eq!(world.history.outstanding("r1").unwrap(), ["b", "a"]);
}

#[test]
fn what_the_end_says_is_outstanding_counts() {
    let mut world = World::new();
    world.begin("r1", &["a"]);
    world.finish("r1", Outcome::Failed, &["z", "older", "z"]);
    assert_eq!(world.history.outstanding("r1").unwrap(), ["z", "older"]);
}

#[test]
fn an_id_may_be_cut_short_while_one_run_has_it() {
    let mut world = World::new();
    for id in ["6b01-aaa", "6b01-aab", "6b01-aa", "6b02-%_*"] {
        world.begin(id, &[]);
    }
    assert_eq!(world.history.run("6b02").unwrap().id, "6b02-%_*");
    // Its own id, though others begin so.
    assert_eq!(world.history.run("6b01-aa").unwrap().id, "6b01-aa");
    let error = world.history.run("6b01").unwrap_err();
    assert_eq!(error.to_string(), "several runs begin with 6b01: 6b01-aa, 6b01-aab, 6b01-aaa");
    assert_eq!(error.category(), Category::User);
    for unknown in ["7", "6b0%", "*", ""] {
        let error = world.history.run(unknown).unwrap_err();
        assert!(matches!(error, HistoryError::UnknownRun(_)), "{error}");
        assert_eq!(error.hint().unwrap(), "`docker-test history` lists the runs");
    }
    for error in [
        world.history.tests_of("6b02").map(drop).unwrap_err(),
        world.history.record_test("6b02", &test("a", Outcome::Passed, 1.0)).unwrap_err(),
        world.history.finish_run("6b02", &end(Outcome::Passed, &[])).unwrap_err(),
        world.history.record_pass("key", "a", "6b02").unwrap_err(),
    ] {
        assert!(matches!(error, HistoryError::UnknownRun(_)), "{error}");
    }
}

#[test]
fn an_id_is_taken_once() {
    let mut world = World::new();
    world.begin("r1", &["a"]);
    let start = RunStart {
        id: "r1",
        subject: "other",
        engine: "",
        version: "",
        started_at: "",
        parent: None,
        selected: &[],
    };
    assert!(world.history.begin_run(&start).is_err());
    assert_eq!(world.history.runs(None, 10).unwrap().len(), 1);
}

#[test]
fn runs_are_listed_newest_first_also_by_subject() {
    let mut world = World::new();
    world.begin("r1", &[]);
    begin(&mut world.history, "r2", "shop:1.4", &[]);
    world.begin("r3", &[]);
    let ids = |subject, limit| -> Vec<String> {
        world.history.runs(subject, limit).unwrap().into_iter().map(|run| run.id).collect()
    };
    assert_eq!(ids(None, 10), ["r3", "r2", "r1"]);
    assert_eq!(ids(None, 2), ["r3", "r2"]);
    assert_eq!(ids(Some(SUITE), 10), ["r3", "r1"]);
}

#[test]
fn a_duration_is_expected_to_be_the_median_of_the_last_ten() {
    let mut world = World::new();
    for (number, seconds) in (0..15).zip([100.0; 5].into_iter().chain((1..=10).map(f64::from))) {
        world.run(&format!("r{number}"), "checkout", Outcome::Passed, seconds);
    }
    world.run("other", "cart", Outcome::Failed, 7.0);
    let expected = world.history.expected(SUITE).unwrap();
    assert_eq!(expected, [("cart".to_owned(), 7.0), ("checkout".to_owned(), 5.5)].into());
    assert!(world.history.expected("another").unwrap().is_empty());
}

#[test]
fn what_did_not_run_to_an_end_has_no_duration() {
    let mut world = World::new();
    for (number, outcome) in
        [Outcome::Aborted, Outcome::Skipped, Outcome::NotStarted, Outcome::DependencyFailed]
            .into_iter()
            .enumerate()
    {
        world.run(&format!("r{number}"), "checkout", outcome, 9.0);
    }
    assert!(world.history.expected(SUITE).unwrap().is_empty());
    world.run("r9", "checkout", Outcome::TimedOut, 60.0);
    world.run("rx", "checkout", Outcome::Passed, f64::NAN);
    assert_eq!(world.history.expected(SUITE).unwrap(), [("checkout".to_owned(), 60.0)].into());
}

#[test]
fn a_pass_is_known_until_the_test_fails() {
    let mut world = World::new();
    world.begin("r1", &["a"]);
    world.begin("r2", &["a"]);
    assert_eq!(world.history.pass("key").unwrap(), None);
    world.history.record_pass("key", "a", "r1").unwrap();
    world.history.record_pass("key", "b", "r2").unwrap();
    let pass = Pass { run_id: "r2".to_owned(), test: "b".to_owned(), at: "2026-11-21T06:30:00Z".to_owned() };
    assert_eq!(world.history.pass("key").unwrap(), Some(pass));
    world.history.forget_pass("key").unwrap();
    assert_eq!(world.history.pass("key").unwrap(), None);
}

#[test]
fn the_secret_of_the_cache_is_made_once_for_each_history() {
    let mut world = World::new();
    let secret = world.history.cache_secret().unwrap();
    let again = History::open(world.state.path()).unwrap().cache_secret().unwrap();
    assert_eq!(secret, again);
    assert_ne!(secret, World::new().history.cache_secret().unwrap());
}

#[test]
fn runs_that_are_forgotten_take_what_only_they_knew_with_them() {
    let mut world = World::new();
    for id in ["r1", "r2", "r3"] {
        world.run(id, if id == "r1" { "renamed" } else { "checkout" }, Outcome::Passed, 1.0);
        world.history.record_pass(&format!("key of {id}"), "a", id).unwrap();
    }
    begin(&mut world.history, "r4", "shop:1.4", &["a"]);
    world.history.record_test("r4", &test("a", Outcome::Passed, 1.0)).unwrap();
    begin(&mut world.history, "r5", "cart:1", &["a"]);
    let limits = |of_subject, runs| Limits { of_subject, runs, tests: 1000 };
    let apply = |history: &mut History, limits| {
        history.write("", |database| retention::apply(database, limits)).unwrap();
    };
    apply(&mut world.history, limits(2, 9));
    assert!(world.history.run("r1").is_err());
    assert_eq!(world.history.pass("key of r1").unwrap(), None);
    assert!(world.history.pass("key of r2").unwrap().is_some());
    assert_eq!(world.history.expected(SUITE).unwrap(), [("checkout".to_owned(), 1.0)].into());
    apply(&mut world.history, limits(2, 1));
    let left: Vec<String> = world.history.runs(None, 9).unwrap().into_iter().map(|run| run.id).collect();
    assert_eq!(left, ["r5"]);
    let rows = |table: &str| -> i64 {
        let sql = format!("SELECT count(*) FROM {table}");
        world.history.database.query_row(&sql, (), |row| row.get(0)).unwrap()
    };
    let tables = ["subjects", "tests", "attempts", "durations", "passes", "outstanding"].map(rows);
    assert_eq!(tables, [1, 0, 0, 0, 0, 1]);
}

#[test]
fn statistics_count_judged_runs_and_tell_subjects_apart() {
    let mut world = World::new();
    let outcomes = [
        (Outcome::Flaky, 1.0),
        (Outcome::Passed, 2.0),
        (Outcome::TimedOut, 60.0),
        (Outcome::Passed, 3.0),
        (Outcome::Skipped, 0.0),
    ];
    for (number, (outcome, seconds)) in outcomes.into_iter().enumerate() {
        world.run(&format!("r{number}"), "checkout", outcome, seconds);
    }
    begin(&mut world.history, "rx", "shop:1.4", &["checkout"]);
    world.history.record_test("rx", &test("checkout", Outcome::Aborted, 0.5)).unwrap();
    let statistics = world.history.statistics(None, 100).unwrap();
    let checkout = TestStatistics {
        name: "checkout".to_owned(),
        subject: SUITE.to_owned(),
        runs: 4,
        passed: 2,
        failed: 1,
        flaky: 1,
        median_seconds: Some(2.5),
        max_seconds: Some(60.0),
        last_outcome: Outcome::Skipped,
        last_run: "r4".to_owned(),
    };
    let aborted = TestStatistics {
        subject: "shop:1.4".to_owned(),
        runs: 0,
        passed: 0,
        failed: 0,
        flaky: 0,
        median_seconds: None,
        max_seconds: None,
        last_outcome: Outcome::Aborted,
        last_run: "rx".to_owned(),
        ..checkout.clone()
    };
    assert_eq!(statistics, [checkout.clone(), aborted.clone()]);
    assert!((checkout.flaky_rate() - 0.25).abs() < 1e-9);
    assert!(aborted.flaky_rate().abs() < 1e-9);
    // Of the newest three of the suite, none was flaky.
    let newest = &world.history.statistics(Some(SUITE), 3).unwrap()[0];
    assert_eq!((newest.runs, newest.flaky, newest.last_run.as_str()), (2, 0, "r4"));
}

#[test]
fn statistics_are_sorted_by_what_was_asked_for() {
    let of = |name: &str, passed, failed, flaky, median| TestStatistics {
        name: name.to_owned(),
        subject: SUITE.to_owned(),
        runs: passed + failed + flaky,
        passed,
        failed,
        flaky,
        median_seconds: median,
        max_seconds: median,
        last_outcome: Outcome::Passed,
        last_run: "r1".to_owned(),
    };
    let mut tests = [
        of("steady", 10, 0, 0, Some(5.0)),
        of("never run", 0, 0, 0, None),
        of("broken", 5, 5, 0, Some(1.0)),
        of("flaky", 8, 0, 2, Some(0.5)),
        of("flakier", 4, 0, 6, Some(0.2)),
    ];
    let names =
        |tests: &[TestStatistics]| -> Vec<String> { tests.iter().map(|test| test.name.clone()).collect() };
    sort(&mut tests, StatisticsOrder::Flaky);
    assert_eq!(names(&tests), ["flakier", "flaky", "broken", "never run", "steady"]);
    sort(&mut tests, StatisticsOrder::Slow);
    assert_eq!(names(&tests), ["steady", "broken", "flaky", "flakier", "never run"]);
}

#[test]
fn a_listing_creates_nothing() {
    let state = tempfile::tempdir().unwrap();
    assert!(History::open_existing(state.path()).unwrap().is_none());
    assert!(History::open_existing(&state.path().join("none")).unwrap().is_none());
    assert_eq!(std::fs::read_dir(state.path()).unwrap().count(), 0);
}

#[test]
fn a_damaged_file_is_named_and_never_touched() {
    let mut world = World::new();
    for number in 0..40 {
        world.run(&format!("r{number}"), "checkout", Outcome::Passed, 1.0);
    }
    let World { state, history } = world;
    drop(history);
    let path = state.path().join(FILE);
    let whole = std::fs::read(&path).unwrap();
    let mut scribbled = whole.clone();
    scribbled[4096..].fill(0x5a);
    for bytes in [b"not a database at all, but long enough to look at".repeat(9), scribbled] {
        std::fs::write(&path, &bytes).unwrap();
        let error = History::open_existing(state.path())
            .and_then(|history| history.unwrap().runs(None, 10).map(drop))
            .unwrap_err();
        assert!(matches!(error, HistoryError::Damaged { .. }), "{error:?}");
        assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
        assert!(error.hint().unwrap().contains("move history.sqlite"));
        assert_eq!(error.category(), Category::Environment);
        assert_eq!(std::fs::read(&path).unwrap(), bytes);
    }
}

#[test]
fn a_recorder_writes_all_that_it_was_handed() {
    let World { state, mut history } = World::new();
    let names: Vec<String> = (0..10_000).map(|number| format!("test-{number}")).collect();
    let selected: Vec<&str> = names.iter().map(String::as_str).collect();
    begin(&mut history, "r1", SUITE, &selected);
    let recorder = Recorder::start(history, "r1").unwrap();
    for name in &names {
        recorder.test(test(name, Outcome::Passed, 1.5));
    }
    recorder.pass("key".to_owned(), "test-0".to_owned());
    recorder.pass("other".to_owned(), "test-1".to_owned());
    recorder.forget_pass("other".to_owned());
    recorder.finish(end(Outcome::Passed, &[])).unwrap();
    let history = History::open_existing(state.path()).unwrap().unwrap();
    let run = history.run("r1").unwrap();
    assert_eq!((run.outcome, run.counts.passed, run.selected), (Some(Outcome::Passed), 10_000, 10_000));
    assert_eq!(history.expected(SUITE).unwrap().len(), 10_000);
    assert_eq!(history.tests_of("r1").unwrap().len(), 10_000);
    assert!(history.outstanding("r1").unwrap().is_empty());
    assert!(history.pass("key").unwrap().is_some() && history.pass("other").unwrap().is_none());
}

#[test]
fn a_recorder_that_is_dropped_has_written_and_the_run_did_not_end() {
    let World { state, mut history } = World::new();
    begin(&mut history, "r1", SUITE, &["a", "b"]);
    let recorder = Recorder::start(history, "r1").unwrap();
    recorder.test(test("a", Outcome::Passed, 1.0));
    drop(recorder);
    let history = History::open_existing(state.path()).unwrap().unwrap();
    for _ in 0..200 {
        if history.outstanding("r1").unwrap() == ["b"] {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    assert_eq!(history.outstanding("r1").unwrap(), ["b"]);
    assert_eq!(history.run("r1").unwrap().outcome, None);
}

#[test]
fn a_recorder_tells_its_first_error_at_the_end() {
    let World { state: _state, history } = World::new();
    let recorder = Recorder::start(history, "never begun").unwrap();
    for _ in 0..100 {
        recorder.test(test("a", Outcome::Passed, 1.0));
    }
    let error = recorder.finish(end(Outcome::Passed, &[])).unwrap_err();
    assert!(matches!(error, HistoryError::UnknownRun(_)), "{error}");
}

/// Opens, and writes some runs.
fn write_runs(state: &Path, writer: &str) {
    for number in 0..8 {
        let mut history = History::open(state).unwrap();
        let id = format!("{writer}-{number}");
        begin(&mut history, &id, SUITE, &["a", "b"]);
        let recorder = Recorder::start(history, &id).unwrap();
        recorder.test(test("a", Outcome::Passed, 1.0));
        recorder.test(test("b", Outcome::Failed, 1.0));
        recorder.pass(format!("key of {id}"), "a".to_owned());
        recorder.finish(end(Outcome::Failed, &["b"])).unwrap();
    }
}

const STATE_OF_CHILD: &str = "DOCKER_TEST_HISTORY_OF_CHILD";

/// Does nothing unless the test below starts it.
#[test]
fn one_of_several_processes() {
    if let Some(state) = std::env::var_os(STATE_OF_CHILD) {
        write_runs(Path::new(&state), &std::process::id().to_string());
    }
}

#[test]
fn several_processes_open_one_history_and_write_at_once() {
    let state = tempfile::tempdir().unwrap();
    let start = |_| {
        Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "history::tests::one_of_several_processes", "--quiet"])
            .env(STATE_OF_CHILD, state.path())
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap()
    };
    let processes: Vec<_> = (0..5).map(start).collect();
    std::thread::scope(|scope| {
        for writer in ["x", "y", "z"] {
            scope.spawn(|| write_runs(state.path(), writer));
        }
    });
    for process in processes {
        let output = process.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", output.status);
    }
    let history = History::open_existing(state.path()).unwrap().unwrap();
    let runs = history.runs(None, 1000).unwrap();
    assert_eq!(runs.len(), 8 * 8);
    for run in runs {
        let counts = OutcomeCounts { passed: 1, failed: 1, flaky: 0, skipped: 0 };
        assert_eq!((run.outcome, run.counts), (Some(Outcome::Failed), counts), "{}", run.id);
        assert_eq!(history.outstanding(&run.id).unwrap(), ["b"]);
    }
    let whole: String = history.database.query_row("PRAGMA integrity_check", (), |row| row.get(0)).unwrap();
    assert_eq!(whole, "ok");
    assert_eq!(std::fs::read_dir(state.path()).unwrap().count(), 3, "the file, its log and its index");
}
