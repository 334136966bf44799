//! PostgreSQL: connecting, describing, reading, and the binary COPY encoder.

pub mod baseline;

use std::sync::Arc;

use async_trait::async_trait;
use imis_schemas::{Catalog, Table};

use crate::error::Error;
use crate::location::PostgresAddress;
use crate::source::{ChunkStream, Consistency, ReadRequest, Source};

/// A PostgreSQL database as a source.
#[derive(Debug)]
pub struct PostgresSource {}

impl PostgresSource {
    /// Connects.
    ///
    /// # Errors
    /// When the server cannot be reached or refuses.
    pub async fn connect(_address: &PostgresAddress) -> Result<Self, Error> {
        Err(Error::failed("not yet"))
    }
}

#[async_trait]
impl Source for PostgresSource {
    async fn catalog(&self) -> Result<Arc<Catalog>, Error> {
        Err(Error::failed("not yet"))
    }
    async fn count(&self, _table: &Table) -> Result<u64, Error> {
        Err(Error::failed("not yet"))
    }
    async fn bounds(&self, _table: &Table, _column: &str) -> Result<Option<(i64, i64)>, Error> {
        Err(Error::failed("not yet"))
    }
    fn read(&self, _request: ReadRequest) -> ChunkStream {
        Box::pin(futures::stream::empty())
    }
    async fn consistency(&self) -> Result<Consistency, Error> {
        Ok(Consistency::Fuzzy)
    }
    fn describe(&self) -> String {
        String::new()
    }
}
