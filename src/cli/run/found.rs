//! What the plans of one run have in common: each image and each directory is looked at once.
//!
//! Owns the sharing alone; who looks, and how, is handed in.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::OnceCell;

use crate::engine::{ContainerRecord, Image, ListedContainer};
use crate::error::Failure;
use crate::image::sources::DirectorySources;

/// Everything that was found so far.
#[derive(Default)]
pub(in crate::cli) struct Found {
    /// Images under test, by name, platform and pull policy.
    pub(super) targets: Shared<Arc<Image>>,
    /// Images that bear the names of test images.
    pub(super) test_images: Shared<Option<Arc<Image>>>,
    /// Keys that test images would have, by what they are made of.
    pub(super) keys: Shared<String>,
    /// Containers that are tests, by their ids.
    pub(super) records: Shared<Arc<ContainerRecord>>,
    /// All containers of the engine.
    pub(super) containers: Shared<Arc<Vec<ListedContainer>>>,
    /// Directories.
    pub(super) sources: Shared<Arc<DirectorySources>>,
}

/// Values that are made once, by whoever asks first.
pub(in crate::cli) struct Shared<T>(Mutex<HashMap<String, Once<T>>>);

/// A value that somebody makes, or has made.
type Once<T> = Arc<OnceCell<Result<T, Failure>>>;

impl<T> Default for Shared<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T: Clone> Shared<T> {
    /// The value of that key, or why there is none. Others wait while the first one looks.
    pub(super) async fn get(
        &self,
        key: String,
        look: impl AsyncFnOnce() -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let cell = Arc::clone(self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(key).or_default());
        cell.get_or_init(|| look()).await.clone()
    }
}
