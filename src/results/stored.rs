//! Reads back what `--report json=` wrote.
//!
//! Owns the check that a document is ours and of a schema that is known, and the place of what is wrong in it. Opens no
//! file: the caller has the bytes.

use serde::Deserialize;

use super::RunResults;
use crate::error::{Category, Diagnose};

/// The schema that this program writes, and the newest that it reads.
pub const SCHEMA: u32 = 1;

/// Why a document cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoredError {
    /// It is no JSON, or not a JSON report of docker-test.
    #[error("{file}:{line}:{column}: {message}")]
    Malformed {
        /// The file as the user named it.
        file: String,
        /// Counted from 1.
        line: usize,
        /// Counted from 1.
        column: usize,
        /// What is wrong there.
        message: String,
    },
    /// A schema that does not exist yet.
    #[error("{file} has schema {schema}, and this version of docker-test reads schema {SCHEMA}")]
    Schema {
        /// The file as the user named it.
        file: String,
        /// What it says.
        schema: u64,
    },
}

impl Diagnose for StoredError {
    fn category(&self) -> Category {
        Category::User
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Malformed { .. } => "reports to be read again are written by --report json=PATH".to_owned(),
            Self::Schema { .. } => "use one version of docker-test for all of them".to_owned(),
        })
    }
}

/// What tells a report from any other JSON.
#[derive(Deserialize)]
struct Head {
    schema: u64,
}

/// Reads one report. `file` is named in errors.
pub fn parse(bytes: &[u8], file: &str) -> Result<RunResults, StoredError> {
    // Also Windows tools put a byte order mark in front.
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let parsed: Result<RunResults, _> = serde_json::from_slice(bytes);
    match parsed {
        Ok(results) if results.schema == SCHEMA => Ok(results),
        Ok(results) => Err(StoredError::Schema { file: file.to_owned(), schema: results.schema.into() }),
        // A document of a later schema is likely to miss a field, too: its schema says more than that.
        Err(error) => match serde_json::from_slice::<Head>(bytes) {
            Ok(head) if head.schema != u64::from(SCHEMA) => {
                Err(StoredError::Schema { file: file.to_owned(), schema: head.schema })
            }
            _ => Err(malformed(&error, file)),
        },
    }
}

