//! The outbox: alerts that are stored for good, one at a time and many at once, and their way to a sink; beside SQLite
//! alone, with the same settings, on the same disk.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use docker_test::environment::Environment;
use docker_test::history::outbox::{Applied, Change, Limits, Store};
use docker_test::notify::outbox::{Courier, Ending, Event, Settings, Sink, entries, open};
use docker_test::notify::send::Sender;
use docker_test::notify::{Action, Alert, HttpRequest, Notice, Notifier, Severity, Subject, Transmission};
use docker_test::probe::Identity;
use reqwest::dns::{Name, Resolve, Resolving};
use rusqlite::Connection;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use crate::entry::Failure;
use crate::server::Server;
use crate::table::{Report, Series, Target};
use crate::{directory, real};

/// Alerts that are handed in at the same time.
const AT_ONCE: usize = 100;

/// Alerts of a round that are brought to the sink.
const DELIVERED: usize = 4_000;

/// How long that may take.
const PATIENCE: Duration = Duration::from_mins(2);

pub(crate) async fn measure(
    target: &Server,
    rounds: usize,
    turn: Duration,
    report: &mut Report,
) -> Result<(), Failure> {
    let series = |name: &str| Series::of(name, "alerts/s");
    let (mut one, mut many) = (series("stored, one at a time"), series("stored, 100 at a time"));
    let (mut floor_one, mut floor_many) =
        (series("SQLite alone, one at a time"), series("SQLite alone, 100 at a time"));
    let mut delivered = series("stored and delivered");
    for _ in 0..rounds {
        one.push(stored(1, turn).await?);
        floor_one.push(alone(1, turn)?);
        many.push(stored(AT_ONCE, turn).await?);
        floor_many.push(alone(AT_ONCE, turn)?);
        delivered.push(brought(&target.url()).await?);
    }
    report.limit(&many, Target::AtLeast(2000.0));
    report.limit(&delivered, Target::AtLeast(2000.0));
    for series in [one, floor_one, many, floor_many, delivered] {
        report.add(series);
    }
    report.note(
        "an alert is stored when it is on disk (fsync); SQLite alone writes the same text into a table without indexes, in \
         transactions of as many as are stored at a time",
    );
    Ok(())
}

