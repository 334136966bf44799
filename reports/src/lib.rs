//! What people read of a plan and of a migration: tables on a terminal, one HTML page, `summary.json` and Parquet files.
//!
//! Every text that came from a database or a file goes through [`escape`] before it is printed, and every value of a row
//! through [`mask`]. [`write_migration`] and [`write_plan`] fill the folder of `--report`.

pub mod cause;
pub mod escape;
pub mod mask;
pub mod summary;
pub mod terminal;

mod error;
mod folder;
mod html;
mod number;
mod parquet;
mod verdict;
mod words;

#[cfg(test)]
mod sample;

pub use error::ReportError;
pub use folder::{write_migration, write_plan};
pub use html::{migration_page, plan_page};
pub use parquet::{accounting_parquet, rejects_parquet};
