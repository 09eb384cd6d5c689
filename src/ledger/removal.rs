//! The removal itself: what is to go goes in one order, by one piece of code, and is told with the reason where it
//! could not.

use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream;

use super::journal::FoundRun;
use crate::engine::docker::Recorded;
use crate::engine::{Engine, EngineError, ListedImage, ResourceKind};

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

/// Something that is to go.
#[derive(Debug)]
pub(super) struct Doomed {
    pub(super) kind: ResourceKind,
    pub(super) name: String,
    pub(super) run: Option<String>,
    pub(super) proviso: Proviso,
}

/// What has to be true still when its turn comes: others go on with their work meanwhile.
#[derive(Debug)]
pub(super) enum Proviso {
    /// Nothing: its run is dead.
    None,
    /// No run has come to use this test image.
    Unused(ListedImage),
    /// The image has a name besides this one.
    NamedOtherwise,
    /// No container that is left to the user holds it: it goes after that.
    Free,
}

impl Doomed {
    pub(super) fn of_run(kind: ResourceKind, name: String, run: &str) -> Self {
        Self { kind, name, run: Some(run.to_owned()), proviso: Proviso::None }
    }
}

/// Containers that are removed at the same time: each takes the engine a while, which it spends waiting.
const AT_A_TIME: usize = 8;

/// Waited between two tries at a network whose last container has just gone: 1.55 s in all.
const LETS_GO: [Duration; 5] = [
    Duration::from_millis(50),
    Duration::from_millis(100),
    Duration::from_millis(200),
    Duration::from_millis(400),
    Duration::from_millis(800),
];

/// When its turn comes, whatever order it was made in: containers hold networks, volumes and images.
pub(super) const fn stage(kind: ResourceKind) -> u8 {
    match kind {
        ResourceKind::Container => 0,
        ResourceKind::ComposeProject => 1,
        ResourceKind::Network => 2,
        ResourceKind::Volume => 3,
        ResourceKind::Tag => 4,
        ResourceKind::Image => 5,
    }
}

/// How many of a kind are removed at the same time.
pub(super) const fn at_a_time(kind: ResourceKind) -> usize {
    match kind {
        ResourceKind::Container => AT_A_TIME,
        _ => 1,
    }
}

/// Containers first, and each once.
pub(super) fn in_order(mut doomed: Vec<Doomed>) -> Vec<Doomed> {
    let key = |doomed: &Doomed| (stage(doomed.kind), doomed.kind);
    doomed.sort_by(|a, b| (key(a), &a.name).cmp(&(key(b), &b.name)));
    doomed.dedup_by(|a, b| (a.kind, &a.name) == (b.kind, &b.name));
    doomed
}

/// Takes the containers out of what is `in_order`, and removes them. What is left over is to be removed after them.
pub(super) async fn remove_containers(
    engine: &Engine,
    doomed: Vec<Doomed>,
    dry_run: bool,
) -> (Vec<Pruned>, Vec<Doomed>) {
    let (containers, others): (Vec<_>, Vec<_>) =
        doomed.into_iter().partition(|doomed| doomed.kind == ResourceKind::Container);
    let pruned = stream::iter(containers)
        .map(|container| remove(engine, container, dry_run))
        .buffered(AT_A_TIME)
        .filter_map(std::future::ready)
        .collect()
        .await;
    (pruned, others)
}

/// Removes what a dead run left and nobody waits for any more, and its journal with the last of it. What cannot be
/// removed now is left to a sweep.
pub(super) async fn remove_rest(engine: &Engine, found: &mut FoundRun) {
    let rest = found.open().into_iter().map(|(kind, name)| Doomed::of_run(kind, name, &found.record.run));
    let (mut pruned, others) = remove_containers(engine, in_order(rest.collect()), false).await;
    for entry in others {
        pruned.extend(remove(engine, entry, false).await);
    }
    if is_clean(&pruned, &found.record.run) {
        found.discard();
    }
}

/// Removes it; with `dry_run` it is only told. `None` where it turns out to be in use, and stays.
pub(super) async fn remove(engine: &Engine, doomed: Doomed, dry_run: bool) -> Option<Pruned> {
    let Doomed { kind, name, run, proviso } = doomed;
    let error = if dry_run {
        None
    } else {
        let record = Recorded::new(kind, name.clone());
        let record = match &run {
            Some(run) => record.of_run(run),
            None => record,
        };
        let held = matches!(proviso, Proviso::Free);
        until_let_go(kind, held, || engine.remove(&record)).await.err()
    };
    // A container that somebody keeps or runs needs it: it goes when that has gone.
    let may_stay = kind == ResourceKind::Image || matches!(proviso, Proviso::Free);
    let in_use = error.as_ref().is_some_and(|error| is_in_use(kind, error));
    (!(may_stay && in_use)).then_some(Pruned { kind, name, run, error })
}

