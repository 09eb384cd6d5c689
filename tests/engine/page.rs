//! The HTML report in a browser: what hostile output can do to it, its filters, its keys, and how it looks.

use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::browser::{self, Browser};
use crate::live::{plain, script};
use crate::support::{BASE, Sandbox};

/// What tests have printed to take over a page.
const HOSTILE: [&str; 7] = [
    "</script><script>window.owned = 1</script>",
    "<img src=x onerror=\"window.owned = 1\">",
    "\"><svg onload=window.owned=1>",
    "' onmouseover='window.owned = 1",
    "<!-- --!><iframe srcdoc=\"<script>parent.owned=1</script>\">",
    "{{ 7 * 7 }}{% raw %}\u{2028}window.owned = 1\u{2029}",
    "</pre></details><style>body{display:none}</style><meta http-equiv=refresh content=0;url=https://a.example>",
];

fn attempt(number: usize, outcome: &str, place: u32, text: &str, cases: &[Value]) -> Value {
    let offset = f64::from(place / 8) * 7.0 + f64::from(place % 8) / 10.0;
    let count = |status: &str| cases.iter().filter(|case| case["status"] == status).count();
    json!({
        "number": number, "outcome": outcome, "exit_code": i32::from(outcome != "passed"),
        "started_at": "2026-11-21T06:30:00Z", "seconds": 1.0 + offset % 4.0, "container": "0123456789abcdef0123",
        "slot": place % 8 + 1, "offset_seconds": offset, "log_tail": format!("starting\n{text}\ndone\n"),
        "cases": {"passed": count("passed"), "failed": count("failed"), "errored": 0, "skipped": 0},
        "suites": [{"name": "suite", "source": "junit.xml", "cases": cases}],
        "files": [{"path": format!("out/{text}.txt"), "size": 1536}],
    })
}

/// Two hundred tests: of every ten one failed, one is flaky and one was skipped; their texts are hostile.
fn results() -> Value {
    let tests: Vec<Value> = (0..200)
        .map(|number| {
            let text = HOSTILE[number % HOSTILE.len()];
            let place = u32::try_from(number).unwrap();
            let good = json!({"name": "test_add", "class": "shop.CartTest", "status": "passed", "seconds": 0.25});
            let bad = json!({"name": format!("test_total {text}"), "class": "shop.CartTest", "status": "failed",
                "seconds": 0.5, "message": format!("assert {number} == {text}"), "detail": text, "stdout": text,
                "file": format!("tests/{text}.py"), "line": 41});
            let failed = || attempt(1, "failed", place, text, &[good.clone(), bad.clone()]);
            let (outcome, attempts, cause) = match number % 10 {
                3 => ("failed", vec![failed()], json!({"kind": "exit_code", "code": 1})),
                5 => ("flaky", vec![failed(), attempt(2, "passed", place, text, std::slice::from_ref(&good))], Value::Null),
                7 => ("skipped", vec![], Value::Null),
                _ => ("passed", vec![attempt(1, "passed", place, text, std::slice::from_ref(&good))], Value::Null),
            };
            let mut made = json!({
                "name": format!("part-{number:03}"), "image": format!("registry.example/shop/part-{number}:1.4"),
                "image_id": "sha256:aa", "test_image": "part-test", "type": "integration", "source": "label",
                "outcome": outcome, "attempts": attempts, "results_dir": "tests/results", "warnings": [text],
            });
            if !cause.is_null() {
                made["cause"] = cause;
            }
            made
        })
        .collect();
    json!({
        "schema": 1, "version": "0.1.0", "run_id": "r-42", "engine": "Docker Engine 20.10.24",
        "started_at": "2026-11-21T06:29:58Z", "seconds": 181.5, "outcome": "failed", "exit_code": 1, "tests": tests,
        "services": [
            {"name": "db", "image": "postgres:16", "outcome": "passed", "seconds": 180.0, "log_tail": "ready"},
            {"name": "queue", "image": "redis:7", "outcome": "failed", "seconds": 3.0, "log_tail": HOSTILE[0],
             "cause": {"kind": "exit_code", "code": 1}},
        ],
    })
}

fn page(sandbox: &Sandbox, results: &Value) -> PathBuf {
    sandbox.write("run.json", &results.to_string());
    sandbox.expect(0, &["report", "merge", "--report", "html=page.html", "run.json"]);
    sandbox.path().join("page.html")
}

/// Names of the tests that are shown.
const SHOWN: &str =
    "Array.from(document.querySelectorAll('.test:not([hidden]) > summary .name'), e => e.textContent)";

fn shown(browser: &mut Browser) -> Vec<String> {
    serde_json::from_value(browser.evaluate(SHOWN)).unwrap()
}

