//! What `scripts/fixture` starts: other engines, ssh, a registry. A fixture is shared by the tests that do it no harm.

use std::collections::BTreeMap;
use std::process::Command;
use std::sync::{LazyLock, Mutex};

use crate::support::repository;

/// The values that a fixture printed.
pub(crate) type Values = BTreeMap<String, String>;

static STARTED: LazyLock<Mutex<BTreeMap<String, Values>>> = LazyLock::new(Mutex::default);

/// Starts a fixture, or finds it running.
#[track_caller]
pub(crate) fn fixture(name: &str) -> Values {
    let mut started = STARTED.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if let Some(values) = started.get(name) {
        return values.clone();
    }
    let output = Command::new(repository("scripts/fixture")).args([name, "up"]).output().unwrap();
    assert!(output.status.success(), "fixture {name}: {}", String::from_utf8_lossy(&output.stderr));
    let values: Values = String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .filter_map(|line| line.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    started.insert(name.to_owned(), values.clone());
    values
}

/// The Docker CLI on another engine; panics where it fails.
#[track_caller]
pub(crate) fn docker_at(host: &str, arguments: &[&str]) -> String {
    let mut all = vec!["-H", host];
    all.extend(arguments);
    crate::support::docker(&all)
}

/// Removes the images of a sandbox, their test images too, from another engine when it is dropped.
pub(crate) struct ImagesAt {
    pub(crate) host: String,
    pub(crate) names: Vec<String>,
}

impl Drop for ImagesAt {
    fn drop(&mut self) {
        for name in &self.names {
            for image in [format!("{name}-test"), name.clone()] {
                let _ = Command::new("docker").args(["-H", &self.host, "rmi", "-f", &image]).output();
            }
            // What Podman keeps of the steps of a build bears the labels of its result.
            let label = format!("label=docker-test.target.name={name}");
            let steps =
                Command::new("docker").args(["-H", &self.host, "images", "-aq", "-f", &label]).output();
            let steps =
                steps.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
            for id in steps.split_whitespace() {
                let _ = Command::new("docker").args(["-H", &self.host, "rmi", "-f", id]).output();
            }
        }
    }
}
