//! One worker: its capacity, the attempts it was given and what they take up. Other workers do not exist here.
use crate::queue::Caution;
use crate::shapes::{Shape, ShapeId};
use crate::task::Key;
use crate::workers::Standing;
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::vec::Vec;
use quiltwork_types::{AttemptId, NamedResource, NodeId, Resources};

/// A joined worker.
#[derive(Debug)]
pub(crate) struct Worker {
    pub(crate) capacity: Resources,
    /// The node whose values it shares.
    pub(crate) node: Option<NodeId>,
    /// Attempts it was given and has not ended, including those nobody wants any more.
    pub(crate) seats: Seats,
    /// What the seats add up to.
    pub(crate) load: Load,
    /// Bytes of memory the seats have reserved.
    pub(crate) used_memory: u64,
    /// What the seats have reserved of each of `capacity.named`.
    pub(crate) used_named: Vec<u64>,
    /// Published values it holds.
    pub(crate) held: BTreeSet<Key>,
    /// Wide enough for the sum of any sizes a worker may claim.
    pub(crate) held_bytes: u128,
    /// It is short of memory.
    pub(crate) pressed: bool,
    /// Values it was asked to adopt.
    pub(crate) adopting: BTreeSet<Key>,
    pub(crate) adopting_bytes: u128,
    /// The actors that live there. What they asked for beside slots is theirs as long as they do.
    pub(crate) residents: BTreeSet<Key>,
    /// Tasks that were to come ahead when there was no room for more of them. Only hints: any may be something else by now.
    pub(crate) behind: VecDeque<Key>,
    /// Where it stands in the indexes of workers; nowhere, when it has just joined.
    pub(crate) standing: Option<Standing>,
    /// It may have to stand elsewhere.
    pub(crate) has_changed: bool,
}

/// The attempts of a worker. Of tasks it has few, and it begins and ends them mostly in the order in which they came; calls
/// of actors it may have any number.
#[derive(Debug, Default)]
pub(crate) struct Seats {
    /// By attempt.
    tasks: VecDeque<(AttemptId, Seat)>,
    calls: BTreeMap<AttemptId, Seat>,
}

/// The place of one attempt at a worker.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seat {
    /// The task; its key may be used by another task once the seat is `unwanted`.
    pub(crate) task: Key,
    pub(crate) shape: ShapeId,
    pub(crate) slots: u32,
    /// Expected run time in nanoseconds when it was assigned.
    pub(crate) estimate: u64,
    pub(crate) caution: Caution,
    /// Position among all assignments.
    pub(crate) order: u64,
    /// The worker said that it runs.
    pub(crate) started: bool,
    /// It waits for other tasks and has lent its slots.
    pub(crate) lent: bool,
    /// It was asked back and has not answered.
    pub(crate) recalled: bool,
    /// Its task may be recalled at all.
    pub(crate) movable: bool,
    /// Its task was cancelled; the place is taken until the worker says that it is over.
    pub(crate) unwanted: bool,
    /// It was sent ahead: it waits for what other attempts make there.
    pub(crate) ahead: bool,
    /// It is the call of an actor: it takes nothing of what tasks share.
    pub(crate) is_call: bool,
}

/// Sums over the seats of a worker, but those of calls. A lending seat counts only in `lending`, `running` and `given`, one
/// that was sent ahead only in `ahead`, `ahead_work` and `given`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Load {
    /// Seats.
    pub(crate) given: u64,
    /// Seats whose function was entered.
    pub(crate) running: u64,
    pub(crate) lending: u64,
    /// Seats that want the worker for themselves.
    pub(crate) alone: u64,
    /// Slots; may exceed what the worker has.
    pub(crate) slots: u64,
    /// Of those, of seats that have not started.
    pub(crate) unstarted_slots: u64,
    /// Of those, the ones that could be recalled.
    pub(crate) movable_slots: u64,
    /// Slots of seats that are asked back.
    pub(crate) recalled_slots: u64,
    /// Expected run time times slots, in nanoseconds.
    pub(crate) work: u64,
    /// Of that, of seats that have not started.
    pub(crate) unstarted_work: u64,
    /// Seats that were sent ahead.
    pub(crate) ahead: u64,
    /// Expected run time times slots of those, in nanoseconds.
    pub(crate) ahead_work: u64,
}

