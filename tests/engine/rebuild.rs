//! When the test image is built again, and when the one that is there will do.

use std::fs;
use std::time::{Duration, SystemTime};

use serde_json::Value;

use crate::support::{BASE, Sandbox, image_id};

fn reused(sandbox: &Sandbox, arguments: &[&str]) -> bool {
    let all: Vec<&str> = ["--format", "json"].iter().chain(arguments).copied().collect();
    let event = sandbox.expect(0, &all).event("built");
    assert!(event["image_id"].as_str().unwrap().starts_with("sha256:"));
    event["reused"] == Value::Bool(true)
}

#[test]
fn what_went_into_a_test_image_decides_whether_it_is_built_again() {
    let sandbox = Sandbox::new();
    let app = |text: &str| sandbox.docker_build("shop", &format!("FROM {BASE}\nLABEL v={text}\n"));
    let image = app("1");
    let recipe = |text: &str| {
        sandbox.write(
            "Dockerfile.test",
            &format!(
                "ARG TEST_IMAGE\nFROM ${{TEST_IMAGE}}\nARG WORD=none\nCOPY data /data\n{text}CMD [\"true\"]\n"
            ),
        )
    };
    recipe("");
    let data = sandbox.write("data", "one");
    assert!(!reused(&sandbox, &[&image]), "the first time");
    assert!(reused(&sandbox, &[&image]), "nothing changed");
    let id = image_id(&format!("{image}-test"));

    // What is no content is no change: times, and files that the recipe does not read.
    let later = SystemTime::now() + Duration::from_secs(100);
    fs::File::options().write(true).open(&data).unwrap().set_modified(later).unwrap();
    sandbox.write("other", "new");
    assert!(reused(&sandbox, &[&image]), "another time");
    assert!(reused(&sandbox, &["-e", "A=b", "--timeout", "9s", &image]), "run flags");

    sandbox.write("data", "two");
    assert!(!reused(&sandbox, &[&image]), "another content");
    assert_ne!(image_id(&format!("{image}-test")), id);
    assert!(reused(&sandbox, &[&image]));
    sandbox.write("data", "#!o");
    assert!(!reused(&sandbox, &[&image]), "another mode");
    assert!(!reused(&sandbox, &["--build-arg", "WORD=x", &image]), "a build argument");
    assert!(reused(&sandbox, &["--build-arg", "WORD=x", &image]));
    assert!(!reused(&sandbox, &["--build-arg", "WORD=y", &image]), "another value");
    assert!(!reused(&sandbox, &["--build-label", "a=b", &image]), "a label");
    assert!(!reused(&sandbox, &["--no-cache", &image]), "--no-cache");
    assert!(reused(&sandbox, &[&image]), "what --no-cache made is the same image to a run without it");
    assert!(!reused(&sandbox, &["--build-pull", &image]), "--build-pull");
    assert!(reused(&sandbox, &[&image]), "after --build-pull");
    assert!(reused(&sandbox, &["--cache-from", &image, &image]), "--cache-from");
    recipe("ENV A=b\n");
    assert!(!reused(&sandbox, &[&image]), "another recipe");
    assert!(reused(&sandbox, &[&image]));
    app("2");
    assert!(!reused(&sandbox, &[&image]), "another target");
    assert!(reused(&sandbox, &[&image]));
    assert_eq!(sandbox.leftovers(), Vec::<String>::new());
}

#[test]
fn another_builder_builds_again() {
    let mut sandbox = Sandbox::new();
    let image = sandbox.docker_build("shop", &format!("FROM {BASE}\nLABEL test.cmd=true\n"));
    assert!(!reused(&sandbox, &[&image]));
    sandbox.set("DOCKER_BUILDKIT", "0");
    assert!(!reused(&sandbox, &[&image]));
    assert!(reused(&sandbox, &[&image]));
    assert!(!reused(&sandbox, &["--build-arg", "A=b", &image]));
}

#[test]
fn a_test_image_that_was_removed_is_built_again() {
    let sandbox = Sandbox::new();
    let image = sandbox.docker_build("shop", &format!("FROM {BASE}\nLABEL test.cmd=true\n"));
    assert!(!reused(&sandbox, &[&image]));
    crate::support::docker(&["rmi", &format!("{image}-test")]);
    assert!(!reused(&sandbox, &[&image]));
}

#[test]
fn no_cache_runs_every_step_again() {
    let sandbox = Sandbox::new();
    let image = sandbox.build(
        "shop",
        &format!(
            "FROM {BASE}\nONTEST RUN cat /proc/sys/kernel/random/uuid > /id\nONTEST CMD [\"cat\", \"/id\"]\n"
        ),
    );
    let first = sandbox.expect(0, &[&image]).stdout;
    assert_eq!(sandbox.expect(0, &[&image]).stdout, first);
    assert_ne!(sandbox.expect(0, &["--no-cache", &image]).stdout, first);
}

#[test]
fn a_change_that_keeps_size_and_time_is_seen() {
    let sandbox = Sandbox::new();
    let image = sandbox.docker_build("shop", &format!("FROM {BASE}\n"));
    sandbox.write(
        "Dockerfile.test",
        "ARG TEST_IMAGE\nFROM ${TEST_IMAGE}\nCOPY data /data\nCMD [\"cat\", \"/data\"]\n",
    );
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    for builder in ["1", "0"] {
        for word in ["one", "two"] {
            let file = sandbox.write("data", word);
            fs::File::options().write(true).open(&file).unwrap().set_modified(time).unwrap();
            let mut command = sandbox.command(&[&image]);
            let ran = crate::support::Ran::from(command.env("DOCKER_BUILDKIT", builder).output().unwrap());
            assert_eq!(ran.stdout, word, "{}", ran.stderr);
        }
    }
}

#[test]
fn build_pull_looks_for_other_images_and_never_for_the_image_under_test() {
    let sandbox = Sandbox::new();
    let image = sandbox.docker_build("shop", &format!("FROM {BASE}\nLABEL test.cmd=true\n"));
    for builder in ["1", "0"] {
        let run = |arguments: &[&str]| {
            let mut command = sandbox.command(arguments);
            crate::support::Ran::from(command.env("DOCKER_BUILDKIT", builder).output().unwrap())
        };
        run(&["--build-pull", &image]).assert_code(0);
        let elsewhere = "localhost:9/dt-it/tools:1";
        sandbox.write(
            "Dockerfile.test",
            &format!("ARG TEST_IMAGE\nFROM {elsewhere} AS tools\nFROM ${{TEST_IMAGE}}\nCMD true\n"),
        );
        let ran = run(&["--build-pull", &image]);
        ran.assert_code(125);
        ran.assert_stderr(&format!("cannot pull {elsewhere}"));
        std::fs::remove_file(sandbox.path().join("Dockerfile.test")).unwrap();
    }
}
