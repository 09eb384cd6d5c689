use std::path::Path;
use std::time::Duration;

use super::*;
use crate::cli::flags::setting_keys;
use crate::cli::flags::tests::{Action, Run, cli, command, layered};

fn settings(text: &str) -> Settings {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("docker-test.yaml");
    std::fs::write(&path, text).unwrap();
    Settings::load(&path, &setting_keys(&command())).unwrap().unwrap()
}

fn run(flags: &[&str], variables: &[(&str, &str)], file: &str) -> Result<(Run, Origins), ParseError> {
    let words: Vec<&str> = ["run"].iter().chain(flags).chain(&["image"]).copied().collect();
    let environment = Environment::from_pairs(variables.iter().copied());
    let parsed = layered(&words, &environment, Some(&settings(file)))?;
    match cli(&parsed).action {
        Action::Run(run) => Ok((*run, parsed.origins)),
        Action::Build(_) => unreachable!("`run` was asked for"),
    }
}

const FILE: &str =
    "version: 1\ndefaults:\n  timeout: 30s\n  memory: 64m\n  privileged: true\n  env: {A: file, B: 1}\n";

#[test]
fn flags_win_over_variables_over_the_file_over_what_is_built_in() {
    let timeout = |flags: &[&str], variables: &[(&str, &str)], file: &str| {
        run(flags, variables, file).unwrap().0.own.timeout.map(|timeout| timeout.as_secs())
    };
    let variable = [("DOCKER_TEST_TIMEOUT", "20s")];
    assert_eq!(timeout(&["--timeout", "10s"], &variable, FILE), Some(10));
    assert_eq!(timeout(&[], &variable, FILE), Some(20));
    assert_eq!(timeout(&[], &[], FILE), Some(30));
    assert_eq!(timeout(&[], &[], "version: 1"), None);
    assert_eq!(run(&[], &[], "").unwrap().0.own.grace_period, Duration::from_secs(10));
    assert_eq!(
        run(&[], &[], "defaults: {grace-period: 3s}").unwrap().0.own.grace_period,
        Duration::from_secs(3)
    );
}

#[test]
fn an_empty_variable_is_not_set() {
    let (run, _) = run(&[], &[("DOCKER_TEST_TIMEOUT", "")], FILE).unwrap();
    assert_eq!(run.own.timeout, Some(Duration::from_secs(30)));
}

#[test]
fn switches_can_be_turned_off_above() {
    let privileged = |flags: &[&str], variables: &[(&str, &str)]| {
        run(flags, variables, FILE).unwrap().0.container.security.privileged
    };
    assert!(privileged(&[], &[]));
    assert!(!privileged(&["--privileged=false"], &[]));
    assert!(!privileged(&[], &[("DOCKER_TEST_PRIVILEGED", "0")]));
    assert!(privileged(&[], &[("DOCKER_TEST_PRIVILEGED", "yes")]));
}

#[test]
fn a_list_of_a_higher_layer_replaces_the_lower_one() {
    let names = |flags: &[&str], variables: &[(&str, &str)]| -> Vec<String> {
        let run = run(flags, variables, FILE).unwrap().0;
        let spec = run.container.resolve(&Environment::default()).unwrap();
        spec.env.into_iter().map(|(name, value)| format!("{name}={value}")).collect()
    };
    assert_eq!(names(&[], &[]), ["A=file", "B=1"]);
    assert_eq!(names(&[], &[("DOCKER_TEST_ENV", "C=x, y\n\nD=z\r\n")]), ["C=x, y", "D=z"]);
    assert_eq!(names(&["-e", "E=1"], &[("DOCKER_TEST_ENV", "C=1")]), ["E=1"]);
}

#[test]
fn lists_mappings_and_scalars_of_the_file_become_values() {
    let file = "defaults:\n  volume: [/a:/b, '/c:/d']\n  label:\n    team: shop\n    ci:\n  cpus: 1.5\n  network: back\n  \
                keep: failed\n  tls: false\n  report: junit=a.xml\n";
    let words = ["run", "image"];
    let parsed = layered(&words, &Environment::default(), Some(&settings(file))).unwrap();
    let cli = cli(&parsed);
    assert_eq!(cli.engine.tls, Some(false));
    let Action::Run(run) = cli.action else { unreachable!("`run` was asked for") };
    let spec = run.container.resolve(&Environment::default()).unwrap();
    assert_eq!(spec.binds, ["/a:/b", "/c:/d"]);
    assert_eq!(spec.labels.len(), 2);
    assert_eq!(spec.nano_cpus, Some(1_500_000_000));
    assert_eq!(spec.networks[0].name, "back");
    assert_eq!(run.own.keep, crate::cli::flags::run::Keep::Failed);
    assert_eq!(run.own.report[0].format, "junit");
}

#[test]
fn what_speaks_of_the_test_does_not_speak_of_a_build() {
    let file = settings("defaults: {network: back, build-network: host, pull: always, memory: 64m}");
    let environment =
        Environment::from_pairs([("DOCKER_TEST_SHM_SIZE", "1m"), ("DOCKER_TEST_BUILD_SHM_SIZE", "2m")]);
    let parsed = layered(&["build", "."], &environment, Some(&file)).unwrap();
    let Action::Build(build) = cli(&parsed).action else { unreachable!("`build` was asked for") };
    let spec = build.flags.resolve(&environment).unwrap();
    assert_eq!((spec.network.as_deref(), spec.shm_size), (Some("host"), Some(2 << 20)));
    assert!(!spec.pull);
    assert_eq!(spec.memory, None);
}

