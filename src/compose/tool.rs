//! The Compose tool that is installed: which it is, and how it is called.
//!
//! Owns the differences between version 1 (`docker-compose`) and later ones (`docker compose`), and that the tool talks
//! to the engine that we are connected to.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::error::ComposeError;
use super::process::{Call, Said};
use crate::engine::endpoint::{Address, Endpoint, TlsMaterial};
use crate::environment::Environment;
use crate::redact::Redactor;

/// How long it may take to say its version: the first start of an interpreter on a busy machine is slow.
const VERSION_LIMIT: Duration = Duration::from_secs(30);

/// Variables that would lead the tool elsewhere than to our engine and our files.
const NOT_HANDED_ON: [&str; 8] = [
    "DOCKER_HOST",
    "DOCKER_CONTEXT",
    "DOCKER_TLS",
    "DOCKER_TLS_VERIFY",
    "DOCKER_CERT_PATH",
    "COMPOSE_FILE",
    "COMPOSE_REMOVE_ORPHANS",
    "COMPOSE_CONVERT_WINDOWS_PATHS",
];

/// Certificates for the whole system: version 1 would take them in the place of those that the engine is judged by.
const BUNDLES: [&str; 2] = ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"];

/// Nobody watches its output, and nobody can answer.
const QUIET: [(&str, &str); 6] = [
    ("COMPOSE_ANSI", "never"),
    ("COMPOSE_PROGRESS", "plain"),
    ("COMPOSE_MENU", "false"),
    ("COMPOSE_IGNORE_ORPHANS", "true"),
    ("BUILDKIT_PROGRESS", "plain"),
    ("DOCKER_CLI_HINTS", "false"),
];

/// A Compose tool, bound to an engine. Cheap to clone.
#[derive(Clone)]
pub struct ComposeTool {
    program: PathBuf,
    /// Words before Compose's own: those that say which engine, and `compose`.
    leading: Vec<OsString>,
    version: Version,
    variables: Arc<BTreeMap<String, String>>,
    redactor: Arc<Redactor>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Version {
    text: String,
    major: u32,
    minor: u32,
}

impl ComposeTool {
    /// Finds the tool: `docker compose`, else `docker-compose`.
    ///
    /// `endpoint` is the one that the program is connected to: the tool gets it in the place of what `environment` says.
    /// `redactor` hides secrets in what the tool says.
    pub async fn find(
        environment: &Environment,
        endpoint: &Endpoint,
        redactor: Arc<Redactor>,
    ) -> Result<Self, ComposeError> {
        let variables = Arc::new(variables(environment, endpoint));
        let engine = engine_words(endpoint);
        let mut said = Vec::new();
        for (name, word) in [("docker", Some("compose")), ("docker-compose", None)] {
            let Some(program) = environment.find_program(name) else { continue };
            let leading: Vec<OsString> = engine.iter().cloned().chain(word.map(OsString::from)).collect();
            let arguments: Vec<OsString> =
                word.into_iter().chain(["version", "--short"]).map(OsString::from).collect();
            let pairs = variables.iter().map(|(name, value)| (name.as_str(), value.as_str()));
            let answer = match Call::start(&program, &arguments, pairs, environment.current_dir()) {
                Ok(mut call) => tokio::time::timeout(VERSION_LIMIT, call.ended()).await,
                Err(source) => return Err(ComposeError::Execute { program, source }),
            };
            let Ok(Ok(answer)) = answer else { continue };
            let text = String::from_utf8_lossy(&answer.stdout).into_owned();
            match Version::parse(&text) {
                Some(version) if answer.status.success() => {
                    return Ok(Self { program, leading, version, variables, redactor });
                }
                _ => {
                    let first = answer.words.lines().find(|line| !line.trim().is_empty());
                    said.extend(first.map(|line| redactor.redact(line.trim()).into_owned()));
                }
            }
        }
        Err(ComposeError::NotInstalled { said: said.join("; ") })
    }

    /// Name and version, for people: `docker-compose 1.29.2`, `docker compose 2.27.0`.
    #[must_use]
    pub fn describe(&self) -> String {
        format!("{} {}", self.name(), self.version.text)
    }

    /// The words that people call it by.
    pub(super) fn name(&self) -> &'static str {
        if self.program.ends_with("docker-compose") { "docker-compose" } else { "docker compose" }
    }

