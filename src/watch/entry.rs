//! One probe of the daemon: what is remembered of it, and what a moment means to it.
//!
//! Owns the decision whether a run begins, waits, takes the place of another or is passed over. Starts nothing, stores
//! nothing and reads no clock.

mod shown;

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use super::board::{ProbeView, RECENT};
use super::definition::{Definition, Overlap, Times};
use super::progress::Kept;
use crate::notify::Subject;
use crate::notify::policy::{Condition, ProbeState};
use crate::probe::ProbeRun;
use crate::schedule::timetable::{Missed, Progress, Timetable};
use crate::schedule::{Schedule, ScheduleError, splay};
use shown::{last, mark, push, view};

/// Runs are spread over this at most where nobody says otherwise.
const USUAL_SPLAY: Duration = Duration::from_mins(1);
/// So many slots in a row without a run are news.
const NEWS: u32 = 2;

/// A run that is under way.
#[derive(Debug)]
struct UnderWay {
    number: u64,
    since: i64,
    stop: CancellationToken,
}

/// What a moment means to a probe.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Step {
    /// A run begins.
    pub(super) begins: bool,
    /// It was due then. Nothing where it is not a slot's.
    pub(super) due: Option<Timestamp>,
    /// A run was due then, in Unix seconds, and people should hear that there was none.
    pub(super) overdue: Option<i64>,
    /// So many runs are passed over.
    pub(super) skipped: u64,
}

/// One probe.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) definition: Arc<Definition>,
    place: Arc<str>,
    timetable: Option<Timetable>,
    progress: Progress,
    /// It is due whatever its schedule: it has never been run, and is to be run once.
    is_first: bool,
    /// When it is to be looked at next.
    pub(super) at: Option<Timestamp>,
    /// Where it stands in the agenda.
    pub(super) placed: Option<Timestamp>,
    under_way: Option<UnderWay>,
    /// Runs that begin when the one under way is over.
    waiting: u32,
    /// Slots in a row that had no run, and the first of them, in Unix seconds.
    without_run: (u32, i64),
    /// Time alone may bring something to tell.
    pub(super) is_open: bool,
    /// Since when it is not on the engine any more. It may come back; until then there is nothing that could be run.
    pub(super) gone_since: Option<Timestamp>,
    pub(super) view: Arc<ProbeView>,
}

impl Entry {
    /// A probe of which `kept` is remembered, with its last runs, oldest first.
    pub(super) fn new(
        definition: Arc<Definition>,
        place: Arc<str>,
        kept: Option<&Kept>,
        now: Timestamp,
    ) -> Result<Self, ScheduleError> {
        let progress = kept.map_or_else(|| Progress::new(now), |kept| kept.progress(&definition, now));
        let timetable = definition.times.as_ref();
        let timetable = timetable
            .map(|times| of_times(times, definition.name(), progress.first_seen, now))
            .transpose()?;
        let view = Arc::new(view(&definition));
        let mut entry = Self {
            definition,
            place,
            timetable,
            progress,
            is_first: false,
            at: None,
            placed: None,
            under_way: None,
            waiting: 0,
            without_run: (0, 0),
            is_open: false,
            gone_since: None,
            view,
        };
        entry.at = entry.next(now);
        entry.show_times();
        Ok(entry)
    }

    /// Takes on another definition. A run that is under way goes on as it began.
    pub(super) fn redefine(
        &mut self,
        definition: Arc<Definition>,
        now: Timestamp,
    ) -> Result<(), ScheduleError> {
        let kept = self.kept();
        let mut next = Self::new(definition, Arc::clone(&self.place), Some(&kept), now)?;
        next.under_way = self.under_way.take();
        next.waiting = self.waiting;
        next.without_run = self.without_run;
        next.is_open = self.is_open;
        next.placed = self.placed;
        let old = &self.view;
        let view = Arc::make_mut(&mut next.view);
        view.last.clone_from(&old.last);
        view.open_since = old.open_since;
        view.is_flapping = old.is_flapping;
        view.skipped = old.skipped;
        view.recent.clone_from(&old.recent);
        next.show_times();
        *self = next;
        Ok(())
    }

    /// What is stored of it.
    pub(super) fn kept(&self) -> Kept {
        Kept::of(&self.definition, &self.place, &self.progress)
    }

    /// Whether it is late already: due before now.
    pub(super) fn is_due(&self, now: Timestamp) -> bool {
        self.at.is_some_and(|at| at <= now)
    }

