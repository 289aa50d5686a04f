//! The stage every table plays on: a scheduler that is checked after each event, and short words for what happens.
use quiltwork_scheduler::{Action, Config, Event, InputSource, Outcome, Scheduler, Supply};
use quiltwork_types::{
    AttemptId, Epoch, FailureKind, FunctionId, JobId, LossReason, NodeId, Resources, TaskFailure, TaskId, TaskSpec,
    TaskState, Time, ValueId, WorkerId,
};
use std::time::Duration;

pub(crate) const EPOCH: Epoch = Epoch(1);
/// A function nobody has run, so that nothing is sent ahead of a free slot.
pub(crate) const SLOW: FunctionId = FunctionId(1);
/// A function that `Stage::with_quick_function` has made known as quick.
pub(crate) const QUICK: FunctionId = FunctionId(2);

pub(crate) struct Stage {
    pub(crate) scheduler: Scheduler,
    pub(crate) now: Time,
}

pub(crate) fn task(index: u32) -> TaskId {
    TaskId { job: JobId(0), index }
}

pub(crate) fn value(index: u32) -> ValueId {
    ValueId::of(task(index))
}

pub(crate) fn attempt(index: u32, number: u32) -> AttemptId {
    AttemptId { task: task(index), number }
}

/// A kept task that runs `SLOW` over the values of `inputs`.
pub(crate) fn kept(index: u32, inputs: &[u32]) -> TaskSpec {
    TaskSpec { kept: true, ..unkept(index, inputs) }
}

/// The same without a reference.
pub(crate) fn unkept(index: u32, inputs: &[u32]) -> TaskSpec {
    TaskSpec::new(task(index), SLOW, inputs.iter().map(|&input| value(input)).collect())
}

pub(crate) fn crashed() -> LossReason {
    LossReason::ProcessEnded("signal 9 (SIGKILL)".into())
}

impl Stage {
    /// Workers 0, 1, … with so many slots each.
    pub(crate) fn new(slots: &[u32]) -> Self {
        Self::with(Config::default(), slots)
    }

    pub(crate) fn with(config: Config, slots: &[u32]) -> Self {
        let mut stage = Self { scheduler: Scheduler::new(Config { epoch: EPOCH, ..config }), now: Time::ZERO };
        for (worker, &slots) in (0..).zip(slots) {
            stage.joins(worker, Resources::slots(slots));
        }
        stage
    }

    /// Lets worker 0 run `QUICK` once, in 100 µs. Uses task number 0.
    pub(crate) fn with_quick_function(mut self) -> Self {
        self.submit([TaskSpec { function: Some(QUICK), ..unkept(0, &[]) }]);
        self.finishes_quickly(0, 0, 1);
        self
    }

    pub(crate) fn tell(&mut self, event: Event) -> Vec<Action> {
        let mut actions = Vec::new();
        let said = format!("{event:?}");
        self.scheduler.handle(self.now, event, &mut actions);
        self.scheduler.check().unwrap_or_else(|wrong| panic!("after {said}: {wrong}"));
        actions
    }

    pub(crate) fn joins(&mut self, worker: u32, capacity: Resources) -> Vec<Action> {
        self.tell(Event::WorkerJoined { worker: WorkerId(worker), capacity, node: None })
    }

    /// A worker with one slot joins on a node.
    pub(crate) fn joins_node(&mut self, worker: u32, node: u64) -> Vec<Action> {
        let (capacity, node) = (Resources::slots(1), Some(NodeId(node)));
        self.tell(Event::WorkerJoined { worker: WorkerId(worker), capacity, node })
    }

    pub(crate) fn submit(&mut self, tasks: impl Into<Vec<TaskSpec>>) -> Vec<Action> {
        self.tell(Event::TasksSubmitted { tasks: tasks.into() })
    }

    pub(crate) fn starts(&mut self, worker: u32, index: u32, number: u32) -> Vec<Action> {
        self.tell(Event::AttemptStarted { worker: WorkerId(worker), attempt: attempt(index, number) })
    }

    /// The attempt finishes and its bytes come with the message.
    pub(crate) fn finishes_inline(&mut self, worker: u32, index: u32, number: u32) -> Vec<Action> {
        self.tell(finished(worker, attempt(index, number), 8, true))
    }

    /// The same after 100 µs.
    pub(crate) fn finishes_quickly(&mut self, worker: u32, index: u32, number: u32) -> Vec<Action> {
        let (worker, attempt, epoch) = (WorkerId(worker), attempt(index, number), EPOCH);
        let ran = Duration::from_micros(100);
        self.tell(Event::AttemptFinished { worker, attempt, epoch, size: 8, inline: true, ran })
    }

    /// The attempt finishes and its 1,000 bytes stay at the worker.
    pub(crate) fn finishes(&mut self, worker: u32, index: u32, number: u32) -> Vec<Action> {
        self.tell(finished(worker, attempt(index, number), 1_000, false))
    }

    pub(crate) fn fails(&mut self, worker: u32, index: u32, number: u32, kind: FailureKind) -> Vec<Action> {
        let failure = Box::new(TaskFailure::new(kind, task(index), "on purpose"));
        let (worker, attempt) = (WorkerId(worker), attempt(index, number));
        self.tell(Event::AttemptFailed { worker, attempt, epoch: EPOCH, failure })
    }

    pub(crate) fn returns(&mut self, worker: u32, index: u32, number: u32) -> Vec<Action> {
        self.tell(Event::AttemptReturned { worker: WorkerId(worker), attempt: attempt(index, number) })
    }

