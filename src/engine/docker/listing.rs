//! What is there besides images: containers of others, and how much the engine bears.

use std::collections::HashMap;

use bollard::models::ContainerSummary;
use bollard::query_parameters::ListContainersOptionsBuilder;

use super::retry::asked_again;
use super::{Engine, refine};
use crate::engine::{EngineError, EngineSize, ListedContainer};

impl Engine {
    /// Every container, running or not, that bears all of `labels` (`name` or `name=value`).
    pub async fn containers(&self, labels: &[&str]) -> Result<Vec<ListedContainer>, EngineError> {
        let labels: Vec<String> = labels.iter().map(|label| (*label).to_owned()).collect();
        let subject = if labels.is_empty() { "all of them".to_owned() } else { labels.join(" and ") };
        let filters = HashMap::from([("label".to_owned(), labels)]);
        let containers = asked_again(|| {
            let options = ListContainersOptionsBuilder::new().all(true).filters(&filters).build();
            self.docker.list_containers(Some(options))
        });
        let containers =
            containers.await.map_err(|error| refine("list containers,", "container", &subject, error))?;
        Ok(containers.into_iter().map(from_summary).collect())
    }

    /// How much the engine's machine has.
    pub async fn size(&self) -> Result<EngineSize, EngineError> {
        let info = self.docker.info().await.map_err(|error| refine("ask", "engine", &self.address, error))?;
        Ok(EngineSize {
            cpus: info.ncpu.and_then(|cpus| usize::try_from(cpus).ok()).unwrap_or_default().max(1),
            memory: info.mem_total.and_then(|bytes| u64::try_from(bytes).ok()).unwrap_or_default(),
        })
    }
}

fn from_summary(summary: ContainerSummary) -> ListedContainer {
    let names = summary.names.unwrap_or_default();
    // Another container's link to it is listed as a name, too: `/other/alias`.
    let mut names = names.iter().map(|name| name.trim_start_matches('/'));
    ListedContainer {
        name: names.find(|name| !name.contains('/')).unwrap_or_default().to_owned(),
        id: summary.id.unwrap_or_default(),
        image: summary.image.unwrap_or_default(),
        image_id: summary.image_id.unwrap_or_default(),
        labels: summary.labels.unwrap_or_default().into_iter().collect(),
        state: summary.state.map(|state| state.to_string()).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_container_is_not_listed_under_the_alias_that_another_has_for_it() {
        let summary: ContainerSummary = serde_json::from_str(
            r#"{"Id":"4bff","Names":["/web/db","/shop_db_1"],"Image":"postgres:16","ImageID":"sha256:1",
                "Labels":{"a":"b"},"State":"exited"}"#,
        )
        .unwrap();
        let listed = from_summary(summary);
        assert_eq!((listed.name.as_str(), listed.state.as_str()), ("shop_db_1", "exited"));
        assert_eq!((listed.image.as_str(), listed.image_id.as_str()), ("postgres:16", "sha256:1"));
        assert_eq!(listed.labels["a"], "b");
    }
}