    /// Puts off nothing: what is due is due now, without splay. Whoever asks once may not come back for long. Nor may they
    /// remember it: a probe of which no run is known is due, unless its interval has not begun.
    pub(super) fn reckon(&mut self, now: Timestamp) {
        if let Some(timetable) = &mut self.timetable {
            timetable.splay = Duration::ZERO;
            if self.progress.last_started.is_none() && self.gone_since.is_none() {
                // A slot that was missed is as good as none.
                timetable.missed = Missed::Once;
                let (start, runs) = (timetable.schedule.start(), timetable.schedule.runs());
                self.is_first = start.is_none_or(|start| start <= now) && runs != Some(0);
            }
        }
        self.at = self.next(now);
        self.show_times();
    }

    /// The clock may have been ahead: what is remembered of the future must not hold up anything for long. A last slot that
    /// is out of reach is given, and slots are reckoned from now on.
    pub(super) fn heed_clock(&mut self, now: Timestamp) -> Option<Timestamp> {
        self.gone_since = self.gone_since.map(|since| since.min(now));
        let timetable = self.timetable.as_ref()?;
        let before = self.progress;
        let out_of_reach = timetable.out_of_reach(&before, now);
        self.progress.last_started = before.last_started.map(|started| started.min(now));
        if out_of_reach.is_some() {
            self.progress.last_slot = Some(now);
            // When its last run was, nobody knows: it is as good as none, and one that was to follow is due.
            let is_to_follow = timetable.while_failing.is_some() && before.failing;
            self.progress.last_started = is_to_follow.then_some(Timestamp::UNIX_EPOCH);
        }
        if out_of_reach.is_some() || before.last_slot.is_none() {
            self.progress.first_seen = before.first_seen.min(now);
        }
        if self.progress.first_seen != before.first_seen
            && let Some(times) = &self.definition.times
            && let Ok(anew) = of_times(times, self.definition.name(), now, now)
        {
            // An interval without a beginning begins when it is first seen.
            self.timetable = Some(anew);
        }
        if self.progress != before {
            self.at = self.next(now);
            self.show_times();
        }
        out_of_reach
    }

    /// Its time has come, or it is thought so.
    pub(super) fn look(&mut self, now: Timestamp) -> Step {
        let Some(timetable) = &self.timetable else { return Step::default() };
        let due = timetable.due(&self.progress, now);
        let splay = timetable.splay;
        let mut step = Step::default();
        if let Some(through) = due.through {
            self.progress.last_slot = Some(through);
        }
        if let (Some(first), Missed::Skip) = (due.first_passed_over, timetable.missed) {
            step.skipped += 1;
            step.overdue = Some(first.as_second());
        }
        let is_between = due.between_slots && self.under_way.is_none();
        let is_first = std::mem::take(&mut self.is_first);
        let least = u32::from(is_between || is_first);
        let runs = u32::try_from(due.slots.len()).unwrap_or(u32::MAX).max(least);
        if runs > 0 {
            let slots = due.slots.len() as u64;
            if self.under_way.is_none() {
                step.begins = true;
                step.due = due.slots.last().and_then(|slot| slot.checked_add(splay).ok());
                self.progress.runs = self.progress.runs.saturating_add(slots);
                self.waiting = self.waiting.max(runs - 1);
            } else {
                self.meets_another(due.slots.first().copied(), slots, &mut step);
            }
        }
        self.at = self.next(now);
        Arc::make_mut(&mut self.view).skipped += step.skipped;
        self.show_times();
        step
    }

    /// It is due while it runs.
    fn meets_another(&mut self, first: Option<Timestamp>, slots: u64, step: &mut Step) {
        match self.definition.overlap {
            Overlap::Skip => {
                step.skipped += slots;
                self.miss(first, step);
            }
            Overlap::Queue => {
                self.waiting = 1;
                self.progress.runs = self.progress.runs.saturating_add(slots);
            }
            Overlap::Replace => {
                self.waiting = 1;
                self.progress.runs = self.progress.runs.saturating_add(slots);
                self.stop();
                // Where each run takes the place of the one before, none may ever come to a verdict.
                self.miss(first, step);
            }
        }
    }

    /// A slot has come, and the run before has no verdict yet.
    fn miss(&mut self, slot: Option<Timestamp>, step: &mut Step) {
        let (count, since) = &mut self.without_run;
        if *count == 0 {
            *since = slot.map_or(0, Timestamp::as_second);
        }
        *count = count.saturating_add(1);
        if *count >= NEWS {
            step.overdue = Some(*since);
        }
    }

