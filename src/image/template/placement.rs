//! Where in a recipe the results directory is made.
//!
//! Owns one decision. Right behind FROM it is a step that no change of the recipe's files undoes, so that the builder
//! takes it from its cache. Behind the last instruction it holds whatever came before. The first place is given where
//! no instruction can touch the directory or what leads there, the last one wherever that cannot be told.

use crate::metadata::dockerfile::Instruction;

/// The line after which the results directory may be made, counted from 1 as the instructions count: that of the last
/// FROM, or 0 where the recipe has none. Nothing where it has to come last. `working_directory` is that of the image
/// under test, empty for `/`, where it is known.
#[must_use]
pub fn results_after(
    instructions: &[Instruction],
    results: &str,
    working_directory: Option<&str>,
) -> Option<u32> {
    let from = instructions.iter().rposition(|instruction| instruction.keyword == "FROM");
    let stage = instructions.get(from.map_or(0, |index| index + 1)..).unwrap_or_default();
    // A stage's own directory is not that of the image under test, where it stands on another one.
    let mut directory = match (from, working_directory) {
        (None, Some("")) => Some("/".to_owned()),
        (None, Some(directory)) => Some(directory.to_owned()),
        (Some(_), _) | (None, None) => None,
    };
    for instruction in stage {
        match instruction.keyword.as_str() {
            "ARG" | "CMD" | "ENTRYPOINT" | "ENV" | "EXPOSE" | "HEALTHCHECK" | "LABEL" | "SHELL"
            | "STOPSIGNAL" | "USER" => {}
            "WORKDIR" => directory = Some(absolute(instruction.rest.trim(), directory.as_deref())?),
            "COPY" | "ADD" => {
                let words = instruction.words();
                let destination = absolute(words.last()?, directory.as_deref())?;
                if leads_to(&destination, results) || leads_to(results, &destination) {
                    return None;
                }
            }
            _ => return None,
        }
    }
    Some(from.and_then(|index| instructions.get(index)).map_or(0, |from| from.end_line))
}

/// A path that can be read without the builder, without its `.` and `..`.
fn absolute(path: &str, directory: Option<&str>) -> Option<String> {
    if path.is_empty() || path.contains(['$', '"', '\'', '\\', '`', '<']) {
        return None;
    }
    let whole = if path.starts_with('/') { path.to_owned() } else { format!("{}/{path}", directory?) };
    let mut clean: Vec<&str> = Vec::new();
    for part in whole.split('/') {
        match part {
            "" | "." => {}
            ".." => return None,
            part => clean.push(part),
        }
    }
    Some(format!("/{}", clean.join("/")))
}

/// Whether `path` is `other` or a directory above it.
fn leads_to(path: &str, other: &str) -> bool {
    let path = path.trim_end_matches('/');
    other.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metadata::dockerfile;

    fn place(text: &str) -> Option<u32> {
        let parsed = dockerfile::parse(text.as_bytes()).unwrap();
        results_after(&parsed.instructions, "/var/tests/results", Some("/app"))
    }

    #[test]
    fn copies_to_other_places_and_settings_leave_the_first_place() {
        assert_eq!(place("COPY a /b/\nADD x /varnish\nENV A=b\nUSER 7\nCMD [\"/b/a\"]\n"), Some(0));
        assert_eq!(place("COPY tests tests\n"), Some(0));
        assert_eq!(place(""), Some(0));
    }

    #[test]
    fn the_place_is_behind_the_last_from() {
        assert_eq!(place("ARG X\nFROM a AS b\nRUN x\nFROM \\\n  ${X}\nCOPY --from=b /x /y\n"), Some(5));
    }

    #[test]
    fn what_can_touch_the_directory_takes_the_first_place() {
        for text in [
            "RUN true\n",
            "COPY . /\n",
            "COPY a /var\n",
            "COPY a /var/tests/\n",
            "COPY a /var/tests/results\n",
            "COPY a /var/tests/results/more/\n",
            "COPY a /var/./tests\n",
            "COPY a /x/../var/tests\n",
            "COPY a $WHERE\n",
            "COPY a \"/x y\"\n",
            "COPY [\"a\", \"/var/\"]\n",
            "WORKDIR /var\nCOPY a tests/\n",
            "WORKDIR $X\nCOPY a b\n",
            "FROM x\nCOPY a b\n",
            "VOLUME /var\n",
            "NEWER thing\n",
        ] {
            assert_eq!(place(text), None, "{text}");
        }
    }

    #[test]
    fn a_relative_destination_is_below_the_working_directory() {
        let parsed = dockerfile::parse(b"COPY tests results/\n").unwrap();
        let after = |directory| results_after(&parsed.instructions, "/var/tests/results", directory);
        assert_eq!(
            (after(Some("/var/tests")), after(Some("/app")), after(Some(""))),
            (None, Some(0), Some(0))
        );
        assert_eq!(after(None), None);
        assert_eq!(place("FROM x\nWORKDIR /app\nCOPY a b\n"), Some(1));
    }
}
