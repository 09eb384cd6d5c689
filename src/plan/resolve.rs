//! Makes the plan: chooses the source, validates the recipe, and settles what is built, sent and run.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::container::ContainerSpec;
use super::find::{Found, find, stands_in_the_directory, travelled_test_image};
use super::{
    ContextPlan, DEFAULT_BACKOFF, Facts, Limits, PlanError, PlannedRecipe, PlannedTrigger, Request, Retries,
    Source, TestPlan, runs,
};
use crate::engine::Image;
use crate::image::context::{Needs, RecipeInputs, needs};
use crate::image::template::{self, TEST_IMAGE_ARGUMENT};
use crate::metadata::dockerfile::Instruction;
use crate::metadata::labels::{self, TestLabels, ours};
use crate::metadata::recipe::{self, Feature, Recipe};

/// Name that FROM bears while the rebuild key is computed: the key must not depend on the private tag.
pub(crate) const PINNED_PLACEHOLDER: &str = "docker-test-target";

/// Makes the plan of one test, or says why there is none.
pub fn resolve(request: &Request, facts: &Facts<'_>) -> Result<TestPlan, PlanError> {
    refuse_our_own(request, facts)?;
    let mut labels = TestLabels::read(&facts.target.labels)
        .map_err(|source| PlanError::Label { image: request.reference.clone(), source })?;
    if let Some(results) = &request.results {
        labels.results.clone_from(results);
    }
    let found = find(request, facts, &labels)?;
    let instructions = validate(&found, facts)?;
    let features = check_features(&found, &instructions, facts)?;
    let (context, found, instructions) = match plan_context(request, facts, &found, &instructions) {
        Ok(context) if facts.files_at_hand => (context, found, instructions),
        // The files are not at hand: a test image that was built where they are will do.
        planned => match (travelled_test_image(request, facts), planned) {
            (Some(travelled), _) => (nothing_sent(), travelled, Vec::new()),
            (None, Ok(context)) => (context, found, instructions),
            (None, Err(error)) => return Err(error),
        },
    };
    let recipe = Recipe { instructions };
    let mut container = request.container.clone();
    let settled = runs::settle(request, &labels, found.source, &recipe, &mut container);
    let author = found.author.as_ref().map(|(text, _)| text.clone());
    let results = labels.results.clone();
    let results_volume = check_results_path(&container, &results)?;
    let stop_signal = stop_signal(&container, facts.target);
    let mut plan = TestPlan {
        name: request.reference.clone(),
        image: request.reference.clone(),
        image_id: facts.target.id.clone(),
        platform: facts.target.platform.clone(),
        source: found.source,
        reason: found.reason.clone(),
        triggers: found
            .triggers
            .iter()
            .map(|trigger| PlannedTrigger {
                instruction: trigger.instruction.clone(),
                text: trigger.text.clone(),
                line: (found.lines && trigger.line > 0).then_some(trigger.line),
            })
            .collect(),
        test_type: request.test_type.clone().unwrap_or_else(|| labels.test_type.clone()),
        results,
        test_image: request.test_image.clone(),
        dockerfile: String::new(),
        context,
        features,
        runs: settled.runs,
        build: request.build.clone(),
        warnings: settled.warnings,
        container,
        results_volume,
        limits: limits(request, &labels),
        retries: retries(request, &labels),
        verdict: request.verdict,
        keep: request.keep,
        stop_signal,
        recipe: PlannedRecipe {
            author,
            reset_entrypoint: settled.reset_entrypoint,
            command: settled.repeated_command,
            origin: found.origin.clone(),
            results_after: template::results_after(
                &recipe.instructions,
                &labels.results,
                // Its triggers may go elsewhere before the recipe begins.
                Some(&*facts.target.working_directory).filter(|_| facts.target.onbuild.is_empty()),
            ),
        },
    };
    if found.author.is_none() {
        // The stage was chosen here: the generated file has one only.
        plan.build.target = None;
    }
    plan.dockerfile =
        plan.render(&request.reference).map_or_else(|error| format!("# {error}\n"), |text| text.text);
    Ok(plan)
}

/// The user's limits; without one of his own, the label's.
pub(super) fn limits(request: &Request, labels: &TestLabels) -> Limits {
    let mut limits = request.limits.clone();
    limits.timeout = request.timeout.or(labels.timeout).unwrap_or(limits.timeout);
    limits
}

