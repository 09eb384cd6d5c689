//! The words for what can be wrong and for how bad it is.
//!
//! Owns their spelling, and what a word that is none of them may have been meant as.

use std::collections::BTreeMap;

use schemars::{Schema, SchemaGenerator, json_schema};

use crate::error::nearest;
use crate::notify::{Severity, Subject};
use crate::plan::syntax::Invalid;
use crate::suite::document::shape::{Nothing, Shaped, shaped};
use crate::suite::document::values::Named;

const SUBJECTS: [(&str, Subject); 7] = [
    ("target", Subject::Target),
    ("degraded", Subject::Degraded),
    ("cleanup", Subject::Cleanup),
    ("harness", Subject::Harness),
    ("no-news", Subject::NoNews),
    ("engine", Subject::Engine),
    ("sink", Subject::Sink),
];

fn subject(text: &str) -> Option<Subject> {
    let text = text.replace('_', "-");
    SUBJECTS.iter().find(|(name, _)| *name == text).map(|(_, subject)| *subject)
}

pub(super) fn one_of<'n>(text: &str, names: impl Iterator<Item = &'n str> + Clone) -> Invalid {
    let all: Vec<&str> = names.clone().collect();
    let invalid = Invalid::new(format!("expected one of {}, found `{text}`", all.join(", ")));
    match nearest(text, names) {
        Some(near) => invalid.hint(format!("did you mean `{near}`?")),
        None => invalid,
    }
}

/// What can be wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SubjectWord(pub(super) Subject);

impl Shaped for SubjectWord {
    const EXPECTED: &'static str = "one of target, degraded, cleanup, harness, no-news, engine, sink";
    type List = Nothing;
    type Map = Nothing;

    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "enum": SUBJECTS.map(|(name, _)| name) })
    }

    fn from_text(text: &str) -> Result<Self, Invalid> {
        subject(text).map(Self).ok_or_else(|| one_of(text, SUBJECTS.iter().map(|(name, _)| *name)))
    }
}

const SEVERITIES: [(&str, Severity); 4] = [
    ("info", Severity::Info),
    ("warning", Severity::Warning),
    ("error", Severity::Error),
    ("critical", Severity::Critical),
];

/// How bad something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SeverityWord(pub(super) Severity);

impl Shaped for SeverityWord {
    const EXPECTED: &'static str = "one of info, warning, error, critical";
    type List = Nothing;
    type Map = Nothing;

    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "enum": SEVERITIES.map(|(name, _)| name) })
    }

    fn from_text(text: &str) -> Result<Self, Invalid> {
        let found = SEVERITIES.iter().find(|(name, _)| *name == text);
        found
            .map(|(_, severity)| Self(*severity))
            .ok_or_else(|| one_of(text, SEVERITIES.iter().map(|(name, _)| *name)))
    }
}

/// `severity`
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct SeverityEntry {
    pub(super) of_types: BTreeMap<String, Severity>,
    pub(super) of_subjects: BTreeMap<Subject, Severity>,
}

impl Shaped for SeverityEntry {
    const EXPECTED: &'static str =
        "one of info, warning, error, critical, or a mapping of types and of what is wrong to one of them";
    const MAP: bool = true;
    type List = Nothing;
    type Map = Named<SeverityWord>;

    fn schema(generator: &mut SchemaGenerator) -> Schema {
        let word = generator.subschema_for::<SeverityWord>();
        json_schema!({ "anyOf": [word, { "type": "object", "additionalProperties": word }] })
    }

    fn from_text(text: &str) -> Result<Self, Invalid> {
        let severity = SeverityWord::from_text(text)?.0;
        Ok(Self { of_subjects: [(Subject::Target, severity)].into(), ..Self::default() })
    }

    fn from_map(map: Self::Map) -> Result<Self, Invalid> {
        let mut entry = Self::default();
        for (name, word) in map.0 {
            match subject(&name) {
                Some(subject) => entry.of_subjects.insert(subject, word.0),
                None => entry.of_types.insert(name.to_lowercase(), word.0),
            };
        }
        Ok(entry)
    }
}

shaped!(SubjectWord, SeverityWord, SeverityEntry);
