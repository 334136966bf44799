//! A comparison of two schemas on a terminal. The summary stands at the end.

use imis_schemas::compare::{Change, Comparison, Difference, KINDS, Kind};

use super::{Cell, Style, Tint, facts, table, wrapped};
use crate::comparison::{diff_lines, line, not_compared, of_kind, side, sign, tables, title, verdict};
use crate::escape;
use crate::number::counted;

/// How many lines of the diff of a text are shown.
const LINES: usize = 20;
/// How many names of what could not be compared are shown.
const NAMES: usize = 5;

/// What differs, for people: tables on one side, then table by table, then views, routines and types.
pub fn comparison(found: &Comparison, style: &Style) -> String {
    let mut text = facts(&[("A", side(&found.a)), ("B", side(&found.b))]);
    text += &presence(found, style);
    for group in tables(found) {
        text += &format!("\n{}\n", style.tint(Tint::Heading, &escape::terminal(title(group.object))));
        for difference in group.differences {
            text += &told(difference, style);
        }
    }
    for (kind, heading) in
        [(Kind::Views, "Views"), (Kind::Routines, "Procedures and functions"), (Kind::UserTypes, "Types of users")]
    {
        let differences = of_kind(found, kind);
        if !differences.is_empty() {
            text += &style.heading(heading);
        }
        for difference in differences {
            text += &object(difference, style);
        }
    }
    if style.verbose && !found.remarks.is_empty() {
        text += &style.heading("Called otherwise, and the same");
        for remark in &found.remarks {
            let said = format!("{} of {}: {} and {}", remark.kind.noun(), remark.object, remark.a, remark.b);
            text += &wrapped(&said, style, 4);
        }
    }
    text += &gaps(found, style);
    text += &summary(found, style);
    let tint = if found.differs { Tint::Bad } else { Tint::Good };
    text + "\n" + &style.tint(tint, &verdict(found)) + "\n"
}

/// Tables that one side has, and those that were renamed.
fn presence(found: &Comparison, style: &Style) -> String {
    let differences = of_kind(found, Kind::Tables);
    let mut text = String::new();
    for (change, heading) in [(Change::OnlyA, "Tables that only A has"), (Change::OnlyB, "Tables that only B has")] {
        let names: Vec<&str> = differences.iter().filter(|d| d.change == change).map(|d| d.object.as_str()).collect();
        if !names.is_empty() {
            text += &style.heading(&format!("{heading}: {}", names.len()));
            text += &wrapped(&names.join(", "), style, 0);
        }
    }
    let renamed: Vec<_> = differences.iter().filter(|d| !matches!(d.change, Change::OnlyA | Change::OnlyB)).collect();
    if !renamed.is_empty() {
        text += &style.heading("Tables that are called otherwise");
        renamed.iter().for_each(|difference| text += &told(difference, style));
    }
    text
}

fn tint(change: Change) -> Tint {
    match change {
        Change::OnlyA => Tint::Bad,
        Change::OnlyB => Tint::Good,
        Change::Changed | Change::Renamed | Change::Respelled => Tint::Warning,
    }
}

/// One line (or more, where the terminal ends) for a difference within a table.
fn told(difference: &Difference, style: &Style) -> String {
    let mut said = line(difference);
    if let Some(name) = difference.called.as_ref().filter(|_| style.verbose) {
        said += &format!(" [{name}]");
    }
    colored(difference, &said, style)
}

fn colored(difference: &Difference, said: &str, style: &Style) -> String {
    let sign = sign(difference.change);
    let lines = wrapped(&format!("  {sign} {said}"), style, 6);
    // The sign carries the colour, so that a line that wraps stays readable.
    match lines.split_once(sign) {
        Some((before, after)) => format!("{before}{}{after}", style.tint(tint(difference.change), &sign.to_string())),
        None => lines,
    }
}

/// A view, routine or type, with the diff of its text.
fn object(difference: &Difference, style: &Style) -> String {
    let said = line(difference);
    let (noun, rest) = said.split_at(said.find([':', ' ']).unwrap_or(said.len()));
    let noun = if difference.kind == Kind::UserTypes { "" } else { noun };
    let rest = if difference.kind == Kind::UserTypes { said.trim_start_matches("user type") } else { rest };
    let mut text = colored(difference, &format!("{noun} {}{rest}", difference.object).trim().replace("  ", " "), style);
    let Some(diff) = &difference.diff else { return text };
    let limit = if style.verbose { usize::MAX } else { LINES };
    let mut lines = diff_lines(diff).skip(2);
    for line in lines.by_ref().take(limit) {
        let shown = escape::terminal(&line).into_owned();
        let shown = match line.chars().next() {
            Some('-') => style.tint(Tint::Bad, &shown),
            Some('+') => style.tint(Tint::Good, &shown),
            Some('@') => style.tint(Tint::Heading, &shown),
            _ => shown,
        };
        text += &format!("      {}\n", shown.trim_end());
    }
    let left = lines.count() as u64;
    if left > 0 {
        text += &format!("      and {} (-v shows them; --report writes them down)\n", counted(left, "more line"));
    }
    text
}

fn gaps(found: &Comparison, style: &Style) -> String {
    let lines = not_compared(found, if style.verbose { usize::MAX } else { NAMES });
    if lines.is_empty() {
        return String::new();
    }
    let lines: String = lines.iter().map(|line| wrapped(&format!("- {line}"), style, 2)).collect();
    style.heading("Not compared") + &lines
}

fn summary(found: &Comparison, style: &Style) -> String {
    let with_gaps = found.summary.values().any(|count| count.uncompared > 0);
    let mut headers = vec!["", "only A", "only B", "changed", "renamed", "equal"];
    if with_gaps {
        headers.push("not compared");
    }
    let rows: Vec<Vec<Cell>> = KINDS
        .iter()
        .filter_map(|kind| Some((kind, found.summary.get(kind)?)))
        .map(|(kind, count)| {
            let mut row = vec![
                kind.name().into(),
                Cell::Alarm(count.only_a),
                Cell::Alarm(count.only_b),
                Cell::Alarm(count.changed),
                Cell::Alarm(count.renamed),
                count.equal.into(),
            ];
            if with_gaps {
                row.push(count.uncompared.into());
            }
            row
        })
        .collect();
    style.heading("Summary") + &table(&headers, &rows, style)
}
