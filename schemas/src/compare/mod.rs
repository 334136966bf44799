//! What differs between two catalogues, of one engine or of two.
//!
//! Names are compared with case aside (between two PostgreSQL databases a name in another case is told), `dbo` and `public`
//! are one schema, types are equal when the type table says so ([`judge`]), and keys and indexes are known by what they
//! hold, not by their names, which servers make up. What is left under another name is guessed to be renamed, and said to
//! be a guess. What one side does not know is never missing there: it is told as not compared.

mod body;
mod filter;
mod fit;
mod keys;
mod objects;
mod pairs;
mod table;
#[cfg(test)]
mod tests;
mod text;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use filter::{Filter, is_like};
pub use fit::{Fit, Ruling, judge};

use crate::catalog::Catalog;
use crate::name::{Engine, TableName};

/// The version of the comparison's file shape.
pub const FORMAT: u32 = 1;

/// What kind of thing differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Tables that one side has, or that were renamed.
    Tables,
    /// Columns that one side has, or that were renamed.
    Columns,
    /// Types and lengths of columns.
    Types,
    /// Whether a column takes NULL.
    Nulls,
    /// Defaults of columns.
    Defaults,
    /// Whether the server numbers a column.
    Identity,
    /// Whether and how the server computes a column.
    Computed,
    /// Collations of columns and databases.
    Collations,
    /// Primary keys.
    PrimaryKeys,
    /// Foreign keys.
    ForeignKeys,
    /// Unique constraints and unique indexes.
    Uniques,
    /// Other indexes.
    Indexes,
    /// Check constraints.
    Checks,
    /// Views.
    Views,
    /// Procedures and functions.
    Routines,
    /// Types that users defined.
    UserTypes,
}

/// All kinds, in the order in which they are told.
pub const KINDS: [Kind; 16] = [
    Kind::Tables,
    Kind::Columns,
    Kind::Types,
    Kind::Nulls,
    Kind::Defaults,
    Kind::Identity,
    Kind::Computed,
    Kind::Collations,
    Kind::PrimaryKeys,
    Kind::ForeignKeys,
    Kind::Uniques,
    Kind::Indexes,
    Kind::Checks,
    Kind::Views,
    Kind::Routines,
    Kind::UserTypes,
];

impl Kind {
    /// The name: `foreign-keys`. It is the same in options, in JSON and in the files of a report.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Tables => "tables",
            Kind::Columns => "columns",
            Kind::Types => "types",
            Kind::Nulls => "nulls",
            Kind::Defaults => "defaults",
            Kind::Identity => "identity",
            Kind::Computed => "computed",
            Kind::Collations => "collations",
            Kind::PrimaryKeys => "primary-keys",
            Kind::ForeignKeys => "foreign-keys",
            Kind::Uniques => "uniques",
            Kind::Indexes => "indexes",
            Kind::Checks => "checks",
            Kind::Views => "views",
            Kind::Routines => "routines",
            Kind::UserTypes => "user-types",
        }
    }

    /// One thing of the kind, for a line about it: `foreign key`.
    pub fn noun(self) -> &'static str {
        match self {
            Kind::Tables => "table",
            Kind::Columns => "column",
            Kind::Types => "type",
            Kind::Nulls => "null",
            Kind::Defaults => "default",
            Kind::Identity => "identity",
            Kind::Computed => "computed",
            Kind::Collations => "collation",
            Kind::PrimaryKeys => "primary key",
            Kind::ForeignKeys => "foreign key",
            Kind::Uniques => "unique",
            Kind::Indexes => "index",
            Kind::Checks => "check",
            Kind::Views => "view",
            Kind::Routines => "routine",
            Kind::UserTypes => "user type",
        }
    }

    /// The kinds that a word names, case aside: one, three for `keys`, none when it is no word for kinds.
    pub fn named(word: &str) -> &'static [Kind] {
        let keys = KINDS.get(8..11).unwrap_or_default();
        if word.eq_ignore_ascii_case("keys") {
            return keys;
        }
        let at = KINDS.iter().position(|kind| kind.name().eq_ignore_ascii_case(word));
        at.and_then(|at| KINDS.get(at..=at)).unwrap_or_default()
    }

    /// The word for kinds that somebody may have meant who wrote this one.
    pub fn like(word: &str) -> Option<&'static str> {
        let likeness = |name: &str| strsim::normalized_damerau_levenshtein(name, &word.to_lowercase());
        let close = Kind::names().filter(|name| likeness(name) >= 0.6);
        close.max_by(|a, b| likeness(a).total_cmp(&likeness(b)))
    }

    /// Every word for kinds.
    pub fn names() -> impl Iterator<Item = &'static str> {
        KINDS.iter().map(|kind| kind.name()).chain(["keys"])
    }
}

