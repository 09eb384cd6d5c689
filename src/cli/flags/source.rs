//! What a build takes from outside its context: `--secret`, `--ssh` and `--cache-from`.
//!
//! Owns their syntax, which is buildx's. Checks that named files are there, and leaves their content alone.

use std::path::{Path, PathBuf};

use super::error::{FlagError, Invalid, Problem};
use super::{absolute, csv};
use crate::environment::Environment;
use crate::input;
use crate::plan::build::{LARGEST_SECRET, SecretSource, SecretSpec, SshSpec};

/// Reads every `--secret`; the last one of an id wins.
pub fn secrets(texts: &[String], environment: &Environment) -> Result<Vec<SecretSpec>, FlagError> {
    const FLAG: &str = "--secret";
    let mut secrets: Vec<SecretSpec> = Vec::new();
    for text in texts {
        let (secret, path) = secret(text, environment).map_err(|error| error.of(FLAG, text))?;
        if let SecretSource::File(file) = &secret.source {
            let size = input::open(file)
                .and_then(|file| file.metadata())
                .map_err(|source| FlagError::new(FLAG, Problem::Read { path, source }))?
                .len();
            if size > LARGEST_SECRET {
                return Err(Invalid::new("the file is larger than 500 KiB, and BuildKit takes no more")
                    .of(FLAG, text));
            }
        }
        secrets.retain(|known| known.id != secret.id);
        secrets.push(secret);
    }
    Ok(secrets)
}

/// The secret, and the path of its file as written.
fn secret(text: &str, environment: &Environment) -> Result<(SecretSpec, PathBuf), Invalid> {
    let (mut id, mut kind, mut src, mut env) = (None, None, None, None);
    for field in csv::fields(text)? {
        let pair = field.split_once('=').map(|(key, value)| (key.to_ascii_lowercase(), value.to_owned()));
        let (key, value) = pair.ok_or_else(|| Invalid::new(format!("`{field}` is not KEY=VALUE")))?;
        match key.as_str() {
            "id" => id = Some(value),
            "src" | "source" => src = Some(value),
            "env" => env = Some(value),
            "type" if value == "file" || value == "env" => kind = Some(value),
            "type" => return Err(Invalid::new(format!("unknown type `{value}`: expected file or env"))),
            _ => {
                return Err(
                    Invalid::new(format!("unknown key `{key}`")).hint("known keys: id, src, env, type")
                );
            }
        }
    }
    let id = id.filter(|id| !id.is_empty()).ok_or_else(|| Invalid::new("no id: id=NAME is missing"))?;
    let (src, env) = (src.filter(|src| !src.is_empty()), env.filter(|env| !env.is_empty()));
    let is_env = kind.as_deref() == Some("env");
    let (src, env) = if is_env && env.is_none() { (None, src) } else { (src, env) };
    let (path, env) = match (src, env) {
        (Some(_), Some(_)) => return Err(Invalid::new("`src` and `env` exclude each other")),
        (None, None) if is_env => (None, Some(id.clone())),
        (None, None) if kind.is_none() && environment.variable(&id).is_some() => (None, Some(id.clone())),
        (None, None) => (Some(id.clone()), None),
        given => given,
    };
    let path = PathBuf::from(path.unwrap_or_default());
    let source = match env {
        Some(name) => SecretSource::Environment(name),
        None => SecretSource::File(absolute(environment, &path)),
    };
    Ok((SecretSpec { id, source }, path))
}

/// Reads every `--ssh`; the last one of an id wins.
pub fn ssh(texts: &[String], environment: &Environment) -> Result<Vec<SshSpec>, FlagError> {
    const FLAG: &str = "--ssh";
    let mut agents: Vec<SshSpec> = Vec::new();
    for text in texts {
        let (id, list) = text.split_once('=').unwrap_or((text, ""));
        if id.is_empty() {
            return Err(Invalid::new("expected default or ID[=SOCKET|KEY,…]").of(FLAG, text));
        }
        let mut paths = Vec::new();
        for path in list.split(',').filter(|path| !path.is_empty()) {
            let file = absolute(environment, Path::new(path));
            std::fs::metadata(&file)
                .map_err(|source| FlagError::new(FLAG, Problem::Read { path: path.into(), source }))?;
            paths.push(file);
        }
        if paths.is_empty() && environment.non_empty("SSH_AUTH_SOCK").is_none() {
            return Err(Invalid::new("there is no SSH agent: SSH_AUTH_SOCK is not set")
                .hint(format!("start ssh-agent, or name a key: --ssh {id}=PATH"))
                .of(FLAG, text));
        }
        agents.retain(|known| known.id != id);
        agents.push(SshSpec { id: id.to_owned(), paths });
    }
    Ok(agents)
}

/// Reads every `--cache-from`: images, several with commas between them, or `type=registry,ref=IMAGE`.
pub fn cache_from(texts: &[String]) -> Result<Vec<String>, FlagError> {
    let mut images = Vec::new();
    for text in texts {
        images.extend(cache_sources(text).map_err(|error| error.of("--cache-from", text))?);
    }
    Ok(images)
}

fn cache_sources(text: &str) -> Result<Vec<String>, Invalid> {
    let fields = csv::fields(text)?;
    if !fields.iter().any(|field| field.contains('=')) {
        let images: Vec<String> = fields.into_iter().filter(|image| !image.is_empty()).collect();
        return if images.is_empty() {
            Err(Invalid::new("expected the name of an image"))
        } else {
            Ok(images)
        };
    }
    let (mut kind, mut image) = (None, None);
    for field in fields {
        match field.split_once('=') {
            Some(("type", value)) => kind = Some(value.to_owned()),
            Some(("ref", value)) => image = Some(value.to_owned()),
            Some((key, _)) => {
                return Err(Invalid::new(format!("unknown key `{key}`: expected type and ref")));
            }
            None => return Err(Invalid::new(format!("`{field}` is not KEY=VALUE"))),
        }
    }
    match (kind.as_deref(), image) {
        (Some("registry"), Some(image)) if !image.is_empty() => Ok(vec![image]),
        (Some("registry") | None, _) => Err(Invalid::new("expected type=registry,ref=IMAGE")),
        (Some(kind), _) => Err(Invalid::new(format!(
            "the engine's own builder cannot read a cache of type `{kind}`; only buildx can"
        ))
        .hint("name an image: --cache-from IMAGE")),
    }
}

#[cfg(test)]
mod tests;
