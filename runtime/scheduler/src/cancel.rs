//! Tasks a client does not want any more, and jobs whose client is gone.
use crate::action::Action;
use crate::scheduler::{Scheduler, Turn};
use alloc::sync::Arc;
use quiltwork_types::{FailureKind, JobId, NodeId, TaskFailure, TaskId};

impl Scheduler {
    /// Stops the tasks and all unfinished tasks that need them. A finished task stays finished; an actor ends.
    pub(crate) fn on_cancel_requested(&mut self, tasks: &[TaskId]) {
        for &task in tasks {
            let Some(key) = self.tasks.find(task).map(|key| self.actor_meant_by(key)) else { continue };
            let task = &self.tasks[key];
            // Who asks something of it hears the same, whether it had been made by then or not.
            if task.actor().is_some() && (task.published || task.is_unfinished()) {
                self.kill(key);
                continue;
            }
            let failure = Arc::new(TaskFailure::new(FailureKind::Cancelled, task.id, "its client asked for it"));
            if task.is_unfinished() {
                self.unsettled.failing.push((key, failure));
            } else {
                self.fail_consumers(key, &failure);
            }
        }
    }

    /// Everything of the job goes. Attempts keep their place until their workers say that they are over.
    pub(crate) fn on_job_closed(&mut self, turn: &mut Turn<'_>, job: JobId, node: Option<NodeId>) {
        if self.tasks.is_closed(job) {
            return;
        }
        let keys = self.tasks.close(job);
        self.part_job(turn, &keys);
        for key in keys {
            self.erase(turn, key);
        }
        if let Some(worker) = node.and_then(|node| self.workers.nodes.close_job(node, job)) {
            turn.act(Action::ClearAway { worker, job });
        }
    }
}
