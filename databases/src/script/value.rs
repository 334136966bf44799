//! The values of scripts: literals, what conversions make of them, and how they get into columns.

use std::cmp::Ordering;

use encoding_rs::WINDOWS_1252;
use imis_schemas::{DataType, Length};

use super::moment::{self, DateOrder, MICROS_A_DAY};
use crate::column::{Column, Values};

/// A value of a cell or an expression.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Null,
    Int(i64),
    /// Units of the last digit, and how many digits stand behind the point.
    Decimal(i128, u32),
    Float(f64),
    Text(String),
    Bytes(Vec<u8>),
    /// Days since 1970-01-01.
    Date(i32),
    /// Steps of 100 ns since midnight.
    Time(i64),
    /// Steps of 100 ns since 1970-01-01 of a wall clock.
    Moment(i64),
    /// Steps of 100 ns since 1970-01-01 UTC.
    Instant(i64),
}

/// Why a value does not go into a type, without the value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Misfit(pub(super) &'static str);

const NO_NUMBER: Misfit = Misfit("the text is no number");
const NO_DATE: Misfit = Misfit("the text is no date or time");
const RANGE: Misfit = Misfit("the number is out of range");
const OTHER: Misfit = Misfit("a value of this kind does not convert");
const LARGE: Misfit = Misfit("the cell is larger than a batch can be");
const LONG: Misfit = Misfit("it is longer than the column");

impl Value {
    /// A number as it is written.
    pub(super) fn number(text: &str) -> Option<Value> {
        if let Ok(whole) = text.parse::<i64>() {
            return Some(Value::Int(whole));
        }
        if text.contains(['e', 'E']) {
            return text.parse().ok().map(Value::Float);
        }
        let (whole, digits) = text.split_once('.').unwrap_or((text, ""));
        if digits.len() > 38 {
            return None;
        }
        let joined = format!("{whole}{digits}");
        let units: i128 = if matches!(joined.as_str(), "" | "-" | "+") { return None } else { joined.parse().ok()? };
        Some(Value::Decimal(units, u32::try_from(digits.len()).ok()?))
    }

    pub(super) fn is_null(&self) -> bool {
        *self == Value::Null
    }

    /// A rough size in bytes.
    pub(super) fn size(&self) -> usize {
        match self {
            Value::Text(text) => text.len() + 24,
            Value::Bytes(bytes) => bytes.len() + 24,
            _ => 24,
        }
    }

    /// The value as a float, for comparisons and arithmetic of unlike numbers.
    pub(super) fn float(&self) -> Option<f64> {
        match self {
            Value::Int(n) => Some(*n as f64),
            Value::Decimal(units, scale) => Some(*units as f64 / 10_f64.powi(i32::try_from(*scale).ok()?)),
            Value::Float(n) => Some(*n),
            _ => None,
        }
    }

    /// The text that concatenation and LIKE see.
    pub(super) fn text(&self) -> Option<String> {
        Some(match self {
            Value::Null => return None,
            Value::Int(n) => n.to_string(),
            Value::Decimal(units, scale) => decimal_text(*units, *scale),
            Value::Float(n) => n.to_string(),
            Value::Text(text) => text.clone(),
            Value::Bytes(bytes) => bytes.iter().map(|b| char::from(*b)).collect(),
            Value::Date(days) => moment::day_text(i64::from(*days)),
            Value::Time(ticks) => moment::time_text(*ticks),
            Value::Moment(ticks) | Value::Instant(ticks) => moment::moment_text(*ticks),
        })
    }

