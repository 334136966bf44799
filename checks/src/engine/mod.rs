//! Carries a plan of checks out, on any database.
//!
//! ```text
//! sets of keys   one reading of each table that is pointed to, of the columns that are pointed to
//! rows           one reading of each table, for everything that looks at one row after the other; what queries need is kept
//! again          a second reading, only where values turned out to be repeated: it gives the rows
//! queries        joins and aggregates, by DataFusion
//! ```

mod cycles;
mod emit;
mod hashes;
mod query;
mod reading;
mod scan;
mod sets;
mod stage;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use arrow::datatypes::{Field, Schema};
use imis_databases::query::Means;
use imis_databases::query::tables::{SourceRows, register};
use imis_databases::{Error, Progress, Source};
use imis_schemas::{Catalog, Table};
use jiff::civil::Date;

use crate::compile::{Plan, Scan, TestKind};
use crate::language::{CheckError, Packs, Parameters};
use crate::outcome::{CheckResult, Example, Findings, Outcome, PartResult, Status, TableRead};
use crate::virtual_tables;
use emit::{Emitter, Tally};
use query::Answer;
use reading::Reading;
use scan::{AgainReader, Outlet, ScanReader, SetReader};
use sets::Set;
use stage::Stage;

/// How checks are run.
#[derive(Clone, Debug)]
pub struct Options {
    /// How many parts of a table are read at once.
    pub jobs: usize,
    /// Bytes that a query may hold in memory before it goes to files.
    pub memory: usize,
}

impl Default for Options {
    fn default() -> Self {
        Options { jobs: std::thread::available_parallelism().map_or(1, usize::from), memory: 512 * 1024 * 1024 }
    }
}

/// A run of checks.
pub struct Run {
    /// The database.
    pub source: Arc<dyn Source>,
    /// Its catalogue.
    pub catalog: Arc<Catalog>,
    /// The location, for people.
    pub location: String,
    /// The day that is today.
    pub as_of: Date,
    /// How to go about it.
    pub options: Options,
    /// Who watches.
    pub progress: Arc<dyn Progress>,
}

impl Run {
    /// Carries checks out. `findings` gets every violation while it is found.
    ///
    /// # Errors
    /// When the database fails. A check that cannot be carried out is `errored` and stops none of the others; what its author has to look at
    /// comes beside the outcome.
    pub async fn carry_out(
        &self,
        packs: &Packs,
        plan: Plan,
        findings: Arc<Mutex<dyn Findings>>,
    ) -> Result<(Outcome, Vec<CheckError>), Error> {
        let (started, clock) = (jiff::Timestamp::now(), std::time::Instant::now());
        let plan = Arc::new(plan);
        let mut work = Work {
            run: self,
            reading: Reading {
                source: Arc::clone(&self.source),
                engine: self.catalog.engine,
                jobs: self.options.jobs.max(1),
                progress: Arc::clone(&self.progress),
            },
            emitter: Emitter { plan: Arc::clone(&plan), findings },
            tallies: plan.parts.iter().map(|_| Tally::default()).collect(),
            errored: plan.parts.iter().map(|_| None).collect(),
            tables: Vec::new(),
            notes: Vec::new(),
            lost_sets: HashMap::new(),
            unread: Vec::new(),
            plan: Arc::clone(&plan),
        };
        let sets = Arc::new(work.sets().await?);
        let stage = work.scans(&sets).await?;
        work.queries(stage).await?;
        let Work { tallies, errored, mut tables, notes, .. } = work;
        tables.sort_by_cached_key(|t: &TableRead| t.table.to_lowercase());
        let mut notes = notes;
        for table in tables.iter().filter(|table| table.refused > 0) {
            let rows = if table.refused == 1 { "row" } else { "rows" };
            notes.push(format!("{} {rows} of {} cannot be read; no check saw them.", table.refused, table.table));
        }
        let (results, errors) = results(&plan, tallies, errored);
        let outcome = Outcome {
            run: uuid::Uuid::new_v4().to_string(),
            location: self.location.clone(),
            engine: match self.catalog.engine {
                imis_schemas::Engine::Mssql => "SQL Server".to_owned(),
                imis_schemas::Engine::Postgres => "PostgreSQL".to_owned(),
            },
            as_of: self.as_of,
            started,
            seconds: clock.elapsed().as_secs_f64(),
            packs: packs.used(),
            parameters: Parameters::new(packs.parameters(), self.as_of).shown(),
            off: packs.off.clone(),
            results,
            tables,
            notes,
        };
        Ok((outcome, errors))
    }
}

