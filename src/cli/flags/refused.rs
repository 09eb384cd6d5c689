//! Flags of `docker run` and `docker build` that docker-test does not take, each with the reason.
//!
//! Owns two tables and the hidden arguments made from them, so that such a flag is answered with advice and not with
//! "unexpected argument". A new refusal is a new row.

use std::ffi::OsStr;
use std::marker::PhantomData;

use clap::builder::TypedValueParser;
use clap::error::ErrorKind;
use clap::{Arg, ArgAction, ArgMatches, Args, Command, Error, FromArgMatches};

/// One flag that is not taken.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    /// The long name.
    pub long: &'static str,
    /// The short name.
    pub short: Option<char>,
    /// Values with which the flag asks for what happens anyway.
    pub allowed: &'static [&'static str],
    /// Why not, and what to do instead. Continues the sentence "--flag is not taken: …".
    pub reason: &'static str,
}

const fn row(long: &'static str, reason: &'static str) -> Row {
    Row { long, short: None, allowed: &[], reason }
}

const fn short(long: &'static str, short: char, reason: &'static str) -> Row {
    Row { long, short: Some(short), allowed: &[], reason }
}

const fn unless(long: &'static str, allowed: &'static [&'static str], reason: &'static str) -> Row {
    Row { long, short: None, allowed, reason }
}

const HEALTH: &str = "a test has an end, not a health; --timeout limits how long it may run";
const PORTS: &str = "nothing on the host calls a test; join the service's network with --network";
const NOT_PASSED: &str = "docker-test has no place for it in its plan";
const WINDOWS: &str = "it is for Windows containers";
const ALWAYS_TRUE: &[&str] = &["", "true"];
const EITHER: &[&str] = &["", "true", "false"];
const FALSE: &[&str] = &["false"];

/// A table of flags.
pub trait Table: Clone {
    /// Its rows.
    const ROWS: &'static [Row];
}

/// Of `docker run`.
#[derive(Debug, Clone, Copy, Default)]
pub struct OfRun;

impl Table for OfRun {
    const ROWS: &'static [Row] = &[
        short("detach", 'd', "a test is waited for; put the whole command into the background instead"),
        row("detach-keys", "a test is waited for"),
        row("rm", "the container is always removed once its results are out; see --keep"),
        short("publish", 'p', PORTS),
        short("publish-all", 'P', PORTS),
        row("expose", PORTS),
        row("restart", "a test that starts over by itself has no verdict"),
        row("cidfile", "--format json names the container in its events"),
        short("attach", 'a', "output is always attached; -i hands standard input to the test"),
        row("sig-proxy", "signals stop the test gently, then by force"),
        row("stop-timeout", "--grace-period says how long a test may take to stop"),
        row("health-cmd", HEALTH),
        row("health-interval", HEALTH),
        row("health-retries", HEALTH),
        row("health-timeout", HEALTH),
        row("health-start-period", HEALTH),
        row("health-start-interval", HEALTH),
        row("no-healthcheck", HEALTH),
        row("link", "links are Docker's old way; put both containers on one --network"),
        row("link-local-ip", NOT_PASSED),
        row("mac-address", NOT_PASSED),
        row("volumes-from", "name the volumes with -v"),
        row("volume-driver", "name the driver with --mount type=volume,volume-driver=…"),
        row("storage-opt", NOT_PASSED),
        row("domainname", NOT_PASSED),
        row("dns-search", NOT_PASSED),
        row("dns-option", NOT_PASSED),
        row("dns-opt", NOT_PASSED),
        row("uts", NOT_PASSED),
        row("annotation", "use --label"),
        row("cgroup-parent", NOT_PASSED),
        row("device-cgroup-rule", NOT_PASSED),
        row("device-read-bps", NOT_PASSED),
        row("device-read-iops", NOT_PASSED),
        row("device-write-bps", NOT_PASSED),
        row("device-write-iops", NOT_PASSED),
        row("blkio-weight", NOT_PASSED),
        row("blkio-weight-device", NOT_PASSED),
        row("cpu-period", "--cpus says the same in one number"),
        row("cpu-quota", "--cpus says the same in one number"),
        row("cpu-rt-period", NOT_PASSED),
        row("cpu-rt-runtime", NOT_PASSED),
        row("cpuset-mems", NOT_PASSED),
        row("memory-reservation", "--memory sets the limit that counts"),
        row("memory-swappiness", "--memory-swap limits swap"),
        row("kernel-memory", "kernels no longer have it"),
        row("oom-kill-disable", "a test that is out of memory must end"),
        row("oom-score-adj", NOT_PASSED),
        row("use-api-socket", "hand the engine's socket over with -v where a test needs it"),
        row("cpu-count", WINDOWS),
        row("cpu-percent", WINDOWS),
        row("io-maxbandwidth", WINDOWS),
        row("io-maxiops", WINDOWS),
        row("isolation", WINDOWS),
        unless("disable-content-trust", ALWAYS_TRUE, "Docker Content Trust was shut down"),
    ];
}

