//! SQL Server, and what speaks its language: connecting, describing, reading.
//!
//! ```text
//! MssqlAddress --tls--> SharedLine --tiberius--> Client --introspect--> Catalog
//!                                                       --facts--> ServerFacts
//!                       SharedLine --select, wire--> Chunks
//!                                   (--by_tiberius, decode--> Chunks)
//! ```
//!
//! Nothing is ever written to the source, no lock hints are used, and each range is read with one statement.

mod allowance;
mod by_tiberius;
mod cell;
mod clock;
mod connect;
mod consistency;
mod decode;
mod facts;
mod fault;
#[cfg(test)]
mod fuzz;
mod introspect;
mod oversize;
mod query;
mod questions;
mod read;
mod rows;
mod select;
mod shared_line;
mod text;
mod tls;
mod transaction;
mod trouble;
mod veil;
mod wire;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use imis_schemas::{Catalog, Column, Engine, Table, TableName};
use tokio::sync::OnceCell;

pub use self::facts::ServerFacts;
pub use self::tls::TlsFacts;
use crate::consistency::{Choice, Consistency, Mark, Reading, Wish};
use crate::error::Error;
use crate::location::MssqlAddress;
use crate::source::{Answer, ChunkStream, ReadRequest, Rights, Source, Veiled};

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
    rights: OnceCell<Rights>,
    veiled: OnceCell<Vec<Veiled>>,
    collation: OnceCell<Option<String>>,
    cuts: Mutex<BTreeMap<(String, String), u64>>,
    wish: Wish,
    choice: OnceCell<Choice>,
    /// Where the count of changes stood before the first read.
    before: OnceCell<Option<Mark>>,
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

    async fn choice(&self) -> Result<&Choice, Error> {
        let settle = || async {
            let offer = consistency::offer(&self.server).await?;
            offer.choose(self.wish).ok_or_else(|| trouble::not_allowed(self.server.address()))
        };
        self.choice.get_or_try_init(settle).await
    }

    /// What the login does not see as it is; nothing where the address accepts that.
    async fn veiled(&self) -> Result<&[Veiled], Error> {
        let ask = || async {
            if self.server.address().accepts_veiled { Ok(Vec::new()) } else { veil::veiled(&self.server).await }
        };
        self.veiled.get_or_try_init(ask).await.map(Vec::as_slice)
    }

    async fn mark_before(&self) -> Option<Mark> {
        *self.before.get_or_init(|| consistency::mark(&self.server)).await
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

    /// Connects, and settles what can be relied on before anything is read.
    ///
    /// # Errors
    /// When the server cannot be reached or refuses, or cannot give what is wished for.
    pub async fn connect_as(address: &MssqlAddress, wish: Wish) -> Result<Self, Error> {
        let source = Self::connect_with(address, connect::READERS, wish).await?;
        source.shared.mark_before().await;
        if source.shared.choice().await?.level == Consistency::SingleTransaction {
            source.shared.server.read_in_one_transaction();
        }
        Ok(source)
    }

    /// Connects for so many ranges at once at most. Whoever opens more streams than that at the same time must not wait
    /// for one of them before the others go on.
    ///
    /// # Errors
    /// When the server cannot be reached or refuses.
    pub async fn connect_for(address: &MssqlAddress, readers: usize) -> Result<Self, Error> {
        Self::connect_with(address, readers, Wish::Fuzzy).await
    }

    async fn connect_with(address: &MssqlAddress, readers: usize, wish: Wish) -> Result<Self, Error> {
        let server = connect::Server::new(address, readers)?;
        let client = server.client().await?;
        server.give_back(client);
        Ok(MssqlSource {
            shared: Arc::new(Shared {
                server,
                catalog: OnceCell::new(),
                rights: OnceCell::new(),
                veiled: OnceCell::new(),
                collation: OnceCell::new(),
                cuts: Mutex::new(BTreeMap::new()),
                wish,
                choice: OnceCell::new(),
                before: OnceCell::new(),
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
        // Of rows that a filter keeps from us none is counted either, and an empty table is not even read.
        veil::refuse(self.shared.veiled().await?, &table.table_name(), &[])?;
        questions::count(&self.shared.server, &table.table_name()).await
    }

    async fn bounds(&self, table: &Table, column: &str) -> Result<Option<(i64, i64)>, Error> {
        questions::bounds(&self.shared.server, &table.table_name(), column).await
    }

    fn read(&self, request: ReadRequest) -> ChunkStream {
        read::rows(self.shared.clone(), request)
    }

    async fn consistency(&self) -> Result<Consistency, Error> {
        Ok(self.shared.choice().await?.level)
    }

    async fn reading(&self) -> Result<(Consistency, Reading), Error> {
        let before = self.shared.mark_before().await;
        let choice = self.shared.choice().await?;
        let reading = Reading { because: choice.because.clone(), declared: choice.declared, before, after: None };
        Ok((choice.level, reading))
    }

    async fn mark(&self) -> Option<Mark> {
        consistency::mark(&self.shared.server).await
    }

    async fn rights(&self) -> Rights {
        let shared = &self.shared;
        let ask = || async {
            // A server that cannot be asked is asked again before the first row.
            let veiled = shared.veiled().await.map(<[Veiled]>::to_vec).unwrap_or_default();
            Rights { veiled, ..questions::rights(&shared.server).await }
        };
        shared.rights.get_or_init(ask).await.clone()
    }

    async fn filled(&self, table: &Table, columns: &[&Column]) -> Result<Vec<u64>, Error> {
        questions::filled(&self.shared.server, &table.table_name(), columns).await
    }

    async fn answer(&self, doing: &str, sql: &str) -> Result<Option<Answer>, Error> {
        let rows = query::rows_within(&self.shared.server, doing, sql).await?;
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
