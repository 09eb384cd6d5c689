//! The plan of a test that a deployment has created: an Integration Test Container, run once more as a test.
//!
//! Nothing is built: its own image runs, configured as [`super::recreate`] says. Which containers are such tests is
//! decided here.

use std::collections::BTreeMap;

use super::container::ContainerSpec;
use super::recreate::{Recreated, Surroundings, recreate};
use super::resolve::{check_results_path, limits, nothing_sent, retries, stop_signal};
use super::{ContainerPlanError, PlannedRecipe, Request, Runs, Source, TestPlan};
use crate::engine::{ContainerRecord, Image};
use crate::metadata::labels::{self, TestLabels};

/// Whether a container with these labels, those of its image among them, is a test that a deployment has created: it
/// says so, and is none of ours.
#[must_use]
pub fn is_test(container: &BTreeMap<String, String>) -> bool {
    container.contains_key(labels::TYPE) && !labels::is_ours(container)
}

/// Makes the plan of one container. Of `request`, limits, verdict and whether it is kept count; `image` is the engine's
/// record of the image that the container was made of.
pub fn of_container(
    request: &Request,
    record: &ContainerRecord,
    image: Option<&Image>,
    surroundings: &Surroundings<'_>,
) -> Result<TestPlan, ContainerPlanError> {
    let name = || record.name.clone();
    let own = &record.configuration.labels;
    if labels::is_ours(own) {
        return Err(ContainerPlanError::IsOurs { container: name() });
    }
    let Some(image) = image else {
        return Err(ContainerPlanError::ImageGone { container: name(), image: record.image.clone() });
    };
    let mut all = image.labels.clone();
    all.extend(own.clone());
    if request.test_type.is_none() && !is_test(&all) {
        return Err(ContainerPlanError::NoType { container: name() });
    }
    let labels =
        TestLabels::read(&all).map_err(|source| ContainerPlanError::Label { container: name(), source })?;
    let Recreated { mut container, warnings } = recreate(record, image, surroundings)?;
    make_room(&mut container, &labels.results);
    let results_volume = check_results_path(&container, &labels.results)?;
    let runs = Runs { entrypoint: container.entrypoint.clone(), command: container.command.clone() };
    Ok(TestPlan {
        name: name(),
        image: record.image.clone(),
        image_id: image.id.clone(),
        platform: image.platform.clone(),
        source: Source::Container,
        reason: format!("container {} has the label {}", record.name, labels::TYPE),
        triggers: Vec::new(),
        test_type: request.test_type.clone().unwrap_or_else(|| labels.test_type.clone()),
        results: labels.results.clone(),
        test_image: record.image.clone(),
        dockerfile: String::new(),
        context: nothing_sent(),
        features: Vec::new(),
        runs,
        build: super::build::BuildSpec::default(),
        results_volume,
        limits: limits(request, &labels),
        retries: retries(request, &labels),
        verdict: request.verdict,
        keep: request.keep,
        stop_signal: stop_signal(&container, image),
        container,
        warnings,
        recipe: PlannedRecipe::default(),
    })
}

/// A volume that nobody has named makes way for the one that takes the results: whoever has declared it meant that.
fn make_room(container: &mut ContainerSpec, results: &str) {
    let is_there = |target: &str| target.trim_end_matches('/') == results;
    container.anonymous_volumes.retain(|target| !is_there(target));
    container
        .mounts
        .retain(|mount| mount.kind != "volume" || mount.source.is_some() || !is_there(&mount.target));
}

#[cfg(test)]
mod tests;
