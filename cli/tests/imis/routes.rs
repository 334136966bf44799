//! The live oracle: one country with every trap goes both routes, through the real migrations, and the two databases must be
//! equal, cell by cell, in every table. docs/two-routes.md tells the reader what this test holds true.

use imis_databases::postgres::baseline::Shape;
use imis_fixtures::backend::Backend;
use imis_fixtures::postgres::Cluster;
use imis_fixtures::sqlserver::SqlServer;
use imis_fixtures::traps;
use serde_json::Value;

use crate::harness::{Desk, Said, Target, assert_same, dump, migrated};
use crate::oracle;

const PASSWORD: &str = "loopback-7Kq";
const COUNTRY: &str = "6f1d8c44-53d4-4f0c-9d5e-0d5b6f3f2a11";
pub(crate) const FIRST: &str = "openimis/legacy-to-baseline";
const SECOND: &str = "openimis/baseline-to-modular";

/// What may differ, and why: table, column (`*` for all), reason.
const DIFFERENT: &[(&str, &str, &str)] = &[
    ("django_migrations", "applied", "the moment at which a migration ran"),
    (
        "claim_ClaimAttachment_ClaimAttachmentType",
        "ValidityFrom",
        "the moment at which migration claim.0028 made its two rows",
    ),
];

/// What the traps come to, so that two databases are not equal because both lack it: a query and its number.
const PROMISES: &[(&str, i64)] = &[
    (
        r#"SELECT count(*) FROM "tblClaim" c JOIN "tblUsers" u ON u.id = c."Adjuster" WHERE NOT u.active AND u.id IN (46, 201)"#,
        3,
    ),
    (r#"SELECT count(*) FROM "tblUserRole" WHERE "UserID" IN (46, 201)"#, 4),
    (r#"SELECT count(*) FROM "tblUsersDistricts" WHERE "UserID" = 201"#, 1),
    (r#"SELECT count(*) FROM "tblLogins" WHERE "LoginId" > 9000"#, 2),
    (r#"SELECT count(*) FROM "tblUsers" WHERE "LoginName" LIKE 'held-back%' OR "StoredPassword" IS NULL"#, 0),
    (r#"SELECT count(*) FROM "tblUsers" WHERE active = ("ValidityTo" IS NULL)"#, 56),
    (r#"SELECT i_user_id FROM "core_User" WHERE username = 'E00003'"#, 202),
    (r#"SELECT claim_admin_id::bigint FROM "core_User" WHERE username = 'E00001'"#, 901),
    (r#"SELECT count(*) FROM "core_User" WHERE claim_admin_id = 901"#, 1),
    (r#"SELECT count(*) FROM "core_User" WHERE username IN ('', '~') OR username LIKE '% '"#, 0),
    (r#"SELECT count(*) FROM "core_historicalinteractiveuser""#, 0),
    (r#"SELECT count(*) FROM "tblClaimAdmin" WHERE "ValidityTo" IS NULL AND "ClaimAdminCode" IS NULL"#, 2),
    (r#"SELECT count(*) FROM "tblRole" WHERE "IsSystem" = 64"#, 1),
    (r#"SELECT count(*) FROM "tblRoleRight" WHERE "RoleID" = 1 AND "RightID" IN (111001, 111009)"#, 1),
    (r#"SELECT count(*) FROM "tblRoleRight" WHERE "RoleID" IN (4, 13) AND "RightID" IN (131201, 131202, 131203)"#, 6),
    (r#"SELECT count(*) FROM "tblPremium" WHERE "ReportingCommissionID" IS NOT NULL AND "PremiumId" IN (1, 4)"#, 2),
    (r#"SELECT count(*) FROM "tblPolicy" WHERE "creationDate" <> "EnrollDate""#, 0),
    (r#"SELECT count(DISTINCT "CeilingType") FROM "tblProduct""#, 3),
    (r#"SELECT count(*) FROM "tblOfficer" WHERE "JsonExt" IS NOT NULL"#, 1),
    (r#"SELECT count(*) FROM "tblInsuree" WHERE character_length("CHFID") = 50 OR "FamilyID" IS NULL"#, 2),
    (r#"SELECT count(*) FROM "core_ModuleConfiguration""#, 2),
    (r#"SELECT count(*) FROM "tblFamilies" WHERE "FamilyID" = 1 AND "InsureeID" > 0"#, 1),
    (r#"SELECT count(*) FROM "tblOfficer" WHERE "Code" IN ('E00005', 'E00006')"#, 2),
    (r#"SELECT count(DISTINCT "UUID") FROM "tblUsers" WHERE id IN (203, 205)"#, 2),
];

/// Rows that no target takes, planted beside the traps: each route rejects them and what hangs on them.
const BROKEN: &str = "
    UPDATE tblPolicy SET ProdID = 4711 WHERE PolicyID = 2;
    UPDATE tblClaim SET ICDID = 4711 WHERE ClaimID = 37;
    UPDATE tblUserRole SET RoleID = 4711 WHERE UserRoleID = 902;
    UPDATE tblUsers SET LanguageID = 'xx' WHERE UserID = 206;
    UPDATE tblRoleRight SET RoleID = 4711 WHERE RoleRightID = 907;
";

/// User 1 was removed, as some countries do.
const NO_USER_ONE: &str = "
    DELETE FROM tblUserRole WHERE UserID = 1;
    DELETE FROM tblUsersDistricts WHERE UserID = 1;
    DELETE FROM tblLogins WHERE UserId = 1;
    DELETE FROM tblUsers WHERE UserID = 1;
";

/// A country that goes both routes.
struct Routes {
    desk: Desk,
    server: SqlServer,
    shape: Shape,
    target: Target,
    /// The exit code of a migration: rows that are rejected are a finding.
    code: i32,
}

impl Routes {
    async fn new(shape: Shape, target: Target, script: &str, code: i32) -> Self {
        let server = traps::country(PASSWORD, script).await.unwrap();
        Routes { desk: Desk::new().with("IMIS_MSSQL_PASSWORD", PASSWORD), server, shape, target, code }
    }

    fn imis(&self, database: &str, more: &[&str]) -> Said {
        let from = format!("mssql://sa@127.0.0.1:{}/IMIS?encrypt=off", self.server.port());
        let to = Cluster::shared().url(database);
        let all = ["migrate", "--from", &from, "--to", &to, "--country", COUNTRY, "--on-reject", "continue"];
        self.desk.imis(&[&all, more].concat())
    }

    #[track_caller]
    fn migrate(&self, database: &str, more: &[&str]) -> Value {
        let said = self.imis(database, &[more, &["--json"]].concat());
        assert_eq!(said.code, self.code, "{}\n{}", said.stdout, said.stderr);
        let account = said.json();
        assert_eq!(account["balances"], true, "{}\n{}", said.stdout, said.stderr);
        account
    }

    /// What verification says of a database that either route filled: by table, how many rows differ without a reason.
    #[track_caller]
    fn unexplained(&self, database: &str) -> Vec<String> {
        let from = format!("mssql://sa@127.0.0.1:{}/IMIS?encrypt=off", self.server.port());
        let to = Cluster::shared().url(database);
        let verify = ["verify", "--from", &from, "--to", &to, "--country", COUNTRY];
        let said = self.desk.imis(&[&verify[..], &["--json"]].concat());
        let summary = said.json();
        let mut found = Vec::new();
        for table in summary["tables"].as_array().unwrap() {
            for kind in ["missing", "extra", "changed", "doubled", "unreadable"] {
                if table[kind] != 0 {
                    found.push(format!("{} {kind} {}", table["table"].as_str().unwrap(), table[kind]));
                }
            }
        }
        let differs = |total: &&Value| total["status"] == "differs";
        let totals = ["columns", "areas"].iter().flat_map(|list| summary["totals"][list].as_array().unwrap());
        let odd = totals.filter(differs).count();
        let code = if found.is_empty() && odd == 0 { 0 } else { 3 };
        if code != 0 {
            eprintln!("{}", self.desk.imis(&[&verify[..], &["--show-values"]].concat()).stdout);
        }
        assert_eq!((said.code, summary["holds"] == true), (code, code == 0), "{found:#?}\n{}", said.stderr);
        assert!(odd == 0 || !found.is_empty(), "totals differ and no row does");
        found
    }

    /// A database with the tables of `imis prepare`.
    async fn prepared(&self, name: &str) -> String {
        let database = format!("{name}_{:?}", self.target).to_lowercase();
        Cluster::shared().create_database(&database).await.unwrap();
        let url = Cluster::shared().url(&database);
        self.desk.imis(&["prepare", &url, "--shape", &self.shape.to_string()]).done();
        database
    }

    /// The country straight in a migrated database.
    async fn direct(&self) -> String {
        let database = migrated(self.target, "direct").await.unwrap();
        self.migrate(&database, &[]);
        database
    }
}

pub(crate) async fn django(database: &str) {
    Backend::shared().await.migrate(&Cluster::shared().url(database)).await.unwrap();
}

pub(crate) async fn must_be_equal(direct: &str, through: &str) {
    let found = differences(direct, through).await;
    assert!(found.is_empty(), "{} differences:\n{}", found.len(), found.join("\n"));
    assert_same(&generators(through).await, &generators(direct).await, "the key generators");
    assert_same(&dump(through, &["--schema-only"]), &dump(direct, &["--schema-only"]), "the schema");
}

/// All there is, our own state aside. Lines are sorted: a row that was changed and changed back stands elsewhere in its table.
fn everything(database: &str) -> String {
    let text = dump(database, &[]);
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    lines.join("\n")
}

/// Every cell that differs between two databases, in every table of either, but for what may.
async fn differences(direct: &str, through: &str) -> Vec<String> {
    let cluster = Cluster::shared();
    let (a, b) = (cluster.connect(direct).await.unwrap(), cluster.connect(through).await.unwrap());
    for client in [&a, &b] {
        client.batch_execute("SET application_name = 'imis'; SET TimeZone = 'UTC'").await.unwrap();
    }
    let tables =
        "SELECT relname::text FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace ORDER BY 1";
    let names = |rows: Vec<tokio_postgres::Row>| rows.iter().map(|r| r.get::<_, String>(0)).collect::<Vec<_>>();
    let (of_a, of_b) = (names(a.query(tables, &[]).await.unwrap()), names(b.query(tables, &[]).await.unwrap()));
    assert_eq!(of_a, of_b, "the tables");
    assert!(of_a.len() > 150, "{} tables are not a migrated database", of_a.len());
    let mut found = Vec::new();
    for name in of_a {
        let ((ours, key, numeric), (theirs, ..)) = (oracle::table(&a, &name).await, oracle::table(&b, &name).await);
        for one in oracle::compare(&name, &ours, &theirs, &key, &numeric) {
            let may =
                |(table, column, _): &&(&str, &str, &str)| *table == name && (*column == "*" || *column == one.what);
            if DIFFERENT.iter().find(may).is_none() {
                let row = key.iter().map(|k| if one.ours.is_empty() { one.theirs(k) } else { one.ours(k) });
                let row = row.collect::<Vec<_>>().join(",");
                found.push(format!("{name} {row} {}: {} | {}", one.what, one.ours(&one.what), one.theirs(&one.what)));
            }
        }
    }
    found
}

/// Where the next row of each table would begin.
async fn generators(database: &str) -> String {
    let client = Cluster::shared().connect(database).await.unwrap();
    client.batch_execute("SET application_name = 'imis'").await.unwrap();
    let sql = "SELECT coalesce(string_agg(sequencename || ' ' || coalesce(last_value::text, '-'), E'\\n' ORDER BY sequencename), '') \
               FROM pg_sequences WHERE schemaname = 'public'";
    client.query_one(sql, &[]).await.unwrap().get(0)
}

/// The whole way with every stop on it, in tables that are wide enough for everything.
#[tokio::test]
async fn both_routes_end_equal_in_the_shape_wide() {
    let routes = Routes::new(Shape::Wide, Target::Wide, "", 0).await;
    let direct = routes.direct().await;
    for (sql, number) in PROMISES {
        assert_eq!(crate::harness::number(&direct, sql).await, *number, "{sql}");
    }
    let usual = ["--mapping", FIRST];
    routes.imis(&direct, &usual).failed(4, "the target is migrated already", &[]);
    routes.imis(&direct, &["--complete"]).failed(2, "no run into this target waits for a completion", &[]);

    let through = routes.prepared("through").await;
    let (url, prepared) = (Cluster::shared().url(&through), everything(&through));
    routes.imis(&through, &["--complete"]).failed(2, "no run into this target waits", &[]);
    let said = routes.imis(&through, &usual).done();
    assert!(
        said.stderr.contains("python manage.py migrate") && said.stderr.contains("imis migrate --complete"),
        "{}",
        said.stderr
    );
    // A completion that was taken back is the latest run, and stands before the one that waits again.
    let waits = || {
        let runs = routes.desk.imis(&["runs", &url, "--json"]).done().json();
        let waiting = runs.as_array().unwrap().iter().map(|run| run["waits_for"].clone()).find(|pack| !pack.is_null());
        waiting.unwrap_or(Value::Null)
    };
    assert_eq!(waits(), SECOND);
    routes.imis(&through, &["--complete"]).failed(4, "Django's migrations have not run", &[]);
    routes.desk.imis(&["migrate", "--undo", "--to", &url]).done();
    assert_same(&everything(&through), &prepared, "the first run, taken back");
    routes.migrate(&through, &usual);
    django(&through).await;
    routes.desk.imis(&["migrate", "--undo", "--to", &url]).failed(3, "Django's migrations have run since", &[]);
    let waiting = everything(&through);

    routes.imis(&through, &["--complete", "--mapping", "openimis/legacy-to-modular"]).failed(
        4,
        "does not complete",
        &[],
    );
    let whole = routes.migrate(&through, &["--complete"]);
    let rule = |name: &str| whole["rules"].as_array().unwrap().iter().find(|r| r["rule"] == name).unwrap().clone();
    assert_eq!(rule("users")["read"], rule("users (completion)")["read"]);
    let policies = rule("policies-days-of-enrolment (completion)");
    assert!(policies["updated"].as_u64() > Some(0) && policies["updated"] == policies["read"], "{policies}");
    assert_eq!(rule("claim-administrators-without-code (completion)")["updated"], 2);
    assert_eq!(waits(), Value::Null);
    let done = everything(&through);
    let said = routes.imis(&through, &["--complete"]).done();
    assert!(said.stderr.contains("has completed run"), "{}", said.stderr);
    assert_same(&everything(&through), &done, "a second completion does nothing");
    routes.desk.imis(&["migrate", "--undo", "--to", &url]).done();
    assert_same(&everything(&through), &waiting, "the completion, taken back");
    assert_eq!(waits(), SECOND);
    routes.migrate(&through, &["--complete"]);
    must_be_equal(&direct, &through).await;
    assert_eq!(routes.unexplained(&direct), [""; 0]);
    assert_eq!(routes.unexplained(&through), [""; 0]);
}

/// Upstream's narrower tables; and a country without user 1.
#[tokio::test]
async fn both_routes_end_equal_in_the_shape_upstream() {
    let routes = Routes::new(Shape::Upstream, Target::Upstream, NO_USER_ONE, 0).await;
    let (direct, through) = (routes.direct().await, routes.prepared("through").await);
    let prepared = everything(&through);
    routes.migrate(&through, &["--mapping", FIRST]);
    routes.desk.imis(&["migrate", "--undo", "--to", &Cluster::shared().url(&through)]).done();
    assert_same(&everything(&through), &prepared, "what was loosened is tight again");
    routes.migrate(&through, &["--mapping", FIRST]);
    django(&through).await;
    routes.migrate(&through, &["--complete"]);
    must_be_equal(&direct, &through).await;
    assert_eq!(routes.unexplained(&direct), [""; 0]);
    assert_eq!(routes.unexplained(&through), [""; 0]);
}

/// Rows that are rejected are rejected on both routes, with what hangs on them, and the completion does not stumble over them.
/// A migration that takes rows away is found.
#[tokio::test]
async fn both_routes_reject_the_same_rows() {
    let routes = Routes::new(Shape::Wide, Target::Wide, BROKEN, 3).await;
    let direct = migrated(Target::Wide, "broken").await.unwrap();
    let through = routes.prepared("through_broken").await;
    let straight = routes.migrate(&direct, &[]);
    routes.migrate(&through, &["--mapping", FIRST]);
    django(&through).await;
    // What a migration of some other module might do.
    let client = Cluster::shared().connect(&through).await.unwrap();
    let take = r#"DELETE FROM "tblFromPhone" WHERE "FromPhoneId" = 2; DELETE FROM "tblUserRole" WHERE "UserID" = 2"#;
    client.batch_execute(take).await.unwrap();
    drop(client);
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    let said = routes.imis(&through, &["--complete", "--json"]);
    let whole = said.json();
    assert_eq!((said.code, &whole["balances"]), (3, &Value::Bool(false)), "{}", said.stderr);
    let odd = |list: &str, name: &str| -> Vec<Value> {
        whole[list].as_array().unwrap().iter().filter(|r| r["balances"] == false).map(|r| r[name].clone()).collect()
    };
    assert_eq!((odd("rules", "rule").len(), odd("tables", "table")), (0, vec![Value::from("tblFromPhone")]));
    let notes = whole["notes"].to_string();
    assert!(notes.contains("took 1 row(s) from tblFromPhone: nothing accounts"), "{notes}");
    assert!(notes.contains("from tblUserRole; the completion replaced them"), "{notes}");
    let away = |name: &str| whole["losses"].as_array().unwrap().iter().filter(|l| l["name"] == name).count();
    assert_eq!(away("rejected-before"), 2, "policies and their premiums: {}", whole["losses"]);
    assert!(straight["rejected"].as_u64() > Some(5), "{}", straight["rejected"]);

    let found: Vec<_> = differences(&direct, &through).await;
    assert!(found.len() == 1 && found[0].starts_with("tblFromPhone 2 +"), "{}", found.join("\n"));
    assert_eq!(routes.unexplained(&direct), [""; 0]);
    let found = routes.unexplained(&through);
    assert_eq!(found, ["tblFromPhone missing 1"]);
}
