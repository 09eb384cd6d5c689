use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::error::Diagnose;
use crate::suite::document::{Condition, SecretSource, Services};
use crate::suite::needs::{self, Need};

fn environment() -> Environment {
    Environment::from_pairs([
        ("TAG", "1.4"),
        ("LIMIT", "30s"),
        ("DB_PASSWORD", "hunter2hunter2"),
        ("RETRY", "2"),
    ])
}

fn read(text: &str) -> Result<Suite, SuiteError> {
    let flags = ["timeout", "retries", "cap-add"].map(str::to_owned);
    let known = Known { flags: &flags, formats: &["junit", "json", "markdown"], compose: false };
    Suite::read(Path::new("docker-test.yaml"), text.as_bytes(), &environment(), known)
}

fn suite(text: &str) -> Suite {
    read(text).unwrap_or_else(|error| panic!("{error}"))
}

const ISSUE: &str = "\
version: 1
defaults: { timeout: 5m, retries: 1 }
network: create
services:
  db:
    image: postgres:16
    env: { POSTGRES_PASSWORD: test }
    ready: { port: 5432, timeout: 30s }
tests:
  checkout:
    image: shop/checkout:${TAG}
    context: ./checkout
    needs: [db]
    env: { DB_HOST: db }
    secrets: [PAYMENT_TOKEN]
    command: [/test.sh, --fast]
reports: { junit: out/junit.xml }
";

#[test]
fn the_file_of_the_first_design_is_read() {
    let suite = suite(ISSUE);
    let document = &suite.document;
    assert_eq!(document.defaults.0[0], ("timeout".to_owned(), vec!["5m".to_owned()]));
    let ready = document.services.here().unwrap().get("db").unwrap().ready.clone().unwrap();
    assert_eq!((ready.condition, ready.timeout), (Condition::Port(5432), Duration::from_secs(30)));
    let (name, test) = suite.tests().next().unwrap();
    assert_eq!((name, test.base.as_str()), ("checkout", "checkout"));
    assert_eq!(test.image.as_deref(), Some("shop/checkout:1.4"));
    assert_eq!(test.env.resolve(|_| None), [("DB_HOST".to_owned(), "db".to_owned())]);
    assert_eq!(test.secrets.0[0].source, SecretSource::Environment("PAYMENT_TOKEN".into()));
    assert_eq!(test.command.clone().unwrap().0, ["/test.sh", "--fast"]);
    assert_eq!(needs::of(document, test), [Need::Service("db".into())]);
    assert_eq!(document.reports.get("junit").unwrap().0, ["out/junit.xml"]);
    assert_eq!(suite.directory(), Path::new("."));
}

#[test]
fn a_matrix_makes_tests_with_names_that_stay() {
    let suite = suite(
        "tests:\n  a:\n    image: db:${matrix.db}-${matrix.os}\n    timeout: ${matrix.db}s\n    matrix:\n      db: [15, 16]\n      os: [x]\n      include: [{db: 17, os: y}]\n  b: {image: b, needs: [a]}\n  c: {image: c, needs: ['a[db=15,os=x]']}\n",
    );
    let names: Vec<&str> = suite.tests().map(|(name, _)| name).collect();
    assert_eq!(names, ["a[db=15,os=x]", "a[db=16,os=x]", "a[db=17,os=y]", "b", "c"]);
    let test = suite.document.tests.get("a[db=17,os=y]").unwrap();
    assert_eq!((test.base.as_str(), test.image.as_deref()), ("a", Some("db:17-y")));
    assert_eq!(test.timeout, Some(Duration::from_secs(17)));
    assert_eq!(test.variables[0], ("db".to_owned(), "17".to_owned()));
    assert_eq!(needs::of(&suite.document, suite.document.tests.get("b").unwrap()).len(), 3);
    assert_eq!(
        needs::of(&suite.document, suite.document.tests.get("c").unwrap()),
        [Need::Test("a[db=15,os=x]".into())]
    );
    assert_eq!(suite.place(&["tests", "a[db=16,os=x]", "image"]), Place { line: 3, column: 5 });
}

