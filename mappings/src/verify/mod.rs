//! Verification: that what is in a target is what its source and the mapping say, or that two databases hold the same.
//!
//! It does not trust the code that loaded. Each server computes totals itself; meanwhile every row of both sides is
//! brought into one encoding that knows nothing of COPY, hashed, and held against its counterpart; what differs is looked at once
//! more, cell by cell, and held against what the mapping and the run name as their doing.
//!
//! ```text
//! source --texts by the server--> map --┐
//!                                       ├--> canonical --> 128-bit hash --> pile --> merge --> second look --> reasons
//! target -------------------------------┘
//! ```

mod canonical;
mod cells;
mod compare;
mod counted;
mod expected;
mod form;
mod json;
mod outcome;
mod pile;
mod reasons;
mod recorded;
mod shape;
mod side;
mod tally;
mod target;
#[cfg(test)]
mod told;
mod totals;
mod turns;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use futures::{StreamExt, TryStreamExt, stream};
use imis_databases::source::range_column;
use imis_databases::{Error, ErrorKind, KeyRange, Source, ranges_between};
use imis_schemas::{Catalog, Engine, Table, same_name};

use self::compare::{Comparison, Found, compare};
use self::counted::{Asked, Counted};
use self::expected::{form, image_side, parts, queries, rules_compared, rules_of, way};
use self::reasons::Reasons;
use self::side::{RulesSide, Side, TableSide};
use self::turns::Turns;
use crate::bind::{BoundMapping, BoundStep, Way};
use crate::language::Existing;
use crate::plan::ROWS_A_RANGE;
use crate::run::{Progress, tables_of};

pub use self::outcome::{
    AreaTotal, CellDifference, ColumnTotal, Difference, DifferenceKind, FORMAT, Group, LeftOut, Loss, Mode, Status,
    TableVerdict, Verification,
};
pub use self::recorded::Recorded;

/// How a verification is to be done.
#[derive(Clone, Debug)]
pub struct Options {
    /// How many ranges are compared at once.
    pub jobs: usize,
    /// Only these tables (of the target), case aside; all where none is named.
    pub tables: Vec<String>,
    /// Whether only the first, the middle and the last range of large tables are compared.
    pub sample: bool,
    /// How many differences of a table are kept, the unexplained first.
    pub limit: usize,
    /// The largest cell that is read, in bytes.
    pub max_cell: usize,
}

impl Default for Options {
    fn default() -> Self {
        Options { jobs: 2, tables: Vec::new(), sample: false, limit: 1_000, max_cell: imis_databases::source::MAX_CELL }
    }
}

/// One of two databases.
#[derive(Clone)]
pub struct End {
    /// Its rows.
    pub source: Arc<dyn Source>,
    /// Its catalogue.
    pub catalog: Arc<Catalog>,
    /// Its name, without user and password.
    pub name: String,
}

/// Both ends and how to go about it.
struct Verifier {
    from: End,
    to: End,
    options: Options,
    turns: Turns,
    progress: Arc<dyn Progress>,
}

/// A table that will be compared.
struct Task {
    /// As reports name it.
    table: String,
    comparison: Comparison,
    rules: Vec<String>,
    left_out: Vec<LeftOut>,
    /// The table of each side by which it is counted and split, where there is one.
    from_table: Option<Arc<Table>>,
    to_table: Arc<Table>,
    /// Rows of each side, as far as they were counted.
    from_count: u64,
    to_count: u64,
}

