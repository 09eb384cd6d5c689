use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

const NOW: i64 = 1_700_000_000_000;
const LIMITS: Limits = Limits { entries: 1_000, bytes: 1 << 20, dead: 2 };

/// Nothing is collapsed here: which alerts are worth sending is not the store's to say.
fn keep_all(waiting: &[Waiting], _: bool) -> Vec<Survivor> {
    let all = waiting.iter().enumerate();
    all.map(|(index, waiting)| Survivor { index, waiting: *waiting, absorbed: Vec::new() }).collect()
}

fn store(limits: Limits) -> Store {
    Store::in_memory(limits, keep_all).unwrap()
}

fn entry(sink: &str, key: &str, effect: Option<Effect>, notice: &str) -> Entry {
    Entry {
        sink: sink.to_owned(),
        key: key.to_owned(),
        effect,
        reminder: false,
        notice: notice.to_owned(),
        expires_at: NOW + 100_000,
    }
}

fn metric(key: &str, notice: &str) -> Entry {
    entry("sink", key, None, notice)
}

fn alert(key: &str, notice: &str) -> Entry {
    entry("sink", key, Some(Effect::Trigger), notice)
}

fn change(entries: Vec<Entry>) -> Change {
    Change { entries, ..Change::default() }
}

async fn put(store: &Store, entries: Vec<Entry>) -> Vec<Dropped> {
    match store.apply(change(entries), NOW).await.unwrap() {
        Applied::Stored { dropped, .. } => dropped,
        Applied::Conflict { .. } => panic!("no state was changed"),
    }
}

async fn claim_at(store: &Store, name: &str, limit: usize, now: i64) -> Vec<Settled> {
    let claim = Claim { sink: "sink".to_owned(), name: name.to_owned(), limit, now, until: now + 1_000 };
    store.claim(claim).await.unwrap().entries
}

fn notices(entries: &[Settled]) -> Vec<&str> {
    entries.iter().map(|entry| entry.notice.as_str()).collect()
}

async fn settle(store: &Store, mut entries: Vec<Settled>, outcome: Outcome) {
    for entry in &mut entries {
        entry.outcome = outcome.clone();
    }
    store.settle(entries, NOW).await.unwrap();
}

async fn waiting(store: &Store) -> Vec<String> {
    let listed = store.list(None, false, 100).await.unwrap();
    listed.into_iter().map(|entry| entry.notice).collect()
}

#[tokio::test]
async fn a_state_changes_only_for_whoever_has_seen_the_one_before() {
    let store = store(LIMITS);
    let change = |seen, text: &str| Change {
        state: Some(StateChange { probe: "p".to_owned(), seen, state: text.to_owned() }),
        run: Some(RunRecord { probe: "p".to_owned(), run: text.to_owned(), keep: 5 }),
        entries: vec![alert("k", text)],
    };
    let first = store.apply(change(None, "first"), NOW).await.unwrap();
    assert!(matches!(first, Applied::Stored { version: Some(1), .. }));
    let late = store.apply(change(None, "late"), NOW).await.unwrap();
    let current = ProbeState { probe: "p".to_owned(), version: 1, state: "first".to_owned() };
    assert_eq!(late, Applied::Conflict { current: Some(current) });
    let second = store.apply(change(Some(1), "second"), NOW).await.unwrap();
    assert!(matches!(second, Applied::Stored { version: Some(2), .. }));
    assert_eq!(waiting(&store).await, ["first", "second"], "what came too late left nothing");
    assert_eq!(store.probe_runs("p".to_owned(), 9).await.unwrap(), ["second", "first"]);
    store.forget_probe("p".to_owned()).await.unwrap();
    assert!(store.probe_states().await.unwrap().is_empty());
    assert!(store.probe_runs("p".to_owned(), 9).await.unwrap().is_empty());
}

