use proptest::prelude::*;

use super::*;
use crate::notify::{Reception, sample};
use crate::probe::{Measurement, State, Verdict};

const KEY: &str = "0123456789abcdef0123456789abcdef";

fn sink(feed: Feed) -> DataDog {
    let tags = UnifiedTags { env: Some("prod".to_owned()), ..UnifiedTags::default() };
    let base = Base::at(Url::parse("https://api.datadoghq.eu/").unwrap());
    DataDog::new(feed, Key::parse(KEY).unwrap(), base, tags)
}

/// Path and body of each request, after what all of them have in common was looked at.
fn posted(transmissions: Vec<Transmission>) -> Vec<(String, Value)> {
    let posted = transmissions.into_iter().map(|transmission| {
        let Transmission::Http(request) = transmission else { panic!("DataDog is asked over HTTP") };
        assert_eq!(request.method, "POST");
        let headers =
            [("content-type".into(), "application/json".to_owned()), ("dd-api-key".into(), KEY.to_owned())]
                .to_vec();
        assert_eq!(request.headers, headers);
        assert!(request.body.len() <= 512_000);
        let path = request.url.strip_prefix("https://api.datadoghq.eu").unwrap().to_owned();
        (path, serde_json::from_slice(&request.body).unwrap())
    });
    posted.collect()
}

#[test]
fn an_attempt_is_one_point_of_value_one_and_what_it_measured() {
    let tags = json!(["host:staging.example", "attempt:1", "env:prod", "team:shop"]);
    let resources = json!([{"type": "host", "name": "staging.example"}]);
    let expected = json!({"series": [
        {
            "metric": "example.integration.failure",
            "type": 1,
            "points": [{"timestamp": 1_772_366_402, "value": 1.0}],
            "resources": resources,
            "tags": tags,
        },
        {
            "metric": "example.integration.time",
            "type": 3,
            "points": [{"timestamp": 1_772_366_402, "value": 0.25}],
            "resources": resources,
            "tags": tags,
            "unit": "second",
        },
    ]});
    let rendered = sink(Feed::Series).render(&sample::attempted(State::Critical));
    assert_eq!(posted(rendered), [("/api/v2/series".to_owned(), expected)]);
}

#[test]
fn a_run_is_duration_attempts_and_state() {
    let one = |measure: &str, value: f64| {
        json!({
            "metric": format!("example.integration.{measure}"),
            "type": 3,
            "points": [{"timestamp": 1_772_366_405, "value": value}],
            "resources": [{"type": "host", "name": "staging.example"}],
            "tags": ["host:staging.example", "env:prod", "team:shop"],
        })
    };
    let mut duration = one("duration", 5.5);
    duration["unit"] = "second".into();
    let expected = json!({"series": [duration, one("attempts", 2.0), one("state", 2.0)]});
    let rendered = sink(Feed::Series).render(&sample::finished(Verdict::Failed, None));
    assert_eq!(posted(rendered), [("/api/v2/series".to_owned(), expected)]);
}

#[test]
fn each_finished_run_is_a_service_check() {
    let expected = json!([{
        "check": "example.integration",
        "host_name": "staging.example",
        "status": 2,
        "tags": ["host:staging.example", "env:prod", "team:shop"],
        "message": "expected status 200, got Critical",
        "timestamp": 1_772_366_405,
    }]);
    let rendered = sink(Feed::Checks).render(&sample::finished(Verdict::Failed, None));
    assert_eq!(posted(rendered), [("/api/v1/check_run".to_owned(), expected)]);
    let status = |verdict| {
        let rendered = sink(Feed::Checks).render(&sample::finished(verdict, None));
        posted(rendered).first().unwrap().1[0]["status"].as_u64()
    };
    assert_eq!(status(Verdict::Passed), Some(0));
    assert_eq!(status(Verdict::PassedOnRetry), Some(1));
    assert_eq!(status(Verdict::Errored), Some(3));
}

