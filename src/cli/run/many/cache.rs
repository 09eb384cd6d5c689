//! `--cached`: the key of everything that a verdict depends on.
//!
//! Owns what goes into it, and which tests have none: those whose verdict depends on something that cannot be looked at
//! without running them. Values of variables go in as a digest that nobody can make without this machine's own secret.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use crate::image::key::hex;
use crate::plan::container::ContainerSpec;
use crate::runner::secret_files::SecretFiles;
use crate::runner::services;
use crate::runner::suite::{Planned, Test};
use crate::suite::needs::Need;

/// Makes keys.
pub(super) struct Keys<'a> {
    secret: [u8; 32],
    services: BTreeMap<&'a str, &'a services::Planned>,
    /// Services are found elsewhere, where nobody says what they are made of.
    is_open: bool,
    /// The networks of the suite, in words.
    networks: String,
    /// What the names of the run's own networks begin with.
    own: String,
}

impl<'a> Keys<'a> {
    /// `secret` is the one of the history; `is_open` says that tests reach what this run has not started.
    pub(super) fn new(
        secret: [u8; 32],
        services: &'a [services::Planned],
        is_open: bool,
        networks: String,
        run_id: &str,
    ) -> Self {
        let services = services.iter().map(|service| (service.name.as_str(), service)).collect();
        Self { secret, services, is_open, networks, own: format!("docker-test-{run_id}") }
    }

    /// The key of a test whose image has the key `recipe`. `needed` gives the keys of tests that it needs. None where
    /// it depends on what cannot be looked at.
    pub(super) fn of(
        &self,
        test: &Test,
        recipe: &str,
        needed: &BTreeMap<String, Option<String>>,
    ) -> Option<String> {
        let planned = test.planned.as_ref().ok()?;
        if self.is_open || !self.can_be_known(&planned.plan.container) {
            return None;
        }
        let mut hash = Sha256::new();
        hash.update(self.secret);
        feed(&mut hash, [self.networks.as_str()]);
        feed(&mut hash, [recipe, &planned.plan.image_id, &planned.plan.results]);
        self.feed_plan(&mut hash, planned);
        for need in &test.needs {
            match need {
                Need::Test(name) => feed(&mut hash, ["test", name, needed.get(name)?.as_deref()?]),
                Need::Service(name) => self.feed_service(&mut hash, name)?,
            }
        }
        Some(hex(&hash.finalize()))
    }

    fn feed_service(&self, hash: &mut Sha256, name: &str) -> Option<()> {
        let service = self.services.get(name)?;
        let plan = service.plan.as_ref().ok()?;
        if !self.can_be_known(&plan.container) {
            return None;
        }
        feed(hash, ["service", name, &plan.image_id, &format!("{:?}", plan.ready)]);
        self.feed_container(hash, &plan.container);
        feed_secrets(hash, &service.secret_files);
        Some(())
    }

    fn feed_plan(&self, hash: &mut Sha256, planned: &Planned) {
        let plan = &planned.plan;
        let verdict = serde_json::to_string(&plan.verdict).unwrap_or_default();
        feed(hash, [verdict.as_str(), &plan.platform]);
        self.feed_container(hash, &plan.container);
        feed_secrets(hash, &planned.secret_files);
    }

    /// What is mounted from elsewhere, and what others say on a network that the run has not made, can change without
    /// anybody's knowledge.
    fn can_be_known(&self, container: &ContainerSpec) -> bool {
        container.binds.is_empty()
            && container.mounts.iter().all(|mount| mount.kind == "tmpfs")
            && container.devices.is_empty()
            && container
                .networks
                .iter()
                .all(|network| network.name == NO_NETWORK || self.is_own(&network.name))
    }

    fn feed_container(&self, hash: &mut Sha256, container: &ContainerSpec) {
        let mut spec = container.clone();
        // Networks of a run are named after it; which of the suite's they are counts.
        for network in &mut spec.networks {
            if let Some(rest) = network.name.strip_prefix(&self.own) {
                network.name = format!("own{rest}");
            }
        }
        let text = serde_json::to_string(&spec).unwrap_or_default();
        feed(hash, [text.as_str()]);
        for (name, value) in &container.env {
            feed(hash, [name.as_str(), value]);
        }
    }

    /// Whether the run has made the network for itself.
    fn is_own(&self, network: &str) -> bool {
        network.strip_prefix(&self.own).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
    }
}

/// A network without anybody else on it.
const NO_NETWORK: &str = "none";

fn feed_secrets(hash: &mut Sha256, files: &SecretFiles) {
    files.for_each(|name, content| {
        feed(hash, ["secret", name]);
        hash.update((content.len() as u64).to_le_bytes());
        hash.update(content);
    });
}

fn feed<'t>(hash: &mut Sha256, texts: impl IntoIterator<Item = &'t str>) {
    for text in texts {
        hash.update((text.len() as u64).to_le_bytes());
        hash.update(text);
    }
}
