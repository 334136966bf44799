//! Names of tables and columns: those of the live database, those that some openIMIS release has, and those that nobody knows.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, OnceLock};

use imis_schemas::document::Place;
use imis_schemas::{Catalog, Column, Table, release, release_names};

use crate::language::CheckError;

/// Why a part cannot be carried out.
#[derive(Debug)]
pub(crate) enum Hindrance {
    /// The database does not have what it is about.
    Absent(String),
    /// Nobody has it, or it is wrong: the author has to look.
    Wrong(Box<CheckError>),
}

impl From<CheckError> for Hindrance {
    fn from(error: CheckError) -> Self {
        Hindrance::Wrong(Box::new(error))
    }
}

/// Tables and columns of all releases, in lower case.
fn known() -> &'static HashMap<String, HashSet<String>> {
    static KNOWN: OnceLock<HashMap<String, HashSet<String>>> = OnceLock::new();
    KNOWN.get_or_init(|| {
        let mut all: HashMap<String, HashSet<String>> = HashMap::new();
        for catalog in release_names().filter_map(|name| release(name).ok()) {
            for table in catalog.tables {
                let columns = all.entry(table.name.to_lowercase()).or_default();
                columns.extend(table.columns.iter().map(|c| c.name.to_lowercase()));
            }
        }
        all
    })
}

/// The names of a live database.
pub(crate) struct Names<'a> {
    catalog: &'a Catalog,
}

impl<'a> Names<'a> {
    pub(crate) fn new(catalog: &'a Catalog) -> Self {
        Names { catalog }
    }

    /// Whether the database or some release has a table, or a column of one: `tblPhotos.photo`.
    pub(crate) fn is_known(&self, name: &str) -> bool {
        let known = known();
        match name.rsplit_once('.') {
            Some((table, column)) => {
                let live = self.catalog.table(table).is_some_and(|table| table.column(column).is_some());
                let column = column.to_lowercase();
                live || known.get(&table.to_lowercase()).is_some_and(|columns| columns.contains(&column))
            }
            None => self.catalog.table(name).is_some() || known.contains_key(&name.to_lowercase()),
        }
    }

    /// Whether a table of the database or of some release has a column of this name.
    pub(crate) fn is_known_column(&self, name: &str) -> bool {
        let lower = name.to_lowercase();
        let live = self.catalog.tables.iter().any(|table| table.column(name).is_some());
        live || known().values().any(|columns| columns.contains(&lower))
    }

    /// A table of the database.
    pub(crate) fn table(&self, name: &str, place: &Place) -> Result<Arc<Table>, Hindrance> {
        if let Some(table) = self.catalog.table(name) {
            return Ok(Arc::new(table.clone()));
        }
        if known().contains_key(&name.to_lowercase()) {
            return Err(Hindrance::Absent(format!("the database has no table {name}")));
        }
        let error = CheckError::at(&place.within(name), format!("no openIMIS database has a table `{name}`"));
        let live = self.catalog.tables.iter().map(|t| t.name.as_str());
        let names = live.chain(known().keys().map(String::as_str));
        Err(error.with_label("not known").suggest(name, names).into())
    }

    /// A column of a table.
    pub(crate) fn column<'t>(&self, table: &'t Table, name: &str, place: &Place) -> Result<&'t Column, Hindrance> {
        table.column(name).ok_or_else(|| self.no_column(&[table], name, place))
    }

    /// What is said of a column that none of these tables has.
    pub(crate) fn no_column(&self, tables: &[&Table], name: &str, place: &Place) -> Hindrance {
        let lower = name.to_lowercase();
        let elsewhere =
            |table: &&&Table| known().get(&table.name.to_lowercase()).is_some_and(|all| all.contains(&lower));
        if let Some(table) = tables.iter().find(elsewhere) {
            return Hindrance::Absent(format!("the database's {} has no column {name}", table.name));
        }
        let of = match tables {
            [one] => format!("{} has no column `{name}`, and no openIMIS release gives it one", one.name),
            _ => format!("none of the tables has a column `{name}`"),
        };
        let names = tables.iter().flat_map(|table| table.columns.iter().map(|c| c.name.as_str()));
        CheckError::at(&place.within(name), of).with_label("not known").suggest(name, names).into()
    }
}

/// The columns by which a row is found again: the primary key; without one the column that the server numbers; else none.
pub(crate) fn key_of(table: &Table) -> Vec<String> {
    match table.key_columns() {
        [] => {
            let numbered = table.columns.iter().find(|column| column.identity);
            numbered.map(|column| column.name.clone()).into_iter().collect()
        }
        columns => columns.to_vec(),
    }
}
