use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::Read;

use super::*;
use crate::engine::docker::session::auth::RegistryLogins;
use crate::plan::build::{BuildSpec, SecretSource, SecretSpec, SshSpec};
use proptest::prelude::*;

const TAGS: &[String] = &[];

fn unset(_: &str) -> Option<OsString> {
    None
}

fn request<'a>(builder: BuilderKind, spec: &'a BuildSpec, logins: &'a RegistryLogins) -> BuildRequest<'a> {
    BuildRequest {
        builder,
        api_version: "1.41",
        tags: TAGS,
        dockerfile: "Dockerfile.test",
        spec,
        logins,
        environment: &unset,
        agent_socket: None,
    }
}

fn query(builder: BuilderKind, spec: &BuildSpec) -> Query {
    Query::new(&request(builder, spec, &RegistryLogins::default()))
}

fn refusal(builder: BuilderKind, spec: &BuildSpec) -> Option<&'static str> {
    match refuse_unsupported(&request(builder, spec, &RegistryLogins::default())) {
        Ok(()) => None,
        Err(BuildError::Unsupported { option, .. }) => Some(option),
        Err(other) => panic!("{other:?}"),
    }
}

fn decode(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let digits = [rest.next().unwrap(), rest.next().unwrap()];
            bytes.push(u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap());
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).unwrap()
}

/// Names and values, in order.
fn parameters(query: &Query) -> Vec<(String, String)> {
    let pair = |text: &str| {
        let (name, value) = text.split_once('=').unwrap();
        (name.to_owned(), decode(value))
    };
    query.text().split('&').map(pair).collect()
}

fn value(query: &Query, name: &str) -> Option<String> {
    parameters(query).into_iter().find(|(found, _)| found == name).map(|(_, value)| value)
}

fn spec() -> BuildSpec {
    BuildSpec {
        build_args: BTreeMap::from([("A".into(), "x&y=z %+\n\u{e4}".into())]),
        target: Some("test".into()),
        no_cache: true,
        pull: true,
        cache_from: vec!["a/b:1".into()],
        network: Some("none".into()),
        extra_hosts: vec!["a:10.0.0.1".into(), "b:10.0.0.2".into()],
        shm_size: Some(1 << 26),
        ulimits: vec![UlimitSpec { name: "nofile".into(), soft: 5, hard: 6 }],
        ..BuildSpec::default()
    }
}

#[test]
fn docker_gets_its_own_forms() {
    let buildkit = query(BuilderKind::BuildKit, &spec());
    let expected = [
        ("version", "2"),
        ("dockerfile", "Dockerfile.test"),
        ("nocache", "1"),
        ("pull", "1"),
        ("target", "test"),
        ("buildargs", "{\"A\":\"x&y=z %+\\n\u{e4}\"}"),
        ("shmsize", "67108864"),
        ("networkmode", "none"),
        ("ulimits", r#"[{"Name":"nofile","Soft":5,"Hard":6}]"#),
        ("cachefrom", r#"["a/b:1"]"#),
    ];
    for (name, expected) in expected {
        assert_eq!(value(&buildkit, name).as_deref(), Some(expected), "{name}");
    }
    let hosts: Vec<_> = parameters(&buildkit).into_iter().filter(|(name, _)| name == "extrahosts").collect();
    assert_eq!(hosts.len(), 2);
    assert_eq!(value(&buildkit, "squash"), None);
    let classic = query(BuilderKind::Classic, &BuildSpec::default());
    assert_eq!(value(&classic, "version").as_deref(), Some("1"));
}

#[test]
fn podman_gets_lists_and_its_own_names_and_a_warning_for_what_is_left_out() {
    let mut query = query(BuilderKind::Buildah, &spec());
    assert_eq!(value(&query, "extrahosts").unwrap(), r#"["a:10.0.0.1","b:10.0.0.2"]"#);
    assert_eq!(value(&query, "ulimits").unwrap(), r#"["nofile=5:6"]"#);
    assert_eq!(value(&query, "networkmode").unwrap(), "NetworkDisabled");
    assert_eq!(value(&query, "cachefrom"), None);
    assert_eq!(query.warnings().len(), 1);
}

#[test]
fn options_that_a_builder_would_pass_over_are_refused_by_name() {
    let secrets = vec![SecretSpec { id: "a".into(), source: SecretSource::Environment("A".into()) }];
    let secret = BuildSpec { secrets, ..BuildSpec::default() };
    let ssh = BuildSpec { ssh: vec![SshSpec { id: "a".into(), paths: vec![] }], ..BuildSpec::default() };
    let network = BuildSpec { network: Some("other".into()), ..BuildSpec::default() };
    let memory = BuildSpec { memory: Some(1), ..BuildSpec::default() };
    let table = [
        (BuilderKind::Classic, [Some("--secret"), Some("--ssh"), None, None]),
        (BuilderKind::BuildKit, [None, None, Some("--build-network NAME"), Some("--build-memory")]),
        (BuilderKind::Buildah, [None, Some("--ssh"), Some("--build-network NAME"), None]),
    ];
    for (builder, expected) in table {
        let refused = [&secret, &ssh, &network, &memory].map(|spec| refusal(builder, spec));
        assert_eq!(refused, expected, "{builder:?}");
        for name in ["", "default", "host", "none"] {
            let spec = BuildSpec { network: Some(name.into()), ..BuildSpec::default() };
            assert_eq!(refusal(builder, &spec), None, "{builder:?} {name}");
        }
    }
}

#[tokio::test]
async fn secrets_for_podman_go_before_the_context_in_the_same_archive() {
    let specs = [("a", "A"), ("b", "UNSET"), ("c", "C")]
        .map(|(id, name)| SecretSpec { id: id.into(), source: SecretSource::Environment(name.into()) });
    let environment = |name: &str| match name {
        "A" => Some("one".into()),
        "C" => Some("three".into()),
        _ => None,
    };
    let secrets = Secrets::new(&specs, &environment).unwrap();
    let mut query = query(BuilderKind::Buildah, &BuildSpec::default());
    let mut archive = query.secrets(&secrets, "f00").await.unwrap();
    let mut context = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(4);
    context.append_data(&mut header, "Dockerfile", &b"FROM"[..]).unwrap();
    archive.extend(context.into_inner().unwrap());
    let mut files = BTreeMap::new();
    for entry in tar::Archive::new(archive.as_slice()).entries().unwrap() {
        let mut entry = entry.unwrap();
        let mut text = String::new();
        entry.read_to_string(&mut text).unwrap();
        files.insert(entry.path().unwrap().display().to_string(), text);
    }
    let expected = [
        (".docker-test-secret-f00-0", "one"),
        (".docker-test-secret-f00-2", "three"),
        ("Dockerfile", "FROM"),
    ];
    assert_eq!(files, BTreeMap::from(expected.map(|(path, text)| (path.to_owned(), text.to_owned()))));
    assert_eq!(
        value(&query, "secrets").unwrap(),
        r#"["id=a,src=.docker-test-secret-f00-0","id=c,src=.docker-test-secret-f00-2"]"#
    );
    assert!(!query.text().contains("three"));
}

proptest! {
    #[test]
    fn no_value_can_add_a_parameter_or_end_the_request_line(text in "\\PC{0,20}[\\r\\n&=#% ?]{0,3}\\PC{0,20}") {
        let spec = BuildSpec { target: Some(text.clone()), ..BuildSpec::default() };
        let query = query(BuilderKind::Classic, &spec);
        prop_assert!(query.text().bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#'));
        prop_assert_eq!(parameters(&query).len(), 5);
        prop_assert_eq!(value(&query, "target"), Some(text));
    }
}
