//! What a plan foretells is what the run then does.

use std::sync::Arc;

use imis_fixtures::country::{Country, CountryParameters};
use imis_fixtures::postgres::Cluster;
use imis_fixtures::sqlserver::{Options, SqlServer, Tables};
use serde_json::Value;

use crate::harness::{Desk, Ends, Target, migrated};

const SECRET: &str = "Loopback!1";

/// Broken keys of every kind: chains, texts in another spelling, zeroes, and codes that nobody knows.
const BROKEN: &str = "
    delete from tblICDCodes where ICDID = (select min(ICDID) from tblClaim)
    delete from tblOfficer where OfficerID in (select top 1 OfficerID from tblPolicy order by PolicyID desc)
    update tblInsuree set Gender = lower(Gender) where InsureeID < 9
    update tblInsuree set Education = 999 where InsureeID < 20
    update tblInsuree set CurrentVillage = 0 where InsureeID = 5
    update tblHF set PLItemID = 0 where HfID = (select min(HfID) from tblHF)
    update tblPremium set PolicyID = -7 where PremiumId = (select max(PremiumId) from tblPremium)
    update tblHF set LegalForm = 'Z' where HfID = (select max(HfID) from tblHF)";

#[tokio::test]
async fn broken_keys_are_foretold_as_the_run_finds_them() {
    let country = Country::new(CountryParameters { families: 60, ..CountryParameters::default() }).unwrap();
    let tables = Tables::from_source(Arc::new(country)).await.unwrap().in_memory().await.unwrap();
    let server = SqlServer::start(Options::new(tables, SECRET)).unwrap();
    server.execute_script(BROKEN).unwrap();
    let desk = Desk::new().with("IMIS_MSSQL_PASSWORD", SECRET);
    let from = format!("mssql://sa@127.0.0.1:{}/IMIS?encrypt=off", server.port());
    let Some(database) = migrated(Target::Wide, "foretold").await else { return };
    let to = Cluster::shared().url(&database);
    let said = desk.imis(&["plan", "--from", &from, "--to", &to, "--scan", "full", "--json"]);
    assert_eq!(said.code, 3, "{}", said.stderr);
    let keys = said.json()["scan"]["keys"].clone();
    let said = desk.imis(&["migrate", "--from", &from, "--to", &to, "--on-reject", "continue", "--json"]);
    assert_eq!(said.code, 3, "{}", said.stderr);
    let account = said.json();

    let foretold = |rule: &str| keys["rejected"][rule].as_u64().unwrap_or(0);
    let mut lost = 0;
    for rule in account["rules"].as_array().unwrap() {
        let name = rule["rule"].as_str().unwrap();
        assert_eq!(foretold(name), rule["rejected"].as_u64().unwrap(), "{name}: {keys:#}");
        lost += foretold(name);
    }
    assert!(
        foretold("claims") > 0 && foretold("claim-items") > 0 && foretold("facilities") == 1 && lost > 5,
        "{keys:#}"
    );
    let key = |rule: &str, column: &str| {
        let is = |key: &&Value| key["rule"] == rule && key["column"] == column;
        keys["keys"].as_array().unwrap().iter().find(is).cloned().unwrap_or_default()
    };
    let losses = account["losses"].as_array().unwrap();
    let education = losses.iter().find(|l| l["rule"] == "insurees" && l["column"] == "Education").unwrap();
    assert_eq!(
        (&education["name"], &education["values"]),
        (&"dangling-to-null".into(), &key("insurees", "Education")["broken"])
    );
    assert_eq!(key("insurees", "Gender"), Value::Null, "another spelling is no broken key");
    assert_eq!(
        (&key("facilities", "PLItemID")["broken"], &key("facilities", "PLItemID")["zero"]),
        (&1.into(), &1.into())
    );
    assert_eq!(key("insurees", "CurrentVillage"), Value::Null, "the mapping makes 0 none before any key is looked at");
}

/// Rows that go before the first one comes are none that a row could name: a scan knows that as the run does.
#[tokio::test(flavor = "multi_thread")]
async fn a_scan_and_the_run_agree_on_rows_that_go() {
    for (policy, rejected) in [("discard", 1), ("replace", 1), ("{ merge: [id] }", 0)] {
        let ends = Ends::new(
            &format!("plan_existing_{}", policy.trim_matches(|c: char| !c.is_alphabetic()).replace(": [id", "")),
            "CREATE TABLE dbo.Parents (Id int NOT NULL PRIMARY KEY);
             CREATE TABLE dbo.Rows (Id int NOT NULL PRIMARY KEY, Parent int NULL);\nGO
             INSERT INTO dbo.Parents (Id) VALUES (1);\nGO
             INSERT INTO dbo.Rows (Id, Parent) VALUES (1, 1), (2, 5)",
            "CREATE TABLE parents (id int PRIMARY KEY); INSERT INTO parents VALUES (5);
             CREATE TABLE rows (id int PRIMARY KEY, parent int)",
        )
        .await;
        ends.desk.write(
            "mapping.yaml",
            &format!(
                "mapping: test/existing\nfrom: rows\nto: rows\nrules:\n  parents: {{ from: Parents, to: parents, existing: {policy} }}\n  \
                 rows: {{ from: Rows, to: rows, keys: {{ parent: {{ to: parents.id, broken: reject }} }} }}\n"
            ),
        );
        let scanned = ends.imis(&["plan", "--scan", "full", "--json"]).json();
        let foretold = scanned["scan"]["keys"]["rejected"]["rows"].as_u64().unwrap_or(0);
        let run = ends.imis(&["migrate", "--json"]).json();
        assert_eq!((foretold, run["rejected"].as_u64()), (rejected, Some(rejected)), "{policy}: {scanned}");
    }
}
