//! What a run holds, as the lines of its journal say: what is on the engine, and which containers wait for the user.
//!
//! Owns what each line changes, alike for the run that writes it and for whoever reads it later. A suite has many
//! containers at once, each with a fate of its own: in use, kept, or lost with its engine.

use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::KEPT_PREFIX;
use crate::engine::ResourceKind;

/// What is needed to fetch the results of a container whose engine went away.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LostRun {
    /// Name of the test container.
    pub container: String,
    /// Path of the results in it.
    pub results: String,
    /// Directory on this machine that they belong in.
    pub directory: PathBuf,
    /// Bytes at most.
    pub limit: u64,
}

/// What a run holds.
#[derive(Debug, Clone, Default)]
pub(super) struct Holdings {
    /// Each with its number in the order of creation.
    open: HashMap<(ResourceKind, String), u64>,
    count: u64,
    /// Containers under a name that no sweep touches.
    renamed: BTreeSet<String>,
    /// One of those has been left to the user. Before that, such a name is one that was only about to be given.
    keeps: bool,
    /// All that were ever lost: what they are fetched to depends on how many there were.
    lost: Vec<LostRun>,
    /// Those of them that are still there.
    waiting: BTreeSet<String>,
}

impl Holdings {
    pub(super) fn created(&mut self, kind: ResourceKind, name: &str) {
        self.count += 1;
        self.open.insert((kind, name.to_owned()), self.count);
        if kind == ResourceKind::Container && name.starts_with(KEPT_PREFIX) {
            self.renamed.insert(name.to_owned());
        }
    }

    pub(super) fn removed(&mut self, kind: ResourceKind, name: &str) {
        self.open.remove(&(kind, name.to_owned()));
        if kind == ResourceKind::Container {
            self.renamed.remove(name);
            self.waiting.remove(name);
        }
    }

    /// Containers that have, or will get, a kept container's name are the user's.
    pub(super) const fn keep(&mut self) {
        self.keeps = true;
    }

    pub(super) fn lose(&mut self, lost: LostRun) {
        if !self.waiting.insert(lost.container.clone()) {
            self.lost.retain(|known| known.container != lost.container);
        }
        self.lost.push(lost);
    }

    /// Every container is in use again, as far as the journal says.
    pub(super) fn reset(&mut self) {
        self.keeps = false;
        self.lost.clear();
        self.waiting.clear();
    }

    /// What is written down and not removed, last created first.
    pub(super) fn open(&self) -> Vec<(ResourceKind, String)> {
        let mut open: Vec<_> = self.open.iter().collect();
        open.sort_unstable_by_key(|(_, number)| std::cmp::Reverse(**number));
        open.into_iter().map(|(resource, _)| resource.clone()).collect()
    }

    pub(super) fn holds(&self, kind: ResourceKind, name: &str) -> bool {
        self.open.contains_key(&(kind, name.to_owned()))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    pub(super) const fn keeps(&self) -> bool {
        self.keeps
    }

    /// Whether the user alone may have it removed: a kept or lost container, or a network that a kept one needs to be
    /// started again.
    pub(super) fn is_the_users(&self, kind: ResourceKind, name: &str) -> bool {
        match kind {
            ResourceKind::Container => {
                self.keeps && self.renamed.contains(name) || self.waiting.contains(name)
            }
            ResourceKind::Network => self.has_kept(),
            // Services have served, whoever keeps a test that used them.
            ResourceKind::ComposeProject | ResourceKind::Volume | ResourceKind::Tag | ResourceKind::Image => {
                false
            }
        }
    }

    /// Whether a container of the run is left to the user.
    pub(super) fn has_the_users(&self) -> bool {
        self.has_kept() || !self.waiting.is_empty()
    }

    fn has_kept(&self) -> bool {
        self.keeps && !self.renamed.is_empty()
    }

    /// Every container whose engine went away, also those that have been fetched since.
    pub(super) fn lost(&self) -> &[LostRun] {
        &self.lost
    }

    /// Whether its results are still to be fetched.
    pub(super) fn waits(&self, container: &str) -> bool {
        self.waiting.contains(container)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn lost(container: &str) -> LostRun {
        LostRun { container: container.to_owned(), results: "/r".to_owned(), directory: "d".into(), limit: 1 }
    }

    #[test]
    fn a_run_has_containers_in_use_kept_and_lost_ones_at_once() {
        let (container, network) = (ResourceKind::Container, ResourceKind::Network);
        let kept = [format!("{KEPT_PREFIX}r"), format!("{KEPT_PREFIX}r-2.1")];
        let mut holdings = Holdings::default();
        holdings.created(network, "net");
        for name in ["used", "lost", "other"].into_iter().chain(kept.iter().map(String::as_str)) {
            holdings.created(container, name);
        }
        assert!(!holdings.is_the_users(container, &kept[0]), "it has no such name yet");
        assert!(!holdings.has_the_users());
        holdings.lose(lost("lost"));
        assert!(holdings.has_the_users());
        assert!(!holdings.is_the_users(network, "net"), "what is fetched needs no network");
        holdings.keep();
        assert!(holdings.is_the_users(network, "net"), "a kept one is started again in it");
        let users: Vec<String> = holdings
            .open()
            .into_iter()
            .filter(|(kind, name)| *kind == container && holdings.is_the_users(*kind, name))
            .map(|(_, name)| name)
            .collect();
        assert_eq!(users, [kept[1].as_str(), kept[0].as_str(), "lost"]);
        holdings.removed(container, &kept[0]);
        holdings.removed(container, &kept[1]);
        assert!(!holdings.is_the_users(network, "net"));
        holdings.removed(container, "lost");
        assert!(!holdings.has_the_users());
        assert_eq!(holdings.lost().len(), 1, "where the others go depends on how many there were");
    }

    #[test]
    fn a_container_that_is_lost_again_is_one() {
        let mut holdings = Holdings::default();
        holdings.lose(lost("web"));
        holdings.lose(LostRun { limit: 2, ..lost("web") });
        assert_eq!(holdings.lost(), [LostRun { limit: 2, ..lost("web") }]);
    }

    proptest! {
        #[test]
        fn whatever_is_written_down_and_struck_off_in_whatever_order_the_rest_is_open_last_first(
            steps in proptest::collection::vec((any::<bool>(), 0..20_u8), 0..200)
        ) {
            let mut holdings = Holdings::default();
            let mut expected: Vec<String> = Vec::new();
            for (create, name) in steps {
                let name = name.to_string();
                expected.retain(|known| *known != name);
                if create {
                    holdings.created(ResourceKind::Tag, &name);
                    expected.insert(0, name);
                } else {
                    holdings.removed(ResourceKind::Tag, &name);
                }
            }
            let open: Vec<String> = holdings.open().into_iter().map(|(_, name)| name).collect();
            prop_assert_eq!(holdings.is_empty(), open.is_empty());
            prop_assert_eq!(open, expected);
        }
    }
}
