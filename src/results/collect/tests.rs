use std::fs;
use std::fs::File;
use std::os::unix::fs::symlink;
use std::time::Duration;

use super::*;
use crate::results::CaseStatus;

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/reports")
}

fn read_fixture(path: &str) -> Reports {
    let files = [ResultFile { path: path.to_owned(), size: 0 }];
    read_reports(&fixtures(), left(&files), &ReadLimits::default())
}

fn all_below(directory: &Path, relative: &str, found: &mut Vec<ResultFile>) {
    for entry in fs::read_dir(directory.join(relative)).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let path = if relative.is_empty() { name } else { format!("{relative}/{name}") };
        if directory.join(&path).is_dir() {
            all_below(directory, &path, found);
        } else {
            found.push(ResultFile { path, size: 0 });
        }
    }
}

/// File, then passed, failed, errored and skipped.
const EXPECTED: [(&str, [u64; 4]); 21] = [
    ("bats/bats.tap", [2, 1, 0, 2]),
    ("bats/bats13.tap", [2, 1, 0, 2]),
    ("bats/junit.xml", [2, 1, 0, 2]),
    ("bats/setup-junit.xml", [0, 1, 0, 0]),
    // One test of two planned ones failed; that the other is missing is an error of its own.
    ("bats/setup.tap", [0, 1, 1, 0]),
    ("go/go-junit-report.xml", [3, 4, 1, 1]),
    // The package that does not build is declared and not listed, but other verdicts are.
    ("go/gotestsum.xml", [3, 4, 0, 1]),
    ("gtest/junit.xml", [2, 3, 0, 2]),
    ("jest/junit.xml", [3, 2, 1, 1]),
    ("nextest/junit.xml", [2, 3, 0, 0]),
    ("node/junit.xml", [2, 2, 0, 2]),
    ("node/node.tap", [2, 2, 0, 2]),
    ("prove/bail.tap", [1, 0, 1, 0]),
    ("prove/cart.tap", [4, 2, 0, 2]),
    ("prove/died.tap", [1, 0, 1, 0]),
    // This formatter writes skipped and TODO tests as passed ones, and unexpected passes as errors.
    ("prove/junit.xml", [5, 2, 3, 0]),
    ("prove/merged.tap", [4, 2, 0, 2]),
    ("prove/skipped.tap", [0, 0, 0, 1]),
    ("pytest/junit-xunit1.xml", [6, 2, 2, 2]),
    ("pytest/junit.xml", [6, 2, 2, 2]),
    ("surefire/TEST-shop.BrokenTest.xml", [0, 0, 1, 0]),
];

#[test]
fn the_reports_of_real_tools_are_counted_exactly() {
    for (path, [passed, failed, errored, skipped]) in EXPECTED {
        let reports = read_fixture(path);
        assert_eq!(reports.problems, [], "{path}");
        assert_eq!(
            reports.counts,
            CaseCounts { passed, failed, errored, skipped },
            "{path}: {:#?}",
            reports.suites
        );
    }
    let surefire = read_fixture("surefire/TEST-shop.CartTest.xml");
    assert_eq!(surefire.counts, CaseCounts { passed: 3, failed: 1, errored: 1, skipped: 1 });
}

#[test]
fn every_fixture_is_read_and_no_other_file_is() {
    let mut files = Vec::new();
    all_below(&fixtures(), "", &mut files);
    let reports = read_reports(&fixtures(), left(&files), &ReadLimits::default());
    assert_eq!(reports.problems, []);
    let mut sources: Vec<&str> = reports.suites.iter().map(|suite| suite.source.as_str()).collect();
    assert!(sources.is_sorted(), "{sources:?}");
    sources.dedup();
    let mut expected: Vec<&str> = EXPECTED.iter().map(|(path, _)| *path).collect();
    expected.push("surefire/TEST-shop.CartTest.xml");
    expected.sort_unstable();
    assert_eq!(sources, expected);
}

