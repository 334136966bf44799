//! A rehearsal without writing: rows are read and mapped, and what would become of them is counted.

use std::sync::Arc;

use futures::StreamExt;
use imis_databases::{Error, ReadRequest, Source};

use super::Progress;
use crate::account::Counts;
use crate::bind::{BoundMapping, Way};
use crate::map::map;
use crate::plan::Plan;

/// Reads all rows of the table rules (or their first ranges) and counts, by rule, what would become of them.
///
/// # Errors
/// When the source fails.
pub async fn scan(
    mapping: &BoundMapping,
    plan: &Plan,
    source: &Arc<dyn Source>,
    sample: bool,
    progress: &dyn Progress,
) -> Result<Vec<(String, Counts)>, Error> {
    let mut found = Vec::new();
    progress.phase("scan");
    for (rule, planned) in mapping.rules.iter().zip(&plan.rules) {
        let (Way::Rows(way), Some(table)) = (&rule.way, &rule.source) else { continue };
        progress.rule(&rule.name, planned.rows);
        let mut counts = Counts::default();
        for range in planned.ranges.iter().take(if sample { 1 } else { usize::MAX }) {
            let request = ReadRequest::all(Arc::clone(table)).columns(way.read.clone()).range(range.clone());
            let mut chunks = source.read(request);
            while let Some(chunk) = chunks.next().await {
                let chunk = chunk?;
                let mapped = map(way, &chunk.batch)?;
                let rejected = (chunk.refused.len() + mapped.rejected.len()) as u64;
                counts.add(&Counts {
                    read: (chunk.batch.num_rows() + chunk.refused.len()) as u64,
                    loaded: mapped.batch.num_rows() as u64,
                    rejected,
                    filtered: mapped.filtered,
                    kept: 0,
                    updated: 0,
                    losses: mapped.losses,
                });
                progress.rows(&rule.name, chunk.batch.num_rows() as u64);
            }
        }
        progress.done(&rule.name);
        found.push((rule.name.clone(), counts));
    }
    Ok(found)
}
