use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;

use super::*;
use crate::image::context::needs::Need;
use crate::image::context::tree::witness;

/// A context with these files (a trailing slash makes a directory, `->` a link).
fn context(paths: &[&str]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for path in paths {
        let (path, target) =
            path.split_once("->").map_or((*path, None), |(path, target)| (path, Some(target)));
        let full = dir.path().join(path);
        fs::create_dir_all(full.parent().unwrap()).unwrap();
        match target {
            Some(target) => symlink(target, full).unwrap(),
            None if path.ends_with('/') => fs::create_dir_all(full).unwrap(),
            None => fs::write(full, path).unwrap(),
        }
    }
    dir
}

fn need(pattern: &str) -> Need {
    Need { pattern: pattern.to_owned(), exclude: Vec::new(), parents: false, literal: false, line: 7 }
}

fn parents(pattern: &str) -> Need {
    Need { parents: true, ..need(pattern) }
}

fn excluding(pattern: &str, exclude: &[&str]) -> Need {
    Need { exclude: exclude.iter().map(|text| (*text).to_owned()).collect(), ..need(pattern) }
}

fn chosen(dir: &tempfile::TempDir, needs: &[Need], ignore: &str) -> Result<Vec<String>, ContextError> {
    let ignore = Ignore::parse(ignore).unwrap();
    let selection = select(dir.path(), &Needs::Paths(needs.to_vec()), &ignore)?;
    Ok(selection.entries.iter().map(|entry| entry.path.to_string_lossy().into_owned()).collect())
}

fn paths(dir: &tempfile::TempDir, needs: &[Need]) -> Vec<String> {
    chosen(dir, needs, "").unwrap()
}

fn whole(dir: &tempfile::TempDir, ignore: &str) -> Vec<String> {
    chosen(dir, &[need(".")], ignore).unwrap()
}

#[test]
fn a_file_comes_with_its_parents_and_a_directory_with_its_content() {
    let dir = context(&["a/b/c.txt", "a/b/d.txt", "a/e", "t/x/y", "t/z", "other"]);
    assert_eq!(
        paths(&dir, &[need("a/b/c.txt"), need("t")]),
        ["a", "a/b", "a/b/c.txt", "t", "t/x", "t/x/y", "t/z"]
    );
    assert_eq!(paths(&dir, &[need("t"), need("t/x"), need("t")]), ["t", "t/x", "t/x/y", "t/z"]);
}

#[test]
fn kind_size_mode_time_and_link_are_recorded() {
    let dir = context(&["d/f", "d/l->f"]);
    fs::set_permissions(dir.path().join("d"), fs::Permissions::from_mode(0o1750)).unwrap();
    fs::hard_link(dir.path().join("d/f"), dir.path().join("d/g")).unwrap();
    nix::unistd::mkfifo(&dir.path().join("d/p"), nix::sys::stat::Mode::from_bits_truncate(0o600)).unwrap();
    let selection = select(dir.path(), &Needs::Paths(vec![need("d")]), &Ignore::default()).unwrap();
    let by_path: BTreeMap<_, _> =
        selection.entries.iter().map(|entry| (entry.path.to_str().unwrap(), entry)).collect();
    assert_eq!((by_path["d"].kind, by_path["d"].mode), (EntryKind::Directory, 0o1750));
    assert_eq!((by_path["d/f"].kind, by_path["d/f"].size), (EntryKind::File, 3));
    assert!(by_path["d/f"].mtime > 1_500_000_000);
    assert_eq!((by_path["d/g"].kind, by_path["d/g"].size), (EntryKind::HardLink, 0));
    assert_eq!(by_path["d/g"].link.as_deref(), Some(Path::new("d/f")));
    assert_eq!(
        (by_path["d/l"].kind, by_path["d/l"].link.as_deref()),
        (EntryKind::Symlink, Some(Path::new("f")))
    );
    assert_eq!(by_path["d/p"].kind, EntryKind::Fifo);
    assert_eq!(selection.bytes, 3);
}

