//! What holding the keys did to the counts of rules.

use std::collections::BTreeMap;

use imis_databases::Error;
use imis_databases::postgres::describe_error;
use serde::{Deserialize, Serialize};
use tokio_postgres::GenericClient;

use crate::account::Counts;
use crate::bind::BoundMapping;

/// What holding the keys did to the counts of a rule.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Effect {
    pub(crate) rejected: u64,
    pub(crate) repaired: u64,
    /// Repaired values by `column/name`.
    pub(crate) named: BTreeMap<String, u64>,
}

/// By rule.
pub(crate) type Effects = BTreeMap<String, Effect>;

impl Effect {
    pub(super) fn note(&mut self, column: &str, name: &str, count: u64) {
        if count > 0 {
            self.repaired += count;
            *self.named.entry(format!("{column}/{name}")).or_default() += count;
        }
    }
}

/// Adds effects to the counts of rules; says how many values were repaired, by rule.
///
/// A row that goes is one of those which the key's own rule brought, as far as these reach; where several rules fill a table
/// the others gave the rest.
pub(crate) fn add(
    effects: &Effects,
    mapping: &BoundMapping,
    counts: &mut BTreeMap<String, Counts>,
    computed: &mut BTreeMap<String, u64>,
) -> BTreeMap<String, u64> {
    let mut repaired = BTreeMap::new();
    for (name, effect) in effects {
        for (named, count) in &effect.named {
            let (column, repair) = named.split_once('/').unwrap_or((named, ""));
            let losses = &mut counts.entry(name.clone()).or_default().losses;
            *losses.entry((column.to_owned(), repair.to_owned())).or_default() += count;
        }
        repaired.insert(name.clone(), effect.repaired);
        let table = mapping.rules.iter().find(|rule| rule.name == *name).map(|rule| rule.target.table_name());
        let others = mapping.rules.iter().filter(|rule| Some(rule.target.table_name()) == table).map(|rule| &rule.name);
        let mut left = effect.rejected;
        for rule in std::iter::once(name).chain(others.filter(|other| *other != name)) {
            let counts = counts.entry(rule.clone()).or_default();
            let loaded = left.min(counts.loaded);
            counts.loaded -= loaded;
            counts.rejected += loaded;
            left -= loaded;
            let computed = computed.entry(rule.clone()).or_default();
            let made = left.min(*computed);
            *computed -= made;
            counts.rejected += made;
            left -= made;
        }
    }
    repaired
}

pub(super) async fn read(client: &impl GenericClient, run: &str) -> Result<Effects, Error> {
    let row = client
        .query_one("SELECT effects FROM imis_migration.run WHERE run = $1", &[&run])
        .await
        .map_err(|e| describe_error(e, "reading what holding the keys did"))?;
    match row.get::<_, Option<String>>(0) {
        None => Ok(Effects::default()),
        Some(text) => serde_json::from_str(&text)
            .map_err(|e| Error::failed("what holding the keys did cannot be read").caused_by(e)),
    }
}

pub(super) async fn write(client: &impl GenericClient, run: &str, effects: &Effects) -> Result<(), Error> {
    let text = serde_json::to_string(effects).unwrap_or_default();
    client
        .execute("UPDATE imis_migration.run SET effects = $2 WHERE run = $1", &[&run, &text])
        .await
        .map(|_| ())
        .map_err(|e| describe_error(e, "noting what holding the keys did"))
}
