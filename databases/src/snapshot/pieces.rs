//! A table's file made of pieces: each is encoded on a core of its own, and all are put into the file in their order.
//!
//! A piece is a row group. What a piece holds does not depend on who encoded it or when, so neither do the file's bytes.

use std::fs::File;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use imis_schemas::{Engine, Table};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::{ArrowColumnChunk, ArrowColumnWriter, ArrowRowGroupWriterFactory, compute_leaves};
use parquet::errors::ParquetError;
use parquet::file::writer::SerializedFileWriter;
use sha2::{Digest, Sha256};

use super::write::{begin, hex, properties};
use super::{ManifestTable, SnapshotSink};
use crate::error::Error;

/// A file that hashes what is written to it.
struct Hashed {
    file: io::BufWriter<File>,
    hash: Sha256,
    length: u64,
}

impl Write for Hashed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.hash.update(&bytes[..written]);
        self.length += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// A table's Parquet file that takes pieces.
pub struct PieceFile {
    table: ManifestTable,
    path: PathBuf,
    writer: SerializedFileWriter<Hashed>,
}

/// Makes encoders for the pieces of one table; it can be shared between threads.
pub struct PieceMaker {
    schema: SchemaRef,
    factory: ArrowRowGroupWriterFactory,
    name: String,
}

/// Encodes one piece.
pub struct PieceEncoder<'a> {
    maker: &'a PieceMaker,
    writers: Vec<ArrowColumnWriter>,
    rows: u64,
}

/// An encoded piece.
pub struct Piece {
    chunks: Vec<ArrowColumnChunk>,
    rows: u64,
}

impl Piece {
    /// How many rows it has.
    pub fn rows(&self) -> u64 {
        self.rows
    }
}

impl SnapshotSink {
    /// Begins a table's file that is made of pieces.
    ///
    /// # Errors
    /// When the file cannot be made.
    pub fn pieces(&self, table: &Table) -> Result<(PieceFile, PieceMaker), Error> {
        PieceFile::create(self, table)
    }

    /// Closes a file of pieces and notes its table; says how many rows it has.
    ///
    /// # Errors
    /// When the disk is full.
    pub fn close_pieces(&self, file: PieceFile) -> Result<u64, Error> {
        let table = file.close()?;
        let rows = table.rows;
        self.note(table);
        Ok(rows)
    }
}

impl PieceFile {
    fn create(sink: &SnapshotSink, table: &Table) -> Result<(Self, PieceMaker), Error> {
        let engine: Engine = sink.engine();
        let (path, file, schema, table) = begin(sink.folder(), table, engine)?;
        let hashed = Hashed { file: io::BufWriter::with_capacity(256 * 1024, file), hash: Sha256::new(), length: 0 };
        let whole = |e: ParquetError| Error::failed(format!("{} cannot be begun", path.display())).caused_by(e);
        let writer = ArrowWriter::try_new(hashed, Arc::clone(&schema), Some(properties())).map_err(whole)?;
        let (writer, factory) = writer.into_serialized_writer().map_err(whole)?;
        let name = table.name.clone();
        Ok((PieceFile { table, path, writer }, PieceMaker { schema, factory, name }))
    }

    /// Appends a piece. The caller sees to the order.
    ///
    /// # Errors
    /// When the disk is full.
    pub fn append(&mut self, piece: Piece) -> Result<(), Error> {
        if piece.rows == 0 {
            return Ok(());
        }
        let path = &self.path;
        let full = |e: ParquetError| Error::failed(format!("{} cannot be written", path.display())).caused_by(e);
        let mut group = self.writer.next_row_group().map_err(full)?;
        for chunk in piece.chunks {
            chunk.append_to_row_group(&mut group).map_err(full)?;
        }
        group.close().map_err(full)?;
        self.table.rows += piece.rows;
        Ok(())
    }

    fn close(self) -> Result<ManifestTable, Error> {
        let PieceFile { mut table, path, writer } = self;
        let full = |e: ParquetError| Error::failed(format!("{} cannot be closed", path.display())).caused_by(e);
        let mut hashed = writer.into_inner().map_err(full)?;
        hashed.flush().map_err(|e| super::write::trouble("write", &path, e))?;
        table.bytes = hashed.length;
        table.sha256 = hex(&hashed.hash.finalize());
        Ok(table)
    }
}

impl PieceMaker {
    /// Begins a piece.
    ///
    /// # Errors
    /// Never in practice; Parquet says it may.
    pub fn begin(&self) -> Result<PieceEncoder<'_>, Error> {
        let writers = self.factory.create_column_writers(0).map_err(|e| self.trouble(e))?;
        Ok(PieceEncoder { maker: self, writers, rows: 0 })
    }

    fn trouble(&self, error: ParquetError) -> Error {
        Error::failed(format!("rows of {} cannot be encoded", self.name)).caused_by(error)
    }
}

impl PieceEncoder<'_> {
    /// Adds rows. The batch has all columns of the table, in their order and of their types.
    ///
    /// # Errors
    /// When it has not.
    pub fn push(&mut self, batch: &RecordBatch) -> Result<(), Error> {
        let maker = self.maker;
        if batch.num_columns() != self.writers.len() {
            return Err(Error::failed(format!("a batch of {} lacks columns", maker.name)));
        }
        let columns = maker.schema.fields().iter().zip(batch.columns());
        for ((field, array), writer) in columns.zip(&mut self.writers) {
            for leaf in compute_leaves(field, array).map_err(|e| maker.trouble(e))? {
                writer.write(&leaf).map_err(|e| maker.trouble(e))?;
            }
        }
        self.rows += batch.num_rows() as u64;
        Ok(())
    }

    /// Ends the piece.
    ///
    /// # Errors
    /// Never in practice; Parquet says it may.
    pub fn finish(self) -> Result<Piece, Error> {
        let chunks = self.writers.into_iter().map(ArrowColumnWriter::close).collect::<Result<Vec<_>, _>>();
        Ok(Piece { chunks: chunks.map_err(|e| self.maker.trouble(e))?, rows: self.rows })
    }
}

/// A Parquet file that is no table of a snapshot, encoded like those that are.
pub struct ParquetFile {
    path: PathBuf,
    writer: ArrowWriter<File>,
}

impl ParquetFile {
    /// Begins the file; only its owner may read it.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn create(path: &std::path::Path, schema: &SchemaRef) -> Result<Self, Error> {
        let file = super::write::create_private(path)?;
        let writer = ArrowWriter::try_new(file, Arc::clone(schema), Some(properties()))
            .map_err(|e| Error::failed(format!("{} cannot be begun", path.display())).caused_by(e))?;
        Ok(ParquetFile { path: path.to_owned(), writer })
    }

    /// Appends rows.
    ///
    /// # Errors
    /// When they do not fit, or the disk is full.
    pub fn write(&mut self, batch: &RecordBatch) -> Result<(), Error> {
        let path = &self.path;
        self.writer
            .write(batch)
            .map_err(|e| Error::failed(format!("{} cannot be written", path.display())).caused_by(e))
    }

    /// Ends the file.
    ///
    /// # Errors
    /// When the disk is full.
    pub fn close(self) -> Result<(), Error> {
        let ParquetFile { path, writer } = self;
        let closed = writer.close();
        closed.map(drop).map_err(|e| Error::failed(format!("{} cannot be closed", path.display())).caused_by(e))
    }
}