#[test]
fn a_wrong_value_of_a_lower_layer_is_said_with_its_place() {
    type Variables<'a> = &'a [(&'a str, &'a str)];
    let table: [(Variables<'_>, &str, &str); 7] = [
        (
            &[("DOCKER_TEST_TRUST", "me")],
            "",
            "DOCKER_TEST_TRUST: invalid value `me`: expected one of exit, report, both",
        ),
        (
            &[("DOCKER_TEST_RESULTS_LIMIT", "5x")],
            "",
            "DOCKER_TEST_RESULTS_LIMIT: invalid value `5x`: unknown unit `x`",
        ),
        (&[("DOCKER_TEST_DRY_RUN", "maybe")], "", "DOCKER_TEST_DRY_RUN: invalid value `maybe`"),
        (
            &[],
            "defaults:\n  keep: sometimes\n",
            "docker-test.yaml:2:3: keep: invalid value `sometimes`: expected one of",
        ),
        (
            &[],
            "defaults:\n  timeout: [1s, 2s]\n",
            "docker-test.yaml:2:3: timeout: `timeout` takes one value, not 2",
        ),
        (&[], "version: 1\n\ndefaults: {a: 1, pull: 2}", "docker-test.yaml:3:12: unknown key"),
        (&[("DOCKER_TEST_HOST", "a"), ("DOCKER_TEST_CONTEXT", "b")], "", "it excludes `"),
    ];
    for (variables, file, expected) in table {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("docker-test.yaml");
        std::fs::write(&path, file).unwrap();
        let message = match Settings::load(&path, &setting_keys(&command())) {
            Ok(settings) => {
                let environment = Environment::from_pairs(variables.iter().copied());
                layered(&["run", "image"], &environment, settings.as_ref()).unwrap_err().to_string()
            }
            Err(error) => error.to_string().replace("unknown key `a`", "unknown key"),
        };
        assert!(message.contains(expected), "{message}");
    }
}

#[test]
fn an_error_found_later_says_where_the_value_came_from() {
    let place = |flags: &[&str], variables: &[(&str, &str)]| {
        let (run, origins) = run(flags, variables, "defaults:\n  memory: 3m\n").unwrap();
        origins.explain(run.container.resolve(&Environment::default()).unwrap_err()).to_string()
    };
    let file = place(&[], &[]);
    assert!(file.contains("docker-test.yaml:2:3: memory): invalid value `3m`"), "{file}");
    let variable = place(&[], &[("DOCKER_TEST_MEMORY", "2m")]);
    assert!(variable.starts_with("--memory (set by DOCKER_TEST_MEMORY): invalid value `2m`"), "{variable}");
    let flag = place(&["-m", "1m"], &[("DOCKER_TEST_MEMORY", "2m")]);
    assert!(flag.starts_with("--memory: invalid value `1m`"), "{flag}");
}

#[test]
fn a_higher_choice_silences_what_it_excludes_below() {
    let engine = |words: &[&str], variables: &[(&str, &str)], file: &str| {
        let environment = Environment::from_pairs(variables.iter().copied());
        let parsed = layered(words, &environment, Some(&settings(file))).unwrap();
        let engine = cli(&parsed).engine;
        (engine.host, engine.context)
    };
    let host = || Some("tcp://a".to_owned());
    let context = || Some("b".to_owned());
    let words = ["--context", "b", "run", "image"];
    assert_eq!(engine(&words, &[("DOCKER_TEST_HOST", "tcp://a")], ""), (None, context()));
    let words = ["-H", "tcp://a", "run", "image"];
    assert_eq!(engine(&words, &[("DOCKER_TEST_CONTEXT", "b")], "defaults: {context: c}"), (host(), None));
    let words = ["run", "image"];
    assert_eq!(engine(&words, &[("DOCKER_TEST_HOST", "tcp://a")], "defaults: {context: b}"), (host(), None));
}

#[test]
fn host_and_context_exclude_each_other_on_one_layer() {
    let words = ["-H", "tcp://a", "--context", "b", "run", "image"];
    let error = layered(&words, &Environment::default(), None).unwrap_err();
    assert!(error.to_string().contains("cannot be used with"), "{error}");
}

#[test]
fn values_of_variables_are_not_in_the_help() {
    let environment =
        Environment::from_pairs([("DOCKER_TEST_BUILD_ARG", "T=hunter2"), ("DOCKER_TEST_USER", "hunter3")]);
    let error = layered(&["run", "--help"], &environment, None).unwrap_err().to_string();
    assert!(error.contains("DOCKER_TEST_BUILD_ARG") && !error.contains("hunter"), "{error}");
}

#[test]
fn every_settable_flag_has_one_key_with_one_meaning() {
    let mut command = command();
    command.build();
    let mut meanings: BTreeMap<String, String> = BTreeMap::new();
    for sub in command.get_subcommands() {
        for arg in sub.get_arguments().filter(|arg| settable(arg)) {
            let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
            let known = meanings.entry(variable(arg)).or_insert_with(|| help.clone());
            assert_eq!(*known, help, "{}", variable(arg));
            assert!(!help.is_empty(), "{}", variable(arg));
        }
    }
    assert!(meanings.len() > 80, "{}", meanings.len());
}

#[test]
fn a_missing_file_sets_nothing() {
    assert!(Settings::load(Path::new("/nonexistent/docker-test.yaml"), &[]).unwrap().is_none());
}
