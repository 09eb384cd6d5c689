//! The labels that docker-test reads, by name, default and meaning.
//!
//! Owns the table that the documentation prints. Reading and checking is done in [`super`].

use super::{DEFAULT_RESULTS, DEFAULT_TYPE};

/// `test.type`
pub const TYPE: &str = "test.type";
/// `test.results`
pub const RESULTS: &str = "test.results";
/// `test.ontest`
pub const ONTEST: &str = "test.ontest";
/// `test.ontest.origin`
pub const ORIGIN: &str = "test.ontest.origin";
/// `test.cmd`
pub const CMD: &str = "test.cmd";
/// `test.timeout`
pub const TIMEOUT: &str = "test.timeout";
/// `test.retries`
pub const RETRIES: &str = "test.retries";
/// `test.schedule`
pub const SCHEDULE: &str = "test.schedule";
/// `test.network`
pub const NETWORK: &str = "test.network";
/// `test.needs`
pub const NEEDS: &str = "test.needs";

/// A label for the documentation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LabelDoc {
    /// Its name.
    pub name: &'static str,
    /// What applies where it is absent.
    pub default: &'static str,
    /// What it says.
    pub description: &'static str,
}

/// Every label that docker-test reads from an image.
pub const TEST_LABELS: [LabelDoc; 10] = [
    LabelDoc {
        name: TYPE,
        default: DEFAULT_TYPE,
        description: "Kind of test: integration, performance, security, chaos or any text. Its presence makes the \
                      image an Integration Test Container.",
    },
    LabelDoc {
        name: RESULTS,
        default: DEFAULT_RESULTS,
        description: "Absolute path of the directory in which the test leaves its results.",
    },
    LabelDoc {
        name: ONTEST,
        default: "none",
        description: "The recipe: a JSON array with one string an instruction, as written after the word ONTEST. Set by \
                      docker-test build. An empty value, or an empty array, means no recipe.",
    },
    LabelDoc {
        name: ORIGIN,
        default: "none",
        description: "Where the recipe comes from: a JSON object with owner, base, Dockerfile, line numbers and the \
                      recipe of the base image. Set by docker-test build.",
    },
    LabelDoc {
        name: CMD,
        default: "none",
        description: "The command that tests the image as it is: a JSON array (exec form) or text (shell form).",
    },
    LabelDoc {
        name: TIMEOUT,
        default: "1h",
        description: "How long the test may run: 90s, 5m, 1h30m, 500ms, or a number of seconds.",
    },
    LabelDoc {
        name: RETRIES,
        default: "0",
        description: "How many times a failing test is run again: 0 to 100.",
    },
    LabelDoc { name: SCHEDULE, default: "none", description: "When the image is tested as a probe." },
    LabelDoc { name: NETWORK, default: "none", description: "The network that the test container joins." },
    LabelDoc {
        name: NEEDS,
        default: "none",
        description: "Services that have to be there before the test starts, separated by commas.",
    },
];
