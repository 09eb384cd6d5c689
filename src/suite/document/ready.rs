//! `ready`: when a service may be used.

use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;

use super::service::port;
use super::shape::{Nothing, Shaped, shaped};
use super::values::{Switch, Time};
use super::words::Words;
use crate::plan::syntax::Invalid;
use crate::suite::pattern::Text;

/// How long a service may take where the file does not say it.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_mins(1);
/// How often it is asked where the file does not say it.
pub const DEFAULT_INTERVAL: Duration = Duration::from_millis(500);

/// When a service is ready, and how long that may take.
#[derive(Debug, Clone, PartialEq)]
pub struct Ready {
    /// What has to hold.
    pub condition: Condition,
    /// Time until it must.
    pub timeout: Duration,
    /// Time between two looks.
    pub interval: Duration,
}

/// What has to hold before a service is used.
#[derive(Debug, Clone, PartialEq)]
pub enum Condition {
    /// Its health check says so.
    Healthy,
    /// It has ended with exit code 0: a job that prepares something.
    Completed,
    /// Something accepts connections on the container's own port, not on a published one.
    Port(u16),
    /// An HTTP request to the container's own port is answered so.
    Http(Http),
    /// Its output has a line with this text, so many times.
    Log {
        /// What is looked for.
        text: Text,
        /// How often it must be there.
        times: u32,
    },
    /// A command in the container ends with exit code 0.
    Exec(Vec<String>),
}

/// `http`: `8080/health`, `http://:8080/health`, or a mapping.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Http {
    /// Port in the container.
    pub port: u16,
    /// Path with its query; begins with `/`.
    pub path: String,
    /// The status that is awaited; any from 200 to 399 where absent.
    pub status: Option<u16>,
    /// Whether it is HTTPS. The certificate is not verified: it is made out to another name.
    pub tls: bool,
}

const FORMS: &str = "healthy, exit-0, or a mapping with one of port, http, log, exec, healthy and exit-0";

/// The long form of [`Ready`].
#[derive(Default, Deserialize, JsonSchema)]
#[serde(
    deny_unknown_fields,
    default,
    expecting = "a mapping with one of port, http, log, exec, healthy and exit-0"
)]
pub(in crate::suite) struct LongReady {
    /// The health check says so.
    #[serde(deserialize_with = "Switch::optional")]
    #[schemars(with = "Option<Switch>")]
    healthy: Option<bool>,
    /// It has ended with exit code 0.
    #[serde(rename = "exit-0", deserialize_with = "Switch::optional")]
    #[schemars(with = "Option<Switch>")]
    exit_0: Option<bool>,
    /// A port of the container accepts connections.
    port: Option<OwnPort>,
    /// An HTTP request is answered.
    http: Option<Http>,
    /// The output has a text, or what a /regular expression/ matches.
    log: Option<Text>,
    /// How often the text must be there.
    times: Option<u32>,
    /// A command in the container succeeds.
    exec: Option<Words>,
    /// Time until it must be ready.
    #[serde(deserialize_with = "Time::optional")]
    #[schemars(with = "Option<Time>")]
    timeout: Option<Duration>,
    /// Time between two looks.
    #[serde(deserialize_with = "Time::optional")]
    #[schemars(with = "Option<Time>")]
    interval: Option<Duration>,
}

/// A port of the container.
pub(in crate::suite) struct OwnPort(u16);

impl Shaped for OwnPort {
    const EXPECTED: &'static str = "a port of the container";
    type List = Nothing;
    type Map = Nothing;

    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["integer", "string"] })
    }

    fn from_text(text: &str) -> Result<Self, Invalid> {
        port(text).map(Self).ok_or_else(|| {
            Invalid::new("expected a port of the container, from 1 to 65535").hint(
                "it is the container's own port: a published one accepts connections that nobody answers",
            )
        })
    }
}

impl Ready {
    const fn new(condition: Condition) -> Self {
        Self { condition, timeout: DEFAULT_TIMEOUT, interval: DEFAULT_INTERVAL }
    }
}

impl Shaped for Ready {
    const EXPECTED: &'static str = FORMS;
    const MAP: bool = true;
    type List = Nothing;
    type Map = LongReady;

    fn schema(generator: &mut SchemaGenerator) -> Schema {
        let long = generator.subschema_for::<LongReady>();
        json_schema!({ "anyOf": [{ "enum": ["healthy", "exit-0"] }, long] })
    }

