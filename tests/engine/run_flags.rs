//! Every flag of `docker run` that docker-test passes on, seen from inside the container or in the engine's record.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::support::{BASE, Ran, Sandbox, docker, until};

/// A sandbox with an image that has no recipe, to be given a command.
struct Bench {
    sandbox: Sandbox,
    image: String,
}

impl Bench {
    fn new() -> Self {
        let sandbox = Sandbox::new();
        let image = sandbox.image("flags");
        docker(&["tag", BASE, &image]);
        Self { sandbox, image }
    }

    fn arguments<'a>(&'a self, flags: &[&'a str], script: &'a str) -> Vec<&'a str> {
        let mut arguments = flags.to_vec();
        arguments.extend([self.image.as_str(), "--", "sh", "-c", script]);
        arguments
    }

    #[track_caller]
    fn run(&self, code: i32, flags: &[&str], script: &str) -> Ran {
        self.sandbox.expect(code, &self.arguments(flags, script))
    }

    /// What the script prints with these flags.
    #[track_caller]
    fn prints(&self, flags: &[&str], script: &str) -> String {
        self.run(0, flags, script).stdout
    }

    /// The engine's record of the container while it runs with these flags.
    #[track_caller]
    fn record(&self, flags: &[&str]) -> Value {
        let name = self.sandbox.name("recorded");
        self.sandbox.write("gate/closed", "");
        let mut all = vec!["-v", "./gate:/gate", "--name", &name];
        all.extend(flags);
        let arguments = self.arguments(&all, "while [ -e /gate/closed ]; do sleep 0.02; done");
        let child = self.sandbox.command(&arguments).spawn().unwrap();
        let record = until("the container runs", || {
            let inspected = Command::new("docker").args(["inspect", &name]).output().unwrap();
            let record: Value = serde_json::from_slice(&inspected.stdout).ok()?;
            (record[0]["State"]["Running"] == true).then(|| record[0].clone())
        });
        fs::remove_file(self.sandbox.path().join("gate/closed")).unwrap();
        Ran::from(child.wait_with_output().unwrap()).assert_code(0);
        record
    }
}

/// One bit of a capability set that `/proc/self/status` shows.
fn capability(status: &str, set: &str, bit: u32) -> bool {
    let line = status.lines().find_map(|line| line.strip_prefix(&format!("{set}:"))).unwrap();
    u64::from_str_radix(line.trim(), 16).unwrap() >> bit & 1 == 1
}

/// Prints a limit of the container's own control group: under version 1 by its first name, else by its second.
fn limit(version_1: &str, version_2: &str) -> String {
    format!("cat /sys/fs/cgroup/{version_1} 2>/dev/null || cat /sys/fs/cgroup/{version_2}")
}

#[test]
fn env_sets_a_variable_and_a_bare_name_takes_the_caller_s_value() {
    let mut bench = Bench::new();
    bench.sandbox.set("DT_CALLERS", "from the caller");
    let printed = bench.prints(
        &["-e", "GIVEN=two words", "--env", "DT_CALLERS", "-e", "DT_UNSET_HERE", "-e", "EMPTY="],
        "echo \"$GIVEN|$DT_CALLERS|${DT_UNSET_HERE-unset}|${EMPTY-unset}\"",
    );
    assert_eq!(printed, "two words|from the caller|unset|\n");
}

#[test]
fn env_file_sets_variables_and_env_wins_over_it() {
    let mut bench = Bench::new();
    bench.sandbox.set("DT_CALLERS", "caller");
    bench.sandbox.write("a.env", "# a comment\n\nONE=1 # kept\nDT_CALLERS\nTWO=file\n");
    bench.sandbox.write("b.env", "THREE=3\n");
    let printed = bench.prints(
        &["--env-file", "a.env", "--env-file=b.env", "-e", "TWO=flag"],
        "echo \"$ONE|$DT_CALLERS|$TWO|$THREE\"",
    );
    assert_eq!(printed, "1 # kept|caller|flag|3\n");
}

#[test]
fn volume_mounts_a_directory_of_the_host() {
    let bench = Bench::new();
    bench.sandbox.write("data/in", "from the host\n");
    let absolute = format!("{}:/abs", bench.sandbox.path().join("data").display());
    let printed = bench.prints(
        &["-v", "./data:/rel:ro", "--volume", &absolute],
        "cat /rel/in; echo back > /abs/out; touch /rel/no 2>/dev/null || echo 'ro holds'",
    );
    assert_eq!(printed, "from the host\nro holds\n");
    assert_eq!(fs::read_to_string(bench.sandbox.path().join("data/out")).unwrap(), "back\n");
}

