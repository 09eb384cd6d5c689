//! From the names in an archive to names that are safe to create.
//!
//! Owns the root that is taken off and the escaping of characters, which is reversible: two entries that differ do not
//! meet in one file. Makes no decision about what is at a path.

use std::fmt::Write as _;

use sha2::{Digest, Sha256};

/// The longest file name that Linux file systems take.
const COMPONENT_LIMIT: usize = 255;
/// The longest relative path that is made; the destination must fit before it within 4 KiB.
const PATH_LIMIT: usize = 3072;

/// What all entries of an archive begin with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Root {
    /// This component.
    Named(Vec<u8>),
    /// Nothing: the first entry is `/` or `./`.
    Bare { fallback: Vec<u8> },
}

/// Why an entry has no place in the results.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Misplaced {
    Outside,
    Upwards,
    TooDeep,
    TooLong,
}

impl Misplaced {
    pub(super) const fn reason(self) -> &'static str {
        match self {
            Self::Outside => "it is outside the results directory",
            Self::Upwards => "its path holds `..`",
            Self::TooDeep => "its path is too deep",
            Self::TooLong => "its path is too long",
        }
    }
}

/// A path below the destination: safe components, joined by `/`. Empty for the root itself.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct SafePath(pub(super) String);

impl SafePath {
    pub(super) fn depth(&self) -> usize {
        if self.0.is_empty() { 0 } else { self.0.matches('/').count() + 1 }
    }

    /// The directories above it, outermost first, the root left out.
    pub(super) fn parents(&self) -> impl Iterator<Item = &str> {
        self.0.match_indices('/').map(|(end, _)| &self.0[..end])
    }
}

impl Root {
    pub(super) fn from_first(first: &[u8], expected: &str) -> Self {
        let is_bare = expected.is_empty() || components(first).next().is_none();
        let expected = if expected.is_empty() { b"results".to_vec() } else { expected.as_bytes().to_vec() };
        if is_bare { Self::Bare { fallback: expected } } else { Self::Named(expected) }
    }

    /// Where an entry goes. A regular file in the root's own place keeps the root's name.
    pub(super) fn place(&self, raw: &[u8], is_file: bool, max_depth: usize) -> Result<SafePath, Misplaced> {
        let mut parts: Vec<&[u8]> = components(raw).collect();
        if parts.contains(&&b".."[..]) {
            return Err(Misplaced::Upwards);
        }
        let own_name = match self {
            Self::Named(name) => {
                if parts.first() != Some(&name.as_slice()) {
                    return Err(Misplaced::Outside);
                }
                parts.remove(0);
                name
            }
            Self::Bare { fallback } => fallback,
        };
        if parts.is_empty() && is_file {
            parts.push(own_name);
        }
        if parts.len() > max_depth {
            return Err(Misplaced::TooDeep);
        }
        join(&parts)
    }

    /// Where a hard link's target is.
    pub(super) fn target(&self, raw: &[u8], max_depth: usize) -> Result<SafePath, Misplaced> {
        self.place(raw, false, max_depth)
    }
}

fn join(parts: &[&[u8]]) -> Result<SafePath, Misplaced> {
    let mut path = String::new();
    for part in parts {
        if !path.is_empty() {
            path.push('/');
        }
        path.push_str(&safe_component(part));
        if path.len() > PATH_LIMIT {
            return Err(Misplaced::TooLong);
        }
    }
    Ok(SafePath(path))
}

fn components(raw: &[u8]) -> impl Iterator<Item = &[u8]> {
    raw.split(|byte| *byte == b'/').filter(|part| !part.is_empty() && *part != b".")
}

