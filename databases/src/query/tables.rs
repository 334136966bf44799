//! Tables of databases as DataFusion sees them in queries: read lazily, only the columns that are needed.

use std::fmt;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use async_trait::async_trait;
use datafusion::catalog::{CatalogProvider, MemoryCatalogProvider, SchemaProvider, Session, TableProvider};
use datafusion::common::{DataFusionError, Result};
use datafusion::execution::TaskContext;
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::{PartitionStream, StreamingTableExec};
use datafusion::physical_plan::{ExecutionPlan, SendableRecordBatchStream};
use datafusion::prelude::SessionContext;
use futures::StreamExt;
use imis_schemas::{Catalog, Engine, Table};

use super::expression::schema_of;
use crate::source::{ChunkStream, ReadRequest, Source};

/// Tables that a query may read.
pub trait Rows: Send + Sync {
    /// The engine of the tables' types.
    fn engine(&self) -> Engine;
    /// The table of this name, case aside.
    fn table(&self, name: &str) -> Option<Arc<Table>>;
    /// The names of all tables.
    fn names(&self) -> Vec<String>;
    /// The rows of a table.
    fn read(&self, table: Arc<Table>, columns: Vec<String>) -> ChunkStream;
}

/// The tables of a source.
pub struct SourceRows {
    /// Where the rows are.
    pub source: Arc<dyn Source>,
    /// What it looks like.
    pub catalog: Arc<Catalog>,
}

impl Rows for SourceRows {
    fn engine(&self) -> Engine {
        self.catalog.engine
    }
    fn table(&self, name: &str) -> Option<Arc<Table>> {
        self.catalog.table(name).map(|t| Arc::new(t.clone()))
    }
    fn names(&self) -> Vec<String> {
        self.catalog.tables.iter().map(|t| t.name.clone()).collect()
    }
    fn read(&self, table: Arc<Table>, columns: Vec<String>) -> ChunkStream {
        self.source.read(ReadRequest::all(table).columns(columns))
    }
}

/// Tables of which only the shape is known; for planning.
pub struct NoRows(pub Catalog);

impl Rows for NoRows {
    fn engine(&self) -> Engine {
        self.0.engine
    }
    fn table(&self, name: &str) -> Option<Arc<Table>> {
        self.0.table(name).map(|t| Arc::new(t.clone()))
    }
    fn names(&self) -> Vec<String> {
        self.0.tables.iter().map(|t| t.name.clone()).collect()
    }
    fn read(&self, _: Arc<Table>, _: Vec<String>) -> ChunkStream {
        Box::pin(futures::stream::empty())
    }
}

/// Tables, and empty ones in place of those that are not there.
pub struct OrEmpty {
    inner: Arc<dyn Rows>,
    fallback: Option<Catalog>,
}

impl OrEmpty {
    /// The tables of `inner`, and those of `fallback` without rows where it lacks them.
    pub fn new(inner: Arc<dyn Rows>, fallback: Option<Catalog>) -> Self {
        OrEmpty { inner, fallback }
    }
}

impl Rows for OrEmpty {
    fn engine(&self) -> Engine {
        self.inner.engine()
    }
    fn table(&self, name: &str) -> Option<Arc<Table>> {
        let fallback = self.fallback.as_ref().filter(|f| f.engine == self.inner.engine());
        self.inner.table(name).or_else(|| fallback?.table(name).map(|t| Arc::new(t.clone())))
    }
    fn names(&self) -> Vec<String> {
        self.inner.names()
    }
    fn read(&self, table: Arc<Table>, columns: Vec<String>) -> ChunkStream {
        match self.inner.table(&table.name) {
            Some(_) => self.inner.read(table, columns),
            None => Box::pin(futures::stream::empty()),
        }
    }
}

/// Makes tables known to a session under a schema's name, in place of those that were known before.
pub fn register(context: &SessionContext, schema: &str, rows: Arc<dyn Rows>) {
    let default = context.copied_config().options().catalog.default_catalog.clone();
    let catalog = context.catalog(&default).unwrap_or_else(|| {
        let made: Arc<dyn CatalogProvider> = Arc::new(MemoryCatalogProvider::new());
        context.register_catalog(&default, Arc::clone(&made));
        made
    });
    // The in-memory catalogue takes any schema.
    let _ = catalog.register_schema(schema, Arc::new(RowsSchema(rows)));
}

struct RowsSchema(Arc<dyn Rows>);

impl fmt::Debug for RowsSchema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RowsSchema")
    }
}

#[async_trait]
impl SchemaProvider for RowsSchema {
    fn table_names(&self) -> Vec<String> {
        self.0.names()
    }
    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        Ok(self.0.table(name).map(|table| {
            let columns = table.columns.iter().map(|c| c.name.clone()).collect::<Vec<_>>();
            let schema = schema_of(&table, self.0.engine(), &columns);
            Arc::new(RowsTable { rows: Arc::clone(&self.0), table, columns, schema }) as Arc<dyn TableProvider>
        }))
    }
    fn table_exist(&self, name: &str) -> bool {
        self.0.table(name).is_some()
    }
}

struct RowsTable {
    rows: Arc<dyn Rows>,
    table: Arc<Table>,
    columns: Vec<String>,
    schema: SchemaRef,
}

impl fmt::Debug for RowsTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RowsTable({})", self.table.name)
    }
}

