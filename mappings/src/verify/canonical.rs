//! One encoding of every value of the type table into bytes, for comparing rows of any two databases.
//!
//! It knows nothing of the COPY format, of Parquet or of TDS. Two cells are equal when their bytes are; the bytes of a cell say
//! where they end, so the cells of a row can stand one after another. docs/verifying.md has the table for readers.
//!
//! | first byte | value | then |
//! |---|---|---|
//! | 0 | NULL | |
//! | 1 | truth value | 0 or 1 |
//! | 2, 3 | number: whole, decimal, money | digits behind the point (none of them a zero at the end), unscaled value in 8 or 16 bytes |
//! | 4 | number of more than 38 digits, NaN, infinity | its text, shortest form |
//! | 5 | floating point | its 8 bytes; every NaN is the same one, -0.0 is not 0.0 |
//! | 6 | date | days since 1970 |
//! | 7 | time of day | microseconds |
//! | 8 | moment | microseconds since 1970, UTC |
//! | 9 | text | length, UTF-8 |
//! | 10 | bytes | length, bytes |
//! | 11 | UUID | its 16 bytes |
//! | 12 | jsonb | length, JSON with sorted keys and shortest numbers |

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, GenericByteArray};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{
    ArrowPrimitiveType, ByteArrayType, DataType as ArrowType, Date32Type, Decimal128Type, Float32Type, Float64Type,
    Int16Type, Int32Type, Int64Type, Time64MicrosecondType, TimeUnit, TimestampMicrosecondType, UInt8Type,
};
use imis_schemas::DataType;

use super::json;

/// What a column's values are compared as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Truth,
    Number,
    Float,
    Date,
    Time,
    Moment,
    Text,
    /// `char(n)` of PostgreSQL, or of both: blanks at the end are the server's.
    Padded,
    Bytes,
    Uuid,
    Json,
}

impl Kind {
    /// The kind of one type.
    pub(crate) fn of(data_type: &DataType) -> Kind {
        match data_type {
            DataType::Boolean | DataType::BitString(1) => Kind::Truth,
            DataType::TinyInt
            | DataType::SmallInt
            | DataType::Int
            | DataType::BigInt
            | DataType::Decimal { .. }
            | DataType::Numeric
            | DataType::Money
            | DataType::SmallMoney => Kind::Number,
            DataType::Real | DataType::Double => Kind::Float,
            DataType::Date => Kind::Date,
            DataType::Time(_) => Kind::Time,
            DataType::DateTime
            | DataType::SmallDateTime
            | DataType::Timestamp(_)
            | DataType::DateTimeOffset(_)
            | DataType::TimestampTz => Kind::Moment,
            DataType::Char(_) | DataType::NChar(_) => Kind::Padded,
            DataType::VarChar(_)
            | DataType::BitString(_)
            | DataType::Text
            | DataType::NVarChar(_)
            | DataType::NText
            | DataType::Xml
            | DataType::Json
            | DataType::SqlVariant
            | DataType::Other(_) => Kind::Text,
            DataType::Binary(_) | DataType::VarBinary(_) | DataType::Image | DataType::RowVersion => Kind::Bytes,
            DataType::Uuid => Kind::Uuid,
            DataType::Jsonb => Kind::Json,
        }
    }

    /// The kind in which values of two types meet; `None` when they cannot.
    pub(crate) fn between(one: &DataType, other: &DataType) -> Option<Kind> {
        let (a, b) = (Kind::of(one), Kind::of(other));
        let text = |kind| matches!(kind, Kind::Text | Kind::Padded);
        match (a, b) {
            (a, b) if a == b => Some(a),
            (a, b) if text(a) && text(b) => Some(Kind::Text),
            // A UUID in a text column, JSON in a text column.
            (Kind::Uuid, other) | (other, Kind::Uuid) if text(other) => Some(Kind::Uuid),
            (Kind::Json, other) | (other, Kind::Json) if text(other) => Some(Kind::Json),
            _ => None,
        }
    }
}

/// The cells of one column of a batch, ready to be encoded. What a cell costs is paid for every cell of both sides, so arrays
/// are taken apart into plain slices once a batch.
pub(crate) struct Cells<'a> {
    nulls: Option<&'a NullBuffer>,
    values: Values<'a>,
}

