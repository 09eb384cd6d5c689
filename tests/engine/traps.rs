//! What goes wrong in a generated recipe unless somebody thought of it.

use std::collections::BTreeMap;
use std::fs;

use serde_json::json;

use crate::support::{BASE, Ran, Sandbox, docker, image_id, label};

/// A test that leaves a file and says who it is.
const LEAVES_A_FILE: &str = "echo \"$(id -u)\" > /var/tests/results/who";

fn run_with(sandbox: &Sandbox, builder: &str, arguments: &[&str]) -> Ran {
    let mut command = sandbox.command(arguments);
    Ran::from(command.env("DOCKER_BUILDKIT", builder).output().unwrap())
}

fn tags(repository: &str) -> Vec<String> {
    docker(&["images", "--format", "{{.Repository}}:{{.Tag}}", repository])
        .lines()
        .map(str::to_owned)
        .collect()
}

/// An image FROM scratch with one static program.
fn scratch(sandbox: &Sandbox, rest: &str) -> String {
    sandbox.docker_build(
        "scratch",
        &format!("FROM {BASE} AS base\nFROM scratch\nCOPY --from=base /bin/busybox /busybox\n{rest}"),
    )
}

#[test]
fn a_recipe_with_a_command_resets_the_entrypoint_of_its_target() {
    let sandbox = Sandbox::new();
    let onbuild = sandbox.docker_build(
        "onbuild",
        &format!("FROM {BASE}\nENTRYPOINT [\"/bin/false\"]\nONBUILD CMD [\"echo\", \"on\"]\n"),
    );
    let plain =
        sandbox.docker_build("plain", &format!("FROM {BASE}\nENTRYPOINT [\"/bin/false\"]\nCMD [\"x\"]\n"));
    for builder in ["1", "0"] {
        let ran = run_with(&sandbox, builder, &[&onbuild]);
        assert_eq!((ran.code, ran.stdout.as_str()), (0, "on\n"), "{}", ran.stderr);
        sandbox.write("Dockerfile.test", "ARG TEST_IMAGE\nFROM ${TEST_IMAGE}\nCMD echo recipe\n");
        let ran = run_with(&sandbox, builder, &[&plain]);
        assert_eq!((ran.code, ran.stdout.as_str()), (0, "recipe\n"), "{}", ran.stderr);
        fs::remove_file(sandbox.path().join("Dockerfile.test")).unwrap();
        let ran = run_with(&sandbox, builder, &[&plain, "--", "echo", "given"]);
        assert_eq!((ran.code, ran.stdout.as_str()), (0, "given\n"), "{}", ran.stderr);
    }
}

#[test]
fn an_entrypoint_of_the_recipe_is_kept() {
    let sandbox = Sandbox::new();
    let image = sandbox.build(
        "shop",
        &format!("FROM {BASE}\nENTRYPOINT [\"/bin/false\"]\nONTEST ENTRYPOINT [\"echo\", \"run\"]\nONTEST CMD [\"all\"]\n"),
    );
    assert_eq!(sandbox.expect(0, &[&image]).stdout, "run all\n");
    assert_eq!(sandbox.expect(0, &[&image, "--", "one"]).stdout, "run one\n");
    assert_eq!(sandbox.expect(0, &["--entrypoint", "printf", &image, "--", "x"]).stdout, "x");
    // Also where a stage below the last one says it.
    sandbox.write(
        "Dockerfile.test",
        "ARG TEST_IMAGE\nFROM ${TEST_IMAGE} AS runner\nENTRYPOINT [\"echo\", \"stage\"]\nFROM runner\nCMD [\"all\"]\n",
    );
    let plain = sandbox.docker_build("plain", &format!("FROM {BASE}\nENTRYPOINT [\"/bin/false\"]\n"));
    assert_eq!(sandbox.expect(0, &[&plain]).stdout, "stage all\n");
}

#[test]
fn a_dockerfile_test_may_end_in_an_open_continuation() {
    let sandbox = Sandbox::new();
    let image = sandbox.docker_build("shop", &format!("FROM {BASE}\n"));
    for (escape, end, builder) in [("\\", "\\", "1"), ("`", "`\n  # said\n", "0")] {
        sandbox.write(
            "Dockerfile.test",
            &format!(
                "# escape={escape}\nARG TEST_IMAGE\nFROM ${{TEST_IMAGE}}\nRUN mkdir /x\nCMD echo end {end}"
            ),
        );
        let ran = run_with(&sandbox, builder, &[&image]);
        assert_eq!((ran.code, ran.stdout.as_str()), (0, "end\n"), "{}", ran.stderr);
    }
}

