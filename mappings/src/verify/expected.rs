//! What a mapping says that the target should hold: the rows of its rules, made anew from the source.
//!
//! Queries of a mapping may read the target as it was when they ran. What they read here is not the target, but what the rules before
//! them should have put there.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::record_batch::RecordBatch;
use imis_databases::{Error, Source};
use imis_schemas::{Catalog, Engine, Table};

use super::canonical::Kind;
use super::form::{Compared, Form, Identity};
use super::outcome::LeftOut;
use super::recorded::Recorded;
use super::side::{RulePart, Side, TableSide};
use super::target::ExpectedRows;
use crate::bind::{BoundMapping, BoundRule, RowWay, Way};
use crate::language::Existing;
use crate::run::{PostgresTarget, Target};
use imis_databases::query::expression::query_failed;
use imis_databases::query::tables::{NoRows, OrEmpty, Rows, SourceRows, register};

/// The results of the mapping's queries, by the place of their rule.
pub(crate) type Made = BTreeMap<usize, Arc<Vec<RecordBatch>>>;

/// How a rule makes its rows, if it makes any.
pub(crate) fn way(rule: &BoundRule) -> Option<&RowWay> {
    match &rule.way {
        Way::Rows(way) => Some(way),
        Way::Query(way) => Some(&way.rows),
        Way::Nothing => None,
    }
}

/// The rules that fill a table, with their places.
pub(crate) fn rules_of<'a>(
    mapping: &'a BoundMapping,
    table: &Table,
) -> impl Iterator<Item = (usize, &'a BoundRule)> + use<'a> {
    let name = table.table_name();
    mapping.rules.iter().enumerate().filter(move |(_, rule)| rule.target.table_name() == name)
}

/// The rules whose rows are compared: all that fill the table, or, where none does, those that set columns of its rows.
pub(crate) fn rules_compared<'a>(mapping: &'a BoundMapping, table: &Table) -> Vec<(usize, &'a BoundRule)> {
    let sets = |rule: &BoundRule| matches!(rule.existing, Existing::Update { .. });
    let all: Vec<_> = rules_of(mapping, table).collect();
    let only_sets = all.iter().all(|(_, rule)| sets(rule));
    all.into_iter().filter(|(_, rule)| only_sets || !sets(rule)).collect()
}

/// The form in which a target table is compared, and the columns that cannot be.
pub(crate) fn form(mapping: &BoundMapping, table: &Table) -> (Form, Vec<LeftOut>) {
    let compared = rules_compared(mapping, table);
    let ways: Vec<(&str, &RowWay)> =
        compared.iter().filter_map(|(_, rule)| Some((rule.name.as_str(), way(rule)?))).collect();
    let sets_only = compared.iter().all(|(_, rule)| matches!(rule.existing, Existing::Update { .. }));
    // Columns that rules set in rows which other rules brought have two values to be held against; they are told, not compared.
    let set_later = |name: &str| {
        rules_of(mapping, table).filter(|(at, _)| !compared.iter().any(|(of, _)| of == at)).any(|(_, rule)| {
            let Existing::Update { by } = &rule.existing else { return false };
            let is_set = way(rule).is_some_and(|w| w.columns.iter().any(|(_, fit)| fit.column().name == name));
            is_set && !by.iter().any(|key| imis_schemas::same_name(key, name))
        })
    };
    let mut left_out = Vec::new();
    let mut columns = Vec::new();
    for column in &table.columns {
        let data_type = column.data_type(Engine::Postgres);
        let gives = |way: &RowWay| way.columns.iter().any(|(_, fit)| fit.column().name == column.name);
        let lacking: Vec<&str> = ways.iter().filter(|(_, way)| !gives(way)).map(|(rule, _)| *rule).collect();
        let by_server = column.identity || column.default.is_some();
        let why = match (lacking.is_empty() && !ways.is_empty(), column.computed.is_some()) {
            (_, true) => Some("the server computes it".to_owned()),
            _ if set_later(&column.name) => Some("a rule sets it in rows that are there".to_owned()),
            (false, _) if sets_only => Some("the mapping does not touch it".to_owned()),
            (false, _) if by_server && lacking.len() == ways.len() => {
                Some("the mapping leaves it to the server's default".to_owned())
            }
            // A row of the target does not say which rule brought it, so there is nothing to hold its default against.
            (false, _) if by_server => {
                let (is, them) = if lacking.len() == 1 { ("rule", "leaves") } else { ("rules", "leave") };
                let lacking = lacking.join(", ");
                Some(format!(
                    "{is} {lacking} {them} it to the server's default, and rows do not say which rule brought them"
                ))
            }
            _ => None,
        };
        match why {
            Some(why) => left_out.push(LeftOut { column: column.name.clone(), why }),
            None => columns.push(Compared {
                name: column.name.clone(),
                kind: Kind::of(&data_type),
                arrow: data_type.arrow(),
            }),
        }
    }
    let identity = identity(table, &columns, Engine::Postgres);
    (Form { table: table.table_name().to_string(), columns, identity }, left_out)
}

