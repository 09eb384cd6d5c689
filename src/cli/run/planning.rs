//! From a request to a plan: the image under test is obtained, and what the user's directory says is read.

use std::sync::Arc;

use super::super::application::Running;
use super::found::Found;
use super::request::Prepared;
use crate::engine::{Engine, Image};
use crate::error::Failure;
use crate::image::context::at_hand;
use crate::image::sources::DirectorySources;
use crate::plan::{self, Facts, TestPlan};
use crate::runner::Sink;

/// The image under test, the plan, and the image that bears the test image's name now.
pub(in crate::cli) type Planned = (Arc<Image>, TestPlan, Option<Arc<Image>>);

impl Prepared {
    /// Obtains the target and makes the plan.
    pub(in crate::cli) async fn plan(
        &self,
        engine: &Engine,
        app: &Running,
        sink: &Sink,
        found: &Found,
    ) -> Result<Planned, Failure> {
        let target = found
            .targets
            .get(self.target_key(), async || Ok(Arc::new(self.obtain(engine, app, sink).await?)));
        let name = &self.request.test_image;
        let existing =
            found.test_images.get(name.clone(), async || Ok(engine.image(name).await?.map(Arc::new)));
        let (target, existing) = tokio::join!(target, existing);
        let (target, mut existing) = (target?, existing?);
        let read = async || Ok(Arc::new(self.read_sources(app).await?));
        let directory: Arc<DirectorySources> = found.sources.get(self.sources_key(), read).await?;
        let resolve = |existing: &Option<Arc<Image>>, files_at_hand| {
            plan::resolve(
                &self.request,
                &Facts {
                    target: &target,
                    test_image: existing.as_deref(),
                    directory: &directory,
                    capabilities: engine.capabilities(),
                    files_at_hand,
                },
            )
        };
        let plan = match resolve(&existing, true) {
            Err(error) if error.asks_for_the_test_image() && existing.is_none() => {
                existing = self.pull_test_image(engine, app, sink).await.map(Arc::new);
                if existing.is_none() {
                    return Err(error.into());
                }
                resolve(&existing, true)?
            }
            other => other?,
        };
        // A recipe that names files of its author's directory says nothing about this one.
        let lost = existing.is_some() && plan.source.came_with_the_image() && !directory.explicit;
        let plan = match &plan.context.directory {
            Some(root) if lost && !at_hand(root, &plan.context.needs, &app.interrupts).await? => {
                resolve(&existing, false)?
            }
            _ => plan,
        };
        Ok((target, plan, existing))
    }
}