#[test]
fn what_the_tools_say_of_a_failure_is_found() {
    let failed = |path: &str, name: &str| {
        let mut cases = read_fixture(path).suites.into_iter().flat_map(|suite| suite.cases);
        cases.find(|case| case.name == name).unwrap_or_else(|| panic!("{path} has no {name}"))
    };
    let total = failed("pytest/junit-xunit1.xml", "test_total");
    assert_eq!((total.file.as_deref(), total.line), (Some("test_cart.py"), Some(16)));
    assert!(total.message.is_some_and(|message| message.starts_with("AssertionError: totals differ")));
    let removed = failed("bats/bats13.tap", "an item is removed & <gone>");
    assert!(removed.message.is_some_and(|message| message.contains("left: 2 items")));
    let gross = failed("node/node.tap", "prices > gross # 1");
    assert_eq!((gross.message.as_deref(), gross.line), (Some("no tax"), Some(6)));
    let twice = failed("gtest/junit.xml", "Remove");
    assert!(twice.detail.is_some_and(|detail| detail.contains("first <one>") && detail.contains("a]]>b")));
    let flaky = failed("nextest/junit.xml", "tests::the_network_is_flaky");
    assert_eq!((flaky.status, flaky.kind.as_deref()), (CaseStatus::Passed, Some("flaky")));
    let merged = failed("prove/merged.tap", "an item is removed");
    assert!(merged.detail.is_some_and(|detail| detail.contains("expected: '1'")));
}

fn directory_with(files: &[(&str, &str)]) -> (tempfile::TempDir, Vec<ResultFile>) {
    let directory = tempfile::tempdir().unwrap();
    let mut list = Vec::new();
    for (path, content) in files {
        let whole = directory.path().join(path);
        fs::create_dir_all(whole.parent().unwrap()).unwrap();
        fs::write(whole, content).unwrap();
        list.push(ResultFile { path: (*path).to_owned(), size: content.len() as u64 });
    }
    (directory, list)
}

const GOOD: &str = "<testsuite name='s'><testcase name='c'/></testsuite>";

#[test]
fn a_broken_report_is_a_problem_and_the_others_are_read() {
    let (directory, files) = directory_with(&[
        ("z.xml", GOOD),
        ("a/cut.xml", "<testsuite><testcase name='x'><failure/></testcase><testcase"),
        ("empty.xml", ""),
        ("noise.xml", "Compiling…\n<testsuite/>"),
        ("half.xml", "<?xml version='1.0'?>"),
        ("no.tap", "hello\n"),
    ]);
    let reports = read_reports(directory.path(), left(&files), &ReadLimits::default());
    assert_eq!(reports.counts, CaseCounts { passed: 1, failed: 1, errored: 0, skipped: 0 });
    let problems: Vec<_> = reports.problems.iter().map(|problem| problem.file.as_str()).collect();
    assert_eq!(problems, ["a/cut.xml", "empty.xml", "half.xml", "no.tap", "noise.xml"]);
    assert!(reports.problems[0].message.contains("line 1"), "{:?}", reports.problems[0]);
}

#[test]
fn what_is_no_report_is_left_alone() {
    let (directory, files) = directory_with(&[
        ("coverage.xml", "<coverage><testsuite/></coverage>"),
        ("pom.xml", "not even xml"),
        ("log.txt", "1..2\nok 1\n"),
        ("TAP.LOG", "TAP version 13\n1..1\nok 1 - a\n"),
        ("UPPER.XML", GOOD),
    ]);
    let reports = read_reports(directory.path(), left(&files), &ReadLimits::default());
    assert_eq!(reports.problems, []);
    let sources: Vec<_> = reports.suites.iter().map(|suite| suite.source.as_str()).collect();
    assert_eq!(sources, ["TAP.LOG", "UPPER.XML"]);
}

