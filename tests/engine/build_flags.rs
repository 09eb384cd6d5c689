//! Every flag of `docker build` that docker-test passes on, for the test image and for `docker-test build`.

use std::process::{Command, Stdio};

use crate::fixture::fixture;
use crate::support::{BASE, Sandbox, docker, image_id, label};

/// A sandbox with an image whose recipe is the `Dockerfile.test` in the current directory.
struct Bench {
    sandbox: Sandbox,
    image: String,
}

impl Bench {
    /// `recipe` stands between `FROM ${TEST_IMAGE}` and the test's command, which prints `/out`.
    fn new(recipe: &str) -> Self {
        let sandbox = Sandbox::new();
        let image = sandbox.image("build");
        docker(&["tag", BASE, &image]);
        let bench = Self { sandbox, image };
        bench.write(recipe);
        bench
    }

    fn write(&self, recipe: &str) {
        let text = format!("ARG TEST_IMAGE\nFROM ${{TEST_IMAGE}}\n{recipe}\nCMD [\"cat\", \"/out\"]\n");
        self.sandbox.write("Dockerfile.test", &text);
    }

    fn with<'a>(&'a self, flags: &[&'a str]) -> Vec<&'a str> {
        [flags, &[self.image.as_str()]].concat()
    }

    /// What the test prints when its image is built with these flags.
    #[track_caller]
    fn prints(&self, flags: &[&str]) -> String {
        self.sandbox.expect(0, &self.with(flags)).stdout
    }

    fn test_image(&self) -> String {
        format!("{}-test", self.image)
    }

    /// True where the bytes stand anywhere in the test image: layers, configuration, history.
    fn image_contains(&self, text: &str) -> bool {
        let saved = Command::new("sh")
            .args([
                "-c",
                "docker save \"$1\" | tar -xO | grep -qaF -- \"$2\"",
                "sh",
                &self.test_image(),
                text,
            ])
            .status()
            .unwrap();
        saved.success()
    }
}

#[test]
fn build_arguments_reach_the_recipe_and_a_changed_one_rebuilds() {
    let mut bench = Bench::new("ARG WORD=none\nARG FROM_HERE=none\nRUN echo \"$WORD $FROM_HERE\" > /out");
    bench.sandbox.set("FROM_HERE", "inherited");
    assert_eq!(bench.prints(&[]), "none none\n");
    assert_eq!(
        bench.prints(&["--build-arg", "WORD=two words", "--build-arg", "FROM_HERE"]),
        "two words inherited\n"
    );
    assert_eq!(bench.prints(&["--build-arg", "WORD=other"]), "other none\n");
}

#[test]
fn a_secret_is_read_in_the_build_and_left_nowhere() {
    let bench = Bench::new("RUN --mount=type=secret,id=token wc -c < /run/secrets/token > /out");
    let value = format!("secret-value-{}", std::process::id());
    bench.sandbox.write("token", &value);
    let printed = bench.prints(&["--no-cache", "--secret", "id=token,src=token"]);
    assert_eq!(printed.trim(), value.len().to_string());
    assert!(!bench.image_contains(&value));
    assert!(bench.image_contains("/run/secrets/token"), "the history tells the instruction");
}

#[test]
fn a_secret_may_come_from_a_variable() {
    let mut bench = Bench::new("RUN --mount=type=secret,id=token,target=/t sed s/e/3/g /t > /out");
    bench.sandbox.set("DT_SECRET", "pepper");
    assert_eq!(bench.prints(&["--secret", "id=token,env=DT_SECRET"]).trim(), "p3pp3r");
}

#[test]
fn a_required_secret_that_nobody_gave_fails_the_build() {
    let bench = Bench::new("RUN --mount=type=secret,id=token,required=true cat /run/secrets/token > /out");
    let ran = bench.sandbox.expect(125, &bench.with(&[]));
    ran.assert_stderr("token");
    ran.assert_stderr("Dockerfile.test:3");
    let ran = bench.sandbox.expect(125, &bench.with(&["--secret", "id=token,src=missing"]));
    ran.assert_stderr("missing");
}

/// An ssh-agent of the test's own, with one key; ended on drop.
struct Agent {
    process: std::process::Child,
    directory: tempfile::TempDir,
}

impl Agent {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("agent");
        let process =
            Command::new("ssh-agent").args(["-D", "-a"]).arg(&socket).stdout(Stdio::null()).spawn().unwrap();
        let agent = Self { process, directory };
        crate::support::until("the agent listens", || socket.exists().then_some(()));
        let key = agent.directory.path().join("key");
        let made = Command::new("ssh-keygen")
            .args(["-q", "-t", "ed25519", "-N", "", "-C", "dt-it-agent-key", "-f"])
            .arg(&key)
            .status()
            .unwrap();
        let added =
            Command::new("ssh-add").arg("-q").arg(&key).env("SSH_AUTH_SOCK", &socket).status().unwrap();
        assert!(made.success() && added.success());
        agent
    }

