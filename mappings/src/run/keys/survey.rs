//! The survey: which keys and uniques hold as they are. Nothing is changed but statistics, and unique indexes come back where
//! they can; so it goes on at several connections, a large table is read once for many keys, and only what does not hold
//! is looked at row by row.

use std::collections::{BTreeMap, BTreeSet};

use imis_databases::Error;
use imis_databases::postgres::describe_error;
use imis_schemas::{Engine, TableName};
use tokio_postgres::SimpleQueryMessage;

use super::{Held, all, changes, filled_last, is_of};
use crate::bind::{BoundKey, BoundMapping, BoundRepeated, BoundRule, BoundStep, BoundUnique};
use crate::run::finish::gather_statistics;
use crate::run::lanes::{Hold, at_once};
use crate::run::postgres::PostgresTarget;
use crate::run::target::tables_of;
use crate::run::{Stage, put_back};

const PG: Engine = Engine::Postgres;
/// How many questions about small tables go into one statement.
const TOGETHER: usize = 25;
/// From so many rows on a table is read once for several keys.
const LARGE: f32 = 10_000.0;
/// These name rows of tables with so many at most: each of them becomes a hash table in memory.
const LOOKED_UP: f32 = 100_000.0;

/// A statement that answers questions: for each a place in the list of what must hold, and SQL that is true where it does not.
#[derive(Debug, Default)]
struct Statement {
    asked: Vec<(usize, String)>,
    from: String,
}

impl Statement {
    fn sql(&self) -> String {
        let asked: Vec<&str> = self.asked.iter().map(|(_, sql)| sql.as_str()).collect();
        // The memory is for the hash tables; a table that does not fit would be read for each row anew. Compiling many small
        // questions takes longer than answering them.
        let settings = "SET LOCAL work_mem = '64MB'; SET LOCAL jit = off";
        // The number makes the session one that is seen to be at work, should its run be killed.
        format!("BEGIN READ ONLY; {settings}; SELECT txid_current(); SELECT {}{}; COMMIT", asked.join(", "), self.from)
    }
}

/// The places of what holds as it is, in the list of all that must. What is not among them may hold all the same.
pub(super) async fn survey(
    target: &PostgresTarget,
    mapping: &BoundMapping,
    stage: Stage,
) -> Result<BTreeSet<usize>, Error> {
    let held = all(mapping);
    if stage != Stage::Last {
        put_back::uniques(target, |table, columns| stays(mapping, &held, table, columns)).await?;
    }
    if !held.iter().any(|one| is_of(mapping, *one, stage)) {
        return Ok(BTreeSet::new());
    }
    let tables = tables_of(mapping).into_iter().filter(|table| stage != Stage::Last || filled_last(mapping, table));
    // A table without statistics makes the planner join a million rows by nested loops.
    gather_statistics(target, tables.map(|table| table.table_name()).collect()).await?;

    let indexed: BTreeSet<(TableName, Vec<String>)> =
        put_back::held(target).await?.into_iter().map(|(table, columns)| (table, sorted(&columns))).collect();
    let sizes = sizes(target, mapping).await?;
    let size = |table: &TableName| sizes.get(table).copied().unwrap_or(0.0);
    let mut sound = BTreeSet::new();
    let mut small: Vec<(usize, String)> = Vec::new();
    let mut statements: Vec<Statement> = Vec::new();
    let mut read_once: BTreeMap<TableName, Vec<(usize, String)>> = BTreeMap::new();
    for (at, one) in held.iter().enumerate().filter(|(_, one)| is_of(mapping, **one, stage)) {
        let (largest, asked) = match named(mapping, *one) {
            None => continue,
            Some((_, Named::Unique(unique))) if matches!(unique.repeated, BoundRepeated::Keep) => {
                sound.insert(at);
                continue;
            }
            Some((rule, Named::Unique(unique))) => {
                let table = rule.target.table_name();
                if unique.filter.is_none() && indexed.contains(&(table.clone(), sorted(&unique.columns))) {
                    sound.insert(at);
                    continue;
                }
                (size(&table), (at, repeats(rule, unique)))
            }
            Some((rule, Named::Key(key))) => {
                let (table, other) = (rule.target.table_name(), key.table.table_name());
                let (rows, looked_up) = (size(&table), size(&other));
                if rows >= LARGE && looked_up <= LOOKED_UP && looked_up * 4.0 <= rows {
                    read_once.entry(table).or_default().push((at, dangles_by_row(key)));
                    continue;
                }
                (rows.max(looked_up), (at, dangles(rule, key)))
            }
        };
        match largest >= LARGE {
            true => statements.push(Statement { asked: vec![asked], from: String::new() }),
            false => small.push(asked),
        }
    }
    let read_once = read_once.into_iter();
    statements.extend(read_once.map(|(table, asked)| Statement { asked, from: format!(" FROM {} t", table.sql(PG)) }));
    statements.extend(small.chunks(TOGETHER).map(|some| Statement { asked: some.to_vec(), from: String::new() }));

    let found = std::sync::Mutex::new(sound);
    let work = statements.into_iter().map(|statement| (Hold::Shared(Vec::new()), statement)).collect();
    at_once(work, target.jobs, |statement| async {
        let holds = ask(target, statement).await?;
        found.lock().unwrap_or_else(std::sync::PoisonError::into_inner).extend(holds);
        Ok(())
    })
    .await?;
    Ok(found.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner))
}

