//! Whether data is sound: the verdict on a run of checks, and what it counts.

use imis_checks::outcome::{CheckResult, Outcome, Severity, Status};

use super::result::severity;
use crate::number::{counted, thousands};

/// From the worst to the least.
pub(crate) const SEVERITIES: [Severity; 4] = [Severity::Blocker, Severity::Error, Severity::Warning, Severity::Info];

/// How many checks ended how, of a pack, a severity or any other group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    pub(crate) errored: u64,
    pub(crate) not_applicable: u64,
    pub(crate) violations: u64,
}

impl Tally {
    pub(crate) fn of<'a>(results: impl IntoIterator<Item = &'a CheckResult>) -> Self {
        let mut tally = Tally::default();
        for result in results {
            *match result.status {
                Status::Passed => &mut tally.passed,
                Status::Failed => &mut tally.failed,
                Status::Errored => &mut tally.errored,
                Status::NotApplicable => &mut tally.not_applicable,
            } += 1;
            tally.violations += result.violations;
        }
        tally
    }

    /// failed, passed, errored, not applicable, violations.
    pub(crate) fn numbers(&self) -> [u64; 5] {
        [self.failed, self.passed, self.errored, self.not_applicable, self.violations]
    }
}

/// The verdict on the data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// No check failed.
    Sound,
    /// Checks failed; this is the worst of them.
    Broken(Severity),
    /// No check failed, but some could not be carried out.
    Unsure,
    /// No check looked at anything.
    Unchecked,
}

impl Verdict {
    pub(crate) fn of(outcome: &Outcome) -> Self {
        let failed = outcome.results.iter().filter(|result| has_failed(result));
        match failed.map(severity).max() {
            Some(worst) => Verdict::Broken(worst),
            None if outcome.count(Status::Errored) > 0 => Verdict::Unsure,
            None if outcome.count(Status::Passed) == 0 => Verdict::Unchecked,
            None => Verdict::Sound,
        }
    }

    /// One sentence.
    pub(crate) fn sentence(self, outcome: &Outcome) -> String {
        let carried_out = outcome.results.iter().filter(|result| was_carried_out(result)).count() as u64;
        let all = counted(carried_out, "check");
        let said = match self {
            Verdict::Sound => format!("Sound: no row breaks any of the {all} that were carried out."),
            Verdict::Unsure => format!("No row breaks any of the {all} that were carried out."),
            Verdict::Unchecked => {
                "No check looked at anything: the database has none of what they are about.".to_owned()
            }
            Verdict::Broken(_) => {
                let severities = SEVERITIES.iter().filter_map(|of| {
                    let number = outcome.results.iter().filter(|r| has_failed(r) && severity(r) == *of).count();
                    (number > 0).then(|| name(*of, number as u64))
                });
                let severities = severities.collect::<Vec<_>>().join(", ");
                let failed = outcome.results.iter().filter(|result| has_failed(result)).count() as u64;
                format!("{} of {all} failed: {severities}.", thousands(failed))
            }
        };
        match outcome.count(Status::Errored) as u64 {
            0 => said,
            errored => format!(
                "{said} {} could not be carried out{}.",
                counted(errored, "check"),
                if carried_out > 0 { " in full" } else { "" }
            ),
        }
    }
}

/// Whether rows break it, even if another part of it could not be carried out.
pub(crate) fn has_failed(result: &CheckResult) -> bool {
    result.status == Status::Failed || result.parts.iter().any(|part| part.status == Status::Failed)
}

/// Whether it looked at something, even if not at everything.
pub(crate) fn was_carried_out(result: &CheckResult) -> bool {
    result.parts.iter().any(|part| matches!(part.status, Status::Passed | Status::Failed))
}

/// `3 blockers`, `1 error`, `12 warnings`, `2 remarks`.
fn name(severity: Severity, number: u64) -> String {
    counted(number, if severity == Severity::Info { "remark" } else { severity.word() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample_checks;

    #[test]
    fn the_verdict_follows_from_the_worst() {
        let outcome = sample_checks::outcome();
        assert_eq!(Verdict::of(&outcome), Verdict::Broken(Severity::Blocker));
        let mut left = outcome.clone();
        left.results.retain(|result| !has_failed(result));
        let mut errored = left.results[0].clone();
        (errored.status, errored.parts[0].status) = (Status::Errored, Status::Errored);
        left.results.push(errored);
        assert_eq!(Verdict::of(&left), Verdict::Unsure);
        left.results.retain(|result| result.status != Status::Errored);
        assert_eq!(Verdict::of(&left), Verdict::Sound);
        left.results.retain(|result| result.status == Status::NotApplicable);
        assert_eq!(Verdict::of(&left), Verdict::Unchecked);
        assert_eq!(
            Verdict::of(&outcome).sentence(&outcome),
            "6 of 8 checks failed: 1 blocker, 2 errors, 2 warnings, 1 remark. 1 check could not be carried out in full."
        );
    }
}
