//! What servers refuse: each with its message and its code, and no password in any of them.

use imis_fixtures::postgres::Cluster;
use imis_fixtures::sqlserver::{Options, SqlServer, Tables, Tls, TlsLimit};

use crate::harness::{Desk, Target, migrated};

const SECRET: &str = "hunter2-and-more";

#[tokio::test]
async fn postgresql_that_refuses() {
    let desk = Desk::new().with("PGPASSWORD", SECRET);
    let port = Cluster::shared().port();
    let never = [SECRET];
    desk.imis(&["introspect", "postgres://imis@127.0.0.1:9/openimis"]).failed(5, "cannot be reached", &never);
    desk.imis(&["introspect", &format!("postgres://postgres@127.0.0.1:{port}/postgres")]).failed(
        5,
        "refused the login of `postgres`",
        &never,
    );
    let url = Cluster::shared().url("no_such_database");
    desk.imis(&["introspect", &url]).failed(5, "no database `no_such_database`", &[Cluster::shared().password()]);
    let url = Cluster::shared().url("postgres");
    desk.imis(&["introspect", &format!("{url}?sslmode=require")]).failed(5, "encrypt", &[Cluster::shared().password()]);
}

#[tokio::test]
async fn a_target_that_is_not_ready() {
    let desk = Desk::new();
    desk.imis(&["demo", "--families", "20", "--output", "made"]).done();
    let cluster = Cluster::shared();
    cluster.create_database("not_migrated").await.unwrap();
    let url = cluster.url("not_migrated");
    desk.imis(&["prepare", &url]).done();
    desk.imis(&["prepare", &url]).failed(4, "", &[cluster.password()]);
    desk.imis(&["migrate", "--from", "made/legacy", "--to", &url]).failed(4, "not a migrated openIMIS database", &[]);

    let name = migrated(Target::Wide, "used").await.unwrap();
    let url = cluster.url(&name);
    let client = cluster.connect(&name).await.unwrap();
    desk.imis(&["migrate", "--from", "made/legacy", "--to", &url]).failed(1, "other session", &[cluster.password()]);
    client
        .batch_execute(r#"INSERT INTO "tblPayer" ("PayerUUID", "PayerName", "PayerType", "ValidityFrom", "AuditUserID") VALUES ('u', 'n', 'C', now(), 1)"#)
        .await
        .unwrap();
    drop(client);
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    let said = desk.imis(&["migrate", "--from", "made/legacy", "--to", &url]).failed(3, "tblPayer (1)", &[]);
    assert!(said.stderr.contains("existing: replace"), "{}", said.stderr);
    // Refused before anything was written.
    assert_eq!(
        crate::harness::number(&name, "SELECT count(*) FROM pg_namespace WHERE nspname = 'imis_migration'").await,
        0
    );
}

/// A SQL Server with the legacy tables, all empty.
fn sql_server(change: impl FnOnce(&mut Options)) -> SqlServer {
    let tables = Tables::new(imis_schemas::release("legacy/24.04").unwrap()).unwrap();
    let mut options = Options::new(tables, SECRET);
    change(&mut options);
    SqlServer::start(options).unwrap()
}

#[test]
fn sql_server_that_refuses() {
    let desk = Desk::new().with("IMIS_MSSQL_PASSWORD", SECRET);
    let never = [SECRET];
    let plain = sql_server(|_| {});
    let (port, down) = (plain.port(), "mssql://sa@127.0.0.1:9/IMIS");
    desk.imis(&["introspect", down]).failed(5, "nothing listens at 127.0.0.1:9", &never);
    let location = |user: &str, database: &str| format!("mssql://{user}@127.0.0.1:{port}/{database}?encrypt=off");
    let refused = "refuses the login sa";
    let wrong = Desk::new().with("IMIS_MSSQL_PASSWORD", "not-the-one-1");
    wrong.imis(&["introspect", &location("sa", "IMIS")]).failed(5, refused, &[SECRET, "not-the-one-1"]);
    wrong.imis(&["introspect", &location("sa:in-the-url-2", "IMIS")]).failed(5, refused, &[SECRET, "in-the-url-2"]);
    desk.imis(&["introspect", &location("reader", "IMIS")]).failed(5, "refuses the login reader", &never);
    desk.imis(&["introspect", &location("sa", "IMIS_OLD")]).failed(5, "the database IMIS_OLD of", &never);
    desk.imis(&["introspect", &location("sa", "IMIS")]).done();
}

/// Each message names the option by which the person can go on.
#[test]
fn sql_server_and_encryption_that_do_not_agree() {
    let desk = Desk::new().with("IMIS_MSSQL_PASSWORD", SECRET);
    let cases: [(&dyn Fn(&mut Options), &str, &str, &str); 4] = [
        (&|_| {}, "", "offers no encryption", "encrypt=off"),
        (&|o| o.tls = Tls::LoginOnly, "", "is not trusted", "ca=FILE"),
        (&|o| (o.tls, o.tls_limit) = (Tls::LoginOnly, TlsLimit::Tls10), "?trust=any", "no TLS protocol", "tls=old"),
        (&|o| o.tls = Tls::Required, "?encrypt=off", "insists on encryption", "Leave encrypt=off out"),
    ];
    for (change, options, says, helps) in cases {
        let server = sql_server(change);
        let location = format!("mssql://sa@127.0.0.1:{}/IMIS{options}", server.port());
        let said = desk.imis(&["introspect", &location]).failed(5, says, &[SECRET]);
        let help = said.stderr.split("help:").nth(1).unwrap_or_default();
        assert!(help.contains(helps), "{}", said.stderr);
    }
}

#[test]
fn tables_that_the_login_may_not_have() {
    let desk = Desk::new().with("IMIS_MSSQL_PASSWORD", SECRET);
    let plan = |server: &SqlServer| {
        let from = format!("mssql://sa@127.0.0.1:{}/IMIS?encrypt=off", server.port());
        desk.imis(&["plan", "--from", &from, "--to", "release:modular/1.11", "--color", "never"])
    };
    plan(&sql_server(|_| {})).done();
    let hidden = sql_server(|o| (o.sysadmin, o.hidden_tables) = (false, vec!["tblClaimItems".to_owned()]));
    plan(&hidden).failed(4, "tblClaimItems", &[SECRET]);
    let denied = sql_server(|o| (o.sysadmin, o.denied_tables) = (false, vec!["tblClaimItems".to_owned()]));
    let said = plan(&denied).failed(5, "tblClaimItems", &[SECRET]);
    assert!(said.stderr.contains("permission denied") && said.stderr.contains("db_datareader"), "{}", said.stderr);
}
