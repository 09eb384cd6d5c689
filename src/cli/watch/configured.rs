//! What the daemon is configured with: the file, the variables, and what both give to runs.
//!
//! Owns the order of the two: sinks that the file does not name are switched on by variables, as for the harness.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use super::super::application::Running;
use super::super::flags::EngineFlags;
use super::super::flags::layers;
use super::super::harness::{machine, named};
use super::super::{connect, suite_file};
use super::{WatchArgs, WatchError, lines};
use crate::check::{Surroundings, Tester};
use crate::engine::glance::Glance;
use crate::environment::Environment;
use crate::error::Failure;
use crate::harness::now;
use crate::harness::reporting::{Opened, Reporting};
use crate::history::outbox::Store;
use crate::metadata::labels::{DEFAULT_TYPE, TYPE};
use crate::notify::from_environment;
use crate::notify::outbox::{Event, Listener, Sink};
use crate::notify::policy::Policy;
use crate::notify::send::{self, Sender};
use crate::redact::{Redactor, is_secret_name};
use crate::report::wording::count;
use crate::suite::select::{Candidate, Filter, Selection};
use crate::watch::following::LabelReader;
use crate::watch::sinks::Sinks;
use crate::watch::{Definition, Input, Means, SilenceRule, Source, definitions, labels};
use clap::Args as _;

/// What the daemon is configured with.
pub(in crate::cli) struct Configured {
    /// The file that it stands in, or would stand in.
    pub(super) path: PathBuf,
    /// Whether there is one.
    pub(super) has_file: bool,
    /// Its probes.
    pub(super) definitions: Vec<Definition>,
    pub(in crate::cli) sinks: Vec<Sink>,
    policy: Arc<Policy>,
    silences: Vec<SilenceRule>,
    /// The host in alerts about engine and sinks, and of probes that name none.
    pub(super) host: String,
    redactor: Arc<Redactor>,
    directory: PathBuf,
    filter: Vec<Filter>,
}

/// Reads it.
pub(in crate::cli) fn read(
    suite: Option<&Path>,
    filter: &[Filter],
    labels: bool,
    app: &Running,
) -> Result<Configured, Failure> {
    let environment = &app.environment;
    let current = environment.current_dir();
    let path = current.join(suite.unwrap_or_else(|| Path::new(suite_file::FILE)));
    let is_there = suite.is_some() || path.exists();
    let host = environment.non_empty("HOST").map_or_else(machine, str::to_owned);
    let (mut given, mut policy, mut silences, mut found) = (None, Arc::default(), Vec::new(), Vec::new());
    if is_there {
        let suite = suite_file::read_any(suite, environment, true)?;
        let configured = definitions(&suite, environment, &machine())?;
        for warning in &configured.warnings {
            lines::say(&format!("warning: {warning}"));
        }
        (given, policy) = (configured.sinks, configured.policy);
        (silences, found) = (configured.silences, configured.definitions);
    }
    if found.is_empty() && !labels {
        return Err(WatchError::Nothing.into());
    }
    let sinks = match given {
        Some(sinks) => sinks,
        None => named(from_environment::sinks(&|name| environment.variable(name).map(str::to_owned))?),
    };
    let keys = sinks.iter().flat_map(|sink| sink.notifier.secrets());
    let variables = environment.variables().filter(|(name, _)| is_secret_name(name));
    let redactor = Arc::new(Redactor::new(variables.map(|(_, value)| value.to_owned()).chain(keys)));
    let directory = path.parent().map_or_else(|| current.to_owned(), Path::to_owned);
    Ok(Configured {
        path,
        has_file: is_there,
        definitions: found,
        sinks,
        policy,
        silences,
        host,
        redactor,
        directory,
        filter: filter.to_vec(),
    })
}

impl Configured {
    /// What the daemon is told of it.
    pub(super) fn inputs(&self) -> [Input; 2] {
        [
            Input::Rules { policy: Arc::clone(&self.policy), silences: self.silences.clone() },
            Input::Probes {
                source: Source::File,
                place: self.path.display().to_string(),
                definitions: self.definitions.clone(),
            },
        ]
    }

    /// Whether probes wait for what happens on the engine.
    pub(super) fn needs_engine(&self) -> bool {
        self.definitions.iter().any(|definition| !definition.triggers.is_empty())
    }

    /// Reads labels of the engine's images and containers.
    pub(super) fn label_reader(&self) -> Box<LabelReader> {
        reader(Arc::new(RwLock::new(self.given())), self.filter.clone())
    }

    fn given(&self) -> labels::Given {
        labels::Given { host: self.host.clone(), policy: Arc::clone(&self.policy) }
    }

    pub(super) fn redactor(&self) -> Arc<Redactor> {
        Arc::clone(&self.redactor)
    }
}

/// Reads labels with what is given at that time.
fn reader(given: Arc<RwLock<labels::Given>>, filters: Vec<Filter>) -> Box<LabelReader> {
    let selection = Selection { filters, ..Selection::default() };
    Box::new(move |name, found, origin| {
        let test_type = found.get(TYPE).map_or(DEFAULT_TYPE, String::as_str);
        if !selection.matches(&Candidate { name, base: name, test_type, labels: found }) {
            return Ok(None);
        }
        let given = given.read().unwrap_or_else(PoisonError::into_inner);
        labels::definition(origin, found, &given).map_err(|error| Failure::from(error).chain().join(": "))
    })
}

