//! Before the first row: what the target holds is kept or refused, and what would slow the load down is taken away for a
//! while. All of it is one transaction.

use std::collections::BTreeMap;

use imis_databases::postgres::describe_error;
use imis_databases::{Error, ErrorKind};
use imis_schemas::{Engine, Table};
use tokio_postgres::{GenericClient, Transaction};

use super::Stage;
use super::failpoint::reached;
use super::postgres::PostgresTarget;
use super::state::{self, Phase};
use super::take_away;
use super::target::tables_of;
use crate::account::Counts;
use crate::bind::{BoundMapping, Way};
use crate::language::Existing;
use crate::plan::Plan;

const PG: Engine = Engine::Postgres;

/// Clears the way, unless an earlier try of this run did.
pub(super) async fn prepare(target: &PostgresTarget, mapping: &BoundMapping, plan: &Plan) -> Result<(), Error> {
    let mut connection = target.pool.take().await?;
    if state::phase(&*connection, &target.run).await?.is_some() {
        return state::bring_up_to_date(&*connection).await;
    }
    let doing = |e| describe_error(e, "preparing the target");
    let transaction = connection.transaction().await.map_err(doing)?;
    refuse_other_sessions(target, &transaction).await?;
    refuse_unmigrated(mapping, &transaction).await?;
    refuse_used(mapping, &transaction).await?;
    state::create(&transaction).await?;
    transaction
        .execute(
            "INSERT INTO imis_migration.run (run, phase, mapping, plan) VALUES ($1, $2, $3, $4)",
            &[&target.run, &Phase::Prepared.name(), &plan.mapping, &serde_json::to_string(plan).unwrap_or_default()],
        )
        .await
        .map_err(doing)?;
    reached("prepare-noted");
    let tables = tables_of(mapping);
    super::loosen::loosen(target, mapping, &transaction).await?;
    super::update::make_stages(target, mapping, &transaction).await?;
    let filled = keep_images(target, mapping, &tables, &transaction).await?;
    reached("prepare-images");
    take_away::keys(target, &tables, &transaction).await?;
    reached("prepare-keys");
    for table in filled {
        let name = table.table_name();
        transaction
            .execute(&format!("DELETE FROM {}", name.sql(PG)), &[])
            .await
            .map_err(|e| describe_error(e, &format!("removing the rows of {name} that will be replaced")))?;
    }
    take_away::indexes(target, &tables, &transaction).await?;
    reached("prepare-indexes");
    transaction.commit().await.map_err(doing)?;
    reached("prepare-committed");
    Ok(())
}

async fn refuse_other_sessions(target: &PostgresTarget, transaction: &Transaction<'_>) -> Result<(), Error> {
    if target.allow_connected {
        return Ok(());
    }
    let row = transaction
        .query_one(
            "SELECT count(*), coalesce(string_agg(DISTINCT coalesce(nullif(application_name, ''), 'unnamed'), ', '), '') \
             FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() \
             AND backend_type = 'client backend' AND application_name <> 'imis'",
            &[],
        )
        .await
        .map_err(|e| describe_error(e, "looking for other sessions"))?;
    match row.get::<_, i64>(0) {
        0 => Ok(()),
        n => Err(Error::new(
            ErrorKind::Failed,
            format!("{n} other session(s) are connected to the target: {}", row.get::<_, String>(1)),
        )
        .with_help("Stop the openIMIS backend and other clients first; --allow-connected goes on all the same.")),
    }
}

async fn refuse_unmigrated(mapping: &BoundMapping, transaction: &Transaction<'_>) -> Result<(), Error> {
    let Some(wanted) = mapping.migrated else { return Ok(()) };
    match (wanted, django_migrations(transaction).await?) {
        (true, 0) => Err(not_migrated()),
        (false, applied) if applied > 0 => Err(migrated_already()),
        _ => Ok(()),
    }
}

/// How many of Django's migrations have run on the target.
pub(super) async fn django_migrations(client: &impl GenericClient) -> Result<i64, Error> {
    let trouble = |e| describe_error(e, "looking for Django's migrations");
    let there = client
        .query_one("SELECT to_regclass('public.django_migrations') IS NOT NULL", &[])
        .await
        .map_err(trouble)?
        .get::<_, bool>(0);
    if !there {
        return Ok(0);
    }
    let row = client.query_one("SELECT count(*) FROM public.django_migrations", &[]).await.map_err(trouble)?;
    Ok(row.get(0))
}

