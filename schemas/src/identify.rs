//! Which legacy release a database is closest to.
//!
//! Each release is held against the catalogue, difference by difference: a table more or less, a column, a type, whether it
//! takes NULL, a routine, its body. The release with the fewest differences is the closest. What a country added differs
//! from every release alike and so decides nothing.
//!
//! What is not known is not missing: a table without a single column is one whose columns nobody could read, and routines
//! count only where the catalogue shows most of those that every release has.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

use serde::Serialize;

use crate::catalog::{Catalog, Known, Table};
use crate::data_type::DataType;
use crate::legacy::{LegacyRelease, fingerprints, is_of_upgrades, legacy_names, legacy_releases};
use crate::name::Engine;

/// What kind of thing differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Thing {
    /// A table.
    Table,
    /// A column.
    Column,
    /// A procedure or function.
    Routine,
}

/// One difference between a database and a release.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Difference {
    /// What it is.
    pub thing: Thing,
    /// Its name, a column's with its table: `tblClaim.nmcNumber`.
    pub name: String,
    /// What the database has: a column's type. None where it is the thing's presence that differs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub found: Option<String>,
    /// What the release has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected: Option<String>,
}

/// The release that comes next.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RunnerUp {
    /// Its name.
    pub release: String,
    /// How many differences it has.
    pub distance: usize,
}

/// The legacy release that a database is closest to, and how close.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Identification {
    /// The release: `1.4.2`.
    pub release: String,
    /// How many differences there are.
    pub distance: usize,
    /// Releases that cannot be told from it by what is known of the database.
    pub twins: Vec<String>,
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
    /// What could not be compared, and why.
    pub unknown: Vec<String>,
    /// How many of the release's tables the database has, and how many there are.
    pub tables: (usize, usize),
}

impl Identification {
    /// What is known of the release.
    pub fn known(&self) -> Option<&'static LegacyRelease> {
        legacy_releases().iter().find(|release| release.name == self.release)
    }

    /// Whether the database looks like a legacy openIMIS at all: it has most of the release's tables.
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

/// Finds the legacy release that a database is closest to. Of releases that are equally close the latest is taken: what
/// the database lacks then counts as missing, not as older.
///
/// `None` when the catalogue is not SQL Server's or has no table.
pub fn identify(catalog: &Catalog) -> Option<Identification> {
    if catalog.engine != Engine::Mssql || catalog.tables.is_empty() {
        return None;
    }
    let seen = Seen::of(catalog);
    let mut found: Vec<(usize, &Shape, Differences)> =
        shapes().iter().map(|shape| (shape.rank, shape, seen.differences(shape))).collect();
    // What was never released stands behind its equals.
    found.sort_by_key(|(rank, shape, differences)| (differences.count(), !shape.released, usize::MAX - rank));
    let (best, rest) = found.split_first()?;
    let (_, shape, differences) = best;
    let is_twin = |other: &&(usize, &Shape, Differences)| other.2 == *differences;
    let mut twins: Vec<_> = rest.iter().filter(is_twin).collect();
    twins.sort_by_key(|(rank, ..)| *rank);
    let runner_up = rest.iter().find(|other| !is_twin(other));
    let decided = runner_up.map(|(_, _, theirs)| theirs.beyond(differences)).unwrap_or_default();
    let there = shape.tables.keys().filter(|name| seen.tables.contains_key(*name)).count();
    Some(Identification {
        release: shape.name.to_owned(),
        distance: differences.count(),
        twins: twins.into_iter().map(|(_, shape, _)| shape.name.to_owned()).collect(),
        runner_up: runner_up
            .map(|(_, shape, theirs)| RunnerUp { release: shape.name.to_owned(), distance: theirs.count() }),
        decided,
        added: differences.added.iter().cloned().collect(),
        changed: differences.changed.iter().cloned().collect(),
        removed: differences.removed.iter().cloned().collect(),
        unknown: seen.unknown.clone(),
        tables: (there, shape.tables.len()),
    })
}

