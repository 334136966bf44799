//! Where a part looks: its table, or each of the tables, columns and keys of the live catalogue that it is about.

use std::sync::Arc;

use imis_schemas::document::Place;
use imis_schemas::{Engine, Table, same_name};

use super::Compiler;
use super::names::{Hindrance, key_of};
use crate::language::{CheckError, Each, ForEach, Scope};

/// One table in which a part looks, and what `${...}` stands for there.
pub(super) struct Site {
    pub(super) table: Arc<Table>,
    /// `table`, `key`, `column`, `parent`, `parent_key`, as the database spells them.
    pub(super) names: Vec<(&'static str, String)>,
}

impl Site {
    fn of(table: &Table) -> Self {
        let mut names = vec![("table", table.name.clone())];
        names.extend(key_of(table).into_iter().next().map(|key| ("key", key)));
        Site { table: Arc::new(table.clone()), names }
    }

    fn with(mut self, name: &'static str, value: &str) -> Self {
        self.names.push((name, value.to_owned()));
        self
    }

    /// The names as SQL needs them.
    pub(super) fn quoted(&self) -> Vec<(&'static str, String)> {
        self.names.iter().map(|(name, value)| (*name, Engine::Postgres.quote(value))).collect()
    }

    pub(super) fn name(&self, wanted: &str) -> Option<&str> {
        self.names.iter().find(|(name, _)| *name == wanted).map(|(_, value)| value.as_str())
    }
}

impl Compiler<'_> {
    /// The tables that a part is about.
    pub(super) fn sites(&self, scope: &Scope) -> Result<Vec<Site>, Hindrance> {
        match scope {
            Scope::Table(name) => match self.virtuals.table(&name.value) {
                Some(table) => Ok(vec![Site { table, names: Vec::new() }]),
                None => Ok(vec![Site::of(self.names.table(&name.value, &name.place)?.as_ref())]),
            },
            Scope::ForEach(each) => {
                let tables_with: &[String] = if let Each::TablesWith(names) = &each.each { names } else { &[] };
                let columns = tables_with.iter().chain(&each.and_with).chain(&each.parent_with);
                let typo = columns.filter(|name| !self.names.is_known_column(name));
                if let Some(name) = typo.chain(each.except.iter().filter(|name| !self.names.is_known(name))).next() {
                    let error = CheckError::at(&each.place.within(name), format!("no openIMIS database has `{name}`"));
                    return Err(error.with_label("not known").into());
                }
                let sites = self.each(each);
                if sites.is_empty() {
                    return Err(Hindrance::Absent(absent(each)));
                }
                Ok(sites)
            }
        }
    }

    fn each(&self, wanted: &ForEach) -> Vec<Site> {
        let has = |table: &Table, names: &[String]| names.iter().all(|name| table.column(name).is_some());
        let left_out = |name: &str| wanted.except.iter().any(|except| same_name(except, name));
        let tables = self.catalog.tables.iter();
        let tables = tables.filter(|table| !left_out(&table.name) && has(table, &wanted.and_with));
        let mut sites = Vec::new();
        for table in tables {
            let columns = table.columns.iter().filter(|c| !left_out(&format!("{}.{}", table.name, c.name)));
            match &wanted.each {
                Each::TablesWith(names) if has(table, names) => sites.push(Site::of(table)),
                Each::TablesWith(_) => {}
                Each::Columns(pattern) => {
                    let fitting = columns.filter(|c| fits(pattern, &c.name));
                    sites.extend(fitting.map(|c| Site::of(table).with("column", &c.name)));
                }
                Each::TextColumns => {
                    let texts = columns.filter(|c| c.data_type(self.catalog.engine).is_text());
                    sites.extend(texts.map(|c| Site::of(table).with("column", &c.name)));
                }
                Each::ForeignKeys { untrusted } => {
                    for key in
                        table.foreign_keys.items().iter().filter(|key| !untrusted || !key.trusted || !key.enabled)
                    {
                        let ([column], [referenced]) = (key.columns.as_slice(), key.referenced_columns.as_slice())
                        else {
                            continue;
                        };
                        let own = |table: &&Table| table.table_name() == key.references;
                        let parent = self.catalog.tables.iter().find(own);
                        let Some(parent) = parent.or_else(|| self.catalog.table(&key.references.name)) else {
                            continue;
                        };
                        if left_out(&format!("{}.{column}", table.name)) || !has(parent, &wanted.parent_with) {
                            continue;
                        }
                        let site = Site::of(table).with("column", column);
                        sites.push(site.with("parent", &parent.name).with("parent_key", referenced));
                    }
                }
            }
        }
        sites
    }
}

fn absent(each: &ForEach) -> String {
    match &each.each {
        Each::TablesWith(names) => format!("no table has the columns {}", names.join(", ")),
        Each::Columns(pattern) => format!("no table has a column {pattern}"),
        Each::TextColumns => "no table has a column that holds text".to_owned(),
        Each::ForeignKeys { .. } => "no foreign key of this kind is known".to_owned(),
    }
}

/// Whether a name fits a pattern in which `*` stands for any text; case aside.
fn fits(pattern: &str, name: &str) -> bool {
    let (pattern, name) = (pattern.to_lowercase(), name.to_lowercase());
    match pattern.split_once('*') {
        None => pattern == name,
        Some((start, end)) => name.len() >= start.len() + end.len() && name.starts_with(start) && name.ends_with(end),
    }
}

/// Whether the database has a table, or a column of one: `tblPhotos.photo`.
pub(super) fn has(compiler: &Compiler<'_>, name: &str, _: &Place) -> bool {
    match name.rsplit_once('.') {
        Some((table, column)) => compiler.catalog.table(table).is_some_and(|table| table.column(column).is_some()),
        None => compiler.catalog.table(name).is_some(),
    }
}
