//! From what a user typed to a source.

use std::sync::Arc;

use crate::consistency::Wish;
use crate::error::{Error, ErrorKind};
use crate::location::Location;
use crate::source::Source;
use crate::{mssql, postgres, script, snapshot};

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
        Location::Scripts(path) => scripts(path, Arc::new(|_, _| {})).await,
        Location::Catalog(_) | Location::Release(_) => {
            Err(Error::new(ErrorKind::Usage, format!("{location} is a catalogue without rows"))
                .with_help("Give a database or a snapshot folder here."))
        }
    }
}

/// The stack of the thread that reads scripts, in bytes; what of it is not used is not taken.
const SCRIPT_STACK: usize = 256 * 1024 * 1024;

/// How far the reading of scripts has come: bytes that are read, and of how many.
pub type ScriptProgress = Arc<dyn Fn(u64, u64) + Send + Sync>;

/// Reads scripts, and says how far it has come.
///
/// # Errors
/// As [`script::ScriptSource::open`].
pub async fn scripts(path: &std::path::Path, progress: ScriptProgress) -> Result<Arc<dyn Source>, Error> {
    let path = path.to_owned();
    let (done, read) = tokio::sync::oneshot::channel();
    // A thread with room: what a script nests or chains, whoever reads it has to go down as deep.
    let work = move || {
        let read =
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| script::ScriptSource::open(&path, &*progress)));
        let _ = done.send(read);
    };
    let thread = std::thread::Builder::new().name("scripts".to_owned()).stack_size(SCRIPT_STACK);
    thread.spawn(work).map_err(|e| Error::failed("the scripts cannot be read").caused_by(e))?;
    match read.await {
        Ok(Ok(source)) => Ok(Arc::new(source?)),
        Ok(Err(panic)) => std::panic::resume_unwind(panic),
        Err(error) => Err(Error::failed("the scripts were not read to their end").caused_by(error)),
    }
}
