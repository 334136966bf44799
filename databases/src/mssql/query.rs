//! Short questions to the server, and their answers' cells, whatever integer type a server gives them.

use std::time::Duration;

use tiberius::{ColumnData, Row};

use super::connect::Server;
use super::transaction::Lease;
use super::{decode, trouble};
use crate::error::Error;

/// How long the answer to a question about the catalogue may take. Counting a large table may take longer.
const PATIENCE: Duration = Duration::from_secs(1800);

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
    let client = lease.client()?;
    let answer = async {
        let answer = client.simple_query(sql).await?;
        answer.into_first_result().await
    };
    let answer = tokio::time::timeout(PATIENCE, answer).await;
    let answer = answer.map_err(|_| trouble::silent(server.address(), doing, PATIENCE.as_secs()));
    match answer.and_then(|rows| rows.map_err(|e| trouble::failed(server.address(), doing, e))) {
        Ok(rows) => {
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
