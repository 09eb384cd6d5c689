//! Flags that mount something into the test container: `-v`, `--mount`, `--tmpfs`, `--read-only`.
//!
//! Owns `-v` and `--tmpfs`, and the rule that a path is mounted once. Does not know the results path: what covers it
//! is judged by the plan.

use std::path::Path;

use clap::Args;

use super::absolute;
use super::error::{FlagError, Invalid};
use super::mount;
use crate::environment::Environment;
use crate::plan::container::ContainerSpec;

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
            match volume(text, environment).map_err(|error| error.of("--volume", text))? {
                // The engine leaves an anonymous volume out where something else is mounted.
                Volume::Anonymous(target) => spec.anonymous_volumes.push(target),
                Volume::Bind { spec: bind, target } => {
                    targets.push((normal(&target), "--volume", text));
                    spec.binds.push(bind);
                }
            }
        }
        for text in &self.mount {
            let mount = mount::parse(text, environment).map_err(|error| error.of("--mount", text))?;
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

enum Volume {
    Anonymous(String),
    Bind { spec: String, target: String },
}

fn volume(text: &str, environment: &Environment) -> Result<Volume, Invalid> {
    let parts: Vec<&str> = text.split(':').collect();
    if parts.iter().any(|part| part.is_empty()) {
        return Err(Invalid::new("expected [SRC:]DST[:OPTIONS] with no part left empty"));
    }
    let (source, target, options) = match *parts.as_slice() {
        [target] => {
            absolute_target(target)?;
            return Ok(Volume::Anonymous(target.to_owned()));
        }
        [source, target] => (source, target, None),
        [source, target, options] => (source, target, Some(options)),
        _ => {
            return Err(Invalid::new("too many colons: expected [SRC:]DST[:OPTIONS]")
                .hint("a path with a colon in it can be mounted with --mount"));
        }
    };
    absolute_target(target)?;
    let source = source_of(source, environment)?;
    if let Some(options) = options {
        volume_options(options, source.starts_with('/'))?;
    }
    let options = options.map(|options| format!(":{options}")).unwrap_or_default();
    Ok(Volume::Bind { spec: format!("{source}:{target}{options}"), target: target.to_owned() })
}

/// A host path made absolute, or the name of a volume.
fn source_of(source: &str, environment: &Environment) -> Result<String, Invalid> {
    if source.starts_with('~') {
        return Err(Invalid::new("the shell did not replace `~` here").hint("write $HOME instead of ~"));
    }
    if source.starts_with('/') {
        return Ok(source.to_owned());
    }
    if !source.starts_with('.') {
        volume_name(source)?;
        return Ok(source.to_owned());
    }
    let path = absolute(environment, Path::new(source));
    let path = path.to_str().ok_or_else(|| Invalid::new("the current directory's path is not UTF-8"))?;
    if path.contains(':') {
        let hint = format!("--mount type=bind,src={source},dst=… can mount it");
        return Err(Invalid::new(format!("the path {path} contains a colon")).hint(hint));
    }
    Ok(path.to_owned())
}

/// What the engine takes as the name of a volume.
pub(super) fn volume_name(name: &str) -> Result<(), Invalid> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    let valid =
        name.len() >= 2 && name.starts_with(|c: char| c.is_ascii_alphanumeric()) && name.chars().all(allowed);
    if valid {
        return Ok(());
    }
    let error = Invalid::new(format!("`{name}` is neither a path nor the name of a volume"));
    Err(if name.contains('/') {
        error.hint(format!("a relative path begins with a dot: ./{name}"))
    } else {
        error.hint("a name has two or more of [a-zA-Z0-9_.-], the first a letter or a digit")
    })
}

/// A path in the container that something can be mounted at.
pub(super) fn absolute_target(target: &str) -> Result<(), Invalid> {
    if !target.starts_with('/') {
        return Err(Invalid::new(format!("`{target}` is not an absolute path in the container")));
    }
    if normal(target) == "/" {
        return Err(Invalid::new("nothing can be mounted over the container's root"));
    }
    Ok(())
}

fn volume_options(options: &str, bind: bool) -> Result<(), Invalid> {
    const GROUPS: [&[&str]; 7] = [
        &["ro", "rw"],
        &["z", "Z"],
        &["private", "rprivate", "shared", "rshared", "slave", "rslave"],
        &["consistent", "cached", "delegated", "default"],
        &["nocopy"],
        // Podman's engine alone.
        &["U"],
        &["O"],
    ];
    let mut seen = [false; 7];
    for option in options.split(',') {
        let Some(group) = GROUPS.iter().position(|group| group.contains(&option)) else {
            let error = Invalid::new(format!("unknown option `{option}`"));
            let near = crate::settings::nearest(option, GROUPS.iter().copied().flatten().copied());
            return Err(match near {
                Some(near) => error.hint(format!("did you mean `{near}`?")),
                None => error
                    .hint("known options: ro, rw, z, Z, nocopy, shared, slave, private and their r… forms"),
            });
        };
        let taken = seen.get_mut(group).is_some_and(|seen| std::mem::replace(seen, true));
        if taken {
            return Err(Invalid::new(format!("`{option}` is given beside an option that it excludes")));
        }
        if group == 2 && !bind {
            return Err(Invalid::new(format!("`{option}` goes with a host path, not with a volume")));
        }
        if group == 4 && bind {
            return Err(Invalid::new("`nocopy` goes with a volume, not with a host path"));
        }
    }
    Ok(())
}

/// `/a//b/./c/../` as `/a/b`, to compare paths of the container.
fn normal(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

#[cfg(test)]
mod tests;
