//! `services`: what tests need while they run.

use core::net::IpAddr;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;

use super::mount::Mount;
use super::pairs::{Labels, Variables};
use super::ready::Ready;
use super::secret::Secrets;
use super::shape::{Nothing, Shaped, shaped};
use super::test::Resources;
use super::values::{Named, Names, Switch, Time};
use super::words::Words;
use crate::plan::syntax::Invalid;

/// The services: written here, or those of a compose file.
#[derive(Debug, Clone, PartialEq)]
pub enum Services {
    /// By name.
    Here(Named<Service>),
    /// Path of a compose file, relative to this one.
    Compose(String),
}

impl Default for Services {
    fn default() -> Self {
        Self::Here(Named::default())
    }
}

impl Services {
    /// Those that are written here.
    #[must_use]
    pub const fn here(&self) -> Option<&Named<Service>> {
        if let Self::Here(services) = self { Some(services) } else { None }
    }
}

impl Shaped for Services {
    const EXPECTED: &'static str = "a mapping of services, or the path of a compose file";
    const MAP: bool = true;
    type List = Nothing;
    type Map = Named<Service>;

    fn schema(generator: &mut SchemaGenerator) -> Schema {
        let services = generator.subschema_for::<Named<Service>>();
        json_schema!({ "anyOf": [services, { "type": "string", "description": "Path of a compose file." }] })
    }

    fn from_text(path: &str) -> Result<Self, Invalid> {
        if path.trim().is_empty() {
            return Err(Invalid::new(format!("expected {}", Self::EXPECTED)));
        }
        Ok(Self::Compose(path.to_owned()))
    }

    fn from_map(services: Named<Service>) -> Result<Self, Invalid> {
        Ok(Self::Here(services))
    }

    fn nothing() -> Option<Self> {
        Some(Self::default())
    }
}

/// A container that tests need, started once a run.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, expecting = "a service: a mapping with image or build, ready, …")]
pub struct Service {
    /// The image. Either this or `build`.
    pub image: Option<String>,
    /// How the image is built.
    pub build: Option<Build>,
    /// Environment variables.
    pub env: Variables,
    /// Secrets, by name.
    pub secrets: Secrets,
    /// Ports that are published on the host. Tests reach every port of a service without this.
    pub ports: Vec<Port>,
    /// Replaces the image's command.
    pub command: Option<Words>,
    /// Replaces the image's entrypoint; an empty list resets it.
    pub entrypoint: Option<Words>,
    /// Replaces the image's health check.
    pub healthcheck: Option<Healthcheck>,
    /// What is mounted.
    pub mounts: Vec<Mount>,
    /// When tests may use it. Without this: as soon as it is healthy where it has a health check, else as it runs.
    pub ready: Option<Ready>,
    /// Services that are ready before this one starts.
    pub needs: Vec<String>,
    /// Networks that it joins: names under `networks`, `default`, or `none`.
    pub network: Option<Names>,
    /// User, or user and group.
    pub user: Option<String>,
    /// Working directory.
    pub workdir: Option<String>,
    /// Limits.
    pub resources: Resources,
    /// Labels of the container.
    pub labels: Labels,
    /// OS and architecture, such as linux/arm64.
    pub platform: Option<String>,
}

/// How an image is built: a directory, or a mapping.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Build {
    /// Directory, relative to the suite file's.
    pub context: String,
    /// Path of the Dockerfile within it.
    pub dockerfile: Option<String>,
    /// Stage to build.
    pub target: Option<String>,
    /// Build arguments.
    pub args: Variables,
}

/// The long form of [`Build`].
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a mapping with context, dockerfile, target and args")]
pub(in crate::suite) struct LongBuild {
    /// Directory, relative to the suite file's.
    context: String,
    /// Path of the Dockerfile within it.
    dockerfile: Option<String>,
    /// Stage to build.
    target: Option<String>,
    /// Build arguments.
    #[serde(default)]
    args: Variables,
}

impl Shaped for Build {
    const EXPECTED: &'static str = "a directory, or a mapping with context, dockerfile, target and args";
    const MAP: bool = true;
    type List = Nothing;
    type Map = LongBuild;

    fn schema(generator: &mut SchemaGenerator) -> Schema {
        let long = generator.subschema_for::<LongBuild>();
        json_schema!({ "anyOf": [{ "type": "string", "description": "The directory to build." }, long] })
    }

    fn from_text(context: &str) -> Result<Self, Invalid> {
        let build =
            Self { context: context.to_owned(), dockerfile: None, target: None, args: Variables::default() };
        Ok(build)
    }

