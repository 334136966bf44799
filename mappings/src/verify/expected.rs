//! What a mapping says that the target should hold: the rows of its rules, made anew from the source.
//!
//! Queries of a mapping may read the target as it was when they ran. What they read here is not the target, but what the rules before
//! them should have put there.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::record_batch::RecordBatch;
use futures::StreamExt;
use imis_databases::{Chunk, ChunkStream, Error, Source};
use imis_schemas::{Catalog, Engine, Table};

use super::canonical::Kind;
use super::form::{Compared, Form, Identity};
use super::outcome::LeftOut;
use super::pile::Record;
use super::recorded::Recorded;
use super::side::{RulePart, RulesSide, Side, TableSide};
use crate::bind::{BoundMapping, BoundRule, RowWay, Way};
use crate::expression::trouble;
use crate::language::Existing;
use crate::rows::{NoRows, OrEmpty, Rows, SourceRows, register};
use crate::run::{PostgresTarget, Target};

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

/// What becomes of the rows that a table had: the first of its rules that says something.
pub(crate) fn policy(mapping: &BoundMapping, table: &Table) -> Existing {
    let mut said = rules_of(mapping, table).map(|(_, rule)| &rule.existing);
    said.find(|existing| **existing != Existing::Refuse).cloned().unwrap_or_default()
}

/// The form in which a target table is compared, and the columns that cannot be.
pub(crate) fn form(mapping: &BoundMapping, table: &Table) -> (Form, Vec<LeftOut>) {
    let ways: Vec<&RowWay> = rules_of(mapping, table).filter_map(|(_, rule)| way(rule)).collect();
    let mut left_out = Vec::new();
    let mut columns = Vec::new();
    for column in &table.columns {
        let data_type = column.data_type(Engine::Postgres);
        let given = |way: &&RowWay| way.columns.iter().any(|(_, fit)| fit.column().name == column.name);
        let why = match (ways.iter().all(given) && !ways.is_empty(), column.computed.is_some()) {
            (_, true) => Some("the server computes it"),
            (false, _) if column.identity || column.default.is_some() => {
                Some("the mapping leaves it to the server's default")
            }
            _ => None,
        };
        match why {
            Some(why) => left_out.push(LeftOut { column: column.name.clone(), why: why.to_owned() }),
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
    rules_of(mapping, table)
        .filter_map(|(at, rule)| {
            let way = way(rule)?;
            let place = |name: &str| way.columns.iter().position(|(_, fit)| fit.column().name == name);
            let take = form.columns.iter().map(|column| place(&column.name)).collect();
            match &rule.way {
                // A query that has not been run yet has no rows so far.
                Way::Query(_) => Some(RulePart { rule: at, take, made: Some(Arc::clone(made.get(&at)?)) }),
                _ => Some(RulePart { rule: at, take, made: None }),
            }
        })
        .collect()
}

/// The target as the rules so far should have made it.
struct ExpectedRows {
    mapping: Arc<BoundMapping>,
    catalog: Arc<Catalog>,
    source: Arc<dyn Source>,
    target: Arc<dyn Source>,
    recorded: Arc<Recorded>,
    made: Made,
    max_cell: usize,
}

impl ExpectedRows {
    fn image(&self, table: &Table, form: &Form) -> Option<Side> {
        let image = self.recorded.images.get(&table.name)?;
        let by_rows = rules_of(&self.mapping, table).any(|(_, rule)| matches!(rule.way, Way::Rows(_)));
        (by_rows && matches!(policy(&self.mapping, table), Existing::Keep { .. } | Existing::Merge { .. }))
            .then(|| image_side(&self.target, table, image, form, self.max_cell))
    }
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
    })
}

