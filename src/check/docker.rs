//! A container runs, and is healthy.
//!
//! Owns what of an engine's record is as it should be. An engine that does not answer says nothing about a container:
//! that is an error, and no verdict.

use std::time::Duration;

use serde::Deserialize;
use tokio_util::sync::CancellationToken;

use super::command::one_line;
use super::shape::Shaped;
use super::{CheckError, Looked, Surroundings, critical, observation};
use crate::engine::glance::Sight;
use crate::metadata::dockerfile::excerpt;
use crate::probe::{Measurement, Observation, State};
use crate::redact::Redactor;

/// Which container, and how it is to be.
#[derive(Debug, Clone)]
pub struct DockerCheck {
    container: String,
    healthy: Option<bool>,
    restarts: Option<u64>,
}

/// The mapping of a `docker` check.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LongDocker {
    container: String,
    /// true: it must have a health check; false: what that says does not count.
    #[serde(default)]
    healthy: Option<bool>,
    /// How often the engine may have started it again.
    #[serde(default)]
    restarts: Option<u64>,
}

impl Shaped for DockerCheck {
    const EXPECTED: &'static str =
        "the name of a container such as web-1, or a mapping with the key container";
    type Map = LongDocker;
    type Item = serde::de::IgnoredAny;

    fn from_text(text: &str) -> Result<Self, String> {
        let is_name = text.starts_with(|first: char| first.is_ascii_alphanumeric())
            && text.chars().all(|it| it.is_ascii_alphanumeric() || matches!(it, '_' | '.' | '-'));
        if !is_name {
            return Err(format!("expected the name of a container such as web-1, got {}", excerpt(text)));
        }
        Ok(Self { container: text.to_owned(), healthy: None, restarts: None })
    }

    fn from_map(map: LongDocker) -> Result<Self, String> {
        let check = Self::from_text(&map.container)?;
        Ok(Self { healthy: map.healthy, restarts: map.restarts, ..check })
    }
}

impl DockerCheck {
    /// Looks, for as long as `timeout` and until `stop`.
    pub(super) async fn run(
        &self,
        surroundings: &Surroundings,
        timeout: Duration,
        stop: &CancellationToken,
    ) -> Result<Looked, CheckError> {
        let engine = surroundings.engine.as_ref().ok_or(CheckError::NoEngine)?;
        tokio::select! {
            biased;
            () = stop.cancelled() => Err(CheckError::Cancelled),
            sight = engine.at(&self.container) => {
                let sight = sight?.map(|sight| hidden(sight, &surroundings.redactor));
                Ok(Looked { seen: self.judge(sight.as_ref()), timed_out: false })
            }
            () = tokio::time::sleep(timeout) => Err(CheckError::SilentEngine { limit: timeout }),
        }
    }

    fn judge(&self, sight: Option<&Sight>) -> Observation {
        let name = &self.container;
        let Some(sight) = sight else {
            return critical(format!("expected a container {name}, got none of that name"));
        };
        let mut seen = match self.fault(sight) {
            Some(fault) => critical(fault),
            None if sight.state.health.as_deref() == Some("healthy") => {
                observation(State::Ok, format!("the container {name} runs and is healthy"))
            }
            None => observation(State::Ok, format!("the container {name} runs")),
        };
        super::last_of(&sight.health_output).clone_into(&mut seen.output);
        // No float holds every count, and no container is started so often.
        let restarts = f64::from(u32::try_from(sight.restarts).unwrap_or(u32::MAX));
        let unit = "c".to_owned();
        seen.measurements.push(Measurement { name: "restarts".to_owned(), value: restarts, unit });
        seen
    }

    fn fault(&self, sight: &Sight) -> Option<String> {
        let (name, state) = (&self.container, &sight.state);
        if state.status != "running" {
            return Some(format!("expected the container {name} to run, got {}", ended(sight)));
        }
        let wants_health = self.healthy != Some(false);
        let health = match state.health.as_deref() {
            Some("healthy") => None,
            Some(other) if wants_health => match one_line(&sight.health_output) {
                line if line.is_empty() || other == "starting" => Some(other.to_owned()),
                line => Some(format!("{other}: {line}")),
            },
            None if self.healthy == Some(true) => Some("no health check".to_owned()),
            _ => None,
        };
        if let Some(health) = health {
            return Some(format!("expected the container {name} to be healthy, got {health}"));
        }
        let most = self.restarts.filter(|most| sight.restarts > *most)?;
        Some(format!("expected at most {most} restarts of the container {name}, got {}", sight.restarts))
    }
}

/// What is quoted of it is free of secrets. The engine has cut what a health check printed.
fn hidden(mut sight: Sight, redactor: &Redactor) -> Sight {
    for text in [&mut sight.health_output, &mut sight.state.error] {
        *text = redactor.beginning(text.as_bytes(), usize::MAX);
    }
    sight
}

/// A state that is not running, in words.
fn ended(sight: &Sight) -> String {
    let state = &sight.state;
    let has_ended = matches!(state.status.as_str(), "exited" | "dead" | "restarting" | "stopped");
    let code = if has_ended { format!(" with code {}", state.exit_code) } else { String::new() };
    let memory = if state.oom_killed { ", killed for want of memory" } else { "" };
    let error = if state.error.is_empty() { String::new() } else { format!(": {}", one_line(&state.error)) };
    format!("{}{code}{memory}{error}", one_line(&state.status))
}

#[cfg(test)]
mod tests;
