//! `docker-test completions SHELL` and `docker-test man`.

use std::io::{self, Write};

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::Cli;
use crate::exit_code::ExitCode;

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

pub(super) fn completions(args: &CompletionsArgs) -> ExitCode {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut without_hidden(&Cli::command()), "docker-test", &mut script);
    print(&script)
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

pub(super) fn man(args: &ManArgs) -> ExitCode {
    let mut command = super::command();
    command.build();
    if let Some(name) = &args.subcommand {
        let Some(found) = command.find_subcommand(name).cloned() else {
            let names: Vec<&str> = command.get_subcommands().map(clap::Command::get_name).collect();
            super::terminal::note(&format!(
                "docker-test: there is no subcommand `{name}`\n  hint: there are {}\n",
                names.join(", ")
            ));
            return ExitCode::Error;
        };
        command = found;
    }
    let mut page = Vec::new();
    match clap_mangen::Man::new(command).render(&mut page) {
        Ok(()) => print(&page),
        Err(_) => ExitCode::Error,
    }
}

fn print(bytes: &[u8]) -> ExitCode {
    super::quietly(io::stdout().lock().write_all(bytes))
}
