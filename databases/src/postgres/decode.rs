//! Rows of PostgreSQL's binary COPY format into Arrow batches.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryBuilder, BooleanBuilder, Date32Builder, Decimal128Builder, Float32Builder, Float64Builder,
    Int16Builder, Int32Builder, Int64Builder, StringBuilder, Time64MicrosecondBuilder, TimestampMicrosecondBuilder,
};
use arrow::datatypes::{Field, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use bytes::{Buf, Bytes, BytesMut};
use imis_schemas::{DataType, Engine, TypedColumn};

use super::copy::{EPOCH_DAYS, EPOCH_MICROS};
use super::numeric;
use crate::error::{Error, ErrorKind};
use crate::source::{Chunk, RefusedRow};

/// What a row may have beside two of the largest cells, and the header's extension at most.
const MORE: usize = 1024 * 1024;
/// The size of the end mark.
const TRAILER: usize = 2;

/// The item of a SELECT list that gives a column in the form that [`Decoder`] reads.
pub(super) fn select_item(column: &TypedColumn) -> String {
    let name = Engine::Postgres.quote(&column.name);
    match &column.data_type {
        DataType::BitString(_) | DataType::Numeric | DataType::Jsonb | DataType::Uuid | DataType::Other(_) => {
            format!("{name}::text")
        }
        _ => name,
    }
}

enum Builder {
    Boolean(BooleanBuilder),
    Int16(Int16Builder),
    Int32(Int32Builder),
    Int64(Int64Builder),
    Float32(Float32Builder),
    Float64(Float64Builder),
    Decimal(Decimal128Builder, u8),
    Date(Date32Builder),
    Time(Time64MicrosecondBuilder),
    Timestamp(TimestampMicrosecondBuilder),
    Text(StringBuilder),
    Bytes(BinaryBuilder),
}

impl Builder {
    fn new(data_type: &DataType) -> Self {
        match data_type {
            DataType::Boolean => Builder::Boolean(BooleanBuilder::new()),
            DataType::SmallInt => Builder::Int16(Int16Builder::new()),
            DataType::Int => Builder::Int32(Int32Builder::new()),
            DataType::BigInt => Builder::Int64(Int64Builder::new()),
            DataType::Real => Builder::Float32(Float32Builder::new()),
            DataType::Double => Builder::Float64(Float64Builder::new()),
            DataType::Decimal { scale, .. } => Builder::Decimal(
                Decimal128Builder::new().with_data_type(data_type.arrow()),
                u8::try_from(*scale).unwrap_or(0),
            ),
            DataType::Date => Builder::Date(Date32Builder::new()),
            DataType::Time(_) => Builder::Time(Time64MicrosecondBuilder::new()),
            DataType::Timestamp(_) | DataType::TimestampTz => {
                Builder::Timestamp(TimestampMicrosecondBuilder::new().with_data_type(data_type.arrow()))
            }
            DataType::VarBinary(_) => Builder::Bytes(BinaryBuilder::new()),
            _ => Builder::Text(StringBuilder::new()),
        }
    }

    fn push_null(&mut self) {
        match self {
            Builder::Boolean(b) => b.append_null(),
            Builder::Int16(b) => b.append_null(),
            Builder::Int32(b) => b.append_null(),
            Builder::Int64(b) => b.append_null(),
            Builder::Float32(b) => b.append_null(),
            Builder::Float64(b) => b.append_null(),
            Builder::Decimal(b, _) => b.append_null(),
            Builder::Date(b) => b.append_null(),
            Builder::Time(b) => b.append_null(),
            Builder::Timestamp(b) => b.append_null(),
            Builder::Text(b) => b.append_null(),
            Builder::Bytes(b) => b.append_null(),
        }
    }

    /// Appends a field; on a value that Arrow cannot carry it appends NULL and says why.
    fn push(&mut self, field: &[u8]) -> Result<(), &'static str> {
        const SHORT: &str = "the server sent a field of the wrong length";
        fn fixed<const N: usize>(field: &[u8]) -> Result<[u8; N], &'static str> {
            field.try_into().map_err(|_| SHORT)
        }
        match self {
            Builder::Boolean(b) => b.append_value(fixed::<1>(field)? != [0]),
            Builder::Int16(b) => b.append_value(i16::from_be_bytes(fixed(field)?)),
            Builder::Int32(b) => b.append_value(i32::from_be_bytes(fixed(field)?)),
            Builder::Int64(b) => b.append_value(i64::from_be_bytes(fixed(field)?)),
            Builder::Float32(b) => b.append_value(f32::from_be_bytes(fixed(field)?)),
            Builder::Float64(b) => b.append_value(f64::from_be_bytes(fixed(field)?)),
            Builder::Decimal(b, scale) => {
                b.append_value(numeric::get(field, *scale).ok_or("the number is not finite or has too many digits")?);
            }
            Builder::Date(b) => {
                let days = i32::from_be_bytes(fixed(field)?);
                if matches!(days, i32::MIN | i32::MAX) {
                    return Err("the date is infinite");
                }
                b.append_value(days.checked_add(EPOCH_DAYS).ok_or("the date is out of range")?);
            }
            Builder::Time(b) => b.append_value(i64::from_be_bytes(fixed(field)?)),
            Builder::Timestamp(b) => {
                let micros = i64::from_be_bytes(fixed(field)?);
                if matches!(micros, i64::MIN | i64::MAX) {
                    return Err("the timestamp is infinite");
                }
                b.append_value(micros.checked_add(EPOCH_MICROS).ok_or("the timestamp is out of range")?);
            }
            Builder::Text(b) => b.append_value(std::str::from_utf8(field).map_err(|_| "the text is not UTF-8")?),
            Builder::Bytes(b) => b.append_value(field),
        }
        Ok(())
    }

    fn finish(&mut self) -> ArrayRef {
        match self {
            Builder::Boolean(b) => Arc::new(b.finish()),
            Builder::Int16(b) => Arc::new(b.finish()),
            Builder::Int32(b) => Arc::new(b.finish()),
            Builder::Int64(b) => Arc::new(b.finish()),
            Builder::Float32(b) => Arc::new(b.finish()),
            Builder::Float64(b) => Arc::new(b.finish()),
            Builder::Decimal(b, _) => Arc::new(b.finish()),
            Builder::Date(b) => Arc::new(b.finish()),
            Builder::Time(b) => Arc::new(b.finish()),
            Builder::Timestamp(b) => Arc::new(b.finish()),
            Builder::Text(b) => Arc::new(b.finish()),
            Builder::Bytes(b) => Arc::new(b.finish()),
        }
    }
}

