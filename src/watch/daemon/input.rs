//! What comes to the daemon from outside: probes of a file and of an engine, occurrences, troubles.
//!
//! Owns which probes there are: one of the file goes before one of the engine of the same name, and one that is gone is
//! retired only when it has been gone for a while.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::{ALL_WITHIN, APART, Daemon, Happening};
use crate::notify::policy::{self, Policy, ProbeState};
use crate::probe::ProbeRun;
use crate::schedule::splay;
use crate::watch::board::RECENT;
use crate::watch::definition::{Definition, Origin};
use crate::watch::entry::Entry;
use crate::watch::occurrences::Occurrence;
use crate::watch::progress::{self, Kept};
use crate::watch::run::Means;
use crate::watch::silences::SilenceRule;

/// A probe of an engine that is gone for so long does not come back: a container that is replaced does.
const GONE: Duration = Duration::from_mins(10);

/// Where probes come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Source {
    /// The file.
    File,
    /// Labels on the engine.
    Engine,
}

impl Source {
    const fn of(origin: &Origin) -> Self {
        match origin {
            Origin::File { .. } => Self::File,
            Origin::Image { .. } | Origin::Container { .. } => Self::Engine,
        }
    }
}

/// What comes to the daemon.
#[derive(Debug)]
pub enum Input {
    /// These are all probes of a source. They take the place of those that were known of it.
    Probes {
        /// Which source.
        source: Source,
        /// The file or the engine.
        place: String,
        /// All of its probes.
        definitions: Vec<Definition>,
    },
    /// What the file says beside its probes.
    Rules {
        /// When people are told of engine and sinks.
        policy: Arc<Policy>,
        /// When nobody is paged.
        silences: Vec<SilenceRule>,
    },
    /// Runs that begin from now on are given these.
    Means(Box<Means>),
    /// Something happened on the engine.
    Occurred(Occurrence),
    /// The engine does not answer, or does again.
    Engine {
        /// Its name.
        name: String,
        /// Why it does not.
        trouble: Option<String>,
    },
    /// Something is wrong, or not any more.
    Problem {
        /// What it is about.
        about: String,
        /// What is wrong.
        problem: Option<String>,
    },
}

impl Daemon {
    /// Takes in what comes.
    pub async fn take(&mut self, input: Input) {
        match input {
            Input::Probes { source, place, definitions } => {
                self.take_probes(source, &Arc::from(place), definitions).await;
            }
            Input::Rules { policy, silences: rules } => {
                self.policy = policy;
                self.silences(|silences| silences.set_rules(rules));
                self.silences_changed();
            }
            Input::Means(means) => self.tools.set_means(*means),
            Input::Occurred(occurrence) => self.take_occurrence(&occurrence),
            Input::Engine { name, trouble } => self.tell_engine(&name, trouble).await,
            Input::Problem { about, problem } => self.problem(&about, problem),
        }
    }

    async fn take_probes(&mut self, source: Source, place: &Arc<str>, definitions: Vec<Definition>) {
        let now = (self.clock)();
        let mut there = BTreeSet::new();
        let mut new = Vec::new();
        for definition in definitions {
            let name = definition.name().to_owned();
            let is_taken = |entry: &Entry| {
                Source::of(&entry.definition.origin) == Source::File && source == Source::Engine
            };
            if self.entries.get(&name).is_some_and(is_taken) {
                self.problem(
                    &format!("name {name}"),
                    Some(format!(
                        "{name} is a probe of the file already: the one of the engine is not watched"
                    )),
                );
                continue;
            }
            there.insert(name.clone());
            self.gone.remove(&name);
            let definition = Arc::new(definition);
            let key = definition.probe.identity.key();
            // The same check of another host is another probe.
            let is_other = |entry: &Entry| entry.definition.probe.identity.key() != key;
            if self.entries.get(&name).is_some_and(is_other) {
                self.retire(&name).await;
            }
            let taken = if let Some(entry) = self.entries.get_mut(&name) {
                entry.redefine(definition, now)
            } else {
                let kept = self.kept.remove(&key);
                new.push((name.clone(), kept.is_some()));
                Entry::new(definition, Arc::clone(place), kept.as_ref(), now).map(|entry| {
                    self.entries.insert(name.clone(), entry);
                })
            };
            match taken {
                Ok(()) => self.place(&name),
                Err(error) => self.problem(&format!("schedule {name}"), Some(format!("{name}: {error}"))),
            }
        }
        for (name, was_known) in &new {
            if *was_known {
                self.recall(name).await;
            }
        }
        self.spread(&new.into_iter().map(|(name, _)| name).collect::<Vec<_>>(), now);
        self.retire_others(source, &there, now).await;
        self.retire_forgotten(source, place).await;
        (self.observer)(&Happening::Watching(self.entries.len()));
    }

    /// What is stored of a probe that was watched before.
    async fn recall(&mut self, name: &str) {
        let store = self.tools.store.clone();
        let Some(entry) = self.entries.get_mut(name) else { return };
        let key = entry.definition.probe.identity.key();
        if let Ok(runs) = store.probe_runs(key.clone(), RECENT).await {
            let runs: Vec<ProbeRun> = runs.iter().filter_map(|run| serde_json::from_str(run).ok()).collect();
            entry.take_runs(&runs);
        }
        if let Ok(Some(state)) = store.probe_state(key).await
            && let Ok(state) = serde_json::from_str::<ProbeState>(&state.state)
        {
            entry.take_state(&state);
        }
        self.place(name);
    }