    /// How two values stand to one another as the server compares them: numbers as numbers, texts without case and blanks at
    /// the end, times as times. `None` where one is NULL or they cannot be compared.
    pub(super) fn compare(&self, other: &Value, order: DateOrder) -> Option<Ordering> {
        use Value as V;
        match (self, other) {
            (V::Null, _) | (_, V::Null) => None,
            (V::Int(a), V::Int(b)) => Some(a.cmp(b)),
            (V::Decimal(a, s), V::Decimal(b, t)) => {
                let scale = (*s).max(*t);
                Some(rescaled(*a, *s, scale)?.cmp(&rescaled(*b, *t, scale)?))
            }
            (V::Int(a), V::Decimal(b, s)) => Some(rescaled(i128::from(*a), 0, *s)?.cmp(b)),
            (V::Decimal(a, s), V::Int(b)) => Some(a.cmp(&rescaled(i128::from(*b), 0, *s)?)),
            (V::Text(a), V::Text(b)) => {
                Some(a.trim_end_matches(' ').to_lowercase().cmp(&b.trim_end_matches(' ').to_lowercase()))
            }
            (V::Bytes(a), V::Bytes(b)) => Some(a.cmp(b)),
            (V::Date(_) | V::Moment(_) | V::Time(_) | V::Instant(_), _)
            | (_, V::Date(_) | V::Moment(_) | V::Time(_) | V::Instant(_)) => {
                let (a, b) = (self.ticks(order)?, other.ticks(order)?);
                Some(a.cmp(&b))
            }
            (V::Text(text), number) => Value::number(text.trim())?.compare(number, order),
            (number, V::Text(text)) => number.compare(&Value::number(text.trim())?, order),
            (a, b) => a.float()?.partial_cmp(&b.float()?),
        }
    }

    /// Steps of 100 ns since 1970-01-01.
    pub(super) fn ticks(&self, order: DateOrder) -> Option<i64> {
        match self {
            Value::Date(days) => Some(i64::from(*days) * moment::DAY),
            Value::Time(ticks) | Value::Moment(ticks) | Value::Instant(ticks) => Some(*ticks),
            Value::Text(text) => moment::parse(text, order).map(|read| read.ticks),
            Value::Int(days) => days.checked_mul(moment::DAY)?.checked_add(moment::FROM_1900),
            _ => None,
        }
    }

    /// The value as a type takes it, exactly as the server would convert it. A text that is too long is cut, as CAST does it, unless it
    /// goes into a column.
    pub(super) fn convert(self, to: &DataType, order: DateOrder, into_column: bool) -> Result<Value, Misfit> {
        if self.is_null() {
            return Ok(Value::Null);
        }
        match to {
            DataType::Boolean => match &self {
                Value::Text(text) if text.trim().eq_ignore_ascii_case("true") => Ok(Value::Int(1)),
                Value::Text(text) if text.trim().eq_ignore_ascii_case("false") => Ok(Value::Int(0)),
                _ => Ok(Value::Int(i64::from(self.units(0, true)? != 0))),
            },
            DataType::TinyInt => self.whole(0, 255),
            DataType::SmallInt => self.whole(i16::MIN.into(), i16::MAX.into()),
            DataType::Int => self.whole(i32::MIN.into(), i32::MAX.into()),
            DataType::BigInt => self.whole(i64::MIN, i64::MAX),
            DataType::Decimal { precision, scale } => self.decimal(*precision, u32::try_from(*scale).unwrap_or(0)),
            DataType::Money => self.money(i64::MAX),
            DataType::SmallMoney => self.money(i32::MAX.into()),
            DataType::Real | DataType::Double => {
                let number = match &self {
                    Value::Text(text) if text.trim().is_empty() => 0.0,
                    Value::Text(text) => Value::number(text.trim()).and_then(|n| n.float()).ok_or(NO_NUMBER)?,
                    other => other.float().ok_or(OTHER)?,
                };
                // What a column of four bytes keeps is told again with eight.
                Ok(Value::Float(if *to == DataType::Real { f64::from(number as f32) } else { number }))
            }
            DataType::Date
            | DataType::Time(_)
            | DataType::DateTime
            | DataType::SmallDateTime
            | DataType::Timestamp(_)
            | DataType::DateTimeOffset(_) => self.temporal(to, order),
            DataType::Binary(_) | DataType::VarBinary(_) | DataType::Image | DataType::RowVersion => {
                self.bytes(to, into_column)
            }
            DataType::Uuid => self.uuid(),
            _ => self.letters(to, into_column),
        }
    }