#[test]
fn services_come_in_waves() {
    let suite = suite(
        "services:\n  web: {image: w, needs: [init, cache]}\n  init: {image: i, needs: [db], ready: exit-0}\n  db: {image: d}\n  cache: {image: c}\n  unused: {image: u}\n",
    );
    assert_eq!(needs::waves(&suite.document, ["web"]), [vec!["db", "cache"], vec!["init"], vec!["web"]]);
    assert!(needs::waves(&suite.document, ["elsewhere"]).is_empty());
}

#[test]
fn short_and_long_forms_mean_the_same() {
    let suite = suite(
        "x-all: &all {image: a}\nservices: ../compose.yaml\ntests:\n  a: {<<: *all, needs: [of-compose], retries: 2, command: \"a 'b c'\", entrypoint: []}\n  b: {<<: *all, retries: {count: 2, backoff: 3s}, mounts: [./d:/d, 'type=tmpfs,dst=/t', {type: bind, src: ./x, dst: /x, readonly: true}], secrets: {KEY: {file: k, as: file}}, network: none}\n  c: {<<: *all, retries: \"${RETRY}\", options: {cap-add: [NET_ADMIN]}, resources: {memory: 64m, cpus: 0.5, pids: 10}, exclusive: \"${NO:-true}\"}\n",
    );
    assert_eq!(suite.document.services, Services::Compose("../compose.yaml".into()));
    let test = |name| suite.document.tests.get(name).unwrap();
    assert_eq!(test("a").retries.unwrap().count, 2);
    assert_eq!(test("a").command.clone().unwrap().0, ["a", "b c"]);
    assert_eq!(test("a").entrypoint.clone().unwrap().0, [""; 0]);
    assert_eq!(test("b").retries.unwrap().backoff, Some(Duration::from_secs(3)));
    let mut spec = crate::plan::container::ContainerSpec::default();
    for mount in &test("b").mounts {
        mount.resolve(Path::new("/suite")).unwrap().add_to(&mut spec);
    }
    assert_eq!(spec.binds, ["/suite/d:/d"]);
    assert_eq!((spec.mounts[0].target.as_str(), spec.mounts[1].source.as_deref()), ("/t", Some("/suite/x")));
    assert!(spec.mounts[1].read_only && test("b").secrets.0[0].as_file);
    assert_eq!(test("c").retries.unwrap().count, 2);
    assert_eq!(test("c").exclusive, Some(true));
    assert_eq!(test("c").resources.cpus, Some(500_000_000));
}

#[test]
fn readiness_has_many_forms() {
    let ready = |text: &str| {
        let suite = suite(&format!("services: {{s: {{image: s, ready: {text}}}}}"));
        suite.document.services.here().unwrap().get("s").unwrap().ready.clone().unwrap().condition
    };
    assert_eq!(ready("healthy"), Condition::Healthy);
    assert_eq!(ready("{exit-0: true, timeout: 5m}"), Condition::Completed);
    assert_eq!(ready("{exec: [pg_isready, -q]}"), Condition::Exec(vec!["pg_isready".into(), "-q".into()]));
    let Condition::Http(http) = ready("{http: 'https://:8443/health?x=1'}") else { panic!() };
    assert_eq!((http.port, http.path.as_str(), http.tls, http.status), (8443, "/health?x=1", true, None));
    let Condition::Http(http) = ready("{http: {port: 80, status: 204}}") else { panic!() };
    assert_eq!((http.port, http.path.as_str(), http.status), (80, "/", Some(204)));
    let Condition::Log { text, times } = ready("{log: /ready$/, times: 2}") else { panic!() };
    assert!(text.is_in("is ready") && times == 2);
}

#[test]
fn an_error_shows_its_line_with_a_caret() {
    let error = read("version: 1\ntests:\n  checkout:\n    imge: shop\n").unwrap_err();
    assert_eq!(
        error.to_string(),
        "docker-test.yaml:4:5: unknown key `imge` in `tests.checkout`\n  4 |     imge: shop\n    |     ^"
    );
    assert_eq!(error.hint().as_deref(), Some("did you mean `image`?"));
    assert_eq!(error.place(), Place { line: 4, column: 5 });
}

