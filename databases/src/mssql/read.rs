//! Reading a range: one SELECT, decoded straight into batches.

use std::sync::Arc;

use futures::{StreamExt, TryStreamExt, stream};
use tokio::sync::oneshot;

use super::allowance::Allowance;
use super::select::{Form, Selection};
use super::wire::{Halt, Reader};
use super::{Shared, by_tiberius, oversize, trouble, veil};
use crate::ahead::ahead;
use crate::error::Error;
use crate::location::Driver;
use crate::source::{Chunk, ChunkStream, ReadRequest};
use crate::spool::Spool;

/// The rows of a request, in the order of their key where it is a whole number.
pub(super) fn rows(shared: Arc<Shared>, request: ReadRequest) -> ChunkStream {
    match shared.server.transaction() {
        Some(_) => drained(shared, request),
        None => ahead(straight(shared, request)),
    }
}

/// The same by way of a spool, as fast as the server gives them: a connection that others wait for must not wait for them.
fn drained(shared: Arc<Shared>, request: ReadRequest) -> ChunkStream {
    let spool = async move {
        let (sender, receiver) = oneshot::channel();
        tokio::spawn(async move {
            let drain = async {
                let mut spool = Spool::new();
                let mut chunks = straight(shared, request);
                while let Some(chunk) = chunks.next().await {
                    spool.push_chunk(chunk?)?;
                    // Whoever asked may have gone. What the server still sends is stepped over by the next statement.
                    if sender.is_closed() {
                        break;
                    }
                }
                Ok::<_, Error>(spool)
            };
            let spool = drain.await;
            let _ = sender.send(spool);
        });
        let spool = receiver.await.map_err(|e| Error::failed("reading the source broke off").caused_by(e))??;
        Ok::<_, Error>(stream::iter(spool.into_chunks()?))
    };
    Box::pin(stream::once(spool).try_flatten())
}

fn straight(shared: Arc<Shared>, request: ReadRequest) -> ChunkStream {
    let opened = async move {
        veil::refuse(shared.veiled().await?, &request.table.table_name(), &request.columns)?;
        Ok::<_, Error>(match shared.server.address().driver {
            Driver::Tiberius => by_tiberius::rows(shared, request),
            Driver::Own => by_wire(shared, request),
        })
    };
    Box::pin(stream::once(opened).try_flatten())
}

fn by_wire(shared: Arc<Shared>, request: ReadRequest) -> ChunkStream {
    Box::pin(async_stream::try_stream! {
        let server = &shared.server;
        let doing = format!("reading {}", request.table.table_name());
        let turn = server.reader().await?;
        let selection = Selection::new(&request, shared.collation().await)?;
        let mut from = request.range.from;
        let (mut seen, mut skipped) = (0, 0);
        loop {
            let mut lease = server.lease(&doing).await?;
            let mut reader = Reader::new(&request, &selection, seen)?;
            let halt = match lease.client(Allowance::boundless) {
                Err(error) => Halt::Wrong(error),
                Ok(client) if !client.knows_its_transaction(server) => Halt::Unknown,
                Ok(client) => match reader.ask(client, &selection.sql(Form::Wire, from)).await {
                    Err(fault) => Halt::Failed(fault),
                    Ok(()) => loop {
                        match reader.next(client).await {
                            Halt::Full(chunk) => yield chunk,
                            halt => break halt,
                        }
                    },
                },
            };
            shared.note_cuts(&request.table.table_name(), reader.rows().cuts());
            seen = reader.seen();
            match halt {
                Halt::Full(chunk) | Halt::Ended(Some(chunk)) => {
                    lease.give_back(server);
                    yield chunk;
                    break;
                }
                Halt::Ended(None) => {
                    lease.give_back(server);
                    break;
                }
                // Of this answer no row was handed on yet. Who else waits for a turn does not wait for two.
                Halt::Unknown => {
                    drop((lease, turn));
                    let mut rest = request.clone();
                    rest.range.from = from;
                    let mut chunks = by_tiberius::rows(Arc::clone(&shared), rest);
                    while let Some(chunk) = chunks.next().await {
                        yield chunk?;
                    }
                    break;
                }
                Halt::Endless => {
                    let error = trouble::endless(server.address(), &doing, request.at_most);
                    Err(lease.failed(&doing, error).await)?;
                }
                Halt::Failed(fault) => {
                    let error = trouble::failed(server.address(), &doing, fault);
                    Err(lease.failed(&doing, error).await)?;
                }
                Halt::Wrong(error) => Err(lease.failed(&doing, error).await)?,
                // The rest of the row is half on the line: a connection of its own closes here. The rows before it are good.
                Halt::Oversized(rest) if selection.order.is_some() && !lease.is_shared() => {
                    drop(lease);
                    if let Some(chunk) = rest {
                        yield chunk;
                    }
                    skipped += 1;
                    if skipped > oversize::MOST {
                        Err(trouble::oversized(server.address(), &doing))?;
                    }
                    let next = oversize::behind(&doing, reader.rows(), from)?;
                    let (key, row) = oversize::next_row(server, &request, &selection, Form::Wire, next).await?;
                    yield Chunk { refused: vec![row], ..reader.rows().finish()? };
                    if key == i64::MAX {
                        break;
                    }
                    from = Some(key + 1);
                }
                Halt::Oversized(_) => {
                    let error = trouble::oversized(server.address(), &doing);
                    Err(lease.failed(&doing, error).await)?;
                }
            }
        }
    })
}
