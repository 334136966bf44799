//! The page of a run of checks: the verdict, the overviews, then area by area what failed, why that matters and what to do.

mod areas;

use std::collections::{HashMap, HashSet};

use imis_checks::outcome::{CheckResult, Kahn, Outcome, Severity, Status};
use serde::Serialize;

use self::areas::{Area, Areas};
use super::{Figure, Head, LINES, cut, render};
use crate::ReportError;
use crate::checks::{Change, CheckChange, Comparison, SEVERITIES, Tally, Told, Verdict, severity, worst_first};
use crate::mask::Values;
use crate::number::{counted, thousands};

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
