//! All joined workers, indexed by how loaded they are, and who of them gained room since tasks were last placed.
use crate::ids::SpentNumbers;
use crate::nodes::Nodes;
use crate::seats::{Seat, Worker};
use crate::shapes::Shape;
use crate::task::Key;
use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use quiltwork_types::{AttemptId, NamedResource, NodeId, Resources, WorkerId};

/// Orders workers by expected start of one more attempt: how willing they are, expected wait in nanoseconds, then share
/// of slots in use, then actors that live there.
pub(crate) type LoadRank = (Willingness, u64, u64, usize, WorkerId);

/// What a worker makes of one more attempt; the smallest is asked first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Willingness {
    /// It has free slots.
    Free,
    /// It has free slots but is short of memory: it takes one, if nobody else does.
    Reluctant,
    /// All its slots are in use, or its memory is.
    Busy,
}

/// Tasks remembered at each worker that were to come ahead; what is beyond comes when its inputs are there.
const MOST_BEHIND: usize = 1024;

/// The joined workers.
#[derive(Debug, Default)]
pub(crate) struct Workers {
    joined: BTreeMap<WorkerId, Worker>,
    pub(crate) nodes: Nodes,
    spent: SpentNumbers,
    by_load: BTreeSet<LoadRank>,
    /// Workers with a surplus, by its size.
    by_surplus: BTreeSet<(u64, WorkerId)>,
    gained: Vec<WorkerId>,
    free_slots: u64,
    recalled_slots: u64,
    /// The most any joined worker has of each resource.
    largest: Resources,
}

impl Workers {
    /// Whether the number was new.
    pub(crate) fn join(&mut self, id: WorkerId, capacity: Resources, node: Option<NodeId>) -> bool {
        if !self.spent.insert(id.0) {
            return false;
        }
        raise(&mut self.largest, &capacity);
        self.joined.insert(id, Worker::new(capacity, node));
        self.enter(id);
        self.note_gain(id);
        true
    }

    pub(crate) fn leave(&mut self, id: WorkerId) -> Option<Worker> {
        if !self.joined.contains_key(&id) {
            return None;
        }
        self.withdraw(id);
        self.gained.retain(|&gained| gained != id);
        let worker = self.joined.remove(&id);
        self.largest = Resources { slots: 0, memory: 0, named: Box::default() };
        for capacity in self.joined.values().map(|worker| &worker.capacity) {
            raise(&mut self.largest, capacity);
        }
        worker
    }

