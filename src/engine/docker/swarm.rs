//! What Swarm puts into the containers of its services without the record of the container saying so.

use std::collections::BTreeMap;

use bollard::models::Service;
use bollard::query_parameters::InspectServiceOptions;

use super::Engine;

const SERVICE_ID: &str = "com.docker.swarm.service.id";
const SERVICE_NAME: &str = "com.docker.swarm.service.name";

impl Engine {
    /// The secrets and configs that a container with these labels has as files, in words.
    pub(super) async fn swarm_files(&self, labels: &BTreeMap<String, String>) -> Vec<String> {
        let Some(id) = labels.get(SERVICE_ID) else { return Vec::new() };
        if let Ok(service) = self.docker.inspect_service(id, None::<InspectServiceOptions>).await {
            return files(service);
        }
        let name = labels.get(SERVICE_NAME).unwrap_or(id);
        vec![format!("secrets and configs of the Swarm service {name}, which a manager node alone knows")]
    }
}

fn files(service: Service) -> Vec<String> {
    let task = service.spec.and_then(|spec| spec.task_template);
    let container = task.and_then(|task| task.container_spec).unwrap_or_default();
    let secrets = container.secrets.unwrap_or_default().into_iter().map(|secret| {
        let target = secret.file.and_then(|file| file.name).unwrap_or_default();
        // Docker's own place for those that name none.
        let target = if target.starts_with('/') { target } else { format!("/run/secrets/{target}") };
        format!("the Swarm secret {} at {target}", secret.secret_name.unwrap_or_default())
    });
    let configs = container.configs.unwrap_or_default().into_iter().filter_map(|config| {
        let target = config.file?.name.unwrap_or_default();
        Some(format!("the Swarm config {} at {target}", config.config_name.unwrap_or_default()))
    });
    secrets.chain(configs).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_and_configs_are_named_with_their_places() {
        let service: Service = serde_json::from_str(
            r#"{"Spec":{"TaskTemplate":{"ContainerSpec":{
                "Secrets":[{"File":{"Name":"s1","UID":"0"},"SecretID":"w","SecretName":"s1"},
                           {"File":{"Name":"/etc/key"},"SecretName":"key"}],
                "Configs":[{"File":{"Name":"/etc/c1"},"ConfigName":"c1"},{"ConfigName":"runtime"}]}}}}"#,
        )
        .unwrap();
        let expected = [
            "the Swarm secret s1 at /run/secrets/s1",
            "the Swarm secret key at /etc/key",
            "the Swarm config c1 at /etc/c1",
        ];
        assert_eq!(files(service), expected);
        assert!(files(Service::default()).is_empty());
    }
}
