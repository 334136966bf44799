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
use arrow::datatypes::{DataType as ArrowType, TimeUnit};
use arrow::error::ArrowError;
use arrow::util::display::array_value_to_string;
use tiberius::time::{Date, DateTime, DateTime2, DateTimeOffset, SmallDateTime, Time};

use super::cell::{Cell, Letters};
use super::text;
use crate::mssql::clock;
use crate::mssql::decode::{Misfit, Taken, hex, rescaled};

/// Why a cell is not taken.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// It is of another type than the column.
    Misfit(Misfit),
    /// It cannot be read; its place holds a NULL now.
    Unreadable(String),
}

/// Values of one column, and which of them are NULL.
#[derive(Debug)]
pub(super) struct Column {
    arrow: ArrowType,
    values: Values,
    nulls: NullBufferBuilder,
}

#[derive(Debug)]
enum Values {
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
struct Ends {
    /// Where each begins, and where the last one ends.
    offsets: Vec<i32>,
    bytes: Vec<u8>,
}

impl Ends {
    fn new(rows: usize) -> Self {
        let mut offsets = Vec::with_capacity(rows + 1);
        offsets.push(0);
        Ends { offsets, bytes: Vec::with_capacity(rows * 8) }
    }

    fn last(&self) -> usize {
        self.offsets.last().map_or(0, |end| *end as usize)
    }

