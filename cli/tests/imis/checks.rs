//! `imis check`: what was planted is found, what is clean is clean, on every kind of database; and what the command says.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use arrow::array::{Array, AsArray};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use imis_fixtures::country::{
    Country, CountryError, CountryParameters, Defect, DefectError, NoneAs, Place, Society, defects, preset_names,
};
use imis_fixtures::postgres::Cluster;
use imis_fixtures::sqlserver::{Options, SqlServer, Tables};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::Value;

use crate::harness::Desk;

const ALL: &str = "openimis/core,openimis/migration,openimis/fhir-r4,openimis/dci";
const AS_OF: &str = "2026-01-31";

/// Rows by check: table, key, and the column where no row is meant.
pub(crate) type Found = BTreeMap<String, BTreeSet<(String, String)>>;

/// What a file of violations holds.
pub(crate) fn violations(report: &Path) -> Found {
    let file = std::fs::File::open(report.join("violations.parquet")).unwrap();
    let mut found = Found::new();
    for batch in ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap() {
        let batch = batch.unwrap();
        let column = |name: &str| cast(batch.column_by_name(name).unwrap(), &DataType::Utf8).unwrap();
        let (check, table, key, of) = (column("check"), column("table"), column("key"), column("column"));
        let cell = |array: &arrow::array::ArrayRef, row: usize| {
            let texts = array.as_string::<i32>();
            if texts.is_null(row) { String::new() } else { texts.value(row).to_owned() }
        };
        for row in 0..batch.num_rows() {
            let key = match cell(&key, row) {
                // A table or a column as a whole.
                key if key.is_empty() => cell(&of, row),
                key => key,
            };
            found.entry(cell(&check, row)).or_default().insert((cell(&table, row).to_lowercase(), key));
        }
    }
    found
}

fn parameters() -> CountryParameters {
    CountryParameters { families: 900, seed: 11, none_as: NoneAs::Null, ..Default::default() }
}

/// Runs all packs over a snapshot; gives what was found and the summary.
fn checked(desk: &Desk, location: &str, packs: &str, report: &str) -> (Found, Value) {
    let arguments = ["check", location, "--pack", packs, "--as-of", AS_OF, "--fail-on", "never"];
    let more = ["--report", report, "--show-values", "--json"];
    let said = desk.imis(&[&arguments[..], &more[..]].concat()).done();
    (violations(&desk.path().join(report)), said.json())
}

/// Defects that can be planted together, so that none breaks the rule of another.
fn groups() -> Vec<Vec<&'static Defect>> {
    // Every foreign key of a country with any defect is untrusted; what a key would refuse breaks X2, too.
    let also = |defect: &'static Defect| {
        let refused = defect.doc.contains("refuses") || defect.rule == "I12";
        defect.also.iter().copied().chain(refused.then_some("X2"))
    };
    let mut groups: Vec<Vec<&'static Defect>> = Vec::new();
    for defect in defects().filter(|d| d.impossible_in(Place::Snapshot).is_none() && d.rule != "I16") {
        let clash = |other: &&'static Defect| {
            also(defect).any(|rule| rule == other.rule) || also(other).any(|rule| rule == defect.rule)
        };
        match groups.iter_mut().find(|group| !group.iter().any(clash)) {
            Some(group) => group.push(defect),
            None => groups.push(vec![defect]),
        }
    }
    groups
}

