//! From what a user typed to a source.

use std::sync::Arc;

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
        Location::Snapshot(folder) => Ok(Arc::new(snapshot::SnapshotSource::open(folder)?)),
        Location::Catalog(_) | Location::Release(_) => {
            Err(Error::new(ErrorKind::Usage, format!("{location} is a catalogue without rows"))
                .with_help("Give a database or a snapshot folder here."))
        }
    }
}
