//! Podman: through its own socket, and through a service that docker-test starts itself.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::fixture::{ImagesAt, Values, docker_at, fixture};
use crate::live::Fixture;
use crate::support::{BASE, BINARY, Ran, Sandbox, docker, until};

/// A listing. Podman's fails where something on the list is removed meanwhile, by another test for example.
#[track_caller]
fn list(host: &str, arguments: &[&str]) -> String {
    until("Podman has made its list", || {
        let output = Command::new("docker").args(["-H", host]).args(arguments).output().unwrap();
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
    })
}

/// A sandbox whose engine is Podman's API service.
struct Podman {
    sandbox: Sandbox,
    values: Values,
    image: String,
    _images: ImagesAt,
}

impl Podman {
    fn new() -> Self {
        let mut sandbox = Sandbox::new();
        let values = fixture("podman");
        sandbox.set("DOCKER_HOST", &values["PODMAN_HOST"]);
        let image = sandbox.image("podman");
        let images = ImagesAt { host: values["PODMAN_HOST"].clone(), names: vec![image.clone()] };
        Self { sandbox, values, image, _images: images }
    }

    /// The same with an image that has no recipe.
    fn with_image() -> Self {
        let podman = Self::new();
        podman.docker(&["tag", BASE, &podman.image]);
        podman
    }

    #[track_caller]
    fn docker(&self, arguments: &[&str]) -> String {
        docker_at(&self.values["PODMAN_HOST"], arguments)
    }

    fn list(&self, arguments: &[&str]) -> String {
        list(&self.values["PODMAN_HOST"], arguments)
    }

    #[track_caller]
    fn build(&self, dockerfile: &str) {
        self.sandbox.write("Dockerfile", dockerfile);
        self.sandbox.expect(0, &["build", "-t", &self.image, "."]);
    }

    #[track_caller]
    fn script(&self, code: i32, flags: &[&str], script: &str) -> Ran {
        self.sandbox.expect(code, &[flags, &[&self.image, "--", "sh", "-c", script]].concat())
    }

    /// Neither the container nor the private name of the target is left of a run.
    #[track_caller]
    fn assert_clean(&self, ran: &Ran) {
        let containers = self.list(&["ps", "-a", "--format", "{{.Labels}}"]);
        assert!(!containers.contains(self.image.as_str()), "{containers}");
        let run = ran.stderr.split_once("(run ").unwrap().1.split_once(')').unwrap().0;
        let tags = self.list(&["images", "--format", "{{.Tag}}"]);
        assert!(!tags.lines().any(|tag| tag == run), "{tags}");
    }
}

#[test]
fn podman_builds_runs_and_judges_an_image_with_ontest_lines() {
    let podman = Podman::new();
    podman.sandbox.write(
        "test.sh",
        "#!/bin/sh\necho \"out $*\"; echo err >&2; cat /etc/step; mkdir /var/tests/results/deep\n\
         echo data > /var/tests/results/deep/file.txt\n",
    );
    podman.build(&format!(
        "FROM {BASE}\nENTRYPOINT [\"/bin/false\"]\nONTEST COPY test.sh /test.sh\nONTEST RUN echo step > /etc/step\n\
         ONTEST CMD [\"/test.sh\", \"a b\"]\n"
    ));
    let ran = podman.sandbox.expect(0, &[&podman.image]);
    assert_eq!(ran.stdout, "out a b\nstep\n");
    ran.assert_stderr("err\n");
    ran.assert_stderr("Podman ");
    assert_eq!(podman.sandbox.result("deep/file.txt"), "data\n");
    podman.assert_clean(&ran);
    let again = podman.sandbox.expect(0, &[&podman.image]);
    again.assert_stderr("reusing ");
}

#[test]
fn podman_reads_the_dockerfile_of_a_directory() {
    let podman = Podman::with_image();
    podman.sandbox.write("Dockerfile", &format!("FROM {BASE}\nONTEST CMD [\"echo\", \"from the file\"]\n"));
    let ran = podman.sandbox.expect(0, &[&podman.image]);
    assert_eq!(ran.stdout, "from the file\n");
}

#[test]
fn a_failing_test_on_podman_exits_with_1_and_its_files_come_out() {
    let podman = Podman::with_image();
    let ran = podman.script(1, &[], "echo why > /var/tests/results/why.txt; exit 3");
    assert_eq!(podman.sandbox.result("why.txt"), "why\n");
    podman.script(3, &["--propagate-exit-code"], "exit 3");
    podman.assert_clean(&ran);
}

