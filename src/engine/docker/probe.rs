//! Turns what a newly dialled engine says of itself into [`Capabilities`].

use bollard::{API_DEFAULT_VERSION, ClientVersion, Docker};

use super::build::{BuilderKind, builder_features, builder_of};
use super::{BuilderChoice, CALL_TIMEOUT, refine};
use crate::engine::EngineError;
use crate::engine::capabilities::Capabilities;
use crate::engine::greeting::Greeting;
use crate::engine::transport::HttpClient;
use crate::engine::transport::bollard::docker;

/// The oldest API that has everything a run needs (volume labels in mounts, `next-exit`, BuildKit sessions).
const OLDEST_API: (usize, usize) = (1, 40);

/// The first API of engines that can keep their images in containerd. Older ones need not be asked.
const CONTAINERD_IMAGES: (usize, usize) = (1, 42);

pub(super) async fn probe(
    http: &HttpClient,
    mut greeting: Greeting,
    address: &str,
    local: bool,
    choice: BuilderChoice,
) -> Result<(Docker, Capabilities), EngineError> {
    if !greeting.is_complete() {
        let newest = API_DEFAULT_VERSION;
        ask(&docker(http, CALL_TIMEOUT, newest), address, &mut greeting).await?;
    }
    let product = if greeting.podman { "Podman" } else { "Docker Engine" };
    let product = format!("{product} {}", greeting.version);
    let unusable = |message| {
        let subject = format!("{product} at {address}");
        EngineError::Failed { operation: "use", subject, message }
    };
    let said = &greeting.api_version;
    let Some(api) = parse_api(said) else {
        return Err(unusable(format!(
            "it says that its API is `{}`",
            said.chars().take(40).collect::<String>()
        )));
    };
    if api < OLDEST_API {
        return Err(unusable(format!("its API is {said}, and 1.40 (Docker 19.03) or newer is needed")));
    }
    let api = api.min((API_DEFAULT_VERSION.major_version, API_DEFAULT_VERSION.minor_version));
    let version = ClientVersion { major_version: api.0, minor_version: api.1 };
    let mut builder = builder_of(&greeting);
    if choice == BuilderChoice::Classic && builder.kind == BuilderKind::BuildKit {
        builder.kind = BuilderKind::Classic;
        builder.features = builder_features(BuilderKind::Classic, &greeting.version);
    }
    let podman = greeting.podman;
    let client = docker(http, CALL_TIMEOUT, &version);
    let records_origin = !podman && (api < CONTAINERD_IMAGES || !keeps_images_in_containerd(&client).await);
    let capabilities = Capabilities {
        product,
        api_version: version.to_string(),
        builder: builder.kind.name().to_owned(),
        builder_kind: builder.kind,
        builds_from_id: builder.kind.builds_from_id(),
        loads_frontends: builder.kind.loads_frontends(),
        features: builder.features,
        records_onbuild: !podman,
        records_failed_start: !podman,
        records_out_of_memory: !podman,
        networks_at_creation: !podman && api >= (1, 44),
        records_origin,
        archive_has_root: !podman,
        unpacks_mode_of_root: podman,
        local,
    };
    Ok((client, capabilities))
}

/// Whether the engine's images are containerd's. An engine that does not say keeps them itself, as most do.
async fn keeps_images_in_containerd(docker: &Docker) -> bool {
    let info = docker.info().await.unwrap_or_default();
    is_containerd(&info.driver_status.unwrap_or_default())
}

/// Reads the pairs of `DriverStatus`.
fn is_containerd(driver_status: &[Vec<String>]) -> bool {
    driver_status.iter().any(|pair| {
        matches!(pair.as_slice(), [name, kind] if name == "driver-type" && kind.starts_with("io.containerd."))
    })
}

/// Fills in what the greeting did not say.
async fn ask(docker: &Docker, address: &str, greeting: &mut Greeting) -> Result<(), EngineError> {
    let said = docker.version().await.map_err(|error| refine("reach", "engine", address, error))?;
    let components = said.components.unwrap_or_default();
    greeting.podman |= components.iter().any(|component| component.name.to_lowercase().contains("podman"));
    greeting.api_version = said.api_version.unwrap_or_default();
    greeting.version = said.version.unwrap_or_default();
    greeting.os = said.os.unwrap_or_default();
    Ok(())
}

fn parse_api(version: &str) -> Option<(usize, usize)> {
    let (major, minor) = version.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

impl super::Engine {
    /// `os/arch` of the engine, for `doctor`.
    pub async fn platform(&self) -> Result<String, EngineError> {
        let version =
            self.docker.version().await.map_err(|error| refine("ask", "engine", &self.address, error))?;
        Ok([version.os, version.arch].into_iter().flatten().collect::<Vec<_>>().join("/"))
    }

    /// Storage and its shortcomings, for `doctor`.
    pub async fn storage(&self) -> Result<super::Storage, EngineError> {
        let info = self.docker.info().await.map_err(|error| refine("ask", "engine", &self.address, error))?;
        Ok(super::Storage {
            driver: info.driver.unwrap_or_default(),
            root: info.docker_root_dir.unwrap_or_default(),
            warnings: info
                .warnings
                .unwrap_or_default()
                .into_iter()
                .filter(|text| !text.trim().is_empty())
                .collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use bollard::models::SystemInfo;

    use super::*;

    fn says(info: &str) -> bool {
        let info: SystemInfo = serde_json::from_str(info).unwrap();
        is_containerd(&info.driver_status.unwrap_or_default())
    }

    #[test]
    fn an_image_store_of_containerd_is_known_by_its_driver_type() {
        let containerd =
            r#"{"Driver":"overlayfs","DriverStatus":[["driver-type","io.containerd.snapshotter.v1"]]}"#;
        assert!(says(containerd));
        let own = r#"{"Driver":"overlay2","DriverStatus":[["Backing Filesystem","extfs"],["Supports d_type","true"]]}"#;
        assert!(!says(own));
        assert!(!says(r#"{"Driver":"vfs","DriverStatus":[]}"#) && !says("{}"));
    }
}
