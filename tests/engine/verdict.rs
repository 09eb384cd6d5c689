//! What decides: the exit code, the test's own reports, or both.

use crate::live::{plain, script};
use crate::support::{Ran, Sandbox};

const GOOD: &str = r#"<testsuite name="s"><testcase name="a"/><testcase name="b"/></testsuite>"#;
const BAD: &str = r#"<testsuite name="s"><testcase name="a"/><testcase name="b"><failure message="broken"/></testcase></testsuite>"#;
const CUT: &str = r#"<testsuite name="s" tests="2"><testcase name="a"/><testcase na"#;

/// A shell script that leaves `content` as a file of the results and ends with `code`.
fn leaving(file: &str, content: &str, code: i32) -> String {
    format!("cat > /var/tests/results/{file} <<'END'\n{content}\nEND\nexit {code}")
}

/// The exit codes of `cases`: flags, script.
#[track_caller]
fn judged(cases: &[(&[&str], String, i32)]) -> Vec<Ran> {
    let sandbox = Sandbox::new();
    let image = plain(&sandbox);
    cases.iter().map(|(flags, shell, code)| sandbox.expect(*code, &script(flags, &image, shell))).collect()
}

#[test]
fn by_default_both_must_be_good() {
    let ran = judged(&[
        (&[], leaving("junit.xml", GOOD, 0), 0),
        (&[], leaving("junit.xml", GOOD, 3), 1),
        (&[], leaving("junit.xml", BAD, 0), 1),
    ]);
    ran[0].assert_stderr("2 passed");
    ran[2].assert_stderr("1 case failed in the test's own reports");
}

#[test]
fn the_exit_code_alone_decides_where_it_alone_is_trusted() {
    judged(&[
        (&["--trust", "exit"], leaving("junit.xml", BAD, 0), 0),
        (&["--trust", "exit"], leaving("junit.xml", GOOD, 3), 1),
        (&["--trust", "exit"], leaving("junit.xml", CUT, 0), 0),
    ]);
}

#[test]
fn reports_alone_decide_where_they_alone_are_trusted_and_there_are_any() {
    judged(&[
        (&["--trust", "report"], leaving("junit.xml", GOOD, 3), 0),
        (&["--trust", "report"], leaving("junit.xml", BAD, 0), 1),
        (&["--trust", "report"], leaving("notes.txt", "nothing", 3), 1),
        (&["--trust", "report"], leaving("junit.xml", CUT, 3), 1),
    ]);
}

#[test]
fn a_report_that_is_cut_short_or_empty_is_no_pass() {
    let ran = judged(&[
        (&[], leaving("junit.xml", CUT, 0), 1),
        (&[], ": > /var/tests/results/junit.xml".to_owned(), 1),
        (&[], leaving("results.tap", "1..3\nok 1\nok 2", 0), 1),
    ]);
    ran[0].assert_stderr("junit.xml");
}

#[test]
fn a_file_that_is_no_report_is_not_judged() {
    judged(&[
        (&[], leaving("pom.xml", "<project><failure/></project>", 0), 0),
        (&[], leaving("data.json", "{\"failures\": 3}", 0), 0),
    ]);
}

#[test]
fn a_report_that_came_with_the_image_is_no_pass_of_this_run() {
    let sandbox = Sandbox::new();
    let report = GOOD.replace('"', "'");
    let image = crate::live::image_with(
        &sandbox,
        &format!(
            "RUN mkdir -p /var/tests/results && echo \"{report}\" > /var/tests/results/old.xml && sleep 2\n"
        ),
    );
    let ran = sandbox.expect(0, &script(&[], &image, "true"));
    ran.assert_stderr("not counted: old.xml");
    assert!(!ran.stderr.contains("2 passed"), "{}", ran.stderr);
    sandbox.expect(1, &script(&["--no-tests", "fail"], &image, "true"));
    sandbox.expect(1, &script(&["--trust", "report"], &image, "exit 3"));
    let shell = leaving("new.xml", GOOD, 0);
    sandbox.expect(0, &script(&["--no-tests", "fail"], &image, &shell)).assert_stderr("2 passed");
    // It is taken out all the same.
    assert!(sandbox.result("old.xml").contains("testsuite"));
}

#[test]
fn a_report_behind_a_link_is_judged() {
    let shell =
        leaving("run-7.log", BAD, 0).replace("exit 0", "ln -s run-7.log /var/tests/results/junit.xml");
    judged(&[(&[], shell, 1)]);
}

#[test]
fn tap_files_are_judged_like_junit_files() {
    let ran = judged(&[
        (&[], leaving("a.tap", "1..2\nok 1 - works\nok 2 - later # SKIP not here", 0), 0),
        (&[], leaving("a.tap", "1..2\nok 1\nnot ok 2 - breaks", 0), 1),
        (&[], leaving("a.tap", "1..1\nnot ok 1 - one day # TODO", 0), 0),
        (&[], leaving("a.tap", "1..2\nok 1\nBail out! no database", 0), 1),
    ]);
    ran[0].assert_stderr("1 passed, 1 skipped");
}

#[test]
fn no_case_at_all_is_what_the_user_says_it_is() {
    let none = || "exit 0".to_owned();
    let ran = judged(&[
        (&[], none(), 0),
        (&["--no-tests", "pass"], none(), 0),
        (&["--no-tests", "fail"], none(), 1),
        (&["--no-tests", "fail"], leaving("junit.xml", GOOD, 0), 0),
        (&["--no-tests", "fail"], leaving("junit.xml", "<testsuites/>", 0), 1),
    ]);
    ran[0].assert_stderr("warning  the results hold no test case");
    assert!(!ran[1].stderr.contains("warning"), "{}", ran[1].stderr);
    ran[2].assert_stderr("the results hold no test case");
}

#[test]
fn a_failing_code_with_good_reports_is_one_failed_case_more_in_the_junit_report() {
    let sandbox = Sandbox::new();
    let image = plain(&sandbox);
    let shell = leaving("junit.xml", GOOD, 3);
    sandbox.expect(1, &script(&["--report", "junit=out.xml"], &image, &shell));
    let report = std::fs::read_to_string(sandbox.path().join("out.xml")).unwrap();
    assert_eq!(report.matches("<testcase ").count(), 3, "{report}");
    assert_eq!(report.matches("<failure").count() + report.matches("<error").count(), 1, "{report}");
}
