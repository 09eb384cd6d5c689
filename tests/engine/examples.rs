//! The tables of examples/README.md: each row whose images are made by `scripts/fixture base` is built and tested as it
//! stands there. What a row installs comes from Debian's mirror.

use std::path::Path;
use std::process::Command;

use crate::fixture::fixture;
use crate::support::{BASE, Sandbox, docker, repository};

/// A row of the table of single images.
struct Row {
    directory: String,
    base: String,
    build: Vec<String>,
    code: i32,
}

/// A row of the table of systems.
struct System {
    directory: String,
    variables: Vec<(String, String)>,
    command: Vec<String>,
    code: i32,
}

/// The cells of the table below a heading, the example's as the name of its directory.
fn cells(heading: &str) -> Vec<Vec<String>> {
    let text = std::fs::read_to_string(repository("examples/README.md")).unwrap();
    let (_, section) = text.split_once(&format!("\n## {heading}\n")).unwrap();
    let section = section.split("\n## ").next().unwrap();
    let rows = section.lines().filter(|line| line.starts_with("| ["));
    rows.map(|line| {
        let cells = line.trim_matches('|').split('|').map(|cell| cell.trim().trim_matches('`'));
        let mut cells: Vec<String> = cells.map(str::to_owned).collect();
        let (_, directory) = cells[0].split_once("](").unwrap();
        let directory = directory.trim_end_matches("/)").to_owned();
        cells.splice(..1, [directory]);
        cells
    })
    .collect()
}

fn rows() -> Vec<Row> {
    let rows = cells("One image").into_iter();
    rows.map(|row| {
        let [directory, base, build, tested, code] = &row[..] else { panic!("{row:?}") };
        let build: Vec<String> = build.split(' ').map(str::to_owned).collect();
        let tag = build.iter().position(|word| word == "-t").map(|at| &build[at + 1]).unwrap();
        assert_eq!(tested, &format!("docker-test {tag}"), "the row tests what it has built");
        Row { directory: directory.clone(), base: base.clone(), build, code: code.parse().unwrap() }
    })
    .collect()
}

fn systems() -> Vec<System> {
    let rows = cells("A system").into_iter();
    rows.map(|row| {
        let [directory, variables, command, code] = &row[..] else { panic!("{row:?}") };
        let variables = variables.split(' ').map(|pair| pair.split_once('=').unwrap());
        let command = command.strip_prefix("docker-test ").unwrap();
        System {
            directory: directory.clone(),
            variables: variables.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
            command: command.split(' ').map(str::to_owned).collect(),
            code: code.parse().unwrap(),
        }
    })
    .collect()
}

/// A sandbox with a copy of a system. The test images that its runs leave are removed with it.
struct Copied {
    system: System,
    sandbox: Sandbox,
}

impl Copied {
    /// Where its images can be made.
    fn new(directory: &str) -> Option<Self> {
        let system = systems().into_iter().find(|system| system.directory == directory).unwrap();
        let missing = std::env::var("FIXTURES_MISSING").unwrap_or_default();
        if missing.split(' ').any(|name| name == "base") {
            return None;
        }
        let made = fixture("base");
        let mut sandbox = Sandbox::new();
        copy(&repository("examples").join(directory), &sandbox.path());
        for (name, image) in &system.variables {
            assert!(made.values().any(|known| known == image), "{image} is not made by `fixture base`");
            sandbox.set(name, image);
        }
        Some(Self { system, sandbox })
    }

    #[track_caller]
    fn expect(&self, code: i32) {
        let command = self.system.command.iter().map(String::as_str);
        let words: Vec<&str> = command.chain(["--report", "json=report.json"]).collect();
        let ran = self.sandbox.run(&words);
        self.remove_test_images();
        ran.assert_code(code);
    }

    #[track_caller]
    fn replace(&self, path: &str, from: &str, to: &str) {
        let text = std::fs::read_to_string(self.sandbox.path().join(path)).unwrap();
        assert!(text.contains(from), "{path} has no {from}");
        self.sandbox.write(path, &text.replace(from, to));
    }

