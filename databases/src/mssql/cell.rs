//! A value as a SQL Server sent it, whoever read it off the line, and its way into a column.

use std::borrow::Cow;

use tiberius::time::{Date, DateTime, DateTime2, DateTimeOffset, SmallDateTime, Time};

use super::select::Letters;
use super::{clock, text};
use crate::column::{Column, Ends, Values};

/// A value as it came.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Cell<'a> {
    Null,
    /// `tinyint` to `bigint`, by its bytes.
    Whole(i64, u8),
    Bit(bool),
    Real(f32),
    Double(f64),
    /// In units of the last digit of its scale.
    Decimal(i128, u8),
    /// Days since 1900, and 1/300 seconds of the day.
    DateTime(i32, u32),
    /// Days since 1900, and minutes of the day.
    SmallDateTime(u16, u16),
    /// Days since 0001-01-01.
    Date(u32),
    /// Increments of a scale since midnight.
    Time(u64, u8),
    DateTime2(u32, u64, u8),
    /// The clock of UTC.
    DateTimeOffset(u32, u64, u8),
    Guid([u8; 16]),
    Text(Cow<'a, [u8]>, Letters),
    Xml(Cow<'a, [u8]>, Letters),
    Binary(Cow<'a, [u8]>),
}

/// The cell is not of a type that the column can take: the catalogue is out of date, or the server is a strange one.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Misfit {
    /// What came.
    pub(super) came: &'static str,
}

/// What became of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// It is there to the last digit.
    Whole,
    /// A seventh digit of a second was cut off.
    Cut,
}

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
    if matches!(cell, Cell::Null) {
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
        (Values::Text(v), Cell::Xml(bytes, letters)) => {
            // XML may come with a byte order mark, which is no part of it.
            let mark: &[u8] = if *letters == Letters::Utf16 { &[0xFF, 0xFE] } else { &[0xEF, 0xBB, 0xBF] };
            size = append_text(v, bytes.strip_prefix(mark).unwrap_or(bytes), *letters)?;
        }
        (Values::Text(v), Cell::Guid(bytes)) => size = append_guid(v, *bytes)?,
        (Values::Bytes(v), Cell::Binary(bytes)) => {
            v.bytes.extend_from_slice(bytes);
            size = v.end().map_err(Refusal::Unreadable)?;
        }
        _ => return Err(misfit()),
    }
    Ok((size, taken))
}

/// Appends an identifier, whose bytes the server has in an order of its own.
#[inline]
pub(super) fn append_guid(to: &mut Ends, bytes: [u8; 16]) -> Result<usize, Refusal> {
    to.uuid(uuid::Uuid::from_bytes_le(bytes)).map_err(Refusal::Unreadable)
}

/// Appends a text; what of one that cannot be read is there by then is the caller's to take back.
#[inline]
pub(super) fn append_text(to: &mut Ends, bytes: &[u8], letters: Letters) -> Result<usize, Refusal> {
    match letters {
        Letters::Utf16 => text::push_utf16(bytes, &mut to.bytes),
        Letters::CodePage(page) => text::push_page(bytes, page, &mut to.bytes),
    }
    .and_then(|()| to.end())
    .map_err(Refusal::Unreadable)
}

/// A decimal of one scale in units of the last digit of another, if nothing is lost by that.
#[inline]
fn rescaled(value: i128, from: i32, scale: i8) -> Option<i128> {
    let shift = i32::from(scale) - from;
    if shift == 0 {
        return Some(value);
    }
    let power = 10_i128.checked_pow(shift.unsigned_abs())?;
    if shift >= 0 { value.checked_mul(power) } else { (value % power == 0).then(|| value / power) }
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
        Cell::Xml(..) => "xml",
        Cell::Binary(_) => "binary",
    }
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::DataType as ArrowType;

    use super::*;

    #[test]
    fn decimals_are_exact_or_refused() {
        let large = -12_345_678_901_234_567_890_123_456_780_123_456_789;
        assert_eq!(rescaled(large, 10, 10), Some(large));
        assert_eq!(rescaled(15, 1, 4), Some(15_000));
        assert_eq!(rescaled(15_000, 4, 1), Some(15));
        assert_eq!(rescaled(15_001, 4, 1), None);
        assert_eq!(rescaled(i128::MAX, 0, 4), None);
        assert_eq!(rescaled(-3, 0, 2), Some(-300));
        assert_eq!(rescaled(1, 0, 100), None);
    }

    #[test]
    fn a_cell_of_another_type_is_refused() {
        let mut small = Column::new(&ArrowType::Int16, 1);
        assert_eq!(put(&mut small, &Cell::Whole(7, 4)), Ok((8, Taken::Whole)));
        assert_eq!(put(&mut small, &Cell::Whole(70_000, 4)), Err(Refusal::Misfit(Misfit { came: "int" })));
        let text = Cell::Text(Cow::Borrowed(b"7"), Letters::CodePage(encoding_rs::UTF_8));
        assert_eq!(put(&mut small, &text), Err(Refusal::Misfit(Misfit { came: "text" })));
        assert_eq!(put(&mut small, &Cell::Null), Ok((8, Taken::Whole)));
        assert_eq!(small.finish().unwrap().len(), 2);
    }

    #[test]
    fn the_mark_of_a_document_is_no_part_of_it_and_that_of_a_text_is() {
        let utf8 = Letters::CodePage(encoding_rs::UTF_8);
        let (wide, narrow) = (Cow::Borrowed(&b"\xFF\xFE<\0"[..]), Cow::Borrowed("\u{FEFF}<".as_bytes()));
        let mut texts = Column::new(&ArrowType::Utf8, 4);
        for cell in [
            Cell::Xml(wide.clone(), Letters::Utf16),
            Cell::Xml(narrow.clone(), utf8),
            Cell::Text(wide, Letters::Utf16),
            Cell::Text(narrow, utf8),
        ] {
            put(&mut texts, &cell).unwrap();
        }
        let rows: Vec<String> = (0..4).map(|row| texts.text(row)).collect();
        assert_eq!(rows, ["<", "<", "\u{FEFF}<", "\u{FEFF}<"]);
    }
}
