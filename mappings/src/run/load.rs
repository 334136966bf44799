//! Loading: ranges of tables, several at once, and the results of queries.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::{StreamExt, TryStreamExt, stream};
use imis_databases::{Chunk, ChunkStream, Error, ErrorKind, KeyRange, ReadRequest};

use super::Run;
use super::failpoint::reached;
use super::patience::Patience;
use super::target::{Care, RangeId, RangeWriter};
use crate::account::{Counts, Reject, RejectedRow};
use crate::bind::{BoundRule, QueryWay, RowWay, Way};
use crate::map::map;
use imis_databases::query::expression::query_failed;

impl Run<'_> {
    /// Loads all ranges of all table rules and adds their counts up.
    pub(super) async fn load_tables(&self) -> Result<BTreeMap<String, Counts>, Error> {
        let committed = self.target.committed().await?;
        let mut totals: BTreeMap<String, Counts> = BTreeMap::new();
        let mut work = Vec::new();
        for (rule, planned) in self.mapping.rules.iter().zip(&self.plan.rules) {
            if rule.name != planned.rule {
                return Err(Error::new(ErrorKind::Schema, "the plan's rules are not the mapping's"));
            }
            let Way::Rows(way) = &rule.way else { continue };
            self.progress.rule(&rule.name, planned.rows);
            let total = totals.entry(rule.name.clone()).or_default();
            for (number, range) in planned.ranges.iter().enumerate() {
                match committed.get(&(rule.name.clone(), number)) {
                    Some(counts) => {
                        total.add(counts);
                        self.progress.rows(&rule.name, counts.read);
                    }
                    None => work.push((rule, way, number, range)),
                }
            }
        }
        let mut left: BTreeMap<&str, usize> = BTreeMap::new();
        for (rule, ..) in &work {
            *left.entry(rule.name.as_str()).or_default() += 1;
        }
        let mut done = stream::iter(work.into_iter().map(|(rule, way, number, range)| async move {
            let counts = self.load_range(rule, way, number, range).await?;
            Ok::<_, Error>((rule, counts))
        }))
        .buffer_unordered(self.options.jobs.max(1));
        while let Some((rule, counts)) = done.try_next().await? {
            totals.entry(rule.name.clone()).or_default().add(&counts);
            if let Some(left) = left.get_mut(rule.name.as_str()) {
                *left -= 1;
                if *left == 0 {
                    self.progress.done(&rule.name);
                }
            }
        }
        Ok(totals)
    }

    async fn load_range(
        &self,
        rule: &BoundRule,
        way: &RowWay,
        number: usize,
        range: &KeyRange,
    ) -> Result<Counts, Error> {
        let Some(table) = &rule.source else { return Ok(Counts::default()) };
        let id = RangeId { rule: &rule.name, number, range };
        let mut reported = 0;
        let mut patience = Patience::new(self.progress.as_ref());
        let open = || -> ChunkStream {
            let mut request = ReadRequest::all(Arc::clone(table)).columns(way.read.clone()).range(range.clone());
            request.max_cell = self.options.max_cell;
            if let Some(planned) = self.plan.rules.iter().find(|planned| planned.rule == rule.name) {
                request = request.counted(planned.rows);
            }
            self.source.read(request)
        };
        loop {
            match self.write_stream(rule, way, &id, &open, &mut reported).await {
                Err(error) => patience.outlast(error).await?,
                done => return done,
            }
            // A line may break when the server has committed and before its answer is here.
            if let Some(counts) = self.target.committed().await?.remove(&(rule.name.clone(), number)) {
                return Ok(counts);
            }
        }
    }

    /// Runs a query and loads its result.
    pub(super) async fn load_query(&self, rule: &BoundRule, way: &QueryWay) -> Result<Counts, Error> {
        let whole = KeyRange::whole();
        let id = RangeId { rule: &rule.name, number: 0, range: &whole };
        if let Some(counts) = self.target.committed().await?.get(&(rule.name.clone(), 0)) {
            return Ok(counts.clone());
        }
        let failed = |e| query_failed(&format!("rule {}", rule.name), &e);
        let plan = self.mapping.context.state().create_logical_plan(&way.sql).await.map_err(failed)?;
        let frame = self.mapping.context.execute_logical_plan(plan).await.map_err(failed)?;
        // Results of queries are small (roles, accounts); they are held so that a careful second try is possible.
        let batches = frame.collect().await.map_err(failed)?;
        let open = || -> ChunkStream {
            Box::pin(stream::iter(batches.clone().into_iter().map(|batch| Ok(Chunk::from(batch)))))
        };
        self.write_stream(rule, &way.rows, &id, &open, &mut 0).await
    }

    /// Writes a stream of chunks as one range; on a refusal of the server once more, carefully.
    async fn write_stream(
        &self,
        rule: &BoundRule,
        way: &RowWay,
        id: &RangeId<'_>,
        open: &(dyn Fn() -> ChunkStream + Sync),
        reported: &mut u64,
    ) -> Result<Counts, Error> {
        match self.try_range(rule, way, id, (open(), Care::Fast), reported).await {
            Err(error) if error.is_refusal() => self.try_range(rule, way, id, (open(), Care::Careful), reported).await,
            other => other,
        }
    }

    async fn try_range(
        &self,
        rule: &BoundRule,
        way: &RowWay,
        id: &RangeId<'_>,
        (mut chunks, care): (ChunkStream, Care),
        reported: &mut u64,
    ) -> Result<Counts, Error> {
        let mut writer: Box<dyn RangeWriter> = self.target.begin(rule, way, care).await?;
        reached("load-begun");
        let mut counts = Counts::default();
        let mut rejects: Vec<RejectedRow> = Vec::new();
        while let Some(chunk) = chunks.next().await {
            let chunk = chunk?;
            let refused = chunk.refused.iter().map(|row| Reject::new(row.key.clone(), &row.column, &row.reason));
            let mut refused: Vec<Reject> = refused.collect();
            counts.read += (chunk.batch.num_rows() + refused.len()) as u64;
            let mapped = map(way, &chunk.batch)?;
            refused.extend(mapped.rejected.iter().cloned());
            self.stop_on_reject(&rule.name, &refused)?;
            let by_server = writer.write(&mapped).await?;
            self.stop_on_reject(&rule.name, &by_server)?;
            counts.loaded += (mapped.batch.num_rows() - by_server.len()) as u64;
            refused.extend(by_server);
            counts.rejected += refused.len() as u64;
            counts.filtered += mapped.filtered;
            for (key, lost) in mapped.losses {
                *counts.losses.entry(key).or_default() += lost;
            }
            rejects.extend(refused.into_iter().map(|reject| RejectedRow {
                rule: rule.name.clone(),
                table: rule.target.name.clone(),
                reject,
            }));
            // What another try reads again is not new.
            self.progress.rows(&rule.name, counts.read.saturating_sub(*reported));
            *reported = counts.read.max(*reported);
            reached("load-written");
        }
        writer.commit(id, &counts, &rejects).await?;
        reached("load-committed");
        Ok(counts)
    }
}
