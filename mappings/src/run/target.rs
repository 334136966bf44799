//! What a run needs of a target: a PostgreSQL database or a snapshot folder.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use imis_databases::{Error, KeyRange};

use super::{OnReject, Stage};
use crate::account::{Account, Counts, Reject, RejectedRow, RuleAccount, TableAccount};
use crate::bind::{BoundMapping, BoundRule, RowWay};
use crate::map::Mapped;
use crate::plan::Plan;

/// A range of a rule, as the ledger knows it.
#[derive(Clone, Debug)]
pub(crate) struct RangeId<'a> {
    pub(crate) rule: &'a str,
    pub(crate) number: usize,
    pub(crate) range: &'a KeyRange,
}

/// Writes one range. What is not committed is not there.
#[async_trait]
pub(crate) trait RangeWriter: Send {
    /// Writes a batch. The rows that the server refused come back as rejects; `Err` with kind `Data` asks for the range
    /// to be done again, carefully.
    async fn write(&mut self, mapped: &Mapped) -> Result<Vec<Reject>, Error>;

    /// Commits rows, rejects and the line in the ledger together.
    async fn commit(self: Box<Self>, id: &RangeId<'_>, counts: &Counts, rejects: &[RejectedRow]) -> Result<(), Error>;
}

/// How a range is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Care {
    /// All rows in one stream.
    Fast,
    /// Batch by batch, halved where the server refuses, down to the row.
    Careful,
}

/// A target of a run.
#[async_trait]
#[expect(private_interfaces, reason = "only this crate makes targets; others hold them")]
pub trait Target: Send + Sync {
    /// The run's name.
    fn run_id(&self) -> String;

    /// Checks that the target may be filled, keeps what will be replaced, and clears the way. Done once a run.
    async fn prepare(&self, mapping: &BoundMapping, plan: &Plan) -> Result<(), Error>;

    /// Whether a run into it that failed can go on from where it was.
    fn remembers(&self) -> bool;

    /// The counts of ranges that an earlier try of this run committed.
    async fn committed(&self) -> Result<BTreeMap<(String, usize), Counts>, Error>;

    /// Begins a range.
    async fn begin(&self, rule: &BoundRule, way: &RowWay, care: Care) -> Result<Box<dyn RangeWriter>, Error>;

    /// Brings back rows of the target that stay (`keep`, `merge`).
    async fn settle_existing(
        &self,
        mapping: &BoundMapping,
        counts: &mut BTreeMap<String, Counts>,
        stage: Stage,
    ) -> Result<(), Error>;

    /// The target's rows as they were before the run.
    async fn rows_before(&self) -> Result<Arc<dyn imis_databases::query::tables::Rows>, Error>;

    /// The target's rows as they are.
    async fn rows_now(&self) -> Result<Arc<dyn imis_databases::query::tables::Rows>, Error>;

    /// Holds the keys, uniques and repairs of a stage.
    async fn hold_keys(&self, mapping: &BoundMapping, stage: Stage, on_reject: OnReject) -> Result<(), Error>;

    /// What holding them did, by rule.
    async fn effects(&self) -> Result<super::keys::Effects, Error>;

    /// Puts everything back that was cleared away; says what the reader must know.
    async fn finish(&self, mapping: &BoundMapping) -> Result<Vec<String>, Error>;

    /// The account of the target's tables.
    async fn tables(&self, mapping: &BoundMapping, rules: &[RuleAccount]) -> Result<Vec<TableAccount>, Error>;

    /// Every row that was rejected.
    async fn rejects(&self) -> Result<Vec<RejectedRow>, Error>;

    /// Ends the run.
    async fn close(&self, account: &Account) -> Result<(), Error>;
}

/// The target tables of a mapping, each once, in the order of the rules.
pub(crate) fn tables_of(mapping: &BoundMapping) -> Vec<Arc<imis_schemas::Table>> {
    let mut tables: Vec<Arc<imis_schemas::Table>> = Vec::new();
    for rule in &mapping.rules {
        if !tables.iter().any(|t| t.table_name() == rule.target.table_name()) {
            tables.push(Arc::clone(&rule.target));
        }
    }
    tables
}

/// Adds up what rules brought into a table.
pub(crate) fn table_account(name: &str, rules: &[RuleAccount], before: u64, returned: u64, after: u64) -> TableAccount {
    let of_table = || rules.iter().filter(|rule| rule.to == name);
    TableAccount {
        table: name.to_owned(),
        before,
        removed: before - returned.min(before),
        loaded: of_table().map(|r| r.counts.loaded).sum(),
        computed: of_table().map(|r| r.computed).sum(),
        by_migrations: 0,
        after,
    }
}