    pub(crate) fn get(&self, id: WorkerId) -> Option<&Worker> {
        self.joined.get(&id)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (WorkerId, &Worker)> {
        self.joined.iter().map(|(&id, worker)| (id, worker))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.joined.is_empty()
    }

    pub(crate) const fn largest(&self) -> &Resources {
        &self.largest
    }

    pub(crate) fn capacities(&self) -> impl Iterator<Item = &Resources> {
        self.joined.values().map(|worker| &worker.capacity)
    }

    /// Workers, the one with the earliest expected start first.
    pub(crate) fn by_load(&self) -> impl DoubleEndedIterator<Item = WorkerId> {
        self.by_load.iter().map(|&(.., id)| id)
    }

    /// The worker with the largest surplus, and how many slots it is.
    pub(crate) fn most_surplus(&self) -> Option<(u64, WorkerId)> {
        self.by_surplus.last().copied()
    }

    pub(crate) const fn free_slots(&self) -> u64 {
        self.free_slots
    }

    pub(crate) const fn recalled_slots(&self) -> u64 {
        self.recalled_slots
    }

    pub(crate) fn seat(&self, id: WorkerId, attempt: AttemptId) -> Option<&Seat> {
        self.joined.get(&id)?.seats.get(&attempt)
    }

    pub(crate) fn sit(&mut self, id: WorkerId, attempt: AttemptId, seat: Seat, shape: &Shape) {
        self.update_for(seat.is_call, id, |worker| worker.sit(attempt, seat, shape));
    }

    pub(crate) fn stand_up(&mut self, id: WorkerId, seat: &Seat, attempt: AttemptId, shape: &Shape) {
        self.update_for(seat.is_call, id, |worker| worker.stand_up(attempt, shape));
        if !seat.is_call {
            self.note_gain(id);
        }
    }

    /// Notes that a task was to come ahead and had no room.
    pub(crate) fn wait_behind(&mut self, id: WorkerId, task: Key) {
        if let Some(worker) = self.joined.get_mut(&id)
            && worker.behind.len() < MOST_BEHIND
        {
            worker.behind.push_back(task);
        }
    }

    /// The next of those.
    pub(crate) fn next_behind(&mut self, id: WorkerId) -> Option<Key> {
        self.joined.get_mut(&id)?.behind.pop_front()
    }

    pub(crate) fn change_seat(&mut self, id: WorkerId, attempt: AttemptId, change: impl FnOnce(&mut Seat)) {
        let is_call = self.seat(id, attempt).is_some_and(|seat| seat.is_call);
        self.update_for(is_call, id, |worker| worker.change_seat(attempt, change));
        if !is_call {
            self.note_gain(id);
        }
    }

    /// An actor lives there from now on.
    pub(crate) fn move_in(&mut self, id: WorkerId, actor: Key, shape: &Shape) {
        self.update(id, |worker| worker.move_in(actor, shape));
    }

    /// An actor has ended there.
    pub(crate) fn move_out(&mut self, id: WorkerId, actor: Key, shape: &Shape) {
        if self.joined.contains_key(&id) {
            self.update(id, |worker| worker.move_out(actor, shape));
            self.note_gain(id);
        }
    }

    /// Calls take nothing of what workers are ranked by.
    fn update_for(&mut self, is_call: bool, id: WorkerId, change: impl FnOnce(&mut Worker)) {
        if !is_call {
            self.update(id, change);
        } else if let Some(worker) = self.joined.get_mut(&id) {
            change(worker);
        }
    }

    /// Marks an attempt as asked back, once and for all. Gains no room: the attempt is still there.
    pub(crate) fn mark_recalled(&mut self, id: WorkerId, attempt: AttemptId) {
        let mark = |seat: &mut Seat| {
            seat.recalled = true;
            seat.movable = false;
        };
        self.update(id, |worker| worker.change_seat(attempt, mark));
    }

    /// Notes that a worker is short of memory, or no more; says whether that is news.
    pub(crate) fn set_pressed(&mut self, id: WorkerId, pressed: bool) -> bool {
        if self.joined.get(&id).is_none_or(|worker| worker.pressed == pressed) {
            return false;
        }
        self.update(id, |worker| worker.pressed = pressed);
        self.note_gain(id);
        true
    }

    pub(crate) fn hold(&mut self, id: WorkerId, value: Key, size: u64) {
        if let Some(worker) = self.joined.get_mut(&id)
            && worker.held.insert(value)
        {
            worker.held_bytes += u128::from(size);
        }
    }

    pub(crate) fn drop_value(&mut self, id: WorkerId, value: Key, size: u64) {
        if let Some(worker) = self.joined.get_mut(&id)
            && worker.held.remove(&value)
        {
            worker.held_bytes -= u128::from(size);
        }
    }

    pub(crate) fn begin_adopting(&mut self, id: WorkerId, value: Key, size: u64) {
        if let Some(worker) = self.joined.get_mut(&id)
            && worker.adopting.insert(value)
        {
            worker.adopting_bytes += u128::from(size);
        }
    }

    pub(crate) fn end_adopting(&mut self, id: WorkerId, value: Key, size: u64) {
        if let Some(worker) = self.joined.get_mut(&id)
            && worker.adopting.remove(&value)
        {
            worker.adopting_bytes -= u128::from(size);
        }
    }

    /// Of these workers the one that holds least.
    pub(crate) fn emptiest(&self, workers: &[WorkerId]) -> Option<WorkerId> {
        workers.iter().copied().min_by_key(|&id| self.get(id).map(Worker::claimed_bytes))
    }

    /// Workers that gained room since `forget_gains`. Every way to gain room ends up here.
    pub(crate) fn gained(&self) -> &[WorkerId] {
        &self.gained
    }

    pub(crate) fn note_gain(&mut self, id: WorkerId) {
        if !self.gained.contains(&id) {
            self.gained.push(id);
        }
    }

    pub(crate) fn forget_gains(&mut self) {
        self.gained.clear();
    }

    pub(crate) fn load_rank(&self, id: WorkerId) -> Option<LoadRank> {
        self.joined.get(&id).map(|worker| rank(id, worker))
    }

    /// Whether the indexes and sums agree with the workers.
    pub(crate) fn indexes_are_right(&self) -> bool {
        let surplus = |(&id, worker): (&WorkerId, &Worker)| match worker.surplus() {
            0 => true,
            surplus => self.by_surplus.contains(&(surplus, id)),
        };
        self.by_load.len() == self.joined.len()
            && self.joined.iter().all(|(&id, worker)| self.by_load.contains(&rank(id, worker)))
            && self.by_surplus.len() == self.joined.values().filter(|worker| worker.surplus() > 0).count()
            && self.joined.iter().all(surplus)
            && self.nodes.are_right(self.iter().filter_map(|(id, worker)| Some((id, worker.node?))))
            && self.free_slots == self.joined.values().map(Worker::free_slots).sum::<u64>()
            && self.recalled_slots == self.joined.values().map(|w| w.load.recalled_slots).sum::<u64>()
    }

    fn update(&mut self, id: WorkerId, change: impl FnOnce(&mut Worker)) {
        self.withdraw(id);
        if let Some(worker) = self.joined.get_mut(&id) {
            change(worker);
        }
        self.enter(id);
    }

    fn withdraw(&mut self, id: WorkerId) {
        let Some(worker) = self.joined.get(&id) else { return };
        self.by_load.remove(&rank(id, worker));
        self.by_surplus.remove(&(worker.surplus(), id));
        self.free_slots -= worker.free_slots();
        self.recalled_slots -= worker.load.recalled_slots;
    }

    fn enter(&mut self, id: WorkerId) {
        let Some(worker) = self.joined.get(&id) else { return };
        self.by_load.insert(rank(id, worker));
        if worker.surplus() > 0 {
            self.by_surplus.insert((worker.surplus(), id));
        }
        self.free_slots += worker.free_slots();
        self.recalled_slots += worker.load.recalled_slots;
    }
}

fn rank(id: WorkerId, worker: &Worker) -> LoadRank {
    let share = worker.load.slots.saturating_mul(1 << 16) / u64::from(worker.capacity.slots.max(1));
    let willingness = match worker.free_slots() {
        0 => Willingness::Busy,
        _ if worker.pressed => Willingness::Reluctant,
        _ => Willingness::Free,
    };
    (willingness, worker.expected_wait(), share, worker.residents.len(), id)
}

/// Raises every amount in `largest` to what `capacity` has.
fn raise(largest: &mut Resources, capacity: &Resources) {
    largest.slots = largest.slots.max(capacity.slots);
    largest.memory = largest.memory.max(capacity.memory);
    let mut named = core::mem::take(&mut largest.named).into_vec();
    for has in &capacity.named {
        match named.binary_search_by(|known| known.name.cmp(&has.name)) {
            Ok(place) => named[place].amount = named[place].amount.max(has.amount),
            Err(place) => named.insert(place, NamedResource { name: has.name.clone(), amount: has.amount }),
        }
    }
    largest.named = named.into_boxed_slice();
}
