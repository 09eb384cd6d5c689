//! Compose projects as the engine sees them: containers, networks and volumes that bear a project's labels.
//!
//! Owns what is read of them, and the removal of a whole project of ours without the Compose tool. It removes nothing of
//! a project whose name is not that of a run.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use bollard::container::LogOutput;
use bollard::query_parameters::{
    InspectNetworkOptions, ListContainersOptionsBuilder, ListImagesOptionsBuilder,
    ListNetworksOptionsBuilder, ListVolumesOptionsBuilder, LogsOptionsBuilder, RemoveContainerOptionsBuilder,
    RemoveImageOptionsBuilder, RemoveVolumeOptions,
};
use futures_util::StreamExt;

use super::owned::is_being_removed;
use super::retry::asked_again;
use super::{Engine, Recorded, refine};
use crate::engine::EngineError;

/// On everything of a project: the project's name.
const PROJECT: &str = "com.docker.compose.project";
/// On a container: the service's name.
const SERVICE: &str = "com.docker.compose.service";
/// On a container: the directory of the project's files.
const WORKING_DIRECTORY: &str = "com.docker.compose.project.working_dir";
/// On a container that `compose run` made.
const ONE_OFF: &str = "com.docker.compose.oneoff";
/// On a network: its key in the file.
const NETWORK: &str = "com.docker.compose.network";

/// What stands before the run's id in the name of a project of ours.
pub const PROJECT_PREFIX: &str = "docker-test-";
/// A request of a tool that was killed may take effect for so long.
const SETTLE: Duration = Duration::from_millis(200);
/// How often what came to be meanwhile is removed, too.
const ROUNDS: u32 = 5;
/// No more of a log is kept.
const TAIL: usize = 64 * 1024;

/// A container of a Compose project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ComposeContainer {
    /// Its id.
    pub id: String,
    /// Name of its project.
    pub project: String,
    /// Name of its service.
    pub service: String,
    /// The image as its creator named it.
    pub image: String,
    /// created, running, exited, …
    pub status: String,
    /// Directory of the project's files, where the tool noted it.
    pub directory: Option<String>,
    /// Names of the networks that it is on.
    pub networks: BTreeSet<String>,
}

/// Networks and volumes by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NamedResources {
    /// Network names, and the project each was made for, where it was.
    pub networks: BTreeMap<String, Option<String>>,
    /// The same for volumes.
    pub volumes: BTreeMap<String, Option<String>>,
}

/// Whether a run of this id made the project, or, without one, any run.
fn is_of_run(project: &str, run: Option<&str>) -> bool {
    let Some(id) = project.strip_prefix(PROJECT_PREFIX) else { return false };
    let hexadecimal = |part: &str| part.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let is_id = id.split_once('-').is_some_and(|(time, random)| {
        time.len() >= 8 && random.len() == 6 && hexadecimal(time) && hexadecimal(random)
    });
    is_id && run.is_none_or(|run| run == id)
}

/// Whether a tag is that of an image which Compose built for a service of the project: version 1 puts `_` between their
/// names, version 2 `-`.
fn is_built_for(tag: &str, project: &str) -> bool {
    let rest = tag.strip_prefix(project).unwrap_or_default();
    rest.starts_with(['_', '-']) && rest.len() > 1 && !rest.contains('/')
}

fn labelled(label: &str) -> HashMap<String, Vec<String>> {
    HashMap::from([("label".to_owned(), vec![label.to_owned()])])
}

impl Engine {
    /// The containers of a Compose project, running or not, less those of `compose run`; without a name, of all projects.
    pub async fn compose_containers(
        &self,
        project: Option<&str>,
    ) -> Result<Vec<ComposeContainer>, EngineError> {
        let label = project.map_or_else(|| PROJECT.to_owned(), |project| format!("{PROJECT}={project}"));
        let filters = labelled(&label);
        let containers = asked_again(|| {
            let options = ListContainersOptionsBuilder::new().all(true).filters(&filters).build();
            self.docker.list_containers(Some(options))
        });
        let containers = containers.await.map_err(|error| refine("list", "resource", &label, error))?;
        let mut found: Vec<ComposeContainer> = containers
            .into_iter()
            .filter_map(|container| {
                let mut labels = container.labels.unwrap_or_default();
                if labels.get(ONE_OFF).is_some_and(|value| value.eq_ignore_ascii_case("true")) {
                    return None;
                }
                let networks = container.network_settings.and_then(|settings| settings.networks);
                Some(ComposeContainer {
                    id: container.id?,
                    project: labels.remove(PROJECT)?,
                    service: labels.remove(SERVICE)?,
                    image: container.image.unwrap_or_default(),
                    status: container.state.map(|state| state.to_string()).unwrap_or_default(),
                    directory: labels.remove(WORKING_DIRECTORY),
                    networks: networks.unwrap_or_default().into_keys().collect(),
                })
            })
            .collect();
        found.sort_by(|a, b| (&a.service, &a.id).cmp(&(&b.service, &b.id)));
        Ok(found)
    }

