use super::*;
use crate::cli::flags::tests::{build, run};

#[test]
fn refused_run_flags_are_explained() {
    let table: [(&[&str], &str); 12] = [
        (&["-d"], "--detach is not taken: a test is waited for"),
        (&["--detach"], "--detach is not taken"),
        (&["-dit"], "--detach is not taken"),
        (&["--rm"], "--keep"),
        (&["-p", "8080:80"], "--network"),
        (&["-p8080:80"], "--publish is not taken"),
        (&["--publish=8080:80"], "--publish is not taken"),
        (&["-P"], "--publish-all is not taken"),
        (&["--restart", "always"], "has no verdict"),
        (&["--cidfile", "f"], "--format json"),
        (&["-a", "stdout"], "output is always attached"),
        (&["--health-cmd", "true"], "--timeout"),
    ];
    for (flags, expected) in table {
        let error = run(flags).unwrap_err().to_string();
        assert!(error.starts_with("error: --") && error.contains(expected), "{flags:?}: {error}");
    }
}

#[test]
fn refused_build_flags_are_explained() {
    let table: [(&[&str], &str); 8] = [
        (&["-o", "type=local,dest=out"], "docker save"),
        (&["--output", "out"], "--output is not taken"),
        (&["--push"], "docker push"),
        (&["--cache-to", "type=inline"], "BUILDKIT_INLINE_CACHE"),
        (&["--attest", "type=sbom"], "attestations"),
        (&["--provenance", "mode=max"], "attestations"),
        (&["--builder", "mine"], "--context"),
        (&["--rm=false"], "always removed"),
    ];
    for (flags, expected) in table {
        let error = build(flags).unwrap_err().to_string();
        assert!(error.contains("is not taken") && error.contains(expected), "{flags:?}: {error}");
    }
}

#[test]
fn flags_that_ask_for_what_happens_anyway_are_taken() {
    let flags = [
        "--output=type=docker",
        "--provenance=false",
        "--sbom",
        "false",
        "--load",
        "--rm",
        "--rm=true",
        "--force-rm",
        "--compress",
        "--push=false",
        "--builder",
        "default",
    ];
    assert_eq!(build(&flags).unwrap().path, ".");
}

#[test]
fn refused_flags_are_not_in_the_help() {
    for row in OfRun::ROWS.iter().chain(OfBuild::ROWS) {
        assert!(argument(row).is_hide_set(), "{}", row.long);
    }
}
