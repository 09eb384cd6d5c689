//! `docker-test build`: what is recorded, what the builder sees, and docker build's own flags.

use std::fs;
use std::io::Write;
use std::process::Stdio;

use serde_json::{Value, json};

use crate::support::{BASE, Ran, Sandbox, docker, image_id, label};

fn recorded(image: &str) -> Value {
    serde_json::from_str(&label(image, "test.ontest")).unwrap()
}

fn origin(image: &str) -> Value {
    serde_json::from_str(&label(image, "test.ontest.origin")).unwrap()
}

/// Once with BuildKit and once with the classic builder.
fn with_each_builder(test: impl Fn(&Sandbox)) {
    for builder in ["1", "0"] {
        let mut sandbox = Sandbox::new();
        sandbox.set("DOCKER_BUILDKIT", builder);
        test(&sandbox);
    }
}

#[test]
fn ontest_lines_are_recorded_as_written_with_owner_and_lines() {
    with_each_builder(|sandbox| {
        let image = sandbox.build(
            "shop",
            &format!(
                "# a comment\nFROM {BASE}\nontest run echo one && \\\n  # a comment between\n  echo two\nRUN echo app > /app\n\
                 ONTEST  CMD [\"cat\", \\\n  \"/app\"]\n"
            ),
        );
        let texts = recorded(&image);
        assert_eq!(texts[0].as_str().unwrap(), "run echo one && \\\n  # a comment between\n  echo two");
        assert_eq!(texts[1].as_str().unwrap(), "CMD [\"cat\", \\\n  \"/app\"]");
        let origin = origin(&image);
        assert_eq!(origin["owner"], json!(image));
        assert_eq!(origin["base"], json!(BASE));
        assert_eq!(origin["dockerfile"], json!("Dockerfile"));
        assert_eq!(origin["lines"], json!([[3, 5], [7, 8]]));
        assert_eq!(origin["inherited"], json!([]));
        assert_eq!(sandbox.expect(0, &[&image]).stdout, "app\n");
        let inspected = sandbox.expect(0, &["inspect", "--format", "json", &image]).json();
        assert_eq!(inspected["triggers"][1]["line"], json!(7));
    });
}

#[test]
fn a_heredoc_is_recorded_and_refused_by_name_where_the_builder_lacks_it() {
    let sandbox = Sandbox::new();
    let image = sandbox.build(
        "shop",
        &format!("FROM {BASE}\nONTEST RUN <<EOF\necho a\nRUN rm -rf /\nEOF\nONTEST CMD true\n"),
    );
    assert_eq!(recorded(&image)[0].as_str().unwrap(), "RUN <<EOF\necho a\nRUN rm -rf /\nEOF");
    for builder in ["1", "0"] {
        let mut command = sandbox.command(&[&image]);
        let ran = Ran::from(command.env("DOCKER_BUILDKIT", builder).output().unwrap());
        ran.assert_code(125);
        ran.assert_stderr("heredoc");
        ran.assert_stderr(if builder == "1" { "BuildKit" } else { "classic builder" });
    }
    assert_eq!(image_id(&format!("{image}-test")), None);
}

#[test]
fn a_feature_that_the_builder_lacks_is_refused_with_the_line_of_the_dockerfile() {
    let sandbox = Sandbox::new();
    sandbox.write("Dockerfile", &format!("FROM {BASE}\nONTEST CMD true\nRUN <<EOF\ntrue\nEOF\n"));
    let ran = sandbox.expect(125, &["build", "-t", &sandbox.image("shop"), "."]);
    ran.assert_stderr("Dockerfile:3");
    ran.assert_stderr("heredoc");
}

#[test]
fn a_feature_of_buildkit_alone_is_refused_for_the_classic_builder() {
    let mut sandbox = Sandbox::new();
    let image = sandbox.build(
        "shop",
        &format!("FROM {BASE}\nONTEST RUN --mount=type=cache,target=/c echo > /c/x\nONTEST CMD true\n"),
    );
    sandbox.expect(0, &[&image]);
    sandbox.set("DOCKER_BUILDKIT", "0");
    let ran = sandbox.expect(125, &["--no-cache", &image]);
    ran.assert_stderr("RUN --mount=type=cache");
    ran.assert_stderr("classic builder");
}

