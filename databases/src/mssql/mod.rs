//! SQL Server, and what speaks its language: connecting, describing, reading.
//!
//! ```text
//! MssqlAddress --tls--> Line --tiberius--> Client --select, read, decode--> Chunks
//!                                                 --introspect--> Catalog
//!                                                 --facts--> ServerFacts
//! ```
//!
//! Nothing is ever written to the source, no lock hints are used, and each range is read with one statement.

mod clock;
mod connect;
mod decode;
mod facts;
mod introspect;
mod query;
mod read;
mod select;
mod tls;
mod trouble;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use imis_schemas::{Catalog, Column, Engine, Table, TableName};
use tokio::sync::OnceCell;

pub use self::facts::ServerFacts;
pub use self::tls::TlsFacts;
use crate::error::Error;
use crate::location::MssqlAddress;
use crate::source::{Answer, ChunkStream, Consistency, ReadRequest, Rights, Source};

/// The collation of the database.
const DATABASE_COLLATION: &str = "SELECT CAST(DATABASEPROPERTYEX(DB_NAME(), 'Collation') AS nvarchar(128)) AS name";

fn code_page_sql(collation: &str) -> String {
    format!("SELECT CAST(COLLATIONPROPERTY({}, 'CodePage') AS int) AS number", Engine::Mssql.literal(collation))
}

/// A SQL Server database as a source.
#[derive(Clone, Debug)]
pub struct MssqlSource {
    shared: Arc<Shared>,
}

/// What all readers of a source have in common.
#[derive(Debug)]
struct Shared {
    server: connect::Server,
    catalog: OnceCell<Arc<Catalog>>,
    collation: OnceCell<Option<String>>,
    cuts: Mutex<BTreeMap<(String, String), u64>>,
}

impl Shared {
    /// The database's collation, if the server says it.
    async fn collation(&self) -> Option<&str> {
        let ask = async {
            let rows = query::rows(&self.server, "asking for the collation", DATABASE_COLLATION).await.ok()?;
            query::text(rows.first()?, 0)
        };
        self.collation.get_or_init(|| ask).await.as_deref()
    }

    /// The code page of a collation, if the server knows it.
    async fn code_page(&self, collation: &str) -> Option<i64> {
        let rows = query::rows(&self.server, "asking for a code page", &code_page_sql(collation)).await.ok()?;
        query::int(rows.first()?, 0)
    }

    fn note_cuts<'a>(&self, table: &TableName, cuts: impl Iterator<Item = (&'a str, u64)>) {
        let mut noted = self.cuts.lock().unwrap_or_else(PoisonError::into_inner);
        for (column, count) in cuts {
            *noted.entry((table.to_string(), column.to_owned())).or_default() += count;
        }
    }
}

impl MssqlSource {
    /// Connects.
    ///
    /// # Errors
    /// When the server cannot be reached or refuses.
    pub async fn connect(address: &MssqlAddress) -> Result<Self, Error> {
        Self::connect_for(address, connect::READERS).await
    }

    /// Connects for so many ranges at once at most. Whoever opens more streams than that at the same time must not wait
    /// for one of them before the others go on.
    ///
    /// # Errors
    /// When the server cannot be reached or refuses.
    pub async fn connect_for(address: &MssqlAddress, readers: usize) -> Result<Self, Error> {
        let server = connect::Server::new(address, readers)?;
        let client = server.client().await?;
        server.give_back(client);
        Ok(MssqlSource {
            shared: Arc::new(Shared {
                server,
                catalog: OnceCell::new(),
                collation: OnceCell::new(),
                cuts: Mutex::new(BTreeMap::new()),
            }),
        })
    }

    /// Protocol and cipher of the line; `None` if it is not encrypted.
    pub fn tls(&self) -> Option<&TlsFacts> {
        self.shared.server.tls_facts()
    }

    /// What the server says of itself, of the database and of the login.
    pub async fn facts(&self) -> ServerFacts {
        facts::facts(&self.shared.server).await
    }

    /// How many times the seventh digit of a second was cut off so far, by table and column.
    pub fn cut_seconds(&self) -> Vec<(String, String, u64)> {
        let cuts = self.shared.cuts.lock().unwrap_or_else(PoisonError::into_inner);
        cuts.iter().map(|((table, column), count)| (table.clone(), column.clone(), *count)).collect()
    }
}

#[async_trait]
impl Source for MssqlSource {
    async fn catalog(&self) -> Result<Arc<Catalog>, Error> {
        let shared = &self.shared;
        let read = || async { Ok(Arc::new(introspect::catalog(&shared.server).await?)) };
        shared.catalog.get_or_try_init(read).await.cloned()
    }

    async fn count(&self, table: &Table) -> Result<u64, Error> {
        read::count(&self.shared.server, &table.table_name()).await
    }

    async fn bounds(&self, table: &Table, column: &str) -> Result<Option<(i64, i64)>, Error> {
        read::bounds(&self.shared.server, &table.table_name(), column).await
    }

    fn read(&self, request: ReadRequest) -> ChunkStream {
        read::rows(self.shared.clone(), request)
    }

    async fn consistency(&self) -> Result<Consistency, Error> {
        // A readable secondary of an availability group calls itself read-only, too, but goes on changing; its
        // `is_read_only` is 0. A login that may not see this is told nothing, and so relies on nothing.
        let sql = "SELECT is_read_only, source_database_id FROM sys.databases WHERE name = DB_NAME()";
        let rows = query::rows(&self.shared.server, "asking whether the database is read-only", sql).await;
        let frozen =
            rows.is_ok_and(|rows| rows.first().is_some_and(|row| query::flag(row, 0) || query::int(row, 1).is_some()));
        Ok(if frozen { Consistency::Frozen } else { Consistency::Fuzzy })
    }

    async fn rights(&self) -> Rights {
        read::rights(&self.shared.server).await
    }

    async fn filled(&self, table: &Table, columns: &[&Column]) -> Result<Vec<u64>, Error> {
        read::filled(&self.shared.server, &table.table_name(), columns).await
    }

    async fn answer(&self, doing: &str, sql: &str) -> Result<Option<Answer>, Error> {
        let rows = query::rows(&self.shared.server, doing, sql).await?;
        Ok(Some(rows.iter().map(|row| (0..row.len()).map(|at| query::text(row, at)).collect()).collect()))
    }

    fn cut_digits(&self) -> Vec<(String, String, u64)> {
        self.cut_seconds()
    }

    fn describe(&self) -> String {
        let address = self.shared.server.address();
        match address.database.as_str() {
            "" => trouble::place(address),
            database => format!("{}, database {database}", trouble::place(address)),
        }
    }
}
