//! The report of a Kuberhealthy check: whether it is well, to the address that its pod was given.
//!
//! Owns the report. One report counts for a run of the check, whatever the number of probes in it; after the deadline it is
//! taken no more.

use std::time::Duration;

use serde_json::json;

use crate::notify::address::{Key, Url};
use crate::notify::configured::{self, Given};
use crate::notify::overall::Overall;
use crate::notify::preflight::Preflight;
use crate::notify::{HttpRequest, Notice, Notifier, Transmission, text};
use schemars::JsonSchema;
use serde::Deserialize;

/// The time that a check has where nothing else is said.
const DEFAULT_AGE: Duration = Duration::from_mins(5);
const MOST_ERROR_CHARS: usize = 1000;

/// Kuberhealthy, as one run of a check sees it.
#[derive(Debug, Clone)]
pub struct Kuberhealthy {
    url: Url,
    run_uuid: Option<Key>,
    deadline: Option<i64>,
}

impl Kuberhealthy {
    /// `url` takes reports, `run_uuid` says of which run, and `deadline` is the last moment for one, in Unix seconds.
    #[must_use]
    pub const fn new(url: Url, run_uuid: Option<Key>, deadline: Option<i64>) -> Self {
        Self { url, run_uuid, deadline }
    }
}

/// Kuberhealthy: a report of all probes.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a mapping with url")]
#[schemars(rename = "Kuberhealthy")]
pub(super) struct Settings {
    /// Where it takes reports.
    url: Url,
    /// Id of the run that it expects a report of.
    #[serde(default)]
    run_uuid: Option<Key>,
}

impl configured::Settings for Settings {
    fn sinks(self, _: Given<'_>) -> Result<Vec<Box<dyn Notifier>>, String> {
        Ok(vec![Box::new(Kuberhealthy::new(self.url, self.run_uuid, None))])
    }
}

impl Notifier for Kuberhealthy {
    fn name(&self) -> &'static str {
        "kuberhealthy"
    }

    fn lifetime(&self, notice: &Notice) -> Option<Duration> {
        if !matches!(notice, Notice::Overall(_)) {
            return None;
        }
        let until = |deadline: i64| {
            Duration::from_secs(u64::try_from(deadline.saturating_sub(notice.at())).unwrap_or(0))
        };
        Some(self.deadline.map_or(DEFAULT_AGE, until))
    }

    fn render(&self, notice: &Notice) -> Vec<Transmission> {
        let Notice::Overall(overall) = notice else { return Vec::new() };
        let mut headers = vec![("content-type".into(), "application/json".to_owned())];
        if let Some(uuid) = &self.run_uuid {
            headers.push(("kh-run-uuid".into(), uuid.expose().to_owned()));
        }
        vec![Transmission::Http(HttpRequest {
            method: "POST",
            url: self.url.whole(),
            headers,
            body: report(overall).into_bytes(),
        })]
    }

    /// Whatever is posted counts for the run.
    fn preflight(&self) -> Preflight {
        Preflight::Connect { to: self.url.clone(), because: "a request would be a report" }
    }

    fn secrets(&self) -> Vec<String> {
        self.url.password().into_iter().collect()
    }
}

/// A report that is well must have no errors, and one that is not must have some.
fn report(overall: &Overall) -> String {
    let is_well = overall.verdict.is_pass();
    let error = |line: &String| match text::one_line(line) {
        line if line.is_empty() => "failed".to_owned(),
        line => text::cut_chars(&line, MOST_ERROR_CHARS).into_owned(),
    };
    let errors: Vec<String> = if is_well { Vec::new() } else { overall.lines.iter().map(error).collect() };
    json!({ "ok": is_well, "errors": errors }).to_string()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::notify::sample;
    use crate::probe::Verdict;

    const URL: &str = "http://kuberhealthy.kuberhealthy.svc.cluster.local/externalCheckStatus";

    fn sink(deadline: Option<i64>) -> Kuberhealthy {
        let uuid = Key::parse("0123abcd-0123-4abc-8abc-0123456789ab").unwrap();
        Kuberhealthy::new(Url::parse(URL).unwrap(), Some(uuid), deadline)
    }

    fn posted(notice: &Notice) -> String {
        let rendered = sink(None).render(notice);
        let [Transmission::Http(request)] = rendered.as_slice() else { panic!("one request") };
        assert_eq!((request.method, request.url.as_str()), ("POST", URL));
        let uuid = ("kh-run-uuid".into(), "0123abcd-0123-4abc-8abc-0123456789ab".to_owned());
        assert_eq!(request.headers, [("content-type".into(), "application/json".to_owned()), uuid]);
        String::from_utf8(request.body.clone()).unwrap()
    }

    #[test]
    fn errors_stand_in_a_report_that_is_not_well_and_in_no_other() {
        let report = |verdict| posted(&sample::overall(verdict));
        assert_eq!(report(Verdict::Passed), r#"{"ok":true,"errors":[]}"#);
        assert_eq!(report(Verdict::PassedOnRetry), r#"{"ok":true,"errors":[]}"#);
        assert_eq!(report(Verdict::CleanupFailed), r#"{"ok":true,"errors":[]}"#);
        assert_eq!(report(Verdict::Failed), r#"{"ok":false,"errors":["expected status 200, got Critical"]}"#);
        assert_eq!(report(Verdict::Errored), r#"{"ok":false,"errors":["there is no such command"]}"#);
        let mut run = sample::run(Verdict::Errored);
        run.error = Some(" \n".to_owned());
        assert_eq!(posted(&sample::overall_of(&run)), r#"{"ok":false,"errors":["failed"]}"#);
    }

    #[test]
    fn a_report_lives_until_the_deadline_of_its_run() {
        let overall = sample::overall(Verdict::Passed);
        let lifetime = |deadline| sink(deadline).lifetime(&overall);
        assert_eq!(lifetime(Some(overall.at() + 30)), Some(Duration::from_secs(30)));
        assert_eq!(lifetime(Some(sample::AT - 30)), Some(Duration::ZERO));
        assert_eq!(lifetime(Some(i64::MIN)), Some(Duration::ZERO));
        assert_eq!(lifetime(None), Some(Duration::from_mins(5)));
    }

    #[test]
    fn only_what_all_probes_come_to_is_for_it() {
        for notice in [sample::started(), sample::finished(Verdict::Failed, None), sample::alert()] {
            assert_eq!(sink(None).lifetime(&notice), None);
            assert!(sink(None).render(&notice).is_empty());
        }
        assert!(!format!("{:?}", sink(None)).contains("0123"));
    }

    #[test]
    fn its_preflight_is_a_connection_alone_since_a_request_would_count() {
        let expected =
            Preflight::Connect { to: Url::parse(URL).unwrap(), because: "a request would be a report" };
        assert!(sink(None).preflight() == expected);
    }

    proptest! {
        #[test]
        fn any_text_is_one_error(text in sample::hostile()) {
            for notice in sample::everywhere(&text).iter().filter(|it| sink(None).lifetime(it).is_some()) {
                let report: serde_json::Value = serde_json::from_str(&posted(notice)).unwrap();
                prop_assert_eq!(report.as_object().unwrap().len(), 2);
                prop_assert_eq!(&report["ok"], &false);
                let errors = report["errors"].as_array().unwrap();
                prop_assert!(errors.len() == 1 && errors[0].as_str().unwrap().chars().count() <= 1000);
            }
        }
    }
}
