use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::history::outbox::{Change, Limits};
use crate::notify::outbox::{self, Courier, Event, Listener, Sink};
use crate::notify::sample;
use crate::notify::send::loopback::{Loopback, Reply};
use crate::notify::send::tests::sender;
use crate::probe::{Measurement, State, Verdict};

const TOKEN: &str = "s3cr3t-token";

fn sink_at(base: &str) -> Otlp {
    let tags = UnifiedTags { env: Some("prod".to_owned()), ..UnifiedTags::default() };
    let authorization = format!("Bearer {TOKEN}");
    let headers = Headers::new([("Authorization", authorization.as_str()), ("x-scope", "shop-1")]).unwrap();
    Otlp::new(Endpoint::Base(Url::parse(base).unwrap()), headers, tags)
}

fn sink() -> Otlp {
    sink_at("https://otlp.example/otlp/")
}

/// Bodies, after what all requests have in common was looked at.
fn posted(notice: &Notice) -> Vec<Value> {
    let posted = sink().render(notice).into_iter().map(|transmission| {
        let Transmission::Http(request) = transmission else { panic!("a request") };
        assert_eq!((request.method, request.url.as_str()), ("POST", "https://otlp.example/otlp/v1/metrics"));
        let headers = [
            ("content-type".into(), "application/json".to_owned()),
            ("authorization".into(), format!("Bearer {TOKEN}")),
            ("x-scope".into(), "shop-1".to_owned()),
        ];
        assert_eq!(request.headers, headers);
        assert!(request.body.len() <= MOST_BODY_BYTES);
        serde_json::from_slice(&request.body).unwrap()
    });
    posted.collect()
}

fn attributes_of(pairs: &[(&str, &str)]) -> Value {
    pairs.iter().map(|(key, value)| json!({"key": key, "value": {"stringValue": value}})).collect()
}

fn whole(metrics: &[Value]) -> Value {
    let resource = attributes_of(&[
        ("service.name", "docker-test"),
        ("deployment.environment.name", "prod"),
        ("host.name", "staging.example"),
    ]);
    let scope = json!({"name": "docker-test", "version": env!("CARGO_PKG_VERSION")});
    json!({"resourceMetrics": [{
        "resource": {"attributes": resource},
        "scopeMetrics": [{"scope": scope, "metrics": metrics}],
    }]})
}

#[test]
fn an_attempt_is_a_sum_that_counts_one_and_a_gauge_of_what_it_measured() {
    let attributes =
        attributes_of(&[("host", "staging.example"), ("attempt", "1"), ("env", "prod"), ("team", "shop")]);
    let expected = whole(&[
        json!({
            "name": "example.integration.failure",
            "unit": "",
            "sum": {"aggregationTemporality": 1, "isMonotonic": true, "dataPoints": [{
                "attributes": attributes,
                "startTimeUnixNano": "1772366400000000000",
                "timeUnixNano": "1772366402000000000",
                "asInt": "1",
            }]},
        }),
        json!({
            "name": "example.integration.time",
            "unit": "s",
            "gauge": {"dataPoints": [
                {"attributes": attributes, "timeUnixNano": "1772366402000000000", "asDouble": 0.25},
            ]},
        }),
    ]);
    assert_eq!(posted(&sample::attempted(State::Critical)), [expected]);
}

#[test]
fn a_run_is_duration_attempts_and_state() {
    let attributes = attributes_of(&[("host", "staging.example"), ("env", "prod"), ("team", "shop")]);
    let one = |measure: &str, unit: &str, value: f64| {
        let point =
            json!({"attributes": attributes, "timeUnixNano": "1772366405000000000", "asDouble": value});
        json!({"name": format!("example.integration.{measure}"), "unit": unit, "gauge": {"dataPoints": [point]}})
    };
    let expected = whole(&[one("duration", "s", 5.5), one("attempts", "", 2.0), one("state", "", 2.0)]);
    assert_eq!(posted(&sample::finished(Verdict::Failed, None)), [expected]);
}

#[test]
fn the_resource_is_what_is_tested_and_a_probe_says_its_own_service() {
    let mut probe = sample::identity();
    probe.tags =
        ["service:checkout", "version:1.4", "service:other", "host:forged"].map(str::to_owned).to_vec();
    let expected = attributes_of(&[
        ("service.name", "checkout"),
        ("service.version", "1.4"),
        ("deployment.environment.name", "prod"),
        ("host.name", "staging.example"),
    ]);
    assert_eq!(sink().resource(&probe), json!({"attributes": expected}));
}

