//! Reading a snapshot.

use std::fs::{self, File};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use arrow::array::{Array, BooleanArray, Int64Array, RecordBatch};
use arrow::datatypes::DataType as ArrowType;
use async_trait::async_trait;
use imis_schemas::{Catalog, Table, same_name};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};

use super::write::{hash_file, hex, trouble};
use super::{CATALOG, FORMAT, MANIFEST, Manifest, ManifestTable};
use crate::consistency::{Consistency, Reading};
use crate::error::{Error, ErrorKind};
use crate::source::{Chunk, ChunkStream, KeyRange, ReadRequest, Source};

/// A snapshot folder as a source.
#[derive(Clone, Debug)]
pub struct SnapshotSource {
    folder: PathBuf,
    manifest: Arc<Manifest>,
    catalog: Arc<Catalog>,
}

impl SnapshotSource {
    /// Opens a snapshot: reads manifest and catalogue and holds the catalogue against its hash. The tables' files are
    /// held against theirs by [`SnapshotSource::check_files`].
    ///
    /// # Errors
    /// When the folder is not a snapshot, was not finished, or was written by a later version.
    pub fn open(folder: &Path) -> Result<Self, Error> {
        let path = folder.join(MANIFEST);
        let text = fs::read_to_string(&path).map_err(|e| {
            Error::new(
                ErrorKind::Usage,
                format!("{} is not a snapshot: it has no readable {MANIFEST}", folder.display()),
            )
            .with_help("A snapshot that was broken off has none; make it again with `imis snapshot`.")
            .caused_by(e)
        })?;
        let damaged = |what: &str| {
            Error::new(ErrorKind::Data, format!("{}: {what}", folder.display()))
                .with_help("The snapshot is damaged or was changed by hand; make it again.")
        };
        let manifest: Manifest =
            serde_json::from_str(&text).map_err(|e| damaged("the manifest cannot be read").caused_by(e))?;
        if manifest.imis > FORMAT {
            return Err(Error::new(
                ErrorKind::Usage,
                format!("{} was written by a later version of imis", folder.display()),
            ));
        }
        // The files lie in the folder itself: a manifest leads nowhere else.
        let within = |file: &str| Path::new(file).components().all(|part| matches!(part, Component::Normal(_)));
        if let Some(table) = manifest.tables.iter().find(|table| !within(&table.file)) {
            return Err(damaged(&format!("the manifest says that {} lies outside the folder", table.name)));
        }
        let path = folder.join(CATALOG);
        let text = fs::read_to_string(&path).map_err(|e| trouble("read", &path, e))?;
        if hex(&sha2::Digest::finalize(sha2::Digest::chain_update(sha2::Sha256::default(), text.as_bytes())))
            != manifest.catalog_sha256
        {
            return Err(damaged("the catalogue is not the one that was written"));
        }
        let catalog = Catalog::parse(&text).map_err(|e| damaged("the catalogue cannot be read").caused_by(e))?;
        Ok(SnapshotSource { folder: folder.to_owned(), manifest: Arc::new(manifest), catalog: Arc::new(catalog) })
    }

    /// What the folder says of itself.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Holds every file against the hash in the manifest.
    ///
    /// # Errors
    /// When a file is missing or is not the one that was written.
    pub fn check_files(&self) -> Result<(), Error> {
        for table in &self.manifest.tables {
            let path = self.folder.join(&table.file);
            let (sha256, _) = hash_file(&path)?;
            if sha256 != table.sha256 {
                return Err(Error::new(
                    ErrorKind::Data,
                    format!("{} is not the file that was written", path.display()),
                )
                .with_help("The snapshot was damaged or tampered with; make it again."));
            }
        }
        Ok(())
    }

    fn entry(&self, table: &Table) -> Result<&ManifestTable, Error> {
        self.manifest
            .tables
            .iter()
            .find(|t| t.schema == table.schema && t.name == table.name)
            .or_else(|| self.manifest.tables.iter().find(|t| same_name(&t.name, &table.name)))
            .ok_or_else(|| Error::new(ErrorKind::Schema, format!("the snapshot has no table {}", table.table_name())))
    }

