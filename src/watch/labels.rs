//! Probes from the labels of images and containers.
//!
//! Owns which labels make a probe, and what it is called. What docker-test made itself is never one: it bears the labels of
//! its target. A label can come from anyone, so each is checked, and an error names where it is. Pure.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::configuration::too_long;
use super::definition::{Definition, Origin, Times, TriggerRule};
use crate::check::{Check, ImageCheck};
use crate::error::{Category, Diagnose};
use crate::harness::Probe;
use crate::metadata::dockerfile::excerpt;
use crate::metadata::duration::{self, DurationError};
use crate::metadata::labels::table::{
    HOST, MISSED, NAME, ON, OVERLAP, SCHEDULE_ZONE, SPLAY, TAGS, WHILE_FAILING,
};
use crate::metadata::labels::{LabelError, SCHEDULE, TYPE, TestLabels, is_ours};
use crate::notify::metrics::probe_name;
use crate::notify::policy::Policy;
use crate::plan::syntax::Invalid;
use crate::plan::{DEFAULT_BACKOFF, Retries};
use crate::probe::Identity;
use crate::schedule::Schedule;
use crate::schedule::timetable::USUAL_GRACE;
use crate::suite::document::trigger_rule;

/// How long a test may run where its label does not say it.
const USUAL_TIMEOUT: Duration = Duration::from_hours(1);
/// What obtaining the image, building and cleaning up may take beside the test, which has its own limit.
const BESIDE_THE_TEST: Duration = Duration::from_mins(10);
/// Further attempts where the label does not say it.
const USUAL_RETRIES: u32 = 1;
const LONGEST_NAME: usize = 200;
const LONGEST_VALUE: usize = 1024;
const MOST_EVENTS: usize = 32;

/// What is the same for all probes of an engine.
#[derive(Debug, Clone)]
pub struct Given {
    /// What is tested, where the label `test.host` does not say it: the variable `HOST`, or the engine's host.
    pub host: String,
    /// What is told of it.
    pub policy: Arc<Policy>,
}

/// A label that makes no probe.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{} {}: {problem}", kind, excerpt(name))]
pub struct ProbeLabelError {
    kind: &'static str,
    name: String,
    problem: String,
    hint: Option<String>,
}

impl Diagnose for ProbeLabelError {
    fn category(&self) -> Category {
        Category::User
    }

    fn hint(&self) -> Option<String> {
        self.hint.clone()
    }
}

/// What is wrong, before it is said where.
struct Wrong {
    problem: String,
    hint: Option<String>,
}

impl Wrong {
    fn of(label: &str, problem: impl std::fmt::Display, hint: Option<String>) -> Self {
        Self { problem: format!("label {label}: {problem}"), hint }
    }
}

/// The probe that an image or container is by its labels; `None` where it has neither `test.schedule` nor `test.on`, where
/// docker-test made it, and where it is of a file.
pub fn definition(
    origin: Origin,
    labels: &BTreeMap<String, String>,
    given: &Given,
) -> Result<Option<Definition>, ProbeLabelError> {
    let (kind, name) = match &origin {
        Origin::File { .. } => return Ok(None),
        Origin::Image { name, .. } => ("image", name.clone()),
        Origin::Container { name, .. } => ("container", name.clone()),
    };
    let is_asked_for = [SCHEDULE, ON].iter().any(|label| value(labels, label).is_some());
    if is_ours(labels) || !is_asked_for {
        return Ok(None);
    }
    read(origin, &name, labels, given).map(Some).map_err(|wrong| ProbeLabelError {
        kind,
        name,
        problem: wrong.problem,
        hint: wrong.hint,
    })
}

fn value<'l>(labels: &'l BTreeMap<String, String>, label: &str) -> Option<&'l str> {
    labels.get(label).map(|value| value.trim()).filter(|value| !value.is_empty())
}

