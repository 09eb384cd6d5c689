//! Which values are secret: those that the user names as such, and those whose names say so.
//!
//! Owns the reading of files that `--secret` names, for their values to be known. Hides nothing itself.

use std::collections::BTreeSet;
use std::path::Path;

use crate::environment::Environment;
use crate::input;
use crate::plan::build::{BuildSpec, LARGEST_SECRET, SecretSource};
use crate::redact::{Redactor, is_secret_name};

/// Hides the values of variables, build arguments and files that are secret.
///
/// A variable is one where `--redact` or `--secret id=…,env=NAME` names it, or where its name says so. `given` are the
/// variables of the test container.
pub(super) fn redactor(
    environment: &Environment,
    named: &[String],
    given: &[(String, String)],
    build: &BuildSpec,
) -> Redactor {
    Redactor::new(values(environment, named, given, build))
}

/// The values that are to be hidden.
pub(super) fn values(
    environment: &Environment,
    named: &[String],
    given: &[(String, String)],
    build: &BuildSpec,
) -> Vec<String> {
    let sources = build.secrets.iter().filter_map(|secret| match &secret.source {
        SecretSource::Environment(name) => Some(name.as_str()),
        SecretSource::File(_) => None,
    });
    let named: BTreeSet<&str> = named.iter().map(String::as_str).chain(sources).collect();
    let arguments = build.build_args.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let given = given.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let secrets = given
        .chain(arguments)
        .chain(environment.variables())
        .filter(|(name, _)| named.contains(name) || is_secret_name(name));
    let files = build.secrets.iter().filter_map(|secret| match &secret.source {
        SecretSource::File(path) => content(path),
        SecretSource::Environment(_) => None,
    });
    secrets.map(|(_, value)| value.to_owned()).chain(files).collect()
}

/// What a secret's file holds. A pipe can be read once only, and that is the builder's turn; a file that cannot be read
/// is an error when the builder needs it, and not before.
fn content(path: &Path) -> Option<String> {
    if input::is_descriptor(path) && !std::fs::metadata(path).ok()?.is_file() {
        return None;
    }
    let bytes = input::read(path, LARGEST_SECRET).ok()?;
    // Output is shown as text, with the same marks for what is none.
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::build::SecretSpec;

    #[test]
    fn values_are_secret_by_name_or_because_the_user_says_so() {
        let environment = Environment::from_pairs([
            ("NPM", "from-secret"),
            ("NOTED", "from-redact"),
            ("HOME", "/home/ada"),
        ]);
        let build = BuildSpec {
            build_args: [("API_TOKEN".to_owned(), "from-argument".to_owned())].into(),
            secrets: vec![SecretSpec {
                id: "npm".to_owned(),
                source: SecretSource::Environment("NPM".to_owned()),
            }],
            ..BuildSpec::default()
        };
        let given = [("DB_PASSWORD".to_owned(), "from-container".to_owned())];
        let redactor = redactor(&environment, &["NOTED".to_owned()], &given, &build);
        for secret in ["from-secret", "from-redact", "from-argument", "from-container"] {
            assert_eq!(redactor.redact(secret), "***", "{secret}");
        }
        assert_eq!(redactor.redact("/home/ada"), "/home/ada");
    }

    #[test]
    fn a_secret_file_is_hidden_as_a_whole_and_line_by_line() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        std::fs::write(&path, "-----BEGIN KEY-----\nfirst-line-of-it\nshort\nlast-line-of-it\n").unwrap();
        let file = |path: &Path| SecretSpec { id: "key".to_owned(), source: SecretSource::File(path.into()) };
        let build = BuildSpec { secrets: vec![file(&path)], ..BuildSpec::default() };
        let redactor = redactor(&Environment::default(), &[], &[], &build);
        assert_eq!(redactor.redact("a last-line-of-it b first-line-of-it"), "a *** b ***");
        let whole = std::fs::read_to_string(&path).unwrap();
        assert_eq!(redactor.redact(&whole), "***");
        assert_eq!(redactor.redact("short"), "short");
        let encoded = base64::Engine::encode(&base64::prelude::BASE64_STANDARD, &whole);
        assert_eq!(redactor.redact(&encoded), "***");
    }

    #[test]
    fn a_pipe_is_left_to_the_builder_and_a_missing_file_to_its_own_error() {
        let dir = tempfile::tempdir().unwrap();
        let pipe = dir.path().join("pipe");
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
        let large = dir.path().join("large");
        std::fs::write(&large, "a line of it\n".repeat(50_000)).unwrap();
        for path in [pipe, large, dir.path().join("missing")] {
            assert_eq!(content(&path), None, "{}", path.display());
        }
    }
}
