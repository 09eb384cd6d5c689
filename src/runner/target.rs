//! Obtains the image under test: what the engine has, or what a registry has, by the pull policy.

use std::time::Duration;

use super::Sink;
use super::event::RunEvent;
use crate::engine::credentials::RegistryAuth;
use crate::engine::docker::PullProgress;
use crate::engine::{Engine, EngineError, Image};
use crate::error::{Category, Diagnose, Failure};

/// When an image is pulled.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum PullPolicy {
    /// Always, also where the engine has it.
    Always,
    /// Where the engine does not have it.
    #[default]
    Missing,
    /// Never.
    Never,
}

/// What is wanted.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// The image.
    pub reference: &'a str,
    /// When to pull it.
    pub policy: PullPolicy,
    /// `os/arch[/variant]`
    pub platform: Option<&'a str>,
    /// `--pull-timeout`
    pub limit: Option<Duration>,
}

/// The image is not to be had.
#[derive(Debug, thiserror::Error)]
pub enum TargetError {
    /// `--pull never`, and it is not there.
    #[error("there is no image {reference} on this engine, and --pull never forbids to pull it")]
    NotHere {
        /// The image.
        reference: String,
    },
    /// It is for another platform than the one asked for.
    #[error("image {reference} is for {has}, not for {wanted}")]
    OtherPlatform {
        /// The image.
        reference: String,
        /// Its platform.
        has: String,
        /// `--platform`
        wanted: String,
    },
    /// It is not on the engine and could not be pulled.
    #[error("there is no image {reference} on this engine, and pulling it failed")]
    NotPulled {
        /// The image.
        reference: String,
        /// Why.
        source: EngineError,
    },
}

impl Diagnose for TargetError {
    fn category(&self) -> Category {
        match self {
            Self::NotHere { .. } | Self::OtherPlatform { .. } => Category::User,
            Self::NotPulled { .. } => Category::Environment,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::NotHere { reference } => {
                Some(format!("build it (`docker-test build -t {reference} .`), or leave --pull never out"))
            }
            Self::OtherPlatform { .. } => Some(
                "--pull always fetches the variant for --platform, where the registry has one".to_owned(),
            ),
            Self::NotPulled { reference, source } => Some(source.hint().unwrap_or_else(|| {
                format!("build it (`docker-test build -t {reference} .`), or check the name for a typo")
            })),
        }
    }
}

/// The image as the engine has it, where the pull policy is content with that; `None` where it is to be fetched.
pub async fn find(engine: &Engine, wanted: &Wanted<'_>) -> Result<Option<Image>, Failure> {
    let local = match wanted.policy {
        PullPolicy::Always => return Ok(None),
        PullPolicy::Missing | PullPolicy::Never => engine.image(wanted.reference).await?,
    };
    match local {
        Some(image) if fits(wanted, &image) => Ok(Some(image)),
        _ if wanted.policy == PullPolicy::Missing => Ok(None),
        Some(image) => Err(other_platform(wanted, &image).into()),
        None => Err(TargetError::NotHere { reference: wanted.reference.to_owned() }.into()),
    }
}

/// Pulls the image.
pub async fn fetch(
    engine: &Engine,
    wanted: &Wanted<'_>,
    auth: Option<&RegistryAuth>,
    sink: &Sink,
) -> Result<Image, Failure> {
    pull(engine, wanted, auth, sink).await?;
    let image = engine.image(wanted.reference).await?.ok_or_else(|| EngineError::Missing {
        operation: "inspect",
        kind: "image",
        subject: wanted.reference.to_owned(),
    })?;
    if fits(wanted, &image) { Ok(image) } else { Err(other_platform(wanted, &image).into()) }
}

fn fits(wanted: &Wanted<'_>, image: &Image) -> bool {
    wanted.platform.is_none_or(|platform| same_platform(&image.platform, platform))
}

async fn pull(
    engine: &Engine,
    wanted: &Wanted<'_>,
    auth: Option<&RegistryAuth>,
    sink: &Sink,
) -> Result<(), Failure> {
    // A pull without a limit still ends: an engine that is gone breaks the connection.
    let limit = wanted.limit.unwrap_or(Duration::from_hours(24));
    let progress = |line: PullProgress| {
        sink.progress(RunEvent::PullProgress {
            layer: line.layer,
            status: line.status,
            current: line.current,
            total: line.total,
        });
    };
    engine.pull(wanted.reference, wanted.platform, auth, limit, progress).await.map_err(|source| match source
    {
        EngineError::TimedOut { .. } => Failure::from(source),
        source => TargetError::NotPulled { reference: wanted.reference.to_owned(), source }.into(),
    })
}

fn other_platform(wanted: &Wanted<'_>, image: &Image) -> TargetError {
    TargetError::OtherPlatform {
        reference: wanted.reference.to_owned(),
        has: image.platform.clone(),
        wanted: wanted.platform.unwrap_or_default().to_owned(),
    }
}

/// `linux/arm64` fits `linux/arm64/v8`: the variant counts only where both name one.
fn same_platform(has: &str, wanted: &str) -> bool {
    let normal = |part: &str| match part {
        "x86_64" => "amd64".to_owned(),
        "aarch64" => "arm64".to_owned(),
        other => other.to_lowercase(),
    };
    let has: Vec<String> = has.split('/').map(normal).collect();
    let wanted: Vec<String> = wanted.split('/').map(normal).collect();
    let wanted = if wanted.len() == 1 && wanted[0] != "linux" && wanted[0] != "windows" {
        // Docker reads a single word as an architecture of the engine's own system.
        vec![has.first().cloned().unwrap_or_default(), wanted[0].clone()]
    } else {
        wanted
    };
    has.iter().zip(&wanted).all(|(a, b)| a == b)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn platforms_are_compared_as_docker_writes_them() {
        let table = [
            ("linux/amd64", "linux/amd64", true),
            ("linux/amd64", "amd64", true),
            ("linux/amd64", "linux/x86_64", true),
            ("linux/arm64/v8", "linux/arm64", true),
            ("linux/arm/v6", "linux/arm/v7", false),
            ("linux/amd64", "linux/arm64", false),
            ("linux/amd64", "linux", true),
        ];
        for (has, wanted, same) in table {
            assert_eq!(same_platform(has, wanted), same, "{has} for {wanted}");
        }
    }
}