/// One line of moderate length.
fn line<'l>(labels: &'l BTreeMap<String, String>, label: &str) -> Result<Option<&'l str>, Wrong> {
    let Some(value) = value(labels, label) else { return Ok(None) };
    if value.len() > LONGEST_VALUE || value.chars().any(char::is_control) {
        let problem = "expected one line of text without control characters, at most 1024 bytes";
        return Err(Wrong::of(label, problem, None));
    }
    Ok(Some(value))
}

fn word<T: std::str::FromStr<Err: std::fmt::Display> + Default>(
    labels: &BTreeMap<String, String>,
    label: &str,
) -> Result<T, Wrong> {
    let parse = |text: &str| {
        text.parse().map_err(|error| Wrong::of(label, format!("{error}, found {}", excerpt(text)), None))
    };
    line(labels, label)?.map_or_else(|| Ok(T::default()), parse)
}

fn time(
    labels: &BTreeMap<String, String>,
    label: &str,
    parse: fn(&str) -> Result<Duration, DurationError>,
) -> Result<Option<Duration>, Wrong> {
    let parsed = line(labels, label)?.map(parse).transpose();
    parsed.map_err(|error| Wrong::of(label, &error, error.hint()))
}

fn read(
    origin: Origin,
    name: &str,
    labels: &BTreeMap<String, String>,
    given: &Given,
) -> Result<Definition, Wrong> {
    let read = TestLabels::read(labels);
    let test = read.map_err(|error: LabelError| Wrong { problem: error.to_string(), hint: error.hint() })?;
    let check = check(&origin, &test)?;
    let tags = line(labels, TAGS)?.unwrap_or_default().split(',').map(str::trim);
    let host = line(labels, HOST)?.unwrap_or(&given.host);
    let identity = Identity {
        name: own_name(name, labels)?,
        kind: test.test_type,
        host: host.to_owned(),
        tags: tags.filter(|tag| !tag.is_empty()).map(str::to_owned).collect(),
    };
    let timeout = test.timeout.unwrap_or(USUAL_TIMEOUT);
    let probe = Probe {
        identity,
        check,
        retries: Retries { count: test.retries.unwrap_or(USUAL_RETRIES), backoff: DEFAULT_BACKOFF },
        all_attempts: false,
        timeout: timeout.saturating_add(BESIDE_THE_TEST),
        cleanup: None,
        cleanup_timeout: Duration::ZERO,
    };
    Ok(Definition {
        probe: Arc::new(probe),
        origin,
        times: times(labels)?,
        overlap: word(labels, OVERLAP)?,
        triggers: triggers(labels)?,
        policy: Arc::clone(&given.policy),
    })
}

/// The attempts are the probe's, so that each of them is told of.
fn check(origin: &Origin, test: &TestLabels) -> Result<Check, Wrong> {
    match origin {
        Origin::Container { .. } if !test.is_integration_test_container => {
            let hint = "add the label test.type=integration to the container";
            Err(Wrong::of(TYPE, "expected one on a container that is a probe", Some(hint.to_owned())))
        }
        Origin::Container { name, .. } => Ok(Check::Image(ImageCheck::of_container(name))),
        Origin::Image { name, .. } | Origin::File { path: name } => {
            Ok(Check::Image(ImageCheck::of_image(name)))
        }
    }
}

/// The label `test.name`, or a name that metrics may have, made of that of the image or container.
fn own_name(name: &str, labels: &BTreeMap<String, String>) -> Result<String, Wrong> {
    let Some(own) = line(labels, NAME)? else { return Ok(probe_name(name, LONGEST_NAME)) };
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if own.len() > LONGEST_NAME
        || !own.starts_with(|c: char| c.is_ascii_alphabetic())
        || !own.chars().all(is_plain)
    {
        let problem = format!(
            "expected a letter and then letters, digits, `.`, `_` and `-`, 200 at most, found {}",
            excerpt(own)
        );
        return Err(Wrong::of(NAME, problem, None));
    }
    Ok(own.to_owned())
}

