//! A name has the expected records.
//!
//! Owns the question and the comparison of answers. Each look asks the name servers: no cache, no file of hosts.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Instant;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use serde::Deserialize;

use super::expect::quoted;
use super::shape::Shaped;
use super::tcp::host_and_port;
use super::{CheckError, Surroundings, critical, measured, observation};
use crate::metadata::dockerfile::excerpt;
use crate::metadata::duration::human;
use crate::probe::{Observation, State};
use crate::redact::Redactor;

/// What is asked for by name.
const TYPES: [RecordType; 10] = [
    RecordType::A,
    RecordType::AAAA,
    RecordType::CAA,
    RecordType::CNAME,
    RecordType::MX,
    RecordType::NS,
    RecordType::PTR,
    RecordType::SOA,
    RecordType::SRV,
    RecordType::TXT,
];
const PORT: u16 = 53;
/// As many answers as a summary names.
const SHOWN: usize = 8;

/// Which records a name is to have.
#[derive(Debug, Clone)]
pub struct DnsCheck {
    name: Name,
    record_type: RecordType,
    expect: Option<BTreeSet<String>>,
    is_exact: bool,
    server: Option<(IpAddr, u16)>,
}

/// The mapping of a `dns` check.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LongDns {
    name: String,
    #[serde(default, rename = "type")]
    record_type: Option<String>,
    /// These have to be among the answers. An empty list: there must be none.
    #[serde(default)]
    expect: Option<Vec<String>>,
    /// And no others.
    #[serde(default)]
    exact: bool,
    /// Which name server is asked, instead of the system's.
    #[serde(default)]
    server: Option<String>,
}

impl Shaped for DnsCheck {
    const EXPECTED: &'static str = "a name such as example.org, or a mapping with the key name";
    type Map = LongDns;
    type Item = serde::de::IgnoredAny;

    fn from_text(text: &str) -> Result<Self, String> {
        let wrong = |_| format!("expected a name such as example.org, got {}", excerpt(text));
        let mut name = Name::from_utf8(text).map_err(wrong)?;
        // With its dot at the end, no search list is gone through.
        name.set_fqdn(true);
        Ok(Self { name, record_type: RecordType::A, expect: None, is_exact: false, server: None })
    }

    fn from_map(map: LongDns) -> Result<Self, String> {
        let record_type = map.record_type.as_deref().map_or(Ok(RecordType::A), record_type)?;
        let expect = map.expect.map(|answers| answers.iter().map(|it| normal(record_type, it)).collect());
        let server = map.server.as_deref().map(server).transpose()?;
        Ok(Self { record_type, expect, is_exact: map.exact, server, ..Self::from_text(&map.name)? })
    }
}

fn record_type(text: &str) -> Result<RecordType, String> {
    let upper = text.to_ascii_uppercase();
    let found = TYPES.into_iter().find(|known| known.to_string() == upper);
    found.ok_or_else(|| {
        let known: Vec<String> = TYPES.iter().map(ToString::to_string).collect();
        format!("expected one of the types {}, got {}", known.join(", "), excerpt(text))
    })
}

fn server(text: &str) -> Result<(IpAddr, u16), String> {
    if let Ok(address) = text.parse() {
        return Ok((address, PORT));
    }
    let server = host_and_port(text).and_then(|(host, port)| Some((host.parse().ok()?, port)));
    server.ok_or_else(|| format!("expected the IP address of a name server, got {}", excerpt(text)))
}

/// Names are equal whatever their case and with or without a dot at the end; texts are not.
fn normal(record_type: RecordType, answer: &str) -> String {
    match record_type {
        RecordType::TXT => answer.to_owned(),
        RecordType::AAAA => answer.parse::<IpAddr>().map_or_else(|_| answer.to_owned(), |it| it.to_string()),
        _ => answer.split_whitespace().collect::<Vec<_>>().join(" ").trim_end_matches('.').to_lowercase(),
    }
}

impl DnsCheck {
    pub(super) async fn look(&self, surroundings: &Surroundings) -> Result<Observation, CheckError> {
        let begun = Instant::now();
        let answers = match self.server {
            None => self.ask(surroundings.fresh_names()?).await,
            Some((address, port)) => self.ask(&resolver_of(address, port)?).await,
        };
        let (time, redactor) = (begun.elapsed(), &surroundings.redactor);
        let mut seen = match answers {
            Ok(answers) => self.fault(&answers, redactor).map_or_else(
                || {
                    let (what, got) = (self.what(), listed(&answers, redactor));
                    observation(State::Ok, format!("{what}: {got}, in {}", human(time)))
                },
                critical,
            ),
            Err(error) => {
                if let Some(shortage) = CheckError::of_shortage(&error, || self.what(), &[]) {
                    return Err(shortage);
                }
                let reason = error.to_string().replace(char::is_control, " ");
                critical(format!("expected an answer to {}, got {reason}", self.what()))
            }
        };
        seen.measurements.push(measured("time", time));
        Ok(seen)
    }

    fn what(&self) -> String {
        format!("{} {}", self.record_type, self.name)
    }

    /// All answers of the type that was asked for; none where the name is not there.
    async fn ask(&self, resolver: &TokioResolver) -> Result<BTreeSet<String>, NetError> {
        let found = match resolver.lookup(self.name.clone(), self.record_type).await {
            Ok(found) => found,
            Err(error) if error.is_nx_domain() || error.is_no_records_found() => return Ok(BTreeSet::new()),
            Err(error) => return Err(error),
        };
        let records = found.answers().iter().filter(|record| record.record_type() == self.record_type);
        Ok(records.map(|record| normal(self.record_type, &text(&record.data))).collect())
    }

    fn fault(&self, answers: &BTreeSet<String>, redactor: &Redactor) -> Option<String> {
        let (what, got) = (self.what(), listed(answers, redactor));
        let Some(expected) = &self.expect else {
            return answers.is_empty().then(|| format!("expected an answer to {what}, got {got}"));
        };
        let is_exact = self.is_exact || expected.is_empty();
        let holds = if is_exact { expected == answers } else { expected.is_subset(answers) };
        let only = if is_exact && !expected.is_empty() { "only " } else { "" };
        (!holds).then(|| format!("expected {only}{} for {what}, got {got}", listed(expected, redactor)))
    }
}

/// A text record may be cut into pieces; they are one text.
fn text(data: &RData) -> String {
    match data {
        RData::TXT(txt) => txt.txt_data.iter().map(|piece| String::from_utf8_lossy(piece)).collect(),
        other => other.to_string(),
    }
}

fn listed(answers: &BTreeSet<String>, redactor: &Redactor) -> String {
    if answers.is_empty() {
        return "nothing".to_owned();
    }
    let mut shown: Vec<String> = answers.iter().take(SHOWN).map(|answer| quoted(answer, redactor)).collect();
    if answers.len() > SHOWN {
        shown.push(format!("{} more", answers.len() - SHOWN));
    }
    shown.join(", ")
}

fn resolver_of(address: IpAddr, port: u16) -> Result<TokioResolver, CheckError> {
    let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()].map(|mut connection| {
        connection.port = port;
        connection
    });
    let server = NameServerConfig::new(address, true, connections.into());
    let config = ResolverConfig::from_parts(None, Vec::new(), vec![server]);
    let mut builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
    builder.options_mut().use_hosts_file = ResolveHosts::Never;
    builder.options_mut().cache_size = 0;
    builder.build().map_err(|error| CheckError::Setup { what: "name resolution", reason: error.to_string() })
}

#[cfg(test)]
mod tests;
