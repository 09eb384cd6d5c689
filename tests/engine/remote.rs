//! Engines elsewhere: over TLS, over ssh, by context; and what is said where there is none.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::process::Command;

use crate::fixture::{ImagesAt, Values, docker_at, fixture};
use crate::support::{BASE, BINARY, Ran, Sandbox, docker};

/// A test that prints, writes a file and fails when it is told to.
const SCRIPT: &str = "echo out; echo err >&2; echo data > /var/tests/results/file.txt; exit ${CODE:-0}";

/// A sandbox whose engine is a second one, reached over TLS.
struct Far {
    sandbox: Sandbox,
    engine: Values,
    image: String,
    _images: ImagesAt,
}

impl Far {
    fn new() -> Self {
        let sandbox = Sandbox::new();
        let engine = fixture("dockerd");
        let image = sandbox.image("far");
        let host = engine["DOCKERD_HOST"].clone();
        docker_at(&host, &["tag", BASE, &image]);
        let images = ImagesAt { host, names: vec![image.clone()] };
        Self { sandbox, engine, image, _images: images }
    }

    /// The engine in the variables of docker-machine and of many CI services.
    fn by_variables() -> Self {
        let mut far = Self::new();
        let (host, certificates) = (far.engine["DOCKERD_TLS_HOST"].clone(), far.certificates(""));
        far.sandbox
            .set("DOCKER_HOST", &host)
            .set("DOCKER_TLS_VERIFY", "1")
            .set("DOCKER_CERT_PATH", &certificates);
        far
    }

    fn certificates(&self, file: &str) -> String {
        PathBuf::from(&self.engine["DOCKERD_CERT_PATH"]).join(file).display().to_string()
    }

    /// A Docker configuration with a context `far`.
    fn with_context() -> Self {
        let mut far = Self::new();
        let config = far.sandbox.path().parent().unwrap().join("docker-config");
        let config = config.to_str().unwrap();
        let endpoint = format!(
            "host={},ca={},cert={},key={}",
            far.engine["DOCKERD_TLS_HOST"],
            far.certificates("ca.pem"),
            far.certificates("cert.pem"),
            far.certificates("key.pem")
        );
        docker(&["--config", config, "context", "create", "far", "--docker", &endpoint]);
        far.sandbox.set("DOCKER_CONFIG", config);
        far
    }

    fn docker_config(&self) -> PathBuf {
        self.sandbox.path().parent().unwrap().join("docker-config")
    }

    fn arguments<'a>(&'a self, flags: &[&'a str]) -> Vec<&'a str> {
        let mut arguments = flags.to_vec();
        arguments.extend([self.image.as_str(), "--", "sh", "-c", SCRIPT]);
        arguments
    }

    /// Runs the test, and sees that it ran on the far engine and everything came back.
    #[track_caller]
    fn assert_tested(&self, flags: &[&str]) {
        self.assert_everything_came_back(&self.sandbox.expect(0, &self.arguments(flags)));
    }

    #[track_caller]
    fn assert_everything_came_back(&self, ran: &Ran) {
        assert_eq!(ran.stdout, "out\n");
        ran.assert_stderr("err\n");
        assert_eq!(self.sandbox.result("file.txt"), "data\n");
        let left = docker_at(&self.engine["DOCKERD_HOST"], &["ps", "-a", "--format", "{{.Labels}}"]);
        assert!(!left.contains(&self.image), "{left}");
    }
}

#[test]
fn an_engine_over_tls_is_found_by_variables_and_gives_everything_back() {
    let far = Far::by_variables();
    far.assert_tested(&[]);
    let file = fs::metadata(far.sandbox.path().join("tests/results/file.txt")).unwrap();
    assert_eq!(file.uid(), nix::unistd::getuid().as_raw());
}

#[test]
fn exit_codes_come_through_from_afar() {
    let far = Far::by_variables();
    let ran = far.sandbox.expect(1, &far.arguments(&["-e", "CODE=3"]));
    far.assert_everything_came_back(&ran);
    far.sandbox.expect(3, &far.arguments(&["-e", "CODE=3", "--propagate-exit-code"]));
    far.sandbox.expect(127, &[&far.image, "--", "/not-there"]);
    far.sandbox.expect(124, &["--timeout", "500ms", "--grace-period", "1s", &far.image, "--", "sleep", "60"]);
}

#[test]
fn an_engine_over_tls_is_found_by_flags() {
    let far = Far::new();
    let (ca, cert, key) =
        (far.certificates("ca.pem"), far.certificates("cert.pem"), far.certificates("key.pem"));
    let host = far.engine["DOCKERD_TLS_HOST"].as_str();
    far.assert_tested(&[
        "--host",
        host,
        "--tlsverify",
        "--tlscacert",
        &ca,
        "--tlscert",
        &cert,
        "--tlskey",
        &key,
    ]);
    // Docker lets its global flags stand before the subcommand.
    let mut words = vec!["-H", host, "--tls", "--tlscert", &cert, "--tlskey", &key, "run"];
    words.extend(far.arguments(&[]));
    far.assert_everything_came_back(&far.sandbox.expect(0, &words));
}

#[test]
fn the_host_flag_wins_over_the_variable() {
    let mut far = Far::new();
    far.sandbox.set("DOCKER_HOST", "tcp://127.0.0.1:1");
    let host = far.engine["DOCKERD_HOST"].clone();
    far.assert_tested(&["-H", &host]);
}

#[test]
fn an_image_with_a_recipe_is_built_on_the_far_engine_from_files_here() {
    let far = Far::by_variables();
    far.sandbox.write("test.sh", "#!/bin/sh\necho built afar\n");
    far.sandbox.write(
        "Dockerfile",
        &format!(
            "FROM {BASE}\nONTEST COPY test.sh /test.sh\nONTEST RUN echo x > /x\nONTEST CMD [\"/test.sh\"]\n"
        ),
    );
    far.sandbox.expect(0, &["build", "-t", &far.image, "."]);
    assert_eq!(far.sandbox.expect(0, &[&far.image]).stdout, "built afar\n");
}

#[test]
fn plain_http_to_an_engine_that_wants_tls_is_explained() {
    let far = Far::new();
    let host = far.engine["DOCKERD_TLS_HOST"].as_str();
    let ran = far.sandbox.expect(125, &far.arguments(&["-H", host]));
    ran.assert_stderr(host.trim_start_matches("tcp://"));
    ran.assert_stderr("TLS");
}

#[test]
fn an_authority_that_did_not_sign_the_engine_s_certificate_is_not_believed() {
    let far = Far::new();
    let host = far.engine["DOCKERD_TLS_HOST"].as_str();
    let other = far.sandbox.path().join("other.pem");
    let made = Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-days",
            "1",
        ])
        .args(["-subj", "/CN=other", "-keyout", "/dev/null", "-out"])
        .arg(&other)
        .output()
        .unwrap();
    assert!(made.status.success());
    let ran = far
        .sandbox
        .expect(125, &far.arguments(&["-H", host, "--tlsverify", "--tlscacert", other.to_str().unwrap()]));
    ran.assert_stderr("certificate");
}

