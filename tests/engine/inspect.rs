//! `inspect`, `generate`, `--dry-run` and `--keep-dockerfile`: what would happen, and nothing else.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::support::{BASE, Sandbox, docker, image_id};

/// Every path below a directory.
fn files(root: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut pending = vec![root.to_owned()];
    while let Some(directory) = pending.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            found.insert(path.strip_prefix(root).unwrap().display().to_string());
            if path.is_dir() {
                pending.push(path);
            }
        }
    }
    found
}

fn inspect(sandbox: &Sandbox, arguments: &[&str]) -> Value {
    let all: Vec<&str> = ["inspect", "--format", "json"].iter().chain(arguments).copied().collect();
    sandbox.expect(0, &all).json()
}

#[test]
fn the_document_of_an_image_has_the_promised_fields() {
    let sandbox = Sandbox::new();
    let image = sandbox.build(
        "shop",
        &format!(
            "FROM {BASE}\nENTRYPOINT [\"/app\"]\nLABEL test.type=security test.results=/out test.timeout=5m\n\
             ONTEST COPY t.sh /t.sh\nONTEST CMD [\"/t.sh\", \"a b\"]\n"
        ),
    );
    let document = inspect(&sandbox, &[&image]);
    let mut fields: Vec<&str> = document.as_object().unwrap().keys().map(String::as_str).collect();
    fields.sort_unstable();
    assert_eq!(
        fields,
        [
            "command",
            "context",
            "dockerfile",
            "entrypoint",
            "features",
            "image",
            "image_id",
            "reason",
            "results",
            "schema",
            "source",
            "test_image",
            "timeout_seconds",
            "triggers",
            "type",
            "warnings",
        ]
    );
    assert_eq!(document["schema"], json!(1));
    assert_eq!(document["source"], json!("label"));
    assert_eq!(
        document["triggers"],
        json!([
            {"instruction": "COPY", "text": "COPY t.sh /t.sh", "line": 4},
            {"instruction": "CMD", "text": "CMD [\"/t.sh\", \"a b\"]", "line": 5},
        ])
    );
    assert_eq!((&document["type"], &document["results"]), (&json!("security"), &json!("/out")));
    assert_eq!((&document["entrypoint"], &document["command"]), (&json!([]), &json!(["/t.sh", "a b"])));
    assert_eq!(document["timeout_seconds"], json!(300.0));
    assert_eq!(document["image_id"], json!(image_id(&image).unwrap()));
    assert_eq!(document["test_image"], json!(format!("{image}-test")));
    assert_eq!(
        document["dockerfile"],
        json!(format!(
            "FROM {image}\nCOPY [\".docker-test/results/\", \"/\"]\nCOPY t.sh /t.sh\nCMD [\"/t.sh\", \"a b\"]\n\
             VOLUME [\"/out\"]\nENTRYPOINT []\nCMD [\"/t.sh\", \"a b\"]\n"
        ))
    );
    assert_eq!(image_id(&format!("{image}-test")), None, "nothing is built");
    assert_eq!(sandbox.expect(0, &["generate", &image]).stdout, document["dockerfile"].as_str().unwrap());
    let text = sandbox.expect(0, &["inspect", &image]).stdout;
    for part in ["label", "security", "/out", "    4  COPY t.sh /t.sh", "FROM"] {
        assert!(text.contains(part), "no {part} in {text}");
    }
}

#[test]
fn a_dockerfile_is_inspected_without_any_engine() {
    let mut sandbox = Sandbox::new();
    sandbox.set("DOCKER_HOST", "unix:///nonexistent/docker.sock").set("PATH", "/nonexistent");
    sandbox.write(
        "Dockerfile",
        "FROM debian AS build\nLABEL test.type=chaos\nFROM build\nENTRYPOINT [\"/app\"]\nLABEL test.results='/my results'\n\
         ONTEST RUN apt-get update && \\\n  apt-get install -y curl\nONTEST COPY tests/ /tests/\nONTEST CMD /tests/run.sh\n",
    );
    let document = inspect(&sandbox, &["-f", "Dockerfile"]);
    assert_eq!(document["source"], json!("dockerfile"));
    assert_eq!(document["image_id"], Value::Null);
    assert_eq!(document["results"], json!("/my results"));
    assert_eq!(document["type"], json!("chaos"), "a label of the stage below is the image's too");
    let lines: Vec<&Value> =
        document["triggers"].as_array().unwrap().iter().map(|trigger| &trigger["line"]).collect();
    assert_eq!(lines, [6, 8, 9]);
    assert_eq!(document["command"], json!(["/bin/sh", "-c", "/tests/run.sh"]));
    let generated = sandbox.expect(0, &["generate", "-f", "Dockerfile"]).stdout;
    assert!(generated.contains("\nRUN apt-get update && \\\n  apt-get install -y curl\n"), "{generated}");
    sandbox.write("Dockerfile", "FROM debian\nONTEST FROM x\n");
    sandbox.expect(125, &["inspect", "-f", "Dockerfile"]).assert_stderr("Dockerfile:2: ");
    sandbox.expect(125, &["inspect"]).assert_stderr("no IMAGE and no -f DOCKERFILE");
}

