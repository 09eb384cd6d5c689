//! Reads the lines of a file into instructions.
//!
//! Owns the order of things: directives, continuations, the instruction, the bodies of its heredocs. What an
//! instruction consists of is [`super::instruction`]'s part.

use super::directive::Directives;
use super::heredoc;
use super::instruction::{Parts, take_apart};
use super::lines::{Line, Lines, LogicalLine, strip_continuation};
use super::{Dialect, Dockerfile, Heredoc, Instruction, ParseError, ParseProblem};

/// A Dockerfile, and whether it ends in the middle of a line.
pub(crate) struct Reading {
    pub(crate) dockerfile: Dockerfile,
    /// Where the last instruction's text ends, if a continuation after it waits for a line that never came.
    pub(crate) open_at: Option<usize>,
}

/// Reads `source` by the rules of `dialect`; `mark` bytes stood before it in the file.
pub(crate) fn read(source: &str, mark: usize, dialect: Dialect) -> Result<Reading, ParseError> {
    let mut lines = Lines::new(source);
    let mut directives = Directives::new();
    let mut instructions = Vec::new();
    let mut open_at = None;
    while let Some(first) = lines.next() {
        let text = first.text.trim_start();
        directives.observe(text, first.number)?;
        if text.is_empty() || text.starts_with('#') {
            continue;
        }
        let joined = join(first, &mut lines, directives.escape, dialect);
        if joined.open {
            open_at = Some(mark + joined.line.content_end());
        }
        instructions.push(complete(source, mark, first, joined, &mut lines, directives.escape, dialect)?);
    }
    Ok(Reading {
        dockerfile: Dockerfile { directives: directives.found, escape: directives.escape, instructions },
        open_at,
    })
}

struct Joined<'a> {
    line: LogicalLine,
    last: Line<'a>,
    open: bool,
}

/// Joins the lines that `first` and its continuations make.
fn join<'a>(first: Line<'a>, lines: &mut Lines<'a>, escape: char, dialect: Dialect) -> Joined<'a> {
    let strip = |text| strip_continuation(text, escape, dialect.doubled_escape_continues);
    let mut line = LogicalLine::new();
    let mut last = first;
    let text = first.text.trim_start();
    let stripped = strip(text);
    line.push(stripped.unwrap_or(text), first.text_end() - text.len(), first.number);
    let mut open = stripped.is_some();
    while open {
        let Some(next) = lines.next() else { break };
        last = next;
        if next.is_comment() || next.is_blank() {
            continue;
        }
        let stripped = strip(next.text);
        line.push(stripped.unwrap_or(next.text), next.start, next.number);
        open = stripped.is_some();
    }
    Joined { line, last, open }
}

/// Makes an instruction of a logical line and of the heredoc bodies after it.
fn complete(
    source: &str,
    mark: usize,
    first: Line<'_>,
    joined: Joined<'_>,
    lines: &mut Lines<'_>,
    escape: char,
    dialect: Dialect,
) -> Result<Instruction, ParseError> {
    let Joined { line, mut last, .. } = joined;
    let failed = |problem| ParseError::new(first.number, problem);
    let parts = take_apart(&line.text, 0, escape, 0).map_err(failed)?;
    let mut heredocs = Vec::new();
    if parts.may_hold_heredocs() {
        heredocs = heredoc::announced(&line.text, dialect.heredocs).map_err(failed)?;
        for heredoc in &mut heredocs {
            last = read_body(heredoc, lines)
                .ok_or_else(|| failed(ParseProblem::UnterminatedHeredoc { name: heredoc.name.clone() }))?;
        }
    }
    let place = Place { source, mark, line: &line, first, last };
    Ok(place.instruction(parts, heredocs, true))
}

/// Reads a heredoc's body; the line that ends it, or none where the file ends first.
fn read_body<'a>(heredoc: &mut Heredoc, lines: &mut Lines<'a>) -> Option<Line<'a>> {
    for line in lines {
        let candidate = if heredoc.chomp { line.text.trim_start_matches('\t') } else { line.text };
        if candidate == heredoc.name {
            return Some(line);
        }
        heredoc.body.push_str(line.whole);
    }
    None
}

/// Where an instruction stands.
struct Place<'a> {
    source: &'a str,
    mark: usize,
    line: &'a LogicalLine,
    first: Line<'a>,
    last: Line<'a>,
}

impl Place<'_> {
    fn instruction(&self, parts: Parts, heredocs: Vec<Heredoc>, outermost: bool) -> Instruction {
        // An instruction without a keyword, a lone continuation, has no first letter: it begins with its line.
        let (begin, number) = self.line.locate(parts.start).unwrap_or((self.first.start, self.first.number));
        let (span_start, line) =
            if outermost { (self.first.start, self.first.number) } else { (begin, number) };
        let trigger = parts.trigger.map(|inner| Box::new(self.instruction(*inner, heredocs.clone(), false)));
        Instruction {
            keyword: parts.keyword,
            line,
            end_line: self.last.number,
            span: self.mark + span_start..self.mark + self.last.end,
            raw: self.source.get(begin..self.last.text_end()).unwrap_or_default().to_owned(),
            rest: self.line.text.get(parts.rest).unwrap_or_default().to_owned(),
            flags: parts.flags,
            arguments: parts.arguments,
            heredocs,
            trigger,
        }
    }
}
