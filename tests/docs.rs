//! The documentation against the program: what it shows is run, what it names exists, what it tabulates is the code's.
//!
//! A `console` block is run in the repository's root, without an engine; `[..]` in its output stands for any text.
//! Commands in other blocks are only checked to be command lines that docker-test takes. Tables between
//! `<!-- generated: NAME -->` and `<!-- end -->` are written anew with `UPDATE_DOCS=1`.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, with the place")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use docker_test::cli::flags::refused::{OfBuild, OfRun, Row, Table};
use docker_test::engine::docker::build::{BuilderKind, builder_features};
use docker_test::environment::Environment;
use docker_test::exit_code::ExitCode;
use docker_test::harness::entry;
use docker_test::metadata::labels::TEST_LABELS;
use docker_test::metadata::labels::ours::OWN_LABELS;
use docker_test::metadata::recipe::Feature;
use docker_test::notify::configured;
use docker_test::report::EXPORTERS;
use docker_test::suite::{Known, Suite};
use docker_test::watch;
use snapbox::{Assert, IntoData};

const COMMANDS: [&str; 22] = [
    "run",
    "build",
    "inspect",
    "generate",
    "list",
    "init",
    "history",
    "history show",
    "history tests",
    "results",
    "report merge",
    "prune",
    "watch",
    "outbox",
    "outbox list",
    "outbox show",
    "outbox retry",
    "outbox delete",
    "outbox send",
    "doctor",
    "completions",
    "man",
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Every Markdown file that people read, relative to the root.
fn documents() -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut waiting = vec![PathBuf::new()];
    while let Some(directory) = waiting.pop() {
        for entry in fs::read_dir(root().join(&directory)).unwrap() {
            let entry = entry.unwrap();
            let path = directory.join(entry.file_name());
            let name = entry.file_name().into_string().unwrap();
            if entry.file_type().unwrap().is_dir()
                && !name.starts_with('.')
                && name != "target"
                && name != "fuzz"
            {
                waiting.push(path);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                found.push(path);
            }
        }
    }
    found.sort();
    assert!(found.len() > 10, "{found:?}");
    found
}

/// A fenced block.
struct Block {
    place: String,
    language: String,
    text: String,
}

fn blocks() -> Vec<Block> {
    let mut blocks = Vec::new();
    for path in documents() {
        let mut open: Option<Block> = None;
        for (index, line) in read(path.to_str().unwrap()).lines().enumerate() {
            match (&mut open, line.trim_start().strip_prefix("```")) {
                (None, Some(language)) => {
                    let place = format!("{}:{}", path.display(), index + 1);
                    open = Some(Block { place, language: language.to_owned(), text: String::new() });
                }
                (Some(_), Some(_)) => blocks.extend(open.take()),
                (Some(block), None) => {
                    block.text.push_str(line);
                    block.text.push('\n');
                }
                (None, None) => {}
            }
        }
        assert!(open.is_none(), "{}: a block is not closed", path.display());
    }
    blocks
}

/// A shell with the program in PATH, and nothing of this machine.
fn shell(home: &Path, script: &str) -> (i32, String) {
    let programs = Path::new(env!("CARGO_BIN_EXE_docker-test")).parent().unwrap();
    let output = Command::new("sh")
        .args(["-c", &format!("exec 2>&1; {script}")])
        .env_clear()
        .env("PATH", format!("{}:/usr/bin:/bin", programs.display()))
        .env("HOME", home)
        .env("DOCKER_HOST", "unix:///nonexistent.sock")
        .env("COLUMNS", "100")
        .current_dir(root())
        .output()
        .unwrap();
    (output.status.code().unwrap_or(-1), String::from_utf8(output.stdout).unwrap())
}

