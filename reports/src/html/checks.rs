//! The page of a run of checks: the verdict, the overviews, then area by area what failed, why that matters and what to do.

use std::collections::{BTreeMap, HashMap, HashSet};

use imis_checks::outcome::{CheckResult, Kahn, Outcome, PartResult, Severity, Status};
use serde::Serialize;

use super::{Figure, Head, LINES, cut, render};
use crate::ReportError;
use crate::checks::{
    Change, CheckChange, Comparison, SEVERITIES, Tally, Told, Verdict, area_of, examples, has_failed, place, severity,
    was_carried_out, worst_first,
};
use crate::mask::Values;
use crate::number::{counted, thousands};

/// How many parts of one check a page shows.
const PARTS: usize = 20;
/// How many lines of parts, and of examples, a page shows in all: it opens at once whatever the run found.
const ALL_PARTS: usize = 3_000;
const ALL_EXAMPLES: usize = 2_000;
/// How many checks the list at the top names.
const FIRST: usize = 10;
/// Up to how many failed checks stand open.
const OPEN: usize = 6;
/// Up to how many failed checks are printed in full.
const PRINTED: usize = 200;

#[derive(Serialize)]
struct Page {
    #[serde(flatten)]
    head: Head,
    first: Vec<First>,
    more_first: usize,
    compared: Option<Compared>,
    overviews: Vec<Overview>,
    errored: Vec<[String; 3]>,
    more_errored: usize,
    areas: Vec<Area>,
    printed: bool,
    not_applicable: Vec<[String; 3]>,
    absent: String,
    more_not_applicable: usize,
    off: Vec<(String, String)>,
    parameters: Vec<(String, String)>,
    packs: Vec<[String; 3]>,
    tables: Vec<(String, String, String)>,
    more_tables: usize,
    notes: Vec<String>,
    more_notes: usize,
    shown: bool,
}

#[derive(Serialize)]
struct First {
    anchor: String,
    id: String,
    title: String,
    severity: &'static str,
    told: String,
}

#[derive(Serialize)]
struct Compared {
    with: String,
    total: [String; 3],
    rest: Vec<String>,
    mended: Vec<(String, String)>,
    more_mended: usize,
    notes: Vec<String>,
}

#[derive(Serialize)]
struct Overview {
    title: &'static str,
    lines: Vec<Line>,
}

#[derive(Serialize)]
struct Line {
    name: String,
    link: Option<String>,
    tone: &'static str,
    share: f64,
    numbers: [String; 5],
}

