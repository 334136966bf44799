//! Keys in a rehearsal: which values name nothing, found while the rows go by, without a join.
//!
//! One pass over all rows gathers, for each key, the values that it uses and the values that it may name: whole numbers in
//! compressed bitmaps, texts in sets. What is used and not there is broken. Only then are the tables with broken keys read once
//! more, to count their rows; rows that would be lost may be what others name, so that goes on until nothing new is lost.

use std::collections::{BTreeMap, HashMap, HashSet};

use arrow::array::{Array, ArrayRef, AsArray, new_null_array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type};
use arrow::record_batch::RecordBatch;
use imis_schemas::same_name;
use roaring::RoaringTreemap;
use serde::Serialize;

use crate::bind::{BoundKey, BoundMapping, BoundStep, Way, Worked};
use imis_databases::query::tables::rename;

/// Above so many different texts a key is not followed. Text keys name code tables.
const MOST_TEXTS: usize = 1_000_000;

/// What a rehearsal found of a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BrokenKey {
    /// The rule.
    pub rule: String,
    /// The key's column.
    pub column: String,
    /// The table and column that it names.
    pub to: String,
    /// Rows whose value names nothing; of whole numbers, 0 among them.
    pub broken: u64,
    /// How many of them say 0.
    pub zero: u64,
    /// What is tried on them, in order: `spelling`, `null`, `reject`, `repair`, `value`.
    pub steps: Vec<&'static str>,
    /// Whether rules that start with a query may still bring what is missing, so that the number is the highest possible.
    pub at_most: bool,
}

/// What rehearsing all keys found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct BrokenKeys {
    /// Keys that do not hold.
    pub keys: Vec<BrokenKey>,
    /// By rule, rows that would be rejected for their keys: their own and, to the end of the chain, those of rows they name.
    pub rejected: BTreeMap<String, u64>,
}

/// A set of values of a column.
#[derive(Clone, Debug, Default)]
struct Values {
    numbers: RoaringTreemap,
    texts: HashSet<String>,
    /// Whether it grew too large, so that nothing is known.
    given_up: bool,
}

/// Whole numbers in an order that keeps negative ones apart.
fn code(number: i64) -> u64 {
    number.cast_unsigned() ^ (1 << 63)
}

enum Column<'a> {
    Numbers(ArrayRef),
    Texts(&'a ArrayRef),
    Other,
}

/// A column as what its values are compared as.
fn column(array: &ArrayRef) -> Column<'_> {
    match array.data_type() {
        DataType::Utf8 => Column::Texts(array),
        kind if kind.is_integer() => cast(array, &DataType::Int64).map_or(Column::Other, Column::Numbers),
        _ => Column::Other,
    }
}

impl Values {
    fn add(&mut self, array: &ArrayRef) {
        match column(array) {
            Column::Numbers(numbers) => {
                self.numbers.extend(numbers.as_primitive::<Int64Type>().iter().flatten().map(code));
            }
            Column::Texts(texts) => {
                for text in texts.as_string::<i32>().iter().flatten() {
                    if !self.texts.contains(text) {
                        self.texts.insert(text.to_owned());
                    }
                }
                self.given_up |= self.texts.len() > MOST_TEXTS;
                if self.given_up {
                    self.texts = HashSet::new();
                }
            }
            Column::Other => self.given_up = true,
        }
    }

    /// The values that are in this and not in the other.
    fn without(&self, other: &Values) -> Values {
        let given_up = self.given_up || other.given_up;
        if given_up {
            return Values { given_up, ..Values::default() };
        }
        let texts = self.texts.iter().filter(|text| !other.texts.contains(*text)).cloned().collect();
        Values { numbers: &self.numbers - &other.numbers, texts, given_up }
    }

    fn is_empty(&self) -> bool {
        self.numbers.is_empty() && self.texts.is_empty()
    }

    /// The rows of a column whose value is in the set.
    fn rows(&self, array: &ArrayRef) -> Vec<usize> {
        let rows = 0..array.len();
        match column(array) {
            Column::Numbers(numbers) => {
                let numbers = numbers.as_primitive::<Int64Type>();
                rows.filter(|row| numbers.is_valid(*row) && self.numbers.contains(code(numbers.value(*row)))).collect()
            }
            Column::Texts(texts) => {
                let texts = texts.as_string::<i32>();
                rows.filter(|row| texts.is_valid(*row) && self.texts.contains(texts.value(*row))).collect()
            }
            Column::Other => Vec::new(),
        }
    }
}

/// A text as SQL Server compares it: case and blanks at the end aside.
fn folded(text: &str) -> String {
    text.trim_end().to_lowercase()
}

fn word(step: &BoundStep) -> &'static str {
    match step {
        BoundStep::Spelling => "spelling",
        BoundStep::Null(_) => "null",
        BoundStep::Reject => "reject",
        BoundStep::Keep => "keep",
        BoundStep::Repair(_) => "repair",
        BoundStep::Value(..) => "value",
    }
}

