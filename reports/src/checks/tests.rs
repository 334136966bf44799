//! Violations as they are written, masked, read back and compared.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::Int64Type;
use imis_checks::outcome::{About, Findings, Kahn, Outcome, Severity, Status, Violations};
use imis_databases::ErrorKind;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::*;
use crate::mask::Values;
use crate::sample_checks::{self, about, part, result};

/// A violation: key, its number, value.
type Row<'a> = (Option<&'a str>, Option<i64>, Option<&'a str>);

fn batch(rows: &[Row<'_>]) -> RecordBatch {
    let keys: StringArray = rows.iter().map(|row| row.0).collect();
    let numbers: Int64Array = rows.iter().map(|row| row.1).collect();
    let values: StringArray = rows.iter().map(|row| row.2).collect();
    let columns: [(&str, ArrayRef); 3] =
        [("key", Arc::new(keys)), ("key_number", Arc::new(numbers)), ("value", Arc::new(values))];
    RecordBatch::try_from_iter_with_nullable(columns.map(|(name, array)| (name, array, true))).unwrap()
}

fn schema_batch(rows: &[(&str, Option<&str>)]) -> RecordBatch {
    let tables: StringArray = rows.iter().map(|row| Some(row.0)).collect();
    let columns: StringArray = rows.iter().map(|row| row.1).collect();
    let columns: [(&str, ArrayRef); 2] = [("table_name", Arc::new(tables)), ("column_name", Arc::new(columns))];
    RecordBatch::try_from_iter_with_nullable(columns.map(|(name, array)| (name, array, true))).unwrap()
}

/// A part of a check with its violations, as an engine gives them.
struct Found {
    about: About,
    what: &'static str,
    table: &'static str,
    key_columns: Vec<String>,
    column: &'static str,
    rows: RecordBatch,
}

fn found(id: &str, table: &'static str, key: &[&str], column: &'static str, rows: &[Row<'_>]) -> Found {
    Found {
        about: about(id, "title", Severity::Error, Kahn::Conformance),
        what: "",
        table,
        key_columns: key.iter().map(|name| (*name).to_owned()).collect(),
        column,
        rows: batch(rows),
    }
}

/// The outcome that belongs to what was found; checks named in `clean` passed.
fn outcome(run: &str, all: &[Found], clean: &[(&str, &str)]) -> Outcome {
    let mut outcome = sample_checks::outcome();
    outcome.run = run.to_owned();
    outcome.results.clear();
    for of in all {
        let broken = part(of.what, of.table, of.column, Severity::Error, (of.rows.num_rows() as u64, None));
        match outcome.results.iter_mut().find(|result| result.about.id == of.about.id) {
            Some(known) => {
                *known = result(known.about.clone(), [known.parts.clone(), vec![broken]].concat(), Vec::new())
            }
            None => outcome.results.push(result(of.about.clone(), vec![broken], Vec::new())),
        }
    }
    for (id, table) in clean {
        let passed = part("", table, "", Severity::Error, (0, None));
        outcome.results.push(result(about(id, "title", Severity::Error, Kahn::Conformance), vec![passed], Vec::new()));
    }
    outcome
}

/// Writes a run's report: what was found, the outcome, the rest of the folder.
fn run(folder: &Path, all: &[Found], outcome: &Outcome, values: Values, previous: Option<Previous>) -> Finished {
    let mut file = ViolationsFile::create(folder, values, previous).unwrap();
    for of in all {
        let Found { about, what, table, key_columns, column, rows } = of;
        let severity = Severity::Error;
        file.take(&Violations { about, severity, what, table, key_columns, column, rows }).unwrap();
    }
    let finished = file.finish(outcome).unwrap();
    crate::write_checks(folder, outcome, finished.comparison.as_ref(), values, Some(Severity::Error)).unwrap();
    finished
}

/// The rows of a file, columns joined by a bar.
fn rows(path: &Path, columns: &[&str]) -> Vec<String> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(fs::File::open(path).unwrap()).unwrap().build().unwrap();
    let mut lines = Vec::new();
    for batch in reader.map(Result::unwrap) {
        for row in 0..batch.num_rows() {
            let cell = |name: &&str| {
                let column = batch.column_by_name(name).unwrap();
                match column.is_null(row) {
                    true => "-".to_owned(),
                    false => match column.as_primitive_opt::<Int64Type>() {
                        Some(numbers) => numbers.value(row).to_string(),
                        None => column.as_string::<i32>().value(row).to_owned(),
                    },
                }
            };
            lines.push(columns.iter().map(cell).collect::<Vec<_>>().join("|"));
        }
    }
    lines
}

const ALL: [&str; 11] =
    ["check", "pack", "severity", "table", "column", "key_column", "key", "key_number", "value", "what", "state"];

fn planted() -> Vec<Found> {
    let two = r#"{"RoleID":3,"Code":"planted-code"}"#;
    vec![
        found(
            "I1",
            "tblInsuree",
            &["InsureeID"],
            "CHFID",
            &[(Some("12"), Some(12), Some("070707070")), (Some("13"), Some(13), None)],
        ),
        found("C7", "tblICDCodes", &["ICDCode"], "ICDCode", &[(Some("A00.1"), None, Some("A00.1"))]),
        found("N1", "tblCards", &["CardNumber"], "", &[(Some("987654321"), Some(987_654_321), None)]),
        found("R1", "tblRoles", &["RoleID", "Code"], "", &[(Some(two), None, None)]),
        found("U2", "tblUsers", &["UserID"], "StoredPassword", &[(Some("7"), Some(7), Some("hash-of-a-password"))]),
        found("U9", "tblKeys", &["ApiKey"], "", &[(Some("4711"), Some(4711), None)]),
        found("K1", "tblNoKey", &[], "Name", &[(None, None, Some("Amina"))]),
        Found {
            rows: schema_batch(&[("tblInsuree", Some("Extra")), ("tblCountry", None)]),
            ..found("X15", "imis.unknown", &[], "", &[])
        },
    ]
}

#[test]
fn violations_come_back_masked() {
    let folder = tempfile::tempdir().unwrap();
    let all = planted();
    let outcome = outcome("run-1", &all, &[]);
    let finished = run(folder.path(), &all, &outcome, Values::Masked, None);
    assert_eq!((finished.rows, finished.comparison.is_none()), (10, true));
    let lines = rows(&folder.path().join("violations.parquet"), &ALL);
    assert_eq!(
        lines,
        [
            "I1|openimis/core|error|tblInsuree|CHFID|InsureeID|12|12|***|-|-",
            "I1|openimis/core|error|tblInsuree|CHFID|InsureeID|13|13|-|-|-",
            "C7|openimis/core|error|tblICDCodes|ICDCode|ICDCode|***|-|***|-|-",
            "N1|openimis/core|error|tblCards|-|CardNumber|***|-|-|-|-",
            r#"R1|openimis/core|error|tblRoles|-|RoleID, Code|{"RoleID":3,"Code":"***"}|-|-|-|-"#,
            "U2|openimis/core|error|tblUsers|StoredPassword|UserID|7|7|***|-|-",
            "U9|openimis/core|error|tblKeys|-|ApiKey|***|-|-|-|-",
            "K1|openimis/core|error|tblNoKey|Name|-|-|-|***|-|-",
            "X15|openimis/core|error|tblInsuree|Extra|-|-|-|-|-|-",
            "X15|openimis/core|error|tblCountry|-|-|-|-|-|-|-",
        ]
    );
    let shown = tempfile::tempdir().unwrap();
    run(shown.path(), &all, &outcome, Values::Shown, None);
    let lines = rows(&shown.path().join("violations.parquet"), &["check", "key", "key_number", "value"]);
    assert_eq!(lines[0], "I1|12|12|070707070");
    assert_eq!(lines[3], "N1|987654321|987654321|-");
    assert_eq!(lines[5], "U2|7|7|***", "secrets are never shown");
    assert_eq!(lines[6], "U9|***|-|-", "secrets are never shown");
    assert_eq!(lines[7], "K1|-|-|Amina");
}

#[test]
fn a_folder_of_checks_is_private_and_nothing_of_a_failed_run_stays() {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("report");
    let begun = ViolationsFile::create(&folder, Values::Masked, None).unwrap();
    assert!(folder.join("violations.parquet.new").exists());
    drop(begun);
    assert!(!folder.exists(), "the folder that was made goes too");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("gone.parquet"), "of an earlier run").unwrap();
    drop(ViolationsFile::create(&folder, Values::Masked, None).unwrap());
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 1, "what was there stays");
    let all = planted();
    run(&folder, &all, &outcome("run-1", &all, &[]), Values::Masked, None);
    let mut names: Vec<_> = fs::read_dir(&folder).unwrap().map(|e| e.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["index.html", "junit.xml", "sarif.json", "summary.json", "violations.parquet"]);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        for entry in fs::read_dir(&folder).unwrap() {
            assert_eq!(entry.unwrap().metadata().unwrap().permissions().mode() & 0o777, 0o600);
        }
        let fresh = parent.path().join("fresh");
        run(&fresh, &all, &outcome("run-1", &all, &[]), Values::Masked, None);
        assert_eq!(fs::metadata(&fresh).unwrap().permissions().mode() & 0o777, 0o700);
    }
}

