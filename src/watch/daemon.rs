//! The loop of the daemon: what is due begins, what is over is told of, what is asked for is done.
//!
//! Owns the probes and their order in time. Waits for nothing but the next thing to happen: runs, sinks and the store have
//! tasks of their own, so that one probe that hangs delays no other.

mod asked;
mod happening;
mod input;
mod running;
mod ticking;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::num::NonZero;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, PoisonError};
use std::thread;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::board::{Desk, Health};
use super::entry::Entry;
use super::progress::{self, Kept};
use super::run::{Done, Means, Tools};
use super::silenced::{Asked, Silences};
use super::sinks::Sinks;
use crate::harness::reporting::Gone;
use crate::history::HistoryError;
use crate::notify::policy::{Condition, Policy, ProbeState};
use crate::probe::Verdict;

pub use happening::{Happening, Observer};
pub use input::{Input, Source};

/// The clock is looked at so often, whatever is due: it may have been set.
const LOOK: Duration = Duration::from_secs(1);
/// Runs that were due before the daemon started begin one after the other, so far apart.
const APART: Duration = Duration::from_millis(10);
/// All of them within this.
const ALL_WITHIN: Duration = Duration::from_mins(1);
/// What is stored beside the loop is waited for so long when the daemon ends.
const PATIENCE: Duration = Duration::from_secs(10);
/// So many runs for each processor are under way at once where all that is due begins together: a run waits for others
/// most of the time, and a command that does not is not starved.
const A_PROCESSOR: usize = 8;
/// But no fewer, so that a few that hang do not hold up all others.
const LEAST_AT_ONCE: usize = 32;
/// And no more: each may take a few descriptors, of which a process has 1,024 as a rule.
const MOST_AT_ONCE: usize = 256;
/// The kind of memos of silences.
const SILENCE: &str = "silence";

/// Gives the time.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// Both ends.
type Channel<T> = (mpsc::UnboundedSender<T>, mpsc::UnboundedReceiver<T>);

/// The engine whose labels are looked at, if any.
enum Labels {
    /// It was not said yet.
    Unknown,
    Of(Option<String>),
}

/// The daemon.
pub struct Daemon {
    tools: Arc<Tools>,
    desk: Desk,
    clock: Clock,
    observer: Observer,
    sinks: Arc<std::sync::Mutex<Sinks>>,
    /// The host in alerts about engine and sinks.
    host: String,
    policy: Arc<Policy>,
    entries: BTreeMap<String, Entry>,
    agenda: BTreeSet<(Timestamp, String)>,
    /// What is remembered of probes that are not there (yet): by key.
    kept: BTreeMap<String, Kept>,
    labels: Labels,
    /// Probes that were retired before their last run was over.
    late: Vec<Gone>,
    /// What is stored and told beside the loop.
    beside: TaskTracker,
    health: Health,
    problems: BTreeMap<String, String>,
    conditions: BTreeMap<String, Condition>,
    /// What became of steps that were taken beside the loop.
    stepped: Channel<(String, ProbeState)>,
    reminding: Arc<AtomicBool>,
    under_way: usize,
    /// How many runs have begun.
    runs: u64,
    worst: Option<Verdict>,
    done: Channel<Done>,
}