/// Holds the target of a migration against its source, under the mapping.
///
/// # Errors
/// When a server fails, a query of the mapping fails, or a table that was named is not there.
pub async fn migration(
    mapping: Arc<BoundMapping>,
    mapping_name: &str,
    from: End,
    to: End,
    recorded: Recorded,
    options: Options,
    progress: Arc<dyn Progress>,
) -> Result<Verification, Error> {
    let verifier = Verifier { turns: Turns::new(options.jobs), from, to, options, progress };
    let recorded = Arc::new(recorded);
    let mut outcome = verifier.begin(Mode::Migration).await?;
    outcome.mapping = Some(mapping_name.to_owned());
    outcome.run = recorded.run.clone();
    let tables: Vec<Arc<Table>> =
        tables_of(&mapping).into_iter().filter(|table| verifier.is_asked_for(table)).collect();
    verifier.every_name_is_known(&tables)?;

    verifier.progress.phase("counting");
    let asked = tables.iter().map(|table| {
        let rules = rules_of(&mapping, table).filter(|(_, rule)| matches!(rule.way, Way::Rows(_)));
        Asked { from: rules.filter_map(|(_, rule)| rule.source.clone()).collect(), to: Arc::clone(table) }
    });
    let counted = verifier.counted(asked).await?;
    // The servers add up while rows come in: neither waits for the other.
    verifier.progress.phase("comparison");
    let totals = totals::migration(&mapping, &verifier.from, &verifier.to, &tables, &counted, &verifier.options);
    let rows = async {
        let made = queries(
            &mapping,
            (&verifier.from.source, &verifier.from.catalog),
            (&verifier.to.source, &verifier.to.catalog),
            &recorded,
            verifier.options.max_cell,
        )
        .await?;
        let mut tasks = Vec::new();
        for table in &tables {
            tasks.push(verifier.mapped_task(&mapping, table, &recorded, &made, &counted));
        }
        verifier.compare(tasks).await
    };
    let ((mut totals, mut areas), found) = futures::try_join!(totals, rows)?;
    totals::explain(&mut totals, &mut areas, &found);
    verifier.end(outcome, totals, areas, found).await
}

/// Holds two databases of one shape against each other: tables and columns by their names, types through the type table.
///
/// # Errors
/// When a server fails, or a table that was named is not there.
pub async fn same_shape(
    from: End,
    to: End,
    options: Options,
    progress: Arc<dyn Progress>,
) -> Result<Verification, Error> {
    let verifier = Verifier { turns: Turns::new(options.jobs), from, to, options, progress };
    let mut outcome = verifier.begin(Mode::SameShape).await?;
    let (pairs, shape) =
        shape::pairs(&verifier.from.catalog, &verifier.to.catalog, |table| verifier.is_asked_for(table));
    outcome.shape = shape;
    let tables: Vec<Arc<Table>> = pairs.iter().map(|pair| Arc::clone(&pair.to)).collect();
    verifier.every_name_is_known(&tables)?;

    verifier.progress.phase("counting");
    let asked = pairs.iter().map(|pair| Asked { from: vec![Arc::clone(&pair.from)], to: Arc::clone(&pair.to) });
    let counted = verifier.counted(asked).await?;
    verifier.progress.phase("comparison");
    let totals = totals::same_shape(&pairs, &verifier.from, &verifier.to, &counted, &verifier.options);
    let tasks = pairs.iter().map(|pair| verifier.plain_task(pair.clone(), &counted)).collect();
    let ((mut totals, mut areas), found) = futures::try_join!(totals, verifier.compare(tasks))?;
    totals::explain(&mut totals, &mut areas, &found);
    verifier.end(outcome, totals, areas, found).await
}

impl Verifier {
    async fn begin(&self, mode: Mode) -> Result<Verification, Error> {
        let (from_consistency, from_reading) = self.from.source.reading().await?;
        let (to_consistency, to_reading) = self.to.source.reading().await?;
        Ok(Verification {
            imis: FORMAT,
            mode,
            from: self.from.name.clone(),
            to: self.to.name.clone(),
            mapping: None,
            run: None,
            started: jiff::Timestamp::now().to_string(),
            finished: String::new(),
            from_consistency,
            to_consistency,
            from_reading,
            to_reading,
            sample: self.options.sample,
            tables: Vec::new(),
            totals: Vec::new(),
            areas: Vec::new(),
            differences: Vec::new(),
            shape: Vec::new(),
            notes: Vec::new(),
        })
    }

    async fn counted(&self, asked: impl Iterator<Item = Asked>) -> Result<Counted, Error> {
        Counted::new(&self.from, &self.to, &asked.collect::<Vec<_>>(), self.options.jobs).await
    }