/// Keeps a picture where the caller of the tests wants to look at it.
pub(crate) fn picture(browser: &mut Browser, sandbox: &Sandbox, name: &str) {
    let directory = std::env::var_os("SCREENSHOTS").map_or_else(|| sandbox.path(), PathBuf::from);
    browser.screenshot(&directory.join(name));
}

#[test]
fn hostile_output_is_text_and_nothing_but_text() {
    if browser::is_missing() {
        return;
    }
    let sandbox = Sandbox::new();
    let page = page(&sandbox, &results());
    let mut browser = Browser::start();
    browser.open(&page, "");
    browser.evaluate("document.querySelectorAll('details').forEach(e => e.open = true)");
    assert_eq!(browser.evaluate("window.owned"), Value::Null);
    let foreign = "document.querySelectorAll('img, iframe, object, embed, link, meta[http-equiv=refresh], [onload], [onerror], [onmouseover]').length";
    assert_eq!(browser.evaluate(foreign), 0);
    let own = "[document.scripts.length, document.querySelectorAll('style').length, document.querySelectorAll('.test').length]";
    assert_eq!(browser.evaluate(own), json!([1, 1, 200]));
    let told = browser.evaluate("document.querySelector('#test-4 .message').textContent");
    assert_eq!(told, json!(format!("assert 3 == {}", HOSTILE[3])));
    assert_eq!(browser.complaints(), Vec::<String>::new());
    assert_eq!(browser.requests(), [format!("file://{}", page.display())]);
    // And if a script did get in, it would not run.
    browser.evaluate("document.body.append(Object.assign(document.createElement('script'), {textContent: 'window.owned = 2'}))");
    assert_eq!(browser.evaluate("window.owned"), Value::Null);
    assert!(browser.complaints().iter().any(|complaint| complaint.contains("Content Security Policy")));
}