#[test]
fn an_engine_that_wants_a_client_certificate_says_so() {
    let far = Far::new();
    let host = far.engine["DOCKERD_TLS_HOST"].as_str();
    let ca = far.certificates("ca.pem");
    let ran = far.sandbox.expect(125, &far.arguments(&["-H", host, "--tlsverify", "--tlscacert", &ca]));
    ran.assert_stderr("certificate");
    ran.assert_stderr("--tlscert");
}

#[test]
fn a_context_is_chosen_by_flag_by_variable_and_by_docker_context_use() {
    let mut far = Far::with_context();
    far.assert_tested(&["--context", "far"]);
    let mut words = vec!["-c", "far", "run"];
    words.extend(far.arguments(&[]));
    far.assert_everything_came_back(&far.sandbox.expect(0, &words));
    let config = far.docker_config();
    docker(&["--config", config.to_str().unwrap(), "context", "use", "far"]);
    far.assert_tested(&[]);
    docker(&["--config", config.to_str().unwrap(), "context", "use", "default"]);
    far.sandbox.set("DOCKER_CONTEXT", "far");
    far.assert_tested(&[]);
}

#[test]
fn docker_host_wins_over_a_context_that_nobody_named_on_the_command_line() {
    let mut far = Far::with_context();
    far.sandbox.set("DOCKER_CONTEXT", "far").set("DOCKER_HOST", "tcp://127.0.0.1:1");
    let ran = far.sandbox.expect(125, &far.arguments(&[]));
    ran.assert_stderr("127.0.0.1:1 (DOCKER_HOST)");
    far.assert_tested(&["--context", "far"]);
}

#[test]
fn a_context_that_is_not_there_is_an_error_that_names_those_that_are() {
    let far = Far::with_context();
    let ran = far.sandbox.expect(125, &far.arguments(&["--context", "fra"]));
    ran.assert_stderr("there is no such context");
    ran.assert_stderr("there are: far");
}

#[test]
fn a_host_and_a_context_together_are_refused() {
    let far = Far::with_context();
    let host = far.engine["DOCKERD_HOST"].clone();
    let ran = far.sandbox.expect(125, &far.arguments(&["-H", &host, "--context", "far"]));
    ran.assert_stderr("--host");
    ran.assert_stderr("--context");
}

/// A sandbox that reaches this machine's own engine over ssh.
fn over_ssh() -> (Sandbox, String, String) {
    let mut sandbox = Sandbox::new();
    let ssh = fixture("sshd");
    let path = format!("{}:{}", ssh["SSH_PATH_PREFIX"], std::env::var("PATH").unwrap());
    sandbox.set("PATH", &path);
    let image = sandbox.image("ssh");
    docker(&["tag", BASE, &image]);
    (sandbox, ssh["SSH_DOCKER_HOST"].clone(), image)
}

