//! SQL Server: connecting, describing, reading.

use std::sync::Arc;

use async_trait::async_trait;
use imis_schemas::{Catalog, Table};

use crate::error::Error;
use crate::location::MssqlAddress;
use crate::source::{ChunkStream, Consistency, ReadRequest, Source};

/// A SQL Server database as a source.
#[derive(Debug)]
pub struct MssqlSource {}

impl MssqlSource {
    /// Connects.
    ///
    /// # Errors
    /// When the server cannot be reached or refuses.
    pub async fn connect(_address: &MssqlAddress) -> Result<Self, Error> {
        Err(Error::failed("not yet"))
    }
}

#[async_trait]
impl Source for MssqlSource {
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
