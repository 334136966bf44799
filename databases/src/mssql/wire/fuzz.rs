//! Fuzz target: the answer to a SELECT, as a server may send it.

use std::sync::Arc;
use std::time::Duration;

use super::{Halt, Reader};
use crate::fuzz::{Memory, table};
use crate::mssql::allowance::Allowance;
use crate::mssql::fuzz::{TYPES, packets};
use crate::mssql::select::Selection;
use crate::mssql::shared_line::SharedLine;
use crate::mssql::tls::Line;
use crate::mssql::wire::Answer;
use crate::source::{Chunk, ReadRequest};

/// What became of an answer: its chunks, and how it ended.
pub(super) type Outcome = (Vec<Chunk>, Halt);

/// Reads an answer to a SELECT of columns of these types, so many bytes at once; either way of taking cells, or only the one
/// that knows all of them.
pub(super) fn answered(said: Vec<u8>, piece: usize, types: &[&str], is_quick: bool) -> Outcome {
    let line = Line::over(Memory::new(said, piece));
    let allowance = Allowance::new();
    allowance.boundless();
    let mut line = SharedLine::new(line.watched(Duration::from_secs(1), allowance));
    let request = ReadRequest { max_cell: 500, batch_rows: 3, ..ReadRequest::all(Arc::new(table(types))) };
    let selection = Selection::new(&request, None).unwrap();
    let mut reader = Reader::new(&request, &selection, 0).unwrap();
    reader.longest = if is_quick { reader.longest } else { 0 };
    let mut answer = Answer::default();
    answer.begin();
    let mut chunks = Vec::new();
    let halt = futures::executor::block_on(async {
        loop {
            match reader.read(&mut answer, &mut line).await {
                Halt::Full(chunk) => chunks.push(chunk),
                Halt::Ended(rest) => {
                    chunks.extend(rest);
                    break Halt::Ended(None);
                }
                Halt::Oversized(rest) => {
                    chunks.extend(rest);
                    break Halt::Oversized(None);
                }
                halt => break halt,
            }
        }
    });
    (chunks, halt)
}

/// Reads what a server says, and gives how many rows that made. The first byte says how it comes.
fn read(bytes: &[u8]) -> usize {
    let (how, rest) = bytes.split_first().map_or((0, bytes), |(how, rest)| (*how, rest));
    // Either the frames of the packets are made up, too, or only what is in them.
    let said = if how & 1 == 0 { packets(rest) } else { rest.to_vec() };
    let piece = usize::from(how >> 1).max(1) * 16;
    let (chunks, halt) = answered(said.clone(), piece, TYPES, true);
    // A batch is level whatever broke it off, or it could not be made.
    if let Halt::Wrong(error) = &halt {
        assert!(!error.to_string().contains("does not fit together"), "{error:?}");
    }
    let (others, other) = answered(said, piece, TYPES, false);
    assert_eq!(std::mem::discriminant(&halt), std::mem::discriminant(&other));
    let shown = |chunks: &[Chunk]| format!("{chunks:?}");
    assert_eq!(shown(&chunks), shown(&others));
    chunks.iter().map(|chunk| chunk.batch.num_rows()).sum()
}

#[test]
fn fuzz_tds_wire() {
    bolero::check!(name = "tds_wire").for_each(|bytes| {
        read(bytes);
    });
}

/// A target that stops at the first byte finds nothing.
#[test]
fn the_corpus_comes_as_far_as_rows() {
    assert_eq!(read(include_bytes!("__fuzz__/tds_wire/corpus/whole")), 2);
}
