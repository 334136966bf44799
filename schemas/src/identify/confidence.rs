//! How sure a release is, and why its twins cannot be told from it.

use std::collections::BTreeSet;

use serde::Serialize;

use super::Candidate;
use super::shape::Shape;

/// How sure a release is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// The database is hardly an openIMIS, or the next release is as close.
    Low,
    /// The next release is not far.
    Fair,
    /// The next release is far.
    High,
    /// Nothing differs.
    Certain,
}

/// How sure a release is, its twins aside.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Confidence {
    /// In a word.
    pub level: Level,
    /// Of a hundred.
    pub percent: u8,
    /// Why, in a sentence.
    pub because: String,
}

/// From the distance to the runner-up, by weight, and the tables that are there.
pub(super) fn confidence(
    best: &Candidate,
    next: Option<&Candidate>,
    twins: usize,
    (there, all): (usize, usize),
) -> Confidence {
    let margin = next.map_or(u64::MAX, |next| next.weight.saturating_sub(best.weight));
    // Each unit of weight doubles the odds; nothing but equality is certain.
    let odds = 2_f64.powi(i32::try_from(margin.min(20)).unwrap_or(20));
    let share = if all == 0 { 0.0 } else { (2.0 * there as f64 / all as f64).min(1.0) };
    let percent = (100.0 * odds / (1.0 + odds) * share).round().min(99.0) as u8;
    let them = match twins {
        0 => "it",
        _ => "it and its twins",
    };
    let name = next.map_or("", |next| next.shape.name);
    let told = next.map_or(0, |next| next.differences.beyond(&best.differences).len());
    let against = match (next, told) {
        (None, _) => "no other release is known".to_owned(),
        (Some(_), 0) => format!("nothing but what it lacks tells {them} from {name}"),
        (Some(_), 1) => format!("one thing speaks for {them} and against {name}"),
        (Some(_), told) => format!("{told} things speak for {them} and against {name}"),
    };
    let (level, percent, because) = if 2 * there <= all {
        let few =
            format!("of the {all} tables of the release {there} are there: this is hardly an openIMIS of its kind");
        (Level::Low, percent.min(25), few)
    } else if best.differences.count() == 0 {
        let same = if twins == 0 { "nothing differs from it" } else { "nothing differs from it or its twins" };
        (Level::Certain, 100, format!("{same}; {against}"))
    } else if percent >= 95 {
        (Level::High, percent, against)
    } else if percent >= 75 {
        (Level::Fair, percent, against)
    } else {
        (Level::Low, percent, against)
    };
    Confidence { level, percent, because }
}

/// A release that cannot be told from another by what is known of the database.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Twin {
    /// Its name.
    pub release: String,
    /// Why it cannot.
    pub because: String,
}

/// How many names a sentence lists.
const NAMES: usize = 4;

fn list(mut names: Vec<String>) -> String {
    let more = names.len().saturating_sub(NAMES);
    names.truncate(NAMES);
    if more > 0 {
        return format!("{} and {more} more", names.join(", "));
    }
    match names.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} and {last}", rest.join(", ")),
        _ => names.join(""),
    }
}

/// Why a release cannot be told from its twin: what is known to differ between the two is what the database does not show.
pub(super) fn twin(best: &Shape, twin: &Shape) -> Twin {
    let mut parts = Vec::new();
    let odd = |one: &BTreeSet<&String>, other: &BTreeSet<&String>| -> Vec<String> {
        one.symmetric_difference(other).map(|name| (*name).clone()).collect()
    };
    let keys = |shape: &'_ Shape| shape.fingerprints.keys().copied().collect::<BTreeSet<_>>();
    let spelled = |name: &str| {
        [best, twin].iter().find_map(|s| s.routines.get(name)).map_or(name.to_owned(), |n| (*n).to_owned())
    };
    let bodies: Vec<String> = keys(best)
        .intersection(&keys(twin))
        .filter(|name| best.fingerprints.get(**name) != twin.fingerprints.get(**name))
        .map(|name| spelled(name))
        .collect();
    if !bodies.is_empty() {
        parts.push(match bodies.len() {
            1 => format!("the body of {}", list(bodies)),
            _ => format!("the bodies of {}", list(bodies)),
        });
    }
    for (what, one, other) in [
        ("the procedures or functions", &best.routines, &twin.routines),
        ("the views", &best.views, &twin.views),
        ("the types", &best.types, &twin.types),
    ] {
        let names = odd(&one.keys().collect(), &other.keys().collect());
        if !names.is_empty() {
            parts.push(format!("{what} {}", list(names)));
        }
    }
    let tables: Vec<String> = best
        .tables
        .iter()
        .filter(|(key, (_, columns))| {
            twin.tables.get(*key).is_some_and(|(_, theirs)| {
                columns.len() != theirs.len()
                    || columns.iter().any(|(name, held)| theirs.get(name).is_none_or(|t| t.text() != held.text()))
            })
        })
        .map(|(_, (name, _))| (*name).to_owned())
        .collect();
    if !tables.is_empty() {
        parts.push(format!("columns of {}", list(tables)));
    }
    let because = if parts.is_empty() {
        "nothing that is known of the two differs".to_owned()
    } else {
        format!("they differ in {} only, which this database does not show", parts.join(", and "))
    };
    Twin { release: twin.name.to_owned(), because }
}