    fn reader(&self, request: &ReadRequest, part: Part) -> Result<(ParquetRecordBatchReader, Option<usize>), Error> {
        let entry = self.entry(&request.table)?;
        let path = self.folder.join(&entry.file);
        let unreadable = |e: parquet::errors::ParquetError| {
            Error::new(ErrorKind::Data, format!("{} cannot be read", path.display())).caused_by(e)
        };
        let file = File::open(&path).map_err(|e| trouble("read", &path, e))?;
        let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(unreadable)?;
        let mut wanted = Vec::new();
        let key = request.range.column.clone().filter(|_| !request.range.is_whole());
        for name in request.columns.iter().chain(&key) {
            let (at, _) = builder.schema().column_with_name(name).ok_or_else(|| {
                Error::new(ErrorKind::Schema, format!("the snapshot's {} has no column {name}", entry.name))
            })?;
            wanted.push(at);
        }
        let mask = ProjectionMask::roots(builder.parquet_schema(), wanted);
        // Wide cells make wide batches: the number of rows follows from how large the rows of this file are.
        let row_bytes = usize::try_from(entry.bytes / entry.rows.max(1)).unwrap_or(usize::MAX).max(1);
        let rows = (request.batch_bytes / row_bytes / 4).clamp(1, request.batch_rows);
        let groups = part.groups(builder.metadata().num_row_groups());
        let builder = builder.with_row_groups(groups).with_projection(mask).with_batch_size(rows);
        let reader = builder.build().map_err(unreadable)?;
        let key_at = key.and_then(|key| reader.schema().index_of(&key).ok());
        Ok((reader, key_at))
    }
}

use arrow::record_batch::RecordBatchReader;

/// One of several equal parts of a file.
#[derive(Clone, Copy)]
struct Part {
    nth: usize,
    of: usize,
}

impl Part {
    const WHOLE: Part = Part { nth: 0, of: 1 };

    /// Which of a file's groups of rows belong to it.
    fn groups(self, all: usize) -> Vec<usize> {
        (all * self.nth / self.of..all * (self.nth + 1) / self.of).collect()
    }
}

/// Brings a batch into the asked order and keeps the rows of the range.
fn shape(batch: &RecordBatch, request: &ReadRequest, key_at: Option<usize>) -> Result<RecordBatch, Error> {
    let trouble = |e: arrow::error::ArrowError| Error::failed("a batch cannot be shaped").caused_by(e);
    let mut order = Vec::with_capacity(request.columns.len());
    for name in &request.columns {
        order.push(batch.schema().index_of(name).map_err(trouble)?);
    }
    let shaped = batch.project(&order).map_err(trouble)?;
    let Some(key) = key_at.and_then(|at| batch.columns().get(at)) else { return Ok(shaped) };
    let keys = arrow::compute::cast(key, &ArrowType::Int64).map_err(trouble)?;
    let Some(keys) = keys.as_any().downcast_ref::<Int64Array>() else { return Ok(shaped) };
    let KeyRange { from, to, .. } = &request.range;
    let kept: BooleanArray = keys
        .iter()
        .map(|key| Some(key.is_some_and(|key| from.is_none_or(|from| key >= from) && to.is_none_or(|to| key < to))))
        .collect();
    arrow::compute::filter_record_batch(&shaped, &kept).map_err(trouble)
}

#[async_trait]
impl Source for SnapshotSource {
    async fn catalog(&self) -> Result<Arc<Catalog>, Error> {
        Ok(Arc::clone(&self.catalog))
    }

    async fn count(&self, table: &Table) -> Result<u64, Error> {
        let entry = self.entry(table)?;
        Ok(entry.rows + entry.refused.len() as u64)
    }

