//! The probes of a run: one for a command, or those of a YAML file.
//!
//! Owns what the flags say for checks that do not say it themselves, and `env:NAME`, which stands for the value of a
//! variable. What an entry of the file may say is [`crate::harness::entry`]'s.

use std::collections::BTreeSet;
use std::path::Path;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Map, Value};

use super::alerting::{ALERT, Alerting};
use super::machine::machine;
use super::{HarnessArgs, HarnessError};
use crate::check::{Check, CommandCheck};
use crate::environment::Environment;
use crate::error::Failure;
use crate::harness::Probe;
use crate::harness::entry::{Defaults, Entry, EntryError, command_of};
use crate::input;
use crate::redact::{Redactor, Secrets, is_secret_name};

/// Bytes of a file of checks.
const LARGEST: u64 = 1 << 20;

/// Begins a value that stands for a variable's.
const REFERENCE: &str = "env:";
/// Below this key a list has tags, of which `env:prod` is the most usual one there is.
const TAGS: &str = "tags";

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a mapping with the key checks")]
struct File {
    checks: Map<String, Value>,
    #[serde(default)]
    alert: Option<IgnoredAny>,
}

/// What is to be tried, what is told of it, and the keys that it holds.
pub(super) fn probes(
    args: &HarnessArgs,
    environment: &Environment,
) -> Result<(Vec<Probe>, Alerting, Secrets), Failure> {
    if let Some(path) = &args.checks {
        return of_file(path, args, environment);
    }
    let (command, program) = match (args.words.first(), &args.command) {
        (Some(program), _) => (CommandCheck::arguments(args.words.clone()), program.as_str()),
        (None, Some(text)) => (command_of(text), text.split_whitespace().next().unwrap_or_default()),
        (None, None) => return Err(HarnessError::Nothing.into()),
    };
    if program.trim().is_empty() {
        return Err(HarnessError::Nothing.into());
    }
    let command = if args.nagios { command.as_plugin() } else { command };
    let file_name = Path::new(program).file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let name = args.name.clone().unwrap_or(file_name);
    let probe = Entry::of(Check::Command(command)).probe(name, &defaults(args, environment), None);
    let failed = |error: EntryError| HarnessError::Checks {
        file: "the command line".to_owned(),
        problem: error.to_string(),
    };
    // A command in one text or in words has no variables of its own.
    Ok((vec![probe.map_err(failed)?], Alerting::of_flags(args), Secrets::default()))
}

fn of_file(
    path: &Path,
    args: &HarnessArgs,
    environment: &Environment,
) -> Result<(Vec<Probe>, Alerting, Secrets), Failure> {
    let failed = |problem: String| HarnessError::Checks { file: path.display().to_string(), problem };
    let bytes = input::read(&environment.current_dir().join(path), LARGEST);
    let bytes = bytes.map_err(|error| failed(error.to_string()))?;
    let file: File = serde_yaml::from_slice(&bytes).map_err(|error| failed(error.to_string()))?;
    if file.checks.is_empty() {
        return Err(failed("checks: expected at least one check, got none".to_owned()).into());
    }
    let defaults = defaults(args, environment);
    let prefix = args.name.as_ref().map(|prefix| format!("{prefix}.")).unwrap_or_default();
    let mut has_alert = file.alert.is_some();
    let is_secret = |name: &str| is_secret_name(name) || args.redact.iter().any(|named| named == name);
    let mut secrets = Secrets::default();
    let of_entry = |(name, mut value): (String, Value)| {
        let place = format!("checks.{name}");
        has_alert |= value.as_object_mut().is_some_and(|entry| entry.shift_remove(ALERT).is_some());
        let mut taken = BTreeSet::new();
        resolve(&mut value, &place, environment, &mut taken)?;
        // It may quote what a variable has put in.
        let hidden = |problem: String| Redactor::new(taken.iter().cloned()).redact(&problem).into_owned();
        let entry: Entry =
            serde_json::from_value(value).map_err(|error| hidden(format!("{place}: {error}")))?;
        let probe = entry.probe(format!("{prefix}{name}"), &defaults, None);
        let probe = probe.map_err(|error| match error.key {
            "" => hidden(format!("{place}: {}", error.problem)),
            _ => hidden(format!("{place}.{error}")),
        })?;
        // The host is told of everywhere, also where a header names it.
        taken.remove(&probe.identity.host);
        secrets.extend(probe.check.secrets(&is_secret, &taken));
        Ok(probe)
    };
    let probes = file.checks.into_iter().map(of_entry).collect::<Result<_, String>>().map_err(failed)?;
    let alerting = if has_alert {
        let name = |check: &str| format!("{prefix}{check}");
        Alerting::of_file(args, (path, &String::from_utf8_lossy(&bytes)), name, environment)?
    } else {
        Alerting::of_flags(args)
    };
    Ok((probes, alerting, secrets))
}

