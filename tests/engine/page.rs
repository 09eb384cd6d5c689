//! The HTML report in a browser: what hostile output can do to it, its filters, its keys, and how it looks.

use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::browser::{self, Browser};
use crate::live::{plain, script};
use crate::support::Sandbox;

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
fn picture(browser: &mut Browser, sandbox: &Sandbox, name: &str) {
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
