//! A part as one statement that gives the keys of the offending rows: for people who want to look themselves, and for the queries that
//! this program runs.

use imis_schemas::{Engine, Table};

const SQL: Engine = Engine::Postgres;

/// A name in its quotes.
pub(super) fn name(name: &str) -> String {
    SQL.quote(name)
}

/// Names in their quotes, with commas.
pub(super) fn names(list: &[String]) -> String {
    list.iter().map(|n| name(n)).collect::<Vec<_>>().join(", ")
}

/// The rows of a table that meet all of some conditions.
pub(super) fn select(table: &Table, key: &[String], conditions: &[&str]) -> String {
    let conditions: Vec<_> = conditions.iter().filter(|c| !c.is_empty()).map(|c| grouped(c)).collect();
    let condition =
        if conditions.is_empty() { String::new() } else { format!("\nWHERE {}", conditions.join("\n  AND ")) };
    format!("SELECT {}\nFROM {}{condition}", selected(key), name(&table.name))
}

/// The columns of a key; all columns of a row that has none.
fn selected(key: &[String]) -> String {
    if key.is_empty() { "*".to_owned() } else { names(key) }
}

/// A condition that can stand beside others.
fn grouped(condition: &str) -> String {
    // Too many brackets do no harm. A comment at the end would swallow them.
    let mixed = condition.to_lowercase().contains("or") || condition.contains("--");
    if mixed { format!("({condition}\n)") } else { condition.to_owned() }
}

/// A text as SQL Server compares it.
pub(super) fn folded(column: &str) -> String {
    format!("lower(rtrim({}))", name(column))
}

/// Rows that agree with another one in some columns.
pub(super) fn repeated(
    table: &Table,
    key: &[String],
    columns: &[String],
    texts: &[String],
    conditions: &[&str],
    spelling: crate::language::Spelling,
) -> String {
    use crate::language::Spelling;
    let by: Vec<_> = columns
        .iter()
        .map(|c| if spelling == Spelling::Exact || !texts.contains(c) { name(c) } else { folded(c) })
        .collect();
    let by = by.join(", ");
    let (counted, wanted) = match (spelling, columns) {
        (Spelling::Differs, [column]) => {
            let column = name(column);
            (
                format!(
                    "min({column}) OVER (PARTITION BY {by}) AS least, max({column}) OVER (PARTITION BY {by}) AS greatest"
                ),
                "least <> greatest",
            )
        }
        _ => (format!("count(*) OVER (PARTITION BY {by}) AS alike"), "alike > 1"),
    };
    let inner = select(table, &[], conditions).replacen('*', &format!("*, {counted}"), 1);
    format!("SELECT {}\nFROM ({inner}) AS rows\nWHERE {wanted}", selected(key))
}

/// Rows that overlap in time with another one that agrees with them in some columns.
pub(super) fn overlapping(
    table: &Table,
    key: &[String],
    by: &[String],
    span: (&str, &str),
    included: bool,
    conditions: &[&str],
) -> String {
    let (from, to) = (name(span.0), name(span.1));
    let (before, after) = if included { (">=", "<=") } else { (">", "<") };
    let last = key.iter().map(|column| format!(", {}", name(column))).collect::<String>();
    let order = format!("PARTITION BY {} ORDER BY {from}{last}", names(by));
    let mut all: Vec<String> = conditions.iter().map(|c| (*c).to_owned()).collect();
    all.push(format!("{from} IS NOT NULL"));
    // Nothing lies between an end and a later beginning.
    all.push(if included {
        format!("({to} IS NULL OR {from} <= {to})")
    } else {
        format!("({to} IS NULL OR {from} < {to})")
    });
    all.extend(by.iter().map(|column| format!("{} IS NOT NULL", name(column))));
    let all: Vec<&str> = all.iter().map(String::as_str).collect();
    // An open end lies behind all others: it is counted apart, as no value of every type is the greatest.
    let counted = format!(
        "*, max({to}) OVER earlier AS ended, count(*) OVER earlier AS others, count({to}) OVER earlier AS ends, lead({from}) OVER onward AS following"
    );
    let inner = select(table, &[], &all).replacen('*', &counted, 1);
    format!(
        "SELECT {}\nFROM ({inner}\nWINDOW earlier AS ({order} ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), onward AS ({order})) AS rows\n\
         WHERE ended {before} {from} OR others > ends OR following {after} {to} OR ({to} IS NULL AND following IS NOT NULL)",
        selected(key)
    )
}

/// Rows that lie on a circle.
pub(super) fn circling(table: &Table, key: &[String], own: &str, parent: &str, conditions: &[&str]) -> String {
    let (own, parent, table_name) = (name(own), name(parent), name(&table.name));
    let mut all = conditions.to_vec();
    let there = format!("{parent} IS NOT NULL");
    all.push(&there);
    let rows = select(table, &[], &all).replacen('*', &format!("{own} AS row, {parent} AS above"), 1);
    format!(
        "WITH RECURSIVE edges AS ({rows}),\nway AS (SELECT row, above FROM edges\n  UNION SELECT way.row, edges.above FROM way JOIN edges ON edges.row = way.above)\n\
         SELECT {} FROM {table_name} WHERE {own} IN (SELECT row FROM way WHERE row = above)",
        selected(key)
    )
}
