use super::*;
use crate::cli::flags::tests::{build, command, run_build};
use crate::error::Diagnose;
use crate::plan::container::UlimitSpec;

fn environment() -> Environment {
    Environment::from_pairs([("TOKEN", "t0ken"), ("SSH_AUTH_SOCK", "/agent")]).in_directory("/project")
}

fn build_spec(flags: &[&str]) -> Result<BuildSpec, FlagError> {
    build(flags).unwrap_or_else(|error| panic!("{flags:?}: {error}")).flags.resolve(&environment())
}

#[test]
fn nothing_given_is_the_default_build() {
    assert_eq!(run_build(&[], &environment()).unwrap(), BuildSpec::default());
    assert_eq!(build_spec(&[]).unwrap(), BuildSpec::default());
}

#[test]
fn run_and_build_say_the_same_under_their_own_names() {
    let run = [
        "--build-arg",
        "A=1",
        "--build-arg",
        "TOKEN",
        "--build-arg",
        "UNSET",
        "--build-arg",
        "A=2",
        "--secret",
        "id=s,env=TOKEN",
        "--ssh",
        "default",
        "--target",
        "test",
        "--no-cache",
        "--cache-from",
        "a,b",
        "--platform",
        "linux/arm64",
        "--build-network",
        "host",
        "--build-add-host",
        "db=[::1]",
        "--build-shm-size",
        "1g",
        "--build-ulimit",
        "nofile=5",
        "--build-memory",
        "2g",
        "--build-label",
        "a=b",
        "--build-pull",
    ];
    let build: Vec<&str> = run
        .iter()
        .map(|word| match *word {
            "--build-network" => "--network",
            "--build-add-host" => "--add-host",
            "--build-shm-size" => "--shm-size",
            "--build-ulimit" => "--ulimit",
            "--build-memory" => "-m",
            "--build-label" => "--label",
            "--build-pull" => "--pull",
            other => other,
        })
        .collect();
    let spec = run_build(&run, &environment()).unwrap();
    assert_eq!(spec, build_spec(&build).unwrap());
    let args: Vec<(&str, &str)> = spec.build_args.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
    assert_eq!(args, [("A", "2"), ("TOKEN", "t0ken")]);
    assert_eq!(spec.target.as_deref(), Some("test"));
    assert!(spec.no_cache && spec.pull && !spec.squash);
    assert_eq!(spec.cache_from, ["a", "b"]);
    assert_eq!(spec.platform.as_deref(), Some("linux/arm64"));
    assert_eq!(spec.network.as_deref(), Some("host"));
    assert_eq!(spec.extra_hosts, ["db:::1"]);
    assert_eq!((spec.shm_size, spec.memory), (Some(1 << 30), Some(2 << 30)));
    assert_eq!(spec.ulimits, [UlimitSpec { name: "nofile".into(), soft: 5, hard: 5 }]);
    assert_eq!(spec.labels.get("a").map(String::as_str), Some("b"));
}

#[test]
fn build_takes_docker_builds_own_flags() {
    let build =
        build(&["-t", "a:1", "--tag", "b", "-f", "Other", "-q", "--iidfile", "id", "--squash"]).unwrap();
    assert_eq!(build.flags.tag, ["a:1", "b"]);
    assert_eq!(build.flags.file.as_deref(), Some(std::path::Path::new("Other")));
    assert_eq!(build.flags.iidfile.as_deref(), Some(std::path::Path::new("id")));
    assert_eq!(build.output.shown(), crate::cli::flags::output::Progress::Quiet);
    assert!(build.flags.resolve(&environment()).unwrap().squash);
}

#[test]
fn docker_build_has_no_prefixed_names_and_run_no_plain_ones() {
    let mut command = command();
    command.build();
    let longs = |name: &str| -> Vec<String> {
        let sub = command.find_subcommand(name).unwrap();
        sub.get_arguments().filter_map(clap::Arg::get_long).map(str::to_owned).collect()
    };
    for (own, dockers, _) in DOCKERS_NAMES {
        assert!(longs("run").iter().any(|long| long == own), "{own}");
        assert!(!longs("build").iter().any(|long| long == own), "{own}");
        assert!(longs("build").iter().any(|long| long == dockers), "{dockers}");
    }
}

/// Every flag of `docker build`, with and without buildx.
const DOCKER_BUILD: &str = "add-host allow annotation attest build-arg build-context builder cache-from cache-to call \
    cgroup-parent check compress cpu-period cpu-quota cpu-shares cpuset-cpus cpuset-mems disable-content-trust file \
    force-rm help iidfile isolation label load memory memory-swap metadata-file network no-cache no-cache-filter \
    output platform policy print progress provenance pull push quiet resource rm sbom secret security-opt shm-size \
    squash ssh tag target ulimit";

#[test]
fn every_flag_of_docker_build_is_taken_or_refused_by_name() {
    let mut command = command();
    command.build();
    let build = command.find_subcommand("build").unwrap();
    let known: Vec<&str> = build.get_arguments().filter_map(clap::Arg::get_long).collect();
    let unknown: Vec<&str> = DOCKER_BUILD.split_whitespace().filter(|flag| !known.contains(flag)).collect();
    assert_eq!(unknown, Vec::<&str>::new());
}

#[test]
fn the_platform_comes_from_dockers_variable_where_no_flag_says_it() {
    let environment = Environment::from_pairs([("DOCKER_DEFAULT_PLATFORM", "linux/arm/v7")]);
    assert_eq!(run_build(&[], &environment).unwrap().platform.as_deref(), Some("linux/arm/v7"));
    let flag = run_build(&["--platform", "linux/amd64"], &environment).unwrap();
    assert_eq!(flag.platform.as_deref(), Some("linux/amd64"));
    let wrong = Environment::from_pairs([("DOCKER_DEFAULT_PLATFORM", "a/b/c/d")]);
    let error = run_build(&[], &wrong).unwrap_err().to_string();
    assert!(
        error.starts_with("--platform (set by DOCKER_DEFAULT_PLATFORM): invalid value `a/b/c/d`"),
        "{error}"
    );
}

#[test]
fn errors_use_the_name_that_the_user_wrote() {
    let table: [(&[&str], &[&str], &str); 4] = [
        (&["--build-memory", "x"], &["-m", "x"], "memory: invalid value `x`"),
        (&["--build-ulimit", "x=1"], &["--ulimit", "x=1"], "ulimit: invalid value"),
        (&["--build-add-host", "x"], &["--add-host", "x"], "add-host: invalid value"),
        (&["--build-label", "=x"], &["--label", "=x"], "label: invalid value"),
    ];
    for (run, build, rest) in table {
        let error = run_build(run, &environment()).unwrap_err().to_string();
        assert!(error.starts_with(&format!("--build-{rest}")), "{error}");
        let error = build_spec(build).unwrap_err().to_string();
        assert!(error.starts_with(&format!("--{rest}")), "{error}");
    }
}

#[test]
fn wrong_build_flags_say_what_is_expected() {
    let table: [(&[&str], &str); 5] = [
        (&["--build-arg", "=secret"], "--build-arg: invalid value `=…`"),
        (&["--platform", "linux/amd64,linux/arm64"], "one platform"),
        (&["--platform", "linux//v8"], "OS/ARCH"),
        (&["--cache-from", "type=gha"], "cache of type `gha`"),
        (&["--build-shm-size", "big"], "expected a size"),
    ];
    for (flags, expected) in table {
        let error = run_build(flags, &environment()).unwrap_err();
        assert!(error.to_string().contains(expected), "{flags:?}: {error}");
        assert_eq!(error.category(), crate::error::Category::User);
    }
}
