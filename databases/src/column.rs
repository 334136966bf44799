//! The values of one column on their way into an array. Other than a builder of Arrow's it can go back: a row that turns out
//! to be unreadable, or not all there yet, leaves nothing behind.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, BooleanBufferBuilder, NullBufferBuilder, PrimitiveArray, StringArray,
    types::{
        ArrowPrimitiveType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int16Type, Int32Type, Int64Type,
        Time64MicrosecondType, TimestampMicrosecondType, UInt8Type,
    },
};
use arrow::buffer::{Buffer, NullBuffer, OffsetBuffer};
use arrow::datatypes::{DataType as ArrowType, TimeUnit, validate_decimal_precision_and_scale};
use arrow::error::ArrowError;
use arrow::util::display::array_value_to_string;
use uuid::Uuid;

use crate::identifier::write_uuid;

/// Values of one column, and which of them are NULL.
#[derive(Debug)]
pub(crate) struct Column {
    arrow: ArrowType,
    pub(crate) values: Values,
    nulls: NullBufferBuilder,
}

#[derive(Debug)]
pub(crate) enum Values {
    Boolean(BooleanBufferBuilder),
    UInt8(Vec<u8>),
    Int16(Vec<i16>),
    Int32(Vec<i32>),
    Int64(Vec<i64>),
    Decimal(Vec<i128>, i8),
    Float32(Vec<f32>),
    Float64(Vec<f64>),
    Date(Vec<i32>),
    Time(Vec<i64>),
    Wall(Vec<i64>),
    Instant(Vec<i64>),
    /// The ends of the values in their bytes, which are UTF-8.
    Text(Ends),
    Bytes(Ends),
}

/// Values of different lengths, one behind the other.
#[derive(Debug)]
pub(crate) struct Ends {
    /// Where each begins, and where the last one ends.
    offsets: Vec<i32>,
    pub(crate) bytes: Vec<u8>,
}

impl Ends {
    fn new(rows: usize) -> Self {
        let mut offsets = Vec::with_capacity(rows + 1);
        offsets.push(0);
        Ends { offsets, bytes: Vec::with_capacity(rows * 8) }
    }

    pub(crate) fn last(&self) -> usize {
        self.offsets.last().map_or(0, |end| *end as usize)
    }

    /// Ends the value that was appended.
    #[inline]
    pub(crate) fn end(&mut self) -> Result<usize, String> {
        let length = self.bytes.len() - self.last();
        let end = i32::try_from(self.bytes.len()).map_err(|_| "the cell is larger than a batch can be".to_owned())?;
        self.offsets.push(end);
        Ok(length)
    }

    /// Appends an identifier as people write it, in small letters.
    #[inline]
    pub(crate) fn uuid(&mut self, id: Uuid) -> Result<usize, String> {
        self.bytes.extend_from_slice(&[0; 36]);
        if let Some(place) = self.bytes.last_chunk_mut() {
            write_uuid(id, place);
        }
        self.end()
    }

    fn get(&self, row: usize) -> Option<&[u8]> {
        let (from, to) = (*self.offsets.get(row)?, *self.offsets.get(row + 1)?);
        self.bytes.get(from as usize..to as usize)
    }

    fn end_empty(&mut self) {
        self.bytes.truncate(self.last());
        self.offsets.push(self.last() as i32);
    }

    fn truncate(&mut self, rows: usize) {
        self.offsets.truncate(rows + 1);
        self.bytes.truncate(self.last());
    }

    fn finish(&mut self) -> (OffsetBuffer<i32>, Buffer) {
        let fresh = Ends {
            offsets: Vec::with_capacity(self.offsets.len()),
            bytes: Vec::with_capacity(self.bytes.len() + self.bytes.len() / 16),
        };
        let full = std::mem::replace(self, fresh);
        self.offsets.push(0);
        (OffsetBuffer::new(full.offsets.into()), Buffer::from_vec(full.bytes))
    }
}

