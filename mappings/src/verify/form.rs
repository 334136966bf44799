//! What of a table is compared, and how its rows are known: by a whole number, by a hash of their key, or by their content.

use arrow::array::AsArray;
use arrow::datatypes::{DataType as ArrowType, Int64Type};
use arrow::record_batch::RecordBatch;
use imis_databases::{Error, ErrorKind};
use xxhash_rust::xxh3::xxh3_128;

use super::canonical::Kind;
use super::cells::{Cells, Rows};
use super::pile::Record;

/// A column of both sides.
#[derive(Clone, Debug)]
pub(crate) struct Compared {
    /// Its name in the target.
    pub(crate) name: String,
    pub(crate) kind: Kind,
    /// The Arrow type of the target's column, for rows that have no value in it.
    pub(crate) arrow: ArrowType,
}

/// By what a row is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Identity {
    /// A column of whole numbers, at this place.
    Whole(usize),
    /// The columns at these places.
    Hashed(Vec<usize>),
    /// Nothing but its content.
    Content,
}

/// The form in which the rows of a table are compared.
#[derive(Clone, Debug)]
pub(crate) struct Form {
    /// The table, as reports name it.
    pub(crate) table: String,
    pub(crate) columns: Vec<Compared>,
    pub(crate) identity: Identity,
}

impl Form {
    /// The places of the key's columns.
    pub(crate) fn key(&self) -> &[usize] {
        match &self.identity {
            Identity::Whole(at) => std::slice::from_ref(at),
            Identity::Hashed(places) => places,
            Identity::Content => &[],
        }
    }

    /// The cells of a batch in this form.
    ///
    /// # Errors
    /// When a column holds something else than the catalogue said.
    pub(crate) fn cells<'a>(&self, batch: &'a RecordBatch) -> Result<Vec<Cells<'a>>, Error> {
        let odd = |name: &str| {
            Error::new(ErrorKind::Schema, format!("{}.{name} holds values of another type than it says", self.table))
        };
        self.columns
            .iter()
            .zip(batch.columns())
            .map(|(column, array)| Cells::new(array, column.kind).ok_or_else(|| odd(&column.name)))
            .collect()
    }

    /// Calls `each` with the record of every row.
    ///
    /// # Errors
    /// As [`Form::cells`], and what `each` gives.
    pub(crate) fn records(
        &self,
        batch: &RecordBatch,
        mut each: impl FnMut(usize, Record) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let cells = self.cells(batch)?;
        let whole = match self.identity {
            Identity::Whole(at) => {
                let keys =
                    batch.columns().get(at).and_then(|array| arrow::compute::cast(array, &ArrowType::Int64).ok());
                Some(keys.ok_or_else(|| Error::new(ErrorKind::Schema, format!("{} has no whole key", self.table)))?)
            }
            _ => None,
        };
        let whole = whole.as_ref().map(|keys| keys.as_primitive::<Int64Type>());
        let mut key_bytes = Vec::with_capacity(64);
        let rows = Rows::new(cells);
        rows.each(batch.num_rows(), |row, bytes| {
            let hash = xxh3_128(bytes);
            let id = match (&self.identity, whole) {
                (_, Some(keys)) if arrow::array::Array::is_valid(keys, row) => ordered(keys.value(row)),
                (_, Some(_)) => u128::MAX,
                (Identity::Hashed(places), _) => {
                    key_bytes.clear();
                    for column in places.iter().filter_map(|at| rows.column(*at)) {
                        column.put(row, &mut key_bytes);
                    }
                    xxh3_128(&key_bytes)
                }
                _ => hash,
            };
            each(row, Record { id, hash })
        })
    }
}

/// A whole number as an id in the same order.
pub(crate) fn ordered(key: i64) -> u128 {
    u128::from((key as u64) ^ (1 << 63))
}

/// The whole number of such an id; `None` for NULL.
pub(crate) fn unordered(id: u128) -> Option<i64> {
    u64::try_from(id).ok().map(|bits| (bits ^ (1 << 63)) as i64)
}
