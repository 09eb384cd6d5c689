//! Credential helpers: `docker-credential-NAME get`, the registry on stdin, JSON on stdout.

use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use super::CredentialsError;
use super::auth::{RegistryAuth, Secret};
use crate::environment::Environment;

/// Some ask a cloud, none should ask a person.
const LIMIT: Duration = Duration::from_mins(1);
/// What helpers print where they have nothing, by their common library.
const NOTHING: &str = "credentials not found";
/// The user name that says that the secret is a token.
const TOKEN_USER: &str = "<token>";
/// As much of a helper's words as a message can use.
const KEPT: usize = 500;

/// Asks one helper for one registry; `None` where it knows nothing of it.
pub(super) async fn get(
    name: &str,
    registry: &str,
    env: &Environment,
) -> Result<Option<RegistryAuth>, CredentialsError> {
    let helper = format!("docker-credential-{name}");
    let failed = |reason: String| CredentialsError::Helper {
        registry: registry.to_owned(),
        helper: helper.clone(),
        reason,
    };
    if name.contains('/') {
        return Err(failed("is no helper's name".to_owned()));
    }
    let program = env.find_program(&helper).ok_or_else(|| CredentialsError::HelperMissing {
        registry: registry.to_owned(),
        helper: helper.clone(),
    })?;
    let run = async {
        let mut child = Command::new(program)
            .arg("get")
            .env_clear()
            .envs(env.variables())
            .current_dir(env.current_dir())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        if let Some(mut stdin) = child.stdin.take() {
            // A helper that does not read has its reasons, and tells them.
            let _unread = stdin.write_all(registry.as_bytes()).await;
        }
        child.wait_with_output().await
    };
    let output = tokio::time::timeout(LIMIT, run)
        .await
        .map_err(|_| failed(format!("did not answer within {} s", LIMIT.as_secs())))?
        .map_err(|error| failed(format!("cannot be executed: {error}")))?;
    let answer = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() {
        if answer.to_lowercase().contains(NOTHING) {
            return Ok(None);
        }
        let noise = String::from_utf8_lossy(&output.stderr);
        let said =
            [answer.trim(), noise.trim()].into_iter().find(|text| !text.is_empty()).unwrap_or("no reason");
        return Err(failed(format!(
            "failed ({}): {}",
            output.status,
            said.chars().take(KEPT).collect::<String>()
        )));
    }
    // The answer of a helper that succeeds may hold the secret: no message quotes it.
    let answer: Value = serde_json::from_str(&answer).map_err(|_| failed("gave no valid JSON".to_owned()))?;
    let field = |name: &str| answer.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    let Some(secret) = field("Secret").map(Secret::new) else { return Ok(None) };
    let username = field("Username").unwrap_or_default();
    let mut auth = RegistryAuth::with_password(registry, username, secret);
    if username == TOKEN_USER {
        auth.username = None;
        auth.identity_token = auth.password.take();
    }
    Ok(Some(auth))
}
