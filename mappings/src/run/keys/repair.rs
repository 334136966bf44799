//! Repairs: a query over several rows says which rows take which value.

use arrow::datatypes::{Field, Schema};
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use futures::StreamExt;
use imis_databases::Error;
use imis_databases::postgres::copy::wire_type;
use imis_databases::spool::Spool;
use imis_schemas::{Engine, TypedColumn};
use std::sync::Arc;

use super::bench::{Bench, Broken, odd};
use super::step::Done;
use crate::bind::BoundRepair;
use crate::fit::Findings;
use imis_databases::query::expression::query_failed;
use imis_databases::query::tables::{register, rename};

const PG: Engine = Engine::Postgres;

impl Bench<'_> {
    /// Runs the query of a repair and lays what it found into `imis_found`: the key's columns as `imis_k0`, `imis_k1`...,
    /// and `imis_value`. What does not fit its column is left out.
    pub(super) async fn find(&self, repair: &BoundRepair) -> Result<(), Error> {
        let doing = format!("carrying out the repair {}", repair.name);
        let doing = doing.as_str();
        let found = self.query(repair).await?;
        let keys = repair.table.key_columns().iter().enumerate();
        let mut items: Vec<String> = keys.map(|(at, name)| format!("t.{} AS imis_k{at}", PG.quote(name))).collect();
        items.push(format!("t.{} AS imis_value", PG.quote(&repair.column)));
        self.batch(
            &format!(
                "DROP TABLE IF EXISTS pg_temp.imis_found; CREATE TEMP TABLE imis_found ON COMMIT DROP AS \
                 SELECT {} FROM {} t LIMIT 0",
                items.join(", "),
                repair.table.table_name().sql(PG)
            ),
            doing,
        )
        .await?;
        self.fill("imis_found", found_columns(repair), found, doing).await
    }

    async fn query(&self, repair: &BoundRepair) -> Result<Spool, Error> {
        let context = &self.mapping.context;
        let failed = |e| query_failed(&format!("the repair {}", repair.rule), &e);
        register(context, "target", self.rows());
        let plan = context.state().create_logical_plan(&repair.sql).await.map_err(failed)?;
        let frame = context.execute_logical_plan(plan).await.map_err(failed)?;
        let mut batches = frame.execute_stream().await.map_err(failed)?;
        let mut found = Spool::new();
        while let Some(batch) = batches.next().await {
            let batch = rename(&batch.map_err(failed)?, &repair.schema).map_err(failed)?;
            found.push(&fitted(repair, &batch)?)?;
        }
        // A query that stops before its tables are read to the end leaves readers behind; they end first.
        drop(batches);
        let _turn = self.turn.lock().await;
        Ok(found)
    }

    /// Puts what was found for rows on the bench into `imis_given`; where a query gives a row two values, the least.
    pub(super) async fn give_found(&self, broken: &Broken<'_>, doing: &str) -> Result<(), Error> {
        self.clear_given(broken, doing).await?;
        let equal = (0..broken.table.key_columns().len()).map(|at| format!("f.imis_k{at} = b.imis_k{at}"));
        self.execute(
            &format!(
                "INSERT INTO imis_given SELECT DISTINCT ON (b.imis_n) b.imis_n, f.imis_value FROM imis_broken b \
                 JOIN imis_found f ON {} ORDER BY b.imis_n, f.imis_value::text",
                equal.collect::<Vec<_>>().join(" AND ")
            ),
            doing,
        )
        .await
        .map(|_| ())
    }

    /// Carries out a repair that no key and no unique asks for: every row that its query names takes its value.
    pub(super) async fn carry_out(&mut self, rule: &str, repair: &BoundRepair) -> Result<Done, Error> {
        let Some(column) = repair.table.column(&repair.column) else { return Ok(Done::default()) };
        let doing = format!("carrying out the repair {}", repair.name);
        let broken = Broken { table: &repair.table, column };
        self.find(repair).await?;
        let keys = repair.table.key_columns().iter().enumerate();
        let equal = keys.map(|(at, name)| format!("f.imis_k{at} = t.{}", PG.quote(name))).collect::<Vec<_>>();
        let from = format!(
            "{} t WHERE EXISTS (SELECT FROM imis_found f WHERE {} AND f.imis_value IS DISTINCT FROM t.{})",
            repair.table.table_name().sql(PG),
            equal.join(" AND "),
            PG.quote(&repair.column)
        );
        if self.lay_out(&broken, &from, &[], "", &doing).await? == 0 {
            return Ok(Done::default());
        }
        self.give_found(&broken, &doing).await?;
        let changed = self.apply(rule, &broken, &repair.name, ("true", "true"), &doing).await?;
        self.note(rule, &repair.column, &repair.name, changed);
        Ok(Done { rejected: 0, changed })
    }
}

/// The columns of `imis_found`.
fn found_columns(repair: &BoundRepair) -> Vec<TypedColumn> {
    let last = repair.columns.len().saturating_sub(1);
    let named = repair.columns.iter().enumerate().map(|(at, (_, fit))| {
        let name = if at == last { "imis_value".to_owned() } else { format!("imis_k{at}") };
        TypedColumn { name, ..fit.column().clone() }
    });
    named.collect()
}

/// The rows of a batch that fit their columns.
fn fitted(repair: &BoundRepair, batch: &RecordBatch) -> Result<RecordBatch, Error> {
    let mut failed = Vec::new();
    let mut findings = Findings::default();
    let mut fields = Vec::new();
    let mut arrays = Vec::new();
    for ((expression, fit), column) in repair.columns.iter().zip(found_columns(repair)) {
        let array = expression.evaluate(batch, &mut failed);
        arrays.push(fit.apply(&array, &mut findings));
        let wire = wire_type(&column.data_type).unwrap_or(arrow::datatypes::DataType::Utf8);
        fields.push(Field::new(column.name, wire, true));
    }
    let bad = failed.into_iter().map(|(row, _)| row).chain(findings.rejected.into_iter().map(|(row, ..)| row));
    let kept = crate::fit::rows_without(batch.num_rows(), bad);
    let arrays =
        arrays.iter().map(|a| arrow::compute::take(a, &kept, None)).collect::<Result<Vec<_>, _>>().map_err(odd)?;
    let options = RecordBatchOptions::new().with_row_count(Some(kept.len()));
    RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), arrays, &options).map_err(odd)
}
