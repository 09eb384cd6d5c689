//! What users copy for their CI systems: action.yml with its script, and the files in docs/ci.md.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, with the place")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_yaml::Value;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn action() -> Value {
    serde_yaml::from_str(&read("action.yml")).unwrap()
}

fn keys(value: &Value) -> BTreeSet<String> {
    let mapping = value.as_mapping().unwrap_or_else(|| panic!("no mapping: {value:?}"));
    mapping.keys().map(|key| key.as_str().unwrap().to_owned()).collect()
}

/// Every text in a value.
fn texts(value: &Value) -> Vec<&str> {
    match value {
        Value::String(text) => vec![text],
        Value::Sequence(items) => items.iter().flat_map(texts).collect(),
        Value::Mapping(map) => map.values().flat_map(texts).collect(),
        _ => Vec::new(),
    }
}

/// The expressions in a text.
fn expressions(text: &str) -> Vec<&str> {
    text.split("${{").skip(1).map(|rest| rest.split_once("}}").unwrap().0.trim()).collect()
}

#[test]
fn no_input_of_the_action_is_text_of_a_script() {
    let action = action();
    let steps = action["runs"]["steps"].as_sequence().unwrap();
    assert_eq!(action["runs"]["using"], "composite");
    let mut used = BTreeSet::new();
    let mut scripts = 0;
    for step in steps {
        if let Some(script) = step["run"].as_str() {
            assert!(expressions(script).is_empty(), "{script}");
            assert_eq!(step["shell"], "bash", "{script}");
            scripts += 1;
        } else {
            assert!(step["uses"].as_str().unwrap().contains('@'), "{step:?}");
        }
        for expression in texts(step).into_iter().flat_map(expressions) {
            used.extend(expression.strip_prefix("inputs.").map(str::to_owned));
        }
    }
    assert_eq!(scripts, 3);
    assert_eq!(used, keys(&action["inputs"]), "every input is handed on, and no other");
    let ids: BTreeSet<&str> = steps.iter().filter_map(|step| step["id"].as_str()).collect();
    let script = read("scripts/action");
    for expression in texts(&action["outputs"]).into_iter().flat_map(expressions) {
        let [_, id, _, name] = expression.split('.').collect::<Vec<_>>()[..] else { panic!("{expression}") };
        assert!(ids.contains(id), "{expression}");
        assert!(script.contains(&format!("echo \"{name}=")), "{expression}");
    }
}

#[test]
fn every_input_and_output_of_the_action_is_in_the_documentation() {
    let text = read("docs/ci.md");
    let action = action();
    for name in keys(&action["inputs"]).union(&keys(&action["outputs"])) {
        assert!(text.contains(&format!("`{name}`")), "docs/ci.md does not name {name}");
    }
}

/// A checkout in which the action runs, with a docker-test that says how it was called.
struct Checkout {
    directory: tempfile::TempDir,
    inputs: BTreeMap<&'static str, String>,
}

