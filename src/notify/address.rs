//! Where a sink is, and what opens it.
//!
//! Owns [`Key`] and [`Url`], which are checked when they are made and show their value to nobody but the sink that
//! sends it. Resolves no name and opens nothing.

use std::fmt;

use http::Uri;

/// Parts of a path that are as long as this may be a key: an id, a token.
const SHORTEST_KEY_IN_PATH: usize = 12;

/// The text is not what it was to be. Never bears the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected {expected}")]
pub struct InvalidAddress {
    /// What was expected, as it stands behind that word.
    pub expected: &'static str,
}

/// A key, a token, a password.
#[derive(Clone, PartialEq, Eq)]
pub struct Key(String);

impl Key {
    /// Takes a key in. Space around it is left out.
    pub fn parse(text: &str) -> Result<Self, InvalidAddress> {
        let text = text.trim();
        if text.is_empty() || !text.chars().all(|character| character.is_ascii_graphic()) {
            return Err(InvalidAddress { expected: "a key of printable ASCII characters without spaces" });
        }
        Ok(Self(text.to_owned()))
    }

    /// Takes in the value of a header, which may have spaces within: `Bearer …`.
    pub fn parse_header(text: &str) -> Result<Self, InvalidAddress> {
        let text = text.trim();
        let is_allowed = |character: char| character.is_ascii_graphic() || character == ' ';
        if text.is_empty() || !text.chars().all(is_allowed) {
            return Err(InvalidAddress { expected: "the value of a header, of printable ASCII characters" });
        }
        Ok(Self(text.to_owned()))
    }

    /// The key itself, for the one who sends it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(***)")
    }
}

/// Address of an HTTP service, which may bear a key in any of its parts.
#[derive(Clone, PartialEq, Eq)]
pub struct Url {
    /// Scheme, host and port.
    origin: String,
    /// With the slash that it begins with.
    path: String,
    query: Option<String>,
}

impl Url {
    /// Reads `http://…` or `https://…`. A fragment is left out, because it is never sent.
    pub fn parse(text: &str) -> Result<Self, InvalidAddress> {
        let invalid =
            InvalidAddress { expected: "a URL that begins with http:// or https:// and has a host" };
        let uri: Uri = text.trim().parse().map_err(|_| invalid)?;
        let scheme = uri.scheme_str().filter(|scheme| matches!(*scheme, "http" | "https")).ok_or(invalid)?;
        let authority = uri.authority().filter(|authority| !authority.host().is_empty()).ok_or(invalid)?;
        if !has_usable_port(authority) {
            return Err(InvalidAddress {
                expected: "a URL whose port is a number from 1 to 65535, or is left out with its colon",
            });
        }
        Ok(Self {
            origin: format!("{scheme}://{authority}"),
            path: uri.path().to_owned(),
            query: uri.query().map(str::to_owned),
        })
    }

    /// The whole address.
    #[must_use]
    pub fn whole(&self) -> String {
        self.with_query(&self.path, "")
    }

    /// The address with `path` behind its own. `path` begins with a slash, or is empty.
    #[must_use]
    pub fn join(&self, path: &str) -> String {
        self.join_with(path, "")
    }

    /// The same with one more parameter: `name=value`, encoded already.
    #[must_use]
    pub fn join_with(&self, path: &str, parameter: &str) -> String {
        self.with_query(&format!("{}{path}", self.path.trim_end_matches('/')), parameter)
    }

    fn with_query(&self, path: &str, parameter: &str) -> String {
        let own = self.query.as_deref().unwrap_or_default();
        let between = if own.is_empty() || parameter.is_empty() { "" } else { "&" };
        let mark = if own.is_empty() && parameter.is_empty() { "" } else { "?" };
        format!("{}{path}{mark}{own}{between}{parameter}", self.origin)
    }

    /// What must be shown nowhere, where the address itself is the key: all of it, its path, its query, and every part
    /// of the path that may be a key.
    #[must_use]
    pub fn secrets(&self) -> Vec<String> {
        let path = self.path.trim_matches('/');
        let parts = path.split('/').filter(|part| part.len() >= SHORTEST_KEY_IN_PATH);
        let mut secrets: Vec<String> = parts.map(str::to_owned).collect();
        if !path.is_empty() {
            secrets.push(path.to_owned());
            secrets.push(format!("{}/{path}", self.origin));
        }
        secrets.extend(self.query.clone());
        secrets.extend(self.password());
        secrets
    }

