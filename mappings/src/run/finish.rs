//! After the last row: keys and indexes come back exactly as they were, generators go past the highest key, statistics.

use std::collections::BTreeMap;
use std::sync::Arc;

use imis_databases::Error;
use imis_databases::postgres::describe_error;
use imis_schemas::{Engine, Table, TableName};
use tokio_postgres::Transaction;

use super::failpoint::reached;
use super::lanes::{Hold, at_once};
use super::postgres::PostgresTarget;
use super::state::{self, Phase};
use super::take_away::{Taken, note_taken};
use super::target::tables_of;
use crate::bind::BoundMapping;

const PG: Engine = Engine::Postgres;

pub(super) async fn finish(target: &PostgresTarget, mapping: &BoundMapping) -> Result<Vec<String>, Error> {
    let phase = state::phase(&*target.pool.take().await?, &target.run).await?;
    if phase < Some(Phase::Finished) {
        super::put_back::all(target).await?;
    }
    // Counting and gathering read the same tables, in sessions of their own.
    let early = not_gathered(target, mapping).await;
    let (noted, gathered) = futures::join!(note(target, mapping), gather_statistics(target, early.clone()));
    noted?;
    gathered?;
    let stale = stale(target, mapping).await?;
    gather_statistics(target, stale.into_iter().filter(|table| !early.contains(table)).collect()).await?;
    Ok(vec![
        "Clear the cache of the openIMIS backend (or restart it) before anybody logs in: it remembers rights and \
             locations without limit of time."
            .to_owned(),
    ])
}

/// The transaction that finishes the run, unless an earlier try made it.
async fn note(target: &PostgresTarget, mapping: &BoundMapping) -> Result<(), Error> {
    let doing = |e| describe_error(e, "finishing the run");
    let mut connection = target.pool.take().await?;
    let transaction = connection.transaction().await.map_err(doing)?;
    if state::hold_phase(&transaction, &target.run).await? >= Some(Phase::Finished) {
        // An earlier try did it.
        transaction.rollback().await.map_err(doing)?;
    } else {
        let left = super::put_back::left(target, &transaction).await?;
        if left > 0 {
            return Err(Error::failed(format!("{left} key(s) or index(es) of the target did not come back"))
                .with_help("Go on with --resume, or take the run back with --undo."));
        }
        let own = tables_of(mapping);
        // The migrations made generators after the first run had set those that were there.
        let of_first = super::complete::tables_of_first(target, &transaction).await?;
        let of_first = of_first.into_iter().filter(|t| !own.iter().any(|o| o.table_name() == t.table_name()));
        let tables: Vec<Arc<Table>> = own.iter().cloned().chain(of_first).collect();
        set_generators(target, &transaction, &tables).await?;
        reached("finish-generators");
        note_end(target, mapping, &transaction).await?;
        state::set_phase(&transaction, &target.run, Phase::Finished).await?;
        reached("finish-noted");
        transaction.commit().await.map_err(doing)?;
        reached("finish-committed");
    }
    Ok(())
}

/// The tables whose statistics nobody needed so far.
async fn not_gathered(target: &PostgresTarget, mapping: &BoundMapping) -> Vec<TableName> {
    let analyzed = target.analyzed.lock().await;
    tables_of(mapping).iter().map(|table| table.table_name()).filter(|name| !analyzed.contains(name)).collect()
}

/// The tables whose statistics are not those of the rows as they are: that were not gathered before the keys were held, or
/// miss an index over an expression, which has some of its own; or so much has changed that the server would gather them anew.
async fn stale(target: &PostgresTarget, mapping: &BoundMapping) -> Result<Vec<TableName>, Error> {
    let rows = target
        .pool
        .take()
        .await?
        .query("SELECT schema_name, table_name, after FROM imis_migration.image WHERE run = $1", &[&target.run])
        .await
        .map_err(|e| describe_error(e, "reading how many rows there are"))?;
    let counts = rows.iter().map(|row| (TableName::new(row.get::<_, String>(0), row.get::<_, String>(1)), row.get(2)));
    let counts: BTreeMap<TableName, Option<i64>> = counts.collect();
    let effects = super::keys::effects(target).await?;
    let analyzed = target.analyzed.lock().await;
    let is_stale = |table: &&Arc<Table>| {
        let name = table.table_name();
        let is_column = |name: &String| table.columns.iter().any(|column| column.name == *name);
        let of_table = mapping.rules.iter().filter(|rule| rule.target.table_name() == name);
        let changed: u64 = of_table.filter_map(|rule| effects.get(&rule.name)).map(|e| e.rejected + e.repaired).sum();
        let count = counts.get(&name).copied().flatten().unwrap_or_default();
        !analyzed.contains(&name)
            || table.indexes.items().iter().any(|index| !index.columns.iter().all(is_column))
            || changed > 50 + u64::try_from(count).unwrap_or_default() / 10
    };
    Ok(tables_of(mapping).iter().filter(is_stale).map(|table| table.table_name()).collect())
}

