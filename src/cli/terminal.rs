//! What people read on stderr besides the display: errors, notes, and the width and colours that fit.

use std::io::{self, IsTerminal, Write};

use crate::environment::Environment;
use crate::error::{Category, Diagnose, Failure};
use crate::redact::Redactor;
use crate::report::Style;

/// Style of stderr: colours on a terminal unless `NO_COLOR` says no, width of the terminal or 80.
pub(super) fn style(environment: &Environment) -> Style {
    let terminal = io::stderr().is_terminal();
    let dumb = environment.variable("TERM") == Some("dumb");
    let color = terminal && !dumb && environment.non_empty("NO_COLOR").is_none();
    let width = environment
        .variable("COLUMNS")
        .and_then(|columns| columns.parse().ok())
        .or_else(|| terminal.then(indicatif_width).flatten())
        .unwrap_or(80);
    Style { color, width }
}

/// Columns of stdout, for what is laid out there: those of the terminal, or 80.
pub(super) fn columns(environment: &Environment) -> usize {
    let given = environment.variable("COLUMNS").and_then(|columns| columns.parse().ok());
    let terminal = || console::Term::stdout().size_checked().map(|(_, columns)| usize::from(columns));
    given.or_else(terminal).unwrap_or(80)
}

fn indicatif_width() -> Option<usize> {
    console::Term::stderr().size_checked().map(|(_, columns)| usize::from(columns))
}

/// Columns and rows of the terminal that a person types into.
pub(super) fn size() -> Option<(u16, u16)> {
    console::Term::stdout().size_checked().map(|(rows, columns)| (columns, rows))
}

/// Prints an error with its causes and its hint. Secrets are replaced: engines quote build arguments in errors.
pub(super) fn report_failure(failure: &Failure, redactor: &Redactor) {
    let chain = failure.chain();
    let mut text = String::new();
    for (depth, message) in chain.iter().enumerate() {
        let label = if depth == 0 { "docker-test: " } else { "  because: " };
        text.push_str(label);
        text.push_str(message.trim_end());
        text.push('\n');
    }
    if let Some(hint) = failure.hint() {
        text.push_str("  hint: ");
        text.push_str(hint);
        text.push('\n');
    }
    note(&redactor.redact(&text));
}

/// Writes text to stderr as it is. A closed stderr is nobody's problem.
pub(super) fn note(text: &str) {
    let _ = io::stderr().lock().write_all(text.as_bytes());
}

/// What was asked for could not be written to stdout.
#[derive(Debug, thiserror::Error)]
#[error("cannot write to standard output")]
pub(super) struct StdoutError {
    source: io::Error,
}

impl StdoutError {
    /// None for a reader that went away: it has what it wanted.
    pub(super) fn unless_reader_left(source: io::Error) -> Option<Self> {
        (source.kind() != io::ErrorKind::BrokenPipe).then_some(Self { source })
    }
}

impl Diagnose for StdoutError {
    fn category(&self) -> Category {
        Category::Environment
    }

    fn hint(&self) -> Option<String> {
        Some("what stands there is not whole: is the disk full that it is redirected to?".to_owned())
    }
}

/// Writes text to stdout.
pub(super) fn out(text: &str) -> Result<(), StdoutError> {
    out_bytes(text.as_bytes())
}

/// Writes to stdout what need not be text.
pub(super) fn out_bytes(bytes: &[u8]) -> Result<(), StdoutError> {
    let mut stdout = io::stdout().lock();
    written(stdout.write_all(bytes).and_then(|()| stdout.flush()))
}

/// Sorts what became of a write to stdout.
pub(super) fn written(result: io::Result<()>) -> Result<(), StdoutError> {
    match result.map_err(StdoutError::unless_reader_left) {
        Ok(()) | Err(None) => Ok(()),
        Err(Some(error)) => Err(error),
    }
}
