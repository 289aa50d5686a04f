//! A store in the area a node's workers share: it holds files, maps them when somebody reads them, and counts its own.
//!
//! Each worker has its share of the node's limit and counts what it made, fetched or inherited. A link to what another
//! worker holds takes no room and is not counted, until that worker is gone.
use super::room::{Counted, Room};
use super::{Incoming, Origin, Stored, ValueStore};
use crate::area::{Area, Draft, Part};
use crate::arguments::Output;
use crate::failure::TaskError;
use dashmap::DashMap;
use dashmap::mapref::entry::Entry;
use quiltwork_types::{AttemptId, Encoding, ValueId, WorkerId};
use std::io::{self, ErrorKind, IoSlice};
use std::sync::Arc;

/// A store in an area.
#[derive(Debug)]
pub(crate) struct NodeStore {
    area: Area,
    worker: WorkerId,
    values: DashMap<ValueId, Held>,
    room: Room,
}

/// A value with a file of this worker's.
#[derive(Debug)]
struct Held {
    origin: Origin,
    claim: Claim,
    /// Mapped when it was first read.
    mapped: Option<Output>,
}

/// Who counts the bytes of a file.
#[derive(Debug)]
enum Claim {
    /// This worker does.
    Own { _counted: Counted },
    /// Another worker with a link to the same bytes does.
    Borrowed { lender: WorkerId },
}

impl Held {
    const fn own(origin: Origin, counted: Counted) -> Self {
        Self { origin, claim: Claim::Own { _counted: counted }, mapped: None }
    }

    const fn is_borrowed(&self) -> bool {
        matches!(self.claim, Claim::Borrowed { .. })
    }
}

impl NodeStore {
    /// The store of `worker` in this area, for at most `limit` bytes of values.
    pub(crate) fn new(area: Area, worker: WorkerId, limit: u64) -> Self {
        Self { area, worker, values: DashMap::new(), room: Room::new(limit) }
    }

    /// Takes the room for a value and begins its file.
    fn open(
        &self,
        value: ValueId,
        origin: Origin,
        encoding: Encoding,
        size: u64,
    ) -> Result<(Draft, Counted), TaskError> {
        let counted = match origin {
            Origin::Made(_) => self.room.reserve(size),
            Origin::Copied => self.room.reserve_copy(size),
        }?;
        let draft =
            self.area.begin(value, self.worker, encoding, size).map_err(|error| self.not_written(size, error))?;
        Ok((draft, counted))
    }

    fn not_written(&self, size: u64, error: io::Error) -> TaskError {
        match error.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
                TaskError::AreaFull { size, folder: self.area.folder().to_owned() }
            }
            _ => TaskError::StoreBroken(error),
        }
    }

    /// Gives a file its name, unless something is there that stays. The index is locked meanwhile, so that it never
    /// says anything else than the folder.
    fn enter(&self, value: ValueId, part: Part, held: Held) -> Result<(), TaskError> {
        match self.values.entry(value) {
            Entry::Occupied(here) if held.origin != Origin::Copied || here.get().is_borrowed() => {}
            entry => {
                self.area.enter(part, value, self.worker).map_err(TaskError::StoreBroken)?;
                entry.insert(held);
            }
        }
        Ok(())
    }

    /// What was shared with a worker that is gone is counted here.
    fn stop_borrowing(&self, gone: WorkerId) {
        for mut entry in self.values.iter_mut() {
            if matches!(entry.claim, Claim::Borrowed { lender } if lender == gone) {
                let size = self.area.size(*entry.key(), self.worker).unwrap_or(0);
                entry.claim = Claim::Own { _counted: self.room.take(size) };
            }
        }
    }

    /// Takes over one value of a worker that is gone; says whether it is here now.
    fn take_over(&self, value: ValueId, from: WorkerId) -> bool {
        let entry = self.values.entry(value);
        if matches!(&entry, Entry::Occupied(here) if here.get().origin == Origin::Copied) {
            return true;
        }
        // Another worker of the node may have done it before.
        let passed = self.area.pass_on(value, from, self.worker) || matches!(entry, Entry::Vacant(_));
        let Some(size) = self.area.size(value, self.worker).filter(|_| passed) else { return false };
        entry.insert(Held::own(Origin::Copied, self.room.take(size)));
        true
    }

    /// Removes a value and its file if `may_go` says so of it. The index is locked until the file is gone, so that it
    /// is not the file of a later one.
    fn remove_if(&self, value: ValueId, may_go: impl FnOnce(&Held) -> bool) {
        if let Entry::Occupied(entry) = self.values.entry(value)
            && may_go(entry.get())
        {
            self.area.remove(value, self.worker);
            entry.remove();
        }
    }
}