    /// The password that stands before the host, where there is one.
    #[must_use]
    pub fn password(&self) -> Option<String> {
        let (user, _) = self.origin.split_once("://")?.1.rsplit_once('@')?;
        Some(user.split_once(':').map_or(user, |(_, password)| password).to_owned())
    }
}

/// Whether what stands behind the host is a port, or nothing.
fn has_usable_port(authority: &http::uri::Authority) -> bool {
    let place = authority.as_str().rsplit('@').next().unwrap_or_default();
    match place.strip_prefix(authority.host()).and_then(|rest| rest.strip_prefix(':')) {
        Some(port) => port.parse::<u16>().is_ok_and(|port| port > 0),
        None => true,
    }
}

impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Url(***)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_and_parameters_go_behind_those_of_the_address() {
        let url = Url::parse(" https://hc.example/ping/a?create=1#top ").unwrap();
        assert_eq!(url.whole(), "https://hc.example/ping/a?create=1");
        assert_eq!(url.join("/fail"), "https://hc.example/ping/a/fail?create=1");
        assert_eq!(url.join_with("/fail", "rid=2"), "https://hc.example/ping/a/fail?create=1&rid=2");
        let url = Url::parse("http://[::1]:8080/").unwrap();
        assert_eq!(url.whole(), "http://[::1]:8080/");
        assert_eq!(url.join("/api/v2/series"), "http://[::1]:8080/api/v2/series");
        assert_eq!(url.join_with("", "rid=2"), "http://[::1]:8080?rid=2");
    }

    #[test]
    fn what_is_no_address_is_refused_without_being_shown() {
        for text in
            ["", "hooks.example/s3cr3t", "ftp://s3cr3t", "https://", "https:///s3cr3t", "https://a b/s3cr3t"]
        {
            let error = Url::parse(text).unwrap_err().to_string();
            assert_eq!(error, "expected a URL that begins with http:// or https:// and has a host", "{text}");
        }
    }

    #[test]
    fn a_port_that_there_is_not_is_refused() {
        for text in
            ["https://a:99999/x", "https://a:0/", "http://a:", "http://u:p@[::1]:70000/", "http://a:x/"]
        {
            assert!(Url::parse(text).unwrap_err().to_string().contains("URL"), "{text}");
        }
        let error = Url::parse("https://me:s3cr3t@a:99999/s3cr3t").unwrap_err().to_string();
        assert_eq!(
            error,
            "expected a URL whose port is a number from 1 to 65535, or is left out with its colon"
        );
        for text in ["https://a:443/", "http://[::1]/", "http://[::1]:8080", "http://u:p@a/", "http://a"] {
            assert!(Url::parse(text).is_ok(), "{text}");
        }
    }

    #[test]
    fn a_key_is_trimmed_and_cannot_end_a_header() {
        assert_eq!(Key::parse("abc\n").unwrap().expose(), "abc");
        for text in ["", "  ", "a b", "a\r\nx-forged: 1", "ключ"] {
            assert!(Key::parse(text).is_err(), "{text:?}");
        }
        assert_eq!(Key::parse_header("Bearer abc\n").unwrap().expose(), "Bearer abc");
        assert!(Key::parse_header("Bearer a\r\nx-forged: 1").is_err());
    }

    #[test]
    fn neither_is_shown_by_debug() {
        let url = Url::parse("https://user:s3cr3t@hooks.example/services/s3cr3t?t=s3cr3t").unwrap();
        let shown = format!("{url:?} {:?}", Key::parse("s3cr3t").unwrap());
        assert_eq!(shown, "Url(***) Key(***)");
    }

    #[test]
    fn the_parts_of_an_address_that_open_something_are_secrets() {
        let url = Url::parse("https://u:pass@hooks.example/services/T0/abcdefghijkl?t=1").unwrap();
        let secrets = url.secrets();
        for secret in ["abcdefghijkl", "services/T0/abcdefghijkl", "t=1", "pass"] {
            assert!(secrets.iter().any(|it| it == secret), "{secret}");
        }
        assert!(!secrets.iter().any(|it| it == "services"));
        assert_eq!(Url::parse("http://push.example:9091").unwrap().secrets(), Vec::<String>::new());
    }
}
