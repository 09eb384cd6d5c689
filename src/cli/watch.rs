//! `docker-test watch`: the daemon for probes on one machine.
//!
//! Owns its flags, what is read at the start and again at each reload, and the lines that people see. When a run begins
//! is [`crate::watch`]'s.

mod attending;
pub(super) mod configured;
mod descriptors;
mod lines;
mod listing;
mod serving;
mod voice;

use std::fs::{File, TryLockError};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use clap::Args;
use jiff::Timestamp;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::application::Running;
use super::flags::EngineFlags;
use super::flags::output::Format;
use super::{leftovers, terminal};
use crate::error::{Category, Diagnose, Failure};
use crate::exit_code::ExitCode;
use crate::harness::reporting;
use crate::metadata::duration;
use crate::notify::outbox::Flushed;
use crate::probe::Verdict;
use crate::signal;
use crate::status;
use crate::suite::select::Filter;
use crate::watch::{Daemon, Input, board};
use voice::Voice;

/// Inputs that may wait for the daemon.
const INPUTS: usize = 256;
/// Keeps a second daemon away from the same state.
const LOCK: &str = "watch.lock";

/// Flags of `watch`.
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag")]
pub(super) struct WatchArgs {
    /// The suite whose probes are watched (default: docker-test.yaml of this directory, where there is one).
    #[arg(long, value_name = "FILE")]
    suite: Option<PathBuf>,
    /// Run what is due now, send what waits, and exit: for cron and Kubernetes.
    #[arg(long)]
    once: bool,
    /// Show what is watched and when each probe runs next; run and send nothing.
    #[arg(long, conflicts_with = "once")]
    dry_run: bool,
    /// Do not look for probes in the labels of images and containers.
    #[arg(long)]
    no_labels: bool,
    /// Of images and containers, watch those alone that bear this label: label=NAME or label=NAME=VALUE. May be repeated.
    #[arg(long, value_name = "FILTER", value_parser = Filter::parse)]
    filter: Vec<Filter>,
    /// Where is kept what is open, what is silenced and what is not sent yet (default: as for `docker-test history`).
    #[arg(long, value_name = "DIR")]
    state_dir: Option<PathBuf>,
    /// How long sending may take when the daemon ends.
    #[arg(long, value_name = "DURATION", value_parser = duration::parse, default_value = "10s")]
    send_timeout: Duration,
    /// Serve a status page here: 127.0.0.1:8099. An address that other machines reach needs a token.
    #[arg(long, value_name = "ADDRESS", value_parser = status::address, conflicts_with_all = ["once", "dry_run"])]
    listen: Option<SocketAddr>,
    /// File with the token that lets people act on the status page (default: the variable `DOCKER_TEST_WATCH_TOKEN`).
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Hide the value of this variable in everything that is printed, sent or kept. May be repeated.
    #[arg(long, value_name = "NAME")]
    redact: Vec<String>,
    /// What stdout carries: nothing, or one event a line as JSON.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// Say something about each run, also about those that passed.
    #[arg(short, long)]
    verbose: bool,
    #[command(flatten)]
    engine: EngineFlags,
}

