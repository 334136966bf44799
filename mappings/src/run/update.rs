//! Rules that set columns of rows which are there (`existing: { update: [KEY] }`).
//!
//! ```text
//! source --chunks--> map --COPY--> stage        one UPDATE ... FROM sets what differs; what was there is kept for undo
//! ```

use std::collections::BTreeMap;

use imis_databases::postgres::describe_error;
use imis_databases::{Error, ErrorKind};
use imis_schemas::{Engine, Table, TableName};
use tokio_postgres::{GenericClient, Transaction};

use super::failpoint::reached;
use super::postgres::PostgresTarget;
use crate::account::Counts;
use crate::bind::{BoundMapping, BoundRule, RowWay, Way};
use crate::language::Existing;

const PG: Engine = Engine::Postgres;

/// A rule that sets columns, with the columns of its key and those that it sets.
struct Setting<'a> {
    rule: &'a BoundRule,
    by: Vec<String>,
    sets: Vec<String>,
}

impl<'a> Setting<'a> {
    fn of(rule: &'a BoundRule) -> Option<Self> {
        let (Existing::Update { by }, Way::Rows(way)) = (&rule.existing, &rule.way) else { return None };
        let by: Vec<String> = by.iter().filter_map(|name| rule.target.column(name).map(|c| c.name.clone())).collect();
        let sets = columns(way).into_iter().filter(|column| !by.contains(column)).collect();
        Some(Setting { rule, by, sets })
    }

    fn all(mapping: &'a BoundMapping) -> impl Iterator<Item = Self> {
        mapping.rules.iter().filter_map(Setting::of)
    }

    /// What makes a row of one table the row of another.
    fn equal(&self, one: &str, other: &str) -> String {
        let pairs = self.by.iter().map(|c| format!("{one}.{0} = {other}.{0}", PG.quote(c)));
        pairs.collect::<Vec<_>>().join(" AND ")
    }

    fn differs(&self) -> String {
        let row = |of: &str| list(&self.sets, of);
        format!("ROW({}) IS DISTINCT FROM ROW({})", row("t."), row("s."))
    }
}

/// The target columns that a way gives values for.
fn columns(way: &RowWay) -> Vec<String> {
    way.columns.iter().map(|(_, fit)| fit.column().name.clone()).collect()
}

fn list(columns: &[String], prefix: &str) -> String {
    columns.iter().map(|c| format!("{prefix}{}", PG.quote(c))).collect::<Vec<_>>().join(", ")
}

fn ours(name: &str) -> String {
    TableName::new("imis_migration", name).sql(PG)
}

/// Whether a table is one whose rows stay and only change.
pub(super) fn only_updates(mapping: &BoundMapping, table: &Table) -> bool {
    let mut of_table = mapping.rules.iter().filter(|r| r.target.table_name() == table.table_name()).peekable();
    of_table.peek().is_some() && of_table.all(|rule| matches!(rule.existing, Existing::Update { .. }))
}

/// Makes the tables into which the rows of such rules go first.
pub(super) async fn make_stages(
    target: &PostgresTarget,
    mapping: &BoundMapping,
    transaction: &Transaction<'_>,
) -> Result<(), Error> {
    for (number, setting) in Setting::all(mapping).enumerate() {
        let Way::Rows(way) = &setting.rule.way else { continue };
        let name = setting.rule.target.table_name();
        let doing = |e| describe_error(e, &format!("making room for the changes of {name}"));
        let stage = format!("stage_{}_{number}", target.run);
        let columns = list(&columns(way), "");
        transaction
            .batch_execute(&format!(
                "CREATE TABLE {} AS SELECT {columns} FROM {} WITH NO DATA",
                ours(&stage),
                name.sql(PG)
            ))
            .await
            .map_err(doing)?;
        transaction
            .execute(
                "INSERT INTO imis_migration.change (run, rule, schema_name, table_name, stage_name, image_name, key_columns, set_columns) \
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
                &[
                    &target.run,
                    &setting.rule.name,
                    &setting.rule.target.schema,
                    &setting.rule.target.name,
                    &stage,
                    &format!("change_{}_{number}", target.run),
                    &setting.by,
                    &setting.sets,
                ],
            )
            .await
            .map_err(doing)?;
    }
    Ok(())
}

