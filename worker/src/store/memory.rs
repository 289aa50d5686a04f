//! A store in the worker's own memory, for a worker without a node's area: values are kept as they came.
use super::{Origin, Room, Stored, ValueStore};
use crate::failure::TaskError;
use dashmap::DashMap;
use dashmap::mapref::entry::Entry;
use quiltwork_types::{AttemptId, ValueId};

/// A store in this process's own memory.
#[derive(Debug)]
pub(crate) struct MemoryStore {
    values: DashMap<ValueId, Stored>,
    room: Room,
}

impl MemoryStore {
    /// An empty store for at most `limit` bytes of values.
    pub(crate) fn new(limit: u64) -> Self {
        Self { values: DashMap::new(), room: Room::new(limit) }
    }

    fn release(&self, stored: &Stored) {
        self.room.release(size_of(stored));
    }
}

impl ValueStore for MemoryStore {
    fn put(&self, value: ValueId, stored: Stored) -> Result<(), TaskError> {
        self.room.reserve(size_of(&stored), stored.origin)?;
        let left_over = match self.values.entry(value) {
            Entry::Vacant(entry) => {
                entry.insert(stored);
                return Ok(());
            }
            Entry::Occupied(mut entry) if stored.origin == Origin::Copied => entry.insert(stored),
            Entry::Occupied(_) => stored,
        };
        self.release(&left_over);
        Ok(())
    }

    fn get(&self, value: ValueId) -> Option<Stored> {
        self.values.get(&value).map(|stored| stored.clone())
    }

    fn remove(&self, value: ValueId) {
        if let Some((_, stored)) = self.values.remove(&value) {
            self.release(&stored);
        }
    }

    fn remove_made_by(&self, attempt: AttemptId) {
        let made_by = |_: &ValueId, stored: &Stored| stored.origin == Origin::Made(attempt);
        if let Some((_, stored)) = self.values.remove_if(&ValueId::of(attempt.task), made_by) {
            self.release(&stored);
        }
    }

    /// Its values are in the process's own memory.
    fn in_memory(&self) -> u64 {
        0
    }

    fn spill_to(&self, _target: u64) {}
}

fn size_of(stored: &Stored) -> u64 {
    stored.output.bytes.len() as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arguments::Output;
    use bytes::Bytes;
    use quiltwork_types::{Encoding, JobId, TaskId};

    fn value(index: u32) -> ValueId {
        ValueId::of(TaskId { job: JobId(1), index })
    }

    fn made(index: u32, number: u32) -> Origin {
        Origin::Made(AttemptId { task: value(index).task, number })
    }

    fn put(store: &MemoryStore, index: u32, origin: Origin, size: usize) -> Result<(), TaskError> {
        let output = Output { encoding: Encoding::Raw, bytes: Bytes::from(vec![0; size]) };
        store.put(value(index), Stored { origin, output })
    }

    fn held(store: &MemoryStore) -> u64 {
        store.room.held()
    }

    #[test]
    fn a_full_store_refuses_and_says_its_numbers() {
        let store = MemoryStore::new(100);
        put(&store, 1, made(1, 1), 60).unwrap();
        let error = put(&store, 2, made(2, 1), 41).unwrap_err();
        assert!(matches!(error, TaskError::StoreFull { size: 41, held: 60, limit: 100 }), "{error}");
        assert!(store.get(value(2)).is_none());
        put(&store, 2, made(2, 1), 40).unwrap();
        store.remove(value(1));
        store.remove(value(1));
        assert_eq!(held(&store), 40);
    }

    #[test]
    fn copies_leave_half_of_the_room_to_results() {
        let store = MemoryStore::new(100);
        put(&store, 1, Origin::Copied, 50).unwrap();
        assert!(put(&store, 2, Origin::Copied, 1).is_err());
        put(&store, 3, made(3, 1), 50).unwrap();
    }

    #[test]
    fn the_first_result_stays_and_only_its_own_attempt_removes_it() {
        let store = MemoryStore::new(100);
        put(&store, 1, made(1, 1), 10).unwrap();
        put(&store, 1, made(1, 2), 20).unwrap();
        assert_eq!((store.get(value(1)).unwrap().origin, held(&store)), (made(1, 1), 10));
        store.remove_made_by(AttemptId { task: value(1).task, number: 2 });
        assert!(store.get(value(1)).is_some());
        store.remove_made_by(AttemptId { task: value(1).task, number: 1 });
        assert_eq!((store.get(value(1)).is_none(), held(&store)), (true, 0));
    }

    #[test]
    fn a_copy_takes_the_place_of_an_unpublished_result() {
        let store = MemoryStore::new(100);
        put(&store, 1, made(1, 1), 30).unwrap();
        put(&store, 1, Origin::Copied, 10).unwrap();
        store.remove_made_by(AttemptId { task: value(1).task, number: 1 });
        assert_eq!((store.get(value(1)).unwrap().origin, held(&store)), (Origin::Copied, 10));
    }
}
