//! Writing a snapshot.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::ArrayRef;
use arrow::datatypes::{DataType as ArrowType, Field, Schema, SchemaRef};
use async_trait::async_trait;
use futures::StreamExt;
use imis_schemas::{Catalog, Engine, Table};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use sha2::{Digest, Sha256};

use super::{CATALOG, FORMAT, MANIFEST, Manifest, ManifestTable, TABLES, file_name};
use crate::consistency::{Consistency, Reading};
use crate::error::{Error, ErrorKind};
use crate::sink::Sink;
use crate::source::{ChunkStream, RefusedRow};

/// Rows of a Parquet row group: small, so that memory stays small while many tables are written at once.
const ROW_GROUP_ROWS: usize = 64 * 1024;

/// A snapshot folder as a sink.
#[derive(Debug)]
pub struct SnapshotSink {
    folder: PathBuf,
    catalog: Arc<Catalog>,
    from: String,
    consistency: Consistency,
    reading: Mutex<Option<(Consistency, Reading)>>,
    started: jiff::Timestamp,
    /// The moment that the manifest tells instead of the clock's.
    moment: Option<jiff::Timestamp>,
    done: Mutex<Vec<ManifestTable>>,
}

impl SnapshotSink {
    /// Makes the folder (0700), which must be empty or not be there.
    ///
    /// # Errors
    /// When the folder holds something, or cannot be made.
    pub fn create(
        folder: &Path,
        catalog: Arc<Catalog>,
        from: impl Into<String>,
        consistency: Consistency,
    ) -> Result<Self, Error> {
        if folder.exists() && fs::read_dir(folder).map_err(|e| trouble("read", folder, e))?.next().is_some() {
            return Err(Error::new(ErrorKind::Usage, format!("{} is not empty", folder.display()))
                .with_help("A snapshot is never written over something else: name a new folder."));
        }
        make_private_folder(folder)?;
        make_private_folder(&folder.join(TABLES))?;
        Ok(SnapshotSink {
            folder: folder.to_owned(),
            catalog,
            from: from.into(),
            consistency,
            reading: Mutex::default(),
            started: jiff::Timestamp::now(),
            moment: None,
            done: Mutex::default(),
        })
    }

    /// The same with a moment of its own in the manifest, for a snapshot that shall be the same whenever it is made.
    #[must_use]
    pub fn as_of(mut self, moment: jiff::Timestamp) -> Self {
        self.moment = Some(moment);
        self
    }

    /// Writes the manifest: from then on the folder is a snapshot.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn complete(&self) -> Result<(), Error> {
        let text = self.catalog.to_json();
        write_private(&self.folder.join(CATALOG), text.as_bytes())?;
        let mut tables = std::mem::take(&mut *self.done.lock().unwrap_or_else(PoisonError::into_inner));
        tables.sort_by_cached_key(|t| (t.schema.to_lowercase(), t.name.to_lowercase()));
        let (level, reading) = self.reading.lock().unwrap_or_else(PoisonError::into_inner).take().unzip();
        let manifest = Manifest {
            imis: FORMAT,
            from: self.from.clone(),
            started: self.moment.unwrap_or(self.started).to_string(),
            finished: self.moment.unwrap_or_else(jiff::Timestamp::now).to_string(),
            consistency: level.unwrap_or(self.consistency),
            reading,
            catalog_sha256: hex(&Sha256::digest(text.as_bytes())),
            tables,
        };
        let text = serde_json::to_string_pretty(&manifest)
            .map_err(|e| Error::failed("the manifest cannot be written").caused_by(e))?;
        let draft = self.folder.join(format!("{MANIFEST}.new"));
        write_private(&draft, text.as_bytes())?;
        fs::rename(&draft, self.folder.join(MANIFEST)).map_err(|e| trouble("rename", &draft, e))
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(super) fn engine(&self) -> Engine {
        self.catalog.engine
    }

    /// Says how the rows were read, once that is known: it stands in the manifest then.
    pub fn was_read(&self, level: Consistency, reading: Reading) {
        *self.reading.lock().unwrap_or_else(PoisonError::into_inner) = Some((level, reading));
    }

    /// Begins a table's file. All columns of the table are written; see [`TableFile`].
    ///
    /// # Errors
    /// When the file cannot be made.
    pub fn table(&self, table: &Table) -> Result<TableFile, Error> {
        TableFile::create(&self.folder, table, self.catalog.engine)
    }

    /// Notes a table that is whole.
    pub(super) fn note(&self, table: ManifestTable) {
        self.done.lock().unwrap_or_else(PoisonError::into_inner).push(table);
    }

    /// The rows of one table, as far as they are written and closed.
    pub fn close(&self, file: TableFile) -> Result<u64, Error> {
        let table = file.close()?;
        let rows = table.rows;
        self.note(table);
        Ok(rows)
    }
}

#[async_trait]
impl Sink for SnapshotSink {
    async fn write(&self, table: &Table, mut rows: ChunkStream) -> Result<u64, Error> {
        let mut file = self.table(table)?;
        while let Some(chunk) = rows.next().await {
            let chunk = chunk?;
            file.write(&chunk.batch)?;
            file.refuse(chunk.refused);
        }
        self.close(file)
    }

    async fn finish(&self) -> Result<(), Error> {
        self.complete()
    }
}

/// How every table's file is encoded.
pub(super) fn properties() -> WriterProperties {
    WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(1).unwrap_or_default()))
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        .set_created_by("imis".to_owned())
        .build()
}

