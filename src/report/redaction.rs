//! Takes secrets out of results and events before anyone reads them.
//!
//! Owns the list of places where text from a test, an image or an engine stands. The search itself is
//! [`crate::redact`]'s.

use std::collections::BTreeMap;

use crate::redact::{RedactStream, Redactor};
use crate::results::{Attempt, Case, Cause, RunResults, ServiceResult};
use crate::runner::event::RunEvent;

/// The results with every secret hidden in text that came from the test, its image or the engine.
#[must_use]
pub fn redact_results(mut results: RunResults, redactor: &Redactor) -> RunResults {
    if redactor.is_empty() {
        return results;
    }
    for test in &mut results.tests {
        redact_cause(&mut test.cause, redactor);
        for warning in &mut test.warnings {
            redact(warning, redactor);
        }
        for attempt in &mut test.attempts {
            redact_attempt(attempt, redactor);
        }
    }
    for service in &mut results.services {
        redact_service(service, redactor);
    }
    results
}

fn redact_service(service: &mut ServiceResult, redactor: &Redactor) {
    redact_cause(&mut service.cause, redactor);
    redact(&mut service.log_tail, redactor);
}

fn redact_attempt(attempt: &mut Attempt, redactor: &Redactor) {
    redact_cause(&mut attempt.cause, redactor);
    redact(&mut attempt.log_tail, redactor);
    if let Some(log) = &mut attempt.log {
        redact(log, redactor);
    }
    for file in &mut attempt.files {
        redact(&mut file.path, redactor);
    }
    for suite in &mut attempt.suites {
        redact(&mut suite.name, redactor);
        redact(&mut suite.source, redactor);
        for case in &mut suite.cases {
            redact_case(case, redactor);
        }
    }
}

fn redact_case(case: &mut Case, redactor: &Redactor) {
    redact(&mut case.name, redactor);
    let texts = [
        &mut case.class,
        &mut case.message,
        &mut case.kind,
        &mut case.detail,
        &mut case.stdout,
        &mut case.stderr,
        &mut case.file,
    ];
    for text in texts.into_iter().flatten() {
        redact(text, redactor);
    }
}

/// Hides every secret in the words of a cause.
pub fn redact_cause(cause: &mut Option<Cause>, redactor: &Redactor) {
    if let Some(
        Cause::CommandNotFound { message }
        | Cause::CommandNotExecutable { message }
        | Cause::NotStarted { message }
        | Cause::EngineLost { message }
        | Cause::ResultsIncomplete { message },
    ) = cause
    {
        redact(message, redactor);
    }
    if let Some(Cause::NotRun { reason }) = cause {
        redact(reason, redactor);
    }
    if let Some(Cause::DependencyFailed { message, log_tail, .. }) = cause {
        redact(message, redactor);
        redact(log_tail, redactor);
    }
}

fn redact(text: &mut String, redactor: &Redactor) {
    if let std::borrow::Cow::Owned(clean) = redactor.redact(text) {
        *text = clean;
    }
}

/// Takes secrets out of events on their way to a display.
///
/// What a builder prints comes in chunks, so a secret may be cut in two: the chunks of a test are searched as one text,
/// and what could be the beginning of a secret waits for the next chunk or event of that test. The test's own output
/// passes by here: it was searched where it came in.
pub struct EventRedactor {
    redactor: Redactor,
    /// Of whatever has no name: the only test of its run.
    alone: RedactStream,
    /// Of tests for which something is built, where there are several.
    of_tests: BTreeMap<String, RedactStream>,
}

impl EventRedactor {
    /// Hides what `redactor` hides.
    #[must_use]
    pub fn new(redactor: &Redactor) -> Self {
        Self { redactor: redactor.clone(), alone: redactor.stream(), of_tests: BTreeMap::new() }
    }

