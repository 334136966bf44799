//! What failed, area by area: each check with its bar, why it matters, what to do and which rows to look at.

use std::collections::{BTreeMap, HashMap};

use imis_checks::outcome::{CheckResult, Outcome, PartResult, Status};
use serde::Serialize;

use super::{percent, title};
use crate::checks::{
    Change, Comparison, SEVERITIES, Tally, Told, area_of, examples, has_failed, place, severity, was_carried_out,
};
use crate::html::{LINES, cut};
use crate::mask::Values;
use crate::number::{counted, thousands};

/// How many parts of one check a page shows.
const PARTS: usize = 20;
/// How many lines of parts, and of examples, a page shows in all: it opens at once whatever the run found.
const ALL_PARTS: usize = 3_000;
const ALL_EXAMPLES: usize = 2_000;

/// A business area.
#[derive(Serialize)]
pub(super) struct Area {
    pub(super) title: &'static str,
    pub(super) anchor: String,
    told: String,
    severities: Vec<Group>,
    passed: Vec<[String; 3]>,
    more_passed: usize,
}

#[derive(Serialize)]
struct Group {
    severity: &'static str,
    title: &'static str,
    checks: Vec<Check>,
}

#[derive(Serialize)]
struct Check {
    anchor: String,
    id: String,
    title: String,
    open: bool,
    told: String,
    percent: String,
    share: Option<f64>,
    since: Vec<(&'static str, String)>,
    why: String,
    fix: String,
    source: String,
    about: String,
    parts: Vec<Part>,
    more_parts: usize,
    examples: Vec<(String, String)>,
    more_examples: String,
    unfinished: String,
}

#[derive(Serialize)]
struct Part {
    place: String,
    what: String,
    told: String,
    share: Option<f64>,
    tone: &'static str,
}

/// What is needed to lay out the areas.
pub(super) struct Areas<'a> {
    pub(super) outcome: &'a Outcome,
    pub(super) compared: Option<&'a Comparison>,
    pub(super) values: Values,
    pub(super) anchors: &'a HashMap<&'a str, String>,
    pub(super) rows: &'a HashMap<String, u64>,
    pub(super) open: bool,
}

impl Areas<'_> {
    pub(super) fn all(&self, failed: &[&CheckResult]) -> Vec<(Area, Tally)> {
        // The worst checks of the whole run are the last to lose examples and parts.
        let (mut parts, mut rows) = (ALL_PARTS, ALL_EXAMPLES);
        let mut laid_out: HashMap<*const CheckResult, Check> = HashMap::new();
        for result in failed {
            let check = self.check(result, &mut parts, &mut rows);
            laid_out.insert(std::ptr::from_ref(*result), check);
        }
        let mut grouped: BTreeMap<(usize, &'static str), Vec<&CheckResult>> = BTreeMap::new();
        for result in &self.outcome.results {
            grouped.entry(area_of(result)).or_default().push(result);
        }
        let by_violations = failed.iter().enumerate().map(|(place, r)| (std::ptr::from_ref(*r), place));
        let order: HashMap<*const CheckResult, usize> = by_violations.collect();
        let mut areas = Vec::new();
        for (place, ((_, title), mut results)) in grouped.into_iter().enumerate() {
            results.sort_by_key(|result| order.get(&std::ptr::from_ref(*result)).copied().unwrap_or(usize::MAX));
            let tally = Tally::of(results.iter().copied());
            let groups = SEVERITIES.iter().map(|of| Group {
                severity: of.word(),
                title: self::title(*of),
                checks: results
                    .iter()
                    .filter(|result| has_failed(result) && severity(result) == *of)
                    .filter_map(|result| laid_out.remove(&std::ptr::from_ref(*result)))
                    .collect(),
            });
            let severities: Vec<Group> = groups.filter(|group| !group.checks.is_empty()).collect();
            let passed = results.iter().filter(|result| result.status == Status::Passed);
            let passed = passed.map(|result| {
                let rows = Told::check(result, self.rows).of.map_or(String::new(), |of| counted(of, "row"));
                [result.about.id.clone(), result.about.title.clone(), rows]
            });
            let (passed, more_passed) = cut(passed.collect(), 5 * LINES);
            if severities.is_empty() && passed.is_empty() {
                continue;
            }
            let failed = results.iter().filter(|result| has_failed(result)).count() as u64;
            let all = results.iter().filter(|result| was_carried_out(result)).count() as u64;
            let told = format!("{} of {} failed", thousands(failed), counted(all, "check"));
            areas.push((Area { title, anchor: format!("area-{place}"), told, severities, passed, more_passed }, tally));
        }
        areas
    }

    fn check(&self, result: &CheckResult, parts_left: &mut usize, examples_left: &mut usize) -> Check {
        let about = &result.about;
        let told = Told::check(result, self.rows);
        let (mut parts, mut more_parts) = (Vec::new(), 0);
        if result.parts.len() > 1 {
            let mut of: Vec<&PartResult> =
                result.parts.iter().filter(|part| matches!(part.status, Status::Failed | Status::Errored)).collect();
            of.sort_by_key(|part| std::cmp::Reverse((part.status == Status::Failed, part.severity, part.violations)));
            let room = PARTS.min(*parts_left);
            (parts, more_parts) = cut(of.into_iter().map(|part| self.part(part)).collect(), room);
            *parts_left -= parts.len();
        }
        let chosen = result.examples.len().min(*examples_left);
        *examples_left -= chosen;
        let more = result.violations.saturating_sub(chosen as u64);
        let mut tags = vec![format!("Pack {}", about.pack), about.kahn.to_string()];
        tags.extend(about.tags.iter().cloned());
        Check {
            anchor: self.anchors.get(about.id.as_str()).cloned().unwrap_or_default(),
            id: about.id.clone(),
            title: about.title.clone(),
            open: self.open,
            told: told.words(),
            percent: told.percent().unwrap_or_default(),
            share: told.share().map(percent),
            since: self
                .compared
                .and_then(|compared| compared.of(&about.id))
                .map_or(Vec::new(), |check| since(&check.change)),
            why: about.why.clone(),
            fix: about.fix.clone(),
            source: about.source.clone(),
            about: tags.join(" · "),
            parts,
            more_parts,
            examples: examples(result, chosen, self.values),
            more_examples: if more > 0 { thousands(more) } else { String::new() },
            unfinished: match result.status {
                Status::Errored => result.reason.clone().unwrap_or_default(),
                _ => String::new(),
            },
        }
    }

    fn part(&self, part: &PartResult) -> Part {
        let told = Told::part(part, self.rows);
        let errored = part.status == Status::Errored;
        Part {
            place: place(part),
            what: part.what.clone(),
            told: if errored { part.reason.clone().unwrap_or_default() } else { told.words() },
            share: if errored { None } else { told.share().map(percent) },
            tone: part.severity.word(),
        }
    }
}

fn since(change: &Change) -> Vec<(&'static str, String)> {
    let mut said = Vec::new();
    for (kind, number, word) in
        [("new", change.new, "new"), ("gone", change.gone, "gone"), ("still", change.still, "still there")]
    {
        if number > 0 {
            said.push((kind, format!("{} {word}", thousands(number))));
        }
    }
    if change.counted_before + change.counted_now > 0 {
        let (before, now) = (thousands(change.counted_before), thousands(change.counted_now));
        said.push(("still", format!("{before} before, {now} now")));
    }
    said
}
