//! Which metrics, tags and times a notice has, whatever format they are written in.
//!
//! Owns their names: the seed's `<name>.success` and `<name>.failure` for each attempt, `<name>.<measure>` for what it
//! measured, and `<name>.duration`, `<name>.attempts` and `<name>.state` for each run. Writes no format of its own.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::Value;

use crate::notify::{Notice, text};
use crate::probe::{Attempt, Identity, Measurement, ProbeRun};

/// Most characters of a name of a metric.
pub const MOST_NAME_CHARS: usize = 200;
/// Most tags of a metric. What comes after is left out.
pub const MOST_TAGS: usize = 100;
/// Most measurements of one attempt that are told. What comes after is left out.
pub const MOST_MEASUREMENTS: usize = 100;

/// Names that are ours. A check that measures one of these writes to `measured_<name>` instead, so that its output
/// cannot say that it passed.
const OWN: [&str; 5] = ["success", "failure", "duration", "attempts", "state"];
/// Tags that say where the service stands. One of a probe itself replaces that of all.
const UNIFIED: [&str; 3] = ["env", "service", "version"];
const MOST_MEASURE_CHARS: usize = 100;

/// Tags of everything that this process tells.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UnifiedTags {
    /// Where it runs: `prod`.
    pub env: Option<String>,
    /// What runs.
    pub service: Option<String>,
    /// Which version of it.
    pub version: Option<String>,
    /// Others: `key:value` or a word.
    pub tags: Vec<String>,
}

/// How the values of a metric are put together over time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// They are added up.
    Count,
    /// The last one counts.
    Gauge,
}

/// One value of a metric.
#[derive(Debug, Clone, PartialEq)]
pub struct Metric {
    /// Its whole name, by DataDog's rules.
    pub name: String,
    /// How its values are put together.
    pub kind: Kind,
    /// Always finite.
    pub value: f64,
    /// As in [`crate::probe::Measurement::unit`].
    pub unit: String,
    /// When it was so, in Unix seconds.
    pub at: i64,
}

/// A measurement under a name that is safe everywhere: letters, digits, `_` and `.`, a letter first.
#[derive(Debug, Clone, PartialEq)]
pub struct Measured {
    /// Its name.
    pub name: String,
    /// Always finite.
    pub value: f64,
    /// As the check gives it.
    pub unit: String,
}

/// The metrics of a notice: none for a run that begins, and none for alerts.
#[must_use]
pub fn metrics(notice: &Notice) -> Vec<Metric> {
    match notice {
        Notice::Started { .. } | Notice::Overall(_) | Notice::Alert(_) => Vec::new(),
        Notice::Attempted { probe, attempt, .. } => of_attempt(probe, attempt),
        Notice::Finished { run, .. } => of_run(run),
    }
}

fn of_attempt(probe: &Identity, attempt: &Attempt) -> Vec<Metric> {
    let at = ended_at(attempt.started_at, attempt.seconds);
    let result = if attempt.seen.state.is_pass() { "success" } else { "failure" };
    let counted =
        Metric { name: name(&probe.name, result), kind: Kind::Count, value: 1.0, unit: String::new(), at };
    let measured = measured(&attempt.seen.measurements).into_iter().map(|measured| Metric {
        name: name(&probe.name, &measured.name),
        kind: Kind::Gauge,
        value: measured.value,
        unit: measured.unit,
        at,
    });
    std::iter::once(counted).chain(measured).collect()
}

fn of_run(run: &ProbeRun) -> Vec<Metric> {
    let at = ended_at(run.started_at, run.seconds);
    let gauge = |measure: &str, value: f64, unit: &str| Metric {
        name: name(&run.probe.name, measure),
        kind: Kind::Gauge,
        value,
        unit: unit.to_owned(),
        at,
    };
    let attempts = u32::try_from(run.attempts.len()).unwrap_or(u32::MAX);
    vec![
        gauge("duration", finite(run.seconds), "s"),
        gauge("attempts", f64::from(attempts), ""),
        gauge("state", f64::from(run.verdict().state().number()), ""),
    ]
}

