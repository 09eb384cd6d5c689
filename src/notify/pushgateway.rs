//! A Pushgateway of Prometheus: keeps the last run of each probe for whoever scrapes it.
//!
//! Owns the address of a group, in which any name of a probe or a host may stand. What is pushed is
//! [`crate::notify::prometheus`]'s.

use std::fmt::Write as _;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::notify::address::Url;
use crate::notify::configured::{self, Given};
use crate::notify::metrics::{self, UnifiedTags};
use crate::notify::preflight::{Preflight, Standing, standing};
use crate::notify::prometheus::{CONTENT_TYPE, exposition, label_value};
use crate::notify::{Answer, HttpRequest, Notice, Notifier, Transmission};
use crate::probe::Identity;
use schemars::JsonSchema;
use serde::Deserialize;

const AGE: Duration = Duration::from_hours(1);
/// Name of the job where none is given: a job must have one.
pub const DEFAULT_JOB: &str = "docker_test";

/// A Pushgateway.
#[derive(Debug, Clone)]
pub struct Pushgateway {
    base: Url,
    job: String,
    tags: UnifiedTags,
}

impl Pushgateway {
    /// `base` is its address without `/metrics`. An empty `job` becomes [`DEFAULT_JOB`].
    #[must_use]
    pub fn new(base: Url, job: &str, tags: UnifiedTags) -> Self {
        let job = label_value(job);
        let job = if job.is_empty() { DEFAULT_JOB.to_owned() } else { job };
        Self { base, job, tags }
    }

    /// A group for each probe and host, so that a push replaces what the same probe pushed before and nothing else.
    fn group(&self, probe: &Identity) -> String {
        let parts =
            [("job", &self.job), ("probe", &label_value(&probe.name)), ("host", &label_value(&probe.host))];
        parts.into_iter().fold("/metrics".to_owned(), |path, (label, value)| path + &group_part(label, value))
    }
}

configured::tagged! {
    /// Pushgateway of Prometheus: the last run of each probe.
    #[derive(Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields, expecting = "a mapping with url")]
    #[schemars(rename = "Pushgateway")]
    pub(super) struct Settings {
        /// Its address.
        url: Url,
        /// Name of the job; `docker_test` where absent.
        #[serde(default)]
        job: Option<String>,
    }
}

impl configured::Settings for Settings {
    fn sinks(mut self, given: Given<'_>) -> Result<Vec<Box<dyn Notifier>>, String> {
        let tags = self.unified_tags(given);
        let job = self.job.as_deref().unwrap_or(DEFAULT_JOB);
        Ok(vec![Box::new(Pushgateway::new(self.url, job, tags))])
    }
}

impl Notifier for Pushgateway {
    fn name(&self) -> &'static str {
        "pushgateway"
    }

    fn lifetime(&self, notice: &Notice) -> Option<Duration> {
        matches!(notice, Notice::Finished { .. }).then(|| metrics::lifetime(notice, AGE))
    }

    fn render(&self, notice: &Notice) -> Vec<Transmission> {
        let Notice::Finished { run, .. } = notice else { return Vec::new() };
        vec![Transmission::Http(HttpRequest {
            method: "PUT",
            url: self.base.join(&self.group(&run.probe)),
            headers: vec![("content-type".into(), CONTENT_TYPE.to_owned())],
            body: exposition([run], &self.tags).into_bytes(),
        })]
    }

    fn preflight(&self) -> Preflight {
        let url = self.base.join("/-/ready");
        Preflight::Ask(HttpRequest { method: "GET", url, headers: Vec::new(), body: Vec::new() })
    }

    fn standing(&self, answer: &Answer) -> Standing {
        match standing(self.receive(answer), "is ready") {
            Standing::Refused { says, .. } if answer.status == 404 => Standing::Unclear {
                says,
                hint: "a Pushgateway has /-/ready: is the address right, and does all of it pass the proxy?"
                    .to_owned(),
            },
            standing => standing,
        }
    }

    fn secrets(&self) -> Vec<String> {
        self.base.password().into_iter().collect()
    }
}

