//! What is due now: a schedule together with splay, the policy for missed runs, and a shorter interval while failing.
//!
//! Owns the decision which slots are run, which are passed over, and when to ask again. A function of what the caller
//! remembers and of `now`; remembers nothing itself.

mod missed;

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::Schedule;
pub use missed::{Missed, MissedError};

/// How late a run may begin without counting as missed.
pub const USUAL_GRACE: Duration = Duration::from_mins(1);
/// A clock that is set back by no more than this, or than the time between two slots, is waited for.
pub const SET_BACK: Duration = Duration::from_hours(1);
/// The shortest interval while failing.
pub const LEAST_WHILE_FAILING: Duration = Duration::from_secs(1);

/// When a probe runs, and what happens where that is not kept.
///
/// - A slot is run once at the most. The last slot is an argument, so a clock that is set back repeats nothing: the next
///   run is the slot after the last one. Where that is too far away, [`Timetable::out_of_reach`] says so, and the caller
///   is to reckon from now.
/// - An interval that began before it was first seen is due at once, as in Chronos, however many slots lie before:
///   [`Missed::All`] does not run them. A cron line begins when it is first seen.
/// - Missed slots do not count towards `Rn`, runs do. After the last one nothing is due any more, failing or not.
/// - While failing, runs come in between the slots. They count towards nothing, and a slot that comes first is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timetable {
    /// The slots.
    pub schedule: Schedule,
    /// How long after its slot a run begins: see [`super::splay::offset`].
    pub splay: Duration,
    /// What becomes of slots that passed while nobody looked.
    pub missed: Missed,
    /// How late a run may begin under [`Missed::Skip`].
    pub grace: Duration,
    /// After a run that failed, the next begins this long after it began. At least [`LEAST_WHILE_FAILING`].
    pub while_failing: Option<Duration>,
}

/// What is remembered of a probe's runs. The caller brings it up to date from [`Due`] and from the runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// When the schedule was first seen.
    pub first_seen: Timestamp,
    /// The last slot that was run or passed over: [`Due::through`] of the last call that had one.
    pub last_slot: Option<Timestamp>,
    /// How many slots have been run.
    pub runs: u64,
    /// When the last run began, of a slot or between slots.
    pub last_started: Option<Timestamp>,
    /// Whether that run failed.
    pub failing: bool,
}

impl Progress {
    /// Nothing has been run yet.
    #[must_use]
    pub const fn new(first_seen: Timestamp) -> Self {
        Self { first_seen, last_slot: None, runs: 0, last_started: None, failing: false }
    }
}

/// What to do now, and when to ask again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    /// The slots to run now, oldest first.
    pub slots: Vec<Timestamp>,
    /// Run now though it is no slot's time: the probe is failing.
    pub between_slots: bool,
    /// The last slot that is dealt with by this, whether it is run or passed over.
    pub through: Option<Timestamp>,
    /// The first slot that is passed over.
    pub first_passed_over: Option<Timestamp>,
    /// When something is due next if `slots` are run and pass; none where the schedule is over.
    pub next: Option<Timestamp>,
}

impl Timetable {
    /// Without splay and interval while failing; one run for all that was missed, as in Chronos.
    #[must_use]
    pub const fn new(schedule: Schedule) -> Self {
        Self {
            schedule,
            splay: Duration::ZERO,
            missed: Missed::Once,
            grace: USUAL_GRACE,
            while_failing: None,
        }
    }

    /// What is due at `now`.
    #[must_use]
    pub fn due(&self, progress: &Progress, now: Timestamp) -> Due {
        let left = self.schedule.runs().map(|runs| runs.saturating_sub(progress.runs));
        let mut due = Due {
            slots: Vec::new(),
            between_slots: false,
            through: None,
            first_passed_over: None,
            next: None,
        };
        if left == Some(0) {
            return due;
        }
        let floor = self.floor(progress);
        let first = self.schedule.next_after(floor);
        // Slots up to here have their time, splay included.
        let clock = earlier(now, self.splay);
        let mut next = first;
        if let Some(first) = first.filter(|first| *first <= clock) {
            let latest = self.latest(floor, clock).unwrap_or(first);
            due.slots = self.chosen(progress, first, latest, now);
            let most = left.and_then(|left| usize::try_from(left).ok()).unwrap_or(usize::MAX);
            due.slots.drain(..due.slots.len().saturating_sub(most));
            due.through = Some(latest);
            due.first_passed_over = (due.slots.first() != Some(&first)).then_some(first);
            next = self.schedule.next_after(latest);
        }
        let is_over = left.is_some_and(|left| u64::try_from(due.slots.len()).is_ok_and(|run| run >= left));
        if is_over {
            return due;
        }
        due.next = next.and_then(|slot| slot.checked_add(self.splay).ok());
        self.while_failing(progress, now, &mut due);
        due
    }

