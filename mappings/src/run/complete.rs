//! The second half of the second route: a run into tables on which Django had not run yet waits for Django's migrations, then
//! another run gives back what was held back, and both are accounted for together.
//!
//! ```text
//! first run --> manage.py migrate --> completion --> the account of the whole
//! ```

use std::sync::Arc;

use imis_databases::postgres::{Pool, describe_error};
use imis_databases::{Consistency, Error, ErrorKind, PostgresAddress, Source};
use imis_schemas::{Catalog, Engine, Table, TableName};
use tokio_postgres::GenericClient;

use super::failpoint::reached;
use super::postgres::PostgresTarget;
use super::prepare::django_migrations;
use super::state::{self, Phase, RunState};
use crate::account::{Account, TableAccount};
use crate::plan::Plan;

const PG: Engine = Engine::Postgres;

/// How far the second route has come on a target.
#[derive(Clone, Debug)]
pub enum Completion {
    /// No run waits for a completion.
    None,
    /// This run waits for the pack of this name.
    Waiting(RunState, String),
    /// The second run completes the first and is not finished.
    Begun(RunState, RunState),
    /// The second run completed the first.
    Done(RunState, RunState),
}

/// How far the second route has come: by the latest run that was not undone.
///
/// # Errors
/// When the server fails, or the plan of a run cannot be read.
pub async fn completion(address: &PostgresAddress) -> Result<Completion, Error> {
    let connection = Pool::new(address.clone()).take().await?;
    let runs: Vec<RunState> =
        state::all(&*connection).await?.into_iter().filter(|state| state.phase != Phase::Undone).collect();
    let Some(latest) = runs.first() else { return Ok(Completion::None) };
    let plan = Plan::parse(&latest.plan)?;
    if let Some(name) = &plan.completes {
        let first = runs.iter().find(|state| state.run == *name).cloned();
        let first =
            first.ok_or_else(|| Error::failed(format!("run {} completes {name}, which is gone", latest.run)))?;
        let done = latest.phase >= Phase::Accounted;
        let both = (first, latest.clone());
        return Ok(if done { Completion::Done(both.0, both.1) } else { Completion::Begun(both.0, both.1) });
    }
    Ok(match plan.complete {
        Some(pack) => Completion::Waiting(latest.clone(), pack),
        None => Completion::None,
    })
}

/// Whether Django's migrations have run on a target.
///
/// # Errors
/// When the server fails.
pub async fn django_ran(address: &PostgresAddress) -> Result<bool, Error> {
    Ok(django_migrations(&*Pool::new(address.clone()).take().await?).await? > 0)
}

/// Refuses to take back a run on whose rows Django's migrations have worked since: they cannot be taken back.
pub(super) async fn refuse_migrated_since(client: &impl GenericClient, run: &RunState) -> Result<(), Error> {
    if Plan::parse(&run.plan)?.complete.is_none() || django_migrations(client).await? == 0 {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Data,
        format!("run {} cannot be taken back: Django's migrations have run since and changed its tables", run.run),
    )
    .with_help(
        "Drop the database, prepare a new one with `imis prepare`, and load into that; or go on with --complete.",
    ))
}

/// The tables of the run that this one completes, as they are now.
pub(super) async fn tables_of_first(
    target: &PostgresTarget,
    client: &impl GenericClient,
) -> Result<Vec<Arc<Table>>, Error> {
    let Some(first) = &target.completes else { return Ok(Vec::new()) };
    let rows = client
        .query("SELECT table_name FROM imis_migration.image WHERE run = $1 ORDER BY table_name", &[first])
        .await
        .map_err(|e| describe_error(e, "reading the tables of the first run"))?;
    Ok(rows.iter().filter_map(|row| target.catalog.table(row.get(0))).map(|table| Arc::new(table.clone())).collect())
}

