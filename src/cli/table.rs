//! Columns for people, where they fit: else a few short lines for each row.

use unicode_width::UnicodeWidthStr;

use crate::report::text::wrap;

const GAP: &str = "  ";

/// A column.
pub(super) struct Column {
    pub(super) header: &'static str,
    /// Numbers end below one another.
    pub(super) right: bool,
}

/// A column of text.
pub(super) const fn text(header: &'static str) -> Column {
    Column { header, right: false }
}

/// A column of numbers.
pub(super) const fn number(header: &'static str) -> Column {
    Column { header, right: true }
}

/// Rows of printable cells below the headers, or by how many columns they are wider than `width`.
pub(super) fn render(columns: &[Column], rows: &[Vec<String>], width: usize) -> Result<String, usize> {
    let header: Vec<String> = columns.iter().map(|column| column.header.to_owned()).collect();
    let lines = || std::iter::once(&header).chain(rows);
    let mut widths = vec![0; columns.len()];
    for line in lines() {
        for (wide, cell) in widths.iter_mut().zip(line) {
            *wide = cell.width().max(*wide);
        }
    }
    let total = widths.iter().sum::<usize>() + GAP.len() * columns.len().saturating_sub(1);
    match total.saturating_sub(width) {
        0 => Ok(lines().map(|line| row(columns, &widths, line)).collect()),
        excess => Err(excess),
    }
}

fn row(columns: &[Column], widths: &[usize], cells: &[String]) -> String {
    let mut text = String::new();
    for ((column, width), cell) in columns.iter().zip(widths).zip(cells) {
        let space = " ".repeat(width - cell.width());
        let (left, right) = if column.right { (&space, cell) } else { (cell, &space) };
        text.extend([left.as_str(), right.as_str(), GAP]);
    }
    format!("{}\n", text.trim_end())
}

/// A first line as it is, which people copy from, and others below it that are broken where they must be.
pub(super) fn block(first: &str, below: &[String], width: usize) -> String {
    let room = width.saturating_sub(GAP.len()).max(1);
    let lines = below.iter().filter(|line| !line.is_empty()).flat_map(|line| wrap(line, room));
    let below: String = lines.flat_map(|line| [GAP.to_owned(), line, "\n".to_owned()]).collect();
    format!("{first}\n{below}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell_and_numbers_end_together() {
        let columns = [text("NAME"), number("RUNS"), text("LAST")];
        let cells = |row: [&str; 3]| row.map(str::to_owned).to_vec();
        let rows = [cells(["漢字", "9", "passed"]), cells(["a", "10000", ""])];
        let table = render(&columns, &rows, 19).unwrap();
        assert_eq!(table, "NAME   RUNS  LAST\n漢字      9  passed\na     10000\n");
        assert_eq!(render(&columns, &rows, 16), Err(3));
    }

    #[test]
    fn a_block_fits_but_for_its_first_line() {
        let block = block("a-name-of-some-length", &["some words".to_owned(), String::new()], 8);
        assert_eq!(block, "a-name-of-some-length\n  some\n  words\n");
    }
}