#[derive(Serialize)]
struct Area {
    title: &'static str,
    anchor: String,
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

/// The page of a run of checks, as one HTML text; beside an earlier run where there is one. Values are masked unless they were
/// asked for, secrets always.
///
/// # Errors
/// When the page cannot be rendered.
pub fn checks_page(outcome: &Outcome, compared: Option<&Comparison>, values: Values) -> Result<String, ReportError> {
    let verdict = Verdict::of(outcome);
    let (tone, badge, lead) = said(verdict);
    let failed = worst_first(outcome);
    let anchors = anchors(&failed);
    let rows = Told::rows(outcome);
    let tally = Tally::of(&outcome.results);
    let (first, more_first) = cut(
        failed
            .iter()
            .map(|result| First {
                anchor: anchors.get(result.about.id.as_str()).cloned().unwrap_or_default(),
                id: result.about.id.clone(),
                title: result.about.title.clone(),
                severity: severity(result).word(),
                told: Told::check(result, &rows).words(),
            })
            .collect(),
        FIRST,
    );
    let mut figures = vec![
        Figure::new(tally.passed, "checks passed"),
        Figure::alarming(failed.len() as u64, "checks failed"),
        Figure::alarming(tally.errored, "could not be carried out"),
        Figure::new(tally.violations, "violations"),
        Figure::new(outcome.tables.iter().map(|table| table.rows).sum(), "rows read"),
    ];
    if let Some(compared) = compared {
        figures.push(Figure::alarming(compared.total.new, "new violations"));
    }
    let listed = |status| {
        let of = outcome.results.iter().filter(move |result| result.status == status);
        let line = |r: &CheckResult| [r.about.id.clone(), r.about.title.clone(), r.reason.clone().unwrap_or_default()];
        cut(of.map(line).collect(), 5 * LINES)
    };
    let (errored, more_errored) = listed(Status::Errored);
    let (not_applicable, more_not_applicable) = listed(Status::NotApplicable);
    let tables = outcome.tables.iter().map(|table| {
        let refused = if table.refused > 0 { thousands(table.refused) } else { String::new() };
        (table.table.clone(), thousands(table.rows), refused)
    });
    let (tables, more_tables) = cut(tables.collect(), 5 * LINES);
    let (notes, more_notes) = cut(outcome.notes.clone(), LINES);
    let areas =
        Areas { outcome, compared, values, anchors: &anchors, rows: &rows, open: failed.len() <= OPEN }.all(&failed);
    render(
        "checks.html",
        Page {
            head: Head {
                title: "Data-quality checks".to_owned(),
                tone,
                badge,
                headline: verdict.sentence(outcome),
                lead: lead.to_owned(),
                facts: facts(outcome, compared),
                figures,
            },
            first,
            more_first,
            compared: compared.map(since_then),
            overviews: overviews(outcome, &areas),
            errored,
            more_errored,
            areas: areas.into_iter().map(|(area, _)| area).collect(),
            printed: failed.len() <= PRINTED,
            not_applicable,
            absent: match outcome.count(Status::NotApplicable) as u64 {
                1 => "1 check is".to_owned(),
                number => format!("{} are", counted(number, "check")),
            },
            more_not_applicable,
            off: outcome.off.iter().map(|off| (off.id.clone(), off.why.clone())).collect(),
            parameters: outcome.parameters.clone(),
            packs: outcome
                .packs
                .iter()
                .map(|pack| [pack.name.clone(), pack.title.clone(), pack.hash.chars().take(12).collect()])
                .collect(),
            tables,
            more_tables,
            notes,
            more_notes,
            shown: values == Values::Shown,
        },
    )
}

fn said(verdict: Verdict) -> (&'static str, &'static str, &'static str) {
    match verdict {
        Verdict::Sound => (
            "good",
            "Sound",
            "Every check that fits this database was carried out on every row, and no row breaks any of them.",
        ),
        Verdict::Broken(Severity::Blocker) => (
            "bad",
            "Blockers",
            "Blockers stop a migration or the backend: mend them first, or see that the mapping does. Each check below says why it \
             matters, what to do, and which rows to look at.",
        ),
        Verdict::Broken(Severity::Error) => (
            "bad",
            "Errors",
            "Nothing stops a migration, but some of the data is wrong. Each check below says why it matters, what to do, and which rows \
             to look at.",
        ),
        Verdict::Broken(Severity::Warning) => (
            "warning",
            "Warnings",
            "Nothing is plainly wrong; what is below should be looked at by somebody who knows the country.",
        ),
        Verdict::Broken(Severity::Info) => {
            ("good", "Sound, with remarks", "Nothing is wrong; what is below is good to know.")
        }
        Verdict::Unsure => (
            "warning",
            "Not all checked",
            "What was checked is sound, but not everything could be checked. The list below says what failed, and why.",
        ),
        Verdict::Unchecked => (
            "warning",
            "Nothing checked",
            "The database has none of the tables and columns that the checks are about. Is it the right one?",
        ),
    }
}

fn facts(outcome: &Outcome, compared: Option<&Comparison>) -> Vec<(&'static str, String)> {
    let mut facts = vec![
        ("Database", outcome.location.clone()),
        ("Product", outcome.engine.clone()),
        ("Day that counts as today", outcome.as_of.to_string()),
        ("Began", super::moment(&outcome.started.to_string())),
        ("Took", format!("{:.1} seconds", outcome.seconds)),
        ("Run", outcome.run.clone()),
        ("Packs", outcome.packs.iter().map(|pack| pack.name.as_str()).collect::<Vec<_>>().join(", ")),
    ];
    facts.extend(compared.map(|with| ("Compared with", format!("run {} of {}", with.run, with.as_of))));
    facts
}

fn since_then(compared: &Comparison) -> Compared {
    let Change { new, gone, still, counted_before, counted_now, only_before, only_now } = compared.total;
    let mut rest = Vec::new();
    if counted_before + counted_now > 0 {
        let (before, now) = (thousands(counted_before), thousands(counted_now));
        rest.push(format!("Rows that cannot be told one by one: {before} before, {now} now."));
    }
    if only_before + only_now > 0 {
        let (before, now) = (thousands(only_before), thousands(only_now));
        rest.push(format!("Found by checks that only one of the runs carried out: {before} before, {now} now."));
    }
    let is_mended = |check: &&CheckChange| {
        check.change.gone > 0 && check.change.new + check.change.still + check.change.counted_now == 0
    };
    let mended = compared.checks.iter().filter(is_mended);
    let (mended, more_mended) =
        cut(mended.map(|check| (check.id.clone(), thousands(check.change.gone))).collect(), LINES);
    Compared {
        with: format!(
            "run {} of {}, which counted {} as today",
            compared.run,
            super::moment(&compared.started),
            compared.as_of
        ),
        total: [new, gone, still].map(thousands),
        rest,
        mended,
        more_mended,
        notes: compared.notes.clone(),
    }
}

/// A place on the page for each failed check: `check-I5`, or a number where an id is no name or stands twice.
fn anchors<'a>(failed: &[&'a CheckResult]) -> HashMap<&'a str, String> {
    let mut taken = HashSet::new();
    failed
        .iter()
        .enumerate()
        .map(|(place, result)| {
            let id = result.about.id.as_str();
            let plain = !id.is_empty() && id.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'));
            let anchor = if plain && taken.insert(id) { format!("check-{id}") } else { format!("number-{place}") };
            (id, anchor)
        })
        .collect()
}

