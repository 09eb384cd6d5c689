//! The services that the tests of a run need: read from the suite, and planned.
//!
//! Owns which of them that are, with all that they need in turn, and how their images are had.

use std::sync::Arc;

use super::super::super::application::Running;
use super::build;
use super::entry::Entry;
use super::planner::Planner;
use super::service;
use crate::engine::Image;
use crate::error::Failure;
use crate::plan::container::ContainerSpec;
use crate::plan::service::ServicePlan;
use crate::runner::secret_files::SecretFiles;
use crate::runner::services::Planned;
use crate::suite::Suite;
use crate::suite::document::{self, Names};
use crate::suite::needs::{self, Need};

/// A service that was read from the suite.
pub(super) struct Read {
    name: String,
    service: document::Service,
    container: ContainerSpec,
    secret_files: SecretFiles,
    secrets: Vec<String>,
}

impl Read {
    /// All of its secret values.
    pub(super) fn secrets(&self) -> Vec<String> {
        let env = self.container.env.iter().filter(|(name, _)| crate::redact::is_secret_name(name));
        self.secrets.iter().cloned().chain(env.map(|(_, value)| value.clone())).collect()
    }

    /// The networks that it names.
    pub(super) const fn network(&self) -> Option<&Names> {
        self.service.network.as_ref()
    }
}

/// Reads those that the tests need, in the order in which they start.
pub(super) fn read(suite: &Suite, entries: &[Entry], app: &Running) -> Result<Vec<Read>, Failure> {
    let wanted = entries.iter().flat_map(|entry| &entry.needs).filter_map(|need| match need {
        Need::Service(name) => Some(name.as_str()),
        Need::Test(_) => None,
    });
    let names = needs::waves(&suite.document, wanted).concat();
    let here = suite.document.services.here();
    let mut services = Vec::new();
    for name in names {
        let Some(service) = here.and_then(|services| services.get(name)) else { continue };
        let (container, secrets) = service::container(name, service, suite, app)?;
        services.push(Read {
            name: name.to_owned(),
            service: service.clone(),
            container,
            secrets: secrets.values().collect(),
            secret_files: secrets.files()?,
        });
    }
    Ok(services)
}

/// Plans them: images are obtained or built. One that cannot be had fails when its turn comes, and says why then.
pub(super) async fn plan(services: Vec<Read>, planner: &Planner<'_>) -> Vec<Planned> {
    let planning =
        services.into_iter().enumerate().map(|(number, service)| plan_one(service, number, planner));
    futures_util::future::join_all(planning).await
}

async fn plan_one(read: Read, number: usize, planner: &Planner<'_>) -> Planned {
    let Read { name, service, mut container, secret_files, .. } = read;
    service::connect(&name, &service, planner.networks, &mut container);
    let shown = match (&service.image, &service.build) {
        (Some(image), _) => image.clone(),
        (None, Some(build)) => format!("build of {}", build.context),
        (None, None) => String::new(),
    };
    let plan = image(&name, &service, number, planner).await.map(|image| ServicePlan {
        name: name.clone(),
        image: shown.clone(),
        image_id: image.id.clone(),
        container,
        platform: service.platform.clone(),
        ready: service.ready.clone(),
    });
    Planned { name, image: shown, plan, needs: service.needs, secret_files }
}

/// The image of a service.
async fn image(
    name: &str,
    service: &document::Service,
    number: usize,
    planner: &Planner<'_>,
) -> Result<Arc<Image>, Failure> {
    let (yard, suite) = (&planner.yard, &planner.selected.suite);
    let mut prepared = planner.base.clone();
    if service.platform.is_some() {
        prepared.request.build.platform.clone_from(&service.platform);
    }
    let sink = planner.sink.of_test(name);
    let prepared = match (&service.image, &service.build) {
        (_, Some(build)) => {
            // Numbers of services are behind those of tests, whatever these are.
            let tag = build::name(yard.ledger, 100_000 + number);
            build::build(build, &tag, suite, &prepared.request.build, yard, sink.clone()).await?;
            prepared.pull = crate::runner::target::PullPolicy::Never;
            prepared.for_image(&tag)?
        }
        (Some(image), None) => {
            super::entry::check_reference(image, suite, &["services", name, "image"])?;
            prepared.for_image(image)?
        }
        (None, None) => return Err(suite.error(&["services", name], "it has no image", None).into()),
    };
    let look = async || Ok(Arc::new(prepared.obtain(yard.engine, yard.app, &sink).await?));
    planner.found.targets.get(prepared.target_key(), look).await
}
