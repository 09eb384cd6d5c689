//! From elements to cases: what each element means where it stands.
//!
//! Owns nesting and suites. A suite that declares failures and lists none becomes an errored case, because a report must
//! not look better than what it says of itself.

use std::io::BufRead;

use super::JunitError;
use super::attributes::{Attributes, full_name, local_name, unescape};
use super::case::{OpenCase, one_line, several_lines};
use super::role::Role;
use super::token::{Token, TokenError, Tokenizer};
use crate::results::collect::text::{CappedText, clean_line};
use crate::results::collect::{CaseList, ReadLimits, SuiteSlot, bare_case};
use crate::results::{Case, CaseStatus};

/// Elements that may be open at once.
const DEPTH_LIMIT: usize = 256;
/// Bytes of an element name.
const ELEMENT_NAME_LIMIT: usize = 1024;

/// An element that has not ended.
struct Open {
    name: Vec<u8>,
    role: Role,
}

/// A suite (or the root) that has not ended.
struct OpenSuite {
    name: String,
    slot: SuiteSlot,
    declared_failures: u64,
    declared_errors: u64,
    /// Verdicts seen that such a declaration may have meant: bad cases, and flaky ones, which surefire counts too.
    seen: u64,
}

struct Report<'l> {
    source: &'l str,
    list: &'l mut CaseList,
    limits: ReadLimits,
    stack: Vec<Open>,
    suites: Vec<OpenSuite>,
    case: Option<OpenCase>,
    /// Attributes of the innermost verdict, skip or flaky element, and the text in it.
    current: Attributes,
    text: CappedText,
    roots: u64,
}

/// Reads a document that is already UTF-8.
pub(super) fn read(reader: impl BufRead, source: &str, list: &mut CaseList) -> Result<(), JunitError> {
    let limits = list.limits();
    let mut report = Report {
        source,
        list,
        limits,
        stack: Vec::new(),
        suites: Vec::new(),
        case: None,
        current: Attributes::default(),
        text: CappedText::default(),
        roots: 0,
    };
    let mut tokenizer = Tokenizer::new(reader);
    let outcome = loop {
        let keep = if report.wants_text() { report.text.room() } else { 0 };
        let step = match tokenizer.next(keep) {
            Ok(Token::Start { tag, empty }) => report.start(tag, empty),
            Ok(Token::End { name }) => report.end(name),
            Ok(Token::Text { raw, cdata, cut }) => {
                report.add_text(raw, cdata, cut);
                Ok(())
            }
            Ok(Token::Eof) => break report.at_end(),
            Err(error) => Err(Fault::from(error)),
        };
        if let Err(fault) = step {
            break Err(fault);
        }
    };
    outcome.map_err(|fault| {
        report.keep_cut_case();
        let file = source.to_owned();
        match fault {
            Fault::Read(source) => JunitError::Read { file, source },
            Fault::NotJunit(root) => JunitError::NotJunit { file, root },
            Fault::Malformed(reason) => {
                JunitError::Malformed { file, line: tokenizer.line(), offset: tokenizer.offset(), reason }
            }
        }
    })
}

enum Fault {
    Read(std::io::Error),
    NotJunit(String),
    Malformed(String),
}

impl From<TokenError> for Fault {
    fn from(error: TokenError) -> Self {
        match error {
            TokenError::Read(error) => Self::Read(error),
            TokenError::UnexpectedEnd { inside } => Self::Malformed(format!("the file ends inside {inside}")),
            TokenError::TagTooLarge => Self::Malformed("a tag is larger than 1 MiB".into()),
        }
    }
}

