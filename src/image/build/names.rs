//! The names of a build: the private one of its target, and who bears the test image's.
//!
//! Owns that no name is taken from an image that is not docker-test's own, and that no test image is left behind
//! without one.

use super::{TestImageError, Workshop};
use crate::engine::docker::Recorded;
use crate::engine::{Image, ResourceKind};
use crate::error::Failure;
use crate::plan::TestPlan;

/// What FROM says so that nobody else can move it: a tag can change between inspect and build.
///
/// That is the id where the builder takes one, without `sha256:`, which would make it a name that can be pulled. Each
/// name that is made and removed is a chance for Podman to lose another name of the same image.
///
/// BuildKit takes no id, and gets a name of this run's own.
pub(super) async fn pin(workshop: &Workshop<'_>) -> Result<(String, Option<Recorded>), Failure> {
    if workshop.engine.capabilities().builds_from_id {
        return Ok((workshop.target.id.trim_start_matches("sha256:").to_owned(), None));
    }
    let nameless = workshop.target.tags.is_empty() && workshop.target.digests.is_empty();
    if nameless {
        return Ok((workshop.ledger.lend_name(workshop.engine, &workshop.target.id).await?, None));
    }
    let name = workshop.ledger.target_name();
    let record = workshop.ledger.record(ResourceKind::Tag, &name)?;
    workshop.engine.tag(&workshop.target.id, &record).await?;
    Ok((name, Some(record)))
}

/// Says it where the build failed because the image under test is gone.
pub(super) async fn explain_missing(workshop: &Workshop<'_>, plan: &TestPlan, failure: Failure) -> Failure {
    match workshop.engine.image(&workshop.target.id).await {
        Ok(None) => TestImageError::TargetGone { image: plan.image.clone() }.into(),
        Ok(Some(_)) | Err(_) => failure,
    }
}

/// What is no test of the target must not bear the name of one.
pub(super) async fn take_back(plan: &TestPlan, workshop: &Workshop<'_>) -> Result<(), Failure> {
    let record = workshop.ledger.record(ResourceKind::Tag, &plan.test_image)?;
    let removed = workshop.ledger.remove(workshop.engine, &record).await;
    if let Some(before) = workshop.existing {
        workshop.engine.tag(&before.id, &record).await?;
    }
    // From here on the name is an earlier test image's again, or nobody's.
    workshop.ledger.forget(&record);
    Ok(removed?)
}

/// Removes the image that bore the test image's name before, where nothing else names or uses it.
pub(super) async fn remove_superseded(workshop: &Workshop<'_>, new: &Image) {
    let Some(old) = workshop.existing else { return };
    if old.id == new.id {
        return;
    }
    // Asked again: it may have been given another name meanwhile.
    let nameless = match workshop.engine.image(&old.id).await {
        Ok(Some(old)) => old.tags.is_empty() && old.digests.is_empty(),
        Ok(None) | Err(_) => false,
    };
    if !nameless {
        return;
    }
    if let Ok(record) = workshop.ledger.record(ResourceKind::Image, &old.id) {
        // Another run may still use it: then that run's successor, or prune, removes it.
        let _ = workshop.ledger.remove(workshop.engine, &record).await;
        workshop.ledger.forget(&record);
    }
}
