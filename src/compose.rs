//! Services of a compose file, through the Compose tool that is installed.
//!
//! Owns which project is joined or started, when its services are ready, and what is said where they are not. It never
//! parses a compose file itself, changes nothing of a project that the user runs, and leaves removal to the ledger.

mod config;
mod error;
mod process;
mod project;
mod ready;
mod started;
mod tool;

use std::time::Duration;

pub use error::ComposeError;
pub use project::Project;
pub use started::{Started, StartedService};
pub use tool::ComposeTool;

use crate::engine::Engine;
use crate::ledger::RunLedger;

/// The service that is the test, in a docker-compose.test.yml.
pub const SUT: &str = "sut";

/// How long pulls, builds and starts of a project may take in all, unless the caller says otherwise.
pub const DEFAULT_SETUP: Duration = Duration::from_mins(30);

/// A service, as the tool understands the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ComposeService {
    /// Its name.
    pub name: String,
    /// Its image, where the file names one.
    pub image: Option<String>,
    /// The file says how its image is built.
    pub has_build: bool,
    /// What must be there before it: `depends_on`, links, and services whose volumes or namespaces it shares.
    pub depends_on: Vec<Dependency>,
    /// The file gives it a health check. It may have one of its image without that.
    pub has_healthcheck: bool,
    /// Another service waits for its end: it is a job, and ready when it has ended with exit code 0.
    pub is_job: bool,
}

/// What a service waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dependency {
    /// The other service.
    pub service: String,
    /// What it must have come to.
    pub condition: Condition,
}

/// What a dependency must have come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    /// It runs.
    Started,
    /// Its health check says so.
    Healthy,
    /// It has ended with exit code 0.
    Completed,
}

/// What starting services needs besides the project.
#[derive(Clone, Copy)]
pub struct ComposeContext<'a> {
    /// The engine that the tool was found for.
    pub engine: &'a Engine,
    /// The run's ledger.
    pub ledger: &'a RunLedger,
    /// Join the user's own project of these files where it runs; otherwise one of the run's own is started in any case.
    pub join: bool,
    /// How long pulls, builds and starts may take in all.
    pub setup: Duration,
    /// How long a service may take to get ready once it is started.
    pub ready: Duration,
}
