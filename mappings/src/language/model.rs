//! What a mapping says, once it is read.

use imis_schemas::document::{Located, Place};

use super::migrations::ModuleMigrations;

/// A whole mapping: header and rules of all its files.
#[derive(Debug)]
pub struct Mapping {
    /// Its name: `openimis/legacy-to-modular`.
    pub name: String,
    /// A line that says what it does.
    pub title: String,
    /// The schema family that it reads: `legacy`.
    pub from: String,
    /// The schema family that it writes: `modular`.
    pub to: String,
    /// Whether the target must have Django's migrations behind it (`true`) or before it (`false`), where that is said.
    pub migrated: Option<bool>,
    /// The pack that completes a run of this one once Django's migrations have run.
    pub complete: Option<String>,
    /// The pack that this one completes; then it need not decide what becomes of every source table.
    pub completes: Option<String>,
    /// Target columns that are loosened before the first row, because Django's migrations will do it anyway.
    pub loosen: Vec<Loosened>,
    /// The known release whose tables stand in, without rows, for tables that an older source lacks, in queries.
    pub reference: Option<String>,
    /// Target tables in which a row means that the target is in use already.
    pub unused: Vec<Located<String>>,
    /// Source tables that are not carried over, with the reason.
    pub leave_tables: Vec<(Located<String>, String)>,
    /// What the target's own migrations would have done to rows, by module.
    pub migrations: Vec<ModuleMigrations>,
    /// Tables of the source's release that this country has no longer, with the reason.
    pub absent_tables: Vec<(Located<String>, String)>,
    /// The rules, in the order of the files.
    pub rules: Vec<Rule>,
    /// The repairs, in the order of the files.
    pub repairs: Vec<Repair>,
    /// SHA-256 over all its files.
    pub hash: String,
}

/// A target column that is to hold more than it does.
#[derive(Clone, Debug)]
pub struct Loosened {
    /// The table.
    pub table: String,
    /// The column.
    pub column: String,
    /// How many characters it will hold.
    pub length: Option<u32>,
    /// Whether it will take NULL.
    pub nullable: bool,
    /// Where that is said.
    pub place: Place,
}

/// One rule: rows from somewhere into one table.
#[derive(Debug)]
pub struct Rule {
    /// Its name, unique in the mapping.
    pub name: Located<String>,
    /// Where its rows come from.
    pub from: Origin,
    /// The table that they go to.
    pub to: Located<String>,
    /// Whether it is a rule of the pack that this mapping extends, as that pack wrote it.
    pub of_base: bool,
    /// Whether the rule is passed over where the target lacks the table.
    pub optional_target: bool,
    /// The reason why an older source may lack the table; then the rule has no rows.
    pub may_be_missing: Option<String>,
    /// What target columns get, where it is not the source column of the same name.
    pub columns: Vec<(Located<String>, ColumnRule)>,
    /// Source columns that are not carried over, with the reason.
    pub leave: Vec<(Located<String>, String)>,
    /// Source columns that are carried by name if the target has the column, and left with this reason otherwise.
    pub leave_if_absent: Vec<(Located<String>, String)>,
    /// Columns of the source's release that this country has no longer, with the reason.
    pub absent: Vec<(Located<String>, String)>,
    /// Which rows come along.
    pub filter: Option<Filter>,
    /// What becomes of rows that the target already has.
    pub existing: Existing,
    /// The keys that must hold, by column.
    pub keys: Vec<(Located<String>, KeyRule)>,
    /// Columns that must be unique together.
    pub uniques: Vec<UniqueRule>,
    /// Whether it runs only when the keys of all other rules hold.
    pub after_keys: bool,
    /// What the reader of the report must know when the rule brought a row.
    pub note: Option<String>,
    /// What the reader of the report must know about rows that are there after the run.
    pub tell: Option<Tell>,
}

/// Something to be told about rows: how many a query finds, and their keys.
#[derive(Clone, Debug)]
pub struct Tell {
    /// The query; its first column is the key.
    pub query: Located<String>,
    /// What to say; `{count}` stands for how many.
    pub text: String,
}

/// Where the rows of a rule come from.
#[derive(Debug)]
pub enum Origin {
    /// A source table: the first of these that is there.
    Table(Vec<Located<String>>),
    /// The result of a query, accounted against a source table: its rows that are not in the result are filtered.
    TableQuery {
        /// The table.
        table: Located<String>,
        /// The query.
        query: Located<String>,
    },
    /// The result of a query: rows that no source row is.
    Query(Located<String>),
}

