//! A run of checks on a terminal: how many ended how, then what failed, the worst first. The verdict stands at the end.

use std::collections::HashMap;

use imis_checks::outcome::{CheckResult, Outcome, PartResult, Severity, Status};

use super::{Cell, Style, Tint, facts, paragraph, table, wrapped};
use crate::checks::{Change, Comparison, SEVERITIES, Tally, Told, Verdict, examples, named, severity, worst_first};
use crate::escape;
use crate::number::{counted, thousands};

/// How many failed checks are shown where the style is not verbose.
const SHOWN: usize = 40;
/// How many parts of a check that failed are shown where the style is not verbose.
const PARTS: usize = 4;
/// How far the lines of a check stand in.
const INDENT: usize = 4;

/// What a run of checks found, for people; beside an earlier run where there is one.
pub fn checks(outcome: &Outcome, compared: Option<&Comparison>, style: &Style) -> String {
    let packs = outcome.packs.iter().map(|pack| pack.name.as_str()).collect::<Vec<_>>().join(", ");
    let mut head = vec![
        ("database", outcome.location.clone()),
        ("packs", packs),
        ("today is", outcome.as_of.to_string()),
        ("run", outcome.run.clone()),
    ];
    head.extend(compared.map(|with| ("compared", format!("with run {} of {}", with.run, with.as_of))));
    let verdict = Verdict::of(outcome);
    let tint = match verdict {
        Verdict::Sound => Tint::Good,
        Verdict::Broken(Severity::Info) => Tint::Good,
        Verdict::Broken(Severity::Blocker | Severity::Error) => Tint::Bad,
        Verdict::Broken(Severity::Warning) | Verdict::Unsure | Verdict::Unchecked => Tint::Warning,
    };
    let mut text = facts(&head);
    text += "\n";
    text += &counts(outcome, style);
    let failed = worst_first(outcome);
    let shown = if style.verbose { failed.len() } else { failed.len().min(SHOWN) };
    let rows = Told::rows(outcome);
    for of in SEVERITIES {
        let all: Vec<&CheckResult> = failed.iter().copied().filter(|result| severity(result) == of).collect();
        let first: Vec<&CheckResult> =
            failed.iter().take(shown).copied().filter(|result| severity(result) == of).collect();
        if first.is_empty() {
            continue;
        }
        text += &style.heading(&title(of, all.len() as u64));
        let each = first.iter().map(|result| one(result, &rows, compared, style));
        text += &each.collect::<Vec<_>>().join("\n");
    }
    if failed.len() > shown {
        let left = counted((failed.len() - shown) as u64, "more check");
        text += &format!("\nand {left} that failed (-v shows them; --report writes them down)\n");
    }
    text += &errored(outcome, style);
    text += &not_applicable(outcome, style);
    text += &compared.map_or(String::new(), |compared| comparison(compared, style));
    if !outcome.notes.is_empty() {
        text += &style.heading("Notes");
        outcome.notes.iter().for_each(|note| text += &wrapped(&format!("- {note}"), style, 2));
    }
    text.push('\n');
    // Wrapped first: a colour takes no room.
    text + &style.tint(tint, paragraph(&verdict.sentence(outcome), style).trim_end()) + "\n"
}

fn title(severity: Severity, checks: u64) -> String {
    let noun = match severity {
        Severity::Blocker => "Blockers",
        Severity::Error => "Errors",
        Severity::Warning => "Warnings",
        Severity::Info => "Remarks",
    };
    format!("{noun}: {}", counted(checks, "check"))
}

fn tint(severity: Severity) -> Tint {
    match severity {
        Severity::Blocker | Severity::Error => Tint::Bad,
        Severity::Warning => Tint::Warning,
        Severity::Info => Tint::Heading,
    }
}

fn counts(outcome: &Outcome, style: &Style) -> String {
    let line = |name: &str, tally: Tally| {
        let [failed, passed, errored, not_applicable, violations] = tally.numbers();
        let alarms = [failed, errored].map(Cell::Alarm);
        let [failed, errored] = alarms;
        vec![name.into(), failed, passed.into(), errored, not_applicable.into(), violations.into()]
    };
    let mut rows: Vec<Vec<Cell>> = SEVERITIES
        .iter()
        .map(|of| (of, outcome.results.iter().filter(|result| severity(result) == *of).collect::<Vec<_>>()))
        .filter(|(_, results)| !results.is_empty())
        .map(|(of, results)| line(of.word(), Tally::of(results)))
        .collect();
    if rows.len() != 1 {
        rows.push(line("all", Tally::of(&outcome.results)));
    }
    table(&["severity", "failed", "passed", "errored", "not applicable", "violations"], &rows, style)
}