fn one(rest: &str) -> String {
    format!("tests:\n  a:\n    image: a\n    {rest}\n")
}

fn service(rest: &str) -> String {
    format!("services:\n  s:\n    image: a\n    {rest}\n")
}

/// Text, line and column, a part of the problem, a part of the hint.
type Wrong = (String, (usize, usize), &'static str, &'static str);

#[track_caller]
fn all_are_refused(table: &[Wrong]) {
    for (text, place, problem, hint) in table {
        let error = read(text).err().unwrap_or_else(|| panic!("{text:?} was taken"));
        let found = (error.place().line, error.place().column);
        assert!(error.problem().contains(problem), "{text}\n{error}");
        assert_eq!(found, *place, "{text}\n{error}");
        assert!(error.hint().unwrap_or_default().contains(hint), "{text}\n{error}\n{:?}", error.hint());
    }
}

#[test]
fn what_is_wrong_with_a_test_has_its_place() {
    all_are_refused(&[
        (String::new(), (1, 1), "the file is empty", "version: 1"),
        ("- a".into(), (1, 1), "expected a mapping", ""),
        ("version: 2".into(), (1, 10), "this docker-test reads version 1", ""),
        ("tsets: {}".into(), (1, 1), "unknown key `tsets`", "did you mean `tests`?"),
        ("tests: [a]".into(), (1, 8), "expected a mapping of names, found a list", ""),
        ("tests:\n  a: shop".into(), (2, 6), "tests.a: expected a test: a mapping", ""),
        ("tests:\n  a:\n".into(), (2, 3), "expected `image` or `build`, found neither", ""),
        ("tests:\n  'a[b]': {image: a}".into(), (2, 3), "without [ ]", ""),
        ("tests:\n  a: {image: a}\n  a: {image: b}".into(), (3, 3), "`a` is there twice", ""),
        (one("build: ."), (4, 5), "exclude each other", ""),
        (
            one("build: {contxt: .}"),
            (4, 13),
            "unknown key `contxt` in `tests.a.build`",
            "did you mean `context`?",
        ),
        ("tests: {a: {image: 'A B'}}".into(), (1, 13), "tests.a.image", ""),
        (one("timeout: 5x"), (4, 14), "tests.a.timeout: `5x` is not a duration", "units are h, m, s and ms"),
        (one("timeout: 0"), (4, 14), "more than 0", ""),
        (one("timeout: [5m]"), (4, 14), "expected a duration such as 90s, 5m or 1h30m, found a list", ""),
        (one("retries: 101"), (4, 14), "a number from 0 to 100", ""),
        (one("retries: {cuont: 1}"), (4, 15), "unknown key `cuont`", "did you mean `count`?"),
        (one("retries: {backoff: 1s}"), (4, 14), "`count` is missing", ""),
        (one("resources: {memory: 5q}"), (4, 25), "unknown unit `q`", ""),
        (one("resources: {memory: 64}"), (4, 25), "the least that an engine takes is 6 MiB", "write 64m"),
        (one("resources: {cpus: much}"), (4, 23), "expected a number of CPUs", ""),
        (one("resources: {pids: 0}"), (4, 23), "a number of processes", ""),
        (one("needs: [a]"), (4, 5), "circle: a → a", ""),
        (one("needs: [b]"), (4, 13), "there is no service or test `b`", ""),
        (one("needs: b"), (4, 12), "found text", ""),
        (one("env: {'A B': 1}"), (4, 10), "the name of a variable", ""),
        (one("env: [{A: 1}]"), (4, 11), "expected a string, found a mapping", ""),
    ]);
}