fn times(labels: &BTreeMap<String, String>) -> Result<Option<Times>, Wrong> {
    let Some(schedule) = line(labels, SCHEDULE)? else { return Ok(None) };
    let zone = line(labels, SCHEDULE_ZONE)?;
    let read = Schedule::parse(schedule, zone, Timestamp::UNIX_EPOCH).map_err(|error| {
        let label = if error.field() == "time zone" && zone.is_some() { SCHEDULE_ZONE } else { SCHEDULE };
        Wrong::of(label, &error, error.hint())
    })?;
    let splay = time(labels, SPLAY, duration::parse)?;
    if let Some((problem, hint)) = splay.and_then(|window| too_long(window, &read)) {
        return Err(Wrong::of(SPLAY, problem, Some(hint)));
    }
    Ok(Some(Times {
        schedule: schedule.to_owned(),
        zone: zone.map(str::to_owned),
        splay,
        missed: word(labels, MISSED)?,
        grace: USUAL_GRACE,
        while_failing: time(labels, WHILE_FAILING, duration::parse_limit)?,
    }))
}

fn triggers(labels: &BTreeMap<String, String>) -> Result<Vec<TriggerRule>, Wrong> {
    let Some(list) = line(labels, ON)? else { return Ok(Vec::new()) };
    let events = parts(list);
    if events.len() > MOST_EVENTS {
        return Err(Wrong::of(ON, format!("expected at most {MOST_EVENTS} events"), None));
    }
    let rule = |event: &str| {
        trigger_rule(event).map_err(|invalid: Invalid| {
            let (problem, hint) = invalid.into_parts();
            Wrong::of(ON, problem, hint)
        })
    };
    events.into_iter().map(rule).collect()
}

