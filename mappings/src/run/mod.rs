//! A run: prepare, load, queries, keys, queries that wait for them, finish, account.
//!
//! ```text
//! source --chunks--> map --batches--> target      one range = one transaction = one line in the ledger
//! ```

mod complete;
mod failpoint;
mod finish;
mod keys;
mod lanes;
mod load;
mod loosen;
mod patience;
mod postgres;
mod prepare;
mod put_back;
mod scan;
mod snapshot;
mod state;
mod take_away;
mod target;
mod tell;
mod undo;
mod update;

use std::collections::BTreeMap;
use std::sync::Arc;

pub use imis_databases::progress::Progress;
use imis_databases::{Consistency, Error, ErrorKind, Source};
use imis_schemas::Catalog;

use self::patience::Patience;
use crate::account::{Account, Counts, FORMAT, RuleAccount};
use crate::bind::{BoundMapping, Way};
use crate::plan::Plan;
use imis_databases::query::tables::{OrEmpty, SourceRows, register};

pub use complete::{Completion, completion, django_ran, whole};
pub(crate) use keys::filled_last;
pub use postgres::PostgresTarget;
pub use prepare::{migrated_already, not_migrated};
pub use scan::{BrokenKey, BrokenKeys, Extent, Scanned, scan};
pub use snapshot::SnapshotTarget;
pub(crate) use state::paged;
pub use state::{Phase, RunState, rejects_of as rejects, runs};
pub use take_away::as_it_was;
pub use target::Target;
pub(crate) use target::tables_of;
pub use undo::undo;

/// A new run's name: the moment in UTC, to the second, and a few random letters.
pub fn new_id() -> String {
    let moment = jiff::Timestamp::now().strftime("%Y%m%d%H%M%S").to_string();
    let random = uuid::Uuid::new_v4().simple().to_string();
    format!("{moment}_{}", random.get(..6).unwrap_or_default())
}

/// What becomes of a run when a row cannot be loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum OnReject {
    /// The run stops at the first one; what was loaded stays and can be undone or resumed.
    #[default]
    Stop,
    /// The row is kept as a reject, and the rest goes on.
    Continue,
}

/// How a run is to be done.
#[derive(Clone, Debug)]
pub struct Options {
    /// How many ranges are read and written at once.
    pub jobs: usize,
    /// What a rejected row does.
    pub on_reject: OnReject,
    /// The largest cell that is read, in bytes.
    pub max_cell: usize,
    /// What the reader of the account must know beside what the run finds.
    pub notes: Vec<String>,
}

impl Default for Options {
    fn default() -> Self {
        Options { jobs: 2, on_reject: OnReject::Stop, max_cell: imis_databases::source::MAX_CELL, notes: Vec::new() }
    }
}

/// Everything a run works with.
pub struct Run<'a> {
    /// The bound mapping.
    pub mapping: &'a BoundMapping,
    /// The plan.
    pub plan: &'a Plan,
    /// The source.
    pub source: Arc<dyn Source>,
    /// The source's catalogue.
    pub source_catalog: Arc<Catalog>,
    /// The target.
    pub target: Arc<dyn Target>,
    /// The options.
    pub options: Options,
    /// Who watches.
    pub progress: Arc<dyn Progress>,
}

