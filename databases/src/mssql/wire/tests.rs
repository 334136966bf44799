//! Answers as servers send them, and as none should.

use arrow::array::AsArray;
use arrow::datatypes::Int32Type;
use proptest::prelude::*;

use super::fuzz::answered;
use super::{Halt, environment};
use crate::mssql::fault::Fault;
use crate::mssql::fuzz::packets;

const DONE: [u8; 13] = [0xFD, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

/// The columns of a table of an `int` and a `varchar(max)`, each a NULL-able one, the second of this collation.
fn columns(collation: [u8; 5]) -> Vec<u8> {
    let mut body = vec![0x81, 2, 0];
    body.extend([0, 0, 0, 0, 1, 0, 0x26, 4, 1, b'a', 0]);
    body.extend([0, 0, 0, 0, 1, 0, 0xA7, 0xFF, 0xFF]);
    body.extend(collation);
    body.extend([1, b'b', 0]);
    body
}

const LATIN: [u8; 5] = [0x09, 0x04, 0xD0, 0x00, 0x34];
const UTF8: [u8; 5] = [0x09, 0x04, 0xD0, 0x04, 0x00];

/// A row, its text in pieces of a length that is not known before.
fn row(key: i32, pieces: &[&[u8]]) -> Vec<u8> {
    let mut body = vec![0xD1, 4];
    body.extend(key.to_le_bytes());
    body.extend((u64::MAX - 1).to_le_bytes());
    for piece in pieces {
        body.extend(u32::try_from(piece.len()).unwrap().to_le_bytes());
        body.extend(*piece);
    }
    body.extend([0; 4]);
    body
}

fn error(code: u32) -> Vec<u8> {
    let mut body = code.to_le_bytes().to_vec();
    body.extend([1, 16, 2, 0, b'n', 0, b'o', 0, 0, 0, 1, 0, 0, 0]);
    [vec![0xAA], u16::try_from(body.len()).unwrap().to_le_bytes().to_vec(), body].concat()
}

/// Reads what comes, so many bytes at once: keys and texts, and how it ended.
fn read(said: &[u8], piece: usize) -> (Vec<(i32, String)>, Halt) {
    let (chunks, halt) = answered(said.to_vec(), piece, &["int", "varchar(max)"], true);
    let mut rows = Vec::new();
    for chunk in chunks {
        let keys = chunk.batch.column(0).as_primitive::<Int32Type>();
        let texts = chunk.batch.column(1).as_string::<i32>();
        rows.extend(keys.values().iter().copied().zip(texts.iter().map(|text| text.unwrap_or("NULL").to_owned())));
    }
    (rows, halt)
}

/// Wherever a packet or a reading of the line ends, the rows are the same.
#[test]
fn rows_do_not_depend_on_where_the_pieces_end() {
    let mut body = columns(UTF8);
    // INFO and ORDER between rows, a NULL in a row that says so first, a text in three pieces.
    body.extend(row(1, &["Käse".as_bytes()]));
    body.extend([0xAB, 2, 0, 9, 9, 0xA9, 2, 0, 1, 0]);
    body.extend([0xD2, 0b10, 4, 2, 0, 0, 0]);
    body.extend(row(3, &[b"one ", b"two ", "न".as_bytes()]));
    body.extend(row(4, &[]));
    body.extend(row(5, &[&[b'x'; 300], &[b'y'; 100]]));
    body.extend(DONE);
    let expected: Vec<(i32, String)> = vec![
        (1, "Käse".into()),
        (2, "NULL".into()),
        (3, "one two न".into()),
        (4, String::new()),
        (5, "x".repeat(300) + &"y".repeat(100)),
    ];
    for packet in [1, 2, 3, 7, 50, 4000] {
        let said: Vec<u8> = body
            .chunks(packet)
            .enumerate()
            .flat_map(|(at, piece)| {
                let last = u8::from((at + 1) * packet >= body.len());
                let length = u16::try_from(piece.len() + 8).unwrap().to_be_bytes();
                [&[4, last, length[0], length[1], 0, 0, 1, 0], piece].concat()
            })
            .collect();
        for piece in [1, 5, 64, 100_000] {
            let (rows, halt) = read(&said, piece);
            assert!(matches!(halt, Halt::Ended(_)), "{packet} {piece}");
            assert_eq!(rows, expected, "{packet} {piece}");
        }
    }
}

#[test]
fn an_answer_that_is_none_says_why() {
    let head = || [columns(LATIN), row(1, &[b"a"])].concat();
    let fault = |said: Vec<u8>| match read(&said, 1000).1 {
        Halt::Failed(fault) => fault,
        Halt::Ended(_) => panic!("it ended"),
        Halt::Unknown => Fault::protocol("unknown"),
        _ => panic!("something else"),
    };
    let failed = [0xFD, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let more = [0xFD, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let strange = [0x81, 1, 0, 0, 0, 0, 0, 1, 0, 0xF0];
    let cases: Vec<(&str, Vec<u8>, &str)> = vec![
        ("it breaks off between rows", packets(&head()), "breaks off"),
        ("it says that more comes", packets(&[head(), more.to_vec()].concat()), "breaks off"),
        ("it fails without a word", packets(&[head(), failed.to_vec()].concat()), "error 0"),
        ("it fails", packets(&[head(), error(8623), DONE.to_vec()].concat()), "error 8623"),
        ("the server hangs up with it", packets(&[head(), error(596)].concat()), "error 596"),
        ("half a row", packets(&head()[..head().len() - 3]), "in the middle of a token"),
        ("another answer", packets(&[head(), columns(LATIN), DONE.to_vec()].concat()), "second answer"),
        ("another answer of a strange type", packets(&[head(), strange.to_vec()].concat()), "second answer"),
        ("a strange type", packets(&strange), "unknown"),
        ("no columns", packets(&DONE), "no rows"),
        ("rows without columns", packets(&row(1, &[])), "no token 0xD1"),
        ("empty packets", [4, 0, 0, 8, 0, 0, 1, 0].repeat(3), "packet of an answer is empty"),
        ("something else", b"HTTP/1.1 400 Bad Request".to_vec(), "no packet of an answer"),
        ("nothing", Vec::new(), "closed the connection"),
        (
            "a packet behind the last one",
            [packets(&[head(), DONE.to_vec()].concat()), packets(&DONE)].concat(),
            "behind the end",
        ),
    ];
    for (name, said, expected) in cases {
        let said = fault(said).to_string();
        assert!(said.contains(expected), "{name}: {said}");
    }
}

#[test]
fn what_a_login_and_a_transaction_say() {
    let text = |text: &str| -> Vec<u8> {
        let units: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        [vec![u8::try_from(text.len()).unwrap()], units].concat()
    };
    let change = |body: Vec<u8>| -> Vec<u8> {
        [vec![0xE3], u16::try_from(body.len()).unwrap().to_le_bytes().to_vec(), body].concat()
    };
    let size = change([vec![4], text("16000"), text("4096")].concat());
    let begun = change([vec![8, 8], 0x0123_4567_89AB_CDEF_u64.to_le_bytes().to_vec(), vec![0]].concat());
    let ended = change([vec![10, 0, 8], vec![7; 8]].concat());
    let found = environment(&packets(&[vec![0xAB, 2, 0, 9, 9], size, DONE.to_vec()].concat()));
    assert_eq!((found.packet_size, found.transaction), (Some(16_000), None));
    let found = environment(&packets(&[begun, DONE.to_vec()].concat()));
    assert_eq!(found.transaction, Some(0x0123_4567_89AB_CDEF));
    assert_eq!(environment(&packets(&[ended, vec![0x99, 1]].concat())).transaction, None);
    assert_eq!(environment(b"rubbish"), super::Environment::default());
}

/// The columns of a table of `int`, `bit`, `datetime`, `uniqueidentifier` and `nvarchar(4000)`.
fn common_columns() -> Vec<u8> {
    let mut body = vec![0x81, 5, 0];
    for (kind, name) in [
        (&[0x26, 4][..], b'a'),
        (&[0x68, 1], b'b'),
        (&[0x6F, 8], b'c'),
        (&[0x24, 16], b'd'),
        (&[0xE7, 0x40, 0x1F, LATIN[0], LATIN[1], LATIN[2], LATIN[3], LATIN[4]], b'e'),
    ] {
        body.extend([0, 0, 0, 0, 1, 0]);
        body.extend(kind);
        body.extend([1, name, 0]);
    }
    body
}

type Common = (Option<i32>, Option<bool>, Option<(i32, u32)>, Option<[u8; 16]>, Option<Vec<u16>>);

fn common_row((whole, bit, moment, id, text): &Common) -> Vec<u8> {
    let behind = |value: Option<Vec<u8>>| match value {
        None => vec![0],
        Some(bytes) => [vec![u8::try_from(bytes.len()).unwrap()], bytes].concat(),
    };
    let text = text.as_ref().map(|units| units.iter().flat_map(|unit| unit.to_le_bytes()).collect::<Vec<u8>>());
    let text = match text {
        None => vec![0xFF, 0xFF],
        Some(bytes) => [u16::try_from(bytes.len()).unwrap().to_le_bytes().to_vec(), bytes].concat(),
    };
    let moment = moment.map(|(days, ticks)| [days.to_le_bytes(), ticks.to_le_bytes()].concat());
    [
        vec![0xD1],
        behind(whole.map(|n| n.to_le_bytes().to_vec())),
        behind(bit.map(|bit| vec![u8::from(bit)])),
        behind(moment),
        behind(id.map(|id| id.to_vec())),
        text,
    ]
    .concat()
}

proptest! {
    #[test]
    fn the_quick_way_comes_to_the_same(
        rows in prop::collection::vec(
            (
                any::<Option<i32>>(),
                any::<Option<bool>>(),
                prop::option::of((any::<i32>(), 0u32..30_000_000)),
                any::<Option<[u8; 16]>>(),
                // Nearly always ASCII, some beyond, some no text at all, some longer than a cell may be.
                prop::option::of(prop_oneof![
                    4 => prop::collection::vec(32u16..127, 0..40),
                    1 => prop::collection::vec(any::<u16>(), 0..8),
                    1 => prop::collection::vec(32u16..127, 480..520),
                ]),
            ),
            0..12,
        ),
        piece in 1usize..400,
        cut in 0usize..4000,
    ) {
        let said = [common_columns(), rows.iter().flat_map(common_row).collect(), DONE.to_vec()].concat();
        // Now and then the answer breaks off somewhere.
        let said = said.get(..cut).filter(|_| cut % 3 == 0).map_or_else(|| said.clone(), <[u8]>::to_vec);
        let types = ["int", "bit", "datetime", "uniqueidentifier", "nvarchar(4000)"];
        let (quick, one) = answered(packets(&said), piece, &types, true);
        let (slow, other) = answered(packets(&said), piece, &types, false);
        prop_assert_eq!(std::mem::discriminant(&one), std::mem::discriminant(&other));
        prop_assert_eq!(format!("{quick:?}"), format!("{slow:?}"));
        let seen: usize = quick.iter().map(|chunk| chunk.batch.num_rows() + chunk.refused.len()).sum();
        prop_assert!(!matches!(one, Halt::Ended(_)) || seen == rows.len());
    }
}
