//! Published values: who holds them, who needs them, and how they are made again from their lineage.
//!
//! A value is *needed* while the client keeps a reference or an unfinished task consumes it. A value held by workers
//! only is freed when it is not needed: it can be made again. A value the master holds lets its task's inputs go; in
//! return it stays as long as the record stays if it cannot be made again, as does an upload wherever it is, so that
//! lineage always has an end that exists.
use crate::action::{Action, InputSource, Outcome, Supply};
use crate::role::Role;
use crate::scheduler::{Scheduler, Turn};
use crate::task::{Key, Phase, Task, Value};
use alloc::boxed::Box;
use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;
use quiltwork_types::{Chapter, FailureKind, TaskFailure, TaskId, ValueId, WorkerId};
use smallvec::smallvec;

impl Scheduler {
    /// Publishes the value of an unfinished task that no worker has any more. `maker` is `None` for an upload.
    pub(crate) fn publish(&mut self, turn: &mut Turn<'_>, key: Key, value: Value, maker: Option<WorkerId>) {
        for &holder in &value.holders {
            self.workers.hold(holder, key, value.size);
            if self.tasks[key].actor().is_some() {
                self.workers.move_in(holder, key, &self.shapes[self.tasks[key].shape]);
            }
        }
        let is_safe = value.at_master;
        let task = &mut self.tasks[key];
        task.phase = Phase::Finished(Box::new(value));
        task.published = true;
        task.moved = false;
        task.failures = 0;
        task.forgive();
        if let Some(worker) = maker {
            task.story.push(turn.now, Chapter::Finished { worker });
        }
        if task.kept {
            self.announce(turn, key);
        }
        match self.tasks[key].role {
            // It lives, and needs what it is made of.
            Role::Actor(_) | Role::Reference => {}
            Role::Call { .. } => {
                self.end_call(key);
                self.drop_lineage(key, true);
            }
            Role::Plain if is_safe => self.drop_lineage(key, true),
            Role::Plain => self.stop_needing_inputs(key),
        }
        self.advance_consumers(turn, key);
        if !self.tasks[key].is_value_needed() {
            self.unsettled.doubtful.push(key);
        }
    }

    /// Tells the client that holds a reference where the value is.
    fn announce(&self, turn: &mut Turn<'_>, key: Key) {
        let task = &self.tasks[key];
        if let Some(value) = task.available() {
            turn.act(Action::End { task: task.id, outcome: Outcome::Finished(source(task, value)) });
        }
    }

    /// Where a published input is; `None` if nobody holds it.
    fn source_of(&self, key: Key) -> Option<InputSource> {
        let task = &self.tasks[key];
        task.available().map(|value| source(task, value))
    }

    /// From where an attempt has an input: if it is not published, from the attempt that makes it.
    pub(crate) fn supply_of(&self, key: Key) -> Supply {
        self.source_of(key).map_or_else(|| Supply::Coming(self.tasks[key].attempt()), Supply::Published)
    }

    pub(crate) fn on_references_dropped(&mut self, tasks: &[TaskId]) {
        for &task in tasks {
            if let Some(key) = self.tasks.find(task) {
                self.tasks[key].kept = false;
                self.unsettled.doubtful.push(key);
            }
        }
    }

    /// A worker has the value now. It may keep it only while the value is needed, and published or to be adopted.
    pub(crate) fn on_value_copied(&mut self, turn: &mut Turn<'_>, value: ValueId, worker: WorkerId) {
        if self.workers.get(worker).is_none() {
            return;
        }
        let key = self.tasks.find(value.task).filter(|_| value.output == 0);
        let Some(key) = key else { return turn.act(Action::Free { worker, value }) };
        let (is_needed, is_actor) = (self.tasks[key].is_value_needed(), self.tasks[key].actor().is_some());
        match &mut self.tasks[key].phase {
            Phase::Adopting(adoption) => {
                let size = adoption.orphan.size;
                self.end_adoption(key);
                self.publish(turn, key, Value { size, at_master: false, holders: smallvec![worker] }, None);
            }
            Phase::Finished(copies) if copies.holders.contains(&worker) => {}
            Phase::Finished(copies) if copies.is_available() && is_needed && !is_actor => {
                copies.holders.push(worker);
                self.workers.hold(worker, key, copies.size);
            }
            _ => turn.act(Action::Free { worker, value }),
        }
    }

