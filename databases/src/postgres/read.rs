//! Streaming reads: COPY TO STDOUT in the binary format.

use std::sync::Arc;

use futures::StreamExt;
use imis_schemas::{Engine, TypedColumn};
use tokio::sync::OnceCell;

use super::connect::{Connection, Pool, describe_error};
use super::decode::{Decoder, select_item};
use super::pages;
use crate::error::{Error, ErrorKind};
use crate::source::{ChunkStream, KeyRange, ReadRequest};

/// Streams the rows of a request over a connection of a pool, which goes back there when the stream has ended.
pub(super) fn stream(pool: Pool, request: ReadRequest) -> ChunkStream {
    let condition = condition(&request.range);
    within_pool(pool, request, condition)
}

/// Streams all rows of a table as so many streams at most, each over a connection of the pool. They see one state of the table.
pub(super) fn apart(pool: &Pool, request: &ReadRequest, parts: usize) -> Vec<ChunkStream> {
    // The pages are asked for once, by whichever stream is first: all have to cut at the same places.
    let stretches = Arc::new(OnceCell::new());
    let part = |nth| -> ChunkStream {
        let (pool, request, stretches) = (pool.clone(), request.clone(), Arc::clone(&stretches));
        Box::pin(async_stream::try_stream! {
            let table = request.table.table_name();
            let all = stretches.get_or_try_init(|| pages::stretches(&pool, &table, parts)).await?;
            if let Some(condition) = all.get(nth).cloned() {
                let mut chunks = within_pool(pool, request, condition);
                while let Some(chunk) = chunks.next().await {
                    yield chunk?;
                }
            }
        })
    };
    (0..parts).map(part).collect()
}

fn within_pool(pool: Pool, request: ReadRequest, condition: String) -> ChunkStream {
    Box::pin(async_stream::try_stream! {
        pool.allow_cells(request.max_cell);
        let mut connection = pool.take().await?;
        connection.spoil();
        let connection = Arc::new(connection);
        let mut chunks = read_where(Arc::clone(&connection), request, condition);
        while let Some(chunk) = chunks.next().await {
            yield chunk?;
        }
        drop(chunks);
        if let Some(mut connection) = Arc::into_inner(connection) {
            connection.heal(&pool);
        }
    })
}

/// Streams the rows of a request over one connection, in whatever transaction that is: rows which it has not committed yet
/// are among them. Until the stream has ended, the connection does nothing else; who waits for another answer of it while
/// a stream is open waits for ever.
pub fn read_within(connection: Arc<Connection>, request: ReadRequest) -> ChunkStream {
    let condition = condition(&request.range);
    read_where(connection, request, condition)
}

#[expect(clippy::collapsible_if, reason = "the macro knows no chains of conditions")]
fn read_where(connection: Arc<Connection>, request: ReadRequest, condition: String) -> ChunkStream {
    Box::pin(async_stream::try_stream! {
        let columns = columns(&request)?;
        let sql = statement(&request, &columns, &condition);
        let doing = format!("reading {}", request.table.table_name());
        let key = request.table.key_columns().iter().filter_map(|k| columns.iter().position(|c| c.name == *k)).collect();
        let mut decoder = Decoder::new(columns, key, request.max_cell);
        let rows = connection.copy_out(&sql).await.map_err(|e| describe_error(e, &doing))?;
        futures::pin_mut!(rows);
        while let Some(bytes) = rows.next().await {
            decoder.feed(&bytes.map_err(|e| describe_error(e, &doing))?)?;
            believed(&request, decoder.seen())?;
            if decoder.is_full(request.batch_rows, request.batch_bytes) {
                if let Some(chunk) = decoder.take()? {
                    yield chunk;
                }
            }
        }
        decoder.end()?;
        if let Some(chunk) = decoder.take()? {
            yield chunk;
        }
    })
}

/// A server that sends more rows than were ever counted, or than there is room for, comes to no end.
fn believed(request: &ReadRequest, seen: u64) -> Result<(), Error> {
    if seen <= request.at_most {
        return Ok(());
    }
    let (table, most) = (request.table.table_name(), request.at_most);
    Err(Error::failed(format!(
        "reading {table} failed: the server sends more than {most} rows, and there cannot be as many"
    ))
    .with_help("Is it a PostgreSQL? If the table grew that much meanwhile, start again."))
}

fn columns(request: &ReadRequest) -> Result<Vec<TypedColumn>, Error> {
    request
        .columns
        .iter()
        .map(|name| {
            request.table.column(name).map(|c| c.typed(Engine::Postgres)).ok_or_else(|| {
                Error::new(ErrorKind::Schema, format!("table {} has no column {name}", request.table.table_name()))
            })
        })
        .collect()
}

fn statement(request: &ReadRequest, columns: &[TypedColumn], condition: &str) -> String {
    let items = columns.iter().map(select_item).collect::<Vec<_>>().join(", ");
    let table = request.table.table_name().sql(Engine::Postgres);
    let condition = if condition.is_empty() { String::new() } else { format!(" WHERE {condition}") };
    format!("COPY (SELECT {items} FROM {table}{condition}) TO STDOUT (FORMAT binary)")
}

fn condition(range: &KeyRange) -> String {
    let Some(column) = &range.column else { return String::new() };
    let column = Engine::Postgres.quote(column);
    let ends = [range.from.map(|from| format!("{column} >= {from}")), range.to.map(|to| format!("{column} < {to}"))];
    ends.into_iter().flatten().collect::<Vec<_>>().join(" AND ")
}
