//! Makes sure that the test image is there: finds an unchanged one, or builds it from the pinned target.
//!
//! Owns pinning, the reserved part of the context, the labels of the test image and the check that what was built
//! stands on the image under test.

mod error;
mod names;
mod refresh;

pub use error::TestImageError;

use std::collections::BTreeMap;
use std::path::Path;

use bytes::Bytes;
use tokio::time::Instant;

use super::call::{Call, CallError, Steps};
use super::context::{self, Delivery, ExtraEntry, ReadError, Selection};
use super::key::{Ingredients, content, key};
use super::logins::Logins;
use super::template::{self, DOCKERFILE, RESERVED, RESULTS_TREE, TEST_IMAGE_ARGUMENT};
use crate::engine::docker::build::{BuildError, BuildFailure, BuilderKind, line_of};
use crate::engine::{Engine, Image};
use crate::environment::Environment;
use crate::error::Failure;
use crate::ledger::RunLedger;
use crate::metadata::dockerfile;
use crate::metadata::duration;
use crate::metadata::labels::ours;
use crate::plan::build::BuildSpec;
use crate::plan::{PINNED_PLACEHOLDER, Source, TestPlan};
use crate::results::directory::MARKER;
use crate::runner::Sink;
use crate::runner::event::RunEvent;
use crate::signal;

/// The test image is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuiltTest {
    /// Its id.
    pub image_id: String,
    /// Nothing was built.
    pub reused: bool,
    /// The key of everything that it is made of; its own id where nobody here has made it.
    pub key: String,
}

/// What a build needs besides the plan.
pub struct Workshop<'a> {
    /// The engine.
    pub engine: &'a Engine,
    /// The run's ledger.
    pub ledger: &'a RunLedger,
    /// The image under test.
    pub target: &'a Image,
    /// The image that bears the test image's name now.
    pub existing: Option<&'a Image>,
    /// Logins for base images.
    pub logins: &'a Logins,
    /// For `--secret id=…,env=…` and the ssh agent.
    pub environment: &'a Environment,
    /// Where progress goes.
    pub sink: Sink,
}

/// Finds or builds the test image of `plan`.
pub async fn ensure(
    plan: &TestPlan,
    workshop: &Workshop<'_>,
    interrupts: &signal::Receiver,
) -> Result<BuiltTest, Failure> {
    if plan.source == Source::Container {
        // Its own image runs, and nothing is made of it.
        return Ok(BuiltTest { image_id: plan.image_id.clone(), reused: true, key: plan.image_id.clone() });
    }
    let began = Instant::now();
    let built = if let Some(built) = travelled(plan.source, &plan.test_image, workshop.existing)? {
        built
    } else {
        let (selection, digest) = select(plan, interrupts).await?;
        let key = rebuild_key(plan, workshop.target, workshop.engine, &digest)?;
        match workshop.existing {
            Some(image) if !asks_to_build(plan) && is_unchanged(image, &key, workshop.target) => {
                BuiltTest { image_id: image.id.clone(), reused: true, key }
            }
            _ => build(plan, workshop, selection, key, interrupts).await?,
        }
    };
    workshop.sink.event(RunEvent::Built {
        image: plan.test_image.clone(),
        image_id: built.image_id.clone(),
        reused: built.reused,
        seconds: began.elapsed().as_secs_f64(),
    });
    Ok(built)
}

/// The test image that came along, where that is the source: there is no recipe that it could be built from.
fn travelled(
    source: Source,
    test_image: &str,
    existing: Option<&Image>,
) -> Result<Option<BuiltTest>, TestImageError> {
    match (source, existing) {
        (Source::TestImage, Some(image)) => {
            let (image_id, key) = (image.id.clone(), image.id.clone());
            Ok(Some(BuiltTest { image_id, reused: true, key }))
        }
        (Source::TestImage, None) => Err(TestImageError::Gone { image: test_image.to_owned() }),
        _ => Ok(None),
    }
}

/// The user does not want the image that is there, unchanged or not.
const fn asks_to_build(plan: &TestPlan) -> bool {
    plan.build.no_cache || plan.build.pull
}

fn is_unchanged(image: &Image, key: &str, target: &Image) -> bool {
    image.labels.get(ours::KEY).is_some_and(|recorded| recorded == key)
        && image.layers.starts_with(&target.layers)
}

