//! What can go wrong while a report is written.

use std::path::PathBuf;

/// A report that could not be made.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// The folder cannot be made, or a file of it not be replaced.
    #[error("cannot write {}", path.display())]
    Write {
        /// The folder or the file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file cannot be written.
    #[error(transparent)]
    Database(#[from] imis_databases::Error),
    /// The page cannot be rendered.
    #[error("the page cannot be rendered")]
    Page(#[from] minijinja::Error),
    /// A Parquet file cannot be encoded.
    #[error("a Parquet file cannot be encoded")]
    Parquet(#[from] ::parquet::errors::ParquetError),
    /// Rows for a Parquet file do not fit together.
    #[error("a Parquet file cannot be encoded")]
    Arrow(#[from] arrow::error::ArrowError),
    /// XML cannot be written.
    #[error("XML cannot be written")]
    Xml(#[from] quick_junit::SerializeError),
    /// JSON cannot be written.
    #[error("JSON cannot be written")]
    Json(#[from] serde_json::Error),
}
