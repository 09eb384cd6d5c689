use proptest::prelude::*;
use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

use super::*;
use crate::report::fixtures::{
    attempt, case, failed_case, failing, flaky, passing, run, test, two_hundred, without_cases,
    without_its_service,
};

fn xml(results: &RunResults) -> String {
    let mut out = Vec::new();
    Junit.export(results, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

#[derive(Debug, Default, PartialEq)]
struct Element {
    name: String,
    attributes: Vec<(String, String)>,
    text: String,
    children: Vec<Element>,
}

impl Element {
    fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    fn all<'a>(&'a self, name: &str) -> Vec<&'a Element> {
        let below = self.children.iter().flat_map(|child| child.all(name));
        self.children.iter().filter(|child| child.name == name).chain(below).collect()
    }

    fn only(&self, name: &str) -> &Element {
        let found = self.all(name);
        assert_eq!(found.len(), 1, "{name} in {self:?}");
        found[0]
    }
}

/// A reading of the document that fails on anything that is not well-formed.
fn parse(xml: &str) -> Element {
    fn element(start: &BytesStart<'_>) -> Element {
        let attributes = start.attributes().map(|attribute| {
            let attribute = attribute.unwrap();
            let value = quick_xml::escape::unescape(std::str::from_utf8(&attribute.value).unwrap()).unwrap();
            (String::from_utf8(attribute.key.as_ref().to_vec()).unwrap(), value.into_owned())
        });
        let name = String::from_utf8(start.name().as_ref().to_vec()).unwrap();
        Element { name, attributes: attributes.collect(), ..Element::default() }
    }
    let mut reader = Reader::from_str(xml);
    reader.config_mut().check_end_names = true;
    let mut open = vec![Element::default()];
    loop {
        match reader.read_event().unwrap() {
            Event::Start(start) => open.push(element(&start)),
            Event::Empty(start) => {
                let child = element(&start);
                open.last_mut().unwrap().children.push(child);
            }
            Event::End(_) => {
                let done = open.pop().unwrap();
                open.last_mut().unwrap().children.push(done);
            }
            Event::CData(data) => {
                open.last_mut().unwrap().text.push_str(std::str::from_utf8(&data).unwrap());
            }
            Event::Text(text) => assert_eq!(std::str::from_utf8(&text).unwrap().trim(), ""),
            Event::Decl(_) => {}
            Event::Eof => break,
            other => panic!("unexpected {other:?}"),
        }
    }
    assert_eq!(open.len(), 1);
    open.pop().unwrap().children.pop().unwrap()
}

#[test]
fn cases_of_the_container_are_kept_in_a_suite_named_after_both() {
    let root = parse(&xml(&failing()));
    let suite = root.only("testsuite");
    assert_eq!(suite.attribute("name"), Some("shop:1.4 / pytest"));
    assert_eq!(suite.attribute("tests"), Some("2"));
    assert_eq!(suite.attribute("failures"), Some("1"));
    assert_eq!(suite.attribute("timestamp"), Some("2026-11-21T06:30:00Z"));
    let failed = root.all("testcase")[1];
    assert_eq!(failed.attribute("name"), Some("test_total"));
    assert_eq!(failed.attribute("classname"), Some("shop.CartTest"));
    assert_eq!(failed.attribute("file"), Some("tests/cart.py"));
    assert_eq!(failed.attribute("time"), Some("0.25"));
    let failure = root.only("failure");
    assert_eq!(failure.attribute("type"), Some("AssertionError"));
    assert_eq!(failure.attribute("message"), Some("assert 3 == 4"));
    assert_eq!(failure.text, "Traceback:\n  assert 3 == 4");
}

