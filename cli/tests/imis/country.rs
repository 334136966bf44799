//! The synthetic country, through the command, into every kind of target.

use imis_fixtures::backend::Backend;
use imis_fixtures::postgres::Cluster;

use crate::harness::{Desk, Target, assert_same, dump, migrated, number};

/// All rows but those of the framework: the backend makes a group when it starts for the first time.
const DATA: &[&str] = &["--data-only", "--exclude-table=auth_*"];

#[test]
fn the_demo_needs_nothing_installed() {
    let desk = Desk::new();
    let said = desk.imis(&["demo", "--families", "30"]).done();
    assert!(desk.path().join("imis-demo/report/index.html").exists(), "{}", said.stderr);
    let doctor = desk.imis(&["doctor", "imis-demo/modular", "--json"]).done().json();
    assert_eq!(doctor[0]["facts"]["rows that could not be read"], "0");
    let summary = std::fs::read_to_string(desk.path().join("imis-demo/report/summary.json")).unwrap();
    let summary: serde_json::Value = serde_json::from_str(&summary).unwrap();
    let claims = summary["rules"].as_array().unwrap().iter().find(|r| r["rule"] == "claims").unwrap();
    assert!(claims["read"].as_u64().unwrap() > 0 && claims["read"] == claims["loaded"], "{claims}");
    // What came out is what the source and the mapping say, row by row.
    let verify = ["verify", "--from", "imis-demo/legacy", "--to", "imis-demo/modular", "--json"];
    let proof = desk.imis(&verify).done().json();
    assert_eq!((&proof["holds"], &proof["explained"]), (&true.into(), &0.into()), "{proof}");
    assert!(proof["totals"]["equal"].as_u64() > Some(1_000), "{}", proof["totals"]["equal"]);
    // A second demo does not write over the first.
    desk.imis(&["demo", "--families", "30"]).failed(2, "not empty", &[]);
}

#[tokio::test]
async fn the_country_works_in_every_kind_of_target_and_can_be_taken_back() {
    let desk = Desk::new();
    for target in Target::ALL {
        let Some(name) = migrated(target, "country").await else { continue };
        let url = Cluster::shared().url(&name);
        let (schema, rows) = (dump(&name, &["--schema-only"]), dump(&name, DATA));
        let folder = format!("demo-{target:?}");
        let said = desk.imis(&["demo", "--families", "40", "--to", &url, "--output", &folder, "--json"]).done();
        assert_eq!(said.json()["balances"], true);
        assert_same(&dump(&name, &["--schema-only"]), &schema, &format!("{target:?}: the schema is what it was"));

        // A login writes into Django's own tables, so the backend gets a copy: what is undone below is our work alone.
        let copy = format!("{name}_copy");
        Cluster::shared().create_database_from(&name, &copy).await.unwrap();
        let smoke = Backend::shared().await.run("smoke.py", &Cluster::shared().url(&copy), &[]).await.unwrap();
        assert!(smoke.success, "{target:?}: {}\n{}", smoke.stdout, smoke.stderr);
        assert_eq!(
            number(&name, r#"SELECT count(*) FROM "tblRole" WHERE "IsSystem" = 64 AND "ValidityTo" IS NULL"#).await,
            1
        );
        let accounts = number(&name, r#"SELECT count(*) FROM "core_User""#).await;
        let users =
            number(&name, r#"SELECT count(DISTINCT "LoginName") FROM "tblUsers" WHERE "ValidityTo" IS NULL"#).await;
        assert!(accounts >= users, "{target:?}: {accounts} accounts of {users} users");

        let runs = desk.imis(&["runs", &url, "--json"]).done().json();
        assert_eq!(runs[0]["phase"], "accounted");
        // A finished run is not begun again, and its target is full.
        let legacy = format!("{folder}/legacy");
        desk.imis(&["migrate", "--from", &legacy, "--to", &url, "--resume"]).done();
        desk.imis(&["migrate", "--from", &legacy, "--to", &url]).failed(3, "not empty", &[]);

        desk.imis(&["migrate", "--undo", "--to", &url]).done();
        assert_same(&dump(&name, &["--schema-only"]), &schema, &format!("{target:?}: the schema after undo"));
        assert_same(&dump(&name, DATA), &rows, &format!("{target:?}: the rows after undo"));
    }
}