#[test]
fn a_run_is_compared_with_the_one_before() {
    let parent = tempfile::tempdir().unwrap();
    let before = parent.path().join("before");
    let all = vec![
        found(
            "I1",
            "tblInsuree",
            &["InsureeID"],
            "CHFID",
            &[(Some("1"), Some(1), Some("a")), (Some("2"), Some(2), Some("b"))],
        ),
        found("C7", "tblICDCodes", &["ICDCode"], "", &[(Some("A"), None, None), (Some("B"), None, None)]),
        found("K1", "tblNoKey", &[], "Name", &[(None, None, Some("x")), (None, None, Some("y"))]),
        found("M1", "tblMended", &["Id"], "", &[(Some("9"), Some(9), None)]),
        found("E1", "tblErrored", &["Id"], "", &[(Some("9"), Some(9), None)]),
        found("O1", "tblOnce", &["Id"], "", &[(Some("9"), Some(9), None)]),
        Found {
            rows: schema_batch(&[("tblInsuree", Some("Extra")), ("tblCountry", None)]),
            ..found("X15", "imis.unknown", &[], "", &[])
        },
    ];
    run(&before, &all, &outcome("run-1", &all, &[("L1", "tblLocations")]), Values::Masked, None);

    let all = vec![
        found(
            "I1",
            "tblInsuree",
            &["InsureeID"],
            "CHFID",
            &[(Some("2"), Some(2), Some("b")), (Some("3"), Some(3), Some("c"))],
        ),
        found("C7", "tblICDCodes", &["ICDCode"], "", &[(Some("B"), None, None)]),
        found("K1", "tblNoKey", &[], "Name", &[(None, None, Some("x"))]),
        found("L1", "tblLocations", &["LocationId"], "", &[(Some("5"), Some(5), None)]),
        found("A1", "tblAdded", &["Id"], "", &[(Some("6"), Some(6), None)]),
        Found {
            rows: schema_batch(&[("tblInsuree", Some("Extra")), ("tblInsuree", Some("Other"))]),
            ..found("X15", "imis.unknown", &[], "", &[])
        },
    ];
    let mut now = outcome("run-2", &all, &[("M1", "tblMended"), ("E1", "tblErrored")]);
    let errored = now.results.last_mut().unwrap();
    (errored.status, errored.parts[0].status) = (Status::Errored, Status::Errored);
    // Into the folder of the run before: it is read before it is replaced.
    let previous = Previous::open(&before).unwrap();
    assert_eq!(previous.location(), now.location);
    now.location = "mssql://elsewhere/IMIS".into();
    let finished = run(&before, &all, &now, Values::Masked, Some(previous));
    let compared = finished.comparison.unwrap();
    let change = |id: &str| compared.of(id).unwrap().change;
    let none = Change::default();
    assert_eq!(change("I1"), Change { new: 1, still: 1, gone: 1, ..none });
    assert_eq!(change("C7"), Change { counted_before: 2, counted_now: 1, ..none });
    assert_eq!(change("K1"), Change { counted_before: 2, counted_now: 1, ..none });
    assert_eq!(change("L1"), Change { new: 1, ..none });
    assert_eq!(change("A1"), Change { only_now: 1, ..none });
    assert_eq!(change("M1"), Change { gone: 1, ..none });
    assert_eq!(change("E1"), Change { only_before: 1, ..none });
    assert_eq!(change("O1"), Change { only_before: 1, ..none });
    assert_eq!(change("X15"), Change { new: 1, still: 1, gone: 1, ..none });
    assert_eq!(compared.of("A1").unwrap().before, None);
    assert_eq!(compared.of("L1").unwrap().before, Some(Status::Passed));
    assert_eq!(
        compared.total,
        Change { new: 3, still: 2, gone: 3, counted_before: 4, counted_now: 2, only_before: 2, only_now: 1 }
    );
    assert_eq!(compared.notes.len(), 3, "{:?}", compared.notes);
    assert!(compared.notes[0].contains(&compared.location), "{:?}", compared.notes);
    let lines = rows(&before.join("violations.parquet"), &["check", "key", "state"]);
    assert_eq!(lines[..3], ["I1|2|still", "I1|3|new", "C7|***|-"]);
    let gone = rows(&before.join("gone.parquet"), &["check", "table", "column", "key", "state"]);
    assert_eq!(gone, ["I1|tblInsuree|CHFID|1|gone", "M1|tblMended|-|9|gone", "X15|tblCountry|-|-|gone"]);
    let summary: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(before.join("summary.json")).unwrap()).unwrap();
    assert_eq!(summary["comparison"]["total"]["gone"], 3);
}

