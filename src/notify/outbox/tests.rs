use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::*;
use crate::history::outbox::{Applied, Change, Which};
use crate::notify::send::loopback::{Loopback, Reply, closed_port};
use crate::notify::send::tests::sender;
use crate::notify::{Answer, HttpRequest, Reception, Severity, Subject, Transmission};
use crate::probe::{Identity, ProbeRun};

const KEY: &str = "s3cr3t-routing-key";

/// A sink that takes alerts, in so many parts, and ends of runs.
struct Page {
    url: String,
    parts: usize,
    per_minute: Option<u32>,
}

impl Notifier for Page {
    fn name(&self) -> &'static str {
        "page"
    }

    fn lifetime(&self, notice: &Notice) -> Option<Duration> {
        match notice {
            Notice::Alert(_) => Some(Duration::from_hours(24)),
            Notice::Finished { .. } => Some(Duration::from_hours(1)),
            _ => None,
        }
    }

    fn render(&self, notice: &Notice) -> Vec<Transmission> {
        let text = match notice {
            Notice::Alert(alert) => {
                let reminder = if alert.reminder { " again" } else { "" };
                format!("{:?} {} {}{reminder}", alert.action, alert.dedup_key, alert.summary)
            }
            other => format!("{} {}", other.probe().name, other.at()),
        };
        let part = |part| HttpRequest {
            method: "POST",
            url: format!("{}/{KEY}", self.url),
            headers: vec![("x-key".into(), KEY.to_owned())],
            body: if part == 0 { text.clone() } else { format!("{text} part {part}") }.into_bytes(),
        };
        (0..self.parts).map(|number| Transmission::Http(part(number))).collect()
    }

    fn receive(&self, answer: &Answer) -> Reception {
        crate::notify::receive(answer)
    }

    fn per_minute(&self) -> Option<u32> {
        self.per_minute
    }

    fn secrets(&self) -> Vec<String> {
        vec![KEY.to_owned()]
    }
}

fn sink(id: &str, url: &str) -> Sink {
    let page = Page { url: url.to_owned(), parts: 1, per_minute: None };
    Sink { id: id.to_owned(), notifier: Arc::new(page) }
}

fn now() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}

fn probe() -> Identity {
    let text = |text: &str| text.to_owned();
    Identity { name: text("example"), kind: text("integration"), host: text("staging"), tags: Vec::new() }
}

fn alert(action: Action, key: &str, summary: &str) -> Notice {
    Notice::Alert(Alert {
        action,
        subject: Subject::Target,
        dedup_key: key.to_owned(),
        probe: probe(),
        severity: Severity::Critical,
        summary: summary.to_owned(),
        details: BTreeMap::new(),
        run: "run".to_owned(),
        at: now() / 1000,
        since: now() / 1000,
        reminder: false,
        route: Vec::new(),
    })
}

fn trigger(key: &str, summary: &str) -> Notice {
    alert(Action::Trigger, key, summary)
}

fn resolve(key: &str) -> Notice {
    alert(Action::Resolve, key, "over")
}

fn reminder(key: &str, summary: &str) -> Notice {
    let Notice::Alert(alert) = trigger(key, summary) else { unreachable!() };
    Notice::Alert(Alert { reminder: true, ..alert })
}

fn finished(started_at: i64) -> Notice {
    let run = ProbeRun {
        id: "run".to_owned(),
        probe: probe(),
        started_at,
        seconds: 1.0,
        attempts: Vec::new(),
        error: None,
    };
    Notice::Finished { run, changed_from: None }
}

async fn post(store: &Store, sinks: &[Sink], notices: &[Notice]) {
    let change = Change { entries: entries(sinks, notices).unwrap(), ..Change::default() };
    assert!(matches!(store.apply(change, now()).await.unwrap(), Applied::Stored { .. }));
}

struct Post {
    courier: Courier,
    events: Arc<Mutex<Vec<String>>>,
}

fn courier(store: &Store, sinks: &[Sink]) -> Post {
    let events: Arc<Mutex<Vec<String>>> = Arc::default();
    let log = Arc::clone(&events);
    let settings = Settings {
        backoff: Backoff { first: Duration::from_millis(20), longest: Duration::from_millis(100) },
        attempt: Duration::from_secs(5),
        ..Settings::default()
    };
    let listener: Listener = Arc::new(move |event| log.lock().unwrap().push(format!("{event:?}")));
    let courier = Courier::new(store.clone(), sinks.to_vec(), sender(), Arc::new(now), listener, settings);
    Post { courier, events }
}

