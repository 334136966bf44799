//! Rows of PostgreSQL's binary COPY format into Arrow batches.

use std::sync::Arc;

use arrow::datatypes::{Field, Schema, SchemaRef};
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use bytes::{Buf, Bytes, BytesMut};
use imis_schemas::{DataType, Engine, TypedColumn};

use super::copy::{EPOCH_DAYS, EPOCH_MICROS};
use super::numeric;
use crate::column::{Column, Ends, Values};
use crate::error::{Error, ErrorKind};
use crate::source::{Chunk, RefusedRow};

/// What a row may have beside two of the largest cells, and the header's extension at most.
const MORE: usize = 1024 * 1024;
/// The size of the end mark.
const TRAILER: usize = 2;
/// Why a cell is refused for which the batch has no room.
const TOO_LARGE: &str = "the cell is larger than a batch can be";

/// The item of a SELECT list that gives a column in the form that [`Decoder`] reads.
pub(super) fn select_item(column: &TypedColumn) -> String {
    let name = Engine::Postgres.quote(&column.name);
    match &column.data_type {
        DataType::BitString(_) | DataType::Numeric | DataType::Jsonb | DataType::Other(_) => {
            format!("{name}::text")
        }
        _ => name,
    }
}

/// How the bytes of a field become a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// As the column's values are.
    Plain,
    /// 16 bytes.
    Uuid,
}

/// What is wrong with a field.
enum Fault {
    /// Arrow cannot carry the value; its row is refused.
    Value(&'static str),
    /// The stream is garbled.
    Stream,
}

/// Appends what the bytes of a field say.
#[inline]
fn put(column: &mut Column, form: Form, field: &[u8]) -> Result<(), Fault> {
    #[inline]
    fn fixed<const N: usize>(field: &[u8]) -> Result<[u8; N], Fault> {
        field.try_into().map_err(|_| Fault::Value("the server sent a field of the wrong length"))
    }
    /// Of these the server knows the length as well as we do.
    #[inline]
    fn sure<const N: usize>(field: &[u8]) -> Result<[u8; N], Fault> {
        field.try_into().map_err(|_| Fault::Stream)
    }
    #[inline]
    fn end(values: &mut Ends) -> Result<(), Fault> {
        values.end().map(|_| ()).map_err(|_| Fault::Value(TOO_LARGE))
    }
    match &mut column.values {
        Values::Boolean(v) => v.append(sure::<1>(field)? != [0]),
        Values::Int16(v) => v.push(i16::from_be_bytes(sure(field)?)),
        Values::Int32(v) => v.push(i32::from_be_bytes(sure(field)?)),
        Values::Int64(v) => v.push(i64::from_be_bytes(sure(field)?)),
        Values::Float32(v) => v.push(f32::from_be_bytes(fixed(field)?)),
        Values::Float64(v) => v.push(f64::from_be_bytes(fixed(field)?)),
        Values::Decimal(v, scale) => {
            let number = numeric::get(field, *scale);
            v.push(number.ok_or(Fault::Value("the number is not finite or has too many digits"))?);
        }
        Values::Date(v) => {
            let days = i32::from_be_bytes(fixed(field)?);
            if matches!(days, i32::MIN | i32::MAX) {
                return Err(Fault::Value("the date is infinite"));
            }
            v.push(days.checked_add(EPOCH_DAYS).ok_or(Fault::Value("the date is out of range"))?);
        }
        Values::Time(v) => v.push(i64::from_be_bytes(fixed(field)?)),
        Values::Wall(v) | Values::Instant(v) => {
            let micros = i64::from_be_bytes(fixed(field)?);
            if matches!(micros, i64::MIN | i64::MAX) {
                return Err(Fault::Value("the timestamp is infinite"));
            }
            v.push(micros.checked_add(EPOCH_MICROS).ok_or(Fault::Value("the timestamp is out of range"))?);
        }
        Values::Text(v) if form == Form::Uuid => {
            let id = uuid::Uuid::from_bytes(fixed(field)?);
            v.uuid(id).map_err(|_| Fault::Value(TOO_LARGE))?;
        }
        Values::Text(v) => {
            // Most texts are short and plain, which is seen without a call.
            if !field.is_ascii() && std::str::from_utf8(field).is_err() {
                return Err(Fault::Value("the text is not UTF-8"));
            }
            v.bytes.extend_from_slice(field);
            end(v)?;
        }
        Values::Bytes(v) => {
            v.bytes.extend_from_slice(field);
            end(v)?;
        }
        // No type of PostgreSQL is read as one.
        Values::UInt8(_) => return Err(Fault::Stream),
    }
    column.taken();
    Ok(())
}

/// Gathers rows into batches.
pub(super) struct Decoder {
    columns: Vec<TypedColumn>,
    schema: SchemaRef,
    /// The values, and how each comes.
    values: Vec<(Column, Form)>,
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
        let form = |c: &TypedColumn| if c.data_type == DataType::Uuid { Form::Uuid } else { Form::Plain };
        let values = columns.iter().map(|c| (Column::new(&c.data_type.arrow(), 0), form(c))).collect();
        Decoder {
            columns,
            schema,
            values,
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
        if self.started && self.buffer.is_empty() {
            // A server sends whole rows, and so nothing is gathered.
            let rest = self.rows_of(bytes, true)?;
            self.buffer.extend_from_slice(bytes.get(rest..).unwrap_or_default());
            return self.bounded();
        }
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
        let mut gathered = std::mem::take(&mut self.buffer);
        let rest = self.rows_of(&gathered, false)?;
        gathered.advance(rest);
        self.buffer = gathered;
        self.bounded()
    }

