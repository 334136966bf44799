//! What somebody sees whose mapping does not fit: each complaint with its line, a label at the place, and what to write.
#![allow(missing_docs)]
#![allow(clippy::unwrap_used)]

use std::fmt::Write as _;

// `make fuzz` instruments every test of the crate; what that calls comes with this.
use bolero as _;
use imis_mappings::bind::bind;
use imis_mappings::language::{Mapping, MappingErrors};
use imis_schemas::release;

/// The complaints as a terminal of a hundred columns shows them.
fn shown(errors: &MappingErrors) -> String {
    let theme = miette::GraphicalTheme::unicode_nocolor();
    let handler = miette::GraphicalReportHandler::new_themed(theme).with_links(false).with_width(100);
    let mut text = String::new();
    for report in errors.reports() {
        handler.render_report(&mut text, report.as_ref()).unwrap();
    }
    text
}

/// An overlay with these rules, held against the newest release and the newest target.
async fn refused(folder: &std::path::Path, rules: &str) -> String {
    let path = folder.join("overlay.yaml");
    let text = format!("mapping: country/x\nextends: openimis/legacy-to-modular\nrules:\n{rules}");
    std::fs::write(&path, text).unwrap();
    let said = match Mapping::open(&path) {
        Err(errors) => shown(&errors),
        Ok(mapping) => {
            let (source, target) = (release("legacy/24.04").unwrap(), release("modular/1.11").unwrap());
            match bind(&mapping, &source, &target, uuid::Uuid::nil()).await {
                Ok(_) => "nothing is refused\n".to_owned(),
                Err(errors) => shown(&errors),
            }
        }
    };
    said.replace(&folder.display().to_string(), "")
}

#[tokio::test]
async fn a_table_that_two_schemas_have_is_not_guessed() {
    let mapping = Mapping::pack("openimis/legacy-to-modular").unwrap();
    let (source, mut target) = (release("legacy/24.04").unwrap(), release("modular/1.11").unwrap());
    let told = async |target: &imis_schemas::Catalog| match bind(&mapping, &source, target, uuid::Uuid::nil()).await {
        Ok(_) => String::new(),
        Err(errors) => shown(&errors),
    };
    let gender = target.tables.iter().position(|t| t.name == "tblGender").unwrap();
    // Beside the one in the usual schema another does no harm.
    let mut copy = target.tables[gender].clone();
    copy.schema = "archive".into();
    target.tables.push(copy);
    assert_eq!(told(&target).await, "");
    target.tables[gender].schema = "openimis".into();
    let said = told(&target).await;
    assert!(said.contains("the target has 2 tables tblGender: openimis.tblGender, archive.tblGender"), "{said}");
    assert!(said.contains("One in the schema public would be taken"), "{said}");
}

/// What is wrong, and an overlay that has it.
const CASES: &[(&str, &str)] = &[
    ("a key that is no key", "  claims:\n    colums: { ClaimCode: ClaimCode }\n"),
    (
        "a table that is not there",
        "  extra:\n    from: tblClaims\n    to: tblClaim\n    where: { keep: 'true', name: x }\n",
    ),
    ("a target that is not there", "  extra:\n    from: tblGender\n    to: tblGenders\n"),
    ("a column that is not there", "  claims:\n    columns:\n      ClaimCode: \"rtrim(ClaimCod)\"\n"),
    ("a target column that is not there", "  claims:\n    columns: { ClaimCodes: ClaimCode }\n"),
    ("a column left that is not there", "  claims:\n    leave: { RowIDs: no meaning }\n"),
    (
        "a function that is not there",
        "  claims:\n    columns: { ClaimCode: { value: \"uper(ClaimCode)\", too-long: reject } }\n",
    ),
    ("a loss that is not there", "  claims:\n    columns: { DateFrom: { loses: time-of-dy } }\n"),
    ("a wrong type", "  claims:\n    columns: { FeedbackID: \"'none'\" }\n"),
    ("text against number", "  claims:\n    columns: { FeedbackID: \"coalesce(FeedbackID, ClaimCode)\" }\n"),
    ("a literal that overflows", "  claims:\n    columns: { FeedbackID: \"FeedbackID + 9223372036854775807 * 2\" }\n"),
    ("a number that no row can take", "  claims:\n    columns: { FeedbackID: 99999999999 }\n"),
    ("a text that is no number", "  claims:\n    columns: { FeedbackID: \"cast('x' as int)\" }\n"),
    ("what SQL does not understand", "  claims:\n    columns: { FeedbackID: \"nullif(FeedbackID, \" }\n"),
    ("a column said twice", "  claims:\n    columns:\n      ClaimCode: ClaimCode\n      claimcode: \"'x'\"\n"),
    ("rows that come twice", "  again:\n    from: tblGender\n    to: tblGender\n"),
    (
        "a value missing by a slip",
        "  claims:\n    columns: { ClaimUUID: { value: \"lower(ClaimUUIDD)\", when-missing: \"'x'\" } }\n",
    ),
    ("a reason that nobody wrote", "  claims:\n    leave: { Explanation: \"TODO: why?\" }\n"),
    (
        "several at once, in a text of several lines",
        "  claims:\n    columns:\n      ClaimCode:\n        value: >\n          case when ClaimCode = ''\n          then upper(ClaimKode) end\n      \
         DateTo: { loses: everything }\n    keys: { HFID: { to: tblHFs.HfID, broken: reject } }\n",
    ),
];

#[tokio::test]
async fn every_complaint_shows_its_place_and_what_to_write() {
    let folder = tempfile::tempdir().unwrap();
    let mut all = String::new();
    for (what, rules) in CASES {
        let _ = writeln!(all, "== {what}\n{}", refused(folder.path(), rules).await);
    }
    insta::assert_snapshot!(all);
}

#[test]
fn overlays_do_not_go_in_circles() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, extends: &str| {
        std::fs::write(folder.path().join(name), format!("mapping: x\nextends: {extends}\n")).unwrap();
    };
    let open = |name: &str| Mapping::open(&folder.path().join(name)).map(|m| m.rules.len());
    let said = |name: &str| shown(&open(name).unwrap_err()).replace(&folder.path().display().to_string(), "");
    write("own.yaml", "own.yaml");
    write("one.yaml", "two.yaml");
    write("two.yaml", "three.yaml");
    write("three.yaml", "one.yaml");
    write("lost.yaml", "openimis/legacy-to-modula");
    insta::assert_snapshot!(["own.yaml", "one.yaml", "lost.yaml"].map(said).join("\n"));
    // Two in a row are none.
    write("three.yaml", "openimis/legacy-to-modular");
    assert_eq!(open("one.yaml").unwrap(), Mapping::pack("openimis/legacy-to-modular").unwrap().rules.len());
}