#[test]
fn results_can_be_written_from_scratch_by_any_user_on_a_read_only_file_system() {
    let sandbox = Sandbox::new();
    let image = scratch(&sandbox, "USER 1234\n");
    let script = "/busybox id -u > /var/tests/results/who";
    for builder in ["1", "0"] {
        for (flags, user) in [(vec![], "1234\n"), (vec!["-u", "4321", "--read-only"], "4321\n")] {
            let arguments: Vec<&str> =
                flags.iter().copied().chain([image.as_str(), "--", "/busybox", "sh", "-c", script]).collect();
            run_with(&sandbox, builder, &arguments).assert_code(0);
            assert_eq!(sandbox.result("who"), user, "builder {builder}");
        }
    }
    assert_eq!(sandbox.leftovers(), Vec::<String>::new());
}

#[test]
fn results_can_be_written_where_the_image_has_the_path_already() {
    let sandbox = Sandbox::new();
    let table = [
        ("rooted", "RUN mkdir -p -m 700 /var/tests/results && echo old > /var/tests/results/old"),
        ("volume", "RUN mkdir -p /var/tests\nVOLUME /var/tests"),
        ("both", "VOLUME [\"/var/tests/results\"]"),
    ];
    for (name, line) in table {
        let image = sandbox.docker_build(name, &format!("FROM {BASE}\n{line}\nUSER 1234\n"));
        for builder in if name == "volume" { ["1", "0"].as_slice() } else { &["1"] } {
            run_with(&sandbox, builder, &[&image, "--", "sh", "-c", LEAVES_A_FILE]).assert_code(0);
            assert_eq!(sandbox.result("who"), "1234\n", "{name}, builder {builder}");
        }
    }
}

#[test]
fn the_results_path_may_be_elsewhere_and_have_a_space() {
    let sandbox = Sandbox::new();
    for (name, path) in [("space", "/my own/results dir"), ("root", "/results"), ("deep", "/a/b/c/d/")] {
        let image =
            sandbox.docker_build(name, &format!("FROM {BASE}\nLABEL test.results=\"{path}\"\nUSER 1234\n"));
        for builder in if name == "space" { ["1", "0"].as_slice() } else { &["1"] } {
            let script = format!("echo {name} > '{path}/file'");
            run_with(&sandbox, builder, &[&image, "--", "sh", "-c", &script]).assert_code(0);
            assert_eq!(sandbox.result("file").trim(), name);
        }
    }
}

#[test]
fn a_results_path_that_is_a_link_works_or_is_an_error_that_says_so() {
    let sandbox = Sandbox::new();
    let image = sandbox.docker_build(
        "link",
        &format!("FROM {BASE}\nRUN mkdir -p /var/tests /real && ln -s /real /var/tests/results\n"),
    );
    for builder in ["1", "0"] {
        let ran = run_with(&sandbox, builder, &[&image, "--", "sh", "-c", LEAVES_A_FILE]);
        if ran.code == 0 {
            assert_eq!(sandbox.result("who"), "0\n", "builder {builder}");
        } else {
            ran.assert_code(125);
            ran.assert_stderr("/var/tests/results");
            ran.assert_stderr("symbolic link");
            ran.assert_stderr("test.results");
        }
    }
}

#[test]
fn a_link_above_the_results_path_is_followed() {
    let sandbox = Sandbox::new();
    let image = sandbox.docker_build(
        "above",
        &format!("FROM {BASE}\nRUN mkdir -p /elsewhere && ln -s /elsewhere /var/tests\nUSER 1234\n"),
    );
    for builder in ["1", "0"] {
        run_with(&sandbox, builder, &[&image, "--", "sh", "-c", LEAVES_A_FILE]).assert_code(0);
        assert_eq!(sandbox.result("who"), "1234\n", "builder {builder}");
    }
}

#[test]
fn a_test_image_that_does_not_stand_on_its_target_is_refused_and_does_not_keep_the_name() {
    let sandbox = Sandbox::new();
    let image = sandbox.docker_build("shop", &format!("FROM {BASE}\nRUN echo app > /app\n"));
    let test_image = format!("{image}-test");
    sandbox.write(
        "Dockerfile.test",
        &format!("ARG TEST_IMAGE\nFROM ${{TEST_IMAGE}} AS unused\nFROM {BASE}\nCMD true\n"),
    );
    for builder in ["1", "0"] {
        for _ in 0..2 {
            let ran = run_with(&sandbox, builder, &[&image]);
            ran.assert_code(125);
            ran.assert_stderr("not on top of");
            assert_eq!(image_id(&test_image), None);
        }
    }
    // A good test image that was there before is there again.
    sandbox.write("Dockerfile.good", "ARG TEST_IMAGE\nFROM ${TEST_IMAGE}\nCMD true\n");
    sandbox.expect(0, &["-f", "Dockerfile.good", &image]);
    let good = image_id(&test_image);
    sandbox.expect(125, &[&image]);
    assert_eq!(image_id(&test_image), good);
}

