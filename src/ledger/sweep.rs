//! Removes what dead runs left: quietly at every run's start and end, and on request by `prune`.
//!
//! Decides from journals, owners and deadlines alone; whatever it cannot prove dead, it leaves.

use std::collections::BTreeMap;
use std::path::Path;

use super::journal::{FoundRun, RunState, list_runs};
use super::owner::{Liveness, Owner};
use super::{KEPT_PREFIX, TARGET_REPOSITORY, run_id_time};
use crate::engine::docker::Recorded;
use crate::engine::{Engine, EngineError, ListedImage, ResourceKind};
use crate::metadata::labels::ours;

/// A private tag without a journal is left alone for this long: its run may live where we cannot see.
const TAG_AGE: u64 = 24 * 60 * 60;

/// A test image without a name is left alone for this long: a run may be about to use it.
const SUPERSEDED_AGE: u64 = 60 * 60;

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

/// Something that was removed, or would be.
#[derive(Debug)]
pub struct Pruned {
    /// What it was.
    pub kind: ResourceKind,
    /// Its name.
    pub name: String,
    /// The run that made it, where known.
    pub run: Option<String>,
    /// Why it could not be removed.
    pub error: Option<EngineError>,
}

/// Removes what dead runs left on `engine`. `this_run` is never touched; `now` is in Unix seconds.
pub async fn sweep(
    state: &Path,
    engine: &Engine,
    this_run: Option<&str>,
    options: SweepOptions,
    now: u64,
) -> Result<Vec<Pruned>, EngineError> {
    let runs: BTreeMap<String, FoundRun> = list_runs(state)
        .into_iter()
        .filter(|found| this_run != Some(found.record.run.as_str()))
        .map(|found| (found.record.run.clone(), found))
        .collect();
    let mut doomed: Vec<(ResourceKind, String, Option<String>)> = Vec::new();
    let mut finished: Vec<&FoundRun> = Vec::new();
    for found in runs.values() {
        if found.is_alive(now) {
            continue;
        }
        if found.record.engine != engine.address() {
            if now.saturating_sub(found.record.deadline) > JOURNAL_AGE {
                found.discard();
            }
            continue;
        }
        if !matches!(found.state, RunState::Active) && !options.kept_and_lost {
            continue;
        }
        let run = Some(found.record.run.clone());
        doomed.extend(found.open.iter().map(|(kind, name)| (*kind, name.clone(), run.clone())));
        finished.push(found);
    }
    for resource in engine.owned(ours::RUN).await? {
        let Some(run) = resource.labels.get(ours::RUN) else { continue };
        if this_run == Some(run.as_str())
            || !may_go(&resource.labels, &resource.name, runs.get(run), options, now)
        {
            continue;
        }
        doomed.push((resource.kind, resource.name, Some(run.clone())));
    }
    doomed.extend(stale_tags(engine, &runs, this_run, now).await?);
    let living: Vec<&FoundRun> = runs.values().filter(|found| found.is_alive(now)).collect();
    doomed.extend(test_images(engine, &living, options, now).await?);
    doomed.sort_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)));
    doomed.dedup_by(|a, b| (a.0, &a.1) == (b.0, &b.1));
    let mut pruned = Vec::with_capacity(doomed.len());
    for (kind, name, run) in doomed {
        let error = if options.dry_run {
            None
        } else {
            let record = Recorded::new(kind, name.clone());
            let record = match &run {
                Some(run) => record.of_run(run),
                None => record,
            };
            engine.remove(&record).await.err()
        };
        // A container that somebody keeps or runs needs it: it goes when that has gone.
        let in_use = matches!(&error, Some(EngineError::Refused { status: 409, .. }));
        if !(in_use && kind == ResourceKind::Image) {
            pruned.push(Pruned { kind, name, run, error });
        }
    }
    if !options.dry_run {
        for found in finished {
            let clean = pruned.iter().all(|entry| {
                entry.error.is_none() || entry.run.as_deref() != Some(found.record.run.as_str())
            });
            if clean {
                found.discard();
            }
        }
    }
    Ok(pruned)
}

fn may_go(
    labels: &BTreeMap<String, String>,
    name: &str,
    journal: Option<&FoundRun>,
    options: SweepOptions,
    now: u64,
) -> bool {
    let spared = name.starts_with(KEPT_PREFIX)
        || journal.is_some_and(|found| !matches!(found.state, RunState::Active));
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
        // What its journal proves is proof enough.
        Liveness::Dead | Liveness::Unknown if journal.is_some() => true,
        // Without the journal it may be a run whose engine was lost, and whose results wait: only the user may
        // say that they do not.
        Liveness::Dead if options.kept_and_lost => true,
        Liveness::Dead | Liveness::Unknown => {
            let deadline = labels.get(ours::DEADLINE).and_then(|value| value.parse::<u64>().ok());
            deadline.is_some_and(|deadline| now > deadline)
        }
    }
}