    /// Units of the last of so many digits behind the point, rounded half up, or cut as whole numbers are.
    fn units(&self, scale: u32, cut: bool) -> Result<i128, Misfit> {
        match self {
            Value::Int(n) => rescaled(i128::from(*n), 0, scale).ok_or(RANGE),
            Value::Decimal(units, from) if *from > scale => {
                let power = 10_i128.checked_pow(from - scale).ok_or(RANGE)?;
                let (whole, rest) = (units / power, units % power);
                let up = !cut && rest.unsigned_abs() >= power.unsigned_abs().div_ceil(2);
                Ok(if up { whole + units.signum() } else { whole })
            }
            Value::Decimal(units, from) => rescaled(*units, *from, scale).ok_or(RANGE),
            Value::Float(n) => {
                let shifted = n * 10_f64.powi(i32::try_from(scale).map_err(|_| RANGE)?);
                let whole = if cut { shifted.trunc() } else { shifted.round() };
                if whole.abs() < 1e38 { Ok(whole as i128) } else { Err(RANGE) }
            }
            Value::Text(text) => {
                let text = text.trim().trim_start_matches(['$', '€', '£']);
                let text = if scale == 4 { text.replace(',', "") } else { text.to_owned() };
                if text.is_empty() {
                    return Ok(0);
                }
                match Value::number(&text) {
                    Some(number @ (Value::Int(_) | Value::Decimal(..))) => number.units(scale, cut),
                    _ => Err(NO_NUMBER),
                }
            }
            Value::Bytes(bytes) if bytes.len() <= 8 => {
                Ok(bytes.iter().fold(0_i128, |sum, byte| (sum << 8) | i128::from(*byte)))
            }
            _ => Err(OTHER),
        }
    }

    fn whole(self, least: i64, greatest: i64) -> Result<Value, Misfit> {
        if let Value::Text(text) = &self
            && text.contains('.')
        {
            return Err(NO_NUMBER);
        }
        let units = i64::try_from(self.units(0, true)?).map_err(|_| RANGE)?;
        if (least..=greatest).contains(&units) { Ok(Value::Int(units)) } else { Err(RANGE) }
    }

    fn decimal(self, precision: u8, scale: u32) -> Result<Value, Misfit> {
        let units = self.units(scale, false)?;
        let limit = 10_i128.checked_pow(u32::from(precision)).ok_or(RANGE)?;
        if units.abs() < limit { Ok(Value::Decimal(units, scale)) } else { Err(RANGE) }
    }

    /// Money is a whole number of ten-thousandths.
    fn money(self, most: i64) -> Result<Value, Misfit> {
        let units = self.units(4, false)?;
        let most = i128::from(most);
        if (-most - 1..=most).contains(&units) { Ok(Value::Decimal(units, 4)) } else { Err(RANGE) }
    }

    fn temporal(self, to: &DataType, order: DateOrder) -> Result<Value, Misfit> {
        let (ticks, offset) = match &self {
            Value::Text(text) if text.trim().is_empty() => (moment::FROM_1900, None),
            Value::Text(text) => {
                let read = moment::parse(text, order).ok_or(NO_DATE)?;
                (read.ticks, read.offset)
            }
            Value::Bytes(bytes) => (moment::of_bytes(bytes, to).ok_or(OTHER)?, None),
            Value::Decimal(..) | Value::Float(_) => {
                let days = self.float().ok_or(OTHER)?;
                if !(-53_690.0..2_958_464.0).contains(&days) {
                    return Err(RANGE);
                }
                ((days * moment::DAY as f64) as i64 + moment::FROM_1900, None)
            }
            Value::Time(ticks) => {
                (if matches!(to, DataType::Time(_)) { *ticks } else { ticks + moment::FROM_1900 }, None)
            }
            other => (other.ticks(order).ok_or(OTHER)?, None),
        };
        Ok(match to {
            DataType::Date => Value::Date(i32::try_from(ticks.div_euclid(moment::DAY)).map_err(|_| RANGE)?),
            DataType::Time(digits) => {
                Value::Time(moment::rounded(ticks.rem_euclid(moment::DAY), *digits) % moment::DAY)
            }
            DataType::DateTime if ticks < moment::FROM_1753 => return Err(Misfit("the day lies before 1753")),
            DataType::DateTime => Value::Moment(moment::datetime(within(ticks)?)),
            DataType::SmallDateTime if !(moment::FROM_1900..moment::TO_2079).contains(&ticks) => {
                return Err(Misfit("the day lies outside of 1900 to 2079"));
            }
            DataType::SmallDateTime => Value::Moment(moment::minutes(ticks)),
            DataType::Timestamp(digits) => Value::Moment(moment::rounded(within(ticks)?, *digits)),
            _ => Value::Instant(ticks - i64::from(offset.unwrap_or(0)) * 600_000_000),
        })
    }

