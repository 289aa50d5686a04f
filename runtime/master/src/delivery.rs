//! Turns outcomes and questions into what a client is told, out of what the master knows at that moment; it changes
//! nothing.
use crate::assignment::holders;
use crate::functions::Functions;
use crate::master::{Client, Master, Seat};
use crate::outbox::Materialize;
use crate::payloads::Payloads;
use bytes::Bytes;
use quiltwork_protocol::INLINE_LIMIT;
use quiltwork_protocol::client_to_master::Question;
use quiltwork_protocol::master_to_client::{Answer, End};
use quiltwork_scheduler::{InputSource, Outcome, Scheduler};
use quiltwork_types::{JobId, TaskFailure, TaskId, WorkerId, WorkerInfo};
use std::collections::BTreeMap;

/// Holders named to a client: enough to survive a loss without asking again.
const HOLDERS: usize = 4;

/// What is needed to tell a client something.
pub(crate) struct Teller<'a> {
    scheduler: &'a Scheduler,
    payloads: &'a Payloads,
    functions: &'a Functions,
    workers: &'a BTreeMap<WorkerId, Seat>,
    clients: &'a BTreeMap<JobId, Client>,
}

impl<'a> Teller<'a> {
    /// Tells what this master knows.
    pub(crate) const fn of(master: &'a Master) -> Self {
        let Master { scheduler, payloads, functions, workers, clients, .. } = master;
        Self { scheduler, payloads, functions, workers, clients }
    }

    /// Fills in what the scheduler cannot know of a failure: the name people know the task by in which it began. While
    /// the failure is told, not later: the task may be forgotten then.
    pub(crate) fn complete(&self, failure: &mut TaskFailure) {
        if !failure.name.is_empty() {
            return;
        }
        let Some(record) = self.payloads.record(failure.origin) else { return };
        let own = record.label.as_ref().and_then(|label| label.name.as_deref());
        let name = own.or_else(|| record.function.map(|function| self.functions.name(function)));
        name.unwrap_or_default().clone_into(&mut failure.name);
    }

    /// Every worker that has joined and is not lost.
    pub(crate) fn workers(&self) -> Vec<WorkerInfo> {
        let overviews = self.scheduler.workers().filter_map(|overview| {
            let seat = self.workers.get(&overview.worker)?;
            Some(WorkerInfo {
                worker: overview.worker,
                pid: seat.pid,
                node: overview.node,
                capacity: overview.capacity.without_bindings(),
                any_python: seat.any_python,
                assigned: overview.assigned,
                running: overview.running,
                actors: overview.actors,
                held_bytes: overview.held_bytes,
                pressed: overview.pressed,
            })
        });
        overviews.collect()
    }

    /// A value that is gone meanwhile is told when it is back, or when it is known to be lost.
    fn finished(&self, source: &InputSource) -> Option<(End, Option<Bytes>)> {
        let value = source.value;
        if let Some((encoding, bytes)) = self.payloads.held(value) {
            if bytes.len() <= INLINE_LIMIT {
                return Some((End::Inline(encoding), Some(bytes.to_bytes())));
            }
        } else if source.workers.is_empty() {
            return None;
        }
        let encoding = self.payloads.encoding(value)?;
        let node = self.clients.get(&value.task.job).and_then(|client| client.node);
        let holders = holders(source, HOLDERS, |worker| self.workers.get(&worker).map(|seat| seat.way_from(node)));
        (!holders.is_empty()).then(|| (End::Stored { encoding, size: source.size, holders }, None))
    }
}

impl Materialize for Teller<'_> {
    fn end(&self, _task: TaskId, outcome: Outcome) -> Option<(End, Option<Bytes>)> {
        match outcome {
            Outcome::Finished(source) => self.finished(&source),
            Outcome::Failed(failure) => Some((End::Failed(*failure), None)),
        }
    }

    fn answer(&self, question: Question) -> Answer {
        match question {
            Question::Workers => Answer::Workers(self.workers()),
            Question::Story(task) => Answer::Story(self.scheduler.state(task).zip(self.scheduler.story(task))),
            Question::Holders(task) => {
                let (master, workers) = self.scheduler.holders(task);
                Answer::Holders { master, workers: workers.to_vec() }
            }
        }
    }
}
