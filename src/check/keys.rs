//! What of a check opens something: values under a name that says so, and values of variables where keys are passed.
//!
//! Owns what each place may hold: a header, an address, variables, flags of docker-test. Hides nothing: that is
//! [`crate::redact`]'s.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::Url;

use crate::redact::Secrets;

/// Headers that hold nothing else, in capital letters.
const OPENING: [&str; 3] = ["AUTHORIZATION", "PROXY-AUTHORIZATION", COOKIE];
const COOKIE: &str = "COOKIE";

/// Flags of `docker-test run` with a variable or a build argument, which may be `NAME=VALUE`.
const PASSING: [&str; 3] = ["-e", "--env", "--build-arg"];

/// Collects the keys of a check.
pub(super) struct Keys<'a> {
    is_secret: &'a dyn Fn(&str) -> bool,
    taken: &'a BTreeSet<String>,
    found: Secrets,
}

impl<'a> Keys<'a> {
    pub(super) fn new(is_secret: &'a dyn Fn(&str) -> bool, taken: &'a BTreeSet<String>) -> Self {
        Self { is_secret, taken, found: Secrets::default() }
    }

    pub(super) fn found(self) -> Secrets {
        self.found
    }

    fn add(&mut self, value: impl Into<String>) {
        self.found.extend([value.into()]);
    }

    /// Values of variables in a text that stands where keys are passed.
    fn within<'t>(&self, text: &'t str) -> impl Iterator<Item = &'a String> + use<'a, 't> {
        let taken = self.taken;
        taken.iter().filter(move |taken| text.contains(taken.as_str()))
    }

    fn passed(&mut self, text: &str) {
        let within = self.within(text).cloned();
        self.found.extend(within);
    }

    /// A variable of a program.
    pub(super) fn variable(&mut self, name: &str, value: &str) {
        if (self.is_secret)(name) {
            self.add(value);
        }
        self.passed(value);
    }

    /// Flags of `docker-test run`. What stands behind `--` is a command.
    pub(super) fn flags(&mut self, words: &[String]) {
        let mut is_value = false;
        for word in words.iter().take_while(|word| *word != "--") {
            let attached = PASSING.iter().find_map(|flag| word.strip_prefix(flag));
            let given = if is_value { Some(word.as_str()) } else { attached };
            is_value = !is_value && attached == Some("");
            let pair = given.map(|given| given.strip_prefix('=').unwrap_or(given));
            if let Some((name, value)) = pair.and_then(|pair| pair.split_once('=')) {
                self.variable(name, value);
            }
        }
    }

    /// A header of a request.
    pub(super) fn header(&mut self, name: &str, value: &str) {
        let name = name.to_ascii_uppercase();
        let whole = OPENING.contains(&name.as_str()) || (self.is_secret)(&name);
        for key in whole.then_some(value).into_iter().chain(self.within(value).map(String::as_str)) {
            self.credentials(key);
        }
        if name == COOKIE {
            for (_, value) in value.split(';').filter_map(|pair| pair.split_once('=')) {
                self.add(value.trim());
            }
        }
    }

    /// `Bearer KEY`, `Basic BASE64`, or a key alone. A server may repeat it without its first word, or what it stands for.
    fn credentials(&mut self, value: &str) {
        self.add(value);
        let Some((scheme, key)) = value.trim().split_once(' ') else { return };
        self.add(key.trim());
        let decoded = scheme.eq_ignore_ascii_case("basic").then(|| STANDARD.decode(key.trim()));
        if let Some(Ok(bytes)) = decoded
            && let Ok(text) = String::from_utf8(bytes)
        {
            if let Some((_, password)) = text.split_once(':') {
                self.add(password);
            }
            self.add(text);
        }
    }

    /// An address: what stands before the host, and its parameters. Values count as they are and as they are written.
    pub(super) fn address(&mut self, url: &Url) {
        let user = decoded(url.username());
        if let Some(written) = url.password() {
            let password = decoded(written);
            // It is sent in base64.
            self.add(format!("{user}:{password}"));
            self.add(password);
            self.add(written);
        } else {
            // Alone, it is the key.
            self.add(url.username());
            self.add(user.as_str());
        }
        self.passed(&user);
        let is_taken = self.taken.iter().any(|taken| Url::parse(taken).is_ok_and(|taken| taken == *url));
        let query = url.query().unwrap_or_default();
        self.passed(query);
        let pairs = query.split('&').filter(|pair| !pair.is_empty());
        for (pair, (name, value)) in pairs.zip(url.query_pairs()) {
            if is_taken || (self.is_secret)(&name) {
                self.add(pair.split_once('=').map_or("", |(_, written)| written));
                self.add(&*value);
            }
            self.passed(&name);
            self.passed(&value);
        }
    }
}

