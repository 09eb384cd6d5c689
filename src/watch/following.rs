//! Follows an engine for the daemon: what happens on it, and which of its images and containers say that they are probes.
//!
//! Owns when it is looked for probes again: at the start, when one may have come or gone, and now and then. Ends when the
//! engine goes away; whoever calls comes back later.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures_util::StreamExt as _;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::daemon::{Input, Source};
use super::definition::{Definition, Origin};
use super::occurrences::Occurrences;
use crate::engine::docker::Engine;
use crate::engine::{EngineError, EngineEvent};
use crate::metadata::labels::ours;

/// Labels that make a probe of an image or a container.
pub const PROBE_LABELS: [&str; 2] = ["test.schedule", "test.on"];

/// Probes are looked for so often, whatever is heard.
const AGAIN: Duration = Duration::from_mins(1);
/// An engine that could be followed for so long answers.
const PROBATION: Duration = Duration::from_secs(3);
/// What comes together is looked at together.
const TOGETHER: Duration = Duration::from_millis(300);
/// Between two looks at what has settled.
const STEP: Duration = Duration::from_millis(500);

/// Reads the labels of an image or a container. Nothing where they make no probe of it.
pub type LabelReader =
    dyn Fn(&str, &BTreeMap<String, String>, Origin) -> Result<Option<Definition>, String> + Send + Sync;

/// Follows the engine until it is lost. `reader` is absent where labels are not looked at; `name` stands for the engine in
/// what people are told.
pub async fn follow(
    engine: &Engine,
    reader: Option<&LabelReader>,
    name: &str,
    inputs: &mpsc::Sender<Input>,
) -> EngineError {
    match following(engine, reader, name, inputs).await {
        Err(error) => error,
        Ok(never) => match never {},
    }
}

async fn following(
    engine: &Engine,
    reader: Option<&LabelReader>,
    name: &str,
    inputs: &mpsc::Sender<Input>,
) -> Result<std::convert::Infallible, EngineError> {
    let begun = Instant::now();
    let milliseconds = || i64::try_from(begun.elapsed().as_millis()).unwrap_or(i64::MAX);
    let mut events = engine.events(None);
    let mut occurrences = Occurrences::default();
    let mut look_at = Some(Instant::now());
    // A moment that events do not put off: an engine that is busy all the time would hold back every deployment.
    let mut settle_at = Instant::now() + STEP;
    loop {
        let next_look = look_at.unwrap_or_else(|| Instant::now() + AGAIN);
        tokio::select! {
            event = events.next() => {
                let Some(event) = event else {
                    return Err(EngineError::Lost {
                        operation: "hear the events of",
                        subject: engine.address().to_owned(),
                        message: "the engine closed the connection".to_owned(),
                    });
                };
                let event = event?;
                if may_be_probe(&event) {
                    look_at = Some(Instant::now() + TOGETHER);
                }
                if let Some(occurrence) = occurrences.take(&event, milliseconds()) {
                    send(inputs, Input::Occurred(occurrence)).await;
                }
            }
            () = tokio::time::sleep_until(settle_at), if occurrences.is_waiting() => {
                settle_at = Instant::now() + STEP;
                for occurrence in occurrences.settled(milliseconds()) {
                    send(inputs, Input::Occurred(occurrence)).await;
                }
            }
            () = tokio::time::sleep_until(next_look) => {
                if let Some(reader) = reader {
                    discover(engine, reader, name, inputs).await?;
                } else {
                    // That it answers is worth knowing also where nothing is looked for.
                    engine.containers(&[PROBE_LABELS[0]]).await?;
                }
                // An engine that lists and tells no events is none that can be followed: it fails at once.
                look_at = if begun.elapsed() < PROBATION {
                    Some(begun + PROBATION)
                } else {
                    send(inputs, Input::Engine { name: name.to_owned(), trouble: None }).await;
                    Some(Instant::now() + AGAIN)
                };
            }
        }
    }
}

async fn send(inputs: &mpsc::Sender<Input>, input: Input) {
    // The daemon has ended, and this task ends with it.
    let _unheard = inputs.send(input).await;
}

fn may_be_probe(event: &EngineEvent) -> bool {
    match event {
        EngineEvent::ContainerCreated(subject) | EngineEvent::ContainerRemoved(subject) => {
            PROBE_LABELS.iter().any(|label| subject.labels.contains_key(*label))
                && !ours::is_own_container(&subject.labels, &subject.name)
        }
        EngineEvent::ImageNamed(subject) | EngineEvent::ImageUnnamed(subject) => {
            !ours::is_ours(&subject.labels)
        }
        EngineEvent::ContainerStarted(_) => false,
    }
}

/// Finds the probes of an engine. A container goes before the image that it is of: a deployment has given it what it needs.
pub async fn discover(
    engine: &Engine,
    reader: &LabelReader,
    name: &str,
    inputs: &mpsc::Sender<Input>,
) -> Result<(), EngineError> {
    let mut found = Found::default();
    let mut taken = BTreeSet::new();
    for label in PROBE_LABELS {
        for container in engine.containers(&[label]).await? {
            if ours::is_own_container(&container.labels, &container.name)
                || !taken.insert(container.id.clone())
            {
                continue;
            }
            found.containers_of.insert(container.image_id.clone());
            let origin = Origin::Container { name: container.name.clone(), id: container.id };
            found.take(reader(&container.name, &container.labels, origin), &container.name);
        }
    }
    for label in PROBE_LABELS {
        for image in engine.images_with_label(label).await? {
            let is_other = found.containers_of.contains(&image.id) || ours::is_ours(&image.labels);
            let Some(name) = image.tags.first().filter(|_| !is_other) else { continue };
            if !taken.insert(image.id.clone()) {
                continue;
            }
            let origin = Origin::Image { name: name.clone(), id: image.id };
            found.take(reader(name, &image.labels, origin), name);
        }
    }
    let problem = (!found.problems.is_empty()).then(|| found.problems.join("; "));
    send(inputs, Input::Problem { about: "labels".to_owned(), problem }).await;
    send(
        inputs,
        Input::Probes { source: Source::Engine, place: name.to_owned(), definitions: found.definitions },
    )
    .await;
    Ok(())
}

#[derive(Default)]
struct Found {
    definitions: Vec<Definition>,
    problems: Vec<String>,
    names: BTreeSet<String>,
    containers_of: BTreeSet<String>,
}

impl Found {
    fn take(&mut self, read: Result<Option<Definition>, String>, subject: &str) {
        match read {
            Ok(Some(definition)) if !self.names.insert(definition.name().to_owned()) => {
                let name = definition.name();
                self.problems.push(format!("{subject} is not watched: there is a probe {name} already"));
            }
            Ok(Some(definition)) => self.definitions.push(definition),
            Ok(None) => {}
            Err(problem) => self.problems.push(problem),
        }
    }
}