/// The differences of one release. Names are the database's own where it has the thing.
#[derive(Debug, Default, PartialEq, Eq)]
struct Differences {
    added: BTreeSet<Difference>,
    changed: BTreeSet<Difference>,
    removed: BTreeSet<Difference>,
}

impl Differences {
    fn count(&self) -> usize {
        self.added.len() + self.changed.len() + self.removed.len()
    }

    /// What these have beyond others, told as facts about the database.
    fn beyond(&self, others: &Differences) -> Vec<String> {
        let mut facts: Vec<String> = Vec::new();
        facts.extend(self.added.difference(&others.added).map(|d| format!("{} is there", d.name)));
        facts.extend(self.removed.difference(&others.removed).map(|d| format!("{} is not there", d.name)));
        facts.extend(self.changed.difference(&others.changed).map(|d| match &d.found {
            Some(found) => format!("{} is {found}", d.name),
            None => format!("{} has another text", d.name),
        }));
        facts
    }
}

/// A column as it is compared.
#[derive(Debug)]
struct Held {
    spelled: String,
    data_type: DataType,
    nullable: bool,
}

impl Held {
    fn text(&self) -> String {
        format!("{} {}", self.data_type.sql(Engine::Mssql), if self.nullable { "NULL" } else { "NOT NULL" })
    }
}

type Columns = BTreeMap<String, Held>;

fn columns(table: &Table) -> Columns {
    let held = table.columns.iter().filter(|column| !is_of_upgrades(table, column)).map(|column| {
        let data_type = column.data_type(Engine::Mssql);
        (column.name.to_lowercase(), Held { spelled: column.name.clone(), data_type, nullable: column.nullable })
    });
    held.collect()
}

/// A release as it is compared.
struct Shape {
    name: &'static str,
    rank: usize,
    released: bool,
    tables: BTreeMap<String, (&'static str, Columns)>,
    routines: BTreeMap<String, &'static str>,
    fingerprints: &'static BTreeMap<String, String>,
}

fn shapes() -> &'static [Shape] {
    static SHAPES: OnceLock<Vec<Shape>> = OnceLock::new();
    SHAPES.get_or_init(|| {
        let shape = |(rank, release): (usize, &'static LegacyRelease)| Shape {
            name: &release.name,
            rank,
            released: legacy_names().any(|known| known.name == release.name && known.date.is_some()),
            tables: release
                .catalog
                .tables
                .iter()
                .map(|table| (table.name.to_lowercase(), (table.name.as_str(), columns(table))))
                .collect(),
            routines: release
                .catalog
                .routines
                .items()
                .iter()
                .map(|r| (r.name.to_lowercase(), r.name.as_str()))
                .collect(),
            fingerprints: &release.fingerprints,
        };
        legacy_releases().iter().enumerate().map(shape).collect()
    })
}

