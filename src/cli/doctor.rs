//! `docker-test doctor`: looks at everything that runs, and those who are told of probes, depend on, and says what to do
//! about each finding. Owns the findings and their text; changes nothing, and leaves nothing behind.

mod sinks;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use futures_util::future::join_all;
use serde::Serialize;

use super::application::Running;
use super::connect;
use super::flags::EngineFlags;
use super::flags::output::Format;
use super::terminal;
use crate::engine::Engine;
use crate::engine::credentials::Credentials;
use crate::engine::registry::{self, Standing};
use crate::environment::Environment;
use crate::error::{Diagnose, Failure};
use crate::exit_code::ExitCode;
use crate::ledger;
use crate::metadata::recipe::Feature;
use crate::report::style::Paint;

/// A registry that takes longer is as good as none.
const REGISTRY_LIMIT: Duration = Duration::from_secs(5);

/// Flags of `doctor`.
#[derive(Debug, Args)]
pub(super) struct DoctorArgs {
    /// Format of the findings.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// The suite whose sinks are looked at (default: docker-test.yaml of this directory, where there is one).
    #[arg(long, value_name = "FILE")]
    suite: Option<PathBuf>,
    #[command(flatten)]
    engine: EngineFlags,
}

/// How a finding bears on a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Level {
    Ok,
    Warning,
    Problem,
}

/// One thing that was looked at.
#[derive(Debug, Serialize)]
struct Finding {
    check: &'static str,
    level: Level,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
}

impl Finding {
    fn ok(check: &'static str, message: impl Into<String>) -> Self {
        Self { check, level: Level::Ok, message: message.into(), hint: None }
    }

    fn warning(check: &'static str, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { check, level: Level::Warning, message: message.into(), hint: Some(hint.into()) }
    }

    fn problem(check: &'static str, failure: &Failure) -> Self {
        Self {
            check,
            level: Level::Problem,
            message: failure.to_string(),
            hint: failure.hint().map(str::to_owned),
        }
    }
}

pub(super) async fn execute(args: DoctorArgs, app: Running) -> Result<ExitCode, Failure> {
    let mut findings = Vec::new();
    let state = app.state_dir();
    match connect::connect(&args.engine, &app).await {
        Ok(connection) => {
            look_at_engine(&connection.engine, &mut findings).await;
            if let Ok(state) = &state {
                look_for_leftovers(state, &connection.engine, &mut findings).await;
            }
            connection.close().await;
        }
        Err(failure) => findings.push(Finding::problem("engine", &failure)),
    }
    look_at_credentials(&args.engine, &app, &mut findings).await;
    findings.push(match state {
        Ok(state) => {
            writable("state", &state, "set DOCKER_TEST_STATE_DIR to a directory that can be written")
        }
        Err(error) => Finding::problem("state", &error.into()),
    });
    findings.push(writable(
        "results",
        &app.environment.current_dir().join("tests/results"),
        "choose another directory with --results-dir",
    ));
    findings.extend(sinks::look(args.suite.as_deref(), &app).await);
    let worst = findings.iter().any(|finding| finding.level == Level::Problem);
    match args.format {
        Format::Json => {
            let text = serde_json::to_string_pretty(&findings).unwrap_or_default();
            terminal::out(&format!("{text}\n"))?;
        }
        Format::Text => terminal::out(&describe(&findings, &app))?,
    }
    Ok(if worst { ExitCode::Error } else { ExitCode::Success })
}

async fn look_at_engine(engine: &Engine, findings: &mut Vec<Finding>) {
    let capabilities = engine.capabilities();
    findings.push(Finding::ok("engine", engine.describe()));
    findings.push(match engine.platform().await {
        Ok(platform) => Finding::ok("version", format!("API {}, {platform}", capabilities.api_version)),
        Err(error) => Finding::problem("version", &error.into()),
    });
    let missing = capabilities.missing(Feature::ALL);
    if missing.is_empty() {
        findings.push(Finding::ok("builder", capabilities.builder.clone()));
    } else {
        let names: Vec<String> = missing.iter().map(ToString::to_string).collect();
        findings.push(Finding::warning(
            "builder",
            format!("{}; it lacks {}", capabilities.builder, names.join(", ")),
            "recipes that need one of these are refused; a newer engine has them",
        ));
    }
    match engine.storage().await {
        Ok(storage) => {
            let message = format!("{} in {}", storage.driver, storage.root);
            findings.push(match storage.driver.as_str() {
                "vfs" => Finding::warning(
                    "storage",
                    message,
                    "vfs copies every layer: overlay2 is many times faster",
                ),
                _ => Finding::ok("storage", message),
            });
            for warning in storage.warnings {
                findings.push(Finding::warning(
                    "limits",
                    warning,
                    "limits of that kind have no effect on this engine",
                ));
            }
        }
        Err(error) => findings.push(Finding::problem("storage", &error.into())),
    }
}

