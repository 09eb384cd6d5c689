//! Turns a build request into the parameters of the build call, in each builder's own dialect.
//!
//! Owns what each builder can be asked for, and refuses by name what it cannot. Does no I/O but reading secrets.

use std::fmt::Write as _;

use serde::Serialize;
use serde_json::json;

use super::{BuildError, BuildRequest, BuilderKind};
use crate::engine::docker::session::secrets::Secrets;
use crate::plan::container::UlimitSpec;

/// Options that the builder would ignore or misread must not be passed over in silence.
pub(super) fn refuse_unsupported(request: &BuildRequest<'_>) -> Result<(), BuildError> {
    let spec = request.spec;
    let network = spec.network.as_deref();
    let own_network = network.is_some_and(|name| !matches!(name, "" | "default" | "host" | "none"));
    let refused = match request.builder {
        BuilderKind::Classic => [(!spec.secrets.is_empty(), "--secret"), (!spec.ssh.is_empty(), "--ssh")],
        BuilderKind::BuildKit => {
            [(spec.memory.is_some(), "--build-memory"), (own_network, "--build-network NAME")]
        }
        BuilderKind::Buildah => [(!spec.ssh.is_empty(), "--ssh"), (own_network, "--build-network NAME")],
    };
    match refused.into_iter().find(|(given, _)| *given) {
        Some((_, option)) => Err(BuildError::Unsupported { builder: request.builder.name(), option }),
        None => Ok(()),
    }
}

/// The parameters, encoded as they are added.
pub(super) struct Query {
    text: String,
    warnings: Vec<String>,
}

impl Query {
    pub(super) fn new(request: &BuildRequest<'_>) -> Self {
        let mut query = Self { text: String::new(), warnings: Vec::new() };
        let spec = request.spec;
        let builder = request.builder;
        query.add("version", if builder == BuilderKind::BuildKit { "2" } else { "1" });
        query.add("dockerfile", request.dockerfile);
        for tag in request.tags {
            query.add("t", tag);
        }
        // A failed step leaves its container behind otherwise.
        query.add("rm", "1");
        query.add("forcerm", "1");
        query.add_flag("nocache", spec.no_cache);
        query.add_flag("pull", spec.pull);
        query.add_flag("squash", spec.squash);
        query.add_some("target", spec.target.as_deref());
        query.add_some("platform", spec.platform.as_deref());
        query.add_json("buildargs", &spec.build_args, spec.build_args.is_empty());
        query.add_json("labels", &spec.labels, spec.labels.is_empty());
        query.add_some("shmsize", spec.shm_size.map(|bytes| bytes.to_string()).as_deref());
        query.add_some("memory", spec.memory.map(|bytes| bytes.to_string()).as_deref());
        if builder == BuilderKind::Buildah {
            query.add_buildah(request);
        } else {
            query.add_some("networkmode", spec.network.as_deref());
            for host in &spec.extra_hosts {
                query.add("extrahosts", host);
            }
            let ulimits: Vec<_> = spec.ulimits.iter().map(docker_ulimit).collect();
            query.add_json("ulimits", &ulimits, ulimits.is_empty());
            query.add_json("cachefrom", &spec.cache_from, spec.cache_from.is_empty());
        }
        query
    }

    /// Podman's endpoint calls itself compatible, but reads these as JSON lists of strings and has names of its own
    /// for the networks.
    fn add_buildah(&mut self, request: &BuildRequest<'_>) {
        let spec = request.spec;
        self.add_json("extrahosts", &spec.extra_hosts, spec.extra_hosts.is_empty());
        let ulimits: Vec<_> = spec
            .ulimits
            .iter()
            .map(|UlimitSpec { name, soft, hard }| format!("{name}={soft}:{hard}"))
            .collect();
        self.add_json("ulimits", &ulimits, ulimits.is_empty());
        if spec.network.as_deref() == Some("none") {
            self.add("networkmode", "NetworkDisabled");
            self.add("nsoptions", r#"[{"Name":"network","Host":false}]"#);
        }
        if !spec.cache_from.is_empty() {
            // The parameter's form changed between Podman's releases, and it saves time at most.
            self.warnings
                .push("Podman's builder is not given --cache-from; its own cache is used".to_owned());
        }
    }

    /// What was left out.
    pub(super) fn warnings(&mut self) -> Vec<String> {
        std::mem::take(&mut self.warnings)
    }

    /// Context and Dockerfile come over the session.
    pub(super) fn files_over_session(&mut self) {
        self.add("remote", "client-session");
    }

    /// Names the session, and the build so that it can be cancelled.
    pub(super) fn session(&mut self, session_id: &str, build_id: &str) {
        self.add("session", session_id);
        self.add("buildid", build_id);
    }

    /// Podman takes secrets as files of the context, which it moves out of there before the build begins. Returns
    /// the beginning of the archive that holds them; their names cannot be guessed, so they hide no other file.
    pub(super) async fn secrets(&mut self, secrets: &Secrets, build_id: &str) -> Result<Vec<u8>, BuildError> {
        let mut archive = tar::Builder::new(Vec::new());
        let mut sources = Vec::new();
        for (number, id) in secrets.ids().enumerate() {
            let Some(value) = secrets.value(id).await? else { continue };
            let name = format!(".docker-test-secret-{build_id}-{number}");
            let mut header = tar::Header::new_ustar();
            header.set_size(value.len() as u64);
            header.set_mode(0o400);
            archive
                .append_data(&mut header, &name, value)
                .map_err(|source| BuildError::Context { source })?;
            sources.push(format!("id={id},src={name}"));
        }
        self.add_json("secrets", &sources, sources.is_empty());
        // Without the end mark that `into_inner` would write: the caller's archive follows.
        Ok(std::mem::take(archive.get_mut()))
    }

    /// The parameters as they stand in the request line.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    fn add(&mut self, name: &str, value: &str) {
        if !self.text.is_empty() {
            self.text.push('&');
        }
        self.text.push_str(name);
        self.text.push('=');
        for byte in value.bytes() {
            if byte.is_ascii_alphanumeric() || b"-._~/:,".contains(&byte) {
                self.text.push(char::from(byte));
            } else {
                // Writing to a string cannot fail.
                let _ = write!(self.text, "%{byte:02X}");
            }
        }
    }

    fn add_some(&mut self, name: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.add(name, value);
        }
    }

    fn add_flag(&mut self, name: &str, set: bool) {
        if set {
            self.add(name, "1");
        }
    }

    fn add_json<T: Serialize>(&mut self, name: &str, value: &T, empty: bool) {
        if !empty {
            self.add(name, &json!(value).to_string());
        }
    }
}

fn docker_ulimit(ulimit: &UlimitSpec) -> serde_json::Value {
    json!({ "Name": ulimit.name, "Soft": ulimit.soft, "Hard": ulimit.hard })
}

#[cfg(test)]
mod tests;
