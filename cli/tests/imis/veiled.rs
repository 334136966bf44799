//! Servers that show less, or something else, than they hold: nobody copies that without having been told.

use imis_fixtures::postgres::Cluster;
use imis_fixtures::sqlserver::{Options, SqlServer, Tables};

use crate::harness::Desk;

const SECRET: &str = "hunter2-and-more";

/// A SQL Server with the legacy tables, all empty, and a login that is no administrator.
fn sql_server(change: impl FnOnce(&mut Options)) -> SqlServer {
    let tables = Tables::new(imis_schemas::release("legacy/24.04").unwrap()).unwrap();
    let mut options = Options::new(tables, SECRET);
    options.sysadmin = false;
    change(&mut options);
    SqlServer::start(options).unwrap()
}

fn address(server: &SqlServer, more: &str) -> String {
    format!("mssql://sa@127.0.0.1:{}/IMIS?encrypt=off{more}", server.port())
}

/// A message as it was before the terminal's width broke it.
fn plain(text: &str) -> String {
    text.replace('│', " ").split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn masked_filtered_and_encrypted_is_refused_by_name() {
    type Case = (fn(&mut Options), [&'static str; 2]);
    let cases: [Case; 3] = [
        (
            |o| o.masked_columns = vec!["tblInsuree.Phone".into()],
            ["tblInsuree.Phone is masked for this login", "GRANT UNMASK"],
        ),
        (
            |o| o.filtered_tables = vec!["tblInsuree".into()],
            ["tblInsuree has a filter that may keep rows", "ALTER SECURITY POLICY"],
        ),
        (
            |o| o.encrypted_columns = vec!["tblInsuree.Passport".into()],
            ["tblInsuree.passport is encrypted by clients", "Decrypt the column"],
        ),
    ];
    let desk = Desk::new().with("IMIS_MSSQL_PASSWORD", SECRET);
    for (nth, (change, says)) in cases.into_iter().enumerate() {
        let server = sql_server(change);
        let (from, folder) = (address(&server, ""), format!("snapshot-{nth}"));
        let plan = ["plan", "--to", "release:modular/1.11", "--color", "never", "--from"];
        let planned = desk.imis(&[&plan[..], &[&from]].concat()).failed(4, "does not fit", &[SECRET]);
        let taken = desk.imis(&["snapshot", &from, "-o", &folder]).failed(4, "", &[SECRET]);
        let by_library = address(&server, "&driver=tiberius");
        let profiled = desk.imis(&["check", "profile", &by_library, "--tables", "tblInsuree"]);
        for said in [&planned.stderr, &taken.stderr, &format!("{}{}", profiled.stdout, profiled.stderr)] {
            let said = plain(said).to_lowercase();
            assert!(said.contains(&says[0].to_lowercase()), "`{}` is missing in:\n{said}", says[0]);
        }
        for said in [&planned.stderr, &taken.stderr] {
            assert!(plain(said).contains(says[1]) && plain(said).contains("veiled=accept"), "{said}");
        }
        // What nobody reads does no harm, and who knows what it means may have it.
        let accepted = address(&server, "&veiled=accept");
        desk.imis(&["snapshot", &from, "--tables", "tblGender", "-o", &format!("other-{nth}")]).done();
        desk.imis(&["snapshot", &accepted, "-o", &format!("accepted-{nth}")]).done();
        desk.imis(&[&plan[..], &[&accepted]].concat()).done();
    }
    desk.imis(&["introspect", "mssql://sa@127.0.0.1:9/IMIS?veiled=yes"]).failed(
        2,
        "refuse (the default) or accept",
        &[],
    );
}

/// Servers before 2016 know none of it; whoever may see everything is not bothered.
#[test]
fn old_servers_and_administrators_are_read() {
    let desk = Desk::new().with("IMIS_MSSQL_PASSWORD", SECRET);
    let views =
        ["sys.masked_columns", "sys.security_predicates", "sys.security_policies", "sys.columns.encryption_type"];
    let old = sql_server(|o| (o.version, o.missing) = ("12.0.6024.0".into(), views.map(str::to_owned).to_vec()));
    desk.imis(&["snapshot", &address(&old, ""), "-o", "old"]).done();
    let administrator = sql_server(|o| (o.sysadmin, o.masked_columns) = (true, vec!["tblInsuree.Phone".into()]));
    desk.imis(&["snapshot", &address(&administrator, ""), "-o", "all"]).done();
}

#[tokio::test]
async fn a_postgresql_that_keeps_rows_back_fails() {
    let (desk, cluster) = (Desk::new(), Cluster::shared());
    cluster.create_database("kept_back").await.unwrap();
    let client = cluster.connect("kept_back").await.unwrap();
    // A role with the limits and notices of a web application, and a table that shows it nothing.
    client
        .batch_execute(
            "CREATE TABLE open (id int PRIMARY KEY);
             INSERT INTO open SELECT generate_series(1, 30);
             CREATE TABLE kept (id int PRIMARY KEY);
             INSERT INTO kept SELECT generate_series(1, 30);
             ALTER TABLE kept ENABLE ROW LEVEL SECURITY;
             CREATE TABLE months (id int, month int, PRIMARY KEY (id, month)) PARTITION BY LIST (month);
             CREATE TABLE months_1 PARTITION OF months FOR VALUES IN (1);
             CREATE TABLE months_2 PARTITION OF months FOR VALUES IN (2);
             INSERT INTO months SELECT n, 1 + n % 2 FROM generate_series(1, 50) n;
             DROP ROLE IF EXISTS kept_back_reader;
             CREATE ROLE kept_back_reader LOGIN PASSWORD 'kept-back-7';
             ALTER ROLE kept_back_reader SET statement_timeout = 1;
             GRANT SELECT ON ALL TABLES IN SCHEMA public TO kept_back_reader",
        )
        .await
        .unwrap();
    let idle: String = client.query_one("SHOW server_version_num", &[]).await.unwrap().get(0);
    if idle.parse::<u32>().unwrap() >= 140_000 {
        client.batch_execute("ALTER ROLE kept_back_reader SET idle_session_timeout = 100").await.unwrap();
    }
    let desk = desk.with("IMIS_POSTGRES_PASSWORD", "kept-back-7");
    let url = format!("postgres://kept_back_reader@127.0.0.1:{}/kept_back?sslmode=disable", cluster.port());
    let said = desk.imis(&["snapshot", &url, "-o", "all"]);
    assert!(said.code != 0 && said.stderr.contains("row-level security"), "{} {}", said.code, said.stderr);
    // A partition is a part of its table and no table beside it.
    let said = desk.imis(&["snapshot", &url, "--tables", "open,months", "-o", "open"]).done();
    assert!(said.stderr.contains("2 tables, 80 rows"), "{}", said.stderr);
    let seen = desk.imis(&["introspect", &url]).done().stdout;
    assert!(seen.contains("months") && !seen.contains("months_1"), "{seen}");
}
