//! The mapping language: YAML, one file a business area, read with its places so that every complaint shows the line.
//!
//! [`Mapping::pack`] reads a pack that the program carries, [`Mapping::open`] one from files. What comes out is only
//! parsed; [`crate::bind`] holds it against two catalogues.

#[cfg(test)]
mod decided;
mod error;
mod migrations;
mod model;
mod overlay;
mod parse;
mod step;
mod text;

pub(crate) use error::TODO;
pub use error::{Finding, MappingError, MappingErrors};
pub(crate) use imis_schemas::document::closest;
pub use imis_schemas::document::{Located, Place, SourceFile};
pub use migrations::{ModuleMigrations, RowMigration, Verdict};
pub use model::{
    ColumnRule, Existing, Filter, KeyRule, Loosened, Mapping, Misfit, Origin, Repair, Repeated, Rule, Step, Tell,
    UniqueRule,
};
pub use parse::pack_names;