#[tokio::test]
async fn of_two_processes_that_saw_the_same_state_one_pages() {
    let state = tempfile::tempdir().unwrap();
    let stores = [0, 1].map(|_| Store::open(state.path(), LIMITS, keep_all).unwrap());
    let change = Change {
        state: Some(StateChange { probe: "p".to_owned(), seen: None, state: "failed".to_owned() }),
        run: None,
        entries: vec![alert("k", "page")],
    };
    let (one, other) =
        tokio::join!(stores[0].apply(change.clone(), NOW), stores[1].apply(change.clone(), NOW));
    let conflicts = [one.unwrap(), other.unwrap()]
        .iter()
        .filter(|applied| matches!(applied, Applied::Conflict { .. }))
        .count();
    assert_eq!((conflicts, waiting(&stores[0]).await.len()), (1, 1));
}

#[tokio::test]
async fn entries_of_one_key_go_one_after_the_other_and_alerts_go_first() {
    let store = store(LIMITS);
    put(
        &store,
        vec![metric("m", "m1"), metric("m", "m2"), alert("a", "a1"), alert("a", "a2"), alert("b", "b1")],
    )
    .await;
    let first = claim_at(&store, "1", 9, NOW).await;
    assert_eq!(notices(&first), ["a1", "b1", "m1"]);
    assert!(claim_at(&store, "2", 9, NOW).await.is_empty(), "the next of each key waits");
    settle(&store, first, Outcome::Arrived).await;
    assert_eq!(notices(&claim_at(&store, "3", 9, NOW).await), ["a2", "m2"]);
}

#[tokio::test]
async fn what_is_put_off_holds_up_its_key_and_no_other() {
    let store = store(LIMITS);
    put(&store, vec![alert("a", "a1"), alert("a", "a2"), alert("b", "b1")]).await;
    let first = claim_at(&store, "1", 1, NOW).await;
    let later = Outcome::Later { due_at: NOW + 500, reason: "busy".to_owned(), sent: 0, unseen: false };
    settle(&store, first, later).await;
    assert_eq!(notices(&claim_at(&store, "2", 9, NOW).await), ["b1"]);
    let again = claim_at(&store, "3", 9, NOW + 500).await;
    assert_eq!(notices(&again), ["a1"]);
    assert_eq!((again[0].attempts, again[0].exposed), (2, true));
}

#[tokio::test]
async fn an_attempt_that_nobody_saw_exposes_nothing_and_one_that_was_not_made_does_not_count() {
    let store = store(LIMITS);
    put(&store, vec![alert("a", "a1")]).await;
    let first = claim_at(&store, "1", 1, NOW).await;
    let unseen = Outcome::Later { due_at: NOW, reason: "down".to_owned(), sent: 0, unseen: true };
    settle(&store, first, unseen).await;
    let second = claim_at(&store, "2", 1, NOW).await;
    assert_eq!((second[0].attempts, second[0].exposed), (2, false));
    settle(&store, second, Outcome::Unsent { due_at: NOW }).await;
    let third = claim_at(&store, "3", 1, NOW).await;
    assert_eq!((third[0].attempts, third[0].exposed), (2, false));
}

#[tokio::test]
async fn a_claim_runs_out_and_its_late_sender_changes_nothing() {
    let store = store(LIMITS);
    put(&store, vec![alert("a", "a1")]).await;
    let dead = claim_at(&store, "dead", 1, NOW).await;
    assert!(claim_at(&store, "2", 1, NOW + 999).await.is_empty());
    let taken = claim_at(&store, "3", 1, NOW + 1_000).await;
    assert_eq!((taken.len(), taken[0].exposed), (1, true), "the dead one may have sent it");
    settle(&store, dead, Outcome::Arrived).await;
    assert_eq!(waiting(&store).await, ["a1"]);
    settle(&store, taken, Outcome::Arrived).await;
    assert!(waiting(&store).await.is_empty());
}

#[tokio::test]
async fn two_processes_never_hold_the_same_entry() {
    let state = tempfile::tempdir().unwrap();
    let stores = [0, 1].map(|_| Store::open(state.path(), LIMITS, keep_all).unwrap());
    let all = (0..100).map(|number| alert(&number.to_string(), &number.to_string())).collect();
    put(&stores[0], all).await;
    let mut seen = BTreeSet::new();
    for round in 0..10 {
        let names = [0, 1].map(|store| format!("{round}-{store}"));
        let (one, other) =
            tokio::join!(claim_at(&stores[0], &names[0], 5, NOW), claim_at(&stores[1], &names[1], 5, NOW));
        for entry in one.iter().chain(&other) {
            assert!(seen.insert(entry.seq), "{} is held twice", entry.seq);
        }
    }
    assert_eq!(seen.len(), 100);
}

