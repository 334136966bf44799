//! Rows that break a part: their keys and values, a few as examples, all of them for whoever keeps them.

use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Int64Array, StringArray, new_null_array};
use arrow::compute::filter;
use arrow::datatypes::{DataType, Field, Int64Type, Schema};
use arrow::record_batch::RecordBatch;
use imis_databases::Error;

use crate::compile::{Plan, PlannedPart};
use crate::outcome::{Example, Findings, Violations};

/// How many examples a part keeps.
const EXAMPLES: usize = 5;

/// What is known of a part so far.
#[derive(Default)]
pub(super) struct Tally {
    /// Rows that were looked at.
    pub(super) rows: u64,
    /// Rows that break it.
    pub(super) violations: u64,
    /// Groups of rows that share what they should not.
    pub(super) groups: Option<u64>,
    /// Rows of which it cannot be said, and why.
    pub(super) failed: u64,
    pub(super) failed_why: String,
    /// The first rows by their keys.
    examples: Vec<(Order, Example)>,
}

/// The order of examples: by number where the key is one, else by text.
type Order = (Option<i64>, String);

impl Tally {
    /// Adds what another reader found.
    pub(super) fn join(&mut self, other: Tally) {
        self.rows += other.rows;
        self.violations += other.violations;
        self.failed += other.failed;
        if self.failed_why.is_empty() {
            self.failed_why = other.failed_why;
        }
        self.examples.extend(other.examples);
        self.keep_first();
    }

    fn keep_first(&mut self) {
        self.examples.sort_by(|a, b| a.0.cmp(&b.0));
        self.examples.truncate(EXAMPLES);
    }

    pub(super) fn into_examples(self) -> Vec<Example> {
        self.examples.into_iter().map(|(_, example)| example).collect()
    }
}

/// Where violations go; the readers of a table share it.
#[derive(Clone)]
pub(super) struct Emitter {
    pub(super) plan: Arc<Plan>,
    pub(super) findings: Arc<Mutex<dyn Findings>>,
}

/// Rows that break a part, on their way out.
pub(super) struct Broken {
    pub(super) part: usize,
    pub(super) rows: RecordBatch,
}

/// The rows of a batch that are wrong, as key, number of the key and value; and the part's tally with them.
pub(super) fn broken(
    part: usize,
    planned: &PlannedPart,
    tally: &mut Tally,
    batch: &RecordBatch,
    key: &[String],
    shown: Option<&str>,
    wrong: &BooleanArray,
) -> Result<Option<Broken>, Error> {
    let count = wrong.true_count();
    if count == 0 {
        return Ok(None);
    }
    tally.violations += count as u64;
    let trouble = |e: arrow::error::ArrowError| Error::failed("offending rows cannot be gathered").caused_by(e);
    let column = |name: &str| -> Result<Option<ArrayRef>, Error> {
        let found = batch.column_by_name(&name.to_lowercase());
        found.map(|array| filter(array, wrong).map_err(trouble)).transpose()
    };
    let keys = key.iter().map(|name| Ok(column(name)?.unwrap_or_else(|| new_null_array(&DataType::Null, count))));
    let keys = keys.collect::<Result<Vec<ArrayRef>, Error>>()?;
    let texts = keys.iter().map(text_of).collect::<Result<Vec<_>, Error>>()?;
    let value = match shown {
        Some(name) => column(name)?,
        None => None,
    };
    let value: StringArray = match &value {
        Some(array) => text_of(array)?,
        None => StringArray::new_null(count),
    };
    let number = match keys.as_slice() {
        [one] if one.data_type().is_integer() => arrow::compute::cast(one, &DataType::Int64).map_err(trouble)?,
        _ => Arc::new(Int64Array::new_null(count)) as ArrayRef,
    };
    let key_text: StringArray = match texts.as_slice() {
        [one] => one.clone(),
        [] => StringArray::new_null(count),
        several => (0..count).map(|row| Some(object(key, several, row))).collect(),
    };
    keep_examples(planned, tally, key, &texts, number.as_primitive::<Int64Type>(), &value);
    let schema = Schema::new(vec![
        Field::new("key", DataType::Utf8, true),
        Field::new("key_number", DataType::Int64, true),
        Field::new("value", DataType::Utf8, true),
    ]);
    let rows =
        RecordBatch::try_new(Arc::new(schema), vec![Arc::new(key_text), number, Arc::new(value)]).map_err(trouble)?;
    Ok(Some(Broken { part, rows }))
}

