//! The target's rows in the transaction in which keys are held: one connection, which answers one question at a time, so that
//! what is read goes through a [`Spool`].

use std::sync::Arc;

use futures::{StreamExt, TryStreamExt};
use imis_databases::postgres::{Connection, read_within};
use imis_databases::spool::Spool;
use imis_databases::{Chunk, ChunkStream, Error, ReadRequest};
use imis_schemas::{Catalog, Engine, Table};
use tokio::sync::Mutex;

use imis_databases::query::tables::Rows;

/// The target's rows as a transaction sees them, for a query that reads several tables at once: each is drained into a file
/// as soon as it is asked for.
pub(super) struct RowsWithin {
    pub(super) connection: Arc<Connection>,
    pub(super) catalog: Arc<Catalog>,
    /// Who reads has the connection for itself.
    pub(super) turn: Arc<Mutex<()>>,
}

impl Rows for RowsWithin {
    fn engine(&self) -> Engine {
        Engine::Postgres
    }
    fn table(&self, name: &str) -> Option<Arc<Table>> {
        self.catalog.table(name).map(|t| Arc::new(t.clone()))
    }
    fn names(&self) -> Vec<String> {
        self.catalog.tables.iter().map(|t| t.name.clone()).collect()
    }
    fn read(&self, table: Arc<Table>, columns: Vec<String>) -> ChunkStream {
        let (connection, turn) = (Arc::clone(&self.connection), Arc::clone(&self.turn));
        let drained = tokio::spawn(async move {
            let _turn = turn.lock().await;
            drain(connection, ReadRequest::all(table).columns(columns)).await
        });
        let batches = async move {
            let spool = drained.await.map_err(|e| Error::failed("reading the target broke off").caused_by(e))??;
            Ok::<_, Error>(futures::stream::iter(spool.into_batches()?).map_ok(Chunk::from))
        };
        Box::pin(futures::stream::once(batches).try_flatten())
    }
}

/// Reads all rows of a request into a file.
pub(super) async fn drain(connection: Arc<Connection>, request: ReadRequest) -> Result<Spool, Error> {
    let mut spool = Spool::new();
    let mut chunks: ChunkStream = read_within(connection, request);
    while let Some(chunk) = chunks.next().await {
        spool.push(&chunk?.batch)?;
    }
    Ok(spool)
}
