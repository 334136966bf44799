//! `gone.parquet`: what the run before found and this one did not.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Int32Array, Int64Array, RecordBatch, StringArray};
use arrow::compute::{cast, nullif};
use arrow::datatypes::{DataType, Int64Type};
use imis_databases::{Error, ErrorKind};

use super::draft::Draft;
use super::violations::{starred, states, text, unusable};
use crate::mask::{KeyMask, Values};

/// Copies rows from the run before; masks them where that run was asked to show them and this one is not.
pub(super) struct Gone<'a> {
    file: &'a mut Draft,
    mask: Option<Values>,
}

impl<'a> Gone<'a> {
    pub(super) fn new(file: &'a mut Draft, mask: Option<Values>) -> Self {
        Gone { file, mask }
    }

    /// Takes rows that are gone.
    pub(super) fn take(&mut self, rows: &RecordBatch) -> Result<(), Error> {
        let all = rows.num_rows();
        let of = |name: &str| -> Result<StringArray, Error> {
            text(rows, name)?.ok_or_else(|| {
                Error::new(ErrorKind::Data, format!("the violations of the run before have no column {name}"))
            })
        };
        let dictionary = |name: &str| -> Result<ArrayRef, Error> {
            let column = of(name)?;
            let small = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
            cast(&column, &small).map_err(unusable)
        };
        let number = match rows.column_by_name("key_number") {
            Some(number) => cast(number, &DataType::Int64).map_err(unusable)?.as_primitive::<Int64Type>().clone(),
            None => Int64Array::new_null(all),
        };
        let (mut key, mut number, mut value) = (of("key")?, number, of("value")?);
        if let Some(values) = self.mask {
            (key, number) = masked(&of("key_column")?, key, number, values)?;
            value = starred(&value);
        }
        self.file.write(vec![
            dictionary("check")?,
            dictionary("pack")?,
            dictionary("severity")?,
            Arc::new(of("table")?),
            Arc::new(of("column")?),
            dictionary("key_column")?,
            Arc::new(key),
            Arc::new(number),
            Arc::new(value),
            dictionary("what")?,
            states(Int32Array::from_value(2, all)),
        ])
    }
}

/// Keys of rows of several tables, masked row by row.
fn masked(
    columns: &StringArray,
    key: StringArray,
    number: Int64Array,
    values: Values,
) -> Result<(StringArray, Int64Array), Error> {
    let mut hidden = Vec::with_capacity(key.len());
    let mut last: Option<(&str, KeyMask)> = None;
    let keys: StringArray = (0..key.len())
        .map(|row| {
            let names = if columns.is_null(row) { "" } else { columns.value(row) };
            let mask = match last.take() {
                Some((known, mask)) if known == names => mask,
                _ => KeyMask::new(&names.split(", ").map(str::to_owned).collect::<Vec<_>>(), values),
            };
            let shown = (!key.is_null(row)).then(|| mask.key(key.value(row)));
            hidden.push(shown.as_deref().is_some_and(|shown| shown != key.value(row)));
            last = Some((names, mask));
            shown
        })
        .collect();
    let number = nullif(&number, &BooleanArray::from(hidden)).map_err(unusable)?;
    Ok((keys, number.as_primitive::<Int64Type>().clone()))
}
