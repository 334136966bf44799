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

pub use error::{Finding, MappingError, MappingErrors};
pub(crate) use error::{TODO, closest};
pub use migrations::{ModuleMigrations, RowMigration, Verdict};
pub use model::{
    ColumnRule, Existing, Filter, KeyRule, Located, Loosened, Mapping, Misfit, Origin, Place, Repair, Repeated, Rule,
    SourceFile, Step, Tell, UniqueRule,
};
pub use parse::pack_names;
