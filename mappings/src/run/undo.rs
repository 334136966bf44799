//! Undo: everything outside `imis_migration` as it was before the run.

use imis_databases::postgres::{Pool, describe_error};
use imis_databases::{Error, ErrorKind, PostgresAddress};
use imis_schemas::{Catalog, Engine, TableName};
use std::sync::Arc;
use tokio_postgres::Transaction;

use super::failpoint::reached;
use super::postgres::PostgresTarget;
use super::state::{self, Phase, RunState};

const PG: Engine = Engine::Postgres;

/// Takes the latest run of a target back, or the one that is named: its rows go, the rows that it replaced come back,
/// keys, indexes and generators are what they were. One transaction. Gives the run's name.
///
/// # Errors
/// When there is no run, when it was undone already, when somebody changed the number of rows of a table since.
pub async fn undo(address: &PostgresAddress, run: Option<&str>) -> Result<String, Error> {
    let pool = Pool::new(address.clone());
    let mut connection = pool.take().await?;
    let found = choose(state::all(&*connection).await?, run)?;
    let target = PostgresTarget::new(address, Arc::new(Catalog::new(PG)), found.run.clone());
    target.take_lock().await?;
    // Whoever had the lock until now may have gone on with the run, or taken it back.
    let found = choose(state::all(&*connection).await?, Some(&found.run))?;
    state::create(&*connection).await?;
    super::complete::refuse_migrated_since(&*connection, &found).await?;
    let doing = |e| describe_error(e, "undoing the run");
    let transaction = connection.transaction().await.map_err(doing)?;
    let tables = transaction
        .query(
            "SELECT schema_name, table_name, image_name, after, stays FROM imis_migration.image WHERE run = $1",
            &[&found.run],
        )
        .await
        .map_err(doing)?;
    let last = transaction
        .query_one("SELECT last_xid FROM imis_migration.run WHERE run = $1", &[&found.run])
        .await
        .map_err(doing)?
        .get::<_, Option<i64>>(0);
    if let Some(last) = last {
        // Whoever has worked with the target has left a row somewhere, not only in the tables of the mapping. What a role
        // that only loads may not read is somebody else's.
        let all = transaction
            .query(
                "SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
                 WHERE c.relkind = 'r' AND c.relpersistence = 'p' AND n.nspname NOT LIKE 'pg\\_%' \
                 AND n.nspname NOT IN ('information_schema', 'imis_migration') \
                 AND has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT') ORDER BY 1, 2",
                &[],
            )
            .await
            .map_err(doing)?;
        for row in all {
            let name = TableName::new(row.get::<_, String>(0), row.get::<_, String>(1));
            refuse_changed(&transaction, &name, last).await?;
        }
    }
    for table in &tables {
        let name = TableName::new(table.get::<_, String>(0), table.get::<_, String>(1));
        if let Some(after) = table.get::<_, Option<i64>>(3) {
            let now = transaction
                .query_one(&format!("SELECT count(*) FROM {}", name.sql(PG)), &[])
                .await
                .map_err(doing)?
                .get::<_, i64>(0);
            if now != after {
                return Err(changed(&format!("{name} had {after} rows when the run ended and has {now}")));
            }
        }
    }
    let finished = found.phase >= Phase::Finished;
    super::put_back::drop_again(&target, &transaction, finished).await?;
    reached("undo-dropped");
    super::update::undo(&transaction, &found.run).await?;
    for table in tables.iter().filter(|table| !table.get::<_, bool>(4)) {
        let name = TableName::new(table.get::<_, String>(0), table.get::<_, String>(1)).sql(PG);
        transaction.batch_execute(&format!("DELETE FROM {name}")).await.map_err(doing)?;
        reached("undo-emptied");
        if let Some(image) = table.get::<_, Option<String>>(2) {
            let columns = transaction
                .query(
                    "SELECT quote_ident(attname) FROM pg_attribute WHERE attrelid = $1::text::regclass \
                     AND attnum > 0 AND NOT attisdropped AND attgenerated = '' ORDER BY attnum",
                    &[&name],
                )
                .await
                .map_err(doing)?;
            let columns = columns.iter().map(|r| r.get::<_, String>(0)).collect::<Vec<_>>().join(", ");
            let image = format!("imis_migration.{}", PG.quote(&image));
            transaction
                .batch_execute(&format!(
                    "INSERT INTO {name} ({columns}) OVERRIDING SYSTEM VALUE SELECT {columns} FROM {image}; \
                     DROP TABLE {image}"
                ))
                .await
                .map_err(doing)?;
        }
    }
    super::put_back::within(&target, &transaction).await?;
    let columns =
        "SELECT create_sql FROM imis_migration.dropped WHERE run = $1 AND kind = 'column' ORDER BY position DESC";
    for row in transaction.query(columns, &[&found.run]).await.map_err(doing)? {
        transaction.batch_execute(row.get(0)).await.map_err(doing)?;
    }
    let generators = transaction
        .query(
            "SELECT create_sql FROM imis_migration.dropped WHERE run = $1 AND kind = 'generator' ORDER BY position",
            &[&found.run],
        )
        .await
        .map_err(doing)?;
    for row in generators {
        transaction.batch_execute(row.get(0)).await.map_err(doing)?;
    }
    state::set_phase(&transaction, &found.run, Phase::Undone).await?;
    reached("undo-noted");
    transaction.commit().await.map_err(doing)?;
    reached("undo-committed");
    Ok(found.run)
}

/// The run that is meant, among all of a target.
fn choose(all: Vec<RunState>, run: Option<&str>) -> Result<RunState, Error> {
    let is_meant = |state: &RunState| run.map_or(state.phase != Phase::Undone, |name| name == state.run);
    match all.into_iter().find(is_meant) {
        Some(found) if found.phase == Phase::Undone => {
            Err(Error::new(ErrorKind::Usage, format!("run {} was undone already", found.run)))
        }
        Some(found) => Ok(found),
        None => Err(Error::new(ErrorKind::Usage, "there is no run to undo")
            .with_help("`imis runs` lists the runs of a target.")),
    }
}

/// Refuses when a row of the table was written by a transaction after the run's last one.
async fn refuse_changed(transaction: &Transaction<'_>, table: &TableName, last: i64) -> Result<(), Error> {
    // A row shows the low half of the number of the transaction that wrote it; ages compare across its turns.
    let low = last & 0xFFFF_FFFF;
    let row = transaction
        .query_one(
            &format!("SELECT EXISTS (SELECT FROM {} t WHERE age(t.xmin) < age('{low}'::xid))", table.sql(PG)),
            &[],
        )
        .await
        .map_err(|e| describe_error(e, &format!("looking for changes of {table}")))?;
    if row.get::<_, bool>(0) {
        return Err(changed(&format!("rows of {table} were added or changed since the run ended")));
    }
    Ok(())
}

fn changed(what: &str) -> Error {
    Error::new(ErrorKind::Data, format!("the target was changed: {what}"))
        .with_help("Somebody works with the target; what they did would be lost. Restore a backup instead.")
}
