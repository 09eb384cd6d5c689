//! The table of examples/README.md: each row whose base image is made by `scripts/fixture base` is built and tested as
//! it stands there. What a row installs comes from Debian's mirror.

use std::path::Path;
use std::process::Command;

use crate::support::{BASE, Sandbox, docker, repository};

/// A row of the table.
struct Row {
    directory: String,
    base: String,
    build: Vec<String>,
    code: i32,
}

fn rows() -> Vec<Row> {
    let text = std::fs::read_to_string(repository("examples/README.md")).unwrap();
    let rows = text.lines().filter(|line| line.starts_with("| ["));
    rows.map(|line| {
        let cells: Vec<&str> =
            line.trim_matches('|').split('|').map(|cell| cell.trim().trim_matches('`')).collect();
        let [example, base, build, tested, code] = cells[..] else { panic!("{line}") };
        let (_, directory) = example.split_once('(').unwrap();
        let build: Vec<String> = build.split(' ').map(str::to_owned).collect();
        let tag = build.iter().position(|word| word == "-t").map(|at| &build[at + 1]).unwrap();
        assert_eq!(tested, format!("docker-test {tag}"), "the row tests what it has built");
        Row {
            directory: directory.trim_end_matches("/)").to_owned(),
            base: base.to_owned(),
            build,
            code: code.parse().unwrap(),
        }
    })
    .collect()
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
fn the_table_names_every_example() {
    let mut listed: Vec<String> = rows().into_iter().map(|row| row.directory).collect();
    listed.sort();
    listed.dedup();
    let entries = std::fs::read_dir(repository("examples")).unwrap().map(Result::unwrap);
    let mut there: Vec<String> = entries
        .filter(|entry| entry.path().is_dir())
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect();
    there.sort();
    assert_eq!(listed, there);
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
