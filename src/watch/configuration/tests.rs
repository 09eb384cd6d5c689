use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::notify::{Severity, Subject, Transmission, sample};
use crate::probe::{State, Verdict};
use crate::schedule::timetable::Missed;
use crate::suite::Known;
use crate::watch::{Overlap, Trigger, When};

const KEY: &str = "0123456789abcdef0123456789abcdef";
const WEBHOOK: &str = "https://hooks.slack.example/services/T0/B0/abcdefghijklmnop";

fn environment() -> Environment {
    Environment::from_pairs([
        ("PAGERDUTY_ROUTING_KEY", KEY),
        ("DD_API_KEY", KEY),
        ("SLACK_URL", WEBHOOK),
        ("HOST", "shop.staging"),
        ("DD_ENV", "prod"),
        ("WRONG_TOKEN", "hunter2 hunter2"),
    ])
    .in_directory("/srv/shop")
}

fn read(text: &str) -> Result<Configured, SuiteError> {
    let suite =
        Suite::read(Path::new("docker-test.yaml"), text.as_bytes(), &environment(), Known::default())?;
    definitions(&suite, &environment(), "machine")
}

fn configured(text: &str) -> Configured {
    read(text).unwrap_or_else(|error| panic!("{error}"))
}

const WHOLE: &str = r#"version: 1
probes:
  shop.api:
    http: { url: "http://shop:8080/health", expect: { status: 200 } }
    schedule: R//PT1H
    time_zone: Europe/Berlin
    splay: 1m
    overlap: queue
    missed: all:5
    while_failing: 5m
    on: [deploy=shop-*, { event: container-start }]
    type: performance
    host: shop.api
    tags: [team:shop]
    attempts: 3
    backoff: 2s
    timeout: 30
    cleanup: ./cleanup.sh
    alert: { failures: 2, reminder: never, severity: warning }
  db: { tcp: "db:5432", schedule: "*/5 * * * *" }
  cache: { command: [./ping, cache], schedule: "*/5 * * * *", alert: { failures: 1 } }
alert:
  successes: 2
  flapping: { changes: 4, window: 1h, quiet: 30m }
  reminder: 4h
  tell: [degraded, cleanup]
  severity: { Performance: warning, degraded: info, no_news: critical }
  escalation: [{ sinks: slack, after: 1 }, { sinks: [pagerduty], after: 3, least: error }]
  silences:
    - { from: 2026-12-24T00:00:00Z, until: 2026-12-26T00:00:00Z, probes: "shop.*", reason: move }
    - { recurring: { schedule: "0 2 * * 0", time_zone: Europe/Berlin, for: 2h, reason: backup } }
notify:
  pagerduty: { routing_key: env:PAGERDUTY_ROUTING_KEY, url: "https://events.eu.pagerduty.com" }
  datadog.eu: { api_key: "${DD_API_KEY}", site: datadoghq.eu, tags: [a:b] }
  slack.operations: { url: env:SLACK_URL }
  prometheus: { textfile: metrics }
"#;

#[test]
fn a_whole_file_gives_probes_as_they_are_written() {
    let configured = configured(WHOLE);
    let names: Vec<&str> = configured.definitions.iter().map(Definition::name).collect();
    assert_eq!(names, ["shop.api", "db", "cache"]);
    let [shop, db, cache] = configured.definitions.as_slice() else { panic!("three") };
    let times = shop.times.as_ref().unwrap();
    assert_eq!((times.schedule.as_str(), times.zone.as_deref()), ("R//PT1H", Some("Europe/Berlin")));
    assert_eq!(
        (times.splay, times.while_failing),
        (Some(Duration::from_mins(1)), Some(Duration::from_mins(5)))
    );
    assert_eq!((times.missed, shop.overlap), ("all:5".parse::<Missed>().unwrap(), Overlap::Queue));
    assert_eq!(
        shop.triggers.iter().map(|rule| rule.on).collect::<Vec<_>>(),
        [Trigger::Deploy, Trigger::ContainerStart]
    );
    assert!(
        shop.triggers[0].target.as_ref().unwrap().matches("shop-web") && shop.triggers[1].target.is_none()
    );
    let probe = &shop.probe;
    assert_eq!((probe.identity.kind.as_str(), probe.identity.host.as_str()), ("performance", "shop.api"));
    assert_eq!((probe.retries.count, probe.retries.backoff), (2, Duration::from_secs(2)));
    assert_eq!((probe.timeout, probe.cleanup.is_some()), (Duration::from_secs(30), true));
    assert_eq!(shop.origin, Origin::File { path: "docker-test.yaml".to_owned() });
    assert_eq!((db.probe.identity.host.as_str(), db.probe.retries.count), ("shop.staging", 1));
    assert_eq!(db.times.as_ref().unwrap().grace, USUAL_GRACE);
    assert!(cache.triggers.is_empty());
    assert!(configured.warnings.is_empty(), "{:?}", configured.warnings);
}

