//! What stands on the screen: the bars, and the lines that stay.
//!
//! Owns the bars of pull, upload, build and test. All drawing happens under the caller's lock.

use std::collections::HashMap;
use std::io;
use std::time::Instant;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::report::progress::Streams;
use crate::report::progress::build_log::BuildLog;
use crate::report::progress::words::{is_pull_end, sentence, step_name};
use crate::report::style::{Paint, Style};
use crate::report::text::printable;
use crate::report::wording::{bytes, count, duration};
use crate::runner::event::{OutputStream, RunEvent, StepStatus};

/// Makes the target that bars are drawn on, anew each time they come back.
pub(super) type Target = Box<dyn Fn() -> ProgressDrawTarget + Send>;

/// Bars, streams and what is needed to update them.
pub(super) struct Screen {
    streams: Streams,
    style: Style,
    target: Target,
    multi: MultiProgress,
    /// Bars may be drawn. False while a partial line of the test's stands on the terminal.
    attached: bool,
    finished: bool,
    phase: ProgressBar,
    layers: HashMap<String, ProgressBar>,
    layers_done: u64,
    pull_started: Option<Instant>,
    context: Option<ProgressBar>,
    steps: HashMap<String, Step>,
    log: BuildLog,
}

struct Step {
    bar: ProgressBar,
    started: Instant,
}

impl Screen {
    pub(super) fn new(streams: Streams, style: Style, target: Target) -> Self {
        let multi = MultiProgress::with_draw_target(target());
        let phase = multi.add(spinner("{spinner} {wide_msg} {elapsed}"));
        phase.set_message("starting");
        Self {
            streams,
            style,
            target,
            multi,
            attached: true,
            finished: false,
            phase,
            layers: HashMap::new(),
            layers_done: 0,
            pull_started: None,
            context: None,
            steps: HashMap::new(),
            log: BuildLog::default(),
        }
    }

    /// Moves the spinners on, and brings bars back that output had driven away.
    pub(super) fn tick(&mut self) {
        if !self.attached || self.finished {
            return;
        }
        let steps = self.steps.values().map(|step| &step.bar);
        for bar in self.layers.values().chain(&self.context).chain(steps) {
            bar.tick();
        }
        self.phase.tick();
    }

    /// Passes on what the test printed, above the bars.
    pub(super) fn pass(&mut self, stream: OutputStream, bytes: &[u8]) {
        if self.streams.moves_cursor(stream) {
            self.clear();
        }
        self.streams.pass(stream, bytes);
        self.follow_cursor();
    }

    pub(super) fn finish(&mut self) {
        if self.finished {
            return;
        }
        self.clear();
        self.multi.set_draw_target(ProgressDrawTarget::hidden());
        self.finished = true;
        self.streams.finish();
    }

    pub(super) const fn stdout_closed(&self) -> bool {
        self.streams.stdout_closed()
    }

    pub(super) const fn take_stdout_error(&mut self) -> Option<io::Error> {
        self.streams.take_stdout_error()
    }

    pub(super) fn event(&mut self, event: &RunEvent) {
        if self.finished {
            return;
        }
        if !matches!(event, RunEvent::PullProgress { .. } | RunEvent::Output { .. }) {
            self.end_pull();
        }
        match event {
            RunEvent::PullProgress { layer, status, current, total } => {
                self.pull(layer, status, *current, *total);
            }
            RunEvent::ContextProgress { sent, done } => self.upload(*sent, *done),
            RunEvent::BuildStep { id, name, status } => self.step(id, name, *status),
            RunEvent::BuildOutput { text } => {
                if let Some(line) = self.log.push(text).pop() {
                    self.phase.set_message(format!("building: {line}"));
                }
            }
            RunEvent::Output { stream, text } => return self.pass(*stream, text.as_bytes()),
            RunEvent::RunStarted { image, .. } => {
                self.phase.set_message(format!("looking at {}", printable(image)));
                self.say(event, Paint::Faint);
            }
            RunEvent::Planned { .. } => {
                self.phase.set_message("building");
                self.say(event, Paint::Faint);
            }
            RunEvent::Built { .. } => {
                self.end_build();
                self.say(event, Paint::Faint);
            }
            RunEvent::TestStarted { test, .. } => {
                self.end_build();
                self.phase.set_message(format!("testing {}", printable(test)));
                self.phase.reset_elapsed();
            }
            RunEvent::Stopping { reason, .. } => {
                self.phase.set_message(format!("stopping: {}", printable(reason)));
                self.say(event, Paint::Careful);
            }
            RunEvent::Warning { .. } => self.say(event, Paint::Careful),
            RunEvent::TestFinished { outcome, .. } => {
                self.phase.set_message("collecting results");
                self.say(event, Paint::of(*outcome));
            }
            RunEvent::RunFinished { .. } => self.end_build(),
            _ => {}
        }
        self.tick();
    }

    /// A line that stays, in the words that all displays share.
    fn say(&mut self, event: &RunEvent, paint: Paint) {
        if let Some(line) = sentence(event) {
            let line = self.style.paint(paint, &line);
            self.line(&line);
        }
    }

