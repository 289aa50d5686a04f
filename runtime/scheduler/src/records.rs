//! Room for task records, found by key; it knows nothing of what is in them.
use crate::task::{Key, Task};
use alloc::vec::Vec;

/// Records of a page. A page is never moved: room for more is not bought with a copy of everything that is there.
const PAGE: usize = 64;

/// Task records by key. A key is used again when its record is gone.
#[derive(Debug, Default)]
pub(crate) struct Records {
    pages: Vec<Vec<Option<Task>>>,
    /// Keys in the pages that are free. The one that became free last is used first: it is where the cache is warm.
    free: Vec<u32>,
    len: usize,
}

impl Records {
    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn get(&self, key: Key) -> Option<&Task> {
        let (page, place) = locate(key.0);
        self.pages.get(page)?.get(place)?.as_ref()
    }

    pub(crate) fn get_mut(&mut self, key: Key) -> Option<&mut Task> {
        let (page, place) = locate(key.0);
        self.pages.get_mut(page)?.get_mut(place)?.as_mut()
    }

    pub(crate) fn insert(&mut self, task: Task) -> Key {
        self.len += 1;
        if let Some(key) = self.free.pop() {
            let (page, place) = locate(key);
            self.pages[page][place] = Some(task);
            return Key(key);
        }
        if self.pages.last().is_none_or(|page| page.len() == PAGE) {
            self.pages.push(Vec::with_capacity(PAGE));
        }
        let number = self.pages.len() - 1;
        let page = &mut self.pages[number];
        page.push(Some(task));
        let key = number * PAGE + page.len() - 1;
        Key(u32::try_from(key).expect("fewer than 2^32 records fit in memory"))
    }

    /// Takes out a record, which must be there.
    pub(crate) fn remove(&mut self, key: Key) -> Task {
        let (page, place) = locate(key.0);
        let task = self.pages[page][place].take().expect("a record is removed once");
        self.free.push(key.0);
        self.len -= 1;
        task
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (Key, &Task)> {
        let numbered = (0..).zip(self.pages.iter().flatten());
        numbered.filter_map(|(key, record)| Some((Key(key), record.as_ref()?)))
    }
}

const fn locate(key: u32) -> (usize, usize) {
    (key as usize / PAGE, key as usize % PAGE)
}
