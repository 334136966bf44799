//! Brings values to the type of the target column, and says which rows cannot be brought there and what was lost.
//!
//! Every row that a server would refuse for its type, its length, its range, a NUL character or a NULL is found here, so
//! that a COPY does not fail on it. What is allowed to be lost is allowed by name, and counted.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Date32Array, Decimal128Array, Int64Array, PrimitiveArray, StringArray,
    StringBuilder, TimestampMicrosecondArray,
};
use arrow::compute::{CastOptions, cast, cast_with_options};
use arrow::datatypes::{
    ArrowPrimitiveType, DataType as ArrowType, Decimal128Type, Int16Type, Int32Type, Int64Type, TimeUnit,
    TimestampMicrosecondType,
};
use imis_databases::identifier::parse_uuid;
use imis_databases::postgres::copy::wire_type;
use imis_databases::postgres::numeric;
use imis_schemas::{DataType, Engine, Length, TypedColumn};

use crate::language::Misfit;

const MICROS_A_DAY: i64 = 86_400_000_000;

/// What a mapping allows for one column.
#[derive(Clone, Debug, Default)]
pub(crate) struct Allowed {
    pub(crate) time_of_day: bool,
    pub(crate) too_long: Option<Misfit>,
    pub(crate) out_of_range: Option<Misfit>,
}

/// How values of an Arrow type get into a target column. Found once, when the mapping is bound.
#[derive(Clone, Debug)]
pub(crate) struct Fit {
    target: TypedColumn,
    wire: ArrowType,
    allowed: Allowed,
}

/// Why values of a type cannot get into a column at all.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Unfit {
    /// The types do not convert.
    Types(String),
    /// They do with a loss that must be allowed by name: what to write.
    Undecided(String, &'static str),
}

/// What was found while rows were fitted.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    /// Rows that cannot be loaded: index in the batch, column, reason.
    pub(crate) rejected: Vec<(usize, String, String)>,
    /// Losses that were allowed and repairs: (column, name) and how many values.
    pub(crate) losses: BTreeMap<(String, &'static str), u64>,
}

impl Findings {
    fn reject(&mut self, row: usize, column: &str, reason: &str) {
        self.rejected.push((row, column.to_owned(), reason.to_owned()));
    }

    fn lose(&mut self, column: &str, name: &'static str, count: u64) {
        if count > 0 {
            *self.losses.entry((column.to_owned(), name)).or_default() += count;
        }
    }
}

impl Fit {
    /// The target column.
    pub(crate) fn target(&self) -> &TypedColumn {
        &self.target
    }

    /// Finds the way from an Arrow type into a column; `source` is the source column where the value is just that one.
    pub(crate) fn new(
        from: &ArrowType,
        source: Option<&DataType>,
        target: &TypedColumn,
        allowed: Allowed,
    ) -> Result<Self, Unfit> {
        use ArrowType as A;
        let name = || target.data_type.sql(Engine::Postgres);
        let wire = wire_type(&target.data_type)
            .ok_or_else(|| Unfit::Types(format!("{} is a type that imis cannot write", name())))?;
        let text = matches!(from, A::Utf8 | A::LargeUtf8 | A::Utf8View);
        let whole = from.is_integer();
        let decimal = matches!(from, A::Decimal128(..));
        let fits = match &target.data_type {
            _ if *from == A::Null => true,
            DataType::Boolean | DataType::BitString(1) => *from == A::Boolean,
            // Adding a row number to a bigint gives a decimal without fraction.
            DataType::SmallInt | DataType::Int | DataType::BigInt => whole || matches!(from, A::Decimal128(_, 0)),
            DataType::Decimal { .. } | DataType::Numeric => {
                whole || decimal || (text && target.data_type == DataType::Numeric)
            }
            DataType::Real => matches!(from, A::Float32) || whole,
            DataType::Double => matches!(from, A::Float32 | A::Float64) || whole,
            DataType::Date => matches!(from, A::Date32 | A::Timestamp(..)),
            DataType::Time(_) => matches!(from, A::Time64(_)),
            DataType::Timestamp(_) | DataType::TimestampTz => matches!(from, A::Timestamp(..) | A::Date32),
            DataType::VarBinary(_) => matches!(from, A::Binary | A::LargeBinary),
            DataType::BitString(_)
            | DataType::Char(_)
            | DataType::VarChar(_)
            | DataType::Text
            | DataType::Xml
            | DataType::Json
            | DataType::Jsonb
            | DataType::Uuid => text,
            _ => false,
        };
        if !fits {
            return Err(Unfit::Types(format!("values of type {from} do not go into {}", name())));
        }
        if matches!(from, A::Timestamp(..)) && target.data_type == DataType::Date && !allowed.time_of_day {
            return Err(Unfit::Undecided(format!("{} has no time of day", name()), "loses: time-of-day"));
        }
        if let (true, Some(to), Some(source)) = (text, target.data_type.length(), source)
            && target.data_type.is_text()
            && source.is_text()
            && source.length().is_none_or(|from| from > to)
            && allowed.too_long.is_none()
        {
            let from = source.length().map_or("any length".to_owned(), |n| n.to_string());
            return Err(Unfit::Undecided(
                format!("{} is narrower than the source ({from})", name()),
                "too-long: reject  # or cut",
            ));
        }
        if let (Some(from), Some(to)) = (whole_digits(from), whole_digits(&wire))
            && from > to
            && allowed.out_of_range.is_none()
            // The value of an expression is looked at row by row: a literal is a bigint until it meets its column.
            && source.is_some()
        {
            return Err(Unfit::Undecided(
                format!("{} is narrower than the source", name()),
                "out-of-range: reject  # or clamp",
            ));
        }
        Ok(Fit { target: target.clone(), wire, allowed })
    }

