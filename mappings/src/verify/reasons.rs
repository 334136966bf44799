//! Why a row may differ: what the mapping and the run name, row by row and cell by cell.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::outcome::{CellDifference, Difference, DifferenceKind};
use super::recorded::{Recorded, Repair};
use crate::language::Existing;

/// What may explain the differences of one table.
#[derive(Clone)]
pub(crate) struct Reasons {
    pub(crate) recorded: Arc<Recorded>,
    /// The target table's bare name.
    pub(crate) table: String,
    /// The rules of the whole mapping, by their places.
    pub(crate) rules: Arc<Vec<String>>,
    /// Those of them whose rows have no key in the source.
    pub(crate) keyless: Vec<String>,
    /// Columns in which a key takes the spelling of the row that it names.
    pub(crate) spelling: Vec<String>,
    /// Columns in which a key that names nothing may become NULL.
    pub(crate) nullable: Vec<String>,
    /// What becomes of rows that the target had.
    pub(crate) existing: Existing,
    /// Whether the comparison is one of a migration.
    pub(crate) migration: bool,
}

/// What is known of a row that differs, beside the difference itself.
#[derive(Default)]
pub(crate) struct Row {
    pub(crate) rule: Option<usize>,
    /// Its key in the source and in the target, flat.
    pub(crate) source_key: String,
    pub(crate) target_key: String,
    /// Whether the target's row is the one that was there before the run.
    pub(crate) is_before: bool,
    /// Columns in which the target's row is as the one before the run.
    pub(crate) as_before: Vec<String>,
}

impl Reasons {
    /// Why a row could not come through, if the run says so.
    pub(crate) fn lost(&self, rule: Option<usize>, key: &str) -> Option<&'static str> {
        let rule = self.rules.get(rule?)?;
        if self.recorded.rejected_by(rule, key).is_some() || (self.migration && !self.recorded.is_known) {
            return Some("rejected");
        }
        None
    }

    /// Whether a row is one that a reject could not name.
    pub(crate) fn is_nameless(&self, difference: &Difference) -> bool {
        difference.key.is_empty() || difference.rule.as_ref().is_some_and(|rule| self.keyless.contains(rule))
    }

    /// How many rows of the table were rejected that no key names.
    pub(crate) fn nameless(&self) -> u64 {
        if self.migration { self.recorded.nameless(&self.table) } else { 0 }
    }

    /// Explains a difference, if something does.
    pub(crate) fn explain(&self, difference: &mut Difference, row: &Row) {
        if !self.migration {
            return;
        }
        difference.explained = match difference.kind {
            DifferenceKind::Missing => self.missing(difference, row),
            // Rows that the mapping only changes are the target's own.
            DifferenceKind::Extra => (row.is_before || matches!(self.existing, Existing::Update { .. }))
                .then(|| "existing-row-stays".to_owned()),
            DifferenceKind::Changed => self.changed(difference, row),
            DifferenceKind::Doubled | DifferenceKind::Unreadable => None,
        };
    }

    fn missing(&self, difference: &mut Difference, row: &Row) -> Option<String> {
        let rule = row.rule.and_then(|rule| self.rules.get(rule))?;
        let by_rule = self.recorded.rejected_by(rule, &row.source_key);
        let reason = by_rule.or_else(|| self.recorded.rejected_of(&self.table, &difference.key))?;
        difference.why = Some(reason.to_owned());
        Some("rejected".to_owned())
    }

    /// Every cell must have its reason.
    fn changed(&self, difference: &Difference, row: &Row) -> Option<String> {
        if row.is_before && matches!(self.existing, Existing::Keep { .. }) {
            return Some("existing-row-kept".to_owned());
        }
        let repairs = self.recorded.repairs(&self.table, &row.target_key);
        let is_none = |cell: &CellDifference| cell.from.as_deref() == Some("0") && cell.to.is_none();
        let preserved = match &self.existing {
            Existing::Merge { preserve, .. } => preserve.as_slice(),
            _ => &[],
        };
        let mut names = BTreeSet::new();
        for cell in &difference.cells {
            let of_column = |name: &String| imis_schemas::same_name(name, &cell.column);
            let folded = |text: &Option<String>| text.as_ref().map(|t| t.trim_end().to_lowercase());
            if let Some(of_repairs) = followed(repairs.iter().filter(|repair| of_column(&repair.column)), cell) {
                names.extend(of_repairs);
            } else if self.nullable.iter().any(of_column) && is_none(cell) {
                names.insert("zero-is-none".to_owned());
            } else if self.spelling.iter().any(of_column) && cell.to.is_some() && folded(&cell.from) == folded(&cell.to)
            {
                names.insert("spelling-of-key".to_owned());
            } else if preserved.iter().any(of_column) && row.as_before.contains(&cell.column) {
                names.insert("existing-value-preserved".to_owned());
            } else {
                return None;
            }
        }
        (!names.is_empty()).then(|| names.into_iter().collect::<Vec<_>>().join(", "))
    }
}

/// The names of the repairs that lead from one value of a cell to the other, if they do: each explains the value that it
/// found and the one that it left, and nothing else.
fn followed<'a>(repairs: impl Iterator<Item = &'a Repair>, cell: &CellDifference) -> Option<Vec<String>> {
    let mut value = &cell.from;
    let mut names = Vec::new();
    for repair in repairs {
        if repair.was == *value {
            value = &repair.became;
            names.push(repair.name.clone());
        }
    }
    (!names.is_empty() && *value == cell.to).then_some(names)
}
