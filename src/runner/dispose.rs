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

/// Takes the secrets out of the container, gives it the name that no sweep touches, and returns that.
async fn leave(context: &AttemptContext<'_>, record: &Recorded) -> Result<String, Failure> {
    context.secret_files.wipe(context.engine, record.name()).await?;
    let kept = kept_name(context.ledger.run_id(), record.name(), context.number);
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

/// The name of a container that is kept: of its run, and of its own name, where there may be others of that run. One of
/// a name that the user chose is told from the others of its test by its attempt.
fn kept_name(run: &str, own: &str, attempt: u32) -> String {
    let given = own.strip_prefix("docker-test-").and_then(|name| name.strip_prefix(run)?.strip_prefix('-'));
    let number = attempt.to_string();
    match given.unwrap_or(&number) {
        "1" => format!("{KEPT_PREFIX}{run}"),
        rest => format!("{KEPT_PREFIX}{run}-{rest}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_container_is_kept_under_its_runs_id_and_others_under_names_of_their_own() {
        let run = "00000001-abcdef";
        let kept = |own: &str, attempt| kept_name(run, own, attempt);
        assert_eq!(kept("docker-test-00000001-abcdef-1", 1), "docker-test-kept-00000001-abcdef");
        assert_eq!(kept("docker-test-00000001-abcdef-2", 2), "docker-test-kept-00000001-abcdef-2");
        assert_eq!(kept("docker-test-00000001-abcdef-2.1", 1), "docker-test-kept-00000001-abcdef-2.1");
        assert_eq!(kept("web", 1), "docker-test-kept-00000001-abcdef");
        assert_eq!(kept("web", 2), "docker-test-kept-00000001-abcdef-2");
        assert_eq!(kept("docker-test-00000001-abcdefg-2", 1), "docker-test-kept-00000001-abcdef");
    }
}