#[test]
fn an_error_of_the_builder_names_the_authors_line() {
    let sandbox = Sandbox::new();
    let image = sandbox.image("shop");
    sandbox.write(
        "Dockerfile",
        &format!("FROM {BASE}\nONTEST RUN echo \\\n  one\nONTEST CMD true\nFROBNICATE x\n"),
    );
    let ran = sandbox.expect(125, &["build", "-t", &image, "."]);
    ran.assert_stderr("Dockerfile:5: the build failed: unknown instruction: FROBNICATE");
    // The builder's own count is of a file without the ONTEST lines.
    assert!(!ran.stderr.contains("parse error"), "{}", ran.stderr);
    sandbox.write("Dockerfile", &format!("FROM {BASE}\nONTEST CMD true\nRUN echo said && exit 7\n"));
    let ran = sandbox.expect(125, &["build", "-t", &image, "."]);
    ran.assert_stderr("exit 7");
    ran.assert_stderr("said");
    assert_eq!(image_id(&image), None);
}

#[test]
fn an_error_in_a_recorded_instruction_names_the_authors_line_too() {
    let sandbox = Sandbox::new();
    let image = sandbox
        .build("shop", &format!("FROM {BASE}\n\n\nONTEST COPY --frobnicate=1 a /a\nONTEST CMD true\n"));
    sandbox.write("a", "");
    for builder in ["1", "0"] {
        let mut command = sandbox.command(&[&image]);
        let ran = Ran::from(command.env("DOCKER_BUILDKIT", builder).output().unwrap());
        ran.assert_code(125);
        ran.assert_stderr("Dockerfile:4: the build failed: ");
        assert!(!ran.stderr.contains("line 2"), "{}", ran.stderr);
    }
}

#[test]
fn a_build_says_what_it_built_and_tells_every_step_once() {
    with_each_builder(|sandbox| {
        let (one, two) = (sandbox.image("one"), sandbox.image("two"));
        sandbox.write("Dockerfile", &format!("FROM {BASE}\nRUN echo said-once\nONTEST CMD true\n"));
        let ran = sandbox.expect(0, &["build", "--no-cache", "-t", &one, "-t", &two, "."]);
        let id = image_id(&one).unwrap();
        assert_eq!(image_id(&two).unwrap(), id);
        assert!(ran.stderr.ends_with(&format!("{one} is {id}\n{two} is {id}\n")), "{}", ran.stderr);
        let steps = ran.stderr.lines().filter(|line| line.starts_with('#') && line.contains("RUN echo said"));
        assert_eq!(steps.count(), 1, "{}", ran.stderr);
        let ran = sandbox.expect(0, &["build", "--format", "json", "-t", &one, "."]);
        assert_eq!(ran.event("built")["image_id"], json!(image_id(&one).unwrap()));
        assert_eq!(sandbox.expect(0, &["build", "-q", "-t", &one, "."]).stderr, "");
    });
}

#[test]
fn every_name_of_an_image_gets_its_test_image() {
    let sandbox = Sandbox::new();
    let (one, two) = (sandbox.image("one"), sandbox.image("two"));
    sandbox.write("Dockerfile", &format!("FROM {BASE}\nONTEST CMD [\"echo\", \"hi\"]\n"));
    for flags in [&["build"][..], &["build", "--no-cache"]] {
        let ran = sandbox.expect(0, &[flags, &["--with-tests", "-t", &one, "-t", &two, "."]].concat());
        for name in [&one, &two] {
            let test_image = format!("{name}-test");
            ran.assert_stderr(&format!("{test_image} is {}\n", image_id(&test_image).unwrap()));
            assert_eq!(label(&test_image, "docker-test.target.name"), *name);
        }
    }
}

#[test]
fn everything_but_the_ontest_lines_reaches_the_builder_as_it_is() {
    with_each_builder(|sandbox| {
        let before = "FROM BASE\r\nLABEL a=\"1 \\\r\n 2\"\r\n".replace("BASE", BASE);
        let text =
            format!("{before}ONTEST CMD [\"cat\", \"/Dockerfile\"]\r\nCOPY Dockerfile /Dockerfile\r\n# end");
        let image = sandbox.build("shop", &text);
        let copied = sandbox.expect(0, &[&image]).stdout;
        // BuildKit has the file that it builds beside the context, the classic builder in it.
        let stripped = format!("{before}\r\nCOPY Dockerfile /Dockerfile\r\n# end");
        assert!(copied == text || copied == stripped, "{copied:?}");
        assert_eq!(recorded(&image), json!(["CMD [\"cat\", \"/Dockerfile\"]"]));
    });
}

