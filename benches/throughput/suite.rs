//! A suite of tests that are all alike.

use std::fmt::Write;
use std::fs;
use std::path::PathBuf;

use crate::entry::Failure;
use crate::ground::{BASE, Ground, docker};

/// A suite, and where it is.
pub(crate) struct Suite {
    /// The image under test.
    pub(crate) image: String,
    /// Where docker-test finds it by itself.
    pub(crate) directory: PathBuf,
}

impl Suite {
    /// `count` tests of an image of their own, each of which runs `command`.
    pub(crate) fn write(
        ground: &Ground,
        name: &str,
        count: usize,
        command: &[&str],
    ) -> Result<Self, Failure> {
        let (image, directory) = (ground.image(name), ground.directory(name)?);
        docker(&["tag", BASE, &image])?;
        let mut text = String::from("version: 1\ntests:\n");
        for number in 1..=count {
            writeln!(text, "  test-{number}:\n    image: {image}\n    command: {command:?}")?;
        }
        fs::write(directory.join("docker-test.yaml"), text)?;
        Ok(Self { image, directory })
    }

    /// The image that its tests run in.
    pub(crate) fn test_image(&self) -> String {
        format!("{}-test", self.image)
    }
}
