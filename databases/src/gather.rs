//! Builders of columns, by the Arrow types of the type table.

use arrow::array::{
    ArrayBuilder, ArrayRef, BinaryBuilder, BooleanBuilder, Date32Builder, Decimal128Builder, Float32Builder,
    Float64Builder, Int16Builder, Int32Builder, Int64Builder, StringBuilder, Time64MicrosecondBuilder,
    TimestampMicrosecondBuilder, UInt8Builder,
};
use arrow::datatypes::{DataType as ArrowType, TimeUnit};
use arrow::error::ArrowError;

/// Gathers the values of one column.
#[derive(Debug)]
pub(crate) enum Gatherer {
    Boolean(BooleanBuilder),
    UInt8(UInt8Builder),
    Int16(Int16Builder),
    Int32(Int32Builder),
    Int64(Int64Builder),
    Decimal(Decimal128Builder, i8),
    Float32(Float32Builder),
    Float64(Float64Builder),
    Date(Date32Builder),
    Time(Time64MicrosecondBuilder),
    Wall(TimestampMicrosecondBuilder),
    Instant(TimestampMicrosecondBuilder),
    Text(StringBuilder),
    Bytes(BinaryBuilder),
}

impl Gatherer {
    /// One for a column of this Arrow type. Text serves whatever is not in the type table.
    pub(crate) fn new(arrow: &ArrowType, rows: usize) -> Result<Self, ArrowError> {
        Ok(match arrow {
            ArrowType::Boolean => Gatherer::Boolean(BooleanBuilder::with_capacity(rows)),
            ArrowType::UInt8 => Gatherer::UInt8(UInt8Builder::with_capacity(rows)),
            ArrowType::Int16 => Gatherer::Int16(Int16Builder::with_capacity(rows)),
            ArrowType::Int32 => Gatherer::Int32(Int32Builder::with_capacity(rows)),
            ArrowType::Int64 => Gatherer::Int64(Int64Builder::with_capacity(rows)),
            ArrowType::Decimal128(precision, scale) => Gatherer::Decimal(
                Decimal128Builder::with_capacity(rows).with_precision_and_scale(*precision, *scale)?,
                *scale,
            ),
            ArrowType::Float32 => Gatherer::Float32(Float32Builder::with_capacity(rows)),
            ArrowType::Float64 => Gatherer::Float64(Float64Builder::with_capacity(rows)),
            ArrowType::Date32 => Gatherer::Date(Date32Builder::with_capacity(rows)),
            ArrowType::Time64(_) => Gatherer::Time(Time64MicrosecondBuilder::with_capacity(rows)),
            ArrowType::Timestamp(TimeUnit::Microsecond, None) => {
                Gatherer::Wall(TimestampMicrosecondBuilder::with_capacity(rows))
            }
            ArrowType::Timestamp(..) => {
                Gatherer::Instant(TimestampMicrosecondBuilder::with_capacity(rows).with_data_type(arrow.clone()))
            }
            ArrowType::Binary => Gatherer::Bytes(BinaryBuilder::with_capacity(rows, 0)),
            _ => Gatherer::Text(StringBuilder::with_capacity(rows, rows * 8)),
        })
    }

    /// Takes a NULL.
    pub(crate) fn take_null(&mut self) {
        match self {
            Gatherer::Boolean(b) => b.append_null(),
            Gatherer::UInt8(b) => b.append_null(),
            Gatherer::Int16(b) => b.append_null(),
            Gatherer::Int32(b) => b.append_null(),
            Gatherer::Int64(b) => b.append_null(),
            Gatherer::Decimal(b, _) => b.append_null(),
            Gatherer::Float32(b) => b.append_null(),
            Gatherer::Float64(b) => b.append_null(),
            Gatherer::Date(b) => b.append_null(),
            Gatherer::Time(b) => b.append_null(),
            Gatherer::Wall(b) | Gatherer::Instant(b) => b.append_null(),
            Gatherer::Text(b) => b.append_null(),
            Gatherer::Bytes(b) => b.append_null(),
        }
    }

    /// The values so far, as an array; the gatherer is empty afterwards.
    pub(crate) fn finish(&mut self) -> ArrayRef {
        let builder: &mut dyn ArrayBuilder = match self {
            Gatherer::Boolean(b) => b,
            Gatherer::UInt8(b) => b,
            Gatherer::Int16(b) => b,
            Gatherer::Int32(b) => b,
            Gatherer::Int64(b) => b,
            Gatherer::Decimal(b, _) => b,
            Gatherer::Float32(b) => b,
            Gatherer::Float64(b) => b,
            Gatherer::Date(b) => b,
            Gatherer::Time(b) => b,
            Gatherer::Wall(b) | Gatherer::Instant(b) => b,
            Gatherer::Text(b) => b,
            Gatherer::Bytes(b) => b,
        };
        builder.finish()
    }
}