#[test]
fn nothing_is_looked_at_but_what_is_named() {
    let dir = context(&["named/one", "named/two", "big/a/b", "big/c"]);
    witness::take();
    paths(&dir, &[need("named/one")]);
    assert_eq!(witness::take(), [Path::new("named"), Path::new("named/one")]);
    paths(&dir, &[need("named/*")]);
    assert!(witness::take().iter().all(|path| path.starts_with("named")));
    paths(&dir, &[parents("named/./**/one"), parents("big/c")]);
    assert!(!witness::take().iter().any(|path| path.starts_with("big/a")));
}

#[test]
fn what_is_ignored_is_neither_listed_nor_looked_at() {
    let dir = context(&["keep", "node_modules/x/y", "docs/a.md", "docs/README.md"]);
    witness::take();
    assert_eq!(whole(&dir, "node_modules\ndocs/*\n!docs/README.md\n"), ["docs", "docs/README.md", "keep"]);
    assert!(!witness::take().iter().any(|path| path.starts_with("node_modules") || path.ends_with("a.md")));
}

#[test]
fn a_wildcard_matches_names_and_not_directories_across() {
    let dir = context(&["x", "t1/x", "t2/x", "t2/deep/x", ".hidden", "a[1]", "a1"]);
    assert_eq!(paths(&dir, &[need("t*/x")]), ["t1", "t1/x", "t2", "t2/x"]);
    assert_eq!(paths(&dir, &[need("**/x")]), ["t1", "t1/x", "t2", "t2/x"]);
    assert_eq!(paths(&dir, &[need("t?")]), ["t1", "t1/x", "t2", "t2/deep", "t2/deep/x", "t2/x"]);
    assert_eq!(paths(&dir, &[need(".h*")]), [".hidden"]);
    assert_eq!(paths(&dir, &[need("a[[]1]")]), ["a[1]"]);
    assert_eq!(paths(&dir, &[Need { literal: true, ..need("a[1]") }]), ["a[1]"]);
    assert_eq!(paths(&dir, &[need("a[1]")]), ["a1"]);
    assert_eq!(paths(&dir, &[need("nomatch*")]), Vec::<String>::new());
    assert_eq!(paths(&dir, &[need("t*/none")]), Vec::<String>::new());
}

#[test]
fn the_recipe_and_the_ignore_file_are_sent_with_the_whole_context() {
    let dir = context(&[".dockerignore", "Dockerfile.test", "a"]);
    assert_eq!(whole(&dir, ""), [".dockerignore", "Dockerfile.test", "a"]);
    assert_eq!(whole(&dir, "Dockerfile*\n.dockerignore\n"), ["a"]);
    assert_eq!(whole(&dir, "**\n"), Vec::<String>::new());
}

#[test]
fn links_are_kept_as_links_and_not_followed_inside_a_directory() {
    let dir = context(&["d/l->../target", "target", "d/abs->/etc/passwd"]);
    assert_eq!(paths(&dir, &[need("d")]), ["d", "d/abs", "d/l"]);
}

#[test]
fn a_source_that_is_a_link_comes_with_what_it_leads_to() {
    let dir =
        context(&["real/f", "dir->real", "one->two", "two->real/f", "abs->/real/f", "up->../../real/f"]);
    assert_eq!(paths(&dir, &[need("one")]), ["one", "real", "real/f", "two"]);
    assert_eq!(paths(&dir, &[need("dir/f")]), ["dir", "real", "real/f"]);
    assert_eq!(paths(&dir, &[need("dir")]), ["dir", "real", "real/f"]);
    assert_eq!(paths(&dir, &[need("abs")]), ["abs", "real", "real/f"]);
    assert_eq!(paths(&dir, &[need("up")]), ["real", "real/f", "up"]);
    assert_eq!(paths(&dir, &[need("o*")]), ["one", "real", "real/f", "two"]);
    assert_eq!(paths(&dir, &[need("dir/*")]), ["dir", "real", "real/f"]);
}

#[test]
fn a_link_never_leads_out_of_the_context() {
    let outside = context(&["secret"]);
    let inside = context(&["ok"]);
    symlink(outside.path(), inside.path().join("escape")).unwrap();
    symlink("../../../../../../etc", inside.path().join("climb")).unwrap();
    for source in ["escape/secret", "escape", "climb/passwd"] {
        let error = chosen(&inside, &[need(source)], "").unwrap_err();
        assert!(matches!(error, ContextError::Missing { .. }), "{source}: {error}");
    }
    assert_eq!(paths(&inside, &[need("esc*")]), ["escape"]);
}