/// Cuts at commas, but for those of `{a,b}` in a glob.
fn parts(list: &str) -> Vec<&str> {
    let mut depth = 0_usize;
    let cut = |letter: char| {
        match letter {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        letter == ',' && depth == 0
    };
    list.split(cut).map(str::trim).filter(|part| !part.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::metadata::labels::ours::ROLE;
    use crate::watch::{Overlap, Trigger};

    fn given() -> Given {
        Given { host: "docker.staging".to_owned(), policy: Arc::new(Policy::default()) }
    }

    fn labels(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn image(pairs: &[(&str, &str)]) -> Result<Option<Definition>, ProbeLabelError> {
        let origin =
            Origin::Image { name: "registry:5000/shop/api:1.4".to_owned(), id: "sha256:1".to_owned() };
        definition(origin, &labels(pairs), &given())
    }

    fn container(pairs: &[(&str, &str)]) -> Result<Option<Definition>, ProbeLabelError> {
        let origin = Origin::Container { name: "shop-tests-1".to_owned(), id: "1".to_owned() };
        definition(origin, &labels(pairs), &given())
    }

    #[test]
    fn an_image_with_a_schedule_is_a_probe_and_one_without_is_none() {
        let found =
            image(&[("test.schedule", "R//PT1H"), ("test.schedule.zone", "Europe/Berlin")]).unwrap().unwrap();
        assert_eq!(found.name(), "registry_5000_shop_api_1.4");
        assert_eq!(found.times.as_ref().unwrap().zone.as_deref(), Some("Europe/Berlin"));
        let probe = &found.probe;
        assert_eq!(
            (probe.identity.kind.as_str(), probe.identity.host.as_str()),
            ("integration", "docker.staging")
        );
        assert_eq!((probe.retries.count, probe.timeout), (1, Duration::from_mins(70)));
        assert!(image(&[("test.type", "integration"), ("test.schedule", " ")]).unwrap().is_none());
    }

    #[test]
    fn every_label_of_a_probe_counts() {
        let found = container(&[
            ("test.type", "performance"),
            ("test.name", "shop.checkout"),
            ("test.host", "shop"),
            ("test.tags", "team:shop, tier:1"),
            ("test.schedule", "*/5 * * * *"),
            ("test.on", "deploy=shop-{api,web}, container-start"),
            ("test.overlap", "replace"),
            ("test.missed", "skip"),
            ("test.splay", "0"),
            ("test.while_failing", "1m"),
            ("test.retries", "3"),
            ("test.timeout", "2m"),
        ])
        .unwrap()
        .unwrap();
        let identity = &found.probe.identity;
        assert_eq!(
            (identity.name.as_str(), identity.kind.as_str(), identity.host.as_str()),
            ("shop.checkout", "performance", "shop")
        );
        assert_eq!(identity.tags, ["team:shop", "tier:1"]);
        let times = found.times.as_ref().unwrap();
        assert_eq!((times.splay, times.while_failing), (Some(Duration::ZERO), Some(Duration::from_mins(1))));
        assert_eq!((times.missed.to_string().as_str(), found.overlap), ("skip", Overlap::Replace));
        assert_eq!((found.probe.retries.count, found.probe.timeout), (3, Duration::from_mins(12)));
        assert_eq!(
            found.triggers.iter().map(|rule| rule.on).collect::<Vec<_>>(),
            [Trigger::Deploy, Trigger::ContainerStart]
        );
        assert!(found.triggers[0].target.as_ref().unwrap().matches("shop-web"));
    }

    #[test]
    fn what_docker_test_made_itself_is_never_a_probe() {
        let of_ours = [("test.schedule", "R//PT1H"), ("test.type", "integration"), (ROLE, "test-container")];
        assert!(container(&of_ours).unwrap().is_none() && image(&of_ours).unwrap().is_none());
    }

    #[test]
    fn an_error_names_what_bears_the_label() {
        let schedule = ("test.schedule", "@hourly");
        for (extra, expected) in [
            (
                ("test.schedule", "hourly"),
                "image `registry:5000/shop/api:1.4`: label test.schedule: cannot read schedule",
            ),
            (("test.schedule.zone", "Mars"), "label test.schedule.zone: cannot read schedule"),
            (("test.overlap", "no"), "label test.overlap: expected `skip`, `queue` or `replace`, found `no`"),
            (("test.missed", "al"), "label test.missed: no policy"),
            (("test.on", "start"), "label test.on: expected `container-start`"),
            (("test.on", "deploy={a"), "label test.on: `{a` is not a glob"),
            (("test.splay", "soon"), "label test.splay: `soon` is not a duration"),
            (
                ("test.splay", "2h"),
                "label test.splay: expected at most the time between two runs, 1h, got 2h",
            ),
            (("test.while_failing", "0"), "label test.while_failing: `0` leaves no time"),
            (("test.timeout", "soon"), "label test.timeout: `soon` is not a duration"),
            (("test.retries", "many"), "label test.retries"),
            (("test.name", "a b"), "label test.name: expected a letter"),
            (("test.name", ".."), "label test.name: expected a letter"),
            (("test.host", "a\u{1b}[31m"), "label test.host: expected one line"),
        ] {
            let error = image(&[schedule, extra]).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
            assert!(error.starts_with("image ") && !error.contains('\u{1b}'), "{error}");
        }
        let error = container(&[schedule]).unwrap_err();
        assert!(
            error.to_string().starts_with("container `shop-tests-1`: label test.type: expected one"),
            "{error}"
        );
        assert!(error.hint().unwrap().contains("test.type=integration"));
    }

    proptest! {
        #[test]
        fn any_labels_are_read_or_refused(
            label in prop::sample::select(vec![NAME, HOST, TAGS, ON, OVERLAP, MISSED, SPLAY, WHILE_FAILING, SCHEDULE_ZONE, SCHEDULE]),
            value in "\\PC{0,40}|(deploy|container-start|=|,|\\{|\\}|/|\\*|!){0,9}|[\u{0}-\u{1f}a]{1,6}",
        ) {
            if let Err(error) = image(&[("test.on", "deploy"), ("test.schedule", "@hourly"), (label, &value)]) {
                prop_assert!(!error.to_string().contains(|c: char| c.is_control()), "{:?}", error);
            }
        }
    }
}
