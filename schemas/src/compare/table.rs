//! Tables and their columns.

use std::collections::{BTreeMap, HashMap};

use super::fit::{Fit, differs_in_length_only, judge};
use super::pairs::{Sides, pairs, renamed_tables};
use super::text::{self, Given};
use super::{Change, Difference, Finder, Kind, Who, counted, keys};
use crate::catalog::{Catalog, Column, Table};
use crate::name::{Engine, TableName, same_name};

/// Two tables that are one and the same, and the columns of theirs that are.
pub(super) struct Pair<'a> {
    pub(super) a: &'a Table,
    pub(super) b: &'a Table,
    /// Places of columns that belong together.
    columns: Vec<(usize, usize)>,
}

/// Schema and name in lower case; the schema that everybody expects is empty.
pub(super) type Folded = (String, String);

/// What everybody needs who compares: the engines, and which name of A is which of B.
pub(super) struct Context<'a> {
    pub(super) a: Engine,
    pub(super) b: Engine,
    /// Tables of A by name in lower case: table of B, and the columns likewise.
    names: HashMap<Folded, (&'a Table, HashMap<String, String>)>,
}

impl Context<'_> {
    pub(super) fn is_between_engines(&self) -> bool {
        self.a != self.b
    }

    /// A table of A under the name that it has in B, in lower case and without the schema that everybody expects.
    pub(super) fn table_in_b(&self, name: &TableName) -> Folded {
        match self.names.get(&folded(self.a, &name.schema, &name.name)) {
            Some((table, _)) => folded(self.b, &table.schema, &table.name),
            None => folded(self.a, &name.schema, &name.name),
        }
    }

    /// A column of a table of A under the name that it has in B, in lower case.
    pub(super) fn column_in_b(&self, table: &TableName, column: &str) -> String {
        let columns = self.names.get(&folded(self.a, &table.schema, &table.name)).map(|(_, columns)| columns);
        let lower = column.to_lowercase();
        columns.and_then(|columns| columns.get(&lower).cloned()).unwrap_or(lower)
    }
}

/// Schema and name with case aside; the schema that everybody expects is empty.
pub(super) fn folded(engine: Engine, schema: &str, name: &str) -> Folded {
    let schema =
        if schema.eq_ignore_ascii_case(engine.default_schema()) { String::new() } else { schema.to_lowercase() };
    (schema, name.to_lowercase())
}

/// The keys under which a thing of a schema is looked for, the strictest first.
pub(super) fn lookups(engine: Engine, schema: &str, name: &str) -> Vec<Folded> {
    let (schema, lower) = folded(engine, schema, name);
    vec![(schema.clone(), name.to_owned()), (schema, lower)]
}

/// Whether the catalogue tells defaults and identities at all. What is made of release scripts has tables and columns
/// only: no key is known, and no default is there.
fn tells_defaults(catalog: &Catalog) -> bool {
    catalog
        .tables
        .iter()
        .any(|table| !table.primary_key.is_unknown() || table.columns.iter().any(|c| c.default.is_some() || c.identity))
}

/// Compares the tables, and what is in those that both sides have.
pub(super) fn tables(a: &Catalog, b: &Catalog, found: &mut Finder<'_>) {
    let of = |catalog: &Catalog| -> Vec<_> {
        catalog.tables.iter().map(|t| lookups(catalog.engine, &t.schema, &t.name)).collect()
    };
    let mut places = pairs(&of(a), &of(b));
    let guesses = renamed_tables((a.engine, &a.tables, &places.only_a), (b.engine, &b.tables, &places.only_b));
    places.only_a.retain(|at| !guesses.iter().any(|guess| guess.a == *at));
    places.only_b.retain(|at| !guesses.iter().any(|guess| guess.b == *at));
    let sure: BTreeMap<usize, u8> = guesses.iter().map(|guess| (guess.a, guess.sure)).collect();
    places.both.extend(guesses.iter().map(|guess| (guess.a, guess.b)));
    places.both.sort_unstable();

    let mut met = Vec::new();
    for (at, other) in &places.both {
        let (Some(one), Some(two)) = (a.tables.get(*at), b.tables.get(*other)) else { continue };
        let sides = Sides { a: (a.engine, one), b: (b.engine, two) };
        met.push((sure.get(at).copied(), sides));
    }
    let mut context = Context { a: a.engine, b: b.engine, names: HashMap::new() };
    let mut compared = Vec::new();
    for (sure, sides) in met {
        let (pair, guesses) = columns_of(&sides);
        let names = pair.columns.iter().filter_map(|(one, two)| {
            Some((pair.a.columns.get(*one)?.name.to_lowercase(), pair.b.columns.get(*two)?.name.to_lowercase()))
        });
        let names = names.collect();
        context.names.insert(folded(a.engine, &pair.a.schema, &pair.a.name), (pair.b, names));
        compared.push((sure, pair, guesses));
    }

    for table in places.only_a.iter().filter_map(|at| a.tables.get(*at)) {
        only(Change::OnlyA, table, found);
    }
    for table in places.only_b.iter().filter_map(|at| b.tables.get(*at)) {
        only(Change::OnlyB, table, found);
    }
    let told = [a, b].map(tells_defaults);
    if let Some(who) = Who::lacks(told[0], told[1]) {
        found.cannot_at_all(Kind::Defaults, who.words());
        found.cannot_at_all(Kind::Identity, who.words());
    }
    for (sure, pair, guesses) in compared {
        found.turn_to([&pair.a.table_name(), &pair.b.table_name()]);
        name(&context, &pair, sure, found);
        if let Some(who) = Who::lacks(!pair.a.columns.is_empty(), !pair.b.columns.is_empty()) {
            // A table without a column is one whose columns nobody could read.
            found.cannot(Kind::Columns, &pair.a.table_name().to_string(), who.words());
        } else {
            columns(&context, (a, b), &pair, &guesses, told == [true, true], found);
        }
        keys::keys(&context, &pair, found);
    }
}

