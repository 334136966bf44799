//! From tiberius' cells to Arrow.

use arrow::datatypes::{DataType as ArrowType, TimeUnit};
use encoding_rs::Encoding;
use imis_schemas::{DataType, Table};
use tiberius::ColumnData;

use super::clock;
use super::select::Letters;
use crate::error::{Error, ErrorKind};
use crate::gather::Gatherer;

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

impl Gatherer {
    /// Takes a cell.
    pub(super) fn take(&mut self, cell: &ColumnData<'_>) -> Result<Taken, Misfit> {
        let misfit = Misfit { came: kind(cell) };
        if is_null(cell) {
            self.take_null();
            return Ok(Taken::Whole);
        }
        let mut taken = Taken::Whole;
        let mut cut = |(value, cut): (i64, bool)| {
            if cut {
                taken = Taken::Cut;
            }
            value
        };
        match (self, cell) {
            (Gatherer::Boolean(b), ColumnData::Bit(v)) => b.append_option(*v),
            (Gatherer::UInt8(b), cell) => b.append_value(whole(cell).ok_or(misfit)?),
            (Gatherer::Int16(b), cell) => b.append_value(whole(cell).ok_or(misfit)?),
            (Gatherer::Int32(b), cell) => b.append_value(whole(cell).ok_or(misfit)?),
            (Gatherer::Int64(b), cell) => b.append_value(whole(cell).ok_or(misfit)?),
            (Gatherer::Decimal(b, scale), cell) => b.append_value(decimal(cell, *scale).ok_or(misfit)?),
            (Gatherer::Float32(b), ColumnData::F32(v)) => b.append_option(*v),
            (Gatherer::Float64(b), ColumnData::F64(v)) => b.append_option(*v),
            (Gatherer::Float64(b), ColumnData::F32(v)) => b.append_option(v.map(f64::from)),
            (Gatherer::Date(b), ColumnData::Date(v)) => b.append_value(v.and_then(clock::days).ok_or(misfit)?),
            (Gatherer::Time(b), ColumnData::Time(v)) => {
                b.append_value(v.and_then(clock::time).map(&mut cut).ok_or(misfit)?);
            }
            (Gatherer::Wall(b), ColumnData::DateTime(v)) => {
                b.append_value(v.and_then(clock::datetime).ok_or(misfit)?);
            }
            (Gatherer::Wall(b), ColumnData::SmallDateTime(v)) => b.append_option(v.map(clock::smalldatetime)),
            (Gatherer::Wall(b), ColumnData::DateTime2(v)) => {
                b.append_value(v.and_then(clock::datetime2).map(&mut cut).ok_or(misfit)?);
            }
            (Gatherer::Instant(b), ColumnData::DateTimeOffset(v)) => {
                b.append_value(v.and_then(clock::datetimeoffset).map(&mut cut).ok_or(misfit)?);
            }
            (Gatherer::Text(b), ColumnData::String(Some(v))) => b.append_value(v),
            (Gatherer::Text(b), ColumnData::Xml(Some(v))) => b.append_value(without_mark(v.as_ref().as_ref())),
            (Gatherer::Text(b), ColumnData::Guid(Some(v))) => {
                b.append_value(v.hyphenated().encode_lower(&mut [0; 36]));
            }
            (Gatherer::Bytes(b), ColumnData::Binary(Some(v))) => b.append_value(v),
            _ => return Err(misfit),
        }
        Ok(taken)
    }

    /// Takes a text that was decoded here.
    pub(super) fn take_text(&mut self, text: &str) -> Result<Taken, Misfit> {
        match self {
            Gatherer::Text(b) => b.append_value(without_mark(text)),
            _ => return Err(Misfit { came: "text" }),
        }
        Ok(Taken::Whole)
    }
}

/// A column has a type that no column can have.
pub(super) fn no_type(table: &Table, column: &str, data_type: &DataType) -> Error {
    let place = format!("{}.{column}", table.table_name());
    Error::new(ErrorKind::Schema, format!("{place} has a type that cannot be: {data_type}"))
}

/// A column has values of another type than its catalogue says.
pub(super) fn misfit(table: &Table, column: &str, came: &str) -> Error {
    let said = table.column(column).map_or("", |c| c.data_type.as_str());
    let table = table.table_name();
    Error::new(ErrorKind::Schema, format!("{table}.{column} came as {came}; the catalogue says {said}"))
        .with_help("The schema was changed since it was read; start again.")
}

/// How many bytes a cell takes in a batch, near enough.
pub(super) fn size(cell: &ColumnData<'_>) -> usize {
    match cell {
        ColumnData::String(Some(text)) => text.len(),
        ColumnData::Xml(Some(text)) => text.as_ref().as_ref().len(),
        ColumnData::Binary(Some(bytes)) => bytes.len(),
        ColumnData::Guid(_) => 36,
        ColumnData::Numeric(_) => 16,
        _ => 8,
    }
}