    fn line(&mut self, text: &str) {
        self.clear();
        self.streams.line(text);
        self.follow_cursor();
    }

    /// Takes the bars off the screen. They come back with the next tick, if they may.
    fn clear(&self) {
        // A terminal that went away is no reason to stop the run.
        drop(self.multi.clear());
    }

    fn follow_cursor(&mut self) {
        let may_draw = self.streams.at_line_start();
        if may_draw != self.attached && !self.finished {
            self.multi.set_draw_target(if may_draw { (self.target)() } else { ProgressDrawTarget::hidden() });
            self.attached = may_draw;
        }
    }

    fn pull(&mut self, layer: &str, status: &str, current: Option<u64>, total: Option<u64>) {
        self.pull_started.get_or_insert_with(Instant::now);
        if layer.is_empty() {
            self.phase.set_message(printable(status).into_owned());
            return;
        }
        if is_pull_end(status) {
            if let Some(bar) = self.layers.remove(layer) {
                self.multi.remove(&bar);
            }
            self.layers_done += 1;
            self.phase.set_message(format!("pulling, {} done", count(self.layers_done, "layer")));
            return;
        }
        let multi = &self.multi;
        let bar = self.layers.entry(layer.to_owned()).or_insert_with(|| {
            let bar = multi.insert_from_back(1, bar("  {prefix:12!} [{bar:16}] {wide_msg}"));
            bar.set_prefix(printable(layer).into_owned());
            bar
        });
        if let Some(total) = total.filter(|total| *total > 0) {
            bar.set_length(total);
            bar.set_position(current.unwrap_or(0).min(total));
        }
        let size = match (current, total) {
            (Some(current), Some(total)) => format!(" {} of {}", bytes(current), bytes(total)),
            (Some(current), None) => format!(" {}", bytes(current)),
            _ => String::new(),
        };
        bar.set_message(format!("{}{size}", printable(status)));
    }

    fn end_pull(&mut self) {
        let Some(started) = self.pull_started.take() else { return };
        for (_, bar) in self.layers.drain() {
            self.multi.remove(&bar);
        }
        let layers = std::mem::take(&mut self.layers_done);
        if layers > 0 {
            let took = duration(started.elapsed().as_secs_f64());
            let line = format!("{} pulled {} in {took}", self.mark(), count(layers, "layer"));
            self.line(&line);
        }
    }

    fn upload(&mut self, sent: u64, done: bool) {
        if done {
            if let Some(bar) = self.context.take() {
                self.multi.remove(&bar);
            }
            let line = format!("{} sent the build context, {}", self.mark(), bytes(sent));
            self.line(&line);
            return;
        }
        let multi = &self.multi;
        let bar = self
            .context
            .get_or_insert_with(|| multi.insert_from_back(1, spinner("  {spinner} {wide_msg} {elapsed}")));
        bar.set_message(format!("sending the build context, {}", bytes(sent)));
    }

    fn step(&mut self, id: &str, name: &str, status: StepStatus) {
        let name = step_name(id, name);
        if status == StepStatus::Started {
            self.phase.set_message("building");
            let bar = self.multi.insert_from_back(1, spinner("  {spinner} {wide_msg} {elapsed}"));
            bar.set_message(name);
            if let Some(old) = self.steps.insert(id.to_owned(), Step { bar, started: Instant::now() }) {
                self.multi.remove(&old.bar);
            }
            return;
        }
        let step = self.steps.remove(id);
        if let Some(step) = &step {
            self.multi.remove(&step.bar);
        }
        let took = step.map(|step| format!(" {}", duration(step.started.elapsed().as_secs_f64())));
        let line = match status {
            StepStatus::Cached => format!("{} {name} cached", self.mark()),
            StepStatus::Failed => {
                format!("{} {name}{}", self.style.paint(Paint::Bad, "✗"), took.unwrap_or_default())
            }
            StepStatus::Done | StepStatus::Started => {
                format!("{} {name}{}", self.mark(), took.unwrap_or_default())
            }
        };
        self.line(&line);
        if status == StepStatus::Failed {
            self.log.flush();
            let lines: Vec<String> = self.log.last().map(|line| format!("  | {line}")).collect();
            for line in lines {
                self.line(&line);
            }
            self.log.clear();
        }
    }

    fn end_build(&mut self) {
        for (_, step) in self.steps.drain() {
            self.multi.remove(&step.bar);
        }
        if let Some(bar) = self.context.take() {
            self.multi.remove(&bar);
        }
        self.log.clear();
    }

    fn mark(&self) -> String {
        self.style.paint(Paint::Good, "✓")
    }
}

fn spinner(template: &str) -> ProgressBar {
    ProgressBar::new_spinner().with_style(template_style(template, ProgressStyle::default_spinner()))
}

fn bar(template: &str) -> ProgressBar {
    let style = template_style(template, ProgressStyle::default_bar());
    ProgressBar::new(1).with_style(style.progress_chars("=> "))
}

/// The templates are ours; one that indicatif refuses falls back to its own look, which a test would show.
fn template_style(template: &str, fallback: ProgressStyle) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or(fallback)
}
