//! The daemon with many probes: how late their runs begin, and what a probe holds of memory while it waits.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use docker_test::check::{Check, Surroundings};
use docker_test::environment::Environment;
use docker_test::harness::Probe;
use docker_test::harness::reporting::{Reporting, open};
use docker_test::notify::outbox::Sink;
use docker_test::notify::policy::Policy;
use docker_test::notify::send::Sender;
use docker_test::notify::{Notifier, from_environment};
use docker_test::plan::Retries;
use docker_test::probe::Identity;
use docker_test::redact::Redactor;
use docker_test::schedule::timetable::Missed;
use docker_test::watch::board::board;
use docker_test::watch::sinks::Sinks;
use docker_test::watch::{Daemon, Definition, Happening, Input, Means, Origin, Overlap, Source, Times};
use jiff::Timestamp;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::entry::{Failure, say};
use crate::server::Server;
use crate::table::{Report, Series, Target};
use crate::{FLAG, directory, real};

/// The child's task.
pub(crate) const TASK: &str = "watch";

/// Slots are so far apart, and runs are spread over all of it.
const INTERVAL: Duration = Duration::from_mins(1);

/// Every probe has run once by then.
const WATCHED: Duration = Duration::from_secs(70);

/// Runs that began this late or later are one in a hundred.
const PERCENT: usize = 99;

pub(crate) async fn measure(target: &Server, probes: usize, report: &mut Report) -> Result<(), Failure> {
    let directory = directory()?;
    let output = tokio::process::Command::from(Command::new(std::env::current_exe()?))
        .args([FLAG, TASK, &probes.to_string(), &target.url()])
        .arg(directory.path())
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await?;
    let text = String::from_utf8_lossy(&output.stdout);
    let numbers: Result<Vec<f64>, _> = text.split_whitespace().map(str::parse).collect();
    let Ok([idle, late, usual, runs]) =
        numbers.as_deref().map(|numbers| <[f64; 4]>::try_from(numbers).unwrap_or([f64::NAN; 4]))
    else {
        return Err(format!("cannot watch: {text}{}", String::from_utf8_lossy(&output.stderr)).into());
    };
    if runs.is_nan() {
        return Err(format!("cannot watch: {text}{}", String::from_utf8_lossy(&output.stderr)).into());
    }
    let one = |name: &str, unit, sample| {
        let mut series = Series::of(name, unit);
        series.push(sample);
        series
    };
    let idle = one("memory of an idle probe", "KB", idle);
    let late = one("schedule lag, p99", "ms", late);
    report.limit(&idle, Target::AtMost(4.0));
    report.limit(&late, Target::AtMost(50.0));
    for series in [idle, late, one("schedule lag, median", "ms", usual), one("runs", "", runs)] {
        report.add(series);
    }
    report.note(&format!(
        "the daemon had {probes} probes of one minute, each a request of HTTP, a store on disk, and metrics of each run for a sink that takes them"
    ));
    Ok(())
}

