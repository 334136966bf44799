//! The catalogue of a PostgreSQL database. Schemas of the system and our own `imis_migration` are left out.

use std::collections::HashMap;

use imis_schemas::catalog::{Catalog, Check, Column, ForeignKey, Index, Key, Known, Routine, Table, Unique, View};
use imis_schemas::{Engine, TableName};
use tokio_postgres::{Client, Row};

use super::connect::{cell, describe_error};
use crate::error::Error;

/// The schema in which imis keeps its state in a target.
pub const STATE_SCHEMA: &str = "imis_migration";

const OURS: &str = "n.nspname NOT IN ('pg_catalog', 'information_schema', 'imis_migration') \
     AND n.nspname NOT LIKE 'pg\\_toast%' AND n.nspname NOT LIKE 'pg\\_temp%' AND n.nspname NOT LIKE '\\_timescaledb\\_%'";

/// Describes a database.
///
/// # Errors
/// When the server fails.
pub async fn introspect(client: &Client) -> Result<Catalog, Error> {
    let ask = async |what: &str, sql: String| {
        client.query(&sql, &[]).await.map_err(|e| describe_error(e, &format!("reading the catalogue ({what})")))
    };
    let mut catalog = Catalog::new(Engine::Postgres);
    if let Some(row) = ask(
        "server",
        "SELECT version(), (SELECT datcollate FROM pg_database WHERE datname = current_database())".into(),
    )
    .await?
    .first()
    {
        catalog.server = Some(cell(row, 0)?);
        catalog.collation = cell(row, 1)?;
    }

    let columns = ask(
        "columns",
        format!(
            "SELECT n.nspname, c.relname, a.attname, format_type(a.atttypid, a.atttypmod), NOT a.attnotnull, \
                    a.attidentity <> '', CASE WHEN a.attgenerated = '' THEN pg_get_expr(d.adbin, d.adrelid) END, \
                    CASE WHEN a.attgenerated <> '' THEN pg_get_expr(d.adbin, d.adrelid) END \
             FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
             LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped \
             LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum \
             WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND {OURS} ORDER BY n.nspname, c.relname, a.attnum"
        ),
    )
    .await?;
    let mut tables: Vec<Table> = Vec::new();
    let mut places: HashMap<(String, String), usize> = HashMap::new();
    for row in &columns {
        let (schema, name): (String, String) = (cell(row, 0)?, cell(row, 1)?);
        let place = *places.entry((schema.clone(), name.clone())).or_insert_with(|| {
            tables.push(Table {
                schema,
                name,
                columns: Vec::new(),
                primary_key: Known::Yes(None),
                foreign_keys: Known::Yes(Vec::new()),
                uniques: Known::Yes(Vec::new()),
                indexes: Known::Yes(Vec::new()),
                checks: Known::Yes(Vec::new()),
            });
            tables.len() - 1
        });
        if let (Some(table), Some(column)) = (tables.get_mut(place), cell::<Option<String>>(row, 2)?) {
            table.columns.push(Column {
                name: column,
                data_type: cell(row, 3)?,
                nullable: cell(row, 4)?,
                identity: cell(row, 5)?,
                default: cell(row, 6)?,
                computed: cell(row, 7)?,
                collation: None,
            });
        }
    }
    let table_of =
        |row: &Row| -> Result<Option<usize>, Error> { Ok(places.get(&(cell(row, 0)?, cell(row, 1)?)).copied()) };

    let constraints = ask(
        "constraints",
        format!(
            "SELECT n.nspname, c.relname, k.conname, k.contype::text, \
                    ARRAY(SELECT a.attname::text FROM unnest(k.conkey) WITH ORDINALITY u(num, at) \
                          JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.num ORDER BY u.at), \
                    rn.nspname, rc.relname, \
                    ARRAY(SELECT a.attname::text FROM unnest(k.confkey) WITH ORDINALITY u(num, at) \
                          JOIN pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = u.num ORDER BY u.at), \
                    k.condeferrable, k.convalidated, pg_get_constraintdef(k.oid) \
             FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace \
             LEFT JOIN pg_class rc ON rc.oid = k.confrelid LEFT JOIN pg_namespace rn ON rn.oid = rc.relnamespace \
             WHERE {OURS}"
        ),
    )
    .await?;
    for row in &constraints {
        let Some(table) = table_of(row)?.and_then(|at| tables.get_mut(at)) else { continue };
        let (name, kind, columns): (String, String, Vec<String>) = (cell(row, 2)?, cell(row, 3)?, cell(row, 4)?);
        match kind.as_str() {
            "p" => table.primary_key = Known::Yes(Some(Key { name: Some(name), columns })),
            "u" => push(&mut table.uniques, Unique { name, columns }),
            "c" => push(&mut table.checks, Check { name, definition: cell(row, 10)? }),
            "f" => {
                let referred: (Option<String>, Option<String>) = (cell(row, 5)?, cell(row, 6)?);
                if let (Some(schema), Some(table_name)) = referred {
                    push(
                        &mut table.foreign_keys,
                        ForeignKey {
                            name,
                            columns,
                            references: TableName::new(schema, table_name),
                            referenced_columns: cell(row, 7)?,
                            trusted: cell(row, 9)?,
                            enabled: true,
                            deferrable: cell(row, 8)?,
                        },
                    );
                }
            }
            _ => {}
        }
    }

    let indexes = ask(
        "indexes",
        format!(
            "SELECT n.nspname, c.relname, i.relname, x.indisunique, pg_get_expr(x.indpred, x.indrelid), \
                    ARRAY(SELECT CASE WHEN x.indkey[at - 1] = 0 THEN pg_get_indexdef(x.indexrelid, at, true) \
                                 ELSE (SELECT a.attname::text FROM pg_attribute a \
                                       WHERE a.attrelid = x.indrelid AND a.attnum = x.indkey[at - 1]) END \
                          FROM generate_series(1, x.indnatts) at ORDER BY at), x.indnkeyatts::int \
             FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid JOIN pg_class c ON c.oid = x.indrelid \
             JOIN pg_namespace n ON n.oid = c.relnamespace \
             WHERE {OURS} AND c.relkind IN ('r', 'p') \
               AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = x.indexrelid AND k.contype IN ('p', 'u', 'x'))"
        ),
    )
    .await?;
    for row in &indexes {
        let Some(table) = table_of(row)?.and_then(|at| tables.get_mut(at)) else { continue };
        let (name, unique, filter): (String, bool, Option<String>) = (cell(row, 2)?, cell(row, 3)?, cell(row, 4)?);
        let mut columns: Vec<String> = cell(row, 5)?;
        let include = columns.split_off(usize::try_from(cell::<i32>(row, 6)?).unwrap_or(0).min(columns.len()));
        let plain = columns.iter().all(|c| table.columns.iter().any(|known| known.name == *c));
        if unique && filter.is_none() && plain {
            push(&mut table.uniques, Unique { name, columns });
        } else {
            push(&mut table.indexes, Index { name, columns, include, unique, filter });
        }
    }

    let views = ask(
        "views",
        format!(
            "SELECT n.nspname, c.relname, pg_get_viewdef(c.oid) FROM pg_class c \
             JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('v', 'm') AND {OURS}"
        ),
    )
    .await?;
    let view = |row| Ok(View { schema: cell(row, 0)?, name: cell(row, 1)?, definition: cell(row, 2)? });
    catalog.views = Known::Yes(views.iter().map(view).collect::<Result<_, Error>>()?);
    let routines = ask(
        "routines",
        format!(
            "SELECT n.nspname, p.proname, CASE p.prokind WHEN 'p' THEN 'procedure' ELSE 'function' END, \
                    CASE WHEN p.prokind IN ('f', 'p') THEN pg_get_functiondef(p.oid) END \
             FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE {OURS} \
               AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = p.oid AND d.deptype = 'e')"
        ),
    )
    .await?;
    let routine = |row| {
        Ok(Routine { schema: cell(row, 0)?, name: cell(row, 1)?, kind: cell(row, 2)?, definition: cell(row, 3)? })
    };
    catalog.routines = Known::Yes(routines.iter().map(routine).collect::<Result<_, Error>>()?);
    catalog.tables = tables;
    catalog.sort();
    Ok(catalog)
}

fn push<T>(list: &mut Known<Vec<T>>, item: T) {
    match list {
        Known::Yes(items) => items.push(item),
        Known::No => *list = Known::Yes(vec![item]),
    }
}
