//! Which builder an engine has, and which Dockerfile features that builder can read.
//!
//! Owns the table of features by engine version. The frontend meant is the one built into the engine: a `# syntax`
//! line brings its own, where a registry answers.

use std::collections::BTreeSet;

use crate::engine::greeting::Greeting;
use crate::metadata::recipe::Feature;

/// The three builders behind the build call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BuilderKind {
    /// BuildKit inside the Docker engine.
    BuildKit,
    /// The Docker engine's older builder.
    Classic,
    /// Podman's builder behind its Docker-compatible API.
    Buildah,
}

impl BuilderKind {
    /// True where the builder asks for the context file by file, instead of being sent an archive.
    #[must_use]
    pub const fn synchronises(self) -> bool {
        matches!(self, Self::BuildKit)
    }

    /// True where FROM takes an image's id. BuildKit asks a registry for an image of that name.
    #[must_use]
    pub const fn builds_from_id(self) -> bool {
        matches!(self, Self::Classic | Self::Buildah)
    }

    /// True where a `# syntax=` line is more than a comment.
    #[must_use]
    pub const fn loads_frontends(self) -> bool {
        matches!(self, Self::BuildKit)
    }

    /// The name for people, and for the key of an unchanged image.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::BuildKit => "BuildKit",
            Self::Classic => "classic builder",
            Self::Buildah => "Buildah",
        }
    }
}

/// The builder that an engine is to be asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Builder {
    /// Which one.
    pub kind: BuilderKind,
    /// What its Dockerfile frontend can read, and what this API can grant it.
    pub features: BTreeSet<Feature>,
}

/// Which builder to use.
///
/// BuildKit is in every Linux engine of API 1.39 or newer, whether it recommends it or not: older engines say nothing
/// about their builder, and an administrator can make a newer one recommend the classic builder, which is heeded.
#[must_use]
pub fn builder_of(greeting: &Greeting) -> Builder {
    let kind = if greeting.podman {
        BuilderKind::Buildah
    } else {
        docker_builder(&greeting.api_version, &greeting.os, &greeting.builder_version)
    };
    Builder { kind, features: builder_features(kind, &greeting.version) }
}

fn docker_builder(api_version: &str, os: &str, recommended: &str) -> BuilderKind {
    let old = numbers(api_version).is_none_or(|api| api < (1, 39));
    if old || os == "windows" || recommended == "1" { BuilderKind::Classic } else { BuilderKind::BuildKit }
}

/// What the builder of an engine of that version can read.
///
/// A version that cannot be understood counts as the oldest one: a feature wrongly believed to be there would let
/// a heredoc be read as instructions.
#[must_use]
pub fn builder_features(kind: BuilderKind, engine_version: &str) -> BTreeSet<Feature> {
    let version = numbers(engine_version).unwrap_or_default();
    let table: &[((u32, u32), &[Feature])] = match kind {
        BuilderKind::Classic => &[],
        BuilderKind::BuildKit => BUILDKIT,
        BuilderKind::Buildah => BUILDAH,
    };
    table.iter().filter(|(since, _)| version >= *since).flat_map(|(_, features)| *features).copied().collect()
}

/// By version of the Docker engine. `RunSecurity` and `RunDevice` are in none: newer frontends read the flags, but the
/// build call of the engine's API cannot grant the entitlements that they need.
const BUILDKIT: &[((u32, u32), &[Feature])] = &[
    // BuildKit 0.8, Dockerfile 1.2
    (
        (20, 10),
        &[
            Feature::MountBind,
            Feature::MountCache,
            Feature::MountSecret,
            Feature::MountSsh,
            Feature::MountTmpfs,
            Feature::CopyChmod,
        ],
    ),
    // BuildKit 0.10, Dockerfile 1.4
    ((23, 0), &[Feature::Heredoc, Feature::CopyLink, Feature::RunNetwork]),
    // BuildKit 0.12, Dockerfile 1.6
    ((25, 0), &[Feature::AddChecksum, Feature::AddGit, Feature::AddKeepGitDir]),
    // BuildKit 0.23, Dockerfile 1.17
    ((28, 3), &[Feature::AddUnpack]),
    // BuildKit 0.25, Dockerfile 1.19
    ((28, 5), &[Feature::CopyExclude]),
    // BuildKit 0.26, Dockerfile 1.20
    ((29, 1), &[Feature::CopyParents]),
];

/// By version of Podman. `MountSsh` is in none: Podman's API cannot forward an agent.
const BUILDAH: &[((u32, u32), &[Feature])] = &[
    (
        (4, 0),
        &[
            Feature::MountBind,
            Feature::MountCache,
            Feature::MountSecret,
            Feature::MountTmpfs,
            Feature::CopyChmod,
        ],
    ),
    ((4, 5), &[Feature::RunNetwork]),
    ((4, 8), &[Feature::Heredoc, Feature::AddChecksum]),
    ((5, 2), &[Feature::CopyLink, Feature::CopyExclude]),
    ((5, 3), &[Feature::AddGit, Feature::AddKeepGitDir]),
    ((5, 5), &[Feature::CopyParents]),
];

/// The first two numbers of a version such as `20.10.24+dfsg1`.
fn numbers(version: &str) -> Option<(u32, u32)> {
    let mut parts = version.trim_start_matches('v').split(|letter: char| !letter.is_ascii_digit());
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buildkit_is_used_wherever_it_is_unless_the_administrator_says_otherwise() {
        assert_eq!(docker_builder("1.41", "linux", ""), BuilderKind::BuildKit);
        assert_eq!(docker_builder("1.51", "linux", "2"), BuilderKind::BuildKit);
        assert_eq!(docker_builder("1.51", "linux", "1"), BuilderKind::Classic);
        assert_eq!(docker_builder("1.38", "linux", ""), BuilderKind::Classic);
        assert_eq!(docker_builder("1.41", "windows", ""), BuilderKind::Classic);
        assert_eq!(docker_builder("", "linux", ""), BuilderKind::Classic);
    }

    #[test]
    fn a_podman_builds_with_buildah_whatever_its_api_says() {
        let podman =
            Greeting { podman: true, api_version: "1.41".into(), os: "linux".into(), ..Greeting::default() };
        assert_eq!(builder_of(&podman).kind, BuilderKind::Buildah);
    }

    #[test]
    fn features_grow_with_the_version_and_are_never_lost() {
        for kind in [BuilderKind::BuildKit, BuilderKind::Buildah] {
            let mut last = BTreeSet::new();
            for version in ["4.3.1", "5.2.0", "19.3", "20.10.24+dfsg1", "23.0.0", "25.0", "28.4", "29.7.2"] {
                let features = builder_features(kind, version);
                assert!(last.is_subset(&features), "{kind:?} {version}");
                last = features;
            }
        }
    }

    #[test]
    fn heredocs_are_where_they_were_seen_and_nowhere_else() {
        let has = |kind, version| builder_features(kind, version).contains(&Feature::Heredoc);
        assert!(!has(BuilderKind::BuildKit, "20.10.24+dfsg1") && has(BuilderKind::BuildKit, "23.0.0"));
        assert!(!has(BuilderKind::Buildah, "4.3.1") && has(BuilderKind::Buildah, "4.8.0"));
        assert!(!has(BuilderKind::Classic, "29.0.0"));
        for unknown in ["", "dev", "master-abc"] {
            assert!(!has(BuilderKind::BuildKit, unknown) && !has(BuilderKind::Buildah, unknown));
        }
    }

    #[test]
    fn the_classic_builder_has_none_of_the_features() {
        assert!(builder_features(BuilderKind::Classic, "28.0.0").is_empty());
    }
}
