//! What may start next: the dispatcher's state without its effects.
//!
//! Owns slots, exclusiveness, needs, and when to stop. The dispatcher asks [`Scheduler::ready`], starts what it is
//! given, and reports [`Scheduler::started`], [`Scheduler::finished`] and what becomes of services. It has no clock and
//! starts nothing itself. Retries are the dispatcher's: a test has finished when its last attempt has.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use super::needs::Need;
use super::policy::Policy;

/// A test, as far as it matters here. Other parts know it by its index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Full name, unique.
    pub name: String,
    /// How it runs beside others.
    pub policy: Policy,
    /// What comes first: see [`super::needs::of`].
    pub needs: Vec<Need>,
    /// Which of the run's engines it runs on. Exclusive tests exclude those of their engine alone.
    pub engine: usize,
}

/// How many run at a time, and when it is enough.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Tests at a time, over all engines; at least one.
    pub jobs: usize,
    /// Nothing is started any more after so many failures: 1 for `--fail-fast`.
    pub max_failures: Option<usize>,
}

/// How a test ended, as far as others care. What passed on a retry has passed, unless flaky tests are to fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Those that need it can start.
    Passed,
    /// Those that need it never start.
    Failed,
}

/// A test that is never started, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotRun {
    /// Index of the test.
    pub test: usize,
    /// Why.
    pub reason: Reason,
}

/// Why a test is never started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// What it needs has failed, or was not run: "dependency failed", and no failure of its own.
    Dependency(Need),
    /// The run was stopped before its turn: too many failures, or Ctrl-C.
    Stopped,
}

