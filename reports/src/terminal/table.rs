//! How a table is printed: aligned, without frames, in the columns that there are.

use comfy_table::{Attribute, CellAlignment, Color, ColumnConstraint, ContentArrangement, Table};

use super::Style;
use crate::escape;
use crate::number::thousands;

/// One line of dashes under the header and nothing else.
const PRESET: &str = "     -             ";
/// What a column of text keeps at least before numbers may wrap.
const LEAST_TEXT: usize = 8;

/// A cell of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cell {
    /// Text, aligned left. It is escaped when it is printed.
    Text(String),
    /// A number, aligned right, with thousands separators.
    Number(u64),
    /// A number that should be 0, and stands out where it is not.
    Alarm(u64),
    /// Nothing.
    Empty,
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Cell::Text(text.to_owned())
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Cell::Text(text)
    }
}

impl From<u64> for Cell {
    fn from(number: u64) -> Self {
        Cell::Number(number)
    }
}

impl Cell {
    fn text(&self) -> String {
        match self {
            Cell::Text(text) => escape::terminal(text).into_owned(),
            Cell::Number(number) | Cell::Alarm(number) => thousands(*number),
            Cell::Empty => String::new(),
        }
    }

    fn is_number(&self) -> bool {
        matches!(self, Cell::Number(_) | Cell::Alarm(_))
    }
}

/// Prints a table that fits the terminal: texts wrap, numbers stay whole as long as there is room. Ends with a line break.
pub fn table(headers: &[&str], rows: &[Vec<Cell>], style: &Style) -> String {
    let numeric: Vec<bool> =
        (0..headers.len()).map(|column| rows.iter().filter_map(|row| row.get(column)).any(Cell::is_number)).collect();
    let mut table = Table::new();
    table.force_no_tty().load_preset(PRESET).set_content_arrangement(ContentArrangement::Dynamic);
    if style.color {
        table.enforce_styling();
    }
    if let Some(width) = style.width {
        table.set_width(width.max(20));
    }
    table.set_header(headers.iter().zip(&numeric).map(|(header, number)| {
        let cell = comfy_table::Cell::new(header);
        if *number { cell.set_alignment(CellAlignment::Right) } else { cell }
    }));
    for row in rows {
        table.add_row(row.iter().map(|cell| {
            let printed = comfy_table::Cell::new(cell.text());
            match cell {
                Cell::Number(_) => printed.set_alignment(CellAlignment::Right),
                Cell::Alarm(0) => printed.set_alignment(CellAlignment::Right).add_attribute(Attribute::Dim),
                Cell::Alarm(_) => printed.set_alignment(CellAlignment::Right).fg(Color::Red),
                Cell::Text(_) | Cell::Empty => printed,
            }
        }));
    }
    let room = whole_numbers_fit(headers, rows, &numeric, style.width);
    let last = headers.len().saturating_sub(1);
    for (place, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, if place == last { 0 } else { 2 }));
        if room && numeric.get(place).copied().unwrap_or_default() {
            column.set_constraint(ColumnConstraint::ContentWidth);
        }
    }
    let mut text = table.trim_fmt();
    text.push('\n');
    text
}

/// Whether every number can stand on one line, with something left for the texts.
fn whole_numbers_fit(headers: &[&str], rows: &[Vec<Cell>], numeric: &[bool], width: Option<u16>) -> bool {
    let Some(width) = width else { return true };
    let needed: usize = headers
        .iter()
        .zip(numeric)
        .enumerate()
        .map(|(place, (header, number))| {
            let cells = rows.iter().filter_map(|row| row.get(place)).map(|cell| cell.text().len());
            let widest = cells.chain([header.len()]).max().unwrap_or_default();
            2 + if *number { widest } else { widest.min(LEAST_TEXT) }
        })
        .sum();
    needed <= usize::from(width) + 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stand_right_and_texts_wrap() {
        let rows = vec![
            vec!["a rather long name that has to wrap somewhere".into(), 1_234_567.into(), Cell::Alarm(0)],
            vec!["short\u{1b}".into(), 5.into(), Cell::Empty],
        ];
        let text = table(&["name", "rows", "lost"], &rows, &Style { width: Some(32), ..Style::default() });
        assert_eq!(
            text.lines().map(str::trim_end).collect::<Vec<_>>(),
            [
                "name                  rows  lost",
                "--------------------------------",
                "a rather long    1,234,567     0",
                "name that has",
                "to wrap",
                "somewhere",
                "short\\u{1b}              5",
            ]
        );
    }

    #[test]
    fn a_table_without_rows_or_room_is_still_a_table() {
        assert!(table(&["a", "b"], &[], &Style::default()).starts_with("a"));
        let rows = vec![vec![u64::MAX.into(), u64::MAX.into()]];
        let text = table(&["a", "b"], &rows, &Style { width: Some(1), ..Style::default() });
        assert!(text.lines().all(|line| line.chars().count() <= 20), "{text}");
    }
}