    /// The call that builds. Version 1 leaves the container of a step that failed, unless it is told otherwise.
    pub(super) const fn build(&self) -> &'static [&'static str] {
        if self.version.major < 2 { &["build", "--force-rm"] } else { &["build"] }
    }

    pub(super) const fn redactor(&self) -> &Arc<Redactor> {
        &self.redactor
    }

    /// Begins `command` for the project of `files`, under the name `project` or that which the tool gives it.
    pub(super) fn call(
        &self,
        files: &[PathBuf],
        directory: &Path,
        project: Option<&str>,
        command: &[&str],
    ) -> Result<Call, ComposeError> {
        let arguments = self.arguments(files, project, command);
        let name = project.map(|project| ("COMPOSE_PROJECT_NAME", project));
        let pairs = self.variables.iter().map(|(name, value)| (name.as_str(), value.as_str())).chain(name);
        Call::start(&self.program, &arguments, pairs, directory).map_err(|source| self.not_executed(source))
    }

    pub(super) fn not_executed(&self, source: std::io::Error) -> ComposeError {
        ComposeError::Execute { program: self.program.clone(), source }
    }

    fn arguments(&self, files: &[PathBuf], project: Option<&str>, command: &[&str]) -> Vec<OsString> {
        let mut arguments = self.leading.clone();
        let mut push = |words: &[&str]| arguments.extend(words.iter().map(OsString::from));
        match (self.version.major, self.version.minor) {
            (0, _) | (1, 0..28) => push(&["--no-ansi"]),
            (1, _) => push(&["--ansi", "never"]),
            // Services are always named one by one, so that more of them do not start for this.
            _ => push(&["--ansi", "never", "--profile", "*"]),
        }
        if let Some(project) = project {
            push(&["--project-name", project]);
        }
        for file in files {
            arguments.extend([OsString::from("--file"), file.as_os_str().to_owned()]);
        }
        arguments.extend(command.iter().map(OsString::from));
        arguments
    }

    /// The last lines of what it said, secrets hidden.
    pub(super) fn words(&self, said: &Said) -> String {
        let lines: Vec<&str> =
            said.words.lines().map(str::trim_end).filter(|line| !line.trim().is_empty()).collect();
        let last = lines.get(lines.len().saturating_sub(super::error::LINES)..).unwrap_or_default();
        self.redactor.redact(&last.join("\n")).into_owned()
    }
}

impl fmt::Debug for ComposeTool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ComposeTool")
            .field("program", &self.program)
            .field("version", &self.version.text)
            .finish_non_exhaustive()
    }
}

impl Version {
    fn parse(text: &str) -> Option<Self> {
        let text = text.trim().trim_start_matches('v');
        let mut numbers = text.split(|c: char| !c.is_ascii_digit());
        let major = numbers.next()?.parse().ok()?;
        let minor = numbers.next()?.parse().ok()?;
        let is_one_word = !text.contains(char::is_whitespace);
        is_one_word.then(|| Self { text: text.to_owned(), major, minor })
    }
}

fn variables(environment: &Environment, endpoint: &Endpoint) -> BTreeMap<String, String> {
    let mut variables: BTreeMap<String, String> = environment
        .variables()
        .filter(|(name, _)| !NOT_HANDED_ON.contains(name))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    variables.extend(QUIET.map(|(name, value)| (name.to_owned(), value.to_owned())));
    if matches!(endpoint.address(), Address::Tls { .. }) {
        variables.retain(|name, _| !BUNDLES.contains(&name.as_str()));
    } else {
        variables.insert("DOCKER_HOST".to_owned(), endpoint.to_string());
    }
    variables
}

