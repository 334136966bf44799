//! `rows.diff`: the rows that differ as a unified diff, one line a cell; `schema.diff`: what differs between two schemas, one
//! line a thing, and the texts of views and routines.

use std::collections::BTreeMap;

use imis_mappings::verify::{Difference, DifferenceKind, Verification};
use imis_schemas::compare::{self, Comparison};
use similar::TextDiff;

use crate::comparison::{diff_lines, title, what};
use crate::escape;
use crate::mask::{MaskedOrShown, Values, value};
use crate::verification::key;

/// The rows that differ, table by table. Explained ones are left out. A masked value is written so that the two sides still
/// differ.
pub fn rows_diff(found: &Verification, values: Values) -> String {
    let mut tables: BTreeMap<&str, (String, String)> = BTreeMap::new();
    for difference in found.differences.iter().filter(|d| d.explained.is_none()) {
        let (from, to) = tables.entry(&difference.table).or_default();
        from.push_str(&lines(difference, Side::From, values));
        to.push_str(&lines(difference, Side::To, values));
    }
    let mut text = String::new();
    for (table, (from, to)) in tables {
        let table = escape::terminal(table).into_owned();
        let diff = TextDiff::from_lines(&from, &to);
        text +=
            &diff.unified_diff().context_radius(1).header(&format!("from/{table}"), &format!("to/{table}")).to_string();
    }
    text
}

/// What differs between two schemas, object by object in the order of the comparison. White space, comments and brackets of
/// texts are set aside, so that this is for reading and not for patching.
pub fn schema_diff(found: &Comparison) -> String {
    let mut text = String::new();
    let mut objects: Vec<(&str, String, String)> = Vec::new();
    for difference in &found.differences {
        if let Some(diff) = &difference.diff {
            text.extend(diff_lines(diff).map(|line| format!("{}\n", escape::terminal(&line))));
            continue;
        }
        if objects.last().is_none_or(|(object, ..)| *object != difference.object) {
            objects.push((&difference.object, String::new(), String::new()));
        }
        if let Some((_, a, b)) = objects.last_mut() {
            a.push_str(&thing(difference, difference.a.as_deref()));
            b.push_str(&thing(difference, difference.b.as_deref()));
        }
    }
    let mut all = String::new();
    for (object, a, b) in objects {
        let object = escape::terminal(title(object)).into_owned();
        let diff = TextDiff::from_lines(&a, &b);
        all +=
            &diff.unified_diff().context_radius(1).header(&format!("a/{object}"), &format!("b/{object}")).to_string();
    }
    all + &text
}

/// What one side has of a thing that differs; nothing where it has none.
fn thing(difference: &compare::Difference, has: Option<&str>) -> String {
    let Some(has) = has else { return String::new() };
    let noun = if difference.kind == compare::Kind::Columns { "column".to_owned() } else { what(difference) };
    // A column on one side is described by its type, which does not say its name; a renamed one by its name.
    let name = match (difference.kind, difference.change) {
        (compare::Kind::Columns, compare::Change::OnlyA | compare::Change::OnlyB) => {
            format!(" {}", difference.part.as_deref().unwrap_or_default())
        }
        _ => String::new(),
    };
    format!("{}\n", escape::terminal(&format!("{noun}{name}: {has}")))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    From,
    To,
}

fn lines(difference: &Difference, side: Side, values: Values) -> String {
    let times = match side {
        Side::From => difference.from_times,
        Side::To => difference.to_times,
    };
    if times == 0 {
        return String::new();
    }
    let mut text = format!("[{}]\n", escape::terminal(&key(difference, values)));
    if difference.kind == DifferenceKind::Doubled {
        text += &format!("  stands {times} times\n");
    }
    for cell in &difference.cells {
        let (own, other) = match side {
            Side::From => (&cell.from, &cell.to),
            Side::To => (&cell.to, &cell.from),
        };
        if own.is_none() && other.is_none() {
            continue;
        }
        let shown = match own.as_ref().map(|own| value(&cell.column, own, values)) {
            None => "NULL".to_owned(),
            Some(MaskedOrShown::Masked) if side == Side::From => "*** (from)".to_owned(),
            Some(MaskedOrShown::Masked) => "*** (to)".to_owned(),
            Some(MaskedOrShown::Shown(text)) => text,
        };
        text += &format!("  {}: {}\n", escape::terminal(&cell.column), escape::terminal(&shown));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    #[test]
    fn what_differs_between_schemas_is_a_diff_too() {
        insta::assert_snapshot!(schema_diff(&sample::comparison()));
    }

    #[test]
    fn a_diff_shows_what_differs_and_masks_it() {
        let masked = rows_diff(&sample::verification(), Values::Masked);
        insta::assert_snapshot!(masked);
        let shown = rows_diff(&sample::verification(), Values::Shown);
        assert!(shown.contains("-  Claimed: 100.00") && shown.contains("+  Claimed: 100.01"), "{shown}");
        assert!(!shown.contains("hash-of-a-password"), "{shown}");
    }
}