/// The places of what a statement finds to hold.
async fn ask(target: &PostgresTarget, statement: Statement) -> Result<Vec<usize>, Error> {
    let mut connection = target.pool.take().await?;
    connection.spoil();
    let answer = connection.simple_query(&statement.sql()).await;
    let answer = answer.map_err(|e| describe_error(e, "looking which keys hold"))?;
    connection.heal(&target.pool);
    let row = answer.iter().rev().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => Some(row),
        _ => None,
    });
    let Some(row) = row else { return Ok(Vec::new()) };
    let asked = statement.asked.iter().enumerate();
    Ok(asked.filter(|(column, _)| row.try_get(*column).ok().flatten() == Some("f")).map(|(_, (at, _))| *at).collect())
}

enum Named<'a> {
    Unique(&'a BoundUnique),
    Key(&'a BoundKey),
}

/// A unique or a key with its rule; a repair is carried out to be known.
fn named(mapping: &BoundMapping, one: Held) -> Option<(&BoundRule, Named<'_>)> {
    match one {
        Held::Repair(_) => None,
        Held::Unique(rule, at) => {
            let rule = mapping.rules.get(rule)?;
            Some((rule, Named::Unique(rule.uniques.get(at)?)))
        }
        Held::Key(rule, at) => {
            let rule = mapping.rules.get(rule)?;
            Some((rule, Named::Key(rule.keys.get(at)?)))
        }
    }
}

/// Whether values stand more than once.
fn repeats(rule: &BoundRule, unique: &BoundUnique) -> String {
    format!(
        "(SELECT count(*) FROM (SELECT FROM {} WHERE {} GROUP BY {} HAVING count(*) > 1) x) > 0",
        rule.target.table_name().sql(PG),
        unique.conditions(),
        unique.sql.join(", ")
    )
}

/// Whether a value names nothing, by a join. (EXISTS would be planned for its first row, and there is none.)
fn dangles(rule: &BoundRule, key: &BoundKey) -> String {
    format!(
        "(SELECT count(*) FROM {} t WHERE t.{own} IS NOT NULL AND NOT EXISTS (SELECT FROM {} r WHERE r.{} = t.{own})) > 0",
        rule.target.table_name().sql(PG),
        key.table.table_name().sql(PG),
        PG.quote(&key.referenced),
        own = PG.quote(&key.column)
    )
}

/// The same while the table is read anyway.
fn dangles_by_row(key: &BoundKey) -> String {
    let referenced = PG.quote(&key.referenced);
    format!(
        "coalesce(bool_or(t.{} NOT IN (SELECT r.{referenced} FROM {} r WHERE r.{referenced} IS NOT NULL)), false)",
        PG.quote(&key.column),
        key.table.table_name().sql(PG)
    )
}

/// Whether nothing that must hold, but the unique itself, can change values of its columns, and no rows come in later: then its
/// index stands in nobody's way.
fn stays(mapping: &BoundMapping, held: &[Held], table: &TableName, columns: &[String]) -> bool {
    let mut rules = mapping.rules.iter().filter(|rule| rule.target.table_name() == *table);
    let Some(rule) = rules.next() else { return false };
    let changes_them = |one: &Held| {
        let (of, column) = changes(mapping, *one);
        if of.is_none_or(|of| of.table_name() != *table) {
            return false;
        }
        let changed = match named(mapping, *one) {
            Some((_, Named::Key(key))) => {
                let only_rejects = key.steps.iter().all(|step| matches!(step, BoundStep::Reject | BoundStep::Keep));
                column.filter(|_| !only_rejects)
            }
            Some((_, Named::Unique(unique))) => match &unique.repeated {
                _ if unique.filter.is_none() && sorted(&unique.columns) == sorted(columns) => None,
                BoundRepeated::Value(worked, _) => worked.fit.as_ref().map(|fit| fit.column().name.as_str()),
                BoundRepeated::Repair(at) => mapping.repairs.get(*at).map(|repair| repair.column.as_str()),
                BoundRepeated::Reject | BoundRepeated::Keep => None,
            },
            None => column,
        };
        // A computed column changes with others.
        let is_computed = |own: &String| rule.target.column(own).is_none_or(|column| column.computed.is_some());
        changed.is_some_and(|changed| columns.iter().any(|own| own == changed || is_computed(own)))
    };
    !filled_last(mapping, &rule.target) && !held.iter().any(changes_them)
}

/// How many rows the tables of a mapping and those that its keys name have, as the statistics say.
async fn sizes(target: &PostgresTarget, mapping: &BoundMapping) -> Result<BTreeMap<TableName, f32>, Error> {
    let mut tables: BTreeSet<TableName> = mapping.rules.iter().map(|rule| rule.target.table_name()).collect();
    tables.extend(mapping.rules.iter().flat_map(|rule| &rule.keys).map(|key| key.table.table_name()));
    let names: Vec<String> = tables.iter().map(|name| name.sql(PG)).collect();
    let rows = target
        .pool
        .take()
        .await?
        .query(
            // A table that nobody has counted has at most a row for so many bytes.
            "SELECT t.place, CASE WHEN c.reltuples > 0 THEN c.reltuples ELSE pg_relation_size(c.oid) / 30 END::real \
             FROM unnest($1::text[]) WITH ORDINALITY t (name, place) \
             JOIN pg_class c ON c.oid = to_regclass(t.name)",
            &[&names],
        )
        .await
        .map_err(|e| describe_error(e, "looking how large the tables are"))?;
    let sizes: BTreeMap<i64, f32> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
    Ok((1..).zip(tables).filter_map(|(place, table)| Some((table, *sizes.get(&place)?))).collect())
}

fn sorted(columns: &[String]) -> Vec<String> {
    let mut columns = columns.to_vec();
    columns.sort();
    columns
}
