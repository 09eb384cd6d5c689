//! A results directory that any user may write to, in a container whose image was not built here.
//!
//! A test image has such a directory. Where nothing is built, the volume that is mounted there belongs to root, and its
//! mode is changed by an archive that is unpacked before the container starts: no image need have a `chmod`.

use std::io;

use bytes::Bytes;

use super::upload_archive::UploadArchive;
use crate::engine::docker::Creation;
use crate::engine::{ContainerRecord, Engine, EngineError, ResourceKind};
use crate::error::Failure;
use crate::ledger::RunLedger;
use crate::metadata::labels::Role;
use crate::plan::container::{ContainerSpec, MountSpec, NetworkSpec};

/// Sticky, and open to all: as `/tmp` is.
const MODE: u32 = 0o1777;

/// Lets every user write to `path`, where a volume is mounted. To be called between creation and start.
pub async fn make_writable(
    engine: &Engine,
    ledger: &RunLedger,
    container: &str,
    path: &str,
) -> Result<(), Failure> {
    if engine.capabilities().unpacks_mode_of_root {
        return Ok(engine.upload(container, path, archive(".", container)?).await?);
    }
    let record = engine.container_record(container).await?;
    let (parent, archive) = ("/", archive(path.trim_start_matches('/'), container)?);
    if !record.configuration.read_only {
        return Ok(engine.upload(container, parent, archive).await?);
    }
    // Nothing can be unpacked beside the volume where the root is read-only: the volume is lent to a container whose root
    // is not, and which is never started.
    let short: String = record.id.chars().take(12).collect();
    let lender = ledger
        .record(ResourceKind::Container, &format!("docker-test-{}-writable-{short}", ledger.run_id()))?;
    let creation = Creation {
        image: record.image_id.clone(),
        labels: ledger.labels(Role::Helper),
        ..Creation::default()
    };
    let created = engine.create_container(&lender, &with_volume_of(&record, path), &creation).await?;
    let uploaded = engine.upload(&created.id, parent, archive).await;
    ledger.remove(engine, &lender).await?;
    Ok(uploaded?)
}

/// A container with nothing but the volume that `record` has at `path`.
fn with_volume_of(record: &ContainerRecord, path: &str) -> ContainerSpec {
    let volume = record.mounts.iter().find(|mounted| mounted.target == path);
    let mount = MountSpec {
        kind: "volume".to_owned(),
        source: volume.and_then(|volume| volume.name.clone()),
        target: path.to_owned(),
        volume_nocopy: true,
        ..MountSpec::default()
    };
    ContainerSpec {
        // It need not be there, and an image without any is refused.
        command: Some(vec!["true".to_owned()]),
        mounts: vec![mount],
        networks: vec![NetworkSpec { name: "none".to_owned(), ..NetworkSpec::default() }],
        ..ContainerSpec::default()
    }
}

fn archive(directory: &str, container: &str) -> Result<Bytes, EngineError> {
    let made: io::Result<Bytes> = (|| {
        let mut archive = UploadArchive::new();
        archive.directory(directory, MODE)?;
        archive.finish()
    })();
    made.map_err(|error| EngineError::Failed {
        operation: "open the results directory of",
        subject: container.to_owned(),
        message: error.to_string(),
    })
}
