//! `secrets`: names, and where their values come from. Values are never in here.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;

use super::shape::{Nothing, Shaped, shaped};
use super::values::Named;
use crate::plan::syntax::Invalid;

/// Secrets that a container gets.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Secrets(pub Vec<Secret>);

/// One secret: where its value comes from, and where it is found. The value itself is never in here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Secret {
    /// Its name: that of the variable, or of the file under /run/secrets.
    pub name: String,
    /// Where the value comes from.
    pub source: SecretSource,
    /// Whether the container gets a file under /run/secrets and not a variable.
    pub as_file: bool,
}

/// Where the value of a secret comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretSource {
    /// This variable of docker-test's environment.
    Environment(String),
    /// This file, relative to the suite file's directory.
    File(String),
}

/// How a secret is described.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, expecting = "a mapping with file or env, and as")]
pub(in crate::suite) struct LongSecret {
    /// File with the value.
    file: Option<String>,
    /// Variable with the value.
    env: Option<String>,
    /// What the container gets: a variable, or a file under /run/secrets.
    #[serde(rename = "as")]
    form: Option<Form>,
}

#[derive(Clone, Copy, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum Form {
    /// A variable.
    Env,
    /// A file under /run/secrets.
    File,
}

/// An item of a list of secrets.
pub(in crate::suite) struct Item(Vec<Secret>);

impl Shaped for Item {
    const EXPECTED: &'static str =
        "the name of a variable, or {NAME: {file: PATH}} or {NAME: {env: VARIABLE}}";
    const MAP: bool = true;
    type List = Nothing;
    type Map = Named<LongSecret>;

    fn schema(generator: &mut SchemaGenerator) -> Schema {
        let long = generator.subschema_for::<Named<LongSecret>>();
        json_schema!({ "anyOf": [{ "type": "string" }, long] })
    }

    fn from_text(name: &str) -> Result<Self, Invalid> {
        secret(name.to_owned(), LongSecret::default()).map(|secret| Self(vec![secret]))
    }

    fn from_map(map: Named<LongSecret>) -> Result<Self, Invalid> {
        map.0.into_iter().map(|(name, long)| secret(name, long)).collect::<Result<_, _>>().map(Self)
    }
}

fn secret(name: String, long: LongSecret) -> Result<Secret, Invalid> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    // It becomes the name of a file.
    if name.is_empty() || name.starts_with('.') || !name.chars().all(allowed) {
        return Err(Invalid::new("expected the name of a secret: letters, digits, _, - and ."));
    }
    let source = match (long.file, long.env) {
        (Some(_), Some(_)) => return Err(Invalid::new("`file` and `env` exclude each other")),
        (Some(path), None) => SecretSource::File(path),
        (None, Some(variable)) => SecretSource::Environment(variable),
        (None, None) => SecretSource::Environment(name.clone()),
    };
    let as_file = long.form == Some(Form::File);
    Ok(Secret { name, source, as_file })
}

impl Shaped for Secrets {
    const EXPECTED: &'static str =
        "a list of names, or a mapping of names to {file: PATH} or {env: VARIABLE}";
    const LIST: bool = true;
    const MAP: bool = true;
    type List = Vec<Item>;
    type Map = Named<LongSecret>;

    fn schema(generator: &mut SchemaGenerator) -> Schema {
        let list = generator.subschema_for::<Vec<Item>>();
        let long = generator.subschema_for::<Named<LongSecret>>();
        json_schema!({ "anyOf": [list, long] })
    }

    fn from_list(items: Vec<Item>) -> Result<Self, Invalid> {
        let secrets: Vec<Secret> = items.into_iter().flat_map(|item| item.0).collect();
        for (index, secret) in secrets.iter().enumerate() {
            if secrets.iter().take(index).any(|known| known.name == secret.name) {
                return Err(Invalid::new(format!("`{}` is there twice", secret.name)));
            }
        }
        Ok(Self(secrets))
    }

    fn from_map(map: Named<LongSecret>) -> Result<Self, Invalid> {
        Item::from_map(map).map(|item| Self(item.0))
    }

    fn nothing() -> Option<Self> {
        Some(Self::default())
    }
}

shaped!(Secrets, Item);