/// What a target column gets.
#[derive(Clone, Debug, Default)]
pub struct ColumnRule {
    /// The expression; `None` takes the source column of the same name.
    pub value: Option<Located<String>>,
    /// The expression for sources that do not have the column yet.
    pub when_missing: Option<Located<String>>,
    /// The expression where the value is NULL, and the name under which that is counted.
    pub when_null: Option<(Located<String>, String)>,
    /// Why.
    pub why: Option<String>,
    /// Losses that are allowed by name: `time-of-day`.
    pub loses: Vec<Located<String>>,
    /// What becomes of a text that is too long.
    pub too_long: Option<Misfit>,
    /// What becomes of a number that is out of range.
    pub out_of_range: Option<Misfit>,
    /// Whether the column is passed over where the target lacks it.
    pub if_in_target: bool,
}

/// What becomes of a value that does not fit its column.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Misfit {
    /// The row is rejected.
    Reject,
    /// The text is cut to fit, counted.
    Cut,
    /// The number becomes the nearest one that fits, counted.
    Clamp,
}

/// Which rows come along.
#[derive(Debug)]
pub struct Filter {
    /// The condition that a row must meet.
    pub keep: Located<String>,
    /// The name under which the others are counted.
    pub name: String,
    /// Why.
    pub why: Option<String>,
}

/// What becomes of rows that the target already has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Existing {
    /// A row there stops the run.
    #[default]
    Refuse,
    /// They go, with their images kept.
    Replace,
    /// They stay; a source row with the same key is kept back.
    Keep {
        /// The key's columns; empty for the primary key.
        by: Vec<String>,
    },
    /// The source's row wins where keys are equal, the others stay.
    Merge {
        /// The key's columns.
        by: Vec<String>,
        /// Columns in which the target's value stays.
        preserve: Vec<String>,
    },
    /// They go, with their images kept, and no query sees that they were there: the migrations made them.
    Discard,
    /// They stay, and the rule sets its columns in those that its rows name by this key. It adds none.
    Update {
        /// The key's columns.
        by: Vec<String>,
    },
}

/// A key that must hold.
#[derive(Clone, Debug)]
pub struct KeyRule {
    /// The table and column that are referred to.
    pub to: Located<(String, String)>,
    /// What becomes of a row whose value names no row: tried in this order, until one settles it.
    pub broken: Vec<Located<Step>>,
    /// Why.
    pub why: Option<String>,
}

/// One thing that is tried on a row whose key names no row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// A text that is equal but for case and trailing blanks takes the spelling of the row that it means.
    Spelling,
    /// The column becomes NULL, counted; with a condition only where that holds.
    Null(Option<String>),
    /// The row is rejected, and what needs it.
    Reject,
    /// Nothing: no key is held there.
    Keep,
    /// The value that the repair of this name finds.
    Repair(String),
    /// The value of an expression over the target's row, where it names a row.
    Value {
        /// The expression.
        value: String,
        /// The name under which it is counted.
        name: String,
    },
}

/// Columns that must be unique together.
#[derive(Clone, Debug)]
pub struct UniqueRule {
    /// The columns.
    pub columns: Vec<Located<String>>,
    /// What becomes of rows that repeat the values of another.
    pub repeated: Located<Repeated>,
    /// Of equal rows, one that meets this condition comes before the others; then the key decides.
    pub first: Option<Located<String>>,
    /// Why.
    pub why: Option<String>,
}

/// What becomes of rows that repeat what must be unique.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Repeated {
    /// All but the first are rejected, and what needs them.
    Reject,
    /// Nothing: it is not held.
    Keep,
    /// The repair of this name says which rows take which value.
    Repair(String),
    /// All but the first take the value of an expression over the target's row.
    Value {
        /// The column that takes it; the only one where none is named.
        column: Option<String>,
        /// The expression.
        value: String,
        /// The name under which it is counted.
        name: String,
    },
}

/// A repair: values of one column that several rows decide.
#[derive(Debug)]
pub struct Repair {
    /// The name of the rule.
    pub rule: Located<String>,
    /// Whether it came with the pack that is extended.
    pub of_base: bool,
    /// The table and the column that it changes.
    pub of: Located<(String, String)>,
    /// The name under which it is counted.
    pub name: String,
    /// The query: the key of the rows to change and the new value, each under its column's name.
    pub query: Located<String>,
    /// Why.
    pub why: Option<String>,
}

impl Mapping {
    /// The catalogue that stands in for what an older source lacks.
    pub(crate) fn fallback_source(&self) -> Option<imis_schemas::Catalog> {
        self.reference.as_deref().and_then(|name| imis_schemas::release(name).ok())
    }
}

impl Rule {
    /// The source table that the rule accounts for, as its catalogue is asked for it.
    pub fn source_tables(&self) -> &[Located<String>] {
        match &self.from {
            Origin::Table(names) => names,
            Origin::TableQuery { table, .. } => std::slice::from_ref(table),
            Origin::Query(_) => &[],
        }
    }

    /// The query, if the rule has one.
    pub fn query(&self) -> Option<&Located<String>> {
        match &self.from {
            Origin::Table(_) => None,
            Origin::TableQuery { query, .. } | Origin::Query(query) => Some(query),
        }
    }
}
