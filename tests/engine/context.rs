//! What of the user's directory reaches the builder, and how.

use std::fs;
use std::io::{self, BufRead};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::{Command, Stdio};

use crate::support::{BASE, Ran, Sandbox, docker};

const FROM: &str = "ARG TEST_IMAGE\nFROM ${TEST_IMAGE}\n";

/// An image that is tested by the Dockerfile.test of the directory.
fn target(sandbox: &Sandbox) -> String {
    sandbox.docker_build("shop", &format!("FROM {BASE}\n"))
}

fn recipe(sandbox: &Sandbox, instructions: &str) {
    sandbox.write("Dockerfile.test", &format!("{FROM}{instructions}"));
}

/// Bytes of context that went to the builder.
fn sent(ran: &Ran) -> u64 {
    let progress = ran.events().into_iter().filter(|event| event["event"] == "context_progress");
    progress.filter_map(|event| event["sent"].as_u64()).max().unwrap_or(0)
}

fn with_builder(sandbox: &Sandbox, builder: &str, arguments: &[&str]) -> Ran {
    let mut command = sandbox.command(arguments);
    Ran::from(command.env("DOCKER_BUILDKIT", builder).output().unwrap())
}

/// Sorted lines.
fn sorted(text: &str) -> Vec<&str> {
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    lines
}

#[test]
fn nothing_is_sent_that_no_instruction_names() {
    let sandbox = Sandbox::new();
    let image = target(&sandbox);
    sandbox.write("tests/one.sh", "#!/bin/sh\ncat /t/data\n");
    sandbox.write("tests/data", "data\n");
    sandbox.write("unreadable", "");
    fs::set_permissions(sandbox.path().join("unreadable"), fs::Permissions::from_mode(0o0)).unwrap();
    Command::new("mkfifo").arg(sandbox.path().join("fifo")).status().unwrap();
    symlink("/nonexistent", sandbox.path().join("dangling")).unwrap();
    let big = fs::File::create(sandbox.path().join("big")).unwrap();
    big.set_len(300 << 20).unwrap();
    recipe(&sandbox, "COPY tests /t\nCMD [\"/t/one.sh\"]\n");
    for builder in ["1", "0"] {
        let ran = with_builder(&sandbox, builder, &["--format", "json", &image]);
        ran.assert_code(0);
        assert!(sent(&ran) < 100_000, "builder {builder} got {} bytes", sent(&ran));
        assert!(ran.stdout.contains("data"));
    }
}

#[test]
fn a_cached_layer_that_is_removed_under_the_builder_is_made_again() {
    let sandbox = Sandbox::new();
    let image = target(&sandbox);
    sandbox.write("tests/one.sh", "#!/bin/sh\nexit 0\n");
    recipe(&sandbox, "COPY tests /t\nCMD [\"/bin/sh\", \"/t/one.sh\"]\n");
    let classic = |arguments: &[&str]| {
        let mut command = sandbox.command(arguments);
        command.env("DOCKER_BUILDKIT", "0");
        command
    };
    Ran::from(classic(&[&image]).output().unwrap()).assert_code(0);
    // The next test image shares its first layers with the one of now, which is removed while the builder copies. The
    // faster the engine, the more there must be to copy for the removal to come in time.
    for megabytes in [16, 64, 256] {
        fs::write(sandbox.path().join("tests/large"), vec![b'x'; megabytes << 20]).unwrap();
        let mut running = classic(&["--format", "json", &image])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = io::BufReader::new(running.stdout.take().unwrap()).lines().map_while(Result::ok);
        let copies = lines.by_ref().find(|line| line.contains("COPY tests /t") && line.contains("started"));
        assert!(copies.is_some(), "the step is not told");
        docker(&["image", "rm", "--force", &format!("{image}-test")]);
        let rest: Vec<String> = lines.collect();
        Ran::from(running.wait_with_output().unwrap()).assert_code(0);
        if rest.iter().any(|line| line.contains("a cached layer was removed meanwhile: building again")) {
            return;
        }
        Ran::from(classic(&[&image]).output().unwrap()).assert_code(0);
    }
    panic!("no removal came in time to be missed");
}

#[test]
fn a_recipe_that_copies_nothing_needs_no_readable_directory() {
    let sandbox = Sandbox::new();
    let image = sandbox.build("shop", &format!("FROM {BASE}\nONTEST RUN true\nONTEST CMD echo hi\n"));
    sandbox.write(".dockerignore", "[\n");
    sandbox.write("Dockerfile.test", "garbage that is not looked at");
    assert_eq!(sandbox.expect(0, &[&image]).stdout, "hi\n");
}