    /// The name of the target column.
    pub(crate) fn column(&self) -> &TypedColumn {
        &self.target
    }

    /// Brings an array to the column's wire type. Rows that do not fit are NULL in the result and named in `findings`.
    pub(crate) fn apply(&self, array: &ArrayRef, findings: &mut Findings) -> ArrayRef {
        let column = self.target.name.as_str();
        let array = match array.data_type() {
            ArrowType::LargeUtf8 | ArrowType::Utf8View => {
                cast(array, &ArrowType::Utf8).unwrap_or_else(|_| Arc::clone(array))
            }
            ArrowType::Dictionary(_, value) => cast(array, value).unwrap_or_else(|_| Arc::clone(array)),
            _ => Arc::clone(array),
        };
        let fitted = match &self.target.data_type {
            _ if *array.data_type() == ArrowType::Null => arrow::array::new_null_array(&self.wire, array.len()),
            DataType::SmallInt | DataType::Int | DataType::BigInt => self.whole_number(&array, findings),
            DataType::Decimal { precision, scale } => self.decimal(&array, *precision, *scale, findings),
            DataType::Date => self.date(&array, findings),
            DataType::Timestamp(_) | DataType::TimestampTz => self.timestamp(&array),
            DataType::VarChar(Length::Limited(limit)) | DataType::Char(limit) => {
                self.text(&array, Some(*limit), findings)
            }
            DataType::VarChar(_) | DataType::Text | DataType::Xml => self.text(&array, None, findings),
            DataType::Json | DataType::Jsonb => self.checked_text(&array, "the text is not JSON", findings, |t| {
                serde_json::from_str::<serde::de::IgnoredAny>(t).is_ok() && !t.contains("\\u0000")
            }),
            DataType::Uuid => {
                self.checked_text(&array, "the text is not a UUID", findings, |t| parse_uuid(t.as_bytes()).is_some())
            }
            DataType::BitString(n) if *n != 1 => {
                let places = *n as usize;
                self.checked_text(&array, "the text is not a bit string", findings, move |t| {
                    t.len() == places && t.bytes().all(|b| matches!(b, b'0' | b'1'))
                })
            }
            DataType::Numeric => {
                let text = cast(&array, &ArrowType::Utf8).unwrap_or(array);
                self.checked_text(&text, "the text is not a number", findings, |t| numeric::parse(t).is_some())
            }
            _ if *array.data_type() == self.wire => array,
            _ => cast(&array, &self.wire).unwrap_or_else(|_| arrow::array::new_null_array(&self.wire, array.len())),
        };
        if !self.target.nullable && fitted.null_count() > 0 {
            let already: std::collections::HashSet<usize> =
                findings.rejected.iter().filter(|(_, c, _)| c == column).map(|(row, ..)| *row).collect();
            for row in (0..fitted.len()).filter(|row| fitted.is_null(*row) && !already.contains(row)) {
                findings.reject(row, column, "the value is NULL and the column takes none");
            }
        }
        fitted
    }