    fn from_map(long: LongBuild) -> Result<Self, Invalid> {
        let LongBuild { context, dockerfile, target, args } = long;
        Ok(Self { context, dockerfile, target, args })
    }
}

/// A published port: `5432`, `8080:80`, `127.0.0.1:8080:80`, each with `/udp` or `/tcp`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Port {
    /// Port in the container.
    pub container: u16,
    /// Port on the host; one that is free where absent.
    pub host: Option<u16>,
    /// Address on the host; all where absent.
    pub address: Option<IpAddr>,
    /// Whether it is UDP and not TCP.
    pub udp: bool,
}

const PORT: &str = "a port such as 5432, 8080:80 or 127.0.0.1:8080:80/tcp";

impl Shaped for Port {
    const EXPECTED: &'static str = PORT;
    type List = Nothing;
    type Map = Nothing;

    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["integer", "string"], "description": "PORT, HOST:PORT or ADDRESS:HOST:PORT, with /udp or /tcp.",
                       "examples": [5432, "8080:80"] })
    }

    fn from_text(text: &str) -> Result<Self, Invalid> {
        let refused = || Invalid::new(format!("expected {PORT}"));
        let (ports, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
        let udp = match protocol {
            "tcp" => false,
            "udp" => true,
            _ => return Err(Invalid::new(format!("unknown protocol `{protocol}`: expected tcp or udp"))),
        };
        let (rest, container) =
            ports.rsplit_once(':').map_or((None, ports), |(rest, port)| (Some(rest), port));
        let (address, host) = match rest.map(|rest| rest.rsplit_once(':').ok_or(rest)) {
            None => (None, None),
            Some(Ok((address, host))) => (Some(address), Some(host)),
            Some(Err(host)) => (None, Some(host)),
        };
        let address = address.map(|text| text.trim_start_matches('[').trim_end_matches(']'));
        Ok(Self {
            container: port(container).ok_or_else(refused)?,
            host: host.filter(|h| !h.is_empty()).map(|host| port(host).ok_or_else(refused)).transpose()?,
            address: address.map(|text| text.parse().map_err(|_| refused())).transpose()?,
            udp,
        })
    }
}

/// A port number that is not 0.
pub(super) fn port(text: &str) -> Option<u16> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|port| digits && *port != 0)
}

/// A health check, with the keys and meanings of a compose file.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, expecting = "a health check: a mapping with test, interval, …")]
pub struct Healthcheck {
    /// `[CMD, program, argument]`, `[CMD-SHELL, line]`, `[NONE]`, or a line for the shell.
    pub test: Option<HealthTest>,
    /// Time between two checks.
    #[serde(deserialize_with = "Time::optional")]
    #[schemars(with = "Option<Time>")]
    pub interval: Option<Duration>,
    /// Time that a check may take.
    #[serde(deserialize_with = "Time::optional")]
    #[schemars(with = "Option<Time>")]
    pub timeout: Option<Duration>,
    /// Failures in a row that make it unhealthy.
    pub retries: Option<u32>,
    /// Time during which failures do not count.
    #[serde(deserialize_with = "Time::optional")]
    #[schemars(with = "Option<Time>")]
    pub start_period: Option<Duration>,
    /// Time between two checks during the start period.
    #[serde(deserialize_with = "Time::optional")]
    #[schemars(with = "Option<Time>")]
    pub start_interval: Option<Duration>,
    /// Takes the image's own health check away.
    #[serde(deserialize_with = "Switch::optional")]
    #[schemars(with = "Option<Switch>")]
    pub disable: Option<bool>,
}

/// What a health check runs, in the API's words: `["CMD", …]`, `["CMD-SHELL", line]` or `["NONE"]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthTest(pub Vec<String>);

impl Shaped for HealthTest {
    const EXPECTED: &'static str = "a line for the shell, or a list that begins with CMD, CMD-SHELL or NONE";
    const LIST: bool = true;
    type List = Vec<String>;
    type Map = Nothing;

    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [{ "type": "string" }, { "type": "array", "items": { "type": "string" }, "minItems": 1 }] })
    }

    fn from_text(line: &str) -> Result<Self, Invalid> {
        Ok(Self(vec!["CMD-SHELL".to_owned(), line.to_owned()]))
    }

    fn from_list(words: Vec<String>) -> Result<Self, Invalid> {
        let right = match words.first().map(String::as_str) {
            Some("CMD") => words.len() > 1,
            Some("CMD-SHELL") => words.len() == 2,
            Some("NONE") => words.len() == 1,
            _ => false,
        };
        if right { Ok(Self(words)) } else { Err(Invalid::new(format!("expected {}", Self::EXPECTED))) }
    }
}

shaped!(Services, Build, Port, HealthTest);
