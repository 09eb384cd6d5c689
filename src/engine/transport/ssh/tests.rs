use super::*;
use crate::environment::install_script;

/// An environment in which `ssh` is a shell script. Its log says what it was called with.
fn with_ssh(script: &str) -> (tempfile::TempDir, Environment) {
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("log");
    install_script(directory.path(), "ssh", &format!("echo \"$@\" >>{}\n{script}", log.display()));
    let env = Environment::from_pairs([("PATH", format!("{}:/usr/bin:/bin", directory.path().display()))])
        .in_directory(directory.path());
    (directory, env)
}

fn ssh(env: &Environment) -> Ssh {
    Ssh::new(Some("ada"), "engine.lan", Some(2222), None, env)
}

fn calls(directory: &tempfile::TempDir) -> Vec<String> {
    let log = std::fs::read_to_string(directory.path().join("log")).unwrap_or_default();
    log.lines().map(str::to_owned).collect()
}

const ANSWER: &str = r"
read line; read line; read line
printf 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n'
exec cat";

#[tokio::test]
async fn the_command_is_the_docker_cli_s_and_a_greeted_connection_is_used_on() {
    let (directory, env) = with_ssh(ANSWER);
    let ssh = ssh(&env);
    let mut stream = ssh.dial().await.unwrap();
    stream.write_all(b"hello").await.unwrap();
    stream.shutdown().await.unwrap();
    let mut echoed = String::new();
    stream.read_to_string(&mut echoed).await.unwrap();
    assert_eq!(echoed, "hello");
    let command =
        "-o ConnectTimeout=30 -o BatchMode=yes -T -l ada -p 2222 -- engine.lan docker system dial-stdio";
    assert_eq!(calls(&directory), [command]);
}

#[tokio::test]
async fn podman_is_used_where_the_other_machine_has_no_docker_and_asked_for_once() {
    let script = format!(
        "case \"$*\" in *'docker system'*) echo 'sh: docker: not found' >&2; exit 127;; esac{ANSWER}"
    );
    let (directory, env) = with_ssh(&script);
    let ssh = ssh(&env);
    ssh.dial().await.unwrap();
    // A later connection is not greeted.
    let mut second = ssh.dial().await.unwrap();
    second.write_all(b"1\n2\n3\n").await.unwrap();
    let mut answer = [0; 8];
    second.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1");
    let calls = calls(&directory);
    assert_eq!(calls.len(), 3, "{calls:?}");
    assert!(calls[1].ends_with("podman system dial-stdio") && calls[2].ends_with("podman system dial-stdio"));
}

#[tokio::test]
async fn what_ssh_says_is_the_error() {
    let (_directory, env) = with_ssh("echo 'ada@engine.lan: Permission denied (publickey).' >&2; exit 255");
    let error = ssh(&env).dial().await.err().unwrap();
    assert_eq!(error.to_string(), "ssh ended with code 255: ada@engine.lan: Permission denied (publickey).");
}

#[tokio::test]
async fn an_end_that_keeps_stderr_open_does_not_hang() {
    let (_directory, env) = with_ssh("echo no >&2; (exec >/dev/null; sleep 5) & exit 3");
    let dialled = tokio::time::timeout(std::time::Duration::from_secs(3), ssh(&env).dial()).await.unwrap();
    assert_eq!(dialled.err().unwrap().to_string(), "ssh ended with code 3: no");
}

#[tokio::test]
async fn text_before_the_answer_is_quoted() {
    let (_directory, env) = with_ssh("echo 'Welcome to engine.lan'");
    let error = ssh(&env).dial().await.err().unwrap().to_string();
    assert!(error.contains("welcome to engine.lan"), "{error}");
}

#[tokio::test]
async fn without_ssh_the_error_says_so() {
    let error = ssh(&Environment::from_pairs([("PATH", "/nowhere")])).dial().await.err().unwrap();
    assert_eq!(error.to_string(), "the program `ssh` is not installed");
}

#[tokio::test]
async fn the_child_dies_with_the_connection() {
    let (directory, env) = with_ssh("echo $$ >pid; exec sleep 60");
    let remote = ssh(&env);
    let process = remote.start(Remote::Docker).unwrap();
    let pid = loop {
        match std::fs::read_to_string(directory.path().join("pid")) {
            Ok(text) if text.ends_with('\n') => break text.trim().to_owned(),
            _ => tokio::time::sleep(std::time::Duration::from_millis(5)).await,
        }
    };
    drop(process);
    let stat = format!("/proc/{pid}/stat");
    for _ in 0..500 {
        if !std::path::Path::new(&stat).exists() {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("process {pid} is still there");
}

#[test]
fn a_path_is_handed_on_quoted_for_the_shell() {
    assert_eq!(
        command(Remote::Docker, Some("/run/a.sock")),
        ["docker", "--host", "unix:///run/a.sock", "system", "dial-stdio"]
    );
    assert_eq!(command(Remote::Podman, Some("/a b'; rm"))[2], r"'unix:///a b'\''; rm'");
    assert_eq!(quoted("a$(b)"), "'a$(b)'");
}
