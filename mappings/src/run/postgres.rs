//! A PostgreSQL database as a target: COPY in the binary format, one transaction a range, state in `imis_migration`.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use arrow::record_batch::RecordBatch;
use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures::SinkExt;
use imis_databases::postgres::copy::CopyEncoder;
use imis_databases::postgres::{Connection, Pool, PostgresSource, copy_statement, describe_error};
use imis_databases::{ChunkStream, Error, ErrorKind, PostgresAddress, ReadRequest, Source};
use imis_schemas::{Catalog, Engine, Table, TableName};
use tokio::sync::Mutex;
use tokio_postgres::CopyInSink;

use super::failpoint::reached;
use super::state::{self, Phase};
use super::target::{Care, RangeId, RangeWriter, Target, table_account, tables_of};
use super::{OnReject, Stage};
use crate::account::{Account, Counts, Reject, RejectedRow, RuleAccount, TableAccount};
use crate::bind::{BoundMapping, BoundRule, RowWay};
use crate::map::Mapped;
use crate::plan::Plan;
use imis_databases::query::tables::{Rows, SourceRows};

/// How much is gathered before it goes to the server.
const FLUSH_BYTES: usize = 256 * 1024;
/// The number of the advisory lock that keeps a second run out: the letters of "imis".
const LOCK: i64 = 0x696d_6973;
/// How long is waited between two looks at the lock, and how often is looked.
const TURN: Duration = Duration::from_millis(100);
const LOCK_TURNS: u32 = 30;

/// A PostgreSQL database as a target.
pub struct PostgresTarget {
    pub(super) pool: Pool,
    pub(super) run: String,
    pub(super) catalog: Arc<Catalog>,
    /// Whether a backend that is connected to the target stops the run.
    pub(super) allow_connected: bool,
    /// The run that this one completes.
    pub(super) completes: Option<String>,
    /// How many connections are at work at once.
    pub(super) jobs: usize,
    /// The tables whose statistics this process has gathered.
    pub(super) analyzed: Mutex<BTreeSet<TableName>>,
    /// Holds the advisory lock as long as the run lives.
    lock: Mutex<Option<Connection>>,
}

impl PostgresTarget {
    /// A target at this address, for a run of this name.
    pub fn new(address: &PostgresAddress, catalog: Arc<Catalog>, run: String) -> Self {
        PostgresTarget {
            pool: Pool::new(address.clone()),
            run,
            catalog,
            allow_connected: false,
            completes: None,
            jobs: 1,
            analyzed: Mutex::default(),
            lock: Mutex::new(None),
        }
    }

    /// Lets the run go on although others are connected to the target.
    #[must_use]
    pub fn allow_connected(mut self, allowed: bool) -> Self {
        self.allow_connected = allowed;
        self
    }

    /// Makes it the target of a run that completes another: what was there before is what was there before that one.
    #[must_use]
    pub fn completing(mut self, first: Option<&str>) -> Self {
        self.completes = first.map(str::to_owned);
        self
    }

    /// Lets so many connections work at once on what the server does by itself.
    #[must_use]
    pub fn jobs(mut self, jobs: usize) -> Self {
        self.jobs = jobs.max(1);
        self
    }

    pub(super) async fn take_lock(&self) -> Result<(), Error> {
        let mut held = self.lock.lock().await;
        if held.as_ref().is_some_and(|connection| !connection.is_closed()) {
            return Ok(());
        }
        let mut connection = self.pool.take().await?;
        connection.spoil();
        let doing = |e| describe_error(e, "taking the lock of the run");
        // The server may need a moment to see that one who was killed has gone.
        for turn in 0.. {
            let row = connection.query_one("SELECT pg_try_advisory_lock($1)", &[&LOCK]).await.map_err(doing)?;
            match row.get::<_, bool>(0) {
                true => break,
                false if turn < LOCK_TURNS => tokio::time::sleep(TURN).await,
                false => {
                    return Err(Error::new(ErrorKind::Failed, "another imis is at work on this target")
                        .with_help("Wait until it has ended; `imis runs` shows it."));
                }
            }
        }
        end_leftovers(&connection).await?;
        *held = Some(connection);
        Ok(())
    }

    /// Refuses to begin a range when the lock went with its connection: another run may be at work by now.
    async fn still_locked(&self) -> Result<(), Error> {
        match self.lock.lock().await.as_ref().is_some_and(|connection| connection.is_closed()) {
            false => Ok(()),
            true => {
                Err(Error::new(ErrorKind::Unreachable, "the connection that held the lock of the run broke off")
                    .passing())
            }
        }
    }

    fn source(&self) -> Arc<dyn Source> {
        Arc::new(PostgresSource::of(self.pool.clone()))
    }
}

