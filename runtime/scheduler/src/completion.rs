//! What workers say about the attempts they were given. The one place where a value gets published by a worker:
//! the first valid completion wins, every other one changes nothing.
use crate::action::Action;
use crate::scheduler::{Scheduler, Turn};
use crate::seats::Seat;
use crate::task::{Key, Phase, Value};
use alloc::sync::Arc;
use core::time::Duration;
use quiltwork_types::{AttemptId, Chapter, Epoch, FailureKind, TaskFailure, ValueId, WorkerId};
use smallvec::{SmallVec, smallvec};

impl Scheduler {
    pub(crate) fn on_attempt_started(&mut self, turn: &mut Turn<'_>, worker: WorkerId, attempt: AttemptId) {
        let Some(&seat) = self.workers.seat(worker, attempt).filter(|seat| !seat.started) else { return };
        self.workers.change_seat(worker, attempt, |seat| {
            seat.started = true;
            seat.recalled = false;
            seat.ahead = false;
        });
        if !seat.unwanted {
            let task = &mut self.tasks[seat.task];
            task.phase = Phase::Assigned { worker, running: true, missing: 0 };
            task.story.push(turn.now, Chapter::Started { worker });
            self.release_line(seat.task);
        }
    }

    #[expect(clippy::too_many_arguments, reason = "the fields of the event")]
    pub(crate) fn on_attempt_finished(
        &mut self,
        turn: &mut Turn<'_>,
        worker: WorkerId,
        attempt: AttemptId,
        epoch: Epoch,
        size: u64,
        inline: bool,
        ran: Duration,
    ) {
        let Some(seat) = self.end_attempt(turn, worker, attempt, epoch) else { return };
        if let Some(function) = self.tasks[seat.task].function {
            self.estimates.learn(function, ran);
        }
        // An actor stays where it was made, whatever its worker says of bytes.
        let (is_actor, mut holders) = (self.tasks[seat.task].actor().is_some(), SmallVec::new());
        let (size, inline) = if is_actor { (0, false) } else { (size, inline) };
        if inline {
            turn.act(Action::Publish { value: ValueId::of(attempt.task) });
        } else {
            holders = smallvec![worker];
        }
        self.publish(turn, seat.task, Value { size, at_master: inline, holders }, Some(worker));
    }

    pub(crate) fn on_attempt_failed(
        &mut self,
        turn: &mut Turn<'_>,
        worker: WorkerId,
        attempt: AttemptId,
        epoch: Epoch,
        failure: TaskFailure,
    ) {
        let Some(seat) = self.end_attempt(turn, worker, attempt, epoch) else { return };
        let task = &mut self.tasks[seat.task];
        let may_retry = matches!(
            failure.kind,
            FailureKind::Error | FailureKind::Panicked | FailureKind::StoreFull | FailureKind::TimedOut
        );
        if may_retry && task.failures < task.retries {
            task.failures += 1;
            task.story.push(turn.now, Chapter::Retrying { kind: failure.kind });
            self.pause(turn, seat.task);
        } else {
            self.unsettled.failing.push((seat.task, Arc::new(failure)));
        }
    }

    pub(crate) fn on_attempt_returned(&mut self, turn: &mut Turn<'_>, worker: WorkerId, attempt: AttemptId) {
        if let Some(seat) = self.vacate(worker, attempt).filter(|seat| !seat.unwanted) {
            self.tasks[seat.task].story.push(turn.now, Chapter::Returned { worker });
            self.begin(turn, seat.task);
        }
    }

    /// The holders that were named are not believed any more, whatever became of the attempt.
    pub(crate) fn on_inputs_missing(
        &mut self,
        turn: &mut Turn<'_>,
        worker: WorkerId,
        attempt: AttemptId,
        missing: &[(ValueId, WorkerId)],
    ) {
        let Some(seat) = self.vacate(worker, attempt) else { return };
        for &(value, holder) in missing {
            if let Some(key) = self.tasks.find(value.task).filter(|_| value.output == 0) {
                if self.tasks[key].actor().is_none() {
                    self.revoke(turn, key, holder);
                } else if holder == worker {
                    self.miss_instance(turn, key, holder);
                }
            }
        }
        if !seat.unwanted {
            self.tasks[seat.task].story.push(turn.now, Chapter::Returned { worker });
            self.begin(turn, seat.task);
        }
    }

    pub(crate) fn on_slot_lent(&mut self, worker: WorkerId, attempt: AttemptId) {
        if self.workers.seat(worker, attempt).is_some_and(|seat| !seat.lent) {
            self.workers.change_seat(worker, attempt, |seat| seat.lent = true);
        }
    }

    pub(crate) fn on_slot_reclaimed(&mut self, worker: WorkerId, attempt: AttemptId) {
        if self.workers.seat(worker, attempt).is_some_and(|seat| seat.lent) {
            self.workers.change_seat(worker, attempt, |seat| seat.lent = false);
        }
    }

    /// The compare-and-set on (task, attempt, epoch): a seat that is wanted exists exactly for the current attempt of
    /// an unfinished task, at the worker it was assigned to. Whoever has no such seat is superseded.
    fn end_attempt(&mut self, turn: &mut Turn<'_>, worker: WorkerId, attempt: AttemptId, epoch: Epoch) -> Option<Seat> {
        let seat = if epoch == self.config.epoch { self.vacate(worker, attempt) } else { None };
        let wanted = seat.filter(|seat| !seat.unwanted);
        if wanted.is_none() && self.workers.get(worker).is_some() && !self.is_holder(worker, attempt) {
            turn.act(Action::Supersede { worker, attempt });
        }
        wanted
    }

    /// Whether a worker holds the published value of an attempt's task. It is never told that its completion came
    /// second, even if it says so twice, because it would drop a value that counts on it.
    fn is_holder(&self, worker: WorkerId, attempt: AttemptId) -> bool {
        let key = self.tasks.find(attempt.task);
        key.and_then(|key| self.tasks[key].value()).is_some_and(|value| value.holders.contains(&worker))
    }

    /// Frees the place of an attempt that is over. A task that had it waits, for nothing, until the caller says more.
    fn vacate(&mut self, worker: WorkerId, attempt: AttemptId) -> Option<Seat> {
        let seat = *self.workers.seat(worker, attempt)?;
        self.workers.stand_up(worker, &seat, attempt, &self.shapes[seat.shape]);
        self.shapes.release(seat.shape);
        self.followers.extend(self.workers.next_behind(worker));
        if !seat.unwanted {
            self.leave_actor(seat.task);
            self.tasks[seat.task].phase = Phase::Waiting { missing: 0 };
        }
        Some(seat)
    }

    /// Lets a task whose attempt failed wait before it is tried again: twice as long each time, and a random part of
    /// it, so that tasks that failed together do not come back together.
    fn pause(&mut self, turn: &mut Turn<'_>, key: Key) {
        let doublings = (self.tasks[key].failures - 1).min(31);
        let longest = self.config.retry_base.saturating_mul(1 << doublings).min(self.config.retry_cap);
        let due = turn.now + self.jitter.up_to(longest);
        self.tasks[key].phase = Phase::Pausing { due };
        self.timers.insert((due, key));
        self.line_up(key);
    }
}