/// Gathers the statistics of tables.
pub(super) async fn gather_statistics(target: &PostgresTarget, tables: Vec<TableName>) -> Result<(), Error> {
    let work = tables.into_iter().map(|name| (Hold::Own(vec![name.sql(PG)]), name)).collect();
    at_once(work, target.jobs, |name| async move {
        let connection = target.pool.take().await?;
        connection
            .batch_execute(&format!("ANALYZE {}", name.sql(PG)))
            .await
            .map_err(|e| describe_error(e, &format!("gathering statistics of {name}")))?;
        reached("finish-analyzed");
        target.analyzed.lock().await.insert(name);
        Ok(())
    })
    .await
}

/// Notes by what an undo will know that somebody has changed the target since: no row is written after this transaction.
async fn note_end(target: &PostgresTarget, mapping: &BoundMapping, transaction: &Transaction<'_>) -> Result<(), Error> {
    let doing = |e| describe_error(e, "noting where the run ended");
    let last = "UPDATE imis_migration.run SET last_xid = txid_current() WHERE run = $1";
    transaction.execute(last, &[&target.run]).await.map_err(doing)?;
    let run = PG.literal(&target.run);
    let tables = tables_of(mapping);
    let counts = tables.iter().map(|table| {
        format!(
            "UPDATE imis_migration.image SET after = (SELECT count(*) FROM {}) \
             WHERE run = {run} AND schema_name = {} AND table_name = {}",
            table.table_name().sql(PG),
            PG.literal(&table.schema),
            PG.literal(&table.name)
        )
    });
    transaction.batch_execute(&counts.collect::<Vec<_>>().join("; ")).await.map_err(doing)
}

/// Sets every sequence behind a column past the column's highest value: the one that the default names, and the one that
/// the column owns (for some tables they are two).
async fn set_generators(
    target: &PostgresTarget,
    transaction: &Transaction<'_>,
    tables: &[Arc<Table>],
) -> Result<(), Error> {
    let doing = |e| describe_error(e, "setting the key generators");
    let names: Vec<String> = tables.iter().map(|table| table.table_name().sql(PG)).collect();
    let found = transaction
        .query(
            "SELECT u.sequence::regclass::text, t.name, quote_ident(a.attname) \
             FROM unnest($1::text[]) AS t (name) JOIN ( \
                 SELECT d.refobjid AS owner, d.refobjsubid AS number, d.objid AS sequence FROM pg_depend d \
                 WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i') \
                 UNION SELECT f.adrelid, f.adnum, d.refobjid FROM pg_attrdef f JOIN pg_depend d \
                     ON d.classid = 'pg_attrdef'::regclass AND d.objid = f.oid AND d.refclassid = 'pg_class'::regclass \
             ) u ON u.owner = t.name::regclass \
             JOIN pg_class s ON s.oid = u.sequence AND s.relkind = 'S' \
             JOIN pg_attribute a ON a.attrelid = u.owner AND a.attnum = u.number AND a.attnum > 0 AND NOT a.attisdropped \
             ORDER BY 1, 2, 3",
            &[&names],
        )
        .await
        .map_err(doing)?;
    let mut highest: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for row in found {
        let (sequence, table, column): (String, String, String) = (row.get(0), row.get(1), row.get(2));
        highest.entry(sequence).or_default().push(format!("(SELECT max({column})::bigint FROM {table})"));
    }
    let mut taken = Vec::new();
    let mut set = Vec::new();
    for (sequence, highest) in &highest {
        let was = transaction
            .query_one(&format!("SELECT last_value, is_called FROM {sequence}"), &[])
            .await
            .map_err(doing)?;
        // setval alone outlives a transaction that is rolled back; on a sequence that was restarted in it, it does not.
        let restart = format!("ALTER SEQUENCE {sequence} RESTART");
        let literal = PG.literal(sequence);
        taken.push(Taken {
            kind: "generator",
            name: sequence.clone(),
            drop: "SELECT 1".to_owned(),
            create: format!("{restart}; SELECT setval({literal}, {}, {})", was.get::<_, i64>(0), was.get::<_, bool>(1)),
            ..Taken::default()
        });
        set.push(format!(
            "{restart}; SELECT setval({literal}, greatest(m.highest, 1), coalesce(m.highest >= 1, false)) \
             FROM (SELECT greatest({}) AS highest) m",
            highest.join(", ")
        ));
    }
    note_taken(target, transaction, &taken).await?;
    transaction.batch_execute(&set.join("; ")).await.map_err(doing)
}
