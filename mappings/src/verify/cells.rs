//! One encoding of every value of the type table into bytes, for comparing rows of any two databases.
//!
//! It knows nothing of the COPY format, of Parquet or of TDS. Two rows are equal when their bytes are. What has a length of its own
//! stands at a fixed place at the front of the row, so that a column is written in one go; everything else stands behind, in the
//! order of the columns, and says where it ends. docs/verifying.md has the table for readers.
//!
//! | kind | at its place | first byte there |
//! |---|---|---|
//! | truth value | 1 byte | 1 false, 2 true |
//! | number: whole, decimal, money | 10 bytes: digits behind the point (none of them a zero at the end), unscaled value in 8 bytes | 2 |
//! | floating point | 9 bytes: its bits; every NaN is the same one, -0.0 is not 0.0 | 5 |
//! | date | 5 bytes: days since 1970 | 6 |
//! | time of day | 9 bytes: microseconds | 7 |
//! | moment | 9 bytes: microseconds since 1970, UTC | 8 |
//! | UUID | 17 bytes | 11 |
//!
//! A place of zeros is NULL. Where its first byte is 255, the value has no room there and stands behind.
//!
//! | first byte behind | value | then |
//! |---|---|---|
//! | 0 | NULL, where there is no place | |
//! | 3 | number of up to 38 digits | digits behind the point, unscaled value in 16 bytes |
//! | 4 | number of more digits, NaN, infinity | length, its text in the shortest form |
//! | 9 | text | length, UTF-8 |
//! | 10 | bytes | length, bytes |
//! | 12 | jsonb | length, JSON with sorted keys and shortest numbers |

use std::ops::Range;

use arrow::array::{Array, ArrayRef, AsArray, GenericByteArray};
use arrow::buffer::{BooleanBuffer, NullBuffer};
use arrow::datatypes::{
    ArrowPrimitiveType, ByteArrayType, DataType as ArrowType, Date32Type, Decimal128Type, Float32Type, Float64Type,
    Int16Type, Int32Type, Int64Type, Time64MicrosecondType, TimeUnit, TimestampMicrosecondType, UInt8Type,
};
use imis_databases::identifier::parse_uuid;

use super::canonical::{Kind, Plain};
use super::json;

/// The mark of a place whose value stands behind.
const BEHIND: u8 = 255;
/// The widest place.
const WIDEST: usize = 17;

/// How many bytes a value of a kind has at the front of its row; 0 where all of it stands behind.
fn width(kind: Kind) -> usize {
    match kind {
        Kind::Truth => 1,
        Kind::Number => 10,
        Kind::Date => 5,
        Kind::Float | Kind::Time | Kind::Moment => 9,
        Kind::Uuid => WIDEST,
        Kind::Text | Kind::Padded | Kind::Bytes | Kind::Json => 0,
    }
}

/// The bytes of rows, made column by column.
pub(crate) struct Rows<'a> {
    columns: Vec<Cells<'a>>,
    /// Where each column's place begins.
    places: Vec<usize>,
    /// How long the front of a row is.
    front: usize,
}

/// How many rows are written at once: their fronts stay near.
const BLOCK: usize = 128;

impl<'a> Rows<'a> {
    pub(crate) fn new(columns: Vec<Cells<'a>>) -> Self {
        let mut front = 0;
        let mut places = Vec::with_capacity(columns.len());
        for column in &columns {
            places.push(front);
            front += column.width;
        }
        Rows { columns, places, front }
    }