fn line(name: &str, link: Option<String>, tone: &'static str, tally: Tally) -> Line {
    let all = tally.passed + tally.failed;
    let share = if all == 0 { 0.0 } else { percent(tally.failed as f64 / all as f64) };
    Line { name: name.to_owned(), link, tone, share, numbers: tally.numbers().map(thousands) }
}

/// A share in percent for a bar: what is there can be seen, what is not all is not full.
fn percent(share: f64) -> f64 {
    let percent = (share * 1000.0).round() / 10.0;
    match share {
        share if share <= 0.0 => 0.0,
        share if share >= 1.0 => 100.0,
        _ => percent.clamp(1.0, 99.0),
    }
}

fn overviews(outcome: &Outcome, areas: &[(Area, Tally)]) -> Vec<Overview> {
    let of = |is: &dyn Fn(&CheckResult) -> bool| Tally::of(outcome.results.iter().filter(|result| is(result)));
    let severities = SEVERITIES.iter().map(|s| line(title(*s), None, s.word(), of(&|result| severity(result) == *s)));
    let packs =
        outcome.packs.iter().map(|pack| line(&pack.name, None, "", of(&|result| result.about.pack == pack.name)));
    let kahn = [Kahn::Conformance, Kahn::Completeness, Kahn::Plausibility].map(|kahn| {
        let meaning = match kahn {
            Kahn::Conformance => "Conformance: values keep to form, keys and rules",
            Kahn::Completeness => "Completeness: values are there",
            Kahn::Plausibility => "Plausibility: values can be true",
        };
        line(meaning, None, "", of(&|result| result.about.kahn == kahn))
    });
    let areas = areas.iter().map(|(area, tally)| line(area.title, Some(area.anchor.clone()), "", *tally));
    let some = |line: &Line| line.numbers[..4].iter().any(|number| number != "0");
    [
        ("By severity", severities.collect::<Vec<_>>()),
        ("By business area", areas.collect()),
        ("By pack", packs.collect()),
        ("By kind of quality", kahn.into()),
    ]
    .into_iter()
    .map(|(title, lines)| Overview { title, lines: lines.into_iter().filter(some).collect() })
    .filter(|overview| !overview.lines.is_empty())
    .collect()
}

fn title(severity: Severity) -> &'static str {
    match severity {
        Severity::Blocker => "Blockers",
        Severity::Error => "Errors",
        Severity::Warning => "Warnings",
        Severity::Info => "Remarks",
    }
}

/// What is needed to lay out the areas.
struct Areas<'a> {
    outcome: &'a Outcome,
    compared: Option<&'a Comparison>,
    values: Values,
    anchors: &'a HashMap<&'a str, String>,
    rows: &'a HashMap<String, u64>,
    open: bool,
}

impl Areas<'_> {
    fn all(&self, failed: &[&CheckResult]) -> Vec<(Area, Tally)> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample_checks;

    #[test]
    fn the_page_says_what_failed_and_what_to_do() {
        let (outcome, compared) = (sample_checks::outcome(), sample_checks::comparison());
        let page = checks_page(&outcome, Some(&compared), Values::Masked).unwrap();
        let main = page.split_once("<main>").unwrap().1;
        insta::assert_snapshot!(main);
        assert!(!page.contains("070707070") && !page.contains("A00.1"));
        let shown = checks_page(&outcome, None, Values::Shown).unwrap();
        assert!(shown.contains("CHFID 070707070") && shown.contains("keep this folder to yourself"), "{shown}");
    }

    #[test]
    fn a_page_of_sound_data_says_so() {
        let mut outcome = sample_checks::outcome();
        outcome.results.retain(|result| result.status == Status::Passed);
        let page = checks_page(&outcome, None, Values::Masked).unwrap();
        assert!(
            page.contains("Sound: no row breaks any of the 2 checks") && !page.contains("Look at these first"),
            "{page}"
        );
    }

    #[test]
    fn three_thousand_results_and_a_million_violations_are_a_page_that_opens_at_once() {
        let outcome = sample_checks::country(3_000, 333);
        assert!(outcome.results.iter().map(|result| result.violations).sum::<u64>() > 1_000_000);
        let page = checks_page(&outcome, None, Values::Masked).unwrap();
        assert!(page.len() < 6_000_000, "{} bytes", page.len());
        assert!(page.contains("Z2999"), "every check is there");
        assert!(!page.contains("planted-value"));
    }
}
