//! Which columns hold anything: values that are neither NULL nor the column's own default.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::DataType;
use futures::StreamExt;
use imis_schemas::{Column, Table};

use crate::error::Error;
use crate::source::{ReadRequest, Source};

/// How many values of an array are neither NULL nor the default, blanks at the end of a text aside.
pub fn filled_values(array: &ArrayRef, default: Option<&str>) -> u64 {
    let text = match array.data_type() {
        DataType::Boolean => arrow::compute::cast(array, &DataType::UInt8),
        _ => Ok(Arc::clone(array)),
    };
    let number = default.filter(|_| array.data_type().is_numeric()).and_then(|d| d.parse::<f64>().ok());
    let is_default = |value: &str| {
        Some(value) == default
            || Some(value.trim_end()) == default
            || number.is_some_and(|number| value.parse::<f64>() == Ok(number))
    };
    let all = (array.len() - array.null_count()) as u64;
    let Ok(text) = text.and_then(|array| arrow::compute::cast(&array, &DataType::Utf8)) else { return all };
    text.as_string_opt::<i32>()
        .map_or(all, |texts| texts.iter().flatten().filter(|value| !is_default(value)).count() as u64)
}

/// Counts by reading the columns, for sources that have no server to ask.
pub(crate) async fn by_reading<S: Source + ?Sized>(
    source: &S,
    table: &Table,
    columns: &[&Column],
) -> Result<Vec<u64>, Error> {
    let names = columns.iter().map(|column| column.name.clone()).collect();
    let defaults: Vec<Option<String>> = columns.iter().map(|column| column.plain_default()).collect();
    let mut counts = vec![0; columns.len()];
    let mut chunks = source.read(ReadRequest::all(Arc::new(table.clone())).columns(names));
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk?;
        for ((count, array), default) in counts.iter_mut().zip(chunk.batch.columns()).zip(&defaults) {
            *count += filled_values(array, default.as_deref());
        }
        // A value that could not be read is a value.
        for refused in &chunk.refused {
            if let Some(at) = columns.iter().position(|column| column.name == refused.column)
                && let Some(count) = counts.get_mut(at)
            {
                *count += 1;
            }
        }
    }
    Ok(counts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{BooleanArray, Decimal128Array, Int32Array, StringArray};

    #[test]
    fn defaults_and_nulls_are_nothing() {
        let decimals = Decimal128Array::from(vec![Some(0), Some(150), None]).with_precision_and_scale(18, 2).unwrap();
        let cases: [(ArrayRef, Option<&str>, u64); 6] = [
            (Arc::new(Int32Array::from(vec![Some(0), Some(7), None])), Some("0"), 1),
            (Arc::new(Int32Array::from(vec![Some(0), Some(7), None])), None, 2),
            (Arc::new(BooleanArray::from(vec![Some(false), Some(true)])), Some("0"), 1),
            (Arc::new(decimals), Some("0"), 1),
            (Arc::new(StringArray::from(vec![Some("N "), Some("n"), Some("")])), Some("N"), 2),
            (Arc::new(StringArray::from(vec![None::<&str>])), None, 0),
        ];
        for (array, default, expected) in cases {
            assert_eq!(filled_values(&array, default), expected, "{array:?}");
        }
    }
}
