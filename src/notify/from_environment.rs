//! Which sinks variables switch on: each by its key or its address.
//!
//! Owns the names of the variables and what is expected in them. Reads them through a function that it is handed, and
//! never shows a value.

use crate::error::{Category, Diagnose};
use crate::notify::Notifier;
use crate::notify::address::{InvalidAddress, Key, Url};
use crate::notify::datadog::{Base, DEFAULT_SITE, DataDog, Feed};
use crate::notify::dogstatsd::{AgentAddress, DogStatsD};
use crate::notify::kuberhealthy::Kuberhealthy;
use crate::notify::metrics::UnifiedTags;
use crate::notify::otlp;
use crate::notify::pagerduty::{self, PagerDuty};
use crate::notify::pagerduty_v1::PagerDutyV1;
use crate::notify::ping::Ping;
use crate::notify::prometheus::Textfile;
use crate::notify::pushgateway::{DEFAULT_JOB, Pushgateway};
use crate::notify::slack::Slack;
use crate::notify::webhook::{Audience, Webhook};

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

/// What the variables come to.
#[derive(Default)]
pub struct Switched {
    /// The sinks that they switch on.
    pub sinks: Vec<Box<dyn Notifier>>,
    /// What is set and not used, and why. Bears no value.
    pub warnings: Vec<String>,
    /// What was meant for a sink and cannot be used. The other sinks are on all the same.
    pub mistakes: Vec<VariableError>,
}

impl Switched {
    /// The same, for who begins nothing where there is a mistake.
    pub fn without_mistakes(mut self) -> Result<Self, VariableError> {
        if self.mistakes.is_empty() { Ok(self) } else { Err(self.mistakes.swap_remove(0)) }
    }

    /// Takes note of a mistake, which leaves nothing to use.
    fn usable<T>(&mut self, read: Result<Option<T>, VariableError>) -> Option<T> {
        read.unwrap_or_else(|mistake| {
            self.mistakes.push(mistake);
            None
        })
    }

    fn add<N: Notifier + 'static>(&mut self, read: Result<Option<N>, VariableError>) {
        let sink = self.usable(read).map(|sink| Box::new(sink) as Box<dyn Notifier>);
        self.sinks.extend(sink);
    }
}

