//! What the tool makes of compose files: the services, what they depend on, and names that the files fix.
//!
//! Reads the output of `config` of every version of the tool. Of variables it keeps the values of those alone whose names
//! say that they are secret, for them to be hidden. Pure.

use std::collections::{BTreeMap, BTreeSet};

use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer};

use super::{ComposeService, Condition, Dependency};
use crate::redact::is_secret_name;

/// A project, as the tool understands its files.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Config {
    /// By name.
    pub(super) services: BTreeMap<String, ComposeService>,
    /// Names on the engine that do not follow the project's.
    pub(super) fixed_networks: Vec<String>,
    /// The same for volumes.
    pub(super) fixed_volumes: Vec<String>,
    /// Values that must not be shown.
    pub(super) secrets: Secrets,
}

/// Values of variables that are secret by their names.
#[derive(Clone, Default, PartialEq, Eq)]
pub(super) struct Secrets(pub(super) BTreeSet<String>);

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} secrets", self.0.len())
    }
}

#[derive(Deserialize)]
struct Document {
    /// Absent in version 1.
    name: Option<String>,
    #[serde(default)]
    services: BTreeMap<String, Service>,
    #[serde(default)]
    networks: BTreeMap<String, Option<Named>>,
    #[serde(default)]
    volumes: BTreeMap<String, Option<Named>>,
}

#[derive(Deserialize)]
struct Named {
    name: Option<String>,
    external: Option<serde_yaml::Value>,
}

#[derive(Deserialize)]
struct Service {
    image: Option<String>,
    build: Option<IgnoredAny>,
    #[serde(default, deserialize_with = "dependencies")]
    depends_on: Vec<Dependency>,
    #[serde(default)]
    links: Vec<String>,
    #[serde(default)]
    volumes_from: Vec<String>,
    #[serde(default)]
    environment: Option<Environment>,
    network_mode: Option<String>,
    ipc: Option<String>,
    pid: Option<String>,
    healthcheck: Option<Health>,
}

/// Version 1 prints a mapping, and so do later ones unless they are told otherwise.
#[derive(Deserialize)]
#[serde(untagged)]
enum Environment {
    Map(BTreeMap<String, Option<serde_yaml::Value>>),
    List(Vec<String>),
}

impl Environment {
    /// The values of variables whose names say that they are secret.
    fn secrets(&self) -> Vec<String> {
        let text = |value: &serde_yaml::Value| match value {
            serde_yaml::Value::String(text) => Some(text.clone()),
            serde_yaml::Value::Number(number) => Some(number.to_string()),
            _ => None,
        };
        match self {
            Self::Map(pairs) => pairs
                .iter()
                .filter(|(name, _)| is_secret_name(name))
                .filter_map(|(_, value)| text(value.as_ref()?))
                .collect(),
            Self::List(pairs) => pairs
                .iter()
                .filter_map(|pair| pair.split_once('='))
                .filter(|(name, _)| is_secret_name(name))
                .map(|(_, value)| value.to_owned())
                .collect(),
        }
    }
}

#[derive(Deserialize)]
struct Health {
    #[serde(default)]
    disable: bool,
    test: Option<serde_yaml::Value>,
}

impl Config {
    pub(super) fn parse(text: &[u8]) -> Result<Self, serde_yaml::Error> {
        let document: Document = serde_yaml::from_slice(text)?;
        let project = document.name.as_deref();
        let fixed_networks = fixed(project, document.networks);
        let fixed_volumes = fixed(project, document.volumes);
        let secrets = document.services.values().filter_map(|service| service.environment.as_ref());
        let secrets = Secrets(secrets.flat_map(Environment::secrets).collect());
        let mut services: BTreeMap<String, ComposeService> =
            document.services.into_iter().map(|(name, service)| (name.clone(), service.read(name))).collect();
        let jobs: BTreeSet<String> = services
            .values()
            .flat_map(|service| &service.depends_on)
            .filter(|dependency| dependency.condition == Condition::Completed)
            .map(|dependency| dependency.service.clone())
            .collect();
        for service in services.values_mut() {
            service.is_job = jobs.contains(&service.name);
        }
        Ok(Self { services, fixed_networks, fixed_volumes, secrets })
    }

