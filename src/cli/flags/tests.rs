//! A command line made of every group, and the tables that tests of the groups share.

use std::ffi::OsString;
use std::path::Path;

use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};

use super::layers::{Layers, ParseError, Parsed, parse, prepare};
use super::*;
use crate::environment::Environment;
use crate::error::Diagnose;
use crate::plan::build::BuildSpec;
use crate::plan::container::ContainerSpec;
use crate::settings::Settings;

#[derive(Debug, Parser)]
#[command(name = "docker-test")]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) engine: EngineFlags,
    #[command(subcommand)]
    pub(crate) action: Action,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Action {
    /// Test an image.
    Run(Box<Run>),
    Build(Box<Build>),
}

#[derive(Debug, Args)]
pub(crate) struct Run {
    #[command(flatten)]
    pub(crate) own: RunFlags,
    #[command(flatten)]
    pub(crate) container: ContainerFlags,
    #[command(flatten)]
    pub(crate) build: BuildFlags,
    #[command(flatten)]
    pub(crate) output: OutputFlags,
    pub(crate) image: String,
}

#[derive(Debug, Args)]
pub(crate) struct Build {
    #[command(flatten)]
    pub(crate) flags: BuildCommandFlags,
    #[command(flatten)]
    pub(crate) output: OutputFlags,
    pub(crate) path: String,
}

pub(crate) fn command() -> clap::Command {
    prepare(Cli::command())
}

/// Parses `docker-test WORDS…` with all layers.
pub(crate) fn layered(
    words: &[&str],
    environment: &Environment,
    settings: Option<&Settings>,
) -> Result<Parsed, ParseError> {
    let argv: Vec<OsString> = ["docker-test"].iter().chain(words).map(OsString::from).collect();
    parse(command(), &argv, &Layers { environment, settings })
}

pub(crate) fn cli(parsed: &Parsed) -> Cli {
    Cli::from_arg_matches(&parsed.matches).unwrap()
}

/// Parses `docker-test run FLAGS… image`.
pub(crate) fn run(flags: &[&str]) -> Result<Run, ParseError> {
    let words: Vec<&str> = ["run"].iter().chain(flags).chain(&["image"]).copied().collect();
    let parsed = layered(&words, &Environment::default(), None)?;
    match cli(&parsed).action {
        Action::Run(run) => Ok(*run),
        Action::Build(_) => unreachable!("`run` was asked for"),
    }
}

/// Parses `docker-test build FLAGS… .`.
pub(crate) fn build(flags: &[&str]) -> Result<Build, ParseError> {
    let words: Vec<&str> = ["build"].iter().chain(flags).chain(&["."]).copied().collect();
    let parsed = layered(&words, &Environment::default(), None)?;
    match cli(&parsed).action {
        Action::Build(build) => Ok(*build),
        Action::Run(_) => unreachable!("`build` was asked for"),
    }
}

/// The container that `run` flags make, in a directory `/project`.
pub(crate) fn container(flags: &[&str]) -> Result<ContainerSpec, FlagError> {
    container_in(flags, &Environment::default().in_directory("/project"))
}

pub(crate) fn container_in(flags: &[&str], environment: &Environment) -> Result<ContainerSpec, FlagError> {
    run(flags).unwrap_or_else(|error| panic!("{flags:?}: {error}")).container.resolve(environment)
}

/// The build that `run` flags make.
pub(crate) fn run_build(flags: &[&str], environment: &Environment) -> Result<BuildSpec, FlagError> {
    run(flags).unwrap_or_else(|error| panic!("{flags:?}: {error}")).build.resolve(environment)
}

/// Checks `flags → message`, where the message must contain every word of the second column.
pub(crate) fn refuses(table: &[(&[&str], &str)]) {
    for (flags, expected) in table {
        let error = container(flags).err().unwrap_or_else(|| panic!("{flags:?} was taken"));
        let message = format!("{error} {}", error.hint().unwrap_or_default());
        assert!(message.contains(expected), "{flags:?}: {message:?} does not say {expected:?}");
        assert!(message.starts_with("--"), "{flags:?}: {message:?} does not name its flag");
    }
}

#[test]
fn every_group_is_sound() {
    command().debug_assert();
}

#[test]
fn help_is_dash_h_and_names_the_variables() {
    let short = layered(&["run", "-h"], &Environment::default(), None).unwrap_err().to_string();
    assert!(short.contains("--hostname <NAME>") && !short.contains("DOCKER_TEST_"), "{short}");
    let long = layered(&["run", "--help"], &Environment::default(), None).unwrap_err().to_string();
    for text in ["[env: DOCKER_TEST_TIMEOUT]", "[env: DOCKER_TEST_VOLUME, one a line]", "Test an image"] {
        assert!(long.contains(text), "{text} is not in {long}");
    }
    assert!(long.starts_with("Test an image"), "a group's own words replaced the command's: {long}");
    assert!(!long.contains("--publish"), "{long}");
}

#[test]
fn an_unknown_flag_is_answered_with_the_nearest_one() {
    let table = [("--memroy", "--memory"), ("--cap-ad", "--cap-add"), ("--timeot=5m", "--timeout")];
    for (flag, near) in table {
        let error = run(&[flag]).unwrap_err().to_string();
        assert!(error.contains("unexpected argument") && error.contains(&format!("'{near}'")), "{error}");
    }
}

#[test]
fn switches_take_a_value_after_an_equals_sign_and_cluster_without() {
    let both = run(&["-it"]).unwrap().container.process;
    assert!(both.interactive && both.tty);
    assert!(run(&["--privileged"]).unwrap().container.security.privileged);
    assert!(run(&["--privileged=true"]).unwrap().container.security.privileged);
    assert!(!run(&["--privileged", "--privileged=false"]).unwrap().container.security.privileged);
    assert!(!run(&[]).unwrap().container.security.privileged);
    assert!(run(&["--privileged=maybe"]).is_err());
}

#[test]
fn a_repeated_flag_overrides_itself_as_docker_has_it() {
    let spec = container(&["-m", "1g", "--memory", "2g"]).unwrap();
    assert_eq!(spec.memory, Some(2 << 30));
}

#[test]
fn setting_keys_are_the_flags_of_run_and_build() {
    let keys = setting_keys(&command());
    for key in
        ["timeout", "retries", "network", "build-network", "env", "host", "progress", "build-file", "tag"]
    {
        assert!(keys.iter().any(|known| known == key), "{key}");
    }
    for key in ["publish", "help", "refused-publish", "image", "load"] {
        assert!(!keys.iter().any(|known| known == key), "{key}");
    }
}

#[test]
fn relative_paths_are_cleaned_without_the_disk() {
    let environment = Environment::default().in_directory("/a/b");
    let table =
        [("c", "/a/b/c"), ("./c/./d", "/a/b/c/d"), ("../c", "/a/c"), ("../../../..", "/"), ("/x/../y", "/y")];
    for (path, expected) in table {
        assert_eq!(absolute(&environment, Path::new(path)), Path::new(expected), "{path}");
    }
}
