//! A clean generated country goes both routes, once as a snapshot and once as scripts that a SQL Server ran: nothing is rejected,
//! nothing is lost, both end equal and are verified, and the real backend shows every row.

use std::path::{Path, PathBuf};

use arrow::array::{Array, AsArray};
use arrow::datatypes::DataType;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use imis_databases::postgres::baseline::Shape;
use imis_fixtures::backend::Backend;
use imis_fixtures::country::{Country, CountryParameters};
use imis_fixtures::postgres::Cluster;
use imis_fixtures::sqlserver::{Options, SqlServer, Tables};
use imis_schemas::Catalog;
use serde_json::{Value, json};

use crate::harness::{Desk, Target, migrated, number};
use crate::routes::{FIRST, django, must_be_equal};

const PACK: &str = "openimis/legacy-to-modular";
pub(crate) const PASSWORD: &str = "loopback-9Gw";
const FAMILIES: u32 = 40;
const COUNTRY: &str = "0b7c2f0e-8c4d-4a51-9a1e-7d4f2c6b9e35";

/// What a plan for a clean country names: hazard, rule, column. Each is a narrowing of a column, and none of them comes true.
const HAZARDS: &[(&str, &str, &str)] = &[("time-of-day", "claims", "DateFrom"), ("time-of-day", "claims", "DateTo")];

/// The country's tables as CSV, one file each, as the backend's scripts read legacy rows.
fn write_csv(country: &Country, folder: &Path) {
    std::fs::create_dir_all(folder).unwrap();
    let options = FormatOptions::default().with_timestamp_format(Some("%Y-%m-%dT%H:%M:%S%.3f"));
    for table in &country.catalog().tables {
        let names: Vec<&str> = table.columns.iter().map(|c| c.name.as_str()).collect();
        let mut text = format!("{}\n", names.join(","));
        for batch in country.batches(&table.name) {
            let columns: Vec<_> =
                batch.columns().iter().map(|c| (c, ArrayFormatter::try_new(c, &options).unwrap())).collect();
            for row in 0..batch.num_rows() {
                let cells = columns.iter().map(|(column, formatter)| match column.data_type() {
                    _ if column.is_null(row) => String::new(),
                    DataType::Utf8 => format!("\"{}\"", column.as_string::<i32>().value(row).replace('"', "\"\"")),
                    DataType::Boolean => u8::from(column.as_boolean().value(row)).to_string(),
                    _ => formatter.value(row).to_string(),
                });
                text += &(cells.collect::<Vec<_>>().join(",") + "\n");
            }
        }
        std::fs::write(folder.join(format!("{}.csv", table.name)), text).unwrap();
    }
}

/// A SQL Server that ran the generated scripts, file by file in the order of their names.
pub(crate) async fn scripted(folder: PathBuf) -> SqlServer {
    tokio::task::spawn_blocking(move || {
        let like = imis_schemas::release("legacy/24.04").unwrap();
        let empty = Catalog { collation: like.collation, ..Catalog::new(like.engine) };
        let server = SqlServer::start(Options::new(Tables::new(empty).unwrap(), PASSWORD)).unwrap();
        let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|f| f.unwrap().path()).collect();
        files.retain(|file| file.extension().is_some_and(|extension| extension == "sql"));
        files.sort_by_key(|file| file.file_name().map(|name| name.to_string_lossy().to_lowercase()));
        for file in files {
            let bytes = std::fs::read(&file).unwrap();
            let text = match bytes.strip_prefix(b"\xff\xfe") {
                Some(units) => {
                    let units: Vec<u16> = units.chunks(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]])).collect();
                    String::from_utf16(&units).unwrap()
                }
                None => String::from_utf8(bytes).unwrap(),
            };
            let done = server.execute_script(&text);
            done.unwrap_or_else(|e| panic!("{}: {e}", file.display()));
        }
        server
    })
    .await
    .unwrap()
}

/// Rows of a clean country that a rule leaves behind all the same: rule and how many. Rights that only the system's own role
/// has; rows that a completion looks at and that want nothing.
const ASIDE: &[(&str, u64)] = &[
    ("rights", 2),
    ("rights (completion)", 2),
    ("claim-administrators-without-code (completion)", 17),
    ("officers-phones (completion)", 10),
];