/// By what the rows of a table are known, as far as its key is among the columns.
pub(crate) fn identity(table: &Table, columns: &[Compared], engine: Engine) -> Identity {
    let place = |name: &String| columns.iter().position(|c| imis_schemas::same_name(&c.name, name));
    let Some(places) = table.key_columns().iter().map(place).collect::<Option<Vec<_>>>() else {
        return Identity::Content;
    };
    match places.as_slice() {
        [] => Identity::Content,
        [only] if imis_databases::source::range_column(table, engine).is_some() => Identity::Whole(*only),
        _ => Identity::Hashed(places),
    }
}

/// The parts of the rules that fill a table, for a form.
pub(crate) fn parts(mapping: &BoundMapping, table: &Table, form: &Form, made: &Made) -> Vec<RulePart> {
    rules_compared(mapping, table)
        .into_iter()
        .filter_map(|(at, rule)| {
            let way = way(rule)?;
            let place = |name: &str| way.columns.iter().position(|(_, fit)| fit.column().name == name);
            let take = form.columns.iter().map(|column| place(&column.name)).collect();
            match &rule.way {
                // A query that has not been run yet has no rows so far.
                Way::Query(_) => {
                    Some(RulePart { rule: at, take, made: Some(Arc::clone(made.get(&at)?)), counted: None })
                }
                _ => Some(RulePart { rule: at, take, made: None, counted: None }),
            }
        })
        .collect()
}

/// The rows that a table had before the run.
pub(crate) fn image_side(target: &Arc<dyn Source>, table: &Table, image: &str, form: &Form, max_cell: usize) -> Side {
    let kept = Table { schema: "imis_migration".to_owned(), name: image.to_owned(), ..table.clone() };
    Side::Table(TableSide {
        source: Arc::clone(target),
        table: Arc::new(kept),
        columns: form.columns.iter().map(|c| c.name.clone()).collect(),
        split: None,
        max_cell,
        at_most: None,
    })
}

/// Runs the mapping's queries again, in their order, and gives their results.
///
/// # Errors
/// When a query fails, or a server.
pub(crate) async fn queries(
    mapping: &Arc<BoundMapping>,
    from: (&Arc<dyn Source>, &Arc<Catalog>),
    to: (&Arc<dyn Source>, &Arc<Catalog>),
    recorded: &Arc<Recorded>,
    max_cell: usize,
) -> Result<Made, Error> {
    if !mapping.rules.iter().any(|rule| matches!(rule.way, Way::Query(_))) {
        return Ok(Made::new());
    }
    let context = &mapping.context;
    let source = SourceRows { source: Arc::clone(from.0), catalog: Arc::clone(from.1) };
    register(context, "source", Arc::new(OrEmpty::new(Arc::new(source), mapping.fallback.clone())));
    let before: Arc<dyn Rows> = match (&recorded.address, &recorded.run) {
        (Some(address), Some(run)) => {
            let target = PostgresTarget::new(address, Arc::clone(to.1), run.clone());
            target.completing(recorded.completes.as_deref()).rows_before().await?
        }
        _ => Arc::new(NoRows(Catalog::clone(to.1))),
    };
    register(context, "before", before);
    let mut made = Made::new();
    // As in the run: first the rules that do not wait for the keys.
    let rules = || mapping.rules.iter().enumerate();
    for (at, rule) in rules().filter(|(_, r)| !r.after_keys).chain(rules().filter(|(_, r)| r.after_keys)) {
        let Way::Query(way) = &rule.way else { continue };
        let expected = ExpectedRows {
            mapping: Arc::clone(mapping),
            catalog: Arc::clone(to.1),
            there: to.0.catalog().await?,
            source: Arc::clone(from.0),
            target: Arc::clone(to.0),
            recorded: Arc::clone(recorded),
            made: made.clone(),
            after_keys: rule.after_keys,
            max_cell,
        };
        register(context, "target", Arc::new(expected));
        let failed = |e| query_failed(&format!("rule {}", rule.name), &e);
        let plan = context.state().create_logical_plan(&way.sql).await.map_err(failed)?;
        let frame = context.execute_logical_plan(plan).await.map_err(failed)?;
        made.insert(at, Arc::new(frame.collect().await.map_err(failed)?));
    }
    // The mapping holds the context and the context would go on holding the mapping.
    register(context, "target", Arc::new(NoRows(Catalog::clone(to.1))));
    Ok(made)
}
