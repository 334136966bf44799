//! Keys, uniques, indexes and checks: known by what they hold; names come second, because servers make them up.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::hash::Hash;

use super::pairs::pairs;
use super::table::{Context, Pair, folded};
use super::text::condition;
use super::{Change, Difference, Finder, Kind, Who};
use crate::catalog::{Check, ForeignKey, Index, Known, Table, Unique};
use crate::name::Engine;

/// Compares the keys, uniques, indexes and checks of two tables.
pub(super) fn keys(context: &Context<'_>, pair: &Pair<'_>, found: &mut Finder<'_>) {
    primary_key(context, pair, found);
    let of = Of { context, pair, object: pair.a.table_name().to_string() };
    if let Some((a, b)) = of.known(Kind::ForeignKeys, &pair.a.foreign_keys, &pair.b.foreign_keys, found) {
        of.foreign_keys(a, b, found);
    }
    if let Some((a, b)) = of.known(Kind::Uniques, &pair.a.uniques, &pair.b.uniques, found) {
        of.uniques(a, b, found);
    }
    if let Some((a, b)) = of.known(Kind::Indexes, &pair.a.indexes, &pair.b.indexes, found) {
        of.indexes(a, b, found);
    }
    if let Some((a, b)) = of.known(Kind::Checks, &pair.a.checks, &pair.b.checks, found) {
        of.checks(a, b, found);
    }
}

fn primary_key(context: &Context<'_>, pair: &Pair<'_>, found: &mut Finder<'_>) {
    let object = pair.a.table_name().to_string();
    let (Known::Yes(a), Known::Yes(b)) = (&pair.a.primary_key, &pair.b.primary_key) else {
        let who = Who::lacks(!pair.a.primary_key.is_unknown(), !pair.b.primary_key.is_unknown());
        found.cannot(Kind::PrimaryKeys, &object, who.unwrap_or(Who::Both).words());
        return;
    };
    let new = |change| Difference::new(Kind::PrimaryKeys, change, &object);
    match (a, b) {
        (None, None) => {}
        (Some(key), None) => {
            found.tell(new(Change::OnlyA).part(list(&key.columns)).called(key.name.as_deref()).a(list(&key.columns)))
        }
        (None, Some(key)) => {
            found.tell(new(Change::OnlyB).part(list(&key.columns)).called(key.name.as_deref()).b(list(&key.columns)))
        }
        (Some(one), Some(two)) => {
            let table = pair.a.table_name();
            let mine: Vec<String> = one.columns.iter().map(|c| context.column_in_b(&table, c)).collect();
            let theirs: Vec<String> = two.columns.iter().map(|c| c.to_lowercase()).collect();
            if mine == theirs {
                found.same(Kind::PrimaryKeys, None);
                if let (Some(a), Some(b)) = (&one.name, &two.name) {
                    found.remark(Kind::PrimaryKeys, &object, a, b);
                }
            } else {
                let told = new(Change::Changed).part(list(&one.columns)).called(one.name.as_deref());
                found.tell(told.a(list(&one.columns)).b(list(&two.columns)));
            }
        }
    }
}

fn list(columns: &[String]) -> String {
    columns.join(", ")
}

/// How things of a list are told from each other and shown.
trait Held {
    fn name(&self) -> &str;
    fn part(&self) -> String;
    fn text(&self) -> String;
}

impl Held for ForeignKey {
    fn name(&self) -> &str {
        &self.name
    }
    fn part(&self) -> String {
        list(&self.columns)
    }
    fn text(&self) -> String {
        format!("{} to {} ({})", list(&self.columns), self.references, list(&self.referenced_columns))
    }
}

impl Held for Unique {
    fn name(&self) -> &str {
        &self.name
    }
    fn part(&self) -> String {
        list(&self.columns)
    }
    fn text(&self) -> String {
        list(&self.columns)
    }
}

impl Held for Index {
    fn name(&self) -> &str {
        &self.name
    }
    fn part(&self) -> String {
        list(&self.columns)
    }
    fn text(&self) -> String {
        let mut text = list(&self.columns);
        if self.unique {
            text.insert_str(0, "unique ");
        }
        if !self.include.is_empty() {
            text += &format!(" include {}", list(&self.include));
        }
        if let Some(filter) = &self.filter {
            text += &format!(" where {filter}");
        }
        text
    }
}

impl Held for Check {
    fn name(&self) -> &str {
        &self.name
    }
    fn part(&self) -> String {
        self.name.clone()
    }
    fn text(&self) -> String {
        self.definition.clone().unwrap_or_else(|| "a condition that is not known".to_owned())
    }
}

struct Of<'a> {
    context: &'a Context<'a>,
    pair: &'a Pair<'a>,
    object: String,
}

