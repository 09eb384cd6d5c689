//! Removes what dead runs left: quietly at every run's start and end, and on request by `prune`.
//!
//! Decides from journals, owners and deadlines alone; whatever it cannot prove dead, it leaves.

mod images;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::journal::{FoundRun, list_runs, remove_unbegun};
use super::notes::Notes;
use super::owner::{Liveness, Owner};
use super::removal::{Doomed, Proviso, Pruned, in_order, is_clean, remove, remove_containers};
use super::{KEPT_PREFIX, KEY_NOTE};
use crate::engine::{Engine, EngineError, OwnedResource, ResourceKind};
use crate::metadata::labels::ours;

/// Journals of engines that never came back are dropped after this long.
const JOURNAL_AGE: u64 = 30 * 24 * 60 * 60;

/// What a sweep may touch.
#[derive(Debug, Clone, Copy, Default)]
pub struct SweepOptions {
    /// Also kept and engine-lost containers (`prune`).
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
    let mut runs = scene.runs();
    let mut doomed = Vec::new();
    let mut dead: Vec<String> = Vec::new();
    for found in runs.values().filter(|found| !found.is_alive(now)) {
        if found.record.engine != engine.address() {
            if may_be_forgotten(found, options, now) {
                found.discard();
            }
            continue;
        }
        doomed.extend(written_down(found, options));
        dead.push(found.record.run.clone());
    }
    let owned = engine.owned(ours::RUN).await?;
    let seen: BTreeSet<(ResourceKind, String)> =
        owned.iter().map(|resource| (resource.kind, resource.name.clone())).collect();
    for resource in owned {
        let Some(run) = resource.labels.get(ours::RUN) else { continue };
        let found = runs.get(run);
        if this_run != Some(run.as_str()) && may_go(&resource, found, options, now) {
            let proviso = proviso(found, options);
            let doom = Doomed::of_run(resource.kind, resource.name.clone(), run);
            doomed.push(Doomed { proviso, ..doom });
        }
    }
    doomed.extend(images::stale_tags(&scene, |run| runs.contains_key(run)).await?);
    let (images, gone) = images::test_images(&scene).await?;
    doomed.extend(images);
    doomed.extend(images::lent_names(&scene).await?);
    let (mut pruned, others) = remove_containers(engine, in_order(doomed), options.dry_run).await;
    for entry in others {
        if images::may_still_go(&scene, &entry).await {
            pruned.extend(remove(engine, entry, options.dry_run).await);
        }
    }
    if !options.dry_run {
        remove_unbegun(state, now);
        notes.expire(KEY_NOTE, images::KEY_NOTE_AGE);
        let removed = pruned.iter().filter(|entry| entry.error.is_none()).map(|entry| &entry.name);
        gone.iter().chain(removed).for_each(|subject| notes.forget(subject));
        for found in dead.iter().filter_map(|run| runs.remove(run)) {
            conclude(found, &pruned, &seen, options, now);
        }
    }
    Ok(pruned)
}

/// Ends the journal of a dead run; or brings it up to date, where something is left that it is needed for, or may yet
/// come: the engine may still be at what it was asked for by a run that was killed a moment ago.
fn conclude(
    mut found: FoundRun,
    pruned: &[Pruned],
    seen: &BTreeSet<(ResourceKind, String)>,
    options: SweepOptions,
    now: u64,
) {
    let run = found.record.run.clone();
    let may_come = |kind: ResourceKind, name: &str| !seen.contains(&(kind, name.to_owned()));
    let waits = !options.kept_and_lost
        && found.is_of_just_now(now)
        && found.open().iter().any(|(kind, name)| is_made_by_one_call(*kind) && may_come(*kind, name));
    if !waits && is_clean(pruned, &run) && (options.kept_and_lost || !found.holdings.has_the_users()) {
        found.discard();
        return;
    }
    let gone = pruned.iter().filter(|entry| entry.error.is_none() && entry.run.as_ref() == Some(&run));
    let gone = gone.filter(|entry| !(waits && may_come(entry.kind, &entry.name)));
    found.strike(gone.map(|entry| (entry.kind, entry.name.as_str())));
}

