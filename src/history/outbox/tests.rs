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

/// A run of a probe, of which so many are kept.
fn record(probe: &str, keep: usize) -> RunRecord {
    RunRecord { probe: probe.to_owned(), run: String::new(), keep, bytes: u64::MAX }
}

#[tokio::test]
async fn a_state_changes_only_for_whoever_has_seen_the_one_before() {
    let store = store(LIMITS);
    let change = |seen, text: &str| Change {
        state: Some(StateChange { probe: "p".to_owned(), seen, state: text.to_owned() }),
        run: Some(RunRecord { run: text.to_owned(), ..record("p", 5) }),
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
}

#[tokio::test]
async fn probes_are_retired_in_one_change_and_those_whose_farewell_fails_stay() {
    let store = store(LIMITS);
    for probe in ["a", "b", "c"] {
        let text = || probe.to_owned();
        let change = Change {
            state: Some(StateChange { probe: text(), seen: None, state: format!("state of {probe}") }),
            run: Some(RunRecord { run: text(), ..record(probe, 5) }),
            entries: Vec::new(),
        };
        store.apply(change, NOW).await.unwrap();
        store.remember(Memo { kind: "progress", name: text(), text: text() }).await.unwrap();
    }
    let gone = ["a", "b", "none"].map(str::to_owned).to_vec();
    let farewell = |probe: &str, state: Option<&str>| match (probe, state) {
        ("b", _) => Err("cannot be written".to_owned()),
        (_, Some(state)) => Ok(vec![alert("k", &format!("farewell to {state}"))]),
        _ => Ok(Vec::new()),
    };
    let failed = store.retire(gone, "progress", farewell, NOW).await.unwrap();
    assert_eq!(failed, ["cannot be written"]);
    assert_eq!(waiting(&store).await, ["farewell to state of a"]);
    let left: Vec<String> =
        store.probe_states().await.unwrap().into_iter().map(|state| state.probe).collect();
    assert_eq!(left, ["b", "c"]);
    let memos: Vec<String> =
        store.memos("progress").await.unwrap().into_iter().map(|memo| memo.name).collect();
    assert_eq!(memos, ["b", "c"]);
    store.forget_runs().await.unwrap();
    assert!(store.probe_runs("a".to_owned(), 9).await.unwrap().is_empty());
    assert_eq!(store.probe_runs("b".to_owned(), 9).await.unwrap(), ["b"], "it has a state");
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
    assert_eq!(store.revive(Which::One(dead[0].seq), NOW).await.unwrap().entries, 1);
    let revived = claim_at(&store, "3", 9, NOW).await;
    assert_eq!(notices(&revived), ["a1"], "at its old place");
    settle(&store, revived, Outcome::Unsent { due_at: NOW }).await;
    assert_eq!(notices(&claim_at(&store, "4", 9, NOW + 3_000_000).await), ["a1"], "for an hour at least");
    assert_eq!(store.delete(Which::All { sink: Some("other".to_owned()) }).await.unwrap(), 0);
    assert_eq!(store.delete(Which::All { sink: None }).await.unwrap(), 1);
    assert!(store.list(None, true, 9).await.unwrap().is_empty());
}

fn resolve(key: &str, notice: &str) -> Entry {
    entry("sink", key, Some(Effect::Resolve), notice)
}

/// Takes what is due, in one attempt of each.
async fn send(store: &Store, name: &str, outcome: Outcome) {
    settle(store, claim_at(store, name, 9, NOW).await, outcome).await;
}

fn refused() -> Outcome {
    Outcome::Refused { reason: "HTTP status 400".to_owned() }
}

#[tokio::test]
async fn a_dead_trigger_whose_resolve_came_later_is_not_brought_back() {
    let store = store(LIMITS);
    put(&store, vec![alert("over", "down"), alert("open", "down")]).await;
    send(&store, "1", refused()).await;
    put(&store, vec![resolve("over", "up")]).await;
    send(&store, "2", Outcome::Arrived).await;
    let all = Which::All { sink: None };
    assert_eq!(store.revive(all.clone(), NOW).await.unwrap(), Revived { entries: 1, outdated: 1 });
    assert_eq!(claim_at(&store, "3", 9, NOW).await[0].key, "open");
    let dead = store.list(None, true, 9).await.unwrap();
    assert_eq!((dead.len(), dead[0].key.as_str(), dead[0].outdated), (1, "over", true));
    let one = Which::One(dead[0].seq);
    assert_eq!(store.revive(one.clone(), NOW).await.unwrap(), Revived { entries: 0, outdated: 1 });
    assert_eq!(store.delete(one).await.unwrap(), 1);
    assert_eq!(store.revive(all, NOW).await.unwrap(), Revived::default());
}

#[tokio::test]
async fn a_trigger_that_is_refused_while_its_resolve_waits_is_not_brought_back() {
    let store = store(LIMITS);
    put(&store, vec![alert("a", "down")]).await;
    let flying = claim_at(&store, "1", 9, NOW).await;
    put(&store, vec![resolve("a", "up")]).await;
    settle(&store, flying, refused()).await;
    send(&store, "2", Outcome::Arrived).await;
    let revived = store.revive(Which::All { sink: None }, NOW).await.unwrap();
    assert_eq!(revived, Revived { entries: 0, outdated: 1 });
}

#[tokio::test]
async fn a_dead_resolve_of_an_incident_that_was_opened_again_is_not_brought_back() {
    let store = store(LIMITS);
    put(&store, vec![resolve("a", "up"), resolve("b", "up")]).await;
    send(&store, "1", refused()).await;
    put(&store, vec![alert("a", "down again")]).await;
    let revived = store.revive(Which::All { sink: None }, NOW).await.unwrap();
    assert_eq!(revived, Revived { entries: 1, outdated: 1 });
    assert_eq!(waiting(&store).await, ["up", "down again"], "the one of b goes");
}

/// Refuses what is due, and gives how often.
async fn refuse(store: &Store, now: i64) -> usize {
    let entries = claim_at(store, &now.to_string(), 9, now).await;
    let count = entries.len();
    let settled = entries.into_iter().map(|entry| Settled { outcome: refused(), ..entry }).collect();
    store.settle(settled, now).await.unwrap();
    count
}

async fn is_untold(store: &Store, now: i64) -> bool {
    !store.untold(vec!["a".to_owned()], now).await.unwrap().is_empty()
}

#[tokio::test]
async fn a_trigger_that_its_sink_has_not_taken_is_due_again_after_pauses_that_grow_to_an_hour() {
    let store = store(LIMITS);
    let mut now = NOW;
    for pause in [0, 1, 2, 4, 8, 16, 32, 60, 60] {
        let expires_at = now + 100_000;
        let again = Entry { expires_at, ..alert("a", "down") };
        store.apply(change(vec![again]), now).await.unwrap();
        assert!(!is_untold(&store, now).await, "one waits");
        assert_eq!(refuse(&store, now).await, 1);
        let due = now + pause * 60_000;
        assert!(pause == 0 || !is_untold(&store, due - 1).await, "{pause}");
        assert!(is_untold(&store, due).await, "{pause}");
        now = due;
    }
    assert!(is_untold(&store, NOW - 10_000_000).await, "a clock that was ahead holds nothing up");
    assert_eq!(store.list(None, true, 9).await.unwrap().len(), 1, "the newest dead letter of a key stays");
    store.apply(change(vec![Entry { expires_at: i64::MAX, ..alert("a", "down") }]), now).await.unwrap();
    let taken = claim_at(&store, "taken", 9, now).await;
    settle(&store, taken, Outcome::Arrived).await;
    assert!(!is_untold(&store, i64::MAX / 2).await);
    assert!(store.list(None, true, 9).await.unwrap().is_empty(), "it is told");
}

#[tokio::test]
async fn a_trigger_that_expired_or_had_to_make_room_is_untold_until_its_incident_is_over() {
    let store = store(Limits { entries: 1, ..LIMITS });
    put(&store, vec![alert("a", "down"), alert("b", "down")]).await;
    assert!(is_untold(&store, NOW).await, "it made room");
    put(&store, vec![resolve("a", "up")]).await;
    assert!(!is_untold(&store, NOW).await);
    put(&store, vec![alert("a", "down")]).await;
    claim_at(&store, "1", 9, NOW + 200_000).await;
    assert!(is_untold(&store, NOW + 200_000).await, "it has expired");
}

#[tokio::test]
async fn a_trigger_that_is_refused_while_its_resolve_waits_is_not_told_again() {
    let store = store(LIMITS);
    put(&store, vec![alert("a", "down")]).await;
    let flying = claim_at(&store, "1", 9, NOW).await;
    put(&store, vec![resolve("a", "up")]).await;
    settle(&store, flying, refused()).await;
    send(&store, "2", refused()).await;
    assert!(!is_untold(&store, NOW).await);
}

#[tokio::test]
async fn a_dead_letter_that_is_brought_back_is_not_told_again_beside_it() {
    let store = store(LIMITS);
    put(&store, vec![alert("a", "down")]).await;
    assert_eq!(refuse(&store, NOW).await, 1);
    assert!(is_untold(&store, NOW).await);
    store.revive(Which::All { sink: None }, NOW).await.unwrap();
    assert!(!is_untold(&store, NOW).await);
    send(&store, "2", Outcome::Arrived).await;
    assert!(!is_untold(&store, NOW).await);
}

#[test]
fn dead_letters_of_an_earlier_form_are_outdated_by_what_lies_beside_them() {
    let mut database = Connection::open_in_memory().unwrap();
    let path = Path::new(":memory:");
    let before = schema::MIGRATIONS.iter().position(|step| *step == OUTDATED_MIGRATION).unwrap();
    schema::migrate(&mut database, path, &schema::MIGRATIONS[..before]).unwrap();
    let insert =
        "INSERT INTO outbox (sink, key, effect, notice, size, stored_at, expires_at, due_at, reminder, dead)
                  VALUES ('sink', ?1, ?2, '', 0, 0, 0, 0, 0, ?3)";
    for (key, effect, dead) in [("a", 1, 1), ("b", 1, 1), ("a", 2, 0), ("b", 1, 0), ("m", 0, 1), ("m", 0, 0)]
    {
        database.execute(insert, rusqlite::params![key, effect, dead]).unwrap();
    }
    schema::migrate(&mut database, path, schema::MIGRATIONS).unwrap();
    let outdated = "SELECT group_concat(key) FROM outbox WHERE outdated = 1";
    let outdated: String = database.query_row(outdated, (), |row| row.get(0)).unwrap();
    assert_eq!(outdated, "a");
    let untold: String =
        database.query_row("SELECT group_concat(key) FROM untold", (), |row| row.get(0)).unwrap();
    assert_eq!(untold, "b", "what an earlier form has not told is told again");
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
        let run = RunRecord { run: format!("{probe}{number}"), ..record(probe, 3) };
        store.apply(Change { run: Some(run), ..Change::default() }, NOW).await.unwrap();
    }
    assert_eq!(store.probe_runs("p".to_owned(), 9).await.unwrap(), ["p4", "p3", "p2"]);
    assert_eq!(store.probe_runs("p".to_owned(), 1).await.unwrap(), ["p4"]);
    assert_eq!(store.probe_runs("q".to_owned(), 9).await.unwrap(), ["q1"]);
    assert_eq!(store.probe_run("p".to_owned(), 2).await.unwrap().as_deref(), Some("p2"));
    assert_eq!(store.probe_run("p".to_owned(), 3).await.unwrap(), None);
}

