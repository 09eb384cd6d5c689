//! What is written into containers before they start: results directories for any user, secrets as files.

use std::process::Command;

use docker_test::engine::docker::{Creation, ResultsVolume};
use docker_test::metadata::labels::Role;
use docker_test::plan::container::{ContainerSpec, MountSpec};
use docker_test::runner::secret_files::SecretFiles;
use docker_test::runner::writable::make_writable;

use crate::stage::Stage;
use crate::support::{BASE, docker};

const VALUE: &str = "hunter22-in-a-file";
const RESULTS: &str = "/var/tests/results";

fn user(name: &str) -> ContainerSpec {
    ContainerSpec { user: Some(name.to_owned()), ..ContainerSpec::default() }
}

fn secrets() -> SecretFiles {
    SecretFiles::new(vec![
        ("TOKEN".to_owned(), VALUE.as_bytes().to_vec()),
        ("key.bin".to_owned(), vec![0, 255, 10]),
    ])
    .unwrap()
}

/// Creates a container that has the secrets.
async fn with_secrets(stage: &Stage, spec: ContainerSpec, script: &str) -> String {
    let mut spec = spec;
    secrets().mount(&mut spec, stage.ledger.labels(Role::Volume)).unwrap();
    let container = stage.create(spec, &stage.creation().await, script).await.id;
    secrets().write(&stage.engine, &container).await.unwrap();
    container
}

async fn with_results(stage: &Stage) -> Creation {
    let labels = stage.ledger.labels(Role::Volume);
    let results = Some(ResultsVolume { path: RESULTS.to_owned(), labels });
    Creation { results, ..stage.creation().await }
}

#[tokio::test]
async fn any_user_may_write_results_though_nothing_was_built() {
    let read_only = ContainerSpec { read_only: true, ..user("1234:1234") };
    for spec in [user("1234"), read_only, ContainerSpec::default()] {
        let stage = Stage::new().await;
        let script = format!("id -u; stat -c %a {RESULTS}; echo x > {RESULTS}/file && cat {RESULTS}/file");
        let container = stage.create(spec.clone(), &with_results(&stage).await, &script).await.id;
        make_writable(&stage.engine, &stage.ledger, &container, RESULTS).await.unwrap();
        let (code, output) = stage.run(&container).await;
        let id = if spec.user.is_some() { "1234" } else { "0" };
        assert_eq!((code, output), (0, format!("{id}\n1777\nx\n")), "{spec:?}");
        stage.end().await;
    }
}

#[tokio::test]
async fn without_that_only_root_may() {
    let stage = Stage::new().await;
    let script = format!("echo x > {RESULTS}/file");
    let container = stage.create(user("1234"), &with_results(&stage).await, &script).await.id;
    assert_eq!(stage.run(&container).await.0, 1);
    stage.end().await;
}

#[tokio::test]
async fn a_secret_is_a_file_that_root_and_others_can_read() {
    let tmpfs = |target: &str| MountSpec {
        kind: "tmpfs".to_owned(),
        target: target.to_owned(),
        ..MountSpec::default()
    };
    let below_tmpfs = ContainerSpec { mounts: vec![tmpfs("/run")], ..user("1234") };
    let read_only = ContainerSpec { read_only: true, ..user("1234") };
    for spec in [ContainerSpec::default(), user("1234"), read_only, below_tmpfs] {
        let stage = Stage::new().await;
        let script = "cat /run/secrets/TOKEN; stat -c ' %a %u %n' /run/secrets /run/secrets/*; \
                      od -An -tx1 /run/secrets/key.bin; env";
        let container = with_secrets(&stage, spec.clone(), script).await;
        let (code, output) = stage.run(&container).await;
        let expected = format!(
            "{VALUE} 755 0 /run/secrets\n 444 0 /run/secrets/TOKEN\n 444 0 /run/secrets/key.bin\n 00 ff 0a\n"
        );
        assert!(code == 0 && output.starts_with(&expected), "{spec:?}: {output}");
        assert_eq!(output.matches(VALUE).count(), 1, "{output}");
        let record = docker(&["inspect", &container]);
        assert!(record.contains("/run/secrets") && !record.contains(VALUE), "{record}");
        stage.end().await;
    }
}

#[tokio::test]
async fn an_image_that_is_committed_of_a_container_has_no_secret() {
    // The test's own copy shows that the right place is looked at.
    for (script, is_in_the_image) in
        [("cat /run/secrets/TOKEN", false), ("cp /run/secrets/TOKEN /copy", true)]
    {
        let stage = Stage::new().await;
        let container = with_secrets(&stage, ContainerSpec::default(), script).await;
        assert_eq!(stage.run(&container).await.0, 0);
        let image = stage.name("committed");
        docker(&["commit", &container, &image]);
        let saved = Command::new("docker").args(["save", &image]).output().unwrap().stdout;
        docker(&["rmi", &image]);
        assert!(saved.len() > 1_000_000);
        let found = saved.windows(VALUE.len()).any(|bytes| bytes == VALUE.as_bytes());
        assert_eq!(found, is_in_the_image, "{script}");
        stage.end().await;
    }
}

#[tokio::test]
async fn wiped_secrets_are_gone_from_a_kept_container() {
    let stage = Stage::new().await;
    let container = with_secrets(&stage, ContainerSpec::default(), "cat /run/secrets/TOKEN").await;
    assert_eq!(stage.run(&container).await, (0, VALUE.to_owned()));
    let look = || {
        let script = "cd /run/secrets; wc -c TOKEN key.bin; grep -r hunter22 .";
        let arguments =
            ["run", "--rm", "--volumes-from", &container, BASE, "sh", "-c", &format!("{script}; true")];
        docker(&arguments)
    };
    assert!(look().contains(VALUE));
    secrets().wipe(&stage.engine, &container).await.unwrap();
    let left = look();
    assert!(left.contains("0 TOKEN") && left.contains("0 key.bin") && !left.contains(VALUE), "{left}");
    stage.end().await;
}

#[tokio::test]
async fn secrets_and_results_are_written_on_podman_too() {
    let host = crate::fixture::fixture("podman")["PODMAN_HOST"].clone();
    let read_only = ContainerSpec { read_only: true, ..user("1234") };
    for spec in [user("1234"), read_only] {
        let stage = Stage::at(Some(&host)).await;
        let mut spec = spec;
        secrets().mount(&mut spec, stage.ledger.labels(Role::Volume)).unwrap();
        let script = format!("cat /run/secrets/TOKEN; echo x > {RESULTS}/file && cat {RESULTS}/file");
        let container = stage.create(spec, &with_results(&stage).await, &script).await.id;
        secrets().write(&stage.engine, &container).await.unwrap();
        make_writable(&stage.engine, &stage.ledger, &container, RESULTS).await.unwrap();
        assert_eq!(stage.run(&container).await, (0, format!("{VALUE}x\n")));
        secrets().wipe(&stage.engine, &container).await.unwrap();
        stage.engine.start(&container).await.unwrap();
        stage.engine.wait(&container).await.unwrap();
        assert_eq!(stage.docker(&["logs", &container]), format!("{VALUE}x\nx\n"));
        stage.end().await;
    }
}
