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
use crate::source::ReadRequest;

/// Reads what a server says, and gives how many rows that made. The first byte says how it comes.
fn read(bytes: &[u8]) -> usize {
    let (how, rest) = bytes.split_first().map_or((0, bytes), |(how, rest)| (*how, rest));
    // Either the frames of the packets are made up, too, or only what is in them.
    let said = if how & 1 == 0 { packets(rest) } else { rest.to_vec() };
    let line = Line::over(Memory::new(said, usize::from(how >> 1).max(1) * 16));
    let allowance = Allowance::new();
    allowance.boundless();
    let mut line = SharedLine::new(line.watched(Duration::from_secs(1), allowance));
    let request = ReadRequest { max_cell: 500, batch_rows: 3, ..ReadRequest::all(Arc::new(table(TYPES))) };
    let selection = Selection::new(&request, None).unwrap();
    let mut reader = Reader::new(&request, &selection, 0).unwrap();
    let mut answer = Answer::default();
    answer.begin();
    let mut rows = 0;
    futures::executor::block_on(async {
        loop {
            // A batch is level whatever broke it off, or it could not be made.
            match reader.read(&mut answer, &mut line).await {
                Halt::Full(chunk) => rows += chunk.batch.num_rows(),
                Halt::Ended(rest) | Halt::Oversized(rest) => {
                    break rows + rest.map_or(0, |chunk| chunk.batch.num_rows());
                }
                Halt::Wrong(error) => {
                    assert!(!error.to_string().contains("does not fit together"), "{error:?}");
                    break rows;
                }
                Halt::Unknown | Halt::Endless | Halt::Failed(_) => break rows,
            }
        }
    })
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
