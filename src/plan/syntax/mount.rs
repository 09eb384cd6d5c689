//! `--mount`: the long form of every mount.
//!
//! Owns its keys, their aliases and which of them go with which type, as the Docker CLI has them. Keys that the
//! plan has no place for are refused by name.

use std::path::Path;

use super::volume::{absolute_target, volume_name};
use super::{Invalid, absolute, csv, units};
use crate::error::nearest;
use crate::plan::container::MountSpec;

const TYPES: [&str; 4] = ["bind", "volume", "tmpfs", "image"];
const KEYS: [&str; 19] = [
    "type",
    "source",
    "src",
    "target",
    "dst",
    "destination",
    "readonly",
    "ro",
    "consistency",
    "bind-propagation",
    "bind-nonrecursive",
    "bind-recursive",
    "volume-nocopy",
    "volume-driver",
    "volume-opt",
    "volume-label",
    "tmpfs-size",
    "tmpfs-mode",
    "bind-create-src",
];
const UNSUPPORTED: [&str; 3] = ["bind-create-src", "volume-subpath", "image-subpath"];
const SWITCHES: [&str; 5] = ["readonly", "ro", "volume-nocopy", "bind-nonrecursive", "bind-create-src"];
const PROPAGATIONS: [&str; 6] = ["private", "rprivate", "shared", "rshared", "slave", "rslave"];

/// Reads one `--mount`; a relative source is one of `directory`.
pub fn parse(text: &str, directory: &Path) -> Result<MountSpec, Invalid> {
    if text.trim().is_empty() {
        return Err(Invalid::new("expected type=TYPE,src=SOURCE,dst=TARGET"));
    }
    let mut mount = MountSpec { kind: "volume".to_owned(), ..MountSpec::default() };
    let mut keys: Vec<String> = Vec::new();
    for field in csv::fields(text.trim())? {
        let (key, value) = field.split_once('=').map_or((&*field, None), |(key, value)| (key, Some(value)));
        if key.trim() != key || value.is_some_and(|value| value.trim() != value) {
            return Err(Invalid::new(format!("white space around `{}`", field.trim())));
        }
        let key = key.to_ascii_lowercase();
        known(&key)?;
        let value = match value {
            Some("") => return Err(Invalid::new(format!("`{key}` has no value"))),
            Some(value) => value,
            None if SWITCHES.contains(&key.as_str()) => "true",
            None => return Err(Invalid::new(format!("`{key}` needs a value: {key}=…"))),
        };
        set(&mut mount, &key, value, directory)?;
        keys.push(key);
    }
    check(&mount, &keys)?;
    Ok(mount)
}

fn known(key: &str) -> Result<(), Invalid> {
    if UNSUPPORTED.contains(&key) {
        return Err(Invalid::new(format!("`{key}` is not supported by docker-test")));
    }
    if KEYS.contains(&key) {
        return Ok(());
    }
    let error = Invalid::new(format!("unknown key `{key}`"));
    Err(match nearest(key, KEYS) {
        Some(near) => error.hint(format!("did you mean `{near}`?")),
        None => error.hint("the usual keys are type, src, dst and readonly"),
    })
}

