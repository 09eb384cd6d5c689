//! What becomes of a container whose test has ended: removed, or left to the user.
//!
//! Owns that one that cannot be kept is removed, with all that the ledger knows of it.

use super::attempt::AttemptContext;
use crate::engine::docker::Recorded;
use crate::engine::{EngineError, ResourceKind};
use crate::error::Failure;
use crate::ledger::KEPT_PREFIX;
use crate::plan::Keep;
use crate::results::Outcome;
use crate::results::verdict::Verdict;

/// Removes the container, or leaves it under a name that no sweep touches.
pub(super) async fn dispose(
    context: &AttemptContext<'_>,
    record: &Recorded,
    verdict: &Verdict,
) -> Option<String> {
    let keep = match context.plan.keep {
        Keep::Never => false,
        Keep::Failed => verdict.outcome != Outcome::Passed,
        Keep::Always => true,
    };
    if keep {
        match leave(context, record).await {
            Ok(kept) => return Some(kept),
            Err(error) => context.sink.warn(format!("the container could not be kept: {error}")),
        }
    }
    if let Err(error) = context.ledger.remove(context.engine, record).await {
        context.sink.warn(format!("{error}; the next run, or `docker-test prune`, removes it"));
    }
    None
}

/// Gives the container the name that no sweep touches, and returns that.
async fn leave(context: &AttemptContext<'_>, record: &Recorded) -> Result<String, Failure> {
    let kept = format!("{KEPT_PREFIX}{}", context.ledger.run_id());
    let permit = context.ledger.record(ResourceKind::Container, &kept)?;
    if let Err(error) = context.engine.rename(record.name(), &kept).await {
        // Where the engine said no, whatever has that name is somebody else's; where it said nothing, it may be ours.
        if matches!(
            error,
            EngineError::Refused { .. } | EngineError::Failed { .. } | EngineError::Missing { .. }
        ) {
            context.ledger.forget(&permit);
        }
        return Err(error.into());
    }
    context.ledger.keep(record)?;
    Ok(kept)
}
