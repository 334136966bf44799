//! Rows on their way into a batch: all of a row, or none of it and its key among the refused.

use std::sync::Arc;

use arrow::datatypes::{DataType as ArrowType, Decimal128Type, Field, Schema, validate_decimal_precision_and_scale};
use arrow::record_batch::{RecordBatch, RecordBatchOptions};

use super::bytes::Bytes;
use super::cell::{Cell, Wire, cell};
use super::column::{Refusal, put};
use crate::column::Column;
use crate::error::{Error, ErrorKind};
use crate::mssql::decode::{self, Taken};
use crate::mssql::fault::Fault;
use crate::mssql::select::Selection;
use crate::source::{Chunk, ReadRequest, RefusedRow};

/// Why reading ends.
#[derive(Debug)]
pub(super) enum Stop {
    /// The answer cannot be understood.
    Fault(Fault),
    /// The answer is understood, and wrong.
    Wrong(Error),
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Self {
        Stop::Fault(fault)
    }
}

/// Rows of one request.
pub(super) struct Rows<'a> {
    request: &'a ReadRequest,
    schema: Arc<Schema>,
    names: Vec<String>,
    asked: Vec<bool>,
    columns: Vec<Column>,
    /// How the cells come; nothing before the server has said it.
    wires: Vec<Wire>,
    key: Vec<usize>,
    order: Option<usize>,
    rows: usize,
    bytes: usize,
    refused: Vec<RefusedRow>,
    /// Seconds that lost their seventh digit, by slot.
    cut: Vec<u64>,
    pub(super) last_key: Option<i64>,
    /// Whether every key so far was greater than the one before.
    pub(super) in_order: bool,
    /// What is known of the row in hand.
    row: Row,
}

#[derive(Default)]
struct Row {
    bytes: usize,
    cut: Vec<usize>,
    /// The first cell that cannot be read, and why.
    problem: Option<(usize, String)>,
    /// Cells that are no text, as people write bytes.
    broken: Vec<(usize, String)>,
}

impl Row {
    fn clear(&mut self) {
        self.bytes = 0;
        self.problem = None;
        self.cut.clear();
        self.broken.clear();
    }
}

impl<'a> Rows<'a> {
    pub(super) fn new(request: &'a ReadRequest, selection: &Selection) -> Result<Self, Error> {
        for slot in &selection.slots {
            // A catalogue may say anything of a type.
            if let ArrowType::Decimal128(precision, scale) = slot.data_type.arrow() {
                let valid = validate_decimal_precision_and_scale::<Decimal128Type>(precision, scale);
                valid.map_err(|e| decode::no_type(&request.table, &slot.name, &slot.data_type).caused_by(e))?;
            }
        }
        let rows = request.batch_rows.min(1024);
        let arrow = |slot: &crate::mssql::select::Slot| slot.data_type.arrow();
        let asked = selection.slots.iter().filter(|slot| slot.asked);
        let fields: Vec<_> = asked.map(|slot| Field::new(&slot.name, arrow(slot), true)).collect();
        Ok(Rows {
            request,
            schema: Arc::new(Schema::new(fields)),
            names: selection.slots.iter().map(|slot| slot.name.clone()).collect(),
            asked: selection.slots.iter().map(|slot| slot.asked).collect(),
            columns: selection.slots.iter().map(|slot| Column::new(&arrow(slot), rows)).collect(),
            wires: Vec::new(),
            key: selection.key.clone(),
            order: selection.order,
            rows: 0,
            bytes: 0,
            refused: Vec::new(),
            cut: vec![0; selection.slots.len()],
            last_key: None,
            in_order: true,
            row: Row::default(),
        })
    }

    /// The server says how the cells come.
    ///
    /// # Errors
    /// When there are more or fewer of them than were asked for.
    pub(super) fn begin(&mut self, wires: Vec<Wire>) -> Result<(), Stop> {
        // Nobody asked for a column: rows are counted by a number.
        if wires.len() != self.columns.len().max(1) {
            let (came, wanted) = (wires.len(), self.columns.len());
            return Err(Fault::protocol(format!("rows of {came} columns, where {wanted} were asked for")).into());
        }
        self.wires = wires;
        Ok(())
    }

    pub(super) fn has_begun(&self) -> bool {
        !self.wires.is_empty()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rows == 0 && self.refused.is_empty()
    }

    pub(super) fn is_full(&self) -> bool {
        self.rows + self.refused.len() >= self.request.batch_rows.max(1) || self.bytes >= self.request.batch_bytes
    }

