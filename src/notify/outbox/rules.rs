//! Which of the alerts that wait together are still worth sending. Pure.

use crate::history::outbox::{Effect, Survivor, Waiting};

/// The alerts of one key that are still worth sending, oldest first.
///
/// Of repeated triggers, and of repeated resolves, the newest stays. A trigger goes where its resolve waits with it; the
/// resolve goes too where nothing of the incident can have arrived: neither an attempt of the trigger, nor an earlier
/// trigger (it is a reminder, or `open`). What is on its way stays as it is.
pub(super) fn collapse(waiting: &[Waiting], open: bool) -> Vec<Survivor> {
    let mut kept: Vec<Survivor> = Vec::new();
    for (index, waiting) in waiting.iter().enumerate() {
        let mut new = Survivor { index, waiting: *waiting, absorbed: Vec::new() };
        if waiting.claimed {
            kept.push(new);
            continue;
        }
        match waiting.effect {
            Effect::Trigger => {
                if let Some(old) = pop(&mut kept, Effect::Trigger) {
                    new.waiting.exposed |= old.waiting.exposed;
                    // What opened the incident may not have arrived: the repetition opens it.
                    new.waiting.reminder &= old.waiting.reminder;
                    new.absorb(old);
                }
                kept.push(new);
            }
            Effect::Resolve => {
                let mut may_be_open = open;
                let mut had_trigger = false;
                while let Some(trigger) = pop(&mut kept, Effect::Trigger) {
                    had_trigger = true;
                    may_be_open |= trigger.waiting.exposed || trigger.waiting.reminder;
                    new.absorb(trigger);
                }
                let closes_anyway = kept.last().is_some_and(|last| last.waiting.effect == Effect::Resolve);
                if let Some(old) = pop(&mut kept, Effect::Resolve) {
                    new.absorb(old);
                    kept.push(new);
                } else if !had_trigger
                    || (may_be_open && !closes_anyway)
                    || kept.last().is_some_and(|last| last.waiting.effect == Effect::Trigger)
                {
                    kept.push(new);
                }
            }
        }
    }
    kept
}

/// Takes the last of those that are kept, where it does `effect` and is not on its way.
fn pop(kept: &mut Vec<Survivor>, effect: Effect) -> Option<Survivor> {
    kept.pop_if(|last| last.waiting.effect == effect && !last.waiting.claimed)
}

impl Survivor {
    fn absorb(&mut self, other: Self) {
        self.absorbed.push(other.index);
        self.absorbed.extend(other.absorbed);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// `T` trigger, `R` resolve; `>` on its way, `!` may have arrived, `~` reminder.
    fn read(text: &str) -> Vec<Waiting> {
        text.split_whitespace()
            .map(|word| Waiting {
                effect: if word.contains('T') { Effect::Trigger } else { Effect::Resolve },
                claimed: word.contains('>'),
                exposed: word.contains('!') || word.contains('>'),
                reminder: word.contains('~'),
            })
            .collect()
    }

    fn left(text: &str, open: bool) -> Vec<usize> {
        collapse(&read(text), open).iter().map(|survivor| survivor.index).collect()
    }

    #[test]
    fn a_trigger_that_was_never_attempted_vanishes_with_its_resolve() {
        assert!(left("T R", false).is_empty());
        assert!(left("T T~ R", false).is_empty(), "the reminder's own trigger never left");
        assert_eq!(left("T R T", false), [2]);
    }

    #[test]
    fn a_resolve_stays_where_the_sink_may_have_an_incident_open() {
        assert_eq!(left("T! R", false), [1], "an attempt may have arrived");
        assert_eq!(left("T R", true), [1], "an earlier trigger has arrived");
        assert_eq!(left("T~ R", false), [1], "a reminder says that one has");
        assert_eq!(left(">T R", false), [0, 1], "what is on its way cannot be called back");
        assert_eq!(left(">T T R", false), [0, 2]);
    }

    #[test]
    fn a_resolve_without_a_trigger_beside_it_stays() {
        assert_eq!(left("R", false), [0]);
        assert_eq!(left("R R", false), [1]);
    }

    #[test]
    fn an_incident_that_came_and_went_behind_a_resolve_leaves_one_resolve() {
        assert_eq!(left("R T R", true), [2]);
        assert_eq!(left(">R T R", true), [0], "the one on its way closes what was open");
        assert_eq!(left("R T", true), [0, 1], "the next incident is one of its own");
    }

    #[test]
    fn the_newest_of_repeated_triggers_stays_and_takes_over_what_is_known() {
        let survivors = collapse(&read("T! T~ T~"), false);
        let [survivor] = survivors.as_slice() else { panic!("{survivors:?}") };
        assert_eq!(survivor.index, 2);
        assert!(survivor.waiting.exposed && !survivor.waiting.reminder, "{survivor:?}");
        assert!(collapse(&read("T~ T~"), false)[0].waiting.reminder);
    }

    /// A sink where what was sent so far left an incident open, or did not.
    fn is_open_after<'a>(open: bool, sent: impl IntoIterator<Item = &'a Waiting>) -> bool {
        sent.into_iter().fold(open, |_, alert| alert.effect == Effect::Trigger)
    }

