//! The page of a plan: what would move, and what may be lost.

use std::collections::BTreeMap;

use imis_mappings::hazard::Hazard;
use imis_mappings::plan::Plan;
use serde::Serialize;

use super::{Change, Figure, Head, LINES, PLACES, cut, moment, render};
use crate::ReportError;
use crate::consistency;
use crate::number::{counted, thousands};
use crate::words;

#[derive(Serialize)]
struct Page<'a> {
    #[serde(flatten)]
    head: Head,
    changes: Vec<Change>,
    rules: Vec<Line<'a>>,
    more_rules: usize,
}

#[derive(Serialize)]
struct Line<'a> {
    rule: &'a str,
    from: &'a str,
    to: &'a str,
    rows: String,
    existing: String,
    policy: &'a str,
}

/// The page of a plan, as one HTML text.
///
/// # Errors
/// When the page cannot be rendered.
pub fn plan_page(plan: &Plan) -> Result<String, ReportError> {
    let rows = plan.rules.iter().map(|rule| rule.rows).sum();
    // Several rules may feed one table; its rows are there once.
    let existing: BTreeMap<&str, u64> = plan.rules.iter().map(|rule| (rule.to.as_str(), rule.existing)).collect();
    let mut by_name: BTreeMap<&str, Vec<&Hazard>> = BTreeMap::new();
    for hazard in &plan.hazards {
        by_name.entry(&hazard.name).or_default().push(hazard);
    }
    let changes: Vec<Change> = by_name.into_iter().map(|(name, hazards)| change(name, &hazards)).collect();
    let lines = plan.rules.iter().map(|rule| Line {
        rule: &rule.rule,
        from: rule.from.as_deref().unwrap_or_default(),
        to: &rule.to,
        rows: thousands(rule.rows),
        existing: thousands(rule.existing),
        policy: if rule.existing > 0 { &rule.policy } else { "" },
    });
    let (rules, more_rules) = cut(lines.collect(), LINES);
    render(
        "plan.html",
        Page {
            head: Head {            title: "Plan of a migration".to_owned(),
            tone: "plan",
            badge: "Plan",
            headline: format!("{} would be read by {}.", counted(rows, "row"), counted(plan.rules.len() as u64, "rule")),
            lead: "Nothing has been written yet. This page says what a migration would do, and what may be lost on the way."
                .to_owned(),
            facts: vec![
                ("From", plan.from.clone()),
                ("To", plan.to.clone()),
                ("Mapping", plan.mapping.clone()),
                ("Made", moment(&plan.made)),
                ("Release of the source", plan.release.as_ref().map_or("not known".to_owned(), |r| format!("openIMIS {r}"))),
                ("Consistency", consistency::vouched(plan.consistency, &plan.reading)),
                (
                    "Changes of the source",
                    consistency::changes(plan.consistency, &plan.reading).unwrap_or_else(|| "none can be".to_owned()),
                ),
            ],
            figures: vec![
                Figure::new(rows, "rows to read from the old system"),
                Figure::new(plan.rules.len() as u64, "rules"),
                Figure::new(existing.values().sum(), "rows already in the new system"),
                Figure::alarming(plan.hazards.len() as u64, "places where something may be lost"),
            ],
            },
            changes,
            rules,
            more_rules,
        },
    )
}

fn change(name: &str, hazards: &[&Hazard]) -> Change {
    let place = |hazard: &&Hazard| match &hazard.column {
        Some(column) => format!("{}.{column}: {}", hazard.rule, hazard.what),
        None => format!("{}: {}", hazard.rule, hazard.what),
    };
    let (places, more) = cut(hazards.iter().map(place).collect(), PLACES);
    Change {
        name: name.to_owned(),
        meaning: words::meaning(name),
        foreseen: counted(hazards.len() as u64, "place"),
        values: String::new(),
        places,
        more,
    }
}