    /// Somebody asks for a run, or something has happened that it waits for. Says whether it begins now; otherwise it
    /// begins when the one under way is over.
    pub(super) fn ask(&mut self) -> bool {
        if self.under_way.is_none() {
            return true;
        }
        self.waiting = self.waiting.max(1);
        if self.definition.overlap == Overlap::Replace {
            self.stop();
        }
        false
    }

    /// What it is about has left the engine: nothing of it is due until it is defined anew.
    pub(super) fn leave(&mut self, now: Timestamp) {
        self.gone_since.get_or_insert(now);
        self.waiting = 0;
        self.at = None;
        self.show_times();
    }

    /// Asks a run that is under way to end.
    pub(super) fn stop(&self) {
        if let Some(under_way) = &self.under_way {
            under_way.stop.cancel();
        }
    }

    /// A run begins.
    pub(super) fn begin(&mut self, number: u64, now: Timestamp) -> CancellationToken {
        let stop = CancellationToken::new();
        self.progress.last_started = Some(now);
        self.under_way = Some(UnderWay { number, since: now.as_second(), stop: stop.clone() });
        self.at = self.next(now);
        self.show_times();
        stop
    }

    /// Whether the run of this number is the one that is under way.
    pub(super) fn is_running(&self, number: u64) -> bool {
        self.under_way.as_ref().is_some_and(|under_way| under_way.number == number)
    }

    /// A run is over; one that was stopped came to nothing. Says whether another one begins now.
    pub(super) fn end(&mut self, run: Option<&ProbeRun>, state: Option<&ProbeState>, now: Timestamp) -> bool {
        self.under_way = None;
        if let Some(run) = run {
            self.without_run = (0, 0);
            self.progress.failing = !run.verdict().is_pass();
            let view = Arc::make_mut(&mut self.view);
            view.last = Some(last(run));
            push(&mut view.recent, mark(run));
        }
        if let Some(state) = state {
            self.take_state(state);
        }
        let again = self.waiting > 0;
        self.waiting = self.waiting.saturating_sub(1);
        self.at = self.next(now);
        self.show_times();
        again
    }

    /// Takes in what is told of it.
    pub(super) fn take_state(&mut self, state: &ProbeState) {
        let subjects =
            [Subject::Target, Subject::Degraded, Subject::Cleanup, Subject::Harness, Subject::NoNews];
        let conditions = || subjects.iter().filter_map(|subject| state.condition(*subject));
        self.is_open = conditions().any(|condition| condition.is_bad() || condition.is_open());
        let bad = || conditions().filter(|condition| condition.is_open());
        let view = Arc::make_mut(&mut self.view);
        view.open_since = bad().filter_map(Condition::since).min();
        view.is_flapping = conditions().any(Condition::is_flapping);
    }

    /// Takes in the runs that are stored, newest first.
    pub(super) fn take_runs(&mut self, runs: &[ProbeRun]) {
        let view = Arc::make_mut(&mut self.view);
        view.last = runs.first().map(last);
        view.recent = runs.iter().take(RECENT).rev().map(mark).collect();
    }

    fn show_times(&mut self) {
        let running_since = self.under_way.as_ref().map(|under_way| under_way.since);
        let next = self.at.map(Timestamp::as_second);
        if (self.view.running_since, self.view.next) != (running_since, next) {
            let view = Arc::make_mut(&mut self.view);
            view.running_since = running_since;
            view.next = next;
        }
    }

    /// When something is due, `now` at the earliest.
    fn next(&self, now: Timestamp) -> Option<Timestamp> {
        if self.gone_since.is_some() {
            return None;
        }
        let due = self.timetable.as_ref()?.due(&self.progress, now);
        // A run between slots waits for the end of the one that is under way.
        let is_between = due.between_slots && self.under_way.is_none();
        if due.through.is_some() || is_between || self.is_first { Some(now) } else { due.next }
    }
}

fn of_times(
    times: &Times,
    name: &str,
    first_seen: Timestamp,
    now: Timestamp,
) -> Result<Timetable, ScheduleError> {
    let schedule = Schedule::parse(&times.schedule, times.zone.as_deref(), first_seen)?;
    let window = times.splay.unwrap_or_else(|| usual_splay(&schedule, now));
    Ok(Timetable {
        splay: splay::offset(name, window),
        missed: times.missed,
        grace: times.grace,
        while_failing: times.while_failing,
        ..Timetable::new(schedule)
    })
}

/// The time between two slots, and a minute at most: what is due at the full hour stays near it.
fn usual_splay(schedule: &Schedule, now: Timestamp) -> Duration {
    schedule.gaps(now).next().map_or(Duration::ZERO, |between| between.min(USUAL_SPLAY))
}
