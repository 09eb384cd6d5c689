//! Whether DataDog takes the key, and whether the site is one of its own.
//!
//! Owns the request that validates a key, which stores nothing, and the list of sites. A key is known to its own site
//! alone, so a refused key and a wrong site look the same from here, and both are named.

use serde::Deserialize;

use crate::error::nearest;
use crate::notify::address::{Key, Url};
use crate::notify::preflight::{Doubt, Preflight, Standing, later};
use crate::notify::{Answer, HttpRequest, Reception};

const SITES: [&str; 7] = [
    "datadoghq.com",
    "us3.datadoghq.com",
    "us5.datadoghq.com",
    "datadoghq.eu",
    "ap1.datadoghq.com",
    "ap2.datadoghq.com",
    "ddog-gov.com",
];

pub(super) fn ask(key: &Key, base: &Url) -> Preflight {
    Preflight::Ask(HttpRequest {
        method: "GET",
        url: base.join("/api/v1/validate"),
        headers: vec![("dd-api-key".into(), key.expose().to_owned())],
        body: Vec::new(),
    })
}

/// What DataDog answers to one who asks about a key.
#[derive(Deserialize)]
struct Validation {
    valid: bool,
}

/// `reception` is what the answer means to whoever sends: pages of proxies have been told apart.
pub(super) fn read(answer: &Answer, reception: Reception) -> Standing {
    let refused = |reason: &str| Standing::Refused {
        says: format!("refuses the key: {reason}"),
        hint: format!(
            "it must be an API key, not an application key, and of this very site: the sites are {}",
            SITES.join(", ")
        ),
    };
    match reception {
        Reception::Accepted => match serde_json::from_str(&answer.body) {
            Ok(Validation { valid: true }) => Standing::Accepted { says: "accepts the key" },
            Ok(Validation { valid: false }) => refused("it is not valid"),
            Err(_) => stranger(&format!("HTTP status {}, and nothing about the key", answer.status)),
        },
        Reception::Later { reason, .. } => later(&reason),
        Reception::Refused { reason } if matches!(answer.status, 401 | 403) => refused(&reason),
        Reception::Refused { reason } => stranger(&reason),
    }
}

fn stranger(reason: &str) -> Standing {
    Standing::Unclear {
        says: format!("does not answer as DataDog does: {reason}"),
        hint: "correct the base address (DD_URL, or url in the file); its API has /api/v1/validate"
            .to_owned(),
    }
}

pub(super) fn doubt(site: &str) -> Option<Doubt> {
    if SITES.contains(&site) {
        return None;
    }
    let meant = nearest(site, SITES).map_or_else(String::new, |near| format!("did you mean {near}? "));
    Some(Doubt {
        message: format!("{site} is no site of DataDog that is known"),
        hint: format!("{meant}The sites are {}", SITES.join(", ")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notify::receive;

    const KEY: &str = "0123456789abcdef0123456789abcdef";

    fn read_as(status: u16, body: &str) -> Standing {
        let answer = Answer { status, retry_after: None, body: body.to_owned() };
        read(&answer, receive(&answer))
    }

    #[test]
    fn the_key_is_asked_about_and_nothing_is_sent() {
        let base = Url::parse("https://api.datadoghq.eu/").unwrap();
        let Preflight::Ask(request) = ask(&Key::parse(KEY).unwrap(), &base) else { panic!("a request") };
        assert_eq!(
            (request.method, request.url.as_str()),
            ("GET", "https://api.datadoghq.eu/api/v1/validate")
        );
        assert_eq!(request.headers, [("dd-api-key".into(), KEY.to_owned())]);
        assert!(request.body.is_empty());
    }

    #[test]
    fn a_valid_key_is_told_from_one_that_is_not_and_both_from_a_stranger() {
        assert_eq!(read_as(200, r#"{"valid":true}"#), Standing::Accepted { says: "accepts the key" });
        for (status, body) in [(200, r#"{"valid":false}"#), (403, r#"{"errors":["Forbidden"]}"#), (401, "")] {
            let Standing::Refused { says, hint } = read_as(status, body) else { panic!("{status} {body}") };
            assert!(says.starts_with("refuses the key: "), "{says}");
            assert!(hint.contains("us5.datadoghq.com"), "{hint}");
        }
        for (status, body) in [(200, "{}"), (404, ""), (302, ""), (429, ""), (503, "")] {
            assert!(matches!(read_as(status, body), Standing::Unclear { .. }), "{status} {body}");
        }
    }

    #[test]
    fn a_mistyped_site_is_doubted_and_the_nearest_named() {
        for site in SITES {
            assert_eq!(doubt(site), None);
        }
        assert!(doubt("datadoghq.co").unwrap().hint.starts_with("did you mean datadoghq.com? The sites"));
        assert!(doubt("us9.datadoghq.com").unwrap().hint.contains("us3.datadoghq.com"));
        assert!(doubt("example.org").unwrap().hint.starts_with("The sites are datadoghq.com, "));
    }
}