#[test]
fn a_run_that_showed_its_values_tells_every_row_and_what_is_gone_is_masked_again() {
    let parent = tempfile::tempdir().unwrap();
    let before = parent.path().join("before");
    let all = planted();
    run(&before, &all, &outcome("run-1", &all, &[]), Values::Shown, None);
    let mut left = planted();
    left.remove(1);
    left.remove(1);
    let clean = [("C7", "tblICDCodes"), ("N1", "tblCards")];
    let now = outcome("run-2", &left, &clean);
    let finished = run(&parent.path().join("now"), &left, &now, Values::Masked, Some(Previous::open(&before).unwrap()));
    let compared = finished.comparison.unwrap();
    assert_eq!((compared.total.still, compared.total.gone, compared.total.new), (6, 2, 0));
    let gone = rows(&parent.path().join("now/gone.parquet"), &["check", "key", "key_number", "value"]);
    assert_eq!(gone, ["C7|***|-|***", "N1|***|-|-"]);
}

#[test]
fn a_run_before_that_goes_meanwhile_leaves_nothing_half() {
    let parent = tempfile::tempdir().unwrap();
    let (before, now) = (parent.path().join("before"), parent.path().join("now"));
    let all = planted();
    let outcome = outcome("run-1", &all, &[]);
    run(&before, &all, &outcome, Values::Masked, None);
    let file = ViolationsFile::create(&now, Values::Masked, Some(Previous::open(&before).unwrap())).unwrap();
    assert_eq!(fs::read_dir(&now).unwrap().count(), 2);
    fs::remove_file(before.join("violations.parquet")).unwrap();
    assert!(file.finish(&outcome).is_err());
    assert!(!now.exists());
}

