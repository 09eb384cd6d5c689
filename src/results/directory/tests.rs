use std::collections::BTreeMap;
use std::os::unix::fs::symlink;

use super::*;

/// A parent directory to work in, and what is in it by path and content.
struct Ground(tempfile::TempDir);

impl Ground {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, relative: &str) -> PathBuf {
        self.0.path().join(relative)
    }

    fn write(&self, relative: &str, content: &str) {
        let path = self.path(relative);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    fn content(&self) -> BTreeMap<String, String> {
        fn walk(root: &Path, directory: &Path, found: &mut BTreeMap<String, String>) {
            for entry in fs::read_dir(directory).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() && !path.is_symlink() {
                    walk(root, &path, found);
                } else {
                    let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
                    found.insert(name, fs::read_to_string(&path).unwrap_or_default());
                }
            }
        }
        let mut found = BTreeMap::new();
        walk(self.0.path(), self.0.path(), &mut found);
        found
    }

    fn names(&self) -> Vec<String> {
        self.content().into_keys().collect()
    }

    /// A whole run that leaves one file.
    fn run(&self, path: &str, run_id: &str, file: &str) -> Result<Committed, DirectoryError> {
        let directory = ResultsDirectory::prepare(&self.path(path), run_id)?;
        fs::write(directory.staging().join(file), run_id).unwrap();
        directory.commit()
    }
}

#[test]
fn a_new_directory_is_made_with_its_parents_and_marked() {
    let ground = Ground::new();
    let committed = ground.run("tests/results", "run-1", "a.xml").unwrap();
    assert_eq!(committed.directory, fs::canonicalize(ground.path("tests/results")).unwrap());
    assert_eq!(committed.leftover, None);
    assert_eq!(ground.names(), ["tests/results/.docker-test-results", "tests/results/a.xml"]);
    let marker = &ground.content()["tests/results/.docker-test-results"];
    assert!(marker.contains("\"run\":\"run-1\"") && marker.ends_with("}\n"), "{marker}");
    let mode = fs::metadata(ground.path("tests/results")).unwrap().permissions().mode() & 0o777;
    // 0755 less the umask: the same that a plain mkdir of that mode gives.
    DirBuilder::new().mode(0o755).create(ground.path("plain")).unwrap();
    assert_eq!(mode, fs::metadata(ground.path("plain")).unwrap().permissions().mode() & 0o777);
}

#[test]
fn older_results_are_replaced_whole() {
    let ground = Ground::new();
    ground.run("r", "run-1", "old.xml").unwrap();
    ground.run("r", "run-2", "new.xml").unwrap();
    assert_eq!(ground.names(), ["r/.docker-test-results", "r/new.xml"]);
}

#[test]
fn an_empty_directory_may_be_used_and_a_full_one_may_not() {
    let ground = Ground::new();
    fs::create_dir(ground.path("empty")).unwrap();
    ground.run("empty", "run-1", "a").unwrap();
    ground.write("project/src/main.rs", "fn main() {}");
    let error = ground.run("project", "run-1", "a").unwrap_err();
    assert!(matches!(&error, DirectoryError::NotOurs { path } if path.ends_with("project")));
    assert!(error.hint().is_some_and(|hint| hint.contains("--results-dir")));
    let dots = ground.run("project/src/..", "run-1", "a").unwrap_err();
    assert!(matches!(&dots, DirectoryError::NotOurs { path } if path.ends_with("project")));
    assert_eq!(fs::read_dir(ground.path("project")).unwrap().count(), 1, "a refusal leaves no trace");
}

#[test]
fn a_marker_that_is_none_does_not_count() {
    let ground = Ground::new();
    for (number, marker) in ["", "{}", "{\"docker_test\":\"1\"}", "yes"].into_iter().enumerate() {
        ground.write(&format!("{number}/.docker-test-results"), marker);
        ground.write(&format!("{number}/precious"), "x");
        assert!(
            matches!(ground.run(&number.to_string(), "r", "a"), Err(DirectoryError::NotOurs { .. })),
            "{marker}"
        );
    }
    ground.run("ours", "run-1", "a").unwrap();
    ground.write("linked/precious", "x");
    symlink("../ours/.docker-test-results", ground.path("linked/.docker-test-results")).unwrap();
    assert!(matches!(ground.run("linked", "r", "a"), Err(DirectoryError::NotOurs { .. })));
}

#[test]
fn what_is_no_directory_is_refused() {
    let ground = Ground::new();
    ground.write("file", "x");
    symlink("nowhere", ground.path("dangling")).unwrap();
    assert!(matches!(ground.run("file", "r", "a"), Err(DirectoryError::NotADirectory { .. })));
    assert!(matches!(ground.run("file/below", "r", "a"), Err(DirectoryError::NotADirectory { .. })));
    assert!(matches!(ground.run("dangling", "r", "a"), Err(DirectoryError::DanglingLink { .. })));
    assert!(matches!(ground.run("dangling/below", "r", "a"), Err(DirectoryError::DanglingLink { .. })));
    assert_eq!(ground.names(), ["dangling", "file"]);
}