    fn bytes(self, to: &DataType, into_column: bool) -> Result<Value, Misfit> {
        let number = matches!(self, Value::Int(_));
        let mut bytes = match self {
            Value::Bytes(bytes) => bytes,
            Value::Int(n) => i32::try_from(n).map_or_else(|_| n.to_be_bytes().to_vec(), |n| n.to_be_bytes().to_vec()),
            // A text of a code page; whether one was national is known where it is a literal, and told by the caller.
            Value::Text(text) => WINDOWS_1252.encode(&text).0.into_owned(),
            _ => return Err(OTHER),
        };
        if let Some(limit) = to.length().map(|limit| limit as usize) {
            if bytes.len() > limit && into_column {
                return Err(LONG);
            }
            bytes.truncate(limit);
            if matches!(to, DataType::Binary(_)) {
                let missing = limit.saturating_sub(bytes.len());
                let at = if number { 0 } else { bytes.len() };
                bytes.splice(at..at, std::iter::repeat_n(0, missing));
            }
        }
        Ok(Value::Bytes(bytes))
    }

    fn uuid(self) -> Result<Value, Misfit> {
        const NO_UUID: Misfit = Misfit("it is no uniqueidentifier");
        match self {
            Value::Text(text) => {
                let bare: String = text.trim().trim_matches(['{', '}']).chars().take(36).collect();
                let parsed = uuid::Uuid::parse_str(&bare).map_err(|_| NO_UUID)?;
                Ok(Value::Text(parsed.hyphenated().to_string()))
            }
            Value::Bytes(bytes) => {
                let bytes: [u8; 16] = bytes.try_into().map_err(|_| NO_UUID)?;
                Ok(Value::Text(uuid::Uuid::from_bytes_le(bytes).hyphenated().to_string()))
            }
            _ => Err(OTHER),
        }
    }

    fn letters(self, to: &DataType, into_column: bool) -> Result<Value, Misfit> {
        let mut text = match self {
            Value::Bytes(bytes) if matches!(to, DataType::NVarChar(_) | DataType::NChar(_) | DataType::NText) => {
                let units = bytes.chunks(2).map(|p| u16::from_le_bytes([p[0], p.get(1).copied().unwrap_or(0)]));
                char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
            }
            Value::Moment(ticks) => moment::plain_text(ticks),
            other => other.text().ok_or(OTHER)?,
        };
        let national = matches!(to, DataType::NVarChar(_) | DataType::NChar(_));
        // Lengths are UTF-16 units, or bytes of a code page, of which a character takes one as far as anybody uses them here.
        let length = |text: &str| if national { text.encode_utf16().count() } else { text.chars().count() };
        if let Some(limit) = to.length().map(|limit| limit as usize) {
            if length(&text) > limit {
                // Blanks at the end are let go.
                if into_column && length(text.trim_end_matches(' ')) > limit {
                    return Err(LONG);
                }
                while length(&text) > limit {
                    text.pop();
                }
            }
            if matches!(to, DataType::Char(_) | DataType::NChar(_)) {
                let missing = limit.saturating_sub(length(&text));
                text.extend(std::iter::repeat_n(' ', missing));
            }
        }
        Ok(Value::Text(text))
    }
}