#[test]
fn console_blocks_show_what_the_program_says() {
    let home = tempfile::tempdir().unwrap();
    let config = Assert::new().normalize_paths(false);
    let mut run = 0;
    for block in blocks().iter().filter(|block| block.language == "console") {
        let mut shown: Vec<(String, String)> = Vec::new();
        for line in block.text.lines() {
            match (line.strip_prefix("$ "), shown.last_mut()) {
                (Some(command), _) => shown.push((command.to_owned(), String::new())),
                (None, Some((_, output))) => {
                    output.push_str(line);
                    output.push('\n');
                }
                (None, None) => panic!("{}: output before the first command", block.place),
            }
        }
        let mut code = 0;
        for (command, expected) in shown {
            // `$ echo $?` speaks of the command before it.
            let (status, actual) = shell(home.path(), &format!("(exit {code}); {command}"));
            code = status;
            let place = format!("{}: {command}", block.place);
            let compared = config.try_eq(Some(&place), actual.into_data(), expected.into_data());
            compared.unwrap_or_else(|error| panic!("{place}\n{error}"));
            run += 1;
        }
    }
    assert!(run >= 4, "only {run} commands were run");
}

/// The words after `docker-test` in a line of a script, up to whatever ends the command.
fn command_line(line: &str) -> Option<String> {
    let line = line.trim().trim_start_matches("- ").trim_start_matches("run: ");
    let start = ["docker-test ", "docker test "].iter().find_map(|name| {
        let at = line.find(name)?;
        let before = line[..at].trim_end();
        let begins = before.is_empty() || before.ends_with(['\'', '|', ';', '&']) || before.ends_with("sh");
        begins.then_some(at + name.len())
    })?;
    let rest = &line[start..];
    let end = ["&&", " | ", " #", "; ", " ||", "'", " >"].iter().filter_map(|end| rest.find(end)).min();
    Some(rest[..end.unwrap_or(rest.len())].trim().to_owned())
}

#[test]
fn commands_in_other_blocks_are_command_lines_that_the_program_takes() {
    let home = tempfile::tempdir().unwrap();
    let mut checked = 0;
    for block in blocks().iter().filter(|block| ["sh", "yaml", "groovy"].contains(&block.language.as_str())) {
        let joined = block.text.replace("\\\n", " ");
        for arguments in joined.lines().filter_map(command_line) {
            // A daemon is not waited for.
            let limit = if arguments.starts_with("watch") { "timeout 3 " } else { "" };
            let script = format!(
                "GITHUB_SHA=abc CI_REGISTRY_IMAGE=a.example/b CI_COMMIT_SHA=c CI_NODE_INDEX=1 CI_NODE_TOTAL=3 \
                 BUILD_NUMBER=1 SHARD=1; cd examples/busybox; {limit}docker-test {arguments}"
            );
            let (_, said) = shell(home.path(), &script);
            let refused = said.contains("error: ")
                || said.contains("is no image reference")
                || said.contains("not found");
            assert!(!refused, "{}: docker-test {arguments}\n{said}", block.place);
            checked += 1;
        }
    }
    assert!(checked >= 15, "only {checked} commands were checked");
}

/// GitHub's name for a heading in links.
fn anchor(heading: &str) -> String {
    let kept = |letter: &char| letter.is_alphanumeric() || matches!(letter, ' ' | '-' | '_');
    heading
        .trim()
        .to_lowercase()
        .chars()
        .filter(kept)
        .map(|letter| if letter == ' ' { '-' } else { letter })
        .collect()
}

fn anchors(text: &str) -> BTreeSet<String> {
    text.lines()
        .filter(|line| line.starts_with('#'))
        .map(|line| anchor(line.trim_start_matches('#')))
        .collect()
}

/// The targets of `[text](target)` outside of code blocks.
fn links(text: &str) -> Vec<String> {
    let mut links = Vec::new();
    let mut in_block = false;
    for line in text.lines() {
        in_block ^= line.trim_start().starts_with("```");
        if in_block {
            continue;
        }
        let mut rest = line;
        while let Some((_, after)) = rest.split_once("](") {
            let (target, next) = after.split_once(')').unwrap_or((after, ""));
            links.push(target.to_owned());
            rest = next;
        }
    }
    links
}