#[test]
fn a_link_is_followed_and_its_target_is_judged() {
    let ground = Ground::new();
    ground.write("project/precious", "x");
    symlink("project", ground.path("bad")).unwrap();
    assert!(matches!(ground.run("bad", "r", "a"), Err(DirectoryError::NotOurs { .. })));
    fs::create_dir(ground.path("real")).unwrap();
    symlink("real", ground.path("good")).unwrap();
    ground.run("good", "run-1", "a").unwrap();
    assert!(ground.path("good").is_symlink());
    assert_eq!(fs::read_to_string(ground.path("real/a")).unwrap(), "run-1");
}

#[test]
fn a_run_that_does_not_commit_changes_nothing() {
    let ground = Ground::new();
    ground.run("r", "run-1", "old.xml").unwrap();
    let before = ground.content();
    let directory = ResultsDirectory::prepare(&ground.path("r"), "run-2").unwrap();
    fs::write(directory.staging().join("new.xml"), "x").unwrap();
    assert_eq!(fs::metadata(directory.staging()).unwrap().permissions().mode() & 0o777, 0o700);
    drop(directory);
    assert_eq!(ground.content(), before);
}

#[test]
fn what_is_put_into_a_directory_without_results_is_ours_only_where_nothing_else_is() {
    let ground = Ground::new();
    for _ in 0..2 {
        claim(&ground.path("a/new"), "run-1").unwrap();
        ground.write("a/new/report.xml", "x");
    }
    ground.run("a/new", "run-2", "new.xml").unwrap();
    ground.write("theirs/precious", "x");
    claim(&ground.path("theirs"), "run-1").unwrap();
    assert!(matches!(ground.run("theirs", "r", "a"), Err(DirectoryError::NotOurs { .. })));
}

#[test]
fn parents_that_were_made_for_results_that_never_came_are_removed() {
    let ground = tempfile::tempdir().unwrap();
    let path = ground.path().join("a/b/results");
    drop(ResultsDirectory::prepare(&path, "r1").unwrap());
    assert!(!ground.path().join("a").exists());

    fs::create_dir(ground.path().join("a")).unwrap();
    let directory = ResultsDirectory::prepare(&path, "r2").unwrap();
    fs::write(ground.path().join("a/other"), "").unwrap();
    drop(directory);
    assert!(ground.path().join("a/other").exists() && !ground.path().join("a/b").exists());
}

#[test]
fn files_that_appear_while_the_test_runs_are_not_eaten() {
    let ground = Ground::new();
    let directory = ResultsDirectory::prepare(&ground.path("r"), "run-1").unwrap();
    ground.write("r/precious", "x");
    assert!(matches!(directory.commit(), Err(DirectoryError::NotOurs { .. })));
    assert_eq!(ground.names(), ["r/precious"]);
}

#[test]
fn two_runs_do_not_share_a_directory_but_may_share_its_parent() {
    let ground = Ground::new();
    let first = ResultsDirectory::prepare(&ground.path("r"), "run-1").unwrap();
    let second = ResultsDirectory::prepare(&ground.path("./r"), "run-2").unwrap_err();
    assert!(matches!(second, DirectoryError::Busy { .. }), "{second:?}");
    let other = ResultsDirectory::prepare(&ground.path("r2"), "run-3").unwrap();
    assert!(first.staging().is_dir());
    drop(first);
    ResultsDirectory::prepare(&ground.path("r"), "run-2").unwrap();
    assert!(other.staging().is_dir());
}

#[test]
fn leftovers_of_dead_runs_are_removed_and_those_of_other_directories_are_not() {
    let ground = Ground::new();
    for path in ["r", "r2"] {
        let directory = ResultsDirectory::prepare(&ground.path(path), "dead").unwrap();
        fs::write(directory.staging().join("half.xml"), "x").unwrap();
        // A killed process drops nothing, but loses its lock.
        let lock = directory.place.directory.join(format!("{}.lock", directory.place.prefix));
        std::mem::forget(directory);
        fs::remove_file(lock).unwrap();
    }
    ground.write(".docker-test-results-unknown", "of somebody else");
    ground.run("r", "run-2", "new.xml").unwrap();
    let names = ground.names();
    assert_eq!(names.iter().filter(|name| name.ends_with("half.xml")).count(), 1, "{names:?}");
    assert!(names.contains(&".docker-test-results-unknown".to_owned()));
}

