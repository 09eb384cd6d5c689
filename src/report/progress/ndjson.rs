//! `--format json`: one event a line on stdout, for programs.
//!
//! Owns line framing, the name of the test in events of runs of several, and the conversion of raw output to text.
//! Nothing else may be written to the same stream.

use std::collections::BTreeMap;
use std::io::{self, Write};

use serde::Serialize;

use super::Display;
use super::streams::Channel;
use super::words::name_of;
use crate::runner::event::{OutputStream, RunEvent};

/// Writes each event as a line of JSON and flushes it.
pub struct Ndjson {
    channel: Channel,
    alone: Decoders,
    /// Of tests that have not ended and have printed something, where there are several.
    of_tests: BTreeMap<String, Decoders>,
}

/// One for each stream of a test.
struct Decoders {
    stdout: Decoder,
    stderr: Decoder,
}

impl Decoders {
    const fn new() -> Self {
        Self { stdout: Decoder::new(), stderr: Decoder::new() }
    }

    const fn of(&mut self, stream: OutputStream) -> &mut Decoder {
        match stream {
            OutputStream::Stdout => &mut self.stdout,
            OutputStream::Stderr => &mut self.stderr,
        }
    }

    /// Halves of characters that were never completed, as replaced text.
    fn finish(&mut self) -> impl Iterator<Item = RunEvent> + use<> {
        let rests =
            [OutputStream::Stdout, OutputStream::Stderr].map(|stream| (stream, self.of(stream).finish()));
        rests
            .into_iter()
            .filter(|(_, text)| !text.is_empty())
            .map(|(stream, text)| RunEvent::Output { stream, text })
    }
}

/// An event with the name of its test, which is left out where the event has it already.
#[derive(Serialize)]
struct OfTest<'a> {
    #[serde(flatten)]
    event: &'a RunEvent,
    #[serde(skip_serializing_if = "Option::is_none")]
    test: Option<&'a str>,
}

impl Ndjson {
    /// Takes over the stream.
    #[must_use]
    pub const fn new(stdout: Box<dyn Write + Send>) -> Self {
        Self { channel: Channel::new(stdout), alone: Decoders::new(), of_tests: BTreeMap::new() }
    }

    fn emit(&mut self, test: Option<&str>, event: &RunEvent) {
        // Serialising plain values to memory cannot fail.
        let Ok(line) = serde_json::to_string(&OfTest { event, test }) else { return };
        // A CI log would obey `##[…]` wherever it stands; inside a JSON string this is the same text.
        let line = line.replace("##[", "#\\u0023[");
        self.channel.write(format!("{line}\n").as_bytes());
    }

    /// Half a character that was never completed is shown as replaced before anything else happens to its test.
    fn end_output(&mut self, test: Option<&str>) {
        let decoders = match test {
            None => Some(&mut self.alone),
            Some(test) => self.of_tests.get_mut(test),
        };
        for rest in decoders.map(Decoders::finish).into_iter().flatten() {
            self.emit(test, &rest);
        }
    }
}

const fn begins_or_ends_output(event: &RunEvent) -> bool {
    matches!(event, RunEvent::TestStarted { .. } | RunEvent::TestFinished { .. } | RunEvent::TestEnded { .. })
}

impl Display for Ndjson {
    fn event(&mut self, event: &RunEvent) {
        if begins_or_ends_output(event) {
            self.end_output(None);
        }
        self.emit(None, event);
    }

    fn event_of(&mut self, test: &str, event: &RunEvent) {
        if begins_or_ends_output(event) {
            self.end_output(Some(test));
        }
        if matches!(event, RunEvent::TestEnded { .. }) {
            self.of_tests.remove(test);
        }
        let named = name_of(event).is_none().then_some(test);
        self.emit(named, event);
    }

    fn output(&mut self, stream: OutputStream, bytes: &[u8]) {
        let text = self.alone.of(stream).push(bytes);
        if !text.is_empty() {
            self.emit(None, &RunEvent::Output { stream, text });
        }
    }

    fn output_of(&mut self, test: &str, stream: OutputStream, bytes: &[u8]) {
        if !self.of_tests.contains_key(test) {
            self.of_tests.insert(test.to_owned(), Decoders::new());
        }
        let decoded = self.of_tests.get_mut(test).map(|decoders| decoders.of(stream).push(bytes));
        if let Some(text) = decoded.filter(|text| !text.is_empty()) {
            self.emit(Some(test), &RunEvent::Output { stream, text });
        }
    }

