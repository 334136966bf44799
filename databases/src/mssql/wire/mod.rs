//! The fast road: rows of one SELECT, from the bytes of the answer straight into columns.
//!
//! tiberius logs in, asks the short questions and is the other road; it makes an object of every cell, which costs many times
//! what reading a cell costs. Here the line is taken out of its hands for one statement:
//!
//! ```text
//! SharedLine --message--> contents of packets --token, cell--> a cell where it lies --rows--> Chunk
//! ```
//!
//! A text is decoded by its own letters, so that one that is none costs its row and not the answer; a cell is looked at by the
//! length that it says it has, so that one that is too large is known before it is held.

mod bytes;
mod cell;
#[cfg(test)]
pub(super) mod fuzz;
mod message;
mod quick;
#[cfg(test)]
mod tests;
mod token;

use self::bytes::Bytes;
use self::cell::{Wire, cell};
pub(super) use self::message::Answer;
use self::quick::quick;
use self::token::{Done, Token};
pub(super) use self::token::{Environment, Unknown};
use super::allowance::row_limit;
use super::cell::Cell;
use super::connect::Client;
use super::fault::{Fault, ServerError};
use super::rows::Rows;
use super::select::Selection;
use super::shared_line::SharedLine;
use crate::error::Error;
use crate::source::{Chunk, ReadRequest};

/// How many bytes may come between two rows that are no rows.
const BETWEEN_ROWS: usize = 64 * 1024 * 1024;

/// What the server said of a connection, by its answer.
pub(super) fn environment(answer: &[u8]) -> Environment {
    token::environment(&message::contents(answer))
}

/// Reads the answer to one SELECT.
pub(super) struct Reader<'a> {
    rows: Rows<'a>,
    at_most: u64,
    limit: usize,
    seen: u64,
    between: usize,
    /// How long a cell may be that is taken without a second look.
    longest: usize,
    failed: Option<ServerError>,
    /// Whether the last token was the end of the last part.
    is_done: bool,
    /// How the cells come; nothing before the server has said it.
    wires: Vec<Wire>,
}

/// Why the reader has come to a halt.
pub(super) enum Halt {
    /// A batch is full.
    Full(Chunk),
    /// The answer is at its end, with the rows that were left.
    Ended(Option<Chunk>),
    /// A row is larger than any may be.
    Oversized(Option<Chunk>),
    /// A column is of a type that is not read here; no row came yet.
    Unknown,
    /// More rows came than there can be.
    Endless,
    /// The statement failed, or its answer cannot be understood.
    Failed(Fault),
    /// The rows are not those that were asked for.
    Wrong(Error),
}

impl<'a> Reader<'a> {
    /// A reader of one answer; `seen` rows came in earlier ones.
    ///
    /// # Errors
    /// When a column is of a type that cannot be.
    pub(super) fn new(request: &'a ReadRequest, selection: &Selection, seen: u64) -> Result<Self, Error> {
        Ok(Reader {
            rows: Rows::new(request, selection)?,
            at_most: request.at_most,
            limit: usize::try_from(row_limit(request.max_cell)).unwrap_or(usize::MAX),
            seen,
            between: 0,
            longest: request.max_cell,
            failed: None,
            is_done: false,
            wires: Vec::new(),
        })
    }

