//! The summary for people: what happened, why, and where to look.
//!
//! Owns the layout. Everything that a test, an image or an engine supplied is made printable, and no line of it
//! begins with text that a CI log would obey.

mod block;
mod many;
mod page;

use crate::report::style::Style;
use crate::results::RunResults;
use page::Page;

const MIN_WIDTH: usize = 30;

/// The whole summary, with its last line end.
#[must_use]
pub fn render(results: &RunResults, style: Style) -> String {
    let style = Style { width: style.width.max(MIN_WIDTH), ..style };
    let mut page = Page { text: String::new(), style };
    match results.tests.as_slice() {
        [only] => block::of_single(only, results, &mut page),
        _ => many::of_run(results, &mut page),
    }
    page.text
}

#[cfg(test)]
mod tests;
