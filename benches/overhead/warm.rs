//! A run of an unchanged test image, against the engine's calls alone and against the script.

use std::path::{Path, PathBuf};

use tokio::process::Command;

use crate::entry::Failure;
use crate::ground::{Ground, docker};
use crate::raw::Life;
use crate::table::{Report, Series, Target};
use crate::{peak, project, raw};

pub(crate) async fn measure(ground: &Ground, rounds: usize, report: &mut Report) -> Result<(), Failure> {
    let (image, directory) = project::project(ground, "warm")?;
    let arguments = ["--quiet", image.as_str()];
    // Builds the test image, and warms what can be warmed.
    ground.time(ground.docker_test(&arguments, &directory)).await?;
    let test_image = format!("{image}-test");
    let life = Life { image: &test_image, command: &[], network: None, inspected: true };
    let client = raw::connect(&ground.http).await?;
    let scripts = Scripts::new(ground, &image, &directory)?;
    ground.time(scripts.plain()).await?;
    if let Some(command) = scripts.buildkit() {
        ground.time(command).await?;
    }
    let mut program = Series::seconds("warm run");
    let mut floor = Series::seconds("raw lifecycle of its container");
    let mut plain = Series::seconds("script, docker build as it comes");
    let mut buildkit = Series::seconds("script, BuildKit");
    for round in 0..=rounds {
        let samples = [
            Some(ground.time(ground.docker_test(&arguments, &directory)).await?),
            Some(raw::lifecycle(&client, life, &format!("{}-{round}", ground.prefix)).await?),
            Some(ground.time(scripts.plain()).await?),
            match scripts.buildkit() {
                Some(command) => Some(ground.time(command).await?),
                None => None,
            },
        ];
        // The first round only warms.
        if round > 0 {
            let series = [&mut program, &mut floor, &mut plain, &mut buildkit];
            for (series, sample) in series.into_iter().zip(samples) {
                series.extend(sample.map(|sample| sample.as_secs_f64()));
            }
        }
    }
    report.ratio("warm run ÷ raw lifecycle", &program, &floor, Target::AtMost(1.05));
    // Whichever way to build is the faster one is what a user would have.
    let script = if buildkit.is_empty() || plain.median() < buildkit.median() { &plain } else { &buildkit };
    report.ratio("warm run ÷ script (the faster)", &program, script, Target::AtMost(0.90));
    for series in [program, floor, plain, buildkit] {
        report.add(series);
    }
    let mut memory = Series::megabytes("peak memory of a warm run");
    for _ in 0..rounds.min(5) {
        memory.push(peak::peak_of_program(ground, &arguments, &directory)?);
    }
    report.limit(&memory, Target::AtMost(25.0));
    report.add(memory);
    Ok(())
}

/// The seed's script: build, then run, with the results in a bind mount.
pub(crate) struct Scripts<'a> {
    directory: &'a Path,
    test_image: String,
    image: &'a str,
    flags: &'static str,
    /// A Docker client whose builds use BuildKit, where there is one.
    buildkit_client: Option<PathBuf>,
}

impl<'a> Scripts<'a> {
    pub(crate) fn new(ground: &Ground, image: &'a str, directory: &'a Path) -> Result<Self, Failure> {
        std::fs::create_dir_all(directory.join("tests/results"))?;
        let test_image = ground.image("script-test");
        let buildkit_client = project::buildkit_client(ground);
        Ok(Self { directory, test_image, image, flags: "", buildkit_client })
    }

    pub(crate) const fn with_flags(mut self, flags: &'static str) -> Self {
        self.flags = flags;
        self
    }

    /// With the Docker CLI and the builder that a user gets without asking.
    pub(crate) fn plain(&self) -> Command {
        let mut command = self.command("docker");
        command.env_remove("DOCKER_BUILDKIT");
        command
    }

    /// With BuildKit, where a client can use it.
    pub(crate) fn buildkit(&self) -> Option<Command> {
        let client = self.buildkit_client.as_ref()?;
        let mut command = self.command(&client.display().to_string());
        command.env("DOCKER_BUILDKIT", "1");
        Some(command)
    }

    fn command(&self, client: &str) -> Command {
        let Self { test_image, image, flags, .. } = self;
        let script = format!(
            "'{client}' build {flags} --build-arg TEST_IMAGE={image} -t {test_image} -f Dockerfile.test . &&\n\
             '{client}' run --rm -v \"$(pwd)/tests/results:/var/tests/results\" {test_image}\n"
        );
        let mut command = Command::new("sh");
        command.args(["-c", &script]).current_dir(self.directory);
        command
    }

    /// Removes the image that the script's next build would leave without a name. docker-test does so by itself.
    pub(crate) fn forget_image(&self) {
        let _ = docker(&["rmi", "-f", &self.test_image]);
    }
}
