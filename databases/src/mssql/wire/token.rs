//! The tokens of an answer, but for rows (MS-TDS, 2.2.7).

use tiberius::Collation;

use super::bytes::Bytes;
use super::cell::Wire;
use crate::mssql::fault::{Fault, ServerError};
use crate::mssql::select::Letters;

pub(super) const COLMETADATA: u8 = 0x81;
pub(super) const ROW: u8 = 0xD1;
pub(super) const NBCROW: u8 = 0xD2;
const ERROR: u8 = 0xAA;
const ENVCHANGE: u8 = 0xE3;
const DONE: [u8; 3] = [0xFD, 0xFE, 0xFF];
const RETURNSTATUS: u8 = 0x79;
const SESSIONSTATE: u8 = 0xE4;
/// Tokens whose length stands before them and that say nothing to us: TABNAME, COLINFO, ORDER, INFO, LOGINACK, and ENVCHANGE.
const PASSED_OVER: [u8; 6] = [0xA4, 0xA5, 0xA9, 0xAB, 0xAD, ENVCHANGE];

/// A token that is no row.
#[derive(Debug)]
pub(super) enum Token {
    /// The columns of the rows that follow.
    Columns(Vec<Wire>),
    /// The server failed.
    Failed(ServerError),
    /// The end of a part of the answer.
    Done(Done),
    /// It says nothing to us.
    Other,
}

/// How a part of an answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Done {
    /// It is the last part.
    Last,
    /// Another one comes.
    More,
    /// The statement failed, or its rows are to be thrown away.
    Failed,
}

/// Why columns cannot be read here.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Unknown;

/// Reads a token behind its kind; `None` where it is not all there yet.
///
/// # Errors
/// When there is no such token; [`Token::Columns`] with a type that is not known here gives [`Unknown`].
pub(super) fn token(kind: u8, bytes: &mut Bytes<'_>) -> Result<Option<Result<Token, Unknown>>, Fault> {
    let passed = |read: Option<&[u8]>| Ok(read.map(|_| Ok(Token::Other)));
    match kind {
        COLMETADATA => columns(bytes),
        ERROR => Ok(error(bytes).map(|error| Ok(Token::Failed(error)))),
        kind if DONE.contains(&kind) => {
            let status = bytes.array::<12>().map(|[low, high, ..]| u16::from_le_bytes([low, high]));
            Ok(status.map(|status| Ok(Token::Done(done(status)))))
        }
        RETURNSTATUS => passed(bytes.take(4)),
        SESSIONSTATE => passed(bytes.u32().and_then(|length| bytes.take(length as usize))),
        kind if PASSED_OVER.contains(&kind) => passed(bytes.u16().and_then(|length| bytes.take(usize::from(length)))),
        kind => Err(Fault::protocol(format!("there is no token 0x{kind:02X} in an answer"))),
    }
}

fn done(status: u16) -> Done {
    const MORE: u16 = 0x1;
    const FAILED: u16 = 0x2 | 0x100;
    match status {
        status if status & FAILED != 0 => Done::Failed,
        status if status & MORE != 0 => Done::More,
        _ => Done::Last,
    }
}

fn error(bytes: &mut Bytes<'_>) -> Option<ServerError> {
    let length = bytes.u16()?;
    let mut body = Bytes(bytes.take(usize::from(length))?);
    let mut read = || {
        let code = body.u32()?;
        let _state = body.u8()?;
        let class = body.u8()?;
        let units = body.u16()?;
        Some(ServerError { code, class, message: body.text(usize::from(units))? })
    };
    // What is cut off is an error all the same.
    Some(read().unwrap_or_else(|| ServerError { code: 0, class: 16, message: "an error without a text".to_owned() }))
}

/// COLMETADATA.
fn columns(bytes: &mut Bytes<'_>) -> Result<Option<Result<Token, Unknown>>, Fault> {
    let Some(count) = bytes.u16() else { return Ok(None) };
    // Nothing comes that has columns.
    if count == u16::MAX {
        return Ok(Some(Ok(Token::Other)));
    }
    let mut columns = Vec::new();
    for _ in 0..count {
        match column(bytes) {
            None => return Ok(None),
            Some(Err(unknown)) => return Ok(Some(Err(unknown))),
            Some(Ok(wire)) => columns.push(wire),
        }
    }
    Ok(Some(Ok(Token::Columns(columns))))
}

