//! The database as it is compared, and what it has another way than a release.

use std::collections::{BTreeMap, BTreeSet};

use super::shape::{Columns, Held, Shape, columns, common};
use super::{Difference, Thing, django};
use crate::catalog::{Catalog, Known, Table};
use crate::legacy::fingerprints;

/// The differences of one release. Names are the database's own where it has the thing.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Differences {
    pub(super) added: BTreeSet<Difference>,
    pub(super) changed: BTreeSet<Difference>,
    pub(super) removed: BTreeSet<Difference>,
    /// What is Django's work on a SQL Server, and counts for nothing.
    pub(super) by_django: BTreeSet<Difference>,
}

impl Differences {
    pub(super) fn count(&self) -> usize {
        self.added.len() + self.changed.len() + self.removed.len()
    }

    /// What these have beyond others, told as facts about the database.
    pub(super) fn beyond(&self, others: &Differences) -> Vec<String> {
        let mut facts: Vec<String> = Vec::new();
        facts.extend(self.added.difference(&others.added).map(|d| format!("{} is there", d.name)));
        facts.extend(self.removed.difference(&others.removed).map(|d| format!("{} is not there", d.name)));
        facts.extend(self.changed.difference(&others.changed).map(|d| match &d.found {
            Some(found) => format!("{} is {found}", d.name),
            None => format!("{} has another text", d.name),
        }));
        facts
    }

    fn part(&mut self) {
        let Differences { added, changed, removed, by_django } = self;
        for (list, is_djangos) in
            [(added, django::added as fn(&Difference) -> bool), (changed, django::changed), (removed, django::removed)]
        {
            let (theirs, own) = std::mem::take(list).into_iter().partition::<BTreeSet<_>, _>(is_djangos);
            *list = own;
            by_django.extend(theirs);
        }
    }
}

/// Named things of the database; `None` where they cannot be seen.
type Names<'a, T> = Option<BTreeMap<String, (&'a str, T)>>;

/// The database as it is compared.
pub(super) struct Seen<'a> {
    /// Tables with their spelled names; `None` for columns that are not known.
    pub(super) tables: BTreeMap<String, (&'a str, Option<Columns>)>,
    /// Tables outside the usual schema.
    elsewhere: Vec<String>,
    /// Routines with the fingerprints of their texts.
    routines: Names<'a, Vec<String>>,
    views: Names<'a, ()>,
    types: Names<'a, ()>,
    /// Whether Django's migrations ran on a SQL Server.
    hybrid: bool,
    pub(super) unknown: Vec<String>,
}

/// Things by name in lower case, if most of those that every release has are among them.
fn most<'a, T>(shown: impl Iterator<Item = (&'a str, T)>, of_all: &BTreeSet<&str>) -> Names<'a, T> {
    let held: BTreeMap<String, (&str, T)> = shown.map(|(name, of)| (name.to_lowercase(), (name, of))).collect();
    let there = of_all.iter().filter(|name| held.contains_key(**name)).count();
    (2 * there > of_all.len() || of_all.is_empty()).then_some(held)
}

/// Whether a table is ours or the server's own.
fn is_of_the_house(table: &Table) -> bool {
    table.schema == "imis_migration" || (table.schema.eq_ignore_ascii_case("dbo") && table.name == "sysdiagrams")
}

