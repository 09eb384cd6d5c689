//! The first page: what is up, what is not, what is silenced and what waits.
//!
//! Owns the choice and the order of what is on it. Knows nothing about markup.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::http::Uri;
use serde::{Deserialize, Serialize};

use super::drawing::History;
use super::words::{Badge, When, took};
use super::{Refused, Viewer, asked};
use crate::history::outbox::Backlog;
use crate::probe::Verdict;
use crate::report::wording::bytes;
use crate::status::Shared;
use crate::status::access::Standing;
use crate::status::listed::{Condition, Wanted, counts, listed};
use crate::watch::board::{LastRun, ProbeView, SilenceView};

/// Probes on one page.
const PAGE: usize = 100;

#[derive(Debug, Default, Deserialize)]
struct Query {
    #[serde(default)]
    q: String,
    #[serde(default)]
    condition: String,
    #[serde(default)]
    page: String,
}

/// All that is on it.
#[derive(Debug, Serialize)]
pub(super) struct Overview {
    pub(super) viewer: Viewer,
    /// This page's own place, for going back to it.
    pub(super) here: String,
    pub(super) title: String,
    tone: &'static str,
    /// What is the case, in a few words.
    headline: String,
    updated: When,
    started: When,
    counts: Vec<Count>,
    problems: Vec<String>,
    sinks: Vec<Sink>,
    silences: Vec<Silence>,
    q: String,
    condition: String,
    total: usize,
    rows: Vec<Row>,
    pages: usize,
    page: usize,
    previous: Option<String>,
    next: Option<String>,
}

#[derive(Debug, Serialize)]
struct Count {
    badge: Badge,
    number: usize,
    link: String,
    is_chosen: bool,
}

/// What waits for a sink.
#[derive(Debug, Serialize)]
struct Sink {
    name: String,
    waiting: u64,
    size: String,
    oldest: Option<When>,
    dead: u64,
    lost: u64,
}

#[derive(Debug, Serialize)]
struct Silence {
    id: Option<String>,
    probes: String,
    matches: usize,
    reason: String,
    is_in_force: bool,
    from: When,
    until: When,
}

/// A probe in the list.
#[derive(Debug, Serialize)]
struct Row {
    #[serde(flatten)]
    face: Face,
    link: String,
    summary: Option<String>,
    history: History,
}

/// What stands at the top of a probe's own page too.
#[derive(Debug, Serialize)]
pub(super) struct Face {
    pub(super) name: String,
    kind: String,
    host: String,
    tags: Vec<String>,
    pub(super) badge: Badge,
    is_flapping: bool,
    silenced_until: Option<When>,
    open_since: Option<When>,
    last: Option<When>,
    took: Option<String>,
    next: Option<When>,
    running_since: Option<When>,
    is_on_events_only: bool,
}

impl Face {
    pub(super) fn of(view: &ProbeView, now: i64) -> Self {
        let when = |at: Option<i64>| at.map(|at| When::of(at, now));
        // What is due this very moment is not late yet.
        let next = view.next.map(|at| When::of(at.max(now), now));
        Self {
            name: view.identity.name.clone(),
            kind: view.identity.kind.clone(),
            host: view.identity.host.clone(),
            tags: view.identity.tags.clone(),
            badge: Badge::of(Condition::of_probe(view)),
            is_flapping: view.is_flapping,
            silenced_until: when(view.silenced_until),
            open_since: when(view.open_since),
            last: when(view.last.as_ref().map(|last| last.at)),
            took: view.last.as_ref().map(|last| took(last.seconds)),
            next,
            running_since: when(view.running_since),
            is_on_events_only: view.schedule.is_empty(),
        }
    }
}

/// Where a probe has its own page.
pub(super) fn link(name: &str) -> String {
    format!("/probes/{}", encoded(name))
}

/// As one segment of a path.
fn encoded(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_~".contains(&byte);
    // A name of dots alone would be a step in the path.
    let dotted = |byte: u8| byte == b'.' && text.bytes().any(plain);
    text.bytes()
        .map(
            |byte| {
                if plain(byte) || dotted(byte) {
                    char::from(byte).to_string()
                } else {
                    format!("%{byte:02X}")
                }
            },
        )
        .collect()
}

fn address(q: &str, condition: &str, page: usize) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    for (name, value) in [("q", q), ("condition", condition)] {
        if !value.is_empty() {
            query.append_pair(name, value);
        }
    }
    if page > 1 {
        query.append_pair("page", &page.to_string());
    }
    let query = query.finish();
    if query.is_empty() { "/".to_owned() } else { format!("/?{query}") }
}

pub(super) async fn show(
    State(shared): State<Arc<Shared>>,
    Extension(standing): Extension<Standing>,
    uri: Uri,
) -> Result<super::templates::Page, Refused> {
    // What is not understood is as if it were not there.
    let query: Query = asked(&uri).unwrap_or_default();
    let backlog = shared.board.backlog().await.map_err(|error| Refused(Arc::clone(&shared), error.into()))?;
    let made = Arc::clone(&shared)
        .make(move |shared| shared.pages.overview(&overview(shared, &standing, &query, &backlog)));
    made.await.map_err(|problem| Refused(shared, problem))
}