/// Which of the broken rows go. What a repair or a value may mend is taken as mended.
fn lost_rows(key: &BoundKey, batch: &RecordBatch, mut rows: Vec<usize>) -> Vec<usize> {
    for step in &key.steps {
        match step {
            BoundStep::Spelling => {}
            BoundStep::Reject => return rows,
            BoundStep::Null(Some(condition)) => {
                let met = meets(condition, batch);
                rows.retain(|row| !met.contains(row));
            }
            BoundStep::Null(None) | BoundStep::Keep | BoundStep::Repair(_) | BoundStep::Value(..) => return Vec::new(),
        }
    }
    Vec::new()
}

/// The rows of a batch for which a condition over the target's columns holds. A column that the rule does not fill is NULL.
fn meets(condition: &Worked, batch: &RecordBatch) -> HashSet<usize> {
    let columns = condition.read.iter().zip(condition.schema.fields()).map(|(name, field)| {
        let given = batch.column_by_name(name).cloned();
        given.unwrap_or_else(|| new_null_array(field.data_type(), batch.num_rows()))
    });
    let (columns, names): (Vec<ArrayRef>, &[String]) = (columns.collect(), &condition.read);
    let pairs = names.iter().zip(columns).map(|(name, array)| (name.as_str(), array, true));
    let seen = RecordBatch::try_from_iter_with_nullable(pairs).ok();
    let Some(seen) = seen.and_then(|seen| rename(&seen, &condition.schema).ok()) else { return HashSet::new() };
    let truth = condition.expression.evaluate(&seen, &mut Vec::new());
    let Some(truth) = truth.as_boolean_opt() else { return HashSet::new() };
    (0..truth.len()).filter(|row| truth.is_valid(*row) && truth.value(*row)).collect()
}

/// A referenced column: table and column, in lower case.
type Place = (String, String);

fn place(table: &str, column: &str) -> Place {
    (table.to_lowercase(), column.to_lowercase())
}

/// A key of the mapping: the number of its rule, and its own in it.
type KeyId = (usize, usize);

/// What is gathered while rows go by.
pub(super) struct Census<'a> {
    mapping: &'a BoundMapping,
    /// Columns that some key names, with the values that they will have.
    named: HashMap<Place, Values>,
    /// The values that each key uses.
    used: HashMap<KeyId, Values>,
    found: BTreeMap<KeyId, BrokenKey>,
    rejected: BTreeMap<String, u64>,
    /// Rules to be read again, with the values of their keys that name nothing and were not counted yet.
    open: BTreeMap<usize, HashMap<usize, Values>>,
    /// Values of named columns that went with their rows in the pass that goes on.
    gone: HashMap<Place, Values>,
    /// The keys of rows that are lost already, by rule, so that none is counted twice.
    lost: HashMap<usize, Values>,
    pass: u32,
}

impl<'a> Census<'a> {
    pub(super) fn new(mapping: &'a BoundMapping) -> Self {
        let mut named = HashMap::new();
        for key in mapping.rules.iter().flat_map(|rule| &rule.keys).filter(|key| !key.is_kept()) {
            named.entry(place(&key.table.name, &key.referenced)).or_insert_with(Values::default);
        }
        Census {
            mapping,
            named,
            used: HashMap::new(),
            found: BTreeMap::new(),
            rejected: BTreeMap::new(),
            open: BTreeMap::new(),
            gone: HashMap::new(),
            lost: HashMap::new(),
            pass: 0,
        }
    }

    /// The columns of a target table that some key names.
    pub(super) fn named_columns(&self, table: &str) -> Vec<String> {
        let own = table.to_lowercase();
        self.named.keys().filter(|(of, _)| *of == own).map(|(_, column)| column.clone()).collect()
    }

    /// Takes note of rows that the target has and keeps.
    pub(super) fn stay(&mut self, table: &str, batch: &RecordBatch) {
        for (field, array) in batch.schema().fields().iter().zip(batch.columns()) {
            if let Some(values) = self.named.get_mut(&place(table, field.name())) {
                values.add(array);
            }
        }
    }

    /// Takes note of rows as a rule would load them.
    pub(super) fn see(&mut self, rule: usize, batch: &RecordBatch) {
        let Some(bound) = self.mapping.rules.get(rule) else { return };
        self.stay(&bound.target.name, batch);
        for (at, key) in bound.keys.iter().enumerate().filter(|(_, key)| !key.is_kept()) {
            if let Some(array) = batch.column_by_name(&key.column) {
                self.used.entry((rule, at)).or_default().add(array);
            }
        }
    }