#[tokio::test]
async fn the_runs_of_a_probe_are_bounded_in_bytes_and_the_newest_is_kept_however_long_it_is() {
    let store = store(LIMITS);
    let add = async |probe: &str, text: String| {
        let run = RunRecord { run: text, bytes: 10, ..record(probe, 9) };
        store.apply(Change { run: Some(run), ..Change::default() }, NOW).await.unwrap();
        store.probe_runs(probe.to_owned(), 9).await.unwrap()
    };
    add("q", "other".to_owned()).await;
    add("p", "one".to_owned()).await;
    add("p", "two".to_owned()).await;
    // Bytes, not characters.
    assert_eq!(add("p", "ééé".to_owned()).await, ["ééé", "two"]);
    let long = "x".repeat(100);
    assert_eq!(add("p", long.clone()).await, [long]);
    assert_eq!(add("p", "short".to_owned()).await, ["short"]);
    assert_eq!(add("q", "again".to_owned()).await, ["again", "other"]);
}

#[test]
fn runs_of_an_earlier_form_are_counted() {
    let mut database = Connection::open_in_memory().unwrap();
    let path = Path::new(":memory:");
    let before = schema::MIGRATIONS.iter().position(|step| *step == SIZES_MIGRATION).unwrap();
    schema::migrate(&mut database, path, &schema::MIGRATIONS[..before]).unwrap();
    database.execute_batch("INSERT INTO probe_runs (probe, run) VALUES ('p', 'é'), ('p', 'x')").unwrap();
    schema::migrate(&mut database, path, schema::MIGRATIONS).unwrap();
    let sizes = || {
        let sizes = "SELECT runs, bytes FROM probe_sizes WHERE probe = 'p'";
        database.query_row(sizes, (), |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?))).ok()
    };
    assert_eq!(sizes(), Some((2, 3)));
    assert_eq!(retired::forget_some_runs(&database).unwrap(), 2);
    assert_eq!(sizes(), None);
}