/// The child's side: prints KB of an idle probe, milliseconds of lag (p99 and median), and how many runs that is of.
pub(crate) fn watch(probes: &str, target: &str, directory: &Path) -> Result<(), Failure> {
    let probes: usize = probes.parse()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let roots = Arc::new(rustls::RootCertStore::empty());
        let surroundings = Surroundings::new(Vec::new(), directory.to_owned(), roots)?;
        let sender = Sender::new(&Environment::default(), surroundings.resolve())?;
        let opened = open(Some(directory))?;
        let (_board, desk) = board(opened.store.clone());
        let reporting =
            Reporting::begin(opened, sinks_at(target)?, sender, Policy::default(), Arc::new(|_| {}));
        let redactor = Arc::new(Redactor::new(std::iter::empty::<String>()));
        let means = Means { reporting, surroundings, redactor };
        let lags: Arc<Mutex<Vec<f64>>> = Arc::default();
        let observer = {
            let lags = Arc::clone(&lags);
            Arc::new(move |happening: &Happening<'_>| {
                if let Happening::Began { due: Some(due), .. } = happening {
                    // Its splay is part of it.
                    let late = Timestamp::now().duration_since(*due).as_secs_f64() * 1000.0;
                    lags.lock().unwrap_or_else(PoisonError::into_inner).push(late);
                }
            })
        };
        let sinks = Arc::new(Mutex::new(Sinks::default()));
        let clock = Arc::new(Timestamp::now);
        let mut daemon = Daemon::new(means, desk, sinks, "bench".to_owned(), clock, observer).await?;
        let before = resident()?;
        let (place, definitions) = ("docker-test.yaml".to_owned(), definitions(probes, target)?);
        daemon.take(Input::Probes { source: Source::File, place, definitions }).await;
        let idle = (resident()? - before) / real(probes);
        let stop = CancellationToken::new();
        let (_inputs, mut inputs) = mpsc::channel(1);
        let end = stop.clone();
        tokio::spawn(async move {
            tokio::time::sleep(WATCHED).await;
            end.cancel();
        });
        daemon.run(&mut inputs, &stop).await;
        let mut lags = lags.lock().unwrap_or_else(PoisonError::into_inner);
        lags.sort_by(f64::total_cmp);
        let at = |percent: usize| lags.get(lags.len() * percent / 100).copied();
        let (Some(late), Some(usual)) = (at(PERCENT), at(50)) else { return Err("no probe ran".into()) };
        if lags.len() < probes {
            return Err(format!("only {} runs of {probes} probes began", lags.len()).into());
        }
        say(&format!("{idle} {late} {usual} {}\n", lags.len()));
        Ok(())
    })
}

/// DataDog's, as a server of ours: each attempt and each run is stored, sent and taken.
fn sinks_at(target: &str) -> Result<Vec<Sink>, Failure> {
    let base = target.trim_end_matches("/health").to_owned();
    let switched = from_environment::sinks(&|name: &str| match name {
        "DD_API_KEY" => Some("0".repeat(32)),
        "DD_URL" => Some(base.clone()),
        _ => None,
    });
    let switched = switched.without_mistakes()?;
    let named =
        |notifier: Box<dyn Notifier>| Sink { id: notifier.name().to_owned(), notifier: Arc::from(notifier) };
    Ok(switched.sinks.into_iter().map(named).collect())
}

fn definitions(probes: usize, target: &str) -> Result<Vec<Definition>, Failure> {
    let policy = Arc::new(Policy::default());
    let definition = |number: usize| -> Result<Definition, Failure> {
        let check: Check = serde_json::from_value(serde_json::json!({ "http": target }))?;
        let identity = Identity {
            name: format!("shop.service-{number}"),
            kind: "integration".to_owned(),
            host: "staging".to_owned(),
            tags: Vec::new(),
        };
        let probe = Probe {
            identity,
            check,
            retries: Retries { count: 1, backoff: Duration::from_secs(1) },
            all_attempts: false,
            timeout: Duration::from_secs(10),
            cleanup: None,
            cleanup_timeout: Duration::ZERO,
        };
        Ok(Definition {
            probe: Arc::new(probe),
            origin: Origin::File { path: "docker-test.yaml".to_owned() },
            times: Some(Times {
                schedule: "R//PT1M".to_owned(),
                zone: None,
                splay: Some(INTERVAL),
                missed: Missed::default(),
                grace: INTERVAL,
                while_failing: None,
            }),
            overlap: Overlap::Skip,
            triggers: Vec::new(),
            policy: Arc::clone(&policy),
        })
    };
    (0..probes).map(definition).collect()
}

/// Memory of this process in KB, as the kernel counts it.
fn resident() -> Result<f64, Failure> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
    let units: f64 = line.trim().trim_end_matches("kB").trim().parse()?;
    // The kernel counts in units of 1,024 bytes.
    Ok(units * 1.024)
}
