//! A catalogue, summed up.

use imis_schemas::{Catalog, Engine, Known, Table};

use super::{Cell, Style, facts, table};
use crate::number::{counted, thousands};

/// What a database has, in numbers; every table of it where the style is verbose.
pub fn catalog(catalog: &Catalog, style: &Style) -> String {
    let columns: usize = catalog.tables.iter().map(|t| t.columns.len()).sum();
    let per_table = |of: fn(&Table) -> Option<usize>| {
        let known: Vec<usize> = catalog.tables.iter().filter_map(of).collect();
        match catalog.tables.len() - known.len() {
            0 => number(known.iter().sum()),
            _ if known.is_empty() => "not known".to_owned(),
            unknown => format!("{} (not known for {})", number(known.iter().sum()), counted(unknown as u64, "table")),
        }
    };
    let engine = match catalog.engine {
        Engine::Mssql => "SQL Server",
        Engine::Postgres => "PostgreSQL",
    };
    let mut pairs = vec![("engine", engine.to_owned())];
    pairs.extend(catalog.server.clone().map(|server| ("server", server)));
    pairs.extend(catalog.collation.clone().map(|collation| ("collation", collation)));
    pairs.extend([
        ("tables", number(catalog.tables.len())),
        ("columns", number(columns)),
        ("primary keys", per_table(|t| t.primary_key.known().map(|key| usize::from(key.is_some())))),
        ("foreign keys", per_table(|t| t.foreign_keys.known().map(Vec::len))),
        ("uniques", per_table(|t| t.uniques.known().map(Vec::len))),
        ("indexes", per_table(|t| t.indexes.known().map(Vec::len))),
        ("checks", per_table(|t| t.checks.known().map(Vec::len))),
        ("views", known(&catalog.views)),
        ("routines", known(&catalog.routines)),
    ]);
    pairs.extend(catalog.notes.iter().map(|note| ("note", note.clone())));
    let mut text = facts(&pairs);
    if style.verbose {
        let rows: Vec<Vec<Cell>> = catalog
            .tables
            .iter()
            .map(|t| {
                let keys = t.foreign_keys.known().map_or(Cell::Empty, |keys| Cell::Number(keys.len() as u64));
                let key = t.key_columns().join(", ");
                vec![t.table_name().to_string().into(), Cell::Number(t.columns.len() as u64), key.into(), keys]
            })
            .collect();
        text += &style.heading("Tables");
        text += &table(&["table", "columns", "primary key", "foreign keys"], &rows, style);
    }
    text
}

fn number(count: usize) -> String {
    thousands(count as u64)
}

fn known<T>(list: &Known<Vec<T>>) -> String {
    list.known().map_or_else(|| "not known".to_owned(), |list| number(list.len()))
}