#[test]
fn a_probe_says_only_what_is_other_than_in_the_policy_of_the_file() {
    let configured = configured(WHOLE);
    let file = &configured.policy;
    assert_eq!((file.failure_threshold, file.success_threshold), (1, 2));
    assert_eq!(file.flapping.unwrap().quiet, Duration::from_mins(30));
    assert_eq!(file.reminder_interval, Some(Duration::from_hours(4)));
    assert!(file.told.contains(&Subject::Degraded) && file.told.contains(&Subject::Target));
    let of = |subject, kind| file.severities.of(subject, kind);
    assert_eq!(of(Subject::Target, "performance"), Severity::Warning);
    assert_eq!((of(Subject::Degraded, ""), of(Subject::NoNews, "")), (Severity::Info, Severity::Critical));
    assert_eq!(file.escalation[1].sinks, ["pagerduty"]);
    assert_eq!((file.escalation[1].after, file.escalation[1].least), (3, Severity::Error));
    let [shop, db, cache] = configured.definitions.as_slice() else { panic!("three") };
    assert_eq!((shop.policy.failure_threshold, shop.policy.success_threshold), (2, 2));
    assert_eq!(shop.policy.reminder_interval, None);
    assert_eq!(shop.policy.severities.of(Subject::Target, "integration"), Severity::Warning);
    // What comes to the same is one.
    assert!(Arc::ptr_eq(&db.policy, file) && Arc::ptr_eq(&cache.policy, file));
}

#[test]
fn a_tag_of_an_environment_is_no_variable() {
    let text = "probes: {tags: {tcp: 'db:5432', host: 'env:HOST', tags: ['env:prod', '${HOST}'], on: deploy}}\n\
                notify: {datadog: {api_key: 'env:PAGERDUTY_ROUTING_KEY', tags: ['env:prod']}}\n";
    let configured = configured(text);
    let probe = &configured.definitions[0].probe.identity;
    assert_eq!(probe.tags, ["env:prod", probe.host.as_str()]);
    assert!(!probe.host.starts_with("env:"), "{}", probe.host);
    let sinks = configured.sinks.unwrap();
    let Transmission::Http(request) = sinks[0].notifier.render(&sample::attempted(State::Ok)).remove(0)
    else {
        panic!("a request")
    };
    assert!(String::from_utf8(request.body).unwrap().contains("\"env:prod\""));
}

#[test]
fn silences_are_read_with_the_probes_that_they_are_about() {
    let silences = configured(WHOLE).silences;
    assert_eq!((silences[0].shown().as_str(), silences[0].reason.as_str()), ("shop.*", "move"));
    assert!(matches!(silences[0].when, When::Once { from: 1_798_070_400, until: 1_798_243_200 }));
    assert_eq!((silences[1].shown().as_str(), silences[1].reason.as_str()), ("*", "backup"));
    // Sunday, 4 January 2026, two in the morning in Berlin.
    let next = silences[1].between(1_767_225_600, 1_767_600_000);
    assert_eq!((next[0].from, next[0].until, next.len()), (1_767_488_400, 1_767_495_600, 1));
}