/// A run while it goes on.
struct Work<'a> {
    run: &'a Run,
    plan: Arc<Plan>,
    reading: Reading,
    emitter: Emitter,
    /// By part.
    tallies: Vec<Tally>,
    /// By part: why it could not be carried out, or why there is nothing to carry out.
    errored: Vec<Option<(Status, String)>>,
    tables: Vec<TableRead>,
    notes: Vec<String>,
    /// Sets that could not be gathered, and why.
    lost_sets: HashMap<usize, String>,
    /// Tables that could not be read, and why.
    unread: Vec<(String, String)>,
}

impl Work<'_> {
    /// Gathers what references are held against: one reading a table.
    async fn sets(&mut self) -> Result<Vec<Set>, Error> {
        let plan = Arc::clone(&self.plan);
        let mut sets: Vec<Set> = plan.sets.iter().map(|set| Set::new(set.folded)).collect();
        if plan.sets.is_empty() {
            return Ok(sets);
        }
        self.run.progress.phase("keys that are pointed to");
        let mut tables: Vec<&Arc<Table>> = Vec::new();
        for set in &plan.sets {
            if !tables.iter().any(|table| table.table_name() == set.table.table_name()) {
                tables.push(&set.table);
            }
        }
        for table in tables {
            let own = plan.sets.iter().enumerate().filter(|(_, set)| set.table.table_name() == table.table_name());
            let own: Vec<_> = own.collect();
            let mut used: HashSet<String> = own.iter().map(|(_, set)| set.column.to_lowercase()).collect();
            used.extend(own.iter().filter_map(|(_, set)| set.condition.as_ref()).flat_map(|(_, c)| c.columns()));
            let columns: Vec<_> = table.columns.iter().filter(|c| used.contains(&c.name.to_lowercase())).collect();
            let field = |c: &&imis_schemas::Column| {
                Field::new(c.name.to_lowercase(), c.data_type(self.run.catalog.engine).arrow(), true)
            };
            let schema = Arc::new(Schema::new(columns.iter().map(field).collect::<Vec<_>>()));
            let names: Vec<String> = columns.iter().map(|c| c.name.clone()).collect();
            let of = own.iter().map(|(_, set)| {
                let condition = set.condition.as_ref().and_then(|(_, condition)| condition.over(&schema).ok());
                (set.column.clone(), condition)
            });
            let of = Arc::new(of.collect::<Vec<_>>());
            let wanted: Vec<_> = own.iter().map(|(at, set)| (*at, set.folded)).collect();
            let reader = || Ok(SetReader::new(wanted.clone(), &of));
            let places: Vec<usize> = own.iter().map(|(at, _)| *at).collect();
            let readers = match self.reading.read(table, &names, &schema, &table.name, reader).await {
                Ok((readers, _)) => readers,
                Err(error) => {
                    let why = self.unreadable(table, error)?;
                    self.lost_sets.extend(places.iter().map(|at| (*at, why.clone())));
                    continue;
                }
            };
            let (failed, refused) =
                readers.iter().fold((0, 0), |(f, r), reader| (f + reader.failed, r + reader.refused));
            // What is not known to be there cannot be told to be missing.
            if refused > 0 {
                let why = format!("{refused} rows of {} cannot be read", table.name);
                self.lost_sets.extend(places.iter().map(|at| (*at, why.clone())));
            }
            if failed > 0 {
                let why = format!("a condition on {} cannot be evaluated in {failed} rows", table.name);
                let with_condition = own.iter().filter(|(_, set)| set.condition.is_some());
                self.lost_sets.extend(with_condition.map(|(at, _)| (*at, why.clone())));
            }
            for reader in readers {
                for (at, more) in reader.sets {
                    if let Some(set) = sets.get_mut(at) {
                        set.join(more);
                    }
                }
            }
        }
        Ok(sets)
    }

    /// Reads each table once, and those with repeated values again.
    async fn scans(&mut self, sets: &Arc<Vec<Set>>) -> Result<Option<Stage>, Error> {
        let plan = Arc::clone(&self.plan);
        let mut stage = self.stage()?;
        if !plan.scans.is_empty() {
            self.run.progress.phase("rows");
        }
        for (at, scan) in plan.scans.iter().enumerate() {
            let kept = match &mut stage {
                Some(stage) => stage.table(&scan.table)?,
                None => None,
            };
            // What a query needs beyond what the tests look at is read along.
            let extra = self.kept_columns(&scan.table, kept.is_some());
            let (columns, schema) = widened(&scan.table, &scan.columns, &extra, &self.run.catalog);
            let outlet = Outlet::new(self.emitter.clone(), scan.tests.len());
            let skipped = Arc::new(self.skipped(scan));
            let reader = || ScanReader::new(&plan, at, sets, kept.clone(), Arc::clone(&outlet), &skipped);
            let (readers, rows) =
                match self.reading.read(&scan.table, &columns, &schema, &scan.table.name, reader).await {
                    Ok(done) => done,
                    Err(error) => {
                        let why = self.unreadable(&scan.table, error)?;
                        scan.tests.iter().for_each(|test| self.ends(test.part, Status::Errored, why.clone()));
                        continue;
                    }
                };
            let mut refused = 0;
            for mut reader in readers {
                refused += reader.refused;
                for (test, tally) in scan.tests.iter().zip(std::mem::take(&mut reader.tallies)) {
                    self.add(test.part, tally);
                }
            }
            self.tables.push(TableRead { table: scan.table.name.clone(), rows, refused });
            drop(kept);
            let Some(outlet) = Arc::into_inner(outlet) else { continue };
            self.again(at, outlet).await?;
        }
        self.keep_others(&mut stage).await?;
        Ok(stage)
    }

    /// Notes a table that cannot be read, and says why; the error where the server is gone.
    fn unreadable(&mut self, table: &Table, error: Error) -> Result<String, Error> {
        if error.is_passing() {
            return Err(error);
        }
        let why = error.to_string();
        self.unread.push((table.table_name().to_string(), why.clone()));
        Ok(why)
    }

    /// The tests of a scan whose keys could not be gathered; they are ended.
    fn skipped(&mut self, scan: &Scan) -> HashSet<usize> {
        let mut skipped = HashSet::new();
        for (at, test) in scan.tests.iter().enumerate() {
            let TestKind::Member(member) = &test.kind else { continue };
            let lost = member.found_in.iter().chain(&member.but_only_of).find_map(|at| self.lost_sets.get(at).cloned());
            if let Some(why) = lost {
                self.ends(test.part, Status::Errored, why);
                skipped.insert(at);
            }
        }
        skipped
    }

    /// The columns that queries need of a table which is kept for them.
    fn kept_columns(&self, table: &Table, kept: bool) -> Vec<String> {
        let reads = self.plan.queries.iter().flat_map(|query| &query.reads).filter(|_| kept);
        reads.filter(|(own, _)| own.table_name() == table.table_name()).flat_map(|(_, c)| c.iter().cloned()).collect()
    }

    /// Where queries would have to read a server again, what they need is kept.
    fn stage(&self) -> Result<Option<Stage>, Error> {
        let mut wanted: Vec<(Arc<Table>, Vec<String>)> = Vec::new();
        for (table, columns) in
            self.plan.queries.iter().flat_map(|query| &query.reads).filter(|(t, _)| t.schema != "imis")
        {
            match wanted.iter_mut().find(|(own, _)| own.table_name() == table.table_name()) {
                Some((_, own)) => own.extend(columns.iter().cloned()),
                None => wanted.push((Arc::clone(table), columns.clone())),
            }
        }
        if !self.run.source.splits() || wanted.is_empty() {
            return Ok(None);
        }
        Stage::new(&self.run.catalog, &wanted).map(Some)
    }

    /// Keeps the tables that only queries read.
    async fn keep_others(&mut self, stage: &mut Option<Stage>) -> Result<(), Error> {
        let Some(stage) = stage else { return Ok(()) };
        let mut done: Vec<String> = self.plan.scans.iter().map(|scan| scan.table.table_name().to_string()).collect();
        let plan = Arc::clone(&self.plan);
        for (table, _) in plan.queries.iter().flat_map(|query| &query.reads).filter(|(t, _)| t.schema != "imis") {
            let name = table.table_name().to_string();
            if done.contains(&name) {
                continue;
            }
            done.push(name);
            let Some(kept) = stage.table(table)? else { continue };
            let (columns, schema) = widened(table, &[], &self.kept_columns(table, true), &self.run.catalog);
            let outlet = Outlet::new(self.emitter.clone(), 0);
            let (sets, none) = (Arc::new(Vec::new()), Arc::new(HashSet::new()));
            let reader = || ScanReader::new(&plan, usize::MAX, &sets, Some(kept.clone()), Arc::clone(&outlet), &none);
            let (readers, rows) = match self.reading.read(table, &columns, &schema, &table.name, reader).await {
                Ok(done) => done,
                Err(error) => {
                    self.unreadable(table, error)?;
                    continue;
                }
            };
            let refused = readers.iter().map(|reader| reader.refused).sum();
            self.tables.push(TableRead { table: table.name.clone(), rows, refused });
        }
        Ok(())
    }

    /// Reads a table again for the rows whose values are repeated, or which lie on circles; where there are none, it does not.
    async fn again(&mut self, at: usize, outlet: Outlet) -> Result<(), Error> {
        let plan = Arc::clone(&self.plan);
        let Some(scan) = plan.scans.get(at) else { return Ok(()) };
        let mut wanted = Vec::new();
        for (nth, ((test, pile), edges)) in scan.tests.iter().zip(outlet.piles).zip(outlet.edges).enumerate() {
            let (repeated, groups) = match &test.kind {
                TestKind::Unique { spelling, .. } => {
                    let pile = pile.into_inner().unwrap_or_else(PoisonError::into_inner);
                    let repeated: HashSet<u128> =
                        pile.repeated(*spelling == crate::language::Spelling::Differs)?.into_iter().collect();
                    let groups = repeated.len() as u64;
                    (repeated, groups)
                }
                TestKind::Cycle { .. } => cycles::circles(edges.into_inner().unwrap_or_else(PoisonError::into_inner)),
                _ => continue,
            };
            if let Some(tally) = self.tallies.get_mut(test.part) {
                tally.groups = Some(groups);
            }
            if !repeated.is_empty() {
                wanted.push((nth, repeated));
            }
        }
        if wanted.is_empty() {
            return Ok(());
        }
        let wanted = Arc::new(wanted);
        let outlet = Outlet::new(self.emitter.clone(), 0);
        let reader = || AgainReader::new(&plan, at, &wanted, Arc::clone(&outlet));
        let (readers, _) =
            self.reading.read(&scan.table, &scan.columns, &scan.schema, &scan.table.name, reader).await?;
        for reader in readers {
            for ((nth, _), tally) in wanted.iter().zip(reader.tallies) {
                if let Some(test) = scan.tests.get(*nth) {
                    self.add(test.part, tally);
                }
            }
        }
        Ok(())
    }

    fn add(&mut self, part: usize, tally: Tally) {
        if let Some(own) = self.tallies.get_mut(part) {
            own.join(tally);
        }
    }

    /// Runs the queries, first with much memory and, where that is not enough, with files.
    async fn queries(&mut self, stage: Option<Stage>) -> Result<(), Error> {
        let plan = Arc::clone(&self.plan);
        if plan.queries.is_empty() {
            return Ok(());
        }
        self.run.progress.phase("queries");
        let (source, _folder) = match stage {
            Some(stage) => {
                let (source, folder) = stage.finish()?;
                (source, Some(folder))
            }
            None => (Arc::clone(&self.run.source), None),
        };
        // The whole catalogue: a query is planned again over it, and what it does not need need not be kept.
        let catalog = Arc::clone(&self.run.catalog);
        let virtuals = self.virtual_tables(&plan).await?;
        let rows = Arc::new(SourceRows { source, catalog });
        let generous =
            Means { memory: self.run.options.memory, partitions: self.run.options.jobs.max(1), hash_joins: true };
        let contexts = [query::context(generous), query::context(Means::FRUGAL)];
        for context in &contexts {
            register(context, "public", Arc::clone(&rows) as _);
            query::register_virtual(context, &virtuals.tables)?;
        }
        self.run.progress.rule("queries", plan.queries.len() as u64);
        for one in &plan.queries {
            let silent = virtuals
                .silent
                .iter()
                .find(|(name, _)| one.tables.iter().any(|t| t.schema == "imis" && t.name == *name));
            if let Some((_, why)) = silent {
                self.ends(one.part, Status::NotApplicable, why.clone());
                continue;
            }
            let unread =
                self.unread.iter().find(|(name, _)| one.tables.iter().any(|t| t.table_name().to_string() == *name));
            if let Some((_, why)) = unread {
                let why = why.clone();
                self.ends(one.part, Status::Errored, why);
                continue;
            }
            let mut answer = Answer::TooLarge;
            for context in &contexts {
                answer = query::run(context, one, &self.emitter).await?;
                if !matches!(answer, Answer::TooLarge) {
                    break;
                }
            }
            match answer {
                Answer::Rows(tally) => self.add(one.part, tally),
                Answer::TooLarge => {
                    self.ends(one.part, Status::Errored, "it needs more memory than it may have".to_owned())
                }
                Answer::Failed(tally, error) => {
                    self.add(one.part, tally);
                    self.ends(one.part, Status::Errored, error.to_string());
                }
            }
            self.run.progress.rows("queries", 1);
        }
        self.run.progress.done("queries");
        Ok(())
    }

    async fn virtual_tables(&self, plan: &Plan) -> Result<virtual_tables::Filled, Error> {
        let used =
            |name: &str| plan.queries.iter().any(|q| q.tables.iter().any(|t| t.schema == "imis" && t.name == name));
        virtual_tables::fill(self.run.source.as_ref(), &self.run.catalog, &used).await
    }

    fn ends(&mut self, part: usize, status: Status, why: String) {
        if let Some(ended) = self.errored.get_mut(part) {
            *ended = Some((status, why));
        }
    }
}

