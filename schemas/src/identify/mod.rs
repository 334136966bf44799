//! Which release a database is closest to, how sure that is, and what is different in it.
//!
//! Each release is held against the catalogue, difference by difference: a table more or less, a column, a type, whether it
//! takes NULL, a routine, its body, a view, a type that users defined. What a country added differs from every release alike and
//! so decides nothing; what tells releases apart weighs more ([`weight`]). A SQL Server is held against the legacy releases, a
//! PostgreSQL server against the modular ones.
//!
//! What is not known is not missing: a table without a single column is one whose columns nobody could read, and routines,
//! views and types count only where the catalogue shows most of those that every release has.

mod collision;
mod confidence;
mod country;
mod differences;
mod django;
mod hybrid;
mod keys;
mod shape;
#[cfg(test)]
mod tests;
mod weight;

use serde::Serialize;

use crate::catalog::Catalog;
use crate::legacy::{LegacyRelease, legacy_releases};
use crate::name::Engine;

pub use collision::Collision;
pub use confidence::{Confidence, Level, Twin};
pub use country::Country;
pub use django::on_sql_server;
pub use hybrid::{Hybrid, Migration, Standing, django_migrations_of, django_release, django_releases};

use differences::{Differences, Seen};
use shape::Shape;

/// What kind of thing differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Thing {
    /// A table.
    Table,
    /// A column.
    Column,
    /// A procedure or function.
    Routine,
    /// A view.
    View,
    /// A type that users defined.
    Type,
    /// A primary key.
    PrimaryKey,
    /// A foreign key.
    ForeignKey,
}

/// One difference between a database and a release.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Difference {
    /// What it is.
    pub thing: Thing,
    /// Its name, a column's with its table: `tblClaim.nmcNumber`. A table outside the usual schema has that before it.
    pub name: String,
    /// The table of a column or key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub table: Option<String>,
    /// What the database has: a column's type. None where it is the thing's presence that differs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub found: Option<String>,
    /// What the release has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected: Option<String>,
}

impl Difference {
    /// Something that is there, or is not.
    fn presence(thing: Thing, name: impl Into<String>) -> Self {
        Difference { thing, name: name.into(), table: None, found: None, expected: None }
    }

    /// The table that it is about: the table itself, or the one of the column or key.
    pub fn of_table(&self) -> Option<&str> {
        match self.thing {
            Thing::Table => Some(&self.name),
            _ => self.table.as_deref(),
        }
    }

    /// The column's own name.
    pub fn column(&self) -> Option<&str> {
        let table = self.table.as_deref().filter(|_| self.thing == Thing::Column)?;
        self.name.strip_prefix(table)?.strip_prefix('.')
    }
}

/// The release that comes next.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RunnerUp {
    /// Its name.
    pub release: String,
    /// How many differences it has.
    pub distance: usize,
}

/// Which releases a database was held against.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Family {
    /// Legacy openIMIS, on SQL Server.
    Legacy,
    /// Modular openIMIS, on PostgreSQL.
    Modular,
}

/// The release that a database is closest to, and how close.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Identification {
    /// The release: `1.4.2`.
    pub release: String,
    /// Which releases the database was held against.
    pub family: Family,
    /// How many differences there are: tables, columns, routines, views, types. Keys, and what Django made, stand beside it.
    pub distance: usize,
    /// Releases that cannot be told from it by what is known of the database.
    pub twins: Vec<String>,
    /// Why each of them cannot.
    pub twins_because: Vec<Twin>,
    /// How sure that is.
    pub confidence: Confidence,
    /// The release that comes next.
    pub runner_up: Option<RunnerUp>,
    /// What speaks for the release and against the runner-up.
    pub decided: Vec<String>,
    /// What the database has and the release has not.
    pub added: Vec<Difference>,
    /// What is another in the database.
    pub changed: Vec<Difference>,
    /// What the release has and the database has not.
    pub removed: Vec<Difference>,
    /// Primary and foreign keys that differ, where the release's are known: `found` for one more, `expected` for one less.
    pub keys: Vec<Difference>,
    /// What Django's migrations made, changed or took away on a SQL Server; it does not count as the country's.
    pub by_django: Vec<Difference>,
    /// Known countries whose marks the database bears, the likeliest first.
    pub countries: Vec<Country>,
    /// Names of the country's own that a later release uses, too.
    pub collisions: Vec<Collision>,
    /// What could not be compared, and why.
    pub unknown: Vec<String>,
    /// How many of the release's tables the database has, and how many there are.
    pub tables: (usize, usize),
}

