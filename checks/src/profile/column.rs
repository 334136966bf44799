//! What is gathered of one column, batch by batch.

use std::cmp::Ordering;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{
    DataType as ArrowType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int16Type, Int32Type, Int64Type,
    Time64MicrosecondType, TimeUnit, TimestampMicrosecondType, UInt8Type,
};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::error::{DataFusionError, Result};
use datafusion::scalar::ScalarValue;
use datafusion_functions_aggregate_common::min_max::{max_batch, min_batch};
use datafusion_functions_aggregate_common::tdigest::TDigest;
use imis_schemas::DataType;
use xxhash_rust::xxh3::xxh3_64;

use super::VALUE_CHARS;
use super::frequencies::Frequencies;
use super::picture::{ColumnProfile, Distinct, Frequent, KeyRole, Kind, Lengths, Numbers, Shape};
use super::shape::shape_into;
use super::values::Values;

/// How many shapes are told apart.
const SHAPES: usize = 4_096;
/// How many frequent values and shapes a profile names.
const NAMED: usize = 10;
/// Centroids of the sketch of quartiles; more are more exact.
const CENTROIDS: usize = 200;
/// The type in which numbers that travel as text are looked at: what openIMIS keeps in `numeric` has two digits behind the point.
const NUMERIC: ArrowType = ArrowType::Decimal128(38, 10);

/// A column, as the catalogue has it.
#[derive(Clone, Debug)]
pub(super) struct Described {
    pub(super) column: String,
    pub(super) spelled: String,
    pub(super) data_type: DataType,
    pub(super) roles: Vec<KeyRole>,
}

/// What was gathered of one column.
pub(super) struct Gatherer {
    described: Described,
    kind: Kind,
    rows: u64,
    nulls: u64,
    values: Values,
    least: Option<ScalarValue>,
    greatest: Option<ScalarValue>,
    texts: Texts,
    lengths: Measured,
    numbers: Counted,
    with_time: u64,
}

/// What was gathered of texts.
struct Texts {
    blank: u64,
    least: Option<String>,
    greatest: Option<String>,
    shapes: Frequencies,
    drawn: String,
}

#[derive(Default)]
struct Measured {
    extremes: Option<(u64, u64)>,
    sum: u128,
    count: u64,
}

struct Counted {
    zero: u64,
    negative: u64,
    not_a_number: u64,
    digest: TDigest,
}

impl Measured {
    fn take(&mut self, length: usize) {
        let length = length as u64;
        self.merge(&Measured { extremes: Some((length, length)), sum: length.into(), count: 1 });
    }

    fn merge(&mut self, other: &Measured) {
        self.extremes = match (self.extremes, other.extremes) {
            (Some(a), Some(b)) => Some((a.0.min(b.0), a.1.max(b.1))),
            (one, other) => one.or(other),
        };
        self.sum += other.sum;
        self.count += other.count;
    }
}

impl Gatherer {
    pub(super) fn new(described: Described, exact: usize) -> Self {
        Gatherer {
            kind: Kind::of(&described.data_type),
            described,
            rows: 0,
            nulls: 0,
            values: Values::new(exact),
            least: None,
            greatest: None,
            texts: Texts {
                blank: 0,
                least: None,
                greatest: None,
                shapes: Frequencies::new(SHAPES),
                drawn: String::new(),
            },
            lengths: Measured::default(),
            numbers: Counted { zero: 0, negative: 0, not_a_number: 0, digest: TDigest::new(CENTROIDS) },
            with_time: 0,
        }
    }

    /// Takes the values of some rows.
    ///
    /// # Errors
    /// When they are of a type that no source gives.
    pub(super) fn take(&mut self, array: &ArrayRef) -> Result<()> {
        let array = plain(array)?;
        self.rows += array.len() as u64;
        self.nulls += array.null_count() as u64;
        if array.null_count() == array.len() {
            return Ok(());
        }
        self.count(&array)?;
        match self.kind {
            Kind::Number => {
                let numbers = if array.data_type() == &ArrowType::Utf8 { cast(&array, &NUMERIC)? } else { array };
                self.extremes(&numbers)?;
                self.number(&numbers)?;
            }
            Kind::Day | Kind::Time => self.extremes(&array)?,
            Kind::Moment => {
                self.extremes(&array)?;
                self.with_time += with_time(&array);
            }
            Kind::Text | Kind::Document | Kind::Uuid => self.text(&array),
            Kind::Bytes => {
                if let Some(bytes) = array.as_binary_opt::<i32>() {
                    bytes.iter().flatten().for_each(|bytes| self.lengths.take(bytes.len()));
                }
            }
            Kind::Truth => {}
        }
        Ok(())
    }