impl Seats {
    pub(crate) fn get(&self, attempt: AttemptId) -> Option<&Seat> {
        match self.find(attempt) {
            Ok(place) => Some(&self.tasks[place].1),
            Err(_) => self.calls.get(&attempt),
        }
    }

    fn get_mut(&mut self, attempt: AttemptId) -> Option<&mut Seat> {
        match self.find(attempt) {
            Ok(place) => Some(&mut self.tasks[place].1),
            Err(_) => self.calls.get_mut(&attempt),
        }
    }

    fn insert(&mut self, attempt: AttemptId, seat: Seat) {
        if seat.is_call {
            self.calls.insert(attempt, seat);
        } else if let Err(place) = self.find(attempt) {
            self.tasks.insert(place, (attempt, seat));
        }
    }

    fn remove(&mut self, attempt: AttemptId) -> Option<Seat> {
        match self.find(attempt) {
            Ok(place) => self.tasks.remove(place).map(|(_, seat)| seat),
            Err(_) => self.calls.remove(&attempt),
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (AttemptId, &Seat)> {
        let tasks = self.tasks.iter().map(|(attempt, seat)| (*attempt, seat));
        tasks.chain(self.calls.iter().map(|(&attempt, seat)| (attempt, seat)))
    }

    /// Where the seat of a task is, or where it would have to be: mostly at one of the ends.
    fn find(&self, attempt: AttemptId) -> Result<usize, usize> {
        match (self.tasks.front(), self.tasks.back()) {
            (Some((first, _)), _) if *first == attempt => Ok(0),
            (_, Some((last, _))) if *last < attempt => Err(self.tasks.len()),
            (None, _) => Err(0),
            _ => self.tasks.binary_search_by_key(&attempt, |(attempt, _)| *attempt),
        }
    }
}

impl Load {
    pub(crate) fn add(&mut self, seat: &Seat) {
        self.count(seat, |sum, part| *sum += part);
    }

    fn subtract(&mut self, seat: &Seat) {
        self.count(seat, |sum, part| *sum -= part);
    }

    /// The one place that says which sums a seat is part of.
    fn count(&mut self, seat: &Seat, change: impl Fn(&mut u64, u64)) {
        if seat.is_call {
            return;
        }
        change(&mut self.given, 1);
        change(&mut self.running, u64::from(seat.started));
        if seat.lent {
            change(&mut self.lending, 1);
            return;
        }
        let slots = u64::from(seat.slots);
        let work = seat.estimate.saturating_mul(slots).min(LARGEST_WORK);
        if seat.ahead {
            change(&mut self.ahead, 1);
            change(&mut self.ahead_work, work);
            return;
        }
        change(&mut self.alone, u64::from(seat.caution == Caution::Alone));
        change(&mut self.slots, slots);
        change(&mut self.work, work);
        if !seat.started {
            change(&mut self.unstarted_slots, slots);
            change(&mut self.unstarted_work, work);
        }
        if seat.recalled {
            change(&mut self.recalled_slots, slots);
        } else if !seat.started && seat.movable && !seat.unwanted {
            change(&mut self.movable_slots, slots);
        }
    }
}

/// What one seat counts at most, so that the sum over 2^16 seats fits into 64 bits.
const LARGEST_WORK: u64 = 1 << 47;

impl Worker {
    pub(crate) fn new(capacity: Resources, node: Option<NodeId>) -> Self {
        let used_named = capacity.named.iter().map(|_| 0).collect();
        Self {
            capacity,
            node,
            seats: Seats::default(),
            load: Load::default(),
            used_memory: 0,
            used_named,
            held: BTreeSet::new(),
            held_bytes: 0,
            pressed: false,
            adopting: BTreeSet::new(),
            adopting_bytes: 0,
            residents: BTreeSet::new(),
            behind: VecDeque::new(),
            standing: None,
            has_changed: true,
        }
    }

    pub(crate) fn sit(&mut self, attempt: AttemptId, seat: Seat, shape: &Shape) {
        self.load.add(&seat);
        self.occupy(shape);
        self.seats.insert(attempt, seat);
    }

    pub(crate) fn stand_up(&mut self, attempt: AttemptId, shape: &Shape) {
        if let Some(seat) = self.seats.remove(attempt) {
            self.load.subtract(&seat);
            self.vacate(shape);
        }
    }

    pub(crate) fn move_in(&mut self, actor: Key, shape: &Shape) {
        if self.residents.insert(actor) {
            self.occupy(shape);
        }
    }

    pub(crate) fn move_out(&mut self, actor: Key, shape: &Shape) {
        if self.residents.remove(&actor) {
            self.vacate(shape);
        }
    }

    fn occupy(&mut self, shape: &Shape) {
        self.used_memory += shape.wanted.memory;
        self.for_named(shape, |used, amount| *used += amount);
    }

    fn vacate(&mut self, shape: &Shape) {
        self.used_memory -= shape.wanted.memory;
        self.for_named(shape, |used, amount| *used -= amount);
    }

    pub(crate) fn change_seat(&mut self, attempt: AttemptId, change: impl FnOnce(&mut Seat)) {
        if let Some(seat) = self.seats.get_mut(attempt) {
            self.load.subtract(seat);
            change(seat);
            self.load.add(seat);
        }
    }

    fn for_named(&mut self, shape: &Shape, change: impl Fn(&mut u64, u64)) {
        for wanted in &shape.wanted.named {
            if let Some(i) = self.capacity.place_of(wanted) {
                change(&mut self.used_named[i], wanted.amount);
            }
        }
    }

    /// Bytes it holds or is going to hold.
    pub(crate) const fn claimed_bytes(&self) -> u128 {
        self.held_bytes + self.adopting_bytes
    }

    /// Slots that may be given out now.
    pub(crate) fn free_slots(&self) -> u64 {
        if self.is_open() { u64::from(self.capacity.slots).saturating_sub(self.load.slots) } else { 0 }
    }

    /// Whether its memory allows for one more attempt. One that has nothing to do always gets one: memory that nobody
    /// gives back, because an allocator keeps it, must not stop the work.
    pub(crate) const fn is_open(&self) -> bool {
        !self.pressed || self.is_quiet()
    }

    /// Whether the slots are free; none at all are free of a worker that has more given than slots.
    pub(crate) fn has_free_slots(&self, wanted: u32) -> bool {
        self.load.slots + u64::from(wanted) <= u64::from(self.capacity.slots)
    }

    pub(crate) const fn has_free_memory(&self, wanted: u64) -> bool {
        self.capacity.memory.saturating_sub(self.used_memory) >= wanted
    }

    /// Whether so much of what is asked for by this name is free.
    pub(crate) fn has_free_named(&self, asked: &NamedResource, amount: u64) -> bool {
        let index = self.capacity.place_of(asked);
        index.is_some_and(|i| self.capacity.named[i].amount.saturating_sub(self.used_named[i]) >= amount)
    }

    /// Whether everything but the slots is free.
    pub(crate) fn has_reservable(&self, wanted: &Resources) -> bool {
        self.has_free_memory(wanted.memory) && wanted.named.iter().all(|r| self.has_free_named(r, r.amount))
    }

    /// Expected work per slot that waits behind the running attempts, in nanoseconds. Attempts that have not started
    /// count only as far as they exceed the slots: the others are merely on their way.
    pub(crate) fn work_ahead(&self) -> u64 {
        let excess = self.load.slots.saturating_sub(self.capacity.slots.into()).min(self.load.unstarted_slots);
        let waiting = if excess == self.load.unstarted_slots {
            self.load.unstarted_work
        } else {
            let waiting = u128::from(self.load.unstarted_work) * u128::from(excess);
            let share = waiting / u128::from(self.load.unstarted_slots);
            u64::try_from(share).expect("a share of the work fits where the work does")
        };
        waiting / u64::from(self.capacity.slots.max(1))
    }

    /// Expected time until a slot is free, in nanoseconds.
    pub(crate) fn expected_wait(&self) -> u64 {
        if self.free_slots() > 0 { 0 } else { self.load.work / u64::from(self.capacity.slots.max(1)) }
    }

    /// Slots of attempts that wait behind the running ones and could run elsewhere.
    pub(crate) fn surplus(&self) -> u64 {
        let staying = self.load.slots.saturating_sub(self.load.recalled_slots);
        staying.saturating_sub(self.capacity.slots.into()).min(self.load.movable_slots)
    }

    /// Whether no actor lives there.
    pub(crate) fn is_clear(&self) -> bool {
        self.residents.is_empty()
    }

    /// Whether nothing was given to it but attempts that wait for others.
    pub(crate) const fn is_quiet(&self) -> bool {
        self.load.given == self.load.lending
    }
}
