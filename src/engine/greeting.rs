//! What an engine says of itself in the headers of its answer to a ping.
//!
//! The ping is made anyway to see that an engine is there. `/version` says the same at ten times the cost, because the
//! engine asks its own parts first, so it is asked only where something between us and the engine drops headers.

use http::HeaderMap;

/// Names and versions, as far as the headers tell them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Greeting {
    /// Version of the API, such as `1.41`.
    pub api_version: String,
    /// Operating system of the engine's containers, such as `linux`.
    pub os: String,
    /// The builder that the engine recommends: `1` classic, `2` BuildKit, empty where it says nothing.
    pub builder_version: String,
    /// True for Podman.
    pub podman: bool,
    /// Version of the engine itself, such as `20.10.24+dfsg1`.
    pub version: String,
}

impl Greeting {
    /// Reads the headers of a ping's answer.
    #[must_use]
    pub fn read(headers: &HeaderMap) -> Self {
        let text = |name: &str| {
            headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().trim().to_owned()
        };
        let server = text("server");
        let (product, version) = server.split_once('/').unwrap_or_default();
        let version = version.split_whitespace().next().unwrap_or_default();
        let libpod = text("libpod-api-version");
        let (podman, version) = match product {
            "Docker" => (!libpod.is_empty(), version),
            "Libpod" => (true, version),
            // Whoever stands before the engine has put its own name there.
            _ => (!libpod.is_empty(), ""),
        };
        Self {
            api_version: text("api-version"),
            os: text("ostype"),
            builder_version: text("builder-version"),
            podman,
            version: version.to_owned(),
        }
    }

    /// True where nothing is left to be asked.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        !self.api_version.is_empty() && !self.os.is_empty() && !self.version.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn greeting(headers: &[(&'static str, &'static str)]) -> Greeting {
        let pairs = headers
            .iter()
            .map(|(name, value)| (http::HeaderName::from_static(name), HeaderValue::from_static(value)));
        Greeting::read(&pairs.collect())
    }

    #[test]
    fn docker_tells_everything_in_its_ping() {
        let docker = greeting(&[
            ("api-version", "1.41"),
            ("ostype", "linux"),
            ("builder-version", "2"),
            ("server", "Docker/20.10.24+dfsg1 (linux)"),
        ]);
        let expected = Greeting {
            api_version: "1.41".into(),
            os: "linux".into(),
            builder_version: "2".into(),
            podman: false,
            version: "20.10.24+dfsg1".into(),
        };
        assert_eq!(docker, expected);
        assert!(docker.is_complete());
    }

    #[test]
    fn podman_is_known_by_its_server_name() {
        let podman = greeting(&[
            ("api-version", "1.41"),
            ("libpod-api-version", "4.3.1"),
            ("ostype", "linux"),
            ("server", "Libpod/4.3.1 (linux)"),
        ]);
        assert!(podman.podman && podman.is_complete());
        assert_eq!(podman.version, "4.3.1");
    }

    #[test]
    fn a_proxy_that_changes_the_headers_is_not_taken_for_the_engine() {
        for server in ["nginx/1.27.0", "Docker", "", "Docker/"] {
            let headers = [("api-version", "1.41"), ("ostype", "linux"), ("server", server)];
            assert!(!greeting(&headers).is_complete(), "{server}");
        }
        assert!(!greeting(&[("ostype", "linux"), ("server", "Docker/28.2.2 (linux)")]).is_complete());
        assert!(!greeting(&[]).is_complete());
        assert!(greeting(&[("server", "nginx/1"), ("libpod-api-version", "4.3.1")]).podman);
    }
}
