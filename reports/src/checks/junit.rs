//! `junit.xml`: a run of checks for a CI. A suite is a pack, a case a check. No value of a row is in it.

use std::collections::HashMap;
use std::time::Duration;

use imis_checks::outcome::{CheckResult, Outcome, Severity, Status};
use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use super::result::{Told, named, severity};
use super::verdict::has_failed;
use crate::{ReportError, escape};

/// A run of checks as JUnit. A check that failed and is as bad as `fail_on` or worse is a failure; a milder one passes and says so.
/// A check that could not be carried out is an error, one that is not applicable is skipped.
///
/// # Errors
/// When the XML cannot be written.
pub fn checks_junit(outcome: &Outcome, fail_on: Option<Severity>) -> Result<String, ReportError> {
    let rows = Told::rows(outcome);
    let mut report = Report::new("imis check");
    report.set_time(Duration::try_from_secs_f64(outcome.seconds).unwrap_or_default());
    let mut packs: Vec<&str> = outcome.packs.iter().map(|pack| pack.name.as_str()).collect();
    for result in &outcome.results {
        if !packs.contains(&result.about.pack.as_str()) {
            packs.push(&result.about.pack);
        }
    }
    for pack in packs {
        let mut suite = TestSuite::new(&*escape::xml(pack));
        for (name, value) in [
            ("location", outcome.location.as_str()),
            ("as-of", &outcome.as_of.to_string()),
            ("started", &outcome.started.to_string()),
            ("run", &outcome.run),
        ] {
            suite.add_property((name, &*escape::xml(value)));
        }
        let results = outcome.results.iter().filter(|result| result.about.pack == pack);
        suite.add_test_cases(results.map(|result| case(result, fail_on, &rows)));
        report.add_test_suite(suite);
    }
    Ok(report.to_string()?)
}

fn case(result: &CheckResult, fail_on: Option<Severity>, rows: &HashMap<String, u64>) -> TestCase {
    let about = &result.about;
    let fails = has_failed(result);
    let told = || format!("{}: {}", severity(result), Told::check(result, rows).words());
    let status = match result.status {
        Status::NotApplicable => {
            let mut status = TestCaseStatus::skipped();
            status.set_message(&*escape::xml(result.reason.as_deref().unwrap_or("not applicable")));
            status
        }
        Status::Errored => {
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
            status.set_type("errored");
            status.set_message(&*escape::xml(result.reason.as_deref().unwrap_or("it could not be carried out")));
            status.set_description(description(result, rows));
            status
        }
        _ if fails && fail_on.is_some_and(|least| severity(result) >= least) => {
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
            status.set_type(severity(result).word());
            status.set_message(told());
            status.set_description(description(result, rows));
            status
        }
        _ => TestCaseStatus::success(),
    };
    let milder = fails && matches!(status, TestCaseStatus::Success { .. });
    let mut case = TestCase::new(&*escape::xml(&format!("{} {}", about.id, about.title)), status);
    case.set_classname(&*escape::xml(&about.pack));
    if milder {
        case.set_system_out(format!("{}\n{}", told(), description(result, rows)));
    }
    case
}

/// What broke where, why it matters and what to do, a line each.
fn description(result: &CheckResult, rows: &HashMap<String, u64>) -> String {
    let about = &result.about;
    let parts = result.parts.iter().filter_map(|part| {
        let name = named(part);
        match part.status {
            Status::Failed => Some(format!("{name}: {}", Told::part(part, rows).words())),
            Status::Errored => Some(format!("{name}: {}", part.reason.as_deref().unwrap_or("errored"))),
            Status::Passed | Status::NotApplicable => None,
        }
    });
    let labelled = [("why", &about.why), ("to do", &about.fix)];
    let labelled = labelled.iter().filter(|(_, text)| !text.is_empty()).map(|(label, text)| format!("{label}: {text}"));
    let next = std::iter::once(format!("imis check explain {}", about.id));
    parts.chain(labelled).chain(next).map(|line| escape::xml(&line).into_owned()).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample_checks;

    #[test]
    fn a_ci_sees_suites_and_cases() {
        insta::assert_snapshot!(checks_junit(&sample_checks::outcome(), Some(Severity::Error)).unwrap());
        let lenient = checks_junit(&sample_checks::outcome(), None).unwrap();
        assert!(lenient.contains("failures=\"0\"") && !lenient.contains("<failure"), "{lenient}");
        let strict = checks_junit(&sample_checks::outcome(), Some(Severity::Info)).unwrap();
        assert_eq!(strict.matches("<failure").count(), 5, "{strict}");
    }
}