#[test]
fn of_tags_with_the_same_key_the_first_is_an_attribute() {
    let tags = ["team:a", "canary", "team:b", "url:http://a"].map(str::to_owned);
    let expected = attributes_of(&[("team", "a"), ("canary", ""), ("url", "http://a")]);
    assert_eq!(Value::from(attributes(&tags)), expected);
}

#[test]
fn many_measurements_are_several_bodies_and_none_is_lost() {
    let mut attempt = sample::attempt(1, State::Ok);
    let measurement = |number: u32| Measurement {
        name: format!("m{number}"),
        value: f64::from(number),
        unit: String::new(),
    };
    attempt.seen.measurements = (0..100).map(measurement).collect();
    let mut probe = sample::identity();
    probe.tags = (0..120).map(|number| format!("key{number}:{}", "x".repeat(190))).collect();
    let bodies = posted(&Notice::Attempted { run: "run-1".to_owned(), probe, attempt });
    assert!(bodies.len() > 1, "{}", bodies.len());
    let names: BTreeSet<String> = bodies
        .iter()
        .flat_map(|body| body["resourceMetrics"][0]["scopeMetrics"][0]["metrics"].as_array().unwrap())
        .map(|metric| metric["name"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(names.len(), 101);
}

#[test]
fn alerts_and_beginnings_are_not_for_it_and_metrics_wait_for_an_hour() {
    for notice in [sample::started(), sample::alert()] {
        assert_eq!(sink().lifetime(&notice), None);
        assert!(sink().render(&notice).is_empty());
    }
    let notice = sample::finished(Verdict::Failed, None);
    assert_eq!(sink().lifetime(&notice).unwrap().as_millis(), 3_605_500);
}

fn received(status: u16, body: &str) -> Reception {
    sink().receive(&Answer { status, retry_after: Some(7), body: body.to_owned() })
}

#[test]
fn only_what_the_protocol_names_is_sent_again() {
    let after = Some(Duration::from_secs(7));
    for status in [429, 502, 503, 504] {
        assert!(
            matches!(received(status, ""), Reception::Later { after: it, .. } if it == after),
            "{status}"
        );
    }
    for status in [400, 401, 404, 408, 413, 415, 500, 501] {
        assert!(matches!(received(status, ""), Reception::Refused { .. }), "{status}");
    }
    // A portal is none of the protocol's.
    assert!(matches!(received(302, ""), Reception::Later { .. }));
    assert!(matches!(received(403, "<html>Blocked</html>"), Reception::Later { .. }));
    assert!(matches!(received(200, " <html>Log in</html>"), Reception::Later { .. }));
}

#[test]
fn a_success_of_which_something_was_left_out_is_said_and_not_sent_again() {
    for body in
        ["", "{}", r#"{"partialSuccess":{}}"#, r#"{"partialSuccess":{"rejectedDataPoints":"0"}}"#, "ok"]
    {
        assert_eq!(received(200, body), Reception::Accepted, "{body}");
    }
    let reason = |body: &str| match received(200, body) {
        Reception::Refused { reason } => reason,
        other => panic!("{body}: {other:?}"),
    };
    let body = r#"{"partialSuccess":{"rejectedDataPoints":"2","errorMessage":"too\nold"}}"#;
    assert_eq!(reason(body), "it left 2 data points out: too old");
    let body = r#"{"partialSuccess":{"rejectedDataPoints":1,"errorMessage":null}}"#;
    assert_eq!(reason(body), "it left 1 data point out: it does not say why");
}

#[test]
fn the_reason_of_an_error_is_its_message() {
    let refused = |body: &str| match received(400, body) {
        Reception::Refused { reason } => reason,
        other => panic!("{other:?}"),
    };
    assert_eq!(refused("{\n\"code\":3,\n\"message\":\"no such metric\"}"), "HTTP status 400: no such metric");
    assert_eq!(refused("bad request"), "HTTP status 400: bad request");
}

#[test]
fn it_is_asked_with_a_request_without_metrics() {
    let Preflight::Ask(request) = sink().preflight() else { panic!("a request") };
    assert_eq!(request.url, "https://otlp.example/otlp/v1/metrics");
    assert_eq!(request.body, br#"{"resourceMetrics":[]}"#);
    assert!(request.headers.contains(&("x-scope".into(), "shop-1".to_owned())));
    let standing = |status| sink().standing(&Answer { status, retry_after: None, body: String::new() });
    assert_eq!(standing(200), Standing::Accepted { says: "takes metrics" });
    for (status, words) in [(401, "refuses the key"), (404, "takes no metrics"), (415, "takes no JSON")] {
        let Standing::Refused { says, .. } = standing(status) else { panic!("{status}") };
        assert!(says.starts_with(words), "{says}");
    }
    for status in [400, 429, 503, 500] {
        assert!(matches!(standing(status), Standing::Unclear { .. }), "{status}");
    }
}

#[test]
fn the_port_of_grpc_is_doubted() {
    assert_eq!(sink().doubt(), None);
    assert_eq!(sink_at("http://collector:4318").doubt(), None);
    assert!(sink_at("http://collector:4317").doubt().unwrap().message.contains("gRPC"));
}

#[test]
fn headers_that_are_not_the_users_to_set_are_refused_without_being_shown() {
    for (name, value) in
        [("Content-Type", TOKEN), ("Host", TOKEN), ("a b", TOKEN), ("", TOKEN), ("a", "s3cr3t\n1")]
    {
        let error = Headers::new([(name, value)]).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("s3cr3t"), "{name}");
    }
}

#[test]
fn values_of_headers_and_what_opens_the_address_are_secrets_and_not_shown() {
    let sink = Otlp::new(
        Endpoint::Whole(Url::parse("https://u:hunter2@otlp.example/v1/metrics?key=hunter3").unwrap()),
        Headers::new([("authorization", "Bearer s3cr3t-token")]).unwrap(),
        UnifiedTags::default(),
    );
    assert_eq!(sink.secrets(), ["hunter2", "key=hunter3", "Bearer s3cr3t-token", TOKEN]);
    let shown = format!("{sink:?}");
    assert!(!shown.contains("s3cr3t") && !shown.contains("hunter"), "{shown}");
}

fn from_variables(set: &[(&str, &str)]) -> Result<Option<Otlp>, String> {
    let get = |name: &str| {
        let found = set.iter().find(|(variable, _)| *variable == name);
        found.map(|(_, value)| (*value).to_owned())
    };
    variables::read(&get, UnifiedTags::default())
}

fn url_of(set: &[(&str, &str)]) -> Option<String> {
    from_variables(set).unwrap().map(|sink| sink.endpoint.url())
}

const BASE: (&str, &str) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318/");

#[test]
fn the_address_of_metrics_is_used_as_it_is_and_goes_before_the_base() {
    assert_eq!(url_of(&[]), None);
    assert_eq!(url_of(&[BASE]).unwrap(), "http://collector:4318/v1/metrics");
    let whole = ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "https://other.example/ingest?a=b");
    assert_eq!(url_of(&[BASE, whole]).unwrap(), "https://other.example/ingest?a=b");
}

#[test]
fn another_protocol_is_said_and_leaves_the_sink_off() {
    for protocol in ["http/json", "http/protobuf"] {
        assert!(url_of(&[BASE, ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)]).is_some());
    }
    let grpc = ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc");
    let warning = from_variables(&[BASE, grpc]).unwrap_err();
    let says = |words: &str| assert!(warning.contains(words), "{warning}");
    says("OTEL_EXPORTER_OTLP_ENDPOINT is not used: OTEL_EXPORTER_OTLP_PROTOCOL names another protocol");
    says("OTEL_METRICS_EXPORTER=none");
    let own = ("OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", "http/json");
    assert!(url_of(&[BASE, grpc, own]).is_some());
    assert!(from_variables(&[grpc]).unwrap().is_none(), "without an address there is nothing to say");

    let port = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4317");
    assert!(from_variables(&[port]).unwrap_err().contains("port 4317"));
    assert!(url_of(&[port, own]).is_some(), "who says HTTP means it");
}

#[test]
fn whoever_wants_no_metrics_over_otlp_is_heard() {
    let grpc = ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc");
    for off in [
        ("OTEL_METRICS_EXPORTER", "none"),
        ("OTEL_METRICS_EXPORTER", "prometheus"),
        ("OTEL_SDK_DISABLED", "TRUE"),
    ] {
        assert_eq!(url_of(&[BASE, off]), None);
        assert_eq!(url_of(&[BASE, grpc, off]), None, "and nothing is said");
    }
    for on in [("OTEL_METRICS_EXPORTER", "console, otlp"), ("OTEL_SDK_DISABLED", "false")] {
        assert!(url_of(&[BASE, on]).is_some());
    }
}

#[test]
fn headers_are_decoded_and_those_of_metrics_take_the_place_of_the_others() {
    let headers = |set: &[(&str, &str)]| -> Vec<(String, String)> {
        let sink = from_variables(&[&[BASE], set].concat()).unwrap().unwrap();
        let pairs = sink.headers.0.iter().map(|(name, value)| (name.clone(), value.expose().to_owned()));
        pairs.collect()
    };
    let all = ("OTEL_EXPORTER_OTLP_HEADERS", "Authorization=Basic%20dTpw==, x-a = 100%,");
    let of = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    };
    assert_eq!(headers(&[all]), of(&[("authorization", "Basic dTpw=="), ("x-a", "100%")]));
    let own = ("OTEL_EXPORTER_OTLP_METRICS_HEADERS", "api-key=1");
    assert_eq!(headers(&[all, own]), of(&[("api-key", "1")]));
    for wrong in ["s3cr3t", "a=1%0As3cr3t", "content-type=s3cr3t", "a=%ffs3cr3t"] {
        let warning = from_variables(&[BASE, ("OTEL_EXPORTER_OTLP_HEADERS", wrong)]).unwrap_err();
        assert!(warning.starts_with("OTEL_EXPORTER_OTLP_HEADERS is not used: expected "), "{warning}");
        assert!(!warning.contains("s3cr3t"), "{warning}");
    }
}

