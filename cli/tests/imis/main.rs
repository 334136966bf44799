//! The real command against real servers.
#![allow(missing_docs)]
// Helpers of tests are no tests for clippy.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::type_complexity)]

mod checks;
mod checks_hostile;
mod clean;
mod consistency;
mod country;
mod diff;
mod faults;
mod generate;
mod harness;
mod hostile;
mod hybrid;
mod identify;
mod manual;
mod migrations;
mod official;
mod oracle;
mod plan;
mod planted;
mod profile;
mod refusals;
mod rejects;
mod releases;
mod roles;
mod routes;
mod scaffold;
mod scripts;
mod situations;
mod types;
mod values;
mod veiled;
mod verify;
