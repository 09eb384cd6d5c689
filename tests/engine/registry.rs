//! A private registry: pulls, digests, credentials, and test images that travel.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::fixture::{Values, fixture};
use crate::support::{BASE, Ran, Sandbox, docker, image_id};

/// A sandbox, and a repository of its own on the registry.
struct Shelf {
    sandbox: Sandbox,
    registry: Values,
}

impl Shelf {
    fn new() -> Self {
        let mut sandbox = Sandbox::new();
        let empty = sandbox.path().parent().unwrap().join("no-login");
        fs::create_dir(&empty).unwrap();
        sandbox.set("DOCKER_CONFIG", empty.to_str().unwrap());
        Self { sandbox, registry: fixture("registry") }
    }

    fn logged_in() -> Self {
        let mut shelf = Self::new();
        let config = shelf.registry["REGISTRY_DOCKER_CONFIG"].clone();
        shelf.sandbox.set("DOCKER_CONFIG", &config);
        shelf
    }

    fn address(&self) -> &str {
        &self.registry["REGISTRY_ADDR"]
    }

    fn name(&self, image: &str) -> String {
        format!("{}/{}", self.address(), self.sandbox.image(image))
    }

    fn push(&self, image: &str) {
        docker(&["--config", &self.registry["REGISTRY_DOCKER_CONFIG"], "push", "-q", image]);
    }

    /// An image that prints `word`, on the engine and on the registry.
    fn publish(&self, image: &str, word: &str) -> String {
        let name = self.name(image);
        let local = self.sandbox.docker_build(
            image,
            &format!("FROM {BASE}\nENV WORD={word}\nLABEL sandbox={name} test.cmd='[\"sh\",\"-c\",\"echo $WORD\"]'\n"),
        );
        docker(&["tag", &local, &name]);
        docker(&["rmi", &local]);
        self.push(&name);
        name
    }

    /// The same, and gone from the engine.
    fn publish_only(&self, image: &str, word: &str) -> String {
        let name = self.publish(image, word);
        docker(&["rmi", &name]);
        name
    }

    /// A Docker configuration directory with this content.
    fn config(&mut self, json: &str) -> PathBuf {
        let directory = self.sandbox.path().parent().unwrap().join("config");
        fs::create_dir_all(&directory).unwrap();
        fs::write(directory.join("config.json"), json).unwrap();
        self.sandbox.set("DOCKER_CONFIG", directory.to_str().unwrap());
        directory
    }

    /// A credential helper that knows the registry's password and writes down what it was asked for.
    fn helper(&mut self, name: &str) {
        let script = format!(
            "#!/bin/sh\ncat > \"$0.asked\"\nprintf '{{\"ServerURL\":\"x\",\"Username\":\"{}\",\"Secret\":\"{}\"}}'\n",
            self.registry["REGISTRY_USER"], self.registry["REGISTRY_PASSWORD"]
        );
        let program = self.sandbox.write(&format!("bin/docker-credential-{name}"), &script);
        let path = format!("{}:{}", program.parent().unwrap().display(), std::env::var("PATH").unwrap());
        self.sandbox.set("PATH", &path);
    }

    fn asked(&self, name: &str) -> String {
        fs::read_to_string(self.sandbox.path().join(format!("bin/docker-credential-{name}.asked"))).unwrap()
    }

    #[track_caller]
    fn prints(&self, arguments: &[&str]) -> String {
        self.sandbox.expect(0, arguments).stdout
    }

    fn assert_secret(&self, ran: &Ran) {
        let secret = &self.registry["REGISTRY_PASSWORD"];
        assert!(!ran.stderr.contains(secret) && !ran.stdout.contains(secret), "{}", ran.stderr);
    }
}

#[test]
fn a_missing_image_is_pulled_with_the_login_of_the_configuration() {
    let shelf = Shelf::logged_in();
    let image = shelf.publish_only("app", "pulled");
    let ran = shelf.sandbox.expect(0, &[&image]);
    assert_eq!(ran.stdout, "pulled\n");
    shelf.assert_secret(&ran);
}