#[tokio::test]
async fn a_clock_that_was_set_back_holds_nothing_up() {
    let store = store(LIMITS);
    put(&store, vec![alert("a", "a1"), alert("b", "b1")]).await;
    let mut first = claim_at(&store, "1", 2, NOW).await;
    let later = Outcome::Later { due_at: NOW + 1_000, reason: String::new(), sent: 0, unseen: false };
    settle(&store, vec![first.remove(0)], later).await;
    let day_before = NOW - 24 * 60 * 60 * 1_000;
    assert_eq!(notices(&claim_at(&store, "2", 9, day_before).await), ["a1", "b1"]);
}

#[tokio::test]
async fn what_has_expired_is_removed_and_counted_but_not_what_is_on_its_way() {
    let store = store(LIMITS);
    put(&store, vec![alert("a", "a1"), alert("b", "b1"), metric("m", "m1")]).await;
    assert_eq!(notices(&claim_at(&store, "1", 1, NOW + 99_500).await), ["a1"]);
    let claim = Claim {
        sink: "another".to_owned(),
        name: "2".to_owned(),
        limit: 1,
        now: NOW + 100_000,
        until: NOW + 100_001,
    };
    assert_eq!(store.claim(claim).await.unwrap().expired, (1, 1));
    assert_eq!(waiting(&store).await, ["a1"]);
    let backlog = store.backlog().await.unwrap();
    let loss = |alerts| Loss { cause: "expired".to_owned(), alerts, entries: 1 };
    assert_eq!(backlog[0].losses, [loss(false), loss(true)]);
}

#[tokio::test]
async fn what_is_too_much_goes_oldest_metric_first_and_alerts_last() {
    let store = store(Limits { entries: 3, ..LIMITS });
    put(&store, vec![alert("a", "a1"), metric("m", "m1"), metric("m", "m2")]).await;
    let dropped = put(&store, vec![alert("b", "b1"), alert("c", "c1")]).await;
    assert_eq!(dropped, [Dropped { sink: "sink".to_owned(), metrics: 2, alerts: 0 }]);
    assert_eq!(waiting(&store).await, ["a1", "b1", "c1"]);
    let dropped = put(&store, vec![alert("d", "d1")]).await;
    assert_eq!(dropped, [Dropped { sink: "sink".to_owned(), metrics: 0, alerts: 1 }]);
    assert_eq!(waiting(&store).await, ["b1", "c1", "d1"]);
    put(&store, vec![metric("m", "m3")]).await;
    assert_eq!(waiting(&store).await, ["b1", "c1", "d1"], "a metric pushes no alert out");
    let backlog = store.backlog().await.unwrap();
    let loss = |alerts, entries| Loss { cause: "full".to_owned(), alerts, entries };
    assert_eq!((backlog[0].waiting, &backlog[0].losses[..]), (3, &[loss(false, 3), loss(true, 1)][..]));
}

#[tokio::test]
async fn bytes_are_bounded_as_well_for_each_sink_by_itself() {
    let store = store(Limits { bytes: 250, ..LIMITS });
    let text = "x".repeat(100);
    put(&store, vec![metric("m", &text), metric("m", &text), entry("other", "m", None, &text)]).await;
    let dropped = put(&store, vec![metric("m", &text)]).await;
    assert_eq!(dropped, [Dropped { sink: "sink".to_owned(), metrics: 1, alerts: 0 }]);
    let waiting: Vec<u64> = store.backlog().await.unwrap().iter().map(|sink| sink.waiting).collect();
    assert_eq!(waiting, [1, 2]);
}

