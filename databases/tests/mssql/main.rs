//! SQL Server as a source, against a server on the loopback.
// The functions that prepare a test may fail like the test itself.
#![allow(clippy::unwrap_used)]

mod consistency;

use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Float32Array, Float64Array,
    Int16Array, Int32Array, Int64Array, StringArray, Time64MicrosecondArray, TimestampMicrosecondArray, UInt8Array,
};
use arrow::record_batch::RecordBatch;
// `make fuzz` instruments every test of the crate; what that calls comes with this.
use bolero as _;
use futures::{StreamExt, TryStreamExt};
use imis_databases::mssql::MssqlSource;
use imis_databases::{
    ErrorKind, KeyRange, Location, MssqlAddress, ReadRequest, RefusedRow, Secret, Source, Wish, plan_ranges,
};
use imis_fixtures::sqlserver::{Fault, FaultKind, Options, SqlServer, Tables, Tls, TlsLimit, surrogate_text};
use imis_schemas::{Catalog, Column, Engine, Key, Known, Table, release};

const PASSWORD: &str = "Secret!1";

/// Facts and demo rows, where they are; a test without them says so and passes.
fn shared() -> Option<PathBuf> {
    let folder = std::env::var_os("IMIS_SHARED").map(PathBuf::from);
    let folder = folder.unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared"));
    let there = folder.join("demo").is_dir();
    if !there {
        eprintln!("NOT RUN: there is no {}; set IMIS_SHARED", folder.join("demo").display());
    }
    there.then_some(folder)
}

fn address(server: &SqlServer, options: &str) -> MssqlAddress {
    let text = format!("mssql://sa@127.0.0.1:{}/IMIS?{options}", server.port());
    let Ok(Location::Mssql(address)) = text.parse::<Location>() else { panic!("{text}") };
    MssqlAddress { password: Some(Secret::new(PASSWORD)), ..address }
}

async fn plain(options: Options) -> (SqlServer, MssqlSource) {
    let server = SqlServer::start(options).unwrap();
    let source = MssqlSource::connect(&address(&server, "encrypt=off")).await.unwrap();
    (server, source)
}

/// The same server through each of those who can read its rows.
async fn by_each_driver(options: Options) -> (SqlServer, Vec<MssqlSource>) {
    let server = SqlServer::start(options).unwrap();
    let mut sources = Vec::new();
    for driver in ["own", "tiberius"] {
        let address = address(&server, &format!("encrypt=off&driver={driver}"));
        sources.push(MssqlSource::connect(&address).await.unwrap());
    }
    (server, sources)
}

fn table(name: &str, columns: &[(&str, &str)], key: &[&str]) -> Table {
    let column = |(name, data_type): &(&str, &str)| Column {
        name: (*name).into(),
        data_type: (*data_type).into(),
        nullable: !key.contains(name),
        identity: false,
        default: None,
        computed: None,
        collation: None,
    };
    let columns_of_key = key.iter().map(|k| (*k).to_owned()).collect::<Vec<_>>();
    Table {
        schema: "dbo".into(),
        name: name.into(),
        columns: columns.iter().map(column).collect(),
        primary_key: Known::Yes((!key.is_empty()).then_some(Key { name: None, columns: columns_of_key })),
        foreign_keys: Known::Yes(vec![]),
        uniques: Known::Yes(vec![]),
        indexes: Known::Yes(vec![]),
        checks: Known::Yes(vec![]),
    }
}

fn catalog(tables: Vec<Table>) -> Catalog {
    let mut catalog = Catalog::new(Engine::Mssql);
    catalog.collation = Some("SQL_Latin1_General_CP1_CI_AS".into());
    catalog.tables = tables;
    catalog
}

fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, array)| (name, array, true))).unwrap()
}

/// All rows and all refusals of a request.
async fn read(source: &dyn Source, request: ReadRequest) -> (Vec<RecordBatch>, Vec<RefusedRow>) {
    let chunks: Vec<_> = source.read(request).try_collect().await.unwrap();
    let refused = chunks.iter().flat_map(|c| c.refused.clone()).collect();
    (chunks.into_iter().map(|c| c.batch).collect(), refused)
}

