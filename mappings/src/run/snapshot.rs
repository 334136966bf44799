//! A snapshot folder as a target: every range becomes a part, and the parts of a table become its file at the end.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use futures::StreamExt;
use imis_databases::snapshot::{SnapshotSink, SnapshotSource};
use imis_databases::{ChunkStream, Consistency, Error, ErrorKind, ReadRequest, Sink, Source};
use imis_schemas::{Catalog, Engine, Table};

use super::target::{Care, RangeId, RangeWriter, Target, table_account, tables_of};
use super::{OnReject, Stage};
use crate::account::{Account, Counts, Reject, RejectedRow, RuleAccount, TableAccount};
use crate::bind::{BoundMapping, BoundRule, RowWay};
use crate::map::Mapped;
use crate::plan::Plan;
use imis_databases::query::tables::{NoRows, Rows};

/// The parts of the tables: each is a small snapshot of its own while the run goes on.
type Parts = Arc<Mutex<BTreeMap<String, Vec<PathBuf>>>>;

/// A snapshot folder as a target.
pub struct SnapshotTarget {
    folder: PathBuf,
    run: String,
    catalog: Arc<Catalog>,
    parts: Parts,
    next: Mutex<u64>,
    rejects: Arc<Mutex<Vec<RejectedRow>>>,
    written: Mutex<BTreeMap<String, u64>>,
    from: Mutex<String>,
}

impl SnapshotTarget {
    /// A target in a folder that is empty or not there yet, of this shape.
    ///
    /// # Errors
    /// When the folder holds something.
    pub fn new(folder: PathBuf, catalog: Arc<Catalog>, run: String) -> Result<Self, Error> {
        if folder.exists() && std::fs::read_dir(&folder).is_ok_and(|mut entries| entries.next().is_some()) {
            return Err(Error::new(ErrorKind::Usage, format!("{} is not empty", folder.display()))
                .with_help("Name a new folder for the snapshot."));
        }
        Ok(SnapshotTarget {
            folder,
            run,
            catalog,
            parts: Parts::default(),
            next: Mutex::default(),
            rejects: Arc::default(),
            written: Mutex::default(),
            from: Mutex::default(),
        })
    }

    fn part(&self, rule: &str) -> PathBuf {
        let mut next = lock(&self.next);
        *next += 1;
        self.parts_folder().join(format!("{next}-{rule}"))
    }

    fn parts_folder(&self) -> PathBuf {
        self.folder.join("parts")
    }
}

impl Drop for SnapshotTarget {
    /// A run that broke off leaves nothing behind: what it wrote is not a snapshot and could not be gone on with.
    fn drop(&mut self) {
        for name in ["parts", "whole"] {
            let _ = std::fs::remove_dir_all(self.folder.join(name));
        }
        // Fails, as it should, when the folder holds the finished snapshot.
        let _ = std::fs::remove_dir(&self.folder);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A catalogue of one table.
fn only(catalog: &Catalog, table: &Table) -> Arc<Catalog> {
    Arc::new(Catalog { tables: vec![table.clone()], ..Catalog::new(catalog.engine) })
}

struct PartWriter {
    sink: SnapshotSink,
    file: imis_databases::snapshot::TableFile,
    table: String,
    folder: PathBuf,
    parts: Parts,
    rejects: Arc<Mutex<Vec<RejectedRow>>>,
}

#[async_trait]
impl RangeWriter for PartWriter {
    async fn write(&mut self, mapped: &Mapped) -> Result<Vec<Reject>, Error> {
        self.file.write(&mapped.batch)?;
        Ok(Vec::new())
    }

    async fn commit(self: Box<Self>, _: &RangeId<'_>, _: &Counts, rejects: &[RejectedRow]) -> Result<(), Error> {
        self.sink.close(self.file)?;
        self.sink.finish().await?;
        lock(&self.rejects).extend_from_slice(rejects);
        lock(&self.parts).entry(self.table).or_default().push(self.folder);
        Ok(())
    }
}

/// The rows of the parts that are there.
struct PartRows {
    catalog: Arc<Catalog>,
    parts: BTreeMap<String, Vec<PathBuf>>,
}

impl Rows for PartRows {
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
        let parts = self.parts.get(&table.name).cloned().unwrap_or_default();
        let streams = parts.into_iter().map(move |part| -> ChunkStream {
            match SnapshotSource::open(&part) {
                Ok(source) => source.read(ReadRequest::all(Arc::clone(&table)).columns(columns.clone())),
                Err(error) => Box::pin(futures::stream::once(async { Err(error) })),
            }
        });
        Box::pin(futures::stream::iter(streams.collect::<Vec<_>>()).flatten())
    }
}

#[async_trait]
#[expect(private_interfaces, reason = "as the trait")]
impl Target for SnapshotTarget {
    fn run_id(&self) -> String {
        self.run.clone()
    }

