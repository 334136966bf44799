//! The rows of a table while scripts are read: in memory while they are few, then in a file without a name.

use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::value::Value;
use crate::error::Error;

/// How many bytes the rows of all tables may take in memory.
const IN_MEMORY: usize = 48 * 1024 * 1024;

/// A row: the numbers of its columns (those that the table had when it came), and their values.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Row {
    pub(super) columns: Arc<[u32]>,
    pub(super) cells: Vec<Value>,
}

impl Row {
    /// The value of a column; none where the row is older than the column.
    pub(super) fn get(&self, column: u32) -> Option<&Value> {
        let at = self.columns.iter().position(|own| *own == column)?;
        self.cells.get(at)
    }

    /// Puts a value into a column.
    pub(super) fn set(&mut self, column: u32, value: Value) {
        match self.columns.iter().position(|own| *own == column).and_then(|at| self.cells.get_mut(at)) {
            Some(cell) => *cell = value,
            None => {
                self.columns = self.columns.iter().copied().chain([column]).collect();
                self.cells.push(value);
            }
        }
    }

    fn size(&self) -> usize {
        48 + self.cells.iter().map(Value::size).sum::<usize>()
    }
}

/// What all tables take in memory together.
#[derive(Clone, Debug, Default)]
pub(super) struct Budget(Arc<AtomicUsize>);

/// The rows of one table, in the order in which they came.
#[derive(Debug)]
pub(super) struct Rows {
    budget: Budget,
    memory: Vec<Row>,
    bytes: usize,
    file: Option<Filed>,
}

#[derive(Debug)]
struct Filed {
    writer: BufWriter<File>,
    count: u64,
    shapes: Vec<Arc<[u32]>>,
}

fn trouble(error: std::io::Error) -> Error {
    Error::failed("a file in the temporary folder cannot be written or read")
        .with_help("Is there room? TMPDIR names another folder.")
        .caused_by(error)
}

impl Rows {
    pub(super) fn new(budget: &Budget) -> Self {
        Rows { budget: budget.clone(), memory: Vec::new(), bytes: 0, file: None }
    }

    pub(super) fn count(&self) -> u64 {
        self.memory.len() as u64 + self.file.as_ref().map_or(0, |file| file.count)
    }

    /// Adds a row.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub(super) fn push(&mut self, row: Row) -> Result<(), Error> {
        if let Some(file) = &mut self.file {
            return file.push(&row);
        }
        let size = row.size();
        self.bytes += size;
        self.memory.push(row);
        if self.budget.0.fetch_add(size, Ordering::Relaxed) + size <= IN_MEMORY {
            return Ok(());
        }
        let mut file = Filed::new()?;
        for row in self.memory.drain(..) {
            file.push(&row)?;
        }
        self.release();
        self.file = Some(file);
        Ok(())
    }

    fn release(&mut self) {
        self.budget.0.fetch_sub(std::mem::take(&mut self.bytes), Ordering::Relaxed);
    }

    /// Forgets all rows.
    pub(super) fn clear(&mut self) {
        self.memory.clear();
        self.release();
        self.file = None;
    }

    /// Shows every row; `false` ends it.
    ///
    /// # Errors
    /// When the file cannot be read, or as the caller says.
    pub(super) fn each<E: From<Error>>(&self, mut see: impl FnMut(&Row) -> Result<bool, E>) -> Result<(), E> {
        if let Some(file) = &self.file {
            return file.each(|row| see(&row));
        }
        for row in &self.memory {
            if !see(row)? {
                break;
            }
        }
        Ok(())
    }

    /// Puts another row, or none, in the place of each.
    ///
    /// # Errors
    /// When the file cannot be read or written, or as the caller says; the rows are as they were then.
    pub(super) fn rewrite<E: From<Error>>(
        &mut self,
        mut change: impl FnMut(&Row) -> Result<Option<Row>, E>,
    ) -> Result<(), E> {
        if let Some(old) = &self.file {
            let mut new = Filed::new()?;
            old.each::<E>(|row| {
                if let Some(row) = change(&row)? {
                    new.push(&row)?;
                }
                Ok(true)
            })?;
            self.file = Some(new);
            return Ok(());
        }
        let mut kept = Vec::with_capacity(self.memory.len());
        for row in &self.memory {
            kept.extend(change(row)?);
        }
        self.release();
        self.bytes = kept.iter().map(Row::size).sum();
        self.budget.0.fetch_add(self.bytes, Ordering::Relaxed);
        self.memory = kept;
        Ok(())
    }
}

impl Drop for Rows {
    fn drop(&mut self) {
        self.release();
    }
}

impl Filed {
    fn new() -> Result<Self, Error> {
        let writer = BufWriter::with_capacity(256 * 1024, tempfile::tempfile().map_err(trouble)?);
        Ok(Filed { writer, count: 0, shapes: Vec::new() })
    }

    fn push(&mut self, row: &Row) -> Result<(), Error> {
        let known = self.shapes.iter().rposition(|shape| Arc::ptr_eq(shape, &row.columns) || *shape == row.columns);
        let shape = known.unwrap_or_else(|| {
            self.shapes.push(Arc::clone(&row.columns));
            self.shapes.len() - 1
        });
        let mut out = Vec::with_capacity(row.size());
        out.extend((shape as u32).to_le_bytes());
        row.cells.iter().for_each(|cell| encode(cell, &mut out));
        self.count += 1;
        self.writer.write_all(&out).map_err(trouble)
    }