    /// The last slot, where it lies so far in the future that the clock must have been ahead, or is far behind now: nothing
    /// would be due before it.
    #[must_use]
    pub fn out_of_reach(&self, progress: &Progress, now: Timestamp) -> Option<Timestamp> {
        let is_over = self.schedule.runs().is_some_and(|runs| progress.runs >= runs);
        let slot = progress.last_slot.filter(|slot| !is_over && earlier(*slot, SET_BACK) > now)?;
        let between = self.schedule.gaps(now).next().unwrap_or_default();
        (earlier(slot, between) > now).then_some(slot)
    }

    /// When something is due next after [`Self::due`] found nothing to run, or after what it found was run.
    fn while_failing(&self, progress: &Progress, now: Timestamp, due: &mut Due) {
        let (Some(interval), Some(started), true) =
            (self.while_failing, progress.last_started, progress.failing)
        else {
            return;
        };
        if !due.slots.is_empty() {
            return;
        }
        let interval = interval.max(LEAST_WHILE_FAILING);
        // A run that is said to have begun in the future would keep the probe waiting for the clock.
        let Ok(at) = started.min(now).checked_add(interval) else { return };
        if at <= now {
            due.between_slots = true;
        } else {
            due.next = Some(due.next.map_or(at, |next| next.min(at)));
        }
    }

    /// The slots before and at this time are dealt with.
    fn floor(&self, progress: &Progress) -> Timestamp {
        let start = || self.schedule.start().map(|start| earlier(start, Duration::from_millis(1)));
        progress.last_slot.or_else(start).unwrap_or(progress.first_seen)
    }

    /// Those of the slots from `first` to `latest` that are to be run.
    fn chosen(
        &self,
        progress: &Progress,
        first: Timestamp,
        latest: Timestamp,
        now: Timestamp,
    ) -> Vec<Timestamp> {
        match self.missed {
            Missed::Skip if earlier(earlier(now, self.splay), self.grace) > latest => Vec::new(),
            Missed::All { most } if progress.last_slot.is_some() => {
                let mut slots = vec![latest];
                let mut before = latest;
                while before > first && slots.len() < usize::from(most.get()) {
                    let floor = earlier(first, Duration::from_millis(1));
                    let Some(slot) = self.latest(floor, earlier(before, Duration::from_millis(1))) else {
                        break;
                    };
                    slots.push(slot);
                    before = slot;
                }
                slots.reverse();
                slots
            }
            Missed::Skip | Missed::Once | Missed::All { .. } => vec![latest],
        }
    }

    /// The last slot after `floor` and not after `clock`, where there is one. Halves the time between them, so that a
    /// long absence costs no more than a few dozen steps.
    fn latest(&self, floor: Timestamp, clock: Timestamp) -> Option<Timestamp> {
        let next = |milliseconds| {
            let after = Timestamp::from_millisecond(milliseconds).ok()?;
            self.schedule.next_after(after).filter(|slot| *slot <= clock)
        };
        let mut low = floor.as_millisecond();
        let mut high = clock.as_millisecond();
        let mut latest = next(low)?;
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            match next(middle) {
                Some(slot) => {
                    latest = slot;
                    low = slot.as_millisecond();
                }
                None => high = middle,
            }
        }
        Some(latest)
    }
}

/// `length` before `instant`, or the first moment that there is.
fn earlier(instant: Timestamp, length: Duration) -> Timestamp {
    let length = SignedDuration::try_from(length).unwrap_or(SignedDuration::MAX);
    instant.checked_sub(length).unwrap_or(Timestamp::MIN)
}

#[cfg(test)]
mod tests;
