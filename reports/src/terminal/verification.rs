//! A verification on a terminal. The verdict stands at the end.

use imis_mappings::verify::{Status, TableVerdict, Verification};

use super::{Cell, Style, Tint, facts, paragraph, table};
use crate::consistency;
use crate::escape;
use crate::number::thousands;
use crate::verification::{
    Proof, cells, complaints, figure, figures, group, key, reasons, status, telling, touched, why,
};

/// How many differences, totals and groups are shown.
const SHOWN: usize = 20;

/// What was compared and what differs, for people.
pub fn verification(found: &Verification, style: &Style) -> String {
    let mut head = vec![("from", found.from.clone()), ("to", found.to.clone())];
    head.extend(found.mapping.iter().map(|mapping| ("mapping", mapping.clone())));
    head.extend(found.run.iter().map(|run| ("run", run.clone())));
    head.push(("when", format!("{} to {}", found.started, found.finished)));
    let mut text = facts(&head);
    text += &totals(found, style);
    text += &tables(found, style);
    text += &differences(found, style);
    let notes: Vec<&String> = found.shape.iter().chain(&found.notes).collect();
    if !notes.is_empty() {
        text += &style.heading("Notes");
        for note in notes.iter().take(if style.verbose { usize::MAX } else { SHOWN }) {
            text += &format!("- {}\n", escape::terminal(note));
        }
        text += &more(notes.len(), SHOWN, style);
    }
    text += &style.heading("Consistency");
    for (name, level, reading) in
        [("from", found.from_consistency, &found.from_reading), ("to", found.to_consistency, &found.to_reading)]
    {
        text += &paragraph(&format!("{name}: {}", consistency::vouched(level, reading)), style);
        let changes = consistency::changes(level, reading).filter(|_| reading.before.is_some());
        text += &changes.map_or(String::new(), |said| paragraph(&said, style));
    }
    text.push('\n');
    let proof = Proof::of(found);
    let tint = match proof {
        Proof::Equal | Proof::Explained => Tint::Good,
        Proof::Disturbed | Proof::Differs => Tint::Bad,
    };
    if found.holds() {
        return text + &style.tint(tint, &proof.sentence(found)) + "\n";
    }
    let said = if proof == Proof::Differs { "The two sides differ:" } else { "What was compared did not stand still:" };
    text += &(style.tint(tint, said) + "\n");
    for complaint in complaints(found) {
        text += &paragraph(&format!("- {complaint}"), style);
    }
    text
}

fn more(all: usize, shown: usize, style: &Style) -> String {
    match all.saturating_sub(shown) {
        0 => String::new(),
        _ if style.verbose => String::new(),
        left => format!("and {} more (-v shows them; --report writes them down)\n", thousands(left as u64)),
    }
}

fn totals(found: &Verification, style: &Style) -> String {
    let count = |of: fn(&Status) -> bool| {
        let columns = found.totals.iter().filter(|total| of(&total.status)).count();
        (columns + found.areas.iter().filter(|area| of(&area.status)).count()) as u64
    };
    let mut text = style.heading("Totals, computed by each server");
    let rows = vec![vec![
        Cell::Number(count(|status| *status == Status::Equal)),
        Cell::Number(count(|status| matches!(status, Status::Explained(_)))),
        Cell::Number(count(|status| matches!(status, Status::NotComputed(_)))),
        Cell::Alarm(count(Status::differs)),
    ]];
    text += &table(&["equal", "explained", "not computed", "differ"], &rows, style);
    let areas: Vec<Vec<Cell>> = found
        .areas
        .iter()
        .filter(|area| telling(area, style.verbose))
        .map(|area| {
            let cell = |text: String| Cell::Text(text);
            vec![
                format!("{}: {}", area.area, area.title).into(),
                cell(figures(&area.from)),
                cell(figures(&area.to)),
                cell(status(&area.status)),
            ]
        })
        .collect();
    if !areas.is_empty() {
        text.push('\n');
        text += &table(&["total by area", "from", "to", ""], &areas, style);
    }
    let groups = found.areas.iter().filter(|area| area.status.differs());
    let groups = groups.flat_map(|area| area.differing.iter().map(move |of| (area, of)));
    let groups: Vec<Vec<Cell>> = groups
        .take(SHOWN)
        .map(|(area, of)| {
            let name = format!("{}: {}", area.title, group(of, style.values));
            vec![name.into(), figures(&of.from).into(), figures(&of.to).into()]
        })
        .collect();
    if !groups.is_empty() {
        text.push('\n');
        text += &table(&["group that differs", "from", "to"], &groups, style);
    }
    let columns: Vec<_> = found
        .totals
        .iter()
        .filter(|total| total.status.differs() || (style.verbose && total.status != Status::Equal))
        .collect();
    let shown = if style.verbose { columns.len() } else { SHOWN };
    let rows: Vec<Vec<Cell>> = columns
        .iter()
        .take(shown)
        .map(|total| {
            vec![
                total.table.as_str().into(),
                total.column.as_str().into(),
                total.total.as_str().into(),
                figure(total, total.from.as_deref(), style.values).into(),
                figure(total, total.to.as_deref(), style.values).into(),
                status(&total.status).into(),
            ]
        })
        .collect();
    if !rows.is_empty() {
        text.push('\n');
        text += &table(&["table", "column", "total", "from", "to", ""], &rows, style);
        text += &more(columns.len(), shown, style);
    }
    text
}

fn tables(found: &Verification, style: &Style) -> String {
    let shown: Vec<&TableVerdict> = found.tables.iter().filter(|t| touched(t, style.verbose)).collect();
    let unreadable = found.tables.iter().any(|table| table.unreadable > 0);
    let rows: Vec<Vec<Cell>> = shown
        .iter()
        .map(|t| {
            let name = if t.sampled { format!("{} (sample)", t.table) } else { t.table.clone() };
            let mut cells =
                vec![name.into(), Cell::Number(t.from_rows), Cell::Number(t.to_rows), Cell::Number(t.equal)];
            cells.extend([t.missing, t.extra, t.changed, t.doubled].map(Cell::Alarm));
            if unreadable {
                cells.push(Cell::Alarm(t.unreadable));
            }
            cells.push(Cell::Text(reasons(t)));
            cells
        })
        .collect();
    let mut headers = vec!["table", "from", "to", "equal", "missing", "extra", "changed", "doubled"];
    if unreadable {
        headers.push("unreadable");
    }
    headers.push("explained");
    let hidden = found.tables.len() - shown.len();
    let hidden = match hidden {
        0 => String::new(),
        _ => format!("{hidden} table(s) without rows on either side are not shown (-v shows them)\n"),
    };
    style.heading("Rows") + &table(&headers, &rows, style) + &hidden
}

fn differences(found: &Verification, style: &Style) -> String {
    let told: Vec<_> = found.differences.iter().filter(|d| style.verbose || d.explained.is_none()).collect();
    if told.is_empty() {
        return String::new();
    }
    let limit = if style.verbose { SHOWN * 10 } else { SHOWN };
    let rows: Vec<Vec<Cell>> = told
        .iter()
        .take(limit)
        .map(|d| {
            vec![
                d.table.as_str().into(),
                d.kind.name().into(),
                key(d, style.values).into(),
                cells(d, style.values).into(),
                why(d).into(),
            ]
        })
        .collect();
    style.heading("Rows that differ, the first of each table")
        + &table(&["table", "", "key", "columns", "why"], &rows, style)
        + &match told.len().saturating_sub(limit) {
            0 => String::new(),
            left => format!("and {} more; --report writes them down\n", thousands(left as u64)),
        }
}
