//! What the runs of a target remember: rejects, repairs, rows that stayed. It explains differences; it is read, never relied on
//! for a row's content.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use imis_databases::postgres::{Pool, describe_error};
use imis_databases::{Error, PostgresAddress};
use serde_json::Value;
use tokio_postgres::Row;
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
    /// The run that the latest one completes, on the second route.
    pub(crate) completes: Option<String>,
    /// Whether the target has a memory at all: rows that it does not name as rejected were not rejected.
    pub(crate) is_known: bool,
    pub(crate) address: Option<PostgresAddress>,
    /// Reasons by rule and key.
    rejects: HashMap<(String, String), Arc<str>>,
    /// Reasons by table and its own key.
    rejects_of: HashMap<(String, String), Arc<str>>,
    /// The reasons themselves: millions of rows share a few.
    reasons: HashSet<Arc<str>>,
    /// How many rows of a table were rejected that no key names. Which ones these are, nobody can tell.
    nameless: HashMap<String, u64>,
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

/// What the runs did to the rows that tables had before them.
struct Past<'a> {
    /// The runs that were not undone, the latest first.
    runs: &'a [&'a str],
    /// The run that the latest one completes.
    completes: Option<&'a str>,
    /// By table and by the place of the run.
    tables: HashMap<String, BTreeMap<usize, Filled>>,
}

/// A run filled a table.
struct Filled {
    /// Where the rows that it had are kept, if there were any.
    image: Option<String>,
    /// Whether some of these came back.
    settled: bool,
}

impl<'a> Past<'a> {
    fn new(runs: &'a [&'a str], completes: Option<&'a str>) -> Self {
        Past { runs, completes, tables: HashMap::new() }
    }

    fn place(&self, line: &Value) -> Option<usize> {
        self.runs.iter().position(|run| line["run"] == **run)
    }

    fn remember(&mut self, line: &Value) {
        let (Some(run), Some(table)) = (self.place(line), line["table_name"].as_str()) else { return };
        // A run that only set columns left the rows where they were.
        if line["stays"] != true {
            let image = line["image_name"].as_str().map(str::to_owned);
            let filled = Filled { image, settled: line["settled"] == true };
            self.tables.entry(table.to_owned()).or_default().insert(run, filled);
        }
    }

    /// Whether what a run says of a table's row is over: a later run took all rows out of the table.
    fn is_over(&self, line: &Value) -> bool {
        let (Some(run), Some(table)) = (self.place(line), line["table_name"].as_str()) else { return false };
        let filled = self.tables.get(table);
        filled.is_some_and(|runs| runs.iter().any(|(later, filled)| *later < run && !filled.settled))
    }

    /// The images of the rows that the latest run found, or the run that it completes, where that filled the table.
    fn images(self) -> BTreeMap<String, String> {
        let is_of_this = |run: usize| run == 0 || self.runs.get(run).copied() == self.completes;
        let image = |runs: BTreeMap<usize, Filled>| runs.into_iter().find(|(run, _)| is_of_this(*run))?.1.image;
        self.tables.into_iter().filter_map(|(table, runs)| Some((table, image(runs)?))).collect()
    }
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
        let plan: Value = serde_json::from_str(&latest.plan).unwrap_or_default();
        let mut recorded = Recorded {
            run: Some(latest.run.clone()),
            mapping: Some(latest.mapping.clone()),
            namespace: plan["namespace"].as_str().and_then(|text| Uuid::parse_str(text).ok()),
            completes: plan["completes"].as_str().map(str::to_owned),
            is_known: true,
            address: Some(address.clone()),
            ..Recorded::default()
        };
        let mut connection = Pool::new(address.clone()).take().await?;
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
        let tables: Vec<String> = tables.iter().map(|row| row.get(0)).collect();
        let completes = recorded.completes.clone();
        let mut past = Past::new(&names, completes.as_deref());
        for table in ["image", "rejects", "repair"].into_iter().filter(|wanted| tables.iter().any(|t| t == wanted)) {
            // Every line comes as JSON, so that a column more or under another name does no harm. Repairs of one cell follow on
            // each other.
            let order = if table == "repair" { " ORDER BY t.position" } else { "" };
            let sql = format!("SELECT to_jsonb(t)::text FROM imis_migration.{table} t WHERE t.run = ANY($1){order}");
            let each = |row: &Row| {
                let line: Value = serde_json::from_str(row.get(0)).unwrap_or_default();
                match table {
                    "image" => past.remember(&line),
                    _ if past.is_over(&line) => {}
                    "rejects" => recorded.remember_reject(&line),
                    _ => recorded.remember_repair(&line),
                }
            };
            run::paged(&mut connection, &sql, &[&names], "reading what the runs remember", each).await?;
        }
        recorded.images = past.images();
        Ok(recorded)
    }

    fn remember_reject(&mut self, line: &Value) {
        let text = |name: &str| line[name].as_str().unwrap_or_default().to_owned();
        let pairs = pairs(line["row_key"].as_str().unwrap_or_default());
        if pairs.is_empty() {
            *self.nameless.entry(text("table_name")).or_default() += 1;
            return;
        }
        let key = flat(pairs.iter().map(|(_, value)| value.as_str()));
        let reason = line["reason"].as_str().unwrap_or_default();
        let reason = self.reasons.get(reason).cloned().unwrap_or_else(|| Arc::from(reason));
        self.reasons.insert(Arc::clone(&reason));
        self.rejects_of.insert((text("table_name"), named(&pairs)), Arc::clone(&reason));
        self.rejects.insert((text("rule"), key), reason);
    }

    fn remember_repair(&mut self, line: &Value) {
        let text = |name: &str| line[name].as_str().map(str::to_owned);
        let pairs = pairs(line["row_key"].as_str().unwrap_or_default());
        let key = flat(pairs.iter().map(|(_, value)| value.as_str()));
        let (Some(column), Some(name)) = (text("column_name"), text("name")) else { return };
        let repair = Repair { column, name, was: text("was"), became: text("became") };
        self.repairs.entry((text("table_name").unwrap_or_default(), key)).or_default().push(repair);
    }

    /// How many rows of a table were rejected that no key names.
    pub(crate) fn nameless(&self, table: &str) -> u64 {
        self.nameless.get(table).copied().unwrap_or_default()
    }

    /// Why a rule's row of this key was rejected, if it was.
    pub(crate) fn rejected_by(&self, rule: &str, key: &str) -> Option<&str> {
        self.rejects.get(&(rule.to_owned(), key.to_owned())).map(AsRef::as_ref)
    }

    /// Why a table's row of this key was rejected, if it was; whichever rule brought it.
    pub(crate) fn rejected_of(&self, table: &str, key: &[(String, String)]) -> Option<&str> {
        self.rejects_of.get(&(table.to_owned(), named(key))).map(AsRef::as_ref)
    }

    /// The repairs of a row.
    pub(crate) fn repairs(&self, table: &str, key: &str) -> &[Repair] {
        self.repairs.get(&(table.to_owned(), key.to_owned())).map_or(&[], Vec::as_slice)
    }
}
