//! Tables that do not show every login what they hold: masked columns, filtered rows, columns encrypted by the client.
//!
//! None of them fails when it is read, and the server's own counts and totals agree with what it shows; so whoever copies must ask.

use imis_schemas::TableName;

use super::connect::Server;
use super::query;
use crate::error::{Error, ErrorKind};
use crate::source::{Veil, Veiled};

/// Where SQL Server says it, since 2016, and the question about each: schema, table, column, kind.
///
/// A right to a column is asked before that to the database: servers before 2022 know only the latter and say NULL to the former.
const QUESTIONS: [&str; 3] = [
    "SELECT s.name AS of_schema, t.name AS of_table, c.name AS of_column, 1 AS kind \
        FROM sys.masked_columns c JOIN sys.tables t ON t.object_id = c.object_id JOIN sys.schemas s ON s.schema_id = t.schema_id \
        WHERE c.is_masked = 1 AND COALESCE(HAS_PERMS_BY_NAME(QUOTENAME(s.name) + '.' + QUOTENAME(t.name), 'OBJECT', 'UNMASK', \
        c.name, 'COLUMN'), HAS_PERMS_BY_NAME(DB_NAME(), 'DATABASE', 'UNMASK'), 0) = 0",
    "SELECT s.name AS of_schema, t.name AS of_table, NULL AS of_column, 2 AS kind \
        FROM sys.security_predicates p JOIN sys.security_policies q ON q.object_id = p.object_id \
        JOIN sys.tables t ON t.object_id = p.target_object_id JOIN sys.schemas s ON s.schema_id = t.schema_id \
        WHERE q.is_enabled = 1 AND p.predicate_type = 0",
    "SELECT s.name AS of_schema, t.name AS of_table, c.name AS of_column, 3 AS kind \
        FROM sys.columns c JOIN sys.tables t ON t.object_id = c.object_id JOIN sys.schemas s ON s.schema_id = t.schema_id \
        WHERE c.encryption_type IS NOT NULL",
];

/// What the login does not see as it is. What a server does not know, it does not do.
///
/// # Errors
/// When the server cannot be asked.
pub(super) async fn veiled(server: &Server) -> Result<Vec<Veiled>, Error> {
    const DOING: &str = "asking what is masked, filtered or encrypted";
    // All at once, which every server since 2016 understands; otherwise one by one.
    let mut rows = query::rows_if_any(server, DOING, &QUESTIONS.join(" UNION ALL ")).await?;
    if rows.is_none() {
        let mut found = Vec::new();
        for question in QUESTIONS {
            found.extend(query::rows_if_any(server, DOING, question).await?.unwrap_or_default());
        }
        rows = Some(found);
    }
    let mut veiled: Vec<Veiled> = rows
        .into_iter()
        .flatten()
        .map(|row| Veiled {
            table: TableName::new(query::name(&row, 0), query::name(&row, 1)),
            column: query::text(&row, 2),
            veil: match query::int(&row, 3) {
                Some(1) => Veil::Masked,
                Some(2) => Veil::Filtered,
                _ => Veil::Encrypted,
            },
        })
        .collect();
    // A table may have several filters.
    veiled.sort_by(|a, b| (&a.table, &a.column, a.veil).cmp(&(&b.table, &b.column, b.veil)));
    veiled.dedup();
    Ok(veiled)
}

/// Refuses to read what is veiled.
pub(super) fn refuse(veiled: &[Veiled], table: &TableName, columns: &[String]) -> Result<(), Error> {
    let hit: Vec<&Veiled> = veiled.iter().filter(|veiled| veiled.covers(table, columns)).collect();
    let Some(first) = hit.first() else { return Ok(()) };
    let what: Vec<String> = hit.iter().map(|veiled| veiled.to_string()).collect();
    Err(Error::new(ErrorKind::Schema, format!("{}: what is read would not be what is there", what.join("; ")))
        .with_help(first.help()))
}
