//! `imis generate`, into every kind of place.

use std::collections::BTreeSet;

use imis_fixtures::postgres::Cluster;

use crate::checks::violations;
use crate::harness::{Desk, number};

#[test]
fn folders_are_filled_and_never_written_over() {
    let desk = Desk::new();
    let said = desk.imis(&["generate", "-o", "country", "--families", "30", "--defects", "I1=3,X8=50%"]).done();
    assert!(said.stderr.contains("65 tables") && said.stderr.contains("I1.number: 6 rows"), "{}", said.stderr);
    let truth = std::fs::read_to_string(desk.path().join("country/truth.csv")).unwrap();
    assert_eq!(truth.matches("I1,I1.number,tblInsuree,").count(), 6);
    desk.imis(&["generate", "-o", "country", "--families", "30"]).failed(2, "not empty", &[]);
    desk.imis(&["generate", "-o", "sql", "--families", "10", "--format", "scripts", "--customised", "gambia"]).done();
    assert!(desk.path().join("sql/100_dbo.tblPaypoints.sql").exists());
    let seen = desk.imis(&["introspect", "country"]).done();
    assert!(seen.stdout.contains("tblClaim"));
    desk.imis(&["generate", "--pictures", "pictures", "--families", "50"]).done();
    assert!(std::fs::read_to_string(desk.path().join("pictures/ages.svg")).unwrap().contains("<svg"));
    assert!(desk.imis(&["generate", "--list", "defects"]).done().stdout.contains("I1.number"));
}

#[test]
fn what_cannot_be_made_is_wrong_usage() {
    let desk = Desk::new();
    let cases: [(&[&str], &str); 10] = [
        (&["--defects", "I1=1.5"], "from 0 to 1"),
        (&["--defects", "I111=1"], "did you mean"),
        (&["--defects", "X13=1"], "no generators"),
        (&["--preset", "riverlad"], "did you mean `riverland`?"),
        (&["--release", "24.4"], "did you mean `legacy/24.04`?"),
        (&["--customised", "nepal"], "nepal-hib"),
        (&["--claims-per-insuree", "400"], "choose 0 to 365"),
        (&["--families", "3"], "choose 10 to 2,000,000"),
        (&["--years", "50"], "choose 2 to 20"),
        (&["--parameters", "mine.yaml"], "without a facility"),
    ];
    desk.write("mine.yaml", "facilities: { per-hundred-wards: 0 }\n");
    for (options, word) in cases {
        let arguments: Vec<&str> = ["generate", "-o", "never"].iter().chain(options).copied().collect();
        desk.imis(&arguments).failed(2, word, &[]);
    }
    assert!(!desk.path().join("never").exists());
}

/// How many generators stand below the highest key of their table.
const LOW_GENERATORS: &str = "SELECT count(*) FROM pg_class t JOIN pg_attribute a ON a.attrelid = t.oid JOIN pg_attrdef d ON d.adrelid = t.oid AND d.adnum = a.attnum
    CROSS JOIN LATERAL (SELECT substring(pg_get_expr(d.adbin, t.oid) FROM 'nextval\\(''(.*)''::regclass\\)') name) s
    CROSS JOIN LATERAL (SELECT (xpath('//v/text()', query_to_xml(format('SELECT max(%I) v FROM %s', a.attname, t.oid::regclass), true, true, '')))[1]::text::bigint highest) m
    CROSS JOIN LATERAL (SELECT last_value FROM pg_sequences q WHERE format('%I', q.sequencename) = s.name OR format('%I.%I', q.schemaname, q.sequencename) = s.name) q
    WHERE t.relnamespace = 'public'::regnamespace AND s.name IS NOT NULL AND q.last_value < m.highest";

/// The same as `imis check` finds them, by table and column.
fn low_generators_by_check(desk: &Desk, url: &str, name: &str) -> BTreeSet<(String, String)> {
    let report = format!("checked-{name}");
    let check = ["check", url, "--pack", "openimis/migration", "--only", "X13", "--fail-on", "never", "--report"];
    desk.imis(&[&check[..], &[&report]].concat()).done();
    violations(&desk.path().join(report)).remove("X13").unwrap_or_default()
}

