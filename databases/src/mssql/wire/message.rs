//! Messages in packets: a statement on its way out, an answer on its way in (MS-TDS, 2.2.3).

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::mssql::fault::Fault;
use crate::mssql::shared_line::SharedLine;

const HEADER: usize = 8;
const SQL_BATCH: u8 = 1;
const ANSWER: u8 = 4;
const LAST: u8 = 1;
/// The size of packets where none was agreed on.
const USUAL_SIZE: usize = 4096;
/// How much is read at once.
const PIECE: usize = 128 * 1024;
/// From here on twice as much is waited for as is there: what is looked at again each time that more comes is not looked at
/// too often.
const MUCH: usize = 32 * 1024;
/// A buffer that has grown beyond this does not stay with a connection.
const LARGE: usize = 4 * 1024 * 1024;

/// Sends a statement, as part of a transaction (0 for none).
///
/// # Errors
/// When the line breaks.
pub(super) async fn send(
    line: &mut SharedLine,
    sql: &str,
    transaction: u64,
    packet_size: Option<usize>,
) -> Result<(), Fault> {
    let packets = packets(sql, transaction, packet_size.unwrap_or(USUAL_SIZE));
    line.write_all(&packets).await?;
    line.flush().await?;
    Ok(())
}

fn packets(sql: &str, transaction: u64, packet_size: usize) -> Vec<u8> {
    // All headers: their length, and the one of the transaction (length, kind 2, transaction, requests under way).
    let mut body = Vec::with_capacity(22 + sql.len() * 2);
    body.extend(22_u32.to_le_bytes());
    body.extend(18_u32.to_le_bytes());
    body.extend(2_u16.to_le_bytes());
    body.extend(transaction.to_le_bytes());
    body.extend(1_u32.to_le_bytes());
    body.extend(sql.encode_utf16().flat_map(u16::to_le_bytes));
    let size = packet_size.clamp(512, 32_767) - HEADER;
    let mut packets = Vec::with_capacity(body.len() + (body.len() / size + 1) * HEADER);
    let mut pieces = body.chunks(size).peekable();
    let mut number = 1_u8;
    while let Some(piece) = pieces.next() {
        let length = u16::try_from(piece.len() + HEADER).unwrap_or(u16::MAX).to_be_bytes();
        let last = if pieces.peek().is_none() { LAST } else { 0 };
        packets.extend([SQL_BATCH, last, length[0], length[1], 0, 0, number, 0]);
        packets.extend(piece);
        number = number.wrapping_add(1);
    }
    packets
}

/// An answer as far as it is there. It outlives who reads it: on a connection that several take turns on, the next one steps over
/// what the one before left.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    /// What came and is not in `body` yet; only as long as somebody reads.
    piece: Vec<u8>,
    /// The contents of the packets.
    body: Vec<u8>,
    /// How much of it was read.
    start: usize,
    /// The header of the packet that is coming in, as far as it is there.
    header: Vec<u8>,
    /// Bytes of the packet still to come.
    left: usize,
    /// Whether the packet is the last one.
    last: bool,
    /// Whether an answer is under way.
    open: bool,
}

impl Answer {
    /// A statement was sent: an answer will come.
    pub(super) fn begin(&mut self) {
        *self = Answer { open: true, piece: std::mem::take(&mut self.piece), ..Answer::default() };
    }

    /// What was not read yet.
    pub(super) fn bytes(&self) -> &[u8] {
        self.body.get(self.start..).unwrap_or_default()
    }

    /// So many bytes were read.
    pub(super) fn read(&mut self, count: usize) {
        self.start += count;
        if self.start >= self.body.len() {
            self.clear();
        } else if self.start > PIECE {
            self.body.drain(..self.start);
            self.start = 0;
        }
    }

