//! What people of bad will may put into names and texts does no harm in any report, and what must not be seen is not.

use imis_checks::outcome::{Example, Outcome, PackUsed, Severity, Status, SwitchedOff, TableRead};

use super::*;
use crate::mask::Values;
use crate::terminal::{self, Style};
use crate::{checks_page, sample_checks};

const EVIL: &str =
    "<script>alert(1)</script>\"'><img src=x onerror=y>]]>&=cmd()|'a`\u{202e}\u{0}\u{1b}[2J\u{9b}31m\u{fffe}";

/// A run in which every text is of bad will.
fn hostile() -> Outcome {
    let mut outcome = sample_checks::outcome();
    let evil = || EVIL.to_owned();
    (outcome.run, outcome.location, outcome.engine) = (evil(), evil(), evil());
    outcome.packs = vec![PackUsed { name: evil(), title: evil(), hash: evil() }];
    outcome.parameters = vec![(evil(), evil())];
    outcome.off = vec![SwitchedOff { id: evil(), why: evil() }];
    outcome.tables = vec![TableRead { table: evil(), rows: 1, refused: 1 }];
    outcome.notes = vec![evil()];
    for result in &mut outcome.results {
        let about = &mut result.about;
        for text in [&mut about.pack, &mut about.title, &mut about.why, &mut about.fix, &mut about.source] {
            *text = evil();
        }
        about.id = format!("{}{EVIL}", about.id);
        about.tags = vec![evil()];
        result.reason = Some(evil());
        for part in &mut result.parts {
            (part.what, part.column, part.reason) = (evil(), evil(), Some(evil()));
            if part.status != Status::Failed || part.table != "tblClaim" {
                part.table = evil();
            }
        }
        for example in &mut result.examples {
            *example = Example {
                table: evil(),
                key: vec![(evil(), evil())],
                column: evil(),
                value: Some(evil()),
                what: evil(),
            };
        }
    }
    outcome
}

fn hostile_comparison() -> Comparison {
    let mut compared = sample_checks::comparison();
    for text in [&mut compared.run, &mut compared.location, &mut compared.as_of, &mut compared.started] {
        *text = EVIL.to_owned();
    }
    compared.notes = vec![EVIL.to_owned()];
    compared.checks.iter_mut().for_each(|check| check.id.push_str(EVIL));
    compared
}

#[test]
fn texts_of_bad_will_do_no_harm() {
    let (outcome, compared) = (hostile(), hostile_comparison());
    let unseen = ['\u{202e}', '\u{0}', '\u{1b}', '\u{9b}', '\u{fffe}'];
    for values in [Values::Masked, Values::Shown] {
        let page = checks_page(&outcome, Some(&compared), values).unwrap();
        assert!(page.contains("&lt;script&gt;alert(1)"));
        for bad in ["<script", "<img", "\"'>", "onerror=y>"] {
            assert!(!page.contains(bad), "{bad} in the page");
        }
        assert!(!page.contains(&unseen[..4]));
        let style = Style { values, verbose: true, width: Some(80), color: false };
        let text = terminal::checks(&outcome, Some(&compared), &style);
        assert!(text.contains("alert(1)") && !text.contains(&unseen[..4]), "{text}");
    }
    let xml = checks_junit(&outcome, Some(Severity::Info)).unwrap();
    assert!(!xml.contains("<script") && !xml.contains("<img") && !xml.contains(unseen), "{xml}");
    let report = quick_junit::Report::deserialize_from_str(&xml).unwrap();
    assert_eq!(report.test_suites.iter().map(|suite| suite.test_cases.len()).sum::<usize>(), outcome.results.len());
    let folder = tempfile::tempdir().unwrap();
    crate::write_checks(folder.path(), &outcome, Some(&compared), Values::Shown, None).unwrap();
    for name in ["summary.json", "sarif.json"] {
        let text = std::fs::read_to_string(folder.path().join(name)).unwrap();
        assert!(!text.contains(&unseen[..4]), "{text}");
        let json: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert!(json.to_string().contains("alert(1)"));
    }
    let summary = std::fs::read_to_string(folder.path().join("summary.json")).unwrap();
    let summary: serde_json::Value = serde_json::from_str(&summary).unwrap();
    assert_eq!(summary["location"], EVIL, "programs get it back as it was");
}

#[test]
fn what_must_not_be_seen_is_in_no_report() {
    let mut outcome = sample_checks::outcome();
    let secret = outcome.results.iter_mut().find(|result| result.about.id == "U2").unwrap();
    (secret.status, secret.violations) = (Status::Failed, 2);
    (secret.parts[0].status, secret.parts[0].violations) = (Status::Failed, 2);
    secret.examples = vec![
        sample_checks::example("tblUsers", &[("UserID", "1")], "StoredPassword", Some("hash-of-a-password")),
        sample_checks::example("tblKeys", &[("ApiKey", "4711471147")], "PrivateKey", Some("a-private-key")),
    ];
    let names = outcome.results.iter_mut().find(|result| result.about.id == "I1").unwrap();
    names.examples.push(sample_checks::example(
        "tblInsuree",
        &[("CHFID", "105000001")],
        "LastName",
        Some("Planted-Name"),
    ));
    let secrets = ["hash-of-a-password", "4711471147", "a-private-key"];
    let natural = ["105000001", "070707070", "A00.1", "Planted-Name", "R-1"];
    for (values, hidden) in [(Values::Masked, [&secrets[..], &natural].concat()), (Values::Shown, secrets.to_vec())] {
        let style = Style { values, verbose: true, width: None, color: true };
        let all = [
            ("terminal", terminal::checks(&outcome, None, &style)),
            ("page", checks_page(&outcome, None, values).unwrap()),
            ("summary", checks_summary(&outcome, None, values).to_string()),
            ("junit", checks_junit(&outcome, Some(Severity::Info)).unwrap()),
            ("sarif", checks_sarif(&outcome).to_string()),
        ];
        for (report, text) in all {
            for value in &hidden {
                assert!(!text.contains(value), "{value} in {report}");
            }
            let tells = matches!(report, "terminal" | "page") && values == Values::Shown;
            assert_eq!(text.contains("Planted-Name"), tells, "{report}");
        }
    }
}
