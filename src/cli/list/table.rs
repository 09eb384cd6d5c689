//! A list of tests for people: columns where they fit, else a few short lines for each test.

use unicode_width::UnicodeWidthStr;

use crate::report::text::{printable, truncate, wrap};
use crate::suite::listing::Listed;

const HEADER: [&str; 4] = ["NAME", "TYPE", "IMAGE", "NEEDS"];
const GAP: usize = 2;

/// One test a line where all of them fit into `width`, with names as they are in any case.
pub(super) fn render(tests: &[&Listed<'_>], width: usize) -> String {
    let rows: Vec<[String; 4]> = tests.iter().map(|test| row(test)).collect();
    let header = HEADER.map(str::to_owned);
    let wide = |column: usize| {
        let cells = rows.iter().chain([&header]).filter_map(|row| row.get(column));
        cells.map(|cell| cell.width()).max().unwrap_or_default()
    };
    let widths = [0, 1, 2, 3].map(wide);
    let has_needs = rows.iter().any(|[.., needs]| !needs.is_empty());
    let shown = if has_needs { 4 } else { 3 };
    let total = widths.iter().take(shown).sum::<usize>() + GAP * (shown - 1);
    if total > width {
        return rows.iter().map(|row| block(row, width)).collect();
    }
    let line = |row: &[String; 4]| {
        let cells = row.iter().zip(widths).take(shown);
        let padded = cells.map(|(cell, width)| format!("{cell}{}", " ".repeat(width - cell.width() + GAP)));
        format!("{}\n", padded.collect::<String>().trim_end())
    };
    [&header].into_iter().chain(&rows).map(line).collect()
}

fn row(test: &Listed<'_>) -> [String; 4] {
    let image = match (&test.test.image, &test.test.build) {
        (Some(image), _) => image.clone(),
        (None, Some(build)) => format!("build {}", build.context),
        (None, None) => String::new(),
    };
    let needs: Vec<&str> = test.needs.iter().map(super::needed).collect();
    [test.name.to_owned(), test.test_type.to_owned(), image, needs.join(", ")]
        .map(|cell| printable(&cell).into_owned())
}

/// The name, and the rest below it.
fn block([name, test_type, image, needs]: &[String; 4], width: usize) -> String {
    let room = width.saturating_sub(GAP).max(1);
    let mut text = format!("{name}\n");
    let mut add = |line: &str| {
        text.push_str(&" ".repeat(GAP));
        text.push_str(&truncate(line, room));
        text.push('\n');
    };
    add(&format!("{test_type}  {image}"));
    if !needs.is_empty() {
        for line in wrap(&format!("needs {needs}"), room) {
            add(&line);
        }
    }
    text
}
