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
use super::super::{connect, secrets, suite_file};
use super::voice::Voice;
use super::{WatchArgs, WatchError, lines, serving};
use crate::check::{Surroundings, Tester};
use crate::engine::glance::Glance;
use crate::environment::Environment;
use crate::error::Failure;
use crate::harness::now;
use crate::harness::reporting::{Opened, Reporting};
use crate::history::outbox::Store;
use crate::metadata::labels::{DEFAULT_TYPE, TYPE};
use crate::notify::configured::alerted;
use crate::notify::from_environment;
use crate::notify::outbox::{Event, Listener, Sink};
use crate::notify::policy::Policy;
use crate::notify::send::{self, Sender};
use crate::plan::build::BuildSpec;
use crate::redact::{Redactor, Secrets};
use crate::report::wording::count;
use crate::suite::select::{Candidate, Filter, Selection};
use crate::watch::following::LabelReader;
use crate::watch::sinks::Sinks;
use crate::watch::{self, Definition, Input, Means, SilenceRule, Source, definitions, labels};
use clap::Args as _;

/// Configurations whose secrets are hidden, that of the last reload and those before it: runs that began with them may not
/// be over, and a probe of theirs may begin before it is replaced.
const GENERATIONS: usize = 3;

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
    secrets: Secrets,
    redactor: Arc<Redactor>,
    directory: PathBuf,
    filter: Vec<Filter>,
}

/// Reads it.
pub(in crate::cli) fn read(
    suite: Option<&Path>,
    filter: &[Filter],
    labels: bool,
    redact: &[String],
    app: &Running,
) -> Result<Configured, Failure> {
    let environment = &app.environment;
    let current = environment.current_dir();
    let path = current.join(suite.unwrap_or_else(|| Path::new(suite_file::FILE)));
    let is_there = suite.is_some() || path.exists();
    let machine = machine(environment);
    let host = environment.non_empty("HOST").unwrap_or(&machine).to_owned();
    let mut read = if is_there {
        definitions(&suite_file::read_any(suite, environment, true)?, environment, &machine)?
    } else {
        watch::Configured::default()
    };
    let sinks = if let Some(sinks) = read.sinks.take() {
        sinks
    } else {
        let switched = from_environment::sinks(&|name| environment.variable(name).map(str::to_owned));
        // A daemon is started by somebody who can mend it, and would run on without for long.
        let mut switched = switched.without_mistakes()?;
        read.warnings.splice(0..0, std::mem::take(&mut switched.warnings));
        named(switched.sinks)
    };
    read.reach(&sinks.iter().map(|sink| sink.notifier.name().to_owned()).collect());
    let mut secrets = read.held(redact);
    secrets.extend(secrets::values(environment, redact, &[], &BuildSpec::default()));
    secrets.extend(sinks.iter().flat_map(|sink| sink.notifier.secrets()));
    let redactor = Arc::new(Redactor::new(secrets.clone()));
    warn(&read, &redactor);
    if read.definitions.is_empty() && !labels {
        return Err(WatchError::Nothing.into());
    }
    let directory = path.parent().map_or_else(|| current.to_owned(), Path::to_owned);
    Ok(Configured {
        path,
        has_file: is_there,
        definitions: read.definitions,
        sinks,
        policy: read.policy,
        silences: read.silences,
        host,
        secrets,
        redactor,
        directory,
        filter: filter.to_vec(),
    })
}

/// Says what works and is most likely not meant.
fn warn(read: &watch::Configured, redactor: &Redactor) {
    let say = |warning: &str| lines::say(&redactor.redact(&format!("warning: {warning}")));
    read.warnings.iter().for_each(|warning| say(warning));
    for (place, directory) in read.directories.iter().filter(|(_, directory)| !directory.is_dir()) {
        say(&format!(
            "{place}: expected a directory that is there, and {} is none: make it, and let this user write to it",
            directory.display()
        ));
    }
}