async fn select(plan: &TestPlan, interrupts: &signal::Receiver) -> Result<(Selection, String), Failure> {
    let Some(directory) = plan.context.directory.clone() else {
        return Ok((Selection::default(), String::new()));
    };
    let needs = plan.context.needs.clone();
    let specific = plan.context.ignore_file.clone();
    let reading = context::read(directory, interrupts, move |tree| {
        let ignore = context::read_ignore(tree.root(), specific.as_deref())?;
        let mut selection = context::select(tree, &needs, &ignore)?;
        // The reserved part of the context is ours; what a user has under that name is not sent.
        selection.entries.retain(|entry| !entry.path.starts_with(RESERVED));
        selection.leave_out_own(MARKER, &needs);
        let digest = context::digest(tree, &selection)?;
        Ok((selection, digest.to_string()))
    });
    match reading.await {
        Ok(chosen) => Ok(chosen),
        Err(ReadError::Interrupted { signal }) => {
            Err(TestImageError::Interrupted { image: plan.test_image.clone(), signal }.into())
        }
        Err(ReadError::Context(error)) => Err(error.in_recipe(&plan.recipe.origin).into()),
    }
}

/// The key that the test image of `plan` would have, found out without building it.
pub async fn predict_key(
    plan: &TestPlan,
    target: &Image,
    existing: Option<&Image>,
    engine: &Engine,
    interrupts: &signal::Receiver,
) -> Result<String, Failure> {
    if plan.source == Source::Container {
        return Ok(plan.image_id.clone());
    }
    if let Some(built) = travelled(plan.source, &plan.test_image, existing)? {
        return Ok(built.key);
    }
    let (_, digest) = select(plan, interrupts).await?;
    rebuild_key(plan, target, engine, &digest)
}

fn rebuild_key(plan: &TestPlan, target: &Image, engine: &Engine, digest: &str) -> Result<String, Failure> {
    let text = plan.render(PINNED_PLACEHOLDER)?.text;
    let flags = serde_json::to_string(&plan.build.of_the_result()).unwrap_or_default();
    let arguments: Vec<(&str, &str)> =
        plan.build.build_args.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    Ok(key(&Ingredients {
        target_id: &target.id,
        dockerfile: &text,
        context: digest,
        build: &flags,
        build_args: &arguments,
        platform: &target.platform,
        builder: &engine.capabilities().builder,
    }))
}

async fn build(
    plan: &TestPlan,
    workshop: &Workshop<'_>,
    selection: Selection,
    key: String,
    interrupts: &signal::Receiver,
) -> Result<BuiltTest, Failure> {
    refresh::refresh(plan, workshop, interrupts).await?;
    let (pinned, record) = names::pin(workshop).await?;
    let rendered = plan.render(&pinned)?;
    workshop.ledger.builds(&key, workshop.existing.map(|existing| existing.id.as_str()));
    let result = call_builder(plan, workshop, selection, key.clone(), &pinned, &rendered, interrupts).await;
    let unpin = async {
        if let Some(record) = record {
            // A tag that cannot be removed now stays in the ledger.
            let _ = workshop.ledger.remove(workshop.engine, &record).await;
        }
    };
    let find = async {
        let built = result?;
        Ok::<_, Failure>(workshop.engine.image(built.as_deref().unwrap_or(&plan.test_image)).await?)
    };
    let ((), found) = tokio::join!(unpin, find);
    let image = found?.ok_or_else(|| TestImageError::Vanished { image: plan.test_image.clone() })?;
    if !image.layers.starts_with(&workshop.target.layers) {
        names::take_back(plan, workshop).await?;
        let (image, target) = (plan.test_image.clone(), plan.image.clone());
        return Err(TestImageError::WrongBase { image, target }.into());
    }
    names::remove_superseded(workshop, &image).await;
    Ok(BuiltTest { image_id: image.id, reused: false, key })
}

async fn call_builder(
    plan: &TestPlan,
    workshop: &Workshop<'_>,
    selection: Selection,
    key: String,
    pinned: &str,
    rendered: &template::Rendered,
    interrupts: &signal::Receiver,
) -> Result<Option<String>, Failure> {
    let kind = workshop.engine.capabilities().builder_kind;
    // What is to be pulled has been, and the image under test is nowhere but here.
    let mut spec = BuildSpec { pull: false, ..plan.build.clone() };
    let mut text = rendered.text.clone();
    let labels = labels(plan, workshop, key);
    match one_instruction(&labels).filter(|_| kind == BuilderKind::Classic) {
        // Labels of the call are a step each to this builder, and each step commits a layer.
        Some(instruction) => text.push_str(&instruction),
        None => spec.labels.extend(labels),
    }
    if plan.recipe.author.is_some() {
        spec.build_args.insert(TEST_IMAGE_ARGUMENT.to_owned(), pinned.to_owned());
    }
    let delivery = Delivery {
        directory: plan.context.directory.clone().unwrap_or_default(),
        selection,
        extra: results_tree(plan),
        dockerfile: DOCKERFILE.into(),
        text: Bytes::from(text),
        hidden: true,
    };
    let call = Call {
        engine: workshop.engine,
        logins: workshop.logins,
        environment: workshop.environment,
        sink: &workshop.sink,
        spec: &spec,
        tags: std::slice::from_ref(&plan.test_image),
        delivery: &delivery,
        steps: Steps::Told,
        limit: plan.limits.build,
    };
    let image = plan.test_image.clone();
    match call.make(interrupts).await {
        Ok(built) => Ok(built.id),
        Err(CallError::NotMade(failure)) => Err(failure),
        Err(CallError::TimedOut(limit)) => {
            Err(TestImageError::TimedOut { image, limit: duration::human(limit) }.into())
        }
        Err(CallError::Build(error)) => {
            let failed = matches!(error, BuildError::Failed(_) | BuildError::Refused { .. });
            let failure = explain(plan, rendered, error, image, interrupts, kind).into();
            Err(if failed { names::explain_missing(workshop, plan, failure).await } else { failure })
        }
    }
}

