//! Which tests of a suite, or which labelled images and containers, are run.
//!
//! Owns names (globs and /regular expressions/), types and `label=KEY[=VALUE]` filters. Within one kind any match is
//! enough, all kinds have to match; a pattern with `!` before it leaves out.

use std::collections::{BTreeMap, BTreeSet};

use super::document::Document;
use super::needs::{self, Need};
use super::pattern::NamePattern;
use crate::error::nearest;
use crate::metadata::labels::TYPE;
use crate::plan::syntax::Invalid;

/// What selection looks at.
#[derive(Debug, Clone, Copy)]
pub struct Candidate<'a> {
    /// Full name, matrix included.
    pub name: &'a str,
    /// Name before its matrix; the name itself where there is none.
    pub base: &'a str,
    /// Type of the test.
    pub test_type: &'a str,
    /// Labels: the image's, with the test's own in their place.
    pub labels: &'a BTreeMap<String, String>,
}

/// `--filter`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    label: String,
    value: Option<String>,
}

impl Filter {
    /// Reads `label=KEY` or `label=KEY=VALUE`.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        const EXPECTED: &str = "expected label=KEY or label=KEY=VALUE";
        let (kind, rest) = text.split_once('=').ok_or_else(|| Invalid::new(EXPECTED))?;
        if kind != "label" {
            let hint = nearest(kind, ["label"]).map(|near| format!("did you mean `{near}`?"));
            let error = Invalid::new(format!("unknown filter `{kind}`: {EXPECTED}"));
            return Err(match hint {
                Some(hint) => error.hint(hint),
                None => error.hint(format!("for a label of that name: label={text}")),
            });
        }
        let (label, value) = rest.split_once('=').map_or((rest, None), |(label, value)| (label, Some(value)));
        if label.is_empty() {
            return Err(Invalid::new(EXPECTED));
        }
        Ok(Self { label: label.to_owned(), value: value.map(str::to_owned) })
    }

    /// Whether a candidate has it. `test.type` is the type, also where no label says it.
    #[must_use]
    pub fn matches(&self, candidate: &Candidate<'_>) -> bool {
        let found = if self.label == TYPE {
            Some(candidate.test_type)
        } else {
            candidate.labels.get(&self.label).map(String::as_str)
        };
        match (&self.value, found) {
            (_, None) => false,
            (None, Some(_)) => true,
            (Some(value), Some(found)) => value == found,
        }
    }
}

/// Reads `--type`: types with commas between them.
pub fn types(text: &str) -> Result<Vec<String>, Invalid> {
    let types: Vec<String> = text.split(',').map(|name| name.trim().to_owned()).collect();
    if types.iter().any(String::is_empty) {
        return Err(Invalid::new("expected types with commas between them: integration,security"));
    }
    Ok(types)
}

/// Everything that selects. The default selects all.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    /// Names, any of which is enough; those with `!` leave out.
    pub names: Vec<NamePattern>,
    /// Types, any of which is enough.
    pub types: Vec<String>,
    /// Filters. As in Docker, several of one label are alternatives, and different labels must all match.
    pub filters: Vec<Filter>,
}

impl Selection {
    /// Whether a candidate is run.
    #[must_use]
    pub fn matches(&self, candidate: &Candidate<'_>) -> bool {
        let hit = |pattern: &NamePattern| pattern.matches(candidate.name) || pattern.matches(candidate.base);
        let mut wanted = self.names.iter().filter(|pattern| !pattern.is_negated()).peekable();
        let by_name = wanted.peek().is_none() || wanted.any(hit);
        let left_out = self.names.iter().any(|pattern| pattern.is_negated() && hit(pattern));
        let by_type = self.types.is_empty() || self.types.iter().any(|name| name == candidate.test_type);
        let by_filter = self.filters.iter().all(|filter| {
            self.filters.iter().any(|other| other.label == filter.label && other.matches(candidate))
        });
        by_name && !left_out && by_type && by_filter
    }