    /// These services and all that they depend on.
    pub(super) fn with_dependencies(&self, wanted: &BTreeSet<String>) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        let mut waiting: Vec<&String> = wanted.iter().collect();
        while let Some(name) = waiting.pop() {
            let Some(service) = self.services.get(name) else { continue };
            if found.insert(name.clone()) {
                waiting.extend(service.depends_on.iter().map(|dependency| &dependency.service));
            }
        }
        found
    }
}

impl Service {
    fn read(self, name: String) -> ComposeService {
        let has_healthcheck = self.healthcheck.is_some_and(|health| !health.is_off());
        let mut depends_on = self.depends_on;
        let first = |text: &str| text.split(':').next().unwrap_or_default().to_owned();
        // `db:alias`, `db:ro`; `container:x` is none of the project's.
        let links = self.links.iter().map(|link| first(link));
        let volumes =
            self.volumes_from.iter().filter(|from| !from.starts_with("container:")).map(|from| first(from));
        let modes = [self.network_mode, self.ipc, self.pid].into_iter().flatten();
        let modes = modes.filter_map(|mode| Some(mode.strip_prefix("service:")?.to_owned()));
        for service in links.chain(volumes).chain(modes) {
            if depends_on.iter().all(|dependency| dependency.service != service) {
                depends_on.push(Dependency { service, condition: Condition::Started });
            }
        }
        let has_build = self.build.is_some();
        ComposeService { name, image: self.image, has_build, depends_on, has_healthcheck, is_job: false }
    }
}

impl Health {
    fn is_off(&self) -> bool {
        let is_none = |value: &serde_yaml::Value| value.as_str() == Some("NONE");
        self.disable
            || match &self.test {
                Some(serde_yaml::Value::Sequence(words)) => words.first().is_some_and(is_none),
                Some(value) => is_none(value),
                None => false,
            }
    }
}

/// Version 2 prints every name, those that it makes of the project's included.
fn fixed(project: Option<&str>, named: BTreeMap<String, Option<Named>>) -> Vec<String> {
    let named = named.into_iter().filter_map(|(key, named)| Some((key, named?)));
    named
        .filter(|(_, named)| {
            matches!(&named.external, None | Some(serde_yaml::Value::Bool(false) | serde_yaml::Value::Null))
        })
        .filter_map(|(key, named)| Some((key, named.name?)))
        .filter(|(key, name)| project.is_none_or(|project| *name != format!("{project}_{key}")))
        .map(|(_, name)| name)
        .collect()
}

