//! The loop of the daemon: what is due begins, what is over is told of, what is asked for is done.
//!
//! Owns the probes and their order in time. Waits for nothing but the next thing to happen: runs, sinks and the store have
//! tasks of their own, so that one probe that hangs delays no other.

mod input;
mod ticking;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::board::{Desk, Health, Request, RequestError};
use super::entry::Entry;
use super::progress::{self, Kept};
use super::run::{Done, Means, Tools};
use super::silenced::{Asked, Silences};
use super::sinks::Sinks;
use crate::history::HistoryError;
use crate::history::outbox::Memo;
use crate::notify::Alert;
use crate::notify::policy::{Condition, Policy, ProbeState, Silence};
use crate::probe::{ProbeRun, Verdict};

pub use input::{Input, Source};

/// The clock is looked at so often, whatever is due: it may have been set.
const LOOK: Duration = Duration::from_secs(1);
/// Runs that were due before the daemon started begin one after the other, so far apart.
const APART: Duration = Duration::from_millis(10);
/// All of them within this.
const ALL_WITHIN: Duration = Duration::from_mins(1);
/// The kind of memos of silences.
const SILENCE: &str = "silence";

/// Something that people may want to see.
#[derive(Debug)]
pub enum Happening<'a> {
    /// These many probes are watched now.
    Watching(usize),
    /// A run begins.
    Began {
        /// The probe.
        probe: &'a str,
        /// When it was due, where it is one of the schedule.
        due: Option<Timestamp>,
        /// When it begins.
        at: Timestamp,
    },
    /// A run is over, and this is what people were told because of it.
    Ended {
        /// What it came to.
        run: &'a ProbeRun,
        /// The alerts.
        alerts: &'a [Alert],
    },
    /// A run was stopped: its verdict says nothing.
    Stopped {
        /// The probe.
        probe: &'a str,
    },
    /// Runs were passed over, because one was under way or their time was over.
    Skipped {
        /// The probe.
        probe: &'a str,
        /// How many.
        runs: u64,
    },
    /// Something is wrong with the daemon or its surroundings.
    Problem(&'a str),
}