fn ids(batches: &[RecordBatch]) -> Vec<i32> {
    let of = |b: &RecordBatch| {
        b.column_by_name("Id").unwrap().as_primitive::<arrow::datatypes::Int32Type>().values().to_vec()
    };
    batches.iter().flat_map(of).collect()
}

/// What an introspection says more or less than a release, which was made from a script.
/// Babelfish keeps the names of constraints in lower case only.
fn comparable(catalog: &Catalog, lower_case: bool) -> Catalog {
    let fold = |name: &mut String| {
        if lower_case {
            *name = name.to_lowercase();
        }
    };
    let original = catalog;
    let mut catalog = catalog.clone();
    // A script may write the columns of a key in another case than the table has them.
    let spell = |table: &str, columns: &mut [String]| {
        for name in columns {
            let column = original.table(table).and_then(|t| t.column(name));
            *name = column.map(|c| c.name.clone()).unwrap();
        }
    };
    for table in &mut catalog.tables {
        if let Known::Yes(Some(key)) = &mut table.primary_key {
            key.name = None;
            spell(&table.name, &mut key.columns);
        }
        if let Known::Yes(keys) = &mut table.foreign_keys {
            for key in keys {
                key.references = original.table(&key.references.name).unwrap().table_name();
                spell(&table.name, &mut key.columns);
                spell(&key.references.name, &mut key.referenced_columns);
            }
        }
        // A script tells keys only where it was asked for them; the server always knows.
        table.foreign_keys = Known::Yes(table.foreign_keys.items().to_vec());
        table.uniques = Known::Yes(table.uniques.items().to_vec());
        table.indexes = Known::Yes(table.indexes.items().to_vec());
        table.checks = Known::Yes(table.checks.items().to_vec());
        let lists = (&mut table.foreign_keys, &mut table.uniques, &mut table.indexes, &mut table.checks);
        if let (Known::Yes(keys), Known::Yes(uniques), Known::Yes(indexes), Known::Yes(checks)) = lists {
            keys.iter_mut().for_each(|k| fold(&mut k.name));
            uniques.iter_mut().for_each(|u| fold(&mut u.name));
            indexes.iter_mut().for_each(|i| fold(&mut i.name));
            checks.iter_mut().for_each(|c| fold(&mut c.name));
        }
    }
    (catalog.server, catalog.collation) = (None, None);
    catalog.routines = Known::Yes(catalog.routines.items().to_vec());
    catalog.types = Known::Yes(catalog.types.items().to_vec());
    catalog
}

#[tokio::test]
async fn the_catalogue_comes_back() {
    let release = release("legacy/24.04").unwrap();
    let babelfish = |mut options: Options| {
        options.lower_case_names = true;
        options.version_text = Some("Babelfish for PostgreSQL with SQL Server Compatibility - 12.0.2000.8".into());
        options.missing = ["sys.parameters", "information_schema.referential_constraints"].map(str::to_owned).to_vec();
        options
    };
    let old = |mut options: Options| {
        options.version = "10.0.6814.4".into();
        options
    };
    let kinds: [(&dyn Fn(Options) -> Options, bool); 3] =
        [(&|options| options, false), (&old, false), (&babelfish, true)];
    for (kind, lower_case) in kinds {
        let options = Options::new(Tables::new(release.clone()).unwrap(), PASSWORD);
        let (_server, source) = plain(kind(options)).await;
        let start = std::time::Instant::now();
        let catalog = source.catalog().await.unwrap();
        eprintln!("introspected in {:?}", start.elapsed());
        assert_eq!(catalog.notes, Vec::<String>::new());
        assert!(catalog.server.is_some() && catalog.collation.is_some());
        let (came, expected) = (comparable(&catalog, lower_case), comparable(&release, lower_case));
        for (came, expected) in came.tables.iter().zip(&expected.tables) {
            assert_eq!(came, expected);
        }
        assert_eq!(came, expected);
    }
}