    /// Ends the value that was appended.
    #[inline]
    fn end(&mut self) -> Result<usize, String> {
        let length = self.bytes.len() - self.last();
        let end = i32::try_from(self.bytes.len()).map_err(|_| "the cell is larger than a batch can be".to_owned())?;
        self.offsets.push(end);
        Ok(length)
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
    pub(super) fn new(arrow: &ArrowType, rows: usize) -> Self {
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

    /// Takes a NULL.
    #[inline]
    pub(super) fn take_null(&mut self) {
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

    /// Takes a cell; gives how many bytes it has.
    #[inline]
    pub(super) fn take(&mut self, cell: &Cell<'_>) -> Result<(usize, Taken), Refusal> {
        if *cell == Cell::Null {
            self.take_null();
            return Ok((8, Taken::Whole));
        }
        let taken = self.values.take(cell);
        match &taken {
            Ok(_) => self.nulls.append_non_null(),
            Err(Refusal::Unreadable(_)) => self.take_null(),
            Err(Refusal::Misfit(_)) => {}
        }
        taken
    }

    /// Forgets all rows but so many.
    pub(super) fn truncate(&mut self, rows: usize) {
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
    pub(super) fn whole(&self, row: usize) -> Option<i64> {
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
    pub(super) fn text(&self, row: usize) -> String {
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
            Values::Bytes(v) => v.get(row).map(|bytes| format!("0x{}", hex(bytes))),
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
    pub(super) fn finish(&mut self) -> Result<ArrayRef, ArrowError> {
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

impl Values {
    #[inline]
    fn take(&mut self, cell: &Cell<'_>) -> Result<(usize, Taken), Refusal> {
        let misfit = || Refusal::Misfit(Misfit { came: kind(cell) });
        let mut taken = Taken::Whole;
        let mut cut = |(value, cut): (i64, bool)| {
            if cut {
                taken = Taken::Cut;
            }
            value
        };
        let mut size = 8;
        match (self, cell) {
            (Values::Boolean(v), Cell::Bit(bit)) => v.append(*bit),
            (Values::UInt8(v), Cell::Whole(n, _)) => v.push((*n).try_into().map_err(|_| misfit())?),
            (Values::Int16(v), Cell::Whole(n, _)) => v.push((*n).try_into().map_err(|_| misfit())?),
            (Values::Int32(v), Cell::Whole(n, _)) => v.push((*n).try_into().map_err(|_| misfit())?),
            (Values::Int64(v), Cell::Whole(n, _)) => v.push(*n),
            (Values::Decimal(v, scale), Cell::Decimal(n, from)) => {
                size = 16;
                v.push(rescaled(*n, i32::from(*from), *scale).ok_or_else(misfit)?);
            }
            (Values::Decimal(v, scale), Cell::Whole(n, _)) => {
                v.push(rescaled(i128::from(*n), 0, *scale).ok_or_else(misfit)?);
            }
            (Values::Float32(v), Cell::Real(n)) => v.push(*n),
            (Values::Float64(v), Cell::Double(n)) => v.push(*n),
            (Values::Float64(v), Cell::Real(n)) => v.push(f64::from(*n)),
            (Values::Date(v), Cell::Date(days)) => v.push(clock::days(Date::new(*days)).ok_or_else(misfit)?),
            (Values::Time(v), Cell::Time(time, scale)) => {
                v.push(clock::time(Time::new(*time, *scale)).map(&mut cut).ok_or_else(misfit)?);
            }
            (Values::Wall(v), Cell::DateTime(days, ticks)) => {
                v.push(clock::datetime(DateTime::new(*days, *ticks)).ok_or_else(misfit)?);
            }
            (Values::Wall(v), Cell::SmallDateTime(days, minutes)) => {
                v.push(clock::smalldatetime(SmallDateTime::new(*days, *minutes)));
            }
            (Values::Wall(v), Cell::DateTime2(days, time, scale)) => {
                v.push(clock::datetime2(moment(*days, *time, *scale)).map(&mut cut).ok_or_else(misfit)?);
            }
            (Values::Instant(v), Cell::DateTimeOffset(days, time, scale)) => {
                let moment = DateTimeOffset::new(moment(*days, *time, *scale), 0);
                v.push(clock::datetimeoffset(moment).map(&mut cut).ok_or_else(misfit)?);
            }
            (Values::Text(v), Cell::Text(bytes, letters)) => size = v.text(bytes, *letters)?,
            (Values::Text(v), Cell::Xml(bytes)) => {
                // XML may come with a byte order mark, which is no part of it.
                size = v.text(bytes.strip_prefix(&[0xFF, 0xFE]).unwrap_or(bytes), Letters::Utf16)?;
            }
            (Values::Text(v), Cell::Guid(bytes)) => {
                let id = uuid::Uuid::from_bytes_le(*bytes);
                v.bytes.extend_from_slice(id.hyphenated().encode_lower(&mut [0; 36]).as_bytes());
                size = v.end().map_err(Refusal::Unreadable)?;
            }
            (Values::Bytes(v), Cell::Binary(bytes)) => {
                v.bytes.extend_from_slice(bytes);
                size = v.end().map_err(Refusal::Unreadable)?;
            }
            _ => return Err(misfit()),
        }
        Ok((size, taken))
    }
}

impl Ends {
    #[inline]
    fn text(&mut self, bytes: &[u8], letters: Letters) -> Result<usize, Refusal> {
        match letters {
            Letters::Utf16 => text::push_utf16(bytes, &mut self.bytes),
            Letters::Page(page) => text::push_page(bytes, page, &mut self.bytes),
        }
        .and_then(|()| self.end())
        .map_err(Refusal::Unreadable)
    }
}

fn moment(days: u32, time: u64, scale: u8) -> DateTime2 {
    DateTime2::new(Date::new(days), Time::new(time, scale))
}

fn kind(cell: &Cell<'_>) -> &'static str {
    match cell {
        Cell::Null => "NULL",
        Cell::Whole(_, 1) => "tinyint",
        Cell::Whole(_, 2) => "smallint",
        Cell::Whole(_, 4) => "int",
        Cell::Whole(..) => "bigint",
        Cell::Bit(_) => "bit",
        Cell::Real(_) => "real",
        Cell::Double(_) => "float",
        Cell::Decimal(..) => "decimal",
        Cell::DateTime(..) => "datetime",
        Cell::SmallDateTime(..) => "smalldatetime",
        Cell::Date(_) => "date",
        Cell::Time(..) => "time",
        Cell::DateTime2(..) => "datetime2",
        Cell::DateTimeOffset(..) => "datetimeoffset",
        Cell::Guid(_) => "uniqueidentifier",
        Cell::Text(..) => "text",
        Cell::Xml(_) => "xml",
        Cell::Binary(_) => "binary",
    }
}
