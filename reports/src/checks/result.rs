//! What is said of one check, wherever it is shown: how bad, how many of how many rows, which rows.

use std::cmp::Reverse;
use std::collections::HashMap;

use imis_checks::outcome::{CheckResult, Example, Outcome, PartResult, Severity, Status};

use super::looked::{COLUMN_NAME, TABLE_NAME};
use super::verdict::has_failed;
use crate::mask::{self, Values};
use crate::number::{counted, thousands};
use crate::words;

/// How bad a check is: as bad as the worst of its parts that failed.
pub(crate) fn severity(result: &CheckResult) -> Severity {
    let failed = result.parts.iter().filter(|part| part.status == Status::Failed);
    failed.map(|part| part.severity).max().unwrap_or(result.about.severity)
}

/// The checks that rows break, the worst first, then those with the most violations.
pub(crate) fn worst_first(outcome: &Outcome) -> Vec<&CheckResult> {
    let mut failed: Vec<&CheckResult> = outcome.results.iter().filter(|result| has_failed(result)).collect();
    failed.sort_by_key(|result| Reverse((severity(result), result.violations)));
    failed
}

/// The business area of a check and its place among the areas: that of the tables which broke it, or that it looked at.
pub(crate) fn area_of(result: &CheckResult) -> (usize, &'static str) {
    let failed = has_failed(result);
    let parts = result.parts.iter().filter(|part| !failed || part.status == Status::Failed);
    let mut found = None;
    for part in parts {
        let area = match super::looked::is_about_schema(&part.table) {
            true => (usize::MAX, "The schema"),
            false => words::area(&part.table),
        };
        match found {
            None => found = Some(area),
            Some(other) if other == area => {}
            Some(_) => return (usize::MAX - 1, "Several areas"),
        }
    }
    found.unwrap_or((usize::MAX - 2, words::OTHER))
}

/// How many rows break something, of how many.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Told {
    pub(crate) violations: u64,
    pub(crate) of: Option<u64>,
    groups: Option<u64>,
    /// Whether several parts were taken together: a row may stand for more than one violation.
    several: bool,
    about_schema: bool,
}

impl Told {
    /// Of a check: its parts taken together.
    pub(crate) fn check(result: &CheckResult, rows: &HashMap<String, u64>) -> Self {
        let carried_out = result.parts.iter().filter(|p| matches!(p.status, Status::Passed | Status::Failed));
        // Several parts look at the same rows of a table: those are not more rows for that.
        let mut tables: HashMap<String, Option<u64>> = HashMap::new();
        for part in carried_out {
            let looked_at = looked_at(part, rows);
            let all = tables.entry(part.table.to_lowercase()).or_insert(looked_at);
            *all = all.zip(looked_at).map(|(all, more)| all.max(more));
        }
        Told {
            violations: result.violations,
            of: tables.into_values().sum(),
            groups: result.groups,
            several: result.parts.len() > 1,
            about_schema: is_about_schema(result),
        }
    }

    /// Of a part.
    pub(crate) fn part(part: &PartResult, rows: &HashMap<String, u64>) -> Self {
        Told {
            violations: part.violations,
            of: looked_at(part, rows),
            groups: part.groups,
            several: false,
            about_schema: super::looked::is_about_schema(&part.table),
        }
    }

    /// Rows of tables by name, for checks that do not say what they looked at.
    pub(crate) fn rows(outcome: &Outcome) -> HashMap<String, u64> {
        outcome.tables.iter().map(|table| (table.table.to_lowercase(), table.rows)).collect()
    }

    /// The share of rows that break it, from 0 to 1; `None` where nobody knows of how many.
    pub(crate) fn share(&self) -> Option<f64> {
        let of = self.of.filter(|of| *of > 0 && *of >= self.violations)?;
        Some(self.violations as f64 / of as f64)
    }

    /// `35.2%`; `under 0.1%` is not rounded to nothing, nor what is nearly all to all.
    pub(crate) fn percent(&self) -> Option<String> {
        let share = self.share()? * 100.0;
        Some(match share {
            share if share > 0.0 && share < 0.1 => "under 0.1%".to_owned(),
            share if share < 100.0 && share > 99.9 => "over 99.9%".to_owned(),
            share if share >= 100.0 => "100%".to_owned(),
            share => format!("{share:.1}%"),
        })
    }

    /// `12 of 3,456 rows in 5 groups`, `4 violations in 300 rows`, `3 tables or columns`.
    pub(crate) fn words(&self) -> String {
        if self.about_schema {
            let noun = if self.violations == 1 { "table or column" } else { "tables or columns" };
            return format!("{} {noun}", thousands(self.violations));
        }
        let said = match self.of {
            Some(of) if self.several => format!("{} in {}", counted(self.violations, "violation"), counted(of, "row")),
            None if self.several => counted(self.violations, "violation"),
            Some(of) if of >= self.violations => format!("{} of {}", thousands(self.violations), counted(of, "row")),
            _ => counted(self.violations, "row"),
        };
        match self.groups.filter(|groups| *groups > 0) {
            Some(groups) => format!("{said} in {}", counted(groups, "group")),
            None => said,
        }
    }
}

fn looked_at(part: &PartResult, rows: &HashMap<String, u64>) -> Option<u64> {
    part.rows.or_else(|| rows.get(&part.table.to_lowercase()).copied())
}

/// Whether a check is about tables and columns, not rows.
fn is_about_schema(result: &CheckResult) -> bool {
    result.parts.iter().any(|part| super::looked::is_about_schema(&part.table))
}

/// Keys of one column under its name, or of several without one.
type Keys = (String, Vec<String>);