#[tokio::test]
async fn what_cannot_be_asked_stays_unknown() {
    let release = release("legacy/24.04").unwrap();
    let mut options = Options::new(Tables::new(release).unwrap(), PASSWORD);
    let missing = ["sys.indexes", "sys.foreign_keys", "sys.check_constraints", "sys.objects", "sys.sql_modules"];
    options.missing = missing.map(str::to_owned).to_vec();
    options.hidden_tables = vec!["tblUsers".into()];
    let (_server, source) = plain(options).await;
    let catalog = source.catalog().await.unwrap();
    let insuree = catalog.table("tblInsuree").unwrap();
    assert_eq!(insuree.key_columns(), ["InsureeID"]);
    assert!(insuree.foreign_keys.is_unknown() && insuree.indexes.is_unknown() && insuree.checks.is_unknown());
    assert!(catalog.routines.is_unknown() && !catalog.views.items().is_empty());
    assert!(catalog.table("tblUsers").is_none());
    assert!(catalog.notes.iter().any(|n| n.contains("foreign keys")), "{:?}", catalog.notes);
}

#[tokio::test]
async fn the_demo_rows_come_whole_and_in_ranges() {
    let Some(shared) = shared() else { return };
    let folder = shared.join("demo");
    let tables = Tables::csv(release("legacy/24.04").unwrap(), &folder).unwrap();
    let (_server, sources) = by_each_driver(Options::new(tables, PASSWORD)).await;
    for source in sources {
        demo_rows_come(&source, &folder).await;
    }
}

async fn demo_rows_come(source: &MssqlSource, folder: &std::path::Path) {
    let catalog = source.catalog().await.unwrap();
    let mut rows = 0;
    for table in &catalog.tables {
        let lines = csv::Reader::from_path(folder.join(format!("{}.csv", table.name)));
        let lines = lines.map_or(0, |mut reader| reader.records().count());
        let whole = ReadRequest::all(Arc::new(table.clone()));
        let (batches, refused) = read(source, whole.clone()).await;
        let read_whole = batches.iter().map(RecordBatch::num_rows).sum::<usize>();
        assert_eq!((read_whole, refused.len()), (lines, 0), "{}", table.name);
        assert_eq!(source.count(table).await.unwrap(), lines as u64, "{}", table.name);
        let ranges = plan_ranges(source, table, Engine::Mssql, lines as u64, 7).await.unwrap();
        let mut read_in_ranges = 0;
        for range in ranges {
            let (batches, _) = read(source, whole.clone().range(range)).await;
            read_in_ranges += batches.iter().map(RecordBatch::num_rows).sum::<usize>();
        }
        assert_eq!(read_in_ranges, lines, "{}", table.name);
        rows += lines;
    }
    assert_eq!(rows, 5948);
}

