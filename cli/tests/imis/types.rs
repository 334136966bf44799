//! Every SQL Server type with its extremes: through TDS, a snapshot, a mapping, COPY, and back, to the last digit.

use std::fmt::Write as _;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int32Array, StringArray};
use arrow::record_batch::RecordBatch;
use imis_databases::Location;
use imis_fixtures::backend::shared_folder;
use imis_fixtures::postgres::Cluster;
use imis_fixtures::sqlserver::{Options, SqlServer, Tables, surrogate_text};
use imis_schemas::{Catalog, Engine, Table};

use crate::harness::{Desk, number};

const PASSWORD: &str = "Loopback!1";

/// What each column of facts/every-type.sql holds in its first row, as PostgreSQL prints it. `NULL` in the second.
const EXPECTED: &[(&str, &str)] = &[
    ("ti", "255"),
    ("si", "-32768"),
    ("i", "536870911"),
    ("bt", "true"),
    ("dc", "-1234567890123456789012345678.0123456789"),
    ("nm", "123456.789"),
    ("mo", "-922337203685477.5808"),
    ("smo", "214748.3647"),
    ("fl", "1.7976931348623157e+308"),
    ("fl24", "3.4e+38"),
    ("re", "1.5"),
    ("dt", "0001-01-01"),
    ("t7", "23:59:59.999999"),
    ("t0", "23:59:59"),
    ("dtm", "1753-01-01 00:00:00.003"),
    ("dt2", "9999-12-31 23:59:59.999999"),
    ("dt23", "2024-02-29 12:34:56.789"),
    ("sdt", "2079-06-06 23:59:00"),
    ("dto", "2024-02-29 06:49:56.123456+00"),
    ("ch", "ab   "),
    ("vc", "varchar é"),
    ("tx", "text"),
    ("nc", "n    "),
    ("nv", "नेपाल 😀"),
    ("nt", "ntext"),
    ("bi", "\\x01000000"),
    ("vb", "\\x0102"),
    ("im", "\\xff"),
    ("ui", "6f9619ff-8b86-d011-b42d-00c04fc964ff"),
    ("sv", "sv"),
    ("xm", "<a b=\"1\">t</a>"),
    ("sn", "sn"),
    ("Odd Name", "x"),
];

/// The statement that makes a PostgreSQL table which takes every value of a SQL Server table.
pub(crate) fn counterpart(table: &Table) -> String {
    let mut columns = String::new();
    for column in &table.columns {
        let separator = if columns.is_empty() { "" } else { ", " };
        let data_type = column.data_type(Engine::Mssql).postgres_counterpart().sql(Engine::Postgres);
        let _ = write!(columns, "{separator}{} {data_type}", Engine::Postgres.quote(&column.name));
        if table.key_columns().contains(&column.name) {
            columns.push_str(" PRIMARY KEY");
        }
    }
    format!("CREATE TABLE {} ({columns})", Engine::Postgres.quote(&table.name))
}

pub(crate) fn mapping(tables: &[&str]) -> String {
    let mut text = "mapping: test/types\nfrom: types\nto: types\nrules:\n".to_owned();
    for table in tables {
        let _ = writeln!(text, "  {}:\n    from: {table}\n    to: {table}", table.to_lowercase());
    }
    text
}

/// The catalogue that the server shows.
pub(crate) fn catalog(desk: &Desk, server: &str) -> Catalog {
    Catalog::parse(&desk.imis(&["introspect", server, "--format", "json"]).done().stdout).unwrap()
}