#[test]
fn a_command_that_podman_cannot_start_is_told_apart() {
    let podman = Podman::with_image();
    let ran = podman.sandbox.expect(127, &[&podman.image, "--", "/not-there"]);
    ran.assert_stderr("not in the image");
    podman.sandbox.expect(127, &[&podman.image, "--", "not-there"]);
    podman.sandbox.expect(126, &[&podman.image, "--", "/etc/passwd"]);
    podman.assert_clean(&ran);
}

#[test]
fn podman_tells_out_of_memory_from_a_failure() {
    let podman = Podman::with_image();
    let ran = podman.script(1, &["-m", "24m"], "echo begun > /var/tests/results/f; tail /dev/zero");
    ran.assert_stderr("memory");
    assert_eq!(podman.sandbox.result("f"), "begun\n");
    podman.assert_clean(&ran);
}

#[test]
fn a_test_on_podman_that_takes_too_long_is_ended_and_its_files_come_out() {
    let podman = Podman::with_image();
    let ran = podman.script(
        124,
        &["--timeout", "1s", "--grace-period", "5s"],
        "trap 'echo asked; exit 0' TERM; echo begun > /var/tests/results/f; while :; do sleep 0.1; done",
    );
    ran.assert_stdout("asked\n");
    assert_eq!(podman.sandbox.result("f"), "begun\n");
    podman.assert_clean(&ran);
}

#[test]
fn results_on_podman_can_be_written_by_any_user() {
    let podman = Podman::with_image();
    podman.script(0, &["-u", "1234:1234"], "id -u > /var/tests/results/who");
    assert_eq!(podman.sandbox.result("who"), "1234\n");
    podman.script(0, &["-u", "1234", "--read-only"], "echo ro > /var/tests/results/who");
    assert_eq!(podman.sandbox.result("who"), "ro\n");
}

#[test]
fn onbuild_triggers_are_read_from_podman_s_history() {
    let podman = Podman::new();
    podman.sandbox.write(
        "base.Dockerfile",
        &format!(
            "FROM {BASE}\nONBUILD RUN echo triggered > /triggered\nONBUILD CMD [\"cat\", \"/triggered\"]\n"
        ),
    );
    let path = podman.sandbox.path();
    podman.docker(&[
        "build",
        "-q",
        "-t",
        &podman.image,
        "-f",
        path.join("base.Dockerfile").to_str().unwrap(),
        path.to_str().unwrap(),
    ]);
    let ran = podman.sandbox.expect(0, &["inspect", "--format", "json", &podman.image]);
    assert_eq!(ran.json()["source"], "onbuild");
    assert_eq!(ran.json()["triggers"].as_array().unwrap().len(), 2);
    assert_eq!(podman.sandbox.expect(0, &[&podman.image]).stdout, "triggered\n");
}

#[test]
fn a_heredoc_is_refused_by_name_before_podman_is_asked() {
    let podman = Podman::with_image();
    podman.sandbox.write(
        "Dockerfile.test",
        "ARG TEST_IMAGE\nFROM ${TEST_IMAGE}\nRUN <<EOF\necho x > /out\nEOF\nCMD [\"cat\", \"/out\"]\n",
    );
    let ran = podman.sandbox.expect(125, &[&podman.image]);
    ran.assert_stderr("heredoc");
    ran.assert_stderr("Podman ");
}

#[test]
fn build_arguments_labels_and_a_second_stage_work_on_podman() {
    let podman = Podman::with_image();
    podman.sandbox.write("file", "from here\n");
    podman.sandbox.write(
        "Dockerfile.test",
        &format!(
            "ARG TEST_IMAGE\nFROM {BASE} AS tools\nARG WORD\nRUN echo \"$WORD\" > /word\n\
             FROM ${{TEST_IMAGE}}\nCOPY --from=tools /word /word\nCOPY file /file\nCMD [\"cat\", \"/word\", \"/file\"]\n"
        ),
    );
    let ran = podman.sandbox.expect(0, &["--build-arg", "WORD=given", "--build-label", "a=b", &podman.image]);
    assert_eq!(ran.stdout, "given\nfrom here\n");
    let label =
        podman.docker(&["image", "inspect", "-f", "{{.Config.Labels.a}}", &format!("{}-test", podman.image)]);
    assert_eq!(label, "b\n");
}

#[test]
fn an_error_of_podman_s_builder_is_told_with_the_author_s_line() {
    let podman = Podman::with_image();
    podman.sandbox.write(
        "Dockerfile.test",
        "ARG TEST_IMAGE\nFROM ${TEST_IMAGE}\nRUN true\nRUN echo broken >&2; exit 9\nCMD [\"true\"]\n",
    );
    let ran = podman.sandbox.expect(125, &[&podman.image]);
    ran.assert_stderr("broken");
    ran.assert_stderr("Dockerfile.test:4");
    podman.assert_clean(&ran);
}