/// Every type with its extremes: what is put into the server comes out, to the last digit.
#[tokio::test]
async fn every_type_comes_exactly() {
    let decimal = |values: Vec<Option<i128>>, precision, scale| -> ArrayRef {
        Arc::new(Decimal128Array::from(values).with_precision_and_scale(precision, scale).unwrap())
    };
    let wall = |values: Vec<Option<i64>>| -> ArrayRef { Arc::new(TimestampMicrosecondArray::from(values)) };
    let texts = |a: &str, b: &str| -> ArrayRef { Arc::new(StringArray::from(vec![Some(a), Some(b), None])) };
    let bytes = |a: &[u8], b: &[u8]| -> ArrayRef { Arc::new(BinaryArray::from(vec![Some(a), Some(b), None])) };
    let long = "x".repeat(20_000);
    let long_unicode = "юने😀".repeat(5_000);
    let largest = 10_i128.pow(38) - 1;
    // 1753-01-01 00:00:00.003 and 9999-12-31 23:59:59.997; 0001-01-01 and 9999-12-31 23:59:59.999999.
    let (first, last) = (-6_847_804_799_997_000, 253_402_300_799_997_000);
    let (least, greatest) = (-62_135_596_800_000_000, 253_402_300_799_999_999);
    let columns: Vec<(&str, &str, ArrayRef)> = vec![
        ("Id", "bigint", Arc::new(Int64Array::from(vec![i64::MIN, 0, i64::MAX]))),
        ("bt", "bit", Arc::new(BooleanArray::from(vec![Some(true), Some(false), None]))),
        ("ti", "tinyint", Arc::new(UInt8Array::from(vec![Some(255), Some(0), None]))),
        ("si", "smallint", Arc::new(Int16Array::from(vec![Some(i16::MIN), Some(i16::MAX), None]))),
        ("i", "int", Arc::new(Int32Array::from(vec![Some(i32::MIN), Some(i32::MAX), None]))),
        ("bi", "bigint", Arc::new(Int64Array::from(vec![Some(i64::MIN), Some(i64::MAX), None]))),
        (
            "dc",
            "decimal(38,10)",
            decimal(vec![Some(-12_345_678_901_234_567_890_123_456_780_123_456_789), Some(largest), None], 38, 10),
        ),
        ("nm", "numeric(9,3)", decimal(vec![Some(-999_999_999), Some(1), None], 9, 3)),
        ("d18", "decimal(18,2)", decimal(vec![Some(-999_999_999_999_999_999), Some(0), None], 18, 2)),
        ("d28", "decimal(28,0)", decimal(vec![Some(10_i128.pow(28) - 1), Some(-1), None], 28, 0)),
        ("mo", "money", decimal(vec![Some(i64::MIN.into()), Some(i64::MAX.into()), None], 19, 4)),
        ("smo", "smallmoney", decimal(vec![Some(i32::MIN.into()), Some(i32::MAX.into()), None], 10, 4)),
        ("fl", "float", Arc::new(Float64Array::from(vec![Some(f64::MAX), Some(-5e-324), None]))),
        ("re", "real", Arc::new(Float32Array::from(vec![Some(f32::MAX), Some(1.1), None]))),
        ("dt", "date", Arc::new(Date32Array::from(vec![Some(-719_162), Some(2_932_896), None]))),
        ("t7", "time(7)", Arc::new(Time64MicrosecondArray::from(vec![Some(86_399_999_999), Some(0), None]))),
        ("t0", "time(0)", Arc::new(Time64MicrosecondArray::from(vec![Some(86_399_000_000), Some(1_000_000), None]))),
        ("dtm", "datetime", wall(vec![Some(first), Some(last), None])),
        ("sdt", "smalldatetime", wall(vec![Some(-2_208_988_800_000_000), Some(3_453_148_740_000_000), None])),
        ("dt2", "datetime2(7)", wall(vec![Some(least), Some(greatest), None])),
        ("dt23", "datetime2(3)", wall(vec![Some(1_709_210_096_789_000), Some(-1_000), None])),
        (
            "dto",
            "datetimeoffset(7)",
            Arc::new(
                TimestampMicrosecondArray::from(vec![Some(1_709_188_196_123_456), Some(least), None])
                    .with_timezone("UTC"),
            ),
        ),
        ("ch", "char(5)", texts("ab   ", "     ")),
        ("vc", "varchar(20)", texts("varchar é€", "")),
        ("vcm", "varchar(max)", texts(&long, "")),
        ("tx", "text", texts(&long, "")),
        ("nc", "nchar(5)", texts("न    ", "     ")),
        ("nv", "nvarchar(20)", texts("नेपाल 😀", "")),
        ("nvm", "nvarchar(max)", texts(&long_unicode, "")),
        ("nt", "ntext", texts(&long_unicode, "")),
        ("bn", "binary(4)", bytes(&[1, 0, 0, 0], &[0; 4])),
        ("vb", "varbinary(8)", bytes(&[1, 2], b"")),
        ("vbm", "varbinary(max)", bytes(&[0x61; 30_000], b"")),
        ("im", "image", bytes(&[0xff], b"")),
        (
            "ui",
            "uniqueidentifier",
            texts("6f9619ff-8b86-d011-b42d-00c04fc964ff", "00000000-0000-0000-0000-000000000000"),
        ),
        ("xm", "xml", texts("<a b=\"1\">न</a>", "<a/>")),
        ("rv", "timestamp", bytes(&[0, 0, 0, 0, 0, 0, 7, 0xd1], &[0xff; 8])),
        ("Odd ]Name", "nvarchar(10)", texts("'", "x")),
    ];
    let types = columns.iter().map(|(name, data_type, _)| (*name, *data_type)).collect::<Vec<_>>();
    let rows = batch(columns.iter().map(|(name, _, array)| (*name, array.clone())).collect());
    for key in [&["Id"][..], &[]] {
        let zoo = table("Zoo", &types, key);
        let tables = Tables::new(catalog(vec![zoo.clone()])).unwrap().with_batches("Zoo", vec![rows.clone()]).unwrap();
        let (_server, sources) = by_each_driver(Options::new(tables, PASSWORD)).await;
        for source in sources {
            let (came, refused) = read(&source, ReadRequest::all(Arc::new(zoo.clone()))).await;
            assert!(refused.is_empty(), "{refused:?}");
            let came = arrow::compute::concat_batches(&came[0].schema(), &came).unwrap();
            for (name, data_type, array) in &columns {
                let column = came.column_by_name(name).unwrap();
                assert_eq!(column.data_type(), array.data_type(), "{data_type}");
                assert!(column.to_data() == array.to_data(), "{data_type}: {column:?} instead of {array:?}");
            }
            assert_eq!(source.cut_seconds(), vec![]);
        }
    }
}

