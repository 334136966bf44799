//! Where rows live, and how they are read and written: SQL Server, PostgreSQL, Parquet snapshots.
//!
//! ```text
//! Location --open--> Source --Arrow batches--> ... --Arrow batches--> Sink
//! ```
//!
//! A [`Location`] is what a user types. [`open()`] turns it into a [`Source`], which gives a catalogue and streams of
//! [`Chunk`]s; a [`Sink`] takes them. Everything that is wrong comes out as one [`Error`].

mod ahead;
mod column;
pub mod consistency;
pub mod error;
pub mod filled;
#[cfg(test)]
mod fuzz;
pub mod identifier;
pub mod location;
pub mod mssql;
pub mod open;
mod pace;
pub mod postgres;
pub mod progress;
pub mod query;
pub mod script;
pub mod secret;
pub mod sink;
pub mod snapshot;
mod socket;
pub mod source;
pub mod spool;

pub use consistency::{Changes, Consistency, Mark, Reading, Wish};
pub use error::{Error, ErrorKind};
pub use location::{Location, LocationError, MssqlAddress, PostgresAddress};
pub use open::{open, open_as};
pub use progress::Progress;
pub use secret::Secret;
pub use sink::Sink;
pub use source::{
    Answer, Chunk, ChunkStream, Denied, KeyRange, ReadRequest, RefusedRow, Rights, Source, Texts, Veil, Veiled,
    plan_ranges, ranges_between,
};
