//! Whether data is sound: the rule language, its engine, and what they find.

pub mod outcome;
pub mod profile;
