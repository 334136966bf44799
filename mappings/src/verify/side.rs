//! The two sides of a comparison: a table as it is, or the rows that a mapping says it should have.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, new_null_array};
use arrow::datatypes::{Field, Schema};
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};
use imis_databases::{Chunk, ChunkStream, Error, KeyRange, ReadRequest, Source, Texts};
use imis_schemas::Table;

use super::form::Form;
use crate::bind::{BoundMapping, RowWay, Way};
use crate::map::map;

/// Rows a batch: what was decoded is still in the nearer caches when it is encoded and hashed.
const BATCH_ROWS: usize = 2 * 1024;

/// A row that did not come through: it could not be read, or the mapping refuses it.
#[derive(Clone, Debug)]
pub(crate) struct Lost {
    pub(crate) rule: Option<usize>,
    pub(crate) key: Vec<(String, String)>,
    pub(crate) column: String,
    pub(crate) reason: String,
}

/// Rows in the form of the comparison, and what belongs with them.
pub(crate) struct Sheet {
    pub(crate) batch: RecordBatch,
    /// The rule that made the rows.
    pub(crate) rule: Option<usize>,
    /// The rows' keys in the source, where a rule made them.
    pub(crate) keys: Vec<(String, ArrayRef)>,
    /// The rows as they were read, before a mapping changed them.
    pub(crate) raw: Option<RecordBatch>,
    pub(crate) read: u64,
    pub(crate) filtered: u64,
    pub(crate) lost: Vec<Lost>,
    /// Losses that the mapping allows, by column and name.
    pub(crate) losses: BTreeMap<(String, String), u64>,
}

pub(crate) type Sheets = BoxStream<'static, Result<Sheet, Error>>;

/// One side.
pub(crate) enum Side {
    Table(TableSide),
    Rules(RulesSide),
}

/// A table of a database.
pub(crate) struct TableSide {
    pub(crate) source: Arc<dyn Source>,
    pub(crate) table: Arc<Table>,
    /// Its columns in the order of the form.
    pub(crate) columns: Vec<String>,
    /// The column by which it can be split.
    pub(crate) split: Option<String>,
    pub(crate) max_cell: usize,
    /// How many rows there are at most, where the server was asked.
    pub(crate) at_most: Option<u64>,
}

/// What the rules of a mapping make for one table.
pub(crate) struct RulesSide {
    pub(crate) mapping: Arc<BoundMapping>,
    pub(crate) source: Arc<dyn Source>,
    pub(crate) parts: Vec<RulePart>,
    pub(crate) split: Option<String>,
    pub(crate) max_cell: usize,
}

/// One rule's part.
#[derive(Clone)]
pub(crate) struct RulePart {
    /// Its place in the mapping.
    pub(crate) rule: usize,
    /// Where each column of the form stands in the rule's rows.
    pub(crate) take: Vec<Option<usize>>,
    /// The result of the rule's query.
    pub(crate) made: Option<Arc<Vec<RecordBatch>>>,
    /// How many rows the server counted in the rule's table, where it was asked.
    pub(crate) counted: Option<u64>,
}

impl Side {
    /// The column by which the side can be read in ranges without reading the rest.
    pub(crate) fn split(&self) -> Option<&str> {
        match self {
            Side::Table(side) => side.split.as_deref().filter(|_| side.source.splits()),
            Side::Rules(side) => side.split.as_deref().filter(|_| side.source.splits()),
        }
    }

    /// The rows of a range; of everything where the side cannot be split. What is read as a whole comes in any order, in so many parts
    /// at once as its source knows of, `parts` at most.
    pub(crate) fn sheets(&self, range: &KeyRange, form: &Arc<Form>, parts: usize) -> Sheets {
        let split = match self {
            Side::Table(side) => &side.split,
            Side::Rules(side) => &side.split,
        };
        let range = match split {
            Some(column) if !range.is_whole() => KeyRange { column: Some(column.clone()), ..range.clone() },
            _ => KeyRange::whole(),
        };
        match self {
            Side::Table(side) => side.sheets(range, form, parts),
            Side::Rules(side) => side.sheets(range, form, parts),
        }
    }
}

impl TableSide {
    fn sheets(&self, range: KeyRange, form: &Arc<Form>, parts: usize) -> Sheets {
        let mut request = ReadRequest::all(Arc::clone(&self.table)).columns(self.columns.clone()).range(range);
        request = self.at_most.into_iter().fold(request, ReadRequest::counted);
        request.max_cell = self.max_cell;
        request.batch_rows = BATCH_ROWS;
        request.texts = Texts::ByTheServer;
        let form = Arc::clone(form);
        let sheet = move |chunk: Chunk| {
            let read = (chunk.batch.num_rows() + chunk.refused.len()) as u64;
            let batch = shaped(&chunk.batch, (0..form.columns.len()).map(Some), &form)?;
            let lost = lost_of(&chunk, None);
            Ok(Sheet {
                raw: Some(batch.clone()),
                batch,
                rule: None,
                keys: Vec::new(),
                read,
                filtered: 0,
                lost,
                losses: BTreeMap::new(),
            })
        };
        let chunks = read(self.source.as_ref(), request, parts);
        Box::pin(chunks.map(move |chunk| sheet(chunk?)))
    }
}

