use std::fs;

use crate::cli::flags::tests::{container, container_in, refuses};
use crate::environment::Environment;

#[test]
fn rights_and_namespaces_are_resolved() {
    let flags = [
        "--cap-add",
        "NET_ADMIN",
        "--cap-add",
        "sys_time",
        "--cap-drop=ALL",
        "--group-add",
        "audio",
        "--privileged",
        "--security-opt",
        "no-new-privileges",
        "--security-opt",
        "apparmor=unconfined",
        "--security-opt",
        "label:disable",
        "--security-opt",
        "seccomp=unconfined",
        "--sysctl",
        "net.core.somaxconn=1024",
        "--runtime",
        "runsc",
        "--pid",
        "host",
        "--ipc",
        "container:db",
        "--userns",
        "host",
        "--cgroupns",
        "private",
    ];
    let spec = container(&flags).unwrap();
    assert_eq!(spec.cap_add, ["NET_ADMIN", "sys_time"]);
    assert_eq!(spec.cap_drop, ["ALL"]);
    assert_eq!(spec.group_add, ["audio"]);
    assert!(spec.privileged);
    assert_eq!(
        spec.security_opt,
        ["no-new-privileges", "apparmor=unconfined", "label:disable", "seccomp=unconfined"]
    );
    assert_eq!(spec.sysctls.get("net.core.somaxconn").map(String::as_str), Some("1024"));
    assert_eq!(spec.runtime.as_deref(), Some("runsc"));
    assert_eq!(spec.pid_mode.as_deref(), Some("host"));
    assert_eq!(spec.ipc_mode.as_deref(), Some("container:db"));
    assert_eq!(spec.userns_mode.as_deref(), Some("host"));
    assert_eq!(spec.cgroupns_mode.as_deref(), Some("private"));
}

#[test]
fn a_seccomp_profile_is_read_into_the_value() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(
        dir.path().join("profile.json"),
        "{\n  \"defaultAction\": \"SCMP_ACT_ALLOW\",\n  \"b\": [1, 2]\n}\n",
    )
    .unwrap();
    fs::write(dir.path().join("broken.json"), "{").unwrap();
    let environment = Environment::default().in_directory(dir.path());
    for option in ["seccomp=profile.json", "seccomp:./profile.json"] {
        let spec = container_in(&["--security-opt", option], &environment).unwrap();
        assert_eq!(
            spec.security_opt,
            ["seccomp={\"defaultAction\":\"SCMP_ACT_ALLOW\",\"b\":[1,2]}"],
            "{option}"
        );
    }
    let broken = container_in(&["--security-opt", "seccomp=broken.json"], &environment).unwrap_err();
    assert!(broken.to_string().contains("is not JSON"), "{broken}");
    let missing = container_in(&["--security-opt", "seccomp=none.json"], &environment).unwrap_err();
    assert!(missing.to_string().starts_with("--security-opt: cannot read none.json"), "{missing}");
}

#[test]
fn an_empty_mode_is_not_given() {
    assert_eq!(container(&["--pid=", "--cgroupns="]).unwrap(), container(&[]).unwrap());
}

#[test]
fn wrong_rights_say_what_is_expected() {
    refuses(&[
        (&["--cap-add", ""], "expected one name"),
        (&["--cap-add", "NET_ADMIN SYS_TIME"], "repeat the flag"),
        (&["--security-opt", "seccomp"], "expected no-new-privileges or KEY=VALUE"),
        (&["--security-opt", "apparmor="], "KEY=VALUE"),
        (&["--security-opt", "systempaths=unconfined"], "not supported"),
        (&["--sysctl", "kernel.hostname=x"], "`kernel.hostname` is not a parameter"),
        (&["--sysctl", "net.core.somaxconn"], "NAME=value"),
        (&["--pid", "private"], "expected one of host, container:…"),
        (&["--pid", "container:"], "container:…"),
        (&["--ipc", "shared"], "shareable"),
        (&["--userns", "mine"], "keep-id"),
        (&["--cgroupns", "own"], "host, private"),
    ]);
}
