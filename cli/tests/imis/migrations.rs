//! What the Django migrations of the installed modules do to rows is in the pack, each with a verdict.

use std::collections::{BTreeMap, BTreeSet};

use imis_fixtures::backend::Backend;
use imis_fixtures::sqlserver::{Options, SqlServer, Tables};
use imis_mappings::language::Mapping;
use serde::Deserialize;

use crate::harness::{Desk, Target, migrated};

#[derive(Deserialize)]
struct Found {
    migrations: Vec<FoundMigration>,
    last: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct FoundMigration {
    app: String,
    name: String,
    does: BTreeSet<String>,
}

/// What the installed modules hold, asked of Django itself. No database is needed: nobody listens at the address.
async fn found() -> Found {
    let legacy = imis_schemas::release("legacy/24.04").unwrap();
    let tables: Vec<&str> = legacy.tables.iter().map(|t| t.name.as_str()).collect();
    let nowhere = "postgres://nobody@127.0.0.1:1/none";
    let output = Backend::shared().await.run("operations.py", nowhere, &tables).await.unwrap();
    assert!(output.success, "{}", output.stderr);
    serde_json::from_str(output.stdout.lines().last().unwrap()).unwrap()
}

#[tokio::test]
async fn every_migration_that_changes_rows_is_decided() {
    let found = found().await;
    let pack = Mapping::pack("openimis/legacy-to-modular").unwrap();
    let installed: BTreeMap<_, _> =
        found.migrations.iter().map(|m| ((m.app.clone(), m.name.clone()), &m.does)).collect();
    let run = |does: &BTreeSet<String>| does.iter().any(|what| what.starts_with("Run"));
    assert!(installed.values().filter(|does| run(does)).count() >= 48, "{}", installed.len());
    let mut listed = BTreeMap::new();
    for module in &pack.migrations {
        assert_eq!(found.last.get(&module.app), Some(&module.last), "{}: the newest migration", module.app);
        for row in &module.rows {
            let does: BTreeSet<String> = row.does.iter().cloned().collect();
            listed.insert((module.app.clone(), row.name.value.clone()), does);
        }
    }
    for ((app, name), does) in &installed {
        assert_eq!(listed.get(&(app.clone(), name.clone())), Some(*does), "{app}.{name} is not decided in the pack");
    }
    for (app, name) in listed.keys() {
        assert!(installed.contains_key(&(app.clone(), name.clone())), "{app}.{name} is in the pack only");
    }
    let modules: BTreeSet<_> = pack.migrations.iter().map(|m| &m.app).collect();
    assert_eq!(modules, found.last.keys().collect(), "every installed module is in the pack");
}

#[tokio::test]
async fn a_target_with_newer_modules_is_named_in_the_plan() {
    let Some(database) = migrated(Target::Wide, "newer_modules").await else { return };
    let cluster = imis_fixtures::postgres::Cluster::shared();
    let client = cluster.connect(&database).await.unwrap();
    client
        .batch_execute("INSERT INTO django_migrations (app, name, applied) VALUES ('claim', '0999_later', now()), ('ours', '0001_x', now())")
        .await
        .unwrap();
    drop(client);
    let desk = Desk::new().with("IMIS_MSSQL_PASSWORD", "Loopback!1");
    let tables = Tables::new(imis_schemas::release("legacy/24.04").unwrap()).unwrap();
    let server = SqlServer::start(Options::new(tables, "Loopback!1")).unwrap();
    let source = format!("mssql://sa@127.0.0.1:{}/IMIS?encrypt=off", server.port());
    let url = cluster.url(&database);
    let said = desk.imis(&["plan", "--from", &source, "--to", &url, "--json"]).done();
    let hazards = said.json()["plan"]["hazards"].as_array().unwrap().clone();
    let later: Vec<_> = hazards.iter().filter(|h| h["name"] == "unknown-migration").collect();
    assert_eq!(later.len(), 1, "{later:?}");
    assert!(later[0]["what"].as_str().unwrap().contains("claim.0999_later"));
}
