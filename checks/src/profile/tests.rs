//! Profiles against an independent count, and their bounds.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Float32Array, Float64Array,
    Int16Array, Int32Array, Int64Array, StringArray, Time64MicrosecondArray, TimestampMicrosecondArray, UInt8Array,
};
use arrow::datatypes::{DataType as ArrowType, Field, Int64Type, Schema};
use arrow::record_batch::RecordBatch;
use async_trait::async_trait;
use datafusion::datasource::MemTable;
use datafusion::prelude::SessionContext;
use futures::{StreamExt, stream};
use imis_databases::{
    Chunk, ChunkStream, Consistency, Denied, Error, Progress, ReadRequest, RefusedRow, Rights, Source,
};
use imis_fixtures::country::{Country, CountryParameters, DefectRequest};
use imis_schemas::{Catalog, Table, TableName};

use super::*;

/// Nobody watches.
struct Silent;

impl Progress for Silent {
    fn phase(&self, _: &str) {}
    fn rule(&self, _: &str, _: u64) {}
    fn rows(&self, _: &str, _: u64) {}
    fn done(&self, _: &str) {}
}

/// Tables in memory. One of the name `closed` cannot be read.
struct Made {
    catalog: Arc<Catalog>,
    batches: BTreeMap<String, RecordBatch>,
    splits: bool,
    denied: Vec<Denied>,
    asked: Mutex<Vec<Vec<String>>>,
}

impl Made {
    fn new(tables: Vec<(&str, &str, RecordBatch)>) -> Self {
        let described: Vec<String> = tables
            .iter()
            .map(|(name, columns, _)| format!(r#"{{"schema": "dbo", "name": "{name}", "columns": [{columns}]}}"#))
            .collect();
        let text = format!(r#"{{"imis": 1, "engine": "mssql", "tables": [{}]}}"#, described.join(","));
        Made {
            catalog: Arc::new(Catalog::parse(&text).unwrap()),
            batches: tables.into_iter().map(|(name, _, batch)| (name.to_owned(), batch)).collect(),
            splits: false,
            denied: Vec::new(),
            asked: Mutex::default(),
        }
    }
}

#[async_trait]
impl Source for Made {
    async fn catalog(&self) -> Result<Arc<Catalog>, Error> {
        Ok(Arc::clone(&self.catalog))
    }

    async fn count(&self, table: &Table) -> Result<u64, Error> {
        Ok(self.batches[&table.name].num_rows() as u64)
    }

    async fn bounds(&self, _: &Table, _: &str) -> Result<Option<(i64, i64)>, Error> {
        Ok(None)
    }

    fn read(&self, request: ReadRequest) -> ChunkStream {
        self.asked.lock().unwrap().push(request.columns.clone());
        if request.table.name == "closed" {
            return stream::iter([Err(Error::failed("closed cannot be read").caused_by("permission denied"))]).boxed();
        }
        let batch = &self.batches[&request.table.name];
        let places: Vec<usize> = request.columns.iter().map(|c| batch.schema().index_of(c).unwrap()).collect();
        let batch = batch.project(&places).unwrap();
        let refused = RefusedRow { key: Vec::new(), column: "a".into(), reason: "too large".into() };
        let cuts: Vec<_> =
            (0..batch.num_rows()).step_by(3).map(|at| batch.slice(at, 3.min(batch.num_rows() - at))).collect();
        let chunks = cuts.into_iter().map(Chunk::from);
        let last = (request.table.name == "odd").then(|| Chunk { batch: batch.slice(0, 0), refused: vec![refused] });
        stream::iter(chunks.chain(last).map(Ok)).boxed()
    }

    async fn consistency(&self) -> Result<Consistency, Error> {
        Ok(Consistency::Frozen)
    }

    async fn rights(&self) -> Rights {
        Rights { denied: self.denied.clone(), ..Rights::default() }
    }

    fn splits(&self) -> bool {
        self.splits
    }

    fn describe(&self) -> String {
        "made".into()
    }
}

async fn look(source: impl Source + 'static, options: &Options) -> Profile {
    profile(Arc::new(source), "made".into(), options, Arc::new(Silent)).await.unwrap()
}

fn column<'a>(profile: &'a Profile, table: &str, column: &str) -> &'a ColumnProfile {
    let table = profile.tables.iter().find(|t| t.table.name == table).unwrap();
    table.columns.iter().find(|c| c.column == column).unwrap_or_else(|| panic!("no {column} in {:?}", table.unread))
}

fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, array)| (name, array, true))).unwrap()
}