    /// The engine's name of the network that a project calls `default`, where it has one.
    pub async fn compose_default_network(&self, project: &str) -> Result<Option<String>, EngineError> {
        let label = format!("{PROJECT}={project}");
        let filters =
            HashMap::from([("label".to_owned(), vec![label.clone(), format!("{NETWORK}=default")])]);
        let networks = asked_again(|| {
            let options = ListNetworksOptionsBuilder::new().filters(&filters).build();
            self.docker.list_networks(Some(options))
        });
        let networks = networks.await.map_err(|error| refine("list", "resource", &label, error))?;
        Ok(networks.into_iter().find_map(|network| network.name))
    }

    /// Those of `networks` and `volumes` that exist, and the Compose projects that they were made for.
    pub async fn named_resources(
        &self,
        networks: &[String],
        volumes: &[String],
    ) -> Result<NamedResources, EngineError> {
        let mut found = NamedResources::default();
        for name in networks {
            match self.docker.inspect_network(name, None::<InspectNetworkOptions>).await {
                Ok(network) => {
                    let project = network.labels.and_then(|mut labels| labels.remove(PROJECT));
                    found.networks.insert(name.clone(), project);
                }
                Err(error) => unless_missing(refine("inspect", "network", name, error))?,
            }
        }
        for name in volumes {
            match self.docker.inspect_volume(name).await {
                Ok(mut volume) => {
                    found.volumes.insert(name.clone(), volume.labels.remove(PROJECT));
                }
                Err(error) => unless_missing(refine("inspect", "volume", name, error))?,
            }
        }
        Ok(found)
    }

    /// The last lines that a container printed, on both streams.
    pub async fn last_lines(&self, container: &str, lines: u32) -> Result<String, EngineError> {
        let options = LogsOptionsBuilder::new().stdout(true).stderr(true).tail(&lines.to_string()).build();
        let mut stream = Box::pin(self.docker.logs(container, Some(options)));
        let mut said = Vec::new();
        let mut is_cut = false;
        while let Some(part) = stream.next().await {
            let part: LogOutput =
                part.map_err(|error| refine("read the log of", "container", container, error))?;
            said.extend_from_slice(part.as_ref());
            let excess = said.len().saturating_sub(TAIL);
            said.drain(..excess);
            is_cut |= excess > 0;
        }
        if is_cut {
            // Half a line may hold half a secret, which nobody would know for one.
            let begin = said.iter().position(|byte| *byte == b'\n').map_or(said.len(), |end| end + 1);
            said.drain(..begin);
        }
        Ok(String::from_utf8_lossy(&said).into_owned())
    }

    /// Removes all that a recorded project of ours has: containers with their anonymous volumes, networks, volumes, and
    /// the images that were built for it.
    ///
    /// Labels alone say what is its own: the name that they hold has a run's id in it, which nobody else has.
    pub(super) async fn remove_compose_project(&self, record: &Recorded) -> Result<(), EngineError> {
        let project = record.name();
        if !is_of_run(project, record.run.as_deref()) {
            return Err(EngineError::Failed {
                operation: "remove",
                subject: project.to_owned(),
                message: "it is not the name of a Compose project of docker-test".to_owned(),
            });
        }
        let mut found = self.remove_what_is_there(project).await?;
        for _ in 0..ROUNDS {
            tokio::time::sleep(SETTLE).await;
            found = self.remove_what_is_there(project).await?;
            if found == 0 {
                return Ok(());
            }
        }
        Err(EngineError::Failed {
            operation: "remove",
            subject: project.to_owned(),
            message: format!("something goes on making its parts: {found} came anew"),
        })
    }

