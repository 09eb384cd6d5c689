//! One `<testcase>` while it is read: which of its children decides, and what is kept of each.
//!
//! The first failure or error decides. A flaky one passed on a rerun and counts as passed, with a note. Knows nothing of
//! where a case stands.

use super::attributes::Attributes;
use crate::results::collect::text::{CappedText, clean_line};
use crate::results::collect::{ReadLimits, bare_case};
use crate::results::{Case, CaseStatus};

/// A case that has not ended.
pub(super) struct OpenCase {
    case: Case,
    limits: ReadLimits,
    /// The `status` or `result` attribute, for writers that use no child element.
    declared: Option<CaseStatus>,
    verdict: Option<CaseStatus>,
    skipped: bool,
    todo: bool,
    flaky: bool,
    detail: CappedText,
}

impl OpenCase {
    pub(super) fn new(attributes: &Attributes, limits: ReadLimits) -> Self {
        let name = one_line(attributes.name.as_deref(), limits).unwrap_or_else(|| "(unnamed)".into());
        let case = Case {
            class: one_line(attributes.class.as_deref(), limits),
            seconds: attributes.seconds,
            file: one_line(attributes.file.as_deref(), limits),
            line: attributes.line,
            ..bare_case(name, CaseStatus::Passed)
        };
        Self {
            case,
            limits,
            declared: declared_status(attributes),
            verdict: None,
            skipped: false,
            todo: false,
            flaky: false,
            detail: CappedText::with_room_for_a_note(limits.max_text),
        }
    }

    pub(super) const fn has_verdict(&self) -> bool {
        self.verdict.is_some()
    }

    /// `<failure>` or `<error>`.
    pub(super) fn add_verdict(&mut self, status: CaseStatus, attributes: &Attributes, text: Option<&str>) {
        let message = several_lines(attributes.message.as_deref(), self.limits);
        if self.verdict.is_some() {
            add_detail(&mut self.detail, message.as_deref(), text);
            return;
        }
        self.verdict = Some(status);
        self.case.message = message;
        self.case.kind = one_line(attributes.kind.as_deref(), self.limits);
        // What a flaky attempt left belongs to a case that passed; this one did not.
        self.detail = CappedText::with_room_for_a_note(self.limits.max_text);
        add_detail(&mut self.detail, None, text);
    }

    pub(super) fn add_skip(&mut self, attributes: &Attributes, text: Option<String>) {
        self.skipped = true;
        // `node --test` writes a failed test that is still to be done as skipped and failed.
        self.todo |= attributes.kind.as_deref() == Some("todo");
        let message = several_lines(attributes.message.as_deref(), self.limits).or(text);
        self.case.message = self.case.message.take().or(message);
    }

    pub(super) fn add_flaky(&mut self, attributes: &Attributes, text: Option<&str>) {
        self.flaky = true;
        let message = several_lines(attributes.message.as_deref(), self.limits);
        add_detail(&mut self.detail, message.as_deref(), text);
    }

    pub(super) fn add_stdout(&mut self, text: Option<String>) {
        join(&mut self.case.stdout, text, self.limits.max_text);
    }

    pub(super) fn add_stderr(&mut self, text: Option<String>) {
        join(&mut self.case.stderr, text, self.limits.max_text);
    }

    /// The case, and whether it was flaky.
    pub(super) fn finish(self) -> (Case, bool) {
        let mut case = self.case;
        let flaky = self.flaky && self.verdict.is_none();
        case.status = match (self.verdict, self.skipped) {
            (_, true) if self.todo => CaseStatus::Skipped,
            (Some(verdict), _) => verdict,
            (None, true) => CaseStatus::Skipped,
            (None, false) if flaky => CaseStatus::Passed,
            (None, false) => self.declared.unwrap_or(CaseStatus::Passed),
        };
        case.detail = self.detail.finish();
        if flaky {
            case.kind = Some("flaky".into());
            case.message = Some("passed on a rerun".into());
        }
        (case, flaky)
    }
}

/// A name or a type; `None` where nothing is left of it.
pub(super) fn one_line(raw: Option<&str>, limits: ReadLimits) -> Option<String> {
    raw.map(|raw| clean_line(raw, limits.max_name)).filter(|name| !name.is_empty())
}

/// A message; `None` where nothing is left of it.
pub(super) fn several_lines(raw: Option<&str>, limits: ReadLimits) -> Option<String> {
    let mut message = CappedText::new(limits.max_text);
    message.push(raw?);
    message.finish()
}

/// What `status` and `result` say where a writer (gtest, for one) uses no child element.
fn declared_status(attributes: &Attributes) -> Option<CaseStatus> {
    let says = |word: &Option<String>| {
        Some(match word.as_deref()?.trim().to_ascii_lowercase().as_str() {
            "notrun" | "suppressed" | "skipped" | "disabled" | "ignored" | "pending" => CaseStatus::Skipped,
            "failed" | "failure" | "fail" => CaseStatus::Failed,
            "error" | "errored" => CaseStatus::Errored,
            _ => return None,
        })
    };
    says(&attributes.result).or_else(|| says(&attributes.status))
}

fn add_detail(detail: &mut CappedText, message: Option<&str>, text: Option<&str>) {
    let message = message.filter(|message| !text.is_some_and(|text| text.contains(*message)));
    for part in [message, text].into_iter().flatten() {
        if !detail.is_empty() {
            detail.push("\n");
        }
        detail.push(part);
    }
}

fn join(target: &mut Option<String>, more: Option<String>, limit: usize) {
    match (target.as_mut(), more) {
        (Some(text), Some(more)) => {
            let mut joined = CappedText::with_room_for_a_note(limit);
            joined.push(text);
            joined.push("\n");
            joined.push(&more);
            *target = joined.finish();
        }
        (None, more) => *target = more,
        (Some(_), None) => {}
    }
}