impl Rows for ExpectedRows {
    fn engine(&self) -> Engine {
        Engine::Postgres
    }
    fn table(&self, name: &str) -> Option<Arc<Table>> {
        self.catalog.table(name).map(|t| Arc::new(t.clone()))
    }
    fn names(&self) -> Vec<String> {
        self.catalog.tables.iter().map(|t| t.name.clone()).collect()
    }
    fn read(&self, table: Arc<Table>, columns: Vec<String>) -> ChunkStream {
        if rules_of(&self.mapping, &table).next().is_none() {
            return self.target.read(imis_databases::ReadRequest::all(table).columns(columns));
        }
        let policy = policy(&self.mapping, &table);
        let by = match &policy {
            Existing::Keep { by } | Existing::Merge { by, .. } if !by.is_empty() => by.clone(),
            _ => table.key_columns().to_vec(),
        };
        // Besides what is asked for, the columns by which rows of the target are told from those of the source.
        let more = by.iter().filter(|name| !columns.iter().any(|c| imis_schemas::same_name(c, name)));
        let names: Vec<String> = columns.iter().chain(more).cloned().collect();
        let compared = names.iter().filter_map(|name| {
            let column = table.column(name)?;
            let data_type = column.data_type(Engine::Postgres);
            Some(Compared { name: column.name.clone(), kind: Kind::of(&data_type), arrow: data_type.arrow() })
        });
        let compared: Vec<Compared> = compared.collect();
        let place = |name: &String| compared.iter().position(|c| imis_schemas::same_name(&c.name, name));
        let identity = Identity::Hashed(by.iter().filter_map(place).collect());
        let form = Arc::new(Form { table: table.table_name().to_string(), columns: compared, identity });
        let rules = Side::Rules(RulesSide {
            mapping: Arc::clone(&self.mapping),
            source: Arc::clone(&self.source),
            parts: parts(&self.mapping, &table, &form, &self.made),
            split: None,
            max_cell: self.max_cell,
        });
        let wanted: Vec<usize> = (0..columns.len()).collect();
        let whole = imis_databases::KeyRange::whole();
        let narrow = move |batch: &RecordBatch| {
            let chunk = batch.project(&wanted).map(Chunk::from);
            chunk.map_err(|e| Error::failed("rows that should be there cannot be made").caused_by(e))
        };
        match self.image(&table, &form) {
            None => Box::pin(rules.sheets(&whole, &form).map(move |sheet| narrow(&sheet?.batch))),
            Some(image) => {
                let keeps = matches!(policy, Existing::Keep { .. });
                Box::pin(async_settled(rules, image, form, keeps).map(move |batch| narrow(&batch?)))
            }
        }
    }
}

/// The rows of rules and of the target itself, where the target's own stay: all of them, one of each key.
fn async_settled(
    rules: Side,
    image: Side,
    form: Arc<Form>,
    keeps: bool,
) -> impl futures::Stream<Item = Result<RecordBatch, Error>> + Send {
    let whole = imis_databases::KeyRange::whole();
    let gather = async move {
        let mut seen = std::collections::HashSet::new();
        let mut batches = Vec::new();
        let order = if keeps { [image, rules] } else { [rules, image] };
        for (at, side) in order.iter().enumerate() {
            let mut sheets = side.sheets(&whole, &form);
            let mut of_this = Vec::new();
            while let Some(sheet) = sheets.next().await {
                let sheet = sheet?;
                let mut kept = Vec::new();
                form.records(&sheet.batch, |_, Record { id, .. }| {
                    kept.push(at == 0 || !seen.contains(&id));
                    of_this.push(id);
                    Ok(())
                })?;
                let kept = arrow::array::BooleanArray::from(kept);
                let batch = arrow::compute::filter_record_batch(&sheet.batch, &kept);
                batches.push(batch.map_err(|e| Error::failed("rows cannot be told apart").caused_by(e))?);
            }
            seen.extend(of_this);
        }
        Ok::<_, Error>(batches)
    };
    futures::stream::once(gather).flat_map(|batches| {
        futures::stream::iter(match batches {
            Ok(batches) => batches.into_iter().map(Ok).collect::<Vec<_>>(),
            Err(error) => vec![Err(error)],
        })
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
    let context = &mapping.context;
    let source = SourceRows { source: Arc::clone(from.0), catalog: Arc::clone(from.1) };
    register(context, "source", Arc::new(OrEmpty::new(Arc::new(source), mapping.fallback.clone())));
    let before: Arc<dyn Rows> = match (&recorded.address, &recorded.run) {
        (Some(address), Some(run)) => PostgresTarget::new(address, Arc::clone(to.1), run.clone()).rows_before().await?,
        _ => Arc::new(NoRows(Catalog::clone(to.1))),
    };
    register(context, "before", before);
    let mut made = Made::new();
    for (at, rule) in mapping.rules.iter().enumerate() {
        let Way::Query(way) = &rule.way else { continue };
        let expected = ExpectedRows {
            mapping: Arc::clone(mapping),
            catalog: Arc::clone(to.1),
            source: Arc::clone(from.0),
            target: Arc::clone(to.0),
            recorded: Arc::clone(recorded),
            made: made.clone(),
            max_cell,
        };
        register(context, "target", Arc::new(expected));
        let failed = |e: datafusion::common::DataFusionError| {
            let what = match trouble(&e) {
                crate::expression::ExpressionError::Wrong(text) => text,
                crate::expression::ExpressionError::UnknownColumn(name) => format!("no column {name}"),
            };
            Error::failed(format!("the query of rule {} failed: {what}", rule.name))
        };
        let plan = context.state().create_logical_plan(&way.sql).await.map_err(failed)?;
        let frame = context.execute_logical_plan(plan).await.map_err(failed)?;
        made.insert(at, Arc::new(frame.collect().await.map_err(failed)?));
    }
    // The mapping holds the context and the context would go on holding the mapping.
    register(context, "target", Arc::new(NoRows(Catalog::clone(to.1))));
    Ok(made)
}
