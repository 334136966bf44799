//! The real command against real servers.
#![allow(missing_docs)]
// Helpers of tests are no tests for clippy.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::type_complexity)]

mod country;
mod generate;
mod harness;
mod manual;
mod official;
mod oracle;
mod refusals;
mod types;
