//! What is told while something long goes on.

use std::time::Duration;

use crate::error::Error;

/// Who watches a run.
pub trait Progress: Send + Sync {
    /// A phase begins.
    fn phase(&self, name: &str);
    /// A rule begins; about so many rows will come.
    fn rule(&self, rule: &str, rows: u64);
    /// So many more rows of a rule were read.
    fn rows(&self, rule: &str, more: u64);
    /// A rule is done.
    fn done(&self, rule: &str);
    /// Something failed for a reason that passes, and is tried again after a pause.
    fn again(&self, error: &Error, pause: Duration) {
        let _ = (error, pause);
    }
}
