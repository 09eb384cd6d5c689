//! What a recipe needs that not every builder has.
//!
//! Owns the names of builder features and how an instruction shows that it needs one. Which builder has which is
//! the engine's knowledge.

use std::collections::BTreeSet;
use std::fmt;

use serde::Serialize;

use crate::metadata::dockerfile::{Flag, Instruction};

/// Something in a recipe that not every builder can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Feature {
    /// `<<NAME`
    Heredoc,
    /// `RUN --mount=type=bind`, which is also what a mount without a type is.
    MountBind,
    /// `RUN --mount=type=cache`
    MountCache,
    /// `RUN --mount=type=secret`
    MountSecret,
    /// `RUN --mount=type=ssh`
    MountSsh,
    /// `RUN --mount=type=tmpfs`
    MountTmpfs,
    /// `RUN --network`
    RunNetwork,
    /// `RUN --security`
    RunSecurity,
    /// `RUN --device`
    RunDevice,
    /// `COPY --link`, `ADD --link`
    CopyLink,
    /// `COPY --chmod`, `ADD --chmod`
    CopyChmod,
    /// `COPY --parents`
    CopyParents,
    /// `COPY --exclude`, `ADD --exclude`
    CopyExclude,
    /// `ADD --checksum`
    AddChecksum,
    /// `ADD` of a Git repository
    AddGit,
    /// `ADD --keep-git-dir`
    AddKeepGitDir,
    /// `ADD --unpack`
    AddUnpack,
}

impl Feature {
    /// All of them.
    pub const ALL: [Self; 17] = [
        Self::Heredoc,
        Self::MountBind,
        Self::MountCache,
        Self::MountSecret,
        Self::MountSsh,
        Self::MountTmpfs,
        Self::RunNetwork,
        Self::RunSecurity,
        Self::RunDevice,
        Self::CopyLink,
        Self::CopyChmod,
        Self::CopyParents,
        Self::CopyExclude,
        Self::AddChecksum,
        Self::AddGit,
        Self::AddKeepGitDir,
        Self::AddUnpack,
    ];

    const MOUNTS: [Self; 5] =
        [Self::MountBind, Self::MountCache, Self::MountSecret, Self::MountSsh, Self::MountTmpfs];
}

impl fmt::Display for Feature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Heredoc => "heredoc (<<NAME)",
            Self::MountBind => "RUN --mount=type=bind",
            Self::MountCache => "RUN --mount=type=cache",
            Self::MountSecret => "RUN --mount=type=secret",
            Self::MountSsh => "RUN --mount=type=ssh",
            Self::MountTmpfs => "RUN --mount=type=tmpfs",
            Self::RunNetwork => "RUN --network",
            Self::RunSecurity => "RUN --security",
            Self::RunDevice => "RUN --device",
            Self::CopyLink => "COPY --link",
            Self::CopyChmod => "COPY --chmod",
            Self::CopyParents => "COPY --parents",
            Self::CopyExclude => "COPY --exclude",
            Self::AddChecksum => "ADD --checksum",
            Self::AddGit => "ADD of a Git repository",
            Self::AddKeepGitDir => "ADD --keep-git-dir",
            Self::AddUnpack => "ADD --unpack",
        })
    }
}

/// The builder features that an instruction needs, each once, in the order of [`Feature`].
///
/// A mount whose type is a variable may be of any type, and needs them all.
#[must_use]
pub fn features(instruction: &Instruction) -> Vec<Feature> {
    let mut needed = BTreeSet::new();
    if !instruction.heredocs.is_empty() {
        needed.insert(Feature::Heredoc);
    }
    for flag in &instruction.flags {
        match (instruction.keyword.as_str(), flag.name.as_str()) {
            ("RUN", "mount") => needed.extend(mount_features(flag)),
            ("RUN", "network") => _ = needed.insert(Feature::RunNetwork),
            ("RUN", "security") => _ = needed.insert(Feature::RunSecurity),
            ("RUN", "device") => _ = needed.insert(Feature::RunDevice),
            ("ADD" | "COPY", "link") => _ = needed.insert(Feature::CopyLink),
            ("ADD" | "COPY", "chmod") => _ = needed.insert(Feature::CopyChmod),
            ("ADD" | "COPY", "parents") => _ = needed.insert(Feature::CopyParents),
            ("ADD" | "COPY", "exclude") => _ = needed.insert(Feature::CopyExclude),
            ("ADD", "checksum") => _ = needed.insert(Feature::AddChecksum),
            ("ADD", "keep-git-dir") => _ = needed.insert(Feature::AddKeepGitDir),
            ("ADD", "unpack") => _ = needed.insert(Feature::AddUnpack),
            _ => {}
        }
    }
    if instruction.keyword == "ADD" {
        let words = instruction.words();
        let sources = words.split_last().map_or(&[][..], |(_, sources)| sources);
        if sources.iter().any(|source| is_git(source)) {
            needed.insert(Feature::AddGit);
        }
    }
    needed.into_iter().collect()
}

fn mount_features(flag: &Flag) -> Vec<Feature> {
    let mut kind = "bind".to_owned();
    for field in flag.value.as_deref().unwrap_or_default().split(',') {
        if let Some((key, value)) = field.trim().trim_matches('"').split_once('=')
            && key.eq_ignore_ascii_case("type")
        {
            kind = value.to_ascii_lowercase();
        }
    }
    match kind.as_str() {
        "bind" => vec![Feature::MountBind],
        "cache" => vec![Feature::MountCache],
        "secret" => vec![Feature::MountSecret],
        "ssh" => vec![Feature::MountSsh],
        "tmpfs" => vec![Feature::MountTmpfs],
        _ if kind.contains('$') => Feature::MOUNTS.to_vec(),
        // Unknown to this program: the builder will say so.
        _ => Vec::new(),
    }
}

/// Whether ADD would clone it: `git@host:path`, `git://…`, `ssh://…`, `https://….git` with or without `#ref`.
fn is_git(source: &str) -> bool {
    if source.starts_with("git@") || source.starts_with("git://") || source.starts_with("ssh://") {
        return true;
    }
    let Some((scheme, address)) = source.split_once("://") else { return false };
    let path = address.split(['#', '?']).next().unwrap_or_default();
    matches!(scheme, "http" | "https")
        && path.rsplit_once('.').is_some_and(|(_, extension)| extension == "git")
}
