//! Which thing of A is which thing of B: by name, and where names fail, by a guess that says how sure it is.

use std::collections::{BTreeSet, HashMap, VecDeque};

use super::fit::{Fit, judge};
use crate::catalog::{Column, Table};
use crate::data_type::DataType;
use crate::name::Engine;

/// Places in two lists that belong together, and those that are left.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Pairs {
    pub(super) both: Vec<(usize, usize)>,
    pub(super) only_a: Vec<usize>,
    pub(super) only_b: Vec<usize>,
}

/// Pairs by the names that `keys` gives, the strictest first; each place is taken once.
pub(super) fn pairs<K: std::hash::Hash + Eq>(a: &[Vec<K>], b: &[Vec<K>]) -> Pairs {
    let rounds = a.iter().chain(b).map(Vec::len).max().unwrap_or_default();
    let (mut partner, mut taken) = (vec![None; a.len()], vec![false; b.len()]);
    for round in 0..rounds {
        let mut free: HashMap<&K, VecDeque<usize>> = HashMap::new();
        for (at, keys) in b.iter().enumerate() {
            if let (Some(key), Some(false)) = (keys.get(round), taken.get(at)) {
                free.entry(key).or_default().push_back(at);
            }
        }
        for (keys, place) in a.iter().zip(&mut partner) {
            if place.is_some() {
                continue;
            }
            let found = keys.get(round).and_then(|key| free.get_mut(key)?.pop_front());
            if let Some(at) = found {
                *place = Some(at);
                taken.iter_mut().skip(at).take(1).for_each(|flag| *flag = true);
            }
        }
    }
    let mut out = Pairs::default();
    for (at, place) in partner.into_iter().enumerate() {
        match place {
            Some(other) => out.both.push((at, other)),
            None => out.only_a.push(at),
        }
    }
    out.only_b = taken.iter().enumerate().filter(|(_, taken)| !**taken).map(|(at, _)| at).collect();
    out
}

/// Two things that may be one and the same under another name, and how sure that is, in percent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Guess {
    pub(super) a: usize,
    pub(super) b: usize,
    pub(super) sure: u8,
}

/// Takes the surest guesses, each place once.
fn best(mut guesses: Vec<Guess>) -> Vec<Guess> {
    guesses.sort_by_key(|guess| (u8::MAX - guess.sure, guess.a, guess.b));
    let (mut of_a, mut of_b) = (BTreeSet::new(), BTreeSet::new());
    guesses.retain(|guess| {
        let free = !of_a.contains(&guess.a) && !of_b.contains(&guess.b);
        if free {
            of_a.insert(guess.a);
            of_b.insert(guess.b);
        }
        free
    });
    guesses.sort_by_key(|guess| guess.a);
    guesses
}

/// More than so many possible pairs are not looked at: a guess is not worth it.
const TRIES: usize = 250_000;

/// From how many percent on a guess is told.
const SURE: f64 = 70.0;

fn percent(likeness: f64) -> u8 {
    (likeness.clamp(0.0, 1.0) * 100.0).round() as u8
}

