//! A system for tests of suites: a sandbox with an image of its own, a suite, and what a run of it has told.

use std::cell::RefCell;
use std::fs;
use std::process::Command;

use serde_json::Value;

use crate::support::{BASE, Ran, Sandbox};

/// A suite in a sandbox. The test images that its runs leave are removed with it.
pub(crate) struct System {
    pub(crate) sandbox: Sandbox,
    /// What `IMAGE` stands for in suites: busybox, under a name of the sandbox.
    pub(crate) image: String,
    left: RefCell<Vec<String>>,
}

/// A run and its JSON report.
pub(crate) struct Told {
    pub(crate) ran: Ran,
    pub(crate) report: Value,
}

impl System {
    pub(crate) fn new() -> Self {
        let sandbox = Sandbox::new();
        let image = sandbox.docker_build("app", &format!("FROM {BASE}\nLABEL system=app\n"));
        Self { sandbox, image, left: RefCell::default() }
    }

    /// A system whose suite is this one.
    pub(crate) fn of(suite: &str) -> Self {
        let system = Self::new();
        system.suite(suite);
        system
    }

    /// Writes docker-test.yaml, of which the first line is the version.
    pub(crate) fn suite(&self, text: &str) {
        self.suite_at("docker-test.yaml", text);
    }

    pub(crate) fn suite_at(&self, path: &str, text: &str) {
        let text =
            text.replace("IMAGE", &self.image).replace("HERE", &self.sandbox.path().display().to_string());
        self.sandbox.write(path, &format!("version: 1\n{text}"));
    }

    /// Runs several tests and demands an exit code.
    #[track_caller]
    pub(crate) fn run(&self, code: i32, arguments: &[&str]) -> Told {
        let told = self.try_run(arguments);
        told.ran.assert_code(code);
        told
    }

    /// Runs several tests.
    pub(crate) fn try_run(&self, arguments: &[&str]) -> Told {
        let path = self.sandbox.path().join("report.json");
        let _ = fs::remove_file(&path);
        // Before the command of the tests, where there is one.
        let mut all = vec!["run", "--report", "json=report.json"];
        all.extend(arguments);
        let ran = self.sandbox.run(&all);
        let report: Value =
            fs::read(&path).map_or(Value::Null, |bytes| serde_json::from_slice(&bytes).unwrap());
        let tests = report["tests"].as_array().into_iter().flatten();
        let images = tests.filter_map(|test| test["test_image"].as_str());
        self.left.borrow_mut().extend(images.filter(|image| image.contains("built/")).map(str::to_owned));
        Told { ran, report }
    }
}

impl Drop for System {
    fn drop(&mut self) {
        for image in self.left.borrow().iter() {
            let _ = Command::new("docker").args(["rmi", "-f", image]).output();
        }
    }
}

impl Told {
    /// The result of a test.
    #[track_caller]
    pub(crate) fn test(&self, name: &str) -> &Value {
        let tests = self.report["tests"].as_array().into_iter().flatten();
        let found = tests.into_iter().find(|test| test["name"] == name);
        found.unwrap_or_else(|| panic!("no test {name} in {:?}\n{}", self.names(), self.ran.stderr))
    }

    /// The names of the tests, in the order of the report.
    pub(crate) fn names(&self) -> Vec<String> {
        let tests = self.report["tests"].as_array().into_iter().flatten();
        tests.map(|test| test["name"].as_str().unwrap().to_owned()).collect()
    }

    #[track_caller]
    pub(crate) fn outcome(&self, name: &str) -> &str {
        self.test(name)["outcome"].as_str().unwrap()
    }

    /// Demands the outcomes of tests.
    #[track_caller]
    pub(crate) fn assert_outcomes(&self, expected: &[(&str, &str)]) {
        let outcomes: Vec<(&str, &str)> =
            expected.iter().map(|(name, _)| (*name, self.outcome(name))).collect();
        assert_eq!(outcomes, expected, "{}\n{:#}", self.ran.stderr, self.report["tests"]);
        assert_eq!(self.names().len(), expected.len(), "{:?}", self.names());
    }

    /// What the last attempt of a test printed, as far as reports keep it.
    #[track_caller]
    pub(crate) fn output(&self, name: &str) -> &str {
        let attempts = self.test(name)["attempts"].as_array().unwrap();
        attempts.last().unwrap_or_else(|| panic!("{name} was not run: {}", self.test(name)))["log_tail"]
            .as_str()
            .unwrap()
    }

    /// When the last attempt of a test began and ended, in seconds from the start of the run.
    #[track_caller]
    pub(crate) fn time(&self, name: &str) -> (f64, f64) {
        let attempt = self.test(name)["attempts"].as_array().unwrap().last().unwrap();
        let (from, seconds) =
            (attempt["offset_seconds"].as_f64().unwrap(), attempt["seconds"].as_f64().unwrap());
        (from, from + seconds)
    }
}
