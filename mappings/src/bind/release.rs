//! Older sources: what the source's release did not have yet may be absent, and nothing else.
//!
//! A column that is absent although its release has it was dropped by the country, or is hidden from the login. Both look
//! alike, and taking either for an older release would lose data without a word. So it is refused, with what to do.

use std::sync::OnceLock;

use imis_schemas::legacy::{LegacyRelease, since};
use imis_schemas::{Engine, Identification, Table, identify, same_name};

use super::Binder;
use crate::language::{Finding, Located, MappingError, Rule};

/// The release that a legacy source is of.
pub(super) struct Release {
    pub(super) found: Identification,
    known: &'static LegacyRelease,
}

impl Release {
    /// Finds it, for mappings from the legacy family and sources that SQL Server keeps.
    pub(super) fn of(family: &str, source: &imis_schemas::Catalog) -> Option<Self> {
        let found = identify(source).filter(|_| matches!(family, "legacy" | "hybrid"))?;
        let known = found.known()?;
        Some(Release { found, known })
    }

    /// The first of these tables that the release has.
    pub(super) fn table(&self, names: &[Located<String>]) -> Option<&'static Table> {
        names.iter().find_map(|name| self.known.table(&name.value))
    }

    fn label(&self) -> String {
        format!("openIMIS {}", self.found.label())
    }
}

/// The tables that Django made or changed, as the modular release has them.
fn modular() -> Option<&'static imis_schemas::Catalog> {
    static MODULAR: OnceLock<Option<imis_schemas::Catalog>> = OnceLock::new();
    MODULAR.get_or_init(|| imis_schemas::release("modular/1.11").ok()).as_ref()
}

/// Whether a column is known in one of these tables of any release, or made by an upgrade.
fn is_known(tables: &[Located<String>], column: &str) -> bool {
    tables.iter().any(|table| {
        since(&table.value, Some(column)).is_some()
            || imis_schemas::release("legacy/24.04")
                .is_ok_and(|full| full.table(&table.value).is_some_and(|t| t.column(column).is_some()))
    })
}

