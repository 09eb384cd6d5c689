//! Hides secret values in text and byte streams, whole or in the encodings that they usually travel in.
//!
//! Owns the list of forms a value can take and the search for them. Does not decide what is a secret, beyond
//! the rule on variable names, and never shows a value: `Debug` prints a count.

mod forms;
mod stream;

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};

pub use stream::RedactStream;

/// Values with fewer characters are left alone: they would hide half the output.
pub const MIN_SECRET_CHARS: usize = 6;

/// Bytes that are searched at once where only a beginning is wanted.
const CHUNK: usize = 8 * 1024;

/// Comparisons that take about as long as building an automaton of a few secrets does.
const PLAIN: usize = 1 << 18;

/// What stands in place of a hidden value.
pub const REPLACEMENT: &str = "***";

const SECRET_WORDS: [&str; 6] = ["TOKEN", "SECRET", "PASSWORD", "PASSWD", "KEY", "CREDENTIAL"];

/// True where a variable of this name is taken to hold a secret.
#[must_use]
pub fn is_secret_name(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    SECRET_WORDS.iter().any(|word| name.contains(word))
}

/// Values that are to be hidden. `Debug` prints a count.
#[derive(Clone, Default)]
pub struct Secrets(BTreeSet<String>);

impl Extend<String> for Secrets {
    fn extend<I: IntoIterator<Item = String>>(&mut self, values: I) {
        self.0.extend(values);
    }
}

impl IntoIterator for Secrets {
    type Item = String;
    type IntoIter = std::collections::btree_set::IntoIter<String>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Secrets").field(&self.0.len()).finish()
    }
}

/// Replaces every occurrence of every secret value with `***`. Cheap to clone.
///
/// Hidden are the value itself, each of its lines, and its base64 (standard and URL alphabet, at any position in a
/// longer encoded text), percent-encoded, JSON-escaped and XML-escaped forms. Occurrences that overlap or touch
/// become one `***`.
#[derive(Clone, Default)]
pub struct Redactor {
    search: Option<Arc<Search>>,
}

impl Redactor {
    /// Prepares the search. Values of fewer than [`MIN_SECRET_CHARS`] characters are ignored.
    pub fn new(secrets: impl IntoIterator<Item = String>) -> Self {
        let mut patterns = BTreeSet::new();
        for secret in secrets {
            forms::collect(&secret, &mut patterns);
        }
        Self { search: Search::new(patterns.into_iter().collect()).map(Arc::new) }
    }

    /// True where there is nothing to hide.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.search.is_none()
    }

    /// The text with every secret hidden; borrowed where it holds none.
    #[must_use]
    pub fn redact<'a>(&self, text: &'a str) -> Cow<'a, str> {
        match &self.search {
            Some(search) if search.occurs_in(text.as_bytes()) => {
                let mut stream = self.stream();
                let mut bytes = stream.push(text.as_bytes());
                bytes.extend(stream.flush());
                Cow::Owned(String::from_utf8_lossy(&bytes).into_owned())
            }
            _ => Cow::Borrowed(text),
        }
    }

    /// The beginning of `bytes`, at most `most` of them once every secret is hidden: the cut leaves no part of one, and
    /// neither does a cut that was made at the end of `bytes` before.
    #[must_use]
    pub fn beginning(&self, bytes: &[u8], most: usize) -> String {
        let mut stream = self.stream();
        let mut shown = Vec::new();
        for chunk in bytes.chunks(CHUNK) {
            shown.extend(stream.push(chunk));
            // What comes after it may be a thousand times as much.
            if shown.len() >= most {
                break;
            }
        }
        shown.extend(stream.cut());
        shown.truncate(most);
        String::from_utf8_lossy(&shown).into_owned()
    }

    /// A redactor of a byte stream that arrives in chunks. Streams are independent of one another.
    #[must_use]
    pub fn stream(&self) -> RedactStream {
        RedactStream::new(self)
    }
}

impl AsRef<Self> for Redactor {
    fn as_ref(&self) -> &Self {
        self
    }
}

impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let patterns = self.search.as_ref().map_or(0, |search| search.patterns.len());
        f.debug_struct("Redactor").field("patterns", &patterns).finish_non_exhaustive()
    }
}

/// The forms of all secrets, sorted, and what finds them: first a plain look, later an automaton.
struct Search {
    patterns: Vec<Vec<u8>>,
    longest: usize,
    /// Which of the patterns begin with a byte.
    by_first: Vec<Range<usize>>,
    /// What plain looks have taken so far, in comparisons.
    looked: AtomicUsize,
    /// Absent where it could not be built, which takes gigabytes of secrets: then all is hidden.
    automaton: OnceLock<Option<AhoCorasick>>,
}

