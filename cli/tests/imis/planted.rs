//! A property: whatever is broken, and wherever in a table of a hundred thousand rows, exactly that is rejected, each row with
//! its reason, and what hangs on it with the row where it began.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int32Array, StringArray};
use arrow::record_batch::RecordBatch;
use imis_fixtures::postgres::Cluster;
use imis_fixtures::sqlserver::{Options, SqlServer, Tables};
use imis_schemas::Catalog;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use serde_json::{Value, json};

use crate::harness::{Desk, number};

const PASSWORD: &str = "Loopback!1";
const ROWS: i32 = 100_000;
const CASES: usize = 3;

/// A way for a row to be broken, and what is said of it: column and reason; none for one that is mended.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Broken {
    TooLong,
    OutOfRange,
    Null,
    Nul,
    Repeated,
    Dangling,
    Overflow,
    NoDate,
    ByNought,
}

const ALL: [(Broken, Option<(&str, &str)>); 9] = [
    (Broken::TooLong, Some(("words", "the text is too long"))),
    (Broken::OutOfRange, Some(("small", "the number is out of range"))),
    (Broken::Null, Some(("needed", "the value is NULL and the column takes none"))),
    (Broken::Nul, None),
    (Broken::Repeated, Some(("code", "it repeats a value that must be unique"))),
    (Broken::Dangling, Some(("parent", "it names no row of parents"))),
    (Broken::Overflow, Some(("next", "the arithmetic overflows"))),
    (Broken::NoDate, Some(("day", "the expression cannot be evaluated"))),
    (Broken::ByNought, Some(("part", "it divides by zero"))),
];

const SOURCE: &str = r#"{"imis": 1, "engine": "mssql", "tables": [
    {"schema": "dbo", "name": "Parents", "primary_key": {"columns": ["Id"]}, "columns": [
        {"name": "Id", "type": "int", "nullable": false}]},
    {"schema": "dbo", "name": "Rows", "primary_key": {"columns": ["Id"]}, "columns": [
        {"name": "Id", "type": "int", "nullable": false}, {"name": "Parent", "type": "int", "nullable": true},
        {"name": "Code", "type": "nvarchar(20)", "nullable": true}, {"name": "Words", "type": "nvarchar(50)", "nullable": true},
        {"name": "Small", "type": "int", "nullable": true}, {"name": "Needed", "type": "nvarchar(10)", "nullable": true},
        {"name": "Big", "type": "int", "nullable": true}, {"name": "Day", "type": "nvarchar(10)", "nullable": true},
        {"name": "Divisor", "type": "int", "nullable": true}]},
    {"schema": "dbo", "name": "Lines", "primary_key": {"columns": ["Id"]}, "columns": [
        {"name": "Id", "type": "int", "nullable": false}, {"name": "Row", "type": "int", "nullable": true}]},
    {"schema": "dbo", "name": "Notes", "primary_key": {"columns": ["Id"]}, "columns": [
        {"name": "Id", "type": "int", "nullable": false}, {"name": "Line", "type": "int", "nullable": true}]}]}"#;

const TARGET: &str = "
    CREATE TABLE parents (id int PRIMARY KEY);
    CREATE TABLE rows (id int PRIMARY KEY, parent int REFERENCES parents (id), code varchar(20) UNIQUE, words varchar(10),
        small smallint, needed varchar(10) NOT NULL, next int, day date, part int);
    CREATE TABLE lines (id int PRIMARY KEY, row int NOT NULL REFERENCES rows (id));
    CREATE TABLE notes (id int PRIMARY KEY, line int NOT NULL REFERENCES lines (id))";

const MAPPING: &str = "
mapping: test/planted
from: rows
to: rows
rules:
  parents: { from: Parents, to: parents }
  rows:
    from: Rows
    to: rows
    columns:
      words: { value: Words, too-long: reject }
      small: { value: Small, out-of-range: reject }
      next: Big + cast(1 as int)
      day: cast(Day as date)
      part: cast(100 as int) / Divisor
    keys:
      parent: { to: parents.id, broken: reject }
  lines:
    from: Lines
    to: lines
    keys: { row: { to: rows.id, broken: reject } }
  notes:
    from: Notes
    to: notes
    keys: { line: { to: lines.id, broken: reject } }
";

