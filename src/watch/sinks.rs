//! Whether sinks take what they are sent, as far as the outbox tells.
//!
//! Owns when a sink counts as one in trouble: it took nothing for a while though it was sent something, or it refused
//! something for good and has taken nothing since. Pure.

use std::collections::BTreeMap;

use crate::notify::outbox::Event;

/// A sink that took nothing for so many seconds is in trouble.
const PATIENCE: i64 = 300;

#[derive(Debug, Default, Clone)]
struct Standing {
    failing_since: Option<i64>,
    refused: bool,
    reason: String,
}

/// How each sink does.
#[derive(Debug, Default)]
pub struct Sinks {
    standings: BTreeMap<String, Standing>,
}

impl Sinks {
    /// Takes in what the outbox tells, at `now` in Unix seconds.
    pub fn take(&mut self, event: &Event, now: i64) {
        match event {
            Event::Arrived { sink, .. } => {
                self.standings.insert(sink.clone(), Standing::default());
            }
            Event::Later { sink, reason, .. } => {
                let standing = self.standings.entry(sink.clone()).or_default();
                standing.failing_since.get_or_insert(now);
                standing.reason.clone_from(reason);
            }
            Event::Refused { sink, reason, .. } => {
                let standing = self.standings.entry(sink.clone()).or_default();
                standing.refused = true;
                standing.reason.clone_from(reason);
            }
            Event::Expired { .. } | Event::StoreFailed(_) => {}
        }
    }

    /// Forgets the sinks that are no more.
    pub fn retain(&mut self, is_there: impl Fn(&str) -> bool) {
        self.standings.retain(|sink, _| is_there(sink));
    }

    /// Every sink that something is known of, and what is wrong with it.
    #[must_use]
    pub fn troubles(&self, now: i64) -> Vec<(String, Option<String>)> {
        let trouble = |standing: &Standing| {
            let is_silent = standing.failing_since.is_some_and(|since| now.saturating_sub(since) >= PATIENCE);
            (standing.refused || is_silent).then(|| standing.reason.clone())
        };
        self.standings.iter().map(|(sink, standing)| (sink.clone(), trouble(standing))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sink_is_in_trouble_when_it_took_nothing_for_a_while_or_refused_something() {
        let mut sinks = Sinks::default();
        let (sink, key, reason) = ("slack".to_owned(), "k".to_owned(), "HTTP status 503".to_owned());
        let later =
            Event::Later { sink: sink.clone(), key: key.clone(), attempts: 1, reason: reason.clone() };
        sinks.take(&later, 0);
        sinks.take(&later, 200);
        assert_eq!(sinks.troubles(PATIENCE - 1), [(sink.clone(), None)]);
        assert_eq!(sinks.troubles(PATIENCE), [(sink.clone(), Some(reason))]);
        let arrived = Event::Arrived { sink: sink.clone(), key: key.clone(), effect: None };
        sinks.take(&arrived, PATIENCE);
        assert_eq!(sinks.troubles(10_000), [(sink.clone(), None)]);
        sinks.take(&Event::Refused { sink: sink.clone(), key, reason: "HTTP status 403".to_owned() }, 10_000);
        assert_eq!(sinks.troubles(10_000), [(sink, Some("HTTP status 403".to_owned()))]);
    }
}