/// Gathers rows into batches.
pub(super) struct Decoder {
    columns: Vec<TypedColumn>,
    schema: SchemaRef,
    builders: Vec<Builder>,
    buffer: BytesMut,
    started: bool,
    ended: bool,
    rows: usize,
    /// Rows of all batches, the refused ones included.
    seen: u64,
    bytes: usize,
    max_cell: usize,
    /// What is gathered at most of a row that is not complete.
    most: usize,
    refused: Vec<RefusedRow>,
    key: Vec<usize>,
}

impl Decoder {
    /// A decoder for these columns; the ones at `key` name a refused row.
    pub(super) fn new(columns: Vec<TypedColumn>, key: Vec<usize>, max_cell: usize) -> Self {
        let schema = Arc::new(Schema::new(
            columns.iter().map(|c| Field::new(&c.name, c.data_type.arrow(), true)).collect::<Vec<_>>(),
        ));
        let builders = columns.iter().map(|c| Builder::new(&c.data_type)).collect();
        Decoder {
            columns,
            schema,
            builders,
            buffer: BytesMut::new(),
            started: false,
            ended: false,
            rows: 0,
            seen: 0,
            bytes: 0,
            max_cell,
            most: max_cell.saturating_mul(2).saturating_add(MORE),
            refused: Vec::new(),
            key,
        }
    }