/// What an attempt measured: of two with the same name the first.
#[must_use]
pub fn measured(measurements: &[Measurement]) -> Vec<Measured> {
    let mut seen = BTreeSet::new();
    let measurements = measurements.iter().filter(|measurement| measurement.value.is_finite());
    measurements
        .filter_map(|measurement| {
            let plain = plain_name(&measurement.name, "measured_", MOST_MEASURE_CHARS)?;
            let is_own = OWN.iter().any(|own| own.eq_ignore_ascii_case(&plain));
            let name = if is_own { format!("measured_{plain}") } else { plain };
            let is_new = seen.insert(name.to_ascii_lowercase());
            is_new.then(|| Measured { name, value: measurement.value, unit: measurement.unit.clone() })
        })
        .take(MOST_MEASUREMENTS)
        .collect()
}

/// `<probe>.<measure>` by DataDog's rules: a letter first, then letters, digits, `_` and `.`, 200 at most.
#[must_use]
pub fn name(probe: &str, measure: &str) -> String {
    let room = MOST_NAME_CHARS.saturating_sub(measure.len() + 1);
    format!("{}.{measure}", probe_name(probe, room))
}

/// The name of a probe under the same rules, of `most` characters.
#[must_use]
pub fn probe_name(probe: &str, most: usize) -> String {
    plain_name(probe, "probe_", most).unwrap_or_else(|| "probe".to_owned())
}

/// `prefix` stands before a name that does not begin with a letter. `None` where a name has nothing to show.
fn plain_name(text: &str, prefix: &str, most: usize) -> Option<String> {
    let is_plain = |character: char| character.is_ascii_alphanumeric() || character == '.';
    let text = text.trim().trim_matches('.');
    let plain: String =
        text.chars().map(|character| if is_plain(character) { character } else { '_' }).collect();
    plain.contains(|character: char| character.is_ascii_alphanumeric()).then(|| {
        let begins_well = plain.starts_with(|first: char| first.is_ascii_alphabetic());
        let plain = if begins_well { plain } else { format!("{prefix}{plain}") };
        let cut: String = plain.chars().take(most).collect();
        cut.trim_end_matches('.').to_owned()
    })
}

/// What a probe is tagged with: first the host, then env, service and version, then the rest, each key once for
/// these four. A tag without a value has an empty one.
#[must_use]
pub fn pairs(unified: &UnifiedTags, probe: &Identity) -> Vec<(String, String)> {
    let split = |tag: &String| {
        let (key, value) = tag.split_once(':').unwrap_or((tag, ""));
        (key.trim().to_owned(), value.trim().to_owned())
    };
    let own: Vec<(String, String)> = probe.tags.iter().map(split).collect();
    let general: Vec<(String, String)> = unified.tags.iter().map(split).collect();
    let among = |tags: &[(String, String)], key: &str| {
        let found = tags.iter().find(|(name, value)| name == key && !value.is_empty());
        found.map(|(_, value)| value.clone())
    };
    let named = [&unified.env, &unified.service, &unified.version];
    let mut pairs = vec![("host".to_owned(), probe.host.clone())];
    for (key, named) in UNIFIED.into_iter().zip(named) {
        let named = || named.clone().filter(|value| !value.is_empty());
        // `DD_TAGS` may name them too, and gives way to their own variables, as with DataDog's clients.
        let value = among(&own, key).or_else(named).or_else(|| among(&general, key));
        pairs.extend(value.map(|value| (key.to_owned(), value)));
    }
    let is_taken = |key: &str| key == "host" || UNIFIED.contains(&key);
    let rest = general.into_iter().chain(own);
    pairs.extend(rest.filter(|(key, _)| !is_taken(&key.to_lowercase())));
    pairs
}

/// The same as tags of DataDog, without doubles, the host first. `attempt` is told where there is one, because two
/// values of a count in the same second and with the same tags are one to DataDog.
#[must_use]
pub fn tags(unified: &UnifiedTags, probe: &Identity, attempt: Option<u32>) -> Vec<String> {
    let attempt = attempt.map(|number| ("attempt".to_owned(), number.to_string()));
    let mut pairs = pairs(unified, probe);
    pairs.splice(1..1, attempt);
    let mut seen = BTreeSet::new();
    // Cleaning makes `host:b` of `#host:b`, too: of those that are there once the first counts, which is ours.
    let mut once = BTreeSet::new();
    let mut is_first_of_its_key = |tag: &String| {
        let key = tag.split(':').next().unwrap_or_default().to_lowercase();
        let is_single = UNIFIED.contains(&key.as_str()) || matches!(key.as_str(), "host" | "attempt");
        !is_single || once.insert(key)
    };
    pairs
        .into_iter()
        .filter_map(|(key, value)| text::tag(&format!("{key}:{value}")))
        .filter(|tag| seen.insert(tag.clone()) && is_first_of_its_key(tag))
        .take(MOST_TAGS)
        .collect()
}