/// The environment in which the engine is found that the flags choose.
fn engine_environment(flags: &EngineFlags, app: &Running) -> Environment {
    let environment = connect::environment(flags, &app.environment);
    match (&flags.host, &flags.context) {
        (Some(host), _) => environment.with("DOCKER_HOST", host.clone()),
        (None, Some(context)) => environment.with("DOCKER_HOST", "").with("DOCKER_CONTEXT", context.clone()),
        (None, None) => environment,
    }
}

/// docker-test itself.
fn program() -> PathBuf {
    std::env::current_exe().unwrap_or_else(|_| Tester::default().program)
}

/// A name for the engine that stays the same, whether it answers or not.
pub(super) fn engine_name(flags: &EngineFlags, app: &Running) -> String {
    let environment = connect::environment(flags, &app.environment);
    let chosen = flags.host.clone().or_else(|| flags.context.clone());
    let variable = || ["DOCKER_HOST", "DOCKER_CONTEXT"].iter().find_map(|name| environment.non_empty(name));
    chosen.or_else(|| variable().map(str::to_owned)).unwrap_or_else(|| "default".to_owned())
}

/// What of a configuration is asked for again and again, that of the last reload.
#[derive(Clone)]
pub(super) struct Current {
    given: Arc<RwLock<labels::Given>>,
    filter: Vec<Filter>,
    needs_engine: Arc<AtomicBool>,
}

impl Current {
    pub(super) fn of(configured: &Configured) -> Self {
        Self {
            given: Arc::new(RwLock::new(configured.given())),
            filter: configured.filter.clone(),
            needs_engine: Arc::new(AtomicBool::new(configured.needs_engine())),
        }
    }

    /// Another configuration takes its place.
    pub(super) fn adopt(&self, configured: &Configured) {
        *self.given.write().unwrap_or_else(PoisonError::into_inner) = configured.given();
        self.needs_engine.store(configured.needs_engine(), Ordering::Relaxed);
    }

    pub(super) fn label_reader(&self) -> Box<LabelReader> {
        reader(Arc::clone(&self.given), self.filter.clone())
    }

    pub(super) fn needs_engine(&self) -> bool {
        self.needs_engine.load(Ordering::Relaxed)
    }
}

/// What lasts from one configuration to the next.
pub(super) struct Kit {
    pub(super) store: Store,
    /// What is in it is there at the next start.
    pub(super) lasts: bool,
    pub(super) state: PathBuf,
    pub(super) sinks: Arc<Mutex<Sinks>>,
    pub(super) app: Running,
    pub(super) flags: EngineFlags,
    pub(super) current: Current,
}

impl Kit {
    /// What runs are given. From here on it is sent what waits.
    pub(super) fn means(&self, configured: &Configured) -> Result<Means, Failure> {
        // Runs of docker-test use the engine of the daemon.
        let environment = &engine_environment(&self.flags, &self.app);
        let variables = environment.variables().map(|(name, value)| (name.to_owned(), value.to_owned()));
        let roots = send::authorities(environment)?;
        let mut surroundings = Surroundings::new(variables.collect(), configured.directory.clone(), roots)?;
        surroundings.engine = Some(Glance::new(environment.clone(), connect::runtime_dir(environment)));
        surroundings.tester = tester();
        let sender = Sender::new(environment, surroundings.resolve())?;
        let opened = Opened::of(self.store.clone(), self.lasts, Some(&self.state));
        let (sinks, policy) = (configured.sinks.clone(), Policy::clone(&configured.policy));
        let reporting = Reporting::begin(opened, sinks, sender, policy, self.listener(&configured.redactor));
        Ok(Means { reporting, surroundings, redactor: Arc::clone(&configured.redactor) })
    }

    fn listener(&self, redactor: &Arc<Redactor>) -> Listener {
        let (sinks, redactor) = (Arc::clone(&self.sinks), Arc::clone(redactor));
        Arc::new(move |event| {
            sinks.lock().unwrap_or_else(PoisonError::into_inner).take(&event, now());
            let line = match event {
                Event::Refused { sink, reason, .. } => format!("{sink} refuses what it was sent: {reason}"),
                Event::Expired { alerts, .. } if alerts > 0 => {
                    format!("{} could not be sent in time", count(alerts, "alert"))
                }
                Event::StoreFailed(error) => {
                    format!("the store fails: {}", Failure::from(error).chain().join(": "))
                }
                _ => return,
            };
            lines::say(&redactor.redact(&line));
        })
    }
}

/// docker-test itself, and the variables that set flags of the daemon alone.
fn tester() -> Tester {
    let command = WatchArgs::augment_args(clap::Command::new("watch"));
    let is_own = |arg: &&clap::Arg| {
        layers::settable(arg) && ["once", "dry_run", "format", "verbose"].contains(&arg.get_id().as_str())
    };
    Tester {
        program: program(),
        without: command.get_arguments().filter(is_own).map(layers::variable).collect(),
    }
}
