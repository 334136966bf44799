//! Two runs of checks side by side: what is new, what is gone, what is still there.
//!
//! A violation is the same in both runs if check, part, table, key and column are. Of the run before, a fingerprint of 16 bytes is
//! held for each violation, with a bit that says whether it was met again. Rows whose key is masked in that run's file, or that
//! have no key, cannot be told one by one: they are counted on both sides.

use std::collections::HashMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use arrow::array::{Array, Int32Array, StringArray};
use imis_checks::outcome::{Outcome, Status, Violations};
use imis_databases::{Error, ErrorKind};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReaderBuilder, RowSelection, RowSelector};
use serde::Deserialize;

use super::comparison::{Change, CheckChange, Comparison};
use super::draft::{Draft, RUN};
use super::fingerprint::{Fingerprints, PartKey};
use super::gone::Gone;
use super::looked::{Looked, is_about_schema};
use super::violations::{VIOLATIONS, text};
use crate::mask::{KeyMask, Values};

/// What is read of the `summary.json` of a run.
#[derive(Debug, Deserialize)]
struct Summary {
    run: String,
    location: String,
    engine: String,
    as_of: String,
    started: String,
    values: String,
    packs: Vec<Pack>,
    checks: Vec<Check>,
}

#[derive(Debug, Deserialize)]
struct Pack {
    name: String,
    hash: String,
}

#[derive(Debug, Deserialize)]
struct Check {
    id: String,
    status: Status,
    violations: u64,
    parts: Vec<Part>,
}

#[derive(Debug, Deserialize)]
struct Part {
    what: String,
    table: String,
    column: String,
    status: Status,
}

/// An earlier run of checks: the folder of its report.
#[derive(Debug)]
pub struct Previous {
    folder: PathBuf,
    summary: Summary,
    looked: Looked,
    values: Values,
    /// Its violations, and whether they were met again.
    known: Fingerprints,
    changes: HashMap<String, Change>,
}

const NEW: i32 = 0;
const STILL: i32 = 1;

impl Previous {
    /// Opens the report of an earlier run.
    ///
    /// # Errors
    /// When the folder holds no report of checks, or one of a later version ([`ErrorKind::Usage`]), or its files do not belong
    /// together or are damaged ([`ErrorKind::Data`]).
    pub fn open(folder: &Path) -> Result<Self, Error> {
        let summary = summary(folder)?;
        let mut looked = Looked::default();
        for check in &summary.checks {
            for part in &check.parts {
                looked.note(&check.id, &part.what, &part.table, &part.column, part.status);
            }
        }
        let values = if summary.values == "shown" { Values::Shown } else { Values::Masked };
        let mut previous = Previous {
            folder: folder.to_owned(),
            summary,
            looked,
            values,
            known: Fingerprints::default(),
            changes: HashMap::new(),
        };
        let mut known = Vec::new();
        let (reader, rows) = previous.violations(Some(IDENTITY))?;
        // The file says how many rows it has; whether that is so is seen while it is read.
        let _ = known.try_reserve(usize::try_from(rows).unwrap_or(usize::MAX).min(1 << 26));
        let mut read = 0_u64;
        for batch in reader.build().map_err(|e| damaged(&previous.folder, e))? {
            let batch = batch.map_err(|e| damaged(&previous.folder, e))?;
            read += batch.num_rows() as u64;
            let rows = Rows::of(&previous.folder, &batch)?;
            rows.each(&previous.looked, |part, key| known.extend(part.fingerprint(key)));
        }
        let counted: u64 = previous.summary.checks.iter().map(|check| check.violations).sum();
        if read != counted {
            return Err(Error::new(
                ErrorKind::Data,
                format!(
                    "{} counts {counted} violations, {VIOLATIONS} has {read}",
                    previous.folder.join(SUMMARY).display()
                ),
            )
            .with_help("the files of the folder are not of one run; check again with --report"));
        }
        previous.known = Fingerprints::of(known);
        Ok(previous)
    }

    /// The database of that run.
    pub fn location(&self) -> &str {
        &self.summary.location
    }

    /// Tells for each row of a batch whether it is new (0), still there (1), or nobody can know (NULL).
    pub(super) fn judge(
        &mut self,
        of: &Violations<'_>,
        table: &StringArray,
        column: &StringArray,
        key: &StringArray,
    ) -> Int32Array {
        let (id, what) = (of.about.id.as_str(), of.what);
        let mask = KeyMask::new(of.key_columns, self.values);
        let about_schema = is_about_schema(of.table);
        let (looked, known) = (&self.looked, &mut self.known);
        let mut change = Change::default();
        let mut part = PartKey::new(id, what, of.table, of.column, about_schema);
        let mut at = looked.at(id, what, of.table, of.column);
        let states = (0..key.len()).map(|row| {
            if about_schema {
                let (table, column) = (text_at(table, row), text_at(column, row));
                part = PartKey::new(id, what, table, column, true);
                at = looked.at(id, what, table, column);
            }
            if !at {
                change.only_now += 1;
                return None;
            }
            // As that run would have written it.
            let key = (!key.is_null(row)).then(|| mask.key(key.value(row)));
            let Some(fingerprint) = part.fingerprint(key.as_deref()) else {
                change.counted_now += 1;
                return None;
            };
            if known.meet(fingerprint) {
                change.still += 1;
                Some(STILL)
            } else {
                change.new += 1;
                Some(NEW)
            }
        });
        let states = states.collect();
        self.changes.entry(id.to_owned()).or_default().add(&change);
        states
    }