#[test]
fn sinks_have_the_names_of_the_file_and_are_as_it_says() {
    let sinks = configured(WHOLE).sinks.unwrap();
    let ids: Vec<&str> = sinks.iter().map(|sink| sink.id.as_str()).collect();
    let expected = [
        "pagerduty",
        "datadog.eu",
        "datadog-checks.eu",
        "datadog-events.eu",
        "slack.operations",
        "prometheus-textfile",
    ];
    assert_eq!(ids, expected);
    let url = |sink: &Sink, notice| match sink.notifier.render(&notice).remove(0) {
        Transmission::Http(request) => (request.url, String::from_utf8(request.body).unwrap()),
        Transmission::File { path, .. } => (path.display().to_string(), String::new()),
        Transmission::Datagrams { address, .. } => (address, String::new()),
    };
    assert_eq!(url(&sinks[0], sample::alert()).0, "https://events.eu.pagerduty.com/v2/enqueue");
    let (series, body) = url(&sinks[1], sample::attempted(State::Ok));
    assert_eq!(series, "https://api.datadoghq.eu/api/v2/series");
    assert!(body.contains("a:b") && body.contains("env:prod"), "{body}");
    assert_eq!(url(&sinks[4], sample::alert()).0, WEBHOOK);
    let file = url(&sinks[5], sample::finished(Verdict::Passed, None)).0;
    assert!(file.starts_with("/srv/shop/metrics/docker-test-"), "{file}");
    assert!(configured("probes: {}\n").sinks.is_none());
}

#[test]
fn a_key_in_the_file_works_and_is_warned_of_and_is_a_secret() {
    let text = format!("notify:\n  pagerduty: {{ routing_key: {KEY} }}\n  slack: {{ url: '{WEBHOOK}' }}\n");
    let configured = configured(&text);
    let sinks = configured.sinks.unwrap();
    assert!(sinks[0].notifier.secrets().contains(&KEY.to_owned()));
    assert_eq!(configured.warnings.len(), 2);
    assert!(
        configured.warnings[0]
            .starts_with("docker-test.yaml:2:29: notify.pagerduty has a key in the file: write `env:NAME`"),
        "{:?}",
        configured.warnings
    );
    assert!(!format!("{:?}", configured.warnings).contains(KEY));
}

#[test]
fn what_is_most_likely_not_meant_is_warned_of_with_its_place_and_a_hint() {
    let mut configured = configured(
        "probes:\n  shop.api: { tcp: 'x:1', on: deploy, alert: { escalation: [{ sinks: slack }] } }\n\
         alert:\n  escalation: [{ sinks: [pagerduty, webhook] }]\n  silences:\n    \
         - { from: 2026-12-24T00:00:00Z, until: 2026-12-26T00:00:00Z, probes: shop.apo }\n    \
         - { from: 2026-12-24T00:00:00Z, until: 2026-12-26T00:00:00Z, probes: 'shop.*' }\n\
         notify: { webhook: { url: env:SLACK_URL }, prometheus: { textfile: metrics } }\n",
    );
    assert_eq!(configured.warnings.len(), 1, "{:?}", configured.warnings);
    configured.reach(&["webhook", "prometheus-textfile"].map(str::to_owned).into());
    let expected = [
        "docker-test.yaml:6:66: alert.silences.0.probes: expected names of probes, and no probe of the file is \
         shop.apo: did you mean `shop.api`?",
        "docker-test.yaml:4:3: alert.escalation names pagerduty, and there is no such sink: nobody is told by this \
         stage; configure pagerduty under `notify`, or escalate to another kind",
        "docker-test.yaml:2:48: probes.shop.api.alert.escalation names slack, and there is no such sink: nobody is \
         told by this stage; configure slack under `notify`, or escalate to another kind",
    ];
    assert_eq!(configured.warnings, expected);
    let directory = PathBuf::from("/srv/shop/metrics");
    let place = "docker-test.yaml:8:58: notify.prometheus.textfile".to_owned();
    assert_eq!(configured.directories, [(place, directory)]);
}