/// Puts the values of variables in the place of `env:NAME`, and among those that were `taken`.
fn resolve(
    value: &mut Value,
    place: &str,
    environment: &Environment,
    taken: &mut BTreeSet<String>,
) -> Result<(), String> {
    match value {
        Value::String(text) => {
            if let Some(name) = text.strip_prefix(REFERENCE) {
                let known = environment.variable(name);
                *text = known.ok_or_else(|| format!("{place}: the variable {name} is not set"))?.to_owned();
                taken.insert(text.clone());
            }
            Ok(())
        }
        Value::Array(items) => (0_usize..)
            .zip(items)
            .try_for_each(|(index, item)| resolve(item, &format!("{place}[{index}]"), environment, taken)),
        Value::Object(entries) => entries
            .iter_mut()
            .filter(|(key, item)| key.as_str() != TAGS || !item.is_array())
            .try_for_each(|(key, item)| resolve(item, &format!("{place}.{key}"), environment, taken)),
        Value::Null | Value::Bool(_) | Value::Number(_) => Ok(()),
    }
}

/// What the flags say for checks that do not say it themselves.
fn defaults(args: &HarnessArgs, environment: &Environment) -> Defaults {
    let host = args.host.as_deref().filter(|host| !host.is_empty()).or_else(|| environment.non_empty("HOST"));
    Defaults {
        kind: args.kind.clone(),
        host: host.map_or_else(|| machine(environment), str::to_owned),
        tags: args.tag.clone(),
        attempts: args.attempts,
        all_attempts: args.all_attempts,
        backoff: args.backoff,
        timeout: args.timeout,
        cleanup: args.cleanup.clone(),
        cleanup_timeout: args.cleanup_timeout,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use clap::Parser as _;

    use super::*;

    fn args(words: &[&str]) -> HarnessArgs {
        HarnessArgs::try_parse_from([&["docker-test-harness"], words].concat()).unwrap()
    }

    fn read(text: &str, environment: &Environment) -> Result<Vec<Probe>, String> {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("checks.yaml"), text).unwrap();
        let environment = environment.clone().in_directory(directory.path());
        let args = args(&["--checks", "checks.yaml", "--attempts", "4", "--tag", "team:shop"]);
        probes(&args, &environment).map(|(probes, _, _)| probes).map_err(|failure| failure.chain().join(": "))
    }

    #[test]
    fn the_command_line_of_the_seed_gives_two_attempts_and_its_host() {
        let environment = Environment::from_pairs([("HOST", "host.to.test")]);
        let args =
            args(&["--name", "example.integration", "--cleanup", "./cleanup.sh", "--", "./test.py", "a"]);
        let probe = probes(&args, &environment).unwrap().0.remove(0);
        assert_eq!(probe.identity.name, "example.integration");
        assert_eq!(
            (probe.identity.host.as_str(), probe.identity.kind.as_str()),
            ("host.to.test", "integration")
        );
        assert_eq!((probe.retries.count, probe.cleanup.is_some()), (1, true));
        let unnamed = HarnessArgs::try_parse_from(["docker-test-harness", "--", "/checks/login.py"]).unwrap();
        assert_eq!(probes(&unnamed, &environment).unwrap().0[0].identity.name, "login");
    }

    #[test]
    fn a_command_in_one_text_is_named_after_its_program_and_a_probe_has_a_name() {
        let nothing = Environment::from_pairs::<&str, &str>([]);
        let named = |words: &[&str]| {
            probes(&args(words), &nothing).map(|(probes, _, _)| probes[0].identity.name.clone())
        };
        assert_eq!(named(&["--command", " /checks/login.py --all | cat"]).unwrap(), "login");
        for words in [&["--command", "  "][..], &["--", ""], &["--", " ", "a"]] {
            let error = named(words).unwrap_err().chain().join(": ");
            assert!(error.contains("there is nothing to try"), "{error}");
        }
        let error = named(&["--name", " ", "--", "true"]).unwrap_err().chain().join(": ");
        assert!(error.contains("name: expected a name"), "{error}");
    }

    #[test]
    fn a_tag_of_an_environment_is_no_variable() {
        let text = "checks:\n  tags: { tcp: 'db:5432', host: 'env:HOST', tags: ['env:prod', 'env:HOST'] }\n";
        let probes = read(text, &Environment::from_pairs([("HOST", "db.staging")])).unwrap();
        assert_eq!(probes[0].identity.host, "db.staging");
        assert_eq!(probes[0].identity.tags, ["env:prod", "env:HOST"]);
    }

    #[test]
    fn a_file_has_checks_of_many_kinds_and_variables_in_their_values() {
        let environment = Environment::from_pairs([("HOST", "db.staging"), ("AUTH", "Bearer x")]);
        let probes = read(
            "checks:\n  api: { http: { url: 'http://127.0.0.1:1/', headers: { authorization: 'env:AUTH' } }, \
             timeout: 3s, attempts: 2 }\n  db: { tcp: 'db:5432', host: 'env:HOST', type: security }\n",
            &environment,
        )
        .unwrap();
        let names: Vec<&str> = probes.iter().map(|probe| probe.identity.name.as_str()).collect();
        assert_eq!(names, ["api", "db"]);
        assert_eq!((probes[0].timeout, probes[0].retries.count), (Duration::from_secs(3), 1));
        assert_eq!((probes[1].identity.host.as_str(), probes[1].retries.count), ("db.staging", 3));
        assert_eq!(probes[1].identity.tags, ["team:shop"]);
    }

    #[test]
    fn what_is_wrong_in_a_file_is_named_with_its_place() {
        let nothing = Environment::from_pairs::<&str, &str>([]);
        for (text, expected) in [
            ("checks: {a: {tcp: 'x:1', host: 'env:GONE'}}", "checks.a.host: the variable GONE is not set"),
            (
                "checks: {a: {tcp: 'x:1', attempts: 0}}",
                "checks.a.attempts: expected a number from 1 to 1000, got 0",
            ),
            ("checks: {a: {tcp: 'x:1', timeout: soon}}", "checks.a.timeout: "),
            ("checks: {a: {tcp: 'x:1', timeout: 0s}}", "checks.a.timeout: "),
            ("checks: {'': {tcp: 'x:1'}}", "expected a name"),
            ("checks: {a: {tpc: 'x:1'}}", "checks.a: unknown field `tpc`"),
            (
                "checks: {a: {attempts: 2}}",
                "checks.a: expected one of the keys command, http, tcp, dns, docker, image, got none",
            ),
            ("checks: {}", "expected at least one check"),
            ("chekcs: {}", "unknown field `chekcs`"),
        ] {
            let error = read(text, &nothing).unwrap_err();
            assert!(error.contains(expected) && error.contains("checks.yaml"), "{text}: {error}");
        }
    }
}
