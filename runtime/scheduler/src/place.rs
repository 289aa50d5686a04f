//! Takes ready tasks in order of rank and gives them to workers that have room.
use crate::action::{Action, Supply};
use crate::placement::Candidate;
use crate::queue::{Caution, ClassId, Head, Rank, ReadyTask};
use crate::role::Role;
use crate::scheduler::{Scheduler, Turn};
use crate::seats::{Seat, Worker};
use crate::task::{Key, Phase, Task};
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::time::Duration;
use quiltwork_types::{Chapter, FunctionId, NodeId, Resources, WorkerId};

/// Workers without a free slot that are looked at for one task. They are only for working ahead, so missing one that
/// would do costs nothing.
const BUSY_LOOKS: usize = 8;

/// A worker that is kept free of lower-ranked tasks until a large one fits, so that a stream of small tasks cannot
/// keep it out for ever. There is one at a time, for the best-ranked large task that does not fit anywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reservation {
    pub(crate) worker: WorkerId,
    pub(crate) class: ClassId,
    /// Of the class's first task.
    pub(crate) rank: Rank,
}

/// Where the bytes of a task's inputs are.
#[derive(Default)]
struct Located {
    total: u64,
    at_workers: BTreeMap<WorkerId, u64>,
    at_nodes: BTreeMap<NodeId, u64>,
}

impl Scheduler {
    /// Lets a task go on whose inputs are all there.
    pub(crate) fn enqueue(&mut self, turn: &mut Turn<'_>, key: Key) {
        match self.tasks[key].role {
            Role::Plain | Role::Actor(_) => {}
            Role::Call { .. } => return self.make_ready(turn, key),
            Role::Reference => return self.resolve(turn, key),
        }
        let task = &mut self.tasks[key];
        task.phase = Phase::Queued;
        task.story.push(turn.now, Chapter::Queued);
        let (class, rank) = self.queue_place(key);
        self.ready.insert(class, rank, key);
        if let Some(reservation) = self.reservation.filter(|reservation| rank < reservation.rank) {
            self.workers.note_gain(reservation.worker);
        }
        self.despair_if_bound(key);
    }

    /// Takes a task that waits for its worker out of where it waits.
    pub(crate) fn unqueue(&mut self, key: Key) {
        if !matches!(self.tasks[key].role, Role::Call { .. }) {
            self.dequeue(key);
        }
    }

    fn dequeue(&mut self, key: Key) {
        let (class, rank) = self.queue_place(key);
        let was_there = self.ready.remove(class, rank, key);
        debug_assert!(was_there, "a queue order must rank a task the same way every time");
    }

    pub(crate) fn queue_place(&self, key: Key) -> (ClassId, Rank) {
        let task = &self.tasks[key];
        let function = function_of(task);
        let ready = ReadyTask { id: task.id, function, priority: task.priority, depth: task.depth, order: task.order };
        (ClassId { shape: task.shape, function, caution: Caution::after(task.death_count()) }, self.order.rank(&ready))
    }

    /// Places what can be placed: one look per class, and at blocked classes only through workers that gained room.
    pub(crate) fn place_ready(&mut self, turn: &mut Turn<'_>) {
        self.refresh_reservation();
        let mut passed = None;
        while let Some(head) = self.ready.next_after(passed) {
            let Head { rank, class, key, is_blocked } = head;
            if !is_blocked || class.caution == Caution::Alone {
                self.workers.put_in_order();
            }
            if let Some(worker) = self.find_worker(head) {
                self.ready.remove(class, rank, key);
                if self.reservation.is_some_and(|reservation| reservation.class == class) {
                    self.drop_reservation();
                }
                self.assign(turn, key, class, worker);
            } else {
                if !is_blocked {
                    self.ready.block(class);
                }
                self.reserve(class, rank);
                passed = Some((rank, class));
            }
        }
        self.workers.forget_gains();
    }

    fn find_worker(&self, Head { rank, class, key, is_blocked }: Head) -> Option<WorkerId> {
        let gained = self.workers.gained();
        if is_blocked && gained.is_empty() {
            return None;
        }
        if class.caution == Caution::Alone {
            return self.find_quiet_worker(class, rank);
        }
        let has_room = |&id: &WorkerId| self.has_room(id, class, rank);
        let earliest = if is_blocked {
            gained.iter().copied().filter(has_room).min_by_key(|&id| self.workers.load_rank(id))
        } else {
            self.find_earliest(class, rank)
        };
        earliest.map(|earliest| self.weigh(earliest, class, rank, key))
    }

