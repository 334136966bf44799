//! The plan: what a run would do, sealed, so that a run can refuse when either side has changed since.

use std::sync::Arc;

use arrow::array::AsArray;
use futures::StreamExt;
use imis_databases::source::plan_ranges;
use imis_databases::{Consistency, Error, ErrorKind, KeyRange, ReadRequest, Reading, Source};
use imis_schemas::{Catalog, Identification, Known};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::bind::{BoundMapping, BoundRule, Way};
use crate::hazard::Hazard;
use crate::language::{Existing, Mapping};

/// The version of the plan's shape.
pub const FORMAT: u32 = 1;
/// About how many rows a range has.
pub const ROWS_A_RANGE: u64 = 100_000;

/// What a run would do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// The version of this shape, [`FORMAT`].
    pub imis: u32,
    /// When it was made, UTC.
    pub made: String,
    /// The mapping's name.
    pub mapping: String,
    /// SHA-256 over the mapping's files.
    pub mapping_sha256: String,
    /// The pack that completes this run once Django's migrations have run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub complete: Option<String>,
    /// The run that this one completes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completes: Option<String>,
    /// The source, without user and password.
    pub from: String,
    /// The target.
    pub to: String,
    /// The legacy release that the source is closest to, with its twins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<String>,
    /// Fingerprint of the source's catalogue.
    pub source_sha256: String,
    /// Fingerprint of the target's catalogue: tables, columns and primary keys.
    pub target_sha256: String,
    /// The namespace of `stable_uuid`, one per country.
    #[serde(with = "as_text")]
    pub namespace: Uuid,
    /// What the reader can rely on while it reads.
    pub consistency: Consistency,
    /// Who vouches for that, and where the source's count of changes stood before the first read.
    #[serde(default)]
    pub reading: Reading,
    /// The rules, in their order.
    pub rules: Vec<PlannedRule>,
    /// What may be lost.
    pub hazards: Vec<Hazard>,
    /// SHA-256 over all of the above.
    pub seal: String,
}

/// One rule of a plan.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlannedRule {
    /// The rule.
    pub rule: String,
    /// The source table.
    pub from: Option<String>,
    /// The target table.
    pub to: String,
    /// Rows of the source table, counted by its server.
    pub rows: u64,
    /// Rows that the target has already, and what becomes of them.
    pub existing: u64,
    /// The policy for them: `refuse`, `replace`, `discard`, `keep`, `merge`, `update`.
    pub policy: String,
    /// The ranges in which the table is read.
    pub ranges: Vec<KeyRange>,
}

/// What makes a plan, beside mapping and catalogues.
pub struct Ends<'a> {
    /// The source.
    pub source: &'a Arc<dyn Source>,
    /// The source's catalogue.
    pub source_catalog: &'a Catalog,
    /// The target, where it can be counted.
    pub target: Option<&'a Arc<dyn Source>>,
    /// The target's catalogue.
    pub target_catalog: &'a Catalog,
    /// The target's name.
    pub to: String,
    /// The source's name.
    pub from: String,
    /// About how many rows a range has; [`ROWS_A_RANGE`] suits most lines.
    pub rows_a_range: u64,
}

impl Plan {
    /// Makes a plan: counts the source's tables and cuts them into ranges. Writes nothing.
    ///
    /// # Errors
    /// When a server fails.
    pub async fn make(
        mapping: &Mapping,
        bound: &BoundMapping,
        ends: &Ends<'_>,
        namespace: Uuid,
    ) -> Result<Self, Error> {
        let (consistency, reading) = ends.source.reading().await?;
        let mut rules = Vec::new();
        for rule in &bound.rules {
            rules.push(planned(rule, ends).await?);
        }
        let mut hazards = bound.hazards.clone();
        hazards.extend(later_migrations(mapping, ends).await?);
        hazards.sort();
        hazards.dedup();
        let mut plan = Plan {
            imis: FORMAT,
            made: jiff::Timestamp::now().to_string(),
            mapping: mapping.name.clone(),
            mapping_sha256: mapping.hash.clone(),
            complete: mapping.complete.clone(),
            completes: None,
            from: ends.from.clone(),
            to: ends.to.clone(),
            release: bound.release().map(Identification::label),
            source_sha256: fingerprint(ends.source_catalog),
            target_sha256: fingerprint(ends.target_catalog),
            namespace,
            consistency,
            reading,
            rules,
            hazards,
            seal: String::new(),
        };
        plan.seal = plan.sealed();
        Ok(plan)
    }

    /// Makes it the plan of a run that completes another.
    #[must_use]
    pub fn completing(mut self, run: &str) -> Self {
        self.completes = Some(run.to_owned());
        self.seal = self.sealed();
        self
    }

    /// Makes it the plan of a run that reads the source in another transaction than the one in which it was planned.
    #[must_use]
    pub fn read_anew(mut self, reading: Reading) -> Self {
        self.reading = reading;
        self.seal = self.sealed();
        self
    }

