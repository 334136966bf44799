//! Verification: it names exactly what was changed, by the least that can be changed, on either side, in every kind of database.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::AsArray;
use arrow::datatypes::Int32Type;
use arrow::record_batch::RecordBatch;
use futures::StreamExt;
use imis_databases::snapshot::SnapshotSink;
use imis_databases::{Consistency, Location, ReadRequest, Secret, Sink, Wish};
use imis_fixtures::postgres::Cluster;
use imis_fixtures::sqlserver::{Options as ServerOptions, SqlServer, Tables};
use imis_mappings::bind::bind;
use imis_mappings::language::Mapping;
use imis_mappings::run::Progress;
use imis_mappings::verify::{self, DifferenceKind, End, Options, Recorded, Verification};
use imis_schemas::{Catalog, Engine};

use crate::harness::{Desk, Ends};
use crate::types::{counterpart, mapping};

const PASSWORD: &str = "Loopback!1";

struct Silence;

impl Progress for Silence {
    fn phase(&self, _: &str) {}
    fn rule(&self, _: &str, _: u64) {}
    fn rows(&self, _: &str, _: u64) {}
    fn done(&self, _: &str) {}
}

async fn end(location: &str) -> End {
    let location: Location = location.parse().unwrap();
    let location = match location {
        Location::Mssql(_) => location.with_password(Secret::new(PASSWORD)),
        other => other,
    };
    let source = imis_databases::open(&location).await.unwrap();
    End { catalog: source.catalog().await.unwrap(), source, name: location.to_string() }
}

async fn compared(from: &End, to: &End, table: &str) -> Verification {
    let options = Options { tables: vec![table.to_owned()], ..Options::default() };
    verify::same_shape(from.clone(), to.clone(), options, Arc::new(Silence)).await.unwrap()
}

/// What was found, in short: `changed 3 text`, `missing 4`. A row without key has no key here.
fn found(outcome: &Verification) -> Vec<String> {
    let mut lines: Vec<String> = outcome
        .differences
        .iter()
        .filter(|d| d.explained.is_none())
        .map(|d| {
            let key = d.key.iter().map(|(_, value)| value.as_str()).collect::<Vec<_>>().join("/");
            let cells: Vec<&str> = match d.kind {
                DifferenceKind::Changed => d.cells.iter().map(|c| c.column.as_str()).collect(),
                _ => Vec::new(),
            };
            format!("{} {key} {}", d.kind.name(), cells.join(",")).trim().replace("  ", " ")
        })
        .collect();
    lines.sort();
    assert_eq!(lines.len() as u64, outcome.unexplained(), "{:?}", outcome.tables);
    assert_eq!(outcome.holds(), lines.is_empty() && !outcome.totals.iter().any(|t| t.status.differs()));
    lines
}

/// A type of PostgreSQL, a value, and the least other value.
const POSTGRES: &[(&str, &str, &str)] = &[
    ("boolean", "true", "false"),
    ("smallint", "32767", "32766"),
    ("integer", "-2147483648", "-2147483647"),
    ("bigint", "9223372036854775807", "9223372036854775806"),
    ("numeric(38,10)", "1234567890123456789012345678.0123456789", "1234567890123456789012345678.0123456788"),
    ("numeric(18,2)", "0.00", "0.01"),
    (
        "numeric",
        "123456789012345678901234567890123456789012345678901234567890.1",
        "123456789012345678901234567890123456789012345678901234567890.2",
    ),
    ("numeric", "0", "'NaN'"),
    ("real", "1.5", "1.5000001"),
    ("double precision", "1.7976931348623157e308", "1.7976931348623155e308"),
    ("double precision", "0", "'-0'"),
    ("double precision", "1", "'NaN'"),
    ("date", "'2024-02-29'", "'2024-03-01'"),
    ("time", "'23:59:59.999999'", "'23:59:59.999998'"),
    ("timestamp", "'2024-02-29 12:34:56.123456'", "'2024-02-29 12:34:56.123457'"),
    ("timestamptz", "'9999-12-31 23:59:59.999999Z'", "'9999-12-31 23:59:59.999998Z'"),
    ("character(5)", "'ab'", "'aB'"),
    ("character varying(20)", "'नेपाल'", "'नेपाल '"),
    ("text", "NULL", "''"),
    ("text", "'é'", "E'e\\u0301'"),
    ("xml", "'<a/>'", "'<a />'"),
    ("json", "'{\"a\": 1}'", "'{\"a\": 2}'"),
    ("jsonb", "'{\"a\": 1, \"b\": 0.1000000000000000000001}'", "'{\"b\": 0.1000000000000000000002, \"a\": 1}'"),
    ("bytea", "'\\x'", "'\\x00'"),
    ("uuid", "'6f9619ff-8b86-d011-b42d-00c04fc964ff'", "'6f9619ff-8b86-d011-b42d-00c04fc964fe'"),
    ("bit(1)", "B'0'", "B'1'"),
    ("bit(5)", "B'01010'", "B'01011'"),
    ("inet", "'10.0.0.1'", "'10.0.0.2'"),
    ("integer[]", "'{1,2}'", "'{2,1}'"),
    ("interval", "'1 day'", "'24:00:01'"),
];