impl Binder<'_> {
    /// Whether the source is a hybrid: a legacy database on which Django's migrations ran.
    pub(super) fn is_hybrid(&self) -> bool {
        self.mapping.from == "hybrid"
    }

    /// Whether a column is known in one of these tables: of any release, and in a hybrid of what Django makes.
    pub(super) fn is_known(&self, tables: &[Located<String>], column: &str) -> bool {
        let djangos = |name: &Located<String>| {
            modular().and_then(|m| m.table(&name.value)).is_some_and(|table| table.column(column).is_some())
        };
        is_known(tables, column) || (self.is_hybrid() && tables.iter().any(djangos))
    }

    /// Whether Django's migrations take a column of a table away.
    fn is_taken_by_django(&self, table: &str, column: &str) -> bool {
        let known = modular().and_then(|modular| modular.table(table));
        self.is_hybrid() && known.is_some_and(|table| table.column(column).is_none())
    }

    /// Refuses a login of which it is known that it does not see everything, and a source that is no legacy openIMIS.
    pub(super) fn sight(&mut self) {
        if self.seen.rights.view_definition == Some(false) {
            let grantee = self.seen.grantee();
            self.errors.push(
                MappingError::general(format!(
                    "the login {grantee} has no VIEW DEFINITION: what it does not see cannot be told from what is not there"
                ))
                .with_help(format!("An administrator grants it: GRANT VIEW DEFINITION TO {grantee}")),
            );
        }
        if let Some(release) = &self.release
            && !release.found.is_legacy()
        {
            let (there, all) = release.found.tables;
            let label = release.label();
            let message = format!(
                "the source is no legacy openIMIS: of the {all} tables of its closest release, {label}, {there} are there"
            );
            self.errors.push(MappingError::general(message).with_help(format!(
                "Is it the right database? If it is, the login may not see the others: GRANT SELECT TO {grantee}; GRANT VIEW \
                 DEFINITION TO {grantee}. A mapping for other tables says another family than `from: legacy`.",
                grantee = self.seen.grantee()
            )));
            // Everything else would be a list of what is missing.
            self.release = None;
        }
    }

    /// Whether the country says that it has a table no longer.
    pub(super) fn is_absent_table(&self, name: &str) -> bool {
        self.mapping.absent_tables.iter().any(|(absent, _)| same_name(&absent.value, name))
    }

    /// The tables of a rule are absent from the source. Gives whether that is to be borne: no release has them yet, or the
    /// country says that they are gone.
    pub(super) fn table_may_be_absent(&mut self, rule: &Rule) -> bool {
        let names = rule.source_tables();
        if names.iter().any(|name| self.is_absent_table(&name.value)) {
            return true;
        }
        let Some(release) = &self.release else { return rule.may_be_missing.is_some() };
        let Some(table) = release.table(names) else {
            return rule.may_be_missing.is_some();
        };
        let label = release.label();
        self.drift_of_table(&label, &table.name, names.first());
        false
    }

    fn drift_of_table(&mut self, label: &str, table: &str, at: Option<&Located<String>>) {
        let message = format!("the source is {label}, which has the table {table}, and does not show it");
        let (on, to) = (Engine::Mssql.quote(table), self.seen.grantee());
        let help = format!(
            "If the login may not see it: GRANT SELECT ON [dbo].{on} TO {to}; GRANT VIEW DEFINITION TO {to}. If the country \
             dropped it, say so: `absent-tables: {{ {table}: \"reason\" }}`.{}",
            self.decided()
        );
        let finding = Finding::Drift { release: label.to_owned(), table: table.to_owned(), columns: Vec::new() };
        let error = match at {
            Some(at) => MappingError::at(&at.place, message).with_label("not in the source"),
            None => MappingError::general(message),
        };
        self.errors.push(error.with_help(help).found(finding));
    }

    /// Why it is that release and not the next.
    fn decided(&self) -> String {
        let Some(release) = &self.release else { return String::new() };
        let Some(next) = &release.found.runner_up else { return String::new() };
        let facts: Vec<&str> = release.found.decided.iter().take(3).map(String::as_str).collect();
        if facts.is_empty() {
            return String::new();
        }
        format!(" (It is not {}, since {}.)", next.release, facts.join(", "))
    }

    /// Columns that the release has and the source does not show are drift, unless the country says that they are gone.
    pub(super) fn columns_are_there(&mut self, rule: &Rule, source: &Table) {
        for (name, _) in &rule.absent {
            if source.column(&name.value).is_some() {
                let message = format!("the source has {}.{}, which the rule says is absent", source.name, name.value);
                self.errors.push(
                    MappingError::at(&name.place, message).with_label("is there").with_help("Take the line out."),
                );
            } else if !self.is_known(rule.source_tables(), &name.value) {
                self.unknown_column(&name.place, &name.value, source, "source");
            }
        }
        let Some(release) = &self.release else { return };
        let Some(table) = release.table(rule.source_tables()) else { return };
        let is_gone = |column: &str| rule.absent.iter().any(|(name, _)| same_name(&name.value, column));
        let missing = table.columns.iter().filter(|c| source.column(&c.name).is_none() && !is_gone(&c.name));
        let missing = missing.filter(|c| !self.is_taken_by_django(&table.name, &c.name));
        let missing: Vec<String> = missing.map(|column| column.name.clone()).collect();
        if missing.is_empty() || source.columns.is_empty() {
            return;
        }
        let label = release.label();
        let names = missing.iter().map(|column| format!("{}.{column}", source.name)).collect::<Vec<_>>().join(", ");
        let (them, is) = if missing.len() == 1 { ("it", "is") } else { ("them", "are") };
        let message = format!("the source is {label}, which has {names}, and does not show {them}");
        let (on, to) = (source.table_name().sql(Engine::Mssql), self.seen.grantee());
        let gone = missing.iter().map(|column| format!("{column}: \"reason\"")).collect::<Vec<_>>().join(", ");
        let help = format!(
            "If the login may not see {them}: GRANT SELECT ON {on} TO {to}; GRANT VIEW DEFINITION TO {to}. If the country dropped \
             {them}, say so in the rule {}: `absent: {{ {gone} }}`; what {is} gone then gets the value of an older release, or none.{}",
            rule.name.value,
            self.decided()
        );
        let finding = Finding::Drift { release: label, table: source.name.clone(), columns: missing };
        let place = rule.source_tables().first().map_or(&rule.name.place, |first| &first.place);
        self.errors.push(
            MappingError::at(place, message)
                .with_label("the source lacks columns of this table")
                .with_help(help)
                .found(finding),
        );
    }

    /// What a rule reads must be allowed to be read.
    pub(super) fn may_be_read(&mut self, rule: &Rule, source: &Table, read: &[String]) {
        let veiled = &self.seen.rights.veiled;
        for veiled in veiled.iter().filter(|veiled| veiled.covers(&source.table_name(), read)) {
            let release = self.release.as_ref().map(Release::label).unwrap_or_default();
            let place = rule.source_tables().first().map_or(&rule.name.place, |first| &first.place);
            let columns = veiled.column.iter().cloned().collect();
            self.errors.push(
                MappingError::at(place, format!("{veiled}: what is read would not be what is there"))
                    .with_label("not shown as it is")
                    .with_help(veiled.help())
                    .found(Finding::Drift { release, table: source.name.clone(), columns }),
            );
        }
        let denied: Vec<Option<String>> = self
            .seen
            .rights
            .denied
            .iter()
            .filter(|denied| same_name(&denied.table.name, &source.name) && denied.table.schema == source.schema)
            .filter(|denied| denied.column.as_ref().is_none_or(|c| read.iter().any(|own| same_name(own, c))))
            .map(|denied| denied.column.clone())
            .collect();
        if denied.is_empty() {
            return;
        }
        let columns: Vec<String> = denied.into_iter().flatten().collect();
        let (on, to) = (source.table_name().sql(Engine::Mssql), self.seen.grantee());
        let (what, list) = if columns.is_empty() {
            (format!("the table {}", source.name), String::new())
        } else {
            let what = columns.iter().map(|column| format!("{}.{column}", source.name)).collect::<Vec<_>>().join(", ");
            let list = columns.iter().map(|column| Engine::Mssql.quote(column)).collect::<Vec<_>>().join(", ");
            (what, format!(" ({list})"))
        };
        let release = self.release.as_ref().map(Release::label).unwrap_or_default();
        let place = rule.source_tables().first().map_or(&rule.name.place, |first| &first.place);
        self.errors.push(
            MappingError::at(place, format!("the login {to} may not read {what}"))
                .with_label("permission denied")
                .with_help(format!("An administrator grants it: GRANT SELECT ON {on}{list} TO {to}; a DENY that stands against it goes with the grant."))
                .found(Finding::Drift { release, table: source.name.clone(), columns }),
        );
    }

    /// Tables that a query reads may be absent only if the source's release did not have them yet.
    pub(super) fn tables_of_a_query(&mut self, rule: &Rule, query: &Located<String>, read: &[String]) {
        for name in read {
            if self.source.table(name).is_some() || self.is_absent_table(name) {
                continue;
            }
            let Some(release) = &self.release else { return };
            let located = Located { value: name.clone(), place: query.place.clone() };
            let of_the_rule = rule.source_tables().iter().any(|own| same_name(&own.value, name));
            if let Some(table) = release.table(std::slice::from_ref(&located))
                && !of_the_rule
            {
                let label = release.label();
                self.drift_of_table(&label, &table.name, Some(&located));
            }
        }
    }
}
