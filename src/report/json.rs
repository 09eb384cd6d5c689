//! The results as one JSON document, pretty-printed. Its fields are those of [`crate::results`], documented in
//! `docs/reports.md`; `schema` changes when one is renamed or removed, never when one is added.

use std::io::{self, Write};

use crate::report::{ExportError, Exporter};
use crate::results::RunResults;

/// `--report json=PATH`.
pub struct Json;

const NAME: &str = "json";

impl Exporter for Json {
    fn name(&self) -> &'static str {
        NAME
    }

    fn describe(&self) -> &'static str {
        "everything that is known of the run, as documented JSON"
    }

    fn export(&self, results: &RunResults, out: &mut dyn Write) -> Result<(), ExportError> {
        serde_json::to_writer_pretty(&mut *out, results).map_err(|error| match error.io_error_kind() {
            Some(kind) => {
                ExportError::Write { format: NAME, source: io::Error::new(kind, error.to_string()) }
            }
            None => ExportError::Encode { format: NAME, message: error.to_string() },
        })?;
        out.write_all(b"\n").map_err(|source| ExportError::Write { format: NAME, source })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixtures::{failing, two_hundred};

    #[test]
    fn the_document_holds_the_documented_fields() {
        let mut out = Vec::new();
        Json.export(&failing(), &mut out).unwrap();
        let json: serde_json::Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(json["schema"], 1);
        assert_eq!(json["run_id"], "r-42");
        assert_eq!(json["outcome"], "failed");
        let test = &json["tests"][0];
        assert_eq!(test["type"], "integration");
        assert_eq!(test["cause"], serde_json::json!({"kind": "exit_code", "code": 1}));
        let attempt = &test["attempts"][0];
        assert_eq!(
            attempt["cases"],
            serde_json::json!({"passed": 1, "failed": 1, "errored": 0, "skipped": 0})
        );
        assert_eq!(attempt["suites"][0]["cases"][1]["line"], 41);
        assert_eq!(attempt["files"][0], serde_json::json!({"path": "junit.xml", "size": 1536}));
        assert!(out.ends_with(b"}\n"));
    }

    #[test]
    fn two_hundred_tests_are_read_back_as_they_were() {
        let results = two_hundred();
        let mut out = Vec::new();
        Json.export(&results, &mut out).unwrap();
        assert_eq!(serde_json::from_slice::<RunResults>(&out).unwrap(), results);
        let json: serde_json::Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(json["tests"][40]["cause"]["kind"], "cached");
        let attempt = &json["tests"][0]["attempts"][1];
        assert_eq!((&attempt["slot"], &attempt["log"]), (&1.into(), &"part-000/attempt-2.log".into()));
        assert_eq!(json["services"][0]["name"], "db");
    }

    #[test]
    fn a_writer_that_fails_is_the_environments_fault() {
        let mut small = [0_u8; 8];
        let error = Json.export(&failing(), &mut small.as_mut_slice()).unwrap_err();
        assert!(matches!(error, ExportError::Write { .. }));
    }
}