    pub(crate) fn loses(&mut self, worker: u32) -> Vec<Action> {
        self.tell(Event::WorkerLost { worker: WorkerId(worker), reason: crashed() })
    }

    /// The worker says that it used 250 of its 256 MiB and that this was its newest attempt.
    pub(crate) fn runs_out_of_memory(&mut self, worker: u32, index: u32, number: u32) -> Vec<Action> {
        let reason = LossReason::OutOfMemory { attempt: attempt(index, number), used: 250 << 20, limit: 256 << 20 };
        self.tell(Event::WorkerLost { worker: WorkerId(worker), reason })
    }

    pub(crate) fn presses(&mut self, worker: u32) -> Vec<Action> {
        self.tell(Event::WorkerPressed { worker: WorkerId(worker) })
    }

    pub(crate) fn relieves(&mut self, worker: u32) -> Vec<Action> {
        self.tell(Event::WorkerRelieved { worker: WorkerId(worker) })
    }

    pub(crate) fn drops(&mut self, indexes: &[u32]) -> Vec<Action> {
        self.tell(Event::ReferencesDropped { tasks: indexes.iter().map(|&index| task(index)).collect() })
    }

    pub(crate) fn cancels(&mut self, indexes: &[u32]) -> Vec<Action> {
        self.tell(Event::CancelRequested { tasks: indexes.iter().map(|&index| task(index)).collect() })
    }

    pub(crate) fn lends(&mut self, worker: u32, index: u32, number: u32) -> Vec<Action> {
        self.tell(Event::SlotLent { worker: WorkerId(worker), attempt: attempt(index, number) })
    }

    pub(crate) fn reclaims(&mut self, worker: u32, index: u32, number: u32) -> Vec<Action> {
        self.tell(Event::SlotReclaimed { worker: WorkerId(worker), attempt: attempt(index, number) })
    }

    /// Lets time pass until `next_wakeup`.
    pub(crate) fn waits(&mut self) -> Vec<Action> {
        self.now = self.scheduler.next_wakeup().expect("something waits for time");
        self.tell(Event::TimePassed)
    }

    pub(crate) fn state(&self, index: u32) -> Option<TaskState> {
        self.scheduler.state(task(index))
    }
}

pub(crate) fn finished(worker: u32, attempt: AttemptId, size: u64, inline: bool) -> Event {
    let ran = Duration::from_millis(50);
    Event::AttemptFinished { worker: WorkerId(worker), attempt, epoch: EPOCH, size, inline, ran }
}

/// Who was given what: worker, task number, attempt number.
pub(crate) fn dispatched(actions: &[Action]) -> Vec<(u32, u32, u32)> {
    let dispatch = |action: &Action| match action {
        Action::Dispatch { worker, attempt, .. } => Some((worker.0, attempt.task.index, attempt.number)),
        _ => None,
    };
    actions.iter().filter_map(dispatch).collect()
}

/// Where a dispatched attempt has its inputs from, all of which are published.
pub(crate) fn sources(action: Option<&Action>) -> Vec<InputSource> {
    let Some(Action::Dispatch { inputs, .. }) = action else { panic!("{action:?}") };
    let source = |supply: &Supply| match supply {
        Supply::Published(source) => source.clone(),
        Supply::Coming(attempt) => panic!("{attempt} has yet to make it"),
    };
    inputs.iter().map(source).collect()
}

/// What was asked back: worker and task number.
pub(crate) fn recalled(actions: &[Action]) -> Vec<(u32, u32)> {
    let recall = |action: &Action| match action {
        Action::Recall { worker, attempt } => Some((worker.0, attempt.task.index)),
        _ => None,
    };
    actions.iter().filter_map(recall).collect()
}

/// Tasks whose client was told that they failed, and how.
pub(crate) fn failed(actions: &[Action]) -> Vec<(u32, FailureKind)> {
    failures(actions).into_iter().map(|(index, failure)| (index, failure.kind)).collect()
}

pub(crate) fn failures(actions: &[Action]) -> Vec<(u32, TaskFailure)> {
    let failure = |action: &Action| match action {
        Action::End { task, outcome: Outcome::Failed(failure) } => Some((task.index, (**failure).clone())),
        _ => None,
    };
    actions.iter().filter_map(failure).collect()
}

/// Tasks whose client was told that their value is there, and which workers hold it.
pub(crate) fn announced(actions: &[Action]) -> Vec<(u32, Vec<u32>)> {
    let finish = |action: &Action| match action {
        Action::End { task, outcome: Outcome::Finished(source) } => {
            Some((task.index, source.workers.iter().map(|worker| worker.0).collect()))
        }
        _ => None,
    };
    actions.iter().filter_map(finish).collect()
}

/// Tasks that were forgotten.
pub(crate) fn forgotten(actions: &[Action]) -> Vec<u32> {
    let forget = |action: &Action| match action {
        Action::Forget { task } => Some(task.index),
        _ => None,
    };
    actions.iter().filter_map(forget).collect()
}

pub(crate) fn cancel(worker: u32, attempt: AttemptId) -> Action {
    Action::Cancel { worker: WorkerId(worker), attempt }
}

pub(crate) fn supersede(worker: u32, attempt: AttemptId) -> Action {
    Action::Supersede { worker: WorkerId(worker), attempt }
}

pub(crate) fn free(worker: u32, index: u32) -> Action {
    Action::Free { worker: WorkerId(worker), value: value(index) }
}