/// The first examples of a check, table by table: `tblClaim` and `ClaimID 1, 2, 3`.
pub(crate) fn examples(result: &CheckResult, first: usize, values: Values) -> Vec<(String, String)> {
    let about_schema = is_about_schema(result);
    let mut tables: Vec<(String, Vec<Keys>)> = Vec::new();
    for example in result.examples.iter().take(first) {
        let (table, name, text) = if about_schema {
            let (table, column) = thing(example);
            (table, String::new(), column.unwrap_or_else(|| "the table".to_owned()))
        } else {
            let (name, text) = row(example, values);
            (example.table.clone(), name, text)
        };
        if tables.last().is_none_or(|(last, _)| *last != table) {
            tables.push((table, Vec::new()));
        }
        let Some((_, keys)) = tables.last_mut() else { continue };
        match keys.iter_mut().find(|(known, _)| *known == name) {
            Some((_, texts)) if texts.contains(&text) => {}
            Some((_, texts)) => texts.push(text),
            None => keys.push((name, vec![text])),
        }
    }
    let line = |(name, texts): Keys| {
        let texts = texts.join(", ");
        if name.is_empty() { texts } else { format!("{name} {texts}") }
    };
    tables.into_iter().map(|(table, keys)| (table, keys.into_iter().map(line).collect::<Vec<_>>().join(", "))).collect()
}

/// A table and its column, or the table as a whole: what an example of a check about the schema names.
pub(super) fn thing(example: &Example) -> (String, Option<String>) {
    let named = |of: &str| example.key.iter().find(|(name, _)| name == of).map(|(_, name)| name.clone());
    let table = named(TABLE_NAME).unwrap_or_else(|| example.table.clone());
    let column = if example.key.is_empty() { Some(example.column.clone()) } else { named(COLUMN_NAME) };
    (table, column.filter(|name| !name.is_empty()))
}

/// The name of a row's key column and its value, or no name and all that names the row.
fn row(example: &Example, values: Values) -> (String, String) {
    let is_key = example.key.iter().any(|(column, _)| *column == example.column);
    let value = if values == Values::Shown && !example.column.is_empty() && !is_key {
        let value = example.value.as_deref().map(|text| mask::value(&example.column, text, values).to_string());
        format!(" ({} {})", example.column, value.as_deref().unwrap_or("NULL"))
    } else {
        String::new()
    };
    match example.key.as_slice() {
        [] => (String::new(), format!("a row without key{value}")),
        [(column, key)] => (column.clone(), format!("{}{value}", mask::key_value(column, key, values))),
        key => (String::new(), format!("{}{value}", mask::key(key, values))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample_checks::{example, outcome};

    #[test]
    fn shares_are_never_rounded_to_nothing_or_all() {
        let told = |violations, of| Told { violations, of, groups: None, several: false, about_schema: false };
        for (violations, of, percent, words) in [
            (25, Some(25), Some("100%"), "25 of 25 rows"),
            (1, Some(1_000_000), Some("under 0.1%"), "1 of 1,000,000 rows"),
            (999_999, Some(1_000_000), Some("over 99.9%"), "999,999 of 1,000,000 rows"),
            (12, Some(3456), Some("0.3%"), "12 of 3,456 rows"),
            (1, None, None, "1 row"),
            (5, Some(3), None, "5 rows"),
        ] {
            assert_eq!(told(violations, of).percent().as_deref(), percent, "{violations} of {of:?}");
            assert_eq!(told(violations, of).words(), words);
        }
    }

    #[test]
    fn examples_are_masked_and_said_once() {
        let mut of = outcome().results[0].clone();
        of.examples = vec![
            example("tblClaim", &[("ClaimID", "1")], "DOB", Some("1980-01-01")),
            example("tblClaim", &[("ClaimID", "2")], "DOB", None),
            example("tblICDCodes", &[("ICDCode", "A00")], "ICDCode", Some("A00")),
            example("tblICDCodes", &[("ICDCode", "A01")], "", None),
            example("tblX", &[("RoleID", "1"), ("Code", "c")], "Password", Some("x")),
            example("tblNoKey", &[], "Column", Some("y")),
        ];
        let lines = |values| examples(&of, 9, values).into_iter().map(|(t, k)| format!("{t}: {k}")).collect::<Vec<_>>();
        assert_eq!(
            lines(Values::Masked),
            [
                "tblClaim: ClaimID 1, 2",
                "tblICDCodes: ICDCode ***",
                "tblX: RoleID 1, Code ***",
                "tblNoKey: a row without key",
            ]
        );
        assert_eq!(
            lines(Values::Shown),
            [
                "tblClaim: ClaimID 1 (DOB 1980-01-01), 2 (DOB NULL)",
                "tblICDCodes: ICDCode A00, A01",
                "tblX: RoleID 1, Code c (Password ***)",
                "tblNoKey: a row without key (Column y)",
            ]
        );
    }

    #[test]
    fn what_is_about_the_schema_names_tables_and_columns() {
        let mut of = outcome().results[4].clone();
        of.examples = vec![
            example("imis.unknown", &[("table_name", "tblInsuree"), ("column_name", "Extra")], "", None),
            example("imis.unknown", &[("table_name", "tblCountry"), ("column_name", "")], "", None),
        ];
        let found = examples(&of, 9, Values::Masked);
        let names = [("tblInsuree", "Extra"), ("tblCountry", "the table")].map(|(a, b)| (a.to_owned(), b.to_owned()));
        assert_eq!(found, names);
    }

    #[test]
    fn the_worst_stands_first() {
        let outcome = outcome();
        let order: Vec<_> = worst_first(&outcome).iter().map(|r| (severity(r), r.about.id.as_str())).collect();
        assert!(order.is_sorted_by_key(|(severity, _)| Reverse(*severity)), "{order:?}");
        assert_eq!(order[0].1, "X8");
    }
}