/// Says the builder's error in the author's terms: his file, his line.
fn explain(
    plan: &TestPlan,
    rendered: &template::Rendered,
    error: BuildError,
    image: String,
    interrupts: &signal::Receiver,
    kind: BuilderKind,
) -> TestImageError {
    match error {
        BuildError::Cancelled => TestImageError::Interrupted { image, signal: interrupts.borrow().signal },
        BuildError::Failed(mut failure) => {
            // The generated file's line would mislead where the author's is known.
            let line = failure.line.take().or_else(|| generated_line(rendered, &failure, kind));
            if line.is_some_and(|line| rendered.is_own(line)) {
                let (path, image) = (plan.results.clone(), plan.image.clone());
                return TestImageError::Results { path, image, failure };
            }
            let line = line.and_then(|line| author_line(plan, rendered, line));
            // A command that was given here stands in no file.
            let file = (plan.source != Source::Command).then(|| plan.recipe.origin.clone());
            TestImageError::Failed { file, line, failure }
        }
        other => TestImageError::Build(other),
    }
}

/// Builders name a failed step by its number alone.
fn generated_line(rendered: &template::Rendered, failure: &BuildFailure, kind: BuilderKind) -> Option<u32> {
    let parsed = dockerfile::parse(rendered.text.as_bytes()).ok()?;
    line_of(failure.position.as_ref()?, kind, &parsed)
}

fn author_line(plan: &TestPlan, rendered: &template::Rendered, line: u32) -> Option<u32> {
    if plan.recipe.author.is_some() {
        return Some(rendered.author_line(line));
    }
    let index = rendered.trigger_lines.iter().rposition(|first| *first <= line)?;
    let first = rendered.trigger_lines.get(index)?;
    Some(plan.triggers.get(index)?.line? + (line - first))
}

fn labels(plan: &TestPlan, workshop: &Workshop<'_>, key: String) -> BTreeMap<String, String> {
    BTreeMap::from([
        (ours::ROLE.to_owned(), ours::Role::TestImage.as_str().to_owned()),
        (ours::TARGET.to_owned(), workshop.target.id.clone()),
        (ours::TARGET_CONTENT.to_owned(), content(workshop.target)),
        (ours::TARGET_NAME.to_owned(), plan.image.clone()),
        (ours::NAME.to_owned(), plan.test_image.clone()),
        (ours::SOURCE.to_owned(), plan.source.name().to_owned()),
        (ours::KEY.to_owned(), key),
    ])
}

/// The labels as one LABEL, where no value has a character that means something there.
fn one_instruction(labels: &BTreeMap<String, String>) -> Option<String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._:/@-".contains(c);
    let words = labels
        .iter()
        .map(|(name, value)| value.chars().all(plain).then(|| format!(" {name}=\"{value}\"")))
        .collect::<Option<String>>()?;
    Some(format!("LABEL{words}\n"))
}

/// The tree whose last directory becomes the results directory.
fn results_tree(plan: &TestPlan) -> Vec<ExtraEntry> {
    let results = format!("{RESULTS_TREE}/{}", template::results_directory_name(&plan.results));
    vec![
        ExtraEntry::directory(RESERVED, 0o755),
        ExtraEntry::directory(RESULTS_TREE, 0o755),
        ExtraEntry::directory(&results, 0o1777),
    ]
}

/// Where the generated Dockerfile is kept when the user asks for it: never over an existing file.
pub fn keep_dockerfile(path: &Path, text: &str) -> std::io::Result<()> {
    use std::io::Write;
    std::fs::OpenOptions::new().write(true).create_new(true).open(path)?.write_all(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_image_that_came_along_and_is_gone_is_no_reason_to_build_one_without_a_recipe() {
        let image = Image { id: "sha256:1".to_owned(), ..Image::default() };
        assert_eq!(travelled(Source::Label, "shop:1.4-test", Some(&image)).unwrap(), None);
        let found = travelled(Source::TestImage, "shop:1.4-test", Some(&image)).unwrap();
        assert_eq!(found.unwrap().image_id, "sha256:1");
        let gone = travelled(Source::TestImage, "shop:1.4-test", None).unwrap_err();
        assert!(gone.to_string().contains("shop:1.4-test"), "{gone}");
    }
}
