//! What a run of a suite would run, in order.
//!
//! Owns how selection, needs, partition, shuffle, repetition and policy come together, so that a list and a run cannot
//! differ. The order is that of one slot in which everything passes, by the rules of [`super::schedule`].

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::time::Duration;

use super::document::{Document, Test};
use super::error::SuiteError;
use super::needs::{self, Need};
use super::order;
use super::partition::{Item, Partition};
use super::policy::Policy;
use super::read::Suite;
use super::select::{self, Candidate, Selection};
use crate::error::Diagnose;
use crate::metadata::duration;
use crate::metadata::labels::{DEFAULT_TYPE, MOST_RETRIES};

/// What is asked for. The default is every test once, in the order of the file.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// Which tests.
    pub selection: Selection,
    /// Which part of them.
    pub partition: Option<Partition>,
    /// Seed of a shuffle.
    pub seed: Option<String>,
    /// How often each is run; 0 counts as 1.
    pub repetitions: u32,
    /// Recorded durations by name, for partitions that go by them.
    pub durations: BTreeMap<String, Duration>,
    /// Where it is given, only these.
    pub only: Option<BTreeSet<String>>,
}

/// A test that would be run.
#[derive(Debug, Clone)]
pub struct Listed<'a> {
    /// Full name, matrix included.
    pub name: &'a str,
    /// What the file says about it.
    pub test: &'a Test,
    /// Its type. One that only the image's label says is not known here, and is the usual one.
    pub test_type: &'a str,
    /// What comes before it, as the file says.
    pub needs: Vec<Need>,
    /// Services that it needs in all, in the order in which they start.
    pub services: Vec<String>,
    /// How it is run beside others.
    pub policy: Policy,
    /// How long an attempt may take, where the file says it: for the test, or for all.
    pub timeout: Option<Duration>,
    /// How often it is run again when it fails.
    pub retries: u32,
}

/// The tests that would be run.
#[derive(Debug, Clone)]
pub struct Listing<'a> {
    tests: Vec<Listed<'a>>,
    seed: Option<String>,
    repetitions: u32,
    /// How many tests were selected, with all that they need, before the partition.
    pub selected: usize,
}

/// Every test of the suite, as selection looks at it.
#[must_use]
pub fn candidates(suite: &Suite) -> Vec<Candidate<'_>> {
    suite
        .tests()
        .map(|(name, test)| Candidate {
            name,
            base: &test.base,
            test_type: type_of(test),
            labels: &test.labels.0,
        })
        .collect()
}

fn type_of(test: &Test) -> &str {
    test.test_type.as_deref().unwrap_or(DEFAULT_TYPE)
}

impl<'a> Listing<'a> {
    /// What is wanted of a suite.
    pub fn new(suite: &'a Suite, wanted: &Wanted) -> Result<Self, SuiteError> {
        let document = &suite.document;
        let defaults = Defaults::of(suite)?;
        let only = |name: &str| wanted.only.as_ref().is_none_or(|only| only.contains(name));
        let matching = candidates(suite)
            .into_iter()
            .filter(|candidate| only(candidate.name) && wanted.selection.matches(candidate));
        let names = select::with_needed(document, matching.map(|candidate| candidate.name));
        let by_name: BTreeMap<&str, &Test> = suite.tests().collect();
        let listed = |name: &'a str| Some(listed(document, name, by_name.get(name).copied()?, defaults));
        let mut tests: Vec<Listed<'a>> = names.into_iter().filter_map(listed).collect();
        let selected = tests.len();
        if let Some(partition) = wanted.partition {
            let needed: Vec<Vec<String>> =
                tests.iter().map(|test| test.needed_tests().map(str::to_owned).collect()).collect();
            let items: Vec<Item<'_>> =
                tests.iter().zip(&needed).map(|(test, needs)| Item { name: test.name, needs }).collect();
            let mut mine = partition.of(&items, &wanted.durations).into_iter().peekable();
            let mut at = 0..;
            tests.retain(|_| mine.next_if_eq(&at.next().unwrap_or_default()).is_some());
        }
        Ok(Self { tests, seed: wanted.seed.clone(), repetitions: wanted.repetitions.max(1), selected })
    }

    /// Whether there is nothing to run.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.tests.is_empty()
    }

    /// The tests of every repetition, each with its number, in the order in which they would start.
    pub fn rounds(&self) -> impl Iterator<Item = (u32, Vec<&Listed<'a>>)> {
        let by_name: BTreeMap<&str, &Listed<'a>> = self.tests.iter().map(|test| (test.name, test)).collect();
        let names: Vec<&str> = self.tests.iter().map(|test| test.name).collect();
        (1..=self.repetitions).map(move |repetition| {
            let round = order::round(&names, repetition, self.seed.as_deref());
            let round: Vec<&Listed<'a>> =
                round.into_iter().filter_map(|name| by_name.get(name).copied()).collect();
            (repetition, starts(&round))
        })
    }
}

