//! An ordered set that is mostly entered at one end and left at the other; it knows nothing of what it orders.
use alloc::collections::VecDeque;

/// Entries of a chunk. Larger chunks are found sooner, smaller ones are sooner changed in the middle.
const CHUNK: usize = 64;

/// An ordered set. Whoever comes before or after everybody else, and whoever is first and leaves, costs no search; all
/// others one search and a shift within a chunk.
#[derive(Debug)]
pub(crate) struct Line<T> {
    /// None is empty, unless there is but one.
    chunks: VecDeque<Chunk<T>>,
}

#[derive(Debug)]
struct Chunk<T> {
    /// It has what is not less than this, and less than the floor of the next one. The floor of the first counts for nothing.
    floor: T,
    /// In order.
    entries: VecDeque<T>,
}

impl<T> Default for Line<T> {
    fn default() -> Self {
        Self { chunks: VecDeque::new() }
    }
}

impl<T: Copy + Ord> Line<T> {
    pub(crate) fn first(&self) -> Option<T> {
        self.chunks.front().and_then(|chunk| chunk.entries.front()).copied()
    }

    pub(crate) fn last(&self) -> Option<T> {
        self.chunks.back().and_then(|chunk| chunk.entries.back()).copied()
    }

    /// The first that is greater than `entry`.
    pub(crate) fn first_after(&self, entry: T) -> Option<T> {
        if self.last().is_none_or(|last| last <= entry) {
            return None;
        }
        let place = self.place_of(entry);
        let within = |chunk: &Chunk<T>| {
            let after = chunk.entries.partition_point(|other| *other <= entry);
            chunk.entries.get(after).copied()
        };
        let next = || self.chunks.get(place + 1)?.entries.front().copied();
        self.chunks.get(place).and_then(within).or_else(next)
    }

    /// Whether it was not there.
    pub(crate) fn insert(&mut self, entry: T) -> bool {
        if let Some(Chunk { entries, .. }) = self.chunks.back_mut()
            && entries.len() < CHUNK
            && entries.back().is_some_and(|last| *last < entry)
        {
            entries.push_back(entry);
            return true;
        }
        let place = self.place_of(entry);
        let Some(chunk) = self.chunks.get_mut(place) else {
            self.chunks.push_back(Chunk { floor: entry, entries: VecDeque::from([entry]) });
            return true;
        };
        let Err(within) = chunk.entries.binary_search(&entry) else { return false };
        if chunk.entries.len() < CHUNK {
            chunk.entries.insert(within, entry);
        } else {
            self.insert_into_full(place, within, entry);
        }
        true
    }

    /// Whether it was there.
    pub(crate) fn remove(&mut self, entry: T) -> bool {
        let place = if self.first() == Some(entry) { 0 } else { self.place_of(entry) };
        let Some(Chunk { entries, .. }) = self.chunks.get_mut(place) else { return false };
        if entries.front() == Some(&entry) {
            entries.pop_front();
        } else if let Ok(within) = entries.binary_search(&entry) {
            entries.remove(within);
        } else {
            return false;
        }
        if entries.is_empty() && self.chunks.len() > 1 {
            self.chunks.remove(place);
        }
        true
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = T> {
        self.chunks.iter().flat_map(|chunk| chunk.entries.iter().copied())
    }

    /// Half of a chunk moves into a new one; nothing does if the entry comes behind all of it, so that chunks are full if
    /// entries come in order.
    fn insert_into_full(&mut self, place: usize, within: usize, entry: T) {
        let Chunk { floor, entries } = &mut self.chunks[place];
        let staying = if within == CHUNK { CHUNK } else { CHUNK / 2 };
        let mut moving = entries.split_off(staying);
        moving.reserve_exact(CHUNK - moving.len());
        match within.checked_sub(staying) {
            Some(within) => moving.insert(within, entry),
            None => entries.insert(within, entry),
        }
        // That of the first may be too high, because it counted for nothing.
        *floor = entries[0].min(*floor);
        self.chunks.insert(place + 1, Chunk { floor: moving[0], entries: moving });
    }

    /// The chunk an entry is in if it is anywhere.
    fn place_of(&self, entry: T) -> usize {
        match self.chunks.back() {
            Some(last) if last.floor <= entry => self.chunks.len() - 1,
            _ if self.chunks.get(1).is_none_or(|second| entry < second.floor) => 0,
            _ => self.chunks.partition_point(|chunk| chunk.floor <= entry).saturating_sub(1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::BTreeSet;
    use alloc::vec::Vec;

    /// Does the same to a line and to a set; `next` says what, from a number that looks random.
    fn compare(rounds: u32, next: impl Fn(u32, u32) -> (bool, u32)) {
        let (mut line, mut set) = (Line::default(), BTreeSet::new());
        let mut state = 1_u32;
        for round in 0..rounds {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let (enters, entry) = next(round, state >> 8);
            if enters {
                assert_eq!(line.insert(entry), set.insert(entry), "{entry} enters in round {round}");
            } else {
                let entry = set.range(entry..).next().or(set.first()).copied().unwrap_or(entry);
                assert_eq!(line.remove(entry), set.remove(&entry), "{entry} leaves in round {round}");
                assert!(!line.remove(entry), "{entry} has left in round {round}");
            }
            assert_eq!((line.first(), line.last()), (set.first().copied(), set.last().copied()), "in round {round}");
            let after = entry.wrapping_add(state % 7);
            let expected = set.range((core::ops::Bound::Excluded(after), core::ops::Bound::Unbounded)).next().copied();
            assert_eq!(line.first_after(after), expected, "after {after} in round {round}");
        }
        assert_eq!(line.iter().collect::<Vec<_>>(), set.iter().copied().collect::<Vec<_>>());
        let chunks = line.chunks.len();
        assert!(chunks <= 1 + set.len(), "{chunks} chunks for {} entries", set.len());
    }

    #[test]
    fn it_has_what_an_ordered_set_has() {
        compare(20_000, |_, random| (random % 3 > 0, random % 5_000));
        compare(20_000, |round, random| (round < 12_000, random % 100_000));
        compare(5_000, |round, random| (random % 3 > 0, if random % 3 > 0 { 10_000 - round } else { 0 }));
        compare(20_000, |round, random| (random % 9 > 3, if random % 9 == 4 { random % round.max(1) } else { round }));
        compare(3_000, |round, _| (round % 300 < 150, round % 300));
    }

    #[test]
    fn entries_that_come_in_order_fill_the_room_they_take() {
        let mut line = Line::default();
        for entry in 0..10 * CHUNK {
            line.insert(entry);
        }
        let room: usize = line.chunks.iter().map(|chunk| chunk.entries.capacity()).sum();
        assert_eq!((line.chunks.len(), room), (10, 10 * CHUNK));
    }
}
