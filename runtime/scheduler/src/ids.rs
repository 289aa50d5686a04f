//! A set of numbers that were used once, kept as ranges because such numbers are handed out in order.
use alloc::collections::BTreeMap;

/// Numbers that must never be used again.
#[derive(Debug, Default)]
pub(crate) struct SpentNumbers {
    /// First and last number of each range; ranges neither overlap nor touch.
    ranges: BTreeMap<u32, u32>,
}

impl SpentNumbers {
    pub(crate) fn contains(&self, number: u32) -> bool {
        self.ranges.range(..=number).next_back().is_some_and(|(_, &last)| number <= last)
    }

    /// Whether the number was not in the set before.
    pub(crate) fn insert(&mut self, number: u32) -> bool {
        if self.contains(number) {
            return false;
        }
        let touches_before = self.ranges.range(..number).next_back().filter(|&(_, &last)| last + 1 == number);
        let first = touches_before.map_or(number, |(&first, _)| first);
        let after = number.checked_add(1).and_then(|next| self.ranges.remove(&next));
        self.ranges.insert(first, after.unwrap_or(number));
        true
    }
}

#[cfg(test)]
mod tests {
    use super::SpentNumbers;

    #[test]
    fn neighbours_become_one_range_whatever_their_order() {
        let mut spent = SpentNumbers::default();
        for number in [5, 3, 4, u32::MAX, 0, 1, 9] {
            assert!(spent.insert(number), "{number} was new");
            assert!(!spent.insert(number), "{number} is spent now");
        }
        let ranges: alloc::vec::Vec<_> = spent.ranges.iter().map(|(&a, &b)| (a, b)).collect();
        assert_eq!(ranges, [(0, 1), (3, 5), (9, 9), (u32::MAX, u32::MAX)]);
        assert!(!spent.contains(2) && !spent.contains(6) && spent.contains(4));
    }
}