fn malformed(error: &serde_json::Error, file: &str) -> StoredError {
    let (line, column) = (error.line(), error.column());
    let said = error.to_string();
    let place = format!(" at line {line} column {column}");
    let message = said.strip_suffix(&place).unwrap_or(&said);
    // It quotes what stands in the file, which anyone may have written.
    let message = message.chars().flat_map(|letter| {
        let escaped = letter.is_control().then(|| letter.escape_unicode());
        let plain = escaped.is_none().then_some(letter);
        escaped.into_iter().flatten().chain(plain)
    });
    StoredError::Malformed {
        file: file.to_owned(),
        line: line.max(1),
        column: column.max(1),
        message: message.collect(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::report::fixtures::{
        attempt, case, failed_case, flaky, run, service, test, without_its_service,
    };
    use crate::results::{Attempt, CaseStatus, Cause, MergedRun, Outcome};

    fn error(text: &str) -> String {
        parse(text.as_bytes(), "shard.json").unwrap_err().to_string()
    }

    #[test]
    fn what_is_wrong_is_told_with_file_and_place() {
        assert_eq!(
            error("{\n  \"schema\": 1,\n  \"version\": 7\n}"),
            "shard.json:3:14: invalid type: integer `7`, expected a string"
        );
        assert_eq!(error(""), "shard.json:1:1: EOF while parsing a value");
        assert!(error("{\"schema\": 1}").starts_with("shard.json:1:13: missing field"));
        assert!(error("<testsuites/>").starts_with("shard.json:1:1: expected value"));
    }

    #[test]
    fn a_later_schema_is_named_as_such_whatever_else_it_holds() {
        let expected = "shard.json has schema 2, and this version of docker-test reads schema 1";
        assert_eq!(error("{\"schema\": 2}"), expected);
        let mut results = flaky();
        results.schema = 2;
        assert_eq!(error(&serde_json::to_string(&results).unwrap()), expected);
    }

    #[test]
    fn an_outcome_that_is_unknown_is_an_error_without_control_characters() {
        let text = serde_json::to_string(&flaky()).unwrap().replace("\"flaky\"", "\"\\u001b[2Jx\"");
        let said = error(&text);
        assert!(said.contains("unknown variant `\\u{1b}[2Jx`"), "{said}");
    }

    #[test]
    fn fields_of_a_later_version_are_read_over_and_absent_ones_are_none() {
        let text = serde_json::to_string(&flaky()).unwrap();
        let with_more = text.replacen('{', "{\"later\": [1],", 1);
        assert_eq!(parse(with_more.as_bytes(), "x").unwrap(), flaky());
        assert!(!text.contains("slot") && !text.contains("services") && !text.contains("\"runs\""), "{text}");
    }

    /// Every kind of cause, with any text in it.
    fn causes() -> impl Strategy<Value = Cause> {
        prop_oneof![
            any::<i64>().prop_map(|code| Cause::ExitCode { code }),
            any::<u8>().prop_map(|signal| Cause::KilledBySignal { signal }),
            any::<u64>().prop_map(|failed| Cause::FailedCases { failed }),
            Just(Cause::NoTests),
            any::<u64>().prop_map(|files| Cause::UnreadableReport { files }),
            any::<Option<u64>>().prop_map(|limit| Cause::OutOfMemory { limit }),
            quarters().prop_map(|seconds| Cause::Timeout { seconds }),
            quarters().prop_map(|seconds| Cause::RunTimeout { seconds }),
            any::<String>().prop_map(|message| Cause::CommandNotFound { message }),
            any::<String>().prop_map(|message| Cause::CommandNotExecutable { message }),
            any::<String>().prop_map(|message| Cause::NotStarted { message }),
            any::<String>().prop_map(|message| Cause::EngineLost { message }),
            Just(Cause::ContainerRemoved),
            any::<u8>().prop_map(|signal| Cause::Interrupted { signal }),
            any::<String>().prop_map(|message| Cause::ResultsIncomplete { message }),
            any::<u64>().prop_map(|limit| Cause::ResultsLimit { limit }),
            any::<(String, String, String)>().prop_map(|(service, message, log_tail)| {
                Cause::DependencyFailed { service, message, log_tail }
            }),
        ]
    }

    /// Durations that decimal text and binary numbers both hold exactly.
    fn quarters() -> impl Strategy<Value = f64> {
        any::<u32>().prop_map(|number| f64::from(number) / 4.0)
    }

    fn outcomes() -> impl Strategy<Value = Outcome> {
        proptest::sample::select(Outcome::ALL.to_vec())
    }

    fn attempts() -> impl Strategy<Value = Attempt> {
        (
            outcomes(),
            proptest::option::of(causes()),
            any::<(String, Option<u32>, Option<String>)>(),
            quarters(),
        )
            .prop_map(|(outcome, cause, (text, slot, log), seconds)| {
                let cases = vec![case(&text, CaseStatus::Skipped), failed_case(&text, &text)];
                let made = attempt(1, outcome, cases);
                Attempt { cause, slot, log, log_tail: text, offset_seconds: Some(seconds), seconds, ..made }
            })
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back_as_it_was(
            name in any::<String>(),
            outcome in outcomes(),
            cause in proptest::option::of(causes()),
            attempts in proptest::collection::vec(attempts(), 0..3),
            id in any::<Option<String>>(),
        ) {
            let mut results = without_its_service();
            let mut tested = test(&name, outcome, cause.clone(), attempts);
            tested.run_id.clone_from(&id);
            results.tests.push(tested);
            let mut served = service(&name, outcome);
            (served.cause, served.run_id) = (cause, id);
            results.services.push(served);
            results.runs.push(MergedRun::of(&run(Vec::new())));
            let text = serde_json::to_vec_pretty(&results).unwrap();
            prop_assert_eq!(parse(&text, "x").unwrap(), results);
        }
    }
}
