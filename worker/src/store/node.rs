//! A store in the area a node's workers share: it holds files, maps them when somebody reads them, and counts its own.
//!
//! Each worker has its share of the node's limit and counts what it made, fetched or inherited. A link to what another
//! worker holds takes no room and is not counted, until that worker is gone.
use super::{Origin, Room, Stored, ValueStore};
use crate::area::{Area, Part};
use crate::arguments::Output;
use crate::failure::TaskError;
use dashmap::DashMap;
use dashmap::mapref::entry::Entry;
use quiltwork_protocol::master_to_worker::Orphan;
use quiltwork_types::{AttemptId, JobId, ValueId, WorkerId};
use std::io::ErrorKind;

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
    /// Bytes counted for it.
    size: u64,
    /// Whose bytes it shares, as long as these are counted there.
    lender: Option<WorkerId>,
    /// Mapped when it was first read.
    mapped: Option<Output>,
}

impl Held {
    const fn own(origin: Origin, size: u64) -> Self {
        Self { origin, size, lender: None, mapped: None }
    }
}

impl NodeStore {
    /// The store of `worker` in this area, for at most `limit` bytes of values.
    pub(crate) fn new(area: Area, worker: WorkerId, limit: u64) -> Self {
        Self { area, worker, values: DashMap::new(), room: Room::new(limit) }
    }

    /// Gives a file its name, unless something is there that stays. The index is locked meanwhile, so that it never
    /// says anything else than the folder.
    fn enter(&self, value: ValueId, part: Part<'_>, held: Held) -> Result<(), TaskError> {
        let size = held.size;
        match self.values.entry(value) {
            Entry::Occupied(entry) if held.origin != Origin::Copied || entry.get().lender.is_some() => {
                self.room.release(size);
            }
            entry => {
                if let Err(error) = part.seal(value, self.worker) {
                    self.room.release(size);
                    return Err(TaskError::StoreBroken(error));
                }
                if let Entry::Occupied(old) = &entry {
                    self.room.release(old.get().size);
                }
                entry.insert(held);
            }
        }
        Ok(())
    }

    fn drop_file(&self, value: ValueId, held: &Held) {
        self.area.remove(value, self.worker);
        self.room.release(held.size);
    }

    /// What was shared with a worker that is gone is counted here.
    fn stop_borrowing(&self, lender: WorkerId) {
        for mut entry in self.values.iter_mut().filter(|entry| entry.lender == Some(lender)) {
            let size = self.area.size(*entry.key(), self.worker).unwrap_or(0);
            self.room.take(size);
            (entry.lender, entry.size) = (None, size);
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
        if let Entry::Occupied(old) = &entry {
            self.room.release(old.get().size);
        }
        self.room.take(size);
        entry.insert(Held::own(Origin::Copied, size));
        true
    }
}

impl ValueStore for NodeStore {
    fn put(&self, value: ValueId, Stored { origin, output }: Stored) -> Result<(), TaskError> {
        let size = output.bytes.len() as u64;
        self.room.reserve(size, origin)?;
        match self.area.write(value, self.worker, output.encoding, &output.bytes) {
            Ok(part) => self.enter(value, part, Held::own(origin, size)),
            Err(error) => {
                self.room.release(size);
                Err(match error.kind() {
                    ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
                        TaskError::AreaFull { size, folder: self.area.folder().to_owned() }
                    }
                    _ => TaskError::StoreBroken(error),
                })
            }
        }
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
        if let Some((_, held)) = self.values.remove(&value) {
            self.drop_file(value, &held);
        }
    }

    fn remove_made_by(&self, attempt: AttemptId) {
        let value = ValueId::of(attempt.task);
        let made_by = |_: &ValueId, held: &Held| held.origin == Origin::Made(attempt);
        if let Some((_, held)) = self.values.remove_if(&value, made_by) {
            self.drop_file(value, &held);
        }
    }

    fn share(&self, value: ValueId, holder: WorkerId) -> Option<Output> {
        let part = self.area.link(value, holder, self.worker).ok()??;
        let held = Held { lender: Some(holder), ..Held::own(Origin::Copied, 0) };
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

    fn adopt(&self, Orphan { value, size, formerly }: &Orphan) -> Result<(), TaskError> {
        let Entry::Vacant(entry) = self.values.entry(*value) else { return Ok(()) };
        let adopted = self.room.reserve_within(*size, self.room.limit).and_then(|()| {
            let found = self.area.adopt(*value, *size, formerly, self.worker).map_err(TaskError::StoreBroken);
            let found = found.and_then(|found| if found { Ok(()) } else { Err(TaskError::NotWritten) });
            found.inspect_err(|_| self.room.release(*size))
        });
        match adopted {
            Ok(()) => drop(entry.insert(Held::own(Origin::Copied, *size))),
            Err(_) => self.area.remove_orphan(*value, formerly),
        }
        adopted
    }

    fn clear_away(&self, job: JobId) {
        self.area.remove_uploads(job);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use quiltwork_types::{Encoding, JobId, TaskId};
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

    /// Writes value 1 as its client does; what a worker is asked then.
    fn written(store: &NodeStore, payload: &'static [u8]) -> Orphan {
        let mut upload = store.area.write_upload(JobId(1), Encoding::Raw, payload).unwrap();
        upload.seal(value(1)).unwrap();
        upload.leave_to_workers();
        Orphan { value: value(1), size: payload.len() as u64, formerly: Vec::new() }
    }

    #[test]
    fn an_adopted_value_is_held_like_any_other() {
        let (folder, one, two) = node();
        let orphan = written(&one, &[7; 60]);
        one.adopt(&orphan).unwrap();
        one.adopt(&orphan).unwrap();
        assert_eq!((one.room.held(), read(&one, 1).unwrap()), (60, Bytes::from_static(&[7; 60])));
        assert_eq!(two.share(value(1), ONE).unwrap().bytes.len(), 60);
        let error = two.adopt(&Orphan { value: value(2), ..orphan }).unwrap_err();
        assert!(matches!(error, TaskError::NotWritten), "{error}");
        one.remove(value(1));
        two.remove(value(1));
        assert_eq!((one.room.held(), two.room.held(), files(folder.path())), (0, 0, 0));
    }

    #[test]
    fn what_cannot_be_adopted_is_removed() {
        let (folder, one, _) = node();
        put(&one, 2, made(2, 1), &[1; 60]).unwrap();
        let error = one.adopt(&written(&one, &[7; 60])).unwrap_err();
        assert!(matches!(error, TaskError::StoreFull { size: 60, held: 60, limit: 100 }), "{error}");
        assert_eq!((one.room.held(), files(folder.path())), (60, 1));
        written(&one, b"x");
        one.clear_away(JobId(1));
        assert_eq!(files(folder.path()), 1);
    }

    #[test]
    fn what_was_borrowed_from_a_worker_that_is_gone_is_counted() {
        let (_folder, one, two) = node();
        put(&one, 1, made(1, 1), &[1; 30]).unwrap();
        two.share(value(1), ONE).unwrap();
        assert!(two.inherit(ONE, TWO, Vec::new()).is_empty());
        assert_eq!(two.room.held(), 30);
    }
}
