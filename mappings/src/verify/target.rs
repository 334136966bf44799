//! The target as the queries of a mapping see it while they are run again: not as it is, but as the rules before them should have
//! made it.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::BooleanArray;
use arrow::compute::filter_record_batch;
use arrow::record_batch::RecordBatch;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt, stream};
use imis_databases::{Chunk, ChunkStream, Error, KeyRange, ReadRequest, Source};
use imis_schemas::{Catalog, Engine, Table, same_name};

use super::canonical::{Kind, shown};
use super::expected::{Made, image_side, parts, rules_of};
use super::form::{Compared, Form, Identity};
use super::recorded::{Recorded, flat};
use super::side::{RulesSide, Sheet, Side};
use crate::bind::{BoundMapping, Way};
use crate::functions::cell_text;
use crate::language::Existing;
use crate::run::filled_last;
use imis_databases::query::tables::Rows;

type Batches = BoxStream<'static, Result<RecordBatch, Error>>;

/// The target as the rules so far should have made it.
pub(crate) struct ExpectedRows {
    pub(crate) mapping: Arc<BoundMapping>,
    pub(crate) catalog: Arc<Catalog>,
    /// The tables that are really there: a snapshot may have fewer than the mapping knows.
    pub(crate) there: Arc<Catalog>,
    pub(crate) source: Arc<dyn Source>,
    pub(crate) target: Arc<dyn Source>,
    pub(crate) recorded: Arc<Recorded>,
    pub(crate) made: Made,
    /// Whether the rule that reads waits for the keys.
    pub(crate) after_keys: bool,
    pub(crate) max_cell: usize,
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
            if self.there.table(&table.name).is_none() {
                return Box::pin(stream::empty());
            }
            return self.target.read(ReadRequest::all(table).columns(columns));
        }
        let wanted: Vec<usize> = (0..columns.len()).collect();
        let rows = match self.after_keys {
            false => self.as_loaded(&table, &columns),
            true => self.as_held(&table, &columns),
        };
        Box::pin(rows.map(move |batch| {
            let chunk = batch?.project(&wanted).map(Chunk::from);
            chunk.map_err(|e| Error::failed("rows that should be there cannot be made").caused_by(e))
        }))
    }
}

impl ExpectedRows {
    /// The rows that the rules and the target's own past give a table, with the columns asked for in front.
    fn as_loaded(&self, table: &Arc<Table>, columns: &[String]) -> Batches {
        let policy = self.mapping.existing(table);
        let by = match policy {
            Existing::Keep { by } | Existing::Merge { by, .. } if !by.is_empty() => by.clone(),
            _ => table.key_columns().to_vec(),
        };
        let form = known_by(table, columns, &by);
        let rules = self.rules(table, &form);
        match self.image(table, &form) {
            None => rules.sheets(&KeyRange::whole(), &form, 1).map(|sheet| Ok(sheet?.batch)).boxed(),
            Some(image) => settled(rules, image, form, matches!(policy, Existing::Keep { .. })),
        }
    }

    /// The rows of a table as rules see them that wait for the keys: rejected rows are gone and repaired values are in place.
    ///
    /// They are read from the target, which is held against the source row by row anyway; where rules that wait fill the
    /// table themselves, only the rows that are there before them.
    fn as_held(&self, table: &Arc<Table>, columns: &[String]) -> Batches {
        let form = known_by(table, columns, table.key_columns());
        if form.key().is_empty() && filled_last(&self.mapping, table) {
            return self.as_loaded(table, columns);
        }
        let names = form.columns.iter().map(|c| c.name.clone()).collect();
        let now = self.target.read(ReadRequest::all(Arc::clone(table)).columns(names));
        let whole = Arc::clone(table);
        let now = now.map(move |chunk| chunk?.whole(&whole)).boxed();
        if !filled_last(&self.mapping, table) {
            return now;
        }
        let mut before = self.rules(table, &form).sheets(&KeyRange::whole(), &form, 1);
        let image = self.image(table, &form).map(|image| image.sheets(&KeyRange::whole(), &form, 1));
        let (recorded, mapping, name) = (Arc::clone(&self.recorded), Arc::clone(&self.mapping), table.name.clone());
        let gather = async move {
            let mut there = HashSet::new();
            while let Some(sheet) = before.next().await {
                let sheet = sheet?;
                let rule = sheet.rule.and_then(|at| mapping.rules.get(at)).map_or("", |rule| rule.name.as_str());
                form.records(&sheet.batch, |row, record| {
                    if !is_rejected(&recorded, (rule, &name), &form, &sheet, row) {
                        there.insert(record.id);
                    }
                    Ok(())
                })?;
            }
            if let Some(mut image) = image {
                while let Some(sheet) = image.next().await {
                    form.records(&sheet?.batch, |_, record| {
                        there.insert(record.id);
                        Ok(())
                    })?;
                }
            }
            Ok::<_, Error>(now.map(move |batch| {
                let batch = batch?;
                only(&batch, &form, |id| there.contains(&id))
            }))
        };
        stream::once(gather).try_flatten().boxed()
    }

