//! Rows of a server for the queries of checks: what they need of each table is kept beside the one reading of it, as a snapshot in a private
//! temporary folder, so that no query reads the server again. The folder goes when the run ends.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::record_batch::RecordBatch;
use imis_databases::snapshot::{SnapshotSink, SnapshotSource, TableFile};
use imis_databases::{Consistency, Error, Source};
use imis_schemas::{Catalog, Known, Table};

/// Tables that are kept while they are read.
pub(super) struct Stage {
    folder: tempfile::TempDir,
    sink: SnapshotSink,
    catalog: Arc<Catalog>,
    open: HashMap<String, Arc<Mutex<TableFile>>>,
}

/// One table of the stage, for the readers of its parts.
#[derive(Clone)]
pub(super) struct StageTable {
    columns: Arc<Vec<String>>,
    file: Arc<Mutex<TableFile>>,
}

impl StageTable {
    /// Keeps the columns that are needed.
    pub(super) fn write(&self, batch: &RecordBatch) -> Result<(), Error> {
        let own =
            self.columns.iter().filter_map(|name| Some((name, batch.column_by_name(&name.to_lowercase())?, true)));
        let kept =
            RecordBatch::try_from_iter_with_nullable(own.map(|(name, array, null)| (name, Arc::clone(array), null)))
                .map_err(|e| Error::failed("rows cannot be kept for queries").caused_by(e))?;
        self.file.lock().unwrap_or_else(PoisonError::into_inner).write(&kept)
    }
}

impl Stage {
    /// A stage for these columns of these tables, as the database spells them.
    pub(super) fn new(catalog: &Catalog, wanted: &[(Arc<Table>, Vec<String>)]) -> Result<Self, Error> {
        let folder = tempfile::Builder::new()
            .prefix("imis-checks-")
            .tempdir()
            .map_err(|e| Error::failed("a temporary folder cannot be made").caused_by(e))?;
        let mut own = Catalog::new(catalog.engine);
        own.tables = wanted
            .iter()
            .map(|(table, columns)| Table {
                columns: table.columns.iter().filter(|c| columns.contains(&c.name)).cloned().collect(),
                primary_key: Known::Yes(None),
                foreign_keys: Known::Yes(Vec::new()),
                uniques: Known::Yes(Vec::new()),
                indexes: Known::Yes(Vec::new()),
                checks: Known::Yes(Vec::new()),
                ..table.as_ref().clone()
            })
            .collect();
        let own = Arc::new(own);
        let path = folder.path().join("rows");
        let sink = SnapshotSink::create(&path, Arc::clone(&own), "rows kept for queries", Consistency::Frozen)?;
        Ok(Stage { folder, sink, catalog: own, open: HashMap::new() })
    }

    /// A table of the stage, if it is kept.
    pub(super) fn table(&mut self, table: &Table) -> Result<Option<StageTable>, Error> {
        let Some(own) = self.catalog.tables.iter().find(|own| own.table_name() == table.table_name()) else {
            return Ok(None);
        };
        let columns = Arc::new(own.columns.iter().map(|c| c.name.clone()).collect::<Vec<_>>());
        let key = own.table_name().to_string();
        let file = match self.open.get(&key) {
            Some(file) => Arc::clone(file),
            None => {
                let file = Arc::new(Mutex::new(self.sink.table(own)?));
                self.open.insert(key, Arc::clone(&file));
                file
            }
        };
        Ok(Some(StageTable { columns, file }))
    }

    /// The kept rows as a source; it lives as long as the folder that comes with it.
    pub(super) fn finish(self) -> Result<(Arc<dyn Source>, tempfile::TempDir), Error> {
        for file in self.open.into_values() {
            // Whoever could not read a table to its end may still hold its file; no query reads it.
            let Some(file) = Arc::into_inner(file) else { continue };
            self.sink.close(file.into_inner().unwrap_or_else(PoisonError::into_inner))?;
        }
        self.sink.complete()?;
        let source = SnapshotSource::open(&self.folder.path().join("rows"))?;
        Ok((Arc::new(source), self.folder))
    }
}
