//! A row that is larger than may be read: which one it is, and which cell makes it so.
//!
//! Its reading was broken off, so neither its key nor its cells came; the server is asked for its key and the lengths.

use imis_schemas::Engine;

use super::connect::Server;
use super::rows::Rows;
use super::select::{Form, Selection};
use super::{query, trouble};
use crate::error::Error;
use crate::source::{ReadRequest, RefusedRow};

/// Rows too large to be read that are passed over in one reading. Each of them was half on the line before it was known.
pub(super) const MOST: usize = 1_000;

/// Where the row is that was too large: behind the last one that came, or where reading began.
///
/// # Errors
/// When the rows do not come in the order of their key, so that nobody can tell, or nothing can lie behind the last one.
pub(super) fn behind(doing: &str, rows: &Rows<'_>, from: Option<i64>) -> Result<Option<i64>, Error> {
    let Some(last) = rows.last_key else { return Ok(from) };
    let why = match last.checked_add(1) {
        Some(next) if rows.in_order => return Ok(Some(next)),
        Some(_) => "the rows do not come in the order of their key",
        None => "it comes behind the greatest key that there can be",
    };
    Err(Error::failed(format!("{doing} failed: a row is larger than it may be, and {why}")))
}

/// The first row from a key on, as one that is refused, with its key.
///
/// # Errors
/// When the server does not answer, or when by its own words the row is not that large: then it sends something else.
pub(super) async fn next_row(
    server: &Server,
    request: &ReadRequest,
    selection: &Selection,
    form: Form,
    from: Option<i64>,
) -> Result<(i64, RefusedRow), Error> {
    let doing = format!("reading {}", request.table.table_name());
    let impossible = || trouble::oversized(server.address(), &doing);
    let order = selection.order.and_then(|at| selection.slots.get(at)).ok_or_else(impossible)?;
    let (table, key) = (&selection.table, Engine::Mssql.quote(&order.name));
    let bounds = [from.map(|from| format!("{key} >= {from}")), selection.to.map(|to| format!("{key} < {to}"))];
    let bounds = bounds.into_iter().flatten().collect::<Vec<_>>().join(" AND ");
    let condition = if bounds.is_empty() { String::new() } else { format!(" WHERE {bounds}") };
    let least = format!("SELECT CAST(MIN({key}) AS bigint) AS least FROM {table}{condition}");
    let rows = query::rows(server, &doing, &least).await?;
    let number = rows.first().and_then(|row| query::int(row, 0)).ok_or_else(impossible)?;

    let lengths = selection.lengths(form);
    let rows = query::rows(server, &doing, &format!("SELECT {lengths} FROM {table} WHERE {key} = {number}")).await?;
    let row = rows.first().ok_or_else(impossible)?;
    let sizes = (0..selection.slots.len()).map(|at| query::int(row, at).unwrap_or(0)).collect::<Vec<_>>();
    let limit = i64::try_from(request.max_cell).unwrap_or(i64::MAX);
    if sizes.iter().fold(0_i64, |sum, size| sum.saturating_add(*size)) <= limit {
        return Err(impossible());
    }
    let (at, size) = sizes.iter().enumerate().max_by_key(|(_, size)| **size).ok_or_else(impossible)?;
    let column = selection.slots.get(at).map(|slot| slot.name.clone()).unwrap_or_default();
    let reason = if *size > limit {
        format!("the cell has {size} bytes, more than the {limit} that are allowed")
    } else {
        format!("the row has more bytes than the {limit} that a cell may have")
    };
    Ok((number, RefusedRow { key: vec![(order.name.clone(), number.to_string())], column, reason }))
}
