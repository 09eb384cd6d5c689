//! `--build-pull`: newer versions of the images that a recipe is built from, the image under test left out.
//!
//! A builder that is told to pull pulls everything, and what FROM says of the image under test is known to this engine
//! alone. So the others are pulled here, and the builder takes what is there.

use std::time::Duration;

use super::{TestImageError, Workshop};
use crate::engine::docker::PullProgress;
use crate::engine::reference::Reference;
use crate::error::Failure;
use crate::image::context::base_images;
use crate::image::template::TEST_IMAGE_ARGUMENT;
use crate::metadata::dockerfile;
use crate::plan::{PINNED_PLACEHOLDER, TestPlan};
use crate::runner::event::RunEvent;
use crate::signal;

/// A pull without a limit still ends: an engine that is gone breaks the connection.
const UNLIMITED: Duration = Duration::from_hours(24);

/// Pulls the recipe's other images, where the user asks for it.
pub(super) async fn refresh(
    plan: &TestPlan,
    workshop: &Workshop<'_>,
    interrupts: &signal::Receiver,
) -> Result<(), Failure> {
    if !plan.build.pull {
        return Ok(());
    }
    let mut interrupts = interrupts.clone();
    tokio::select! {
        biased;
        state = signal::wait_for(&mut interrupts, 1) => {
            Err(TestImageError::Interrupted { image: plan.test_image.clone(), signal: state.signal }.into())
        }
        pulled = pull(plan, workshop) => pulled,
    }
}

async fn pull(plan: &TestPlan, workshop: &Workshop<'_>) -> Result<(), Failure> {
    let text = plan.render(PINNED_PLACEHOLDER)?.text;
    // What cannot be read fails in the builder, with its own words.
    let Ok(parsed) = dockerfile::parse(text.as_bytes()) else { return Ok(()) };
    let mut arguments = plan.build.build_args.clone();
    arguments.insert(TEST_IMAGE_ARGUMENT.to_owned(), PINNED_PLACEHOLDER.to_owned());
    for name in base_images(&parsed, &arguments).iter().filter(|name| *name != PINNED_PLACEHOLDER) {
        let Ok(reference) = Reference::parse(name) else { continue };
        let auth = match reference.registry() {
            Some(registry) => workshop.logins.for_registry(registry, &workshop.sink).await?,
            None => continue,
        };
        let progress = |line: PullProgress| {
            workshop.sink.progress(RunEvent::PullProgress {
                layer: line.layer,
                status: line.status,
                current: line.current,
                total: line.total,
            });
        };
        let (platform, limit) = (plan.build.platform.as_deref(), plan.limits.pull.unwrap_or(UNLIMITED));
        workshop.engine.pull(&reference.resolved(), platform, auth.as_ref(), limit, progress).await?;
    }
    Ok(())
}