/// A moment between the years 1 and 9999.
fn within(ticks: i64) -> Result<i64, Misfit> {
    if (moment::FROM_1..moment::TO_10000).contains(&ticks) { Ok(ticks) } else { Err(RANGE) }
}

/// The largest value of a type's length, where CAST says none: 30 characters.
pub(super) fn cast_type(to: DataType, said: bool) -> DataType {
    match to {
        _ if said => to,
        DataType::VarChar(Length::Limited(1)) => DataType::VarChar(Length::Limited(30)),
        DataType::NVarChar(Length::Limited(1)) => DataType::NVarChar(Length::Limited(30)),
        DataType::Char(1) => DataType::Char(30),
        DataType::NChar(1) => DataType::NChar(30),
        DataType::VarBinary(Length::Limited(1)) => DataType::VarBinary(Length::Limited(30)),
        DataType::Binary(1) => DataType::Binary(30),
        other => other,
    }
}

pub(super) fn rescaled(units: i128, from: u32, to: u32) -> Option<i128> {
    units.checked_mul(10_i128.checked_pow(to.checked_sub(from)?)?)
}

fn decimal_text(units: i128, scale: u32) -> String {
    if scale == 0 {
        return units.to_string();
    }
    let digits = format!("{:0>width$}", units.unsigned_abs(), width = scale as usize + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale as usize);
    format!("{}{whole}.{fraction}", if units < 0 { "-" } else { "" })
}

/// Puts a value that was converted to a column's type into it. Gives whether a digit of a second was cut off.
///
/// # Errors
/// When the value is not one of the column's.
pub(super) fn take(column: &mut Column, value: &Value) -> Result<bool, Misfit> {
    let whole = |n: i64| -> Result<i32, Misfit> { i32::try_from(n).map_err(|_| RANGE) };
    let micros = |ticks: i64| ticks.div_euclid(10);
    let mut cut = false;
    match (&mut column.values, value) {
        (_, Value::Null) => {
            column.take_null();
            return Ok(false);
        }
        (Values::Boolean(v), Value::Int(n)) => v.append(*n != 0),
        (Values::UInt8(v), Value::Int(n)) => v.push(u8::try_from(*n).map_err(|_| RANGE)?),
        (Values::Int16(v), Value::Int(n)) => v.push(i16::try_from(*n).map_err(|_| RANGE)?),
        (Values::Int32(v), Value::Int(n)) => v.push(whole(*n)?),
        (Values::Int64(v), Value::Int(n)) => v.push(*n),
        (Values::Decimal(v, _), Value::Decimal(units, _)) => v.push(*units),
        (Values::Float32(v), Value::Float(n)) => v.push(*n as f32),
        (Values::Float64(v), Value::Float(n)) => v.push(*n),
        (Values::Date(v), Value::Date(days)) => v.push(*days),
        (Values::Time(v), Value::Time(ticks)) => {
            v.push(micros(*ticks) % MICROS_A_DAY);
            cut = ticks % 10 != 0;
        }
        (Values::Wall(v), Value::Moment(ticks)) | (Values::Instant(v), Value::Instant(ticks)) => {
            v.push(micros(*ticks));
            cut = ticks % 10 != 0;
        }
        (Values::Text(v), Value::Text(text)) => {
            v.bytes.extend_from_slice(text.as_bytes());
            v.end().map_err(|_| LARGE)?;
        }
        (Values::Bytes(v), Value::Bytes(bytes)) => {
            v.bytes.extend_from_slice(bytes);
            v.end().map_err(|_| LARGE)?;
        }
        _ => return Err(OTHER),
    }
    column.taken();
    Ok(cut)
}

#[cfg(test)]
mod tests {
    use imis_schemas::Engine;

    use super::*;

    fn text(text: &str) -> Value {
        Value::Text(text.to_owned())
    }

