//! A database as something to read from.

use std::fmt;
use std::sync::Arc;

use arrow::record_batch::RecordBatch;
use async_trait::async_trait;
use futures::stream::BoxStream;
use imis_schemas::{Catalog, Column, DataType, Engine, Table, TableName, same_name};
use serde::{Deserialize, Serialize};

use crate::consistency::{Consistency, Mark, Reading};
use crate::error::{Error, ErrorKind};
use crate::filled;

/// How many rows a batch holds, about: what came in one message stays together, which is 32 KiB of a PostgreSQL at most.
pub const BATCH_ROWS: usize = 8 * 1024;
/// How many bytes a batch may gather before it is handed on, short of its rows.
pub const BATCH_BYTES: usize = 8 * 1024 * 1024;
/// How large a single cell may be.
pub const MAX_CELL: usize = 64 * 1024 * 1024;

/// A stretch of a table's key: from (inclusive) to (exclusive), each end open where it is `None`.
///
/// Only a single integer column that is unique and not null can be split; every other table is one range, open at both
/// ends, without a column.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, Default)]
pub struct KeyRange {
    /// The key column; `None` for a table that is one range.
    pub column: Option<String>,
    /// The first key, inclusive.
    pub from: Option<i64>,
    /// The first key that is no longer in the range.
    pub to: Option<i64>,
}

impl KeyRange {
    /// The whole table.
    pub fn whole() -> Self {
        KeyRange::default()
    }

    /// Whether the range is open at both ends.
    pub fn is_whole(&self) -> bool {
        self.from.is_none() && self.to.is_none()
    }
}

impl fmt::Display for KeyRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(column) = &self.column else { return f.write_str("all rows") };
        match (self.from, self.to) {
            (None, None) => f.write_str("all rows"),
            (Some(from), None) => write!(f, "{column} from {from}"),
            (None, Some(to)) => write!(f, "{column} below {to}"),
            (Some(from), Some(to)) => write!(f, "{column} from {from} below {to}"),
        }
    }
}

/// What to read.
#[derive(Clone, Debug)]
pub struct ReadRequest {
    /// The table, as its catalogue describes it.
    pub table: Arc<Table>,
    /// The columns, spelled as in the catalogue, in the order in which the batches shall have them.
    pub columns: Vec<String>,
    /// The stretch of the key.
    pub range: KeyRange,
    /// Rows a batch, about.
    pub batch_rows: usize,
    /// Bytes a batch at most (one row may be larger).
    pub batch_bytes: usize,
    /// Bytes a cell at most; a larger one makes a [`RefusedRow`].
    pub max_cell: usize,
    /// Rows that are believed at most: a server that sends more has none of these, and never comes to an end.
    pub at_most: u64,
    /// Who turns texts of a code page into Unicode.
    pub texts: Texts,
}

/// Who turns texts of a code page into Unicode. A server that keeps Unicode has no choice to make.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Texts {
    /// We do, by the collation of their column: the server has the least to do.
    #[default]
    DecodedHere,
    /// The server does, by its own conversion. Verification reads so, in order to go another way than the load.
    ByTheServer,
}

impl ReadRequest {
    /// All columns of a table, all rows, with the usual bounds.
    pub fn all(table: Arc<Table>) -> Self {
        let columns = table.columns.iter().map(|c| c.name.clone()).collect();
        ReadRequest {
            table,
            columns,
            range: KeyRange::whole(),
            batch_rows: BATCH_ROWS,
            batch_bytes: BATCH_BYTES,
            max_cell: MAX_CELL,
            texts: Texts::default(),
            at_most: u64::MAX,
        }
    }

    /// The same for some columns only.
    #[must_use]
    pub fn columns(mut self, columns: Vec<String>) -> Self {
        self.columns = columns;
        self
    }

    /// The same from a table that had so many rows when they were counted: twice as many and a million more are believed,
    /// for the system may go on working.
    #[must_use]
    pub fn counted(mut self, rows: u64) -> Self {
        self.at_most = rows.saturating_mul(2).saturating_add(1_000_000);
        self
    }

    /// The same for one range only.
    #[must_use]
    pub fn range(mut self, range: KeyRange) -> Self {
        self.range = range;
        self
    }
}

/// A row that was there but could not be read, with the key by which it is found again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusedRow {
    /// The key's columns and values; empty where the table has no key.
    pub key: Vec<(String, String)>,
    /// The column that could not be read.
    pub column: String,
    /// Why, without the value.
    pub reason: String,
}

/// A batch of rows, and the rows that belong with it but could not be read.
#[derive(Clone, Debug)]
pub struct Chunk {
    /// The rows.
    pub batch: RecordBatch,
    /// Rows that were there and are not in the batch.
    pub refused: Vec<RefusedRow>,
}

