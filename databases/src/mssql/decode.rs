//! What tiberius makes of cells, and what is said of columns whoever reads them.

use std::borrow::Cow;

use encoding_rs::Encoding;
use imis_schemas::{DataType, Table};
use tiberius::ColumnData;

use super::cell::Cell;
use super::select::Letters;
use crate::error::{Error, ErrorKind};

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

/// Bytes as people write them, without the mark before them.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02X}")).collect()
}

/// What tiberius made of a cell. `letters` are those of a text that came as bytes; `is_xml` says whether a text is a document.
pub(super) fn cell<'a>(data: &'a ColumnData<'_>, letters: Option<Letters>, is_xml: bool) -> Cell<'a> {
    fn text<'a>(bytes: &'a [u8], letters: Letters, is_xml: bool) -> Cell<'a> {
        let bytes = Cow::Borrowed(bytes);
        if is_xml { Cell::Xml(bytes, letters) } else { Cell::Text(bytes, letters) }
    }
    const UTF8: Letters = Letters::CodePage(encoding_rs::UTF_8);
    let found = match data {
        ColumnData::U8(v) => v.map(|v| Cell::Whole(v.into(), 1)),
        ColumnData::I16(v) => v.map(|v| Cell::Whole(v.into(), 2)),
        ColumnData::I32(v) => v.map(|v| Cell::Whole(v.into(), 4)),
        ColumnData::I64(v) => v.map(|v| Cell::Whole(v, 8)),
        ColumnData::F32(v) => v.map(Cell::Real),
        ColumnData::F64(v) => v.map(Cell::Double),
        ColumnData::Bit(v) => v.map(Cell::Bit),
        ColumnData::Numeric(v) => v.map(|v| Cell::Decimal(v.value(), v.scale())),
        ColumnData::Guid(v) => v.map(|v| Cell::Guid(v.to_bytes_le())),
        ColumnData::Date(v) => v.map(|v| Cell::Date(v.days())),
        ColumnData::Time(v) => v.map(|v| Cell::Time(v.increments(), v.scale())),
        ColumnData::DateTime(v) => v.map(|v| Cell::DateTime(v.days(), v.seconds_fragments())),
        ColumnData::SmallDateTime(v) => v.map(|v| Cell::SmallDateTime(v.days(), v.seconds_fragments())),
        ColumnData::DateTime2(v) => {
            v.map(|v| Cell::DateTime2(v.date().days(), v.time().increments(), v.time().scale()))
        }
        ColumnData::DateTimeOffset(v) => v.map(|v| {
            let v = v.datetime2();
            Cell::DateTimeOffset(v.date().days(), v.time().increments(), v.time().scale())
        }),
        ColumnData::String(v) => v.as_ref().map(|v| text(v.as_bytes(), UTF8, is_xml)),
        ColumnData::Xml(v) => v.as_ref().map(|v| text(v.as_ref().as_ref().as_bytes(), UTF8, true)),
        ColumnData::Binary(v) => v.as_ref().map(|v| match letters {
            Some(letters) => text(v, letters, is_xml),
            None => Cell::Binary(Cow::Borrowed(v)),
        }),
    };
    found.unwrap_or(Cell::Null)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_pages_by_their_numbers() {
        assert_eq!(code_page(1253), Some(encoding_rs::WINDOWS_1253));
        assert_eq!(code_page(65_001), Some(encoding_rs::UTF_8));
        assert_eq!(code_page(850), None);
    }
}