#[test]
fn what_a_base_image_says_is_inherited_and_replaced_by_ontest_of_ones_own() {
    let sandbox = Sandbox::new();
    let base = sandbox.build(
        "base",
        &format!("FROM {BASE}\nONTEST RUN echo base >> /log\nONTEST CMD [\"cat\", \"/log\"]\n"),
    );
    let handed_down = sandbox.docker_build("child", &format!("FROM {base}\nRUN echo child >> /log\n"));
    assert_eq!(sandbox.expect(0, &[&handed_down]).stdout, "child\nbase\n");
    let own =
        sandbox.build("own", &format!("FROM {base}\nONTEST RUN echo own >> /log\nONTEST CMD cat /log\n"));
    assert_eq!(recorded(&own), json!(["RUN echo own >> /log", "CMD cat /log"]));
    assert_eq!(origin(&own)["inherited"], recorded(&base));
    for (inherit, output) in [("own", "own\n"), ("inherited", "base\n"), ("all", "base\nown\n")] {
        assert_eq!(sandbox.expect(0, &["--inherit", inherit, &own]).stdout, output, "{inherit}");
    }
    assert_eq!(sandbox.expect(0, &[&own]).stdout, "own\n");
    let ran = sandbox.expect(125, &["--inherit", "inherited", &base]);
    ran.assert_stderr("no triggers of its base");
    let grandchild = sandbox.build("grand", &format!("FROM {own}\nONTEST CMD cat /log\n"));
    assert_eq!(sandbox.expect(0, &["--inherit", "all", &grandchild]).stdout, "base\nown\n");
}

#[test]
fn the_test_image_that_is_built_along_runs_where_no_checkout_is() {
    let sandbox = Sandbox::new();
    let image = sandbox.image("shop");
    sandbox.write("src/data", "data\n");
    sandbox.write(
        "src/Dockerfile",
        &format!("FROM {BASE}\nONTEST COPY data /data\nONTEST CMD [\"cat\", \"/data\"]\n"),
    );
    sandbox.expect(0, &["build", "--with-tests", "-t", &image, "src"]);
    let built = image_id(&format!("{image}-test")).unwrap();
    // Where the checkout is, the test image that was built along is used as it is.
    let ran = sandbox.expect(0, &["--format", "json", "--path", "src", &image]);
    assert_eq!(ran.event("built")["reused"], json!(true));
    fs::remove_dir_all(sandbox.path().join("src")).unwrap();
    let ran = sandbox.expect(0, &[&image]);
    assert_eq!(ran.stdout, "data\n");
    assert_eq!(image_id(&format!("{image}-test")).unwrap(), built);
}

#[test]
fn with_tests_needs_a_name_and_a_recipe() {
    let sandbox = Sandbox::new();
    sandbox.write("Dockerfile", &format!("FROM {BASE}\nONTEST CMD true\n"));
    sandbox.expect(125, &["build", "--with-tests", "."]).assert_stderr("-t NAME:TAG");
    sandbox.write("Dockerfile", &format!("FROM {BASE}\n"));
    let ran = sandbox.expect(125, &["build", "--with-tests", "-t", &sandbox.image("shop"), "."]);
    ran.assert_stderr("does not say how it is tested");
}

#[test]
fn with_tests_takes_a_dockerfile_test_beside_the_dockerfile() {
    let sandbox = Sandbox::new();
    let image = sandbox.image("shop");
    sandbox.write("Dockerfile", &format!("FROM {BASE}\n"));
    sandbox.write("Dockerfile.test", "ARG TEST_IMAGE\nFROM ${TEST_IMAGE}\nCMD echo hi\n");
    sandbox.expect(0, &["build", "--with-tests", "-t", &image, "."]);
    fs::remove_file(sandbox.path().join("Dockerfile.test")).unwrap();
    assert_eq!(sandbox.expect(0, &[&image]).stdout, "hi\n");
}

