//! Files come out, whatever way the test ends, and nowhere but where they belong.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;

use crate::live::{Fixture, Live, assert_clean, image_with, plain, script};
use crate::support::{BINARY, Ran, Sandbox, docker};

/// Every path below a directory, relative, sorted, our marker left out.
fn tree(directory: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut open = vec![directory.to_owned()];
    while let Some(next) = open.pop() {
        for entry in fs::read_dir(next).unwrap().map(Result::unwrap) {
            if entry.file_type().unwrap().is_dir() {
                open.push(entry.path());
            }
            let path = entry.path().strip_prefix(directory).unwrap().display().to_string();
            if !path.starts_with(".docker-test-results") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

#[test]
fn an_older_result_is_replaced_whole() {
    let sandbox = Sandbox::new();
    let image = plain(&sandbox);
    let results = sandbox.path().join("tests/results");
    sandbox.expect(0, &script(&[], &image, "cd /var/tests/results; mkdir d; echo 1 > d/old; echo 1 > both"));
    assert_eq!(tree(&results), ["both", "d", "d/old"]);
    sandbox.expect(1, &script(&[], &image, "cd /var/tests/results; echo 2 > both; echo 2 > d; exit 1"));
    assert_eq!(tree(&results), ["both", "d"]);
    assert_eq!(sandbox.result("both"), "2\n");
    let beside = tree(&sandbox.path().join("tests"));
    assert_eq!(beside, ["results", "results/.docker-test-results", "results/both", "results/d"]);
}

#[test]
fn modes_links_and_times_come_out_as_they_were() {
    let sandbox = Sandbox::new();
    let image = plain(&sandbox);
    let shell = "cd /var/tests/results; echo x > tool; chmod 755 tool; touch -d '2001-02-03 04:05:06' tool; ln -s tool link; mkdir empty";
    sandbox.expect(0, &script(&[], &image, shell));
    let results = sandbox.path().join("tests/results");
    let tool = results.join("tool").metadata().unwrap();
    assert_eq!((tool.mode() & 0o777, tool.mtime()), (0o755, 981_173_106));
    assert_eq!(fs::read_link(results.join("link")).unwrap(), Path::new("tool"));
    assert!(results.join("empty").is_dir());
}

#[test]
fn files_of_any_user_of_the_container_belong_to_the_caller() {
    let sandbox = Sandbox::new();
    let image = plain(&sandbox);
    let shell = "echo x > /var/tests/results/secret; chmod 600 /var/tests/results/secret; id -u > /var/tests/results/id";
    sandbox.expect(0, &script(&["-u", "1234:4321"], &image, shell));
    assert_eq!(sandbox.result("id"), "1234\n");
    let own = sandbox.path().metadata().unwrap();
    for file in ["tests/results/secret", "tests/results", "tests"] {
        let file = sandbox.path().join(file).metadata().unwrap();
        assert_eq!((file.uid(), file.gid()), (own.uid(), own.gid()));
    }
}

#[test]
fn a_caller_who_is_not_root_gets_files_of_his_own() {
    let sandbox = Sandbox::new();
    let socket = Path::new("/var/run/docker.sock").metadata().unwrap();
    let is_root = nix::unistd::geteuid().is_root();
    if !is_root || socket.gid() == 0 {
        // Then every other test of this file shows it.
        return;
    }
    let image = plain(&sandbox);
    let home = tempfile::Builder::new().prefix("dt-it-user-").tempdir_in("/tmp").unwrap();
    std::os::unix::fs::chown(home.path(), Some(2345), Some(2345)).unwrap();
    // The program may lie in a directory that only root can enter.
    let program = home.path().join("docker-test");
    fs::copy(BINARY, &program).unwrap();
    let shell = "echo x > /var/tests/results/file; chown 77:77 /var/tests/results/file; chmod 4600 /var/tests/results/file";
    let output = Command::new("setpriv")
        .args(["--reuid=2345", "--regid=2345", &format!("--groups={}", socket.gid())])
        .arg(&program)
        .args(script(&[], &image, shell))
        .current_dir(home.path())
        .env("HOME", home.path())
        .env_remove("XDG_STATE_HOME")
        .output()
        .unwrap();
    Ran::from(output).assert_code(0);
    let file = home.path().join("tests/results/file").symlink_metadata().unwrap();
    assert_eq!((file.uid(), file.gid(), file.mode() & 0o7777), (2345, 2345, 0o600));
}

#[test]
fn files_come_out_when_the_test_is_killed_for_its_time() {
    let sandbox = Sandbox::new();
    let image = plain(&sandbox);
    let shell = "trap '' TERM; echo x > /var/tests/results/file; while :; do sleep 1; done";
    let flags = ["--timeout", "1s", "--grace-period", "100ms"];
    sandbox.expect(124, &script(&flags, &image, shell)).assert_stderr("killing the test");
    assert_eq!(sandbox.result("file"), "x\n");
}

#[test]
fn a_directory_that_is_not_ours_is_refused_before_anything_runs() {
    let sandbox = Sandbox::new();
    let image = plain(&sandbox);
    sandbox.write("precious.txt", "mine");
    sandbox.write("out/precious.txt", "mine");
    for directory in [".", "out", "precious.txt"] {
        let ran = sandbox.expect(125, &script(&["--results-dir", directory], &image, "true"));
        ran.assert_stderr("--results-dir");
        assert!(!ran.stderr.contains("running"), "{}", ran.stderr);
    }
    assert_eq!(tree(&sandbox.path()), ["out", "out/precious.txt", "precious.txt"]);
}

#[test]
fn an_empty_directory_is_accepted_and_keeps_its_place_where_it_is_a_link() {
    let sandbox = Sandbox::new();
    let image = plain(&sandbox);
    fs::create_dir(sandbox.path().join("real")).unwrap();
    std::os::unix::fs::symlink("real", sandbox.path().join("link")).unwrap();
    for content in ["one", "two"] {
        let shell = format!("echo {content} > /var/tests/results/file");
        sandbox.expect(0, &script(&["--results-dir", "link"], &image, &shell));
        assert_eq!(fs::read_to_string(sandbox.path().join("real/file")).unwrap(), format!("{content}\n"));
        assert!(sandbox.path().join("link").is_symlink());
    }
}

#[test]
fn files_that_the_user_added_meanwhile_are_not_lost() {
    let sandbox = Sandbox::new();
    let image = plain(&sandbox);
    fs::create_dir(sandbox.path().join("out")).unwrap();
    let live = Live::start(sandbox.command(&script(&["--results-dir", "out"], &image, "echo up; sleep 1")));
    live.prints("up");
    sandbox.write("out/precious.txt", "mine");
    let ran = live.finish();
    ran.assert_code(125);
    assert_eq!(fs::read_to_string(sandbox.path().join("out/precious.txt")).unwrap(), "mine");
    assert_clean(&ran.stderr);
}

#[test]
fn a_second_run_on_the_same_directory_is_refused_and_the_first_goes_on() {
    let sandbox = Sandbox::new();
    let image = plain(&sandbox);
    let first = Live::start(sandbox.command(&script(
        &[],
        &image,
        "echo first > /var/tests/results/file; echo up; sleep 2",
    )));
    first.prints("up");
    sandbox.expect(125, &script(&[], &image, "true")).assert_stderr("another run");
    first.finish().assert_code(0);
    assert_eq!(sandbox.result("file"), "first\n");
}

#[test]
fn runs_side_by_side_with_directories_of_their_own_do_not_meet() {
    let sandbox = Sandbox::new();
    let image = plain(&sandbox);
    let runs: Vec<Live> = ["a", "b", "c"]
        .iter()
        .map(|name| {
            let directory = format!("out/{name}");
            let shell = format!("echo {name} > /var/tests/results/file");
            Live::start(sandbox.command(&script(&["--results-dir", &directory], &image, &shell)))
        })
        .collect();
    for run in runs {
        let ran = run.finish();
        ran.assert_code(0);
        assert_clean(&ran.stderr);
    }
    let files = tree(&sandbox.path().join("out"));
    assert_eq!(files.iter().filter(|path| path.ends_with("/file")).count(), 3, "{files:?}");
}

#[test]
fn results_over_their_limit_are_cut_and_that_is_an_error_unless_the_test_failed() {
    let sandbox = Sandbox::new();
    let image = plain(&sandbox);
    let fill = "cd /var/tests/results; echo first > a; head -c 3000000 /dev/zero > b";
    let flags = ["--results-limit", "1m"];
    let ran = sandbox.expect(125, &script(&flags, &image, fill));
    ran.assert_stderr("--results-limit");
    let size: u64 = tree(&sandbox.path().join("tests/results"))
        .iter()
        .map(|file| sandbox.path().join("tests/results").join(file).metadata().unwrap().len())
        .sum();
    assert!(size <= 1 << 20, "{size}");
    sandbox.expect(1, &script(&flags, &image, &format!("{fill}; exit 3")));
    sandbox.expect(0, &script(&["--results-limit", "4m"], &image, fill));
    assert_clean(&ran.stderr);
}

#[test]
fn a_hostile_archive_stays_within_its_directory() {
    let sandbox = Sandbox::new();
    let image = plain(&sandbox);
    // Directories that become links, links that become directories, special files, names that terminals obey.
    let shell = r#"cd /var/tests/results
        ln -s /etc passwd-dir; ln -s ../../../../../../etc/passwd up; ln -s .. parent; ln -s / root
        mkdir d; ln -s /tmp d/tmp; mkfifo pipe; mknod null c 1 3; mknod disk b 7 0
        echo x > setuid; chmod 6755 setuid; mkdir sticky; chmod 1777 sticky
        echo x > "$(printf 'new\nline')"; echo x > "$(printf 'esc\033[2J')"; echo x > "$(printf 'bad\377byte')"
        echo x > '-rf'; echo x > '..name'; echo x > 'a\b'; mkdir '...'; echo x > .docker-test-results
        echo x > locked; chmod 000 locked; mkdir shut; echo x > shut/in; chmod 000 shut
        ln setuid hard; busybox nc -l -s /none >/dev/null 2>&1; dd if=/dev/zero of=sparse bs=1 count=1 seek=50M 2>/dev/null
        echo done"#;
    let ran = sandbox.run(&script(&[], &image, shell));
    assert!(matches!(ran.code, 0 | 1), "{}", ran.stderr);
    ran.assert_stdout("done");
    let results = sandbox.path().join("tests/results");
    for path in tree(&results) {
        let file = results.join(&path);
        let kind = file.symlink_metadata().unwrap();
        if kind.is_symlink() {
            let target = file.canonicalize().unwrap_or_else(|_| results.clone());
            assert!(target.starts_with(results.canonicalize().unwrap()), "{path} leads to {target:?}");
        } else {
            assert!(kind.is_file() || kind.is_dir(), "{path} is a special file");
            assert_eq!(kind.mode() & 0o7000, 0, "{path} has special bits");
        }
    }
    assert_eq!(sandbox.result("setuid"), "x\n");
    assert_eq!(sandbox.result("shut/in"), "x\n");
    assert!(!ran.stderr.contains('\u{1b}'), "{:?}", ran.stderr);
    assert_eq!(fs::metadata(results.join("sparse")).unwrap().len(), 50 * 1024 * 1024 + 1);
    assert_clean(&ran.stderr);
    // The next run can replace all of it.
    sandbox.expect(0, &script(&[], &image, "true"));
    assert_eq!(tree(&results), Vec::<String>::new());
}

#[test]
fn a_sparse_file_counts_with_its_whole_size_against_the_limit() {
    let sandbox = Sandbox::new();
    let image = plain(&sandbox);
    let shell = "dd if=/dev/zero of=/var/tests/results/huge bs=1 count=1 seek=100G 2>/dev/null; exit 0";
    let ran = sandbox.expect(125, &script(&["--results-limit", "10m"], &image, shell));
    ran.assert_stderr("--results-limit");
    assert_clean(&ran.stderr);
}

#[test]
fn ten_thousand_files_come_out() {
    let sandbox = Sandbox::new();
    let image = plain(&sandbox);
    let shell = "cd /var/tests/results; i=0; while [ $i -lt 10000 ]; do : > $i; i=$((i+1)); done";
    sandbox.expect(0, &script(&["--report", "json=run.json"], &image, shell));
    assert_eq!(tree(&sandbox.path().join("tests/results")).len(), 10_000);
}

#[test]
fn a_full_disk_is_an_error_that_names_it_and_a_failed_test_still_fails() {
    let sandbox = Sandbox::new();
    let image = plain(&sandbox);
    let disk = Fixture::up("disk@full", &["--size", "1m"]);
    let directory = disk.value("DISK_PATH");
    let fill = "head -c 3000000 /dev/urandom > /var/tests/results/big";
    for (shell, code) in [(fill.to_owned(), 125), (format!("{fill}; exit 3"), 1)] {
        let ran = sandbox.run(&script(&["--results-dir", directory], &image, &shell));
        ran.assert_code(code);
        ran.assert_stderr("no space left on the disk");
        ran.assert_stderr(if code == 1 { "FAILED" } else { "ABORTED" });
        assert_clean(&ran.stderr);
    }
    // What there was room for is there, and nothing of an earlier run.
    let small = format!("echo x > /var/tests/results/a; {fill}; exit 3");
    sandbox.expect(1, &script(&["--results-dir", directory], &image, &small));
    assert_eq!(tree(Path::new(directory)), ["a"]);
    sandbox.expect(0, &script(&["--results-dir", directory], &image, "echo x > /var/tests/results/file"));
    assert_eq!(tree(Path::new(directory)), ["file"]);
}

#[test]
fn results_too_deep_to_be_taken_are_an_error() {
    let sandbox = Sandbox::new();
    let image = plain(&sandbox);
    let deep = "cd /var/tests/results; for i in $(seq 70); do mkdir d; cd d; done; echo x > file";
    let ran = sandbox.expect(125, &script(&[], &image, deep));
    ran.assert_stderr("deeper than");
}

#[test]
fn a_directory_of_the_user_at_the_results_path_is_used_and_collected() {
    let sandbox = Sandbox::new();
    let image = plain(&sandbox);
    let host = sandbox.path().join("host");
    fs::create_dir(&host).unwrap();
    let mount = format!("{}:/var/tests/results", host.display());
    sandbox.expect(0, &script(&["-v", &mount], &image, "echo x > /var/tests/results/file"));
    assert_eq!(fs::read_to_string(host.join("file")).unwrap(), "x\n");
    assert_eq!(sandbox.result("file"), "x\n");
}

#[test]
fn a_named_volume_at_the_results_path_stays_the_users() {
    let sandbox = Sandbox::new();
    let image = plain(&sandbox);
    let volume = sandbox.name("volume");
    let mount = format!("{volume}:/var/tests/results");
    sandbox.expect(0, &script(&["-v", &mount], &image, "echo x > /var/tests/results/file"));
    assert_eq!(sandbox.result("file"), "x\n");
    assert_eq!(docker(&["volume", "ls", "-q", "--filter", &format!("name={volume}")]), format!("{volume}\n"));
}

#[test]
fn a_tmpfs_at_the_results_path_is_refused_with_the_reason() {
    let sandbox = Sandbox::new();
    let image = plain(&sandbox);
    for flags in [
        ["--tmpfs", "/var/tests/results"],
        ["--mount", "type=tmpfs,target=/var/tests/results"],
        ["--tmpfs", "/var/tests/results/sub"],
        ["--mount", "type=tmpfs,target=/var/tests/results/sub"],
    ] {
        let ran = sandbox.expect(125, &script(&flags, &image, "true"));
        ran.assert_stderr("tmpfs");
    }
    let above = ["--tmpfs", "/var/tests"];
    sandbox.expect(0, &script(&above, &image, "echo x > /var/tests/results/file"));
    assert_eq!(sandbox.result("file"), "x\n");
}

#[test]
fn files_that_the_image_has_at_the_results_path_come_out_too() {
    let sandbox = Sandbox::new();
    let image = image_with(
        &sandbox,
        "RUN mkdir -p /var/tests/results && echo image > /var/tests/results/from-image\n",
    );
    sandbox.expect(0, &script(&[], &image, "echo test > /var/tests/results/from-test"));
    assert_eq!(tree(&sandbox.path().join("tests/results")), ["from-image", "from-test"]);
}

#[test]
fn a_read_only_container_can_write_results_and_nothing_else() {
    let sandbox = Sandbox::new();
    let image = plain(&sandbox);
    let shell = "touch /elsewhere && exit 9; echo x > /var/tests/results/file";
    sandbox.expect(0, &script(&["--read-only", "-u", "nobody"], &image, shell));
    assert_eq!(sandbox.result("file"), "x\n");
}
