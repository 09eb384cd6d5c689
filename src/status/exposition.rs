//! `/metrics`: the last run of each probe, and how the daemon itself does, in Prometheus' text format.
//!
//! Owns the metrics of the daemon. Those of probes are [`crate::notify::prometheus`]'s, the same in every way that they
//! reach Prometheus.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Bytes;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use tokio::sync::Mutex;

use super::Shared;
use super::problem::Problem;
use crate::history::outbox::Backlog;
use crate::notify::metrics::ended_at;
use crate::notify::prometheus::{self, Told, exposition, labelled, seconds};
use crate::watch::board::{Health, ProbeView};

/// A text that is younger is given again. With thousands of probes it takes a while to make, and whoever asks more often
/// than this learns nothing new.
const FRESH: Duration = Duration::from_secs(1);

/// The last text, and when it was begun.
#[derive(Default)]
pub(super) struct Scrapes(Mutex<Option<(Instant, Bytes)>>);

impl Scrapes {
    /// The last text where it is fresh at `now`, else a new one. Those who ask meanwhile wait for it, and are given it too.
    async fn text<E>(&self, now: Instant, make: impl Future<Output = Result<String, E>>) -> Result<Bytes, E> {
        let mut last = self.0.lock().await;
        if let Some((at, text)) = &*last
            && now.saturating_duration_since(*at) < FRESH
        {
            return Ok(text.clone());
        }
        let text = Bytes::from(make.await?);
        *last = Some((now, text.clone()));
        Ok(text)
    }
}

pub(super) async fn scrape(State(shared): State<Arc<Shared>>) -> Result<Response, Problem> {
    let making = async {
        let backlog = shared.board.backlog().await?;
        Arc::clone(&shared).make(move |shared| text(shared, &backlog)).await
    };
    let text = shared.scrapes.text(Instant::now(), making).await?;
    Ok(([(CONTENT_TYPE, prometheus::CONTENT_TYPE)], text).into_response())
}

/// A family of metrics: its name, its type, its help, and a value for each set of labels.
struct Family<'a> {
    name: &'static str,
    kind: &'static str,
    help: &'static str,
    values: Vec<(Vec<(&'static str, &'a str)>, f64)>,
}

fn text(shared: &Shared, backlog: &[Backlog]) -> String {
    let probes = shared.board.probes();
    let told = probes.iter().filter_map(|view| told(view));
    let mut text = exposition(told, &shared.tags);
    let now = shared.now();
    let silences = shared.board.silences().iter().filter(|view| view.silence.covers(now)).count();
    let of_daemon = of_daemon(&shared.board.health(), probes.len(), silences);
    for family in of_daemon.iter().chain(&of_probes(&probes)).chain(&of_outbox(backlog)) {
        let Family { name, kind, help, values } = family;
        if values.is_empty() {
            continue;
        }
        // Writing to a string cannot fail.
        let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
        for (labels, value) in values {
            let _ = writeln!(text, "{} {value}", labelled(name, labels));
        }
    }
    text
}

fn told(view: &ProbeView) -> Option<Told<'_>> {
    let last = view.last.as_ref()?;
    Some(Told {
        probe: &view.identity,
        verdict: last.verdict,
        attempts: (last.passed, last.attempts.saturating_sub(last.passed)),
        seconds: last.seconds,
        ended_at: ended_at(last.at, last.seconds),
        measurements: &last.measurements,
    })
}

fn of_daemon(health: &Health, probes: usize, silences: usize) -> Vec<Family<'static>> {
    let one = |name, help, value| Family { name, kind: "gauge", help, values: vec![(Vec::new(), value)] };
    let version = vec![("version", env!("CARGO_PKG_VERSION"))];
    vec![
        Family {
            values: vec![(version, 1.0)],
            ..one("docker_test_build_info", "The version of docker-test.", 1.0)
        },
        one(
            "docker_test_watch_start_timestamp_seconds",
            "When the daemon started, in Unix seconds.",
            seconds(health.started_at),
        ),
        one(
            "docker_test_watch_ready",
            "Whether the configuration has been read: 1 or 0.",
            f64::from(u8::from(health.is_ready)),
        ),
        one(
            "docker_test_watch_problems",
            "What is wrong with the daemon itself: configuration, engine or store.",
            count(health.problems.len()),
        ),
        one("docker_test_watch_probes", "Probes that are watched.", count(probes)),
        one("docker_test_watch_silences", "Silences that are in force.", count(silences)),
    ]
}

