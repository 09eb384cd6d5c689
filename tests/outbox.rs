//! kill -9 at random points: a process that stores and sends 1,000 alerts to a sink that fails half the time is killed
//! and started again until all is sent. No alert is lost, none is told twice under another key, order is kept, and no
//! incident that is over stays open.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, with the place")]

use std::collections::{BTreeMap, HashMap};
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use docker_test::environment::Environment;
use docker_test::history::outbox::{Applied, Change, Limits, StateChange, Store};
use docker_test::notify::outbox::{Backoff, Courier, Ending, Settings, Sink, entries, open};
use docker_test::notify::send::Sender;
use docker_test::notify::{Action, Alert, HttpRequest, Notice, Notifier, Severity, Subject, Transmission};
use docker_test::probe::{Identity, ProbeRun};
use reqwest::dns::{Name, Resolve, Resolving};

/// Alerts that only open an incident: each must arrive. As many others are opened and resolved.
const ALERTS: usize = 1_000;
/// Notices that are stored at a time, with the state that says so.
const BATCH: usize = 10;
const PROBES: usize = 20;
/// A resolve follows so many runs after its trigger.
const LATER: usize = 300;
const KEY: &str = "s3cr3t-routing-key";

struct Page {
    url: String,
}

impl Notifier for Page {
    fn name(&self) -> &'static str {
        "page"
    }
    fn lifetime(&self, _: &Notice) -> Option<Duration> {
        Some(Duration::from_hours(24))
    }
    fn render(&self, notice: &Notice) -> Vec<Transmission> {
        let body = match notice {
            Notice::Alert(alert) => format!("{:?} {} {}", alert.action, alert.dedup_key, alert.summary),
            other => format!("Run {} {}", other.probe().name, other.at()),
        };
        let headers = vec![("x-key".into(), KEY.to_owned())];
        let request = HttpRequest { method: "POST", url: self.url.clone(), headers, body: body.into_bytes() };
        vec![Transmission::Http(request)]
    }
    fn secrets(&self) -> Vec<String> {
        vec![KEY.to_owned()]
    }
}

struct NoNames;

impl Resolve for NoNames {
    fn resolve(&self, _: Name) -> Resolving {
        Box::pin(async { Err("there are no names here".into()) })
    }
}

fn now() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}

fn notice(action: Action, key: String, number: usize) -> Notice {
    Notice::Alert(Alert {
        action,
        subject: Subject::Target,
        dedup_key: key,
        probe: identity("alerts"),
        severity: Severity::Critical,
        summary: number.to_string(),
        details: BTreeMap::new(),
        run: number.to_string(),
        at: now() / 1000,
        since: now() / 1000,
        reminder: false,
        route: Vec::new(),
    })
}

fn identity(name: &str) -> Identity {
    Identity { name: name.to_owned(), kind: "x".to_owned(), host: "h".to_owned(), tags: Vec::new() }
}

/// What the n-th run of the made-up probe tells: an alert that stays open, one that is resolved later, and a run.
fn notices(number: usize) -> Vec<Notice> {
    let mut notices = Vec::new();
    if number < ALERTS {
        notices.push(notice(Action::Trigger, format!("open-{number}"), number));
        notices.push(notice(Action::Trigger, format!("over-{number}"), number));
        let run = ProbeRun {
            id: number.to_string(),
            probe: identity(&format!("p{}", number % PROBES)),
            // Its number, as a time that is not too old.
            started_at: 4_000_000_000 + i64::try_from(number).unwrap(),
            seconds: 0.0,
            attempts: Vec::new(),
            error: None,
        };
        notices.push(Notice::Finished { run, changed_from: None });
    }
    // Resolves follow later, when their triggers wait, are on their way, or have arrived.
    if let Some(earlier) = number.checked_sub(LATER).filter(|earlier| *earlier < ALERTS) {
        notices.push(notice(Action::Resolve, format!("over-{earlier}"), number));
    }
    notices
}

async fn produce(store: &Store, sinks: &[Sink]) {
    loop {
        let state = store.probe_state("producer".to_owned()).await.unwrap();
        let next: usize = state.as_ref().map_or(0, |state| state.state.parse().unwrap());
        if next >= ALERTS + LATER {
            return;
        }
        let notices: Vec<Notice> = (next..next + BATCH).flat_map(notices).collect();
        let change = Change {
            state: Some(StateChange {
                probe: "producer".to_owned(),
                seen: state.map(|state| state.version),
                state: (next + BATCH).to_string(),
            }),
            run: None,
            entries: entries(sinks, &notices).unwrap(),
        };
        let applied = store.apply(change, now()).await.unwrap();
        assert!(matches!(applied, Applied::Stored { .. }), "there is one producer");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// The process that is killed. Started by the test below, with its directory and address in the environment.
#[test]
#[ignore = "it is started by the other test"]
fn child() {
    let (Ok(state), Ok(url)) = (std::env::var("CRASH_STATE"), std::env::var("CRASH_URL")) else { return };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let sinks = vec![Sink { id: "page".to_owned(), notifier: Arc::new(Page { url }) }];
        let store = open(Path::new(&state), Limits::default()).unwrap();
        let sender = Sender::new(&Environment::default(), Arc::new(NoNames)).unwrap();
        let settings = Settings {
            concurrency: 16,
            attempt: Duration::from_secs(1),
            margin: Duration::from_millis(200),
            poll: Duration::from_millis(50),
            backoff: Backoff { first: Duration::from_millis(2), longest: Duration::from_millis(20) },
        };
        let courier =
            Courier::new(store.clone(), sinks.clone(), sender, Arc::new(now), Arc::new(|_| {}), settings);
        let done = async {
            produce(&store, &sinks).await;
            Ending::Land(Duration::from_secs(1))
        };
        courier.run(done).await;
        loop {
            if courier.flush(Duration::from_mins(1)).await[0].waiting == 0 {
                return;
            }
        }
    });
}