/// Sees the end of sessions of a run that broke off: what they are still writing must be there or not before anybody looks.
/// They end by themselves when they find their client gone; one that does not is ended.
async fn end_leftovers(connection: &Connection) -> Result<(), Error> {
    let doing = |e| describe_error(e, "waiting for sessions of an earlier run to end");
    // Whoever holds the lock is the only one who writes under our name.
    let from = "FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'imis' \
                AND backend_xid IS NOT NULL AND pid <> pg_backend_pid()";
    for turn in 0.. {
        let left = connection.query_one(&format!("SELECT count(*) {from}"), &[]).await.map_err(doing)?.get::<_, i64>(0);
        if left == 0 {
            break;
        }
        if turn == LOCK_TURNS {
            connection.execute(&format!("SELECT pg_terminate_backend(pid) {from}"), &[]).await.map_err(doing)?;
        } else if turn > LOCK_TURNS * 4 {
            return Err(Error::failed(format!("{left} session(s) of an earlier run are still at work on the target"))
                .with_help("End them (pg_terminate_backend), then go on."));
        }
        tokio::time::sleep(TURN).await;
    }
    Ok(())
}

type Copy = Pin<Box<CopyInSink<Bytes>>>;

struct CopyWriter {
    connection: Connection,
    pool: Pool,
    run: String,
    rule: String,
    table: String,
    statement: String,
    encoder: CopyEncoder,
    buffer: BytesMut,
    copy: Option<Copy>,
    care: Care,
}

impl CopyWriter {
    fn doing(&self) -> String {
        format!("loading {} (rule {})", self.table, self.rule)
    }

    async fn open(&mut self) -> Result<(), Error> {
        let doing = self.doing();
        let copy = self.connection.copy_in::<_, Bytes>(&self.statement).await.map_err(|e| describe_error(e, &doing))?;
        self.copy = Some(Box::pin(copy));
        self.buffer.clear();
        self.encoder.header(&mut self.buffer);
        Ok(())
    }

    async fn send(&mut self) -> Result<(), Error> {
        let doing = self.doing();
        if let Some(copy) = &mut self.copy {
            copy.send(self.buffer.split().freeze()).await.map_err(|e| describe_error(e, &doing))?;
        }
        Ok(())
    }

    /// Ends the COPY; the server says here what it did not like.
    async fn end(&mut self) -> Result<u64, Error> {
        self.encoder.trailer(&mut self.buffer);
        let sent = self.send().await;
        let doing = self.doing();
        let Some(mut copy) = self.copy.take() else { return sent.map(|()| 0) };
        // When sending failed, the reason is in the server's answer, which finish brings.
        match copy.as_mut().finish().await {
            Ok(rows) => sent.map(|()| rows),
            Err(error) => Err(describe_error(error, &doing)),
        }
    }

    async fn copy_once(&mut self, batch: &RecordBatch) -> Result<(), Error> {
        self.open().await?;
        self.encoder.batch(batch, &mut self.buffer)?;
        self.end().await.map(|_| ())
    }

    async fn execute(&self, sql: &str) -> Result<(), Error> {
        self.connection.batch_execute(sql).await.map_err(|e| describe_error(e, &self.doing()))
    }

    /// Loads a batch behind savepoints, halved until each row is in or is known to be refused.
    async fn bisect(&mut self, mapped: &Mapped) -> Result<Vec<Reject>, Error> {
        let mut rejects = Vec::new();
        let mut stack = vec![(0, mapped.batch.num_rows())];
        while let Some((from, count)) = stack.pop() {
            if count == 0 {
                continue;
            }
            self.execute("SAVEPOINT imis").await?;
            match self.copy_once(&mapped.batch.slice(from, count)).await {
                Ok(()) => self.execute("RELEASE SAVEPOINT imis").await?,
                Err(error) if error.is_refusal() => {
                    self.copy = None;
                    self.execute("ROLLBACK TO SAVEPOINT imis").await?;
                    if count == 1 {
                        let reason = reason(&error);
                        rejects.push(Reject::new(mapped.key_of(from), "", &reason));
                    } else {
                        let half = count / 2;
                        stack.push((from + half, count - half));
                        stack.push((from, half));
                    }
                }
                Err(error) => return Err(error),
            }
        }
        Ok(rejects)
    }
}

/// Why the server refused a row: the error without what was being done, with the constraint where it named one.
fn reason(error: &Error) -> String {
    let text = error.to_string();
    let named = text.split_once(", constraint ").map(|(_, name)| format!("it breaks {name}"));
    named.unwrap_or_else(|| "the server refuses a value of it".to_owned())
}