/// A list of names, or a mapping of names to conditions.
fn dependencies<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Dependency>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Form {
        List(Vec<String>),
        Map(BTreeMap<String, Option<Entry>>),
    }
    #[derive(Deserialize)]
    struct Entry {
        condition: Option<String>,
    }
    Ok(match Option::<Form>::deserialize(deserializer)? {
        None => Vec::new(),
        Some(Form::List(names)) => {
            let names = names.into_iter();
            names.map(|service| Dependency { service, condition: Condition::Started }).collect()
        }
        Some(Form::Map(entries)) => entries
            .into_iter()
            .map(|(service, entry)| {
                let condition = match entry.and_then(|entry| entry.condition).as_deref() {
                    Some("service_healthy") => Condition::Healthy,
                    Some("service_completed_successfully") => Condition::Completed,
                    _ => Condition::Started,
                };
                Dependency { service, condition }
            })
            .collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As version 1.29 prints it.
    const FIRST: &str = r#"
networks:
  back: {}
  fix:
    name: fixednet
  staging:
    external: true
    name: staging
services:
  api:
    build:
      context: /app
    depends_on:
      schema:
        condition: service_completed_successfully
    networks:
      back: null
  db:
    environment:
      PASSWORD: hunter2
    healthcheck:
      test: ["CMD", "true"]
    image: postgres:16
  plain:
    image: a
    healthcheck: {test: ["NONE"]}
    network_mode: service:db
  schema:
    depends_on:
      db:
        condition: service_healthy
    image: schema
  sut:
    depends_on:
    - api
    image: busybox
    links:
    - db:database
    volumes_from: ["container:other:ro", "plain:ro"]
version: '3.9'
volumes:
  data: {}
  named:
    name: fixedvol
"#;

    /// As version 2 prints it.
    const SECOND: &str = r"
name: shop
services:
  web:
    build:
      context: /app
      dockerfile: Dockerfile
    command: null
    depends_on:
      db:
        condition: service_healthy
        required: true
    healthcheck:
      disable: true
    networks:
      default: null
  db:
    image: postgres:16
    networks:
      default: null
networks:
  default:
    name: shop_default
  fix:
    name: fixednet
  out:
    name: staging
    external: true
volumes:
  data:
    name: shop_data
";

    fn names(services: &BTreeSet<String>) -> Vec<&str> {
        services.iter().map(String::as_str).collect()
    }

    #[test]
    fn what_version_1_prints_is_read() {
        let config = Config::parse(FIRST.as_bytes()).unwrap();
        assert_eq!(config.fixed_networks, ["fixednet"]);
        assert_eq!(config.fixed_volumes, ["fixedvol"]);
        let service = |name: &str| &config.services[name];
        assert!(service("api").has_build && service("api").image.is_none());
        assert!(service("db").has_healthcheck && !service("plain").has_healthcheck);
        assert!(service("schema").is_job && !service("db").is_job);
        let dependency = |service: &str, condition| Dependency { service: service.to_owned(), condition };
        assert_eq!(service("schema").depends_on, [dependency("db", Condition::Healthy)]);
        let of_sut = ["api", "db", "plain"].map(|name| dependency(name, Condition::Started));
        assert_eq!(service("sut").depends_on, of_sut);
        assert!(!format!("{config:?}").contains("hunter2"));
    }

    #[test]
    fn what_version_2_prints_is_read_and_its_names_of_the_project_s_are_not_taken_for_fixed_ones() {
        let config = Config::parse(SECOND.as_bytes()).unwrap();
        assert_eq!(config.fixed_networks, ["fixednet"]);
        assert!(config.fixed_volumes.is_empty());
        let web = &config.services["web"];
        assert!(web.has_build && !web.has_healthcheck);
        assert_eq!(web.depends_on.len(), 1);
    }

    #[test]
    fn what_a_service_needs_is_found_to_the_end_also_in_a_circle() {
        let config = Config::parse(FIRST.as_bytes()).unwrap();
        let all = |name: &str| config.with_dependencies(&BTreeSet::from([name.to_owned()]));
        assert_eq!(names(&all("api")), ["api", "db", "schema"]);
        assert_eq!(names(&all("plain")), ["db", "plain"]);
        let circle = "services: {a: {image: x, links: [b]}, b: {image: x, links: [a]}}";
        let config = Config::parse(circle.as_bytes()).unwrap();
        assert_eq!(names(&config.with_dependencies(&BTreeSet::from(["b".to_owned()]))), ["a", "b"]);
    }

    #[test]
    fn no_services_and_foreign_text_are_told_apart() {
        assert!(Config::parse(b"name: x\nservices: {}\n").unwrap().services.is_empty());
        assert!(Config::parse(b"services: [a]").is_err());
        assert!(Config::parse(b"usage: docker").unwrap().services.is_empty());
    }

    #[test]
    fn values_that_are_secret_by_name_are_known_and_no_others_and_none_is_shown() {
        let config = Config::parse(FIRST.as_bytes()).unwrap();
        assert_eq!(config.secrets.0.iter().collect::<Vec<_>>(), ["hunter2"]);
        assert!(!format!("{config:?}").contains("hunter2"));
        let list = "services: {a: {image: a, environment: [API_TOKEN=abc=def, HOME=/root, KEY]}}";
        let config = Config::parse(list.as_bytes()).unwrap();
        assert_eq!(config.secrets.0.iter().collect::<Vec<_>>(), ["abc=def"]);
    }
}