/// How often the user wants it to be run again; without a word of his, the label's.
pub(super) fn retries(request: &Request, labels: &TestLabels) -> Retries {
    Retries {
        count: request.retries.or(labels.retries).unwrap_or_default(),
        backoff: request.backoff.unwrap_or(DEFAULT_BACKOFF),
    }
}

/// The signal that asks the container to end.
pub(super) fn stop_signal(container: &ContainerSpec, image: &Image) -> String {
    let own = container.stop_signal.clone().or_else(|| image.stop_signal.clone());
    own.unwrap_or_else(|| "SIGTERM".to_owned())
}

impl TestPlan {
    /// Dockerfile.test with `from` as the name of the image under test.
    pub fn render(&self, from: &str) -> Result<template::Rendered, template::TemplateError> {
        let triggers: Vec<String> = if self.source == Source::Onbuild {
            // FROM runs them.
            Vec::new()
        } else {
            self.triggers.iter().map(|trigger| trigger.text.clone()).collect()
        };
        template::render(&template::Recipe {
            from,
            author: self.recipe.author.as_deref(),
            triggers: &triggers,
            results: Some(&self.results),
            results_after: self.recipe.results_after,
            reset_entrypoint: self.recipe.reset_entrypoint,
            command: self.recipe.command.as_deref(),
        })
    }
}

fn refuse_our_own(request: &Request, facts: &Facts<'_>) -> Result<(), PlanError> {
    if labels::is_ours(&facts.target.labels) {
        let target =
            facts.target.labels.get(ours::TARGET_NAME).or_else(|| facts.target.labels.get(ours::TARGET));
        return Err(PlanError::IsTestImage {
            image: request.reference.clone(),
            target: target.cloned().unwrap_or_else(|| "another image".to_owned()),
        });
    }
    match facts.test_image {
        Some(existing) if !labels::is_ours(&existing.labels) => {
            Err(PlanError::NameTaken { test_image: request.test_image.clone() })
        }
        _ => Ok(()),
    }
}

/// The instructions, each proven to be exactly one for every parser that may read it.
fn validate(found: &Found, facts: &Facts<'_>) -> Result<Vec<Instruction>, PlanError> {
    if let Some((_, parsed)) = &found.author {
        return Ok(parsed.instructions.clone());
    }
    let heredocs = facts.capabilities.features.contains(&Feature::Heredoc);
    let mut instructions = Vec::with_capacity(found.triggers.len());
    for (index, trigger) in found.triggers.iter().enumerate() {
        // A heredoc that the builder lacks is refused by the feature check, with the builder's name.
        let fail = |source| PlanError::Trigger { origin: found.origin.clone(), number: index + 1, source };
        let mut instruction = recipe::validate_trigger(&trigger.text, true).map_err(fail)?;
        recipe::refuse_empty(&instruction).map_err(fail)?;
        if !heredocs && instruction.heredocs.is_empty() {
            recipe::validate_trigger(&trigger.text, false).map_err(fail)?;
        }
        // Within the trigger so far: messages name the author's line where it is known, and no other.
        instruction.line = if found.lines { instruction.line + trigger.line.saturating_sub(1) } else { 0 };
        instructions.push(instruction);
    }
    Ok(instructions)
}

fn check_features(
    found: &Found,
    instructions: &[Instruction],
    facts: &Facts<'_>,
) -> Result<Vec<Feature>, PlanError> {
    let features: BTreeSet<Feature> = instructions.iter().flat_map(recipe::features).collect();
    let directives = found.author.as_ref().map_or(&[][..], |(_, parsed)| &parsed.directives);
    let lacks = facts.capabilities.lacks(directives, instructions);
    let Some(first) = lacks.first() else { return Ok(features.into_iter().collect()) };
    let missing: BTreeSet<Feature> = lacks.iter().map(|lack| lack.feature).collect();
    Err(PlanError::Unsupported {
        place: match first.line {
            0 => found.origin.clone(),
            line => format!("{}:{line}", found.origin),
        },
        builder: facts.capabilities.builder.clone(),
        product: facts.capabilities.product.clone(),
        features: missing.iter().map(ToString::to_string).collect(),
    })
}

pub(super) const fn nothing_sent() -> ContextPlan {
    ContextPlan { directory: None, needs: Needs::Nothing, ignore_file: None }
}