/// A check that failed: what, how much of it, where, and the way to know more.
fn one(result: &CheckResult, rows: &HashMap<String, u64>, compared: Option<&Comparison>, style: &Style) -> String {
    let about = &result.about;
    let lead = " ".repeat(INDENT);
    // Wrapped as it is without colour, then the id is tinted where it stands.
    let first = wrapped(&format!("{}  {}", about.id, about.title), style, INDENT);
    let id = escape::terminal(&about.id).into_owned();
    let mut text = match first.strip_prefix(&id) {
        Some(rest) => style.tint(tint(severity(result)), &id) + rest,
        None => first,
    };
    let told = Told::check(result, rows);
    let mut said = told.words();
    said += &told.percent().map_or(String::new(), |percent| format!(", {percent}"));
    let change = compared.and_then(|compared| compared.of(&about.id)).map(|check| since(&check.change));
    said += &change.filter(|said| !said.is_empty()).map_or(String::new(), |change| format!("; {change}"));
    match told.share() {
        Some(share) => {
            text += &format!("{lead}{}  {}", bar(share, tint(severity(result)), style), behind_bar(&said, style))
        }
        None => text += &wrapped(&format!("{lead}{said}"), style, INDENT),
    }
    let mut line = |line: &str| text += &wrapped(&format!("{lead}{line}"), style, INDENT + 2);
    let failed: Vec<&PartResult> = result.parts.iter().filter(|part| part.status == Status::Failed).collect();
    if result.parts.len() > 1 {
        let shown = if style.verbose { failed.len() } else { PARTS };
        for part in failed.iter().take(shown) {
            line(&format!("- {}: {}", named(part), Told::part(part, rows).words()));
        }
        if failed.len() > shown {
            line(&format!("- and {} (-v shows them)", counted((failed.len() - shown) as u64, "more part")));
        }
    }
    for (table, keys) in examples(result, usize::MAX, style.values) {
        let more = if told.violations > result.examples.len() as u64 { ", ..." } else { "" };
        line(&format!("{table}: {keys}{more}"));
    }
    if style.verbose {
        for (label, said) in [("why", &about.why), ("fix", &about.fix), ("source", &about.source)] {
            if !said.is_empty() {
                line(&format!("{label}: {said}"));
            }
        }
    }
    line(&format!("imis check explain {}", about.id));
    text
}

/// How wide a bar is.
fn bar_width(style: &Style) -> usize {
    (usize::from(style.width.unwrap_or(100)) / 4).clamp(8, 30)
}

/// A share as a bar; what is there is never shown as nothing, nor what is not all as all.
fn bar(share: f64, tint: Tint, style: &Style) -> String {
    let width = bar_width(style);
    let full = (share * width as f64).round() as usize;
    let full = match share {
        share if share >= 1.0 => width,
        _ => full.clamp(1, width.saturating_sub(1)),
    };
    style.tint(tint, &"█".repeat(full)) + &"░".repeat(width - full)
}

/// A text that goes on behind the bar.
fn behind_bar(text: &str, style: &Style) -> String {
    let start = INDENT + bar_width(style) + 2;
    let lines = wrapped(&format!("{}{text}", " ".repeat(start)), style, start);
    lines.get(start..).unwrap_or_default().to_owned()
}

/// `3 new, 1 gone`; empty where nothing changed.
fn since(change: &Change) -> String {
    let mut said: Vec<String> = [(change.new, "new"), (change.gone, "gone"), (change.still, "still there")]
        .iter()
        .filter(|(number, _)| *number > 0)
        .map(|(number, word)| format!("{} {word}", thousands(*number)))
        .collect();
    if change.counted_before + change.counted_now > 0 {
        said.push(format!(
            "counted only: {} before, {} now",
            thousands(change.counted_before),
            thousands(change.counted_now)
        ));
    }
    if change.only_now > 0 {
        said.push(format!("{} not compared", thousands(change.only_now)));
    }
    said.join(", ")
}

fn errored(outcome: &Outcome, style: &Style) -> String {
    let errored: Vec<&CheckResult> = outcome.results.iter().filter(|r| r.status == Status::Errored).collect();
    if errored.is_empty() {
        return String::new();
    }
    let mut text = style.heading("Could not be carried out");
    for result in errored {
        let reason = result.reason.as_deref().unwrap_or("the reason is not known");
        text += &wrapped(&format!("{}  {}: {reason}", result.about.id, result.about.title), style, INDENT);
    }
    text
}

fn not_applicable(outcome: &Outcome, style: &Style) -> String {
    let absent: Vec<&CheckResult> = outcome.results.iter().filter(|r| r.status == Status::NotApplicable).collect();
    match absent.len() as u64 {
        0 => String::new(),
        number if !style.verbose => {
            let verb = if number == 1 { "is" } else { "are" };
            format!("\n{} {verb} not applicable to this database (-v shows them)\n", counted(number, "check"))
        }
        _ => {
            let line = |result: &&CheckResult| {
                let reason = result.reason.as_deref().map_or(String::new(), |reason| format!(": {reason}"));
                wrapped(&format!("{}  {}{reason}", result.about.id, result.about.title), style, INDENT)
            };
            style.heading("Not applicable to this database") + &absent.iter().map(line).collect::<String>()
        }
    }
}

fn comparison(compared: &Comparison, style: &Style) -> String {
    let title = wrapped(&format!("Since run {} of {}", compared.run, compared.as_of), style, 2);
    let mut text = style.heading(title.trim_end());
    let total = &compared.total;
    let mut cells = vec![Cell::Alarm(total.new), total.gone.into(), total.still.into()];
    let mut headers = vec!["new", "gone", "still there"];
    for (header, number) in [
        ("counted before", total.counted_before),
        ("counted now", total.counted_now),
        ("only looked at before", total.only_before),
        ("only looked at now", total.only_now),
    ] {
        if number > 0 {
            headers.push(header);
            cells.push(number.into());
        }
    }
    text += &table(&headers, &[cells], style);
    let mended: Vec<String> = compared
        .checks
        .iter()
        .filter(|check| check.change.gone > 0 && check.change.new + check.change.still + check.change.counted_now == 0)
        .map(|check| format!("{} ({})", check.id, thousands(check.change.gone)))
        .collect();
    if !mended.is_empty() {
        text += "\n";
        text += &wrapped(&format!("Mended: {}", mended.join(", ")), style, 2);
    }
    if !compared.notes.is_empty() {
        text += "\n";
        compared.notes.iter().for_each(|note| text += &wrapped(&format!("- {note}"), style, 2));
    }
    text
}