fn read(source: &dyn Source, request: ReadRequest, parts: usize) -> ChunkStream {
    match request.range.is_whole() && parts > 1 {
        true => Box::pin(stream::select_all(source.read_apart(request, parts))),
        false => source.read(request),
    }
}

fn lost_of(chunk: &Chunk, rule: Option<usize>) -> Vec<Lost> {
    let lost = chunk.refused.iter().map(|row| Lost {
        rule,
        key: row.key.clone(),
        column: row.column.clone(),
        reason: row.reason.clone(),
    });
    lost.collect()
}

impl RulesSide {
    /// How a rule's rows are made.
    fn way(&self, part: &RulePart) -> Option<&RowWay> {
        match &self.mapping.rules.get(part.rule)?.way {
            Way::Rows(way) => Some(way),
            Way::Query(way) => Some(&way.rows),
            Way::Nothing => None,
        }
    }

    fn sheets(&self, range: KeyRange, form: &Arc<Form>, parts: usize) -> Sheets {
        let of_rules = self.parts.iter().filter_map(|part| {
            let chunks: ChunkStream = match (&part.made, self.mapping.rules.get(part.rule)?) {
                (Some(made), _) => {
                    let made: Vec<_> = made.iter().map(|batch| Ok(Chunk::from(batch.clone()))).collect();
                    Box::pin(stream::iter(made))
                }
                (None, rule) => {
                    let table = rule.source.as_ref()?;
                    let way = self.way(part)?;
                    let mut request =
                        ReadRequest::all(Arc::clone(table)).columns(way.read.clone()).range(range.clone());
                    request = part.counted.into_iter().fold(request, ReadRequest::counted);
                    request.max_cell = self.max_cell;
                    request.batch_rows = BATCH_ROWS;
                    request.texts = Texts::ByTheServer;
                    read(self.source.as_ref(), request, parts)
                }
            };
            let me = RulesSide {
                mapping: Arc::clone(&self.mapping),
                source: Arc::clone(&self.source),
                parts: Vec::new(),
                split: None,
                max_cell: self.max_cell,
            };
            let (part, form) = (part.clone(), Arc::clone(form));
            Some(chunks.and_then(move |chunk| {
                let sheet = me.sheet(&part, &chunk, &form);
                async move { sheet }
            }))
        });
        Box::pin(stream::iter(of_rules.collect::<Vec<_>>()).flatten())
    }

    fn sheet(&self, part: &RulePart, chunk: &Chunk, form: &Form) -> Result<Sheet, Error> {
        let Some(way) = self.way(part) else { return Err(Error::failed("a rule has no rows")) };
        let mapped = map(way, &chunk.batch)?;
        let mut lost = lost_of(chunk, Some(part.rule));
        lost.extend(mapped.rejected.iter().map(|reject| Lost {
            rule: Some(part.rule),
            key: reject.key.clone(),
            column: reject.column.clone(),
            reason: reject.reason.clone(),
        }));
        Ok(Sheet {
            batch: shaped(&mapped.batch, part.take.iter().copied(), form)?,
            rule: Some(part.rule),
            keys: mapped.keys,
            raw: part.made.is_none().then(|| chunk.batch.clone()),
            read: (chunk.batch.num_rows() + chunk.refused.len()) as u64,
            filtered: mapped.filtered,
            lost,
            losses: mapped.losses,
        })
    }
}

/// A batch with the columns of the form.
fn shaped(batch: &RecordBatch, take: impl Iterator<Item = Option<usize>>, form: &Form) -> Result<RecordBatch, Error> {
    let rows = batch.num_rows();
    let arrays: Vec<ArrayRef> = form
        .columns
        .iter()
        .zip(take)
        .map(|(column, at)| match at.and_then(|at| batch.columns().get(at)) {
            Some(array) => Arc::clone(array),
            None => new_null_array(&column.arrow, rows),
        })
        .collect();
    let fields = form.columns.iter().zip(&arrays).map(|(c, a)| Field::new(&c.name, a.data_type().clone(), true));
    let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(schema, arrays, &options)
        .map_err(|e| Error::failed(format!("a batch of {} cannot be compared", form.table)).caused_by(e))
}
