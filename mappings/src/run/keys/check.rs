//! Keys where nothing can be repaired: in a snapshot they are only looked at.

use std::sync::Arc;

use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use imis_databases::{Error, ErrorKind};
use imis_schemas::Engine;

use crate::bind::{BoundMapping, BoundRepeated};
use imis_databases::query::expression::query_failed;
use imis_databases::query::tables::{Rows, register};

const PG: Engine = Engine::Postgres;

/// Checks keys, primary keys and uniques where nobody holds them: in a snapshot.
///
/// # Errors
/// With kind `Data`, naming every key that does not hold and how many rows break it.
pub(in crate::run) async fn check_by_query(mapping: &BoundMapping, rows: Arc<dyn Rows>) -> Result<(), Error> {
    let context = &mapping.context;
    register(context, "target", rows);
    let count = async |sql: String| -> Result<i64, Error> {
        let failed = |e| query_failed("a key that must hold", &e);
        let batches = context.sql(&sql).await.map_err(failed)?.collect().await.map_err(failed)?;
        Ok(batches.iter().map(|b| b.column(0).as_primitive::<Int64Type>().values().iter().sum::<i64>()).sum())
    };
    let quoted = |name: &str| PG.quote(&name.to_lowercase());
    let mut broken = Vec::new();
    for rule in &mapping.rules {
        for unique in &rule.uniques {
            // Indexes over expressions or a part of the rows are the server's; a snapshot has none.
            let plain = unique.filter.is_none() && unique.columns.iter().all(|c| rule.target.column(c).is_some());
            if !plain || matches!(unique.repeated, BoundRepeated::Keep) {
                continue;
            }
            let list = unique.columns.iter().map(|c| quoted(c)).collect::<Vec<_>>().join(", ");
            let none_null = unique.columns.iter().map(|c| format!("{} IS NOT NULL", quoted(c))).collect::<Vec<_>>();
            let twice = count(format!(
                "SELECT count(*) FROM (SELECT {list} FROM target.{} WHERE {} GROUP BY {list} HAVING count(*) > 1) AS x",
                quoted(&rule.target.name),
                none_null.join(" AND ")
            ))
            .await?;
            if twice > 0 {
                let columns = unique.columns.join(", ");
                broken.push(format!("{}: {twice} value(s) of {columns} stand more than once", rule.target.name));
            }
        }
    }
    for rule in &mapping.rules {
        for key in rule.keys.iter().filter(|key| !key.is_kept()) {
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
    for repair in mapping.repairs.iter().filter(|repair| repair.standing) {
        let open = count(format!("SELECT count(*) FROM ({}) AS x", repair.sql)).await?;
        if open > 0 {
            broken.push(format!(
                "{}.{}: {open} row(s) need the repair {}",
                repair.table.name, repair.column, repair.name
            ));
        }
    }
    if broken.is_empty() {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Data, format!("keys of the target do not hold: {}", broken.join("; "))).with_help(
        "A snapshot cannot be repaired row by row; migrate into PostgreSQL, where such rows are repaired or rejected.",
    ))
}