#[tokio::test]
async fn what_is_refused_lies_there_until_it_is_brought_back_or_deleted() {
    let store = store(LIMITS);
    put(&store, vec![alert("a", "a1"), alert("a", "a2"), alert("b", "b1")]).await;
    let refused = Outcome::Refused { reason: "HTTP status 400".to_owned() };
    settle(&store, claim_at(&store, "1", 9, NOW).await, refused.clone()).await;
    let dead = store.list(Some("sink".to_owned()), true, 9).await.unwrap();
    let shown: Vec<_> = dead.iter().map(|entry| (entry.notice.as_str(), entry.reason.as_deref())).collect();
    assert_eq!(shown, [("a1", Some("HTTP status 400")), ("b1", Some("HTTP status 400"))]);
    let next = claim_at(&store, "2", 9, NOW).await;
    assert_eq!(notices(&next), ["a2"], "it holds up nothing");
    settle(&store, next, Outcome::Unsent { due_at: NOW }).await;
    assert_eq!(store.revive(Which::One(dead[0].seq), NOW).await.unwrap(), 1);
    let revived = claim_at(&store, "3", 9, NOW).await;
    assert_eq!(notices(&revived), ["a1"], "at its old place");
    settle(&store, revived, Outcome::Unsent { due_at: NOW }).await;
    assert_eq!(notices(&claim_at(&store, "4", 9, NOW + 3_000_000).await), ["a1"], "for an hour at least");
    assert_eq!(store.delete(Which::All { sink: Some("other".to_owned()) }).await.unwrap(), 0);
    assert_eq!(store.delete(Which::All { sink: None }).await.unwrap(), 1);
    assert!(store.list(None, true, 9).await.unwrap().is_empty());
}

#[tokio::test]
async fn dead_letters_are_bounded_and_counted() {
    let store = store(LIMITS);
    put(&store, ["1", "2", "3", "4"].map(|key| alert(key, key)).to_vec()).await;
    let all = claim_at(&store, "1", 9, NOW).await;
    settle(&store, all, Outcome::Refused { reason: String::new() }).await;
    let backlog = store.backlog().await.unwrap();
    assert_eq!((backlog[0].waiting, backlog[0].dead), (0, 2));
    assert_eq!(backlog[0].losses, [Loss { cause: "refused".to_owned(), alerts: true, entries: 2 }]);
}

#[tokio::test]
async fn the_last_runs_of_a_probe_are_kept() {
    let store = store(LIMITS);
    for (probe, number) in [("p", 1), ("q", 1), ("p", 2), ("p", 3), ("p", 4)] {
        let run = RunRecord { probe: probe.to_owned(), run: format!("{probe}{number}"), keep: 3 };
        store.apply(Change { run: Some(run), ..Change::default() }, NOW).await.unwrap();
    }
    assert_eq!(store.probe_runs("p".to_owned(), 9).await.unwrap(), ["p4", "p3", "p2"]);
    assert_eq!(store.probe_runs("p".to_owned(), 1).await.unwrap(), ["p4"]);
    assert_eq!(store.probe_runs("q".to_owned(), 9).await.unwrap(), ["q1"]);
}

#[tokio::test]
async fn a_change_that_fails_leaves_nothing_and_takes_no_other_with_it() {
    let state = tempfile::tempdir().unwrap();
    let store = Store::open(state.path(), LIMITS, keep_all).unwrap();
    let other = History::open(state.path()).unwrap();
    let trigger = "CREATE TRIGGER t BEFORE INSERT ON outbox WHEN new.sink = 'bad'
                   BEGIN SELECT RAISE(ABORT, 'no space'); END";
    other.database.execute_batch(trigger).unwrap();
    let bad = Change {
        state: Some(StateChange { probe: "p".to_owned(), seen: None, state: String::new() }),
        run: None,
        entries: vec![alert("lost", "lost"), entry("bad", "k", None, "")],
    };
    let good = |text: &str| store.apply(change(vec![alert(text, text)]), NOW);
    let (one, failed, two) = tokio::join!(good("1"), store.apply(bad, NOW), good("2"));
    assert!(one.is_ok() && two.is_ok());
    let error = failed.unwrap_err();
    assert!(error.to_string().starts_with("cannot write to the history"), "{error}");
    assert_eq!(waiting(&store).await, ["1", "2"]);
    assert!(store.probe_states().await.unwrap().is_empty());
}

