//! Reports: where they go, what they say when nothing could be run, and GitHub Actions.

use std::fs;

use crate::live::{Live, plain, script};
use crate::support::{Ran, Sandbox};

#[test]
fn several_reports_come_of_one_run() {
    let sandbox = Sandbox::new();
    let image = plain(&sandbox);
    let flags = ["--report", "junit=r/junit.xml", "--report", "json=r/deep/run.json"];
    let ran = sandbox.expect(1, &script(&flags, &image, "echo why it failed; exit 3"));
    assert_eq!(ran.stdout, "why it failed\n");
    let junit = fs::read_to_string(sandbox.path().join("r/junit.xml")).unwrap();
    assert!(junit.contains("exit code 3") && junit.contains("why it failed"), "{junit}");
    let json: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(sandbox.path().join("r/deep/run.json")).unwrap()).unwrap();
    assert_eq!((&json["outcome"], &json["exit_code"]), (&"failed".into(), &1.into()));
    assert_eq!(json["tests"][0]["attempts"][0]["log_tail"], "why it failed\n");
}

#[test]
fn a_report_on_stdout_stands_there_alone() {
    let sandbox = Sandbox::new();
    let image = plain(&sandbox);
    let ran = sandbox.expect(0, &script(&["--report", "json=-"], &image, "echo the test speaks"));
    assert_eq!(ran.json()["outcome"], "passed");
    ran.assert_stderr("the test speaks");
    let ran = sandbox.expect(0, &script(&["--report", "junit=-"], &image, "true"));
    assert!(
        ran.stdout.starts_with("<?xml") && ran.stdout.trim_end().ends_with("</testsuites>"),
        "{}",
        ran.stdout
    );
}

#[test]
fn two_reports_or_events_cannot_share_stdout() {
    let sandbox = Sandbox::new();
    let image = plain(&sandbox);
    for flags in [
        ["--report", "json=-", "--report", "junit=-"],
        ["--report", "json=same", "--report", "junit=./same"],
        ["--report", "json=-", "--format", "json"],
    ] {
        let ran = sandbox.expect(125, &script(&flags, &image, "true"));
        assert_eq!(ran.stdout, "");
        assert!(!ran.stderr.contains("running"), "{}", ran.stderr);
    }
}

#[test]
fn a_report_that_cannot_be_written_is_refused_before_the_run() {
    let sandbox = Sandbox::new();
    let image = plain(&sandbox);
    sandbox.write("file", "");
    fs::create_dir(sandbox.path().join("directory")).unwrap();
    for report in
        ["junit=file/below", "junit=directory", "junit=/proc/none/x", "nonsense=x", "junit", "junit="]
    {
        let ran = sandbox.expect(125, &script(&["--report", report], &image, "true"));
        assert!(!ran.stderr.contains("testing"), "{}", ran.stderr);
    }
    assert!(!sandbox.path().join("tests").exists());
}

#[test]
fn a_report_below_the_results_is_written_after_them_and_is_in_nobodys_way() {
    let sandbox = Sandbox::new();
    let image = plain(&sandbox);
    let flags =
        ["--report", "json=tests/results/sub/r.json", "--report", "junit=tests/results/new/deep/junit.xml"];
    let at = |path: &str| sandbox.path().join("tests/results").join(path);
    for run in 0..2 {
        let shell = format!("mkdir -p /var/tests/results/sub && echo x > /var/tests/results/sub/run{run}");
        sandbox.expect(0, &script(&flags, &image, &shell));
        for path in ["sub/r.json", "new/deep/junit.xml", &format!("sub/run{run}")] {
            assert!(at(path).exists(), "{path}");
        }
    }
    assert!(!at("sub/run0").exists());
    sandbox.expect(0, &script(&flags, &image, "true"));
}

