//! What the runs of a target remember: rejects, repairs, rows that stayed. It explains differences; it is read, never relied on
//! for a row's content.

use std::collections::{BTreeMap, HashMap};

use imis_databases::postgres::{Pool, describe_error};
use imis_databases::{Error, PostgresAddress};
use uuid::Uuid;

use crate::run::{self, Phase};

/// What is known of the runs into a target.
#[derive(Debug, Default)]
pub struct Recorded {
    /// The latest run that was not undone.
    pub run: Option<String>,
    /// Its mapping's name.
    pub mapping: Option<String>,
    /// The namespace of the country's made UUIDs.
    pub namespace: Option<Uuid>,
    /// Whether the target has a memory at all: rows that it does not name as rejected were not rejected.
    pub(crate) is_known: bool,
    pub(crate) address: Option<PostgresAddress>,
    /// Reasons by rule and key.
    rejects: HashMap<(String, String), String>,
    /// Reasons by table and its own key.
    rejects_of: HashMap<(String, String), String>,
    repairs: HashMap<(String, String), Vec<Repair>>,
    /// Tables that had rows before the run, and where these are kept.
    pub(crate) images: BTreeMap<String, String>,
}

/// A value that a named repair changed.
#[derive(Clone, Debug)]
pub(crate) struct Repair {
    pub(crate) column: String,
    pub(crate) name: String,
    pub(crate) was: Option<String>,
    pub(crate) became: Option<String>,
}

/// A key's values in one text; the names of its columns differ between the sides.
pub(crate) fn flat<'a>(values: impl Iterator<Item = &'a str>) -> String {
    values.collect::<Vec<_>>().join("\u{1f}")
}

/// The same with the names, case aside: the key of the target itself, not of what became it.
fn named(pairs: &[(String, String)]) -> String {
    flat(
        pairs
            .iter()
            .flat_map(|(name, value)| [name.to_lowercase(), value.clone()])
            .collect::<Vec<_>>()
            .iter()
            .map(String::as_str),
    )
}

fn pairs(key: &str) -> Vec<(String, String)> {
    let pairs: Vec<(String, Option<String>)> = serde_json::from_str(key).unwrap_or_default();
    pairs.into_iter().map(|(name, value)| (name, value.unwrap_or_default())).collect()
}

impl Recorded {
    /// Nothing is known: the target is a snapshot, or was filled by somebody else.
    pub fn nothing() -> Self {
        Recorded::default()
    }

    /// Reads what a PostgreSQL target remembers.
    ///
    /// # Errors
    /// When the server fails.
    pub async fn read(address: &PostgresAddress) -> Result<Self, Error> {
        let runs: Vec<_> = run::runs(address).await?.into_iter().filter(|r| r.phase != Phase::Undone).collect();
        let Some(latest) = runs.first() else { return Ok(Recorded::nothing()) };
        let plan: serde_json::Value = serde_json::from_str(&latest.plan).unwrap_or_default();
        let mut recorded = Recorded {
            run: Some(latest.run.clone()),
            mapping: Some(latest.mapping.clone()),
            namespace: plan["namespace"].as_str().and_then(|text| Uuid::parse_str(text).ok()),
            is_known: true,
            address: Some(address.clone()),
            ..Recorded::default()
        };
        let connection = Pool::new(address.clone()).take().await?;
        let names: Vec<&str> = runs.iter().map(|run| run.run.as_str()).collect();
        let asked = |e| describe_error(e, "reading what the runs remember");
        let tables = connection
            .query(
                "SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
                 WHERE n.nspname = 'imis_migration' AND c.relkind = 'r'",
                &[],
            )
            .await
            .map_err(asked)?;
        // Every line comes as JSON, so that a column more or under another name does no harm.
        for table in tables.iter().map(|row| row.get::<_, String>(0)) {
            let is_wanted = matches!(table.as_str(), "rejects" | "repair" | "image");
            if !is_wanted {
                continue;
            }
            let name = imis_schemas::Engine::Postgres.quote(&table);
            // Repairs of one cell follow on each other.
            let order = if table == "repair" { " ORDER BY t.position" } else { "" };
            let sql = format!("SELECT to_jsonb(t)::text FROM imis_migration.{name} t WHERE t.run = ANY($1){order}");
            for row in connection.query(&sql, &[&names]).await.map_err(asked)? {
                let line: serde_json::Value = serde_json::from_str(row.get(0)).unwrap_or_default();
                recorded.remember(&table, &line, &latest.run);
            }
        }
        Ok(recorded)
    }

    fn remember(&mut self, table: &str, line: &serde_json::Value, latest: &str) {
        let text = |name: &str| line[name].as_str().map(str::to_owned);
        let pairs = pairs(line["row_key"].as_str().unwrap_or_default());
        let key = flat(pairs.iter().map(|(_, value)| value.as_str()));
        match table {
            "rejects" => {
                let reason = text("reason").unwrap_or_default();
                self.rejects_of.insert((text("table_name").unwrap_or_default(), named(&pairs)), reason.clone());
                self.rejects.insert((text("rule").unwrap_or_default(), key), reason);
            }
            "repair" => {
                let (Some(column), Some(name)) = (text("column_name"), text("name")) else { return };
                let repair = Repair { column, name, was: text("was"), became: text("became") };
                self.repairs.entry((text("table_name").unwrap_or_default(), key)).or_default().push(repair);
            }
            _ => {
                if let (Some(table), Some(image), Some(run)) = (text("table_name"), text("image_name"), text("run"))
                    && run == latest
                    && line["stays"] != true
                {
                    self.images.insert(table, image);
                }
            }
        }
    }

    /// Why a rule's row of this key was rejected, if it was.
    pub(crate) fn rejected_by(&self, rule: &str, key: &str) -> Option<&str> {
        self.rejects.get(&(rule.to_owned(), key.to_owned())).map(String::as_str)
    }

    /// Why a table's row of this key was rejected, if it was; whichever rule brought it.
    pub(crate) fn rejected_of(&self, table: &str, key: &[(String, String)]) -> Option<&str> {
        self.rejects_of.get(&(table.to_owned(), named(key))).map(String::as_str)
    }

    /// The repairs of a row.
    pub(crate) fn repairs(&self, table: &str, key: &str) -> &[Repair] {
        self.repairs.get(&(table.to_owned(), key.to_owned())).map_or(&[], Vec::as_slice)
    }
}
