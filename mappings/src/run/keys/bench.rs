//! The workbench: the transaction in which keys are held, and the three tables that lie on it.
//!
//! - `imis_broken`: the rows at hand, each with its place, its key, and the columns that somebody asks for;
//! - `imis_given`: what was found for some of them;
//! - `imis_gone`: values by which other rows may name a row that was rejected, with the cause of that.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::{cast, filter};
use arrow::datatypes::{DataType as ArrowType, Field, Schema};
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use bytes::{Bytes, BytesMut};
use futures::SinkExt;
use imis_databases::postgres::copy::{CopyEncoder, wire_type};
use imis_databases::postgres::{Connection, describe_error};
use imis_databases::spool::Spool;
use imis_databases::{Error, ReadRequest};
use imis_schemas::{Catalog, Column, DataType, Engine, Table, TypedColumn};
use tokio::sync::Mutex;

use super::effect::Effects;
use super::spool::{RowsWithin, drain};
use crate::bind::{BoundMapping, Worked};
use crate::fit::Findings;
use imis_databases::query::expression;
use imis_databases::query::tables::rename;

const PG: Engine = Engine::Postgres;
const FLUSH_BYTES: usize = 256 * 1024;

/// The transaction, and what is known in it.
pub(super) struct Bench<'a> {
    pub(super) connection: Arc<Connection>,
    pub(super) run: &'a str,
    pub(super) mapping: &'a BoundMapping,
    pub(super) catalog: Arc<Catalog>,
    pub(super) effects: Effects,
    pub(super) turn: Arc<Mutex<()>>,
}

/// The rows at hand: those of a table that meet a condition.
pub(super) struct Broken<'t> {
    pub(super) table: &'t Table,
    /// The column that is broken, or that is to be changed.
    pub(super) column: &'t Column,
}

