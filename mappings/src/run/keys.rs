//! Keys: each is held by an anti-join, to a fixpoint, and what becomes of a row whose key names nothing is what the
//! mapping says.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use imis_databases::postgres::describe_error;
use imis_databases::{Error, ErrorKind};
use imis_schemas::{Engine, Table};
use serde::{Deserialize, Serialize};
use tokio_postgres::Transaction;

use super::OnReject;
use super::postgres::PostgresTarget;
use super::state::{self, Phase};
use super::target::tables_of;
use crate::account::{Counts, Reject, RejectedRow};
use crate::bind::{BoundKey, BoundMapping, BoundRule};
use crate::language::KeyBroken;
use crate::rows::{Rows, register};

const PG: Engine = Engine::Postgres;

/// What holding the keys did to the counts of a rule.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Effect {
    rejected: u64,
    repaired: u64,
    named: BTreeMap<String, u64>,
}

/// Holds every key in a PostgreSQL target, in one transaction.
pub(super) async fn hold(
    target: &PostgresTarget,
    mapping: &BoundMapping,
    counts: &mut BTreeMap<String, Counts>,
    on_reject: OnReject,
) -> Result<BTreeMap<String, u64>, Error> {
    let mut connection = target.pool.take().await?;
    let doing = |e| describe_error(e, "holding keys");
    let effects = if state::phase(&*connection, &target.run).await? >= Some(Phase::Keyed) {
        let row = connection
            .query_one("SELECT effects FROM imis_migration.run WHERE run = $1", &[&target.run])
            .await
            .map_err(doing)?;
        serde_json::from_str(&row.get::<_, Option<String>>(0).unwrap_or_default()).unwrap_or_default()
    } else {
        let transaction = connection.transaction().await.map_err(doing)?;
        let mut effects: BTreeMap<String, Effect> = BTreeMap::new();
        // A table without statistics makes the planner join a million rows by nested loops.
        for table in tables_of(mapping) {
            let sql = format!("ANALYZE {}", table.table_name().sql(PG));
            transaction.batch_execute(&sql).await.map_err(doing)?;
        }
        loop {
            let mut lost = 0;
            for rule in &mapping.rules {
                let effect = effects.entry(rule.name.clone()).or_default();
                for columns in &rule.uniques {
                    lost += hold_unique(target, &transaction, rule, columns, effect).await?;
                }
                for key in &rule.keys {
                    lost += hold_key(target, &transaction, rule, key, effect).await?;
                }
            }
            if lost > 0 && on_reject == OnReject::Stop {
                let by_rule = effects.iter().filter(|(_, effect)| effect.rejected > 0);
                let by_rule = by_rule.map(|(rule, effect)| format!("{rule} {}", effect.rejected));
                return Err(Error::new(
                    ErrorKind::Data,
                    format!(
                        "{lost} rows name rows that are not there, or repeat what must be unique, and would be rejected \
                         (by rule: {})",
                        by_rule.collect::<Vec<_>>().join(", ")
                    ),
                )
                .with_help(
                    "Nothing of this was changed. Go on with --resume --on-reject continue, which keeps such rows aside \
                     with their reason, or take the run back with --undo and mend the source.",
                ));
            }
            // A row that goes may have been the one that another row named.
            if lost == 0 {
                break;
            }
        }
        let text = serde_json::to_string(&effects).unwrap_or_default();
        transaction
            .execute("UPDATE imis_migration.run SET effects = $2 WHERE run = $1", &[&target.run, &text])
            .await
            .map_err(doing)?;
        state::set_phase(&transaction, &target.run, Phase::Keyed).await?;
        transaction.commit().await.map_err(doing)?;
        effects
    };
    let mut repaired = BTreeMap::new();
    for (rule, effect) in effects {
        let counts = counts.entry(rule.clone()).or_default();
        counts.rejected += effect.rejected;
        counts.loaded = counts.loaded.saturating_sub(effect.rejected);
        for (name, count) in effect.named {
            let (column, name) = name.split_once('/').unwrap_or((&name, ""));
            *counts.losses.entry((column.to_owned(), name.to_owned())).or_default() += count;
        }
        repaired.insert(rule, effect.repaired);
    }
    Ok(repaired)
}

