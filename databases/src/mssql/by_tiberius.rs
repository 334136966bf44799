//! The other road: rows through tiberius. It is taken where the address says so, and where a server sends what the
//! [fast one](super::wire) does not know.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::{Field, Schema};
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use futures::StreamExt;
use tiberius::{ColumnData, QueryItem, Row};

use super::decode::{self, Taken};
use super::select::{Form, Selection};
use super::{Shared, oversize, trouble};
use crate::error::Error;
use crate::gather::Gatherer;
use crate::source::{Chunk, ChunkStream, ReadRequest, RefusedRow};

/// How many bytes of a table without an order are kept back until it is certain that its texts can be read plainly.
const KEPT_BACK: usize = 16 * 1024 * 1024;

/// The rows of a request, without a spool.
///
/// Rows come in the order of their key, so that when a text breaks the plain reading off, what is left is read as bytes
/// from the key behind the last row. A table without such a key has no order: its rows are kept back until all are
/// there or they are too many, and in both bad cases it is read as bytes from its start, before any row was handed on.
pub(super) fn rows(shared: Arc<Shared>, request: ReadRequest) -> ChunkStream {
    Box::pin(async_stream::try_stream! {
        let server = &shared.server;
        let doing = format!("reading {}", request.table.table_name());
        let _turn = server.reader().await?;
        let mut selection = Selection::new(&request, shared.collation().await)?;
        let mut from = request.range.from;
        let mut form = Form::Plain;
        let (mut seen, mut skipped) = (0_u64, 0);
        loop {
            let plain = form == Form::Plain && selection.has_text();
            let keep_back = plain && selection.order.is_none();
            let mut kept = Kept::default();
            let mut batch = Gathering::new(&request, &selection, form)?;
            let mut lease = server.lease(&doing).await?;
            let shared_lease = lease.is_shared();
            let ended = {
                let client = lease.client(|allowance| allowance.row(request.max_cell))?;
                let allowance = client.allowance.clone();
                client.is_half_read = true;
                match client.tds.simple_query(selection.sql(form, from)).await {
                    Err(error) => Ended::Badly(trouble::failed(server.address(), &doing, error)),
                    Ok(mut answer) => loop {
                        allowance.row(request.max_cell);
                        match answer.next().await {
                            None => break Ended::Whole,
                            Some(Ok(QueryItem::Metadata(_))) => {}
                            Some(Ok(QueryItem::Row(row))) => {
                                seen += 1;
                                if seen > request.at_most {
                                    break Ended::Badly(trouble::endless(server.address(), &doing, request.at_most));
                                }
                                batch.take(&row)?;
                                if batch.is_full() && !keep_back {
                                    yield batch.finish()?;
                                } else if batch.is_full() {
                                    kept.bytes += batch.bytes;
                                    kept.chunks.push(batch.finish()?);
                                    if kept.bytes > KEPT_BACK {
                                        break Ended::Early;
                                    }
                                }
                            }
                            Some(Err(error)) if plain && may_be_a_text(&error) => break Ended::Early,
                            // The line is closed with that; a transaction of all readers would be gone with it.
                            Some(Err(_)) if allowance.is_exceeded() && shared_lease => {
                                break Ended::Badly(trouble::oversized(server.address(), &doing));
                            }
                            Some(Err(_)) if allowance.is_exceeded() && selection.order.is_some() => {
                                break Ended::Oversized;
                            }
                            Some(Err(error)) => {
                                break Ended::Badly(trouble::failed(server.address(), &doing, error));
                            }
                        }
                    },
                }
            };
            let oversized = matches!(ended, Ended::Oversized);
            let is_complete = match ended {
                Ended::Whole => {
                    lease.read_whole();
                    lease.give_back(server);
                    true
                }
                // It is in the middle of an answer: a connection of its own closes here, and the server stops.
                Ended::Early | Ended::Oversized => {
                    drop(lease);
                    false
                }
                Ended::Badly(error) => Err(lease.failed(&doing, error).await)?,
            };
            if is_complete || !keep_back {
                shared.note_cuts(&request.table.table_name(), batch.cuts());
                for chunk in kept.chunks {
                    yield chunk;
                }
                if !batch.is_empty() {
                    yield batch.finish()?;
                }
            }
            if is_complete {
                break;
            }
            if oversized {
                skipped += 1;
                let next = batch.last_key.map_or(from, |last| last.checked_add(1));
                let (key, row) = oversize::next_row(server, &request, &selection, form, next).await?;
                if skipped > oversize::MOST {
                    Err(trouble::oversized(server.address(), &doing))?;
                }
                let mut chunk = Gathering::new(&request, &selection, form)?.finish()?;
                chunk.refused.push(row);
                yield chunk;
                if key == i64::MAX {
                    break;
                }
                from = Some(key + 1);
                continue;
            }
            from = match (selection.order, batch.last_key) {
                (Some(_), Some(_)) if !batch.in_order => {
                    let why = "a text is broken, and the rows do not come in the order of their key";
                    Err(Error::failed(format!("{doing} failed: {why}")))?
                }
                // Nothing lies behind the greatest of all numbers.
                (Some(_), Some(i64::MAX)) => break,
                (Some(_), Some(last)) => Some(last + 1),
                _ => from,
            };
            learn_code_pages(&shared, &mut selection).await;
            form = Form::Bytes;
        }
    })
}