enum Values<'a> {
    Truth(&'a BooleanArray),
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
            (Kind::Truth, A::Boolean) => Values::Truth(array.as_boolean_opt()?),
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
        Some(Cells { nulls: array.nulls(), values })
    }

    /// Appends the bytes of a cell.
    #[inline]
    pub(crate) fn put(&self, row: usize, out: &mut Vec<u8>) {
        if self.nulls.is_some_and(|nulls| nulls.is_null(row)) {
            out.push(0);
            return;
        }
        fn at<T: Copy + Default>(values: &[T], row: usize) -> T {
            values.get(row).copied().unwrap_or_default()
        }
        match &self.values {
            Values::Truth(a) => out.extend_from_slice(&[1, u8::from(a.value(row))]),
            Values::TruthText(a) => match a.text(row) {
                "0" => out.extend_from_slice(&[1, 0]),
                "1" => out.extend_from_slice(&[1, 1]),
                other => put_block(9, other.as_bytes(), out),
            },
            Values::UInt8(a) => put_small(i64::from(at(a, row)), 0, out),
            Values::Int16(a) => put_small(i64::from(at(a, row)), 0, out),
            Values::Int32(a) => put_small(i64::from(at(a, row)), 0, out),
            Values::Int64(a) => put_small(at(a, row), 0, out),
            Values::Decimal(a, scale) => put_decimal(at(a, row), *scale, out),
            Values::NumberText(a) => put_number_text(a.text(row), out),
            Values::Float32(a) => put_float(f64::from(at(a, row)), out),
            Values::Float64(a) => put_float(at(a, row), out),
            Values::Date(a) => {
                let [a, b, c, d] = at(a, row).to_le_bytes();
                out.extend_from_slice(&[6, a, b, c, d]);
            }
            Values::Time(a) => put_marked(7, at(a, row), out),
            Values::Moment(a) => put_marked(8, at(a, row), out),
            Values::Block(mark, a) => put_block(*mark, a.bytes(row), out),
            Values::Padded(a) => put_block(9, a.text(row).trim_end_matches(' ').as_bytes(), out),
            Values::Uuid(a) => match uuid::Uuid::try_parse_ascii(a.bytes(row).trim_ascii()) {
                Ok(uuid) => {
                    out.push(11);
                    out.extend_from_slice(uuid.as_bytes());
                }
                Err(_) => put_block(9, a.bytes(row), out),
            },
            Values::Json(a) => match json::canonical(a.text(row)) {
                Some(text) => put_block(12, &text, out),
                None => put_block(9, a.bytes(row), out),
            },
            Values::Null => out.push(0),
        }
    }
}

#[inline]
fn put_marked(mark: u8, value: i64, out: &mut Vec<u8>) {
    let [a, b, c, d, e, f, g, h] = value.to_le_bytes();
    out.extend_from_slice(&[mark, a, b, c, d, e, f, g, h]);
}

#[inline]
fn put_block(mark: u8, bytes: &[u8], out: &mut Vec<u8>) {
    let [a, b, c, d] = (bytes.len() as u32).to_le_bytes();
    out.extend_from_slice(&[mark, a, b, c, d]);
    out.extend_from_slice(bytes);
}

#[inline]
fn put_small(value: i64, scale: u8, out: &mut Vec<u8>) {
    let [a, b, c, d, e, f, g, h] = value.to_le_bytes();
    out.extend_from_slice(&[2, scale, a, b, c, d, e, f, g, h]);
}

fn put_decimal(value: i128, mut scale: u8, out: &mut Vec<u8>) {
    // Money nearly always fits into 64 bits, where dividing is cheap.
    if let Ok(mut small) = i64::try_from(value) {
        while scale > 0 && small % 10 == 0 {
            small /= 10;
            scale -= 1;
        }
        return put_small(small, scale, out);
    }
    let mut large = value;
    while scale > 0 && large % 10 == 0 {
        large /= 10;
        scale -= 1;
    }
    match i64::try_from(large) {
        Ok(small) => put_small(small, scale, out),
        Err(_) => {
            out.extend([3, scale]);
            out.extend(large.to_le_bytes());
        }
    }
}

/// The shortest form of a number's text, without exponent: sign, digits, digits behind the point.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Plain {
    negative: bool,
    digits: String,
    scale: usize,
}

