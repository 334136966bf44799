//! What became of violations from one run of checks to the next.

use imis_checks::outcome::Status;
use serde::Serialize;

/// What became of violations from one run to the next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Change {
    /// There now, not before.
    pub new: u64,
    /// There before and now.
    pub still: u64,
    /// There before, not now.
    pub gone: u64,
    /// Of rows that cannot be told one by one, as their key is masked or they have none: how many there were before.
    pub counted_before: u64,
    /// How many of them there are now.
    pub counted_now: u64,
    /// Found before by checks that were not carried out now: nobody knows whether they are still there.
    pub only_before: u64,
    /// Found now by checks that were not carried out before: nobody knows whether they are new.
    pub only_now: u64,
}

impl Change {
    pub(super) fn add(&mut self, other: &Change) {
        self.new += other.new;
        self.still += other.still;
        self.gone += other.gone;
        self.counted_before += other.counted_before;
        self.counted_now += other.counted_now;
        self.only_before += other.only_before;
        self.only_now += other.only_now;
    }
}

/// What became of the violations of a check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CheckChange {
    /// The check.
    pub id: String,
    /// What became of it in the run before; `None` where it was not in that run.
    pub before: Option<Status>,
    /// Its violations.
    #[serde(flatten)]
    pub change: Change,
}

/// A run of checks beside an earlier one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Comparison {
    /// The run before.
    pub run: String,
    /// Its database.
    pub location: String,
    /// The day that counted as today.
    pub as_of: String,
    /// When it began.
    pub started: String,
    /// All checks together.
    pub total: Change,
    /// Check by check, in the order of the outcome; then those that only the run before had.
    pub checks: Vec<CheckChange>,
    /// What makes the two less alike.
    pub notes: Vec<String>,
}

impl Comparison {
    /// What became of a check.
    pub fn of(&self, id: &str) -> Option<&CheckChange> {
        self.checks.iter().find(|check| check.id == id)
    }
}
