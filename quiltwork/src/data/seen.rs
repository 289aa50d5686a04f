//! Values by key in the order in which the keys were first seen, and which part of a shuffle a key belongs to.
use rustc_hash::FxHasher;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{BuildHasherDefault, Hash, Hasher};

/// The same in every process: nothing about it is random.
pub(super) type FixedHasher = BuildHasherDefault<FxHasher>;

/// Values by key; it remembers in which order the keys came, so that nothing depends on a hash.
pub(super) struct Seen<K, V> {
    entries: HashMap<K, (usize, Option<V>), FixedHasher>,
}

impl<K: Hash + Eq, V> Seen<K, V> {
    pub(super) fn new() -> Self {
        Self { entries: HashMap::default() }
    }

    /// The first value of a key is made by `start`, further ones are joined to it.
    pub(super) fn add<W>(&mut self, key: K, value: W, start: impl FnOnce(W) -> V, join: impl FnOnce(V, W) -> V) {
        let order = self.entries.len();
        match self.entries.entry(key) {
            Entry::Vacant(entry) => {
                entry.insert((order, Some(start(value))));
            }
            Entry::Occupied(mut entry) => {
                let (_, slot) = entry.get_mut();
                let before = slot.take().expect("it was put back");
                *slot = Some(join(before, value));
            }
        }
    }

    pub(super) fn get(&self, key: &K) -> Option<&V> {
        self.entries.get(key)?.1.as_ref()
    }

    /// All keys with their values, in the order in which the keys were first seen.
    pub(super) fn into_ordered(self) -> impl Iterator<Item = (K, V)> {
        let mut entries: Vec<_> = self.entries.into_iter().collect();
        entries.sort_unstable_by_key(|(_, (order, _))| *order);
        entries.into_iter().map(|(key, (_, value))| (key, value.expect("it was put back")))
    }
}

/// Which of `targets` parts of a shuffle a key belongs to.
pub(super) fn target_of<K: Hash + ?Sized>(key: &K, targets: u32) -> u32 {
    let mut hasher = FxHasher::default();
    key.hash(&mut hasher);
    let target = (u128::from(mix(hasher.finish())) * u128::from(targets)) >> 64;
    u32::try_from(target).expect("it is below the number of targets")
}

/// Spreads a number over all 64 bits (the end of SplitMix64).
pub(super) const fn mix(number: u64) -> u64 {
    let number = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_out_in_the_order_in_which_they_were_first_seen() {
        let mut seen = Seen::new();
        for (key, value) in [("b", 1), ("a", 2), ("c", 3), ("a", 4), ("b", 5)] {
            seen.add(
                key,
                value,
                |value| vec![value],
                |mut all, value| {
                    all.push(value);
                    all
                },
            );
        }
        assert_eq!(seen.into_ordered().collect::<Vec<_>>(), [("b", vec![1, 5]), ("a", vec![2, 4]), ("c", vec![3])]);
    }

    #[test]
    fn keys_are_spread_evenly_and_always_alike() {
        for targets in [1, 2, 7, 64] {
            let mut counts = vec![0_u32; targets as usize];
            (0..20_000_u64).for_each(|key| counts[target_of(&key, targets) as usize] += 1);
            let fair = 20_000 / targets;
            assert!(counts.iter().all(|count| count.abs_diff(fair) < fair / 2 + 1), "{targets}: {counts:?}");
        }
        // The order of results rests on it: other numbers here change what users get from the same data.
        assert_eq!(["", "a", "quilt"].map(|key| target_of(key, 1000)), [220, 537, 432]);
    }
}
