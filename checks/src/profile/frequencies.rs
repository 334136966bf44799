//! How often values occur, in bounded memory.
//!
//! Counts are by hash. When there are more different values than the bound, half of them go: the median count is taken from
//! each, and who has nothing left is forgotten (Misra and Gries, in the batched form of Anderson and others, 2017). So a count is at most
//! [`Frequencies::lost`] too low, which is less than two of every `limit` values that were seen, and nobody who occurs often is missed.
//! The values themselves are only kept of those who occur in a thousandth of what was seen.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// A value is kept when it is at least one of so many.
const RARE: u64 = 1_000;

/// Takes a hash as it is.
#[derive(Clone, Copy, Default)]
pub(super) struct Through(u64);

impl Hasher for Through {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = xxhash_rust::xxh3::xxh3_64(bytes);
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

type ByHash<V> = HashMap<u64, V, BuildHasherDefault<Through>>;

/// A count, and in its last bit whether the value is kept.
#[derive(Clone, Copy, Default)]
struct Count(u64);

impl Count {
    fn new(number: u64, is_kept: bool) -> Self {
        Count(number << 1 | u64::from(is_kept))
    }

    fn number(self) -> u64 {
        self.0 >> 1
    }

    fn is_kept(self) -> bool {
        self.0 & 1 == 1
    }
}

/// How often values occur.
#[derive(Clone, Default)]
pub(super) struct Frequencies {
    counts: ByHash<Count>,
    kept: ByHash<String>,
    limit: usize,
    lost: u64,
    seen: u64,
}

impl Frequencies {
    /// Nothing seen yet; exact up to `limit` different values.
    pub(super) fn new(limit: usize) -> Self {
        Frequencies { limit: limit.max(2), ..Frequencies::default() }
    }

    /// One more of the value with this hash.
    pub(super) fn add(&mut self, hash: u64, text: impl FnOnce() -> String) {
        self.seen += 1;
        let count = self.counts.entry(hash).or_default();
        *count = Count::new(count.number() + 1, count.is_kept());
        if !count.is_kept() && count.number() * RARE >= self.seen {
            *count = Count::new(count.number(), true);
            self.kept.insert(hash, text());
            if self.kept.len() > 2 * RARE as usize {
                self.tidy();
            }
        }
    }

    /// Lets go of kept values that have become rare.
    fn tidy(&mut self) {
        let (counts, seen) = (&mut self.counts, self.seen);
        self.kept.retain(|hash, _| match counts.get_mut(hash) {
            Some(count) if count.number() * RARE >= seen => true,
            Some(count) => {
                *count = Count::new(count.number(), false);
                false
            }
            None => false,
        });
    }

    /// Whether there are more different values than the bound.
    pub(super) fn is_full(&self) -> bool {
        self.counts.len() > self.limit
    }

    /// The hashes that are counted.
    pub(super) fn hashes(&self) -> impl Iterator<Item = u64> {
        self.counts.keys().copied()
    }

    /// Forgets the rare half.
    pub(super) fn purge(&mut self) {
        let mut numbers: Vec<u64> = self.counts.values().map(|count| count.number()).collect();
        let half = numbers.len() / 2;
        if half == 0 {
            return;
        }
        let (_, median, _) = numbers.select_nth_unstable(half);
        let median = *median;
        self.lost += median;
        let kept = &mut self.kept;
        self.counts.retain(|hash, count| {
            let left = count.number().saturating_sub(median);
            if left == 0 && count.is_kept() {
                kept.remove(hash);
            }
            *count = Count::new(left, count.is_kept());
            left > 0
        });
        // A table that was full once would stay as large for ever.
        self.counts.shrink_to(self.limit);
    }

