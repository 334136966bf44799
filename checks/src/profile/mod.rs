//! The first picture of an unknown database: what each column holds, found in one pass over each table.
//!
//! ```text
//! catalogue -> tables and columns wanted -> parts (a stretch of the key, or some of the columns) -> one gatherer a column
//!                                                                      merged part by part      -> Profile
//! ```
//!
//! Nothing is collected whole: a column costs at most about [`COLUMN_BYTES`] of memory a part that is being read, whatever it
//! holds. Up to [`Options::exact`] different values are told apart exactly; above, they are estimated, and the profile says so.
//! Values are as the database holds them: whoever prints a profile masks them.

mod column;
mod frequencies;
mod picture;
mod run;
mod shape;
#[cfg(test)]
mod tests;
mod values;

pub use picture::{
    ColumnProfile, Distinct, Frequent, KeyRole, Kind, Lengths, Numbers, Profile, Shape, TableProfile, Uniqueness,
};
pub use run::{Options, profile};
pub use shape::shape;

/// How much memory a column may take at most while a part of its table is read, with the usual bounds: counts of
/// 100,000 different values (2.2 MiB), 2,000 kept values and 2,000 kept shapes of at most [`VALUE_CHARS`] characters (2 MiB at the
/// worst, when all are that long), counts of 4,096 shapes, and two sketches (20 KiB).
pub const COLUMN_BYTES: usize = 5 * 1024 * 1024;
/// How many different values of a column are told apart exactly, unless it is said otherwise.
pub const EXACT: usize = 100_000;
/// How many characters of a value are kept.
pub const VALUE_CHARS: usize = 128;