impl Checkout {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let action = action();
        let default = |name: &str| action["inputs"][name]["default"].as_str().unwrap().to_owned();
        let inputs = [
            ("ACTION_IMAGE", "image"),
            ("ACTION_SUITE", "suite"),
            ("ACTION_ARGS", "args"),
            ("ACTION_DIRECTORY", "working-directory"),
            ("ACTION_JUNIT", "junit"),
            ("ACTION_HTML", "html"),
            ("ACTION_JSON", "json"),
            ("ACTION_BINARY", "binary"),
            ("ACTION_VERSION", "version"),
            ("ACTION_INSTALL_ONLY", "install-only"),
        ];
        let inputs = inputs.map(|(variable, name)| (variable, default(name))).into();
        let checkout = Self { directory, inputs };
        checkout.write("system/docker-test.yaml", "version: 1\n");
        let program = checkout.write("tools/docker-test", "#!/bin/sh\nprintf '%s\\n' \"$@\"\nexit 7\n");
        fs::set_permissions(program, fs::Permissions::from_mode(0o755)).unwrap();
        checkout
    }

    fn with(pairs: &[(&'static str, &str)]) -> Self {
        let mut checkout = Self::new();
        checkout.inputs.extend(pairs.iter().map(|(name, value)| (*name, (*value).to_owned())));
        checkout
    }

    fn path(&self, path: &str) -> PathBuf {
        self.directory.path().join(path)
    }

    fn write(&self, path: &str, text: &str) -> PathBuf {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }

    fn step(&self, name: &str) -> Output {
        Command::new(root().join("scripts/action"))
            .arg(name)
            .current_dir(self.directory.path())
            .env_clear()
            .env("PATH", format!("{}:/usr/bin:/bin", self.path("tools").display()))
            .env("RUNNER_TEMP", self.path("temp"))
            .env("RUNNER_OS", "Linux")
            .env("RUNNER_ARCH", "X64")
            .env("ACTION_ROOT", "")
            .env("GITHUB_OUTPUT", self.path("output"))
            .env("GITHUB_PATH", self.path("added"))
            .envs(&self.inputs)
            .output()
            .unwrap()
    }

    fn output(&self) -> String {
        fs::read_to_string(self.path("output")).unwrap_or_default()
    }
}

#[test]
fn the_action_takes_what_it_is_meant_for() {
    let cases: [&[(&str, &str)]; 7] = [
        &[("ACTION_DIRECTORY", "system")],
        &[("ACTION_DIRECTORY", "system"), ("ACTION_SUITE", "docker-test.yaml"), ("ACTION_HTML", "")],
        &[("ACTION_SUITE", "system/docker-test.yaml"), ("ACTION_JUNIT", "out/junit.xml")],
        &[("ACTION_IMAGE", "shop:1.4\nregistry.example.com:5000/a/b@sha256:00\n")],
        &[("ACTION_IMAGE", "shop:1.4"), ("ACTION_BINARY", "tools/docker-test")],
        &[("ACTION_IMAGE", "shop:1.4"), ("ACTION_VERSION", "v0.1.0")],
        &[("ACTION_INSTALL_ONLY", "true")],
    ];
    for case in cases {
        let checkout = Checkout::with(case);
        let output = checkout.step("check");
        assert!(output.status.success(), "{case:?}: {}", String::from_utf8_lossy(&output.stdout));
        let runs = !case.contains(&("ACTION_INSTALL_ONLY", "true"));
        assert!(checkout.output().starts_with(&format!("run={runs}\n")), "{}", checkout.output());
        let built = !case.iter().any(|(name, _)| *name == "ACTION_BINARY");
        assert_eq!(checkout.output().contains("key=docker-test-program-Linux-X64-"), built);
    }
}

#[test]
fn the_action_refuses_inputs_that_mean_something_else_to_a_shell_or_to_github() {
    let image = ("ACTION_IMAGE", "shop:1.4");
    let cases: [(&[(&str, &str)], &str); 15] = [
        (&[], "neither image nor suite"),
        (&[image, ("ACTION_SUITE", "system/docker-test.yaml")], "exclude each other"),
        (&[("ACTION_IMAGE", "shop:1.4\n--privileged")], "no image reference"),
        (&[("ACTION_IMAGE", "$(id)")], "no image reference"),
        (&[("ACTION_SUITE", "nowhere.yaml")], "no file"),
        (&[("ACTION_SUITE", "--keep")], "begins with a hyphen"),
        (&[image, ("ACTION_JUNIT", "")], "junit is empty"),
        (&[image, ("ACTION_JUNIT", "a\nexit-code=0")], "more than one line"),
        (&[image, ("ACTION_HTML", "../../page.html")], "leads out"),
        (&[image, ("ACTION_JSON", "/etc/passwd")], "leads out"),
        (&[image, ("ACTION_DIRECTORY", "nowhere")], "no directory"),
        (&[image, ("ACTION_BINARY", "system/docker-test.yaml")], "no program"),
        (&[image, ("ACTION_BINARY", "tools/docker-test"), ("ACTION_VERSION", "v1")], "exclude each other"),
        (&[image, ("ACTION_VERSION", "--git")], "no tag"),
        (&[("ACTION_INSTALL_ONLY", "yes")], "neither true nor false"),
    ];
    for (case, expected) in cases {
        let checkout = Checkout::with(case);
        let output = checkout.step("check");
        let said = String::from_utf8(output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(1), "{case:?}");
        assert!(
            said.starts_with("::error::docker-test action: ") && said.contains(expected),
            "{case:?}: {said}"
        );
        // What was refused is not repeated: it could be a command to GitHub.
        assert_eq!(said.lines().count(), 1, "{said}");
        assert_eq!(checkout.output(), "", "{case:?}");
    }
}

#[test]
fn the_action_hands_on_its_inputs_as_whole_words_and_the_exit_code() {
    let arguments = "--partition\n  hash:1/3  \n\n--label\nwho=$(id) and \"more\"\r\n";
    let inputs =
        [("ACTION_DIRECTORY", "system"), ("ACTION_SUITE", "docker-test.yaml"), ("ACTION_ARGS", arguments)];
    let checkout = Checkout::with(&inputs);
    let output = checkout.step("run");
    assert_eq!(output.status.code(), Some(7));
    let words = String::from_utf8(output.stdout).unwrap();
    let expected = [
        "run",
        "--report",
        "junit=junit.xml",
        "--report",
        "html=report.html",
        "--report",
        "json=report.json",
        "--suite",
        "docker-test.yaml",
        "--partition",
        "hash:1/3",
        "--label",
        "who=$(id) and \"more\"",
    ];
    assert_eq!(words.lines().collect::<Vec<_>>(), expected);
    let directory = fs::canonicalize(checkout.path("system")).unwrap();
    let directory = directory.display();
    let reports =
        format!("junit={directory}/junit.xml\nhtml={directory}/report.html\njson={directory}/report.json\n");
    assert_eq!(checkout.output(), format!("{reports}exit-code=7\n"));
    // Several images, no page, and a command after `--`.
    let inputs = [
        ("ACTION_IMAGE", "a:1\nb:2\n"),
        ("ACTION_HTML", ""),
        ("ACTION_JSON", ""),
        ("ACTION_ARGS", "--\ntrue"),
    ];
    let words = String::from_utf8(Checkout::with(&inputs).step("run").stdout).unwrap();
    let expected = ["run", "--report", "junit=junit.xml", "a:1", "b:2", "--", "true"];
    assert_eq!(words.lines().collect::<Vec<_>>(), expected);
}

#[test]
fn the_action_puts_a_given_program_into_the_path() {
    let checkout = Checkout::with(&[("ACTION_BINARY", "tools/docker-test")]);
    fs::write(checkout.path("tools/docker-test"), "#!/bin/sh\necho docker-test 9.9\n").unwrap();
    let output = checkout.step("install");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.stdout, b"docker-test 9.9\n");
    let added = fs::read_to_string(checkout.path("added")).unwrap();
    assert!(Path::new(added.trim()).join("docker-test").exists(), "{added}");
}