/// The same as they were planted.
fn low_generators_by_truth(desk: &Desk, name: &str) -> BTreeSet<(String, String)> {
    let truth = std::fs::read_to_string(desk.path().join(name).join("truth.csv")).unwrap_or_default();
    let planted = truth.lines().filter(|line| line.starts_with("X13,"));
    let place = |line: &str| match line.split(',').collect::<Vec<_>>()[..] {
        [_, _, table, "", column] => (table.to_lowercase(), column.to_owned()),
        _ => panic!("{line}"),
    };
    planted.map(place).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_hold_in_the_tables_from_which_django_starts() {
    let (desk, cluster) = (Desk::new(), Cluster::shared());
    for (name, defects, low) in [("made", "", 0), ("made_low", "X13=20", 20)] {
        cluster.create_database(name).await.unwrap();
        let url = cluster.url(name);
        let said =
            desk.imis(&["generate", "-o", &url, "--families", "1000", "--defects", defects, "--truth", name]).done();
        assert!(said.stderr.contains("65 tables"), "{}", said.stderr);
        let families = number(name, r#"SELECT count(*) FROM "tblFamilies" WHERE "ValidityTo" IS NULL"#).await;
        assert_eq!(families, 1000);
        let unchecked = "SELECT count(*) FROM pg_constraint WHERE contype = 'f' AND NOT convalidated";
        assert_eq!(number(name, unchecked).await, 0);
        let keys = number(name, "SELECT count(*) FROM pg_constraint WHERE contype = 'f'").await;
        assert!(keys > 80, "{keys}");
        assert_eq!(number(name, LOW_GENERATORS).await, low, "{name}");
        assert_eq!(low_generators_by_check(&desk, &url, name), low_generators_by_truth(&desk, name), "{name}");
        desk.imis(&["generate", "-o", &url, "--families", "10"]).failed(2, "holds rows", &[]);
    }
    // What a key refuses is known before, with the reason.
    let url = cluster.url("made");
    desk.imis(&["generate", "-o", &url, "--defects", "P11.policy=1", "--truth", "t"]).failed(
        2,
        "a foreign key refuses it",
        &[],
    );
    // Codes that are longer than the tables take leave nothing behind.
    cluster.create_database("made_long").await.unwrap();
    let url = cluster.url("made_long");
    let long = ["generate", "-o", &url, "--families", "50", "--customised", "nepal-hib"];
    desk.imis(&long).failed(3, "write a snapshot or scripts", &[]);
    assert_eq!(number("made_long", r#"SELECT count(*) FROM "tblLocations""#).await, 0);
}

/// The first releases have no UUIDs and no register of genders: the tables want both. What has no place is told.
#[tokio::test]
async fn any_release_and_any_country_goes_into_the_tables_from_which_django_starts() {
    let (desk, cluster) = (Desk::new(), Cluster::shared());
    cluster.create_database("made_template").await.unwrap();
    desk.imis(&["prepare", &cluster.url("made_template")]).done();
    let into = |options: &[&str], name: &str| {
        let url = cluster.url(name);
        let all = [&["generate", "-o", &url, "--families", "12"], options].concat();
        desk.imis(&all).done().stderr
    };
    let cases: [(&[&str], &str); 6] = [
        (&["--release", "18.0.0"], "tblIMISDetaulsPhone"),
        (&["--release", "1.3.0"], "rows"),
        (&["--release", "legacy/1.5.1"], "OverviewCommissionReport"),
        (&["--release", "release:legacy/23.10"], "rows"),
        (&["--customised", "gambia"], "tblPaypoints"),
        (&["--preset", "coast"], "rows"),
    ];
    for (nth, (options, word)) in cases.into_iter().enumerate() {
        let name = format!("made_old_{nth}");
        cluster.create_database_from("made_template", &name).await.unwrap();
        let said = into(options, &name);
        assert!(said.contains(word), "{options:?}: {said}");
        let uuids = r#"SELECT count(DISTINCT "InsureeUUID") - count(*) FROM "tblInsuree" HAVING count(*) > 12"#;
        assert_eq!(number(&name, uuids).await, 0, "{options:?}");
    }
}