#[test]
fn policies_know_which_sinks_there_are_and_stay_shared() {
    let mut configured = configured(WHOLE);
    let kinds = ["slack".to_owned()].into();
    configured.reach(&kinds);
    assert_eq!(configured.policy.reached.as_ref(), Some(&kinds));
    let [shop, db, cache] = configured.definitions.as_slice() else { panic!("three") };
    assert!(Arc::ptr_eq(&db.policy, &configured.policy) && Arc::ptr_eq(&cache.policy, &db.policy));
    assert_eq!(shop.policy.reached.as_ref(), Some(&kinds));
}

#[test]
fn what_is_wrong_has_its_place_and_a_hint() {
    assert_wrong(&[
        ("probes: {a: {tpc: 'x:1'}}", (1, 14), "unknown key `tpc` in `probes.a`", "did you mean `tcp`?"),
        ("probes: {a: {tcp: 'x:1'}}", (1, 10), "probes.a: expected `schedule` or `on`", "R//PT1H"),
        ("probes: {a: {on: deploy}}", (1, 10), "expected one of the keys command, http", ""),
        (
            "probes: {a: {on: deploi, tcp: 'x:1'}}",
            (1, 18),
            "probes.a.on: expected `container-start`",
            "`deploy`?",
        ),
        (
            "probes:\n  a:\n    tcp: 'x:1'\n    http: 'http://x/'\n    on: deploy",
            (4, 11),
            "exclude each other",
            "",
        ),
        ("probes:\n  a:\n    tcp: 'x'\n    on: deploy", (3, 10), "probes.a.tcp: ", ""),
        (
            "probes:\n  a:\n    http: {url: 'http://x/', expect: {statsu: 1}}\n",
            (3, 39),
            "unknown key `statsu`",
            "`status`?",
        ),
        (
            "probes: {a: {tcp: 'x:1', schedule: R//P}}",
            (1, 26),
            "probes.a.schedule: cannot read schedule `R//P`",
            "",
        ),
        ("probes: {a: {tcp: 'x:1', schedule: '@hourly', time_zone: Mars/Base}}", (1, 47), "time zone", ""),
        ("probes: {a: {tcp: 'x:1', on: deploy, splay: 1m}}", (1, 38), "goes with `schedule`", ""),
        ("probes: {a: {tcp: 'x:1', on: deploy, overlap: no}}", (1, 47), "`skip`, `queue` or `replace`", ""),
        ("probes: {a: {tcp: 'x:1', on: deploy, missed: al}}", (1, 46), "`all:N`", ""),
        ("probes: {a: {tcp: 'x:1', on: deploy, attempts: 0}}", (1, 38), "a number from 1 to 1000", ""),
        ("probes: {a: {tcp: 'x:1', on: deploy, timeout: soon}}", (1, 38), "is not a duration", "units are"),
        ("probes: {a: {tcp: 'env:GONE', on: deploy}}", (1, 19), "the variable `GONE` is not set", "set GONE"),
        (
            "probes: {a: {tcp: 'x:1', on: deploy, alert: {silences: [{}]}}}",
            (1, 46),
            "the file's own `alert`",
            "",
        ),
        ("probes: []", (1, 9), "a mapping of names", ""),
        ("probes: {'a*': {}}", (1, 10), "expected a name without", ""),
        ("probes: {a: [1]}", (1, 13), "expected a mapping with a check", ""),
        ("alert: {failures: 0}", (1, 19), "alert.failures: expected a number from 1", ""),
        ("alert: {failrues: 1}", (1, 9), "unknown key `failrues` in `alert`", "`failures`?"),
        ("alert: {tell: [degrade]}", (1, 16), "alert.tell[0]: expected one of target", "`degraded`?"),
        ("alert: {severity: {chaos: bad}}", (1, 27), "expected one of info", ""),
        (
            "alert: {escalation: [{sinks: [slak]}]}",
            (1, 31),
            "expected one of pagerduty, slack, webhook",
            "`slack`?",
        ),
        ("alert: {escalation: [{sinks: slack.a}]}", (1, 30), "expected one of", "write slack"),
        ("alert: {silences: [{from: 2026-12-24T00:00:00Z}]}", (1, 20), "silence without an end", ""),
        ("alert: {silences: [{from: tomorrow}]}", (1, 27), "a time with its zone", ""),
        (
            "alert: {silences: [{recurring: {schedule: R//PT1H, for: 1m}}]}",
            (1, 33),
            "says when it begins",
            "line of cron",
        ),
        ("alert: {silences: [{recurring: {schedule: x, for: 1m}}]}", (1, 33), "cannot read schedule", ""),
        ("notify: {slack: {}}", (1, 17), "notify.slack: `url` is missing", ""),
        ("notify: {slak: {}}", (1, 10), "unknown sink `slak`", "did you mean `slack`?"),
        ("notify: {slack.: {}}", (1, 10), "no name of a sink", "slack.operations"),
        ("notify: {slack: {rul: x}}", (1, 18), "unknown key `rul`", "did you mean `url`?"),
        ("notify: {slack: {url: nowhere}}", (1, 23), "notify.slack.url: expected a URL", ""),
        ("notify: {pagerduty: {}}", (1, 21), "expected routing_key", ""),
        ("notify: {datadog: {api_key: a, site: nowhere}}", (1, 38), "a site of DataDog", ""),
        ("notify: {webhook: {url: 'http://x/', template: '{{'}}", (1, 19), "template", ""),
    ]);
}

