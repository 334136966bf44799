//! A check explained: what it says, and the SQL that it becomes.

use imis_checks::outcome::{About, Severity};
use serde::Serialize;

/// A check, as `imis check explain` shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ExplainedCheck {
    /// The check.
    pub about: About,
    /// Parameters that it uses, by name, with their values.
    pub parameters: Vec<(String, String)>,
    /// Why it is switched off, where it is.
    pub off: Option<String>,
    /// Its parts.
    pub parts: Vec<ExplainedPart>,
}

/// A part of a check: one table, one kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ExplainedPart {
    /// What exactly it looks for; empty where the check says it all.
    pub what: String,
    /// How bad it is.
    pub severity: Severity,
    /// The table.
    pub table: String,
    /// The kind in words: `no two rows share CHFID`.
    pub kind: String,
    /// Which rows are looked at, as the pack says it; `None` where all are.
    pub condition: Option<String>,
    /// The SQL that gives the rows which break it. Empty where it is not applicable.
    pub sql: String,
    /// An example of a row that it gives: the names of its columns.
    pub example: Vec<String>,
    /// Why it is not applicable to this database, where it is not.
    pub reason: Option<String>,
}
