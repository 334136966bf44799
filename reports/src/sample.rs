//! A migration with something of everything in it, for tests.

use std::collections::BTreeMap;

use imis_databases::{Consistency, KeyRange, Mark, Reading};
use imis_mappings::account::{Account, Counts, FORMAT, Reject, RejectedRow, RuleAccount, TableAccount};
use imis_mappings::hazard::Hazard;
use imis_mappings::plan::{Plan, PlannedRule};
use imis_mappings::verify::{
    AreaTotal, CellDifference, ColumnTotal, Difference, DifferenceKind, Group, Mode, Status, TableVerdict, Verification,
};

pub(crate) fn rule(name: &str, table: &str, read: u64, rejected: u64, filtered: u64) -> RuleAccount {
    let loaded = read - rejected - filtered;
    RuleAccount {
        rule: name.into(),
        from: Some(table.into()),
        to: table.into(),
        counted: Some(read),
        counts: Counts { read, loaded, rejected, filtered, ..Counts::default() },
        repaired: 0,
        computed: 0,
    }
}

pub(crate) fn table(name: &str, loaded: u64) -> TableAccount {
    TableAccount { table: name.into(), before: 0, removed: 0, loaded, computed: 0, by_migrations: 0, after: loaded }
}

pub(crate) fn reject(rule: &str, table: &str, key: (&str, &str), column: &str, reason: &str) -> RejectedRow {
    RejectedRow {
        rule: rule.into(),
        table: table.into(),
        reject: Reject {
            key: vec![(key.0.into(), key.1.into())],
            column: column.into(),
            reason: reason.into(),
            cause: None,
        },
    }
}

pub(crate) fn account() -> Account {
    let mut claims = rule("claims", "tblClaim", 25_000, 12, 0);
    claims.repaired = 3;
    claims.counts.losses = BTreeMap::from([
        (("DateFrom".into(), "time-of-day".into()), 1_234),
        (("Adjuster".into(), "dangling-to-null".into()), 3),
    ]);
    let accounts = RuleAccount {
        from: None,
        to: "core_User".into(),
        counted: None,
        counts: Counts::default(),
        computed: 40,
        ..rule("accounts", "core_User", 0, 0, 0)
    };
    let names_nothing = "it names no row of tblICDCodes";
    let mut rejects: Vec<RejectedRow> =
        (1..=12).map(|id| reject("claims", "tblClaim", ("ClaimID", &id.to_string()), "ICDID", names_nothing)).collect();
    rejects.push(reject("genders", "tblGender", ("Code", "Z"), "Code", "it breaks tblGender_pkey"));
    Account {
        imis: FORMAT,
        run: "20261122-182125".into(),
        mapping: "openimis/legacy-to-modular".into(),
        from: "SQL Server, IMIS on db.example.org".into(),
        to: "PostgreSQL, openimis on localhost".into(),
        started: "2026-11-22T18:21:25Z".into(),
        finished: "2026-11-22T18:23:30Z".into(),
        consistency: Some(Consistency::SingleTransaction),
        reading: Reading {
            because: "the database takes writes and allows such a transaction".into(),
            declared: false,
            before: Some(Mark { counter: 2001, open: false }),
            after: Some(Mark { counter: 2005, open: false }),
        },
        rules: vec![
            claims,
            rule("insurees", "tblInsuree", 1_234_567, 0, 67),
            rule("genders", "tblGender", 4, 1, 0),
            rule("sms", "tblFamilySMS", 0, 0, 0),
            accounts,
        ],
        tables: vec![
            table("tblClaim", 24_988),
            table("tblInsuree", 1_234_500),
            TableAccount { before: 3, removed: 3, ..table("tblGender", 3) },
            table("tblFamilySMS", 0),
            TableAccount { computed: 40, before: 1, removed: 1, after: 40, ..table("core_User", 0) },
        ],
        rejects,
        notes: vec!["the key fk_country of tblExtra could not be validated".into()],
    }
}