/// Rows go the fast road, in a transaction too; and the other one where the address says so or a type is not known there. By what the
/// server was asked it is seen who asked: only tiberius needs a cast of money.
#[tokio::test]
async fn rows_go_the_road_that_was_chosen() {
    let prices = table("Price", &[("Id", "int"), ("Price", "money")], &["Id"]);
    let cents: ArrayRef = Arc::new(Decimal128Array::from(vec![-1, 12_500]).with_precision_and_scale(19, 4).unwrap());
    let rows = batch(vec![("Id", Arc::new(Int32Array::from(vec![1, 2])) as ArrayRef), ("Price", Arc::clone(&cents))]);
    let served = Tables::new(catalog(vec![prices.clone()])).unwrap().with_batches("Price", vec![rows]).unwrap();
    let server = SqlServer::start(Options { snapshot_isolation: 1, ..Options::new(served, PASSWORD) }).unwrap();
    for (driver, wish, casts) in [
        ("own", Wish::Fuzzy, 0),
        ("own", Wish::SingleTransaction, 0),
        ("tiberius", Wish::Fuzzy, 1),
        ("tiberius", Wish::SingleTransaction, 1),
    ] {
        let address = address(&server, &format!("encrypt=off&driver={driver}"));
        let source = MssqlSource::connect_as(&address, wish).await.unwrap();
        let before = server.statements().len();
        let (batches, _) = read(&source, ReadRequest::all(Arc::new(prices.clone()))).await;
        assert_eq!(batches[0].column(1), &cents, "{driver} {wish:?}");
        let asked = server.statements().into_iter().skip(before);
        let seen = asked.filter(|sql| sql.contains("CAST([Price] AS decimal")).count();
        assert_eq!(seen, casts, "{driver} {wish:?}");
    }
}

/// Tables with texts that are none: in rows 5 and 23 of 40.
fn broken() -> (Tables, Table, Table, Table) {
    let ids = (0..40).collect::<Vec<i32>>();
    let bad = surrogate_text(&[0x41, 0xD83D, 0x42]);
    let text = |id: &i32| if [5, 23].contains(id) { bad.clone() } else { format!("नेपाल {id}") };
    let names = ids.iter().map(|id| format!("key {id}")).collect::<Vec<_>>();
    let rows = batch(vec![
        ("Id", Arc::new(Int32Array::from(ids.clone())) as ArrayRef),
        ("Code", Arc::new(StringArray::from(names))),
        ("Word", Arc::new(StringArray::from(vec!["γ"; 40]))),
        ("Name", Arc::new(StringArray::from(ids.iter().map(text).collect::<Vec<_>>()))),
    ]);
    let columns = [("Id", "int"), ("Code", "nvarchar(20)"), ("Word", "varchar(5)"), ("Name", "nvarchar(50)")];
    let mut tables =
        [table("ByNumber", &columns, &["Id"]), table("ByCode", &columns, &["Code"]), table("ByNothing", &columns, &[])];
    for table in &mut tables {
        table.columns[2].collation = Some("Greek_CI_AS".into());
    }
    let mut served = Tables::new(catalog(tables.to_vec())).unwrap();
    for table in &tables {
        served = served.with_batches(&table.name, vec![rows.clone()]).unwrap();
    }
    let [by_number, by_code, by_nothing] = tables;
    (served, by_number, by_code, by_nothing)
}