/// The table into which a rule's rows are written: its own target, or the stage of a rule that sets columns.
pub(super) async fn written_to(client: &impl GenericClient, run: &str, rule: &BoundRule) -> Result<Table, Error> {
    let mut table = Table::clone(&rule.target);
    if !matches!(rule.existing, Existing::Update { .. }) {
        return Ok(table);
    }
    let row = client
        .query_one("SELECT stage_name FROM imis_migration.change WHERE run = $1 AND rule = $2", &[&run, &rule.name])
        .await
        .map_err(|e| describe_error(e, "looking for the room of a rule's changes"))?;
    (table.schema, table.name) = ("imis_migration".to_owned(), row.get(0));
    Ok(table)
}

/// Sets the columns, each rule in one transaction, and puts what came of it into the counts.
pub(super) async fn apply(
    target: &PostgresTarget,
    mapping: &BoundMapping,
    counts: &mut BTreeMap<String, Counts>,
) -> Result<(), Error> {
    let mut connection = target.pool.take().await?;
    for setting in Setting::all(mapping) {
        let name = setting.rule.target.table_name();
        let doing = |e| describe_error(e, &format!("changing rows of {name} (rule {})", setting.rule.name));
        let transaction = connection.transaction().await.map_err(doing)?;
        let row = transaction
            .query_one(
                "SELECT stage_name, image_name, updated, away FROM imis_migration.change WHERE run = $1 AND rule = $2 FOR UPDATE",
                &[&target.run, &setting.rule.name],
            )
            .await
            .map_err(doing)?;
        let done = row.get::<_, Option<i64>>(2).zip(row.get::<_, Option<i64>>(3));
        let (updated, away) = match done {
            Some(done) => done,
            None => {
                let done = change(&setting, &transaction, row.get(0), row.get(1)).await?;
                transaction
                    .execute(
                        "UPDATE imis_migration.change SET updated = $3, away = $4 WHERE run = $1 AND rule = $2",
                        &[&target.run, &setting.rule.name, &done.0, &done.1],
                    )
                    .await
                    .map_err(doing)?;
                reached("update-done");
                transaction.commit().await.map_err(doing)?;
                reached("update-committed");
                done
            }
        };
        let counts = counts.entry(setting.rule.name.clone()).or_default();
        (counts.loaded, counts.updated) = (0, u64::try_from(updated).unwrap_or(0));
        let away = u64::try_from(away).unwrap_or(0);
        if away > 0 {
            counts.filtered += away;
            let key = (setting.by.join(", "), "rejected-before".to_owned());
            *counts.losses.entry(key).or_default() += away;
        }
    }
    Ok(())
}

