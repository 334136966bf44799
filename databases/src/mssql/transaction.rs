//! The one transaction in which everything is read, where that was chosen.
//!
//! SQL Server cannot share a snapshot between sessions, so there is one connection for all readers, and they take turns. Who
//! has it works through a whole answer into a [spool](crate::spool) before anybody sees a row of it: nobody holds it who waits
//! for somebody else.
//!
//! Only rows, counts and bounds are read in it. The catalogue is not: SQL Server keeps no versions of it (a table that was
//! altered since is refused, error 3961), and questions that a server may not understand must not put the transaction at risk.

use std::time::Duration;

use tokio::sync::MutexGuard;

use super::allowance::Allowance;
use super::connect::{Client, Server};
use super::fault::Fault;
use super::{trouble, wire};
use crate::error::Error;

/// SNAPSHOT, or nothing. The moment that it sees is that of its first read.
const BEGIN: [&str; 2] = ["SET TRANSACTION ISOLATION LEVEL SNAPSHOT", "BEGIN TRANSACTION"];
/// How long the answer may take whether the transaction is still there.
const PATIENCE: Duration = Duration::from_secs(60);

/// The transaction.
#[derive(Debug, Default)]
pub(super) enum Transaction {
    #[default]
    NotBegun,
    Open(Box<Client>),
    /// It is gone, and with it the moment that it saw. There is no other one.
    Lost,
}

/// A connection for one statement and its answer.
pub(super) enum Lease<'a> {
    /// One of several.
    Own(Box<Client>),
    /// The one.
    Shared(MutexGuard<'a, Transaction>),
}

impl Server {
    /// A connection that sees the state which is read.
    pub(super) async fn lease(&self, doing: &str) -> Result<Lease<'_>, Error> {
        let Some(transaction) = self.transaction() else { return Ok(Lease::Own(Box::new(self.client().await?))) };
        let mut held = transaction.lock().await;
        match &mut *held {
            Transaction::Open(client) => {
                if let Err(fault) = client.step_over().await {
                    *held = Transaction::Lost;
                    return Err(trouble::transaction_lost(doing, Some(trouble::failed(self.address(), doing, fault))));
                }
                // Who comes next may not be tiberius, which alone can step over what it left.
                if client.is_half_read && !is_open(client).await {
                    *held = Transaction::Lost;
                    return Err(trouble::transaction_lost(doing, None));
                }
            }
            Transaction::Lost => return Err(trouble::transaction_lost(doing, None)),
            // As long as nothing was read, there is nothing to lose.
            Transaction::NotBegun => {
                let mut client = self.client().await?;
                client.line.listen();
                for statement in BEGIN {
                    let begun = async { client.tds.simple_query(statement).await?.into_results().await };
                    begun.await.map_err(|e| trouble::failed(self.address(), "beginning the transaction", e))?;
                }
                client.transaction = wire::environment(&client.line.heard()).transaction;
                *held = Transaction::Open(Box::new(client));
            }
        }
        Ok(Lease::Shared(held))
    }
}

impl Lease<'_> {
    /// Whether it is the connection of all readers.
    pub(super) fn is_shared(&self) -> bool {
        matches!(self, Lease::Shared(_))
    }

    /// The connection, with an allowance for the next answer. The next statement steps over an answer that was left before its end,
    /// however much that is; so on the shared one the allowance counts only once that is done, when it is given again.
    pub(super) fn client(&mut self, allow: impl FnOnce(&Allowance)) -> Result<&mut Client, Error> {
        match self {
            Lease::Own(client) => {
                allow(&client.allowance);
                Ok(client)
            }
            Lease::Shared(held) => match &mut **held {
                Transaction::Open(client) => {
                    client.allowance.boundless();
                    Ok(client)
                }
                _ => Err(trouble::transaction_lost("reading", None)),
            },
        }
    }

    /// tiberius has read its answer to the end.
    pub(super) fn read_whole(&mut self) {
        match self {
            Lease::Own(client) => client.is_half_read = false,
            Lease::Shared(held) => {
                if let Transaction::Open(client) = &mut **held {
                    client.is_half_read = false;
                }
            }
        }
    }

    /// Gives the connection back; its last answer was read to its end.
    pub(super) fn give_back(self, server: &Server) {
        if let Lease::Own(client) = self {
            server.give_back(*client);
        }
    }

    /// What a failed statement means: an error of its own, or the loss of the transaction.
    pub(super) async fn failed(mut self, doing: &str, error: Error) -> Error {
        let Lease::Shared(held) = &mut self else { return error };
        let is_there = match &mut **held {
            Transaction::Open(client) => tokio::time::timeout(PATIENCE, is_open(client)).await.unwrap_or(false),
            _ => false,
        };
        if is_there {
            return error;
        }
        **held = Transaction::Lost;
        trouble::transaction_lost(doing, Some(error))
    }
}

impl Client {
    /// Steps over what is left of an answer that nobody read to its end.
    async fn step_over(&mut self) -> Result<(), Fault> {
        self.allowance.boundless();
        self.answer.step_over(&mut self.line).await
    }
}

/// Whether the transaction outlived an error: the server ends it after some, and would read on without it.
async fn is_open(client: &mut Client) -> bool {
    if client.step_over().await.is_err() {
        return false;
    }
    client.allowance.boundless();
    let ask = async { client.tds.simple_query("SELECT @@TRANCOUNT AS n").await?.into_row().await };
    let row = ask.await;
    client.is_half_read = row.is_err();
    match row {
        Ok(Some(row)) => super::query::int(&row, 0).is_some_and(|n| n > 0),
        _ => false,
    }
}
