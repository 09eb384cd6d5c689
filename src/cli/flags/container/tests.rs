use std::collections::BTreeSet;

use crate::cli::flags::tests::{command, run};

/// Every flag of `docker run` as Docker 29 documents it.
const DOCKER_RUN: &str = "add-host annotation attach blkio-weight blkio-weight-device cap-add cap-drop cgroup-parent \
    cgroupns cidfile cpu-count cpu-percent cpu-period cpu-quota cpu-rt-period cpu-rt-runtime cpu-shares cpus \
    cpuset-cpus cpuset-mems detach detach-keys device device-cgroup-rule device-read-bps device-read-iops \
    device-write-bps device-write-iops disable-content-trust dns dns-opt dns-option dns-search domainname entrypoint \
    env env-file expose gpus group-add health-cmd health-interval health-retries health-start-interval \
    health-start-period health-timeout help hostname init interactive io-maxbandwidth io-maxiops ip ip6 ipc isolation \
    kernel-memory label label-file link link-local-ip log-driver log-opt mac-address memory memory-reservation \
    memory-swap memory-swappiness mount name net net-alias network network-alias no-healthcheck oom-kill-disable \
    oom-score-adj pid pids-limit platform privileged publish publish-all pull quiet read-only restart rm runtime \
    security-opt shm-size sig-proxy stop-signal stop-timeout storage-opt sysctl tmpfs tty ulimit use-api-socket user \
    userns uts volume volume-driver volumes-from workdir";

fn known() -> BTreeSet<String> {
    let mut command = command();
    command.build();
    let run = command.find_subcommand("run").unwrap();
    let names = run.get_arguments().filter_map(clap::Arg::get_long_and_visible_aliases);
    let aliases = run.get_arguments().filter_map(clap::Arg::get_all_aliases);
    names.chain(aliases).flatten().map(str::to_owned).collect()
}

#[test]
fn every_flag_of_docker_run_is_taken_or_refused_by_name() {
    let known = known();
    let unknown: Vec<&str> = DOCKER_RUN.split_whitespace().filter(|flag| !known.contains(*flag)).collect();
    assert_eq!(unknown, Vec::<&str>::new());
}

#[test]
fn short_names_are_dockers() {
    let command = command();
    let run = command.find_subcommand("run").unwrap();
    let table = [
        ('a', "attach"),
        ('c', "cpu-shares"),
        ('d', "detach"),
        ('e', "env"),
        ('i', "interactive"),
        ('l', "label"),
        ('m', "memory"),
        ('p', "publish"),
        ('P', "publish-all"),
        ('q', "quiet"),
        ('t', "tty"),
        ('u', "user"),
        ('v', "volume"),
        ('w', "workdir"),
    ];
    for (short, long) in table {
        let arg = run.get_arguments().find(|arg| arg.get_short() == Some(short));
        assert_eq!(arg.and_then(clap::Arg::get_long), Some(long), "-{short}");
    }
}

#[test]
fn debug_output_of_flags_holds_no_values_of_variables() {
    let flags = run(&["-e", "TOKEN=hunter2", "--build-arg", "KEY=hunter3"]).unwrap();
    let shown = format!("{flags:?}");
    assert!(shown.contains("TOKEN") && !shown.contains("hunter"), "{shown}");
}