#[test]
fn a_test_without_cases_is_one_case() {
    let root = parse(&xml(&without_cases(Outcome::Passed, None)));
    let case = root.only("testcase");
    assert_eq!(case.attribute("name"), Some("shop:1.4"));
    assert_eq!(case.attribute("classname"), Some("integration"));
    assert_eq!(case.attribute("time"), Some("1.5"));
    assert_eq!(case.only("system-out").text, "collected 2 items\nFAILED");
    assert!(root.all("failure").is_empty() && root.all("error").is_empty());
}

#[test]
fn a_bad_exit_with_good_cases_adds_a_failure() {
    let mut results = passing();
    results.tests[0].outcome = Outcome::Failed;
    results.tests[0].cause = Some(Cause::ExitCode { code: 1 });
    let root = parse(&xml(&results));
    assert_eq!(root.all("testcase").len(), 3);
    assert_eq!(root.all("testsuite")[0].attribute("name"), Some("shop:1.4"));
    let failure = root.only("failure");
    assert_eq!(failure.attribute("type"), Some("exit_code"));
    assert_eq!(failure.attribute("message"), Some("the test command ended with exit code 1"));
}

#[test]
fn a_bad_exit_that_failed_cases_explain_adds_nothing() {
    assert_eq!(parse(&xml(&failing())).all("testcase").len(), 2);
}

#[test]
fn what_happened_to_the_container_is_an_error_beside_failed_cases() {
    let mut results = failing();
    results.tests[0].outcome = Outcome::OutOfMemory;
    results.tests[0].cause = Some(Cause::OutOfMemory { limit: Some(64 << 20) });
    let root = parse(&xml(&results));
    assert_eq!(root.all("testcase").len(), 3);
    let error = root.only("error");
    assert_eq!(error.attribute("type"), Some("out_of_memory"));
    assert_eq!(error.attribute("message"), Some("out of memory: the kernel killed the test (limit 64 MiB)"));
}

#[test]
fn a_pass_that_was_trusted_against_its_cases_stays_a_pass() {
    let mut results = failing();
    results.tests[0].outcome = Outcome::Passed;
    results.tests[0].cause = None;
    assert_eq!(parse(&xml(&results)).all("testcase").len(), 2);
}

#[test]
fn attempts_stand_in_the_output_of_the_container_case() {
    let mut first = attempt(1, Outcome::TimedOut, Vec::new());
    first.cause = Some(Cause::Timeout { seconds: 60.0 });
    let cause = Some(Cause::ExitCode { code: 2 });
    let last = attempt(2, Outcome::Failed, Vec::new());
    let root = parse(&xml(&run(vec![test("shop:1.4", Outcome::Failed, cause, vec![first, last])])));
    assert_eq!(
        root.only("system-out").text,
        "attempt 1: timed out after 1.5s: the test ran longer than 1m\n\
         attempt 2: failed after 1.5s: the test command ended with exit code 2\n\n\
         collected 2 items\nFAILED"
    );
}

#[test]
fn a_flaky_test_with_cases_tells_its_attempts_in_the_suite() {
    let mut first = attempt(1, Outcome::Failed, Vec::new());
    first.cause = Some(Cause::ExitCode { code: 1 });
    let last = attempt(2, Outcome::Passed, vec![case("a", CaseStatus::Passed)]);
    let root = parse(&xml(&run(vec![test("shop:1.4", Outcome::Flaky, None, vec![first, last])])));
    let suite = root.only("testsuite");
    assert_eq!(suite.attribute("tests"), Some("1"));
    assert!(suite.only("system-out").text.starts_with("attempt 1: failed after 1.5s"));
}

#[test]
fn a_flaky_test_is_passed_with_a_note_in_the_output_of_a_case() {
    let mut results = flaky();
    results.tests[0].attempts[1].suites[0].cases[0].stdout = Some("its own ]]> words".to_owned());
    let root = parse(&xml(&results));
    assert!(root.all("failure").is_empty() && root.all("error").is_empty());
    assert_eq!(
        root.only("testcase").only("system-out").text,
        "attempt 1: failed after 1.5s: the test command ended with exit code 1\n\
         attempt 2: passed after 1.5s\n\
         flaky: passed on attempt 2 only\n\n\
         its own ]]> words"
    );
}

