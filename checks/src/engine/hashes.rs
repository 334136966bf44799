//! Which values occur more than once: hashes of rows, in memory or, when they are many, in files by their first bits.

use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Seek, Write};

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, StringArray};
use arrow::datatypes::DataType;
use arrow::row::{RowConverter, SortField};
use imis_databases::Error;
use xxhash_rust::xxh3::xxh3_128;

use crate::functions::fold;

/// How many hashes a pile keeps in memory: 64 MiB.
const IN_MEMORY: usize = 2 * 1024 * 1024;
/// Into how many files it goes beyond that.
const FILES: usize = 16;

/// A row's values as they are compared, and as they are written.
pub(super) type Pair = (u128, u128);

/// Hashes of rows. 128 bits: that two rows that differ have one hash does not happen.
#[derive(Default)]
pub(super) struct Pile {
    memory: Vec<Pair>,
    files: Vec<BufWriter<File>>,
}

impl Pile {
    pub(super) fn extend(&mut self, more: &[Pair]) -> Result<(), Error> {
        self.memory.extend_from_slice(more);
        if self.memory.len() > IN_MEMORY { self.spill() } else { Ok(()) }
    }

    fn spill(&mut self) -> Result<(), Error> {
        let trouble =
            |e: std::io::Error| Error::failed("hashes cannot be written to the temporary folder").caused_by(e);
        if self.files.is_empty() {
            for _ in 0..FILES {
                self.files.push(BufWriter::new(tempfile::tempfile().map_err(trouble)?));
            }
        }
        for (alike, exact) in self.memory.drain(..) {
            let at = (alike >> 124) as usize;
            if let Some(file) = self.files.get_mut(at) {
                file.write_all(&alike.to_le_bytes()).map_err(trouble)?;
                file.write_all(&exact.to_le_bytes()).map_err(trouble)?;
            }
        }
        Ok(())
    }

    /// Hashes that occur more than once; with `differing`, only those that were written in two ways. And how many groups that are.
    pub(super) fn repeated(mut self, differing: bool) -> Result<Vec<u128>, Error> {
        if self.files.is_empty() {
            return Ok(repeated(&mut self.memory, differing));
        }
        self.spill()?;
        let trouble = |e: std::io::Error| Error::failed("hashes cannot be read from the temporary folder").caused_by(e);
        let mut all = Vec::new();
        for file in std::mem::take(&mut self.files) {
            let mut file = file.into_inner().map_err(|e| trouble(e.into_error()))?;
            file.rewind().map_err(trouble)?;
            let mut bytes = Vec::new();
            BufReader::new(file).read_to_end(&mut bytes).map_err(trouble)?;
            let half = |bytes: &[u8]| bytes.try_into().map(u128::from_le_bytes).unwrap_or_default();
            let mut part: Vec<Pair> =
                bytes.chunks_exact(32).map(|pair| (half(&pair[..16]), half(&pair[16..]))).collect();
            all.extend(repeated(&mut part, differing));
        }
        Ok(all)
    }
}

fn repeated(pairs: &mut [Pair], differing: bool) -> Vec<u128> {
    pairs.sort_unstable();
    pairs
        .chunk_by(|a, b| a.0 == b.0)
        .filter(|group| group.len() > 1 && (!differing || group.first().map(|p| p.1) != group.last().map(|p| p.1)))
        .filter_map(|group| group.first().map(|pair| pair.0))
        .collect()
}

/// How the values of some columns are hashed.
pub(super) struct Hasher {
    converter: Option<RowConverter>,
    folds: bool,
}

impl Hasher {
    /// For columns of these types. Texts are folded as SQL Server compares them, if that is asked for.
    pub(super) fn new(types: &[DataType], folds: bool) -> Result<Self, Error> {
        let plain = matches!(types, [DataType::Utf8]);
        let converter = if plain {
            None
        } else {
            let fields = types.iter().map(|data_type| SortField::new(data_type.clone())).collect();
            Some(RowConverter::new(fields).map_err(|e| Error::failed("rows cannot be compared").caused_by(e))?)
        };
        Ok(Hasher { converter, folds })
    }

    /// The hashes of the rows that are chosen.
    pub(super) fn hash(&mut self, columns: &[ArrayRef], chosen: &BooleanArray) -> Result<Vec<Pair>, Error> {
        let rows = chosen.values().set_indices();
        let Some(converter) = &mut self.converter else {
            let Some(texts) = columns.first().map(|column| column.as_string::<i32>()) else { return Ok(Vec::new()) };
            let folds = self.folds;
            return Ok(rows.map(|row| text_pair(texts, row, folds)).collect());
        };
        let trouble = |e: arrow::error::ArrowError| Error::failed("rows cannot be compared").caused_by(e);
        let exact = converter.convert_columns(columns).map_err(trouble)?;
        if !self.folds {
            return Ok(rows.map(|row| twice(xxh3_128(exact.row(row).as_ref()))).collect());
        }
        let folded: Vec<ArrayRef> = columns
            .iter()
            .map(|column| match column.as_string_opt::<i32>() {
                Some(texts) => {
                    std::sync::Arc::new(texts.iter().map(|t| t.map(fold)).collect::<StringArray>()) as ArrayRef
                }
                None => std::sync::Arc::clone(column),
            })
            .collect();
        let folded = converter.convert_columns(&folded).map_err(trouble)?;
        Ok(rows.map(|row| (xxh3_128(folded.row(row).as_ref()), xxh3_128(exact.row(row).as_ref()))).collect())
    }
}

fn twice(hash: u128) -> Pair {
    (hash, hash)
}

fn text_pair(texts: &StringArray, row: usize, folds: bool) -> Pair {
    if texts.is_null(row) {
        return (0, 0);
    }
    let text = texts.value(row);
    let exact = xxh3_128(text.as_bytes());
    if folds { (xxh3_128(fold(text).as_bytes()), exact) } else { twice(exact) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeats_are_found_in_memory_and_in_files() {
        for spilled in [false, true] {
            let mut pile = Pile::default();
            let hash = |n: u64| xxh3_128(&n.to_le_bytes());
            for n in 0..1_000u64 {
                // Every tenth twice in the same way, every hundredth in two ways.
                let exact = |way: u64| hash(n * 1_000 + way);
                let mut more = vec![(hash(n), exact(0))];
                if n % 10 == 0 {
                    more.push((hash(n), exact(u64::from(n % 100 == 0))));
                }
                pile.extend(&more).unwrap();
                if spilled && n % 300 == 0 {
                    pile.spill().unwrap();
                }
            }
            let mut other = Pile::default();
            if spilled {
                other.spill().unwrap();
            }
            assert!(other.repeated(false).unwrap().is_empty());
            let copy = Pile { memory: pile.memory.clone(), files: Vec::new() };
            if !spilled {
                assert_eq!(copy.repeated(true).unwrap().len(), 10);
            }
            assert_eq!(pile.repeated(false).unwrap().len(), 100, "{spilled}");
        }
    }
}
