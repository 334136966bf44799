//! PostgreSQL as something to write whole tables to: one COPY a table, in one transaction.

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures::{SinkExt, StreamExt};
use imis_schemas::{Engine, Table};

use super::connect::{Pool, describe_error};
use super::copy::CopyEncoder;
use crate::error::{Error, ErrorKind};
use crate::location::PostgresAddress;
use crate::sink::Sink;
use crate::source::ChunkStream;

/// How much is gathered before it goes to the server.
const FLUSH_BYTES: usize = 256 * 1024;

/// A PostgreSQL database as a sink.
pub struct PostgresSink {
    pool: Pool,
}

impl PostgresSink {
    /// Writes into the database at this address.
    pub fn new(address: PostgresAddress) -> Self {
        PostgresSink { pool: Pool::new(address) }
    }
}

#[async_trait]
impl Sink for PostgresSink {
    async fn write(&self, table: &Table, mut rows: ChunkStream) -> Result<u64, Error> {
        let name = table.table_name();
        let doing = format!("writing {name}");
        let Some(first) = rows.next().await else { return Ok(0) };
        let first = first?;
        let columns = first
            .batch
            .schema()
            .fields()
            .iter()
            .map(|field| {
                table.column(field.name()).map(|c| c.typed(Engine::Postgres)).ok_or_else(|| {
                    Error::new(ErrorKind::Schema, format!("table {name} has no column {}", field.name()))
                })
            })
            .collect::<Result<Vec<_>, _>>()?;
        let sql = copy_statement(table, columns.iter().map(|c| c.name.as_str()));
        let encoder = CopyEncoder::new(columns)?;
        let mut connection = self.pool.take().await?;
        let transaction = connection.transaction().await.map_err(|e| describe_error(e, &doing))?;
        let sink = transaction.copy_in::<_, Bytes>(&sql).await.map_err(|e| describe_error(e, &doing))?;
        futures::pin_mut!(sink);
        let mut buffer = BytesMut::with_capacity(FLUSH_BYTES * 2);
        encoder.header(&mut buffer);
        let mut next = Some(Ok(first));
        while let Some(chunk) = next {
            let chunk = chunk?;
            if let Some(refused) = chunk.refused.first() {
                return Err(Error::new(
                    ErrorKind::Data,
                    format!("a row of {name} cannot be read: column {}, {}", refused.column, refused.reason),
                ));
            }
            encoder.batch(&chunk.batch, &mut buffer)?;
            if buffer.len() >= FLUSH_BYTES {
                sink.send(buffer.split().freeze()).await.map_err(|e| describe_error(e, &doing))?;
            }
            next = rows.next().await;
        }
        encoder.trailer(&mut buffer);
        sink.send(buffer.freeze()).await.map_err(|e| describe_error(e, &doing))?;
        let written = sink.finish().await.map_err(|e| describe_error(e, &doing))?;
        transaction.commit().await.map_err(|e| describe_error(e, &doing))?;
        Ok(written)
    }

    async fn finish(&self) -> Result<(), Error> {
        Ok(())
    }
}

/// The COPY statement that takes these columns of a table in the binary format.
pub fn copy_statement<'a>(table: &Table, columns: impl Iterator<Item = &'a str>) -> String {
    format!(
        "COPY {} ({}) FROM STDIN (FORMAT binary)",
        table.table_name().sql(Engine::Postgres),
        columns.map(|c| Engine::Postgres.quote(c)).collect::<Vec<_>>().join(", ")
    )
}