#[test]
fn a_report_of_a_run_without_results_leaves_the_directory_usable() {
    let sandbox = Sandbox::new();
    let (image, missing) = (plain(&sandbox), sandbox.image("missing"));
    let report = ["--report", "json=tests/results/r.json"];
    sandbox.expect(125, &["run", "--pull", "never", report[0], report[1], &missing]);
    assert!(sandbox.path().join("tests/results/r.json").exists());
    sandbox.expect(0, &script(&report, &image, "true"));
    assert!(sandbox.path().join("tests/results/r.json").exists());
}

#[test]
fn a_report_in_the_place_of_the_results_is_refused_and_leaves_nothing() {
    let sandbox = Sandbox::new();
    let image = plain(&sandbox);
    for path in ["tests/results", "tests", "tests/results/.docker-test-results", "tests/results/"] {
        let ran = sandbox.expect(125, &script(&["--report", &format!("json={path}")], &image, "true"));
        ran.assert_stderr(path.trim_end_matches('/'));
        assert!(!ran.stderr.contains("testing"), "{}", ran.stderr);
        assert!(!sandbox.path().join("tests").exists(), "{path}");
    }
}

#[test]
fn an_older_report_stays_until_the_new_one_is_whole() {
    let sandbox = Sandbox::new();
    let image = plain(&sandbox);
    sandbox.write("junit.xml", "older");
    let shell = "echo up; sleep 1";
    let live = Live::start(sandbox.command(&script(&["--report", "junit=junit.xml"], &image, shell)));
    live.prints("up");
    assert_eq!(fs::read_to_string(sandbox.path().join("junit.xml")).unwrap(), "older");
    live.finish().assert_code(0);
    assert!(fs::read_to_string(sandbox.path().join("junit.xml")).unwrap().contains("<testsuites"));
    let names: Vec<_> =
        fs::read_dir(sandbox.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names.len(), 2, "{names:?}");
}

#[test]
fn a_report_whose_disk_is_full_is_an_error() {
    let sandbox = Sandbox::new();
    let image = plain(&sandbox);
    let ran = sandbox.expect(125, &script(&["--report", "json=/dev/full"], &image, "true"));
    ran.assert_stderr("/dev/full");
    ran.assert_stderr("PASSED");
}

#[test]
fn a_build_that_fails_is_in_the_reports() {
    let sandbox = Sandbox::new();
    let image = plain(&sandbox);
    sandbox.write(
        "Dockerfile.test",
        "ARG TEST_IMAGE\nFROM ${TEST_IMAGE}\nRUN echo builder says && exit 9\nCMD [\"true\"]\n",
    );
    let ran = sandbox.expect(125, &["run", "--report", "junit=junit.xml", "--report", "json=-", &image]);
    let json = ran.json();
    assert_eq!((&json["outcome"], &json["exit_code"]), (&"not_started".into(), &125.into()));
    let junit = fs::read_to_string(sandbox.path().join("junit.xml")).unwrap();
    assert!(junit.contains("<error") && junit.contains("Dockerfile.test"), "{junit}");
}

#[test]
fn an_image_that_is_missing_is_in_the_reports() {
    let sandbox = Sandbox::new();
    let missing = sandbox.image("missing");
    let ran = sandbox.expect(
        125,
        &["run", "--pull", "never", "--report", "junit=junit.xml", "--report", "json=-", &missing],
    );
    assert_eq!(ran.json()["exit_code"], 125);
    let junit = fs::read_to_string(sandbox.path().join("junit.xml")).unwrap();
    assert!(junit.contains("<error") && junit.contains(&missing), "{junit}");
}

#[test]
fn the_cases_of_all_files_are_merged_into_one_report() {
    let sandbox = Sandbox::new();
    let image = plain(&sandbox);
    let shell = r#"cd /var/tests/results; mkdir a b
        echo '<testsuite name="one"><testcase classname="c" name="first" time="0.5"/></testsuite>' > a/junit.xml
        echo '<testsuites><testsuite name="two"><testcase name="second"><failure message="m &lt; n">detail</failure></testcase></testsuite></testsuites>' > b/junit.xml
        printf '1..1\nok 1 - third\n' > c.tap; exit 1"#;
    sandbox.expect(1, &script(&["--report", "junit=out.xml"], &image, shell));
    let junit = fs::read_to_string(sandbox.path().join("out.xml")).unwrap();
    for part in ["name=\"first\"", "name=\"second\"", "third", "m &lt; n", "detail"] {
        assert!(junit.contains(part), "no {part} in {junit}");
    }
    assert_eq!(junit.matches("<testcase ").count(), 3, "the failed case speaks for the exit code: {junit}");
}