#[test]
fn the_ignore_files_are_honoured_and_the_recipes_own_goes_first() {
    let sandbox = Sandbox::new();
    let image = target(&sandbox);
    for name in ["a", "b", "c"] {
        sandbox.write(&format!("data/{name}"), name);
    }
    sandbox.write(".dockerignore", "data/a\n");
    recipe(&sandbox, "COPY data /data\nCMD [\"ls\", \"/data\"]\n");
    for builder in ["1", "0"] {
        let ran = with_builder(&sandbox, builder, &[&image]);
        assert_eq!(ran.stdout, "b\nc\n", "{}", ran.stderr);
    }
    sandbox.write("Dockerfile.test.dockerignore", "data/*\n!data/c\n");
    let ran = sandbox.expect(0, &[&image]);
    assert_eq!(ran.stdout, "c\n", "{}", ran.stderr);
    sandbox.write("Dockerfile.test.dockerignore", "data\n");
    let ran = sandbox.expect(125, &[&image]);
    ran.assert_stderr("\"data\" is excluded by line 1");
    ran.assert_stderr("!data");
}

#[test]
fn modes_links_and_times_arrive_as_docker_would_send_them() {
    let sandbox = Sandbox::new();
    let image = target(&sandbox);
    let script = sandbox.write("d/script", "#!/bin/sh\n");
    sandbox.write("d/plain", "x");
    fs::set_permissions(sandbox.path().join("d/plain"), fs::Permissions::from_mode(0o640)).unwrap();
    sandbox.write("d/suid", "x");
    fs::set_permissions(sandbox.path().join("d/suid"), fs::Permissions::from_mode(0o4755)).unwrap();
    fs::create_dir(sandbox.path().join("d/sticky")).unwrap();
    fs::set_permissions(sandbox.path().join("d/sticky"), fs::Permissions::from_mode(0o1777)).unwrap();
    symlink("plain", sandbox.path().join("d/link")).unwrap();
    symlink("/etc/nothing", sandbox.path().join("d/dangling")).unwrap();
    fs::hard_link(&script, sandbox.path().join("d/same")).unwrap();
    let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000);
    fs::File::open(sandbox.path().join("d/plain")).unwrap().set_modified(time).unwrap();
    recipe(
        &sandbox,
        "COPY d /d\nCMD cd /d && stat -c '%n %a' plain script suid sticky same; readlink link; readlink dangling; \
         stat -c %Y plain; stat -c %u:%g plain; cat same\n",
    );
    for builder in ["1", "0"] {
        let ran = with_builder(&sandbox, builder, &[&image]);
        ran.assert_code(0);
        // The classic builder changes the owner, which takes set-user-id away: docker build does the same.
        let suid = if builder == "1" { 4755 } else { 755 };
        assert_eq!(
            ran.stdout,
            format!(
                "plain 640\nscript 755\nsuid {suid}\nsticky 1777\nsame 755\nplain\n/etc/nothing\n1000000000\n0:0\n#!/bin/sh\n"
            ),
            "builder {builder}"
        );
    }
}

#[test]
fn wildcards_and_variables_name_files_as_they_do_for_docker() {
    let sandbox = Sandbox::new();
    let image = sandbox.docker_build("shop", &format!("FROM {BASE}\nENV SUB=two\n"));
    for name in ["t/one.sh", "t/two.sh", "t/two.txt", "two/x", "three/y", "odd name/z"] {
        sandbox.write(name, name);
    }
    recipe(
        &sandbox,
        "ARG WHICH=three\nCOPY t/*.sh /c/\nCOPY $SUB /c/sub\nADD ${WHICH}/y /c/\nCOPY [\"odd name/z\", \"/c/z z\"]\n\
         CMD cd /c && find . -type f\n",
    );
    for builder in ["1", "0"] {
        let ran = with_builder(&sandbox, builder, &[&image]);
        assert_eq!(sorted(&ran.stdout), ["./one.sh", "./sub/x", "./two.sh", "./y", "./z z"]);
    }
    sandbox.expect(125, &["--build-arg", "WHICH=four", &image]).assert_stderr("four/y");
}

#[test]
fn a_bind_mount_of_a_run_reads_the_context() {
    let sandbox = Sandbox::new();
    let image = target(&sandbox);
    sandbox.write("src/data", "bound\n");
    sandbox.write("other", "other\n");
    recipe(
        &sandbox,
        "RUN --mount=type=bind,source=src,target=/m ls /m > /list && cat /m/data >> /list\nCMD [\"cat\", \"/list\"]\n",
    );
    assert_eq!(sandbox.expect(0, &[&image]).stdout, "data\nbound\n");
    recipe(&sandbox, "RUN --mount=target=/m ls /m > /list\nCMD [\"cat\", \"/list\"]\n");
    assert_eq!(sandbox.expect(0, &[&image]).stdout, "Dockerfile.test\nother\nsrc\n");
}

