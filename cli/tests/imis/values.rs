//! Hard situations of old databases that one row decides alone: values that mandatory columns lack, values that are too long, keys
//! outside the tree, an account that the target had. Into a database that was born with upstream's rows.

use imis_fixtures::backend::shared_folder;
use imis_fixtures::postgres::Cluster;
use imis_fixtures::sqlserver::{Options, SqlServer, Tables};
use serde_json::Value;

use crate::harness::{Desk, Target, migrated, number};

const PASSWORD: &str = "loopback-7Kq";

/// What somebody did to the demo over the years.
const PLANTED: &str = "
    UPDATE tblInsureePolicy SET InsureeId = NULL WHERE InsureePolicyId = 1;
    UPDATE tblInsureePolicy SET AuditUserId = NULL, ValidityFrom = NULL WHERE InsureePolicyId = 2;
    UPDATE tblInsuree SET InsureeUUID = 'ABCDEFAB-CDEF-ABCD-EFAB-CDEFABCDEFAB' WHERE InsureeID = 6;
    UPDATE tblInsuree SET LastName = N'A' + NCHAR(0) + N'B' WHERE InsureeID = 7;
    UPDATE tblInsuree SET LastName = N'Zo\u{eb} \u{1F600}\u{2028}\u{FEFF}e\u{301}\t\\N''\"' WHERE InsureeID = 8;
    UPDATE tblLocations SET ParentLocationId = 99999 WHERE LocationId = 35;
    UPDATE tblControls SET Usage = NULL WHERE FieldName = 'Age';
    UPDATE tblUsers SET LoginName = 'Chief' WHERE UserID = 1;
    INSERT INTO tblFromPhone (DocType, DocName, DocStatus, LandedDate, OfficerCode, CHFID) VALUES
        ('C', 'short', 'A', '2020-01-01', 'E00001', '070707070'),
        ('C', 'long', 'A', '2020-01-01', 'E00001', '07070707070707070707070707070707070707070707070707'),
        ('C', 'a blank too many', 'A', '2020-01-01', 'E00001', '070707070707 '),
        ('X', 'no such kind', 'A', '2020-01-01', 'E00001', '070707070');
    UPDATE tblPolicyRenewals SET PhoneNumber = '+977 1234567890 extension 12345678' WHERE RenewalID = (SELECT MIN(RenewalID) FROM tblPolicyRenewals);";

/// What must be there afterwards.
const AFTERWARDS: &[(&str, i64)] = &[
    (r#"SELECT count(*) FROM "tblInsureePolicy" WHERE "InsureePolicyID" = 1"#, 0),
    (
        r#"SELECT count(*) FROM "tblInsureePolicy" WHERE "InsureePolicyID" = 2 AND "AuditUserID" = -1 AND "ValidityFrom"::date = "EnrollmentDate""#,
        1,
    ),
    (r#"SELECT count(*) FROM "tblInsuree" WHERE "InsureeUUID"::text = 'abcdefab-cdef-abcd-efab-cdefabcdefab'"#, 1),
    (r#"SELECT count(*) FROM "tblLocations" WHERE "LocationId" = 35 AND "ParentLocationId" IS NULL"#, 1),
    (r#"SELECT count(*) FROM "tblControls" WHERE "FieldName" = 'Age' AND "Usage" = ''"#, 1),
    (r#"SELECT count(*) FROM "core_User" WHERE username = 'Chief' AND i_user_id = 1"#, 1),
    // The account of upstream's administrator leads to nobody: with it nobody takes the country's user 1 over.
    (r#"SELECT count(*) FROM "core_User" WHERE username = 'Admin' AND i_user_id IS NULL AND officer_id IS NULL"#, 1),
    (r#"SELECT count(*) FROM "tblUsers" WHERE "LoginName" = 'Admin'"#, 0),
    (r#"SELECT count(*) FROM "tblInsuree" WHERE "InsureeID" = 7 AND "LastName" = 'AB'"#, 1),
    (
        r#"SELECT count(*) FROM "tblInsuree" WHERE "InsureeID" = 8 AND "LastName" = U&'Zo\00eb \+01F600\2028\FEFFe\0301' || chr(9) || U&'\005CN''"'"#,
        1,
    ),
    (r#"SELECT count(*) FROM "tblFromPhone" WHERE "CHFID" = '070707070707'"#, 1),
    (r#"SELECT count(*) FROM "tblFromPhone""#, 2),
];

#[tokio::test]
async fn values_become_what_the_pack_says() {
    let Some(shared) = shared_folder() else { return };
    let mut catalog = imis_schemas::release("legacy/24.04").unwrap();
    // Before 22.10 these columns took NULL.
    let covered = catalog.tables.iter_mut().find(|t| t.name == "tblInsureePolicy").unwrap();
    covered.columns.iter_mut().filter(|c| c.name != "InsureePolicyId").for_each(|c| c.nullable = true);
    // Somebody widened a column of the phones' documents.
    let documents = catalog.tables.iter_mut().find(|t| t.name == "tblFromPhone").unwrap();
    documents.columns.iter_mut().find(|c| c.name == "CHFID").unwrap().data_type = "nvarchar(50)".into();
    let tables = Tables::csv(catalog, &shared.join("demo")).unwrap().in_memory().await.unwrap();
    let server = SqlServer::start(Options::new(tables, PASSWORD)).unwrap();
    server.execute_script(PLANTED).unwrap();
    let Some(database) = migrated(Target::Seeded, "values").await else { return };
    let client = Cluster::shared().connect(&database).await.unwrap();
    client
        .batch_execute(
            r#"INSERT INTO "core_User" (id, username, i_user_id, version) VALUES (gen_random_uuid(), 'Admin', 1, 1)"#,
        )
        .await
        .unwrap();
    drop(client);
    let desk = Desk::new().with("IMIS_MSSQL_PASSWORD", PASSWORD);
    let from = format!("mssql://sa@127.0.0.1:{}/IMIS?encrypt=off", server.port());
    let to = Cluster::shared().url(&database);
    let said = desk
        .imis(&["migrate", "--from", &from, "--to", &to, "--on-reject", "continue", "--allow-connected", "--json"])
        .failed(3, "", &[PASSWORD]);
    let account = said.json();
    assert_eq!(account["balances"], true, "{}", said.stderr);
    for (sql, expected) in AFTERWARDS {
        assert_eq!(number(&database, sql).await, *expected, "{sql}");
    }
    let rejected = |rule: &str| {
        let is = |one: &&Value| one["rule"] == rule;
        account["rules"].as_array().unwrap().iter().find(is).unwrap()["rejected"].clone()
    };
    assert_eq!((rejected("insuree-policies"), rejected("phone-documents")), (1.into(), 2.into()));
    let rejects = desk.imis(&["rejects", "show", &to, "--json"]).done().json();
    let reasons = rejects["rejects"].to_string();
    for reason in ["the value is NULL and the column takes none", "the text is too long", "it breaks "] {
        assert!(reasons.contains(reason), "`{reason}` is missing in {reasons}");
    }
    let lost = |column: &str, name: &str| {
        let is = |one: &&Value| one["column"] == column && one["name"] == name;
        account["losses"].as_array().unwrap().iter().find(is).map_or(0, |loss| loss["values"].as_u64().unwrap())
    };
    assert_eq!(lost("ParentLocationId", "dangling-to-null"), 1);
    assert_eq!((lost("LastName", "strip-nul"), lost("CHFID", "trailing-blanks")), (1, 1));
}
