//! What people and programs read of a run of checks.
//!
//! While the checks run, a [`ViolationsFile`] takes every row that breaks one and streams it into `violations.parquet`; with a
//! [`Previous`] run it tells new rows from those that were there before. Its [`ViolationsFile::finish`] gives the [`Comparison`], and
//! the rest is made of the outcome: [`crate::terminal::checks`], [`crate::checks_page`], [`checks_summary`], [`checks_junit`],
//! [`checks_sarif`], or all files at once with [`crate::write_checks`]. [`ExplainedCheck`] is for [`crate::terminal::check_explained`].

mod comparison;
mod draft;
mod explained;
mod fingerprint;
mod gone;
#[cfg(test)]
mod harmless;
mod junit;
mod looked;
mod previous;
mod result;
mod sarif;
mod summary;
#[cfg(test)]
mod tests;
mod verdict;
mod violations;

pub use comparison::{Change, CheckChange, Comparison};
pub use explained::{ExplainedCheck, ExplainedPart};
pub use junit::checks_junit;
pub use previous::Previous;
pub use sarif::checks_sarif;
pub use summary::checks_summary;
pub use violations::{Finished, ViolationsFile};

pub(crate) use result::{Told, area_of, examples, named, place, severity, worst_first};
pub(crate) use verdict::{SEVERITIES, Tally, Verdict, has_failed, was_carried_out};
