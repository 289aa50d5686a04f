//! A store in the area a node's workers share: it holds files, maps them when somebody reads them, and counts its own.
//!
//! Each worker has its share of the node's limits and counts what it made, fetched, inherited or adopted. A link to what another
//! worker holds takes no room and is not counted, until that worker is gone. What does not fit into memory any more moves
//! to disk. There it is mapped anew for each reader: the system keeps its pages as long as it has room for them.
mod arriving;
mod spares;
mod spill;
#[cfg(test)]
mod tests;

use super::room::{Counted, Room};
use super::{Incoming, Origin, Stored, ValueStore};
use crate::area::{Area, Found, OwnMapping, Part, Place, Sealed};
use crate::arguments::Output;
use crate::failure::TaskError;
use arriving::Arriving;
use dashmap::DashMap;
use dashmap::mapref::entry::Entry;
use quiltwork_protocol::master_to_worker::Orphan;
use quiltwork_types::{AttemptId, Encoding, JobId, ValueId, WorkerId};
use spares::Spares;
use std::io::IoSlice;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Of what others hold, mappings stay for the next reader up to this part of the room in memory.
const BORROWED: u64 = 4;

/// A store in an area.
#[derive(Debug)]
pub(crate) struct NodeStore {
    area: Area,
    worker: WorkerId,
    values: DashMap<ValueId, Held>,
    memory: Room,
    /// None if nothing may be spilled.
    disk: Option<Room>,
    spares: Spares,
    /// What is mapped of others.
    borrowed: Room,
    /// Held by the one who makes room.
    spilling: Mutex<()>,
    /// Grows with every use of a value.
    clock: AtomicU64,
}

/// A value with a file of this worker's.
#[derive(Debug)]
struct Held {
    origin: Origin,
    claim: Claim,
    /// Mapped when it was written or first read, if it is in memory.
    mapped: Option<Mapped>,
    /// What this process has written it through: it can be used again for the next value.
    mapping: Option<Arc<OwnMapping>>,
    /// Tells it from a later value of the same name.
    serial: u64,
    /// When it was used last, by the clock of the store.
    used: u64,
}

/// Who counts the bytes of a file.
#[derive(Debug)]
enum Claim {
    /// This worker does.
    Own { place: Place, counted: Counted },
    /// Another worker with a link to the same bytes does.
    Borrowed { lender: WorkerId },
}

/// A mapping that is kept for the next reader.
#[derive(Debug)]
struct Mapped {
    output: Output,
    /// If it keeps alive what another worker counts.
    _borrowed: Option<Counted>,
}

impl Mapped {
    const fn own(output: Output) -> Self {
        Self { output, _borrowed: None }
    }
}

impl Held {
    const fn is_borrowed(&self) -> bool {
        matches!(self.claim, Claim::Borrowed { .. })
    }

    const fn is_in_memory(&self) -> bool {
        matches!(self.claim, Claim::Own { place: Place::Memory, .. })
    }

    /// The bytes this worker counts in memory for it.
    fn in_memory(&self) -> Option<u64> {
        match &self.claim {
            Claim::Own { place: Place::Memory, counted } => Some(counted.size()),
            Claim::Own { .. } | Claim::Borrowed { .. } => None,
        }
    }
}

impl NodeStore {
    /// The store of `worker` in this area, for so many bytes of values in memory and, if the area has one, on disk.
    pub(crate) fn new(area: Area, worker: WorkerId, memory: u64, disk: u64) -> Self {
        Self {
            worker,
            values: DashMap::new(),
            memory: Room::new(memory),
            disk: area.disk().map(|_| Room::new(disk)),
            spares: Spares::new(memory),
            borrowed: Room::new(memory / BORROWED),
            spilling: Mutex::default(),
            clock: AtomicU64::default(),
            area,
        }
    }

    fn tick(&self) -> u64 {
        self.clock.fetch_add(1, Ordering::Relaxed)
    }