#[test]
fn filters_are_operated_by_mouse_by_keys_and_by_address() {
    if browser::is_missing() {
        return;
    }
    let sandbox = Sandbox::new();
    let page = page(&sandbox, &results());
    let mut browser = Browser::start();
    browser.open(&page, "");
    assert_eq!(shown(&mut browser).len(), 200);

    browser.click(".chip[data-outcome=failed]");
    let failed = shown(&mut browser);
    assert!(failed.len() == 20 && failed.iter().all(|name| name.ends_with('3')), "{failed:?}");
    assert_eq!(browser.evaluate("location.hash"), "#outcome=failed");
    assert_eq!(browser.evaluate("document.querySelectorAll('.chart a:not(.dim)').length"), 20);
    browser.click(".chip[data-outcome=flaky]");
    assert_eq!(shown(&mut browser).len(), 40);

    browser.press("/");
    browser.write("part-04");
    assert_eq!(shown(&mut browser), ["part-043", "part-045"]);
    assert_eq!(browser.evaluate("document.getElementById('shown').textContent"), "2 of 200 shown");
    assert_eq!(browser.evaluate("location.hash"), "#outcome=failed,flaky&text=part-04");
    browser.write(" nothing");
    assert_eq!(browser.evaluate("document.getElementById('none').hidden"), false);
    browser.press("Escape");
    browser.click(".chip[data-outcome='']");
    assert_eq!(shown(&mut browser).len(), 200);
    assert_eq!(browser.evaluate("location.hash"), "");

    browser.press("j");
    browser.press("j");
    browser.press("Enter");
    assert_eq!(browser.evaluate("document.activeElement.closest('.test').id"), "test-2");
    assert_eq!(browser.evaluate("document.getElementById('test-2').open"), true);

    browser.open(&page, "#outcome=failed,nonsense&text=ASSERT%20123");
    assert_eq!(shown(&mut browser), ["part-123"]);
    assert_eq!(browser.evaluate("document.getElementById('search').value"), "ASSERT 123");
    let pressed = "Array.from(document.querySelectorAll('[aria-pressed=true]'), e => e.dataset.outcome)";
    assert_eq!(browser.evaluate(pressed), json!(["failed"]));
    // A link to a test that the filter hides shows it.
    browser.evaluate("location.hash = '#test-9'");
    browser.evaluate("new Promise(resolve => setTimeout(resolve, 100))");
    assert_eq!(browser.evaluate("document.getElementById('test-9').open"), true);
    assert_eq!(shown(&mut browser).len(), 200);
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

#[test]
fn the_page_fits_a_telephone_and_a_wide_screen_in_both_schemes() {
    if browser::is_missing() {
        return;
    }
    let sandbox = Sandbox::new();
    let page = page(&sandbox, &results());
    let mut browser = Browser::start();
    for (width, scheme) in [(1280, "light"), (1280, "dark"), (390, "light"), (360, "dark")] {
        browser.size(width, 900);
        browser.scheme(scheme);
        browser.open(&page, "");
        let overflow =
            browser.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth");
        assert_eq!(overflow, 0, "{width}");
        let ground = browser.evaluate("getComputedStyle(document.body).backgroundColor");
        assert_eq!(ground, if scheme == "dark" { "rgb(17, 20, 26)" } else { "rgb(244, 245, 247)" });
        picture(&mut browser, &sandbox, &format!("{width}-{scheme}.png"));
        browser.open(&page, "#test-4");
        browser.evaluate("document.getElementById('test-4').scrollIntoView({behavior: 'instant'})");
        let overflow =
            browser.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth");
        assert_eq!(overflow, 0, "{width}, a test unfolded");
        picture(&mut browser, &sandbox, &format!("{width}-{scheme}-open.png"));
    }
}

/// A suite with a test of every kind. What has to differ from attempt to attempt is remembered in a directory.
const SUITE: &str = r#"
version: 1
network: create
services:
  db: { image: BASE, command: [sh, -c, "echo ready; exec sleep 600"], ready: { log: ready } }
  queue: { image: BASE, command: [sh, -c, "echo no space left >&2; exit 3"], ready: { log: ready, timeout: 20s } }
tests:
  adds-up:
    image: BASE
    needs: [db]
    command: [sh, -c, "echo '<testsuite name=\"sums\"><testcase name=\"adds up\"/></testsuite>' > /var/tests/results/junit.xml; echo sums are fine"]
  comes-round:
    image: BASE
    retries: 1
    mounts: ["./memory:/memory"]
    command: [sh, -c, "test -e /memory/again && echo second time lucky && exit 0; touch /memory/again; echo first time unlucky; exit 1"]
  breaks:
    image: BASE
    retries: 1
    command: [sh, -c, "echo '<testsuite name=\"basket\"><testcase name=\"total\" file=\"basket.py\" line=\"7\"><failure message=\"3 is not 4\"/></testcase></testsuite>' > /var/tests/results/junit.xml; echo the basket is wrong; exit 1"]
  late: { image: BASE, timeout: 2s, command: [sh, -c, "echo waiting; exec sleep 60"] }
  after-breaks: { image: BASE, needs: [breaks], command: [sh, -c, "true"] }
  sends-one: { image: BASE, needs: [queue], command: [sh, -c, "true"] }
  sends-two: { image: BASE, needs: [queue], command: [sh, -c, "true"] }
  takes-a-while: { image: BASE, command: [sh, -c, "sleep 2; echo done"] }
"#;

/// Text that is found in the page, in a browser of which every part that folds is unfolded.
fn unfolded(browser: &mut Browser, selector: &str) -> String {
    browser.evaluate("document.querySelectorAll('details').forEach(e => e.open = true)");
    let text = browser.evaluate(&format!("document.querySelector({}).textContent", json!(selector)));
    text.as_str().unwrap_or_else(|| panic!("nothing is {selector}")).to_owned()
}

/// The address of a test in the page.
fn place(browser: &mut Browser, name: &str) -> String {
    let found = format!(
        "'#' + Array.from(document.querySelectorAll('.test')).find(e => e.querySelector('.name').textContent === '{name}').id"
    );
    browser.evaluate(&found).as_str().unwrap().to_owned()
}

#[test]
fn the_page_of_a_real_suite_shows_filters_timeline_attempts_logs_and_services() {
    if browser::is_missing() {
        return;
    }
    let sandbox = Sandbox::new();
    sandbox.write("docker-test.yaml", &SUITE.replace("BASE", BASE));
    fs::create_dir_all(sandbox.path().join("memory")).unwrap();
    let arguments = ["run", "--suite", "docker-test.yaml", "-j", "3", "--report", "html=public/page.html"];
    let ran = sandbox.run(&arguments);
    assert_ne!(ran.code, 0, "{}", ran.stderr);
    for part in [
        "FLAKY  comes-round: failed, then passed in ",
        "FAILED  service queue (",
        "│ no space left\n",
        "not run because queue failed: sends-one, sends-two\n",
        "not run because breaks failed: after-breaks\n",
        "│ the basket is wrong\n",
        "add --rerun failed to run these again\n",
    ] {
        ran.assert_stderr(part);
    }
    let page = sandbox.path().join("public/page.html");
    let mut browser = Browser::start();
    browser.open(&page, "");
    assert_eq!(shown(&mut browser).len(), 8);

    let counts = "Object.fromEntries(Array.from(document.querySelectorAll('.chip'), e => [e.dataset.outcome, Number(e.querySelector('.n').textContent)]))";
    let told = json!({"": 8, "failed": 1, "timed_out": 1, "flaky": 1, "passed": 2, "dependency_failed": 3});
    assert_eq!(browser.evaluate(counts), told);
    browser.click(".chip[data-outcome=dependency_failed]");
    assert_eq!(shown(&mut browser), ["after-breaks", "sends-one", "sends-two"]);
    assert_eq!(browser.evaluate("document.querySelectorAll('.chart a:not(.dim)').length"), 0);
    browser.click(".chip[data-outcome='']");
    browser.press("/");
    browser.write("3 is not");
    assert_eq!(shown(&mut browser), ["breaks"]);
    let lit =
        "Array.from(document.querySelectorAll('.chart a:not(.dim) title'), e => e.textContent.split(':')[0])";
    assert_eq!(browser.evaluate(lit), json!(["breaks · 1", "breaks · 2"]));
    browser.press("Escape");

    // Two attempts of two tests, one of three; at most three at a time, and none over another.
    assert_eq!(browser.evaluate("document.querySelectorAll('.chart a').length"), 7);
    let lanes = browser.evaluate("document.querySelectorAll('.lanes span').length").as_u64().unwrap();
    assert!((1..=3).contains(&lanes), "{lanes}");
    let overlaps = "(() => { const boxes = Array.from(document.querySelectorAll('.chart a rect'), e => e.getBoundingClientRect());
        return boxes.some((a, i) => boxes.some((b, j) => i < j && Math.abs(a.y - b.y) < 2 && a.x + 3 < b.right && b.x + 3 < a.right)); })()";
    assert_eq!(browser.evaluate(overlaps), false);
    let (breaks, round) = (place(&mut browser, "breaks"), place(&mut browser, "comes-round"));
    browser.click(&format!(".chart a[href='{breaks}'] rect"));
    browser.evaluate("new Promise(resolve => setTimeout(resolve, 100))");
    let opened = format!("[location.hash, document.querySelector('{breaks}').open]");
    assert_eq!(browser.evaluate(&opened), json!([breaks, true]));

    let round = unfolded(&mut browser, &round);
    for part in ["Attempt 1", "first time unlucky", "Attempt 2", "second time lucky"] {
        assert!(round.contains(part), "no {part} in {round}");
    }
    let services = unfolded(&mut browser, "[aria-labelledby=services-heading]");
    for part in [
        "queue",
        "no space left",
        "ended with exit code 3 before it was ready",
        "2 tests went without it: sends-one, sends-two",
    ] {
        assert!(services.contains(part), "no {part} in {services}");
    }
    // Links lead to what is there.
    let links = browser.evaluate(
        "Array.from(document.querySelectorAll('#tests a[href]'), e => decodeURI(e.getAttribute('href')))",
    );
    let links: Vec<String> = serde_json::from_value(links).unwrap();
    for log in ["comes-round/attempt-1.log", "breaks/attempt-2.log", "breaks/attempt-1/junit.xml"] {
        let link = links.iter().find(|link| link.ends_with(log));
        let link = link.unwrap_or_else(|| panic!("no {log} in {links:?}"));
        assert!(page.parent().unwrap().join(link).is_file(), "{link}");
    }
    assert_eq!(browser.complaints(), Vec::<String>::new());

    for (width, scheme) in [(1280, "light"), (1280, "dark"), (390, "light")] {
        browser.size(width, 2000);
        browser.scheme(scheme);
        browser.open(&page, "");
        let overflow =
            browser.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth");
        assert_eq!(overflow, 0, "{width}");
        picture(&mut browser, &sandbox, &format!("suite-{width}-{scheme}.png"));
    }
}