    /// The cells of a column.
    pub(crate) fn column(&self, at: usize) -> Option<&Cells<'a>> {
        self.columns.get(at)
    }

    /// Calls `each` with the bytes of each of so many rows.
    ///
    /// # Errors
    /// What `each` gives.
    pub(crate) fn each<E>(&self, rows: usize, mut each: impl FnMut(usize, &[u8]) -> Result<(), E>) -> Result<(), E> {
        let mut lines = vec![0; BLOCK * self.front];
        let behind: Vec<(&Cells<'a>, usize)> =
            self.columns.iter().zip(self.places.iter().copied()).filter(|(column, _)| column.may_be_behind()).collect();
        let mut bytes = Vec::with_capacity(1024);
        for start in (0..rows).step_by(BLOCK) {
            let block = start..rows.min(start + BLOCK);
            for (column, place) in self.columns.iter().zip(&self.places) {
                column.front(block.clone(), &mut lines, self.front, *place);
            }
            for (at, row) in block.enumerate() {
                let line = lines.get(at * self.front..(at + 1) * self.front).unwrap_or_default();
                bytes.clear();
                bytes.extend_from_slice(line);
                for (column, place) in &behind {
                    let mark = line.get(*place..*place + column.width).and_then(|place| place.first().copied());
                    column.behind(row, mark, &mut bytes);
                }
                each(row, &bytes)?;
            }
        }
        Ok(())
    }
}

/// The cells of one column of a batch, ready to be encoded. What a cell costs is paid for every cell of both sides, so arrays
/// are taken apart into plain slices once a batch.
pub(crate) struct Cells<'a> {
    nulls: Option<&'a NullBuffer>,
    values: Values<'a>,
    width: usize,
}