#[test]
fn what_would_cost_a_run_or_a_page_is_refused_with_its_place() {
    assert_wrong(&[
        ("probes: {..: {}}", (1, 10), "expected a name other than `.` and `..`", "such as shop.api"),
        ("probes: {'.': {}}", (1, 10), "expected a name other than `.` and `..`", "such as shop.api"),
        ("probes: {'': {}}", (1, 10), "expected a name of 1 to 200 bytes", "such as shop.api"),
        (
            "probes: {a: {tcp: 'x:1', schedule: R//PT1H, splay: 2h}}",
            (1, 45),
            "probes.a.splay: expected at most the time between two runs, 1h, got 2h",
            "write a shorter one",
        ),
        ("probes: {a: {command: \"a\\0b\", on: deploy}}", (1, 23), "expected a text without NUL", ""),
        ("probes: {a: {command: [a, \"b\\0\"], on: deploy}}", (1, 23), "expected a text without NUL", ""),
        (
            "probes: {a: {command: {run: a, env: {A: \"\\0\"}}, on: deploy}}",
            (1, 23),
            "expected a text without NUL",
            "",
        ),
        (
            "probes: {a: {tcp: 'x:1', on: deploy, cleanup: \"a\\0\"}}",
            (1, 38),
            "expected a text without NUL",
            "",
        ),
        (
            "alert: {silences: [{recurring: {schedule: '0 * * * *', for: 1h}}]}",
            (1, 56),
            "this silence never ends",
            "write a shorter time",
        ),
        ("notify: {webhook: {url: 'https://x:99999/'}}", (1, 25), "a number from 1 to 65535", ""),
    ]);
}

#[test]
fn a_silence_that_ends_on_some_day_of_the_year_is_taken_and_one_that_never_does_is_not() {
    let read = |schedule: &str, lasts: &str| {
        let probe = "probes: {a: {tcp: 'x:1', schedule: R//PT1H}}";
        read(&format!(
            "{probe}\nalert: {{silences: [{{recurring: {{schedule: '{schedule}', for: {lasts}}}}}]}}\n"
        ))
    };
    for (schedule, lasts) in [
        ("*/5 * * * 0,6", "5m"),
        ("* * * * 0,6", "24h"),
        ("* * * * 1-5", "1m"),
        ("* * * 1-11 *", "1m"),
        ("* 0-22 * * *", "1h"),
        ("0 * * * *", "59m"),
    ] {
        assert!(read(schedule, lasts).is_ok(), "{schedule} {lasts}: {:?}", read(schedule, lasts).err());
    }
    for (schedule, lasts) in [
        ("* * * * *", "1m"),
        ("*/5 * * * 0,6", "168h"),
        ("* * * 1-11 *", "800h"),
        ("* 0-22 * * *", "61m"),
        ("R/2026-01-01T00:00:00Z/PT1S", "1s"),
        ("R/2026-01-01T00:00:00Z/P1M", "744h"),
    ] {
        let error = read(schedule, lasts).expect_err(schedule);
        assert!(error.to_string().contains("this silence never ends"), "{schedule} {lasts}: {error}");
    }
}

