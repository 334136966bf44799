//! The page of a profile: what each column holds, by business area.

use imis_checks::profile::{Kind, Profile, TableProfile};
use imis_databases::Consistency;
use serde::Serialize;

use super::{Figure, LINES, cut, moment, render};
use crate::ReportError;
use crate::mask::{MaskedOrShown, Values};
use crate::number::{counted, thousands};
use crate::profile::{Seen, is_empty, rows, share};
use crate::words;

/// How many columns a page shows, of all tables together.
const COLUMNS: usize = 2_000;
/// How many shapes and frequent values of a column a page shows.
const SHOWN: usize = 4;

#[derive(Serialize)]
struct Page {
    title: String,
    tone: &'static str,
    badge: String,
    headline: String,
    lead: String,
    facts: Vec<(&'static str, String)>,
    figures: Vec<Figure>,
    areas: Vec<Area>,
    more_tables: usize,
    empty: Vec<String>,
    more_empty: usize,
    closed: Vec<(String, String)>,
    more_closed: usize,
    notes: Vec<String>,
    exact: String,
    estimated: bool,
    shown: bool,
}

#[derive(Serialize)]
struct Area {
    title: &'static str,
    tables: Vec<Table>,
}

#[derive(Serialize)]
struct Table {
    id: String,
    name: String,
    rows: String,
    columns: Vec<Column>,
    always_null: String,
    unread: Vec<(String, String)>,
}

#[derive(Serialize)]
struct Column {
    name: String,
    data_type: String,
    roles: String,
    /// Share of rows with a value, in percent, for the bar.
    filled: String,
    null: String,
    distinct: String,
    range: String,
    quartiles: String,
    shapes: Vec<Bar>,
    more_shapes: u64,
    top: Vec<Bar>,
    remarks: String,
}

/// Something and how many have it.
#[derive(Serialize)]
struct Bar {
    text: String,
    masked: bool,
    share: String,
    percent: String,
}

/// The page of a profile, as one HTML text.
///
/// # Errors
/// When the page cannot be rendered.
pub fn profile_page(found: &Profile, values: Values) -> Result<String, ReportError> {
    let columns = found.columns().count() as u64;
    let read: u64 = found.tables.iter().map(|table| table.read).sum();
    let with_rows: Vec<&TableProfile> = found.tables.iter().filter(|t| t.read > 0).collect();
    let mut room = COLUMNS;
    let fits = |table: &&TableProfile| {
        let fits = table.columns.len() <= room;
        room = room.saturating_sub(table.columns.len());
        fits
    };
    let all = with_rows.len();
    let shown: Vec<&TableProfile> = with_rows.into_iter().filter(fits).collect();
    let more_tables = all - shown.len();
    let areas = words::by_area(&shown, |table| Ok(table.table.name.as_str())).into_iter();
    let areas =
        areas.map(|(title, tables)| Area { title, tables: tables.iter().map(|t| self::table(t, values)).collect() });
    let empty = found.tables.iter().filter(|t| t.unread.is_none() && t.read == 0 && t.refused == 0);
    let (empty, more_empty) = cut(empty.map(|t| t.table.name.clone()).collect(), LINES);
    let closed = found.tables.iter().filter_map(|t| {
        let none = || {
            (t.read == 0 && t.refused > 0).then(|| format!("none of its {} could be read", counted(t.refused, "row")))
        };
        Some((t.table.name.clone(), t.unread.clone().or_else(none)?))
    });
    let (closed, more_closed) = cut(closed.collect(), LINES);
    let always_null = found.columns().filter(|(_, column)| is_empty(column)).count() as u64;
    let mut facts = vec![
        ("Database", found.location.clone()),
        ("Server", found.engine.clone()),
        ("Read", format!("{}, in {:.1} s", moment(&found.started.to_string()), found.seconds)),
        ("Consistency", consistency(found.consistency).to_owned()),
    ];
    if let Some(sample) = found.sample {
        facts.push(("Sample", format!("at most {} a table", counted(sample, "row"))));
    }
    render(
        "profile.html",
        Page {
            title: "Profile of a database".to_owned(),
            tone: if closed.is_empty() { "" } else { "warning" },
            badge: match closed.len() {
                0 => "read".to_owned(),
                some => format!("{} not read", counted(some as u64, "table")),
            },
            headline: format!(
                "{} with {}",
                counted(found.tables.len() as u64, "table"),
                counted(found.tables.iter().filter_map(|t| t.rows).sum(), "row")
            ),
            lead: "What each column holds: how much of it is filled, how many different values, from where to where, and in \
                   which shapes."
                .to_owned(),
            facts,
            figures: vec![
                Figure::new(read, "rows looked at"),
                Figure::new(columns, "columns"),
                Figure::new(empty.len() as u64 + more_empty as u64, "tables without rows"),
                Figure::new(always_null, "columns that are always NULL"),
                Figure::alarming(closed.len() as u64 + more_closed as u64, "tables that could not be read"),
            ],
            areas: areas.collect(),
            more_tables,
            empty,
            more_empty,
            closed,
            more_closed,
            notes: found.notes.clone(),
            exact: thousands(found.exact as u64),
            estimated: found.columns().any(|(_, column)| !column.distinct.exact),
            shown: values == Values::Shown,
        },
    )
}

/// What the reader can rely on. Nobody moves by a profile, so a word will do.
fn consistency(level: Consistency) -> &'static str {
    match level {
        Consistency::Frozen => "frozen",
        Consistency::SingleTransaction => "one transaction",
        Consistency::Fuzzy => "fuzzy: others may have been at work, and tables may not agree",
    }
}