#[test]
fn the_attempts_of_a_failed_test_stand_at_its_first_failed_case() {
    let mut results = failing();
    let mut first = results.tests[0].attempts[0].clone();
    first.outcome = Outcome::TimedOut;
    results.tests[0].attempts.insert(0, first);
    let root = parse(&xml(&results));
    let cases = root.all("testcase");
    assert!(cases[0].all("system-out").is_empty());
    assert!(cases[1].only("system-out").text.starts_with("attempt 1: timed out after 1.5s"));
}

#[test]
fn a_test_without_its_service_is_an_error_with_the_services_last_words() {
    let root = parse(&xml(&without_its_service()));
    let error = root.only("error");
    assert_eq!(error.attribute("type"), Some("dependency_failed"));
    assert_eq!(error.attribute("message"), Some("db, which it needs, failed: it ended with exit code 1"));
    assert_eq!(root.only("system-out").text, "starting\nFATAL: could not open file");
}

#[test]
fn a_test_that_never_started_has_its_case_too() {
    let cause = Cause::CommandNotFound { message: "exec: \"x\"".to_owned() };
    let root = parse(&xml(&run(vec![test("a", Outcome::NotStarted, Some(cause), Vec::new())])));
    assert_eq!(root.only("error").attribute("type"), Some("command_not_found"));
    assert_eq!(root.only("testsuite").attribute("timestamp"), Some("2026-11-21T06:29:58Z"));
}

#[test]
fn skipped_cases_keep_their_reason() {
    let mut skipped = case("slow", CaseStatus::Skipped);
    skipped.message = Some("needs a database".to_owned());
    let cases = vec![skipped, case("plain", CaseStatus::Skipped)];
    let results = run(vec![test("a", Outcome::Passed, None, vec![attempt(1, Outcome::Passed, cases)])]);
    let root = parse(&xml(&results));
    let reasons: Vec<_> = root.all("skipped").iter().map(|skip| skip.attribute("message")).collect();
    assert_eq!(reasons, [Some("needs a database"), None]);
}

#[test]
fn hostile_text_can_neither_end_a_section_nor_break_the_document() {
    let mut hostile = failed_case("a\"<b>&'\u{1b}[31m\u{0}c", "line one\nline two]]>");
    hostile.detail = Some("x]]\u{1}></failure><evil/>\u{1b}[0m]]>\u{fffe}".to_owned());
    hostile.stdout = Some("]]>]]>".to_owned());
    let cause = Some(Cause::ExitCode { code: 1 });
    let tests = vec![test("shop", Outcome::Failed, cause, vec![attempt(1, Outcome::Failed, vec![hostile])])];
    let root = parse(&xml(&run(tests)));
    assert_eq!(root.only("testcase").attribute("name"), Some("a\"<b>&'c"));
    assert_eq!(root.only("failure").attribute("message"), Some("line one line two]]>"));
    assert_eq!(root.only("failure").text, "line one\nline two]]>\nx]]></failure><evil/>]]>");
    assert_eq!(root.only("system-out").text, "]]>]]>");
    assert!(root.all("evil").is_empty());
}

#[test]
fn durations_that_are_no_numbers_are_zero() {
    let mut odd = case("a", CaseStatus::Passed);
    for (seconds, time) in [(f64::NAN, "0"), (-3.0, "0"), (f64::INFINITY, "0"), (0.000_001, "0.000001")] {
        odd.seconds = Some(seconds);
        let attempts = vec![attempt(1, Outcome::Passed, vec![odd.clone()])];
        let root = parse(&xml(&run(vec![test("a", Outcome::Passed, None, attempts)])));
        assert_eq!(root.only("testcase").attribute("time"), Some(time), "{seconds}");
    }
}

