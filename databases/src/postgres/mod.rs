//! PostgreSQL: connecting, describing, reading, and the binary COPY format in both directions.

mod connect;
pub mod copy;
mod decode;
pub mod doctor;
mod introspect;
pub mod numeric;
mod read;
mod sink;

pub mod baseline;

use std::sync::Arc;

use async_trait::async_trait;
use imis_schemas::{Catalog, Engine, Table};
use tokio::sync::OnceCell;

pub use connect::{Connection, Pool, connect, describe_error};
pub use introspect::{STATE_SCHEMA, introspect};
pub use read::read_within;
pub use sink::{PostgresSink, copy_statement};

use crate::error::{Error, ErrorKind};
use crate::location::PostgresAddress;
use crate::source::{Answer, ChunkStream, Consistency, ReadRequest, Source};

/// A PostgreSQL database as a source.
pub struct PostgresSource {
    pool: Pool,
    catalog: OnceCell<Arc<Catalog>>,
}

impl PostgresSource {
    /// Connects.
    ///
    /// # Errors
    /// When the server cannot be reached or refuses.
    pub async fn connect(address: &PostgresAddress) -> Result<Self, Error> {
        let pool = Pool::new(address.clone());
        pool.take().await?;
        Ok(PostgresSource { pool, catalog: OnceCell::new() })
    }

    /// The database of a pool, whose connections it takes and gives back.
    pub fn of(pool: Pool) -> Self {
        PostgresSource { pool, catalog: OnceCell::new() }
    }

    /// Forgets the catalogue, so that the next look sees what has changed.
    pub fn forget_catalog(&mut self) {
        self.catalog = OnceCell::new();
    }
}

#[async_trait]
impl Source for PostgresSource {
    async fn catalog(&self) -> Result<Arc<Catalog>, Error> {
        let catalog = self
            .catalog
            .get_or_try_init(|| async {
                let connection = self.pool.take().await?;
                introspect(&connection).await.map(Arc::new)
            })
            .await?;
        Ok(Arc::clone(catalog))
    }

    async fn count(&self, table: &Table) -> Result<u64, Error> {
        let name = table.table_name();
        let sql = format!("SELECT count(*) FROM {}", name.sql(Engine::Postgres));
        let row = self
            .pool
            .take()
            .await?
            .query_one(&sql, &[])
            .await
            .map_err(|e| describe_error(e, &format!("counting the rows of {name}")))?;
        Ok(u64::try_from(row.get::<_, i64>(0)).unwrap_or(0))
    }

    async fn bounds(&self, table: &Table, column: &str) -> Result<Option<(i64, i64)>, Error> {
        let name = table.table_name();
        let quoted = Engine::Postgres.quote(column);
        let sql = format!("SELECT min({quoted})::bigint, max({quoted})::bigint FROM {}", name.sql(Engine::Postgres));
        let row = self
            .pool
            .take()
            .await?
            .query_one(&sql, &[])
            .await
            .map_err(|e| describe_error(e, &format!("looking for the bounds of {name}.{column}")))?;
        Ok(row.get::<_, Option<i64>>(0).zip(row.get::<_, Option<i64>>(1)))
    }

    fn read(&self, request: ReadRequest) -> ChunkStream {
        read::stream(self.pool.clone(), request)
    }

    async fn consistency(&self) -> Result<Consistency, Error> {
        let connection = self.pool.take().await?;
        let row = connection
            .query_one("SELECT pg_is_in_recovery(), current_setting('default_transaction_read_only') = 'on'", &[])
            .await
            .map_err(|e| describe_error(e, "asking how the server is set"))?;
        Ok(if row.get::<_, bool>(0) || row.get::<_, bool>(1) { Consistency::Frozen } else { Consistency::Fuzzy })
    }

    async fn answer(&self, doing: &str, sql: &str) -> Result<Option<Answer>, Error> {
        let rows = self.pool.take().await?.query(sql, &[]).await.map_err(|e| describe_error(e, doing))?;
        let cell = |row: &tokio_postgres::Row, at| {
            let text = row.try_get::<_, Option<String>>(at);
            text.map_err(|_| Error::new(ErrorKind::Failed, format!("an item of the answer is no text while {doing}")))
        };
        let row = |row: &tokio_postgres::Row| (0..row.len()).map(|at| cell(row, at)).collect();
        rows.iter().map(row).collect::<Result<Answer, Error>>().map(Some)
    }

    fn describe(&self) -> String {
        format!("PostgreSQL, {}", self.pool.place())
    }
}