impl ValueStore for NodeStore {
    fn put(&self, value: ValueId, Stored { origin, output }: Stored) -> Result<(), TaskError> {
        let size = output.bytes.len() as u64;
        let (draft, counted) = self.open(value, origin, output.encoding, size)?;
        let written = draft.write_at(0, &mut [IoSlice::new(&output.bytes)]).and_then(|()| draft.seal());
        let part = written.map_err(|error| self.not_written(size, error))?;
        self.enter(value, part, Held::own(origin, counted))
    }

    fn begin(
        self: Arc<Self>,
        value: ValueId,
        origin: Origin,
        encoding: Encoding,
        size: u64,
    ) -> Result<Box<dyn Incoming>, TaskError> {
        let (draft, counted) = self.open(value, origin, encoding, size)?;
        Ok(Box::new(Arriving { store: self, value, origin, encoding, size, draft, counted }))
    }

    fn get(&self, value: ValueId) -> Option<Stored> {
        let mut held = self.values.get_mut(&value)?;
        if held.mapped.is_none() {
            match self.area.map(value, self.worker) {
                Ok(Some((encoding, bytes))) => held.mapped = Some(Output { encoding, bytes }),
                gone => {
                    drop(held);
                    tracing::warn!(%value, ?gone, "a value is not in the node's area any more");
                    self.remove(value);
                    return None;
                }
            }
        }
        held.mapped.clone().map(|output| Stored { origin: held.origin, output })
    }

    fn remove(&self, value: ValueId) {
        self.remove_if(value, |_| true);
    }

    fn remove_made_by(&self, attempt: AttemptId) {
        self.remove_if(ValueId::of(attempt.task), |held| held.origin == Origin::Made(attempt));
    }

    fn share(&self, value: ValueId, holder: WorkerId) -> Option<Output> {
        let part = self.area.link(value, holder, self.worker).ok()??;
        let held = Held { origin: Origin::Copied, claim: Claim::Borrowed { lender: holder }, mapped: None };
        self.enter(value, part, held).ok()?;
        self.get(value).map(|stored| stored.output)
    }

    fn inherit(&self, from: WorkerId, heir: WorkerId, values: Vec<ValueId>) -> Vec<ValueId> {
        self.stop_borrowing(from);
        if heir != self.worker {
            // The heir may not have heard of it yet when this worker is told to read from it.
            for value in values {
                self.area.pass_on(value, from, heir);
            }
            return Vec::new();
        }
        let missing = values.into_iter().filter(|value| !self.take_over(*value, from)).collect();
        self.area.remove_all_of(from);
        missing
    }
}

/// A value that comes in pieces.
struct Arriving {
    store: Arc<NodeStore>,
    value: ValueId,
    origin: Origin,
    encoding: Encoding,
    size: u64,
    draft: Draft,
    counted: Counted,
}