    /// The first name that was asked for and that no candidate has, with the nearest one: a slip that would silently run
    /// fewer tests.
    #[must_use]
    pub fn unmatched<'a>(&self, candidates: &[Candidate<'a>]) -> Option<(&NamePattern, Option<&'a str>)> {
        let missing = self.names.iter().filter(|pattern| !pattern.is_negated()).find(|pattern| {
            !candidates
                .iter()
                .any(|candidate| pattern.matches(candidate.name) || pattern.matches(candidate.base))
        })?;
        let names = candidates.iter().flat_map(|candidate| [candidate.base, candidate.name]);
        Some((missing, nearest(missing.as_written(), names)))
    }
}

/// The selected tests and all that they need among the tests, in the order of the file.
#[must_use]
pub fn with_needed<'a>(document: &'a Document, selected: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let mut all: BTreeSet<String> = BTreeSet::new();
    let mut waiting: Vec<String> = selected.into_iter().map(str::to_owned).collect();
    while let Some(name) = waiting.pop() {
        let Some(test) = document.tests.get(&name) else { continue };
        if all.insert(name) {
            waiting.extend(needs::of(document, test).into_iter().filter_map(|need| match need {
                Need::Test(name) => Some(name),
                Need::Service(_) => None,
            }));
        }
    }
    document.tests.names().filter(|name| all.contains(*name)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selection(names: &[&str], of_types: &str, filters: &[&str]) -> Selection {
        Selection {
            names: names.iter().map(|name| NamePattern::parse(name).unwrap()).collect(),
            types: if of_types.is_empty() { Vec::new() } else { types(of_types).unwrap() },
            filters: filters.iter().map(|filter| Filter::parse(filter).unwrap()).collect(),
        }
    }

    #[test]
    fn any_of_a_kind_and_all_kinds_have_to_match() {
        let labels =
            BTreeMap::from([("team".to_owned(), "pay".to_owned()), ("slow".to_owned(), String::new())]);
        let candidate =
            Candidate { name: "checkout[db=16]", base: "checkout", test_type: "security", labels: &labels };
        let table: [(&[&str], &str, &[&str], bool); 16] = [
            (&[], "", &[], true),
            (&["checkout"], "", &[], true),
            (&["checkout[db=15]"], "", &[], false),
            (&["cart", "check*"], "", &[], true),
            (&["cart"], "", &[], false),
            (&["!cart"], "", &[], true),
            (&["check*", "!/db=16/"], "", &[], false),
            (&[], "integration,security", &[], true),
            (&[], "chaos", &[], false),
            (&[], "", &["label=team"], true),
            (&[], "", &["label=team=cart"], false),
            (&[], "", &["label=team=cart", "label=team=pay"], true),
            (&[], "", &["label=team=pay", "label=slow"], true),
            (&[], "", &["label=team=pay", "label=fast"], false),
            (&[], "", &["label=test.type=security"], true),
            (&["checkout"], "security", &["label=team=no"], false),
        ];
        for (names, of_types, filters, expected) in table {
            let selection = selection(names, of_types, filters);
            assert_eq!(selection.matches(&candidate), expected, "{names:?} {of_types} {filters:?}");
        }
    }

    #[test]
    fn a_name_that_nothing_has_is_found() {
        let labels = BTreeMap::new();
        let candidates = [Candidate { name: "checkout", base: "checkout", test_type: "x", labels: &labels }];
        let wrong = selection(&["checkuot", "!nothing"], "", &[]);
        let (pattern, near) = wrong.unmatched(&candidates).unwrap();
        assert_eq!((pattern.as_written(), near), ("checkuot", Some("checkout")));
        assert!(selection(&["c*"], "", &[]).unmatched(&candidates).is_none());
    }

    #[test]
    fn wrong_filters_and_types_say_what_is_expected() {
        for (text, expected) in [
            ("team", "expected label=KEY"),
            ("label=", "expected label=KEY"),
            ("lable=a", "unknown filter `lable`"),
            ("team=a", "unknown filter `team`"),
        ] {
            let error = Filter::parse(text).unwrap_err().to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
        assert!(types("a,,b").is_err() && types("").is_err());
        assert_eq!(types("a, b").unwrap(), ["a", "b"]);
    }
}