#[test]
fn copying_everything_copies_what_is_not_ignored_and_nothing_of_ours() {
    let sandbox = Sandbox::new();
    let image = target(&sandbox);
    sandbox.write("a", "");
    sandbox.write("b/c", "");
    sandbox.write("skipped", "");
    sandbox.write(".dockerignore", "skipped\n.dockerignore\n");
    recipe(&sandbox, "COPY . /all\nCMD cd /all && find . -type f\n");
    let ran = sandbox.expect(0, &[&image]);
    assert_eq!(sorted(&ran.stdout), ["./Dockerfile.test", "./a", "./b/c"]);
    let ran = with_builder(&sandbox, "0", &[&image]);
    assert_eq!(sorted(&ran.stdout), ["./Dockerfile.test", "./a", "./b/c"]);
}

#[test]
fn the_whole_context_is_sent_where_it_cannot_be_decided() {
    let sandbox = Sandbox::new();
    let image = target(&sandbox);
    sandbox.write("x.txt", "x\n");
    sandbox.write("unnamed", "u\n");
    // The variable's value comes from an image that is not known here.
    recipe(
        &sandbox,
        &format!(
            "FROM {BASE} AS other\nENV FILE=x.txt\nFROM other\nCOPY ${{FILE}}${{HOSTNAME}} /x\nFROM $TEST_IMAGE\nCMD true\n"
        ),
    );
    let inspected = sandbox.expect(0, &["inspect", "--format", "json", &image]).json();
    let needs = &inspected["context"]["needs"];
    assert!(needs["whole"]["reason"].as_str().unwrap().contains("line 6"), "{needs}");
}

#[test]
fn a_missing_source_names_its_line_and_the_nearest_name() {
    let sandbox = Sandbox::new();
    let image = target(&sandbox);
    sandbox.write("tests/run.sh", "");
    recipe(&sandbox, "\n\nCOPY tests/rum.sh /run.sh\nCMD true\n");
    for builder in ["1", "0"] {
        let ran = with_builder(&sandbox, builder, &[&image]);
        ran.assert_code(125);
        ran.assert_stderr("Dockerfile.test:5: ");
        ran.assert_stderr("\"tests/rum.sh\" is not in the build context");
        ran.assert_stderr("tests/run.sh");
    }
    let labelled =
        sandbox.build("labelled", &format!("FROM {BASE}\n\nONTEST COPY tests/rum.sh /x\nONTEST CMD true\n"));
    fs::remove_file(sandbox.path().join("Dockerfile.test")).unwrap();
    let ran = sandbox.expect(125, &[&labelled]);
    ran.assert_stderr("Dockerfile:3: ");
    ran.assert_stderr("tests/run.sh");
}

#[test]
fn no_link_leads_out_of_the_context() {
    let sandbox = Sandbox::new();
    let image = target(&sandbox);
    sandbox.write("sub/file", "inside\n");
    symlink("/etc", sandbox.path().join("sub/etc")).unwrap();
    recipe(&sandbox, "COPY sub/etc/hostname /h\nCMD true\n");
    sandbox.expect(125, &[&image]).assert_stderr("is not in the build context");
    // A source above the root is the root's, as for BuildKit.
    recipe(&sandbox, "COPY ../sub/file /h\nCMD [\"cat\", \"/h\"]\n");
    assert_eq!(sandbox.expect(0, &[&image]).stdout, "inside\n");
}

#[test]
fn a_large_context_arrives_whole() {
    let sandbox = Sandbox::new();
    let image = target(&sandbox);
    let content = vec![b'x'; 40 << 20];
    fs::create_dir(sandbox.path().join("big")).unwrap();
    fs::write(sandbox.path().join("big/file"), &content).unwrap();
    for number in 0..300 {
        sandbox.write(&format!("big/many/{number}"), "x");
    }
    recipe(&sandbox, "COPY big /big\nCMD wc -c < /big/file && ls /big/many | wc -l\n");
    for builder in ["1", "0"] {
        let ran = with_builder(&sandbox, builder, &["--format", "json", "--no-cache", &image]);
        ran.assert_code(0);
        let output: String =
            ran.events().iter().filter_map(|event| event["text"].as_str().map(str::to_owned)).collect();
        assert!(output.contains(&content.len().to_string()) && output.contains("300"), "{output}");
    }
}