    /// A client did not find the value where it was said to be. It is told where else it is, now or once it is made again.
    pub(crate) fn on_value_missing(&mut self, turn: &mut Turn<'_>, value: ValueId, holder: WorkerId) {
        let Some(key) = self.tasks.find(value.task).filter(|_| value.output == 0) else { return };
        // Clients get no more of an actor than its name.
        if self.tasks[key].actor().is_some() {
            return;
        }
        self.revoke(turn, key, holder);
        if self.tasks[key].kept {
            self.announce(turn, key);
        }
    }

    /// Stops believing that a joined worker holds a value. In case it does after all, it is told to drop it.
    pub(crate) fn revoke(&mut self, turn: &mut Turn<'_>, key: Key, holder: WorkerId) {
        let task = &self.tasks[key];
        if task.value().is_some_and(|value| value.holders.contains(&holder)) {
            turn.act(Action::Free { worker: holder, value: task.value_id() });
            self.lose_copy(key, holder);
        }
    }

    /// Removes one holder of a published value, with all that follows if it was the last.
    pub(crate) fn lose_copy(&mut self, key: Key, holder: WorkerId) {
        let Phase::Finished(value) = &mut self.tasks[key].phase else { return };
        value.holders.retain(|known| *known != holder);
        self.workers.drop_value(holder, key, value.size);
        if !value.is_available() {
            self.on_value_gone(key);
        }
    }

    /// The last copy of a value is gone.
    fn on_value_gone(&mut self, key: Key) {
        let wanted = self.hold_up_consumers(key) || self.tasks[key].kept;
        let list = if wanted { &mut self.unsettled.reviving } else { &mut self.unsettled.doubtful };
        list.push(key);
    }

    /// Lets the consumers that no worker has wait again for a value; one that runs has its inputs, so for its sake
    /// nothing is recomputed unless it has to start over. Says whether anybody wants the value back.
    pub(crate) fn hold_up_consumers(&mut self, key: Key) -> bool {
        let mut wanted = false;
        for i in 0..self.tasks[key].consumers.len() {
            let consumer = self.tasks[key].consumers[i].task;
            match &mut self.tasks[consumer].phase {
                Phase::Finished(_) | Phase::Failed(_) | Phase::Assigned { running: true, .. } => continue,
                Phase::Waiting { missing } => *missing += 1,
                Phase::Assigned { missing, .. } if *missing > 0 => *missing += 1,
                Phase::Queued => {
                    self.unqueue(consumer);
                    self.tasks[consumer].phase = Phase::Waiting { missing: 1 };
                    self.make_unready(consumer);
                }
                Phase::Assigned { .. } | Phase::Pausing { .. } | Phase::Uploading | Phase::Adopting(_) => {}
            }
            wanted = true;
        }
        wanted
    }

    /// Makes a value again that is gone and needed. Its own missing inputs follow when the turn is settled.
    pub(crate) fn revive(&mut self, turn: &mut Turn<'_>, key: Key) {
        let Some(task) = self.tasks.get(key) else { return };
        if task.value().is_none_or(Value::is_available) || !task.is_value_needed() {
            return;
        }
        if !task.is_recomputable() {
            let message = format!("{} is gone and cannot be computed again", task.value_id());
            let failure = TaskFailure::new(FailureKind::ValueLost, task.id, message)
                .with_hint("submit the task, or upload the value, once more");
            return self.unsettled.failing.push((key, Arc::new(failure)));
        }
        self.tasks[key].story.push(turn.now, Chapter::ValueLost);
        // One that lives has never stopped needing them.
        if !self.tasks[key].is_living() {
            for i in 0..self.tasks[key].inputs.len() {
                let input = self.tasks[key].inputs[i].task;
                self.tasks[input].needing += 1;
            }
        }
        self.begin(turn, key);
    }

    /// A published value arrived for the tasks that wait for it.
    fn advance_consumers(&mut self, turn: &mut Turn<'_>, key: Key) {
        for i in 0..self.tasks[key].consumers.len() {
            let consumer = self.tasks[key].consumers[i].task;
            match &mut self.tasks[consumer].phase {
                Phase::Waiting { missing } => {
                    *missing -= 1;
                    if *missing == 0 {
                        self.enqueue(turn, consumer);
                    }
                }
                Phase::Assigned { worker, missing, .. } if *missing > 0 => {
                    *missing -= 1;
                    if *missing == 0 {
                        let (worker, attempt) = (*worker, self.tasks[consumer].attempt());
                        self.workers.change_seat(worker, attempt, |seat| seat.ahead = false);
                    }
                }
                _ => {}
            }
        }
    }