    fn sealed(&self) -> String {
        let unsealed = Plan { seal: String::new(), ..self.clone() };
        sha256(serde_json::to_string(&unsealed).unwrap_or_default().as_bytes())
    }

    /// The plan with the seal that it must have.
    #[cfg(test)]
    pub(crate) fn resealed(mut self) -> Self {
        self.seal = self.sealed();
        self
    }

    /// Reads a plan and holds it against its seal.
    ///
    /// # Errors
    /// When the text is no plan, of a later shape, or was changed by hand.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let plan: Plan = serde_json::from_str(text)
            .map_err(|e| Error::new(ErrorKind::Usage, "this is not a plan that imis can read").caused_by(e))?;
        if plan.imis > FORMAT {
            return Err(Error::new(ErrorKind::Usage, "the plan was made by a later version of imis"));
        }
        if plan.sealed() != plan.seal {
            return Err(Error::new(ErrorKind::Schema, "the plan was changed after it was made")
                .with_help("Make it again with `imis plan`; the mapping is the place for changes."));
        }
        Ok(plan)
    }

    /// Says what changed since the plan was made, if anything did.
    pub fn changed(&self, mapping: &Mapping, source: &Catalog, target: &Catalog) -> Option<String> {
        let mut changed = Vec::new();
        if self.mapping_sha256 != mapping.hash {
            changed.push("the mapping");
        }
        if self.source_sha256 != fingerprint(source) {
            changed.push("the source's schema");
        }
        if self.target_sha256 != fingerprint(target) {
            changed.push("the target's schema");
        }
        (!changed.is_empty()).then(|| changed.join(" and "))
    }
}

/// A UUID as its text.
mod as_text {
    use serde::{Deserialize, Deserializer, Serializer};
    use uuid::Uuid;

    pub(super) fn serialize<S: Serializer>(uuid: &Uuid, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(uuid)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Uuid, D::Error> {
        Uuid::parse_str(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

async fn planned(rule: &BoundRule, ends: &Ends<'_>) -> Result<PlannedRule, Error> {
    let (rows, ranges) = match (&rule.way, &rule.source) {
        (Way::Rows(_), Some(table)) => {
            let rows = ends.source.count(table).await?;
            let engine = ends.source_catalog.engine;
            (rows, plan_ranges(ends.source.as_ref(), table, engine, rows, ends.rows_a_range.max(1)).await?)
        }
        (Way::Query(_), Some(table)) => (ends.source.count(table).await?, vec![KeyRange::whole()]),
        (Way::Query(_), None) => (0, vec![KeyRange::whole()]),
        _ => (0, Vec::new()),
    };
    let existing = match ends.target {
        Some(target) => target.count(&rule.target).await?,
        None => 0,
    };
    Ok(PlannedRule {
        rule: rule.name.clone(),
        from: rule.source.as_ref().map(|t| t.table_name().to_string()),
        to: rule.target.table_name().to_string(),
        rows,
        existing,
        policy: match rule.existing {
            Existing::Refuse => "refuse",
            Existing::Replace => "replace",
            Existing::Keep { .. } => "keep",
            Existing::Merge { .. } => "merge",
            Existing::Discard => "discard",
            Existing::Update { .. } => "update",
        }
        .to_owned(),
        ranges,
    })
}

/// Migrations of the target that came after those which the mapping knows: what they do to rows is not reproduced.
async fn later_migrations(mapping: &Mapping, ends: &Ends<'_>) -> Result<Vec<Hazard>, Error> {
    let (Some(target), Some(table)) = (ends.target, ends.target_catalog.table("django_migrations")) else {
        return Ok(Vec::new());
    };
    let columns = vec!["app".to_owned(), "name".to_owned()];
    let mut chunks = target.read(ReadRequest::all(Arc::new(table.clone())).columns(columns));
    let mut hazards = Vec::new();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk?;
        let texts =
            |name: &str| chunk.batch.column_by_name(name).and_then(|array| array.as_string_opt::<i32>().cloned());
        let (Some(apps), Some(names)) = (texts("app"), texts("name")) else { continue };
        for (app, name) in apps.iter().flatten().zip(names.iter().flatten()) {
            if mapping.migrations.iter().any(|module| module.app == app && module.is_later(name)) {
                hazards.push(Hazard::new(
                    "unknown-migration",
                    app,
                    None,
                    format!("the target ran {app}.{name}, which this mapping does not know; if it changes rows, that is not reproduced"),
                ));
            }
        }
    }
    Ok(hazards)
}

/// SHA-256 over what a plan relies on: tables with columns, types, nullability and primary keys. Foreign keys and
/// indexes, which a run takes away for a while, are left out.
pub fn fingerprint(catalog: &Catalog) -> String {
    let mut bare = Catalog::new(catalog.engine);
    bare.tables = catalog
        .tables
        .iter()
        .map(|table| imis_schemas::Table {
            foreign_keys: Known::No,
            uniques: Known::No,
            indexes: Known::No,
            checks: Known::No,
            ..table.clone()
        })
        .collect();
    sha256(bare.to_json().as_bytes())
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect()
}