#[test]
fn relative_links_lead_somewhere() {
    let mut checked = 0;
    for path in documents() {
        let text = read(path.to_str().unwrap());
        for link in links(&text) {
            if link.contains("://") || link.starts_with("mailto:") {
                continue;
            }
            let (file, heading) = link.split_once('#').unwrap_or((&link, ""));
            let target = root().join(&path).parent().unwrap().join(file);
            let is_self = file.is_empty();
            assert!(is_self || target.exists(), "{}: {link} leads nowhere", path.display());
            if !heading.is_empty() {
                let text = if is_self { text.clone() } else { fs::read_to_string(&target).unwrap() };
                assert!(anchors(&text).contains(heading), "{}: there is no heading {link}", path.display());
            }
            checked += 1;
        }
    }
    assert!(checked > 50, "only {checked} links were checked");
}

/// The long flags that `--help` of a subcommand lists.
fn flags_of(command: &str) -> BTreeSet<String> {
    flags_in_help_of(&format!("docker-test {command}"))
}

fn flags_in_help_of(program: &str) -> BTreeSet<String> {
    let home = tempfile::tempdir().unwrap();
    let (code, help) = shell(home.path(), &format!("{program} --help"));
    assert_eq!(code, 0, "{help}");
    help.lines()
        .filter_map(|line| {
            line.trim_start().strip_prefix("--").or_else(|| Some(line.trim_start().split_once(", --")?.1))
        })
        .map(|rest| {
            rest.chars().take_while(|letter| letter.is_ascii_alphanumeric() || *letter == '-').collect()
        })
        .collect()
}

#[test]
fn the_command_line_reference_names_every_subcommand_and_every_flag() {
    let text = read("docs/cli.md");
    let readme = read("README.md");
    for command in COMMANDS {
        let named = format!("docker-test {command}");
        assert!(text.contains(&named) || command == "run", "docs/cli.md does not name {command}");
        assert!(readme.contains(command), "README.md does not name {command}");
        let flags = flags_of(command);
        assert!(flags.contains("help"), "{command}: {flags:?}");
        for flag in flags {
            let written = [format!("`--{flag}`"), format!("`--{flag} "), format!("`--{flag}[")];
            assert!(
                written.iter().any(|form| text.contains(form)),
                "docs/cli.md does not name --{flag} of {command}"
            );
        }
    }
}

#[test]
fn the_harness_is_documented_with_every_flag_and_its_variable() {
    let text = read("docs/harness.md");
    let flags = flags_in_help_of("docker-test-harness");
    assert!(flags.len() > 10, "{flags:?}");
    assert_eq!(flags, flags_of("harness"), "the subcommand has the same");
    assert!(read("docs/cli.md").contains("`docker-test harness"));
    for flag in flags.iter().filter(|flag| !matches!(flag.as_str(), "help" | "version")) {
        assert!(text.contains(&format!("| `--{flag}")), "docs/harness.md has no row for --{flag}");
        let variable = format!("`DOCKER_TEST_{}`", flag.replace('-', "_").to_uppercase());
        assert!(text.contains(&variable), "docs/harness.md does not name {variable}");
    }
}

#[test]
fn the_documentation_names_no_flag_that_is_not_there() {
    // Of Docker's global flags, Dockerfile instructions, cargo and the scripts; and what stands for any flag.
    const OTHERS: [&str; 16] = [
        "debug",
        "log-level",
        "net",
        "exclude",
        "parents",
        "mount",
        "security",
        "checksum",
        "link",
        "keep-git-dir",
        "unpack",
        "chmod",
        "all-targets",
        "flag",
        "switch",
        "version",
    ];
    let mut known: BTreeSet<String> = COMMANDS.iter().flat_map(|command| flags_of(command)).collect();
    known.extend(OfRun::ROWS.iter().chain(OfBuild::ROWS).map(|row| row.long.to_owned()));
    known.extend(OTHERS.map(str::to_owned));
    known.extend(flags_in_help_of("docker-test-harness"));
    for path in documents().iter().filter(|path| !path.starts_with("examples") && !path.starts_with("tests"))
    {
        let text = read(path.to_str().unwrap());
        let prose: String = without_blocks(&text);
        for code in prose.split('`').skip(1).step_by(2) {
            for word in code.split([' ', '|', '(', '[']).filter(|word| word.starts_with("--")) {
                let name: String =
                    word[2..].chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '-').collect();
                let placeholder = name.is_empty() || name.ends_with('-');
                assert!(
                    placeholder || known.contains(&name),
                    "{}: there is no flag --{name}",
                    path.display()
                );
            }
        }
    }
}

