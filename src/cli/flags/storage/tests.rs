use crate::cli::flags::tests::{container, refuses};

#[test]
fn volumes_are_binds_with_absolute_sources_or_anonymous() {
    let table = [
        ("/src:/dst", "/src:/dst"),
        ("/src:/dst:ro", "/src:/dst:ro"),
        ("/src:/dst:ro,z,rshared", "/src:/dst:ro,z,rshared"),
        ("./x:/dst", "/project/x:/dst"),
        (".:/dst:Z", "/project:/dst:Z"),
        ("../x/./y:/dst", "/x/y:/dst"),
        (".hidden:/dst", "/project/.hidden:/dst"),
        ("cache:/dst", "cache:/dst"),
        ("my-cache_1.x:/dst:nocopy,rw", "my-cache_1.x:/dst:nocopy,rw"),
        ("/src:/dst:U", "/src:/dst:U"),
    ];
    for (text, expected) in table {
        assert_eq!(container(&["-v", text]).unwrap().binds, [expected], "{text}");
    }
    let spec = container(&["-v", "/data", "--volume=/src:/dst", "-v", "/data"]).unwrap();
    assert_eq!(
        (spec.anonymous_volumes, spec.binds),
        (vec!["/data".to_owned()], vec!["/src:/dst".to_owned()])
    );
}

#[test]
fn tmpfs_and_read_only_are_resolved() {
    let spec = container(&["--tmpfs", "/run", "--tmpfs=/tmp:size=64m,mode=1777", "--read-only"]).unwrap();
    let pairs: Vec<(&str, &str)> = spec.tmpfs.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
    assert_eq!(pairs, [("/run", ""), ("/tmp", "size=64m,mode=1777")]);
    assert!(spec.read_only);
}

#[test]
fn a_later_tmpfs_of_the_same_path_wins() {
    let spec = container(&["--tmpfs", "/run", "--tmpfs", "/run:size=1m"]).unwrap();
    assert_eq!(spec.tmpfs.get("/run").map(String::as_str), Some("size=1m"));
}

#[test]
fn wrong_mounts_say_what_is_expected() {
    refuses(&[
        (&["-v", ""], "no part left empty"),
        (&["-v", ":/dst"], "no part left empty"),
        (&["-v", "/src:"], "no part left empty"),
        (&["-v", "/a:/b:ro:x"], "too many colons"),
        (&["-v", "data"], "`data` is not an absolute path"),
        (&["-v", "/a:b"], "`b` is not an absolute path"),
        (&["-v", "/a:/"], "over the container's root"),
        (&["-v", "/a:/x/.."], "over the container's root"),
        (&["-v", "src/app:/b"], "./src/app"),
        (&["-v", "a:/b"], "two or more"),
        (&["-v", "~/x:/b"], "$HOME"),
        (&["-v", "/a:/b:or"], "did you mean `ro`"),
        (&["-v", "/a:/b:ro,rw"], "`rw` is given beside an option that it excludes"),
        (&["-v", "/a:/b:z,Z"], "excludes"),
        (&["-v", "/a:/b:nocopy"], "goes with a volume"),
        (&["-v", "vol:/b:shared"], "goes with a host path"),
        (&["-v", "/a:/b", "-v", "/c:/b/"], "/b is already mounted by --volume"),
        (&["-v", "/a:/b", "--tmpfs", "/b"], "--tmpfs: invalid value `/b`: /b is already mounted by --volume"),
        (&["--tmpfs", "/b", "--mount", "type=tmpfs,dst=/b"], "already mounted"),
        (&["--tmpfs", "run"], "not an absolute path"),
        (&["--tmpfs", "/:size=1m"], "root"),
    ]);
}

#[test]
fn an_anonymous_volume_gives_way_to_another_mount_as_the_engine_has_it() {
    let spec = container(&["-v", "/b", "-v", "/a:/b"]).unwrap();
    assert_eq!((spec.anonymous_volumes, spec.binds), (vec!["/b".to_owned()], vec!["/a:/b".to_owned()]));
}

#[test]
fn a_directory_with_a_colon_cannot_be_written_as_a_bind() {
    let environment = crate::environment::Environment::default().in_directory("/a:b");
    let error = crate::cli::flags::tests::container_in(&["-v", "./x:/y"], &environment).unwrap_err();
    assert!(error.to_string().contains("contains a colon"), "{error}");
}
