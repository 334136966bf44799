//! Checks that need a query: planned and run by DataFusion, over rows that are read where they lie or were kept beside the scans.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{Array, AsArray, BooleanArray};
use datafusion::common::DataFusionError;
use datafusion::prelude::SessionContext;
use futures::StreamExt;
use imis_databases::Error;
use imis_databases::query::expression::failed;
use imis_databases::query::{Means, session_with};
use xxhash_rust::xxh3::xxh3_128;

use super::emit::{Emitter, Tally, broken, broken_places};
use crate::compile::Query;
use crate::functions;

/// A place where queries of checks are run.
pub(super) fn context(means: Means) -> SessionContext {
    session_with(functions::all(), means)
}

/// What a query came to.
pub(super) enum Answer {
    /// The rows that it gave.
    Rows(Tally),
    /// It needs more memory than it may have.
    TooLarge,
    /// It failed after these rows; the error belongs to the check.
    Failed(Tally, Error),
}

/// Runs a query; each row that it gives is a violation, once.
///
/// # Errors
/// When a database behind it failed, or the violations cannot be kept.
pub(super) async fn run(context: &SessionContext, query: &Query, emitter: &Emitter) -> Result<Answer, Error> {
    let what = "the query of a check";
    let planned = async {
        let plan = context.state().create_logical_plan(&query.sql).await?;
        context.execute_logical_plan(plan).await?.execute_stream().await
    };
    let mut rows = match planned.await {
        Ok(rows) => rows,
        Err(error) => return ended(what, &error, Tally::default()),
    };
    let Some(planned) = emitter.plan.parts.get(query.part) else { return Ok(Answer::Rows(Tally::default())) };
    let key: Vec<String> = match query.about_schema {
        // What is about tables and columns, and not about rows.
        true => vec!["table_name".to_owned(), "column_name".to_owned()],
        false => query.key.clone(),
    };
    let mut tally = Tally::default();
    let mut seen: HashSet<u128> = HashSet::new();
    while let Some(batch) = rows.next().await {
        let batch = match batch {
            Ok(batch) => batch,
            Err(error) => return ended(what, &error, tally),
        };
        let wrong = first_of(&batch, &key, &mut seen)?;
        if query.about_schema {
            let first = arrow::compute::filter_record_batch(&batch, &wrong)
                .map_err(|e| Error::failed("findings cannot be gathered").caused_by(e))?;
            emitter.take(&[broken_places(query.part, planned, &mut tally, &first)?])?;
            continue;
        }
        let shown = (!planned.column.is_empty()).then_some(planned.column.as_str());
        if let Some(more) = broken(query.part, planned, &mut tally, &batch, &key, shown, &wrong)? {
            emitter.take(&[more])?;
        }
    }
    Ok(Answer::Rows(tally))
}

/// The rows whose keys were not there before.
fn first_of(
    batch: &arrow::record_batch::RecordBatch,
    key: &[String],
    seen: &mut HashSet<u128>,
) -> Result<BooleanArray, Error> {
    // Rows without a key cannot be told from each other.
    if key.is_empty() {
        return Ok(BooleanArray::from(vec![true; batch.num_rows()]));
    }
    let columns = key.iter().filter_map(|name| batch.column_by_name(&name.to_lowercase()));
    let texts = columns.map(|column| arrow::compute::cast(column, &arrow::datatypes::DataType::Utf8));
    let texts = texts
        .collect::<Result<Vec<_>, _>>()
        .map_err(|e| Error::failed("the keys of a query's rows cannot be compared").caused_by(e))?;
    let mut bytes = Vec::new();
    let is_first = |row: usize| {
        bytes.clear();
        for texts in &texts {
            let texts = texts.as_string::<i32>();
            bytes.push(u8::from(texts.is_null(row)));
            if texts.is_valid(row) {
                bytes.extend(texts.value(row).as_bytes());
            }
            bytes.push(0x1f);
        }
        seen.insert(xxh3_128(&bytes))
    };
    Ok((0..batch.num_rows()).map(is_first).map(Some).collect())
}

fn ended(what: &str, error: &DataFusionError, tally: Tally) -> Result<Answer, Error> {
    // Rows that were handed on already cannot be taken back.
    if matches!(error.find_root(), DataFusionError::ResourcesExhausted(_)) && tally.violations == 0 {
        return Ok(Answer::TooLarge);
    }
    let error = failed(what, error);
    // The server is gone: no other query would fare better.
    if error.is_passing() { Err(error) } else { Ok(Answer::Failed(tally, error)) }
}

/// Tables with rows in memory, for what the catalogue and the server say.
pub(super) fn register_virtual(
    context: &SessionContext,
    tables: &[(String, arrow::record_batch::RecordBatch)],
) -> Result<(), Error> {
    use datafusion::catalog::{MemorySchemaProvider, SchemaProvider};
    use datafusion::datasource::MemTable;
    let trouble = |e: &DataFusionError| failed("making the tables of the catalogue", e);
    let schema = MemorySchemaProvider::new();
    for (name, batch) in tables {
        let table = MemTable::try_new(batch.schema(), vec![vec![batch.clone()]]).map_err(|e| trouble(&e))?;
        schema.register_table(name.clone(), Arc::new(table)).map_err(|e| trouble(&e))?;
    }
    let default = context.copied_config().options().catalog.default_catalog.clone();
    if let Some(catalog) = context.catalog(&default) {
        catalog.register_schema("imis", Arc::new(schema)).map_err(|e| trouble(&e))?;
    }
    Ok(())
}
