//! `imis check` on a database that means harm: names, secrets and formulas in rows, on a server, in every report.

use std::collections::BTreeSet;
use std::path::Path;

use arrow::array::{Array, AsArray};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use imis_fixtures::sqlserver::{Options, SqlServer, Tables};
use imis_schemas::{Catalog, Engine};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::harness::Desk;

const PASSWORD: &str = "Loopback!1";
const NAMES: [&str; 4] =
    ["<script>alert(1)</script>", "=cmd()|' /C calc'!A0", "O'Neill \"Q\" `x`", "\u{202e}gnirts\u{202c}"];
const NUMBERS: [&str; 4] = ["900000017", "900000024", "900000031", "900000048"];
const SECRET: &str = "s3cret-of-Jane";

const PACK: &str = r#"
pack: test/harm
checks:
  - { id: H1, title: "a <b>name</b> & more", severity: error, table: tblInsuree, column: LastName, row: "LastName = 'nobody'" }
  - { id: H2, title: number, severity: error, table: tblInsuree, column: CHFID, matches: { column: CHFID, pattern: "^x\\d$" } }
  - { id: H3, title: secret, severity: error, table: tblUsers, column: StoredPassword, row: "StoredPassword is null" }
  - { id: H4, title: by number, severity: error, table: tblLegalForms, row: "false" }
  - id: H5
    title: only a query reads these tables
    severity: error
    table: tblGender
    query: select g.Code from tblGender g where not exists (select 1 from tblLanguages l where l.LanguageCode = g.Code)
  - { id: H6, title: sound, severity: error, table: tblInsuree, matches: { column: CHFID, pattern: '^\d{9}$' } }
  - { id: H7, title: broken text, severity: error, table: tblInsuree, row: "cast(LastName as int) > 0" }
"#;

fn served() -> (SqlServer, Desk, String) {
    let server = SqlServer::start(Options::new(Tables::new(Catalog::new(Engine::Mssql)).unwrap(), PASSWORD)).unwrap();
    let mut script = String::from(
        "CREATE TABLE tblInsuree (InsureeID int NOT NULL PRIMARY KEY, CHFID nvarchar(50), LastName nvarchar(100), ValidityTo datetime)\nGO\n\
         CREATE TABLE tblUsers (UserID int NOT NULL PRIMARY KEY, LoginName nvarchar(25), StoredPassword nvarchar(256))\nGO\n\
         CREATE TABLE tblLegalForms (LegalFormCode nvarchar(40) NOT NULL PRIMARY KEY, LegalForms nvarchar(50))\nGO\n\
         CREATE TABLE tblGender (Code char(1) NOT NULL PRIMARY KEY)\nGO\n\
         CREATE TABLE tblLanguages (LanguageCode nvarchar(5) NOT NULL PRIMARY KEY)\nGO\n\
         INSERT INTO tblGender (Code) VALUES ('M')\nINSERT INTO tblGender (Code) VALUES ('F')\n\
         INSERT INTO tblLanguages (LanguageCode) VALUES (N'M')\n",
    );
    for (at, (name, number)) in NAMES.iter().zip(NUMBERS).enumerate() {
        let name = name.replace('\'', "''");
        script += &format!(
            "INSERT INTO tblInsuree (InsureeID, CHFID, LastName) VALUES ({}, N'{number}', N'{name}')\n",
            at + 1
        );
        // A key that is a person's name.
        script += &format!("INSERT INTO tblLegalForms (LegalFormCode) VALUES (N'{name}')\n");
    }
    script += &format!("INSERT INTO tblUsers (UserID, LoginName, StoredPassword) VALUES (1, N'jane', N'{SECRET}')\n");
    server.execute_script(&script).unwrap();
    let desk = Desk::new().with("IMIS_MSSQL_PASSWORD", PASSWORD);
    desk.write("harm.yaml", PACK);
    let url = format!("mssql://sa@127.0.0.1:{}/IMIS?encrypt=off", server.port());
    (server, desk, url)
}

/// Every text in the files of a report: as they are, and the cells of Parquet files.
fn texts(folder: &Path) -> Vec<(String, String)> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if name.ends_with(".parquet") {
            for batch in
                ParquetRecordBatchReaderBuilder::try_new(std::fs::File::open(&path).unwrap()).unwrap().build().unwrap()
            {
                for column in batch.unwrap().columns() {
                    let cells = cast(column, &DataType::Utf8).unwrap();
                    let cells = cells.as_string::<i32>();
                    all.extend(
                        (0..cells.len())
                            .filter(|row| cells.is_valid(*row))
                            .map(|row| (name.clone(), cells.value(row).to_owned())),
                    );
                }
            }
        } else {
            all.push((name, std::fs::read_to_string(&path).unwrap()));
        }
    }
    all
}

