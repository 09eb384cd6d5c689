//! `docker-test history tests`: flaky and slow tests over the newest runs.

use clap::{Args, ValueEnum};
use serde::Serialize;

use super::super::table::{self, number, text};
use super::{Format, Listing, Scope, shown_subject, terminal};
use crate::error::Failure;
use crate::history::{StatisticsOrder, TestStatistics, sort};
use crate::report::text::printable;
use crate::report::wording::{count, duration, outcome_word};
use crate::results::Outcome;
use crate::suite::pattern::NamePattern;

/// Columns of a subject that stands beside the test.
const SUBJECT: usize = 30;

/// Flags of `history tests`.
#[derive(Debug, Args)]
pub(super) struct TestsArgs {
    /// Tests by name, glob (checkout*) or /regular expression/; those with ! before them are left out (default: all).
    #[arg(value_name = "NAME", value_parser = NamePattern::parse)]
    names: Vec<NamePattern>,
    #[command(flatten)]
    scope: Scope,
    /// What comes first
    #[arg(long = "sort", id = "history-sort", value_enum, default_value_t, value_name = "ORDER")]
    sort: Order,
    /// How many tests are listed
    #[arg(long = "limit", id = "history-limit", value_name = "N", default_value = "20",
          value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
    /// How many of the newest runs are looked at
    #[arg(long = "runs", id = "history-runs", value_name = "N", default_value = "100",
          value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
    /// Format of the list.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// `--sort`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum Order {
    /// The highest flaky rate, then what failed most often
    #[default]
    Flaky,
    /// The longest median
    Slow,
}

/// A test, as `--format json` shows it.
#[derive(Serialize)]
struct Entry<'a> {
    name: &'a str,
    subject: &'a str,
    runs: u64,
    passed: u64,
    failed: u64,
    flaky: u64,
    flaky_rate: f64,
    median_seconds: Option<f64>,
    max_seconds: Option<f64>,
    last_outcome: Outcome,
    last_run: &'a str,
}

impl<'a> Entry<'a> {
    fn of(test: &'a TestStatistics) -> Self {
        Self {
            name: &test.name,
            subject: &test.subject,
            runs: test.runs,
            passed: test.passed,
            failed: test.failed,
            flaky: test.flaky,
            flaky_rate: test.flaky_rate(),
            median_seconds: test.median_seconds,
            max_seconds: test.max_seconds,
            last_outcome: test.last_outcome,
            last_run: &test.last_run,
        }
    }
}

pub(super) fn execute(args: &TestsArgs, listing: &Listing<'_>) -> Result<(), Failure> {
    let subject = args.scope.subject(listing.environment);
    let mut tests = match listing.open()? {
        Some(history) => history.statistics(subject.as_deref(), args.runs as usize)?,
        None => Vec::new(),
    };
    let all = tests.len() as u64;
    tests.retain(|test| is_wanted(&args.names, &test.name));
    let order = match args.sort {
        Order::Flaky => StatisticsOrder::Flaky,
        Order::Slow => StatisticsOrder::Slow,
    };
    sort(&mut tests, order);
    tests.truncate(args.limit as usize);
    if all == 0 {
        listing.note_none(subject.as_deref());
    } else if tests.is_empty() {
        terminal::note(&format!("docker-test: none of {} matches\n", count(all, "test")));
    }
    match args.format {
        Format::Json => listing.say_all(&tests.iter().map(Entry::of).collect::<Vec<_>>()),
        Format::Text if tests.is_empty() => Ok(()),
        Format::Text => listing.say(&render(&tests, listing.width())),
    }
}

/// As in `list`: any of the patterns, and none of those with `!`. A name without brackets stands for its whole matrix.
fn is_wanted(patterns: &[NamePattern], name: &str) -> bool {
    let base = name.split_once('[').map_or(name, |(base, _)| base);
    let hit = |pattern: &&NamePattern| pattern.matches(name) || pattern.matches(base);
    let mut wanted = patterns.iter().filter(|pattern| !pattern.is_negated()).peekable();
    let named = wanted.peek().is_none() || wanted.any(|pattern| hit(&pattern));
    named && !patterns.iter().filter(|pattern| pattern.is_negated()).any(|pattern| hit(&pattern))
}

