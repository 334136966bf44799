//! The encoder of PostgreSQL's binary COPY format, straight from Arrow arrays.
//!
//! The arrays must already have the type that the column calls for ([`wire_type`]); bringing them there, and finding the
//! rows that cannot be brought there, is the business of whoever maps.

use arrow::array::{
    Array, ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Float32Array, Float64Array, Int16Array,
    Int32Array, Int64Array, StringArray, Time64MicrosecondArray, TimestampMicrosecondArray,
};
use arrow::datatypes::DataType as ArrowType;
use arrow::record_batch::RecordBatch;
use bytes::{BufMut, BytesMut};
use imis_schemas::{DataType, Engine, TypedColumn};

use super::numeric;
use crate::error::{Error, ErrorKind};
use crate::identifier::parse_uuid;

/// Days from 1970-01-01 to 2000-01-01, PostgreSQL's zero.
pub(super) const EPOCH_DAYS: i32 = 10_957;
/// The same in microseconds.
pub(super) const EPOCH_MICROS: i64 = EPOCH_DAYS as i64 * 86_400_000_000;

const HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";

/// The Arrow type that the encoder takes for a column; `None` for a type that it cannot write.
pub fn wire_type(data_type: &DataType) -> Option<ArrowType> {
    match data_type {
        DataType::TinyInt | DataType::Money | DataType::SmallMoney | DataType::Other(_) | DataType::SqlVariant => None,
        // A bit string of one place takes a truth value; a longer one its text of zeros and ones.
        DataType::BitString(1) => Some(ArrowType::Boolean),
        known => Some(known.arrow()),
    }
}

/// Encodes batches of one table.
#[derive(Debug)]
pub struct CopyEncoder {
    columns: Vec<TypedColumn>,
}