impl Run<'_> {
    /// Carries the run out, from the phase in which it stands.
    ///
    /// # Errors
    /// When a server fails or something is not as the plan says. The target is then in a state that can be resumed or
    /// undone.
    pub async fn carry_out(&self) -> Result<Account, Error> {
        let started = jiff::Timestamp::now().to_string();
        let mut patience = Patience::new(self.progress.as_ref());
        loop {
            // Another try goes on from what the target remembers, as --resume does.
            match self.go_on(&started).await {
                Err(error) if self.target.remembers() => patience.outlast(error).await?,
                other => return other,
            }
        }
    }

    async fn go_on(&self, started: &str) -> Result<Account, Error> {
        self.progress.phase("prepare");
        self.target.prepare(self.mapping, self.plan).await?;

        self.progress.phase("load");
        let mut counts = self.load_tables().await?;
        self.target.settle_existing(self.mapping, &mut counts, Stage::Tables).await?;
        let mut computed = self.load_queries(&mut counts, Stage::Queries).await?;

        self.progress.phase("keys");
        self.target.hold_keys(self.mapping, Stage::Queries, self.options.on_reject).await?;
        computed.extend(self.load_queries(&mut counts, Stage::Last).await?);
        self.target.hold_keys(self.mapping, Stage::Last, self.options.on_reject).await?;
        let effects = self.target.effects().await?;
        let repaired = keys::add_effects(&effects, self.mapping, &mut counts, &mut computed);

        // A snapshot's parts are there until it is finished.
        register(&self.mapping.context, "target", self.target.rows_now().await?);
        let told = tell::notes(&self.mapping.context, &self.mapping.tells).await?;

        self.progress.phase("finish");
        let mut notes = self.target.finish(self.mapping).await?;
        notes.extend(told);
        notes.extend(self.options.notes.iter().cloned());
        notes.extend(self.source.cut_digits().into_iter().map(|(table, column, count)| {
            format!("digits-below-microsecond: {count} value(s) of {table}.{column} lost the seventh digit of a second")
        }));

        self.progress.phase("account");
        self.account(started.to_owned(), counts, computed, &repaired, notes).await
    }

    /// Runs the queries that do not wait for the keys, or those that do.
    async fn load_queries(
        &self,
        counts: &mut BTreeMap<String, Counts>,
        stage: Stage,
    ) -> Result<BTreeMap<String, u64>, Error> {
        let context = &self.mapping.context;
        let source = SourceRows { source: Arc::clone(&self.source), catalog: Arc::clone(&self.source_catalog) };
        let source = OrEmpty::new(Arc::new(source), self.mapping.fallback.clone());
        register(context, "source", Arc::new(source));
        register(context, "before", self.target.rows_before().await?);
        let mut computed = BTreeMap::new();
        for (rule, planned) in self.mapping.rules.iter().zip(&self.plan.rules) {
            let Way::Query(way) = &rule.way else { continue };
            if rule.after_keys != (stage == Stage::Last) {
                continue;
            }
            self.progress.rule(&rule.name, planned.rows);
            register(context, "target", self.target.rows_now().await?);
            let mut done = self.load_query(rule, way).await?;
            match &rule.source {
                Some(table) => {
                    // What the query left out of its table is filtered by it. One transaction may be another than the plan's.
                    let rows = match self.plan.consistency {
                        Consistency::SingleTransaction => self.source.count(table).await?,
                        _ => planned.rows,
                    };
                    done.filtered += rows.saturating_sub(done.read);
                    done.read = rows.max(done.read);
                }
                None => {
                    computed.insert(rule.name.clone(), done.loaded);
                    done = Counts { rejected: done.rejected, losses: done.losses, ..Counts::default() };
                }
            }
            counts.entry(rule.name.clone()).or_default().add(&done);
            self.progress.done(&rule.name);
        }
        self.target.settle_existing(self.mapping, counts, stage).await?;
        Ok(computed)
    }

    async fn account(
        &self,
        started: String,
        counts: BTreeMap<String, Counts>,
        computed: BTreeMap<String, u64>,
        repaired: &BTreeMap<String, u64>,
        mut notes: Vec<String>,
    ) -> Result<Account, Error> {
        let mut rules = Vec::new();
        for (rule, planned) in self.mapping.rules.iter().zip(&self.plan.rules) {
            let counted = match (&rule.source, &rule.way) {
                (Some(table), Way::Rows(_) | Way::Query(_)) => Some(self.source.count(table).await?),
                _ => None,
            };
            rules.push(RuleAccount {
                rule: rule.name.clone(),
                from: planned.from.clone(),
                to: planned.to.clone(),
                counted,
                counts: counts.get(&rule.name).cloned().unwrap_or_default(),
                repaired: repaired.get(&rule.name).copied().unwrap_or_default(),
                computed: computed.get(&rule.name).copied().unwrap_or_default(),
            });
        }
        let brought = |account: &RuleAccount| account.counts.loaded + account.computed > 0;
        notes.extend(
            self.mapping
                .rules
                .iter()
                .zip(&rules)
                .filter(|(_, account)| brought(account))
                .filter_map(|(r, _)| r.note.clone()),
        );
        let tables = self.target.tables(self.mapping, &rules).await?;
        let rejects = self.target.rejects().await?;
        // It is stored without the rejected rows, which the target has already and of which there may be many.
        let mut account = Account {
            imis: FORMAT,
            run: self.target.run_id(),
            mapping: self.plan.mapping.clone(),
            from: self.plan.from.clone(),
            to: self.plan.to.clone(),
            started,
            finished: jiff::Timestamp::now().to_string(),
            consistency: Some(self.plan.consistency),
            reading: self.plan.reading.clone().until(self.source.mark().await),
            rules,
            tables,
            rejects: Vec::new(),
            notes,
        };
        self.target.close(&account).await?;
        account.rejects = rejects;
        Ok(account)
    }

    fn stop_on_reject(&self, rule: &str, rejects: &[crate::account::Reject]) -> Result<(), Error> {
        match (self.options.on_reject, rejects.first()) {
            (OnReject::Stop, Some(first)) => {
                // A key that is text is a value of a cell, and errors show none.
                let shown = |v: &String| v.parse::<i64>().is_ok() || uuid::Uuid::try_parse(v).is_ok();
                let key = first.key.iter().map(|(c, v)| format!("{c} {}", if shown(v) { v.as_str() } else { "***" }));
                let key = key.collect::<Vec<_>>().join(", ");
                let row = if key.is_empty() { "a row without key".to_owned() } else { format!("the row with {key}") };
                Err(Error::new(
                    ErrorKind::Data,
                    format!("rule {rule}: {row} cannot be loaded: {}, {}", first.column, first.reason),
                )
                .with_help(
                    "Mend the row or the mapping; or say --on-reject continue, which keeps such rows aside and goes on.",
                ))
            }
            _ => Ok(()),
        }
    }
}

/// Which rules' tables are settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Tables that only table rules fill.
    Tables,
    /// Tables that query rules fill.
    Queries,
    /// Tables that are filled only when the keys of all others hold.
    Last,
}
