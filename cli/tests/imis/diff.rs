//! `imis diff`: releases, databases and files against each other.

use std::collections::BTreeMap;

use imis_fixtures::backend::shared_folder;
use imis_fixtures::postgres::Cluster;
use imis_fixtures::sqlserver::{Options, SqlServer, Tables};
use imis_schemas::compare::{Change, Comparison, Fit, Kind};

use crate::harness::Desk;

const PASSWORD: &str = "loopback-diff-7Qk";

fn found(desk: &Desk, arguments: &[&str]) -> Comparison {
    let mut all = vec!["diff", "--json"];
    all.extend(arguments);
    serde_json::from_value(desk.imis(&all).done().json()).unwrap()
}

/// How many rows of the facts are of each class.
fn classes() -> Option<BTreeMap<String, usize>> {
    let path = shared_folder()?.join("facts/legacy_vs_modular_columns.tsv");
    let mut counts = BTreeMap::new();
    for line in std::fs::read_to_string(path).unwrap().lines().skip(1) {
        *counts.entry(line.split('\t').nth(14).unwrap().to_owned()).or_default() += 1;
    }
    Some(counts)
}

#[test]
fn legacy_and_modular_differ_as_the_facts_say() {
    let desk = Desk::new();
    let found = found(&desk, &["release:legacy/24.04", "release:modular/1.11"]);
    let Some(classes) = classes() else { return };
    let count = |wanted: &dyn Fn(&imis_schemas::compare::Difference) -> bool| {
        found.differences.iter().filter(|d| wanted(d)).count()
    };
    assert_eq!(count(&|d| d.kind == Kind::Columns && d.change == Change::OnlyA), classes["dropped"]);
    assert_eq!(count(&|d| d.kind == Kind::Columns && d.change == Change::OnlyB), classes["new"]);
    assert_eq!(count(&|d| d.fit == Some(Fit::Narrower)), classes["narrow"]);
    assert_eq!(count(&|d| d.fit == Some(Fit::Wider)), classes["widen"]);
    assert_eq!(count(&|d| d.fit == Some(Fit::Other)), classes["semantic"]);
    assert_eq!(found.summary[&Kind::Types].equal as usize, classes["same"] + classes["equiv"]);
    assert_eq!(count(&|d| d.guessed), 2);
}

#[test]
fn the_exit_code_says_whether_anything_differs() {
    let desk = Desk::new();
    let (old, new) = ("release:legacy/24.04", "release:modular/1.11");
    desk.imis(&["diff", old, new]).done();
    let said =
        desk.imis(&["diff", old, new, "--exit-code", "--color", "never"]).failed(4, "The two schemas differ in", &[]);
    for text in [
        "~ type of DateFrom: smalldatetime -> date (narrower: the time of day is lost)",
        "> column: UserID -> id (guessed",
    ] {
        assert!(said.stdout.contains(text), "{text} in {}", said.stdout);
    }
    desk.imis(&["diff", old, old, "--exit-code"]).done();
    desk.imis(&["diff", old, new, "--exit-code", "--only", "tables,tblHF*"]).done();
    desk.imis(&["diff", old, new, "--exit-code", "--only", "types", "--ignore", "tbl*.RowID,tblClaim"]).failed(
        4,
        "VEOPhone",
        &["rowversion", "RowID", "DateFrom"],
    );
    desk.imis(&["diff", old, new, "--only", "colums"]).failed(2, "Did you mean `columns`?", &[]);
    desk.imis(&["diff", old, new, "--only", "tblNone"]).failed(2, "nothing on either side", &[]);
    desk.imis(&["diff", old, new, "--ignore", "tblNone", "--json"]).done();
    desk.imis(&["diff", old, "release:legacy/99"]).failed(2, "no known release", &[]);
}

#[tokio::test]
async fn a_server_its_catalogue_and_its_snapshot_are_equal() {
    let catalog = imis_schemas::release("legacy/24.04").unwrap();
    let server = SqlServer::start(Options::new(Tables::new(catalog).unwrap(), PASSWORD)).unwrap();
    let desk = Desk::new().with("IMIS_MSSQL_PASSWORD", PASSWORD);
    let url = format!("mssql://sa@127.0.0.1:{}/IMIS?encrypt=off", server.port());
    desk.imis(&["introspect", &url, "-o", "server.yaml"]).done();
    desk.imis(&["snapshot", &url, "-o", "snapshot"]).done();
    for other in ["server.yaml", "snapshot", "release:legacy/24.04"] {
        for (a, b) in [(url.as_str(), other), (other, url.as_str())] {
            let said = desk.imis(&["diff", a, b, "--exit-code", "--color", "never"]).done();
            assert!(said.stdout.contains("The two schemas are equal"), "{}", said.stdout);
        }
    }
}

#[tokio::test]
async fn a_postgresql_is_equal_to_its_catalogue_until_it_is_changed() {
    let cluster = Cluster::shared();
    cluster.create_database("diff_one").await.unwrap();
    let client = cluster.connect("diff_one").await.unwrap();
    client
        .batch_execute(
            "CREATE TABLE \"tblA\" (\"Id\" serial PRIMARY KEY, \"Code\" varchar(8) NOT NULL DEFAULT 'x' UNIQUE, parent int REFERENCES \"tblA\", \
             CHECK (parent > 0)); CREATE INDEX ON \"tblA\" (parent) WHERE parent > 7; CREATE VIEW v AS SELECT 1 AS one; \
             CREATE FUNCTION f(a int) RETURNS int LANGUAGE sql AS $$ SELECT a + 1 $$; \
             CREATE FUNCTION f(a text) RETURNS int LANGUAGE sql AS $$ SELECT 1 $$",
        )
        .await
        .unwrap();
    let desk = Desk::new();
    let url = cluster.url("diff_one");
    desk.imis(&["introspect", &url, "-o", "before.json", "--format", "json"]).done();
    desk.imis(&["diff", &url, "before.json", "--exit-code"]).done();
    client
        .batch_execute(
            "CREATE OR REPLACE FUNCTION f(a int) RETURNS int LANGUAGE sql AS $$ SELECT a + 2 $$; \
             ALTER TABLE \"tblA\" ALTER \"Code\" TYPE varchar(4); ALTER TABLE \"tblA\" RENAME \"Code\" TO \"CodeName\"; \
             CREATE TABLE \"<script>alert(1)</script>\" (\"<img src=x>\" int)",
        )
        .await
        .unwrap();
    let found = found(&desk, &["before.json", &url, "--report", "report"]);
    let told: Vec<_> = found.differences.iter().map(|d| (d.kind, d.change)).collect();
    let expected = [
        (Kind::Tables, Change::OnlyB),
        (Kind::Columns, Change::Renamed),
        (Kind::Types, Change::Changed),
        (Kind::Routines, Change::Changed),
    ];
    assert_eq!(told, expected, "{:?}", found.differences);
    let file = |name: &str| std::fs::read(desk.path().join("report").join(name)).unwrap();
    let text = |name: &str| String::from_utf8(file(name)).unwrap();
    assert!(text("index.html").contains("&lt;script&gt;") && !text("index.html").contains("<script"));
    assert!(
        text("schema.diff").contains("+ SELECT a + 2") || text("schema.diff").contains("SELECT a + 2 "),
        "{}",
        text("schema.diff")
    );
    let summary: Comparison = serde_json::from_str(&text("summary.json")).unwrap();
    assert_eq!(summary.differences, found.differences);
    assert_eq!(&file("differences.parquet")[..4], b"PAR1");
}
