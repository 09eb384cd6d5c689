//! The text of a docker-test.yaml to start from.
//!
//! Owns what is written, given what a directory holds; whoever looked has handed it in. What comes out can be read by
//! [`super::read::Suite::read`].

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::schema;

/// What a directory holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found {
    /// Dockerfiles, each of which is a test.
    pub dockerfiles: Vec<Dockerfile>,
    /// A compose file, and the names of its services.
    pub compose: Option<(String, Vec<String>)>,
}

/// A Dockerfile, and how its image says that it is tested.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dockerfile {
    /// Name of the directory that it lies in.
    pub name: String,
    /// The directory, as the file names it: `.`, `./checkout`.
    pub directory: String,
    /// Where its tests are.
    pub tests: Tests,
}

/// Where the tests of an image are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tests {
    /// `ONTEST` in the Dockerfile.
    Ontest,
    /// A Dockerfile.test beside it.
    Beside,
    /// Nowhere yet.
    Nowhere,
}

/// The longest name of a test that is made up.
const LONGEST_NAME: usize = 60;
/// The most services that are named in a comment.
const MOST_NAMED: usize = 8;

/// The names of the tests, in the order of the Dockerfiles: no two alike.
#[must_use]
pub fn names(found: &Found) -> Vec<String> {
    let mut taken: BTreeSet<String> = BTreeSet::new();
    let mut names = Vec::new();
    for dockerfile in &found.dockerfiles {
        let base = test_name(&dockerfile.name);
        let numbered = (2..).map(|number| format!("{base}-{number}"));
        let free = std::iter::once(base.clone()).chain(numbered).find(|name| !taken.contains(name));
        let name = free.unwrap_or(base);
        taken.insert(name.clone());
        names.push(name);
    }
    names
}

/// The file.
#[must_use]
pub fn render(found: &Found) -> String {
    let mut text = format!("# yaml-language-server: $schema={}\nversion: 1\n", schema::URL);
    text.push_str("# defaults: { timeout: 5m }   # flags of every docker-test command in this directory\n");
    let services = found.compose.as_ref().map(|(path, services)| (path, services.as_slice()));
    if let Some((path, _)) = services {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "services: {}", scalar(path));
    }
    text.push_str("tests:\n");
    for (name, dockerfile) in names(found).iter().zip(&found.dockerfiles) {
        let directory = scalar(&dockerfile.directory);
        let _ = writeln!(text, "  {}:\n    build: {directory}", scalar(name));
        match dockerfile.tests {
            Tests::Ontest => {
                let _ = writeln!(text, "    context: {directory}");
            }
            Tests::Beside => {
                let file = match dockerfile.directory.as_str() {
                    "." => "Dockerfile.test".to_owned(),
                    directory => format!("{directory}/Dockerfile.test"),
                };
                let _ = writeln!(text, "    context: {directory}\n    file: {}", scalar(&file));
            }
            Tests::Nowhere => {
                text.push_str(
                    "    # command: [/test.sh]     # how it is tested: nothing in the image says so\n",
                );
            }
        }
        text.push_str(&needs(services.map(|(_, services)| services)));
    }
    if found.dockerfiles.is_empty() {
        text.push_str("  example:\n    image: alpine:3           # the image under test\n");
        text.push_str("    command: [test, -x, /sbin/apk]\n");
        text.push_str(&needs(services.map(|(_, services)| services)));
    }
    text
}

/// A comment: which service a test needs is not to be guessed.
fn needs(services: Option<&[String]>) -> String {
    let plain = |name: &&String| is_plain(name);
    let named: Vec<&str> =
        services.unwrap_or_default().iter().filter(plain).take(MOST_NAMED).map(String::as_str).collect();
    if named.is_empty() { String::new() } else { format!("    # needs: [{}]\n", named.join(", ")) }
}

fn test_name(directory: &str) -> String {
    let other = |c: char| !c.is_alphanumeric() && !matches!(c, '_' | '-' | '.');
    let start: String = directory.chars().take(LONGEST_NAME).collect();
    let words: Vec<&str> = start.split(other).filter(|word| !word.is_empty()).collect();
    let name = words.join("-");
    let name = name.trim_matches(['-', '.']);
    if name.is_empty() { "image".to_owned() } else { name.to_owned() }
}