    fn finish(&mut self) {
        self.end_output(None);
        for (test, mut decoders) in std::mem::take(&mut self.of_tests) {
            for rest in decoders.finish() {
                self.emit(Some(&test), &rest);
            }
        }
    }

    fn stdout_closed(&self) -> bool {
        self.channel.closed()
    }

    fn take_stdout_error(&mut self) -> Option<io::Error> {
        self.channel.take_error()
    }
}

/// UTF-8 from chunks that may end inside a character.
struct Decoder {
    /// The beginning of a character: at most three bytes.
    rest: Vec<u8>,
}

impl Decoder {
    const fn new() -> Self {
        Self { rest: Vec::new() }
    }

    fn push(&mut self, bytes: &[u8]) -> String {
        self.rest.extend_from_slice(bytes);
        let mut complete = self.rest.len();
        // Only the last invalid sequence can be incomplete, and then it reaches to the end.
        if let Some(chunk) = self.rest.utf8_chunks().last()
            && !chunk.invalid().is_empty()
            && std::str::from_utf8(chunk.invalid()).is_err_and(|error| error.error_len().is_none())
        {
            complete -= chunk.invalid().len();
        }
        let rest = self.rest.split_off(complete);
        let text = String::from_utf8_lossy(&self.rest).into_owned();
        self.rest = rest;
        text
    }

