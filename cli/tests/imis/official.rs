//! The official demo: a SQL Server with its rows, through the command, into PostgreSQL, and the backend on it.
//!
//! The demo, what upstream makes of it and the catalogue of its release are facts that stand beside the workspace; without
//! them each test here says so and does nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use imis_fixtures::backend::{Backend, shared_folder};
use imis_fixtures::postgres::Cluster;
use imis_fixtures::sqlserver::{Options, SqlServer, Tables, Tls};
use imis_schemas::Catalog;
use serde_json::{Value, json};
use tokio::sync::OnceCell;
use tokio_util::compat::TokioAsyncWriteCompatExt;

use crate::harness::{Desk, Target, dump, migrated, number};
use crate::oracle::{self, Difference, Rows};

const PASSWORD: &str = "loopback-7Kq";
/// The same country whichever way its rows come.
const COUNTRY: &str = "6f1d8c44-53d4-4f0c-9d5e-0d5b6f3f2a11";

/// The demo behind two SQL Servers: one that encrypts, one that cannot.
struct Demo {
    folder: PathBuf,
    facts: PathBuf,
    oracle: PathBuf,
    encrypted: SqlServer,
    plain: SqlServer,
    authority: tempfile::NamedTempFile,
}

impl Demo {
    fn served() -> Option<&'static Demo> {
        static SERVED: OnceLock<Option<Demo>> = OnceLock::new();
        SERVED.get_or_init(|| shared_folder().map(|shared| Demo::serve(&shared))).as_ref()
    }

    fn serve(shared: &std::path::Path) -> Demo {
        let folder = shared.join("demo");
        let tables = Tables::csv(imis_schemas::release("legacy/24.04").unwrap(), &folder).unwrap();
        let options = Options::new(tables, PASSWORD);
        let plain = SqlServer::start(options.clone()).unwrap();
        let encrypted = SqlServer::start(Options { tls: Tls::LoginOnly, ..options }).unwrap();
        let mut authority = tempfile::NamedTempFile::new().unwrap();
        authority.write_all(encrypted.certificate_pem().unwrap().as_bytes()).unwrap();
        Demo { facts: shared.join("facts"), oracle: shared.join("oracle"), folder, encrypted, plain, authority }
    }

    fn url(&self) -> String {
        format!("mssql://sa@127.0.0.1:{}/IMIS?ca={}", self.encrypted.port(), self.authority.path().display())
    }

    fn table(&self, name: &str) -> Rows {
        Rows::read(&self.folder.join(format!("{name}.csv")))
    }

    fn tables(&self) -> Vec<String> {
        let entries = std::fs::read_dir(&self.folder).unwrap().flatten();
        let mut names: Vec<String> =
            entries.map(|entry| entry.path().file_stem().unwrap().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }
}

fn desk() -> Desk {
    Desk::new().with("IMIS_MSSQL_PASSWORD", PASSWORD)
}

/// A database with the migrated demo, in which nothing was changed since, and a copy to work with.
struct Migrated {
    database: String,
    copy: String,
    account: Value,
}

/// The demo in a target of this kind, migrated once for all tests; `None`, said aloud, when the facts are not there.
async fn official(target: Target) -> Option<&'static Migrated> {
    static DONE: [OnceCell<Option<Migrated>>; 3] =
        [OnceCell::const_new(), OnceCell::const_new(), OnceCell::const_new()];
    let at = Target::ALL.iter().position(|one| *one == target).unwrap();
    DONE[at].get_or_init(|| migrate(target)).await.as_ref()
}

async fn migrate(target: Target) -> Option<Migrated> {
    let demo = Demo::served()?;
    let cluster = Cluster::shared();
    let database = migrated(target, "official").await?;
    if target == Target::Seeded {
        plant(&database);
    }
    let url = cluster.url(&database);
    let said = desk().imis(&["migrate", "--from", &demo.url(), "--to", &url, "--country", COUNTRY, "--json"]);
    let account = said.done().json();
    let copy = format!("{database}_copy");
    cluster.create_database_from(&database, &copy).await.unwrap();
    Some(Migrated { database, copy, account })
}