fn only(change: Change, table: &Table, found: &mut Finder<'_>) {
    let name = table.table_name();
    found.turn_to([&name]);
    let columns = counted(table.columns.len(), "column");
    let difference = Difference::new(Kind::Tables, change, &name.to_string());
    found.tell(if change == Change::OnlyA { difference.a(columns) } else { difference.b(columns) });
}

/// Tells the table itself when it has another name.
fn name(context: &Context<'_>, pair: &Pair<'_>, sure: Option<u8>, found: &mut Finder<'_>) {
    let (a, b) = (pair.a.table_name(), pair.b.table_name());
    let object = a.to_string();
    match sure {
        Some(sure) => {
            let difference = Difference::new(Kind::Tables, Change::Renamed, &object).a(a.to_string()).b(b.to_string());
            found.tell(difference.guessed(sure).why("most columns are the same"));
        }
        None if a.name != b.name && [context.a, context.b] == [Engine::Postgres; 2] => {
            found.tell(Difference::new(Kind::Tables, Change::Respelled, &object).a(a.to_string()).b(b.to_string()));
        }
        None => {
            found.same(Kind::Tables, None);
            found.remark(Kind::Tables, &object, &a.name, &b.name);
        }
    }
}

/// Which columns of two tables belong together; the guesses with how sure they are.
fn columns_of<'a>(sides: &Sides<'a>) -> (Pair<'a>, BTreeMap<usize, u8>) {
    let keys = |table: &Table| -> Vec<Vec<String>> {
        table.columns.iter().map(|c| vec![c.name.clone(), c.name.to_lowercase()]).collect()
    };
    let (a, b) = (sides.a.1, sides.b.1);
    let places = pairs(&keys(a), &keys(b));
    let guesses = sides.renamed(&places.only_a, &places.only_b);
    let mut columns = places.both;
    columns.extend(guesses.iter().map(|guess| (guess.a, guess.b)));
    columns.sort_unstable();
    (Pair { a, b, columns }, guesses.iter().map(|guess| (guess.a, guess.sure)).collect())
}

fn columns(
    context: &Context<'_>,
    catalogs: (&Catalog, &Catalog),
    pair: &Pair<'_>,
    guesses: &BTreeMap<usize, u8>,
    with_defaults: bool,
    found: &mut Finder<'_>,
) {
    let object = pair.a.table_name().to_string();
    let described = |column: &Column| {
        let null = if column.nullable { "NULL" } else { "NOT NULL" };
        format!("{} {null}", column.data_type)
    };
    for (at, column) in pair.a.columns.iter().enumerate() {
        let other = pair.columns.iter().find(|(one, _)| *one == at).and_then(|(_, two)| pair.b.columns.get(*two));
        let Some(other) = other else {
            let lost = Difference::new(Kind::Columns, Change::OnlyA, &object).part(&column.name);
            found.tell(lost.a(described(column)));
            continue;
        };
        let named =
            |change| Difference::new(Kind::Columns, change, &object).part(&column.name).a(&column.name).b(&other.name);
        match guesses.get(&at) {
            Some(sure) => found.tell(named(Change::Renamed).guessed(*sure).why("name, type and place go together")),
            None if column.name != other.name && [context.a, context.b] == [Engine::Postgres; 2] => {
                found.tell(named(Change::Respelled));
            }
            None => {
                found.same(Kind::Columns, Some(&column.name));
                found.remark(Kind::Columns, &object, &column.name, &other.name);
            }
        }
        let both = Both { context, object: &object, a: column, b: other };
        both.types(found);
        both.nulls(found);
        if with_defaults {
            both.defaults(found);
        }
        both.computed(found);
        both.collations(catalogs, found);
    }
    for (at, column) in pair.b.columns.iter().enumerate() {
        if !pair.columns.iter().any(|(_, two)| *two == at) {
            let new = Difference::new(Kind::Columns, Change::OnlyB, &object).part(&column.name);
            found.tell(new.b(described(column)));
        }
    }
}