/// In which way it differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Change {
    /// Only A has it.
    OnlyA,
    /// Only B has it.
    OnlyB,
    /// Both have it, and it is another.
    Changed,
    /// Both have it under another name, as far as can be guessed.
    Renamed,
    /// Both have it, its name in another case. Told where case matters: between two PostgreSQL databases.
    Respelled,
}

impl Change {
    /// The word for it, as in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Change::OnlyA => "only-a",
            Change::OnlyB => "only-b",
            Change::Changed => "changed",
            Change::Renamed => "renamed",
            Change::Respelled => "respelled",
        }
    }
}

/// One difference.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// What kind of thing differs.
    pub kind: Kind,
    /// In which way.
    pub change: Change,
    /// The table, view, routine or type, as A calls it (as B does where A has none); empty for the database itself.
    pub object: String,
    /// The column, or the columns of a key or an index; the name of a check.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part: Option<String>,
    /// The name of the constraint or index, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub called: Option<String>,
    /// What A has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub a: Option<String>,
    /// What B has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub b: Option<String>,
    /// How B's type stands to A's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fit: Option<Fit>,
    /// Whether it is a guess.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub guessed: bool,
    /// How sure the guess is, in percent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sure: Option<u8>,
    /// The reason, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// The unified diff of two texts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub diff: Option<String>,
}

impl Difference {
    fn new(kind: Kind, change: Change, object: &str) -> Self {
        Difference {
            kind,
            change,
            object: object.to_owned(),
            part: None,
            called: None,
            a: None,
            b: None,
            fit: None,
            guessed: false,
            sure: None,
            why: None,
            diff: None,
        }
    }

    fn part(mut self, part: impl Into<String>) -> Self {
        self.part = Some(part.into());
        self
    }

    fn called(mut self, name: Option<&str>) -> Self {
        self.called = name.map(str::to_owned);
        self
    }

    fn a(mut self, a: impl Into<String>) -> Self {
        self.a = Some(a.into());
        self
    }

    fn b(mut self, b: impl Into<String>) -> Self {
        self.b = Some(b.into());
        self
    }

    fn why(mut self, why: impl Into<String>) -> Self {
        self.why = Some(why.into()).filter(|why| !why.is_empty());
        self
    }

    fn guessed(mut self, sure: u8) -> Self {
        (self.guessed, self.sure) = (true, Some(sure));
        self
    }
}

/// What is not a difference and yet may be good to know: a key that only has another name, a column in another case.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remark {
    /// The kind of thing.
    pub kind: Kind,
    /// The table.
    pub object: String,
    /// How A calls it.
    pub a: String,
    /// How B calls it.
    pub b: String,
}

/// Something that could not be compared, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotCompared {
    /// The kind of things.
    pub kind: Kind,
    /// Where: names of tables, views or routines; empty when it is all of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub objects: Vec<String>,
    /// Why.
    pub why: String,
}

