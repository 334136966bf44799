//! How much a server may send before something useful comes out of it.
//!
//! tiberius takes memory only for bytes that came, but it takes them as long as they come: one cell of two gigabytes, one
//! result after the other, messages without end. So the line counts, and whoever reads gives it more with each row.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// For the greeting, the login and whatever surrounds rows.
const SMALL: u64 = 1024 * 1024;
/// For the whole answer to a question about the catalogue.
const ANSWER: u64 = 64 * 1024 * 1024;

/// Stands where the allowance was overdrawn.
const EXCEEDED: u64 = u64::MAX;

/// Bytes that a row may have on the line.
pub(super) fn row_limit(max_cell: usize) -> u64 {
    let cell = max_cell as u64;
    cell.saturating_add(cell / 2).saturating_add(SMALL).min(EXCEEDED - 1)
}

/// The bytes that may still come. Clones share them.
#[derive(Clone, Debug)]
pub(super) struct Allowance(Arc<AtomicU64>);

/// More came than was allowed.
#[derive(Debug, thiserror::Error)]
#[error("the server sends more than any answer can have; --max-cell sets how large a cell may be")]
pub(super) struct Exceeded;

impl Allowance {
    /// Enough for a login.
    pub(super) fn new() -> Self {
        Allowance(Arc::new(AtomicU64::new(SMALL)))
    }

    /// Allows the answer to a question.
    pub(super) fn answer(&self) {
        self.0.store(ANSWER, Ordering::Relaxed);
    }

    /// Allows the next row: half as much again as the largest cell. tiberius holds a text three times while it decodes it.
    pub(super) fn row(&self, max_cell: usize) {
        self.0.store(row_limit(max_cell), Ordering::Relaxed);
    }

    /// Allows whatever comes: the rest of an answer, which is thrown away packet by packet.
    pub(super) fn boundless(&self) {
        self.0.store(EXCEEDED - 1, Ordering::Relaxed);
    }

    /// Whether more came than was allowed.
    pub(super) fn is_exceeded(&self) -> bool {
        self.0.load(Ordering::Relaxed) == EXCEEDED
    }

    /// Bytes came.
    pub(super) fn take(&self, bytes: usize) -> Result<(), Exceeded> {
        // Only the task that reads the line takes; what is stored between these two lines is a new allowance.
        let left = self.0.load(Ordering::Relaxed);
        let after = if left == EXCEEDED { None } else { left.checked_sub(bytes as u64) };
        self.0.store(after.unwrap_or(EXCEEDED), Ordering::Relaxed);
        after.map(|_| ()).ok_or(Exceeded)
    }
}