    /// Writes down what is gone, and says what changed.
    pub(super) fn settle(mut self, outcome: &Outcome, values: Values, file: &mut Draft) -> Result<Comparison, Error> {
        let mut looked_now = Looked::default();
        for result in &outcome.results {
            for part in &result.parts {
                looked_now.note(&result.about.id, &part.what, &part.table, &part.column, part.status);
            }
        }
        let selection = self.unmet(&looked_now)?;
        if selection.iter().any(|rows| !rows.skip) {
            let mask = (self.values == Values::Shown && values == Values::Masked).then_some(values);
            let mut gone = Gone::new(file, mask);
            for batch in self
                .violations(None)?
                .0
                .with_row_selection(RowSelection::from(selection))
                .build()
                .map_err(|e| damaged(&self.folder, e))?
            {
                gone.take(&batch.map_err(|e| damaged(&self.folder, e))?)?;
            }
        }
        Ok(self.comparison(outcome))
    }

    /// Counts what was not met again, and says which rows of the file are gone.
    fn unmet(&mut self, looked_now: &Looked) -> Result<Vec<RowSelector>, Error> {
        let mut selection: Vec<RowSelector> = Vec::new();
        let mut last: Option<(u64, bool)> = None;
        let (reader, _) = self.violations(Some(IDENTITY))?;
        for batch in reader.build().map_err(|e| damaged(&self.folder, e))? {
            let rows = Rows::of(&self.folder, &batch.map_err(|e| damaged(&self.folder, e))?)?;
            let (known, changes) = (&self.known, &mut self.changes);
            rows.each(&self.looked, |part, key| {
                let at = match last {
                    Some((seed, at)) if seed == part.seed => at,
                    _ => looked_now.at(&part.check, &part.what, &part.table, &part.column),
                };
                last = Some((part.seed, at));
                let (count, skip): (fn(&mut Change) -> &mut u64, bool) = match (at, part.fingerprint(key)) {
                    (true, Some(fingerprint)) if known.was_met(fingerprint) => return add(&mut selection, true),
                    (true, Some(_)) => (|change| &mut change.gone, false),
                    (true, None) => (|change| &mut change.counted_before, true),
                    (false, _) => (|change| &mut change.only_before, true),
                };
                add(&mut selection, skip);
                match changes.get_mut(&part.check) {
                    Some(change) => *count(change) += 1,
                    None => *count(changes.entry(part.check.clone()).or_default()) += 1,
                }
            });
        }
        Ok(selection)
    }

    fn comparison(mut self, outcome: &Outcome) -> Comparison {
        let before: HashMap<&str, Status> = self.summary.checks.iter().map(|c| (c.id.as_str(), c.status)).collect();
        let mut total = Change::default();
        self.changes.values().for_each(|change| total.add(change));
        let ids = outcome.results.iter().map(|result| result.about.id.as_str());
        let ids = ids.chain(self.summary.checks.iter().map(|check| check.id.as_str()));
        let mut checks: Vec<CheckChange> = Vec::new();
        let mut listed = std::collections::HashSet::new();
        for id in ids.filter(|id| listed.insert(*id)) {
            let change = self.changes.remove(id).unwrap_or_default();
            checks.push(CheckChange { id: id.to_owned(), before: before.get(id).copied(), change });
        }
        let notes = notes(&self.summary, outcome, &total);
        let Summary { run, location, as_of, started, .. } = self.summary;
        Comparison { run, location, as_of, started, total, checks, notes }
    }

    /// The rows of its violations, all columns or some, and how many the file says there are.
    fn violations(&self, columns: Option<[&str; 5]>) -> Result<(ParquetRecordBatchReaderBuilder<File>, u64), Error> {
        let path = self.folder.join(VIOLATIONS);
        let file =
            File::open(&path).map_err(|e| no_report(&self.folder, &format!("it has no {VIOLATIONS}")).caused_by(e))?;
        let mut builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(|e| damaged(&self.folder, e))?;
        let metadata = builder.metadata().file_metadata();
        let rows = u64::try_from(metadata.num_rows()).unwrap_or_default();
        let run = metadata.key_value_metadata().and_then(|pairs| pairs.iter().find(|pair| pair.key == RUN));
        if run.and_then(|pair| pair.value.as_deref()) != Some(self.summary.run.as_str()) {
            let message = format!("{VIOLATIONS} and {SUMMARY} in {} are not of one run", self.folder.display());
            return Err(Error::new(ErrorKind::Data, message).with_help("check again with --report"));
        }
        if let Some(columns) = columns {
            let mask = ProjectionMask::columns(builder.parquet_schema(), columns);
            builder = builder.with_projection(mask);
        }
        Ok((builder.with_batch_size(8192), rows))
    }
}