    /// Decodes the row at the beginning and gives its length; takes nothing of one that has not come whole or cannot be read.
    fn walk(&mut self, bytes: &[u8]) -> Option<usize> {
        let (fields, mut rest) = bytes.split_first_chunk::<2>()?;
        if usize::try_from(i16::from_be_bytes(*fields)).ok() != Some(self.columns.len()) {
            return None;
        }
        for (column, form) in &mut self.values {
            let taken = match rest.split_first_chunk::<4>() {
                None => false,
                Some((length, after)) => match usize::try_from(i32::from_be_bytes(*length)) {
                    Err(_) => {
                        column.take_null();
                        rest = after;
                        true
                    }
                    Ok(length) => match after.split_at_checked(length) {
                        Some((field, after)) if length <= self.max_cell => {
                            rest = after;
                            put(column, *form, field).is_ok()
                        }
                        _ => false,
                    },
                },
            };
            if !taken {
                self.values.iter_mut().for_each(|(column, _)| column.truncate(self.rows));
                return None;
            }
        }
        let length = bytes.len() - rest.len();
        self.bytes += length;
        self.seen += 1;
        self.rows += 1;
        Some(length)
    }

    /// Decodes the rows that are complete, and says where the first one begins that is not. Where nearly all are, each is decoded as it
    /// is walked through; one that comes piece by piece is only measured until it is there.
    fn rows_of(&mut self, bytes: &[u8], is_whole: bool) -> Result<usize, Error> {
        let mut at = 0;
        while !self.ended {
            let rest = bytes.get(at..).unwrap_or_default();
            if is_whole && let Some(length) = self.walk(rest) {
                at += length;
                continue;
            }
            let Some(length) = self.row_length(rest)? else { break };
            self.row(rest.get(..length).unwrap_or_default())?;
            at += length;
        }
        Ok(at)
    }

    /// A row comes in one message; who sends it in pieces may go on for as long as the row says that it is.
    fn bounded(&self) -> Result<(), Error> {
        let most = if self.ended { TRAILER } else { self.most };
        if self.buffer.len() > most { Err(garbled()) } else { Ok(()) }
    }

    /// Refuses a stream that stopped before its end mark.
    pub(super) fn end(&self) -> Result<(), Error> {
        if self.ended { Ok(()) } else { Err(garbled()) }
    }

    /// How many bytes the row at the beginning has, once all of them are here. Sets `ended` at the end mark.
    fn row_length(&mut self, bytes: &[u8]) -> Result<Option<usize>, Error> {
        let Some(head) = bytes.get(..2) else { return Ok(None) };
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
            let Some(length) = bytes.get(at..at + 4) else { return Ok(None) };
            let length = i32::from_be_bytes([length[0], length[1], length[2], length[3]]);
            at += 4 + usize::try_from(length).unwrap_or(0);
        }
        Ok((bytes.len() >= at).then_some(at))
    }

    /// Decodes a row that is complete.
    fn row(&mut self, row: &[u8]) -> Result<(), Error> {
        self.bytes += row.len();
        self.seen += 1;
        let mut reason = None;
        for (field, (at, (column, form))) in fields(row).zip(self.values.iter_mut().enumerate()) {
            let put = match field {
                None => {
                    column.take_null();
                    continue;
                }
                Some(field) if field.len() > self.max_cell => {
                    Err(Fault::Value("the cell is larger than --max-cell allows"))
                }
                Some(field) => put(column, *form, field),
            };
            match put {
                Ok(()) => {}
                Err(Fault::Value(why)) => {
                    reason = self.columns.get(at).map(|column| (column.name.clone(), why));
                    break;
                }
                Err(Fault::Stream) => return Err(garbled()),
            }
        }
        if let Some((column, why)) = reason {
            let key = self.key.iter().filter_map(|at| self.key_value(*at, row)).collect();
            self.refused.push(RefusedRow { key, column, reason: why.to_owned() });
            // What was appended of the row goes again, so that the columns stay level.
            self.values.iter_mut().for_each(|(column, _)| column.truncate(self.rows));
            return Ok(());
        }
        self.rows += 1;
        Ok(())
    }

    fn key_value(&self, at: usize, row: &[u8]) -> Option<(String, String)> {
        let column = self.columns.get(at)?;
        let field = fields(row).nth(at)??;
        let value = match column.data_type {
            DataType::SmallInt => i16::from_be_bytes(field.try_into().ok()?).to_string(),
            DataType::Int => i32::from_be_bytes(field.try_into().ok()?).to_string(),
            DataType::BigInt => i64::from_be_bytes(field.try_into().ok()?).to_string(),
            DataType::Uuid => uuid::Uuid::from_slice(field).ok()?.hyphenated().to_string(),
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
        let odd = |e: arrow::error::ArrowError| Error::failed("a batch could not be made").caused_by(e);
        let arrays = self.values.iter_mut().map(|(column, _)| column.finish());
        let arrays = arrays.collect::<Result<Vec<_>, _>>().map_err(odd)?;
        let options = RecordBatchOptions::new().with_row_count(Some(self.rows));
        let batch = RecordBatch::try_new_with_options(Arc::clone(&self.schema), arrays, &options).map_err(odd)?;
        self.rows = 0;
        self.bytes = 0;
        Ok(Some(Chunk { batch, refused: std::mem::take(&mut self.refused) }))
    }
}

/// The fields of a row that is complete; `None` for NULL.
fn fields(row: &[u8]) -> impl Iterator<Item = Option<&[u8]>> {
    let mut rest = row.get(2..).unwrap_or_default();
    std::iter::from_fn(move || {
        let (length, after) = rest.split_first_chunk::<4>()?;
        let Ok(length) = usize::try_from(i32::from_be_bytes(*length)) else {
            rest = after;
            return Some(None);
        };
        let (field, after) = after.split_at_checked(length)?;
        rest = after;
        Some(Some(field))
    })
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
