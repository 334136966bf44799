//! The real command against real servers.
#![allow(missing_docs)]

mod country;
mod harness;
mod manual;
mod official;
mod oracle;
mod refusals;
