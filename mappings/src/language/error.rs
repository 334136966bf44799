//! What complaints about a mapping carry beside their words.

use imis_schemas::document::{Complaint, Complaints};

/// One complaint about a mapping.
pub type MappingError = Complaint<Finding>;

/// All complaints about a mapping at once.
pub type MappingErrors = Complaints<Finding>;

/// What a mapping that does not fit found about the source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// A column of the source is neither mapped nor left by this rule.
    Column {
        /// The rule that carries the table.
        rule: String,
        /// The table, as the source spells it.
        table: String,
        /// The column, likewise.
        column: String,
        /// How many rows hold something in it, if somebody counted.
        filled: Option<u64>,
    },
    /// A table of the source is neither mapped nor left.
    Table {
        /// The table, as the source spells it.
        table: String,
    },
    /// Something that the source's release has is not there, or may not be read.
    Drift {
        /// The release, with its twins.
        release: String,
        /// The table.
        table: String,
        /// The columns; none for the whole table.
        columns: Vec<String>,
    },
}

/// How a reason begins that nobody has written yet.
pub(crate) const TODO: &str = "TODO";