fn in_actions(flags: &[&str], shell: &str) -> (Ran, String, Sandbox) {
    let mut sandbox = Sandbox::new();
    let image = plain(&sandbox);
    let summary = sandbox.write("summary.md", "before\n");
    sandbox.set("GITHUB_ACTIONS", "true").set("GITHUB_STEP_SUMMARY", summary.to_str().unwrap());
    let ran = sandbox.run(&script(flags, &image, shell));
    let text = fs::read_to_string(&summary).unwrap();
    (ran, text, sandbox)
}

#[test]
fn in_github_actions_a_failure_is_annotated_and_summarised() {
    let report = r#"<testsuite name="s"><testcase name="adds up" file="sum.py" line="7"><failure message="1 != 2"/></testcase></testsuite>"#;
    let shell = format!("echo '{report}' > /var/tests/results/junit.xml; exit 1");
    let (ran, summary, _sandbox) = in_actions(&[], &shell);
    ran.assert_code(1);
    let annotation = ran.stderr.lines().find(|line| line.starts_with("::error ")).unwrap();
    assert!(annotation.contains("file=sum.py") && annotation.contains("line=7"), "{annotation}");
    assert!(annotation.contains("1 != 2"), "{annotation}");
    assert!(summary.starts_with("before\n") && summary.contains("adds up"), "{summary}");
}

#[test]
fn in_github_actions_the_tests_output_cannot_give_commands() {
    let shell = "echo '::error::forged by stdout'; echo '::add-mask::x' >&2; printf '::set-output no end'";
    let (ran, _, _sandbox) = in_actions(&[], shell);
    ran.assert_code(0);
    // A log shows both streams; the guard is on stderr, before the first byte and after the last one.
    let stop = ran.stderr.lines().position(|line| line.starts_with("::stop-commands::")).unwrap();
    let token = ran.stderr.lines().nth(stop).unwrap().trim_start_matches("::stop-commands::").to_owned();
    let resume = ran.stderr.lines().position(|line| line == format!("::{token}::")).unwrap();
    let mask = ran.stderr.lines().position(|line| line == "::add-mask::x").unwrap();
    assert!(stop < mask && mask < resume, "{}", ran.stderr);
    assert_eq!(
        ran.stdout,
        "::error::forged by stdout\n::add-mask::x\n".split("::add").next().unwrap().to_owned()
            + "::set-output no end"
    );
    assert!(!ran.stderr[..ran.stderr.find("::stop-commands::").unwrap()].contains("forged"));
}

#[test]
fn in_github_actions_machine_output_stays_machine_output() {
    let (ran, _, _sandbox) = in_actions(&["--format", "json"], "echo '::error::forged'; exit 1");
    ran.assert_code(1);
    assert!(ran.events().len() > 3);
    ran.assert_stderr("::error");
}

#[test]
fn a_summary_that_cannot_be_written_is_a_warning_because_nobody_asked_for_it() {
    let mut sandbox = Sandbox::new();
    let image = plain(&sandbox);
    sandbox.set("GITHUB_ACTIONS", "true").set("GITHUB_STEP_SUMMARY", "/proc/none/summary");
    let ran = sandbox.expect(0, &script(&[], &image, "true"));
    ran.assert_stderr("PASSED");
    let path = "/proc/none/summary";
    ran.assert_stderr(&format!(
        "docker-test: warning: there is no job summary: cannot write the markdown report to {path}"
    ));
}
