//! Silences: which there are, making one, and lifting one.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{Method, StatusCode};
use axum::routing::{delete, get, post};
use axum::{Extension, Json};
use schemars::{JsonSchema, SchemaGenerator};
use serde::{Deserialize, Serialize};

use super::{Asker, Operation, body, may_act, path};
use crate::metadata::duration;
use crate::notify::policy::Silence;
use crate::status::Shared;
use crate::status::problem::Problem;
use crate::watch::board::{SilenceView, Silenced};

pub(super) fn operations(of: &mut SchemaGenerator) -> Vec<Operation> {
    let made = of.subschema_for::<Made>();
    let silence = Operation::act(
        "silence",
        Method::POST,
        "/api/v1/silences",
        "Page nobody about some probes for a while. They still run.",
        (StatusCode::CREATED, "The silence; it lasts across restarts."),
        post(make),
    );
    let (status, description, _) = silence.gives;
    vec![
        Operation::get(
            "silences",
            "/api/v1/silences",
            "When nobody is paged about which probes.",
            of.subschema_for::<List>(),
            get(list),
        ),
        Operation {
            takes: Some(of.subschema_for::<SilenceRequest>()),
            gives: (status, description, Some(made)),
            problems: &[StatusCode::BAD_REQUEST, StatusCode::UNPROCESSABLE_ENTITY],
            ..silence
        },
        Operation::act(
            "lift",
            Method::DELETE,
            "/api/v1/silences/{id}",
            "End a silence before its time.",
            (StatusCode::NO_CONTENT, "It is over."),
            delete(lift),
        )
        .with(vec![path::<String>("id", "The silence's id.", of)], &[StatusCode::NOT_FOUND]),
    ]
}

/// A silence that is longer is more likely a mistake than meant, in seconds.
const LONGEST: i64 = 366 * 24 * 60 * 60;
const LONGEST_REASON: usize = 500;
const LONGEST_PATTERN: usize = 200;

/// What is silenced, now or later.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Silences")]
pub(super) struct List {
    /// The silences.
    silences: Vec<SilenceView>,
}

/// A silence that was made.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "SilenceMade")]
pub(super) struct Made {
    /// Names it, for lifting it.
    id: String,
    /// How many of the probes that are watched now it is about. None is most likely a name that was mistyped.
    matches: usize,
    /// From when to when, and why.
    #[serde(flatten)]
    silence: Silence,
}

/// A silence that somebody wants.
#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::status) struct SilenceRequest {
    /// Which probes: a name, or a pattern with `*`.
    pub(in crate::status) probes: String,
    /// How long: `2h`, `90m`. Either this or `until`.
    #[serde(rename = "for", default)]
    pub(in crate::status) length: Option<String>,
    /// When it ends, in Unix seconds.
    #[serde(default)]
    pub(in crate::status) until: Option<i64>,
    /// When it begins, in Unix seconds; now where absent.
    #[serde(default)]
    pub(in crate::status) from: Option<i64>,
    /// Why, for people.
    #[serde(default)]
    pub(in crate::status) reason: String,
}

impl SilenceRequest {
    /// The silence, or what is wrong with it. `now` is in Unix seconds.
    pub(in crate::status) fn silence(self, now: i64) -> Result<(String, Silence), Problem> {
        let probes = self.probes.trim().to_owned();
        if probes.is_empty() {
            return Err(Problem::invalid(
                "probes: expected a name, or a pattern such as shop.*; * is all of them",
            ));
        }
        if probes.chars().count() > LONGEST_PATTERN || probes.chars().any(char::is_control) {
            return Err(Problem::invalid(format!(
                "probes: expected one line of {LONGEST_PATTERN} characters at most"
            )));
        }
        let from = self.from.unwrap_or(now);
        let until = match (self.length, self.until) {
            (Some(length), None) => {
                let length = duration::parse_limit(length.trim())
                    .map_err(|error| Problem::invalid(format!("for: {error}")))?;
                from.saturating_add(i64::try_from(length.as_secs()).unwrap_or(i64::MAX))
            }
            (None, Some(until)) => until,
            _ => return Err(Problem::invalid("expected either `for`, such as 2h, or `until`")),
        };
        if until <= from || until <= now {
            return Err(Problem::invalid("a silence has to end after it begins, and in the future"));
        }
        if until.saturating_sub(now) > LONGEST {
            return Err(Problem::invalid("a silence may last a year at most: what is longer is forgotten"));
        }
        let reason = self.reason.trim().to_owned();
        if reason.chars().count() > LONGEST_REASON {
            return Err(Problem::invalid(format!("reason: expected {LONGEST_REASON} characters at most")));
        }
        Ok((probes, Silence { from, until, reason }))
    }
}

pub(super) async fn list(State(shared): State<Arc<Shared>>) -> Json<List> {
    Json(List { silences: shared.board.silences() })
}

pub(super) async fn make(
    State(shared): State<Arc<Shared>>,
    Extension(standing): Asker,
    bytes: Bytes,
) -> Result<(StatusCode, Json<Made>), Problem> {
    may_act(&shared, &standing)?;
    let request: SilenceRequest = body(&bytes)?;
    let (probes, silence) = request.silence(shared.now())?;
    let Silenced { id, matches } = shared.board.silence(&probes, silence.clone()).await?;
    Ok((StatusCode::CREATED, Json(Made { id, matches, silence })))
}

pub(super) async fn lift(
    State(shared): State<Arc<Shared>>,
    Extension(standing): Asker,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    may_act(&shared, &standing)?;
    shared.board.lift(&id).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<(String, Silence), Problem> {
        body::<SilenceRequest>(&Bytes::from(text.to_owned()))?.silence(1_000)
    }

    #[test]
    fn a_silence_has_an_end_that_is_given_in_one_of_two_ways() {
        let made = |from, until| ("shop.*".to_owned(), Silence { from, until, reason: "move".to_owned() });
        let text = r#"{"probes": " shop.* ", "for": "2h", "reason": "move"}"#;
        assert_eq!(read(text), Ok(made(1_000, 8_200)));
        let text = r#"{"probes": "shop.*", "from": 2000, "until": 3000, "reason": "move"}"#;
        assert_eq!(read(text), Ok(made(2_000, 3_000)));
    }

    #[test]
    fn a_silence_that_is_not_said_well_is_answered_with_what_is_expected() {
        for (text, expected) in [
            (r#"{"probes": "a"}"#, "either `for`"),
            (r#"{"probes": "a", "for": "1h", "until": 5000}"#, "either `for`"),
            (r#"{"probes": " ", "for": "1h"}"#, "probes: expected"),
            (r#"{"probes": "a\tb", "for": "1h"}"#, "one line of 200"),
            (r#"{"probes": "a", "for": "soon"}"#, "for: "),
            (r#"{"probes": "a", "until": 900}"#, "in the future"),
            (r#"{"probes": "a", "from": 5000, "until": 4000}"#, "after it begins"),
            (r#"{"probes": "a", "for": "10000h"}"#, "a year at most"),
            (r#"{"probes": "a", "for": "1h", "why": "x"}"#, "unknown field `why`"),
            (r#"{"for": "1h"}"#, "missing field `probes`"),
            ("probes=a", "expected a JSON object"),
        ] {
            let detail = read(text).unwrap_err().detail;
            assert!(detail.contains(expected), "{text}: {detail}");
        }
    }
}
