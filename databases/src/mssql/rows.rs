//! Rows on their way into a batch: all of a row, or none of it and its key among the refused.

use std::sync::Arc;

use arrow::datatypes::{Field, Schema};
use arrow::record_batch::{RecordBatch, RecordBatchOptions};

use super::cell::{Cell, Refusal, Taken, put};
use super::decode;
use super::select::{Selection, Slot};
use crate::column::Column;
use crate::error::{Error, ErrorKind};
use crate::source::{Chunk, ReadRequest, RefusedRow};

/// Rows of one request.
pub(super) struct Rows<'a> {
    request: &'a ReadRequest,
    schema: Arc<Schema>,
    names: Vec<String>,
    asked: Vec<bool>,
    columns: Vec<Column>,
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
        let rows = request.batch_rows.min(1024);
        let column = |slot: &Slot| {
            let column = Column::of_told(&slot.data_type.arrow(), rows);
            column.map_err(|e| decode::no_type(&request.table, &slot.name, &slot.data_type).caused_by(e))
        };
        let columns = selection.slots.iter().map(column).collect::<Result<_, _>>()?;
        let asked = selection.slots.iter().filter(|slot| slot.asked);
        let fields: Vec<_> = asked.map(|slot| Field::new(&slot.name, slot.data_type.arrow(), true)).collect();
        Ok(Rows {
            request,
            schema: Arc::new(Schema::new(fields)),
            names: selection.slots.iter().map(|slot| slot.name.clone()).collect(),
            asked: selection.slots.iter().map(|slot| slot.asked).collect(),
            columns,
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

    /// Bytes of the rows that are in no chunk yet.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rows == 0 && self.refused.is_empty()
    }

    pub(super) fn is_full(&self) -> bool {
        self.rows + self.refused.len() >= self.request.batch_rows.max(1) || self.bytes >= self.request.batch_bytes
    }

    /// A row of so many cells begins.
    ///
    /// # Errors
    /// When it has more or fewer than were asked for.
    #[inline]
    pub(super) fn begin_row(&mut self, cells: usize) -> Result<(), Error> {
        self.fits(cells)?;
        self.row.clear();
        Ok(())
    }

    /// Whether rows of so many cells are those that were asked for.
    ///
    /// # Errors
    /// When they have more or fewer.
    #[inline]
    pub(super) fn fits(&self, cells: usize) -> Result<(), Error> {
        // Where nobody asked for a column, rows are counted by a number.
        if cells == self.columns.len().max(1) {
            return Ok(());
        }
        let (table, wanted) = (self.request.table.table_name(), self.columns.len());
        let why = format!("the server sends rows of {cells} columns, where {wanted} were asked for");
        Err(Error::failed(format!("reading {table} failed: {why}"))
            .with_help("Is there something between us and the server that changes what it sends? Then read past it."))
    }

    /// A column, for who puts the next cell of the row into it and then says so.
    #[inline]
    pub(super) fn column(&mut self, at: usize) -> Option<&mut Column> {
        self.columns.get_mut(at)
    }

    /// The next cell of the row is in its column, whole; it has so many bytes.
    #[inline]
    pub(super) fn took(&mut self, size: usize) {
        self.row.bytes += size;
    }

    /// Takes the next cell of the row.
    ///
    /// # Errors
    /// When it is of another type than its column. A cell that cannot be read is no error: its row is refused.
    #[inline]
    pub(super) fn take(&mut self, at: usize, cell: &Cell<'_>) -> Result<(), Error> {
        let Some(column) = self.columns.get_mut(at) else { return Ok(()) };
        match put(column, cell) {
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
                if let Cell::Text(bytes, _) | Cell::Xml(bytes, _) = cell
                    && self.key.contains(&at)
                {
                    self.row.broken.push((at, format!("0x{}", decode::hex(bytes))));
                }
                self.row.unreadable(at, why, &self.asked);
            }
            Err(Refusal::Misfit(misfit)) => {
                self.give_up_row();
                return Err(self.misfit(at, misfit.came));
            }
        }
        Ok(())
    }

    /// Forgets the cells of a row that is not all there yet.
    pub(super) fn give_up_row(&mut self) {
        self.back_to(self.rows);
    }

    /// The row is there: it becomes one of the batch, or one of the refused.
    ///
    /// # Errors
    /// When it is none of those that were asked for.
    #[inline]
    pub(super) fn end_row(&mut self) -> Result<(), Error> {
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
                let key = self.key_of_last();
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
    fn key_of_last(&self) -> Vec<(String, String)> {
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
        key
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
