//! `violations.parquet`: every row that breaks a check, written while the checks run.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{
    ArrayRef, AsArray, DictionaryArray, Int32Array, Int64Array, RecordBatch, StringArray, new_null_array,
};
use arrow::compute::{cast, nullif};
use arrow::datatypes::{DataType, Int32Type, Int64Type};
use imis_checks::outcome::{Findings, Outcome, Violations};
use imis_databases::secret::is_secret_column;
use imis_databases::{Error, ErrorKind};

use super::comparison::Comparison;
use super::draft::Draft;
use super::looked::is_about_schema;
use super::previous::Previous;
use crate::folder::private_folder;
use crate::mask::{KeyMask, STARS, Values};

/// The file's name in the folder of a report.
pub(super) const VIOLATIONS: &str = "violations.parquet";
/// The name of the file with what was there in the run before and is gone.
pub(super) const GONE: &str = "gone.parquet";

/// Writes `violations.parquet` while the checks run: check, pack, severity, table, column, key column, key, key as number, value, what, and
/// whether it is new. Memory stays the same however many there are; with a previous run it takes 16 bytes more for each violation of that run.
///
/// Natural keys and values are masked unless they were asked for, secrets always. Where it is dropped unfinished nothing stays.
pub struct ViolationsFile {
    // Fields drop in this order: first the draft, then the folder that was made for it.
    file: Draft,
    gone: Option<Draft>,
    folder: Folder,
    values: Values,
    previous: Option<Previous>,
    rows: u64,
}

/// What a finished file is.
#[derive(Debug)]
pub struct Finished {
    /// The files that were written.
    pub files: Vec<PathBuf>,
    /// How many violations they hold.
    pub rows: u64,
    /// What changed since the previous run, where there is one.
    pub comparison: Option<Comparison>,
}

/// The folder of a report; if it was made for this run and the run fails, it goes again.
struct Folder {
    path: PathBuf,
    made: bool,
}

impl Drop for Folder {
    fn drop(&mut self) {
        if self.made {
            // Not empty: somebody else put something there, and it stays.
            let _ = fs::remove_dir(&self.path);
        }
    }
}

impl ViolationsFile {
    /// Begins the file in a folder, which is made (0700) if it is not there.
    ///
    /// # Errors
    /// When folder or file cannot be made.
    pub fn create(folder: &Path, values: Values, previous: Option<Previous>) -> Result<Self, Error> {
        let made = !folder.exists();
        private_folder(folder).map_err(|error| super::draft::trouble(folder, error))?;
        let folder = Folder { path: folder.to_owned(), made };
        let file = Draft::create(&folder.path, VIOLATIONS)?;
        let gone = previous.as_ref().map(|_| Draft::create(&folder.path, GONE)).transpose()?;
        Ok(ViolationsFile { file, gone, folder, values, previous, rows: 0 })
    }

    /// Ends the file. With a previous run it writes `gone.parquet` too; without one, such a file of an earlier run goes.
    ///
    /// # Errors
    /// When a file cannot be written, or those of the previous run not be read again.
    pub fn finish(self, outcome: &Outcome) -> Result<Finished, Error> {
        // The folder goes last, if it goes.
        let ViolationsFile { mut folder, file, gone, values, previous, rows } = self;
        let comparison = match (previous, gone) {
            (Some(previous), Some(mut gone)) => {
                let comparison = previous.settle(outcome, values, &mut gone)?;
                Some((comparison, gone))
            }
            _ => None,
        };
        let mut files = vec![file.finish(&outcome.run)?];
        folder.made = false;
        let comparison = match comparison {
            Some((comparison, gone)) => {
                files.push(gone.finish(&outcome.run)?);
                Some(comparison)
            }
            None => {
                let stale = folder.path.join(GONE);
                match fs::remove_file(&stale) {
                    Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                        return Err(super::draft::trouble(&stale, error));
                    }
                    _ => None,
                }
            }
        };
        Ok(Finished { files, rows, comparison })
    }
}