#[test]
fn a_test_image_is_no_image_to_be_tested() {
    let sandbox = Sandbox::new();
    let image = sandbox.docker_build("shop", &format!("FROM {BASE}\nLABEL test.cmd=true\n"));
    sandbox.expect(0, &[&image]);
    let ran = sandbox.expect(125, &[&format!("{image}-test")]);
    ran.assert_stderr("is a test image");
    ran.assert_stderr(&format!("docker-test {image}"));
}

#[test]
fn an_image_of_somebody_elses_under_the_test_images_name_is_not_overwritten() {
    let sandbox = Sandbox::new();
    let image = sandbox.docker_build("shop", &format!("FROM {BASE}\nLABEL test.cmd=true\n"));
    let taken = format!("{image}-test");
    docker(&["tag", BASE, &taken]);
    let before = image_id(&taken);
    let ran = sandbox.expect(125, &[&image]);
    ran.assert_stderr(&taken);
    ran.assert_stderr("--test-image");
    let other = sandbox.image("elsewhere");
    sandbox.expect(0, &["--test-image", &other, &image]);
    assert!(image_id(&other).is_some());
    assert_eq!(image_id(&taken), before);
}

#[test]
fn an_image_without_a_name_is_tested_by_its_id_and_stays() {
    let sandbox = Sandbox::new();
    let test_image = sandbox.image("untagged-test");
    sandbox.write("empty/Dockerfile", &format!("FROM {BASE}\nLABEL for={}\n", sandbox.name("id")));
    let id = docker(&["build", "-q", sandbox.path().join("empty").to_str().unwrap()]).trim().to_owned();
    for builder in ["0", "1"] {
        let arguments = ["--test-image", &test_image, "--no-cache", &id, "--", "echo", "ran"];
        let ran = run_with(&sandbox, builder, &arguments);
        ran.assert_code(0);
        assert_eq!(ran.stdout, "ran\n");
        assert_eq!(image_id(&id).as_deref(), Some(id.as_str()), "the user's image is still there");
        if builder == "0" {
            // Built from the id. BuildKit takes none, and the name that it is given stays, as the only one.
            assert_eq!(docker(&["image", "inspect", "-f", "{{json .RepoTags}}", &id]).trim(), "[]");
        }
    }
    docker(&["rmi", "-f", &test_image]);
    docker(&["rmi", "-f", &id]);
}

