//! From lines to cases: plans, levels of subtests, and what belongs to the last test.
//!
//! A test line that sums up subtests is the judge of them: where it is ok, skipped or TODO, a failing subtest does not
//! count; where it is not, the subtests are the cases and it is none itself. Owns one file; knows no other.

use super::diagnostic::{Block, Taken};
use super::level::{Level, Tally};
use super::line::{Line, Point, parse};
use super::pending::Pending;
use crate::results::collect::text::{CappedText, clean_line};
use crate::results::collect::{CaseList, ReadLimits, SuiteSlot, bare_case};
use crate::results::{Case, CaseStatus};

/// Levels of subtests; deeper ones are read over.
const DEPTH_LIMIT: usize = 32;

/// Whether more lines are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flow {
    Continue,
    Stop,
}

pub(super) struct Document<'d> {
    source: &'d str,
    list: &'d mut CaseList,
    slot: SuiteSlot,
    limits: ReadLimits,
    levels: Vec<Level>,
    pending: Pending,
    /// The last test, and the comments under it.
    last: Option<(usize, CappedText)>,
    /// A YAML block may begin here.
    after_point: bool,
    block: Option<Block>,
    subtest: Option<String>,
    bailed: bool,
    any: bool,
}

impl<'d> Document<'d> {
    pub(super) fn new(source: &'d str, list: &'d mut CaseList) -> Self {
        let limits = list.limits();
        Self {
            source,
            list,
            slot: SuiteSlot::default(),
            limits,
            levels: vec![Level::default()],
            pending: Pending::new(limits),
            last: None,
            after_point: false,
            block: None,
            subtest: None,
            bailed: false,
            any: false,
        }
    }

    pub(super) fn add_line(&mut self, text: &str) -> Flow {
        if self.add_to_block(text) {
            return Flow::Continue;
        }
        let (indent, line) = parse(text);
        let after_point = std::mem::take(&mut self.after_point);
        match line {
            Line::Other => self.after_point = after_point && text.trim().is_empty(),
            Line::Comment(comment) => {
                if let Some((_, text)) = &mut self.last {
                    text.push(comment.strip_prefix(' ').unwrap_or(comment));
                    text.push("\n");
                }
            }
            Line::YamlStart => {
                if after_point && indent > self.level().indent {
                    let case = self.last.as_ref().map(|(case, _)| *case);
                    self.block = Some(Block::new(indent, case, self.limits.max_text));
                }
            }
            Line::Subtest(name) => {
                self.forget_last();
                self.enter(indent);
                self.subtest = Some(clean_line(name, self.limits.max_name));
            }
            Line::Bail(reason) => {
                self.forget_last();
                self.bailed = true;
                self.close_to(0);
                self.settle_opener();
                self.adopt_child();
                self.any = true;
                let message = (!reason.is_empty()).then(|| clean_line(reason, self.limits.max_text));
                self.push(Case { message, ..bare_case("Bail out!".into(), CaseStatus::Errored) });
                return Flow::Stop;
            }
            Line::BlockEnd => {
                self.forget_last();
                self.end_block(indent);
            }
            Line::Version | Line::Plan { .. } | Line::Point(_) => {
                self.forget_last();
                if self.enter(indent) {
                    self.any = true;
                    self.add_significant(line);
                }
            }
        }
        Flow::Continue
    }

    fn add_significant(&mut self, line: Line<'_>) {
        match line {
            Line::Version => {
                let top = self.level();
                if self.levels.len() == 1 && (top.points > 0 || top.plan.is_some()) {
                    self.end_document();
                }
            }
            Line::Plan { count, skip } => {
                if self.levels.len() == 1 && self.level().is_complete() {
                    self.end_document();
                }
                self.level_mut().add_plan(count, skip);
            }
            Line::Point(point) => self.add_point(point),
            _ => {}
        }
    }

    /// Goes to the level of a line's indent. False where it is too deep.
    fn enter(&mut self, indent: usize) -> bool {
        let is_outwards = indent < self.level().indent;
        while indent < self.level().indent {
            self.close_level();
        }
        if indent == self.level().indent {
            return true;
        }
        if self.levels.len() >= DEPTH_LIMIT {
            return false;
        }
        let child = if is_outwards {
            // The first line of a level that was passed over on the way in: what just ended belongs to it.
            self.level_mut().child.take()
        } else {
            // Subtests after subtests, with no line between that sums the first ones up.
            self.adopt_child();
            None
        };
        let start = child.map_or(self.pending.len(), |child| child.start);
        let tally = Tally { start, ..Tally::default() };
        let name = self.subtest.take();
        self.levels.push(Level::new(indent, tally, name, child));
        true
    }

    fn level(&self) -> &Level {
        // There is always a level: the first one is made with the document and never popped.
        &self.levels[self.levels.len() - 1]
    }

    fn level_mut(&mut self) -> &mut Level {
        let innermost = self.levels.len() - 1;
        &mut self.levels[innermost]
    }

    fn add_point(&mut self, point: Point) {
        self.settle_opener();
        self.subtest = None;
        self.level_mut().add_number(point.number);
        self.after_point = true;
        if point.opens_block {
            self.adopt_child();
            self.level_mut().opener = Some(point);
            return;
        }
        self.judge(&point);
    }