    /// Takes bytes of the stream and decodes the rows that are complete.
    pub(super) fn feed(&mut self, bytes: &Bytes) -> Result<(), Error> {
        self.buffer.extend_from_slice(bytes);
        if !self.started {
            // Signature, flags and the length of an extension, which we skip.
            let Some(extension) = self.buffer.get(15..19) else { return Ok(()) };
            let extension = u32::from_be_bytes([extension[0], extension[1], extension[2], extension[3]]) as usize;
            if extension > MORE || !self.buffer.starts_with(b"PGCOPY\n\xff\r\n\0") {
                return Err(garbled());
            }
            if self.buffer.len() < 19 + extension {
                return Ok(());
            }
            self.buffer.advance(19 + extension);
            self.started = true;
        }
        while !self.ended {
            let Some(length) = self.row_length()? else { break };
            let row = self.buffer.split_to(length).freeze();
            self.row(row)?;
        }
        // A row comes in one message; who sends it in pieces may go on for as long as the row says that it is.
        if self.buffer.len() > if self.ended { TRAILER } else { self.most } {
            return Err(garbled());
        }
        Ok(())
    }

    /// Refuses a stream that stopped before its end mark.
    pub(super) fn end(&self) -> Result<(), Error> {
        if self.ended { Ok(()) } else { Err(garbled()) }
    }

    /// How many bytes the next row has, once all of them are here. Sets `ended` at the end mark.
    fn row_length(&mut self) -> Result<Option<usize>, Error> {
        let Some(head) = self.buffer.get(..2) else { return Ok(None) };
        let fields = i16::from_be_bytes([head[0], head[1]]);
        if fields == -1 {
            self.ended = true;
            return Ok(None);
        }
        if usize::try_from(fields).ok() != Some(self.columns.len()) {
            return Err(garbled());
        }
        let mut at = 2;
        for _ in 0..fields {
            let Some(length) = self.buffer.get(at..at + 4) else { return Ok(None) };
            let length = i32::from_be_bytes([length[0], length[1], length[2], length[3]]);
            at += 4 + usize::try_from(length).unwrap_or(0);
        }
        Ok((self.buffer.len() >= at).then_some(at))
    }

    fn row(&mut self, mut row: Bytes) -> Result<(), Error> {
        self.bytes += row.len();
        self.seen += 1;
        row.advance(2);
        let mut fields = Vec::with_capacity(self.columns.len());
        for _ in 0..self.columns.len() {
            let length = row.get_i32();
            fields.push(usize::try_from(length).ok().map(|length| row.split_to(length)));
        }
        // A row that cannot be carried is found before anything is appended, so that the builders stay level.
        let mut reason = None;
        for (field, column) in fields.iter().zip(&self.columns) {
            if let Some(field) = field {
                let checked = if field.len() > self.max_cell {
                    Err("the cell is larger than --max-cell allows")
                } else {
                    Builder::new(&column.data_type).push_checked(field)
                };
                if let Err(why) = checked {
                    reason = Some((column.name.clone(), why));
                    break;
                }
            }
        }
        if let Some((column, why)) = reason {
            let key = self.key.iter().filter_map(|at| self.key_value(*at, &fields)).collect();
            self.refused.push(RefusedRow { key, column, reason: why.to_owned() });
            return Ok(());
        }
        for (field, builder) in fields.iter().zip(&mut self.builders) {
            match field {
                None => builder.push_null(),
                Some(field) => builder.push(field).map_err(|_| garbled())?,
            }
        }
        self.rows += 1;
        Ok(())
    }

    fn key_value(&self, at: usize, fields: &[Option<Bytes>]) -> Option<(String, String)> {
        let column = self.columns.get(at)?;
        let field = fields.get(at)?.as_ref()?;
        let value = match column.data_type {
            DataType::SmallInt => i16::from_be_bytes(field.as_ref().try_into().ok()?).to_string(),
            DataType::Int => i32::from_be_bytes(field.as_ref().try_into().ok()?).to_string(),
            DataType::BigInt => i64::from_be_bytes(field.as_ref().try_into().ok()?).to_string(),
            _ => String::from_utf8_lossy(field).into_owned(),
        };
        Some((column.name.clone(), value))
    }

