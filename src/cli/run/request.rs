//! From flags to a plan's request, and to everything else that a run needs to know before it begins.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::super::application::Running;
use super::super::connect;
use super::super::flags::run::{Inherit, Keep, NoTests, Pull, Trust};
use super::super::secrets;
use super::RunOptions;
use super::input::{self, InputError};
use crate::engine::credentials::Credentials;
use crate::engine::reference::Reference;
use crate::engine::{Engine, Image};
use crate::error::{Category, Diagnose, Failure};
use crate::image::sources::{self, DirectorySources};
use crate::metadata::labels;
use crate::plan::{self, Limits, Request, VerdictPolicy};
use crate::redact::Redactor;
use crate::report::ReportRequest;
use crate::report::github::{GithubTargets, github_actions};
use crate::runner::Sink;
use crate::runner::target::{PullPolicy, Wanted, fetch, find};

/// Everything about a run that flags and environment decide.
#[derive(Clone)]
pub(in crate::cli) struct Prepared {
    /// For the plan.
    pub(super) request: Request,
    /// Replaces secrets in everything that is said.
    pub(super) redactor: Arc<Redactor>,
    /// `--report`
    pub(super) reports: Vec<ReportRequest>,
    /// Where files land.
    pub(super) results_dir: PathBuf,
    /// When in GitHub Actions.
    pub(super) github: Option<GithubTargets>,
    /// `--quiet`
    pub(super) quiet: bool,
    /// `--shell`
    pub(super) shell: bool,
    reference: Reference,
    /// The directory that the recipe's COPY reads, where it was named.
    pub(super) path: Option<PathBuf>,
    /// The Dockerfile.test that was named.
    pub(super) file: Option<PathBuf>,
    /// Nobody's directory says anything about the test.
    pub(super) directory_is_silent: bool,
    pub(super) pull: PullPolicy,
    engine: super::super::flags::EngineFlags,
}

/// `--keep-dockerfile` cannot be honoured.
#[derive(Debug, thiserror::Error)]
#[error("cannot keep the Dockerfile at {}", path.display())]
pub(super) struct KeepError {
    /// Where.
    pub(super) path: PathBuf,
    /// Why.
    pub(super) source: std::io::Error,
}

impl Diagnose for KeepError {
    fn category(&self) -> Category {
        Category::User
    }

    fn hint(&self) -> Option<String> {
        (self.source.kind() == std::io::ErrorKind::AlreadyExists).then(|| {
            "an existing file is never overwritten: name another with --keep-dockerfile=PATH".to_owned()
        })
    }
}

impl Prepared {
    pub(in crate::cli) fn resolve(image: &str, args: &RunOptions, app: &Running) -> Result<Self, Failure> {
        Self::resolve_with(image, args, app, None)
    }

    /// The same; `redactor` is the one of the run that this is a part of.
    pub(super) fn resolve_with(
        image: &str,
        args: &RunOptions,
        app: &Running,
        redactor: Option<&Arc<Redactor>>,
    ) -> Result<Self, Failure> {
        let environment = &app.environment;
        let explain = |error| app.origins.explain(error);
        let at = |flag: &str, failure: Failure| failure.at(app.origins.place(flag));
        let mut container = args.container.resolve(environment).map_err(explain)?;
        let build = args.build.resolve(environment).map_err(explain)?;
        let reference = Reference::parse(image)?;
        let test_image = match &args.test_image {
            Some(name) => {
                Reference::parse(name).map_err(|error| at("--test-image", error.into()))?.resolved()
            }
            None => reference.test_tag(),
        };
        if args.run.shell {
            container.interactive = true;
            container.tty = input::look() == input::Input::Terminal;
        }
        let command = if args.run.shell { shell_command() } else { args.command.clone() };
        let redactor = redactor.map_or_else(
            || Arc::new(secrets::redactor(environment, &args.run.redact, &container.env, &build)),
            Arc::clone,
        );
        let lookup = |name: &str| environment.variable(name).map(str::to_owned);
        Ok(Self {
            request: Request {
                reference: image.to_owned(),
                test_image,
                command: (!command.is_empty()).then_some(command),
                inherit: match args.run.inherit {
                    Inherit::Own => labels::Inherit::Own,
                    Inherit::Inherited => labels::Inherit::Inherited,
                    Inherit::All => labels::Inherit::All,
                },
                build,
                container,
                test_type: None,
                results: None,
                timeout: args.run.timeout,
                retries: if args.run.shell { Some(0) } else { args.run.retries },
                backoff: Some(args.run.retry_backoff),
                limits: Limits {
                    build: args.run.build_timeout,
                    pull: args.run.pull.pull_timeout,
                    grace: args.run.grace_period,
                    results: args.run.results_limit,
                    ..Limits::default()
                },
                verdict: verdict(args),
                keep: match args.run.keep {
                    Keep::Never => plan::Keep::Never,
                    Keep::Failed => plan::Keep::Failed,
                    Keep::Always => plan::Keep::Always,
                },
            },
            redactor,
            reports: report_requests(args).map_err(|failure| at("--report", failure))?,
            results_dir: environment.current_dir().join(&args.run.results_dir),
            github: github_actions(lookup),
            quiet: args.output.quiet,
            shell: args.run.shell,
            reference,
            path: args.run.path.as_ref().map(|path| environment.current_dir().join(path)),
            file: args.run.file.as_ref().map(|path| environment.current_dir().join(path)),
            directory_is_silent: false,
            pull: match args.run.pull.pull {
                Pull::Always => PullPolicy::Always,
                Pull::Missing => PullPolicy::Missing,
                Pull::Never => PullPolicy::Never,
            },
            engine: args.engine.clone(),
        })
    }