    fn finish(&mut self) -> String {
        let rest = std::mem::take(&mut self.rest);
        String::from_utf8_lossy(&rest).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::report::progress::fixtures::{Failing, Shared, a_run, feed, test_started};
    use crate::report::progress::suite::fixtures::ended;
    use crate::results::Outcome;

    fn texts(shared: &Shared) -> Vec<(String, String)> {
        let read = |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap();
        let field = |json: &serde_json::Value, name: &str| json[name].as_str().unwrap_or_default().to_owned();
        shared
            .text()
            .lines()
            .map(read)
            .filter(|json| json["event"] == "output")
            .map(|json| (field(&json, "stream"), field(&json, "text")))
            .collect()
    }

    #[test]
    fn every_event_is_one_line_that_names_itself() {
        let shared = Shared::default();
        let mut display = Ndjson::new(Box::new(shared.clone()));
        let (before, after) = a_run();
        let events: Vec<_> = before.into_iter().chain(after).collect();
        feed(&mut display, &events);
        display.finish();
        let text = shared.text();
        assert_eq!(text.lines().count(), events.len());
        for line in text.lines() {
            let json: serde_json::Value = serde_json::from_str(line).unwrap();
            assert!(json["event"].is_string(), "{line}");
        }
        assert!(text.starts_with("{\"event\":\"run_started\",\"run_id\":\"r-42\""));
    }

    #[test]
    fn a_character_cut_in_two_is_put_together_on_its_stream() {
        let shared = Shared::default();
        let mut display = Ndjson::new(Box::new(shared.clone()));
        display.output(OutputStream::Stdout, b"caf\xc3");
        display.output(OutputStream::Stderr, b"\xe6\xbc");
        display.output(OutputStream::Stdout, b"\xa9!");
        display.output(OutputStream::Stderr, b"\xa2");
        let expected = [("stdout", "caf"), ("stdout", "é!"), ("stderr", "漢")];
        assert_eq!(texts(&shared), expected.map(|(a, b)| (a.to_owned(), b.to_owned())));
    }

    #[test]
    fn half_a_character_at_the_end_of_a_test_is_replaced_before_the_next_event() {
        let shared = Shared::default();
        let mut display = Ndjson::new(Box::new(shared.clone()));
        display.output(OutputStream::Stdout, b"a\xf0\x9f");
        display.event(&test_started());
        display.finish();
        assert_eq!(texts(&shared).last().unwrap().1, "\u{fffd}");
        assert!(shared.text().lines().last().unwrap().contains("test_started"));
    }

    #[test]
    fn a_ci_log_finds_no_command_and_a_program_the_same_text() {
        let shared = Shared::default();
        let mut display = Ndjson::new(Box::new(shared.clone()));
        display.output(OutputStream::Stdout, b"##[add-mask]x");
        assert!(!shared.text().contains("##["));
        assert_eq!(texts(&shared)[0].1, "##[add-mask]x");
    }

    #[test]
    fn a_reader_that_left_is_not_a_crash() {
        let failing = Failing::new(io::ErrorKind::BrokenPipe);
        let mut display = Ndjson::new(Box::new(failing.clone()));
        display.event(&test_started());
        display.event(&test_started());
        assert!(display.stdout_closed());
        assert_eq!(failing.attempts(), 1);
    }

    #[test]
    fn events_of_several_tests_name_theirs_once() {
        let shared = Shared::default();
        let mut display = Ndjson::new(Box::new(shared.clone()));
        display.event_of("pay", &RunEvent::Warning { message: "careful".to_owned() });
        display.event_of("shop:1.4", &test_started());
        display.output_of("pay", OutputStream::Stderr, b"x\n");
        display.event(&RunEvent::Stopped { reason: "interrupted".to_owned(), tests: 0 });
        assert_eq!(
            shared.text(),
            "{\"event\":\"warning\",\"message\":\"careful\",\"test\":\"pay\"}\n\
             {\"event\":\"test_started\",\"test\":\"shop:1.4\",\"attempt\":1,\"container\":\"0123456789abcdef0123\"}\n\
             {\"event\":\"output\",\"stream\":\"stderr\",\"text\":\"x\\n\",\"test\":\"pay\"}\n\
             {\"event\":\"stopped\",\"reason\":\"interrupted\",\"tests\":0}\n"
        );
    }

    #[test]
    fn characters_of_interleaved_tests_are_put_together_each_on_its_own() {
        let shared = Shared::default();
        let mut display = Ndjson::new(Box::new(shared.clone()));
        display.output_of("a", OutputStream::Stdout, b"\xe6\xbc");
        display.output_of("b", OutputStream::Stdout, b"\xc3");
        display.output_of("a", OutputStream::Stdout, b"\xa2");
        display.output_of("b", OutputStream::Stdout, b"\xa9");
        display.output_of("b", OutputStream::Stderr, b"\xf0\x9f");
        display.event_of("a", &ended("a", Outcome::Passed, None, 1));
        display.event_of("b", &ended("b", Outcome::Passed, None, 1));
        let expected = [("stdout", "漢"), ("stdout", "é"), ("stderr", "\u{fffd}")];
        assert_eq!(texts(&shared), expected.map(|(a, b)| (a.to_owned(), b.to_owned())));
        let lines: Vec<serde_json::Value> =
            shared.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let told: Vec<_> =
            lines.iter().map(|line| (line["event"].as_str().unwrap(), &line["test"])).collect();
        let names = |event, test: &'static str| (event, serde_json::Value::from(test));
        let expected = [
            names("output", "a"),
            names("output", "b"),
            names("test_ended", "a"),
            names("output", "b"),
            names("test_ended", "b"),
        ];
        assert_eq!(told, expected.iter().map(|(event, test)| (*event, test)).collect::<Vec<_>>());
    }

    #[test]
    fn nothing_is_kept_of_a_test_that_has_ended_and_nothing_of_one_that_has_not_is_lost() {
        let shared = Shared::default();
        let mut display = Ndjson::new(Box::new(shared.clone()));
        for number in 0..1000 {
            let name = format!("test-{number}");
            display.output_of(&name, OutputStream::Stdout, b"x\xe6");
            display.event_of(&name, &ended(&name, Outcome::Passed, None, 1));
        }
        assert!(display.of_tests.is_empty());
        display.output_of("last", OutputStream::Stdout, b"\xe6");
        display.finish();
        assert_eq!(shared.text().lines().count(), 3001);
        let last = shared.text().lines().last().unwrap().to_owned();
        assert_eq!(
            last,
            "{\"event\":\"output\",\"stream\":\"stdout\",\"text\":\"\u{fffd}\",\"test\":\"last\"}"
        );
    }

    proptest! {
        #[test]
        fn any_chunking_decodes_like_the_whole(
            bytes in prop::collection::vec(prop_oneof![any::<u8>(), Just(0xe2), Just(0x82), Just(0xac), Just(0xf0)], 0..40),
            cuts in prop::collection::vec(0_usize..40, 0..6),
        ) {
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let mut decoder = Decoder::new();
            let mut text = String::new();
            for pair in cuts.windows(2) {
                text.push_str(&decoder.push(&bytes[pair[0]..pair[1]]));
            }
            text.push_str(&decoder.finish());
            prop_assert_eq!(text, String::from_utf8_lossy(&bytes));
        }
    }
}
