//! `docker-test watch --dry-run`: what is watched, and when each probe runs next.

use jiff::Timestamp;
use tokio::sync::mpsc;

use super::super::application::Running;
use super::super::flags::output::Format;
use super::super::table::{self, text};
use super::super::terminal;
use super::configured::Configured;
use super::{INPUTS, WatchArgs, attending, lines};
use crate::error::Failure;
use crate::exit_code::ExitCode;
use crate::history::outbox::Limits;
use crate::notify::outbox;
use crate::report::text::{name, printable};
use crate::watch::board::ProbeView;
use crate::watch::{Definition, Input, Origin, preview};

pub(super) async fn execute(
    args: &WatchArgs,
    configured: Configured,
    app: &Running,
) -> Result<ExitCode, Failure> {
    let mut definitions = configured.definitions.clone();
    if !args.no_labels {
        definitions.extend(of_engine(args, &configured, app).await?);
    }
    let state = match &args.state_dir {
        Some(directory) => app.environment.current_dir().join(directory),
        None => app.state_dir()?,
    };
    let store = outbox::open_existing(&state, Limits::default())?;
    let mut views = Vec::new();
    for view in preview(definitions, store.as_ref(), Timestamp::now()).await? {
        views.push(view?);
    }
    match args.format {
        Format::Json => {
            let views: Vec<&ProbeView> = views.iter().map(|view| &**view).collect();
            let text = serde_json::to_string_pretty(&views).unwrap_or_default();
            terminal::out(&format!("{}\n", configured.redactor().redact(&text)))?;
        }
        Format::Text if views.is_empty() => lines::say("nothing is watched"),
        Format::Text => {
            let rows: Vec<Vec<String>> = views.iter().map(|view| row(view)).collect();
            let columns = [text("PROBE"), text("TYPE"), text("WHEN"), text("NEXT (UTC)"), text("FROM")];
            let width = terminal::columns(&app.environment);
            let shown = table::render(&columns, &rows, width).unwrap_or_else(|_| blocks(&rows, width));
            terminal::out(&configured.redactor().redact(&shown))?;
        }
    }
    Ok(ExitCode::Success)
}

/// An engine that does not answer has no probes; that is said, and no error unless it is needed.
async fn of_engine(
    args: &WatchArgs,
    configured: &Configured,
    app: &Running,
) -> Result<Vec<Definition>, Failure> {
    let (inputs, mut taken) = mpsc::channel(INPUTS);
    let reader = configured.label_reader();
    if let Err(failure) = attending::discover_once(&args.engine, app, &*reader, &inputs).await {
        if configured.needs_engine() {
            return Err(failure);
        }
        lines::say(&format!("labels are not looked at: {}", failure.chain().join(": ")));
    }
    drop(inputs);
    let mut found = Vec::new();
    while let Some(input) = taken.recv().await {
        match input {
            Input::Probes { definitions, .. } => found.extend(definitions),
            Input::Problem { problem: Some(problem), .. } => lines::say(&problem),
            _ => {}
        }
    }
    let is_new = |definition: &Definition| {
        configured.definitions.iter().all(|known| known.name() != definition.name())
    };
    found.retain(is_new);
    Ok(found)
}

/// Where there is no room for columns.
fn blocks(rows: &[Vec<String>], width: usize) -> String {
    rows.iter()
        .filter_map(|row| row.split_first())
        .map(|(name, rest)| table::block(name, rest, width))
        .collect()
}

fn row(view: &ProbeView) -> Vec<String> {
    let when = std::iter::once(view.schedule.clone()).chain(view.events.iter().cloned());
    let when: Vec<String> = when.filter(|when| !when.is_empty()).collect();
    let next = view.next.and_then(|next| Timestamp::from_second(next).ok());
    let origin = match &view.origin {
        Origin::File { path } => path.clone(),
        Origin::Image { name, .. } => format!("image {name}"),
        Origin::Container { name, .. } => format!("container {name}"),
    };
    vec![
        name(&view.identity.name),
        printable(&view.identity.kind).into_owned(),
        printable(&when.join(", ")).into_owned(),
        next.map(|next| next.to_string()).unwrap_or_default(),
        printable(&origin).into_owned(),
    ]
}