async fn look_for_leftovers(state: &Path, engine: &Engine, findings: &mut Vec<Finding>) {
    let options = ledger::SweepOptions { kept_and_lost: true, images: false, dry_run: true };
    match ledger::sweep(state, engine, None, options, ledger::unix_now()).await {
        Ok(pruned) if pruned.is_empty() => findings.push(Finding::ok("leftovers", "none")),
        Ok(pruned) => findings.push(Finding::warning(
            "leftovers",
            format!("{} of dead or kept runs", pruned.len()),
            "`docker-test prune` removes them",
        )),
        Err(error) => findings.push(Finding::problem("leftovers", &error.into())),
    }
}

async fn look_at_credentials(flags: &EngineFlags, app: &Running, findings: &mut Vec<Finding>) {
    let environment = connect::environment(flags, &app.environment);
    let credentials = match Credentials::load(&environment) {
        Ok(credentials) => credentials,
        Err(error) => {
            findings.push(Finding::problem("credentials", &error.into()));
            return;
        }
    };
    let registries = credentials.registries();
    if registries.is_empty() {
        findings.push(match credentials.store() {
            Some(store) => look_at_store(store, &credentials).await,
            None => Finding::ok("credentials", "none configured: private images cannot be pulled"),
        });
    }
    // Each may take its time, or be out of reach.
    findings
        .extend(join_all(registries.iter().map(|name| try_login(name, &credentials, &environment))).await);
}

async fn try_login(registry: &str, credentials: &Credentials, environment: &Environment) -> Finding {
    let log_in_again = format!("docker login {registry}");
    let auth = match credentials.for_registry(registry).await {
        Ok(Some(auth)) => auth,
        Ok(None) => {
            let message = format!("none for {registry}, though it is configured");
            return Finding::warning("credentials", message, log_in_again);
        }
        Err(error) => return Finding::problem("credentials", &error.into()),
    };
    let name = registry::name_of(registry);
    let who = auth.username().map_or_else(|| "the login".to_owned(), |user| format!("the login of {user}"));
    match registry::check(&auth, environment, REGISTRY_LIMIT).await {
        Ok(Standing::Accepted) => Finding::ok("credentials", format!("{name} accepts {who}")),
        Ok(Standing::Open) => {
            Finding::ok("credentials", format!("{name} lets anybody in, and did not look at {who}"))
        }
        Ok(Standing::Refused { said }) => Finding {
            check: "credentials",
            level: Level::Problem,
            message: format!("{name} refuses {who}: {said}"),
            hint: Some(log_in_again),
        },
        // Nothing may need this registry now.
        Err(error) => {
            let hint = error.hint().unwrap_or_default();
            Finding::warning("credentials", format!("{error}"), hint)
        }
    }
}

/// A store that no registry has been put into yet, or whose registries are not listed.
async fn look_at_store(store: &str, credentials: &Credentials) -> Finding {
    match credentials.for_registry("docker.io").await {
        Ok(Some(_)) => Finding::ok("credentials", "found for docker.io"),
        Ok(None) => {
            Finding::ok("credentials", format!("the store {store} answers, and has none for docker.io"))
        }
        Err(error) => Finding::problem("credentials", &error.into()),
    }
}

/// Tries to write where a run would, and leaves nothing behind.
fn writable(check: &'static str, directory: &Path, hint: &str) -> Finding {
    let mut existing = directory;
    while !existing.exists() {
        match existing.parent() {
            Some(parent) => existing = parent,
            None => break,
        }
    }
    match tempfile::tempfile_in(existing) {
        Ok(_) => Finding::ok(check, format!("{} can be written", directory.display())),
        Err(error) => Finding {
            check,
            level: Level::Problem,
            message: format!("{} cannot be written: {error}", existing.display()),
            hint: Some(hint.to_owned()),
        },
    }
}

fn describe(findings: &[Finding], app: &Running) -> String {
    let mut text = String::new();
    let style = terminal::style(&app.environment);
    for finding in findings {
        let mark = match finding.level {
            Level::Ok => style.paint(Paint::Good, "ok     "),
            Level::Warning => style.paint(Paint::Careful, "warning"),
            Level::Problem => style.paint(Paint::Bad, "problem"),
        };
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{mark} {:<12} {}", finding.check, finding.message);
        if let Some(hint) = &finding.hint {
            let _ = writeln!(text, "        {:<12} hint: {hint}", "");
        }
    }
    text
}