/// What `%2F` and the like stand for. In a query, `+`, `&` and `=` mean something; before a host they are themselves.
fn decoded(text: &str) -> String {
    let text = text.replace('+', "%2B").replace('&', "%26").replace('=', "%3D");
    form_urlencoded::parse(text.as_bytes()).map(|(text, _)| text.into_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::Check;
    use crate::redact::{Redactor, is_secret_name};

    fn keys(json: &str, taken: &[&str]) -> Vec<String> {
        let check: Check = serde_json::from_str(json).unwrap();
        let taken = taken.iter().map(|value| (*value).to_owned()).collect();
        check.secrets(&is_secret_name, &taken).into_iter().filter(|key| !key.is_empty()).collect()
    }

    #[test]
    fn a_header_whose_name_says_so_is_a_key_with_and_without_its_scheme() {
        let json = r#"{"http": {"url": "http://h/", "headers": {
            "Authorization": "Bearer abcdefgh", "proxy-authorization": "Basic dXNlcjpwYXNzdzByZA==",
            "X-Api-Key": "literal-key", "x-auth-token": "literal-token", "cookie": "session=abc-def; theme=dark",
            "accept": "application/json", "host": "shop.example"}}}"#;
        assert_eq!(
            keys(json, &[]),
            [
                "Basic dXNlcjpwYXNzdzByZA==",
                "Bearer abcdefgh",
                "abc-def",
                "abcdefgh",
                "dXNlcjpwYXNzdzByZA==",
                "dark",
                "literal-key",
                "literal-token",
                "passw0rd",
                "session=abc-def; theme=dark",
                "theme=dark",
                "user:passw0rd",
            ]
        );
    }

    #[test]
    fn a_password_before_the_host_is_a_key_also_as_it_is_sent() {
        let found = keys(r#"{"http": "http://us%2Ber:p+ss%2Fw0rd@h/"}"#, &[]);
        assert_eq!(found, ["p+ss%2Fw0rd", "p+ss/w0rd", "us+er:p+ss/w0rd"]);
        let redactor = Redactor::new(found);
        let sent = STANDARD.encode("us+er:p+ss/w0rd");
        assert_eq!(redactor.redact(&format!("Basic {sent}")), "Basic ***");
        assert_eq!(keys(r#"{"http": "http://a-token@h/"}"#, &[]), ["a-token"]);
        let short = Redactor::new(keys(r#"{"http": "http://user:pw@h/"}"#, &[]));
        assert_eq!(short.redact(&format!("Basic {}", STANDARD.encode("user:pw"))), "Basic ***");
    }

    #[test]
    fn a_parameter_whose_name_says_so_is_a_key_decoded_and_as_it_is_written() {
        let found = keys(r#"{"http": "https://h/a/path?page=second&api_key=a%2Db+c&x"}"#, &[]);
        assert_eq!(found, ["a%2Db+c", "a-b c"]);
    }

    #[test]
    fn the_value_of_a_variable_is_a_key_where_keys_are_passed_and_nowhere_else() {
        let taken = ["from-a-variable"];
        for json in [
            r#"{"http": {"url": "http://h/", "headers": {"x-caller": "from-a-variable"}}}"#,
            r#"{"http": "http://h/?sig=from-a-variable&page=second"}"#,
            r#"{"http": "http://from-a-variable:@h/"}"#,
            r#"{"command": {"run": "true", "env": {"WHO": "from-a-variable"}}}"#,
            r#"{"image": {"image": "shop", "arguments": ["-e", "WHO=from-a-variable"]}}"#,
        ] {
            assert!(keys(json, &taken).contains(&taken[0].to_owned()), "{json}");
        }
        let within = r#"{"http": {"url": "http://h/", "headers": {"x-caller": "me, from-a-variable"}}}"#;
        assert_eq!(keys(within, &taken), taken);
        for json in [
            r#"{"http": "http://from-a-variable/from-a-variable"}"#,
            r#"{"command": "ping from-a-variable"}"#,
            r#"{"image": {"image": "shop", "arguments": ["--label", "a=from-a-variable", "--", "-e", "A_KEY=from-a-variable"]}}"#,
            r#"{"tcp": "from-a-variable:80"}"#,
            r#"{"dns": "from-a-variable"}"#,
            r#"{"docker": "from-a-variable"}"#,
        ] {
            assert_eq!(keys(json, &taken), [""; 0], "{json}");
        }
    }

    #[test]
    fn what_stands_in_an_address_that_is_a_variable_s_is_a_key_whatever_it_is_called() {
        let url = "http://h?code=of-some-length";
        assert_eq!(keys(&format!(r#"{{"http": "{url}"}}"#), &[]), [""; 0]);
        assert_eq!(keys(&format!(r#"{{"http": "{url}"}}"#), &[url]), ["of-some-length"]);
    }

    #[test]
    fn variables_with_such_names_are_keys_also_among_the_flags_of_docker_test() {
        let json =
            r#"{"command": {"run": "true", "env": {"DB_PASSWORD": "hunter22 hunter22", "MODE": "careful"}}}"#;
        assert_eq!(keys(json, &[]), ["hunter22 hunter22"]);
        let json = r#"{"image": {"image": "shop", "arguments": ["-e", "A_TOKEN=first", "--env=B_TOKEN=second", "-eC_KEY=third",
            "--build-arg", "D_KEY=fourth", "--network", "KEY=no", "--secret=id=npm,env=NPM", "--env", "NAME"]}}"#;
        assert_eq!(keys(json, &[]), ["first", "fourth", "second", "third"]);
    }
}