impl Plain {
    /// `None` for what is no plain decimal number.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let (negative, rest) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let (whole, fraction) = rest.split_once('.').unwrap_or((rest, ""));
        let all = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
        if (whole.is_empty() && fraction.is_empty()) || !all(whole) || !all(fraction) {
            return None;
        }
        let fraction = fraction.trim_end_matches('0');
        let joined = format!("{whole}{fraction}");
        let digits = joined.trim_start_matches('0');
        Some(Plain { negative: negative && !digits.is_empty(), digits: digits.to_owned(), scale: fraction.len() })
    }

    /// The sum; `None` beyond 38 digits.
    pub(crate) fn plus(&self, other: &Plain) -> Option<Plain> {
        let scale = self.scale.max(other.scale);
        let value = |plain: &Plain| -> Option<i128> {
            let digits = if plain.digits.is_empty() { 0 } else { plain.digits.parse::<i128>().ok()? };
            let digits = digits.checked_mul(10i128.checked_pow(u32::try_from(scale - plain.scale).ok()?)?)?;
            Some(if plain.negative { -digits } else { digits })
        };
        let sum = value(self)?.checked_add(value(other)?)?;
        let digits = format!("{:0>width$}", sum.unsigned_abs(), width = scale + 1);
        let (whole, fraction) = digits.split_at(digits.len() - scale);
        Plain::parse(&format!("{}{whole}.{fraction}", if sum < 0 { "-" } else { "" }))
    }

    /// As text: `-12.5`, `0`.
    pub(crate) fn text(&self) -> String {
        let mut out = if self.negative { "-".to_owned() } else { String::new() };
        let padded = format!("{:0>width$}", self.digits, width = self.scale + 1);
        let (whole, fraction) = padded.split_at(padded.len() - self.scale);
        out.push_str(whole);
        if !fraction.is_empty() {
            out.push('.');
            out.push_str(fraction);
        }
        out
    }
}

fn put_number_text(text: &str, out: &mut Vec<u8>) {
    let Some(plain) = Plain::parse(text) else {
        // NaN, Infinity, -Infinity.
        return put_block(4, text.trim().to_lowercase().as_bytes(), out);
    };
    let value = (plain.digits.len() <= 38).then(|| plain.digits.parse::<i128>().unwrap_or(0));
    match (value, u8::try_from(plain.scale)) {
        (Some(value), Ok(scale)) => put_decimal(if plain.negative { -value } else { value }, scale, out),
        _ => put_block(4, plain.text().as_bytes(), out),
    }
}

fn put_float(value: f64, out: &mut Vec<u8>) {
    out.push(5);
    let value = if value.is_nan() { f64::NAN } else { value };
    out.extend(value.to_bits().to_le_bytes());
}

/// A cell for people; `None` for NULL.
pub(crate) fn shown(array: &ArrayRef, row: usize) -> Option<String> {
    use arrow::util::display::array_value_to_string;
    if array.is_null(row) {
        return None;
    }
    match array.data_type() {
        ArrowType::Timestamp(TimeUnit::Microsecond, Some(_)) => {
            let one = array.slice(row, 1);
            let moments = one.as_primitive_opt::<arrow::datatypes::TimestampMicrosecondType>()?;
            let wall: ArrayRef = Arc::new(moments.clone().with_timezone_opt(None::<&str>));
            array_value_to_string(&wall, 0).ok().map(|text| text + "Z")
        }
        ArrowType::Binary => {
            let bytes = array.as_binary_opt::<i32>()?.value(row);
            let head = bytes.iter().take(64).map(|b| format!("{b:02x}")).collect::<String>();
            Some(format!("0x{head}{}", if bytes.len() > 64 { "..." } else { "" }))
        }
        _ => array_value_to_string(array, row).ok(),
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{
        Decimal128Array, Float32Array, Float64Array, Int64Array, StringArray, TimestampMicrosecondArray, UInt8Array,
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

    #[test]
    fn plain_numbers_as_text() {
        for (text, expected) in
            [("007", "7"), ("-0.50", "-0.5"), ("0.0", "0"), ("-0", "0"), (".5", "0.5"), ("12.340", "12.34")]
        {
            assert_eq!(Plain::parse(text).unwrap().text(), expected);
        }
        assert!(Plain::parse("1e5").is_none() && Plain::parse("").is_none() && Plain::parse(".").is_none());
    }

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
