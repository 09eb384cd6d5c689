//! `docker-test inspect`: which source applies and why, and what a run would do.

use std::collections::BTreeSet;

use std::sync::Arc;

use clap::Args;
use serde::Serialize;

use super::application::Running;
use super::connect;
use super::flags::output::Format;
use super::run::{Found, Prepared, RunOptions};
use super::terminal;
use crate::engine::{Capabilities, Image};
use crate::error::{Category, Diagnose, Failure};
use crate::exit_code::ExitCode;
use crate::image::context::Needs;
use crate::image::sources::{DirectorySources, SourceFile};
use crate::image::template::TEST_IMAGE_ARGUMENT;
use crate::metadata::dockerfile;
use crate::metadata::duration;
use crate::metadata::labels;
use crate::metadata::recipe::Feature;
use crate::plan::build::BuildSpec;
use crate::plan::{self, Facts, PlanError, PlannedTrigger, TestPlan};
use crate::redact::Redactor;
use crate::runner::Sink;

/// Flags of `inspect` and `generate`: those of `run`, of which `-f` alone will do.
#[derive(Debug, Args)]
pub(super) struct InspectArgs {
    /// The image; without one, -f names a Dockerfile that needs no engine.
    #[arg(value_name = "IMAGE[:TAG|@DIGEST]")]
    image: Option<String>,
    #[command(flatten)]
    options: RunOptions,
}

/// Version of the JSON document.
const SCHEMA: u32 = 1;

/// Name that stands for an image that is not built yet.
const UNBUILT: &str = "IMAGE";

/// The document of `--format json`. Fields are added, never renamed.
#[derive(Debug, Serialize)]
struct Inspection<'a> {
    schema: u32,
    image: &'a str,
    image_id: Option<&'a str>,
    source: plan::Source,
    reason: &'a str,
    triggers: &'a [PlannedTrigger],
    #[serde(rename = "type")]
    test_type: &'a str,
    results: &'a str,
    entrypoint: Option<&'a [String]>,
    command: Option<&'a [String]>,
    test_image: &'a str,
    context: &'a plan::ContextPlan,
    features: &'a [Feature],
    timeout_seconds: f64,
    warnings: &'a [String],
    dockerfile: &'a str,
}

impl<'a> Inspection<'a> {
    fn new(plan: &'a TestPlan) -> Self {
        Self {
            schema: SCHEMA,
            image: &plan.image,
            image_id: (!plan.image_id.is_empty()).then_some(&plan.image_id),
            source: plan.source,
            reason: &plan.reason,
            triggers: &plan.triggers,
            test_type: &plan.test_type,
            results: &plan.results,
            entrypoint: plan.runs.entrypoint.as_deref(),
            command: plan.runs.command.as_deref(),
            test_image: &plan.test_image,
            context: &plan.context,
            features: &plan.features,
            timeout_seconds: plan.limits.timeout.as_secs_f64(),
            warnings: &plan.warnings,
            dockerfile: &plan.dockerfile,
        }
    }
}

/// Neither an image nor a Dockerfile was named.
#[derive(Debug, thiserror::Error)]
#[error("there is nothing to inspect: no IMAGE and no -f DOCKERFILE")]
struct NothingToInspect;

impl Diagnose for NothingToInspect {
    fn category(&self) -> Category {
        Category::User
    }

    fn hint(&self) -> Option<String> {
        Some("docker-test inspect IMAGE, or docker-test inspect -f Dockerfile".to_owned())
    }
}

pub(super) async fn execute(args: InspectArgs, app: Running) -> Result<ExitCode, Failure> {
    let format = args.options.output.format;
    let (plan, redactor) = plan_of(args, &app).await?;
    let inspection = Inspection::new(&plan);
    match format {
        Format::Json => {
            let text = serde_json::to_string_pretty(&inspection).unwrap_or_default();
            terminal::out(&redactor.redact(&format!("{text}\n")))?;
        }
        Format::Text => terminal::out(&redactor.redact(&describe(&plan)))?,
    }
    Ok(ExitCode::Success)
}

/// The plan of an image on the engine, or of a Dockerfile that needs none, and what hides the secrets in it.
pub(super) async fn plan_of(args: InspectArgs, app: &Running) -> Result<(TestPlan, Arc<Redactor>), Failure> {
    let InspectArgs { image, options } = args;
    match image {
        Some(image) => {
            let prepared = Prepared::resolve(&image, &options, app)?;
            let connection = connect::connect(&options.engine, app).await?;
            let (sink, _unread) = Sink::channel();
            let (_, plan, _) = prepared.plan(&connection.engine, app, &sink, &Found::default()).await?;
            connection.close().await;
            Ok((plan, prepared.redactor()))
        }
        None if options.run.file.is_some() => plan_of_dockerfile(&options, app).await,
        None => Err(NothingToInspect.into()),
    }
}