impl Chunk {
    /// The rows, where none was refused: for whoever computes from all rows of a table and can name none that is missing.
    ///
    /// # Errors
    /// When a row could not be read: table, column and the columns of its key are named, no value of them.
    pub fn whole(self, table: &Table) -> Result<RecordBatch, Error> {
        let Some(row) = self.refused.first() else { return Ok(self.batch) };
        let columns: Vec<&str> = row.key.iter().map(|(column, _)| column.as_str()).collect();
        let of = if columns.is_empty() { String::new() } else { format!(" (found by {})", columns.join(", ")) };
        Err(Error::new(
            ErrorKind::Data,
            format!("a query needs all rows of {}, and one cannot be read{of}: {}: {}", table.name, row.column, row.reason),
        )
        .with_help(
            "Mend the row at the source; `imis check profile` counts rows that cannot be read. Or let the query read other columns.",
        ))
    }
}

impl From<RecordBatch> for Chunk {
    fn from(batch: RecordBatch) -> Self {
        Chunk { batch, refused: Vec::new() }
    }
}

/// A stream of chunks, bounded in rows and bytes.
pub type ChunkStream = BoxStream<'static, Result<Chunk, Error>>;

/// What the login may not do, as far as the server says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rights {
    /// The login; `None` where there is none.
    pub login: Option<String>,
    /// Whether it may see definitions; without that right it cannot be told what is not there from what is not shown.
    pub view_definition: Option<bool>,
    /// Tables and columns that it sees and may not read.
    pub denied: Vec<Denied>,
    /// Tables and columns that it may read and that do not show it what they hold.
    pub veiled: Vec<Veiled>,
}

/// A table, or a column of it, that the login may not read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denied {
    /// The table.
    pub table: TableName,
    /// The column; `None` for the whole table.
    pub column: Option<String>,
}

/// A table, or a column of it, that can be read without an error and does not show what it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Veiled {
    /// The table.
    pub table: TableName,
    /// The column; `None` for the whole table.
    pub column: Option<String>,
    /// In which way.
    pub veil: Veil,
}

/// How a server keeps from a login what a table holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Veil {
    /// Dynamic data masking: other values are shown.
    Masked,
    /// Row-level security: rows are left out, and counted by nobody.
    Filtered,
    /// Always Encrypted: what is shown is encrypted, and only clients have the key.
    Encrypted,
}

impl Veiled {
    /// Whether reading these columns of a table would show less, or something else, than is there.
    pub fn covers(&self, table: &TableName, columns: &[String]) -> bool {
        let of_column = |column: &String| columns.iter().any(|read| same_name(read, column));
        same_name(&self.table.name, &table.name)
            && same_name(&self.table.schema, &table.schema)
            && self.column.as_ref().is_none_or(of_column)
    }

    /// What an administrator can do about it.
    pub fn help(&self) -> &'static str {
        match self.veil {
            Veil::Masked => {
                "An administrator lets the login see it: GRANT UNMASK TO the login. veiled=accept in the address takes the \
                 masked values, which cannot be told from others afterwards."
            }
            Veil::Filtered => {
                "An administrator switches the policy off while data is moved (ALTER SECURITY POLICY ... WITH (STATE = OFF)), \
                 or makes its function let this login see every row; then, or where the part is what you want, say \
                 veiled=accept in the address."
            }
            Veil::Encrypted => {
                "Decrypt the column at the source (in a restored copy, say), for only clients with its key can read it. \
                 veiled=accept in the address reads the encrypted bytes."
            }
        }
    }
}

impl fmt::Display for Veiled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.table.name)?;
        if let Some(column) = &self.column {
            write!(f, ".{column}")?;
        }
        f.write_str(match self.veil {
            Veil::Masked => " is masked for this login (dynamic data masking)",
            Veil::Filtered => " has a filter that may keep rows from this login (row-level security)",
            Veil::Encrypted => " is encrypted by clients (Always Encrypted)",
        })
    }
}

/// Rows of texts.
pub type Answer = Vec<Vec<Option<String>>>;

/// A database that can be described, counted and read. It is never written to.
#[async_trait]
pub trait Source: Send + Sync {
    /// The catalogue, in its stable order. It is read once and kept.
    async fn catalog(&self) -> Result<Arc<Catalog>, Error>;

    /// How many rows the server counts in a table.
    async fn count(&self, table: &Table) -> Result<u64, Error>;

    /// How many rows a table has at most, where the server knows that without counting them. It may be many times what it has.
    async fn rows_at_most(&self, _table: &Table) -> Result<Option<u64>, Error> {
        Ok(None)
    }

    /// The least and the greatest value of an integer column; `None` when the table is empty.
    async fn bounds(&self, table: &Table, column: &str) -> Result<Option<(i64, i64)>, Error>;

    /// Streams rows. Nothing is read before the stream is polled.
    fn read(&self, request: ReadRequest) -> ChunkStream;

    /// The rows of a whole table, in no order, as streams that can be read at the same time, `parts` at most; together they give each
    /// row once. A source that knows of no parts has one stream.
    fn read_apart(&self, request: ReadRequest, parts: usize) -> Vec<ChunkStream> {
        let _ = parts;
        vec![self.read(request)]
    }

    /// What the reader may rely on, as the source was opened.
    async fn consistency(&self) -> Result<Consistency, Error>;

    /// The same with its reason, and where the server's count of changes stood before the first read.
    async fn reading(&self) -> Result<(Consistency, Reading), Error> {
        Ok((self.consistency().await?, Reading::default()))
    }