/// The columns that tell one violation from another.
const IDENTITY: [&str; 5] = ["check", "what", "table", "column", "key"];

/// The summary's name in the folder of a report.
const SUMMARY: &str = "summary.json";

fn summary(folder: &Path) -> Result<Summary, Error> {
    let path = folder.join(SUMMARY);
    let text = fs::read_to_string(&path)
        .map_err(|e| no_report(folder, &format!("it has no {SUMMARY} to read")).caused_by(e))?;
    let json: serde_json::Value = serde_json::from_str(&text)
        .map_err(|e| no_report(folder, &format!("its {SUMMARY} is no JSON")).caused_by(e))?;
    let version = json.get("imis").and_then(serde_json::Value::as_u64);
    if version.is_some_and(|version| version > u64::from(super::summary::FORMAT)) {
        return Err(Error::new(
            ErrorKind::Usage,
            format!("the report in {} is of a later version of imis", folder.display()),
        )
        .with_help("use that version, or make the report again"));
    }
    if version.is_none() || json.get("checks").is_none() {
        return Err(no_report(folder, &format!("its {SUMMARY} is of something else")));
    }
    serde_json::from_value(json)
        .map_err(|e| no_report(folder, &format!("its {SUMMARY} lacks what a comparison needs")).caused_by(e))
}

fn no_report(folder: &Path, why: &str) -> Error {
    Error::new(ErrorKind::Usage, format!("{} is no report of checks: {why}", folder.display()))
        .with_help("--compare takes the folder that an earlier `imis check --report` wrote")
}

fn damaged(folder: &Path, cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::new(ErrorKind::Data, format!("{} is damaged", folder.join(VIOLATIONS).display())).caused_by(cause)
}

/// Adds a row to those that are skipped, or not.
fn add(selection: &mut Vec<RowSelector>, skip: bool) {
    match selection.last_mut() {
        Some(last) if last.skip == skip => last.row_count += 1,
        _ => selection.push(if skip { RowSelector::skip(1) } else { RowSelector::select(1) }),
    }
}

fn notes(before: &Summary, outcome: &Outcome, total: &Change) -> Vec<String> {
    let mut notes = Vec::new();
    if before.location != outcome.location {
        let product = if before.engine == outcome.engine { String::new() } else { format!(" ({})", before.engine) };
        notes.push(format!(
            "the run before was on {}{product}: rows belong together by their keys, if it is the same database elsewhere",
            before.location
        ));
    }
    let changed: Vec<&str> = outcome
        .packs
        .iter()
        .filter(|pack| before.packs.iter().any(|other| other.name == pack.name && other.hash != pack.hash))
        .map(|pack| pack.name.as_str())
        .collect();
    if !changed.is_empty() {
        notes.push(format!(
            "{} changed between the runs: what is new or gone may be so because a check is another one",
            changed.join(", ")
        ));
    }
    if total.counted_before + total.counted_now > 0 {
        notes.push(
            "rows without a key, or whose key is masked, cannot be told one by one: they are counted, and a row that was mended \
             hides one that broke"
                .to_owned(),
        );
    }
    if total.only_before + total.only_now > 0 {
        notes.push("checks that only one of the two runs carried out are not compared".to_owned());
    }
    notes
}

/// The text of a row; empty where it has none.
fn text_at(column: &StringArray, row: usize) -> &str {
    if column.is_null(row) { "" } else { column.value(row) }
}

/// The columns of a batch that tell one violation from another.
struct Rows {
    check: StringArray,
    what: StringArray,
    table: StringArray,
    column: StringArray,
    key: StringArray,
}

impl Rows {
    fn of(folder: &Path, batch: &arrow::array::RecordBatch) -> Result<Self, Error> {
        let column = |name: &str| {
            let missing =
                || Error::new(ErrorKind::Data, format!("{} has no column {name}", folder.join(VIOLATIONS).display()));
            text(batch, name)?.ok_or_else(missing)
        };
        Ok(Rows {
            check: column("check")?,
            what: column("what")?,
            table: column("table")?,
            column: column("column")?,
            key: column("key")?,
        })
    }

    /// Each row with its part and its key. Rows of a part mostly stand together.
    fn each(&self, looked: &Looked, mut visit: impl FnMut(&PartKey, Option<&str>)) {
        let mut part: Option<PartKey> = None;
        for row in 0..self.key.len() {
            let (check, what) = (text_at(&self.check, row), text_at(&self.what, row));
            let (table, column) = (text_at(&self.table, row), text_at(&self.column, row));
            let current = match part.take() {
                Some(part) if part.is(check, what, table, column) => part,
                _ => PartKey::new(check, what, table, column, looked.is_about_schema(check, what)),
            };
            visit(&current, (!self.key.is_null(row)).then(|| self.key.value(row)));
            part = Some(current);
        }
    }
}
