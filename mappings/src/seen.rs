//! What a live source tells beside its catalogue: the login's rights, what columns hold, and which Django migrations ran.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};

use arrow::array::AsArray;
use futures::StreamExt;
use imis_databases::{Error, ReadRequest, Rights, Source};
use imis_schemas::identify::{Hybrid, Migration, django_release};
use imis_schemas::{Catalog, same_name};
use std::sync::Arc;

use crate::language::{Finding, MappingErrors};

/// What a live source tells beside its catalogue. Empty for a catalogue without a server.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// What the login may not do.
    pub rights: Rights,
    /// The last Django migration of each app, where Django ran on the source.
    pub django: BTreeMap<String, String>,
    /// The modular release that they come from.
    pub modular: Option<Hybrid>,
    /// How many rows hold something in a column, by table and column in lower case.
    filled: HashMap<(String, String), u64>,
    /// How many rows a table has, by its name in lower case.
    rows: HashMap<String, u64>,
}

/// Apps of Django itself and of its helpers: they tell nothing about openIMIS.
const FRAMEWORK: &[&str] =
    &["admin", "auth", "contenttypes", "sessions", "axes", "django_apscheduler", "sites", "oauth2_provider"];

impl Seen {
    /// Asks a source. What it does not answer is not known, and no error: whoever needs it will meet it again.
    pub async fn of(source: &dyn Source, catalog: &Catalog) -> Self {
        let applied = applied_migrations(source, catalog).await.unwrap_or_default();
        Seen {
            rights: source.rights().await,
            django: last_of_each(&applied),
            modular: django_release(&applied),
            filled: HashMap::new(),
            rows: HashMap::new(),
        }
    }

    /// Counts, one question a table, what the columns hold that a mapping did not decide about. `true` when there were
    /// such columns, and so the mapping is worth holding against the source once more.
    ///
    /// # Errors
    /// When the server fails.
    pub async fn count(
        &mut self,
        errors: &MappingErrors,
        source: &dyn Source,
        catalog: &Catalog,
    ) -> Result<bool, Error> {
        let mut asked: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for error in &errors.0 {
            if let Some(Finding::Column { table, column, filled: None, .. }) = error.finding.as_deref() {
                asked.entry(table).or_default().push(column);
            }
        }
        for (table, columns) in &asked {
            let Some(table) = catalog.table(table) else { continue };
            let denied = |column: &str| self.denies(&table.name, column);
            let columns: Vec<_> = columns.iter().filter(|c| !denied(c)).filter_map(|c| table.column(c)).collect();
            if columns.is_empty() {
                continue;
            }
            for (column, count) in columns.iter().zip(source.filled(table, &columns).await?) {
                self.filled.insert((table.name.to_lowercase(), column.name.to_lowercase()), count);
            }
        }
        // Modules that nobody used leave empty tables behind in a hybrid.
        let mut counted = false;
        for error in errors.0.iter().filter(|_| catalog.table("django_migrations").is_some()) {
            let Some(Finding::Table { table }) = error.finding.as_deref() else { continue };
            let Some(table) = catalog.table(table).filter(|table| !self.denies_table(&table.name)) else { continue };
            if let Entry::Vacant(unknown) = self.rows.entry(table.name.to_lowercase()) {
                unknown.insert(source.count(table).await?);
                counted = true;
            }
        }
        Ok(counted || !asked.is_empty())
    }

    /// How many rows a table has, if that was counted.
    pub fn rows(&self, table: &str) -> Option<u64> {
        self.rows.get(&table.to_lowercase()).copied()
    }

    fn denies_table(&self, table: &str) -> bool {
        self.rights.denied.iter().any(|denied| same_name(&denied.table.name, table) && denied.column.is_none())
    }

    /// How many rows hold something in a column, if that was counted.
    pub fn filled(&self, table: &str, column: &str) -> Option<u64> {
        self.filled.get(&(table.to_lowercase(), column.to_lowercase())).copied()
    }

    /// Whether the login may not read a column, or its table.
    pub fn denies(&self, table: &str, column: &str) -> bool {
        self.rights.denied.iter().any(|denied| {
            same_name(&denied.table.name, table) && denied.column.as_deref().is_none_or(|own| same_name(own, column))
        })
    }

    /// The login, in the brackets that a GRANT wants; a stand-in where it is not known.
    pub(crate) fn grantee(&self) -> String {
        format!("[{}]", self.rights.login.as_deref().unwrap_or("the login").replace(']', "]]"))
    }
}

/// The migrations that ran, as `django_migrations` names them; `None` where there is no such table, or it cannot be read.
pub async fn applied_migrations(source: &dyn Source, catalog: &Catalog) -> Option<Vec<Migration>> {
    let table = catalog.table("django_migrations")?;
    let (app, name) = (table.column("app")?.name.clone(), table.column("name")?.name.clone());
    let mut applied = Vec::new();
    let mut chunks = source.read(ReadRequest::all(Arc::new(table.clone())).columns(vec![app, name]));
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.ok()?;
        let texts = |at: usize| chunk.batch.columns().get(at).and_then(|array| array.as_string_opt::<i32>());
        let pairs = texts(0)?.iter().flatten().zip(texts(1)?.iter().flatten());
        applied.extend(pairs.map(|(app, name)| Migration { app: app.to_owned(), name: name.to_owned() }));
    }
    Some(applied)
}

/// The last migration of each app, by the number that Django gave it.
fn last_of_each(applied: &[Migration]) -> BTreeMap<String, String> {
    let mut last: BTreeMap<String, String> = BTreeMap::new();
    for Migration { app, name } in applied.iter().filter(|m| !FRAMEWORK.contains(&m.app.as_str())) {
        // Names begin with their number.
        let known = last.entry(app.clone()).or_default();
        if *name > *known {
            known.clone_from(name);
        }
    }
    last
}
