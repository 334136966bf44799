//! What a verification found.

use std::collections::BTreeMap;

use imis_databases::{Consistency, Reading};
use serde::{Deserialize, Serialize};

/// The version of the outcome's shape, as it stands in `summary.json`.
pub const FORMAT: u32 = 1;

/// What was held against what.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// A source against the target of its migration, under a mapping.
    Migration,
    /// Two databases of one shape.
    SameShape,
}

/// The outcome of a verification.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Verification {
    /// The version of this shape, [`FORMAT`].
    pub imis: u32,
    /// What was held against what.
    pub mode: Mode,
    /// One side, without user and password.
    pub from: String,
    /// The other.
    pub to: String,
    /// The mapping.
    pub mapping: Option<String>,
    /// The run that the target remembers, whose rejects and repairs explain differences.
    pub run: Option<String>,
    /// When it began and ended, UTC.
    pub started: String,
    /// When it ended.
    pub finished: String,
    /// What could be relied on while `from` was read.
    pub from_consistency: Consistency,
    /// What could be relied on while `to` was read.
    pub to_consistency: Consistency,
    /// Who vouches for that of `from`, and its count of changes before the first read and after the last one.
    #[serde(default)]
    pub from_reading: Reading,
    /// The same of `to`.
    #[serde(default)]
    pub to_reading: Reading,
    /// Whether only a part of the rows was compared.
    pub sample: bool,
    /// By table.
    pub tables: Vec<TableVerdict>,
    /// Totals of columns, each computed by the servers themselves.
    pub totals: Vec<ColumnTotal>,
    /// Totals by business area.
    pub areas: Vec<AreaTotal>,
    /// Rows that differ: the first of each table.
    pub differences: Vec<Difference>,
    /// Tables and columns that only one side has, and types that do not meet.
    pub shape: Vec<String>,
    /// What else the reader must know.
    pub notes: Vec<String>,
}

impl Verification {
    /// The names of the databases to which somebody wrote while they were read, although they were to stand still.
    pub fn disturbed(&self) -> Vec<&str> {
        let ends = [
            (&self.from, self.from_consistency, &self.from_reading),
            (&self.to, self.to_consistency, &self.to_reading),
        ];
        ends.into_iter()
            .filter(|(_, level, reading)| reading.is_disturbed(*level))
            .map(|(name, ..)| name.as_str())
            .collect()
    }

    /// Whether nothing differs, or only what a named rule explains, and what was to stand still did.
    pub fn holds(&self) -> bool {
        self.disturbed().is_empty() && self.is_equal()
    }

    /// Whether nothing differs in what was read, or only what a named rule explains.
    pub fn is_equal(&self) -> bool {
        self.shape.is_empty()
            && self.tables.iter().all(|table| table.unexplained() == 0)
            && self.totals.iter().all(|total| !total.status.differs())
            && self.areas.iter().all(|area| !area.status.differs())
    }

    /// Rows that differ without a reason.
    pub fn unexplained(&self) -> u64 {
        self.tables.iter().map(TableVerdict::unexplained).sum()
    }

    /// Rows that differ, or are not there, by a named rule.
    pub fn explained(&self) -> u64 {
        self.tables.iter().map(TableVerdict::explained).sum()
    }
}

/// What was found in one table. A row stands in one of the counts of differences only.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TableVerdict {
    /// The table.
    pub table: String,
    /// The rules that fill it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<String>,
    /// Rows that should be there: what the source, through the mapping, brings.
    pub from_rows: u64,
    /// Rows that are there.
    pub to_rows: u64,
    /// Rows that are equal on both sides.
    pub equal: u64,
    /// Rows that only `from` has, without a reason.
    pub missing: u64,
    /// Rows that only `to` has, without a reason.
    pub extra: u64,
    /// Rows of which a cell differs, without a reason.
    pub changed: u64,
    /// Rows that stand more often on one side, without a reason.
    pub doubled: u64,
    /// Rows that could not be read or mapped, and nothing says that they were rejected.
    pub unreadable: u64,
    /// Rows, or values of rows, that a named rule explains: by its name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub explained: BTreeMap<String, u64>,
    /// Values that the mapping changed by name before they were compared, by column and name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub losses: Vec<Loss>,
    /// Columns that were not compared, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<LeftOut>,
    /// Whether only a part of the rows was compared.
    pub sampled: bool,
    /// How long it took.
    pub seconds: f64,
}