fn set(mount: &mut MountSpec, key: &str, value: &str, directory: &Path) -> Result<(), Invalid> {
    let switch = || {
        units::boolean(value)
            .ok_or_else(|| Invalid::new(format!("`{key}` takes true or false, not `{value}`")))
    };
    let pair = || {
        let (name, value) = value.split_once('=').unwrap_or((value, ""));
        (name.to_owned(), value.to_owned())
    };
    match key {
        "type" => mount.kind = mount_type(&value.to_ascii_lowercase())?,
        "source" | "src" => mount.source = Some(source(value, directory)?),
        "target" | "dst" | "destination" => value.clone_into(&mut mount.target),
        "readonly" | "ro" => mount.read_only = switch()?,
        "bind-propagation" => {
            let value = value.to_ascii_lowercase();
            if !PROPAGATIONS.contains(&value.as_str()) {
                return Err(Invalid::new(format!("`{key}` takes one of {}", PROPAGATIONS.join(", "))));
            }
            mount.bind_propagation = Some(value);
        }
        "bind-nonrecursive" => mount.bind_nonrecursive = switch()?,
        "bind-recursive" => match value {
            "enabled" => mount.bind_nonrecursive = false,
            "disabled" => mount.bind_nonrecursive = true,
            "writable" | "readonly" => {
                return Err(Invalid::new(format!("`{key}={value}` is not supported by docker-test")));
            }
            _ => return Err(Invalid::new(format!("`{key}` takes enabled or disabled, not `{value}`"))),
        },
        "volume-nocopy" => mount.volume_nocopy = switch()?,
        "volume-driver" => mount.volume_driver = Some(value.to_owned()),
        "volume-opt" => mount.volume_options.extend([pair()]),
        "volume-label" => mount.volume_labels.extend([pair()]),
        "tmpfs-size" => {
            let size =
                units::size(value).map_err(|error| Invalid::new(format!("`{key}={value}`: {error}")))?;
            mount.tmpfs_size = Some(size);
        }
        "tmpfs-mode" => {
            let mode = u32::from_str_radix(value, 8).ok().filter(|_| !value.starts_with('+'));
            let mode =
                mode.ok_or_else(|| Invalid::new(format!("`{key}` takes an octal mode such as 1777")))?;
            mount.tmpfs_mode = Some(mode.into());
        }
        // `consistency` has a meaning on Docker Desktop alone, and there it is ignored by now.
        _ => {}
    }
    Ok(())
}

fn mount_type(kind: &str) -> Result<String, Invalid> {
    if TYPES.contains(&kind) {
        return Ok(kind.to_owned());
    }
    let error = match kind {
        "npipe" => Invalid::new("type `npipe` is for Windows containers"),
        "cluster" => Invalid::new("type `cluster` is for Swarm services"),
        _ => Invalid::new(format!("unknown type `{kind}`")),
    };
    Err(match nearest(kind, TYPES) {
        Some(near) => error.hint(format!("did you mean `{near}`?")),
        None => error.hint(format!("known types: {}", TYPES.join(", "))),
    })
}

fn source(value: &str, directory: &Path) -> Result<String, Invalid> {
    if !value.starts_with('.') {
        return Ok(value.to_owned());
    }
    let path = absolute(directory, Path::new(value));
    path.to_str().map(str::to_owned).ok_or_else(|| Invalid::new("the current directory's path is not UTF-8"))
}

fn check(mount: &MountSpec, keys: &[String]) -> Result<(), Invalid> {
    let kind = mount.kind.as_str();
    for key in keys {
        let family = key.split_once('-').map(|(family, _)| family);
        if let Some(family) = family.filter(|family| TYPES.contains(family) && *family != kind) {
            return Err(Invalid::new(format!("`{key}` goes with type={family}, and the type is {kind}")));
        }
    }
    if mount.target.is_empty() {
        return Err(Invalid::new("no target: dst=PATH is missing"));
    }
    absolute_target(&mount.target)?;
    match (kind, mount.source.as_deref()) {
        ("bind" | "image", None) => Err(Invalid::new(format!("no source: type={kind} needs src=…"))),
        ("bind", Some(path)) if !path.starts_with('/') => {
            Err(Invalid::new(format!("the source `{path}` is not an absolute path"))
                .hint(format!("a relative path begins with a dot: src=./{path}")))
        }
        ("tmpfs", Some(_)) => Err(Invalid::new("type=tmpfs takes no source")),
        ("volume", Some(name)) if name.starts_with('/') => {
            Err(Invalid::new(format!("`{name}` is a path, and the type is volume"))
                .hint("type=bind mounts a path of the host"))
        }
        ("volume", Some(name)) => volume_name(name),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
