//! Tasks that go ahead: to the worker where all they wait for is being made, so that it starts them without a message.
//!
//! Each attempt is followed by one consumer at most, because its end frees the slots of one; the other consumers go the usual
//! way, to whoever has room. What goes ahead is small: its expected time counts against a window of its own, and an
//! unknown function never fits into that.
use crate::queue::Caution;
use crate::role::Role;
use crate::scheduler::{Scheduler, Turn};
use crate::seats::Worker;
use crate::task::{Key, Phase, Task};
use quiltwork_types::{NamedResource, WorkerId};

/// Inputs of a task that goes ahead: they are looked at each time one of them is assigned.
const FEW_INPUTS: usize = 8;

impl Scheduler {
    /// Sends those ahead whose inputs are being made at one worker, and those that follow them.
    pub(crate) fn dispatch_ahead(&mut self, turn: &mut Turn<'_>) {
        while let Some(key) = self.followers.pop() {
            let Some(worker) = self.maker_of_inputs(key) else { continue };
            let (class, rank) = self.queue_place(key);
            if self.ready.first_rank().is_some_and(|first| first < rank) {
                continue;
            }
            if self.has_room_ahead(worker, key) {
                self.assign(turn, key, class, worker);
            } else {
                self.workers.wait_behind(worker, key);
            }
        }
    }

    /// The worker that makes all the inputs a waiting task lacks, if it is the task that follows one of them and would have
    /// the others there as well.
    fn maker_of_inputs(&self, key: Key) -> Option<WorkerId> {
        let task = self.tasks.get(key).filter(|task| self.may_go_ahead(task))?;
        let mut maker = None;
        let mut follows = false;
        for edge in &task.inputs {
            let input = &self.tasks[edge.task];
            // It may end and come again as it likes.
            if input.is_living() {
                return None;
            }
            if input.available().is_some() {
                continue;
            }
            let worker = self.dependable_worker(input)?;
            if *maker.get_or_insert(worker) != worker {
                return None;
            }
            follows |= input.consumers.first().is_some_and(|edge| edge.task == key);
        }
        maker.filter(|&worker| follows && self.are_others_near(task, worker))
    }

    fn may_go_ahead(&self, task: &Task) -> bool {
        let wanted = &self.shapes[task.shape].wanted;
        matches!(task.phase, Phase::Waiting { .. })
            && matches!(task.role, Role::Plain)
            && task.inputs.len() <= FEW_INPUTS
            && task.death_count() == 0
            && !task.moved
            && wanted.memory == 0
            && wanted.named.iter().all(NamedResource::is_binding)
    }

    /// The worker that has an attempt of this task which will probably make its value there.
    fn dependable_worker(&self, task: &Task) -> Option<WorkerId> {
        let Phase::Assigned { worker, .. } = task.phase else { return None };
        let seat = self.workers.seat(worker, task.attempt())?;
        let is_dependable = matches!(task.role, Role::Plain) && seat.caution == Caution::None && !seat.recalled;
        is_dependable.then_some(worker)
    }

    /// Whether the inputs that are there already need not travel far.
    fn are_others_near(&self, task: &Task, worker: WorkerId) -> bool {
        let node_of = |worker: WorkerId| self.workers.get(worker).and_then(|worker| worker.node);
        let is_near =
            |&holder: &WorkerId| holder == worker || (node_of(holder) == node_of(worker) && node_of(worker).is_some());
        let values = task.inputs.iter().filter_map(|edge| self.tasks[edge.task].available());
        values.into_iter().all(|value| value.at_master || value.holders.iter().any(is_near))
    }

    /// Whether the worker shall be given more that waits there for other attempts.
    fn has_room_ahead(&self, id: WorkerId, key: Key) -> bool {
        let Some(worker) = self.workers.get(id) else { return false };
        let wanted = &self.shapes[self.tasks[key].shape].wanted;
        worker.capacity.could_hold(wanted)
            && worker.is_open()
            && worker.load.alone == 0
            && worker.load.ahead < u64::from(self.config.max_assigned / 2)
            && worker.load.given - worker.load.lending < u64::from(self.config.max_assigned)
            && self.reservation.is_none_or(|reservation| reservation.worker != id)
            && self.is_within_window_ahead(worker, key)
    }

    fn is_within_window_ahead(&self, worker: &Worker, key: Key) -> bool {
        let function = self.tasks[key].function.expect("what waits for inputs has a function");
        let ahead = worker.load.ahead_work / u64::from(worker.capacity.slots.max(1));
        ahead.saturating_add(worker.work_ahead()).saturating_add(self.estimates.of(function)) <= self.window
    }
}
