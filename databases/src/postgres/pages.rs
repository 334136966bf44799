//! The pages of a plain table: how many there are, and stretches of them that are read at the same time.
//!
//! Where a row lies says to which stretch it belongs, and that changes when the row does: stretches give every row once only to
//! transactions that see one state of the table.

use imis_schemas::{Engine, TableName};

use super::connect::{Pool, cell, describe_error};
use crate::error::{Error, ErrorKind};

/// Before version 14 a stretch of pages is not found without reading all of them.
const FOUND_SINCE: i32 = 140_000;
/// A stretch has as many bytes at least: another connection is not opened for less.
const WORTH: u64 = 8 << 20;

/// A plain table whose rows lie in its own pages.
pub(super) struct Pages {
    /// The size of all.
    pub(super) bytes: u64,
    /// The size of one.
    block: u64,
    version: i32,
}

impl Pages {
    /// Asks for them; `None` where something else is behind the name: a view, a partitioned table, one that others inherit from.
    pub(super) async fn of(pool: &Pool, table: &TableName) -> Result<Option<Self>, Error> {
        // The access method of a plain table, `heap`, has the number 2 in every PostgreSQL.
        let sql = format!(
            "SELECT pg_relation_size(c.oid), current_setting('block_size')::bigint, current_setting('server_version_num')::int \
             FROM pg_class c WHERE c.oid = {}::regclass AND c.relkind = 'r' AND NOT c.relhassubclass AND c.relam = 2",
            Engine::Postgres.literal(&table.sql(Engine::Postgres))
        );
        let mut connection = pool.take().await?;
        let row = match connection.query_opt(&sql, &[]).await {
            Ok(row) => row,
            Err(error) => {
                // In a transaction nothing can follow an error.
                connection.spoil();
                return Err(describe_error(error, &format!("asking for the size of {table}")));
            }
        };
        let Some(row) = row else { return Ok(None) };
        let number = |at| Ok::<_, Error>(cell::<Option<i64>>(&row, at)?.and_then(|n| u64::try_from(n).ok()));
        let (Some(bytes), Some(block)) = (number(0)?, number(1)?) else { return Ok(None) };
        Ok(Some(Pages { bytes, block, version: cell(&row, 2)? }))
    }

    /// The conditions of so many stretches at most, which together hold for every row and for none of them twice.
    fn stretches(&self, parts: usize) -> Vec<String> {
        let parts = if self.version < FOUND_SINCE { 1 } else { (self.bytes / WORTH).clamp(1, parts.max(1) as u64) };
        let pages = self.bytes / self.block.max(1);
        let cut = |nth: u64| format!("'({},0)'::tid", pages * nth / parts);
        let stretch = |nth| {
            let from = (nth > 0).then(|| format!("ctid >= {}", cut(nth)));
            let to = (nth + 1 < parts).then(|| format!("ctid < {}", cut(nth + 1)));
            from.into_iter().chain(to).collect::<Vec<_>>().join(" AND ")
        };
        (0..parts).map(stretch).collect()
    }
}

/// The stretches of a table; one that holds for all rows where the server does not say more.
pub(super) async fn stretches(pool: &Pool, table: &TableName, parts: usize) -> Result<Vec<String>, Error> {
    match Pages::of(pool, table).await {
        Ok(pages) => Ok(pages.map_or_else(|| vec![String::new()], |pages| pages.stretches(parts))),
        Err(error) if error.kind() == ErrorKind::Unreachable => Err(error),
        // What would be quicker is no reason to fail.
        Err(_) => Ok(vec![String::new()]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stretches_leave_no_page_out_and_none_twice() {
        let pages = |bytes, version| Pages { bytes, block: 8192, version };
        let of = |bytes, version, parts| pages(bytes, version).stretches(parts);
        assert_eq!(of(0, 150_000, 4), [""]);
        assert_eq!(of(100 << 20, 130_000, 4), [""], "an old server would read everything for each");
        assert_eq!(of(100 << 20, 150_000, 0), [""]);
        assert_eq!(of(20 << 20, 150_000, 4), ["ctid < '(1280,0)'::tid", "ctid >= '(1280,0)'::tid"]);
        let three = of(96 << 20, 170_000, 3);
        assert_eq!(three[1], "ctid >= '(4096,0)'::tid AND ctid < '(8192,0)'::tid");
        assert_eq!((three[0].as_str(), three[2].as_str()), ("ctid < '(4096,0)'::tid", "ctid >= '(8192,0)'::tid"));
    }
}
