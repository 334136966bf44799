//! What Django makes on a SQL Server, in the types of its backend for it, as far as the modular release that is known tells.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

use super::{Difference, Thing, hybrid};
use crate::catalog::Catalog;
use crate::data_type::{DataType, Length};
use crate::name::Engine;
use crate::release::release;

/// Whether Django's migrations ran on a SQL Server.
pub(super) fn is_hybrid(catalog: &Catalog) -> bool {
    catalog.engine == Engine::Mssql && catalog.table("django_migrations").is_some()
}

/// Columns of the modular release by table, in lower case.
type Modular = BTreeMap<String, BTreeMap<String, DataType>>;

pub(super) fn modular() -> &'static Modular {
    static MODULAR: OnceLock<Modular> = OnceLock::new();
    MODULAR.get_or_init(|| {
        let catalog = release("modular/1.11").ok();
        let tables = catalog.iter().flat_map(|catalog| &catalog.tables);
        let columns = |table: &crate::Table| {
            table.columns.iter().map(|c| (c.name.to_lowercase(), c.data_type(Engine::Postgres))).collect()
        };
        tables.map(|table| (table.name.to_lowercase(), columns(table))).collect()
    })
}

/// The beginnings of the names of tables that Django's apps make.
fn prefixes() -> &'static BTreeSet<String> {
    static PREFIXES: OnceLock<BTreeSet<String>> = OnceLock::new();
    PREFIXES.get_or_init(|| {
        let of_modular = modular().keys().filter_map(|name| name.split_once('_')).map(|(app, _)| app.to_owned());
        of_modular.chain(hybrid::apps().map(str::to_lowercase)).collect()
    })
}

/// The type that Django's backend for SQL Server gives a column which has this type on PostgreSQL.
pub fn on_sql_server(modular: &DataType) -> DataType {
    match modular {
        DataType::VarChar(length) => DataType::NVarChar(*length),
        DataType::Text | DataType::Json | DataType::Jsonb => DataType::NVarChar(Length::Max),
        DataType::TimestampTz | DataType::Timestamp(_) => DataType::Timestamp(7),
        DataType::Uuid => DataType::Char(32),
        DataType::BitString(1) => DataType::Boolean,
        DataType::VarBinary(_) => DataType::VarBinary(Length::Max),
        other => other.clone(),
    }
}

/// Whether a type of a SQL Server is what Django makes there of a type on PostgreSQL.
pub(super) fn is_djangos(found: &DataType, modular: &DataType) -> bool {
    *found == on_sql_server(modular) || (*found == DataType::Uuid && *modular == DataType::Uuid)
}

pub(super) fn is_table(name: &str) -> bool {
    let lower = name.to_lowercase();
    modular().contains_key(&lower) || lower.split_once('_').is_some_and(|(app, _)| prefixes().contains(app))
}

/// A column of the modular release; an outer `None` where it has no such table.
fn column(difference: &Difference) -> Option<Option<&'static DataType>> {
    let table = modular().get(&difference.table.as_ref()?.to_lowercase())?;
    Some(table.get(&difference.column()?.to_lowercase()))
}

/// Whether something that a legacy release has not is Django's work.
pub(super) fn added(difference: &Difference) -> bool {
    match difference.thing {
        Thing::Table => is_table(&difference.name),
        Thing::Column => matches!(column(difference), Some(Some(_))),
        Thing::Routine | Thing::View | Thing::Type | Thing::PrimaryKey | Thing::ForeignKey => false,
    }
}

/// Whether a column is what a migration made of it.
pub(super) fn changed(difference: &Difference) -> bool {
    let Some(Some(modular)) = column(difference) else { return false };
    let text = difference.found.as_deref().unwrap_or_default();
    let found = text.strip_suffix(" NOT NULL").or_else(|| text.strip_suffix(" NULL")).unwrap_or(text);
    is_djangos(&DataType::parse(Engine::Mssql, found), modular)
}

/// Whether a column went with a migration.
pub(super) fn removed(difference: &Difference) -> bool {
    matches!(column(difference), Some(None))
}
