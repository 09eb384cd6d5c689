//! What became of a service that tests needed.
//!
//! Owns the record alone. Who started the service, and how it was found ready, is the runner's.

use serde::{Deserialize, Serialize};

use super::{Cause, Outcome};

/// A service of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ServiceResult {
    /// Its name in the suite.
    pub name: String,
    /// Its image.
    pub image: String,
    /// `passed`: it served to the end, or did its job and ended with exit code 0.
    pub outcome: Outcome,
    /// Why it did not serve.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<Cause>,
    /// How long it lived, in seconds.
    pub seconds: f64,
    /// The last lines of its output.
    pub log_tail: String,
    /// The run that it belongs to, where reports of several were merged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run_id: Option<String>,
}
