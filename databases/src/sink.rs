//! A database as something to write whole tables to.

use async_trait::async_trait;
use imis_schemas::Table;

use crate::error::Error;
use crate::source::ChunkStream;

/// Takes streams of rows, a table at a time.
#[async_trait]
pub trait Sink: Send + Sync {
    /// Writes all rows of a stream into a table and says how many they were. All or none of them are there afterwards.
    ///
    /// The batches' columns are those of `table`, by name and in any order; a column that is left out is NULL or takes
    /// its default.
    async fn write(&self, table: &Table, rows: ChunkStream) -> Result<u64, Error>;

    /// Says that no more tables will come, and makes what was written last.
    async fn finish(&self) -> Result<(), Error>;
}
