//! Chromium without a window, operated through the DevTools protocol over a pipe.
//!
//! Owns one browser with one page in it. Keys and clicks are those of a user, not calls into the page's script.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use serde_json::{Value, json};
use tempfile::TempDir;

/// How long an answer may take on a busy machine.
const PATIENCE: Duration = Duration::from_mins(1);

/// A page in a browser of its own.
pub(crate) struct Browser {
    child: Child,
    input: ChildStdin,
    messages: Receiver<Value>,
    session: String,
    number: u64,
    /// What the page logged and what was kept from running, since it was opened.
    complaints: Vec<String>,
    requests: Vec<String>,
    _profile: TempDir,
}

/// Whether there is no browser, and the scripts have said so.
pub(crate) fn is_missing() -> bool {
    let missing = std::env::var("FIXTURES_MISSING").unwrap_or_default();
    missing.split(' ').any(|name| name == "chromium")
}

impl Browser {
    pub(crate) fn start() -> Self {
        let profile = tempfile::Builder::new().prefix("dt-chromium-").tempdir().unwrap();
        // The protocol speaks on descriptors 3 and 4.
        let script = r#"exec 3<&0 4>&1 0</dev/null 1>/dev/null; exec chromium "$@""#;
        let mut child = Command::new("sh")
            .args(["-c", script, "chromium", "--headless", "--remote-debugging-pipe", "--no-sandbox"])
            .args(["--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--disable-breakpad"])
            .args(["--disable-background-networking", "--hide-scrollbars", "--force-color-profile=srgb"])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .arg("about:blank")
            .env("HOME", profile.path())
            .env("TMPDIR", profile.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .unwrap();
        let input = child.stdin.take().unwrap();
        let output = child.stdout.take().unwrap();
        let (sender, messages) = channel();
        std::thread::spawn(move || {
            for message in BufReader::new(output).split(0).map_while(Result::ok) {
                let Ok(value) = serde_json::from_slice(&message) else { continue };
                if sender.send(value).is_err() {
                    break;
                }
            }
        });
        let (complaints, requests) = (Vec::new(), Vec::new());
        let session = String::new();
        let mut browser =
            Self { child, input, messages, session, number: 0, complaints, requests, _profile: profile };
        let target = browser.call("Target.createTarget", &json!({"url": "about:blank"}));
        let attached =
            browser.call("Target.attachToTarget", &json!({"targetId": target["targetId"], "flatten": true}));
        attached["sessionId"].as_str().unwrap().clone_into(&mut browser.session);
        for domain in ["Page", "Runtime", "Log", "Network"] {
            browser.call(&format!("{domain}.enable"), &json!({}));
        }
        browser.size(1280, 900);
        browser
    }

    /// Sends a command and waits for its result.
    #[track_caller]
    pub(crate) fn call(&mut self, method: &str, parameters: &Value) -> Value {
        self.number += 1;
        let mut message = json!({"id": self.number, "method": method, "params": parameters});
        if !self.session.is_empty() {
            message["sessionId"] = self.session.clone().into();
        }
        self.input.write_all(format!("{message}\0").as_bytes()).unwrap();
        self.input.flush().unwrap();
        let until = Instant::now() + PATIENCE;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let message = self.messages.recv_timeout(left).unwrap_or_else(|_| panic!("{method}: no answer"));
            if message["id"] == self.number {
                assert!(message["error"].is_null(), "{method}: {}", message["error"]);
                return message["result"].clone();
            }
            self.note(&message);
        }
    }

    fn note(&mut self, event: &Value) {
        let parameters = &event["params"];
        match event["method"].as_str() {
            Some("Log.entryAdded") => self.complaints.push(parameters["entry"]["text"].to_string()),
            Some("Runtime.exceptionThrown") => {
                self.complaints.push(parameters["exceptionDetails"].to_string());
            }
            Some("Runtime.consoleAPICalled") => self.complaints.push(parameters["args"].to_string()),
            Some("Page.javascriptDialogOpening") => {
                self.complaints.push(format!("dialog: {}", parameters["message"]));
            }
            Some("Network.requestWillBeSent") => {
                self.requests.push(parameters["request"]["url"].as_str().unwrap_or_default().to_owned());
            }
            _ => {}
        }
    }

    /// Opens a file, with what stands behind `#`, and waits until it is there.
    #[track_caller]
    pub(crate) fn open(&mut self, file: &Path, fragment: &str) {
        // Another fragment of the same file would be no navigation.
        self.call("Page.navigate", &json!({"url": "about:blank"}));
        self.complaints.clear();
        self.requests.clear();
        self.visit(&format!("file://{}{fragment}", file.display()));
    }

