//! PostgreSQL: connecting, describing, reading, and the binary COPY format in both directions.

mod connect;
pub mod copy;
mod decode;
pub mod doctor;
#[cfg(test)]
mod fuzz;
mod guard;
mod introspect;
pub mod numeric;
mod pages;
mod read;
mod sink;

pub mod baseline;

use std::sync::Arc;

use async_trait::async_trait;
use imis_schemas::{Catalog, Engine, Table};
use tokio::sync::OnceCell;
use tokio_postgres::Row;

pub use connect::{Connection, Pool, cell, connect, describe_error};
pub use introspect::{STATE_SCHEMA, introspect};
pub use read::read_within;
pub use sink::{PostgresSink, copy_statement};

use self::pages::Pages;
use crate::consistency::{Choice, Consistency, Offer, Reading, Wish};
use crate::error::{Error, ErrorKind};
use crate::location::PostgresAddress;
use crate::source::{Answer, ChunkStream, ReadRequest, Source};

/// A PostgreSQL database as a source.
pub struct PostgresSource {
    pool: Pool,
    catalog: OnceCell<Arc<Catalog>>,
    wish: Wish,
    choice: OnceCell<Choice>,
}

impl PostgresSource {
    /// Connects.
    ///
    /// # Errors
    /// When the server cannot be reached or refuses.
    pub async fn connect(address: &PostgresAddress) -> Result<Self, Error> {
        Self::connect_as(address, Wish::Fuzzy).await
    }

    /// Connects, and settles what can be relied on before anything is read. All connections can share one snapshot.
    ///
    /// # Errors
    /// When the server cannot be reached or refuses, or cannot give what is wished for.
    pub async fn connect_as(address: &PostgresAddress, wish: Wish) -> Result<Self, Error> {
        let pool = Pool::new(address.clone());
        pool.take().await?;
        let source = PostgresSource { wish, ..Self::of(pool) };
        if wish != Wish::Fuzzy && source.choice().await?.level == Consistency::SingleTransaction {
            source.pool.see_one_state().await?;
        }
        Ok(source)
    }

    /// The database of a pool, whose connections it takes and gives back.
    pub fn of(pool: Pool) -> Self {
        PostgresSource { pool, catalog: OnceCell::new(), wish: Wish::Fuzzy, choice: OnceCell::new() }
    }

    /// Forgets the catalogue, so that the next look sees what has changed.
    pub fn forget_catalog(&mut self) {
        self.catalog = OnceCell::new();
    }

    /// A standby goes on changing, and a database that is read-only by a setting is so only for those who leave the setting.
    async fn choice(&self) -> Result<&Choice, Error> {
        let settle = || async {
            let sql = "SELECT CASE WHEN pg_is_in_recovery() THEN pg_is_wal_replay_paused() ELSE false END";
            let paused = self.rows(sql, "asking how the server is set").await?.first().is_some_and(|row| row.get(0));
            let frozen = paused.then(|| "it is a standby whose replay is paused".to_owned());
            let offer = Offer { frozen, single_transaction: Some(true) };
            offer.choose(self.wish).ok_or_else(|| Error::failed("no level of consistency can be had"))
        };
        self.choice.get_or_try_init(settle).await
    }

    async fn rows(&self, sql: &str, doing: &str) -> Result<Vec<Row>, Error> {
        self.rows_with("", sql, doing).await
    }

    async fn answer_with(&self, setting: &str, doing: &str, sql: &str) -> Result<Option<Answer>, Error> {
        let rows = self.rows_with(setting, sql, doing).await?;
        let cell = |row: &Row, at| {
            let text = row.try_get::<_, Option<String>>(at);
            text.map_err(|_| Error::new(ErrorKind::Failed, format!("an item of the answer is no text while {doing}")))
        };
        let row = |row: &Row| (0..row.len()).map(|at| cell(row, at)).collect();
        rows.iter().map(row).collect::<Result<Answer, Error>>().map(Some)
    }

