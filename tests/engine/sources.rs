//! Where the recipe of an image comes from, and in which order.

use std::fs;

use crate::support::{BASE, Sandbox, image_id};

/// A CMD that says which recipe it belongs to.
fn says(word: &str) -> String {
    format!("CMD [\"echo\", \"{word}\"]")
}

fn source(sandbox: &Sandbox, arguments: &[&str]) -> String {
    let all: Vec<&str> = ["inspect", "--format", "json"].iter().chain(arguments).copied().collect();
    sandbox.expect(0, &all).json()["source"].as_str().unwrap().to_owned()
}

#[track_caller]
fn assert_source(sandbox: &Sandbox, arguments: &[&str], name: &str, output: &str) {
    assert_eq!(source(sandbox, arguments), name);
    let ran = sandbox.expect(0, arguments);
    assert_eq!(ran.stdout, format!("{output}\n"), "{}", ran.stderr);
}

#[test]
fn the_first_source_that_applies_is_taken() {
    let sandbox = Sandbox::new();
    let labelled = sandbox.build(
        "labelled",
        &format!(
            "FROM {BASE}\nONBUILD {}\nLABEL test.cmd=\"echo command\"\nONTEST {}\n",
            says("onbuild"),
            says("label")
        ),
    );
    let onbuild = sandbox.docker_build(
        "onbuild",
        &format!("FROM {BASE}\nONBUILD {}\nLABEL test.cmd=\"echo command\"\n", says("onbuild")),
    );
    let plain = sandbox.docker_build("plain", &format!("FROM {BASE}\nLABEL test.cmd=\"echo command\"\n"));
    let recipe = format!("ARG TEST_IMAGE\nFROM ${{TEST_IMAGE}}\n{}\n", says("recipe"));
    sandbox.write("Dockerfile.test", &recipe);
    sandbox.write("Dockerfile", &format!("FROM {BASE}\nONTEST {}\n", says("dockerfile")));

    assert_source(&sandbox, &[&labelled], "label", "label");
    assert_source(&sandbox, &[&onbuild], "onbuild", "onbuild");
    assert_source(&sandbox, &[&plain], "recipe", "recipe");
    assert_source(&sandbox, &[&plain, "--", "echo", "given"], "recipe", "given");
    fs::remove_file(sandbox.path().join("Dockerfile.test")).unwrap();
    assert_source(&sandbox, &[&plain], "dockerfile", "dockerfile");
    assert_source(&sandbox, &["-f", "Dockerfile", &labelled], "dockerfile", "dockerfile");
    fs::remove_file(sandbox.path().join("Dockerfile")).unwrap();
    assert_source(&sandbox, &[&plain], "command", "command");
    assert_source(&sandbox, &[&plain, "--", "echo", "given"], "command", "given");
    assert_eq!(sandbox.leftovers(), Vec::<String>::new());
}

#[test]
fn an_image_that_does_not_say_how_it_is_tested_is_an_error_that_names_the_ways() {
    let sandbox = Sandbox::new();
    let image = sandbox.docker_build("mute", &format!("FROM {BASE}\n"));
    let ran = sandbox.expect(125, &[&image]);
    for way in ["ONTEST", "docker-test build", "ONBUILD", "Dockerfile.test", "test.cmd", "-- "] {
        ran.assert_stderr(way);
    }
    assert_eq!(ran.stdout, "");
    assert_eq!(image_id(&format!("{image}-test")), None);
    assert!(!sandbox.path().join("tests").exists());
}

#[test]
fn a_dockerfile_without_ontest_lines_is_no_source() {
    let sandbox = Sandbox::new();
    let image = sandbox.docker_build("mute", &format!("FROM {BASE}\n"));
    sandbox.write("Dockerfile", &format!("FROM {BASE}\nRUN false\n"));
    sandbox.expect(125, &[&image]).assert_stderr("does not say how it is tested");
}

