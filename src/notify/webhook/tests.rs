use proptest::prelude::*;

use super::*;
use crate::notify::sample;
use crate::probe::{State, Verdict};

fn sink(template: Option<&str>) -> Webhook {
    let url = Url::parse("https://chat.example/hooks/0123456789abcdef").unwrap();
    let authorization = Some(Key::parse_header("Bearer s3cr3t-token").unwrap());
    let template = template.map(|source| Template::parse(source).unwrap());
    Webhook::new(url, authorization, Audience::AlertsAndRuns, template)
}

fn posted(sink: &Webhook, notice: &Notice) -> Value {
    let rendered = sink.render(notice);
    let [Transmission::Http(request)] = rendered.as_slice() else { panic!("one request") };
    assert_eq!(
        (request.method, request.url.as_str()),
        ("POST", "https://chat.example/hooks/0123456789abcdef")
    );
    let authorization = ("authorization".into(), "Bearer s3cr3t-token".to_owned());
    assert_eq!(request.headers, [("content-type".into(), "application/json".to_owned()), authorization]);
    serde_json::from_slice(&request.body).unwrap()
}

#[test]
fn without_a_template_an_alert_is_all_that_is_known() {
    let expected = json!({
        "kind": "alert",
        "name": "example.integration",
        "type": "integration",
        "host": "staging.example",
        "tags": ["team:shop"],
        "run": "run-1",
        "at": "2026-03-01T12:00:00Z",
        "summary": "example.integration failed: expected status 200, got 503",
        "action": "trigger",
        "subject": "target",
        "severity": "critical",
        "dedup_key": "docker-test/example.integration/staging.example/target",
        "since": "2026-03-01T11:59:00Z",
        "reminder": false,
        "details": {"provider": "Google"},
        "verdict": null,
        "state": null,
        "seconds": null,
        "attempts": null,
        "output": null,
    });
    assert_eq!(posted(&sink(None), &sample::alert()), expected);
}

#[test]
fn without_a_template_a_run_is_all_that_is_known() {
    let body = posted(&sink(None), &sample::finished(Verdict::PassedOnRetry, None));
    assert_eq!(body["kind"], "finished");
    assert_eq!(body["verdict"], "passed_on_retry");
    assert_eq!(body["state"], "warning");
    assert_eq!(body["attempts"], 2);
    assert_eq!(body["output"], "first line\nlast line");
    let alert = posted(&sink(None), &sample::alert());
    let names = |body: &Value| body.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&body), names(&alert), "a template may name all of them");
}

#[test]
fn a_value_stands_alone_or_within_a_string() {
    let template = r#"{"text": {{ summary }}, "title": "{{ name }} on {{ host | upper }}", "tags": {{ tags }},
        "open": {{ action == "trigger" }}, "line": "tags {{ tags }}, run {{ run }}, no {{ verdict }}", "end": null
        {%- for name, value in details | dictsort %}, {{ name }}: {{ value }}{% endfor %}}"#;
    let expected = json!({
        "text": "example.integration failed: expected status 200, got 503",
        "title": "example.integration on STAGING.EXAMPLE",
        "tags": ["team:shop"],
        "open": true,
        "line": "tags [\"team:shop\"], run run-1, no ",
        "end": null,
        "provider": "Google",
    });
    assert_eq!(posted(&sink(Some(template)), &sample::alert()), expected);
}

#[test]
fn blocks_and_macros_give_text_of_the_template_and_values_stay_values() {
    let template = r#"{% macro pair(key, value) %}"{{ key }}": {{ value }}{% endmacro %}
        {%- set head %}"about": "{{ name }}"{% endset -%}
        { {{ head }}, {{ pair("summary", summary) }}, "joined": "{{ [head, summary] | join(" ") | length > 3 }}",
        "path": "\{{ summary }}" }"#;
    let mut alert = sample::trigger();
    alert.summary = "\", \"forged\": \"".to_owned();
    let body = posted(&sink(Some(template)), &Notice::Alert(alert));
    assert_eq!(body["about"], "example.integration");
    assert_eq!(body["summary"], "\", \"forged\": \"");
    assert_eq!(body["path"], "\\\", \"forged\": \"");
    assert_eq!(body.as_object().unwrap().len(), 4);
}

