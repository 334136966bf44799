//! How many rows the tables of both ends have. Each is asked for once, all of them beside each other, before totals and rows.

use std::collections::HashMap;
use std::sync::Arc;

use futures::{StreamExt, TryStreamExt, stream};
use imis_databases::{Error, ErrorKind};
use imis_schemas::{Table, TableName};

use super::End;

/// In tables up to this size nothing is spared: they are counted on both sides, and so are their distinct values.
pub(crate) const CHEAP: u64 = 200_000;
/// A short row of an openIMIS table takes about four times what the smallest row there can be takes.
const USUAL: u64 = 4;

/// What of a column is added up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Depth {
    /// NULLs, sums of money and decimals, the ends of dates: what a table of millions of rows can be asked for while all of them are
    /// compared anyway.
    Money,
    /// Sums of whole numbers and truth values, too: not every row, or not this column, is compared.
    Numbers,
    /// The ends of numbers, and how many values are distinct.
    All,
}

/// A table of the target, and those of the source that its rows come from.
pub(crate) struct Asked {
    pub(crate) from: Vec<Arc<Table>>,
    pub(crate) to: Arc<Table>,
}

/// The rows of tables.
pub(crate) struct Counted {
    from: HashMap<TableName, u64>,
    to: HashMap<TableName, Target>,
}

/// The rows of a table of the target.
#[derive(Clone, Copy)]
struct Target {
    rows: u64,
    at_most: u64,
}

impl Counted {
    /// Counts these tables, so many at once on each end. A table of the target that gets more than a few rows is not counted, as
    /// long as its server knows how many it can have at most: the rows that come are counted, and nothing else needs the number.
    ///
    /// # Errors
    /// When a server does not answer.
    pub(crate) async fn new(from: &End, to: &End, asked: &[Asked], jobs: usize) -> Result<Self, Error> {
        // A table that several rules read is counted once.
        let sources: HashMap<TableName, &Arc<Table>> =
            asked.iter().flat_map(|asked| &asked.from).map(|table| (table.table_name(), table)).collect();
        let sources: HashMap<TableName, u64> = stream::iter(sources)
            .map(|(name, table)| async move { Ok::<_, Error>((name, from.source.count(table).await?)) })
            .buffer_unordered(jobs.max(1))
            .try_collect()
            .await?;
        let rows = |asked: &Asked| asked.from.iter().filter_map(|table| sources.get(&table.table_name())).sum::<u64>();
        let targets = asked.iter().map(|asked| (rows(asked), &asked.to)).collect::<Vec<_>>();
        let targets = stream::iter(targets)
            .map(|(rows, table)| async move {
                // What was asked to be spared is no reason to fail; and a size that is too small is that of something else.
                let bound = match rows > CHEAP {
                    true => match to.source.rows_at_most(table).await {
                        Err(error) if error.kind() == ErrorKind::Unreachable => return Err(error),
                        answer => answer.ok().flatten().filter(|at_most| *at_most >= rows),
                    },
                    false => None,
                };
                let target = match bound {
                    Some(at_most) => Target { rows: rows.max(at_most / USUAL), at_most },
                    None => {
                        let rows = to.source.count(table).await?;
                        Target { rows, at_most: rows }
                    }
                };
                Ok::<_, Error>((table.table_name(), target))
            })
            .buffer_unordered(jobs.max(1))
            .try_collect()
            .await?;
        Ok(Counted { from: sources, to: targets })
    }

    /// The rows of a table of the source; `None` where nobody asked.
    pub(crate) fn from(&self, table: &Table) -> Option<u64> {
        self.from.get(&table.table_name()).copied()
    }

    /// The rows of a table of the target: counted where there are few on both sides, about so many where there are not.
    pub(crate) fn to(&self, table: &Table) -> u64 {
        self.to.get(&table.table_name()).map_or(0, |target| target.rows)
    }

    /// The rows of a table and of the one that it gets them from: of that which has more.
    pub(crate) fn larger(&self, from: &Table, to: &Table) -> u64 {
        self.from(from).unwrap_or_default().max(self.to(to))
    }

    /// What is added up of a table that gets its rows from another, where only a sample of the rows may be compared.
    pub(crate) fn depth(&self, from: &Table, to: &Table, sample: bool) -> Depth {
        match self.larger(from, to) {
            ..=CHEAP => Depth::All,
            _ if sample => Depth::Numbers,
            _ => Depth::Money,
        }
    }

    /// How many rows a table of the target has at most; `None` where nobody asked.
    pub(crate) fn to_at_most(&self, table: &Table) -> Option<u64> {
        self.to.get(&table.table_name()).map(|target| target.at_most)
    }
}

#[cfg(test)]
mod tests {
    use super::super::told::Told;
    use super::*;

    /// What is known of a table, and what the target was asked for that.
    async fn known(from_rows: u64, to_rows: u64, at_most: Option<u64>) -> (u64, Option<u64>, Vec<String>) {
        let server = |rows, at_most| Arc::new(Told { rows, at_most, ..Told::new(|_| Ok(Vec::new())) });
        let (from, to) = (server(from_rows, None), server(to_rows, at_most));
        let (one, other) = (from.end(), to.end());
        let table = Arc::new(one.catalog.table("tblInsuree").unwrap().clone());
        let asked = [Asked { from: vec![Arc::clone(&table), Arc::clone(&table)], to: Arc::clone(&table) }];
        let counted = Counted::new(&one, &other, &asked, 2).await.unwrap();
        assert_eq!(counted.from(&table), Some(from_rows));
        let depth = |sample| counted.depth(&table, &table, sample);
        match from_rows.max(counted.to(&table)) <= CHEAP {
            true => assert_eq!((depth(false), depth(true)), (Depth::All, Depth::All)),
            false => assert_eq!((depth(false), depth(true)), (Depth::Money, Depth::Numbers)),
        }
        assert_eq!(*from.asked.lock().unwrap(), ["count tblInsuree"]);
        let questions = to.asked.lock().unwrap().clone();
        (counted.to(&table), counted.to_at_most(&table), questions)
    }

    #[tokio::test]
    async fn a_large_target_is_not_counted_where_its_size_says_enough() {
        let (count, at_most) = ("count tblInsuree".to_owned(), "at most tblInsuree".to_owned());
        // Few rows are counted on both sides.
        assert_eq!(known(7, 9, Some(100)).await, (9, Some(9), vec![count.clone()]));
        // Of many the target's size says how many there can be, and about how many there are.
        assert_eq!(known(300_000, 1, Some(900_000)).await, (600_000, Some(900_000), vec![at_most.clone()]));
        assert_eq!(known(300_000, 1, Some(9_000_000)).await, (2_250_000, Some(9_000_000), vec![at_most.clone()]));
        // A server counts that does not know it, or says what cannot be of a table that was filled.
        assert_eq!(known(300_000, 5, None).await, (5, Some(5), vec![at_most.clone(), count.clone()]));
        assert_eq!(known(300_000, 5, Some(0)).await, (5, Some(5), vec![at_most, count]));
    }
}