impl Identification {
    /// What is known of the release, where it is a legacy one.
    pub fn known(&self) -> Option<&'static LegacyRelease> {
        let legacy = self.family == Family::Legacy;
        legacy_releases().iter().find(|release| legacy && release.name == self.release)
    }

    /// Whether the database looks like an openIMIS of its family at all: it has most of the release's tables.
    pub fn is_legacy(&self) -> bool {
        let (found, all) = self.tables;
        2 * found > all
    }

    /// The release with its twins, for people: `1.7.4 (or 23.10, 24.04)`.
    pub fn label(&self) -> String {
        match self.twins.as_slice() {
            [] => self.release.clone(),
            twins => format!("{} (or {})", self.release, twins.join(", ")),
        }
    }
}

/// A release, held against the database.
struct Candidate {
    shape: &'static Shape,
    differences: Differences,
    weight: u64,
}

/// Reads what [`identify`] compares with, 50 ms of work that can be done while a server is waited for. Nobody has to: who comes first
/// reads it.
pub fn get_ready() {
    shape::legacy();
    django::modular();
}

/// Finds the release that a database is closest to. Of releases that are equally close the latest is taken: what the
/// database lacks then counts as missing, not as older.
///
/// `None` when the catalogue has no table.
pub fn identify(catalog: &Catalog) -> Option<Identification> {
    if catalog.tables.is_empty() {
        return None;
    }
    let (family, shapes) = match catalog.engine {
        Engine::Mssql => (Family::Legacy, shape::legacy()),
        Engine::Postgres => (Family::Modular, shape::modular()),
    };
    let seen = Seen::of(catalog, shapes);
    let all: Vec<Differences> = shapes.iter().map(|shape| seen.differences(shape)).collect();
    let weights = weight::weights(&all);
    let candidates = shapes.iter().zip(all).zip(weights);
    let mut found: Vec<Candidate> =
        candidates.map(|((shape, differences), weight)| Candidate { shape, differences, weight }).collect();
    // What was never released stands behind its equals.
    found.sort_by_key(|c| (c.weight, c.differences.count(), !c.shape.released, usize::MAX - c.shape.rank));
    let (best, rest) = found.split_first()?;
    let is_twin = |other: &&Candidate| other.differences == best.differences;
    let mut twins: Vec<&Candidate> = rest.iter().filter(is_twin).collect();
    twins.sort_by_key(|twin| twin.shape.rank);
    let runner_up = rest.iter().find(|other| !is_twin(other));
    let there = best.shape.tables.keys().filter(|name| seen.tables.contains_key(*name)).count();
    let tables = (there, best.shape.tables.len());
    let differences = &best.differences;
    Some(Identification {
        release: best.shape.name.to_owned(),
        family,
        distance: differences.count(),
        twins: twins.iter().map(|twin| twin.shape.name.to_owned()).collect(),
        twins_because: twins.iter().map(|twin| confidence::twin(best.shape, twin.shape)).collect(),
        confidence: confidence::confidence(best, runner_up, twins.len(), tables),
        runner_up: runner_up
            .map(|next| RunnerUp { release: next.shape.name.to_owned(), distance: next.differences.count() }),
        decided: runner_up.map(|next| next.differences.beyond(differences)).unwrap_or_default(),
        keys: keys::keys(catalog, best.shape, &twins, differences),
        countries: country::countries(catalog, best.shape),
        collisions: collision::collisions(catalog, best.shape, shapes, differences),
        added: differences.added.iter().cloned().collect(),
        changed: differences.changed.iter().cloned().collect(),
        removed: differences.removed.iter().cloned().collect(),
        by_django: differences.by_django.iter().cloned().collect(),
        unknown: seen.unknown,
        tables,
    })
}
