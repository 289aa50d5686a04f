//! Which bytes of a value have arrived, which are on their way and which nobody was asked for; it moves none of them.
use std::ops::Range;

/// The bytes of a value on its way, as offsets.
#[derive(Debug)]
pub(super) struct Pieces {
    size: u64,
    /// What nobody was asked for: sorted, without overlaps, none of them empty.
    open: Vec<Range<u64>>,
    /// What is here: the same, and none touches the next one.
    arrived: Vec<Range<u64>>,
}

impl Pieces {
    /// All of a value, but what the first holder was asked for before its size was known.
    pub(super) fn behind(first: Range<u64>, size: u64) -> Self {
        let open = [0..first.start, first.end..size];
        Self { size, open: open.into_iter().filter(|open| !open.is_empty()).collect(), arrived: Vec::new() }
    }

    /// The foremost bytes nobody was asked for, at most `longest`; from now on somebody is.
    pub(super) fn take(&mut self, longest: u64) -> Option<Range<u64>> {
        let first = self.open.first_mut()?;
        let taken = first.start..first.end.min(first.start.saturating_add(longest));
        first.start = taken.end;
        if first.is_empty() {
            self.open.remove(0);
        }
        Some(taken)
    }

    /// What was taken, or the rest of it, does not come.
    pub(super) fn give_back(&mut self, range: Range<u64>) {
        if !range.is_empty() {
            let at = self.open.partition_point(|open| open.start < range.start);
            self.open.insert(at, range);
        }
    }

    /// What was taken, or the beginning of it, is here.
    pub(super) fn arrive(&mut self, range: Range<u64>) {
        if range.is_empty() {
            return;
        }
        let at = self.arrived.partition_point(|arrived| arrived.end < range.start);
        let touched = self.arrived[at..].iter().take_while(|arrived| arrived.start <= range.end).count();
        let joined = self
            .arrived
            .drain(at..at + touched)
            .fold(range, |joined, arrived| joined.start.min(arrived.start)..joined.end.max(arrived.end));
        self.arrived.insert(at, joined);
    }

    /// How far everything from `offset` on is here: the offset behind it.
    pub(super) fn reach(&self, offset: u64) -> u64 {
        let around = self.arrived.iter().find(|arrived| arrived.contains(&offset));
        around.map_or(offset, |arrived| arrived.end)
    }

    /// Whether all is here.
    pub(super) fn is_whole(&self) -> bool {
        self.reach(0) == self.size
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_empty_value_is_whole_at_once() {
        let mut pieces = Pieces::behind(0..0, 0);
        assert!(pieces.is_whole() && pieces.take(10).is_none());
    }

    #[test]
    fn what_was_cut_is_asked_for_before_what_comes_behind_it() {
        let mut pieces = Pieces::behind(0..10, 40);
        assert_eq!(pieces.take(10), Some(10..20));
        pieces.arrive(10..14);
        pieces.give_back(14..20);
        pieces.arrive(0..10);
        assert_eq!(pieces.reach(0), 14);
        assert_eq!((pieces.take(10), pieces.take(100), pieces.take(1)), (Some(14..20), Some(20..40), None));
        assert!(!pieces.is_whole());
        pieces.arrive(20..40);
        assert_eq!((pieces.reach(0), pieces.reach(14), pieces.reach(25)), (14, 14, 40));
        pieces.arrive(14..20);
        assert!(pieces.is_whole());
    }

    proptest! {
        /// However pieces are cut, each byte is asked for until it arrives, and never twice at a time.
        #[test]
        fn every_byte_arrives_once(
            size in 1_u64..200,
            steps in prop::collection::vec((1_u64..60, 0_u64..60, 0_usize..4), 1..80),
        ) {
            let mut pieces = Pieces::behind(0..size.min(16), size);
            let mut under_way = Vec::new();
            under_way.push(0..size.min(16));
            let mut here = vec![false; usize::try_from(size).unwrap()];
            for (longest, brought, which) in steps {
                under_way.extend(pieces.take(longest));
                if under_way.is_empty() {
                    break;
                }
                let range = under_way.swap_remove(which % under_way.len());
                let cut = range.end.min(range.start + brought);
                for offset in range.start..cut {
                    let seen = &mut here[usize::try_from(offset).unwrap()];
                    prop_assert!(!*seen);
                    *seen = true;
                }
                pieces.arrive(range.start..cut);
                pieces.give_back(cut..range.end);
                let reach = pieces.reach(0);
                prop_assert_eq!(reach, here.iter().take_while(|seen| **seen).count() as u64);
            }
            under_way.into_iter().for_each(|range| pieces.give_back(range));
            while let Some(range) = pieces.take(u64::MAX) {
                pieces.arrive(range);
            }
            prop_assert!(pieces.is_whole());
        }
    }
}
