//! `--format json`: one event a line on stdout, for programs.
//!
//! Owns line framing and the conversion of raw output to text. Nothing else may be written to the same stream.

use std::io::{self, Write};

use super::Display;
use super::streams::Channel;
use crate::runner::event::{OutputStream, RunEvent};

/// Writes each event as a line of JSON and flushes it.
pub struct Ndjson {
    channel: Channel,
    stdout: Decoder,
    stderr: Decoder,
}

impl Ndjson {
    /// Takes over the stream.
    #[must_use]
    pub const fn new(stdout: Box<dyn Write + Send>) -> Self {
        Self { channel: Channel::new(stdout), stdout: Decoder::new(), stderr: Decoder::new() }
    }

    fn emit(&mut self, event: &RunEvent) {
        // Serialising plain values to memory cannot fail.
        let Ok(line) = serde_json::to_string(event) else { return };
        // A CI log would obey `##[…]` wherever it stands; inside a JSON string this is the same text.
        let line = line.replace("##[", "#\\u0023[");
        self.channel.write(format!("{line}\n").as_bytes());
    }

    /// Half a character that was never completed is shown as replaced before anything else happens.
    fn end_output(&mut self) {
        for stream in [OutputStream::Stdout, OutputStream::Stderr] {
            let rest = self.decoder(stream).finish();
            if !rest.is_empty() {
                self.emit(&RunEvent::Output { stream, text: rest });
            }
        }
    }

    const fn decoder(&mut self, stream: OutputStream) -> &mut Decoder {
        match stream {
            OutputStream::Stdout => &mut self.stdout,
            OutputStream::Stderr => &mut self.stderr,
        }
    }
}

impl Display for Ndjson {
    fn event(&mut self, event: &RunEvent) {
        if matches!(event, RunEvent::TestStarted { .. } | RunEvent::TestFinished { .. }) {
            self.end_output();
        }
        self.emit(event);
    }

    fn output(&mut self, stream: OutputStream, bytes: &[u8]) {
        let text = self.decoder(stream).push(bytes);
        if !text.is_empty() {
            self.emit(&RunEvent::Output { stream, text });
        }
    }

    fn finish(&mut self) {
        self.end_output();
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