#[tokio::test]
async fn whoever_looks_waits_for_nobody_who_writes_and_sees_all_that_is_stored() {
    let state = tempfile::tempdir().unwrap();
    let store = Store::open(state.path(), LIMITS, keep_all).unwrap();
    let run = RunRecord { run: "run".to_owned(), ..record("p", 3) };
    store.apply(Change { run: Some(run), entries: vec![alert("a", "a1")], state: None }, NOW).await.unwrap();
    let (release, held) = std::sync::mpsc::channel::<()>();
    let (started, at_work) = tokio::sync::oneshot::channel();
    let mut started = Some(started);
    let writer = store.writer.clone();
    let writing = tokio::spawn(async move {
        let work = move |_: &Connection, _: &queue::Rules| {
            if let Some(started) = started.take() {
                started.send(()).unwrap();
            }
            Ok(held.recv().is_ok())
        };
        writer.write(work).await
    });
    at_work.await.unwrap();
    let looking = async {
        let backlog = store.backlog().await.unwrap();
        assert_eq!((backlog[0].waiting, backlog[0].oldest), (1, Some(NOW)));
        assert_eq!(waiting(&store).await, ["a1"]);
        assert_eq!(store.probe_runs("p".to_owned(), 9).await.unwrap(), ["run"]);
    };
    tokio::time::timeout(std::time::Duration::from_secs(20), looking).await.unwrap();
    release.send(()).unwrap();
    assert!(writing.await.unwrap().unwrap());
}