pub(crate) fn plan() -> Plan {
    let planned = |rule: &str, table: &str, rows, ranges| PlannedRule {
        rule: rule.into(),
        from: Some(table.into()),
        to: table.into(),
        rows,
        existing: 0,
        policy: "refuse".into(),
        ranges: vec![KeyRange::whole(); ranges],
    };
    let hazard = |name: &str, rule: &str, column: &str, what: &str| Hazard {
        name: name.into(),
        rule: rule.into(),
        column: (!column.is_empty()).then(|| column.into()),
        what: what.into(),
    };
    let lost = "the target is a date; a time of day is lost and counted";
    Plan {
        imis: 1,
        made: "2026-11-22T17:00:00Z".into(),
        mapping: "openimis/legacy-to-modular".into(),
        mapping_sha256: "ab".repeat(32),
        from: "SQL Server, IMIS on db.example.org".into(),
        to: "PostgreSQL, openimis on localhost".into(),
        source_sha256: String::new(),
        target_sha256: String::new(),
        namespace: Default::default(),
        release: Some("1.7.4 (or 23.10, 24.04)".into()),
        consistency: Consistency::SingleTransaction,
        reading: Reading {
            because: "the database takes writes and allows such a transaction".into(),
            before: Some(Mark { counter: 2001, open: false }),
            ..Reading::default()
        },
        rules: vec![
            planned("claims", "tblClaim", 25_000, 1),
            planned("insurees", "tblInsuree", 1_234_567, 13),
            PlannedRule { existing: 3, policy: "replace".into(), ..planned("genders", "tblGender", 4, 1) },
            planned("sms", "tblFamilySMS", 0, 1),
            PlannedRule { from: None, existing: 1, policy: "merge".into(), ..planned("accounts", "core_User", 0, 1) },
        ],
        hazards: vec![
            hazard("filtered", "insurees", "", "rows that do not meet `x is null` stay behind as orphans"),
            hazard("time-of-day", "claims", "DateFrom", lost),
            hazard("time-of-day", "claims", "DateTo", lost),
        ],
        complete: Default::default(),
        completes: Default::default(),
        seal: String::new(),
    }
}

/// A run with `many` more rules, tables and reasons than a page can show at once, and rejects with the keys of each.
pub(crate) fn country(many: u64) -> Account {
    let mut account = account();
    let known = ["tblFamilies", "tblPolicy", "tblInsureePolicy", "tblClaimItems", "tblClaimServices", "tblPremium"];
    for (place, name) in known.iter().enumerate() {
        let rows = 180_000 + 91_000 * place as u64;
        account.rules.push(rule(&name.to_lowercase(), name, rows, 0, rows / 9));
        account.tables.push(table(name, rows - rows / 9));
    }
    for place in 0..many {
        let name = format!("country_table_{place}");
        account.rules.push(rule(&name, &name, place + 10, 5, 0));
        account.tables.push(table(&name, place + 5));
        for id in 1..=5 {
            let key = ("id", &*id.to_string());
            account.rejects.push(reject(&name, &name, key, "kind", &format!("it breaks a_constraint_{place}")));
        }
        let losses = &mut account.rules[0].counts.losses;
        losses.insert((format!("Column{place}"), "no-target-column".into()), place + 1);
    }
    account
}

/// A verification that found something of everything.
pub(crate) fn verification() -> Verification {
    let cell = |column: &str, from: Option<&str>, to: Option<&str>| CellDifference {
        column: column.into(),
        from: from.map(str::to_owned),
        to: to.map(str::to_owned),
    };
    let difference = |table: &str, kind, key: &[(&str, &str)], cells| Difference {
        table: table.into(),
        rule: Some("claims".into()),
        kind,
        key: key.iter().map(|(c, v)| ((*c).into(), (*v).into())).collect(),
        cells,
        from_times: u64::from(kind != DifferenceKind::Extra),
        to_times: u64::from(kind != DifferenceKind::Missing),
        explained: None,
        why: None,
    };
    let total = |column: &str, total: &str, from: &str, to: &str, status| ColumnTotal {
        table: "tblClaim".into(),
        column: column.into(),
        total: total.into(),
        from: Some(from.into()),
        to: Some(to.into()),
        status,
    };
    Verification {
        imis: 1,
        mode: Mode::Migration,
        from: "mssql://db.example.org:1433/IMIS".into(),
        to: "postgres://localhost:5432/openimis".into(),
        mapping: Some("openimis/legacy-to-modular".into()),
        run: Some("20261122180000_abcdef".into()),
        started: "2026-11-22T18:00:00Z".into(),
        finished: "2026-11-22T18:03:00Z".into(),
        from_consistency: Consistency::Frozen,
        to_consistency: Consistency::Fuzzy,
        from_reading: Reading {
            because: "the database is read-only".into(),
            declared: false,
            before: Some(Mark { counter: 2001, open: false }),
            after: Some(Mark { counter: 2001, open: false }),
        },
        to_reading: Reading::default(),
        sample: false,
        tables: vec![
            TableVerdict {
                table: "tblClaim".into(),
                rules: vec!["claims".into()],
                from_rows: 25_000,
                to_rows: 24_999,
                equal: 24_995,
                missing: 2,
                extra: 1,
                changed: 1,
                doubled: 1,
                explained: [("dangling-to-null".to_owned(), 2), ("rejected".to_owned(), 1)].into(),
                seconds: 1.25,
                ..TableVerdict::default()
            },
            TableVerdict { table: "tblFamilySMS".into(), ..TableVerdict::default() },
        ],
        totals: vec![
            total("", "rows", "25000", "24999", Status::Differs),
            total("Claimed", "sum", "1200.5", "1200.51", Status::Differs),
            total("DateFrom", "least", "2001-01-01", "2001-01-02", Status::Explained("rejected".into())),
            total("ClaimID", "nulls", "0", "0", Status::Equal),
        ],
        areas: vec![AreaTotal {
            area: "Claims".into(),
            title: "Claims by status and month".into(),
            table: "tblClaim".into(),
            figures: vec!["rows".into(), "sum of Claimed".into()],
            from: vec![Some("25000".into()), Some("1200.5".into())],
            to: vec![Some("24999".into()), Some("1200.51".into())],
            groups: 2,
            differing: vec![Group {
                by: vec![("in force".into(), Some("CURRENT".into())), ("ClaimStatus".into(), Some("4".into()))],
                from: vec![Some("2".into()), Some("100".into())],
                to: vec![Some("1".into()), Some("100.01".into())],
            }],
            differ: 1,
            status: Status::Differs,
        }],
        differences: vec![
            difference(
                "tblClaim",
                DifferenceKind::Changed,
                &[("ClaimID", "12")],
                vec![
                    cell("Claimed", Some("100.00"), Some("100.01")),
                    cell("StoredPassword", Some("hash-of-a-password"), Some("other-hash-of-a-password")),
                    cell("Explanation", Some("<b>x</b>"), None),
                ],
            ),
            difference("tblClaim", DifferenceKind::Missing, &[("ClaimID", "13")], Vec::new()),
            difference("tblClaim", DifferenceKind::Extra, &[("ClaimID", "99")], Vec::new()),
            Difference {
                explained: Some("rejected".into()),
                why: Some("it names no row of tblICDCodes".into()),
                ..difference("tblClaim", DifferenceKind::Missing, &[("ClaimID", "14")], Vec::new())
            },
        ],
        shape: Vec::new(),
        notes: vec!["tblLogins.At: the seventh digit of a second was not compared".into()],
    }
}