    /// Counts the different values.
    fn count(&mut self, array: &ArrayRef) -> Result<()> {
        let hashes = hashes(array)?;
        if let Some(texts) = array.as_string_opt::<i32>() {
            return self.values.take(&hashes, |place| cut(texts.value(place)));
        }
        if array.data_type() == &ArrowType::Binary {
            // Nobody reads bytes; they are only told apart.
            return self.values.take(&hashes, |_| String::new());
        }
        let options = format();
        let texts = ArrayFormatter::try_new(array, &options)?;
        self.values.take(&hashes, |place| texts.value(place).to_string())
    }

    fn extremes(&mut self, array: &ArrayRef) -> Result<()> {
        widen(&mut self.least, min_batch(array)?, Ordering::Less);
        widen(&mut self.greatest, max_batch(array)?, Ordering::Greater);
        Ok(())
    }

    fn number(&mut self, array: &ArrayRef) -> Result<()> {
        let floats = cast(array, &ArrowType::Float64)?;
        let mut values: Vec<f64> = floats.as_primitive::<Float64Type>().iter().flatten().collect();
        let all = values.len();
        values.retain(|value| !value.is_nan());
        self.numbers.not_a_number += (all - values.len()) as u64;
        // A number of any type is 0, or below it, exactly where its nearest float is.
        self.numbers.zero += values.iter().filter(|value| **value == 0.0).count() as u64;
        self.numbers.negative += values.iter().filter(|value| **value < 0.0).count() as u64;
        if !values.is_empty() {
            self.numbers.digest = self.numbers.digest.merge_unsorted_f64(values);
        }
        Ok(())
    }

    fn text(&mut self, array: &ArrayRef) {
        let Some(texts) = array.as_string_opt::<i32>() else { return };
        let (mut least, mut greatest): (Option<&str>, Option<&str>) = (None, None);
        for text in texts.iter().flatten() {
            self.lengths.take(if text.is_ascii() { text.len() } else { text.chars().count() });
            self.texts.blank += u64::from(text.trim().is_empty());
            least = Some(least.map_or(text, |least| least.min(text)));
            greatest = Some(greatest.map_or(text, |greatest| greatest.max(text)));
            if self.kind == Kind::Text {
                let drawn = &mut self.texts.drawn;
                shape_into(text, drawn);
                self.texts.shapes.add(xxh3_64(drawn.as_bytes()), || drawn.clone());
            }
        }
        if self.texts.shapes.is_full() {
            self.texts.shapes.purge();
        }
        self.texts.widen(least.map(cut), greatest.map(cut));
    }

    /// Adds what was gathered elsewhere of the same column.
    ///
    /// # Errors
    /// When the two are of different types.
    pub(super) fn merge(&mut self, other: Gatherer) -> Result<()> {
        self.rows += other.rows;
        self.nulls += other.nulls;
        self.values.merge(other.values)?;
        if let Some(least) = other.least {
            widen(&mut self.least, least, Ordering::Less);
        }
        if let Some(greatest) = other.greatest {
            widen(&mut self.greatest, greatest, Ordering::Greater);
        }
        self.texts.blank += other.texts.blank;
        self.texts.widen(other.texts.least, other.texts.greatest);
        self.texts.shapes.merge(other.texts.shapes);
        if self.texts.shapes.is_full() {
            self.texts.shapes.purge();
        }
        self.lengths.merge(&other.lengths);
        self.numbers.zero += other.numbers.zero;
        self.numbers.negative += other.numbers.negative;
        self.numbers.not_a_number += other.numbers.not_a_number;
        if other.numbers.digest.count() > 0.0 {
            self.numbers.digest = TDigest::merge_digests([&self.numbers.digest, &other.numbers.digest]);
        }
        self.with_time += other.with_time;
        Ok(())
    }