fn of_probes(probes: &[Arc<ProbeView>]) -> Vec<Family<'_>> {
    let of_each = |name, kind, help, value: fn(&ProbeView) -> f64| Family {
        name,
        kind,
        help,
        values: probes
            .iter()
            .map(|view| {
                let labels = vec![
                    ("probe", view.identity.name.as_str()),
                    ("host", view.identity.host.as_str()),
                    ("type", view.identity.kind.as_str()),
                ];
                (labels, value(view))
            })
            .collect(),
    };
    vec![
        of_each("docker_test_probe_incident", "gauge", "Whether an incident is open: 1 or 0.", |view| {
            f64::from(u8::from(view.open_since.is_some()))
        }),
        of_each("docker_test_probe_silenced", "gauge", "Whether nobody is paged: 1 or 0.", |view| {
            f64::from(u8::from(view.silenced_until.is_some()))
        }),
        of_each(
            "docker_test_probe_skipped_runs_total",
            "counter",
            "Runs that were due and passed over since the daemon started.",
            |view| count(usize::try_from(view.skipped).unwrap_or(usize::MAX)),
        ),
    ]
}

fn of_outbox(backlog: &[Backlog]) -> [Family<'_>; 2] {
    let of_each = |name, help, value: fn(&Backlog) -> u64| Family {
        name,
        kind: "gauge",
        help,
        values: backlog
            .iter()
            .map(|one| {
                let value = usize::try_from(value(one)).unwrap_or(usize::MAX);
                (vec![("sink", one.sink.as_str())], count(value))
            })
            .collect(),
    };
    [
        of_each(
            "docker_test_outbox_waiting",
            "Alerts and metrics that are stored and not sent yet.",
            |one| one.waiting,
        ),
        of_each("docker_test_outbox_dead_letters", "Alerts and metrics that a sink refused.", |one| one.dead),
    ]
}

#[expect(clippy::cast_precision_loss, reason = "exact for far more than there will be")]
const fn count(number: usize) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;

    #[tokio::test]
    async fn a_scrape_within_a_second_is_given_the_text_of_the_one_before_and_a_failed_one_leaves_none() {
        let (scrapes, now) = (Scrapes::default(), Instant::now());
        let ask = async |after: u64, made: Result<&str, &'static str>| {
            let making = async { made.map(str::to_owned) };
            scrapes.text(now + Duration::from_millis(after), making).await.map(|text| text.to_vec())
        };
        assert_eq!(ask(0, Err("the store fails")).await, Err("the store fails"));
        assert_eq!(ask(0, Ok("first")).await, Ok(b"first".to_vec()));
        assert_eq!(ask(999, Ok("second")).await, Ok(b"first".to_vec()));
        assert_eq!(ask(1_000, Ok("third")).await, Ok(b"third".to_vec()));
        assert_eq!(ask(1_500, Err("the store fails")).await, Ok(b"third".to_vec()));
    }

    #[test]
    fn the_documentation_has_every_metric_of_the_daemon_with_its_type_and_no_other() {
        let backlog = [Backlog {
            sink: "slack".to_owned(),
            waiting: 1,
            bytes: 1,
            dead: 0,
            oldest: None,
            losses: Vec::new(),
        }];
        let health = Health::default();
        let families = of_daemon(&health, 1, 1).into_iter().chain(of_probes(&[])).chain(of_outbox(&backlog));
        let written: BTreeSet<(String, String)> =
            families.map(|family| (family.name.to_owned(), family.kind.to_owned())).collect();
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/metrics.md");
        let text = std::fs::read_to_string(path).unwrap();
        let section = text.split("## Metrics of the daemon").nth(1).unwrap().split("\n## ").next().unwrap();
        let rows = section.lines().filter_map(|line| {
            let mut cells = line.strip_prefix("| `")?.split(" | ");
            Some((cells.next()?.trim_end_matches('`').to_owned(), cells.next()?.to_owned()))
        });
        assert_eq!(rows.collect::<BTreeSet<_>>(), written);
    }
}
