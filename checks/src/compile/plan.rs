//! What is to be done: which tables are read, for what, and which queries are run.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use imis_databases::query::expression::Expression;
use imis_schemas::Table;

use crate::language::{CheckError, Spelling, Value};
use crate::outcome::{About, Severity, Status};

/// All checks, held against a catalogue.
pub struct Plan {
    /// The checks, with the parts that each came to.
    pub(crate) checks: Vec<About>,
    /// The parts, in the order of the checks.
    pub parts: Vec<PlannedPart>,
    /// Values that are gathered before anything is held against them: one reading a table.
    pub(crate) sets: Vec<KeySet>,
    /// One reading a table for everything that looks at one row after the other.
    pub(crate) scans: Vec<Scan>,
    /// What needs a query.
    pub(crate) queries: Vec<Query>,
    /// What the authors have to look at.
    pub errors: Vec<CheckError>,
}

/// One part of a check for one table.
pub struct PlannedPart {
    /// The check.
    pub check: usize,
    /// What exactly is wrong; may be empty.
    pub what: String,
    /// How bad it is.
    pub severity: Severity,
    /// The kind, as the language calls it.
    pub kind: &'static str,
    /// The table, as the database spells it.
    pub table: String,
    /// The columns of its key.
    pub key: Vec<String>,
    /// The column that a person would look at; may be empty.
    pub column: String,
    /// The part as one statement of SQL that gives the keys of the offending rows; empty where nothing could be made of it.
    pub sql: String,
    /// Which rows are looked at, as the pack says it; empty where all are.
    pub condition: String,
    /// What it looks for, in words.
    pub words: String,
    /// Where it stands.
    pub place: imis_schemas::document::Place,
    /// Why it is not carried out.
    pub ended: Option<(Status, String)>,
    /// Whether it counts groups of rows.
    pub(crate) groups: bool,
}

/// Values of one column of a table, gathered from the rows that meet a condition.
pub(crate) struct KeySet {
    pub(crate) table: Arc<Table>,
    pub(crate) column: String,
    pub(crate) condition: Option<(String, Expression)>,
    pub(crate) folded: bool,
}

/// Everything that one reading of a table serves.
pub(crate) struct Scan {
    pub(crate) table: Arc<Table>,
    /// The columns that are read, as the database spells them.
    pub(crate) columns: Vec<String>,
    /// Their names in lower case and their types.
    pub(crate) schema: SchemaRef,
    /// The distinct conditions of the tests.
    pub(crate) conditions: Vec<(String, Expression)>,
    pub(crate) tests: Vec<Test>,
}

/// One part, row by row.
pub(crate) struct Test {
    pub(crate) part: usize,
    /// Which of the scan's conditions chooses its rows.
    pub(crate) condition: Option<usize>,
    pub(crate) kind: TestKind,
    /// The columns of the key and the column that is shown, by name.
    pub(crate) key: Vec<String>,
    pub(crate) shown: Option<String>,
}

/// How a row is found to be wrong.
pub(crate) enum TestKind {
    /// It is wrong where this is true.
    Wrong(Expression),
    /// Its values in these columns occur in another row, too.
    Unique { columns: Vec<String>, spelling: Spelling, blank: bool },
    /// Its value is in none of these sets.
    Member(Member),
    /// It lies on a circle.
    Cycle { key: String, parent: String },
}

/// A value that must be in a set.
pub(crate) struct Member {
    pub(crate) column: String,
    /// The sets in any of which it must be.
    pub(crate) found_in: Vec<usize>,
    /// Where it is in none of these it passes all the same.
    pub(crate) but_only_of: Vec<usize>,
    pub(crate) null_refused: bool,
    pub(crate) none: Option<Value>,
}

/// One part as a query.
pub(crate) struct Query {
    pub(crate) part: usize,
    pub(crate) sql: String,
    pub(crate) tables: Vec<Arc<Table>>,
    /// The columns that it reads of each table, as the database spells them.
    pub(crate) reads: Vec<(Arc<Table>, Vec<String>)>,
    pub(crate) key: Vec<String>,
    /// Whether it tells of tables and columns, and of no rows.
    pub(crate) about_schema: bool,
    pub(crate) place: imis_schemas::document::Place,
}