#[test]
fn the_configuration_directory_can_be_named_by_a_flag() {
    let shelf = Shelf::new();
    let image = shelf.publish_only("app", "pulled");
    let config = shelf.registry["REGISTRY_DOCKER_CONFIG"].clone();
    assert_eq!(shelf.prints(&["--config", &config, &image]), "pulled\n");
}

#[test]
fn pull_always_missing_and_never_mean_what_they_say() {
    let shelf = Shelf::logged_in();
    let image = shelf.publish("app", "old");
    let old = image_id(&image).unwrap();
    shelf.publish("app", "new");
    docker(&["tag", &old, &image]);
    assert_eq!(shelf.prints(&["--pull", "missing", &image]), "old\n");
    assert_eq!(shelf.prints(&["--pull=never", &image]), "old\n");
    assert_eq!(shelf.prints(&["--pull", "always", &image]), "new\n");
    docker(&["rmi", &image]);
    let ran = shelf.sandbox.expect(125, &["--pull", "never", &image]);
    ran.assert_stderr("--pull never forbids to pull it");
    assert_eq!(image_id(&image), None, "nothing was pulled");
}

#[test]
fn pull_always_fails_where_the_registry_has_nothing_even_if_the_engine_has() {
    let shelf = Shelf::logged_in();
    let image = shelf.name("unpublished");
    docker(&["tag", BASE, &image]);
    let ran = shelf.sandbox.expect(125, &["--pull", "always", &image, "--", "true"]);
    ran.assert_stderr(&image);
    assert!(image_id(&image).is_some());
}

#[test]
fn an_image_is_pulled_by_digest_with_and_without_a_tag() {
    let shelf = Shelf::logged_in();
    let image = shelf.publish("app", "exactly");
    let pushed = docker(&["image", "inspect", "-f", "{{index .RepoDigests 0}}", &image]);
    let digest = pushed.trim().split_once('@').unwrap().1.to_owned();
    shelf.publish("app", "moved");
    docker(&["rmi", &image]);
    let repository = image.rsplit_once(':').unwrap().0;
    assert_eq!(shelf.prints(&[&format!("{repository}@{digest}")]), "exactly\n");
    assert_eq!(shelf.prints(&[&format!("{image}@{digest}")]), "exactly\n");
    assert_eq!(image_id(&image), None, "the tag was not pulled");
}

#[test]
fn without_a_login_the_pull_is_refused_with_advice() {
    let shelf = Shelf::new();
    let image = shelf.publish_only("app", "secret");
    let ran = shelf.sandbox.expect(125, &[&image]);
    ran.assert_stderr("cannot pull");
    ran.assert_stderr("docker login");
}

#[test]
fn wrong_credentials_are_refused_and_not_told() {
    let mut shelf = Shelf::new();
    let image = shelf.publish_only("app", "secret");
    // `tester:hunter2hunter2`
    let config =
        format!("{{\"auths\":{{{:?}:{{\"auth\":\"dGVzdGVyOmh1bnRlcjJodW50ZXIy\"}}}}}}", shelf.address());
    shelf.config(&config);
    let ran = shelf.sandbox.expect(125, &[&image]);
    ran.assert_stderr("cannot pull");
    ran.assert_stderr("unauthorized");
    ran.assert_stderr("docker login");
    assert!(!ran.stderr.contains("hunter2") && !ran.stderr.contains("dGVzdGVy"), "{}", ran.stderr);
}

#[test]
fn the_login_may_come_from_a_variable() {
    let mut shelf = Shelf::new();
    let image = shelf.publish_only("app", "pulled");
    let file = PathBuf::from(&shelf.registry["REGISTRY_DOCKER_CONFIG"]).join("config.json");
    let login = fs::read_to_string(file).unwrap();
    shelf.sandbox.set("DOCKER_AUTH_CONFIG", &login);
    assert_eq!(shelf.prints(&[&image]), "pulled\n");
}

