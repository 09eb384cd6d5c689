use super::*;

/// `printf prod | sha256sum`
const PROD: &str = "6754af9632a2745e85c293e5aac0863370d9bd3330b9938c00cadfd215227d77";

type Pairs = &'static [(&'static str, &'static str)];

/// A configuration directory with one context `prod` and, maybe, a current context.
fn store(current: Option<&str>) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let meta = directory.path().join("contexts/meta").join(PROD);
    std::fs::create_dir_all(&meta).unwrap();
    let text = r#"{"Name":"prod","Endpoints":{"docker":{"Host":"tcp://prod:2375"}}}"#;
    std::fs::write(meta.join("meta.json"), text).unwrap();
    if let Some(current) = current {
        let text = format!(r#"{{"currentContext":"{current}"}}"#);
        std::fs::write(directory.path().join("config.json"), text).unwrap();
    }
    directory
}

fn environment(store: &tempfile::TempDir, pairs: &[(&str, &str)]) -> Environment {
    let own = [("DOCKER_CONFIG", store.path().to_str().unwrap())];
    Environment::from_pairs(own.into_iter().chain(pairs.iter().copied()))
}

fn host(text: &str) -> Choice {
    Choice { host: Some(text.to_owned()), ..Choice::default() }
}

fn context(name: &str) -> Choice {
    Choice { context: Some(name.to_owned()), ..Choice::default() }
}

fn only(discovery: &Discovery) -> (String, String) {
    assert!(discovery.explicit);
    assert_eq!(discovery.candidates.len(), 1);
    match &discovery.candidates[0] {
        Candidate { target: Target::Dial(endpoint), origin } => (endpoint.to_string(), origin.to_string()),
        other @ Candidate { .. } => panic!("{other:?}"),
    }
}

#[test]
fn precedence_is_flag_then_docker_host_then_docker_context_then_current_context() {
    let all: Pairs = &[("DOCKER_HOST", "tcp://variable:1"), ("DOCKER_CONTEXT", "prod")];
    let only_context: Pairs = &[("DOCKER_CONTEXT", "prod")];
    let table: [(Choice, Pairs, &str, &str); 6] = [
        (host("tcp://flag:1"), all, "tcp://flag:1", "-H flag"),
        (context("prod"), all, "tcp://prod:2375", "context prod, chosen by --context"),
        (context("default"), all, "tcp://variable:1", "context default, chosen by --context"),
        (Choice::default(), all, "tcp://variable:1", "DOCKER_HOST"),
        (Choice::default(), only_context, "tcp://prod:2375", "context prod, chosen by DOCKER_CONTEXT"),
        (Choice::default(), &[], "tcp://prod:2375", "context prod, chosen by docker context use"),
    ];
    let store = store(Some("prod"));
    for (choice, pairs, address, origin) in table {
        let discovery = discover(&choice, &environment(&store, pairs)).unwrap();
        assert_eq!(only(&discovery), (address.to_owned(), origin.to_owned()));
    }
}

#[test]
fn host_and_context_together_are_refused() {
    let choice = Choice { host: Some("tcp://a".into()), ..context("prod") };
    let error = discover(&choice, &Environment::default()).unwrap_err();
    assert!(matches!(error, DiscoverError::Conflict), "{error}");
    let choice = Choice { host: Some("tcp://a".into()), ..context("") };
    assert!(discover(&choice, &Environment::default()).is_ok());
}

#[test]
fn an_explicit_default_context_is_the_default_socket_alone() {
    let store = store(Some("prod"));
    let env = environment(&store, &[("DOCKER_CONTEXT", "default")]);
    assert_eq!(only(&discover(&Choice::default(), &env).unwrap()).0, "unix:///var/run/docker.sock");
}