#[test]
fn links_in_a_circle_are_an_error() {
    let dir = context(&["a->b", "b->a"]);
    assert!(matches!(chosen(&dir, &[need("a")], ""), Err(ContextError::LinkLoop { line: 7, .. })));
    assert_eq!(paths(&dir, &[need("a*")]), ["a", "b"]);
}

#[test]
fn a_missing_source_names_line_path_and_the_nearest_name() {
    let dir = context(&["tests/run.sh", "tests/data.json", "unrelated"]);
    let missing = |source: &str| match chosen(&dir, &[need(source)], "tests/data.json\n").unwrap_err() {
        ContextError::Missing { line: 7, path, nearest } => (path, nearest),
        other => panic!("{other}"),
    };
    assert_eq!(missing("tests/rum.sh"), ("tests/rum.sh".to_owned(), Some("tests/run.sh".to_owned())));
    assert_eq!(missing("test/run.sh"), ("test/run.sh".to_owned(), Some("tests/run.sh".to_owned())));
    assert_eq!(missing("tset/none"), ("tset/none".to_owned(), None));
    assert_eq!(missing("tests/data.jso").1, None, "an ignored file is no advice");
    assert_eq!(missing("zzz").1, None);
    assert_eq!(missing("unrelated/x").0, "unrelated/x");
    assert_eq!(missing("nodir/*").0, "nodir");
    let error = chosen(&dir, &[need("tests/rum.sh")], "").unwrap_err().in_recipe("Dockerfile.test");
    let failure = crate::error::Failure::from(error);
    assert_eq!(failure.to_string(), "Dockerfile.test:7: \"tests/rum.sh\" is not in the build context");
    assert!(failure.hint().unwrap().contains("tests/run.sh"));
}

#[test]
fn an_excluded_source_names_the_rule() {
    let dir = context(&["secret/key", "docs/a", "docs/b", "l->secret/key"]);
    for source in ["secret/key", "secret", "l"] {
        let error = chosen(&dir, &[need(source)], "# c\nsecret\n").unwrap_err();
        assert!(
            matches!(&error, ContextError::Excluded { ignore_line: 2, ignore_pattern, .. } if ignore_pattern == "secret"),
            "{source}: {error}"
        );
    }
    assert_eq!(chosen(&dir, &[need("docs")], "docs\n!docs/a\n").unwrap(), ["docs", "docs/a"]);
    assert_eq!(chosen(&dir, &[need("docs")], "docs/*\n").unwrap(), ["docs"]);
    assert!(chosen(&dir, &[need("docs")], "docs\n!docs/zzz\n").is_err());
    assert_eq!(chosen(&dir, &[need("*")], "secret\n").unwrap(), ["docs", "docs/a", "docs/b", "l"]);
}

#[test]
fn exclude_patterns_are_relative_to_the_source_directory() {
    let dir = context(&["src/a.md", "src/a.rs", "src/sub/b.md", "src/sub/c.rs", "src/tmp/x", "src/tmp/keep"]);
    assert_eq!(
        paths(&dir, &[excluding("src", &["**/*.md", "tmp"])]),
        ["src", "src/a.rs", "src/sub", "src/sub/c.rs"]
    );
    assert_eq!(
        paths(&dir, &[excluding("src", &["*.md", "sub", "tmp", "!tmp/keep"])]),
        ["src", "src/a.rs", "src/tmp", "src/tmp/keep"]
    );
    assert_eq!(
        paths(&dir, &[excluding(".", &["src/*/*", "src/*.md"])]),
        ["src", "src/a.rs", "src/sub", "src/tmp"]
    );
    assert_eq!(
        paths(&dir, &[excluding("src", &["*"]), need("src/sub")]),
        ["src", "src/sub", "src/sub/b.md", "src/sub/c.rs"]
    );
}

