//! The status page of a daemon at work, in a browser: what it shows, what it does, its keys, and how it looks.

use std::process::Stdio;

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::browser::{self, Browser};
use crate::live::{Live, eventually};
use crate::page::picture;
use crate::support::Sandbox;

const TOKEN: &str = "a-token-of-some-length";
/// What a check may print to take over the page.
const HOSTILE: &str = "</pre><img src=x onerror=\"window.owned = 1\"><script>window.owned = 2</script>";

/// Of every state one, and one that waits to be run.
const PROBES: &str = r#"
version: 1
probes:
  disk: { command: "true", schedule: R//PT2S, host: db }
  shop/checkout:
    command: "echo \"$HOSTILE\"; exit 1"
    schedule: R//PT2S
    host: staging
    tags: [team:shop]
    attempts: 1
  shop.cart: { command: "test -e again || { touch again; exit 1; }; rm again", schedule: R//PT2S, host: staging, backoff: 0s }
  nightly: { command: "touch ran", schedule: "0 3 1 1 *", host: db }
alert:
  silences:
    - { probes: nightly, recurring: { schedule: "0 0 * * *", for: 23h }, reason: backup window }
"#;

/// A daemon with its page.
struct Scene {
    sandbox: Sandbox,
    daemon: Option<Live>,
    url: String,
}

impl Scene {
    fn new() -> Self {
        let mut sandbox = Sandbox::new();
        sandbox.write("docker-test.yaml", PROBES);
        sandbox.write("token", TOKEN);
        // A vendor that nobody is at home at: something waits in the outbox.
        sandbox
            .set("HOSTILE", HOSTILE)
            .set("PAGERDUTY_ROUTING_KEY", "0123456789abcdef0123456789abcdef")
            .set("PAGERDUTY_URL", "http://127.0.0.1:1");
        let mut scene = Self { sandbox, daemon: None, url: String::new() };
        scene.begin("127.0.0.1:0");
        scene
    }

    fn begin(&mut self, address: &str) {
        let words = ["watch", "--no-labels", "--verbose", "--token-file", "token", "--listen", address];
        let mut command = self.sandbox.command(&words);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let daemon = Live::start(command);
        self.url = eventually("address of the page", || {
            let said = daemon.stderr();
            Some(said.split("the status page is at ").nth(1)?.lines().next()?.to_owned())
        });
        daemon.says("shop/checkout failed");
        self.daemon = Some(daemon);
    }

    fn end(&mut self) {
        let daemon = self.daemon.take().unwrap();
        daemon.signal(Signal::SIGTERM);
        daemon.finish();
    }
}

fn sign_in(browser: &mut Browser) {
    browser.click("a[href^='/sign-in']");
    browser.wait("document.activeElement.name === 'token'");
    browser.write(TOKEN);
    browser.press("Enter");
    browser.wait("document.querySelector('form[action=\"/sign-out\"]') !== null");
}

fn text(browser: &mut Browser, selector: &str) -> String {
    let text = browser.evaluate(&format!("document.querySelector({}).textContent", json!(selector)));
    text.as_str().unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A scene with its page in a browser, where there is one.
fn opened() -> Option<(Scene, Browser)> {
    if browser::is_missing() {
        return None;
    }
    let scene = Scene::new();
    let mut browser = Browser::start();
    browser.visit(&scene.url);
    Some((scene, browser))
}

#[test]
fn the_page_shows_what_is_up_and_what_is_not_and_keeps_itself_true() {
    let Some((mut scene, mut browser)) = opened() else { return };
    browser.wait("document.querySelectorAll('.probe').length === 4");
    let names = "Array.from(document.querySelectorAll('.probe .name'), e => e.textContent)";
    browser.wait(&format!(
        "JSON.stringify({names}) === '[\"shop/checkout\",\"shop.cart\",\"nightly\",\"disk\"]'"
    ));
    assert_eq!(text(&mut browser, "h1"), "1 of 4 down");
    assert!(text(&mut browser, ".probe.bad").contains("incident"));
    assert!(text(&mut browser, "#silences").contains("backup window"));
    // It asks again by itself.
    let bars = "document.querySelector('.probe.bad .history').getAttribute('aria-label')";
    let before = browser.evaluate(bars);
    browser.wait(&format!("{bars} !== {before}"));
    browser.wait("document.querySelector('#outbox').textContent.includes('pagerduty')");

    browser.click(".probe.bad .name");
    browser.wait("document.querySelector('#failure h2') !== null");
    assert!(text(&mut browser, "h1").ends_with("shop/checkout"));
    let output = browser.evaluate("document.querySelector('#failure pre').textContent");
    assert_eq!(output.as_str().unwrap().trim(), HOSTILE);
    assert_eq!(browser.evaluate("window.owned"), Value::Null);
    assert_eq!(browser.evaluate("document.querySelectorAll('img').length"), 0);
    // What somebody has unfolded stays so, though the page changes under it.
    browser.click(".run summary");
    let opened = browser.evaluate("document.querySelector('.run[open]').dataset.key");
    let runs = "document.querySelectorAll('.run')[0].dataset.key";
    browser.wait(&format!(
        "{runs} !== {opened} && document.querySelector('.run[open]').dataset.key === {opened}"
    ));
    assert_eq!(browser.evaluate("document.activeElement.parentElement.dataset.key"), opened);

    scene.end();
    browser.wait("document.querySelector('#updated').textContent.includes('the daemon does not answer')");
    let elsewhere =
        browser.requests().into_iter().filter(|url| !url.starts_with(&scene.url) && url != "data:,");
    assert_eq!(elsewhere.collect::<Vec<_>>(), [""; 0]);
    let complaints = browser.complaints().into_iter().filter(|text| !text.contains("ERR_CONNECTION_REFUSED"));
    assert_eq!(complaints.collect::<Vec<_>>(), [""; 0]);
}

#[test]
fn a_probe_is_run_and_silenced_by_mouse_and_by_keys_and_the_silence_lasts() {
    let Some((mut scene, mut browser)) = opened() else { return };
    browser.wait("document.querySelectorAll('.probe').length === 4");
    assert_eq!(browser.evaluate("document.querySelectorAll('button').length"), 1, "nothing but the search");
    sign_in(&mut browser);

    browser.click("form[action='/probes/nightly/run'] button");
    let ran = scene.sandbox.path().join("ran");
    eventually("run of the probe", || ran.exists().then_some(()));
    browser.wait(
        "Array.from(document.querySelectorAll('.probe')).some(e => e.textContent.includes('nightly') && e.classList.contains('good'))",
    );

    // By keys alone: the field, and the button after it.
    browser.evaluate("document.querySelector('[name=probes]').focus()");
    browser.write("shop*");
    browser.press_tab();
    browser.press_tab();
    browser.write("moving house");
    browser.press("Enter");
    browser.wait("document.querySelector('#silences').textContent.includes('moving house')");
    browser.wait("document.querySelector('.probe.bad').textContent.includes('silenced, ends in 59 min')");
    let said = scene.daemon.as_ref().unwrap().stderr();
    assert!(said.contains("asked to silence shop* until") && !said.contains(TOKEN), "{said}");

    // It lasts; who was signed in does not.
    let address = scene.url.trim_start_matches("http://").trim_end_matches('/').to_owned();
    scene.end();
    scene.begin(&address);
    browser.visit(&scene.url);
    browser.wait("document.querySelector('#silences').textContent.includes('moving house')");
    sign_in(&mut browser);
    browser.click("form[action^='/silences/'] button");
    browser.wait("!document.querySelector('#silences').textContent.includes('moving house')");
    browser.click("form[action='/sign-out'] button");
    browser.wait("document.querySelector('a[href^=\"/sign-in\"]') !== null");
    scene.end();
}

#[test]
fn the_page_fits_a_telephone_and_a_wide_screen_in_both_schemes_also_without_scripts() {
    let Some((scene, mut browser)) = opened() else { return };
    sign_in(&mut browser);
    browser.scripts(false);
    for (width, scheme) in [(1280, "light"), (1280, "dark"), (820, "light"), (390, "light"), (360, "dark")] {
        browser.size(width, 1100);
        browser.scheme(scheme);
        for (name, path) in [("overview", ""), ("probe", "probes/shop%2Fcheckout"), ("sign-in", "sign-in")] {
            browser.visit(&format!("{}{path}", scene.url));
            let overflow = browser
                .evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth");
            assert_eq!(overflow, 0, "{name} at {width}");
            let ground = browser.evaluate("getComputedStyle(document.body).backgroundColor");
            assert_eq!(ground, if scheme == "dark" { "rgb(17, 20, 26)" } else { "rgb(244, 245, 247)" });
            picture(&mut browser, &scene.sandbox, &format!("status-{name}-{width}-{scheme}.png"));
        }
    }
}
