//! The values that references are held against: whole numbers as a compressed bitmap, everything else as hashes.

use std::collections::HashSet;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray};
use arrow::datatypes::{DataType, Int64Type};
use imis_databases::Error;
use roaring::RoaringTreemap;
use xxhash_rust::xxh3::xxh3_128;

use crate::functions::fold;
use crate::language::Value;

/// Values of a column.
#[derive(Default)]
pub(super) struct Set {
    numbers: RoaringTreemap,
    texts: HashSet<u128>,
    folded: bool,
}

/// One column's values, ready to be looked for.
pub(super) enum Cells {
    Numbers(ArrayRef),
    Texts(ArrayRef),
}

impl Cells {
    /// The cells of a column; whole numbers as such, everything else as text.
    pub(super) fn of(column: &ArrayRef) -> Result<Self, Error> {
        let trouble = |e: arrow::error::ArrowError| Error::failed("values cannot be compared").caused_by(e);
        if column.data_type().is_integer() {
            return Ok(Cells::Numbers(arrow::compute::cast(column, &DataType::Int64).map_err(trouble)?));
        }
        Ok(Cells::Texts(arrow::compute::cast(column, &DataType::Utf8).map_err(trouble)?))
    }

    pub(super) fn is_null(&self, row: usize) -> bool {
        match self {
            Cells::Numbers(array) | Cells::Texts(array) => array.is_null(row),
        }
    }

    /// Whether a cell holds a value that stands for nothing.
    pub(super) fn is(&self, row: usize, value: &Value) -> bool {
        match (self, value) {
            (Cells::Numbers(array), Value::Number(number) | Value::Text(number)) => {
                number.parse() == Ok(array.as_primitive::<Int64Type>().value(row))
            }
            (Cells::Texts(array), value) => array.as_string::<i32>().value(row) == value.to_string(),
            _ => false,
        }
    }
}

/// A whole number as the bitmap holds it.
fn bits(number: i64) -> u64 {
    number.cast_unsigned() ^ (1 << 63)
}

impl Set {
    pub(super) fn new(folded: bool) -> Self {
        Set { folded, ..Set::default() }
    }

    /// Adds the values of the rows that are chosen.
    pub(super) fn add(&mut self, column: &ArrayRef, chosen: Option<&BooleanArray>) -> Result<(), Error> {
        let cells = Cells::of(column)?;
        let is_chosen = |row: usize| chosen.is_none_or(|chosen| chosen.value(row)) && !cells.is_null(row);
        match &cells {
            Cells::Numbers(array) => {
                let numbers = array.as_primitive::<Int64Type>();
                self.numbers
                    .extend((0..numbers.len()).filter(|row| is_chosen(*row)).map(|row| bits(numbers.value(row))));
            }
            Cells::Texts(array) => {
                let texts = array.as_string::<i32>();
                for row in (0..texts.len()).filter(|row| is_chosen(*row)) {
                    self.texts.insert(hash(texts.value(row), self.folded));
                }
            }
        }
        Ok(())
    }

    /// Takes another's values over.
    pub(super) fn join(&mut self, other: Set) {
        self.numbers |= other.numbers;
        self.texts.extend(other.texts);
    }

    /// Whether it has the value of a cell that is not NULL.
    pub(super) fn has(&self, cells: &Cells, row: usize) -> bool {
        match cells {
            Cells::Numbers(array) => self.numbers.contains(bits(array.as_primitive::<Int64Type>().value(row))),
            Cells::Texts(array) => self.texts.contains(&hash(array.as_string::<i32>().value(row), self.folded)),
        }
    }
}

fn hash(text: &str, folded: bool) -> u128 {
    if folded { xxh3_128(fold(text).as_bytes()) } else { xxh3_128(text.as_bytes()) }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Int16Array, Int64Array, StringArray};

    use super::*;

    #[test]
    fn numbers_of_any_width_and_sign_and_texts_are_found() {
        let mut set = Set::new(true);
        let numbers: ArrayRef = Arc::new(Int64Array::from(vec![Some(i64::MIN), Some(-1), None, Some(7), Some(8)]));
        let chosen = BooleanArray::from(vec![true, true, true, true, false]);
        set.add(&numbers, Some(&chosen)).unwrap();
        let texts: ArrayRef = Arc::new(StringArray::from(vec!["Abc  ", "é"]));
        set.add(&texts, None).unwrap();
        let asked = Cells::of(&(Arc::new(Int16Array::from(vec![-1, 7, 8])) as ArrayRef)).unwrap();
        assert_eq!((0..3).map(|row| set.has(&asked, row)).collect::<Vec<_>>(), [true, true, false]);
        let asked = Cells::of(&(Arc::new(StringArray::from(vec!["aBC", " abc", "É"])) as ArrayRef)).unwrap();
        assert_eq!((0..3).map(|row| set.has(&asked, row)).collect::<Vec<_>>(), [true, false, true]);
        assert!(!Set::new(false).has(&asked, 0) && asked.is(0, &Value::Text("aBC".into())));
    }
}