async fn stale_tags(
    engine: &Engine,
    runs: &BTreeMap<String, FoundRun>,
    this_run: Option<&str>,
    now: u64,
) -> Result<Vec<(ResourceKind, String, Option<String>)>, EngineError> {
    let tags = engine.tags_of_repository(TARGET_REPOSITORY).await?;
    Ok(tags
        .into_iter()
        .filter_map(|name| {
            let run = name.rsplit_once(':')?.1.to_owned();
            let old = now.saturating_sub(run_id_time(&run)?) > TAG_AGE;
            (this_run != Some(run.as_str()) && !runs.contains_key(&run) && old).then_some((
                ResourceKind::Tag,
                name,
                Some(run),
            ))
        })
        .collect())
}

/// Test images that a later build has taken the name of and, with `--images`, those that still have theirs.
async fn test_images(
    engine: &Engine,
    living: &[&FoundRun],
    options: SweepOptions,
    now: u64,
) -> Result<Vec<(ResourceKind, String, Option<String>)>, EngineError> {
    let label = format!("{}={}", ours::ROLE, ours::Role::TestImage.as_str());
    let images = engine.images_with_label(&label).await?;
    let doomed = images.into_iter().filter(|image| image_may_go(image, living, options, now));
    Ok(doomed
        .flat_map(|image| if image.tags.is_empty() { vec![image.id] } else { image.tags })
        .map(|name| (ResourceKind::Image, name, None))
        .collect())
}

fn image_may_go(image: &ListedImage, living: &[&FoundRun], options: SweepOptions, now: u64) -> bool {
    if image.tags.is_empty() {
        // A run that has just made it, and not yet a container from it, may be on any host.
        let nobody_runs = options.kept_and_lost && living.is_empty();
        return nobody_runs || now.saturating_sub(image.created) > SUPERSEDED_AGE;
    }
    let target = image.labels.get(ours::TARGET_NAME);
    options.images && !living.iter().any(|found| Some(&found.record.image) == target)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_000_000;

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
    fn another_host_is_left_alone_until_its_deadline() {
        let other = "other-boot/1/2/3";
        assert!(!may_go(&labels(other, NOW + 1), "docker-test-x", None, SweepOptions::default(), NOW));
        assert!(may_go(&labels(other, NOW - 1), "docker-test-x", None, SweepOptions::default(), NOW));
    }

    #[test]
    fn without_owner_and_deadline_nothing_is_touched() {
        assert!(!may_go(&BTreeMap::new(), "docker-test-x", None, SweepOptions::default(), NOW));
    }

    #[test]
    fn a_dead_run_without_a_journal_may_hold_results_that_wait_and_goes_by_prune_or_at_its_deadline() {
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let this = Owner::of_this_process().to_string();
        let owner = this.replace(&format!("/{}/", std::process::id()), &format!("/{}/", child.id()));
        child.wait().unwrap();
        let prune = SweepOptions { kept_and_lost: true, ..SweepOptions::default() };
        let may = |deadline, options| may_go(&labels(&owner, deadline), "docker-test-x", None, options, NOW);
        assert!(!may(NOW + 1, SweepOptions::default()));
        assert!(may(NOW - 1, SweepOptions::default()));
        assert!(may(NOW + 1, prune));
    }

    #[test]
    fn a_kept_container_goes_by_prune_alone() {
        let name = format!("{KEPT_PREFIX}x");
        let dead = labels("other-boot/1/2/3", 1);
        assert!(!may_go(&dead, &name, None, SweepOptions::default(), NOW));
        let prune = SweepOptions { kept_and_lost: true, ..SweepOptions::default() };
        assert!(may_go(&dead, &name, None, prune, NOW));
    }

    fn run_of(image: &str) -> FoundRun {
        let state = tempfile::tempdir().unwrap();
        let ledger = crate::ledger::RunLedger::begin(
            state.path(),
            "unix:///e.sock",
            image,
            None,
            std::time::Duration::from_secs(1),
        );
        let run = ledger.unwrap();
        crate::ledger::find_run(state.path(), run.run_id()).unwrap()
    }

    #[test]
    fn a_superseded_image_goes_when_no_run_can_be_about_to_use_it() {
        let fresh = ListedImage { created: NOW - 60, ..ListedImage::default() };
        let old = ListedImage { created: NOW - SUPERSEDED_AGE - 1, ..ListedImage::default() };
        let prune = SweepOptions { kept_and_lost: true, ..SweepOptions::default() };
        let run = run_of("shop:1.4");
        assert!(!image_may_go(&fresh, &[], SweepOptions::default(), NOW));
        assert!(image_may_go(&old, &[], SweepOptions::default(), NOW));
        assert!(image_may_go(&fresh, &[], prune, NOW));
        assert!(!image_may_go(&fresh, &[&run], prune, NOW));
    }

    #[test]
    fn a_test_image_that_has_its_name_goes_on_request_unless_a_run_of_its_target_lives() {
        let image = ListedImage {
            tags: vec!["shop:1.4-test".into()],
            labels: BTreeMap::from([(ours::TARGET_NAME.to_owned(), "shop:1.4".to_owned())]),
            ..ListedImage::default()
        };
        let images = SweepOptions { kept_and_lost: true, images: true, dry_run: false };
        assert!(!image_may_go(&image, &[], SweepOptions { images: false, ..images }, NOW));
        assert!(image_may_go(&image, &[], images, NOW));
        assert!(image_may_go(&image, &[&run_of("other:1")], images, NOW));
        assert!(!image_may_go(&image, &[&run_of("shop:1.4")], images, NOW));
    }
}
