//! Every `docker build` flag, for `docker-test build` and, with `--build-` before the clashing names, for `run`.
//!
//! Owns one definition of each and their resolution into a [`BuildSpec`]. Secrets are named here, never read.

use std::path::PathBuf;

use clap::{Arg, Args};

use super::error::{FlagError, Invalid};
use super::keyvalue::{self, Assignment};
use super::limits::{bytes, ulimits};
use super::network::extra_hosts;
use super::refused::{OfBuild, Refused};
use super::source;
use crate::environment::Environment;
use crate::plan::build::BuildSpec;

/// How the test image is built. Names that `docker run` has too begin with `--build-`.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Build")]
pub struct BuildFlags {
    /// Set a build argument; NAME alone takes the value from this environment
    #[arg(long, value_name = "NAME[=VALUE]")]
    pub build_arg: Vec<Assignment>,
    /// Secret for RUN --mount=type=secret (BuildKit)
    #[arg(long, value_name = "id=ID[,src=FILE|,env=NAME]")]
    pub secret: Vec<String>,
    /// SSH agent socket or keys for RUN --mount=type=ssh (BuildKit)
    #[arg(long, value_name = "default|ID[=SOCKET|KEY,...]")]
    pub ssh: Vec<String>,
    /// Stage of the Dockerfile
    #[arg(long, value_name = "STAGE")]
    pub target: Option<String>,
    /// Build every step anew, and do not reuse an unchanged test image
    #[arg(long)]
    pub no_cache: bool,
    /// Image whose layers may be reused
    #[arg(long, value_name = "IMAGE")]
    pub cache_from: Vec<String>,
    /// Platform of the image, such as linux/arm64 (default: `$DOCKER_DEFAULT_PLATFORM`, else the engine's)
    #[arg(long, value_name = "OS/ARCH[/VARIANT]")]
    pub platform: Option<String>,
    /// Network of RUN instructions: default, none, host or a name
    #[arg(long, value_name = "MODE")]
    pub build_network: Option<String>,
    /// Add a line to /etc/hosts of RUN instructions
    #[arg(long, value_name = "HOST:ADDRESS")]
    pub build_add_host: Vec<String>,
    /// Size of /dev/shm of RUN instructions
    #[arg(long, value_name = "BYTES")]
    pub build_shm_size: Option<String>,
    /// Limit of RUN instructions, such as nofile=1024:2048
    #[arg(long, value_name = "NAME=SOFT[:HARD]")]
    pub build_ulimit: Vec<String>,
    /// Memory limit of RUN instructions (classic builder)
    #[arg(long, value_name = "BYTES")]
    pub build_memory: Option<String>,
    /// Label the image
    #[arg(long, value_name = "KEY[=VALUE]")]
    pub build_label: Vec<String>,
    /// Look for newer base images
    #[arg(long)]
    pub build_pull: bool,
}

/// Long and short names under which `docker-test build` has what `run` has under the first one.
const DOCKERS_NAMES: [(&str, &str, Option<char>); 7] = [
    ("build-network", "network", None),
    ("build-add-host", "add-host", None),
    ("build-shm-size", "shm-size", None),
    ("build-ulimit", "ulimit", None),
    ("build-memory", "memory", Some('m')),
    ("build-label", "label", None),
    ("build-pull", "pull", None),
];

/// The flags of `docker-test build`: docker build's own, under docker build's own names.
///
/// The variables and keys of the clashing ones keep their `build-`, so that `DOCKER_TEST_NETWORK` always speaks of the
/// test and never of the build.
#[derive(Debug, Clone, Default, Args)]
#[command(mut_args(dockers_name), next_help_heading = "Build")]
pub struct BuildCommandFlags {
    /// The flags that `run` has too.
    #[command(flatten)]
    pub build: BuildFlags,
    /// Name of the image
    #[arg(short, long, value_name = "NAME[:TAG]")]
    pub tag: Vec<String>,
    /// The Dockerfile (default: PATH/Dockerfile)
    #[arg(id = "build_file", short = 'f', long = "file", value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// Write the image id to a file
    #[arg(long, value_name = "FILE")]
    pub iidfile: Option<PathBuf>,
    /// Make one layer of the new ones (classic builder, experimental)
    #[arg(long)]
    pub squash: bool,
    #[command(flatten)]
    refused: Refused<OfBuild>,
}