#[async_trait]
impl RangeWriter for CopyWriter {
    async fn write(&mut self, mapped: &Mapped) -> Result<Vec<Reject>, Error> {
        if mapped.batch.num_rows() == 0 {
            return Ok(Vec::new());
        }
        if self.care == Care::Careful {
            return self.bisect(mapped).await;
        }
        if self.copy.is_none() {
            self.open().await?;
        }
        // Slices keep the buffer near its flush size, however wide the rows are.
        let rows = mapped.batch.num_rows();
        let step = (rows * FLUSH_BYTES / mapped.batch.get_array_memory_size().max(1)).clamp(1, rows);
        let mut from = 0;
        while from < rows {
            let count = step.min(rows - from);
            self.encoder.batch(&mapped.batch.slice(from, count), &mut self.buffer)?;
            from += count;
            if self.buffer.len() >= FLUSH_BYTES
                && let Err(error) = self.send().await
            {
                // The server broke off; its answer says why.
                return Err(self.end().await.err().unwrap_or(error));
            }
        }
        Ok(Vec::new())
    }

    async fn commit(
        mut self: Box<Self>,
        id: &RangeId<'_>,
        counts: &Counts,
        rejects: &[RejectedRow],
    ) -> Result<(), Error> {
        if self.copy.is_some() {
            self.end().await?;
        }
        reached("load-copied");
        state::write_rejects(&*self.connection, &self.run, rejects).await?;
        let number = i32::try_from(id.number).unwrap_or(i32::MAX);
        let counts = serde_json::to_string(counts).unwrap_or_default();
        self.connection
            .execute(
                "INSERT INTO imis_migration.range (run, rule, number, keys, counts) VALUES ($1, $2, $3, $4, $5)",
                &[&self.run, &id.rule, &number, &id.range.to_string(), &counts],
            )
            .await
            .map_err(|e| describe_error(e, "writing the ledger"))?;
        reached("load-noted");
        self.execute("COMMIT").await?;
        let pool = self.pool.clone();
        self.connection.heal(&pool);
        Ok(())
    }
}

/// The target's rows before the run: images where rows were kept, nothing elsewhere.
struct RowsBefore {
    source: Arc<dyn Source>,
    catalog: Arc<Catalog>,
    images: BTreeMap<String, String>,
}

impl Rows for RowsBefore {
    fn engine(&self) -> Engine {
        Engine::Postgres
    }
    fn table(&self, name: &str) -> Option<Arc<Table>> {
        self.catalog.table(name).map(|t| Arc::new(t.clone()))
    }
    fn names(&self) -> Vec<String> {
        self.catalog.tables.iter().map(|t| t.name.clone()).collect()
    }
    fn read(&self, table: Arc<Table>, columns: Vec<String>) -> ChunkStream {
        let table = match self.images.get(&table.name) {
            // Tables that the run does not touch are read as they are; those that it fills and that were empty, not at all.
            None => table,
            Some(image) if image.is_empty() => return Box::pin(futures::stream::empty()),
            Some(image) => {
                Arc::new(Table { schema: "imis_migration".to_owned(), name: image.clone(), ..Table::clone(&table) })
            }
        };
        self.source.read(ReadRequest::all(table).columns(columns))
    }
}

#[async_trait]
#[expect(private_interfaces, reason = "as the trait")]
impl Target for PostgresTarget {
    fn run_id(&self) -> String {
        self.run.clone()
    }

    async fn prepare(&self, mapping: &BoundMapping, plan: &Plan) -> Result<(), Error> {
        self.take_lock().await?;
        reached("lock-taken");
        super::prepare::prepare(self, mapping, plan).await
    }

    fn remembers(&self) -> bool {
        true
    }

    async fn committed(&self) -> Result<BTreeMap<(String, usize), Counts>, Error> {
        state::committed(&*self.pool.take().await?, &self.run).await
    }

    async fn begin(&self, rule: &BoundRule, way: &RowWay, care: Care) -> Result<Box<dyn RangeWriter>, Error> {
        self.still_locked().await?;
        let mut connection = self.pool.take().await?;
        connection.spoil();
        let columns: Vec<_> = way.columns.iter().map(|(_, fit)| fit.column().clone()).collect();
        let table = super::update::written_to(&*connection, &self.run, rule).await?;
        let writer = CopyWriter {
            connection,
            pool: self.pool.clone(),
            run: self.run.clone(),
            rule: rule.name.clone(),
            table: rule.target.table_name().to_string(),
            statement: copy_statement(&table, columns.iter().map(|c| c.name.as_str())),
            encoder: CopyEncoder::new(columns)?,
            buffer: BytesMut::with_capacity(FLUSH_BYTES * 2),
            copy: None,
            care,
        };
        writer.execute("BEGIN").await?;
        Ok(Box::new(writer))
    }