    /// Where the server's count of changes stands now; `None` where there is none, or the server does not say.
    async fn mark(&self) -> Option<Mark> {
        None
    }

    /// What the login may not do. A source that is no server denies nothing.
    async fn rights(&self) -> Rights {
        Rights::default()
    }

    /// How many rows hold something in each of these columns: neither NULL nor the column's default, where that is a plain
    /// literal. The answers come in the order of the columns.
    async fn filled(&self, table: &Table, columns: &[&Column]) -> Result<Vec<u64>, Error> {
        filled::by_reading(self, table, columns).await
    }

    /// The server's own answer to a SELECT, every item of which is a text (or NULL): it computes, we only read. `None`
    /// where no server stands behind the rows (a snapshot).
    ///
    /// # Errors
    /// When the server fails or does not understand the statement.
    async fn answer(&self, doing: &str, sql: &str) -> Result<Option<Answer>, Error> {
        let _ = (doing, sql);
        Ok(None)
    }

    /// The same of a server that gives rows to us meanwhile: it does not take more than one of its cores for the answer.
    ///
    /// # Errors
    /// As [`Source::answer`].
    async fn answer_beside(&self, doing: &str, sql: &str) -> Result<Option<Answer>, Error> {
        self.answer(doing, sql).await
    }

    /// Whether a range of a table is read without reading the rest of it.
    fn splits(&self) -> bool {
        true
    }

    /// Digits of a second below the microsecond that were cut off so far: table, column, how many values.
    fn cut_digits(&self) -> Vec<(String, String, u64)> {
        Vec::new()
    }

    /// What became of the statements, where the source is made of scripts.
    fn scripts(&self) -> Option<&crate::script::Report> {
        None
    }

    /// A name for messages: product and place, never a password.
    fn describe(&self) -> String;
}

/// The integer column by which a table can be split into ranges: its primary key, if that is one column of whole numbers.
pub fn range_column(table: &Table, engine: Engine) -> Option<&str> {
    let [only] = table.key_columns() else { return None };
    let column = table.column(only)?;
    matches!(column.data_type(engine), DataType::TinyInt | DataType::SmallInt | DataType::Int | DataType::BigInt)
        .then_some(column.name.as_str())
}

/// Splits a table into ranges of about `rows_per_range` rows. The first and the last range are open, so that rows which
/// appear outside the bounds while we read are not lost.
///
/// # Errors
/// When the source cannot be asked for its bounds.
pub async fn plan_ranges(
    source: &dyn Source,
    table: &Table,
    engine: Engine,
    rows: u64,
    rows_per_range: u64,
) -> Result<Vec<KeyRange>, Error> {
    let Some(column) = range_column(table, engine) else { return Ok(vec![KeyRange::whole()]) };
    let whole = KeyRange { column: Some(column.to_owned()), from: None, to: None };
    if rows <= rows_per_range.max(1) {
        return Ok(vec![whole]);
    }
    let Some(bounds) = source.bounds(table, column).await? else { return Ok(vec![whole]) };
    Ok(ranges_between(column, bounds, rows, rows_per_range))
}

/// As many ranges are made at most, whatever a server says of its rows.
const MOST_RANGES: u64 = 100_000;

/// Cuts the stretch from the least to the greatest key into equal ranges of about so many of the `rows` each, the first and the
/// last of them open.
pub fn ranges_between(column: &str, (least, greatest): (i64, i64), rows: u64, rows_per_range: u64) -> Vec<KeyRange> {
    split(column, least.min(greatest), greatest, rows.div_ceil(rows_per_range.max(1)).clamp(1, MOST_RANGES))
}

fn split(column: &str, least: i64, greatest: i64, parts: u64) -> Vec<KeyRange> {
    let (least, width) = (i128::from(least), i128::from(greatest) - i128::from(least) + 1);
    let parts = i128::from(parts).min(width).max(1);
    let cuts = (1..parts).filter_map(|n| i64::try_from(least + width * n / parts).ok()).collect::<Vec<_>>();
    let starts = std::iter::once(None).chain(cuts.iter().copied().map(Some));
    let ends = cuts.iter().copied().map(Some).chain(std::iter::once(None));
    starts.zip(ends).map(|(from, to)| KeyRange { column: Some(column.to_owned()), from, to }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_key_is_in_exactly_one_range(a: i64, b: i64, key: i64, parts in 1u64..50) {
            let ranges = split("Id", a.min(b), a.max(b), parts);
            let holds = |r: &KeyRange| r.from.is_none_or(|f| key >= f) && r.to.is_none_or(|t| key < t);
            prop_assert_eq!(ranges.iter().filter(|r| holds(r)).count(), 1);
            prop_assert!(ranges[0].from.is_none() && ranges[ranges.len() - 1].to.is_none());
        }

        #[test]
        fn no_server_talks_us_into_more_ranges_than_there_is_room_for(a: i64, b: i64, rows: u64, each: u64) {
            let ranges = ranges_between("Id", (a, b), rows, each);
            prop_assert!((1..=100_000).contains(&ranges.len()));
        }
    }
}
