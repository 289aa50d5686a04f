//! The slot machine: which attempt waits, runs or lends its slots; commands in, effects out, no I/O, threads or bytes.
//!
//! ```text
//!            ┌──────────┐ InputsReady ┌────────┐  (Start)   ┌─────────┐   Lend    ┌─────────┐
//! Assigned ─▶│ fetching │────────────▶│ queued │───────────▶│ running │──────────▶│ lending │
//!            └────┬─────┘             └───┬────┘            └─┬─────▲─┘           └─┬─────▲─┘
//!                 │                       │                   │     │               │     │
//!    InputsFailed │     Recall, Cancel    │          RunEnded │     │ (Resume)      │     │ Lend
//!  Recall, Cancel ▼                       ▼                   ▼     │          last │     │
//!             (it is gone)           (it is gone)      (it is gone) │       Reclaim ▼     │
//!                                                                 ┌─┴─────────────────────┴─┐
//!                                                                 │        resuming         │
//!                                                                 └─────────────────────────┘
//! ```
//! Free slots go to resuming attempts first, then to queued ones, each first come, first served. Nobody overtakes an
//! attempt that waits for more slots than are free, or it might wait for ever. An attempt of no slots never waits.
use quiltwork_types::AttemptId;
use std::collections::{HashMap, VecDeque};

/// What the slot machine is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Command {
    /// The master gave this worker an attempt; one that is known already is ignored.
    Assigned { attempt: AttemptId, slots: u32, ready: bool },
    /// All its inputs are here now.
    InputsReady(AttemptId),
    /// Some of its inputs could not be had.
    InputsFailed(AttemptId),
    /// The master wants it back unless it has been started.
    Recall(AttemptId),
    /// Nobody wants its result any more.
    Cancel(AttemptId),
    /// Its function has returned.
    RunEnded(AttemptId),
    /// It begins to wait for something and gives its slots away meanwhile; waits may overlap.
    Lend(AttemptId),
    /// One of its waits is over; after the last one it wants its slots back.
    Reclaim(AttemptId),
}

/// What shall be done. `Returned`, `Lacking`, `Discarded` and `Ended` are the ends an attempt can have: each attempt
/// gets exactly one of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Fetch its inputs.
    Fetch(AttemptId),
    /// Enter its function on a thread.
    Start(AttemptId),
    /// It lends its slots from now on.
    Lent(AttemptId),
    /// Let its thread go on: it has its slots again.
    Resume(AttemptId),
    /// It runs and cannot be stopped, but can be told that nobody wants it.
    Tell(AttemptId),
    /// It goes back unstarted, as asked.
    Returned(AttemptId),
    /// It goes back unstarted for want of inputs.
    Lacking(AttemptId),
    /// It was cancelled before it started.
    Discarded(AttemptId),
    /// It ran and has ended.
    Ended(AttemptId),
}

/// Where an attempt stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Its inputs are on the way.
    Fetching,
    /// It waits for slots to start.
    Queued,
    /// It has its slots.
    Running,
    /// It waits for something, `waits` times over, and has given its slots away.
    Lending { waits: u32 },
    /// It waits for slots to go on.
    Resuming,
}

/// One attempt this worker has.
#[derive(Debug)]
struct Place {
    slots: u32,
    phase: Phase,
    cancelled: bool,
}

/// All attempts of a worker and the slots they share.
#[derive(Debug)]
pub(crate) struct SlotMachine {
    capacity: u32,
    free: u32,
    places: HashMap<AttemptId, Place>,
    resuming: VecDeque<AttemptId>,
    queued: VecDeque<AttemptId>,
}

impl SlotMachine {
    /// A machine with this many slots, all free.
    pub(crate) fn new(capacity: u32) -> Self {
        Self { capacity, free: capacity, places: HashMap::new(), resuming: VecDeque::new(), queued: VecDeque::new() }
    }

    /// Where an attempt stands; `None` if it is not here (any more).
    pub(crate) fn phase(&self, attempt: AttemptId) -> Option<Phase> {
        self.places.get(&attempt).map(|place| place.phase)
    }

    /// Takes one command and appends what is to be done, in order. Commands about attempts that are not here, or stand
    /// where the command means nothing, are late and change nothing.
    pub(crate) fn handle(&mut self, command: Command, effects: &mut Vec<Effect>) {
        match command {
            Command::Assigned { attempt, slots, ready } => self.on_assigned(attempt, slots, ready, effects),
            Command::InputsReady(attempt) => self.on_inputs_ready(attempt, effects),
            Command::InputsFailed(attempt) => self.on_inputs_failed(attempt, effects),
            Command::Recall(attempt) => self.on_recall(attempt, effects),
            Command::Cancel(attempt) => self.on_cancel(attempt, effects),
            Command::RunEnded(attempt) => self.on_run_ended(attempt, effects),
            Command::Lend(attempt) => self.on_lend(attempt, effects),
            Command::Reclaim(attempt) => self.on_reclaim(attempt, effects),
        }
        self.fill(effects);
    }