#[test]
fn names_secrets_and_formulas_do_no_harm_and_are_not_told() {
    let (_server, desk, url) = served();
    let run = |report: &str, more: &[&str]| {
        let usual = ["check", &url, "--pack", "harm.yaml", "--as-of", "2026-01-31", "--report", report];
        desk.imis(&[&usual, more].concat())
    };
    // H7 cannot be carried out, whatever the text is; the others can.
    let masked = run("masked", &[]);
    assert_eq!(masked.code, 4, "{}{}", masked.stdout, masked.stderr);
    let shown = run("shown", &["--show-values"]);
    assert_eq!(shown.code, 4);
    let json = run("json", &["--json"]).json();
    let of = |id: &str| json["checks"].as_array().unwrap().iter().find(|check| check["id"] == id).unwrap().clone();
    let counts: Vec<_> = ["H1", "H2", "H3", "H4", "H5", "H6"].map(|id| of(id)["violations"].as_u64().unwrap()).into();
    // H5: a table that only a query reads is not empty for it. H6: a backslash of a pattern reaches the engine.
    assert_eq!(counts, [4, 4, 1, 4, 1, 0], "{json}");
    assert_eq!((of("H6")["status"].as_str(), of("H7")["status"].as_str()), (Some("passed"), Some("errored")));

    let said = [("stdout".to_owned(), masked.stdout), ("stderr".to_owned(), masked.stderr)];
    let told: Vec<(String, String)> = texts(&desk.path().join("masked")).into_iter().chain(said).collect();
    assert!(told.len() > 20, "{}", told.len());
    for planted in NAMES.iter().chain(&NUMBERS).chain(&[SECRET]) {
        let word = planted.split_whitespace().next().unwrap();
        for (file, text) in &told {
            assert!(!text.contains(word), "{word} stands in {file}");
        }
    }
    // Shown, they are there, and disarmed; the secret still is not.
    let told: Vec<(String, String)> = texts(&desk.path().join("shown"))
        .into_iter()
        .chain([("stdout".to_owned(), shown.stdout), ("stderr".to_owned(), shown.stderr)])
        .collect();
    assert!(told.iter().any(|(file, text)| file == "violations.parquet" && text == NAMES[0]));
    assert!(told.iter().any(|(file, text)| file == "index.html" && text.contains("&lt;script&gt;alert(1)")));
    for (file, text) in &told {
        assert!(!text.contains(SECRET), "a secret stands in {file}");
        if file == "index.html" || file == "stdout" || file == "stderr" {
            assert!(!text.contains('\u{202e}') && (file != "index.html" || !text.contains("<script")), "{file}");
        }
    }
    let files: BTreeSet<String> = told.iter().map(|(file, _)| file.clone()).collect();
    for file in ["index.html", "summary.json", "violations.parquet", "junit.xml", "sarif.json"] {
        assert!(files.contains(file), "{file} is missing: {files:?}");
    }
}

#[test]
fn a_table_that_cannot_be_read_stops_no_other_check() {
    let desk = Desk::new();
    let country = imis_fixtures::country::Country::new(imis_fixtures::country::CountryParameters {
        families: 20,
        ..Default::default()
    });
    country.unwrap().write_snapshot(&desk.path().join("country"), 2, &|_| {}).unwrap();
    let tables = desk.path().join("country/tables");
    let mut files = std::fs::read_dir(&tables).unwrap().flatten().map(|entry| entry.path());
    let damaged = files.find(|path| path.to_string_lossy().contains("tblHF.")).unwrap();
    std::fs::write(&damaged, "no Parquet").unwrap();
    let said = desk.imis(&["check", "country", "--only", "I2,I7,L9,I18,P9", "--json", "--report", "report"]);
    assert_eq!(said.code, 4, "{}", said.stderr);
    let json = said.json();
    let status = |id: &str| {
        let check = json["checks"].as_array().unwrap().iter().find(|check| check["id"] == id).unwrap();
        check["status"].as_str().unwrap().to_owned()
    };
    // L9 looks at health facilities, I18 for them; the others have nothing to do with them.
    assert_eq!(["I2", "I7", "L9", "I18", "P9"].map(status), ["passed", "passed", "errored", "errored", "passed"]);
    assert!(desk.path().join("report/index.html").exists());
}
