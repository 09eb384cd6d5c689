//! Image references as Docker writes them, and the name of the test image that belongs to one.
//!
//! Owns the grammar and Docker's normalisation (`shop` is `docker.io/library/shop`). Asks no engine whether a name
//! exists.

mod grammar;

use std::fmt;

use sha2::{Digest as _, Sha256};

use crate::error::{Category, Diagnose};
use grammar::{is_id, name};

const DOCKER_HUB: &str = "docker.io";
const LONGEST_TAG: usize = 128;
const SUFFIX: &str = "-test";
/// As many hexadecimal digits of a digest as people compare.
const SHORT: usize = 12;
/// The repository of test images whose target has no name.
const NAMELESS: &str = "docker-test/nameless";

/// A name with tag and digest, or an image's id. Its `Display` is Docker's familiar form: without `docker.io/library`
/// and without a tag that was not given.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Reference {
    kind: Kind,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Kind {
    /// As written; with or without `sha256:`.
    Id(String),
    Name {
        /// Registry's host, maybe with a port.
        domain: String,
        path: String,
        tag: Option<String>,
        /// `algorithm:hex`
        digest: Option<String>,
    },
}

/// Why a text is no image reference.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no image reference: {reason}")]
pub struct ReferenceError {
    text: String,
    reason: String,
}

impl Diagnose for ReferenceError {
    fn category(&self) -> Category {
        Category::User
    }

    fn hint(&self) -> Option<String> {
        Some("write NAME[:TAG][@DIGEST], such as registry.example.com/team/shop:1.4".to_owned())
    }
}

impl Reference {
    /// Reads a reference. 12 or 64 hexadecimal digits, and `sha256:` followed by at least 12, are an image's id.
    pub fn parse(text: &str) -> Result<Self, ReferenceError> {
        if is_id(text) {
            return Ok(Self { kind: Kind::Id(text.to_owned()) });
        }
        match name(text) {
            Ok(kind) => Ok(Self { kind }),
            Err(reason) => Err(ReferenceError { text: text.to_owned(), reason }),
        }
    }

    /// True for an image's id: it can be neither pulled nor built from by name.
    #[must_use]
    pub const fn is_id(&self) -> bool {
        matches!(self.kind, Kind::Id(_))
    }

    /// The registry's host, `docker.io` for Docker Hub; `None` for an id.
    #[must_use]
    pub fn registry(&self) -> Option<&str> {
        match &self.kind {
            Kind::Id(_) => None,
            Kind::Name { domain, .. } => Some(domain),
        }
    }

    /// Registry and path in familiar form, without tag and digest; `None` for an id.
    #[must_use]
    pub fn repository(&self) -> Option<String> {
        match &self.kind {
            Kind::Id(_) => None,
            Kind::Name { domain, path, .. } => Some(familiar(domain, path)),
        }
    }

    /// The tag, where one was given.
    #[must_use]
    pub fn tag(&self) -> Option<&str> {
        match &self.kind {
            Kind::Id(_) => None,
            Kind::Name { tag, .. } => tag.as_deref(),
        }
    }

    /// The digest, where one was given.
    #[must_use]
    pub fn digest(&self) -> Option<&str> {
        match &self.kind {
            Kind::Id(_) => None,
            Kind::Name { digest, .. } => digest.as_deref(),
        }
    }

    /// What an engine is to be asked for: familiar form, with the tag `latest` where neither tag nor digest was
    /// given. Without one, a pull would fetch every tag.
    #[must_use]
    pub fn resolved(&self) -> String {
        match &self.kind {
            Kind::Name { tag: None, digest: None, .. } => format!("{self}:latest"),
            _ => self.to_string(),
        }
    }

    /// The whole name, `docker.io/library` and tag `latest` included; an id as it is.
    #[must_use]
    pub fn canonical(&self) -> String {
        match &self.kind {
            Kind::Id(id) => id.clone(),
            Kind::Name { domain, path, tag, digest } => {
                let tag = tag.as_deref().or(if digest.is_none() { Some("latest") } else { None });
                format!("{domain}/{path}{}", ending(tag, digest.as_deref()))
            }
        }
    }

    /// The name of the test image: `NAME:TAG-test`, with `latest` for no tag, `sha256-<12 digits>` for a digest
    /// alone, and a shortened tag where the result would be longer than a tag may be. An id gets a name of ours.
    #[must_use]
    pub fn test_tag(&self) -> String {
        match &self.kind {
            Kind::Id(id) => format!("{NAMELESS}:{}{SUFFIX}", short(id)),
            Kind::Name { domain, path, tag, digest } => {
                let tag = match (tag, digest) {
                    (Some(tag), _) => fitting(tag),
                    (None, Some(digest)) => short(digest),
                    (None, None) => "latest".to_owned(),
                };
                format!("{}:{tag}{SUFFIX}", familiar(domain, path))
            }
        }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            Kind::Id(id) => f.write_str(id),
            Kind::Name { domain, path, tag, digest } => {
                write!(f, "{}{}", familiar(domain, path), ending(tag.as_deref(), digest.as_deref()))
            }
        }
    }
}

impl std::str::FromStr for Reference {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        Self::parse(text)
    }
}

fn ending(tag: Option<&str>, digest: Option<&str>) -> String {
    let tag = tag.map(|tag| format!(":{tag}")).unwrap_or_default();
    let digest = digest.map(|digest| format!("@{digest}")).unwrap_or_default();
    tag + &digest
}

fn familiar(domain: &str, path: &str) -> String {
    if domain != DOCKER_HUB {
        return format!("{domain}/{path}");
    }
    match path.strip_prefix("library/") {
        // `library/a/b` is not what `a/b` means.
        Some(name) if !name.contains('/') => name.to_owned(),
        _ => path.to_owned(),
    }
}

/// `sha256-<12 digits>` of a digest or id.
fn short(digest: &str) -> String {
    let (algorithm, hex) = digest.split_once(':').unwrap_or(("sha256", digest));
    let hex: String = hex.chars().take(SHORT).collect();
    let algorithm: String =
        algorithm.chars().map(|letter| if letter == '+' { '-' } else { letter }).collect();
    format!("{algorithm}-{hex}")
}

/// The tag, or as much of it as leaves room for the suffix with a digest that keeps different tags apart.
fn fitting(tag: &str) -> String {
    if tag.len() + SUFFIX.len() <= LONGEST_TAG {
        return tag.to_owned();
    }
    let hash: String = format!("{:x}", Sha256::digest(tag.as_bytes())).chars().take(SHORT).collect();
    let kept: String = tag.chars().take(LONGEST_TAG - SUFFIX.len() - SHORT - 1).collect();
    format!("{kept}-{hash}")
}

#[cfg(test)]
mod tests;