/// A whole number, if the cell is one and fits.
pub(super) fn whole<T: TryFrom<i64>>(cell: &ColumnData<'_>) -> Option<T> {
    let value = match cell {
        ColumnData::U8(v) => (*v)?.into(),
        ColumnData::I16(v) => (*v)?.into(),
        ColumnData::I32(v) => (*v)?.into(),
        ColumnData::I64(v) => (*v)?,
        _ => return None,
    };
    T::try_from(value).ok()
}

/// A decimal in units of the last digit of the column's scale, if nothing is lost by that.
fn decimal(cell: &ColumnData<'_>, scale: i8) -> Option<i128> {
    let (value, from) = match cell {
        ColumnData::Numeric(Some(number)) => (number.value(), i32::from(number.scale())),
        other => (whole::<i64>(other)?.into(), 0),
    };
    rescaled(value, from, scale)
}

/// A decimal of one scale in units of the last digit of another, if nothing is lost by that.
#[inline]
pub(super) fn rescaled(value: i128, from: i32, scale: i8) -> Option<i128> {
    let shift = i32::from(scale) - from;
    if shift == 0 {
        return Some(value);
    }
    let power = 10_i128.checked_pow(shift.unsigned_abs())?;
    if shift >= 0 { value.checked_mul(power) } else { (value % power == 0).then(|| value / power) }
}

/// Decodes the bytes of a text. XML may come with a byte order mark, which is no part of it.
///
/// # Errors
/// Says why they are no text.
pub(super) fn text(bytes: &[u8], letters: Letters) -> Result<String, String> {
    match letters {
        Letters::Utf16 if !bytes.len().is_multiple_of(2) => {
            Err("the text ends in the middle of a UTF-16 unit".to_owned())
        }
        Letters::Utf16 => {
            let units = bytes.chunks_exact(2).map(|pair| match pair {
                [low, high] => u16::from_le_bytes([*low, *high]),
                _ => 0,
            });
            char::decode_utf16(units).collect::<Result<String, _>>().map_err(|e| {
                format!("the text is not valid UTF-16: half a surrogate pair (0x{:04X})", e.unpaired_surrogate())
            })
        }
        Letters::CodePage(page) => page
            .decode_without_bom_handling_and_without_replacement(bytes)
            .map(std::borrow::Cow::into_owned)
            .ok_or_else(|| format!("the text holds bytes that the code page {} does not have", page.name())),
    }
}

/// The encoding of a Windows code page, as far as it is the same in the world of the web.
pub(super) fn code_page(number: i64) -> Option<&'static Encoding> {
    Some(match number {
        874 => encoding_rs::WINDOWS_874,
        932 => encoding_rs::SHIFT_JIS,
        936 => encoding_rs::GB18030,
        949 => encoding_rs::EUC_KR,
        950 => encoding_rs::BIG5,
        1250 => encoding_rs::WINDOWS_1250,
        1251 => encoding_rs::WINDOWS_1251,
        1252 => encoding_rs::WINDOWS_1252,
        1253 => encoding_rs::WINDOWS_1253,
        1254 => encoding_rs::WINDOWS_1254,
        1255 => encoding_rs::WINDOWS_1255,
        1256 => encoding_rs::WINDOWS_1256,
        1257 => encoding_rs::WINDOWS_1257,
        1258 => encoding_rs::WINDOWS_1258,
        65_001 => encoding_rs::UTF_8,
        _ => return None,
    })
}

/// A cell of a key, as people write it.
pub(super) fn key_text(cell: &ColumnData<'_>, letters: Option<Letters>) -> String {
    match (cell, letters) {
        (ColumnData::Binary(Some(bytes)), Some(letters)) => {
            text(bytes, letters).unwrap_or_else(|_| format!("0x{}", hex(bytes)))
        }
        (ColumnData::Binary(Some(bytes)), None) => format!("0x{}", hex(bytes)),
        (ColumnData::String(Some(text)), _) => text.to_string(),
        (ColumnData::Guid(Some(id)), _) => id.hyphenated().to_string(),
        (ColumnData::Bit(Some(bit)), _) => u8::from(*bit).to_string(),
        (ColumnData::F32(Some(v)), _) => v.to_string(),
        (ColumnData::F64(Some(v)), _) => v.to_string(),
        (cell, _) if is_null(cell) => "NULL".to_owned(),
        (cell, _) => match whole::<i64>(cell) {
            Some(number) => number.to_string(),
            None => shown(cell),
        },
    }
}

/// A date, a time or a decimal as Arrow shows it.
fn shown(cell: &ColumnData<'_>) -> String {
    let wall = ArrowType::Timestamp(TimeUnit::Microsecond, None);
    let arrow = match cell {
        ColumnData::Numeric(Some(n)) => ArrowType::Decimal128(38, i8::try_from(n.scale()).unwrap_or(0)),
        ColumnData::Date(_) => ArrowType::Date32,
        ColumnData::Time(_) => ArrowType::Time64(TimeUnit::Microsecond),
        ColumnData::DateTimeOffset(_) => ArrowType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        _ => wall,
    };
    let array = Gatherer::new(&arrow, 1).ok().and_then(|mut g| g.take(cell).ok().map(|_| g.finish()));
    array.and_then(|a| arrow::util::display::array_value_to_string(&a, 0).ok()).unwrap_or_else(|| "?".to_owned())
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02X}")).collect()
}