#[test]
fn an_image_of_the_stripped_dockerfile_is_tested_by_the_ontest_lines_beside_it() {
    let sandbox = Sandbox::new();
    let image = sandbox.docker_build("shop", &format!("FROM {BASE}\nENTRYPOINT [\"/bin/false\"]\n"));
    sandbox.write("t.sh", "#!/bin/sh\necho \"from $0\"\n");
    sandbox.write(
        "Dockerfile",
        &format!(
            "FROM {BASE}\nENTRYPOINT [\"/bin/false\"]\nONTEST COPY t.sh /t.sh\nONTEST CMD [\"/t.sh\"]\n"
        ),
    );
    for builder in ["1", "0"] {
        let mut command = sandbox.command(&[&image]);
        let ran = crate::support::Ran::from(command.env("DOCKER_BUILDKIT", builder).output().unwrap());
        ran.assert_code(0);
        assert_eq!(ran.stdout, "from /t.sh\n");
    }
}

#[test]
fn a_test_command_has_an_exec_and_a_shell_form() {
    let sandbox = Sandbox::new();
    let table =
        [("exec", r#"["echo", "a  b", "$HOME"]"#, "a  b $HOME\n"), ("shell", "X=1; echo a  b $X", "a b 1\n")];
    for (name, command, output) in table {
        let label = command.replace('\\', "\\\\").replace('"', "\\\"").replace('$', "\\$");
        let image = sandbox.docker_build(
            name,
            &format!("FROM {BASE}\nENTRYPOINT [\"/bin/false\"]\nLABEL test.cmd=\"{label}\"\n"),
        );
        assert_eq!(sandbox.expect(0, &[&image]).stdout, output, "{name}");
    }
}

#[test]
fn a_command_after_two_dashes_takes_the_place_of_the_recipes() {
    let sandbox = Sandbox::new();
    let image =
        sandbox.build("shop", &format!("FROM {BASE}\nONTEST RUN echo made > /made\nONTEST CMD false\n"));
    let ran = sandbox.expect(0, &[&image, "--", "cat", "/made"]);
    assert_eq!(ran.stdout, "made\n");
}

#[test]
fn a_test_image_that_travels_beside_its_target_runs_where_the_recipe_is_not_at_hand() {
    let sandbox = Sandbox::new();
    let image = sandbox.docker_build("shop", &format!("FROM {BASE}\n"));
    sandbox.write("greeting", "hello\n");
    sandbox.write(
        "Dockerfile.test",
        "ARG TEST_IMAGE\nFROM ${TEST_IMAGE}\nCOPY greeting /\nCMD [\"cat\", \"/greeting\"]\n",
    );
    sandbox.expect(0, &[&image]);
    for file in ["Dockerfile.test", "greeting"] {
        fs::remove_file(sandbox.path().join(file)).unwrap();
    }
    assert_source(&sandbox, &[&image], "test-image", "hello");

    // A test image of another target is not taken for this one's.
    let other = sandbox.docker_build("other", &format!("FROM {BASE}\nLABEL other=1\n"));
    sandbox.expect(125, &[&other, "--test-image", &format!("{image}-test")]);
}

#[test]
fn a_file_that_is_named_wins_over_every_other_source() {
    let sandbox = Sandbox::new();
    let image = sandbox.build("shop", &format!("FROM {BASE}\nONTEST {}\n", says("label")));
    sandbox.write("other/My.Dockerfile", &format!("FROM x\nONTEST {}\n", says("ontest")));
    sandbox.write("other/recipe", &format!("ARG TEST_IMAGE\nFROM $TEST_IMAGE\n{}\n", says("recipe")));
    assert_source(&sandbox, &["-f", "other/My.Dockerfile", &image], "dockerfile", "ontest");
    assert_source(&sandbox, &["-f", "other/recipe", &image], "recipe", "recipe");
    sandbox.expect(125, &["-f", "nope", &image]).assert_stderr("nope");
    sandbox.write("wrong", &format!("FROM {BASE}\nCMD true\n"));
    sandbox.expect(125, &["-f", "wrong", &image]).assert_stderr("FROM ${TEST_IMAGE}");
}

#[test]
fn the_path_is_where_the_recipe_and_its_files_are_read() {
    let sandbox = Sandbox::new();
    let image = sandbox.docker_build("shop", &format!("FROM {BASE}\n"));
    sandbox.write("where", "wrong\n");
    sandbox.write("sub/where", "right\n");
    sandbox.write(
        "sub/Dockerfile.test",
        "ARG TEST_IMAGE\nFROM ${TEST_IMAGE}\nCOPY where /\nCMD [\"cat\", \"/where\"]\n",
    );
    assert_source(&sandbox, &["--path", "sub", &image], "recipe", "right");
    // -f is a path of the caller's, and what it copies is the context's.
    assert_source(&sandbox, &["-f", "sub/Dockerfile.test", &image], "recipe", "wrong");
    let ran = sandbox.expect(125, &["--path", "sub/where", &image]);
    ran.assert_stderr("not a directory");
    ran.assert_stderr("-f");
}

#[test]
fn the_target_chooses_the_stage_whose_ontest_lines_apply() {
    let sandbox = Sandbox::new();
    let image = sandbox.docker_build("shop", &format!("FROM {BASE}\n"));
    sandbox.write(
        "Dockerfile",
        &format!(
            "ARG BASE={BASE}\nFROM ${{BASE}} AS build\nONTEST {}\nFROM ${{BASE}} AS Lint\nONTEST {}\nFROM build\n",
            says("build"),
            says("lint")
        ),
    );
    // The last stage has no lines of its own: it is tested as the one that it stands on.
    assert_source(&sandbox, &[&image], "dockerfile", "build");
    assert_source(&sandbox, &["--target", "lint", &image], "dockerfile", "lint");
    assert_source(&sandbox, &["--target", "0", &image], "dockerfile", "build");
    let ran = sandbox.expect(125, &["--target", "lnit", &image]);
    ran.assert_stderr("lnit");
    ran.assert_stderr("`Lint`");
}

#[test]
fn a_dockerfile_test_may_have_several_stages_and_arguments_before_from() {
    let sandbox = Sandbox::new();
    let image = sandbox.docker_build("shop", &format!("FROM {BASE}\nENTRYPOINT [\"/bin/false\"]\n"));
    // The classic builder leaves stages behind, which the sandbox knows by their label.
    let name = sandbox.name("stage");
    sandbox.write(
        "Dockerfile.test",
        &format!(
            "ARG TOOLS={BASE}\nARG TEST_IMAGE=nothing\nFROM ${{TOOLS}} AS tools\nLABEL sandbox={name}\nARG WORD=none\nRUN echo $WORD > /tool\n\
             FROM ${{TEST_IMAGE}} AS unit\nLABEL sandbox={name}\nCOPY --from=tools /tool /tool\nCMD [\"cat\", \"/tool\"]\n\
             FROM unit AS more\nCMD [\"echo\", \"more\"]\n"
        ),
    );
    for builder in ["1", "0"] {
        let run = |arguments: &[&str]| {
            let mut command = sandbox.command(arguments);
            let ran = crate::support::Ran::from(command.env("DOCKER_BUILDKIT", builder).output().unwrap());
            ran.assert_code(0);
            ran.stdout
        };
        assert_eq!(run(&[&image]), "more\n");
        assert_eq!(run(&["--target", "unit", "--build-arg", "WORD=given", &image]), "given\n");
    }
}

#[test]
fn an_onbuild_trigger_copies_from_the_users_directory() {
    let sandbox = Sandbox::new();
    let image = sandbox.docker_build(
        "shop",
        &format!(
            "FROM {BASE}\nONBUILD COPY t.sh /t.sh\nONBUILD RUN echo built > /built\nONBUILD CMD [\"/t.sh\"]\n"
        ),
    );
    sandbox.write("t.sh", "#!/bin/sh\ncat /built\n");
    for builder in ["1", "0"] {
        let mut command = sandbox.command(&[&image]);
        let ran = crate::support::Ran::from(command.env("DOCKER_BUILDKIT", builder).output().unwrap());
        ran.assert_code(0);
        assert_eq!(ran.stdout, "built\n", "builder {builder}");
    }
}

#[test]
fn a_recipe_without_a_command_runs_the_images_own_and_says_so() {
    let sandbox = Sandbox::new();
    let image = sandbox.build(
        "shop",
        &format!("FROM {BASE}\nENTRYPOINT [\"echo\", \"own\"]\nCMD [\"command\"]\nONTEST ENV A=b\n"),
    );
    let ran = sandbox.expect(0, &[&image]);
    assert_eq!(ran.stdout, "own command\n");
    ran.assert_stderr("no CMD and no ENTRYPOINT");
}
