//! The types of docker-test.yaml: what a suite says, checked value by value.
//!
//! Owns the shape of the file; its JSON Schema is made of these types. What one part says about another (needs,
//! networks, matrix variables) is checked in [`crate::suite::read`]. Paths stay as written, relative to the file.

mod alert;
mod mount;
mod pairs;
mod probe;
mod ready;
mod secret;
mod service;
pub(super) mod shape;
mod sinks;
mod test;
mod values;
mod words;

pub use alert::{Alert, Moment, SilenceEntry};
pub use mount::{Mount, Resolved};
pub use pairs::{Labels, Variables};
pub use probe::{Probe, rule as trigger_rule};
pub use ready::{Condition, DEFAULT_INTERVAL, DEFAULT_TIMEOUT, Http, Ready};
pub use secret::{Secret, SecretSource, Secrets};
pub use service::{Build, HealthTest, Healthcheck, Port, Service, Services};
pub use sinks::Sinks;
pub use test::{Matrix, NoTestsWord, Resources, ResultsPath, Retries, Test, TrustWord};
pub use values::{Later, Named, Names, Options};
pub use words::Words;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;

use crate::plan::syntax::Invalid;
use crate::suite::policy::Overrides;
use shape::{Nothing, Shaped, shaped};
use values::Switch;

/// A whole docker-test.yaml.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, expecting = "a mapping with version, services, tests, …")]
pub struct Document {
    /// Version of the format: 1.
    pub version: Version,
    /// Defaults of flags, by their long names. Not interpolated.
    pub defaults: Options,
    /// The network that services and tests share: `create`, or `{ join: NAME }`.
    pub network: Network,
    /// Further networks, by name.
    pub networks: Named<Network>,
    /// Services by name, or the path of a compose file.
    pub services: Services,
    /// Tests by name.
    pub tests: Named<Test>,
    /// How tests of a type are run, where that is not the usual.
    pub policy: Named<Overrides>,
    /// Reports to write: format to path.
    pub reports: Named<Names>,
    /// Probes by name: what `docker-test watch` looks at, and when.
    pub probes: Later<Named<Probe>>,
    /// What people are told of probes, and when.
    pub alert: Later<Alert>,
    /// Where alerts and metrics of probes go, by kind of sink: `slack`, or `slack.operations` where there are several.
    pub notify: Later<Sinks>,
}

/// The version of the format.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Version;

impl Shaped for Version {
    const EXPECTED: &'static str = "`version: 1`";
    type List = Nothing;
    type Map = Nothing;

    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "enum": [1, "1"] })
    }

    fn from_text(text: &str) -> Result<Self, Invalid> {
        if text == "1" { Ok(Self) } else { Err(Invalid::new("this docker-test reads version 1")) }
    }
}

/// A network: made for the run, or one that is there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Network {
    /// The existing network to join; one is made for the run where absent.
    pub join: Option<String>,
    /// Whether the network that is made has no way out.
    pub internal: bool,
}

/// The long form of [`Network`].
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, expecting = "a mapping with join, or with internal")]
#[derive(Default)]
pub(in crate::suite) struct LongNetwork {
    /// An existing network.
    join: Option<String>,
    /// Makes a network that has no way out.
    #[serde(deserialize_with = "Switch::optional")]
    #[schemars(with = "Option<Switch>")]
    internal: Option<bool>,
}

impl Shaped for Network {
    const EXPECTED: &'static str = "`create`, { join: NAME } or { internal: true }";
    const MAP: bool = true;
    type List = Nothing;
    type Map = LongNetwork;

    fn schema(generator: &mut SchemaGenerator) -> Schema {
        let long = generator.subschema_for::<LongNetwork>();
        json_schema!({ "anyOf": [{ "const": "create" }, long] })
    }

    fn from_text(text: &str) -> Result<Self, Invalid> {
        if text == "create" {
            return Ok(Self::default());
        }
        let hint = format!("to join a network that is there: {{ join: {text} }}");
        Err(Invalid::new(format!("expected {}, found `{text}`", Self::EXPECTED)).hint(hint))
    }

    fn from_map(long: LongNetwork) -> Result<Self, Invalid> {
        let internal = long.internal.unwrap_or(false);
        match long.join {
            Some(_) if internal => Err(Invalid::new("`join` and `internal` exclude each other")),
            Some(name) if name.trim().is_empty() => Err(Invalid::new("expected the name of a network")),
            join => Ok(Self { join, internal }),
        }
    }

    fn nothing() -> Option<Self> {
        Some(Self::default())
    }
}

shaped!(Version, Network);
