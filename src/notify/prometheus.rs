//! The last run of each probe in Prometheus' text format 0.0.4, for a scrape, a Pushgateway, or a textfile.
//!
//! Owns the names of the metrics, their labels and their escaping. The probe is a label here and no part of a name, so
//! that one rule is right for all probes. There are no timestamps: a textfile or a push with one is refused.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use crate::notify::configured::{self, Given};
use crate::notify::metrics::{self, UnifiedTags};
use crate::notify::preflight::Preflight;
use crate::notify::{Notice, Notifier, Transmission, text};
use crate::probe::{Identity, Measurement, ProbeRun, Verdict};
use schemars::JsonSchema;
use serde::Deserialize;

/// Media type of the format.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

const MOST_VALUE_CHARS: usize = 200;
const MOST_FILE_NAME_CHARS: usize = 100;
/// A newer run replaces what an older one wrote.
const AGE: Duration = Duration::from_mins(10);
/// Labels of ours, and of Prometheus and its Pushgateway. A tag cannot be one of them.
const RESERVED: [&str; 10] =
    ["probe", "host", "type", "result", "measure", "unit", "job", "instance", "le", "quantile"];

/// Name and help of a metric. All are gauges, since only the last run is known here.
struct Family {
    name: &'static str,
    help: &'static str,
}

const SUCCESS: Family = Family {
    name: "docker_test_probe_success",
    help: "Whether the last run passed: 1 where an attempt did, else 0.",
};
const STATE: Family = Family {
    name: "docker_test_probe_state",
    help: "State after the last run: 0 ok, 1 warning, 2 critical, 3 unknown.",
};
const ATTEMPTS: Family =
    Family { name: "docker_test_probe_attempts", help: "Attempts of the last run, by their result." };
const DURATION: Family = Family {
    name: "docker_test_probe_duration_seconds",
    help: "How long the last run took, attempts, waits and cleanups.",
};
const LAST_RUN: Family = Family {
    name: "docker_test_probe_last_run_timestamp_seconds",
    help: "When the last run was over, in Unix seconds.",
};
const MEASUREMENT: Family = Family {
    name: "docker_test_probe_measurement",
    help: "What the last attempt of the last run measured, in the unit that its check gave.",
};
const FAMILIES: [Family; 6] = [SUCCESS, STATE, ATTEMPTS, DURATION, LAST_RUN, MEASUREMENT];

/// Values by family and labels: of two with the same labels the last.
type Samples = BTreeMap<(&'static str, String), f64>;

/// What is told of a probe: its last run.
#[derive(Debug, Clone, Copy)]
pub struct Told<'a> {
    /// Which probe.
    pub probe: &'a Identity,
    /// What it came to.
    pub verdict: Verdict,
    /// Attempts that passed, and those that did not.
    pub attempts: (usize, usize),
    /// How long it took.
    pub seconds: f64,
    /// When it was over, in Unix seconds.
    pub ended_at: i64,
    /// What the last attempt measured.
    pub measurements: &'a [Measurement],
}

impl<'a> From<&'a ProbeRun> for Told<'a> {
    fn from(run: &'a ProbeRun) -> Self {
        let passed = run.passed();
        let last = run.attempts.last();
        Self {
            probe: &run.probe,
            verdict: run.verdict(),
            attempts: (passed, run.attempts.len() - passed),
            seconds: run.seconds,
            ended_at: metrics::ended_at(run.started_at, run.seconds),
            measurements: last.map(|last| last.seen.measurements.as_slice()).unwrap_or_default(),
        }
    }
}

/// The text for the last run of each probe. Of two runs with the same labels the last one counts.
#[must_use]
pub fn exposition<'a, T: Into<Told<'a>>>(runs: impl IntoIterator<Item = T>, tags: &UnifiedTags) -> String {
    let mut samples = Samples::new();
    for run in runs {
        add(&mut samples, &run.into(), tags);
    }
    let mut text = String::new();
    for family in FAMILIES {
        let of_family = samples.iter().filter(|((name, _), _)| *name == family.name);
        let mut is_first = true;
        for ((name, labels), value) in of_family {
            if is_first {
                // Writing to a string cannot fail.
                let _ = writeln!(text, "# HELP {name} {}\n# TYPE {name} gauge", family.help);
                is_first = false;
            }
            let _ = writeln!(text, "{name}{{{labels}}} {value}");
        }
    }
    text
}

fn add(samples: &mut Samples, told: &Told<'_>, tags: &UnifiedTags) {
    let labels = labels(told.probe, tags);
    let mut add = |family: &Family, more: &[(&str, &str)], value: f64| {
        if value.is_finite() {
            samples.insert((family.name, written(&labels, more)), value);
        }
    };
    add(&SUCCESS, &[], if told.verdict.is_pass() { 1.0 } else { 0.0 });
    add(&STATE, &[], f64::from(told.verdict.state().number()));
    let (passed, failed) = told.attempts;
    add(&ATTEMPTS, &[("result", "success")], count(passed));
    add(&ATTEMPTS, &[("result", "failure")], count(failed));
    add(&DURATION, &[], told.seconds);
    add(&LAST_RUN, &[], seconds(told.ended_at));
    for measured in metrics::measured(told.measurements) {
        let unit = label_value(&measured.unit);
        add(&MEASUREMENT, &[("measure", &measured.name), ("unit", &unit)], measured.value);
    }
}