/// A name in lower case without what only separates.
fn squeezed(name: &str) -> String {
    name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// How alike two names are, between 0 and 1.
fn likeness(a: &str, b: &str) -> f64 {
    let (a, b) = (squeezed(a), squeezed(b));
    if a == b {
        return if a.is_empty() { 0.0 } else { 0.98 };
    }
    // Few changed letters, in comparison with the length: `Phone1` and `Phone2`, `Commission` and `Comission`.
    strsim::normalized_damerau_levenshtein(&a, &b).max(strsim::jaro_winkler(&a, &b) * 0.9)
}

/// What a table's name says of its rows: `tblUsers` is about a `user`.
fn subject(table: &str) -> String {
    let name = squeezed(table);
    let bare = name.strip_prefix("tbl").unwrap_or(&name);
    bare.strip_suffix("ies")
        .map(|stem| format!("{stem}y"))
        .unwrap_or_else(|| bare.strip_suffix('s').unwrap_or(bare).to_owned())
}

/// How alike the names of two columns are; the table's own name before one of them (`UserID` and `id`) does not count.
fn column_likeness((table, a): (&str, &str), (other, b): (&str, &str)) -> f64 {
    let bare = |table: &str, column: &str| {
        let (subject, name) = (subject(table), squeezed(column));
        name.strip_prefix(&subject).filter(|rest| !rest.is_empty()).map(str::to_owned)
    };
    let without = match (bare(table, a), bare(other, b)) {
        (Some(a), None) => a == squeezed(b),
        (None, Some(b)) => squeezed(a) == b,
        _ => false,
    };
    if without { 0.95 } else { likeness(a, b) }
}

/// A table of A and one of B whose columns are compared.
pub(super) struct Sides<'a> {
    pub(super) a: (Engine, &'a Table),
    pub(super) b: (Engine, &'a Table),
}

impl Sides<'_> {
    fn room(&self, a: &Column, b: &Column) -> f64 {
        match judge((self.a.0, &a.data_type(self.a.0)), (self.b.0, &b.data_type(self.b.0))).fit {
            Fit::Equal | Fit::Alike => 1.0,
            Fit::Wider => 0.8,
            Fit::Narrower => 0.6,
            Fit::Other => 0.0,
        }
    }

    /// Which of the columns that are left were renamed: name, type and place must go together.
    pub(super) fn renamed(&self, only_a: &[usize], only_b: &[usize]) -> Vec<Guess> {
        if only_a.len().saturating_mul(only_b.len()) > TRIES {
            return Vec::new();
        }
        let (table, other) = (self.a.1, self.b.1);
        let longest = table.columns.len().max(other.columns.len()).max(1);
        let mut guesses = Vec::new();
        for &a in only_a {
            for &b in only_b {
                let (Some(one), Some(two)) = (table.columns.get(a), other.columns.get(b)) else { continue };
                let room = self.room(one, two);
                let name = column_likeness((&table.name, &one.name), (&other.name, &two.name));
                if room == 0.0 || name < 0.6 {
                    continue;
                }
                let place = 1.0 - a.abs_diff(b) as f64 / longest as f64;
                let sure = 0.6 * name + 0.25 * room + 0.15 * place;
                if sure * 100.0 >= SURE {
                    guesses.push(Guess { a, b, sure: percent(sure) });
                }
            }
        }
        best(guesses)
    }
}

/// Which of the tables that are left were renamed: most of their columns must be the same.
pub(super) fn renamed_tables(a: (Engine, &[Table], &[usize]), b: (Engine, &[Table], &[usize])) -> Vec<Guess> {
    if a.2.len().saturating_mul(b.2.len()) > TRIES {
        return Vec::new();
    }
    let columns = |engine: Engine, table: &Table| -> HashMap<String, DataType> {
        table.columns.iter().map(|c| (c.name.to_lowercase(), c.data_type(engine))).collect()
    };
    let of =
        |(engine, tables, places): (Engine, &[Table], &[usize])| -> Vec<(usize, String, HashMap<String, DataType>)> {
            let left = places.iter().filter_map(|at| Some((*at, tables.get(*at)?)));
            left.map(|(at, table)| (at, table.name.clone(), columns(engine, table))).collect()
        };
    let (left, right) = (of(a), of(b));
    let mut guesses = Vec::new();
    for (one, name, columns) in &left {
        for (two, other, others) in &right {
            let same = columns
                .iter()
                .filter(|(column, kind)| {
                    others.get(*column).is_some_and(|other| judge((a.0, kind), (b.0, other)).fit != Fit::Other)
                })
                .count();
            let all = columns.len() + others.len() - same;
            if same == 0 || all == 0 {
                continue;
            }
            let shared = same as f64 / all as f64;
            let (bare, bare_other) = (subject(name), subject(other));
            let sure = 0.4 * likeness(&bare, &bare_other) + 0.6 * shared;
            let close = shared >= 0.6 || (shared >= 0.4 && likeness(&bare, &bare_other) >= 0.85);
            if close && sure * 100.0 >= SURE {
                guesses.push(Guess { a: *one, b: *two, sure: percent(sure) });
            }
        }
    }
    best(guesses)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_pair_by_the_strictest_rule_first() {
        let names = |list: &[&str]| list.iter().map(|n| vec![(*n).to_owned(), n.to_lowercase()]).collect::<Vec<_>>();
        let found = pairs(&names(&["id", "Id", "x"]), &names(&["Id", "ID", "y"]));
        assert_eq!(found, Pairs { both: vec![(0, 1), (1, 0)], only_a: vec![2], only_b: vec![2] });
    }

    #[test]
    fn renamed_columns_are_guessed_and_strangers_are_not() {
        let cases = [
            ("tblUsers", "UserID", "id", true),
            ("tblUsers", "UserUUID", "UUID", true),
            ("tblUsers", "LegacyID", "id", false),
            ("tblUsers", "AuditUserID", "version", false),
            ("tblFamilies", "family_uuid", "UUID", true),
            ("tblHF", "audit_user_id", "AuditUserID", true),
            ("tblHF", "Phone", "PhoneNo", true),
            ("tblPolicy", "SelfRenewed", "creationDate", false),
            ("tblReporting", "Scope", "Mode", false),
        ];
        for (table, a, b, expected) in cases {
            assert_eq!(column_likeness((table, a), (table, b)) >= 0.75, expected, "{a} {b}");
        }
    }
}
