//! `docker-test outbox show N`: one notice in readable form, and why it was not taken.

use std::fmt::Write as _;

use serde::Serialize;
use serde_json::Value;

use super::list::{Entry, kind};
use super::{Desk, Format, OutboxError, ShowArgs, find, moment, why_outdated};
use crate::error::Failure;
use crate::report::text::{name, printable_lines};

/// Columns of the words before what is said.
const LABEL: usize = 10;

#[derive(Serialize)]
struct Shown<'a> {
    #[serde(flatten)]
    entry: Entry<'a>,
    refused: bool,
    notice: Value,
}

pub(super) async fn execute(args: &ShowArgs, desk: &Desk) -> Result<(), Failure> {
    let found = match desk.open()? {
        Some(store) => find(&store, args.number).await?,
        None => None,
    };
    let Some((entry, refused)) = found else { return Err(OutboxError::Unknown(args.number).into()) };
    let notice: Value =
        serde_json::from_str(&entry.notice).unwrap_or_else(|_| Value::from(entry.notice.as_str()));
    if args.format == Format::Json {
        let shown = Shown { entry: Entry::of(&entry), refused, notice };
        return desk.say(&format!("{}\n", serde_json::json!(shown)));
    }
    let mut text = String::new();
    let mut add = |label: &str, value: &str| {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{label:LABEL$}{value}");
    };
    add("number", &entry.seq.to_string());
    add("sink", &name(&entry.sink));
    add("kind", kind(entry.effect));
    add("key", &name(&entry.key));
    add("stored", &format!("{} UTC", moment(entry.stored_at)));
    add("expires", &format!("{} UTC", moment(entry.expires_at)));
    add("tried", &entry.attempts.to_string());
    let state = if refused { "refused" } else { "waiting" };
    if entry.outdated {
        add("state", &format!("{state}, and not to be sent again: {}", why_outdated(entry.effect)));
    } else {
        add("state", state);
    }
    if let Some(reason) = &entry.reason {
        add("reason", &name(reason));
    }
    text.push('\n');
    for line in printable_lines(&serde_json::to_string_pretty(&notice).unwrap_or_default()) {
        text.push_str(&line);
        text.push('\n');
    }
    desk.say(&text)
}
