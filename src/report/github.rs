//! GitHub Actions: annotations as workflow commands, and protection of the log from commands in test output.
//!
//! Owns the escaping rules of workflow commands. The job summary's text is [`crate::report::markdown`]'s, and
//! nothing here reads the environment or writes files.

use std::fmt::Write as _;
use std::hash::{BuildHasher, RandomState};
use std::io::Write;
use std::path::PathBuf;

use crate::report::dependents::{self, Lost};
use crate::report::text::{head, printable, printable_lines, strip_ansi};
use crate::report::totals::{counts, names};
use crate::report::wording::{count, describe_cause, flaky, is_bad, outcome_word};
use crate::report::{ExportError, Exporter};
use crate::results::{Case, CaseStatus, Outcome, RunResults, TestResult};

/// `--report github=PATH`: annotations for failed cases and tests.
pub struct Annotations;

const NAME: &str = "github";

/// GitHub shows at most this many annotations of a kind for a step.
const MAX_ANNOTATIONS: usize = 10;

/// Tests whose output is folded into the log.
const MAX_LOGS: usize = 20;

const MAX_MESSAGE_BYTES: usize = 4096;

/// Where GitHub Actions takes reports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GithubTargets {
    /// The file of the job summary; text is appended to it. Older servers have none.
    pub summary_path: Option<PathBuf>,
}

/// The targets when the program runs in GitHub Actions. `lookup` answers for the environment.
pub fn github_actions(lookup: impl Fn(&str) -> Option<String>) -> Option<GithubTargets> {
    let set = |name: &str| lookup(name).filter(|value| !value.is_empty());
    (set("GITHUB_ACTIONS")? == "true")
        .then(|| GithubTargets { summary_path: set("GITHUB_STEP_SUMMARY").map(PathBuf::from) })
}

/// Switches the interpretation of workflow commands off while untrusted text is printed.
///
/// The two commands must stand on lines of their own, in the same log as the text between them.
#[derive(Clone, PartialEq, Eq)]
pub struct StopCommands {
    token: String,
}

impl StopCommands {
    /// A guard with a token that a container cannot guess.
    #[must_use]
    pub fn new() -> Self {
        let keyed = RandomState::new();
        let token = format!("{:016x}{:016x}", keyed.hash_one(0_u8), RandomState::new().hash_one(1_u8));
        Self { token }
    }

    /// The line that switches commands off, with its line end.
    #[must_use]
    pub fn stop(&self) -> String {
        format!("::stop-commands::{}\n", self.token)
    }

    /// The line that switches them on again, with its line end.
    #[must_use]
    pub fn resume(&self) -> String {
        format!("::{}::\n", self.token)
    }
}

impl Default for StopCommands {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for StopCommands {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StopCommands").finish_non_exhaustive()
    }
}

impl Exporter for Annotations {
    fn name(&self) -> &'static str {
        NAME
    }

    fn describe(&self) -> &'static str {
        "GitHub Actions annotations for what failed"
    }

    fn export(&self, results: &RunResults, out: &mut dyn Write) -> Result<(), ExportError> {
        out.write_all(render(results).as_bytes())
            .map_err(|source| ExportError::Write { format: NAME, source })
    }
}

/// One annotation before escaping.
struct Annotation<'a> {
    file: Option<&'a str>,
    line: Option<u32>,
    title: String,
    message: String,
}

fn render(results: &RunResults) -> String {
    let mut out = String::new();
    let told = |test: &&TestResult| is_bad(test.outcome) && dependents::needed(test).is_none();
    for test in results.tests.iter().filter(told).take(MAX_LOGS) {
        log_group(test, &mut out);
    }
    let errors = errors(results);
    for error in errors.iter().take(MAX_ANNOTATIONS) {
        command("error", error, &mut out);
    }
    let warnings: Vec<Annotation<'_>> = results.tests.iter().flat_map(warnings_of).collect();
    for warning in warnings.iter().take(MAX_ANNOTATIONS) {
        command("warning", warning, &mut out);
    }
    if !errors.is_empty() {
        let title = format!("docker-test: {}", outcome_word(results.outcome));
        command(
            "notice",
            &Annotation { file: None, line: None, title, message: totals(results, errors.len()) },
            &mut out,
        );
    }
    out
}

