//! How docker-test itself speaks: format of stdout, progress on stderr.
//!
//! Owns the flags. Whether a terminal is there, and `NO_COLOR`, are read by the caller.

use clap::{Args, ValueEnum};

/// What goes to stdout, and how progress is shown.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Output")]
pub struct OutputFlags {
    /// What stdout carries
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    pub format: Format,
    /// How progress is shown
    #[arg(long, value_enum, default_value_t, value_name = "KIND")]
    pub progress: Progress,
    /// Show no progress; the same as --progress quiet
    #[arg(short, long)]
    pub quiet: bool,
}

impl OutputFlags {
    /// `--progress`, with `--quiet` in account.
    #[must_use]
    pub const fn shown(&self) -> Progress {
        if self.quiet { Progress::Quiet } else { self.progress }
    }
}

/// `--format`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Text for people, and the test's own output
    #[default]
    Text,
    /// Documents or one event a line, for programs
    Json,
}

/// `--progress`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Progress {
    /// `tty` on a terminal, `plain` elsewhere
    #[default]
    Auto,
    /// A line for each step
    Plain,
    /// Bars that move
    Tty,
    /// Nothing but errors and the summary
    #[value(alias = "none")]
    Quiet,
}
