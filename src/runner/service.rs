//! Services: started before the tests that need them, watched while those run, ended with the run.
//!
//! Owns that a service is ready or its failure is told with its exit and last words, and that one which dies later is
//! noticed. Its container goes through the run's ledger like any other.

mod ready;
mod watch;

use std::path::PathBuf;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::engine::docker::{Creation, Recorded};
use crate::engine::{Engine, ResourceKind};
use crate::error::Failure;
use crate::ledger::RunLedger;
use crate::metadata::labels::ours::Role;
use crate::plan::service::ServicePlan;
use crate::redact::Redactor;
use crate::runner::secret_files::SecretFiles;
use crate::signal;
use crate::suite::document::Condition;

pub use watch::Ended;
use watch::Watch;

/// What starting a service needs besides its plan.
pub struct ServiceContext<'a> {
    /// The engine.
    pub engine: &'a Engine,
    /// The run's ledger.
    pub ledger: &'a RunLedger,
    /// Replaces secrets in what it prints.
    pub redactor: Arc<Redactor>,
    /// Where its output is kept.
    pub log: PathBuf,
    /// Files under `/run/secrets`.
    pub secret_files: &'a SecretFiles,
    /// Cancelled once nobody waits for it any more.
    pub unwanted: CancellationToken,
}

/// A service that was started.
#[derive(Debug)]
pub struct Service {
    /// Its name.
    pub name: String,
    record: Recorded,
    watch: Watch,
}

/// Why a service is of no use.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("service {service} {problem}")]
pub struct ServiceFailure {
    /// Its name.
    pub service: String,
    /// What is wrong, to be read after its name.
    pub problem: String,
    /// The last lines it printed.
    pub log_tail: String,
    /// The run was told to end meanwhile, or has no use for it any more.
    pub interrupted: bool,
}

/// Starts a service and waits until it is ready.
///
/// `Err` is an error of ours or of the engine; a service that does not get ready is a [`ServiceFailure`]. Its container
/// is removed, and its log is whole.
pub async fn start(
    plan: &ServicePlan,
    context: &ServiceContext<'_>,
    interrupts: &mut signal::Receiver,
) -> Result<Result<Service, ServiceFailure>, Failure> {
    let ServiceContext { engine, ledger, .. } = *context;
    let name = format!("docker-test-{}-{}", ledger.run_id(), plan.name);
    let record = ledger.record(ResourceKind::Container, &name)?;
    let creation = Creation {
        image: plan.image_id.clone(),
        labels: ledger.labels(Role::Helper),
        results: None,
        platform: plan.platform.clone(),
    };
    let mut container = plan.container.clone();
    context.secret_files.mount(&mut container, ledger.labels(Role::Volume))?;
    let created = engine.create_container(&record, &container, &creation).await?;
    context.secret_files.write(engine, &created.id).await?;
    let attached = engine.attach(&created.id, false, plan.container.tty).await?;
    let wanted = match plan.ready.as_ref().map(|ready| &ready.condition) {
        Some(Condition::Log { text, .. }) => Some(text.clone()),
        _ => None,
    };
    let redactor = Arc::clone(&context.redactor);
    let watch = Watch::begin(engine, &created.id, attached, redactor, &context.log, wanted).await?;
    let service = Service { name: plan.name.clone(), record, watch };
    if let Err(error) = engine.start(&created.id).await {
        return Ok(Err(service.fail(context, format!("could not be started: {error}"), false).await));
    }
    service.watch.started();
    let mut cancelled = interrupts.clone();
    let problem = tokio::select! {
        outcome = ready::wait(engine, &created.id, plan.ready.as_ref(), &service.watch) => outcome.err(),
        state = signal::wait_for(&mut cancelled, 1) => {
            let problem = format!("was not ready when signal {} came", state.signal);
            return Ok(Err(service.fail(context, problem, true).await));
        }
        () = context.unwanted.cancelled() => {
            let problem = "was not ready when nobody needed it any more".to_owned();
            return Ok(Err(service.fail(context, problem, true).await));
        }
    };
    match problem {
        Some(problem) => Ok(Err(service.fail(context, problem, false).await)),
        None => Ok(Ok(service)),
    }
}

impl Service {
    /// Removes what is of no use, so that its log is closed and says why.
    async fn fail(self, context: &ServiceContext<'_>, problem: String, interrupted: bool) -> ServiceFailure {
        let service = self.name.clone();
        // What cannot be removed now is still in the ledger.
        let _ = context.ledger.remove(context.engine, &self.record).await;
        let log_tail = self.watch.close().await;
        ServiceFailure { service, problem, log_tail, interrupted }
    }
}

impl Service {
    /// Resolves when it has ended; at once where it has already. Outlives the service.
    pub fn end(&self) -> impl Future<Output = Ended> + Send + 'static {
        self.watch.end()
    }

    /// How it ended, where it has.
    #[must_use]
    pub fn has_ended(&self) -> Option<Ended> {
        self.watch.has_ended()
    }

    /// The last lines it printed.
    #[must_use]
    pub fn log_tail(&self) -> String {
        self.watch.tail()
    }

    /// Removes its container, and closes its log.
    pub async fn remove(self, engine: &Engine, ledger: &RunLedger) -> Result<(), Failure> {
        let removed = ledger.remove(engine, &self.record).await;
        self.watch.close().await;
        Ok(removed?)
    }
}
