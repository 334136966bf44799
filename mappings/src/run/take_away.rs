//! What is taken away from the target's tables while rows come in: foreign keys, and indexes with the constraints that rest
//! on them. Indexes are made anew faster than kept up to date, and two ranges that write one unique index can wait for each
//! other for ever. All of it is written down first, and comes back exactly so.

use imis_databases::postgres::{Pool, describe_error};
use imis_databases::{Error, PostgresAddress};
use imis_schemas::{Catalog, Engine, Index, Key, Known, Table, Unique, same_name};
use serde::{Deserialize, Serialize};
use tokio_postgres::Transaction;

use super::postgres::PostgresTarget;
use super::state::{self, Phase};

const PG: Engine = Engine::Postgres;

/// What a catalogue said of something that was taken away, so that it can be said again while it is not there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Shape {
    schema: String,
    table: String,
    what: What,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum What {
    PrimaryKey(Key),
    Unique(Unique),
    Index(Index),
}

/// Drops every foreign key on or to the tables, after writing down how it comes back.
pub(super) async fn keys(
    target: &PostgresTarget,
    tables: &[std::sync::Arc<Table>],
    transaction: &Transaction<'_>,
) -> Result<(), Error> {
    let names: Vec<String> = tables.iter().map(|t| t.table_name().sql(PG)).collect();
    let doing = |e| describe_error(e, "taking foreign keys away for the load");
    let keys = transaction
        .query(
            "SELECT k.conname, k.conrelid::regclass::text, pg_get_constraintdef(k.oid), \
                    obj_description(k.oid, 'pg_constraint') \
             FROM pg_constraint k WHERE k.contype = 'f' AND k.conparentid = 0 \
               AND (k.conrelid = ANY($1::text[]::regclass[]) OR k.confrelid = ANY($1::text[]::regclass[])) \
             ORDER BY k.oid",
            &[&names],
        )
        .await
        .map_err(doing)?;
    for key in keys {
        let (name, table): (String, String) = (key.get(0), key.get(1));
        let constraint = PG.quote(&name);
        let drop = format!("ALTER TABLE {table} DROP CONSTRAINT {constraint}");
        let mut create = format!("ALTER TABLE {table} ADD CONSTRAINT {constraint} {}", key.get::<_, String>(2));
        if let Some(comment) = key.get::<_, Option<String>>(3) {
            create.push_str(&format!("; COMMENT ON CONSTRAINT {constraint} ON {table} IS {}", PG.literal(&comment)));
        }
        note_dropped(target, transaction, "foreign key", &format!("{table}.{name}"), &drop, &create, None).await?;
        transaction.batch_execute(&drop).await.map_err(doing)?;
    }
    Ok(())
}

/// Drops indexes, and the primary keys and unique constraints that rest on them.
///
/// Left where they are: indexes that logical replication names a row by, exclusion constraints, and those on which a view or a
/// function depends. An index that counts NULLs as equal stays too, since no rule of a mapping does.
pub(super) async fn indexes(
    target: &PostgresTarget,
    tables: &[std::sync::Arc<Table>],
    transaction: &Transaction<'_>,
) -> Result<(), Error> {
    let names: Vec<String> = tables.iter().map(|t| t.table_name().sql(PG)).collect();
    let doing = |e| describe_error(e, "taking indexes away for the load");
    let indexes = transaction
        .query(
            "SELECT x.indexrelid::regclass::text, x.indrelid::regclass::text, pg_get_indexdef(x.indexrelid), \
                    obj_description(x.indexrelid, 'pg_class'), x.indisclustered, s.spcname, i.relname, \
                    k.conname, k.contype::text, k.condeferrable, k.condeferred, obj_description(k.oid, 'pg_constraint'), \
                    n.nspname, c.relname \
             FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid LEFT JOIN pg_tablespace s ON s.oid = i.reltablespace \
             JOIN pg_class c ON c.oid = x.indrelid JOIN pg_namespace n ON n.oid = c.relnamespace \
             LEFT JOIN pg_constraint k ON k.conindid = x.indexrelid AND k.contype IN ('p', 'u', 'x') \
             WHERE x.indrelid = ANY($1::text[]::regclass[]) AND NOT x.indisreplident AND x.indisvalid \
               AND coalesce(k.contype, 'u') IN ('p', 'u') \
               AND coalesce(to_jsonb(x) ->> 'indnullsnotdistinct', 'false') = 'false' \
               AND NOT EXISTS (SELECT FROM pg_inherits h WHERE h.inhrelid = x.indexrelid OR h.inhparent = x.indexrelid) \
               AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.deptype = 'n' \
                     AND (d.refclassid = 'pg_constraint'::regclass AND d.refobjid = k.oid \
                          OR d.refclassid = 'pg_class'::regclass AND d.refobjid = x.indexrelid)) \
               AND NOT (x.indisprimary AND c.relreplident = 'd' AND EXISTS ( \
                     SELECT FROM pg_publication_tables p WHERE p.schemaname = n.nspname AND p.tablename = c.relname)) \
             ORDER BY x.indexrelid",
            &[&names],
        )
        .await
        .map_err(doing)?;
    for index in indexes {
        let (name, table): (String, String) = (index.get(0), index.get(1));
        let bare = PG.quote(index.get(6));
        let mut create: String = index.get(2);
        let constraint: Option<String> = index.get(7);
        let drop = match &constraint {
            None => format!("DROP INDEX {name}"),
            Some(constraint) => format!("ALTER TABLE {table} DROP CONSTRAINT {}", PG.quote(constraint)),
        };
        let mut kind = "index";
        if let Some(constraint) = &constraint {
            let primary = index.get::<_, &str>(8) == "p";
            kind = if primary { "primary key" } else { "unique constraint" };
            let quoted = PG.quote(constraint);
            create.push_str(&format!(
                "; ALTER TABLE {table} ADD CONSTRAINT {quoted} {} USING INDEX {bare}{}{}",
                if primary { "PRIMARY KEY" } else { "UNIQUE" },
                if index.get::<_, bool>(9) { " DEFERRABLE" } else { "" },
                if index.get::<_, bool>(10) { " INITIALLY DEFERRED" } else { "" },
            ));
            if let Some(comment) = index.get::<_, Option<String>>(11) {
                create.push_str(&format!("; COMMENT ON CONSTRAINT {quoted} ON {table} IS {}", PG.literal(&comment)));
            }
        }
        if let Some(comment) = index.get::<_, Option<String>>(3) {
            create.push_str(&format!("; COMMENT ON INDEX {name} IS {}", PG.literal(&comment)));
        }
        if index.get::<_, bool>(4) {
            create.push_str(&format!("; ALTER TABLE {table} CLUSTER ON {bare}"));
        }
        if let Some(space) = index.get::<_, Option<String>>(5) {
            create.push_str(&format!("; ALTER INDEX {name} SET TABLESPACE {}", PG.quote(&space)));
        }
        let shape = shape(tables, index.get(12), index.get(13), constraint.as_deref().unwrap_or(index.get(6)));
        note_dropped(target, transaction, kind, &name, &drop, &create, shape.as_ref()).await?;
        transaction.batch_execute(&drop).await.map_err(doing)?;
    }
    Ok(())
}

