//! Which release a database is of: customised countries, catalogue files, hybrids; text, JSON and HTML.

use imis_fixtures::sqlserver::{Options, SqlServer, Tables};
use imis_schemas::{Catalog, Column, Engine, Known, Routine};
use serde_json::{Value, json};

use crate::clean::scripted;
use crate::harness::Desk;

const PASSWORD: &str = "loopback-9Gw";

fn names(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|d| d["name"].as_str().unwrap()).collect()
}

fn widest(text: &str) -> usize {
    text.lines().map(|line| line.chars().count()).max().unwrap_or_default()
}

#[test]
fn each_release_is_itself_without_a_database() {
    let desk = Desk::new();
    for release in imis_schemas::release_names() {
        let said = desk.imis(&["identify", &format!("release:{release}"), "--json"]).done().json();
        let canonical = release.rsplit('/').next().unwrap();
        let known = imis_schemas::legacy::legacy_release(canonical).map_or(canonical, |known| known.name.as_str());
        let twins = said["twins"].as_array().unwrap();
        assert!(said["release"] == known || twins.contains(&json!(known)), "{release}: {said}");
        assert_eq!((&said["distance"], &said["counted"], &said["imis"]), (&json!(0), &json!(false), &json!(1)));
    }
    let text = desk.imis(&["identify", "release:legacy/1.4.2", "--color", "never"]).done().stdout;
    insta::assert_snapshot!(text);
    assert!(widest(&text) <= 200);
    desk.imis(&["identify", "release:legacy/9"]).failed(2, "no known release", &[]);
    let empty = desk.write("empty.yaml", "imis: 1\nengine: mssql\ntables: []\n");
    desk.imis(&["identify", empty.to_str().unwrap()]).failed(4, "no table", &[]);
}

#[test]
fn a_catalogue_file_is_told_to_programs() {
    let mut catalog = imis_schemas::release("legacy/1.5.1").unwrap();
    let column = |name: &str, data_type: &str| Column {
        name: name.into(),
        data_type: data_type.into(),
        nullable: true,
        identity: false,
        default: None,
        computed: None,
        collation: None,
    };
    let claim = catalog.tables.iter_mut().find(|t| t.name == "tblClaim").unwrap();
    claim.columns.push(column("nmcNumber", "nvarchar(20)"));
    claim.columns.push(column("CareType", "int"));
    claim.columns.iter_mut().find(|c| c.name == "ClaimCode").unwrap().data_type = "nvarchar(20)".into();
    catalog.tables.retain(|t| t.name != "tblEmailSettings");
    if let Known::Yes(routines) = &mut catalog.routines {
        routines.push(Routine {
            schema: "dbo".into(),
            name: "uspOwn".into(),
            kind: "procedure".into(),
            definition: Some("create procedure uspOwn as select 1".into()),
        });
    }
    let desk = Desk::new();
    let file = desk.write("own.json", &catalog.to_json());
    let mut said = desk.imis(&["identify", file.to_str().unwrap(), "--json"]).done().json();
    said["location"] = "own.json".into();
    insta::assert_json_snapshot!(said);
}

#[tokio::test]
async fn a_customised_country_is_named_with_what_it_added() {
    let desk = Desk::new().with("IMIS_MSSQL_PASSWORD", PASSWORD);
    let generate = ["generate", "-o", "scripts", "--format", "scripts", "--families", "20"];
    desk.imis(&[&generate[..], &["--customised", "nepal-hib", "--release", "1.5.1"]].concat()).done();
    let server = scripted(desk.path().join("scripts")).await;
    let location = format!("mssql://sa@127.0.0.1:{}/IMIS?encrypt=off", server.port());
    let said = desk.imis(&["identify", &location, "--json", "--report", "report"]).done().json();
    assert_eq!(said["release"], "1.5.1", "{said}");
    let country = &said["countries"][0];
    assert_eq!((&country["name"], country["found"].as_array().unwrap().len()), (&json!("nepal-hib"), 24));
    let added = names(&said["added"]);
    for name in ["tblReceipt", "tblClaim.CareType", "tblInsuree.NIN", "tblHF.IsCopay"] {
        assert!(added.contains(&name), "{name} is not in {added:?}");
    }
    assert_eq!(names(&said["changed"]), ["tblItems.ItemCode", "tblServices.ServCode"]);
    assert_eq!(said["distance"], json!(added.len() + 2));
    let line = |name: &str| said["added"].as_array().unwrap().iter().find(|d| d["name"] == name).unwrap();
    assert_eq!((&line("tblSamplePercentSetting")["rows"], &line("tblReceipt")["rows"]), (&json!(3), &json!(8)));
    let nin = line("tblInsuree.NIN");
    assert!(nin["rows"].as_u64().unwrap() > 10, "{nin}");
    assert_eq!(nin["area"], "Families and insured people");
    let collisions = said["collisions"].as_array().unwrap();
    let care = collisions.iter().find(|c| c["name"] == "tblClaim.CareType").unwrap();
    assert_eq!(
        (&care["release"], &care["found"], &care["alike"]),
        (&json!("modular/1.11"), &json!("char(1)"), &json!(false))
    );

    let page = std::fs::read_to_string(desk.path().join("report/index.html")).unwrap();
    assert!(
        page.contains("openIMIS 1.5.1")
            && page.contains("Nepal, Health Insurance Board")
            && page.contains("24 of 24 marks")
    );
    let summary: Value =
        serde_json::from_slice(&std::fs::read(desk.path().join("report/summary.json")).unwrap()).unwrap();
    assert_eq!(summary, said);
    let bare = desk.imis(&["identify", &location, "--json", "--no-counts"]).done().json();
    assert!(bare["counted"] == false && bare["added"].as_array().unwrap().iter().all(|d| d.get("rows").is_none()));
    let text = desk.imis(&["identify", &location, "--color", "always"]).done().stdout;
    assert!(text.contains("\u{1b}[32mopenIMIS 1.5.1") && text.contains("24 of 24 marks"), "{text}");
}