#[test]
fn run_flags_reach_podman() {
    let podman = Podman::with_image();
    podman.sandbox.write("data/in", "bound\n");
    let ran = podman.script(
        0,
        &[
            "-e",
            "A=b",
            "-w",
            "/tmp",
            "-v",
            "./data:/data",
            "--hostname",
            "here",
            "--tmpfs",
            "/fast",
            "--network",
            "none",
            "--label",
            "x=y",
            "--cap-drop",
            "ALL",
            "--add-host",
            "db:10.9.8.7",
            "--ulimit",
            "nofile=77:88",
            // Podman's own default may be more than this user may set.
            "--ulimit",
            "nproc=1000:1000",
        ],
        "echo $A; pwd; cat /data/in; hostname; grep -c ' /fast ' /proc/mounts; ls /sys/class/net; ulimit -n; \
         grep -c 'CapEff:.*0000000000000000' /proc/self/status",
    );
    assert_eq!(ran.stdout, "b\n/tmp\nbound\nhere\n1\nlo\n77\n1\n");
}

#[test]
fn what_a_failed_build_leaves_on_podman_is_told_by_its_labels_and_pruned() {
    let podman = Fixture::up("podman@steps", &[]);
    let mut sandbox = Sandbox::new();
    let host = podman.value("PODMAN_HOST");
    sandbox.set("DOCKER_HOST", host);
    docker_at(host, &["tag", BASE, "steps:1"]);
    let images = || list(host, &["images", "-aq", "--no-trunc"]).lines().count();
    let before = images();
    sandbox.write("Dockerfile.test", "ARG TEST_IMAGE\nFROM ${TEST_IMAGE}\nRUN echo > /one\nRUN false\n");
    sandbox.expect(125, &["steps:1", "--path", "."]);
    assert!(images() > before, "Podman kept no step");
    sandbox.expect(0, &["prune"]).assert_stdout("removed image sha256:");
    assert_eq!(images(), before);
    // What is left of a build that came to its end goes with its result.
    sandbox.write("Dockerfile.test", "ARG TEST_IMAGE\nFROM ${TEST_IMAGE}\nRUN echo > /one\nCMD true\n");
    sandbox.expect(0, &["steps:1", "--path", "."]);
    sandbox.expect(0, &["prune", "--images"]).assert_stdout("steps:1-test");
    assert_eq!(images(), before);
}

#[test]
fn a_kept_container_on_podman_is_removed_by_prune() {
    let podman = Podman::with_image();
    let ran = podman.script(1, &["--keep", "failed"], "exit 1");
    let kept = ran.stderr.lines().find_map(|line| line.strip_prefix("kept: ")).unwrap().to_owned();
    assert!(podman.list(&["ps", "-a", "--format", "{{.Names}}"]).contains(&kept));
    podman.sandbox.expect(0, &["prune"]).assert_stdout(&kept);
    assert!(!podman.list(&["ps", "-a", "--format", "{{.Names}}"]).contains(&kept));
}

/// docker-test where Docker's socket answers nobody and Podman is installed.
///
/// Each runs in a mount namespace of its own, and what Podman mounts for a container is seen there alone: so these have a
/// storage to themselves, and containers without a network namespace of their own.
struct NoSocket {
    sandbox: Sandbox,
    image: String,
    runtime: PathBuf,
    _images: ImagesAt,
}

const OWN: &str = "podman@own";

