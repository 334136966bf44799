//! One reading of a table for everything that looks at one row after the other.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray};
use arrow::buffer::BooleanBuffer;
use arrow::compute::{and, and_not};
use arrow::datatypes::DataType;
use arrow::record_batch::RecordBatch;
use imis_databases::query::expression::Expression;
use imis_databases::{Error, RefusedRow};

use super::emit::{Broken, Emitter, Tally, broken};
use super::hashes::{Hasher, Pair, Pile};
use super::reading::Reader;
use super::sets::{Cells, Set};
use super::stage::StageTable;
use crate::compile::{Member, Plan, Scan, Test, TestKind};

/// How many offending rows or hashes a reader keeps before it hands them on.
const HELD: usize = 16 * 1024;

/// Where the readers of a table hand on what they cannot keep.
pub(super) struct Outlet {
    pub(super) emitter: Emitter,
    /// By test.
    pub(super) piles: Vec<Mutex<Pile>>,
    pub(super) edges: Vec<Mutex<Vec<(u64, u64)>>>,
}

impl Outlet {
    pub(super) fn new(emitter: Emitter, tests: usize) -> Arc<Self> {
        let piles = (0..tests).map(|_| Mutex::default()).collect();
        Arc::new(Outlet { emitter, piles, edges: (0..tests).map(|_| Mutex::default()).collect() })
    }
}

/// Reads one part of a table.
pub(super) struct ScanReader {
    plan: Arc<Plan>,
    scan: usize,
    sets: Arc<Vec<Set>>,
    stage: Option<StageTable>,
    outlet: Arc<Outlet>,
    /// Tests that cannot be carried out.
    skipped: Arc<HashSet<usize>>,
    hashers: Vec<Option<Hasher>>,
    /// By test.
    pub(super) tallies: Vec<Tally>,
    hashes: Vec<Vec<Pair>>,
    edges: Vec<Vec<(u64, u64)>>,
    broken: Vec<Broken>,
    held: usize,
    pub(super) refused: u64,
}

impl ScanReader {
    pub(super) fn new(
        plan: &Arc<Plan>,
        scan: usize,
        sets: &Arc<Vec<Set>>,
        stage: Option<StageTable>,
        outlet: Arc<Outlet>,
        skipped: &Arc<HashSet<usize>>,
    ) -> Result<Self, Error> {
        let tests = plan.scans.get(scan).map_or(&[] as &[Test], |scan| scan.tests.as_slice());
        let hasher = |test: &Test| match (&test.kind, plan.scans.get(scan)) {
            (TestKind::Unique { columns, spelling, .. }, Some(scan)) => hasher(scan, columns, *spelling).map(Some),
            _ => Ok(None),
        };
        Ok(ScanReader {
            scan,
            sets: Arc::clone(sets),
            stage,
            outlet,
            skipped: Arc::clone(skipped),
            hashers: tests.iter().map(hasher).collect::<Result<_, _>>()?,
            tallies: tests.iter().map(|_| Tally::default()).collect(),
            hashes: tests.iter().map(|_| Vec::new()).collect(),
            edges: tests.iter().map(|_| Vec::new()).collect(),
            broken: Vec::new(),
            held: 0,
            refused: 0,
            plan: Arc::clone(plan),
        })
    }

    /// Hands on what is held.
    pub(super) fn hand_on(&mut self) -> Result<(), Error> {
        self.outlet.emitter.take(&std::mem::take(&mut self.broken))?;
        for (hashes, pile) in self.hashes.iter_mut().zip(&self.outlet.piles).filter(|(hashes, _)| !hashes.is_empty()) {
            pile.lock().unwrap_or_else(PoisonError::into_inner).extend(hashes)?;
            hashes.clear();
        }
        for (edges, all) in self.edges.iter_mut().zip(&self.outlet.edges).filter(|(edges, _)| !edges.is_empty()) {
            all.lock().unwrap_or_else(PoisonError::into_inner).append(edges);
        }
        self.held = 0;
        Ok(())
    }
}