async fn flush(store: &Store, sinks: &[Sink], limit: u64) -> Vec<Flushed> {
    courier(store, sinks).courier.flush(Duration::from_millis(limit)).await
}

fn memory() -> Store {
    in_memory(Limits::default()).unwrap()
}

async fn waiting(store: &Store) -> usize {
    store.list(None, false, 1_000).await.unwrap().len()
}

#[test]
fn a_notice_is_stored_for_the_sinks_that_it_is_for_until_its_own_lifetime_is_over() {
    let sinks = [sink("one", "http://x"), sink("two", "http://x")];
    let started = Notice::Started { run: "run".to_owned(), probe: probe(), at: 0 };
    assert_eq!(entries(&sinks, &[started]).unwrap().len(), 0);
    let notices = [finished(1_000), trigger("key", "summary")];
    let stored = entries(&sinks, &notices).unwrap();
    let shown: Vec<_> = stored.iter().map(|entry| (entry.sink.as_str(), entry.key.as_str())).collect();
    assert_eq!(shown, [("one", "probe:example"), ("two", "probe:example"), ("one", "key"), ("two", "key")]);
    assert_eq!(stored[0].expires_at, 1_000_000 + 3_600_000);
    assert_eq!(serde_json::from_str::<Notice>(&stored[2].notice).unwrap(), notices[1]);
}

#[test]
fn an_alert_that_names_kinds_of_sinks_is_stored_for_no_other() {
    let sinks = [sink("one", "http://x")];
    let routed = |kind: &str| {
        let Notice::Alert(alert) = trigger("key", "summary") else { unreachable!() };
        entries(&sinks, &[Notice::Alert(Alert { route: vec![kind.to_owned()], ..alert })]).unwrap().len()
    };
    assert_eq!((routed("page"), routed("slack")), (1, 0));
}

#[tokio::test]
async fn what_was_stored_arrives_once_and_leaves_the_outbox() {
    let server = Loopback::with_status(202).await;
    let (store, sinks) = (memory(), [sink("page", &server.url)]);
    post(&store, &sinks, &[finished(now() / 1000), trigger("a", "down")]).await;
    let flushed = flush(&store, &sinks, 5_000).await;
    assert_eq!(flushed, [Flushed { sink: "page".to_owned(), arrived: 2, ..Flushed::default() }]);
    assert_eq!(server.bodies().len(), 2);
    assert_eq!(flush(&store, &sinks, 5_000).await[0].arrived, 0);
    assert_eq!(server.bodies().len(), 2);
}

#[tokio::test]
async fn an_entry_outlives_the_process_and_holds_no_key() {
    let state = tempfile::tempdir().unwrap();
    let server = Loopback::start(|_, before| match before {
        0 => Reply::Answer(503, "retry-after: 2\r\n", format!("no {KEY} here")),
        _ => Reply::Answer(202, "", String::new()),
    })
    .await;
    let sinks = [sink("page", &server.url)];
    let store = open(state.path(), Limits::default()).unwrap();
    post(&store, &sinks, &[trigger("a", "down")]).await;
    let post = courier(&store, &sinks);
    let flushed = post.courier.flush(Duration::from_millis(1_900)).await;
    assert_eq!((flushed[0].waiting, flushed[0].reason.as_deref()), (1, Some("HTTP status 503: no *** here")));
    assert!(!format!("{:?}", post.events.lock().unwrap()).contains(KEY));
    drop((post, store));
    for file in std::fs::read_dir(state.path()).unwrap() {
        // SQLite may take its log away meanwhile.
        let Ok(bytes) = std::fs::read(file.unwrap().path()) else { continue };
        assert!(!String::from_utf8_lossy(&bytes).contains(KEY));
    }
    let store = open(state.path(), Limits::default()).unwrap();
    assert_eq!(flush(&store, &sinks, 5_000).await[0].arrived, 1);
    assert_eq!(server.bodies(), ["Trigger a down", "Trigger a down"]);
}

