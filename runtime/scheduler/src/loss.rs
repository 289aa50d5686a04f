//! Workers that come and go. What a lost worker held is queued again, passed on or recomputed;
//! whose fault it was is counted.
use crate::action::Action;
use crate::scheduler::{Scheduler, Turn};
use crate::seats::Worker;
use crate::task::{Key, Phase};
use alloc::sync::Arc;
use alloc::vec::Vec;
use alloc::{format, vec};
use quiltwork_types::{
    AttemptId, ByteCount, Chapter, FailureKind, LossReason, NodeId, Resources, TaskFailure, ValueId, WorkerId,
};

/// Characters kept of the reason of a death: enough for a signal and the last words, not for a log.
const LONGEST_REASON: usize = 400;
/// Values that change hands at a loss: their names must fit one message. What is beyond is computed again.
const MOST_INHERITED: usize = 500_000;

impl Scheduler {
    pub(crate) fn on_worker_joined(
        &mut self,
        turn: &mut Turn<'_>,
        worker: WorkerId,
        capacity: Resources,
        node: Option<NodeId>,
    ) {
        if !self.workers.join(worker, capacity, node) {
            return;
        }
        if let Some(node) = node {
            self.settle_arrears(turn, worker, node);
        }
        let capacity = self.workers.get(worker).expect("it has just joined").capacity.clone();
        self.restore_hope(turn, &capacity);
    }

    /// What nobody was left to do falls to the first who comes. It adopts before it clears away.
    fn settle_arrears(&mut self, turn: &mut Turn<'_>, worker: WorkerId, node: NodeId) {
        let arrears = self.workers.nodes.join(node, worker);
        for key in arrears.orphans {
            self.meet_adopter(turn, key, worker);
        }
        for from in arrears.lost {
            turn.act(Action::Inherit { workers: vec![worker], from, heir: worker, values: Vec::new() });
        }
        turn.actions.extend(arrears.closed.into_iter().map(|job| Action::ClearAway { worker, job }));
    }

    /// First all attempts are taken off the worker, then its values, and only then tasks begin again: a task must not
    /// count on a value that is about to go.
    pub(crate) fn on_worker_lost(&mut self, turn: &mut Turn<'_>, id: WorkerId, reason: &LossReason) {
        let Some(worker) = self.workers.leave(id) else { return };
        self.shapes.worker_left(&worker.capacity);
        self.drop_reservation_on(id);
        let mut orphans = Vec::new();
        for (attempt, seat) in worker.seats.iter() {
            self.shapes.release(seat.shape);
            if !seat.unwanted {
                self.leave_actor(seat.task);
                self.tasks[seat.task].phase = Phase::Waiting { missing: 0 };
                orphans.push((seat.task, attempt));
            }
        }
        self.despair_of_worker(id);
        self.pass_on_values(turn, id, &worker, reason);
        let line = Arc::from(line_about(id, reason));
        for &actor in &worker.residents {
            self.lose_instance(turn, actor, id, &line);
        }
        for (key, attempt) in orphans {
            if self.tasks[key].is_call() {
                self.mourn_call(turn, key, id, reason);
                continue;
            }
            if is_to_blame(attempt, reason) {
                self.tasks[key].blame(Arc::clone(&line));
            }
            self.mourn(turn, key, id, attempt, reason);
        }
    }

