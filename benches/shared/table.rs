//! From samples to medians, ratios and verdicts: as a table for people and as JSON.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::entry::Failure;

/// Samples of one quantity.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Series {
    name: String,
    unit: &'static str,
    samples: Vec<f64>,
}

impl Series {
    pub(crate) fn seconds(name: &str) -> Self {
        Self { name: name.to_owned(), unit: "s", samples: Vec::new() }
    }

    pub(crate) fn milliseconds(name: &str) -> Self {
        Self { unit: "ms", ..Self::seconds(name) }
    }

    pub(crate) fn megabytes(name: &str) -> Self {
        Self { unit: "MB", ..Self::seconds(name) }
    }

    /// Of another unit.
    pub(crate) fn of(name: &str, unit: &'static str) -> Self {
        Self { unit, ..Self::seconds(name) }
    }

    pub(crate) fn push(&mut self, sample: f64) {
        self.samples.push(sample);
    }

    pub(crate) fn extend(&mut self, sample: Option<f64>) {
        self.samples.extend(sample);
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.samples.is_empty()
    }

    pub(crate) fn median(&self) -> f64 {
        let sorted = self.sorted();
        let middle = sorted.len() / 2;
        match (sorted.get(middle.wrapping_sub(1)), sorted.get(middle)) {
            (Some(low), Some(high)) if sorted.len().is_multiple_of(2) => f64::midpoint(*low, *high),
            (_, Some(middle)) => *middle,
            _ => f64::NAN,
        }
    }

    fn sorted(&self) -> Vec<f64> {
        let mut sorted = self.samples.clone();
        sorted.sort_by(f64::total_cmp);
        sorted
    }

    fn lowest(&self) -> f64 {
        self.sorted().first().copied().unwrap_or(f64::NAN)
    }

    fn highest(&self) -> f64 {
        self.sorted().last().copied().unwrap_or(f64::NAN)
    }
}

/// What a number should come to.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Target {
    AtMost(f64),
    AtLeast(f64),
}

/// A number with a target.
#[derive(Debug, Serialize)]
struct Verdict {
    name: String,
    unit: &'static str,
    value: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    at_most: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    at_least: Option<f64>,
    met: bool,
}

/// Everything that was measured.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    schema: u32,
    version: &'static str,
    rounds: usize,
    engine: String,
    cpus: usize,
    /// Processes that wanted a processor, on the average of the last minute, before the first measurement.
    load_before: Option<f64>,
    load_after: Option<f64>,
    verdicts: Vec<Verdict>,
    series: Vec<Series>,
    notes: Vec<String>,
}

impl Report {
    pub(crate) fn new(rounds: usize, engine: &str) -> Self {
        Self {
            schema: 1,
            version: env!("CARGO_PKG_VERSION"),
            rounds,
            engine: engine.to_owned(),
            cpus: std::thread::available_parallelism().map_or(1, usize::from),
            load_before: load(),
            load_after: None,
            verdicts: Vec::new(),
            series: Vec::new(),
            notes: Vec::new(),
        }
    }

    pub(crate) fn add(&mut self, series: Series) {
        if !series.is_empty() {
            self.series.push(series);
        }
    }

    pub(crate) fn note(&mut self, text: &str) {
        self.notes.push(text.to_owned());
    }

    pub(crate) fn ratio(&mut self, name: &str, over: &Series, under: &Series, target: Target) {
        self.judge(name, "", over.median() / under.median(), target);
    }

    pub(crate) fn difference(&mut self, name: &str, large: &Series, small: &Series, target: Target) {
        self.judge(name, large.unit, large.median() - small.median(), target);
    }

    pub(crate) fn limit(&mut self, series: &Series, target: Target) {
        self.judge(&series.name, series.unit, series.median(), target);
    }

    fn judge(&mut self, name: &str, unit: &'static str, value: f64, target: Target) {
        let (at_most, at_least, met) = match target {
            Target::AtMost(limit) => (Some(limit), None, value <= limit),
            Target::AtLeast(limit) => (None, Some(limit), value >= limit),
        };
        self.verdicts.push(Verdict { name: name.to_owned(), unit, value, at_most, at_least, met });
    }

    pub(crate) fn table(&self) -> String {
        let mut text = format!("\n{}, {} processors, {} rounds\n\n", self.engine, self.cpus, self.rounds);
        let _ = writeln!(text, "{:<36} {:>10} {:>10} {:>10}     ", "", "median", "lowest", "highest");
        for series in &self.series {
            let row = [series.median(), series.lowest(), series.highest()].map(|value| format!("{value:.3}"));
            let [median, lowest, highest] = row;
            let _ =
                writeln!(text, "{:<36} {median:>10} {lowest:>10} {highest:>10} {}", series.name, series.unit);
        }
        let _ = writeln!(text, "\n{:<36} {:>10} {:>19}", "", "measured", "target");
        for verdict in &self.verdicts {
            let Verdict { name, unit, value, at_most, at_least, met } = verdict;
            let (bound, limit) = match (at_most, at_least) {
                (Some(limit), _) => ("at most", *limit),
                (_, limit) => ("at least", limit.unwrap_or(f64::NAN)),
            };
            let said = if *met { "met" } else { "MISSED" };
            let unit = if unit.is_empty() { String::new() } else { format!(" {unit}") };
            let _ = writeln!(text, "{name:<36} {value:>10.3} {bound:>8} {limit:>10.3}{unit}  {said}");
        }
        let busy = self.load_before.into_iter().chain(load()).fold(0.0, f64::max);
        if busy > 1.0 {
            let _ = writeln!(text, "\nnote: the machine was busy with other work (load {busy:.1})");
        }
        for note in &self.notes {
            let _ = writeln!(text, "\nnote: {note}");
        }
        text
    }

    /// Writes `target/bench/NAME.json`.
    pub(crate) fn save(&mut self, name: &str) -> Result<PathBuf, Failure> {
        self.load_after = load();
        let target = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let directory = target.parent().unwrap_or(target).join("bench");
        fs::create_dir_all(&directory)?;
        let path = directory.join(format!("{name}.json"));
        let mut json = serde_json::to_value(&*self)?;
        if let Some(all) = json.get_mut("series").and_then(serde_json::Value::as_array_mut) {
            for (entry, series) in all.iter_mut().zip(&self.series) {
                entry["median"] = series.median().into();
            }
        }
        fs::write(&path, format!("{json:#}\n"))?;
        Ok(path)
    }
}

fn load() -> Option<f64> {
    fs::read_to_string("/proc/loadavg").ok()?.split_whitespace().next()?.parse().ok()
}
