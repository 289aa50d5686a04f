//! How tasks begin to wait, how they fail, and how the consequences of an event are drawn to their end.
use crate::action::{Action, Outcome};
use crate::role::Role;
use crate::scheduler::{Scheduler, Turn};
use crate::task::{Key, Phase, Task};
use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use quiltwork_types::{Chapter, FailureKind, TaskFailure};

impl Scheduler {
    /// Puts an unfinished task that no worker has where it belongs: into the queue if all its inputs are available,
    /// otherwise to wait, and sees to it that what it waits for will come or that it fails.
    pub(crate) fn begin(&mut self, turn: &mut Turn<'_>, key: Key) {
        let mut missing = 0;
        for i in 0..self.tasks[key].inputs.len() {
            let input = self.tasks[key].inputs[i].task;
            match &self.tasks[input].phase {
                Phase::Finished(value) if value.is_available() => continue,
                Phase::Finished(_) => self.unsettled.reviving.push(input),
                Phase::Failed(failure) => self.unsettled.failing.push((key, Arc::clone(failure))),
                _ => {}
            }
            missing += 1;
        }
        self.tasks[key].phase = Phase::Waiting { missing };
        if missing == 0 {
            self.enqueue(turn, key);
        } else {
            self.line_up(key);
            self.followers.push(key);
        }
    }

    /// Ends a task without a value. What consumes it follows when the turn is settled.
    pub(crate) fn fail(&mut self, turn: &mut Turn<'_>, key: Key, failure: Arc<TaskFailure>) {
        let task = &self.tasks[key];
        if task.has_failed() || (task.available().is_some() && !task.is_living()) {
            return;
        }
        let needed_inputs = task.needs_inputs();
        self.withdraw(turn, key);
        self.end_actor(turn, key);
        self.free_copies(turn, key, false);
        self.end_call(key);
        let failure = self.with_name(key, failure);
        let task = &mut self.tasks[key];
        let cancelled = failure.kind == FailureKind::Cancelled;
        let chapter = if cancelled { Chapter::Cancelled } else { Chapter::Failed { kind: failure.kind } };
        task.story.push(turn.now, chapter);
        task.phase = Phase::Failed(Arc::clone(&failure));
        if task.kept {
            turn.act(Action::End { task: task.id, outcome: Outcome::Failed(Box::new((*failure).clone())) });
        }
        self.fail_consumers(key, &failure);
        self.drop_lineage(key, needed_inputs);
        self.unsettled.doubtful.push(key);
    }

    pub(crate) fn fail_consumers(&mut self, key: Key, failure: &Arc<TaskFailure>) {
        let is_living = self.tasks[key].is_living();
        for edge in &self.tasks[key].consumers {
            let consumer = &self.tasks[edge.task];
            let must_fail = match (&consumer.role, &consumer.phase) {
                (_, Phase::Failed(_)) => false,
                (Role::Reference, _) => is_living,
                (_, Phase::Finished(_)) => false,
                // It has the name of the actor, and may go on without it.
                (Role::Plain | Role::Actor(_), Phase::Assigned { .. }) => !is_living,
                _ => true,
            };
            if must_fail {
                self.unsettled.failing.push((edge.task, Arc::clone(failure)));
            }
        }
    }

    /// Takes an unfinished task away from wherever it is. A worker that has it is told; the seat there stays taken
    /// until the worker says that it is over.
    pub(crate) fn withdraw(&mut self, turn: &mut Turn<'_>, key: Key) {
        self.stop_hoping(key);
        let task = &self.tasks[key];
        match task.phase {
            Phase::Queued => self.unqueue(key),
            Phase::Pausing { due } => {
                self.timers.remove(&(due, key));
            }
            Phase::Assigned { worker, .. } => {
                let attempt = task.attempt();
                self.leave_actor(key);
                self.workers.change_seat(worker, attempt, |seat| {
                    seat.unwanted = true;
                    seat.recalled = false;
                });
                turn.act(Action::Cancel { worker, attempt });
            }
            Phase::Adopting(_) => self.end_adoption(key),
            Phase::Waiting { .. } | Phase::Uploading | Phase::Finished(_) | Phase::Failed(_) => {}
        }
        self.leave_line(key);
    }

    /// Draws all consequences. Failures first, because they decide what is still wanted; values are recomputed last,
    /// because only then it is known which of them are.
    pub(crate) fn settle(&mut self, turn: &mut Turn<'_>) {
        loop {
            if let Some((key, failure)) = self.unsettled.failing.pop() {
                self.fail(turn, key, failure);
            } else if let Some(key) = self.unsettled.doubtful.pop() {
                self.reconsider(turn, key);
            } else if let Some(key) = self.unsettled.reviving.pop() {
                self.revive(turn, key);
            } else {
                break;
            }
        }
    }

    /// The same failure with the name of the task it happened in, if this is that task and nobody filled it in.
    fn with_name(&self, key: Key, failure: Arc<TaskFailure>) -> Arc<TaskFailure> {
        let task: &Task = &self.tasks[key];
        if !failure.name.is_empty() || failure.origin != task.id || task.name().is_empty() {
            return failure;
        }
        let mut failure = (*failure).clone();
        failure.name = String::from(task.name());
        Arc::new(failure)
    }
}