/// Words that say which engine where no variable can: files of TLS may lie anywhere.
fn engine_words(endpoint: &Endpoint) -> Vec<OsString> {
    let Address::Tls { host, port, prefix, material } = endpoint.address() else { return Vec::new() };
    let host = if host.contains(':') { format!("[{host}]") } else { host.clone() };
    let TlsMaterial { ca, cert, key, verify } = material;
    let mut words = vec!["--host".into(), format!("tcp://{host}:{port}{prefix}").into()];
    words.push(if *verify { "--tlsverify" } else { "--tls" }.into());
    for (flag, file) in [("--tlscacert", ca), ("--tlscert", cert), ("--tlskey", key)] {
        if let Some(file) = file {
            words.extend([flag.into(), file.as_os_str().to_owned()]);
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::environment::install_script;

    const SOCKET: &str = "unix:///run/e.sock";

    fn endpoint(text: &str) -> Endpoint {
        Endpoint::parse(text, None).unwrap()
    }

    async fn find(scripts: &[(&str, &str)]) -> Result<ComposeTool, ComposeError> {
        let directory = tempfile::tempdir().unwrap();
        for (name, script) in scripts {
            install_script(directory.path(), name, script);
        }
        let environment = Environment::from_pairs([("PATH", directory.path().to_str().unwrap())]);
        let redactor = Arc::new(Redactor::new(["hunter2-secret".to_owned()]));
        ComposeTool::find(&environment, &endpoint(SOCKET), redactor).await
    }

    fn words(tool: &ComposeTool, project: Option<&str>) -> String {
        let arguments = tool.arguments(&["/a.yaml".into(), "/b.yaml".into()], project, &["config"]);
        arguments.iter().map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
    }

    #[tokio::test]
    async fn the_plugin_is_taken_where_both_are_there() {
        let plugin = r#"[ "$*" = "compose version --short" ] && echo v2.27.1-desktop.1"#;
        let tool = find(&[("docker", plugin), ("docker-compose", "echo 1.29.2")]).await.unwrap();
        assert_eq!(tool.describe(), "docker compose 2.27.1-desktop.1");
        let expected = "compose --ansi never --profile * --file /a.yaml --file /b.yaml config";
        assert_eq!(words(&tool, None), expected);
    }

    #[tokio::test]
    async fn without_the_plugin_the_first_version_is_called_in_its_own_words() {
        let lacking = ("docker", "echo \"docker: 'compose' is not a docker command.\" >&2; exit 1");
        let tool = find(&[lacking, ("docker-compose", "echo 1.29.2")]).await.unwrap();
        assert_eq!(tool.describe(), "docker-compose 1.29.2");
        let expected = "--ansi never --project-name p --file /a.yaml --file /b.yaml config";
        assert_eq!(words(&tool, Some("p")), expected);
        let tool = find(&[("docker-compose", "echo 1.25.0")]).await.unwrap();
        assert!(words(&tool, None).starts_with("--no-ansi --file"), "{}", words(&tool, None));
    }

    #[tokio::test]
    async fn where_there_is_neither_both_are_named_with_what_was_said() {
        let error = find(&[]).await.unwrap_err();
        assert!(error.to_string().contains("`docker compose` nor `docker-compose`"), "{error}");
        // A help text is not a version, whatever the exit code.
        let error = find(&[("docker", "echo 'unknown: hunter2-secret'")]).await.unwrap_err();
        assert!(error.to_string().ends_with("is installed (unknown: ***)"), "{error}");
    }

    #[test]
    fn the_tool_talks_to_our_engine_whatever_the_environment_says() {
        let environment = Environment::from_pairs([
            ("DOCKER_HOST", "tcp://other:1"),
            ("DOCKER_CONTEXT", "other"),
            ("DOCKER_TLS_VERIFY", "1"),
            ("COMPOSE_FILE", "other.yaml"),
            ("COMPOSE_ANSI", "always"),
            ("COMPOSE_PROFILES", "debug"),
            ("COMPOSE_PROJECT_NAME", "shop"),
            ("TAG", "7"),
        ]);
        let variables = variables(&environment, &endpoint(SOCKET));
        assert_eq!(variables["DOCKER_HOST"], SOCKET);
        for gone in ["DOCKER_CONTEXT", "DOCKER_TLS_VERIFY", "COMPOSE_FILE"] {
            assert!(!variables.contains_key(gone), "{gone}");
        }
        assert_eq!(variables["COMPOSE_ANSI"], "never");
        let kept = ["COMPOSE_PROFILES", "COMPOSE_PROJECT_NAME", "TAG"].map(|name| variables[name].as_str());
        assert_eq!(kept, ["debug", "shop", "7"]);
    }

    #[test]
    fn an_encrypted_engine_is_named_with_its_files() {
        let material = TlsMaterial { ca: Some("/c/ca.pem".into()), cert: None, key: None, verify: true };
        let endpoint = Endpoint::parse("tcp://[::1]:2376", Some(&material)).unwrap();
        let words = engine_words(&endpoint);
        assert_eq!(words, ["--host", "tcp://[::1]:2376", "--tlsverify", "--tlscacert", "/c/ca.pem"]);
        let environment = Environment::from_pairs([("DOCKER_HOST", "x"), ("REQUESTS_CA_BUNDLE", "/all.pem")]);
        let variables = variables(&environment, &endpoint);
        assert!(!variables.contains_key("DOCKER_HOST") && !variables.contains_key("REQUESTS_CA_BUNDLE"));
        assert!(engine_words(&self::endpoint(SOCKET)).is_empty());
    }

    #[test]
    fn a_version_is_read_with_whatever_a_vendor_adds() {
        let read = |text| Version::parse(text).map(|version| (version.major, version.minor));
        assert_eq!(read("1.29.2\n"), Some((1, 29)));
        assert_eq!(read("v2.3.3+ds1-1"), Some((2, 3)));
        assert_eq!(read("dev"), None);
        assert_eq!(read("1.29.2, build unknown"), None);
    }
}
