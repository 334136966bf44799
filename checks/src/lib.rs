//! Whether data is sound: the rule language, its engine, and what they find.

pub mod compile;
pub mod engine;
mod functions;
pub mod language;
pub mod outcome;
pub mod profile;
mod virtual_tables;
