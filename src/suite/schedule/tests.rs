use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

fn item(name: &str, test_type: &str, needs: &[&str]) -> Item {
    let need = |text: &&str| match text.strip_prefix('@') {
        Some(service) => Need::Service(service.to_owned()),
        None => Need::Test((*text).to_owned()),
    };
    Item {
        name: name.to_owned(),
        policy: Policy::of_type(test_type),
        needs: needs.iter().map(need).collect(),
        engine: 0,
    }
}

fn scheduler(items: Vec<Item>, jobs: usize, max_failures: Option<usize>) -> Scheduler {
    Scheduler::new(items, Limits { jobs, max_failures }).unwrap()
}

fn start(scheduler: &mut Scheduler) -> Vec<usize> {
    let ready = scheduler.ready();
    for test in &ready {
        scheduler.started(*test);
    }
    ready
}

#[test]
fn shared_tests_fill_the_slots_in_order() {
    let mut run = scheduler(vec![item("a", "x", &[]), item("b", "x", &[]), item("c", "x", &[])], 2, None);
    assert_eq!(start(&mut run), [0, 1]);
    assert!(run.ready().is_empty());
    assert!(run.finished(1, End::Passed).is_empty());
    assert_eq!(start(&mut run), [2]);
    run.finished(0, End::Failed);
    run.finished(2, End::Passed);
    assert!(run.is_done() && run.failures() == 1);
}

#[test]
fn performance_waits_for_its_engine_and_chaos_for_all() {
    let mut items = vec![
        item("chaos", "chaos", &[]),
        item("perf", "performance", &[]),
        item("a", "x", &[]),
        item("far", "x", &[]),
        item("far-perf", "performance", &[]),
    ];
    items[3].engine = 1;
    items[4].engine = 1;
    let mut run = scheduler(items, 8, None);
    assert_eq!(start(&mut run), [2, 3]);
    run.finished(2, End::Passed);
    assert_eq!(start(&mut run), [1], "perf starts beside a test of another engine");
    run.finished(3, End::Passed);
    assert_eq!(start(&mut run), [4]);
    run.finished(1, End::Passed);
    assert!(run.ready().is_empty(), "chaos waits for the other engine too");
    run.finished(4, End::Passed);
    assert_eq!(start(&mut run), [0]);
    run.finished(0, End::Passed);
    assert!(run.is_done());
}

#[test]
fn services_and_tests_hold_back_what_needs_them() {
    let items = vec![item("a", "x", &["@db", "b"]), item("b", "x", &["@cache"]), item("c", "x", &[])];
    let mut run = scheduler(items, 8, None);
    assert_eq!(start(&mut run), [2]);
    run.service_ready("db");
    assert!(run.ready().is_empty());
    run.service_ready("cache");
    assert_eq!(start(&mut run), [1]);
    assert!(run.needs_service("cache") && run.running_with("cache").eq([1]));
    run.finished(1, End::Passed);
    assert!(!run.needs_service("cache"));
    assert_eq!(start(&mut run), [0]);
}

#[test]
fn a_lost_service_takes_all_that_depend_on_it_with_it() {
    let items = vec![item("a", "x", &["b"]), item("b", "x", &["@db"]), item("c", "x", &[])];
    let mut run = scheduler(items, 8, None);
    let dependency = |test, need| NotRun { test, reason: Reason::Dependency(need) };
    assert_eq!(
        run.service_failed("db"),
        [dependency(1, Need::Service("db".into())), dependency(0, Need::Test("b".into()))]
    );
    assert_eq!(run.failures(), 0, "they have not failed themselves");
    assert_eq!(start(&mut run), [2]);
    run.finished(2, End::Passed);
    assert!(run.is_done());
}

#[test]
fn failures_stop_the_run_when_they_are_enough() {
    let items = ["a", "b", "c", "d"].map(|name| item(name, "x", &[])).to_vec();
    let mut run = scheduler(items, 2, Some(1));
    start(&mut run);
    let stopped = |test| NotRun { test, reason: Reason::Stopped };
    assert_eq!(run.finished(0, End::Failed), [stopped(2), stopped(3)]);
    assert!(run.is_stopped() && run.ready().is_empty() && !run.is_done(), "b still runs");
    assert!(run.finished(1, End::Failed).is_empty());
    assert!(run.is_done());
}

