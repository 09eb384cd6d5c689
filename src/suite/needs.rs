//! `needs`: which services and tests come before which.
//!
//! Owns the order of services, what a set of tests needs in all, and the search for cycles. Names of tests before their
//! matrix stand for all of its combinations.

use std::collections::{BTreeMap, BTreeSet};

use super::document::{Document, Test};

/// Something that has to be there before a test starts.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Need {
    /// A service that is ready.
    Service(String),
    /// A test that has passed, by its full name.
    Test(String),
}

/// The full names of the tests that `need` names: one test, or every combination of its matrix.
pub(super) fn tests<'a>(document: &'a Document, need: &'a str) -> impl Iterator<Item = &'a str> {
    document.tests.iter().filter(move |(name, test)| *name == need || test.base == need).map(|(name, _)| name)
}

/// What a test needs, one by one. A name that is no test is a service: of this file, or of its compose file.
#[must_use]
pub fn of(document: &Document, test: &Test) -> Vec<Need> {
    let mut needs = Vec::new();
    for need in &test.needs {
        let needed: Vec<Need> = tests(document, need).map(|name| Need::Test(name.to_owned())).collect();
        let is_service = needed.is_empty();
        needs.extend(needed);
        if is_service {
            needs.push(Need::Service(need.clone()));
        }
    }
    needs.sort();
    needs.dedup();
    needs
}

/// The services that `wanted` need in all, in waves: those of a wave can start together once those of the waves before
/// it are ready. Names that this file has no service for are left out: they are those of a compose file.
#[must_use]
pub fn waves<'a>(document: &'a Document, wanted: impl IntoIterator<Item = &'a str>) -> Vec<Vec<&'a str>> {
    let Some(services) = document.services.here() else { return Vec::new() };
    let mut needed: BTreeSet<&str> = BTreeSet::new();
    let mut waiting: Vec<&str> = wanted.into_iter().collect();
    while let Some(name) = waiting.pop() {
        if let Some(service) = services.get(name)
            && needed.insert(name)
        {
            waiting.extend(service.needs.iter().map(String::as_str));
        }
    }
    let mut waves: Vec<Vec<&str>> = Vec::new();
    let mut started: BTreeSet<&str> = BTreeSet::new();
    while started.len() < needed.len() {
        let may_start = |name: &str| {
            let needs = services.get(name).map(|service| service.needs.as_slice()).unwrap_or_default();
            needs.iter().all(|need| started.contains(need.as_str()))
        };
        let wave: Vec<&str> = services
            .names()
            .filter(|name| needed.contains(name) && !started.contains(name) && may_start(name))
            .collect();
        // Cannot happen to a suite that was read: it has no cycle.
        if wave.is_empty() {
            break;
        }
        started.extend(wave.iter().copied());
        waves.push(wave);
    }
    waves
}

/// A cycle among names, if there is one: each needs the next, and the last the first.
pub(super) fn cycle<'a>(edges: &[(&'a str, Vec<&'a str>)]) -> Option<Vec<&'a str>> {
    let index: BTreeMap<&str, usize> =
        edges.iter().enumerate().map(|(index, (name, _))| (*name, index)).collect();
    let mut done = vec![false; edges.len()];
    for start in 0..edges.len() {
        // The way from the start, each with the next of its needs to look at. A list, since tests can be many.
        let mut way: Vec<(usize, usize)> = vec![(start, 0)];
        while let Some((at, next)) = way.last_mut() {
            let at = *at;
            let needs = edges.get(at).map(|(_, needs)| needs.as_slice()).unwrap_or_default();
            let Some(need) = needs.get(*next) else {
                if let Some(done) = done.get_mut(at) {
                    *done = true;
                }
                way.pop();
                continue;
            };
            *next += 1;
            let Some(&target) = index.get(need) else { continue };
            if let Some(from) = way.iter().position(|(known, _)| *known == target) {
                let name = |(index, _): &(usize, usize)| edges.get(*index).map(|(name, _)| *name);
                return Some(way.iter().skip(from).filter_map(name).collect());
            }
            if !done.get(target).copied().unwrap_or(true) {
                way.push((target, 0));
            }
        }
    }
    None
}