    /// What a lost worker held goes to another one of its node, where the bytes still are if only the process ended;
    /// otherwise it is gone. A process that lives on may drop them at any time. What it was to adopt, and what nobody can
    /// make again, is to be adopted by the heir, before that clears away what else was left: until it says that it has
    /// found it, nothing counts on it.
    fn pass_on_values(&mut self, turn: &mut Turn<'_>, from: WorkerId, worker: &Worker, reason: &LossReason) {
        let mates = worker.node.map(|node| self.workers.nodes.leave(node, from).to_vec()).unwrap_or_default();
        let heir = self.workers.emptiest(&mates);
        for &key in &worker.adopting {
            self.seek_adopter_again(turn, key, from, heir);
        }
        let is_there = matches!(reason, LossReason::ProcessEnded(_) | LossReason::OutOfMemory { .. });
        let mut values = Vec::new();
        for &key in worker.held.difference(&worker.residents) {
            match (heir, worker.node) {
                (_, Some(node)) if is_there && self.is_irreplaceable(key, from) => {
                    self.orphan(turn, key, from, node, heir);
                }
                (Some(heir), _) if is_there && values.len() < MOST_INHERITED => {
                    values.extend(self.inherit(key, from, heir, &mates));
                }
                _ => self.lose_copy(key, from),
            }
        }
        let closed = worker.node.map(|node| self.workers.nodes.pass_on_clearing(node, from, heir)).unwrap_or_default();
        if let Some(heir) = heir {
            turn.act(Action::Inherit { workers: mates, from, heir, values });
            turn.actions.extend(closed.into_iter().map(|job| Action::ClearAway { worker: heir, job }));
        }
    }

    /// Makes `heir` a holder of a value in the place of `from`, unless one of its mates is a holder already.
    fn inherit(&mut self, key: Key, from: WorkerId, heir: WorkerId, mates: &[WorkerId]) -> Option<ValueId> {
        let Phase::Finished(value) = &mut self.tasks[key].phase else { return None };
        if value.holders.iter().any(|holder| mates.contains(holder)) {
            self.lose_copy(key, from);
            return None;
        }
        value.holders.retain(|holder| *holder != from);
        value.holders.push(heir);
        self.workers.hold(heir, key, value.size);
        Some(self.tasks[key].value_id())
    }

    /// Queues a task again whose worker is gone, unless too many have gone with it.
    fn mourn(&mut self, turn: &mut Turn<'_>, key: Key, worker: WorkerId, attempt: AttemptId, reason: &LossReason) {
        let task = &mut self.tasks[key];
        let deaths = task.death_count();
        task.story.push(turn.now, Chapter::WorkerLost { worker, deaths });
        if !is_to_blame(attempt, reason) || deaths < self.config.max_deaths {
            return self.begin(turn, key);
        }
        let mut failure = self.last_straw(key, worker, reason);
        failure.details = self.tasks[key].forgive().iter().map(|line| line.as_ref().into()).collect();
        self.unsettled.failing.push((key, Arc::new(failure)));
    }

    /// The failure of a task that has cost too many workers. How the last one was lost decides what it is called: then
    /// the task had a worker of its own, so that death was surely its doing.
    fn last_straw(&self, key: Key, worker: WorkerId, reason: &LossReason) -> TaskFailure {
        let task = &self.tasks[key];
        let LossReason::OutOfMemory { used, limit, .. } = *reason else {
            let message = format!("{} workers died while they held it", task.death_count());
            return TaskFailure::new(FailureKind::Poisoned, task.id, message).with_hint(
                "run it alone with its arguments; look for an exit of the process, a recursion too deep for the stack, \
                 a crash in native code, or memory that runs out",
            );
        };
        let asked = match self.shapes[task.shape].wanted.memory {
            0 => "it did not say how much it needs".into(),
            bytes => format!("it had asked for {}", ByteCount(bytes)),
        };
        let (used, limit) = (ByteCount(used), ByteCount(limit));
        let message = format!("worker {worker} used {used} of its {limit} while it ran; {asked}");
        TaskFailure::new(FailureKind::OutOfMemory, task.id, message).with_hint(
            "say how much it needs with `.memory(…)`, so that it is given the room, or make its partitions smaller; \
             workers with a larger `.memory_limit` have more",
        )
    }
}

/// A worker that dies may have been killed by any attempt it held. One that ran out of memory names the newest: the
/// others ran before there was too little.
fn is_to_blame(attempt: AttemptId, reason: &LossReason) -> bool {
    match reason {
        LossReason::Left => false,
        LossReason::OutOfMemory { attempt: newest, .. } => *newest == attempt,
        _ => true,
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