fn overview(shared: &Shared, standing: &Standing, query: &Query, backlog: &[Backlog]) -> Overview {
    let now = shared.now();
    let health = shared.board.health();
    let all = shared.board.probes();
    let counts = counts(&all);
    let incidents = all.iter().filter(|view| view.open_since.is_some()).count();
    let chosen = Condition::ALL.into_iter().find(|condition| condition.word() == query.condition);
    let condition = chosen.map(Condition::word).unwrap_or_default();
    let views = listed(all, &Wanted { text: &query.q, condition: chosen });
    let pages = views.len().div_ceil(PAGE).max(1);
    let page = query.page.parse().unwrap_or(1).clamp(1, pages);
    let (headline, tone) = headline(&counts, incidents, !health.problems.is_empty());
    let to = |page: usize| address(&query.q, condition, page);
    Overview {
        viewer: Viewer::of(shared, standing, &to(page)),
        here: to(page),
        title: headline.clone(),
        tone,
        headline,
        updated: When::of(now, now),
        started: When::of(health.started_at, now),
        counts: counts
            .into_iter()
            .filter(|(_, number)| *number > 0)
            .map(|(of, number)| {
                let is_chosen = chosen == Some(of);
                let link = address(&query.q, if is_chosen { "" } else { of.word() }, 1);
                Count { badge: Badge::of(of), number, link, is_chosen }
            })
            .collect(),
        problems: health.problems,
        sinks: backlog.iter().map(|one| sink(one, now)).collect(),
        silences: shared.board.silences().into_iter().map(|view| silence(view, now)).collect(),
        q: query.q.clone(),
        condition: condition.to_owned(),
        total: views.len(),
        rows: views.iter().skip((page - 1) * PAGE).take(PAGE).map(|view| row(view, now)).collect(),
        pages,
        page,
        previous: (page > 1).then(|| to(page - 1)),
        next: (page < pages).then(|| to(page + 1)),
    }
}

fn headline(counts: &[(Condition, usize)], incidents: usize, has_problems: bool) -> (String, &'static str) {
    let of = |condition| counts.iter().find(|(of, _)| *of == condition).map_or(0, |(_, number)| *number);
    let total: usize = counts.iter().map(|(_, number)| number).sum();
    let (down, unknown, warning) = (of(Condition::Down), of(Condition::Unknown), of(Condition::Warning));
    match () {
        () if down > 0 => (format!("{down} of {total} down"), "bad"),
        () if unknown > 0 => (format!("{unknown} of {total} unknown"), "other"),
        () if incidents > 0 => (format!("{incidents} of {total} with an open incident"), "bad"),
        () if has_problems => ("The daemon has a problem".to_owned(), "careful"),
        () if warning > 0 => (format!("{warning} of {total} with a warning"), "careful"),
        () if total == 0 => ("Nothing is watched".to_owned(), "none"),
        () if of(Condition::Pending) == total => ("No probe has run yet".to_owned(), "none"),
        () => ("All up".to_owned(), "good"),
    }
}

fn sink(backlog: &Backlog, now: i64) -> Sink {
    Sink {
        name: backlog.sink.clone(),
        waiting: backlog.waiting,
        size: bytes(backlog.bytes),
        oldest: backlog.oldest.map(|at| When::of(at / 1000, now)),
        dead: backlog.dead,
        lost: backlog.losses.iter().map(|loss| loss.entries).sum(),
    }
}

fn silence(view: SilenceView, now: i64) -> Silence {
    Silence {
        id: view.id,
        probes: view.probes,
        matches: view.matches,
        is_in_force: view.silence.covers(now),
        from: When::of(view.silence.from, now),
        until: When::of(view.silence.until, now),
        reason: view.silence.reason,
    }
}

fn row(view: &ProbeView, now: i64) -> Row {
    Row {
        face: Face::of(view, now),
        link: link(&view.identity.name),
        summary: view.last.as_ref().and_then(summary),
        history: History::of(&view.recent.iter(), now).short(),
    }
}

/// What is said of a run that did not simply pass.
fn summary(last: &LastRun) -> Option<String> {
    match last.verdict {
        Verdict::Passed => None,
        // The line is that of the attempt that passed.
        Verdict::PassedOnRetry => Some(format!("passed on retry: {}", last.summary)),
        Verdict::CleanupFailed => Some(format!("a cleanup failed: {}", last.summary)),
        Verdict::Warning | Verdict::Failed | Verdict::Errored => Some(last.summary.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_segment_of_a_path_whatever_it_is() {
        assert_eq!(link("shop.api"), "/probes/shop.api");
        assert_eq!(link("a/b c?"), "/probes/a%2Fb%20c%3F");
        assert_eq!(link(".."), "/probes/%2E%2E");
        assert_eq!(link("käse"), "/probes/k%C3%A4se");
    }

    #[test]
    fn the_headline_says_the_worst() {
        let counts = |numbers: [usize; 5]| Condition::ALL.into_iter().zip(numbers).collect::<Vec<_>>();
        let said = |numbers, incidents, problems| headline(&counts(numbers), incidents, problems).0;
        assert_eq!(said([2, 1, 1, 1, 5], 1, true), "2 of 10 down");
        assert_eq!(said([0, 1, 1, 0, 5], 1, true), "1 of 7 unknown");
        assert_eq!(said([0, 0, 1, 0, 5], 1, true), "1 of 6 with an open incident");
        assert_eq!(said([0, 0, 1, 0, 5], 0, true), "The daemon has a problem");
        assert_eq!(said([0, 0, 1, 0, 5], 0, false), "1 of 6 with a warning");
        assert_eq!(said([0, 0, 0, 2, 5], 0, false), "All up");
        assert_eq!(said([0, 0, 0, 2, 0], 0, false), "No probe has run yet");
        assert_eq!(said([0; 5], 0, false), "Nothing is watched");
    }

    #[test]
    fn a_place_in_the_list_is_an_address() {
        assert_eq!(address("", "", 1), "/");
        assert_eq!(address("shop & co", "down", 3), "/?q=shop+%26+co&condition=down&page=3");
    }
}
