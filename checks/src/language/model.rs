//! What a pack says, once it is read.

use imis_schemas::document::{Located, Place};

use super::parameter::{Parameter, Value};
use crate::outcome::{About, Severity, SwitchedOff};

/// A pack of checks: its header and the checks of all its files, with those of the packs that it extends.
#[derive(Clone, Debug)]
pub struct Pack {
    /// Its name: `openimis/core`.
    pub name: String,
    /// A line that says what it is about.
    pub title: String,
    /// What a country may change, as it is set here; the last of one name counts.
    pub parameters: Vec<Parameter>,
    /// What is switched off, with the reason.
    pub off: Vec<SwitchedOff>,
    /// The checks, in the order of the files.
    pub checks: Vec<Check>,
    /// SHA-256 over its files.
    pub hash: String,
    /// The packs that it extends.
    pub bases: Vec<Pack>,
}

/// A check: what people know of it, and the parts that are carried out.
#[derive(Clone, Debug)]
pub struct Check {
    /// What people know of it.
    pub about: About,
    /// The pack in which this text of it stands: an overlay may change another's check.
    pub defined_in: String,
    /// Where its id stands.
    pub place: Place,
    /// What is looked for.
    pub parts: Vec<Part>,
}

impl Check {
    /// Whether an overlay has changed it.
    pub fn is_amended(&self) -> bool {
        self.defined_in != self.about.pack
    }

    /// All its texts in which parameters may stand, one after the other.
    pub fn texts(&self) -> String {
        let mut texts: Vec<&str> = Vec::new();
        for part in &self.parts {
            texts.push(&part.what);
            texts.extend(part.condition.iter().map(|condition| condition.value.as_str()));
            match &part.kind {
                Kind::References { condition, .. } => texts.extend(condition.iter().map(|c| c.value.as_str())),
                Kind::Matches { pattern: text, .. }
                | Kind::OneOf { values: Values::Parameter(text), .. }
                | Kind::Row(text)
                | Kind::Query(text) => texts.push(&text.value),
                Kind::Between { min, max, .. } => texts.extend(min.iter().chain(max).map(|bound| bound.value.as_str())),
                _ => {}
            }
        }
        texts.join("\n")
    }
}

/// One thing that is looked for in one table, or in each of several.
#[derive(Clone, Debug)]
pub struct Part {
    /// What exactly is wrong; empty where the check says it all.
    pub what: String,
    /// How bad it is, where that is not the check's severity.
    pub severity: Option<Severity>,
    /// The table or tables.
    pub scope: Scope,
    /// Which rows are looked at.
    pub condition: Option<Located<String>>,
    /// Tables and `table.column`s that the database must not have, or the part is not applicable.
    pub lacks: Vec<Located<String>>,
    /// The column that a person would look at.
    pub column: Option<Located<String>>,
    /// What is looked for.
    pub kind: Kind,
    /// Where it stands.
    pub place: Place,
}

/// Where a part looks.
#[derive(Clone, Debug)]
pub enum Scope {
    /// In a table.
    Table(Located<String>),
    /// In each of many.
    ForEach(ForEach),
}

/// Tables, columns or keys of the live catalogue, each with a part of its own.
#[derive(Clone, Debug)]
pub struct ForEach {
    /// What there is a part for.
    pub each: Each,
    /// Tables and `table.column`s that are left out.
    pub except: Vec<String>,
    /// Columns that the table must have.
    pub and_with: Vec<String>,
    /// Columns that the table pointed to must have.
    pub parent_with: Vec<String>,
    /// Where it stands.
    pub place: Place,
}

/// What there is a part for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Each {
    /// Every table that has these columns.
    TablesWith(Vec<String>),
    /// Every column whose name fits: `*UUID`.
    Columns(String),
    /// Every column that holds text.
    TextColumns,
    /// Every foreign key of one column.
    ForeignKeys {
        /// Only those that the server does not vouch for.
        untrusted: bool,
    },
}