#[test]
fn volume_mounts_a_named_volume_that_outlives_the_run() {
    let bench = Bench::new();
    let volume = format!("{}:/data", bench.sandbox.name("vol"));
    bench.run(0, &["-v", &volume], "echo kept > /data/file");
    assert_eq!(bench.prints(&["-v", &volume], "cat /data/file"), "kept\n");
}

#[test]
fn an_anonymous_volume_goes_with_the_container() {
    let bench = Bench::new();
    let record = bench.record(&["-v", "/data"]);
    let mounts = record["Mounts"].as_array().unwrap();
    let volume =
        mounts.iter().find(|mount| mount["Destination"] == "/data").unwrap()["Name"].as_str().unwrap();
    assert!(!docker(&["volume", "ls", "-q"]).lines().any(|name| name == volume));
}

#[test]
fn mount_takes_bind_volume_and_tmpfs() {
    let bench = Bench::new();
    bench.sandbox.write("data/in", "bound\n");
    let bind = format!("type=bind,src={},dst=/bound,readonly", bench.sandbox.path().join("data").display());
    let volume = format!("type=volume,source={},target=/volume", bench.sandbox.name("vol"));
    let printed = bench.prints(
        &["--mount", &bind, "--mount", &volume, "--mount", "type=tmpfs,dst=/fast,tmpfs-size=1m"],
        "cat /bound/in; touch /bound/no 2>/dev/null || echo ro; echo x > /volume/file; \
         grep -c ' /fast tmpfs .*size=1024k' /proc/mounts; grep -c ' /volume ' /proc/mounts",
    );
    assert_eq!(printed, "bound\nro\n1\n1\n");
    let volumes = docker(&["volume", "ls", "-q"]);
    assert!(volumes.lines().any(|name| name == bench.sandbox.name("vol")));
}

#[test]
fn a_bind_mount_of_nothing_is_the_engine_s_error() {
    let bench = Bench::new();
    let bind = format!("type=bind,src={}/missing,dst=/x", bench.sandbox.path().display());
    bench.run(125, &["--mount", &bind], "true").assert_stderr("missing");
}

#[test]
fn tmpfs_mounts_memory_with_options() {
    let bench = Bench::new();
    let printed = bench.prints(&["--tmpfs", "/fast:size=2m,noexec"], "grep ' /fast tmpfs ' /proc/mounts");
    assert!(printed.contains("noexec") && printed.contains("size=2048k"), "{printed}");
}

#[test]
fn network_none_leaves_loopback_alone() {
    let bench = Bench::new();
    assert_eq!(bench.prints(&["--network", "none"], "ls /sys/class/net"), "lo\n");
    assert!(bench.prints(&[], "ls /sys/class/net").contains("eth0"), "without the flag there is a network");
}

#[test]
fn network_host_is_the_engine_s_own() {
    let bench = Bench::new();
    let here = fs::read_link("/proc/self/ns/net").unwrap().display().to_string();
    assert_eq!(bench.prints(&["--network=host"], "readlink /proc/self/ns/net").trim(), here);
}

#[test]
fn a_named_network_brings_its_names_and_a_second_one_too() {
    let bench = Bench::new();
    let (first, second) = (bench.sandbox.name("net-a"), bench.sandbox.name("net-b"));
    docker(&["network", "create", &first]);
    docker(&["network", "create", &second]);
    let peer = bench.sandbox.name("peer");
    docker(&[
        "run",
        "-d",
        "--name",
        &peer,
        "--network",
        &second,
        "--network-alias",
        "other-side",
        BASE,
        "sleep",
        "60",
    ]);
    let one = bench.prints(
        &["--network", &first, "--network-alias", "me"],
        "ls /sys/class/net | wc -w; nslookup me 127.0.0.11 | grep -c 'Address.*: 1[0-9]*\\.'; \
         nslookup other-side 127.0.0.11 >/dev/null 2>&1 || echo unknown",
    );
    assert_eq!(one.lines().collect::<Vec<_>>(), ["2", "1", "unknown"]);
    let both = [format!("name={first},alias=here"), format!("name={second},alias=there")];
    let two = bench.prints(
        &["--network", &both[0], "--network", &both[1]],
        "ls /sys/class/net | wc -w; for name in here there other-side; do \
         nslookup $name 127.0.0.11 >/dev/null && echo $name; done; \
         ping -c 1 -w 5 $(nslookup other-side 127.0.0.11 | sed -n 's/^Address.*: *//p' | tail -1 | cut -d' ' -f1) \
         | grep -c ' 0% packet loss'",
    );
    assert_eq!(two.lines().collect::<Vec<_>>(), ["3", "here", "there", "other-side", "1"]);
}