    async fn prepare(&self, _: &BoundMapping, plan: &Plan) -> Result<(), Error> {
        plan.from.clone_into(&mut lock(&self.from));
        Ok(())
    }

    fn remembers(&self) -> bool {
        false
    }

    async fn committed(&self) -> Result<BTreeMap<(String, usize), Counts>, Error> {
        Ok(BTreeMap::new())
    }

    async fn begin(&self, rule: &BoundRule, _: &RowWay, _: Care) -> Result<Box<dyn RangeWriter>, Error> {
        let folder = self.part(&rule.name);
        let catalog = only(&self.catalog, &rule.target);
        let sink = SnapshotSink::create(&folder, catalog, self.run.clone(), Consistency::Frozen)?;
        let file = sink.table(&rule.target)?;
        Ok(Box::new(PartWriter {
            sink,
            file,
            table: rule.target.name.clone(),
            folder,
            parts: Arc::clone(&self.parts),
            rejects: Arc::clone(&self.rejects),
        }))
    }

    async fn settle_existing(&self, _: &BoundMapping, _: &mut BTreeMap<String, Counts>, _: Stage) -> Result<(), Error> {
        Ok(())
    }

    async fn rows_before(&self) -> Result<Arc<dyn Rows>, Error> {
        Ok(Arc::new(NoRows(Catalog::clone(&self.catalog))))
    }

    async fn rows_now(&self) -> Result<Arc<dyn Rows>, Error> {
        Ok(Arc::new(PartRows { catalog: Arc::clone(&self.catalog), parts: lock(&self.parts).clone() }))
    }

    async fn hold_keys(&self, mapping: &BoundMapping, stage: Stage, _: OnReject) -> Result<(), Error> {
        // Nothing can be repaired here, so it is enough to look once, when everything is in.
        match stage {
            Stage::Last => super::keys::check_by_query(mapping, self.rows_now().await?).await,
            _ => Ok(()),
        }
    }

    async fn effects(&self) -> Result<super::keys::Effects, Error> {
        Ok(super::keys::Effects::default())
    }

    async fn finish(&self, mapping: &BoundMapping) -> Result<Vec<String>, Error> {
        let tables = tables_of(mapping);
        let mut catalog = Catalog::new(self.catalog.engine);
        catalog.tables = tables.iter().map(|t| Table::clone(t)).collect();
        catalog.sort();
        // The folder holds the parts, so the snapshot is made beside them and moved up.
        let draft = self.folder.join("whole");
        let from = lock(&self.from).clone();
        let sink = SnapshotSink::create(&draft, Arc::new(catalog), from, Consistency::Frozen)?;
        let rows = PartRows { catalog: Arc::clone(&self.catalog), parts: lock(&self.parts).clone() };
        for table in &tables {
            let columns = table.columns.iter().map(|c| c.name.clone()).collect();
            let written = sink.write(table, rows.read(Arc::clone(table), columns)).await?;
            lock(&self.written).insert(table.table_name().to_string(), written);
        }
        sink.finish().await?;
        let moved =
            |e: std::io::Error| Error::failed(format!("{} cannot be put in place", draft.display())).caused_by(e);
        std::fs::remove_dir_all(self.parts_folder()).or_else(|e| match e.kind() {
            std::io::ErrorKind::NotFound => Ok(()),
            _ => Err(moved(e)),
        })?;
        for name in ["tables", "catalog.json", "manifest.json"] {
            std::fs::rename(draft.join(name), self.folder.join(name)).map_err(moved)?;
        }
        std::fs::remove_dir(&draft).map_err(moved)?;
        Ok(Vec::new())
    }

    async fn tables(&self, mapping: &BoundMapping, rules: &[RuleAccount]) -> Result<Vec<TableAccount>, Error> {
        let source = SnapshotSource::open(&self.folder)?;
        let mut accounts = Vec::new();
        for table in tables_of(mapping) {
            let after = source.count(&table).await?;
            accounts.push(table_account(&table.table_name().to_string(), rules, 0, 0, after));
        }
        Ok(accounts)
    }

    async fn rejects(&self) -> Result<Vec<RejectedRow>, Error> {
        Ok(lock(&self.rejects).clone())
    }

    async fn close(&self, _: &Account) -> Result<(), Error> {
        Ok(())
    }
}