    /// The event without secrets, behind the build output that waited for it. `test` is the one that it is of, where
    /// there are several.
    pub fn pass(
        &mut self,
        test: Option<&str>,
        mut event: RunEvent,
    ) -> impl Iterator<Item = RunEvent> + use<> {
        if self.redactor.is_empty() {
            return [None, Some(event)].into_iter().flatten();
        }
        if let RunEvent::BuildOutput { text } = &mut event {
            let bytes = self.stream(test).push(std::mem::take(text).as_bytes());
            return [None, build_output(&bytes)].into_iter().flatten();
        }
        let bytes = match test {
            None => self.alone.flush(),
            Some(test) => self.of_tests.get_mut(test).map(RedactStream::flush).unwrap_or_default(),
        };
        if let Some(test) = test
            && matches!(event, RunEvent::Built { .. } | RunEvent::TestEnded { .. })
        {
            self.of_tests.remove(test);
        }
        redact_event(&mut event, &self.redactor);
        [build_output(&bytes), Some(event)].into_iter().flatten()
    }

    /// Build output that waits for a next chunk which will not come, and the tests that it is of.
    pub fn finish(&mut self) -> Vec<(Option<String>, RunEvent)> {
        let alone = (None, self.alone.flush());
        let of_tests = std::mem::take(&mut self.of_tests).into_iter();
        let of_tests = of_tests.map(|(test, mut stream)| (Some(test), stream.flush()));
        let rests = std::iter::once(alone).chain(of_tests);
        rests.filter_map(|(test, bytes)| Some((test, build_output(&bytes)?))).collect()
    }

    fn stream(&mut self, test: Option<&str>) -> &mut RedactStream {
        match test {
            None => &mut self.alone,
            Some(test) => self.of_tests.entry(test.to_owned()).or_insert_with(|| self.redactor.stream()),
        }
    }
}

/// Hides every secret in an event's own words: not in build output, which is searched as a stream.
fn redact_event(event: &mut RunEvent, redactor: &Redactor) {
    match event {
        RunEvent::Planned { reason: text, .. }
        | RunEvent::PullProgress { status: text, .. }
        | RunEvent::BuildStep { name: text, .. }
        | RunEvent::Warning { message: text } => redact(text, redactor),
        RunEvent::TestFinished { cause, .. } => redact_cause(cause, redactor),
        RunEvent::TestEnded { cause, log_tail, log, .. } => {
            redact_cause(cause, redactor);
            redact(log_tail, redactor);
            if let Some(log) = log {
                redact(log, redactor);
            }
        }
        RunEvent::ServiceFailed { message, log_tail, .. } => {
            redact(message, redactor);
            redact(log_tail, redactor);
        }
        _ => {}
    }
}

