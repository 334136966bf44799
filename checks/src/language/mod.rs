//! The rule language: YAML, read with the place of everything it says, so that every complaint shows its line.
//!
//! [`Pack::shipped`] reads a pack that the program carries, [`Pack::open`] one from files, [`Packs::gather`] several at once. What comes out is
//! only parsed; [`crate::compile`] holds it against a catalogue.

mod derived;
mod model;
mod packs;
mod parameter;
mod parse;
mod text;

pub use derived::Derived;
pub use model::{Check, Each, ForEach, Kind, Pack, Part, Scope, Spelling, Target, Values};
pub use packs::{Packs, pack_names};
pub(crate) use parameter::As;
pub use parameter::{Parameter, Parameters, Value};

/// One complaint about a pack: what, where, and what to write instead.
pub type CheckError = imis_schemas::document::Complaint<()>;
/// All complaints about packs at once.
pub type CheckErrors = imis_schemas::document::Complaints<()>;
