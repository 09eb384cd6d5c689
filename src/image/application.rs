//! Builds the image under test itself, from a Dockerfile that may contain ONTEST.
//!
//! Owns what the builder gets to see: the author's bytes less the ONTEST lines, at the place where the author has
//! them, and the labels that record those lines.

mod error;

pub use error::ApplicationError;

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::call::{Call, CallError, Steps};
use super::context::{self, Delivery, Needs, ReadError, RecipeInputs, Selection};
use super::logins::Logins;
use crate::engine::docker::build::{BuildError, BuilderKind, line_of};
use crate::engine::{Engine, EngineError, ResourceKind};
use crate::environment::Environment;
use crate::error::Failure;
use crate::ledger::RunLedger;
use crate::metadata::dockerfile::{self, Split, Trigger};
use crate::metadata::labels::{self, Origin, TestLabels};
use crate::plan::build::BuildSpec;
use crate::runner::Sink;
use crate::signal;

/// A Dockerfile in its context.
#[derive(Debug, Clone)]
pub struct Source {
    /// The context directory.
    pub directory: PathBuf,
    /// The Dockerfile as the user named it, for messages.
    pub name: String,
    /// Its path within the context, where it lies there.
    pub within: Option<PathBuf>,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// What a build needs besides the source.
pub struct Builder<'a> {
    /// The engine.
    pub engine: &'a Engine,
    /// The run's ledger.
    pub ledger: &'a RunLedger,
    /// Build flags.
    pub spec: &'a BuildSpec,
    /// `-t`, in full.
    pub tags: &'a [String],
    /// Logins for base images.
    pub logins: &'a Logins,
    /// For `--secret id=…,env=…` and the ssh agent.
    pub environment: &'a Environment,
    /// Where progress goes.
    pub sink: Sink,
}

/// Builds the image and returns its id.
///
/// Where the Dockerfile has ONTEST lines of its own, the image is built twice, the second time from the cache: what
/// a base image says about its tests is known only once the builder has found that image.
pub async fn build(
    source: &Source,
    builder: &Builder<'_>,
    interrupts: &signal::Receiver,
) -> Result<String, Failure> {
    let file = |error: dockerfile::ParseError| ApplicationError::from(error.in_file(source.name.clone()));
    let parsed = dockerfile::parse(&source.bytes).map_err(file)?;
    let split =
        dockerfile::take_tests_with(&source.bytes, &parsed, &builder.spec.build_args).map_err(file)?;
    check_features(source, &parsed, builder)?;
    let triggers: Vec<Trigger> = split
        .for_target(builder.spec.target.as_deref())
        .map_err(|error| ApplicationError::Target { file: source.name.clone(), source: error })?
        .into_iter()
        .cloned()
        .collect();
    let delivery = deliver(source, &parsed, &split, builder, interrupts).await?;
    if triggers.is_empty() {
        let spec = builder.spec.clone();
        return call(source, builder, &parsed, &delivery, spec, builder.tags, Steps::Told, interrupts).await;
    }
    // With a name of its own: another build of the same Dockerfile may make, and remove, the same image.
    let name = [builder.ledger.target_name()];
    let record = builder.ledger.record(ResourceKind::Tag, &name[0])?;
    let spec = builder.spec.clone();
    let plain = call(source, builder, &parsed, &delivery, spec, &name, Steps::Told, interrupts).await?;
    let base = builder.engine.image(&plain).await?.ok_or_else(|| EngineError::Missing {
        operation: "inspect",
        kind: "image",
        subject: plain.clone(),
    })?;
    let mut spec = builder.spec.clone();
    spec.labels.extend(record_labels(source, &triggers, &split, &base.labels, builder)?);
    // Everything is in the cache now, and the network need not be asked again.
    spec.no_cache = false;
    spec.pull = false;
    let again = Steps::ToldBefore;
    let built = call(source, builder, &parsed, &delivery, spec, builder.tags, again, interrupts).await;
    // The image goes with its name, unless somebody else has it too. The classic builder keeps it as a parent.
    let _ = builder.ledger.remove(builder.engine, &record).await;
    built
}

fn record_labels(
    source: &Source,
    triggers: &[Trigger],
    split: &Split,
    inherited: &BTreeMap<String, String>,
    builder: &Builder<'_>,
) -> Result<BTreeMap<String, String>, ApplicationError> {
    let fail = |error| ApplicationError::Label { file: source.name.clone(), source: error };
    let value = labels::encode_ontest(triggers).map_err(fail)?;
    let base = TestLabels::read(inherited).map_err(fail)?;
    let mut origin = Origin::new(&value, triggers, Some(&base));
    origin.owner = builder.tags.first().cloned();
    origin.base = split.base_of(builder.spec.target.as_deref()).map(str::to_owned);
    origin.dockerfile =
        Some(source.within.as_ref().map_or_else(|| source.name.clone(), |path| path.display().to_string()));
    let origin = origin.encode().map_err(fail)?;
    Ok(BTreeMap::from([(labels::ONTEST.to_owned(), value), (labels::ORIGIN.to_owned(), origin)]))
}

