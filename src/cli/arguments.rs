//! The words of the command line before clap reads them.
//!
//! Owns two rules of Docker: global flags may stand before the subcommand, and a plugin is handed the whole command
//! line (`docker --context prod test shop:1.4`). Also `run` is the subcommand where none is named, and `help` asks
//! for help as `docker help test` does.

use std::ffi::{OsStr, OsString};

use crate::settings::nearest;

/// Docker's global flags that take a value in the next word.
const WITH_VALUE: [&str; 12] = [
    "-H",
    "--host",
    "-c",
    "--context",
    "--config",
    "-l",
    "--log-level",
    "--tlscacert",
    "--tlscert",
    "--tlskey",
    "--format",
    "--progress",
];

/// Docker's global flags that stand alone.
const ALONE: [&str; 4] = ["-D", "--debug", "--tls", "--tlsverify"];

/// Global flags of Docker that say nothing to us.
const IGNORED: [&str; 4] = ["-D", "--debug", "-l", "--log-level"];

/// The command line with its subcommand first and global flags behind it.
///
/// `plugin` says that the Docker CLI started this process, so that the word `test` stands between the two.
pub(super) fn normalise(argv: &[OsString], subcommands: &[String], plugin: bool) -> Vec<OsString> {
    let program = argv.first().cloned().unwrap_or_else(|| OsString::from("docker-test"));
    let (globals, mut rest) = parted(argv, plugin);
    if asks_for_help(&rest) {
        rest = topic(&rest, plugin).into_iter().filter(|word| *word != "help").cloned().collect();
        rest.push(OsString::from("--help"));
    }
    let named = rest.first().and_then(|word| word.to_str());
    let top_level = ["--help", "-h", "--version", "-V"];
    let mut normal = vec![program];
    match named {
        Some(word) if subcommands.iter().any(|name| name == word) => {
            normal.push(OsString::from(word));
            normal.extend(recognised(&globals));
            normal.extend_from_slice(&rest[1..]);
        }
        Some(word) if top_level.contains(&word) => normal.extend(rest),
        None if globals.is_empty() => {}
        _ => {
            normal.push(OsString::from("run"));
            normal.extend(recognised(&globals));
            normal.extend(rest);
        }
    }
    normal
}

/// The global flags with their values, and the words after them.
fn parted(argv: &[OsString], plugin: bool) -> (Vec<OsString>, Vec<OsString>) {
    let words = argv.get(1..).unwrap_or_default();
    let mut end = global_end(words);
    let mut globals: Vec<OsString> = words[..end].to_vec();
    if plugin && words.get(end).is_some_and(|word| word == "test") {
        let more = global_end(&words[end + 1..]);
        globals.extend_from_slice(&words[end + 1..end + 1 + more]);
        end += 1 + more;
    }
    (globals, words[end..].to_vec())
}

fn asks_for_help(rest: &[OsString]) -> bool {
    rest.first().is_some_and(|word| word == "help")
}

/// What `help`, the first word, is asked about: a word at most.
fn topic(rest: &[OsString], plugin: bool) -> Option<&OsString> {
    let mut topics = rest.get(1..)?;
    if plugin && topics.first().is_some_and(|word| word == "test") {
        topics = &topics[1..];
    }
    topics.first().filter(|word| !word.as_encoded_bytes().starts_with(b"-"))
}

/// The word that `help` is asked about and that is no subcommand.
pub(super) fn unknown_topic(argv: &[OsString], subcommands: &[String], plugin: bool) -> Option<String> {
    let (_, rest) = parted(argv, plugin);
    let topic = topic(&rest, plugin).filter(|_| asks_for_help(&rest))?.to_string_lossy().into_owned();
    (topic != "help" && !subcommands.contains(&topic)).then_some(topic)
}

/// The subcommand that was probably meant where the first word is none and so became the name of an image.
pub(super) fn mistyped<'names>(argv: &[OsString], subcommands: &'names [String]) -> Option<&'names str> {
    let words = argv.get(1..)?;
    // A flag before the image resembles a subcommand at times (`--report`), and is none.
    let first = words.get(global_end(words))?.to_str().filter(|word| !word.starts_with('-'))?;
    nearest(first, subcommands.iter().map(String::as_str).chain(["help"])).filter(|near| *near != first)
}

/// How many of the first words are global flags and their values.
fn global_end(words: &[OsString]) -> usize {
    let mut index = 0;
    while let Some(word) = words.get(index).and_then(|word| word.to_str()) {
        let name = word.split_once('=').map_or(word, |(name, _)| name);
        if WITH_VALUE.contains(&name) {
            index += if name == word { 2 } else { 1 };
        } else if ALONE.contains(&name) || (word.starts_with("-H") && word.len() > 2) {
            index += 1;
        } else {
            break;
        }
    }
    index.min(words.len())
}

/// The globals in our own spelling, those that say nothing to us left out.
fn recognised(globals: &[OsString]) -> Vec<OsString> {
    let mut kept = Vec::new();
    let mut words = globals.iter();
    while let Some(word) = words.next() {
        let text = word.to_str().unwrap_or_default();
        let name = text.split_once('=').map_or(text, |(name, _)| name);
        let takes_next = WITH_VALUE.contains(&name) && name == text;
        if IGNORED.contains(&name) {
            if takes_next {
                words.next();
            }
            continue;
        }
        kept.push(match (text, text.strip_prefix("--host=")) {
            ("-c", _) => OsString::from("--context"),
            // Docker means the engine with it; the harness has a host of its own.
            ("--host", _) => OsString::from("-H"),
            (_, Some(address)) => OsString::from(format!("-H{address}")),
            _ => word.clone(),
        });
        if takes_next && let Some(value) = words.next() {
            kept.push(value.clone());
        }
    }
    kept
}

