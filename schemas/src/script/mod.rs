//! T-SQL scripts: from bytes to statements, and from statements to a catalogue.
//!
//! ```text
//! bytes --text--> characters --pieces--> batches, or parts of large ones --statement--> Statement --database--> Catalog
//! ```
//!
//! Scripts are what Management Studio generates, what releases are shipped as, and what people write by hand: without
//! semicolons, in four encodings, up to hundreds of megabytes. Nothing here holds more of a script than one batch, or the part
//! of a large batch that ends with a whole statement. What a statement does to rows is told ([`Action::Insert`], [`Action::Query`])
//! and done elsewhere; what it does to tables is done by [`Database`].

mod call;
mod computed;
mod database;
mod extent;
mod harmless;
mod index;
mod insert;
mod module;
mod parser;
mod pieces;
mod spelling;
mod statement;
mod table;
mod text;
mod tokens;

use std::fmt;

pub use database::{Column as ColumnState, Database, Refused, TableState};
pub use index::IndexDraft;
pub use insert::{Cell, Insert, InsertRows, hex};
pub use module::{Module, ModuleKind, TypeDraft};
pub use pieces::{Part, Piece, Pieces};
pub use statement::{Action, Statement, parse};
pub use table::{Change, ColumnDraft, Constraint, ConstraintDraft, TableDraft, TypeName};
pub use text::{Encoding, Text};
pub use tokens::ObjectName;

/// A place in a script: line and column, both from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The line.
    pub line: u64,
    /// The column, in characters.
    pub column: u64,
}

impl Place {
    /// The beginning of a file.
    pub const START: Place = Place { line: 1, column: 1 };
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// Why a script cannot be read on. What is only not understood is no error but [`Action::Unknown`].
#[derive(Debug, thiserror::Error)]
pub enum ScriptError {
    /// The file cannot be read.
    #[error("the file cannot be read: {0}")]
    Io(#[from] std::io::Error),
    /// The bytes are no text.
    #[error("byte {offset} is {byte:#04x}, which no text has: this is no script, or it is damaged")]
    Binary {
        /// Where, from 0.
        offset: u64,
        /// The byte.
        byte: u8,
    },
    /// It ends in the middle of something.
    #[error("the script ends within {what}")]
    Ends {
        /// What is open: `a text`, `a comment`.
        what: &'static str,
        /// Where it begins.
        place: Place,
    },
    /// A statement is longer than anybody writes.
    #[error("more than {} MiB without the end of a statement", MAX_PIECE / 1024 / 1024)]
    TooLong {
        /// Where the statement begins, or the batch that holds it.
        place: Place,
    },
    /// A number of repetitions is beyond measure.
    #[error("GO {count} repeats a batch too often")]
    Repeats {
        /// What was asked for.
        count: u64,
        /// Where.
        place: Place,
    },
}

impl ScriptError {
    /// Where in the script, if there is a place.
    pub fn place(&self) -> Option<Place> {
        match self {
            ScriptError::Io(_) | ScriptError::Binary { .. } => None,
            ScriptError::Ends { place, .. } | ScriptError::TooLong { place } | ScriptError::Repeats { place, .. } => {
                Some(*place)
            }
        }
    }
}

/// The longest piece of a script that is held in memory, in bytes.
pub const MAX_PIECE: usize = 32 * 1024 * 1024;