fn render(tests: &[TestStatistics], width: usize) -> String {
    let one_subject = tests.windows(2).all(|pair| matches!(pair, [a, b] if a.subject == b.subject));
    let mut columns = vec![
        text("TEST"),
        number("RUNS"),
        number("FAILED"),
        number("FLAKY"),
        number("RATE"),
        number("MEDIAN"),
        number("MAX"),
        text("LAST"),
    ];
    columns.extend((!one_subject).then(|| text("SUBJECT")));
    let rows: Vec<Vec<String>> = tests
        .iter()
        .map(|test| {
            let mut cells = vec![
                printable(&test.name).into_owned(),
                test.runs.to_string(),
                test.failed.to_string(),
                test.flaky.to_string(),
                rate(test),
                test.median_seconds.map(duration).unwrap_or_default(),
                test.max_seconds.map(duration).unwrap_or_default(),
                outcome_word(test.last_outcome).to_owned(),
            ];
            cells.extend((!one_subject).then(|| shown_subject(&test.subject, SUBJECT)));
            cells
        })
        .collect();
    table::render(&columns, &rows, width)
        .unwrap_or_else(|_| tests.iter().map(|test| block(test, one_subject, width)).collect())
}

/// The share of flaky runs in whole per cent, and never 0 where there was one.
fn rate(test: &TestStatistics) -> String {
    let per_cent = test.flaky_rate() * 100.0;
    if per_cent > 0.0 && per_cent < 1.0 { "<1%".to_owned() } else { format!("{per_cent:.0}%") }
}

fn block(test: &TestStatistics, one_subject: bool, width: usize) -> String {
    let median = test.median_seconds.map(|seconds| format!("median {}", duration(seconds)));
    let max = test.max_seconds.map(|seconds| format!(", max {}", duration(seconds)));
    let room = width.saturating_sub(2).max(1);
    let below = [
        format!("{}, {} failed, {} flaky ({})", count(test.runs, "run"), test.failed, test.flaky, rate(test)),
        [median, max].into_iter().flatten().collect(),
        format!("last {}", outcome_word(test.last_outcome)),
        if one_subject { String::new() } else { shown_subject(&test.subject, room) },
    ];
    table::block(&printable(&test.name), &below, width)
}

#[cfg(test)]
mod tests {
    use unicode_width::UnicodeWidthStr;

    use super::*;

    fn statistics(name: &str, subject: &str, flaky: u64) -> TestStatistics {
        TestStatistics {
            name: name.to_owned(),
            subject: subject.to_owned(),
            runs: 300,
            passed: 299 - flaky,
            failed: 1,
            flaky,
            median_seconds: Some(2.5),
            max_seconds: Some(61.0),
            last_outcome: Outcome::TimedOut,
            last_run: "r1".to_owned(),
        }
    }

    #[test]
    fn tests_stand_in_columns_with_their_rates() {
        let tests =
            [statistics("checkout\u{7}", "a", 30), statistics("cart", "a", 1), statistics("pay", "a", 0)];
        let expected = "\
TEST           RUNS  FAILED  FLAKY  RATE  MEDIAN     MAX  LAST
checkout\\u{7}   300       1     30   10%    2.5s  1m 01s  timed out
cart            300       1      1   <1%    2.5s  1m 01s  timed out
pay             300       1      0    0%    2.5s  1m 01s  timed out
";
        assert_eq!(render(&tests, 80), expected);
    }

    #[test]
    fn subjects_are_told_where_there_are_several() {
        let tests = [statistics("checkout", "shop:1", 1), statistics("checkout", "shop:2", 1)];
        let wide = render(&tests, 100);
        assert!(wide.contains("SUBJECT\n") && wide.contains("timed out  shop:2\n"), "{wide}");
        let narrow = render(&tests, 40);
        assert!(narrow.lines().all(|line| line.width() <= 40), "{narrow}");
        assert!(narrow.contains("\n  median 2.5s, max 1m 01s\n  last timed out\n  shop:2\n"), "{narrow}");
    }

    #[test]
    fn patterns_choose_as_they_do_in_a_list() {
        let patterns = |written: &[&str]| -> Vec<NamePattern> {
            written.iter().map(|pattern| NamePattern::parse(pattern).unwrap()).collect()
        };
        assert!(is_wanted(&[], "checkout"));
        assert!(is_wanted(&patterns(&["check*"]), "checkout"));
        assert!(is_wanted(&patterns(&["checkout"]), "checkout[db=15]"));
        assert!(!is_wanted(&patterns(&["cart"]), "checkout"));
        assert!(!is_wanted(&patterns(&["!check*"]), "checkout"));
        assert!(is_wanted(&patterns(&["!check*"]), "cart"));
        assert!(!is_wanted(&patterns(&["check*", "!checkout"]), "checkout"));
    }
}
