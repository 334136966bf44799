//! Old releases: the mapping fits each of them, and the demo cut down to three of them works in the real backend.

use std::collections::BTreeMap;
use std::path::Path;

use imis_fixtures::backend::{Backend, shared_folder};
use imis_fixtures::postgres::Cluster;
use imis_fixtures::sqlserver::{Options, SqlServer, Tables};
use imis_mappings::bind::bind;
use imis_mappings::language::Mapping;
use imis_schemas::legacy::{LegacyRelease, legacy_release, legacy_releases};
use imis_schemas::{Catalog, Known, Table, same_name};

use crate::harness::{Desk, Target, migrated, number};

const PASSWORD: &str = "loopback-old-3Zt";

/// What releases before this one lack, by target column, and what it then gets.
const MISSING: &[(&str, &str, &str)] = &[
    ("1.3.0", "tblClaimAdmin.HasLogin", "null"),
    ("1.3.0", "tblOfficer.HasLogin", "null"),
    ("1.3.0", "tblUsers.IsAssociated", "null"),
    ("1.3.0", "tblUsers.PrivateKey", "null"),
    ("1.3.0", "tblUsers.StoredPassword", "'locked'"),
    ("1.5.0", "tblIMISDefaults.ActivationOption", "2"),
    ("1.5.0", "tblUserRole.Assign", "3"),
    ("1.6.0", "tblInsuree.Vulnerability", "false"),
    ("1.6.0", "tblItems.Quantity", "null"),
    ("1.7.0-rc0", "tblPolicy.SelfRenewed", "false"),
    ("1.7.0-rc0", "tblPremium.CreatedDate", "ValidityFrom"),
    ("1.7.0", "tblIMISDefaults.BypassReviewClaim", "false"),
];

/// Tables of the facts that a release before 1.4.0 has, and that got a UUID with it.
const WITH_UUID: usize = 20;

#[tokio::test]
async fn the_pack_fits_every_release_and_fills_in_what_the_facts_say() {
    let pack = Mapping::pack("openimis/legacy-to-modular").unwrap();
    let target = imis_schemas::release("modular/1.11").unwrap();
    let rank = |name: &str| legacy_releases().iter().position(|r| r.name == name).unwrap();
    for (at, release) in legacy_releases().iter().enumerate() {
        let bound = bind(&pack, &release.catalog, &target, uuid::Uuid::nil()).await;
        let bound = bound.unwrap_or_else(|errors| panic!("{}: {errors}", release.name));
        let found: BTreeMap<String, String> = bound.when_missing().into_iter().collect();
        let is_uuid = |name: &str| name.ends_with("UUID");
        // tblRole came with 1.3.0, and its UUID is the 21st.
        let expected = match at {
            at if at < rank("1.3.0") => WITH_UUID,
            at if at < rank("1.4.0") => WITH_UUID + 1,
            _ => 0,
        };
        let uuids: Vec<_> = found.iter().filter(|(name, _)| is_uuid(name)).collect();
        assert_eq!(uuids.len(), expected, "{}: {uuids:?}", release.name);
        assert!(uuids.iter().all(|(_, value)| value.starts_with("stable_uuid('tbl")), "{uuids:?}");
        for (until, column, value) in MISSING {
            let (table, name) = column.split_once('.').unwrap();
            // A table that is not there needs no value, nor does a column that this target has not.
            let taken = release.table(table).is_some() && target.table(table).is_some_and(|t| t.column(name).is_some());
            let wanted = (at < rank(until) && taken).then_some(*value);
            assert_eq!(found.get(*column).map(String::as_str), wanted, "{}: {column}", release.name);
        }
        // Whatever else came later is empty before.
        let named = |column: &str| MISSING.iter().any(|(_, known, _)| *known == column);
        let others = found.iter().filter(|(name, _)| !is_uuid(name) && !named(name));
        let odd: Vec<_> = others.filter(|(_, value)| *value != "null").collect();
        assert!(odd.is_empty(), "{}: {odd:?}", release.name);
    }
}

/// The fields of a CSV text as they are written, quotes included: nothing and `""` are two things there.
fn fields(text: &str) -> Vec<Vec<&str>> {
    let (mut rows, mut row, mut start, mut quoted) = (Vec::new(), Vec::new(), 0, false);
    for (at, c) in text.char_indices() {
        match c {
            '"' => quoted = !quoted,
            ',' | '\n' if !quoted => {
                row.push(text[start..at].trim_end_matches('\r'));
                start = at + 1;
                if c == '\n' {
                    rows.push(std::mem::take(&mut row));
                }
            }
            _ => {}
        }
    }
    rows
}