/// The account of a run and of the run that completes it, as one: every row of the source in both, every table of either,
/// and what Django's migrations did to the number of rows in between. It becomes the account of the second run.
///
/// # Errors
/// When a server fails, or the first run has no account.
pub async fn whole(
    address: &PostgresAddress,
    source: &Arc<dyn Source>,
    source_catalog: &Catalog,
    first: &RunState,
    second: Account,
) -> Result<Account, Error> {
    let mut connection = Pool::new(address.clone()).take().await?;
    let mut rejects = state::rejects(&mut connection, &first.run).await?;
    let first = state::account(&*connection, &first.run)
        .await?
        .ok_or_else(|| Error::failed(format!("run {} has no account", first.run)))?;
    let mut second = second;
    rejects.append(&mut second.rejects);
    let mut whole = Account { started: first.started, notes: Vec::new(), ..second.clone() };
    // The source was read from the first read of the first run to the last of the second, as well as the weaker of the two.
    whole.reading.before = first.reading.before;
    whole.consistency = weaker(first.consistency, second.consistency);
    if whole.consistency != second.consistency || first.reading.because != second.reading.because {
        let (one, other) = (&first.reading.because, &second.reading.because);
        whole.reading.because = format!("the first run: {one}; its completion, at another moment: {other}");
    }

    // The source may have gone on working; its server is asked again.
    whole.rules = first.rules;
    for rule in &mut whole.rules {
        let table = rule.from.as_ref().and_then(|name| find(source_catalog, name));
        if let (Some(_), Some(table)) = (rule.counted, table) {
            rule.counted = Some(source.count(table).await?);
        }
    }
    whole.rules.extend(second.rules.into_iter().map(|mut rule| {
        rule.rule.push_str(" (completion)");
        rule
    }));

    whole.tables = Vec::new();
    for table in first.tables {
        let mut both = match second.tables.iter().find(|t| t.table == table.table) {
            Some(later) => TableAccount {
                removed: table.removed + later.removed,
                loaded: table.loaded + later.loaded,
                computed: table.computed + later.computed,
                by_migrations: difference(later.before, table.after),
                after: later.after,
                ..table
            },
            None => {
                let now = rows_of(&*connection, &table.table).await?;
                TableAccount { by_migrations: difference(now, table.after), after: now, ..table }
            }
        };
        // What the completion replaces is right whatever the migrations did; elsewhere a row too many or too few is a fault.
        let replaced = |t: &TableAccount| t.removed == t.before && (t.before > 0 || t.loaded + t.computed > 0);
        let settled = second.tables.iter().any(|t| t.table == both.table && replaced(t));
        if both.by_migrations != 0 {
            let n = both.by_migrations;
            let what = if n > 0 { format!("added {n} row(s) to") } else { format!("took {} row(s) from", -n) };
            let fate = if settled { "; the completion replaced them" } else { ": nothing accounts for that" };
            whole.notes.push(format!("Django's migrations {what} {}{fate}.", both.table));
            if !settled {
                both.by_migrations = 0;
            }
        }
        whole.tables.push(both);
    }
    let known = |name: &str| whole.tables.iter().any(|t| t.table == name);
    let new: Vec<TableAccount> = second.tables.iter().filter(|t| !known(&t.table)).cloned().collect();
    whole.tables.extend(new);

    let mut notes = first.notes;
    notes.append(&mut whole.notes);
    notes.extend(second.notes);
    let mut seen = std::collections::HashSet::new();
    notes.retain(|note| seen.insert(note.clone()));
    whole.notes = notes;

    let doing = |e| describe_error(e, "writing the account of the whole");
    let text = serde_json::to_string(&whole).unwrap_or_default();
    reached("whole-counted");
    let transaction = connection.transaction().await.map_err(doing)?;
    transaction
        .execute("UPDATE imis_migration.run SET account = $2 WHERE run = $1", &[&whole.run, &text])
        .await
        .map_err(doing)?;
    state::set_phase(&transaction, &whole.run, Phase::Accounted).await?;
    transaction.commit().await.map_err(doing)?;
    reached("whole-committed");
    whole.rejects = rejects;
    Ok(whole)
}

fn weaker(first: Option<Consistency>, second: Option<Consistency>) -> Option<Consistency> {
    let levels = [first, second];
    // Two transactions are two moments.
    match levels.contains(&Some(Consistency::Fuzzy)) || levels == [Some(Consistency::SingleTransaction); 2] {
        true => Some(Consistency::Fuzzy),
        false if levels.contains(&Some(Consistency::SingleTransaction)) => Some(Consistency::SingleTransaction),
        false => first.or(second),
    }
}

fn find<'a>(catalog: &'a Catalog, name: &str) -> Option<&'a Table> {
    catalog.tables.iter().find(|table| table.table_name().to_string() == name)
}

fn difference(now: u64, then: u64) -> i64 {
    i64::try_from(i128::from(now) - i128::from(then)).unwrap_or(i64::MAX)
}

async fn rows_of(client: &impl GenericClient, table: &str) -> Result<u64, Error> {
    let (schema, name) = table.rsplit_once('.').unwrap_or(("public", table));
    let row = client
        .query_one(&format!("SELECT count(*) FROM {}", TableName::new(schema, name).sql(PG)), &[])
        .await
        .map_err(|e| describe_error(e, &format!("counting the rows of {table}")))?;
    Ok(u64::try_from(row.get::<_, i64>(0)).unwrap_or(0))
}
