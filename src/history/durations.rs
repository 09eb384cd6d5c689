//! How long tests usually take: the last durations of each test of a subject, kept beside the runs so that one look
//! finds those of all tests, also where the last runs had few of them.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension, Statement};

use super::error::Refused;
use super::outcome::has_duration;
use super::record::{Run, TestRecord};
use super::{History, HistoryError};

/// How many durations of a test count.
const RECENT: usize = 10;
/// Bytes of one of them.
const SIZE: usize = size_of::<f64>();

impl History {
    /// Seconds that each test of the subject usually takes, all attempts together: the median of its last ten durations,
    /// of those that ran to an end of their own or to their limit.
    pub fn expected(&self, subject: &str) -> Result<BTreeMap<String, f64>, HistoryError> {
        self.read(|database| {
            let mut select = database.prepare(
                "SELECT durations.name, recent FROM durations JOIN subjects ON subjects.id = subject
                 WHERE subjects.name = ?1",
            )?;
            let mut rows = select.query([subject])?;
            let mut expected = BTreeMap::new();
            while let Some(row) = rows.next()? {
                let mut recent = decode(row.get_ref(1)?.as_blob().unwrap_or_default());
                if let Some(median) = median(&mut recent) {
                    expected.insert(row.get(0)?, median);
                }
            }
            Ok(expected)
        })
    }
}

/// Statements that add durations, prepared once for many.
pub(super) struct Durations<'a> {
    known: Statement<'a>,
    keep: Statement<'a>,
}

impl<'a> Durations<'a> {
    pub(super) fn prepare(database: &'a Connection) -> Result<Self, Refused> {
        Ok(Self {
            known: database.prepare("SELECT recent FROM durations WHERE subject = ?1 AND name = ?2")?,
            keep: database.prepare(
                "INSERT OR REPLACE INTO durations (subject, name, recent, last) VALUES (?1, ?2, ?3, ?4)",
            )?,
        })
    }

    pub(super) fn add(&mut self, run: &Run, test: &TestRecord) -> Result<(), Refused> {
        if !has_duration(test.outcome) || !test.seconds.is_finite() {
            return Ok(());
        }
        let known: Option<Vec<u8>> =
            self.known.query_row((run.subject, &test.name), |row| row.get(0)).optional()?;
        let mut recent = known.unwrap_or_default();
        recent.extend(test.seconds.to_le_bytes());
        recent.drain(..recent.len().saturating_sub(RECENT * SIZE));
        self.keep.execute((run.subject, &test.name, recent, run.seq))?;
        Ok(())
    }
}

fn decode(bytes: &[u8]) -> Vec<f64> {
    let (numbers, _) = bytes.as_chunks::<SIZE>();
    numbers.iter().map(|number| f64::from_le_bytes(*number)).collect()
}

/// The middle of some numbers, or the mean of the two in the middle.
pub(super) fn median(numbers: &mut [f64]) -> Option<f64> {
    numbers.sort_by(f64::total_cmp);
    let upper = numbers.get(numbers.len() / 2)?;
    match numbers.len() % 2 {
        0 => numbers.get(numbers.len() / 2 - 1).map(|lower| f64::midpoint(*lower, *upper)),
        _ => Some(*upper),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_in_order() {
        assert_eq!(median(&mut []), None);
        assert_eq!(median(&mut [3.0]), Some(3.0));
        assert_eq!(median(&mut [9.0, 1.0]), Some(5.0));
        assert_eq!(median(&mut [9.0, 1.0, 2.0]), Some(2.0));
    }
}