/// One side of a comparison.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Side {
    /// How the reader calls it: its Location.
    pub name: String,
    /// Its engine.
    pub engine: Engine,
    /// How many tables it has.
    pub tables: usize,
    /// How many columns they have.
    pub columns: usize,
    /// What could not be found out about it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// How many things of a kind there are of each sort.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Count {
    /// Equal ones.
    pub equal: u64,
    /// Those that only A has.
    pub only_a: u64,
    /// Those that only B has.
    pub only_b: u64,
    /// Those that are another.
    pub changed: u64,
    /// Those that are called otherwise.
    pub renamed: u64,
    /// Those that both sides have and that could not be compared further.
    pub uncompared: u64,
}

impl Count {
    /// How many differ.
    pub fn differing(&self) -> u64 {
        self.only_a + self.only_b + self.changed + self.renamed
    }
}

/// Two catalogues compared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Comparison {
    /// The version of this file shape, [`FORMAT`].
    pub imis: u32,
    /// The one side.
    pub a: Side,
    /// The other side.
    pub b: Side,
    /// Whether anything differs.
    pub differs: bool,
    /// How many things of each kind, for the kinds that were compared.
    pub summary: BTreeMap<Kind, Count>,
    /// What differs: tables in A's order with what is in them, then views, routines and types.
    pub differences: Vec<Difference>,
    /// What could not be compared.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_compared: Vec<NotCompared>,
    /// What is called otherwise without being another.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub remarks: Vec<Remark>,
    /// Patterns of the filter that no name is like, in lower case.
    #[serde(skip)]
    pub idle_patterns: Vec<String>,
}

/// Compares two catalogues. `a` and `b` come with the names that the reader gave them.
pub fn compare(a: (&str, &Catalog), b: (&str, &Catalog), filter: &Filter) -> Comparison {
    let mut found = Finder { filter, names: Vec::new(), out: Comparison::new(a, b), unknown: BTreeMap::new() };
    let (a, b) = (a.1, b.1);
    table::tables(a, b, &mut found);
    objects::collation(a, b, &mut found);
    objects::views(a, b, &mut found);
    objects::routines(a, b, &mut found);
    objects::user_types(a, b, &mut found);
    let mut out = found.finish();
    out.differs = !out.differences.is_empty();
    out.idle_patterns = filter.idle(&all_names(&[a, b]));
    out
}

/// Every name that a pattern may be like.
fn all_names(catalogs: &[&Catalog]) -> Vec<String> {
    let mut names = Vec::new();
    for catalog in catalogs {
        for table in &catalog.tables {
            let own = names_of(&table.table_name());
            for column in &table.columns {
                names.extend(own.iter().map(|table| format!("{table}.{}", column.name)));
            }
            names.extend(own);
        }
        let views = catalog.views.items().iter().map(|v| TableName::new(&v.schema, &v.name));
        let routines = catalog.routines.items().iter().map(|r| TableName::new(&r.schema, &r.name));
        let types = catalog.types.items().iter().map(|t| TableName::new(&t.schema, &t.name));
        names.extend(views.chain(routines).chain(types).flat_map(|name| names_of(&name)));
    }
    names
}

/// A number and its noun: `1 line`, `2 lines`.
fn counted(number: usize, noun: &str) -> String {
    let ending = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{ending}")
}

/// The names under which a pattern may know a thing: with its schema and without.
fn names_of(name: &TableName) -> Vec<String> {
    vec![name.name.clone(), format!("{}.{}", name.schema, name.name)]
}

impl Comparison {
    fn new(a: (&str, &Catalog), b: (&str, &Catalog)) -> Self {
        let side = |(name, catalog): (&str, &Catalog)| Side {
            name: name.to_owned(),
            engine: catalog.engine,
            tables: catalog.tables.len(),
            columns: catalog.tables.iter().map(|t| t.columns.len()).sum(),
            notes: catalog.notes.clone(),
        };
        Comparison {
            imis: FORMAT,
            a: side(a),
            b: side(b),
            differs: false,
            summary: BTreeMap::new(),
            differences: Vec::new(),
            not_compared: Vec::new(),
            remarks: Vec::new(),
            idle_patterns: Vec::new(),
        }
    }

