//! `docker-test outbox`: what waits for its sink, what a sink refused for good, and what is to become of that.
//!
//! Owns the flags and the words. The order, the sending and the dead letters are [`crate::notify::outbox`]'s. Needs no
//! engine; sinks are asked for by `send` alone.

mod list;
mod send;
mod show;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};
use serde::Serialize;
use time::{OffsetDateTime, UtcOffset};

use super::application::Running;
use super::flags::output::Format;
use super::{secrets, terminal};
use crate::error::{Category, Diagnose, Failure};
use crate::exit_code::ExitCode;
use crate::history::outbox::{Effect, Limits, Listed, Store, Which};
use crate::metadata::duration;
use crate::notify::outbox;
use crate::plan::build::BuildSpec;
use crate::redact::Redactor;
use crate::report::wording::count;

/// More than an outbox holds.
const ALL: usize = usize::MAX;

/// Arguments of `outbox`.
#[derive(Debug, Args)]
pub(super) struct OutboxArgs {
    #[command(subcommand)]
    command: Option<OutboxCommand>,
    /// Where the outbox is: the state directory of the harness
    #[arg(long, value_name = "DIR", global = true)]
    state_dir: Option<PathBuf>,
    /// Format of what is listed.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

#[derive(Debug, Subcommand)]
enum OutboxCommand {
    /// List the notices that wait, or those that a sink refused for good.
    List(ListArgs),
    /// Show one notice, and why it was not taken.
    Show(ShowArgs),
    /// Let refused notices be sent again.
    Retry(WhichArgs),
    /// Delete refused notices.
    Delete(WhichArgs),
    /// Send what waits now, to the sinks of docker-test.yaml, else of the variables.
    Send(SendArgs),
}

/// Flags of `outbox list`.
#[derive(Debug, Args)]
struct ListArgs {
    /// Only those of this sink
    #[arg(long = "sink", id = "outbox-sink", value_name = "SINK")]
    sink: Option<String>,
    /// Those that were refused for good
    #[arg(long = "dead", id = "outbox-dead")]
    dead: bool,
    /// Format of the list.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// Arguments of `outbox show`.
#[derive(Debug, Args)]
struct ShowArgs {
    /// The number that the list shows
    #[arg(value_name = "N")]
    number: i64,
    /// Format of what is shown.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// Which refused notices.
#[derive(Debug, Args)]
struct WhichArgs {
    /// The number that the list shows
    #[arg(value_name = "N", required_unless_present = "outbox-all", conflicts_with = "outbox-all")]
    number: Option<i64>,
    /// All that were refused
    #[arg(long = "all", id = "outbox-all")]
    all: bool,
    /// Only those of this sink
    #[arg(long = "sink", id = "outbox-sink", value_name = "SINK", requires = "outbox-all")]
    sink: Option<String>,
}

impl WhichArgs {
    fn which(&self) -> Which {
        self.number.map_or_else(|| Which::All { sink: self.sink.clone() }, Which::One)
    }
}

/// Flags of `outbox send`.
#[derive(Debug, Args)]
struct SendArgs {
    /// How long it may take
    #[arg(long = "timeout", id = "send-timeout", value_name = "DURATION", value_parser = duration::parse,
          default_value = "1m")]
    timeout: Duration,
}

/// The outbox has not what was asked for.
#[derive(Debug, thiserror::Error)]
enum OutboxError {
    #[error("there is no notice {0} in the outbox")]
    Unknown(i64),
    #[error("notice {0} was not refused: there is nothing to {1}")]
    NotRefused(i64, &'static str),
    #[error("notice {0} is not sent again: {1}")]
    Outdated(i64, &'static str),
    #[error("no sink is switched on: there is nobody to send to")]
    NoSink,
}

impl Diagnose for OutboxError {
    fn category(&self) -> Category {
        Category::User
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Unknown(_) => {
                "`docker-test outbox list` and `outbox list --dead` show the numbers".to_owned()
            }
            Self::NotRefused(..) => "it is sent as soon as its sink takes it".to_owned(),
            Self::Outdated(number, _) => format!("`docker-test outbox delete {number}` removes it"),
            Self::NoSink => {
                "set the variables that the harness has: DD_API_KEY, PAGERDUTY_ROUTING_KEY, …; or add `notify` to \
                 docker-test.yaml"
                    .to_owned()
            }
        })
    }
}

/// What each of the commands is given.
struct Desk {
    app: Running,
    state: PathBuf,
    redactor: Redactor,
}

impl Desk {
    fn open(&self) -> Result<Option<Store>, Failure> {
        Ok(outbox::open_existing(&self.state, Limits::default())?)
    }

