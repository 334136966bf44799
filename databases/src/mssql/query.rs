//! Short questions to the server, and their answers' cells, whatever integer type a server gives them.

use std::time::Duration;

use futures::StreamExt;
use tiberius::{ColumnData, QueryItem, Row};

use super::allowance::Allowance;
use super::connect::Server;
use super::transaction::Lease;
use super::{decode, trouble};
use crate::error::Error;

/// The answer to a question about the catalogue may take twice as long as a server may be silent: counting a large table
/// takes its time.
const PATIENCE: u64 = 2;
/// Rows of such an answer at most. A catalogue of that size would be none.
const ROWS: usize = 200_000;

/// All rows of a statement's answer, about the server or the catalogue.
pub(super) async fn rows(server: &Server, doing: &str, sql: &str) -> Result<Vec<Row>, Error> {
    ask(server, Lease::Own(Box::new(server.client().await?)), doing, sql).await
}

/// The same of a question that a server need not understand: `None` if it does not. A line that broke is tried once more.
pub(super) async fn rows_if_any(server: &Server, doing: &str, sql: &str) -> Result<Option<Vec<Row>>, Error> {
    for _ in 0..2 {
        if let Ok(rows) = rows(server, doing, sql).await {
            return Ok(Some(rows));
        }
    }
    // Every server understands this one.
    rows(server, doing, "SELECT 1 AS one").await.map(|_| None)
}

/// All rows of a statement's answer, in the state that is read.
pub(super) async fn rows_within(server: &Server, doing: &str, sql: &str) -> Result<Vec<Row>, Error> {
    ask(server, server.lease(doing).await?, doing, sql).await
}

async fn ask(server: &Server, mut lease: Lease<'_>, doing: &str, sql: &str) -> Result<Vec<Row>, Error> {
    let client = lease.client(Allowance::answer)?;
    let allowance = client.allowance.clone();
    client.is_half_read = true;
    let answer = async {
        let mut answer = client.tds.simple_query(sql).await?;
        allowance.answer();
        let (mut rows, mut results) = (Vec::new(), 0);
        while let Some(item) = answer.next().await {
            match item? {
                QueryItem::Metadata(_) => results += 1,
                QueryItem::Row(row) if results <= 1 && rows.len() < ROWS => rows.push(row),
                QueryItem::Row(_) if results <= 1 => return Ok::<_, tiberius::error::Error>(None),
                QueryItem::Row(_) => {}
            }
        }
        Ok(Some(rows))
    };
    let patience = PATIENCE * server.address().silence;
    let answer = tokio::time::timeout(Duration::from_secs(patience), answer).await;
    let answer = answer.map_err(|_| trouble::slow(server.address(), doing, patience));
    let rows = answer.and_then(|rows| rows.map_err(|e| trouble::failed(server.address(), doing, e)));
    match rows.and_then(|rows| rows.ok_or_else(|| trouble::endless(server.address(), doing, ROWS as u64))) {
        Ok(rows) => {
            lease.read_whole();
            lease.give_back(server);
            Ok(rows)
        }
        Err(error) => Err(lease.failed(doing, error).await),
    }
}

/// A text; `None` for NULL and what is no text.
pub(super) fn text(row: &Row, at: usize) -> Option<String> {
    match cell(row, at)? {
        ColumnData::String(text) => text.as_ref().map(ToString::to_string),
        _ => None,
    }
}

/// A name; empty where there is none.
pub(super) fn name(row: &Row, at: usize) -> String {
    text(row, at).unwrap_or_default()
}

/// A whole number of any size.
pub(super) fn int(row: &Row, at: usize) -> Option<i64> {
    match cell(row, at)? {
        ColumnData::Bit(bit) => bit.map(i64::from),
        ColumnData::Numeric(number) => number.filter(|n| n.scale() == 0).and_then(|n| i64::try_from(n.value()).ok()),
        cell => decode::whole(cell),
    }
}

/// A flag; NULL is no.
pub(super) fn flag(row: &Row, at: usize) -> bool {
    int(row, at).is_some_and(|n| n != 0)
}

fn cell(row: &Row, at: usize) -> Option<&ColumnData<'static>> {
    row.cells().nth(at).map(|(_, cell)| cell)
}
