//! A run whose test image must be built, from a context of which it needs one file.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::time::Duration;

use crate::entry::Failure;
use crate::ground::Ground;
use crate::project::{self, TEST, write_executable};
use crate::table::{Report, Series, Target};
use crate::warm::Scripts;

const DIRECTORIES: usize = 200;
const FILES: usize = 100;
const FILE_SIZE: usize = 20_000;

pub(crate) async fn measure(ground: &Ground, rounds: usize, report: &mut Report) -> Result<(), Failure> {
    let (image, directory) = project::project(ground, "cold")?;
    fill(&directory)?;
    let scripts = Scripts::new(ground, &image, &directory)?;
    let uncached = Scripts::new(ground, &image, &directory)?.with_flags("--no-cache");
    if scripts.buildkit().is_none() {
        report
            .note("no Docker client here builds with BuildKit: the cold run has nothing to be compared with");
    }
    let mut changed = Series::seconds("cold run, changed file");
    let mut changed_script = Series::seconds("script with BuildKit, changed file");
    let mut forced = Series::seconds("cold run, --no-cache");
    let mut forced_script = Series::seconds("script with BuildKit, --no-cache");
    let arguments = ["--quiet", image.as_str()];
    let no_cache = ["--quiet", "--no-cache", image.as_str()];
    for round in 0..=rounds {
        let mut samples: [Option<Duration>; 4] = [None; 4];
        touch(&directory, round, "program")?;
        samples[0] = Some(ground.time(ground.docker_test(&arguments, &directory)).await?);
        if let Some(command) = scripts.buildkit() {
            touch(&directory, round, "script")?;
            scripts.forget_image();
            samples[1] = Some(ground.time(command).await?);
        }
        samples[2] = Some(ground.time(ground.docker_test(&no_cache, &directory)).await?);
        if let Some(command) = uncached.buildkit() {
            uncached.forget_image();
            samples[3] = Some(ground.time(command).await?);
        }
        // The first round only warms.
        if round > 0 {
            let series = [&mut changed, &mut changed_script, &mut forced, &mut forced_script];
            for (series, sample) in series.into_iter().zip(samples) {
                series.extend(sample.map(|sample| sample.as_secs_f64()));
            }
        }
    }
    if !changed_script.is_empty() {
        report.ratio("cold run ÷ script, changed file", &changed, &changed_script, Target::AtMost(1.0));
        report.ratio("cold run ÷ script, --no-cache", &forced, &forced_script, Target::AtMost(1.0));
    }
    for series in [changed, changed_script, forced, forced_script] {
        report.add(series);
    }
    fs::remove_dir_all(directory)?;
    Ok(())
}

/// 400 MB in 20,000 files, none of which compresses to nothing.
fn fill(directory: &Path) -> Result<(), Failure> {
    let mut content: Vec<u8> =
        (0..FILE_SIZE).map(|index| u8::try_from(index * 31 % 251).unwrap_or(0)).collect();
    for outer in 0..DIRECTORIES {
        let path = directory.join(format!("data/{outer:03}"));
        fs::create_dir_all(&path)?;
        for inner in 0..FILES {
            content[..8].copy_from_slice(&(outer * FILES + inner).to_le_bytes());
            File::create(path.join(format!("{inner:03}.bin")))?.write_all(&content)?;
        }
    }
    Ok(())
}

/// A change that no builder has seen before.
fn touch(directory: &Path, round: usize, who: &str) -> Result<(), Failure> {
    let text = format!("{TEST}# {} {round} {who}\n", std::process::id());
    write_executable(&directory.join("tests/run.sh"), &text)
}