impl Of<'_> {
    fn known<'k, T>(
        &self,
        kind: Kind,
        a: &'k Known<Vec<T>>,
        b: &'k Known<Vec<T>>,
        found: &mut Finder<'_>,
    ) -> Option<(&'k [T], &'k [T])> {
        match (a, b) {
            (Known::Yes(a), Known::Yes(b)) => Some((a, b)),
            _ => {
                let who = Who::lacks(!a.is_unknown(), !b.is_unknown()).unwrap_or(Who::Both);
                found.cannot(kind, &self.object, who.words());
                None
            }
        }
    }

    /// Pairs two lists in rounds, the strictest first, and tells what is left.
    fn left<'t, T: Held, K: Hash + Eq + Debug>(
        &self,
        kind: Kind,
        (a, b): (&'t [T], &'t [T]),
        keys: (Vec<Vec<K>>, Vec<Vec<K>>),
        found: &mut Finder<'_>,
    ) -> Vec<(&'t T, &'t T)> {
        let places = pairs(&keys.0, &keys.1);
        let new =
            |change, held: &T| Difference::new(kind, change, &self.object).part(held.part()).called(Some(held.name()));
        for held in places.only_a.iter().filter_map(|at| a.get(*at)) {
            found.tell(new(Change::OnlyA, held).a(held.text()));
        }
        for held in places.only_b.iter().filter_map(|at| b.get(*at)) {
            found.tell(new(Change::OnlyB, held).b(held.text()));
        }
        places.both.iter().filter_map(|(one, two)| Some((a.get(*one)?, b.get(*two)?))).collect()
    }

    fn changed<T: Held>(&self, kind: Kind, a: &T, b: &T) -> Difference {
        Difference::new(kind, Change::Changed, &self.object)
            .part(a.part())
            .called(Some(a.name()))
            .a(a.text())
            .b(b.text())
    }

    /// The columns of a key of A, as B calls them.
    fn mine(&self, columns: &[String]) -> Vec<String> {
        let table = self.pair.a.table_name();
        columns.iter().map(|column| self.column(&table, column)).collect()
    }

    fn column(&self, table: &crate::name::TableName, column: &str) -> String {
        let own = self.pair.a.column(column);
        // An index may hold an expression.
        if own.is_none() { condition(self.context.a, column) } else { self.context.column_in_b(table, column) }
    }

    fn theirs(&self, columns: &[String]) -> Vec<String> {
        let column = |column: &String| match self.pair.b.column(column) {
            None => condition(self.context.b, column),
            Some(_) => column.to_lowercase(),
        };
        columns.iter().map(column).collect()
    }

    fn foreign_keys(&self, a: &[ForeignKey], b: &[ForeignKey], found: &mut Finder<'_>) {
        let key = |mut columns: Vec<(String, String)>, table: (String, String)| {
            columns.sort();
            let mut out = vec![table.0, table.1];
            out.extend(columns.into_iter().flat_map(|(one, other)| [one, other]));
            out
        };
        let mine = |k: &ForeignKey| {
            let referred = k.referenced_columns.iter().map(|c| self.context.column_in_b(&k.references, c));
            let columns = self.mine(&k.columns);
            let content = key(columns.iter().cloned().zip(referred).collect(), self.context.table_in_b(&k.references));
            vec![content, named(&k.name), sorted(columns)]
        };
        let theirs = |k: &ForeignKey| {
            let referred = k.referenced_columns.iter().map(|c| c.to_lowercase());
            let columns = self.theirs(&k.columns);
            let table = folded(self.context.b, &k.references.schema, &k.references.name);
            vec![key(columns.iter().cloned().zip(referred).collect(), table), named(&k.name), sorted(columns)]
        };
        let keys: (Vec<_>, Vec<_>) = (a.iter().map(mine).collect(), b.iter().map(theirs).collect());
        for (one, two) in self.left(Kind::ForeignKeys, (a, b), keys, found) {
            let same = mine(one).first() == theirs(two).first();
            let state = |key: &ForeignKey| match (key.enabled, key.trusted) {
                (false, _) => "declared and not checked",
                (true, false) => "checked for new rows only",
                (true, true) => "checked",
            };
            let deferred = |key: &ForeignKey| if key.deferrable { ", deferrable" } else { "" };
            let with_deferred = !self.context.is_between_engines();
            let (mut from, mut to) = (state(one).to_owned(), state(two).to_owned());
            if with_deferred {
                from += deferred(one);
                to += deferred(two);
            }
            if !same {
                found.tell(self.changed(Kind::ForeignKeys, one, two));
            } else if from != to {
                let told = self.changed(Kind::ForeignKeys, one, two);
                found.tell(told.a(from).b(to));
            } else {
                found.same(Kind::ForeignKeys, None);
                found.remark(Kind::ForeignKeys, &self.object, &one.name, &two.name);
            }
        }
    }

    fn uniques(&self, a: &[Unique], b: &[Unique], found: &mut Finder<'_>) {
        let key = |columns: Vec<String>, name: &str| vec![columns.clone(), sorted(columns), named(name)];
        let mine = |u: &Unique| key(self.mine(&u.columns), &u.name);
        let theirs = |u: &Unique| key(self.theirs(&u.columns), &u.name);
        let keys: (Vec<_>, Vec<_>) = (a.iter().map(mine).collect(), b.iter().map(theirs).collect());
        for (one, two) in self.left(Kind::Uniques, (a, b), keys, found) {
            if mine(one).first() == theirs(two).first() {
                found.same(Kind::Uniques, None);
                found.remark(Kind::Uniques, &self.object, &one.name, &two.name);
            } else {
                found.tell(self.changed(Kind::Uniques, one, two));
            }
        }
    }

    fn indexes(&self, a: &[Index], b: &[Index], found: &mut Finder<'_>) {
        let content = |engine: Engine, columns: Vec<String>, include: Vec<String>, index: &Index| {
            let mut out = vec![if index.unique { "unique".to_owned() } else { String::new() }];
            out.extend(columns);
            out.push("include".to_owned());
            out.extend(sorted(include));
            out.extend(index.filter.iter().map(|filter| format!("where {}", condition(engine, filter))));
            out
        };
        let mine = |i: &Index| {
            let content = content(self.context.a, self.mine(&i.columns), self.mine(&i.include), i);
            vec![content, named(&i.name)]
        };
        let theirs = |i: &Index| {
            let content = content(self.context.b, self.theirs(&i.columns), self.theirs(&i.include), i);
            vec![content, named(&i.name)]
        };
        // Between engines an index says what is quick to find; a second one on the same columns (for LIKE), or one on
        // the columns of a key, adds nothing that the other engine would have.
        let (a, b): (Vec<Index>, Vec<Index>) = if self.context.is_between_engines() {
            (distinct(self.pair.a, a), distinct(self.pair.b, b))
        } else {
            (a.to_vec(), b.to_vec())
        };
        let keys: (Vec<_>, Vec<_>) = (a.iter().map(mine).collect(), b.iter().map(theirs).collect());
        for (one, two) in self.left(Kind::Indexes, (&a, &b), keys, found) {
            if mine(one).first() == theirs(two).first() {
                found.same(Kind::Indexes, None);
                found.remark(Kind::Indexes, &self.object, &one.name, &two.name);
            } else {
                found.tell(self.changed(Kind::Indexes, one, two));
            }
        }
    }

    fn checks(&self, a: &[Check], b: &[Check], found: &mut Finder<'_>) {
        let key = |engine: Engine, check: &Check, side: &str| {
            // A condition that nobody may see is like no other.
            let content = check.definition.as_ref().map(|text| condition(engine, text));
            vec![vec![content.unwrap_or_else(|| format!("{side} {}", check.name))], named(&check.name)]
        };
        let mine = |c: &Check| key(self.context.a, c, "a");
        let theirs = |c: &Check| key(self.context.b, c, "b");
        let keys: (Vec<_>, Vec<_>) = (a.iter().map(mine).collect(), b.iter().map(theirs).collect());
        for (one, two) in self.left(Kind::Checks, (a, b), keys, found) {
            if mine(one).first() == theirs(two).first() {
                found.same(Kind::Checks, None);
                found.remark(Kind::Checks, &self.object, &one.name, &two.name);
            } else if let Some(who) = Who::lacks(one.definition.is_some(), two.definition.is_some()) {
                found.there(Kind::Checks);
                found.cannot(Kind::Checks, &format!("{}.{}", self.object, one.name), who.words());
            } else if self.context.is_between_engines() {
                found.there(Kind::Checks);
                found.cannot(Kind::Checks, &format!("{}.{}", self.object, one.name), super::objects::BETWEEN);
            } else {
                found.tell(self.changed(Kind::Checks, one, two));
            }
        }
    }
}

/// A name as a key; it cannot be taken for columns.
fn named(name: &str) -> Vec<String> {
    vec!["called".to_owned(), name.to_lowercase()]
}

fn sorted(mut columns: Vec<String>) -> Vec<String> {
    columns.sort();
    columns
}

/// Columns, carried columns, filter, and whether it is unique.
type Content = (Vec<String>, Vec<String>, Option<String>, bool);

fn distinct(table: &Table, indexes: &[Index]) -> Vec<Index> {
    let lower = |columns: &[String]| columns.iter().map(|c| c.to_lowercase()).collect::<Vec<_>>();
    let mut seen: BTreeSet<Content> = BTreeSet::new();
    let mut keys: Vec<Vec<String>> = table.uniques.items().iter().map(|u| lower(&u.columns)).collect();
    keys.push(lower(table.key_columns()));
    seen.extend(keys.into_iter().filter(|columns| !columns.is_empty()).map(|c| (c, Vec::new(), None, false)));
    let is_new = |index: &&Index| {
        seen.insert((lower(&index.columns), lower(&index.include), index.filter.clone(), index.unique))
    };
    indexes.iter().filter(is_new).cloned().collect()
}
