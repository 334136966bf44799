//! Rows that go, and why: the row itself, or the first of the chain of rows that had to go before it.

use imis_databases::Error;
use imis_schemas::{Engine, Table};

use super::bench::Bench;
use crate::bind::{BoundMapping, BoundRule, Way};

const PG: Engine = Engine::Postgres;

/// A key by which a row is looked up among those that are gone.
pub(super) struct Named<'a> {
    pub(super) table: &'a Table,
    pub(super) column: &'a str,
}

/// The columns of a table by which keys of the mapping name its rows.
fn named_by(mapping: &BoundMapping, table: &Table) -> Vec<String> {
    let name = table.table_name();
    let mut columns: Vec<String> = mapping
        .rules
        .iter()
        .flat_map(|rule| &rule.keys)
        .filter(|key| !key.is_kept() && key.table.table_name() == name)
        .map(|key| key.referenced.clone())
        .collect();
    columns.sort();
    columns.dedup();
    columns
}

impl Bench<'_> {
    /// Lays out `imis_gone`: the rows that never came in, by the values under which others may name them.
    pub(super) async fn remember_rejects(&self) -> Result<(), Error> {
        let doing = "gathering the rows that are rejected already";
        self.batch(
            "CREATE TEMP TABLE imis_gone (table_name text, column_name text, value text, cause text) ON COMMIT DROP",
            doing,
        )
        .await?;
        let any = format!(
            "SELECT count(*) FROM (SELECT FROM imis_migration.rejects WHERE run = {} LIMIT 1) x",
            PG.literal(self.run)
        );
        if self.number(&any, doing).await? == 0 {
            return Ok(());
        }
        for rule in &self.mapping.rules {
            for (own, column) in plain_keys(rule) {
                if !named_by(self.mapping, &rule.target).contains(&column) {
                    continue;
                }
                let (column, own) = (PG.literal(&column), PG.literal(&own));
                self.execute(
                    &format!(
                        "INSERT INTO imis_gone SELECT table_name, {column}, p.pair ->> 1, coalesce(cause, {cause}) \
                         FROM imis_migration.rejects r CROSS JOIN LATERAL jsonb_array_elements(row_key::jsonb) p (pair) \
                         WHERE run = {run} AND rule = {rule} AND p.pair ->> 0 IN ({own}, {column})",
                        cause = cause_expression("r.table_name", "r.row_key", "r.column_name", "r.reason"),
                        run = PG.literal(self.run),
                        rule = PG.literal(&rule.name),
                    ),
                    doing,
                )
                .await?;
            }
        }
        Ok(())
    }

    /// Takes the rows on the bench out of their table and notes them as rejects. `named` is the row that they name and that
    /// is not there: where that one was rejected itself, its cause is theirs. Says how many they were.
    pub(super) async fn reject(
        &mut self,
        rule: &BoundRule,
        column: &str,
        reason: &str,
        named: Option<Named<'_>>,
        doing: &str,
    ) -> Result<u64, Error> {
        let table = &rule.target;
        let by = named_by(self.mapping, table);
        let values: String =
            by.iter().enumerate().map(|(at, c)| format!(", t.{}::text AS imis_v{at}", PG.quote(c))).collect();
        let (causes, cause, reason) = match &named {
            Some(named) => (
                format!(
                    "LEFT JOIN (SELECT g.value, min(g.cause) AS cause FROM imis_gone g \
                     WHERE g.table_name = {} AND g.column_name = {} GROUP BY g.value) c ON c.value = lost.named",
                    PG.literal(&named.table.name),
                    PG.literal(named.column)
                ),
                "c.cause",
                format!(
                    "CASE WHEN c.cause IS NULL THEN {} ELSE {} END",
                    PG.literal(reason),
                    PG.literal(&format!("the row of {} that it names was rejected", named.table.table_name()))
                ),
            ),
            None => (String::new(), "NULL::text", PG.literal(reason)),
        };
        let gone: Vec<String> = by
            .iter()
            .enumerate()
            .map(|(at, c)| {
                format!(
                    "SELECT {}, {}, imis_v{at}, coalesce(cause, {}) FROM told WHERE imis_v{at} IS NOT NULL",
                    PG.literal(&table.name),
                    PG.literal(c),
                    cause_expression(&PG.literal(&table.name), "row_key", &PG.literal(column), "reason")
                )
            })
            .collect();
        let gone = match gone.is_empty() {
            true => String::new(),
            false => format!(", more AS (INSERT INTO imis_gone {})", gone.join(" UNION ALL ")),
        };
        let rejected = self
            .number(
                &format!(
                    "WITH lost AS (DELETE FROM {table_sql} t USING imis_broken b WHERE t.ctid = b.imis_place \
                         RETURNING b.imis_key AS row_key, b.imis_was AS named{values}), \
                     told AS (SELECT lost.*, {cause} AS cause, {reason} AS reason FROM lost {causes}), \
                     noted AS (INSERT INTO imis_migration.rejects (run, rule, table_name, row_key, column_name, reason, cause) \
                         SELECT {run}, {rule}, {table_name}, row_key, {column}, reason, cause FROM told){gone} \
                     SELECT count(*) FROM told",
                    table_sql = table.table_name().sql(PG),
                    run = PG.literal(self.run),
                    rule = PG.literal(&rule.name),
                    table_name = PG.literal(&table.name),
                    column = PG.literal(column),
                ),
                doing,
            )
            .await?;
        self.effects.entry(rule.name.clone()).or_default().rejected += rejected;
        Ok(rejected)
    }
}

/// The columns of a rule's source key, as a reject names them, and the target columns that take them as they are.
fn plain_keys(rule: &BoundRule) -> Vec<(String, String)> {
    match &rule.way {
        Way::Rows(way) => way.plain.clone(),
        Way::Query(way) => way.rows.plain.clone(),
        Way::Nothing => Vec::new(),
    }
}

/// A [`crate::account::Cause`] as JSON.
fn cause_expression(table: &str, key: &str, column: &str, reason: &str) -> String {
    format!("json_build_object('table', {table}, 'key', {key}::json, 'column', {column}, 'reason', {reason})::text")
}