/// Rows that a database of the newest backend has and no legacy source knows, and lookups that somebody changed.
fn plant(database: &str) {
    let rows = r#"
        INSERT INTO "tblRoleRight" ("RoleID", "RightID", "ValidityFrom")
            SELECT "RoleID", 159001, now() FROM "tblRole" WHERE "IsSystem" = 64;
        INSERT INTO "tblRole" ("RoleUUID", "RoleName", "IsSystem", "IsBlocked", "ValidityFrom")
            VALUES ('8b1a39a5-3f0c-4c8e-8a6d-6a3d5c0c7f42', 'Schema Admin', 4194304, false, now());
        INSERT INTO "tblRoleRight" ("RoleID", "RightID", "ValidityFrom")
            SELECT "RoleID", 171001, now() FROM "tblRole" WHERE "IsSystem" = 4194304;
        INSERT INTO "tblProfessions" ("ProfessionId", "Profession") VALUES (99, 'Only in the target');
        UPDATE "tblProfessions" SET "Profession" = 'Changed' WHERE "ProfessionId" = 1;
    "#;
    let mut psql = Cluster::shared().command("psql", database);
    let done = psql.args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-c", rows]).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

// What `imis introspect` says -----------------------------------------------------------------------------------------

/// Where the catalogue of the server differs from that of the release, how often, and why.
const INTROSPECTED: &[(&str, usize, &str)] = &[
    (".server: new", 1, "a release has no server"),
    (".collation: new", 1, "nor a collation"),
    (".routines: new", 1, "the release's routines are not known; the server has none"),
    (".types: new", 1, "the release's types of users are not known; the server has none"),
    (".tables[].uniques: new", 65, "a script does not say that there is none; a server does"),
    (".tables[].indexes: new", 65, "likewise"),
    (".tables[].checks: new", 65, "likewise"),
    (".tables[].primary_key.name: new", 62, "the release's script names only three of its 65 keys"),
    (
        ".tables[].foreign_keys[].referenced_columns[]: changed",
        2,
        "the script writes PaymentId; the server tells the column's own spelling, PaymentID",
    ),
];

/// What the catalogue of the server says otherwise than the facts.
const UNLIKE_THE_FACTS: &[&str] = &[
    // The script names no column of tblFamilies; the server knows that its primary key is meant.
    r#"("tblFamilySMS", "FamilyID", "tblFamilies", "familyid", true, true)"#,
    r#"("tblFamilySMS", "FamilyID", "tblFamilies", "none", true, true)"#,
];

/// Counts the places in which two JSON documents differ, by path.
fn places(path: &str, one: &Value, other: &Value, found: &mut BTreeMap<String, usize>) {
    let mut note = |path: &str, what: &str| *found.entry(format!("{path}: {what}")).or_default() += 1;
    match (one, other) {
        (Value::Object(a), Value::Object(b)) => {
            for key in a.keys().chain(b.keys()).collect::<BTreeSet<_>>() {
                let path = format!("{path}.{key}");
                match (a.get(key), b.get(key)) {
                    (Some(a), Some(b)) => places(&path, a, b, found),
                    (None, _) => *found.entry(format!("{path}: new")).or_default() += 1,
                    (_, None) => *found.entry(format!("{path}: gone")).or_default() += 1,
                }
            }
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            a.iter().zip(b).for_each(|(a, b)| places(&format!("{path}[]"), a, b, found));
        }
        (Value::Array(_), Value::Array(_)) => note(path, "length"),
        _ if one != other => note(path, "changed"),
        _ => {}
    }
}

#[test]
fn introspecting_the_demo_gives_its_release() {
    let Some(demo) = Demo::served() else { return };
    let said = desk().imis(&["introspect", &demo.url(), "--json"]).done();
    let release = desk().imis(&["introspect", "release:legacy/24.04", "--json"]).done().json();
    let mut found = BTreeMap::new();
    places("", &release, &said.json(), &mut found);
    let expected: BTreeMap<String, usize> = INTROSPECTED.iter().map(|(p, n, _)| ((*p).to_owned(), *n)).collect();
    assert_eq!(found, expected);

    // The same against the facts, from which our release was made and which have a shape of their own.
    let facts = std::fs::read_to_string(demo.facts.join("legacy-24.04.json")).unwrap();
    let (ours, facts) =
        (described(&Catalog::parse(&said.stdout).unwrap()), told(&serde_json::from_str(&facts).unwrap()));
    let found: Vec<&str> = ours.symmetric_difference(&facts).map(String::as_str).collect();
    assert_eq!(found, UNLIKE_THE_FACTS);
}

/// A catalogue as lines, in no order of its own. Names of keys aside, and the case of a column that a key refers to.
fn described(catalog: &Catalog) -> BTreeSet<String> {
    let mut lines = BTreeSet::new();
    for table in &catalog.tables {
        for (at, c) in table.columns.iter().enumerate() {
            let default = c.default.as_deref().unwrap_or("none");
            let line = (&table.name, at, &c.name, &c.data_type, c.identity, c.nullable, default);
            lines.insert(format!("{line:?}"));
        }
        lines.insert(format!("{}: {:?}", table.name, table.key_columns()));
        for key in table.foreign_keys.items() {
            let to = key.referenced_columns.join(",").to_lowercase();
            let line = (&table.name, key.columns.join(","), &key.references.name, to, key.trusted, key.enabled);
            lines.insert(format!("{line:?}"));
        }
    }
    lines.extend(catalog.views.items().iter().map(|view| format!("view {}.{}", view.schema, view.name)));
    lines
}

/// The facts as the same lines.
fn told(facts: &Value) -> BTreeSet<String> {
    let text = |value: &Value| value.as_str().unwrap_or("none").to_owned();
    let list = |value: &Value| value.as_array().unwrap().iter().map(text).collect::<Vec<_>>();
    let mut lines = BTreeSet::new();
    for (name, table) in facts["tables"].as_object().unwrap() {
        let mut columns: Vec<_> = table["cols"].as_object().unwrap().iter().collect();
        columns.sort_by_key(|(_, column)| column["num"].as_u64());
        for (at, (column, c)) in columns.into_iter().enumerate() {
            let (identity, nullable) = (c["identity"] == true, c["notnull"] == false);
            let line = (name, at, column, text(&c["type"]), identity, nullable, text(&c["default"]));
            lines.insert(format!("{line:?}"));
        }
        lines.insert(format!("{name}: {:?}", list(&table["pk"])));
        for key in table["fks"].as_array().unwrap() {
            let (trusted, enabled) = (key["nocheck"] == false, key["disabled"] == false);
            let to = text(&key["refcol"]).to_lowercase();
            lines.insert(format!("{:?}", (name, text(&key["col"]), text(&key["ref"]), to, trusted, enabled)));
        }
    }
    lines.extend(list(&facts["views"]).into_iter().map(|view| format!("view {view}")));
    lines
}

// What another client reads -------------------------------------------------------------------------------------------

/// Runs FreeTDS' `tsql`; fields end with U+001F and rows with U+001E.
fn tsql(server: &SqlServer, sql: &str) -> String {
    let port = server.port().to_string();
    let mut child = Command::new("tsql")
        .args(["-H", "127.0.0.1", "-p", &port, "-U", "sa", "-P", PASSWORD, "-D", "IMIS"])
        .args(["-o", "fhq", "-t", "\u{1f}", "-r", "\u{1e}"])
        .env("TDSVER", "7.4")
        .env("LC_ALL", "C.UTF-8")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|e| panic!("FreeTDS is not installed (Debian: freetds-bin): {e}"));
    child.stdin.take().unwrap().write_all(format!("{sql}\ngo\nexit\n").as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// A date and time as FreeTDS prints it: to the minute, on a clock of twelve hours.
fn as_freetds(moment: &str) -> String {
    let moment: jiff::civil::DateTime = moment.parse().unwrap();
    moment.strftime("%b %e %Y %I:%M%p").to_string()
}

#[test]
fn freetds_reads_what_the_csv_files_hold() {
    let Some(demo) = Demo::served() else { return };
    let catalog = demo.plain.catalog();
    let mut cells = 0;
    for name in demo.tables() {
        let (expected, table) = (demo.table(&name), catalog.table(&name).unwrap());
        let types: Vec<&str> = expected.columns.iter().map(|c| table.column(c).unwrap().data_type.as_str()).collect();
        // FreeTDS prints no seconds; the server's own text has them, so such a column is asked for a second time as one.
        let moments = types.iter().zip(&expected.columns).filter(|(ty, _)| ty.contains("datetime"));
        let texts = moments.map(|(_, column)| format!("CONVERT(varchar(23), [{column}], 121)"));
        let columns = expected.columns.iter().map(|c| format!("[{c}]")).chain(texts).collect::<Vec<_>>();
        let said = tsql(&demo.plain, &format!("SELECT {} FROM dbo.[{name}]", columns.join(", ")));
        let mut got: Vec<&str> = said.split('\u{1e}').filter(|row| !row.is_empty()).collect();
        let mut wanted: Vec<String> = expected.rows.iter().map(|row| wanted(row, &types)).collect();
        got.sort_unstable();
        wanted.sort_unstable();
        assert_eq!(got, wanted, "{name}");
        cells += got.len() * columns.len();
    }
    assert!(cells > 60_000, "{cells}");
}

/// A row of a CSV file as `tsql` must print it.
fn wanted(row: &oracle::Row, types: &[&str]) -> String {
    let seen = |(value, ty): (&Option<String>, &&str)| match value {
        None => "NULL".to_owned(),
        Some(value) if ty.contains("date") => as_freetds(value),
        Some(value) if ty.contains("binary") => value.trim_start_matches("0x").to_lowercase(),
        Some(value) if *ty == "uniqueidentifier" => value.to_uppercase(),
        Some(value) => value.clone(),
    };
    let again =
        |(value, _): (&Option<String>, &&str)| value.as_ref().map_or("NULL".to_owned(), |v| v.replace('T', " "));
    let all = row.iter().zip(types);
    let fields = all.clone().map(seen).chain(all.filter(|(_, ty)| ty.contains("datetime")).map(again));
    fields.collect::<Vec<_>>().join("\u{1f}")
}

// What becomes of the rows --------------------------------------------------------------------------------------------

/// How many rows each table of the server has, by a client that is not ours.
async fn counted(server: &SqlServer, tables: &[String]) -> BTreeMap<String, u64> {
    let mut config = tiberius::Config::new();
    config.host("127.0.0.1");
    config.port(server.port());
    config.database("IMIS");
    config.authentication(tiberius::AuthMethod::sql_server("sa", PASSWORD));
    config.encryption(tiberius::EncryptionLevel::NotSupported);
    let line = tokio::net::TcpStream::connect(("127.0.0.1", server.port())).await.unwrap();
    let mut client = tiberius::Client::connect(config, line.compat_write()).await.unwrap();
    let mut counts = BTreeMap::new();
    for table in tables {
        let rows = client.simple_query(format!("SELECT COUNT_BIG(*) FROM dbo.[{table}]")).await.unwrap();
        let count: i64 = rows.into_row().await.unwrap().unwrap().get(0).unwrap();
        counts.insert(table.clone(), count.unsigned_abs());
    }
    counts
}

/// Rules by the rows that they do not simply load: `(rule, key of the summary, rows)`.
const OUT_OF_THE_ORDINARY: &[(&str, &str, u64)] = &[
    // Rights that a migration takes away from enrolment officers.
    ("rights", "filtered", 2),
    ("rights-of-new-reports", "computed", 2),
    ("accounts", "computed", 31),
    ("configuration-of-policies", "computed", 1),
];

/// What more is made on a database that was born with rows: the planted role and rights are kept.
const OF_THE_TARGET: &[(&str, &str, u64)] =
    &[("roles-of-the-target", "computed", 1), ("rights-of-the-target", "computed", 2)];

#[tokio::test]
async fn every_row_is_accounted_for() {
    let Some(demo) = Demo::served() else { return };
    let counts = counted(&demo.plain, &demo.tables()).await;
    assert_eq!((counts.len(), counts.values().sum::<u64>()), (65, 5_948));
    for target in Target::ALL {
        let done = official(target).await.unwrap();
        assert_eq!(done.account["balances"], true, "{target:?}");
        assert_eq!(done.account["rejected"], 0, "{target:?}");
        let mut unusual = BTreeSet::new();
        let mut sources = BTreeSet::new();
        for rule in done.account["rules"].as_array().unwrap() {
            let name = rule["rule"].as_str().unwrap();
            let of = |key: &str| rule[key].as_u64().unwrap();
            assert_eq!(of("read"), of("loaded") + of("rejected") + of("filtered") + of("kept"), "{target:?}: {rule}");
            if let Some(from) = rule["from"].as_str() {
                sources.insert(from.to_owned());
                assert_eq!(
                    (of("read"), rule["counted"].as_u64()),
                    (counts[from], Some(counts[from])),
                    "{target:?}: {rule}"
                );
            }
            for key in ["rejected", "filtered", "kept", "repaired", "computed"] {
                if of(key) > 0 {
                    unusual.insert((name, key, of(key)));
                }
            }
        }
        let more = if target == Target::Seeded { OF_THE_TARGET } else { &[] };
        assert_eq!(unusual, OUT_OF_THE_ORDINARY.iter().chain(more).copied().collect(), "{target:?}");
        assert_eq!(sources, counts.keys().cloned().collect(), "{target:?}: every source table has a rule");
        for table in done.account["tables"].as_array().unwrap() {
            let name = table["table"].as_str().unwrap();
            let rows = number(&done.database, &format!("SELECT count(*) FROM \"{name}\"")).await;
            assert_eq!(table["after"].as_i64(), Some(rows), "{target:?}: {table}");
        }
        let lost = match target {
            Target::Wide => json!([]),
            _ => json!([{"rule": "premiums", "column": "CreatedDate", "name": "time-of-day", "values": 66}]),
        };
        assert_eq!(done.account["losses"], lost, "{target:?}");
    }
}

#[tokio::test]
async fn rows_with_which_a_database_was_born_become_what_the_pack_says() {
    let Some(done) = official(Target::Seeded).await else { return };
    let demo = Demo::served().unwrap();
    let client = Cluster::shared().connect(&done.database).await.unwrap();
    let texts = async |sql: &str| -> BTreeSet<String> {
        client.query(sql, &[]).await.unwrap().iter().map(|row| row.get::<_, String>(0)).collect()
    };
    let lower = |rows: &Rows, column: &str| -> BTreeSet<String> {
        rows.values(column).into_iter().map(str::to_lowercase).collect()
    };
    // No location and no user that the source does not have; the administrator's is the source's own.
    assert_eq!(
        texts(r#"SELECT lower("LocationUUID"::text) FROM "tblLocations""#).await,
        lower(&demo.table("tblLocations"), "LocationUUID")
    );
    assert_eq!(texts(r#"SELECT "UUID"::text FROM "tblUsers""#).await, lower(&demo.table("tblUsers"), "UserUUID"));
    // What only the backend knows stays: a right on a role that both have, and a role with its right.
    let rights = r#"SELECT r."RoleName" || ' ' || r."IsSystem" || ' ' || g."RightID" FROM "tblRoleRight" g JOIN "tblRole" r USING ("RoleID")
                    WHERE g."RightID" IN (159001, 171001) AND g."ValidityTo" IS NULL AND r."ValidityTo" IS NULL"#;
    let kept = ["IMIS Administrator 64 159001", "Schema Admin 4194304 171001"].map(str::to_owned);
    assert_eq!(texts(rights).await, BTreeSet::from(kept));
    assert_eq!(number(&done.database, r#"SELECT count(*) FROM "tblRole" WHERE "IsSystem" = 64"#).await, 1);
    // Lookups are merged: the source's text wins, and what only the target has stays.
    let mut professions =
        demo.table("tblProfessions").values("Profession").into_iter().map(str::to_owned).collect::<BTreeSet<_>>();
    professions.insert("Only in the target".to_owned());
    assert_eq!(texts(r#"SELECT "Profession" FROM "tblProfessions""#).await, professions);

    let smoke = Backend::shared().await.run("smoke.py", &Cluster::shared().url(&done.copy), &[]).await.unwrap();
    assert!(smoke.success, "{}\n{}", smoke.stdout, smoke.stderr);
}

// The backend ---------------------------------------------------------------------------------------------------------

async fn the_backend_works_on(target: Target) {
    let Some(done) = official(target).await else { return };
    let (backend, url) = (Backend::shared().await, Cluster::shared().url(&done.copy));
    let folder = Demo::served().unwrap().folder.to_string_lossy().into_owned();
    let run = async |script: &str, arguments: &[&str]| {
        let said = backend.run(script, &url, arguments).await.unwrap();
        assert!(said.success, "{target:?}, {script}: {}\n{}", said.stdout, said.stderr);
        said.stdout
    };
    let smoke: Value = serde_json::from_str(run("smoke.py", &[]).await.trim()).unwrap();
    assert_eq!(smoke, json!({"insurees": 60, "claims": 10, "policies": 21}), "{target:?}");
    let agreed = run("agree.py", &["--source", &folder]).await;
    let agreed: Value = serde_json::from_str(agreed.lines().last().unwrap()).unwrap();
    assert_eq!(agreed["differences"], 0, "{target:?}");
    let compared = agreed["compared"].as_object().unwrap();
    let all: Vec<_> =
        compared.iter().filter(|(_, rows)| rows.as_u64() > Some(0)).map(|(name, _)| name.as_str()).collect();
    for name in ["families", "claims", "policies", "healthFacilities", "users", "roles"] {
        assert!(all.contains(&name), "{name} was not compared: {agreed}");
    }
    run("write.py", &[]).await;
}

#[tokio::test]
async fn the_backend_works_on_the_wide_shape() {
    the_backend_works_on(Target::Wide).await;
}

#[tokio::test]
async fn the_backend_works_on_upstreams_shape() {
    the_backend_works_on(Target::Upstream).await;
}

// Cell by cell --------------------------------------------------------------------------------------------------------

/// A line of `docs/differences-from-upstream.md`: its id, where, how many rows in the shapes `wide` and `upstream`, and what
/// holds of each of them.
type Line = (&'static str, &'static str, &'static str, [usize; 2], fn(&Difference) -> bool);

const LINES: &[Line] = &[
    ("A1", "core_User", "+", [1, 1], |d| d.ours("username") == "Admin_Fr"),
    ("A2", "core_User", "id", [30, 30], |d| d.ours("id").get(14..15) == Some("5")),
    ("A3", "core_User", "version", [1, 1], |d| {
        (d.ours("username"), d.ours("version"), d.theirs("version")) == ("Admin", "1", "2")
    }),
    ("A4", "core_historicaluser", "-", [1, 1], |d| d.theirs("username") == "Admin"),
    ("B1", "tblPolicy", "creationDate", [79, 79], |d| d.ours("creationDate") == d.ours("EnrollDate")),
    ("C1", "tblRoleRight", "-", [1, 1], |d| (d.theirs("RoleID"), d.theirs("RightID")) == ("1", "131201")),
    ("C2", "tblRoleRight", "RoleRightID", [2, 2], is_given),
    ("C3", "tblRoleRight", "ValidityFrom", [2, 2], |d| {
        is_given(d) && d.ours("ValidityFrom") < d.theirs("ValidityFrom")
    }),
    ("F1", "tblClaim", "DateFrom", [25, 25], |d| at_midnight(d.ours("DateFrom"), d.theirs("DateFrom"))),
    ("F1", "tblClaim", "DateTo", [25, 25], |d| at_midnight(d.ours("DateTo"), d.theirs("DateTo"))),
    ("F2", "tblPremium", "CreatedDate", [0, 66], |d| {
        d.theirs("CreatedDate").split_once(' ').is_some_and(|(day, _)| day == d.ours("CreatedDate"))
    }),
    ("F3", "tblPolicy", "RenewalOrder", [0, 79], |d| d.theirs("RenewalOrder") == "NULL"),
    ("F3", "tblPolicy", "SelfRenewed", [0, 79], |d| d.theirs("SelfRenewed") == "f"),
];

/// Rights that a migration gives to a role that may see reports.
fn is_given(d: &Difference) -> bool {
    d.ours("RoleID") == "1" && ["131202", "131203"].contains(&d.ours("RightID"))
}

fn at_midnight(day: &str, moment: &str) -> bool {
    moment == format!("{day} 00:00:00+00")
}

#[tokio::test]
async fn cell_by_cell_it_is_what_upstream_makes_of_it_but_for_the_list() {
    let Some(demo) = Demo::served() else { return };
    for (shape, target) in [Target::Wide, Target::Upstream].into_iter().enumerate() {
        let done = official(target).await.unwrap();
        let client = Cluster::shared().connect(&done.database).await.unwrap();
        let (differences, tables) = oracle::differences(&client, &demo.oracle).await;
        let mut found: BTreeMap<(&str, &str), usize> = BTreeMap::new();
        for difference in &differences {
            let place = (difference.table.as_str(), difference.what.as_str());
            *found.entry(place).or_default() += 1;
            let line = LINES.iter().find(|(_, table, what, ..)| (*table, *what) == place);
            if let Some((id, .., holds)) = line {
                assert!(holds(difference), "{target:?}: not what {id} says: {difference:?}");
            }
        }
        let expected = LINES.iter().filter(|line| line.3[shape] > 0);
        let expected: BTreeMap<_, _> =
            expected.map(|(_, table, what, rows, _)| ((*table, *what), rows[shape])).collect();
        assert_eq!(found, expected, "{target:?}");
        assert_eq!(tables.len(), 68);

        // E1: of the tables beside these, only the configuration has other rows than the migrations left there.
        let others = client
            .query(
                "SELECT relname::text FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace",
                &[],
            )
            .await
            .unwrap();
        let born = migrated(target, "official_born").await.unwrap();
        let born = Cluster::shared().connect(&born).await.unwrap();
        for table in others.iter().map(|row| row.get::<_, String>(0)).filter(|table| !tables.contains(table)) {
            let sql = format!(
                "SELECT count(*), coalesce(md5(string_agg(t::text, '|' ORDER BY t::text)), '') FROM \"{table}\" t"
            );
            let (now, then) = (client.query_one(&sql, &[]).await.unwrap(), born.query_one(&sql, &[]).await.unwrap());
            let more = if table == "core_ModuleConfiguration" { 1 } else { 0 };
            assert_eq!(now.get::<_, i64>(0), then.get::<_, i64>(0) + more, "{target:?}: {table}");
            assert!(more == 1 || now.get::<_, String>(1) == then.get::<_, String>(1), "{target:?}: {table}");
        }
        let config = r#"SELECT module || ' ' || layer || ' ' || config::jsonb FROM "core_ModuleConfiguration""#;
        let config: String = client.query_one(config, &[]).await.unwrap().get(0);
        assert_eq!(config, r#"policy be {"activation_option": 2, "policy_renewal_interval": 14}"#, "{target:?}");
    }
}

// Verification --------------------------------------------------------------------------------------------------------

#[tokio::test]
async fn the_migrated_demo_is_verified_without_an_unexplained_difference() {
    let Some(demo) = Demo::served() else { return };
    for target in Target::ALL {
        let done = official(target).await.unwrap();
        let url = Cluster::shared().url(&done.database);
        let said = desk().imis(&["verify", "--from", &demo.url(), "--to", &url, "--json", "--show-values"]);
        let summary = said.json();
        assert_eq!(summary["holds"], true, "{target:?}: {}\n{}", said.stdout, said.stderr);
        let said = said.done();
        let summary = said.json();
        assert_eq!((&summary["unexplained"], &summary["totals"]["differ"]), (&0.into(), &0.into()), "{target:?}");
        assert_eq!(summary["totals"]["not_computed"], 0, "{target:?}: {}", summary["totals"]);
        let equal: u64 = summary["tables"].as_array().unwrap().iter().map(|t| t["equal"].as_u64().unwrap()).sum();
        assert!(equal > 5_900, "{target:?}: {equal}");
        assert!(summary["totals"]["equal"].as_u64() > Some(700), "{target:?}: {}", summary["totals"]["equal"]);
        assert!(summary["totals"]["areas"].as_array().unwrap().len() > 15, "{target:?}");
    }
}

// By way of a snapshot ------------------------------------------------------------------------------------------------

#[tokio::test]
async fn a_snapshot_of_the_demo_gives_the_same_rows() {
    let Some(done) = official(Target::Wide).await else { return };
    let demo = Demo::served().unwrap();
    let desk = desk();
    desk.imis(&["snapshot", &demo.url(), "-o", "kept"]).done();
    let database = migrated(Target::Wide, "official_kept").await.unwrap();
    let url = Cluster::shared().url(&database);
    desk.imis(&["migrate", "--from", "kept", "--to", &url, "--country", COUNTRY]).done();
    let rows = |database: &str| -> BTreeSet<String> {
        // Rows of one table stand in the order in which they came, and ranges come in any.
        let mut table = String::new();
        let numbered = |line: &str| {
            if line.starts_with("COPY ") || line == "\\." {
                table = line.to_owned();
            }
            format!("{table} {line}")
        };
        dump(database, &["--data-only"]).lines().map(numbered).collect()
    };
    let (direct, kept) = (rows(&done.database), rows(&database));
    let odd: Vec<_> =
        direct.symmetric_difference(&kept).map(|line| line.chars().take(60).collect::<String>()).collect();
    assert!(odd.is_empty(), "{odd:#?}");
    assert!(direct.len() > 5_900, "{}", direct.len());
}