impl Daemon {
    /// Reads what is remembered. Runs nothing yet.
    pub async fn new(
        means: Means,
        desk: Desk,
        sinks: Arc<std::sync::Mutex<Sinks>>,
        host: String,
        clock: Clock,
        observer: Observer,
    ) -> Result<Self, HistoryError> {
        let now = clock();
        let tools = Tools::new(means);
        let store = tools.store.clone();
        let mut kept = BTreeMap::new();
        for memo in store.memos(progress::KIND).await? {
            if let Some(read) = Kept::read(&memo) {
                kept.insert(memo.name, read);
            }
        }
        let mut silences = Silences::default();
        for memo in store.memos(SILENCE).await? {
            if let Ok(asked) = serde_json::from_str::<Asked>(&memo.text)
                && let Err(error) = silences.add(memo.name, asked)
            {
                observer(&Happening::Problem(&format!("a silence cannot be read and is not kept: {error}")));
            }
        }
        *tools.silences.write().unwrap_or_else(PoisonError::into_inner) = silences;
        let mut conditions = BTreeMap::new();
        for memo in store.memos(ticking::CONDITION).await? {
            if let Ok(condition) = serde_json::from_str(&memo.text) {
                conditions.insert(memo.name, condition);
            }
        }
        let health = Health { started_at: now.as_second(), ..Health::default() };
        let mut daemon = Self {
            tools: Arc::new(tools),
            desk,
            clock,
            observer,
            sinks,
            host,
            policy: Arc::new(Policy::default()),
            entries: BTreeMap::new(),
            agenda: BTreeSet::new(),
            kept,
            labels: Labels::Unknown,
            late: Vec::new(),
            beside: TaskTracker::new(),
            health,
            problems: BTreeMap::new(),
            conditions,
            stepped: mpsc::unbounded_channel(),
            reminding: Arc::default(),
            under_way: 0,
            runs: 0,
            worst: None,
            done: mpsc::unbounded_channel(),
        };
        daemon.show_silences();
        daemon.show_health();
        // A daemon that was killed may have had no time for it.
        daemon.forget_runs();
        Ok(daemon)
    }

    /// What its runs are given now.
    #[must_use]
    pub fn means(&self) -> Arc<Means> {
        self.tools.means()
    }

    /// Its configuration has been read.
    pub fn desk_is_ready(&mut self) {
        self.health.is_ready = true;
        self.show_health();
    }