/// How an answer ended.
enum Ended {
    /// All of it was read.
    Whole,
    /// The rest of it is read in another way.
    Early,
    /// A row had more bytes than any may have, and the line is closed.
    Oversized,
    Badly(Error),
}

/// Chunks of a table without an order, until it is certain that they may be handed on.
#[derive(Default)]
struct Kept {
    chunks: Vec<Chunk>,
    bytes: usize,
}

/// Whether an error of tiberius can come from a text that it could not decode. What else it may be comes again.
fn may_be_a_text(error: &tiberius::error::Error) -> bool {
    use tiberius::error::Error as E;
    matches!(error, E::Protocol(_) | E::Encoding(_) | E::Utf8 | E::Utf16 | E::Conversion(_))
}

/// Asks the server for the code pages of the columns that have one. A column without an answer is converted by the
/// server.
async fn learn_code_pages(shared: &Shared, selection: &mut Selection) {
    let mut known: BTreeMap<String, Option<i64>> = BTreeMap::new();
    for slot in selection.slots.iter_mut().filter(|s| s.has_code_page()) {
        let Some(collation) = &slot.collation else { continue };
        let number = match known.get(collation) {
            Some(number) => *number,
            None => {
                let number = shared.code_page(collation).await;
                known.insert(collation.clone(), number);
                number
            }
        };
        slot.code_page = number.and_then(decode::code_page);
    }
}

/// A batch that is being gathered.
pub(super) struct Gathering<'a> {
    request: &'a ReadRequest,
    schema: Arc<Schema>,
    /// For each slot its column, if it was asked for.
    gatherers: Vec<Option<Gatherer>>,
    names: Vec<String>,
    letters: Vec<Option<super::select::Letters>>,
    key: Vec<usize>,
    order: Option<usize>,
    rows: usize,
    bytes: usize,
    refused: Vec<RefusedRow>,
    /// Texts of the row in hand that were decoded here.
    texts: Vec<Option<String>>,
    /// Seconds that lost their seventh digit, by slot.
    cut: Vec<u64>,
    last_key: Option<i64>,
    /// Whether every key so far was greater than the one before.
    in_order: bool,
}

impl<'a> Gathering<'a> {
    pub(super) fn new(request: &'a ReadRequest, selection: &Selection, form: Form) -> Result<Self, Error> {
        let mut gatherers = Vec::new();
        let mut fields = Vec::new();
        for slot in &selection.slots {
            let arrow = slot.data_type.arrow();
            let gatherer = slot.asked.then(|| Gatherer::new(&arrow, request.batch_rows.min(1024))).transpose();
            gatherers
                .push(gatherer.map_err(|e| decode::no_type(&request.table, &slot.name, &slot.data_type).caused_by(e))?);
            if slot.asked {
                fields.push(Field::new(&slot.name, arrow, true));
            }
        }
        let letters = |slot: &super::select::Slot| if form == Form::Bytes { slot.letters() } else { None };
        Ok(Gathering {
            request,
            schema: Arc::new(Schema::new(fields)),
            gatherers,
            names: selection.slots.iter().map(|s| s.name.clone()).collect(),
            letters: selection.slots.iter().map(letters).collect(),
            key: selection.key.clone(),
            order: selection.order,
            rows: 0,
            bytes: 0,
            refused: Vec::new(),
            texts: vec![None; selection.slots.len()],
            cut: vec![0; selection.slots.len()],
            last_key: None,
            in_order: true,
        })
    }

