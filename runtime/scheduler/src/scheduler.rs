//! The scheduler's state and its one entry, `handle`. What each event means is in the file of its topic.
use crate::action::Action;
use crate::config::Config;
use crate::estimates::Estimates;
use crate::event::Event;
use crate::jitter::Jitter;
use crate::place::Reservation;
use crate::placement::{LeastMovement, Placement};
use crate::queue::{ConsumersFirst, QueueOrder, ReadyQueue};
use crate::shapes::Shapes;
use crate::table::Tasks;
use crate::task::Key;
use crate::workers::Workers;
use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use alloc::vec::Vec;
use quiltwork_types::{NodeId, Resources, StoryEntry, TaskFailure, TaskId, TaskState, Time, WorkerId};

/// Decides which task runs where. See the crate's documentation for what always holds.
pub struct Scheduler {
    pub(crate) config: Config,
    /// `Config::window` in nanoseconds, the unit of everything it is compared with.
    pub(crate) window: u64,
    pub(crate) placement: Box<dyn Placement>,
    pub(crate) order: Box<dyn QueueOrder>,
    pub(crate) tasks: Tasks,
    pub(crate) shapes: Shapes,
    pub(crate) workers: Workers,
    pub(crate) ready: ReadyQueue,
    pub(crate) reservation: Option<Reservation>,
    /// When something must be looked at although nothing happens: pauses before retries, ends of patience. One each.
    pub(crate) timers: BTreeSet<(Time, Key)>,
    pub(crate) estimates: Estimates,
    pub(crate) jitter: Jitter,
    pub(crate) unsettled: Unsettled,
    /// The actors that have names.
    pub(crate) names: BTreeMap<Box<str>, Key>,
    /// Actors to which calls may go that could not before. Empty between events.
    pub(crate) stirred: Vec<Key>,
    /// Tasks that may go ahead, because what they wait for was assigned. Empty between events.
    pub(crate) followers: Vec<Key>,
    /// Tasks submitted so far.
    pub(crate) submissions: u64,
    /// Attempts assigned so far.
    pub(crate) assignments: u64,
}

/// Consequences of an event that are still to be drawn. Lists instead of recursion: a chain of 100,000 tasks fails,
/// is cancelled or is recomputed without a deep stack. Empty between events.
#[derive(Debug, Default)]
pub(crate) struct Unsettled {
    /// Tasks that must fail, and why.
    pub(crate) failing: Vec<(Key, Arc<TaskFailure>)>,
    /// Tasks nobody may want any more.
    pub(crate) doubtful: Vec<Key>,
    /// Tasks whose value is gone but needed.
    pub(crate) reviving: Vec<Key>,
}

/// One call of `handle`: the time it happens at and where its actions go.
pub(crate) struct Turn<'a> {
    pub(crate) now: Time,
    pub(crate) actions: &'a mut Vec<Action>,
}

impl Turn<'_> {
    pub(crate) fn act(&mut self, action: Action) {
        self.actions.push(action);
    }
}

/// A worker as the scheduler sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkerOverview {
    /// Its number.
    pub worker: WorkerId,
    /// What it has in total.
    pub capacity: Resources,
    /// Attempts it was given and has not ended.
    pub assigned: u32,
    /// Of those, the ones it has said it started.
    pub running: u32,
    /// Actors that live there.
    pub actors: u32,
    /// Bytes of values it holds.
    pub held_bytes: u64,
    /// Whether it is short of memory.
    pub pressed: bool,
    /// The node whose values it shares.
    pub node: Option<NodeId>,
}