fn build_output(bytes: &[u8]) -> Option<RunEvent> {
    let text = String::from_utf8_lossy(bytes).into_owned();
    (!text.is_empty()).then_some(RunEvent::BuildOutput { text })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixtures::{attempt, failed_case, run, service, test};
    use crate::results::Outcome;
    use crate::runner::event::StepStatus;

    #[test]
    fn no_text_of_the_test_keeps_a_secret() {
        let secret = "hunter2hunter";
        let mut failed = failed_case(secret, secret);
        for text in [&mut failed.class, &mut failed.kind, &mut failed.detail, &mut failed.file] {
            *text = Some(format!("x {secret}"));
        }
        failed.stdout = Some(secret.to_owned());
        failed.stderr = Some(secret.to_owned());
        let mut only = attempt(1, Outcome::NotStarted, vec![failed]);
        only.log_tail = secret.to_owned();
        only.files[0].path = format!("{secret}.txt");
        only.suites[0].name = secret.to_owned();
        only.suites[0].source = secret.to_owned();
        let cause = Some(Cause::NotStarted { message: secret.to_owned() });
        let mut tested = test("shop:1.4", Outcome::NotStarted, cause, vec![only]);
        tested.warnings = vec![secret.to_owned()];
        tested.attempts[0].log = Some(format!("logs/{secret}.log"));
        let mut results = run(vec![tested]);
        results.services = vec![service("db", Outcome::Failed)];
        results.services[0].log_tail = secret.to_owned();
        results.services[0].cause = Some(Cause::DependencyFailed {
            service: "db".to_owned(),
            message: secret.to_owned(),
            log_tail: secret.to_owned(),
        });
        let results = redact_results(results, &Redactor::new([secret.to_owned()]));
        let json = serde_json::to_string(&results).unwrap();
        assert!(!json.contains(secret), "{json}");
        assert_eq!(results.tests[0].attempts[0].suites[0].cases[0].detail.as_deref(), Some("x ***"));
    }

    fn passed(events: Vec<RunEvent>) -> Vec<RunEvent> {
        let mut redactor = EventRedactor::new(&Redactor::new(["hunter2hunter".to_owned()]));
        let mut passed = Vec::new();
        for event in events {
            passed.extend(redactor.pass(None, event));
        }
        passed.extend(redactor.finish().into_iter().map(|(_, event)| event));
        passed
    }

    fn output(text: &str) -> RunEvent {
        RunEvent::BuildOutput { text: text.to_owned() }
    }

    #[test]
    fn a_step_that_prints_a_build_argument_shows_no_secret() {
        let step = |name: &str| RunEvent::BuildStep {
            id: "1".to_owned(),
            name: name.to_owned(),
            status: StepStatus::Started,
        };
        let events = vec![step("RUN echo hunter2hunter"), output("it is hunter2"), output("hunter!\n")];
        assert_eq!(passed(events), [step("RUN echo ***"), output("it is "), output("***!\n")]);
    }

    #[test]
    fn build_output_that_waits_for_a_secret_to_end_is_not_lost() {
        let warning = |text: &str| RunEvent::Warning { message: text.to_owned() };
        let events = vec![output("x hunt"), warning("w hunter2hunter"), output("hunter2")];
        let expected = [output("x "), output("hunt"), warning("w ***"), output("hunter2")];
        assert_eq!(passed(events), expected);
    }

    #[test]
    fn builds_beside_one_another_neither_hold_up_nor_complete_each_others_text() {
        let mut redactor = EventRedactor::new(&Redactor::new(["hunter2hunter".to_owned()]));
        let mut passed = Vec::new();
        let said = [
            ("a", output("it is hunter2")),
            ("b", output("hunter! all ")),
            ("b", RunEvent::Warning { message: "careful".to_owned() }),
            ("a", output("hunter!\n")),
            ("b", output("hunter2")),
        ];
        for (test, event) in said {
            passed.extend(redactor.pass(Some(test), event).map(|event| (test, event)));
        }
        let warning = RunEvent::Warning { message: "careful".to_owned() };
        let expected =
            [("a", output("it is ")), ("b", output("hunter! all ")), ("b", warning), ("a", output("***!\n"))];
        assert_eq!(passed, expected);
        assert_eq!(redactor.finish(), [(Some("b".to_owned()), output("hunter2"))]);
        assert_eq!(redactor.finish(), []);
    }

    #[test]
    fn nothing_is_kept_of_a_test_whose_build_is_over() {
        let mut redactor = EventRedactor::new(&Redactor::new(["hunter2hunter".to_owned()]));
        for number in 0..1000 {
            let name = format!("test-{number}");
            let mut pass = |event| redactor.pass(Some(&name), event).collect::<Vec<_>>();
            assert_eq!(pass(output("hunter2")), []);
            let end = match number % 2 {
                0 => RunEvent::Built {
                    image: "a".to_owned(),
                    image_id: "b".to_owned(),
                    reused: false,
                    seconds: 1.0,
                },
                _ => ended(&name),
            };
            assert_eq!(pass(end.clone()), [output("hunter2"), end]);
        }
        assert!(redactor.of_tests.is_empty());
    }

    fn ended(test: &str) -> RunEvent {
        RunEvent::TestEnded {
            test: test.to_owned(),
            outcome: Outcome::NotStarted,
            cause: None,
            attempts: 0,
            seconds: 0.0,
            cases: crate::results::CaseCounts::default(),
            slot: None,
            log_tail: String::new(),
            log: None,
        }
    }

    #[test]
    fn the_end_of_a_test_or_a_service_shows_no_secret() {
        let secret = || "x hunter2hunter".to_owned();
        let mut end = ended("a");
        if let RunEvent::TestEnded { cause, log_tail, log, .. } = &mut end {
            *cause = Some(Cause::NotStarted { message: secret() });
            (*log_tail, *log) = (secret(), Some(secret()));
        }
        let failed =
            RunEvent::ServiceFailed { service: "db".to_owned(), message: secret(), log_tail: secret() };
        for event in passed(vec![end, failed]) {
            let json = serde_json::to_string(&event).unwrap();
            assert!(!json.contains("hunter") && json.contains("x ***"), "{json}");
        }
    }
}
