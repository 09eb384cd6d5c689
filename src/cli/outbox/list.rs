//! `docker-test outbox` and `outbox list`: how much waits for each sink, and which notices these are.

use serde::Serialize;

use super::super::table::{self, number, text};
use super::{ALL, Desk, Format, ListArgs, moment, why_outdated};
use crate::error::Failure;
use crate::history::outbox::{Backlog, Effect, Listed, Loss};
use crate::report::text::{printable, truncate};
use crate::report::wording::bytes;

/// A reason in fewer columns than this says nothing.
const LEAST_REASON: usize = 16;

/// An entry, as `--format json` shows it.
#[derive(Serialize)]
pub(super) struct Entry<'a> {
    number: i64,
    sink: &'a str,
    key: &'a str,
    kind: &'static str,
    stored_at: i64,
    expires_at: i64,
    due_at: i64,
    attempts: u32,
    sending: bool,
    reason: Option<&'a str>,
    outdated: bool,
}

impl<'a> Entry<'a> {
    pub(super) fn of(entry: &'a Listed) -> Self {
        Self {
            number: entry.seq,
            sink: &entry.sink,
            key: &entry.key,
            kind: kind(entry.effect),
            stored_at: entry.stored_at.div_euclid(1000),
            expires_at: entry.expires_at.div_euclid(1000),
            due_at: entry.due_at.div_euclid(1000),
            attempts: entry.attempts,
            sending: entry.claimed,
            reason: entry.reason.as_deref(),
            outdated: entry.outdated,
        }
    }
}

/// What waits for a sink, as `--format json` shows it.
#[derive(Serialize)]
struct Waits<'a> {
    sink: &'a str,
    waiting: u64,
    bytes: u64,
    refused: u64,
    oldest: Option<i64>,
    lost: Vec<Lost<'a>>,
}

#[derive(Serialize)]
struct Lost<'a> {
    cause: &'a str,
    alerts: bool,
    entries: u64,
}

impl<'a> Waits<'a> {
    fn of(sink: &'a Backlog) -> Self {
        let lost = |loss: &'a Loss| Lost { cause: &loss.cause, alerts: loss.alerts, entries: loss.entries };
        Self {
            sink: &sink.sink,
            waiting: sink.waiting,
            bytes: sink.bytes,
            refused: sink.dead,
            oldest: sink.oldest.map(|at| at.div_euclid(1000)),
            lost: sink.losses.iter().map(lost).collect(),
        }
    }
}

pub(super) const fn kind(effect: Option<Effect>) -> &'static str {
    match effect {
        Some(Effect::Trigger) => "trigger",
        Some(Effect::Resolve) => "resolve",
        None => "metric",
    }
}

/// What waits and what was lost, by sink.
pub(super) async fn backlog(format: Format, desk: &Desk) -> Result<(), Failure> {
    let sinks = match desk.open()? {
        Some(store) => store.backlog().await?,
        None => Vec::new(),
    };
    match format {
        Format::Json => desk.say_all(&sinks.iter().map(Waits::of).collect::<Vec<_>>()),
        Format::Text if sinks.is_empty() => desk.say("nothing waits, and nothing was refused\n"),
        Format::Text => desk.say(&render(&sinks, desk.width())),
    }
}

fn render(sinks: &[Backlog], width: usize) -> String {
    let columns = [
        text("SINK"),
        number("WAITING"),
        number("SIZE"),
        text("OLDEST (UTC)"),
        number("REFUSED"),
        text("LOST"),
    ];
    let oldest = |sink: &Backlog| sink.oldest.map(moment).unwrap_or_default();
    let rows: Vec<Vec<String>> = sinks
        .iter()
        .map(|sink| {
            vec![
                printable(&sink.sink).into_owned(),
                sink.waiting.to_string(),
                bytes(sink.bytes),
                oldest(sink),
                sink.dead.to_string(),
                losses(sink),
            ]
        })
        .collect();
    table::render(&columns, &rows, width).unwrap_or_else(|_| {
        let block = |sink: &Backlog| {
            let waiting = format!("{} waiting, {} refused", sink.waiting, sink.dead);
            let below = [waiting, oldest(sink), losses(sink)];
            table::block(&printable(&sink.sink), &below, width)
        };
        sinks.iter().map(block).collect()
    })
}

/// `3 alerts refused, 12 metrics expired`.
fn losses(sink: &Backlog) -> String {
    let lost = sink.losses.iter().map(|loss| {
        let what = if loss.alerts { "alerts" } else { "metrics" };
        format!("{} {what} {}", loss.entries, loss.cause)
    });
    lost.collect::<Vec<_>>().join(", ")
}

pub(super) async fn execute(args: &ListArgs, desk: &Desk) -> Result<(), Failure> {
    let entries = match desk.open()? {
        Some(store) => store.list(args.sink.clone(), args.dead, ALL).await?,
        None => Vec::new(),
    };
    match args.format {
        Format::Json => desk.say_all(&entries.iter().map(Entry::of).collect::<Vec<_>>()),
        Format::Text if entries.is_empty() => {
            desk.say(if args.dead { "nothing was refused\n" } else { "nothing waits\n" })
        }
        Format::Text => desk.say(&lines(&entries, desk.width())),
    }
}

/// Why an entry was not taken, after what keeps it from being sent again.
fn reason(entry: &Listed) -> String {
    let reason = printable(entry.reason.as_deref().unwrap_or_default());
    if entry.outdated { format!("{}; {reason}", why_outdated(entry.effect)) } else { reason.into_owned() }
}

fn lines(entries: &[Listed], width: usize) -> String {
    let columns =
        [number("N"), text("SINK"), text("KIND"), text("STORED (UTC)"), number("TRIED"), text("REASON")];
    let rows = |room: usize| -> Vec<Vec<String>> {
        let row = |entry: &Listed| {
            let reason = reason(entry);
            vec![
                entry.seq.to_string(),
                printable(&entry.sink).into_owned(),
                kind(entry.effect).to_owned(),
                moment(entry.stored_at),
                entry.attempts.to_string(),
                truncate(&reason, room).into_owned(),
            ]
        };
        entries.iter().map(row).collect()
    };
    table::render(&columns, &rows(width), width)
        .or_else(|excess| {
            let room = width.saturating_sub(excess).max(LEAST_REASON);
            table::render(&columns, &rows(room), width)
        })
        .unwrap_or_else(|_| {
            let block = |entry: &Listed| {
                let below = [
                    format!("{} {}", entry.sink, kind(entry.effect)),
                    moment(entry.stored_at),
                    reason(entry),
                ];
                table::block(&entry.seq.to_string(), &below, width)
            };
            entries.iter().map(block).collect()
        })
}
