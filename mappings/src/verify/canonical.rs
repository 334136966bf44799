//! What values of any two databases are compared as, and how people see them.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType as ArrowType, TimeUnit};
use imis_schemas::DataType;

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

    /// The value without its point, and how many digits stand behind that; `None` beyond 38 digits.
    pub(crate) fn unscaled(&self) -> Option<(i128, u8)> {
        let digits = if self.digits.is_empty() { "0" } else { &self.digits };
        let value = (digits.len() <= 38).then(|| digits.parse::<i128>().ok()).flatten()?;
        Some((if self.negative { -value } else { value }, u8::try_from(self.scale).ok()?))
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
    use super::*;

    #[test]
    fn plain_numbers_as_text() {
        for (text, expected) in
            [("007", "7"), ("-0.50", "-0.5"), ("0.0", "0"), ("-0", "0"), (".5", "0.5"), ("12.340", "12.34")]
        {
            assert_eq!(Plain::parse(text).unwrap().text(), expected);
        }
        assert!(Plain::parse("1e5").is_none() && Plain::parse("").is_none() && Plain::parse(".").is_none());
    }
}
