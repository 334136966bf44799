//! The cells of which a database is full, from the bytes straight into their column.
//!
//! Whole numbers, truth values, dates, identifiers and texts of ASCII are looked at once here: how they come and where they go. Everything
//! else, and whatever is not as it should be, is left where it lies for the way that knows all cells. Both ways come to the same,
//! which a test holds them to.

use tiberius::time::DateTime;

use super::bytes::Bytes;
use super::cell::Wire;
use crate::column::{Column, Ends, Values};
use crate::mssql::clock;
use crate::mssql::select::Letters;

/// What a cell that is no text counts.
const PLAIN: usize = 8;

/// Takes a cell of at most `longest` bytes; gives how many it has. `None` leaves everything as it was.
#[inline]
pub(super) fn quick(wire: Wire, column: &mut Column, bytes: &mut Bytes<'_>, longest: usize) -> Option<usize> {
    if longest < PLAIN {
        return None;
    }
    let (size, rest) = match (wire, &mut column.values, bytes.0) {
        (
            Wire::Whole | Wire::Bit | Wire::DateTime | Wire::Date | Wire::Guid | Wire::Decimal(_) | Wire::DateTime2(_),
            _,
            [0, rest @ ..],
        ) => {
            column.take_null();
            bytes.0 = rest;
            return Some(PLAIN);
        }
        (Wire::Text(_) | Wire::Binary, _, [0xFF, 0xFF, rest @ ..]) => {
            column.take_null();
            bytes.0 = rest;
            return Some(PLAIN);
        }
        (Wire::Whole, Values::Int32(v), [4, a, b, c, d, rest @ ..])
        | (Wire::Fixed(4), Values::Int32(v), [a, b, c, d, rest @ ..]) => {
            v.push(i32::from_le_bytes([*a, *b, *c, *d]));
            (PLAIN, rest)
        }
        (Wire::Bit, Values::Boolean(v), [1, bit, rest @ ..])
        | (Wire::FixedBit, Values::Boolean(v), [bit, rest @ ..]) => {
            v.append(*bit != 0);
            (PLAIN, rest)
        }
        (Wire::DateTime, Values::Wall(v), [8, a, b, c, d, e, f, g, h, rest @ ..])
        | (Wire::FixedDateTime(8), Values::Wall(v), [a, b, c, d, e, f, g, h, rest @ ..]) => {
            let (days, ticks) = (i32::from_le_bytes([*a, *b, *c, *d]), u32::from_le_bytes([*e, *f, *g, *h]));
            v.push(clock::datetime(DateTime::new(days, ticks))?);
            (PLAIN, rest)
        }
        (Wire::Guid, Values::Text(v), [16, rest @ ..]) if longest >= 36 => {
            let (id, rest) = rest.split_first_chunk::<16>()?;
            let start = v.bytes.len();
            v.bytes
                .extend_from_slice(uuid::Uuid::from_bytes_le(*id).hyphenated().encode_lower(&mut [0; 36]).as_bytes());
            let Ok(size) = v.end() else {
                v.bytes.truncate(start);
                return None;
            };
            (size, rest)
        }
        (Wire::Text(Letters::Utf16), Values::Text(v), [low, high, rest @ ..]) => {
            let (text, rest) = rest.split_at_checked(usize::from(u16::from_le_bytes([*low, *high])))?;
            (ascii(v, text, longest)?, rest)
        }
        _ => return None,
    };
    column.taken();
    bytes.0 = rest;
    Some(size)
}

/// Appends UTF-16 that is nothing but ASCII.
#[inline]
fn ascii(to: &mut Ends, text: &[u8], longest: usize) -> Option<usize> {
    let (start, length) = (to.bytes.len(), text.len() / 2);
    if length > longest || !text.len().is_multiple_of(2) {
        return None;
    }
    let mut others = 0;
    to.bytes.extend(text.chunks_exact(2).map(|pair| {
        let (low, high) = (pair.first().copied().unwrap_or(0), pair.get(1).copied().unwrap_or(0));
        others |= (low & 0x80) | high;
        low
    }));
    if others == 0
        && let Ok(size) = to.end()
    {
        return Some(size);
    }
    to.bytes.truncate(start);
    None
}
