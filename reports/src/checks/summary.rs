//! `summary.json` of a run of checks. The shape is versioned and documented; fields are added, never changed.

use imis_checks::outcome::{CheckResult, Outcome, PartResult};
use serde_json::{Map, Value, json};

use super::comparison::Comparison;
use super::verdict::{SEVERITIES, Tally};
use crate::mask::Values;

/// The version of the shape.
pub(super) const FORMAT: u32 = 1;

/// A run of checks as `summary.json`. Rows and keys are not in it; they stand in `violations.parquet`.
pub fn checks_summary(outcome: &Outcome, compared: Option<&Comparison>, values: Values) -> Value {
    let severities = SEVERITIES.iter().map(|severity| {
        let of = outcome.results.iter().filter(|result| super::result::severity(result) == *severity);
        (severity.word().to_owned(), tally(&Tally::of(of)))
    });
    let parameters: Map<String, Value> =
        outcome.parameters.iter().map(|(name, value)| (name.clone(), value.as_str().into())).collect();
    json!({
        "imis": FORMAT,
        "run": outcome.run,
        "location": outcome.location,
        "engine": outcome.engine,
        "as_of": outcome.as_of.to_string(),
        "started": outcome.started.to_string(),
        "seconds": (outcome.seconds * 1000.0).round() / 1000.0,
        "values": match values { Values::Masked => "masked", Values::Shown => "shown" },
        "counts": tally(&Tally::of(&outcome.results)),
        "severities": severities.collect::<Map<_, _>>(),
        "packs": outcome.packs,
        "parameters": parameters,
        "off": outcome.off,
        "checks": outcome.results.iter().map(check).collect::<Vec<_>>(),
        "tables": outcome.tables,
        "comparison": compared,
        "notes": outcome.notes,
    })
}

fn tally(tally: &Tally) -> Value {
    json!({
        "passed": tally.passed, "failed": tally.failed, "errored": tally.errored, "not_applicable": tally.not_applicable,
        "violations": tally.violations,
    })
}

fn check(result: &CheckResult) -> Value {
    let about = &result.about;
    json!({
        "id": about.id, "pack": about.pack, "severity": about.severity, "status": result.status,
        "violations": result.violations, "rows": result.rows, "groups": result.groups, "title": about.title,
        "kahn": about.kahn, "tags": about.tags, "reason": result.reason,
        "parts": result.parts.iter().map(part).collect::<Vec<_>>(),
    })
}

fn part(part: &PartResult) -> Value {
    json!({
        "what": part.what, "severity": part.severity, "table": part.table, "column": part.column, "status": part.status,
        "violations": part.violations, "groups": part.groups, "rows": part.rows, "reason": part.reason,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample_checks;

    #[test]
    fn the_shape_of_checks_is_what_others_build_on() {
        let (outcome, compared) = (sample_checks::outcome(), sample_checks::comparison());
        insta::assert_json_snapshot!(checks_summary(&outcome, Some(&compared), Values::Masked));
    }
}
