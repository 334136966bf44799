//! The mapping language: YAML, one file a business area, read with its places so that every complaint shows the line.
//!
//! [`Mapping::pack`] reads a pack that the program carries, [`Mapping::open`] one from files. What comes out is only
//! parsed; [`crate::bind`] holds it against two catalogues.

mod error;
mod model;
mod parse;
mod text;

pub use error::{Finding, MappingError, MappingErrors};
pub(crate) use error::{TODO, closest};
pub use model::{
    ColumnRule, Existing, Filter, KeyBroken, KeyRule, Located, Mapping, Misfit, Origin, Place, Rule, SourceFile, Tell,
};
pub use parse::pack_names;
