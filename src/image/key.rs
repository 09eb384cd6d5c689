//! The key that tells an unchanged test image from one that must be rebuilt.
//!
//! Covers everything that a build depends on and that can be known without building.

use sha2::{Digest, Sha256};

use crate::engine::Image;

/// Everything that a test image is made of.
#[derive(Debug, Clone, Copy)]
pub struct Ingredients<'a> {
    /// Id of the image under test.
    pub target_id: &'a str,
    /// Dockerfile.test, rendered FROM a fixed name.
    pub dockerfile: &'a str,
    /// Digest of the build context.
    pub context: &'a str,
    /// Build flags that end up in the image, as their serialised form, and build arguments with their values.
    pub build: &'a str,
    /// `--build-arg` values.
    pub build_args: &'a [(&'a str, &'a str)],
    /// Platform.
    pub platform: &'a str,
    /// Name of the builder.
    pub builder: &'a str,
}

/// Bumped when docker-test changes how it makes a test image in a way that the rendered text does not show.
const RECIPE_VERSION: u32 = 1;

/// The key, as hexadecimal text.
#[must_use]
pub fn key(ingredients: &Ingredients<'_>) -> String {
    let mut hasher = Sha256::new();
    let mut field = |name: &str, value: &str| {
        // Lengths keep two neighbouring fields from running into each other.
        for part in [name, value] {
            hasher.update((part.len() as u64).to_be_bytes());
            hasher.update(part.as_bytes());
        }
    };
    field("version", &RECIPE_VERSION.to_string());
    field("target", ingredients.target_id);
    field("dockerfile", ingredients.dockerfile);
    field("context", ingredients.context);
    field("build", ingredients.build);
    for (name, value) in ingredients.build_args {
        field(name, value);
    }
    field("platform", ingredients.platform);
    field("builder", ingredients.builder);
    hex(&hasher.finalize())
}

/// What an image is, in terms that every engine shares: the id of one image differs between image stores.
#[must_use]
pub fn content(image: &Image) -> String {
    let Image { labels, layers, entrypoint, command, env, user, .. } = image;
    // Only maps with text keys and lists of text: writing them cannot fail.
    let text = serde_json::to_string(&(labels, layers, entrypoint, command, env, user)).unwrap_or_default();
    hex(&Sha256::digest(text.as_bytes()))
}

/// A digest in hexadecimal.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: Ingredients<'static> = Ingredients {
        target_id: "sha256:1",
        dockerfile: "FROM x",
        context: "c",
        build: "{}",
        build_args: &[("A", "1")],
        platform: "linux/amd64",
        builder: "BuildKit",
    };

    #[test]
    fn every_ingredient_changes_the_key() {
        let changed = [
            Ingredients { target_id: "sha256:2", ..BASE },
            Ingredients { dockerfile: "FROM y", ..BASE },
            Ingredients { context: "d", ..BASE },
            Ingredients { build: "{1}", ..BASE },
            Ingredients { build_args: &[("A", "2")], ..BASE },
            Ingredients { platform: "linux/arm64", ..BASE },
            Ingredients { builder: "classic builder", ..BASE },
        ];
        let mut keys: Vec<String> = changed.iter().map(key).collect();
        keys.push(key(&BASE));
        keys.sort();
        keys.dedup();
        assert_eq!(keys.len(), changed.len() + 1);
        assert_eq!(key(&BASE), key(&BASE));
    }

    #[test]
    fn content_is_the_same_under_another_id_and_not_after_a_change() {
        let image = Image { id: "sha256:1".to_owned(), layers: vec!["l".to_owned()], ..Image::default() };
        let stored_elsewhere = Image { id: "sha256:2".to_owned(), ..image.clone() };
        assert_eq!(content(&image), content(&stored_elsewhere));
        let changed = Image { env: vec!["A=b".to_owned()], ..image.clone() };
        assert_ne!(content(&image), content(&changed));
    }

    #[test]
    fn neighbouring_fields_do_not_run_into_each_other() {
        let a = Ingredients { target_id: "ab", dockerfile: "c", ..BASE };
        let b = Ingredients { target_id: "a", dockerfile: "bc", ..BASE };
        assert_ne!(key(&a), key(&b));
    }
}
