//! Values whose bytes are in the area of a node while no worker counts for them: their client has written them there, or
//! the process that held them has ended. A worker of the node is asked to make them its own; if none is there, the next
//! one is, within a limited time.
use crate::action::Action;
use crate::scheduler::{Scheduler, Turn};
use crate::task::{Adopter, Adoption, Key, Orphan, Phase};
use alloc::boxed::Box;
use alloc::format;
use alloc::sync::Arc;
use alloc::{vec, vec::Vec};
use quiltwork_types::{FailureKind, NodeId, TaskFailure, TaskId, ValueId, WorkerId};

impl Scheduler {
    /// The client has written the bytes of an upload. The worker of the node that holds least is asked to adopt them.
    pub(crate) fn on_value_written(&mut self, turn: &mut Turn<'_>, task: TaskId, size: u64, node: NodeId) {
        let is_awaited = |&key: &Key| matches!(self.tasks[key].phase, Phase::Uploading);
        let Some(key) = self.tasks.find(task).filter(is_awaited) else { return };
        let adopter = self.workers.emptiest(self.workers.nodes.members(node));
        self.seek_adopter(turn, key, Orphan { node, size, formerly: Vec::new() }, adopter);
    }

    pub(crate) fn on_upload_failed(&mut self, task: TaskId, failure: TaskFailure) {
        let is_awaited = |&key: &Key| matches!(self.tasks[key].phase, Phase::Uploading);
        if let Some(key) = self.tasks.find(task).filter(is_awaited) {
            self.unsettled.failing.push((key, Arc::new(failure)));
        }
    }

    pub(crate) fn on_adoption_failed(&mut self, worker: WorkerId, value: ValueId, failure: TaskFailure) {
        let Some(key) = self.tasks.find(value.task).filter(|_| value.output == 0) else { return };
        if let Phase::Adopting(adoption) = &self.tasks[key].phase
            && matches!(adoption.adopter, Adopter::Asked(asked) if asked == worker)
        {
            self.unsettled.failing.push((key, Arc::new(failure)));
        }
    }

    /// The worker that was asked is gone, perhaps after it had made the bytes its own. Another one of its node is asked.
    pub(crate) fn seek_adopter_again(
        &mut self,
        turn: &mut Turn<'_>,
        key: Key,
        lost: WorkerId,
        adopter: Option<WorkerId>,
    ) {
        let Phase::Adopting(adoption) = &self.tasks[key].phase else { return };
        let mut orphan = adoption.orphan.clone();
        orphan.formerly.push(lost);
        self.seek_adopter(turn, key, orphan, adopter);
    }

    /// A worker has joined where the value was waiting for one.
    pub(crate) fn meet_adopter(&mut self, turn: &mut Turn<'_>, key: Key, adopter: WorkerId) {
        let Phase::Adopting(adoption) = &self.tasks[key].phase else { return };
        let orphan = adoption.orphan.clone();
        self.end_adoption(key);
        self.seek_adopter(turn, key, orphan, Some(adopter));
    }

    /// The process that held the only copy of a value nobody can make again has ended. Its file is still there: the heir
    /// is asked to adopt it, or the next worker of the node is.
    pub(crate) fn orphan(
        &mut self,
        turn: &mut Turn<'_>,
        key: Key,
        from: WorkerId,
        node: NodeId,
        heir: Option<WorkerId>,
    ) {
        let Some(size) = self.tasks[key].value().map(|value| value.size) else { return };
        self.hold_up_consumers(key);
        self.seek_adopter(turn, key, Orphan { node, size, formerly: vec![from] }, heir);
    }

    /// Whether a value is lost for good with this holder, unless somebody finds its bytes.
    pub(crate) fn is_irreplaceable(&self, key: Key, holder: WorkerId) -> bool {
        let task = &self.tasks[key];
        let is_only = task.value().is_some_and(|value| !value.at_master && *value.holders == [holder]);
        is_only && !task.is_recomputable()
    }

    /// Takes a value out of the hands of whoever was to adopt it; what becomes of it is said by the caller.
    pub(crate) fn end_adoption(&mut self, key: Key) {
        let Phase::Adopting(adoption) = &self.tasks[key].phase else { return };
        match adoption.adopter {
            Adopter::Asked(worker) => self.workers.end_adopting(worker, key, adoption.orphan.size),
            Adopter::Awaited { until } => {
                self.timers.remove(&(until, key));
                self.workers.nodes.forget_orphan(adoption.orphan.node, key);
            }
        }
    }

    /// Nobody has come to adopt it.
    pub(crate) fn give_up_adoption(&mut self, key: Key) {
        let task = &self.tasks[key];
        let Phase::Adopting(adoption) = &task.phase else { return };
        let (node, patience) = (adoption.orphan.node, self.config.adoption_patience);
        let message =
            format!("{} is in the area of {node}, and no worker came to it within {patience:?}", task.value_id());
        let failure = TaskFailure::new(FailureKind::ValueLost, task.id, message)
            .with_hint("upload it once more; `Handle::replicate` keeps copies on several nodes");
        self.unsettled.failing.push((key, Arc::new(failure)));
    }

    fn seek_adopter(&mut self, turn: &mut Turn<'_>, key: Key, orphan: Orphan, adopter: Option<WorkerId>) {
        let adopter = if let Some(worker) = adopter {
            let (value, size) = (self.tasks[key].value_id(), orphan.size);
            self.workers.begin_adopting(worker, key, size);
            turn.act(Action::Adopt { worker, value, size, formerly: orphan.formerly.clone() });
            Adopter::Asked(worker)
        } else {
            let until = turn.now + self.config.adoption_patience;
            self.timers.insert((until, key));
            self.workers.nodes.await_adopter(orphan.node, key);
            Adopter::Awaited { until }
        };
        self.tasks[key].phase = Phase::Adopting(Box::new(Adoption { orphan, adopter }));
    }
}
