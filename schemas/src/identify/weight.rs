//! How heavily a difference weighs against a release.
//!
//! A country adds, widens and drops things of its own; it does not by chance make exactly what a release made. So a
//! difference weighs by what the other releases say of the thing:
//!
//! | the database | and | weighs |
//! |---|---|---|
//! | has a thing, or has it so | a *later* release has it just so | 4: whoever has it is not older than that |
//! | lacks a thing | a *later* release lacks it, too | 2: it was taken away there, or the country dropped it |
//! | has it another way | an *earlier* release has it just so | 2: an upgrade that did not get there |
//! | anything else | | 1: left over from an earlier release, dropped, hidden, or the country's own |
//!
//! What no release knows weighs 1 against each of them, and so decides nothing.

use std::collections::BTreeSet;

use super::differences::Differences;
use super::{Difference, Thing};

const OF_A_LATER: u64 = 4;
const OF_AN_EARLIER: u64 = 2;

/// What a release says another way than the database, by kind and name in lower case.
type Told = BTreeSet<(Thing, String)>;

fn told(differences: &Differences) -> Told {
    let Differences { added, changed, removed, .. } = differences;
    [added, changed, removed].into_iter().flatten().map(|d| (d.thing, d.name.to_lowercase())).collect()
}

/// Whether a release agrees with the database about a thing.
fn agrees(told: &Told, difference: &Difference) -> bool {
    let table = difference.table.as_ref().map(|table| (Thing::Table, table.to_lowercase()));
    !told.contains(&(difference.thing, difference.name.to_lowercase()))
        && table.is_none_or(|table| !told.contains(&table))
}

/// The weights of releases, from their differences, oldest first.
pub(super) fn weights(all: &[Differences]) -> Vec<u64> {
    let told: Vec<Told> = all.iter().map(told).collect();
    let weight = |(rank, differences): (usize, &Differences)| {
        let later = |d: &Difference| told.iter().skip(rank + 1).any(|told| agrees(told, d));
        let earlier = |d: &Difference| told.iter().take(rank).any(|told| agrees(told, d));
        let added = differences.added.iter().map(|d| if later(d) { OF_A_LATER } else { 1 });
        let changed = differences.changed.iter().map(|d| match () {
            () if later(d) => OF_A_LATER,
            () if earlier(d) => OF_AN_EARLIER,
            () => 1,
        });
        let removed = differences.removed.iter().map(|d| if later(d) { OF_AN_EARLIER } else { 1 });
        added.sum::<u64>() + changed.sum::<u64>() + removed.sum::<u64>()
    };
    all.iter().enumerate().map(weight).collect()
}