    /// What was found.
    ///
    /// # Errors
    /// When DataFusion does not estimate.
    pub(super) fn finish(mut self) -> Result<ColumnProfile> {
        let filled = self.rows - self.nulls;
        let distinct: Distinct = self.values.distinct(filled)?;
        let frequencies = &self.values.frequencies;
        let named = |from: &Frequencies| -> Vec<(String, u64)> {
            from.top(NAMED).into_iter().map(|(text, count)| (text.to_owned(), count)).collect()
        };
        let most = frequencies.most();
        // Where each value occurs once, none is more frequent than another, and the list would only give rows away.
        let is_named = most > 1 && self.kind != Kind::Bytes;
        let top = if is_named { named(frequencies) } else { Vec::new() };
        let is_text = matches!(self.kind, Kind::Text | Kind::Document | Kind::Uuid);
        let shapes = named(&self.texts.shapes);
        let measured = &self.lengths;
        let lengths = measured.extremes.map(|(min, max)| Lengths {
            min,
            max,
            mean: measured.sum as f64 / measured.count.max(1) as f64,
        });
        let numbers = (self.kind == Kind::Number).then(|| Numbers {
            zero: self.numbers.zero,
            negative: self.numbers.negative,
            not_a_number: self.numbers.not_a_number,
            quartiles: self.quartiles(),
        });
        let (min, max) = if is_text {
            (self.texts.least, self.texts.greatest)
        } else {
            (self.least.as_ref().and_then(text_of), self.greatest.as_ref().and_then(text_of))
        };
        Ok(ColumnProfile {
            column: self.described.column,
            data_type: self.described.spelled,
            kind: self.kind,
            roles: self.described.roles,
            rows: self.rows,
            nulls: self.nulls,
            blank: is_text.then_some(self.texts.blank),
            distinct,
            min,
            max,
            lengths,
            numbers,
            with_time: (self.kind == Kind::Moment).then_some(self.with_time),
            shape_count: self.texts.shapes.len() as u64,
            shapes: shapes.into_iter().map(|(shape, count)| Shape { shape, count }).collect(),
            top: top.into_iter().map(|(value, count)| Frequent { value, count }).collect(),
            most,
            counts_off_by: frequencies.lost(),
        })
    }

    fn quartiles(&self) -> Option<[String; 3]> {
        let digest = &self.numbers.digest;
        (digest.count() > 0.0).then(|| [0.25, 0.5, 0.75].map(|part| self.rounded(digest.estimate_quantile(part))))
    }

    /// An estimate with as many digits as the column has.
    fn rounded(&self, value: f64) -> String {
        let digits = match (&self.described.data_type, &self.least) {
            (DataType::Decimal { scale, .. }, _) => usize::try_from(*scale).unwrap_or(0),
            (DataType::Money | DataType::SmallMoney, _) => 2,
            (DataType::Real | DataType::Double | DataType::Numeric, _) => 4,
            _ => 0,
        };
        let text = format!("{value:.digits$}");
        if matches!(self.described.data_type, DataType::Real | DataType::Double | DataType::Numeric) {
            short(&text)
        } else {
            text
        }
    }
}

impl Texts {
    fn widen(&mut self, least: Option<String>, greatest: Option<String>) {
        if let Some(least) = least
            && self.least.as_ref().is_none_or(|held| least < *held)
        {
            self.least = Some(least);
        }
        if let Some(greatest) = greatest
            && self.greatest.as_ref().is_none_or(|held| greatest > *held)
        {
            self.greatest = Some(greatest);
        }
    }
}

/// Keeps the value that is further out. NULL says nothing.
fn widen(held: &mut Option<ScalarValue>, value: ScalarValue, wanted: Ordering) {
    if !value.is_null() && held.as_ref().is_none_or(|held| value.partial_cmp(held) == Some(wanted)) {
        *held = Some(value);
    }
}