/// Means the same to YAML with and without quotes.
fn is_plain(text: &str) -> bool {
    let begins = text.strip_prefix("./").unwrap_or(text);
    let words = ["null", "true", "false", "yes", "no", "on", "off", "y", "n"];
    text == "."
        || begins.starts_with(|c: char| c.is_ascii_alphabetic())
            && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '/' | '_' | '-'))
            && !words.contains(&text.to_ascii_lowercase().as_str())
}

/// A value of the file: in quotes where it needs them, and never a variable.
fn scalar(text: &str) -> String {
    if is_plain(text) {
        return text.to_owned();
    }
    serde_json::Value::from(text.replace('$', "$$")).to_string()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use proptest::prelude::*;

    use super::*;
    use crate::environment::Environment;
    use crate::suite::document::Services;
    use crate::suite::{Known, Suite};

    fn read(found: &Found) -> Suite {
        let text = render(found);
        let path = Path::new("docker-test.yaml");
        Suite::read(path, text.as_bytes(), &Environment::default(), Known::default())
            .unwrap_or_else(|error| panic!("{error}\n{text}"))
    }

    fn dockerfile(name: &str, directory: &str, tests: Tests) -> Dockerfile {
        Dockerfile { name: name.to_owned(), directory: directory.to_owned(), tests }
    }

    #[test]
    fn every_shape_can_be_read() {
        let compose = Some(("compose.yaml".to_owned(), vec!["db".to_owned(), "we b".to_owned()]));
        for tests in [Tests::Ontest, Tests::Beside, Tests::Nowhere] {
            for compose in [None, compose.clone()] {
                let dockerfiles = vec![dockerfile("shop", ".", tests), dockerfile("cart", "./cart", tests)];
                let suite = read(&Found { dockerfiles, compose: compose.clone() });
                let names: Vec<&str> = suite.tests().map(|(name, _)| name).collect();
                assert_eq!(names, ["shop", "cart"]);
                let (_, cart) = suite.tests().nth(1).unwrap();
                assert_eq!(cart.build.as_ref().unwrap().context, "./cart");
                assert_eq!(cart.context.is_some(), tests != Tests::Nowhere);
                assert_eq!(
                    cart.file.as_deref(),
                    (tests == Tests::Beside).then_some("./cart/Dockerfile.test")
                );
                let expected = compose.map(|(path, _)| Services::Compose(path)).unwrap_or_default();
                assert_eq!(suite.document.services, expected);
            }
        }
        assert_eq!(read(&Found::default()).tests().count(), 1);
        assert!(read(&Found { compose, ..Found::default() }).document.services.here().is_none());
    }

    #[test]
    fn services_are_offered_and_not_guessed() {
        let compose = Some(("compose.yaml".to_owned(), vec!["db".to_owned(), "a\nb".to_owned()]));
        let text = render(&Found { compose, ..Found::default() });
        assert!(text.contains("    # needs: [db]\n"), "{text}");
    }

    #[test]
    fn names_that_become_alike_are_numbered() {
        let dockerfiles = ["a b", "a-b", "a?b", "..."].map(|name| dockerfile(name, ".", Tests::Nowhere));
        let found = Found { dockerfiles: dockerfiles.into(), compose: None };
        assert_eq!(names(&found), ["a-b", "a-b-2", "a-b-3", "image"]);
    }

    proptest! {
        #[test]
        fn whatever_directories_are_called_the_file_says_it(
            names in proptest::collection::vec("[^/\0]{1,12}|null|yes|1\\.0|~|\\$\\{A\\}|- a|a: b|a #b", 1..6),
            compose in proptest::option::of("[^/\0]{1,12}"),
        ) {
            let dockerfiles: Vec<Dockerfile> = names.iter()
                .map(|name| dockerfile(name, &format!("./{name}"), Tests::Beside)).collect();
            let compose = compose.map(|path| (format!("./{path}"), vec!["db".to_owned()]));
            let found = Found { dockerfiles, compose: compose.clone() };
            let suite = read(&found);
            let contexts: Vec<&str> =
                suite.tests().map(|(_, test)| test.build.as_ref().unwrap().context.as_str()).collect();
            let expected: Vec<String> = names.iter().map(|name| format!("./{name}")).collect();
            prop_assert_eq!(contexts, expected);
            if let Some((path, _)) = compose {
                prop_assert_eq!(&suite.document.services, &Services::Compose(path));
            }
        }
    }
}