/// Two schemas with something of everything that can differ.
pub(crate) fn comparison() -> imis_schemas::compare::Comparison {
    use imis_schemas::{Catalog, compare};
    let text = |engine: &str, tables: &str, rest: &str| {
        Catalog::parse(&format!(r#"{{"imis": 1, "engine": "{engine}", "tables": [{tables}]{rest}}}"#)).unwrap()
    };
    let table = |name: &str, columns: &str, keys: &str| {
        format!(r#"{{"schema": "dbo", "name": "{name}", "columns": [{columns}]{keys}}}"#)
    };
    let id = r#"{"name": "UserID", "type": "int", "nullable": false, "identity": true}"#;
    let a = text(
        "mssql",
        &[
            table("tblClaim", r#"{"name": "ClaimID", "type": "int", "nullable": false},
                {"name": "DateFrom", "type": "smalldatetime", "nullable": false, "default": "(getdate())"},
                {"name": "Lost", "type": "nvarchar(20)", "nullable": true}"#,
                r#", "primary_key": {"columns": ["ClaimID"]}, "foreign_keys": [{"name": "FK_a_rather_long_name_of_a_key",
                "columns": ["ClaimID"], "references": {"schema": "dbo", "name": "tblUsers"}, "referenced_columns": ["UserID"],
                "trusted": false}], "indexes": []"#),
            table("tblGone", r#"{"name": "a", "type": "int", "nullable": true}"#, ""),
            table("tblUsers", id, r#", "primary_key": {"columns": ["UserID"]}, "checks": [{"name": "CK_1", "definition": "([UserID]>(0))"}]"#),
        ]
        .join(","),
        r#", "views": [{"schema": "dbo", "name": "uvwOld"}], "routines": [{"schema": "dbo", "name": "uspX", "kind": "procedure",
            "definition": "create procedure uspX as\n\tbegin\nselect 1\nend"}], "types": [], "notes": ["Not known: something."]"#,
    );
    let b = text(
        "mssql",
        &[
            table("tblClaim", r#"{"name": "ClaimID", "type": "int", "nullable": true},
                {"name": "DateFrom", "type": "date", "nullable": false}, {"name": "JsonExt", "type": "nvarchar(max)", "nullable": true}"#,
                r#", "primary_key": null, "foreign_keys": [{"name": "FK_1", "columns": ["ClaimID"], "references": {"schema": "dbo",
                "name": "tblUsers"}, "referenced_columns": ["id"]}]"#),
            table("core_User", r#"{"name": "b", "type": "int", "nullable": true}"#, ""),
            table("tblUsers", &id.replace("UserID", "id").replace("\"int\"", "\"bigint\""),
                r#", "primary_key": {"columns": ["id"]}, "checks": []"#),
        ]
        .join(","),
        r#", "views": [], "routines": [{"schema": "dbo", "name": "uspX", "kind": "procedure",
            "definition": "create procedure uspX as\n\tbegin\nselect 2\nend"}],
            "types": [{"schema": "dbo", "name": "xFamily", "base": "nvarchar(12)"}]"#,
    );
    compare::compare(("release:legacy/old", &a), ("mssql://server/IMIS", &b), &compare::Filter::default())
}