/// A column of A and the same of B.
struct Both<'a> {
    context: &'a Context<'a>,
    object: &'a str,
    a: &'a Column,
    b: &'a Column,
}

impl Both<'_> {
    fn changed(&self, kind: Kind) -> Difference {
        Difference::new(kind, Change::Changed, self.object).part(&self.a.name)
    }

    fn types(&self, found: &mut Finder<'_>) {
        let (a, b) = (self.a.data_type(self.context.a), self.b.data_type(self.context.b));
        let ruling = judge((self.context.a, &a), (self.context.b, &b));
        if ruling.fit == Fit::Equal {
            found.same(Kind::Types, Some(&self.a.name));
            return;
        }
        let difference = self.changed(Kind::Types).a(&self.a.data_type).b(&self.b.data_type);
        // Where only the length differs the two lengths say it already.
        let why = if self.context.a == self.context.b && differs_in_length_only(&a, &b) { "" } else { &ruling.why };
        found.tell(Difference { fit: Some(ruling.fit), ..difference }.why(why));
    }

    fn nulls(&self, found: &mut Finder<'_>) {
        let words = |column: &Column| if column.nullable { "NULL" } else { "NOT NULL" };
        if self.a.nullable == self.b.nullable {
            found.same(Kind::Nulls, Some(&self.a.name));
            return;
        }
        let why = if self.a.nullable { "a NULL of A has no place in B" } else { "" };
        found.tell(self.changed(Kind::Nulls).a(words(self.a)).b(words(self.b)).why(why));
    }

    fn defaults(&self, found: &mut Finder<'_>) {
        let context = self.context;
        let (a_type, b_type) = (self.a.data_type(context.a), self.b.data_type(context.b));
        let given = |engine, column: &Column| {
            text::default(engine, column.default.as_deref(), [&a_type, &b_type], context.is_between_engines())
        };
        let (a, b) = (given(context.a, self.a), given(context.b, self.b));
        let numbered = |column: &Column, given: &Given| column.identity || *given == Given::Sequence;
        let who = (numbered(self.a, &a), numbered(self.b, &b));
        if who.0 == who.1 {
            found.same(Kind::Identity, Some(&self.a.name));
        } else {
            let words = |is: bool| if is { "numbered by the server" } else { "not numbered" };
            let why = if who.0 { "B gives no number by itself" } else { "" };
            found.tell(self.changed(Kind::Identity).a(words(who.0)).b(words(who.1)).why(why));
        }
        let value = |given: Given| if given == Given::Sequence { Given::Nothing } else { given };
        let (a, b) = (value(a), value(b));
        if a == b {
            found.same(Kind::Defaults, Some(&self.a.name));
            return;
        }
        let spelled = |column: &Column, given: &Given| match given {
            Given::Nothing => "no default".to_owned(),
            _ => column.default.clone().unwrap_or_default(),
        };
        found.tell(self.changed(Kind::Defaults).a(spelled(self.a, &a)).b(spelled(self.b, &b)));
    }

    fn computed(&self, found: &mut Finder<'_>) {
        let same = match (&self.a.computed, &self.b.computed) {
            (None, None) => return,
            // Between engines an expression is not compared, only whether there is one.
            (Some(_), Some(_)) if self.context.is_between_engines() => true,
            (Some(a), Some(b)) => text::condition(self.context.a, a) == text::condition(self.context.b, b),
            _ => false,
        };
        if same {
            found.same(Kind::Computed, Some(&self.a.name));
            return;
        }
        let words = |column: &Column| column.computed.clone().unwrap_or_else(|| "not computed".to_owned());
        found.tell(self.changed(Kind::Computed).a(words(self.a)).b(words(self.b)));
    }

    /// A column's collation counts where one side states it and the other is known; engines name theirs differently.
    fn collations(&self, (a, b): (&Catalog, &Catalog), found: &mut Finder<'_>) {
        if self.context.is_between_engines() || (self.a.collation.is_none() && self.b.collation.is_none()) {
            return;
        }
        let of = |column: &Column, catalog: &Catalog| column.collation.clone().or_else(|| catalog.collation.clone());
        match (of(self.a, a), of(self.b, b)) {
            (Some(a), Some(b)) if !same_name(&a, &b) => found.tell(self.changed(Kind::Collations).a(a).b(b)),
            (Some(_), Some(_)) => found.same(Kind::Collations, Some(&self.a.name)),
            (a, _) => found.cannot(
                Kind::Collations,
                &format!("{}.{}", self.object, self.a.name),
                if a.is_none() { Who::A.words() } else { Who::B.words() },
            ),
        }
    }
}