/// The tags of what a notice has of metrics.
#[must_use]
pub fn tags_of(unified: &UnifiedTags, notice: &Notice) -> Vec<String> {
    let attempt = match notice {
        Notice::Attempted { attempt, .. } => Some(attempt.number),
        _ => None,
    };
    tags(unified, notice.probe(), attempt)
}

/// Series in as few bodies as a limit allows; `whole` makes the document of some of them.
pub(super) fn bodies(
    mut series: Vec<Value>,
    most_bytes: usize,
    whole: &impl Fn(&[Value]) -> Value,
) -> Vec<Vec<u8>> {
    if series.is_empty() {
        return Vec::new();
    }
    let body = whole(&series).to_string().into_bytes();
    if body.len() <= most_bytes || series.len() == 1 {
        return vec![body];
    }
    let rest = series.split_off(series.len() / 2);
    bodies(series, most_bytes, whole).into_iter().chain(bodies(rest, most_bytes, whole)).collect()
}

/// When something was over, in Unix seconds.
#[must_use]
pub fn ended_at(started_at: i64, seconds: f64) -> i64 {
    let whole = Duration::try_from_secs_f64(seconds).unwrap_or_default().as_secs();
    started_at.saturating_add(i64::try_from(whole).unwrap_or(i64::MAX))
}

/// How old a notice may be, counted from [`Notice::at`], where what it tells of may be `age` old when it arrives: the
/// end of an attempt or of a run is what is told, and the beginning is what is counted from.
#[must_use]
pub fn lifetime(notice: &Notice, age: Duration) -> Duration {
    let seconds = match notice {
        Notice::Attempted { attempt, .. } => attempt.seconds,
        Notice::Finished { run, .. } => run.seconds,
        Notice::Started { .. } | Notice::Overall(_) | Notice::Alert(_) => 0.0,
    };
    age.saturating_add(Duration::try_from_secs_f64(seconds).unwrap_or_default())
}

