//! `rows.diff`: the rows that differ as a unified diff, one line a cell.

use std::collections::BTreeMap;

use imis_mappings::verify::{Difference, DifferenceKind, Verification};
use similar::TextDiff;

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
    fn a_diff_shows_what_differs_and_masks_it() {
        let masked = rows_diff(&sample::verification(), Values::Masked);
        insta::assert_snapshot!(masked);
        let shown = rows_diff(&sample::verification(), Values::Shown);
        assert!(shown.contains("-  Claimed: 100.00") && shown.contains("+  Claimed: 100.01"), "{shown}");
        assert!(!shown.contains("hash-of-a-password"), "{shown}");
    }
}