impl TableVerdict {
    /// Rows that differ without a reason.
    pub fn unexplained(&self) -> u64 {
        self.missing + self.extra + self.changed + self.doubled + self.unreadable
    }

    /// Rows that differ for a reason.
    pub fn explained(&self) -> u64 {
        self.explained.values().sum()
    }
}

/// Values that a mapping changed by name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Loss {
    /// The column.
    pub column: String,
    /// The name: `time-of-day`, `too-long`.
    pub name: String,
    /// How many.
    pub values: u64,
}

/// A column that was not compared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOut {
    /// The column.
    pub column: String,
    /// Why.
    pub why: String,
}

/// How a row differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DifferenceKind {
    /// Only `from` has it.
    Missing,
    /// Only `to` has it.
    Extra,
    /// A cell differs.
    Changed,
    /// One side has it more often.
    Doubled,
    /// It could not be read or mapped.
    Unreadable,
}

impl DifferenceKind {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            DifferenceKind::Missing => "missing",
            DifferenceKind::Extra => "extra",
            DifferenceKind::Changed => "changed",
            DifferenceKind::Doubled => "doubled",
            DifferenceKind::Unreadable => "unreadable",
        }
    }
}

/// A row that differs. It holds values of cells: whoever shows them masks them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Difference {
    /// The table.
    pub table: String,
    /// The rule that makes the row.
    pub rule: Option<String>,
    /// How it differs.
    pub kind: DifferenceKind,
    /// The row's key in the target's columns; empty where the table has none.
    pub key: Vec<(String, String)>,
    /// The cells that differ; all cells of a row without key.
    pub cells: Vec<CellDifference>,
    /// How often `from` has the row.
    pub from_times: u64,
    /// How often `to` has the row.
    pub to_times: u64,
    /// The rule that explains it: `rejected`, `dangling-to-null`.
    pub explained: Option<String>,
    /// What there is to say about it beside that; no value of a cell.
    pub why: Option<String>,
}

/// A cell that differs; `None` is NULL, or that the side has no such row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CellDifference {
    /// The column.
    pub column: String,
    /// What `from` has.
    pub from: Option<String>,
    /// What `to` has.
    pub to: Option<String>,
}

/// Whether two totals agree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "is", content = "why")]
pub enum Status {
    /// They do.
    Equal,
    /// They do not, and this is why.
    Explained(String),
    /// They do not.
    Differs,
    /// They could not be held against each other, and this is why.
    NotComputed(String),
}

impl Status {
    /// Whether they differ without a reason.
    pub fn differs(&self) -> bool {
        *self == Status::Differs
    }
}

/// A total of a column, by both servers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ColumnTotal {
    /// The table.
    pub table: String,
    /// The column; empty for the number of rows.
    pub column: String,
    /// What: `rows`, `nulls`, `sum`, `least`, `greatest`, `distinct`.
    pub total: String,
    /// What `from` says.
    pub from: Option<String>,
    /// What `to` says.
    pub to: Option<String>,
    /// Whether they agree.
    pub status: Status,
}

/// A total by business area.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AreaTotal {
    /// The area: People, Claims.
    pub area: String,
    /// What is counted: `Claims by status and month`.
    pub title: String,
    /// The table.
    pub table: String,
    /// The names of the figures: `rows`, `sum of Claimed`.
    pub figures: Vec<String>,
    /// All groups taken together, figure by figure.
    pub from: Vec<Option<String>>,
    /// The same of the other side.
    pub to: Vec<Option<String>>,
    /// How many groups there are.
    pub groups: u64,
    /// The groups that differ: the first of them.
    pub differing: Vec<Group>,
    /// How many differ.
    pub differ: u64,
    /// Whether they agree.
    pub status: Status,
}

/// One group of a total that differs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Group {
    /// Names and values.
    pub by: Vec<(String, Option<String>)>,
    /// The figures of `from`; empty where it has no such group.
    pub from: Vec<Option<String>>,
    /// The figures of `to`.
    pub to: Vec<Option<String>>,
}