#[test]
fn parents_takes_double_stars_and_a_pivot() {
    let dir = context(&["a/x/t.py", "a/y/z/t.py", "a/y/u.py", "b/t.py", "top.py"]);
    assert_eq!(paths(&dir, &[parents("a/**/t.py")]), ["a", "a/x", "a/x/t.py", "a/y", "a/y/z", "a/y/z/t.py"]);
    assert_eq!(paths(&dir, &[parents("a/./*/t.py")]), ["a", "a/x", "a/x/t.py"]);
    assert_eq!(paths(&dir, &[parents("a/./y")]), ["a", "a/y", "a/y/u.py", "a/y/z", "a/y/z/t.py"]);
    assert_eq!(paths(&dir, &[parents("**/*.py")]).len(), 10);
    assert_eq!(paths(&dir, &[parents("*/./t.py")]), ["b", "b/t.py", "top.py"]);
    assert_eq!(paths(&dir, &[parents("a*/./**/z")]), ["a", "a/y", "a/y/z", "a/y/z/t.py"]);
    let excluded = Need { exclude: vec!["a/y".to_owned()], ..parents("**/t.py") };
    assert_eq!(paths(&dir, &[excluded]), ["a", "a/x", "a/x/t.py", "b", "b/t.py"]);
    assert!(matches!(chosen(&dir, &[parents("a/none")], ""), Err(ContextError::Missing { .. })));
    assert_eq!(paths(&dir, &[parents("none/*")]), Vec::<String>::new());
}

#[test]
fn a_socket_is_skipped_unless_it_is_named() {
    let dir = context(&["d/f"]);
    let _socket = UnixListener::bind(dir.path().join("d/s")).unwrap();
    assert_eq!(paths(&dir, &[need("d"), need("d/*")]), ["d", "d/f"]);
    assert!(matches!(chosen(&dir, &[need("d/s")], ""), Err(ContextError::Socket { line: 7, .. })));
}

#[test]
fn malformed_patterns_are_refused_with_their_line() {
    let dir = context(&["a"]);
    for need in [need("a["), parents("**/["), excluding("a", &["["])] {
        assert!(matches!(chosen(&dir, &[need], ""), Err(ContextError::Pattern { line: 7, .. })));
    }
}

#[test]
fn a_context_that_is_no_directory_is_named() {
    let dir = context(&["file"]);
    for root in [dir.path().join("file"), dir.path().join("none")] {
        let error = select(&root, &Needs::Paths(vec![need("a")]), &Ignore::default()).unwrap_err();
        assert!(matches!(error, ContextError::Root { path, .. } if path == root));
    }
}

#[test]
fn names_that_are_no_text_and_deep_trees_are_sent() {
    use std::os::unix::ffi::OsStrExt;
    let dir = tempfile::tempdir().unwrap();
    let odd = std::ffi::OsStr::from_bytes(b"\xff\xfe");
    fs::write(dir.path().join(odd), "x").unwrap();
    let deep: PathBuf = std::iter::repeat_n("d", 1500).collect();
    fs::create_dir_all(dir.path().join(&deep)).unwrap();
    let selection = select(dir.path(), &Needs::Paths(vec![need(".")]), &Ignore::default()).unwrap();
    assert_eq!(selection.entries.len(), 1501);
    assert!(selection.entries.iter().any(|entry| entry.path.as_os_str() == odd));
}

#[test]
fn files_are_at_hand_where_any_source_is_there() {
    let dir = context(&["a", "d/b.py"]);
    let whole = |named: &[Need]| Needs::Whole { reason: String::new(), named: named.to_vec() };
    for (needs, expected) in [
        (Needs::Nothing, true),
        (Needs::Paths(vec![need("a"), need("none")]), true),
        (Needs::Paths(vec![need("d/*.py")]), true),
        (Needs::Paths(vec![need("none"), need("*.py"), need("x/*")]), false),
        (whole(&[]), true),
        (whole(&[need("none")]), false),
    ] {
        assert_eq!(any_at_hand(dir.path(), &needs), expected, "{needs:?}");
    }
    assert!(!any_at_hand(context(&[]).path(), &whole(&[])));
}

#[test]
fn parents_always_come_before_their_children() {
    let dir = context(&["a.b", "a/b", "a-b/c", "a/b.d/e"]);
    let all = whole(&dir, "");
    for (at, path) in all.iter().enumerate() {
        if let Some((parent, _)) = path.rsplit_once('/') {
            assert!(all[..at].iter().any(|earlier| earlier == parent), "{path} in {all:?}");
        }
    }
}
