//! What a violation is known by from one run to the next, in 16 bytes; and a set of such that remembers which were met.

use xxhash_rust::xxh3::{xxh3_64, xxh3_128_with_seed};

use crate::mask::KeyMask;

/// One part of one check at one column, and the seed of the fingerprints of its rows.
#[derive(Clone, Debug)]
pub(super) struct PartKey {
    pub(super) check: String,
    pub(super) what: String,
    pub(super) table: String,
    pub(super) column: String,
    /// Whether its violations are tables and columns: these have no key, and are told by their names.
    about_schema: bool,
    pub(super) seed: u64,
}

impl PartKey {
    pub(super) fn new(check: &str, what: &str, table: &str, column: &str, about_schema: bool) -> Self {
        let mut text = Vec::with_capacity(check.len() + what.len() + table.len() + column.len() + 32);
        // Names of tables and columns are the same in any case: the database may have moved to another engine.
        for part in [check, what, &table.to_lowercase(), &column.to_lowercase()] {
            text.extend_from_slice(&(part.len() as u64).to_le_bytes());
            text.extend_from_slice(part.as_bytes());
        }
        let seed = xxh3_64(&text);
        let [check, what, table, column] = [check, what, table, column].map(str::to_owned);
        PartKey { check, what, table, column, about_schema, seed }
    }

    pub(super) fn is(&self, check: &str, what: &str, table: &str, column: &str) -> bool {
        self.table == table && self.column == column && self.check == check && self.what == what
    }

    /// What a row with this key is known by; `None` where it cannot be told from others.
    pub(super) fn fingerprint(&self, key: Option<&str>) -> Option<u128> {
        match key {
            Some(key) if !KeyMask::is_masked(key) => Some(xxh3_128_with_seed(key.as_bytes(), self.seed)),
            None if self.about_schema => Some(xxh3_128_with_seed(b"", self.seed)),
            _ => None,
        }
    }
}

/// Fingerprints, each once, and whether they were met. They are sorted; a list of where each beginning starts (one for eight of them)
/// leads to the few that are compared, so that a look-up does not go through all of the memory.
#[derive(Debug, Default)]
pub(super) struct Fingerprints {
    sorted: Vec<u128>,
    starts: Vec<usize>,
    bits: u32,
    met: Vec<u64>,
}

impl Fingerprints {
    pub(super) fn of(mut all: Vec<u128>) -> Self {
        all.sort_unstable();
        all.dedup();
        let bits = all.len().checked_ilog2().unwrap_or_default().saturating_sub(3).clamp(1, 24);
        let mut starts = Vec::with_capacity((1 << bits) + 1);
        for (place, fingerprint) in all.iter().enumerate() {
            starts.resize(beginning(*fingerprint, bits) + 1, place);
        }
        starts.resize((1 << bits) + 1, all.len());
        Fingerprints { met: vec![0; all.len().div_ceil(64)], sorted: all, starts, bits }
    }

    fn place(&self, fingerprint: u128) -> Option<usize> {
        let beginning = beginning(fingerprint, self.bits);
        let (start, end) = (*self.starts.get(beginning)?, *self.starts.get(beginning + 1)?);
        let place = self.sorted.get(start..end)?.binary_search(&fingerprint).ok()?;
        Some(start + place)
    }

    /// Notes that it was met; says whether it is one of them.
    pub(super) fn meet(&mut self, fingerprint: u128) -> bool {
        let Some(place) = self.place(fingerprint) else { return false };
        if let Some(bits) = self.met.get_mut(place / 64) {
            *bits |= 1 << (place % 64);
        }
        true
    }

    /// Whether it was met.
    pub(super) fn was_met(&self, fingerprint: u128) -> bool {
        let place = self.place(fingerprint);
        place.is_some_and(|place| self.met.get(place / 64).is_some_and(|bits| bits >> (place % 64) & 1 == 1))
    }
}

/// The first bits of a fingerprint. They are as good as random.
fn beginning(fingerprint: u128, bits: u32) -> usize {
    (fingerprint >> (128 - bits)) as usize
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_in_is_found_and_nothing_else(
            inside in prop::collection::vec(any::<u128>(), 0..300), met in 0_usize..300, other in any::<u128>(),
        ) {
            let mut set = Fingerprints::of(inside.clone());
            for fingerprint in inside.iter().take(met) {
                prop_assert!(set.meet(*fingerprint));
            }
            for (place, fingerprint) in inside.iter().enumerate() {
                let again = inside.iter().take(met).any(|other| other == fingerprint);
                prop_assert_eq!(set.was_met(*fingerprint), place < met || again);
            }
            prop_assert_eq!(set.meet(other), inside.contains(&other));
        }
    }

    #[test]
    fn parts_and_keys_are_told_apart() {
        let part = |what: &str, column: &str| PartKey::new("I1", what, "tblInsuree", column, false);
        let of = |part: PartKey, key: &str| part.fingerprint(Some(key)).unwrap();
        assert_eq!(of(part("a", "b"), "1"), of(part("a", "b"), "1"));
        assert_ne!(of(part("a", "b"), "1"), of(part("a", "b"), "2"));
        assert_eq!(of(part("a", "b"), "1"), of(part("a", "B"), "1"), "names of columns in any case");
        assert_ne!(of(part("a", "b"), "1"), of(part("A", "b"), "1"));
        assert_ne!(of(part("ab", ""), "1"), of(part("a", "b"), "1"));
        assert_eq!(part("a", "b").fingerprint(Some("***")), None);
        assert_eq!(part("a", "b").fingerprint(None), None);
        assert!(PartKey::new("X15", "", "tblInsuree", "Extra", true).fingerprint(None).is_some());
    }
}
