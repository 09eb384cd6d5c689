//! Where a step stands in the Dockerfile, as far as the names that builders give their steps tell.
//!
//! Pure. Names alone are read: what a step prints never gets here.

/// A step's place by the builder's numbering.
///
/// The classic builder counts every instruction of the file from 1. Podman counts the instructions of each stage
/// from its FROM. BuildKit counts, in each stage, the base image (unless it is `scratch` or another stage) and
/// every RUN, COPY, ADD and WORKDIR, those of ONBUILD triggers included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    /// Name of the stage (BuildKit; `stage-N` where it has none) or its number from 1 (Podman). Absent where the
    /// file has one stage, and with the classic builder.
    pub stage: Option<String>,
    /// Number of the step, counted from 1.
    pub number: u32,
    /// Number of steps there are.
    pub total: u32,
}

impl Position {
    /// Reads BuildKit's `[2/3] RUN …` and `[stage 2/3] RUN …`; `[internal] …` and other steps have no position.
    /// A platform, as multi-platform builds put it first, is not part of the stage's name.
    pub(super) fn of_vertex(name: &str) -> Option<Self> {
        let (inside, _) = name.strip_prefix('[')?.split_once(']')?;
        let mut words = inside.split_whitespace().rev();
        let (number, total) = fraction(words.next()?)?;
        let stage = words.next().filter(|word| !word.contains('/')).map(str::to_owned);
        Some(Self { stage, number, total })
    }
}

/// The opening line of a step: `Step 2/3 : RUN …` (classic), `STEP 2/3: RUN …` or `[1/2] STEP 2/3: RUN …` (Podman).
pub(super) fn heading(text: &str) -> Option<(Position, &str)> {
    if let Some(rest) = text.strip_prefix("Step ") {
        let (count, instruction) = rest.split_once(" : ")?;
        let (number, total) = fraction(count)?;
        return Some((Position { stage: None, number, total }, instruction.trim_end()));
    }
    let (stage, rest) = match text.strip_prefix('[').and_then(|rest| rest.split_once("] ")) {
        Some((stage, rest)) => (Some(fraction(stage)?.0.to_string()), rest),
        None => (None, text),
    };
    let (count, instruction) = rest.strip_prefix("STEP ")?.split_once(": ")?;
    let (number, total) = fraction(count)?;
    Some((Position { stage, number, total }, instruction.trim_end()))
}

/// `N/M` with 1 ≤ N ≤ M.
fn fraction(text: &str) -> Option<(u32, u32)> {
    let (number, total) = text.split_once('/')?;
    let (number, total) = (number.parse().ok()?, total.parse().ok()?);
    (1 <= number && number <= total).then_some((number, total))
}

/// The Dockerfile line that a message names: `dockerfile parse error line 3: …` or `… on line 3: …`.
///
/// Only at the beginning: further on, a message quotes the command that failed.
pub(super) fn named_line(message: &str) -> Option<u32> {
    parse_error(message).map(|(line, _)| line)
}

/// A message without the line that it names: that is one of the file which the builder got, and it is told in the
/// author's terms beside the message.
pub(super) fn without_line(message: &str) -> &str {
    parse_error(message).map_or(message, |(_, reason)| reason)
}

/// The line that a parse error names, and the reason.
fn parse_error(message: &str) -> Option<(u32, &str)> {
    const OPENING: &str = "dockerfile parse error ";
    let message = unwrapped(message);
    let opening = message.get(..OPENING.len())?;
    let rest = message.get(OPENING.len()..).filter(|_| opening.eq_ignore_ascii_case(OPENING))?;
    let rest = rest.strip_prefix("on ").unwrap_or(rest).strip_prefix("line ")?;
    let digits = rest.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(rest.len());
    let (line, reason) = rest.split_at_checked(digits)?;
    Some((line.parse().ok()?, reason.strip_prefix(':').unwrap_or(reason).trim_start()))
}

/// What a command exited with, where the message ends by saying so.
pub(super) fn exit_code(message: &str) -> Option<i64> {
    let (_, code) = ["exit code: ", "exit status ", "non-zero code: "]
        .iter()
        .find_map(|words| message.rsplit_once(words))?;
    code.trim().parse().ok()
}