impl Column {
    /// One for this Arrow type. Text serves whatever is not in the type table.
    pub(crate) fn new(arrow: &ArrowType, rows: usize) -> Self {
        let values = match arrow {
            ArrowType::Boolean => Values::Boolean(BooleanBufferBuilder::new(rows)),
            ArrowType::UInt8 => Values::UInt8(Vec::with_capacity(rows)),
            ArrowType::Int16 => Values::Int16(Vec::with_capacity(rows)),
            ArrowType::Int32 => Values::Int32(Vec::with_capacity(rows)),
            ArrowType::Int64 => Values::Int64(Vec::with_capacity(rows)),
            ArrowType::Decimal128(_, scale) => Values::Decimal(Vec::with_capacity(rows), *scale),
            ArrowType::Float32 => Values::Float32(Vec::with_capacity(rows)),
            ArrowType::Float64 => Values::Float64(Vec::with_capacity(rows)),
            ArrowType::Date32 => Values::Date(Vec::with_capacity(rows)),
            ArrowType::Time64(_) => Values::Time(Vec::with_capacity(rows)),
            ArrowType::Timestamp(TimeUnit::Microsecond, None) => Values::Wall(Vec::with_capacity(rows)),
            ArrowType::Timestamp(..) => Values::Instant(Vec::with_capacity(rows)),
            ArrowType::Binary => Values::Bytes(Ends::new(rows)),
            _ => Values::Text(Ends::new(rows)),
        };
        Column { arrow: arrow.clone(), values, nulls: NullBufferBuilder::new(rows) }
    }

    /// One for a type as a catalogue or a script tells it, which may be none.
    ///
    /// # Errors
    /// When a decimal has more digits than there can be.
    pub(crate) fn of_told(arrow: &ArrowType, rows: usize) -> Result<Self, ArrowError> {
        if let ArrowType::Decimal128(precision, scale) = arrow {
            validate_decimal_precision_and_scale::<Decimal128Type>(*precision, *scale)?;
        }
        Ok(Column::new(arrow, rows))
    }

    /// The value that was appended to the values is there, and not NULL.
    #[inline]
    pub(crate) fn taken(&mut self) {
        self.nulls.append_non_null();
    }

    /// Takes a NULL.
    #[inline]
    pub(crate) fn take_null(&mut self) {
        self.nulls.append_null();
        match &mut self.values {
            Values::Boolean(v) => v.append(false),
            Values::UInt8(v) => v.push(0),
            Values::Int16(v) => v.push(0),
            Values::Int32(v) | Values::Date(v) => v.push(0),
            Values::Int64(v) | Values::Time(v) | Values::Wall(v) | Values::Instant(v) => v.push(0),
            Values::Decimal(v, _) => v.push(0),
            Values::Float32(v) => v.push(0.0),
            Values::Float64(v) => v.push(0.0),
            Values::Text(v) | Values::Bytes(v) => v.end_empty(),
        }
    }

    /// Forgets all rows but so many.
    pub(crate) fn truncate(&mut self, rows: usize) {
        self.nulls.truncate(rows);
        match &mut self.values {
            Values::Boolean(v) => v.truncate(rows),
            Values::UInt8(v) => v.truncate(rows),
            Values::Int16(v) => v.truncate(rows),
            Values::Int32(v) | Values::Date(v) => v.truncate(rows),
            Values::Int64(v) | Values::Time(v) | Values::Wall(v) | Values::Instant(v) => v.truncate(rows),
            Values::Decimal(v, _) => v.truncate(rows),
            Values::Float32(v) => v.truncate(rows),
            Values::Float64(v) => v.truncate(rows),
            Values::Text(v) | Values::Bytes(v) => v.truncate(rows),
        }
    }

    /// The value of a row, if it is a whole number.
    pub(crate) fn whole(&self, row: usize) -> Option<i64> {
        if self.is_null(row) {
            return None;
        }
        match &self.values {
            Values::UInt8(v) => v.get(row).map(|v| i64::from(*v)),
            Values::Int16(v) => v.get(row).map(|v| i64::from(*v)),
            Values::Int32(v) => v.get(row).map(|v| i64::from(*v)),
            Values::Int64(v) => v.get(row).copied(),
            _ => None,
        }
    }