async fn plan_of_dockerfile(
    options: &RunOptions,
    app: &Running,
) -> Result<(TestPlan, Arc<Redactor>), Failure> {
    let mut prepared = Prepared::resolve(&UNBUILT.to_lowercase(), options, app)?;
    prepared.name_for_people(UNBUILT);
    let mut directory = prepared.read_sources(app).await?;
    let mut target = Image::default();
    if let Some(file) = &directory.chosen {
        let request = prepared.request();
        let (unbuilt, has_ontest) = unbuilt(file, &request.build)?;
        target = unbuilt;
        let has_command = request.command.is_some() || target.labels.contains_key(labels::CMD);
        let is_recipe = file_stands_on_the_target(file);
        if !has_ontest && !is_recipe && (has_command || !target.onbuild.is_empty()) {
            // The image that it makes says how it is tested, and the file itself is no recipe.
            directory = DirectorySources { directory: directory.directory, ..DirectorySources::default() };
        }
    }
    let capabilities = Capabilities::unknown();
    let facts = Facts {
        target: &target,
        test_image: None,
        directory: &directory,
        capabilities: &capabilities,
        files_at_hand: true,
    };
    Ok((plan::resolve(prepared.request(), &facts)?, prepared.redactor()))
}

/// What can be said about the image that a Dockerfile will make, and whether it has ONTEST lines.
fn unbuilt(file: &SourceFile, build: &BuildSpec) -> Result<(Image, bool), Failure> {
    let path = file.path.display().to_string();
    let in_file = |error: dockerfile::ParseError| error.in_file(path.clone());
    let in_target = |source| PlanError::Target { path: file.path.clone(), source };
    let parsed = dockerfile::parse(&file.bytes).map_err(in_file)?;
    let split = dockerfile::take_tests_with(&file.bytes, &parsed, &build.build_args).map_err(in_file)?;
    let target = build.target.as_deref();
    let stages = split.lines_of(target).map_err(in_target)?;
    let mut image = Image::default();
    let instructions = stages.iter().flat_map(|(first, end)| {
        parsed.instructions.iter().filter(move |instruction| (*first..*end).contains(&instruction.line))
    });
    for instruction in instructions {
        match instruction.keyword.as_str() {
            // Labels pass from stage to stage, triggers are used up.
            "FROM" => image.onbuild.clear(),
            "LABEL" => image.labels.extend(labels::declared(instruction, parsed.escape)),
            "ONBUILD" => {
                image.onbuild.extend(instruction.trigger.as_ref().map(|trigger| trigger.raw.clone()));
            }
            _ => {}
        }
    }
    Ok((image, !split.for_target(target).map_err(in_target)?.is_empty()))
}

fn file_stands_on_the_target(file: &SourceFile) -> bool {
    String::from_utf8_lossy(&file.bytes).contains(TEST_IMAGE_ARGUMENT)
}

fn describe(plan: &TestPlan) -> String {
    use std::fmt::Write;
    let mut text = String::new();
    let mut field = |name: &str, value: &str| {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{name:<11} {value}");
    };
    field("image", &plan.image);
    field("source", &format!("{} ({})", plan.source.name(), plan.reason));
    field("type", &plan.test_type);
    field("results", &plan.results);
    field("test image", &plan.test_image);
    field("runs", &plan.runs.to_string());
    field("timeout", &duration::human(plan.limits.timeout));
    match (&plan.context.needs, &plan.context.directory) {
        (Needs::Nothing, _) | (_, None) => field("sends", "nothing from your directory"),
        (Needs::Paths(needs), Some(directory)) => {
            let unique: BTreeSet<&str> = needs.iter().map(|need| need.pattern.as_str()).collect();
            let names: Vec<&str> = unique.into_iter().collect();
            field("sends", &format!("{} from {}", names.join(", "), directory.display()));
        }
        (Needs::Whole { reason, .. }, Some(directory)) => {
            field("sends", &format!("all of {} ({reason})", directory.display()));
        }
    }
    for warning in &plan.warnings {
        field("warning", warning);
    }
    text.push_str("\ntriggers\n");
    for trigger in &plan.triggers {
        let place = trigger.line.map_or_else(|| "     ".to_owned(), |line| format!("{line:>5}"));
        let mut lines = trigger.text.lines();
        let _ = writeln!(text, "{place}  {}", lines.next().unwrap_or_default());
        for line in lines {
            let _ = writeln!(text, "       {line}");
        }
    }
    text.push_str("\nDockerfile.test\n");
    for line in plan.dockerfile.lines() {
        let _ = writeln!(text, "  {line}");
    }
    text
}