pub(super) fn hasher(scan: &Scan, columns: &[String], spelling: crate::language::Spelling) -> Result<Hasher, Error> {
    let data_type = |name: &String| scan.schema.field_with_name(&name.to_lowercase()).map(|f| f.data_type().clone());
    let types: Vec<DataType> = columns.iter().filter_map(|name| data_type(name).ok()).collect();
    Hasher::new(&types, spelling != crate::language::Spelling::Exact)
}

impl Reader for ScanReader {
    fn take(&mut self, batch: &RecordBatch) -> Result<(), Error> {
        let plan = Arc::clone(&self.plan);
        if let Some(stage) = &self.stage {
            stage.write(batch)?;
        }
        let Some(scan) = plan.scans.get(self.scan) else { return Ok(()) };
        // What is only kept for queries is no business of the tests, whose expressions know columns by their places.
        let own;
        let batch = if batch.num_columns() == scan.schema.fields().len() {
            batch
        } else {
            let places = scan.schema.fields().iter().map(|field| batch.schema().index_of(field.name()));
            own = places.collect::<Result<Vec<_>, _>>().and_then(|places| batch.project(&places)).map_err(trouble)?;
            &own
        };
        let mut conditions = Vec::with_capacity(scan.conditions.len());
        for (_, condition) in &scan.conditions {
            conditions.push(truth(condition, batch));
        }
        for (at, test) in scan.tests.iter().enumerate() {
            if self.skipped.contains(&at) {
                continue;
            }
            let Some(tally) = self.tallies.get_mut(at) else { continue };
            let chosen = match test.condition.and_then(|at| conditions.get(at)) {
                Some((chosen, failed)) => {
                    note_failed(tally, failed.iter());
                    chosen.clone()
                }
                None => BooleanArray::new(BooleanBuffer::new_set(batch.num_rows()), None),
            };
            tally.rows += chosen.true_count() as u64;
            let wrong = match &test.kind {
                TestKind::Wrong(expression) => {
                    let (wrong, failed) = truth(expression, batch);
                    note_failed(tally, failed.iter().filter(|(row, _)| chosen.value(*row)));
                    and(&wrong, &chosen).map_err(trouble)?
                }
                TestKind::Member(member) => lacking(member, batch, &chosen, &self.sets)?,
                TestKind::Unique { columns, blank, .. } => {
                    let (columns, chosen) = compared(columns, *blank, batch, &chosen)?;
                    if let Some(Some(hasher)) = self.hashers.get_mut(at) {
                        let hashes = hasher.hash(&columns, &chosen)?;
                        self.held += hashes.len();
                        if let Some(own) = self.hashes.get_mut(at) {
                            own.extend(hashes);
                        }
                    }
                    continue;
                }
                TestKind::Cycle { key, parent } => {
                    if let Some(edges) = self.edges.get_mut(at) {
                        let before = edges.len();
                        super::cycles::gather(batch, key, parent, &chosen, edges)?;
                        self.held += edges.len() - before;
                    }
                    continue;
                }
            };
            let Some(planned) = plan.parts.get(test.part) else { continue };
            if let Some(more) = broken(test.part, planned, tally, batch, &test.key, test.shown.as_deref(), &wrong)? {
                self.held += more.rows.num_rows();
                self.broken.push(more);
            }
        }
        if self.held > HELD { self.hand_on() } else { Ok(()) }
    }

    fn refuse(&mut self, refused: &[RefusedRow]) {
        self.refused += refused.len() as u64;
    }

    fn finish(&mut self) -> Result<(), Error> {
        self.hand_on()?;
        // Readers of other ranges go on for long; what this one gathered in is not needed any more.
        self.hashes.iter_mut().for_each(Vec::shrink_to_fit);
        self.hashers.clear();
        Ok(())
    }
}

