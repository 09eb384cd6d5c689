//! What the connected engine can do, probed once when it is connected.
//!
//! Owns every difference between engines that callers have to know. Nothing else may ask which engine it is:
//! a new difference becomes a field here.

use std::collections::BTreeSet;

use serde::Serialize;

use super::docker::build::BuilderKind;
use crate::metadata::dockerfile::{Directive, Instruction};
use crate::metadata::recipe::{self, Feature};

/// A feature that an instruction needs and the builder lacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lack {
    /// Line of the instruction; 0 where none is known.
    pub line: u32,
    /// The feature.
    pub feature: Feature,
}

/// The facts that a plan is checked against.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[expect(clippy::struct_excessive_bools, reason = "each is one independent fact about an engine")]
pub struct Capabilities {
    /// Product and version for people: `Docker Engine 20.10.24`, `Podman 4.3.1`.
    pub product: String,
    /// API version in use.
    pub api_version: String,
    /// Name of the builder for people and for the rebuild key: `BuildKit`, `classic builder`, `Buildah`.
    pub builder: String,
    /// How the build call is made.
    #[serde(skip)]
    pub builder_kind: BuilderKind,
    /// `FROM` takes an image's id, and never a registry's image in its place; otherwise it takes a name alone.
    pub builds_from_id: bool,
    /// A `# syntax=` line makes the builder fetch a frontend of its own; otherwise it is a comment.
    pub loads_frontends: bool,
    /// Dockerfile features that the builder has.
    pub features: BTreeSet<Feature>,
    /// The image record holds ONBUILD triggers; otherwise the history is read.
    pub records_onbuild: bool,
    /// A container whose start failed bears the failure's exit code in its record.
    pub records_failed_start: bool,
    /// `OOMKilled` in the record can be believed; otherwise 137 under a memory limit is taken for it.
    pub records_out_of_memory: bool,
    /// Several networks can be named at creation (API 1.44); otherwise they are connected before the start.
    pub networks_at_creation: bool,
    /// Images have a digest only where they came from, or went to, a registry; otherwise all have one.
    pub records_origin: bool,
    /// The archive of a path begins with the path's last component; otherwise with `/`.
    pub archive_has_root: bool,
    /// An archive that is unpacked in a container may change the mode of the very directory that it is unpacked in.
    pub unpacks_mode_of_root: bool,
    /// The engine shares this machine's kernel and file system.
    pub local: bool,
}

impl Capabilities {
    /// Those of an engine that nobody has asked: nothing is refused, since nothing is known to be missing.
    #[must_use]
    pub fn unknown() -> Self {
        Self {
            product: "an engine".to_owned(),
            api_version: String::new(),
            builder: "any builder".to_owned(),
            builder_kind: BuilderKind::BuildKit,
            builds_from_id: false,
            loads_frontends: true,
            features: Feature::ALL.into_iter().collect(),
            records_onbuild: true,
            records_failed_start: true,
            records_out_of_memory: true,
            networks_at_creation: true,
            records_origin: true,
            archive_has_root: true,
            unpacks_mode_of_root: false,
            local: false,
        }
    }

    /// Those of `features` that the builder lacks.
    #[must_use]
    pub fn missing(&self, features: impl IntoIterator<Item = Feature>) -> Vec<Feature> {
        features.into_iter().filter(|feature| !self.features.contains(feature)).collect()
    }

    /// What instructions need and the builder lacks, in their order. `directives` are those of their file: of a
    /// frontend that a `# syntax=` line brings along, nothing is known here.
    #[must_use]
    pub fn lacks<'i>(
        &self,
        directives: &[Directive],
        instructions: impl IntoIterator<Item = &'i Instruction>,
    ) -> Vec<Lack> {
        if self.loads_frontends && directives.iter().any(|directive| directive.name == "syntax") {
            return Vec::new();
        }
        let lacks = instructions.into_iter().flat_map(|instruction| {
            let line = instruction.line;
            recipe::features(instruction).into_iter().map(move |feature| Lack { line, feature })
        });
        lacks.filter(|lack| !self.features.contains(&lack.feature)).collect()
    }
}
