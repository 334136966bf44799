//! Fuzz targets: the rows of COPY, numbers, and what a server says at the login.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use imis_schemas::Engine;
use tokio_postgres::NoTls;

use super::copy::CopyEncoder;
use super::decode::Decoder;
use super::guard::{Guard, RowLimit};
use super::numeric;
use crate::fuzz::{Memory, runtime, table};

const TYPES: &[&str] = &[
    "integer",
    "bigint",
    "smallint",
    "boolean",
    "real",
    "double precision",
    "numeric(18,2)",
    "date",
    "time without time zone",
    "timestamp without time zone",
    "timestamp with time zone",
    "text",
    "bytea",
];

#[test]
fn fuzz_copy_rows() {
    let columns = table(TYPES).columns.iter().map(|c| c.typed(Engine::Postgres)).collect::<Vec<_>>();
    let encoder = CopyEncoder::new(columns.clone()).unwrap();
    let decoder = || Decoder::new(columns.clone(), vec![0], 1000);
    bolero::check!(name = "copy_rows").for_each(|bytes| {
        let mut read = decoder();
        // The pieces are as the first byte says, and how they are cut makes no difference.
        let piece = usize::from(bytes.first().copied().unwrap_or(1)).max(1);
        if bytes.chunks(piece).any(|piece| read.feed(&Bytes::copy_from_slice(piece)).is_err()) {
            return;
        }
        let Some(chunk) = read.take().unwrap() else { return };
        // What was read is written, and read again it is the same.
        let mut written = BytesMut::new();
        encoder.header(&mut written);
        encoder.batch(&chunk.batch, &mut written).unwrap();
        encoder.trailer(&mut written);
        let mut again = decoder();
        again.feed(&written.freeze()).unwrap();
        let again = again.take().unwrap().map_or_else(|| chunk.batch.slice(0, 0), |again| again.batch);
        assert_eq!(format!("{:?}", again), format!("{:?}", chunk.batch));
    });
}

#[test]
fn fuzz_numeric() {
    bolero::check!(name = "numeric").for_each(|bytes| {
        let (scale, field) = bytes.split_first().map_or((0, bytes), |(first, rest)| (first % 39, rest));
        let signed = i8::try_from(scale).unwrap();
        if let Some(value) = numeric::get(field, signed) {
            let mut written = BytesMut::new();
            numeric::put(&mut written, value, scale);
            assert_eq!(numeric::get(&written[4..], signed), Some(value));
        }
        if let Some((value, scale)) = std::str::from_utf8(field).ok().and_then(numeric::parse) {
            let mut written = BytesMut::new();
            numeric::put(&mut written, value, scale);
        }
    });
}

#[test]
fn fuzz_postgres_login() {
    let config = {
        let mut config = tokio_postgres::Config::new();
        config.user("u").password("p").dbname("d").ssl_mode(tokio_postgres::config::SslMode::Disable);
        config
    };
    bolero::check!(name = "postgres_login").for_each(|bytes| {
        let piece = usize::from(bytes.first().copied().unwrap_or(1));
        let line = Memory::new(bytes.get(1..).unwrap_or_default().to_vec(), piece);
        let guarded = Guard::new(line, RowLimit::new(1000), Duration::from_secs(1));
        runtime().block_on(async {
            if let Ok((client, connection)) = config.connect_raw(guarded, NoTls).await {
                let connection = async { connection.await.err() };
                let ask = client.query("SELECT 1", &[]);
                let _ = futures::join!(ask, connection);
            }
        });
    });
}