#[test]
fn a_directory_is_tidied_after_the_dead_and_not_under_the_living() {
    let ground = Ground::new();
    let directory = ResultsDirectory::prepare(&ground.path("r"), "living").unwrap();
    tidy(&ground.path("r"));
    assert!(directory.staging().exists());
    let (staging, lock) = (directory.staging().to_owned(), directory.place.directory.clone());
    std::mem::forget(directory);
    // A killed process drops nothing, but loses its lock.
    let prefix = staging.file_name().unwrap().to_str().unwrap().split_once("-living").unwrap().0.to_owned();
    let lock = lock.join(format!("{prefix}.lock"));
    fs::remove_file(&lock).unwrap();
    fs::write(&lock, "").unwrap();
    tidy(&ground.path("r"));
    assert!(!staging.exists() && !lock.exists());
    tidy(&ground.path("never/there"));
    assert!(!ground.path("never").exists());
}

#[test]
fn a_crash_between_the_renames_loses_nothing() {
    let ground = Ground::new();
    ground.run("r", "run-1", "old.xml").unwrap();
    let place = Place::beside(&fs::canonicalize(ground.path("r")).unwrap()).unwrap();
    fs::rename(ground.path("r"), place.path("run-2", "old")).unwrap();
    fs::create_dir(place.path("run-2", "partial")).unwrap();
    drop(ResultsDirectory::prepare(&ground.path("r"), "run-3").unwrap());
    assert_eq!(ground.names(), ["r/.docker-test-results", "r/old.xml"]);
}

fn prepare_inside(ground: &Ground, run_id: &str) -> ResultsDirectory {
    let target = fs::canonicalize(ground.path("r")).unwrap();
    let place = Place::inside(&target);
    ResultsDirectory::prepare_at(target, place, run_id).unwrap()
}

#[test]
fn a_directory_that_must_stay_gets_new_content() {
    let ground = Ground::new();
    fs::create_dir(ground.path("r")).unwrap();
    let inode = fs::metadata(ground.path("r")).unwrap().ino();
    for (run_id, file) in [("run-1", "sub/old.xml"), ("run-2", "new.xml")] {
        let directory = prepare_inside(&ground, run_id);
        let path = directory.staging().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, run_id).unwrap();
        assert_eq!(directory.commit().unwrap().leftover, None);
    }
    assert_eq!(ground.names(), ["r/.docker-test-results", "r/new.xml"]);
    assert!(ground.content()["r/.docker-test-results"].contains("run-2"));
    assert_eq!(fs::metadata(ground.path("r")).unwrap().ino(), inode);
    drop(prepare_inside(&ground, "run-3"));
    assert_eq!(ground.names(), ["r/.docker-test-results", "r/new.xml"]);
}

#[test]
fn a_crash_while_content_is_exchanged_leaves_a_directory_that_can_be_used() {
    let ground = Ground::new();
    fs::create_dir(ground.path("r")).unwrap();
    let directory = prepare_inside(&ground, "run-1");
    let place = directory.place.clone();
    let lock = place.directory.join(format!("{}.lock", place.prefix));
    std::mem::forget(directory);
    fs::remove_file(lock).unwrap();
    fs::create_dir(place.path("run-1", "old")).unwrap();
    marker::write(&ground.path("r"), "run-1").unwrap();
    ground.write("r/half-of-the-new.xml", "x");
    let directory = prepare_inside(&ground, "run-2");
    fs::write(directory.staging().join("new.xml"), "x").unwrap();
    directory.commit().unwrap();
    assert_eq!(ground.names(), ["r/.docker-test-results", "r/new.xml"]);
}

#[test]
fn a_mount_in_the_way_is_filled_by_copying() {
    let ground = Ground::new();
    fs::create_dir(ground.path("r")).unwrap();
    ground.write("stage/sub/a.xml", "x");
    symlink("sub/a.xml", ground.path("stage/l")).unwrap();
    fs::set_permissions(ground.path("stage/sub/a.xml"), Permissions::from_mode(0o640)).unwrap();
    marker::write(&ground.path("stage"), "run-1").unwrap();
    let target = fs::canonicalize(ground.path("r")).unwrap();
    let before = fs::metadata(ground.path("stage/sub")).unwrap().modified().unwrap();
    assert_eq!(replace::into_mount(&target, &ground.path("stage"), "run-1").unwrap(), None);
    assert_eq!(ground.names(), ["r/.docker-test-results", "r/l", "r/sub/a.xml"]);
    assert_eq!(fs::read_link(ground.path("r/l")).unwrap(), Path::new("sub/a.xml"));
    assert_eq!(fs::metadata(ground.path("r/sub/a.xml")).unwrap().permissions().mode() & 0o777, 0o640);
    assert_eq!(fs::metadata(ground.path("r/sub")).unwrap().modified().unwrap(), before);
}

#[test]
fn a_run_id_cannot_lead_out() {
    let ground = Ground::new();
    let directory = ResultsDirectory::prepare(&ground.path("r"), "../../x\n").unwrap();
    assert_eq!(directory.staging().parent().unwrap(), fs::canonicalize(ground.0.path()).unwrap());
}