#[test]
fn a_network_that_is_not_there_is_the_engine_s_error() {
    let bench = Bench::new();
    let name = bench.sandbox.name("nowhere");
    bench.run(125, &["--network", &name], "true").assert_stderr(&name);
    assert_eq!(bench.sandbox.leftovers(), Vec::<String>::new());
}

#[test]
fn network_container_shares_another_container_s_network() {
    let bench = Bench::new();
    let peer = bench.sandbox.name("peer");
    docker(&["run", "-d", "--name", &peer, "--hostname", "the-peer", BASE, "sleep", "60"]);
    let pid = docker(&["inspect", "-f", "{{.State.Pid}}", &peer]);
    let namespace = fs::read_link(Path::new("/proc").join(pid.trim()).join("ns/net")).unwrap();
    let network = format!("container:{peer}");
    let printed = bench.prints(&["--network", &network], "readlink /proc/self/ns/net");
    assert_eq!(printed.trim(), namespace.display().to_string());
}

#[test]
fn ip_gives_the_address_in_the_first_network() {
    let bench = Bench::new();
    let network = bench.sandbox.name("net-ip");
    let number = std::process::id() % 200;
    docker(&["network", "create", "--subnet", &format!("10.214.{number}.0/24"), &network]);
    let address = format!("10.214.{number}.77");
    let printed = bench.prints(&["--network", &network, "--ip", &address], "ip -4 addr show eth0");
    assert!(printed.contains(&format!("inet {address}/24")), "{printed}");
}

#[test]
fn add_host_adds_a_line_to_hosts() {
    let bench = Bench::new();
    let printed = bench.prints(
        &["--add-host", "db:10.9.8.7", "--add-host=six=[::5]", "--add-host", "me:host-gateway"],
        "grep -E 'db|six|me' /etc/hosts",
    );
    assert!(printed.contains("10.9.8.7\tdb\n") && printed.contains("::5\tsix\n"), "{printed}");
    assert!(
        printed.lines().any(|line| line.ends_with("\tme") && !line.contains("host-gateway")),
        "{printed}"
    );
}

#[test]
fn dns_names_the_server() {
    let printed = Bench::new().prints(&["--dns", "192.0.2.53"], "cat /etc/resolv.conf");
    assert!(printed.contains("nameserver 192.0.2.53"), "{printed}");
}

#[test]
fn hostname_names_the_container() {
    assert_eq!(Bench::new().prints(&["--hostname", "shop-under-test"], "hostname"), "shop-under-test\n");
}

#[test]
fn memory_and_swap_are_limited() {
    let bench = Bench::new();
    let script = limit("memory/memory.limit_in_bytes", "memory.max");
    assert_eq!(bench.prints(&["-m", "48m"], &script), "50331648\n");
    assert_eq!(bench.record(&["-m", "48m", "--memory-swap", "64m"])["HostConfig"]["MemorySwap"], 67_108_864);
}

#[test]
fn cpus_limits_the_share_of_time() {
    let bench = Bench::new();
    let printed = bench.prints(&["--cpus", "0.5"], &limit("cpu/cpu.cfs_quota_us", "cpu.max"));
    assert!(printed.starts_with("50000"), "{printed}");
}

#[test]
fn cpu_shares_and_cpuset_reach_the_engine() {
    let record = Bench::new().record(&["-c", "512", "--cpuset-cpus", "0"]);
    assert_eq!(record["HostConfig"]["CpuShares"], 512);
    assert_eq!(record["HostConfig"]["CpusetCpus"], "0");
}

#[test]
fn pids_limit_limits_processes() {
    let printed = Bench::new().prints(&["--pids-limit", "33"], &limit("pids/pids.max", "pids.max"));
    assert_eq!(printed, "33\n");
}

#[test]
fn shm_size_sizes_shared_memory() {
    let printed = Bench::new().prints(&["--shm-size", "3m"], "grep ' /dev/shm ' /proc/mounts");
    assert!(printed.contains("size=3072k"), "{printed}");
}

#[test]
fn ulimit_sets_both_limits() {
    let printed = Bench::new().prints(&["--ulimit", "nofile=77:88"], "ulimit -Sn; ulimit -Hn");
    assert_eq!(printed, "77\n88\n");
}