    fn from_text(text: &str) -> Result<Self, Invalid> {
        match text {
            "healthy" => Ok(Self::new(Condition::Healthy)),
            "exit-0" => Ok(Self::new(Condition::Completed)),
            _ => {
                let error = Invalid::new(format!("expected {FORMS}"));
                Err(match crate::error::nearest(text, ["healthy", "exit-0"]) {
                    Some(near) => error.hint(format!("did you mean `{near}`?")),
                    None => error,
                })
            }
        }
    }

    fn from_map(long: LongReady) -> Result<Self, Invalid> {
        let times = long.times.unwrap_or(1);
        if times == 0 || (long.times.is_some() && long.log.is_none()) {
            return Err(Invalid::new("`times` goes with `log`, and is 1 or more"));
        }
        let given = [
            long.healthy.filter(|on| *on).map(|_| Condition::Healthy),
            long.exit_0.filter(|on| *on).map(|_| Condition::Completed),
            long.port.map(|port| Condition::Port(port.0)),
            long.http.map(Condition::Http),
            long.log.map(|text| Condition::Log { text, times }),
            long.exec.map(|words| Condition::Exec(words.0)),
        ];
        let mut given = given.into_iter().flatten();
        let (Some(condition), None) = (given.next(), given.next()) else {
            return Err(Invalid::new("expected exactly one of port, http, log, exec, healthy and exit-0"));
        };
        if matches!(&condition, Condition::Exec(words) if words.is_empty()) {
            return Err(Invalid::new("exec: expected a command"));
        }
        let ready = Self::new(condition);
        Ok(Self {
            timeout: long.timeout.unwrap_or(ready.timeout),
            interval: long.interval.unwrap_or(ready.interval),
            ..ready
        })
    }
}

/// The long form of [`Http`].
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a mapping with port, path, status and tls")]
pub(in crate::suite) struct LongHttp {
    /// Port of the container.
    port: OwnPort,
    /// Path, / where absent.
    path: Option<String>,
    /// Status that is awaited; any from 200 to 399 where absent.
    status: Option<u16>,
    /// HTTPS, without a look at the certificate.
    #[serde(default, deserialize_with = "Switch::optional")]
    #[schemars(with = "Option<Switch>")]
    tls: Option<bool>,
}

const HTTP: &str = "PORT/PATH such as 8080/health, or a mapping with port, path, status and tls";

impl Shaped for Http {
    const EXPECTED: &'static str = HTTP;
    const MAP: bool = true;
    type List = Nothing;
    type Map = LongHttp;

    fn schema(generator: &mut SchemaGenerator) -> Schema {
        let long = generator.subschema_for::<LongHttp>();
        json_schema!({ "anyOf": [{ "type": ["string", "integer"], "examples": ["8080/health"] }, long] })
    }

    fn from_text(text: &str) -> Result<Self, Invalid> {
        let (tls, rest) = match text.split_once("://") {
            Some(("http", rest)) => (false, rest),
            Some(("https", rest)) => (true, rest),
            Some(_) => return Err(Invalid::new(format!("expected {HTTP}"))),
            None => (false, text),
        };
        let (host, path) = rest.find('/').map_or((rest, "/"), |at| rest.split_at(at));
        let number = host.strip_prefix(':').unwrap_or(host);
        let number = port(number).ok_or_else(|| {
            Invalid::new(format!("expected {HTTP}")).hint("the host is the service itself: leave it out")
        })?;
        Self { port: number, path: path.to_owned(), status: None, tls }.checked()
    }

    fn from_map(long: LongHttp) -> Result<Self, Invalid> {
        let path = long.path.unwrap_or_else(|| "/".to_owned());
        Self { port: long.port.0, path, status: long.status, tls: long.tls.unwrap_or(false) }.checked()
    }
}

impl Http {
    fn checked(self) -> Result<Self, Invalid> {
        if !self.path.starts_with('/') || self.path.contains(|c: char| c.is_whitespace() || c.is_control()) {
            return Err(Invalid::new("expected a path that begins with / and has no white space"));
        }
        if self.status.is_some_and(|status| !(100..600).contains(&status)) {
            return Err(Invalid::new("expected a status from 100 to 599"));
        }
        Ok(self)
    }
}

shaped!(Ready, OwnPort, Http);
