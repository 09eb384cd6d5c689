//! One of several parts of a suite, for as many machines.
//!
//! Owns the three ways to cut: `slice` by place, `hash` by name, `time` by recorded duration. All are functions of the
//! same list on every machine, so that the parts are disjoint and complete without a word between them. Tests that need
//! each other stay together.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use sha2::{Digest, Sha256};

use crate::error::nearest;
use crate::plan::syntax::Invalid;

const EXPECTED: &str = "expected slice:M/N, hash:M/N or time:M/N, with M from 1 to N";
const KINDS: [&str; 3] = ["slice", "hash", "time"];
/// The most parts.
pub const MOST_PARTS: u32 = 10_000;

/// `--partition`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Partition {
    kind: Kind,
    part: u32,
    parts: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Slice,
    Hash,
    Time,
}

impl fmt::Display for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            Kind::Slice => "slice",
            Kind::Hash => "hash",
            Kind::Time => "time",
        };
        write!(f, "{kind}:{}/{}", self.part, self.parts)
    }
}

/// A test, as far as it matters here.
#[derive(Debug, Clone, Copy)]
pub struct Item<'a> {
    /// Full name.
    pub name: &'a str,
    /// Full names of the tests that it needs.
    pub needs: &'a [String],
}

impl Partition {
    /// Reads `slice:M/N`, `hash:M/N` or `time:M/N`.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let (kind, numbers) = text.split_once(':').ok_or_else(|| Invalid::new(EXPECTED))?;
        let kind = match kind {
            "slice" => Kind::Slice,
            "hash" => Kind::Hash,
            "time" => Kind::Time,
            _ => {
                let error = Invalid::new(format!("unknown partition `{kind}`: {EXPECTED}"));
                return Err(match nearest(kind, KINDS) {
                    Some(near) => error.hint(format!("did you mean `{near}`?")),
                    None => error,
                });
            }
        };
        let (part, parts) = numbers.split_once('/').ok_or_else(|| Invalid::new(EXPECTED))?;
        let number = |text: &str| {
            text.parse::<u32>().map_err(|_| Invalid::new(format!("`{text}` is no number: {EXPECTED}")))
        };
        let (part, parts) = (number(part)?, number(parts)?);
        if part == 0 || part > parts || parts > MOST_PARTS {
            let hint = format!("the first part is 1/{parts}, the last {parts}/{parts}");
            return Err(Invalid::new(format!("there is no part {part} of {parts}: {EXPECTED}")).hint(hint));
        }
        Ok(Self { kind, part, parts })
    }

    /// Whether recorded durations matter.
    #[must_use]
    pub fn wants_durations(&self) -> bool {
        self.kind == Kind::Time
    }

    /// The indices of the items in this part, in order. `durations` are those of earlier runs by name; a test without
    /// one counts as the median.
    #[must_use]
    pub fn of(&self, items: &[Item<'_>], durations: &BTreeMap<String, Duration>) -> Vec<usize> {
        let groups = groups(items);
        let parts = match self.kind {
            Kind::Slice => (0..groups.len()).map(|group| group % self.parts as usize).collect(),
            Kind::Hash => groups.iter().map(|group| self.by_hash(items, group)).collect(),
            Kind::Time => self.by_time(items, &groups, durations),
        };
        let mine = self.part as usize - 1;
        let chosen: Vec<&Vec<usize>> =
            groups.iter().zip(parts).filter(|(_, part)| *part == mine).map(|(group, _)| group).collect();
        let mut indices: Vec<usize> = chosen.into_iter().flatten().copied().collect();
        indices.sort_unstable();
        indices
    }

    /// By the least name of a group, so that neither order nor other tests matter.
    fn by_hash(&self, items: &[Item<'_>], group: &[usize]) -> usize {
        let name = group.iter().filter_map(|index| items.get(*index)).map(|item| item.name).min();
        let hash = stable_hash(name.unwrap_or_default());
        usize::try_from(hash % u64::from(self.parts)).unwrap_or_default()
    }

    /// The longest first, each to the part that has the least so far.
    fn by_time(
        &self,
        items: &[Item<'_>],
        groups: &[Vec<usize>],
        durations: &BTreeMap<String, Duration>,
    ) -> Vec<usize> {
        let known: Vec<Option<Duration>> =
            items.iter().map(|item| durations.get(item.name).copied()).collect();
        let usual = median(known.iter().flatten().copied().collect());
        let cost = |group: &Vec<usize>| -> Duration {
            let each = group.iter().map(|index| known.get(*index).copied().flatten().unwrap_or(usual));
            each.fold(Duration::ZERO, Duration::saturating_add)
        };
        let name = |group: usize| {
            groups.get(group).and_then(|g| g.first()).and_then(|i| items.get(*i)).map(|i| i.name)
        };
        let costs: Vec<Duration> = groups.iter().map(cost).collect();
        let cost_of = |group: usize| costs.get(group).copied().unwrap_or_default();
        let mut order: Vec<usize> = (0..groups.len()).collect();
        order.sort_by(|a, b| cost_of(*b).cmp(&cost_of(*a)).then_with(|| name(*a).cmp(&name(*b))));
        let mut loads = vec![(Duration::ZERO, 0_usize); self.parts as usize];
        let mut assigned = vec![0; groups.len()];
        for group in order {
            // Tests that take no time at all are spread as well, by their number.
            let least = (0..loads.len()).min_by_key(|part| loads.get(*part).copied()).unwrap_or_default();
            if let (Some(load), Some(part)) = (loads.get_mut(least), assigned.get_mut(group)) {
                *load = (load.0.saturating_add(cost_of(group)), load.1 + 1);
                *part = least;
            }
        }
        assigned
    }
}

/// The same number for the same name, whatever version, machine and order.
fn stable_hash(name: &str) -> u64 {
    let digest = Sha256::digest(name.as_bytes());
    digest.iter().take(8).fold(0, |hash, byte| hash << 8 | u64::from(*byte))
}

/// The lower of the two in the middle; a second where nothing is known.
fn median(mut durations: Vec<Duration>) -> Duration {
    durations.sort_unstable();
    durations.get(durations.len().saturating_sub(1) / 2).copied().unwrap_or(Duration::from_secs(1))
}

/// Tests that hang together by their needs, in the order of the first of each.
fn groups(items: &[Item<'_>]) -> Vec<Vec<usize>> {
    let index: BTreeMap<&str, usize> =
        items.iter().enumerate().map(|(index, item)| (item.name, index)).collect();
    let mut neighbours: Vec<Vec<usize>> = vec![Vec::new(); items.len()];
    for (from, item) in items.iter().enumerate() {
        for to in item.needs.iter().filter_map(|need| index.get(need.as_str()).copied()) {
            for (a, b) in [(from, to), (to, from)] {
                if let Some(list) = neighbours.get_mut(a) {
                    list.push(b);
                }
            }
        }
    }
    let mut groups = Vec::new();
    let mut seen = vec![false; items.len()];
    for start in 0..items.len() {
        let mut group = Vec::new();
        let mut waiting = vec![start];
        while let Some(at) = waiting.pop() {
            let is_new = seen.get_mut(at).is_some_and(|seen| !std::mem::replace(seen, true));
            if is_new {
                group.push(at);
                waiting.extend(neighbours.get(at).into_iter().flatten().copied());
            }
        }
        if !group.is_empty() {
            group.sort_unstable();
            groups.push(group);
        }
    }
    groups
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn part(text: &str, names: &[&str], durations: &[(&str, u64)]) -> Vec<usize> {
        let items: Vec<Item<'_>> = names.iter().map(|name| Item { name, needs: &[] }).collect();
        let durations =
            durations.iter().map(|(name, s)| ((*name).to_owned(), Duration::from_secs(*s))).collect();
        Partition::parse(text).unwrap().of(&items, &durations)
    }

    #[test]
    fn partitions_are_read_and_shown() {
        for text in ["slice:1/1", "hash:2/3", "time:10/10"] {
            assert_eq!(Partition::parse(text).unwrap().to_string(), text);
        }
        let table = [
            ("", EXPECTED),
            ("1/2", EXPECTED),
            ("slice:1", EXPECTED),
            ("hahs:1/2", "unknown partition `hahs`"),
            ("hash:0/2", "no part 0 of 2"),
            ("hash:3/2", "no part 3 of 2"),
            ("hash:a/2", "`a` is no number"),
            ("hash:1/-2", "`-2` is no number"),
            ("hash:1/0", "no part 1 of 0"),
            ("hash:1/99999", "no part 1 of 99999"),
        ];
        for (text, expected) in table {
            let error = Partition::parse(text).unwrap_err().to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }

    #[test]
    fn slices_go_round() {
        assert_eq!(part("slice:1/2", &["a", "b", "c"], &[]), [0, 2]);
        assert_eq!(part("slice:2/2", &["a", "b", "c"], &[]), [1]);
        assert!(part("slice:3/3", &["a"], &[]).is_empty());
    }

    #[test]
    fn hashes_never_change() {
        // A change here moves tests between the machines of users.
        assert_eq!(stable_hash("checkout[db=16]"), 0xaf93_3f58_13fe_eb9d);
    }

    #[test]
    fn the_longest_test_has_a_machine_of_its_own() {
        let names = ["a", "long", "b", "new"];
        let durations = [("a", 10), ("long", 100), ("b", 20)];
        assert_eq!(part("time:1/2", &names, &durations), [1]);
        assert_eq!(part("time:2/2", &names, &durations), [0, 2, 3]);
    }

    #[test]
    fn tests_that_need_each_other_stay_together() {
        let needs = ["a".to_owned(), "elsewhere".to_owned()];
        let items = [
            Item { name: "a", needs: &[] },
            Item { name: "b", needs: &[] },
            Item { name: "c", needs: &needs },
        ];
        for kind in KINDS {
            let parts: Vec<Vec<usize>> = (1..=2)
                .map(|m| Partition::parse(&format!("{kind}:{m}/2")).unwrap().of(&items, &BTreeMap::new()))
                .collect();
            assert!(parts.iter().any(|part| part.contains(&0) && part.contains(&2)), "{kind}: {parts:?}");
        }
    }

    proptest! {
        #[test]
        fn parts_are_disjoint_and_complete(
            names in proptest::collection::btree_set("[a-z]{1,4}", 0..40),
            seconds in proptest::collection::vec(proptest::option::of(0_u64..1000), 40),
            edges in proptest::collection::vec((0_usize..40, 0_usize..40), 0..12),
            parts in 1_u32..8,
        ) {
            let names: Vec<String> = names.into_iter().collect();
            let needs: Vec<Vec<String>> = (0..names.len())
                .map(|from| edges.iter().filter(|e| e.0 == from).filter_map(|e| names.get(e.1).cloned()).collect())
                .collect();
            let items: Vec<Item<'_>> =
                names.iter().zip(&needs).map(|(name, needs)| Item { name, needs }).collect();
            let durations: BTreeMap<String, Duration> = names.iter().zip(&seconds)
                .filter_map(|(name, s)| Some((name.clone(), Duration::from_secs((*s)?))))
                .collect();
            for kind in KINDS {
                let mut all: Vec<usize> = (1..=parts)
                    .flat_map(|m| Partition::parse(&format!("{kind}:{m}/{parts}")).unwrap().of(&items, &durations))
                    .collect();
                all.sort_unstable();
                prop_assert_eq!(all, (0..items.len()).collect::<Vec<_>>(), "{}", kind);
            }
        }

        #[test]
        fn a_new_test_moves_no_other_by_hash(names in proptest::collection::btree_set("[a-z]{1,4}", 1..20), parts in 1_u32..5) {
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            let text = format!("hash:1/{parts}");
            let before: Vec<&str> = part(&text, &names[1..], &[]).into_iter().map(|i| names[1..][i]).collect();
            let after: Vec<&str> = part(&text, &names, &[]).into_iter().map(|i| names[i]).filter(|n| *n != names[0]).collect();
            prop_assert_eq!(before, after);
        }

        #[test]
        fn parts_by_time_differ_by_no_more_than_the_longest_test(seconds in proptest::collection::vec(1_u64..100, 1..30), parts in 1_u32..5) {
            let names: Vec<String> = (0..seconds.len()).map(|i| format!("t{i}")).collect();
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            let durations: Vec<(&str, u64)> = names.iter().copied().zip(seconds.iter().copied()).collect();
            let loads: Vec<u64> = (1..=parts)
                .map(|m| part(&format!("time:{m}/{parts}"), &names, &durations).iter().map(|i| seconds[*i]).sum())
                .collect();
            let spread = loads.iter().max().unwrap() - loads.iter().min().unwrap();
            prop_assert!(spread <= *seconds.iter().max().unwrap(), "{:?}", loads);
        }
    }
}
