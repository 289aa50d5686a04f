//! Lending: a task that waits for other tasks gives its slots away meanwhile, so that waiting never starves them.
use crate::context::{Attempt, TaskContext};
use std::sync::Arc;

/// While it lives, the slots of the task that made it are free for others. Several may live at once; dropping the last
/// one waits until the task has its slots again, or the worker is no longer part of a cluster.
#[derive(Debug)]
#[must_use = "the slots are lent only while this lives"]
pub struct Lent {
    attempt: Arc<Attempt>,
}

/// Lends the slots of the task that runs on this thread; `None` if none does.
#[must_use = "dropping it takes the slots back"]
pub fn lend() -> Option<Lent> {
    let TaskContext { attempt } = TaskContext::current()?;
    attempt.desk.upgrade()?.lend(attempt.id);
    Some(Lent { attempt })
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let Some(desk) = self.attempt.desk.upgrade() {
            desk.reclaim(&self.attempt);
        }
    }
}