/// Whether it bears our labels from the moment that it is there.
const fn is_made_by_one_call(kind: ResourceKind) -> bool {
    matches!(kind, ResourceKind::Container | ResourceKind::Network | ResourceKind::Volume)
}

/// Whether the journal of a dead run on another engine may go. Without it nobody knows of a kept container or of results
/// that wait.
fn may_be_forgotten(found: &FoundRun, options: SweepOptions, now: u64) -> bool {
    let old = now.saturating_sub(found.record.deadline) > JOURNAL_AGE;
    old && !options.dry_run && (options.kept_and_lost || !found.holdings.has_the_users())
}

/// What the journal of a dead run still holds, less what is left to the user, unless that goes too.
pub(super) fn written_down(found: &FoundRun, options: SweepOptions) -> impl Iterator<Item = Doomed> {
    found
        .open()
        .into_iter()
        .filter(move |(kind, name)| options.kept_and_lost || !found.holdings.is_the_users(*kind, name))
        .map(move |(kind, name)| {
            let proviso = proviso(Some(found), options);
            Doomed { proviso, ..Doomed::of_run(kind, name, &found.record.run) }
        })
}

/// Containers that are left to the user may hold what their run has left.
fn proviso(found: Option<&FoundRun>, options: SweepOptions) -> Proviso {
    let held = found.is_some_and(|found| found.holdings.has_the_users());
    if held && !options.kept_and_lost { Proviso::Free } else { Proviso::None }
}

