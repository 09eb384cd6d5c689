//! Removes what dead runs left: quietly at every run's start and end, and on request by `prune`.
//!
//! Decides from journals, owners and deadlines alone; whatever it cannot prove dead, it leaves.

mod images;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::journal::{FoundRun, RunState, list_runs, remove_unbegun};
use super::notes::Notes;
use super::owner::{Liveness, Owner};
use super::removal::{Doomed, Pruned, in_order, is_clean, remove};
use super::{KEPT_PREFIX, KEY_NOTE};
use crate::engine::{Engine, EngineError};
use crate::metadata::labels::ours;

/// Journals of engines that never came back are dropped after this long.
const JOURNAL_AGE: u64 = 30 * 24 * 60 * 60;

/// What a sweep may touch.
#[derive(Debug, Clone, Copy, Default)]
pub struct SweepOptions {
    /// Also kept and engine-lost runs (`prune`).
    pub kept_and_lost: bool,
    /// Also test images (`prune --images`).
    pub images: bool,
    /// Say what would go, remove nothing.
    pub dry_run: bool,
}

/// What a sweep looks at.
struct Scene<'a> {
    state: &'a Path,
    engine: &'a Engine,
    this_run: Option<&'a str>,
    options: SweepOptions,
    /// Ids and keys of test images and lent names that are of this state directory, whatever bears their labels.
    noted: BTreeSet<String>,
    /// Unix seconds.
    now: u64,
}

impl Scene<'_> {
    /// The journals of all other runs, by run id.
    fn runs(&self) -> BTreeMap<String, FoundRun> {
        list_runs(self.state)
            .into_iter()
            .filter(|found| self.this_run != Some(found.record.run.as_str()))
            .map(|found| (found.record.run.clone(), found))
            .collect()
    }

    /// Those that live now, or may.
    fn living(&self) -> Vec<FoundRun> {
        self.runs().into_values().filter(|found| found.is_alive(self.now)).collect()
    }
}

/// Removes what dead runs left on `engine`. `this_run` is never touched; `now` is in Unix seconds.
pub async fn sweep(
    state: &Path,
    engine: &Engine,
    this_run: Option<&str>,
    options: SweepOptions,
    now: u64,
) -> Result<Vec<Pruned>, EngineError> {
    let notes = Notes::about(state, engine.address());
    let scene = Scene { state, engine, this_run, options, noted: notes.all(), now };
    let runs = scene.runs();
    let mut doomed = Vec::new();
    let mut finished: Vec<&FoundRun> = Vec::new();
    for found in runs.values().filter(|found| !found.is_alive(now)) {
        if found.record.engine != engine.address() {
            if may_be_forgotten(found, options, now) {
                found.discard();
            }
            continue;
        }
        if matches!(found.state, RunState::Active) || options.kept_and_lost {
            doomed.extend(written_down(found));
            finished.push(found);
        }
    }
    for resource in engine.owned(ours::RUN).await? {
        let Some(run) = resource.labels.get(ours::RUN) else { continue };
        if this_run != Some(run.as_str())
            && may_go(&resource.labels, &resource.name, runs.get(run), options, now)
        {
            doomed.push(Doomed::of_run(resource.kind, resource.name.clone(), run));
        }
    }
    doomed.extend(images::stale_tags(&scene, |run| runs.contains_key(run)).await?);
    let (images, gone) = images::test_images(&scene).await?;
    doomed.extend(images);
    doomed.extend(images::lent_names(&scene).await?);
    let mut pruned = Vec::new();
    for entry in in_order(doomed) {
        if images::may_still_go(&scene, &entry).await {
            pruned.extend(remove(engine, entry, options.dry_run).await);
        }
    }
    if !options.dry_run {
        remove_unbegun(state, now);
        notes.expire(KEY_NOTE, images::KEY_NOTE_AGE);
        let removed = pruned.iter().filter(|entry| entry.error.is_none()).map(|entry| &entry.name);
        gone.iter().chain(removed).for_each(|subject| notes.forget(subject));
        finished
            .iter()
            .filter(|found| is_clean(&pruned, &found.record.run))
            .for_each(|found| found.discard());
    }
    Ok(pruned)
}

/// Whether the journal of a dead run on another engine may go. Without it nobody knows of a kept container or of results
/// that wait.
const fn may_be_forgotten(found: &FoundRun, options: SweepOptions, now: u64) -> bool {
    let old = now.saturating_sub(found.record.deadline) > JOURNAL_AGE;
    old && !options.dry_run && (matches!(found.state, RunState::Active) || options.kept_and_lost)
}

/// What the journal of a dead run still holds.
pub(super) fn written_down(found: &FoundRun) -> impl Iterator<Item = Doomed> {
    found.open.iter().map(|(kind, name)| Doomed::of_run(*kind, name.clone(), &found.record.run))
}

