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

/// `test.name`
pub const NAME: &str = "test.name";
/// `test.host`
pub const HOST: &str = "test.host";
/// `test.tags`
pub const TAGS: &str = "test.tags";
/// `test.schedule.zone`
pub const SCHEDULE_ZONE: &str = "test.schedule.zone";
/// `test.on`
pub const ON: &str = "test.on";
/// `test.overlap`
pub const OVERLAP: &str = "test.overlap";
/// `test.missed`
pub const MISSED: &str = "test.missed";
/// `test.splay`
pub const SPLAY: &str = "test.splay";
/// `test.while_failing`
pub const WHILE_FAILING: &str = "test.while_failing";

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
pub const TEST_LABELS: [LabelDoc; 19] = [
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
    LabelDoc {
        name: SCHEDULE,
        default: "none",
        description: "When it is tested as a probe: a repeating interval of ISO 8601 such as R//PT1H, or five fields of cron.",
    },
    LabelDoc { name: SCHEDULE_ZONE, default: "UTC", description: "The time zone of the schedule." },
    LabelDoc {
        name: ON,
        default: "none",
        description: "What it is tested upon as a probe: container-start, image-tag, deploy, or deploy=shop-* for some names; \
                      separated by commas.",
    },
    LabelDoc {
        name: OVERLAP,
        default: "skip",
        description: "What happens where the probe is due while it runs: skip, queue or replace.",
    },
    LabelDoc {
        name: MISSED,
        default: "once",
        description: "What becomes of slots that were missed: skip, once, all or all:N.",
    },
    LabelDoc {
        name: SPLAY,
        default: "the interval, 1m at most",
        description: "Runs of the probe are spread over this time after their slot.",
    },
    LabelDoc {
        name: WHILE_FAILING,
        default: "none",
        description: "After a run of the probe that failed, the next begins this long after it began.",
    },
    LabelDoc {
        name: NAME,
        default: "made of the image's or container's",
        description: "The name of the probe, by which metrics and alerts know it.",
    },
    LabelDoc {
        name: HOST,
        default: "the variable HOST, or the engine's host",
        description: "What the probe tests: a tag of its metrics.",
    },
    LabelDoc {
        name: TAGS,
        default: "none",
        description: "Further tags of the probe's metrics, separated by commas.",
    },
    LabelDoc { name: NETWORK, default: "none", description: "The network that the test container joins." },
    LabelDoc {
        name: NEEDS,
        default: "none",
        description: "Services that have to be there before the test starts, separated by commas.",
    },
];