fn without_mark(text: &str) -> &str {
    text.strip_prefix('\u{FEFF}').unwrap_or(text)
}

pub(super) fn is_null(cell: &ColumnData<'_>) -> bool {
    match cell {
        ColumnData::U8(v) => v.is_none(),
        ColumnData::I16(v) => v.is_none(),
        ColumnData::I32(v) => v.is_none(),
        ColumnData::I64(v) => v.is_none(),
        ColumnData::F32(v) => v.is_none(),
        ColumnData::F64(v) => v.is_none(),
        ColumnData::Bit(v) => v.is_none(),
        ColumnData::String(v) => v.is_none(),
        ColumnData::Guid(v) => v.is_none(),
        ColumnData::Binary(v) => v.is_none(),
        ColumnData::Numeric(v) => v.is_none(),
        ColumnData::Xml(v) => v.is_none(),
        ColumnData::DateTime(v) => v.is_none(),
        ColumnData::SmallDateTime(v) => v.is_none(),
        ColumnData::Time(v) => v.is_none(),
        ColumnData::Date(v) => v.is_none(),
        ColumnData::DateTime2(v) => v.is_none(),
        ColumnData::DateTimeOffset(v) => v.is_none(),
    }
}

fn kind(cell: &ColumnData<'_>) -> &'static str {
    match cell {
        ColumnData::U8(_) => "tinyint",
        ColumnData::I16(_) => "smallint",
        ColumnData::I32(_) => "int",
        ColumnData::I64(_) => "bigint",
        ColumnData::F32(_) => "real",
        ColumnData::F64(_) => "float",
        ColumnData::Bit(_) => "bit",
        ColumnData::String(_) => "text",
        ColumnData::Guid(_) => "uniqueidentifier",
        ColumnData::Binary(_) => "binary",
        ColumnData::Numeric(_) => "decimal",
        ColumnData::Xml(_) => "xml",
        ColumnData::DateTime(_) => "datetime",
        ColumnData::SmallDateTime(_) => "smalldatetime",
        ColumnData::Time(_) => "time",
        ColumnData::Date(_) => "date",
        ColumnData::DateTime2(_) => "datetime2",
        ColumnData::DateTimeOffset(_) => "datetimeoffset",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use tiberius::numeric::Numeric;

    #[test]
    fn bytes_of_texts() {
        let utf16 = |units: &[u16]| units.iter().flat_map(|u| u.to_le_bytes()).collect::<Vec<_>>();
        assert_eq!(text(&utf16(&[0x928, 0xD83D, 0xDE00]), Letters::Utf16).as_deref(), Ok("न😀"));
        assert_eq!(text(b"", Letters::Utf16).as_deref(), Ok(""));
        assert!(text(&utf16(&[0x41, 0xD83D]), Letters::Utf16).unwrap_err().contains("0xD83D"));
        assert!(text(b"abc", Letters::Utf16).is_err());
        let page = |number| Letters::CodePage(code_page(number).unwrap());
        assert_eq!(text(b"\xCA\xE1", page(1253)).as_deref(), Ok("Κα"));
        assert_eq!(text(b"\x80\x81", page(1252)).as_deref(), Ok("€\u{81}"));
        assert!(text(b"\xFF", page(1253)).unwrap_err().contains("windows-1253"));
        assert_eq!(code_page(850), None);
    }

    #[test]
    fn decimals_are_exact_or_refused() {
        let cell = |value, scale| ColumnData::Numeric(Some(Numeric::new_with_scale(value, scale)));
        assert_eq!(
            decimal(&cell(-12_345_678_901_234_567_890_123_456_780_123_456_789, 10), 10),
            Some(-12_345_678_901_234_567_890_123_456_780_123_456_789)
        );
        assert_eq!(decimal(&cell(15, 1), 4), Some(15_000));
        assert_eq!(decimal(&cell(15_000, 4), 1), Some(15));
        assert_eq!(decimal(&cell(15_001, 4), 1), None);
        assert_eq!(decimal(&cell(i128::MAX, 0), 4), None);
        assert_eq!(decimal(&ColumnData::I32(Some(-3)), 2), Some(-300));
    }

    #[test]
    fn a_cell_of_another_type_is_refused() {
        let mut small = Gatherer::new(&ArrowType::Int16, 1).unwrap();
        assert_eq!(small.take(&ColumnData::I32(Some(7))), Ok(Taken::Whole));
        assert_eq!(small.take(&ColumnData::I32(Some(70_000))), Err(Misfit { came: "int" }));
        assert_eq!(small.take(&ColumnData::String(Some("7".into()))), Err(Misfit { came: "text" }));
        assert_eq!(small.take(&ColumnData::String(None)), Ok(Taken::Whole));
        assert_eq!(small.finish().len(), 2);
    }

    proptest! {
        #[test]
        fn every_text_comes_back(value in "\\PC{0,20}") {
            let bytes = value.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>();
            prop_assert_eq!(text(&bytes, Letters::Utf16), Ok(value));
        }
    }
}