fn trouble(error: arrow::error::ArrowError) -> Error {
    Error::failed("conditions cannot be combined").caused_by(error)
}

fn note_failed<'a>(tally: &mut Tally, failed: impl Iterator<Item = &'a (usize, String)>) {
    for (_, why) in failed {
        tally.failed += 1;
        if tally.failed_why.is_empty() {
            tally.failed_why.clone_from(why);
        }
    }
}

/// Where an expression is true, and the rows in which it cannot be evaluated. Unknown is not true.
pub(super) fn truth(expression: &Expression, batch: &RecordBatch) -> (BooleanArray, Vec<(usize, String)>) {
    let mut failed = Vec::new();
    let array = expression.evaluate(batch, &mut failed);
    let Some(truth) = array.as_boolean_opt() else {
        // NULL of no type, in every row.
        return (BooleanArray::new(BooleanBuffer::new_unset(batch.num_rows()), None), failed);
    };
    let known = match truth.nulls() {
        Some(nulls) => BooleanArray::new(truth.values() & nulls.inner(), None),
        None => truth.clone(),
    };
    (known, failed)
}

/// The columns of a unique, and the rows in which they can be compared.
pub(super) fn compared(
    names: &[String],
    blank: bool,
    batch: &RecordBatch,
    chosen: &BooleanArray,
) -> Result<(Vec<ArrayRef>, BooleanArray), Error> {
    let columns = names.iter().filter_map(|name| batch.column_by_name(&name.to_lowercase()));
    let columns: Vec<ArrayRef> = columns.map(Arc::clone).collect();
    if blank {
        return Ok((columns, chosen.clone()));
    }
    let mut chosen = chosen.clone();
    for column in &columns {
        if column.null_count() > 0 {
            chosen = and_not(&chosen, &arrow::compute::is_null(column).map_err(trouble)?).map_err(trouble)?;
        }
        if let Some(texts) = column.as_string_opt::<i32>() {
            let filled = |row| texts.is_null(row) || !texts.value(row).trim_matches(' ').is_empty();
            let filled = BooleanArray::new(BooleanBuffer::collect_bool(texts.len(), filled), None);
            chosen = and(&chosen, &filled).map_err(trouble)?;
        }
    }
    Ok((columns, chosen))
}

/// The rows whose value is in none of the sets in which it must be.
fn lacking(member: &Member, batch: &RecordBatch, chosen: &BooleanArray, sets: &[Set]) -> Result<BooleanArray, Error> {
    let Some(column) = batch.column_by_name(&member.column.to_lowercase()) else { return Ok(chosen.clone()) };
    let cells = Cells::of(column)?;
    let any = |of: &[usize], row: usize| of.iter().filter_map(|at| sets.get(*at)).any(|set| set.has(&cells, row));
    let wrong = |row: usize| {
        if !chosen.value(row) {
            return false;
        }
        if cells.is_null(row) {
            return member.null_refused;
        }
        if member.none.as_ref().is_some_and(|none| cells.is(row, none)) {
            return member.null_refused;
        }
        !any(&member.found_in, row) && (member.but_only_of.is_empty() || any(&member.but_only_of, row))
    };
    Ok(BooleanArray::new(BooleanBuffer::collect_bool(batch.num_rows(), wrong), None))
}

/// Gathers sets of values from one reading of a table.
pub(super) struct SetReader {
    /// Which of the plan's sets, and what is in them.
    pub(super) sets: Vec<(usize, Set)>,
    /// For each: the column, and the condition over the reading's columns.
    of: Arc<Vec<(String, Option<Expression>)>>,
    pub(super) failed: u64,
    pub(super) refused: u64,
}

impl SetReader {
    pub(super) fn new(sets: Vec<(usize, bool)>, of: &Arc<Vec<(String, Option<Expression>)>>) -> Self {
        let sets = sets.into_iter().map(|(at, folded)| (at, Set::new(folded))).collect();
        SetReader { sets, of: Arc::clone(of), failed: 0, refused: 0 }
    }
}

