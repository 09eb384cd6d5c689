//! Tests against a real engine. Each makes what it needs, under names of its own, and removes it.
//!
//! They need `docker-test-base/busybox:1` on the engine; `./scripts/test` sees to that. Where no engine answers they
//! fail: a suite that skips itself proves nothing.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, with the place")]

mod browser;
mod fixture;
mod stage;
mod suite_system;
mod suite_watch;
mod support;

mod build_command;
mod build_flags;
mod compose;
mod context;
mod crash;
mod deployed;
mod doctor;
mod examples;
mod harness;
mod hidden;
mod inspect;
mod ledger_many;
mod lifecycle;
mod live;
mod networks;
mod output;
mod ownership;
mod page;
mod plugin;
mod podman;
mod probe_example;
mod prune;
mod rebuild;
mod registry;
mod remote;
mod reports;
mod results;
mod run_flags;
mod services;
mod shell;
mod signals;
mod smoke;
mod sources;
mod status;
mod streams;
mod suite_attempts;
mod suite_cache;
mod suite_compose;
mod suite_containers;
mod suite_crash;
mod suite_dependencies;
mod suite_events;
mod suite_history;
mod suite_isolation;
mod suite_keys;
mod suite_limits;
mod suite_networks;
mod suite_policy;
mod suite_secrets;
mod suite_selection;
mod suite_services;
mod suite_signals;
mod suite_sources;
mod traps;
mod uploads;
mod verdict;
mod watch;
mod watch_events;