impl NoSocket {
    fn new() -> Self {
        let mut sandbox = Sandbox::new();
        let values = fixture(OWN);
        let host = values["PODMAN_HOST"].clone();
        let image = sandbox.image("own");
        docker_at(&host, &["tag", BASE, &image]);
        let images = ImagesAt { host, names: vec![image.clone()] };
        // A socket's path may be 107 bytes long at most.
        let runtime = sandbox.path().parent().unwrap().join("run");
        fs::create_dir(&runtime).unwrap();
        for name in ["CONTAINERS_CONF", "CONTAINERS_STORAGE_CONF"] {
            sandbox.set(name, &values[name]);
        }
        let home = sandbox.path().parent().unwrap().display().to_string();
        sandbox.set("XDG_RUNTIME_DIR", runtime.to_str().unwrap()).set("HOME", &home);
        Self { sandbox, image, runtime, _images: images }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let prepared = self.sandbox.command::<&str>(&[]);
        let mut command = Command::new("unshare");
        let hide = "for socket in /run/docker.sock /run/podman/podman.sock; do \
                    [ ! -e $socket ] || mount --bind /dev/null $socket || exit; done; exec \"$@\"";
        command
            .args(["-m", "sh", "-c", hide, "sh", BINARY])
            .args(arguments)
            .current_dir(self.sandbox.path())
            .envs(prepared.get_envs().filter_map(|(name, value)| Some((name, value?))))
            .env_remove("DOCKER_HOST")
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped());
        command
    }

    #[track_caller]
    fn expect(&self, code: i32, arguments: &[&str]) -> Ran {
        let ran = Ran::from(self.command(arguments).output().unwrap());
        ran.assert_code(code);
        ran
    }

    /// Services on a socket in this sandbox's runtime directory.
    fn services(&self) -> Vec<u32> {
        let is_ours = |pid: &Path| {
            let words = fs::read(pid.join("cmdline")).unwrap_or_default();
            let words = String::from_utf8_lossy(&words).into_owned();
            words.contains("system\0service") && words.contains(self.runtime.to_str().unwrap())
        };
        fs::read_dir("/proc")
            .unwrap()
            .flatten()
            .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path())))
            .filter(|(_, path): &(u32, PathBuf)| is_ours(path))
            .map(|(pid, _)| pid)
            .collect()
    }

    #[track_caller]
    fn assert_nothing_is_left(&self) {
        // One that is killed takes a moment to go.
        until("the service has ended", || self.services().is_empty().then_some(()));
        let left: Vec<_> = fs::read_dir(&self.runtime)
            .unwrap()
            .flatten()
            .map(|entry| entry.file_name())
            .filter(|name| name.to_string_lossy().starts_with("docker-test-"))
            .collect();
        assert!(left.is_empty(), "{left:?}");
    }
}

impl Drop for NoSocket {
    fn drop(&mut self) {
        for pid in self.services() {
            let pid = nix::unistd::Pid::from_raw(i32::try_from(pid).unwrap());
            let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL);
        }
    }
}

#[test]
fn where_no_engine_answers_podman_s_service_is_started_for_the_run_and_ended_with_it() {
    let own = NoSocket::new();
    own.sandbox.write(
        "Dockerfile",
        &format!("FROM {BASE}\nONTEST RUN echo built > /built\nONTEST CMD [\"cat\", \"/built\"]\n"),
    );
    let ran = own.expect(0, &["--network", "host", &own.image]);
    assert_eq!(ran.stdout, "built\n");
    ran.assert_stderr("started Podman's API service");
    own.assert_nothing_is_left();
    own.expect(
        1,
        &["--network", "host", &own.image, "--", "sh", "-c", "echo x > /var/tests/results/f; exit 1"],
    );
    assert_eq!(own.sandbox.result("f"), "x\n");
    own.assert_nothing_is_left();
}

#[test]
fn a_service_of_our_own_writes_nothing_where_it_was_started_from() {
    let own = NoSocket::new();
    own.expect(1, &["--network", "host", "-m", "24m", &own.image, "--", "tail", "/dev/zero"]);
    let names = fs::read_dir(own.sandbox.path()).unwrap().map(|entry| entry.unwrap().file_name());
    assert_eq!(names.collect::<Vec<_>>(), ["tests"]);
}

#[test]
fn a_service_of_our_own_ends_with_an_error_too() {
    let own = NoSocket::new();
    own.expect(125, &["--pull", "never", "dt-it/not-there:1"]);
    own.assert_nothing_is_left();
    own.expect(0, &["doctor"]).assert_stdout("Podman ");
    own.assert_nothing_is_left();
}