impl Findings for ViolationsFile {
    fn take(&mut self, of: &Violations<'_>) -> Result<(), Error> {
        let rows = of.rows.num_rows();
        if rows == 0 {
            return Ok(());
        }
        self.rows += rows as u64;
        let key = text(of.rows, "key")?.unwrap_or_else(|| StringArray::new_null(rows));
        // What is about tables and columns has no row, and so no key: the names say all.
        let about_schema = is_about_schema(of.table);
        let (table, column) = if about_schema {
            (text(of.rows, "table_name")?, text(of.rows, "column_name")?)
        } else {
            (None, (!of.column.is_empty()).then(|| repeated(of.column, rows)))
        };
        let table = table.unwrap_or_else(|| repeated(of.table, rows));
        let column = column.unwrap_or_else(|| StringArray::new_null(rows));
        let value = text(of.rows, "value")?.unwrap_or_else(|| StringArray::new_null(rows));
        let number = match of.rows.column_by_name("key_number") {
            Some(number) => cast(number, &DataType::Int64).map_err(unusable)?.as_primitive::<Int64Type>().clone(),
            None => Int64Array::new_null(rows),
        };
        let state = match &mut self.previous {
            Some(previous) => previous.judge(of, &table, &column, &key),
            None => Int32Array::new_null(rows),
        };
        let mask = KeyMask::new(of.key_columns, self.values);
        let (key, number) = masked_keys(key, number, &mask)?;
        let shown = self.values == Values::Shown && !is_secret_column(of.column);
        let value: ArrayRef = if shown { Arc::new(value) } else { Arc::new(starred(&value)) };
        self.file.write(vec![
            one_word(of.about.id.as_str(), rows),
            one_word(of.about.pack.as_str(), rows),
            one_word(of.severity.word(), rows),
            Arc::new(table),
            Arc::new(column),
            one_word(of.key_columns.join(", ").as_str(), rows),
            Arc::new(key),
            Arc::new(number),
            value,
            one_word(of.what, rows),
            states(state),
        ])
    }
}

/// Keys and their numbers as people may see them.
fn masked_keys(key: StringArray, number: Int64Array, mask: &KeyMask) -> Result<(StringArray, Int64Array), Error> {
    let hides = |text: &str| matches!(mask.key(text), shown if *shown != *text);
    if !key.iter().flatten().any(hides) {
        return Ok((key, number));
    }
    let hidden = key.iter().map(|text| text.map(hides));
    let number = nullif(&number, &hidden.collect()).map_err(unusable)?.as_primitive::<Int64Type>().clone();
    Ok((key.iter().map(|text| text.map(|text| mask.key(text))).collect(), number))
}

/// Stars wherever there is a value.
pub(super) fn starred(values: &StringArray) -> StringArray {
    values.iter().map(|value| value.map(|_| STARS)).collect()
}

fn repeated(text: &str, rows: usize) -> StringArray {
    std::iter::repeat_n(Some(text), rows).collect()
}

/// A text that is the same in all rows; NULL where it is empty.
fn one_word(text: &str, rows: usize) -> ArrayRef {
    let keys = if text.is_empty() { Int32Array::new_null(rows) } else { Int32Array::from_value(0, rows) };
    worded(keys, &[text])
}

/// The words of states: see [`Previous::judge`].
pub(super) fn states(state: Int32Array) -> ArrayRef {
    worded(state, &["new", "still", "gone"])
}

pub(super) fn worded(keys: Int32Array, words: &[&str]) -> ArrayRef {
    let rows = keys.len();
    let words: ArrayRef = Arc::new(words.iter().map(|word| Some(*word)).collect::<StringArray>());
    match DictionaryArray::<Int32Type>::try_new(keys, words) {
        Ok(array) => Arc::new(array),
        Err(_) => new_null_array(&DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8)), rows),
    }
}

/// A column of texts, whatever kind of text it is.
pub(super) fn text(rows: &RecordBatch, name: &str) -> Result<Option<StringArray>, Error> {
    let Some(column) = rows.column_by_name(name) else { return Ok(None) };
    let column = cast(column, &DataType::Utf8).map_err(unusable)?;
    Ok(column.as_string_opt::<i32>().cloned())
}

pub(super) fn unusable(error: arrow::error::ArrowError) -> Error {
    Error::new(ErrorKind::Failed, "violations cannot be written: a column has another type than it should")
        .caused_by(error)
}
