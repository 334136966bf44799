//! A plan on a terminal.

use std::collections::BTreeMap;

use imis_mappings::account::Counts;
use imis_mappings::hazard::Hazard;
use imis_mappings::plan::{Plan, PlannedRule};
use imis_mappings::run::Scanned;

use super::{Cell, Style, facts, paragraph, table};
use crate::number::counted;
use crate::{consistency, words};

/// What a run would do, for people.
pub fn plan(plan: &Plan, style: &Style) -> String {
    let rows: u64 = plan.rules.iter().map(|rule| rule.rows).sum();
    let release = plan.release.as_ref().map(|release| ("release", format!("openIMIS {release}")));
    let mut told = vec![("mapping", plan.mapping.clone()), ("from", plan.from.clone())];
    told.extend(release);
    told.extend([("to", plan.to.clone()), ("made", plan.made.clone()), ("reads", counted(rows, "row"))]);
    let mut text = facts(&told);
    text += &rules(plan, style);
    text += &hazards(&plan.hazards, style);
    text += &style.heading("Consistency of the source");
    text += &paragraph(&consistency::vouched(plan.consistency, &plan.reading), style);
    let changes = consistency::changes(plan.consistency, &plan.reading);
    text + &changes.map_or(String::new(), |said| paragraph(&said, style))
}

fn rules(plan: &Plan, style: &Style) -> String {
    let touched = |rule: &&PlannedRule| style.verbose || rule.from.is_none() || rule.rows > 0 || rule.existing > 0;
    let shown: Vec<&PlannedRule> = plan.rules.iter().filter(touched).collect();
    let rows: Vec<Vec<Cell>> = shown
        .iter()
        .map(|rule| {
            let tables = match &rule.from {
                Some(from) if *from == rule.to => from.clone(),
                Some(from) => format!("{from} -> {}", rule.to),
                None => format!("-> {}", rule.to),
            };
            let source = rule.from.is_some();
            vec![
                rule.rule.as_str().into(),
                tables.into(),
                if source { Cell::Number(rule.rows) } else { Cell::Empty },
                Cell::Number(rule.existing),
                if rule.existing > 0 { rule.policy.as_str().into() } else { Cell::Empty },
                if source { Cell::Number(rule.ranges.len() as u64) } else { Cell::Empty },
            ]
        })
        .collect();
    let mut text = style.heading("Rules");
    text += &table(&["rule", "table", "rows", "existing", "policy", "ranges"], &rows, style);
    match plan.rules.len() - shown.len() {
        0 => {}
        1 => text += "1 rule without rows is not shown (-v shows it)\n",
        hidden => text += &format!("{hidden} rules without rows are not shown (-v shows them)\n"),
    }
    text
}

/// Hazards, grouped by name; every place of them when the style is verbose.
pub fn hazards(hazards: &[Hazard], style: &Style) -> String {
    if hazards.is_empty() {
        return style.heading("Hazards") + "none\n";
    }
    let mut by_name: BTreeMap<&str, Vec<&Hazard>> = BTreeMap::new();
    for hazard in hazards {
        by_name.entry(&hazard.name).or_default().push(hazard);
    }
    let mut text = style.heading("Hazards");
    if style.verbose {
        let rows: Vec<Vec<Cell>> = by_name
            .values()
            .flatten()
            .map(|hazard| {
                let place = match &hazard.column {
                    Some(column) => format!("{}.{column}", hazard.rule),
                    None => hazard.rule.clone(),
                };
                vec![hazard.name.as_str().into(), place.into(), hazard.what.as_str().into()]
            })
            .collect();
        text += &table(&["hazard", "rule and column", "what may happen"], &rows, style);
    } else {
        let rows: Vec<Vec<Cell>> = by_name
            .iter()
            .map(|(name, places)| vec![(*name).into(), Cell::Number(places.len() as u64), words::meaning(name).into()])
            .collect();
        text += &table(&["hazard", "places", "what it means"], &rows, style);
        text += "-v shows every place\n";
    }
    text
}

/// What a rehearsal without writing found, by rule: only rules of which rows are rejected, filtered or changed, unless
/// the style is verbose.
pub fn scan(scanned: &Scanned, style: &Style) -> String {
    let found = &scanned.rules;
    let told = |counts: &Counts| style.verbose || counts.loaded != counts.read || !counts.losses.is_empty();
    let mut rows: Vec<Vec<Cell>> = Vec::new();
    for (rule, counts) in found.iter().filter(|(_, counts)| told(counts)) {
        let losses = counts.losses.iter().map(|((column, name), n)| format!("{column} {name} {n}"));
        rows.push(vec![
            rule.as_str().into(),
            counts.read.into(),
            counts.loaded.into(),
            if counts.rejected > 0 { Cell::Alarm(counts.rejected) } else { Cell::Number(0) },
            counts.filtered.into(),
            losses.collect::<Vec<_>>().join(", ").into(),
        ]);
    }
    let read: u64 = found.iter().map(|(_, counts)| counts.read).sum();
    let mut text = style.heading("Scan");
    if !rows.is_empty() {
        text += &table(&["rule", "read", "would load", "reject", "filter", "losses"], &rows, style);
    }
    text += &format!("{} read and mapped\n", counted(read, "row"));
    text + &keys(scanned, style)
}

/// Keys that do not hold, and what becomes of their rows.
fn keys(scanned: &Scanned, style: &Style) -> String {
    let mut text = style.heading("Keys");
    let Some(keys) = &scanned.keys else {
        return text + "a sample cannot tell whether keys hold; --scan full can\n";
    };
    if keys.keys.is_empty() {
        return text + "every key holds\n";
    }
    let rows: Vec<Vec<Cell>> = keys
        .keys
        .iter()
        .map(|key| {
            let highest = if key.at_most { "at most; rules with a query may bring what is missing" } else { "" };
            vec![
                format!("{}.{}", key.rule, key.column).into(),
                key.to.as_str().into(),
                key.broken.into(),
                key.zero.into(),
                key.steps.join(", else ").into(),
                highest.into(),
            ]
        })
        .collect();
    text += &table(&["rule and column", "names", "broken", "of them 0", "then", ""], &rows, style);
    for (rule, rows) in &keys.rejected {
        text += &format!(
            "{rule}: {} would be rejected for keys, those that go with others among them\n",
            counted(*rows, "row")
        );
    }
    text
}
