//! One key: the rows whose value names nothing, and what is tried on them.

use imis_databases::Error;
use imis_schemas::Engine;

use super::bench::{Bench, Broken};
use super::reject::Named;
use crate::bind::{BoundKey, BoundRule, BoundStep};

const PG: Engine = Engine::Postgres;

/// What holding something did: rows that went, values that changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Done {
    pub(super) rejected: u64,
    pub(super) changed: u64,
}

impl Bench<'_> {
    /// Holds one key.
    pub(super) async fn hold_key(&mut self, rule: &BoundRule, key: &BoundKey) -> Result<Done, Error> {
        let mut done = Done::default();
        let table = rule.target.table_name();
        let Some(column) = rule.target.column(&key.column) else { return Ok(done) };
        let doing = format!("holding the key {table}.{}", key.column);
        let doing = doing.as_str();
        let broken = Broken { table: &rule.target, column };
        let referenced = PG.quote(&key.referenced);
        let referenced_sql = key.table.table_name().sql(PG);
        let own = format!("t.{}", PG.quote(&key.column));
        let from = format!(
            "{} t WHERE {own} IS NOT NULL AND NOT EXISTS (SELECT FROM {referenced_sql} r WHERE r.{referenced} = {own})",
            table.sql(PG)
        );
        let mut read: Vec<String> = Vec::new();
        for step in &key.steps {
            if let BoundStep::Null(Some(worked)) | BoundStep::Value(worked, _) = step {
                read.extend(worked.read.iter().filter(|name| !read.contains(name)).cloned().collect::<Vec<_>>());
            }
        }
        let mut left = self.lay_out(&broken, &from, &read, "", doing).await?;
        // A value that a step gives must name a row itself; NULL only where the column takes it.
        let names_row = format!("EXISTS (SELECT FROM {referenced_sql} r WHERE r.{referenced} = g.imis_value)");
        let good = if column.nullable { format!("(g.imis_value IS NULL OR {names_row})") } else { names_row };
        for step in &key.steps {
            if left == 0 {
                break;
            }
            let mended = match step {
                BoundStep::Keep => 0,
                BoundStep::Spelling => {
                    self.clear_given(&broken, doing).await?;
                    self.execute(
                        &format!(
                            "INSERT INTO imis_given SELECT b.imis_n, min(r.{referenced}::text)::{} FROM imis_broken b \
                             JOIN {referenced_sql} r ON lower(rtrim(r.{referenced}::text)) = lower(rtrim(b.imis_was)) \
                             GROUP BY b.imis_n",
                            column.data_type
                        ),
                        doing,
                    )
                    .await?;
                    let name = "spelling-of-key";
                    let mended = self.apply(&rule.name, &broken, name, (&good, "true"), doing).await?;
                    self.note(&rule.name, &key.column, name, mended);
                    mended
                }
                BoundStep::Null(condition) => {
                    match condition {
                        Some(condition) => self.choose(&broken, condition, doing).await?,
                        None => {
                            self.clear_given(&broken, doing).await?;
                            self.execute("INSERT INTO imis_given (imis_n) SELECT imis_n FROM imis_broken", doing)
                                .await?;
                        }
                    }
                    let mut zeros = 0;
                    if column.data_type(PG).arrow().is_integer() {
                        zeros = self
                            .number(
                                "SELECT count(*) FROM imis_broken b JOIN imis_given g USING (imis_n) WHERE b.imis_was = '0'",
                                doing,
                            )
                            .await?;
                    }
                    let name = "dangling-to-null";
                    // A nought that stands for none is counted; that it was a nought needs no line a row.
                    let noted = if zeros > 0 { "b.imis_was <> '0'" } else { "true" };
                    let mended = self.apply(&rule.name, &broken, name, ("true", noted), doing).await?;
                    self.note(&rule.name, &key.column, "zero-is-none", zeros);
                    self.note(&rule.name, &key.column, name, mended.saturating_sub(zeros));
                    mended
                }
                BoundStep::Value(worked, name) => {
                    self.work_out(&broken, worked, doing).await?;
                    let mended = self.apply(&rule.name, &broken, name, (&good, "true"), doing).await?;
                    self.note(&rule.name, &key.column, name, mended);
                    mended
                }
                BoundStep::Repair(at) => {
                    let Some(repair) = self.mapping.repairs.get(*at) else { continue };
                    self.find(repair).await?;
                    self.give_found(&broken, doing).await?;
                    let mended = self.apply(&rule.name, &broken, &repair.name, (&good, "true"), doing).await?;
                    self.note(&rule.name, &key.column, &repair.name, mended);
                    mended
                }
                BoundStep::Reject => {
                    let reason = format!("it names no row of {}", key.table.table_name());
                    let named = Named { table: &key.table, column: &key.referenced };
                    done.rejected = self.reject(rule, &key.column, &reason, Some(named), doing).await?;
                    left = left.saturating_sub(done.rejected);
                    0
                }
            };
            done.changed += mended;
            left = left.saturating_sub(mended);
        }
        Ok(done)
    }
}
