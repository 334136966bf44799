//! `imis check profile`: the same from every place, masked, and no table that is closed stands in the way of the others.

use std::collections::BTreeSet;

use arrow::array::AsArray;
use imis_fixtures::country::{Country, CountryParameters, NoneAs};
use imis_fixtures::postgres::Cluster;
use imis_fixtures::sqlserver::{Options, SqlServer, Tables};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::Value;

use crate::harness::Desk;

const PASSWORD: &str = "loopback-3Pq";

fn country() -> Country {
    Country::new(CountryParameters { families: 40, none_as: NoneAs::Null, ..Default::default() }).unwrap()
}

/// What a profile says of the tables, but for estimates, which depend on the order in which rows come.
fn tables(said: &Value) -> Vec<Value> {
    let mut tables = said["tables"].as_array().unwrap().clone();
    for column in tables.iter_mut().flat_map(|table| table["columns"].as_array_mut().unwrap()) {
        column["quartiles"] = Value::Null;
    }
    tables
}

#[test]
fn a_server_a_snapshot_and_scripts_show_the_same_picture() {
    let desk = Desk::new().with("IMIS_MSSQL_PASSWORD", PASSWORD);
    for (folder, format) in [("country", "snapshot"), ("scripts", "scripts")] {
        desk.imis(&["generate", "-o", folder, "--families", "40", "--format", format]).done();
    }
    let country = country();
    let mut rows = Tables::new(country.catalog().clone()).unwrap();
    for table in &country.catalog().tables {
        rows = rows.with_batches(&table.name, country.batches(&table.name).collect()).unwrap();
    }
    let server = SqlServer::start(Options::new(rows, PASSWORD)).unwrap();
    let server = format!("mssql://sa@127.0.0.1:{}/IMIS?encrypt=off", server.port());
    let picture = |location: &str, more: &[&str]| {
        let all: Vec<&str> = ["check", "profile", location, "--json"].iter().chain(more).copied().collect();
        desk.imis(&all).done().json()
    };
    let first = picture("country", &[]);
    assert_eq!(first["imis"], 1);
    let first = tables(&first);
    assert_eq!(first.len(), 65);
    let insurees = first.iter().find(|table| table["table"] == "tblInsuree").unwrap();
    let column = |name: &str| insurees["columns"].as_array().unwrap().iter().find(|c| c["column"] == name).unwrap();
    let expected: usize = country.batches("tblInsuree").map(|batch| batch.num_rows()).sum();
    assert_eq!((insurees["rows"].as_u64(), insurees["read"].as_u64()), (Some(expected as u64), Some(expected as u64)));
    assert_eq!((&column("InsureeID")["uniqueness"], &column("InsureeID")["min"]), (&"unique".into(), &"1".into()));
    assert_eq!(column("Gender")["top"].as_array().unwrap().iter().filter(|top| top["value"] == "***").count(), 0);
    assert!(column("LastName")["top"].as_array().unwrap().iter().all(|top| top["value"] == "***"));
    assert_eq!(column("Source")["nulls"], expected);
    for other in [tables(&picture("scripts", &[])), tables(&picture(&server, &["--jobs", "3"]))] {
        for (one, other) in first.iter().zip(&other) {
            let name = &one["table"];
            for (one, other) in one["columns"].as_array().unwrap().iter().zip(other["columns"].as_array().unwrap()) {
                assert_eq!(one, other, "{name}");
            }
            assert_eq!(one, other, "{name}");
        }
        assert_eq!(first.len(), other.len());
    }
}