/// Everything that failed: the services first, since tests fail for want of them, then something of each test before the
/// rest of any. What was not run because of a test is told with that test.
fn errors(results: &RunResults) -> Vec<Annotation<'_>> {
    let mut errors: Vec<Annotation<'_>> =
        dependents::of(results).iter().filter_map(|lost| lost_error(lost, results)).collect();
    let tests = results.tests.iter().filter(|test| dependents::needed(test).is_none());
    let mut of_tests: Vec<(usize, Annotation<'_>)> =
        tests.flat_map(|test| errors_of(test).into_iter().enumerate()).collect();
    of_tests.sort_by_key(|(place, _)| *place);
    errors.extend(of_tests.into_iter().map(|(_, error)| error));
    errors
}

fn lost_error<'a>(lost: &Lost<'_>, results: &RunResults) -> Option<Annotation<'a>> {
    if results.tests.iter().any(|test| test.name == lost.name) {
        return None;
    }
    let tests: Vec<&str> = lost.not_run.iter().chain(&lost.cut_short).copied().collect();
    let log = printable_lines(lost.log_tail).collect::<Vec<_>>().join("\n");
    let message = format!("{}\nwithout it: {}\n{log}", lost.message, names(tests.into_iter()));
    Some(Annotation { file: None, line: None, title: format!("{} failed", lost.name), message })
}

fn errors_of(test: &TestResult) -> Vec<Annotation<'_>> {
    if !test.is_bad() {
        return Vec::new();
    }
    if test.outcome == Outcome::Flaky {
        return vec![Annotation { file: None, line: None, title: test.name.clone(), message: flaky(test) }];
    }
    let bad = |case: &&Case| matches!(case.status, CaseStatus::Failed | CaseStatus::Errored);
    let attempt = test.last_attempt();
    let cases = attempt.map(|attempt| attempt.suites.as_slice()).unwrap_or_default();
    let mut annotations: Vec<Annotation<'_>> = cases
        .iter()
        .flat_map(|suite| &suite.cases)
        .filter(bad)
        .map(|case| Annotation {
            file: case.file.as_deref().map(|file| file.trim_start_matches("./")),
            line: case.line,
            title: format!("{}: {}", test.name, case.name),
            message: case_message(case),
        })
        .collect();
    if annotations.is_empty() {
        let message =
            test.cause.as_ref().map_or_else(|| outcome_word(test.outcome).to_owned(), describe_cause);
        annotations.push(Annotation { file: None, line: None, title: test.name.clone(), message });
    }
    annotations
}

fn case_message(case: &Case) -> String {
    let message = case.message.as_deref().unwrap_or_default().trim();
    let detail = case.detail.as_deref().unwrap_or_default().trim();
    match (message.is_empty(), detail.is_empty()) {
        (true, true) => "failed without a message".to_owned(),
        (false, false) if !detail.contains(message) => format!("{message}\n{detail}"),
        (false, true) => message.to_owned(),
        _ => detail.to_owned(),
    }
}

fn warnings_of(test: &TestResult) -> Vec<Annotation<'_>> {
    let annotation =
        |message: String| Annotation { file: None, line: None, title: test.name.clone(), message };
    let is_forgiven = test.outcome == Outcome::Flaky && !test.is_bad();
    let flaky = is_forgiven.then(|| annotation(flaky(test)));
    flaky.into_iter().chain(test.warnings.iter().cloned().map(annotation)).collect()
}

fn totals(results: &RunResults, errors: usize) -> String {
    let bad = results.tests.iter().filter(|test| test.is_bad()).count();
    let mut text = format!("{bad} of {} did not pass", count(results.tests.len() as u64, "test"));
    if results.tests.len() > 1 {
        // Writing to a String cannot fail.
        let _ = write!(text, " ({})", counts(results));
    }
    let hidden = errors.saturating_sub(MAX_ANNOTATIONS);
    if hidden > 0 {
        // Writing to a String cannot fail.
        let _ = write!(text, "; {} not shown here", count(hidden as u64, "more failure"));
    }
    text
}