fn without_blocks(text: &str) -> String {
    let mut in_block = false;
    let mut prose = String::new();
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            in_block = !in_block;
        } else if !in_block {
            prose.push_str(line);
            prose.push('\n');
        }
    }
    prose
}

#[test]
fn every_exit_code_is_in_the_readme() {
    let text = read("README.md");
    for code in [
        ExitCode::Success,
        ExitCode::TestsFailed,
        ExitCode::NothingToTest,
        ExitCode::RerunIncomplete,
        ExitCode::TimedOut,
        ExitCode::Error,
        ExitCode::NotExecutable,
        ExitCode::CommandNotFound,
    ] {
        assert!(text.contains(&format!("\n| {} | ", code.code())), "{}", code.code());
    }
    assert!(text.contains("\n| 128+n | "));
}

#[test]
fn every_report_format_is_in_the_documentation() {
    let text = read("docs/reports.md");
    for exporter in EXPORTERS {
        assert!(text.contains(&format!("\n| `{}` | ", exporter.name())), "{}", exporter.name());
    }
}

/// The names of the fields that a document has, however deep.
fn fields(value: &serde_json::Value, found: &mut BTreeSet<String>) {
    match value {
        serde_json::Value::Array(items) => items.iter().for_each(|item| fields(item, found)),
        serde_json::Value::Object(map) => {
            for (name, item) in map {
                found.insert(name.clone());
                fields(item, found);
            }
        }
        _ => {}
    }
}

#[test]
fn every_field_of_the_json_report_is_in_the_documentation() {
    let document = read("tests/fixtures/reports/everything.json");
    let results = docker_test::results::stored::parse(document.as_bytes(), "everything.json").unwrap();
    let written = serde_json::to_value(&results).unwrap();
    let mut found = BTreeSet::new();
    fields(&written, &mut found);
    let mut expected = BTreeSet::new();
    fields(&serde_json::from_str(&document).unwrap(), &mut expected);
    assert_eq!(found, expected, "the document is to hold every field that there is, and no other");
    let text = read("docs/reports.md");
    let (_, text) = text.split_once("### `json`").unwrap();
    let (text, _) = text.split_once("### GitHub Actions").unwrap();
    for field in found {
        let forms = ["`", ".", "]."].iter().flat_map(|before| {
            ["`", "?`", "[]`", "[]?`"]
                .iter()
                .map(|after| format!("{before}{field}{after}"))
                .collect::<Vec<_>>()
        });
        assert!(forms.into_iter().any(|form| text.contains(&form)), "docs/reports.md does not name {field}");
    }
}

/// The variants of an enum in `src`, in snake case: what serde makes of them.
fn variants(file: &str, name: &str) -> Vec<String> {
    let source = read(file);
    let (_, body) = source.split_once(&format!("pub enum {name} {{\n")).unwrap();
    let (body, _) = body.split_once("\n}\n").unwrap();
    let variants = body.lines().filter_map(|line| {
        let name = line.strip_prefix("    ")?;
        let letters = name.chars().take_while(char::is_ascii_alphanumeric);
        name.starts_with(|letter: char| letter.is_ascii_uppercase()).then(|| letters.collect::<String>())
    });
    let snake = |name: String| {
        name.chars().fold(String::new(), |text, letter| {
            let gap = if letter.is_ascii_uppercase() && !text.is_empty() { "_" } else { "" };
            format!("{text}{gap}{}", letter.to_ascii_lowercase())
        })
    };
    let found: Vec<String> = variants.map(snake).collect();
    assert!(found.len() > 3, "{name}: {found:?}");
    found
}

