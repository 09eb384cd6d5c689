//! What can go wrong with a compose file and its tool.

use std::path::PathBuf;
use std::time::Duration;

use crate::error::{Category, Diagnose};
use crate::metadata::duration;

/// How many of the tool's last lines are shown.
pub(super) const LINES: usize = 20;

/// A compose file is of no use, or the tool is not.
#[derive(Debug, thiserror::Error)]
pub enum ComposeError {
    /// No tool, in neither form.
    #[error("cannot use a compose file: neither `docker compose` nor `docker-compose` is installed{}", remark(.said))]
    NotInstalled {
        /// What was said by programs that are there all the same.
        said: String,
    },
    /// The tool cannot be executed.
    #[error("cannot execute {}", program.display())]
    Execute {
        /// Which program.
        program: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file is not there.
    #[error("cannot read the compose file {}", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The tool refused or failed.
    #[error("cannot {operation} {files}: {tool} ended with {code}{}", words(.said))]
    Failed {
        /// What was asked for, as a verb.
        operation: &'static str,
        /// The compose files.
        files: String,
        /// Name and version.
        tool: String,
        /// Its exit code, or the signal.
        code: String,
        /// Its last lines.
        said: String,
    },
    /// What the tool printed is not understood.
    #[error("cannot read what {tool} made of {files}")]
    Output {
        /// Name and version.
        tool: String,
        /// The compose files.
        files: String,
        /// Why.
        source: serde_yaml::Error,
    },
    /// The time allowed was over.
    #[error("could not {operation} {files} within {}", duration::human(*.limit))]
    TimedOut {
        /// What was asked for, as a verb.
        operation: &'static str,
        /// The compose files.
        files: String,
        /// The limit.
        limit: Duration,
    },
    /// No such service.
    #[error("there is no service {service} in {files}")]
    Unknown {
        /// What was asked for.
        service: String,
        /// The compose files.
        files: String,
        /// What may have been meant.
        nearest: Option<String>,
    },
    /// A project that runs already lacks services.
    #[error("the Compose project {project} is running, but not its {}", plural(.services))]
    NotRunning {
        /// The project.
        project: String,
        /// Services that are needed.
        services: Vec<String>,
        /// The command that starts services of it, up to their names.
        start: String,
    },
    /// A name is fixed by the file, and taken.
    #[error("the {kind} {name}, a fixed name in {files}, is there already{}", made_for(.project.as_deref()))]
    Taken {
        /// network or volume.
        kind: &'static str,
        /// Its name.
        name: String,
        /// The compose files.
        files: String,
        /// The Compose project that it was made for.
        project: Option<String>,
    },
    /// The container that the tool should have made is not there.
    #[error("the Compose project {project} has no container of the service {service}")]
    NoContainer {
        /// The project.
        project: String,
        /// The service.
        service: String,
    },
}

fn remark(said: &str) -> String {
    if said.is_empty() { String::new() } else { format!(" ({said})") }
}

fn words(said: &str) -> String {
    if said.is_empty() { String::new() } else { format!("\n{said}") }
}

fn plural(services: &[String]) -> String {
    let word = if services.len() == 1 { "service" } else { "services" };
    format!("{word} {}", services.join(", "))
}

fn made_for(project: Option<&str>) -> String {
    project.map(|project| format!(" (of the Compose project {project})")).unwrap_or_default()
}

impl Diagnose for ComposeError {
    fn category(&self) -> Category {
        match self {
            Self::Unreadable { .. } | Self::Unknown { .. } | Self::NotRunning { .. } | Self::Taken { .. } => {
                Category::User
            }
            Self::Failed { operation: READ, .. } => Category::User,
            _ => Category::Environment,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::NotInstalled { .. } => Some(
                "install Docker's Compose plugin (`docker compose version` must work), or `docker-compose`"
                    .to_owned(),
            ),
            Self::Unknown { nearest, .. } => {
                nearest.as_ref().map(|nearest| format!("did you mean `{nearest}`?"))
            }
            Self::NotRunning { services, start, .. } => Some(format!(
                "start them (`{start} {}`), or stop the project: docker-test then starts one of its own",
                services.join(" ")
            )),
            Self::Taken { kind, name, .. } => Some(format!(
                "docker-test does not share it unasked: take `name: {name}` out of the file, or say \
                 `external: true` there to use the {kind} as it is"
            )),
            Self::TimedOut { .. } => Some("raise the limit, or pull and build the images before".to_owned()),
            _ => None,
        }
    }
}

/// Asking the tool what a file says.
pub(super) const READ: &str = "read";
