//! The functions that checks have beside DataFusion's own.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Int32Array, StringArray, StringBuilder};
use arrow::datatypes::{DataType, Date32Type};
use datafusion::common::{Result, exec_err, plan_err};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};

/// All functions.
pub(crate) fn all() -> Vec<ScalarUDF> {
    [
        Function { name: "check_digit", of: &[Of::Text, Of::Text], gives: DataType::Boolean, body: check_digits },
        Function { name: "is_uuid", of: &[Of::Text], gives: DataType::Boolean, body: are_uuids },
        Function { name: "damaged_text", of: &[Of::Text], gives: DataType::Boolean, body: are_damaged },
        Function { name: "has_nul", of: &[Of::Text], gives: DataType::Boolean, body: have_nuls },
        Function { name: "folded", of: &[Of::Text], gives: DataType::Utf8, body: folded },
        Function { name: "years_between", of: &[Of::Day, Of::Day], gives: DataType::Int32, body: years_between },
    ]
    .into_iter()
    .map(|function| ScalarUDF::from(Udf { function, signature: Signature::variadic_any(Volatility::Immutable) }))
    .collect()
}

/// What a function takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Of {
    Text,
    /// A date or a moment, of which the day counts.
    Day,
}

type Body = fn(&[ArrayRef]) -> Result<ArrayRef>;

/// One function: NULL where an argument is NULL, else what its body says.
#[derive(Clone, Debug)]
struct Function {
    name: &'static str,
    of: &'static [Of],
    gives: DataType,
    body: Body,
}

// A function's name says which it is.
impl PartialEq for Function {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}
impl Eq for Function {}
impl std::hash::Hash for Function {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Udf {
    function: Function,
    signature: Signature,
}

impl ScalarUDFImpl for Udf {
    fn name(&self) -> &str {
        self.function.name
    }
    fn signature(&self) -> &Signature {
        &self.signature
    }
    fn return_type(&self, given: &[DataType]) -> Result<DataType> {
        let Function { name, of, gives, .. } = &self.function;
        let fits = |(of, given): (&Of, &DataType)| match of {
            Of::Text => matches!(given, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Null),
            Of::Day => matches!(given, DataType::Date32 | DataType::Timestamp(..) | DataType::Null),
        };
        if given.len() != of.len() || !of.iter().zip(given).all(fits) {
            let words = of.iter().map(|of| if *of == Of::Text { "a text" } else { "a date" }).collect::<Vec<_>>();
            return plan_err!("{name} takes {}", words.join(" and "));
        }
        Ok(gives.clone())
    }
    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let to = |of: &Of| if *of == Of::Text { DataType::Utf8 } else { DataType::Date32 };
        let arrays = args
            .args
            .iter()
            .zip(self.function.of)
            .map(|(value, of)| Ok(arrow::compute::cast(&value.to_array(args.number_rows)?, &to(of))?));
        let arrays = arrays.collect::<Result<Vec<_>>>()?;
        Ok(ColumnarValue::Array((self.function.body)(&arrays)?))
    }
}

fn text_at(arrays: &[ArrayRef], at: usize) -> Result<&StringArray> {
    match arrays.get(at) {
        Some(array) => Ok(array.as_string::<i32>()),
        None => exec_err!("an argument is missing"),
    }
}

fn truths(arrays: &[ArrayRef], is: impl Fn(&str) -> bool) -> Result<ArrayRef> {
    let texts = text_at(arrays, 0)?;
    Ok(Arc::new(texts.iter().map(|text| text.map(&is)).collect::<BooleanArray>()))
}

/// `check_digit(text, way)`: whether the last digit is the one that follows from the others. Ways are `modulo-N` (the number without its
/// last digit, divided by N, leaves it; openIMIS' own rule is `modulo-7`), `luhn` and `none`.
fn check_digits(arrays: &[ArrayRef]) -> Result<ArrayRef> {
    let (texts, ways) = (text_at(arrays, 0)?, text_at(arrays, 1)?);
    let mut out = Vec::with_capacity(texts.len());
    for (text, way) in texts.iter().zip(ways.iter()) {
        out.push(match (text, way) {
            (Some(text), Some(way)) => Some(check_digit(text.trim_end(), way)?),
            _ => None,
        });
    }
    Ok(Arc::new(BooleanArray::from(out)))
}

fn check_digit(text: &str, way: &str) -> Result<bool> {
    if way == "none" {
        return Ok(true);
    }
    let modulus = way.strip_prefix("modulo-").and_then(|n| n.parse::<u64>().ok()).filter(|n| (2..=97).contains(n));
    if modulus.is_none() && way != "luhn" {
        return exec_err!("a check digit is modulo-N, luhn or none");
    }
    let digits = text.bytes().all(|b| b.is_ascii_digit());
    if !digits || text.len() < 2 {
        return Ok(false);
    }
    let Some(modulus) = modulus else {
        let sum: u32 = text.bytes().rev().enumerate().map(|(at, b)| luhn(u32::from(b - b'0'), at % 2 == 1)).sum();
        return Ok(sum.is_multiple_of(10));
    };
    // As many digits as the remainder of the modulus needs.
    let last = if modulus > 11 { 2 } else { 1 };
    let Some((number, check)) = text.len().checked_sub(last).and_then(|at| text.split_at_checked(at)) else {
        return Ok(false);
    };
    let remainder = number.bytes().fold(0, |sum, b| (sum * 10 + u64::from(b - b'0')) % modulus);
    Ok(!number.is_empty() && check.parse() == Ok(remainder))
}

