//! All joined workers, indexed by how loaded they are, and who of them gained room since tasks were last placed.
use crate::ids::SpentNumbers;
use crate::line::Line;
use crate::nodes::Nodes;
use crate::seats::{Seat, Worker};
use crate::shapes::Shape;
use crate::task::Key;
use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use quiltwork_types::{AttemptId, DenseMap, NamedResource, NodeId, Resources, WorkerId};

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
/// Where a worker stands in the indexes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Standing {
    rank: LoadRank,
    surplus: (u64, WorkerId),
}

/// The joined workers.
#[derive(Debug, Default)]
pub(crate) struct Workers {
    joined: DenseMap<Worker>,
    pub(crate) nodes: Nodes,
    spent: SpentNumbers,
    /// All of them, each where it stood when it was last in `changed`.
    by_load: Line<LoadRank>,
    /// Those with a surplus by its size, likewise.
    by_surplus: Line<(u64, WorkerId)>,
    /// Workers that may stand elsewhere now. Most change and change back, and most events need no order: so they are put
    /// in order when somebody asks for it.
    changed: Vec<WorkerId>,
    gained: Vec<WorkerId>,
    free_slots: u64,
    recalled_slots: u64,
    /// Of all workers together.
    surplus: u64,
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
        let worker = Worker::new(capacity, node);
        self.free_slots += worker.free_slots();
        self.joined.insert(id.0, worker);
        self.changed.push(id);
        self.note_gain(id);
        true
    }

    pub(crate) fn leave(&mut self, id: WorkerId) -> Option<Worker> {
        let worker = self.joined.remove(id.0)?;
        self.free_slots -= worker.free_slots();
        self.recalled_slots -= worker.load.recalled_slots;
        self.surplus -= worker.surplus();
        if let Some(standing) = worker.standing {
            self.withdraw(standing);
        }
        self.changed.retain(|&changed| changed != id);
        self.gained.retain(|&gained| gained != id);
        self.largest = Resources { slots: 0, memory: 0, named: Box::default() };
        for (_, joined) in self.joined.iter() {
            raise(&mut self.largest, &joined.capacity);
        }
        Some(worker)
    }

    pub(crate) fn get(&self, id: WorkerId) -> Option<&Worker> {
        self.joined.get(id.0)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (WorkerId, &Worker)> {
        self.joined.iter().map(|(id, worker)| (WorkerId(id), worker))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.joined.is_empty()
    }

    pub(crate) const fn largest(&self) -> &Resources {
        &self.largest
    }

    pub(crate) fn capacities(&self) -> impl Iterator<Item = &Resources> {
        self.joined.iter().map(|(_, worker)| &worker.capacity)
    }

    /// Puts workers in order, for `by_load` and `most_surplus`.
    pub(crate) fn put_in_order(&mut self) {
        while let Some(id) = self.changed.pop() {
            let Some(worker) = self.joined.get_mut(id.0) else { continue };
            worker.has_changed = false;
            let standing = Standing { rank: rank(id, worker), surplus: (worker.surplus(), id) };
            let before = worker.standing.replace(standing);
            if before == Some(standing) {
                continue;
            }
            if let Some(before) = before {
                self.withdraw(before);
            }
            self.enter(standing);
        }
    }

    /// Workers, the one with the earliest expected start first.
    pub(crate) fn by_load(&self) -> impl Iterator<Item = WorkerId> {
        debug_assert!(self.changed.is_empty(), "they are put in order before anybody looks");
        self.by_load.iter().map(|(.., id)| id)
    }

    /// The worker with the largest surplus, and how many slots it is.
    pub(crate) fn most_surplus(&self) -> Option<(u64, WorkerId)> {
        debug_assert!(self.changed.is_empty(), "they are put in order before anybody looks");
        self.by_surplus.last()
    }

    pub(crate) const fn free_slots(&self) -> u64 {
        self.free_slots
    }

    /// Slots of attempts that wait behind others and could run elsewhere, if that is not where they wait as well.
    pub(crate) const fn surplus(&self) -> u64 {
        self.surplus
    }

    pub(crate) const fn recalled_slots(&self) -> u64 {
        self.recalled_slots
    }

    pub(crate) fn seat(&self, id: WorkerId, attempt: AttemptId) -> Option<&Seat> {
        self.joined.get(id.0)?.seats.get(attempt)
    }

    pub(crate) fn sit(&mut self, id: WorkerId, attempt: AttemptId, seat: Seat, shape: &Shape) {
        self.update(id, |worker| worker.sit(attempt, seat, shape));
    }

    pub(crate) fn stand_up(&mut self, id: WorkerId, seat: &Seat, attempt: AttemptId, shape: &Shape) {
        self.update(id, |worker| worker.stand_up(attempt, shape));
        if !seat.is_call {
            self.note_gain(id);
        }
    }

    /// Notes that a task was to come ahead and had no room.
    pub(crate) fn wait_behind(&mut self, id: WorkerId, task: Key) {
        if let Some(worker) = self.joined.get_mut(id.0)
            && worker.behind.len() < MOST_BEHIND
        {
            worker.behind.push_back(task);
        }
    }

    /// The next of those.
    pub(crate) fn next_behind(&mut self, id: WorkerId) -> Option<Key> {
        self.joined.get_mut(id.0)?.behind.pop_front()
    }

    pub(crate) fn change_seat(&mut self, id: WorkerId, attempt: AttemptId, change: impl FnOnce(&mut Seat)) {
        let mut is_call = false;
        let change = |seat: &mut Seat| {
            is_call = seat.is_call;
            change(seat);
        };
        self.update(id, |worker| worker.change_seat(attempt, change));
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
        if self.joined.get(id.0).is_some() {
            self.update(id, |worker| worker.move_out(actor, shape));
            self.note_gain(id);
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
        if self.joined.get(id.0).is_none_or(|worker| worker.pressed == pressed) {
            return false;
        }
        self.update(id, |worker| worker.pressed = pressed);
        self.note_gain(id);
        true
    }

    pub(crate) fn hold(&mut self, id: WorkerId, value: Key, size: u64) {
        if let Some(worker) = self.joined.get_mut(id.0)
            && worker.held.insert(value)
        {
            worker.held_bytes += u128::from(size);
        }
    }

    pub(crate) fn drop_value(&mut self, id: WorkerId, value: Key, size: u64) {
        if let Some(worker) = self.joined.get_mut(id.0)
            && worker.held.remove(&value)
        {
            worker.held_bytes -= u128::from(size);
        }
    }

    pub(crate) fn begin_adopting(&mut self, id: WorkerId, value: Key, size: u64) {
        if let Some(worker) = self.joined.get_mut(id.0)
            && worker.adopting.insert(value)
        {
            worker.adopting_bytes += u128::from(size);
        }
    }

    pub(crate) fn end_adopting(&mut self, id: WorkerId, value: Key, size: u64) {
        if let Some(worker) = self.joined.get_mut(id.0)
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
        self.joined.get(id.0).map(|worker| rank(id, worker))
    }

    /// Whether the indexes and sums agree with the workers.
    pub(crate) fn indexes_are_right(&self) -> bool {
        let is_true = |(id, worker): (WorkerId, &Worker)| {
            let standing = Standing { rank: rank(id, worker), surplus: (worker.surplus(), id) };
            worker.has_changed == self.changed.contains(&id)
                && (worker.has_changed || worker.standing == Some(standing))
        };
        let standings = || self.joined.iter().filter_map(|(_, worker)| worker.standing);
        let ranks: BTreeSet<_> = standings().map(|standing| standing.rank).collect();
        let surpluses: BTreeSet<_> =
            standings().map(|standing| standing.surplus).filter(|(surplus, _)| *surplus > 0).collect();
        self.iter().all(is_true)
            && self.by_load.iter().eq(ranks)
            && self.by_surplus.iter().eq(surpluses)
            && self.nodes.are_right(self.iter().filter_map(|(id, worker)| Some((id, worker.node?))))
            && self.free_slots == self.iter().map(|(_, worker)| worker.free_slots()).sum::<u64>()
            && self.surplus == self.iter().map(|(_, worker)| worker.surplus()).sum::<u64>()
            && self.recalled_slots == self.iter().map(|(_, worker)| worker.load.recalled_slots).sum::<u64>()
    }

    fn update(&mut self, id: WorkerId, change: impl FnOnce(&mut Worker)) {
        let Some(worker) = self.joined.get_mut(id.0) else { return };
        self.free_slots -= worker.free_slots();
        self.recalled_slots -= worker.load.recalled_slots;
        self.surplus -= worker.surplus();
        change(worker);
        self.free_slots += worker.free_slots();
        self.recalled_slots += worker.load.recalled_slots;
        self.surplus += worker.surplus();
        if !core::mem::replace(&mut worker.has_changed, true) {
            self.changed.push(id);
        }
    }

    fn withdraw(&mut self, standing: Standing) {
        self.by_load.remove(standing.rank);
        if standing.surplus.0 > 0 {
            self.by_surplus.remove(standing.surplus);
        }
    }

    fn enter(&mut self, standing: Standing) {
        self.by_load.insert(standing.rank);
        if standing.surplus.0 > 0 {
            self.by_surplus.insert(standing.surplus);
        }
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