/// Takes what it is sent, or loses it before or after it was taken.
fn sink() -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let taken: Arc<Mutex<Vec<String>>> = Arc::default();
    let (log, count) = (Arc::clone(&taken), Arc::new(AtomicU64::new(0)));
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (log, count) = (Arc::clone(&log), Arc::clone(&count));
            std::thread::spawn(move || serve(stream.unwrap(), &log, &count));
        }
    });
    (url, taken)
}

fn serve(mut stream: TcpStream, log: &Mutex<Vec<String>>, count: &AtomicU64) {
    let mut bytes = Vec::new();
    loop {
        let mut chunk = [0; 4096];
        let Ok(read @ 1..) = stream.read(&mut chunk) else { return };
        bytes.extend_from_slice(&chunk[..read]);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
        let length: usize = length.parse().unwrap();
        if body.len() < length {
            continue;
        }
        let body = body.to_owned();
        bytes.clear();
        // A multiplier that spreads consecutive numbers over all outcomes.
        let chance = (count.fetch_add(1, Ordering::Relaxed).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32) % 6;
        let answer = match chance {
            0..3 => {
                log.lock().unwrap().push(body);
                "202 Accepted"
            }
            3 => "500 Internal Server Error",
            4 => {
                // Taken, and nobody hears of it.
                log.lock().unwrap().push(body);
                return;
            }
            _ => return,
        };
        let answer = format!("HTTP/1.1 {answer}\r\ncontent-length: 0\r\n\r\n");
        if stream.write_all(answer.as_bytes()).is_err() {
            return;
        }
    }
}

fn random() -> u64 {
    uuid::Uuid::new_v4().as_u64_pair().1
}

#[test]
fn a_sender_that_is_killed_at_any_point_loses_no_alert_and_keeps_their_order() {
    let state = tempfile::tempdir().unwrap();
    let (url, taken) = sink();
    let begun = Instant::now();
    let mut kills = 0;
    loop {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "child", "--ignored"])
            .env("CRASH_STATE", state.path())
            .env("CRASH_URL", &url)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        // Long enough to begin with, short enough to be killed often.
        let end = Instant::now() + Duration::from_millis(20 + random() % 230);
        let ended = loop {
            if let Some(status) = child.try_wait().unwrap() {
                break Some(status);
            }
            if Instant::now() >= end && kills < 40 {
                break None;
            }
            std::thread::sleep(Duration::from_millis(1));
        };
        if let Some(status) = ended {
            assert!(status.success(), "{status}");
            break;
        }
        child.kill().unwrap();
        child.wait().unwrap();
        kills += 1;
        assert!(begun.elapsed() < Duration::from_mins(5));
    }
    let taken = taken.lock().unwrap().clone();
    let mut last: HashMap<String, String> = HashMap::new();
    let mut duplicates = 0;
    let mut runs: HashMap<String, i64> = HashMap::new();
    for body in &taken {
        let words: Vec<&str> = body.split(' ').collect();
        let [what, key, rest] = words[..] else { panic!("{body}") };
        match what {
            "Run" => {
                let number: i64 = rest.parse().unwrap();
                let before = runs.insert(key.to_owned(), number);
                assert!(before.is_none_or(|before| before <= number), "{body} after {before:?}");
                duplicates += usize::from(before == Some(number));
            }
            "Trigger" | "Resolve" => {
                if what == "Trigger" {
                    assert_eq!(key.split_once('-').unwrap().1, rest, "an alert under the key of another");
                }
                match last.insert(key.to_owned(), what.to_owned()).as_deref() {
                    Some("Resolve") => {
                        assert_eq!(what, "Resolve", "{key} was opened after it was over");
                        duplicates += 1;
                    }
                    Some(before) if before == what => duplicates += 1,
                    _ => {}
                }
            }
            _ => panic!("{body}"),
        }
    }
    let told = |key: String| last.get(&key).map(String::as_str);
    for number in 0..ALERTS {
        assert_eq!(told(format!("open-{number}")), Some("Trigger"), "open-{number} was lost");
        let over = told(format!("over-{number}"));
        assert!(matches!(over, None | Some("Resolve")), "over-{number} stays open");
    }
    for probe in 0..PROBES {
        let newest = 4_000_000_000 + i64::try_from(ALERTS - PROBES + probe).unwrap();
        assert_eq!(runs.get(&format!("p{probe}")), Some(&newest));
    }
    let numbers: std::collections::HashSet<&String> =
        taken.iter().filter(|body| body.starts_with("Run ")).collect();
    assert_eq!(numbers.len(), ALERTS, "a run was lost");
    assert!(kills >= 20, "only {kills} kills: it was over too soon");
    let vanished = (0..ALERTS).filter(|number| told(format!("over-{number}")).is_none()).count();
    println!(
        "{} taken, {duplicates} of them again, {kills} kills, {vanished} incidents came and went untold, {:?}",
        taken.len(),
        begun.elapsed()
    );
}
