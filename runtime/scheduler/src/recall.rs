//! Work stealing: a worker with free slots and nothing to do gets attempts back that wait at another one.
use crate::action::Action;
use crate::queue::Caution;
use crate::scheduler::{Scheduler, Turn};
use crate::seats::Seat;
use alloc::vec::Vec;
use quiltwork_types::{AttemptId, WorkerId};

impl Scheduler {
    /// Called when everything that could be placed is placed: whoever still has free slots has nothing to do.
    /// As long as enough is on its way back to fill all free slots, nothing more is recalled.
    pub(crate) fn recall_surplus(&mut self, turn: &mut Turn<'_>) {
        if self.workers.recalled_slots() >= self.workers.free_slots() || self.workers.surplus() == 0 {
            return;
        }
        self.workers.put_in_order();
        let Some((surplus, victim)) = self.workers.most_surplus() else { return };
        let is_pressed = |id: &WorkerId| self.workers.get(*id).is_some_and(|worker| worker.pressed);
        // Those that are not short of memory come first.
        let Some(idle) = self.workers.by_load().next().filter(|id| !is_pressed(id)) else { return };
        let mut recallable = self.recallable(victim, idle);
        recallable.sort_unstable_by_key(|&(order, _)| core::cmp::Reverse(order));
        let mut wanted = surplus.div_ceil(2);
        for (_, attempt) in recallable {
            let Some(&Seat { slots, task, .. }) = self.workers.seat(victim, attempt) else { continue };
            if wanted == 0 {
                break;
            }
            wanted = wanted.saturating_sub(u64::from(slots.max(1)));
            self.tasks[task].moved = true;
            self.workers.mark_recalled(victim, attempt);
            turn.act(Action::Recall { worker: victim, attempt });
        }
    }

    /// Unstarted attempts at one worker that another has room for, each with its place among all assignments.
    fn recallable(&self, victim: WorkerId, idle: WorkerId) -> Vec<(u64, AttemptId)> {
        let Some(worker) = self.workers.get(victim) else { return Vec::new() };
        let is_recallable = |seat: &Seat| {
            let is_free =
                seat.movable && !seat.started && !seat.lent && !seat.unwanted && !seat.recalled && !seat.ahead;
            is_free && seat.caution == Caution::None && {
                let (class, rank) = self.queue_place(seat.task);
                self.has_room(idle, class, rank)
            }
        };
        let seats = worker.seats.iter().filter(|(_, seat)| is_recallable(seat));
        seats.map(|(attempt, seat)| (seat.order, attempt)).collect()
    }
}