/// The rows of the source, broken here and there, each broken one with a line and a note that hang on it.
fn tables(broken: &BTreeMap<i32, Broken>) -> Tables {
    let of = |id: i32| broken.get(&id).copied();
    let ints = |value: &dyn Fn(i32) -> i32| -> ArrayRef { Arc::new((1..=ROWS).map(value).collect::<Int32Array>()) };
    let texts = |value: &dyn Fn(i32) -> Option<String>| -> ArrayRef {
        Arc::new((1..=ROWS).map(value).collect::<StringArray>())
    };
    let unless = |kind: Broken, bad: i32, good: i32| move |id: i32| if of(id) == Some(kind) { bad } else { good };
    let rows = RecordBatch::try_from_iter_with_nullable([
        ("Id", ints(&|id| id), false),
        ("Parent", ints(&unless(Broken::Dangling, 4711, 7)), true),
        ("Code", texts(&|id| Some(format!("C{}", if of(id) == Some(Broken::Repeated) { 1 } else { id }))), true),
        (
            "Words",
            texts(&|id| {
                Some(match of(id) {
                    Some(Broken::TooLong) => "eleven long".to_owned(),
                    Some(Broken::Nul) => "a\0b".to_owned(),
                    _ => format!("w{}", id % 1000),
                })
            }),
            true,
        ),
        ("Small", ints(&unless(Broken::OutOfRange, 40_000, 3)), true),
        ("Needed", texts(&|id| (of(id) != Some(Broken::Null)).then(|| "x".to_owned())), true),
        ("Big", ints(&unless(Broken::Overflow, i32::MAX, 5)), true),
        (
            "Day",
            texts(&|id| Some(if of(id) == Some(Broken::NoDate) { "no date" } else { "2024-02-29" }.to_owned())),
            true,
        ),
        ("Divisor", ints(&unless(Broken::ByNought, 0, 4)), true),
    ])
    .unwrap();
    let ids = |ids: Vec<i32>| -> ArrayRef { Arc::new(Int32Array::from(ids)) };
    let hanging: Vec<i32> = broken.keys().copied().chain([1]).collect();
    let pair = |name: &str| {
        let columns = [("Id", ids(hanging.clone()), false), (name, ids(hanging.clone()), true)];
        RecordBatch::try_from_iter_with_nullable(columns).unwrap()
    };
    let parents = RecordBatch::try_from_iter_with_nullable([("Id", ids((1..=9).collect()), false)]).unwrap();
    let tables = Tables::new(Catalog::parse(SOURCE).unwrap()).unwrap();
    let tables = tables.with_batches("Parents", vec![parents]).unwrap();
    let tables = tables.with_batches("Rows", vec![rows]).unwrap();
    let tables = tables.with_batches("Lines", vec![pair("Row")]).unwrap();
    tables.with_batches("Notes", vec![pair("Line")]).unwrap()
}

async fn exactly_these_are_rejected(case: usize, broken: &BTreeMap<i32, Broken>) {
    let server = SqlServer::start(Options::new(tables(broken), PASSWORD)).unwrap();
    let from = format!("mssql://sa@127.0.0.1:{}/IMIS?encrypt=off", server.port());
    let name = format!("planted_{case}");
    let cluster = Cluster::shared();
    cluster.create_database(&name).await.unwrap();
    let client = cluster.connect(&name).await.unwrap();
    client.batch_execute(TARGET).await.unwrap();
    drop(client);
    let desk = Desk::new().with("IMIS_MSSQL_PASSWORD", PASSWORD);
    desk.write("planted.yaml", MAPPING);
    let url = cluster.url(&name);
    let migrate =
        ["migrate", "--from", &from, "--to", &url, "--mapping", "planted.yaml", "--json", "--allow-connected"];
    let said = desk.imis(&[&migrate[..], &["--on-reject", "continue"]].concat());
    let account = said.json();
    assert_eq!(account["balances"], true, "{account}");

    let mut expected: BTreeMap<(String, String), Value> = BTreeMap::new();
    for (id, kind) in broken {
        let said = ALL.iter().find(|(one, _)| one == kind).unwrap().1;
        let Some((column, reason)) = said else { continue };
        let cause = json!({"table": "rows", "column": column, "reason": reason});
        let id = id.to_string();
        expected.insert(("rows".into(), id.clone()), json!([column, reason, null]));
        let gone = |table: &str| format!("the row of {table} that it names was rejected");
        expected.insert(("lines".into(), id.clone()), json!(["row", gone("rows"), cause]));
        expected.insert(("notes".into(), id), json!(["line", gone("lines"), cause]));
    }
    let rejects = desk.imis(&["rejects", "show", &url, "--json", "--limit", "1000"]).done().json();
    let mut found: BTreeMap<(String, String), Value> = BTreeMap::new();
    for row in rejects["rejects"].as_array().unwrap() {
        let id = |of: &Value| of["key"].as_object().unwrap().values().next().unwrap().as_str().unwrap().to_owned();
        let mut cause = row["cause"].clone();
        if let Value::Object(fields) = &mut cause {
            let began = fields.remove("key").unwrap();
            assert_eq!(began.as_object().unwrap().values().next().unwrap().as_str(), Some(id(row).as_str()));
        }
        let table = row["table"].as_str().unwrap().to_owned();
        found.insert((table, id(row)), json!([row["column"], row["reason"], cause]));
    }
    assert_eq!(found, expected, "{broken:?}");
    let gone = i64::try_from(expected.len() / 3).unwrap();
    assert_eq!(number(&name, "SELECT count(*) FROM rows").await, i64::from(ROWS) - gone);
    let mended = broken.values().filter(|kind| **kind == Broken::Nul).count();
    assert_eq!(
        number(&name, "SELECT count(*) FROM rows WHERE words = 'ab'").await,
        i64::try_from(mended).unwrap(),
        "{broken:?}"
    );
    cluster.drop_database(&name).await.ok();
}

#[tokio::test]
async fn exactly_what_is_broken_is_rejected_wherever_it_is() {
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    // The first row is the one that is repeated; the edges of the table and of its batches are likelier than the rest.
    let place = proptest::prop_oneof![2..=ROWS, proptest::sample::select(vec![2, 8_192, 8_193, 99_999, ROWS])];
    let kind = proptest::sample::select(ALL.iter().map(|(kind, _)| *kind).collect::<Vec<_>>());
    let strategy = proptest::collection::btree_map(place, kind, 1..=50);
    for case in 0..CASES {
        exactly_these_are_rejected(case, &strategy.new_tree(&mut runner).unwrap().current()).await;
    }
}
