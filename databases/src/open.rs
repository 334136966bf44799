//! From what a user typed to a source.

use std::sync::Arc;

use crate::consistency::Wish;
use crate::error::{Error, ErrorKind};
use crate::location::Location;
use crate::source::Source;
use crate::{mssql, postgres, snapshot};

/// Connects to a location, or opens its files.
///
/// # Errors
/// When the server cannot be reached or refuses, when the files are not there or not what they should be.
pub async fn open(location: &Location) -> Result<Arc<dyn Source>, Error> {
    match location {
        Location::Mssql(address) => Ok(Arc::new(mssql::MssqlSource::connect(address).await?)),
        Location::Postgres(address) => Ok(Arc::new(postgres::PostgresSource::connect(address).await?)),
        _ => open_as(location, Wish::Fuzzy).await,
    }
}

/// The same, with what the reader wants to rely on settled before anything is read. A snapshot folder is frozen whatever is
/// wished for.
///
/// # Errors
/// As [`open`], and when the server cannot give what is wished for.
pub async fn open_as(location: &Location, wish: Wish) -> Result<Arc<dyn Source>, Error> {
    match location {
        Location::Mssql(address) => Ok(Arc::new(mssql::MssqlSource::connect_as(address, wish).await?)),
        Location::Postgres(address) => Ok(Arc::new(postgres::PostgresSource::connect_as(address, wish).await?)),
        Location::Snapshot(folder) => Ok(Arc::new(snapshot::SnapshotSource::open(folder)?)),
        Location::Catalog(_) | Location::Release(_) => {
            Err(Error::new(ErrorKind::Usage, format!("{location} is a catalogue without rows"))
                .with_help("Give a database or a snapshot folder here."))
        }
    }
}