    fn rules(&self, table: &Arc<Table>, form: &Form) -> Side {
        Side::Rules(RulesSide {
            mapping: Arc::clone(&self.mapping),
            source: Arc::clone(&self.source),
            parts: parts(&self.mapping, table, form, &self.made),
            split: None,
            max_cell: self.max_cell,
        })
    }

    /// The rows that the table had before the run, where they stay.
    fn image(&self, table: &Table, form: &Form) -> Option<Side> {
        let image = self.recorded.images.get(&table.name)?;
        let by_rows = rules_of(&self.mapping, table).any(|(_, rule)| matches!(rule.way, Way::Rows(_)));
        (by_rows && matches!(self.mapping.existing(table), Existing::Keep { .. } | Existing::Merge { .. }))
            .then(|| image_side(&self.target, table, image, form, self.max_cell))
    }
}

/// A form of these columns and of those by which rows are known, in that order.
fn known_by(table: &Table, columns: &[String], by: &[String]) -> Arc<Form> {
    let more = by.iter().filter(|name| !columns.iter().any(|c| same_name(c, name)));
    let compared = columns.iter().chain(more).filter_map(|name| {
        let column = table.column(name)?;
        let data_type = column.data_type(Engine::Postgres);
        Some(Compared { name: column.name.clone(), kind: Kind::of(&data_type), arrow: data_type.arrow() })
    });
    let columns: Vec<Compared> = compared.collect();
    let places = by.iter().filter_map(|name| columns.iter().position(|c| same_name(&c.name, name))).collect();
    Arc::new(Form { table: table.table_name().to_string(), identity: Identity::Hashed(places), columns })
}

/// Whether the run rejected a row: as a rule's row, by its key in the source, or as the table's, by its own.
fn is_rejected(recorded: &Recorded, (rule, table): (&str, &str), form: &Form, sheet: &Sheet, row: usize) -> bool {
    let text = |array| cell_text(array, row).unwrap_or_default();
    let of_source: Vec<String> = sheet.keys.iter().map(|(_, array)| text(array)).collect();
    if recorded.rejected_by(rule, &flat(of_source.iter().map(String::as_str))).is_some() {
        return true;
    }
    let own = form.key().iter().filter_map(|at| {
        let value = shown(sheet.batch.columns().get(*at)?, row).unwrap_or_default();
        Some((form.columns.get(*at)?.name.clone(), value))
    });
    recorded.rejected_of(table, &own.collect::<Vec<_>>()).is_some()
}

/// The rows of a batch whose ids are wanted.
fn only(batch: &RecordBatch, form: &Form, mut wanted: impl FnMut(u128) -> bool) -> Result<RecordBatch, Error> {
    let mut kept = Vec::with_capacity(batch.num_rows());
    form.records(batch, |_, record| {
        kept.push(wanted(record.id));
        Ok(())
    })?;
    filter_record_batch(batch, &BooleanArray::from(kept))
        .map_err(|e| Error::failed("rows cannot be told apart").caused_by(e))
}

/// The rows of rules and of the target itself, where the target's own stay: all of them, one of each key.
fn settled(rules: Side, image: Side, form: Arc<Form>, keeps: bool) -> Batches {
    let gather = async move {
        let mut seen = HashSet::new();
        let mut batches = Vec::new();
        let order = if keeps { [image, rules] } else { [rules, image] };
        for (at, side) in order.iter().enumerate() {
            let mut sheets = side.sheets(&KeyRange::whole(), &form, 1);
            let mut of_this = Vec::new();
            while let Some(sheet) = sheets.next().await {
                batches.push(only(&sheet?.batch, &form, |id| {
                    of_this.push(id);
                    at == 0 || !seen.contains(&id)
                })?);
            }
            seen.extend(of_this);
        }
        Ok::<_, Error>(stream::iter(batches.into_iter().map(Ok)))
    };
    stream::once(gather).try_flatten().boxed()
}
