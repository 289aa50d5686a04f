//! Everything the scheduler can be told. Any event, however late, doubled or unknown, is ordinary input.
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::time::Duration;
use quiltwork_types::{
    AttemptId, Epoch, JobId, LossReason, NodeId, Resources, TaskFailure, TaskId, TaskSpec, ValueId, WorkerId,
};

/// What happened outside.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// A worker is ready for attempts.
    WorkerJoined {
        /// Its number; one that was used before is ignored.
        worker: WorkerId,
        /// What it has in total.
        capacity: Resources,
        /// The node whose values it shares with the other workers there; none if it keeps its values to itself.
        node: Option<NodeId>,
    },
    /// A worker is gone; what it held is queued again. If its process ended, or is about to because it has no memory
    /// left, the values it held stay on its node.
    WorkerLost {
        /// Who.
        worker: WorkerId,
        /// How the master learned of it.
        reason: LossReason,
    },
    /// A job wants more tasks. An input must be known already or stand earlier in the same list.
    TasksSubmitted {
        /// The tasks, all of one job, inputs before consumers. A number that was used before is ignored.
        tasks: Vec<TaskSpec>,
    },
    /// The bytes of a value the client uploads (`TaskSpec::function` is `None`) have arrived at the master.
    ValueUploaded {
        /// The task that stands for the upload.
        task: TaskId,
        /// Its size in bytes.
        size: u64,
    },
    /// The client has written a value (`TaskSpec::function` is `None`) into the area of its node, where a worker has to
    /// adopt it.
    ValueWritten {
        /// The task that stands for it.
        task: TaskId,
        /// Its size in bytes.
        size: u64,
        /// In whose area.
        node: NodeId,
    },
    /// The bytes of an upload will not come, or a task without a function only stands for one that was refused.
    UploadFailed {
        /// The task.
        task: TaskId,
        /// Why.
        failure: Box<TaskFailure>,
    },
    /// A worker could not make a value its own that it was asked to adopt.
    AdoptionFailed {
        /// Who says so.
        worker: WorkerId,
        /// Which value.
        value: ValueId,
        /// Why.
        failure: Box<TaskFailure>,
    },
    /// The worker says the attempt's function has been entered.
    AttemptStarted {
        /// Who says so.
        worker: WorkerId,
        /// Which attempt.
        attempt: AttemptId,
    },
    /// An attempt made its value.
    AttemptFinished {
        /// Who says so.
        worker: WorkerId,
        /// Which attempt.
        attempt: AttemptId,
        /// The epoch in which it was dispatched.
        epoch: Epoch,
        /// The value's size in bytes.
        size: u64,
        /// Whether the bytes came with the message (then the master holds them) or stay at the worker.
        inline: bool,
        /// How long the function ran.
        ran: Duration,
    },
    /// An attempt ended without a value.
    AttemptFailed {
        /// Who says so.
        worker: WorkerId,
        /// Which attempt.
        attempt: AttemptId,
        /// The epoch in which it was dispatched.
        epoch: Epoch,
        /// Why.
        failure: Box<TaskFailure>,
    },
    /// An attempt comes back unstarted, because it was recalled.
    AttemptReturned {
        /// Who gives it back.
        worker: WorkerId,
        /// Which attempt.
        attempt: AttemptId,
    },
    /// An attempt comes back unstarted, because inputs could not be fetched where they were said to be.
    InputsMissing {
        /// Who gives it back.
        worker: WorkerId,
        /// Which attempt.
        attempt: AttemptId,
        /// The values, each with the worker that did not have it.
        missing: Vec<(ValueId, WorkerId)>,
    },
    /// A client could not fetch a published value from a worker that was said to hold it.
    ValueMissing {
        /// Which value.
        value: ValueId,
        /// The worker that did not have it or was not there.
        holder: WorkerId,
    },
    /// A worker has a value now and keeps it: it fetched a copy, or adopted it.
    ValueCopied {
        /// Which value.
        value: ValueId,
        /// Who has it now.
        worker: WorkerId,
    },
    /// A running attempt waits for other tasks and lends its slots meanwhile.
    SlotLent {
        /// Where.
        worker: WorkerId,
        /// Which attempt.
        attempt: AttemptId,
    },
    /// A lending attempt goes on; its slots are taken again.
    SlotReclaimed {
        /// Where.
        worker: WorkerId,
        /// Which attempt.
        attempt: AttemptId,
    },
    /// A worker runs short of memory: it gets nothing more while it has something to do.
    WorkerPressed {
        /// Who.
        worker: WorkerId,
    },
    /// A worker has memory to spare again.
    WorkerRelieved {
        /// Who.
        worker: WorkerId,
    },
    /// A client dropped its last reference to these tasks.
    ReferencesDropped {
        /// The tasks.
        tasks: Vec<TaskId>,
    },
    /// A client wants these tasks, and all that needs them, stopped.
    CancelRequested {
        /// The tasks.
        tasks: Vec<TaskId>,
    },
    /// The job's client is gone; everything of the job goes too.
    JobClosed {
        /// Which job.
        job: JobId,
        /// The client's node: what it has written there is cleared away.
        node: Option<NodeId>,
    },
    /// Nothing but time (see `Scheduler::next_wakeup`).
    TimePassed,
}
