//! A store in the worker's own memory, for a worker without a node's area: values are kept as they came.
use super::room::{Counted, Room};
use super::{Incoming, Origin, Stored, ValueStore};
use crate::arguments::Output;
use crate::copies::note_copy;
use crate::failure::{FullPlace, TaskError};
use dashmap::DashMap;
use dashmap::mapref::entry::Entry;
use quiltwork_types::{AttemptId, Encoding, ValueId};
use std::io::{self, ErrorKind, IoSlice};
use std::sync::{Arc, Mutex, PoisonError};

/// A store in this process's own memory.
#[derive(Debug)]
pub(crate) struct MemoryStore {
    values: DashMap<ValueId, Held>,
    room: Room,
}

/// A value and the room it takes.
#[derive(Debug)]
struct Held {
    stored: Stored,
    _counted: Counted,
}

impl MemoryStore {
    /// An empty store for at most `limit` bytes of values.
    pub(crate) fn new(limit: u64) -> Self {
        Self { values: DashMap::new(), room: Room::new(limit) }
    }

    fn reserve(&self, size: u64, origin: Origin) -> Result<Counted, TaskError> {
        match origin {
            Origin::Made(_) => self.room.reserve(size),
            Origin::Copied => self.room.reserve_copy(size),
        }
        .ok_or_else(|| {
            let (held, limit) = (self.room.held(), self.room.limit());
            let own_memory = FullPlace { folder: None, held, limit, is_used_up: false };
            TaskError::StoreFull { size, places: vec![own_memory] }
        })
    }

    fn enter(&self, value: ValueId, stored: Stored, counted: Counted) {
        match self.values.entry(value) {
            Entry::Occupied(_) if stored.origin != Origin::Copied => {}
            entry => drop(entry.insert(Held { stored, _counted: counted })),
        }
    }
}

impl ValueStore for MemoryStore {
    fn put(&self, value: ValueId, stored: Stored) -> Result<(), TaskError> {
        let counted = self.reserve(stored.output.bytes.len() as u64, stored.origin)?;
        self.enter(value, stored, counted);
        Ok(())
    }

    fn begin(
        self: Arc<Self>,
        value: ValueId,
        origin: Origin,
        encoding: Encoding,
        size: u64,
    ) -> Result<Box<dyn Incoming>, TaskError> {
        let counted = self.reserve(size, origin)?;
        let size = usize::try_from(size).expect("there is room for it in memory");
        Ok(Box::new(Buffer { store: self, value, origin, encoding, bytes: Mutex::new(vec![0; size]), counted }))
    }

    fn in_memory(&self) -> u64 {
        self.room.held()
    }

    /// There is nowhere to move it.
    fn spill_to(&self, _target: u64) {}

    fn get(&self, value: ValueId) -> Option<Stored> {
        self.values.get(&value).map(|held| held.stored.clone())
    }

    fn remove(&self, value: ValueId) {
        self.values.remove(&value);
    }

    fn remove_made_by(&self, attempt: AttemptId) {
        let made_by = |_: &ValueId, held: &Held| held.stored.origin == Origin::Made(attempt);
        self.values.remove_if(&ValueId::of(attempt.task), made_by);
    }
}

/// A value that comes in pieces.
struct Buffer {
    store: Arc<MemoryStore>,
    value: ValueId,
    origin: Origin,
    encoding: Encoding,
    bytes: Mutex<Vec<u8>>,
    counted: Counted,
}

impl Incoming for Buffer {
    fn write_at(&self, offset: u64, slices: &mut [IoSlice<'_>]) -> Result<(), TaskError> {
        let mut bytes = self.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        let mut rest = usize::try_from(offset).ok().and_then(|offset| bytes.get_mut(offset..)).unwrap_or_default();
        for slice in slices {
            let Some((place, behind)) = rest.split_at_mut_checked(slice.len()) else {
                let message = "more bytes than the value has";
                return Err(TaskError::StoreBroken(io::Error::new(ErrorKind::InvalidInput, message)));
            };
            place.copy_from_slice(slice);
            note_copy(slice.len());
            rest = behind;
        }
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<Output, TaskError> {
        let bytes = self.bytes.into_inner().unwrap_or_else(PoisonError::into_inner);
        let output = Output { encoding: self.encoding, bytes: bytes.into() };
        self.store.enter(self.value, Stored { origin: self.origin, output: output.clone() }, self.counted);
        Ok(output)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use quiltwork_types::{JobId, TaskId};

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
        assert!(
            error.to_string().contains("has 41 bytes") && error.to_string().contains("60 of at most 100"),
            "{error}"
        );
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

    #[test]
    fn a_value_comes_in_pieces_and_one_that_does_not_end_leaves_nothing() {
        let store = Arc::new(MemoryStore::new(100));
        let begin = || Arc::clone(&store).begin(value(1), made(1, 1), Encoding::Raw, 6).unwrap();
        let incoming = begin();
        incoming.write_at(3, &mut [IoSlice::new(b"d"), IoSlice::new(b"ef")]).unwrap();
        assert!(store.get(value(1)).is_none() && incoming.write_at(4, &mut [IoSlice::new(b"xyz")]).is_err());
        drop(incoming);
        assert_eq!(held(&store), 0);
        let incoming = begin();
        incoming.write_at(3, &mut [IoSlice::new(b"def")]).unwrap();
        incoming.write_at(0, &mut [IoSlice::new(b"abc")]).unwrap();
        assert_eq!(incoming.finish().unwrap().bytes, "abcdef");
        assert_eq!((&store.get(value(1)).unwrap().output.bytes[..], held(&store)), (&b"abcdef"[..], 6));
    }
}
