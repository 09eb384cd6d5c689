//! Which images of other people a Dockerfile is built from.
//!
//! Owns the reading of FROM, `COPY --from` and `RUN --mount=…,from=…`. A name that only the build can tell is left out.

use std::collections::BTreeMap;

use super::variables::{Globals, declare_global, expand_global};
use crate::metadata::dockerfile::{Dockerfile, Instruction};

/// The images that `dockerfile` names, each once, in its order; its own stages and `scratch` are none.
#[must_use]
pub fn base_images(dockerfile: &Dockerfile, build_args: &BTreeMap<String, String>) -> Vec<String> {
    let escape = dockerfile.escape;
    let mut globals = Globals::new();
    let mut stages: Vec<String> = Vec::new();
    let mut found: Vec<String> = Vec::new();
    let mut began = false;
    for instruction in &dockerfile.instructions {
        let names: Vec<String> = match instruction.keyword.as_str() {
            "ARG" if !began => {
                declare_global(&mut globals, &instruction.rest, escape, build_args);
                continue;
            }
            "FROM" => {
                began = true;
                let words = instruction.words();
                let base = expand_global(&globals, words.first().copied().unwrap_or_default(), escape);
                let is_named = words.get(1).is_some_and(|word| word.eq_ignore_ascii_case("as"));
                let base = base.ok().filter(|base| !is_stage(&stages, base));
                stages.extend(words.get(2).filter(|_| is_named).map(|name| (*name).to_owned()));
                base.into_iter().collect()
            }
            _ => read_from(instruction).into_iter().filter(|name| !is_stage(&stages, name)).collect(),
        };
        for name in names {
            if !name.is_empty() && name != "scratch" && !found.contains(&name) {
                found.push(name);
            }
        }
    }
    found
}

/// A stage of that name or, for COPY, of that number.
fn is_stage(stages: &[String], name: &str) -> bool {
    stages.iter().any(|stage| stage.eq_ignore_ascii_case(name)) || name.parse::<u32>().is_ok()
}

/// What COPY and mounts read from besides the context.
fn read_from(instruction: &Instruction) -> Vec<String> {
    let flags =
        instruction.flags.iter().filter_map(|flag| Some((flag.name.as_str(), flag.value.as_deref()?)));
    let named = |(name, value): (&str, &str)| match (instruction.keyword.as_str(), name) {
        ("COPY", "from") => Some(value.to_owned()),
        ("RUN", "mount") => value.split(',').find_map(|field| field.strip_prefix("from=")).map(str::to_owned),
        _ => None,
    };
    // Builders expand no variables there.
    flags.filter_map(named).filter(|name| !name.contains('$')).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metadata::dockerfile::parse;

    #[test]
    fn images_are_named_once_and_stages_are_none() {
        let text = "ARG TEST_IMAGE\nARG TAG=1\nFROM tools:$TAG AS tools\nRUN x\nFROM TOOLS AS more\nFROM scratch\n\
                    FROM ${TEST_IMAGE}\nCOPY --from=tools a /a\nCOPY --from=0 a /a\nCOPY --from=data:2 a /a\n\
                    RUN --mount=type=bind,from=data:3,target=/x true\nCOPY --from=data:2 b /b\nCOPY c /c\n";
        let arguments = BTreeMap::from([("TEST_IMAGE".to_owned(), "shop".to_owned())]);
        let bases = base_images(&parse(text.as_bytes()).unwrap(), &arguments);
        assert_eq!(bases, ["tools:1", "shop", "data:2", "data:3"]);
    }

    #[test]
    fn a_name_that_cannot_be_told_is_left_out() {
        let text = "FROM a:$TARGETARCH\nCOPY --from=$B x /x\n";
        assert_eq!(base_images(&parse(text.as_bytes()).unwrap(), &BTreeMap::new()), Vec::<String>::new());
    }
}