#[async_trait]
impl TableProvider for RowsTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }
    fn table_type(&self) -> TableType {
        TableType::Base
    }
    async fn scan(
        &self,
        _: &dyn Session,
        projection: Option<&Vec<usize>>,
        _: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let wanted: Vec<usize> = projection.cloned().unwrap_or_else(|| (0..self.columns.len()).collect());
        // A count asks for no column at all; one is read all the same, and dropped.
        let read: Vec<usize> = if wanted.is_empty() { vec![0] } else { wanted.clone() };
        let schema = Arc::new(self.schema.project(&read)?);
        let columns = read.iter().filter_map(|at| self.columns.get(*at).cloned()).collect();
        let part = Arc::new(RowsPart { rows: Arc::clone(&self.rows), table: Arc::clone(&self.table), columns, schema });
        let inner: Option<Vec<usize>> = if wanted.is_empty() { Some(Vec::new()) } else { None };
        let schema = Arc::clone(&part.schema);
        Ok(Arc::new(StreamingTableExec::try_new(schema, vec![part], inner.as_ref(), None, false, limit)?))
    }
}

struct RowsPart {
    rows: Arc<dyn Rows>,
    table: Arc<Table>,
    columns: Vec<String>,
    schema: SchemaRef,
}

impl fmt::Debug for RowsPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RowsPart({})", self.table.name)
    }
}

impl PartitionStream for RowsPart {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }
    fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
        let schema = Arc::clone(&self.schema);
        let stream = self.rows.read(Arc::clone(&self.table), self.columns.clone());
        let (named, table) = (Arc::clone(&schema), Arc::clone(&self.table));
        let batches = stream.map(move |chunk| {
            // A row that is missing here would be missed by nobody.
            let rows =
                chunk.and_then(|chunk| chunk.whole(&table)).map_err(|e| DataFusionError::External(Box::new(e)))?;
            rename(&rows, &named)
        });
        Box::pin(RecordBatchStreamAdapter::new(schema, batches))
    }
}

/// Gives a batch the names of another schema, and its types where the optimiser chose another precision.
pub fn rename(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch> {
    let options = arrow::record_batch::RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    let columns = batch
        .columns()
        .iter()
        .zip(schema.fields())
        .map(|(array, field)| match array.data_type() == field.data_type() {
            true => Ok(Arc::clone(array)),
            false => arrow::compute::cast_with_options(
                array,
                field.data_type(),
                &arrow::compute::CastOptions { safe: false, ..Default::default() },
            ),
        })
        .collect::<std::result::Result<Vec<_>, _>>()?;
    Ok(RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)?)
}

#[cfg(test)]
mod tests {
    use arrow::array::Int32Array;
    use arrow::datatypes::{DataType, Field, Schema};
    use imis_schemas::{Column, Known};

    use super::*;
    use crate::source::{Chunk, RefusedRow};

    /// Two rows, and one that cannot be read where its note is asked for.
    struct HalfReadable(Catalog);

    impl Rows for HalfReadable {
        fn engine(&self) -> Engine {
            Engine::Postgres
        }
        fn table(&self, name: &str) -> Option<Arc<Table>> {
            self.0.table(name).map(|t| Arc::new(t.clone()))
        }
        fn names(&self) -> Vec<String> {
            Vec::new()
        }
        fn read(&self, _: Arc<Table>, columns: Vec<String>) -> ChunkStream {
            let fields = columns.iter().map(|name| Field::new(name, DataType::Int32, true));
            let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
            let arrays = columns.iter().map(|_| Arc::new(Int32Array::from(vec![1, 2])) as _).collect();
            let refused = columns.contains(&"note".to_owned()).then(|| RefusedRow {
                key: vec![("id".into(), "3".into())],
                column: "note".into(),
                reason: "half a character".into(),
            });
            let chunk =
                Chunk { batch: RecordBatch::try_new(schema, arrays).unwrap(), refused: refused.into_iter().collect() };
            Box::pin(futures::stream::iter([Ok(chunk)]))
        }
    }

    #[tokio::test]
    async fn a_row_that_cannot_be_read_fails_the_query_that_needs_it() {
        let mut catalog = Catalog::new(Engine::Postgres);
        let column = |name: &str| Column {
            name: name.into(),
            data_type: "integer".into(),
            nullable: true,
            identity: false,
            default: None,
            computed: None,
            collation: None,
        };
        catalog.tables.push(Table {
            schema: "public".into(),
            name: "log".into(),
            columns: vec![column("id"), column("note")],
            primary_key: Known::Yes(None),
            foreign_keys: Known::Yes(Vec::new()),
            uniques: Known::Yes(Vec::new()),
            indexes: Known::Yes(Vec::new()),
            checks: Known::Yes(Vec::new()),
        });
        let context = SessionContext::new();
        register(&context, "source", Arc::new(HalfReadable(catalog)));
        let ask = async |sql: &str| context.sql(sql).await.unwrap().collect().await;
        assert_eq!(ask("SELECT id FROM source.log").await.unwrap().iter().map(RecordBatch::num_rows).sum::<usize>(), 2);
        let said = ask("SELECT id FROM source.log WHERE note > 0").await.unwrap_err().to_string();
        assert!(said.contains("one cannot be read (found by id): note: half a character"), "{said}");
    }
}