fn finite(value: f64) -> f64 {
    if value.is_finite() { value } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::notify::sample;
    use crate::probe::{Measurement, State, Verdict};

    fn named(metrics: &[Metric]) -> Vec<(&str, Kind, f64, &str)> {
        metrics.iter().map(|it| (it.name.as_str(), it.kind, it.value, it.unit.as_str())).collect()
    }

    #[test]
    fn an_attempt_counts_as_the_seed_counted_it_and_tells_what_it_measured() {
        let failed = metrics(&sample::attempted(State::Critical));
        let count = ("example.integration.failure", Kind::Count, 1.0, "");
        assert_eq!(named(&failed), [count, ("example.integration.time", Kind::Gauge, 0.25, "s")]);
        assert!(failed.iter().all(|metric| metric.at == sample::AT + 2), "the end of the attempt");
        let passed = metrics(&sample::attempted(State::Warning));
        assert_eq!(passed.first().unwrap().name, "example.integration.success");
    }

    #[test]
    fn a_run_tells_how_long_how_often_and_what_it_came_to() {
        let metrics = metrics(&sample::finished(Verdict::PassedOnRetry, None));
        let expected = [
            ("example.integration.duration", Kind::Gauge, 5.5, "s"),
            ("example.integration.attempts", Kind::Gauge, 2.0, ""),
            ("example.integration.state", Kind::Gauge, 1.0, ""),
        ];
        assert_eq!(named(&metrics), expected);
    }

    #[test]
    fn alerts_and_beginnings_have_no_metrics() {
        assert_eq!(metrics(&sample::started()), []);
        assert_eq!(metrics(&sample::alert()), []);
    }

    #[test]
    fn a_check_cannot_measure_its_own_success() {
        let mut attempt = sample::attempt(1, State::Critical);
        let measurement =
            |name: &str, value| Measurement { name: name.to_owned(), value, unit: String::new() };
        attempt.seen.measurements = vec![
            measurement("success", 1.0),
            measurement("State", 0.0),
            measurement("/var log", 3.0),
            measurement("a b", 4.0),
            measurement("a_b", 5.0),
            measurement("not a number", f64::NAN),
            measurement("===", 6.0),
        ];
        let measured = measured(&attempt.seen.measurements);
        let names: Vec<&str> = measured.iter().map(|it| it.name.as_str()).collect();
        assert_eq!(names, ["measured_success", "measured_State", "measured__var_log", "a_b"]);
        assert!(measured.iter().any(|it| it.name == "a_b" && (it.value - 4.0).abs() < f64::EPSILON));
    }

    #[test]
    fn names_follow_the_rules_of_datadog() {
        assert_eq!(name("shop/check out", "success"), "shop_check_out.success");
        assert_eq!(name("10.0.0.1", "success"), "probe_10.0.0.1.success");
        assert_eq!(name("größe", "state"), "gr__e.state");
        assert_eq!(name("日本", "state"), "probe.state");
        assert_eq!(name(&"a".repeat(300), "success").len(), 200);
    }

    #[test]
    fn the_host_is_first_and_a_probe_says_its_own_service() {
        let unified = UnifiedTags {
            env: Some("prod".to_owned()),
            service: Some("shop".to_owned()),
            version: Some(String::new()),
            tags: vec!["team:a".to_owned(), "host:forged".to_owned()],
        };
        let mut probe = sample::identity();
        probe.tags = ["service:checkout", "canary", "team:a", "Host:forged"].map(str::to_owned).to_vec();
        let expected = ["host:staging.example", "env:prod", "service:checkout", "team:a", "canary"];
        assert_eq!(tags(&unified, &probe, None), expected);
        assert_eq!(tags(&unified, &probe, Some(2)).get(1).map(String::as_str), Some("attempt:2"));
    }

    #[test]
    fn a_service_among_the_tags_of_all_counts_where_nothing_else_names_one() {
        let mut unified = UnifiedTags {
            env: Some("prod".to_owned()),
            tags: ["env:staging", "service:shop", "service:"].map(str::to_owned).to_vec(),
            ..UnifiedTags::default()
        };
        let mut probe = sample::identity();
        assert_eq!(
            tags(&unified, &probe, None),
            ["host:staging.example", "env:prod", "service:shop", "team:shop"]
        );
        probe.tags = vec!["service:checkout".to_owned()];
        assert_eq!(tags(&unified, &probe, None), ["host:staging.example", "env:prod", "service:checkout"]);
        unified.service = Some("store".to_owned());
        probe.tags.clear();
        assert_eq!(tags(&unified, &probe, None), ["host:staging.example", "env:prod", "service:store"]);
    }

    #[test]
    fn a_tag_that_becomes_one_of_ours_by_cleaning_does_not_stand_beside_it() {
        let unified = UnifiedTags { env: Some("prod".to_owned()), ..UnifiedTags::default() };
        let mut probe = sample::identity();
        let forged =
            ["#host:forged", "|host:forged", "##:host:forged", "1Host:forged", " -env:forged", "7attempt:9"];
        probe.tags = forged.map(str::to_owned).to_vec();
        assert_eq!(tags(&unified, &probe, Some(1)), ["host:staging.example", "attempt:1", "env:prod"]);
        assert_eq!(tags(&unified, &probe, None), ["host:staging.example", "env:prod", "attempt:9"]);
    }

    #[test]
    fn what_took_long_may_be_told_as_long_after_its_end() {
        let lifetime = lifetime(&sample::finished(Verdict::Failed, None), Duration::from_mins(10));
        assert_eq!(lifetime, Duration::from_millis(605_500));
        assert_eq!(ended_at(i64::MAX, 5.0), i64::MAX);
        assert_eq!(ended_at(7, f64::NAN), 7);
    }

    proptest! {
        #[test]
        fn any_name_and_any_tag_follow_the_rules(probe in any::<String>(), measure in any::<String>()) {
            let mut attempt = sample::attempt(1, State::Ok);
            attempt.seen.measurements = vec![Measurement { name: measure.clone(), value: 1.0, unit: measure }];
            let mut identity = sample::identity();
            identity.name.clone_from(&probe);
            identity.host.clone_from(&probe);
            for metric in of_attempt(&identity, &attempt) {
                prop_assert!(metric.name.len() <= MOST_NAME_CHARS);
                prop_assert!(metric.name.starts_with(|first: char| first.is_ascii_alphabetic()));
                prop_assert!(metric.name.chars().all(|it| it.is_ascii_alphanumeric() || matches!(it, '_' | '.')));
            }
            for tag in tags(&UnifiedTags::default(), &identity, Some(1)) {
                prop_assert!(!tag.contains(['|', ',', '\n', '#']));
            }
        }
    }
}
