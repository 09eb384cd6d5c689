//! The kinds of sinks that escalation names in a file.
//!
//! Owns where each of them is named, and what is said of one that there is no sink of. Who is told when is the policy's.

use std::collections::BTreeSet;

use crate::suite::document::Alert;
use crate::suite::read::Section;

/// A kind of sinks that is named.
#[derive(Debug)]
pub struct Named {
    place: String,
    /// The kind.
    pub kind: String,
}

/// The kinds that the `alert` below `within` names.
#[must_use]
pub fn named_in(part: &Section<'_>, within: &[&str], alert: &Alert) -> Vec<Named> {
    let path: Vec<&str> = within.iter().copied().chain(["escalation"]).collect();
    let place = format!("{}: {}", part.named(part.place(&path)), part.name_of(&path));
    let kinds: BTreeSet<&str> = alert.sinks().collect();
    kinds.into_iter().map(|kind| Named { place: place.clone(), kind: kind.to_owned() }).collect()
}

impl Named {
    /// What is to be said where there are sinks of these kinds alone.
    #[must_use]
    pub fn warning(&self, kinds: &BTreeSet<String>) -> Option<String> {
        let Self { place, kind } = self;
        let is_missing = !kinds.contains(kind);
        is_missing
            .then(|| format!("{place} names {kind}, and there is no such sink: nobody is told by this stage"))
    }
}