impl Bench<'_> {
    pub(super) async fn execute(&self, sql: &str, doing: &str) -> Result<u64, Error> {
        self.connection.execute(sql, &[]).await.map_err(|e| describe_error(e, doing))
    }

    pub(super) async fn batch(&self, sql: &str, doing: &str) -> Result<(), Error> {
        self.connection.batch_execute(sql).await.map_err(|e| describe_error(e, doing))
    }

    pub(super) async fn number(&self, sql: &str, doing: &str) -> Result<u64, Error> {
        let row = self.connection.query_one(sql, &[]).await.map_err(|e| describe_error(e, doing))?;
        Ok(u64::try_from(row.get::<_, i64>(0)).unwrap_or(0))
    }

    /// The target's rows, as this transaction sees them.
    pub(super) fn rows(&self) -> Arc<RowsWithin> {
        Arc::new(RowsWithin {
            connection: Arc::clone(&self.connection),
            catalog: Arc::clone(&self.catalog),
            turn: Arc::clone(&self.turn),
        })
    }

    /// Lays the rows of a table `t` on the bench that come `from` there (a FROM list with its conditions), with the columns
    /// that are asked for and `more` of that list; says how many they are.
    pub(super) async fn lay_out(
        &self,
        broken: &Broken<'_>,
        from: &str,
        read: &[String],
        more: &str,
        doing: &str,
    ) -> Result<u64, Error> {
        let mut columns = broken
            .table
            .key_columns()
            .iter()
            .enumerate()
            .map(|(at, name)| format!(", t.{} AS imis_k{at}", PG.quote(name)))
            .collect::<Vec<_>>();
        columns.extend(read.iter().map(|name| format!(", t.{}", PG.quote(name))));
        self.batch("DROP TABLE IF EXISTS pg_temp.imis_broken", doing).await?;
        self.execute(
            &format!(
                "CREATE TEMP TABLE imis_broken ON COMMIT DROP AS SELECT row_number() OVER () AS imis_n, t.ctid AS imis_place, \
                 {} AS imis_key, t.{}::text AS imis_was{}{more} FROM {from}",
                key_expression(broken.table),
                PG.quote(&broken.column.name),
                columns.concat()
            ),
            doing,
        )
        .await
    }

    /// An empty `imis_given` for values of a column.
    pub(super) async fn clear_given(&self, broken: &Broken<'_>, doing: &str) -> Result<(), Error> {
        self.batch(
            &format!(
                "DROP TABLE IF EXISTS pg_temp.imis_given; CREATE TEMP TABLE imis_given ON COMMIT DROP AS \
                 SELECT 0::bigint AS imis_n, t.{} AS imis_value FROM {} t LIMIT 0",
                PG.quote(&broken.column.name),
                broken.table.table_name().sql(PG)
            ),
            doing,
        )
        .await
    }

    /// Works an expression out for the rows on the bench and puts the values into `imis_given`; rows in which it fails, or
    /// whose value does not fit, get none.
    pub(super) async fn work_out(&self, broken: &Broken<'_>, worked: &Worked, doing: &str) -> Result<(), Error> {
        self.clear_given(broken, doing).await?;
        let values = self.evaluate(broken.table, worked, doing).await?;
        let number = TypedColumn { name: "imis_n".to_owned(), data_type: DataType::BigInt, nullable: false };
        let mut value = broken.column.typed(PG);
        "imis_value".clone_into(&mut value.name);
        self.fill("imis_given", vec![number, value], values, doing).await
    }

    /// Works a condition out for the rows on the bench and leaves in `imis_given` those that meet it, with NULL.
    pub(super) async fn choose(&self, broken: &Broken<'_>, condition: &Worked, doing: &str) -> Result<(), Error> {
        self.clear_given(broken, doing).await?;
        let mut met = Spool::new();
        for batch in self.evaluate(broken.table, condition, doing).await?.into_batches()? {
            let batch = batch?;
            let Some(truth) = batch.column(1).as_boolean_opt() else { continue };
            let numbers = filter(batch.column(0), truth).map_err(odd)?;
            let schema = Arc::new(Schema::new(vec![Field::new("imis_n", ArrowType::Int64, true)]));
            met.push(&RecordBatch::try_new(schema, vec![numbers]).map_err(odd)?)?;
        }
        let number = TypedColumn { name: "imis_n".to_owned(), data_type: DataType::BigInt, nullable: false };
        self.fill("imis_given", vec![number], met, doing).await
    }

    /// The numbers of the rows on the bench and the values of an expression over them, where it has one that fits.
    async fn evaluate(&self, table: &Table, worked: &Worked, doing: &str) -> Result<Spool, Error> {
        let mut columns = vec!["imis_n".to_owned()];
        columns.extend(worked.read.iter().cloned());
        let rows =
            drain(Arc::clone(&self.connection), ReadRequest::all(Arc::new(on_bench(table))).columns(columns)).await?;
        let mut found = Spool::new();
        for batch in rows.into_batches()? {
            let batch = batch?;
            let numbers = cast(batch.column(0), &ArrowType::Int64).map_err(odd)?;
            let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
            let seen: Vec<ArrayRef> = batch.columns().iter().skip(1).map(Arc::clone).collect();
            let fields: Vec<_> = batch.schema().fields().iter().skip(1).cloned().collect();
            let seen = RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), seen, &options).map_err(odd)?;
            let seen = rename(&seen, &worked.schema).map_err(|e| expression::failed(doing, &e))?;
            found.push(&values(worked, &numbers, &seen)?)?;
        }
        Ok(found)
    }

    /// Copies batches into a table of the bench.
    pub(super) async fn fill(
        &self,
        table: &str,
        columns: Vec<TypedColumn>,
        batches: Spool,
        doing: &str,
    ) -> Result<(), Error> {
        let names = columns.iter().map(|c| PG.quote(&c.name)).collect::<Vec<_>>().join(", ");
        let encoder = CopyEncoder::new(columns)?;
        let statement = format!("COPY pg_temp.{table} ({names}) FROM STDIN (FORMAT binary)");
        let _turn = self.turn.lock().await;
        let copy = self.connection.copy_in::<_, Bytes>(&statement).await.map_err(|e| describe_error(e, doing))?;
        futures::pin_mut!(copy);
        let mut buffer = BytesMut::new();
        encoder.header(&mut buffer);
        for batch in batches.into_batches()? {
            encoder.batch(&batch?, &mut buffer)?;
            if buffer.len() >= FLUSH_BYTES {
                copy.send(buffer.split().freeze()).await.map_err(|e| describe_error(e, doing))?;
            }
        }
        encoder.trailer(&mut buffer);
        copy.send(buffer.freeze()).await.map_err(|e| describe_error(e, doing))?;
        copy.finish().await.map_err(|e| describe_error(e, doing))?;
        Ok(())
    }

    /// Gives the rows on the bench the values of `imis_given`, where `good` holds (a condition over `g.imis_value`), notes
    /// what was there before and takes them off the bench. Says how many they were.
    ///
    /// `noted` is the condition under which the old value is worth a line, over `b.imis_was`.
    pub(super) async fn apply(
        &self,
        rule: &str,
        broken: &Broken<'_>,
        name: &str,
        (good, noted): (&str, &str),
        doing: &str,
    ) -> Result<u64, Error> {
        let Broken { table, column } = broken;
        self.number(
            &format!(
                "WITH good AS (SELECT b.imis_n, b.imis_place, b.imis_key, b.imis_was, g.imis_value FROM imis_broken b \
                     JOIN imis_given g USING (imis_n) WHERE {good}), \
                 done AS (UPDATE {table_sql} t SET {column_sql} = good.imis_value FROM good WHERE t.ctid = good.imis_place), \
                 off AS (DELETE FROM imis_broken b USING good WHERE b.imis_n = good.imis_n), \
                 told AS (INSERT INTO imis_migration.repair (run, rule, table_name, row_key, column_name, name, was, became) \
                     SELECT {run}, {rule}, {table_name}, b.imis_key, {column_name}, {name}, b.imis_was, b.imis_value::text FROM good b WHERE {noted}) \
                 SELECT count(*) FROM good",
                table_sql = table.table_name().sql(PG),
                column_sql = PG.quote(&column.name),
                run = PG.literal(self.run),
                rule = PG.literal(rule),
                table_name = PG.literal(&table.name),
                column_name = PG.literal(&column.name),
                name = PG.literal(name),
            ),
            doing,
        )
        .await
    }

    pub(super) fn note(&mut self, rule: &str, column: &str, name: &str, count: u64) {
        if count > 0 {
            self.effects.entry(rule.to_owned()).or_default().note(column, name, count);
        }
    }
}