impl<'a> Seen<'a> {
    pub(super) fn of(catalog: &'a Catalog, shapes: &'static [Shape]) -> Self {
        let (mut unknown, mut tables, mut elsewhere) = (Vec::new(), BTreeMap::new(), Vec::new());
        for table in catalog.tables.iter().filter(|table| !is_of_the_house(table)) {
            if !table.schema.eq_ignore_ascii_case(catalog.engine.default_schema()) {
                elsewhere.push(format!("{}.{}", table.schema, table.name));
                continue;
            }
            let known = !table.columns.is_empty();
            if !known {
                unknown.push(format!("the columns of {}", table.name));
            }
            let held = known.then(|| columns(table, catalog.engine));
            tables.insert(table.name.to_lowercase(), (table.name.as_str(), held));
        }
        let routines = catalog.routines.known().and_then(|routines| {
            let prints = |text: &Option<String>| text.as_deref().map(fingerprints).unwrap_or_default();
            most(
                routines.iter().map(|r| (r.name.as_str(), prints(&r.definition))),
                &common(shapes, |shape| &shape.routines),
            )
        });
        let named = |names: &mut dyn Iterator<Item = &'a str>, of_all: BTreeSet<&str>| {
            most(names.map(|name| (name, ())), &of_all)
        };
        let views = match &catalog.views {
            Known::Yes(views) => {
                named(&mut views.iter().map(|v| v.name.as_str()), common(shapes, |shape| &shape.views))
            }
            Known::No => None,
        };
        let types = match &catalog.types {
            Known::Yes(types) => {
                named(&mut types.iter().map(|t| t.name.as_str()), common(shapes, |shape| &shape.types))
            }
            Known::No => None,
        };
        for (known, what) in [
            (routines.is_some(), "procedures and functions"),
            (views.is_some(), "views"),
            (types.is_some(), "user-defined types"),
        ] {
            if !known {
                unknown.push(what.to_owned());
            }
        }
        let hybrid = django::is_hybrid(catalog);
        Seen { tables, elsewhere, routines, views, types, hybrid, unknown }
    }

    pub(super) fn differences(&self, shape: &Shape) -> Differences {
        let mut out = Differences::default();
        out.added.extend(self.elsewhere.iter().map(|name| Difference::presence(Thing::Table, name)));
        for (key, (table, columns)) in &self.tables {
            match (shape.tables.get(key), columns) {
                (None, _) => {
                    out.added.insert(Difference::presence(Thing::Table, *table));
                }
                (Some((_, theirs)), Some(columns)) => of_columns(table, columns, theirs, &mut out),
                (Some(_), None) => {}
            }
        }
        for (_, (table, _)) in shape.tables.iter().filter(|(key, _)| !self.tables.contains_key(*key)) {
            out.removed.insert(Difference::presence(Thing::Table, *table));
        }
        of_names(Thing::Routine, &self.routines, &shape.routines, &mut out);
        of_names(Thing::View, &self.views, &shape.views, &mut out);
        of_names(Thing::Type, &self.types, &shape.types, &mut out);
        for (key, (name, prints)) in self.routines.iter().flatten() {
            let known = shape.routines.contains_key(key).then(|| shape.fingerprints.get(key.as_str())).flatten();
            if known.is_some_and(|known| !prints.is_empty() && !prints.iter().any(|print| print == known)) {
                out.changed.insert(Difference::presence(Thing::Routine, *name));
            }
        }
        if self.hybrid {
            out.part();
        }
        out
    }
}

fn of_columns(table: &str, columns: &Columns, theirs: &Columns, out: &mut Differences) {
    let column = |spelled: &str, found: Option<&Held>, expected: Option<&Held>| Difference {
        thing: Thing::Column,
        name: format!("{table}.{spelled}"),
        table: Some(table.to_owned()),
        found: found.map(Held::text),
        expected: expected.map(Held::text),
    };
    for (key, held) in columns {
        match theirs.get(key) {
            None => {
                out.added.insert(column(&held.spelled, Some(held), None));
            }
            Some(known) if known.data_type != held.data_type || known.nullable != held.nullable => {
                out.changed.insert(column(&held.spelled, Some(held), Some(known)));
            }
            Some(_) => {}
        }
    }
    for (_, known) in theirs.iter().filter(|(key, _)| !columns.contains_key(*key)) {
        out.removed.insert(column(&known.spelled, None, Some(known)));
    }
}

fn of_names<T>(thing: Thing, own: &Names<'_, T>, theirs: &BTreeMap<String, &'static str>, out: &mut Differences) {
    let Some(own) = own else { return };
    let more = own.iter().filter(|(key, _)| !theirs.contains_key(*key));
    out.added.extend(more.map(|(_, (name, _))| Difference::presence(thing, *name)));
    let less = theirs.iter().filter(|(key, _)| !own.contains_key(*key));
    out.removed.extend(less.map(|(_, name)| Difference::presence(thing, *name)));
}
