//! Fuzz targets of whatever this crate reads as bytes or text. Under `cargo test` each replays its corpus and tries a few random
//! inputs; `make fuzz` runs them by coverage.

mod memory;

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BinaryArray, Decimal128Array, Int32Array, StringArray, TimestampMicrosecondArray};
use arrow::datatypes::{Field, Schema};
use arrow::record_batch::RecordBatch;
use imis_schemas::{Catalog, Column, Engine, Key, Known, Table};

use crate::location::Location;
use crate::snapshot::{SnapshotSink, SnapshotSource};
use crate::source::{Consistency, ReadRequest, Source};

pub(crate) use memory::Memory;

/// A table with a column of each of these types; the first is the key.
pub(crate) fn table(types: &[&str]) -> Table {
    let columns = types.iter().enumerate().map(|(at, data_type)| Column {
        name: format!("c{at}"),
        data_type: (*data_type).into(),
        nullable: at > 0,
        identity: false,
        default: None,
        computed: None,
        collation: Some("Greek_CI_AS".into()),
    });
    Table {
        schema: "s".into(),
        name: "t".into(),
        columns: columns.collect(),
        primary_key: Known::Yes(Some(Key { name: None, columns: vec!["c0".into()] })),
        foreign_keys: Known::No,
        uniques: Known::No,
        indexes: Known::No,
        checks: Known::No,
    }
}

#[test]
fn fuzz_location() {
    bolero::check!(name = "location").for_each(|bytes| {
        let Ok(text) = std::str::from_utf8(bytes) else { return };
        match text.parse::<Location>() {
            Ok(location) => {
                let (shown, debug) = (location.to_string(), format!("{location:?}"));
                let password = match &location {
                    Location::Mssql(address) => address.password.as_ref(),
                    Location::Postgres(address) => address.password.as_ref(),
                    _ => None,
                };
                // A password that is a piece of the rest proves nothing.
                if let Some(password) = password.map(|p| p.reveal()).filter(|p| p.len() > 8 && p.contains("!!secret")) {
                    assert!(!shown.contains(password) && !debug.contains(password));
                }
            }
            Err(error) => assert!(!error.to_string().contains("!!secret")),
        }
    });
}

#[test]
fn fuzz_snapshot_manifest() {
    let catalog = catalog();
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("tables")).unwrap();
    std::fs::write(folder.path().join("catalog.json"), &catalog).unwrap();
    bolero::check!(name = "snapshot_manifest").for_each(|bytes| {
        // The hash of the catalogue cannot be guessed; the word for it can.
        let text = String::from_utf8_lossy(bytes).replace("HASH", &sha256(catalog.as_bytes()));
        std::fs::write(folder.path().join("manifest.json"), text).unwrap();
        if let Ok(snapshot) = SnapshotSource::open(folder.path()) {
            let _ = snapshot.check_files();
            read(&snapshot);
        }
    });
}

#[test]
fn fuzz_snapshot_file() {
    let catalog = catalog();
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("tables")).unwrap();
    std::fs::write(folder.path().join("catalog.json"), &catalog).unwrap();
    let manifest = include_str!("fuzz/manifest.json").replace("HASH", &sha256(catalog.as_bytes()));
    std::fs::write(folder.path().join("manifest.json"), manifest).unwrap();
    let snapshot = SnapshotSource::open(folder.path()).unwrap();
    let whole = parquet_file();
    bolero::check!(name = "snapshot_file").for_each(|bytes| {
        let mut file = whole.clone();
        // Raw bytes rarely come further than the footer; a file with a few bytes changed does.
        if bytes.first().is_some_and(|first| first & 1 == 0) {
            file = bytes.to_vec();
        }
        for change in bytes.chunks_exact(3) {
            let at = usize::from(u16::from_le_bytes([change[0], change[1]])) % whole.len();
            file.get_mut(at).into_iter().for_each(|byte| *byte = change[2]);
        }
        std::fs::write(folder.path().join("tables/s.t.parquet"), file).unwrap();
        read(&snapshot);
    });
}

/// Three rows of the table, as a snapshot has them.
fn parquet_file() -> Vec<u8> {
    let catalog = Arc::new(Catalog::parse(&catalog()).unwrap());
    let folder = tempfile::tempdir().unwrap();
    let into = folder.path().join("snapshot");
    let sink = SnapshotSink::create(&into, Arc::clone(&catalog), "a test".to_owned(), Consistency::Frozen).unwrap();
    let mut file = sink.table(&catalog.tables[0]).unwrap();
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int32Array::from(vec![1, 2, 3])),
        Arc::new(StringArray::from(vec![Some("one"), None, Some("two and a half")])),
        Arc::new(Decimal128Array::from(vec![Some(1), Some(-2), None]).with_precision_and_scale(18, 2).unwrap()),
        Arc::new(TimestampMicrosecondArray::from(vec![Some(0), None, Some(7)]).with_timezone("UTC")),
        Arc::new(BinaryArray::from(vec![Some(&b"\x01"[..]), None, Some(&b""[..])])),
    ];
    let names = catalog.tables[0].columns.iter().map(|c| c.name.clone());
    let fields = names.zip(&columns).map(|(name, column)| Field::new(name, column.data_type().clone(), true));
    let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    file.write(&RecordBatch::try_new(schema, columns).unwrap()).unwrap();
    sink.close(file).unwrap();
    std::fs::read(into.join("tables/s.t.parquet")).unwrap()
}

fn catalog() -> String {
    let mut catalog = Catalog::new(Engine::Postgres);
    catalog.tables = vec![table(&["integer", "text", "numeric(18,2)", "timestamp with time zone", "bytea"])];
    catalog.to_json()
}

fn sha256(bytes: &[u8]) -> String {
    use sha2::Digest;
    sha2::Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn read(snapshot: &SnapshotSource) {
    let read = async {
        let catalog = snapshot.catalog().await.unwrap();
        for table in &catalog.tables {
            let _ = snapshot.count(table).await;
            let mut rows = snapshot.read(ReadRequest::all(Arc::new(table.clone())));
            while let Some(Ok(_)) = futures::StreamExt::next(&mut rows).await {}
        }
    };
    runtime().block_on(read);
}

/// A runtime for one thread.
pub(crate) fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}
