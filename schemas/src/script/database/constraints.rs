//! Constraints that come and go: keys, uniques, checks, defaults.

use crate::catalog::{Check, ForeignKey, Key, Unique};
use crate::name::same_name;

use super::super::spelling::{bracketed, placed, stored};
use super::super::table::{Constraint, ConstraintDraft};
use super::{Database, Refused, TableState, refused};

impl Database {
    pub(super) fn add_constraint(&mut self, at: usize, draft: &ConstraintDraft) -> Result<(), Refused> {
        let named = |prefix: &str, table: &TableState, columns: &[String]| {
            draft.name.clone().unwrap_or_else(|| format!("{prefix}__{}__{}", table.name.name, columns.join("_")))
        };
        match &draft.constraint {
            Constraint::PrimaryKey(columns) => {
                let table = self.table_mut(at)?;
                if table.primary_key.is_some() {
                    return refused(format!("{} has a primary key already", table.name));
                }
                for name in columns {
                    let position = table.position(name)?;
                    if let Some(column) = table.columns.get_mut(position) {
                        column.column.nullable = false;
                    }
                }
                let columns = table.spelled(columns);
                table.primary_key = Some(Key { name: draft.name.clone(), columns });
            }
            Constraint::Unique(columns) => {
                let table = self.table_mut(at)?;
                for name in columns {
                    table.position(name)?;
                }
                let (name, columns) = (named("UQ", table, columns), table.spelled(columns));
                table.uniques.push(Unique { name, columns });
            }
            Constraint::ForeignKey(columns, other, referenced) => {
                let (references, referenced_columns) = match self.find(other).and_then(|at| self.tables.get(at)) {
                    Some(other) => {
                        let own = || other.primary_key.as_ref().map(|k| k.columns.clone()).unwrap_or_default();
                        let referenced = if referenced.is_empty() { own() } else { other.spelled(referenced) };
                        (other.name.clone(), referenced)
                    }
                    // A script of one table may refer to others that it does not have.
                    None => (placed(other), referenced.clone()),
                };
                let table = self.table_mut(at)?;
                for name in columns {
                    table.position(name)?;
                }
                let (name, columns) = (named("FK", table, columns), table.spelled(columns));
                if table.foreign_keys.iter().any(|k| same_name(&k.name, &name)) {
                    return refused(format!("the key {name} is there already"));
                }
                table.foreign_keys.push(ForeignKey {
                    name,
                    columns,
                    references,
                    referenced_columns,
                    trusted: draft.trusted,
                    enabled: true,
                    deferrable: false,
                });
            }
            Constraint::Check(definition) => {
                let table = self.table_mut(at)?;
                let name = named("CK", table, &[(table.checks.len() + 1).to_string()]);
                if table.checks.iter().any(|c| same_name(&c.name, &name)) {
                    return refused(format!("the check {name} is there already"));
                }
                table.checks.push(Check { name, definition: Some(bracketed(definition)) });
            }
            Constraint::Default { column, value, with_values: _ } => {
                let table = self.table_mut(at)?;
                let position = table.position(column)?;
                if let Some(column) = table.columns.get_mut(position) {
                    if column.column.default.is_some() {
                        return refused(format!("{} has a default already", column.column.name));
                    }
                    column.column.default = Some(stored(value));
                    column.default_name.clone_from(&draft.name);
                }
            }
        }
        Ok(())
    }

    pub(super) fn drop_constraint(&mut self, at: usize, name: &str) -> Result<(), Refused> {
        let table = self.table_mut(at)?;
        if table.primary_key.as_ref().and_then(|k| k.name.as_deref()).is_some_and(|k| same_name(k, name)) {
            table.primary_key = None;
            return Ok(());
        }
        if let Some(column) =
            table.columns.iter_mut().find(|c| c.default_name.as_deref().is_some_and(|d| same_name(d, name)))
        {
            column.column.default = None;
            column.default_name = None;
            return Ok(());
        }
        let before = table.foreign_keys.len() + table.uniques.len() + table.checks.len();
        table.foreign_keys.retain(|k| !same_name(&k.name, name));
        table.uniques.retain(|u| !same_name(&u.name, name));
        table.checks.retain(|c| !same_name(&c.name, name));
        if before == table.foreign_keys.len() + table.uniques.len() + table.checks.len() {
            return refused(format!("{} has no constraint {name}", table.name));
        }
        Ok(())
    }
}
