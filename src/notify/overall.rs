//! One word for all probes: what a sink is told that is a single check to those who look at it, such as a ping.
//!
//! Owns how several probes come to one verdict: it fails while any of them fails. A probe that is silenced counts as well,
//! because such a sink raises the alarm also where no word comes. Pure.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::metrics::ended_at;
use crate::probe::{Identity, ProbeRun, Verdict};

/// The most probes that are named.
const MOST_LINES: usize = 50;

/// What all probes come to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Overall {
    /// Id of the run that was told to have begun.
    pub run: String,
    /// The probe that was run last.
    pub probe: Identity,
    /// When that was over, in Unix seconds.
    pub at: i64,
    /// The worst of all.
    pub verdict: Verdict,
    /// A line for each probe that fails; at least one line in all.
    pub lines: Vec<String>,
    /// The last of what the last run printed.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub output: String,
}

/// What is known of probes that are told of with one word.
#[derive(Debug, Clone, Default)]
pub struct Standings {
    /// So many runs make one job, which is told of at its end. Without it every run is told of.
    job: Option<usize>,
    /// Id of the first run of the job.
    first: Option<String>,
    seen: BTreeSet<String>,
    failing: BTreeMap<String, (Verdict, String)>,
}

impl Standings {
    /// Those of a job that runs so many probes, each once.
    #[must_use]
    pub fn of_job(probes: usize) -> Self {
        Self { job: Some(probes), ..Self::default() }
    }

    /// Takes in a run that is over; nothing where the job has more to come. The same run may be taken in again.
    pub fn take(&mut self, run: &ProbeRun, is_silenced: bool) -> Option<Overall> {
        let (key, verdict) = (run.probe.key(), run.verdict());
        let summary = match run.summary() {
            "" if !verdict.is_pass() => "failed",
            summary => summary,
        };
        if verdict.is_pass() || is_silenced {
            self.failing.remove(&key);
        } else {
            let line = if self.job == Some(1) {
                summary.to_owned()
            } else {
                format!("{}: {summary}", run.probe.name)
            };
            self.failing.insert(key.clone(), (verdict, line));
        }
        let mut began = &run.id;
        if let Some(probes) = self.job {
            self.seen.insert(key);
            began = self.first.get_or_insert_with(|| run.id.clone());
            if self.seen.len() < probes {
                return None;
            }
        }
        let worst = self.failing.values().map(|(verdict, _)| *verdict).max_by_key(|verdict| verdict.state());
        let mut lines: Vec<String> =
            self.failing.values().map(|(_, line)| line.clone()).take(MOST_LINES).collect();
        if lines.is_empty() {
            lines.push(match self.job {
                _ if is_silenced && !verdict.is_pass() => format!("silenced: {}: {summary}", run.probe.name),
                Some(probes) if probes > 1 => format!("{probes} of {probes} checks passed"),
                _ => summary.to_owned(),
            });
        }
        Some(Overall {
            run: began.clone(),
            probe: run.probe.clone(),
            at: ended_at(run.started_at, run.seconds),
            verdict: worst.unwrap_or(if verdict.is_pass() { verdict } else { Verdict::Passed }),
            lines,
            output: run.attempts.last().map(|attempt| attempt.seen.output.clone()).unwrap_or_default(),
        })
    }

    /// The probe of this key is no more.
    pub fn forget(&mut self, probe: &str) {
        self.failing.remove(probe);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notify::sample;

    fn run(name: &str, verdict: Verdict) -> ProbeRun {
        let mut run = sample::run(verdict);
        run.probe.name = name.to_owned();
        run.id = format!("run-of-{name}");
        run
    }

    #[test]
    fn a_job_has_one_word_at_its_end_which_is_the_worst_of_all() {
        let mut standings = Standings::of_job(3);
        assert_eq!(standings.take(&run("a", Verdict::Failed), false), None);
        assert_eq!(standings.take(&run("b", Verdict::Errored), false), None);
        let overall = standings.take(&run("c", Verdict::Passed), false).unwrap();
        assert_eq!((overall.run.as_str(), overall.verdict), ("run-of-a", Verdict::Errored));
        assert_eq!(overall.lines, ["a: expected status 200, got Critical", "b: there is no such command"]);
        assert_eq!(standings.take(&run("c", Verdict::Passed), false), Some(overall), "stored anew");
        let mut standings = Standings::of_job(2);
        standings.take(&run("a", Verdict::PassedOnRetry), false);
        let overall = standings.take(&run("b", Verdict::Passed), false).unwrap();
        assert_eq!(
            (overall.verdict, overall.lines),
            (Verdict::Passed, vec!["2 of 2 checks passed".to_owned()])
        );
    }

    #[test]
    fn a_job_of_one_probe_is_told_in_the_words_of_its_run() {
        let overall = Standings::of_job(1).take(&run("a", Verdict::Failed), false).unwrap();
        assert_eq!((overall.run.as_str(), overall.at), ("run-of-a", sample::AT + 5));
        assert_eq!(overall.lines, ["expected status 200, got Critical"]);
        assert_eq!(overall.output, "first line\nlast line");
    }

    #[test]
    fn it_fails_while_any_probe_fails_and_no_longer() {
        let mut standings = Standings::default();
        let mut take = |name, verdict| standings.take(&run(name, verdict), false).unwrap();
        assert_eq!(take("a", Verdict::Failed).verdict, Verdict::Failed);
        let meanwhile = take("b", Verdict::Passed);
        assert_eq!((meanwhile.run.as_str(), meanwhile.verdict), ("run-of-b", Verdict::Failed));
        assert_eq!(meanwhile.lines, ["a: expected status 200, got Critical"]);
        assert_eq!(take("a", Verdict::PassedOnRetry).verdict, Verdict::PassedOnRetry);
        take("a", Verdict::Failed);
        standings.forget(&run("a", Verdict::Failed).probe.key());
        assert_eq!(standings.take(&run("b", Verdict::Passed), false).unwrap().verdict, Verdict::Passed);
    }

    #[test]
    fn a_probe_that_is_silenced_counts_as_well_and_that_is_said() {
        let mut standings = Standings::default();
        let overall = standings.take(&run("a", Verdict::Failed), true).unwrap();
        assert_eq!(overall.verdict, Verdict::Passed);
        assert_eq!(overall.lines, ["silenced: a: expected status 200, got Critical"]);
        assert_eq!(standings.take(&run("a", Verdict::Failed), false).unwrap().verdict, Verdict::Failed);
    }
}