/// The array in one of the forms that are known here: no zones, no dictionaries, one form of text and one of bytes.
fn plain(array: &ArrayRef) -> Result<ArrayRef> {
    Ok(match array.data_type() {
        ArrowType::Timestamp(TimeUnit::Microsecond, Some(_)) => std::sync::Arc::new(
            array.as_primitive::<TimestampMicrosecondType>().clone().with_timezone_opt(None::<&str>),
        ),
        ArrowType::LargeUtf8 | ArrowType::Utf8View | ArrowType::Dictionary(..) => cast(array, &ArrowType::Utf8)?,
        ArrowType::LargeBinary | ArrowType::BinaryView | ArrowType::FixedSizeBinary(_) => {
            cast(array, &ArrowType::Binary)?
        }
        _ => ArrayRef::clone(array),
    })
}

/// The places of the values and their hashes.
fn hashes(array: &ArrayRef) -> Result<Vec<(usize, u64)>> {
    fn each<V>(values: impl Iterator<Item = Option<V>>, hash: impl Fn(V) -> u64) -> Vec<(usize, u64)> {
        values.enumerate().filter_map(|(place, value)| Some((place, hash(value?)))).collect()
    }
    macro_rules! primitive {
        ($type:ty) => {
            each(array.as_primitive::<$type>().iter(), |value| xxh3_64(&value.to_le_bytes()))
        };
    }
    Ok(match array.data_type() {
        ArrowType::Boolean => each(array.as_boolean().iter(), |value| xxh3_64(&[u8::from(value)])),
        ArrowType::UInt8 => primitive!(UInt8Type),
        ArrowType::Int16 => primitive!(Int16Type),
        ArrowType::Int32 => primitive!(Int32Type),
        ArrowType::Int64 => primitive!(Int64Type),
        ArrowType::Decimal128(..) => primitive!(Decimal128Type),
        // Both zeros are one number.
        ArrowType::Float32 => {
            each(array.as_primitive::<Float32Type>().iter(), |value| xxh3_64(&(value + 0.0).to_le_bytes()))
        }
        ArrowType::Float64 => {
            each(array.as_primitive::<Float64Type>().iter(), |value| xxh3_64(&(value + 0.0).to_le_bytes()))
        }
        ArrowType::Date32 => primitive!(Date32Type),
        ArrowType::Time64(TimeUnit::Microsecond) => primitive!(Time64MicrosecondType),
        ArrowType::Timestamp(TimeUnit::Microsecond, None) => primitive!(TimestampMicrosecondType),
        ArrowType::Utf8 => each(array.as_string::<i32>().iter(), |value| xxh3_64(value.as_bytes())),
        ArrowType::Binary => each(array.as_binary::<i32>().iter(), xxh3_64),
        other => return Err(DataFusionError::NotImplemented(format!("a profile of values that travel as {other}"))),
    })
}

/// How many moments have a time of day.
fn with_time(array: &ArrayRef) -> u64 {
    const DAY: i64 = 24 * 60 * 60 * 1_000_000;
    let Some(moments) = array.as_primitive_opt::<TimestampMicrosecondType>() else { return 0 };
    moments.iter().flatten().filter(|moment| moment.rem_euclid(DAY) != 0).count() as u64
}

fn format() -> FormatOptions<'static> {
    FormatOptions::new().with_timestamp_format(Some("%Y-%m-%d %H:%M:%S%.f"))
}

/// A value as text.
fn text_of(value: &ScalarValue) -> Option<String> {
    let array = value.to_array().ok()?;
    let options = format();
    let text = ArrayFormatter::try_new(&array, &options).ok()?.value(0).to_string();
    Some(if array.data_type() == &NUMERIC { short(&text) } else { text })
}

/// A number without zeros at the end of its fraction.
fn short(text: &str) -> String {
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text.to_owned() }
}

/// The first characters of a text.
fn cut(text: &str) -> String {
    match text.char_indices().nth(VALUE_CHARS) {
        Some((at, _)) => format!("{}…", text.get(..at).unwrap_or_default()),
        None => text.to_owned(),
    }
}