#[test]
fn the_page_of_one_run_can_be_read_without_its_script() {
    if browser::is_missing() {
        return;
    }
    let sandbox = Sandbox::new();
    let image = plain(&sandbox);
    let shell = "echo '<testsuite name=\"s\"><testcase name=\"adds up\" file=\"sum.py\" line=\"7\"><failure message=\"1 != 2\"/></testcase><testcase name=\"is quick\"/></testsuite>' > /var/tests/results/junit.xml; echo why; exit 1";
    sandbox.expect(1, &script(&["--report", "html=page.html"], &image, shell));
    let page = sandbox.path().join("page.html");
    assert!(fs::metadata(&page).unwrap().len() < 64 << 10);
    let mut browser = Browser::start();
    browser.scripts(false);
    browser.open(&page, "");
    // What was never drawn has no text: a picture is drawn first.
    picture(&mut browser, &sandbox, "one.png");
    let text = browser.evaluate("document.body.innerText");
    let text = text.as_str().unwrap();
    for part in [
        image.as_str(),
        "failed",
        "adds up",
        "sum.py:7",
        "1 != 2",
        "is quick",
        "why",
        "exit code 1",
        "slot 1",
    ] {
        assert!(text.contains(part), "no {part} in {text}");
    }
    assert!(!text.contains("Filter"), "filters that do nothing are not offered: {text}");
    browser.size(390, 900);
    picture(&mut browser, &sandbox, "one-390.png");
}
