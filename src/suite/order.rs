//! The order in which tests are started, and how often.
//!
//! Owns `--shuffle` and `--repeat`. A shuffle sorts by a hash of seed and name: the same seed gives the same order on
//! every machine and in every version, and a test that is left out does not move the others.

use sha2::{Digest, Sha256};

use crate::plan::syntax::Invalid;

/// The most repetitions.
pub const MOST_REPETITIONS: u32 = 10_000;

/// Reads `--shuffle`: any number or word is a seed.
pub fn seed(text: &str) -> Result<String, Invalid> {
    let text = text.trim();
    if text.is_empty() || text.len() > 100 || text.chars().any(char::is_control) {
        return Err(Invalid::new("expected a seed: a number, or a word of at most 100 bytes"));
    }
    Ok(text.to_owned())
}

/// Reads `--repeat`.
pub fn repetitions(text: &str) -> Result<u32, Invalid> {
    let count = text.trim().parse().ok().filter(|count| (1..=MOST_REPETITIONS).contains(count));
    count.ok_or_else(|| Invalid::new(format!("expected a number from 1 to {MOST_REPETITIONS}")))
}

/// Every name so many times, each with the number of its repetition, counted from 1: first all once, then all again.
/// With a seed, every round has an order of its own.
#[must_use]
pub fn order<'a>(names: &[&'a str], repetitions: u32, seed: Option<&str>) -> Vec<(&'a str, u32)> {
    (1..=repetitions.max(1))
        .flat_map(|repetition| {
            let round = round(names, repetition, seed);
            round.into_iter().map(move |name| (name, repetition)).collect::<Vec<_>>()
        })
        .collect()
}

/// One of the rounds of [`order`], counted from 1.
#[must_use]
pub fn round<'a>(names: &[&'a str], repetition: u32, seed: Option<&str>) -> Vec<&'a str> {
    let mut round = names.to_vec();
    if let Some(seed) = seed {
        round.sort_by_cached_key(|name| key(seed, repetition, name));
    }
    round
}

/// NUL cannot be in any of them, so that no two differ and hash the same text.
fn key(seed: &str, repetition: u32, name: &str) -> Vec<u8> {
    Sha256::digest(format!("{seed}\0{repetition}\0{name}").as_bytes()).to_vec()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn without_a_seed_the_order_of_the_file_is_kept() {
        assert_eq!(order(&["b", "a"], 2, None), [("b", 1), ("a", 1), ("b", 2), ("a", 2)]);
        assert_eq!(order(&["b"], 0, None), [("b", 1)]);
    }

    #[test]
    fn a_seed_gives_one_order_for_ever() {
        let names = ["a", "b", "c", "d", "e"];
        let shuffled: Vec<&str> = order(&names, 1, Some("7")).into_iter().map(|(name, _)| name).collect();
        assert_eq!(shuffled, ["b", "d", "a", "e", "c"]);
        assert_ne!(order(&names, 1, Some("7")), order(&names, 1, Some("8")));
    }

    #[test]
    fn seeds_and_repetitions_are_checked() {
        assert_eq!(seed(" 42 ").unwrap(), "42");
        assert!(seed("").is_err() && seed("a\nb").is_err());
        assert_eq!(repetitions("3").unwrap(), 3);
        for text in ["0", "-1", "x", "10001"] {
            assert!(repetitions(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_shuffle_loses_and_moves_nothing(names in proptest::collection::btree_set("[a-z]{1,3}", 1..30), text in "[0-9]{1,5}") {
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            let shuffled: Vec<&str> = order(&names, 1, Some(&text)).into_iter().map(|(name, _)| name).collect();
            let mut sorted = shuffled.clone();
            sorted.sort_unstable();
            prop_assert_eq!(&sorted, &names);
            let fewer: Vec<&str> = order(&names[1..], 1, Some(&text)).into_iter().map(|(name, _)| name).collect();
            let rest: Vec<&str> = shuffled.into_iter().filter(|name| *name != names[0]).collect();
            prop_assert_eq!(fewer, rest);
        }
    }
}