#[test]
fn nobody_is_found_in_a_masked_report() {
    let desk = Desk::new();
    desk.imis(&["generate", "-o", "country", "--families", "40"]).done();
    let country = country();
    let mut never: BTreeSet<String> = BTreeSet::new();
    for (table, columns) in [
        ("tblInsuree", &["CHFID", "LastName", "OtherNames", "Phone", "Email", "passport", "CurrentAddress"][..]),
        ("tblUsers", &["LoginName", "LastName", "OtherNames", "StoredPassword", "PrivateKey", "Phone", "EmailId"]),
        ("tblOfficer", &["Code", "LastName", "OtherNames", "Phone"]),
        ("tblClaim", &["ClaimCode"]),
    ] {
        for batch in country.batches(table) {
            for column in columns {
                let Some(column) = batch.column_by_name(column) else { panic!("no {table}.{column}") };
                let texts = column.as_string::<i32>();
                never.extend(texts.iter().flatten().filter(|text| text.chars().count() >= 5).map(str::to_owned));
            }
        }
    }
    assert!(never.len() > 300, "{}", never.len());
    let said = |more: &[&str], folder: &str| {
        let all = ["check", "profile", "country", "--report", folder, "-v"];
        let all: Vec<&str> = all.iter().chain(more).copied().collect();
        let text = desk.imis(&all).done();
        let mut everything = text.stdout + &text.stderr;
        for name in ["index.html", "summary.json"] {
            everything += &std::fs::read_to_string(desk.path().join(folder).join(name)).unwrap();
        }
        let file = std::fs::File::open(desk.path().join(folder).join("profile.parquet")).unwrap();
        for batch in ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap() {
            for column in batch.unwrap().columns() {
                let texts =
                    column.as_string_opt::<i32>().map(|texts| texts.iter().flatten().collect::<Vec<_>>().join("\n"));
                everything += &texts.unwrap_or_default();
            }
        }
        everything
    };
    let masked = said(&[], "masked");
    // A name is a word of its own.
    let words: BTreeSet<&str> =
        masked.split(|c: char| !c.is_alphanumeric() && c != '+' && c != '@' && c != '.').collect();
    let found: Vec<&String> = never
        .iter()
        .filter(|text| words.contains(text.as_str()) || (text.contains(' ') && masked.contains(*text)))
        .collect();
    assert!(found.is_empty(), "{found:?}");
    let shown = said(&["--show-values"], "shown");
    assert!(never.iter().filter(|text| shown.contains(*text)).count() > 20);
    for batch in country.batches("tblUsers") {
        for secret in ["StoredPassword", "PrivateKey"] {
            let secrets = batch.column_by_name(secret).unwrap().as_string::<i32>();
            assert!(secrets.iter().flatten().all(|secret| !shown.contains(secret)), "{secret}");
        }
    }
}

#[tokio::test]
async fn a_closed_table_is_told_and_the_others_are_read() {
    let (desk, cluster) = (Desk::new(), Cluster::shared());
    cluster.create_database("profiled").await.unwrap();
    let client = cluster.connect("profiled").await.unwrap();
    client
        .batch_execute(
            "CREATE TABLE \"tblOpen\" (id int PRIMARY KEY, amount numeric(12,2), born date, note text);
             INSERT INTO \"tblOpen\" SELECT n, n % 7 - 1, date '2000-01-01' + n, CASE WHEN n % 10 = 0 THEN ' ' ELSE 'x' || n END
                 FROM generate_series(1, 1000) n;
             CREATE TABLE \"tblClosed\" (id int PRIMARY KEY);
             CREATE TABLE \"tblHalf\" (id int PRIMARY KEY, hidden text);
             CREATE TABLE \"tblEmpty\" (id int PRIMARY KEY, name text);
             DROP ROLE IF EXISTS looker;
             CREATE ROLE looker LOGIN PASSWORD 'looker';
             GRANT SELECT ON \"tblOpen\", \"tblEmpty\" TO looker;
             GRANT SELECT (id) ON \"tblHalf\" TO looker;",
        )
        .await
        .unwrap();
    let url = format!("postgres://looker@127.0.0.1:{}/profiled?sslmode=disable", cluster.port());
    let desk = desk.with("IMIS_POSTGRES_PASSWORD", "looker");
    let said = desk.imis(&["check", "profile", &url, "--report", "picture"]);
    assert_eq!(said.code, 3, "{}{}", said.stdout, said.stderr);
    for word in [
        "tblOpen  1,000 rows",
        "tblClosed",
        "Without rows",
        "tblEmpty",
        "-1.00 to 5.00",
        "2000-01-02 to 2002-09-27",
        "note: blank in 100 rows",
    ] {
        assert!(said.stdout.contains(word), "`{word}` is missing in\n{}", said.stdout);
    }
    let summary = std::fs::read_to_string(desk.path().join("picture/summary.json")).unwrap();
    let summary: Value = serde_json::from_str(&summary).unwrap();
    let table = |name: &str| summary["tables"].as_array().unwrap().iter().find(|t| t["table"] == name).unwrap();
    assert!(table("tblClosed")["unread"].is_string() && table("tblOpen")["unread"].is_null());
    assert_eq!(table("tblOpen")["columns"][1]["negative"], 142);
    assert_eq!(table("tblEmpty")["rows"], 0);
    assert!(table("tblHalf")["unread"].as_str().unwrap().contains("permission denied"));
    desk.imis(&["check", "profile", &url, "--tables", "tblOpem"]).failed(2, "tblOpen", &[]);
    let sample =
        desk.imis(&["check", "profile", &url, "--tables", "tblOpen", "--sample", "55", "--json"]).done().json();
    assert_eq!((sample["tables"][0]["read"].as_u64(), sample["tables"][0]["rows"].as_u64()), (Some(55), Some(1_000)));
}