    fn whole_number(&self, array: &ArrayRef, findings: &mut Findings) -> ArrayRef {
        if *array.data_type() == self.wire {
            return Arc::clone(array);
        }
        let wide = match cast(array, &ArrowType::Int64) {
            Ok(wide) => wide,
            Err(_) => return arrow::array::new_null_array(&self.wire, array.len()),
        };
        let wide = wide.as_primitive::<Int64Type>();
        // An unsigned value beyond a bigint is NULL after the cast.
        for row in (0..array.len()).filter(|row| wide.is_null(*row) && !array.is_null(*row)) {
            findings.reject(row, &self.target.name, "the number is out of range");
        }
        match self.target.data_type {
            DataType::SmallInt => Arc::new(self.narrow::<Int16Type>(wide, i16::MIN.into(), i16::MAX.into(), findings)),
            DataType::Int => Arc::new(self.narrow::<Int32Type>(wide, i32::MIN.into(), i32::MAX.into(), findings)),
            _ => Arc::new(wide.clone()),
        }
    }

    fn narrow<T: ArrowPrimitiveType>(
        &self,
        wide: &Int64Array,
        least: i64,
        greatest: i64,
        findings: &mut Findings,
    ) -> PrimitiveArray<T>
    where
        T::Native: TryFrom<i64>,
    {
        let mut clamped = 0;
        let narrowed = (0..wide.len())
            .map(|row| {
                if wide.is_null(row) {
                    return None;
                }
                let value = wide.value(row);
                if (least..=greatest).contains(&value) {
                    return T::Native::try_from(value).ok();
                }
                if self.allowed.out_of_range == Some(Misfit::Clamp) {
                    clamped += 1;
                    return T::Native::try_from(value.clamp(least, greatest)).ok();
                }
                findings.reject(row, &self.target.name, "the number is out of range");
                None
            })
            .collect();
        findings.lose(&self.target.name, "out-of-range", clamped);
        narrowed
    }

    fn decimal(&self, array: &ArrayRef, precision: u8, scale: i8, findings: &mut Findings) -> ArrayRef {
        if *array.data_type() == self.wire {
            return Arc::clone(array);
        }
        let options = CastOptions { safe: true, ..CastOptions::default() };
        let Ok(cast_array) = cast_with_options(array, &ArrowType::Decimal128(precision, scale), &options) else {
            return arrow::array::new_null_array(&self.wire, array.len());
        };
        let back = cast_with_options(&cast_array, array.data_type(), &options).ok();
        let fitted = cast_array.as_primitive::<Decimal128Type>();
        let exact = |row: usize| match (&back, array.data_type()) {
            (Some(back), ArrowType::Decimal128(..)) => {
                !back.is_null(row)
                    && back.as_primitive::<Decimal128Type>().value(row)
                        == array.as_primitive::<Decimal128Type>().value(row)
            }
            _ => true,
        };
        let kept: Decimal128Array = (0..array.len())
            .map(|row| {
                if array.is_null(row) {
                    return None;
                }
                if fitted.is_null(row) {
                    findings.reject(row, &self.target.name, "the number is out of range");
                    return None;
                }
                if !exact(row) {
                    findings.reject(row, &self.target.name, "the number has more digits than the column");
                    return None;
                }
                Some(fitted.value(row))
            })
            .collect();
        Arc::new(kept.with_data_type(ArrowType::Decimal128(precision, scale)))
    }

    fn date(&self, array: &ArrayRef, findings: &mut Findings) -> ArrayRef {
        let ArrowType::Timestamp(TimeUnit::Microsecond, _) = array.data_type() else {
            return cast(array, &ArrowType::Date32)
                .unwrap_or_else(|_| arrow::array::new_null_array(&self.wire, array.len()));
        };
        let moments = array.as_primitive::<TimestampMicrosecondType>();
        let mut lost = 0;
        let days: Date32Array = moments
            .iter()
            .map(|moment| {
                moment.and_then(|moment| {
                    lost += u64::from(moment.rem_euclid(MICROS_A_DAY) != 0);
                    i32::try_from(moment.div_euclid(MICROS_A_DAY)).ok()
                })
            })
            .collect();
        findings.lose(&self.target.name, "time-of-day", lost);
        Arc::new(days)
    }

