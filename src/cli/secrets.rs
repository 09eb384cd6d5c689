//! Which values are secret: those that the user names as such, and those whose names say so.

use std::collections::BTreeSet;

use crate::environment::Environment;
use crate::plan::build::{BuildSpec, SecretSource};
use crate::redact::{Redactor, is_secret_name};

/// Hides the values of variables and build arguments that are secret.
///
/// A variable is one where `--redact` or `--secret id=…,env=NAME` names it, or where its name says so. `given` are the
/// variables of the test container. Files that `--secret` names are not read: their content is the builder's alone.
pub(super) fn redactor(
    environment: &Environment,
    named: &[String],
    given: &[(String, String)],
    build: &BuildSpec,
) -> Redactor {
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
    Redactor::new(secrets.map(|(_, value)| value.to_owned()))
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
}
