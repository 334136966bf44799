//! Chunks that wait, in memory while they are few, then in a file without a name: a connection that answers one question at
//! a time must be done with it before whoever asked has worked it off, or two who wait for each other wait for ever.

use std::fs::File;
use std::io::{BufReader, BufWriter, Seek, Write};

use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::StreamWriter;
use arrow::record_batch::RecordBatch;

use crate::error::Error;
use crate::source::{Chunk, RefusedRow};

/// How many bytes wait in memory.
const IN_MEMORY: usize = 4 * 1024 * 1024;

/// Chunks on their way. All have one schema.
#[derive(Default)]
pub struct Spool {
    memory: Vec<RecordBatch>,
    bytes: usize,
    file: Option<StreamWriter<BufWriter<File>>>,
    /// Refused rows, by the place of their batch; there are few.
    refused: Vec<(usize, Vec<RefusedRow>)>,
    count: usize,
}

fn trouble<E: std::error::Error + Send + Sync + 'static>(error: E) -> Error {
    Error::failed("a file in the temporary folder cannot be written or read")
        .with_help("Is there room? TMPDIR names another folder.")
        .caused_by(error)
}

impl Spool {
    /// A spool without chunks.
    pub fn new() -> Self {
        Spool::default()
    }

    /// Adds a batch.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn push(&mut self, batch: &RecordBatch) -> Result<(), Error> {
        self.count += 1;
        if self.file.is_none() && self.bytes < IN_MEMORY {
            self.bytes += batch.get_array_memory_size();
            self.memory.push(batch.clone());
            return Ok(());
        }
        if self.file.is_none() {
            let file = BufWriter::new(tempfile::tempfile().map_err(trouble)?);
            self.file = Some(StreamWriter::try_new(file, &batch.schema()).map_err(trouble)?);
        }
        match &mut self.file {
            Some(writer) => writer.write(batch).map_err(trouble),
            None => Ok(()),
        }
    }

    /// Adds a chunk.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn push_chunk(&mut self, chunk: Chunk) -> Result<(), Error> {
        if !chunk.refused.is_empty() {
            self.refused.push((self.count, chunk.refused));
        }
        self.push(&chunk.batch)
    }

    /// The batches again, from the first.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn into_batches(self) -> Result<impl Iterator<Item = Result<RecordBatch, Error>> + Send, Error> {
        Ok(self.into_chunks()?.map(|chunk| chunk.map(|chunk| chunk.batch)))
    }

    /// The chunks again, from the first.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn into_chunks(self) -> Result<impl Iterator<Item = Result<Chunk, Error>> + Send, Error> {
        let reader = match self.file {
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
        let filed = reader.into_iter().flatten().map(|batch| batch.map_err(trouble));
        let mut refused = self.refused.into_iter().peekable();
        Ok(self.memory.into_iter().map(Ok).chain(filed).enumerate().map(move |(at, batch)| {
            let refused = refused.next_if(|(of, _)| *of == at).map(|(_, rows)| rows).unwrap_or_default();
            Ok(Chunk { batch: batch?, refused })
        }))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, StringArray};

    use super::*;

    #[test]
    fn chunks_come_back_in_their_order_from_memory_and_file() {
        let text = "x".repeat(64 * 1024);
        let chunk = |n: usize| {
            let column: ArrayRef = Arc::new(StringArray::from(vec![format!("{n} {text}"); 16]));
            let refused =
                RefusedRow { key: vec![("n".into(), n.to_string())], column: "c".into(), reason: String::new() };
            let refused = if n.is_multiple_of(3) { vec![refused] } else { Vec::new() };
            Chunk { batch: RecordBatch::try_from_iter([("c", column)]).unwrap(), refused }
        };
        for many in [0, 1, 12] {
            let mut spool = Spool::new();
            (0..many).for_each(|n| spool.push_chunk(chunk(n)).unwrap());
            assert_eq!(spool.file.is_some(), many == 12);
            let back: Vec<Chunk> = spool.into_chunks().unwrap().map(Result::unwrap).collect();
            assert_eq!(back.len(), many);
            for (n, found) in back.iter().enumerate() {
                assert!(found.batch == chunk(n).batch && found.refused == chunk(n).refused, "{n} of {many}");
            }
        }
    }
}
