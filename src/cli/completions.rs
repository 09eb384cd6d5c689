//! `docker-test completions SHELL` and `docker-test man`.

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::{Cli, terminal};
use crate::error::{Category, Diagnose, Failure};
use crate::exit_code::ExitCode;
use crate::settings::nearest;

/// Flags of `completions`.
#[derive(Debug, Args)]
pub(super) struct CompletionsArgs {
    /// The shell.
    #[arg(value_enum)]
    shell: Shell,
}

/// Flags of `man`.
#[derive(Debug, Args)]
pub(super) struct ManArgs {
    /// The subcommand to describe; the whole program where absent.
    subcommand: Option<String>,
}

/// There is no page for it.
#[derive(Debug, thiserror::Error)]
#[error("there is no subcommand `{name}`")]
pub(super) struct UnknownSubcommand {
    name: String,
    there_are: Vec<String>,
}

impl UnknownSubcommand {
    pub(super) fn new(name: &str, there_are: Vec<String>) -> Self {
        Self { name: name.to_owned(), there_are }
    }
}

impl Diagnose for UnknownSubcommand {
    fn category(&self) -> Category {
        Category::User
    }

    fn hint(&self) -> Option<String> {
        Some(match nearest(&self.name, self.there_are.iter().map(String::as_str)) {
            Some(near) => format!("did you mean `{near}`? There are {}", self.there_are.join(", ")),
            None => format!("there are {}", self.there_are.join(", ")),
        })
    }
}

pub(super) fn completions(args: &CompletionsArgs) -> Result<ExitCode, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut without_hidden(&Cli::command()), "docker-test", &mut script);
    terminal::out_bytes(&script)?;
    Ok(ExitCode::Success)
}

/// What a person is offered: flags that exist only to be refused with a reason are not.
fn without_hidden(command: &clap::Command) -> clap::Command {
    let about = command.get_about().cloned().unwrap_or_default();
    let arguments = command.get_arguments().filter(|argument| !argument.is_hide_set()).cloned();
    let named = clap::Command::new(command.get_name().to_owned());
    let named = match command.get_version() {
        Some(version) => named.version(version.to_owned()),
        None => named,
    };
    named
        .about(about)
        .disable_help_subcommand(true)
        .args(arguments)
        .subcommands(command.get_subcommands().map(without_hidden))
}

pub(super) fn man(args: &ManArgs) -> Result<ExitCode, Failure> {
    let mut command = super::command();
    command.build();
    if let Some(name) = &args.subcommand {
        let Some(found) = command.find_subcommand(name).cloned() else {
            return Err(UnknownSubcommand::new(name, super::subcommands(&command)).into());
        };
        command = found;
    }
    let mut page = Vec::new();
    // Writing to memory cannot fail.
    let _ = clap_mangen::Man::new(command).render(&mut page);
    terminal::out_bytes(&page)?;
    Ok(ExitCode::Success)
}
