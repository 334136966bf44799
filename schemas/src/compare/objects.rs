//! Views, procedures and functions, types of users, and the database's own collation.

use super::body::{says_the_same, unified};
use super::fit::{Fit, judge};
use super::pairs::pairs;
use super::table::{folded, lookups};
use super::{Change, Difference, Finder, Kind, Who, counted};
use crate::catalog::{Catalog, Known, Routine, UserType, View};
use crate::data_type::DataType;
use crate::name::{Engine, TableName, same_name};

/// Why texts of two engines are not compared.
pub(super) const BETWEEN: &str = "texts of two engines are not compared, only whether they are there";

/// A view or routine.
struct Object<'a> {
    name: TableName,
    kind: &'a str,
    text: Option<&'a str>,
}

impl<'a> From<&'a View> for Object<'a> {
    fn from(view: &'a View) -> Self {
        Object { name: TableName::new(&view.schema, &view.name), kind: "view", text: view.definition.as_deref() }
    }
}

impl<'a> From<&'a Routine> for Object<'a> {
    fn from(routine: &'a Routine) -> Self {
        let name = TableName::new(&routine.schema, &routine.name);
        Object { name, kind: &routine.kind, text: routine.definition.as_deref() }
    }
}

pub(super) fn views(a: &Catalog, b: &Catalog, found: &mut Finder<'_>) {
    let (Known::Yes(of_a), Known::Yes(of_b)) = (&a.views, &b.views) else {
        return unknown(Kind::Views, a.views.is_unknown(), b.views.is_unknown(), found);
    };
    compare(Kind::Views, (a.engine, of_a.iter().map(Object::from)), (b.engine, of_b.iter().map(Object::from)), found);
}

pub(super) fn routines(a: &Catalog, b: &Catalog, found: &mut Finder<'_>) {
    let (Known::Yes(of_a), Known::Yes(of_b)) = (&a.routines, &b.routines) else {
        return unknown(Kind::Routines, a.routines.is_unknown(), b.routines.is_unknown(), found);
    };
    compare(
        Kind::Routines,
        (a.engine, of_a.iter().map(Object::from)),
        (b.engine, of_b.iter().map(Object::from)),
        found,
    );
}

fn unknown(kind: Kind, a: bool, b: bool, found: &mut Finder<'_>) {
    if let Some(who) = Who::lacks(!a, !b) {
        found.cannot_at_all(kind, who.words());
    }
}

fn compare<'o>(
    kind: Kind,
    (engine, a): (Engine, impl Iterator<Item = Object<'o>>),
    (other, b): (Engine, impl Iterator<Item = Object<'o>>),
    found: &mut Finder<'_>,
) {
    let (a, b): (Vec<_>, Vec<_>) = (a.collect(), b.collect());
    let keys = |engine: Engine, objects: &[Object<'_>]| -> Vec<_> {
        let of = |object: &Object<'_>| {
            let (schema, _) = folded(engine, &object.name.schema, &object.name.name);
            let text = object.text.unwrap_or_default().to_owned();
            // Functions of one name and different arguments: those with the same text belong together first.
            let mut keys = vec![(schema, object.name.name.clone(), text)];
            let rest = lookups(engine, &object.name.schema, &object.name.name);
            keys.extend(rest.into_iter().map(|(schema, name)| (schema, name, String::new())));
            keys
        };
        objects.iter().map(of).collect()
    };
    let places = pairs(&keys(engine, &a), &keys(other, &b));
    for (change, places, objects) in [(Change::OnlyA, &places.only_a, &a), (Change::OnlyB, &places.only_b, &b)] {
        for object in places.iter().filter_map(|at| objects.get(*at)) {
            found.turn_to([&object.name]);
            let difference = Difference::new(kind, change, &object.name.to_string());
            let said = object.kind;
            found.tell(if change == Change::OnlyA { difference.a(said) } else { difference.b(said) });
        }
    }
    for (one, two) in places.both.iter().filter_map(|(one, two)| Some((a.get(*one)?, b.get(*two)?))) {
        found.turn_to([&one.name, &two.name]);
        both(kind, (engine, one), (other, two), found);
    }
}

