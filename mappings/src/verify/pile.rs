//! Piles of records, sorted: in memory as long as they are few, in runs on disk when they are many.
//!
//! A record is a row's identity and the hash of its content, 32 bytes. A pile keeps at most [`HELD`] of them in memory; beyond
//! that it sorts what it has, writes it behind the runs before in one nameless file, and merges the runs at the end. So memory
//! stays flat, whatever the table, and a row that is there twice stands beside itself.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};

use imis_databases::Error;

/// How many records a pile holds in memory: 8 MiB.
pub(crate) const HELD: usize = 256 * 1024;
const RECORD: usize = 32;
/// How many records of a run are read at once; a thousand runs, 256 million rows, take 8 MiB.
const READ: usize = 256;

/// A row: what it is known by, and the hash of its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Record {
    /// The key: a whole number, or a hash of it; the content's hash where there is no key.
    pub(crate) id: u128,
    pub(crate) hash: u128,
}

/// Records in no order.
pub(crate) struct Pile {
    records: Vec<Record>,
    held: usize,
    file: Option<File>,
    runs: Vec<Run>,
    written: u64,
}

struct Run {
    at: u64,
    left: u64,
}

fn trouble(error: std::io::Error) -> Error {
    Error::failed("hashes of rows cannot be kept in a temporary file")
        .caused_by(error)
        .with_help("Make room in the folder for temporary files (TMPDIR): 64 bytes a row of the largest table.")
}

impl Pile {
    pub(crate) fn new() -> Self {
        Pile::holding(HELD)
    }

    fn holding(held: usize) -> Self {
        Pile { records: Vec::new(), held, file: None, runs: Vec::new(), written: 0 }
    }

    pub(crate) fn push(&mut self, record: Record) -> Result<(), Error> {
        self.records.push(record);
        if self.records.len() >= self.held { self.spill() } else { Ok(()) }
    }

    fn spill(&mut self) -> Result<(), Error> {
        self.records.sort_unstable();
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(tempfile::tempfile().map_err(trouble)?),
        };
        let mut out = std::io::BufWriter::with_capacity(1 << 16, file);
        for record in &self.records {
            out.write_all(&record.id.to_le_bytes()).map_err(trouble)?;
            out.write_all(&record.hash.to_le_bytes()).map_err(trouble)?;
        }
        out.flush().map_err(trouble)?;
        let count = self.records.len() as u64;
        self.runs.push(Run { at: self.written, left: count });
        self.written += count * RECORD as u64;
        self.records.clear();
        Ok(())
    }

    /// The records in order.
    pub(crate) fn sorted(mut self) -> Result<Sorted, Error> {
        if self.file.is_none() {
            self.records.sort_unstable();
            return Ok(Sorted::Held(self.records.into_iter()));
        }
        self.spill()?;
        self.records = Vec::new();
        let mut merge = Merge {
            file: self.file,
            runs: self.runs.into_iter().map(|run| (run, Vec::new().into_iter())).collect(),
            heap: BinaryHeap::new(),
        };
        for run in 0..merge.runs.len() {
            merge.advance(run)?;
        }
        Ok(Sorted::Merged(merge))
    }
}

/// Records in order.
pub(crate) enum Sorted {
    Held(std::vec::IntoIter<Record>),
    Merged(Merge),
}

pub(crate) struct Merge {
    file: Option<File>,
    runs: Vec<(Run, std::vec::IntoIter<Record>)>,
    heap: BinaryHeap<Reverse<(Record, usize)>>,
}

impl Merge {
    /// Puts the next record of a run onto the heap.
    fn advance(&mut self, number: usize) -> Result<(), Error> {
        let (Some((run, read)), Some(file)) = (self.runs.get_mut(number), &mut self.file) else { return Ok(()) };
        if read.len() == 0 && run.left > 0 {
            let count = usize::try_from(run.left).unwrap_or(READ).min(READ);
            let mut bytes = vec![0; count * RECORD];
            file.seek(SeekFrom::Start(run.at)).and_then(|_| file.read_exact(&mut bytes)).map_err(trouble)?;
            run.at += bytes.len() as u64;
            run.left -= count as u64;
            let half = |half: &[u8]| half.try_into().map_or(0, u128::from_le_bytes);
            let record = |chunk: &[u8]| {
                let (id, hash) = chunk.split_at(RECORD / 2);
                Record { id: half(id), hash: half(hash) }
            };
            *read = bytes.chunks_exact(RECORD).map(record).collect::<Vec<_>>().into_iter();
        }
        if let Some(record) = read.next() {
            self.heap.push(Reverse((record, number)));
        }
        Ok(())
    }
}

impl Sorted {
    pub(crate) fn next(&mut self) -> Result<Option<Record>, Error> {
        match self {
            Sorted::Held(records) => Ok(records.next()),
            Sorted::Merged(merge) => {
                let Some(Reverse((record, run))) = merge.heap.pop() else { return Ok(None) };
                merge.advance(run)?;
                Ok(Some(record))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_goes_in_comes_out_in_order(ids in prop::collection::vec(0u128..50, 0..400), held in 1usize..40) {
            let mut records: Vec<Record> = ids.iter().map(|id| Record { id: *id, hash: id * 7 % 5 }).collect();
            let mut pile = Pile::holding(held);
            for record in &records {
                pile.push(*record).unwrap();
            }
            let mut sorted = pile.sorted().unwrap();
            let mut found = Vec::new();
            while let Some(record) = sorted.next().unwrap() {
                found.push(record);
            }
            records.sort_unstable();
            prop_assert_eq!(found, records);
        }
    }
}
