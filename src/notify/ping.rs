//! A ping as healthchecks.io and what speaks like it want them: a word when a run begins, and one when it is over. The
//! other side raises the alarm when none comes. It has one state, whatever the number of probes: it is told of all together.
//!
//! Owns the addresses, the id of a run in them, and the body, which is the last of the output. The address is the key.

use std::time::Duration;

use sha2::{Digest, Sha256};
use uuid::{Builder, Uuid};

use crate::notify::address::Url;
use crate::notify::configured::{self, Given};
use crate::notify::overall::Overall;
use crate::notify::preflight::Preflight;
use crate::notify::{Answer, HttpRequest, Notice, Notifier, Reception, Transmission, receive, text};
use crate::probe::Verdict;
use schemars::JsonSchema;
use serde::Deserialize;

/// The other side measures from the moment when the first ping came.
const START_AGE: Duration = Duration::from_mins(5);
const END_AGE: Duration = Duration::from_hours(1);
/// What is kept of a body unless the other side is set up otherwise: its first bytes.
const MOST_BODY_BYTES: usize = 10_000;
const MOST_SUMMARY_CHARS: usize = 1000;
/// The harness's exit code where it could not do its job.
const HARNESS_FAILED: &str = "/125";

/// A check that waits for pings.
#[derive(Debug, Clone)]
pub struct Ping {
    base: Url,
}

impl Ping {
    /// `base` is the address of the check, without `/start` or `/fail`.
    #[must_use]
    pub const fn new(base: Url) -> Self {
        Self { base }
    }

    fn post(&self, path: &str, run: &str, body: String) -> Vec<Transmission> {
        vec![Transmission::Http(HttpRequest {
            method: "POST",
            url: self.base.join_with(path, &format!("rid={}", run_uuid(run))),
            headers: vec![("content-type".into(), "text/plain; charset=utf-8".to_owned())],
            body: body.into_bytes(),
        })]
    }
}

/// A check of healthchecks: start, success, failure.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a mapping with url")]
#[schemars(rename = "Ping")]
pub(super) struct Settings {
    /// Address of the check.
    url: Url,
}

impl configured::Settings for Settings {
    fn sinks(self, _: Given<'_>) -> Result<Vec<Box<dyn Notifier>>, String> {
        Ok(vec![Box::new(Ping::new(self.url))])
    }
}

impl Notifier for Ping {
    fn name(&self) -> &'static str {
        "ping"
    }

    fn lifetime(&self, notice: &Notice) -> Option<Duration> {
        match notice {
            Notice::Started { .. } => Some(START_AGE),
            Notice::Overall(_) => Some(END_AGE),
            Notice::Attempted { .. } | Notice::Finished { .. } | Notice::Alert(_) => None,
        }
    }

    fn render(&self, notice: &Notice) -> Vec<Transmission> {
        match notice {
            Notice::Started { run, .. } => self.post("/start", run, String::new()),
            Notice::Overall(overall) => self.post(path(overall.verdict), &overall.run, body(overall)),
            Notice::Attempted { .. } | Notice::Finished { .. } | Notice::Alert(_) => Vec::new(),
        }
    }

    /// healthchecks.io answers 200 to a check that it does not have, and says so in the text.
    fn receive(&self, answer: &Answer) -> Reception {
        let said = answer.body.trim_start();
        match receive(answer) {
            // Whoever takes pings may say so with a page.
            Reception::Later { .. } if (200..=299).contains(&answer.status) => Reception::Accepted,
            Reception::Accepted if said.starts_with("OK (not found)") => {
                Reception::Refused { reason: "there is no check at this address".to_owned() }
            }
            Reception::Accepted if said.starts_with("OK (rate limited)") => {
                let after = answer.retry_after.map(Duration::from_secs);
                Reception::Later { after, reason: "too many pings".to_owned() }
            }
            reception => reception,
        }
    }

    /// Whatever is asked at this address, also by GET, is a ping.
    fn preflight(&self) -> Preflight {
        Preflight::Connect { to: self.base.clone(), because: "a request would count as a ping" }
    }

    fn secrets(&self) -> Vec<String> {
        self.base.secrets()
    }
}

const fn path(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Failed => "/fail",
        Verdict::Errored => HARNESS_FAILED,
        Verdict::Passed | Verdict::Warning | Verdict::PassedOnRetry | Verdict::CleanupFailed => "",
    }
}

/// The summary, and as much of the end of the output as there is room for.
fn body(overall: &Overall) -> String {
    let lines: Vec<String> = overall.lines.iter().map(|line| text::one_line(line)).collect();
    let summary = text::cut_chars(&lines.join("\n"), MOST_SUMMARY_CHARS).into_owned();
    let output = text::lines(&overall.output);
    let room = MOST_BODY_BYTES.saturating_sub(summary.len() + 2);
    match text::tail(output.trim_end(), room) {
        "" => summary,
        last => format!("{summary}\n\n{last}"),
    }
}