/// The end of a test's log, folded. Each line gets a mark in front: a command counts only at the start of a line.
fn log_group(test: &TestResult, out: &mut String) {
    let Some(attempt) = test.last_attempt().filter(|attempt| !attempt.log_tail.trim().is_empty()) else {
        return;
    };
    let title = format!("{} {}: the end of its output", test.name, outcome_word(test.outcome));
    out.push_str("::group::");
    out.push_str(&escape_data(&title));
    out.push('\n');
    for line in printable_lines(&attempt.log_tail) {
        out.push_str("| ");
        out.push_str(&line);
        out.push('\n');
    }
    out.push_str("::endgroup::\n");
}

fn command(kind: &str, annotation: &Annotation<'_>, out: &mut String) {
    let mut properties = Vec::new();
    if let Some(file) = annotation.file.filter(|file| !file.is_empty()) {
        properties.push(format!("file={}", escape_property(file)));
        if let Some(line) = annotation.line {
            properties.push(format!("line={line}"));
        }
    }
    properties.push(format!("title={}", escape_property(&annotation.title)));
    let message = strip_ansi(&annotation.message);
    // Writing to a String cannot fail.
    let _ = writeln!(
        out,
        "::{kind} {}::{}",
        properties.join(","),
        escape_data(head(&message, MAX_MESSAGE_BYTES).trim())
    );
}

/// The text of a command: line breaks survive, everything that is control is written out.
fn escape_data(text: &str) -> String {
    let lines: Vec<String> =
        text.replace('\r', "").split('\n').map(|line| printable(line).replace('%', "%25")).collect();
    lines.join("%0A")
}