    fn is_asked_for(&self, table: &Table) -> bool {
        let asked = &self.options.tables;
        let full = table.table_name().to_string();
        asked.is_empty() || asked.iter().any(|name| same_name(name, &table.name) || same_name(name, &full))
    }

    fn every_name_is_known(&self, tables: &[Arc<Table>]) -> Result<(), Error> {
        let is_known = |name: &&String| {
            tables.iter().any(|t| same_name(name, &t.name) || same_name(name, &t.table_name().to_string()))
        };
        match self.options.tables.iter().find(|name| !is_known(name)) {
            None => Ok(()),
            Some(name) => Err(Error::new(ErrorKind::Usage, format!("no table {name} is compared here"))
                .with_help("Name tables as the target has them; without --tables all are compared.")),
        }
    }

    /// A table that rules fill.
    fn mapped_task(
        &self,
        mapping: &Arc<BoundMapping>,
        table: &Arc<Table>,
        recorded: &Arc<Recorded>,
        made: &expected::Made,
        counted: &Counted,
    ) -> Task {
        let (form, left_out) = form(mapping, table);
        let mut parts = parts(mapping, table, &form, made);
        let existing = mapping.existing(table).clone();
        let rules = rules_compared(mapping, table);

        // Split where one rule of rows carries the key over as it is.
        let mut split = None;
        let mut from_table = None;
        if let [part] = parts.as_slice()
            && part.made.is_none()
            && let Some(rule) = mapping.rules.get(part.rule)
            && let (Way::Rows(way), Some(source)) = (&rule.way, &rule.source)
            && let form::Identity::Whole(at) = form.identity
            && let Some(key) = form.columns.get(at)
            && let Some((expression, _)) = way.columns.iter().find(|(_, fit)| fit.column().name == key.name)
            && let Some(column) = range_column(source, self.from.catalog.engine)
            && expression.plain_column() == Some(column.to_lowercase().as_str())
        {
            split = Some((column.to_owned(), key.name.clone()));
            from_table = Some(Arc::clone(source));
        }

        // For each column of the form: where the rows as read have it, by rule.
        let plain = form.columns.iter().map(|column| {
            let of_rule = |(at, rule): &(usize, &crate::bind::BoundRule)| {
                let Way::Rows(way) = &rule.way else { return None };
                let (expression, _) = way.columns.iter().find(|(_, fit)| fit.column().name == column.name)?;
                let name = expression.plain_column()?;
                Some((*at, way.read.iter().position(|read| read.to_lowercase() == name)?))
            };
            rules.iter().filter_map(of_rule).collect::<HashMap<_, _>>()
        });
        let plain = plain.collect();
        let before = recorded
            .images
            .get(&table.name)
            .filter(|_| matches!(existing, Existing::Keep { .. } | Existing::Merge { .. }))
            .map(|image| image_side(&self.to.source, table, image, &form, self.options.max_cell));

        let mut from_count = 0;
        for part in &mut parts {
            part.counted = mapping.rules.get(part.rule).and_then(|rule| counted.from(rule.source.as_ref()?));
            from_count += match &part.made {
                Some(made) => made.iter().map(|batch| batch.num_rows() as u64).sum(),
                None => part.counted.unwrap_or_default(),
            };
        }
        let keys = || rules.iter().flat_map(|(_, rule)| &rule.keys);
        let steps = |is: fn(&BoundStep) -> bool| {
            keys().filter(move |key| key.steps.iter().any(is)).map(|key| key.column.clone()).collect::<Vec<_>>()
        };
        let reasons = Reasons {
            recorded: Arc::clone(recorded),
            table: table.name.clone(),
            rules: Arc::new(mapping.rules.iter().map(|rule| rule.name.clone()).collect()),
            keyless: rules
                .iter()
                .filter(|(_, rule)| way(rule).is_some_and(|way| way.key.is_empty()))
                .map(|(_, rule)| rule.name.clone())
                .collect(),
            spelling: steps(|step| matches!(step, BoundStep::Spelling)),
            nullable: steps(|step| matches!(step, BoundStep::Null(_))),
            existing,
            migration: true,
        };
        let columns = form.columns.iter().map(|c| c.name.clone()).collect();
        let (from_split, to_split) = split.unzip();
        Task {
            table: form.table.clone(),
            comparison: Comparison {
                from: Side::Rules(RulesSide {
                    mapping: Arc::clone(mapping),
                    source: Arc::clone(&self.from.source),
                    parts,
                    split: from_split,
                    max_cell: self.options.max_cell,
                }),
                to: Side::Table(TableSide {
                    source: Arc::clone(&self.to.source),
                    table: Arc::clone(table),
                    columns,
                    split: to_split,
                    max_cell: self.options.max_cell,
                    at_most: counted.to_at_most(table),
                }),
                form: Arc::new(form),
                before,
                reasons,
                plain,
                limit: self.options.limit,
                progress: Arc::clone(&self.progress),
            },
            rules: rules.iter().map(|(_, rule)| rule.name.clone()).collect(),
            left_out,
            from_table,
            to_table: Arc::clone(table),
            from_count,
            to_count: counted.to(table),
        }
    }

