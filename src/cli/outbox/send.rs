//! `docker-test outbox send`: sends what waits now, from cron or by hand.

use std::sync::Arc;

use super::super::watch::configured;
use super::{Desk, OutboxError, SendArgs, now};
use crate::error::Failure;
use crate::exit_code::ExitCode;
use crate::notify::outbox::{Courier, Event, Listener, Settings};

pub(super) async fn execute(args: &SendArgs, desk: &Desk) -> Result<ExitCode, Failure> {
    // The same that a daemon in this directory would tell.
    let sinks = configured::read(None, &[], true, &[], &desk.app)?.sinks;
    if sinks.is_empty() {
        return Err(OutboxError::NoSink.into());
    }
    let Some(store) = desk.open()? else {
        desk.say("nothing waits\n")?;
        return Ok(ExitCode::Success);
    };
    let sender = configured::sender(&desk.app)?;
    // What was refused is counted below, and is there to be listed.
    let listener: Listener = Arc::new(|_: Event| {});
    let courier = Courier::new(store, sinks, sender, Arc::new(now), listener, Settings::default());
    let mut left = false;
    for flushed in courier.flush(args.timeout).await {
        left |= flushed.waiting > 0;
        let why = flushed.reason.map(|reason| format!(" ({reason})")).unwrap_or_default();
        let (arrived, refused, waiting) = (flushed.arrived, flushed.refused, flushed.waiting);
        desk.say(&format!(
            "{}: {arrived} sent, {refused} refused, {waiting} still waiting{why}\n",
            flushed.sink
        ))?;
    }
    Ok(if left { ExitCode::Error } else { ExitCode::Success })
}