#[tokio::test]
async fn a_text_that_is_none_costs_its_row_only() {
    let (served, by_number, by_code, by_nothing) = broken();
    let (server, sources) = by_each_driver(Options { snapshot_isolation: 1, ..Options::new(served, PASSWORD) }).await;
    let mut sources: Vec<_> = sources.into_iter().zip([1, 4]).map(|(source, rows)| (rows, source)).collect();
    for (batch_rows, driver) in [(1, "own"), (4, "own"), (100, "own"), (4, "tiberius"), (100, "tiberius")] {
        let address = address(&server, &format!("encrypt=off&driver={driver}"));
        sources.push((batch_rows, MssqlSource::connect_as(&address, Wish::SingleTransaction).await.unwrap()));
        sources.push((batch_rows, MssqlSource::connect(&address).await.unwrap()));
    }
    let key = |name: &str, value: &str| vec![(name.to_owned(), value.to_owned())];
    let cases = [
        (by_number, vec![key("Id", "5"), key("Id", "23")]),
        (by_code, vec![key("Code", "key 5"), key("Code", "key 23")]),
        (by_nothing, vec![vec![], vec![]]),
    ];
    let sound = (0..40).filter(|id| ![5, 23].contains(id)).collect::<Vec<_>>();
    for (table, keys) in cases {
        for (batch_rows, source) in &sources {
            let batch_rows = *batch_rows;
            let request = ReadRequest { batch_rows, ..ReadRequest::all(Arc::new(table.clone())) };
            let (batches, refused) = read(source, request).await;
            assert_eq!(ids(&batches), sound, "{} {batch_rows}", table.name);
            assert_eq!(refused.iter().map(|r| r.key.clone()).collect::<Vec<_>>(), keys, "{}", table.name);
            assert!(refused.iter().all(|r| r.column == "Name" && r.reason.contains("UTF-16")), "{refused:?}");
            let words =
                batches.iter().flat_map(|b| b.column(2).as_string::<i32>().iter().flatten().collect::<Vec<_>>());
            assert!(words.into_iter().all(|w| w == "γ"));
            assert!(batches.iter().all(|b| b.num_rows() <= batch_rows));
        }
    }
}

#[tokio::test]
async fn a_range_holds_its_own_rows_only() {
    let (served, by_number, _, _) = broken();
    let (_server, sources) = by_each_driver(Options::new(served, PASSWORD)).await;
    let table = Arc::new(by_number);
    let range = |from, to| KeyRange { column: Some("Id".into()), from, to };
    for source in sources {
        assert_eq!(source.bounds(&table, "Id").await.unwrap(), Some((0, 39)));
        // The key need not be among the columns that are asked for.
        let cases = [(None, Some(6), 5, 1), (Some(6), Some(23), 17, 0), (Some(23), None, 16, 1)];
        for (from, to, expected, refused) in cases {
            let request = ReadRequest::all(table.clone()).columns(vec!["Name".into()]).range(range(from, to));
            let (batches, came_refused) = read(&source, request).await;
            assert!(batches.iter().all(|b| b.num_columns() == 1));
            let rows = batches.iter().map(RecordBatch::num_rows).sum::<usize>();
            assert_eq!((rows, came_refused.len()), (expected, refused));
        }
    }
}

#[tokio::test]
async fn a_cell_that_is_too_large_costs_its_row_only() {
    let photos = table("Photo", &[("Id", "int"), ("Photo", "varbinary(max)")], &["Id"]);
    // The third is larger than what is let in from the line, so that its reading is broken off.
    let sizes = [10, 2_000, 3 << 20, 20];
    let bytes = sizes.map(|n| vec![7_u8; n]);
    let rows = batch(vec![
        ("Id", Arc::new(Int32Array::from(vec![1, 2, 3, 4])) as ArrayRef),
        ("Photo", Arc::new(BinaryArray::from(bytes.iter().map(Vec::as_slice).collect::<Vec<_>>()))),
    ]);
    let served = Tables::new(catalog(vec![photos.clone()])).unwrap().with_batches("Photo", vec![rows]).unwrap();
    let (_server, sources) = by_each_driver(Options::new(served, PASSWORD)).await;
    for source in sources {
        let request = ReadRequest { max_cell: 1_000, ..ReadRequest::all(Arc::new(photos.clone())) };
        let (batches, refused) = read(&source, request).await;
        assert_eq!(ids(&batches), [1, 4]);
        let refused =
            refused.iter().map(|r| (r.key[0].1.as_str(), r.column.as_str(), r.reason.as_str())).collect::<Vec<_>>();
        let reason = |size: usize| format!("the cell has {size} bytes, more than the 1000 that are allowed");
        assert_eq!(refused, [("2", "Photo", reason(2_000).as_str()), ("3", "Photo", reason(3 << 20).as_str())]);
    }
}