fn dockers_name(arg: Arg) -> Arg {
    let Some((_, long, short)) = DOCKERS_NAMES.iter().find(|(own, ..)| arg.get_long() == Some(*own)) else {
        return arg;
    };
    arg.long(*long).short(*short)
}

impl BuildFlags {
    /// Reads what the flags name in the environment and turns everything into Docker's units.
    pub fn resolve(&self, environment: &Environment) -> Result<BuildSpec, FlagError> {
        self.resolve_as(environment, |own| own)
    }

    /// `named` turns a name of `run` into the one that the user knows.
    fn resolve_as<'f>(
        &self,
        environment: &Environment,
        named: impl Fn(&'f str) -> &'f str,
    ) -> Result<BuildSpec, FlagError> {
        Ok(BuildSpec {
            build_args: keyvalue::arguments(&self.build_arg, environment)?,
            secrets: source::secrets(&self.secret, environment)?,
            ssh: source::ssh(&self.ssh, environment)?,
            target: self.target.clone().filter(|stage| !stage.is_empty()),
            platform: self.platform(environment)?,
            no_cache: self.no_cache,
            pull: self.build_pull,
            cache_from: source::cache_from(&self.cache_from)?,
            labels: keyvalue::labels(named("--build-label"), &[], &self.build_label, environment)?,
            network: self.build_network.clone().filter(|mode| !mode.is_empty()),
            extra_hosts: extra_hosts(named("--build-add-host"), &self.build_add_host)?,
            shm_size: bytes(named("--build-shm-size"), self.build_shm_size.as_ref())?,
            ulimits: ulimits(named("--build-ulimit"), &self.build_ulimit)?,
            memory: bytes(named("--build-memory"), self.build_memory.as_ref())?,
            squash: false,
        })
    }

    fn platform(&self, environment: &Environment) -> Result<Option<String>, FlagError> {
        const DEFAULT: &str = "DOCKER_DEFAULT_PLATFORM";
        let (text, origin) = match &self.platform {
            Some(text) => (Some(text.clone()), None),
            None => (environment.non_empty(DEFAULT).map(str::to_owned), Some(DEFAULT.to_owned())),
        };
        let Some(text) = text.filter(|text| !text.is_empty()) else { return Ok(None) };
        platform(&text).map_err(|error| error.of("--platform", &text).set_by(origin))?;
        Ok(Some(text))
    }
}

impl BuildCommandFlags {
    /// Like [`BuildFlags::resolve`], with docker build's names in errors.
    pub fn resolve(&self, environment: &Environment) -> Result<BuildSpec, FlagError> {
        let spec = self.build.resolve_as(environment, |own| match own {
            "--build-label" => "--label",
            "--build-add-host" => "--add-host",
            "--build-shm-size" => "--shm-size",
            "--build-ulimit" => "--ulimit",
            "--build-memory" => "--memory",
            other => other,
        })?;
        Ok(BuildSpec { squash: self.squash, ..spec })
    }
}

fn platform(text: &str) -> Result<(), Invalid> {
    if text.contains(',') {
        return Err(Invalid::new("one run tests one platform").hint("run docker-test once for each platform"));
    }
    let parts: Vec<&str> = text.split('/').collect();
    let word = |part: &&str| {
        !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-'))
    };
    if parts.len() > 3 || !parts.iter().all(word) {
        return Err(Invalid::new("expected OS/ARCH[/VARIANT], such as linux/amd64 or linux/arm/v7"));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
