//! Redaction of a byte stream that arrives in chunks of any size.
//!
//! Owns the bytes whose fate is undecided: the longest tail that could be the beginning of a secret, never more.
//! The result does not depend on where the chunks are cut.

use std::fmt;
use std::sync::Arc;

use super::{MIN_SECRET_CHARS, REPLACEMENT, Redactor, Search};

/// Redacts one stream. What [`RedactStream::push`] holds back is given out by a later push or by
/// [`RedactStream::flush`].
pub struct RedactStream {
    search: Option<Arc<Search>>,
    held: Vec<u8>,
    /// How many of the held bytes at the front are known to be part of a secret.
    covered: usize,
    /// The last byte that was decided belonged to a secret, and its `***` is already out.
    inside: bool,
}

impl RedactStream {
    /// A stream that hides what `redactor` hides.
    #[must_use]
    pub fn new(redactor: impl AsRef<Redactor>) -> Self {
        Self { search: redactor.as_ref().search.clone(), held: Vec::new(), covered: 0, inside: false }
    }

    /// Takes the next chunk and returns everything that is decided.
    pub fn push(&mut self, chunk: &[u8]) -> Vec<u8> {
        let Some(search) = self.search.clone() else { return chunk.to_vec() };
        self.held.extend_from_slice(chunk);
        let undecided = search.undecided_from(&self.held);
        self.release(&search, undecided)
    }

    /// Ends the stream: returns what was held back. The stream can be used again afterwards.
    pub fn flush(&mut self) -> Vec<u8> {
        let Some(search) = self.search.clone() else { return Vec::new() };
        let rest = self.release(&search, self.held.len());
        self.inside = false;
        self.covered = 0;
        rest
    }

    /// Ends a stream that may have been cut: as [`RedactStream::flush`], but what the beginning of a secret may be is
    /// hidden, too, where it is long enough to be told from ordinary text.
    pub fn cut(&mut self) -> Vec<u8> {
        if self.held.len() >= MIN_SECRET_CHARS {
            self.covered = self.held.len();
        }
        self.flush()
    }

    /// Gives out the first `decided` bytes. A secret that begins there and ends later is complete: had it been able
    /// to grow, its first byte would be undecided.
    fn release(&mut self, search: &Search, decided: usize) -> Vec<u8> {
        let mut ranges = search.hidden_ranges(&self.held);
        if self.covered > 0 {
            ranges.insert(0, (0, self.covered));
        }
        let mut out = Vec::with_capacity(decided);
        let mut done = 0;
        // Also where nothing is decided this time.
        let mut covered_to = self.covered;
        for (start, end) in ranges {
            if start >= decided {
                break;
            }
            if start > done {
                out.extend_from_slice(self.held.get(done..start).unwrap_or_default());
                self.inside = false;
            }
            if !self.inside {
                out.extend_from_slice(REPLACEMENT.as_bytes());
                self.inside = true;
            }
            covered_to = covered_to.max(end);
            done = done.max(end.min(decided));
        }
        if done < decided {
            out.extend_from_slice(self.held.get(done..decided).unwrap_or_default());
            self.inside = false;
        }
        self.covered = covered_to.saturating_sub(decided);
        self.held.drain(..decided.min(self.held.len()));
        out
    }
}

impl fmt::Debug for RedactStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedactStream").field("held_bytes", &self.held.len()).finish_non_exhaustive()
    }
}
