//! The cells of which a database is full, from the bytes straight into their column.
//!
//! Whole numbers, truth values, dates, identifiers and texts are looked at once here: how they come and where they go. Everything
//! else, and whatever is not as it should be, is left where it lies for the way that knows all cells. Both ways come to the same,
//! which a test holds them to.

use tiberius::time::DateTime;

use super::bytes::Bytes;
use super::cell::Wire;
use crate::column::{Column, Ends, Values};
use crate::mssql::cell::{Refusal, append_guid, append_text};
use crate::mssql::clock;

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
            let (id, rest) = rest.split_first_chunk()?;
            (whole(v, |v| append_guid(v, *id))?, rest)
        }
        (Wire::Text(letters), Values::Text(v), [low, high, rest @ ..]) => {
            let (text, rest) = rest.split_at_checked(usize::from(u16::from_le_bytes([*low, *high])))?;
            // No byte of any letters becomes more than three.
            if text.len() * 3 > longest {
                return None;
            }
            (whole(v, |v| append_text(v, text, letters))?, rest)
        }
        _ => return None,
    };
    column.taken();
    bytes.0 = rest;
    Some(size)
}

/// Appends a value, or nothing of it.
#[inline]
fn whole(to: &mut Ends, append: impl FnOnce(&mut Ends) -> Result<usize, Refusal>) -> Option<usize> {
    let start = to.bytes.len();
    let size = append(to).ok();
    if size.is_none() {
        to.bytes.truncate(start);
    }
    size
}