    /// A wall clock is stored as the instant that it shows in UTC; the number of microseconds stays what it is.
    fn timestamp(&self, array: &ArrayRef) -> ArrayRef {
        let micros = match array.data_type() {
            ArrowType::Timestamp(TimeUnit::Microsecond, _) => {
                array.as_primitive::<TimestampMicrosecondType>().reinterpret_cast::<Int64Type>()
            }
            _ => match cast(array, &ArrowType::Timestamp(TimeUnit::Microsecond, None)) {
                Ok(a) => a.as_primitive::<TimestampMicrosecondType>().reinterpret_cast::<Int64Type>(),
                Err(_) => return arrow::array::new_null_array(&self.wire, array.len()),
            },
        };
        let moments: TimestampMicrosecondArray = micros.reinterpret_cast();
        Arc::new(moments.with_data_type(self.wire.clone()))
    }

    fn text(&self, array: &ArrayRef, limit: Option<u32>, findings: &mut Findings) -> ArrayRef {
        let Some(texts) = array.as_string_opt::<i32>() else {
            return arrow::array::new_null_array(&self.wire, array.len());
        };
        let limit = limit.map_or(usize::MAX, |n| n as usize);
        // A text of n bytes has at most n characters: most columns need no closer look.
        let short = (0..texts.len()).all(|row| texts.value_length(row) as usize <= limit);
        let clean = !texts.value_data().contains(&0);
        if short && clean {
            return Arc::clone(array);
        }
        let (mut stripped, mut blanks, mut cut) = (0, 0, 0);
        let mut out = StringBuilder::with_capacity(texts.len(), texts.value_data().len());
        for row in 0..texts.len() {
            if texts.is_null(row) {
                out.append_null();
                continue;
            }
            let mut text = std::borrow::Cow::Borrowed(texts.value(row));
            if text.contains('\0') {
                stripped += 1;
                text = text.replace('\0', "").into();
            }
            match text.char_indices().nth(limit) {
                None => out.append_value(&text),
                Some((end, _)) if text[end..].chars().all(|c| c == ' ') => {
                    blanks += 1;
                    out.append_value(&text[..end]);
                }
                Some((end, _)) if self.allowed.too_long == Some(Misfit::Cut) => {
                    cut += 1;
                    out.append_value(&text[..end]);
                }
                Some(_) => {
                    findings.reject(row, &self.target.name, "the text is too long");
                    out.append_null();
                }
            }
        }
        findings.lose(&self.target.name, "strip-nul", stripped);
        findings.lose(&self.target.name, "trailing-blanks", blanks);
        findings.lose(&self.target.name, "too-long", cut);
        Arc::new(out.finish())
    }

    fn checked_text(
        &self,
        array: &ArrayRef,
        reason: &str,
        findings: &mut Findings,
        good: impl Fn(&str) -> bool,
    ) -> ArrayRef {
        let Some(texts) = array.as_string_opt::<i32>() else {
            return arrow::array::new_null_array(&self.wire, array.len());
        };
        if texts.iter().flatten().all(&good) {
            return Arc::clone(array);
        }
        let kept: StringArray = texts
            .iter()
            .enumerate()
            .map(|(row, text)| match text {
                Some(text) if !good(text) => {
                    findings.reject(row, &self.target.name, reason);
                    None
                }
                other => other,
            })
            .collect();
        Arc::new(kept)
    }
}

/// How many decimal digits a whole-number type holds, for comparing.
fn whole_digits(data_type: &ArrowType) -> Option<u8> {
    match data_type {
        ArrowType::Int8 | ArrowType::UInt8 => Some(3),
        ArrowType::Int16 | ArrowType::UInt16 => Some(5),
        ArrowType::Int32 | ArrowType::UInt32 => Some(10),
        ArrowType::Int64 | ArrowType::UInt64 => Some(19),
        _ => None,
    }
}

/// The rows of a batch that are left when some are taken out, as indices.
pub(crate) fn rows_without(rows: usize, taken: impl Iterator<Item = usize>) -> arrow::array::UInt32Array {
    let mut kept = vec![true; rows];
    for row in taken {
        if let Some(flag) = kept.get_mut(row) {
            *flag = false;
        }
    }
    kept.iter().enumerate().filter(|(_, kept)| **kept).filter_map(|(row, _)| u32::try_from(row).ok()).collect()
}

