//! The releases as they are compared: names in lower case, types parsed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

use crate::catalog::{Catalog, Table};
use crate::data_type::DataType;
use crate::legacy::{is_of_upgrades, legacy_names, legacy_releases};
use crate::name::Engine;
use crate::release::release;

/// A column as it is compared.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) spelled: String,
    pub(super) data_type: DataType,
    pub(super) nullable: bool,
    engine: Engine,
}

impl Held {
    pub(super) fn text(&self) -> String {
        format!("{} {}", self.data_type.sql(self.engine), if self.nullable { "NULL" } else { "NOT NULL" })
    }
}

pub(super) type Columns = BTreeMap<String, Held>;

/// A table's columns by name in lower case. Those that only an upgrade makes are none.
pub(super) fn columns(table: &Table, engine: Engine) -> Columns {
    let held = table.columns.iter().filter(|column| !is_of_upgrades(table, column)).map(|column| {
        let (spelled, data_type) = (column.name.clone(), column.data_type(engine));
        (column.name.to_lowercase(), Held { spelled, data_type, nullable: column.nullable, engine })
    });
    held.collect()
}

/// A release as it is compared.
pub(super) struct Shape {
    pub(super) name: &'static str,
    /// Its place among its like, oldest first.
    pub(super) rank: usize,
    pub(super) released: bool,
    pub(super) tables: BTreeMap<String, (&'static str, Columns)>,
    /// Names as they are spelled, by name in lower case and without schema.
    pub(super) routines: BTreeMap<String, &'static str>,
    pub(super) views: BTreeMap<String, &'static str>,
    pub(super) types: BTreeMap<String, &'static str>,
    pub(super) fingerprints: BTreeMap<&'static str, &'static str>,
    /// The whole catalogue, where keys are known.
    pub(super) full: Option<&'static Catalog>,
}

fn tables(catalog: &'static Catalog) -> BTreeMap<String, (&'static str, Columns)> {
    let tables = catalog.tables.iter();
    tables.map(|t| (t.name.to_lowercase(), (t.name.as_str(), columns(t, catalog.engine)))).collect()
}

fn names(names: impl Iterator<Item = &'static str>) -> BTreeMap<String, &'static str> {
    names.map(|name| (name.to_lowercase(), name)).collect()
}

/// The legacy releases, oldest first.
pub(super) fn legacy() -> &'static [Shape] {
    static SHAPES: OnceLock<Vec<Shape>> = OnceLock::new();
    SHAPES.get_or_init(|| {
        let releases = legacy_releases().iter().enumerate();
        let shapes = releases.map(|(rank, release)| Shape {
            name: &release.name,
            rank,
            released: legacy_names().any(|known| known.name == release.name && known.date.is_some()),
            tables: tables(&release.catalog),
            routines: names(release.catalog.routines.items().iter().map(|r| r.name.as_str())),
            views: names(release.catalog.views.items().iter().map(|v| v.name.as_str())),
            types: names(release.types.iter().map(|name| name.rsplit('.').next().unwrap_or(name))),
            fingerprints: release.fingerprints.iter().map(|(name, print)| (name.as_str(), print.as_str())).collect(),
            full: (release.name == "24.04").then(newest).flatten(),
        });
        shapes.collect()
    })
}

fn newest() -> Option<&'static Catalog> {
    static NEWEST: OnceLock<Option<Catalog>> = OnceLock::new();
    NEWEST.get_or_init(|| release("legacy/24.04").ok()).as_ref()
}

/// The modular releases, oldest first: the tables before Django's migrations are one of them.
pub(super) fn modular() -> &'static [Shape] {
    static CATALOGS: OnceLock<Vec<(&'static str, Catalog)>> = OnceLock::new();
    static SHAPES: OnceLock<Vec<Shape>> = OnceLock::new();
    SHAPES.get_or_init(|| {
        let catalogs = CATALOGS.get_or_init(|| {
            let read = |name: &'static str| Some((name, release(&format!("modular/{name}")).ok()?));
            ["baseline-upstream", "1.11"].into_iter().filter_map(read).collect()
        });
        let shapes = catalogs.iter().enumerate().map(|(rank, (name, catalog))| Shape {
            name,
            rank,
            released: true,
            tables: tables(catalog),
            routines: names(catalog.routines.items().iter().map(|r| r.name.as_str())),
            views: names(catalog.views.items().iter().map(|v| v.name.as_str())),
            types: BTreeMap::new(),
            fingerprints: BTreeMap::new(),
            full: Some(catalog),
        });
        shapes.collect()
    })
}

/// Names that every one of these releases has.
pub(super) fn common<'a>(
    shapes: &'a [Shape],
    of: impl Fn(&'a Shape) -> &'a BTreeMap<String, &'static str>,
) -> BTreeSet<&'a str> {
    let Some(first) = shapes.first() else { return BTreeSet::new() };
    of(first)
        .keys()
        .map(String::as_str)
        .filter(|name| shapes.iter().all(|shape| of(shape).contains_key(*name)))
        .collect()
}