/// A fenced block.
struct Block {
    place: String,
    text: String,
}

/// The fenced blocks of a language.
fn blocks(path: &str, language: &str) -> Vec<Block> {
    let text = read(path);
    let mut found: Vec<Block> = Vec::new();
    let mut open = None;
    for (index, line) in text.lines().enumerate() {
        match (open, line.strip_prefix("```")) {
            (None, Some(info)) => {
                open = Some(info == language);
                if open == Some(true) {
                    let place = format!("{path}:{}", index + 1);
                    found.push(Block { place, text: String::new() });
                }
            }
            (Some(_), Some(_)) => open = None,
            (Some(true), None) => {
                let block = found.last_mut().unwrap();
                block.text.push_str(line);
                block.text.push('\n');
            }
            _ => {}
        }
    }
    found
}

/// Arguments as the action hands them on, with any value for an expression; no engine answers.
#[track_caller]
fn assert_is_command_line(place: &str, arguments: &str) {
    let home = tempfile::tempdir().unwrap();
    let words = arguments.lines().map(str::trim).filter(|line| !line.is_empty()).map(|line| {
        let parts = line.split("${{").map(|part| part.split_once("}}").map_or(part, |(_, rest)| rest));
        parts.collect::<Vec<_>>().join("1")
    });
    let output = Command::new(env!("CARGO_BIN_EXE_docker-test"))
        .arg("run")
        .args(words)
        .env_clear()
        .env("HOME", home.path())
        .env("DOCKER_HOST", "unix:///nonexistent.sock")
        .current_dir(home.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!said.contains("error: "), "{place}: {said}");
}