#[test]
fn without_a_choice_the_usual_places_are_tried_in_order() {
    let bin = tempfile::tempdir().unwrap();
    let podman = bin.path().join("podman");
    std::fs::write(&podman, "").unwrap();
    std::fs::set_permissions(&podman, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let env = Environment::from_pairs([
        ("HOME", "/home/ada"),
        ("XDG_RUNTIME_DIR", "/run/user/7"),
        ("PATH", bin.path().to_str().unwrap()),
        ("DOCKER_HOST", ""),
        ("CONTAINER_HOST", "unix:///x"),
    ]);
    let discovery = discover(&Choice::default(), &env).unwrap();
    assert!(!discovery.explicit);
    let shown: Vec<String> = discovery
        .candidates
        .iter()
        .map(|candidate| match &candidate.target {
            Target::Dial(endpoint) => format!("{endpoint} {}", candidate.origin),
            Target::StartPodman(program) => format!("{} {}", program.display(), candidate.origin),
        })
        .collect();
    let own = format!("{} Podman service of our own", podman.display());
    let expected = [
        "unix:///var/run/docker.sock default socket",
        "unix:///run/user/7/docker.sock rootless Docker",
        "unix:///home/ada/.docker/run/docker.sock Docker Desktop",
        "unix:///home/ada/.docker/desktop/docker.sock Docker Desktop",
        "unix:///run/podman/podman.sock Podman socket",
        "unix:///run/user/7/podman/podman.sock Podman socket",
        own.as_str(),
    ];
    assert_eq!(shown, expected);
    assert!(discovery.notes[0].contains("CONTAINER_HOST"), "{:?}", discovery.notes);
}

#[test]
fn without_xdg_the_runtime_directory_is_the_user_s_and_without_podman_none_is_started() {
    let discovery =
        discover(&Choice::default(), &Environment::from_pairs([("A", "")]).of_user(1000)).unwrap();
    let shown: Vec<_> =
        discovery.candidates.iter().map(|candidate| format!("{:?}", candidate.target)).collect();
    assert!(shown[1].contains("/run/user/1000/docker.sock"), "{shown:?}");
    assert!(!shown.iter().any(|target| target.contains("StartPodman")), "{shown:?}");
}

#[test]
fn an_unknown_context_is_an_error_and_never_falls_back() {
    let store = store(Some("gone"));
    let error = discover(&Choice::default(), &environment(&store, &[])).unwrap_err();
    assert_eq!(error.hint().unwrap(), "there are: prod");
}

#[test]
fn a_wrong_address_says_where_it_came_from() {
    let env = Environment::from_pairs([("DOCKER_HOST", "fd://")]);
    let error = discover(&Choice::default(), &env).unwrap_err();
    assert_eq!(error.to_string(), "cannot use DOCKER_HOST");
    assert!(crate::error::Failure::from(error).to_string().contains("daemon's way"));
}

#[test]
fn a_relative_socket_is_taken_from_the_directory_of_the_process() {
    let env = Environment::default().in_directory("/srv");
    assert_eq!(only(&discover(&host("unix://a.sock"), &env).unwrap()).0, "unix:///srv/a.sock");
}

#[test]
fn tls_variables_are_read_as_docker_reads_them() {
    let table: [(Pairs, &str); 6] = [
        (&[], "tcp://a:2375"),
        (&[("DOCKER_TLS_VERIFY", "")], "tcp://a:2375"),
        (&[("DOCKER_TLS_VERIFY", "1")], "tcp://a:2376 (TLS)"),
        (&[("DOCKER_TLS_VERIFY", "0")], "tcp://a:2376 (TLS)"),
        (&[("DOCKER_TLS", "1")], "tcp://a:2376 (TLS, not verified)"),
        (&[("DOCKER_TLS", "1"), ("DOCKER_TLS_VERIFY", "1")], "tcp://a:2376 (TLS)"),
    ];
    for (pairs, expected) in table {
        let pairs = pairs.iter().copied().chain([("DOCKER_HOST", "tcp://a")]);
        let discovery = discover(&Choice::default(), &Environment::from_pairs(pairs)).unwrap();
        assert_eq!(only(&discovery).0, expected);
    }
}

#[test]
fn tls_flags_win_over_variables() {
    let env = Environment::from_pairs([("DOCKER_HOST", "tcp://a"), ("DOCKER_TLS_VERIFY", "1")]);
    let unverified = Choice { tls_verify: Some(false), ..Choice::default() };
    assert_eq!(only(&discover(&unverified, &env).unwrap()).0, "tcp://a:2376 (TLS, not verified)");
    let env = Environment::from_pairs([("DOCKER_HOST", "tcp://a"), ("DOCKER_TLS", "1")]);
    let off = Choice { tls: Some(false), ..Choice::default() };
    assert_eq!(only(&discover(&off, &env).unwrap()).0, "tcp://a:2375");
}

#[test]
fn tls_without_an_address_is_the_local_tls_port() {
    let env = Environment::from_pairs([("DOCKER_TLS_VERIFY", "1")]);
    let (address, origin) = only(&discover(&Choice::default(), &env).unwrap());
    assert_eq!((address.as_str(), origin.as_str()), ("tcp://localhost:2376 (TLS)", "TLS without an address"));
}

#[test]
fn tls_files_are_those_of_docker_cert_path_and_half_a_pair_is_refused() {
    let files = tempfile::tempdir().unwrap();
    std::fs::write(files.path().join("cert.pem"), "").unwrap();
    let env = Environment::from_pairs([
        ("DOCKER_HOST", "tcp://a"),
        ("DOCKER_TLS_VERIFY", "1"),
        ("DOCKER_CERT_PATH", files.path().to_str().unwrap()),
    ]);
    let error = discover(&Choice::default(), &env).unwrap_err();
    assert_eq!(error.to_string(), "cannot use TLS: a certificate is given without its key");
    std::fs::write(files.path().join("key.pem"), "").unwrap();
    let discovery = discover(&Choice::default(), &env).unwrap();
    let Target::Dial(endpoint) = &discovery.candidates[0].target else { panic!("{discovery:?}") };
    let Address::Tls { material, .. } = endpoint.address() else { panic!("{endpoint}") };
    let expected = TlsMaterial {
        ca: Some(files.path().join("ca.pem")),
        cert: Some(files.path().join("cert.pem")),
        key: Some(files.path().join("key.pem")),
        verify: true,
    };
    assert_eq!(material, &expected, "the authority is named although its file is missing");
}

#[test]
fn a_context_s_own_tls_is_used_and_not_the_variables() {
    let store = store(None);
    let env = environment(&store, &[("DOCKER_TLS_VERIFY", "1")]);
    assert_eq!(only(&discover(&context("prod"), &env).unwrap()).0, "tcp://prod:2375");
}
