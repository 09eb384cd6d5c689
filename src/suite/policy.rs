//! How a test is run beside others, by its type.
//!
//! Owns the usual policy of each type and what may change it: the file for a type, and the file for a test. The
//! scheduler and the runner act on it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::document::{Named, Test};

/// Types that have a policy of their own.
pub const TYPES: [&str; 4] = ["integration", "performance", "security", "chaos"];

/// How a test is run beside others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Policy {
    /// Nothing else of this run runs on the same engine meanwhile.
    pub exclusive: bool,
    /// Nothing else of this run runs anywhere meanwhile.
    pub alone: bool,
    /// Whether it gets a network.
    pub network: Access,
}

impl Default for Policy {
    /// In parallel, with the network.
    fn default() -> Self {
        Self { exclusive: false, alone: false, network: Access::Granted }
    }
}

/// Whether a test gets a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Access {
    /// The networks that it names, or the run's.
    Granted,
    /// None but its own loopback.
    None,
}

/// What the file says about a type: only what is to be other than usual.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, expecting = "a policy: a mapping with exclusive, alone and network")]
pub struct Overrides {
    /// Nothing else of this run runs on the same engine meanwhile.
    pub exclusive: Option<bool>,
    /// Nothing else of this run runs anywhere meanwhile.
    pub alone: Option<bool>,
    /// Whether tests of this type get a network without naming one: granted or none.
    pub network: Option<Access>,
}

impl Policy {
    /// The usual policy of a type: chaos alone, performance exclusive, security without a network, everything else in
    /// parallel.
    #[must_use]
    pub fn of_type(test_type: &str) -> Self {
        match test_type {
            "chaos" => Self { exclusive: true, alone: true, ..Self::default() },
            "performance" => Self { exclusive: true, ..Self::default() },
            "security" => Self { network: Access::None, ..Self::default() },
            _ => Self::default(),
        }
    }

    /// The policy of a test of this type (its own, or its image's label): the usual one, changed by what the file says
    /// about the type, and that by what it says about the test. A test that names a network is granted it, and one
    /// with `network: none` has none.
    #[must_use]
    pub fn of(test_type: &str, file: &Named<Overrides>, test: &Test) -> Self {
        let usual = Self::of_type(test_type);
        let by_type = file.get(test_type).copied().unwrap_or_default();
        let alone = test.alone.or(by_type.alone).unwrap_or(usual.alone);
        // Taking `alone` away from chaos makes it parallel, unless `exclusive` is asked for.
        let usually = usual.exclusive && !usual.alone;
        let exclusive = alone || test.exclusive.or(by_type.exclusive).unwrap_or(usually);
        let network = match &test.network {
            Some(names) if names.0.iter().any(|name| name == "none") => Access::None,
            Some(names) if !names.0.is_empty() => Access::Granted,
            _ => by_type.network.unwrap_or(usual.network),
        };
        Self { exclusive, alone, network }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::suite::document::Names;

    fn policy(exclusive: bool, alone: bool, network: Access) -> Policy {
        Policy { exclusive, alone, network }
    }

    #[test]
    fn every_type_has_its_usual_policy() {
        let none = Named::default();
        let test = Test::default();
        let table = [
            ("integration", policy(false, false, Access::Granted)),
            ("chaos", policy(true, true, Access::Granted)),
            ("performance", policy(true, false, Access::Granted)),
            ("security", policy(false, false, Access::None)),
            ("smoke", policy(false, false, Access::Granted)),
        ];
        for (name, expected) in table {
            assert_eq!(Policy::of(name, &none, &test), expected, "{name}");
        }
    }

    #[test]
    fn the_file_changes_a_type_and_a_test_changes_both() {
        let overrides =
            Overrides { alone: Some(false), network: Some(Access::Granted), ..Overrides::default() };
        let file = Named(vec![("chaos".to_owned(), overrides), ("security".to_owned(), overrides)]);
        let test = Test::default();
        assert_eq!(Policy::of("chaos", &file, &test), policy(false, false, Access::Granted));
        assert_eq!(Policy::of("security", &file, &test), policy(false, false, Access::Granted));
        let alone = Test { alone: Some(true), ..Test::default() };
        assert_eq!(Policy::of("chaos", &file, &alone), policy(true, true, Access::Granted));
        let shared = Test { exclusive: Some(false), ..Test::default() };
        assert_eq!(Policy::of("performance", &Named::default(), &shared), Policy::default());
    }

    #[test]
    fn naming_a_network_grants_it_and_none_takes_it() {
        let with = |name: &str| Test { network: Some(Names(vec![name.to_owned()])), ..Test::default() };
        let usual = Named::default();
        assert_eq!(Policy::of("security", &usual, &with("default")).network, Access::Granted);
        assert_eq!(Policy::of("integration", &usual, &with("none")).network, Access::None);
    }
}