    /// Goes to an address, and waits until the page is there.
    #[track_caller]
    pub(crate) fn visit(&mut self, url: &str) {
        self.call("Page.navigate", &json!({"url": url}));
        let scheme = url.split_inclusive(':').next().unwrap();
        self.wait(&format!("document.readyState + ' ' + location.protocol === 'complete {scheme}'"));
    }

    /// Waits until an expression in the page is true.
    #[track_caller]
    pub(crate) fn wait(&mut self, expression: &str) {
        let until = Instant::now() + PATIENCE;
        // Between two pages there is nothing to ask.
        while self.attempt(expression) != json!(true) {
            assert!(Instant::now() < until, "it never was so: {expression}: {:?}", self.complaints);
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn attempt(&mut self, expression: &str) -> Value {
        let expression = format!("(() => {{ try {{ return {expression} }} catch {{ return false }} }})()");
        let result = self.call("Runtime.evaluate", &json!({"expression": expression, "returnByValue": true}));
        result["result"]["value"].clone()
    }

    /// The value of an expression in the page.
    #[track_caller]
    pub(crate) fn evaluate(&mut self, expression: &str) -> Value {
        let result = self.call("Runtime.evaluate", &json!({"expression": expression, "returnByValue": true}));
        assert!(result["exceptionDetails"].is_null(), "{expression}: {}", result["exceptionDetails"]);
        result["result"]["value"].clone()
    }

    /// Clicks in the middle of the first element that matches.
    #[track_caller]
    pub(crate) fn click(&mut self, selector: &str) {
        let script = format!(
            "(() => {{ const e = document.querySelector({}); e.scrollIntoView({{block: 'center', behavior: 'instant'}});
               const r = e.getBoundingClientRect(); return [r.x + r.width / 2, r.y + r.height / 2] }})()",
            json!(selector)
        );
        let place = self.evaluate(&script);
        for kind in ["mousePressed", "mouseReleased"] {
            let event =
                json!({"type": kind, "x": place[0], "y": place[1], "button": "left", "clickCount": 1});
            self.call("Input.dispatchMouseEvent", &event);
        }
    }

    /// Presses a key: one character, or a name such as `Enter`.
    pub(crate) fn press(&mut self, key: &str) {
        let mut down = json!({"type": "keyDown", "key": key});
        if key.chars().count() == 1 {
            down["text"] = key.into();
        } else if key == "Enter" {
            down["text"] = "\r".into();
        }
        self.call("Input.dispatchKeyEvent", &down);
        self.call("Input.dispatchKeyEvent", &json!({"type": "keyUp", "key": key}));
    }

    /// Goes on to the next field.
    pub(crate) fn press_tab(&mut self) {
        let mut event =
            json!({"type": "rawKeyDown", "key": "Tab", "code": "Tab", "windowsVirtualKeyCode": 9});
        self.call("Input.dispatchKeyEvent", &event);
        event["type"] = "keyUp".into();
        self.call("Input.dispatchKeyEvent", &event);
    }

    pub(crate) fn write(&mut self, text: &str) {
        for letter in text.chars() {
            self.press(&letter.to_string());
        }
    }

    /// Width and height of the page's view.
    pub(crate) fn size(&mut self, width: u32, height: u32) {
        let metrics =
            json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600});
        self.call("Emulation.setDeviceMetricsOverride", &metrics);
    }

    /// `light` or `dark`.
    pub(crate) fn scheme(&mut self, scheme: &str) {
        let features = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
        self.call("Emulation.setEmulatedMedia", &features);
    }

    /// Switches the page's own scripts off or on, from the next page on.
    pub(crate) fn scripts(&mut self, on: bool) {
        self.call("Emulation.setScriptExecutionDisabled", &json!({"value": !on}));
    }

    /// Writes a picture of what is seen.
    pub(crate) fn screenshot(&mut self, file: &Path) {
        use base64::Engine as _;
        let answer = self.call("Page.captureScreenshot", &json!({"format": "png"}));
        let data = answer["data"].as_str().unwrap();
        let bytes = base64::engine::general_purpose::STANDARD.decode(data).unwrap();
        assert!(bytes.starts_with(b"\x89PNG"), "{} bytes", bytes.len());
        std::fs::write(file, bytes).unwrap();
    }

    /// What the page logged, threw, or was kept from doing.
    pub(crate) fn complaints(&mut self) -> Vec<String> {
        self.evaluate("0");
        std::mem::take(&mut self.complaints)
    }

    /// The addresses that were asked for since the page was opened.
    pub(crate) fn requests(&mut self) -> Vec<String> {
        self.evaluate("0");
        std::mem::take(&mut self.requests)
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let group = Pid::from_raw(i32::try_from(self.child.id()).unwrap());
        let _ = killpg(group, Signal::SIGKILL);
        let _ = self.child.wait();
    }
}