/// The words behind `__complete`, the last one unfinished, as a command line with its subcommand.
pub(super) fn to_complete(argv: &[OsString], subcommands: &[String]) -> Vec<OsString> {
    let mut words: Vec<OsString> = vec![OsString::from("docker-test")];
    words.extend(argv.iter().skip_while(|word| *word != "__complete").skip(1).cloned());
    if words.get(1).is_some_and(|word| word == "test") {
        words.remove(1);
    }
    let begun = words.last().is_some_and(|word| word.to_string_lossy().starts_with('-'));
    // The first word may still become a subcommand; what follows another one belongs to `run`.
    if words.len() > 2 || begun { normalise(&words, subcommands, false) } else { words }
}

/// True where the words ask for the plugin's metadata: answered before anything else is looked at.
pub(super) fn asks_for_metadata(argv: &[OsString]) -> bool {
    argv.get(1).map(OsString::as_os_str) == Some(OsStr::new("docker-cli-plugin-metadata"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<OsString> {
        line.split_whitespace().map(OsString::from).collect()
    }

    fn normal(line: &str, plugin: bool) -> String {
        let subcommands = ["run", "build", "inspect"].map(str::to_owned);
        let normal = normalise(&words(line), &subcommands, plugin);
        normal.iter().map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn an_image_alone_is_run() {
        let table = [
            ("docker-test shop:1.4", "docker-test run shop:1.4"),
            ("docker-test -e A=b shop:1.4 -- x", "docker-test run -e A=b shop:1.4 -- x"),
            ("docker-test run build", "docker-test run build"),
            ("docker-test", "docker-test"),
            ("docker-test --help", "docker-test --help"),
            ("docker-test help", "docker-test --help"),
            ("docker-test help inspect", "docker-test inspect --help"),
            ("docker-test run help", "docker-test run help"),
            ("docker-test help help", "docker-test --help"),
            ("docker-test help --format=json", "docker-test --help"),
        ];
        for (line, expected) in table {
            assert_eq!(normal(line, false), expected);
        }
    }

    #[test]
    fn help_knows_what_there_is_no_help_about() {
        let subcommands = ["run", "build"].map(str::to_owned);
        let table = [
            ("docker-test help biuld", false, Some("biuld")),
            ("docker-test -D help test nosuch", true, Some("nosuch")),
            ("docker-test help build", false, None),
            ("docker-test help test", true, None),
            ("docker-test help", false, None),
            ("docker-test help help", false, None),
            ("docker-test run help nosuch", false, None),
        ];
        for (line, plugin, expected) in table {
            assert_eq!(unknown_topic(&words(line), &subcommands, plugin).as_deref(), expected, "{line}");
        }
    }

    #[test]
    fn an_image_that_is_named_almost_like_a_subcommand_may_be_one() {
        let subcommands = ["run", "build", "inspect", "report"].map(str::to_owned);
        let table = [
            ("docker-test isnpect", Some("inspect")),
            ("docker-test --report junit=a.xml shop:1.4", None),
            ("docker-test -H tcp://a:1 biuld .", Some("build")),
            ("docker-test inspect", None),
            ("docker-test hlep", Some("help")),
            ("docker-test help", None),
            ("docker-test shop:1.4", None),
            ("docker-test", None),
        ];
        for (line, expected) in table {
            assert_eq!(mistyped(&words(line), &subcommands), expected, "{line}");
        }
    }

    #[test]
    fn global_flags_before_the_subcommand_are_honoured() {
        let table = [
            ("docker-test -H tcp://a:1 build .", "docker-test build -H tcp://a:1 ."),
            ("docker-test --context=prod inspect x", "docker-test inspect --context=prod x"),
            ("docker-test --tls shop:1", "docker-test run --tls shop:1"),
            ("docker-test -c prod shop:1", "docker-test run --context prod shop:1"),
            ("docker-test --host tcp://a:1 build .", "docker-test build -H tcp://a:1 ."),
            ("docker-test --host=tcp://a:1 build .", "docker-test build -Htcp://a:1 ."),
        ];
        for (line, expected) in table {
            assert_eq!(normal(line, false), expected);
        }
    }

    #[test]
    fn the_docker_cli_hands_over_the_whole_command_line() {
        let table = [
            ("docker-test test shop:1.4", "docker-test run shop:1.4"),
            ("docker-test --context prod test inspect x", "docker-test inspect --context prod x"),
            ("docker-test -D -l debug test -H unix:///s build .", "docker-test build -H unix:///s ."),
            ("docker-test test --help", "docker-test --help"),
            ("docker-test help test", "docker-test --help"),
            ("docker-test help test build", "docker-test build --help"),
            ("docker-test test help build", "docker-test build --help"),
        ];
        for (line, expected) in table {
            assert_eq!(normal(line, true), expected);
        }
    }

    #[test]
    fn what_is_completed_belongs_to_run_where_no_subcommand_is_named() {
        let table = [
            ("docker-test __complete test ins", "docker-test ins"),
            ("docker-test __complete test --tim", "docker-test run --tim"),
            ("docker-test __complete test shop:1 --tim", "docker-test run shop:1 --tim"),
            ("docker-test __complete test build --tar", "docker-test build --tar"),
            ("docker-test __complete ins", "docker-test ins"),
        ];
        let subcommands = ["run", "build", "inspect"].map(str::to_owned);
        for (line, expected) in table {
            let words = to_complete(&words(line), &subcommands);
            let words: Vec<_> = words.iter().map(|word| word.to_string_lossy().into_owned()).collect();
            assert_eq!(words.join(" "), expected);
        }
    }

    #[test]
    fn without_the_docker_cli_test_is_an_image_like_any_other() {
        assert_eq!(normal("docker-test test", false), "docker-test run test");
    }
}