impl Search {
    fn new(patterns: Vec<Vec<u8>>) -> Option<Self> {
        let longest = patterns.iter().map(Vec::len).max()?;
        let by_first = (0..=u8::MAX).map(|byte| {
            let begin = patterns.partition_point(|pattern| pattern.first() < Some(&byte));
            begin..patterns.partition_point(|pattern| pattern.first() <= Some(&byte))
        });
        let by_first = by_first.collect();
        Some(Self { patterns, longest, by_first, looked: AtomicUsize::new(0), automaton: OnceLock::new() })
    }

    /// The patterns that begin with this byte.
    fn beginning_with(&self, byte: u8) -> &[Vec<u8>] {
        let range = self.by_first.get(usize::from(byte)).cloned().unwrap_or_default();
        self.patterns.get(range).unwrap_or_default()
    }

    fn automaton(&self) -> Option<&AhoCorasick> {
        // Standard semantics alone can report overlapping matches, and a value that overlaps another is one too.
        // A DFA of a private key in all its forms would take more memory than the rest of the program.
        let build = || {
            AhoCorasick::builder()
                .match_kind(MatchKind::Standard)
                .kind(Some(AhoCorasickKind::ContiguousNFA))
                .build(&self.patterns)
                .ok()
        };
        self.automaton.get_or_init(build).as_ref()
    }

    /// Whether to look without the automaton. It takes milliseconds to build, which a program that hides a few lines and
    /// ends does not have: it is built once plain looks come to as much.
    fn looks_plainly(&self, bytes: &[u8]) -> bool {
        if bytes.len() > PLAIN || self.automaton.get().is_some() {
            return false;
        }
        let looked = self.looked.load(Ordering::Relaxed);
        let mut comparisons = bytes.iter().map(|byte| 1 + self.beginning_with(*byte).len());
        let after = comparisons.try_fold(looked, |sum, more| Some(sum + more).filter(|sum| *sum <= PLAIN));
        after.inspect(|after| self.looked.store(*after, Ordering::Relaxed)).is_some()
    }

    fn plainly<'a>(&'a self, bytes: &'a [u8]) -> impl Iterator<Item = (usize, usize)> + 'a {
        bytes.iter().enumerate().flat_map(move |(start, first)| {
            let rest = bytes.get(start..).unwrap_or_default();
            let found = self.beginning_with(*first).iter().filter(|pattern| rest.starts_with(pattern));
            found.map(move |pattern| (start, start + pattern.len()))
        })
    }

    fn occurs_in(&self, bytes: &[u8]) -> bool {
        if self.looks_plainly(bytes) {
            return self.plainly(bytes).next().is_some();
        }
        self.automaton().is_none_or(|automaton| automaton.is_match(bytes))
    }

    /// All that is found, also where it overlaps; everything where nothing could be.
    fn found(&self, bytes: &[u8]) -> Vec<(usize, usize)> {
        if self.looks_plainly(bytes) {
            return self.plainly(bytes).collect();
        }
        match self.automaton() {
            Some(automaton) if automaton.is_match(bytes) => {
                automaton.find_overlapping_iter(bytes).map(|found| (found.start(), found.end())).collect()
            }
            Some(_) => Vec::new(),
            None => vec![(0, bytes.len())],
        }
    }

    /// The byte ranges to hide, merged, in order, within `bytes`.
    fn hidden_ranges(&self, bytes: &[u8]) -> Vec<(usize, usize)> {
        let mut found = self.found(bytes);
        found.sort_unstable();
        let mut merged: Vec<(usize, usize)> = Vec::new();
        for (start, end) in found {
            match merged.last_mut() {
                Some(last) if start <= last.1 => last.1 = last.1.max(end),
                _ => merged.push((start, end)),
            }
        }
        merged
    }

    /// Where the first suffix of `bytes` begins that could still grow into a secret; its length where none could.
    fn undecided_from(&self, bytes: &[u8]) -> usize {
        let earliest = bytes.len().saturating_sub(self.longest.saturating_sub(1));
        (earliest..bytes.len())
            .find(|start| bytes.get(*start..).is_some_and(|suffix| self.begins_a_pattern(suffix)))
            .unwrap_or(bytes.len())
    }

    fn begins_a_pattern(&self, text: &[u8]) -> bool {
        let Some(first) = text.first() else { return false };
        let patterns = self.beginning_with(*first);
        // In sorted order the patterns that begin with `text` follow it, `text` itself first.
        let next = patterns.partition_point(|pattern| pattern.as_slice() <= text);
        patterns.get(next).is_some_and(|pattern| pattern.starts_with(text))
    }
}

#[cfg(test)]
mod tests;
