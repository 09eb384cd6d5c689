//! `prune RUN_ID…`: removes what the named runs left, and nothing else.
//!
//! Owns the refusals: a run that lives, or may, is never touched, and nothing is removed unless all that were named can
//! be.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::journal::{FoundRun, list_runs};
use super::removal::{Doomed, Pruned, in_order, is_clean, remove, remove_containers};
use super::sweep::{SweepOptions, may_go, written_down};
use super::{TARGET_REPOSITORY, run_of_target};
use crate::engine::{Engine, EngineError, OwnedResource, ResourceKind};
use crate::error::{Category, Diagnose};
use crate::metadata::labels::ours;

/// The named runs cannot be pruned.
#[derive(Debug, thiserror::Error)]
pub enum PruneError {
    /// Neither a journal nor anything on the engine says that id.
    #[error("there is no run {run}: {}", listed(.known))]
    Unknown {
        /// As the user wrote it.
        run: String,
        /// Those that there are.
        known: Vec<String>,
    },
    /// Its process lives, or may.
    #[error("run {run} is alive, or may be: it is left alone")]
    Alive {
        /// The run.
        run: String,
    },
    /// What it left is elsewhere.
    #[error("what run {run} left is on the engine at {engine}, and this is {connected}")]
    OtherEngine {
        /// The run.
        run: String,
        /// Where it ran.
        engine: String,
        /// Where we are.
        connected: String,
    },
    /// The engine does not say what it has.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

fn listed(runs: &[String]) -> String {
    if runs.is_empty() { "none is known".to_owned() } else { format!("known are {}", runs.join(", ")) }
}

impl Diagnose for PruneError {
    fn category(&self) -> Category {
        match self {
            Self::Engine(error) => error.category(),
            Self::Unknown { .. } | Self::Alive { .. } | Self::OtherEngine { .. } => Category::User,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Unknown { .. } => Some(
                "a run that left nothing is not known any more; `docker-test prune --dry-run` shows what each left"
                    .to_owned(),
            ),
            Self::Alive { .. } => Some(
                "end it with Ctrl-C or SIGTERM; one of another host is taken for dead once its deadline is over"
                    .to_owned(),
            ),
            Self::OtherEngine { run, engine, .. } => {
                Some(format!("connect to it: docker-test prune -H {engine} {run}"))
            }
            Self::Engine(error) => error.hint(),
        }
    }
}

/// Whoever names a run wants all of it gone.
const PRUNE: SweepOptions = SweepOptions { kept_and_lost: true, images: false, dry_run: false };

/// Everything that is known of runs, here and on the engine.
struct Known {
    journals: BTreeMap<String, FoundRun>,
    owned: Vec<OwnedResource>,
}

/// Removes what `runs` left on `engine`; `now` is in Unix seconds.
pub async fn prune(
    state: &Path,
    engine: &Engine,
    runs: &[String],
    dry_run: bool,
    now: u64,
) -> Result<Vec<Pruned>, PruneError> {
    let known = Known {
        journals: list_runs(state).into_iter().map(|found| (found.record.run.clone(), found)).collect(),
        owned: engine.owned(ours::RUN).await?,
    };
    let tags = engine.tags_of_repository(TARGET_REPOSITORY).await?;
    let mut doomed = Vec::new();
    for run in runs {
        known.check(run, engine.address(), now)?;
        doomed.extend(known.journals.get(run).into_iter().flat_map(|found| written_down(found, PRUNE)));
        let resources = known.of(run).map(|resource| (resource.kind, resource.name.clone()));
        let tags = tags.iter().filter(|tag| run_of_target(tag) == Some(run));
        let tags = tags.map(|tag| (ResourceKind::Tag, tag.clone()));
        doomed.extend(resources.chain(tags).map(|(kind, name)| Doomed::of_run(kind, name, run)));
    }
    let (mut pruned, others) = remove_containers(engine, in_order(doomed), dry_run).await;
    for entry in others {
        pruned.extend(remove(engine, entry, dry_run).await);
    }
    if !dry_run {
        let journals = runs.iter().filter_map(|run| known.journals.get(run));
        journals.filter(|found| is_clean(&pruned, &found.record.run)).for_each(FoundRun::discard);
    }
    Ok(pruned)
}

impl Known {
    fn of<'a>(&'a self, run: &'a str) -> impl Iterator<Item = &'a OwnedResource> {
        self.owned.iter().filter(move |resource| resource.labels.get(ours::RUN).is_some_and(|of| of == run))
    }