#[tokio::test]
async fn a_stream_that_is_dropped_leaves_the_source_usable() {
    let (served, by_number, _, _) = broken();
    let options = Options::new(served.repeat("ByNumber", 1_000).unwrap(), PASSWORD);
    let (_server, sources) = by_each_driver(options).await;
    for source in sources {
        outlives_dropped_streams(source, Arc::new(by_number.clone())).await;
    }
}

async fn outlives_dropped_streams(source: MssqlSource, table: Arc<Table>) {
    for _ in 0..3 {
        let request = ReadRequest { batch_rows: 2, ..ReadRequest::all(table.clone()).columns(vec!["Id".into()]) };
        let mut stream = source.read(request);
        assert_eq!(stream.next().await.unwrap().unwrap().batch.num_rows(), 2);
        drop(stream);
        assert_eq!(source.count(&table).await.unwrap(), 40_000);
    }
    let request = |from, to| {
        let range = KeyRange { column: Some("Id".into()), from, to };
        ReadRequest::all(table.clone()).columns(vec!["Id".into()]).range(range)
    };
    let (first, second) =
        futures::join!(read(&source, request(None, Some(10))), read(&source, request(Some(10), Some(40))));
    assert_eq!((ids(&first.0).len(), ids(&second.0).len()), (10, 30));
}

#[tokio::test]
async fn the_door_says_why_it_is_closed() {
    let options = |tls, tls_limit| Options { tls, tls_limit, ..Options::new(broken().0, PASSWORD) };
    let clear = SqlServer::start(options(Tls::NotSupported, TlsLimit::Tls12)).unwrap();
    let secure = SqlServer::start(options(Tls::Required, TlsLimit::Tls12)).unwrap();
    let ancient = SqlServer::start(options(Tls::Required, TlsLimit::Tls10)).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let ca = |server: &SqlServer, name: &str| {
        let file = folder.path().join(name);
        std::fs::write(&file, server.certificate_pem().unwrap()).unwrap();
        format!("ca={}", file.display())
    };
    let (secure_ca, ancient_ca) = (ca(&secure, "secure.pem"), ca(&ancient, "ancient.pem"));
    let with = |address: MssqlAddress, database: &str, password: &str| MssqlAddress {
        database: database.into(),
        password: Some(Secret::new(password)),
        ..address
    };
    let down = MssqlAddress { port: Some(1), ..address(&clear, "") };
    // Something that takes connections and says nothing.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let silent_port = silent.local_addr().unwrap().port();
    let mute = MssqlAddress { port: Some(silent_port), connect_timeout: 1, ..address(&clear, "") };
    let cases = [
        (address(&clear, "encrypt=off"), None),
        (address(&secure, &secure_ca), None),
        (address(&secure, "trust=any"), None),
        (address(&ancient, &format!("{ancient_ca}&tls=old")), None),
        (address(&clear, ""), Some(("offers no encryption", "encrypt=off"))),
        (address(&secure, ""), Some(("not trusted", "ca=FILE"))),
        (address(&secure, "encrypt=off"), Some(("insists on encryption", "encrypt=off"))),
        (address(&ancient, &ancient_ca), Some(("no TLS protocol", "tls=old"))),
        (
            with(address(&clear, "encrypt=off"), "IMIS", "Wrong!2"),
            Some(("refuses the login sa", "IMIS_MSSQL_PASSWORD")),
        ),
        (with(address(&clear, "encrypt=off"), "Nowhere", PASSWORD), Some(("database Nowhere", "name"))),
        (mute, Some(("did not answer within 1 s", "timeout="))),
        (down, Some(("nothing listens at 127.0.0.1:1", "TCP"))),
    ];
    for (address, expected) in cases {
        let came = MssqlSource::connect(&address).await;
        match (came, expected) {
            (Ok(source), None) => {
                let encrypted = !matches!(address.encrypt, imis_databases::location::Encrypt::Off);
                assert_eq!(source.tls().is_some(), encrypted);
                let facts = source.facts().await;
                assert_eq!(
                    (facts.encrypted, facts.database.as_deref(), facts.login.as_deref()),
                    (encrypted, Some("IMIS"), Some("sa"))
                );
                let catalog = source.catalog().await.unwrap();
                let (batches, _) = read(&source, ReadRequest::all(Arc::new(catalog.tables[0].clone()))).await;
                assert_eq!(ids(&batches).len(), 38);
            }
            (Err(error), Some((message, help))) => {
                let said = format!("{error} | {}", error.help().unwrap_or_default());
                assert!(said.contains(message) && said.contains(help), "{said}");
                assert!(!said.contains(PASSWORD) && !said.contains("Wrong!2"), "{said}");
                assert_eq!(error.kind(), ErrorKind::Unreachable);
            }
            (came, expected) => panic!("{address:?}: {:?} instead of {expected:?}", came.map(|_| ())),
        }
    }
}