#[test]
fn the_service_of_opentelemetry_counts_where_no_tag_names_one() {
    let sink = from_variables(&[BASE, ("OTEL_SERVICE_NAME", "shop")]).unwrap().unwrap();
    let resource = sink.resource(&sample::identity());
    assert_eq!(resource["attributes"][0], attribute("service.name", "shop"));
}

/// Sends a notice by the outbox, and gives what was told of that and the dead letters.
async fn flushed(server: &Loopback) -> (Vec<String>, Vec<Option<String>>) {
    let sink = Sink { id: "otlp".to_owned(), notifier: Arc::new(sink_at(&server.url)) };
    let store = outbox::in_memory(Limits::default()).unwrap();
    let notice = sample::finished(Verdict::Failed, None);
    let entries = outbox::entries(std::slice::from_ref(&sink), [&notice]).unwrap();
    let change = Change { entries, ..Change::default() };
    let now = sample::AT * 1000;
    store.apply(change, now).await.unwrap();
    let told: Arc<std::sync::Mutex<Vec<String>>> = Arc::default();
    let heard = Arc::clone(&told);
    let listener: Listener = Arc::new(move |event| {
        if let Event::Refused { reason, .. } = event {
            heard.lock().unwrap().push(reason);
        }
    });
    let clock: outbox::Clock = Arc::new(move || now);
    let courier =
        Courier::new(store.clone(), vec![sink], sender(), clock, listener, outbox::Settings::default());
    courier.flush(Duration::from_secs(10)).await;
    let dead = store.list(None, true, 10).await.unwrap();
    let told = told.lock().unwrap().clone();
    (told, dead.into_iter().map(|entry| entry.reason).collect())
}