    fn check(&self, run: &str, engine: &str, now: u64) -> Result<(), PruneError> {
        let journal = self.journals.get(run);
        if journal.is_none() && self.of(run).next().is_none() {
            return Err(PruneError::Unknown { run: run.to_owned(), known: self.ids() });
        }
        let lives = journal.is_some_and(|found| found.is_alive(now))
            || self.of(run).any(|resource| !may_go(resource, journal, PRUNE, now));
        if lives {
            return Err(PruneError::Alive { run: run.to_owned() });
        }
        match journal {
            Some(found) if found.record.engine != engine => Err(PruneError::OtherEngine {
                run: run.to_owned(),
                engine: found.record.engine.clone(),
                connected: engine.to_owned(),
            }),
            _ => Ok(()),
        }
    }

    fn ids(&self) -> Vec<String> {
        let labelled = self.owned.iter().filter_map(|resource| resource.labels.get(ours::RUN));
        self.journals.keys().chain(labelled).cloned().collect::<BTreeSet<_>>().into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::{Owner, RunLedger};

    const ENGINE: &str = "unix:///e.sock";

    fn container(run: &str, owner: &str, deadline: u64) -> OwnedResource {
        let labels = [
            (ours::RUN, run.to_owned()),
            (ours::OWNER, owner.to_owned()),
            (ours::DEADLINE, deadline.to_string()),
        ];
        OwnedResource {
            kind: ResourceKind::Container,
            name: format!("docker-test-{run}-1"),
            labels: labels.map(|(name, value)| (name.to_owned(), value)).into(),
            running: true,
        }
    }

    #[test]
    fn a_living_run_is_refused_and_an_unknown_one_is_told_with_those_that_are_known() {
        let state = tempfile::tempdir().unwrap();
        let longest = std::time::Duration::from_mins(1);
        let ledger = RunLedger::begin(state.path(), ENGINE, "shop", None, longest).unwrap();
        let living = ledger.run_id().to_owned();
        let journals: BTreeMap<_, _> =
            list_runs(state.path()).into_iter().map(|found| (found.record.run.clone(), found)).collect();
        let this = Owner::of_this_process().to_string();
        let owned = vec![
            container("00000001-aaaaaa", "other/1/2/3", 100),
            container("00000002-bbbbbb", &this, 1),
            container("00000003-cccccc", "nonsense", 100),
        ];
        let known = Known { journals, owned };
        let check = |run: &str, now| known.check(run, ENGINE, now);
        assert!(matches!(check(&living, 1), Err(PruneError::Alive { .. })));
        assert!(matches!(check("00000001-aaaaaa", 100), Err(PruneError::Alive { .. })));
        assert!(check("00000001-aaaaaa", 101).is_ok());
        assert!(matches!(check("00000002-bbbbbb", 101), Err(PruneError::Alive { .. })));
        let error = check("00000009-ffffff", 1).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("00000009-ffffff") && text.contains("00000001-aaaaaa, "), "{text}");
        assert!(text.contains(&living), "{text}");
    }

    #[test]
    fn a_run_of_another_engine_is_told_with_that_engine() {
        let state = tempfile::tempdir().unwrap();
        let longest = std::time::Duration::from_mins(1);
        let run = RunLedger::begin(state.path(), ENGINE, "shop", None, longest).unwrap().run_id().to_owned();
        let mut found = crate::ledger::find_run(state.path(), &run).unwrap();
        found.record.owner = "other/1/2/3".to_owned();
        let known = Known { journals: BTreeMap::from([(run.clone(), found)]), owned: Vec::new() };
        let error = known.check(&run, "unix:///other.sock", 1).unwrap_err();
        assert!(error.to_string().contains(ENGINE), "{error}");
        assert!(error.hint().unwrap().contains(&run));
        assert!(known.check(&run, ENGINE, 1).is_ok());
    }
}