/// Starts a test that sleeps, waits until it runs, and kills docker-test without a word.
fn kill_while_it_runs(own: &NoSocket) {
    let arguments = ["--network", "host", &own.image, "--", "sh", "-c", "echo ready; exec sleep 120"];
    let mut child = own.command(&arguments).spawn().unwrap();
    let mut output = child.stdout.take().unwrap();
    let mut begun = [0; 6];
    let read = std::io::Read::read_exact(&mut output, &mut begun);
    assert!(read.is_ok(), "{:?}", Ran::from(child.wait_with_output().unwrap()));
    assert_eq!(&begun, b"ready\n");
    assert!(!own.services().is_empty());
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn what_a_killed_run_left_in_podman_is_swept_by_the_next() {
    let own = NoSocket::new();
    kill_while_it_runs(&own);
    let host = fixture(OWN)["PODMAN_HOST"].clone();
    let containers = || list(&host, &["ps", "-a", "--format", "{{.Labels}}"]);
    assert!(containers().contains(&own.image), "the test goes on without us");
    own.expect(0, &["--network", "host", &own.image, "--", "true"]);
    assert!(!containers().contains(&own.image), "{}", containers());
}

#[test]
fn the_service_of_a_killed_run_ends_with_it() {
    let own = NoSocket::new();
    kill_while_it_runs(&own);
    until("the service has ended", || own.services().is_empty().then_some(()));
    own.expect(0, &["--network", "host", &own.image, "--", "true"]);
    let left = fs::read_dir(&own.runtime).unwrap().count();
    assert!(left <= 1, "a directory of the killed run may stay until it is old, and no more: {left}");
}

#[test]
fn podman_and_docker_do_not_see_each_other_s_runs() {
    let podman = Podman::with_image();
    podman.script(0, &[], "true");
    until("nothing of Podman's run is on Docker", || {
        let seen = docker(&["ps", "-a", "--format", "{{.Labels}}"]);
        (!seen.contains(&podman.image)).then_some(())
    });
}

#[test]
fn triggers_that_podman_has_consumed_are_not_the_image_s_own() {
    let podman = Podman::new();
    let base = format!("{}-base", podman.image);
    let _base = ImagesAt { host: podman.values["PODMAN_HOST"].clone(), names: vec![base.clone()] };
    let build = |name: &str, text: &str| {
        let file = podman.sandbox.write("any.Dockerfile", text);
        let directory = podman.sandbox.path();
        let arguments = ["-q", "-t", name, "-f", file.to_str().unwrap(), directory.to_str().unwrap()];
        podman.docker(&[&["build"], &arguments[..]].concat());
    };
    build(&base, &format!("FROM {BASE}\nONBUILD RUN echo base > /base\nLABEL a=b\n"));
    build(&podman.image, &format!("FROM {base}\nLABEL c=d\n"));
    let ran = podman.sandbox.run(&["inspect", "--format", "json", &podman.image]);
    assert!(ran.stderr.contains("does not say how it is tested"), "{}{}", ran.stdout, ran.stderr);
    build(&podman.image, &format!("FROM {base}\nRUN true\nONBUILD CMD [\"cat\", \"/base\"]\n"));
    let triggers = podman.sandbox.expect(0, &["inspect", "--format", "json", &podman.image]).json();
    assert_eq!(triggers["triggers"].as_array().unwrap().len(), 1, "{triggers}");
    assert_eq!(podman.sandbox.expect(0, &[&podman.image]).stdout, "base\n");
}

#[test]
fn podman_builds_from_the_id_under_no_name_of_ours() {
    let podman = Podman::with_image();
    podman.sandbox.write(
        "Dockerfile.test",
        "ARG TEST_IMAGE\nFROM ${TEST_IMAGE}\nARG TEST_IMAGE\nRUN echo $TEST_IMAGE > /from\nCMD [\"cat\", \"/from\"]\n",
    );
    let id = podman.docker(&["image", "inspect", "-f", "{{.Id}}", &podman.image]);
    let id = id.trim().trim_start_matches("sha256:");
    assert_eq!(podman.sandbox.expect(0, &[&podman.image]).stdout.trim(), id);
    // Podman's store loses names of an image where several clients name it at once.
    let runs: Vec<_> = (0..4)
        .map(|number| {
            let test_image = format!("{}-{number}", podman.image);
            let arguments = [
                "--no-cache",
                "--results-dir",
                &format!("r{number}"),
                "--test-image",
                &test_image,
                &podman.image,
            ];
            let child = podman.sandbox.command(&arguments).spawn().unwrap();
            (ImagesAt { host: podman.values["PODMAN_HOST"].clone(), names: vec![test_image] }, child)
        })
        .collect();
    for (_image, child) in runs {
        let ran = Ran::from(child.wait_with_output().unwrap());
        ran.assert_code(0);
        assert_eq!(ran.stdout.trim(), id);
    }
}

#[test]
fn podman_s_copy_of_the_whole_context_leaves_our_dockerfile_out() {
    let podman = Podman::with_image();
    podman.sandbox.write("a", "");
    podman.sandbox.write(".dockerignore", "a\n");
    podman.sandbox.write("Dockerfile.test.dockerignore", "b\n");
    podman.sandbox.write(
        "Dockerfile.test",
        "ARG TEST_IMAGE\nFROM ${TEST_IMAGE}\nCOPY . /all\nCMD cd /all && find . -type f | sort\n",
    );
    let ran = podman.sandbox.expect(0, &[&podman.image]);
    assert_eq!(ran.stdout, "./.dockerignore\n./Dockerfile.test\n./Dockerfile.test.dockerignore\n./a\n");
}