impl Listed<'_> {
    fn needed_tests(&self) -> impl Iterator<Item = &str> {
        self.needs.iter().filter_map(|need| match need {
            Need::Test(name) => Some(name.as_str()),
            Need::Service(_) => None,
        })
    }
}

fn listed<'a>(document: &'a Document, name: &'a str, test: &'a Test, defaults: Defaults) -> Listed<'a> {
    let test_type = type_of(test);
    let needs = needs::of(document, test);
    let direct: Vec<&str> = needs
        .iter()
        .filter_map(|need| match need {
            Need::Service(name) => Some(name.as_str()),
            Need::Test(_) => None,
        })
        .collect();
    let here: Vec<&str> = needs::waves(document, direct.iter().copied()).concat();
    // Those of a compose file are known by their names alone.
    let elsewhere = direct.iter().filter(|name| !here.contains(name));
    let services = here.iter().chain(elsewhere).map(|&name| name.to_owned()).collect();
    Listed {
        name,
        test,
        test_type,
        services,
        needs,
        policy: Policy::of(test_type, &document.policy, test),
        timeout: test.timeout.or(defaults.timeout),
        retries: test.retries.map_or(defaults.retries, |retries| retries.count),
    }
}

/// What the file says about all tests.
#[derive(Debug, Clone, Copy)]
struct Defaults {
    timeout: Option<Duration>,
    retries: u32,
}

impl Defaults {
    fn of(suite: &Suite) -> Result<Self, SuiteError> {
        let given = |key: &str| {
            let (_, values) = suite.document.defaults.0.iter().find(|(name, _)| name == key)?;
            values.first()
        };
        let timeout =
            given("timeout").map(|text| duration::parse_limit(text)).transpose().map_err(|error| {
                suite.error(&["defaults", "timeout"], format!("defaults.timeout: {error}"), error.hint())
            })?;
        let retries =
            given("retries").map_or(Some(0), |text| text.parse().ok().filter(|count| *count <= MOST_RETRIES));
        let retries = retries.ok_or_else(|| {
            let problem = format!("defaults.retries: expected a number from 0 to {MOST_RETRIES}");
            suite.error(&["defaults", "retries"], problem, None)
        })?;
        Ok(Self { timeout, retries })
    }
}