#[test]
fn what_is_no_report_of_checks_is_refused() {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("report");
    let all = planted();
    run(&folder, &all, &outcome("run-1", &all, &[]), Values::Masked, None);
    let summary = folder.join("summary.json");
    let text = fs::read_to_string(&summary).unwrap();
    let refused = |said: &str, kind: ErrorKind| {
        let error = Previous::open(&folder).unwrap_err();
        assert!(error.to_string().contains(said), "{error}");
        assert_eq!(error.kind(), kind, "{error}");
    };
    for (json, said, kind) in [
        (r#"{"imis":1,"rules":[]}"#.to_owned(), "of something else", ErrorKind::Usage),
        ("{".to_owned(), "no JSON", ErrorKind::Usage),
        (text.replacen("\"imis\": 1", "\"imis\": 2", 1), "later version", ErrorKind::Usage),
        (text.replace("run-1", "run-2"), "not of one run", ErrorKind::Data),
        (
            text.replace("\"violations\": 2,\n      \"rows\"", "\"violations\": 3,\n      \"rows\""),
            "counts",
            ErrorKind::Data,
        ),
        (r#"{"imis":1,"checks":[]}"#.to_owned(), "lacks what", ErrorKind::Usage),
    ] {
        assert_ne!(json, text);
        fs::write(&summary, json).unwrap();
        refused(said, kind);
    }
    fs::write(&summary, &text).unwrap();
    fs::write(folder.join("violations.parquet"), "no Parquet").unwrap();
    refused("damaged", ErrorKind::Data);
    fs::remove_file(folder.join("violations.parquet")).unwrap();
    refused("it has no violations.parquet", ErrorKind::Usage);
    fs::remove_file(&summary).unwrap();
    refused("it has no summary.json", ErrorKind::Usage);
}