#[test]
fn impossible_runs_are_refused() {
    let new = |items| Scheduler::new(items, Limits { jobs: 1, max_failures: None }).unwrap_err().to_string();
    assert_eq!(new(vec![item("a", "x", &[]), item("a", "x", &[])]), "the test `a` is there twice");
    assert_eq!(new(vec![item("a", "x", &["b"])]), "the test `a` needs `b`, which is not run");
    let circle = vec![item("a", "x", &["b"]), item("b", "x", &["a"])];
    assert_eq!(new(circle), "needs go round in a circle: a → b → a");
}

/// What a random run does next.
#[derive(Debug, Clone, Copy)]
struct Step {
    which: usize,
    fails: bool,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = (any::<usize>(), prop::bool::weighted(0.2)).prop_map(|(which, fails)| Step { which, fails });
    proptest::collection::vec(step, 64)
}

fn items() -> impl Strategy<Value = Vec<Item>> {
    let one = (
        prop::sample::select(vec!["integration", "performance", "chaos", "security"]),
        proptest::collection::vec(any::<prop::sample::Index>(), 0..3),
        proptest::option::of(0_usize..3),
        0_usize..2,
    );
    proptest::collection::vec(one, 1..24).prop_map(|all| {
        all.into_iter()
            .enumerate()
            .map(|(at, (test_type, earlier, service, engine))| {
                // Only earlier ones, so that there is no circle.
                let mut needs: Vec<Need> = earlier
                    .iter()
                    .filter(|_| at > 0)
                    .map(|index| Need::Test(format!("t{}", index.index(at.max(1)))))
                    .collect();
                needs.extend(service.map(|number| Need::Service(format!("s{number}"))));
                Item { name: format!("t{at}"), policy: Policy::of_type(test_type), needs, engine }
            })
            .collect()
    })
}

proptest! {
    #[test]
    fn every_run_ends_and_keeps_its_rules(
        items in items(),
        steps in steps(),
        jobs in 1_usize..5,
        broken in proptest::option::of(0_usize..3),
        max_failures in proptest::option::of(1_usize..4),
    ) {
        let mut run = scheduler(items.clone(), jobs, max_failures);
        let mut started: BTreeSet<usize> = BTreeSet::new();
        let mut passed: BTreeSet<String> = BTreeSet::new();
        let mut running: Vec<usize> = Vec::new();
        let lost = broken.map(|number| format!("s{number}"));
        let mut not_run: Vec<usize> = Vec::new();
        for number in 0..3 {
            if broken == Some(number) {
                not_run.extend(run.service_failed(&format!("s{number}")).iter().map(|n| n.test));
            } else {
                run.service_ready(&format!("s{number}"));
            }
        }
        let mut steps = steps.into_iter().cycle();
        while !run.is_done() {
            for test in run.ready() {
                prop_assert!(started.insert(test), "{test} starts twice");
                for need in &items[test].needs {
                    match need {
                        Need::Test(name) => prop_assert!(passed.contains(name)),
                        Need::Service(name) => prop_assert_ne!(Some(name), lost.as_ref()),
                    }
                }
                run.started(test);
                running.push(test);
            }
            prop_assert!(!running.is_empty(), "nothing runs and nothing can start: deadlock");
            prop_assert!(running.len() <= jobs);
            for a in &running {
                for b in running.iter().filter(|b| *b != a) {
                    prop_assert!(!items[*a].policy.alone, "{a} is not alone: {b}");
                    let same = items[*a].engine == items[*b].engine;
                    prop_assert!(!(items[*a].policy.exclusive && same), "{a} shares its engine with {b}");
                }
            }
            let step = steps.next().unwrap();
            let test = running.swap_remove(step.which % running.len());
            let end = if step.fails { End::Failed } else { End::Passed };
            if end == End::Passed {
                passed.insert(items[test].name.clone());
            }
            not_run.extend(run.finished(test, end).iter().map(|n| n.test));
        }
        let mut all: Vec<usize> = started.into_iter().chain(not_run).collect();
        all.sort_unstable();
        prop_assert_eq!(all, (0..items.len()).collect::<Vec<_>>(), "each runs once, or is said not to");
    }
}
