use std::path::Path;
use std::sync::Arc;

use rustls::RootCertStore;

use super::*;
use crate::probe::{State, Verdict};

fn surroundings(directory: &Path) -> Surroundings {
    let variables = vec![("PATH".to_owned(), "/usr/bin:/bin".to_owned())];
    Surroundings::new(variables, directory.to_owned(), Arc::new(RootCertStore::empty())).unwrap()
}

fn probe(command: &str, attempts: u32) -> Probe {
    Probe {
        identity: Identity {
            name: "example.integration".to_owned(),
            kind: "integration".to_owned(),
            host: "staging".to_owned(),
            tags: Vec::new(),
        },
        check: Check::Command(CommandCheck::shell(command)),
        retries: Retries { count: attempts - 1, backoff: Duration::from_millis(1) },
        all_attempts: false,
        timeout: Duration::from_secs(10),
        cleanup: None,
        cleanup_timeout: Duration::from_secs(10),
    }
}

struct Collected(Vec<Notice>);

impl Hearer for Collected {
    async fn hear(&mut self, notice: Notice) {
        self.0.push(notice);
    }
}

async fn ended(probe: &Probe, directory: &Path, stop: &CancellationToken) -> (Ended, Vec<Notice>) {
    let mut notices = Collected(Vec::new());
    let redactor = Redactor::new(["s3cr3t-value".to_owned()]);
    let ended = run(probe, "r-1", &surroundings(directory), stop, &redactor, &mut notices).await;
    (ended, notices.0)
}

#[tokio::test]
async fn a_second_attempt_that_passes_is_told_apart_and_each_is_cleaned_up_after() {
    let directory = tempfile::tempdir().unwrap();
    let mut probe = probe("test -e there", 3);
    probe.cleanup = Some(CommandCheck::shell("echo cleaned >> there"));
    let (ended, notices) = ended(&probe, directory.path(), &CancellationToken::new()).await;
    assert_eq!(ended.run.verdict(), Verdict::PassedOnRetry);
    assert_eq!((ended.run.attempts.len(), ended.stopped), (2, false));
    assert_eq!(std::fs::read_to_string(directory.path().join("there")).unwrap(), "cleaned\ncleaned\n");
    assert!(matches!(notices[0], Notice::Started { .. }), "{notices:?}");
    let states: Vec<State> = notices
        .iter()
        .filter_map(|notice| match notice {
            Notice::Attempted { attempt, .. } => Some(attempt.seen.state),
            _ => None,
        })
        .collect();
    assert_eq!(states, [State::Critical, State::Ok]);
}

#[tokio::test]
async fn all_attempts_are_made_where_that_is_asked_for_and_one_pass_is_enough() {
    let directory = tempfile::tempdir().unwrap();
    let mut probe = probe("test ! -e there && touch there", 2);
    probe.all_attempts = true;
    let (ended, _) = ended(&probe, directory.path(), &CancellationToken::new()).await;
    assert_eq!((ended.run.attempts.len(), ended.run.verdict()), (2, Verdict::Passed));
}

#[tokio::test]
async fn a_cleanup_that_fails_is_a_verdict_of_its_own_unless_the_service_failed() {
    let directory = tempfile::tempdir().unwrap();
    let mut passes = probe("true", 2);
    passes.cleanup = Some(CommandCheck::shell("exit 3"));
    let (ended_well, _) = ended(&passes, directory.path(), &CancellationToken::new()).await;
    assert_eq!(ended_well.run.verdict(), Verdict::CleanupFailed);
    let cleanup = ended_well.run.attempts[0].cleanup.clone().unwrap();
    assert_eq!(cleanup.summary, "expected exit code 0, got 3");
    let mut fails = probe("false", 2);
    fails.cleanup = Some(CommandCheck::shell("exit 3"));
    let (failed, _) = ended(&fails, directory.path(), &CancellationToken::new()).await;
    assert_eq!((failed.run.verdict(), failed.run.attempts.len()), (Verdict::Failed, 2));
}

#[tokio::test]
async fn a_command_that_is_not_there_says_nothing_about_the_service() {
    let directory = tempfile::tempdir().unwrap();
    let mut probe = probe("true", 3);
    probe.check = Check::Command(CommandCheck::arguments(vec!["/no/such/program".to_owned()]));
    probe.cleanup = Some(CommandCheck::shell("touch cleaned"));
    let (ended, notices) = ended(&probe, directory.path(), &CancellationToken::new()).await;
    assert_eq!((ended.run.verdict(), notices.len()), (Verdict::Errored, 1));
    assert!(ended.run.error.unwrap().contains("/no/such/program"));
    assert!(!directory.path().join("cleaned").exists(), "there is nothing to clean up");
}

#[tokio::test]
async fn a_request_to_stop_ends_the_attempt_and_still_cleans_up() {
    let directory = tempfile::tempdir().unwrap();
    let mut probe = probe("touch began; sleep 60", 5);
    probe.cleanup = Some(CommandCheck::shell("touch cleaned"));
    let stop = CancellationToken::new();
    let stopping = async {
        while !directory.path().join("began").exists() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        stop.cancel();
    };
    let before = Instant::now();
    let ((ended, _), ()) = tokio::join!(ended(&probe, directory.path(), &stop), stopping);
    assert!(ended.stopped && before.elapsed() < Duration::from_secs(20), "{:?}", before.elapsed());
    assert!(directory.path().join("cleaned").exists());
    assert_eq!(ended.run.verdict(), Verdict::Errored, "it says nothing");
}

#[tokio::test]
async fn secrets_are_hidden_in_all_that_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let mut probe = probe("echo s3cr3t-value; exit 1", 1);
    probe.cleanup = Some(CommandCheck::shell("echo s3cr3t-value; exit 1"));
    let (ended, notices) = ended(&probe, directory.path(), &CancellationToken::new()).await;
    let all = format!("{ended:?} {}", serde_json::to_string(&notices).unwrap());
    assert!(!all.contains("s3cr3t-value") && all.contains("***"), "{all}");
}

#[tokio::test]
async fn an_attempt_that_takes_too_long_is_a_failure_and_the_next_one_follows() {
    let directory = tempfile::tempdir().unwrap();
    let mut probe = probe("test -e there && exit 0; touch there; sleep 60", 2);
    probe.timeout = Duration::from_millis(300);
    let (ended, _) = ended(&probe, directory.path(), &CancellationToken::new()).await;
    assert_eq!(ended.run.verdict(), Verdict::PassedOnRetry);
    assert!(ended.run.attempts[0].timed_out && !ended.run.attempts[1].timed_out);
}
