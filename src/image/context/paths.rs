//! Lexical path arithmetic by Go's rules, which Docker's are built on.
//!
//! Owns cleaning and clamping of slash-separated text. Never looks at a disk: links are resolved elsewhere.

/// The shortest equivalent of `path`: `.` and doubled slashes go, `..` takes the name before it along. What is
/// left of a leading `..` stays, a leading slash stays, and nothing at all becomes `.`.
pub(super) fn clean(path: &str) -> String {
    let rooted = path.starts_with('/');
    let mut kept: Vec<&str> = Vec::new();
    for name in path.split('/') {
        match name {
            "" | "." => {}
            ".." if kept.last().is_some_and(|last| *last != "..") => {
                kept.pop();
            }
            ".." if rooted => {}
            _ => kept.push(name),
        }
    }
    match (rooted, kept.is_empty()) {
        (true, _) => format!("/{}", kept.join("/")),
        (false, true) => ".".to_owned(),
        (false, false) => kept.join("/"),
    }
}

/// `path` as a name below the context's root: a leading slash means that root, and `..` cannot climb over it.
/// The root itself is the empty string.
pub(super) fn below_root(path: &str) -> String {
    let mut rooted = clean(&format!("/{path}"));
    rooted.remove(0);
    rooted
}

/// Every proper ancestor of a clean relative path, outermost first, without the root.
pub(super) fn ancestors(path: &str) -> impl Iterator<Item = &str> {
    path.match_indices('/').map(|(at, _)| path.get(..at).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cleaning_follows_go() {
        let cases = [
            ("", "."),
            (".", "."),
            ("/", "/"),
            ("a/", "a"),
            ("./a//b/.", "a/b"),
            ("a/../b", "b"),
            ("a/../..", ".."),
            ("../../x", "../../x"),
            ("/../x", "/x"),
            ("a/..", "."),
        ];
        for (path, expected) in cases {
            assert_eq!(clean(path), expected, "{path}");
        }
    }

    #[test]
    fn a_path_cannot_climb_over_the_root() {
        let cases = [("../x", "x"), ("/a", "a"), (".", ""), ("./", ""), ("/", ""), ("a/../../../b", "b")];
        for (path, expected) in cases {
            assert_eq!(below_root(path), expected, "{path}");
        }
    }

    #[test]
    fn ancestors_leave_out_the_path_itself() {
        assert_eq!(ancestors("a/b/c").collect::<Vec<_>>(), ["a", "a/b"]);
        assert_eq!(ancestors("a").count(), 0);
    }
}