/// One column of a batch, downcast once so that a cell costs no virtual call.
enum Cells<'a> {
    Boolean(&'a BooleanArray),
    Bit(&'a BooleanArray),
    BitText(&'a StringArray),
    Int16(&'a Int16Array),
    Int32(&'a Int32Array),
    Int64(&'a Int64Array),
    Float32(&'a Float32Array),
    Float64(&'a Float64Array),
    Decimal(&'a Decimal128Array, u8),
    NumericText(&'a StringArray),
    Date(&'a Date32Array),
    Time(&'a Time64MicrosecondArray),
    Timestamp(&'a TimestampMicrosecondArray),
    Text(&'a StringArray),
    Jsonb(&'a StringArray),
    Uuid(&'a StringArray),
    Bytes(&'a BinaryArray),
}

impl CopyEncoder {
    /// An encoder for these columns, in the order in which the batches have them.
    ///
    /// # Errors
    /// When a column is of a type that cannot be written.
    pub fn new(columns: Vec<TypedColumn>) -> Result<Self, Error> {
        for column in &columns {
            if wire_type(&column.data_type).is_none() {
                return Err(Error::new(
                    ErrorKind::Schema,
                    format!(
                        "column {} has type {}, which imis cannot write",
                        column.name,
                        column.data_type.sql(Engine::Postgres)
                    ),
                )
                .with_help("Leave the column out of the mapping."));
            }
        }
        Ok(CopyEncoder { columns })
    }

    /// The columns, in order.
    pub fn columns(&self) -> &[TypedColumn] {
        &self.columns
    }

    /// Writes the header, once at the start of a stream.
    pub fn header(&self, out: &mut BytesMut) {
        out.put_slice(HEADER);
    }

    /// Writes the end mark, once at the end of a stream.
    pub fn trailer(&self, out: &mut BytesMut) {
        out.put_i16(-1);
    }

    /// Writes the rows of a batch.
    ///
    /// # Errors
    /// When an array is not of its column's wire type, or a cell's text is not what its type wants (a UUID, a bit
    /// string, a number); the error names the column, not the value.
    pub fn batch(&self, batch: &RecordBatch, out: &mut BytesMut) -> Result<(), Error> {
        if batch.num_columns() != self.columns.len() {
            return Err(Error::failed(format!(
                "a batch of {} columns met a table of {}",
                batch.num_columns(),
                self.columns.len()
            )));
        }
        let cells = self
            .columns
            .iter()
            .zip(batch.columns())
            .map(|(column, array)| cells(column, array))
            .collect::<Result<Vec<_>, _>>()?;
        let width = i16::try_from(cells.len()).map_err(|_| Error::failed("a table has too many columns for COPY"))?;
        for row in 0..batch.num_rows() {
            out.put_i16(width);
            for (at, column) in cells.iter().enumerate() {
                put_cell(column, row, out).map_err(|reason| {
                    let name = self.columns.get(at).map_or("?", |c| c.name.as_str());
                    Error::new(ErrorKind::Data, format!("column {name}: {reason}"))
                })?;
            }
        }
        Ok(())
    }
}

fn cells<'a>(column: &TypedColumn, array: &'a ArrayRef) -> Result<Cells<'a>, Error> {
    let any = array.as_any();
    let found = match &column.data_type {
        DataType::Boolean => any.downcast_ref().map(Cells::Boolean),
        DataType::BitString(1) => any.downcast_ref().map(Cells::Bit),
        DataType::BitString(_) => any.downcast_ref().map(Cells::BitText),
        DataType::SmallInt => any.downcast_ref().map(Cells::Int16),
        DataType::Int => any.downcast_ref().map(Cells::Int32),
        DataType::BigInt => any.downcast_ref().map(Cells::Int64),
        DataType::Real => any.downcast_ref().map(Cells::Float32),
        DataType::Double => any.downcast_ref().map(Cells::Float64),
        DataType::Decimal { .. } => any
            .downcast_ref::<Decimal128Array>()
            .and_then(|a| u8::try_from(a.scale()).ok().map(|scale| Cells::Decimal(a, scale))),
        DataType::Numeric => any.downcast_ref().map(Cells::NumericText),
        DataType::Date => any.downcast_ref().map(Cells::Date),
        DataType::Time(_) => any.downcast_ref().map(Cells::Time),
        DataType::Timestamp(_) | DataType::TimestampTz => any.downcast_ref().map(Cells::Timestamp),
        DataType::Char(_) | DataType::VarChar(_) | DataType::Text | DataType::Xml | DataType::Json => {
            any.downcast_ref().map(Cells::Text)
        }
        DataType::Jsonb => any.downcast_ref().map(Cells::Jsonb),
        DataType::Uuid => any.downcast_ref().map(Cells::Uuid),
        DataType::VarBinary(_) => any.downcast_ref().map(Cells::Bytes),
        _ => None,
    };
    found.ok_or_else(|| {
        Error::new(
            ErrorKind::Failed,
            format!(
                "column {} of type {} was handed values of type {}",
                column.name,
                column.data_type.sql(Engine::Postgres),
                array.data_type()
            ),
        )
    })
}

/// Writes one field: its length and its bytes, or -1 for NULL.
fn put_cell(cells: &Cells<'_>, row: usize, out: &mut BytesMut) -> Result<(), &'static str> {
    macro_rules! field {
        ($array:expr, $length:expr, $put:expr) => {{
            if $array.is_null(row) {
                out.put_i32(-1);
            } else {
                out.put_i32($length);
                #[allow(clippy::redundant_closure_call)]
                $put($array.value(row));
            }
            Ok(())
        }};
    }
    match cells {
        Cells::Boolean(a) => field!(a, 1, |v| out.put_u8(u8::from(v))),
        Cells::Bit(a) => field!(a, 5, |v| {
            out.put_i32(1);
            out.put_u8(u8::from(v) << 7);
        }),
        Cells::Int16(a) => field!(a, 2, |v| out.put_i16(v)),
        Cells::Int32(a) => field!(a, 4, |v| out.put_i32(v)),
        Cells::Int64(a) => field!(a, 8, |v| out.put_i64(v)),
        Cells::Float32(a) => field!(a, 4, |v| out.put_f32(v)),
        Cells::Float64(a) => field!(a, 8, |v| out.put_f64(v)),
        Cells::Date(a) => field!(a, 4, |v: i32| out.put_i32(v.saturating_sub(EPOCH_DAYS))),
        Cells::Time(a) => field!(a, 8, |v| out.put_i64(v)),
        Cells::Timestamp(a) => field!(a, 8, |v: i64| out.put_i64(v.saturating_sub(EPOCH_MICROS))),
        Cells::Decimal(a, scale) => {
            if a.is_null(row) {
                out.put_i32(-1);
            } else {
                numeric::put(out, a.value(row), *scale);
            }
            Ok(())
        }
        Cells::NumericText(a) => {
            if a.is_null(row) {
                out.put_i32(-1);
                return Ok(());
            }
            let (unscaled, scale) = numeric::parse(a.value(row)).ok_or("a text is not a decimal number")?;
            numeric::put(out, unscaled, scale);
            Ok(())
        }
        Cells::Text(a) => {
            if a.is_null(row) {
                out.put_i32(-1);
                return Ok(());
            }
            put_bytes(a.value(row).as_bytes(), out)
        }
        Cells::Bytes(a) => {
            if a.is_null(row) {
                out.put_i32(-1);
                return Ok(());
            }
            put_bytes(a.value(row), out)
        }
        Cells::Jsonb(a) => {
            if a.is_null(row) {
                out.put_i32(-1);
                return Ok(());
            }
            let text = a.value(row).as_bytes();
            out.put_i32(i32::try_from(text.len() + 1).map_err(|_| "a value is larger than PostgreSQL takes")?);
            out.put_u8(1);
            out.put_slice(text);
            Ok(())
        }
        Cells::Uuid(a) => {
            if a.is_null(row) {
                out.put_i32(-1);
                return Ok(());
            }
            let uuid = parse_uuid(a.value(row).as_bytes()).ok_or("a text is not a UUID")?;
            out.put_i32(16);
            out.put_slice(uuid.as_bytes());
            Ok(())
        }
        Cells::BitText(a) => {
            if a.is_null(row) {
                out.put_i32(-1);
                return Ok(());
            }
            put_bit_string(a.value(row), out)
        }
    }
}

fn put_bytes(bytes: &[u8], out: &mut BytesMut) -> Result<(), &'static str> {
    out.put_i32(i32::try_from(bytes.len()).map_err(|_| "a value is larger than PostgreSQL takes")?);
    out.put_slice(bytes);
    Ok(())
}

fn put_bit_string(text: &str, out: &mut BytesMut) -> Result<(), &'static str> {
    let places = i32::try_from(text.len()).map_err(|_| "a bit string is too long")?;
    let mut packed = vec![0u8; text.len().div_ceil(8)];
    for (at, c) in text.bytes().enumerate() {
        match (c, packed.get_mut(at / 8)) {
            (b'1', Some(byte)) => *byte |= 0x80 >> (at % 8),
            (b'0', Some(_)) => {}
            _ => return Err("a text is not a bit string"),
        }
    }
    out.put_i32(i32::try_from(packed.len() + 4).map_err(|_| "a bit string is too long")?);
    out.put_i32(places);
    out.put_slice(&packed);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::datatypes::{Field, Schema};
    use std::sync::Arc;

    #[test]
    fn a_row_as_the_protocol_has_it() {
        let schema = Arc::new(Schema::new(vec![
            Field::new("a", ArrowType::Int32, true),
            Field::new("b", ArrowType::Utf8, true),
            Field::new("c", ArrowType::Boolean, true),
        ]));
        let batch = RecordBatch::try_new(
            schema,
            vec![
                Arc::new(Int32Array::from(vec![Some(7)])),
                Arc::new(StringArray::from(vec![None::<&str>])),
                Arc::new(BooleanArray::from(vec![true])),
            ],
        )
        .unwrap();
        let column = |name: &str, data_type| TypedColumn { name: name.into(), data_type, nullable: true };
        let encoder = CopyEncoder::new(vec![
            column("a", DataType::Int),
            column("b", DataType::Text),
            column("c", DataType::BitString(1)),
        ])
        .unwrap();
        let mut out = BytesMut::new();
        encoder.batch(&batch, &mut out).unwrap();
        assert_eq!(out.as_ref(), [0, 3, 0, 0, 0, 4, 0, 0, 0, 7, 255, 255, 255, 255, 0, 0, 0, 5, 0, 0, 0, 1, 0x80]);
    }

    #[test]
    fn a_type_that_cannot_be_written_is_named() {
        let column = TypedColumn { name: "ip".into(), data_type: DataType::Other("inet".into()), nullable: true };
        let error = CopyEncoder::new(vec![column]).unwrap_err();
        assert!(error.to_string().contains("ip") && error.to_string().contains("inet"));
    }
}
