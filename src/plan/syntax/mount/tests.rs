use proptest::prelude::*;

use super::*;
use crate::cli::flags::tests::{container, refuses};

fn mount(text: &str) -> MountSpec {
    parse(text, Path::new("/project")).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn spec(kind: &str, source: Option<&str>, target: &str) -> MountSpec {
    MountSpec {
        kind: kind.into(),
        source: source.map(str::to_owned),
        target: target.into(),
        ..MountSpec::default()
    }
}

#[test]
fn types_and_aliases_are_read() {
    let bind = spec("bind", Some("/a"), "/b");
    for text in [
        "type=bind,src=/a,dst=/b",
        "type=bind,source=/a,target=/b",
        "destination=/b,TYPE=BIND,source=/a",
        "type=bind,src=/a,dst=/b,readonly=false",
        "type=bind,src=/a,dst=/b,consistency=cached,bind-recursive=enabled",
        "\"type=bind\",src=/a,\"dst=/b\"",
    ] {
        assert_eq!(mount(text), bind, "{text}");
    }
    for text in ["readonly", "ro", "readonly=true", "ro=1", "ro=T"] {
        assert!(mount(&format!("type=bind,src=/a,dst=/b,{text}")).read_only, "{text}");
    }
    assert_eq!(mount("type=bind,src=./x,dst=/b"), spec("bind", Some("/project/x"), "/b"));
    assert_eq!(mount("type=bind,\"src=/a,b:c\",dst=/b"), spec("bind", Some("/a,b:c"), "/b"));
    assert_eq!(mount("dst=/b"), spec("volume", None, "/b"));
    assert_eq!(mount("src=cache,dst=/b"), spec("volume", Some("cache"), "/b"));
    assert_eq!(mount("type=image,src=alpine,dst=/b"), spec("image", Some("alpine"), "/b"));
}

#[test]
fn options_of_each_type_are_read() {
    let bind = mount("type=bind,src=/a,dst=/b,bind-propagation=RSlave,bind-recursive=disabled");
    assert_eq!((bind.bind_propagation.as_deref(), bind.bind_nonrecursive), (Some("rslave"), true));
    assert!(mount("type=bind,src=/a,dst=/b,bind-nonrecursive").bind_nonrecursive);
    let volume = mount(
        "type=volume,dst=/b,volume-nocopy,volume-driver=local,volume-opt=type=nfs,\
         \"volume-opt=o=addr=h,rw\",volume-label=a=b,volume-label=c",
    );
    assert!(volume.volume_nocopy);
    assert_eq!(volume.volume_driver.as_deref(), Some("local"));
    let pairs: Vec<(&str, &str)> =
        volume.volume_options.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
    assert_eq!(pairs, [("o", "addr=h,rw"), ("type", "nfs")]);
    assert_eq!(volume.volume_labels.len(), 2);
    let tmpfs = mount("type=tmpfs,dst=/b,tmpfs-size=64m,tmpfs-mode=1777");
    assert_eq!((tmpfs.tmpfs_size, tmpfs.tmpfs_mode), (Some(64 << 20), Some(0o1777)));
}

#[test]
fn wrong_mounts_name_the_key() {
    refuses(&[
        (&["--mount", ""], "expected type=TYPE"),
        (&["--mount", "type=bind,src=/a,dst=/b,readnoly"], "did you mean `readonly`"),
        (&["--mount", "type=bind,src=/a,dst=/b,colour=red"], "unknown key `colour`"),
        (&["--mount", "type=bnd,src=/a,dst=/b"], "did you mean `bind`"),
        (&["--mount", "type=npipe,src=a,dst=/b"], "Windows"),
        (&["--mount", "type=bind,src,dst=/b"], "`src` needs a value"),
        (&["--mount", "type=bind,src=,dst=/b"], "`src` has no value"),
        (&["--mount", "type=bind, src=/a,dst=/b"], "white space"),
        (&["--mount", "type=bind,src=/a,dst=/b,ro=maybe"], "`ro` takes true or false"),
        (&["--mount", "type=bind,dst=/b"], "needs src="),
        (&["--mount", "type=bind,src=a,dst=/b"], "src=./a"),
        (&["--mount", "type=bind,src=/a"], "dst=PATH is missing"),
        (&["--mount", "type=bind,src=/a,dst=b"], "not an absolute path"),
        (&["--mount", "type=tmpfs,src=/a,dst=/b"], "takes no source"),
        (&["--mount", "src=/a,dst=/b"], "type=bind mounts a path"),
        (&["--mount", "src=a/b,dst=/b"], "neither a path nor"),
        (&["--mount", "type=bind,src=/a,dst=/b,tmpfs-size=1m"], "`tmpfs-size` goes with type=tmpfs"),
        (&["--mount", "tmpfs-mode=700,type=bind,src=/a,dst=/b"], "the type is bind"),
        (&["--mount", "type=tmpfs,dst=/b,tmpfs-mode=999"], "octal"),
        (&["--mount", "type=tmpfs,dst=/b,tmpfs-size=big"], "expected a size"),
        (&["--mount", "type=bind,src=/a,dst=/b,bind-propagation=all"], "rprivate"),
        (&["--mount", "type=bind,src=/a,dst=/b,bind-recursive=readonly"], "not supported"),
        (&["--mount", "type=volume,dst=/b,volume-subpath=x"], "not supported"),
        (&["--mount", "type=bind,\"src=/a,dst=/b"], "quote"),
    ]);
}

#[test]
fn every_key_that_is_suggested_is_taken_or_refused_by_name() {
    for key in KEYS.iter().chain(&UNSUPPORTED) {
        let error = parse(&format!("{key}=~"), Path::new("/")).unwrap_err().to_string();
        assert!(!error.contains("unknown key"), "{key}: {error}");
    }
}

#[test]
fn several_mounts_keep_their_order() {
    let spec = container(&["--mount", "type=tmpfs,dst=/a", "--mount=type=tmpfs,dst=/b"]).unwrap();
    let targets: Vec<&str> = spec.mounts.iter().map(|mount| mount.target.as_str()).collect();
    assert_eq!(targets, ["/a", "/b"]);
}

proptest! {
    #[test]
    fn no_text_makes_the_parser_panic(text in "(type=|src=|dst=|/|,|\"|=|[a-z]{1,4}){0,12}") {
        let _ = parse(&text, Path::new("/"));
    }
}