/// The rows of a condition that are true.
pub(crate) fn true_rows(condition: &BooleanArray) -> arrow::array::UInt32Array {
    condition
        .iter()
        .enumerate()
        .filter(|(_, value)| *value == Some(true))
        .filter_map(|(row, _)| u32::try_from(row).ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{Int16Array, Int32Array};

    fn column(text: &str, nullable: bool) -> TypedColumn {
        TypedColumn { name: "C".into(), data_type: DataType::parse(Engine::Postgres, text), nullable }
    }

    fn fit(array: ArrayRef, target: &str, allowed: Allowed) -> (ArrayRef, Findings) {
        let fit = Fit::new(array.data_type(), None, &column(target, true), allowed).unwrap();
        let mut findings = Findings::default();
        (fit.apply(&array, &mut findings), findings)
    }

    #[test]
    fn numbers_out_of_range_are_rejected_or_clamped() {
        let numbers: ArrayRef = Arc::new(Int32Array::from(vec![Some(1), Some(40_000), None]));
        let reject = Allowed { out_of_range: Some(Misfit::Reject), ..Allowed::default() };
        let (_, findings) = fit(Arc::clone(&numbers), "smallint", reject);
        assert_eq!(findings.rejected, [(1, "C".into(), "the number is out of range".into())]);
        let clamp = Allowed { out_of_range: Some(Misfit::Clamp), ..Allowed::default() };
        let (array, findings) = fit(Arc::clone(&numbers), "smallint", clamp);
        assert_eq!(array.as_ref(), &Int16Array::from(vec![Some(1), Some(32_767), None]));
        assert_eq!(findings.losses[&("C".to_owned(), "out-of-range")], 1);
        let undecided =
            Fit::new(numbers.data_type(), Some(&DataType::Int), &column("smallint", true), Allowed::default());
        assert!(matches!(undecided, Err(Unfit::Undecided(..))));
    }

    #[test]
    fn texts_are_counted_in_characters() {
        let texts: ArrayRef = Arc::new(StringArray::from(vec!["नेपाल", "abc   ", "abcdefgh", "a\0b"]));
        let cut = Allowed { too_long: Some(Misfit::Cut), ..Allowed::default() };
        let (array, findings) = fit(Arc::clone(&texts), "character varying(5)", cut);
        assert_eq!(array.as_ref(), &StringArray::from(vec!["नेपाल", "abc  ", "abcde", "ab"]));
        assert_eq!(findings.losses.values().copied().collect::<Vec<_>>(), [1, 1, 1]);
        let reject = Allowed { too_long: Some(Misfit::Reject), ..Allowed::default() };
        assert_eq!(fit(texts, "character varying(5)", reject).1.rejected.len(), 1);
    }

    #[test]
    fn a_time_of_day_is_lost_by_name_only() {
        let moments: ArrayRef = Arc::new(TimestampMicrosecondArray::from(vec![Some(-1), Some(MICROS_A_DAY), None]));
        assert!(Fit::new(moments.data_type(), None, &column("date", true), Allowed::default()).is_err());
        let (days, findings) = fit(moments, "date", Allowed { time_of_day: true, ..Allowed::default() });
        assert_eq!(days.as_ref(), &Date32Array::from(vec![Some(-1), Some(1), None]));
        assert_eq!(findings.losses[&("C".to_owned(), "time-of-day")], 1);
    }

    #[test]
    fn decimals_lose_no_digit() {
        let amounts =
            Decimal128Array::from(vec![Some(123_400), Some(123_456)]).with_data_type(ArrowType::Decimal128(19, 4));
        let (array, findings) = fit(Arc::new(amounts), "numeric(18,2)", Allowed::default());
        assert_eq!(array.as_primitive::<Decimal128Type>().value(0), 1234);
        assert_eq!(findings.rejected.len(), 1);
    }

    #[test]
    fn a_null_where_none_is_taken_is_rejected_once() {
        let texts: ArrayRef = Arc::new(StringArray::from(vec![None, Some("x")]));
        let fit = Fit::new(&ArrowType::Utf8, None, &column("uuid", false), Allowed::default()).unwrap();
        let mut findings = Findings::default();
        fit.apply(&texts, &mut findings);
        assert_eq!(findings.rejected.iter().map(|r| r.0).collect::<Vec<_>>(), [1, 0]);
    }
}
