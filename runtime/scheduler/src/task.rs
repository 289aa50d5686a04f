//! The record of one task: what it asks for, where it stands and what hangs on it. Rules that span tasks are elsewhere.
use crate::role::{Actor, Role};
use crate::shapes::ShapeId;
use crate::story::Story;
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use quiltwork_types::{AttemptId, FunctionId, NodeId, TaskFailure, TaskId, TaskState, Time, ValueId, WorkerId};
use smallvec::SmallVec;

/// Where a record lives in the table of tasks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key(pub(crate) u32);

/// The far end of a dependency: a record, and the place in its list that points back here. Both ends know each other,
/// so that one can be taken out of the other's list without a search.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Edge {
    pub(crate) task: Key,
    pub(crate) slot: u32,
}

/// A task the scheduler remembers.
#[derive(Debug)]
pub(crate) struct Task {
    pub(crate) id: TaskId,
    /// Position among all submissions.
    pub(crate) order: u64,
    pub(crate) role: Role,
    /// `None` for an upload and a reference.
    pub(crate) function: Option<FunctionId>,
    /// What it consumes, in the order of `TaskSpec::inputs`, and the actor it calls or stands for; empty once `lineage_dropped`.
    pub(crate) inputs: Box<[Edge]>,
    /// The tasks that consume its value or might once more, when theirs must be recomputed.
    pub(crate) consumers: SmallVec<[Edge; 2]>,
    pub(crate) story: Story,
    pub(crate) phase: Phase,
    /// Boxed, so that most tasks need no room for it.
    pub(crate) rare: Option<Box<Rare>>,
    pub(crate) shape: ShapeId,
    pub(crate) priority: i32,
    /// Length of the longest chain of inputs that leads here.
    pub(crate) depth: u32,
    /// Number of the latest attempt; 0 before the first.
    pub(crate) attempts: u32,
    /// `TaskSpec::retries`.
    pub(crate) retries: u32,
    /// Failed attempts since its last result.
    pub(crate) failures: u32,
    /// How many of `consumers` need its value.
    pub(crate) needing: u32,
    /// Whether the client holds a reference.
    pub(crate) kept: bool,
    /// Whether its value has been published before.
    pub(crate) published: bool,
    /// Whether its inputs were let go, because its value was safe; it cannot be computed again.
    pub(crate) lineage_dropped: bool,
    /// Whether an attempt of it was recalled once; moving it a second time is not worth it.
    pub(crate) moved: bool,
    /// Whether it is listed with its shape as one that no joined worker can hold.
    pub(crate) hoping: bool,
}

/// What few tasks have.
#[derive(Debug, Default)]
pub(crate) struct Rare {
    /// What people call it.
    name: Option<Box<str>>,
    /// One line per death of a worker that held it since its last result, shared by all tasks the same worker held.
    deaths: Vec<Arc<str>>,
}

impl Rare {
    /// Of a task with that name.
    pub(crate) fn named(name: Option<Box<str>>) -> Option<Box<Self>> {
        name.map(|name| Box::new(Self { name: Some(name), deaths: Vec::new() }))
    }
}

/// Where a task stands.
#[derive(Debug)]
pub(crate) enum Phase {
    /// `missing` of its inputs are not available.
    Waiting { missing: u32 },
    /// The client has yet to send the bytes.
    Uploading,
    /// Its bytes are in the area of a node, and no worker there counts for them yet.
    Adopting(Box<Adoption>),
    /// In the ready queue.
    Queued,
    /// Between two attempts, until `due`.
    Pausing { due: Time },
    /// Attempt number `Task::attempts` has a seat at `worker`. If it went there ahead, `missing` of its inputs are not
    /// published yet.
    Assigned { worker: WorkerId, running: bool, missing: u32 },
    /// Its value was published; the value may be gone if nobody needs it. Boxed, so that tasks in a long queue need
    /// no room for it.
    Finished(Box<Value>),
    /// Ended without a value; shared by everything that failed for the same reason.
    Failed(Arc<TaskFailure>),
}

/// A published value.
#[derive(Debug, Default)]
pub(crate) struct Value {
    /// In bytes.
    pub(crate) size: u64,
    /// Whether the master holds it.
    pub(crate) at_master: bool,
    /// The workers that hold it.
    pub(crate) holders: SmallVec<[WorkerId; 2]>,
}

/// A value that is to become some worker's own.
#[derive(Debug)]
pub(crate) struct Adoption {
    pub(crate) orphan: Orphan,
    pub(crate) adopter: Adopter,
}

