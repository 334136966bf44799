//! Reading a table: in ranges or parts, several at once, each with a reader of its own.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use futures::{StreamExt, TryStreamExt, stream};
use imis_databases::query::tables::rename;
use imis_databases::source::plan_ranges;
use imis_databases::{ChunkStream, Error, Progress, ReadRequest, RefusedRow, Source};
use imis_schemas::{Engine, Table};

/// About how many rows a range has.
const ROWS_A_RANGE: u64 = 200_000;

/// Where rows are read from.
#[derive(Clone)]
pub(super) struct Reading {
    pub(super) source: Arc<dyn Source>,
    pub(super) engine: Engine,
    pub(super) jobs: usize,
    pub(super) progress: Arc<dyn Progress>,
}

/// Does something with each batch of a part of a table.
pub(super) trait Reader: Send + 'static {
    /// Takes a batch whose columns have the names of the schema.
    fn take(&mut self, batch: &RecordBatch) -> Result<(), Error>;
    /// Takes rows that could not be read.
    fn refuse(&mut self, refused: &[RefusedRow]) {
        let _ = refused;
    }
    /// The part is at its end.
    fn finish(&mut self) -> Result<(), Error> {
        Ok(())
    }
}

impl Reading {
    /// Reads some columns of a table, each part with a reader of its own; gives the readers back, with how many rows were read.
    pub(super) async fn read<R: Reader>(
        &self,
        table: &Arc<Table>,
        columns: &[String],
        schema: &SchemaRef,
        what: &str,
        reader: impl Fn() -> Result<R, Error> + Send + Sync,
    ) -> Result<(Vec<R>, u64), Error> {
        let counted = self.source.count(table).await?;
        self.progress.rule(what, counted);
        let request = ReadRequest::all(Arc::clone(table)).columns(columns.to_vec()).counted(counted);
        let streams: Vec<ChunkStream> = if self.source.splits() {
            let ranges = plan_ranges(self.source.as_ref(), table, self.engine, counted, ROWS_A_RANGE).await?;
            ranges.into_iter().map(|range| self.source.read(request.clone().range(range))).collect()
        } else {
            self.source.read_apart(request, self.jobs)
        };
        let done = stream::iter(streams.into_iter().map(|rows| {
            let (schema, progress, what) = (Arc::clone(schema), Arc::clone(&self.progress), what.to_owned());
            let reader = reader();
            async move {
                let mut work = Task(tokio::spawn(carry_out(rows, reader?, schema, progress, what)));
                (&mut work.0).await.map_err(|_| Error::failed("a reader of rows came to a bad end"))?
            }
        }))
        .buffer_unordered(self.jobs.max(1))
        .try_collect::<Vec<(R, u64)>>()
        .await?;
        self.progress.done(what);
        let rows = done.iter().map(|(_, rows)| rows).sum();
        Ok((done.into_iter().map(|(reader, _)| reader).collect(), rows))
    }
}

/// Work that ends when nobody waits for it any more.
struct Task<T>(tokio::task::JoinHandle<T>);

impl<T> Drop for Task<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn carry_out<R: Reader>(
    mut rows: ChunkStream,
    mut reader: R,
    schema: SchemaRef,
    progress: Arc<dyn Progress>,
    what: String,
) -> Result<(R, u64), Error> {
    let mut count = 0;
    while let Some(chunk) = rows.next().await {
        let chunk = chunk?;
        if !chunk.refused.is_empty() {
            reader.refuse(&chunk.refused);
        }
        if chunk.batch.num_rows() == 0 {
            continue;
        }
        let batch = rename(&chunk.batch, &schema)
            .map_err(|e| imis_databases::query::expression::failed("giving rows the types of their columns", &e))?;
        count += batch.num_rows() as u64;
        progress.rows(&what, batch.num_rows() as u64);
        reader.take(&batch)?;
    }
    reader.finish()?;
    Ok((reader, count))
}