/// The id of a run as a UUID of version 4: its own where it is one, else one that follows from it.
#[must_use]
pub fn run_uuid(run: &str) -> Uuid {
    if let Ok(uuid) = Uuid::try_parse(run) {
        return uuid;
    }
    let digest = Sha256::digest(run);
    let mut bytes = [0; 16];
    bytes.iter_mut().zip(digest).for_each(|(byte, of_digest)| *byte = of_digest);
    Builder::from_random_bytes(bytes).into_uuid()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::notify::sample;
    use crate::probe::State;

    const CHECK: &str = "https://hc.example/ping/0123abcd-0123-4abc-8abc-0123456789ab";
    const RID: &str = "rid=4e65d3fb-e8ad-4535-a81b-021b30785b12";

    fn sink() -> Ping {
        Ping::new(Url::parse(CHECK).unwrap())
    }

    fn posted(notice: &Notice) -> (String, String) {
        let rendered = sink().render(notice);
        let [Transmission::Http(request)] = rendered.as_slice() else { panic!("one request") };
        assert_eq!(request.method, "POST");
        let path = request.url.strip_prefix(CHECK).unwrap().to_owned();
        (path, String::from_utf8(request.body.clone()).unwrap())
    }

    #[test]
    fn each_verdict_has_its_address_and_all_have_the_id_of_the_run() {
        let path = |notice: &Notice| posted(notice).0;
        assert_eq!(path(&sample::started()), format!("/start?{RID}"));
        let finished = |verdict| path(&sample::overall(verdict));
        assert_eq!(finished(Verdict::Failed), format!("/fail?{RID}"));
        assert_eq!(finished(Verdict::Errored), format!("/125?{RID}"));
        for verdict in [Verdict::Passed, Verdict::Warning, Verdict::PassedOnRetry, Verdict::CleanupFailed] {
            assert_eq!(finished(verdict), format!("?{RID}"));
        }
    }

    #[test]
    fn the_body_is_the_summary_and_the_last_of_the_output() {
        assert_eq!(posted(&sample::started()).1, "");
        let body = posted(&sample::overall(Verdict::Failed)).1;
        assert_eq!(body, "expected status 200, got Critical\n\nfirst line\nlast line");
        assert_eq!(posted(&sample::overall(Verdict::Errored)).1, "there is no such command");
        let mut run = sample::run(Verdict::Failed);
        run.attempts.last_mut().unwrap().seen.output = "a line\n".repeat(10_000) + "the end\n";
        let body = posted(&sample::overall_of(&run)).1;
        assert!(body.len() <= 10_000 && body.ends_with("\na line\nthe end"));
    }

    #[test]
    fn the_id_of_a_run_is_a_uuid_of_version_4_and_the_same_every_time() {
        let uuid = run_uuid("run-1");
        assert_eq!((uuid.get_version_num(), uuid), (4, run_uuid("run-1")));
        assert_ne!(uuid, run_uuid("run-2"));
        let own = "0123abcd-0123-4abc-8abc-0123456789ab";
        assert_eq!(run_uuid(own).to_string(), own);
    }

    #[test]
    fn a_check_that_is_not_there_is_refused_although_the_status_is_200() {
        let received =
            |status, body: &str| sink().receive(&Answer { status, retry_after: None, body: body.to_owned() });
        assert_eq!(received(200, "OK"), Reception::Accepted);
        assert!(matches!(received(200, "OK (not found)"), Reception::Refused { .. }));
        assert!(matches!(received(200, "OK (rate limited)"), Reception::Later { .. }));
        assert!(matches!(received(404, ""), Reception::Refused { .. }));
    }

    #[test]
    fn attempts_single_runs_and_alerts_are_not_for_it_and_its_address_is_a_secret() {
        for notice in [sample::attempted(State::Ok), sample::finished(Verdict::Failed, None), sample::alert()]
        {
            assert_eq!(sink().lifetime(&notice), None);
            assert!(sink().render(&notice).is_empty());
        }
        assert_eq!(sink().lifetime(&sample::started()), Some(Duration::from_mins(5)));
        assert!(!format!("{:?}", sink()).contains("0123"));
        assert!(sink().secrets().contains(&"0123abcd-0123-4abc-8abc-0123456789ab".to_owned()));
    }

    #[test]
    fn its_preflight_is_a_connection_alone_since_a_request_would_count() {
        let expected =
            Preflight::Connect { to: Url::parse(CHECK).unwrap(), because: "a request would count as a ping" };
        assert!(sink().preflight() == expected);
    }

    proptest! {
        #[test]
        fn any_text_leaves_the_address_as_it_is_and_the_body_within_its_limit(text in sample::hostile()) {
            for notice in sample::everywhere(&text).iter().filter(|it| sink().lifetime(it).is_some()) {
                let (path, body) = posted(notice);
                let (path, rid) = path.split_once("?rid=").unwrap();
                prop_assert!(matches!(path, "/start" | "/fail"));
                prop_assert_eq!(Uuid::try_parse(rid).unwrap().hyphenated().to_string(), rid);
                prop_assert!(body.len() <= 10_000);
            }
        }
    }
}