#[test]
fn an_event_tells_of_a_change_and_nothing_else_does() {
    let expected = json!({
        "title": "example.integration on staging.example: failed, was passed",
        "text": "expected status 200, got Critical\n\nattempt 1: critical: expected status 200, got Critical\n\
                 attempt 2: critical: expected status 200, got Critical\nrun run-1",
        "aggregation_key": "example.integration/staging.example",
        "alert_type": "error",
        "priority": "normal",
        "date_happened": 1_772_366_405,
        "host": "staging.example",
        "tags": ["host:staging.example", "env:prod", "team:shop"],
    });
    let events = sink(Feed::Events);
    let rendered = events.render(&sample::finished(Verdict::Failed, Some(Verdict::Passed)));
    assert_eq!(posted(rendered), [("/api/v1/events".to_owned(), expected)]);
    for notice in [sample::finished(Verdict::Failed, None), sample::attempted(State::Ok), sample::alert()] {
        assert_eq!(events.lifetime(&notice), None);
        assert!(events.render(&notice).is_empty());
    }
}

#[test]
fn each_feed_ends_with_the_age_that_datadog_takes_counted_from_the_end_of_the_run() {
    let notice = sample::finished(Verdict::Failed, Some(Verdict::Passed));
    let lifetime = |feed| sink(feed).lifetime(&notice).unwrap().as_millis();
    assert_eq!(lifetime(Feed::Series), 3_605_500);
    assert_eq!(lifetime(Feed::Checks), 605_500);
    assert_eq!(lifetime(Feed::Events), 64_805_500);
    assert_eq!(sink(Feed::Series).lifetime(&sample::started()), None);
    assert_eq!(sink(Feed::Series).lifetime(&sample::alert()), None);
}

#[test]
fn a_page_of_a_proxy_is_not_taken_for_success() {
    let answer = |status, body: &str| Answer { status, retry_after: Some(7), body: body.to_owned() };
    let received = |answer| sink(Feed::Series).receive(&answer);
    assert_eq!(received(answer(202, "{\"errors\":[]}")), Reception::Accepted);
    assert!(matches!(received(answer(200, "\n<html>Log in</html>")), Reception::Later { .. }));
    let after = Some(Duration::from_secs(7));
    assert!(matches!(received(answer(429, "")), Reception::Later { after: it, .. } if it == after));
    assert!(matches!(received(answer(403, "")), Reception::Refused { .. }));
}

#[test]
fn the_key_is_not_shown_by_debug_and_is_named_as_a_secret() {
    let sink = sink(Feed::Series);
    assert!(!format!("{sink:?}").contains(KEY));
    assert_eq!(sink.secrets(), [KEY]);
}

#[test]
fn more_than_a_body_holds_goes_into_several() {
    let mut attempt = sample::attempt(1, State::Ok);
    attempt.seen.measurements = (0..100)
        .map(|number| Measurement { name: format!("m{number}"), value: 1.0, unit: String::new() })
        .collect();
    let mut probe = sample::identity();
    probe.tags = (0..90).map(|number| format!("k{number}:{}", "v".repeat(150))).collect();
    let notice = Notice::Attempted { run: sample::RUN.to_owned(), probe, attempt };
    let posted = posted(sink(Feed::Series).render(&notice));
    assert!(posted.len() > 1);
    let told: usize = posted.iter().map(|(_, body)| body["series"].as_array().unwrap().len()).sum();
    assert_eq!(told, 101);
}

fn keys(value: &Value) -> Vec<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

proptest! {
    #[test]
    fn any_text_leaves_the_bodies_with_our_keys_and_within_limits(text in sample::hostile()) {
        for notice in sample::everywhere(&text) {
            for (_, body) in posted(sink(Feed::Series).render(&notice)) {
                prop_assert_eq!(keys(&body), ["series"]);
                for series in body["series"].as_array().unwrap() {
                    let mut found = keys(series);
                    found.retain(|key| *key != "unit");
                    prop_assert_eq!(found, ["metric", "type", "points", "resources", "tags"]);
                }
            }
            for (_, body) in posted(sink(Feed::Checks).render(&notice)) {
                let check = &body[0];
                prop_assert_eq!(keys(check), ["check", "host_name", "status", "tags", "message", "timestamp"]);
                prop_assert!(check["message"].as_str().unwrap().chars().count() <= MOST_MESSAGE_CHARS);
            }
            for (_, body) in posted(sink(Feed::Events).render(&notice)) {
                let expected = [
                    "title", "text", "aggregation_key", "alert_type", "priority", "date_happened", "host", "tags",
                ];
                prop_assert_eq!(keys(&body), expected);
                let count = |key: &str| body[key].as_str().unwrap().chars().count();
                prop_assert!(count("text") <= 4000 && count("title") <= 100 && count("aggregation_key") <= 100);
            }
        }
    }
}