/// Alerts a second that so many callers store, each waiting for the disk.
async fn stored(callers: usize, turn: Duration) -> Result<f64, Failure> {
    let directory = directory()?;
    // What is measured is not how old alerts make room for new ones.
    let store = open(directory.path(), Limits { entries: 1_000_000, bytes: 1 << 40, ..Limits::default() })?;
    let sinks = [sink("http://127.0.0.1:9/")];
    let number = Arc::new(AtomicUsize::new(0));
    let begun = Instant::now();
    let mut tasks = JoinSet::new();
    for _ in 0..callers {
        let (store, sinks, number) = (store.clone(), sinks.clone(), Arc::clone(&number));
        tasks.spawn(async move {
            while begun.elapsed() < turn {
                put(&store, &sinks, number.fetch_add(1, Ordering::Relaxed)).await?;
            }
            Ok::<(), Failure>(())
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended??;
    }
    Ok(real(number.load(Ordering::Relaxed)) / begun.elapsed().as_secs_f64())
}

async fn put(store: &Store, sinks: &[Sink], number: usize) -> Result<(), Failure> {
    let change = Change { entries: entries(sinks, [&alert(number)])?, ..Change::default() };
    match store.apply(change, now()).await? {
        Applied::Stored { dropped, .. } if dropped.is_empty() => Ok(()),
        other => Err(format!("an alert was not stored: {other:?}").into()),
    }
}

/// Alerts a second that SQLite stores with nothing around it.
fn alone(at_once: usize, turn: Duration) -> Result<f64, Failure> {
    let directory = directory()?;
    let database = Connection::open(directory.path().join("floor.db"))?;
    database.query_row("PRAGMA journal_mode = wal", (), |_| Ok(()))?;
    database
        .execute_batch("PRAGMA synchronous = FULL; CREATE TABLE alerts (notice TEXT NOT NULL) STRICT;")?;
    let begun = Instant::now();
    let mut number = 0;
    while begun.elapsed() < turn {
        database.execute_batch("BEGIN IMMEDIATE")?;
        for _ in 0..at_once {
            let text = serde_json::to_string(&alert(number))?;
            database.prepare_cached("INSERT INTO alerts VALUES (?)")?.execute([text])?;
            number += 1;
        }
        database.execute_batch("COMMIT")?;
    }
    Ok(real(number) / begun.elapsed().as_secs_f64())
}

/// Alerts a second from the first that is stored to the last that has arrived, as a daemon sends them.
async fn brought(url: &str) -> Result<f64, Failure> {
    let directory = directory()?;
    let store = open(Path::new(directory.path()), Limits::default())?;
    let sinks = vec![sink(url)];
    let sender = Sender::new(&Environment::default(), Arc::new(NoNames))?;
    let (arrived, troubles) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let listener = {
        let (arrived, troubles) = (Arc::clone(&arrived), Arc::clone(&troubles));
        move |event| {
            let counter = if matches!(event, Event::Arrived { .. }) { &arrived } else { &troubles };
            counter.fetch_add(1, Ordering::Relaxed);
        }
    };
    let settings = Settings::default();
    let courier =
        Courier::new(store.clone(), sinks.clone(), sender, Arc::new(now), Arc::new(listener), settings);
    let (end, ended) = oneshot::channel::<()>();
    let ending = async move {
        drop(ended.await);
        Ending::Land(Duration::from_secs(1))
    };
    let working = tokio::spawn(async move { courier.run(ending).await });
    let begun = Instant::now();
    let mut tasks = JoinSet::new();
    for caller in 0..AT_ONCE {
        let (store, sinks) = (store.clone(), sinks.clone());
        tasks.spawn(async move {
            for number in (caller..DELIVERED).step_by(AT_ONCE) {
                put(&store, &sinks, number).await?;
            }
            Ok::<(), Failure>(())
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended??;
    }
    while arrived.load(Ordering::Relaxed) < DELIVERED {
        if begun.elapsed() > PATIENCE {
            return Err(
                format!("only {} of {DELIVERED} alerts arrived", arrived.load(Ordering::Relaxed)).into()
            );
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let taken = begun.elapsed();
    drop(end);
    working.await?;
    match troubles.load(Ordering::Relaxed) {
        0 => Ok(real(DELIVERED) / taken.as_secs_f64()),
        troubles => Err(format!("{troubles} attempts to send came to nothing").into()),
    }
}

/// A sink without a pace of its own: PagerDuty takes 120 alerts a minute, and that would be what is measured.
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
        let body = serde_json::to_vec(notice).unwrap_or_default();
        let headers = vec![("content-type".into(), "application/json".to_owned())];
        vec![Transmission::Http(HttpRequest { method: "POST", url: self.url.clone(), headers, body })]
    }
    fn secrets(&self) -> Vec<String> {
        Vec::new()
    }
}

fn sink(url: &str) -> Sink {
    Sink { id: "page".to_owned(), notifier: Arc::new(Page { url: url.to_owned() }) }
}

/// The sink is known by its address.
struct NoNames;

impl Resolve for NoNames {
    fn resolve(&self, _: Name) -> Resolving {
        Box::pin(async { Err("there are no names here".into()) })
    }
}

fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

fn alert(number: usize) -> Notice {
    let probe = Identity {
        name: format!("shop.checkout-{number}"),
        kind: "integration".to_owned(),
        host: "staging".to_owned(),
        tags: vec!["team:shop".to_owned()],
    };
    Notice::Alert(Alert {
        action: Action::Trigger,
        subject: Subject::Target,
        dedup_key: format!("shop.checkout-{number}/staging"),
        probe,
        severity: Severity::Critical,
        summary: "shop.checkout failed on staging: expected status 200, got 503".to_owned(),
        details: [("output".to_owned(), "x".repeat(200))].into(),
        run: number.to_string(),
        at: now() / 1000,
        since: now() / 1000,
        reminder: false,
        route: Vec::new(),
    })
}