/// The daemon cannot begin.
#[derive(Debug, thiserror::Error)]
enum WatchError {
    #[error("there is nothing to watch: no docker-test.yaml with probes here, and --no-labels")]
    Nothing,
    #[error("another docker-test watch works in {}", .0.display())]
    Locked(PathBuf),
    #[error("cannot {operation} {}", path.display())]
    Inaccessible { operation: &'static str, path: PathBuf, source: std::io::Error },
    #[error("cannot listen for SIGHUP")]
    Hangup(#[source] std::io::Error),
}

impl Diagnose for WatchError {
    fn category(&self) -> Category {
        match self {
            Self::Nothing | Self::Locked(_) => Category::User,
            Self::Inaccessible { .. } | Self::Hangup(_) => Category::Environment,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Nothing => Some("add `probes` to docker-test.yaml, or name it with --suite".to_owned()),
            Self::Locked(_) => {
                Some("one daemon a state directory: give this one another with --state-dir".to_owned())
            }
            Self::Inaccessible { .. } | Self::Hangup(_) => None,
        }
    }
}

impl WatchArgs {
    /// Whether it ends by itself.
    pub(super) const fn is_once(&self) -> bool {
        self.once || self.dry_run
    }
}

pub(super) async fn execute(args: WatchArgs, app: Running) -> Result<ExitCode, Failure> {
    let app = serving::with_token(&args, app)?;
    let configured =
        configured::read(args.suite.as_deref(), &args.filter, !args.no_labels, &args.redact, &app)?;
    configured.warn_where_nobody_is_paged();
    if args.dry_run {
        return listing::execute(&args, configured, &app).await;
    }
    let state = match &args.state_dir {
        Some(directory) => app.environment.current_dir().join(directory),
        None => app.state_dir()?,
    };
    descriptors::raise_limit();
    let _lock = lock_or_say(&state)?;
    leftovers::end(lines::say).await;
    let mut opened = reporting::open(Some(&state))?;
    if let Some(problem) = opened.problem.take() {
        let state = state.display();
        lines::say(&format!(
            "the state in {state} cannot be used, and the daemon goes on without: {}",
            Failure::from(problem).chain().join(": ")
        ));
    }
    if let Some(aside) = &opened.set_aside {
        let aside = aside.display();
        lines::say(&format!("the state was damaged: it is kept as {aside}, and a new one is begun"));
    }
    let (store, lasts) = (opened.store.clone(), opened.lasts);
    let sinks = Arc::new(Mutex::default());
    let flags = args.engine.clone();
    let voice = Voice::new(args.once);
    let kit = configured::Kit {
        store: store.clone(),
        lasts,
        state: state.clone(),
        sinks: Arc::clone(&sinks),
        app: app.clone(),
        flags,
        current: configured::Current::of(&configured),
        voice: voice.clone(),
        goes_on: !args.once,
        // A daemon whose state is new is most likely the first one. A job may have had another directory each time.
        begins_anew: args.once && opened.is_new,
    };
    let means = kit.means(&configured)?;
    let (board, desk) = board::board(store);
    let page = serving::begin(&args, board, &app).await?;
    let observer = lines::observer(args.format, args.verbose, kit.current.clone(), voice.clone());
    let host = configured.host.clone();
    let mut daemon = Daemon::new(means, desk, sinks, host, Arc::new(Timestamp::now), observer).await?;
    let (sender, mut inputs) = mpsc::channel(INPUTS);
    let stop = CancellationToken::new();
    let code = if args.once {
        once(&mut daemon, &args, &configured, &app, &stop, (&sender, &mut inputs)).await
    } else {
        let tasks = attending::begin(&args, &configured, &app, kit, &sender)?;
        for input in configured.inputs() {
            daemon.take(input).await;
        }
        daemon.desk_is_ready();
        let mut interrupts = app.interrupts.clone();
        let asked = async {
            signal::wait_for(&mut interrupts, 1).await;
            stop.cancel();
        };
        tokio::join!(daemon.run(&mut inputs, &stop), asked);
        tasks.abort();
        page.abort();
        // It was asked to end, and did so in order.
        ExitCode::Success
    };
    let sent = daemon.means().reporting.finish(args.send_timeout).await;
    voice.flush();
    for Flushed { sink, waiting, reason, .. } in sent {
        if waiting > 0 {
            let fate =
                if lasts { "the next start sends it" } else { "it is lost, without a state directory" };
            let why = reason.map(|reason| format!(" ({reason})")).unwrap_or_default();
            lines::say(&format!("{sink} has not taken everything{why}: {fate}"));
        }
    }
    Ok(code)
}

/// Runs what is due, with the probes of the engine where one answers.
async fn once(
    daemon: &mut Daemon,
    args: &WatchArgs,
    configured: &configured::Configured,
    app: &Running,
    stop: &CancellationToken,
    (inputs, taken): (&mpsc::Sender<Input>, &mut mpsc::Receiver<Input>),
) -> ExitCode {
    for input in configured.inputs() {
        daemon.take(input).await;
    }
    let mut code = ExitCode::Success;
    if !args.no_labels {
        let reader = configured.label_reader();
        let looking = attending::discover_once(&args.engine, app, &*reader, inputs);
        tokio::pin!(looking);
        loop {
            tokio::select! {
                found = &mut looking => {
                    if let Err(failure) = found {
                        // Without it there may be nothing that is watched at all.
                        if configured.needs_engine() || configured.definitions.is_empty() {
                            terminal::report_failure(&failure, &configured.redactor());
                            code = ExitCode::Error;
                        } else {
                            let why = failure.chain().join(": ");
                            lines::say(&format!("labels are not looked at: {why}"));
                        }
                    }
                    break;
                }
                Some(input) = taken.recv() => daemon.take(input).await,
            }
        }
        while let Ok(input) = taken.try_recv() {
            daemon.take(input).await;
        }
    }
    let mut interrupts = app.interrupts.clone();
    let asked = async {
        let state = signal::wait_for(&mut interrupts, 1).await;
        stop.cancel();
        std::future::pending::<()>().await;
        state
    };
    let worst = tokio::select! {
        worst = daemon.run_once(stop) => worst,
        _ = asked => None,
    };
    let interrupts = *app.interrupts.borrow();
    if interrupts.count > 0 {
        return ExitCode::Signal(interrupts.signal);
    }
    code.worst(match worst {
        Some(Verdict::Failed) => ExitCode::TestsFailed,
        Some(Verdict::Errored) => ExitCode::Error,
        _ => ExitCode::Success,
    })
}

/// A directory that cannot be written is no reason not to watch: what is known is known in memory then.
fn lock_or_say(state: &Path) -> Result<Option<File>, Failure> {
    match lock(state) {
        Ok(lock) => Ok(Some(lock)),
        Err(error @ WatchError::Inaccessible { .. }) => {
            lines::say(&format!("the state does not last: {}", Failure::from(error).chain().join(": ")));
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}

/// One daemon a state directory: two would run and page everything twice. Held until the process ends, however it ends.
fn lock(state: &Path) -> Result<File, WatchError> {
    let path = state.join(LOCK);
    let failed = |operation| {
        let path = path.clone();
        move |source| WatchError::Inaccessible { operation, path, source }
    };
    std::fs::create_dir_all(state).map_err(failed("create"))?;
    let file =
        File::options().create(true).truncate(false).write(true).open(&path).map_err(failed("open"))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(WatchError::Locked(state.to_owned())),
        Err(TryLockError::Error(source)) => Err(failed("lock")(source)),
    }
}