/// Changes the rows of one rule: how many rows it found, and how many an earlier run had rejected.
async fn change(
    setting: &Setting<'_>,
    transaction: &Transaction<'_>,
    stage: &str,
    image: &str,
) -> Result<(i64, i64), Error> {
    let name = setting.rule.target.table_name();
    let doing = |e| describe_error(e, &format!("changing rows of {name} (rule {})", setting.rule.name));
    let (table, stage, image) = (name.sql(PG), ours(stage), ours(image));
    let equal = setting.equal("t", "s");
    let prepared = format!("CREATE UNIQUE INDEX ON {stage} ({}); ANALYZE {stage}", list(&setting.by, ""));
    transaction.batch_execute(&prepared).await.map_err(doing)?;

    // A row that an earlier run rejected is not there to be changed; any other that is missing is a mistake.
    let key = setting.by.iter().map(|c| format!("s.{}::text", PG.quote(c))).collect::<Vec<_>>().join(", ");
    let missing = transaction
        .query_one(
            &format!(
                "WITH gone AS (SELECT DISTINCT (SELECT string_agg(pair ->> 1, ',') FROM jsonb_array_elements(r.row_key::jsonb) pair) AS key \
                     FROM imis_migration.rejects r JOIN imis_migration.run USING (run) WHERE r.table_name = $1 AND phase <> 'undone'), \
                 missing AS (SELECT concat_ws(',', {key}) AS key FROM {stage} s \
                     WHERE NOT EXISTS (SELECT FROM {table} t WHERE {equal})) \
                 SELECT count(*), count(*) FILTER (WHERE gone.key IS NULL) FROM missing LEFT JOIN gone USING (key)"
            ),
            &[&setting.rule.target.name],
        )
        .await
        .map_err(doing)?;
    let (missing, unknown): (i64, i64) = (missing.get(0), missing.get(1));
    if unknown > 0 {
        return Err(Error::new(
            ErrorKind::Data,
            format!("rule {}: {unknown} row(s) of the source find no row in {name} to change", setting.rule.name),
        )
        .with_help("Somebody removed them, or the rule's key is not the table's. Nothing of this rule was changed."));
    }
    transaction
        .batch_execute(&format!(
            "CREATE TABLE {image} AS SELECT {}, {} FROM {table} t JOIN {stage} s ON {equal} WHERE {}",
            list(&setting.by, "t."),
            list(&setting.sets, "t."),
            setting.differs()
        ))
        .await
        .map_err(doing)?;
    let set = setting.sets.iter().map(|c| format!("{0} = s.{0}", PG.quote(c))).collect::<Vec<_>>().join(", ");
    transaction
        .execute(&format!("UPDATE {table} t SET {set} FROM {stage} s WHERE {equal} AND {}", setting.differs()), &[])
        .await
        .map_err(doing)?;
    let staged =
        transaction.query_one(&format!("SELECT count(*) FROM {stage}"), &[]).await.map_err(doing)?.get::<_, i64>(0);
    transaction.batch_execute(&format!("DROP TABLE {stage}")).await.map_err(doing)?;
    Ok((staged - missing, missing))
}

/// Gives the rows that a run changed their former values, the last change first.
pub(super) async fn undo(transaction: &Transaction<'_>, run: &str) -> Result<(), Error> {
    let doing = |e| describe_error(e, "taking changes back");
    // The names end with the number of the change, and as a text 10 comes before 2.
    let changes = transaction
        .query(
            "SELECT schema_name, table_name, stage_name, image_name, key_columns, set_columns FROM imis_migration.change \
             WHERE run = $1 ORDER BY length(image_name) DESC, image_name DESC",
            &[&run],
        )
        .await
        .map_err(doing)?;
    for row in changes {
        let table = TableName::new(row.get::<_, String>(0), row.get::<_, String>(1)).sql(PG);
        let (stage, image): (String, String) = (row.get(2), row.get(3));
        let (by, sets): (Vec<String>, Vec<String>) = (row.get(4), row.get(5));
        let there = transaction
            .query_one("SELECT to_regclass($1) IS NOT NULL", &[&ours(&image)])
            .await
            .map_err(doing)?
            .get::<_, bool>(0);
        if there {
            let set = sets.iter().map(|c| format!("{0} = i.{0}", PG.quote(c))).collect::<Vec<_>>().join(", ");
            let equal = by.iter().map(|c| format!("t.{0} = i.{0}", PG.quote(c))).collect::<Vec<_>>().join(" AND ");
            transaction
                .batch_execute(&format!(
                    "UPDATE {table} t SET {set} FROM {0} i WHERE {equal}; DROP TABLE {0}",
                    ours(&image)
                ))
                .await
                .map_err(doing)?;
        }
        transaction.batch_execute(&format!("DROP TABLE IF EXISTS {}", ours(&stage))).await.map_err(doing)?;
    }
    Ok(())
}