fn keep_examples(
    planned: &PlannedPart,
    tally: &mut Tally,
    key: &[String],
    texts: &[StringArray],
    number: &Int64Array,
    value: &StringArray,
) {
    let order = |row: usize| -> Order {
        if number.is_valid(row) {
            return (Some(number.value(row)), String::new());
        }
        (None, texts.iter().map(|t| if t.is_valid(row) { t.value(row) } else { "" }).collect::<Vec<_>>().join("\u{1f}"))
    };
    let mut added = 0;
    for row in 0..value.len() {
        let is_full = tally.examples.len() >= EXAMPLES && added == 0;
        let own = order(row);
        if is_full && tally.examples.last().is_some_and(|(last, _)| *last <= own) {
            continue;
        }
        let cell = |texts: &StringArray| texts.is_valid(row).then(|| texts.value(row).to_owned());
        let pairs = key.iter().zip(texts).map(|(name, texts)| (name.clone(), cell(texts).unwrap_or_default()));
        let example = Example {
            table: planned.table.clone(),
            key: pairs.collect(),
            column: planned.column.clone(),
            value: cell(value),
            what: planned.what.clone(),
        };
        tally.examples.push((own, example));
        added += 1;
        if added >= EXAMPLES {
            tally.keep_first();
            added = 0;
        }
    }
    tally.keep_first();
}

/// What is wrong with tables and columns as a whole: one finding a row of `table_name` and `column_name`.
pub(super) fn broken_places(
    part: usize,
    planned: &PlannedPart,
    tally: &mut Tally,
    batch: &RecordBatch,
) -> Result<Broken, Error> {
    let texts = |name: &str| -> Result<StringArray, Error> {
        batch.column_by_name(name).map_or_else(|| Ok(StringArray::new_null(batch.num_rows())), text_of)
    };
    let (tables, columns) = (texts("table_name")?, texts("column_name")?);
    tally.violations += batch.num_rows() as u64;
    for row in 0..batch.num_rows() {
        let cell = |texts: &StringArray| if texts.is_valid(row) { texts.value(row).to_owned() } else { String::new() };
        let (table, column) = (cell(&tables), cell(&columns));
        let order = (None, format!("{table}\u{1f}{column}"));
        let example = Example { table, key: Vec::new(), column, value: None, what: planned.what.clone() };
        tally.examples.push((order, example));
    }
    tally.keep_first();
    let fields = ["table_name", "column_name"].map(|name| Field::new(name, DataType::Utf8, true));
    let rows = RecordBatch::try_new(
        Arc::new(Schema::new(fields.to_vec())),
        vec![Arc::new(tables) as ArrayRef, Arc::new(columns) as ArrayRef],
    );
    let rows = rows.map_err(|e| Error::failed("findings cannot be gathered").caused_by(e))?;
    Ok(Broken { part, rows })
}

/// A key of several columns as JSON.
fn object(names: &[String], texts: &[StringArray], row: usize) -> String {
    let pair = |(name, texts): (&String, &StringArray)| {
        let value = if texts.is_valid(row) { texts.value(row).into() } else { serde_json::Value::Null };
        (name.clone(), value)
    };
    serde_json::Value::Object(names.iter().zip(texts).map(pair).collect()).to_string()
}

/// A column as text; bytes are not shown.
fn text_of(array: &ArrayRef) -> Result<StringArray, Error> {
    if matches!(array.data_type(), DataType::Binary | DataType::Null) {
        return Ok(StringArray::new_null(array.len()));
    }
    let texts = arrow::compute::cast(array, &DataType::Utf8)
        .map_err(|e| Error::failed("values of offending rows cannot be told as text").caused_by(e))?;
    let texts = texts.as_string::<i32>();
    // A whole document in a cell is no example of anything, and thousands of them do not fit anywhere.
    let short = |text: &str| text.len() <= LONGEST;
    if texts.iter().flatten().all(short) {
        return Ok(texts.clone());
    }
    let cut = |text: &str| match text.char_indices().map(|(at, _)| at).take_while(|at| *at <= LONGEST).last() {
        Some(at) if !short(text) => format!("{}\u{2026}", text.get(..at).unwrap_or_default()),
        _ => text.to_owned(),
    };
    Ok(texts.iter().map(|text| text.map(cut)).collect())
}

/// How many bytes of a value are kept.
const LONGEST: usize = 1024;

impl Emitter {
    /// Gives violations to whoever keeps them.
    pub(super) fn take(&self, all: &[Broken]) -> Result<(), Error> {
        if all.is_empty() {
            return Ok(());
        }
        let mut findings = self.findings.lock().unwrap_or_else(PoisonError::into_inner);
        for broken in all {
            let Some(part) = self.plan.parts.get(broken.part) else { continue };
            let Some(about) = self.plan.checks.get(part.check) else { continue };
            findings.take(&Violations {
                about,
                severity: part.severity,
                what: &part.what,
                table: &part.table,
                key_columns: &part.key,
                column: &part.column,
                rows: &broken.rows,
            })?;
        }
        Ok(())
    }
}
