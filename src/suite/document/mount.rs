//! What is mounted, in the words of `-v` and `--mount`.
//!
//! Everything is checked when the file is read. Relative sources are those of the suite file's directory, which only
//! the caller knows: [`Mount::resolve`].

use std::path::Path;

use schemars::{Schema, SchemaGenerator, json_schema};

use super::shape::{Shaped, shaped};
use super::values::Named;
use crate::plan::container::{ContainerSpec, MountSpec};
use crate::plan::syntax::volume::{self, Volume};
use crate::plan::syntax::{Invalid, mount};

/// A mount as written: `./data:/data:ro`, `type=bind,src=./data,dst=/data`, or a mapping of the keys of `--mount`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount(String);

/// A mount with an absolute source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resolved {
    /// As `-v` says it.
    Volume(Volume),
    /// As `--mount` says it.
    Mount(Box<MountSpec>),
}

impl Mount {
    /// The mount, a relative source being one of `directory`.
    pub fn resolve(&self, directory: &Path) -> Result<Resolved, Invalid> {
        let first = self.0.split([',', ':']).next().unwrap_or_default();
        if first.contains('=') || first.starts_with('"') {
            mount::parse(&self.0, directory).map(|mount| Resolved::Mount(Box::new(mount)))
        } else {
            volume::parse(&self.0, directory).map(Resolved::Volume)
        }
    }

    fn checked(text: String) -> Result<Self, Invalid> {
        let mount = Self(text);
        mount.resolve(Path::new("/")).map(|_| mount)
    }
}

impl Resolved {
    /// Adds the mount to what a container gets.
    pub fn add_to(self, spec: &mut ContainerSpec) {
        match self {
            Self::Volume(Volume::Anonymous(target)) => spec.anonymous_volumes.push(target),
            Self::Volume(Volume::Bind { spec: bind, .. }) => spec.binds.push(bind),
            Self::Mount(mount) => spec.mounts.push(*mount),
        }
    }
}

impl Shaped for Mount {
    const EXPECTED: &'static str = "a mount such as ./data:/data:ro, or a mapping with type, src and dst";
    const MAP: bool = true;
    type List = super::shape::Nothing;
    type Map = Named<String>;

    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [
            { "type": "string", "description": "[SRC:]DST[:OPTIONS], or KEY=VALUE,…", "examples": ["./data:/data:ro"] },
            { "type": "object", "description": "The keys of --mount.",
              "properties": {
                "type": { "enum": ["bind", "volume", "tmpfs", "image"] },
                "src": { "type": "string" },
                "dst": { "type": "string" },
                "readonly": { "type": ["boolean", "string"] },
              },
              "additionalProperties": { "type": ["string", "number", "boolean"] } },
        ]})
    }

    fn from_text(text: &str) -> Result<Self, Invalid> {
        Self::checked(text.to_owned())
    }

    fn from_map(keys: Named<String>) -> Result<Self, Invalid> {
        let field = |(key, value): (&str, &String)| format!("\"{}={}\"", key, value.replace('"', "\"\""));
        Self::checked(keys.iter().map(field).collect::<Vec<_>>().join(","))
    }
}

shaped!(Mount);
