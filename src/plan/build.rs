//! How the test image is built: what `docker build` flags say, resolved.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Serialize;

/// The largest secret that BuildKit takes, in bytes.
pub const LARGEST_SECRET: u64 = 500 << 10;

/// Everything that build flags can say, resolved. `None` or empty means: not given.
#[derive(Clone, Default, PartialEq, Serialize)]
pub struct BuildSpec {
    /// `--build-arg NAME=value`; `NAME` alone takes the value from the environment and is left out where unset.
    /// Values may be secret: never serialised.
    #[serde(serialize_with = "argument_names")]
    pub build_args: BTreeMap<String, String>,
    /// `--secret`
    pub secrets: Vec<SecretSpec>,
    /// `--ssh`
    pub ssh: Vec<SshSpec>,
    /// `--target`: a stage.
    pub target: Option<String>,
    /// `--platform`
    pub platform: Option<String>,
    /// `--no-cache`
    pub no_cache: bool,
    /// `--pull` of the build: look for newer base images.
    pub pull: bool,
    /// `--cache-from`
    pub cache_from: Vec<String>,
    /// `--build-label`, or `--label` of `docker-test build`
    pub labels: BTreeMap<String, String>,
    /// `--build-network`
    pub network: Option<String>,
    /// `--build-add-host` as `name:ip`
    pub extra_hosts: Vec<String>,
    /// `--build-shm-size`, in bytes
    pub shm_size: Option<i64>,
    /// `--build-ulimit`
    pub ulimits: Vec<crate::plan::container::UlimitSpec>,
    /// `--build-memory`, in bytes (classic builder alone)
    pub memory: Option<i64>,
    /// `--squash`
    pub squash: bool,
}

/// One `--secret id=ID[,src=PATH|,env=NAME]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SecretSpec {
    /// The id that `RUN --mount=type=secret,id=…` names.
    pub id: String,
    /// Where the value is read when the builder asks for it.
    pub source: SecretSource,
}

/// Where a secret's value comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SecretSource {
    /// A file.
    File(PathBuf),
    /// An environment variable of docker-test.
    Environment(String),
}

/// One `--ssh default|ID[=SOCKET|KEY[,KEY]]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SshSpec {
    /// The id that `RUN --mount=type=ssh,id=…` names.
    pub id: String,
    /// Agent socket or key files; empty means the agent at `SSH_AUTH_SOCK`.
    pub paths: Vec<PathBuf>,
}

impl BuildSpec {
    /// What of it can be seen in the image that is built. The rest says how the builder gets there.
    #[must_use]
    pub fn of_the_result(&self) -> Self {
        Self { no_cache: false, pull: false, cache_from: Vec::new(), ..self.clone() }
    }
}

impl std::fmt::Debug for BuildSpec {
    /// By way of the serialised form, which has no values of build arguments.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&serde_json::to_string(self).unwrap_or_default())
    }
}

fn argument_names<S: serde::Serializer>(
    args: &BTreeMap<String, String>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(args.keys())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_an_image_is_built_is_no_part_of_the_result() {
        let plain = BuildSpec { target: Some("one".into()), ..BuildSpec::default() };
        let asked =
            BuildSpec { no_cache: true, pull: true, cache_from: vec!["old:1".into()], ..plain.clone() };
        assert_eq!(asked.of_the_result(), plain);
        let labelled = BuildSpec { labels: [("a".into(), "b".into())].into(), ..plain.clone() };
        assert_ne!(labelled.of_the_result(), plain);
    }
}