#[tokio::test]
async fn what_a_receiver_leaves_out_is_told_of_and_is_a_dead_letter() {
    let server = Loopback::start(|_, _| {
        let body = r#"{"partialSuccess":{"rejectedDataPoints":"3","errorMessage":"not s3cr3t-token"}}"#;
        Reply::Answer(200, "", body.to_owned())
    })
    .await;
    let (told, dead) = flushed(&server).await;
    assert_eq!(told, ["it left 3 data points out: not ***"]);
    assert_eq!(dead, [Some(told[0].clone())]);
    let asked = server.asked();
    assert_eq!((asked.len(), asked[0].path.as_str()), (1, "/v1/metrics"), "it is not sent again");
    assert_eq!(asked[0].headers["authorization"], "Bearer s3cr3t-token");
    assert_eq!(asked[0].headers["content-type"], "application/json");
}

#[tokio::test]
async fn what_may_pass_waits_to_be_sent_again() {
    let server = Loopback::start(|_, _| Reply::Answer(503, "retry-after: 3600\r\n", "{}".to_owned())).await;
    assert_eq!(flushed(&server).await, (Vec::new(), Vec::new()));
    assert_eq!(server.asked().len(), 1);
}

proptest! {
    #[test]
    fn any_text_leaves_the_bodies_with_our_names_and_each_key_once(text in sample::hostile()) {
        for notice in sample::everywhere(&text).iter().filter(|notice| sink().lifetime(notice).is_some()) {
            for body in posted(notice) {
                let of_resource = &body["resourceMetrics"][0];
                let resource = of_resource["resource"]["attributes"].as_array().unwrap();
                prop_assert_eq!(&resource[0]["key"], "service.name");
                for metric in of_resource["scopeMetrics"][0]["metrics"].as_array().unwrap() {
                    let kind = if metric["sum"].is_object() { "sum" } else { "gauge" };
                    let points = metric[kind]["dataPoints"].as_array().unwrap();
                    prop_assert_eq!(points.len(), 1);
                    let attributes = points[0]["attributes"].as_array().unwrap();
                    let keys: BTreeSet<&str> =
                        attributes.iter().map(|it| it["key"].as_str().unwrap()).collect();
                    prop_assert_eq!(keys.len(), attributes.len());
                    prop_assert!(keys.iter().all(|key| !key.is_empty()));
                }
            }
        }
    }
}
