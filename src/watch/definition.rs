//! What is known of a probe that is watched: how it is tried, when, and what is told of it.
//!
//! Owns these values, which a file or labels on an engine are read into. Pure: reads neither.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::harness::Probe;
use crate::notify::policy::Policy;
use crate::schedule::timetable::Missed;
use crate::suite::pattern::NamePattern;

/// Where a probe was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", tag = "from")]
pub enum Origin {
    /// In a docker-test.yaml.
    File {
        /// The file, as it was named.
        path: String,
    },
    /// In the labels of an image on the engine.
    Image {
        /// Its name.
        name: String,
        /// Its id.
        id: String,
    },
    /// In the labels of a container on the engine.
    Container {
        /// Its name.
        name: String,
        /// Its id.
        id: String,
    },
}

/// What happens when a run is due while one of the same probe is under way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Overlap {
    /// It is not run, and counts as one that was missed.
    #[default]
    Skip,
    /// It is run when the one under way is over. At most one waits.
    Queue,
    /// The one under way is stopped, its cleanup included, and counts for nothing.
    Replace,
}

/// A word that is not expected. Its text says which ones are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected {0}")]
pub struct UnknownWord(&'static str);

impl FromStr for Overlap {
    type Err = UnknownWord;

    fn from_str(text: &str) -> Result<Self, UnknownWord> {
        match text {
            "skip" => Ok(Self::Skip),
            "queue" => Ok(Self::Queue),
            "replace" => Ok(Self::Replace),
            _ => Err(UnknownWord("`skip`, `queue` or `replace`")),
        }
    }
}

/// Something that happens on an engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Trigger {
    /// A container starts.
    ContainerStart,
    /// An image is given a name: by a pull, a build or a tag.
    ImageTag,
    /// A service of Compose or Swarm has containers that were made anew, and none that is still to start.
    Deploy,
}

impl FromStr for Trigger {
    type Err = UnknownWord;

    fn from_str(text: &str) -> Result<Self, UnknownWord> {
        match text {
            "container-start" => Ok(Self::ContainerStart),
            "image-tag" => Ok(Self::ImageTag),
            "deploy" => Ok(Self::Deploy),
            _ => Err(UnknownWord("`container-start`, `image-tag` or `deploy`")),
        }
    }
}

impl fmt::Display for Trigger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ContainerStart => "container-start",
            Self::ImageTag => "image-tag",
            Self::Deploy => "deploy",
        })
    }
}

/// Runs a probe when something happens.
#[derive(Debug, Clone)]
pub struct TriggerRule {
    /// What has to happen.
    pub on: Trigger,
    /// To what: names of containers, services or images. Anything where absent.
    pub target: Option<NamePattern>,
}

/// When a probe is due. Read anew whenever the daemon starts, because a schedule may begin when it is first seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Times {
    /// ISO-8601 repeating interval or cron; it was read once, and is known to be right.
    pub schedule: String,
    /// Zone of the IANA database; UTC where absent.
    pub zone: Option<String>,
    /// Runs are spread over this time after their slot; over the interval, and a minute at most, where absent.
    pub splay: Option<Duration>,
    /// What becomes of slots that were missed.
    pub missed: Missed,
    /// How late a run may begin where missed ones are skipped.
    pub grace: Duration,
    /// After a run that failed, the next begins this long after it began.
    pub while_failing: Option<Duration>,
}

/// A probe that is watched.
#[derive(Debug, Clone)]
pub struct Definition {
    /// How it is tried. Names are unique among the probes that are watched.
    pub probe: Arc<Probe>,
    /// Where it was found.
    pub origin: Origin,
    /// When it is due; only on events and on request where absent.
    pub times: Option<Times>,
    /// What happens when it is due while it runs.
    pub overlap: Overlap,
    /// What it is run upon.
    pub triggers: Vec<TriggerRule>,
    /// What is told of it. Shared by many.
    pub policy: Arc<Policy>,
}

impl Definition {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.probe.identity.name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_files_and_labels_are_read_and_others_are_answered_with_those_that_there_are() {
        assert_eq!("queue".parse(), Ok(Overlap::Queue));
        assert_eq!("deploy".parse(), Ok(Trigger::Deploy));
        for trigger in [Trigger::ContainerStart, Trigger::ImageTag, Trigger::Deploy] {
            assert_eq!(trigger.to_string().parse(), Ok(trigger));
        }
        let error = "sometimes".parse::<Overlap>().unwrap_err();
        assert_eq!(error.to_string(), "expected `skip`, `queue` or `replace`");
    }
}