/// What is said of a target on which Django's migrations ran, to a mapping that loads before them.
pub fn migrated_already() -> Error {
    Error::new(ErrorKind::Schema, "the target is migrated already: Django's migrations have run on it").with_help(
        "This pack loads before them: prepare an empty database with `imis prepare` and load into that. Into a migrated \
         database load with openimis/legacy-to-modular.",
    )
}

/// What is said of a target on which no Django migration ran.
pub fn not_migrated() -> Error {
    Error::new(ErrorKind::Schema, "the target is not a migrated openIMIS database: no Django migration ran on it")
        .with_help("Run `imis prepare` on an empty database, then `python manage.py migrate`, then try again.")
}

async fn refuse_used(mapping: &BoundMapping, transaction: &Transaction<'_>) -> Result<(), Error> {
    for name in &mapping.unused {
        let table = PG.quote(name);
        let there = transaction
            .query_one("SELECT to_regclass($1) IS NOT NULL", &[&format!("public.{table}")])
            .await
            .map_err(|e| describe_error(e, "looking at the target"))?;
        if !there.get::<_, bool>(0) {
            continue;
        }
        let row = transaction
            .query_one(&format!("SELECT EXISTS (SELECT FROM public.{table})"), &[])
            .await
            .map_err(|e| describe_error(e, &format!("looking into {name}")))?;
        if row.get::<_, bool>(0) {
            return Err(Error::new(ErrorKind::Data, format!("the target is in use already: {name} has rows"))
                .with_help("Migrate into a database that nobody has worked with yet."));
        }
    }
    Ok(())
}

/// Copies the rows of tables that have some; gives back the tables whose rows go. Refuses where the mapping does.
async fn keep_images<'a>(
    target: &PostgresTarget,
    mapping: &BoundMapping,
    tables: &'a [std::sync::Arc<Table>],
    transaction: &Transaction<'_>,
) -> Result<Vec<&'a Table>, Error> {
    let mut filled = Vec::new();
    let mut refused = Vec::new();
    for (number, table) in tables.iter().enumerate() {
        let name = table.table_name();
        let doing = |e| describe_error(e, &format!("keeping the rows of {name}"));
        let before = transaction
            .query_one(&format!("SELECT count(*) FROM {}", name.sql(PG)), &[])
            .await
            .map_err(doing)?
            .get::<_, i64>(0);
        let stays = super::update::only_updates(mapping, table);
        let image = (before > 0 && !stays).then(|| format!("image_{}_{number}", target.run));
        if let Some(image) = &image {
            if *mapping.existing(table) == Existing::Refuse {
                refused.push(format!("{name} ({before})"));
                continue;
            }
            transaction
                .execute(&format!("CREATE TABLE imis_migration.{} AS TABLE {}", PG.quote(image), name.sql(PG)), &[])
                .await
                .map_err(doing)?;
            filled.push(table.as_ref());
        }
        transaction
            .execute(
                "INSERT INTO imis_migration.image (run, schema_name, table_name, image_name, before, returned, stays, unseen) \
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
                &[
                    &target.run,
                    &table.schema,
                    &table.name,
                    &image,
                    &before,
                    &if stays { before } else { 0 },
                    &stays,
                    &(*mapping.existing(table) == Existing::Discard),
                ],
            )
            .await
            .map_err(doing)?;
    }
    if refused.is_empty() {
        return Ok(filled);
    }
    Err(Error::new(
        ErrorKind::Data,
        format!("the target is not empty: {} already have rows and the mapping refuses that", refused.join(", ")),
    )
    .with_help("Migrate into a fresh database, or say `existing: replace` (or keep, merge) in the mapping."))
}