/// Is told what happens. It must not wait.
pub type Observer = Arc<dyn Fn(&Happening<'_>) + Send + Sync>;

/// Gives the time.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// Both ends.
type Channel<T> = (mpsc::UnboundedSender<T>, mpsc::UnboundedReceiver<T>);

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
    gone: BTreeMap<String, Timestamp>,
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
            gone: BTreeMap::new(),
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

    /// Runs what is due now, and nothing more. Gives the worst of what it came to, where anything was run.
    pub async fn run_once(&mut self, stop: &CancellationToken) -> Option<Verdict> {
        let now = (self.clock)();
        let names: Vec<String> = self.entries.keys().cloned().collect();
        for name in names {
            if let Some(entry) = self.entries.get_mut(&name) {
                entry.reckon(now);
            }
            self.place(&name);
        }
        self.begin_what_is_due();
        while self.under_way > 0 {
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
        for entry in self.entries.values() {
            self.tools.remember(entry.kept()).await;
        }
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
        // One that is gone from the engine has nothing that could be run.
        if step.begins && !self.gone.contains_key(name) {
            self.begin(name, step.due, now);
        } else {
            // A slot that is passed over is passed over for good.
            let tools = Arc::clone(&self.tools);
            tokio::spawn(async move { tools.remember(kept).await });
        }
        self.place(name);
    }

    fn begin(&mut self, name: &str, due: Option<Timestamp>, now: Timestamp) {
        let Some(entry) = self.entries.get_mut(name) else { return };
        self.runs += 1;
        let number = self.runs;
        let stop = entry.begin(number, now);
        self.under_way += 1;
        (self.observer)(&Happening::Began { probe: name, due, at: now });
        let (definition, kept) = (Arc::clone(&entry.definition), entry.kept());
        let (tools, sender) = (Arc::clone(&self.tools), self.done.0.clone());
        tokio::spawn(async move {
            let done = super::run::run(&tools, (definition, number), kept, &stop).await;
            // Nobody waits for it any more where the daemon has ended.
            let _unheard = sender.send(done);
        });
        self.place(name);
    }

    fn over(&mut self, done: &Done) {
        self.finish(done, true);
    }

    fn finish(&mut self, done: &Done, goes_on: bool) {
        let now = (self.clock)();
        self.under_way = self.under_way.saturating_sub(1);
        match &done.run {
            Some(run) => {
                let verdict = run.verdict();
                let is_worse = self.worst.is_none_or(|worst| verdict.state() > worst.state());
                self.worst = if is_worse { Some(verdict) } else { self.worst };
                let alerts = done.stepped.as_ref().map(|stepped| stepped.alerts.as_slice());
                (self.observer)(&Happening::Ended { run, alerts: alerts.unwrap_or_default() });
            }
            None => (self.observer)(&Happening::Stopped { probe: &done.probe }),
        }
        match &done.problem {
            Some(problem) => self.problem("store", Some(problem.clone())),
            None if done.run.is_some() => self.problem("store", None),
            None => {}
        }
        // It may have been taken out and put in again meanwhile.
        let entry = self.entries.get_mut(&done.probe).filter(|entry| entry.is_running(done.number));
        let Some(entry) = entry else { return };
        let state = done.stepped.as_ref().map(|stepped| &stepped.state);
        let again = entry.end(done.run.as_ref(), state, now) && goes_on;
        let kept = entry.kept();
        if again {
            self.begin(&done.probe, None, now);
        } else {
            let tools = Arc::clone(&self.tools);
            tokio::spawn(async move { tools.remember(kept).await });
        }
        self.place(&done.probe);
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

    async fn answer(&mut self, request: Request) {
        match request {
            Request::Run { probe, answer } => {
                let asked = self.ask(&probe);
                let asked = asked.ok_or_else(|| RequestError::Unknown(format!("probe {probe}")));
                let _gone = answer.send(asked);
            }
            Request::Silence { probes, silence, answer } => {
                let _gone = answer.send(self.silence(probes, silence).await);
            }
            Request::Lift { id, answer } => {
                let _gone = answer.send(self.lift(&id).await);
            }
        }
    }

    /// Runs a probe beside its schedule, now or when the run that is under way is over.
    fn ask(&mut self, probe: &str) -> Option<()> {
        let now = (self.clock)();
        if self.entries.get_mut(probe)?.ask() {
            self.begin(probe, None, now);
        } else {
            self.place(probe);
        }
        Some(())
    }

    async fn silence(&mut self, probes: String, silence: Silence) -> Result<String, RequestError> {
        if silence.is_over((self.clock)().as_second()) || silence.until <= silence.from {
            return Err(RequestError::Conflict("a silence has to end in the future".to_owned()));
        }
        let id = uuid::Uuid::new_v4().simple().to_string();
        let asked = Asked { probes, silence };
        let text = serde_json::to_string(&asked).map_err(|error| RequestError::Failed(error.to_string()))?;
        self.silences(|silences| silences.add(id.clone(), asked))
            .map_err(|error| RequestError::Conflict(error.to_string()))?;
        let memo = Memo { kind: SILENCE, name: id.clone(), text };
        if let Err(error) = self.tools.store.remember(memo).await {
            self.silences(|silences| silences.lift(&id));
            return Err(RequestError::Failed(error.to_string()));
        }
        self.silences_changed();
        Ok(id)
    }

    async fn lift(&mut self, id: &str) -> Result<(), RequestError> {
        if !self.silences(|silences| silences.lift(id)) {
            return Err(RequestError::Unknown("such silence".to_owned()));
        }
        self.silences_changed();
        let forgotten = self.tools.store.forget_memo(SILENCE, id.to_owned()).await;
        forgotten.map(drop).map_err(|error| RequestError::Failed(error.to_string()))
    }

    fn silences<T>(&self, change: impl FnOnce(&mut Silences) -> T) -> T {
        change(&mut self.tools.silences.write().unwrap_or_else(PoisonError::into_inner))
    }

    fn silences_changed(&mut self) {
        self.show_silences();
        let names: Vec<String> = self.entries.keys().cloned().collect();
        for name in names {
            self.place(&name);
        }
    }

    fn show_silences(&mut self) {
        let now = (self.clock)().as_second();
        let shown = self.silences(|silences| silences.shown(now));
        self.desk.show_silences(shown);
    }

    /// Something is wrong, or not any more.
    fn problem(&mut self, about: &str, problem: Option<String>) {
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

#[cfg(test)]
mod tests;
