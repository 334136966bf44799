//! The account of a run: what became of every row.

use std::collections::BTreeMap;

use imis_databases::{Consistency, Reading};
use serde::{Deserialize, Serialize};

/// The version of the account's shape, as it stands in `summary.json`.
pub const FORMAT: u32 = 1;

/// A row that was not loaded, and why. Keys are surrogate keys; no other value of the row stands here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reject {
    /// The row's key: columns and values.
    pub key: Vec<(String, String)>,
    /// The column for which it was rejected.
    pub column: String,
    /// Why.
    pub reason: String,
    /// The row with which the loss began, where this one only went because the row that it named went.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<Cause>,
}

/// The first row of a chain of rejects.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Cause {
    /// Its table in the target.
    pub table: String,
    /// Its key: columns and values.
    pub key: Vec<(String, String)>,
    /// The column for which it was rejected.
    pub column: String,
    /// Why.
    pub reason: String,
}

impl Reject {
    pub(crate) fn new(key: Vec<(String, String)>, column: &str, reason: &str) -> Self {
        Reject { key, column: column.to_owned(), reason: reason.to_owned(), cause: None }
    }
}

/// A reject together with where it happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RejectedRow {
    /// The rule.
    pub rule: String,
    /// The target table.
    pub table: String,
    /// The row and the reason.
    #[serde(flatten)]
    pub reject: Reject,
}

/// Counts of one range or one rule.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Rows read from the source, those that could not be read included.
    pub read: u64,
    /// Rows that are in the target now.
    pub loaded: u64,
    /// Rows that are not, each with a reason.
    pub rejected: u64,
    /// Rows that a named condition left behind.
    pub filtered: u64,
    /// Rows that were kept back because the target's own row stays.
    pub kept: u64,
    /// Rows whose columns a rule set in rows that are in the target already.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub updated: u64,
    /// Values that were changed or lost as the mapping allows, by column and name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty", with = "losses")]
    pub losses: BTreeMap<(String, String), u64>,
}

impl Counts {
    /// Adds another range's counts.
    pub(crate) fn add(&mut self, other: &Counts) {
        self.read += other.read;
        self.loaded += other.loaded;
        self.rejected += other.rejected;
        self.filtered += other.filtered;
        self.kept += other.kept;
        self.updated += other.updated;
        for (key, count) in &other.losses {
            *self.losses.entry(key.clone()).or_default() += count;
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands out references")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands out references")]
fn is_none(count: &i64) -> bool {
    *count == 0
}

/// Losses as `{"Column: name": count}`; JSON has no pairs as keys.
mod losses {
    use super::BTreeMap;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    type Losses = BTreeMap<(String, String), u64>;

    pub(super) fn serialize<S: Serializer>(losses: &Losses, serializer: S) -> Result<S::Ok, S::Error> {
        let flat: BTreeMap<String, u64> = losses.iter().map(|((c, n), count)| (format!("{c}: {n}"), *count)).collect();
        flat.serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Losses, D::Error> {
        let flat = BTreeMap::<String, u64>::deserialize(deserializer)?;
        Ok(flat
            .into_iter()
            .map(|(key, count)| {
                let (column, name) = key.rsplit_once(": ").unwrap_or((&key, ""));
                ((column.to_owned(), name.to_owned()), count)
            })
            .collect())
    }
}

/// What became of the rows of one rule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RuleAccount {
    /// The rule.
    pub rule: String,
    /// The source table; `None` for rows that no source row is.
    pub from: Option<String>,
    /// The target table.
    pub to: String,
    /// How many rows the source's server counted, where there is a source table.
    pub counted: Option<u64>,
    /// The counts.
    #[serde(flatten)]
    pub counts: Counts,
    /// Values that were repaired while keys were put right.
    pub repaired: u64,
    /// Rows that the rule made and no source row is.
    pub computed: u64,
}

impl RuleAccount {
    /// Whether every row is accounted for, and as many were read as the server counted.
    pub fn balances(&self) -> bool {
        let c = &self.counts;
        let all = c.read == c.loaded + c.rejected + c.filtered + c.kept + c.updated;
        all && self.counted.is_none_or(|counted| counted == c.read)
    }
}

/// What became of one target table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TableAccount {
    /// The table.
    pub table: String,
    /// Rows before the run.
    pub before: u64,
    /// Of these, rows that were replaced.
    pub removed: u64,
    /// Rows of the source that are there now.
    pub loaded: u64,
    /// Rows that rules made.
    pub computed: u64,
    /// Rows that Django's migrations added (or, below zero, took away) between a run and its completion.
    #[serde(default, skip_serializing_if = "is_none")]
    pub by_migrations: i64,
    /// Rows after the run, counted by the server.
    pub after: u64,
}

impl TableAccount {
    /// Whether the counts add up.
    pub fn balances(&self) -> bool {
        let sum = |parts: &[u64]| parts.iter().map(|n| i128::from(*n)).sum::<i128>();
        sum(&[self.before, self.loaded, self.computed]) + i128::from(self.by_migrations)
            == sum(&[self.after, self.removed])
    }
}

/// The account of a whole run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Account {
    /// The version of this shape, [`FORMAT`].
    pub imis: u32,
    /// The run.
    pub run: String,
    /// The mapping.
    pub mapping: String,
    /// Where from, without user and password.
    pub from: String,
    /// Where to.
    pub to: String,
    /// When the run began and ended, UTC.
    pub started: String,
    /// When it ended.
    pub finished: String,
    /// What could be relied on while the source was read; `None` in accounts of earlier versions.
    #[serde(default)]
    pub consistency: Option<Consistency>,
    /// Who vouches for that, and the source's count of changes before the first read and after the last one.
    #[serde(default)]
    pub reading: Reading,
    /// By rule.
    pub rules: Vec<RuleAccount>,
    /// By target table.
    pub tables: Vec<TableAccount>,
    /// The rows that were rejected. An account that is stored in a target has none: there they are a table of their own.
    #[serde(default)]
    pub rejects: Vec<RejectedRow>,
    /// Keys and indexes that could not be put back, and whatever else the reader must know.
    pub notes: Vec<String>,
}

impl Account {
    /// Whether every rule and every table adds up.
    pub fn balances(&self) -> bool {
        self.rules.iter().all(RuleAccount::balances) && self.tables.iter().all(TableAccount::balances)
    }

    /// Whether somebody wrote to a source that was to stand still while it was read.
    pub fn is_disturbed(&self) -> bool {
        self.consistency.is_some_and(|level| self.reading.is_disturbed(level))
    }

    /// How many rows were rejected.
    pub fn rejected(&self) -> u64 {
        self.rules.iter().map(|r| r.counts.rejected).sum()
    }
}
