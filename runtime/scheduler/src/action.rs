//! Everything the scheduler can ask for. The order in the list is the order in which the actions must be carried out.
use alloc::boxed::Box;
use alloc::vec::Vec;
use quiltwork_types::{AttemptId, JobId, TaskFailure, TaskId, ValueId, WorkerId};

/// What shall be done outside.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Send this attempt to this worker. Emitted once per attempt; the worker has joined and is not lost.
    Dispatch {
        /// To whom.
        worker: WorkerId,
        /// Which attempt.
        attempt: AttemptId,
        /// Of a call: the actor, by the task that made it. It lives at this worker.
        actor: Option<TaskId>,
        /// Where each of the task's inputs comes from, in the order of `TaskSpec::inputs`.
        inputs: Vec<Supply>,
    },
    /// Ask a worker to give this attempt back if its function has not been entered.
    /// The answer is `AttemptReturned`, or nothing because it runs or has ended.
    Recall {
        /// Whom.
        worker: WorkerId,
        /// Which attempt.
        attempt: AttemptId,
    },
    /// Tell a worker that nobody wants this attempt any more. Its place counts as taken until the worker says that
    /// it is over, with the same one message that ends any attempt: finished, failed, returned or inputs missing.
    Cancel {
        /// Whom.
        worker: WorkerId,
        /// Which attempt.
        attempt: AttemptId,
    },
    /// Tell a worker that its completion came second (or too late, or for nobody) and changed nothing: it may drop
    /// the value. Never sent to a worker that counts as a holder of that value.
    Supersede {
        /// Whom.
        worker: WorkerId,
        /// Which attempt.
        attempt: AttemptId,
    },
    /// The completion carried the bytes and is the first valid one: the master must keep them.
    /// Emitted while the `AttemptFinished` with `inline: true` that caused it is handled, never later.
    Publish {
        /// Which value.
        value: ValueId,
    },
    /// A task that stands for an actor has found it: the master keeps the actor's name as its value.
    Resolve {
        /// The task.
        task: TaskId,
        /// The task that made the actor.
        actor: TaskId,
    },
    /// Tell the job's client how a task it holds a reference to has ended. Emitted again with the same outcome or
    /// another holder when a published value had to be recomputed.
    End {
        /// Which task.
        task: TaskId,
        /// How.
        outcome: Outcome,
    },
    /// A worker may drop its bytes of this value.
    Free {
        /// Whom.
        worker: WorkerId,
        /// Which value.
        value: ValueId,
    },
    /// Tell workers of a node that `heir`, one of them, holds from now on what a lost worker of that node held, and
    /// clears away what else it has left. Before anything that counts on it; an heir that does not find a value says
    /// that it is missing.
    Inherit {
        /// Whom.
        workers: Vec<WorkerId>,
        /// Who is lost.
        from: WorkerId,
        /// Who counts as the holder now.
        heir: WorkerId,
        /// Which values.
        values: Vec<ValueId>,
    },
    /// Ask a worker to make a value its own whose bytes are in the area of its node, under the name of the job's client
    /// or of workers that are gone. The answer is `ValueCopied` or `AdoptionFailed`. Before anything that clears away what
    /// those workers have left.
    Adopt {
        /// Whom.
        worker: WorkerId,
        /// Which value.
        value: ValueId,
        /// Its size in bytes.
        size: u64,
        /// Workers under whose names the bytes may be.
        formerly: Vec<WorkerId>,
    },
    /// Tell a worker to remove from the area of its node what a client that is gone has written there.
    ClearAway {
        /// Whom.
        worker: WorkerId,
        /// The client's job.
        job: JobId,
    },
    /// The master may drop its bytes of this value.
    FreeAtMaster {
        /// Which value.
        value: ValueId,
    },
    /// Nothing will ever be asked about this task again: its argument bytes may go. Also the answer to a task that is
    /// submitted to a closed job.
    Forget {
        /// Which task.
        task: TaskId,
    },
}

/// Where an attempt has an input from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Supply {
    /// From where it is: it is published.
    Published(InputSource),
    /// From this attempt, which the same worker was given before and which has not ended as far as is known here. If it
    /// ends without a value, or is given back, so is what waits for it there.
    Coming(AttemptId),
}

/// Where an input's bytes are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InputSource {
    /// Which value.
    pub value: ValueId,
    /// Its size in bytes.
    pub size: u64,
    /// Workers that hold it; empty if the master does.
    pub workers: Vec<WorkerId>,
}

/// How a task ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// Its value is published.
    Finished(InputSource),
    /// It failed for good, or one of its inputs did, or it was cancelled.
    Failed(Box<TaskFailure>),
}