#[test]
fn a_credential_store_is_asked_for_the_registry() {
    let mut shelf = Shelf::new();
    let image = shelf.publish_only("app", "pulled");
    shelf.config("{\"credsStore\":\"dtstore\"}");
    shelf.helper("dtstore");
    let ran = shelf.sandbox.expect(0, &[&image]);
    assert_eq!(ran.stdout, "pulled\n");
    assert_eq!(shelf.asked("dtstore"), shelf.address());
    shelf.assert_secret(&ran);
}

#[test]
fn a_registry_s_own_helper_is_asked_before_the_store() {
    let mut shelf = Shelf::new();
    let image = shelf.publish_only("app", "pulled");
    let config = format!(
        "{{\"credsStore\":\"dt-not-installed\",\"credHelpers\":{{{:?}:\"dtown\"}}}}",
        shelf.address()
    );
    shelf.config(&config);
    shelf.helper("dtown");
    assert_eq!(shelf.prints(&[&image]), "pulled\n");
    assert_eq!(shelf.asked("dtown"), shelf.address());
}

#[test]
fn a_helper_that_is_not_installed_is_named() {
    let mut shelf = Shelf::new();
    let image = shelf.publish_only("app", "pulled");
    shelf.config("{\"credsStore\":\"dt-not-installed\"}");
    let ran = shelf.sandbox.expect(125, &[&image]);
    ran.assert_stderr("docker-credential-dt-not-installed is not installed");
}

#[test]
fn a_helper_that_is_not_installed_matters_to_no_local_image() {
    let mut shelf = Shelf::new();
    shelf.config("{\"credsStore\":\"dt-not-installed\",\"auths\":{\"registry.invalid\":{}}}");
    let image = shelf.sandbox.docker_build("local", &format!("FROM {BASE}\n"));
    let ran = shelf.sandbox.expect(0, &[&image, "--", "true"]);
    assert!(ran.stderr.contains("not-installed"), "the build may need it: {}", ran.stderr);
    let ran = shelf.sandbox.expect(0, &[&image, "--", "true"]);
    assert!(!ran.stderr.contains("not-installed"), "nothing is built: {}", ran.stderr);
}

#[test]
fn a_public_image_is_pulled_though_the_store_is_not_installed() {
    let mut shelf = Shelf::logged_in();
    let image = shelf.publish_only("app", "pulled");
    let file = PathBuf::from(&shelf.registry["REGISTRY_DOCKER_CONFIG"]).join("config.json");
    let login: serde_json::Value = serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap();
    // As far as docker-test can tell, what the store holds is missing and the plain entry is all there is.
    shelf.config(&serde_json::json!({"credsStore": "dt-not-installed", "auths": login["auths"]}).to_string());
    assert_eq!(shelf.prints(&[&image]), "pulled\n");
}

/// A Dockerfile.test whose second stage stands on a private image, built by the builder that `buildkit` names.
fn a_private_base_image(buildkit: &str) {
    let mut shelf = Shelf::logged_in();
    shelf.sandbox.set("DOCKER_BUILDKIT", buildkit);
    let tools = shelf.publish_only("tools", "private");
    let image = shelf.sandbox.docker_build("app", &format!("FROM {BASE}\n"));
    shelf.sandbox.write(
        "Dockerfile.test",
        &format!(
            "ARG TEST_IMAGE\nFROM {tools} AS tools\nRUN echo \"$WORD\" > /word\n\
             FROM ${{TEST_IMAGE}}\nCOPY --from=tools /word /word\nCMD [\"cat\", \"/word\"]\n"
        ),
    );
    let ran = shelf.sandbox.expect(0, &[&image]);
    assert_eq!(ran.stdout, "private\n");
    shelf.assert_secret(&ran);
}

#[test]
fn buildkit_pulls_a_private_base_image() {
    a_private_base_image("1");
}

#[test]
fn the_classic_builder_pulls_a_private_base_image() {
    a_private_base_image("0");
}

#[test]
fn a_private_base_image_without_a_login_is_an_error_of_the_build() {
    let shelf = Shelf::new();
    let tools = shelf.publish_only("tools", "private");
    let image = shelf.sandbox.docker_build("app", &format!("FROM {BASE}\n"));
    shelf.sandbox.write(
        "Dockerfile.test",
        &format!("ARG TEST_IMAGE\nFROM {tools} AS tools\nFROM ${{TEST_IMAGE}}\nCOPY --from=tools /etc/passwd /p\nCMD true\n"),
    );
    let ran = shelf.sandbox.expect(125, &[&image]);
    ran.assert_stderr(&tools);
    ran.assert_stderr("docker login");
}