#[tokio::test]
async fn every_type_of_the_type_table_is_counted() {
    let money = Decimal128Array::from(vec![Some(-150), Some(0), Some(100_000_000), None, Some(-150)]);
    let day = 24 * 60 * 60 * 1_000_000_i64;
    let moments = vec![Some(0), Some(day + 1), None, Some(-day), Some(-1)];
    let batch = batch(vec![
        ("truth", Arc::new(BooleanArray::from(vec![Some(true), Some(false), None, Some(true), Some(true)]))),
        ("tiny", Arc::new(UInt8Array::from(vec![0, 255, 255, 1, 2]))),
        ("small", Arc::new(Int16Array::from(vec![i16::MIN, i16::MAX, 0, 0, 0]))),
        ("whole", Arc::new(Int32Array::from(vec![Some(-7), Some(0), Some(7), None, Some(7)]))),
        ("large", Arc::new(Int64Array::from(vec![i64::MIN, i64::MAX, 0, 1, 2]))),
        ("money", Arc::new(money.with_precision_and_scale(18, 2).unwrap())),
        ("short", Arc::new(Float32Array::from(vec![0.1, -0.0, 0.0, 2.5, -3.5]))),
        ("long", Arc::new(Float64Array::from(vec![Some(1.5), Some(f64::NAN), None, Some(-0.25), Some(0.0)]))),
        ("day", Arc::new(Date32Array::from(vec![Some(0), Some(-25_567), Some(20_000), None, Some(0)]))),
        ("time", Arc::new(Time64MicrosecondArray::from(vec![0, 1, 3_600_000_000, 0, 0]))),
        ("moment", Arc::new(TimestampMicrosecondArray::from(moments.clone()))),
        ("instant", Arc::new(TimestampMicrosecondArray::from(moments).with_timezone("UTC"))),
        ("text", Arc::new(StringArray::from(vec![Some("Ab-1"), Some("  "), Some(""), Some("é😀"), None]))),
        ("bytes", Arc::new(BinaryArray::from(vec![Some(&b"ab"[..]), Some(b""), Some(b"ab"), Some(b"abc"), None]))),
        ("uuid", Arc::new(StringArray::from(vec!["3f2504e0-4f89-11d3-9a0c-0305e82c3301"; 5]))),
        ("number", Arc::new(StringArray::from(vec![Some("10.50"), Some("9"), Some("-0.125"), Some("NaN"), None]))),
    ]);
    let types = [
        ("truth", "bit"),
        ("tiny", "tinyint"),
        ("small", "smallint"),
        ("whole", "int"),
        ("large", "bigint"),
        ("money", "decimal(18,2)"),
        ("short", "real"),
        ("long", "float"),
        ("day", "date"),
        ("time", "time(6)"),
        ("moment", "datetime"),
        ("instant", "datetimeoffset(6)"),
        ("text", "nvarchar(50)"),
        ("bytes", "varbinary(10)"),
        ("uuid", "uniqueidentifier"),
        ("number", "sql_variant"),
    ];
    let described: Vec<String> =
        types.iter().map(|(name, of)| format!(r#"{{"name": "{name}", "type": "{of}", "nullable": true}}"#)).collect();
    let found = look(Made::new(vec![("all", &described.join(","), batch)]), &Options::default()).await;
    assert_eq!(found.tables[0].unread, None);
    let column = |name: &str| column(&found, "all", name);
    for (name, nulls, distinct, min, max) in [
        ("truth", 1, 2, None, None),
        ("tiny", 0, 4, Some("0"), Some("255")),
        ("small", 0, 3, Some("-32768"), Some("32767")),
        ("whole", 1, 3, Some("-7"), Some("7")),
        ("large", 0, 5, Some("-9223372036854775808"), Some("9223372036854775807")),
        ("money", 1, 3, Some("-1.50"), Some("1000000.00")),
        ("short", 0, 4, Some("-3.5"), Some("2.5")),
        ("day", 1, 3, Some("1900-01-01"), Some("2024-10-04")),
        ("time", 0, 3, Some("00:00:00"), Some("01:00:00")),
        ("moment", 1, 4, Some("1969-12-31 00:00:00"), Some("1970-01-02 00:00:00.000001")),
        ("instant", 1, 4, Some("1969-12-31 00:00:00"), Some("1970-01-02 00:00:00.000001")),
        ("text", 1, 4, Some(""), Some("é😀")),
        ("bytes", 1, 3, None, None),
        ("uuid", 0, 1, Some("3f2504e0-4f89-11d3-9a0c-0305e82c3301"), Some("3f2504e0-4f89-11d3-9a0c-0305e82c3301")),
    ] {
        let found = column(name);
        assert_eq!(
            (found.rows, found.nulls, found.distinct),
            (5, nulls, Distinct { number: distinct, exact: true }),
            "{name}"
        );
        assert_eq!((found.min.as_deref(), found.max.as_deref()), (min, max), "{name}");
    }
    let numbers = |name: &str| column(name).numbers.clone().map(|n| (n.zero, n.negative, n.not_a_number)).unwrap();
    for (name, expected) in
        [("tiny", (1, 0, 0)), ("whole", (1, 1, 0)), ("money", (1, 2, 0)), ("short", (2, 1, 0)), ("long", (1, 1, 1))]
    {
        assert_eq!(numbers(name), expected, "{name}");
    }
    assert_eq!(
        (column("moment").with_time, column("instant").with_time, column("day").with_time),
        (Some(2), Some(2), None)
    );
    assert_eq!(
        column("truth").top,
        [Frequent { value: "true".into(), count: 3 }, Frequent { value: "false".into(), count: 1 }]
    );
    assert_eq!(column("money").top[0], Frequent { value: "-1.50".into(), count: 2 });
    let text = column("text");
    assert_eq!((text.blank, text.lengths), (Some(2), Some(Lengths { min: 0, mean: 2.0, max: 4 })));
    assert_eq!(text.top, [], "no value is there twice");
    let mut shapes: Vec<&str> = text.shapes.iter().map(|s| s.shape.as_str()).collect();
    shapes.sort_unstable();
    assert_eq!(shapes, ["", "  ", "Aa-9", "a¤"]);
    let bytes = column("bytes");
    assert_eq!((bytes.lengths, bytes.most), (Some(Lengths { min: 0, mean: 7.0 / 4.0, max: 3 }), 2));
    assert!(bytes.top.is_empty() && bytes.blank.is_none());
}

/// Counts what a profile says of a column with DataFusion's own aggregates.
async fn counted(context: &SessionContext, table: &str, column: &str, of: &str) -> i64 {
    let sql = of.replace('$', &format!("\"{column}\""));
    let batches = context.sql(&format!("SELECT {sql} FROM \"{table}\"")).await.unwrap().collect().await.unwrap();
    let number = arrow::compute::cast(batches[0].column(0), &ArrowType::Int64).unwrap();
    let number = number.as_primitive::<Int64Type>();
    if number.is_null(0) { 0 } else { number.value(0) }
}

#[tokio::test]
async fn a_country_is_counted_as_sql_counts_it() {
    let defects = ["I1=7", "I2=3", "I15=5", "X14=4", "I9=6", "C3=5"].map(|text| text.parse::<DefectRequest>().unwrap());
    let country =
        Country::new(CountryParameters { families: 60, defects: defects.to_vec(), ..Default::default() }).unwrap();
    let names = ["tblInsuree", "tblClaim", "tblPolicy", "tblLocations", "tblUsers", "tblPhotos"];
    let options = Options { tables: names.map(str::to_owned).to_vec(), ..Options::default() };
    let found = look(country.clone(), &options).await;
    assert_eq!(found.tables.len(), names.len());
    let context = SessionContext::new();
    let mut looked = 0;
    for table in &found.tables {
        let name = &table.table.name;
        let batches: Vec<RecordBatch> = country.batches(name).collect();
        let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
        assert_eq!((table.read, table.rows, table.unread.as_deref()), (rows as u64, Some(rows as u64), None), "{name}");
        let memory = MemTable::try_new(batches[0].schema(), vec![batches]).unwrap();
        context.register_table(datafusion::common::TableReference::bare(name.as_str()), Arc::new(memory)).unwrap();
        for column in &table.columns {
            let count = async |of: &str| counted(&context, name, &column.column, of).await as u64;
            let what = format!("{name}.{}", column.column);
            assert_eq!(column.nulls, count("count(*) - count($)").await, "{what}");
            assert_eq!(column.distinct, Distinct { number: count("count(distinct $)").await, exact: true }, "{what}");
            let sql = format!(
                "SELECT max(n) FROM (SELECT count(*) n FROM \"{name}\" WHERE \"{0}\" IS NOT NULL GROUP BY \"{0}\")",
                column.column
            );
            let most = context.sql(&sql).await.unwrap().collect().await.unwrap();
            let most = most[0].column(0).as_primitive::<Int64Type>();
            assert_eq!(column.most, if most.is_null(0) { 0 } else { most.value(0) as u64 }, "{what}");
            if let Some(first) = column.top.first() {
                assert_eq!((first.count, column.counts_off_by), (column.most, 0), "{what}");
            }
            if let Some(lengths) = column.lengths.filter(|_| column.blank.is_some()) {
                assert_eq!(lengths.min, count("min(character_length($))").await, "{what}");
                assert_eq!(lengths.max, count("max(character_length($))").await, "{what}");
                assert_eq!(
                    (lengths.mean * 1000.0).round() as u64,
                    count("round(avg(character_length($)) * 1000)").await,
                    "{what}"
                );
                assert_eq!(column.blank, Some(count("count(*) filter (where btrim($) = '')").await), "{what}");
            }
            if let Some(numbers) = &column.numbers {
                assert_eq!(numbers.zero, count("count(*) filter (where $ = 0)").await, "{what}");
                assert_eq!(numbers.negative, count("count(*) filter (where $ < 0)").await, "{what}");
            }
            if let Some(with_time) = column.with_time {
                assert_eq!(with_time, count("count(*) filter (where date_trunc('day', $) <> $)").await, "{what}");
            }
            if let (Some(min), Some(max), false) = (&column.min, &column.max, column.data_type.contains("datetime")) {
                let sql = format!(
                    "SELECT cast(min(\"{0}\") as varchar), cast(max(\"{0}\") as varchar) FROM \"{name}\"",
                    column.column
                );
                let ends = context.sql(&sql).await.unwrap().collect().await.unwrap();
                let end = |at: usize| arrow::util::display::array_value_to_string(ends[0].column(at), 0).unwrap();
                assert_eq!((min, max), (&end(0), &end(1)), "{what}");
            }
            looked += 1;
        }
    }
    assert!(looked > 120, "{looked}");
    let insurees = country.batches("tblInsuree").map(|b| b.num_rows() as u64).sum::<u64>();
    let number = column(&found, "tblInsuree", "CHFID");
    assert_eq!(number.shapes.iter().find(|s| s.shape == "9{9}").map(|s| s.count > insurees / 2), Some(true));
    assert_eq!(column(&found, "tblInsuree", "InsureeID").roles, [KeyRole::Primary]);
    assert_eq!(column(&found, "tblInsuree", "InsureeID").uniqueness(), Uniqueness::Unique);
    assert_eq!(column(&found, "tblInsuree", "Gender").roles, [KeyRole::Foreign("tblGender.Code".into())]);
}

#[tokio::test]
async fn in_parts_and_in_one_piece_it_is_the_same() {
    let country = Country::new(CountryParameters { families: 300, ..Default::default() }).unwrap();
    let options =
        |jobs, rows_a_part| Options { tables: vec!["tblInsuree".to_owned()], jobs, rows_a_part, ..Options::default() };
    let one = look(country.clone(), &options(1, 1_000_000)).await;
    struct Whole(Country);
    #[async_trait]
    impl Source for Whole {
        async fn catalog(&self) -> Result<Arc<Catalog>, Error> {
            Source::catalog(&self.0).await
        }
        async fn count(&self, table: &Table) -> Result<u64, Error> {
            self.0.count(table).await
        }
        async fn bounds(&self, table: &Table, column: &str) -> Result<Option<(i64, i64)>, Error> {
            self.0.bounds(table, column).await
        }
        fn read(&self, request: ReadRequest) -> ChunkStream {
            assert!(request.range.is_whole());
            self.0.read(request)
        }
        async fn consistency(&self) -> Result<Consistency, Error> {
            self.0.consistency().await
        }
        fn splits(&self) -> bool {
            false
        }
        fn describe(&self) -> String {
            self.0.describe()
        }
    }
    let stretches = look(country.clone(), &options(2, 100)).await;
    let groups = look(Whole(country), &options(3, 100)).await;
    let one = &one.tables[0];
    for mut other in [stretches, groups] {
        let other = &mut other.tables[0];
        assert_eq!((one.read, one.columns.len()), (other.read, other.columns.len()));
        for (a, b) in one.columns.iter().zip(&mut other.columns) {
            // Sketches that were merged give a little other estimates.
            if let (Some(a), Some(b)) = (&a.numbers, &mut b.numbers) {
                b.quartiles.clone_from(&a.quartiles);
            }
            assert_eq!(format!("{a:?}"), format!("{b:?}"));
        }
    }
}

#[tokio::test]
async fn above_the_bound_it_is_estimated_and_says_so() {
    let rows = 60_000_i32;
    let numbers = Int32Array::from_iter_values(0..rows);
    let texts =
        StringArray::from_iter_values((0..rows).map(|n| if n % 5 == 0 { "same".into() } else { format!("x{n}") }));
    let columns =
        r#"{"name": "n", "type": "int", "nullable": false}, {"name": "t", "type": "varchar(9)", "nullable": false}"#;
    let made = Made::new(vec![("big", columns, batch(vec![("n", Arc::new(numbers)), ("t", Arc::new(texts))]))]);
    let found = look(made, &Options { exact: 1_000, ..Options::default() }).await;
    let (n, t) = (column(&found, "big", "n"), column(&found, "big", "t"));
    assert!(!n.distinct.exact && n.distinct.number.abs_diff(60_000) < 2_000, "{:?}", n.distinct);
    assert_eq!(n.uniqueness(), Uniqueness::Perhaps);
    assert!(n.top.is_empty() && n.counts_off_by > 0);
    assert_eq!(t.uniqueness(), Uniqueness::No);
    assert_eq!(t.top.len(), 1);
    assert!(t.top[0].value == "same" && (12_000 - t.counts_off_by..=12_000).contains(&t.top[0].count), "{:?}", t.top);
    let quartiles = n.numbers.as_ref().unwrap().quartiles.clone().unwrap();
    for (found, expected) in quartiles.iter().zip([15_000, 30_000, 45_000]) {
        assert!(found.parse::<i64>().unwrap().abs_diff(expected) < 600, "{quartiles:?}");
    }
}

#[tokio::test]
async fn of_long_values_only_the_beginning_is_kept() {
    let long = "x1".repeat(50_000);
    let texts = StringArray::from_iter_values([long.as_str(), long.as_str(), "short"]);
    let columns = r#"{"name": "t", "type": "nvarchar(max)", "nullable": true}"#;
    let found =
        look(Made::new(vec![("long", columns, batch(vec![("t", Arc::new(texts))]))]), &Options::default()).await;
    let t = column(&found, "long", "t");
    let kept = [&t.top[0].value, t.max.as_ref().unwrap(), t.min.as_ref().unwrap()];
    assert_eq!(kept.map(|text| text.chars().count()), [VALUE_CHARS + 1, VALUE_CHARS + 1, 5]);
    assert!(t.shapes.iter().all(|shape| shape.shape.chars().count() < 60), "{:?}", t.shapes);
    assert_eq!((t.top[0].count, t.lengths.unwrap().max), (2, 100_000));
}

#[tokio::test]
async fn what_is_empty_or_closed_is_said_and_the_rest_goes_on() {
    let plain = r#"{"name": "a", "type": "int", "nullable": true}, {"name": "b", "type": "int", "nullable": true}"#;
    let two = |values: Vec<Option<i32>>| {
        let values: ArrayRef = Arc::new(Int32Array::from(values));
        batch(vec![("a", Arc::clone(&values)), ("b", values)])
    };
    let mut made = Made::new(vec![
        ("closed", plain, two(vec![Some(1)])),
        ("denied", plain, two(vec![Some(1)])),
        ("empty", plain, two(vec![])),
        ("half", plain, two(vec![Some(1)])),
        ("nothing", plain, two(vec![None, None])),
        ("odd", plain, two(vec![Some(1), Some(2)])),
    ]);
    let of = |table: &str, column: Option<&str>| Denied {
        table: TableName::new("dbo", table),
        column: column.map(str::to_owned),
    };
    made.denied = vec![of("denied", None), of("half", Some("b"))];
    let made = Arc::new(made);
    let found = profile(Arc::clone(&made) as Arc<dyn Source>, "made".into(), &Options::default(), Arc::new(Silent))
        .await
        .unwrap();
    let table = |name: &str| found.tables.iter().find(|t| t.table.name == name).unwrap();
    assert_eq!(found.unread(), 2);
    assert_eq!(table("closed").unread.as_deref(), Some("closed cannot be read: permission denied"));
    assert!(table("denied").unread.is_some() && table("denied").columns.is_empty());
    assert_eq!((table("empty").rows, table("empty").columns.len()), (Some(0), 2));
    assert_eq!(table("empty").columns[0].min, None);
    assert_eq!(table("half").unread_columns[0].0, "b");
    assert_eq!((table("half").columns.len(), table("half").columns[0].max.as_deref()), (1, Some("1")));
    assert_eq!((table("nothing").columns[0].nulls, table("nothing").columns[0].filled()), (2, 0));
    assert_eq!((table("odd").read, table("odd").refused), (2, 1));
    assert!(made.asked.lock().unwrap().iter().all(|columns| columns != &["b"]));
}

#[tokio::test]
async fn only_what_is_wanted_is_read() {
    struct Counting(AtomicU64);
    impl Progress for Counting {
        fn phase(&self, _: &str) {}
        fn rule(&self, _: &str, _: u64) {}
        fn rows(&self, _: &str, more: u64) {
            self.0.fetch_add(more, Ordering::Relaxed);
        }
        fn done(&self, _: &str) {}
    }
    let country = Country::new(CountryParameters { families: 200, ..Default::default() }).unwrap();
    let chosen = |tables: &[&str], columns: &[&str], sample| Options {
        tables: tables.iter().map(|&t| t.to_owned()).collect(),
        columns: columns.iter().map(|&t| t.to_owned()).collect(),
        sample,
        ..Options::default()
    };
    let found =
        look(country.clone(), &chosen(&["TBLINSUREE", "tblClaim?tems"], &["chfid", "tblClaimItems.*ID"], None)).await;
    let names: Vec<(&str, Vec<&str>)> = found
        .tables
        .iter()
        .map(|t| (t.table.name.as_str(), t.columns.iter().map(|c| c.column.as_str()).collect()))
        .collect();
    assert_eq!(names[1], ("tblInsuree", vec!["CHFID"]));
    assert!(names[0].0 == "tblClaimItems" && names[0].1.iter().all(|c| c.ends_with("ID")), "{names:?}");
    let watch = Arc::new(Counting(AtomicU64::new(0)));
    let options = chosen(&["tblInsuree"], &[], Some(101));
    let found = profile(Arc::new(country.clone()), String::new(), &options, watch.clone()).await.unwrap();
    assert_eq!((found.tables[0].read, watch.0.load(Ordering::Relaxed)), (101, 101));
    assert!(found.tables[0].is_sample());
    let id = column(&found, "tblInsuree", "InsureeID");
    let last: i64 = id.max.as_ref().unwrap().parse().unwrap();
    assert!(last > 1_500, "a sample comes from everywhere, not from the first rows: {last}");
    for (tables, columns, near) in [(&["tblInsure"][..], &[][..], "tblInsuree"), (&["tblInsuree"], &["CHIFD"], "CHFID")]
    {
        let error =
            profile(Arc::new(country.clone()), String::new(), &chosen(tables, columns, None), Arc::new(Silent)).await;
        let error = error.unwrap_err();
        assert_eq!(error.kind(), imis_databases::ErrorKind::Usage);
        assert!(error.help().unwrap().contains(near), "{:?}", error.help());
    }
}

#[tokio::test]
async fn a_schema_says_what_part_a_column_plays() {
    let text = r#"{"imis": 1, "engine": "mssql", "tables": [{"schema": "dbo", "name": "t", "columns": [
        {"name": "a", "type": "int", "nullable": false}, {"name": "b", "type": "int", "nullable": false}],
        "primary_key": {"columns": ["a", "b"]}, "uniques": [{"name": "u", "columns": ["B"]}], "foreign_keys": []}]}"#;
    let catalog = Catalog::parse(text).unwrap();
    let empty = RecordBatch::new_empty(Arc::new(Schema::new(vec![
        Field::new("a", ArrowType::Int32, true),
        Field::new("b", ArrowType::Int32, true),
    ])));
    let made = Made {
        catalog: Arc::new(catalog),
        batches: [("t".to_owned(), empty)].into(),
        splits: true,
        denied: Vec::new(),
        asked: Mutex::default(),
    };
    let found = look(made, &Options::default()).await;
    assert_eq!(column(&found, "t", "a").roles, [KeyRole::PartOfPrimary]);
    assert_eq!(column(&found, "t", "b").roles, [KeyRole::PartOfPrimary, KeyRole::Unique]);
}