/// The rows on the bench as a table that can be read.
fn on_bench(table: &Table) -> Table {
    let number = Column {
        name: "imis_n".to_owned(),
        data_type: "bigint".to_owned(),
        nullable: false,
        identity: false,
        default: None,
        computed: None,
        collation: None,
    };
    let columns = std::iter::once(number).chain(table.columns.iter().cloned()).collect();
    Table {
        schema: "pg_temp".to_owned(),
        name: "imis_broken".to_owned(),
        columns,
        primary_key: imis_schemas::Known::No,
        ..table.clone()
    }
}

/// Numbers and values of the rows in which an expression has a value that fits.
fn values(worked: &Worked, numbers: &ArrayRef, seen: &RecordBatch) -> Result<RecordBatch, Error> {
    let mut failed = Vec::new();
    let mut array = worked.expression.evaluate(seen, &mut failed);
    let mut bad: Vec<usize> = failed.into_iter().map(|(row, _)| row).collect();
    let mut wire = array.data_type().clone();
    if let Some(fit) = &worked.fit {
        let mut findings = Findings::default();
        array = fit.apply(&array, &mut findings);
        bad.extend(findings.rejected.into_iter().map(|(row, ..)| row));
        wire = wire_type(&fit.column().data_type).unwrap_or(ArrowType::Utf8);
    }
    let schema = Schema::new(vec![Field::new("imis_n", ArrowType::Int64, true), Field::new("imis_value", wire, true)]);
    let kept = crate::fit::rows_without(array.len(), bad.into_iter());
    let columns = [numbers, &array]
        .into_iter()
        .map(|column| arrow::compute::take(column, &kept, None))
        .collect::<Result<Vec<_>, _>>()
        .map_err(odd)?;
    RecordBatch::try_new(Arc::new(schema), columns).map_err(odd)
}

pub(super) fn odd(error: arrow::error::ArrowError) -> Error {
    Error::failed("a batch of broken rows has an odd shape").caused_by(error)
}

/// The key of a row `t` as JSON, in the form of [`crate::account::Reject::key`].
pub(super) fn key_expression(table: &Table) -> String {
    let pairs = table
        .key_columns()
        .iter()
        .map(|c| format!("jsonb_build_array({}, t.{}::text)", PG.literal(c), PG.quote(c)))
        .collect::<Vec<_>>();
    format!("jsonb_build_array({})::text", pairs.join(", "))
}
