//! Fuzz targets: what a SQL Server says at the greeting and the login, and rows.

use std::time::Duration;

use futures::StreamExt;
use tiberius::{AuthMethod, Client, Config, EncryptionLevel, QueryItem};
use tokio_util::compat::TokioAsyncWriteCompatExt;

use super::allowance::Allowance;
use super::by_tiberius::Shape;
use super::rows::Rows;
use super::select::{Form, Selection};
use super::tls;
use crate::fuzz::{Memory, table};
use crate::source::ReadRequest;

pub(super) const TYPES: &[&str] = &[
    "int",
    "bigint",
    "tinyint",
    "bit",
    "decimal(38,10)",
    "float",
    "datetime",
    "datetime2(7)",
    "datetimeoffset(7)",
    "date",
    "time(7)",
    "uniqueidentifier",
    "varchar(50)",
    "nvarchar(max)",
    "varbinary(max)",
    "xml",
];

pub(super) fn packets(body: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut pieces = body.chunks(4000).peekable();
    while let Some(piece) = pieces.next() {
        let length = u16::try_from(piece.len() + 8).unwrap_or(u16::MAX).to_be_bytes();
        out.extend([4, u8::from(pieces.peek().is_none()), length[0], length[1], 0, 0, 1, 0]);
        out.extend(piece);
    }
    out
}

/// LOGINACK and DONE.
fn welcome() -> Vec<u8> {
    let mut body = vec![0xAD, 16, 0, 1, 0x74, 0, 0, 4, 3];
    body.extend("SQL".encode_utf16().flat_map(u16::to_le_bytes));
    body.extend([16, 0, 0, 1]);
    body.extend([0xFD, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    packets(&body)
}

/// Lets tiberius and the decoder loose on what a server says after the greeting, and says how many rows that made. The first byte
/// says how it comes.
fn talk(bytes: &[u8], login: &[u8]) -> usize {
    let (how, rest) = bytes.split_first().map_or((0, bytes), |(how, rest)| (*how, rest));
    // Either the frames of the packets are made up, too, or only what is in them.
    let said = if how & 1 == 0 { packets(rest) } else { rest.to_vec() };
    let line = Memory::new([login, &said].concat(), usize::from(how >> 2).max(1) * 16);
    let line = tls::Line::over(line).watched(Duration::from_secs(1), Allowance::new());
    let mut config = Config::new();
    config.authentication(AuthMethod::sql_server("u", "p"));
    config.encryption(EncryptionLevel::NotSupported);
    config.handshake_timeout(None);
    config.command_timeout(None);
    let request = ReadRequest { max_cell: 500, ..ReadRequest::all(std::sync::Arc::new(table(TYPES))) };
    let selection = Selection::new(&request, None).unwrap();
    let form = if how & 2 == 0 { Form::Plain } else { Form::Bytes };
    futures::executor::block_on(async {
        let Ok(mut client) = Client::connect(config, line.compat_write()).await else { return 0 };
        let (shape, mut rows) = (Shape::new(&selection, form), Rows::new(&request, &selection).unwrap());
        let Ok(mut answer) = client.simple_query("SELECT").await else { return 0 };
        while let Some(Ok(item)) = answer.next().await {
            if let QueryItem::Row(row) = item
                && shape.take(&row, &mut rows).is_err()
            {
                break;
            }
        }
        // A batch is level whatever row broke it off: columns are only appended to when all of them can be.
        rows.finish().map_or(0, |chunk| chunk.batch.num_rows())
    })
}

#[test]
fn fuzz_tds_greeting() {
    bolero::check!(name = "tds_greeting").for_each(|bytes| {
        let _ = tls::encryption(bytes);
    });
}

#[test]
fn fuzz_tds_login() {
    bolero::check!(name = "tds_login").for_each(|bytes| {
        talk(bytes, &[]);
    });
}

#[test]
fn fuzz_tds_rows() {
    let login = welcome();
    bolero::check!(name = "tds_rows").for_each(|bytes| {
        talk(bytes, &login);
    });
}

/// A target that stops at the first byte finds nothing.
#[test]
fn the_corpus_comes_as_far_as_rows() {
    assert_eq!(talk(include_bytes!("__fuzz__/tds_rows/corpus/whole"), &welcome()), 2);
}