/// A builder's message without the names of the functions that handed it on.
pub(super) fn unwrapped(message: &str) -> &str {
    let mut message = message.trim();
    loop {
        let wrapper = [
            "failed to solve with frontend dockerfile.v0: ",
            "failed to solve: ",
            "failed to create LLB definition: ",
            "rpc error: code = Unknown desc = ",
        ]
        .iter()
        .find_map(|wrapper| message.strip_prefix(wrapper));
        match wrapper {
            Some(rest) => message = rest,
            None => return message,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn position(stage: Option<&str>, number: u32, total: u32) -> Position {
        Position { stage: stage.map(str::to_owned), number, total }
    }

    #[test]
    fn vertices_with_and_without_a_stage_have_a_position_and_internal_ones_have_none() {
        assert_eq!(Position::of_vertex("[2/3] RUN true"), Some(position(None, 2, 3)));
        assert_eq!(Position::of_vertex("[test 12/13] COPY [a] /"), Some(position(Some("test"), 12, 13)));
        assert_eq!(Position::of_vertex("[linux/arm64 2/3] RUN x"), Some(position(None, 2, 3)));
        assert_eq!(Position::of_vertex("[linux/arm64 base 2/3] RUN x"), Some(position(Some("base"), 2, 3)));
        for name in ["[internal] load metadata", "exporting to image", "[4/3] RUN x", "[0/3] RUN x", "["] {
            assert_eq!(Position::of_vertex(name), None, "{name}");
        }
    }

    #[test]
    fn headings_of_both_dialects_are_read() {
        assert_eq!(heading("Step 2/3 : RUN a : b\n"), Some((position(None, 2, 3), "RUN a : b")));
        assert_eq!(heading("STEP 2/3: RUN a: b\n"), Some((position(None, 2, 3), "RUN a: b")));
        assert_eq!(heading("[1/2] STEP 3/3: RUN x\n"), Some((position(Some("1"), 3, 3), "RUN x")));
        for text in
            ["Step 4/3 : x", "Step two", "step 1/2 : x", " Step 1/2 : x", "[a] STEP 1/1: x", "STEP 1/1"]
        {
            assert_eq!(heading(text), None, "{text}");
        }
    }

    #[test]
    fn a_line_of_the_builder_s_own_file_is_taken_off_the_message() {
        assert_eq!(
            without_line("dockerfile parse error line 3: unknown instruction: FOO"),
            "unknown instruction: FOO"
        );
        assert_eq!(without_line("failed to solve: Dockerfile parse error on line 12: x"), "x");
        assert_eq!(
            without_line("executor failed running [line 7: x]"),
            "executor failed running [line 7: x]"
        );
    }

    #[test]
    fn the_line_of_a_parse_error_is_read_in_old_and_new_wording() {
        assert_eq!(named_line("dockerfile parse error line 3: unknown instruction: FOO"), Some(3));
        assert_eq!(named_line("failed to solve: dockerfile parse error on line 12: x"), Some(12));
        assert_eq!(named_line("Dockerfile parse error on line 2: x"), Some(2));
        assert_eq!(named_line("executor failed running [dockerfile parse error line 7]: exit code: 1"), None);
        assert_eq!(named_line("exit code: 1"), None);
    }

    #[test]
    fn exit_codes_of_all_builders_are_read() {
        assert_eq!(exit_code("executor failed running [/bin/sh -c false]: exit code: 1"), Some(1));
        assert_eq!(exit_code("The command '/bin/sh -c x' returned a non-zero code: 127"), Some(127));
        assert_eq!(
            exit_code("building at STEP \"RUN false\": while running runtime: exit status 1\n"),
            Some(1)
        );
        assert_eq!(exit_code("no such host"), None);
    }

    #[test]
    fn wrappers_are_removed_as_often_as_they_stand_there() {
        assert_eq!(unwrapped("failed to solve: rpc error: code = Unknown desc = failed to solve: x"), "x");
    }

    proptest! {
        #[test]
        fn no_text_makes_the_readers_panic(text in "\\PC{0,60}") {
            let _ = (Position::of_vertex(&text), heading(&text), named_line(&text), exit_code(&text));
        }
    }
}
