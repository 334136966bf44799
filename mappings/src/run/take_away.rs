//! What is taken away from the target's tables while rows come in: foreign keys, and indexes with the constraints that rest
//! on them. Indexes are made anew faster than kept up to date, and two ranges that write one unique index can wait for each
//! other for ever. All of it is written down first, and comes back exactly so.

use imis_databases::postgres::{Pool, describe_error};
use imis_databases::{Error, PostgresAddress};
use imis_schemas::{Catalog, Engine, Index, Key, Known, Table, TableName, Unique, same_name};
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

impl Shape {
    /// The columns that a plain unique holds, with the name of their table; `None` of an index over expressions or a part of
    /// the rows.
    pub(super) fn unique_columns(&self, catalog: &Catalog) -> Option<(TableName, Vec<String>)> {
        let name = TableName::new(self.schema.as_str(), self.table.as_str());
        let table = catalog.tables.iter().find(|table| table.table_name() == name)?;
        let columns = match &self.what {
            What::PrimaryKey(key) => &key.columns,
            What::Unique(unique) => &unique.columns,
            What::Index(index) if index.unique && index.filter.is_none() => &index.columns,
            What::Index(_) => return None,
        };
        columns.iter().all(|name| table.columns.iter().any(|c| c.name == *name)).then(|| (name, columns.clone()))
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum What {
    PrimaryKey(Key),
    Unique(Unique),
    Index(Index),
}

/// The kinds under which things stand among what was taken away, in the order in which they come back: an index (with its
/// constraint's kind where it has one), what rests on an index (constraints, marks, comments), foreign keys.
pub(super) const MARK: &str = "mark";
pub(super) const FOREIGN_KEY: &str = "foreign key";

/// Something that is taken away, and how it comes back.
#[derive(Debug, Default)]
pub(super) struct Taken {
    pub(super) kind: &'static str,
    pub(super) name: String,
    /// Takes it away, also when only a part of it is there.
    pub(super) drop: String,
    pub(super) create: String,
    pub(super) shape: Option<Shape>,
    /// The tables that making it anew holds; none where that is not known, and then nothing else is made at the same time.
    pub(super) tables: Vec<String>,
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
                    obj_description(k.oid, 'pg_constraint'), k.confrelid::regclass::text, \
                    EXISTS (SELECT FROM pg_class c WHERE c.oid IN (k.conrelid, k.confrelid) AND c.relkind <> 'r') \
             FROM pg_constraint k WHERE k.contype = 'f' AND k.conparentid = 0 \
               AND (k.conrelid = ANY($1::text[]::regclass[]) OR k.confrelid = ANY($1::text[]::regclass[])) \
             ORDER BY k.oid",
            &[&names],
        )
        .await
        .map_err(doing)?;
    let mut taken = Vec::new();
    for key in keys {
        let (name, table, to): (String, String, String) = (key.get(0), key.get(1), key.get(4));
        let constraint = PG.quote(&name);
        let drop = format!("ALTER TABLE {table} DROP CONSTRAINT {constraint}");
        let mut create = format!("ALTER TABLE {table} ADD CONSTRAINT {constraint} {}", key.get::<_, String>(2));
        if let Some(comment) = key.get::<_, Option<String>>(3) {
            create.push_str(&format!("; COMMENT ON CONSTRAINT {constraint} ON {table} IS {}", PG.literal(&comment)));
        }
        // The parts of a divided table are held too.
        let tables = if key.get::<_, bool>(5) { Vec::new() } else { vec![table.clone(), to] };
        let name = format!("{table}.{name}");
        taken.push(Taken { kind: FOREIGN_KEY, name, drop, create, shape: None, tables });
    }
    note_taken(target, transaction, &taken).await?;
    drop_all(transaction, &taken).await.map_err(doing)
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
            "SELECT format('%I.%I', n.nspname, i.relname), x.indrelid::regclass::text, pg_get_indexdef(x.indexrelid), \
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
    let mut taken = Vec::new();
    for index in indexes {
        let (name, table): (String, String) = (index.get(0), index.get(1));
        let bare = PG.quote(index.get(6));
        let constraint: Option<String> = index.get(7);
        let mut drop = format!("DROP INDEX IF EXISTS {name}");
        let mut kind = "index";
        let mut marks: Vec<String> = Vec::new();
        if let Some(constraint) = &constraint {
            let primary = index.get::<_, &str>(8) == "p";
            kind = if primary { "primary key" } else { "unique constraint" };
            let quoted = PG.quote(constraint);
            // Without its constraint the index stays.
            drop = format!("ALTER TABLE {table} DROP CONSTRAINT IF EXISTS {quoted}; {drop}");
            marks.push(format!(
                "ALTER TABLE {table} ADD CONSTRAINT {quoted} {} USING INDEX {bare}{}{}",
                if primary { "PRIMARY KEY" } else { "UNIQUE" },
                if index.get::<_, bool>(9) { " DEFERRABLE" } else { "" },
                if index.get::<_, bool>(10) { " INITIALLY DEFERRED" } else { "" },
            ));
            if let Some(comment) = index.get::<_, Option<String>>(11) {
                marks.push(format!("COMMENT ON CONSTRAINT {quoted} ON {table} IS {}", PG.literal(&comment)));
            }
        }
        if let Some(comment) = index.get::<_, Option<String>>(3) {
            marks.push(format!("COMMENT ON INDEX {name} IS {}", PG.literal(&comment)));
        }
        if index.get::<_, bool>(4) {
            marks.push(format!("ALTER TABLE {table} CLUSTER ON {bare}"));
        }
        if let Some(space) = index.get::<_, Option<String>>(5) {
            marks.push(format!("ALTER INDEX {name} SET TABLESPACE {}", PG.quote(&space)));
        }
        let shape = shape(tables, index.get(12), index.get(13), constraint.as_deref().unwrap_or(index.get(6)));
        let tables = vec![table];
        taken.push(Taken { kind, name: name.clone(), drop, create: index.get(2), shape, tables: tables.clone() });
        // They need the table for themselves, and the index does not: several are made at once.
        if !marks.is_empty() {
            let (drop, create) = ("SELECT 1".to_owned(), marks.join("; "));
            taken.push(Taken { kind: MARK, name, drop, create, shape: None, tables });
        }
    }
    note_taken(target, transaction, &taken).await?;
    drop_all(transaction, &taken).await.map_err(doing)
}

async fn drop_all(transaction: &Transaction<'_>, taken: &[Taken]) -> Result<(), tokio_postgres::Error> {
    let drops = taken.iter().filter(|taken| taken.kind != MARK).map(|taken| taken.drop.as_str());
    transaction.batch_execute(&drops.collect::<Vec<_>>().join("; ")).await
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

/// Writes down what is taken away, before that is done.
pub(super) async fn note_taken(
    target: &PostgresTarget,
    transaction: &Transaction<'_>,
    taken: &[Taken],
) -> Result<(), Error> {
    let column = |of: &dyn Fn(&Taken) -> String| taken.iter().map(of).collect::<Vec<_>>();
    let json = |value: Option<serde_json::Value>| value.map(|value| value.to_string());
    let shapes: Vec<Option<String>> =
        taken.iter().map(|t| json(t.shape.as_ref().and_then(|shape| serde_json::to_value(shape).ok()))).collect();
    let tables: Vec<Option<String>> =
        taken.iter().map(|t| json((!t.tables.is_empty()).then(|| serde_json::Value::from(t.tables.clone())))).collect();
    transaction
        .execute(
            "INSERT INTO imis_migration.dropped (run, kind, name, drop_sql, create_sql, shape, tables) \
             SELECT $1, t.kind, t.name, t.drop_sql, t.create_sql, t.shape, t.tables \
             FROM unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[]) \
                  WITH ORDINALITY AS t (kind, name, drop_sql, create_sql, shape, tables, place) ORDER BY t.place",
            &[
                &target.run,
                &column(&|t| t.kind.to_owned()),
                &column(&|t| t.name.clone()),
                &column(&|t| t.drop.clone()),
                &column(&|t| t.create.clone()),
                &shapes,
                &tables,
            ],
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