    /// Works until `stop`; then stops what is under way, and waits for its cleanups.
    pub async fn run(&mut self, inputs: &mut mpsc::Receiver<Input>, stop: &CancellationToken) {
        let mut next_tick = Instant::now() + ticking::INTERVAL;
        loop {
            let wake = self.begin_what_is_due();
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                Some(done) = self.done.1.recv() => self.over(&done),
                Some((name, state)) = self.stepped.1.recv() => self.take_step(&name, &state),
                Some(request) = self.desk.requests.recv() => self.answer(request).await,
                Some(input) = inputs.recv() => self.take(input).await,
                () = tokio::time::sleep_until(next_tick) => {
                    self.tick().await;
                    next_tick = Instant::now() + ticking::INTERVAL;
                }
                () = tokio::time::sleep(wake) => {}
            }
        }
        self.end().await;
    }

    /// Runs what is due now, or of which no run is known, and nothing more; not all of it at the same time. Gives the worst
    /// of what it came to, where anything was run.
    pub async fn run_once(&mut self, stop: &CancellationToken) -> Option<Verdict> {
        let now = (self.clock)();
        let names: Vec<String> = self.entries.keys().cloned().collect();
        for name in names {
            if let Some(entry) = self.entries.get_mut(&name) {
                entry.reckon(now);
            }
            self.place(&name);
        }
        // What becomes due meanwhile is the next start's.
        let due = self.agenda.iter().take_while(|(at, _)| *at <= now);
        let mut due: VecDeque<String> = due.map(|(_, name)| name.clone()).collect();
        let most = at_once();
        loop {
            while self.under_way < most
                && let Some(name) = due.pop_front()
            {
                // Its time was when this began: one that has waited is not late.
                self.look(&name, now);
            }
            if self.under_way == 0 {
                break;
            }
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                Some(done) = self.done.1.recv() => self.over(&done),
            }
        }
        self.tick().await;
        self.end().await;
        self.worst
    }

    async fn end(&mut self) {
        for entry in self.entries.values_mut() {
            entry.stop();
        }
        while self.under_way > 0 {
            let Some(done) = self.done.1.recv().await else { break };
            self.finish(&done, false);
        }
        self.close_late().await;
        for entry in self.entries.values() {
            self.tools.remember(entry.kept()).await;
        }
        self.beside.close();
        // A store that hangs does not hold up the end.
        let _hangs = tokio::time::timeout(PATIENCE, self.beside.wait()).await;
    }

    /// Begins all runs whose time has come, and says for how long nothing is due.
    fn begin_what_is_due(&mut self) -> Duration {
        loop {
            let now = (self.clock)();
            match self.agenda.first() {
                Some((at, _)) if *at <= now => {}
                Some((at, _)) => {
                    let wait = Duration::try_from(now.duration_until(*at)).unwrap_or_default();
                    return wait.min(LOOK);
                }
                None => return LOOK,
            }
            let Some((_, name)) = self.agenda.pop_first() else { continue };
            if let Some(entry) = self.entries.get_mut(&name) {
                entry.placed = None;
            }
            self.look(&name, now);
        }
    }

    fn look(&mut self, name: &str, now: Timestamp) {
        let Some(entry) = self.entries.get_mut(name) else { return };
        let step = entry.look(now);
        let kept = entry.kept();
        if step.skipped > 0 {
            (self.observer)(&Happening::Skipped { probe: name, runs: step.skipped });
        }
        if let Some(expected_at) = step.overdue {
            self.tell_overdue(name, expected_at);
        }
        if step.begins {
            self.begin(name, step.due, (self.clock)());
        } else {
            // A slot that is passed over is passed over for good.
            let tools = Arc::clone(&self.tools);
            self.beside.spawn(async move { tools.remember(kept).await });
        }
        self.place(name);
    }

    fn take_step(&mut self, name: &str, state: &ProbeState) {
        if let Some(entry) = self.entries.get_mut(name) {
            entry.take_state(state);
            self.place(name);
        }
    }

    /// Puts a probe where it belongs: on the agenda, and on the board.
    fn place(&mut self, name: &str) {
        let Some(entry) = self.entries.get_mut(name) else { return };
        if entry.placed != entry.at {
            if let Some(placed) = entry.placed {
                self.agenda.remove(&(placed, name.to_owned()));
            }
            if let Some(at) = entry.at {
                self.agenda.insert((at, name.to_owned()));
            }
            entry.placed = entry.at;
        }
        let now = (self.clock)().as_second();
        let silenced_until = self.tools.silenced_until(name, now);
        if entry.view.silenced_until != silenced_until {
            Arc::make_mut(&mut entry.view).silenced_until = silenced_until;
        }
        self.desk.show(Arc::clone(&entry.view));
    }

    fn unplace(&mut self, name: &str) {
        if let Some(placed) = self.entries.get_mut(name).and_then(|entry| entry.placed.take()) {
            self.agenda.remove(&(placed, name.to_owned()));
        }
    }

    /// Something is wrong, or not any more.
    fn problem(&mut self, about: &str, problem: Option<String>) {
        // An error may quote what stands in a file, or what a server has said.
        let redactor = Arc::clone(&self.tools.means().redactor);
        let problem = problem.map(|problem| redactor.redact(&problem).into_owned());
        match problem {
            Some(problem) if self.problems.get(about) != Some(&problem) => {
                (self.observer)(&Happening::Problem(&problem));
                self.problems.insert(about.to_owned(), problem);
            }
            None if self.problems.remove(about).is_some() => {}
            _ => return,
        }
        self.show_health();
    }

    fn show_health(&mut self) {
        self.health.problems = self.problems.values().cloned().collect();
        self.desk.show_health(self.health.clone());
    }
}

/// How many runs are under way at the same time where all that is due begins together. The rest waits in its order.
fn at_once() -> usize {
    let processors = thread::available_parallelism().map_or(1, NonZero::get);
    processors.saturating_mul(A_PROCESSOR).clamp(LEAST_AT_ONCE, MOST_AT_ONCE)
}

#[cfg(test)]
mod tests;
