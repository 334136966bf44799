//! One cell of a row, where it lies in the bytes of the answer.

use std::borrow::Cow;

use super::bytes::{Bytes, little};
use crate::mssql::cell::Cell;
use crate::mssql::fault::Fault;
use crate::mssql::select::Letters;

/// How the cells of a column come.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Wire {
    /// A whole number of so many bytes, never NULL.
    Fixed(u8),
    FixedBit,
    FixedFloat(u8),
    /// `datetime` (8 bytes) or `smalldatetime` (4).
    FixedDateTime(u8),
    FixedMoney(u8),
    /// The same behind their length, 0 for NULL.
    Whole,
    Bit,
    Float,
    DateTime,
    Money,
    Guid,
    /// By its scale.
    Decimal(u8),
    Date,
    /// By their scale.
    Time(u8),
    DateTime2(u8),
    DateTimeOffset(u8),
    /// Behind a length of two bytes.
    Text(Letters),
    Binary,
    /// In pieces: `(max)`.
    LongText(Letters),
    LongBinary,
    Xml,
    /// `text`, `ntext`: behind a pointer.
    OldText(Letters),
    Image,
}

/// Reads a cell; `None` where it is not all there yet.
///
/// # Errors
/// When it has a length that its type cannot have.
#[inline]
pub(super) fn cell<'a>(wire: Wire, bytes: &mut Bytes<'a>) -> Result<Option<Cell<'a>>, Fault> {
    let odd = |length: usize| Fault::protocol(format!("a cell has {length} bytes, which its type never has"));
    let Some(body) = body(wire, bytes)? else { return Ok(None) };
    let body = match body {
        None => return Ok(Some(Cell::Null)),
        Some(Cow::Owned(long)) => {
            return Ok(Some(match wire {
                Wire::LongText(letters) => Cell::Text(Cow::Owned(long), letters),
                Wire::Xml => Cell::Xml(Cow::Owned(long), Letters::Utf16),
                _ => Cell::Binary(Cow::Owned(long)),
            }));
        }
        Some(Cow::Borrowed(body)) => body,
    };
    let found = match wire {
        Wire::Fixed(_) | Wire::Whole => match *body {
            [a] => Some(Cell::Whole(i64::from(a), 1)),
            [a, b] => Some(Cell::Whole(i64::from(i16::from_le_bytes([a, b])), 2)),
            [a, b, c, d] => Some(Cell::Whole(i64::from(i32::from_le_bytes([a, b, c, d])), 4)),
            _ => body.try_into().ok().map(|b| Cell::Whole(i64::from_le_bytes(b), 8)),
        },
        Wire::FixedBit | Wire::Bit => match *body {
            [bit] => Some(Cell::Bit(bit != 0)),
            _ => None,
        },
        Wire::FixedFloat(_) | Wire::Float => match *body {
            [a, b, c, d] => Some(Cell::Real(f32::from_le_bytes([a, b, c, d]))),
            _ => body.try_into().ok().map(|b| Cell::Double(f64::from_le_bytes(b))),
        },
        Wire::FixedDateTime(_) | Wire::DateTime => match *body {
            [a, b, c, d] => Some(Cell::SmallDateTime(u16::from_le_bytes([a, b]), u16::from_le_bytes([c, d]))),
            [a, b, c, d, e, f, g, h] => {
                Some(Cell::DateTime(i32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h])))
            }
            _ => None,
        },
        Wire::FixedMoney(_) | Wire::Money => match *body {
            [a, b, c, d] => Some(Cell::Decimal(i128::from(i32::from_le_bytes([a, b, c, d])), 4)),
            // The high half comes first.
            [a, b, c, d, e, f, g, h] => {
                Some(Cell::Decimal(i128::from(i64::from_le_bytes([e, f, g, h, a, b, c, d])), 4))
            }
            _ => None,
        },
        Wire::Guid => body.try_into().ok().map(Cell::Guid),
        Wire::Decimal(scale) => match body.split_first() {
            Some((sign, digits)) if matches!(digits.len(), 4 | 8 | 12 | 16) => {
                let size = i128::try_from(little(digits));
                size.ok().map(|size| Cell::Decimal(if *sign == 0 { -size } else { size }, scale))
            }
            _ => None,
        },
        Wire::Date => days(body).map(Cell::Date),
        Wire::Time(scale) => clock(body, scale).map(|time| Cell::Time(time, scale)),
        Wire::DateTime2(scale) => body
            .split_at_checked(body.len().saturating_sub(3))
            .and_then(|(time, date)| Some(Cell::DateTime2(days(date)?, clock(time, scale)?, scale))),
        Wire::DateTimeOffset(scale) => body
            .split_at_checked(body.len().saturating_sub(5))
            .and_then(|(time, rest)| Some(Cell::DateTimeOffset(days(rest.get(..3)?)?, clock(time, scale)?, scale))),
        Wire::Text(letters) | Wire::LongText(letters) | Wire::OldText(letters) => {
            Some(Cell::Text(Cow::Borrowed(body), letters))
        }
        Wire::Xml => Some(Cell::Xml(Cow::Borrowed(body), Letters::Utf16)),
        Wire::Binary | Wire::LongBinary | Wire::Image => Some(Cell::Binary(Cow::Borrowed(body))),
    };
    found.map(Some).ok_or_else(|| odd(body.len()))
}