/// Whether a labelled resource may go, as far as labels, name and the journal of its run say.
pub(super) fn may_go(
    labels: &BTreeMap<String, String>,
    name: &str,
    journal: Option<&FoundRun>,
    options: SweepOptions,
    now: u64,
) -> bool {
    // Without a journal it may be kept, or of a run whose engine was lost and whose results wait: whoever has the
    // journal knows, and only the user may say that they do not.
    let spared =
        name.starts_with(KEPT_PREFIX) || journal.is_none_or(|found| !matches!(found.state, RunState::Active));
    if spared && !options.kept_and_lost {
        return false;
    }
    if journal.is_some_and(|found| found.is_alive(now)) {
        return false;
    }
    let liveness = labels
        .get(ours::OWNER)
        .and_then(|owner| owner.parse::<Owner>().ok())
        .map_or(Liveness::Unknown, |owner| owner.liveness());
    match liveness {
        Liveness::Alive => false,
        Liveness::Dead => true,
        // What its journal proves is proof enough.
        Liveness::Unknown if journal.is_some() => true,
        Liveness::Unknown => {
            let deadline = labels.get(ours::DEADLINE).and_then(|value| value.parse::<u64>().ok());
            deadline.is_some_and(|deadline| now > deadline)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_000_000;
    const PRUNE: SweepOptions = SweepOptions { kept_and_lost: true, images: false, dry_run: false };

    fn labels(owner: &str, deadline: u64) -> BTreeMap<String, String> {
        BTreeMap::from([
            (ours::OWNER.to_owned(), owner.to_owned()),
            (ours::DEADLINE.to_owned(), deadline.to_string()),
        ])
    }

    #[test]
    fn a_living_owner_is_never_touched_even_past_its_deadline() {
        let this = Owner::of_this_process().to_string();
        assert!(!may_go(&labels(&this, 1), "docker-test-x", None, SweepOptions::default(), NOW));
    }

    #[test]
    fn another_host_is_left_alone_until_its_deadline_and_then_left_to_prune() {
        let other = "other-boot/1/2/3";
        let may = |deadline, options| may_go(&labels(other, deadline), "docker-test-x", None, options, NOW);
        assert!(!may(NOW + 1, PRUNE));
        assert!(may(NOW - 1, PRUNE));
        assert!(!may(NOW - 1, SweepOptions::default()), "its results may wait to be fetched");
    }

    #[test]
    fn without_owner_and_deadline_nothing_is_touched() {
        assert!(!may_go(&BTreeMap::new(), "docker-test-x", None, SweepOptions::default(), NOW));
        assert!(!may_go(&BTreeMap::new(), "docker-test-x", None, PRUNE, NOW));
    }

    #[test]
    fn a_dead_run_without_a_journal_may_hold_results_that_wait_and_goes_by_prune_alone() {
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let this = Owner::of_this_process().to_string();
        let owner = this.replace(&format!("/{}/", std::process::id()), &format!("/{}/", child.id()));
        child.wait().unwrap();
        let may = |deadline, options| may_go(&labels(&owner, deadline), "docker-test-x", None, options, NOW);
        assert!(!may(NOW + 1, SweepOptions::default()));
        assert!(!may(NOW - 1, SweepOptions::default()));
        assert!(may(NOW + 1, PRUNE));
    }

    #[test]
    fn the_journal_of_a_kept_run_on_an_engine_that_never_came_back_goes_by_prune_alone() {
        let state = tempfile::tempdir().unwrap();
        let longest = std::time::Duration::from_secs(1);
        let ledger = crate::ledger::RunLedger::begin(state.path(), "e.sock", "shop", None, longest).unwrap();
        let mut found = crate::ledger::find_run(state.path(), ledger.run_id()).unwrap();
        let late = found.record.deadline + JOURNAL_AGE + 1;
        assert!(!may_be_forgotten(&found, SweepOptions::default(), late - 1));
        assert!(may_be_forgotten(&found, SweepOptions::default(), late));
        assert!(!may_be_forgotten(&found, SweepOptions { dry_run: true, ..PRUNE }, late));
        found.state = RunState::Kept;
        assert!(!may_be_forgotten(&found, SweepOptions::default(), late));
        assert!(may_be_forgotten(&found, PRUNE, late));
        assert!(!may_be_forgotten(&found, PRUNE, late - 1));
    }

    #[test]
    fn a_kept_container_goes_by_prune_alone() {
        let name = format!("{KEPT_PREFIX}x");
        let dead = labels("other-boot/1/2/3", 1);
        assert!(!may_go(&dead, &name, None, SweepOptions::default(), NOW));
        assert!(may_go(&dead, &name, None, PRUNE, NOW));
    }
}