/// The columns of a scan, and more of them, with their schema.
fn widened(table: &Table, columns: &[String], more: &[String], catalog: &Catalog) -> (Vec<String>, Arc<Schema>) {
    let wanted = table.columns.iter().filter(|c| columns.contains(&c.name) || more.contains(&c.name));
    let wanted: Vec<_> = wanted.collect();
    // Rows are counted by their columns; a table of which none is needed gives its first.
    let wanted = if wanted.is_empty() { table.columns.iter().take(1).collect() } else { wanted };
    let field =
        |c: &&imis_schemas::Column| Field::new(c.name.to_lowercase(), c.data_type(catalog.engine).arrow(), true);
    let schema = Arc::new(Schema::new(wanted.iter().map(field).collect::<Vec<_>>()));
    (wanted.iter().map(|c| c.name.clone()).collect(), schema)
}

/// What became of each check, from what became of its parts.
fn results(
    plan: &Plan,
    tallies: Vec<Tally>,
    errored: Vec<Option<(Status, String)>>,
) -> (Vec<CheckResult>, Vec<CheckError>) {
    let mut errors = Vec::new();
    let mut results: Vec<CheckResult> = plan
        .checks
        .iter()
        .map(|about| CheckResult {
            about: about.clone(),
            status: Status::NotApplicable,
            violations: 0,
            groups: None,
            rows: 0,
            reason: None,
            parts: Vec::new(),
            examples: Vec::new(),
        })
        .collect();
    for ((planned, tally), errored) in plan.parts.iter().zip(tallies).zip(errored) {
        let Some(result) = results.get_mut(planned.check) else { continue };
        let while_running = errored.or_else(|| {
            let rows = if tally.failed == 1 { "row" } else { "rows" };
            let why = format!("in {} {rows} it cannot be told: {}", tally.failed, tally.failed_why);
            (tally.failed > 0).then_some((Status::Errored, why))
        });
        if let Some((Status::Errored, why)) = &while_running {
            let error = CheckError::at(&planned.place, format!("{} could not be carried out: {why}", result.about.id));
            let help = "Guard it: `nullif(x, 0)` for what is divided by, try_cast for texts.";
            errors.push(error.with_label("this part").with_help(help));
        }
        let ended = while_running.or_else(|| planned.ended.clone());
        let is_query = matches!(planned.kind, "query" | "no-overlap");
        let part = PartResult {
            what: planned.what.clone(),
            severity: planned.severity,
            table: planned.table.clone(),
            column: planned.column.clone(),
            status: match &ended {
                Some((status, _)) => *status,
                None if tally.violations > 0 => Status::Failed,
                None => Status::Passed,
            },
            violations: tally.violations,
            groups: tally.groups.filter(|_| planned.groups),
            rows: (!is_query && ended.as_ref().is_none_or(|(s, _)| *s != Status::NotApplicable)).then_some(tally.rows),
            reason: ended.map(|(_, why)| why),
        };
        result.violations += part.violations;
        result.rows += part.rows.unwrap_or(0);
        if let Some(groups) = part.groups {
            *result.groups.get_or_insert(0) += groups;
        }
        result.examples.extend(tally.into_examples());
        result.parts.push(part);
    }
    for result in &mut results {
        let has = |status: Status| result.parts.iter().any(|part| part.status == status);
        let order = [Status::Errored, Status::Failed, Status::Passed];
        result.status = order.into_iter().find(|status| has(*status)).unwrap_or(Status::NotApplicable);
        let reason = result.parts.iter().find(|part| part.status == result.status).and_then(|part| part.reason.clone());
        result.reason = reason.filter(|_| matches!(result.status, Status::Errored | Status::NotApplicable));
        keep_some(&mut result.examples);
    }
    (results, errors)
}

/// How many examples a check keeps.
const EXAMPLES_A_CHECK: usize = 10;

fn keep_some(examples: &mut Vec<Example>) {
    examples.truncate(EXAMPLES_A_CHECK);
}