/// Holds one key; says how many rows went.
async fn hold_key(
    target: &PostgresTarget,
    transaction: &Transaction<'_>,
    rule: &BoundRule,
    key: &BoundKey,
    effect: &mut Effect,
) -> Result<u64, Error> {
    let table = rule.target.table_name();
    let doing = |e| describe_error(e, &format!("holding the key {table}.{}", key.column));
    let own = format!("t.{}", PG.quote(&key.column));
    let referenced = format!("r.{}", PG.quote(&key.referenced));
    let (table_sql, referenced_sql) = (table.sql(PG), key.table.table_name().sql(PG));
    if key.spelling {
        let repaired = transaction
            .execute(
                &format!(
                    "UPDATE {table_sql} t SET {column} = (SELECT min({referenced}) FROM {referenced_sql} r \
                         WHERE lower(rtrim({referenced})) = lower(rtrim({own}))) \
                     WHERE {own} IS NOT NULL AND NOT EXISTS (SELECT FROM {referenced_sql} r WHERE {referenced} = {own}) \
                       AND EXISTS (SELECT FROM {referenced_sql} r WHERE lower(rtrim({referenced})) = lower(rtrim({own})))",
                    column = PG.quote(&key.column),
                ),
                &[],
            )
            .await
            .map_err(doing)?;
        note(effect, &key.column, "spelling-of-key", repaired);
    }
    let dangling =
        format!("{own} IS NOT NULL AND NOT EXISTS (SELECT FROM {referenced_sql} r WHERE {referenced} = {own})");
    let key_json = key_expression(&rule.target);
    match key.broken {
        KeyBroken::Keep => Ok(0),
        KeyBroken::Null => {
            let column = PG.quote(&key.column);
            let repaired = transaction
                .execute(
                    &format!(
                        "WITH was AS (SELECT t.ctid AS place, {key_json} AS row_key, {own}::text AS value \
                             FROM {table_sql} t WHERE {dangling}), \
                         done AS (UPDATE {table_sql} t SET {column} = NULL FROM was WHERE t.ctid = was.place) \
                         INSERT INTO imis_migration.repair \
                         SELECT $1, $2, $3, row_key, $4, 'dangling-to-null', value FROM was"
                    ),
                    &[&target.run, &rule.name, &rule.target.name, &key.column],
                )
                .await
                .map_err(doing)?;
            note(effect, &key.column, "dangling-to-null", repaired);
            Ok(0)
        }
        KeyBroken::Reject => {
            let rows = transaction
                .query(&format!("DELETE FROM {table_sql} t WHERE {dangling} RETURNING {key_json}"), &[])
                .await
                .map_err(doing)?;
            let reason = format!("it names no row of {}", key.table.table_name());
            let rejects = rejected(rule, &key.column, &reason, &rows);
            state::write_rejects(transaction, &target.run, &rejects).await?;
            effect.rejected += rejects.len() as u64;
            Ok(rejects.len() as u64)
        }
    }
}

/// Holds columns unique that the target's server does not: of several rows with equal values the first by key stays.
async fn hold_unique(
    target: &PostgresTarget,
    transaction: &Transaction<'_>,
    rule: &BoundRule,
    columns: &[String],
    effect: &mut Effect,
) -> Result<u64, Error> {
    let held_by_server = |unique: &imis_schemas::Unique| {
        unique.columns.len() == columns.len() && unique.columns.iter().all(|c| columns.contains(c))
    };
    if rule.target.uniques.items().iter().any(held_by_server) || rule.target.key_columns() == columns {
        return Ok(0);
    }
    let table = rule.target.table_name();
    let quoted = |columns: &[String]| columns.iter().map(|c| PG.quote(c)).collect::<Vec<_>>();
    let list = quoted(columns).join(", ");
    let order = match rule.target.key_columns() {
        [] => "ctid".to_owned(),
        key => quoted(key).join(", "),
    };
    let present = quoted(columns).iter().map(|c| format!("{c} IS NOT NULL")).collect::<Vec<_>>().join(" AND ");
    let rows = transaction
        .query(
            &format!(
                "DELETE FROM {0} t USING (SELECT ctid AS place, row_number() OVER (PARTITION BY {list} ORDER BY {order}) AS n \
                     FROM {0} WHERE {present}) x \
                 WHERE t.ctid = x.place AND x.n > 1 RETURNING {1}",
                table.sql(PG),
                key_expression(&rule.target)
            ),
            &[],
        )
        .await
        .map_err(|e| describe_error(e, &format!("holding {} of {table} unique", columns.join(", "))))?;
    let reason = "it repeats a value that must be unique";
    let rejects = rejected(rule, &columns.join(", "), reason, &rows);
    state::write_rejects(transaction, &target.run, &rejects).await?;
    effect.rejected += rejects.len() as u64;
    Ok(rejects.len() as u64)
}