    /// Rows that came so far.
    pub(super) fn seen(&self) -> u64 {
        self.seen
    }

    /// Whether enough has been gathered for a batch.
    pub(super) fn is_full(&self, rows: usize, bytes: usize) -> bool {
        self.rows >= rows || self.bytes >= bytes
    }

    /// Takes what has been gathered; `None` when there is nothing.
    pub(super) fn take(&mut self) -> Result<Option<Chunk>, Error> {
        if self.rows == 0 && self.refused.is_empty() {
            return Ok(None);
        }
        let arrays = self.builders.iter_mut().map(Builder::finish).collect();
        let batch = RecordBatch::try_new(Arc::clone(&self.schema), arrays)
            .map_err(|e| Error::failed("a batch could not be made").caused_by(e))?;
        self.rows = 0;
        self.bytes = 0;
        Ok(Some(Chunk { batch, refused: std::mem::take(&mut self.refused) }))
    }
}

impl Builder {
    /// Whether a field could be appended, without doing so. Only types whose bytes can be wrong are looked at.
    fn push_checked(&mut self, field: &[u8]) -> Result<(), &'static str> {
        match self {
            Builder::Int16(_) | Builder::Int32(_) | Builder::Int64(_) | Builder::Bytes(_) | Builder::Boolean(_) => {
                Ok(())
            }
            Builder::Text(_) => std::str::from_utf8(field).map(|_| ()).map_err(|_| "the text is not UTF-8"),
            other => other.push(field),
        }
    }
}

fn garbled() -> Error {
    Error::new(ErrorKind::Unreachable, "the server's COPY stream is garbled")
        .with_help("Try again; if it stays, report it.")
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
    const END: &[u8] = &[0xFF, 0xFF];

    fn fed(pieces: &[&[u8]]) -> Result<Decoder, Error> {
        let column = |name: &str, data_type| TypedColumn { name: name.to_owned(), data_type, nullable: true };
        let columns = vec![column("id", DataType::Int), column("note", DataType::Text)];
        let mut decoder = Decoder::new(columns, vec![0], 1000);
        pieces.iter().try_for_each(|piece| decoder.feed(&Bytes::copy_from_slice(piece)))?;
        Ok(decoder)
    }

    /// A row whose text says that it has so many bytes, without them.
    fn head(length: i32) -> Vec<u8> {
        [&[0, 2, 0, 0, 0, 4, 0, 0, 0, 7][..], &length.to_be_bytes()].concat()
    }

    #[test]
    fn a_stream_ends_where_it_says() {
        let row = [&head(3)[..], b"abc"].concat();
        assert!(fed(&[HEADER, &row, END]).unwrap().end().is_ok());
        assert!(fed(&[HEADER, &row]).unwrap().end().is_err());
        assert!(fed(&[]).unwrap().end().is_err());
        assert!(fed(&[HEADER, &row, END, b"more"]).is_err());
        assert!(fed(&[HEADER, &row, &END[..1], &END[1..], &row]).is_err());
    }

    #[test]
    fn what_comes_in_pieces_is_gathered_up_to_a_bound() {
        let (piece, large) = (vec![65; 60_000], head(0x7FFF_FFFF));
        let mut pieces = vec![HEADER, &large];
        pieces.extend([piece.as_slice()].repeat(17));
        assert!(fed(&pieces).is_ok());
        pieces.push(&piece);
        assert!(fed(&pieces).is_err());
        // A row that came whole is refused with its key, however large.
        let whole = [&head(3_000_000)[..], &vec![65; 3_000_000]].concat();
        let chunk = fed(&[HEADER, &whole]).unwrap().take().unwrap().unwrap();
        assert_eq!(chunk.refused[0].key, [("id".to_owned(), "7".to_owned())]);
        // The header has an extension, too.
        let mut header = HEADER.to_vec();
        header[15] = 0x7F;
        assert!(fed(&[&header]).is_err());
    }
}
