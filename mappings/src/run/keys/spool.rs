//! Batches that wait in a file without a name: a connection answers one question at a time, and who asks may not hold a
//! big table in memory meanwhile.

use std::fs::File;
use std::io::{BufReader, BufWriter, Seek, Write};
use std::sync::Arc;

use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::StreamWriter;
use arrow::record_batch::RecordBatch;
use futures::{StreamExt, TryStreamExt};
use imis_databases::postgres::{Connection, read_within};
use imis_databases::{Chunk, ChunkStream, Error, ReadRequest};
use imis_schemas::{Catalog, Engine, Table};
use tokio::sync::Mutex;

use crate::rows::Rows;

/// Batches on their way through a file.
pub(super) struct Spool(Option<StreamWriter<BufWriter<File>>>);

fn trouble<E: std::error::Error + Send + Sync + 'static>(error: E) -> Error {
    Error::failed("a file in the temporary folder cannot be written or read")
        .with_help("Is there room? TMPDIR names another folder.")
        .caused_by(error)
}

impl Spool {
    pub(super) fn new() -> Self {
        Spool(None)
    }

    /// Adds a batch; all have one schema.
    pub(super) fn push(&mut self, batch: &RecordBatch) -> Result<(), Error> {
        if self.0.is_none() {
            let file = BufWriter::new(tempfile::tempfile().map_err(trouble)?);
            self.0 = Some(StreamWriter::try_new(file, &batch.schema()).map_err(trouble)?);
        }
        match &mut self.0 {
            Some(writer) => writer.write(batch).map_err(trouble),
            None => Ok(()),
        }
    }

    /// The batches again, from the first.
    pub(super) fn into_batches(self) -> Result<impl Iterator<Item = Result<RecordBatch, Error>> + Send, Error> {
        let reader = match self.0 {
            None => None,
            Some(mut writer) => {
                writer.finish().map_err(trouble)?;
                let mut buffer = writer.into_inner().map_err(trouble)?;
                buffer.flush().map_err(trouble)?;
                let mut file = buffer.into_inner().map_err(|e| trouble(e.into_error()))?;
                file.rewind().map_err(trouble)?;
                Some(StreamReader::try_new(BufReader::new(file), None).map_err(trouble)?)
            }
        };
        Ok(reader.into_iter().flatten().map(|batch| batch.map_err(trouble)))
    }
}

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