/// Three tables of the same rows: known by a number, by a text, by nothing.
fn zoo() -> String {
    let columns = |more: &str| {
        let each = POSTGRES.iter().enumerate().map(|(at, (ty, ..))| format!("c{at} {ty}"));
        format!("{more}, {}", each.collect::<Vec<_>>().join(", "))
    };
    let values = POSTGRES.iter().map(|(_, value, _)| *value).collect::<Vec<_>>().join(", ");
    format!(
        "CREATE TABLE by_number ({}); CREATE TABLE by_text ({}); CREATE TABLE bare ({});
         INSERT INTO by_number SELECT n * 3, {values} FROM generate_series(-10, 30) n;
         INSERT INTO by_text SELECT 'row ' || n, {values} FROM generate_series(1, 30) n;
         INSERT INTO bare SELECT n, {values} FROM generate_series(1, 30) n;",
        columns("k integer PRIMARY KEY"),
        columns("k text PRIMARY KEY"),
        columns("k integer"),
    )
}

async fn database(name: &str, script: &str) -> tokio_postgres::Client {
    let cluster = Cluster::shared();
    cluster.create_database(name).await.unwrap();
    let client = cluster.connect(name).await.unwrap();
    client.batch_execute(script).await.unwrap();
    client
}

#[tokio::test(flavor = "multi_thread")]
async fn two_servers_and_the_least_change_of_every_type() {
    let clients = [database("verify_a", &zoo()).await, database("verify_b", &zoo()).await];
    let (a, b) = (end(&Cluster::shared().url("verify_a")).await, end(&Cluster::shared().url("verify_b")).await);
    for (table, key, name) in [("by_number", "9", "9"), ("by_text", "'row 9'", "row 9"), ("bare", "9", "")] {
        assert_eq!(found(&compared(&a, &b, table).await), [""; 0], "{table}");
        for (at, (ty, value, other)) in POSTGRES.iter().enumerate() {
            // One side after the other.
            let client = &clients[at % 2];
            let set = |value| format!("UPDATE {table} SET c{at} = {value} WHERE k = {key}");
            client.batch_execute(&set(other)).await.unwrap();
            let outcome = compared(&a, &b, table).await;
            let expected = format!("changed {name} c{at}").replace("  ", " ");
            assert_eq!(found(&outcome), [expected], "{table}, {ty}: {value} and {other}");
            client.batch_execute(&set(value)).await.unwrap();
        }
        for (side, client) in clients.iter().enumerate() {
            let of = |kinds: [&str; 2]| vec![format!("{} {name}", kinds[side]).trim().to_owned()];
            client
                .batch_execute(&format!("CREATE TEMP TABLE kept AS SELECT * FROM {table} WHERE k = {key}"))
                .await
                .unwrap();
            client.batch_execute(&format!("DELETE FROM {table} WHERE k = {key}")).await.unwrap();
            assert_eq!(found(&compared(&a, &b, table).await), of(["extra", "missing"]), "{table}: a row dropped");
            client.batch_execute(&format!("INSERT INTO {table} SELECT * FROM kept")).await.unwrap();
            if table == "bare" {
                client.batch_execute("INSERT INTO bare SELECT * FROM kept").await.unwrap();
                assert_eq!(found(&compared(&a, &b, table).await), ["doubled"], "a row doubled");
                client
                    .batch_execute("DELETE FROM bare WHERE ctid IN (SELECT min(ctid) FROM bare WHERE k = 9)")
                    .await
                    .unwrap();
            } else {
                let new = if table == "by_text" { "'zz'" } else { "100000" };
                client
                    .batch_execute(&format!("UPDATE kept SET k = {new}; INSERT INTO {table} SELECT * FROM kept"))
                    .await
                    .unwrap();
                let added = format!("{} {}", ["missing", "extra"][side], new.trim_matches('\''));
                assert_eq!(found(&compared(&a, &b, table).await), [added], "{table}: a row added");
                client.batch_execute(&format!("DELETE FROM {table} WHERE k = {new}")).await.unwrap();
            }
            client.batch_execute("DROP TABLE kept").await.unwrap();
        }
    }
    // Equal in value is equal: digits that say nothing, the order of keys.
    clients[0]
        .batch_execute(r#"CREATE TABLE same (k integer PRIMARY KEY, n numeric, j jsonb); INSERT INTO same VALUES (1, 1.10, '{"b": 1, "a": 1.10}')"#)
        .await
        .unwrap();
    clients[1]
        .batch_execute(r#"CREATE TABLE same (k bigint PRIMARY KEY, n numeric, j jsonb); INSERT INTO same VALUES (1, 1.1, '{"a": 1.1, "b": 1}')"#)
        .await
        .unwrap();
    let (a, b) = (end(&Cluster::shared().url("verify_a")).await, end(&Cluster::shared().url("verify_b")).await);
    assert!(compared(&a, &b, "same").await.holds());
    // A table and a column that only one side has, and types that do not meet.
    clients[0]
        .batch_execute("CREATE TABLE only_here (k integer); CREATE TABLE odd (k integer PRIMARY KEY, a date, b text)")
        .await
        .unwrap();
    clients[1].batch_execute("CREATE TABLE odd (k integer PRIMARY KEY, a uuid)").await.unwrap();
    let (a, b) = (end(&Cluster::shared().url("verify_a")).await, end(&Cluster::shared().url("verify_b")).await);
    let outcome = verify::same_shape(a, b, Options::default(), Arc::new(Silence)).await.unwrap();
    assert!(!outcome.holds());
    assert_eq!(outcome.shape.len(), 3, "{:?}", outcome.shape);
}

/// A table without a key that has pages for several connections.
const LARGE: &str = "CREATE TABLE large (n integer, t text);
    INSERT INTO large SELECT n, repeat('x', 300) FROM generate_series(1, 120000) n";

async fn end_of_one_state(name: &str) -> End {
    let location: Location = Cluster::shared().url(name).parse().unwrap();
    let source = imis_databases::open_as(&location, Wish::SingleTransaction).await.unwrap();
    End { catalog: source.catalog().await.unwrap(), source, name: name.to_owned() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_table_without_a_key_is_read_in_parts_that_give_every_row_once() {
    let client = database("verify_parts", LARGE).await;
    let end = end_of_one_state("verify_parts").await;
    let table = Arc::new(end.catalog.table("large").unwrap().clone());
    let request = ReadRequest::all(table).columns(vec!["n".to_owned()]);
    // What others do meanwhile moves rows from the first pages to new ones behind the last.
    let streams = end.source.read_apart(request.clone(), 4);
    assert_eq!(streams.len(), 4);
    let mut seen = Vec::new();
    for (nth, mut rows) in streams.into_iter().enumerate() {
        let before = seen.len();
        while let Some(chunk) = rows.next().await {
            let batch = chunk.unwrap().batch;
            seen.extend(batch.column(0).as_primitive::<Int32Type>().values().iter().copied());
            if nth == 0 && seen.len() < 20_000 {
                client.batch_execute("UPDATE large SET t = 'moved' WHERE n % 50 = 7").await.unwrap();
            }
        }
        assert!(seen.len() > before + 10_000, "part {nth} has {} rows", seen.len() - before);
    }
    seen.sort_unstable();
    assert_eq!(seen, (1..=120_000).collect::<Vec<i32>>());
    // Where each statement sees another state, a row could be in two parts, or in none.
    let location: Location = Cluster::shared().url("verify_parts").parse().unwrap();
    let fuzzy = imis_databases::open(&location).await.unwrap();
    assert_eq!(fuzzy.read_apart(request, 4).len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_cell_is_found_in_a_table_that_is_read_in_parts() {
    let client = database("verify_large_a", LARGE).await;
    database("verify_large_b", LARGE).await;
    let ends = || async { (end_of_one_state("verify_large_a").await, end_of_one_state("verify_large_b").await) };
    let (a, b) = ends().await;
    let outcome = compared(&a, &b, "large").await;
    assert!(outcome.holds());
    assert_eq!((outcome.tables[0].from_rows, outcome.tables[0].equal), (120_000, 120_000));
    client.batch_execute("UPDATE large SET t = t || 'y' WHERE n = 77777").await.unwrap();
    let (a, b) = ends().await;
    assert_eq!(found(&compared(&a, &b, "large").await), ["changed t"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn large_tables_share_the_connections_that_jobs_allow() {
    let tables: Vec<String> = ["one", "two", "three"].iter().map(|name| LARGE.replace("large", name)).collect();
    database("verify_few", &tables.join(";")).await;
    let admin = Cluster::shared().connect("postgres").await.unwrap();
    // Four readers of either side, the two that hold what is seen, and a few that count.
    admin
        .batch_execute(
            "CREATE ROLE verify_few_reader LOGIN PASSWORD 'few'; GRANT pg_read_all_data TO verify_few_reader; \
             ALTER ROLE verify_few_reader CONNECTION LIMIT 14",
        )
        .await
        .unwrap();
    let location = format!("postgresql://verify_few_reader@127.0.0.1:{}/verify_few", Cluster::shared().port());
    let location: Location = location.parse().unwrap();
    let location = location.with_password(Secret::new("few"));
    let reader = || async {
        let source = imis_databases::open_as(&location, Wish::SingleTransaction).await.unwrap();
        End { catalog: source.catalog().await.unwrap(), source, name: "verify_few".to_owned() }
    };
    let options = Options { jobs: 4, ..Options::default() };
    let outcome = verify::same_shape(reader().await, reader().await, options, Arc::new(Silence)).await.unwrap();
    assert!(outcome.holds());
    assert_eq!(outcome.tables.iter().map(|table| table.equal).collect::<Vec<_>>(), [120_000; 3]);
}

/// A snapshot of these batches, as a table of all types of a SQL Server.
async fn snapshot(folder: &std::path::Path, catalog: &Catalog, batches: &[RecordBatch]) -> End {
    let catalog = Arc::new(catalog.clone());
    let sink = SnapshotSink::create(folder, Arc::clone(&catalog), "a test", Consistency::Frozen).unwrap();
    for table in &catalog.tables {
        let chunks = batches.iter().map(|batch| Ok(batch.clone().into())).collect::<Vec<_>>();
        sink.write(table, Box::pin(futures::stream::iter(chunks))).await.unwrap();
    }
    sink.finish().await.unwrap();
    end(&folder.display().to_string()).await
}

/// A type of SQL Server, a value, and the least other value that a legacy source can hold.
const SQL_SERVER: &[(&str, &str, &str)] = &[
    ("bit", "1", "0"),
    ("tinyint", "255", "254"),
    ("smallint", "-32768", "-32767"),
    ("int", "2147483647", "2147483646"),
    ("bigint", "9223372036854775807", "9223372036854775806"),
    ("decimal(38,10)", "1234567890123456789012345678.0123456789", "1234567890123456789012345678.0123456788"),
    ("money", "-922337203685477.5808", "-922337203685477.5807"),
    ("smallmoney", "214748.3647", "214748.3646"),
    ("real", "1.5", "1.5000001"),
    ("float", "1.5", "1.5000000000000002"),
    ("date", "'0001-01-01'", "'0001-01-02'"),
    ("time(6)", "'23:59:59.999999'", "'23:59:59.999998'"),
    ("datetime", "'2024-02-29T12:34:56.003'", "'2024-02-29T12:34:56.007'"),
    ("smalldatetime", "'2024-02-29T12:34:00'", "'2024-02-29T12:35:00'"),
    ("datetime2(6)", "'9999-12-31T23:59:59.999999'", "'9999-12-31T23:59:59.999998'"),
    ("datetimeoffset(6)", "'2024-02-29T12:34:56.123456+05:45'", "'2024-02-29T12:34:56.123457+05:45'"),
    ("char(5)", "'ab'", "'aB'"),
    ("varchar(20)", "'é'", "'é '"),
    ("nchar(5)", "N'n'", "N'N'"),
    ("nvarchar(20)", "N'नेपाल'", "N'नेपाल '"),
    ("nvarchar(max)", "NULL", "N''"),
    ("varbinary(10)", "0x01", "0x0100"),
    ("uniqueidentifier", "'6F9619FF-8B86-D011-B42D-00C04FC964FF'", "'6F9619FF-8B86-D011-B42D-00C04FC964FE'"),
];

fn sql_server() -> SqlServer {
    let server =
        SqlServer::start(ServerOptions::new(Tables::new(Catalog::new(Engine::Mssql)).unwrap(), PASSWORD)).unwrap();
    let columns = SQL_SERVER.iter().enumerate().map(|(at, (ty, ..))| format!("c{at} {ty} NULL")).collect::<Vec<_>>();
    let values = SQL_SERVER.iter().map(|(_, value, _)| *value).collect::<Vec<_>>().join(", ");
    let rows = (1..=12).map(|n| format!("({n}, {values})")).collect::<Vec<_>>().join(", ");
    let (columns, names) =
        (columns.join(", "), (0..SQL_SERVER.len()).map(|at| format!("c{at}")).collect::<Vec<_>>().join(", "));
    let script = format!(
        "CREATE TABLE dbo.Zoo (Id int NOT NULL PRIMARY KEY, {columns});\nGO\nINSERT INTO dbo.Zoo (Id, {names}) VALUES {rows};"
    );
    server.execute_script(&script).unwrap();
    server
}

async fn rows_of(end: &End, table: &str) -> Vec<RecordBatch> {
    let table = Arc::new(end.catalog.table(table).unwrap().clone());
    end.source.read(ReadRequest::all(table)).map(|chunk| chunk.unwrap().batch).collect().await
}

#[tokio::test(flavor = "multi_thread")]
async fn two_snapshots_and_a_snapshot_and_its_server() {
    let server = sql_server();
    let desk = Desk::new();
    let url = format!("mssql://sa@127.0.0.1:{}/IMIS?encrypt=off", server.port());
    let served = end(&url).await;
    let batches = rows_of(&served, "Zoo").await;
    let catalog = Catalog::clone(&served.catalog);
    let kept = snapshot(&desk.path().join("kept"), &catalog, &batches).await;
    assert_eq!(found(&compared(&kept, &served, "Zoo").await), [""; 0]);
    let mut bare = catalog.clone();
    bare.tables[0].primary_key = imis_schemas::Known::Yes(None);
    let kept_bare = snapshot(&desk.path().join("kept-bare"), &bare, &batches).await;
    for (at, (ty, value, other)) in SQL_SERVER.iter().enumerate() {
        let set =
            |value: &str| server.execute_script(&format!("UPDATE dbo.Zoo SET c{at} = {value} WHERE Id = 5")).unwrap();
        set(other);
        assert_eq!(
            found(&compared(&kept, &served, "Zoo").await),
            [format!("changed 5 c{at}")],
            "{ty}: {value}, {other}"
        );
        // The changed rows as a snapshot of their own, with a key and without.
        let changed = rows_of(&served, "Zoo").await;
        let folder = desk.path().join(format!("changed{at}"));
        let other_kept = snapshot(&folder, &catalog, &changed).await;
        assert_eq!(found(&compared(&other_kept, &kept, "Zoo").await), [format!("changed 5 c{at}")], "{ty}");
        let other_bare = snapshot(&desk.path().join(format!("bare{at}")), &bare, &changed).await;
        assert_eq!(found(&compared(&kept_bare, &other_bare, "Zoo").await), [format!("changed c{at}")], "{ty}");
        set(value);
    }
    // Rows dropped, added, doubled.
    let all = arrow::compute::concat_batches(&batches[0].schema(), &batches).unwrap();
    let parts =
        |parts: &[(usize, usize)]| parts.iter().map(|(from, count)| all.slice(*from, *count)).collect::<Vec<_>>();
    let fewer = snapshot(&desk.path().join("fewer"), &catalog, &parts(&[(0, 4), (5, 7)])).await;
    assert_eq!(found(&compared(&kept, &fewer, "Zoo").await), ["missing 5"]);
    assert_eq!(found(&compared(&fewer, &kept, "Zoo").await), ["extra 5"]);
    let twice = parts(&[(0, 12), (4, 1)]);
    // A key in the catalogue does not keep a file from holding a row twice.
    let doubled = snapshot(&desk.path().join("doubled"), &catalog, &twice).await;
    assert_eq!(found(&compared(&kept, &doubled, "Zoo").await), ["doubled 5"]);
    let doubled = snapshot(&desk.path().join("doubled-bare"), &bare, &twice).await;
    assert_eq!(found(&compared(&doubled, &kept_bare, "Zoo").await), ["doubled"]);
}

/// Holds a migrated database against its source under a mapping file.
async fn proven(desk: &Desk, mapping: &str, from: &End, to: &End) -> Verification {
    let mapping = Mapping::open(&desk.path().join(mapping)).unwrap();
    let database = to.name.rsplit('/').next().unwrap();
    let Location::Postgres(address) = Cluster::shared().url(database).parse().unwrap() else { panic!("no server") };
    let recorded = Recorded::read(&address).await.unwrap();
    let namespace = recorded.namespace.unwrap();
    let bound = bind(&mapping, &from.catalog, &to.catalog, namespace).await.unwrap();
    verify::migration(
        Arc::new(bound),
        &mapping.name,
        from.clone(),
        to.clone(),
        recorded,
        Options::default(),
        Arc::new(Silence),
    )
    .await
    .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_and_its_target_and_the_least_change_of_every_type() {
    let server = sql_server();
    let desk = Desk::new().with("IMIS_MSSQL_PASSWORD", PASSWORD);
    let url = format!("mssql://sa@127.0.0.1:{}/IMIS?encrypt=off", server.port());
    let from = end(&url).await;
    desk.write("zoo.yaml", &mapping(&["Zoo"]));
    let client = database("verify_migrated", &counterpart(from.catalog.table("Zoo").unwrap())).await;
    let to = Cluster::shared().url("verify_migrated");
    let migrate = ["migrate", "--from", &url, "--to", &to, "--mapping", "zoo.yaml", "--allow-connected", "--json"];
    desk.imis(&migrate).done();
    let to = end(&to).await;
    let outcome = proven(&desk, "zoo.yaml", &from, &to).await;
    assert_eq!(found(&outcome), [""; 0]);
    assert!(
        outcome.totals.len() > 40 && outcome.totals.iter().all(|t| t.status == verify::Status::Equal),
        "{:#?}",
        outcome.totals
    );
    client.batch_execute("CREATE TABLE kept AS TABLE \"Zoo\"; DROP TABLE IF EXISTS none").await.unwrap();
    for (at, (ty, value, other)) in SQL_SERVER.iter().enumerate() {
        // In the source.
        let set =
            |value: &str| server.execute_script(&format!("UPDATE dbo.Zoo SET c{at} = {value} WHERE Id = 7")).unwrap();
        set(other);
        let outcome = proven(&desk, "zoo.yaml", &from, &to).await;
        assert_eq!(found(&outcome), [format!("changed 7 c{at}")], "{ty}: {value}, {other}");
        // What was changed there is brought over by hand; then source and target agree again, and the old value is the change.
        set(value);
    }
    // In the target: values that the counterpart types can hold and the source does not.
    let least = [
        ("c4", r#""c4" - 1"#),
        ("c5", r#""c5" + 0.0000000001"#),
        ("c9", "'-0'"),
        ("c14", r#""c14" - interval '1 microsecond'"#),
        ("c15", r#""c15" + interval '1 microsecond'"#),
        ("c17", r#""c17" || ' '"#),
        ("c20", "''"),
        ("c21", "'\\x02'"),
        ("c22", "'6f9619ff-8b86-d011-b42d-00c04fc964fd'"),
    ];
    for (column, value) in least {
        client.batch_execute(&format!(r#"UPDATE "Zoo" SET "{column}" = {value} WHERE "Id" = 3"#)).await.unwrap();
        assert_eq!(found(&proven(&desk, "zoo.yaml", &from, &to).await), [format!("changed 3 {column}")]);
        let back =
            format!(r#"UPDATE "Zoo" SET "{column}" = k."{column}" FROM kept k WHERE k."Id" = 3 AND "Zoo"."Id" = 3"#);
        client.batch_execute(&back).await.unwrap();
    }
    client.batch_execute(r#"DELETE FROM "Zoo" WHERE "Id" = 4"#).await.unwrap();
    let outcome = proven(&desk, "zoo.yaml", &from, &to).await;
    assert_eq!(found(&outcome), ["missing 4"]);
    assert!(outcome.totals.iter().any(|t| t.column.is_empty() && t.status.differs()), "the servers count differently");
    client
        .batch_execute(r#"INSERT INTO "Zoo" SELECT * FROM kept WHERE "Id" = 4; INSERT INTO "Zoo" ("Id") VALUES (-99)"#)
        .await
        .unwrap();
    assert_eq!(found(&proven(&desk, "zoo.yaml", &from, &to).await), ["extra -99"]);
    client.batch_execute(r#"ALTER TABLE "Zoo" DROP CONSTRAINT "Zoo_pkey"; DELETE FROM "Zoo" WHERE "Id" = -99; INSERT INTO "Zoo" SELECT * FROM kept WHERE "Id" = 2"#).await.unwrap();
    let without_key = end(&Cluster::shared().url("verify_migrated")).await;
    assert_eq!(found(&proven(&desk, "zoo.yaml", &from, &without_key).await), ["doubled"]);
    // And as the command says it: code 3, no value of a row unless asked for.
    let to = Cluster::shared().url("verify_migrated");
    let verify = ["verify", "--from", &url, "--to", &to, "--mapping", "zoo.yaml", "--report", "proof"];
    desk.imis(&verify).failed(3, "1 row differs in 1 table", &["922337203685477.5808", PASSWORD]);
    for file in ["index.html", "summary.json", "differences.parquet", "rows.diff"] {
        assert!(desk.path().join("proof").join(file).is_file(), "{file}");
    }
    let diff = std::fs::read_to_string(desk.path().join("proof/rows.diff")).unwrap();
    assert!(
        diff.contains("-  stands 1 times") && diff.contains("+  stands 2 times") && !diff.contains("9223372"),
        "{diff}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_expression_is_found_and_what_the_mapping_names_is_explained() {
    let server =
        SqlServer::start(ServerOptions::new(Tables::new(Catalog::new(Engine::Mssql)).unwrap(), PASSWORD)).unwrap();
    let rows = (1..=40).map(|n| format!("({n}, {n}.25, '2024-01-{:02}T10:00:00', N'name {n}', {n})", n % 28 + 1));
    server
        .execute_script(&format!(
            "CREATE TABLE dbo.Bill (Id int NOT NULL PRIMARY KEY, Amount decimal(18,2) NULL, At datetime NULL, Name nvarchar(50) NULL, Parent int NULL);\nGO\n\
             INSERT INTO dbo.Bill (Id, Amount, At, Name, Parent) VALUES {};\nGO\nUPDATE dbo.Bill SET Parent = 1000 WHERE Id = 9;\nGO\n\
             UPDATE dbo.Bill SET Name = N'a name that is much too long for it' WHERE Id = 10;\nGO\nUPDATE dbo.Bill SET Parent = NULL WHERE Id = 11",
            rows.collect::<Vec<_>>().join(", ")
        ))
        .unwrap();
    let desk = Desk::new().with("IMIS_MSSQL_PASSWORD", PASSWORD);
    let mapping = |amount: &str| {
        format!(
            "mapping: test/bills\nfrom: bills\nto: bills\nrules:\n  bills:\n    from: Bill\n    to: Bill\n    where: {{ keep: \"Id <> 8\", name: not-eight }}\n    \
             columns:\n      Amount: {amount}\n      At: {{ loses: time-of-day }}\n      Name: {{ too-long: reject }}\n    \
             keys:\n      Parent: {{ to: Bill.Id, broken: \"null\" }}\n"
        )
    };
    desk.write("right.yaml", &mapping("Amount"));
    desk.write("wrong.yaml", &mapping("Amount + cast(0.01 as decimal(18,2))"));
    let url = format!("mssql://sa@127.0.0.1:{}/IMIS?encrypt=off", server.port());
    let shape = r#"CREATE TABLE "Bill" ("Id" integer PRIMARY KEY, "Amount" numeric(18,2), "At" date, "Name" varchar(20), "Parent" integer)"#;
    for name in ["right", "wrong"] {
        let database_name = format!("verify_bills_{name}");
        drop(database(&database_name, shape).await);
        let to = Cluster::shared().url(&database_name);
        let file = format!("{name}.yaml");
        let migrate = [
            "migrate",
            "--from",
            &url,
            "--to",
            &to,
            "--mapping",
            &file,
            "--allow-connected",
            "--on-reject",
            "continue",
        ];
        desk.imis(&migrate).failed(3, "rejected", &[]);
    }
    let from = end(&url).await;
    let to = end(&Cluster::shared().url("verify_bills_right")).await;
    let outcome = proven(&desk, "right.yaml", &from, &to).await;
    assert_eq!(found(&outcome), [""; 0], "{:?}", outcome.totals);
    assert!(outcome.holds(), "{:#?}", outcome.totals);
    // Row 10 was rejected and row 8 stayed behind; rows 8 and 10 name themselves, so only row 9 names what is not there.
    let expected = [("dangling-to-null", 1), ("filtered", 1), ("rejected", 1)].map(|(name, n)| (name.to_owned(), n));
    assert_eq!(outcome.tables[0].explained, BTreeMap::from(expected));
    assert!(
        outcome.totals.iter().any(|t| matches!(&t.status, verify::Status::Explained(why) if why.contains("filtered"))),
        "{:#?}",
        outcome.totals
    );

    // A value that somebody changed since in a row that was repaired is not explained by the repair.
    let client = Cluster::shared().connect("verify_bills_right").await.unwrap();
    client.batch_execute(r#"UPDATE "Bill" SET "Amount" = 0 WHERE "Id" = 9"#).await.unwrap();
    assert_eq!(found(&proven(&desk, "right.yaml", &from, &to).await), ["changed 9 Amount,Parent"]);

    // Migrated under one mapping, verified under another: totals and rows both say so.
    let to = end(&Cluster::shared().url("verify_bills_wrong")).await;
    let outcome = proven(&desk, "right.yaml", &from, &to).await;
    let wrong = outcome.totals.iter().find(|t| t.column == "Amount" && t.total == "sum").unwrap();
    assert!(wrong.status.differs(), "{wrong:?}");
    assert_eq!(outcome.tables[0].changed, 38, "{:?}", outcome.tables);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_code_page_in_the_reader_is_found() {
    // The bytes are Cyrillic and the server knows it; on the wire it claims that they are Latin, and a reader believes it.
    let script = "CREATE TABLE dbo.Words (Id int NOT NULL PRIMARY KEY, Name varchar(20) COLLATE Cyrillic_General_CI_AS NULL);\nGO\n\
                  INSERT INTO dbo.Words (Id, Name) VALUES (1, N'Привет'), (2, N'plain'), (3, NULL), (4, N'ё');";
    let options = ServerOptions {
        claimed_collation: Some("Latin1_General_CI_AS".into()),
        ..ServerOptions::new(Tables::new(Catalog::new(Engine::Mssql)).unwrap(), PASSWORD)
    };
    let server = SqlServer::start(options).unwrap();
    server.execute_script(script).unwrap();
    let desk = Desk::new().with("IMIS_MSSQL_PASSWORD", PASSWORD);
    let url = format!("mssql://sa@127.0.0.1:{}/IMIS?encrypt=off", server.port());
    let from = end(&url).await;
    desk.write("words.yaml", &mapping(&["Words"]));
    drop(database("verify_words", &counterpart(from.catalog.table("Words").unwrap())).await);
    let to = Cluster::shared().url("verify_words");
    desk.imis(&["migrate", "--from", &url, "--to", &to, "--mapping", "words.yaml", "--allow-connected"]).done();
    let to = end(&to).await;
    assert_eq!(found(&proven(&desk, "words.yaml", &from, &to).await), ["changed 1 Name", "changed 4 Name"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_column_that_one_of_two_rules_leaves_is_told_with_that_rule() {
    let ends = Ends::new(
        "verify_left_out",
        "CREATE TABLE dbo.Dogs (Id int NOT NULL PRIMARY KEY, Kind nvarchar(10) NULL);
         CREATE TABLE dbo.Cats (Id int NOT NULL PRIMARY KEY);\nGO
         INSERT INTO dbo.Dogs (Id, Kind) VALUES (1, N'small');\nGO
         INSERT INTO dbo.Cats (Id) VALUES (2)",
        "CREATE TABLE pets (id int PRIMARY KEY, kind varchar(10) DEFAULT 'any', note text DEFAULT 'none')",
    )
    .await;
    let rules = "  dogs: { from: Dogs, to: pets }\n  cats: { from: Cats, to: pets }\n";
    ends.desk.write("mapping.yaml", &format!("mapping: test/pets\nfrom: pets\nto: pets\nrules:\n{rules}"));
    ends.imis(&["migrate"]).done();
    let verified = ends.imis(&["verify", "--json"]).done().json();
    let left_out = &verified["tables"][0]["left_out"];
    let why = |at: usize| (left_out[at]["column"].as_str().unwrap(), left_out[at]["why"].as_str().unwrap());
    let of_cats = "rule cats leaves it to the server's default, and rows do not say which rule brought them";
    assert_eq!([why(0), why(1)], [("kind", of_cats), ("note", "the mapping leaves it to the server's default")]);
}
