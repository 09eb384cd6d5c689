use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::super::credentials::{Credentials, Secret};
use super::*;
use crate::error::Diagnose as _;

const LIMIT: Duration = Duration::from_secs(5);
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";

/// A server on this machine that answers by its script and remembers what it was asked.
struct Server {
    host: String,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// `script` gets the whole request, lower-cased but for its values, and gives the whole answer.
    async fn new(script: impl Fn(&str, &str) -> String + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let server = Self { host: host.clone(), seen: Arc::clone(&seen) };
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut request = Vec::new();
                let mut buffer = [0; 4096];
                while let Ok(size @ 1..) = stream.read(&mut buffer).await {
                    request.extend_from_slice(&buffer[..size]);
                    if request[0] == 0x16 || is_whole(&request) {
                        break;
                    }
                }
                // TLS is not spoken here.
                if request.first() == Some(&0x16) {
                    continue;
                }
                let request = String::from_utf8(request).unwrap();
                let answer = script(&request, &host);
                seen.lock().unwrap().push(request);
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        });
        server
    }

    fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }

    fn login(&self) -> RegistryAuth {
        RegistryAuth::with_password(self.host.clone(), "jane", Secret::new("wonderland"))
    }

    async fn check(&self) -> Result<Standing, RegistryError> {
        check(&self.login(), &Environment::default(), LIMIT).await
    }
}

fn is_whole(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length =
        head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
    body.len() >= length.unwrap_or(0)
}

fn answer(status: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {length}\r\nConnection: close\r\n\r\n{body}")
}

fn unauthorized(challenge: &str) -> String {
    let body = r#"{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}"#;
    answer("401 Unauthorized", &format!("WWW-Authenticate: {challenge}\r\n"), body)
}

/// `jane:wonderland` as HTTP has it.
const BASIC: &str = "authorization: Basic amFuZTp3b25kZXJsYW5k";

async fn basic_registry() -> Server {
    Server::new(
        |request, _| {
            if request.contains(BASIC) { OK.to_owned() } else { unauthorized("Basic realm=\"r\"") }
        },
    )
    .await
}