    fn width(&self) -> usize {
        terminal::columns(&self.app.environment)
    }

    fn say(&self, text: &str) -> Result<(), Failure> {
        Ok(terminal::out(&self.redactor.redact(text))?)
    }

    /// An array, one entry a line.
    fn say_all(&self, entries: &[impl Serialize]) -> Result<(), Failure> {
        let lines: Vec<String> =
            entries.iter().map(|entry| format!("\n  {}", serde_json::json!(entry))).collect();
        let end = if lines.is_empty() { "" } else { "\n" };
        self.say(&format!("[{}{end}]\n", lines.join(",")))
    }
}

pub(super) async fn execute(args: OutboxArgs, app: Running) -> Result<ExitCode, Failure> {
    let state = match &args.state_dir {
        Some(directory) => app.environment.current_dir().join(directory),
        None => app.state_dir()?,
    };
    let redactor = secrets::redactor(&app.environment, &[], &[], &BuildSpec::default());
    let desk = Desk { app, state, redactor };
    match args.command {
        None => list::backlog(args.format, &desk).await?,
        Some(OutboxCommand::List(args)) => list::execute(&args, &desk).await?,
        Some(OutboxCommand::Show(args)) => show::execute(&args, &desk).await?,
        Some(OutboxCommand::Retry(args)) => change(&args, &desk, "send again").await?,
        Some(OutboxCommand::Delete(args)) => change(&args, &desk, "delete").await?,
        Some(OutboxCommand::Send(args)) => return send::execute(&args, &desk).await,
    }
    Ok(ExitCode::Success)
}

/// Brings dead letters back, or deletes them.
async fn change(args: &WhichArgs, desk: &Desk, what: &'static str) -> Result<(), Failure> {
    let store = desk.open()?;
    let (changed, left) = match &store {
        None => (0, 0),
        Some(store) if what == "delete" => (store.delete(args.which()).await?, 0),
        Some(store) => {
            let revived = store.revive(args.which(), now()).await?;
            (revived.entries, revived.outdated)
        }
    };
    if let (0, Some(number)) = (changed, args.number) {
        let found = match &store {
            Some(store) => find(store, number).await?,
            None => None,
        };
        return Err(match found {
            Some((_, false)) => OutboxError::NotRefused(number, what),
            Some((entry, true)) => OutboxError::Outdated(number, why_outdated(entry.effect)),
            None => OutboxError::Unknown(number),
        }
        .into());
    }
    let number = |entries: usize| count(u64::try_from(entries).unwrap_or(u64::MAX), "notice");
    let done = if what == "delete" { "deleted" } else { "to be sent again" };
    desk.say(&format!("{} {done}\n", number(changed)))?;
    if left > 0 {
        desk.say(&format!(
            "{} not sent again: a later alert of the same incident says otherwise (`outbox list --dead` shows which)\n",
            number(left)
        ))?;
    }
    Ok(())
}

/// Why a dead letter is not sent again.
const fn why_outdated(effect: Option<Effect>) -> &'static str {
    match effect {
        Some(Effect::Resolve) => "its incident was opened again since",
        _ => "its incident has ended since",
    }
}

/// The entry of a number, and whether it is a dead letter.
async fn find(store: &Store, number: i64) -> Result<Option<(Listed, bool)>, Failure> {
    for dead in [false, true] {
        let found = store.list(None, dead, ALL).await?.into_iter().find(|entry| entry.seq == number);
        if let Some(entry) = found {
            return Ok(Some((entry, dead)));
        }
    }
    Ok(None)
}

fn now() -> i64 {
    crate::harness::now().saturating_mul(1000)
}

/// Date, hour and minute in UTC of Unix milliseconds.
fn moment(milliseconds: i64) -> String {
    let Ok(at) = OffsetDateTime::from_unix_timestamp(milliseconds.div_euclid(1000)) else {
        return milliseconds.to_string();
    };
    let at = at.to_offset(UtcOffset::UTC);
    format!("{} {:02}:{:02}", at.date(), at.hour(), at.minute())
}
