//! Keys, uniques and repairs, in PostgreSQL: first a survey at several connections says which of them hold as they are. The
//! others are held in one transaction, each by a statement over the whole table: what is broken is laid out and mended or rejected
//! as the mapping says, and whatever that may have broken is looked at again, until nothing is.

mod bench;
mod check;
mod effect;
mod reject;
mod repair;
mod spool;
mod step;
mod survey;
mod unique;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use imis_databases::postgres::describe_error;
use imis_databases::{Error, ErrorKind};
use imis_schemas::{Table, same_name};

use self::bench::Bench;
use self::step::Done;
use super::failpoint::reached;
use super::postgres::PostgresTarget;
use super::state::{self, Phase};
use super::{OnReject, Stage};
use crate::bind::BoundMapping;
use imis_databases::query::tables::{NoRows, register};

pub(super) use check::check_by_query;
pub(super) use effect::{Effects, add as add_effects};

/// How often one thing may change values. More than that, and two repairs undo each other.
const TURNS: u32 = 100;

/// Something that must hold: places in the mapping's lists.
#[derive(Clone, Copy, Debug)]
enum Held {
    Repair(usize),
    Unique(usize, usize),
    Key(usize, usize),
}

/// Holds every key, unique and repair of a stage, unless an earlier try of the run did.
pub(super) async fn hold(
    target: &PostgresTarget,
    mapping: &BoundMapping,
    stage: Stage,
    on_reject: OnReject,
) -> Result<(), Error> {
    let phase = if stage == Stage::Last { Phase::Completed } else { Phase::Keyed };
    if state::phase(&*target.pool.take().await?, &target.run).await? >= Some(phase) {
        return Ok(());
    }
    let sound = survey::survey(target, mapping, stage).await?;
    let mut connection = target.pool.take().await?;
    // The transaction outlives the statements of this thread: queries read in it from tasks of their own.
    connection.spoil();
    let doing = |e| describe_error(e, "holding keys");
    connection.batch_execute("BEGIN").await.map_err(doing)?;
    reached("keys-begun");
    if state::hold_phase(&*connection, &target.run).await? >= Some(phase) {
        connection.batch_execute("ROLLBACK").await.map_err(doing)?;
        connection.heal(&target.pool);
        return Ok(());
    }
    let earlier = effect::read(&*connection, &target.run).await?;
    let mut bench = Bench {
        connection: Arc::new(connection),
        run: &target.run,
        mapping,
        catalog: Arc::clone(&target.catalog),
        effects: earlier,
        turn: Arc::default(),
    };
    let held = match bench.settle(stage, &sound, on_reject).await {
        Ok(()) => commit(&bench, phase).await,
        Err(error) => Err(error),
    };
    // No query of later rules reads through this connection.
    register(&mapping.context, "target", Arc::new(NoRows(imis_schemas::Catalog::clone(&target.catalog))));
    if held.is_err() {
        let _ = bench.connection.batch_execute("ROLLBACK").await;
    } else if let Some(mut connection) = Arc::into_inner(bench.connection) {
        // Nobody reads through it any more.
        connection.heal(&target.pool);
    }
    held
}

async fn commit(bench: &Bench<'_>, phase: Phase) -> Result<(), Error> {
    effect::write(&**bench.connection, bench.run, &bench.effects).await?;
    state::set_phase(&**bench.connection, bench.run, phase).await?;
    reached("keys-noted");
    bench.batch("COMMIT", "holding keys").await?;
    reached("keys-committed");
    Ok(())
}

/// What holding the keys did, by rule.
pub(super) async fn effects(target: &PostgresTarget) -> Result<Effects, Error> {
    effect::read(&*target.pool.take().await?, &target.run).await
}