    /// A table that both sides have.
    fn plain_task(&self, pair: shape::Pair, counted: &Counted) -> Task {
        let (from_count, to_count) = (counted.from(&pair.from), counted.to(&pair.to));
        let to_at_most = counted.to_at_most(&pair.to);
        let side =
            |end: &End, table: &Arc<Table>, columns: Vec<String>, split: Option<String>, at_most: Option<u64>| {
                Side::Table(TableSide {
                    source: Arc::clone(&end.source),
                    table: Arc::clone(table),
                    columns,
                    split,
                    max_cell: self.options.max_cell,
                    at_most,
                })
            };
        let reasons = Reasons {
            recorded: Arc::new(Recorded::nothing()),
            table: pair.to.name.clone(),
            rules: Arc::default(),
            keyless: Vec::new(),
            spelling: Vec::new(),
            nullable: Vec::new(),
            existing: Existing::default(),
            migration: false,
        };
        let (from_split, to_split) = pair.split.clone().unzip();
        Task {
            table: pair.form.table.clone(),
            comparison: Comparison {
                from: side(&self.from, &pair.from, pair.from_columns, from_split, from_count),
                to: side(&self.to, &pair.to, pair.to_columns, to_split, to_at_most),
                plain: vec![HashMap::new(); pair.form.columns.len()],
                form: Arc::new(pair.form),
                before: None,
                reasons,
                limit: self.options.limit,
                progress: Arc::clone(&self.progress),
            },
            rules: Vec::new(),
            left_out: Vec::new(),
            from_count: from_count.unwrap_or_default(),
            to_count,
            from_table: Some(pair.from),
            to_table: pair.to,
        }
    }

    /// Compares all tables; the ranges of all of them share the jobs.
    async fn compare(&self, tasks: Vec<Task>) -> Result<Vec<(TableVerdict, Found)>, Error> {
        for task in &tasks {
            self.progress.rule(&task.table, task.from_count + task.to_count);
        }
        // Large tables one after another keep memory flat; small ones keep the connections busy meanwhile.
        let mut found: Vec<(usize, (TableVerdict, Found))> = stream::iter(tasks.into_iter().enumerate())
            .map(|(at, task)| async move { Ok::<_, Error>((at, self.compare_table(task).await?)) })
            .buffer_unordered(self.options.jobs.max(1))
            .try_collect()
            .await?;
        found.sort_by_key(|(at, _)| *at);
        Ok(found.into_iter().map(|(_, found)| found).collect())
    }