    /// The same request for another image.
    pub(super) fn for_image(&self, image: &str) -> Result<Self, Failure> {
        let reference = Reference::parse(image)?;
        let mut other = Self { reference, ..self.clone() };
        other.request.reference = image.to_owned();
        other.request.test_image = other.reference.test_tag();
        Ok(other)
    }

    /// Refuses a terminal or a shell that nobody types into.
    pub(super) fn refuse_missing_input(&self) -> Result<(), InputError> {
        let container = &self.request.container;
        input::refuse(input::look(), self.shell, container.interactive, container.tty)
    }

    /// The reports to write. A shell is no test: it has none, and the command line may not ask for one.
    pub(super) fn reports(&self, app: &Running) -> Result<&[ReportRequest], InputError> {
        let asked = !self.reports.is_empty() && app.origins.place("--report").is_none();
        match self.shell {
            true if asked => Err(InputError::NothingToReport),
            true => Ok(&[]),
            false => Ok(&self.reports),
        }
    }

    /// True where a person and the test share a terminal.
    pub(super) const fn is_interactive(&self) -> bool {
        self.request.container.interactive && self.request.container.tty
    }

    /// What hides the secrets of this command line.
    pub(in crate::cli) fn redactor(&self) -> Arc<Redactor> {
        Arc::clone(&self.redactor)
    }

    /// The request, for a plan that needs no engine.
    pub(in crate::cli) const fn request(&self) -> &Request {
        &self.request
    }

    /// Shows the image under another name.
    pub(in crate::cli) fn name_for_people(&mut self, name: &str) {
        name.clone_into(&mut self.request.reference);
        self.request.test_image = format!("{name}-test");
    }

    /// The image under test.
    pub(super) async fn obtain(&self, engine: &Engine, app: &Running, sink: &Sink) -> Result<Image, Failure> {
        self.obtain_named(engine, app, sink, &self.reference, self.pull).await
    }

    /// The test image from the registry, where it travels beside the image. A failure only means that it does not.
    pub(super) async fn pull_test_image(&self, engine: &Engine, app: &Running, sink: &Sink) -> Option<Image> {
        if self.pull == PullPolicy::Never {
            return None;
        }
        let reference = Reference::parse(&self.request.test_image).ok()?;
        self.obtain_named(engine, app, sink, &reference, PullPolicy::Missing).await.ok()
    }

    async fn obtain_named(
        &self,
        engine: &Engine,
        app: &Running,
        sink: &Sink,
        reference: &Reference,
        policy: PullPolicy,
    ) -> Result<Image, Failure> {
        let name = reference.resolved();
        let wanted = Wanted {
            reference: &name,
            policy,
            platform: self.request.build.platform.as_deref(),
            limit: self.request.limits.pull,
        };
        // A credential helper may take its time: it is asked when there is something to pull.
        if let Some(image) = find(engine, &wanted).await? {
            return Ok(image);
        }
        let auth = match reference.registry() {
            Some(registry) => match self.credentials(app)?.for_registry(registry).await {
                // As Docker does it: the image may be public.
                Err(error) if error.is_warning() => {
                    sink.warn(error.to_string());
                    None
                }
                auth => auth?,
            },
            None => None,
        };
        fetch(engine, &wanted, auth.as_ref(), sink).await
    }

    /// What tells the image under test from others, for a run of several.
    pub(super) fn target_key(&self) -> String {
        format!("{} {:?} {:?}", self.reference.resolved(), self.request.build.platform, self.pull)
    }

    /// What tells the directory that is read from others.
    pub(super) fn sources_key(&self) -> String {
        format!("{:?} {:?} {}", self.path, self.file, self.directory_is_silent)
    }

    fn credentials(&self, app: &Running) -> Result<Credentials, Failure> {
        Ok(Credentials::load(&connect::environment(&self.engine, &app.environment))?)
    }

    /// What the user's directory says.
    pub(in crate::cli) async fn read_sources(&self, app: &Running) -> Result<DirectorySources, Failure> {
        if self.directory_is_silent && self.path.is_none() && self.file.is_none() {
            return Ok(DirectorySources::default());
        }
        let directory = self.path.clone().unwrap_or_else(|| app.environment.current_dir().to_owned());
        let (explicit, file) = (self.path.is_some(), self.file.clone());
        let read = move || sources::read(&directory, explicit, file.as_deref());
        app.unless_interrupted(Duration::ZERO, read).await?.map_err(|error| {
            let flag = if self.file.as_deref() == Some(error.path()) { "--file" } else { "--path" };
            Failure::from(error).at(app.origins.place(flag))
        })
    }
}

fn report_requests(args: &RunOptions) -> Result<Vec<ReportRequest>, Failure> {
    let requests = args.run.report.iter();
    requests
        .map(|report| Ok(format!("{}={}", report.format, report.path.display()).parse::<ReportRequest>()?))
        .collect()
}

fn verdict(args: &RunOptions) -> VerdictPolicy {
    VerdictPolicy {
        trust: match args.run.trust {
            Trust::Exit => plan::Trust::Exit,
            Trust::Report => plan::Trust::Report,
            Trust::Both => plan::Trust::Both,
        },
        no_tests: match args.run.no_tests {
            NoTests::Pass => plan::NoTests::Pass,
            NoTests::Warn => plan::NoTests::Warn,
            NoTests::Fail => plan::NoTests::Fail,
        },
    }
}

/// bash where the image has it.
fn shell_command() -> Vec<String> {
    ["/bin/sh", "-c", "if command -v bash >/dev/null 2>&1; then exec bash; else exec sh; fi"]
        .map(str::to_owned)
        .to_vec()
}