    fn held(&self, origin: Origin, claim: Claim) -> Held {
        let now = self.tick();
        Held { origin, claim, mapped: None, mapping: None, serial: now, used: now }
    }

    /// Counts what is in the area already, whether or not there is room for it.
    fn take(&self, place: Place, size: u64) -> Claim {
        let room = match place {
            Place::Memory => &self.memory,
            Place::Disk => self.disk.as_ref().expect("it is in the area's folder on disk"),
        };
        Claim::Own { place, counted: room.take(size) }
    }

    /// Gives a file its name, unless something is there that stays. The index is locked meanwhile, so that it never
    /// says anything else than the folders.
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

    /// Keeps what was written here, and how it is mapped for the next reader if it is in memory.
    fn enter_sealed(
        &self,
        value: ValueId,
        sealed: Sealed,
        mapped: Option<Output>,
        origin: Origin,
        counted: Counted,
    ) -> Result<(), TaskError> {
        let (part, mapping) = sealed.into_parts();
        let place = part.place();
        let mapped = mapped.filter(|_| place == Place::Memory).map(Mapped::own);
        let held = self.held(origin, Claim::Own { place, counted });
        self.enter(value, part, Held { mapped, mapping, ..held })
    }

    /// Keeps what was found for the next reader if it is in memory, and says whether others must be let go of for that.
    fn remember(&self, held: &mut Held, found: &Found, output: &Output) -> bool {
        let size = output.bytes.len() as u64;
        if found.place == Place::Disk {
            // A mate that counts the same bytes may have moved it.
            if held.is_in_memory() {
                held.claim = self.take(Place::Disk, size);
                held.mapping = None;
            }
            return false;
        }
        let borrowed = if held.is_borrowed() { self.borrowed.reserve(size) } else { None };
        if held.is_borrowed() && borrowed.is_none() {
            return true;
        }
        held.mapped = Some(Mapped { output: output.clone(), _borrowed: borrowed });
        false
    }