/// An image whose recipe copies a file, and its test image: both on the registry, neither on the engine.
fn published_with_tests(shelf: &Shelf) -> String {
    let image = shelf.name("travels");
    shelf.sandbox.write("test.sh", "#!/bin/sh\necho from the author\n");
    shelf.sandbox.write(
        "Dockerfile",
        &format!("FROM {BASE}\nENV APP=1\nONTEST COPY test.sh /test.sh\nONTEST CMD [\"/test.sh\"]\n"),
    );
    shelf.sandbox.expect(0, &["build", "--with-tests", "-t", &image, "."]);
    let test_image = format!("{image}-test");
    for name in [&image, &test_image] {
        shelf.push(name);
    }
    docker(&["rmi", &image, &test_image]);
    image
}

#[test]
fn a_test_image_travels_beside_its_image() {
    let shelf = Shelf::logged_in();
    let image = published_with_tests(&shelf);
    let elsewhere = tempfile::tempdir().unwrap();
    let run = |expected: i32| {
        let mut command = shelf.sandbox.command(&["run", &image]);
        let ran = Ran::from(command.current_dir(elsewhere.path()).output().unwrap());
        ran.assert_code(expected);
        ran
    };
    let ran = run(0);
    assert_eq!(ran.stdout, "from the author\n");
    ran.assert_stderr("recipe from test-image");
    assert_eq!(run(0).stdout, "from the author\n", "and again, now that both are here");
}

#[test]
fn a_pulled_recipe_reads_no_files_that_nobody_granted() {
    let shelf = Shelf::logged_in();
    let image = published_with_tests(&shelf);
    let elsewhere = tempfile::tempdir().unwrap();
    fs::write(elsewhere.path().join("test.sh"), "#!/bin/sh\necho stolen\n").unwrap();
    let run = |arguments: &[&str]| {
        Ran::from(shelf.sandbox.command(arguments).current_dir(elsewhere.path()).output().unwrap())
    };
    // The test image is there to be pulled, and is preferred to a file that happens to lie around.
    let ran = run(&[&image]);
    ran.assert_code(0);
    assert_eq!(ran.stdout, "from the author\n");
    docker(&["rmi", &format!("{image}-test")]);
    let ran = run(&["--pull", "never", &image]);
    ran.assert_code(125);
    ran.assert_stderr("test.sh");
    ran.assert_stderr("--path");
    ran.assert_stderr("came from a registry");
    shelf.sandbox.write("granted/test.sh", "#!/bin/sh\necho granted\n");
    let granted = shelf.sandbox.path().join("granted");
    let ran = run(&["--path", granted.to_str().unwrap(), &image]);
    ran.assert_code(0);
    assert_eq!(ran.stdout, "granted\n");
}

#[test]
fn a_registry_that_does_not_answer_is_an_error_with_advice() {
    let shelf = Shelf::new();
    let ran = shelf.sandbox.expect(125, &["127.0.0.1:1/dt/nothing:1"]);
    ran.assert_stderr("connection refused");
    ran.assert_stderr("cannot be reached");
}

#[test]
fn a_registry_that_takes_the_question_and_says_nothing_ends_with_the_time_for_pulls() {
    let shelf = Shelf::new();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let name = format!("{}/dt/nothing:1", listener.local_addr().unwrap());
    // Connections stay open for as long as the listener lives: the kernel takes them, and nobody reads.
    let began = Instant::now();
    let ran = shelf.sandbox.expect(125, &["--pull-timeout", "1s", &name]);
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
    ran.assert_stderr(&format!("could not pull {name} within 1s"));
    ran.assert_stderr("raise --pull-timeout");
    listener.set_nonblocking(true).unwrap();
    assert!(listener.accept().is_ok(), "the registry was asked");
}