#[test]
fn workflows_for_github_have_the_shape_that_github_takes_and_no_expression_in_a_script() {
    let inputs = keys(&action()["inputs"]);
    let (mut workflows, mut calls) = (0, 0);
    for Block { place, text } in blocks("docs/ci.md", "yaml") {
        let file: Value = serde_yaml::from_str(&text).unwrap_or_else(|error| panic!("{place}: {error}"));
        let Some(jobs) = file["jobs"].as_mapping() else { continue };
        assert!(!file["on"].is_null(), "{place}: when is it run?");
        workflows += 1;
        for (name, job) in jobs {
            assert!(job["runs-on"].is_string() && job["timeout-minutes"].is_number(), "{place}: {name:?}");
            if let Some(needed) = job["needs"].as_str() {
                assert!(jobs.contains_key(needed), "{place}: {needed}");
            }
            for step in job["steps"].as_sequence().unwrap() {
                assert_ne!(step["uses"].is_string(), step["run"].is_string(), "{place}: {step:?}");
                let script = step["run"].as_str().unwrap_or_default();
                assert!(expressions(script).is_empty(), "{place}: {script}");
                let Some(used) = step["uses"].as_str() else { continue };
                assert!(used.contains('@'), "{place}: {used}");
                if used.starts_with("docker-test/docker-test@") {
                    let given = step["with"].as_mapping().map(|_| keys(&step["with"])).unwrap_or_default();
                    assert!(given.is_subset(&inputs), "{place}: {given:?}");
                    let arguments = step["with"]["args"].as_str().unwrap_or_default();
                    assert_is_command_line(&place, arguments);
                    calls += 1;
                }
            }
        }
    }
    assert!(workflows >= 2 && calls >= 2, "{workflows} workflows, {calls} calls of the action");
}

#[test]
fn pipelines_for_gitlab_have_the_shape_that_gitlab_takes() {
    const GLOBAL: [&str; 5] = ["stages", "variables", "default", "include", "workflow"];
    let mut jobs = 0;
    for Block { place, text } in blocks("docs/ci.md", "yaml") {
        let file: Value = serde_yaml::from_str(&text).unwrap_or_else(|error| panic!("{place}: {error}"));
        if !file["jobs"].is_null() || text.contains("docker-test.yaml\nversion:") {
            continue;
        }
        let Some(mapping) = file.as_mapping() else { continue };
        let stages: Vec<&str> =
            file["stages"].as_sequence().into_iter().flatten().filter_map(Value::as_str).collect();
        for (name, job) in mapping {
            let name = name.as_str().unwrap();
            if GLOBAL.contains(&name) {
                continue;
            }
            assert!(job["script"].is_sequence(), "{place}: {name} has no script");
            if let Some(stage) = job["stage"].as_str() {
                assert!(stages.contains(&stage), "{place}: {stage}");
            }
            assert!(
                job["artifacts"]["reports"]["junit"].is_string(),
                "{place}: {name} hands no JUnit file on"
            );
            assert_eq!(job["artifacts"]["when"], "always", "{place}: {name} keeps nothing of a failure");
            jobs += 1;
        }
    }
    assert!(jobs >= 3, "{jobs} jobs");
}

#[test]
fn pipelines_for_jenkins_close_what_they_open_and_keep_the_results_of_a_failure() {
    let blocks = blocks("docs/ci.md", "groovy");
    assert!(blocks.len() >= 2, "{}", blocks.len());
    for Block { place, text } in blocks {
        let mut depth = 0_i32;
        for letter in text.chars() {
            depth += i32::from(letter == '{') - i32::from(letter == '}');
            assert!(depth >= 0, "{place}");
        }
        assert_eq!(depth, 0, "{place}");
        let (_, after) = text.split_once("always {").unwrap_or_else(|| panic!("{place}: nothing is kept"));
        assert!(after.contains("junit ") && after.contains("archiveArtifacts"), "{place}");
    }
}
