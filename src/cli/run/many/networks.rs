//! Which networks the tests and services of a run join.
//!
//! Owns the way from the suite's words to names on the engine: `default`, names under `networks`, `none`, and what a
//! policy grants.

use std::collections::{BTreeMap, BTreeSet};

use crate::plan::container::NetworkSpec;
use crate::runner::networks::DEFAULT;
use crate::suite::document::{Document, Names, Network};
use crate::suite::policy::{Access, Policy};

/// The mode of a container that has nothing but its own loopback.
const NONE: &str = "none";

/// The networks that these names mean in the suite: all that have to be there before the first container.
///
/// Where no service is on it and nobody asks for it, there is no network of the run: the engine's default one does, and
/// each container starts sooner.
pub(super) fn wanted<'a>(
    document: &'a Document,
    has_services: bool,
    named: impl IntoIterator<Item = Option<&'a Names>>,
) -> BTreeMap<&'a str, &'a Network> {
    let is_usual = document.network == Network::default();
    let mut keys: BTreeSet<&str> = BTreeSet::new();
    for own in named {
        match own {
            Some(own) if !own.0.is_empty() => keys.extend(own.0.iter().map(String::as_str)),
            _ if has_services || !is_usual => _ = keys.insert(DEFAULT),
            _ => {}
        }
    }
    let find = |key: &'a str| match key {
        NONE => None,
        DEFAULT => Some((DEFAULT, &document.network)),
        key => Some((key, document.networks.get(key)?)),
    };
    keys.into_iter().filter_map(find).collect()
}

/// What a container of a test joins. `engine` has the names on the engine.
pub(super) fn of_test(
    names: Option<&Names>,
    policy: Policy,
    engine: &BTreeMap<String, String>,
) -> Vec<NetworkSpec> {
    if policy.network == Access::None {
        return vec![NetworkSpec { name: NONE.to_owned(), ..NetworkSpec::default() }];
    }
    joined(names, &[], engine)
}

/// What a container of a service joins; others know it by its name there.
pub(super) fn of_service(
    service: &str,
    names: Option<&Names>,
    engine: &BTreeMap<String, String>,
) -> Vec<NetworkSpec> {
    if names.is_some_and(|names| names.0.iter().any(|name| name == NONE)) {
        return vec![NetworkSpec { name: NONE.to_owned(), ..NetworkSpec::default() }];
    }
    joined(names, &[service.to_owned()], engine)
}

fn joined(names: Option<&Names>, aliases: &[String], engine: &BTreeMap<String, String>) -> Vec<NetworkSpec> {
    let usual = [DEFAULT.to_owned()];
    let names = names.map(|names| names.0.as_slice()).filter(|names| !names.is_empty()).unwrap_or(&usual);
    let known = names.iter().filter_map(|name| engine.get(name));
    known
        .map(|name| NetworkSpec { name: name.clone(), aliases: aliases.to_vec(), ..NetworkSpec::default() })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::suite::document::Named;

    fn names(names: &[&str]) -> Names {
        Names(names.iter().map(|&name| name.to_owned()).collect())
    }

    fn on_engine() -> BTreeMap<String, String> {
        [("default", "docker-test-r"), ("back", "staging_back")]
            .map(|(key, name)| (key.to_owned(), name.to_owned()))
            .into()
    }

    #[test]
    fn only_networks_that_somebody_joins_are_wanted() {
        let document = Document {
            networks: Named(vec![
                ("back".to_owned(), Network::default()),
                ("idle".to_owned(), Network::default()),
            ]),
            ..Document::default()
        };
        let (back, none) = (names(&["back"]), names(&["none"]));
        let keys = |list: &[Option<&Names>]| {
            wanted(&document, true, list.iter().copied()).into_keys().map(str::to_owned).collect::<Vec<_>>()
        };
        let without = |names: Option<&Names>| wanted(&document, false, [names]).into_keys().count();
        let default = self::tests::names(&["default"]);
        assert_eq!((without(None), without(Some(&default))), (0, 1), "nobody is there to be found");
        assert_eq!(keys(&[Some(&back), None]), ["back", "default"]);
        assert_eq!(keys(&[Some(&none)]), Vec::<String>::new());
    }

    #[test]
    fn a_test_without_access_has_its_loopback_alone_and_a_service_its_name() {
        let policy = Policy { network: Access::None, ..Policy::default() };
        assert_eq!(of_test(None, policy, &on_engine())[0].name, "none");
        let both = names(&["back", "default"]);
        let joined = of_test(Some(&both), Policy::default(), &on_engine());
        assert_eq!(
            joined.iter().map(|network| network.name.as_str()).collect::<Vec<_>>(),
            ["staging_back", "docker-test-r"]
        );
        assert_eq!(of_service("db", None, &on_engine())[0].aliases, ["db"]);
    }
}