/// What a command sends with that is no daemon.
pub(in crate::cli) fn sender(app: &Running) -> Result<Sender, Failure> {
    let environment = &app.environment;
    let roots = send::authorities(environment)?;
    let surroundings = Surroundings::new(Vec::new(), environment.current_dir().to_owned(), roots)?;
    Ok(Sender::new(environment, surroundings.resolve())?)
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

    /// Says once that nobody would hear of a failure: without a sink for alerts that is easily overlooked.
    pub(super) fn warn_where_nobody_is_paged(&self) {
        let is_alerted = |sink: &Sink| alerted().any(|kind| kind == sink.notifier.name());
        if !self.sinks.iter().any(is_alerted) {
            let kinds = alerted().collect::<Vec<_>>().join(", ");
            lines::say(&format!(
                "warning: no sink for alerts is configured ({kinds}): results are measured, and nobody is paged; \
                 add one under `notify`, and see `docker-test doctor`"
            ));
        }
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

    pub(in crate::cli) fn redactor(&self) -> Arc<Redactor> {
        Arc::clone(&self.redactor)
    }

    /// Hides also what those before it did.
    pub(super) fn after(mut self, current: &Current) -> Self {
        let hidden = current.hidden.read().unwrap_or_else(PoisonError::into_inner);
        let earlier = hidden.generations.iter().take(GENERATIONS - 1).flat_map(Secrets::clone);
        self.redactor = Arc::new(Redactor::new(earlier.chain(self.secrets.clone())));
        self
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
    hidden: Arc<RwLock<Hidden>>,
}

/// The secrets of configurations, the last one first, and what hides all of them.
struct Hidden {
    generations: Vec<Secrets>,
    redactor: Arc<Redactor>,
}

impl Current {
    pub(super) fn of(configured: &Configured) -> Self {
        Self {
            given: Arc::new(RwLock::new(configured.given())),
            filter: configured.filter.clone(),
            needs_engine: Arc::new(AtomicBool::new(configured.needs_engine())),
            hidden: Arc::new(RwLock::new(Hidden {
                generations: vec![configured.secrets.clone()],
                redactor: configured.redactor(),
            })),
        }
    }

    /// Another configuration takes its place, made to come [after](Configured::after) it.
    pub(super) fn adopt(&self, configured: &Configured) {
        *self.given.write().unwrap_or_else(PoisonError::into_inner) = configured.given();
        self.needs_engine.store(configured.needs_engine(), Ordering::Relaxed);
        let mut hidden = self.hidden.write().unwrap_or_else(PoisonError::into_inner);
        hidden.generations.insert(0, configured.secrets.clone());
        hidden.generations.truncate(GENERATIONS);
        hidden.redactor = configured.redactor();
    }

    /// Hides the secrets of this configuration, and those of the ones before.
    pub(super) fn redact(&self, text: &str) -> String {
        let hidden = self.hidden.read().unwrap_or_else(PoisonError::into_inner);
        hidden.redactor.redact(text).into_owned()
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
    pub(super) voice: Voice,
    /// It does not end after what is due.
    pub(super) goes_on: bool,
    /// What jobs before this one have told is not in the store.
    pub(super) begins_anew: bool,
}

impl Kit {
    /// What runs are given. From here on it is sent what waits.
    pub(super) fn means(&self, configured: &Configured) -> Result<Means, Failure> {
        // Runs of docker-test use the engine of the daemon.
        let environment = &engine_environment(&self.flags, &self.app);
        let variables = environment
            .variables()
            .filter(|(name, _)| *name != serving::TOKEN)
            .map(|(name, value)| (name.to_owned(), value.to_owned()));
        let roots = send::authorities(environment)?;
        let mut surroundings = Surroundings::new(variables.collect(), configured.directory.clone(), roots)?;
        surroundings.engine = Some(Glance::new(environment.clone(), connect::runtime_dir(environment)));
        surroundings.tester = tester();
        let sender = Sender::new(environment, surroundings.resolve())?;
        let opened = Opened::of(self.store.clone(), self.lasts, Some(&self.state));
        let opened = if self.begins_anew { opened.anew() } else { opened };
        let (sinks, policy) = (configured.sinks.clone(), Policy::clone(&configured.policy));
        let listener = self.listener(&configured.redactor);
        let reporting = Reporting::begin(opened, sinks, sender, policy, listener);
        let reporting = if self.goes_on { reporting.for_many_runs() } else { reporting };
        let surroundings = surroundings.hiding(&configured.redactor);
        Ok(Means { reporting, surroundings, redactor: Arc::clone(&configured.redactor) })
    }

    fn listener(&self, redactor: &Arc<Redactor>) -> Listener {
        let (sinks, redactor) = (Arc::clone(&self.sinks), Arc::clone(redactor));
        let voice = self.voice.clone();
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
            voice.note(lines::own(&redactor.redact(&line)));
        })
    }
}

/// docker-test itself, and the variables that set flags of the daemon alone.
fn tester() -> Tester {
    let command = WatchArgs::augment_args(clap::Command::new("watch"));
    let is_own = |arg: &&clap::Arg| {
        layers::settable(arg)
            && ["once", "dry_run", "format", "verbose", "listen", "token_file"]
                .contains(&arg.get_id().as_str())
    };
    Tester {
        program: program(),
        without: command.get_arguments().filter(is_own).map(layers::variable).collect(),
    }
}