    fn remove_test_images(&self) {
        let report = std::fs::read(self.sandbox.path().join("report.json")).unwrap_or_default();
        let report: serde_json::Value = serde_json::from_slice(&report).unwrap_or_default();
        for test in report["tests"].as_array().into_iter().flatten() {
            let Some(image) = test["test_image"].as_str() else { continue };
            let _ = Command::new("docker").args(["rmi", "-f", image]).output();
        }
    }
}

fn copy(from: &Path, to: &Path) {
    let done = Command::new("cp").arg("-R").arg(from.join(".")).arg(to).status().unwrap();
    assert!(done.success());
}

fn run(row: &Row) {
    let sandbox = Sandbox::new();
    copy(&repository("examples").join(&row.directory), &sandbox.path());
    // Under a name of this sandbox, and on a base that is at hand.
    let image = sandbox.image("example");
    let argument = format!("BASE={}", row.base);
    let mut words: Vec<&str> = row.build[1..].iter().map(String::as_str).collect();
    let tag = words.iter().position(|word| *word == "-t").unwrap() + 1;
    words[tag] = &image;
    words.extend(["--build-arg", &argument]);
    sandbox.expect(0, &words);
    sandbox.expect(row.code, &[&image]);
}

#[test]
fn the_tables_name_every_example() {
    let systems = systems().into_iter().map(|system| system.directory);
    let watched = cells("A watch").into_iter().map(|row| row[0].clone());
    let rows = rows().into_iter().map(|row| row.directory);
    // Files to copy, which are tried elsewhere.
    let copied = std::iter::once("monitoring".to_owned());
    let mut listed: Vec<String> = rows.chain(systems).chain(watched).chain(copied).collect();
    listed.sort();
    listed.dedup();
    let entries = std::fs::read_dir(repository("examples")).unwrap().map(Result::unwrap);
    let mut there: Vec<String> = entries
        .filter(|entry| entry.path().is_dir())
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect();
    there.sort();
    assert_eq!(listed, there);
    let text = std::fs::read_to_string(repository("examples/README.md")).unwrap();
    for name in there {
        assert!(text.contains(&format!("[{name}]({name}/)")), "{name}");
    }
}

#[test]
fn examples_that_need_nothing_but_a_small_base_end_as_the_table_says() {
    let rows: Vec<Row> = rows().into_iter().filter(|row| row.base == BASE).collect();
    assert!(!rows.is_empty());
    rows.iter().for_each(run);
}

/// Debian's base is made by `scripts/fixture base up` beside the small one, where a mirror can be reached.
#[test]
fn examples_on_debian_end_as_the_table_says() {
    let rows: Vec<Row> = rows().into_iter().filter(|row| row.base.contains("debian")).collect();
    assert!(!rows.is_empty());
    if docker(&["images", "-q", &rows[0].base]).trim().is_empty() {
        return;
    }
    rows.iter().for_each(run);
}

#[test]
fn the_shop_ends_as_the_table_says_and_fails_where_it_is_broken() {
    let Some(shop) = Copied::new("shop") else { return };
    shop.expect(shop.system.code);
    let log = shop.sandbox.result("services/db.log");
    assert!(log.contains("ready to accept connections"), "{log}");
    shop.replace("web/prices.py", "return 20 if", "return 25 if");
    shop.expect(1);
    assert!(shop.sandbox.result("prices/attempt-1/prices.xml").contains("failures=\"1\""));
    assert!(shop.sandbox.result("checkout/attempt-1/checkout.xml").contains("failures=\"0\""));
}

#[test]
fn the_compose_project_ends_as_the_table_says_and_fails_where_it_is_broken() {
    let Some(project) = Copied::new("compose") else { return };
    project.expect(project.system.code);
    project.replace("worker/worker.sh", "tr '[:upper:]' '[:lower:]'", "cat");
    project.expect(1);
}

#[test]
fn every_system_of_the_table_is_run() {
    let listed: Vec<String> = systems().into_iter().map(|system| system.directory).collect();
    assert_eq!(listed, ["shop", "compose"]);
}
