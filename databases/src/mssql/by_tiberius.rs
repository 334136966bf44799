//! The other road: rows through tiberius. It is taken where the address says so, and where a server sends what the
//! [fast one](super::wire) does not know.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::StreamExt;
use imis_schemas::DataType;
use tiberius::{QueryItem, Row};

use super::rows::Rows;
use super::select::{Form, Letters, Selection, Slot};
use super::{Shared, decode, oversize, trouble};
use crate::error::Error;
use crate::source::{Chunk, ChunkStream, ReadRequest};

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
            let shape = Shape::new(&selection, form);
            let mut batch = Rows::new(&request, &selection)?;
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
                                shape.take(&row, &mut batch)?;
                                if batch.is_full() && !keep_back {
                                    yield batch.finish()?;
                                } else if batch.is_full() {
                                    kept.bytes += batch.bytes();
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
                let next = oversize::behind(&doing, &batch, from)?;
                let (key, row) = oversize::next_row(server, &request, &selection, form, next).await?;
                if skipped > oversize::MOST {
                    Err(trouble::oversized(server.address(), &doing))?;
                }
                let mut chunk = Rows::new(&request, &selection)?.finish()?;
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

/// How tiberius' cells are taken for what they are: for each slot the letters of a text that comes as bytes, and whether it is XML.
pub(super) struct Shape(Vec<(Option<Letters>, bool)>);

impl Shape {
    pub(super) fn new(selection: &Selection, form: Form) -> Self {
        let shape = |slot: &Slot| {
            let letters = if form == Form::Bytes { slot.letters() } else { None };
            (letters, slot.data_type == DataType::Xml)
        };
        Shape(selection.slots.iter().map(shape).collect())
    }

    /// Puts a row among the others: all of it, or its key among the refused.
    ///
    /// # Errors
    /// When it is none of those that were asked for.
    pub(super) fn take(&self, row: &Row, rows: &mut Rows<'_>) -> Result<(), Error> {
        rows.begin_row(row.cells().count())?;
        for (at, (_, data)) in row.cells().enumerate() {
            let (letters, is_xml) = self.0.get(at).copied().unwrap_or_default();
            rows.take(at, &decode::cell(data, letters, is_xml))?;
        }
        rows.end_row()
    }
}