#[test]
fn quiet_prints_the_id_alone_and_iidfile_holds_it() {
    let sandbox = Sandbox::new();
    sandbox.write("Dockerfile", &format!("FROM {BASE}\nLABEL name=quiet\nONTEST CMD true\n"));
    let (one, two) = (sandbox.image("one"), sandbox.image("two"));
    let ran = sandbox.expect(0, &["build", "-q", "--iidfile", "iid", "-t", &one, "-t", &two, "."]);
    let id = image_id(&one).unwrap();
    assert_eq!((ran.stdout.as_str(), ran.stderr.as_str()), (format!("{id}\n").as_str(), ""));
    assert_eq!(fs::read_to_string(sandbox.path().join("iid")).unwrap(), id);
    assert_eq!(image_id(&two).unwrap(), id);
}

#[test]
fn a_build_without_a_name_leaves_one_image_and_no_other() {
    let sandbox = Sandbox::new();
    sandbox.write(
        "Dockerfile",
        &format!("FROM {BASE}\nLABEL unnamed={0}\nONTEST CMD true\n", sandbox.name("unnamed")),
    );
    let ran = sandbox.expect(0, &["build", "-q", "."]);
    let filter = format!("label=unnamed={}", sandbox.name("unnamed"));
    let ids = docker(&["images", "-aq", "--no-trunc", "--filter", &filter]);
    docker(&["rmi", ran.stdout.trim()]);
    assert_eq!(ids, ran.stdout);
}

#[test]
fn builds_of_one_dockerfile_at_the_same_time_do_not_disturb_each_other() {
    let sandbox = Sandbox::new();
    sandbox.write("Dockerfile", &format!("FROM {BASE}\nRUN echo parallel > /p\nONTEST CMD cat /p\n"));
    let images: Vec<String> = (0..4).map(|number| sandbox.image(&format!("parallel{number}"))).collect();
    let builds: Vec<_> = images
        .iter()
        .map(|image| sandbox.command(&["build", "--progress", "quiet", "-t", image, "."]).spawn().unwrap())
        .collect();
    for build in builds {
        Ran::from(build.wait_with_output().unwrap()).assert_code(0);
    }
    for image in &images {
        assert_eq!(recorded(image), json!(["CMD cat /p"]));
    }
}

#[test]
fn the_dockerfile_may_be_elsewhere_or_come_on_standard_input() {
    let sandbox = Sandbox::new();
    let image = sandbox.image("shop");
    sandbox.write("context/data", "data\n");
    let text = format!("FROM {BASE}\nCOPY data /data\nONTEST CMD [\"cat\", \"/data\"]\nONTEST ENV A=b\n");
    sandbox.write("outside/My.Dockerfile", &text);
    sandbox.write("context/inside/My.Dockerfile", &text);
    for file in ["outside/My.Dockerfile", "context/inside/My.Dockerfile"] {
        sandbox.expect(0, &["build", "-f", file, "-t", &image, "context"]);
        assert_eq!(sandbox.expect(0, &[&image]).stdout, "data\n");
    }
    assert_eq!(origin(&image)["dockerfile"], json!("inside/My.Dockerfile"));
    docker(&["rmi", &image]);
    let mut command = sandbox.command(&["build", "-f", "-", "-t", &image, "context"]);
    let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    Ran::from(child.wait_with_output().unwrap()).assert_code(0);
    assert_eq!(sandbox.expect(0, &[&image]).stdout, "data\n");
    let listing = fs::read_dir(sandbox.path().join("context")).unwrap().count();
    assert_eq!(listing, 2, "nothing is written to the context");
}