    /// The rows of a query, after a setting of the transaction.
    async fn rows_with(&self, setting: &str, sql: &str, doing: &str) -> Result<Vec<Row>, Error> {
        let mut connection = self.pool.take().await?;
        let answer = async {
            if !setting.is_empty() {
                connection.batch_execute(setting).await?;
            }
            connection.query(sql, &[]).await
        };
        match answer.await {
            Ok(rows) => Ok(rows),
            Err(error) => {
                // In a transaction nothing can follow an error.
                connection.spoil();
                Err(describe_error(error, doing))
            }
        }
    }
}

/// Of totals by group the server thinks that there is one for each birthday where there is one for each year, and would sort the table for
/// fear of so many. What it may use it uses for the groups that there are.
const GROUPS: &str = "SET LOCAL work_mem = '256MB'";

#[async_trait]
impl Source for PostgresSource {
    async fn catalog(&self) -> Result<Arc<Catalog>, Error> {
        let catalog = self
            .catalog
            .get_or_try_init(|| async {
                let mut connection = self.pool.take().await?;
                let catalog = introspect(&connection).await;
                if catalog.is_err() {
                    connection.spoil();
                }
                catalog.map(Arc::new)
            })
            .await?;
        Ok(Arc::clone(catalog))
    }

    async fn count(&self, table: &Table) -> Result<u64, Error> {
        let name = table.table_name();
        let sql = format!("SELECT count(*) FROM {}", name.sql(Engine::Postgres));
        let rows = self.rows(&sql, &format!("counting the rows of {name}")).await?;
        let count = rows.first().map(|row| cell::<i64>(row, 0)).transpose()?.unwrap_or(0);
        Ok(u64::try_from(count).unwrap_or(0))
    }

    async fn rows_at_most(&self, table: &Table) -> Result<Option<u64>, Error> {
        // The smallest row takes its header of 24 bytes and a pointer of 4.
        Ok(Pages::of(&self.pool, &table.table_name()).await?.map(|pages| pages.bytes / 28))
    }

    async fn bounds(&self, table: &Table, column: &str) -> Result<Option<(i64, i64)>, Error> {
        let name = table.table_name();
        let quoted = Engine::Postgres.quote(column);
        let sql = format!("SELECT min({quoted})::bigint, max({quoted})::bigint FROM {}", name.sql(Engine::Postgres));
        let rows = self.rows(&sql, &format!("looking for the bounds of {name}.{column}")).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        Ok(cell::<Option<i64>>(row, 0)?.zip(cell::<Option<i64>>(row, 1)?))
    }

    fn read(&self, request: ReadRequest) -> ChunkStream {
        read::stream(self.pool.clone(), request)
    }

    /// Each part has a stretch of the table's pages, and a connection.
    fn read_apart(&self, request: ReadRequest, parts: usize) -> Vec<ChunkStream> {
        match parts > 1 && request.range.is_whole() && self.pool.sees_one_state() {
            true => read::apart(&self.pool, &request, parts),
            false => vec![self.read(request)],
        }
    }

    async fn consistency(&self) -> Result<Consistency, Error> {
        Ok(self.choice().await?.level)
    }

    async fn reading(&self) -> Result<(Consistency, Reading), Error> {
        let choice = self.choice().await?;
        let reading = Reading { because: choice.because.clone(), declared: choice.declared, ..Reading::default() };
        Ok((choice.level, reading))
    }

    async fn answer(&self, doing: &str, sql: &str) -> Result<Option<Answer>, Error> {
        self.answer_with(GROUPS, doing, sql).await
    }

    async fn answer_beside(&self, doing: &str, sql: &str) -> Result<Option<Answer>, Error> {
        self.answer_with(&format!("{GROUPS}; SET LOCAL max_parallel_workers_per_gather = 0"), doing, sql).await
    }

    fn describe(&self) -> String {
        format!("PostgreSQL, {}", self.pool.place())
    }
}