fn days(body: &[u8]) -> Option<u32> {
    match *body {
        [a, b, c] => Some(u32::from_le_bytes([a, b, c, 0])),
        _ => None,
    }
}

/// Increments since midnight; their bytes follow from the scale.
fn clock(body: &[u8], scale: u8) -> Option<u64> {
    let bytes = match scale {
        0..=2 => 3,
        3..=4 => 4,
        5..=7 => 5,
        _ => return None,
    };
    (body.len() == bytes).then(|| little(body) as u64)
}

/// The bytes of a cell, without their length; the inner `None` is NULL, the outer one that they are not all there yet.
#[inline]
fn body<'a>(wire: Wire, bytes: &mut Bytes<'a>) -> Result<Option<Option<Cow<'a, [u8]>>>, Fault> {
    let taken = |taken: Option<&'a [u8]>| Ok(taken.map(|body| Some(Cow::Borrowed(body))));
    match wire {
        Wire::Fixed(length) | Wire::FixedFloat(length) | Wire::FixedDateTime(length) | Wire::FixedMoney(length) => {
            taken(bytes.take(usize::from(length)))
        }
        Wire::FixedBit => taken(bytes.take(1)),
        Wire::Whole
        | Wire::Bit
        | Wire::Float
        | Wire::DateTime
        | Wire::Money
        | Wire::Guid
        | Wire::Decimal(_)
        | Wire::Date
        | Wire::Time(_)
        | Wire::DateTime2(_)
        | Wire::DateTimeOffset(_) => match bytes.u8() {
            None => Ok(None),
            Some(0) => Ok(Some(None)),
            Some(length) => taken(bytes.take(usize::from(length))),
        },
        Wire::Text(_) | Wire::Binary => match bytes.u16() {
            None => Ok(None),
            Some(u16::MAX) => Ok(Some(None)),
            Some(length) => taken(bytes.take(usize::from(length))),
        },
        Wire::OldText(_) | Wire::Image => {
            let Some(pointer) = bytes.u8() else { return Ok(None) };
            if pointer == 0 {
                return Ok(Some(None));
            }
            // The pointer and a time stamp.
            if bytes.take(usize::from(pointer) + 8).is_none() {
                return Ok(None);
            }
            match bytes.u32() {
                None => Ok(None),
                Some(u32::MAX) => Ok(Some(None)),
                Some(length) => taken(bytes.take(length as usize)),
            }
        }
        Wire::LongText(_) | Wire::LongBinary | Wire::Xml => pieces(bytes),
    }
}

/// A value in pieces, each behind its length, the last of length 0. Most have one piece, which stays where it lies.
fn pieces<'a>(bytes: &mut Bytes<'a>) -> Result<Option<Option<Cow<'a, [u8]>>>, Fault> {
    /// As the whole length: the value is NULL.
    const NULL: u64 = u64::MAX;
    /// The length is not known before the end.
    const UNKNOWN: u64 = u64::MAX - 1;
    let Some(whole) = bytes.u64() else { return Ok(None) };
    if whole == NULL {
        return Ok(Some(None));
    }
    // All of it is there, or it is not looked at piece by piece each time that more comes.
    if whole != UNKNOWN && usize::try_from(whole).is_ok_and(|whole| bytes.len() < whole) {
        return Ok(None);
    }
    let mut value = Cow::Borrowed(&[] as &[u8]);
    loop {
        let Some(length) = bytes.u32() else { return Ok(None) };
        if length == 0 {
            break;
        }
        let Some(piece) = bytes.take(length as usize) else { return Ok(None) };
        if value.is_empty() {
            value = Cow::Borrowed(piece);
        } else {
            value.to_mut().extend_from_slice(piece);
        }
    }
    if whole != UNKNOWN && whole != value.len() as u64 {
        return Err(Fault::protocol(format!("a cell of {whole} bytes has {} bytes", value.len())));
    }
    Ok(Some(Some(value)))
}
