//! How many rows the tables of both ends have. Each is asked for once, all of them beside each other, before totals and rows.

use std::collections::HashMap;
use std::sync::Arc;

use futures::{StreamExt, TryStreamExt, stream};
use imis_databases::Error;
use imis_schemas::{Table, TableName};

use super::End;

/// The rows of tables, as their servers count them.
pub(crate) struct Counted {
    from: HashMap<TableName, u64>,
    to: HashMap<TableName, u64>,
}

impl Counted {
    /// Counts these tables of the two ends, so many at once on each.
    ///
    /// # Errors
    /// When a server does not answer.
    pub(crate) async fn new(
        (from, from_tables): (&End, Vec<Arc<Table>>),
        (to, to_tables): (&End, Vec<Arc<Table>>),
        jobs: usize,
    ) -> Result<Self, Error> {
        let (from, to) = futures::try_join!(count(from, from_tables, jobs), count(to, to_tables, jobs))?;
        Ok(Counted { from, to })
    }

    /// The rows of a table of the source; `None` where nobody asked.
    pub(crate) fn from(&self, table: &Table) -> Option<u64> {
        self.from.get(&table.table_name()).copied()
    }

    /// The rows of a table of the target; `None` where nobody asked.
    pub(crate) fn to(&self, table: &Table) -> Option<u64> {
        self.to.get(&table.table_name()).copied()
    }
}

async fn count(end: &End, tables: Vec<Arc<Table>>, jobs: usize) -> Result<HashMap<TableName, u64>, Error> {
    // A table that several rules read is counted once.
    let tables: HashMap<TableName, Arc<Table>> = tables.into_iter().map(|table| (table.table_name(), table)).collect();
    stream::iter(tables)
        .map(|(name, table)| async move { Ok::<_, Error>((name, end.source.count(&table).await?)) })
        .buffer_unordered(jobs.max(1))
        .try_collect()
        .await
}
