//! What a run keeps in schema `imis_migration` of its target, so that it can be resumed, undone and accounted for.

use std::collections::BTreeMap;

use imis_databases::postgres::{Pool, describe_error};
use imis_databases::{Error, PostgresAddress};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, GenericClient, Row};

use crate::account::{Account, Counts, Reject, RejectedRow};

/// The tables of the state. Nothing here holds a value of a cell but surrogate keys and, in `repair`, the values that a
/// repair found and left (mostly keys); `image_...` tables hold the rows that a run replaced, `change_...` tables
/// the former values of those that it changed.
const TABLES: &str = "
CREATE SCHEMA IF NOT EXISTS imis_migration;
COMMENT ON SCHEMA imis_migration IS 'State of imis migrate: what was loaded, rejected, replaced. Needed to resume or undo.';
CREATE TABLE IF NOT EXISTS imis_migration.run (
    run text PRIMARY KEY, started timestamptz NOT NULL DEFAULT now(), finished timestamptz, phase text NOT NULL,
    mapping text NOT NULL, plan text NOT NULL, effects text, account text, last_xid bigint);
CREATE TABLE IF NOT EXISTS imis_migration.range (
    run text NOT NULL, rule text NOT NULL, number integer NOT NULL, keys text NOT NULL, counts text NOT NULL,
    at timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (run, rule, number));
ALTER TABLE IF EXISTS imis_migration.reject RENAME TO rejects;
CREATE TABLE IF NOT EXISTS imis_migration.rejects (
    run text NOT NULL, rule text NOT NULL, table_name text NOT NULL, row_key text NOT NULL, column_name text NOT NULL,
    reason text NOT NULL);
ALTER TABLE imis_migration.rejects ADD COLUMN IF NOT EXISTS cause text;
CREATE TABLE IF NOT EXISTS imis_migration.repair (
    run text NOT NULL, rule text NOT NULL, table_name text NOT NULL, row_key text NOT NULL, column_name text NOT NULL,
    name text NOT NULL, was text, became text, position bigserial);
CREATE TABLE IF NOT EXISTS imis_migration.dropped (
    run text NOT NULL, position bigserial PRIMARY KEY, kind text NOT NULL, name text NOT NULL, drop_sql text NOT NULL,
    create_sql text NOT NULL);
ALTER TABLE imis_migration.dropped ADD COLUMN IF NOT EXISTS shape text,
    ADD COLUMN IF NOT EXISTS tables text, ADD COLUMN IF NOT EXISTS back boolean NOT NULL DEFAULT false;
CREATE TABLE IF NOT EXISTS imis_migration.image (
    run text NOT NULL, schema_name text NOT NULL, table_name text NOT NULL, image_name text, before bigint NOT NULL,
    returned bigint NOT NULL DEFAULT 0, settled boolean NOT NULL DEFAULT false, after bigint,
    PRIMARY KEY (run, schema_name, table_name));
ALTER TABLE imis_migration.image ADD COLUMN IF NOT EXISTS stays boolean NOT NULL DEFAULT false;
ALTER TABLE imis_migration.image ADD COLUMN IF NOT EXISTS unseen boolean NOT NULL DEFAULT false;
CREATE TABLE IF NOT EXISTS imis_migration.change (
    run text NOT NULL, rule text NOT NULL, schema_name text NOT NULL, table_name text NOT NULL, stage_name text NOT NULL,
    image_name text NOT NULL, key_columns text[] NOT NULL, set_columns text[] NOT NULL, updated bigint, away bigint,
    PRIMARY KEY (run, rule));
";

/// How many rows of an answer are asked for at once. What a server may say in one answer is bounded, and what a run remembers
/// row by row is not.
const PAGE: i32 = 2_000;

/// The phases of a run, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// The way is clear, rows come in.
    Prepared,
    /// All rows are in but those of rules that wait for the keys, and keys hold.
    Keyed,
    /// The rows of those rules are in too, and their keys hold.
    Completed,
    /// Keys, indexes and generators are back.
    Finished,
    /// The account balances and is written.
    Accounted,
    /// Everything was taken back.
    Undone,
}