#[test]
fn capabilities_are_added_and_dropped() {
    let bench = Bench::new();
    let status = "cat /proc/self/status";
    let (chown, net_admin) = (0, 12);
    let plain = bench.prints(&[], status);
    assert!(capability(&plain, "CapEff", chown) && !capability(&plain, "CapEff", net_admin));
    let added = bench.prints(&["--cap-add", "NET_ADMIN"], status);
    assert!(capability(&added, "CapEff", net_admin));
    let dropped = bench.prints(&["--cap-drop", "CHOWN"], status);
    assert!(!capability(&dropped, "CapEff", chown));
    let none = bench.prints(&["--cap-drop", "ALL", "--cap-add", "CAP_NET_ADMIN"], status);
    assert!(!capability(&none, "CapBnd", chown) && capability(&none, "CapBnd", net_admin));
}

#[test]
fn security_opt_no_new_privileges_holds() {
    let bench = Bench::new();
    let script = "grep NoNewPrivs /proc/self/status";
    assert_eq!(bench.prints(&["--security-opt", "no-new-privileges"], script), "NoNewPrivs:\t1\n");
    assert_eq!(bench.prints(&[], script), "NoNewPrivs:\t0\n");
}

#[test]
fn a_seccomp_profile_is_read_here_and_sent_as_text() {
    let bench = Bench::new();
    bench.sandbox.write("profile.json", "{\"defaultAction\": \"SCMP_ACT_NOT_THERE\"}\n");
    let ran = bench.run(125, &["--security-opt", "seccomp=profile.json"], "true");
    ran.assert_stderr("SCMP_ACT_NOT_THERE");
}

#[test]
fn read_only_protects_the_image_and_results_still_come_out() {
    let bench = Bench::new();
    let printed = bench.prints(
        &["--read-only"],
        "touch /new 2>/dev/null || echo protected; echo fine > /var/tests/results/file.txt",
    );
    assert_eq!(printed, "protected\n");
    assert_eq!(bench.sandbox.result("file.txt"), "fine\n");
}

#[test]
fn user_and_workdir_are_those_given() {
    let bench = Bench::new();
    let printed = bench.prints(
        &["-u", "1234:2345", "-w", "/usr"],
        "id -u; id -g; pwd; echo fine > /var/tests/results/file.txt",
    );
    assert_eq!(printed, "1234\n2345\n/usr\n");
    assert_eq!(bench.sandbox.result("file.txt"), "fine\n");
}

#[test]
fn entrypoint_replaces_the_image_s_own() {
    let bench = Bench::new();
    let ran = bench.sandbox.expect(0, &["--entrypoint", "/bin/echo", &bench.image, "--", "a  b", "c"]);
    assert_eq!(ran.stdout, "a  b c\n");
}

#[test]
fn init_is_process_1() {
    let bench = Bench::new();
    let script = "cat /proc/1/comm; true";
    assert!(bench.prints(&["--init"], script).contains("init"));
    assert_eq!(bench.prints(&[], script), "sh\n");
}

#[test]
fn runtime_is_the_one_named() {
    let bench = Bench::new();
    assert_eq!(bench.record(&["--runtime", "runc"])["HostConfig"]["Runtime"], "runc");
    bench.run(125, &["--runtime", "dt-no-such-runtime"], "true").assert_stderr("dt-no-such-runtime");
}

#[test]
fn labels_are_on_the_container_beside_ours() {
    let bench = Bench::new();
    bench.sandbox.write("labels", "from.file=1\n");
    let record = bench.record(&["-l", "team=shop", "--label", "bare", "--label-file", "labels"]);
    let labels = &record["Config"]["Labels"];
    assert_eq!(labels["team"], "shop");
    assert_eq!(labels["bare"], "");
    assert_eq!(labels["from.file"], "1");
    assert!(labels["docker-test.run"].is_string(), "{labels}");
}

#[test]
fn name_is_the_container_s() {
    let bench = Bench::new();
    assert_eq!(bench.record(&[])["Name"], format!("/{}", bench.sandbox.name("recorded")));
    assert_eq!(docker(&["ps", "-aq", "--filter", &format!("name={}", bench.sandbox.name("recorded"))]), "");
}

#[test]
fn a_name_that_another_container_has_is_refused_and_that_container_stays() {
    let bench = Bench::new();
    let name = bench.sandbox.name("theirs");
    docker(&["run", "-d", "--name", &name, BASE, "sleep", "60"]);
    bench.run(125, &["--name", &name], "true").assert_stderr(&name);
    assert_eq!(docker(&["inspect", "-f", "{{.State.Running}}", &name]), "true\n");
    // Nor does a later sweep take the name for a leftover.
    bench.run(0, &[], "true");
    assert_eq!(docker(&["inspect", "-f", "{{.State.Running}}", &name]), "true\n");
}