    fn on_assigned(&mut self, attempt: AttemptId, slots: u32, ready: bool, effects: &mut Vec<Effect>) {
        if self.places.contains_key(&attempt) {
            return;
        }
        // More than there are would never be free: it gets all of them.
        let slots = slots.min(self.capacity);
        self.places.insert(attempt, Place { slots, phase: Phase::Fetching, cancelled: false });
        if ready {
            self.on_inputs_ready(attempt, effects);
        } else {
            effects.push(Effect::Fetch(attempt));
        }
    }

    fn on_inputs_ready(&mut self, attempt: AttemptId, effects: &mut Vec<Effect>) {
        let Some(place) = self.places.get_mut(&attempt).filter(|place| place.phase == Phase::Fetching) else { return };
        if place.slots == 0 {
            place.phase = Phase::Running;
            effects.push(Effect::Start(attempt));
        } else {
            place.phase = Phase::Queued;
            self.queued.push_back(attempt);
        }
    }

    fn on_inputs_failed(&mut self, attempt: AttemptId, effects: &mut Vec<Effect>) {
        if self.phase(attempt) == Some(Phase::Fetching) {
            self.places.remove(&attempt);
            effects.push(Effect::Lacking(attempt));
        }
    }

    fn on_recall(&mut self, attempt: AttemptId, effects: &mut Vec<Effect>) {
        if self.remove_unstarted(attempt) {
            effects.push(Effect::Returned(attempt));
        }
    }

    fn on_cancel(&mut self, attempt: AttemptId, effects: &mut Vec<Effect>) {
        if self.remove_unstarted(attempt) {
            effects.push(Effect::Discarded(attempt));
        } else if let Some(place) = self.places.get_mut(&attempt).filter(|place| !place.cancelled) {
            place.cancelled = true;
            effects.push(Effect::Tell(attempt));
        }
    }

    fn on_run_ended(&mut self, attempt: AttemptId, effects: &mut Vec<Effect>) {
        let Some(place) = self.places.get(&attempt) else { return };
        match place.phase {
            Phase::Fetching | Phase::Queued => return,
            Phase::Running => self.free += place.slots,
            Phase::Lending { .. } => {}
            Phase::Resuming => self.resuming.retain(|waiting| *waiting != attempt),
        }
        self.places.remove(&attempt);
        effects.push(Effect::Ended(attempt));
    }

    fn on_lend(&mut self, attempt: AttemptId, effects: &mut Vec<Effect>) {
        let Some(place) = self.places.get_mut(&attempt) else { return };
        match &mut place.phase {
            Phase::Fetching | Phase::Queued => {}
            Phase::Running => {
                self.free += place.slots;
                place.phase = Phase::Lending { waits: 1 };
                effects.push(Effect::Lent(attempt));
            }
            Phase::Lending { waits } => *waits += 1,
            // It never got its slots back, so for everybody else it went on lending.
            Phase::Resuming => {
                place.phase = Phase::Lending { waits: 1 };
                self.resuming.retain(|waiting| *waiting != attempt);
            }
        }
    }

    fn on_reclaim(&mut self, attempt: AttemptId, effects: &mut Vec<Effect>) {
        let Some(place) = self.places.get_mut(&attempt) else { return };
        match &mut place.phase {
            Phase::Lending { waits } if *waits > 1 => *waits -= 1,
            Phase::Lending { .. } if place.slots == 0 => {
                place.phase = Phase::Running;
                effects.push(Effect::Resume(attempt));
            }
            Phase::Lending { .. } => {
                place.phase = Phase::Resuming;
                self.resuming.push_back(attempt);
            }
            _ => {}
        }
    }

    /// Forgets an attempt that was not started; says whether it was one.
    fn remove_unstarted(&mut self, attempt: AttemptId) -> bool {
        match self.phase(attempt) {
            Some(Phase::Fetching) => {}
            Some(Phase::Queued) => self.queued.retain(|waiting| *waiting != attempt),
            _ => return false,
        }
        self.places.remove(&attempt);
        true
    }

    /// Gives free slots to those who wait for them.
    fn fill(&mut self, effects: &mut Vec<Effect>) {
        while let Some(&attempt) = self.resuming.front() {
            if !self.occupy(attempt) {
                return;
            }
            self.resuming.pop_front();
            effects.push(Effect::Resume(attempt));
        }
        while let Some(&attempt) = self.queued.front() {
            if !self.occupy(attempt) {
                return;
            }
            self.queued.pop_front();
            effects.push(Effect::Start(attempt));
        }
    }

    /// Lets a waiting attempt run if its slots are free.
    fn occupy(&mut self, attempt: AttemptId) -> bool {
        let place = self.places.get_mut(&attempt).expect("who waits for slots has a place");
        if place.slots > self.free {
            return false;
        }
        self.free -= place.slots;
        place.phase = Phase::Running;
        true
    }
}

#[cfg(test)]
mod tests;