#[test]
fn no_link_is_followed_and_no_path_leads_out() {
    let (outside, _) = directory_with(&[("secret.xml", GOOD), ("secret.log", "TAP version 13\n1..0\n")]);
    let (directory, mut files) = directory_with(&[]);
    symlink(outside.path().join("secret.xml"), directory.path().join("file.xml")).unwrap();
    symlink(outside.path(), directory.path().join("dir")).unwrap();
    nix::unistd::mkfifo(&directory.path().join("fifo.xml"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    let absolute = outside.path().join("secret.xml").to_str().unwrap().to_owned();
    for path in
        ["file.xml", "dir/secret.xml", "dir/secret.log", "../x.xml", &absolute, "fifo.xml", "gone.xml"]
    {
        files.push(ResultFile { path: path.to_owned(), size: 1 });
    }
    let reports = read_reports(directory.path(), left(&files), &ReadLimits::default());
    assert_eq!(reports.counts.total(), 0);
    assert_eq!(reports.problems.len(), 6, "{:?}", reports.problems);
}

#[test]
fn the_limits_are_shared_by_all_reports() {
    let (directory, files) =
        directory_with(&[("a.xml", GOOD), ("b.xml", GOOD), ("c.tap", "1..1\nnot ok 1\n")]);
    let limits = ReadLimits { max_cases: 2, ..ReadLimits::default() };
    let reports = read_reports(directory.path(), left(&files), &limits);
    assert_eq!(reports.counts, CaseCounts { passed: 2, failed: 1, errored: 0, skipped: 0 });
    assert_eq!((reports.suites.len(), reports.omitted), (2, 1));
}

fn left(files: &[ResultFile]) -> Left<'_> {
    Left { files, links: &[], since: None }
}

#[test]
fn a_report_that_was_there_before_the_test_does_not_speak_for_it_but_against_it() {
    let bad = "<testsuite><testcase name='x'><failure/></testcase></testsuite>";
    let (directory, files) =
        directory_with(&[("old.xml", GOOD), ("new.xml", GOOD), ("bad.xml", bad), ("old.log", "x")]);
    let start = SystemTime::now();
    for name in ["old.xml", "bad.xml", "old.log"] {
        let file = File::options().write(true).open(directory.path().join(name)).unwrap();
        file.set_modified(start - Duration::from_secs(2)).unwrap();
    }
    let since = Some(start);
    let reports = read_reports(directory.path(), Left { since, ..left(&files) }, &ReadLimits::default());
    assert_eq!(reports.counts, CaseCounts { passed: 1, failed: 1, errored: 0, skipped: 0 });
    assert_eq!(reports.older, ["old.xml"]);
    assert_eq!(reports.problems, []);
}

#[test]
fn a_report_of_the_same_second_counts() {
    let (directory, files) = directory_with(&[("a.xml", GOOD)]);
    let file = File::options().write(true).open(directory.path().join("a.xml")).unwrap();
    let second = UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    file.set_modified(second).unwrap();
    let since = Some(second + Duration::from_millis(999));
    let reports = read_reports(directory.path(), Left { since, ..left(&files) }, &ReadLimits::default());
    assert_eq!((reports.counts.passed, reports.older.len()), (1, 0));
}

#[test]
fn a_link_that_is_named_like_a_report_is_read_once() {
    let (directory, files) = directory_with(&[("run-7.log", GOOD), ("b.xml", GOOD)]);
    let links =
        [("junit.xml", "run-7.log"), ("b-link.xml", "b.xml"), ("latest", "run-7.log")].map(|(link, file)| {
            symlink(file, directory.path().join(link)).unwrap();
            (link.to_owned(), file.to_owned())
        });
    let reports =
        read_reports(directory.path(), Left { links: &links, ..left(&files) }, &ReadLimits::default());
    let sources: Vec<_> = reports.suites.iter().map(|suite| suite.source.as_str()).collect();
    assert_eq!(sources, ["b.xml", "junit.xml"]);
    assert_eq!(reports.problems, []);
}