/// The demo as a server of an old release would hold it: its tables and columns, with its types, and the keys of today.
fn cut(demo: &Path, folder: &Path, release: &LegacyRelease) -> Tables {
    let full = imis_schemas::release("legacy/24.04").unwrap();
    let mut catalog = Catalog { tables: Vec::new(), routines: Known::Yes(Vec::new()), ..full.clone() };
    for table in &release.catalog.tables {
        // The one table that was spelt otherwise.
        let today = if table.name == "tblIMISDetaulsPhone" { "tblIMISDefaultsPhone" } else { &table.name };
        let model = full.table(today).unwrap();
        let columns = table.columns.iter().map(|column| {
            let like = model.column(&column.name);
            let mut column = column.clone();
            column.identity = like.is_some_and(|c| c.identity);
            column.default = like.and_then(|c| c.default.clone());
            column
        });
        let own =
            Table { name: table.name.clone(), columns: columns.collect(), foreign_keys: Known::No, ..model.clone() };
        let text = std::fs::read_to_string(demo.join(format!("{today}.csv"))).unwrap();
        let rows = fields(&text);
        let kept: Vec<usize> = (0..rows[0].len())
            .filter(|at| own.columns.iter().any(|c| same_name(&c.name, rows[0][*at].trim_matches('"'))))
            .collect();
        let mut out = String::new();
        for row in &rows {
            let cells: Vec<&str> = kept.iter().map(|at| row[*at]).collect();
            out += &format!("{}\n", cells.join(","));
        }
        std::fs::write(folder.join(format!("{}.csv", table.name)), out).unwrap();
        catalog.tables.push(own);
    }
    catalog.sort();
    Tables::csv(catalog, folder).unwrap()
}

#[tokio::test]
async fn the_backend_answers_on_what_old_releases_become() {
    let Some(shared) = shared_folder() else { return };
    let backend = Backend::shared().await;
    let cluster = Cluster::shared();
    for name in ["1.5.1", "1.3.0", "1.2.1"] {
        let release = legacy_release(name).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let tables = cut(&shared.join("demo"), folder.path(), release);
        let server = SqlServer::start(Options::new(tables, PASSWORD)).unwrap();
        let from = format!("mssql://sa@127.0.0.1:{}/IMIS?encrypt=off", server.port());
        for target in [Target::Wide, Target::Upstream] {
            let what = format!("{name} into {target:?}");
            let database = migrated(target, &format!("old_{}", name.replace('.', "_"))).await.unwrap();
            let url = cluster.url(&database);
            let desk = Desk::new().with("IMIS_MSSQL_PASSWORD", PASSWORD);
            let plan = desk.imis(&["plan", "--from", &from, "--to", &url, "--json"]).done().json();
            assert!(plan["plan"]["release"].as_str().unwrap().starts_with(name), "{what}: {}", plan["plan"]["release"]);
            let account = desk.imis(&["migrate", "--from", &from, "--to", &url, "--json"]).done().json();
            assert_eq!(account["balances"], true, "{what}");
            assert_eq!(account["rejects"].as_array().map_or(0, Vec::len), 0, "{what}");

            // Roles: from the table, or before 1.3.0 from the bits of RoleID; the demo's users have the same either way.
            let roles = number(&database, r#"SELECT count(*) FROM "tblUserRole" WHERE "ValidityTo" IS NULL"#).await;
            assert_eq!(roles, 49, "{what}");
            let genders = number(&database, r#"SELECT count(*) FROM "tblInsuree" WHERE "Gender" IS NULL"#).await;
            let uuids = number(&database, r#"SELECT count(DISTINCT "InsureeUUID") FROM "tblInsuree""#).await;
            assert_eq!((genders, uuids), (0, 144), "{what}");

            let old = name == "1.2.1";
            let notes = account["notes"].to_string();
            assert_eq!(notes.contains("31 live users have no password"), old, "{what}: {notes}");
            assert_eq!(notes.contains("userid: 1, 9, 17"), old, "{what}: {notes}");
            assert!(!notes.contains("Admin_Fr"), "{what}: a name stands in {notes}");
            if old {
                let refused = backend.run("smoke.py", &url, &[]).await.unwrap();
                assert!(
                    !refused.success && refused.stderr.contains("INCORRECT_CREDENTIALS"),
                    "{what}: {}",
                    refused.stderr
                );
                let set = backend.run("password.py", &url, &["Admin", "admin123"]).await.unwrap();
                assert!(set.success, "{what}: {}", set.stderr);
            }
            let smoke = backend.run("smoke.py", &url, &[]).await.unwrap();
            assert!(smoke.success, "{what}: {}\n{}", smoke.stdout, smoke.stderr);
            assert_eq!(smoke.stdout.trim(), r#"{"insurees": 60, "claims": 10, "policies": 21}"#, "{what}");
        }
    }
}