/// Removes with `remove`, and tries again while a network or a volume is in use that no container of ours uses any more:
/// an engine lets go of what a container had a moment after it has told of the container's end. What is known to be
/// `held` is not waited for.
pub(super) async fn until_let_go<F>(
    kind: ResourceKind,
    held: bool,
    mut remove: impl FnMut() -> F,
) -> Result<(), EngineError>
where
    F: Future<Output = Result<(), EngineError>>,
{
    let mut outcome = remove().await;
    for wait in LETS_GO {
        let Err(error) = &outcome else { break };
        let is_let_go =
            matches!(kind, ResourceKind::Network | ResourceKind::ComposeProject | ResourceKind::Volume);
        if held || !is_let_go || !is_in_use(kind, error) {
            break;
        }
        tokio::time::sleep(wait).await;
        outcome = remove().await;
    }
    outcome
}

/// Whether a container is why it could not be removed. Of networks Docker says that it is forbidden.
pub(super) const fn is_in_use(kind: ResourceKind, error: &EngineError) -> bool {
    let EngineError::Refused { status, .. } = error else { return false };
    match kind {
        ResourceKind::Container => false,
        ResourceKind::Network | ResourceKind::ComposeProject => matches!(*status, 403 | 409),
        ResourceKind::Volume | ResourceKind::Tag | ResourceKind::Image => *status == 409,
    }
}

/// Whether everything of `run` has gone.
pub(super) fn is_clean(pruned: &[Pruned], run: &str) -> bool {
    pruned.iter().all(|entry| entry.error.is_none() || entry.run.as_deref() != Some(run))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_holds_something_goes_before_it_and_each_thing_once() {
        use ResourceKind::{Container, Image, Network, Tag, Volume};
        let made = [(Tag, "t"), (Volume, "v"), (Network, "n"), (Container, "b"), (Image, "i")];
        let again = [(Container, "a"), (Network, "n"), (Container, "b"), (Volume, "n")];
        let doomed = made.into_iter().chain(again);
        let doomed = doomed.map(|(kind, name)| Doomed::of_run(kind, name.to_owned(), "r")).collect();
        let order: Vec<_> = in_order(doomed).into_iter().map(|doomed| (doomed.kind, doomed.name)).collect();
        let expected = [
            (Container, "a"),
            (Container, "b"),
            (Network, "n"),
            (Volume, "n"),
            (Volume, "v"),
            (Tag, "t"),
            (Image, "i"),
        ];
        assert_eq!(order, expected.map(|(kind, name)| (kind, name.to_owned())));
    }

    fn in_use() -> EngineError {
        EngineError::Refused {
            operation: "remove",
            subject: "network x".to_owned(),
            status: 403,
            message: "has active endpoints".to_owned(),
        }
    }

    /// How often it is tried where it is in use for the first `tries` times, and whether it goes at last.
    async fn tried(kind: ResourceKind, held: bool, tries: usize) -> (usize, bool) {
        let mut count = 0;
        let outcome = until_let_go(kind, held, || {
            count += 1;
            std::future::ready(if count > tries { Ok(()) } else { Err(in_use()) })
        });
        let outcome = outcome.await;
        (count, outcome.is_ok())
    }

    #[tokio::test]
    async fn a_network_that_its_last_container_has_not_let_go_of_yet_is_tried_again() {
        assert_eq!(tried(ResourceKind::Network, false, 3).await, (4, true));
        assert_eq!(tried(ResourceKind::Network, false, 99).await, (6, false), "but not for ever");
        assert_eq!(tried(ResourceKind::Network, true, 3).await, (1, false), "one that is held stays anyway");
        assert_eq!(tried(ResourceKind::Volume, false, 3).await, (1, false));
    }

    #[test]
    fn a_network_in_use_is_forbidden_to_remove_and_anything_else_in_use_is_a_conflict() {
        let refused = |status| EngineError::Refused {
            operation: "remove",
            subject: "x".to_owned(),
            status,
            message: "has active endpoints".to_owned(),
        };
        assert!(is_in_use(ResourceKind::Network, &refused(403)));
        assert!(is_in_use(ResourceKind::Network, &refused(409)));
        assert!(is_in_use(ResourceKind::Volume, &refused(409)));
        assert!(!is_in_use(ResourceKind::Volume, &refused(403)), "a proxy that forbids is no user of it");
        assert!(!is_in_use(ResourceKind::Network, &refused(500)));
        assert!(!is_in_use(ResourceKind::Container, &refused(409)), "nothing holds a container");
    }
}