fn count(number: usize) -> f64 {
    f64::from(u32::try_from(number).unwrap_or(u32::MAX))
}

#[expect(clippy::cast_precision_loss, reason = "exact for the next hundred million years")]
pub(crate) const fn seconds(at: i64) -> f64 {
    at as f64
}

/// Labels of all metrics of a run, each name once.
fn labels(probe: &Identity, tags: &UnifiedTags) -> Vec<(String, String)> {
    let own = [("probe", &probe.name), ("host", &probe.host), ("type", &probe.kind)];
    let mut labels: Vec<(String, String)> =
        own.into_iter().map(|(name, value)| (name.to_owned(), label_value(value))).collect();
    let mut seen: BTreeSet<String> = RESERVED.into_iter().map(str::to_owned).collect();
    for (key, value) in metrics::pairs(tags, probe) {
        let value = label_value(&value);
        if let Some(name) = label_name(&key).filter(|_| !value.is_empty())
            && seen.insert(name.clone())
        {
            labels.push((name, value));
        }
        if labels.len() >= metrics::MOST_TAGS {
            break;
        }
    }
    labels
}

/// The value of a label: one line of at most 200 characters, not escaped.
pub(super) fn label_value(value: &str) -> String {
    text::cut_chars(&text::one_line(value), MOST_VALUE_CHARS).into_owned()
}

/// The name of a label: letters, digits and `_`, no digit first, and not two `_` first, which are Prometheus' own.
fn label_name(key: &str) -> Option<String> {
    let plain = |character: char| {
        if character.is_ascii_alphanumeric() { character.to_ascii_lowercase() } else { '_' }
    };
    let name: String = key.trim().chars().take(MOST_VALUE_CHARS).map(plain).collect();
    let name = name.trim_start_matches('_');
    let begins_with_digit = name.starts_with(|first: char| first.is_ascii_digit());
    (!name.is_empty()).then(|| if begins_with_digit { format!("_{name}") } else { name.to_owned() })
}

fn written(labels: &[(String, String)], more: &[(&str, &str)]) -> String {
    let of_run = labels.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let pairs = of_run.chain(more.iter().copied());
    pairs.map(|(name, value)| format!("{name}=\"{}\"", escaped(value))).collect::<Vec<_>>().join(",")
}

/// A name with its labels, whose values are cut and escaped.
#[must_use]
pub fn labelled(name: &str, labels: &[(&str, &str)]) -> String {
    if labels.is_empty() {
        return name.to_owned();
    }
    let labels: Vec<(String, String)> =
        labels.iter().map(|(name, value)| ((*name).to_owned(), label_value(value))).collect();
    format!("{name}{{{}}}", written(&labels, &[]))
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

/// A directory that the textfile collector of a node exporter reads. Each probe has a file of its own there.
#[derive(Debug, Clone)]
pub struct Textfile {
    directory: PathBuf,
    tags: UnifiedTags,
}

impl Textfile {
    /// Writes into `directory`, which must exist.
    #[must_use]
    pub const fn new(directory: PathBuf, tags: UnifiedTags) -> Self {
        Self { directory, tags }
    }
}

configured::tagged! {
    /// Prometheus: files for the textfile collector of a node exporter.
    #[derive(Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields, expecting = "a mapping with textfile")]
    #[schemars(rename = "Prometheus")]
    pub(super) struct Settings {
        /// Directory that the collector reads, which must exist.
        textfile: String,
    }
}

impl configured::Settings for Settings {
    fn sinks(mut self, given: Given<'_>) -> Result<Vec<Box<dyn Notifier>>, String> {
        let tags = self.unified_tags(given);
        if self.textfile.is_empty() {
            return Err("textfile: expected a directory".to_owned());
        }
        Ok(vec![Box::new(Textfile::new(given.directory.join(self.textfile), tags))])
    }
}

impl Notifier for Textfile {
    fn name(&self) -> &'static str {
        "prometheus-textfile"
    }

    fn lifetime(&self, notice: &Notice) -> Option<Duration> {
        matches!(notice, Notice::Finished { .. }).then(|| metrics::lifetime(notice, AGE))
    }

    fn render(&self, notice: &Notice) -> Vec<Transmission> {
        let Notice::Finished { run, .. } = notice else { return Vec::new() };
        let path = self.directory.join(file_name(run));
        vec![Transmission::File { path, bytes: exposition([run], &self.tags).into_bytes() }]
    }

    fn preflight(&self) -> Preflight {
        Preflight::Directory { path: self.directory.clone() }
    }

    fn secrets(&self) -> Vec<String> {
        Vec::new()
    }
}

/// The same for every run of a probe, different for two probes, and never a path.
fn file_name(run: &ProbeRun) -> String {
    let name = metrics::probe_name(&run.probe.name, MOST_FILE_NAME_CHARS);
    let hash = text::hash(&format!("{}\n{}", run.probe.name, run.probe.host));
    format!("docker-test-{name}-{}.prom", hash.get(..12).unwrap_or_default())
}

#[cfg(test)]
pub(super) mod tests;