    fn each<E: From<Error>>(&self, mut see: impl FnMut(Row) -> Result<bool, E>) -> Result<(), E> {
        // Read with an offset of its own: the writer's place in the file stays where it is, however the reading ends. What is not in the
        // file yet lies in the writer's buffer, and follows.
        let file = self.writer.get_ref();
        let end = file.metadata().map_err(trouble)?.len();
        let mut reader = BufReader::with_capacity(256 * 1024, Placed { file, at: 0, end }).chain(self.writer.buffer());
        for _ in 0..self.count {
            if !see(self.read(&mut reader).map_err(trouble)?)? {
                break;
            }
        }
        Ok(())
    }

    fn read(&self, reader: &mut impl Read) -> std::io::Result<Row> {
        let damaged = || std::io::Error::from(std::io::ErrorKind::InvalidData);
        let shape = u32::from_le_bytes(array(reader)?) as usize;
        let columns = Arc::clone(self.shapes.get(shape).ok_or_else(damaged)?);
        let cells = columns.iter().map(|_| decode(reader)).collect::<std::io::Result<Vec<_>>>()?;
        Ok(Row { columns, cells })
    }
}

/// A stretch of a file, read without moving the file's own place.
struct Placed<'a> {
    file: &'a File,
    at: u64,
    end: u64,
}

impl Read for Placed<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let left = usize::try_from(self.end.saturating_sub(self.at)).unwrap_or(usize::MAX).min(buffer.len());
        let Some(buffer) = buffer.get_mut(..left) else { return Ok(0) };
        #[cfg(unix)]
        let read = std::os::unix::fs::FileExt::read_at(self.file, buffer, self.at)?;
        #[cfg(windows)]
        let read = std::os::windows::fs::FileExt::seek_read(self.file, buffer, self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}

fn array<const N: usize>(reader: &mut impl Read) -> std::io::Result<[u8; N]> {
    let mut bytes = [0; N];
    reader.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn encode(value: &Value, out: &mut Vec<u8>) {
    let mut bytes = |tag: u8, bytes: &[u8]| {
        out.push(tag);
        out.extend((bytes.len() as u32).to_le_bytes());
        out.extend(bytes);
    };
    match value {
        Value::Text(text) => bytes(4, text.as_bytes()),
        Value::Bytes(value) => bytes(5, value),
        Value::Null => out.push(0),
        Value::Int(n) => tagged(out, 1, &n.to_le_bytes()),
        Value::Decimal(units, scale) => {
            tagged(out, 2, &units.to_le_bytes());
            out.extend(scale.to_le_bytes());
        }
        Value::Float(n) => tagged(out, 3, &n.to_le_bytes()),
        Value::Date(days) => tagged(out, 6, &days.to_le_bytes()),
        Value::Time(ticks) => tagged(out, 7, &ticks.to_le_bytes()),
        Value::Moment(ticks) => tagged(out, 8, &ticks.to_le_bytes()),
        Value::Instant(ticks) => tagged(out, 9, &ticks.to_le_bytes()),
    }
}

fn tagged(out: &mut Vec<u8>, tag: u8, bytes: &[u8]) {
    out.push(tag);
    out.extend(bytes);
}

fn decode(reader: &mut impl Read) -> std::io::Result<Value> {
    let damaged = || std::io::Error::from(std::io::ErrorKind::InvalidData);
    let [tag] = array::<1>(reader)?;
    Ok(match tag {
        0 => Value::Null,
        1 => Value::Int(i64::from_le_bytes(array(reader)?)),
        2 => Value::Decimal(i128::from_le_bytes(array(reader)?), u32::from_le_bytes(array(reader)?)),
        3 => Value::Float(f64::from_le_bytes(array(reader)?)),
        4 | 5 => {
            let mut bytes = vec![0; u32::from_le_bytes(array(reader)?) as usize];
            reader.read_exact(&mut bytes)?;
            if tag == 5 { Value::Bytes(bytes) } else { Value::Text(String::from_utf8(bytes).map_err(|_| damaged())?) }
        }
        6 => Value::Date(i32::from_le_bytes(array(reader)?)),
        7 => Value::Time(i64::from_le_bytes(array(reader)?)),
        8 => Value::Moment(i64::from_le_bytes(array(reader)?)),
        9 => Value::Instant(i64::from_le_bytes(array(reader)?)),
        _ => return Err(damaged()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_come_back_from_the_file_as_they_went_in() {
        let mut rows = Rows::new(&Budget::default());
        let row = |n: i64| Row {
            columns: if n % 2 == 0 { Arc::new([0, 1]) } else { Arc::new([0, 1, 5]) },
            cells: [Value::Int(n), Value::Text("x".repeat(2_000)), Value::Decimal(n.into(), 2)]
                .into_iter()
                .take(if n % 2 == 0 { 2 } else { 3 })
                .collect(),
        };
        let many = 40_000;
        for n in 0..many {
            rows.push(row(n)).unwrap();
        }
        assert!(rows.file.is_some() && rows.memory.is_empty() && rows.count() == 40_000);
        // Reading in between does not disturb writing, not even one that fails or reads the same rows once more.
        rows.each::<Error>(|_| rows.each::<Error>(|_| Ok(false)).map(|()| false)).unwrap();
        assert!(rows.each(|_| Err(Error::failed("enough"))).is_err());
        rows.push(row(many)).unwrap();
        let mut seen = 0;
        rows.each::<Error>(|found| {
            assert_eq!(*found, row(seen));
            seen += 1;
            Ok(true)
        })
        .unwrap();
        assert_eq!(seen, many + 1);
        rows.rewrite::<Error>(|row| Ok((row.get(0) == Some(&Value::Int(7))).then(|| row.clone()))).unwrap();
        assert_eq!(rows.count(), 1);
    }
}