/// How texts are held against each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Spelling {
    /// As they are.
    #[default]
    Exact,
    /// As SQL Server does: upper and lower case and blanks at the end are alike.
    Folded,
    /// What is alike folded and differs as it is.
    Differs,
}

/// A column of a table that is pointed to: `tblHF.HFID`.
#[derive(Clone, Debug)]
pub struct Target {
    /// The table.
    pub table: String,
    /// The column.
    pub column: String,
    /// Where that stands.
    pub place: Place,
}

/// What a column may hold.
#[derive(Clone, Debug)]
pub enum Values {
    /// These.
    List(Vec<Value>),
    /// The list that a parameter holds.
    Parameter(Located<String>),
}

/// What is looked for.
#[derive(Clone, Debug)]
pub enum Kind {
    /// Columns that must hold something.
    NotNull {
        /// The columns.
        columns: Vec<Located<String>>,
        /// Whether a text of blanks is nothing, too.
        blank: bool,
    },
    /// Columns in which no two rows may agree.
    Unique {
        /// The columns.
        columns: Vec<Located<String>>,
        /// How texts are compared; `Differs` keeps the groups in which two spellings occur.
        spelling: Spelling,
        /// Whether rows with NULL or an empty text are compared, too.
        blank: bool,
    },
    /// A value that must be found elsewhere.
    References {
        /// The column.
        column: Located<String>,
        /// Where it is looked for: in any of these.
        to: Vec<Target>,
        /// Which rows there count.
        condition: Option<Located<String>>,
        /// Whether NULL is a violation.
        null_refused: bool,
        /// The value that stands for nothing.
        none: Option<Value>,
        /// Whether a value that no row has at all passes; then only rows that are there and do not count are violations.
        missing_allowed: bool,
        /// How texts are compared.
        spelling: Spelling,
    },
    /// A text that must have a form.
    Matches {
        /// The column.
        column: Located<String>,
        /// A regular expression.
        pattern: Located<String>,
        /// Whether NULL is a violation.
        null_refused: bool,
    },
    /// A value that must be one of a list.
    OneOf {
        /// The column.
        column: Located<String>,
        /// The list.
        values: Values,
        /// Whether NULL is a violation.
        null_refused: bool,
        /// Whether case and blanks at the end are alike.
        folded: bool,
    },
    /// A value that must lie between two others, both included.
    Between {
        /// The column.
        column: Located<String>,
        /// The least.
        min: Option<Located<String>>,
        /// The greatest.
        max: Option<Located<String>>,
        /// Whether NULL is a violation.
        null_refused: bool,
    },
    /// Rows that agree in some columns must not overlap in time.
    NoOverlap {
        /// The columns.
        by: Vec<Located<String>>,
        /// Where a row begins.
        from: Located<String>,
        /// Where it ends; NULL is open.
        to: Located<String>,
        /// Whether the end belongs to it.
        ends_included: bool,
    },
    /// Rows must not point at each other in a circle.
    NoCycle {
        /// The key.
        key: Located<String>,
        /// What points at another row's key.
        parent: Located<String>,
    },
    /// A condition that must hold.
    Row(Located<String>),
    /// A query that gives the offending rows.
    Query(Located<String>),
}

impl Kind {
    /// The word by which the language knows it.
    pub fn word(&self) -> &'static str {
        match self {
            Kind::NotNull { .. } => "not-null",
            Kind::Unique { .. } => "unique",
            Kind::References { .. } => "references",
            Kind::Matches { .. } => "matches",
            Kind::OneOf { .. } => "one-of",
            Kind::Between { .. } => "between",
            Kind::NoOverlap { .. } => "no-overlap",
            Kind::NoCycle { .. } => "no-cycle",
            Kind::Row(_) => "row",
            Kind::Query(_) => "query",
        }
    }
}