fn luhn(digit: u32, doubled: bool) -> u32 {
    match (doubled, digit * 2) {
        (false, _) => digit,
        (true, twice) if twice > 9 => twice - 9,
        (true, twice) => twice,
    }
}

/// `is_uuid(text)`: 32 digits of base 16 in lower case with their hyphens.
fn are_uuids(arrays: &[ArrayRef]) -> Result<ArrayRef> {
    truths(arrays, |text| {
        text.len() == 36
            && text.bytes().enumerate().all(|(at, b)| match at {
                8 | 13 | 18 | 23 => b == b'-',
                _ => matches!(b, b'0'..=b'9' | b'a'..=b'f'),
            })
    })
}

/// `damaged_text(text)`: whether there is a control character (but tab and ends of lines), U+FFFD, or UTF-8 that was read as Latin-1.
fn are_damaged(arrays: &[ArrayRef]) -> Result<ArrayRef> {
    truths(arrays, is_damaged)
}

fn is_damaged(text: &str) -> bool {
    // Most texts are plain ASCII, which is decided without looking at characters.
    if text.is_ascii() {
        return text.bytes().any(|b| (b < 0x20 && !matches!(b, b'\t' | b'\n' | b'\r')) || b == 0x7f);
    }
    let mut before = '\0';
    text.chars().any(|c| {
        let control = (c < ' ' && !matches!(c, '\t' | '\n' | '\r')) || c == '\u{7f}' || c == '\u{fffd}';
        let misread = matches!(before, '\u{c2}' | '\u{c3}') && matches!(c, '\u{80}'..='\u{bf}');
        before = c;
        control || misread
    })
}

/// `has_nul(text)`: whether there is a character with the code zero, which PostgreSQL does not take.
fn have_nuls(arrays: &[ArrayRef]) -> Result<ArrayRef> {
    truths(arrays, |text| text.as_bytes().contains(&0))
}

/// A text as SQL Server compares it: lower case, without the blanks at its end.
pub(crate) fn fold(text: &str) -> String {
    text.trim_end_matches(' ').to_lowercase()
}

/// `folded(text)`: the text as SQL Server compares it.
fn folded(arrays: &[ArrayRef]) -> Result<ArrayRef> {
    let texts = text_at(arrays, 0)?;
    let mut out = StringBuilder::with_capacity(texts.len(), texts.value_data().len());
    texts.iter().for_each(|text| out.append_option(text.map(fold)));
    Ok(Arc::new(out.finish()))
}

/// `years_between(from, to)`: full years, as an age is counted; negative where `to` comes first.
fn years_between(arrays: &[ArrayRef]) -> Result<ArrayRef> {
    let [from, to] = arrays else { return exec_err!("years_between takes two dates") };
    let (from, to) = (from.as_primitive::<Date32Type>(), to.as_primitive::<Date32Type>());
    let out = from.iter().zip(to.iter()).map(|(from, to)| years(from?, to?));
    Ok(Arc::new(out.collect::<Int32Array>()))
}

fn years(from: i32, to: i32) -> Option<i32> {
    let day = |days: i32| jiff::civil::date(1970, 1, 1).checked_add(jiff::Span::new().days(days)).ok();
    let (from, to) = (day(from)?, day(to)?);
    let early = (to.month(), to.day()) < (from.month(), from.day());
    Some(i32::from(to.year()) - i32::from(from.year()) - i32::from(early))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn check_digits_are_those_of_the_rule() {
        for (text, way, right) in [
            ("070707070", "modulo-7", true),
            ("100000005", "modulo-7", 10_000_000 % 7 == 5),
            ("100000004", "modulo-7", 10_000_000 % 7 == 4),
            ("79927398713", "luhn", true),
            ("79927398710", "luhn", false),
            ("x", "none", true),
            ("12a", "modulo-7", false),
            ("", "modulo-7", false),
            ("7", "modulo-7", false),
            ("99997", "modulo-97", 999 % 97 == 97),
            ("99929", "modulo-97", 999 % 97 == 29),
        ] {
            assert_eq!(check_digit(text, way).unwrap(), right, "{text} {way}");
        }
        assert!(check_digit("1", "modulo-x").is_err() && check_digit("1", "modulo-0").is_err());
    }

    #[test]
    fn damaged_texts_are_told_from_foreign_ones() {
        for (text, damaged) in [
            ("plain\ttext\r\n", false),
            ("bell\u{7}", true),
            ("del\u{7f}", true),
            ("nul\0", true),
            ("é ñ नेपाल Ãb", false),
            ("CafÃ©", true),
            ("\u{fffd}", true),
            ("Â£", true),
        ] {
            assert_eq!(is_damaged(text), damaged, "{text:?}");
        }
    }

    #[test]
    fn an_age_counts_full_years() {
        let day = |y, m, d| (jiff::civil::date(y, m, d) - jiff::civil::date(1970, 1, 1)).get_days();
        assert_eq!(years(day(2000, 2, 29), day(2018, 2, 28)), Some(17));
        assert_eq!(years(day(2000, 2, 29), day(2018, 3, 1)), Some(18));
        assert_eq!(years(day(2020, 1, 1), day(2019, 12, 31)), Some(-1));
    }
}
