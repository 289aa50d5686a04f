//! What a worker says to the master.
use crate::parcel::Message;
use quiltwork_types::{AttemptId, Encoding, Epoch, TaskFailure, ValueId, WorkerId};
use serde::{Deserialize, Serialize};

/// A message from a worker.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum WorkerToMaster {
    /// These functions have been entered (only said of those that did not end before the report was written).
    Started {
        /// Which attempts.
        attempts: Vec<AttemptId>,
    },
    /// These attempts have ended. Payloads: every [`Made::Inline`], in order.
    Ended {
        /// The epoch in which they were dispatched.
        epoch: Epoch,
        /// Which, and how.
        ends: Vec<AttemptEnd>,
    },
    /// These come back because they were recalled.
    Returned {
        /// Which attempts.
        attempts: Vec<AttemptId>,
    },
    /// This attempt comes back because inputs were not where the master said.
    InputsMissing {
        /// Which attempt.
        attempt: AttemptId,
        /// Each value with the worker that did not have it.
        missing: Vec<(ValueId, WorkerId)>,
    },
    /// This worker fetched copies of these values, or adopted them, and keeps them.
    Copied {
        /// Which values.
        values: Vec<ValueId>,
    },
    /// These values, which this worker was to inherit, are not there.
    NotInherited {
        /// Which values.
        values: Vec<ValueId>,
    },
    /// This worker could not adopt a value.
    NotAdopted {
        /// Which value.
        value: ValueId,
        /// Why.
        failure: TaskFailure,
    },
    /// A running attempt waits for other tasks and lends its slots meanwhile.
    Lent {
        /// Which attempt.
        attempt: AttemptId,
    },
    /// A lending attempt goes on.
    Reclaimed {
        /// Which attempt.
        attempt: AttemptId,
    },
    /// How far running attempts are; only the latest of each.
    Progress {
        /// Attempt, done and total in the task's own unit.
        reports: Vec<(AttemptId, u64, u64)>,
    },
    /// This worker is short of memory and wants nothing more while it has something to do.
    Pressed,
    /// It has memory to spare again.
    Relieved,
    /// It has used more memory than it may and ends now. The last it says: it touches nothing any more, and what it
    /// holds may be given to others of its node.
    OutOfMemory {
        /// The attempt that was started last of those that ran.
        attempt: AttemptId,
        /// Bytes in use.
        used: u64,
        /// Bytes it may use.
        limit: u64,
    },
}

/// The end of one attempt.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AttemptEnd {
    /// Which attempt.
    pub attempt: AttemptId,
    /// How.
    pub end: AttemptOutcome,
}

/// How an attempt ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum AttemptOutcome {
    /// It made its value.
    Finished {
        /// How to read it.
        encoding: Encoding,
        /// Its size in bytes.
        size: u64,
        /// Where the bytes are.
        made: Made,
        /// How long the function ran, in nanoseconds.
        ran_nanos: u64,
    },
    /// It did not.
    Failed(TaskFailure),
}

/// Where the bytes of a finished attempt are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Made {
    /// The next payload.
    Inline,
    /// In the worker's store; an actor, in its process.
    Stored,
}

impl AttemptOutcome {
    /// Whether the value's bytes are a payload of the message.
    const fn is_inline(&self) -> bool {
        matches!(self, Self::Finished { made: Made::Inline, .. })
    }
}

impl Message for WorkerToMaster {
    fn payloads(&self) -> usize {
        match self {
            Self::Ended { ends, .. } => ends.iter().filter(|end| end.end.is_inline()).count(),
            _ => 0,
        }
    }
}