impl Reader for SetReader {
    fn take(&mut self, batch: &RecordBatch) -> Result<(), Error> {
        for ((_, set), (column, condition)) in self.sets.iter_mut().zip(self.of.iter()) {
            let chosen = condition.as_ref().map(|condition| truth(condition, batch));
            self.failed += chosen.as_ref().map_or(0, |(_, failed)| failed.len() as u64);
            if let Some(column) = batch.column_by_name(&column.to_lowercase()) {
                set.add(column, chosen.as_ref().map(|(chosen, _)| chosen))?;
            }
        }
        Ok(())
    }

    fn refuse(&mut self, refused: &[RefusedRow]) {
        self.refused += refused.len() as u64;
    }
}

/// Finds the rows whose hashes turned out to be repeated, or which lie on circles, by a second reading.
pub(super) struct AgainReader {
    plan: Arc<Plan>,
    scan: usize,
    wanted: Arc<Vec<(usize, HashSet<u128>)>>,
    hashers: Vec<Option<Hasher>>,
    outlet: Arc<Outlet>,
    /// By place in `wanted`.
    pub(super) tallies: Vec<Tally>,
}

impl AgainReader {
    pub(super) fn new(
        plan: &Arc<Plan>,
        scan: usize,
        wanted: &Arc<Vec<(usize, HashSet<u128>)>>,
        outlet: Arc<Outlet>,
    ) -> Result<Self, Error> {
        let hasher = |(at, _): &(usize, HashSet<u128>)| match plan
            .scans
            .get(scan)
            .map(|s| (s, s.tests.get(*at).map(|t| &t.kind)))
        {
            Some((scan, Some(TestKind::Unique { columns, spelling, .. }))) => {
                hasher(scan, columns, *spelling).map(Some)
            }
            _ => Ok(None),
        };
        Ok(AgainReader {
            hashers: wanted.iter().map(hasher).collect::<Result<_, _>>()?,
            tallies: wanted.iter().map(|_| Tally::default()).collect(),
            plan: Arc::clone(plan),
            scan,
            wanted: Arc::clone(wanted),
            outlet,
        })
    }
}

impl Reader for AgainReader {
    fn take(&mut self, batch: &RecordBatch) -> Result<(), Error> {
        let plan = Arc::clone(&self.plan);
        let Some(scan) = plan.scans.get(self.scan) else { return Ok(()) };
        let mut out = Vec::new();
        for (nth, (at, wanted)) in self.wanted.iter().enumerate() {
            let (Some(test), Some(tally)) = (scan.tests.get(*at), self.tallies.get_mut(nth)) else { continue };
            let chosen = match test.condition.and_then(|at| scan.conditions.get(at)) {
                Some((_, condition)) => truth(condition, batch).0,
                None => BooleanArray::new(BooleanBuffer::new_set(batch.num_rows()), None),
            };
            let wrong: Vec<bool> = match (&test.kind, self.hashers.get_mut(nth)) {
                (TestKind::Unique { columns, blank, .. }, Some(Some(hasher))) => {
                    let (columns, chosen) = compared(columns, *blank, batch, &chosen)?;
                    let mut hashes = hasher.hash(&columns, &chosen)?.into_iter();
                    chosen
                        .values()
                        .iter()
                        .map(|is| is && hashes.next().is_some_and(|(alike, _)| wanted.contains(&alike)))
                        .collect()
                }
                (TestKind::Cycle { key, .. }, _) => super::cycles::on_circle(batch, key, &chosen, wanted)?,
                _ => continue,
            };
            let Some(planned) = plan.parts.get(test.part) else { continue };
            let wrong = BooleanArray::from(wrong);
            out.extend(broken(test.part, planned, tally, batch, &test.key, test.shown.as_deref(), &wrong)?);
        }
        self.outlet.emitter.take(&out)
    }
}
