//! Where the recipe comes from, first that applies.

use serde::Serialize;

/// The source of a recipe. The serialised names are part of `inspect`'s schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// The image label `test.ontest`.
    Label,
    /// ONBUILD triggers in the image's configuration.
    Onbuild,
    /// A Dockerfile.test of the author's own.
    Recipe,
    /// ONTEST lines in a Dockerfile.
    Dockerfile,
    /// The image's own test command: `test.cmd`, or what follows `--`.
    Command,
    /// A test image that was built elsewhere and names this target.
    TestImage,
    /// A container that a deployment created: its own command.
    Container,
}

impl Source {
    /// The serialised name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Label => "label",
            Self::Onbuild => "onbuild",
            Self::Recipe => "recipe",
            Self::Dockerfile => "dockerfile",
            Self::Command => "command",
            Self::TestImage => "test-image",
            Self::Container => "container",
        }
    }

    /// True where the recipe came with the image and not from the user's directory.
    #[must_use]
    pub const fn came_with_the_image(self) -> bool {
        matches!(self, Self::Label | Self::Onbuild)
    }
}