/// The text of a symbolic link at `link` that stays inside, and the path it leads to.
///
/// `..` is taken at the beginning alone: after a name it would be resolved from wherever that name, itself a link
/// perhaps, leads to.
pub(super) fn link_text(link: &SafePath, raw: &[u8]) -> Result<(String, SafePath), &'static str> {
    if raw.starts_with(b"/") {
        return Err("it is a link with an absolute target");
    }
    let parts: Vec<&[u8]> = components(raw).collect();
    let upwards = parts.iter().take_while(|part| **part == b"..").count();
    let (_, names) = parts.split_at(upwards);
    let above = link.depth().saturating_sub(1);
    if upwards > above || names.contains(&&b".."[..]) {
        return Err("it is a link that leads out of the results directory");
    }
    let down = join(names).map_err(Misplaced::reason)?;
    let mut target: Vec<&str> = link.0.split('/').take(above - upwards).collect();
    target.extend(Some(down.0.as_str()).filter(|down| !down.is_empty()));
    let mut text = "../".repeat(upwards);
    text.push_str(&down.0);
    let text = if text.is_empty() { ".".to_owned() } else { text.trim_end_matches('/').to_owned() };
    Ok((text, SafePath(target.join("/"))))
}

/// A name for messages: the same escapes, over a whole path, cut.
pub(super) fn printable(raw: &[u8]) -> String {
    let cut = &raw[..raw.len().min(PATH_LIMIT)];
    escape(cut)
}

/// A file name without anything that a terminal, a shell script or a report would stumble over.
///
/// Control characters, direction marks and bytes that are not UTF-8 become `%XX`, and so does a `%` that could be taken
/// for such an escape. A name that is too long ends in a digest of the whole, and in its extension, by which a report
/// is known.
fn safe_component(raw: &[u8]) -> String {
    let escaped = escape(raw);
    if escaped.len() <= COMPONENT_LIMIT {
        return escaped;
    }
    let extension = escaped
        .rsplit_once('.')
        .map(|(_, extension)| extension)
        .filter(|extension| extension.len() <= 8 && extension.bytes().all(|b| b.is_ascii_alphanumeric()))
        .map(|extension| format!(".{extension}"))
        .unwrap_or_default();
    let digest = Sha256::digest(raw);
    let room = COMPONENT_LIMIT - 33 - extension.len();
    let mut name = escaped[..escaped.floor_char_boundary(room)].to_owned();
    name.push('~');
    for byte in digest.iter().take(16) {
        let _ = write!(name, "{byte:02x}");
    }
    name + &extension
}

fn escape(raw: &[u8]) -> String {
    let mut safe = String::with_capacity(raw.len());
    let mut position = 0;
    for chunk in raw.utf8_chunks() {
        for letter in chunk.valid().chars() {
            let after = &raw[position + letter.len_utf8()..];
            if is_unsafe(letter) || (letter == '%' && looks_escaped(after)) {
                let mut bytes = [0; 4];
                percent(&mut safe, letter.encode_utf8(&mut bytes).as_bytes());
            } else {
                safe.push(letter);
            }
            position += letter.len_utf8();
        }
        percent(&mut safe, chunk.invalid());
        position += chunk.invalid().len();
    }
    safe
}

fn percent(safe: &mut String, bytes: &[u8]) {
    for byte in bytes {
        let _ = write!(safe, "%{byte:02X}");
    }
}

fn looks_escaped(after: &[u8]) -> bool {
    let is_digit = |byte: &u8| byte.is_ascii_digit() || (b'A'..=b'F').contains(byte);
    matches!(after, [high, low, ..] if is_digit(high) && is_digit(low))
}