impl Incoming for Arriving {
    fn write_at(&self, offset: u64, slices: &mut [IoSlice<'_>]) -> Result<(), TaskError> {
        self.draft.write_at(offset, slices).map_err(|error| self.store.not_written(self.size, error))
    }

    fn finish(self: Box<Self>) -> Result<Output, TaskError> {
        let Self { store, value, origin, encoding, draft, counted, .. } = *self;
        // Mapped before it has a name: then it may be gone at any time.
        let bytes = draft.map().map_err(TaskError::StoreBroken)?;
        let output = Output { encoding, bytes };
        let part = draft.seal().map_err(TaskError::StoreBroken)?;
        let held = Held { mapped: Some(output.clone()), ..Held::own(origin, counted) };
        store.enter(value, part, held)?;
        Ok(output)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use quiltwork_types::{JobId, TaskId};
    use std::path::Path;

    const ONE: WorkerId = WorkerId(1);
    const TWO: WorkerId = WorkerId(2);

    fn value(index: u32) -> ValueId {
        ValueId::of(TaskId { job: JobId(1), index })
    }

    fn made(index: u32, number: u32) -> Origin {
        Origin::Made(AttemptId { task: value(index).task, number })
    }

    /// Two workers of one node, each with room for 100 bytes.
    fn node() -> (tempfile::TempDir, NodeStore, NodeStore) {
        let folder = tempfile::tempdir().unwrap();
        let area = Area::create(&folder.path().join("area")).unwrap();
        let store = |worker| NodeStore::new(area.clone(), worker, 100);
        (folder, store(ONE), store(TWO))
    }

    fn put(store: &NodeStore, index: u32, origin: Origin, payload: &'static [u8]) -> Result<(), TaskError> {
        let output = Output { encoding: Encoding::Raw, bytes: Bytes::from_static(payload) };
        store.put(value(index), Stored { origin, output })
    }

    fn read(store: &NodeStore, index: u32) -> Option<Bytes> {
        store.get(value(index)).map(|stored| stored.output.bytes)
    }

    fn files(folder: &Path) -> usize {
        std::fs::read_dir(folder.join("area")).unwrap().count()
    }

    #[test]
    fn what_one_worker_holds_another_shares_without_a_copy() {
        let (folder, one, two) = node();
        put(&one, 1, made(1, 1), &[7; 60]).unwrap();
        assert_eq!(two.share(value(1), ONE).unwrap().bytes, &[7; 60][..]);
        assert!(two.share(value(2), ONE).is_none());
        assert_eq!((one.room.held(), two.room.held()), (60, 0), "shared bytes are counted once");
        one.remove(value(1));
        assert_eq!(read(&two, 1).unwrap().len(), 60);
        two.remove(value(1));
        assert_eq!((one.room.held(), two.room.held(), files(folder.path())), (0, 0, 0));
    }

    #[test]
    fn a_full_store_refuses_and_leaves_nothing_behind() {
        let (folder, one, _) = node();
        put(&one, 1, made(1, 1), &[1; 60]).unwrap();
        let error = put(&one, 2, made(2, 1), &[1; 41]).unwrap_err();
        assert!(matches!(error, TaskError::StoreFull { size: 41, held: 60, limit: 100 }), "{error}");
        assert_eq!((read(&one, 2), files(folder.path())), (None, 1));
        one.remove(value(1));
        put(&one, 2, made(2, 1), &[1; 41]).unwrap();
    }

    #[test]
    fn the_first_result_stays_and_a_published_one_takes_its_place() {
        let (folder, one, two) = node();
        put(&one, 1, made(1, 1), b"first").unwrap();
        put(&one, 1, made(1, 2), b"second").unwrap();
        assert_eq!(read(&one, 1).unwrap(), "first");
        one.remove_made_by(AttemptId { task: value(1).task, number: 2 });
        put(&two, 1, made(1, 3), b"published").unwrap();
        assert_eq!(one.share(value(1), TWO).unwrap().bytes, "published");
        one.remove_made_by(AttemptId { task: value(1).task, number: 1 });
        assert_eq!(read(&one, 1).unwrap(), "published");
        assert_eq!((one.room.held(), two.room.held(), files(folder.path())), (0, 9, 2));
    }

    #[test]
    fn an_heir_takes_what_it_was_told_to_and_clears_the_rest_away() {
        let (folder, one, two) = node();
        put(&one, 1, made(1, 1), &[1; 30]).unwrap();
        put(&one, 2, made(2, 1), b"never published").unwrap();
        put(&two, 3, made(3, 1), b"own").unwrap();
        assert_eq!(two.inherit(ONE, TWO, vec![value(1), value(9)]), [value(9)]);
        assert_eq!(read(&two, 1).unwrap().len(), 30);
        assert_eq!((two.room.held(), files(folder.path())), (33, 2));
    }

    #[test]
    fn whoever_hears_first_of_an_inheritance_moves_it() {
        let (folder, one, two) = node();
        let three = NodeStore::new(two.area.clone(), WorkerId(3), 100);
        put(&one, 1, made(1, 1), b"x").unwrap();
        assert!(three.inherit(ONE, TWO, vec![value(1)]).is_empty());
        assert_eq!(three.share(value(1), TWO).unwrap().bytes, "x", "although the heir has not heard of it");
        assert!(two.inherit(ONE, TWO, vec![value(1)]).is_empty());
        assert_eq!(read(&two, 1).unwrap(), "x");
        assert_eq!(files(folder.path()), 2);
    }

    #[test]
    fn what_was_borrowed_from_a_worker_that_is_gone_is_counted() {
        let (_folder, one, two) = node();
        put(&one, 1, made(1, 1), &[1; 30]).unwrap();
        two.share(value(1), ONE).unwrap();
        assert!(two.inherit(ONE, TWO, Vec::new()).is_empty());
        assert_eq!(two.room.held(), 30);
    }

    #[test]
    fn a_value_comes_in_pieces_and_one_that_does_not_end_leaves_nothing() {
        let (folder, one, _) = node();
        let one = Arc::new(one);
        let begin = || Arc::clone(&one).begin(value(1), Origin::Copied, Encoding::Raw, 6).unwrap();
        let incoming = begin();
        incoming.write_at(3, &mut [IoSlice::new(b"d"), IoSlice::new(b"ef")]).unwrap();
        assert!(incoming.write_at(4, &mut [IoSlice::new(b"xyz")]).is_err(), "it is not so long");
        assert_eq!((read(&one, 1), one.room.held()), (None, 6), "nobody sees it, but its room is taken");
        drop(incoming);
        assert_eq!((one.room.held(), files(folder.path())), (0, 0));
        let incoming = begin();
        incoming.write_at(3, &mut [IoSlice::new(b"def"), IoSlice::new(b"")]).unwrap();
        incoming.write_at(0, &mut [IoSlice::new(b"abc")]).unwrap();
        assert_eq!(incoming.finish().unwrap().bytes, "abcdef");
        assert_eq!((read(&one, 1).unwrap(), one.room.held(), files(folder.path())), ("abcdef".into(), 6, 1));
    }
}