/// `/label/value`, or `/label@base64/value` for what would not stay one part of a path: nothing, a slash, or the dots
/// that lead up.
fn group_part(label: &str, value: &str) -> String {
    if value.is_empty() {
        return format!("/{label}@base64/=");
    }
    if value.contains('/') || matches!(value, "." | "..") {
        return format!("/{label}@base64/{}", URL_SAFE_NO_PAD.encode(value));
    }
    let mut part = format!("/{label}/");
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            part.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(part, "%{byte:02X}");
        }
    }
    part
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::notify::{prometheus, sample};
    use crate::probe::Verdict;

    const BASE: &str = "http://user:s3cr3t@push.example:9091/prefix/";

    fn sink() -> Pushgateway {
        Pushgateway::new(Url::parse(BASE).unwrap(), "", UnifiedTags::default())
    }

    fn pushed(notice: &Notice) -> (String, String) {
        let rendered = sink().render(notice);
        let [Transmission::Http(request)] = rendered.as_slice() else { panic!("one request") };
        assert_eq!(request.method, "PUT");
        assert_eq!(request.headers, [("content-type".into(), CONTENT_TYPE.to_owned())]);
        let path = request.url.strip_prefix("http://user:s3cr3t@push.example:9091/prefix").unwrap();
        (path.to_owned(), String::from_utf8(request.body.clone()).unwrap())
    }

    #[test]
    fn a_run_replaces_the_group_of_its_probe_and_host() {
        let (path, body) = pushed(&sample::finished(Verdict::Failed, None));
        assert_eq!(path, "/metrics/job/docker_test/probe/example.integration/host/staging.example");
        assert_eq!(body, exposition([&sample::run(Verdict::Failed)], &UnifiedTags::default()));
    }

    #[test]
    fn what_would_not_stay_one_part_of_a_path_is_base64() {
        assert_eq!(group_part("host", "/var/tmp"), "/host@base64/L3Zhci90bXA");
        assert_eq!(group_part("host", ""), "/host@base64/=");
        assert_eq!(group_part("host", ".."), "/host@base64/Li4");
        assert_eq!(group_part("host", "a b?c#d%ä"), "/host/a%20b%3Fc%23d%25%C3%A4");
        let other = Pushgateway::new(Url::parse(BASE).unwrap(), "nightly", UnifiedTags::default());
        assert!(other.group(&sample::identity()).starts_with("/metrics/job/nightly/"));
    }

    #[test]
    fn only_runs_that_are_over_are_pushed_and_the_password_is_not_shown() {
        for notice in [sample::started(), sample::alert()] {
            assert_eq!(sink().lifetime(&notice), None);
            assert!(sink().render(&notice).is_empty());
        }
        assert!(!format!("{:?}", sink()).contains("s3cr3t"));
        assert_eq!(sink().secrets(), ["s3cr3t"]);
    }

    #[test]
    fn it_is_asked_whether_it_is_ready() {
        let Preflight::Ask(request) = sink().preflight() else { panic!("a request") };
        assert_eq!(request.method, "GET");
        assert_eq!(request.url, "http://user:s3cr3t@push.example:9091/prefix/-/ready");
        let read = |status| sink().standing(&Answer { status, retry_after: None, body: String::new() });
        assert_eq!(read(200), Standing::Accepted { says: "is ready" });
        assert!(matches!(read(401), Standing::Refused { .. }));
        assert!(matches!(read(404), Standing::Unclear { .. }));
        assert!(matches!(read(503), Standing::Unclear { .. }));
    }

    proptest! {
        #[test]
        fn any_text_stays_one_part_of_the_path(text in sample::hostile()) {
            for notice in sample::everywhere(&text).iter().filter(|it| sink().lifetime(it).is_some()) {
                let (path, body) = pushed(notice);
                let parts: Vec<&str> = path.split('/').collect();
                prop_assert_eq!(parts.len(), 8, "{}", path);
                let labels: Vec<&str> = [2, 4, 6].map(|at| parts[at].trim_end_matches("@base64")).to_vec();
                prop_assert_eq!(labels, ["job", "probe", "host"]);
                prop_assert!(parts.iter().skip(1).all(|part| !matches!(*part, "" | "." | "..")));
                prop_assert!(path.chars().all(|it| it.is_ascii_graphic() && !matches!(it, '?' | '#')));
                prometheus::tests::read(&body).map_err(TestCaseError::fail)?;
            }
        }
    }
}