#[tokio::test]
async fn the_server_says_what_it_is() {
    let options =
        Options { snapshot_isolation: 1, version: "11.0.7001.0".into(), ..Options::new(broken().0, PASSWORD) };
    let (_server, source) = plain(options).await;
    let facts = source.facts().await;
    assert_eq!(facts.product.as_deref(), Some("SQL Server"));
    assert_eq!(facts.version.as_deref(), Some("11.0.7001.0"));
    assert_eq!(facts.code_page, Some(1252));
    assert_eq!((facts.snapshot_isolation, facts.read_only), (Some(true), Some(false)));
    assert_eq!((facts.may_select, facts.may_view_definition), (Some(true), Some(true)));
    assert!(facts.data_bytes.is_some() && facts.notes.is_empty(), "{:?}", facts.notes);
    assert_eq!(facts.changes_counted.as_deref(), Some("0x00000000000007D0 (@@DBTS)"));
    assert!(facts.consistency.unwrap().starts_with("single transaction: "));
    assert!(facts.better_consistency[0].contains("ALTER DATABASE [IMIS] SET READ_ONLY"));
}

#[tokio::test]
async fn a_table_that_may_not_be_read_says_so() {
    let (_server, source) =
        plain(Options { denied_tables: vec!["ByCode".into()], ..Options::new(broken().0, PASSWORD) }).await;
    let catalog = source.catalog().await.unwrap();
    let table = Arc::new(catalog.table("ByCode").unwrap().clone());
    let error = source.read(ReadRequest::all(table)).try_collect::<Vec<_>>().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unreachable);
    assert!(error.to_string().contains("reading ByCode") && error.to_string().contains("permission"), "{error}");
    let gone = Arc::new(self::table("Gone", &[("Id", "int")], &["Id"]));
    let error = source.read(ReadRequest::all(gone)).try_collect::<Vec<_>>().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Schema);
}

#[tokio::test]
async fn a_line_that_breaks_is_worth_another_try() {
    let (server, source) = plain(Options::new(broken().0.repeat("ByNumber", 100).unwrap(), PASSWORD)).await;
    let table = Arc::new(broken().1);
    server.fault(Fault::once("[ByNumber]", FaultKind::Cut { after_packets: 1 }));
    let request = ReadRequest::all(table.clone()).columns(vec!["Id".into()]);
    let error = source.read(request.clone()).try_collect::<Vec<_>>().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unreachable);
    assert!(error.to_string().contains("broke off while reading ByNumber"), "{error}");
    assert_eq!(ids(&read(&source, request).await.0).len(), 4_000);
}

#[tokio::test]
async fn a_named_instance_is_found_through_the_browser() {
    let server = SqlServer::start(Options::new(broken().0, PASSWORD)).unwrap();
    let of = |instance: &str| MssqlAddress {
        port: None,
        instance: Some(instance.into()),
        connect_timeout: 5,
        ..address(&server, "encrypt=off")
    };
    // Clients ask on a port that cannot be chosen.
    let Ok(_browser) = server.browse(1434, "SQLEXPRESS") else { return eprintln!("NOT RUN: UDP port 1434 is taken") };
    let source = MssqlSource::connect(&of("SQLEXPRESS")).await.unwrap();
    assert_eq!(source.describe(), "SQL Server 127.0.0.1\\SQLEXPRESS, database IMIS");
    let error = MssqlSource::connect(&of("OTHER")).await.unwrap_err();
    assert!(error.to_string().contains("where the instance OTHER listens"), "{error}");
    assert_eq!(error.kind(), ErrorKind::Unreachable);
}
