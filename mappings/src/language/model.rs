//! What a mapping says, once it is read.

use std::sync::Arc;

/// A text of the mapping, kept for complaints.
#[derive(Debug)]
pub struct SourceFile {
    /// The file's name, as the user knows it.
    pub name: String,
    /// Its text.
    pub text: String,
}

/// Where in the mapping something stands.
#[derive(Clone, Debug)]
pub struct Place {
    /// The file.
    pub file: Arc<SourceFile>,
    /// The offset of its first byte.
    pub offset: usize,
    /// Its length in bytes.
    pub length: usize,
}

impl Place {
    /// What stands there.
    pub fn text(&self) -> Option<&str> {
        self.file.text.get(self.offset..self.offset + self.length)
    }

    /// The place of a word within this one, case aside; this one where the word is not found.
    pub fn within(&self, word: &str) -> Place {
        let text = self.file.text.get(self.offset..).unwrap_or_default();
        // A text of several lines goes on behind its first.
        let reach =
            text.char_indices().map(|(at, _)| at).take_while(|at| *at < self.length.max(1) + 2000).last().unwrap_or(0);
        let reach = text.get(..reach).unwrap_or(text).to_ascii_lowercase();
        let word = word.to_ascii_lowercase();
        let is_part = |c: char| c.is_alphanumeric() || c == '_';
        let whole = |at: &usize| {
            let before = reach.get(..*at).and_then(|t| t.chars().next_back()).is_some_and(is_part);
            let after = reach.get(at + word.len()..).and_then(|t| t.chars().next()).is_some_and(is_part);
            !before && !after
        };
        match reach.match_indices(&word).map(|(at, _)| at).find(whole) {
            Some(at) if !word.is_empty() => Place { offset: self.offset + at, length: word.len(), ..self.clone() },
            _ => self.clone(),
        }
    }
}

/// Something with the place where it stands.
#[derive(Clone, Debug)]
pub struct Located<T> {
    /// The thing.
    pub value: T,
    /// Its place.
    pub place: Place,
}

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
    /// Whether the target must have Django's migrations behind it.
    pub migrated: bool,
    /// The known release whose tables stand in, without rows, for tables that an older source lacks, in queries.
    pub reference: Option<String>,
    /// Target tables in which a row means that the target is in use already.
    pub unused: Vec<Located<String>>,
    /// Source tables that are not carried over, with the reason.
    pub leave_tables: Vec<(Located<String>, String)>,
    /// Tables of the source's release that this country has no longer, with the reason.
    pub absent_tables: Vec<(Located<String>, String)>,
    /// The rules, in the order of the files.
    pub rules: Vec<Rule>,
    /// SHA-256 over all its files.
    pub hash: String,
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
    pub uniques: Vec<Vec<String>>,
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
}

/// A key that must hold.
#[derive(Clone, Debug)]
pub struct KeyRule {
    /// The table and column that are referred to.
    pub to: Located<(String, String)>,
    /// What becomes of a row whose value names no row.
    pub broken: KeyBroken,
    /// Whether a text that is equal but for case and trailing blanks takes the spelling of the row that it names.
    pub spelling: bool,
    /// Why.
    pub why: Option<String>,
}

/// What becomes of a row whose key names no row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeyBroken {
    /// The row is rejected, and what needs it.
    Reject,
    /// The column becomes NULL, counted.
    Null,
    /// Nothing: no key is held there.
    Keep,
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