#[tokio::test]
async fn entries_outlive_their_store() {
    let state = tempfile::tempdir().unwrap();
    assert!(Store::open_existing(state.path(), LIMITS, keep_all).unwrap().is_none());
    let store = Store::open(state.path(), LIMITS, keep_all).unwrap();
    put(&store, vec![alert("a", "a1")]).await;
    drop(store);
    let store = Store::open_existing(state.path(), LIMITS, keep_all).unwrap().unwrap();
    assert_eq!(waiting(&store).await, ["a1"]);
}

#[tokio::test]
async fn senders_hear_of_new_entries_and_not_of_their_own_work() {
    let store = store(LIMITS);
    let mut changes = store.changes();
    put(&store, vec![alert("a", "a1")]).await;
    changes.changed().await.unwrap();
    let claimed = claim_at(&store, "1", 1, NOW).await;
    settle(&store, claimed, Outcome::Arrived).await;
    assert!(!changes.has_changed().unwrap());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn sizes_and_limits_hold_whatever_is_done(
        steps in proptest::collection::vec((0_u8..6, 0_u8..4, 0_usize..60), 1..60),
    ) {
        let mut database = Connection::open_in_memory().unwrap();
        schema::migrate(&mut database, Path::new(":memory:"), schema::MIGRATIONS).unwrap();
        let limits = Limits { entries: 6, bytes: 300, dead: 2 };
        let rules = queue::Rules { limits, collapse: keep_all };
        for (step, (action, key, size)) in steps.into_iter().enumerate() {
            let now = NOW + i64::try_from(step).unwrap() * 400;
            match action {
                0..3 => {
                    let effect = [None, Some(Effect::Trigger), Some(Effect::Resolve)][usize::from(action)];
                    let new = Entry {
                        expires_at: now + 8_000,
                        ..entry("sink", &key.to_string(), effect, &"x".repeat(size))
                    };
                    queue::apply(&database, &rules, &change(vec![new]), now).unwrap();
                }
                3 => {
                    listing::revive(&database, &rules, &Which::All { sink: None }, now).unwrap();
                }
                _ => {
                    let name = step.to_string();
                    let claim = Claim { sink: "sink".to_owned(), name, limit: 2, now, until: now + 1_000 };
                    let mut taken = claims::claim(&database, &rules, &claim).unwrap().entries;
                    let outcomes = [
                        Outcome::Arrived,
                        Outcome::Refused { reason: String::new() },
                        Outcome::Later { due_at: now, reason: String::new(), sent: 0, unseen: false },
                        Outcome::Unsent { due_at: now },
                    ];
                    for entry in &mut taken {
                        entry.outcome = outcomes[usize::from(key)].clone();
                    }
                    if action == 4 {
                        claims::settle(&database, &rules, &taken, now).unwrap();
                    }
                }
            }
            for dead in [0_i64, 1] {
                let sizes = |sql: &str| -> (i64, i64) {
                    let sizes = database.query_row(sql, [dead], |row| Ok((row.get(0)?, row.get(1)?)));
                    sizes.unwrap()
                };
                let kept = sizes(
                    "SELECT coalesce(sum(entries), 0), coalesce(sum(bytes), 0) FROM outbox_sizes WHERE dead = ?1",
                );
                let counted = sizes("SELECT count(*), coalesce(sum(size), 0) FROM outbox WHERE dead = ?1");
                prop_assert_eq!(kept, counted);
            }
            let dead: i64 =
                database.query_row("SELECT count(*) FROM outbox WHERE dead = 1", (), |row| row.get(0)).unwrap();
            prop_assert!(dead <= 2);
            if action < 3 {
                let all = "SELECT count(*), coalesce(sum(size), 0), count(claim) FROM outbox WHERE dead = 0";
                let (all, size, claimed): (i64, i64, i64) = database
                    .query_row(all, (), |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
                    .unwrap();
                // What is on its way cannot go.
                prop_assert!((all <= 6 && size <= 300) || claimed == all, "{all} {size} {claimed}");
            }
        }
    }
}