/// Rows that were deleted, as rejects.
fn rejected(rule: &BoundRule, column: &str, reason: &str, rows: &[tokio_postgres::Row]) -> Vec<RejectedRow> {
    rows.iter()
        .map(|row| RejectedRow {
            rule: rule.name.clone(),
            table: rule.target.name.clone(),
            reject: Reject {
                key: serde_json::from_str(row.get(0)).unwrap_or_default(),
                column: column.to_owned(),
                reason: reason.to_owned(),
            },
        })
        .collect()
}

fn note(effect: &mut Effect, column: &str, name: &str, count: u64) {
    if count > 0 {
        effect.repaired += count;
        *effect.named.entry(format!("{column}/{name}")).or_default() += count;
    }
}

/// The key of a row as JSON, in the form of [`Reject::key`].
fn key_expression(table: &Table) -> String {
    let pairs = table
        .key_columns()
        .iter()
        .map(|c| format!("jsonb_build_array({}, t.{}::text)", PG.literal(c), PG.quote(c)))
        .collect::<Vec<_>>();
    format!("jsonb_build_array({})::text", pairs.join(", "))
}

/// Checks keys, primary keys and uniques where nobody holds them: in a snapshot.
///
/// # Errors
/// With kind `Data`, naming every key that does not hold and how many rows break it.
pub(super) async fn check_by_query(mapping: &BoundMapping, rows: Arc<dyn Rows>) -> Result<(), Error> {
    let context = &mapping.context;
    register(context, "target", rows);
    let count = async |sql: String| -> Result<i64, Error> {
        let failed = |e: datafusion::common::DataFusionError| {
            Error::failed("a key cannot be checked").caused_by(e.strip_backtrace())
        };
        let batches = context.sql(&sql).await.map_err(failed)?.collect().await.map_err(failed)?;
        Ok(batches.iter().map(|b| b.column(0).as_primitive::<Int64Type>().values().iter().sum::<i64>()).sum())
    };
    let quoted = |name: &str| PG.quote(&name.to_lowercase());
    let mut broken = Vec::new();
    for table in tables_of(mapping) {
        let uniques = table.uniques.items().iter().map(|u| (&u.name, &u.columns));
        let primary = table.primary_key.known().and_then(Option::as_ref).map(|k| (&table.name, &k.columns));
        for (name, columns) in uniques.chain(primary) {
            if columns.iter().any(|c| table.column(c).is_none()) {
                continue;
            }
            let list = columns.iter().map(|c| quoted(c)).collect::<Vec<_>>().join(", ");
            let none_null = columns.iter().map(|c| format!("{} IS NOT NULL", quoted(c))).collect::<Vec<_>>();
            let twice = count(format!(
                "SELECT count(*) FROM (SELECT {list} FROM target.{} WHERE {} GROUP BY {list} HAVING count(*) > 1) AS x",
                quoted(&table.name),
                none_null.join(" AND ")
            ))
            .await?;
            if twice > 0 {
                broken.push(format!("{}: {twice} value(s) of {name} stand more than once", table.name));
            }
        }
    }
    for rule in &mapping.rules {
        for key in rule.keys.iter().filter(|key| key.broken != KeyBroken::Keep) {
            let dangling = count(format!(
                "SELECT count(*) FROM target.{0} AS t LEFT JOIN (SELECT DISTINCT {3} AS k FROM target.{2}) AS r \
                 ON t.{1} = r.k WHERE t.{1} IS NOT NULL AND r.k IS NULL",
                quoted(&rule.target.name),
                quoted(&key.column),
                quoted(&key.table.name),
                quoted(&key.referenced)
            ))
            .await?;
            if dangling > 0 {
                broken.push(format!("{}.{}: {dangling} row(s) name nothing", rule.target.name, key.column));
            }
        }
    }
    if broken.is_empty() {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Data, format!("keys of the target do not hold: {}", broken.join("; "))).with_help(
        "A snapshot cannot be repaired row by row; migrate into PostgreSQL, where such rows are repaired or rejected.",
    ))
}