    /// One round. How much there was; what cannot be removed keeps nothing else from being.
    async fn remove_what_is_there(&self, project: &str) -> Result<usize, EngineError> {
        let filters = labelled(&format!("{PROJECT}={project}"));
        let fail = |error| refine("list", "resource", project, error);
        let mut outcomes = Vec::new();
        let containers = asked_again(|| {
            let options = ListContainersOptionsBuilder::new().all(true).filters(&filters).build();
            self.docker.list_containers(Some(options))
        });
        for id in containers.await.map_err(fail)?.into_iter().filter_map(|container| container.id) {
            let options = RemoveContainerOptionsBuilder::new().force(true).v(true).build();
            let outcome = self.docker.remove_container(&id, Some(options)).await;
            outcomes.push(outcome.map_err(|error| refine("remove", "container", &id, error)));
        }
        let networks = asked_again(|| {
            let options = ListNetworksOptionsBuilder::new().filters(&filters).build();
            self.docker.list_networks(Some(options))
        });
        for network in networks.await.map_err(fail)? {
            let (name, id) = (network.name.unwrap_or_default(), network.id.unwrap_or_default());
            let outcome = self.docker.remove_network(&id).await;
            outcomes.push(outcome.map_err(|error| refine("remove", "network", &name, error)));
        }
        let volumes = asked_again(|| {
            let options = ListVolumesOptionsBuilder::new().filters(&filters).build();
            self.docker.list_volumes(Some(options))
        });
        for volume in volumes.await.map_err(fail)?.volumes.unwrap_or_default() {
            let outcome = self.docker.remove_volume(&volume.name, None::<RemoveVolumeOptions>).await;
            outcomes.push(outcome.map_err(|error| refine("remove", "volume", &volume.name, error)));
        }
        let references = HashMap::from([("reference".to_owned(), vec![format!("{project}*:*")])]);
        let images = asked_again(|| {
            let options = ListImagesOptionsBuilder::new().filters(&references).build();
            self.docker.list_images(Some(options))
        });
        let tags = images.await.map_err(fail)?.into_iter().flat_map(|image| image.repo_tags);
        for tag in tags.filter(|tag| is_built_for(tag, project)) {
            let options = RemoveImageOptionsBuilder::new().force(false).noprune(false).build();
            let outcome = self.docker.remove_image(&tag, Some(options), None).await.map(drop);
            outcomes.push(outcome.map_err(|error| refine("remove", "image", &tag, error)));
        }
        let found = outcomes.len();
        let failed = outcomes.into_iter().filter_map(Result::err);
        let failed = failed.into_iter().find(|error| !error.is_missing() && !is_being_removed(error));
        failed.map_or(Ok(found), Err)
    }
}

fn unless_missing(error: EngineError) -> Result<(), EngineError> {
    if error.is_missing() { Ok(()) } else { Err(error) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_name_of_a_run_is_that_of_a_project_of_ours() {
        assert!(is_of_run("docker-test-6a0b1c2d-a1b2c3", None));
        assert!(is_of_run("docker-test-6a0b1c2d-a1b2c3", Some("6a0b1c2d-a1b2c3")));
        assert!(!is_of_run("docker-test-6a0b1c2d-a1b2c3", Some("6a0b1c2d-a1b2c4")));
        for foreign in [
            "shop",
            "",
            "docker-test-",
            "docker-test-shop",
            "docker-test-6a0b1c2d-a1b2c",
            "docker-test-6a0b1c2d-a1b2cg",
            "docker-test-6a0b1c2d-a1b2c3-x",
            "docker-test-kept-6a0b1c2d-a1b2c3",
            "docker-test--a1b2c3",
        ] {
            assert!(!is_of_run(foreign, None), "{foreign}");
        }
    }

    #[test]
    fn an_image_of_a_project_is_named_after_one_of_its_services() {
        let project = "docker-test-6a0b1c2d-a1b2c3";
        assert!(is_built_for("docker-test-6a0b1c2d-a1b2c3_web:latest", project));
        assert!(is_built_for("docker-test-6a0b1c2d-a1b2c3-web:latest", project));
        for foreign in [
            "docker-test-6a0b1c2d-a1b2c3:latest",
            "docker-test-6a0b1c2d-a1b2c34_web:latest",
            "registry/docker-test-6a0b1c2d-a1b2c3_web:latest",
            "docker-test-6a0b1c2d-a1b2c3_web/x:latest",
            "shop_web:latest",
        ] {
            assert!(!is_built_for(foreign, project), "{foreign}");
        }
    }
}