#[test]
fn every_event_outcome_and_cause_is_in_the_documentation() {
    let text = read("docs/reports.md");
    for (file, name) in [
        ("src/runner/event.rs", "RunEvent"),
        ("src/results.rs", "Outcome"),
        ("src/results.rs", "Cause"),
        ("src/results.rs", "CaseStatus"),
    ] {
        for variant in variants(file, name) {
            assert!(
                text.contains(&format!("`{variant}`")),
                "docs/reports.md does not name {variant} of {name}"
            );
        }
    }
}

/// Compares a generated part of a document, or writes it anew.
fn compare(document: &str, name: &str, expected: &str) {
    let text = read(document);
    let begin = format!("<!-- generated: {name} -->\n");
    let (before, rest) =
        text.split_once(&begin).unwrap_or_else(|| panic!("{document} has no place for {name}"));
    let (actual, after) = rest.split_once("<!-- end -->").unwrap();
    if actual == expected {
        return;
    }
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(root().join(document), format!("{before}{begin}{expected}<!-- end -->{after}")).unwrap();
        return;
    }
    panic!(
        "{document}: the table {name} is not the code's (UPDATE_DOCS=1 writes it anew); expected:\n{expected}"
    );
}

/// A Markdown table.
fn table(head: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let head: Vec<String> = head.iter().map(|&cell| cell.to_owned()).collect();
    let rule = format!("|{}\n", "---|".repeat(head.len()));
    [line(&head), rule].into_iter().chain(rows.into_iter().map(|row| line(&row))).collect()
}

#[test]
fn generated_tables_are_the_codes() {
    // One test for all: two of them write the same file.
    let rows = TEST_LABELS.map(|label| {
        let default =
            if label.default == "none" { "none".to_owned() } else { format!("`{}`", label.default) };
        vec![format!("`{}`", label.name), default, label.description.to_owned()]
    });
    compare("docs/labels.md", "test-labels", &table(&["Label", "Default", "Meaning"], rows));
    let rows = OWN_LABELS.map(|label| vec![format!("`{}`", label.name), label.description.to_owned()]);
    compare("docs/labels.md", "own-labels", &table(&["Label", "Meaning"], rows));
    compare("docs/cli.md", "refused-run", &refusals(OfRun::ROWS));
    compare("docs/cli.md", "refused-build", &refusals(OfBuild::ROWS));
    let head = ["Feature", "BuildKit, with Docker Engine", "Buildah, with Podman"];
    let rows = Feature::ALL.map(|feature| {
        vec![
            format!("`{feature}`"),
            since(BuilderKind::BuildKit, feature),
            since(BuilderKind::Buildah, feature),
        ]
    });
    compare("docs/engines.md", "builder-features", &table(&head, rows));
}

/// The first version of an engine whose builder has a feature.
fn since(kind: BuilderKind, feature: Feature) -> String {
    let versions = (1..40).flat_map(|major| (0..20).map(move |minor| format!("{major}.{minor}")));
    let mut having = versions.filter(|version| builder_features(kind, version).contains(&feature));
    having.next().unwrap_or_else(|| "never".to_owned())
}

/// Flags by reason, in the order of the code.
fn refusals(rows: &[Row]) -> String {
    let mut reasons: Vec<(&str, Vec<String>)> = Vec::new();
    for row in rows {
        let short = row.short.map(|short| format!("`-{short}`, ")).unwrap_or_default();
        let allowed: Vec<String> =
            row.allowed.iter().filter(|value| !value.is_empty()).map(|value| format!("`{value}`")).collect();
        let unless =
            if allowed.is_empty() { String::new() } else { format!(" (taken: {})", allowed.join(", ")) };
        let flag = format!("{short}`--{}`{unless}", row.long);
        match reasons.iter_mut().find(|(reason, _)| *reason == row.reason) {
            Some((_, flags)) => flags.push(flag),
            None => reasons.push((row.reason, vec![flag])),
        }
    }
    let rows = reasons.into_iter().map(|(reason, flags)| vec![flags.join(", "), reason.to_owned()]);
    table(&["Flags", "Why, and what instead"], rows)
}