    /// The task has finished: its inputs are not needed for its sake, but they stay part of its lineage.
    fn stop_needing_inputs(&mut self, key: Key) {
        for i in 0..self.tasks[key].inputs.len() {
            let input = self.tasks[key].inputs[i].task;
            self.tasks[input].needing -= 1;
            self.doubt(input);
        }
    }

    /// The task will never run again: its inputs may go for its sake.
    pub(crate) fn drop_lineage(&mut self, key: Key, needed_them: bool) {
        self.tasks[key].lineage_dropped = true;
        if self.tasks[key].inputs.is_empty() {
            return;
        }
        for edge in self.tasks.disconnect(key) {
            self.tasks[edge.task].needing -= u32::from(needed_them);
            self.doubt(edge.task);
        }
    }

    fn doubt(&mut self, key: Key) {
        if !self.tasks[key].is_value_needed() {
            self.unsettled.doubtful.push(key);
        }
    }

    /// Decides whether a task's work, value and record are still wanted.
    pub(crate) fn reconsider(&mut self, turn: &mut Turn<'_>, key: Key) {
        let Some(task) = self.tasks.get(key) else { return };
        if task.is_value_needed() {
            return;
        }
        if task.is_unfinished() {
            return self.abandon(turn, key);
        }
        if task.is_living() && !task.has_failed() {
            return self.retire(turn, key);
        }
        let is_record_needed = task.is_record_needed();
        let must_stay = is_record_needed && !task.is_recomputable();
        self.free_copies(turn, key, must_stay);
        if !is_record_needed {
            self.forget(turn, key);
        }
    }

    /// Stops an unfinished task that nobody wants. If it was being recomputed, it is merely finished without a value again.
    /// What is to be adopted once more still is, if something was made from it.
    fn abandon(&mut self, turn: &mut Turn<'_>, key: Key) {
        let task = &self.tasks[key];
        if task.published && !task.consumers.is_empty() && !task.is_living() {
            if !task.is_recomputable() {
                return;
            }
            self.withdraw(turn, key);
            self.tasks[key].phase = Phase::Finished(Box::default());
            self.stop_needing_inputs(key);
        } else {
            let failure = TaskFailure::new(FailureKind::Cancelled, task.id, "nobody holds a reference to its result");
            self.fail(turn, key, Arc::new(failure));
        }
    }

    /// Frees a value everywhere, or if it must stay, at the workers if the master has it too.
    pub(crate) fn free_copies(&mut self, turn: &mut Turn<'_>, key: Key, must_stay: bool) {
        let task = &mut self.tasks[key];
        let (value_id, shape, is_actor) = (task.value_id(), task.shape, task.actor().is_some());
        let Phase::Finished(value) = &mut task.phase else { return };
        if must_stay && !value.at_master {
            return;
        }
        for worker in value.holders.drain(..) {
            self.workers.drop_value(worker, key, value.size);
            if is_actor {
                self.workers.move_out(worker, key, &self.shapes[shape]);
            }
            turn.act(Action::Free { worker, value: value_id });
        }
        if value.at_master && !must_stay {
            value.at_master = false;
            turn.act(Action::FreeAtMaster { value: value_id });
        }
    }

    /// Removes a record that nobody needs.
    fn forget(&mut self, turn: &mut Turn<'_>, key: Key) {
        self.drop_lineage(key, false);
        let task = self.tasks.remove(key);
        self.shapes.release(task.shape);
        turn.act(Action::Forget { task: task.id });
    }

    /// Removes everything of a task whose job is closed; its dependencies go with the job.
    pub(crate) fn erase(&mut self, turn: &mut Turn<'_>, key: Key) {
        self.withdraw(turn, key);
        self.end_actor(turn, key);
        self.free_copies(turn, key, false);
        let task = self.tasks.discard(key);
        self.shapes.release(task.shape);
        turn.act(Action::Forget { task: task.id });
    }
}

fn source(task: &Task, value: &Value) -> InputSource {
    let workers = if value.at_master { Vec::new() } else { value.holders.to_vec() };
    InputSource { value: task.value_id(), size: value.size, workers }
}
