//! After the last row: keys and indexes come back exactly as they were, generators go past the highest key, statistics.

use imis_databases::Error;
use imis_databases::postgres::describe_error;
use imis_schemas::Engine;
use tokio_postgres::Transaction;

use super::failpoint::reached;
use super::postgres::PostgresTarget;
use super::state::{self, Phase};
use super::take_away::note_dropped;
use super::target::tables_of;
use crate::bind::BoundMapping;

const PG: Engine = Engine::Postgres;

pub(super) async fn finish(target: &PostgresTarget, mapping: &BoundMapping) -> Result<Vec<String>, Error> {
    let mut connection = target.pool.take().await?;
    let doing = |e| describe_error(e, "putting keys and indexes back");
    let transaction = connection.transaction().await.map_err(doing)?;
    if state::hold_phase(&transaction, &target.run).await? >= Some(Phase::Finished) {
        // An earlier try did it.
        transaction.rollback().await.map_err(doing)?;
    } else {
        put_back(target, &transaction).await?;
        let own = tables_of(mapping);
        // The migrations made generators after the first run had set those that were there.
        let of_first = super::complete::tables_of_first(target, &transaction).await?;
        let of_first = of_first.into_iter().filter(|t| !own.iter().any(|o| o.table_name() == t.table_name()));
        for table in own.iter().cloned().chain(of_first) {
            set_generators(target, &transaction, &table).await?;
            reached("finish-generators");
        }
        note_end(target, mapping, &transaction).await?;
        state::set_phase(&transaction, &target.run, Phase::Finished).await?;
        reached("finish-noted");
        transaction.commit().await.map_err(doing)?;
        reached("finish-committed");
    }
    for table in tables_of(mapping) {
        let name = table.table_name();
        connection
            .batch_execute(&format!("ANALYZE {}", name.sql(PG)))
            .await
            .map_err(|e| describe_error(e, &format!("gathering statistics of {name}")))?;
        reached("finish-analyzed");
    }
    Ok(vec![
        "Clear the cache of the openIMIS backend (or restart it) before anybody logs in: it remembers rights and \
             locations without limit of time."
            .to_owned(),
    ])
}

/// Notes by what an undo will know that somebody has changed the target since: no row is written after this transaction.
async fn note_end(target: &PostgresTarget, mapping: &BoundMapping, transaction: &Transaction<'_>) -> Result<(), Error> {
    let doing = |e| describe_error(e, "noting where the run ended");
    let last = "UPDATE imis_migration.run SET last_xid = txid_current() WHERE run = $1";
    transaction.execute(last, &[&target.run]).await.map_err(doing)?;
    for table in tables_of(mapping) {
        let after = format!(
            "UPDATE imis_migration.image SET after = (SELECT count(*) FROM {}) \
             WHERE run = $1 AND schema_name = $2 AND table_name = $3",
            table.table_name().sql(PG)
        );
        transaction.execute(&after, &[&target.run, &table.schema, &table.name]).await.map_err(doing)?;
    }
    Ok(())
}

/// Runs what makes dropped things anew: indexes first, so that keys find them.
pub(super) async fn put_back(target: &PostgresTarget, transaction: &Transaction<'_>) -> Result<(), Error> {
    let rows = transaction
        .query(
            "SELECT kind, name, create_sql FROM imis_migration.dropped WHERE run = $1 AND kind NOT IN ('generator', 'column') \
             ORDER BY kind = 'foreign key', position",
            &[&target.run],
        )
        .await
        .map_err(|e| describe_error(e, "reading what was taken away"))?;
    for row in rows {
        let (kind, name): (String, String) = (row.get(0), row.get(1));
        transaction
            .batch_execute(row.get(2))
            .await
            .map_err(|e| describe_error(e, &format!("putting the {kind} {name} back")))?;
        reached("finish-put-back");
    }
    Ok(())
}

/// Sets every sequence behind a column past the column's highest value: the one that the default names, and the one that
/// the column owns (for some tables they are two).
async fn set_generators(
    target: &PostgresTarget,
    transaction: &Transaction<'_>,
    table: &imis_schemas::Table,
) -> Result<(), Error> {
    let name = table.table_name();
    let table_sql = name.sql(PG);
    let doing = |e| describe_error(e, &format!("setting the key generators of {name}"));
    let generators = transaction
        .query(
            "SELECT DISTINCT a.attname::text, s.oid::regclass::text \
             FROM pg_attribute a JOIN pg_class s ON s.relkind = 'S' \
             WHERE a.attrelid = $1::text::regclass AND a.attnum > 0 AND NOT a.attisdropped AND ( \
                 EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = s.oid \
                         AND d.refclassid = 'pg_class'::regclass AND d.refobjid = a.attrelid AND d.refobjsubid = a.attnum \
                         AND d.deptype IN ('a', 'i')) \
                 OR EXISTS (SELECT FROM pg_attrdef f JOIN pg_depend d ON d.classid = 'pg_attrdef'::regclass AND d.objid = f.oid \
                         WHERE f.adrelid = a.attrelid AND f.adnum = a.attnum \
                         AND d.refclassid = 'pg_class'::regclass AND d.refobjid = s.oid)) \
             ORDER BY 1, 2",
            &[&table_sql],
        )
        .await
        .map_err(doing)?;
    for generator in generators {
        let (column, sequence): (String, String) = (generator.get(0), generator.get(1));
        let was = transaction
            .query_one(&format!("SELECT last_value, is_called FROM {sequence}"), &[])
            .await
            .map_err(doing)?;
        // setval alone outlives a transaction that is rolled back; on a sequence that was restarted in it, it does not.
        let restart = format!("ALTER SEQUENCE {sequence} RESTART");
        let create = format!(
            "{restart}; SELECT setval({}, {}, {})",
            PG.literal(&sequence),
            was.get::<_, i64>(0),
            was.get::<_, bool>(1)
        );
        note_dropped(target, transaction, "generator", &sequence, "SELECT 1", &create, None).await?;
        transaction
            .batch_execute(&format!(
                "{restart}; SELECT setval({}, greatest(max({column}), 1)::bigint, coalesce(max({column}) >= 1, false)) FROM {table_sql}",
                PG.literal(&sequence),
                column = PG.quote(&column)
            ))
            .await
            .map_err(doing)?;
    }
    Ok(())
}