#[tokio::test]
async fn whoever_looks_can_write_nothing() {
    let state = tempfile::tempdir().unwrap();
    let store = Store::open(state.path(), LIMITS, keep_all).unwrap();
    let written = store.look(|database| Ok(database.execute("DELETE FROM outbox", ())?)).await;
    assert!(written.is_err());
}

#[tokio::test]
async fn the_oldest_that_waits_is_the_one_that_was_stored_first_metric_or_alert() {
    let store = store(LIMITS);
    store.apply(change(vec![metric("m", "m1")]), NOW).await.unwrap();
    store.apply(change(vec![alert("a", "a1")]), NOW + 1).await.unwrap();
    let oldest = async || store.backlog().await.unwrap()[0].oldest;
    assert_eq!(oldest().await, Some(NOW));
    let first = claim_at(&store, "1", 9, NOW + 1).await;
    let (metrics, alerts) = first.into_iter().partition(|entry| entry.effect.is_none());
    settle(&store, metrics, Outcome::Arrived).await;
    assert_eq!(oldest().await, Some(NOW + 1));
    settle(&store, alerts, Outcome::Arrived).await;
    assert_eq!(oldest().await, None);
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

/// A database as the store uses it.
fn database() -> Connection {
    let mut database = Connection::open_in_memory().unwrap();
    schema::migrate(&mut database, Path::new(":memory:"), schema::MIGRATIONS).unwrap();
    tune(&database).unwrap();
    database
}

#[test]
fn a_statement_is_made_once_whatever_it_is_given() {
    let database = database();
    let text = "SELECT seq FROM outbox WHERE sink = ?1 AND dead = 0 AND alert = ?2 ORDER BY seq LIMIT ?3";
    let mut select = database.prepare(text).unwrap();
    for limit in 1..10 {
        let rows = select.query_map(rusqlite::params!["sink", limit % 2, limit], |_| Ok(())).unwrap();
        assert_eq!(rows.count(), 0);
    }
    assert_eq!(select.get_status(rusqlite::StatementStatus::RePrepare), 0);
}

#[test]
fn of_too_many_open_incidents_the_oldest_is_forgotten() {
    let database = database();
    let numbers = "WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 20001)";
    database
        .execute_batch(&format!("INSERT INTO open_incidents {numbers} SELECT 'sink', i, 100000 - i FROM n"))
        .unwrap();
    // Told again it is no other one, and the newest.
    incidents::opened(&database, "sink", "20001", NOW).unwrap();
    incidents::forget_oldest(&database, "sink").unwrap();
    incidents::forget_oldest(&database, "sink").unwrap();
    let gone = "SELECT group_concat(i) FROM (SELECT i FROM n WHERE NOT EXISTS (
                    SELECT 1 FROM open_incidents WHERE sink = 'sink' AND key = CAST(i AS TEXT)))";
    let gone: String = database.query_row(&format!("{numbers} {gone}"), (), |row| row.get(0)).unwrap();
    assert_eq!(gone, "19999,20000");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn sizes_and_limits_hold_whatever_is_done(
        steps in proptest::collection::vec((0_u8..6, 0_u8..4, 0_usize..60), 1..60),
    ) {
        let database = database();
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
                    dead::revive(&database, &rules, &Which::All { sink: None }, now).unwrap();
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
            let count = |sql: &str| -> i64 { database.query_row(sql, (), |row| row.get(0)).unwrap() };
            prop_assert_eq!(
                count("SELECT coalesce(sum(incidents), 0) FROM open_counts"),
                count("SELECT count(*) FROM open_incidents")
            );
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