/// A property of a command, on one line.
fn escape_property(text: &str) -> String {
    printable(text).replace('%', "%25").replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixtures::{
        attempt, failed_case, failing, passing, run, test, two_hundred, without_cases,
    };
    use crate::results::Cause;

    #[test]
    fn a_failed_case_is_an_error_at_its_line() {
        let text = render(&failing());
        assert_eq!(
            text,
            "::group::shop:1.4 failed: the end of its output\n\
             | collected 2 items\n\
             | FAILED\n\
             ::endgroup::\n\
             ::error file=tests/cart.py,line=41,title=shop%3A1.4%3A test_total::Traceback:%0A  assert 3 == 4\n\
             ::notice title=docker-test%3A failed::1 of 1 test did not pass\n"
        );
    }

    #[test]
    fn a_test_without_failed_cases_is_one_error_with_its_cause() {
        let text = render(&without_cases(Outcome::TimedOut, Some(Cause::Timeout { seconds: 60.0 })));
        assert!(
            text.contains("::error title=shop%3A1.4::timed out: the test ran longer than 1m\n"),
            "{text}"
        );
    }

    #[test]
    fn a_good_run_says_nothing() {
        assert_eq!(render(&passing()), "");
    }

    #[test]
    fn a_flaky_test_and_warnings_are_warnings() {
        let attempts = vec![attempt(1, Outcome::Failed, Vec::new()), attempt(2, Outcome::Passed, Vec::new())];
        let mut flaky = test("shop", Outcome::Flaky, None, attempts);
        flaky.warnings.push("a child was killed".to_owned());
        assert_eq!(
            render(&run(vec![flaky])),
            "::warning title=shop::passed on attempt 2 only\n::warning title=shop::a child was killed\n"
        );
    }

    #[test]
    fn no_more_errors_are_written_than_github_shows() {
        let cases = (0..25).map(|n| failed_case(&format!("case {n}"), "no")).collect();
        let cause = Some(Cause::ExitCode { code: 1 });
        let text =
            render(&run(vec![test("a", Outcome::Failed, cause, vec![attempt(1, Outcome::Failed, cases)])]));
        assert_eq!(text.matches("::error ").count(), 10);
        assert_eq!(text.matches("::notice ").count(), 1);
        assert!(text.contains("15 more failures not shown here"));
    }

    #[test]
    fn two_hundred_tests_are_ten_errors_with_something_of_each_service_and_test() {
        let text = render(&two_hundred());
        let errors: Vec<&str> = text.lines().filter(|line| line.starts_with("::error ")).collect();
        assert_eq!(errors.len(), 10, "{text}");
        assert_eq!(
            errors[0],
            "::error title=db failed::it ended with exit code 1%0Awithout it: part-015, part-016, part-017, part-018, \
             part-019, part-020 + 9 more"
        );
        assert!(errors[1].contains("title=part-000%3A test_total"), "{}", errors[1]);
        assert!(!text.contains("title=part-030"), "{text}");
        assert_eq!(text.matches("::group::").count(), 15, "{text}");
        assert_eq!(text.matches("::warning ").count(), 5, "{text}");
        let notice = text.lines().last().unwrap();
        let told =
            "::notice title=docker-test%3A failed::35 of 200 tests did not pass (150 passed, 10 failed, ";
        assert!(notice.starts_with(told) && notice.ends_with("6 more failures not shown here"), "{notice}");
    }

    #[test]
    fn each_test_is_told_before_the_rest_of_any() {
        let many = |name: &str| {
            let cases = (0..12).map(|n| failed_case(&format!("case {n}"), "no")).collect();
            test(name, Outcome::Failed, None, vec![attempt(1, Outcome::Failed, cases)])
        };
        let text = render(&run(vec![many("a"), many("b")]));
        assert!(text.contains("title=b%3A case 0:") && text.contains("title=a%3A case 4:"), "{text}");
        assert!(!text.contains("title=a%3A case 5:"), "{text}");
    }

    #[test]
    fn test_output_cannot_forge_a_command() {
        let mut case = failed_case("a,line=1::x\n::error::forged", "50%\r\n::set-output name=x::y");
        case.file = Some("x.py,title=no:w\n::add-mask::z".to_owned());
        case.detail = Some("\u{1b}[31m##[add-mask]z\n\n::warning::w".to_owned());
        let mut only = attempt(1, Outcome::Failed, vec![case]);
        only.log_tail = "::stop-commands::x\n  ::error::y\r::add-mask::z\n##[group]g".to_owned();
        let text = render(&run(vec![test("shop\n::error::t", Outcome::Failed, None, vec![only])]));
        let mut commands: Vec<&str> =
            text.lines().filter(|line| line.trim_start().starts_with("::")).collect();
        commands.retain(|line| !line.starts_with("::group::") && *line != "::endgroup::");
        assert_eq!(commands.len(), 2, "{text}");
        assert!(commands[0].starts_with(
            "::error file=x.py%2Ctitle=no%3Aw\\n%3A%3Aadd-mask%3A%3Az,line=41,title=shop\\n%3A%3Aerror"
        ));
        assert!(commands[0].contains("50%25%0A::set-output name=x::y%0A## [add-mask]z"), "{}", commands[0]);
        assert!(!text.contains("##["), "{text}");
    }

    #[test]
    fn the_targets_are_known_in_actions_alone() {
        let actions = |name: &str| match name {
            "GITHUB_ACTIONS" => Some("true".to_owned()),
            "GITHUB_STEP_SUMMARY" => Some("/s".to_owned()),
            _ => None,
        };
        assert_eq!(github_actions(actions), Some(GithubTargets { summary_path: Some(PathBuf::from("/s")) }));
        assert_eq!(github_actions(|_| None), None);
        let old = |name: &str| (name == "GITHUB_ACTIONS").then(|| "true".to_owned());
        assert_eq!(github_actions(old), Some(GithubTargets { summary_path: None }));
    }

    #[test]
    fn tokens_differ_from_guard_to_guard_and_frame_the_text() {
        let guard = StopCommands::new();
        assert_ne!(guard, StopCommands::new());
        let token = guard.stop().trim_end().strip_prefix("::stop-commands::").unwrap().to_owned();
        assert_eq!(token.len(), 32);
        assert_eq!(guard.resume(), format!("::{token}::\n"));
        assert!(!format!("{guard:?}").contains(&token));
    }
}