    fn any_waiting() -> impl Strategy<Value = Vec<Waiting>> {
        let one = (any::<bool>(), any::<bool>()).prop_map(|(trigger, reminder)| Waiting {
            effect: if trigger { Effect::Trigger } else { Effect::Resolve },
            claimed: false,
            exposed: false,
            reminder: reminder && trigger,
        });
        (proptest::collection::vec(one, 0..8), any::<bool>(), any::<bool>()).prop_map(
            |(mut all, claimed, exposed)| {
                // Only the oldest can have been tried.
                if let Some(first) = all.first_mut() {
                    first.claimed = claimed;
                    first.exposed = claimed || exposed;
                }
                all
            },
        )
    }

    proptest! {
        #[test]
        fn every_sink_ends_as_if_all_had_been_sent(waiting in any_waiting(), open: bool, arrived: bool) {
            let first = waiting.first().copied();
            // A reminder is made only where a trigger has been sent, which `open` then knows.
            let open = open || first.is_some_and(|first| first.reminder);
            let exposed = first.filter(|first| first.exposed && arrived);
            let before = is_open_after(open, exposed.as_ref());
            let survivors = collapse(&waiting, open);
            let sent: Vec<Waiting> = survivors.iter().map(|survivor| survivor.waiting).collect();
            prop_assert_eq!(is_open_after(before, &sent), is_open_after(before, &waiting));
        }

        #[test]
        fn nothing_changes_the_second_time(waiting in any_waiting(), open: bool) {
            let once: Vec<Waiting> = collapse(&waiting, open).iter().map(|survivor| survivor.waiting).collect();
            let twice: Vec<Waiting> = collapse(&once, open).iter().map(|survivor| survivor.waiting).collect();
            prop_assert_eq!(once, twice);
        }

        #[test]
        fn order_is_kept_few_stay_and_what_is_on_its_way_stays(waiting in any_waiting(), open: bool) {
            let survivors = collapse(&waiting, open);
            prop_assert!(survivors.is_sorted_by(|a, b| a.index < b.index));
            prop_assert!(survivors.len() <= 3, "{survivors:?}");
            let mut seen: Vec<usize> = survivors.iter().flat_map(|s| s.absorbed.iter().copied()).collect();
            seen.extend(survivors.iter().map(|survivor| survivor.index));
            let all = seen.len();
            seen.sort_unstable();
            seen.dedup();
            prop_assert_eq!(seen.len(), all, "no alert is taken over twice");
            prop_assert!(waiting.first().is_none_or(|first| !first.claimed) || survivors[0].index == 0);
        }
    }
}
