//! The desk's clock: attempts that run longer than they may are interrupted, and given up if they do not end.
use super::{Desk, State};
use crate::context::Attempt;
use crate::executor::{Ending, RunEnd};
use crate::failure::TaskError;
use crate::slots::Command;
use quiltwork_types::AttemptId;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

impl Desk {
    /// Waits until there is an earlier deadline than before.
    pub(crate) async fn deadline_set(&self) {
        self.deadline_set.notified().await;
    }

    /// When the next attempt must end.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.lock().deadlines.first().map(|&(due, _)| due)
    }

    /// Interrupts what runs longer than it may; what does not end within `grace` after that is given up: its slots are
    /// free, and nobody waits for its thread. How many are given up and have not ended.
    pub(crate) fn on_due(&self, now: Instant, grace: Duration) -> usize {
        let mut state = self.lock();
        let mut interrupted = Vec::new();
        while let Some(&(due, id)) = state.deadlines.first().filter(|(due, _)| *due <= now) {
            let attempt = Arc::clone(&state.work(id).attempt);
            if attempt.overdue.swap(true, Ordering::Relaxed) {
                state.give_up(&attempt);
            } else {
                attempt.cancel();
                state.deadlines.remove(&(due, id));
                state.set_deadline(id, now + grace);
                interrupted.push(id);
            }
        }
        self.settle(&mut state);
        let abandoned = state.abandoned;
        drop(state);
        interrupted.into_iter().for_each(|attempt| self.workshop.executor.interrupt(attempt));
        abandoned
    }
}

impl State {
    /// Has the attempt ended at that time.
    pub(super) fn set_deadline(&mut self, attempt: AttemptId, due: Instant) {
        self.work(attempt).due = Some(due);
        self.is_earlier_due |= self.deadlines.first().is_none_or(|(first, _)| due < *first);
        self.deadlines.insert((due, attempt));
    }

    /// Takes an attempt for ended whose function goes on.
    fn give_up(&mut self, attempt: &Attempt) {
        let limit = attempt.time_limit.unwrap_or_default();
        let ending = Ending::failed(attempt, TaskError::TimedOut { limit, location: None });
        self.work(attempt.id).end = Some(RunEnd::Ended(ending));
        self.abandoned += 1;
        self.apply(Command::RunEnded(attempt.id));
        // If it waits for its slots: it gets none, and goes on without.
        attempt.resumed.notify_all();
    }
}