    fn is_empty(&self) -> bool {
        self.rows == 0 && self.refused.is_empty()
    }

    fn is_full(&self) -> bool {
        self.rows + self.refused.len() >= self.request.batch_rows.max(1) || self.bytes >= self.request.batch_bytes
    }

    /// Takes a row: all of it, or none of it and its key among the refused.
    pub(super) fn take(&mut self, row: &Row) -> Result<(), Error> {
        if let Some(order) = self.order {
            let cell = row.cells().nth(order).map(|(_, cell)| cell);
            let key = cell.and_then(decode::whole::<i64>).ok_or_else(|| self.misfit(order, "something else"))?;
            let range = &self.request.range;
            if range.from.is_some_and(|from| key < from) || range.to.is_some_and(|to| key >= to) {
                let table = self.request.table.table_name();
                return Err(Error::failed(format!("reading {table} failed: the server sends rows of another range")));
            }
            self.in_order &= self.last_key.is_none_or(|last| last < key);
            self.last_key = Some(key);
        }
        if let Some((column, reason)) = self.inspect(row) {
            let cells = row.cells().map(|(_, cell)| cell).collect::<Vec<_>>();
            self.refused.push(RefusedRow { key: self.key_of(&cells), column, reason });
            return Ok(());
        }
        for (at, (_, cell)) in row.cells().enumerate() {
            let Some(Some(gatherer)) = self.gatherers.get_mut(at) else { continue };
            let taken = match self.texts.get_mut(at).and_then(Option::take) {
                Some(text) => {
                    self.bytes += text.len();
                    gatherer.take_text(&text)
                }
                None => {
                    self.bytes += decode::size(cell);
                    gatherer.take(cell)
                }
            };
            match taken {
                Ok(Taken::Whole) => {}
                Ok(Taken::Cut) => self.cut.iter_mut().skip(at).take(1).for_each(|n| *n += 1),
                Err(misfit) => return Err(self.misfit(at, misfit.came)),
            }
        }
        self.rows += 1;
        Ok(())
    }

    /// Decodes the texts that come as bytes, and finds what makes a row unreadable: its column, and why.
    fn inspect(&mut self, row: &Row) -> Option<(String, String)> {
        let mut problem = None;
        for (at, (_, cell)) in row.cells().enumerate() {
            let (Some(name), Some(letters), Some(text)) =
                (self.names.get(at), self.letters.get(at), self.texts.get_mut(at))
            else {
                continue;
            };
            *text = None;
            if self.gatherers.get(at).is_none_or(Option::is_none) || problem.is_some() {
                continue;
            }
            let size = decode::size(cell);
            if size > self.request.max_cell {
                let limit = self.request.max_cell;
                problem =
                    Some((name.clone(), format!("the cell has {size} bytes, more than the {limit} that are allowed")));
                continue;
            }
            if let (Some(letters), ColumnData::Binary(Some(bytes))) = (letters, cell) {
                match decode::text(bytes, *letters) {
                    Ok(decoded) => *text = Some(decoded),
                    Err(reason) => problem = Some((name.clone(), reason)),
                }
            }
        }
        problem
    }

    fn key_of(&self, cells: &[&ColumnData<'static>]) -> Vec<(String, String)> {
        let part = |at: &usize| {
            let text = decode::key_text(cells.get(*at)?, self.letters.get(*at).copied().flatten());
            Some((self.names.get(*at)?.clone(), text))
        };
        self.key.iter().filter_map(part).collect()
    }

    fn misfit(&self, at: usize, came: &str) -> Error {
        decode::misfit(&self.request.table, self.names.get(at).map_or("", String::as_str), came)
    }

    /// The rows so far as a chunk; the next ones begin a new chunk.
    pub(super) fn finish(&mut self) -> Result<Chunk, Error> {
        let columns = self.gatherers.iter_mut().flatten().map(Gatherer::finish).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(self.rows));
        let batch = RecordBatch::try_new_with_options(self.schema.clone(), columns, &options).map_err(|e| {
            Error::failed(format!("a batch of {} does not fit together", self.request.table.table_name())).caused_by(e)
        })?;
        (self.rows, self.bytes) = (0, 0);
        Ok(Chunk { batch, refused: std::mem::take(&mut self.refused) })
    }

    fn cuts(&self) -> impl Iterator<Item = (&str, u64)> {
        self.names.iter().map(String::as_str).zip(self.cut.iter().copied()).filter(|(_, n)| *n > 0)
    }
}