    async fn compare_table(&self, task: Task) -> Result<(TableVerdict, Found), Error> {
        let started = Instant::now();
        let mut ranges = self.ranges(&task).await?;
        let whole = ranges.len();
        let large = task.from_count.max(task.to_count) > ROWS_A_RANGE;
        if self.options.sample && whole > 3 {
            let last = whole - 1;
            let kept = [0, last / 2, last];
            ranges =
                ranges.into_iter().enumerate().filter(|(at, _)| kept.contains(at)).map(|(_, range)| range).collect();
        } else if self.options.sample && whole == 1 && large {
            ranges.clear();
        }
        let sampled = ranges.len() < whole;
        if task.from_count == 0 && task.to_count == 0 {
            ranges.clear();
        }
        // A large table that is read as a whole fills the places that are free.
        let parts = if whole == 1 && large { self.options.jobs } else { 1 };
        let found = compare(Arc::new(task.comparison), ranges, &self.turns, parts).await?;
        self.progress.done(&task.table);
        let of = |kind| found.unexplained.get(&kind).copied().unwrap_or_default();
        let mut explained = found.explained.clone();
        if found.filtered > 0 {
            *explained.entry("filtered".to_owned()).or_default() += found.filtered;
        }
        let verdict = TableVerdict {
            table: task.table,
            rules: task.rules,
            from_rows: found.from_rows,
            to_rows: found.to_rows,
            equal: found.equal,
            missing: of(DifferenceKind::Missing),
            extra: of(DifferenceKind::Extra),
            changed: of(DifferenceKind::Changed),
            doubled: of(DifferenceKind::Doubled),
            unreadable: of(DifferenceKind::Unreadable),
            explained,
            losses: found
                .losses
                .iter()
                .map(|((column, name), values)| Loss { column: column.clone(), name: name.clone(), values: *values })
                .collect(),
            left_out: task.left_out,
            sampled,
            seconds: started.elapsed().as_secs_f64(),
        };
        Ok((verdict, found))
    }

    /// The ranges in which a table is compared: from the least key of both sides to the greatest, as many as the side needs that
    /// has more rows.
    async fn ranges(&self, task: &Task) -> Result<Vec<KeyRange>, Error> {
        let comparison = &task.comparison;
        let (Some(column), Some(to_column), Some(from_table)) =
            (comparison.from.split(), comparison.to.split(), &task.from_table)
        else {
            return Ok(vec![KeyRange::whole()]);
        };
        let rows = task.from_count.max(task.to_count);
        let whole = KeyRange { column: Some(column.to_owned()), from: None, to: None };
        if rows <= ROWS_A_RANGE {
            return Ok(vec![whole]);
        }
        let of_both = futures::try_join!(
            self.from.source.bounds(from_table, column),
            self.to.source.bounds(&task.to_table, to_column)
        )?;
        let bounds = match of_both {
            (Some((a, b)), Some((c, d))) => (a.min(c), b.max(d)),
            (Some(bounds), None) | (None, Some(bounds)) => bounds,
            (None, None) => return Ok(vec![whole]),
        };
        Ok(ranges_between(column, bounds, rows, ROWS_A_RANGE))
    }

    async fn end(
        &self,
        mut outcome: Verification,
        totals: Vec<ColumnTotal>,
        areas: Vec<AreaTotal>,
        found: Vec<(TableVerdict, Found)>,
    ) -> Result<Verification, Error> {
        let settled: u64 = found.iter().map(|(_, found)| found.settled).sum();
        if settled > 0 {
            outcome.notes.push(format!(
                "{settled} row(s) differed at the first look and not at the second: somebody works on one of the databases"
            ));
        }
        for end in [&self.from, &self.to] {
            outcome.notes.extend(
                end.source.cut_digits().into_iter().map(|(table, column, _)| {
                    format!("{table}.{column}: the seventh digit of a second was not compared")
                }),
            );
        }
        for (verdict, found) in found {
            outcome.differences.extend(found.differences);
            outcome.tables.push(verdict);
        }
        outcome.totals = totals;
        outcome.areas = areas;
        outcome.from_reading.after = self.from.source.mark().await;
        outcome.to_reading.after = self.to.source.mark().await;
        outcome.finished = jiff::Timestamp::now().to_string();
        Ok(outcome)
    }
}

/// The engine in whose dialect a source understands statements.
fn engine(end: &End) -> Engine {
    end.catalog.engine
}