impl Phase {
    const ALL: [(Phase, &'static str); 6] = [
        (Phase::Prepared, "prepared"),
        (Phase::Keyed, "keyed"),
        (Phase::Completed, "completed"),
        (Phase::Finished, "finished"),
        (Phase::Accounted, "accounted"),
        (Phase::Undone, "undone"),
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        Phase::ALL.iter().find(|(phase, _)| *phase == self).map_or("", |(_, name)| name)
    }

    fn parse(name: &str) -> Option<Phase> {
        Phase::ALL.iter().find(|(_, known)| *known == name).map(|(phase, _)| *phase)
    }
}

/// A run, as the state has it.
#[derive(Clone, Debug)]
pub struct RunState {
    /// Its name.
    pub run: String,
    /// When it began, UTC.
    pub started: String,
    /// Where it stands.
    pub phase: Phase,
    /// Its mapping.
    pub mapping: String,
    /// Its plan, as JSON.
    pub plan: String,
}

/// The runs of a target, latest first; none where there is no state.
///
/// # Errors
/// When the server fails.
pub async fn runs(address: &PostgresAddress) -> Result<Vec<RunState>, Error> {
    let connection = Pool::new(address.clone()).take().await?;
    all(&*connection).await
}

pub(super) async fn all(client: &impl GenericClient) -> Result<Vec<RunState>, Error> {
    if !is_there(client).await? {
        return Ok(Vec::new());
    }
    let rows = client
        .query(
            "SELECT run, to_char(started, 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'), phase, mapping, plan \
             FROM imis_migration.run ORDER BY started DESC, run DESC",
            &[],
        )
        .await
        .map_err(|e| describe_error(e, "reading the state of earlier runs"))?;
    Ok(rows.iter().filter_map(run_state).collect())
}

async fn is_there(client: &impl GenericClient) -> Result<bool, Error> {
    let there = client.query_one("SELECT to_regclass('imis_migration.run') IS NOT NULL", &[]).await;
    Ok(there.map_err(|e| describe_error(e, "looking for the state of earlier runs"))?.get(0))
}

/// Hands on the rows of an answer, page by page, as one moment saw them.
pub(crate) async fn paged(
    client: &mut Client,
    sql: &str,
    parameters: &[&(dyn ToSql + Sync)],
    doing: &str,
    mut each: impl FnMut(&Row) + Send,
) -> Result<(), Error> {
    let asked = |e| describe_error(e, doing);
    let transaction = client.transaction().await.map_err(asked)?;
    let portal = transaction.bind(sql, parameters).await.map_err(asked)?;
    loop {
        let page = transaction.query_portal(&portal, PAGE).await.map_err(asked)?;
        if page.is_empty() {
            break;
        }
        page.iter().for_each(&mut each);
    }
    transaction.commit().await.map_err(asked)
}

fn run_state(row: &Row) -> Option<RunState> {
    Some(RunState {
        run: row.get(0),
        started: row.get(1),
        phase: Phase::parse(row.get(2))?,
        mapping: row.get(3),
        plan: row.get(4),
    })
}

/// Gives the tables of a run that an earlier version began what this one needs. They are left alone where nothing is missing: a
/// change of them would wait for whoever is still at work.
pub(super) async fn bring_up_to_date(client: &impl GenericClient) -> Result<(), Error> {
    let missing = "SELECT NOT EXISTS (SELECT FROM information_schema.columns \
                   WHERE table_schema = 'imis_migration' AND table_name = 'dropped' AND column_name = 'back')";
    let row = client.query_one(missing, &[]).await;
    match row.map_err(|e| describe_error(e, "looking at the state of the run"))?.get(0) {
        true => create(client).await,
        false => Ok(()),
    }
}

pub(super) async fn create(client: &impl GenericClient) -> Result<(), Error> {
    client.batch_execute(TABLES).await.map_err(|e| describe_error(e, "making the schema imis_migration"))
}

pub(super) async fn phase(client: &impl GenericClient, run: &str) -> Result<Option<Phase>, Error> {
    if !is_there(client).await? {
        return Ok(None);
    }
    phase_where(client, run, "").await
}

/// The same in a transaction, which holds it: another try of the run that has not ended yet is waited for.
pub(super) async fn hold_phase(client: &impl GenericClient, run: &str) -> Result<Option<Phase>, Error> {
    phase_where(client, run, "FOR UPDATE").await
}

async fn phase_where(client: &impl GenericClient, run: &str, held: &str) -> Result<Option<Phase>, Error> {
    let row = client
        .query_opt(&format!("SELECT phase FROM imis_migration.run WHERE run = $1 {held}"), &[&run])
        .await
        .map_err(|e| describe_error(e, "reading the phase of the run"))?;
    Ok(row.and_then(|row| Phase::parse(row.get(0))))
}

/// The account that is stored with a run, if there is one, without the rows that were rejected: they stand in `rejects`.
pub(super) async fn account(client: &impl GenericClient, run: &str) -> Result<Option<Account>, Error> {
    // Earlier versions stored the rejected rows with it, and there may be more of them than go into an answer.
    let row = client
        .query_opt(
            "SELECT CASE WHEN length(account) > 16777216 THEN (account::jsonb - 'rejects'::text)::text ELSE account END \
             FROM imis_migration.run WHERE run = $1",
            &[&run],
        )
        .await
        .map_err(|e| describe_error(e, "reading the account of a run"))?;
    let Some(text) = row.and_then(|row| row.get::<_, Option<String>>(0)) else { return Ok(None) };
    let mut account: Account = serde_json::from_str(&text)
        .map_err(|e| Error::failed(format!("the account of run {run} cannot be read")).caused_by(e))?;
    account.rejects = Vec::new();
    Ok(Some(account))
}

pub(super) async fn set_phase(client: &impl GenericClient, run: &str, phase: Phase) -> Result<(), Error> {
    client
        .execute("UPDATE imis_migration.run SET phase = $2 WHERE run = $1", &[&run, &phase.name()])
        .await
        .map(|_| ())
        .map_err(|e| describe_error(e, "noting the phase of the run"))
}

pub(super) async fn committed(
    client: &impl GenericClient,
    run: &str,
) -> Result<BTreeMap<(String, usize), Counts>, Error> {
    let rows = client
        .query("SELECT rule, number, counts FROM imis_migration.range WHERE run = $1", &[&run])
        .await
        .map_err(|e| describe_error(e, "reading the ledger"))?;
    let mut committed = BTreeMap::new();
    for row in rows {
        let counts: Counts = serde_json::from_str(row.get(2))
            .map_err(|e| Error::failed("a line of the ledger cannot be read").caused_by(e))?;
        committed.insert((row.get(0), usize::try_from(row.get::<_, i32>(1)).unwrap_or(0)), counts);
    }
    Ok(committed)
}

pub(super) async fn write_rejects(
    client: &impl GenericClient,
    run: &str,
    rejects: &[RejectedRow],
) -> Result<(), Error> {
    for part in rejects.chunks(1000) {
        let column = |of: &dyn Fn(&RejectedRow) -> String| part.iter().map(of).collect::<Vec<_>>();
        client
            .execute(
                "INSERT INTO imis_migration.rejects (run, rule, table_name, row_key, column_name, reason) \
                 SELECT $1, * FROM unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::text[])",
                &[
                    &run,
                    &column(&|r| r.rule.clone()),
                    &column(&|r| r.table.clone()),
                    &column(&|r| serde_json::to_string(&r.reject.key).unwrap_or_default().replace("\\u0000", "")),
                    &column(&|r| r.reject.column.clone()),
                    &column(&|r| r.reject.reason.clone()),
                ],
            )
            .await
            .map_err(|e| describe_error(e, "noting rejected rows"))?;
    }
    Ok(())
}

pub(super) async fn rejects(client: &mut Client, run: &str) -> Result<Vec<RejectedRow>, Error> {
    let sql = "SELECT rule, table_name, row_key, column_name, reason, cause FROM imis_migration.rejects WHERE run = $1 \
               ORDER BY rule, table_name, row_key";
    let mut rejects = Vec::new();
    let each = |row: &Row| rejects.push(rejected_row(row));
    paged(client, sql, &[&run], "reading rejected rows", each).await?;
    Ok(rejects)
}

fn rejected_row(row: &Row) -> RejectedRow {
    RejectedRow {
        rule: row.get(0),
        table: row.get(1),
        reject: Reject {
            key: serde_json::from_str(row.get(2)).unwrap_or_default(),
            column: row.get(3),
            reason: row.get(4),
            cause: row.get::<_, Option<String>>(5).and_then(|text| serde_json::from_str(&text).ok()),
        },
    }
}

/// The rows that a run rejected; of the latest run that was not undone, when none is named.
///
/// # Errors
/// When there is no such run, or the server fails.
pub async fn rejects_of(address: &PostgresAddress, run: Option<&str>) -> Result<Vec<RejectedRow>, Error> {
    let mut connection = Pool::new(address.clone()).take().await?;
    let found = all(&*connection)
        .await?
        .into_iter()
        .find(|state| run.map_or(state.phase != Phase::Undone, |name| name == state.run))
        .ok_or_else(|| Error::new(imis_databases::ErrorKind::Usage, "there is no such run in this database"))?;
    rejects(&mut connection, &found.run).await
}