/// The items cannot all be run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScheduleError {
    /// Two of one name.
    #[error("the test `{0}` is there twice")]
    Twice(String),
    /// A needed test is not among the items: see [`super::select::with_needed`].
    #[error("the test `{test}` needs `{need}`, which is not run")]
    Missing {
        /// The test.
        test: String,
        /// What it needs.
        need: String,
    },
    /// Tests need each other.
    #[error("needs go round in a circle: {}", .0.join(" → "))]
    Cycle(Vec<String>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    Waiting,
    Running,
    Finished(End),
    NotRun(Reason),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ServiceState {
    Starting,
    Ready,
    Failed,
}

/// The state of a run.
#[derive(Debug, Clone)]
pub struct Scheduler {
    items: Vec<Item>,
    states: Vec<State>,
    index: BTreeMap<String, usize>,
    services: BTreeMap<String, ServiceState>,
    limits: Limits,
    failures: usize,
    stopped: bool,
}

impl Scheduler {
    /// A run of these tests, in this order as far as needs and policies allow. Every service that they need is taken to
    /// be starting.
    pub fn new(items: Vec<Item>, limits: Limits) -> Result<Self, ScheduleError> {
        let mut index = BTreeMap::new();
        for (at, item) in items.iter().enumerate() {
            if index.insert(item.name.clone(), at).is_some() {
                return Err(ScheduleError::Twice(item.name.clone()));
            }
        }
        let mut services = BTreeMap::new();
        let mut edges: Vec<(&str, Vec<&str>)> = Vec::new();
        for item in &items {
            let mut needed = Vec::new();
            for need in &item.needs {
                match need {
                    Need::Service(name) => {
                        services.insert(name.clone(), ServiceState::Starting);
                    }
                    Need::Test(name) if index.contains_key(name) => needed.push(name.as_str()),
                    Need::Test(name) => {
                        return Err(ScheduleError::Missing { test: item.name.clone(), need: name.clone() });
                    }
                }
            }
            edges.push((&item.name, needed));
        }
        if let Some(cycle) = super::needs::cycle(&edges) {
            let round = cycle.iter().chain(cycle.first());
            return Err(ScheduleError::Cycle(round.map(|&name| name.to_owned()).collect()));
        }
        let states = vec![State::Waiting; items.len()];
        let limits = Limits { jobs: limits.jobs.max(1), ..limits };
        Ok(Self { items, states, index, services, limits, failures: 0, stopped: false })
    }

    /// The tests that may start now, all together, in order. Tests that run beside others go first; an exclusive one
    /// starts when its engine is idle and nothing shared is left to start on it, one that runs alone when all are.
    #[must_use]
    pub fn ready(&self) -> Vec<usize> {
        // Looked for once, and not for each test that waits: with thousands of tests that takes seconds.
        let running: Vec<&Item> = self.running().map(|(_, item)| item).collect();
        let mut free = self.limits.jobs.saturating_sub(running.len());
        if self.stopped || free == 0 || running.iter().any(|item| item.policy.alone) {
            return Vec::new();
        }
        let is_excluded =
            |item: &Item| running.iter().any(|other| is_exclusive(other) && other.engine == item.engine);
        let shared = self.startable().filter(|(_, item)| !is_exclusive(item) && !is_excluded(item));
        let mut ready: Vec<usize> = shared.map(|(at, _)| at).take(free).collect();
        free -= ready.len();
        for (at, item) in self.startable().filter(|(_, item)| is_exclusive(item) && !item.policy.alone) {
            if free == 0 {
                break;
            }
            if self.is_idle(item.engine, &ready) {
                ready.push(at);
                free -= 1;
            }
        }
        if ready.is_empty() && running.is_empty() {
            ready.extend(self.startable().map(|(at, _)| at).next());
        }
        ready
    }

    /// Whether nothing runs on an engine, nothing shared could start there, and nothing is about to.
    fn is_idle(&self, engine: usize, about_to: &[usize]) -> bool {
        let mut busy = self
            .running()
            .chain(self.startable().filter(|(_, item)| !is_exclusive(item)))
            .chain(about_to.iter().filter_map(|at| Some((*at, self.items.get(*at)?))));
        busy.all(|(_, item)| item.engine != engine)
    }

    /// A test was started.
    pub fn started(&mut self, test: usize) {
        self.set(test, State::Running);
    }

    /// A test has ended, its retries included. Says which tests will never start because of that.
    pub fn finished(&mut self, test: usize, end: End) -> Vec<NotRun> {
        self.set(test, State::Finished(end));
        let Some(name) = self.items.get(test).map(|item| item.name.clone()) else { return Vec::new() };
        if end == End::Passed {
            return Vec::new();
        }
        self.failures += 1;
        let mut not_run = self.without(Need::Test(name));
        if self.limits.max_failures.is_some_and(|most| self.failures >= most) {
            not_run.extend(self.stop());
        }
        not_run
    }

    /// A service can be used.
    pub fn service_ready(&mut self, name: &str) {
        self.services.insert(name.to_owned(), ServiceState::Ready);
    }

    /// A service did not become ready, or has died. Says which tests will never start because of that; those that run
    /// already end on their own, and their cause is the dispatcher's to say: [`Scheduler::running_with`].
    pub fn service_failed(&mut self, name: &str) -> Vec<NotRun> {
        self.services.insert(name.to_owned(), ServiceState::Failed);
        self.without(Need::Service(name.to_owned()))
    }

    /// Running tests that need a service.
    pub fn running_with(&self, service: &str) -> impl Iterator<Item = usize> {
        self.running()
            .filter(move |(_, item)| {
                item.needs.iter().any(|need| matches!(need, Need::Service(name) if name == service))
            })
            .map(|(at, _)| at)
    }

    /// Whether a test that waits or runs still needs a service: one that nothing needs any more can go.
    #[must_use]
    pub fn needs_service(&self, service: &str) -> bool {
        self.items.iter().zip(&self.states).any(|(item, state)| {
            matches!(state, State::Waiting | State::Running)
                && item.needs.iter().any(|need| matches!(need, Need::Service(name) if name == service))
        })
    }

    /// Starts nothing more. Says which tests will never start.
    pub fn stop(&mut self) -> Vec<NotRun> {
        self.stopped = true;
        let waiting: Vec<usize> = self.waiting().map(|(at, _)| at).collect();
        waiting.into_iter().map(|test| self.give_up(test, Reason::Stopped)).collect()
    }

    /// Whether it was stopped, by too many failures or by [`Scheduler::stop`].
    #[must_use]
    pub const fn is_stopped(&self) -> bool {
        self.stopped
    }

    /// Whether nothing runs and nothing will.
    #[must_use]
    pub fn is_done(&self) -> bool {
        !self.states.iter().any(|state| matches!(state, State::Waiting | State::Running))
    }

    /// How many tests have failed.
    #[must_use]
    pub const fn failures(&self) -> usize {
        self.failures
    }

    /// The tests, by index.
    #[must_use]
    pub fn items(&self) -> &[Item] {
        &self.items
    }

    fn set(&mut self, test: usize, new: State) {
        if let Some(state) = self.states.get_mut(test) {
            *state = new;
        }
    }

    fn give_up(&mut self, test: usize, reason: Reason) -> NotRun {
        self.set(test, State::NotRun(reason.clone()));
        NotRun { test, reason }
    }

    /// Gives up every waiting test that needs what is not to be had, and those that need these in turn.
    fn without(&mut self, lost: Need) -> Vec<NotRun> {
        let mut not_run = Vec::new();
        let mut losses = vec![lost];
        while let Some(lost) = losses.pop() {
            let affected: Vec<usize> =
                self.waiting().filter(|(_, item)| item.needs.contains(&lost)).map(|(at, _)| at).collect();
            for test in affected {
                losses.extend(self.items.get(test).map(|item| Need::Test(item.name.clone())));
                not_run.push(self.give_up(test, Reason::Dependency(lost.clone())));
            }
        }
        not_run
    }

    fn in_state(&self, wanted: State) -> impl Iterator<Item = (usize, &Item)> {
        let pairs = self.items.iter().zip(&self.states).enumerate();
        pairs.filter(move |(_, (_, state))| **state == wanted).map(|(at, (item, _))| (at, item))
    }

    fn waiting(&self) -> impl Iterator<Item = (usize, &Item)> {
        self.in_state(State::Waiting)
    }

    fn running(&self) -> impl Iterator<Item = (usize, &Item)> {
        self.in_state(State::Running)
    }

    /// Waiting tests that have what they need.
    fn startable(&self) -> impl Iterator<Item = (usize, &Item)> {
        self.waiting().filter(|(_, item)| {
            item.needs.iter().all(|need| match need {
                Need::Service(name) => self.services.get(name) == Some(&ServiceState::Ready),
                Need::Test(name) => {
                    let state = self.index.get(name).and_then(|at| self.states.get(*at));
                    state == Some(&State::Finished(End::Passed))
                }
            })
        })
    }
}

const fn is_exclusive(item: &Item) -> bool {
    item.policy.exclusive || item.policy.alone
}