    /// What was shared with a worker that is gone is counted here.
    fn stop_borrowing(&self, gone: WorkerId) {
        for mut held in self.values.iter_mut() {
            if matches!(held.claim, Claim::Borrowed { lender } if lender == gone) {
                let (place, size) = self.area.size(*held.key(), self.worker).unwrap_or((Place::Memory, 0));
                held.claim = self.take(place, size);
                held.mapped = None;
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
        let found = self.area.size(value, self.worker).filter(|_| passed);
        let Some((place, size)) = found else { return false };
        entry.insert(self.held(Origin::Copied, self.take(place, size)));
        true
    }

    /// Removes a value and its file if `may_go` says so of it. The index is locked until the file is gone, so that it
    /// is not the file of a later one.
    fn remove_if(&self, value: ValueId, may_go: impl FnOnce(&Held) -> bool) {
        let Entry::Occupied(mut entry) = self.values.entry(value) else { return };
        if !may_go(entry.get()) {
            return;
        }
        self.stop_mapping(entry.get_mut());
        let is_wanted = entry.get().in_memory().is_some_and(|size| self.spares.want(size));
        let spare = if is_wanted { self.area.set_aside(value, self.worker) } else { None };
        if spare.is_none() {
            self.area.remove(value, self.worker);
        }
        if let (Some(spare), Claim::Own { counted, .. }) = (spare, entry.remove().claim) {
            self.spares.keep(spare, counted);
        }
    }

    /// Lets go of how a value is mapped, and of its lock with that, unless somebody here reads it: whoever writes into its
    /// file next, or empties it, needs the lock for itself.
    fn stop_mapping(&self, held: &mut Held) {
        held.mapped = None;
        if let Some(mapping) = held.mapping.take().and_then(Arc::into_inner) {
            self.area.keep_mapping(mapping);
        }
    }
}

impl ValueStore for NodeStore {
    fn put(&self, value: ValueId, Stored { origin, output }: Stored) -> Result<(), TaskError> {
        let size = output.bytes.len() as u64;
        let (draft, counted) = self.open(value, origin, output.encoding, size)?;
        let place = draft.place();
        let written = draft.write_at(0, &mut [IoSlice::new(&output.bytes)]).and_then(|()| draft.seal());
        let sealed = written.map_err(|error| self.not_written(size, place, error))?;
        let bytes = if sealed.is_mapped() { sealed.bytes().ok() } else { None };
        let mapped = bytes.map(|bytes| Output { encoding: output.encoding, bytes });
        self.enter_sealed(value, sealed, mapped, origin, counted)
    }

    fn begin(
        self: Arc<Self>,
        value: ValueId,
        origin: Origin,
        encoding: Encoding,
        size: u64,
    ) -> Result<Box<dyn Incoming>, TaskError> {
        let (draft, counted) = self.open(value, origin, encoding, size)?;
        Ok(Box::new(Arriving { store: self, value, origin, encoding, draft, counted }))
    }

    fn has_room(&self, size: u64) -> bool {
        self.memory.has_room(size)
    }

    fn in_memory(&self) -> u64 {
        self.memory.held()
    }

    fn spill_to(&self, target: u64) {
        let _alone = self.spilling.lock().unwrap_or_else(PoisonError::into_inner);
        self.spill_down_to(target);
    }

    fn get(&self, value: ValueId) -> Option<Stored> {
        let mut held = self.values.get_mut(&value)?;
        let origin = held.origin;
        held.used = self.tick();
        if let Some(mapped) = &held.mapped {
            return Some(Stored { origin, output: mapped.output.clone() });
        }
        match self.area.find(value, self.worker) {
            Ok(Some(found)) => {
                let output = Output { encoding: found.encoding, bytes: found.bytes.clone() };
                let are_too_many = self.remember(&mut held, &found, &output);
                drop(held);
                if are_too_many {
                    self.forget_borrowed();
                }
                Some(Stored { origin, output })
            }
            gone => {
                drop(held);
                tracing::warn!(%value, ?gone, "a value is not in the node's area any more");
                self.remove(value);
                None
            }
        }
    }

    fn remove(&self, value: ValueId) {
        self.remove_if(value, |_| true);
    }

    fn remove_made_by(&self, attempt: AttemptId) {
        self.remove_if(ValueId::of(attempt.task), |held| held.origin == Origin::Made(attempt));
    }

    fn share(&self, value: ValueId, holder: WorkerId) -> Option<Output> {
        let part = self.area.link(value, holder, self.worker).ok()??;
        let held = self.held(Origin::Copied, Claim::Borrowed { lender: holder });
        self.enter(value, part, held).ok()?;
        self.get(value).map(|stored| stored.output)
    }

    fn look_at(&self, value: ValueId, holder: WorkerId) -> Option<Output> {
        let (encoding, bytes) = self.area.map(value, holder).ok()??;
        Some(Output { encoding, bytes })
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
        let adopted = self.area.adopt(*value, *size, formerly, self.worker).map_err(TaskError::StoreBroken);
        match adopted.and_then(|found| found.ok_or(TaskError::NotWritten)) {
            Ok(place) => {
                entry.insert(self.held(Origin::Copied, self.take(place, *size)));
                Ok(())
            }
            Err(error) => {
                self.area.remove_orphan(*value, formerly);
                Err(error)
            }
        }
    }

    fn settle(&self, adopted: ValueId) -> Result<(), TaskError> {
        if self.make_up_for(adopted) {
            return Ok(());
        }
        let size = self.area.size(adopted, self.worker).map_or(0, |(_, size)| size);
        self.remove(adopted);
        Err(self.full(size, None))
    }

    fn clear_away(&self, job: JobId) {
        self.area.remove_uploads(job);
    }
}