/// Text, line and column, and what the error and its hint say.
fn assert_wrong(table: &[(&str, (usize, usize), &str, &str)]) {
    let mut wrong = Vec::new();
    for (text, place, problem, hint) in table {
        let error = read(text).expect_err(text);
        let shown = format!("{error}\n{}", error.hint().unwrap_or_default());
        let is_there = (error.place().line, error.place().column) == *place;
        if !is_there
            || !shown.contains(problem)
            || !shown.contains(hint)
            || !shown.starts_with("docker-test.yaml:")
        {
            wrong.push(format!("{text}\n{place:?} {problem} {hint}\n{shown}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn no_error_shows_a_key_whichever_way_it_came() {
    for text in [
        "notify: {slack: {url: hunter2hunter2}}",
        "notify: {slack: {url: 'https://x/hunter2hunter2', rul: 1}}",
        "notify: {slack: {url: env:WRONG_TOKEN}}",
        "notify: {slack: {url: '${WRONG_TOKEN}'}}",
        "notify: {datadog: {api_key: hunter2, site: a b}}",
        "notify: {webhook: {url: 'https://x/', authorization: Bearer hunter2, template: 'hunter2 {{'}}",
        "notify: {webhook: {url: 'https://x/', template: '{\"a\": \"hunter2\" {{ b }}'}}",
        "probes: {a: {http: {url: 'http://x/', headers: {x: hunter2hunter2}, methd: 1}, on: deploy}}",
        "probes: {a: {http: {url: 'http://me:hunter2hunter2@x/', methd: 1}, on: deploy}}",
    ] {
        let error = read(text).expect_err(text);
        let shown = format!("{error} {error:?} {:?}", error.hint());
        assert!(!shown.contains("hunter2"), "{text}\n{shown}");
    }
}

#[test]
fn fifty_thousand_probes_of_a_file_are_read_are_small_and_share_what_they_are_told_by() {
    use std::fmt::Write as _;
    let mut text = "alert: { failures: 2 }\nprobes:\n".to_owned();
    for number in 0..50_000 {
        writeln!(text, "  p{number}: {{ tcp: 'x:1', schedule: R//PT1M, alert: {{ reminder: 1h }} }}")
            .unwrap();
    }
    let configured = configured(&text);
    assert_eq!(configured.definitions.len(), 50_000);
    let first = &configured.definitions[0].policy;
    assert!(configured.definitions.iter().all(|definition| Arc::ptr_eq(&definition.policy, first)));
    assert!(size_of::<Definition>() + size_of::<crate::harness::Probe>() < 1024);
}

proptest! {
    #[test]
    fn any_mapping_is_read_or_refused(lines in proptest::collection::vec(
        ("(  |    |      )(- )?",
         "(probes|alert|notify|a|http|tcp|command|url|schedule|on|event|silences|recurring|for|from|slack|severity|escalation|sinks|flapping)(: )?",
         "(\\[deploy\\]|\\{url: x\\}|env:HOST|env:|R//PT1H|\\* \\* \\* \\* \\*|5m|never|'|deploy=\\{a|!x|\u{7}|é|-1|1e9)?"), 0..14),
        top in "(probes|alert|notify)") {
        let text: String = std::iter::once(format!("{top}:\n"))
            .chain(lines.iter().map(|(a, b, c)| format!("{a}{b}{c}\n"))).collect();
        let _ = read(&text);
    }

    #[test]
    fn any_value_of_any_key_is_read_or_refused(key in 0_usize..15, value in "\\PC{0,30}") {
        let keys = ["schedule", "time_zone", "splay", "overlap", "missed", "while_failing", "on", "type", "host",
            "timeout", "cleanup", "command", "tcp", "dns", "http"];
        let value = serde_json::to_string(&value).unwrap();
        let check = if key < 11 { "tcp: 'x:1', " } else { "" };
        let when = if key == 0 || key == 6 { "" } else { "on: deploy, " };
        let _ = read(&format!("probes: {{a: {{{check}{when}{}: {value}}}}}", keys[key]));
    }
}
