//! What people read of a plan, a migration, a verification and a comparison: tables on a terminal, one HTML page, `summary.json`, Parquet
//! files, a unified diff.
//!
//! Every text that came from a database or a file goes through [`escape`] before it is printed, and every value of a row
//! through [`mask`]. [`write_migration`], [`write_plan`], [`write_verification`] and [`write_comparison`] fill the folder of `--report`.

pub mod cause;
pub mod checks;
pub mod escape;
pub mod identity;
pub mod mask;
pub mod profile;
pub mod summary;
pub mod terminal;

mod comparison;
mod consistency;
mod diff;
mod error;
mod folder;
mod html;
mod number;
mod parquet;
mod verdict;
mod verification;
mod words;

#[cfg(test)]
mod sample;
#[cfg(test)]
mod sample_checks;
#[cfg(test)]
mod sample_profile;

pub use diff::{rows_diff, schema_diff};
pub use error::ReportError;
pub use folder::{
    write_checks, write_comparison, write_identity, write_migration, write_plan, write_profile, write_verification,
};
pub use html::{
    checks_page, comparison_page, identity_page, migration_page, plan_page, profile_page, verification_page,
};
pub use parquet::{
    accounting_parquet, differences_parquet, profile_parquet, rejects_parquet, schema_differences_parquet,
};
