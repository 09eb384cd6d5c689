use crate::cli::flags::tests::{container, refuses};
use crate::plan::container::UlimitSpec;

#[test]
fn limits_are_resolved_to_the_engines_units() {
    let flags = [
        "-m",
        "512m",
        "--memory-swap",
        "1g",
        "--cpus",
        "1.5",
        "-c",
        "512",
        "--cpuset-cpus",
        "0-2,4",
        "--pids-limit",
        "100",
        "--shm-size",
        "64MiB",
        "--ulimit",
        "nproc=10",
        "--ulimit",
        "nofile=1024:2048",
        "--gpus",
        "all",
        "--device",
        "/dev/fuse:r",
    ];
    let spec = container(&flags).unwrap();
    assert_eq!(spec.memory, Some(512 << 20));
    assert_eq!(spec.memory_swap, Some(1 << 30));
    assert_eq!(spec.nano_cpus, Some(1_500_000_000));
    assert_eq!(spec.cpu_shares, Some(512));
    assert_eq!(spec.cpuset_cpus.as_deref(), Some("0-2,4"));
    assert_eq!(spec.pids_limit, Some(100));
    assert_eq!(spec.shm_size, Some(64 << 20));
    let limit = |name: &str, soft, hard| UlimitSpec { name: name.into(), soft, hard };
    assert_eq!(spec.ulimits, [limit("nofile", 1024, 2048), limit("nproc", 10, 10)]);
    assert_eq!(spec.gpus.unwrap().count, Some(-1));
    assert_eq!(spec.devices[0].permissions, "r");
}

#[test]
fn minus_one_means_unlimited_where_docker_has_it() {
    let spec = container(&["--memory-swap", "-1", "--pids-limit", "-1", "--ulimit", "core=-1"]).unwrap();
    assert_eq!((spec.memory_swap, spec.pids_limit), (Some(-1), Some(-1)));
    assert_eq!(container(&["--pids-limit", "-2"]).unwrap().pids_limit, Some(-1));
    assert_eq!((spec.ulimits[0].soft, spec.ulimits[0].hard), (-1, -1));
    assert_eq!(container(&["--ulimit", "core=0:-1"]).unwrap().ulimits[0].hard, -1);
}

#[test]
fn zero_means_not_given_where_docker_has_it() {
    let spec =
        container(&["-m", "0", "--memory-swap=0", "--cpus=0", "--cpu-shares=0", "--shm-size=0"]).unwrap();
    assert_eq!(spec, crate::plan::container::ContainerSpec::default());
}

#[test]
fn the_least_memory_is_six_mebibytes() {
    assert_eq!(container(&["-m", "6m"]).unwrap().memory, Some(6 << 20));
    refuses(&[(&["-m", "6291455"], "6 MiB"), (&["-m", "64"], "write 64m")]);
}

#[test]
fn a_later_ulimit_of_a_name_wins() {
    let spec = container(&["--ulimit", "nofile=1", "--ulimit", "nofile=2"]).unwrap();
    assert_eq!((spec.ulimits.len(), spec.ulimits[0].soft), (1, 2));
}

#[test]
fn wrong_limits_say_what_is_expected() {
    refuses(&[
        (&["-m", "lots"], "expected a size such as 512m"),
        (&["-m", "5x"], "unknown unit `x`"),
        (&["--memory=-1"], "cannot be negative"),
        (&["--memory-swap", "1g"], "needs --memory"),
        (&["-m", "1g", "--memory-swap", "512m"], "less than --memory"),
        (&["--cpus", "0.001"], "0.01"),
        (&["--cpus", "-1"], "cannot be negative"),
        (&["--cpus", "1.0000000001"], "more precise"),
        (&["--cpu-shares", "-5"], "not below 0"),
        (&["--cpu-shares", "half"], "whole number"),
        (&["--cpuset-cpus", "3-1"], "0-3 or 0,2"),
        (&["--cpuset-cpus", "a"], "0-3 or 0,2"),
        (&["--cpuset-cpus", ","], "0-3 or 0,2"),
        (&["--pids-limit", "few"], "whole number"),
        (&["--ulimit", "nofile"], "NAME=SOFT[:HARD]"),
        (&["--ulimit", "nofiles=1"], "did you mean `nofile`"),
        (&["--ulimit", "zzz=1"], "known limits: core"),
        (&["--ulimit", "nofile=2:1"], "above the hard limit"),
        (&["--ulimit", "nofile=-1:1"], "above the hard limit"),
        (&["--ulimit", "nofile=a"], "`a` is not a limit"),
        (&["--ulimit", "nofile=1:"], "`` is not a limit"),
        (&["--device", "fuse"], "/dev/fuse"),
        (&["--gpus", "many"], "`all` or a whole number"),
    ]);
}