    /// The first worker with room in the order of expected start. Behind the free ones only a few are looked at.
    fn find_earliest(&self, class: ClassId, rank: Rank) -> Option<WorkerId> {
        let needs_slots = self.shapes[class.shape].wanted.slots > 0;
        let mut busy = 0;
        for id in self.workers.by_load() {
            if needs_slots && self.workers.get(id).is_some_and(|worker| worker.free_slots() == 0) {
                busy += 1;
                if busy > BUSY_LOOKS {
                    return None;
                }
            }
            if self.has_room(id, class, rank) {
                return Some(id);
            }
        }
        None
    }

    /// Lets the policy choose between the earliest start and workers with room that hold inputs or can map them.
    fn weigh(&self, earliest: WorkerId, class: ClassId, rank: Rank, key: Key) -> WorkerId {
        let task = &self.tasks[key];
        let inputs = self.locate_inputs(task);
        if inputs.at_workers.is_empty() {
            return earliest;
        }
        let node_of = |id| self.workers.get(id).and_then(|worker| worker.node);
        let candidate = |worker: WorkerId| {
            let held = inputs.at_workers.get(&worker).copied().unwrap_or(0);
            let near = node_of(worker).and_then(|node| inputs.at_nodes.get(&node).copied()).unwrap_or(held);
            Candidate {
                worker,
                expected_wait: Duration::from_nanos(self.workers.get(worker).map_or(0, Worker::expected_wait)),
                bytes_to_move: inputs.total.saturating_sub(near),
                bytes_to_map: near.saturating_sub(held),
            }
        };
        let has_room = |&id: &WorkerId| self.has_room(id, class, rank);
        let holders = inputs.at_workers.keys().copied().filter(|&id| id != earliest).filter(has_room);
        let distant = inputs.at_nodes.keys().filter(|&&node| node_of(earliest) != Some(node));
        let mates = distant.filter_map(|&node| {
            let mates = self.workers.nodes.members(node).iter().copied().filter(has_room);
            mates.min_by_key(|&id| self.workers.load_rank(id))
        });
        let candidates: Vec<_> = core::iter::once(earliest).chain(holders).chain(mates).map(candidate).collect();
        candidates.get(self.placement.choose(task.id, &candidates)).map_or(earliest, |chosen| chosen.worker)
    }

    /// How many bytes of a task's inputs are where. What several workers of a node hold is there once.
    fn locate_inputs(&self, task: &Task) -> Located {
        let mut located = Located::default();
        for value in task.inputs.iter().filter_map(|edge| self.tasks[edge.task].available()) {
            located.total = located.total.saturating_add(value.size);
            for (place, holder) in value.holders.iter().enumerate() {
                add(&mut located.at_workers, *holder, value.size);
                let node_of = |id: &WorkerId| self.workers.get(*id).and_then(|worker| worker.node);
                let node = node_of(holder);
                let is_new = value.holders[..place].iter().all(|other| node_of(other) != node);
                if let Some(node) = node.filter(|_| is_new) {
                    add(&mut located.at_nodes, node, value.size);
                }
            }
        }
        located
    }

    /// Whether a worker may be given a task of this class and rank now.
    pub(crate) fn has_room(&self, id: WorkerId, class: ClassId, rank: Rank) -> bool {
        let Some(worker) = self.workers.get(id) else { return false };
        let wanted = &self.shapes[class.shape].wanted;
        let given = worker.load.given - worker.load.lending;
        worker.capacity.slots >= wanted.slots
            && worker.is_open()
            && worker.has_reservable(wanted)
            && worker.load.alone == 0
            && given < u64::from(self.config.max_assigned)
            && match class.caution {
                Caution::None => worker.has_free_slots(wanted.slots) || self.is_within_window(worker, class),
                Caution::FreeSlot => worker.has_free_slots(wanted.slots),
                Caution::Alone => worker.is_quiet(),
            }
            && !self.is_held_back(id, worker, class, rank)
    }

    fn is_within_window(&self, worker: &Worker, class: ClassId) -> bool {
        let estimate = self.estimates.of(class.function);
        worker.work_ahead().saturating_add(estimate) <= self.window
    }

    /// A worker that has nothing at all. If every worker has an attempt that waits for other tasks, such attempts do
    /// not count: the task that is placed may be the one they wait for.
    fn find_quiet_worker(&self, class: ClassId, rank: Rank) -> Option<WorkerId> {
        let wanted = &self.shapes[class.shape].wanted;
        let has_room = |&id: &WorkerId| self.has_room(id, class, rank);
        let is_empty = |&(_, worker): &(WorkerId, &Worker)| worker.load.given == 0;
        let in_order = || self.workers.by_load().filter_map(|id| Some((id, self.workers.get(id)?)));
        let clear = self.has_clear_worker(wanted);
        let able = || in_order().filter(|(_, worker)| worker.capacity.could_hold(wanted) && worker.is_clear() >= clear);
        let empty = able().filter(is_empty).map(|(id, _)| id).find(has_room);
        if empty.is_some() || able().any(|(_, worker)| worker.load.lending == 0) {
            return empty;
        }
        able().map(|(id, _)| id).find(has_room)
    }