impl Scheduler {
    /// A scheduler with the default policies.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self::with_policies(config, Box::new(LeastMovement::default()), Box::new(ConsumersFirst))
    }

    /// A scheduler with policies of one's own.
    #[must_use]
    pub fn with_policies(config: Config, placement: Box<dyn Placement>, order: Box<dyn QueueOrder>) -> Self {
        Self {
            estimates: Estimates::new(config.unknown_run_time),
            jitter: Jitter::new(config.seed),
            window: u64::try_from(config.window.as_nanos()).unwrap_or(u64::MAX),
            config,
            placement,
            order,
            tasks: Tasks::default(),
            shapes: Shapes::new(),
            workers: Workers::default(),
            ready: ReadyQueue::default(),
            reservation: None,
            timers: BTreeSet::new(),
            unsettled: Unsettled::default(),
            names: BTreeMap::new(),
            stirred: Vec::new(),
            followers: Vec::new(),
            submissions: 0,
            assignments: 0,
        }
    }

    /// Takes in one event and appends what shall be done, in the order in which it must be done.
    pub fn handle(&mut self, now: Time, event: Event, actions: &mut Vec<Action>) {
        let turn = &mut Turn { now, actions };
        match event {
            Event::WorkerJoined { worker, capacity, node } => self.on_worker_joined(turn, worker, capacity, node),
            Event::WorkerLost { worker, reason } => self.on_worker_lost(turn, worker, &reason),
            Event::TasksSubmitted { tasks } => self.on_tasks_submitted(turn, tasks),
            Event::ValueUploaded { task, size } => self.on_value_uploaded(turn, task, size),
            Event::AttemptStarted { worker, attempt } => self.on_attempt_started(turn, worker, attempt),
            Event::AttemptFinished { worker, attempt, epoch, size, inline, ran } => {
                self.on_attempt_finished(turn, worker, attempt, epoch, size, inline, ran);
            }
            Event::AttemptFailed { worker, attempt, epoch, failure } => {
                self.on_attempt_failed(turn, worker, attempt, epoch, *failure);
            }
            Event::AttemptReturned { worker, attempt } => self.on_attempt_returned(turn, worker, attempt),
            Event::InputsMissing { worker, attempt, missing } => {
                self.on_inputs_missing(turn, worker, attempt, &missing);
            }
            Event::ValueWritten { task, size, node } => self.on_value_written(turn, task, size, node),
            Event::UploadFailed { task, failure } => self.on_upload_failed(task, *failure),
            Event::AdoptionFailed { worker, value, failure } => self.on_adoption_failed(worker, value, *failure),
            Event::ValueMissing { value, holder } => self.on_value_missing(turn, value, holder),
            Event::ValueCopied { value, worker } => self.on_value_copied(turn, value, worker),
            Event::SlotLent { worker, attempt } => self.on_slot_lent(worker, attempt),
            Event::SlotReclaimed { worker, attempt } => self.on_slot_reclaimed(worker, attempt),
            Event::WorkerPressed { worker } => self.on_worker_pressed(turn, worker),
            Event::WorkerRelieved { worker } => self.on_worker_relieved(worker),
            Event::ReferencesDropped { tasks } => self.on_references_dropped(&tasks),
            Event::CancelRequested { tasks } => self.on_cancel_requested(&tasks),
            Event::JobClosed { job, node } => self.on_job_closed(turn, job, node),
            Event::TimePassed => {}
        }
        self.on_time(turn);
        self.settle(turn);
        self.dispatch_calls(turn);
        self.place_ready(turn);
        self.dispatch_ahead(turn);
        self.recall_surplus(turn);
    }

    /// When `TimePassed` is due at the latest; `None` if nothing waits for time alone.
    #[must_use]
    pub fn next_wakeup(&self) -> Option<Time> {
        self.timers.first().map(|&(due, _)| due)
    }

    /// What happened to a task; `None` if it has no record.
    #[must_use]
    pub fn story(&self, task: TaskId) -> Option<Vec<StoryEntry>> {
        self.tasks.find(task).map(|key| self.tasks[key].story.entries())
    }

    /// Where a task stands; `None` if it has no record.
    #[must_use]
    pub fn state(&self, task: TaskId) -> Option<TaskState> {
        self.tasks.find(task).map(|key| self.tasks[key].state())
    }

    /// Who holds the value of a task: whether the master does, and which workers do. Nobody, if it has no record or no
    /// value.
    #[must_use]
    pub fn holders(&self, task: TaskId) -> (bool, &[WorkerId]) {
        let value = self.tasks.find(task).and_then(|key| self.tasks[key].value());
        value.map_or((false, &[]), |value| (value.at_master, &value.holders))
    }

    /// The joined workers, by number.
    pub fn workers(&self) -> impl Iterator<Item = WorkerOverview> + '_ {
        let small = |count: u64| u32::try_from(count).unwrap_or(u32::MAX);
        self.workers.iter().map(move |(id, worker)| WorkerOverview {
            worker: id,
            capacity: worker.capacity.clone(),
            assigned: small(worker.load.given),
            running: small(worker.load.running),
            actors: small(worker.residents.len() as u64),
            held_bytes: u64::try_from(worker.held_bytes).unwrap_or(u64::MAX),
            pressed: worker.pressed,
            node: worker.node,
        })
    }

    /// How many tasks have a record.
    #[must_use]
    pub fn task_count(&self) -> usize {
        self.tasks.len()
    }
}
