//! What a verification says to people, wherever it is shown: verdict, masked cells, lines of a table.

use imis_mappings::verify::{
    AreaTotal, CellDifference, ColumnTotal, Difference, DifferenceKind, Group, Status, TableVerdict, Verification,
};

use crate::consistency;
use crate::mask::{self, Values};
use crate::number::counted;

/// The verdict on a verification.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Proof {
    /// Nothing differs.
    Equal,
    /// Everything that differs is named.
    Explained,
    /// Nothing differs without a reason, but somebody wrote to what was to stand still.
    Disturbed,
    /// Something differs without a reason.
    Differs,
}

impl Proof {
    pub(crate) fn of(found: &Verification) -> Self {
        let explained_total = |status: &Status| matches!(status, Status::Explained(_));
        let explained = found.explained() > 0
            || found.totals.iter().any(|total| explained_total(&total.status))
            || found.areas.iter().any(|area| explained_total(&area.status));
        match (found.is_equal(), explained) {
            (false, _) => Proof::Differs,
            (true, _) if !found.disturbed().is_empty() => Proof::Disturbed,
            (true, true) => Proof::Explained,
            (true, false) => Proof::Equal,
        }
    }

    /// One sentence.
    pub(crate) fn sentence(self, found: &Verification) -> String {
        match self {
            Proof::Equal => "Both sides are equal.".to_owned(),
            Proof::Explained => {
                let explained = found.explained();
                match explained {
                    0 => "Both sides are equal, but for totals that a named rule explains.".to_owned(),
                    _ => format!("Nothing differs but {} that a named rule explains.", counted(explained, "row")),
                }
            }
            Proof::Disturbed | Proof::Differs => complaints(found).join("; ") + ".",
        }
    }
}

/// What differs without a reason, in a few words each.
pub(crate) fn complaints(found: &Verification) -> Vec<String> {
    let disturbed = [(&found.from, &found.from_reading), (&found.to, &found.to_reading)];
    let disturbed = disturbed.into_iter().filter(|(name, _)| found.disturbed().contains(&name.as_str()));
    let mut said: Vec<String> = disturbed.map(|(name, reading)| consistency::disturbed(name, reading)).collect();
    let unexplained = found.unexplained();
    if unexplained > 0 {
        let tables = found.tables.iter().filter(|t| t.unexplained() > 0).count() as u64;
        let verb = if unexplained == 1 { "differs" } else { "differ" };
        said.push(format!("{} {verb} in {}", counted(unexplained, "row"), counted(tables, "table")));
    }
    let totals = found.totals.iter().filter(|total| total.status.differs()).count() as u64;
    if totals > 0 {
        let noun = if totals == 1 { "total of a column differs" } else { "totals of columns differ" };
        said.push(format!("{totals} {noun}"));
    }
    let areas = found.areas.iter().filter(|area| area.status.differs()).count() as u64;
    if areas > 0 {
        let noun = if areas == 1 { "total by business area differs" } else { "totals by business area differ" };
        said.push(format!("{areas} {noun}"));
    }
    if !found.shape.is_empty() {
        said.push(format!("the two do not have one shape ({})", counted(found.shape.len() as u64, "place")));
    }
    said
}

/// A cell of one side as people may see it: NULL is no secret, a value is.
pub(crate) fn cell(column: &str, value: Option<&str>, values: Values) -> String {
    match value {
        None => "NULL".to_owned(),
        Some(value) => mask::value(column, value, values).to_string(),
    }
}

/// What differs in a row: `DOB: 1980-01-01 -> 1980-01-02`, or with values masked `DOB`.
pub(crate) fn cells(difference: &Difference, values: Values) -> String {
    let shown = |c: &CellDifference| {
        let (from, to) = (cell(&c.column, c.from.as_deref(), values), cell(&c.column, c.to.as_deref(), values));
        let is_plain = (c.from.is_none() && c.to.is_none()) || (from == "***" && to == "***");
        match difference.kind {
            DifferenceKind::Changed if !is_plain => format!("{}: {from} -> {to}", c.column),
            _ => c.column.clone(),
        }
    };
    match difference.kind {
        DifferenceKind::Changed | DifferenceKind::Unreadable => {
            difference.cells.iter().map(shown).collect::<Vec<_>>().join(", ")
        }
        DifferenceKind::Doubled => {
            format!("{} times, and {} times in --to", difference.from_times, difference.to_times)
        }
        _ => String::new(),
    }
}

/// A row's key; a row without one is told so.
pub(crate) fn key(difference: &Difference, values: Values) -> String {
    match difference.key.as_slice() {
        [] => "a row without key".to_owned(),
        key => mask::key(key, values),
    }
}

/// Why a row may differ, or what else there is to say.
pub(crate) fn why(difference: &Difference) -> String {
    let parts = [difference.explained.as_deref(), difference.why.as_deref()];
    parts.into_iter().flatten().collect::<Vec<_>>().join(": ")
}

/// A figure of a total. The least and the greatest are values of cells.
pub(crate) fn figure(total: &ColumnTotal, value: Option<&str>, values: Values) -> String {
    match (value, total.total.as_str()) {
        (None, "least" | "greatest") => "none".to_owned(),
        (None, _) => "-".to_owned(),
        (Some(value), "least" | "greatest") => mask::value(&total.column, value, values).to_string(),
        (Some(value), _) => value.to_owned(),
    }
}

/// Whether two totals agree, in a word.
pub(crate) fn status(status: &Status) -> String {
    match status {
        Status::Equal => "equal".to_owned(),
        Status::Explained(why) => format!("explained: {why}"),
        Status::Differs => "differs".to_owned(),
        Status::NotComputed(why) => format!("not computed: {why}"),
    }
}

/// The name of a group: `in force current, ClaimStatus 4`. Codes are masked unless asked for.
pub(crate) fn group(group: &Group, values: Values) -> String {
    let part = |(name, value): &(String, Option<String>)| {
        let value = match value {
            None => "none".to_owned(),
            Some(value) if name == "in force" => value.clone().to_lowercase(),
            Some(value) if name.starts_with("year of ") || name.starts_with("month of ") => value.clone(),
            Some(value) => mask::key_value(name, value, values).to_string(),
        };
        format!("{name} {value}")
    };
    group.by.iter().map(part).collect::<Vec<_>>().join(", ")
}

/// The figures of a side in one text: `12 rows, 1200.5`.
pub(crate) fn figures(figures: &[Option<String>]) -> String {
    match figures {
        [] => "no such group".to_owned(),
        figures => figures.iter().map(|f| f.as_deref().unwrap_or("-")).collect::<Vec<_>>().join(" / "),
    }
}

/// What a reader looks at first: totals by area that are not plainly equal, or all.
pub(crate) fn telling(area: &AreaTotal, verbose: bool) -> bool {
    verbose || area.status != Status::Equal
}

/// Tables about which there is something to say.
pub(crate) fn touched(table: &TableVerdict, verbose: bool) -> bool {
    verbose || table.unexplained() + table.explained() + table.from_rows + table.to_rows > 0
}

/// Which reasons explain rows of a table: `rejected 3, dangling-to-null 1`.
pub(crate) fn reasons(table: &TableVerdict) -> String {
    let explained = table.explained.iter().map(|(name, rows)| format!("{name} {rows}"));
    explained.collect::<Vec<_>>().join(", ")
}