    /// Whether a worker that could hold this has no actors: they would be company, but may live everywhere.
    fn has_clear_worker(&self, wanted: &Resources) -> bool {
        self.workers.iter().any(|(_, worker)| worker.is_clear() && worker.capacity.could_hold(wanted))
    }

    /// Gives a task to a worker. Inputs that are not published yet are made there.
    pub(crate) fn assign(&mut self, turn: &mut Turn<'_>, key: Key, class: ClassId, worker: WorkerId) {
        let inputs: Vec<_> = self.tasks[key].inputs.iter().map(|edge| self.supply_of(edge.task)).collect();
        let missing = inputs.iter().filter(|supply| matches!(supply, Supply::Coming(_))).count();
        let missing = u32::try_from(missing).expect("fewer than 2^32 edges fit in memory");
        self.assignments += 1;
        let task = &mut self.tasks[key];
        task.attempts += 1;
        task.phase = Phase::Assigned { worker, running: false, missing };
        self.followers.extend(task.consumers.first().map(|edge| edge.task));
        task.story.push(turn.now, Chapter::Assigned { number: task.attempts, worker });
        let shape = &self.shapes[class.shape];
        let seat = Seat {
            task: key,
            shape: class.shape,
            slots: shape.wanted.slots,
            estimate: self.estimates.of(class.function),
            caution: class.caution,
            order: self.assignments,
            started: false,
            lent: false,
            recalled: false,
            movable: !task.moved,
            unwanted: false,
            ahead: missing > 0,
            is_call: false,
        };
        let attempt = task.attempt();
        self.workers.sit(worker, attempt, seat, shape);
        self.shapes.retain(class.shape);
        turn.act(Action::Dispatch { worker, attempt, actor: None, inputs });
    }

    /// Whether a lower-ranked task would take what a reservation waits for. An attempt that lends its slots may wait
    /// for the very task that would be held back, so nothing is held back on its worker.
    fn is_held_back(&self, id: WorkerId, worker: &Worker, class: ClassId, rank: Rank) -> bool {
        let Some(reservation) = self.reservation.filter(|reservation| reservation.worker == id) else { return false };
        if reservation.class == class || rank < reservation.rank || worker.load.lending > 0 {
            return false;
        }
        let waiting = &self.shapes[reservation.class.shape].wanted;
        let asking = &self.shapes[class.shape].wanted;
        reservation.class.caution == Caution::Alone
            || (asking.slots > 0 && !worker.has_free_slots(waiting.slots))
            || (asking.memory > 0 && !worker.has_free_memory(waiting.memory))
            || asking.named.iter().any(|r| !worker.has_free_named(r, waiting.amount(&r.name)))
    }

    /// Reserves the worker where a large task that fits nowhere will probably fit first.
    fn reserve(&mut self, class: ClassId, rank: Rank) {
        let shape = &self.shapes[class.shape];
        if self.reservation.is_some() || !(shape.is_large() || class.caution == Caution::Alone) {
            return;
        }
        let clear = class.caution == Caution::Alone && self.has_clear_worker(&shape.wanted);
        let is_able = |w: &Worker| w.load.lending == 0 && w.is_clear() >= clear && w.capacity.could_hold(&shape.wanted);
        let able = self.workers.iter().filter(|(_, worker)| is_able(worker));
        let first = able.min_by_key(|&(id, _)| self.workers.load_rank(id)).map(|(worker, _)| worker);
        self.reservation = first.map(|worker| Reservation { worker, class, rank });
    }

    /// Keeps the reservation true to the class it is for, whose first task may have been cancelled or overtaken.
    fn refresh_reservation(&mut self) {
        let Some(reservation) = &mut self.reservation else { return };
        match self.ready.head(reservation.class) {
            Some(rank) if rank == reservation.rank => {}
            Some(rank) => {
                reservation.rank = rank;
                self.workers.note_gain(reservation.worker);
            }
            None => self.drop_reservation(),
        }
    }

    /// Whatever was held back may go to the worker again.
    fn drop_reservation(&mut self) {
        if let Some(reservation) = self.reservation.take() {
            self.workers.note_gain(reservation.worker);
        }
    }

    pub(crate) fn drop_reservation_on(&mut self, worker: WorkerId) {
        if self.reservation.is_some_and(|reservation| reservation.worker == worker) {
            self.reservation = None;
        }
    }
}

fn add<K: Ord>(bytes: &mut BTreeMap<K, u64>, place: K, size: u64) {
    let sum = bytes.entry(place).or_default();
    *sum = sum.saturating_add(size);
}

fn function_of(task: &Task) -> FunctionId {
    task.function.expect("an upload is never queued")
}