    /// Takes a row behind its token; says whether it is all there. If it is not, nothing is taken.
    ///
    /// # Errors
    /// When it is none.
    #[inline]
    pub(super) fn take(&mut self, bytes: &mut Bytes<'_>, nulls_first: bool) -> Result<bool, Stop> {
        let nulls = if nulls_first {
            match bytes.take(self.wires.len().div_ceil(8)) {
                Some(nulls) => nulls,
                None => return Ok(false),
            }
        } else {
            &[]
        };
        self.row.clear();
        for (at, wire) in self.wires.iter().enumerate() {
            let column = self.columns.get_mut(at);
            if nulls_first && nulls.get(at / 8).is_some_and(|byte| byte >> (at % 8) & 1 == 1) {
                if let Some(column) = column {
                    column.take_null();
                }
                self.row.bytes += 8;
                continue;
            }
            let Some(cell) = cell(*wire, bytes)? else {
                self.back_to(self.rows);
                return Ok(false);
            };
            let Some(column) = column else { continue };
            match put(column, &cell) {
                Ok((size, taken)) => {
                    self.row.bytes += size;
                    if taken == Taken::Cut {
                        self.row.cut.push(at);
                    }
                    if size > self.request.max_cell {
                        let limit = self.request.max_cell;
                        let why = format!("the cell has {size} bytes, more than the {limit} that are allowed");
                        self.row.unreadable(at, why, &self.asked);
                    }
                }
                Err(Refusal::Unreadable(why)) => {
                    if let Cell::Text(bytes, _) | Cell::Xml(bytes) = &cell
                        && self.key.contains(&at)
                    {
                        self.row.broken.push((at, format!("0x{}", decode::hex(bytes))));
                    }
                    self.row.unreadable(at, why, &self.asked);
                }
                Err(Refusal::Misfit(misfit)) => return Err(Stop::Wrong(self.misfit(at, misfit.came))),
            }
        }
        self.end_row().map_err(Stop::Wrong)?;
        Ok(true)
    }

    /// The row is there: it becomes one of the batch, or one of the refused.
    #[inline]
    fn end_row(&mut self) -> Result<(), Error> {
        if let Some(order) = self.order {
            let key = self.columns.get(order).and_then(|column| column.whole(self.rows));
            let key = key.ok_or_else(|| self.misfit(order, "something else"))?;
            let range = &self.request.range;
            if range.from.is_some_and(|from| key < from) || range.to.is_some_and(|to| key >= to) {
                let table = self.request.table.table_name();
                return Err(Error::failed(format!("reading {table} failed: the server sends rows of another range")));
            }
            self.in_order &= self.last_key.is_none_or(|last| last < key);
            self.last_key = Some(key);
        }
        match self.row.problem.take() {
            None => {
                self.rows += 1;
                self.bytes += self.row.bytes;
                for at in &self.row.cut {
                    self.cut.iter_mut().skip(*at).take(1).for_each(|n| *n += 1);
                }
            }
            Some((at, reason)) => {
                let column = self.names.get(at).cloned().unwrap_or_default();
                let key = self.key_of_last()?;
                self.refused.push(RefusedRow { key, column, reason });
                self.back_to(self.rows);
            }
        }
        Ok(())
    }

    fn back_to(&mut self, rows: usize) {
        self.columns.iter_mut().for_each(|column| column.truncate(rows));
    }

    /// The key of the row behind those that are taken, as people write it.
    fn key_of_last(&mut self) -> Result<Vec<(String, String)>, Error> {
        let row = self.rows;
        let mut key = Vec::new();
        for at in &self.key {
            let (Some(name), Some(column)) = (self.names.get(*at), self.columns.get(*at)) else { continue };
            let broken = self.row.broken.iter().find(|(broken, _)| broken == at);
            let text = match broken {
                Some((_, bytes)) => bytes.clone(),
                None => column.text(row),
            };
            key.push((name.clone(), text));
        }
        Ok(key)
    }

    fn misfit(&self, at: usize, came: &str) -> Error {
        let column = self.names.get(at).map_or("", String::as_str);
        decode::misfit(&self.request.table, column, came)
    }

    /// The rows so far as a chunk; the next ones begin a new chunk.
    ///
    /// # Errors
    /// When they do not fit together, which would be a mistake of ours.
    pub(super) fn finish(&mut self) -> Result<Chunk, Error> {
        let odd = |e: arrow::error::ArrowError| {
            let table = self.request.table.table_name();
            Error::new(ErrorKind::Failed, format!("a batch of {table} does not fit together")).caused_by(e)
        };
        let mut arrays = Vec::with_capacity(self.columns.len());
        for (column, asked) in self.columns.iter_mut().zip(&self.asked) {
            match asked {
                true => arrays.push(column.finish().map_err(odd)?),
                false => column.truncate(0),
            }
        }
        let options = RecordBatchOptions::new().with_row_count(Some(self.rows));
        let batch = RecordBatch::try_new_with_options(self.schema.clone(), arrays, &options).map_err(odd)?;
        (self.rows, self.bytes) = (0, 0);
        Ok(Chunk { batch, refused: std::mem::take(&mut self.refused) })
    }

    pub(super) fn cuts(&self) -> impl Iterator<Item = (&str, u64)> {
        self.names.iter().map(String::as_str).zip(self.cut.iter().copied()).filter(|(_, n)| *n > 0)
    }
}

impl Row {
    /// A row is refused for the first of its cells that was asked for and cannot be read.
    fn unreadable(&mut self, at: usize, why: String, asked: &[bool]) {
        if asked.get(at) == Some(&true) && self.problem.is_none() {
            self.problem = Some((at, why));
        }
    }
}