#[test]
fn build_arguments_labels_and_target_mean_what_they_mean_to_docker() {
    with_each_builder(|sandbox| {
        let image = sandbox.image("shop");
        sandbox.write(
            "Dockerfile",
            "ARG BASE=nothing\nFROM ${BASE} AS app\nARG WORD=default\nRUN echo $WORD > /word\n\
                 ONTEST CMD [\"cat\", \"/word\"]\nFROM ${BASE} AS other\nONTEST CMD false\n",
        );
        let base = format!("BASE={BASE}");
        let mut command = sandbox.command(&[
            "build",
            "--build-arg",
            &base,
            "--build-arg",
            "WORD",
            "--label",
            "a=b",
            "--label",
            "test.type=security",
            "--target",
            "app",
            "-t",
            &image,
            ".",
        ]);
        Ran::from(command.env("WORD", "given").output().unwrap()).assert_code(0);
        assert_eq!(sandbox.expect(0, &[&image]).stdout, "given\n");
        assert_eq!((label(&image, "a"), label(&image, "test.type")), ("b".to_owned(), "security".to_owned()));
        assert_eq!(origin(&image)["base"], json!(BASE));
        let ran = sandbox.expect(125, &["build", "--build-arg", &base, "--target", "nope", "."]);
        ran.assert_stderr("nope");
    });
}

#[test]
fn no_cache_builds_every_step_anew() {
    let sandbox = Sandbox::new();
    let image = sandbox.image("shop");
    sandbox.write(
        "Dockerfile",
        &format!("FROM {BASE}\nRUN cat /proc/sys/kernel/random/uuid > /id\nONTEST CMD [\"cat\", \"/id\"]\n"),
    );
    let id = |arguments: &[&str]| {
        let all: Vec<&str> = ["build", "-t", &image].iter().chain(arguments).chain(&["."]).copied().collect();
        sandbox.expect(0, &all);
        sandbox.expect(0, &[&image]).stdout
    };
    let first = id(&[]);
    assert_eq!(id(&[]), first);
    assert_ne!(id(&["--no-cache"]), first);
}

#[test]
fn the_ignore_file_decides_what_the_builder_gets() {
    with_each_builder(|sandbox| {
        let image = sandbox.image("shop");
        for file in ["keep", "secret", "dir/a", "dir/b"] {
            sandbox.write(file, file);
        }
        sandbox.write(".dockerignore", "secret\ndir/*\n!dir/b\n");
        sandbox.write("Dockerfile", &format!("FROM {BASE}\nCOPY . /c\nONTEST CMD find /c -type f\n"));
        sandbox.expect(0, &["build", "-t", &image, "."]);
        let mut files: Vec<String> = sandbox.expect(0, &[&image]).stdout.lines().map(str::to_owned).collect();
        files.sort();
        assert_eq!(files, ["/c/.dockerignore", "/c/Dockerfile", "/c/dir/b", "/c/keep"]);
        // As in docker build, the Dockerfile itself may be ignored, and is built all the same.
        sandbox.write(".dockerignore", "*\n!keep\n");
        sandbox.expect(0, &["build", "-t", &image, "."]);
        assert_eq!(sandbox.expect(0, &[&image]).stdout, "/c/keep\n");
    });
}

#[test]
fn what_may_not_follow_ontest_is_refused_with_file_and_line() {
    let sandbox = Sandbox::new();
    for line in [
        "FROM x",
        "MAINTAINER me",
        "ONBUILD RUN x",
        "ONTEST RUN x",
        "",
        "--flag RUN x",
        "from x",
        "Onbuild CMD x",
    ] {
        sandbox.write("Dockerfile", &format!("FROM {BASE}\n# comment\nONTEST {line}\n"));
        let ran = sandbox.expect(125, &["build", "-t", &sandbox.image("shop"), "."]);
        ran.assert_stderr("Dockerfile:3:");
    }
    sandbox.write("Dockerfile", &format!("FROM {BASE}\nONBUILD ONTEST RUN x\n"));
    sandbox.expect(125, &["build", "."]).assert_stderr("Dockerfile:2:");
    sandbox.write("Dockerfile", &format!("ONTEST RUN x\nFROM {BASE}\n"));
    sandbox.expect(125, &["build", "."]).assert_stderr("Dockerfile:1:");
}

#[test]
fn what_is_no_context_is_an_error_that_says_what_to_do() {
    let sandbox = Sandbox::new();
    sandbox.expect(125, &["build", "."]).assert_stderr("no Dockerfile");
    sandbox.expect(125, &["build", "nowhere"]).assert_stderr("nowhere");
    sandbox.expect(125, &["build", "https://example.invalid/x.git"]).assert_stderr("clone");
}