/// Makes a table's empty file: where it is, its columns, and its line of the manifest.
pub(super) fn begin(
    folder: &Path,
    table: &Table,
    engine: Engine,
) -> Result<(PathBuf, File, SchemaRef, ManifestTable), Error> {
    let fields = table.columns.iter().map(|c| Field::new(&c.name, c.data_type(engine).arrow(), true));
    let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    let name = file_name(&table.schema, &table.name);
    let path = folder.join(&name);
    let file = create_private(&path)?;
    let line = ManifestTable {
        schema: table.schema.clone(),
        name: table.name.clone(),
        file: name,
        rows: 0,
        bytes: 0,
        sha256: String::new(),
        refused: Vec::new(),
    };
    Ok((path, file, schema, line))
}

/// A table's Parquet file while it is being written.
pub struct TableFile {
    table: ManifestTable,
    path: PathBuf,
    schema: SchemaRef,
    writer: ArrowWriter<File>,
    refused: Vec<RefusedRow>,
}

/// An array in the type of its column. A truth value in a column of bits is 0 or 1 there, as PostgreSQL prints it.
fn fitted(array: &ArrayRef, to: &ArrowType) -> Result<ArrayRef, arrow::error::ArrowError> {
    match (array.data_type(), to) {
        (ArrowType::Boolean, ArrowType::Utf8) => {
            let digits = arrow::compute::cast(array, &ArrowType::UInt8)?;
            arrow::compute::cast(&digits, to)
        }
        _ => arrow::compute::cast(array, to),
    }
}

impl TableFile {
    fn create(folder: &Path, table: &Table, engine: Engine) -> Result<Self, Error> {
        let (path, file, schema, table) = begin(folder, table, engine)?;
        let writer = ArrowWriter::try_new(file, Arc::clone(&schema), Some(properties()))
            .map_err(|e| Error::failed(format!("{} cannot be begun", path.display())).caused_by(e))?;
        Ok(TableFile { table, path, schema, writer, refused: Vec::new() })
    }

    /// Appends rows. Columns are found by name; one that the batch lacks is NULL in all its rows.
    ///
    /// # Errors
    /// When a column has another type than its table says, or the disk is full.
    pub fn write(&mut self, batch: &arrow::record_batch::RecordBatch) -> Result<(), Error> {
        let whole = |e: arrow::error::ArrowError| Error::failed("a batch does not fit its table").caused_by(e);
        let columns = self
            .schema
            .fields()
            .iter()
            .map(|field| match batch.column_by_name(field.name()) {
                Some(array) if array.data_type() == field.data_type() => Ok(Arc::clone(array)),
                Some(array) => fitted(array, field.data_type()).map_err(whole),
                None => Ok(arrow::array::new_null_array(field.data_type(), batch.num_rows())),
            })
            .collect::<Result<Vec<_>, _>>()?;
        let options = arrow::record_batch::RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        let batch = arrow::record_batch::RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)
            .map_err(whole)?;
        self.table.rows += batch.num_rows() as u64;
        self.writer
            .write(&batch)
            .map_err(|e| Error::failed(format!("{} cannot be written", self.path.display())).caused_by(e))
    }

    /// Notes rows that were there and could not be read.
    pub fn refuse(&mut self, refused: Vec<RefusedRow>) {
        self.refused.extend(refused);
    }

    fn close(self) -> Result<ManifestTable, Error> {
        let TableFile { mut table, path, writer, refused, .. } = self;
        writer.close().map_err(|e| Error::failed(format!("{} cannot be closed", path.display())).caused_by(e))?;
        let (sha256, bytes) = hash_file(&path)?;
        table.sha256 = sha256;
        table.bytes = bytes;
        table.refused = refused;
        Ok(table)
    }
}

/// SHA-256 and length of a file.
pub(super) fn hash_file(path: &Path) -> Result<(String, u64), Error> {
    let mut file = File::open(path).map_err(|e| trouble("read", path, e))?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 256 * 1024];
    let mut length = 0;
    loop {
        let read = file.read(&mut buffer).map_err(|e| trouble("read", path, e))?;
        if read == 0 {
            return Ok((hex(&hash.finalize()), length));
        }
        hash.update(&buffer[..read]);
        length += read as u64;
    }
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

pub(super) fn trouble(verb: &str, path: &Path, error: std::io::Error) -> Error {
    Error::new(ErrorKind::Failed, format!("cannot {verb} {}", path.display())).caused_by(error)
}

fn make_private_folder(path: &Path) -> Result<(), Error> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path).map_err(|e| trouble("make", path, e))
}

pub(super) fn create_private(path: &Path) -> Result<File, Error> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(path).map_err(|e| trouble("write", path, e))?;
    // A file that was there keeps its mode otherwise.
    #[cfg(unix)]
    file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o600)).map_err(|e| trouble("write", path, e))?;
    Ok(file)
}

/// Writes a file that only its owner may read.
///
/// # Errors
/// When the file cannot be written.
pub fn write_private(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    create_private(path)?.write_all(bytes).map_err(|e| trouble("write", path, e))
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn only_the_owner_may_read() {
        let folder = tempfile::tempdir().unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        let file = folder.path().join("plan.json");
        fs::write(&file, "for everybody").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
        write_private(&file, b"for me").unwrap();
        assert_eq!(mode(&file), 0o600);
        let below = folder.path().join("a/b");
        make_private_folder(&below).unwrap();
        assert_eq!((mode(&below), mode(&folder.path().join("a"))), (0o700, 0o700));
    }
}
