//! A profile on a terminal: a table a table.

use imis_checks::profile::{Kind, Profile, TableProfile};

use super::{Cell, Style, facts, paragraph, table};
use crate::escape;
use crate::number::{counted, thousands};
use crate::profile::{Seen, is_empty, rows, share};

/// From how many columns of the terminal on there is room for types and shapes of their own.
const WIDE: u16 = 110;
/// How many values of a list of codes are shown.
const CODES: usize = 4;

/// What each column holds, for people.
pub fn profile(found: &Profile, style: &Style) -> String {
    let columns = found.columns().count() as u64;
    let read: u64 = found.tables.iter().map(|table| table.read).sum();
    let mut text = facts(&[
        ("database", found.location.clone()),
        ("looked at", format!("{}, {}", counted(found.tables.len() as u64, "table"), counted(columns, "column"))),
        ("rows", format!("{} in {:.1} s", thousands(read), found.seconds)),
    ]);
    if let Some(sample) = found.sample {
        text += &paragraph(&format!("A sample: at most {} a table.", counted(sample, "row")), style);
    }
    for table in found.tables.iter().filter(|table| table.read > 0) {
        text += &one(table, style);
    }
    text += &rest(found, style);
    text
}

fn one(of: &TableProfile, style: &Style) -> String {
    let mut text = style.heading(&format!("{}  {}", escape::terminal(&of.table.name), rows(of)));
    let is_wide = style.width.is_none_or(|width| width >= WIDE);
    let shown: Vec<Seen<'_>> =
        of.columns.iter().filter(|c| style.verbose || !is_empty(c)).map(|c| Seen::new(c, style.values)).collect();
    let lines: Vec<Vec<Cell>> = shown.iter().map(|seen| line(seen, is_wide)).collect();
    if !lines.is_empty() {
        text += &match is_wide {
            true => {
                table(&["column", "type", "null", "distinct", "from ... to", "most frequent", "shape"], &lines, style)
            }
            false => table(&["column", "null", "distinct", "holds", "most frequent"], &lines, style),
        };
    }
    let empty: Vec<&str> = of.columns.iter().filter(|c| is_empty(c)).map(|c| c.column.as_str()).collect();
    let mut more = String::new();
    if !empty.is_empty() && !style.verbose {
        more += &paragraph(&format!("Always NULL: {}.", empty.join(", ")), style);
    }
    for seen in &shown {
        let remarks = seen.remarks();
        if !remarks.is_empty() {
            more += &paragraph(&format!("{}: {}.", seen.column.column, remarks.join(", ")), style);
        }
    }
    for (column, reason) in &of.unread_columns {
        more += &paragraph(&format!("{column}: could not be read, {reason}."), style);
    }
    if !lines.is_empty() && !more.is_empty() {
        text.push('\n');
    }
    text + &more
}

fn line(seen: &Seen<'_>, is_wide: bool) -> Vec<Cell> {
    let column = seen.column;
    let null = share(column.nulls, column.rows);
    let filled = column.filled();
    let shape = seen.shapes().next().map(|(shape, count)| format!("{} {}", drawn(shape), share(count, filled)));
    if is_wide {
        let type_ = column.data_type.clone();
        return [
            column.column.clone(),
            type_,
            null,
            seen.distinct(),
            seen.range(),
            frequent(seen),
            shape.unwrap_or_default(),
        ]
        .map(Cell::Text)
        .to_vec();
    }
    let holds = match column.kind {
        Kind::Text => shape.unwrap_or_else(|| seen.range()),
        _ => seen.range(),
    };
    [column.column.clone(), null, seen.distinct(), holds, frequent(seen)].map(Cell::Text).to_vec()
}

/// The most frequent values: of a list of codes the first few, else the first where it stands out.
fn frequent(seen: &Seen<'_>) -> String {
    let filled = seen.column.filled();
    let mut said = Vec::new();
    for (value, count) in seen.top() {
        let is_shown = value != crate::mask::MaskedOrShown::Masked;
        // Stars say nothing twice, and what fewer than one in a hundred have does not stand out.
        if said.len() >= CODES || (!said.is_empty() && !is_shown) || count * 100 < filled {
            break;
        }
        said.push(format!("{} {}", drawn(&value.to_string()), share(count, filled)));
        if !is_shown {
            break;
        }
    }
    said.join(", ")
}

/// An empty text is seen by its quotes.
fn drawn(text: &str) -> String {
    if text.trim().is_empty() { format!("'{text}'") } else { text.to_owned() }
}

/// Tables that there is nothing to say of.
fn rest(found: &Profile, style: &Style) -> String {
    let mut text = String::new();
    let empty: Vec<&str> = found
        .tables
        .iter()
        .filter(|t| t.unread.is_none() && t.read == 0 && t.refused == 0)
        .map(|t| t.table.name.as_str())
        .collect();
    if !empty.is_empty() {
        text += &style.heading("Without rows");
        text += &paragraph(&empty.join(", "), style);
    }
    let closed = found.tables.iter().filter_map(|t| Some((t, t.unread.as_ref()?)));
    let closed: Vec<String> = closed.map(|(t, reason)| format!("- {}: {reason}", t.table.name)).collect();
    let refused = found.tables.iter().filter(|t| t.unread.is_none() && t.read == 0 && t.refused > 0);
    let closed: Vec<String> = closed
        .into_iter()
        .chain(refused.map(|t| format!("- {}: none of its {} could be read", t.table.name, counted(t.refused, "row"))))
        .collect();
    if !closed.is_empty() {
        text += &style.heading("Could not be read");
        closed.iter().for_each(|line| text += &paragraph(line, style));
    }
    if found.columns().any(|(_, column)| !column.distinct.exact) {
        text.push('\n');
        text += &paragraph(
            &format!("~ is an estimate: a column has more than {} different values.", thousands(found.exact as u64)),
            style,
        );
    }
    if !found.notes.is_empty() {
        text += &style.heading("Notes");
        found.notes.iter().for_each(|note| text += &paragraph(&format!("- {note}"), style));
    }
    text
}