fn both(kind: Kind, (engine, a): (Engine, &Object<'_>), (other, b): (Engine, &Object<'_>), found: &mut Finder<'_>) {
    let object = a.name.to_string();
    if engine != other {
        found.there(kind);
        if a.text.is_some() || b.text.is_some() {
            found.cannot_at_all(kind, BETWEEN);
        }
        return;
    }
    if a.name.name != b.name.name && engine == Engine::Postgres {
        let told = Difference::new(kind, Change::Respelled, &object);
        found.tell(told.a(a.name.to_string()).b(b.name.to_string()));
    } else {
        found.remark(kind, &object, &a.name.name, &b.name.name);
    }
    let changed = Difference::new(kind, Change::Changed, &object).a(a.kind).b(b.kind);
    match (a.text, b.text) {
        _ if a.kind != b.kind => found.tell(changed),
        (Some(one), Some(two)) if says_the_same(engine, one, two) => found.same(kind, None),
        (Some(one), Some(two)) => {
            let diff = unified(engine, one, two, (&object, &b.name.to_string()));
            let count = |sign: char, head: &str| {
                diff.lines().filter(|line| line.starts_with(sign) && !line.starts_with(head)).count()
            };
            let (less, more) = (count('-', "--- a/"), count('+', "+++ b/"));
            let why = format!("{} of A, {} of B", counted(less, "line"), counted(more, "line"));
            found.tell(Difference { diff: Some(diff), ..changed }.why(why));
        }
        (one, two) => {
            // Two that are there without a text are no less there.
            found.there(kind);
            let who = Who::lacks(one.is_some(), two.is_some()).unwrap_or(Who::Both);
            found.cannot(kind, &object, format!("the text is {}", who.words()));
        }
    }
}

pub(super) fn user_types(a: &Catalog, b: &Catalog, found: &mut Finder<'_>) {
    let (Known::Yes(of_a), Known::Yes(of_b)) = (&a.types, &b.types) else {
        return unknown(Kind::UserTypes, a.types.is_unknown(), b.types.is_unknown(), found);
    };
    let keys =
        |engine, types: &[UserType]| -> Vec<_> { types.iter().map(|t| lookups(engine, &t.schema, &t.name)).collect() };
    let places = pairs(&keys(a.engine, of_a), &keys(b.engine, of_b));
    let name = |t: &UserType| TableName::new(&t.schema, &t.name);
    for t in places.only_a.iter().filter_map(|at| of_a.get(*at)) {
        found.turn_to([&name(t)]);
        found.tell(Difference::new(Kind::UserTypes, Change::OnlyA, &name(t).to_string()).a(words(t)));
    }
    for t in places.only_b.iter().filter_map(|at| of_b.get(*at)) {
        found.turn_to([&name(t)]);
        found.tell(Difference::new(Kind::UserTypes, Change::OnlyB, &name(t).to_string()).b(words(t)));
    }
    for (one, two) in places.both.iter().filter_map(|(one, two)| Some((of_a.get(*one)?, of_b.get(*two)?))) {
        found.turn_to([&name(one), &name(two)]);
        if is_same_type((a.engine, one), (b.engine, two)) {
            found.same(Kind::UserTypes, None);
        } else {
            let told = Difference::new(Kind::UserTypes, Change::Changed, &name(one).to_string());
            found.tell(told.a(words(one)).b(words(two)));
        }
    }
}

fn words(t: &UserType) -> String {
    let columns = t.columns.iter().map(|c| {
        let null = if c.nullable { "" } else { " NOT NULL" };
        format!("{} {}{null}", c.name, c.data_type)
    });
    match &t.base {
        Some(base) => base.clone(),
        None => format!("table ({})", columns.collect::<Vec<_>>().join(", ")),
    }
}

fn is_same_type((engine, a): (Engine, &UserType), (other, b): (Engine, &UserType)) -> bool {
    let alike = |x: &str, y: &str| {
        judge((engine, &DataType::parse(engine, x)), (other, &DataType::parse(other, y))).fit == Fit::Equal
    };
    let bases = match (&a.base, &b.base) {
        (Some(x), Some(y)) => alike(x, y),
        (None, None) => true,
        _ => false,
    };
    bases
        && a.columns.len() == b.columns.len()
        && a.columns.iter().zip(&b.columns).all(|(x, y)| {
            same_name(&x.name, &y.name)
                && alike(&x.data_type, &y.data_type)
                && x.nullable == y.nullable
                && x.identity == y.identity
        })
}

/// The database's own collation, where both sides of one engine tell it.
pub(super) fn collation(a: &Catalog, b: &Catalog, found: &mut Finder<'_>) {
    if a.engine != b.engine {
        return;
    }
    found.turn_to([]);
    match (&a.collation, &b.collation) {
        (Some(one), Some(two)) if !same_name(one, two) => {
            let told = Difference::new(Kind::Collations, Change::Changed, "");
            found.tell(told.a(one).b(two).why("the collation of the database"));
        }
        (Some(_), Some(_)) => found.same(Kind::Collations, None),
        _ => {}
    }
}