impl Bench<'_> {
    /// Holds what was not found to be `sound`, and whatever that may have broken.
    async fn settle(&mut self, stage: Stage, sound: &BTreeSet<usize>, on_reject: OnReject) -> Result<(), Error> {
        let mapping = self.mapping;
        let before = self.effects.values().map(|effect| effect.rejected).sum::<u64>();
        self.remember_rejects().await?;
        let held = all(mapping);
        let mut open: BTreeSet<usize> = (0..held.len())
            .filter(|at| !sound.contains(at) && held.get(*at).is_some_and(|one| is_of(mapping, *one, stage)))
            .collect();
        let mut turns: BTreeMap<usize, u32> = BTreeMap::new();
        while let Some(at) = open.pop_first() {
            let Some(one) = held.get(at).copied() else { continue };
            let done = self.hold_one(one).await?;
            reached("keys-held");
            let (table, column) = changes(mapping, one);
            let (Some(table), true) = (table, done != Done::default()) else { continue };
            if done.changed > 0 {
                let turn = turns.entry(at).or_default();
                *turn += 1;
                if *turn > TURNS {
                    return Err(Error::failed(format!(
                        "the repairs of {} undo each other again and again",
                        table.name
                    ))
                    .with_help("Look at the rules that change it; each must leave alone what another one gives."));
                }
            }
            for (other, looked_at) in held.iter().enumerate() {
                let itself = other == at;
                if (done.rejected > 0 && needs_rows_of(mapping, *looked_at, table))
                    || (done.changed > 0 && !itself && needs_values_of(mapping, *looked_at, table, column))
                {
                    open.insert(other);
                }
            }
        }
        let lost = self.effects.values().map(|effect| effect.rejected).sum::<u64>() - before;
        if lost > 0 && on_reject == OnReject::Stop {
            return Err(self.stopped(lost));
        }
        Ok(())
    }

    async fn hold_one(&mut self, one: Held) -> Result<Done, Error> {
        let mapping = self.mapping;
        match one {
            Held::Repair(at) => match mapping.repairs.get(at) {
                Some(repair) => {
                    let rule = mapping.rules.iter().find(|rule| rule.target.table_name() == repair.table.table_name());
                    let rule = rule.map_or(&repair.rule, |rule| &rule.name);
                    self.carry_out(rule, repair).await
                }
                None => Ok(Done::default()),
            },
            Held::Unique(rule, at) => match mapping.rules.get(rule).and_then(|r| Some((r, r.uniques.get(at)?))) {
                Some((rule, unique)) => self.hold_unique(rule, unique).await,
                None => Ok(Done::default()),
            },
            Held::Key(rule, at) => match mapping.rules.get(rule).and_then(|r| Some((r, r.keys.get(at)?))) {
                Some((rule, key)) => self.hold_key(rule, key).await,
                None => Ok(Done::default()),
            },
        }
    }

    fn stopped(&self, lost: u64) -> Error {
        let by_rule = self.effects.iter().filter(|(_, effect)| effect.rejected > 0);
        let by_rule = by_rule.map(|(rule, effect)| format!("{rule} {}", effect.rejected));
        Error::new(
            ErrorKind::Data,
            format!(
                "{lost} rows name rows that are not there, or repeat what must be unique, and would be rejected \
                 (by rule: {})",
                by_rule.collect::<Vec<_>>().join(", ")
            ),
        )
        .with_help(
            "Nothing of this was changed. Go on with --resume --on-reject continue, which keeps such rows aside \
             with their reason, or take the run back with --undo and mend the source.",
        )
    }
}

/// Everything that must hold: repairs first, then uniques, then keys, in the order of the mapping.
fn all(mapping: &BoundMapping) -> Vec<Held> {
    let repairs = mapping.repairs.iter().enumerate().filter(|(_, r)| r.standing).map(|(at, _)| Held::Repair(at));
    let rules = || mapping.rules.iter().enumerate();
    let uniques = rules().flat_map(|(rule, r)| (0..r.uniques.len()).map(move |at| Held::Unique(rule, at)));
    let keys = rules().flat_map(|(rule, r)| {
        r.keys.iter().enumerate().filter(|(_, key)| !key.is_kept()).map(move |(at, _)| Held::Key(rule, at))
    });
    repairs.chain(uniques).chain(keys).collect()
}

