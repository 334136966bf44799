//! What a run of checks found: a result a check, with counts and a few examples. All violations go to a [`Findings`] while they are found.

use std::fmt;

use arrow::record_batch::RecordBatch;
use imis_databases::Error;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

/// How bad it is. The order is that of the words: a blocker is the worst.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Good to know.
    Info,
    /// To be looked at.
    Warning,
    /// Wrong.
    Error,
    /// Stops a migration, or the backend.
    Blocker,
}

/// What kind of quality is missing, after Kahn and others (2016).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kahn {
    /// Values do not keep to form, keys or rules.
    Conformance,
    /// Values are missing.
    Completeness,
    /// Values are there, well formed, and cannot be true.
    Plausibility,
}

/// What became of a check, or of a part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// No row breaks it.
    Passed,
    /// Rows break it.
    Failed,
    /// The database does not have what it is about.
    NotApplicable,
    /// It could not be carried out.
    Errored,
}

macro_rules! words {
    ($type:ty, $($variant:ident => $word:literal),+) => {
        impl $type {
            /// The word as it is written in files.
            pub fn word(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }
        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.word())
            }
        }
    };
}
words!(Severity, Info => "info", Warning => "warning", Error => "error", Blocker => "blocker");
words!(Kahn, Conformance => "conformance", Completeness => "completeness", Plausibility => "plausibility");
words!(Status, Passed => "passed", Failed => "failed", NotApplicable => "not-applicable", Errored => "errored");

/// A check as people know it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    /// `I1`.
    pub id: String,
    /// `openimis/core`.
    pub pack: String,
    /// What is wrong where it fails, in a sentence.
    pub title: String,
    /// How bad that is.
    pub severity: Severity,
    /// What kind of quality is missing.
    pub kahn: Kahn,
    /// Why it matters.
    pub why: String,
    /// What to do about it.
    pub fix: String,
    /// Where the rule comes from.
    pub source: String,
    /// Words by which it is chosen.
    pub tags: Vec<String>,
}

/// A row that breaks a check, as an example. Values are as the database holds them: whoever prints them masks them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Example {
    /// The table, as the database spells it.
    pub table: String,
    /// The key's columns and values; empty where the table has no key, or a table or column as a whole is meant.
    pub key: Vec<(String, String)>,
    /// The column that a person would look at; empty where the row as a whole is meant.
    pub column: String,
    /// What stands there; `None` for NULL and where there is no column.
    pub value: Option<String>,
    /// What exactly is wrong, where the check has several parts.
    pub what: String,
}

/// What became of one part of a check: one table, one kind.
#[derive(Clone, Debug)]
pub struct PartResult {
    /// What exactly it looks for; empty where the check says it all.
    pub what: String,
    /// How bad it is; the check's unless the part has its own.
    pub severity: Severity,
    /// The table, as the database spells it (or as the pack does, where it is not there).
    pub table: String,
    /// The column that a person would look at; may be empty.
    pub column: String,
    /// What became of it.
    pub status: Status,
    /// How many rows break it.
    pub violations: u64,
    /// Groups of rows that share what they should not; `None` where rows stand alone.
    pub groups: Option<u64>,
    /// How many rows were looked at (those that its condition chose); `None` for queries, which do not say.
    pub rows: Option<u64>,
    /// Why it is not applicable, or errored.
    pub reason: Option<String>,
}

/// What became of a check.
#[derive(Clone, Debug)]
pub struct CheckResult {
    /// The check.
    pub about: About,
    /// The worst of its parts: errored, failed, passed, not applicable.
    pub status: Status,
    /// How many violations: rows of each part. A row that breaks two parts counts twice.
    pub violations: u64,
    /// Groups of rows that share what they should not, where parts know them.
    pub groups: Option<u64>,
    /// How many rows its parts looked at.
    pub rows: u64,
    /// Why it is not applicable, or errored.
    pub reason: Option<String>,
    /// Its parts.
    pub parts: Vec<PartResult>,
    /// The first rows that break it, a handful.
    pub examples: Vec<Example>,
}

/// A pack that was run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackUsed {
    /// `openimis/core`, or a file.
    pub name: String,
    /// What it is about.
    pub title: String,
    /// SHA-256 of its texts.
    pub hash: String,
}

/// A check that an overlay switched off.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SwitchedOff {
    /// The check.
    pub id: String,
    /// Why.
    pub why: String,
}

/// A table that was read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableRead {
    /// Its name, as the database spells it.
    pub table: String,
    /// How many rows.
    pub rows: u64,
    /// Rows that were there and could not be read; no check saw them.
    pub refused: u64,
}

/// A run of checks.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The run's name, unique.
    pub run: String,
    /// The database, without a password.
    pub location: String,
    /// Its product: `SQL Server`, `PostgreSQL`.
    pub engine: String,
    /// The day that counts as today.
    pub as_of: Date,
    /// When it began, UTC.
    pub started: jiff::Timestamp,
    /// How long it took.
    pub seconds: f64,
    /// The packs.
    pub packs: Vec<PackUsed>,
    /// Parameters by name, as they were used.
    pub parameters: Vec<(String, String)>,
    /// What was switched off.
    pub off: Vec<SwitchedOff>,
    /// What became of each check, in the packs' order.
    pub results: Vec<CheckResult>,
    /// The tables that were read.
    pub tables: Vec<TableRead>,
    /// Remarks.
    pub notes: Vec<String>,
}

impl Outcome {
    /// How many checks ended so.
    pub fn count(&self, status: Status) -> usize {
        self.results.iter().filter(|result| result.status == status).count()
    }

    /// The worst severity of what failed.
    pub fn worst(&self) -> Option<Severity> {
        let parts = self.results.iter().flat_map(|result| &result.parts);
        parts.filter(|part| part.status == Status::Failed).map(|part| part.severity).max()
    }
}

/// Takes all violations while they are found, in batches of at most some thousand rows.
///
/// Each batch belongs to one part of one check and has these columns: `key`, the row's key as text (the value where the
/// key is one column, else a JSON object; null where there is none), `key_number` (Int64, where the key is one whole number), `value` (Utf8, what stands in the part's column).
/// Values are as the database holds them: whoever writes them masks them.
pub trait Findings: Send {
    /// Takes a batch.
    ///
    /// # Errors
    /// When it cannot be written.
    fn take(&mut self, violations: &Violations<'_>) -> Result<(), Error>;
}

/// Violations of one part of one check.
pub struct Violations<'a> {
    /// The check.
    pub about: &'a About,
    /// How bad they are.
    pub severity: Severity,
    /// What exactly is wrong; may be empty.
    pub what: &'a str,
    /// The table.
    pub table: &'a str,
    /// The names of the key's columns.
    pub key_columns: &'a [String],
    /// The column that a person would look at; may be empty. Schema-level findings have one a row: see `columns`.
    pub column: &'a str,
    /// The rows: `key`, `key_number`, `value`. Where the violations are about tables and columns, not rows: `table_name`, `column_name`.
    pub rows: &'a RecordBatch,
}

/// Whoever does not want the violations but only their counts.
pub struct Dropped;

impl Findings for Dropped {
    fn take(&mut self, _: &Violations<'_>) -> Result<(), Error> {
        Ok(())
    }
}