#[test]
fn an_engine_over_ssh_gives_everything_back() {
    let (mut sandbox, host, image) = over_ssh();
    let ran = sandbox.expect(1, &["-H", &host, "-e", "CODE=3", &image, "--", "sh", "-c", SCRIPT]);
    assert_eq!(ran.stdout, "out\n");
    ran.assert_stderr("err\n");
    ran.assert_stderr(&host);
    assert_eq!(sandbox.result("file.txt"), "data\n");
    sandbox.set("DOCKER_HOST", &host);
    sandbox.expect(0, &[&image, "--", "sh", "-c", SCRIPT]);
    assert_eq!(sandbox.leftovers(), Vec::<String>::new());
}

#[test]
fn an_image_is_built_over_ssh_with_a_secret() {
    let (mut sandbox, host, image) = over_ssh();
    sandbox.set("DOCKER_HOST", &host);
    sandbox.write("test.sh", "#!/bin/sh\necho built over ssh; cat /length\n");
    sandbox.write("key", "12345");
    sandbox.write(
        "Dockerfile",
        &format!(
            "FROM {BASE}\nONTEST COPY test.sh /test.sh\n\
             ONTEST RUN --mount=type=secret,id=key wc -c < /run/secrets/key > /length\nONTEST CMD [\"/test.sh\"]\n"
        ),
    );
    sandbox.expect(0, &["build", "-t", &image, "."]);
    let ran = sandbox.expect(0, &["--secret", "id=key,src=key", &image]);
    assert_eq!(ran.stdout, "built over ssh\n5\n");
}

#[test]
fn a_context_may_lead_over_ssh() {
    let (mut sandbox, host, image) = over_ssh();
    let config = sandbox.path().parent().unwrap().join("docker-config");
    let config = config.to_str().unwrap();
    docker(&["--config", config, "context", "create", "hop", "--docker", &format!("host={host}")]);
    sandbox.set("DOCKER_CONFIG", config);
    sandbox.expect(0, &["--context", "hop", &image, "--", "true"]).assert_stderr(&host);
}

#[test]
fn an_ssh_server_that_is_not_there_is_told_in_ssh_s_own_words() {
    let (sandbox, _, image) = over_ssh();
    let ran = sandbox.expect(125, &["-H", "ssh://nobody@127.0.0.1:1", &image, "--", "true"]);
    ran.assert_stderr("ssh://nobody@127.0.0.1:1");
    ran.assert_stderr("Connection refused");
}

#[test]
fn an_engine_that_was_chosen_and_is_dead_is_not_replaced_by_another() {
    let mut sandbox = Sandbox::new();
    sandbox.set("DOCKER_HOST", "unix:///nowhere/docker.sock");
    let ran = sandbox.expect(125, &["shop:1", "--", "true"]);
    ran.assert_stderr("cannot reach an engine at unix:///nowhere/docker.sock (DOCKER_HOST)");
    assert_eq!(ran.stderr.matches("unix://").count(), 1, "{}", ran.stderr);
}

/// Runs docker-test where no engine's socket is to be seen: `/run` is empty, and so are home and `PATH`.
fn without_any_engine(arguments: &[&str], variables: &[(&str, &str)]) -> Ran {
    let sandbox = Sandbox::new();
    let home = sandbox.path();
    let namespaces = if nix::unistd::getuid().is_root() { "-m" } else { "-rm" };
    let mut command = Command::new("unshare");
    command
        .args([
            namespaces,
            "sh",
            "-c",
            "mount -t tmpfs none /run && exec env PATH=/nowhere \"$@\"",
            "sh",
            BINARY,
        ])
        .args(arguments)
        .current_dir(&home)
        .env_clear()
        .env("PATH", std::env::var("PATH").unwrap())
        .env("HOME", &home)
        .env("DOCKER_TEST_STATE_DIR", sandbox.state())
        .envs(variables.iter().copied());
    Ran::from(command.output().unwrap())
}

#[test]
fn where_no_engine_answers_the_error_lists_what_was_tried_and_how_to_get_one() {
    let ran = without_any_engine(&["shop:1"], &[]);
    ran.assert_code(125);
    for part in [
        "tried:",
        "unix:///var/run/docker.sock (default socket): ",
        "(rootless Docker): ",
        "(Docker Desktop): ",
        "unix:///run/podman/podman.sock (Podman socket): ",
        "apt-get install",
        "DOCKER_HOST",
    ] {
        ran.assert_stderr(part);
    }
}

#[test]
fn a_variable_of_podman_s_own_that_is_not_read_is_pointed_out() {
    let ran = without_any_engine(&["shop:1"], &[("CONTAINER_HOST", "unix:///elsewhere.sock")]);
    ran.assert_code(125);
    ran.assert_stderr("CONTAINER_HOST is set");
}
