//! `sp_rename`: a table, a column, an index or a constraint, a view, a routine or a type.

use crate::name::{TableName, same_name};

use super::super::spelling::is;
use super::super::tokens::ObjectName;
use super::{Database, Refused, refused};

impl Database {
    /// `sp_rename`: a table, a column, an index or a constraint, a routine.
    ///
    /// # Errors
    /// When nothing has the name.
    pub fn rename(&mut self, parts: &[String], to: &str, kind: Option<&str>) -> Result<(), Refused> {
        let (last, before) = parts.split_last().ok_or_else(|| Refused("a name is missing".to_owned()))?;
        if to.is_empty() {
            return refused("a name is missing");
        }
        let of = |parts: &[String]| {
            let (name, schema) = parts.split_last()?;
            Some(ObjectName { schema: schema.last().cloned(), name: name.clone() })
        };
        if matches!(kind, Some("COLUMN" | "INDEX") | None)
            && let Some(at) = of(before).and_then(|table| self.find(&table))
        {
            let table = self.table_mut(at)?;
            if kind != Some("INDEX")
                && let Ok(position) = table.position(last)
            {
                return self.rename_column(at, position, to);
            }
            let index = table.indexes.iter_mut().find(|i| same_name(&i.name, last)).map(|i| &mut i.name);
            let unique = table.uniques.iter_mut().find(|u| same_name(&u.name, last)).map(|u| &mut u.name);
            let key = table.primary_key.iter_mut().filter_map(|k| k.name.as_mut()).find(|k| same_name(k, last));
            if let Some(name) = index.or(unique).or(key) {
                to.clone_into(name);
                return Ok(());
            }
        }
        let name = of(parts).ok_or_else(|| Refused("a name is missing".to_owned()))?;
        if let Some(at) = self.find(&name) {
            let old = self.table_mut(at)?.name.clone();
            let new = TableName::new(old.schema.clone(), to);
            if self.has(&ObjectName { schema: Some(new.schema.clone()), name: new.name.clone() }) {
                return refused(format!("{to} is there already"));
            }
            self.table_mut(at)?.name = new.clone();
            for key in self.tables.iter_mut().flat_map(|t| t.foreign_keys.iter_mut()) {
                if key.references == old {
                    key.references = new.clone();
                }
            }
            return Ok(());
        }
        let view = self.views.iter_mut().find(|v| is(&v.schema, &v.name, &name)).map(|v| &mut v.name);
        let routine = self.routines.iter_mut().find(|r| is(&r.schema, &r.name, &name)).map(|r| &mut r.name);
        let user_type = self.types.iter_mut().find(|t| is(&t.schema, &t.name, &name)).map(|t| &mut t.name);
        if let Some(name) = view.or(routine).or(user_type) {
            to.clone_into(name);
            return Ok(());
        }
        for table in &mut self.tables {
            let key = table.primary_key.iter_mut().filter_map(|k| k.name.as_mut()).find(|k| same_name(k, last));
            let foreign = table.foreign_keys.iter_mut().find(|k| same_name(&k.name, last)).map(|k| &mut k.name);
            let unique = table.uniques.iter_mut().find(|u| same_name(&u.name, last)).map(|u| &mut u.name);
            let check = table.checks.iter_mut().find(|c| same_name(&c.name, last)).map(|c| &mut c.name);
            let default = table.columns.iter_mut().filter_map(|c| c.default_name.as_mut());
            let default = default.into_iter().find(|d| same_name(d, last));
            if let Some(name) = key.or(foreign).or(unique).or(check).or(default) {
                to.clone_into(name);
                return Ok(());
            }
        }
        refused(format!("nothing is called {}", parts.join(".")))
    }

    fn rename_column(&mut self, at: usize, position: usize, to: &str) -> Result<(), Refused> {
        let table = self.table_mut(at)?;
        if table.column(to).is_some_and(|other| table.columns.get(position).is_some_and(|own| own.id != other.id)) {
            return refused(format!("{} has the column {to} already", table.name));
        }
        let name = table.name.clone();
        let Some(column) = table.columns.get_mut(position) else { return refused("no such column") };
        let old = std::mem::replace(&mut column.column.name, to.to_owned());
        let swap = |names: &mut Vec<String>| {
            names.iter_mut().filter(|n| same_name(n, &old)).for_each(|n| to.clone_into(n));
        };
        if let Some(key) = &mut table.primary_key {
            swap(&mut key.columns);
        }
        table.uniques.iter_mut().for_each(|u| swap(&mut u.columns));
        table.foreign_keys.iter_mut().for_each(|k| swap(&mut k.columns));
        for index in &mut table.indexes {
            swap(&mut index.columns);
            swap(&mut index.include);
        }
        for key in self.tables.iter_mut().flat_map(|t| t.foreign_keys.iter_mut()).filter(|k| k.references == name) {
            swap(&mut key.referenced_columns);
        }
        Ok(())
    }
}
