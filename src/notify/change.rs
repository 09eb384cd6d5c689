//! What is told when a probe came to something else than the run before.
//!
//! Owns the words for it, and what they mean to DataDog, for the two ways that lead there. Writes no format.

use crate::notify::{Notice, metrics, text};
use crate::probe::{ProbeRun, Verdict};

/// Most characters of a title.
const MOST_TITLE_CHARS: usize = 100;
/// Most bytes of a key that puts events together.
const MOST_KEY_BYTES: usize = 100;

/// An event of DataDog, before it is written. Its text calls nobody and has no markup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Change {
    /// One line of at most 100 characters.
    pub(crate) title: String,
    /// Lines. May be too long.
    pub(crate) text: String,
    /// The same for all events of a probe, in at most 100 bytes.
    pub(crate) aggregation_key: String,
    /// `error`, `warning` or `success`.
    pub(crate) alert_type: &'static str,
    /// `normal`, or `low` where nobody has to do anything.
    pub(crate) priority: &'static str,
    /// In Unix seconds.
    pub(crate) at: i64,
}

impl Change {
    /// The change that a notice tells of, if it tells of one.
    #[must_use]
    pub(crate) fn of(notice: &Notice) -> Option<Self> {
        let Notice::Finished { run, changed_from: Some(before) } = notice else { return None };
        let verdict = run.verdict();
        (verdict != *before).then(|| Self::new(run, verdict, *before))
    }

    fn new(run: &ProbeRun, verdict: Verdict, before: Verdict) -> Self {
        let (probe, host) = (text::one_line(&run.probe.name), text::one_line(&run.probe.host));
        let words = format!(" {}, was {}", words(verdict), words(before));
        let room = MOST_TITLE_CHARS.saturating_sub(words.chars().count());
        // Made harmless before it is cut: that adds characters, and what it came to is not to be cut off for them.
        let title = format!("{}{words}", plain(&format!("{probe} on {host}:"), room));
        let mut told = vec![text::one_line(run.summary()), String::new()];
        told.extend(run.attempts.iter().map(|attempt| {
            let state = format!("{:?}", attempt.seen.state).to_lowercase();
            format!("attempt {}: {state}: {}", attempt.number, text::one_line(&attempt.seen.summary))
        }));
        told.push(format!("run {}", text::one_line(&run.id)));
        Self {
            title,
            text: plain(&told.join("\n"), usize::MAX),
            aggregation_key: text::key(&format!("{probe}/{host}"), MOST_KEY_BYTES).into_owned(),
            alert_type: alert_type(verdict),
            priority: if verdict == Verdict::Passed { "low" } else { "normal" },
            at: metrics::ended_at(run.started_at, run.seconds),
        }
    }
}

/// `%%%` begins Markdown, which could show a picture or a link of a stranger; `@name` writes to people.
fn plain(text: &str, most: usize) -> String {
    // What stands between two pairs is met the second time.
    let apart = text.replace("%%", "%\u{200b}%").replace("%%", "%\u{200b}%");
    let text = text::without_mentions(&apart);
    text::cut_chars(&text, most).into_owned()
}

/// What a verdict is called among people.
#[must_use]
pub(crate) const fn words(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Passed => "passed",
        Verdict::Warning => "passed with a warning",
        Verdict::PassedOnRetry => "passed on retry",
        Verdict::CleanupFailed => "cleanup failed",
        Verdict::Failed => "failed",
        Verdict::Errored => "could not be checked",
    }
}

const fn alert_type(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Passed => "success",
        Verdict::Warning | Verdict::PassedOnRetry | Verdict::CleanupFailed => "warning",
        Verdict::Failed | Verdict::Errored => "error",
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::notify::sample;

    #[test]
    fn only_another_verdict_is_a_change() {
        assert_eq!(Change::of(&sample::finished(Verdict::Failed, None)), None);
        assert_eq!(Change::of(&sample::finished(Verdict::Failed, Some(Verdict::Failed))), None);
        assert_eq!(Change::of(&sample::alert()), None);
        let change = Change::of(&sample::finished(Verdict::Failed, Some(Verdict::Passed))).unwrap();
        assert_eq!(change.title, "example.integration on staging.example: failed, was passed");
        assert_eq!((change.alert_type, change.priority, change.at), ("error", "normal", sample::AT + 5));
    }

    #[test]
    fn a_long_name_does_not_hide_what_it_came_to() {
        let mut run = sample::run(Verdict::Passed);
        run.probe.name = "n".repeat(300);
        let change = Change::of(&Notice::Finished { run, changed_from: Some(Verdict::Errored) }).unwrap();
        assert_eq!(change.title.chars().count(), 100);
        assert!(change.title.ends_with("… passed, was could not be checked"), "{}", change.title);
        assert_eq!(change.aggregation_key.len(), 100);
    }

    #[test]
    fn a_name_that_gets_longer_when_it_is_made_harmless_does_not_hide_it_either() {
        let mut run = sample::run(Verdict::Passed);
        run.probe.name = "@a%%%".repeat(30);
        let change = Change::of(&Notice::Finished { run, changed_from: Some(Verdict::Failed) }).unwrap();
        assert_eq!(change.title.chars().count(), 100);
        assert!(change.title.ends_with("… passed, was failed"), "{}", change.title);
    }

    #[test]
    fn percent_signs_begin_no_markdown_however_many_there_are() {
        for count in 3..12 {
            let text = plain(&"%".repeat(count), usize::MAX);
            assert!(!text.contains("%%") && text.matches('%').count() == count, "{count}: {text}");
        }
    }

    proptest! {
        #[test]
        fn text_of_strangers_calls_nobody_and_has_no_markup(text in sample::hostile()) {
            for change in sample::everywhere(&text).iter().filter_map(Change::of) {
                prop_assert!(change.title.chars().count() <= 100 && !change.title.contains('\n'));
                prop_assert!(change.aggregation_key.len() <= 100);
                for text in [&change.title, &change.text] {
                    prop_assert!(!text.contains("%%%") && !text.contains("@channel") && !text.contains("@here"));
                }
            }
        }
    }
}
