//! A rehearsal without writing: rows are read and mapped, and what would become of them is counted.

mod keys;

use std::sync::Arc;

use arrow::record_batch::RecordBatch;
use futures::StreamExt;
use imis_databases::{Error, ReadRequest, Source};
use imis_schemas::Table;
use serde::Serialize;

use super::Progress;
use crate::account::Counts;
use crate::bind::{BoundMapping, RowWay, Way};
use crate::language::Existing;
use crate::map::{Mapped, map};
use crate::plan::{Plan, PlannedRule};
pub use keys::{BrokenKey, BrokenKeys};

use keys::Census;

/// What a rehearsal found.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Scanned {
    /// By rule, what would become of its rows before their keys are looked at.
    pub rules: Vec<(String, Counts)>,
    /// Keys that do not hold; `None` when only a sample was read, which cannot tell.
    pub keys: Option<BrokenKeys>,
}

impl Scanned {
    /// Rows that would be rejected, for whatever reason.
    pub fn rejected(&self) -> u64 {
        let by_keys: u64 = self.keys.iter().flat_map(|keys| keys.rejected.values()).sum();
        self.rules.iter().map(|(_, counts)| counts.rejected).sum::<u64>() + by_keys
    }
}

/// How much a rehearsal reads.
#[derive(Clone, Copy, Debug)]
pub struct Extent {
    /// Whether only the first range of each table is read.
    pub sample: bool,
    /// The largest cell that is read, in bytes.
    pub max_cell: usize,
}

/// Reads the rows of the table rules (of a sample: their first ranges) and counts, by rule, what would become of them; then, unless
/// it is a sample, which keys would not hold. `target` is where rows may stand that stay.
///
/// # Errors
/// When the source or the target fails.
pub async fn scan(
    mapping: &BoundMapping,
    plan: &Plan,
    source: &Arc<dyn Source>,
    target: Option<&Arc<dyn Source>>,
    extent: Extent,
    progress: &dyn Progress,
) -> Result<Scanned, Error> {
    progress.phase("scan");
    let mut census = Census::new(mapping);
    let mut found = Vec::new();
    let reading = Reading { source, extent };
    for (number, (rule, planned)) in mapping.rules.iter().zip(&plan.rules).enumerate() {
        let (Way::Rows(way), Some(table)) = (&rule.way, &rule.source) else { continue };
        progress.rule(&rule.name, planned.rows);
        let mut counts = Counts::default();
        reading
            .rows(way, table, planned, &mut |refused, read, mapped| {
                let rejected = refused + mapped.rejected.len() as u64;
                census.see(number, &mapped.batch);
                counts.add(&Counts {
                    read: refused + read,
                    loaded: mapped.batch.num_rows() as u64,
                    rejected,
                    filtered: mapped.filtered,
                    losses: mapped.losses,
                    ..Counts::default()
                });
                progress.rows(&rule.name, read);
            })
            .await?;
        progress.done(&rule.name);
        found.push((rule.name.clone(), counts));
    }
    if extent.sample {
        return Ok(Scanned { rules: found, keys: None });
    }
    progress.phase("keys");
    if let Some(target) = target {
        rows_that_stay(mapping, target, extent.max_cell, &mut census).await?;
    }
    loop {
        let again = census.turn();
        if again.is_empty() {
            break;
        }
        for (number, (rule, planned)) in mapping.rules.iter().zip(&plan.rules).enumerate() {
            let (true, Way::Rows(way), Some(table)) = (again.contains(&number), &rule.way, &rule.source) else {
                continue;
            };
            progress.rule(&rule.name, planned.rows);
            reading
                .rows(way, table, planned, &mut |_, read, mapped| {
                    census.count(number, &mapped.batch);
                    progress.rows(&rule.name, read);
                })
                .await?;
            progress.done(&rule.name);
        }
    }
    Ok(Scanned { rules: found, keys: Some(census.finish()) })
}

/// Rows that the target has and that the mapping leaves there may be what the source's rows name.
async fn rows_that_stay(
    mapping: &BoundMapping,
    target: &Arc<dyn Source>,
    max_cell: usize,
    census: &mut Census<'_>,
) -> Result<(), Error> {
    let stays = |table: &Table| !matches!(mapping.existing(table), Existing::Replace | Existing::Discard);
    for table in super::target::tables_of(mapping).into_iter().filter(|table| stays(table)) {
        let named = census.named_columns(&table.name);
        let columns: Vec<String> =
            table.columns.iter().filter(|c| named.contains(&c.name.to_lowercase())).map(|c| c.name.clone()).collect();
        if columns.is_empty() {
            continue;
        }
        let count = target.count(&table).await?;
        let mut request = ReadRequest::all(Arc::clone(&table)).columns(columns).counted(count);
        request.max_cell = max_cell;
        let mut chunks = target.read(request);
        while let Some(chunk) = chunks.next().await {
            let batch: RecordBatch = chunk?.batch;
            census.stay(&table.name, &batch);
        }
    }
    Ok(())
}

struct Reading<'a> {
    source: &'a Arc<dyn Source>,
    extent: Extent,
}

impl Reading<'_> {
    /// Reads and maps the rows of a rule; `see` gets the rows that could not be read, those that could, and what became of them.
    async fn rows(
        &self,
        way: &RowWay,
        table: &Arc<Table>,
        planned: &PlannedRule,
        see: &mut (dyn FnMut(u64, u64, Mapped) + Send),
    ) -> Result<(), Error> {
        for range in planned.ranges.iter().take(if self.extent.sample { 1 } else { usize::MAX }) {
            let mut request = ReadRequest::all(Arc::clone(table)).columns(way.read.clone()).range(range.clone());
            request.max_cell = self.extent.max_cell;
            request = request.counted(planned.rows);
            let mut chunks = self.source.read(request);
            while let Some(chunk) = chunks.next().await {
                let chunk = chunk?;
                see(chunk.refused.len() as u64, chunk.batch.num_rows() as u64, map(way, &chunk.batch)?);
            }
        }
        Ok(())
    }
}
