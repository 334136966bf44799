//! Primary and foreign keys, where the release's whole catalogue is known. Names of constraints are the server's own business,
//! so keys are compared by what they say.

use std::collections::BTreeMap;

use super::differences::Differences;
use super::shape::Shape;
use super::{Candidate, Difference, Thing};
use crate::catalog::{Catalog, Table};

/// What keys a table has, by their meaning in lower case, as they are told.
fn told(table: &Table) -> BTreeMap<(Thing, String), String> {
    let mut out = BTreeMap::new();
    let mut put = |thing, text: String| {
        out.insert((thing, text.to_lowercase()), text);
    };
    if let Some(Some(key)) = table.primary_key.known() {
        put(Thing::PrimaryKey, format!("({})", key.columns.join(", ")));
    }
    for key in table.foreign_keys.items() {
        let to = key.references.name.as_str();
        put(Thing::ForeignKey, format!("({}) to {to} ({})", key.columns.join(", "), key.referenced_columns.join(", ")));
    }
    out
}

/// The keys that differ. What a difference of tables and columns brings along is not told again.
pub(super) fn keys(
    catalog: &Catalog,
    best: &'static Shape,
    twins: &[&Candidate],
    differences: &Differences,
) -> Vec<Difference> {
    let known = std::iter::once(best).chain(twins.iter().map(|twin| twin.shape)).find_map(|shape| shape.full);
    let Some(full) = known.filter(|_| !super::django::is_hybrid(catalog)) else { return Vec::new() };
    let told_already = |table: &str, text: &str| {
        let lower = text.to_lowercase();
        let names = |d: &Difference| {
            d.thing == Thing::Table && lower.contains(&format!(" to {} (", d.name.to_lowercase()))
                || d.table.as_deref().is_some_and(|own| own.eq_ignore_ascii_case(table))
                    && d.column().is_some_and(|column| {
                        let end = lower.find(')').unwrap_or(lower.len());
                        let own = lower.get(1..end).unwrap_or_default();
                        own.split(", ").any(|name| name == column.to_lowercase())
                    })
        };
        differences.removed.iter().chain(&differences.added).any(names)
    };
    let mut out = Vec::new();
    for table in catalog.tables.iter().filter(|t| t.schema.eq_ignore_ascii_case(catalog.engine.default_schema())) {
        let Some(theirs) = full.table(&table.name) else { continue };
        if table.columns.is_empty() {
            continue;
        }
        let (found, expected) = (told(table), told(theirs));
        let is_known = |thing: Thing| match thing {
            Thing::PrimaryKey => !table.primary_key.is_unknown() && !theirs.primary_key.is_unknown(),
            _ => !table.foreign_keys.is_unknown() && !theirs.foreign_keys.is_unknown(),
        };
        let mut push = |thing: Thing, text: &String, is_there: bool| {
            if is_known(thing) && !told_already(&table.name, text) {
                let what = if thing == Thing::PrimaryKey { "primary key" } else { "foreign key" };
                let text = format!("{what} {text}");
                out.push(Difference {
                    thing,
                    name: format!("{}: {text}", table.name),
                    table: Some(table.name.clone()),
                    found: is_there.then(|| text.clone()),
                    expected: (!is_there).then_some(text),
                });
            }
        };
        found.iter().filter(|(key, _)| !expected.contains_key(*key)).for_each(|((t, _), text)| push(*t, text, true));
        expected.iter().filter(|(key, _)| !found.contains_key(*key)).for_each(|((t, _), text)| push(*t, text, false));
    }
    out
}