/// Brings back the target's own rows that stay, where a table's rules are through.
pub(super) async fn settle(
    target: &PostgresTarget,
    mapping: &BoundMapping,
    counts: &mut BTreeMap<String, Counts>,
    stage: Stage,
) -> Result<(), Error> {
    let mut connection = target.pool.take().await?;
    for table in tables_of(mapping) {
        let rules: Vec<_> = mapping.rules.iter().filter(|r| r.target.table_name() == table.table_name()).collect();
        // Queries that run later see the rows that stay; only a table that nothing but queries fill is settled after them.
        let when = match () {
            () if rules.iter().any(|r| !matches!(r.way, Way::Query(_))) => Stage::Tables,
            () if rules.iter().any(|r| !r.after_keys) => Stage::Queries,
            () => Stage::Last,
        };
        if when != stage {
            continue;
        }
        let name = table.table_name();
        let doing = |e| describe_error(e, &format!("bringing rows of {name} back"));
        let transaction = connection.transaction().await.map_err(doing)?;
        let row = transaction
            .query_opt(
                "SELECT image_name, settled, returned FROM imis_migration.image \
                 WHERE run = $1 AND schema_name = $2 AND table_name = $3 AND image_name IS NOT NULL FOR UPDATE",
                &[&target.run, &table.schema, &table.name],
            )
            .await
            .map_err(doing)?;
        let Some(row) = row else { continue };
        let image = format!("imis_migration.{}", PG.quote(row.get(0)));
        let policy = mapping.existing(&table);
        let (by, preserve) = match policy {
            Existing::Keep { by } => (by, &[] as &[String]),
            Existing::Merge { by, preserve } => (by, preserve.as_slice()),
            _ => continue,
        };
        let by: Vec<String> = if by.is_empty() { table.key_columns().to_vec() } else { spelled(&table, by) };
        let equal = by
            .iter()
            .map(|c| format!("t.{0} IS NOT DISTINCT FROM i.{0}", PG.quote(c)))
            .collect::<Vec<_>>()
            .join(" AND ");
        let rule = rules.first().map(|r| r.name.clone()).unwrap_or_default();
        if row.get::<_, bool>(1) {
            // An earlier try did it; its effect on the counts is what must not be forgotten.
            if matches!(policy, Existing::Keep { .. }) {
                let kept = kept_rows(&transaction, &target.run, &rule).await?;
                move_to_kept(counts, &rule, kept);
            }
            continue;
        }
        let table_sql = name.sql(PG);
        if matches!(policy, Existing::Keep { .. }) {
            let kept = transaction
                .execute(&format!("DELETE FROM {table_sql} t USING {image} i WHERE {equal}"), &[])
                .await
                .map_err(doing)?;
            note_kept(&transaction, &target.run, &rule, &table.name, kept).await?;
            move_to_kept(counts, &rule, kept);
        }
        for column in spelled(&table, preserve) {
            let column = PG.quote(&column);
            transaction
                .execute(&format!("UPDATE {table_sql} t SET {column} = i.{column} FROM {image} i WHERE {equal}"), &[])
                .await
                .map_err(doing)?;
        }
        let columns = table.columns.iter().filter(|c| c.computed.is_none()).map(|c| PG.quote(&c.name));
        let columns = columns.collect::<Vec<_>>().join(", ");
        let returned = transaction
            .execute(
                &format!(
                    "INSERT INTO {table_sql} ({columns}) OVERRIDING SYSTEM VALUE SELECT {columns} FROM {image} i \
                     WHERE NOT EXISTS (SELECT FROM {table_sql} t WHERE {equal})"
                ),
                &[],
            )
            .await
            .map_err(doing)?;
        transaction
            .execute(
                "UPDATE imis_migration.image SET settled = true, returned = $4 \
                 WHERE run = $1 AND schema_name = $2 AND table_name = $3",
                &[&target.run, &table.schema, &table.name, &i64::try_from(returned).unwrap_or(i64::MAX)],
            )
            .await
            .map_err(doing)?;
        reached("settle-done");
        transaction.commit().await.map_err(doing)?;
        reached("settle-committed");
    }
    Ok(())
}

fn spelled(table: &Table, names: &[String]) -> Vec<String> {
    names.iter().filter_map(|name| table.column(name).map(|c| c.name.clone())).collect()
}

fn move_to_kept(counts: &mut BTreeMap<String, Counts>, rule: &str, kept: u64) {
    let counts = counts.entry(rule.to_owned()).or_default();
    counts.kept += kept;
    counts.loaded = counts.loaded.saturating_sub(kept);
}

/// How many of a rule's rows were kept back is noted among the repairs, under the name `kept`.
async fn note_kept(transaction: &Transaction<'_>, run: &str, rule: &str, table: &str, kept: u64) -> Result<(), Error> {
    transaction
        .execute(
            "INSERT INTO imis_migration.repair VALUES ($1, $2, $3, '', '', 'kept', $4)",
            &[&run, &rule, &table, &kept.to_string()],
        )
        .await
        .map(|_| ())
        .map_err(|e| describe_error(e, "noting kept rows"))
}

async fn kept_rows(transaction: &Transaction<'_>, run: &str, rule: &str) -> Result<u64, Error> {
    let row = transaction
        .query_opt(
            "SELECT was FROM imis_migration.repair WHERE run = $1 AND rule = $2 AND name = 'kept'",
            &[&run, &rule],
        )
        .await
        .map_err(|e| describe_error(e, "reading kept rows"))?;
    Ok(row.and_then(|r| r.get::<_, Option<String>>(0)).and_then(|text| text.parse().ok()).unwrap_or(0))
}