/// What the catalogue says of a primary key, a unique or a unique index of this name.
fn shape(tables: &[std::sync::Arc<Table>], schema: &str, table: &str, name: &str) -> Option<Shape> {
    let of = tables.iter().find(|t| t.schema == schema && t.name == table)?;
    let primary = of.primary_key.known().and_then(Option::as_ref).filter(|key| key.name.as_deref() == Some(name));
    let unique = of.uniques.items().iter().find(|unique| unique.name == name);
    let index = of.indexes.items().iter().find(|index| index.unique && index.name == name);
    let what = primary
        .map(|key| What::PrimaryKey(key.clone()))
        .or_else(|| unique.map(|unique| What::Unique(unique.clone())))
        .or_else(|| index.map(|index| What::Index(index.clone())))?;
    Some(Shape { schema: schema.to_owned(), table: table.to_owned(), what })
}

pub(super) async fn note_dropped(
    target: &PostgresTarget,
    transaction: &Transaction<'_>,
    kind: &str,
    name: &str,
    drop: &str,
    create: &str,
    shape: Option<&Shape>,
) -> Result<(), Error> {
    transaction
        .execute(
            "INSERT INTO imis_migration.dropped (run, kind, name, drop_sql, create_sql, shape) VALUES ($1, $2, $3, $4, $5, $6)",
            &[&target.run, &kind, &name, &drop, &create, &shape.and_then(|s| serde_json::to_string(s).ok())],
        )
        .await
        .map(|_| ())
        .map_err(|e| describe_error(e, "writing down what is taken away"))
}

/// Adds to the catalogue of a target what an unfinished run has taken away there: a mapping is held against the target as it
/// was, and will be again.
///
/// # Errors
/// When the server fails.
pub async fn as_it_was(address: &PostgresAddress, mut catalog: Catalog) -> Result<Catalog, Error> {
    let connection = Pool::new(address.clone()).take().await?;
    let Some(open) = state::all(&*connection).await?.into_iter().find(|run| run.phase < Phase::Finished) else {
        return Ok(catalog);
    };
    let rows = connection
        .query(
            "SELECT shape FROM imis_migration.dropped WHERE run = $1 AND shape IS NOT NULL ORDER BY position",
            &[&open.run],
        )
        .await
        .map_err(|e| describe_error(e, "reading what was taken away"))?;
    for row in rows {
        let Ok(shape) = serde_json::from_str::<Shape>(row.get(0)) else { continue };
        let table = catalog.tables.iter_mut().find(|t| t.schema == shape.schema && same_name(&t.name, &shape.table));
        let Some(table) = table else { continue };
        match shape.what {
            What::PrimaryKey(key) if table.key_columns().is_empty() => table.primary_key = Known::Yes(Some(key)),
            What::PrimaryKey(_) => {}
            What::Unique(unique) => add(&mut table.uniques, unique, |known| &known.name),
            What::Index(index) => add(&mut table.indexes, index, |known| &known.name),
        }
    }
    catalog.sort();
    Ok(catalog)
}

fn add<T>(list: &mut Known<Vec<T>>, item: T, name: fn(&T) -> &String) {
    let mut items = match std::mem::take(list) {
        Known::Yes(items) => items,
        Known::No => Vec::new(),
    };
    if !items.iter().any(|known| name(known) == name(&item)) {
        items.push(item);
    }
    *list = Known::Yes(items);
}
