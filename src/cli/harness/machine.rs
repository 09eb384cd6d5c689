//! What a probe is said to be about where nobody says it: the machine that it runs on.
//!
//! Owns that its name lasts. Incidents and state are found again by it, and a container made anew for each run has a new
//! name each time: an incident that one of them opened would be resolved by no other.

use crate::environment::Environment;

/// Stands for a container whose own name is made up.
const CONTAINER: &str = "container";

/// Engines name a container after this many digits of its number, unless they are told a name.
const DIGITS: usize = 12;

/// The name of this machine; [`CONTAINER`] where that is not to be met again.
pub(in crate::cli) fn machine(environment: &Environment) -> String {
    let name = nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok());
    lasting(name.unwrap_or_default(), environment)
}

fn lasting(name: String, environment: &Environment) -> String {
    // Kubernetes names a container after its pod, and that with random letters.
    let is_of_a_pod = environment.non_empty("KUBERNETES_SERVICE_HOST").is_some();
    let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    if is_of_a_pod || (name.len() == DIGITS && name.bytes().all(is_digit)) {
        CONTAINER.to_owned()
    } else if name.is_empty() {
        "localhost".to_owned()
    } else {
        name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_made_up_for_one_container_is_nobodys() {
        let plain = Environment::from_pairs::<&str, &str>([]);
        let of = |name: &str| lasting(name.to_owned(), &plain);
        assert_eq!(of("3f2a9c0b77de"), "container");
        for name in ["shop-1", "3f2a9c0b77d", "3f2a9c0b77dex", "3F2A9C0B77DE", "build-cafe01"] {
            assert_eq!(of(name), name);
        }
        assert_eq!(of(""), "localhost");
        let pod = Environment::from_pairs([("KUBERNETES_SERVICE_HOST", "10.0.0.1")]);
        assert_eq!(lasting("probe-28934520-x7k2p".to_owned(), &pod), "container");
    }
}