/// What is read from the user's directory, and whether it may be.
fn plan_context(
    request: &Request,
    facts: &Facts<'_>,
    found: &Found,
    instructions: &[Instruction],
) -> Result<ContextPlan, PlanError> {
    let target_env: BTreeMap<String, String> = facts
        .target
        .env
        .iter()
        .filter_map(|entry| entry.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let mut build_args = request.build.build_args.clone();
    build_args.entry(TEST_IMAGE_ARGUMENT.to_owned()).or_insert_with(|| PINNED_PLACEHOLDER.to_owned());
    let triggers: Vec<Instruction> = if found.source == Source::Onbuild {
        Vec::new()
    } else {
        facts.target.onbuild.iter().filter_map(|text| recipe::validate_trigger(text, true).ok()).collect()
    };
    let needs = needs(
        instructions,
        &RecipeInputs {
            escape: found.author.as_ref().map_or('\\', |(_, parsed)| parsed.escape),
            build_args: &build_args,
            target_env: Some(&target_env),
            target: found.author.is_some().then_some(PINNED_PLACEHOLDER),
            target_triggers: &triggers,
        },
    );
    if needs == Needs::Nothing {
        return Ok(nothing_sent());
    }
    let pulled = !facts.target.digests.is_empty();
    let granted = facts.directory.explicit || stands_in_the_directory(found, facts, request);
    // FROM runs the image's own triggers whatever recipe stands on it, so they are judged by themselves.
    let triggers_read = found.source != Source::Onbuild && triggers_read_files(facts, &build_args);
    let came_along = found.source.came_with_the_image() && !granted;
    if pulled && (came_along || triggers_read && !facts.directory.explicit) {
        return Err(PlanError::FilesNotGranted {
            origin_is_recorded: facts.capabilities.records_origin,
            image: request.reference.clone(),
            what: describe_needs(&needs),
            test_image: request.test_image.clone(),
        });
    }
    let directory = &facts.directory.directory;
    Ok(ContextPlan {
        ignore_file: Some(ignore_file(directory, found)),
        directory: Some(directory.clone()),
        needs,
    })
}

/// Whether the ONBUILD triggers of the image under test read the context. One that cannot be read here might.
fn triggers_read_files(facts: &Facts<'_>, build_args: &BTreeMap<String, String>) -> bool {
    let read: Result<Vec<Instruction>, _> =
        facts.target.onbuild.iter().map(|text| recipe::validate_trigger(text, true)).collect();
    read.map_or(true, |triggers| {
        let inputs =
            RecipeInputs { escape: '\\', build_args, target_env: None, target: None, target_triggers: &[] };
        needs(&triggers, &inputs) != Needs::Nothing
    })
}

/// `Dockerfile.test.dockerignore` goes before `.dockerignore`. Whether they are there is seen when they are read.
fn ignore_file(directory: &Path, found: &Found) -> PathBuf {
    let specific = match found.source {
        Source::Recipe | Source::Dockerfile => format!("{}.dockerignore", found.origin),
        _ => directory.join("Dockerfile.test.dockerignore").display().to_string(),
    };
    specific.into()
}

fn describe_needs(needs: &Needs) -> String {
    match needs {
        Needs::Nothing => "nothing".to_owned(),
        Needs::Paths(paths) => {
            let names: Vec<&str> = paths.iter().map(|need| need.pattern.as_str()).collect();
            names.join(", ")
        }
        Needs::Whole { .. } => "the whole directory".to_owned(),
    }
}

/// False where the user mounts something at the results path; an error where that would lose them.
pub(super) fn check_results_path(container: &ContainerSpec, results: &str) -> Result<bool, PlanError> {
    let tmpfs = container.tmpfs.keys().map(String::as_str).chain(
        container.mounts.iter().filter(|mount| mount.kind == "tmpfs").map(|mount| mount.target.as_str()),
    );
    for at in tmpfs {
        // What a test puts into one below is lost as well; one above is covered by the volume.
        if Path::new(at).starts_with(results) {
            return Err(PlanError::ResultsOnTmpfs { at: at.to_owned(), results: results.to_owned() });
        }
    }
    let mounted = container
        .binds
        .iter()
        .filter_map(|bind| bind.split(':').nth(1))
        .chain(container.anonymous_volumes.iter().map(String::as_str))
        .chain(container.mounts.iter().map(|mount| mount.target.as_str()))
        .any(|at| at.trim_end_matches('/') == results);
    Ok(!mounted)
}
