//! Hard situations of old databases, planted into the official demo: what becomes of each, and whether the account says so.

use imis_fixtures::backend::shared_folder;
use imis_fixtures::postgres::Cluster;
use imis_fixtures::sqlserver::{Options, SqlServer, Tables};
use serde_json::Value;

use crate::harness::{Desk, Target, dump, migrated};

const PASSWORD: &str = "loopback-7Kq";

/// What somebody did to the demo over the years.
const PLANTED: &str = "
    -- Keys that name nothing: a diagnosis that a claim needs (with lines and a feedback that go too), and one that it does not.
    UPDATE tblClaim SET ICDID = 99999 WHERE ClaimID = 3;
    UPDATE tblClaim SET ICDID1 = 99999, FeedbackID = 77 WHERE ClaimID = 2;
    UPDATE tblClaim SET Adjuster = 501 WHERE ClaimID = 8;
    -- Numbers that stand for none.
    UPDATE tblPLItems SET LocationId = 0 WHERE PLItemID = 1;
    UPDATE tblOfficer SET OfficerIDSubst = 0 WHERE OfficerID = 1;
    UPDATE tblPhotos SET InsureeID = 0 WHERE PhotoID = 267;
    -- Heads: the legacy default, with a member marked as head, without one, in a closed version, and without a single member.
    UPDATE tblFamilies SET InsureeID = 0 WHERE FamilyID IN (2, 3, 5);
    UPDATE tblInsuree SET IsHead = 0 WHERE FamilyID = 5;
    UPDATE tblFamilies SET InsureeID = 99999 WHERE FamilyID = 14;
    UPDATE tblInsuree SET FamilyID = 1, IsHead = 0 WHERE FamilyID = 14;
    -- One identifier on two rows, the closed one first by key.
    UPDATE tblInsuree SET InsureeUUID = '11111111-2222-3333-4444-555555555555' WHERE InsureeID IN (57, 58);
    UPDATE tblInsuree SET ValidityTo = NULL WHERE InsureeID = 58;
    -- Spelling.
    UPDATE tblInsuree SET Gender = 'm' WHERE InsureeID = 4;
    UPDATE tblInsuree SET Gender = ' ' WHERE InsureeID = 5;
    UPDATE tblUsers SET LanguageID = 'EN' WHERE UserID = 17;
    UPDATE tblUsers SET LanguageID = 'xx' WHERE UserID = 18;
    UPDATE tblOfficer SET Code = 'e00001 ' WHERE OfficerID = 3;
    UPDATE tblClaimAdmin SET ClaimAdminCode = 'jmhc0011' WHERE ClaimAdminId = 2;
    -- Two payer types with one description.
    UPDATE tblPayerType SET PayerType = 'Donor' WHERE Code = 'G';
    -- A closed role of administrators.
    INSERT INTO tblRole (RoleUUID, RoleName, AltLanguage, IsSystem, IsBlocked, ValidityFrom, ValidityTo, AuditUserID, LegacyID)
        VALUES ('99999999-2222-3333-4444-555555555555', 'IMIS Administrator', NULL, 64, 0, '2019-01-01', '2020-01-01', 1, 7);
    -- Feedback given four times on one claim that has two closed versions, and on a claim that is not there.
    INSERT INTO tblFeedback (FeedbackUUID, ClaimID, ValidityFrom, ValidityTo, AuditUserID) VALUES
        ('00000000-0000-0000-0000-000000000001', 5, '2018-03-28T09:00:00', '2018-03-28T10:01:00', 1),
        ('00000000-0000-0000-0000-000000000002', 5, '2018-03-28T10:01:00', '2018-03-28T10:02:00', 1),
        ('00000000-0000-0000-0000-000000000003', 5, '2018-03-28T10:02:00', '2018-03-29T10:02:00', 1),
        ('00000000-0000-0000-0000-000000000004', 5, '2018-03-30T10:02:00', NULL, 1),
        ('00000000-0000-0000-0000-000000000005', 3, '2018-03-30T10:02:00', NULL, 1),
        ('00000000-0000-0000-0000-000000000006', 4711, '2018-03-28T10:02:00', '2018-03-29T10:02:00', 1);
    -- A row that never comes in takes along what names it, and what names that.
    UPDATE tblPolicy SET ProdID = 99999 WHERE PolicyID = 9;
    UPDATE tblProduct SET MemberCount = 40000 WHERE ProdID = 4;
    UPDATE tblUsers SET LoginName = 'A name of more than 25 letters' WHERE UserID = 40;