    async fn bounds(&self, table: &Table, column: &str) -> Result<Option<(i64, i64)>, Error> {
        let request = ReadRequest::all(Arc::new(table.clone())).columns(vec![column.to_owned()]);
        let (reader, _) = self.reader(&request, Part::WHOLE)?;
        let mut bounds: Option<(i64, i64)> = None;
        for batch in reader {
            let trouble = |e: arrow::error::ArrowError| Error::failed("a batch cannot be read").caused_by(e);
            let batch = batch.map_err(trouble)?;
            let keys = arrow::compute::cast(batch.column(0), &ArrowType::Int64).map_err(trouble)?;
            if let Some(keys) = keys.as_any().downcast_ref::<Int64Array>()
                && let (Some(least), Some(greatest)) = (arrow::compute::min(keys), arrow::compute::max(keys))
            {
                let (a, b) = bounds.unwrap_or((least, greatest));
                bounds = Some((a.min(least), b.max(greatest)));
            }
        }
        Ok(bounds)
    }

    fn read(&self, request: ReadRequest) -> ChunkStream {
        self.read_part(request, Part::WHOLE)
    }

    /// Each part has some of the file's groups of rows.
    fn read_apart(&self, request: ReadRequest, parts: usize) -> Vec<ChunkStream> {
        let of = parts.max(1);
        (0..of).map(|nth| self.read_part(request.clone(), Part { nth, of })).collect()
    }

    async fn consistency(&self) -> Result<Consistency, Error> {
        Ok(Consistency::Frozen)
    }

    async fn reading(&self) -> Result<(Consistency, Reading), Error> {
        let because = match self.manifest.consistency {
            Consistency::Frozen => "it is a snapshot folder, taken from a source that stood still",
            Consistency::SingleTransaction => "it is a snapshot folder, taken in one transaction",
            Consistency::Fuzzy => {
                "it is a snapshot folder; while it was taken, the source was fuzzy, and its tables may not agree"
            }
        };
        Ok((Consistency::Frozen, Reading { because: because.to_owned(), ..Reading::default() }))
    }

    /// A file is read from its beginning.
    fn splits(&self) -> bool {
        false
    }

    fn describe(&self) -> String {
        format!("snapshot {} of {}", self.folder.display(), self.manifest.from)
    }
}

impl SnapshotSource {
    fn read_part(&self, request: ReadRequest, part: Part) -> ChunkStream {
        let me = self.clone();
        let (sender, receiver) = tokio::sync::mpsc::channel::<Result<Chunk, Error>>(2);
        // Parquet is decoded on a thread of its own; the channel's two places are the back-pressure.
        tokio::task::spawn_blocking(move || {
            let result = me.send_batches(&request, part, &sender);
            if let Err(error) = result {
                let _ = sender.blocking_send(Err(error));
            }
        });
        Box::pin(futures::stream::unfold(receiver, |mut receiver| async move {
            receiver.recv().await.map(|chunk| (chunk, receiver))
        }))
    }

    fn send_batches(
        &self,
        request: &ReadRequest,
        part: Part,
        sender: &tokio::sync::mpsc::Sender<Result<Chunk, Error>>,
    ) -> Result<(), Error> {
        // Rows that the snapshot itself could not hold belong to the first range and part, so that each is told once.
        if request.range.from.is_none() && part.nth == 0 {
            let refused = self.entry(&request.table)?.refused.clone();
            if !refused.is_empty() {
                let empty = RecordBatch::new_empty(self.schema(request)?);
                if sender.blocking_send(Ok(Chunk { batch: empty, refused })).is_err() {
                    return Ok(());
                }
            }
        }
        let (reader, key_at) = self.reader(request, part)?;
        for batch in reader {
            let batch = batch.map_err(|e| {
                Error::new(ErrorKind::Data, format!("the file of {} is damaged", request.table.table_name()))
                    .caused_by(e)
            })?;
            let batch = shape(&batch, request, key_at)?;
            if batch.num_rows() > 0 && sender.blocking_send(Ok(batch.into())).is_err() {
                return Ok(());
            }
        }
        Ok(())
    }

    fn schema(&self, request: &ReadRequest) -> Result<arrow::datatypes::SchemaRef, Error> {
        let (reader, _) = self.reader(request, Part { nth: 0, of: usize::MAX })?;
        let schema = reader.schema();
        let fields = request.columns.iter().filter_map(|name| schema.field_with_name(name).ok().cloned());
        Ok(Arc::new(arrow::datatypes::Schema::new(fields.collect::<Vec<_>>())))
    }
}