/// Whether a labelled resource may go, as far as labels, name and the journal of its run say.
pub(super) fn may_go(
    resource: &OwnedResource,
    journal: Option<&FoundRun>,
    options: SweepOptions,
    now: u64,
) -> bool {
    if !options.kept_and_lost && is_the_users(resource, journal) {
        return false;
    }
    if journal.is_some_and(|found| found.is_alive(now)) {
        return false;
    }
    let labels = &resource.labels;
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

/// Whether only the user may have it removed. Without a journal it may be kept, or hold results that wait: whoever has
/// the journal knows. Volumes without a name go with their containers; what is left of them is of those that stay.
fn is_the_users(resource: &OwnedResource, journal: Option<&FoundRun>) -> bool {
    let (kind, name) = (resource.kind, &resource.name);
    let Some(found) = journal else { return true };
    found.holdings.is_the_users(kind, name)
        || kind == ResourceKind::Container && name.starts_with(KEPT_PREFIX)
        || kind == ResourceKind::Volume && found.holdings.has_the_users()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::docker::Recorded;

    const NOW: u64 = 1_000_000;
    const PRUNE: SweepOptions = SweepOptions { kept_and_lost: true, images: false, dry_run: false };

    fn labels(owner: &str, deadline: u64) -> BTreeMap<String, String> {
        BTreeMap::from([
            (ours::OWNER.to_owned(), owner.to_owned()),
            (ours::DEADLINE.to_owned(), deadline.to_string()),
        ])
    }

    fn container(labels: BTreeMap<String, String>, name: &str) -> OwnedResource {
        OwnedResource { kind: ResourceKind::Container, name: name.to_owned(), labels, running: false }
    }

    #[test]
    fn a_living_owner_is_never_touched_even_past_its_deadline() {
        let this = Owner::of_this_process().to_string();
        assert!(!may_go(&container(labels(&this, 1), "docker-test-x"), None, SweepOptions::default(), NOW));
    }

    #[test]
    fn another_host_is_left_alone_until_its_deadline_and_then_left_to_prune() {
        let other = "other-boot/1/2/3";
        let may = |deadline, options| {
            may_go(&container(labels(other, deadline), "docker-test-x"), None, options, NOW)
        };
        assert!(!may(NOW + 1, PRUNE));
        assert!(may(NOW - 1, PRUNE));
        assert!(!may(NOW - 1, SweepOptions::default()), "its results may wait to be fetched");
    }

    #[test]
    fn without_owner_and_deadline_nothing_is_touched() {
        assert!(!may_go(&container(BTreeMap::new(), "docker-test-x"), None, SweepOptions::default(), NOW));
        assert!(!may_go(&container(BTreeMap::new(), "docker-test-x"), None, PRUNE, NOW));
    }

    #[test]
    fn a_dead_run_without_a_journal_may_hold_results_that_wait_and_goes_by_prune_alone() {
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let this = Owner::of_this_process().to_string();
        let owner = this.replace(&format!("/{}/", std::process::id()), &format!("/{}/", child.id()));
        child.wait().unwrap();
        let may = |deadline, options| {
            may_go(&container(labels(&owner, deadline), "docker-test-x"), None, options, NOW)
        };
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
        found.holdings.created(ResourceKind::Container, &format!("{KEPT_PREFIX}x"));
        found.holdings.keep();
        assert!(!may_be_forgotten(&found, SweepOptions::default(), late));
        assert!(may_be_forgotten(&found, PRUNE, late));
        assert!(!may_be_forgotten(&found, PRUNE, late - 1));
    }

    #[test]
    fn of_a_dead_run_all_goes_but_what_is_kept_or_lost_or_held_by_those() {
        let state = tempfile::tempdir().unwrap();
        let longest = std::time::Duration::from_secs(1);
        let ledger = crate::ledger::RunLedger::begin(state.path(), "e.sock", "shop", None, longest).unwrap();
        let run = ledger.run_id().to_owned();
        let kept = format!("{KEPT_PREFIX}{run}");
        for name in ["used", "lost", &kept] {
            ledger.record(ResourceKind::Container, name).unwrap();
        }
        ledger.record(ResourceKind::Network, "net").unwrap();
        ledger.record(ResourceKind::Tag, "tag").unwrap();
        let lost = crate::ledger::LostRun {
            container: "lost".to_owned(),
            results: "/r".to_owned(),
            directory: state.path().join("results"),
            limit: 1,
        };
        ledger.lost(lost).unwrap();
        let find = || crate::ledger::find_run(state.path(), &run).unwrap();
        let names = |options| -> Vec<(String, bool)> {
            let found = find();
            let doomed = in_order(written_down(&found, options).collect());
            let is_free = |doomed: &Doomed| matches!(doomed.proviso, Proviso::Free);
            doomed.into_iter().map(|doomed| (doomed.name.clone(), is_free(&doomed))).collect()
        };
        let expected = |names: &[&str], free| -> Vec<(String, bool)> {
            names.iter().map(|name| ((*name).to_owned(), free)).collect()
        };
        let sweep = SweepOptions::default();
        // It is not kept yet, and the lost one may hold the network.
        assert_eq!(names(sweep), expected(&[&kept, "used", "net", "tag"], true));
        let container = Recorded::new(ResourceKind::Container, "before".to_owned());
        ledger.keep(&container).unwrap();
        assert_eq!(names(sweep), expected(&["used", "tag"], true));
        assert_eq!(names(PRUNE), expected(&[&kept, "lost", "used", "net", "tag"], false));
        let mut found = find();
        found.lock = crate::ledger::LockState::Free;
        found.record.owner = "other-boot/1/2/3".to_owned();
        let may = |kind, name: &str, options| {
            let resource = container_of(kind, name);
            may_go(&resource, Some(&found), options, NOW)
        };
        for (kind, name, goes) in [
            (ResourceKind::Container, "used", true),
            (ResourceKind::Container, "stray", true),
            (ResourceKind::Container, "lost", false),
            (ResourceKind::Container, kept.as_str(), false),
            (ResourceKind::Volume, "anonymous", false),
            (ResourceKind::Network, "net", false),
        ] {
            assert_eq!(may(kind, name, sweep), goes, "{kind} {name}");
            assert!(may(kind, name, PRUNE), "{kind} {name}");
        }
    }

    fn container_of(kind: ResourceKind, name: &str) -> OwnedResource {
        OwnedResource { kind, ..container(labels("other-boot/1/2/3", 1), name) }
    }

    #[test]
    fn the_journal_of_a_swept_run_goes_unless_something_waits_in_it() {
        let state = tempfile::tempdir().unwrap();
        let longest = std::time::Duration::from_secs(1);
        let begin =
            || crate::ledger::RunLedger::begin(state.path(), "e.sock", "shop", None, longest).unwrap();
        let (plain, keeping) = (begin(), begin());
        let kept = format!("{KEPT_PREFIX}{}", keeping.run_id());
        let used = keeping.record(ResourceKind::Container, "used").unwrap();
        keeping.record(ResourceKind::Container, &kept).unwrap();
        keeping.record(ResourceKind::Tag, "tag").unwrap();
        keeping.keep(&Recorded::new(ResourceKind::Container, "before".to_owned())).unwrap();
        let find = |run: &str| crate::ledger::find_run(state.path(), run);
        let gone = |name: &str| Pruned {
            kind: ResourceKind::Container,
            name: name.to_owned(),
            run: Some(keeping.run_id().to_owned()),
            error: None,
        };
        let sweep = SweepOptions::default();
        let seen: BTreeSet<_> =
            [used.name(), kept.as_str()].map(|name| (ResourceKind::Container, name.to_owned())).into();
        conclude(find(plain.run_id()).unwrap(), &[], &seen, sweep, NOW);
        assert!(find(plain.run_id()).is_none());
        conclude(find(keeping.run_id()).unwrap(), &[gone(used.name())], &seen, sweep, NOW);
        let names: Vec<String> =
            find(keeping.run_id()).unwrap().open().into_iter().map(|(_, name)| name).collect();
        assert_eq!(names, ["tag", kept.as_str()], "what is gone is not asked for again");
        conclude(find(keeping.run_id()).unwrap(), &[gone(&kept)], &seen, PRUNE, NOW);
        assert!(find(keeping.run_id()).is_none());
    }

    #[test]
    fn what_a_run_that_was_just_killed_asked_for_and_nobody_has_seen_is_waited_for() {
        let state = tempfile::tempdir().unwrap();
        let longest = std::time::Duration::from_secs(1);
        let ledger = crate::ledger::RunLedger::begin(state.path(), "e.sock", "shop", None, longest).unwrap();
        let name = ledger.record(ResourceKind::Network, "late").unwrap().name().to_owned();
        let gone = || Pruned {
            kind: ResourceKind::Network,
            name: name.clone(),
            run: Some(ledger.run_id().to_owned()),
            error: None,
        };
        let find = || crate::ledger::find_run(state.path(), ledger.run_id());
        let now = crate::ledger::unix_now();
        let (nothing, sweep) = (BTreeSet::new(), SweepOptions::default());
        conclude(find().unwrap(), &[gone()], &nothing, sweep, now);
        assert_eq!(find().unwrap().open(), [(ResourceKind::Network, name.clone())], "it may still come");
        conclude(find().unwrap(), &[gone()], &nothing, sweep, now + 120);
        assert!(find().is_none(), "but not for ever");
    }

    #[test]
    fn a_kept_container_goes_by_prune_alone() {
        let name = format!("{KEPT_PREFIX}x");
        let dead = container(labels("other-boot/1/2/3", 1), &name);
        assert!(!may_go(&dead, None, SweepOptions::default(), NOW));
        assert!(may_go(&dead, None, PRUNE, NOW));
    }
}
