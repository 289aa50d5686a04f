//! Workers that come and go. What a lost worker held is queued again or recomputed; whose fault it was is counted.
use crate::scheduler::{Scheduler, Turn};
use crate::task::{Deaths, Key, Phase};
use alloc::boxed::Box;
use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;
use quiltwork_types::{Chapter, FailureKind, LossReason, Resources, TaskFailure, WorkerId};

/// Characters kept of the reason of a death: enough for a signal and the last words, not for a log.
const LONGEST_REASON: usize = 400;

impl Scheduler {
    pub(crate) fn on_worker_joined(&mut self, turn: &mut Turn<'_>, worker: WorkerId, capacity: Resources) {
        if !self.workers.join(worker, capacity) {
            return;
        }
        let capacity = self.workers.get(worker).expect("it has just joined").capacity.clone();
        self.restore_hope(turn, &capacity);
    }

    /// First all attempts are taken off the worker, then its values, and only then tasks begin again: a task must not
    /// count on a value that is about to go.
    pub(crate) fn on_worker_lost(&mut self, turn: &mut Turn<'_>, id: WorkerId, reason: &LossReason) {
        let Some(worker) = self.workers.leave(id) else { return };
        self.shapes.worker_left(&worker.capacity);
        self.drop_reservation_on(id);
        let mut orphans = Vec::new();
        for (_, seat) in worker.seats {
            self.shapes.release(seat.shape);
            if !seat.unwanted {
                self.tasks[seat.task].phase = Phase::Waiting { missing: 0 };
                orphans.push(seat.task);
            }
        }
        for key in worker.held {
            self.lose_copy(key, id);
        }
        let blame = (*reason != LossReason::Left).then(|| Arc::from(line_about(id, reason)));
        for key in orphans {
            self.mourn(turn, key, id, blame.as_ref());
        }
    }

    /// Queues a task again whose worker is gone, unless too many have gone with it.
    fn mourn(&mut self, turn: &mut Turn<'_>, key: Key, worker: WorkerId, blame: Option<&Arc<str>>) {
        let task = &mut self.tasks[key];
        if let Some(line) = blame {
            task.deaths.get_or_insert_with(Box::default).0.push(Arc::clone(line));
        }
        let deaths = task.death_count();
        task.story.push(turn.now, Chapter::WorkerLost { worker, deaths });
        if blame.is_some() && deaths >= self.config.max_deaths {
            self.poison(key);
        } else {
            self.begin(turn, key);
        }
    }

    fn poison(&mut self, key: Key) {
        let task = &mut self.tasks[key];
        let Deaths(lines) = *task.deaths.take().unwrap_or_default();
        let message = format!("{} workers died while they held it", lines.len());
        let mut failure = TaskFailure::new(FailureKind::Poisoned, task.id, message).with_hint(
            "run it alone with its arguments; look for an exit of the process, a recursion too deep for the stack, \
                 a crash in native code, or memory that runs out",
        );
        failure.details = lines.iter().map(|line| line.as_ref().into()).collect();
        self.unsettled.failing.push((key, Arc::new(failure)));
    }
}

fn line_about(worker: WorkerId, reason: &LossReason) -> alloc::string::String {
    let mut line = format!("worker {worker}: {reason}");
    if let Some((end, _)) = line.char_indices().nth(LONGEST_REASON) {
        line.truncate(end);
        line.push('…');
    }
    line
}
