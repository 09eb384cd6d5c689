//! Images: inspect, pull, tag.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use bollard::auth::DockerCredentials;
use bollard::models::ImageInspect;
use bollard::query_parameters::{
    CreateImageOptionsBuilder, ListImagesOptionsBuilder, TagImageOptionsBuilder,
};
use futures_util::StreamExt;

use super::retry::asked_again;
use super::{Engine, Recorded, refine};
use crate::engine::credentials::RegistryAuth;
use crate::engine::{EngineError, Image, ListedImage};
use crate::metadata::duration;

/// One line of a pull.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PullProgress {
    /// Layer id; empty for lines about the whole image.
    pub layer: String,
    /// What the engine says.
    pub status: String,
    /// Bytes so far.
    pub current: Option<u64>,
    /// Bytes in all.
    pub total: Option<u64>,
}

impl Engine {
    /// The engine's record of an image; `None` where it has no such image.
    pub async fn image(&self, reference: &str) -> Result<Option<Image>, EngineError> {
        let record = match self.docker.inspect_image(reference).await {
            Ok(record) => record,
            Err(error) => {
                let error = refine("inspect", "image", reference, error);
                return if error.is_missing() { Ok(None) } else { Err(error) };
            }
        };
        let mut image = from_record(record);
        if !self.capabilities.records_onbuild {
            image.onbuild = self.onbuild_from_history(reference).await?;
        }
        Ok(Some(image))
    }

    /// The triggers of the image's own ONBUILD instructions.
    async fn onbuild_from_history(&self, reference: &str) -> Result<Vec<String>, EngineError> {
        let history = self
            .docker
            .image_history(reference)
            .await
            .map_err(|error| refine("read the history of", "image", reference, error))?;
        Ok(own_triggers(history.iter().map(|entry| (entry.created_by.as_str(), entry.comment.as_str()))))
    }

    /// Pulls an image, calling `progress` for every line, within `limit`.
    pub async fn pull(
        &self,
        reference: &str,
        platform: Option<&str>,
        auth: Option<&RegistryAuth>,
        limit: Duration,
        mut progress: impl FnMut(PullProgress),
    ) -> Result<(), EngineError> {
        let mut options = CreateImageOptionsBuilder::new().from_image(reference);
        if let Some(platform) = platform {
            options = options.platform(platform);
        }
        let mut stream =
            Box::pin(self.docker.create_image(Some(options.build()), None, auth.map(credentials)));
        let pull = async {
            while let Some(line) = stream.next().await {
                let line = line.map_err(|error| refine("pull", "image", reference, error))?;
                let detail = line.progress_detail.unwrap_or_default();
                progress(PullProgress {
                    layer: line.id.unwrap_or_default(),
                    status: line.status.unwrap_or_default(),
                    current: detail.current.and_then(|bytes| u64::try_from(bytes).ok()),
                    total: detail.total.and_then(|bytes| u64::try_from(bytes).ok()),
                });
            }
            Ok(())
        };
        tokio::time::timeout(limit, pull).await.unwrap_or_else(|_| {
            Err(EngineError::TimedOut {
                operation: "pull",
                subject: reference.to_owned(),
                limit: duration::human(limit),
            })
        })
    }

    /// Gives an image the recorded name.
    pub async fn tag(&self, image: &str, record: &Recorded) -> Result<(), EngineError> {
        let (repository, tag) = record.name().rsplit_once(':').unwrap_or((record.name(), "latest"));
        let options = TagImageOptionsBuilder::new().repo(repository).tag(tag).build();
        self.docker
            .tag_image(image, Some(options))
            .await
            .map_err(|error| refine("tag", "image", image, error))
    }

    /// Images that bear `label` (`name` or `name=value`).
    pub async fn images_with_label(&self, label: &str) -> Result<Vec<ListedImage>, EngineError> {
        let filters = HashMap::from([("label".to_owned(), vec![label.to_owned()])]);
        let images = asked_again(|| {
            let options = ListImagesOptionsBuilder::new().filters(&filters).build();
            self.docker.list_images(Some(options))
        });
        let images = images.await.map_err(|error| refine("list", "image", label, error))?;
        Ok(images
            .into_iter()
            .map(|image| ListedImage {
                id: image.id,
                tags: image.repo_tags.into_iter().filter(|tag| tag != "<none>:<none>").collect(),
                labels: image.labels.into_iter().collect(),
                created: u64::try_from(image.created).unwrap_or_default(),
            })
            .collect())
    }
}