#[test]
fn an_image_that_goes_before_its_build_is_told_and_never_pulled() {
    let mut sandbox = Sandbox::new();
    let image = sandbox.docker_build("shop", &format!("FROM {BASE}\nLABEL test.cmd=true\n"));
    let id = image_id(&image).unwrap();
    // Logins are read between the plan and the build.
    let helper = format!(
        "#!/bin/sh\ndocker rmi {image} >/dev/null\necho credentials not found in native keychain\nexit 1\n"
    );
    let program = sandbox.write("bin/docker-credential-remover", &helper);
    let path = format!("{}:{}", program.parent().unwrap().display(), std::env::var("PATH").unwrap());
    let config = sandbox.write("config/config.json", r#"{"credHelpers":{"reg.example":"remover"}}"#);
    sandbox.set("PATH", &path).set("DOCKER_CONFIG", config.parent().unwrap().to_str().unwrap());
    let ran = run_with(&sandbox, "0", &[&image]);
    ran.assert_code(125);
    ran.assert_stderr(&format!("{image} was removed while its test image was built"));
    assert!(!ran.stderr.contains("dial tcp") && !ran.stderr.contains("Pulling"), "{}", ran.stderr);
    assert_eq!(image_id(&id), None);
}

#[test]
fn a_rebuilt_test_image_leaves_nothing_dangling_and_no_private_tag() {
    let sandbox = Sandbox::new();
    let image = sandbox.docker_build("shop", &format!("FROM {BASE}\nLABEL test.owner=\"me\"\n"));
    let filter = format!("label=docker-test.target={}", image_id(&image).unwrap());
    for builder in ["1", "0"] {
        for word in ["one", "two", "two"] {
            sandbox.write(
                "Dockerfile.test",
                &format!(
                    "ARG TEST_IMAGE\nFROM ${{TEST_IMAGE}}\nRUN echo {word} > /w\nCMD [\"cat\", \"/w\"]\n"
                ),
            );
            let ran = run_with(&sandbox, builder, &["--format", "json", &image]);
            ran.assert_code(0);
            let run_id = ran.event("run_started")["run_id"].as_str().unwrap().to_owned();
            assert_eq!(tags("localhost/docker-test-target").iter().find(|tag| tag.ends_with(&run_id)), None);
            let images = docker(&["images", "--filter", &filter, "--format", "{{.Repository}}:{{.Tag}}"]);
            assert_eq!(images.trim(), format!("{image}-test"), "builder {builder}");
        }
    }
    assert!(image_id(&image).is_some());
}

#[test]
fn a_superseded_test_image_that_the_user_named_stays() {
    let sandbox = Sandbox::new();
    let image = sandbox.docker_build("shop", &format!("FROM {BASE}\n"));
    sandbox.expect(0, &[&image, "--", "true"]);
    let kept = sandbox.image("kept");
    docker(&["tag", &format!("{image}-test"), &kept]);
    let before = image_id(&kept);
    sandbox.expect(0, &["--no-cache", "--build-label", "a=b", &image, "--", "true"]);
    assert_eq!(image_id(&kept), before);
    assert_ne!(image_id(&format!("{image}-test")), before);
}

#[test]
fn a_failed_build_leaves_no_private_tag_and_the_older_test_image() {
    let sandbox = Sandbox::new();
    let image = sandbox.docker_build("shop", &format!("FROM {BASE}\n"));
    sandbox.expect(0, &[&image, "--", "true"]);
    let before = image_id(&format!("{image}-test"));
    sandbox
        .write("Dockerfile.test", "ARG TEST_IMAGE\nFROM ${TEST_IMAGE}\n\nRUN echo why; exit 9\nCMD true\n");
    for builder in ["1", "0"] {
        let ran = run_with(&sandbox, builder, &["--format", "json", &image]);
        ran.assert_code(125);
        ran.assert_stderr("Dockerfile.test:4");
        ran.assert_stderr("exit 9");
        let run_id = ran.event("run_started")["run_id"].as_str().unwrap().to_owned();
        assert_eq!(tags("localhost/docker-test-target").iter().find(|tag| tag.ends_with(&run_id)), None);
        assert_eq!(image_id(&format!("{image}-test")), before);
    }
}

/// An image with these labels, which a builder's own quoting cannot touch.
fn labelled(sandbox: &Sandbox, name: &str, labels: &BTreeMap<&str, String>) -> String {
    let image = sandbox.image(name);
    sandbox.write("empty/Dockerfile", &format!("FROM {BASE}\n"));
    let mut arguments = vec!["build".to_owned(), "-q".to_owned(), "-t".to_owned(), image.clone()];
    for (name, value) in labels {
        arguments.extend(["--label".to_owned(), format!("{name}={value}")]);
    }
    arguments.push("empty".to_owned());
    let ran = sandbox.expect(0, &arguments);
    assert!(!ran.stdout.is_empty());
    image
}

#[test]
fn a_hostile_recipe_adds_no_instruction() {
    let sandbox = Sandbox::new();
    let hostile = [
        "RUN true\nRUN touch /pwned",
        "RUN true\r\nRUN touch /pwned",
        "RUN true \\",
        "RUN <<EOF\ntrue\nEOF\nRUN touch /pwned",
        "RUN cat <<EOF\nRUN touch /pwned\nEOF",
        "# escape=`\nRUN touch /pwned",
        "ENV A=\"x\nRUN touch /pwned\"",
        "FROM docker-test-base/busybox:1",
        "ONBUILD RUN touch /pwned",
        "ONTEST RUN touch /pwned",
        " \\\nRUN touch /pwned\nRUN x",
        "",
        "LABEL a='b\nENTRYPOINT [\"touch\", \"/pwned\"]'",
        "RUN true\u{2028}RUN touch /pwned\nCMD x",
        "RUN true\u{0}",
        "COPY a /a\nFROM scratch",
    ];
    for (number, text) in hostile.iter().enumerate() {
        let recipe = json!([text, "CMD [\"ls\", \"/\"]"]).to_string();
        let image =
            labelled(&sandbox, &format!("hostile{number}"), &BTreeMap::from([("test.ontest", recipe)]));
        for builder in ["1", "0"] {
            let ran = run_with(&sandbox, builder, &[&image]);
            ran.assert_code(125);
            let named = ran.stderr.contains("test.ontest") || ran.stderr.contains("it lacks heredoc");
            assert!(named, "{text:?}: {}", ran.stderr);
            assert_eq!(ran.stdout, "", "{text:?}");
            assert_eq!(image_id(&format!("{image}-test")), None, "{text:?}");
        }
    }
}

#[test]
fn a_label_that_is_not_what_it_should_be_is_an_error_that_names_it() {
    let sandbox = Sandbox::new();
    let table: [(&str, String); 11] = [
        ("test.ontest", "RUN touch /pwned".to_owned()),
        ("test.ontest", "{\"a\": 1}".to_owned()),
        ("test.ontest", "[1]".to_owned()),
        ("test.ontest", json!(["x".repeat(300 * 1024)]).to_string()),
        ("test.results", "/x\"]\nRUN touch /pwned".to_owned()),
        ("test.results", "/x\", \"/y".to_owned()),
        ("test.results", "relative".to_owned()),
        ("test.results", "/a/../../etc".to_owned()),
        ("test.results", "/proc/self".to_owned()),
        ("test.cmd", "[\"a\", 1]".to_owned()),
        ("test.timeout", "soon\u{1b}[31m".to_owned()),
    ];
    for (number, (name, value)) in table.into_iter().enumerate() {
        let mut labels = BTreeMap::from([(name, value.clone())]);
        labels.entry("test.cmd").or_insert_with(|| "true".to_owned());
        if value.len() > 100_000 {
            // More than one argument of a command can hold.
            let image = sandbox.image("large");
            sandbox.write("empty/Dockerfile", &format!("FROM {BASE}\n"));
            let part = "x".repeat(60_000);
            let parts: Vec<String> = (0..5).map(|index| format!("P{index}={part}")).collect();
            let arguments: Vec<&str> = parts.iter().flat_map(|part| ["--build-arg", part.as_str()]).collect();
            let lines = "ARG P0\nARG P1\nARG P2\nARG P3\nARG P4\n";
            sandbox.write(
                "empty/Dockerfile",
                &format!("FROM {BASE}\n{lines}LABEL test.ontest=\"[\\\"RUN $P0$P1$P2$P3$P4\\\"]\"\n"),
            );
            let all: Vec<&str> =
                ["build", "-t", &image].into_iter().chain(arguments).chain(["empty"]).collect();
            sandbox.expect(0, &all);
            assert!(label(&image, "test.ontest").len() > 256 * 1024);
            sandbox.expect(125, &[&image]).assert_stderr("test.ontest");
            continue;
        }
        let image = labelled(&sandbox, &format!("label{number}"), &labels);
        let ran = sandbox.expect(125, &[&image]);
        ran.assert_stderr(&format!("label {name}"));
        assert!(!ran.stderr.contains('\u{1b}'), "{:?}", ran.stderr);
        assert_eq!(ran.stdout, "");
    }
}

#[test]
fn a_hostile_test_command_stays_a_command() {
    let sandbox = Sandbox::new();
    let command = "echo one\nRUN touch /pwned\n\"]\nENTRYPOINT [\"x\"] ; ls /".to_owned();
    let image = labelled(&sandbox, "shop", &BTreeMap::from([("test.cmd", command)]));
    let ran = sandbox.run(&[&image]);
    assert!(ran.stdout.starts_with("one\n") && !ran.stdout.contains("pwned"), "{ran:?}");
    let generated = sandbox.expect(0, &["generate", &image]).stdout;
    assert!(!generated.contains("pwned"), "{generated}");
}

#[test]
fn a_large_recipe_is_recorded_and_a_larger_one_refused() {
    let sandbox = Sandbox::new();
    let lines = |count: usize| {
        let long = "x".repeat(30_000);
        let lines: Vec<String> = (0..count).map(|number| format!("ONTEST ENV V{number}={long}\n")).collect();
        lines.concat()
    };
    let image = sandbox.build("large", &format!("FROM {BASE}\n{}ONTEST CMD echo $V7 | wc -c\n", lines(8)));
    assert_eq!(sandbox.expect(0, &[&image]).stdout.trim(), "30001");
    sandbox.write("Dockerfile", &format!("FROM {BASE}\n{}", lines(9)));
    let ran = sandbox.expect(125, &["build", "-t", &image, "."]);
    ran.assert_stderr("test.ontest");
    ran.assert_stderr("262144");
}
