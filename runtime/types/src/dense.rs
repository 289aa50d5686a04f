//! A map for numbers that are given out one after the other; it knows nothing of what they number.
use alloc::boxed::Box;
use alloc::collections::VecDeque;

/// Entries of a page. Larger pages are found sooner, smaller ones leave less room empty around a lonely entry.
const PAGE: u32 = 16;

/// A map from numbers to entries, made for numbers of which neighbours come and go together, such as a job's tasks: a
/// look-up costs no hashing and, as long as no whole page is missing between others, no search. Any number may be used; a
/// lonely one takes the room of a whole page.
#[derive(Debug)]
pub struct DenseMap<T> {
    /// By number. None is empty.
    pages: VecDeque<(u32, Box<Page<T>>)>,
    len: usize,
}

#[derive(Debug)]
struct Page<T> {
    used: u32,
    entries: [Option<T>; PAGE as usize],
}

impl<T> Default for DenseMap<T> {
    fn default() -> Self {
        Self { pages: VecDeque::new(), len: 0 }
    }
}

impl<T> DenseMap<T> {
    /// How many entries there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The entry of a number.
    #[must_use]
    pub fn get(&self, number: u32) -> Option<&T> {
        let (page, place) = locate(number);
        self.page(page)?.entries[place].as_ref()
    }

    /// The entry of a number, to be changed.
    pub fn get_mut(&mut self, number: u32) -> Option<&mut T> {
        let (page, place) = locate(number);
        let index = self.find(page).ok()?;
        self.pages[index].1.entries[place].as_mut()
    }

    /// Gives a number an entry; returns the one it had.
    pub fn insert(&mut self, number: u32, entry: T) -> Option<T> {
        let (page, place) = locate(number);
        let index = self.find(page).unwrap_or_else(|index| {
            self.pages.insert(index, (page, Box::new(Page { used: 0, entries: [const { None }; PAGE as usize] })));
            index
        });
        let page = &mut self.pages[index].1;
        let before = page.entries[place].replace(entry);
        if before.is_none() {
            page.used += 1;
            self.len += 1;
        }
        before
    }

    /// Takes the entry of a number out.
    pub fn remove(&mut self, number: u32) -> Option<T> {
        let (page, place) = locate(number);
        let index = self.find(page).ok()?;
        let page = &mut self.pages[index].1;
        let entry = page.entries[place].take()?;
        page.used -= 1;
        if page.used == 0 {
            self.pages.remove(index);
        }
        self.len -= 1;
        Some(entry)
    }

    /// All entries, by number.
    pub fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        self.pages.iter().flat_map(|(page, entries)| {
            let placed = (0..PAGE).zip(&entries.entries);
            placed.filter_map(move |(place, entry)| Some((page * PAGE + place, entry.as_ref()?)))
        })
    }

    /// All entries, by number.
    pub fn into_values(self) -> impl Iterator<Item = T> {
        self.pages.into_iter().flat_map(|(_, page)| page.entries.into_iter().flatten())
    }

    fn page(&self, page: u32) -> Option<&Page<T>> {
        match self.pages.get(self.likely(page)) {
            Some((found, entries)) if *found == page => Some(entries),
            _ => self.pages.get(self.search(page).ok()?).map(|(_, entries)| &**entries),
        }
    }

    /// Where a page is, or where it would have to be.
    fn find(&self, page: u32) -> Result<usize, usize> {
        let likely = self.likely(page);
        match self.pages.get(likely) {
            Some((found, _)) if *found == page => Ok(likely),
            _ => self.search(page),
        }
    }

    /// Where a page is if none is missing before it.
    fn likely(&self, page: u32) -> usize {
        self.pages.front().map_or(0, |(first, _)| page.wrapping_sub(*first) as usize)
    }

    #[cold]
    fn search(&self, page: u32) -> Result<usize, usize> {
        self.pages.binary_search_by_key(&page, |(found, _)| *found)
    }
}

const fn locate(number: u32) -> (u32, usize) {
    (number / PAGE, (number % PAGE) as usize)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    #[test]
    fn every_number_has_its_own_entry() {
        let mut map = DenseMap::default();
        let numbers = [0, 1, 15, 16, 17, 1_000, u32::MAX];
        for number in numbers {
            assert_eq!(map.insert(number, number), None);
        }
        assert_eq!(map.len(), numbers.len());
        assert!(numbers.iter().all(|number| map.get(*number) == Some(number)));
        assert_eq!((map.get(2), map.get(999)), (None, None));
        assert_eq!(map.get_mut(18), None);
        assert_eq!(map.insert(17, 4), Some(17));
        *map.get_mut(17).unwrap() += 1;
        assert_eq!((map.remove(17), map.remove(17), map.len()), (Some(5), None, numbers.len() - 1));
        let numbers = [0, 1, 15, 16, 1_000, u32::MAX];
        assert_eq!(map.iter().collect::<Vec<_>>(), numbers.each_ref().map(|number| (*number, number)));
        assert_eq!(map.into_values().collect::<Vec<_>>(), numbers);
    }

    #[test]
    fn an_entry_is_found_whatever_is_missing_around_it() {
        let mut map = DenseMap::default();
        for number in (0..2_000_u32).rev() {
            map.insert(number * 7, number);
        }
        for number in (0..2_000).filter(|number| number % 100 < 60 || number % 3 == 0) {
            assert_eq!(map.remove(number * 7), Some(number));
        }
        let left: Vec<_> = (0..2_000).filter(|number| number % 100 >= 60 && number % 3 != 0).collect();
        assert!(left.iter().all(|number| map.get(number * 7) == Some(number)));
        assert_eq!(map.into_values().collect::<Vec<_>>(), left);
    }

    #[test]
    fn a_page_goes_with_its_last_entry() {
        let mut map = DenseMap::default();
        for number in 0..10_000 {
            map.insert(number, number);
            map.remove(number.wrapping_sub(3));
        }
        assert!(map.pages.len() <= 2 && map.len() == 3, "{} pages", map.pages.len());
        for number in 9_997..10_000 {
            map.remove(number);
        }
        assert!(map.is_empty() && map.pages.is_empty());
    }
}