#[tokio::test]
async fn every_type_arrives_to_the_last_digit() {
    let Some(shared) = shared_folder() else { return };
    let script = std::fs::read_to_string(shared.join("facts/every-type.sql")).unwrap();
    let server = SqlServer::start(Options::new(Tables::new(Catalog::new(Engine::Mssql)).unwrap(), PASSWORD)).unwrap();
    server.execute_script(&script).unwrap();
    let desk = Desk::new().with("IMIS_MSSQL_PASSWORD", PASSWORD);
    let from = format!("mssql://sa@127.0.0.1:{}/IMIS?encrypt=off", server.port());
    let zoo = catalog(&desk, &from).table("Zoo").unwrap().clone();
    desk.imis(&["snapshot", &from, "--output", "zoo"]).done();
    desk.write("types.yaml", &mapping(&["Zoo"]));

    let cluster = Cluster::shared();
    let mut rows = Vec::new();
    for (name, from) in [("types_from_server", from.as_str()), ("types_from_snapshot", "zoo")] {
        cluster.create_database(name).await.unwrap();
        let client = cluster.connect(name).await.unwrap();
        client.batch_execute(&counterpart(&zoo)).await.unwrap();
        drop(client);
        let to = cluster.url(name);
        let said = desk.imis(&[
            "migrate",
            "--from",
            from,
            "--to",
            &to,
            "--mapping",
            "types.yaml",
            "--json",
            "--allow-connected",
        ]);
        let account = said.done().json();
        assert_eq!((&account["balances"], &account["rules"][0]["loaded"]), (&true.into(), &2.into()), "{account}");

        let client = cluster.connect(name).await.unwrap();
        client.batch_execute("SET TimeZone = 'UTC'").await.unwrap();
        for (column, expected) in EXPECTED {
            let quoted = Engine::Postgres.quote(column);
            // A cast to text takes the blanks off a character(n); a COPY would show them.
            let as_text = if ["ch", "nc"].contains(column) {
                format!("rpad({quoted}::text, 5)")
            } else {
                format!("{quoted}::text")
            };
            let sql = format!("SELECT {as_text} FROM \"Zoo\" ORDER BY \"Id\"");
            let found = client.query(&sql, &[]).await.unwrap();
            assert_eq!(found[0].get::<_, Option<String>>(0).as_deref(), Some(*expected), "{name} {column}");
            let second = found[1].get::<_, Option<String>>(0);
            let default = (*column == "Odd Name").then_some("x");
            assert_eq!(second.as_deref(), default, "{name} {column}: NULL stays NULL");
        }
        // REPLICATE of a varchar that is not varchar(max) ends at 8,000 bytes.
        let long = r#"SELECT "vcm" = repeat('x', 20000) AND "nvm" = repeat('ю', 10000)
            AND "vbm" = convert_to(repeat('a', 8000), 'UTF8') AND length("rv") = 8 AND "Comp" = 2 * "i" FROM "Zoo" ORDER BY "Id" LIMIT 1"#;
        assert!(client.query_one(long, &[]).await.unwrap().get::<_, bool>(0), "{name}");
        let all =
            client.query_one(r#"SELECT md5(string_agg(z::text, '|' ORDER BY "Id")) FROM "Zoo" z"#, &[]).await.unwrap();
        rows.push(all.get::<_, String>(0));

        // And back: read from PostgreSQL as a source, nothing is refused and nothing changes on a second way round.
        let back = format!("back-{name}");
        desk.imis(&["snapshot", &to, "--output", &back, "--tables", "Zoo"]).done();
        let source = imis_databases::open(&Location::Snapshot(desk.path().join(&back))).await.unwrap();
        let catalog = source.catalog().await.unwrap();
        assert_eq!(source.count(catalog.table("Zoo").unwrap()).await.unwrap(), 2);
    }
    assert_eq!(rows[0], rows[1], "the snapshot holds what the server holds");
}

#[tokio::test]
async fn texts_that_are_none_other_alphabets_and_a_huge_cell() {
    let huge = "ю".repeat(20 * 1024 * 1024);
    let columns = |batch: Vec<(&str, ArrayRef)>| {
        RecordBatch::try_from_iter_with_nullable(batch.into_iter().map(|(name, array)| (name, array, true))).unwrap()
    };
    let script = "CREATE TABLE dbo.Words (Id int NOT NULL PRIMARY KEY, Name nvarchar(50) NULL, \
                  Cyrillic varchar(20) COLLATE Cyrillic_General_CI_AS NULL, Long nvarchar(max) NULL)";
    let empty = SqlServer::start(Options::new(Tables::new(Catalog::new(Engine::Mssql)).unwrap(), PASSWORD)).unwrap();
    empty.execute_script(script).unwrap();
    let desk = Desk::new().with("IMIS_MSSQL_PASSWORD", PASSWORD);
    let described = catalog(&desk, &format!("mssql://sa@127.0.0.1:{}/IMIS?encrypt=off", empty.port()));
    let batch = columns(vec![
        ("Id", Arc::new(Int32Array::from(vec![1, 2, 3, 4])) as ArrayRef),
        (
            "Name",
            Arc::new(StringArray::from(vec![
                "ok".to_owned(),
                surrogate_text(&[0x41, 0xD83D]),
                "नेपाल".into(),
                "😀".into(),
            ])),
        ),
        ("Cyrillic", Arc::new(StringArray::from(vec![Some("Привет"), Some("x"), None, Some("ё")]))),
        ("Long", Arc::new(StringArray::from(vec![None, None, Some(huge.as_str()), Some("")]))),
    ]);
    let tables = Tables::new(described.clone()).unwrap().with_batches("Words", vec![batch]).unwrap();
    let server = SqlServer::start(Options::new(tables, PASSWORD)).unwrap();
    let from = format!("mssql://sa@127.0.0.1:{}/IMIS?encrypt=off", server.port());
    desk.write("types.yaml", &mapping(&["Words"]));
    let name = "types_words";
    let cluster = Cluster::shared();
    cluster.create_database(name).await.unwrap();
    cluster.connect(name).await.unwrap().batch_execute(&counterpart(described.table("Words").unwrap())).await.unwrap();
    let to = cluster.url(name);
    let migrate = ["migrate", "--from", &from, "--to", &to, "--mapping", "types.yaml", "--allow-connected"];

    // A row that cannot be read stops the run, unless it is told to go on; then it is kept aside with key and reason.
    desk.imis(&migrate).failed(3, "Id 2", &[PASSWORD]);
    desk.imis(&migrate).failed(3, "--resume", &[PASSWORD]);
    let mut on = migrate.to_vec();
    on.extend(["--on-reject", "continue", "--json"]);
    let mut resumed = on.clone();
    resumed.push("--resume");
    let said = desk.imis(&resumed).failed(3, "\"rejected\": 1", &[PASSWORD]);
    assert_eq!(said.json()["balances"], true);
    let rejects = desk.imis(&["rejects", "show", &to, "--json"]).done().json();
    let reject = &rejects["rejects"][0];
    assert_eq!((&reject["column"], &reject["key"]["Id"]), (&"Name".into(), &"2".into()), "{rejects}");
    let sql = format!(
        r#"SELECT count(*) FROM "Words" WHERE ("Id", coalesce("Cyrillic", '-'), coalesce(length("Long"), -1)) IN
           ((1, 'Привет', -1), (3, '-', {}), (4, 'ё', 0))"#,
        20 * 1024 * 1024
    );
    assert_eq!(number(name, &sql).await, 3);

    // A cell above the limit is a reject with its key, too.
    desk.imis(&["migrate", "--undo", "--to", &to]).done();
    on.extend(["--max-cell", "1"]);
    let said = desk.imis(&on).failed(3, "\"rejected\": 2", &[PASSWORD]);
    assert_eq!(said.json()["rules"][0]["loaded"], 2);
}
