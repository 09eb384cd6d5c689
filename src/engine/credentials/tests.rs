use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};

use super::*;

struct Home {
    directory: tempfile::TempDir,
}

impl Home {
    fn new(config: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("config.json"), config).unwrap();
        Self { directory }
    }

    fn helper(self, name: &str, script: &str) -> Self {
        let program = format!("docker-credential-{name}");
        crate::environment::install_script(self.directory.path(), &program, script);
        self
    }

    fn env(&self) -> Environment {
        let path = self.directory.path().to_str().unwrap();
        Environment::from_pairs([
            ("DOCKER_CONFIG", path.to_owned()),
            ("PATH", format!("{path}:/usr/bin:/bin")),
        ])
    }

    fn credentials(&self) -> Credentials {
        Credentials::load(&self.env()).unwrap()
    }
}

fn auth(text: &str) -> String {
    format!(r#"{{"auth":"{}"}}"#, STANDARD.encode(text))
}

fn plain(auth: &RegistryAuth) -> (&str, &str, &str) {
    (auth.server(), auth.username().unwrap_or("-"), auth.password().unwrap_or("-"))
}

/// Answers with the registry it was asked for as the user's name.
const ECHO: &str = r#"read -r registry || :
printf '{"ServerURL":"%s","Username":"%s","Secret":"s3cret"}' "$registry" "$1 $registry""#;

#[tokio::test]
async fn keys_are_found_however_they_are_written() {
    let home = Home::new(&format!(
        r#"{{"auths":{{"https://index.docker.io/v1/":{},"https://a.example/v2/":{},"b.example:5000":{},"http://c.example":{}}}}}"#,
        auth("hub:1"),
        auth("a:2"),
        auth("b:x:y"),
        auth("c:4")
    ));
    let credentials = home.credentials();
    let table = [
        ("docker.io", ("https://index.docker.io/v1/", "hub", "1")),
        ("a.example", ("a.example", "a", "2")),
        ("b.example:5000", ("b.example:5000", "b", "x:y")),
        ("c.example", ("c.example", "c", "4")),
    ];
    for (host, expected) in table {
        let found = credentials.for_registry(host).await.unwrap().unwrap();
        assert_eq!(plain(&found), expected);
    }
    assert_eq!(credentials.for_registry("b.example").await.unwrap(), None);
    assert_eq!(credentials.for_registry("example").await.unwrap(), None);
}

#[tokio::test]
async fn the_variable_wins_over_store_and_file_and_they_serve_what_it_lacks() {
    let home = Home::new(&format!(r#"{{"auths":{{"a":{},"b":{}}}}}"#, auth("file:1"), auth("file:2")));
    let env = home.env().with("DOCKER_AUTH_CONFIG", format!(r#"{{"auths":{{"a":{}}}}}"#, auth("variable:3")));
    let credentials = Credentials::load(&env).unwrap();
    assert_eq!(plain(&credentials.for_registry("a").await.unwrap().unwrap()).1, "variable");
    assert_eq!(plain(&credentials.for_registry("b").await.unwrap().unwrap()).1, "file");
}

#[tokio::test]
async fn a_registry_s_own_helper_wins_over_the_store() {
    let home = Home::new(r#"{"auths":{"a":{}},"credsStore":"store","credHelpers":{"b.example":"own"}}"#)
        .helper("store", &ECHO.replace("s3cret", "store"))
        .helper("own", &ECHO.replace("s3cret", "own"));
    let credentials = home.credentials();
    let found = credentials.for_registry("b.example").await.unwrap().unwrap();
    assert_eq!(plain(&found), ("b.example", "get b.example", "own"));
    let found = credentials.for_registry("docker.io").await.unwrap().unwrap();
    let hub = "https://index.docker.io/v1/";
    assert_eq!(plain(&found), (hub, format!("get {hub}").as_str(), "store"));
}

#[tokio::test]
async fn a_helper_s_token_is_an_identity_token() {
    let home = Home::new(r#"{"credsStore":"token"}"#)
        .helper("token", r#"echo '{"ServerURL":"a","Username":"<token>","Secret":"t0ken"}'"#);
    let found = home.credentials().for_registry("a").await.unwrap().unwrap();
    assert_eq!((found.identity_token(), found.username(), found.password()), (Some("t0ken"), None, None));
}

#[tokio::test]
async fn a_helper_that_knows_nothing_is_no_error_and_plain_entries_count() {
    let script = "echo 'credentials not found in native keychain'; exit 1";
    let config = format!(r#"{{"auths":{{"old":{}}},"credsStore":"empty"}}"#, auth("ada:1"));
    let home = Home::new(&config).helper("empty", script);
    assert_eq!(home.credentials().for_registry("a").await.unwrap(), None);
    assert_eq!(plain(&home.credentials().for_registry("old").await.unwrap().unwrap()).1, "ada");
}

#[tokio::test]
async fn a_missing_or_failing_helper_is_a_warning_with_advice() {
    let home = Home::new(r#"{"credsStore":"gone"}"#);
    let error = home.credentials().for_registry("a").await.unwrap_err();
    assert!(error.is_warning());
    assert_eq!(error.to_string(), "cannot get credentials of a: docker-credential-gone is not installed");
    assert!(error.hint().unwrap().contains("credsStore"));

    let home = Home::new(r#"{"credsStore":"bad"}"#).helper("bad", "echo 'vault is locked' >&2; exit 3");
    let error = home.credentials().for_registry("a").await.unwrap_err();
    assert!(error.is_warning() && error.to_string().ends_with("vault is locked"), "{error}");

    let home = Home::new(r#"{"credsStore":"../bad"}"#);
    let error = home.credentials().for_registry("a").await.unwrap_err();
    assert!(error.to_string().contains("no helper's name"), "{error}");
}

#[tokio::test]
async fn an_answer_that_is_not_json_is_not_quoted() {
    let home = Home::new(r#"{"credsStore":"odd"}"#).helper("odd", "echo hunter2");
    let error = home.credentials().for_registry("a").await.unwrap_err().to_string();
    assert!(error.contains("no valid JSON") && !error.contains("hunter2"), "{error}");
}

#[tokio::test]
async fn a_broken_entry_is_an_error_of_its_registry_alone() {
    let config = format!(
        r#"{{"auths":{{"good":{},"bad":{{"auth":"hunter2!"}},"half":{},"nobody":{},"empty":{{}}}}}}"#,
        auth("ada:1"),
        auth("hunter2"),
        auth(":hunter2")
    );
    let home = Home::new(&config);
    let credentials = home.credentials();
    assert!(credentials.for_registry("good").await.unwrap().is_some());
    assert_eq!(credentials.for_registry("empty").await.unwrap(), None);
    for (registry, reason) in [("bad", "not base64"), ("half", "USER:PASSWORD"), ("nobody", "no user name")] {
        let error = credentials.for_registry(registry).await.unwrap_err();
        let text = format!("{error} {error:?} {:?}", error.hint());
        assert!(text.contains(reason) && !text.contains("hunter2"), "{text}");
        assert!(!error.is_warning());
    }
}

#[tokio::test]
async fn a_build_gets_every_registry_that_is_named_and_hears_of_the_rest() {
    let config = format!(
        r#"{{"auths":{{"https://a.example":{},"empty":{{}}}},"credHelpers":{{"b.example":"own","c.example":"gone"}}}}"#,
        auth("ada:1")
    );
    let home = Home::new(&config).helper("own", ECHO);
    let env =
        home.env().with("DOCKER_AUTH_CONFIG", format!(r#"{{"auths":{{"docker.io":{}}}}}"#, auth("hub:2")));
    let all = Credentials::load(&env).unwrap().all().await;
    let servers: Vec<&str> = all.auths.iter().map(RegistryAuth::server).collect();
    assert_eq!(servers, ["a.example", "b.example", "https://index.docker.io/v1/"]);
    assert_eq!(all.warnings.len(), 1);
    let header = URL_SAFE.decode(to_config_header(&all.auths)).unwrap();
    let header: serde_json::Value = serde_json::from_slice(&header).unwrap();
    assert_eq!(header["a.example"]["username"], "ada");
    assert_eq!(header["https://index.docker.io/v1/"]["password"], "2");
}

#[tokio::test]
async fn tokens_of_the_file_reach_the_header() {
    let config = r#"{"auths":{"a":{"identitytoken":"id"},"b":{"registrytoken":"reg","username":"ada","password":"p"}}}"#;
    let credentials = Home::new(config).credentials();
    let decode = |auth: RegistryAuth| {
        serde_json::from_slice::<serde_json::Value>(&URL_SAFE.decode(auth.to_header()).unwrap()).unwrap()
    };
    let a = decode(credentials.for_registry("a").await.unwrap().unwrap());
    assert_eq!(a, serde_json::json!({"serveraddress": "a", "identitytoken": "id"}));
    let b = decode(credentials.for_registry("b").await.unwrap().unwrap());
    let expected =
        serde_json::json!({"username":"ada","password":"p","serveraddress":"b","registrytoken":"reg"});
    assert_eq!(b, expected);
}

#[test]
fn nothing_prints_a_secret() {
    let config = format!(r#"{{"auths":{{"a":{}}}}}"#, auth("ada:hunter2"));
    let home = Home::new(&config);
    let credentials = home.credentials();
    let found = credentials.file.find("a").unwrap().unwrap();
    assert_eq!(found.password(), Some("hunter2"));
    let encoded = STANDARD.encode("ada:hunter2");
    for shown in [format!("{credentials:?}"), format!("{found:?}"), format!("{:?}", home.env())] {
        assert!(!shown.contains("hunter2") && !shown.contains(&encoded), "{shown}");
    }
}

#[test]
fn a_malformed_variable_is_refused_without_quoting_it() {
    for text in ["hunter2", "{\"auths\":hunter2}", "{\"hunter2\":{}}", "{\"auths\":\"hunter2\"}"] {
        let env = Environment::from_pairs([("DOCKER_AUTH_CONFIG", text)]);
        let error = Credentials::load(&env).unwrap_err();
        let shown = format!("{error} {error:?}");
        assert!(shown.contains("DOCKER_AUTH_CONFIG") || shown.contains("Variable"), "{shown}");
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}

#[test]
fn nothing_configured_is_no_error() {
    let credentials = Credentials::load(&Environment::default()).unwrap();
    assert!(credentials.registries().is_empty());
    assert_eq!(credentials.file(), None);
}

#[test]
fn the_registry_of_an_image_is_its_domain() {
    let table = [("shop", "docker.io"), ("ada/shop:1", "docker.io"), ("localhost:5000/a", "localhost:5000")];
    for (reference, registry) in table {
        assert_eq!(registry_of(reference).unwrap(), registry);
    }
    assert!(registry_of("A B").is_err());
}