/// A country with each of these defects three times, or as often as there are places for it.
fn struck(group: &[&'static Defect]) -> Country {
    let mut wanted: BTreeMap<String, u32> = group.iter().map(|d| (d.id(), 3)).collect();
    wanted.entry("X3.usage".to_owned()).and_modify(|often| *often = 1);
    loop {
        let requests = wanted.iter().map(|(id, often)| format!("{id}={often}").parse().unwrap()).collect();
        match Country::new(CountryParameters { defects: requests, ..parameters() }) {
            Ok(country) => return country,
            Err(CountryError::Defect(DefectError::TooMany { name, found, .. })) if found > 0 => {
                wanted.insert(name, found);
            }
            Err(error) => panic!("{error}"),
        }
    }
}

#[test]
fn exactly_the_planted_rows_are_found() {
    let desk = Desk::new();
    let mut rules = BTreeSet::new();
    let mut wrong = Vec::new();
    for (at, group) in groups().iter().enumerate() {
        let country = struck(group);
        let folder = format!("country-{at}");
        country.write_snapshot(&desk.path().join(&folder), 2, &|_| {}).unwrap();
        let (found, summary) = checked(&desk, &folder, ALL, &format!("report-{at}"));
        let mut told = Found::new();
        for truth in country.truth() {
            let key = if truth.key.is_empty() { truth.column } else { truth.key };
            told.entry(truth.rule.to_owned()).or_default().insert((truth.table.to_lowercase(), key));
        }
        let follows: BTreeSet<&str> = group.iter().flat_map(|d| d.also.iter().copied()).chain(["X2"]).collect();
        for (rule, rows) in &found {
            let empty = BTreeSet::new();
            let told = told.get(rule).unwrap_or(&empty);
            let missing: Vec<_> = told.difference(rows).take(3).collect();
            let more: Vec<_> = rows.difference(told).take(3).collect();
            if !missing.is_empty() || !(more.is_empty() || follows.contains(rule.as_str())) {
                wrong.push(format!("{rule}: not found {missing:?}, found besides {more:?}"));
            }
        }
        for (rule, rows) in &told {
            rules.insert(rule.clone());
            assert!(!rows.is_empty(), "{rule}");
            if !found.contains_key(rule) {
                wrong.push(format!("{rule}: nothing of {rows:?} is found"));
            }
        }
        let errored: Vec<_> =
            summary["checks"].as_array().unwrap().iter().filter(|check| check["status"] == "errored").collect();
        assert!(errored.is_empty(), "{errored:?}");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    // Every check of every pack was put to the test. The generators of PostgreSQL are in `generate`.
    let listed = desk.imis(&["check", "list", "--pack", ALL, "--json"]).done().json();
    let listed: BTreeSet<String> =
        listed.as_array().unwrap().iter().map(|check| check["id"].as_str().unwrap().to_owned()).collect();
    let untested: Vec<_> = listed.difference(&rules).collect();
    assert_eq!(untested, ["X13"], "checks that no defect breaks");
}

#[test]
fn a_clean_country_has_no_finding_and_says_so() {
    let desk = Desk::new();
    for preset in preset_names() {
        let society = Society { none_as: NoneAs::Null, departures: false, ..Society::preset(preset).unwrap() };
        let number = society.number.clone();
        let country = Country::new(CountryParameters { society, families: 150, ..parameters() }).unwrap();
        country.write_snapshot(&desk.path().join(preset), 2, &|_| {}).unwrap();
        // What a country says of its insurance numbers: as many digits, and one more to check them.
        let text = format!("{number:?}");
        let digits: u32 = text.split("digits: ").nth(1).unwrap().split([',', ' ']).next().unwrap().parse().unwrap();
        let check = if text.contains("Luhn") { "luhn" } else { "modulo-7" };
        let overlay = format!(
            "pack: test/{preset}\nextends: [{ALL}]\nparameters:\n  insurance_number_length: {}\n  insurance_number_check: {check}\n",
            digits + 1
        );
        desk.write(&format!("{preset}.yaml"), &overlay);
        let (found, summary) = checked(&desk, preset, &format!("{preset}.yaml"), &format!("report-{preset}"));
        // An insurance number of twelve digits is sound, and one of more than twelve is not for FHIR.
        assert!(found.is_empty(), "{preset}: {:?}", found.iter().map(|(k, v)| (k, v.first())).collect::<Vec<_>>());
        let statuses: BTreeSet<&str> =
            summary["checks"].as_array().unwrap().iter().map(|check| check["status"].as_str().unwrap()).collect();
        assert_eq!(statuses, BTreeSet::from(["not-applicable", "passed"]), "{preset}");
    }
}

/// A part's count, by the check and words of the part's title, or by its table.
fn count(summary: &Value, id: &str, table: &str, words: &str) -> u64 {
    let checks = summary["checks"].as_array().unwrap();
    let check = checks.iter().find(|check| check["id"] == id).unwrap_or_else(|| panic!("{id} was not run"));
    let parts =
        check["parts"].as_array().unwrap().iter().filter(|part| {
            part["table"].as_str().unwrap().eq_ignore_ascii_case(table) && part.to_string().contains(words)
        });
    parts.map(|part| part["violations"].as_u64().unwrap()).sum()
}

/// The official demo's known findings: check, table, words, and how many rows.
const DEMO: &[(&str, &str, &str, u64)] = &[
    ("X8", "tblClaim", "", 25),
    ("X9", "tblInsuree", "", 108),
    ("X7", "tblFamilies", "old version", 5),
    ("V7", "tblClaim", "InsureeID", 1),
    ("C8", "tblClaim", "without a reason", 1),
    ("I13", "tblInsuree", "", 31),
    ("V9", "tblInsuree", "", 6),
    ("V2", "tblInsuree", "", 9),
];

/// What the mapping does not keep: sentinels become NULL.
const MENDED: [&str; 2] = ["X8", "X9"];

#[tokio::test]
async fn the_official_demo_has_its_known_findings_wherever_it_lies() {
    let Some(shared) = imis_fixtures::backend::shared_folder() else { return };
    let tables = Tables::csv(imis_schemas::release("legacy/24.04").unwrap(), &shared.join("demo")).unwrap();
    let server = SqlServer::start(Options::new(tables, "loopback-7Kq")).unwrap();
    let url = format!("mssql://sa@127.0.0.1:{}/IMIS?encrypt=off", server.port());
    let desk = Desk::new().with("IMIS_MSSQL_PASSWORD", "loopback-7Kq");
    desk.imis(&["snapshot", &url, "-o", "snapshot"]).done();
    let Some(database) = crate::harness::migrated(crate::harness::Target::Wide, "checks_demo").await else { return };
    let target = Cluster::shared().url(&database);
    desk.imis(&["migrate", "--from", &url, "--to", &target]).done();
    let (served, summary) = checked(&desk, &url, "openimis/core,openimis/migration", "served");
    let (kept, same) = checked(&desk, "snapshot", "openimis/core,openimis/migration", "kept");
    assert_eq!(served, kept, "the server and its snapshot");
    let counts = |summary: &Value| -> Vec<(Value, Value, Value)> {
        let checks = summary["checks"].as_array().unwrap().iter();
        checks.map(|c| (c["id"].clone(), c["violations"].clone(), c["rows"].clone())).collect()
    };
    assert_eq!(counts(&summary), counts(&same));
    let (_, migrated) = checked(&desk, &target, "openimis/core,openimis/migration", "migrated");
    for (id, table, words, rows) in DEMO {
        assert_eq!(count(&summary, id, table, words), *rows, "{id} of the server");
        let expected = if MENDED.contains(id) { 0 } else { *rows };
        assert_eq!(count(&migrated, id, table, words), expected, "{id} after the migration");
    }
    // Every row of the server is read once, whatever is asked of it.
    let read: u64 = summary["tables"].as_array().unwrap().iter().map(|table| table["rows"].as_u64().unwrap()).sum();
    assert!(read <= 5_948, "{read}");
}

#[test]
fn what_is_wrong_with_a_pack_is_shown_with_its_line_and_stops_nothing_else() {
    let desk = Desk::new();
    let country = Country::new(CountryParameters { families: 20, ..parameters() }).unwrap();
    country.write_snapshot(&desk.path().join("country"), 2, &|_| {}).unwrap();
    let pack = |body: &str| {
        format!(
            "pack: test/one\nchecks:\n  - id: T1\n    title: one\n    severity: error\n    table: tblInsuree\n{body}"
        )
    };
    let sound = "  - id: T2\n    title: two\n    severity: error\n    table: tblInsuree\n    row: IsHead\n";
    // In the pack as such: nothing is run.
    for (body, line, says) in [
        ("    uniqe: [CHFID]\n", ":7:", "unique"),
        ("    unique: [CHFID]\n    row: IsHead\n", "", "two kinds"),
        ("    where: ValidityTo is null\n", "", "nothing says what is looked for"),
        ("    similar: [LastName]\n", "", "similar"),
        ("    one-of: { column: Marital, values: [S], nul: refused }\n", ":7:", "null"),
    ] {
        desk.write("pack.yaml", &pack(body));
        let said = desk.imis(&["check", "country", "--pack", "pack.yaml"]).failed(4, says, &[]);
        assert!(said.stderr.contains("pack.yaml") || line.is_empty(), "{}", said.stderr);
    }
    // In one check: it is errored, shown with its line, and the other one is carried out.
    for (body, says) in [
        ("    row: CHFIDD <> ''\n", "Did you mean `CHFID`?"),
        ("    row: CHFID > 5\n", "would silently become"),
        ("    row: FamilyID\n", "must be true or false"),
        ("    row: FamilyID / 0 > 1\n", "divides by zero"),
        ("    row: FamilyID / (InsureeID - InsureeID) > 1\n", "divides by zero"),
        ("    row: FamilyID > ${oldest}\n", "there is no parameter called `oldest`"),
        ("    matches: { column: CHFID, pattern: \"[0-9\" }\n", "the pattern cannot be read"),
        ("    references: { column: HFID, to: tblHFF.HFID }\n", "tblHF"),
        ("    references: { column: CHFID, to: tblHF.HFID }\n", "is text"),
        ("    query: select InsureeID from tblInsure\n", "tblInsuree"),
        ("    query: select CHFID from tblInsuree\n", "does not give `insureeid`"),
        ("    query: select InsureeID from tblInsuree where CHFIDD is null\n", "Did you mean `CHFID`?"),
        ("    query: selct InsureeID from tblInsuree\n", "cannot be read"),
        (
            "    query: select InsureeID from tblInsuree where InsureeID / (FamilyID - FamilyID) > 1\n",
            "could not be carried out",
        ),
    ] {
        desk.write("pack.yaml", &(pack(body) + sound));
        let said = desk.imis(&["check", "country", "--pack", "pack.yaml", "--as-of", AS_OF, "--json"]);
        let said = said.failed(4, says, &[]);
        assert!(said.stderr.contains("pack.yaml:7"), "{body}: {}", said.stderr);
        let summary: Value = serde_json::from_str(&said.stdout).unwrap();
        let statuses: Vec<_> =
            summary["checks"].as_array().unwrap().iter().map(|c| c["status"].as_str().unwrap()).collect();
        assert_eq!(statuses, ["errored", "failed"], "{body}");
    }
    // What another release has, and this database has not, is not applicable.
    let older =
        Country::new(CountryParameters { families: 20, release: "legacy/1.2.0".into(), ..parameters() }).unwrap();
    older.write_snapshot(&desk.path().join("older"), 2, &|_| {}).unwrap();
    desk.write("pack.yaml", &pack("    unique: [InsureeUUID]\n"));
    let summary = desk.imis(&["check", "older", "--pack", "pack.yaml", "--json"]).done().json();
    assert_eq!(summary["checks"][0]["status"], "not-applicable");
    // Words of the command line.
    desk.imis(&["check", "country", "--only", "I99"]).failed(2, "no check and no tag is called `I99`", &[]);
    desk.imis(&["check", "country", "--pack", "openimis/cor"]).failed(4, "openimis/core", &[]);
    desk.imis(&["check", "explain", "I555"]).failed(2, "no check is called", &[]);
    desk.imis(&["check"]).failed(2, "LOCATION", &[]);
}

#[test]
fn a_country_has_its_own_rules_and_the_run_its_exit_code() {
    let desk = Desk::new();
    let requests = ["I13=4", "I1=2"].map(|r| r.parse().unwrap()).to_vec();
    let country = Country::new(CountryParameters { families: 60, defects: requests, ..parameters() }).unwrap();
    country.write_snapshot(&desk.path().join("country"), 2, &|_| {}).unwrap();
    let check = |more: &[&str]| desk.imis(&[&["check", "country", "--as-of", AS_OF], more].concat());
    assert_eq!(check(&["--only", "I1,I13"]).code, 3);
    assert_eq!(check(&["--only", "I13"]).code, 0, "a warning is no error");
    assert_eq!(check(&["--only", "I13", "--fail-on", "warning"]).code, 3);
    assert_eq!(check(&["--only", "I1", "--fail-on", "never"]).code, 0);
    assert_eq!(check(&["--only", "insurees", "--skip", "I1"]).code, 0);
    desk.write(
        "own.yaml",
        "pack: test/own\nextends: openimis/core\nparameters: { oldest_birthday: 2020-01-01 }\noff: { I1: \"being mended\" }\n\
         checks:\n  - { id: I13, severity: error }\n  - { id: OWN1, title: nobody is called so, severity: info, table: tblInsuree, where: \"ValidityTo is null\", row: \"LastName <> ''\" }\n",
    );
    let said = check(&["--pack", "own.yaml", "--json"]);
    assert_eq!(said.code, 3);
    let summary = said.json();
    let of = |id: &str| summary["checks"].as_array().unwrap().iter().find(|c| c["id"] == id).cloned();
    assert!(of("I1").is_none() && summary["off"][0]["id"] == "I1", "{}", summary["off"]);
    assert_eq!(of("I13").unwrap()["severity"], "error");
    assert_eq!(of("OWN1").unwrap()["status"], "passed");
    assert!(of("I9").unwrap()["violations"].as_u64() > Some(50), "born before 2020");
    desk.write("own.yaml", "pack: test/own\nextends: openimis/core\noff: { I111: \"no\" }\n");
    check(&["--pack", "own.yaml"]).failed(4, "Did you mean", &[]);
}

#[test]
fn two_runs_are_compared() {
    let desk = Desk::new();
    let made = |name: &str, defects: &[&str]| {
        let defects = defects.iter().map(|d| d.parse().unwrap()).collect();
        let country = Country::new(CountryParameters { families: 200, defects, ..parameters() }).unwrap();
        country.write_snapshot(&desk.path().join(name), 2, &|_| {}).unwrap();
        country.truth().into_iter().map(|t| (t.rule.to_owned(), t.key)).collect::<BTreeSet<_>>()
    };
    let before = made("country", &["I13=6", "I7=3"]);
    let check = |more: &[&str]| {
        desk.imis(&[&["check", "country", "--as-of", AS_OF, "--fail-on", "never", "--json"], more].concat())
    };
    check(&["--report", "october"]).done();
    std::fs::remove_dir_all(desk.path().join("country")).unwrap();
    let after = made("country", &["I13=9"]);
    let summary = check(&["--report", "november", "--compare", "october"]).done().json();
    let text = summary["comparison"].to_string();
    let number = |name: &str| summary["comparison"]["total"][name].as_u64().or(summary["comparison"][name].as_u64());
    let rows = |rule: &str, all: &BTreeSet<(String, String)>| all.iter().filter(|(r, _)| r == rule).count() as u64;
    assert_eq!(number("gone"), Some(before.difference(&after).count() as u64), "{text}");
    assert_eq!(number("still"), Some(before.intersection(&after).count() as u64), "{text}");
    assert_eq!(number("new"), Some(rows("I13", &after) - before.intersection(&after).count() as u64), "{text}");
    assert!(desk.path().join("november/gone.parquet").exists());
    desk.imis(&["check", "country", "--compare", "country"]).failed(2, "country", &[]);
}
