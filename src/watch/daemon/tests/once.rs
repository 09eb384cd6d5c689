//! What is due is run once, and the daemon ends.

use super::*;

/// What a start with `--once` said.
async fn once(
    store: &Store,
    directory: &Path,
    definitions: Vec<Definition>,
) -> (Vec<String>, Option<Verdict>) {
    let (_board, desk) = board::board(store.clone());
    let said = Arc::new(Mutex::new(Vec::new()));
    let hearing = Arc::clone(&said);
    let observer: Observer = Arc::new(move |happening| {
        let line = match happening {
            Happening::Began { probe, .. } => format!("began {probe}"),
            Happening::Ended { run, .. } => format!("ended {}", run.probe.name),
            Happening::Skipped { probe, .. } => format!("skipped {probe}"),
            Happening::Problem(problem) => format!("problem {problem}"),
            _ => return,
        };
        hearing.lock().unwrap().push(line);
    });
    let clock: Clock = Arc::new(Timestamp::now);
    let means = means(store.clone(), directory);
    let mut daemon =
        Daemon::new(means, desk, Arc::default(), "here".to_owned(), clock, observer).await.unwrap();
    daemon.take(Input::Probes { source: Source::File, place: PLACE.to_owned(), definitions }).await;
    let worst = daemon.run_once(&CancellationToken::new()).await;
    let said = said.lock().unwrap().clone();
    (said, worst)
}

#[tokio::test]
async fn all_that_is_due_is_run_and_no_more_than_so_many_at_the_same_time() {
    let directory = tempfile::tempdir().unwrap();
    let count = at_once() * 2 + 5;
    let definitions =
        (0..count).map(|number| definition(&format!("p{number:03}"), "sleep 0.2", Some("R//PT1H"))).collect();
    let (said, worst) = once(&store(), directory.path(), definitions).await;
    assert_eq!(worst, Some(Verdict::Passed));
    let (mut under_way, mut most) = (0, 0);
    for line in &said {
        if line.starts_with("began") {
            under_way += 1;
        } else {
            under_way -= 1;
        }
        most = most.max(under_way);
    }
    assert_eq!((said.len(), most), (2 * count, at_once()), "{said:?}");
    let first: Vec<String> = (0..at_once()).map(|number| format!("began p{number:03}")).collect();
    assert_eq!(said[..at_once()], first, "they begin in their order");
}

#[tokio::test]
async fn a_probe_that_is_due_again_meanwhile_waits_for_the_next_start() {
    let directory = tempfile::tempdir().unwrap();
    let definitions =
        vec![definition("often", "true", Some("R//PT1S")), definition("slow", "sleep 2.5", Some("R//PT1H"))];
    let (said, _) = once(&store(), directory.path(), definitions).await;
    assert_eq!(said.iter().filter(|line| *line == "began often").count(), 1, "{said:?}");
}

#[tokio::test]
async fn a_probe_of_which_no_run_is_known_is_due_whatever_its_schedule() {
    let directory = tempfile::tempdir().unwrap();
    let store = store();
    let mut missed = definition("missed", "true", Some("R/2020-01-01T00:00:00Z/P1Y"));
    missed.times.as_mut().unwrap().missed = Missed::Skip;
    let definitions = vec![
        definition("yearly", "true", Some("0 0 29 2 *")),
        missed,
        definition("future", "true", Some("R/2999-01-01T00:00:00Z/P1D")),
        definition("event", "true", None),
        definition("never", "true", Some("R0/2020-01-01T00:00:00Z/P1D")),
    ];
    let (mut said, _) = once(&store, directory.path(), definitions.clone()).await;
    said.sort();
    assert_eq!(said, ["began missed", "began yearly", "ended missed", "ended yearly"]);
    let (again, worst) = once(&store, directory.path(), definitions).await;
    assert_eq!((again, worst), (Vec::new(), None), "they were run");
}
