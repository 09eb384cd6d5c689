//! Which sinks variables switch on: each by its key or its address.
//!
//! Owns the names of the variables and what is expected in them. Reads them through a function that it is handed, and
//! never shows a value.

use crate::error::{Category, Diagnose};
use crate::notify::Notifier;
use crate::notify::address::{InvalidAddress, Key, Url};
use crate::notify::datadog::{DEFAULT_SITE, DataDog, Feed, site};
use crate::notify::dogstatsd::{AgentAddress, DogStatsD};
use crate::notify::kuberhealthy::Kuberhealthy;
use crate::notify::metrics::UnifiedTags;
use crate::notify::pagerduty::{self, PagerDuty};
use crate::notify::pagerduty_v1::PagerDutyV1;
use crate::notify::ping::Ping;
use crate::notify::slack::Slack;

const AGENT_PORT: u16 = 8125;

/// A variable that cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("cannot use {variable}: expected {expected}")]
pub struct VariableError {
    /// Its name.
    pub variable: &'static str,
    /// What was expected. Never its value, which may be a key.
    pub expected: &'static str,
}

impl Diagnose for VariableError {
    fn category(&self) -> Category {
        Category::User
    }

    fn hint(&self) -> Option<String> {
        Some(format!("correct {}, or unset it to do without this sink", self.variable))
    }
}

/// Reads variables. One that is empty counts as not set, because that is how containers are told so.
struct Variables<'a>(&'a dyn Fn(&str) -> Option<String>);

impl Variables<'_> {
    fn get(&self, variable: &str) -> Option<String> {
        let value = (self.0)(variable)?;
        let value = value.trim();
        (!value.is_empty()).then(|| value.to_owned())
    }

    fn read<T>(
        &self,
        variable: &'static str,
        parse: impl FnOnce(&str) -> Result<T, InvalidAddress>,
    ) -> Result<Option<T>, VariableError> {
        let Some(value) = self.get(variable) else { return Ok(None) };
        let wrong = |error: InvalidAddress| VariableError { variable, expected: error.expected };
        parse(&value).map(Some).map_err(wrong)
    }
}

/// The sinks that the variables switch on, in a fixed order. Where both can be reached, DataDog is told over HTTP
/// and not through an agent, and PagerDuty by v2 and not by v1: the other way would tell everything twice.
pub fn sinks(lookup: &dyn Fn(&str) -> Option<String>) -> Result<Vec<Box<dyn Notifier>>, VariableError> {
    let variables = Variables(lookup);
    let mut sinks: Vec<Box<dyn Notifier>> = Vec::new();
    datadog(&variables, &mut sinks)?;
    pagerduty(&variables, &mut sinks)?;
    if let Some(webhook) = variables.read("SLACK_WEBHOOK_URL", Url::parse)? {
        sinks.push(Box::new(Slack::new(webhook)));
    }
    if let Some(base) = variables.read("PING_URL", Url::parse)? {
        sinks.push(Box::new(Ping::new(base)));
    }
    if let Some(url) = variables.read("KH_REPORTING_URL", Url::parse)? {
        let uuid = variables.read("KH_RUN_UUID", Key::parse)?;
        let deadline = variables.read("KH_CHECK_RUN_DEADLINE", |text| {
            text.parse().map_err(|_| InvalidAddress { expected: "a time in Unix seconds" })
        })?;
        sinks.push(Box::new(Kuberhealthy::new(url, uuid, deadline)));
    }
    Ok(sinks)
}

/// The tags that DataDog's own clients take from their variables: `DD_ENV`, `DD_SERVICE`, `DD_VERSION` and `DD_TAGS`,
/// which are separated by commas or spaces.
#[must_use]
pub fn unified_tags(lookup: &dyn Fn(&str) -> Option<String>) -> UnifiedTags {
    let variables = Variables(lookup);
    let tags = variables.get("DD_TAGS").unwrap_or_default();
    let tags = tags.split([',', ' ']).map(str::trim).filter(|tag| !tag.is_empty());
    UnifiedTags {
        env: variables.get("DD_ENV"),
        service: variables.get("DD_SERVICE"),
        version: variables.get("DD_VERSION"),
        tags: tags.map(str::to_owned).collect(),
    }
}

fn datadog(variables: &Variables<'_>, sinks: &mut Vec<Box<dyn Notifier>>) -> Result<(), VariableError> {
    let tags = unified_tags(variables.0);
    let key = match variables.read("DD_API_KEY", Key::parse)? {
        None => variables.read("DATADOG_API_KEY", Key::parse)?,
        key => key,
    };
    let agent = agent(variables)?;
    if let Some(key) = key {
        let base = match variables.read("DD_URL", Url::parse)? {
            Some(base) => base,
            None => variables
                .read("DD_SITE", site)?
                .map_or_else(|| site(DEFAULT_SITE), Ok)
                .map_err(|error| VariableError { variable: "DD_SITE", expected: error.expected })?,
        };
        for feed in [Feed::Series, Feed::Checks, Feed::Events] {
            sinks.push(Box::new(DataDog::new(feed, key.clone(), base.clone(), tags.clone())));
        }
    } else if let Some(address) = agent {
        sinks.push(Box::new(DogStatsD::new(address, of_entity(tags, variables.get("DD_ENTITY_ID")))));
    }
    Ok(())
}

