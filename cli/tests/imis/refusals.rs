//! What servers refuse: each with its message and its code, and no password in any of them.

use imis_fixtures::postgres::Cluster;

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