/// Bytes in the area of a node, under the name of the job's client or of workers that are gone.
#[derive(Clone, Debug)]
pub(crate) struct Orphan {
    pub(crate) node: NodeId,
    /// In bytes.
    pub(crate) size: u64,
    /// Workers that are gone and under whose names the bytes may be.
    pub(crate) formerly: Vec<WorkerId>,
}

/// Who is going to make them its own.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Adopter {
    /// This worker was asked and has not answered.
    Asked(WorkerId),
    /// The next worker of the node, if there is one by then.
    Awaited { until: Time },
}

impl Value {
    pub(crate) fn is_available(&self) -> bool {
        self.at_master || !self.holders.is_empty()
    }
}

impl Task {
    /// Its latest attempt.
    pub(crate) const fn attempt(&self) -> AttemptId {
        AttemptId { task: self.id, number: self.attempts }
    }

    pub(crate) const fn value_id(&self) -> ValueId {
        ValueId::of(self.id)
    }

    /// Its value, if it is published and somebody holds it.
    pub(crate) fn available(&self) -> Option<&Value> {
        self.value().filter(|value| value.is_available())
    }

    /// Its value, if it is published, even if nobody holds it any more.
    pub(crate) fn value(&self) -> Option<&Value> {
        match &self.phase {
            Phase::Finished(value) => Some(value),
            _ => None,
        }
    }

    pub(crate) const fn is_unfinished(&self) -> bool {
        !matches!(self.phase, Phase::Finished(_) | Phase::Failed(_))
    }

    pub(crate) const fn has_failed(&self) -> bool {
        matches!(self.phase, Phase::Failed(_))
    }

    pub(crate) const fn is_call(&self) -> bool {
        matches!(self.role, Role::Call { .. })
    }

    /// What it has as an actor, if it is one.
    pub(crate) const fn actor(&self) -> Option<&Actor> {
        match &self.role {
            Role::Actor(actor) => Some(actor),
            _ => None,
        }
    }

    /// Whether its value is no value but an actor, or stands for one: then it ends when nobody needs it.
    pub(crate) const fn is_living(&self) -> bool {
        matches!(self.role, Role::Actor(_) | Role::Reference)
    }

    /// Whether it needs the values of its inputs: until it has ended, and as long as it lives.
    pub(crate) const fn needs_inputs(&self) -> bool {
        self.is_unfinished() || (self.is_living() && !self.has_failed())
    }

    /// Whether somebody wants its value: the client, or a task that needs it.
    pub(crate) const fn is_value_needed(&self) -> bool {
        self.kept || self.needing > 0
    }

    /// Whether something may still be asked about it.
    pub(crate) fn is_record_needed(&self) -> bool {
        self.kept || self.is_unfinished() || !self.consumers.is_empty()
    }

    /// Whether its value can be made again by running it.
    pub(crate) const fn is_recomputable(&self) -> bool {
        self.function.is_some() && !self.lineage_dropped && !matches!(self.role, Role::Call { .. })
    }

    pub(crate) fn death_count(&self) -> u32 {
        self.rare.as_ref().map_or(0, |rare| u32::try_from(rare.deaths.len()).unwrap_or(u32::MAX))
    }

    /// Notes the death of a worker that held it.
    pub(crate) fn blame(&mut self, line: Arc<str>) {
        self.rare.get_or_insert_default().deaths.push(line);
    }

    /// Forgets the deaths, which are returned.
    pub(crate) fn forgive(&mut self) -> Vec<Arc<str>> {
        self.rare.as_mut().map(|rare| core::mem::take(&mut rare.deaths)).unwrap_or_default()
    }

    /// What people call it; empty if it has no name.
    pub(crate) fn name(&self) -> &str {
        self.rare.as_ref().and_then(|rare| rare.name.as_deref()).unwrap_or_default()
    }

    pub(crate) fn state(&self) -> TaskState {
        use quiltwork_types::FailureKind::{Cancelled, ValueLost};
        match &self.phase {
            Phase::Waiting { .. } | Phase::Uploading | Phase::Adopting(_) => TaskState::Waiting,
            Phase::Queued | Phase::Pausing { .. } => TaskState::Queued,
            Phase::Assigned { running: false, .. } => TaskState::Assigned,
            Phase::Assigned { running: true, .. } => TaskState::Running,
            Phase::Finished(_) => TaskState::Finished,
            Phase::Failed(failure) if failure.kind == Cancelled => TaskState::Cancelled,
            Phase::Failed(failure) if failure.kind == ValueLost && failure.origin == self.id => TaskState::Lost,
            Phase::Failed(_) => TaskState::Failed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Task;

    /// The budget of the master is 300 bytes per queued task in all: record, place in the queue, number, arguments.
    #[test]
    fn a_record_is_small() {
        let bytes = size_of::<Task>();
        assert!(bytes <= 176, "{bytes}");
    }
}