/// The database as it is compared.
struct Seen<'a> {
    /// Tables with their spelled names; `None` for columns that are not known.
    tables: BTreeMap<String, (&'a str, Option<Columns>)>,
    /// Routines with their spelled names and the fingerprints of their texts; `None` where they cannot be seen.
    routines: Option<BTreeMap<String, (&'a str, Vec<String>)>>,
    unknown: Vec<String>,
}

impl<'a> Seen<'a> {
    fn of(catalog: &'a Catalog) -> Self {
        let mut unknown = Vec::new();
        let mut tables = BTreeMap::new();
        let own = |table: &&Table| table.schema.eq_ignore_ascii_case(Engine::Mssql.default_schema());
        for table in catalog.tables.iter().filter(own) {
            let known = !table.columns.is_empty();
            if !known {
                unknown.push(format!("the columns of {}", table.name));
            }
            tables.insert(table.name.to_lowercase(), (table.name.as_str(), known.then(|| columns(table))));
        }
        let routines = match &catalog.routines {
            Known::Yes(routines) => {
                let of_all = |name: &str| shapes().iter().all(|shape| shape.routines.contains_key(name));
                let (shown, all) = (
                    routines.iter().filter(|r| of_all(&r.name.to_lowercase())).count(),
                    shapes().first().map_or(0, |first| first.routines.keys().filter(|name| of_all(name)).count()),
                );
                (2 * shown > all).then(|| {
                    let prints = |text: &Option<String>| text.as_deref().map(fingerprints).unwrap_or_default();
                    let held =
                        routines.iter().map(|r| (r.name.to_lowercase(), (r.name.as_str(), prints(&r.definition))));
                    held.collect()
                })
            }
            Known::No => None,
        };
        if routines.is_none() {
            unknown.push("procedures and functions".to_owned());
        }
        Seen { tables, routines, unknown }
    }

    fn differences(&self, shape: &Shape) -> Differences {
        let mut out = Differences::default();
        let presence = |thing, name: String| Difference { thing, name, found: None, expected: None };
        for (key, (table, columns)) in &self.tables {
            let Some((_, theirs)) = shape.tables.get(key) else {
                out.added.insert(presence(Thing::Table, (*table).to_owned()));
                continue;
            };
            let Some(columns) = columns else { continue };
            for (key, column) in columns {
                let name = format!("{table}.{}", column.spelled);
                match theirs.get(key) {
                    None => {
                        let found = Some(column.text());
                        out.added.insert(Difference { thing: Thing::Column, name, found, expected: None });
                    }
                    Some(known) if known.data_type != column.data_type || known.nullable != column.nullable => {
                        let (found, expected) = (Some(column.text()), Some(known.text()));
                        out.changed.insert(Difference { thing: Thing::Column, name, found, expected });
                    }
                    Some(_) => {}
                }
            }
            for column in theirs.iter().filter(|(key, _)| !columns.contains_key(*key)).map(|(_, column)| column) {
                let (name, expected) = (format!("{table}.{}", column.spelled), Some(column.text()));
                out.removed.insert(Difference { thing: Thing::Column, name, found: None, expected });
            }
        }
        for (_, (table, _)) in shape.tables.iter().filter(|(key, _)| !self.tables.contains_key(*key)) {
            out.removed.insert(presence(Thing::Table, (*table).to_owned()));
        }
        let Some(routines) = &self.routines else { return out };
        for (key, (name, prints)) in routines {
            match (shape.routines.contains_key(key), shape.fingerprints.get(key)) {
                (false, _) => {
                    out.added.insert(presence(Thing::Routine, (*name).to_owned()));
                }
                (true, Some(known)) if !prints.is_empty() && !prints.contains(known) => {
                    out.changed.insert(presence(Thing::Routine, (*name).to_owned()));
                }
                (true, _) => {}
            }
        }
        for (_, name) in shape.routines.iter().filter(|(key, _)| !routines.contains_key(*key)) {
            out.removed.insert(presence(Thing::Routine, (*name).to_owned()));
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::Column;
    use crate::release;

    fn of(name: &str) -> Catalog {
        release(&format!("legacy/{name}")).unwrap()
    }

    fn found(catalog: &Catalog) -> (String, usize) {
        let found = identify(catalog).unwrap();
        (found.release, found.distance)
    }

    fn table<'a>(catalog: &'a mut Catalog, name: &str) -> &'a mut Table {
        catalog.tables.iter_mut().find(|t| t.name == name).unwrap()
    }

    #[test]
    fn every_release_is_itself_or_a_twin() {
        for release in legacy_releases() {
            let found = identify(&release.catalog).unwrap();
            let names: Vec<&String> = std::iter::once(&found.release).chain(&found.twins).collect();
            assert_eq!(found.distance, 0, "{}: {found:?}", release.name);
            assert!(names.contains(&&release.name), "{}: {names:?}", release.name);
            assert!(!found.decided.is_empty() && found.is_legacy(), "{}", release.name);
            // Without its routines only those are added to its twins that differ in routines alone.
            let bare = Catalog { routines: Known::No, ..release.catalog.clone() };
            let bare = identify(&bare).unwrap();
            assert_eq!(bare.distance, 0);
            assert!(bare.twins.len() >= found.twins.len() && bare.unknown == ["procedures and functions"]);
        }
        let label = identify(&of("24.04")).unwrap().label();
        // The full catalogue shows no routines, so a release that differs in a routine only is a twin, too.
        assert_eq!(label, "24.04 (or 1.7.3, 1.7.4, 23.10, develop)");
        assert_eq!(identify(&of("1.2.0")).unwrap().label(), "1.2.1 (or 1.2.0)");
    }

    #[test]
    fn bodies_tell_apart_what_tables_do_not() {
        // A routine whose text has the fingerprint of one release and not of the next.
        let (older, newer) = (
            legacy_releases().iter().find(|r| r.name == "1.4.1"),
            legacy_releases().iter().find(|r| r.name == "1.4.2"),
        );
        let (older, newer) = (older.unwrap(), newer.unwrap());
        let differ = older.fingerprints.iter().filter(|(name, print)| newer.fingerprints.get(*name) != Some(*print));
        assert_eq!(differ.count(), 2);
        assert_eq!(identify(&older.catalog).unwrap().twins, ["1.4.1"]);
    }

    #[test]
    fn what_a_country_did_changes_the_distance_and_not_the_release() {
        for name in ["1.2.1", "1.4.2", "1.5.1", "1.6.0", "1.7.2.1", "24.04"] {
            let mut catalog = of(name);
            for column in ["nmcNumber", "CareType", "ReferFrom"] {
                let own = Column {
                    name: column.into(),
                    nullable: true,
                    ..table(&mut catalog, "tblClaim").columns[0].clone()
                };
                table(&mut catalog, "tblClaim").columns.push(own);
            }
            table(&mut catalog, "tblHF").columns.retain(|c| c.name != "Fax");
            table(&mut catalog, "tblItems").columns.iter_mut().find(|c| c.name == "ItemCode").unwrap().data_type =
                "nvarchar(12)".into();
            let own = Table { name: "tblReceipt".into(), ..table(&mut catalog, "tblGender").clone() };
            catalog.tables.push(own);
            assert_eq!(found(&catalog), (name.to_owned(), 6));
            let told = identify(&catalog).unwrap();
            let name_of = |list: &[Difference]| list.iter().map(|d| d.name.clone()).collect::<Vec<_>>();
            assert_eq!(name_of(&told.removed), ["tblHF.Fax"]);
            assert_eq!(name_of(&told.changed), ["tblItems.ItemCode"]);
            assert_eq!(told.changed[0].found.as_deref(), Some("nvarchar(12) NOT NULL"));
            assert_eq!(told.added.len(), 4);
        }
    }

    #[test]
    fn what_cannot_be_seen_does_not_make_a_database_older() {
        let mut catalog = of("1.6.0");
        // A login that sees only some routines, no columns of a table, and not a table that came late.
        if let Known::Yes(routines) = &mut catalog.routines {
            routines.truncate(20);
        }
        table(&mut catalog, "tblInsuree").columns.clear();
        catalog.tables.retain(|t| t.name != "tblFamilySMS");
        let told = identify(&catalog).unwrap();
        assert_eq!((told.release.as_str(), told.distance), ("1.6.0", 1));
        assert_eq!(told.unknown, ["the columns of tblInsuree", "procedures and functions"]);
        // Each table that a release brought, hidden: still that release.
        for (name, hidden) in
            [("1.3.0", "tblRole"), ("1.4.0", "tblPayment"), ("1.2.1", "tblGender"), ("1.7.0", "tblIMISDefaults")]
        {
            let mut catalog = of(name);
            catalog.tables.retain(|t| t.name != hidden);
            assert_eq!(found(&catalog).0, if name == "1.7.0" { "1.7.2" } else { name }.to_owned());
        }
    }

    #[test]
    fn what_an_upgrade_left_is_no_difference_and_what_is_no_legacy_says_so() {
        let upgraded = release("legacy/24.04").unwrap();
        assert!(upgraded.table("tblEmailSettings").unwrap().column("SenderDisplayName").is_some());
        assert_eq!(found(&upgraded), ("24.04".to_owned(), 0));
        assert!(identify(&release("modular/1.11").unwrap()).is_none());
        let mut other = Catalog::new(Engine::Mssql);
        other.tables.push(of("24.04").table("tblGender").unwrap().clone());
        assert!(!identify(&other).unwrap().is_legacy());
    }
}