";

/// A query, and what it gives in a target of upstream's shape and in a wide one.
type Case = (&'static str, &'static str, &'static str);

/// What must be there afterwards. `|` separates columns, `/` rows.
const AFTERWARDS: &[Case] = &[
    // e5, and its dependants.
    (r#"SELECT count(*) FROM "tblClaim" WHERE "ClaimID" = 3"#, "0", "0"),
    (r#"SELECT count(*) FROM "tblClaimItems" WHERE "ClaimID" = 3"#, "0", "0"),
    (r#"SELECT count(*) FROM "tblClaimServices" WHERE "ClaimID" = 3"#, "0", "0"),
    // e6, e7.
    (r#"SELECT "ICDID1", "FeedbackID" FROM "tblClaim" WHERE "ClaimID" = 2"#, "NULL|NULL", "NULL|NULL"),
    (r#"SELECT count(*) FROM "tblClaim" WHERE "FeedbackID" IS NOT NULL"#, "0", "0"),
    (r#"SELECT "Adjuster" FROM "tblClaim" WHERE "ClaimID" = 8"#, "NULL", "NULL"),
    // e23.
    (r#"SELECT "LocationId" FROM "tblPLItems" WHERE "PLItemID" = 1"#, "NULL", "NULL"),
    (r#"SELECT "OfficerIDSubst" FROM "tblOfficer" WHERE "OfficerID" = 1"#, "NULL", "NULL"),
    (r#"SELECT "InsureeID" FROM "tblPhotos" WHERE "PhotoID" = 267"#, "NULL", "NULL"),
    // e4: the marked one, the closed version like its live row, the oldest where none is marked, none.
    (
        r#"SELECT "FamilyID", "InsureeID" FROM "tblFamilies" WHERE "FamilyID" IN (2, 3, 5, 14) ORDER BY 1"#,
        "2|6/3|6/5|13",
        "2|6/3|6/5|13",
    ),
    (r#"SELECT count(*) FROM "tblPolicy" WHERE "FamilyID" = 14"#, "0", "0"),
    // e12: the live one keeps it.
    (
        r#"SELECT "InsureeID" FROM "tblInsuree" WHERE "InsureeUUID"::text = '11111111-2222-3333-4444-555555555555'"#,
        "58",
        "58",
    ),
    (r#"SELECT count(*) FROM "tblInsuree" WHERE "InsureeID" = 57 AND length("InsureeUUID"::text) = 36"#, "1", "1"),
    // e17.
    (
        r#"SELECT "InsureeID", "Gender" FROM "tblInsuree" WHERE "InsureeID" IN (4, 5) ORDER BY 1"#,
        "4|M/5|NULL",
        "4|M/5|NULL",
    ),
    (r#"SELECT "id", "LanguageID" FROM "tblUsers" WHERE "id" IN (17, 18) ORDER BY 1"#, "17|en/18|en", "17|en/18|en"),
    // e22: codes as people log in, and one account each.
    (r#"SELECT "Code" FROM "tblOfficer" WHERE "OfficerID" = 3"#, "E00001", "E00001"),
    (r#"SELECT "ClaimAdminCode" FROM "tblClaimAdmin" WHERE "ClaimAdminId" = 2"#, "JMHC0011", "JMHC0011"),
    (
        r#"SELECT username, i_user_id, officer_id FROM "core_User" WHERE lower(username) = 'e00001'"#,
        "E00001|34|3",
        "E00001|34|3",
    ),
    // e18.
    (r#"SELECT count(*) FROM "tblRole" WHERE "IsSystem" = 64"#, "1", "1"),
    // e26.
    (
        r#"SELECT "Code", "PayerType" FROM "tblPayerType" WHERE "PayerType" LIKE 'Donor%' ORDER BY 1"#,
        "D|Donor/G|Donor (G)",
        "D|Donor/G|Donor (G)",
    ),
    // e25.
    (r#"SELECT "MemberCount" FROM "tblProduct" WHERE "ProdID" = 4"#, "32767", "40000"),
    // e8: the live one with the claim, earlier ones with its versions; where none is left, none.
    (
        r#"SELECT right("FeedbackUUID"::text, 1), "ClaimID" FROM "tblFeedback" ORDER BY 1"#,
        "1|6/2|7/3|NULL/4|5/6|NULL",
        "1|6/2|7/3|NULL/4|5/6|NULL",
    ),
];

/// Values that were repaired: rule, column, name, how many in upstream's shape and in the wide one.
const REPAIRED: &[(&str, &str, &str, u64, u64)] = &[
    ("claims", "ICDID1", "dangling-to-null", 1, 1),
    ("claims", "FeedbackID", "dangling-to-null", 1, 1),
    ("claims", "Adjuster", "dangling-to-null", 1, 1),
    ("photos", "InsureeID", "zero-is-none", 1, 1),
    ("families", "InsureeID", "head-from-members", 3, 3),
    ("insurees", "InsureeUUID", "uuid-again", 1, 1),
    ("insurees", "Gender", "spelling-of-key", 1, 1),
    ("insurees", "Gender", "dangling-to-null", 1, 1),
    ("users", "LanguageID", "spelling-of-key", 1, 1),
    ("users", "LanguageID", "unknown-language", 1, 1),
    ("officers", "Code", "spelling-of-login", 1, 1),
    ("claim-administrators", "ClaimAdminCode", "spelling-of-login", 1, 1),
    ("roles", "IsSystem", "closed-admin-role", 1, 1),
    ("payer-types", "PayerType", "payer-type-twice", 1, 1),
    ("feedbacks", "ClaimID", "feedback-history", 3, 3),
    ("feedbacks", "ClaimID", "dangling-to-null", 1, 1),
];

async fn texts(database: &str, sql: &str) -> String {
    let client = Cluster::shared().connect(database).await.unwrap();
    client.batch_execute("SET application_name = 'imis'").await.unwrap();
    let rows = client.simple_query(sql).await.unwrap();
    let rows: Vec<String> = rows
        .iter()
        .filter_map(|message| match message {
            tokio_postgres::SimpleQueryMessage::Row(row) => {
                Some((0..row.len()).map(|at| row.get(at).unwrap_or("NULL")).collect::<Vec<_>>().join("|"))
            }
            _ => None,
        })
        .collect();
    rows.join("/")
}

/// The demo with rows planted by a script.
async fn served(planted: &str) -> Option<SqlServer> {
    let demo = shared_folder()?.join("demo");
    let mut catalog = imis_schemas::release("legacy/24.04").unwrap();
    // Somebody widened a column, which a reject before the load needs.
    let users = catalog.tables.iter_mut().find(|t| t.name == "tblUsers").unwrap();
    users.columns.iter_mut().find(|c| c.name == "LoginName").unwrap().data_type = "nvarchar(50)".into();
    let tables = Tables::csv(catalog, &demo).unwrap().in_memory().await.unwrap();
    let server = SqlServer::start(Options::new(tables, PASSWORD)).unwrap();
    server.execute_script(planted).unwrap();
    Some(server)
}

fn of<'a>(list: &'a Value, fields: &[(&str, &str)]) -> Option<&'a Value> {
    list.as_array().unwrap().iter().find(|one| fields.iter().all(|(name, value)| one[*name] == *value))
}

async fn every_situation_becomes_what_the_pack_says(target: Target) {
    let Some(server) = served(PLANTED).await else { return };
    let desk = Desk::new().with("IMIS_MSSQL_PASSWORD", PASSWORD);
    let from = format!("mssql://sa@127.0.0.1:{}/IMIS?encrypt=off", server.port());
    let name = migrated(target, "situations").await.unwrap();
    let url = Cluster::shared().url(&name);
    let (schema, rows) = (dump(&name, &["--schema-only"]), dump(&name, &["--data-only"]));
    let wide = target == Target::Wide;

    // A broken key stops a run, if nobody said otherwise, and nothing is changed by that.
    let migrate = ["migrate", "--from", &from, "--to", &url, "--json"];
    let mut go_on = migrate.to_vec();
    go_on.extend(["--on-reject", "continue"]);
    desk.imis(&migrate).failed(3, "--on-reject", &[PASSWORD]);
    desk.imis(&["migrate", "--undo", "--to", &url]).done();
    crate::harness::assert_same(&dump(&name, &["--schema-only"]), &schema, "the schema after a stop and an undo");
    crate::harness::assert_same(&dump(&name, &["--data-only"]), &rows, "the rows after a stop and an undo");

    go_on.extend(["--report", "report"]);
    let said = desk.imis(&go_on).failed(3, "", &[PASSWORD]);
    let account = said.json();
    assert_eq!(account["balances"], true, "{}", said.stderr);
    crate::harness::assert_same(&dump(&name, &["--schema-only"]), &schema, "the schema is what it was");

    let mut wrong = Vec::new();
    for (sql, upstream, in_wide) in AFTERWARDS {
        let (expected, found) = (if wide { in_wide } else { upstream }, texts(&name, sql).await);
        if found != *expected {
            wrong.push(format!("{sql}\n  gives {found}\n  not   {expected}"));
        }
    }
    for (rule, column, repair, upstream, in_wide) in REPAIRED {
        let expected = if wide { in_wide } else { upstream };
        let found = of(&account["losses"], &[("rule", rule), ("column", column), ("name", repair)]);
        let found = found.map_or(0, |loss| loss["values"].as_u64().unwrap());
        if found != *expected {
            wrong.push(format!("{rule}.{column}: {found} times {repair}, not {expected}"));
        }
    }
    assert!(wrong.is_empty(), "{target:?}:\n{}", wrong.join("\n"));

    // Who went along with whom.
    let rejects = desk.imis(&["rejects", "show", &url, "--json", "--limit", "1000"]).done().json();
    let claim =
        of(&rejects["rejects"], &[("table", "tblClaim"), ("reason", "it names no row of tblICDCodes")]).unwrap();
    assert_eq!((&claim["key"]["ClaimID"], &claim["cause"]), (&"3".into(), &Value::Null), "{claim}");
    let lines = of(&rejects["groups"], &[("rule", "claims"), ("column", "ICDID")]).unwrap();
    // Its items, its services, the feedback on it.
    let took = number_of_lines(3);
    assert_eq!(lines["took_along"], took + 1, "{lines}");
    let policy = of(&rejects["rejects"], &[("table", "tblInsureePolicy"), ("column", "PolicyId")]).unwrap();
    assert!(policy["cause"]["table"] == "tblPolicy" || policy["cause"]["table"] == "tblFamilies", "{policy}");
    let families = of(&rejects["groups"], &[("rule", "families"), ("column", "InsureeID")]).unwrap();
    assert!(families["took_along"].as_u64().unwrap() > 1, "a policy, and what hangs on it: {families}");
    // A row that was rejected before the load is the cause of what goes with it. (The wide shape holds so long a name.)
    if !wide {
        let user = of(&rejects["rejects"], &[("table", "tblUserRole")]).unwrap();
        let cause = (&user["cause"]["table"], &user["cause"]["column"]);
        assert_eq!(cause, (&"tblUsers".into(), &"LoginName".into()), "{user}");
    }
    let all = rejects["all"].as_u64().unwrap();
    assert_eq!(account["rejected"].as_u64(), Some(all));
    let page = std::fs::read_to_string(desk.path().join("report/index.html")).unwrap();
    for word in ["head-from-members", "feedback-history", "zero-is-none", "along that named them"] {
        assert!(page.contains(word), "the report does not say {word}");
    }

    desk.imis(&["migrate", "--undo", "--to", &url]).done();
    crate::harness::assert_same(&dump(&name, &["--schema-only"]), &schema, "the schema after undo");
    crate::harness::assert_same(&dump(&name, &["--data-only"]), &rows, "the rows after undo");
}

/// How many items and services the demo has on a claim.
fn number_of_lines(claim: u32) -> u64 {
    let demo = shared_folder().unwrap().join("demo");
    ["tblClaimItems.csv", "tblClaimServices.csv", "tblClaimDedRem.csv"]
        .iter()
        .map(|file| {
            let mut reader = csv::Reader::from_path(demo.join(file)).unwrap();
            let at = reader.headers().unwrap().iter().position(|name| name == "ClaimID").unwrap();
            reader.records().filter(|row| row.as_ref().unwrap()[at] == claim.to_string()).count() as u64
        })
        .sum()
}

#[tokio::test]
async fn situations_in_upstreams_shape() {
    every_situation_becomes_what_the_pack_says(Target::Upstream).await;
}

#[tokio::test]
async fn situations_in_the_wide_shape() {
    every_situation_becomes_what_the_pack_says(Target::Wide).await;
}