fn check_features(
    source: &Source,
    parsed: &dockerfile::Dockerfile,
    builder: &Builder<'_>,
) -> Result<(), ApplicationError> {
    let capabilities = builder.engine.capabilities();
    let own = parsed.instructions.iter().filter(|instruction| instruction.keyword != "ONTEST");
    match capabilities.lacks(&parsed.directives, own).first() {
        None => Ok(()),
        Some(lack) => Err(ApplicationError::Unsupported {
            file: source.name.clone(),
            line: lack.line,
            builder: capabilities.builder.clone(),
            product: capabilities.product.clone(),
            feature: lack.feature.to_string(),
        }),
    }
}

/// Chooses what is sent, once for both builds.
async fn deliver(
    source: &Source,
    parsed: &dockerfile::Dockerfile,
    split: &Split,
    builder: &Builder<'_>,
    interrupts: &signal::Receiver,
) -> Result<Delivery, Failure> {
    let instructions: Vec<_> =
        parsed.instructions.iter().filter(|instruction| instruction.keyword != "ONTEST").cloned().collect();
    let inputs = RecipeInputs {
        escape: parsed.escape,
        build_args: &builder.spec.build_args,
        target_env: None,
        target: None,
        target_triggers: &[],
    };
    let needs = context::needs(&instructions, &inputs);
    let own_ignore = source.within.as_ref().map(|path| {
        let mut name = source.directory.join(path).into_os_string();
        name.push(".dockerignore");
        PathBuf::from(name)
    });
    let within = source.within.clone();
    let reading = context::read(source.directory.clone(), interrupts, move |tree| {
        let ignore = context::read_ignore(tree.root(), own_ignore.as_deref())?;
        let hidden = within.is_none_or(|path| ignore.excluded(&path.to_string_lossy()));
        let selection = if needs == Needs::Nothing {
            Selection::default()
        } else {
            context::select(tree, &needs, &ignore)?
        };
        Ok((selection, hidden))
    });
    let (selection, hidden) = reading.await.map_err(|error| match error {
        ReadError::Interrupted { .. } => Failure::from(cancelled(source)),
        ReadError::Context(error) => error.in_recipe(&source.name).into(),
    })?;
    let outside = || PathBuf::from(format!(".docker-test-{}.Dockerfile", builder.ledger.run_id()));
    Ok(Delivery {
        directory: source.directory.clone(),
        selection,
        extra: Vec::new(),
        dockerfile: source.within.clone().unwrap_or_else(outside),
        text: split.stripped.clone().into(),
        hidden,
    })
}

#[expect(clippy::too_many_arguments, reason = "the two builds of one image differ in three of them")]
async fn call(
    source: &Source,
    builder: &Builder<'_>,
    parsed: &dockerfile::Dockerfile,
    delivery: &Delivery,
    spec: BuildSpec,
    tags: &[String],
    steps: Steps,
    interrupts: &signal::Receiver,
) -> Result<String, Failure> {
    let call = Call {
        engine: builder.engine,
        logins: builder.logins,
        environment: builder.environment,
        sink: &builder.sink,
        spec: &spec,
        tags,
        delivery,
        steps,
        limit: None,
    };
    let built = call.make(interrupts).await.map_err(|error| match error {
        CallError::NotMade(failure) => failure,
        CallError::Build(error) => {
            in_the_authors_file(source, parsed, builder.engine.capabilities().builder_kind, error).into()
        }
        CallError::TimedOut(_) => cancelled(source).into(),
    })?;
    let id = match (built.id, tags.first()) {
        (Some(id), _) => id,
        (None, Some(tag)) => builder.engine.image(tag).await?.map(|image| image.id).unwrap_or_default(),
        (None, None) => String::new(),
    };
    if id.is_empty() { Err(ApplicationError::NoImage { file: source.name.clone() }.into()) } else { Ok(id) }
}

fn cancelled(source: &Source) -> ApplicationError {
    ApplicationError::Build { file: source.name.clone(), source: Box::new(BuildError::Cancelled) }
}

/// The lines of the stripped file are the author's own, but builders count without the ONTEST lines.
fn in_the_authors_file(
    source: &Source,
    parsed: &dockerfile::Dockerfile,
    kind: BuilderKind,
    error: BuildError,
) -> ApplicationError {
    let BuildError::Failed(mut failure) = error else {
        return ApplicationError::Build { file: source.name.clone(), source: Box::new(error) };
    };
    let counted = || {
        let mut stripped = parsed.clone();
        stripped.instructions.retain(|instruction| instruction.keyword != "ONTEST");
        line_of(failure.position.as_ref()?, kind, &stripped)
    };
    let line = failure.line.or_else(counted);
    failure.line = None;
    let file = line.map_or_else(|| source.name.clone(), |line| format!("{}:{line}", source.name));
    ApplicationError::Build { file, source: Box::new(BuildError::Failed(failure)) }
}
