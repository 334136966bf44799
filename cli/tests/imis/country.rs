//! The synthetic country, through the command, into every kind of target.

use imis_fixtures::backend::Backend;
use imis_fixtures::postgres::Cluster;

use crate::harness::{Desk, Target, dump, migrated, number};

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
    // A second demo does not write over the first.
    desk.imis(&["demo", "--families", "30"]).failed(2, "not empty", &[]);
}

#[tokio::test]
async fn the_country_works_in_every_kind_of_target_and_can_be_taken_back() {
    let desk = Desk::new();
    for target in Target::ALL {
        let Some(name) = migrated(target, "country").await else { continue };
        let url = Cluster::shared().url(&name);
        let (schema, rows) = (dump(&name, &["--schema-only"]), dump(&name, &["--data-only"]));
        let folder = format!("demo-{target:?}");
        let said = desk.imis(&["demo", "--families", "40", "--to", &url, "--output", &folder, "--json"]).done();
        assert_eq!(said.json()["balances"], true);
        assert_eq!(dump(&name, &["--schema-only"]), schema, "{target:?}: the schema is what it was");

        let smoke = Backend::shared().await.run("smoke.py", &url, &[]).await.unwrap();
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
        assert_eq!(dump(&name, &["--schema-only"]), schema, "{target:?}: the schema after undo");
        assert_eq!(dump(&name, &["--data-only"]), rows, "{target:?}: the rows after undo");
    }
}
