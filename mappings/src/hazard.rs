//! Hazards: what may be lost or changed by a mapping, named before a row moves.

use serde::{Deserialize, Serialize};

/// One hazard of a plan.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Hazard {
    /// The kind, a fixed name: `time-of-day`, `too-long`, `out-of-range`, `null-in-not-null`, `no-target-column`,
    /// `carried-as-text`, `digits-below-microsecond`, `filtered`, `unknown-migration`.
    pub name: String,
    /// The rule; of an unknown migration, the target's module.
    pub rule: String,
    /// The column, of the target where there is one.
    pub column: Option<String>,
    /// What may happen, and what the mapping decided.
    pub what: String,
}

impl Hazard {
    pub(crate) fn new(name: &str, rule: &str, column: Option<&str>, what: impl Into<String>) -> Self {
        Hazard { name: name.to_owned(), rule: rule.to_owned(), column: column.map(str::to_owned), what: what.into() }
    }
}
