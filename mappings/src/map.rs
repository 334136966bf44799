//! One batch of source rows becomes one batch of target rows, and a list of those that cannot.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray};
use arrow::compute::take;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use imis_databases::filled::filled_values;
use imis_databases::{Error, ErrorKind};

use crate::account::Reject;
use crate::bind::RowWay;
use crate::fit::{Findings, rows_without, true_rows};
use crate::functions::cell_text;
use imis_databases::query::expression;
use imis_databases::query::tables::rename;

/// What a batch became.
#[derive(Debug)]
pub(crate) struct Mapped {
    /// Rows in the target's shape.
    pub(crate) batch: RecordBatch,
    /// The key of each row in the batch, for naming one that the server refuses.
    pub(crate) keys: Vec<(String, ArrayRef)>,
    pub(crate) rejected: Vec<Reject>,
    pub(crate) filtered: u64,
    /// Losses and repairs that the mapping allows, by column and name.
    pub(crate) losses: BTreeMap<(String, String), u64>,
}

impl Mapped {
    /// The key of a row, as names and values.
    pub(crate) fn key_of(&self, row: usize) -> Vec<(String, String)> {
        key_of(&self.keys, row)
    }
}

fn key_of(keys: &[(String, ArrayRef)], row: usize) -> Vec<(String, String)> {
    keys.iter().map(|(name, array)| (name.clone(), cell_text(array, row).unwrap_or_default())).collect()
}

/// The schema of the batches that a way makes.
pub(crate) fn target_schema(way: &RowWay) -> SchemaRef {
    Arc::new(Schema::new(
        way.columns
            .iter()
            .map(|(_, fit)| {
                let column = fit.column();
                let wire = imis_databases::postgres::copy::wire_type(&column.data_type).unwrap_or(DataType::Utf8);
                Field::new(&column.name, wire, true)
            })
            .collect::<Vec<_>>(),
    ))
}

/// Maps one batch. `batch` has the columns that the way reads, in that order.
///
/// # Errors
/// Only when the batch is not what the way expects; a row that cannot be mapped is a reject.
pub(crate) fn map(way: &RowWay, batch: &RecordBatch) -> Result<Mapped, Error> {
    let odd = |e: arrow::error::ArrowError| Error::new(ErrorKind::Failed, "a batch cannot be mapped").caused_by(e);
    let batch = rename(batch, &way.schema)
        .map_err(|e| expression::failed("giving a batch the columns that were asked for", &e))?;
    let mut failed: Vec<(usize, String)> = Vec::new();
    let mut rejected: Vec<Reject> = Vec::new();
    let mut filtered = 0;
    let source_keys = |batch: &RecordBatch| -> Vec<(String, ArrayRef)> {
        way.key
            .iter()
            .filter_map(|name| {
                let array = batch.column_by_name(&name.to_lowercase())?;
                Some((name.clone(), Arc::clone(array)))
            })
            .collect()
    };

    let batch = match &way.filter {
        None => batch,
        Some((name, condition)) => {
            let truth = condition.evaluate(&batch, &mut failed);
            let keys = source_keys(&batch);
            for (row, reason) in failed.drain(..) {
                rejected.push(Reject::new(key_of(&keys, row), name, &reason));
            }
            let Some(truth) = truth.as_boolean_opt() else {
                return Err(Error::new(ErrorKind::Schema, format!("the condition {name} is not true or false")));
            };
            let kept = true_rows(truth);
            filtered = (batch.num_rows() - kept.len() - rejected.len()) as u64;
            if kept.len() == batch.num_rows() { batch } else { take_rows(&batch, &kept).map_err(odd)? }
        }
    };

    let keys = source_keys(&batch);
    let mut findings = Findings::default();
    let mut arrays = Vec::with_capacity(way.columns.len());
    for (expression, fit) in &way.columns {
        let array = expression.evaluate(&batch, &mut failed);
        for (row, reason) in failed.drain(..) {
            findings.rejected.push((row, fit.column().name.clone(), reason));
        }
        arrays.push(fit.apply(&array, &mut findings));
    }
    let mut stood_in: BTreeMap<(String, String), u64> = BTreeMap::new();
    for (condition, column, name) in &way.stand_ins {
        let truth = condition.evaluate(&batch, &mut failed);
        failed.clear();
        let count = truth.as_boolean_opt().map_or(0, |truth| truth.true_count() as u64);
        if count > 0 {
            *stood_in.entry((column.clone(), name.clone())).or_default() += count;
        }
    }
    for dropped in &way.dropped {
        if let Some(array) = batch.column_by_name(&dropped.column.to_lowercase()) {
            let lost = filled_values(array, dropped.default.as_deref());
            if lost > 0 {
                *findings.losses.entry((dropped.column.clone(), "no-target-column")).or_default() += lost;
            }
        }
    }

    // A row is rejected once, for the first of its columns that does not fit.
    let mut seen = HashSet::new();
    for (row, column, reason) in &findings.rejected {
        if seen.insert(*row) {
            rejected.push(Reject::new(key_of(&keys, *row), column, reason));
        }
    }
    let schema = target_schema(way);
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    let mapped = RecordBatch::try_new_with_options(schema, arrays, &options).map_err(odd)?;
    let (mapped, keys) = if seen.is_empty() {
        (mapped, keys)
    } else {
        let kept = rows_without(mapped.num_rows(), seen.into_iter());
        let keys = keys
            .into_iter()
            .map(|(name, array)| Ok((name, take(&array, &kept, None)?)))
            .collect::<Result<Vec<_>, arrow::error::ArrowError>>()
            .map_err(odd)?;
        (take_rows(&mapped, &kept).map_err(odd)?, keys)
    };
    let mut losses = stood_in;
    losses.extend(findings.losses.into_iter().map(|((column, name), n)| ((column, name.to_owned()), n)));
    Ok(Mapped { batch: mapped, keys, rejected, filtered, losses })
}

fn take_rows(batch: &RecordBatch, rows: &arrow::array::UInt32Array) -> Result<RecordBatch, arrow::error::ArrowError> {
    let columns = batch.columns().iter().map(|array| take(array, rows, None)).collect::<Result<Vec<_>, _>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(rows.len()));
    RecordBatch::try_new_with_options(batch.schema(), columns, &options)
}