const ATTESTATIONS: &str = "the engine's own builder makes no attestations; only buildx does";
const CLASSIC_CPU: &str = "BuildKit has no such limit, and docker-test builds alike with every builder";
const BUILDX: &str = "the engine's own builder does not have it; only buildx does";

/// Of `docker build`.
#[derive(Debug, Clone, Copy, Default)]
pub struct OfBuild;

impl Table for OfBuild {
    const ROWS: &'static [Row] = &[
        Row {
            long: "output",
            short: Some('o'),
            allowed: &["type=docker", "type=image"],
            reason: "the image stays on the engine, where it is tested; `docker save` writes it to a file",
        },
        unless("load", ALWAYS_TRUE, "the image is tested on the engine, so it is always loaded there"),
        unless("rm", ALWAYS_TRUE, "intermediate containers are always removed"),
        unless("force-rm", EITHER, "it takes true or false"),
        unless("compress", EITHER, "it takes true or false"),
        unless("push", FALSE, "test the image first, then `docker push` it"),
        row(
            "cache-to",
            "the engine's own builder exports no cache; --build-arg BUILDKIT_INLINE_CACHE=1 puts it into the image",
        ),
        row("attest", ATTESTATIONS),
        unless("sbom", FALSE, ATTESTATIONS),
        unless("provenance", FALSE, ATTESTATIONS),
        unless(
            "builder",
            &["default"],
            "the engine's own builder is used; -H and --context choose the engine",
        ),
        row("metadata-file", "--iidfile writes the image id"),
        row("allow", BUILDX),
        row("annotation", "use --label"),
        row("build-context", BUILDX),
        row("call", BUILDX),
        row("check", BUILDX),
        row("print", BUILDX),
        row("policy", BUILDX),
        row("resource", BUILDX),
        row("no-cache-filter", "--no-cache builds every stage anew"),
        row("security-opt", BUILDX),
        row("cgroup-parent", CLASSIC_CPU),
        row("cpu-period", CLASSIC_CPU),
        row("cpu-quota", CLASSIC_CPU),
        short("cpu-shares", 'c', CLASSIC_CPU),
        row("cpuset-cpus", CLASSIC_CPU),
        row("cpuset-mems", CLASSIC_CPU),
        row("memory-swap", CLASSIC_CPU),
        row("isolation", WINDOWS),
        unless("disable-content-trust", ALWAYS_TRUE, "Docker Content Trust was shut down"),
    ];
}

/// Hidden arguments for the rows of a table, to be flattened like any group of flags.
#[derive(Debug, Clone, Copy, Default)]
pub struct Refused<T>(PhantomData<T>);

impl<T: Table> Args for Refused<T> {
    fn augment_args(command: Command) -> Command {
        command.args(T::ROWS.iter().map(argument))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl<T: Table> FromArgMatches for Refused<T> {
    fn from_arg_matches(_: &ArgMatches) -> Result<Self, Error> {
        Ok(Self(PhantomData))
    }

    fn update_from_arg_matches(&mut self, _: &ArgMatches) -> Result<(), Error> {
        Ok(())
    }
}

fn argument(row: &'static Row) -> Arg {
    let argument = Arg::new(format!("refused_{}", row.long))
        .long(row.long)
        .hide(true)
        .action(ArgAction::Append)
        .num_args(0..=1)
        .default_missing_value("")
        // A flag that may stand alone must not take the next argument for its value.
        .require_equals(row.allowed.contains(&""))
        .value_parser(Refusal(row));
    match row.short {
        Some(short) => argument.short(short),
        None => argument,
    }
}

#[derive(Clone)]
struct Refusal(&'static Row);

impl TypedValueParser for Refusal {
    type Value = ();

    fn parse_ref(&self, command: &Command, _: Option<&Arg>, value: &OsStr) -> Result<(), Error> {
        let Row { long, allowed, reason, .. } = self.0;
        if allowed.iter().any(|allowed| value == *allowed) {
            return Ok(());
        }
        let message = format!("--{long} is not taken: {reason}\n");
        Err(Error::raw(ErrorKind::UnknownArgument, message).with_cmd(command))
    }
}

#[cfg(test)]
mod tests;