    /// Waits for more, but not for much more than `most` in all; says whether some came before the answer's end.
    ///
    /// # Errors
    /// When the line breaks, or what comes is no packet of an answer.
    pub(super) async fn more(&mut self, line: &mut SharedLine, most: usize) -> Result<bool, Fault> {
        let there = self.bytes().len();
        let wanted = if there < MUCH { there + 1 } else { there.saturating_mul(2).min(most).max(there + 1) };
        while self.open && self.bytes().len() < wanted {
            self.fill(line, true).await?;
        }
        Ok(self.bytes().len() > there)
    }

    /// Steps over what is left of it.
    ///
    /// # Errors
    /// As for [`more`](Answer::more).
    pub(crate) async fn step_over(&mut self, line: &mut SharedLine) -> Result<(), Fault> {
        while self.open {
            self.fill(line, false).await?;
        }
        self.clear();
        Ok(())
    }

    fn clear(&mut self) {
        self.start = 0;
        if self.body.capacity() > LARGE { self.body = Vec::new() } else { self.body.clear() }
    }

    async fn fill(&mut self, line: &mut SharedLine, keep: bool) -> Result<(), Fault> {
        self.piece.resize(PIECE, 0);
        let came = line.read(&mut self.piece).await?;
        if came == 0 {
            return Err(Fault::Line("the server closed the connection".to_owned()));
        }
        let mut rest = self.piece.get(..came).unwrap_or_default();
        while !rest.is_empty() {
            if !self.open {
                return Err(garbled("something comes behind the end of the answer"));
            }
            if self.left == 0 {
                let (part, behind) = rest.split_at(rest.len().min(HEADER - self.header.len()));
                self.header.extend_from_slice(part);
                rest = behind;
                let [kind, status, high, low, _, _, _, _] = *self.header else { break };
                let length = usize::from(u16::from_be_bytes([high, low]));
                if kind != ANSWER || length < HEADER {
                    return Err(garbled("what comes is no packet of an answer"));
                }
                (self.left, self.last) = (length - HEADER, status & LAST != 0);
                if self.left == 0 && !self.last {
                    return Err(garbled("a packet of an answer is empty"));
                }
                self.header.clear();
            }
            let (part, behind) = rest.split_at(rest.len().min(self.left));
            if keep {
                self.body.extend_from_slice(part);
            }
            self.left -= part.len();
            rest = behind;
            if self.left == 0 && self.last {
                self.open = false;
            }
        }
        Ok(())
    }
}

/// What comes is not framed as it must be: the line is no good any more, whatever it carried.
fn garbled(how: &str) -> Fault {
    Fault::Line(how.to_owned())
}

/// The contents of the packets of an answer that was heard.
pub(super) fn contents(mut packets: &[u8]) -> Vec<u8> {
    let mut contents = Vec::new();
    while let Some((&[_, _, high, low, _, _, _, _], rest)) = packets.split_first_chunk::<HEADER>() {
        let length = usize::from(u16::from_be_bytes([high, low])).saturating_sub(HEADER).min(rest.len());
        let (body, behind) = rest.split_at(length);
        contents.extend_from_slice(body);
        packets = behind;
    }
    contents
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_fills_its_packets() {
        let sql = "SELECT 1 ".repeat(200);
        let sent = packets(&sql, 7, 512);
        assert_eq!(sent.get(..8), Some(&[1, 0, 2, 0, 0, 0, 1, 0][..]));
        assert_eq!(sent.get(8 + 10..8 + 18), Some(&[7, 0, 0, 0, 0, 0, 0, 0][..]));
        let body = contents(&sent);
        assert_eq!(body.len(), 22 + sql.len() * 2);
        assert_eq!(sent.len(), body.len() + body.len().div_ceil(504) * 8);
        // The last packet, and none before it, says so.
        let lasts: Vec<u8> = sent.chunks(512).map(|packet| packet[1]).collect();
        assert_eq!(lasts.iter().map(|l| u32::from(*l)).sum::<u32>(), 1);
        assert_eq!(lasts.last(), Some(&1));
    }
}