impl Report<'_> {
    fn start(&mut self, tag: &[u8], empty: bool) -> Result<(), Fault> {
        let name = full_name(tag);
        if self.stack.len() >= DEPTH_LIMIT {
            return Err(Fault::Malformed(format!("more than {DEPTH_LIMIT} elements are open")));
        }
        if name.is_empty() || name.len() > ELEMENT_NAME_LIMIT {
            return Err(Fault::Malformed("an element has no name, or a very long one".into()));
        }
        let role = match self.stack.last() {
            Some(parent) => parent.role.of_child(local_name(tag)),
            None => Role::of_root(local_name(tag)).ok_or_else(|| Fault::NotJunit(shown(name)))?,
        };
        if role != Role::Ignored && role != Role::Inner {
            let attributes = Attributes::parse(tag)
                .map_err(|error| Fault::Malformed(format!("<{}>: {error}", String::from_utf8_lossy(name))))?;
            self.open(role, attributes);
        }
        self.stack.push(Open { name: name.to_vec(), role });
        if empty {
            self.close();
        }
        Ok(())
    }

    fn open(&mut self, role: Role, attributes: Attributes) {
        match role {
            Role::Root | Role::Suite => {
                self.roots += u64::from(self.stack.is_empty());
                let inherited = self.suites.last().map(|outer| outer.name.as_str()).unwrap_or_default();
                let own = one_line(attributes.name.as_deref(), self.limits);
                self.suites.push(OpenSuite {
                    name: own.unwrap_or_else(|| inherited.to_owned()),
                    slot: SuiteSlot::default(),
                    declared_failures: attributes.failures,
                    declared_errors: attributes.errors,
                    seen: 0,
                });
            }
            Role::Case => self.case = Some(OpenCase::new(&attributes, self.limits)),
            Role::Inner | Role::Ignored => {}
            Role::Verdict(_)
            | Role::SuiteVerdict
            | Role::Skip
            | Role::Flaky
            | Role::Stdout
            | Role::Stderr => {
                self.current = attributes;
                self.text = CappedText::new(self.limits.max_text);
            }
        }
    }

    fn wants_text(&self) -> bool {
        self.stack.last().is_some_and(|open| open.role.has_text())
    }

    fn add_text(&mut self, raw: &[u8], cdata: bool, cut: bool) {
        if !self.wants_text() {
            return;
        }
        let mut raw = raw;
        if cut {
            raw = without_partial_end(raw, cdata);
        }
        let text = String::from_utf8_lossy(raw);
        if cdata {
            self.text.push(&text);
        } else {
            self.text.push(&unescape(&text));
        }
        if cut {
            self.text.mark_cut();
        }
    }

    fn end(&mut self, name: &[u8]) -> Result<(), Fault> {
        match self.stack.last() {
            Some(open) if open.name == name => {
                self.close();
                Ok(())
            }
            Some(open) => {
                Err(Fault::Malformed(format!("</{}> where </{}> is due", shown(name), shown(&open.name))))
            }
            None => Err(Fault::Malformed(format!("</{}> where nothing is open", shown(name)))),
        }
    }

    fn close(&mut self) {
        let Some(open) = self.stack.pop() else { return };
        match open.role {
            Role::Root | Role::Suite => self.close_suite(),
            Role::Case => self.close_case(),
            Role::Inner | Role::Ignored => {}
            role => self.close_text(role),
        }
    }

    /// Gives the text of an element that ends, and its attributes, to the case or suite it stands in.
    fn close_text(&mut self, role: Role) {
        let attributes = std::mem::take(&mut self.current);
        let text = std::mem::take(&mut self.text).finish();
        if role == Role::SuiteVerdict {
            let case = Case {
                kind: one_line(attributes.kind.as_deref(), self.limits),
                message: several_lines(attributes.message.as_deref(), self.limits),
                detail: text,
                ..bare_case(self.suite_case_name(), CaseStatus::Errored)
            };
            self.push(case, true);
            return;
        }
        let Some(case) = &mut self.case else { return };
        match role {
            Role::Verdict(status) => case.add_verdict(status, &attributes, text.as_deref()),
            Role::Skip => case.add_skip(&attributes, text),
            Role::Flaky => case.add_flaky(&attributes, text.as_deref()),
            Role::Stdout => case.add_stdout(text),
            Role::Stderr => case.add_stderr(text),
            Role::Root | Role::Suite | Role::Case | Role::SuiteVerdict | Role::Inner | Role::Ignored => {}
        }
    }

    fn close_case(&mut self) {
        if let Some(open) = self.case.take() {
            let (case, flaky) = open.finish();
            self.push(case, flaky);
        }
    }

    /// Hands on what is known of a case in which the file ended, where that is a verdict.
    fn keep_cut_case(&mut self) {
        if let Some(role @ Role::Verdict(_)) = self.stack.last().map(|open| open.role) {
            self.close_text(role);
        }
        if self.case.as_ref().is_some_and(OpenCase::has_verdict) {
            self.close_case();
        }
    }

    fn push(&mut self, case: Case, noted: bool) {
        let Some(suite) = self.suites.last_mut() else { return };
        let bad = matches!(case.status, CaseStatus::Failed | CaseStatus::Errored);
        suite.seen = suite.seen.saturating_add(u64::from(bad || noted));
        self.list.push(&mut suite.slot, &suite.name, self.source, case);
    }

    fn suite_case_name(&self) -> String {
        let name = self.suites.last().map(|suite| suite.name.as_str()).unwrap_or_default();
        if name.is_empty() { "(suite)".to_owned() } else { name.to_owned() }
    }

    fn close_suite(&mut self) {
        let declared = self
            .suites
            .last()
            .filter(|suite| suite.seen == 0)
            .map(|suite| (suite.declared_failures, suite.declared_errors));
        if let Some((failures, errors)) = declared
            && (failures > 0 || errors > 0)
        {
            let message =
                format!("the report declares {failures} failures and {errors} errors here, and lists none");
            let name = self.suite_case_name();
            self.push(Case { message: Some(message), ..bare_case(name, CaseStatus::Errored) }, true);
        }
        if let Some(closed) = self.suites.pop()
            && let Some(outer) = self.suites.last_mut()
        {
            outer.seen = outer.seen.saturating_add(closed.seen);
        }
    }

    fn at_end(&self) -> Result<(), Fault> {
        match self.stack.last() {
            Some(open) => Err(Fault::Malformed(format!("the file ends inside <{}>", shown(&open.name)))),
            None if self.roots == 0 => Err(Fault::NotJunit(String::new())),
            None => Ok(()),
        }
    }
}

/// An element's name for a message.
fn shown(name: &[u8]) -> String {
    clean_line(&String::from_utf8_lossy(name), 100)
}

/// Takes off what a cut left behind: part of a character, part of a reference.
fn without_partial_end(raw: &[u8], cdata: bool) -> &[u8] {
    let mut raw = raw;
    if let Some(Err(error)) = raw.utf8_chunks().last().map(|chunk| std::str::from_utf8(chunk.invalid()))
        && error.error_len().is_none()
    {
        raw = &raw[..raw.len() - raw.utf8_chunks().last().map_or(0, |chunk| chunk.invalid().len())];
    }
    let tail = raw.len().saturating_sub(16);
    match raw[tail..].iter().rposition(|byte| *byte == b'&') {
        Some(start) if !cdata && !raw[tail + start..].contains(&b';') => &raw[..tail + start],
        _ => raw,
    }
}