/// The sinks that the variables switch on, in a fixed order. Where both can be reached, DataDog is told over HTTP
/// and not through an agent, and PagerDuty by v2 and not by v1: the other way would tell everything twice.
pub fn sinks(lookup: &dyn Fn(&str) -> Option<String>) -> Switched {
    let variables = Variables(lookup);
    let mut switched = Switched::default();
    datadog(&variables, &mut switched);
    match otlp::variables::read(&|name| variables.get(name), unified_tags(lookup)) {
        Ok(otlp) => switched.add(Ok(otlp)),
        Err(warning) => switched.warnings.push(warning),
    }
    pagerduty(&variables, &mut switched);
    let url = |variable| variables.read(variable, Url::parse);
    switched.add(url("SLACK_WEBHOOK_URL").map(|url| url.map(Slack::new)));
    let webhook = |url| Webhook::new(url, None, Audience::Alerts, None);
    switched.add(url("DOCKER_TEST_WEBHOOK_URL").map(|url| url.map(webhook)));
    switched.add(url("PING_URL").map(|url| url.map(Ping::new)));
    switched.add(kuberhealthy(&variables));
    let textfile = |directory: String| Textfile::new(directory.into(), unified_tags(lookup));
    switched.add(Ok(variables.get("DOCKER_TEST_PROMETHEUS_TEXTFILE").map(textfile)));
    let pushgateway = |url| Pushgateway::new(url, DEFAULT_JOB, unified_tags(lookup));
    switched.add(url("PUSHGATEWAY_URL").map(|url| url.map(pushgateway)));
    switched
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

fn datadog(variables: &Variables<'_>, switched: &mut Switched) {
    let tags = unified_tags(variables.0);
    let over_http = switched.usable(over_http(variables));
    let agent = switched.usable(agent(variables));
    if let Some((key, base)) = over_http {
        for feed in [Feed::Series, Feed::Checks, Feed::Events] {
            switched.add(Ok(Some(DataDog::new(feed, key.clone(), base.clone(), tags.clone()))));
        }
    } else if let Some(address) = agent {
        let tags = of_entity(tags, variables.get("DD_ENTITY_ID"));
        switched.add(Ok(Some(DogStatsD::new(address, tags))));
    }
}

fn over_http(variables: &Variables<'_>) -> Result<Option<(Key, Base)>, VariableError> {
    let key = match variables.read("DD_API_KEY", Key::parse)? {
        None => variables.read("DATADOG_API_KEY", Key::parse)?,
        key => key,
    };
    let Some(key) = key else { return Ok(None) };
    let base = match variables.read("DD_URL", Url::parse)? {
        Some(url) => Base::at(url),
        None => variables
            .read("DD_SITE", Base::of_site)?
            .map_or_else(|| Base::of_site(DEFAULT_SITE), Ok)
            .map_err(|error| VariableError { variable: "DD_SITE", expected: error.expected })?,
    };
    Ok(Some((key, base)))
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

fn pagerduty(variables: &Variables<'_>, switched: &mut Switched) {
    let routing_key = switched.usable(variables.read("PAGERDUTY_ROUTING_KEY", pagerduty::integration_key));
    let service_key = switched.usable(variables.read("PAGERDUTY_SERVICE_KEY", pagerduty::integration_key));
    let base = match variables.read("PAGERDUTY_URL", Url::parse) {
        Ok(None) => Url::parse(pagerduty::DEFAULT_BASE)
            .map(Some)
            .map_err(|error| VariableError { variable: "PAGERDUTY_URL", expected: error.expected }),
        read => read,
    };
    // A key goes nowhere but to the address that is meant.
    let Some(base) = switched.usable(base) else { return };
    match (routing_key, service_key) {
        (Some(key), _) => switched.add(Ok(Some(PagerDuty::new(key, base)))),
        (None, Some(key)) => switched.add(Ok(Some(PagerDutyV1::new(key, base)))),
        (None, None) => {}
    }
}

fn kuberhealthy(variables: &Variables<'_>) -> Result<Option<Kuberhealthy>, VariableError> {
    let Some(url) = variables.read("KH_REPORTING_URL", Url::parse)? else { return Ok(None) };
    let uuid = variables.read("KH_RUN_UUID", Key::parse)?;
    let deadline = variables.read("KH_CHECK_RUN_DEADLINE", |text| {
        text.parse().map_err(|_| InvalidAddress { expected: "a time in Unix seconds" })
    })?;
    Ok(Some(Kuberhealthy::new(url, uuid, deadline)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::notify::{Transmission, sample};
    use crate::probe::{State, Verdict};

    const KEY: &str = "0123456789abcdef0123456789abcdef";

    fn switched(set: &[(&str, &str)]) -> Switched {
        let lookup = |name: &str| {
            let found = set.iter().find(|(variable, _)| *variable == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        sinks(&lookup)
    }

    fn read(set: &[(&str, &str)]) -> Result<Vec<Box<dyn Notifier>>, VariableError> {
        switched(set).without_mistakes().map(|switched| switched.sinks)
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
        assert_eq!(names(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318")]), ["otlp"]);
        assert_eq!(names(&[("PAGERDUTY_ROUTING_KEY", KEY)]), ["pagerduty"]);
        assert_eq!(names(&[("PAGERDUTY_SERVICE_KEY", KEY)]), ["pagerduty"]);
        assert_eq!(names(&[("SLACK_WEBHOOK_URL", "https://hooks.slack.com/services/a")]), ["slack"]);
        assert_eq!(names(&[("DOCKER_TEST_WEBHOOK_URL", "https://hooks.example/a")]), ["webhook"]);
        assert_eq!(names(&[("PING_URL", "https://hc-ping.com/a")]), ["ping"]);
        assert_eq!(names(&[("KH_REPORTING_URL", "http://kuberhealthy/a")]), ["kuberhealthy"]);
        assert_eq!(names(&[("DOCKER_TEST_PROMETHEUS_TEXTFILE", "/metrics")]), ["prometheus-textfile"]);
        assert_eq!(names(&[("PUSHGATEWAY_URL", "http://pushgateway:9091")]), ["pushgateway"]);
    }

    #[test]
    fn a_mistake_in_one_sinks_variable_leaves_the_others_on() {
        let slack = ("SLACK_WEBHOOK_URL", "hooks.slack.com/x");
        let set =
            [slack, ("PAGERDUTY_ROUTING_KEY", KEY), ("DD_SITE", "https://datadoghq.eu"), ("DD_API_KEY", KEY)];
        let Switched { sinks, mistakes, .. } = switched(&set);
        assert_eq!(sinks.iter().map(|sink| sink.name()).collect::<Vec<_>>(), ["pagerduty"]);
        let wrong: Vec<_> = mistakes.iter().map(|mistake| mistake.variable).collect();
        assert_eq!(wrong, ["DD_SITE", "SLACK_WEBHOOK_URL"]);
    }

    #[test]
    fn where_one_of_two_ways_cannot_be_used_the_other_is() {
        let names = |set: &[(&str, &str)]| {
            let Switched { sinks, mistakes, .. } = switched(set);
            assert_eq!(mistakes.len(), 1);
            sinks.iter().map(|sink| sink.name()).collect::<Vec<_>>()
        };
        assert_eq!(names(&[("DD_API_KEY", "a key"), ("DD_AGENT_HOST", "agent")]), ["dogstatsd"]);
        assert_eq!(names(&[("PAGERDUTY_ROUTING_KEY", "x"), ("PAGERDUTY_SERVICE_KEY", KEY)]), ["pagerduty"]);
        let base = ("PAGERDUTY_URL", "events.eu.pagerduty.com");
        assert_eq!(names(&[base, ("PAGERDUTY_ROUTING_KEY", KEY)]), [""; 0], "no key goes elsewhere");
    }

    #[test]
    fn nothing_is_told_twice_where_there_are_two_ways() {
        let both = [("DD_API_KEY", KEY), ("DD_AGENT_HOST", "agent")];
        assert_eq!(names(&both), ["datadog", "datadog-checks", "datadog-events"]);
        let both = [("PAGERDUTY_SERVICE_KEY", KEY), ("PAGERDUTY_ROUTING_KEY", KEY)];
        assert_eq!(names(&both), ["pagerduty"]);
    }

    #[test]
    fn variables_of_opentelemetry_that_cannot_be_used_are_a_warning_and_end_nothing() {
        for address in ["collector:4317", "http://collector:4317", "s3cr3t"] {
            let set = [("OTEL_EXPORTER_OTLP_ENDPOINT", address), ("PAGERDUTY_ROUTING_KEY", KEY)];
            let Switched { sinks, warnings, mistakes } = switched(&set);
            assert!(mistakes.is_empty());
            assert_eq!(sinks.iter().map(|sink| sink.name()).collect::<Vec<_>>(), ["pagerduty"]);
            let [warning] = warnings.as_slice() else { panic!("{warnings:?}") };
            assert!(warning.starts_with("OTEL_EXPORTER_OTLP_ENDPOINT is not used: "), "{warning}");
            assert!(!warning.contains("s3cr3t") && !warning.contains("collector"), "{warning}");
        }
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
        fn no_error_shows_a_value(value in "[!-~é ]{0,20}s3cr3t[!-~\n]{0,20}", number in 0_usize..15) {
            let variables = [
                "DD_API_KEY", "DATADOG_API_KEY", "DD_SITE", "DD_URL", "DD_AGENT_HOST", "DD_DOGSTATSD_URL",
                "DD_DOGSTATSD_PORT", "PAGERDUTY_ROUTING_KEY", "PAGERDUTY_SERVICE_KEY", "PAGERDUTY_URL",
                "SLACK_WEBHOOK_URL", "PING_URL", "KH_CHECK_RUN_DEADLINE", "DOCKER_TEST_WEBHOOK_URL",
                "PUSHGATEWAY_URL",
            ];
            let variable = variables[number];
            // What makes the others be read.
            let set = [
                (variable, value.as_str()), ("DD_API_KEY", KEY), ("DD_AGENT_HOST", "agent"),
                ("KH_REPORTING_URL", "http://kuberhealthy/a"),
            ];
            for error in switched(&set).mistakes {
                prop_assert_eq!(error.variable, variable);
                prop_assert!(!error.to_string().contains("s3cr3t"));
                let shown = format!("{error:?}");
                prop_assert!(!shown.contains("s3cr3t"));
            }
        }
    }
}