    /// What was due before the daemon started does not begin all at once.
    fn spread(&mut self, names: &[String], now: Timestamp) {
        let is_due = |name: &&String| self.entries.get(*name).is_some_and(|entry| entry.is_due(now));
        let late: Vec<String> = names.iter().filter(is_due).cloned().collect();
        let apart = APART.saturating_mul(u32::try_from(late.len().saturating_sub(1)).unwrap_or(u32::MAX));
        let within = apart.min(ALL_WITHIN);
        for name in late {
            let Some(entry) = self.entries.get_mut(&name) else { continue };
            entry.at = now.checked_add(splay::offset(&name, within)).ok().or(entry.at);
            self.place(&name);
        }
    }

    async fn retire_others(&mut self, source: Source, there: &BTreeSet<String>, now: Timestamp) {
        let is_other = |(name, entry): &(&String, &Entry)| {
            Source::of(&entry.definition.origin) == source && !there.contains(*name)
        };
        let others: Vec<String> =
            self.entries.iter().filter(is_other).map(|(name, _)| name.clone()).collect();
        for name in others {
            match source {
                Source::File => self.retire(&name).await,
                Source::Engine => {
                    self.gone.entry(name).or_insert(now);
                }
            }
        }
    }

    /// Retires what has been gone from the engine for too long.
    pub(super) async fn retire_gone(&mut self) {
        let now = (self.clock)();
        let is_over =
            |since: &Timestamp| Duration::try_from(since.duration_until(now)).is_ok_and(|time| time >= GONE);
        let over: Vec<String> =
            self.gone.iter().filter(|(_, since)| is_over(since)).map(|(name, _)| name.clone()).collect();
        for name in over {
            self.gone.remove(&name);
            self.retire(&name).await;
        }
    }

    async fn retire(&mut self, name: &str) {
        self.unplace(name);
        self.desk.remove(name);
        let Some(entry) = self.entries.remove(name) else { return };
        entry.stop();
        self.close(&entry.kept(), &entry.definition.policy).await;
    }

    /// Probes that were watched before this start and are no more: of this file, or of one that is not there any more; of
    /// this engine once they have been gone for a while.
    async fn retire_forgotten(&mut self, source: Source, place: &str) {
        let now = (self.clock)().as_second();
        let is_of = |kept: &&Kept| Source::of(&kept.origin) == source && is_here(kept, place);
        let forgotten: Vec<Kept> = self.kept.values().filter(is_of).cloned().collect();
        for mut kept in forgotten {
            let key = kept.identity.key();
            let gone_for = now.saturating_sub(*kept.gone_since.get_or_insert(now));
            if source == Source::Engine && Duration::from_secs(gone_for.max(0).unsigned_abs()) < GONE {
                self.tools.remember(kept.clone()).await;
                self.kept.insert(key, kept);
                continue;
            }
            self.kept.remove(&key);
            let policy = Arc::clone(&self.policy);
            self.close(&kept, &policy).await;
        }
    }

    /// Closes what is open of a probe that is no more, and forgets it.
    async fn close(&mut self, kept: &Kept, policy: &Policy) {
        let identity = kept.identity.clone();
        let at = (self.clock)().as_second();
        let means = self.tools.means();
        let retired = means
            .reporting
            .step_without_run(policy, &identity, |policy, state| policy::retire(policy, state, &identity, at))
            .await;
        let store = &self.tools.store;
        let key = identity.key();
        let problem = match retired {
            Ok(_) => {
                let forgotten = store.forget_probe(key.clone()).await;
                let forgotten = forgotten.and(store.forget_memo(progress::KIND, key).await.map(drop));
                forgotten.err().map(|error| error.to_string())
            }
            Err(error) => Some(error.to_string()),
        };
        if let Some(problem) = problem {
            self.problem("store", Some(format!("{} cannot be forgotten: {problem}", identity.name)));
        }
    }

    fn take_occurrence(&mut self, occurrence: &Occurrence) {
        let is_meant = |entry: &Entry| {
            entry.definition.triggers.iter().any(|rule| {
                rule.on == occurrence.trigger
                    && rule.target.as_ref().is_none_or(|target| {
                        occurrence.names.iter().any(|name| target.matches(name)) != target.is_negated()
                    })
            }) && !is_its_own(&entry.definition.origin, occurrence)
        };
        let meant: Vec<String> = self
            .entries
            .iter()
            .filter(|(name, entry)| is_meant(entry) && !self.gone.contains_key(*name))
            .map(|(name, _)| name.clone())
            .collect();
        for name in meant {
            let _known = self.ask(&name);
        }
    }
}

/// Whether a probe is of this file or engine, or of a file that is not there any more.
fn is_here(kept: &Kept, place: &str) -> bool {
    let is_lost = || Source::of(&kept.origin) == Source::File && !Path::new(&kept.place).exists();
    kept.place == place || is_lost()
}

/// A labelled container whose own start is no news to its probe.
fn is_its_own(origin: &Origin, occurrence: &Occurrence) -> bool {
    match origin {
        Origin::Container { name, .. } => occurrence.names.first() == Some(name),
        Origin::File { .. } | Origin::Image { .. } => false,
    }
}