#[test]
fn what_is_wrong_with_mounts_secrets_and_matrices_has_its_place() {
    all_are_refused(&[
        (one("mounts: ['x:y']"), (4, 14), "not an absolute path in the container", ""),
        (one("mounts: [{type: bnid, dst: /x}]"), (4, 14), "unknown type `bnid`", "did you mean `bind`?"),
        (one("secrets: [A, A]"), (4, 14), "`A` is there twice", ""),
        (one("secrets: [../A]"), (4, 15), "the name of a secret", ""),
        (one("secrets: {A: {flie: x}}"), (4, 19), "unknown key `flie`", "did you mean `file`?"),
        (one("secrets: {A: {file: x, env: y}}"), (4, 14), "exclude each other", ""),
        (one("trust: exti"), (4, 12), "expected one of exit, report, both", "did you mean `exit`?"),
        (one("results: /"), (4, 14), "a directory below /", ""),
        (one("network: front"), (4, 5), "there is no network `front`", "default, none"),
        (one("network: [none, default]"), (4, 5), "`none` stands alone", ""),
        (one("exclusive: maybe"), (4, 16), "expected true or false", ""),
        (one("command: \"a 'b\""), (4, 14), "the quote ' is not closed", ""),
        (
            one("options: {cap-dda: x}"),
            (4, 15),
            "unknown key `cap-dda` in `tests.a.options`",
            "did you mean `cap-add`?",
        ),
        (one("labels: {docker-test.run: x}"), (4, 14), "docker-test's own", ""),
        (one("matrix: {os: [a], exclude: [{so: a}]}"), (4, 34), "no variable `so`", "did you mean `os`?"),
        (one("matrix: {os: a}"), (4, 18), "tests.a.matrix: os: expected a sequence", ""),
        (
            one("matrix: {os: [a]}\n    user: ${matrix.so}"),
            (5, 11),
            "the matrix has no variable `so`",
            "`matrix.os`",
        ),
        (one("user: x${matrix.os}"), (4, 12), "`matrix.os` means nothing here", ""),
        (one("user: ${NOBODY}"), (4, 11), "the variable `NOBODY` is not set", "${NOBODY:-default}"),
        (one("timeout: ${TAG}x"), (4, 14), "`1.4x` is not a duration", ""),
    ]);
}

#[test]
fn what_is_wrong_elsewhere_has_its_place() {
    all_are_refused(&[
        (service("ready: healhty"), (4, 12), "expected healthy, exit-0", "did you mean `healthy`?"),
        (service("ready: {port: 0}"), (4, 19), "from 1 to 65535", "published"),
        (service("ready: {port: 80, log: x}"), (4, 12), "exactly one of", ""),
        (service("ready: {timeout: 5s}"), (4, 12), "exactly one of", ""),
        (service("ready: {log: /(/}"), (4, 18), "is not a regular expression", ""),
        (service("ready: {http: db:80/x}"), (4, 19), "expected PORT/PATH", "leave it out"),
        (service("ports: ['80:x']"), (4, 13), "expected a port", ""),
        (service("healthcheck: {test: [x]}"), (4, 25), "begins with CMD", ""),
        (service("needs: [t]\n  t: {image: t, needs: [s]}"), (4, 5), "circle: s → t → s", ""),
        (service("needs: [ss]"), (4, 13), "there is no service `ss`", "did you mean `s`?"),
        ("services: {'a b': {image: a}}".into(), (1, 12), "a name of letters", ""),
        ("services: {a: {image: a}}\ntests: {a: {image: a}}".into(), (2, 9), "is a service already", ""),
        ("network: staging".into(), (1, 10), "expected `create`", "{ join: staging }"),
        ("network: {jion: x}".into(), (1, 11), "unknown key `jion`", "did you mean `join`?"),
        ("networks: {none: create}".into(), (1, 12), "a meaning of its own", ""),
        ("reports: {junti: x}".into(), (1, 11), "there is no report format `junti`", "did you mean `junit`?"),
        (
            "defaults: {timeot: 5m}".into(),
            (1, 12),
            "unknown key `timeot` in `defaults`",
            "did you mean `timeout`?",
        ),
        (
            "defaults: {timeout: [[x]]}".into(),
            (1, 22),
            "defaults.timeout[0]: expected a string, found a list",
            "",
        ),
        (
            "policy: {choas: {alone: false}}".into(),
            (1, 10),
            "no test has the type `choas`",
            "did you mean `chaos`?",
        ),
        ("policy: {chaos: {network: some}}".into(), (1, 27), "expected one of granted, none", ""),
        ("notify: {pagreduty: {}}".into(), (1, 10), "unknown sink `pagreduty`", "did you mean `pagerduty`?"),
        ("notify: x".into(), (1, 9), "a mapping of sinks", ""),
        ("tests: {a: {image: ${TAG}}}".into(), (1, 21), "", "in quotes"),
        ("tests: {\u{7}: 1}".into(), (1, 9), "", ""),
    ]);
}

