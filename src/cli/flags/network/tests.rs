use std::net::IpAddr;

use proptest::prelude::*;

use super::*;
use crate::cli::flags::tests::{container, refuses};

#[test]
fn both_forms_of_network_are_read() {
    let spec = container(&[
        "--network",
        "name=Backend,alias=web,alias=www,ip=10.0.0.5,ip6=2001:DB8::0:5,driver-opt=com.example.K=V",
        "--net=front",
    ])
    .unwrap();
    let mut expected = NetworkSpec {
        name: "Backend".into(),
        aliases: vec!["web".into(), "www".into()],
        ipv4: Some("10.0.0.5".into()),
        ipv6: Some("2001:db8::5".into()),
        ..NetworkSpec::default()
    };
    expected.driver_options.insert("com.example.K".into(), "V".into());
    assert_eq!(spec.networks, [expected, NetworkSpec { name: "front".into(), ..NetworkSpec::default() }]);
}

#[test]
fn short_flags_speak_of_the_first_network() {
    let flags = [
        "--network",
        "one",
        "--network-alias",
        "a",
        "--net-alias",
        "b",
        "--ip",
        "10.0.0.9",
        "--network",
        "two",
    ];
    let networks = container(&flags).unwrap().networks;
    assert_eq!(networks[0].aliases, ["a", "b"]);
    assert_eq!(networks[0].ipv4.as_deref(), Some("10.0.0.9"));
    assert_eq!(networks[1], NetworkSpec { name: "two".into(), ..NetworkSpec::default() });
}

#[test]
fn modes_are_names() {
    for mode in ["host", "none", "bridge", "default", "container:db", "my-net", "0123abcd"] {
        assert_eq!(container(&["--network", mode]).unwrap().networks[0].name, mode);
    }
}

#[test]
fn hosts_are_written_with_a_colon_and_without_brackets() {
    let table = [
        ("db:10.0.0.5", "db:10.0.0.5"),
        ("db=10.0.0.5", "db:10.0.0.5"),
        ("db:::1", "db:::1"),
        ("db=[2001:db8::1]", "db:2001:db8::1"),
        ("db:[::1]", "db:::1"),
        ("host.docker.internal:host-gateway", "host.docker.internal:host-gateway"),
        ("proxy=host-gateway", "proxy:host-gateway"),
    ];
    for (text, expected) in table {
        assert_eq!(container(&["--add-host", text]).unwrap().extra_hosts, [expected], "{text}");
    }
}

#[test]
fn dns_servers_are_addresses() {
    assert_eq!(container(&["--dns", "1.1.1.1", "--dns= ::1 "]).unwrap().dns, ["1.1.1.1", "::1"]);
}

#[test]
fn wrong_networks_say_what_is_expected() {
    refuses(&[
        (&["--network", ""], "expected the name of a network"),
        (&["--network", "alias=web"], "name=NAME is missing"),
        (&["--network", "name=a,aka=b"], "unknown key `aka`"),
        (&["--network", "name=a,ip=10.0.0"], "`10.0.0` is not an IPv4 address"),
        (&["--network", "name=a,ip=::1"], "not an IPv4 address"),
        (&["--network", "name=a,driver-opt=x"], "driver-opt=NAME=VALUE"),
        (&["--network", "name=a,mac-address=92:d0:c6:0a:29:33"], "not supported"),
        (&["--network", "a", "--network", "a"], "more than once"),
        (&["--network", "a", "--network", "host"], "`host`: it does not go together"),
        (&["--network", "container:"], "container:NAME"),
        (&["--network", "host", "--network-alias", "x"], "user-defined"),
        (&["--network", "name=bridge,alias=x"], "user-defined"),
        (&["--network-alias", "x"], "docker network create"),
        (&["--ip", "10.0.0.5"], "--ip: it needs a user-defined network"),
        (&["--ip", "::1", "--network", "a"], "not an IPv4 address"),
        (&["--ip6", "10.0.0.5", "--network", "a"], "not an IPv6 address"),
        (&["--network", "name=a,alias=x", "--network-alias", "y"], "says it too"),
        (&["--network", "name=a,ip=10.0.0.5", "--ip", "10.0.0.6"], "says it too"),
        (&["--add-host", "db"], "HOST:ADDRESS"),
        (&["--add-host", ":10.0.0.5"], "HOST:ADDRESS"),
        (&["--add-host", "a:b=10.0.0.5"], "HOST:ADDRESS"),
        (&["--add-host", "db:local"], "`local` is not an IP address"),
        (&["--add-host", "db:[host-gateway]"], "not an IP address"),
        (&["--dns", "one"], "expected an IP address"),
    ]);
}

proptest! {
    #[test]
    fn any_host_and_address_come_out_together(host in "[a-z][a-z0-9.-]{0,20}", address in any::<IpAddr>()) {
        let expected = format!("{host}:{address}");
        prop_assert_eq!(extra_host(&format!("{host}:{address}")).unwrap(), expected.clone());
        prop_assert_eq!(extra_host(&format!("{host}=[{address}]")).unwrap(), expected);
    }
}