#[test]
fn group_add_adds_a_group() {
    let printed = Bench::new().prints(&["-u", "1000", "--group-add", "4567"], "id -G");
    assert!(printed.split_whitespace().any(|group| group == "4567"), "{printed}");
}

#[test]
fn sysctl_sets_a_parameter_of_the_container() {
    let printed =
        Bench::new().prints(&["--sysctl", "net.core.somaxconn=77"], "cat /proc/sys/net/core/somaxconn");
    assert_eq!(printed, "77\n");
}

#[test]
fn privileged_asks_for_every_capability() {
    let bench = Bench::new();
    let sys_admin = 21;
    assert!(!capability(&bench.prints(&[], "cat /proc/self/status"), "CapEff", sys_admin));
    let ran = bench.sandbox.run(&bench.arguments(&["--privileged"], "cat /proc/self/status"));
    // An engine that runs in a container has not got every capability to give, and its runtime says so.
    if ran.code == 0 {
        assert!(capability(&ran.stdout, "CapEff", sys_admin));
    } else {
        ran.assert_code(125);
        ran.assert_stderr("unable to apply caps");
    }
}

#[test]
fn device_appears_under_its_name() {
    let printed = Bench::new().prints(
        &["--device", "/dev/zero:/dev/mine:r"],
        "stat -c '%F' /dev/mine; head -c 3 /dev/mine | wc -c",
    );
    assert_eq!(printed, "character special file\n3\n");
}

#[test]
fn a_device_that_is_not_there_is_not_taken_for_a_missing_command() {
    Bench::new().run(125, &["--device", "/dev/dt-missing"], "true").assert_stderr("/dev/dt-missing");
}

#[test]
fn stop_signal_asks_the_test_to_stop() {
    let bench = Bench::new();
    let ran = bench.run(
        124,
        &["--stop-signal", "USR1", "--timeout", "1s", "--grace-period", "10s"],
        "trap 'echo asked; exit 0' USR1; while :; do sleep 0.1; done",
    );
    ran.assert_stdout("asked\n");
}

#[test]
fn without_a_log_the_output_is_seen_all_the_same() {
    let bench = Bench::new();
    let ran = bench.run(0, &["--log-driver", "none"], "echo out; echo err >&2");
    assert_eq!(ran.stdout, "out\n");
    ran.assert_stderr("err\n");
    let record = bench.record(&["--log-driver", "none"]);
    assert_eq!(record["HostConfig"]["LogConfig"]["Type"], "none");
}

#[test]
fn log_options_reach_the_driver() {
    let record = Bench::new().record(&["--log-driver", "json-file", "--log-opt", "max-size=1m"]);
    assert_eq!(record["HostConfig"]["LogConfig"]["Config"]["max-size"], "1m");
}

#[test]
fn tty_gives_the_test_a_terminal() {
    let bench = Bench::new();
    let script = "test -t 1 && echo terminal || echo pipe";
    assert_eq!(bench.prints(&["-t"], script), "terminal\r\n");
    assert_eq!(bench.prints(&[], script), "pipe\n");
}

#[test]
fn interactive_hands_standard_input_to_the_test() {
    let bench = Bench::new();
    let mut command = bench.sandbox.command(&bench.arguments(&["-i"], "cat; echo end"));
    let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"typed\n").unwrap();
    let ran = Ran::from(child.wait_with_output().unwrap());
    ran.assert_code(0);
    assert_eq!(ran.stdout, "typed\nend\n");
}

#[test]
fn gpus_that_the_engine_does_not_have_are_refused_in_its_own_words() {
    let bench = Bench::new();
    let ran = bench.run(125, &["--gpus", "all"], "true");
    ran.assert_stderr("could not select device driver");
    ran.assert_stderr("gpu");
    assert_eq!(bench.sandbox.leftovers(), Vec::<String>::new());
}

#[test]
fn pid_and_ipc_namespaces_are_those_named() {
    let bench = Bench::new();
    let here = |name: &str| fs::read_link(format!("/proc/self/ns/{name}")).unwrap().display().to_string();
    let printed = bench.prints(
        &["--pid", "host", "--ipc", "host"],
        "readlink /proc/self/ns/pid; readlink /proc/self/ns/ipc",
    );
    assert_eq!(printed, format!("{}\n{}\n", here("pid"), here("ipc")));
}

#[test]
fn a_flag_that_the_program_does_not_know_is_refused_with_the_nearest_one() {
    let bench = Bench::new();
    let ran = bench.run(125, &["--pid-limit", "3"], "true");
    ran.assert_stderr("--pids-limit");
    let ran = bench.run(125, &["--restart", "always"], "true");
    ran.assert_stderr("a test that starts over by itself has no verdict");
}