    /// Judges subtests by the line that sums them up.
    fn sum_up(&mut self, point: &Point, child: Tally) {
        let overruled = point.directive.is_some() || (point.ok && child.counts.bad() > 0);
        if overruled {
            self.pending.drop_from(child.start);
            self.push_point(point);
            return;
        }
        let prefix = clean_line(&point.description, self.limits.max_name);
        self.pending.prefix_from(child.start, &prefix);
        self.merge(child);
        if child.counts.total() == 0 || (!point.ok && child.counts.bad() == 0) {
            self.push_point(point);
        }
    }

    fn merge(&mut self, child: Tally) {
        let level = self.level_mut();
        level.tally = level.tally.merged(child);
    }

    /// Takes subtests that nothing sums up for cases of their own.
    fn adopt_child(&mut self) {
        let name = self.level_mut().child_name.take();
        if let Some(child) = self.level_mut().child.take() {
            self.pending.prefix_from(child.start, &name.unwrap_or_default());
            self.merge(child);
        }
    }

    fn push_point(&mut self, point: &Point) {
        let (status, message) = point.verdict();
        let mut name = clean_line(&point.description, self.limits.max_name);
        if name.is_empty() {
            name = point.number.map_or_else(|| "(unnamed)".into(), |number| format!("test {number}"));
        }
        let message = Some(clean_line(&message, self.limits.max_text)).filter(|message| !message.is_empty());
        let index = self.push(Case { message, seconds: point.seconds, ..bare_case(name, status) });
        self.last = index.map(|index| (index, CappedText::new(self.limits.max_text)));
    }

    /// Counts a case in the current level, and keeps it while there is room.
    fn push(&mut self, case: Case) -> Option<usize> {
        let status = case.status;
        let kept = self.pending.push(case);
        self.level_mut().tally.add(status, kept.is_some());
        kept
    }

    /// Gives the comments under the last test to it.
    fn forget_last(&mut self) {
        let Some((index, text)) = self.last.take() else { return };
        if let Some(text) = text.finish() {
            self.pending.add_detail(index, &text);
        }
    }

    /// True where the line belonged to a YAML block.
    fn add_to_block(&mut self, text: &str) -> bool {
        let Some(block) = &mut self.block else { return false };
        let taken = block.take(text);
        if taken != Taken::Inside {
            self.end_yaml();
        }
        taken != Taken::NotPart
    }

    fn end_yaml(&mut self) {
        if let Some((Some(case), Some(text))) = self.block.take().map(Block::finish) {
            self.pending.add_diagnostic(case, &text);
        }
    }

    /// `}` ends the subtests whose sum stood before them.
    fn end_block(&mut self, indent: usize) {
        if self.levels.iter().any(|level| level.indent <= indent && level.opener.is_some()) {
            while indent < self.level().indent {
                self.close_level();
            }
            self.settle_opener();
        }
    }

    fn settle_opener(&mut self) {
        if let Some(point) = self.level_mut().opener.take() {
            self.judge(&point);
        }
    }

    fn judge(&mut self, point: &Point) {
        let level = self.level_mut();
        level.child_name = None;
        match level.child.take() {
            Some(child) => self.sum_up(point, child),
            None => self.push_point(point),
        }
    }

    fn close_to(&mut self, depth: usize) {
        while self.levels.len() > depth + 1 {
            self.close_level();
        }
    }

    /// Ends the innermost level of subtests, which then waits for its sum.
    fn close_level(&mut self) {
        self.settle_opener();
        self.adopt_child();
        self.check_plan(false);
        if self.levels.len() < 2 {
            return;
        }
        let Some(closed) = self.levels.pop() else { return };
        let outer = self.level_mut();
        // There may be two runs of subtests before one sum, of different indents.
        outer.child = Some(outer.child.map_or(closed.tally, |earlier| earlier.merged(closed.tally)));
        outer.child_name = closed.name;
    }

    /// Adds a case for each way in which a level contradicts itself.
    fn check_plan(&mut self, is_top: bool) {
        if self.bailed {
            return;
        }
        for problem in self.level().problems(is_top) {
            self.push(Case { message: Some(problem), ..bare_case("(plan)".into(), CaseStatus::Errored) });
        }
    }

    /// Ends the document and hands its cases on. Another may follow in the same file.
    fn end_document(&mut self) {
        self.forget_last();
        self.close_to(0);
        self.settle_opener();
        let orphans_alone = self.level().points == 0
            && self.level().plan.is_none()
            && self.level().child.is_some_and(|child| child.counts.total() > 0);
        self.adopt_child();
        if self.level().plan == Some(0) && self.level().points == 0 {
            let message =
                self.level_mut().skip.take().map(|reason| clean_line(&reason, self.limits.max_text));
            self.push(Case { message, ..bare_case("(all tests)".into(), CaseStatus::Skipped) });
        } else if !orphans_alone {
            self.check_plan(true);
        }
        let suite = self.source.strip_suffix(".tap").unwrap_or(self.source);
        for case in self.pending.take() {
            self.list.push(&mut self.slot, suite, self.source, case);
        }
        self.list.add_omitted(self.level().tally.unkept);
        self.levels = vec![Level::default()];
    }

    /// Ends the file. False where nothing in it was TAP.
    pub(super) fn finish(&mut self) -> bool {
        self.end_yaml();
        if self.any {
            self.end_document();
        }
        self.any
    }
}
