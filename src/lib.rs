//! Test any container image: `docker-test shop:1.4`.
//!
//! The modules in the order in which data flows through them:
//!
//! - [`metadata`]: what the author declared (ONTEST, ONBUILD, labels, Dockerfile.test)
//! - [`plan`]: what will happen, settled before anything is created
//! - [`suite`]: docker-test.yaml: many tests, what they need, which of them run, and in which order
//! - [`image`]: plan → Dockerfile.test, context, test image
//! - [`engine`]: the only effect boundary for containers
//! - [`ledger`]: everything created on an engine is written down first and removed by one piece of code
//! - [`compose`]: services of a compose file, through the Compose tool that is installed
//! - [`runner`]: attempts, time, signals, cleanup
//! - [`results`]: the outcome model, and the files and cases that a test leaves
//! - [`history`]: what ran when and what became of it, in one file that later runs ask
//! - [`report`]: results → screen and files
//! - [`probe`]: what a run of a probe came to: attempts, and the verdict over them
//! - [`schedule`]: when a probe is due
//! - [`check`]: one look at a service: a command, a request, a connection, a name, a container, an image
//! - [`harness`]: attempts at a check, a cleanup after each, and what is told of them
//! - [`notify`]: alerts and metrics: the policy, the sinks, and the outbox that loses none
//! - [`watch`]: the daemon: probes that run when they are due, or when something happens
//! - [`status`]: what the daemon shows of itself, as a page, as JSON and as metrics
//! - [`cli`]: flags in, exit code out
//!
//! Around them: [`error`], [`exit_code`], [`environment`], [`input`], [`settings`], [`signal`], [`redact`].

mod authorities;
pub mod check;
pub mod cli;
pub mod compose;
pub mod engine;
pub mod environment;
pub mod error;
pub mod exit_code;
pub mod harness;
pub mod history;
pub mod image;
pub mod input;
pub mod ledger;
pub mod metadata;
mod names;
pub mod notify;
pub mod plan;
pub mod probe;
pub mod redact;
pub mod report;
pub mod results;
pub mod runner;
pub mod schedule;
pub mod settings;
mod shortage;
pub mod signal;
pub mod status;
pub mod suite;
pub mod watch;
