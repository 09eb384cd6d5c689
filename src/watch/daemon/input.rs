//! What comes to the daemon from outside: probes of a file and of an engine, occurrences, troubles.
//!
//! Owns which probes there are: one of the file goes before one of the engine of the same name, and one that is gone is
//! retired only when it has been gone for a while.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::{ALL_WITHIN, APART, Daemon, Happening, Labels};
use crate::harness::reporting::Gone;
use crate::notify::policy::{Policy, ProbeState};
use crate::probe::ProbeRun;
use crate::report::wording::count;
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

    /// What a problem with one of its probes is about.
    fn about(self, probe: &str) -> String {
        match self {
            Self::File => format!("probe of the file: {probe}"),
            Self::Engine => format!("probe of the engine: {probe}"),
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
    /// No engine is followed any more.
    Unfollowed,
    /// Where labels are looked at from now on.
    Labels {
        /// On this engine; on none where absent.
        engine: Option<String>,
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
            Input::Unfollowed => self.leave_engines(None).await,
            Input::Labels { engine } => self.labels = Labels::Of(engine),
            Input::Problem { about, problem } => self.problem(&about, problem),
        }
    }

    async fn take_probes(&mut self, source: Source, place: &Arc<str>, definitions: Vec<Definition>) {
        let now = (self.clock)();
        let mut there = BTreeSet::new();
        let mut troubles = BTreeMap::new();
        let (mut new, mut gone) = (Vec::new(), Vec::new());
        for definition in definitions {
            let name = definition.name().to_owned();
            let is_taken = |entry: &Entry| {
                Source::of(&entry.definition.origin) == Source::File && source == Source::Engine
            };
            if self.entries.get(&name).is_some_and(is_taken) {
                let trouble =
                    format!("{name} is a probe of the file already: the one of the engine is not watched");
                troubles.insert(source.about(&name), trouble);
                continue;
            }
            there.insert(name.clone());
            let definition = Arc::new(definition);
            let key = definition.probe.identity.key();
            // The same check of another host is another probe.
            let is_other = |entry: &Entry| entry.definition.probe.identity.key() != key;
            if self.entries.get(&name).is_some_and(is_other) {
                gone.extend(self.take_out(&name));
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
                Err(error) => {
                    troubles.insert(source.about(&name), format!("{name}: {error}"));
                }
            }
        }
        for (name, was_known) in &new {
            if *was_known {
                self.recall(name).await;
            }
        }
        self.heed_clock();
        self.spread(&new.into_iter().map(|(name, _)| name).collect::<Vec<_>>(), now);
        let is_over =
            |about: &&String| about.starts_with(&source.about("")) && !troubles.contains_key(*about);
        let over: Vec<String> = self.problems.keys().filter(is_over).cloned().collect();
        for about in over {
            self.problem(&about, None);
        }
        for (about, trouble) in troubles {
            self.problem(&about, Some(trouble));
        }
        gone.extend(self.take_out_others(source, &there, now));
        gone.extend(self.take_out_forgotten(source, |kept| is_here(kept, place)));
        self.retire(gone).await;
        self.show_silences();
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

    /// Takes out what a source does not have any more. What is gone from an engine stays for a while.
    fn take_out_others(&mut self, source: Source, there: &BTreeSet<String>, now: Timestamp) -> Vec<Gone> {
        let is_other = |(name, entry): &(&String, &Entry)| {
            Source::of(&entry.definition.origin) == source && !there.contains(*name)
        };
        let others: Vec<String> =
            self.entries.iter().filter(is_other).map(|(name, _)| name.clone()).collect();
        let mut gone = Vec::new();
        for name in others {
            match source {
                Source::File => gone.extend(self.take_out(&name)),
                Source::Engine => {
                    if let Some(entry) = self.entries.get_mut(&name) {
                        entry.leave(now);
                    }
                    self.place(&name);
                }
            }
        }
        gone
    }

    /// Retires what has been gone from the engine for too long.
    pub(super) async fn retire_gone(&mut self) {
        let now = (self.clock)();
        let is_over =
            |since: Timestamp| Duration::try_from(since.duration_until(now)).is_ok_and(|time| time >= GONE);
        let over = self.entries.iter().filter(|(_, entry)| entry.gone_since.is_some_and(is_over));
        let over: Vec<String> = over.map(|(name, _)| name.clone()).collect();
        let mut gone: Vec<Gone> = over.iter().filter_map(|name| self.take_out(name)).collect();
        // Probes of an engine whose labels nobody looks at any more do not come back either.
        if let Labels::Of(engine) = &self.labels {
            let engine = engine.clone();
            let is_missed = |kept: &Kept| engine.as_ref() != Some(&kept.place);
            gone.extend(self.take_out_forgotten(Source::Engine, is_missed));
        }
        self.retire(gone).await;
    }

    fn take_out(&mut self, name: &str) -> Option<Gone> {
        self.unplace(name);
        self.desk.remove(name);
        let entry = self.entries.remove(name)?;
        entry.stop();
        let definition = &entry.definition;
        Some(Gone { identity: definition.probe.identity.clone(), policy: Arc::clone(&definition.policy) })
    }

    /// Probes that were watched before this start and are no more: of this file, or of one that is not there any more; of
    /// this engine once they have been gone for a while.
    fn take_out_forgotten(&mut self, source: Source, is_missed: impl Fn(&Kept) -> bool) -> Vec<Gone> {
        let now = (self.clock)().as_second();
        let is_of = |kept: &&Kept| Source::of(&kept.origin) == source && is_missed(kept);
        let forgotten: Vec<Kept> = self.kept.values().filter(is_of).cloned().collect();
        let mut gone = Vec::new();
        for mut kept in forgotten {
            let key = kept.identity.key();
            let since = kept.gone_since.unwrap_or(now).min(now);
            let is_news = kept.gone_since.replace(since) != Some(since);
            let gone_for = now.saturating_sub(since).unsigned_abs();
            if source == Source::Engine && Duration::from_secs(gone_for) < GONE {
                if is_news {
                    let (tools, kept) = (Arc::clone(&self.tools), kept.clone());
                    self.beside.spawn(async move { tools.remember(kept).await });
                }
                self.kept.insert(key, kept);
                continue;
            }
            self.kept.remove(&key);
            gone.push(Gone { identity: kept.identity, policy: Arc::clone(&self.policy) });
        }
        gone
    }

    /// Closes what runs have opened of probes that were retired before they were over.
    pub(super) async fn close_late(&mut self) {
        let late = std::mem::take(&mut self.late);
        self.retire(late).await;
    }

    /// Closes what is open of probes that are no more, and forgets them: one write to the disk for all, because the loop
    /// waits for it. Their runs may be many, and go beside it.
    async fn retire(&mut self, gone: Vec<Gone>) {
        if gone.is_empty() {
            return;
        }
        if let Err(error) = self.tools.means().reporting.retire(&gone, progress::KIND).await {
            let probes = match gone.as_slice() {
                [one] => one.identity.name.clone(),
                many => count(many.len() as u64, "probe"),
            };
            self.problem("store", Some(format!("{probes} cannot be forgotten: {error}")));
            return;
        }
        self.forget_runs();
    }

    /// Removes what runs are left of probes that are no more. Where the store fails, the next time or start does it.
    pub(super) fn forget_runs(&self) {
        let store = self.tools.store.clone();
        self.beside.spawn(async move { drop(store.forget_runs().await) });
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
            .filter(|(_, entry)| is_meant(entry) && entry.gone_since.is_none())
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
