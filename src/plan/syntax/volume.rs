//! `-v`: the short form of binds, named and anonymous volumes.
//!
//! Owns its grammar, the options that go together, and what the engine takes as the name of a volume.

use std::path::Path;

use super::{Invalid, absolute};
use crate::error::nearest;

/// One `-v`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Volume {
    /// A path alone.
    Anonymous(String),
    /// A host path or a named volume.
    Bind {
        /// `SRC:DST[:OPTIONS]` with an absolute source, as the API's Binds takes it.
        spec: String,
        /// Path in the container.
        target: String,
    },
}

/// Reads one `-v`; a relative source is one of `directory`.
pub fn parse(text: &str, directory: &Path) -> Result<Volume, Invalid> {
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
    let source = source_of(source, directory)?;
    if let Some(options) = options {
        volume_options(options, source.starts_with('/'))?;
    }
    let options = options.map(|options| format!(":{options}")).unwrap_or_default();
    Ok(Volume::Bind { spec: format!("{source}:{target}{options}"), target: target.to_owned() })
}

/// A host path made absolute, or the name of a volume.
fn source_of(source: &str, directory: &Path) -> Result<String, Invalid> {
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
    let path = absolute(directory, Path::new(source));
    let path = path.to_str().ok_or_else(|| Invalid::new("the current directory's path is not UTF-8"))?;
    if path.contains(':') {
        let hint = format!("--mount type=bind,src={source},dst=… can mount it");
        return Err(Invalid::new(format!("the path {path} contains a colon")).hint(hint));
    }
    Ok(path.to_owned())
}

/// What the engine takes as the name of a volume.
pub fn volume_name(name: &str) -> Result<(), Invalid> {
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
pub fn absolute_target(target: &str) -> Result<(), Invalid> {
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
            let near = nearest(option, GROUPS.iter().copied().flatten().copied());
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
#[must_use]
pub fn normal(path: &str) -> String {
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
