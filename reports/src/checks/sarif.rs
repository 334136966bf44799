//! `sarif.json`: a run of checks in SARIF 2.1.0, for tools that gather findings. A rule is a check, a result a part of it that
//! failed, with its count. No value of a row is in it.

use std::collections::HashMap;

use imis_checks::outcome::{CheckResult, Example, Outcome, PartResult, Severity, Status};
use serde_json::{Value, json};

use super::looked::is_about_schema;
use super::result::{Told, thing};
use super::verdict::has_failed;

/// A run of checks as SARIF.
pub fn checks_sarif(outcome: &Outcome) -> Value {
    let rows = Told::rows(outcome);
    let results: Vec<Value> = outcome
        .results
        .iter()
        .enumerate()
        .filter(|(_, result)| has_failed(result))
        .flat_map(|(place, result)| {
            let failed = result.parts.iter().filter(|part| part.status == Status::Failed);
            failed.map(|part| finding(place, result, part, &rows)).collect::<Vec<_>>()
        })
        .collect();
    let errored = outcome.results.iter().enumerate().filter(|(_, result)| result.status == Status::Errored);
    let notifications: Vec<Value> = errored
        .map(|(place, result)| {
            json!({
                "level": "error",
                "associatedRule": { "id": result.about.id, "index": place },
                "message": { "text": result.reason.as_deref().unwrap_or("it could not be carried out") },
            })
        })
        .collect();
    let ended =
        outcome.started.checked_add(jiff::SignedDuration::try_from_secs_f64(outcome.seconds).unwrap_or_default());
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "imis",
                "version": env!("CARGO_PKG_VERSION"),
                "informationUri": env!("CARGO_PKG_REPOSITORY"),
                "rules": outcome.results.iter().map(rule).collect::<Vec<_>>(),
            } },
            "automationDetails": { "id": format!("imis-check/{}", outcome.run) },
            "invocations": [{
                "executionSuccessful": notifications.is_empty(),
                "startTimeUtc": moment(outcome.started),
                "endTimeUtc": moment(ended.unwrap_or(outcome.started)),
                "toolExecutionNotifications": notifications,
            }],
            "properties": {
                "location": outcome.location, "engine": outcome.engine, "asOf": outcome.as_of.to_string(),
                "packs": outcome.packs.iter().map(|pack| &pack.name).collect::<Vec<_>>(),
            },
            "results": results,
        }],
    })
}

fn moment(time: jiff::Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Blocker | Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Info => "note",
    }
}

fn rule(result: &CheckResult) -> Value {
    let about = &result.about;
    let texts = [about.fix.as_str(), about.source.as_str()];
    let help: Vec<String> = ["What to do", "Source"]
        .iter()
        .zip(texts)
        .filter(|(_, text)| !text.is_empty())
        .map(|(label, text)| format!("{label}: {text}"))
        .chain([format!("imis check explain {} shows the rule and its SQL.", about.id)])
        .collect();
    let why = if about.why.is_empty() { &about.title } else { &about.why };
    let tags: Vec<&str> = [about.kahn.word()].into_iter().chain(about.tags.iter().map(String::as_str)).collect();
    json!({
        "id": about.id,
        "shortDescription": { "text": about.title },
        "fullDescription": { "text": why },
        "help": { "text": help.join("\n") },
        "defaultConfiguration": { "level": level(about.severity) },
        "properties": { "pack": about.pack, "severity": about.severity, "kahn": about.kahn, "status": result.status, "tags": distinct(tags) },
    })
}

/// SARIF wants each tag once.
fn distinct(mut tags: Vec<&str>) -> Vec<&str> {
    let mut seen = std::collections::HashSet::new();
    tags.retain(|tag| seen.insert(*tag));
    tags
}

fn finding(rule: usize, result: &CheckResult, part: &PartResult, rows: &HashMap<String, u64>) -> Value {
    let told = Told::part(part, rows);
    let places = if is_about_schema(&part.table) {
        result.examples.iter().map(named).collect()
    } else {
        vec![place_of(&part.table, &part.column)]
    };
    let what = if part.what.is_empty() { String::new() } else { format!(" ({})", part.what) };
    let mut finding = json!({
        "ruleId": result.about.id,
        "ruleIndex": rule,
        "level": level(part.severity),
        "message": { "text": format!("{}{what}: {}", result.about.title, told.words()) },
        "locations": places,
        "partialFingerprints": { "imisPart/v1": fingerprint(&[&result.about.id, &part.what, &part.table, &part.column]) },
        "properties": { "violations": part.violations, "rows": part.rows, "groups": part.groups, "severity": part.severity },
    });
    if part.violations > 0 {
        finding["occurrenceCount"] = part.violations.into();
    }
    finding
}

/// A column or a table; nothing in SARIF is nearer to a place in a database.
fn place_of(table: &str, column: &str) -> Value {
    let (name, qualified, kind) = match column {
        "" => (table, table.to_owned(), "table"),
        column => (column, format!("{table}.{column}"), "column"),
    };
    json!({ "logicalLocations": [{ "name": name, "fullyQualifiedName": qualified, "kind": kind }] })
}

fn named(example: &Example) -> Value {
    let (table, column) = thing(example);
    place_of(&table, column.as_deref().unwrap_or_default())
}

/// The same for the same part in every run.
fn fingerprint(parts: &[&str]) -> String {
    format!("{:016x}", xxhash_rust::xxh3::xxh3_64(parts.join("\u{0}").as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample_checks;

    #[test]
    fn tools_see_rules_and_results() {
        let mut sarif = checks_sarif(&sample_checks::outcome());
        assert_eq!(sarif["runs"][0]["tool"]["driver"]["version"], env!("CARGO_PKG_VERSION"));
        sarif["runs"][0]["tool"]["driver"]["version"] = "of the program".into();
        insta::assert_json_snapshot!(sarif);
    }
}