    /// Ends a pass; gives the rules that must be read once more, none when all is known.
    pub(super) fn turn(&mut self) -> Vec<usize> {
        let first = self.pass == 0;
        self.pass += 1;
        self.open.clear();
        let mut news: Vec<(KeyId, Values)> = Vec::new();
        for ((rule, at), used) in &self.used {
            let Some(key) = self.mapping.rules.get(*rule).and_then(|r| r.keys.get(*at)) else { continue };
            let place = place(&key.table.name, &key.referenced);
            let missing = if first {
                self.named.get(&place).map(|there| self.missing(key, used, there))
            } else {
                // What went in the pass before and is used here.
                self.gone.get(&place).map(|gone| used.without(&used.without(gone)))
            };
            if let Some(missing) = missing.filter(|missing| !missing.is_empty()) {
                news.push(((*rule, *at), missing));
            }
        }
        self.gone.clear();
        for ((rule, at), missing) in news {
            self.open.entry(rule).or_default().insert(at, missing);
        }
        self.open.keys().copied().collect()
    }

    /// What a key uses and is not there, after the spelling was looked at where the key asks for that.
    fn missing(&self, key: &BoundKey, used: &Values, there: &Values) -> Values {
        let mut missing = used.without(there);
        if key.steps.iter().any(|step| matches!(step, BoundStep::Spelling)) && !missing.texts.is_empty() {
            let known: HashSet<String> = there.texts.iter().map(|text| folded(text)).collect();
            missing.texts.retain(|text| !known.contains(&folded(text)));
        }
        missing
    }

    /// Counts the rows of a rule that is read once more.
    pub(super) fn count(&mut self, rule: usize, batch: &RecordBatch) {
        let (Some(bound), Some(open)) = (self.mapping.rules.get(rule), self.open.get(&rule)) else { return };
        let by_query = |table: &str| {
            self.mapping.rules.iter().any(|r| matches!(r.way, Way::Query(_)) && same_name(&r.target.name, table))
        };
        let own = match bound.target.key_columns() {
            [one] => batch.column_by_name(one).cloned(),
            _ => None,
        };
        let before = self.lost.get(&rule).zip(own.as_ref()).map(|(lost, own)| lost.rows(own)).unwrap_or_default();
        let before: HashSet<usize> = before.into_iter().collect();
        let mut lost: HashSet<usize> = HashSet::new();
        for (at, missing) in open {
            let Some(key) = bound.keys.get(*at) else { continue };
            let Some(array) = batch.column_by_name(&key.column) else { continue };
            let rows: Vec<usize> = missing.rows(array).into_iter().filter(|row| !before.contains(row)).collect();
            let zero = match column(array) {
                Column::Numbers(numbers) => {
                    let numbers = numbers.as_primitive::<Int64Type>().clone();
                    rows.iter().filter(|row| numbers.value(**row) == 0).count() as u64
                }
                _ => 0,
            };
            let found = self.found.entry((rule, *at)).or_insert_with(|| BrokenKey {
                rule: bound.name.clone(),
                column: key.column.clone(),
                to: format!("{}.{}", key.table.name, key.referenced),
                broken: 0,
                zero: 0,
                steps: key.steps.iter().map(word).collect(),
                at_most: by_query(&key.table.name),
            });
            found.broken += rows.len() as u64;
            found.zero += zero;
            if !found.at_most {
                lost.extend(lost_rows(key, batch, rows));
            }
        }
        if lost.is_empty() {
            return;
        }
        *self.rejected.entry(bound.name.clone()).or_default() += lost.len() as u64;
        let rows = arrow::array::UInt32Array::from_iter_values(lost.iter().filter_map(|row| u32::try_from(*row).ok()));
        if let Some(own) = own.and_then(|own| arrow::compute::take(&own, &rows, None).ok()) {
            self.lost.entry(rule).or_default().add(&own);
        }
        for name in self.named_columns(&bound.target.name) {
            let array =
                batch.schema().fields().iter().position(|f| same_name(f.name(), &name)).map(|i| batch.column(i));
            if let Some(gone) = array.and_then(|array| arrow::compute::take(array, &rows, None).ok()) {
                self.gone.entry(place(&bound.target.name, &name)).or_default().add(&gone);
            }
        }
    }

    /// What was found.
    pub(super) fn finish(self) -> BrokenKeys {
        BrokenKeys { keys: self.found.into_values().filter(|key| key.broken > 0).collect(), rejected: self.rejected }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{Int32Array, StringArray};
    use std::sync::Arc;

    #[test]
    fn numbers_and_texts_that_are_missing() {
        let array: ArrayRef = Arc::new(Int32Array::from(vec![Some(0), Some(-3), None, Some(7), Some(7)]));
        let other: ArrayRef = Arc::new(Int32Array::from(vec![7]));
        let (mut used, mut there) = (Values::default(), Values::default());
        used.add(&array);
        there.add(&other);
        assert_eq!(used.without(&there).rows(&array), [0, 1]);
        let texts: ArrayRef = Arc::new(StringArray::from(vec![Some("M"), None, Some("m ")]));
        let mut used = Values::default();
        used.add(&texts);
        assert_eq!(used.without(&Values::default()).rows(&texts), [0, 2]);
        assert_eq!(folded("m "), folded("M"));
    }
}