#[test]
fn a_template_that_cannot_work_is_refused_when_it_is_read() {
    let error = |source: &str| Template::parse(source).unwrap_err();
    assert!(
        matches!(error(r#"{"text": {{ sumary }}}"#), TemplateError::Render(_)),
        "a name that is not there"
    );
    assert!(matches!(error("{% if %}"), TemplateError::Render(_)), "no template");
    assert!(matches!(error(r#"{"text": {{ summary | safe }}}"#), TemplateError::Render(_)));
    assert!(matches!(error(r#"{"text": {{ summary | e }}}"#), TemplateError::Render(_)));
    assert!(matches!(error("{% autoescape false %}{% endautoescape %}1"), TemplateError::Autoescape));
    assert!(matches!(error("text={{ summary }}"), TemplateError::NotJson { line: 1, .. }));
    let message = error(r#"{"text": {{ sumary }}}"#).to_string();
    assert!(message.contains("undefined value"), "{message}");
}

#[test]
fn an_alert_that_a_template_fails_on_is_sent_as_all_that_is_known() {
    // Tried on details without an entry, which hides what is wrong with it.
    let sink = sink(Some(r"{% for name in details %}{{ nothing }}{% endfor %}{}"));
    assert_eq!(posted(&sink, &sample::alert())["kind"], "alert");
}

#[test]
fn runs_are_told_where_they_are_asked_for() {
    let url = Url::parse("http://localhost/").unwrap();
    let quiet = Webhook::new(url, None, Audience::Alerts, None);
    let run = sample::finished(Verdict::Failed, None);
    assert_eq!(quiet.lifetime(&run), None);
    assert!(quiet.render(&run).is_empty());
    assert_eq!(quiet.lifetime(&sample::resolve_in_case()), None, "nobody knows whether something was open");
    assert_eq!(quiet.lifetime(&sample::alert_for("pagerduty")), None);
    assert_eq!(quiet.lifetime(&Notice::Alert(sample::resolve())), Some(Duration::from_hours(24)));
    assert_eq!(sink(None).lifetime(&run), Some(Duration::from_millis(3_605_500)));
    assert_eq!(sink(None).lifetime(&sample::attempted(State::Ok)), None);
    assert!(sink(None).render(&sample::started()).is_empty());
}

#[test]
fn neither_address_nor_token_nor_template_is_shown_by_debug() {
    let sink = sink(Some("{\"token\": \"s3cr3t-token\"}"));
    let shown = format!("{sink:?}");
    assert!(!shown.contains("s3cr3t") && !shown.contains("0123456789abcdef"), "{shown}");
    for secret in ["s3cr3t-token", "Bearer s3cr3t-token", "0123456789abcdef"] {
        assert!(sink.secrets().contains(&secret.to_owned()), "{secret}");
    }
}

const TEMPLATES: [&str; 4] = [
    r#"{"a": "{{ summary }}", "b": "\{{ name }}{{ host }}\\", "c": {{ summary }}}"#,
    r#"{"a": "{{ details }}", "b": {{ details }}, "c": ["{{ name }}"]}"#,
    r#"{% set c %}"{{ summary }}"{% endset %}
       {"a": {{ c }}, "b": "{{ run ~ name }}", "c": {{ [c, c] | join(",") | list | length }}}"#,
    r#"{% macro m(v) %}"{{ v | reverse }}"{% endmacro %}
       {"a": {{ m(summary) }}, "b": {{ m(host) | trim }}, "c": "{{ dedup_key | title }}"}"#,
];

#[test]
fn its_preflight_is_a_connection_alone_without_the_header() {
    let Preflight::Connect { to, .. } = sink(None).preflight() else { panic!("a connection") };
    assert_eq!(to.whole(), "https://chat.example/hooks/0123456789abcdef");
}

proptest! {
    #[test]
    fn no_text_gets_out_of_its_place(text in sample::hostile(), number in 0..TEMPLATES.len()) {
        let sink = sink(Some(TEMPLATES[number]));
        for notice in sample::everywhere(&text) {
            if sink.lifetime(&notice).is_none() {
                continue;
            }
            let body = posted(&sink, &notice);
            let keys: Vec<&str> = body.as_object().unwrap().keys().map(String::as_str).collect();
            prop_assert_eq!(keys, ["a", "b", "c"]);
            if number == 0 {
                prop_assert_eq!(&body["a"], &body["c"]);
                let b = body["b"].as_str().unwrap();
                prop_assert_eq!(b, format!("\\{}{}\\", line(&text), line(&text)));
            }
            if number == 1 {
                prop_assert_eq!(body["c"].as_array().unwrap().len(), 1);
            }
        }
    }

    #[test]
    fn without_a_template_any_text_leaves_our_keys(text in sample::hostile()) {
        let sink = sink(None);
        let expected = posted(&sink, &sample::alert());
        for notice in sample::everywhere(&text).iter().filter(|it| sink.lifetime(it).is_some()) {
            let body = posted(&sink, notice);
            prop_assert!(body.as_object().unwrap().keys().eq(expected.as_object().unwrap().keys()));
        }
    }
}
