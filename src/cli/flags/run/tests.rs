use super::*;
use crate::cli::flags::output::{Format, Progress};
use crate::cli::flags::tests::run as parse;

#[test]
fn built_in_defaults_are_the_documented_ones() {
    let parsed = parse(&[]).unwrap();
    let run = parsed.own;
    assert_eq!((run.timeout, run.build_timeout, run.pull.pull_timeout), (None, None, None));
    assert_eq!(run.grace_period, Duration::from_secs(10));
    assert_eq!(run.results_dir, PathBuf::from("./tests/results"));
    assert_eq!(run.results_limit, 1 << 30);
    assert_eq!((run.trust, run.no_tests, run.keep), (Trust::Both, NoTests::Warn, Keep::Never));
    assert_eq!((run.inherit, run.pull.pull), (Inherit::Own, Pull::Missing));
    assert!(!run.shell && !run.propagate_exit_code && !run.dry_run);
    assert_eq!((run.path, run.file, run.keep_dockerfile), (None, None, None));
    assert!(run.report.is_empty() && run.redact.is_empty());
    assert_eq!((parsed.output.format, parsed.output.shown()), (Format::Text, Progress::Auto));
}

#[test]
fn run_flags_are_read() {
    let parsed = parse(&[
        "--timeout",
        "5m",
        "--build-timeout=2m",
        "--pull-timeout=30s",
        "--grace-period",
        "1s",
        "--results-dir",
        "out",
        "--results-limit",
        "10m",
        "--trust",
        "exit",
        "--no-tests=fail",
        "--keep",
        "failed",
        "--inherit=all",
        "--shell",
        "--propagate-exit-code",
        "--path",
        "sub",
        "-f",
        "Dockerfile.it",
        "--keep-dockerfile=x",
        "--dry-run",
        "--report",
        "JUnit=a=b.xml",
        "--report",
        "json=r.json",
        "--redact",
        "A",
        "--redact",
        "B",
        "--pull",
        "never",
        "--format=json",
        "--progress",
        "none",
    ])
    .unwrap();
    let run = parsed.own;
    assert_eq!(run.timeout, Some(Duration::from_mins(5)));
    assert_eq!(run.build_timeout, Some(Duration::from_mins(2)));
    assert_eq!(run.pull.pull_timeout, Some(Duration::from_secs(30)));
    assert_eq!(run.grace_period, Duration::from_secs(1));
    assert_eq!((run.results_dir, run.results_limit), (PathBuf::from("out"), 10 << 20));
    assert_eq!((run.trust, run.no_tests, run.keep), (Trust::Exit, NoTests::Fail, Keep::Failed));
    assert_eq!((run.inherit, run.pull.pull), (Inherit::All, Pull::Never));
    assert!(run.shell && run.propagate_exit_code && run.dry_run);
    assert_eq!((run.path, run.file), (Some("sub".into()), Some("Dockerfile.it".into())));
    assert_eq!(run.keep_dockerfile, Some("x".into()));
    let report = |format: &str, path: &str| Report { format: format.into(), path: path.into() };
    assert_eq!(run.report, [report("junit", "a=b.xml"), report("json", "r.json")]);
    assert_eq!(run.redact, ["A", "B"]);
    assert_eq!((parsed.output.format, parsed.output.shown()), (Format::Json, Progress::Quiet));
}

#[test]
fn keep_dockerfile_alone_takes_the_usual_name() {
    let run = parse(&["--keep-dockerfile"]).unwrap();
    assert_eq!((run.own.keep_dockerfile, run.image), (Some("Dockerfile.test".into()), "image".to_owned()));
}

#[test]
fn wrong_run_flags_say_what_is_expected() {
    let table: [(&[&str], &str); 7] = [
        (&["--timeout", "soon"], "--timeout <DURATION>"),
        (&["--results-limit", "much"], "expected a size"),
        (&["--trust", "nobody"], "exit, report, both"),
        (&["--no-tests", "ignore"], "pass, warn, fail"),
        (&["--report", "junit"], "FORMAT=PATH"),
        (&["--report", "=x"], "FORMAT=PATH"),
        (&["--pull", "sometimes"], "always, missing, never"),
    ];
    for (flags, expected) in table {
        let error = parse(flags).unwrap_err().to_string();
        assert!(error.contains(expected), "{flags:?}: {error}");
    }
}
