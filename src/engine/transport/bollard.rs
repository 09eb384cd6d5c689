//! Hands the HTTP client to bollard, which knows the engine's API.
//!
//! The one place outside the engine's Docker files that names `bollard`. It sees requests and answers and touches
//! neither.

use std::io;
use std::time::Duration;

use ::bollard::errors::Error;
use ::bollard::{BollardRequest, ClientVersion, Docker};

use super::HttpClient;

/// An API client over `client` that speaks `version`. An answer's first byte must come within `timeout`; streams may take longer.
#[must_use]
pub fn docker(client: &HttpClient, timeout: Duration, version: &ClientVersion) -> Docker {
    let address = format!("http://{}", client.authority());
    let client = client.clone();
    let transport = move |request: BollardRequest| {
        let client = client.clone();
        async move {
            client.request(request).await.map_err(|error| Error::IOError { err: io::Error::other(error) })
        }
    };
    let docker =
        Docker::connect_with_custom_transport(transport, Some(address), timeout.as_secs().max(1), version);
    match docker {
        Ok(docker) => docker,
        // The constructor has no way to fail: it stores its arguments.
        Err(error) => unreachable!("bollard refused a custom transport: {error}"),
    }
}
