//! Cells of the wire into columns.

use tiberius::time::{Date, DateTime, DateTime2, DateTimeOffset, SmallDateTime, Time};

use super::cell::{Cell, Letters};
use super::text;
use crate::column::{Column, Ends, Values};
use crate::mssql::clock;
use crate::mssql::decode::{Misfit, Taken, rescaled};

/// Why a cell is not taken.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// It is of another type than the column.
    Misfit(Misfit),
    /// It cannot be read; its place holds a NULL now.
    Unreadable(String),
}

/// Puts a cell into a column; gives how many bytes it has.
#[inline]
pub(super) fn put(column: &mut Column, cell: &Cell<'_>) -> Result<(usize, Taken), Refusal> {
    if *cell == Cell::Null {
        column.take_null();
        return Ok((8, Taken::Whole));
    }
    let taken = append(&mut column.values, cell);
    match &taken {
        Ok(_) => column.taken(),
        Err(Refusal::Unreadable(_)) => column.take_null(),
        Err(Refusal::Misfit(_)) => {}
    }
    taken
}

#[inline]
fn append(values: &mut Values, cell: &Cell<'_>) -> Result<(usize, Taken), Refusal> {
    let misfit = || Refusal::Misfit(Misfit { came: kind(cell) });
    let mut taken = Taken::Whole;
    let mut cut = |(value, cut): (i64, bool)| {
        if cut {
            taken = Taken::Cut;
        }
        value
    };
    let mut size = 8;
    match (values, cell) {
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
        (Values::Text(v), Cell::Text(bytes, letters)) => size = append_text(v, bytes, *letters)?,
        (Values::Text(v), Cell::Xml(bytes)) => {
            // XML may come with a byte order mark, which is no part of it.
            size = append_text(v, bytes.strip_prefix(&[0xFF, 0xFE]).unwrap_or(bytes), Letters::Utf16)?;
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

#[inline]
fn append_text(to: &mut Ends, bytes: &[u8], letters: Letters) -> Result<usize, Refusal> {
    match letters {
        Letters::Utf16 => text::push_utf16(bytes, &mut to.bytes),
        Letters::Page(page) => text::push_page(bytes, page, &mut to.bytes),
    }
    .and_then(|()| to.end())
    .map_err(Refusal::Unreadable)
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