#[test]
fn the_published_schema_is_that_of_the_types() {
    const PATH: &str = "docs/docker-test.schema.json";
    let schema = docker_test::suite::schema::schema();
    let expected = format!("{}\n", serde_json::to_string_pretty(&schema).unwrap());
    let actual = fs::read_to_string(root().join(PATH)).unwrap_or_default();
    if actual == expected {
        return;
    }
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(root().join(PATH), expected).unwrap();
        return;
    }
    panic!("{PATH} is not that of the types (UPDATE_DOCS=1 writes it anew)");
}

#[test]
fn every_suite_in_the_documentation_can_be_read() {
    let formats: Vec<&str> = EXPORTERS.iter().map(|exporter| exporter.name()).collect();
    let known = Known { flags: &[], formats: &formats, compose: false };
    let mut read = 0;
    for block in blocks().iter().filter(|block| block.language == "yaml") {
        let is_suite = ["tests:", "services:", "policy:", "defaults:"]
            .iter()
            .any(|key| block.text.lines().any(|line| line.starts_with(key)))
            && (block.place.starts_with("docs/suite.md") || block.text.contains("docker-test.yaml"));
        if !is_suite {
            continue;
        }
        let suite =
            Suite::read(Path::new("docker-test.yaml"), block.text.as_bytes(), &Environment::default(), known);
        suite.unwrap_or_else(|error| panic!("{}: {error}", block.place));
        read += 1;
    }
    assert!(read >= 9, "only {read} suites were read");
}

#[test]
fn the_watch_is_documented_with_every_key_and_its_example_can_be_watched() {
    let text = read("docs/watch.md");
    let kinds = configured::names();
    for key in entry::KEYS.into_iter().chain(kinds) {
        assert!(text.contains(&format!("| `{key}` |")), "docs/watch.md has no row for {key}");
    }
    let key = "0123456789abcdef0123456789abcdef";
    let environment = Environment::from_pairs([
        ("PAGERDUTY_ROUTING_KEY", key),
        ("DD_API_KEY", key),
        ("SLACK_WEBHOOK_URL", "https://hooks.slack.example/services/a"),
    ]);
    let blocks = blocks();
    let example =
        blocks.iter().find(|block| block.place.starts_with("docs/watch.md") && block.language == "yaml");
    let example = example.unwrap().text.as_bytes();
    let suite = Suite::read(Path::new("docker-test.yaml"), example, &environment, Known::default()).unwrap();
    let read = watch::definitions(&suite, &environment, "machine").unwrap_or_else(|error| panic!("{error}"));
    assert_eq!((read.definitions.len(), read.silences.len(), read.warnings.len()), (2, 2, 0));
    assert_eq!(read.sinks.unwrap().len(), 5);
}

#[test]
fn every_suite_of_the_examples_can_be_read() {
    let formats: Vec<&str> = EXPORTERS.iter().map(|exporter| exporter.name()).collect();
    let known = Known { flags: &[], formats: &formats, compose: false };
    let mut read = 0;
    for entry in fs::read_dir(root().join("examples")).unwrap() {
        let path = entry.unwrap().path().join("docker-test.yaml");
        let Ok(text) = fs::read(&path) else { continue };
        Suite::read(&path, &text, &Environment::default(), known).unwrap_or_else(|error| panic!("{error}"));
        read += 1;
    }
    assert!(read >= 1);
}

#[test]
fn every_key_of_a_suite_is_in_the_documentation() {
    let text = read("docs/suite.md");
    let schema = docker_test::suite::schema::schema();
    let definitions = schema["definitions"].as_object().unwrap();
    let types = ["Test", "Service", "Healthcheck", "LongReady", "Resources", "Overrides"];
    let keys = types.iter().flat_map(|name| definitions[*name]["properties"].as_object().unwrap().keys());
    let keys = keys.chain(schema["properties"].as_object().unwrap().keys());
    for key in keys {
        let is_there = text.contains(&format!("`{key}`")) || text.contains(&format!("{key}: "));
        assert!(is_there, "docs/suite.md does not name {key}");
    }
}