fn table(of: &TableProfile, values: Values) -> Table {
    let always_null: Vec<&str> = of.columns.iter().filter(|c| is_empty(c)).map(|c| c.column.as_str()).collect();
    Table {
        id: format!("{}.{}", of.table.schema, of.table.name),
        name: of.table.name.clone(),
        rows: rows(of),
        columns: of.columns.iter().filter(|c| !is_empty(c)).map(|c| column(&Seen::new(c, values))).collect(),
        always_null: always_null.join(", "),
        unread: of.unread_columns.clone(),
    }
}

fn column(seen: &Seen<'_>) -> Column {
    let column = seen.column;
    let filled = column.filled();
    let percent = |count: u64| format!("{:.1}", count as f64 * 100.0 / filled.max(1) as f64);
    let bar = |text: String, masked: bool, count: u64| Bar {
        text: if text.trim().is_empty() { format!("'{text}'") } else { text },
        masked,
        share: share(count, filled),
        percent: percent(count),
    };
    let top = seen.top().map(|(value, count)| {
        let masked = value == MaskedOrShown::Masked;
        bar(value.to_string(), masked, count)
    });
    // Where no value can be seen, how often the first one occurs says it all.
    let (mut top, mut stars) = (top.collect::<Vec<_>>(), 0);
    top.retain(|bar| {
        stars += usize::from(bar.masked);
        !bar.masked || stars <= 1
    });
    top.truncate(SHOWN);
    let shapes: Vec<Bar> =
        seen.shapes().take(SHOWN).map(|(shape, count)| bar(shape.to_owned(), false, count)).collect();
    let lengths = seen.lengths().filter(|l| l.min != l.max).map(|l| format!(", {:.1} on average", l.mean));
    let quartiles = seen.quartiles().filter(|_| column.kind == Kind::Number && column.distinct.number > 4);
    Column {
        name: column.column.clone(),
        data_type: column.data_type.clone(),
        roles: column.roles.iter().map(|role| role.words()).collect::<Vec<_>>().join(", "),
        filled: format!("{:.1}", filled as f64 * 100.0 / column.rows.max(1) as f64),
        null: share(column.nulls, column.rows),
        distinct: seen.distinct(),
        range: seen.range() + &lengths.unwrap_or_default(),
        quartiles: quartiles
            .map(|[low, half, high]| format!("half of them {low} to {high}, the middle {half}"))
            .unwrap_or_default(),
        more_shapes: if shapes.is_empty() { 0 } else { column.shape_count.saturating_sub(shapes.len() as u64) },
        shapes,
        top,
        remarks: seen.remarks().join(", "),
    }
}