#[tokio::test]
async fn a_sink_that_fails_is_tried_again_and_order_within_a_key_is_kept() {
    let server = Loopback::start(|_, before| match before % 3 {
        0 => Reply::Answer(500, "", String::new()),
        1 => Reply::Reset,
        _ => Reply::Answer(202, "", String::new()),
    })
    .await;
    let (store, sinks) = (memory(), [sink("page", &server.url)]);
    let at = now() / 1000;
    let all: Vec<Notice> = (0..5).map(|number| finished(at + number)).collect();
    post(&store, &sinks, &all).await;
    assert_eq!(flush(&store, &sinks, 10_000).await[0].arrived, 5);
    let mut bodies = server.bodies();
    assert_eq!(bodies.len(), 15);
    bodies.dedup();
    assert_eq!(bodies, (0..5).map(|number| format!("example {}", at + number)).collect::<Vec<_>>());
}

#[tokio::test]
async fn retry_after_is_honoured_for_the_whole_sink() {
    let server = Loopback::start(|_, before| match before {
        0 => Reply::Answer(429, "retry-after: 1\r\n", String::new()),
        _ => Reply::Answer(202, "", String::new()),
    })
    .await;
    let (store, sinks) = (memory(), [sink("page", &server.url)]);
    post(&store, &sinks, &[trigger("a", "1")]).await;
    let begun = Instant::now();
    let post_office = courier(&store, &sinks);
    let later = async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        post(&store, &sinks, &[trigger("b", "2")]).await;
    };
    let (flushed, ()) = tokio::join!(post_office.courier.flush(Duration::from_secs(5)), later);
    assert_eq!(flushed[0].arrived, 2);
    for asked in &server.asked()[1..] {
        assert!(asked.at - begun >= Duration::from_millis(990), "{:?}", asked.at - begun);
    }
}

#[tokio::test]
async fn a_sink_that_asks_for_no_patience_is_sent_no_more_than_one_that_asks_for_nothing() {
    for header in [
        "retry-after: 0\r\n",
        "retry-after: 0.0\r\n",
        "retry-after: Wed, 21 Oct 2015 07:28:00 GMT\r\n",
        "x-ratelimit-reset: 0\r\n",
    ] {
        let server = Loopback::start(move |_, _| Reply::Answer(503, header, String::new())).await;
        let (store, sinks) = (memory(), [sink("page", &server.url)]);
        post(&store, &sinks, &[trigger("a", "down")]).await;
        assert_eq!(flush(&store, &sinks, 500).await[0].waiting, 1);
        // Waits of at least 10, 20, 40 and then 50 ms each.
        let sent = server.asked().len();
        assert!((2..=12).contains(&sent), "{sent} requests with {header}");
    }
}