    async fn settle_existing(
        &self,
        mapping: &BoundMapping,
        counts: &mut BTreeMap<String, Counts>,
        stage: Stage,
    ) -> Result<(), Error> {
        if stage == Stage::Tables {
            super::update::apply(self, mapping, counts).await?;
        }
        super::prepare::settle(self, mapping, counts, stage).await
    }

    async fn rows_before(&self) -> Result<Arc<dyn Rows>, Error> {
        let rows = self
            .pool
            .take()
            .await?
            .query(
                "SELECT table_name, CASE WHEN unseen THEN '' ELSE coalesce(image_name, '') END FROM imis_migration.image \
                 WHERE run IN ($1, $2) AND NOT stays ORDER BY run = $1 DESC",
                &[&self.run, &self.completes.as_deref().unwrap_or_default()],
            )
            .await
            .map_err(|e| describe_error(e, "looking for kept rows"))?;
        Ok(Arc::new(RowsBefore {
            source: self.source(),
            catalog: Arc::clone(&self.catalog),
            images: rows.iter().map(|r| (r.get(0), r.get(1))).collect(),
        }))
    }

    async fn rows_now(&self) -> Result<Arc<dyn Rows>, Error> {
        Ok(Arc::new(SourceRows { source: self.source(), catalog: Arc::clone(&self.catalog) }))
    }

    async fn hold_keys(&self, mapping: &BoundMapping, stage: Stage, on_reject: OnReject) -> Result<(), Error> {
        super::keys::hold(self, mapping, stage, on_reject).await
    }

    async fn effects(&self) -> Result<super::keys::Effects, Error> {
        super::keys::effects(self).await
    }

    async fn finish(&self, mapping: &BoundMapping) -> Result<Vec<String>, Error> {
        super::finish::finish(self, mapping).await
    }

    async fn tables(&self, mapping: &BoundMapping, rules: &[RuleAccount]) -> Result<Vec<TableAccount>, Error> {
        let connection = self.pool.take().await?;
        let rows = connection
            .query(
                "SELECT schema_name, table_name, before, returned, after FROM imis_migration.image WHERE run = $1",
                &[&self.run],
            )
            .await
            .map_err(|e| describe_error(e, "counting"))?;
        let kept = rows.iter().map(|r| {
            let name = TableName::new(r.get::<_, String>(0), r.get::<_, String>(1));
            (name, (r.get(2), r.get(3), r.get(4)))
        });
        let kept: BTreeMap<TableName, (i64, i64, Option<i64>)> = kept.collect();
        let mut accounts = Vec::new();
        for table in tables_of(mapping) {
            let name = table.table_name();
            let (before, returned, after) = kept.get(&name).copied().unwrap_or_default();
            let after = match after {
                // Counted in the transaction in which the run finished; who changes the target later is found out by it.
                Some(after) => after,
                None => connection
                    .query_one(&format!("SELECT count(*) FROM {}", name.sql(Engine::Postgres)), &[])
                    .await
                    .map_err(|e| describe_error(e, &format!("counting the rows of {name}")))?
                    .get::<_, i64>(0),
            };
            let unsigned = |n: i64| u64::try_from(n).unwrap_or(0);
            accounts.push(table_account(
                &name.to_string(),
                rules,
                unsigned(before),
                unsigned(returned),
                unsigned(after),
            ));
        }
        Ok(accounts)
    }

    async fn rejects(&self) -> Result<Vec<RejectedRow>, Error> {
        state::rejects(&mut *self.pool.take().await?, &self.run).await
    }

    async fn close(&self, account: &Account) -> Result<(), Error> {
        reached("account-counted");
        let mut connection = self.pool.take().await?;
        let doing = |e| describe_error(e, "writing the account");
        let text = serde_json::to_string(account).unwrap_or_default();
        let transaction = connection.transaction().await.map_err(doing)?;
        transaction
            .execute(
                // The last transaction that changed rows is the one in which the run finished.
                "UPDATE imis_migration.run SET account = $2, finished = now(), last_xid = coalesce(last_xid, txid_current()) \
                 WHERE run = $1",
                &[&self.run, &text],
            )
            .await
            .map_err(doing)?;
        // A run that completes another has only half of the account yet; `whole` writes the rest and ends it.
        if self.completes.is_none() {
            state::set_phase(&transaction, &self.run, Phase::Accounted).await?;
        }
        reached("account-written");
        transaction.commit().await.map_err(doing)?;
        reached("account-committed");
        Ok(())
    }
}