#[test]
fn names_from_a_database_cannot_break_out() {
    let evil = "<img src=x onerror=y>\u{202e}\u{1b}[2J";
    let mut catalog = imis_schemas::release("legacy/24.04").unwrap();
    let gender = catalog.table("tblGender").unwrap().clone();
    catalog.tables.push(imis_schemas::Table { name: evil.into(), ..gender.clone() });
    let claim = catalog.tables.iter_mut().find(|t| t.name == "tblClaim").unwrap();
    claim.columns.push(Column { name: evil.into(), ..gender.columns[0].clone() });
    let desk = Desk::new();
    let file = desk.write("evil.json", &catalog.to_json());
    let text = desk.imis(&["identify", file.to_str().unwrap(), "--report", "r", "--color", "never"]).done().stdout;
    let page = std::fs::read_to_string(desk.path().join("r/index.html")).unwrap();
    assert!(page.contains("&lt;img") && !page.contains("<img") && !page.contains('\u{202e}'));
    assert!(!text.contains(['\u{1b}', '\u{202e}']), "{text}");
}

#[test]
fn a_hybrid_is_told_by_its_migrations() {
    let legacy = imis_schemas::release("legacy/24.04").unwrap();
    let server = SqlServer::start(Options::new(Tables::new(legacy).unwrap(), PASSWORD)).unwrap();
    let rows: String = imis_schemas::identify::django_migrations_of("23.04")
        .iter()
        .enumerate()
        .map(|(id, m)| {
            format!("INSERT INTO dbo.django_migrations VALUES ({id}, N'{}', N'{}', '2024-01-01')\nGO\n", m.app, m.name)
        })
        .collect();
    server
        .execute_script(&format!(
            "CREATE TABLE dbo.django_migrations (id int NOT NULL PRIMARY KEY, app nvarchar(255) NOT NULL, name nvarchar(255) \
             NOT NULL, applied datetime2 NOT NULL)\nGO\n{rows}"
        ))
        .unwrap();
    let desk = Desk::new().with("IMIS_MSSQL_PASSWORD", PASSWORD);
    let location = format!("mssql://sa@127.0.0.1:{}/IMIS?encrypt=off", server.port());
    let said = desk.imis(&["identify", &location, "--json"]).done().json();
    assert_eq!((&said["django"]["release"], &said["distance"]), (&json!("23.04"), &json!(0)), "{said}");
    assert_eq!(said["django"]["confidence"]["level"], "certain");
    assert_eq!(names(&said["by_django"]), ["django_migrations"]);
    let text = desk.imis(&["identify", &location, "--color", "never"]).done().stdout;
    assert!(text.contains("modular release 23.04"), "{text}");
    // Without rows the table alone says that Django was there.
    let mut catalog = Catalog::new(Engine::Mssql);
    let found = desk.imis(&["introspect", &location, "--format", "json"]).done().stdout;
    catalog.tables = Catalog::parse(&found).unwrap().tables;
    let file = desk.write("hybrid.json", &catalog.to_json());
    let said = desk.imis(&["identify", file.to_str().unwrap(), "--json"]).done().json();
    assert!(said["django"].is_null() && said["notes"][0].as_str().unwrap().contains("cannot be read"), "{said}");
}