#[tokio::test]
async fn a_flush_does_not_wait_for_what_can_only_be_sent_after_it() {
    let server = Loopback::start(|_, _| Reply::Answer(503, "retry-after: 60\r\n", String::new())).await;
    let (store, sinks) = (memory(), [sink("page", &server.url)]);
    post(&store, &sinks, &[trigger("a", "down")]).await;
    let begun = Instant::now();
    assert_eq!(flush(&store, &sinks, 10_000).await[0].waiting, 1);
    assert_eq!(flush(&store, &sinks, 10_000).await[0].waiting, 1);
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn what_is_refused_becomes_a_dead_letter_whose_reason_is_short_and_without_the_key() {
    let text = format!("Gateway: bad {KEY} {}\nsecond", "x".repeat(4_000));
    let server = Loopback::start(move |_, before| match before {
        0 => Reply::Answer(400, "", text.clone()),
        _ => Reply::Answer(202, "", String::new()),
    })
    .await;
    let (store, sinks) = (memory(), [sink("page", &server.url)]);
    post(&store, &sinks, &[trigger("a", "down")]).await;
    let flushed = flush(&store, &sinks, 5_000).await;
    assert_eq!((flushed[0].refused, flushed[0].waiting), (1, 0));
    let dead = store.list(None, true, 9).await.unwrap();
    let reason = dead[0].reason.clone().unwrap();
    assert!(reason.starts_with("HTTP status 400: Gateway: bad *** xx"), "{reason}");
    assert!(reason.len() < 250, "{reason}");
    assert_eq!(store.revive(Which::One(dead[0].seq), now()).await.unwrap().entries, 1);
    assert_eq!(flush(&store, &sinks, 5_000).await[0].arrived, 1);
}

#[tokio::test]
async fn a_redirect_takes_no_key_to_another_host() {
    let other = Loopback::with_status(202).await;
    let location: &'static str = Box::leak(format!("location: {}/\r\n", other.url).into_boxed_str());
    let server = Loopback::start(move |_, _| Reply::Answer(302, location, String::new())).await;
    let (store, sinks) = (memory(), [sink("page", &server.url)]);
    post(&store, &sinks, &[trigger("a", "down")]).await;
    // It is tried again later: a portal goes away, and the page is still due.
    let flushed = flush(&store, &sinks, 500).await;
    assert_eq!((flushed[0].refused, flushed[0].waiting), (0, 1));
    assert!(other.asked().is_empty());
    let reason = store.list(None, false, 9).await.unwrap()[0].reason.clone().unwrap();
    assert_eq!(reason, format!("HTTP status 302: a redirect to {}, which is not followed", other.url));
}

#[tokio::test]
async fn a_sink_that_hangs_delays_no_other_and_what_it_did_not_take_stays() {
    let slow = Loopback::start(|_, before| match before {
        0 => Reply::Hang,
        _ => Reply::After(Duration::from_millis(50), 202),
    })
    .await;
    let quick = Loopback::with_status(202).await;
    let (store, sinks) = (memory(), [sink("slow", &slow.url), sink("quick", &quick.url)]);
    post(&store, &sinks, &[trigger("a", "down")]).await;
    let begun = Instant::now();
    let flushed = flush(&store, &sinks, 2_000).await;
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
    assert!(quick.asked()[0].at - begun < Duration::from_millis(1_500));
    assert_eq!((flushed[0].waiting, flushed[1].arrived), (1, 1));
    assert_eq!(flush(&store, &sinks, 5_000).await[0].arrived, 1, "it is not held by the flush that gave up");
}

#[tokio::test]
async fn an_incident_that_came_and_went_while_its_sink_was_down_is_not_told() {
    let (store, down) = (memory(), [sink("page", &closed_port())]);
    post(&store, &down, &[trigger("a", "down")]).await;
    assert_eq!(flush(&store, &down, 500).await[0].waiting, 1);
    post(&store, &down, &[resolve("a")]).await;
    assert_eq!(waiting(&store).await, 0);
}

#[tokio::test]
async fn a_resolve_stays_where_its_trigger_may_have_arrived_and_the_trigger_goes() {
    let server = Loopback::start(|asked, _| {
        let status = if asked.body.starts_with("Trigger") { 500 } else { 202 };
        Reply::Answer(status, "", String::new())
    })
    .await;
    let (store, sinks) = (memory(), [sink("page", &server.url)]);
    post(&store, &sinks, &[trigger("a", "down")]).await;
    assert_eq!(flush(&store, &sinks, 100).await[0].waiting, 1);
    post(&store, &sinks, &[resolve("a")]).await;
    assert_eq!(waiting(&store).await, 1);
    assert_eq!(flush(&store, &sinks, 5_000).await[0].arrived, 1);
    assert_eq!(server.bodies().last().unwrap(), "Resolve a over");
}

#[tokio::test]
async fn a_reminder_that_never_left_does_not_take_the_resolve_of_an_open_incident_with_it() {
    let server = Loopback::with_status(202).await;
    let (store, sinks) = (memory(), [sink("page", &server.url)]);
    post(&store, &sinks, &[trigger("a", "down")]).await;
    flush(&store, &sinks, 5_000).await;
    // A trigger without the mark of a reminder, as after a lost state.
    post(&store, &sinks, &[trigger("a", "still down")]).await;
    post(&store, &sinks, &[resolve("a")]).await;
    flush(&store, &sinks, 5_000).await;
    assert_eq!(server.bodies(), ["Trigger a down", "Resolve a over"]);
    // Closed: the next one that never leaves vanishes.
    post(&store, &sinks, &[trigger("a", "down"), resolve("a")]).await;
    assert_eq!(waiting(&store).await, 0);
}

#[tokio::test]
async fn repeated_triggers_are_one_which_opens_the_incident_where_none_has_arrived() {
    let server = Loopback::with_status(202).await;
    let (store, sinks) = (memory(), [sink("page", &server.url)]);
    post(&store, &sinks, &[trigger("a", "1"), reminder("a", "2"), reminder("a", "3")]).await;
    post(&store, &sinks, &[reminder("b", "4"), reminder("b", "5")]).await;
    flush(&store, &sinks, 5_000).await;
    let mut bodies = server.bodies();
    bodies.sort();
    assert_eq!(bodies, ["Trigger a 3", "Trigger b 5 again"]);
}

#[tokio::test]
async fn no_minute_sees_more_than_its_sink_takes() {
    let server = Loopback::with_status(202).await;
    let page = Page { url: server.url.clone(), parts: 1, per_minute: Some(5) };
    let sinks = [Sink { id: "page".to_owned(), notifier: Arc::new(page) }];
    let store = memory();
    let all: Vec<Notice> = (0..8).map(|number| trigger(&number.to_string(), "down")).collect();
    post(&store, &sinks, &all).await;
    let begun = Instant::now();
    let flushed = flush(&store, &sinks, 20_000).await;
    assert_eq!((flushed[0].arrived, flushed[0].waiting, server.bodies().len()), (5, 3, 5));
    assert!(begun.elapsed() < Duration::from_secs(10), "the rest cannot be sent in time");
}

#[tokio::test]
async fn parts_that_have_arrived_are_not_sent_again() {
    let server = Loopback::start(|_, before| match before {
        1 => Reply::Answer(500, "", String::new()),
        _ => Reply::Answer(202, "", String::new()),
    })
    .await;
    let page = Page { url: server.url.clone(), parts: 3, per_minute: None };
    let sinks = [Sink { id: "page".to_owned(), notifier: Arc::new(page) }];
    let store = memory();
    post(&store, &sinks, &[trigger("a", "x")]).await;
    assert_eq!(flush(&store, &sinks, 5_000).await[0].arrived, 1);
    let parts = ["Trigger a x", "Trigger a x part 1", "Trigger a x part 1", "Trigger a x part 2"];
    assert_eq!(server.bodies(), parts);
}

#[tokio::test]
async fn a_courier_at_work_sends_what_comes_and_ends_when_it_is_told_to() {
    let server = Loopback::with_status(202).await;
    let (store, sinks) = (memory(), [sink("page", &server.url)]);
    let at_work = courier(&store, &sinks);
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let working = at_work.courier.run(async {
        drop(stopped.await);
        Ending::Land(Duration::from_secs(1))
    });
    let begun = Instant::now();
    let using = async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        post(&store, &sinks, &[trigger("a", "down")]).await;
        while server.bodies().is_empty() || waiting(&store).await > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        stop.send(()).unwrap();
    };
    tokio::join!(working, using);
    assert!(begun.elapsed() < Duration::from_secs(4), "it does not wait for the next look");
    assert_eq!(server.bodies(), ["Trigger a down"]);
}