/// The order in which tests start, one after the other: those that run beside others first, then exclusive ones, then
/// those that run alone; and before each what it needs.
fn starts<'l, 'a>(tests: &[&'l Listed<'a>]) -> Vec<&'l Listed<'a>> {
    let index: BTreeMap<&str, usize> = tests.iter().enumerate().map(|(at, test)| (test.name, at)).collect();
    let mut missing = vec![0_usize; tests.len()];
    let mut needed_by: Vec<Vec<usize>> = vec![Vec::new(); tests.len()];
    for ((at, test), missing) in tests.iter().enumerate().zip(&mut missing) {
        for need in test.needed_tests().filter_map(|name| index.get(name)) {
            if let Some(list) = needed_by.get_mut(*need) {
                list.push(at);
                *missing += 1;
            }
        }
    }
    let class = |test: &Listed<'_>| (test.policy.alone, test.policy.exclusive);
    let turn = |at: usize| tests.get(at).map(|test| Reverse((class(test), at)));
    let mut startable: BinaryHeap<_> =
        missing.iter().enumerate().filter(|(_, count)| **count == 0).filter_map(|(at, _)| turn(at)).collect();
    let mut order = Vec::with_capacity(tests.len());
    while let Some(Reverse((_, at))) = startable.pop() {
        order.extend(tests.get(at).copied());
        for next in needed_by.get(at).into_iter().flatten() {
            if let Some(count) = missing.get_mut(*next) {
                *count -= 1;
                if *count == 0 {
                    startable.extend(turn(*next));
                }
            }
        }
    }
    order
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use proptest::prelude::*;

    use super::*;
    use crate::environment::Environment;
    use crate::suite::pattern::NamePattern;
    use crate::suite::read::Known;
    use crate::suite::schedule::{End, Item as Scheduled, Limits, Scheduler};

    fn suite(text: &str) -> Suite {
        let path = Path::new("docker-test.yaml");
        Suite::read(path, text.as_bytes(), &Environment::default(), Known::default()).unwrap()
    }

    fn names(suite: &Suite, wanted: &Wanted) -> Vec<String> {
        let listing = Listing::new(suite, wanted).unwrap();
        listing.rounds().flat_map(|(_, round)| round).map(|test| test.name.to_owned()).collect()
    }

    const SHOP: &str = "
version: 1
defaults: { timeout: 5m, retries: 2 }
services:
  db: { image: db }
  schema: { image: schema, needs: [db], ready: exit-0 }
tests:
  chaos: { image: a, type: chaos }
  load: { image: a, type: performance, timeout: 1h }
  summary: { image: a, needs: [checkout, schema], retries: 0 }
  checkout: { image: a, matrix: { db: [15, 16] } }
";

    #[test]
    fn needs_come_first_and_what_excludes_others_last() {
        let order = ["checkout[db=15]", "checkout[db=16]", "summary", "load", "chaos"];
        assert_eq!(names(&suite(SHOP), &Wanted::default()), order);
    }

    #[test]
    fn what_a_test_needs_comes_along_and_stays_with_it() {
        let suite = suite(SHOP);
        let selection =
            Selection { names: vec![NamePattern::parse("summary").unwrap()], ..Selection::default() };
        for partition in [None, Some(Partition::parse("slice:1/2").unwrap())] {
            let wanted = Wanted { selection: selection.clone(), partition, ..Wanted::default() };
            assert_eq!(names(&suite, &wanted), ["checkout[db=15]", "checkout[db=16]", "summary"]);
        }
        let partition = Some(Partition::parse("slice:2/2").unwrap());
        let wanted = Wanted { selection, partition, ..Wanted::default() };
        let listing = Listing::new(&suite, &wanted).unwrap();
        assert!(listing.is_empty() && listing.selected == 3);
    }

    #[test]
    fn a_test_has_its_own_values_before_those_of_all() {
        let suite = suite(SHOP);
        let listing = Listing::new(&suite, &Wanted::default()).unwrap();
        let of = |name: &str| listing.tests.iter().find(|test| test.name == name).unwrap();
        assert_eq!(of("load").timeout, Some(Duration::from_hours(1)));
        assert_eq!(of("chaos").timeout, Some(Duration::from_mins(5)));
        assert_eq!((of("summary").retries, of("chaos").retries), (0, 2));
        assert_eq!(of("summary").services, ["db", "schema"]);
        assert!(of("chaos").policy.alone && of("load").policy.exclusive);
    }

    #[test]
    fn wrong_defaults_are_answered_with_their_place() {
        for (text, problem) in
            [("timeout: 0", "defaults.timeout: "), ("retries: many", "defaults.retries: expected a number")]
        {
            let suite = suite(&format!("version: 1\ndefaults:\n  {text}\ntests: {{ a: {{ image: a }} }}\n"));
            let error = Listing::new(&suite, &Wanted::default()).unwrap_err();
            assert!(error.problem().starts_with(problem), "{error}");
            assert_eq!(error.place().line, 3, "{error}");
        }
    }

    #[test]
    fn every_round_of_a_shuffle_has_an_order_of_its_own() {
        let tests: Vec<String> = (0..9).map(|at| format!("  t{at}: {{ image: a }}\n")).collect();
        let suite = suite(&format!("version: 1\ntests:\n{}", tests.concat()));
        let wanted = Wanted { seed: Some("7".to_owned()), repetitions: 2, ..Wanted::default() };
        let both = names(&suite, &wanted);
        let (first, second) = both.split_at(9);
        assert_ne!(first, second);
        assert_eq!(names(&suite, &Wanted { repetitions: 1, ..wanted }), first);
    }

    proptest! {
        #[test]
        fn the_order_is_that_of_a_run_with_one_slot(
            types in proptest::collection::vec(0_usize..4, 1..20),
            edges in proptest::collection::vec((0_usize..20, 0_usize..20), 0..20),
        ) {
            let words = ["integration", "performance", "chaos", "security"];
            let tests: Vec<String> = types.iter().enumerate().map(|(at, kind)| {
                // Only earlier ones of a second order of names are needed, so that there is no cycle.
                let rank = |at: usize| (at * 7) % 23;
                let needs: Vec<String> = edges.iter()
                    .filter(|(from, to)| *from == at && *to < types.len() && rank(*to) < rank(at))
                    .map(|(_, to)| format!("t{to}")).collect();
                format!("  t{at}: {{ image: a, type: {}, needs: [{}] }}\n", words[*kind], needs.join(", "))
            }).collect();
            let suite = suite(&format!("version: 1\ntests:\n{}", tests.concat()));
            let listing = Listing::new(&suite, &Wanted::default()).unwrap();
            let items = listing.tests.iter().map(|test| Scheduled {
                name: test.name.to_owned(), policy: test.policy, needs: test.needs.clone(), engine: 0,
            }).collect();
            let mut run = Scheduler::new(items, Limits { jobs: 1, max_failures: None }).unwrap();
            let mut expected = Vec::new();
            while let [test] = run.ready()[..] {
                run.started(test);
                run.finished(test, End::Passed);
                expected.push(listing.tests[test].name.to_owned());
            }
            prop_assert_eq!(names(&suite, &Wanted::default()), expected);
        }
    }
}