impl Engine {
    /// Every `repository:tag` of a repository.
    pub async fn tags_of_repository(&self, repository: &str) -> Result<Vec<String>, EngineError> {
        let filters = HashMap::from([("reference".to_owned(), vec![format!("{repository}:*")])]);
        let images = asked_again(|| {
            let options = ListImagesOptionsBuilder::new().filters(&filters).build();
            self.docker.list_images(Some(options))
        });
        let images = images.await.map_err(|error| refine("list", "image", repository, error))?;
        let prefix = format!("{repository}:");
        Ok(images
            .into_iter()
            .flat_map(|image| image.repo_tags)
            .filter(|tag| tag.starts_with(&prefix))
            .collect())
    }
}

/// The ONBUILD instructions among the steps that stand on the image's base; steps and comments, the newest first.
///
/// Those of the base were consumed when the image was built, and their entries look the same. Buildah notes at the
/// first step what that stands on: the base by its full name. At further steps it notes the id of the layer before,
/// and other builders note nothing of the kind: then every entry counts.
fn own_triggers<'e>(newest_first: impl IntoIterator<Item = (&'e str, &'e str)>) -> Vec<String> {
    let mut triggers = Vec::new();
    for (created_by, comment) in newest_first {
        let text = created_by.strip_prefix("/bin/sh -c #(nop) ").unwrap_or(created_by).trim_start();
        if let Some((word, rest)) = text.split_at_checked(8)
            && word.eq_ignore_ascii_case("ONBUILD ")
        {
            triggers.push(rest.trim().to_owned());
        }
        if comment.strip_prefix("FROM ").is_some_and(|base| base.contains(['/', ':'])) {
            break;
        }
    }
    triggers.reverse();
    triggers
}

fn credentials(auth: &RegistryAuth) -> DockerCredentials {
    DockerCredentials {
        username: auth.username().map(str::to_owned),
        password: auth.password().map(str::to_owned),
        serveraddress: Some(auth.server().to_owned()),
        identitytoken: auth.identity_token().map(str::to_owned),
        registrytoken: auth.registry_token().map(str::to_owned),
        ..DockerCredentials::default()
    }
}

fn from_record(record: ImageInspect) -> Image {
    let config = record.config.unwrap_or_default();
    let platform = [record.os, record.architecture, record.variant]
        .into_iter()
        .flatten()
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>()
        .join("/");
    Image {
        id: record.id.unwrap_or_default(),
        tags: record.repo_tags.unwrap_or_default(),
        digests: record.repo_digests.unwrap_or_default(),
        labels: config
            .labels
            .map(|labels| labels.into_iter().collect::<BTreeMap<_, _>>())
            .unwrap_or_default(),
        onbuild: config.on_build.unwrap_or_default(),
        layers: record.root_fs.and_then(|root| root.layers).unwrap_or_default(),
        entrypoint: config.entrypoint.unwrap_or_default(),
        command: config.cmd.unwrap_or_default(),
        env: config.env.unwrap_or_default(),
        user: config.user.unwrap_or_default(),
        working_directory: config.working_dir.unwrap_or_default(),
        stop_signal: config.stop_signal.filter(|signal| !signal.is_empty()),
        platform,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As Podman 4.3 tells it: an image with two triggers on a base that was loaded.
    const BASE: [(&str, &str); 4] = [
        ("/bin/sh -c #(nop) LABEL z=1", "FROM cd2256b21a87"),
        ("/bin/sh -c #(nop) ONBUILD LABEL x=y", "FROM 363f9e90da14"),
        ("/bin/sh -c #(nop) ONBUILD RUN echo b > /b", "FROM localhost/base/busybox:1"),
        ("/bin/sh -c #(nop) ADD file:1674 in /", "imported from tarball"),
    ];

    #[test]
    fn triggers_are_read_from_the_history_in_the_order_of_the_file() {
        assert_eq!(own_triggers(BASE), ["RUN echo b > /b", "LABEL x=y"]);
    }

    #[test]
    fn triggers_that_were_consumed_are_not_the_image_s_own() {
        let child = [
            ("/bin/sh -c #(nop) ONBUILD RUN echo own", "FROM 146123097d9f"),
            ("/bin/sh -c #(nop) LABEL x=y", "FROM a4af850e8c45"),
            ("/bin/sh -c echo b > /b", "FROM docker.io/library/base:1"),
        ];
        assert_eq!(own_triggers(child.into_iter().chain(BASE)), ["RUN echo own"]);
    }

    #[test]
    fn a_history_that_names_no_base_counts_as_a_whole() {
        let docker = [
            ("ONBUILD RUN b", "buildkit.dockerfile.v0"),
            ("RUN /bin/sh -c a # buildkit", "buildkit.dockerfile.v0"),
            ("/bin/sh -c #(nop)  ONBUILD RUN a", ""),
        ];
        assert_eq!(own_triggers(docker), ["RUN a", "RUN b"]);
    }
}
