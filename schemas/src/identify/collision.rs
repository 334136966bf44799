//! Names of a country's own that a later release uses, too: what an upgrade would stumble over.

use serde::Serialize;

use super::differences::Differences;
use super::shape::Shape;
use super::{Thing, django};
use crate::catalog::{Catalog, Table};
use crate::data_type::DataType;
use crate::name::Engine;

/// A name of the country's own that a later release uses, too.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Collision {
    /// A table or a column.
    pub thing: Thing,
    /// Its name, as the database spells it.
    pub name: String,
    /// The table.
    pub table: String,
    /// The first later release that has the name: `legacy/1.6.0`, `modular/1.11`.
    pub release: String,
    /// What the country has: a column's type, or how many columns.
    pub found: String,
    /// What the release has.
    pub theirs: String,
    /// Whether both are alike. Then the country took over what comes later; else one name means two things.
    pub alike: bool,
}

/// The collisions of what is added.
pub(super) fn collisions(
    catalog: &Catalog,
    best: &'static Shape,
    shapes: &'static [Shape],
    differences: &Differences,
) -> Vec<Collision> {
    if catalog.engine != Engine::Mssql {
        return Vec::new();
    }
    let later: Vec<&Shape> = shapes.iter().filter(|shape| shape.rank > best.rank).collect();
    let mut out = Vec::new();
    for added in &differences.added {
        let Some(table) = added.of_table().and_then(|name| catalog.table(name)) else { continue };
        let found = match (added.thing, added.column()) {
            (Thing::Table, _) => of_table(table, &later),
            (Thing::Column, Some(column)) => of_column(table, column, &later),
            _ => None,
        };
        out.extend(found);
    }
    out
}

fn of_column(table: &Table, column: &str, later: &[&Shape]) -> Option<Collision> {
    let own = table.column(column)?;
    let (data_type, key) = (own.data_type(Engine::Mssql), (table.name.to_lowercase(), column.to_lowercase()));
    let found = data_type.sql(Engine::Mssql);
    let collision = |release: String, theirs: String, alike: bool| Collision {
        thing: Thing::Column,
        name: format!("{}.{}", table.name, own.name),
        table: table.name.clone(),
        release,
        found: found.clone(),
        theirs,
        alike,
    };
    let legacy = later.iter().find_map(|shape| Some((shape.name, shape.tables.get(&key.0)?.1.get(&key.1)?)));
    if let Some((name, theirs)) = legacy {
        let alike = theirs.data_type == data_type;
        return Some(collision(format!("legacy/{name}"), theirs.data_type.sql(Engine::Mssql), alike));
    }
    let theirs = django::modular().get(&key.0)?.get(&key.1)?;
    Some(collision("modular/1.11".into(), theirs.sql(Engine::Postgres), is_alike(&data_type, theirs)))
}

/// Whether a column of SQL Server is what a modular column is there, whichever of the texts or times it is.
fn is_alike(found: &DataType, modular: &DataType) -> bool {
    let wide = |data_type: &DataType| match data_type {
        DataType::VarChar(length) => DataType::NVarChar(*length),
        DataType::Char(n) | DataType::NChar(n) => DataType::NVarChar(crate::data_type::Length::Limited(*n)),
        DataType::DateTime | DataType::SmallDateTime | DataType::Timestamp(_) => DataType::Timestamp(7),
        other => other.clone(),
    };
    django::is_djangos(found, modular) || wide(found) == wide(&django::on_sql_server(modular))
}

fn of_table(table: &Table, later: &[&Shape]) -> Option<Collision> {
    let key = table.name.to_lowercase();
    let own: std::collections::BTreeSet<String> = table.columns.iter().map(|c| c.name.to_lowercase()).collect();
    let collision = |release: String, theirs: Vec<String>| {
        let shared = theirs.iter().filter(|name| own.contains(*name)).count();
        Collision {
            thing: Thing::Table,
            name: table.name.clone(),
            table: table.name.clone(),
            release,
            found: format!("{} columns, {shared} of them by the same name", own.len()),
            theirs: format!("{} columns", theirs.len()),
            alike: shared == own.len() && shared == theirs.len(),
        }
    };
    let names = |shape: &&Shape| Some((shape.name, shape.tables.get(&key)?.1.keys().cloned().collect()));
    if let Some((name, theirs)) = later.iter().find_map(names) {
        return Some(collision(format!("legacy/{name}"), theirs));
    }
    let modular = release_table(&key)?;
    Some(collision("modular/1.11".into(), modular))
}

fn release_table(key: &str) -> Option<Vec<String>> {
    Some(django::modular().get(key)?.keys().cloned().collect())
}