    /// Adds what was seen elsewhere.
    pub(super) fn merge(&mut self, other: Frequencies) {
        self.seen += other.seen;
        self.lost += other.lost;
        for (hash, theirs) in other.counts {
            let count = self.counts.entry(hash).or_default();
            *count = Count::new(count.number() + theirs.number(), count.is_kept());
        }
        for (hash, text) in other.kept {
            if let Some(count) = self.counts.get_mut(&hash)
                && !count.is_kept()
            {
                *count = Count::new(count.number(), true);
                self.kept.insert(hash, text);
            }
        }
        if self.kept.len() > 2 * RARE as usize {
            self.tidy();
        }
    }

    /// How many different values are counted; all there are while [`Frequencies::lost`] is 0.
    pub(super) fn len(&self) -> usize {
        self.counts.len()
    }

    /// How much a count may be too low; 0 while nothing was forgotten.
    pub(super) fn lost(&self) -> u64 {
        self.lost
    }

    /// The count of the most frequent value.
    pub(super) fn most(&self) -> u64 {
        self.counts.values().map(|count| count.number()).max().unwrap_or(0)
    }

    /// The most frequent values that are known to be so, with their counts: the most frequent first, then by text.
    pub(super) fn top(&self, most: usize) -> Vec<(&str, u64)> {
        let all_kept = self.lost == 0 && self.kept.len() == self.counts.len();
        let mut top: Vec<(&str, u64)> = self
            .kept
            .iter()
            .filter_map(|(hash, text)| Some((text.as_str(), self.counts.get(hash)?.number())))
            .filter(|(_, number)| all_kept || number * RARE >= self.seen)
            .collect();
        top.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
        top.truncate(most);
        top
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use xxhash_rust::xxh3::xxh3_64;

    use super::*;

    fn add(to: &mut Frequencies, value: u64) {
        to.add(xxh3_64(&value.to_le_bytes()), || value.to_string());
        if to.is_full() {
            to.purge();
        }
    }

    #[test]
    fn who_is_frequent_is_found_however_late_and_memory_stays() {
        let mut found = Frequencies::new(1_000);
        // 300,000 that occur once, then one that occurs 2,000 times among 100,000 others.
        (0..300_000).for_each(|n| add(&mut found, n));
        for n in 0..100_000 {
            add(&mut found, 1_000_000 + n);
            if n % 50 == 0 {
                add(&mut found, 7_777_777);
            }
        }
        assert!(found.counts.len() <= 1_000 && found.kept.len() <= 2_000);
        assert!(found.lost() > 0 && found.lost() <= 2 * 402_000 / 1_000, "{}", found.lost());
        let top = found.top(10);
        assert_eq!(top.len(), 1, "{top:?}");
        assert_eq!(top[0].0, "7777777");
        assert!(top[0].1 <= 2_000 && top[0].1 + found.lost() >= 2_000, "{top:?}");
    }

    #[test]
    fn few_values_are_all_there_with_their_counts() {
        let mut found = Frequencies::new(1_000);
        (0..3_000_u64).for_each(|n| add(&mut found, n % 7));
        assert_eq!((found.len(), found.lost(), found.most()), (7, 0, 429));
        let top = found.top(5);
        assert_eq!(top.iter().map(|t| t.0).collect::<Vec<_>>(), ["0", "1", "2", "3", "4"]);
        assert_eq!((top[3].1, top[4].1), (429, 428));
    }

    proptest! {
        #[test]
        fn parts_add_up(values in proptest::collection::vec(0u64..40, 0..400), cut in 0usize..400) {
            let (mut one, mut other) = (Frequencies::new(100), Frequencies::new(100));
            let cut = cut.min(values.len());
            values[..cut].iter().for_each(|v| add(&mut one, *v));
            values[cut..].iter().for_each(|v| add(&mut other, *v));
            one.merge(other);
            let mut plain: BTreeMap<String, u64> = BTreeMap::new();
            values.iter().for_each(|v| *plain.entry(v.to_string()).or_default() += 1);
            let mut expected: Vec<(&str, u64)> = plain.iter().map(|(v, n)| (v.as_str(), *n)).collect();
            expected.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
            prop_assert_eq!(one.top(100), expected);
        }
    }
}
