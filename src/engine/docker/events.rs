//! What happens on an engine, as it tells it: containers that come, start and go, and names of images.
//!
//! Owns the reading of the stream. What is ours is told like all else: whoever acts on it asks whose it is.

use std::collections::{BTreeMap, HashMap};
use std::pin::Pin;

use bollard::models::{EventMessage, EventMessageTypeEnum};
use bollard::query_parameters::EventsOptionsBuilder;
use futures_util::{Stream, StreamExt as _};

use super::{Engine, refine};
use crate::engine::{EngineError, EngineEvent, EventSubject};

/// Events as they come.
pub type Events = Pin<Box<dyn Stream<Item = Result<EngineEvent, EngineError>> + Send>>;

impl Engine {
    /// What happens from `since` on, in Unix seconds of the engine's clock. Ends or fails when the engine goes away.
    #[must_use]
    pub fn events(&self, since: Option<i64>) -> Events {
        let of_interest = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let filters = HashMap::from([
            ("type".to_owned(), of_interest(&["container", "image"])),
            (
                "event".to_owned(),
                of_interest(&["create", "start", "destroy", "tag", "pull", "untag", "delete"]),
            ),
        ]);
        let mut options = EventsOptionsBuilder::new().filters(&filters);
        if let Some(since) = since {
            options = options.since(&since.to_string());
        }
        let address = self.address.clone();
        let events = self.docker.events(Some(options.build())).filter_map(move |message| {
            let event = match message {
                Ok(message) => from_message(message).map(Ok),
                Err(error) => Some(Err(refine("hear the events of", "engine", &address, error))),
            };
            std::future::ready(event)
        });
        Box::pin(events)
    }
}

fn from_message(message: EventMessage) -> Option<EngineEvent> {
    let actor = message.actor?;
    let mut labels: BTreeMap<String, String> = actor.attributes.unwrap_or_default().into_iter().collect();
    let id = actor.id.unwrap_or_default();
    // Docker puts these beside the labels, under the same roof.
    let name = labels.remove("name").unwrap_or_default();
    let image = labels.remove("image").unwrap_or_default();
    let subject = || EventSubject { id, name, image, labels };
    match (message.typ?, message.action?.as_str()) {
        (EventMessageTypeEnum::CONTAINER, "create") => Some(EngineEvent::ContainerCreated(subject())),
        (EventMessageTypeEnum::CONTAINER, "start") => Some(EngineEvent::ContainerStarted(subject())),
        (EventMessageTypeEnum::CONTAINER, "destroy" | "remove") => {
            Some(EngineEvent::ContainerRemoved(subject()))
        }
        (EventMessageTypeEnum::IMAGE, "tag" | "pull") => Some(EngineEvent::ImageNamed(subject())),
        (EventMessageTypeEnum::IMAGE, "untag" | "delete" | "remove") => {
            Some(EngineEvent::ImageUnnamed(subject()))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<EngineEvent> {
        from_message(serde_json::from_str(text).unwrap())
    }

    #[test]
    fn a_start_tells_name_image_and_labels_of_its_container() {
        let event = read(
            r#"{"Type":"container","Action":"start","Actor":{"ID":"4bff","Attributes":{"name":"shop-1",
                "image":"shop:1.4","com.docker.compose.service":"shop"}},"time":1772366400}"#,
        );
        let Some(EngineEvent::ContainerStarted(subject)) = event else { panic!("{event:?}") };
        assert_eq!((subject.name.as_str(), subject.image.as_str()), ("shop-1", "shop:1.4"));
        assert_eq!(subject.labels.len(), 1);
    }

    #[test]
    fn what_nobody_waits_for_is_passed_by() {
        assert_eq!(read(r#"{"Type":"container","Action":"die","Actor":{"ID":"4bff"}}"#), None);
        assert_eq!(read(r#"{"Type":"image","Action":"tag"}"#), None);
        let named = read(
            r#"{"Type":"image","Action":"tag","Actor":{"ID":"sha256:1","Attributes":{"name":"shop:1.4"}}}"#,
        );
        assert!(matches!(named, Some(EngineEvent::ImageNamed(subject)) if subject.name == "shop:1.4"));
    }
}
