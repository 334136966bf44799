//! A Parquet file that grows under another name, for its owner only, and is there when it is whole.

use std::fs::{self, File, OpenOptions};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use imis_databases::snapshot::write_private;
use imis_databases::{Error, ErrorKind};
use parquet::arrow::arrow_writer::{ArrowWriter, ArrowWriterOptions};
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;

/// Rows a group: what a writer holds in memory, encoded.
const GROUP: usize = 1 << 17;

/// A text that is the same in many rows: written as a dictionary, read as text.
fn words(name: &str, nullable: bool) -> Field {
    Field::new(name, DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8)), nullable)
}

/// The columns of `violations.parquet` and `gone.parquet`.
pub(super) fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        words("check", false),
        words("pack", false),
        words("severity", false),
        Field::new("table", DataType::Utf8, false),
        Field::new("column", DataType::Utf8, true),
        words("key_column", true),
        Field::new("key", DataType::Utf8, true),
        Field::new("key_number", DataType::Int64, true),
        Field::new("value", DataType::Utf8, true),
        words("what", true),
        words("state", true),
    ]))
}

/// A file of violations in the making. Where it is not finished, nothing stays.
pub(super) struct Draft {
    path: PathBuf,
    draft: PathBuf,
    schema: SchemaRef,
    writer: Option<ArrowWriter<File>>,
}

impl Draft {
    /// Begins a file of this name in the folder.
    pub(super) fn create(folder: &Path, name: &str) -> Result<Self, Error> {
        let (path, draft) = (folder.join(name), folder.join(format!("{name}.new")));
        // A file of ours that a run left there when the power went, or a link to elsewhere: the draft is a file of its own.
        match fs::remove_file(&draft) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(trouble(&draft, error)),
            _ => {}
        }
        write_private(&draft, b"")?;
        let mut made = Draft { path, draft, schema: schema(), writer: None };
        let file = OpenOptions::new().write(true).open(&made.draft).map_err(|e| trouble(&made.draft, e))?;
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::try_new(1).unwrap_or_default()))
            .set_max_row_group_row_count(Some(GROUP))
            .set_created_by("imis".to_owned())
            .build();
        // Readers see plain texts, whatever our arrays are.
        let options = ArrowWriterOptions::new().with_properties(properties).with_skip_arrow_metadata(true);
        let writer = ArrowWriter::try_new_with_options(file, Arc::clone(&made.schema), options);
        made.writer = Some(writer.map_err(|e| trouble(&made.draft, e))?);
        Ok(made)
    }

    /// Adds rows, column by column.
    pub(super) fn write(&mut self, columns: Vec<ArrayRef>) -> Result<(), Error> {
        let batch = RecordBatch::try_new(Arc::clone(&self.schema), columns).map_err(|e| trouble(&self.draft, e))?;
        match &mut self.writer {
            Some(writer) => writer.write(&batch).map_err(|e| trouble(&self.draft, e)),
            None => Ok(()),
        }
    }

    /// Closes the file and gives it its name.
    pub(super) fn finish(mut self, run: &str) -> Result<PathBuf, Error> {
        if let Some(mut writer) = self.writer.take() {
            writer.append_key_value_metadata(KeyValue::new(RUN.to_owned(), run.to_owned()));
            writer.close().map_err(|e| trouble(&self.draft, e))?;
            fs::rename(&self.draft, &self.path).map_err(|e| trouble(&self.path, e))?;
        }
        Ok(self.path.clone())
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        // After a rename there is none; after anything else it is of no use.
        self.writer = None;
        let _ = fs::remove_file(&self.draft);
    }
}

/// The name under which a file says the run that made it.
pub(super) const RUN: &str = "imis.run";

pub(super) fn trouble(path: &Path, cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::new(ErrorKind::Failed, format!("cannot write {}", path.display())).caused_by(cause)
}