fn column(bytes: &mut Bytes<'_>) -> Option<Result<Wire, Unknown>> {
    let (_user_type, _flags) = (bytes.u32()?, bytes.u16()?);
    let kind = bytes.u8()?;
    let wire = match kind {
        0x30 => Wire::Fixed(1),
        0x32 => Wire::FixedBit,
        0x34 => Wire::Fixed(2),
        0x38 => Wire::Fixed(4),
        0x7F => Wire::Fixed(8),
        0x3B => Wire::FixedFloat(4),
        0x3E => Wire::FixedFloat(8),
        0x3A => Wire::FixedDateTime(4),
        0x3D => Wire::FixedDateTime(8),
        0x7A => Wire::FixedMoney(4),
        0x3C => Wire::FixedMoney(8),
        0x24 | 0x26 | 0x68 | 0x6D | 0x6E | 0x6F => {
            let _most = bytes.u8()?;
            match kind {
                0x24 => Wire::Guid,
                0x26 => Wire::Whole,
                0x68 => Wire::Bit,
                0x6D => Wire::Float,
                0x6E => Wire::Money,
                _ => Wire::DateTime,
            }
        }
        0x28 => Wire::Date,
        0x29 => Wire::Time(bytes.u8()?),
        0x2A => Wire::DateTime2(bytes.u8()?),
        0x2B => Wire::DateTimeOffset(bytes.u8()?),
        0x6A | 0x6C => {
            let (_length, _precision) = (bytes.u8()?, bytes.u8()?);
            Wire::Decimal(bytes.u8()?)
        }
        0xA7 | 0xAF | 0xE7 | 0xEF | 0xA5 | 0xAD => {
            let is_long = bytes.u16()? == u16::MAX;
            let letters = match kind {
                0xA7 | 0xAF => match page(bytes)? {
                    Ok(letters) => Some(letters),
                    Err(unknown) => return Some(Err(unknown)),
                },
                0xE7 | 0xEF => {
                    bytes.take(5)?;
                    Some(Letters::Utf16)
                }
                _ => None,
            };
            match (letters, is_long) {
                (Some(letters), false) => Wire::Text(letters),
                (Some(letters), true) => Wire::LongText(letters),
                (None, false) => Wire::Binary,
                (None, true) => Wire::LongBinary,
            }
        }
        0x22 | 0x23 | 0x63 => {
            let _most = bytes.u32()?;
            let letters = match kind {
                0x23 => match page(bytes)? {
                    Ok(letters) => Some(letters),
                    Err(unknown) => return Some(Err(unknown)),
                },
                0x63 => {
                    bytes.take(5)?;
                    Some(Letters::Utf16)
                }
                _ => None,
            };
            // The table's name, in parts.
            for _ in 0..bytes.u8()? {
                let units = bytes.u16()?;
                bytes.take(usize::from(units) * 2)?;
            }
            letters.map_or(Wire::Image, Wire::OldText)
        }
        0xF1 => {
            if bytes.u8()? != 0 {
                for _ in 0..2 {
                    let units = bytes.u8()?;
                    bytes.take(usize::from(units) * 2)?;
                }
                let units = bytes.u16()?;
                bytes.take(usize::from(units) * 2)?;
            }
            Wire::Xml
        }
        _ => return Some(Err(Unknown)),
    };
    let units = bytes.u8()?;
    bytes.take(usize::from(units) * 2)?;
    Some(Ok(wire))
}

/// What the bytes of a `char` or `varchar` are, by the collation that comes with it.
fn page(bytes: &mut Bytes<'_>) -> Option<Result<Letters, Unknown>> {
    /// The mark of the collations that keep UTF-8.
    const UTF8: u32 = 1 << 26;
    let info = bytes.u32()?;
    let sort_id = bytes.u8()?;
    if info & UTF8 != 0 {
        return Some(Ok(Letters::CodePage(encoding_rs::UTF_8)));
    }
    let page = Collation::new(info, sort_id).encoding().ok();
    // Languages without a code page: no column of such a collation has one.
    Some(page.filter(|page| *page != encoding_rs::UTF_16LE).map(Letters::CodePage).ok_or(Unknown))
}

/// What a server says of a connection in the answer to a login or to the beginning of a transaction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Environment {
    /// The size of the packets, their header included.
    pub(crate) packet_size: Option<usize>,
    /// By what statements name the transaction that they belong to.
    pub(crate) transaction: Option<u64>,
}

/// Reads the changes of the environment out of an answer. What cannot be understood ends it: nobody is hurt who knows nothing.
pub(super) fn environment(answer: &[u8]) -> Environment {
    let mut found = Environment::default();
    let mut bytes = Bytes(answer);
    while let Some(kind) = bytes.u8() {
        if kind != ENVCHANGE {
            match token(kind, &mut bytes) {
                Ok(Some(Ok(_))) => continue,
                _ => break,
            }
        }
        let Some(length) = bytes.u16() else { break };
        let Some(body) = bytes.take(usize::from(length)) else { break };
        let mut body = Bytes(body);
        match body.u8() {
            Some(4) => {
                let units = body.u8().unwrap_or(0);
                found.packet_size = body.text(usize::from(units)).and_then(|text| text.parse().ok());
            }
            Some(8) if body.u8() == Some(8) => found.transaction = body.u64(),
            _ => {}
        }
    }
    found
}