    /// The comparison as JSON, ended by a line feed.
    pub fn to_json(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).unwrap_or_default();
        text.push('\n');
        text
    }
}

/// Which side does not know something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Who {
    A,
    B,
    Both,
}

impl Who {
    /// Who does not know, of two of whom it is said whether they do; `None` when both know.
    fn lacks(a_knows: bool, b_knows: bool) -> Option<Who> {
        match (a_knows, b_knows) {
            (true, true) => None,
            (false, true) => Some(Who::A),
            (true, false) => Some(Who::B),
            (false, false) => Some(Who::Both),
        }
    }

    fn words(self) -> &'static str {
        match self {
            Who::A => "not known of A",
            Who::B => "not known of B",
            Who::Both => "not known of either side",
        }
    }
}

/// Collects what is found, as far as the filter wants it.
struct Finder<'a> {
    filter: &'a Filter,
    /// The names of what is looked at now.
    names: Vec<String>,
    out: Comparison,
    /// What cannot be compared: kind and why, then where.
    unknown: BTreeMap<(Kind, String), Vec<String>>,
}

impl Finder<'_> {
    /// Turns to a thing with these names.
    fn turn_to<'n>(&mut self, names: impl IntoIterator<Item = &'n TableName>) {
        self.names = names.into_iter().flat_map(names_of).collect();
    }

    fn wants(&self, kind: Kind, part: Option<&str>) -> bool {
        let parts = part.into_iter().flat_map(|part| self.names.iter().map(move |name| format!("{name}.{part}")));
        let names: Vec<String> = self.names.iter().cloned().chain(parts).collect();
        self.filter.has(kind, &names)
    }

    fn tell(&mut self, difference: Difference) {
        if !self.wants(difference.kind, difference.part.as_deref()) {
            return;
        }
        let count = self.out.summary.entry(difference.kind).or_default();
        match difference.change {
            Change::OnlyA => count.only_a += 1,
            Change::OnlyB => count.only_b += 1,
            Change::Changed => count.changed += 1,
            Change::Renamed | Change::Respelled => count.renamed += 1,
        }
        self.out.differences.push(difference);
    }

    fn same(&mut self, kind: Kind, part: Option<&str>) {
        if self.wants(kind, part) {
            self.out.summary.entry(kind).or_default().equal += 1;
        }
    }

    /// Both sides have it; its text cannot be compared, and it is said elsewhere why.
    fn there(&mut self, kind: Kind) {
        if self.wants(kind, None) {
            self.out.summary.entry(kind).or_default().uncompared += 1;
        }
    }

    fn remark(&mut self, kind: Kind, object: &str, a: &str, b: &str) {
        if a != b && self.wants(kind, None) {
            let (object, a, b) = (object.to_owned(), a.to_owned(), b.to_owned());
            self.out.remarks.push(Remark { kind, object, a, b });
        }
    }

    /// Something cannot be compared at one place.
    fn cannot(&mut self, kind: Kind, object: &str, why: impl Into<String>) {
        if self.wants(kind, None) {
            self.unknown.entry((kind, why.into())).or_default().push(object.to_owned());
        }
    }

    /// Things of a kind cannot be compared at all.
    fn cannot_at_all(&mut self, kind: Kind, why: impl Into<String>) {
        if self.filter.has_kind(kind) {
            self.unknown.entry((kind, why.into())).or_default();
        }
    }

    fn finish(mut self) -> Comparison {
        for ((kind, why), mut objects) in self.unknown {
            // Where nothing of the kind could be compared there is no need to name every table.
            let none = self.out.summary.get(&kind).is_none_or(|count| count.equal + count.differing() == 0);
            if none && objects.len() > 1 {
                objects.clear();
            }
            self.out.not_compared.push(NotCompared { kind, objects, why });
        }
        self.out
    }
}
