//! Piles of records: in memory as long as they are few, in runs on disk when they are many.
//!
//! A record is a row's identity and the hash of its content, 32 bytes. A pile keeps at most [`HELD`] of them in memory; beyond
//! that it writes what it has behind the runs before in one nameless file. So memory stays flat, whatever the table.
//!
//! Nearly always both sides hold the same. A pile therefore keeps the sum of its hashes: two piles of as many records and of one
//! sum hold the same ones, whatever their order, and nothing has to be sorted. Only piles that differ are: each run by itself,
//! then all of them merged, so that a row that is there twice stands beside itself. The chance that the sums of different piles
//! agree is that of two hashes, one in 2^128.

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
    count: u64,
    sum: u128,
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
        Pile { records: Vec::new(), held, file: None, runs: Vec::new(), written: 0, count: 0, sum: 0 }
    }

    /// How many records it holds.
    pub(crate) fn len(&self) -> u64 {
        self.count
    }

    /// Whether both hold the same records. The hash of a row has its key in it, and so the ids need not be looked at.
    pub(crate) fn holds_the_same(&self, other: &Pile) -> bool {
        (self.count, self.sum) == (other.count, other.sum)
    }

    pub(crate) fn push(&mut self, record: Record) -> Result<(), Error> {
        self.count += 1;
        self.sum = self.sum.wrapping_add(record.hash);
        self.records.push(record);
        if self.records.len() >= self.held { self.spill() } else { Ok(()) }
    }

    fn spill(&mut self) -> Result<(), Error> {
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(tempfile::tempfile().map_err(trouble)?),
        };
        write(file, &self.records)?;
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
        if let Some(file) = &mut self.file {
            for run in &self.runs {
                let mut records = read(file, run.at, usize::try_from(run.left).unwrap_or(0))?;
                records.sort_unstable();
                file.seek(SeekFrom::Start(run.at)).map_err(trouble)?;
                write(file, &records)?;
            }
        }
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

fn write(file: &mut File, records: &[Record]) -> Result<(), Error> {
    let mut out = std::io::BufWriter::with_capacity(1 << 16, file);
    for record in records {
        out.write_all(&record.id.to_le_bytes()).map_err(trouble)?;
        out.write_all(&record.hash.to_le_bytes()).map_err(trouble)?;
    }
    out.flush().map_err(trouble)
}

fn read(file: &mut File, at: u64, count: usize) -> Result<Vec<Record>, Error> {
    let mut bytes = vec![0; count * RECORD];
    file.seek(SeekFrom::Start(at)).and_then(|_| file.read_exact(&mut bytes)).map_err(trouble)?;
    let half = |half: &[u8]| half.try_into().map_or(0, u128::from_le_bytes);
    let record = |chunk: &[u8]| {
        let (id, hash) = chunk.split_at(RECORD / 2);
        Record { id: half(id), hash: half(hash) }
    };
    Ok(bytes.chunks_exact(RECORD).map(record).collect())
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
        let (Some((run, records)), Some(file)) = (self.runs.get_mut(number), &mut self.file) else { return Ok(()) };
        if records.len() == 0 && run.left > 0 {
            let count = usize::try_from(run.left).unwrap_or(READ).min(READ);
            *records = read(file, run.at, count)?.into_iter();
            run.at += (count * RECORD) as u64;
            run.left -= count as u64;
        }
        if let Some(record) = records.next() {
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

        #[test]
        fn the_same_in_any_order_and_nothing_else(hashes in prop::collection::vec(0u128..50, 1..60), turn in 0usize..60, which in 0usize..60) {
            let pile = |hashes: &[u128]| {
                let mut pile = Pile::holding(7);
                for hash in hashes {
                    pile.push(Record { id: hash / 3, hash: xxhash_rust::xxh3::xxh3_128(&hash.to_le_bytes()) }).unwrap();
                }
                pile
            };
            let mut turned = hashes.clone();
            turned.rotate_left(turn % hashes.len());
            prop_assert!(pile(&hashes).holds_the_same(&pile(&turned)));
            // Another row in the place of one, one there twice, one missing.
            let at = which % hashes.len();
            let mut changed = turned.clone();
            changed[at] += 1;
            prop_assert!(!pile(&hashes).holds_the_same(&pile(&changed)));
            turned.push(hashes[at]);
            prop_assert!(!pile(&hashes).holds_the_same(&pile(&turned)));
            prop_assert!(!pile(&hashes).holds_the_same(&pile(&hashes[1..])));
        }
    }
}
