use std::fs;

use super::*;

/// A directory with the files `file` and `TOKEN`, and an environment with `TOKEN` and an agent.
fn project() -> (tempfile::TempDir, Environment) {
    let dir = tempfile::tempdir().unwrap();
    for name in ["file", "TOKEN"] {
        fs::write(dir.path().join(name), "x").unwrap();
    }
    let environment =
        Environment::from_pairs([("TOKEN", "t"), ("SSH_AUTH_SOCK", "/agent")]).in_directory(dir.path());
    (dir, environment)
}

#[test]
fn secrets_are_read_as_buildx_reads_them() {
    let (dir, environment) = project();
    let file = |name: &str| SecretSource::File(dir.path().join(name));
    let variable = |name: &str| SecretSource::Environment(name.to_owned());
    let table = [
        ("id=a,src=file", file("file")),
        ("id=a,source=./file", file("file")),
        ("type=file,id=a,src=file", file("file")),
        ("id=a,env=TOKEN", variable("TOKEN")),
        ("id=a,env=UNSET", variable("UNSET")),
        ("type=env,id=a,src=TOKEN", variable("TOKEN")),
        ("type=env,id=a", variable("a")),
    ];
    for (text, expected) in table {
        let secret = &secrets(&[text.to_owned()], &environment).unwrap()[0];
        assert_eq!((secret.id.as_str(), &secret.source), ("a", &expected), "{text}");
    }
}

#[test]
fn an_id_alone_is_a_variable_and_else_a_file() {
    let (dir, environment) = project();
    let source = |text: &str| secrets(&[text.to_owned()], &environment).unwrap().remove(0).source;
    assert_eq!(source("id=TOKEN"), SecretSource::Environment("TOKEN".into()));
    assert_eq!(source("id=file"), SecretSource::File(dir.path().join("file")));
    assert_eq!(source("type=file,id=TOKEN"), SecretSource::File(dir.path().join("TOKEN")));
}

#[test]
fn a_later_secret_of_an_id_wins() {
    let (_dir, environment) = project();
    let texts = ["id=a,src=file".to_owned(), "id=a,env=TOKEN".to_owned()];
    let secrets = secrets(&texts, &environment).unwrap();
    assert_eq!(secrets.len(), 1);
    assert_eq!(secrets[0].source, SecretSource::Environment("TOKEN".into()));
}

#[test]
fn wrong_secrets_say_what_is_expected() {
    let (dir, environment) = project();
    fs::write(dir.path().join("large"), vec![0; 500 * 1024 + 1]).unwrap();
    let table = [
        ("", "`` is not KEY=VALUE"),
        ("src=file", "id=NAME is missing"),
        ("id=", "id=NAME is missing"),
        ("id=a,source=none", "cannot read none"),
        ("id=a", "cannot read a"),
        ("id=a,src=file,env=TOKEN", "exclude each other"),
        ("id=a,type=vault", "unknown type `vault`"),
        ("id=a,path=file", "unknown key `path`"),
        ("id=a,src=large", "larger than 500 KiB"),
    ];
    for (text, expected) in table {
        let error = secrets(&[text.to_owned()], &environment).unwrap_err().to_string();
        assert!(error.starts_with("--secret: ") && error.contains(expected), "{text}: {error}");
    }
}

#[test]
fn ssh_takes_an_agent_or_keys() {
    let (dir, environment) = project();
    let texts = ["default".to_owned(), "git=file,TOKEN".to_owned(), "default=file".to_owned()];
    let agents = ssh(&texts, &environment).unwrap();
    let file = dir.path().join("file");
    assert_eq!(
        agents,
        [
            SshSpec { id: "git".into(), paths: vec![file.clone(), dir.path().join("TOKEN")] },
            SshSpec { id: "default".into(), paths: vec![file] }
        ]
    );
    let lonely = Environment::default();
    let error = ssh(&["default".to_owned()], &lonely).unwrap_err().to_string();
    assert!(error.contains("SSH_AUTH_SOCK is not set"), "{error}");
    assert!(ssh(&["=key".to_owned()], &environment).is_err());
    assert!(
        ssh(&["git=none".to_owned()], &environment).unwrap_err().to_string().contains("cannot read none")
    );
}

#[test]
fn caches_are_images() {
    let read = |text: &str| cache_from(&[text.to_owned()]);
    assert_eq!(read("shop:cache").unwrap(), ["shop:cache"]);
    assert_eq!(read("a,b").unwrap(), ["a", "b"]);
    assert_eq!(read("type=registry,ref=host:5000/a:b").unwrap(), ["host:5000/a:b"]);
    for text in
        ["", "type=registry", "ref=a", "type=local,ref=x", "type=registry,src=a", "type=registry,ref="]
    {
        assert!(read(text).is_err(), "{text}");
    }
}