/// Nothing may be rejected, repaired, kept or lost, nothing but what is named be filtered, and every row of every table must
/// have come, but for those of tables that `wait` for a completion.
#[track_caller]
fn must_be_whole(account: &Value, country: &Country, wait: &[&str]) {
    assert_eq!(account["balances"], true);
    assert_eq!((&account["rejected"], &account["losses"]), (&json!(0), &json!([])), "{account}");
    let rules = account["rules"].as_array().unwrap();
    for rule in rules {
        let aside = ASIDE.iter().find(|(name, _)| rule["rule"] == *name).map_or(0, |(_, rows)| *rows);
        for (what, rows) in [("rejected", 0), ("repaired", 0), ("kept", 0), ("filtered", aside)] {
            assert_eq!(rule[what], rows, "{what}: {rule}");
        }
    }
    for table in &country.catalog().tables {
        let rows: usize = country.batches(&table.name).map(|b| b.num_rows()).sum();
        let of_table = rules.iter().filter(|r| r["from"] == table.name.as_str());
        let read: Vec<_> = of_table.filter_map(|r| r["read"].as_u64()).collect();
        assert_eq!(read.is_empty(), wait.contains(&table.name.as_str()), "{}", table.name);
        assert!(read.iter().all(|n| *n == rows as u64), "{}: {read:?} of {rows}", table.name);
    }
}

/// Makes the account of a target's run one that an earlier version stored: with rejected rows, and very many of them.
const AS_EARLIER: &str = "UPDATE imis_migration.run SET account = (account::jsonb || jsonb_build_object('rejects', (
    SELECT jsonb_agg(jsonb_build_object('rule', 'r', 'table', 't', 'key', '[]'::jsonb, 'column', 'c', 'reason', repeat('x', 1000)))
    FROM generate_series(1, 18000))))::text";

#[tokio::test]
async fn a_clean_country_goes_both_routes_and_the_backend_shows_all_of_it() {
    let desk = Desk::new().with("IMIS_MSSQL_PASSWORD", PASSWORD);
    let families = FAMILIES.to_string();
    for format in ["snapshot", "scripts"] {
        desk.imis(&["generate", "-o", format, "--format", format, "--families", &families]).done();
    }
    // The same country, as the command makes it.
    let country = Country::new(CountryParameters { families: FAMILIES, ..Default::default() }).unwrap();
    write_csv(&country, &desk.path().join("csv"));

    let migrate = |from: &str, database: &str, more: &[&str]| {
        let to = Cluster::shared().url(database);
        let all = ["migrate", "--from", from, "--to", &to, "--country", COUNTRY, "--json"];
        desk.imis(&[&all, more].concat()).done().json()
    };
    let direct = migrated(Target::Wide, "clean").await.unwrap();
    let url = Cluster::shared().url(&direct);
    let plan = desk.imis(&["plan", "--from", "snapshot", "--to", &url, "--country", COUNTRY, "--json"]).done().json();
    let hazards = plan["plan"]["hazards"].as_array().unwrap();
    let hazards: Vec<_> = (hazards.iter())
        .map(|h| ["name", "rule", "column"].map(|key| h[key].as_str().unwrap_or("").to_owned()))
        .collect();
    let named: Vec<_> =
        HAZARDS.iter().map(|(name, rule, column)| [name, rule, column].map(|s| (*s).to_owned())).collect();
    assert_eq!(hazards, named);
    must_be_whole(&migrate("snapshot", &direct, &[]), &country, &[]);

    let through = "clean_through";
    let server = scripted(desk.path().join("scripts")).await;
    let restored = format!("mssql://sa@127.0.0.1:{}/IMIS?encrypt=off", server.port());
    Cluster::shared().create_database(through).await.unwrap();
    desk.imis(&["prepare", &Cluster::shared().url(through), "--shape", &Shape::Wide.to_string()]).done();
    must_be_whole(&migrate(&restored, through, &["--mapping", FIRST]), &country, &["tblLogins"]);
    django(through).await;
    assert_eq!(number(through, &format!("WITH done AS ({AS_EARLIER} RETURNING 1) SELECT count(*) FROM done")).await, 1);
    must_be_whole(&migrate(&restored, through, &["--complete"]), &country, &[]);
    must_be_equal(&direct, through).await;
    for database in [&direct, through] {
        let to = Cluster::shared().url(database);
        let said = desk.imis(&["verify", "--from", "snapshot", "--to", &to, "--mapping", PACK, "--json"]).done().json();
        assert_eq!((&said["holds"], &said["unexplained"]), (&json!(true), &json!(0)), "{said}");
        assert_eq!((&said["totals"]["differ"], &said["totals"]["not_computed"]), (&json!(0), &json!(0)), "{said}");
    }

    let (backend, folder) = (Backend::shared().await, desk.path().join("csv").display().to_string());
    for database in [&direct, through] {
        let url = Cluster::shared().url(database);
        for (script, arguments) in [("smoke.py", &[][..]), ("agree.py", &["--source", &folder]), ("write.py", &[])] {
            let said = backend.run(script, &url, arguments).await.unwrap();
            assert!(said.success, "{database}, {script}: {}\n{}", said.stdout, said.stderr);
            if script == "agree.py" {
                let agreed: Value = serde_json::from_str(said.stdout.lines().last().unwrap()).unwrap();
                assert_eq!((&agreed["differences"], &agreed["compared"]["families"]), (&json!(0), &json!(FAMILIES)));
            }
        }
    }
}