enum Values<'a> {
    Truth(&'a BooleanBuffer),
    TruthText(Texts<'a>),
    UInt8(&'a [u8]),
    Int16(&'a [i16]),
    Int32(&'a [i32]),
    Int64(&'a [i64]),
    Decimal(&'a [i128], u8),
    NumberText(Texts<'a>),
    Float32(&'a [f32]),
    Float64(&'a [f64]),
    Date(&'a [i32]),
    Time(&'a [i64]),
    Moment(&'a [i64]),
    /// Text or bytes, behind this mark.
    Block(u8, Texts<'a>),
    Padded(Texts<'a>),
    Uuid(Texts<'a>),
    Json(Texts<'a>),
    Null,
}

/// Values of different lengths.
#[derive(Clone, Copy)]
struct Texts<'a> {
    offsets: &'a [i32],
    bytes: &'a [u8],
}

impl<'a> Texts<'a> {
    fn new<T: ByteArrayType<Offset = i32>>(array: &'a GenericByteArray<T>) -> Self {
        Texts { offsets: array.value_offsets(), bytes: array.value_data() }
    }

    #[inline]
    fn bytes(&self, row: usize) -> &'a [u8] {
        match self.offsets.get(row..row + 2) {
            Some([from, to]) => self.bytes.get(*from as usize..*to as usize).unwrap_or_default(),
            _ => &[],
        }
    }

    /// The value of an array of texts.
    fn text(&self, row: usize) -> &'a str {
        std::str::from_utf8(self.bytes(row)).unwrap_or_default()
    }
}

impl<'a> Cells<'a> {
    /// The cells of an array as values of a kind; `None` when the array holds none such.
    pub(crate) fn new(array: &'a ArrayRef, kind: Kind) -> Option<Self> {
        use ArrowType as A;
        fn plain<T: ArrowPrimitiveType>(array: &ArrayRef) -> Option<&[T::Native]> {
            array.as_primitive_opt::<T>().map(|array| &array.values()[..])
        }
        let texts = || array.as_string_opt::<i32>().map(Texts::new);
        let values = match (kind, array.data_type()) {
            (_, A::Null) => Values::Null,
            (Kind::Truth, A::Boolean) => Values::Truth(array.as_boolean_opt()?.values()),
            (Kind::Truth, A::Utf8) => Values::TruthText(texts()?),
            (Kind::Number, A::UInt8) => Values::UInt8(plain::<UInt8Type>(array)?),
            (Kind::Number, A::Int16) => Values::Int16(plain::<Int16Type>(array)?),
            (Kind::Number, A::Int32) => Values::Int32(plain::<Int32Type>(array)?),
            (Kind::Number, A::Int64) => Values::Int64(plain::<Int64Type>(array)?),
            (Kind::Number, A::Decimal128(_, scale)) => {
                Values::Decimal(plain::<Decimal128Type>(array)?, u8::try_from(*scale).ok()?)
            }
            (Kind::Number, A::Utf8) => Values::NumberText(texts()?),
            (Kind::Float, A::Float32) => Values::Float32(plain::<Float32Type>(array)?),
            (Kind::Float, A::Float64) => Values::Float64(plain::<Float64Type>(array)?),
            (Kind::Date, A::Date32) => Values::Date(plain::<Date32Type>(array)?),
            (Kind::Time, A::Time64(TimeUnit::Microsecond)) => Values::Time(plain::<Time64MicrosecondType>(array)?),
            (Kind::Moment, A::Timestamp(TimeUnit::Microsecond, _)) => {
                Values::Moment(plain::<TimestampMicrosecondType>(array)?)
            }
            (Kind::Text, A::Utf8) => Values::Block(9, texts()?),
            (Kind::Padded, A::Utf8) => Values::Padded(texts()?),
            (Kind::Uuid, A::Utf8) => Values::Uuid(texts()?),
            (Kind::Json, A::Utf8) => Values::Json(texts()?),
            (Kind::Bytes, A::Binary) => Values::Block(10, array.as_binary_opt::<i32>().map(Texts::new)?),
            _ => return None,
        };
        Some(Cells { nulls: array.nulls(), values, width: width(kind) })
    }

    /// Appends the bytes of a cell by itself.
    pub(crate) fn put(&self, row: usize, out: &mut Vec<u8>) {
        let mut place = [0; WIDEST];
        let place = place.get_mut(..self.width).unwrap_or_default();
        self.front(row..row + 1, place, self.width, 0);
        out.extend_from_slice(place);
        self.behind(row, place.first().copied(), out);
    }

    /// Whether a value of the column can stand behind.
    fn may_be_behind(&self) -> bool {
        self.width == 0
            || matches!(
                self.values,
                Values::TruthText(_) | Values::Decimal(..) | Values::NumberText(_) | Values::Uuid(_)
            )
    }

    /// Writes the cells of some rows to their places: `at` in each of `lines`, which are `front` long.
    fn front(&self, rows: Range<usize>, lines: &mut [u8], front: usize, at: usize) {
        fn value<T: Copy + Default>(values: &[T], row: usize) -> T {
            values.get(row).copied().unwrap_or_default()
        }
        let places = Places { nulls: self.nulls, rows, lines, front, at };
        match &self.values {
            Values::Truth(a) => places.fill(|row| [1 + u8::from(a.value(row))]),
            Values::TruthText(a) => places.fill(|row| match a.text(row) {
                "0" => [1],
                "1" => [2],
                _ => [BEHIND],
            }),
            Values::UInt8(a) => places.fill(|row| small(i64::from(value(a, row)), 0)),
            Values::Int16(a) => places.fill(|row| small(i64::from(value(a, row)), 0)),
            Values::Int32(a) => places.fill(|row| small(i64::from(value(a, row)), 0)),
            Values::Int64(a) => places.fill(|row| small(value(a, row), 0)),
            Values::Decimal(a, scale) => places.fill(|row| number(&exact(value(a, row), *scale))),
            Values::NumberText(a) => places.fill(|row| number(&of_text(a.text(row)))),
            Values::Float32(a) => places.fill(|row| float(f64::from(value(a, row)))),
            Values::Float64(a) => places.fill(|row| float(value(a, row))),
            Values::Date(a) => places.fill(|row| {
                let [a, b, c, d] = value(a, row).to_le_bytes();
                [6, a, b, c, d]
            }),
            Values::Time(a) => places.fill(|row| marked(7, value(a, row).to_le_bytes())),
            Values::Moment(a) => places.fill(|row| marked(8, value(a, row).to_le_bytes())),
            Values::Uuid(a) => places.fill(|row| {
                let mut place = [0; WIDEST];
                let (mark, rest) = place.split_at_mut(1);
                match parse_uuid(a.bytes(row).trim_ascii()) {
                    Some(uuid) => {
                        mark.fill(11);
                        rest.copy_from_slice(uuid.as_bytes());
                    }
                    None => mark.fill(BEHIND),
                }
                place
            }),
            Values::Null => match self.width {
                0 => {}
                width => places.zero(width),
            },
            Values::Block(..) | Values::Padded(_) | Values::Json(_) => {}
        }
    }

    /// Appends what of a cell does not stand at its place, which begins with this mark.
    #[inline]
    fn behind(&self, row: usize, mark: Option<u8>, out: &mut Vec<u8>) {
        if mark.is_some_and(|mark| mark != BEHIND) {
            return;
        }
        if self.nulls.is_some_and(|nulls| nulls.is_null(row)) {
            out.push(0);
            return;
        }
        match &self.values {
            Values::Block(mark, a) => put_block(*mark, a.bytes(row), out),
            Values::Padded(a) => {
                let bytes = a.bytes(row);
                let length = bytes.iter().rposition(|byte| *byte != b' ').map_or(0, |last| last + 1);
                put_block(9, bytes.get(..length).unwrap_or_default(), out);
            }
            Values::TruthText(a) | Values::Uuid(a) => put_block(9, a.bytes(row), out),
            Values::Decimal(a, scale) => {
                put_number(&exact(a.get(row).copied().unwrap_or_default(), *scale), out);
            }
            Values::NumberText(a) => put_number(&of_text(a.text(row)), out),
            Values::Json(a) => match json::canonical(a.text(row)) {
                Some(text) => put_block(12, &text, out),
                None => put_block(9, a.bytes(row), out),
            },
            _ => out.push(0),
        }
    }
}

/// The places of one column in the fronts of some rows.
struct Places<'a> {
    nulls: Option<&'a NullBuffer>,
    rows: Range<usize>,
    lines: &'a mut [u8],
    front: usize,
    at: usize,
}

impl Places<'_> {
    /// Fills each place; the one of a NULL with zeros.
    #[inline]
    fn fill<const WIDTH: usize>(self, value: impl Fn(usize) -> [u8; WIDTH]) {
        for (line, row) in self.lines.chunks_exact_mut(self.front.max(1)).zip(self.rows) {
            if let Some(place) = line.get_mut(self.at..self.at + WIDTH) {
                let is_null = self.nulls.is_some_and(|nulls| nulls.is_null(row));
                place.copy_from_slice(&if is_null { [0; WIDTH] } else { value(row) });
            }
        }
    }

    fn zero(self, width: usize) {
        for (line, _) in self.lines.chunks_exact_mut(self.front.max(1)).zip(self.rows) {
            line.iter_mut().skip(self.at).take(width).for_each(|byte| *byte = 0);
        }
    }
}

#[inline]
fn marked(mark: u8, [a, b, c, d, e, f, g, h]: [u8; 8]) -> [u8; 9] {
    [mark, a, b, c, d, e, f, g, h]
}

#[inline]
fn small(value: i64, scale: u8) -> [u8; 10] {
    let [a, b, c, d, e, f, g, h] = value.to_le_bytes();
    [2, scale, a, b, c, d, e, f, g, h]
}

fn float(value: f64) -> [u8; 9] {
    let value = if value.is_nan() { f64::NAN } else { value };
    marked(5, value.to_bits().to_le_bytes())
}

#[inline]
fn put_block(mark: u8, bytes: &[u8], out: &mut Vec<u8>) {
    let [a, b, c, d] = (bytes.len() as u32).to_le_bytes();
    out.extend_from_slice(&[mark, a, b, c, d]);
    out.extend_from_slice(bytes);
}

/// A number without zeros at its end.
enum Number {
    Small(i64, u8),
    Large(i128, u8),
    /// More digits than that, or none at all.
    Text(String),
}

#[inline]
fn exact(value: i128, mut scale: u8) -> Number {
    // Money nearly always fits into 64 bits, where dividing is cheap.
    if let Ok(mut small) = i64::try_from(value) {
        while scale > 0 && small % 10 == 0 {
            small /= 10;
            scale -= 1;
        }
        return Number::Small(small, scale);
    }
    let mut large = value;
    while scale > 0 && large % 10 == 0 {
        large /= 10;
        scale -= 1;
    }
    i64::try_from(large).map_or(Number::Large(large, scale), |small| Number::Small(small, scale))
}

fn of_text(text: &str) -> Number {
    let Some(plain) = Plain::parse(text) else {
        // NaN, Infinity, -Infinity.
        return Number::Text(text.trim().to_lowercase());
    };
    match plain.unscaled() {
        Some((value, scale)) => exact(value, scale),
        None => Number::Text(plain.text()),
    }
}

fn number(number: &Number) -> [u8; 10] {
    match number {
        Number::Small(value, scale) => small(*value, *scale),
        _ => [BEHIND, 0, 0, 0, 0, 0, 0, 0, 0, 0],
    }
}

/// A number that has no room at its place.
fn put_number(number: &Number, out: &mut Vec<u8>) {
    match number {
        Number::Small(..) => {}
        Number::Large(value, scale) => {
            out.extend([3, *scale]);
            out.extend(value.to_le_bytes());
        }
        Number::Text(text) => put_block(4, text.as_bytes(), out),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{
        BooleanArray, Decimal128Array, Float32Array, Float64Array, Int64Array, StringArray, TimestampMicrosecondArray,
        UInt8Array,
    };
    use arrow::compute::cast;
    use proptest::prelude::*;

    use super::*;

    fn bytes(array: ArrayRef, kind: Kind) -> Vec<u8> {
        let mut out = Vec::new();
        Cells::new(&array, kind).unwrap().put(0, &mut out);
        out
    }
    fn text(value: &str, kind: Kind) -> Vec<u8> {
        bytes(Arc::new(StringArray::from(vec![value])), kind)
    }
    fn decimal(value: i128, scale: i8) -> Vec<u8> {
        let array = Decimal128Array::from(vec![value]).with_precision_and_scale(38, scale).unwrap();
        bytes(Arc::new(array), Kind::Number)
    }
    fn whole(value: i64) -> Vec<u8> {
        bytes(Arc::new(Int64Array::from(vec![value])), Kind::Number)
    }
    fn double(value: f64) -> Vec<u8> {
        bytes(Arc::new(Float64Array::from(vec![value])), Kind::Float)
    }
    fn moment(value: i64, zone: Option<&str>) -> Vec<u8> {
        let array = TimestampMicrosecondArray::from(vec![value]).with_timezone_opt(zone);
        bytes(Arc::new(array), Kind::Moment)
    }

    #[test]
    fn what_the_two_engines_write_differently_is_equal() {
        let equal = [
            (decimal(110, 2), decimal(11, 1)),
            (decimal(100, 2), whole(1)),
            (decimal(0, 4), whole(0)),
            (decimal(-1_250, 3), text("-1.25", Kind::Number)),
            (text("0001.50", Kind::Number), text("1.5", Kind::Number)),
            (text("-0.00", Kind::Number), whole(0)),
            (text("99999999999999999999999999999999999999.0", Kind::Number), decimal(10i128.pow(38) - 1, 0)),
            (text("NaN", Kind::Number), text("nan", Kind::Number)),
            (moment(7, None), moment(7, Some("UTC"))),
            (bytes(Arc::new(BooleanArray::from(vec![true])), Kind::Truth), text("1", Kind::Truth)),
            (bytes(Arc::new(Float32Array::from(vec![0.1])), Kind::Float), double(f64::from(0.1_f32))),
            (double(f64::NAN), double(-f64::NAN)),
            (text("ab", Kind::Padded), text("ab   ", Kind::Padded)),
            (
                text("6F9619FF-8B86-D011-B42D-00C04FC964FF", Kind::Uuid),
                text("6f9619ff-8b86-d011-b42d-00c04fc964ff", Kind::Uuid),
            ),
            (text(r#"{"b": 1.10, "a": "\u0041"}"#, Kind::Json), text(r#"{"a":"A","b":11e-1}"#, Kind::Json)),
            (text(r#"{"a": 1, "a": 2}"#, Kind::Json), text(r#"{"a": 2}"#, Kind::Json)),
        ];
        for (at, (one, other)) in equal.iter().enumerate() {
            assert_eq!(one, other, "pair {at}");
        }
    }

    #[test]
    fn the_least_change_is_seen() {
        let null = bytes(Arc::new(StringArray::from(vec![None::<&str>])), Kind::Text);
        let different = [
            (moment(0, None), moment(1, None)),
            (decimal(1, 38), decimal(2, 38)),
            (text("a", Kind::Text), text("a ", Kind::Text)),
            (text("a", Kind::Text), text("A", Kind::Text)),
            (text("é", Kind::Text), text("e\u{301}", Kind::Text)),
            (null.clone(), text("", Kind::Text)),
            (null, text("\0", Kind::Text)),
            (double(0.0), double(-0.0)),
            (double(1.0), double(f64::from_bits(1.0f64.to_bits() + 1))),
            (double(f64::NAN), double(0.0)),
            (text("NaN", Kind::Number), whole(0)),
            (whole(i64::MAX), whole(i64::MAX - 1)),
            (decimal(i128::from(i64::MAX) + 1, 0), whole(i64::MIN)),
            (text("1.0000000000000000000000000000000000000000001", Kind::Number), whole(1)),
            (text(r#"{"a": 1}"#, Kind::Json), text(r#"{"a": "1"}"#, Kind::Json)),
            (text(r#"{"a": null}"#, Kind::Json), text("{}", Kind::Json)),
            (text("[1, 2]", Kind::Json), text("[2, 1]", Kind::Json)),
            (text("12345678901234567890123", Kind::Json), text("12345678901234567890124", Kind::Json)),
            (
                text("6f9619ff-8b86-d011-b42d-00c04fc964ff", Kind::Uuid),
                text("6f9619ff-8b86-d011-b42d-00c04fc964fe", Kind::Uuid),
            ),
        ];
        for (at, (one, other)) in different.iter().enumerate() {
            assert_ne!(one, other, "pair {at}");
        }
    }

    type Row = (Option<i32>, Option<bool>, Option<i128>, Option<String>);

    proptest! {
        #[test]
        fn a_number_is_the_same_in_every_type(value: i32, zeros in 0u8..10) {
            let scaled = i128::from(value) * 10i128.pow(u32::from(zeros));
            let as_text = format!("{value}.{}", "0".repeat(usize::from(zeros)));
            prop_assert_eq!(whole(i64::from(value)), decimal(scaled, i8::try_from(zeros).unwrap()));
            prop_assert_eq!(whole(i64::from(value)), text(&as_text, Kind::Number));
        }

        #[test]
        fn two_decimals_are_equal_exactly_when_their_values_are(a: i64, b: i64, s in 0i8..6, t in 0i8..6) {
            let same = i128::from(a) * 10i128.pow(u32::try_from(t).unwrap())
                == i128::from(b) * 10i128.pow(u32::try_from(s).unwrap());
            prop_assert_eq!(decimal(a.into(), s) == decimal(b.into(), t), same);
        }

        #[test]
        fn a_row_is_the_same_wherever_it_stands(
            cells in prop::collection::vec((any::<Option<i32>>(), any::<Option<bool>>(), any::<Option<i128>>(), prop::option::of("[a-zé]{0,6}")), 1..300),
            from in 0usize..300,
        ) {
            let rows = |cells: &[Row]| {
                let large = cells.iter().map(|c| c.2.map(|n| n % 10i128.pow(38)));
                let large: Decimal128Array = large.collect();
                let arrays: Vec<(ArrayRef, Kind)> = vec![
                    (Arc::new(StringArray::from_iter(cells.iter().map(|c| c.3.as_deref()))), Kind::Padded),
                    (Arc::new(arrow::array::Int32Array::from_iter(cells.iter().map(|c| c.0))), Kind::Number),
                    (Arc::new(BooleanArray::from_iter(cells.iter().map(|c| c.1))), Kind::Truth),
                    (Arc::new(large.with_precision_and_scale(38, 4).unwrap()), Kind::Number),
                    (Arc::new(StringArray::from_iter(cells.iter().map(|c| c.3.as_deref()))), Kind::Text),
                    (Arc::new(StringArray::from_iter(cells.iter().map(|c| c.3.as_deref()))), Kind::Uuid),
                    (arrow::array::new_null_array(&ArrowType::Null, cells.len()), Kind::Moment),
                ];
                let columns = arrays.iter().map(|(array, kind)| Cells::new(array, *kind).unwrap()).collect();
                let mut found = Vec::new();
                Rows::new(columns).each(cells.len(), |_, bytes| {
                    found.push(bytes.to_vec());
                    Ok::<(), ()>(())
                }).unwrap();
                found
            };
            let from = from % cells.len();
            let (all, some) = (rows(&cells), rows(&cells[from..]));
            prop_assert_eq!(&all[from..], &some[..]);
            for (one, row) in cells.iter().zip(&all) {
                let (other, first) = (&cells[0], &all[0]);
                prop_assert_eq!(one.0 == other.0 && one.1 == other.1 && one.2.map(|n| n % 10i128.pow(38)) == other.2.map(|n| n % 10i128.pow(38)) && one.3 == other.3, row == first);
            }
        }

        #[test]
        fn rows_of_texts_do_not_run_together(one in prop::collection::vec(".{0,4}", 3), two in prop::collection::vec(".{0,4}", 3)) {
            let row = |texts: &[String]| texts.iter().flat_map(|t| text(t, Kind::Text)).collect::<Vec<u8>>();
            prop_assert_eq!(row(&one) == row(&two), one == two);
        }

        #[test]
        fn whole_numbers_of_any_width_agree(value: u8) {
            let narrow: ArrayRef = Arc::new(UInt8Array::from(vec![value]));
            for wide in [ArrowType::Int16, ArrowType::Int32, ArrowType::Int64] {
                prop_assert_eq!(bytes(cast(&narrow, &wide).unwrap(), Kind::Number), bytes(Arc::clone(&narrow), Kind::Number));
            }
        }

        #[test]
        fn json_in_any_spacing_and_order(keys in prop::collection::btree_map("[a-z]{1,3}", any::<i32>(), 0..5)) {
            let tight = serde_json::to_string(&keys).unwrap();
            let turned: Vec<String> = keys.iter().rev().map(|(k, v)| format!("\n\"{k}\" : {v}.0")).collect();
            let loose = format!("{{ {} }}", turned.join(" ,"));
            prop_assert_eq!(text(&tight, Kind::Json), text(&loose, Kind::Json));
        }

        #[test]
        fn any_text_is_survived(any in ".{0,60}") {
            for kind in [Kind::Json, Kind::Number, Kind::Uuid, Kind::Truth] {
                prop_assert_eq!(text(&any, kind), text(&any, kind));
            }
        }
    }
}