    fn socket(&self) -> String {
        self.directory.path().join("agent").display().to_string()
    }

    fn key(&self) -> String {
        self.directory.path().join("key").display().to_string()
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Asks the agent `id` for its identities in its own protocol: a request of one byte, 11. busybox cannot; perl can.
fn asks_the_agent(id: &str) -> Bench {
    let debian = fixture("base")["BASE_DEBIAN"].clone();
    let bench = Bench::new("");
    let ask = "socket(S, PF_UNIX, SOCK_STREAM, 0); connect(S, sockaddr_un($ENV{SSH_AUTH_SOCK})) or die $!; \
               syswrite S, pack(\"NC\", 1, 11); sysread S, $b, 4096; \
               print $b =~ /ssh-ed25519/ ? \"one key\\n\" : \"no key\\n\"";
    bench.sandbox.write(
        "Dockerfile.test",
        &format!(
            "ARG TEST_IMAGE\nFROM {debian} AS asks\n\
             RUN --mount=type=ssh,id={id} perl -MSocket -e '{ask}' > /out\n\
             FROM ${{TEST_IMAGE}}\nCOPY --from=asks /out /out\nCMD [\"cat\", \"/out\"]\n"
        ),
    );
    bench
}

#[test]
fn the_agent_of_the_environment_serves_the_build() {
    let mut bench = asks_the_agent("default");
    let agent = Agent::new();
    bench.sandbox.set("SSH_AUTH_SOCK", &agent.socket());
    assert_eq!(bench.prints(&["--ssh", "default"]), "one key\n");
}

#[test]
fn an_agent_or_a_key_may_be_named() {
    let bench = asks_the_agent("deploy");
    let agent = Agent::new();
    assert_eq!(bench.prints(&["--ssh", &format!("deploy={}", agent.socket())]), "one key\n");
    assert_eq!(bench.prints(&["--no-cache", "--ssh", &format!("deploy={}", agent.key())]), "one key\n");
    assert!(!bench.image_contains("PRIVATE KEY"));
}

#[test]
fn an_ssh_mount_without_the_flag_is_explained() {
    let bench = Bench::new("RUN --mount=type=ssh,required=true true");
    bench.sandbox.expect(125, &bench.with(&[])).assert_stderr("ssh");
}

#[test]
fn a_cache_mount_keeps_its_files_for_the_next_build() {
    let sandbox = Sandbox::new();
    let id = sandbox.name("cache");
    let recipe =
        |line: &str| format!("RUN --mount=type=cache,id={id},target=/cache {line} && cat /cache/n > /out");
    let bench = Bench { image: sandbox.image("build"), sandbox };
    docker(&["tag", BASE, &bench.image]);
    bench.write(&recipe("echo first > /cache/n"));
    assert_eq!(bench.prints(&[]), "first\n");
    bench.write(&recipe("echo second >> /cache/n"));
    assert_eq!(bench.prints(&[]), "first\nsecond\n");
    assert!(!docker(&["run", "--rm", &bench.test_image(), "ls", "-A", "/"]).contains("cached"));
}

#[test]
fn target_ends_the_build_at_a_stage() {
    let sandbox = Sandbox::new();
    let image = sandbox.image("build");
    docker(&["tag", BASE, &image]);
    sandbox.write(
        "Dockerfile.test",
        "ARG TEST_IMAGE\nFROM ${TEST_IMAGE} AS quick\nCMD [\"echo\", \"quick\"]\n\
         FROM ${TEST_IMAGE} AS slow\nCMD [\"echo\", \"slow\"]\n",
    );
    assert_eq!(sandbox.expect(0, &[&image]).stdout, "slow\n");
    assert_eq!(sandbox.expect(0, &["--target", "quick", &image]).stdout, "quick\n");
    let ran = sandbox.expect(125, &["--target", "quik", &image]);
    ran.assert_stderr("quik");
}

#[test]
fn without_the_cache_every_step_runs_anew() {
    let bench = Bench::new("RUN cat /proc/sys/kernel/random/uuid > /out");
    let first = bench.prints(&[]);
    assert_eq!(bench.prints(&[]), first, "an unchanged test image is not rebuilt");
    assert_ne!(bench.prints(&["--no-cache"]), first);
}

#[test]
fn cache_from_is_accepted_by_both_builders() {
    for buildkit in ["1", "0"] {
        let mut bench = Bench::new("RUN echo built > /out");
        bench.sandbox.set("DOCKER_BUILDKIT", buildkit);
        assert_eq!(bench.prints(&["--cache-from", BASE]), "built\n");
    }
}

#[test]
fn build_network_none_leaves_run_without_one() {
    let bench = Bench::new("RUN ls /sys/class/net > /out");
    assert_eq!(bench.prints(&["--build-network", "none"]), "lo\n");
}

#[test]
fn build_hosts_are_known_in_the_build_alone() {
    let bench = Bench::new("RUN grep -c build.example /etc/hosts > /out");
    assert_eq!(bench.prints(&["--build-add-host", "build.example:10.9.8.7"]), "1\n");
    let ran = bench.sandbox.expect(
        0,
        &[
            "--build-add-host",
            "build.example:10.9.8.7",
            &bench.image,
            "--",
            "sh",
            "-c",
            "grep -c build.example /etc/hosts || :",
        ],
    );
    assert_eq!(ran.stdout, "0\n");
}

#[test]
fn build_labels_are_on_the_test_image_beside_ours() {
    let bench = Bench::new("RUN echo x > /out");
    bench.prints(&["--build-label", "team=shop", "--build-label", "bare"]);
    assert_eq!(label(&bench.test_image(), "team"), "shop");
    assert_eq!(label(&bench.test_image(), "docker-test.role"), "test-image");
}

#[test]
fn sizes_and_limits_of_run_instructions_are_those_given() {
    let mut bench =
        Bench::new("RUN { grep ' /dev/shm ' /proc/mounts | grep -o 'size=[0-9]*k'; ulimit -n; } > /out");
    bench.sandbox.set("DOCKER_BUILDKIT", "0");
    let printed = bench.prints(&["--build-shm-size", "3m", "--build-ulimit", "nofile=77:88"]);
    assert_eq!(printed, "size=3072k\n77\n");
}

#[test]
fn a_platform_that_the_image_is_not_for_is_an_error() {
    let bench = Bench::new("RUN echo x > /out");
    let ran = bench.sandbox.expect(125, &bench.with(&["--pull", "never", "--platform", "linux/s390x"]));
    ran.assert_stderr("linux/s390x");
    ran.assert_stderr("linux/");
    assert_eq!(image_id(&bench.test_image()), None);
    let ran = bench.sandbox.expect(125, &bench.with(&["--platform", "linux/a,linux/b"]));
    ran.assert_stderr("one run tests one platform");
}

#[test]
fn the_platform_of_the_image_is_accepted() {
    let bench = Bench::new("RUN echo same > /out");
    let platform = docker(&["image", "inspect", "-f", "{{.Os}}/{{.Architecture}}", BASE]);
    assert_eq!(bench.prints(&["--platform", platform.trim()]), "same\n");
}

#[test]
fn the_classic_builder_refuses_a_mount_by_name_before_anything_is_built() {
    let mut bench = Bench::new("RUN --mount=type=cache,target=/c echo x > /out");
    bench.sandbox.set("DOCKER_BUILDKIT", "0");
    let ran = bench.sandbox.expect(125, &bench.with(&[]));
    ran.assert_stderr("classic builder");
    ran.assert_stderr("RUN --mount");
    assert_eq!(image_id(&bench.test_image()), None);
}

#[test]
fn the_classic_builder_refuses_secrets_and_ssh_by_name() {
    let mut bench = Bench::new("RUN echo x > /out");
    bench.sandbox.set("DOCKER_BUILDKIT", "0");
    bench.sandbox.write("token", "x");
    let ran = bench.sandbox.expect(125, &bench.with(&["--secret", "id=token,src=token"]));
    ran.assert_stderr("secret");
    let ran = bench.sandbox.expect(125, &bench.with(&["--ssh", "default"]));
    ran.assert_stderr("ssh");
}

#[test]
fn docker_test_build_takes_the_flags_under_docker_s_own_names() {
    let sandbox = Sandbox::new();
    let image = sandbox.image("own");
    sandbox.write("token", "1234567");
    sandbox.write(
        "Dockerfile.prod",
        &format!(
            "FROM {BASE} AS first\nARG WORD\nRUN --mount=type=secret,id=token \
             {{ echo \"$WORD\"; wc -c < /run/secrets/token; ls /sys/class/net; grep -c x.example /etc/hosts; }} > /out\n\
             FROM {BASE} AS second\nRUN echo second > /out\n"
        ),
    );
    sandbox.expect(
        0,
        &[
            "build",
            "-f",
            "Dockerfile.prod",
            "-t",
            &image,
            "--target",
            "first",
            "--build-arg",
            "WORD=given",
            "--secret",
            "id=token,src=token",
            "--network",
            "none",
            "--add-host",
            "x.example:10.1.1.1",
            "--label",
            "a=b",
            "--iidfile",
            "id",
            ".",
        ],
    );
    assert_eq!(docker(&["run", "--rm", &image, "cat", "/out"]), "given\n7\nlo\n1\n");
    assert_eq!(label(&image, "a"), "b");
    let written = std::fs::read_to_string(sandbox.path().join("id")).unwrap();
    assert_eq!(Some(written), image_id(&image));
}

#[test]
fn quiet_builds_print_the_id_alone() {
    let sandbox = Sandbox::new();
    let image = sandbox.image("quiet");
    sandbox.write("Dockerfile", &format!("FROM {BASE}\nRUN echo x > /x\n"));
    let ran = sandbox.expect(0, &["build", "-q", "-t", &image, "."]);
    assert_eq!(Some(ran.stdout.trim().to_owned()), image_id(&image));
    assert_eq!(ran.stderr, "");
}