/// `DD_DOGSTATSD_URL` wins over `DD_AGENT_HOST` and its port, as it does in DataDog's own clients.
fn agent(variables: &Variables<'_>) -> Result<Option<AgentAddress>, VariableError> {
    if let Some(address) = variables.read("DD_DOGSTATSD_URL", AgentAddress::parse)? {
        return Ok(Some(address));
    }
    let Some(host) = variables.get("DD_AGENT_HOST") else { return Ok(None) };
    let port = variables.read("DD_DOGSTATSD_PORT", |text| {
        let port = text.parse().ok().filter(|port: &u16| *port != 0);
        port.ok_or(InvalidAddress { expected: "a port from 1 to 65535" })
    })?;
    let wrong = VariableError { variable: "DD_AGENT_HOST", expected: "the name or the address of a host" };
    AgentAddress::udp(&host, port.unwrap_or(AGENT_PORT)).ok_or(wrong).map(Some)
}

/// By this tag an agent in Kubernetes knows which pod it hears.
fn of_entity(mut tags: UnifiedTags, entity: Option<String>) -> UnifiedTags {
    tags.tags.extend(entity.map(|entity| format!("dd.internal.entity_id:{entity}")));
    tags
}

fn pagerduty(variables: &Variables<'_>, sinks: &mut Vec<Box<dyn Notifier>>) -> Result<(), VariableError> {
    let routing_key = variables.read("PAGERDUTY_ROUTING_KEY", pagerduty::integration_key)?;
    let service_key = variables.read("PAGERDUTY_SERVICE_KEY", pagerduty::integration_key)?;
    let base = match variables.read("PAGERDUTY_URL", Url::parse)? {
        Some(base) => base,
        None => Url::parse(pagerduty::DEFAULT_BASE)
            .map_err(|error| VariableError { variable: "PAGERDUTY_URL", expected: error.expected })?,
    };
    match (routing_key, service_key) {
        (Some(key), _) => sinks.push(Box::new(PagerDuty::new(key, base))),
        (None, Some(key)) => sinks.push(Box::new(PagerDutyV1::new(key, base))),
        (None, None) => {}
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::notify::{Transmission, sample};
    use crate::probe::{State, Verdict};

    const KEY: &str = "0123456789abcdef0123456789abcdef";

    fn read(set: &[(&str, &str)]) -> Result<Vec<Box<dyn Notifier>>, VariableError> {
        let lookup = |name: &str| {
            let found = set.iter().find(|(variable, _)| *variable == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        sinks(&lookup)
    }

    fn names(set: &[(&str, &str)]) -> Vec<&'static str> {
        read(set).unwrap().iter().map(|sink| sink.name()).collect()
    }

    fn url(sink: &dyn Notifier) -> String {
        let notices = [
            sample::attempted(State::Ok),
            sample::finished(Verdict::Failed, Some(Verdict::Passed)),
            sample::alert(),
        ];
        let first = notices.iter().flat_map(|notice| sink.render(notice)).next().unwrap();
        match first {
            Transmission::Http(request) => request.url,
            Transmission::Datagrams { address, .. } => address,
            Transmission::File { path, .. } => path.display().to_string(),
        }
    }

    fn urls(set: &[(&str, &str)]) -> Vec<String> {
        read(set).unwrap().iter().map(|sink| url(sink.as_ref())).collect()
    }

    #[test]
    fn nothing_is_on_without_a_key_and_an_empty_variable_is_none() {
        assert_eq!(names(&[]), Vec::<&str>::new());
        assert_eq!(names(&[("DD_API_KEY", ""), ("PING_URL", " \n"), ("DD_SITE", "datadoghq.eu")]), [""; 0]);
    }

    #[test]
    fn each_sink_is_switched_on_by_its_own_variable() {
        assert_eq!(names(&[("DD_API_KEY", KEY)]), ["datadog", "datadog-checks", "datadog-events"]);
        assert_eq!(names(&[("DATADOG_API_KEY", KEY)]).len(), 3);
        assert_eq!(names(&[("DD_AGENT_HOST", "agent")]), ["dogstatsd"]);
        assert_eq!(names(&[("DD_DOGSTATSD_URL", "unix:///run/dsd.socket")]), ["dogstatsd"]);
        assert_eq!(names(&[("PAGERDUTY_ROUTING_KEY", KEY)]), ["pagerduty"]);
        assert_eq!(names(&[("PAGERDUTY_SERVICE_KEY", KEY)]), ["pagerduty"]);
        assert_eq!(names(&[("SLACK_WEBHOOK_URL", "https://hooks.slack.com/services/a")]), ["slack"]);
        assert_eq!(names(&[("PING_URL", "https://hc-ping.com/a")]), ["ping"]);
        assert_eq!(names(&[("KH_REPORTING_URL", "http://kuberhealthy/a")]), ["kuberhealthy"]);
    }

    #[test]
    fn nothing_is_told_twice_where_there_are_two_ways() {
        let both = [("DD_API_KEY", KEY), ("DD_AGENT_HOST", "agent")];
        assert_eq!(names(&both), ["datadog", "datadog-checks", "datadog-events"]);
        let both = [("PAGERDUTY_SERVICE_KEY", KEY), ("PAGERDUTY_ROUTING_KEY", KEY)];
        assert_eq!(names(&both), ["pagerduty"]);
    }

    #[test]
    fn sites_and_base_addresses_are_taken() {
        let key = ("DD_API_KEY", KEY);
        assert_eq!(urls(&[key]).first().unwrap(), "https://api.datadoghq.com/api/v2/series");
        let of_site = urls(&[key, ("DD_SITE", "us3.datadoghq.com")]);
        assert_eq!(of_site.first().unwrap(), "https://api.us3.datadoghq.com/api/v2/series");
        let of_url = urls(&[key, ("DD_SITE", "datadoghq.eu"), ("DD_URL", "http://127.0.0.1:8080/")]);
        assert_eq!(of_url.get(1).unwrap(), "http://127.0.0.1:8080/api/v1/check_run");
        let key = ("PAGERDUTY_SERVICE_KEY", KEY);
        let v1 = "/generic/2010-04-15/create_event.json";
        assert_eq!(urls(&[key]), [format!("https://events.pagerduty.com{v1}")]);
        let base = ("PAGERDUTY_URL", "https://events.eu.pagerduty.com");
        assert_eq!(urls(&[key, base]), [format!("https://events.eu.pagerduty.com{v1}")]);
        assert_eq!(urls(&[("DD_AGENT_HOST", "::1"), ("DD_DOGSTATSD_PORT", "9")]), ["[::1]:9"]);
        let address = ("DD_DOGSTATSD_URL", "udp://agent:1234");
        assert_eq!(urls(&[("DD_AGENT_HOST", "other"), address]), ["agent:1234"]);
    }

    #[test]
    fn tags_of_datadogs_variables_are_taken() {
        let lookup = |name: &str| match name {
            "DD_ENV" => Some("prod".to_owned()),
            "DD_TAGS" => Some("team:a, canary region:eu".to_owned()),
            _ => None,
        };
        let tags = unified_tags(&lookup);
        assert_eq!((tags.env.as_deref(), tags.service.as_deref()), (Some("prod"), None));
        assert_eq!(tags.tags, ["team:a", "canary", "region:eu"]);
        let set = [("DD_AGENT_HOST", "agent"), ("DD_ENTITY_ID", "0123-abcd")];
        let sinks = read(&set).unwrap();
        let rendered = sinks.first().unwrap().render(&sample::attempted(State::Ok));
        let [Transmission::Datagrams { datagrams, .. }] = rendered.as_slice() else { panic!("datagrams") };
        let text = String::from_utf8_lossy(datagrams.first().unwrap()).into_owned();
        assert!(text.contains("dd.internal.entity_id:0123-abcd"), "{text}");
    }

    #[test]
    fn an_error_names_the_variable_and_what_was_expected() {
        let error = |set: &[(&str, &str)]| read(set).err().unwrap().to_string();
        assert_eq!(
            error(&[("PAGERDUTY_ROUTING_KEY", "s3cr3t")]),
            "cannot use PAGERDUTY_ROUTING_KEY: expected the 32 letters and digits of an integration key"
        );
        assert_eq!(
            error(&[("DD_API_KEY", KEY), ("DD_SITE", "https://datadoghq.eu")]),
            "cannot use DD_SITE: expected a site of DataDog, such as datadoghq.com or datadoghq.eu"
        );
        let kuberhealthy = ("KH_REPORTING_URL", "http://kuberhealthy/a");
        assert_eq!(
            error(&[kuberhealthy, ("KH_CHECK_RUN_DEADLINE", "soon")]),
            "cannot use KH_CHECK_RUN_DEADLINE: expected a time in Unix seconds"
        );
    }

    proptest! {
        #[test]
        fn no_error_shows_a_value(value in "[!-~é ]{0,20}s3cr3t[!-~\n]{0,20}", number in 0_usize..13) {
            let variables = [
                "DD_API_KEY", "DATADOG_API_KEY", "DD_SITE", "DD_URL", "DD_AGENT_HOST", "DD_DOGSTATSD_URL",
                "DD_DOGSTATSD_PORT", "PAGERDUTY_ROUTING_KEY", "PAGERDUTY_SERVICE_KEY", "PAGERDUTY_URL",
                "SLACK_WEBHOOK_URL", "PING_URL", "KH_CHECK_RUN_DEADLINE",
            ];
            let variable = variables[number];
            // What makes the others be read.
            let set = [
                (variable, value.as_str()), ("DD_API_KEY", KEY), ("DD_AGENT_HOST", "agent"),
                ("KH_REPORTING_URL", "http://kuberhealthy/a"),
            ];
            if let Err(error) = read(&set) {
                prop_assert_eq!(error.variable, variable);
                prop_assert!(!error.to_string().contains("s3cr3t"));
                let shown = format!("{error:?}");
                prop_assert!(!shown.contains("s3cr3t"));
            }
        }
    }
}