/// Whether a rule that waits for the keys fills the table.
pub(crate) fn filled_last(mapping: &BoundMapping, table: &Table) -> bool {
    mapping.rules.iter().any(|rule| rule.after_keys && rule.target.table_name() == table.table_name())
}

/// Whether something is looked at in a stage without being asked: first all but what belongs to rules that wait, then their
/// keys, and whatever else their tables must keep.
fn is_of(mapping: &BoundMapping, one: Held, stage: Stage) -> bool {
    let waits = |rule: usize| mapping.rules.get(rule).is_some_and(|rule| rule.after_keys);
    let (table, _) = changes(mapping, one);
    let last = table.is_some_and(|table| filled_last(mapping, table));
    match (one, stage) {
        (Held::Key(rule, _), Stage::Last) => waits(rule),
        (Held::Repair(_) | Held::Unique(..), Stage::Last) => last,
        (Held::Key(rule, _) | Held::Unique(rule, _), _) => !waits(rule),
        (Held::Repair(_), _) => true,
    }
}

/// The table, and the column where there is one, in which holding something may change values or take rows away.
fn changes(mapping: &BoundMapping, one: Held) -> (Option<&Table>, Option<&str>) {
    match one {
        Held::Repair(at) => {
            let repair = mapping.repairs.get(at);
            (repair.map(|r| r.table.as_ref()), repair.map(|r| r.column.as_str()))
        }
        // Which of its columns takes a value is the unique's own business: all are looked at.
        Held::Unique(rule, _) => (mapping.rules.get(rule).map(|r| r.target.as_ref()), None),
        Held::Key(rule, at) => {
            let rule = mapping.rules.get(rule);
            (rule.map(|r| r.target.as_ref()), rule.and_then(|r| r.keys.get(at)).map(|key| key.column.as_str()))
        }
    }
}

/// Whether something may be broken when rows of a table go.
fn needs_rows_of(mapping: &BoundMapping, one: Held, table: &Table) -> bool {
    match one {
        Held::Key(rule, at) => mapping
            .rules
            .get(rule)
            .and_then(|r| r.keys.get(at))
            .is_some_and(|key| key.table.table_name() == table.table_name()),
        Held::Repair(at) => reads(mapping, at, table),
        Held::Unique(..) => false,
    }
}

/// Whether something may be broken when values of a table's column change.
fn needs_values_of(mapping: &BoundMapping, one: Held, table: &Table, column: Option<&str>) -> bool {
    let is = |own: &Table, name: &str| own.table_name() == table.table_name() && column.is_none_or(|c| c == name);
    match one {
        Held::Key(rule, at) => mapping.rules.get(rule).is_some_and(|r| {
            r.keys.get(at).is_some_and(|key| is(&r.target, &key.column) || is(&key.table, &key.referenced))
        }),
        Held::Unique(rule, at) => mapping.rules.get(rule).is_some_and(|r| {
            r.target.table_name() == table.table_name()
                && r.uniques.get(at).is_some_and(|unique| {
                    // An index over expressions or a part of the rows may look at any column, and so does a computed one.
                    let is_plain = |c: &String| r.target.column(c).is_some_and(|column| column.computed.is_none());
                    unique.filter.is_some() || unique.columns.iter().any(|c| is(&r.target, c) || !is_plain(c))
                })
        }),
        Held::Repair(at) => reads(mapping, at, table),
    }
}

fn reads(mapping: &BoundMapping, repair: usize, table: &Table) -> bool {
    mapping.repairs.get(repair).is_some_and(|repair| repair.reads.iter().any(|name| same_name(name, &table.name)))
}