    #[test]
    fn values_convert_as_the_server_converts_them() {
        let into = |value: Value, to: &str| {
            value
                .convert(&DataType::parse(Engine::Mssql, to), DateOrder::default(), true)
                .map(|v| v.text().unwrap_or_default())
        };
        let number = |text: &str| Value::number(text).unwrap();
        let cases = [
            (number("255"), "tinyint", Ok("255")),
            (number("256"), "tinyint", Err(RANGE)),
            (number("2.9"), "int", Ok("2")),
            (text(" 12 "), "int", Ok("12")),
            (text("1.5"), "int", Err(NO_NUMBER)),
            (text(""), "int", Ok("0")),
            (number("1.005"), "decimal(18,2)", Ok("1.01")),
            (number("-1.005"), "decimal(18,2)", Ok("-1.01")),
            (number("123456.7"), "decimal(5,1)", Err(RANGE)),
            (number("0.00"), "money", Ok("0.0000")),
            (number("1E2"), "float", Ok("100")),
            (text("true"), "bit", Ok("1")),
            (number("5"), "bit", Ok("1")),
            (text("abc"), "nvarchar(2)", Err(LONG)),
            (text("ab  "), "nvarchar(2)", Ok("ab")),
            (text("a"), "char(3)", Ok("a  ")),
            (number("7"), "nvarchar(5)", Ok("7")),
            (text("2020-02-29T23:59:59.998"), "datetime", Ok("2020-02-29 23:59:59.9970000")),
            (text("2020-02-29T23:59:59.999"), "datetime", Ok("2020-03-01 00:00:00.0000000")),
            (text("2020-02-29 12:00:31"), "smalldatetime", Ok("2020-02-29 12:01:00.0000000")),
            (text("1752-12-31"), "datetime", Err(Misfit("the day lies before 1753"))),
            (text("20200229"), "date", Ok("2020-02-29")),
            (text("12:30:15.1234567"), "time(7)", Ok("12:30:15.1234567")),
            (text("not a day"), "date", Err(NO_DATE)),
            (text("2020-02-29T12:00:00+05:45"), "datetimeoffset(7)", Ok("2020-02-29 06:15:00.0000000")),
            (Value::Bytes(vec![0, 0, 0xa5, 0xb0, 0, 0, 0, 0]), "datetime", Ok("2016-02-18 00:00:00.0000000")),
            (Value::Bytes(vec![0xa5, 0xb0, 0x00, 0x3c]), "smalldatetime", Ok("2016-02-18 01:00:00.0000000")),
            (Value::Bytes(vec![0x13, 0x3b, 0x0b, 0x00]), "date", Ok("2016-02-26")),
            (
                text("{6F9619FF-8B86-D011-B42D-00C04FC964FF}"),
                "uniqueidentifier",
                Ok("6f9619ff-8b86-d011-b42d-00c04fc964ff"),
            ),
            (
                Value::Moment(moment::parse("2020-02-29 00:05", DateOrder::Mdy).unwrap().ticks),
                "nvarchar(30)",
                Ok("Feb 29 2020 12:05AM"),
            ),
            (number("5000000"), "datetime", Err(RANGE)),
            (number("922337203685478"), "money", Err(RANGE)),
            (number("7"), "binary(4)", Ok("\0\0\0\u{7}")),
            (number("0"), "datetime", Ok("1900-01-01 00:00:00.0000000")),
        ];
        for (value, to, expected) in cases {
            assert_eq!(into(value.clone(), to), expected.map(str::to_owned), "{value:?} into {to}");
        }
    }

    #[test]
    fn values_compare_as_the_server_compares_them() {
        let order = DateOrder::default();
        let same = |a: Value, b: Value| a.compare(&b, order) == Some(Ordering::Equal);
        assert!(
            same(text("Abc  "), text("aBC"))
                && same(Value::Int(1), text("1"))
                && same(Value::Int(2), Value::Decimal(200, 2))
        );
        assert!(same(text("2020-01-01"), Value::Moment(moment::parse("20200101", order).unwrap().ticks)));
        assert_eq!(Value::Null.compare(&Value::Null, order), None);
    }
}
