//! A service of a suite as a plan.
//!
//! Owns the way from the file's keys to the container. When it is started is the runner's to say.

use std::collections::BTreeMap;
use std::time::Duration;

use super::super::super::application::Running;
use super::entry::{self, SecretValues};
use super::networks;
use crate::error::Failure;
use crate::plan::container::{ContainerSpec, HealthcheckSpec, PublishedPort};
use crate::suite::Suite;
use crate::suite::document::{Healthcheck, Port, Service};

/// The container of a service, but for its networks.
pub(super) fn container(
    name: &str,
    service: &Service,
    suite: &Suite,
    app: &Running,
) -> Result<(ContainerSpec, SecretValues), Failure> {
    let environment = &app.environment;
    let secrets = SecretValues::read(&service.secrets, suite, &["services", name, "secrets"], environment)?;
    let directory = entry::absolute(suite.directory(), environment);
    let env = service.env.resolve(|variable| environment.variable(variable));
    let mut spec = ContainerSpec {
        env: entry::merged([env, secrets.variables.clone()]),
        command: service.command.as_ref().map(entry::words),
        entrypoint: service.entrypoint.as_ref().map(entry::words),
        user: service.user.clone(),
        workdir: service.workdir.clone(),
        labels: service.labels.0.clone(),
        memory: service.resources.memory,
        nano_cpus: service.resources.cpus,
        pids_limit: service.resources.pids,
        healthcheck: service.healthcheck.as_ref().and_then(healthcheck),
        published: service.ports.iter().map(port).collect(),
        ..ContainerSpec::default()
    };
    for (index, mount) in service.mounts.iter().enumerate() {
        let mount = mount.resolve(&directory).map_err(|error| {
            let at = ["services", name, "mounts", &index.to_string()];
            Failure::from(suite.error(&at, format!("{}: {error}", at.join(".")), None))
        })?;
        mount.add_to(&mut spec);
    }
    Ok((spec, secrets))
}

/// Joins the networks of a service, under its name.
pub(super) fn connect(
    name: &str,
    service: &Service,
    engine_networks: &BTreeMap<String, String>,
    spec: &mut ContainerSpec,
) {
    spec.networks = networks::of_service(name, service.network.as_ref(), engine_networks);
}

fn healthcheck(check: &Healthcheck) -> Option<HealthcheckSpec> {
    if check.disable == Some(true) {
        return Some(HealthcheckSpec { test: vec!["NONE".to_owned()], ..HealthcheckSpec::default() });
    }
    let nanoseconds = |time: Option<Duration>| time.and_then(|time| i64::try_from(time.as_nanos()).ok());
    Some(HealthcheckSpec {
        // Without a test of its own, the image's is run at other times.
        test: check.test.as_ref().map(|test| test.0.clone()).unwrap_or_default(),
        interval: nanoseconds(check.interval),
        timeout: nanoseconds(check.timeout),
        retries: check.retries.map(i64::from),
        start_period: nanoseconds(check.start_period),
        start_interval: nanoseconds(check.start_interval),
    })
}

fn port(port: &Port) -> PublishedPort {
    PublishedPort {
        host_ip: port.address.map(|address| address.to_string()),
        host_port: port.host,
        container: port.container,
        protocol: if port.udp { "udp" } else { "tcp" }.to_owned(),
    }
}