const fn is_unsafe(letter: char) -> bool {
    matches!(
        letter,
        '\0'..='\u{1f}'
            | '\u{7f}'..='\u{9f}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{2069}'
            | '\u{feff}'
    )
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    fn place(root: &Root, raw: &str) -> Result<String, Misplaced> {
        root.place(raw.as_bytes(), true, 8).map(|path| path.0)
    }

    #[test]
    fn the_root_is_taken_off_however_it_is_written() {
        let docker = Root::from_first(b"results/", "results");
        assert_eq!(place(&docker, "results/a/b.xml").as_deref(), Ok("a/b.xml"));
        assert_eq!(place(&docker, "/results//a/./b"), Ok("a/b".into()));
        assert_eq!(place(&docker, "./results/results/x").as_deref(), Ok("results/x"));
        for root in ["/", "./", "", "."] {
            let podman = Root::from_first(root.as_bytes(), "results");
            assert_eq!(place(&podman, "/a/b").as_deref(), Ok("a/b"));
            assert_eq!(place(&podman, "./results/b").as_deref(), Ok("results/b"));
        }
    }

    #[test]
    fn a_file_in_place_of_the_directory_keeps_its_name() {
        assert_eq!(
            place(&Root::from_first(b"report.xml", "report.xml"), "report.xml").as_deref(),
            Ok("report.xml")
        );
        assert_eq!(place(&Root::from_first(b"/", "r.xml"), "/").as_deref(), Ok("r.xml"));
        assert_eq!(
            Root::from_first(b"results", "results").place(b"results", false, 8),
            Ok(SafePath(String::new()))
        );
    }

    #[test]
    fn what_is_beside_the_root_has_no_place() {
        let root = Root::from_first(b"results/", "results");
        assert_eq!(place(&root, "/etc/passwd"), Err(Misplaced::Outside));
        assert_eq!(place(&root, "resultsx/a"), Err(Misplaced::Outside));
        assert_eq!(place(&root, "results/../a"), Err(Misplaced::Upwards));
        assert_eq!(place(&root, "../results/a"), Err(Misplaced::Upwards));
        assert_eq!(place(&root, "results/a/b/c/d/e/f/g/h/i"), Err(Misplaced::TooDeep));
        assert_eq!(
            place(&root, &format!("results/{}", format!("{}/", "x".repeat(1000)).repeat(8))),
            Ok(std::iter::repeat_n(safe_component("x".repeat(1000).as_bytes()), 8)
                .collect::<Vec<_>>()
                .join("/"))
        );
    }

    #[test]
    fn a_link_may_go_up_first_and_then_only_down() {
        let at = |path: &str| SafePath(path.to_owned());
        let text =
            |link: &str, raw: &str| link_text(&at(link), raw.as_bytes()).map(|(text, to)| (text, to.0));
        assert_eq!(text("a/l", "b"), Ok(("b".into(), "a/b".into())));
        assert_eq!(text("a/b/l", "../../c/./d"), Ok(("../../c/d".into(), "c/d".into())));
        assert_eq!(text("l", "."), Ok((".".into(), String::new())));
        assert_eq!(text("a/l", ".."), Ok(("..".into(), String::new())));
        for (link, raw) in [("l", ".."), ("a/l", "../../x"), ("a/l", "b/../c"), ("l", "/etc/passwd")] {
            assert!(text(link, raw).is_err(), "{link} -> {raw}");
        }
    }

    #[test]
    fn names_that_could_do_harm_are_escaped() {
        for (raw, safe) in [
            (&b"plain 100% name.xml"[..], "plain 100% name.xml"),
            (b"a\nb", "a%0Ab"),
            (b"a%0Ab", "a%250Ab"),
            (b"a%0ab", "a%0ab"),
            (b"\x1b[2J", "%1B[2J"),
            (b"\xff\xc3", "%FF%C3"),
            ("ä\u{202e}".as_bytes(), "ä%E2%80%AE"),
        ] {
            assert_eq!(safe_component(raw), safe);
        }
    }

    proptest! {
        #[test]
        fn different_names_stay_different_and_fit(
            names in prop::collection::vec(prop::collection::vec(prop::sample::select(&b"%0AaF\n\xc3\xa4\xff\x7f"[..]), 1..400), 1..20)
        ) {
            let mut seen: HashMap<String, Vec<u8>> = HashMap::new();
            for name in names {
                let safe = safe_component(&name);
                prop_assert!(safe.len() <= 255 && !safe.contains(|letter: char| letter.is_control() || letter == '/'));
                if let Some(earlier) = seen.insert(safe, name.clone()) {
                    prop_assert_eq!(earlier, name);
                }
            }
        }

        #[test]
        fn the_escape_can_be_undone(raw in prop::collection::vec(any::<u8>(), 0..80)) {
            let safe = escape(&raw);
            let bytes = safe.as_bytes();
            let (mut undone, mut index) = (Vec::new(), 0);
            while index < bytes.len() {
                if bytes[index] == b'%' && looks_escaped(&bytes[index + 1..]) {
                    undone.push(u8::from_str_radix(&safe[index + 1..index + 3], 16).unwrap());
                    index += 3;
                } else {
                    undone.push(bytes[index]);
                    index += 1;
                }
            }
            prop_assert_eq!(undone, raw);
        }
    }
}
