//! Snapshots: every table as Parquet, with a manifest.
//!
//! ```text
//! snapshot/              0700
//!   manifest.json        what, when, from where; per table rows, bytes and SHA-256 of its file
//!   catalog.json         the catalogue of the database that was read
//!   tables/dbo.tblClaim.parquet
//! ```
//!
//! The manifest is written last, by renaming: a folder without one is not a snapshot.

mod pieces;
mod read;
mod write;

pub use pieces::{ParquetFile, Piece, PieceEncoder, PieceFile, PieceMaker};
pub use read::SnapshotSource;
pub use write::{SnapshotSink, TableFile, write_private};

use serde::{Deserialize, Serialize};

use crate::consistency::{Consistency, Reading};
use crate::source::RefusedRow;

/// The version of the manifest's shape.
pub const FORMAT: u32 = 1;

pub(crate) const MANIFEST: &str = "manifest.json";
const CATALOG: &str = "catalog.json";
const TABLES: &str = "tables";

/// What a snapshot folder says of itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// The version of this shape, [`FORMAT`].
    pub imis: u32,
    /// Where the rows came from, without user and password.
    pub from: String,
    /// When the first table was begun, UTC, ISO 8601.
    pub started: String,
    /// When the last table was done.
    pub finished: String,
    /// What the reader could rely on.
    pub consistency: Consistency,
    /// Who vouches for it, and the server's count of changes before and after.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reading: Option<Reading>,
    /// SHA-256 of the catalogue file.
    pub catalog_sha256: String,
    /// The tables, in the order of the catalogue.
    pub tables: Vec<ManifestTable>,
}

/// One table of a snapshot.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ManifestTable {
    /// Its schema.
    pub schema: String,
    /// Its name.
    pub name: String,
    /// Its file, below the snapshot's folder.
    pub file: String,
    /// How many rows the file has.
    pub rows: u64,
    /// How many bytes the file has.
    pub bytes: u64,
    /// SHA-256 of the file.
    pub sha256: String,
    /// Rows that were there and could not be read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refused: Vec<RefusedRow>,
}

/// The file of a table. Characters that file systems trip over are written as `%XX`.
fn file_name(schema: &str, name: &str) -> String {
    let mut out = String::new();
    for c in format!("{schema}.{name}").chars() {
        if c.is_alphanumeric() || matches!(c, '.' | '_' | '-') {
            out.push(c);
        } else {
            let mut bytes = [0; 4];
            for byte in c.encode_utf8(&mut bytes).bytes() {
                out.push_str(&format!("%{byte:02X}"));
            }
        }
    }
    format!("{TABLES}/{out}.parquet")
}
