//! The grammar of names, and what is wrong with a text that does not follow it.

use super::{DOCKER_HUB, Kind, LONGEST_TAG, SHORT};

const LONGEST_NAME: usize = 255;

pub(super) fn is_id(text: &str) -> bool {
    let hex = |text: &str| text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    match text.strip_prefix("sha256:") {
        Some(id) => (SHORT..=64).contains(&id.len()) && hex(id),
        None => (text.len() == SHORT || text.len() == 64) && hex(text),
    }
}

/// The parts of a name. The error says what is wrong with it.
pub(super) fn name(text: &str) -> Result<Kind, String> {
    if text.is_empty() {
        return Err("it is empty".to_owned());
    }
    if let Some((scheme, _)) = text.split_once("://") {
        return Err(format!("it begins with {scheme}://, which does not belong to a name"));
    }
    if let Some(letter) = text.chars().find(|letter| letter.is_whitespace() || letter.is_control()) {
        return Err(format!("it holds the character {letter:?}"));
    }
    let (rest, digest) = match text.split_once('@') {
        Some((rest, digest)) => (rest, Some(checked_digest(digest)?)),
        None => (text, None),
    };
    let last = rest.rfind('/').map_or(0, |slash| slash + 1);
    let colon = rest.get(last..).and_then(|component| component.find(':')).map(|at| last + at);
    let (rest, tag) = match colon.map(|at| rest.split_at(at)) {
        Some((rest, tag)) => (rest, Some(checked_tag(tag.strip_prefix(':').unwrap_or(tag))?)),
        None => (rest, None),
    };
    let (domain, path) = match rest.split_once('/') {
        Some((first, path)) if is_domain(first) => (checked_domain(first)?, path.to_owned()),
        Some(_) => (DOCKER_HUB, rest.to_owned()),
        None => (DOCKER_HUB, format!("library/{rest}")),
    };
    let domain =
        if matches!(domain, "index.docker.io" | "registry-1.docker.io") { DOCKER_HUB } else { domain };
    let path = if domain == DOCKER_HUB && !path.contains('/') { format!("library/{path}") } else { path };
    let unprefixed = path.strip_prefix("library/").unwrap_or(&path);
    unprefixed.split('/').try_for_each(checked_component)?;
    if domain.len() + 1 + path.len() > LONGEST_NAME {
        return Err(format!("its name is longer than {LONGEST_NAME} characters"));
    }
    if path.len() == 64 + "library/".len() && is_id(unprefixed) {
        return Err("64 hexadecimal digits are an image's id, not a name".to_owned());
    }
    Ok(Kind::Name {
        domain: domain.to_owned(),
        path,
        tag: tag.map(str::to_owned),
        digest: digest.map(str::to_owned),
    })
}

/// The first component is a registry where no user or organisation could be called so.
fn is_domain(first: &str) -> bool {
    first == "localhost"
        || first.contains(['.', ':'])
        || first.chars().any(|letter| letter.is_ascii_uppercase())
}

fn checked_domain(domain: &str) -> Result<&str, String> {
    let wrong = || format!("{domain:?} is no registry's host");
    let (host, port) = match domain.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']').ok_or_else(wrong)?;
            host.parse::<std::net::Ipv6Addr>().map_err(|_| wrong())?;
            ("", port)
        }
        None => domain.find(':').map_or((domain, ""), |at| domain.split_at(at)),
    };
    let label = |label: &str| {
        let inner = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        !label.is_empty() && label.bytes().all(inner) && !label.starts_with('-') && !label.ends_with('-')
    };
    if !domain.starts_with('[') && !host.split('.').all(label) {
        return Err(wrong());
    }
    let digits = port.strip_prefix(':');
    let is_port = |digits: &str| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    if !port.is_empty() && !digits.is_some_and(is_port) {
        return Err(format!("the port of {domain:?} is not a number"));
    }
    Ok(domain)
}

/// `[a-z0-9]+` joined by one dot, one or two underscores, or any number of dashes.
fn checked_component(component: &str) -> Result<(), String> {
    if component.is_empty() {
        return Err("a part between slashes is empty".to_owned());
    }
    if component.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Err(format!("{component:?} has capital letters, and repository names have none"));
    }
    let is_plain = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit();
    if let Some(letter) =
        component.chars().find(|letter| !is_plain(*letter) && !matches!(letter, '.' | '_' | '-'))
    {
        return Err(format!("{component:?} holds the character {letter:?}"));
    }
    let separators_at_an_end = component.starts_with(['.', '_', '-']) || component.ends_with(['.', '_', '-']);
    let joined_well = component
        .split(is_plain)
        .filter(|between| !between.is_empty())
        .all(|between| matches!(between, "." | "_" | "__") || between.bytes().all(|byte| byte == b'-'));
    if separators_at_an_end || !joined_well {
        return Err(format!("{component:?} has separators at an end or several in a row"));
    }
    Ok(())
}

fn checked_tag(tag: &str) -> Result<&str, String> {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    if tag.is_empty() {
        return Err("its tag is empty".to_owned());
    }
    if tag.len() > LONGEST_TAG {
        return Err(format!("its tag is longer than {LONGEST_TAG} characters"));
    }
    if !tag.bytes().all(|byte| is_word(byte) || matches!(byte, b'.' | b'-')) || tag.starts_with(['.', '-']) {
        return Err(format!(
            "the tag {tag:?} may hold letters, digits, `_`, `.` and `-`, the last two not first"
        ));
    }
    Ok(tag)
}

fn checked_digest(digest: &str) -> Result<&str, String> {
    let wrong = || format!("the digest {digest:?} is not of the form sha256:<64 hexadecimal digits>");
    let (algorithm, hex) = digest.split_once(':').ok_or_else(wrong)?;
    let length = match algorithm {
        "sha256" => 64,
        "sha384" => 96,
        "sha512" => 128,
        _ => {
            return Err(format!("the digest's algorithm {algorithm:?} is none of sha256, sha384 and sha512"));
        }
    };
    let is_hex = hex.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    if hex.len() == length && is_hex { Ok(digest) } else { Err(wrong()) }
}