async fn token_registry() -> Server {
    Server::new(|request, host| {
        let is_token = request.starts_with("GET /token?") || request.starts_with("POST /token ");
        if is_token && (request.contains(BASIC) || request.contains("refresh_token=an+identity%26more")) {
            answer("200 OK", "", r#"{"token":"opened"}"#)
        } else if is_token {
            answer("401 Unauthorized", "", r#"{"details":"incorrect username or password"}"#)
        } else if request.contains("authorization: Bearer opened") {
            OK.to_owned()
        } else {
            unauthorized(&format!("Bearer realm=\"http://{host}/token\",service=\"the registry\""))
        }
    })
    .await
}

async fn login_from(config: &str, host: &str) -> RegistryAuth {
    let env = Environment::default().with("DOCKER_AUTH_CONFIG", config);
    Credentials::load(&env).unwrap().for_registry(host).await.unwrap().unwrap()
}

#[tokio::test]
async fn a_right_login_is_accepted_and_a_wrong_one_is_refused() {
    for server in [basic_registry().await, token_registry().await] {
        assert_eq!(server.check().await.unwrap(), Standing::Accepted);
        let wrong = RegistryAuth::with_password(server.host.clone(), "jane", Secret::new("guess"));
        let standing = check(&wrong, &Environment::default(), LIMIT).await.unwrap();
        assert!(
            matches!(&standing, Standing::Refused { said } if said.contains("auth") || said.contains("incorrect"))
        );
    }
}

#[tokio::test]
async fn nothing_secret_is_sent_before_the_registry_asks_for_it() {
    let server = basic_registry().await;
    server.check().await.unwrap();
    let seen = server.seen();
    assert_eq!(seen.len(), 2, "{seen:?}");
    assert!(seen[0].starts_with("GET /v2/ ") && !seen[0].contains("authorization"), "{seen:?}");
}

#[tokio::test]
async fn a_token_server_is_told_service_and_account() {
    let server = token_registry().await;
    server.check().await.unwrap();
    let asked = server.seen().into_iter().find(|request| request.starts_with("GET /token")).unwrap();
    assert!(asked.contains("service=the+registry&account=jane"), "{asked}");
}

#[tokio::test]
async fn an_identity_token_is_sent_in_a_body_and_never_in_an_address() {
    let server = token_registry().await;
    let config = format!(r#"{{"auths":{{"{}":{{"identitytoken":"an identity&more"}}}}}}"#, server.host);
    let auth = login_from(&config, &server.host).await;
    assert_eq!(check(&auth, &Environment::default(), LIMIT).await.unwrap(), Standing::Accepted);
    let asked = server.seen().into_iter().find(|request| request.starts_with("POST /token")).unwrap();
    assert!(asked.contains("grant_type=refresh_token&service=the+registry"), "{asked}");
    assert!(!server.seen().iter().any(|request| request.lines().next().unwrap().contains("identity")));
}

#[tokio::test]
async fn an_open_registry_is_not_given_the_login() {
    let server = Server::new(|_, _| OK.to_owned()).await;
    assert_eq!(server.check().await.unwrap(), Standing::Open);
    assert!(!server.seen()[0].contains("authorization"));
}

#[tokio::test]
async fn a_redirect_takes_no_login_anywhere() {
    let thief = Server::new(|_, _| OK.to_owned()).await;
    let target = thief.host.clone();
    let server = Server::new(move |request, _| {
        if request.contains("authorization") {
            answer("307 Temporary Redirect", &format!("Location: http://{target}/v2/\r\n"), "")
        } else {
            unauthorized("Basic realm=\"r\"")
        }
    })
    .await;
    let error = server.check().await.unwrap_err();
    assert!(error.to_string().contains("307"), "{error}");
    assert!(thief.seen().is_empty());
}

#[tokio::test]
async fn a_login_is_not_sent_without_tls_to_another_machine() {
    let server = Server::new(|_, _| unauthorized("Bearer realm=\"http://auth.example/token\"")).await;
    let error = server.check().await.unwrap_err();
    assert!(matches!(error, RegistryError::Unsafe { .. }), "{error}");
    assert!(error.to_string().contains("http://auth.example"), "{error}");
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn what_is_no_registry_is_told_from_one_that_cannot_be_reached() {
    let web = Server::new(|_, _| answer("404 Not Found", "", "<html>")).await;
    assert!(matches!(web.check().await, Err(RegistryError::NotARegistry { .. })));
    let nameless = Server::new(|_, _| unauthorized("Negotiate")).await;
    assert!(matches!(nameless.check().await, Err(RegistryError::NotARegistry { .. })));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let closed = listener.local_addr().unwrap().to_string();
    drop(listener);
    let auth = RegistryAuth::with_password(closed, "jane", Secret::new("wonderland"));
    let error = check(&auth, &Environment::default(), LIMIT).await.unwrap_err();
    assert!(matches!(error, RegistryError::Unreachable { .. }), "{error}");
    assert!(error.to_string().contains("refused"), "{error}");
}

#[tokio::test]
async fn a_silent_registry_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let host = listener.local_addr().unwrap().to_string();
    let auth = RegistryAuth::with_password(host, "jane", Secret::new("wonderland"));
    let limit = Duration::from_millis(100);
    let error = check(&auth, &Environment::default(), limit).await.unwrap_err();
    assert!(matches!(error, RegistryError::TimedOut { .. }), "{error}");
}

#[tokio::test]
async fn an_endless_answer_is_not_read_to_its_end() {
    let server = Server::new(|request, host| {
        if request.starts_with("GET /token") {
            answer("200 OK", "", &" ".repeat(LONGEST_ANSWER + 1))
        } else {
            unauthorized(&format!("Bearer realm=\"http://{host}/token\""))
        }
    })
    .await;
    assert!(server.check().await.unwrap_err().to_string().contains("too long"));
}

#[tokio::test]
async fn no_error_shows_a_secret() {
    for status in ["500 Oops", "302 Found"] {
        let server = Server::new(move |request, _| {
            if request.contains("authorization") {
                answer(status, "Location: http://127.0.0.1:1/\r\n", "wonderland")
            } else {
                unauthorized("Basic realm=\"r\"")
            }
        })
        .await;
        let error = server.check().await.unwrap_err();
        let text = format!("{error} {error:?} {:?}", error.hint());
        assert!(!text.contains("wonderland") && !text.contains("amFuZ"), "{text}");
    }
}

#[test]
fn words_of_a_registry_are_one_harmless_line() {
    let body = format!(r#"{{"errors":[{{"message":"no\u001b[31m\n{}"}}]}}"#, "x".repeat(1000));
    let text = super::reason(body.as_bytes()).unwrap();
    assert!(text.starts_with("no[31mxxx") && text.chars().count() == LONGEST_REASON, "{text}");
}