    /// The rows that are in no chunk yet, and what is known of those before.
    pub(super) fn rows(&mut self) -> &mut Rows<'a> {
        &mut self.rows
    }

    /// Rows so far, those of earlier readers included.
    pub(super) fn seen(&self) -> u64 {
        self.seen
    }

    /// Sends the statement.
    ///
    /// # Errors
    /// When the line breaks.
    pub(super) async fn ask(&self, client: &mut Client, sql: &str) -> Result<(), Fault> {
        // What comes is counted here; nothing is held of it that is larger than a row may be.
        client.allowance.boundless();
        message::send(&mut client.line, sql, client.transaction.unwrap_or(0), client.packet_size).await?;
        client.answer.begin();
        Ok(())
    }

    /// Reads on until there is something to say.
    pub(super) async fn next(&mut self, client: &mut Client) -> Halt {
        self.read(&mut client.answer, &mut client.line).await
    }

    async fn read(&mut self, answer: &mut Answer, line: &mut SharedLine) -> Halt {
        loop {
            let mut bytes = Bytes(answer.bytes());
            let before = bytes.len();
            let halt = self.advance(&mut bytes);
            let read = before - bytes.len();
            answer.read(read);
            if let Some(halt) = halt {
                return halt;
            }
            if answer.bytes().len() > self.limit {
                return match self.rest() {
                    Ok(rest) => Halt::Oversized(rest),
                    Err(error) => Halt::Wrong(error),
                };
            }
            match answer.more(line, self.limit.saturating_add(1)).await {
                Ok(true) => {}
                Ok(false) if answer.bytes().is_empty() => return self.end(),
                Ok(false) => return self.because(Fault::protocol("the answer ends in the middle of a token")),
                Err(fault) => return self.because(fault),
            }
        }
    }

    /// Reads tokens as far as they are there, or until there is something to say.
    fn advance(&mut self, bytes: &mut Bytes<'_>) -> Option<Halt> {
        loop {
            let start = *bytes;
            let kind = bytes.u8()?;
            if self.failed.is_none() && matches!(kind, token::ROW | token::NBCROW) && self.has_begun() {
                match self.row(bytes, kind == token::NBCROW) {
                    Ok(true) => {}
                    Ok(false) => {
                        *bytes = start;
                        return None;
                    }
                    Err(halt) => return Some(halt),
                }
                self.between = 0;
                self.seen += 1;
                if self.seen > self.at_most {
                    return Some(Halt::Endless);
                }
                if self.rows.is_full() {
                    return Some(self.rows.finish().map_or_else(Halt::Wrong, Halt::Full));
                }
                continue;
            }
            let token = match token::token(kind, bytes) {
                Ok(Some(Ok(token))) => token,
                Ok(Some(Err(Unknown))) if self.has_begun() => return Some(self.second()),
                Ok(Some(Err(Unknown))) => return Some(Halt::Unknown),
                Ok(None) => {
                    *bytes = start;
                    return None;
                }
                Err(fault) => return Some(self.because(fault)),
            };
            self.between += start.len() - bytes.len();
            if self.between > BETWEEN_ROWS {
                return Some(self.because(Fault::Line(super::allowance::Exceeded.to_string())));
            }
            self.is_done = false;
            match token {
                Token::Other => {}
                Token::Done(Done::Last) => self.is_done = true,
                Token::Done(Done::More) => {}
                Token::Done(Done::Failed) => {
                    let message = "the statement failed, and the server does not say why".to_owned();
                    self.failed.get_or_insert(ServerError { code: 0, class: 16, message });
                }
                Token::Columns(_) if self.has_begun() => return Some(self.second()),
                Token::Columns(wires) => match self.rows.fits(wires.len()) {
                    Ok(()) => self.wires = wires,
                    Err(error) => return Some(Halt::Wrong(error)),
                },
                // The first says why; the rest is read, so that the connection can be used again.
                Token::Failed(error) => self.failed = self.failed.take().or(Some(error)),
            }
        }
    }

    /// The answer broke off. Where the server said why, that is why.
    fn because(&mut self, fault: Fault) -> Halt {
        Halt::Failed(self.failed.take().map_or(fault, Fault::Server))
    }

    /// One statement has one answer.
    fn second(&mut self) -> Halt {
        self.because(Fault::protocol("a second answer comes behind the first"))
    }

    fn has_begun(&self) -> bool {
        !self.wires.is_empty()
    }

    /// Takes a row behind its token; says whether it is all there. If it is not, nothing is taken.
    ///
    /// # Errors
    /// When it is none.
    #[inline]
    fn row(&mut self, bytes: &mut Bytes<'_>, nulls_first: bool) -> Result<bool, Halt> {
        let nulls = match nulls_first {
            true => bytes.take(self.wires.len().div_ceil(8)),
            false => Some(&[][..]),
        };
        let Some(nulls) = nulls else { return Ok(false) };
        self.rows.begin_row(self.wires.len()).map_err(Halt::Wrong)?;
        for (at, wire) in self.wires.iter().enumerate() {
            let is_null = nulls.get(at / 8).is_some_and(|byte| byte >> (at % 8) & 1 == 1);
            if !is_null
                && let Some(column) = self.rows.column(at)
                && let Some(size) = quick(*wire, column, bytes, self.longest)
            {
                self.rows.took(size);
                continue;
            }
            let cell = if is_null { Ok(Some(Cell::Null)) } else { cell(*wire, bytes) };
            match cell {
                Ok(Some(cell)) => self.rows.take(at, &cell).map_err(Halt::Wrong)?,
                Ok(None) => {
                    self.rows.give_up_row();
                    return Ok(false);
                }
                Err(fault) => return Err(self.because(fault)),
            }
        }
        self.rows.end_row().map_err(Halt::Wrong)?;
        Ok(true)
    }

    fn end(&mut self) -> Halt {
        if let Some(error) = self.failed.take() {
            return Halt::Failed(Fault::Server(error));
        }
        if !self.is_done {
            return Halt::Failed(Fault::protocol("the answer breaks off before its end"));
        }
        if !self.has_begun() {
            return Halt::Failed(Fault::protocol("the answer has no rows and says of no column what it is"));
        }
        self.rest().map_or_else(Halt::Wrong, Halt::Ended)
    }

    /// The rows that are in no chunk yet.
    fn rest(&mut self) -> Result<Option<Chunk>, Error> {
        if self.rows.is_empty() { Ok(None) } else { self.rows.finish().map(Some) }
    }
}
