//! `RUN --mount`: whether a mount shows the build context, and which part of it.
//!
//! Owns the option's comma-separated syntax. Judges nothing else about a mount: that is the builder's.

/// What a mount reads from the context.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum BindMount {
    /// Nothing: another type, or another stage.
    None,
    /// This path; empty for the whole context.
    Source(String),
    /// It cannot be told, for this reason.
    Undecided(String),
}

/// Reads the value of one `--mount`. `expand` replaces variables.
pub(super) fn bind_mount(text: &str, expand: &dyn Fn(&str) -> Result<String, String>) -> BindMount {
    let (mut kind, mut source, mut from) = ("bind".to_owned(), String::new(), None);
    for field in fields(text) {
        let Some((key, value)) = field.split_once('=') else { continue };
        let slot = match key.to_ascii_lowercase().as_str() {
            "type" => &mut kind,
            "source" | "src" => &mut source,
            "from" => from.insert(String::new()),
            _ => continue,
        };
        match expand(value) {
            Ok(value) => *slot = value,
            Err(reason) => return BindMount::Undecided(reason),
        }
    }
    if !kind.eq_ignore_ascii_case("bind") || from.is_some_and(|stage| !stage.is_empty()) {
        return BindMount::None;
    }
    BindMount::Source(source)
}

/// One record of comma-separated values: a field in double quotes may hold commas, and quotes doubled.
fn fields(text: &str) -> Vec<String> {
    let mut fields = vec![String::new()];
    let mut quoted = false;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let Some(field) = fields.last_mut() else { break };
        match c {
            '"' if quoted && chars.next_if_eq(&'"').is_some() => field.push('"'),
            '"' if quoted => quoted = false,
            '"' if field.is_empty() => quoted = true,
            ',' if !quoted => fields.push(String::new()),
            _ => field.push(c),
        }
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> BindMount {
        bind_mount(text, &|word| {
            if word.contains('$') { Err("unknown".to_owned()) } else { Ok(word.to_owned()) }
        })
    }

    fn source(path: &str) -> BindMount {
        BindMount::Source(path.to_owned())
    }

    #[test]
    fn bind_is_the_default_type_and_the_root_the_default_source() {
        assert_eq!(read("target=/src"), source(""));
        assert_eq!(read("type=bind,target=/src"), source(""));
        assert_eq!(read("type=bind,source=a/b,target=/src,rw"), source("a/b"));
        assert_eq!(read("src=a,dst=/x"), source("a"));
        assert_eq!(read("TYPE=Bind,Source=a,target=/x"), source("a"));
        assert_eq!(read("\"source=a,b\",target=/x"), source("a,b"));
        assert_eq!(read("\"source=a\"\"b\",target=/x"), source("a\"b"));
    }

    #[test]
    fn other_types_and_other_stages_read_nothing() {
        for text in [
            "type=cache,target=/c",
            "type=tmpfs,target=/t",
            "type=secret,id=x",
            "type=ssh",
            "from=build,source=a,target=/x",
        ] {
            assert_eq!(read(text), BindMount::None, "{text}");
        }
        assert_eq!(read("from=,source=a,target=/x"), source("a"));
    }

    #[test]
    fn an_unknown_variable_is_undecided() {
        assert_eq!(read("source=$X,target=/x"), BindMount::Undecided("unknown".to_owned()));
        assert_eq!(read("type=$X,target=/x"), BindMount::Undecided("unknown".to_owned()));
        assert_eq!(read("source=a,target=$X"), source("a"));
    }
}
