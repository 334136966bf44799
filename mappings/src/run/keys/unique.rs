//! One unique: the rows that repeat the values of another, and what becomes of them.

use imis_databases::Error;
use imis_schemas::Engine;

use super::bench::{Bench, Broken};
use super::step::Done;
use crate::bind::{BoundRepeated, BoundRule, BoundUnique};

const PG: Engine = Engine::Postgres;

impl BoundUnique {
    /// Which rows it looks at: those without NULL, and of a partial index its own.
    pub(super) fn conditions(&self) -> String {
        let mut conditions: Vec<String> = self.sql.iter().map(|sql| format!("{sql} IS NOT NULL")).collect();
        conditions.extend(self.filter.iter().map(|filter| format!("({filter})")));
        conditions.join(" AND ")
    }
}

impl Bench<'_> {
    /// Holds one unique. Of equal rows the first stays: one that meets the mapping's condition before others, then by key.
    pub(super) async fn hold_unique(&mut self, rule: &BoundRule, unique: &BoundUnique) -> Result<Done, Error> {
        let mut done = Done::default();
        let table = rule.target.table_name();
        let names = unique.columns.join(", ");
        let doing = format!("holding {names} of {table} unique");
        let doing = doing.as_str();
        let changing = match &unique.repeated {
            BoundRepeated::Keep => return Ok(done),
            BoundRepeated::Reject => None,
            BoundRepeated::Repair(at) => self.mapping.repairs.get(*at).map(|repair| repair.column.as_str()),
            BoundRepeated::Value(worked, _) => worked.fit.as_ref().map(|fit| fit.column().name.as_str()),
        };
        let own = unique.columns.iter().map(String::as_str).chain(rule.target.columns.iter().map(|c| c.name.as_str()));
        let Some(column) = changing.into_iter().chain(own).find_map(|name| rule.target.column(name)) else {
            return Ok(done);
        };
        let broken = Broken { table: &rule.target, column };
        if self.lay_out_repeats(&broken, unique, doing).await? == 0 {
            return Ok(done);
        }
        let (mended, name) = match &unique.repeated {
            BoundRepeated::Value(worked, name) => {
                self.keep_later(&broken, unique, doing).await?;
                self.work_out(&broken, worked, doing).await?;
                let good = if column.nullable { "true" } else { "g.imis_value IS NOT NULL" };
                let changed = format!("{good} AND b.imis_was IS DISTINCT FROM g.imis_value::text");
                (self.apply(&rule.name, &broken, name, (&changed, "true"), doing).await?, name.as_str())
            }
            BoundRepeated::Repair(at) => {
                // The query decides for all rows that are equal, also which one stays as it is.
                let Some(repair) = self.mapping.repairs.get(*at) else { return Ok(done) };
                self.find(repair).await?;
                self.give_found(&broken, doing).await?;
                let changed = "b.imis_was IS DISTINCT FROM g.imis_value::text";
                (self.apply(&rule.name, &broken, &repair.name, (changed, "true"), doing).await?, repair.name.as_str())
            }
            BoundRepeated::Reject | BoundRepeated::Keep => (0, ""),
        };
        self.note(&rule.name, &column.name, name, mended);
        done.changed = mended;
        if mended > 0 && self.lay_out_repeats(&broken, unique, doing).await? == 0 {
            return Ok(done);
        }
        if mended > 0 || !matches!(unique.repeated, BoundRepeated::Value(..)) {
            self.keep_later(&broken, unique, doing).await?;
        }
        done.rejected = self.reject(rule, &names, "it repeats a value that must be unique", None, doing).await?;
        Ok(done)
    }

    /// Lays out all rows whose values stand more than once.
    async fn lay_out_repeats(&self, broken: &Broken<'_>, unique: &BoundUnique, doing: &str) -> Result<u64, Error> {
        let list = unique.sql.join(", ");
        // What decides which row stays is computed from the row itself; the key comes along anyway.
        let mut read: Vec<String> = Vec::new();
        if let BoundRepeated::Value(worked, _) = &unique.repeated {
            read.extend(worked.read.iter().cloned());
        }
        for name in unique.first.iter().flat_map(|first| &first.read) {
            if !read.contains(name) {
                read.push(name.clone());
            }
        }
        let from = format!(
            "(SELECT ctid AS imis_ctid, dense_rank() OVER (ORDER BY {list}) AS imis_group FROM {table} \
              WHERE {conditions} AND ({list}) IN (SELECT {list} FROM {table} WHERE {conditions} GROUP BY {list} \
              HAVING count(*) > 1)) x JOIN {table} t ON t.ctid = x.imis_ctid",
            table = broken.table.table_name().sql(PG),
            conditions = unique.conditions(),
        );
        self.lay_out(broken, &from, &read, ", x.imis_group", doing).await
    }

    /// Leaves on the bench only what comes after the first of each group.
    async fn keep_later(&self, broken: &Broken<'_>, unique: &BoundUnique, doing: &str) -> Result<(), Error> {
        let mut order: Vec<String> = Vec::new();
        match &unique.first {
            Some(first) => {
                self.choose(broken, first, doing).await?;
                order.push("(g.imis_n IS NULL)".to_owned());
            }
            None => self.clear_given(broken, doing).await?,
        }
        order.extend((0..broken.table.key_columns().len()).map(|at| format!("b.imis_k{at}")));
        order.push("b.imis_place".to_owned());
        self.execute(
            &format!(
                "DELETE FROM imis_broken d USING (SELECT b.imis_n, row_number() OVER (PARTITION BY b.imis_group ORDER BY {}) AS place \
                 FROM imis_broken b LEFT JOIN imis_given g USING (imis_n)) x WHERE d.imis_n = x.imis_n AND x.place = 1",
                order.join(", ")
            ),
            doing,
        )
        .await
        .map(|_| ())
    }
}
