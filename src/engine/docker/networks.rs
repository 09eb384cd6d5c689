//! Networks: create and inspect.

use bollard::models::{NetworkCreateRequest, NetworkInspect};
use bollard::query_parameters::InspectNetworkOptions;
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full, Limited};

use super::{CALL_TIMEOUT, Engine, Recorded, causes, refine};
use crate::engine::transport::refusal;
use crate::engine::{EngineError, NetworkCreation, NetworkRecord};

/// As much of an answer as is read.
const LONGEST_ANSWER: usize = 64 * 1024;

/// So many digits of an id say which one is meant, as Docker prints them.
const SHORT_ID: usize = 12;

impl Engine {
    /// Creates the recorded network. A name that is taken is refused.
    pub async fn create_network(&self, record: &Recorded, spec: &NetworkCreation) -> Result<(), EngineError> {
        let name = record.name();
        let lost = |message: String| EngineError::Lost {
            operation: "create network",
            subject: name.to_owned(),
            message,
        };
        let request = Request::post(self.path("/networks/create"))
            .header("content-type", "application/json")
            .body(Full::new(Bytes::from(body(name, spec).to_string())))
            .map_err(|error| lost(error.to_string()))?;
        let call = async {
            let answer = self.http.request(request).await.map_err(|error| lost(causes(&error)))?;
            let status = answer.status();
            let read = Limited::new(answer.into_body(), LONGEST_ANSWER).collect().await;
            let read = read.map_err(|error| lost(causes(&*error)))?.to_bytes();
            if status.is_success() {
                return Ok(());
            }
            Err(EngineError::Refused {
                operation: "create network",
                subject: name.to_owned(),
                status: status.as_u16(),
                message: refusal(&read),
            })
        };
        tokio::time::timeout(CALL_TIMEOUT, call).await.unwrap_or_else(|_| {
            Err(EngineError::TimedOut {
                operation: "create network",
                subject: name.to_owned(),
                limit: format!("{} s", CALL_TIMEOUT.as_secs()),
            })
        })
    }

    /// The engine's record of a network, by name or id; `None` where it has no such network.
    pub async fn network(&self, name: &str) -> Result<Option<NetworkRecord>, EngineError> {
        // What no network can be called would be another question in the path of a request.
        if name.is_empty()
            || name.contains(|c: char| c.is_whitespace() || c.is_control() || "/?#%".contains(c))
        {
            return Ok(None);
        }
        match self.docker.inspect_network(name, None::<InspectNetworkOptions>).await {
            Ok(found) => Ok(Some(from_record(found)).filter(|found| is_meant(found, name))),
            Err(error) => {
                let error = refine("inspect", "network", name, error);
                if error.is_missing() { Ok(None) } else { Err(error) }
            }
        }
    }
}

/// The request. Engines before API 1.44 take a name twice unless they are told to check.
fn body(name: &str, spec: &NetworkCreation) -> serde_json::Value {
    let request = NetworkCreateRequest {
        name: name.to_owned(),
        driver: Some("bridge".to_owned()),
        internal: Some(spec.internal),
        labels: Some(spec.labels.clone().into_iter().collect()),
        ..NetworkCreateRequest::default()
    };
    let mut body = serde_json::to_value(request).unwrap_or_default();
    if let Some(fields) = body.as_object_mut() {
        fields.insert("CheckDuplicate".to_owned(), true.into());
    }
    body
}

/// Engines take the beginning of an id for it, however short: `db` might be one.
fn is_meant(found: &NetworkRecord, name: &str) -> bool {
    found.name == name || name.len() >= SHORT_ID && found.id.starts_with(name)
}

fn from_record(found: NetworkInspect) -> NetworkRecord {
    NetworkRecord {
        id: found.id.unwrap_or_default(),
        name: found.name.unwrap_or_default(),
        driver: found.driver.unwrap_or_default(),
        scope: found.scope.unwrap_or_default(),
        internal: found.internal.unwrap_or_default(),
        attachable: found.attachable.unwrap_or_default(),
        ingress: found.ingress.unwrap_or_default(),
        config_only: found.config_only.unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn a_network_is_asked_for_with_its_labels_and_without_a_namesake() {
        let labels = BTreeMap::from([("docker-test.run".to_owned(), "r".to_owned())]);
        let body = body("net", &NetworkCreation { internal: true, labels });
        let expected = serde_json::json!({
            "Name": "net", "Driver": "bridge", "Internal": true, "Labels": {"docker-test.run": "r"},
            "CheckDuplicate": true,
        });
        assert_eq!(body, expected);
    }

    #[test]
    fn a_name_that_happens_to_begin_an_id_is_not_that_network() {
        let found =
            NetworkRecord { id: "db0fe0123456789a".into(), name: "shop".into(), ..NetworkRecord::default() };
        assert!(is_meant(&found, "shop") && is_meant(&found, "db0fe0123456"));
        assert!(!is_meant(&found, "db"));
    }
}
