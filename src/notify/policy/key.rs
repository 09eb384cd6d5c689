//! The name of an incident: the same on every machine and after every restart.
//!
//! Owns its form. It is made of what the incident is about and of nothing else, and no two incidents share one.

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

use super::Subject;
use crate::probe::Identity;

/// The longest that PagerDuty takes, in characters.
pub const LONGEST_KEY: usize = 255;

/// As much of an odd name as helps a person to know it again.
const HINT: usize = 40;

/// `docker-test/NAME/HOST/SUBJECT`, of letters, digits and `._:-/` alone. Where name or host has other characters, or is
/// too long, a hash of both stands in for them: `docker-test/HINT~HASH/SUBJECT`.
#[must_use]
pub fn dedup_key(probe: &Identity, subject: Subject) -> String {
    let subject = word(subject);
    let (name, host) = (probe.name.as_str(), probe.host.as_str());
    if is_plain(name) && is_plain(host) {
        let key = format!("docker-test/{name}/{host}/{subject}");
        if key.len() <= LONGEST_KEY {
            return key;
        }
    }
    let mut hash = Sha256::new();
    for part in [name, host] {
        // With its length, no end of one can pass for the beginning of the next.
        hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        hash.update(part.as_bytes());
    }
    let hint: String = name
        .chars()
        .take(HINT)
        .map(|character| if is_plain_character(character) { character } else { '_' })
        .collect();
    let mut key = format!("docker-test/{hint}~");
    for byte in hash.finalize() {
        // Writing into a String cannot fail.
        let _ = write!(key, "{byte:02x}");
    }
    let _ = write!(key, "/{subject}");
    key
}

const fn word(subject: Subject) -> &'static str {
    match subject {
        Subject::Target => "target",
        Subject::Degraded => "degraded",
        Subject::Cleanup => "cleanup",
        Subject::Harness => "harness",
        Subject::NoNews => "no_news",
        Subject::Engine => "engine",
        Subject::Sink => "sink",
    }
}

/// `/` parts the key and `~` marks a hash: neither may stand in a name.
const fn is_plain_character(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '.' | '_' | ':' | '-')
}

fn is_plain(text: &str) -> bool {
    !text.is_empty() && text.chars().all(is_plain_character)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn probe(name: &str, host: &str) -> Identity {
        Identity { name: name.to_owned(), kind: String::new(), host: host.to_owned(), tags: Vec::new() }
    }

    #[test]
    fn a_key_is_readable_where_the_name_is_plain() {
        let key = dedup_key(&probe("example.integration", "10.0.0.7:8080"), Subject::Target);
        assert_eq!(key, "docker-test/example.integration/10.0.0.7:8080/target");
    }

    #[test]
    fn a_key_stays_the_same_from_one_version_to_the_next() {
        let key = dedup_key(&probe("Example Integration Test", "host.to.test"), Subject::NoNews);
        assert_eq!(
            key,
            "docker-test/Example_Integration_Test~\
             06453f7a5ebf11a39f003d1e69d65fe14dc54ee97b144ab18c1f6f46b5240181/no_news"
        );
    }

    #[test]
    fn a_name_cannot_borrow_the_key_of_another() {
        let keys =
            [("a", "b/c"), ("a/b", "c"), ("", "c"), ("c", ""), ("a~b", "c"), ("a b", "c"), ("a_b", "c")]
                .map(|(name, host)| dedup_key(&probe(name, host), Subject::Target));
        let different: std::collections::BTreeSet<_> = keys.iter().collect();
        assert_eq!(different.len(), keys.len(), "{keys:?}");
    }

    proptest! {
        #[test]
        fn keys_are_short_plain_and_as_different_as_what_they_name(
            (name, host) in (".{0,300}", "[a-z./~ ]{0,250}"),
            (other_name, other_host) in (".{0,3}", "[a-z./~ ]{0,3}"),
        ) {
            let one = dedup_key(&probe(&name, &host), Subject::Target);
            let other = dedup_key(&probe(&other_name, &other_host), Subject::Target);
            prop_assert!(one.len() <= LONGEST_KEY);
            prop_assert!(one.chars().all(|c| is_plain_character(c) || c == '/' || c == '~'), "{}", one);
            prop_assert_eq!(one == other, name == other_name && host == other_host);
            prop_assert_ne!(one, dedup_key(&probe(&name, &host), Subject::Cleanup));
        }
    }
}
