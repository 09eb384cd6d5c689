//! An image under test with its recipe, and the Docker clients that can build it.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::entry::Failure;
use crate::ground::{BASE, Ground, docker};

/// A test that takes no time of its own and leaves one report.
pub(crate) const TEST: &str = r#"#!/bin/sh
echo '<testsuite name="bench" tests="1"><testcase name="nothing"/></testsuite>' >/var/tests/results/junit.xml
echo done
"#;

/// Its recipe, which plain Docker can build too.
pub(crate) const RECIPE: &str =
    "ARG TEST_IMAGE\nFROM ${TEST_IMAGE}\nCOPY tests/run.sh /run.sh\nCMD [\"/run.sh\"]\n";

/// An image under test, and the directory with its recipe.
pub(crate) fn project(ground: &Ground, name: &str) -> Result<(String, PathBuf), Failure> {
    let (image, directory) = (ground.image(name), ground.directory(name)?);
    docker(&["tag", BASE, &image])?;
    write_executable(&directory.join("tests/run.sh"), TEST)?;
    fs::write(directory.join("Dockerfile.test"), RECIPE)?;
    Ok((image, directory))
}

/// The Docker CLI of a distribution may come without the plugin that its BuildKit builds need.
pub(crate) fn buildkit_client(ground: &Ground) -> Option<PathBuf> {
    let image = ground.image("probe");
    let directory = ground.directory("probe").ok()?;
    fs::write(directory.join("Dockerfile"), format!("FROM {BASE}\n")).ok()?;
    clients().into_iter().find(|client| {
        Command::new(client)
            .args(["build", "-q", "-t", &image, "."])
            .current_dir(&directory)
            .env("DOCKER_BUILDKIT", "1")
            .stdin(Stdio::null())
            .output()
            .is_ok_and(|output| output.status.success())
    })
}

/// Every program called `docker` on the PATH.
fn clients() -> Vec<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .map(|directory| directory.join("docker"))
        .filter(|file| file.is_file())
        .collect()
}

pub(crate) fn write_executable(path: &Path, text: &str) -> Result<(), Failure> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    fs::write(path, text)?;
    fs::set_permissions(path, Permissions::from_mode(0o755))?;
    Ok(())
}