#[test]
fn values_of_secrets_are_in_no_error_and_no_debug_output() {
    let error = read("tests:\n  a: {image: a, timeout: \"${DB_PASSWORD}\"}\n").unwrap_err();
    let shown = format!("{error} {error:?}");
    assert!(
        !shown.contains("hunter2") && shown.contains("what `DB_PASSWORD` holds does not fit here"),
        "{shown}"
    );
    let suite = suite(
        "tests:\n  a: {image: a, env: {X: \"${DB_PASSWORD}\"}, options: {timeout: \"${DB_PASSWORD}\"}}\nnotify: {slack: {url: \"${DB_PASSWORD}\"}}\n",
    );
    assert!(!format!("{suite:?}").contains("hunter2"));
}

#[test]
fn an_image_whose_name_comes_from_a_secret_is_not_shown() {
    let error = read("tests:\n  a: {image: \"${DB_PASSWORD}!\"}\n").unwrap_err();
    assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
}

#[test]
fn bytes_that_are_no_text_have_a_place() {
    let known = Known::default();
    let error = Suite::read(Path::new("x.yaml"), b"a: 1\nb: \xff", &environment(), known).unwrap_err();
    assert_eq!(error.place(), Place { line: 2, column: 4 });
}

#[test]
fn defaults_go_to_flags_as_they_are_written() {
    let suite = suite("defaults: {timeout: \"${NOT_SET}\"}\n");
    assert_eq!(suite.document.defaults.0[0].1, ["${NOT_SET}"]);
}

#[test]
fn too_many_tests_are_refused() {
    use std::fmt::Write as _;
    let values: Vec<String> = (0..1000).map(|number| number.to_string()).collect();
    let mut text = "tests:\n".to_owned();
    for number in 0..11 {
        writeln!(text, "  t{number}: {{image: a, matrix: {{v: [{}]}}}}", values.join(", ")).unwrap();
    }
    assert!(read(&text).unwrap_err().problem().contains("too many tests"));
}

#[test]
fn matrices_that_need_each_other_whole_are_refused() {
    let values: Vec<String> = (0..1000).map(|number| number.to_string()).collect();
    let matrix = format!("image: a, matrix: {{v: [{}]}}", values.join(", "));
    let text = format!("tests:\n  a: {{{matrix}}}\n  b: {{{matrix}, needs: [a]}}\n");
    let error = read(&text).unwrap_err();
    assert_eq!((error.place().line, error.problem()), (3, "the tests need more than 100000 others in all"));
}

#[test]
fn errors_that_show_later_have_their_line_too() {
    let error = suite(ISSUE).error(&["tests", "checkout", "image"], "there is no such image", None);
    assert!(
        error.to_string().starts_with("docker-test.yaml:11:5: there is no such image\n  11 |     image:"),
        "{error}"
    );
}

proptest! {
    #[test]
    fn any_file_is_read_or_refused(lines in proptest::collection::vec(
        ("( |  |    |      )?(- )?", "(tests|services|a|image|needs|env|matrix|ready|mounts|retries|command|defaults|network|<<)?(: )?",
         "(a|\\[a\\]|\\{a: 1\\}|\\$\\{TAG\\}|\\$\\{matrix\\.a\\}|5m|&x|\\*x|'|\")?"), 0..14)) {
        let text: String = lines.iter().flat_map(|(a, b, c)| [a.as_str(), b, c, "\n"]).collect();
        let _ = read(&text);
    }
}
