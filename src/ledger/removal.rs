//! The removal itself: what is to go goes in one order, by one piece of code, and is told with the reason where it
//! could not.

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
}

impl Doomed {
    pub(super) fn of_run(kind: ResourceKind, name: String, run: &str) -> Self {
        Self { kind, name, run: Some(run.to_owned()), proviso: Proviso::None }
    }
}

/// Containers first, and each once.
pub(super) fn in_order(mut doomed: Vec<Doomed>) -> Vec<Doomed> {
    doomed.sort_by(|a, b| (a.kind, &a.name).cmp(&(b.kind, &b.name)));
    doomed.dedup_by(|a, b| (a.kind, &a.name) == (b.kind, &b.name));
    doomed
}

/// Removes it; with `dry_run` it is only told. `None` where it turns out to be in use, and stays.
pub(super) async fn remove(engine: &Engine, doomed: Doomed, dry_run: bool) -> Option<Pruned> {
    let Doomed { kind, name, run, .. } = doomed;
    let error = if dry_run {
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
    (!(in_use && kind == ResourceKind::Image)).then_some(Pruned { kind, name, run, error })
}

/// Whether everything of `run` has gone.
pub(super) fn is_clean(pruned: &[Pruned], run: &str) -> bool {
    pruned.iter().all(|entry| entry.error.is_none() || entry.run.as_deref() != Some(run))
}
