//! Countries by the marks that their databases bear.

use std::sync::OnceLock;

use serde::{Deserialize, Serialize};

use super::shape::Shape;
use crate::catalog::Catalog;
use crate::data_type::DataType;

const COUNTRIES: &str = include_str!("../../releases/countries.yaml");

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Known {
    name: String,
    title: String,
    marks: Vec<String>,
}

fn known() -> &'static [Known] {
    static KNOWN: OnceLock<Vec<Known>> = OnceLock::new();
    // The file is part of the program and read by a test; without it no country is recognised.
    KNOWN.get_or_init(|| serde_yaml::from_str(COUNTRIES).unwrap_or_default())
}

/// A country whose marks a database bears.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Country {
    /// A short name: `nepal-hib`.
    pub name: String,
    /// Its name for people.
    pub title: String,
    /// The marks that are there.
    pub found: Vec<String>,
    /// The marks that are not.
    pub missing: Vec<String>,
}

impl Country {
    /// `9 of 11 marks`.
    pub fn score(&self) -> String {
        format!("{} of {} marks", self.found.len(), self.found.len() + self.missing.len())
    }
}

/// One mark is a coincidence, and so are few of many.
fn tells(country: &Country) -> bool {
    country.found.len() >= 2 && 4 * country.found.len() >= country.found.len() + country.missing.len()
}

/// The countries whose marks a database bears, the one with the largest share of them first.
pub(super) fn countries(catalog: &Catalog, shape: &Shape) -> Vec<Country> {
    let mut out: Vec<Country> = known()
        .iter()
        .map(|known| {
            let (found, missing) = known.marks.iter().cloned().partition(|mark| bears(catalog, shape, mark));
            Country { name: known.name.clone(), title: known.title.clone(), found, missing }
        })
        .filter(tells)
        .collect();
    out.sort_by_key(|c| (c.missing.len() * 1_000 / c.found.len().max(1), usize::MAX - c.found.len()));
    out
}

fn bears(catalog: &Catalog, shape: &Shape, mark: &str) -> bool {
    let (name, data_type) = mark.split_once(' ').map_or((mark, None), |(name, text)| (name, Some(text)));
    let (table, column) = name.split_once('.').map_or((name, None), |(table, column)| (table, Some(column)));
    let Some(found) = catalog.table(table) else { return false };
    let theirs = shape.tables.get(&table.to_lowercase());
    let Some(column) = column else { return theirs.is_none() };
    let Some(found) = found.column(column) else { return false };
    let theirs = theirs.and_then(|(_, columns)| columns.get(&column.to_lowercase()));
    match data_type {
        None => theirs.is_none(),
        Some(text) => {
            let wanted = DataType::parse(catalog.engine, text);
            found.data_type(catalog.engine) == wanted && theirs.is_none_or(|held| held.data_type != wanted)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mark_can_be_read() {
        let marks = known().iter().flat_map(|known| &known.marks).collect::<Vec<_>>();
        assert!(known().len() >= 5 && marks.iter().all(|mark| mark.starts_with("tbl")), "{marks:?}");
        let typed = marks.iter().filter_map(|mark| mark.split_once(' ')).map(|(_, text)| text);
        assert!(
            typed.map(|text| DataType::parse(crate::Engine::Mssql, text)).all(|t| !matches!(t, DataType::Other(_)))
        );
    }
}