#[test]
fn the_order_of_elements_is_the_schemas() {
    let mut full = failed_case("a", "m");
    full.stdout = Some("out".to_owned());
    full.stderr = Some("err".to_owned());
    let attempts = vec![attempt(1, Outcome::Failed, vec![full])];
    let root = parse(&xml(&run(vec![test("a", Outcome::Failed, None, attempts)])));
    let names: Vec<_> = root.only("testcase").children.iter().map(|child| child.name.as_str()).collect();
    assert_eq!(names, ["failure", "system-out", "system-err"]);
}

#[test]
fn what_is_written_is_read_back_as_the_same_cases() {
    let mut results = failing();
    let cases = &mut results.tests[0].attempts[0].suites[0].cases;
    cases[0].stdout = Some("out <&> ]]> put".to_owned());
    cases[0].stderr = Some("err".to_owned());
    cases.push(Case { message: Some("broke".to_owned()), ..case("test_db", CaseStatus::Errored) });
    cases.push(Case { message: Some("no database".to_owned()), ..case("test_slow", CaseStatus::Skipped) });
    let written = results.tests[0].attempts[0].suites[0].cases.clone();

    let document = xml(&results);
    let limits = crate::results::collect::ReadLimits::default();
    let read = crate::results::junit::read(document.as_bytes(), "report.xml", &limits).unwrap();
    assert_eq!(read.suites.len(), 1);
    assert_eq!(read.suites[0].name, "shop:1.4 / pytest");
    // JUnit has no attribute for a line, and a verdict always has a type.
    for (read, written) in read.suites[0].cases.iter().zip(&written) {
        let expected = Case { line: None, kind: read.kind.clone(), seconds: read.seconds, ..written.clone() };
        assert_eq!(*read, expected);
    }
    assert_eq!(read.suites[0].cases.len(), written.len());
}

#[test]
fn a_full_disk_is_not_a_defect_of_the_program() {
    struct Full;
    impl Write for Full {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::StorageFull.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let error = Junit.export(&failing(), &mut Full).unwrap_err();
    assert!(
        matches!(&error, ExportError::Write { source, .. } if source.kind() == io::ErrorKind::StorageFull)
    );
}

#[test]
fn two_hundred_tests_are_a_suite_each_and_say_what_the_exit_code_says() {
    let root = parse(&xml(&two_hundred()));
    let suites = root.all("testsuite");
    assert_eq!(suites.len(), 200);
    let number = |name: &str| root.all(name).len();
    // Timeouts and what was without its service or test: nothing that an image was found guilty of.
    assert_eq!((number("failure"), number("error"), number("skipped")), (10, 25, 10));
    let message = |at: usize| suites[at].only("skipped").attribute("message").unwrap().to_owned();
    assert_eq!(message(40), "not run: nothing has changed since it passed at 2026-11-20T06:30:00Z (run r-41)");
    assert_eq!(message(43), "not run: the run was stopped: 15 tests did not pass");
    let told = &suites[35].only("system-out").text;
    assert!(told.ends_with("flaky: passed on attempt 2 only"), "{told}");
    assert!(suites[35].all("failure").is_empty());
    assert_eq!(suites[30].only("error").attribute("type"), Some("dependency_failed"));
}

proptest! {
    #[test]
    fn any_text_makes_a_document_that_can_be_read(
        name in any::<String>(),
        message in any::<String>(),
        detail in "(\\PC|]|>|<|&|\n|\u{1b}|\u{0}){0,40}",
    ) {
        let mut odd = failed_case(&name, &message);
        odd.detail = Some(detail.clone());
        let attempts = vec![attempt(1, Outcome::Failed, vec![odd])];
        let root = parse(&xml(&run(vec![test(&name, Outcome::Failed, None, attempts)])));
        prop_assert_eq!(root.only("testcase").attribute("name").unwrap(), attribute(&name));
        prop_assert!(root.only("failure").text.ends_with(&xml_text(&detail)));
    }
}
