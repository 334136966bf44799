//! Two databases of one shape: which tables and columns belong together.

use std::sync::Arc;

use imis_databases::source::range_column;
use imis_schemas::{Catalog, Engine, Table, same_name};

use super::canonical::Kind;
use super::expected::identity;
use super::form::{Compared, Form, Identity};

/// A table of both sides.
#[derive(Clone)]
pub(crate) struct Pair {
    pub(crate) from: Arc<Table>,
    pub(crate) to: Arc<Table>,
    pub(crate) form: Form,
    /// The columns of the form as each side spells them.
    pub(crate) from_columns: Vec<String>,
    pub(crate) to_columns: Vec<String>,
    /// The columns by which the sides can be split.
    pub(crate) split: Option<(String, String)>,
}

/// A schema that both engines mean when nothing is said.
fn plain_schema(table: &Table, engine: Engine) -> &str {
    if same_name(&table.schema, engine.default_schema()) { "" } else { &table.schema }
}

/// The tables that belong together, and what only one side has.
pub(crate) fn pairs(from: &Catalog, to: &Catalog, is_asked_for: impl Fn(&Table) -> bool) -> (Vec<Pair>, Vec<String>) {
    let mut complaints = Vec::new();
    let mut pairs = Vec::new();
    let meets = |one: &Table, other: &Table| {
        same_name(&one.name, &other.name) && same_name(plain_schema(one, from.engine), plain_schema(other, to.engine))
    };
    for table in to.tables.iter().filter(|table| is_asked_for(table)) {
        match from.tables.iter().find(|one| meets(one, table)) {
            Some(one) => pairs.push(pair(one, table, from.engine, to.engine, &mut complaints)),
            None => complaints.push(format!("the table {} is in --to only", table.table_name())),
        }
    }
    for table in from.tables.iter().filter(|table| is_asked_for(table)) {
        if !to.tables.iter().any(|other| meets(table, other)) {
            complaints.push(format!("the table {} is in --from only", table.table_name()));
        }
    }
    (pairs, complaints)
}

fn pair(one: &Table, other: &Table, from: Engine, to: Engine, complaints: &mut Vec<String>) -> Pair {
    let name = other.table_name().to_string();
    let mut columns = Vec::new();
    let (mut from_columns, mut to_columns) = (Vec::new(), Vec::new());
    for column in &other.columns {
        let Some(twin) = one.column(&column.name) else {
            complaints.push(format!("the column {name}.{} is in --to only", column.name));
            continue;
        };
        let (a, b) = (twin.data_type(from), column.data_type(to));
        match Kind::between(&a, &b) {
            Some(kind) => {
                from_columns.push(twin.name.clone());
                to_columns.push(column.name.clone());
                columns.push(Compared { name: column.name.clone(), kind, arrow: b.arrow() });
            }
            None => complaints.push(format!(
                "the column {name}.{} is {} on one side and {} on the other; its values were not compared",
                column.name,
                a.sql(from),
                b.sql(to)
            )),
        }
    }
    for column in one.columns.iter().filter(|column| other.column(&column.name).is_none()) {
        complaints.push(format!("the column {name}.{} is in --from only", column.name));
    }
    // The key of either side tells rows apart; one that has none may hold a row twice, which then shows.
    let of = |table: &Table, engine| identity(table, &columns, engine);
    let identity = match of(other, to) {
        Identity::Content => of(one, from),
        known => known,
    };
    let split = match &identity {
        Identity::Whole(at) => from_columns.get(*at).zip(to_columns.get(*at)).filter(|(a, b)| {
            // Without an index on it, reading a range would read the whole table.
            range_column(one, from).is_some_and(|column| same_name(column, a))
                && range_column(other, to).is_some_and(|column| same_name(column, b))
        }),
        _ => None,
    };
    let split = split.map(|(a, b)| (a.clone(), b.clone()));
    Pair {
        from: Arc::new(one.clone()),
        to: Arc::new(other.clone()),
        form: Form { table: name, columns, identity },
        from_columns,
        to_columns,
        split,
    }
}
