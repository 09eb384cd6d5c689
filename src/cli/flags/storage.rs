//! Flags that mount something into the test container: `-v`, `--mount`, `--tmpfs`, `--read-only`.
//!
//! Owns `--tmpfs`, and the rule that a path is mounted once. Does not know the results path: what covers it
//! is judged by the plan.

use clap::Args;

use super::error::{FlagError, Invalid};
use crate::environment::Environment;
use crate::plan::container::ContainerSpec;
use crate::plan::syntax::mount;
use crate::plan::syntax::volume::{self, Volume, absolute_target, normal};

/// What is mounted into the test container.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Test container: files")]
pub struct StorageFlags {
    /// Mount a host path or a named volume; DST alone makes an anonymous volume
    #[arg(short, long, value_name = "[SRC:]DST[:OPTIONS]")]
    pub volume: Vec<String>,
    /// Mount a bind, volume, tmpfs or image: type=bind,src=PATH,dst=PATH,readonly
    #[arg(long, value_name = "KEY=VALUE,...")]
    pub mount: Vec<String>,
    /// Mount a tmpfs
    #[arg(long, value_name = "DST[:OPTIONS]")]
    pub tmpfs: Vec<String>,
    /// Make the container's root filesystem read-only
    #[arg(long)]
    pub read_only: bool,
}

impl StorageFlags {
    /// Writes what these flags say into `spec`.
    pub fn resolve(&self, environment: &Environment, spec: &mut ContainerSpec) -> Result<(), FlagError> {
        let mut targets: Vec<(String, &str, &String)> = Vec::new();
        for (index, text) in self.volume.iter().enumerate() {
            // The Docker CLI keeps volumes in a set: the same text twice is one mount.
            if self.volume[..index].contains(text) {
                continue;
            }
            match volume::parse(text, environment.current_dir())
                .map_err(|error| error.of("--volume", text))?
            {
                // The engine leaves an anonymous volume out where something else is mounted.
                Volume::Anonymous(target) => spec.anonymous_volumes.push(target),
                Volume::Bind { spec: bind, target } => {
                    targets.push((normal(&target), "--volume", text));
                    spec.binds.push(bind);
                }
            }
        }
        for text in &self.mount {
            let mount =
                mount::parse(text, environment.current_dir()).map_err(|error| error.of("--mount", text))?;
            targets.push((normal(&mount.target), "--mount", text));
            spec.mounts.push(mount);
        }
        for text in &self.tmpfs {
            let (target, options) = text.split_once(':').unwrap_or((text, ""));
            absolute_target(target).map_err(|error| error.of("--tmpfs", text))?;
            if spec.tmpfs.insert(target.to_owned(), options.to_owned()).is_none() {
                targets.push((normal(target), "--tmpfs", text));
            }
        }
        for (index, (target, flag, text)) in targets.iter().enumerate() {
            if let Some((_, other, _)) = targets[..index].iter().find(|(known, ..)| known == target) {
                return Err(Invalid::new(format!("{target} is already mounted by {other}")).of(flag, text));
            }
        }
        spec.read_only = self.read_only;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
