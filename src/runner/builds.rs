//! Test images of one run: each is found or built once, however many tests run it.
//!
//! Owns who builds and who waits. Tests that would build the same image wait for the first of them, and share what
//! became of it, an error too.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use sha2::{Digest, Sha256};
use tokio::sync::OnceCell;

use crate::error::Failure;
use crate::image::build::{self, BuiltTest, Workshop};
use crate::plan::TestPlan;
use crate::signal;

type Shared = Arc<OnceCell<Result<BuiltTest, Failure>>>;

/// The test images of a run.
#[derive(Debug, Default)]
pub struct Builds(Mutex<HashMap<String, Shared>>);

impl Builds {
    /// Finds or builds the test image of a plan, or waits for whoever does so already.
    pub async fn ensure(
        &self,
        plan: &TestPlan,
        workshop: &Workshop<'_>,
        interrupts: &signal::Receiver,
    ) -> Result<BuiltTest, Failure> {
        let cell = {
            let mut cells = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(cells.entry(Self::identity(plan)).or_default())
        };
        cell.get_or_init(|| build::ensure(plan, workshop, interrupts)).await.clone()
    }

    /// Forgets what was built: somebody else has removed it.
    pub fn forget(&self, plan: &TestPlan) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&Self::identity(plan));
    }

    /// Tells test images apart: a digest of everything in a plan that one is made of.
    #[must_use]
    pub fn identity(plan: &TestPlan) -> String {
        let mut hash = Sha256::new();
        let context = serde_json::to_string(&plan.context).unwrap_or_default();
        let flags = serde_json::to_string(&plan.build).unwrap_or_default();
        let parts = [&plan.test_image, &plan.image_id, &plan.dockerfile, &context, &flags];
        let arguments = plan.build.build_args.iter().flat_map(|(name, value)| [name, value]);
        for part in parts.into_iter().chain(arguments) {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}