#[test]
fn a_dockerfile_with_onbuild_and_a_dockerfile_test_are_inspected_without_any_engine() {
    let mut sandbox = Sandbox::new();
    sandbox.set("DOCKER_HOST", "unix:///nonexistent/docker.sock");
    sandbox.write("Dockerfile", "FROM debian\nONBUILD RUN true\nONBUILD CMD [\"x\"]\n");
    assert_eq!(inspect(&sandbox, &["-f", "Dockerfile"])["source"], json!("onbuild"));
    sandbox.write("Dockerfile.test", "ARG TEST_IMAGE\nFROM ${TEST_IMAGE}\nCOPY a /a\nCMD [\"x\"]\n");
    let document = inspect(&sandbox, &["-f", "Dockerfile.test"]);
    assert_eq!(document["source"], json!("recipe"));
    assert_eq!(document["context"]["needs"]["paths"][0]["pattern"], json!("a"));
    sandbox.write("Dockerfile", "FROM debian\nLABEL test.cmd='[\"/check\"]'\n");
    let document = inspect(&sandbox, &["-f", "Dockerfile"]);
    assert_eq!((&document["source"], &document["command"]), (&json!("command"), &json!(["/check"])));
    sandbox.write("Dockerfile", "FROM debian\nRUN true\n");
    sandbox.expect(125, &["inspect", "-f", "Dockerfile"]).assert_stderr("ONTEST");
}

#[test]
fn the_target_of_an_inspected_dockerfile_chooses_stage_and_labels() {
    let mut sandbox = Sandbox::new();
    sandbox.set("DOCKER_HOST", "unix:///nonexistent/docker.sock");
    sandbox.write(
        "Dockerfile",
        "FROM debian AS one\nLABEL test.type=one\nONTEST CMD one\nFROM debian AS two\nLABEL test.type=two\nONTEST CMD two\n",
    );
    let one = inspect(&sandbox, &["-f", "Dockerfile", "--target", "one"]);
    assert_eq!((&one["type"], &one["triggers"][0]["text"]), (&json!("one"), &json!("CMD one")));
    let two = inspect(&sandbox, &["-f", "Dockerfile"]);
    assert_eq!((&two["type"], &two["triggers"][0]["text"]), (&json!("two"), &json!("CMD two")));
}

#[test]
fn what_is_generated_is_built_by_plain_docker() {
    let sandbox = Sandbox::new();
    sandbox.write("t.sh", "#!/bin/sh\necho generated\n");
    let image = sandbox.build(
        "shop",
        &format!(
            "FROM {BASE}\nENTRYPOINT [\"/bin/false\"]\nONTEST COPY t.sh /t.sh\nONTEST CMD [\"/t.sh\"]\n"
        ),
    );
    let generated = sandbox.expect(0, &["generate", &image]).stdout;
    fs::create_dir_all(sandbox.path().join(".docker-test/results/results")).unwrap();
    let plain = sandbox.docker_build("plain", &generated);
    assert_eq!(docker(&["run", "--rm", &plain]), "generated\n");
}

#[test]
fn the_dockerfile_is_kept_where_it_is_asked_for_and_never_over_another() {
    let sandbox = Sandbox::new();
    let image = sandbox.build("shop", &format!("FROM {BASE}\nONTEST CMD true\n"));
    fs::remove_file(sandbox.path().join("Dockerfile")).unwrap();
    sandbox.expect(0, &["--keep-dockerfile", "--keep-dockerfile=My.test", &image]);
    let kept = fs::read_to_string(sandbox.path().join("My.test")).unwrap();
    assert_eq!(kept, sandbox.expect(0, &["generate", &image]).stdout);
    assert!(!sandbox.path().join("Dockerfile.test").exists());
    sandbox.write("Dockerfile.test", "mine");
    for arguments in [["--keep-dockerfile", &image], ["--keep-dockerfile=My.test", &image]] {
        let ran = sandbox.expect(125, &arguments);
        ran.assert_stderr("never overwritten");
    }
    assert_eq!(sandbox.result("../../Dockerfile.test"), "mine");
    std::os::unix::fs::symlink("elsewhere", sandbox.path().join("link")).unwrap();
    sandbox.expect(125, &["--keep-dockerfile=link", &image]);
    assert!(!sandbox.path().join("elsewhere").exists());
}

#[test]
fn a_run_writes_nothing_but_results_to_the_users_directory() {
    let sandbox = Sandbox::new();
    let image = sandbox.build("shop", &format!("FROM {BASE}\nONTEST CMD true\n"));
    fs::remove_file(sandbox.path().join("Dockerfile")).unwrap();
    sandbox.expect(0, &[&image]);
    let expected = ["tests", "tests/results", "tests/results/.docker-test-results"];
    assert_eq!(files(&sandbox.path()), expected.map(str::to_owned).into());
}

#[test]
fn a_dry_run_prints_the_plan_and_creates_nothing() {
    let sandbox = Sandbox::new();
    let image = sandbox.docker_build("shop", &format!("FROM {BASE}\n"));
    sandbox.write("Dockerfile.test", "ARG TEST_IMAGE\nFROM ${TEST_IMAGE}\nARG API_TOKEN\nCMD true\n");
    let before = files(&sandbox.path());
    let ran = sandbox.expect(
        0,
        &[
            "--dry-run",
            "--keep-dockerfile",
            "--report",
            "junit=r.xml",
            "-e",
            "PASSWORD=hunter22",
            "--build-arg",
            "API_TOKEN=hunter33",
            &image,
        ],
    );
    let plan = ran.json();
    assert_eq!(plan["source"], json!("recipe"));
    assert!(!ran.stdout.contains("hunter"), "{}", ran.stdout);
    assert_eq!(files(&sandbox.path()), before);
    assert_eq!(image_id(&format!("{image}-test")), None);
    assert_eq!(sandbox.leftovers(), Vec::<String>::new());
}