#[tokio::test]
async fn two_couriers_on_one_store_send_nothing_twice() {
    let state = tempfile::tempdir().unwrap();
    let server = Loopback::start(|_, _| Reply::After(Duration::from_millis(5), 202)).await;
    let sinks = [sink("page", &server.url)];
    let stores = [0, 1].map(|_| open(state.path(), Limits::default()).unwrap());
    let all: Vec<Notice> = (0..60).map(|number| trigger(&number.to_string(), "down")).collect();
    post(&stores[0], &sinks, &all).await;
    let (one, other) = tokio::join!(flush(&stores[0], &sinks, 60_000), flush(&stores[1], &sinks, 60_000));
    assert_eq!(one[0].arrived + other[0].arrived, 60);
    assert_eq!(server.bodies().len(), 60);
}

#[tokio::test]
async fn a_notice_of_another_version_becomes_a_dead_letter_and_holds_nothing_up() {
    let server = Loopback::with_status(202).await;
    let (store, sinks) = (memory(), [sink("page", &server.url)]);
    let mut stored = entries(&sinks, &[trigger("a", "1"), resolve("a")]).unwrap();
    stored[0].notice = r#"{"kind":"from the future"}"#.to_owned();
    // One that was tried, as collapsing would take it away otherwise.
    let first = Change { entries: vec![stored.remove(0)], ..Change::default() };
    store.apply(first, now()).await.unwrap();
    assert_eq!(flush(&store, &sinks, 5_000).await[0].refused, 1);
    store.apply(Change { entries: stored, ..Change::default() }, now()).await.unwrap();
    assert_eq!(flush(&store, &sinks, 5_000).await[0].arrived, 1);
    let reason = store.list(None, true, 9).await.unwrap()[0].reason.clone().unwrap();
    assert!(reason.starts_with("this version of docker-test cannot read the notice"), "{reason}");
}
