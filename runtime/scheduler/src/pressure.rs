//! Workers that are short of memory: what waits there behind the running attempts is asked back. What they may still be
//! given is decided where room is (`Worker::is_open`).
use crate::action::Action;
use crate::scheduler::{Scheduler, Turn};
use crate::seats::{Seat, Worker};
use alloc::vec::Vec;
use core::cmp::Reverse;
use quiltwork_types::{AttemptId, WorkerId};

impl Scheduler {
    pub(crate) fn on_worker_pressed(&mut self, turn: &mut Turn<'_>, id: WorkerId) {
        if !self.workers.set_pressed(id, true) {
            return;
        }
        let excess = self.workers.get(id).map(excess).unwrap_or_default();
        for attempt in excess {
            self.workers.mark_recalled(id, attempt);
            turn.act(Action::Recall { worker: id, attempt });
        }
    }

    pub(crate) fn on_worker_relieved(&mut self, id: WorkerId) {
        self.workers.set_pressed(id, false);
    }
}

/// What was sent ahead, and the latest of the attempts that have not started and find no free slot if they do. Those that
/// fit are as good as started: asking them back would mostly come too late.
fn excess(worker: &Worker) -> Vec<AttemptId> {
    let is_waiting = |seat: &Seat| !(seat.started || seat.lent || seat.unwanted || seat.recalled || seat.slots == 0);
    let waiting = worker.seats.iter().filter(|(_, seat)| is_waiting(seat));
    let (ahead, mut waiting): (Vec<_>, Vec<_>) = waiting.partition(|(_, seat)| seat.ahead);
    waiting.sort_unstable_by_key(|(_, seat)| Reverse(seat.order));
    let staying = worker.load.slots.saturating_sub(worker.load.recalled_slots);
    let mut surplus = staying.saturating_sub(worker.capacity.slots.into());
    let is_beyond = |(_, seat): &(AttemptId, &Seat)| {
        let is_beyond = surplus > 0;
        surplus = surplus.saturating_sub(seat.slots.into());
        is_beyond
    };
    ahead.into_iter().chain(waiting.into_iter().take_while(is_beyond)).map(|(attempt, _)| attempt).collect()
}