    /// The value of a row, as people write it: for a key.
    pub(crate) fn text(&self, row: usize) -> String {
        if self.is_null(row) {
            return "NULL".to_owned();
        }
        fn written<T: ToString>(value: Option<T>) -> Option<String> {
            value.map(|value| value.to_string())
        }
        // A date, a time or a decimal as Arrow shows it.
        fn shown<T: ArrowPrimitiveType>(value: Option<&T::Native>, arrow: &ArrowType) -> Option<String> {
            let array = PrimitiveArray::<T>::from_value(*value?, 1).with_data_type(arrow.clone());
            array_value_to_string(&array, 0).ok()
        }
        let arrow = &self.arrow;
        let text = match &self.values {
            Values::Boolean(v) => (row < v.len()).then(|| u8::from(v.get_bit(row)).to_string()),
            Values::UInt8(v) => written(v.get(row)),
            Values::Int16(v) => written(v.get(row)),
            Values::Int32(v) => written(v.get(row)),
            Values::Int64(v) => written(v.get(row)),
            Values::Float32(v) => written(v.get(row)),
            Values::Float64(v) => written(v.get(row)),
            Values::Decimal(v, _) => shown::<Decimal128Type>(v.get(row), arrow),
            Values::Date(v) => shown::<Date32Type>(v.get(row), arrow),
            Values::Time(v) => shown::<Time64MicrosecondType>(v.get(row), arrow),
            Values::Wall(v) | Values::Instant(v) => shown::<TimestampMicrosecondType>(v.get(row), arrow),
            Values::Text(v) => v.get(row).map(|bytes| String::from_utf8_lossy(bytes).into_owned()),
            Values::Bytes(v) => {
                v.get(row).map(|bytes| format!("0x{}", bytes.iter().map(|b| format!("{b:02X}")).collect::<String>()))
            }
        };
        text.unwrap_or_else(|| "?".to_owned())
    }

    fn is_null(&self, row: usize) -> bool {
        // Without a mask nothing is NULL.
        self.nulls.as_slice().is_some() && row < self.nulls.len() && !self.nulls.is_valid(row)
    }

    /// The values as an array; there are none afterwards.
    ///
    /// # Errors
    /// When they do not fit together, which would be a mistake of ours.
    pub(crate) fn finish(&mut self) -> Result<ArrayRef, ArrowError> {
        fn primitive<T: ArrowPrimitiveType>(
            values: &mut Vec<T::Native>,
            nulls: Option<NullBuffer>,
            arrow: &ArrowType,
        ) -> Result<ArrayRef, ArrowError> {
            let fresh = Vec::with_capacity(values.len());
            let values = std::mem::replace(values, fresh);
            Ok(Arc::new(PrimitiveArray::<T>::try_new(values.into(), nulls)?.with_data_type(arrow.clone())))
        }
        let (arrow, nulls) = (&self.arrow, self.nulls.finish());
        match &mut self.values {
            Values::Boolean(v) => Ok(Arc::new(BooleanArray::new(v.finish(), nulls))),
            Values::UInt8(v) => primitive::<UInt8Type>(v, nulls, arrow),
            Values::Int16(v) => primitive::<Int16Type>(v, nulls, arrow),
            Values::Int32(v) => primitive::<Int32Type>(v, nulls, arrow),
            Values::Int64(v) => primitive::<Int64Type>(v, nulls, arrow),
            Values::Decimal(v, _) => primitive::<Decimal128Type>(v, nulls, arrow),
            Values::Float32(v) => primitive::<Float32Type>(v, nulls, arrow),
            Values::Float64(v) => primitive::<Float64Type>(v, nulls, arrow),
            Values::Date(v) => primitive::<Date32Type>(v, nulls, arrow),
            Values::Time(v) => primitive::<Time64MicrosecondType>(v, nulls, arrow),
            Values::Wall(v) | Values::Instant(v) => primitive::<TimestampMicrosecondType>(v, nulls, arrow),
            Values::Text(v) => {
                let (offsets, bytes) = v.finish();
                Ok(Arc::new(StringArray::try_new(offsets, bytes, nulls)?))
            }
            Values::Bytes(v) => {
                let (offsets, bytes) = v.finish();
                Ok(Arc::new(BinaryArray::try_new(offsets, bytes, nulls)?))
            }
        }
    }
}
